"""Trains the networks of Dynamic Style Kernels (Xu, Long & Nie 2023) on folders of photos and paintings.

``python -m train.style_kernel --content DIR --style DIR --workdir DIR``; ``--help`` lists the rest. By default it goes
on from the shipped AdaIN decoder, with the small network and the terms that were found to work on two processor cores.
The paper's own training is ``--network paper --init none --deeper --style-weight 1 --style-statistic gram
--no-relative-style --relative-to style --identity-weight 0 --pixel-weight 20 --feature-weight 0.5 --remd-weight 0
--aligned-remd-weight 3 --adversarial-weight 1 --gate-lr 1e-4 --schedule constant --batch-size 16 --crop 256
--largest-crop 0 --resize 512``.

Differs from the paper: gradients are clipped by their norm; steps whose loss or gradients are not finite change
nothing, are counted, and end the run where there are many in a row; the weights that are validated and exported are a
running average; the gate has a lower learning rate, at which it does not open for good.
"""

from __future__ import annotations

if __name__ == "__main__":  # the imports below take seconds
    from train.entry import entry

    entry("train.style_kernel")

import dataclasses
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import struct
from jax.sharding import Mesh

from jaxstyle import weights
from jaxstyle.arrays import Array, Params
from jaxstyle.methods import adain, style_kernel
from jaxstyle.methods.style_kernel.loss import DEEPER, Made, objective
from jaxstyle.nets import discriminator as patches
from train import devices, on_crops, run, updates
from train.config import ConfigError
from train.loader import Batch, to_unit
from train.style_kernel_config import OPTIONS, Config
from train.updates import MANY

JUDGED_EVERY = 2
"""The discriminator takes one step for so many of the generator."""

_NETWORKS = {"lite": style_kernel.lite, "paper": style_kernel.paper}
_CHANGES = ("kernels", "gated", "shuffled", "aim")


# ---- the method --------------------------------------------------------------------------------------------


@struct.dataclass
class Adversary:
    """The discriminator and its optimiser."""

    params: Params
    opt: optax.OptState
    loss: Array  # () float32, of its newest step


@struct.dataclass
class State(updates.State):
    """What a step changes: a pytree."""

    adversary: Adversary | None  # None without an adversarial term


def optimizer(config: Config) -> optax.GradientTransformation:
    """Adam on clipped gradients, with the schedule of the configuration and a rate for every part."""
    rates = {"psi": config.gate_lr, "decoder": config.decoder_lr or config.lr}

    def scale(change: Params, params: Params | None = None) -> Params:
        factors = {part: rates.get(part, config.lr) / config.lr for part in change}
        return {part: jax.tree.map(lambda x, f=factors[part]: f * x, tree) for part, tree in change.items()}

    return updates.clipped_adam(config.clip, scale, updates.rate(config.schedule, config.lr, config.steps))


def adversary_optimizer(config: Config) -> optax.GradientTransformation:
    """Adam as pix2pixHD has it, with the schedule of the configuration."""
    return optax.adam(updates.rate(config.schedule, config.adversary_lr, config.steps // JUDGED_EVERY + 1), b1=0.5)


def create_model(config: Config) -> style_kernel.Model:
    """The frozen encoder, and networks that are fresh, made of an AdaIN model, or read from ``--init``.

    Raises:
      ValueError: a weight file is missing, damaged, or does not fit the configuration.
    """
    changes = {name: getattr(config, name) for name in _CHANGES if getattr(config, name) is not None}
    wanted = dataclasses.replace(_NETWORKS[config.network](), **changes)
    key = jax.random.key(config.seed)
    if config.init is None:
        encoder, arch = adain.load_encoder(config.vgg)
        model = style_kernel.Model(encoder, {}, wanted, arch)
        model = dataclasses.replace(model, params=jax.jit(style_kernel.init)(key, model))
    elif weights.header(config.init)["kind"] == "adain":
        source = adain.load(config.init, encoder=config.vgg)
        model = jax.jit(style_kernel.from_adain, static_argnames="config")(key, source, config=wanted)
    else:
        model = style_kernel.load(config.init, encoder=config.vgg)
        for name, value in changes.items():
            if getattr(model.config, name) != value:
                raise weights.WeightsError(f"{config.init}: has {name} {getattr(model.config, name)}, not {value}")
    if config.deeper:  # for the losses alone
        encoder, _ = adain.load_encoder(config.vgg, through=DEEPER.replace("relu", "conv"))
        model = dataclasses.replace(model, encoder=encoder)
    return dataclasses.replace(model, dtype=jnp.dtype(config.dtype))


def create_state(config: Config, model: style_kernel.Model) -> State:
    """The state before the first step, with the parameters of ``model``.

    Raises:
      ConfigError: no part of the network is to be trained.
    """
    # buffers of its own, also for the average: the state is donated to every step
    params, average = (jax.tree.map(jnp.array, tree) for tree in (model.params, _trained(model.params, config)))
    if not average:
        raise ConfigError(f"train_only: {config.train_only}; of these the network has none that is to be trained")
    adversary = None
    if config.adversarial_weight:
        fresh = jax.jit(patches.init)(jax.random.fold_in(jax.random.key(config.seed), 1))
        adversary = Adversary(fresh, adversary_optimizer(config).init(fresh), jnp.zeros((), jnp.float32))  # type: ignore[arg-type]
    step, skipped, in_row = (jnp.zeros((), jnp.int32) for _ in range(3))
    return State(step, params, average, optimizer(config).init(average), skipped, in_row, adversary)  # type: ignore[arg-type]


def _trained(params: Params, config: Config) -> Params:
    """The parts that are trained."""
    return {name: part for name, part in params.items() if name in config.parts}


def _options(config: Config) -> dict[str, Any]:
    """What the loss is made of, for training and validation."""
    return {name: getattr(config, name) for name in OPTIONS}


def train_step(
    key: Array,
    state: State,
    batch: dict[str, Array],
    *,
    config: Config,
    model: style_kernel.Model,
    axis_name: str | None = None,
) -> tuple[State, dict[str, Array]]:
    """One step of Adam on Eq. 7, and after every second one a step of the discriminator, if there is one.

    Args:
      key: of the shuffling and the positions that are compared.
      state: from `create_state` or the step before.
      batch: ``content`` and ``style`` ``(N, crop, crop, 3)``, uint8, or float32 in [0, 1], and ``identity`` ``(N,)``
        from `mark_identity`.
      config, model: the run's, constant; ``model.params`` are not looked at.
      axis_name: axis to average gradients and terms over, under pmap.

    Returns:
      ``(state, terms)``: ``loss`` and the unweighted terms of `objective`, ``norm`` of the gradients before they are
      clipped, ``skipped`` and ``in_row`` of the state, and ``adversary``, the discriminator's loss at its newest step;
      float32 scalars.
    """
    trained, adversary, identity = _trained(state.params, config), state.adversary, batch.get("identity")
    content, style = to_unit(batch["content"]), to_unit(batch["style"])

    def loss_of(params: Params) -> tuple[Array, tuple[dict[str, Array], Made]]:
        return objective(
            key,
            {**state.params, **params},
            model,
            content,
            style,
            identity=identity,
            discriminator=None if adversary is None else adversary.params,
            **_options(config),  # type: ignore[misc]
        )

    (loss, (terms, made)), grads = jax.value_and_grad(loss_of, has_aux=True)(trained)
    terms = {"loss": loss, **terms}
    if axis_name is not None:
        grads, terms = jax.lax.pmean((grads, terms), axis_name)
    after, terms = updates.advance(state, trained, grads, terms, tx=optimizer(config), decay=config.average)
    if adversary is not None:
        due = (state.step + 1) % JUDGED_EVERY == 0
        judge = partial(_judge, style, made.images, identity, config=config, axis_name=axis_name)
        adversary = jax.lax.cond(due, judge, lambda same: same, adversary)
        after, terms = dataclasses.replace(after, adversary=adversary), terms | {"adversary": adversary.loss}
    return after, terms


def _judge(
    style: Array, made: Array, identity: Array | None, adversary: Adversary, *, config: Config, axis_name: str | None
) -> Adversary:
    """The discriminator after one step on paintings and what the generator has just made of them."""
    rows = None if identity is None else 1 - identity  # in these pairs the painting is a photo
    dtype = jnp.dtype(config.dtype)
    loss, grads = jax.value_and_grad(patches.objective)(adversary.params, style, made, rows=rows, dtype=dtype)
    if axis_name is not None:
        loss, grads = jax.lax.pmean((loss, grads), axis_name)
    finite = updates.all_finite(loss, updates.norm(grads))
    params, opt = updates.update_if(finite, adversary_optimizer(config), grads, adversary.opt, adversary.params)
    return Adversary(params, opt, jnp.where(finite, loss, adversary.loss))


def mark_identity(batch: Batch, config: Config, step: int, first_row: int = 0) -> Batch:
    """Gives the identity pairs their content as style, if the run has such pairs, see `updates.mark_identity`.

    Args:
      batch: ``content`` and ``style``, rows of the global batch.
      config: the run's.
      step: steps done before this batch.
      first_row: place of the first of these rows in the global batch.
    """
    if not config.identity_weight:
        return batch
    return updates.mark_identity(batch, step * config.batch_size + first_row, config.identity_share)


# ---- the run -----------------------------------------------------------------------------------------------


@partial(jax.jit, static_argnames=OPTIONS)
def _evaluate(model: style_kernel.Model, content: Array, style: Array, **options: Any) -> tuple[dict[str, Array], Made]:
    """Terms of Eq. 7 but the adversarial one, and what was made, as after training; options of `objective`."""
    loss, (terms, made) = objective(None, model.params, model, content, style, **options)
    return {f"val/{name}": value for name, value in {"loss": loss, **terms}.items()}, made


def _averaged(state: State, model: style_kernel.Model) -> style_kernel.Model:
    """The model with the averaged weights, in host memory: every process then works with it on its own."""
    return dataclasses.replace(model, params=jax.tree.map(np.asarray, {**state.params, **state.average}))


def _validate(logs: run.Logs, step: int, model: style_kernel.Model, pairs: Batch, config: Config) -> dict[str, float]:
    """Writes and returns the terms, and draws the sheet content | style | result | gate, which is white where open."""
    content, style = pairs["content"], pairs["style"]
    terms, made = _evaluate(model, content, style, **_options(config))
    grey = np.repeat(np.repeat(np.asarray(made.kept), adain.STRIDE, 1), adain.STRIDE, 2)
    gates = np.repeat(grey[..., None], 3, axis=-1)
    rows = zip(content, style, np.asarray(made.images), gates, strict=True)
    return run.log_validation(logs, step, terms, name="content_style_result_gate", rows=rows)


def train(config: Config, mesh: Mesh | None = None) -> Path:
    """Runs the training and returns the path of the exported weights, ``workdir/style_kernel.safetensors``.

    A first SIGINT or SIGTERM lets it finish its step, save the state and export the best weights so far.

    Args:
      config: the run.
      mesh: the devices, from `devices.make_mesh`; None means all devices of all processes.

    Raises:
      ValueError: something in the configuration cannot work; the message is one line.
      NonFiniteError: many steps in a row, or a validation, were NaN or infinite.
    """
    mesh = devices.make_mesh() if mesh is None else mesh
    devices.check_batch_size(config.batch_size, mesh)
    with on_crops.open_run(config) as (this, crops, pairs):
        model = create_model(config)
        state = this.restore(devices.replicate(create_state(config, model), mesh))
        # the frozen encoder becomes a constant of the compiled step
        step_fn = partial(train_step, config=config, model=dataclasses.replace(model, params={}))
        advance, key = devices.parallel_step(step_fn, mesh, config.parallel), jax.random.key(config.seed)
        step = this.first
        with (
            on_crops.open_loader(config, crops, step, echo=config.echo) as loader,
            run.open_logs(this, batch_size=config.batch_size) as logs,
            run.stop_on_signal() as stop,
        ):
            marked = (mark_identity(rows, config, done, loader.first_row) for done, rows in enumerate(loader, step))
            for step, batch in zip(this.left, devices.prefetch(marked, mesh), strict=False):
                state, terms = advance(jax.random.fold_in(key, step), state, batch)
                logs.progress.advance()
                due = this.due(step, stop)
                if due.log:
                    run.log_steady(logs, step, terms, many=MANY)
                if due.save:
                    # being stopped leaves no trace in the curves
                    values = _validate(logs, step, _averaged(state, model), pairs, config) if due.validate else None
                    this.save(step, state, values)
                if due.stop:
                    break
        path = on_crops.export(this, "style_kernel", state, partial(_averaged, model=model), style_kernel.save)
    this.check_done(step)
    return path


def main(argv: Sequence[str] | None = None) -> int:
    """The command; returns the exit code: 0, 1 when a run failed, 2 for wrong usage, 130 when interrupted."""
    return on_crops.command(Config, train, argv, prog="train.style_kernel", description=__doc__)
