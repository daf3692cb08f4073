"""Trains the hypernetwork of generalizable INRs for style transfer on folders of photos and paintings.

``python -m train.generalizable_inr --content DIR --style DIR --workdir DIR``; ``--help`` lists the rest. By default it
goes on from the shipped AdaIN decoder with the second stage; ``--stage
reconstruction`` is the first one. The paper's own training is ``--network paper --init none --stage reconstruction``,
and then ``--init WORKDIR/generalizable_inr.safetensors --train-only field``, with the hypernetwork frozen.

Differs from the paper: see `jaxstyle.methods.generalizable_inr`; gradients are clipped by their norm; steps whose loss
or gradients are not finite change nothing and are counted; the weights that are validated and exported are a running
average.
"""

from __future__ import annotations

if __name__ == "__main__":  # the imports below take seconds
    from train.entry import entry

    entry("train.generalizable_inr")

import dataclasses
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax.sharding import Mesh

from jaxstyle import weights
from jaxstyle.arrays import Array, Image, Params
from jaxstyle.methods import adain
from jaxstyle.methods import generalizable_inr as ginr
from jaxstyle.methods.generalizable_inr import loss as losses
from jaxstyle.methods.generalizable_inr.network import encode, statistics
from jaxstyle.nets.stats import with_moments
from train import devices, on_crops, run, updates
from train.config import ConfigError
from train.generalizable_inr_config import OPTIONS, Config
from train.loader import Batch, to_unit
from train.updates import MANY, State

# ---- the method --------------------------------------------------------------------------------------------


def optimizer(config: Config) -> optax.GradientTransformation:
    """Adam on clipped gradients, with the schedule of the configuration; the decoder has a rate of its own."""
    slower = (config.painter_lr or config.lr) / config.lr

    def scale(change: Params, params: Params | None = None) -> Params:
        if "painter" not in change:
            return change
        painter = dict(change["painter"])
        for name in painter:
            if not name.startswith("beside"):
                painter[name] = jax.tree.map(lambda x: slower * x, painter[name])
        return {**change, "painter": painter}

    return updates.clipped_adam(config.clip, scale, updates.rate(config.schedule, config.lr, config.steps))


def create_model(config: Config) -> ginr.Model:
    """The frozen encoder, and networks that are fresh, made of an AdaIN model, or read from ``--init``.

    Raises:
      ValueError: a weight file is missing, damaged, or of another kind.
    """
    key = jax.random.key(config.seed)
    if config.network == "paper" or config.init is None:
        encoder, arch = adain.load_encoder(config.vgg)
        model = ginr.Model(encoder, {}, ginr.Whole() if config.network == "paper" else ginr.Config(), arch)
        model = dataclasses.replace(model, params=jax.jit(ginr.init)(key, model))
    elif weights.header(config.init)["kind"] == "adain":
        model = jax.jit(ginr.from_adain)(key, adain.load(config.init, encoder=config.vgg))
    else:
        model = ginr.load(config.init, encoder=config.vgg)
    if isinstance(model.config, ginr.Config) and model.config.feedback != config.feedback:
        model = ginr.with_feedback(model, config.feedback)
    return dataclasses.replace(model, dtype=jnp.dtype(config.dtype))


def create_state(config: Config, model: ginr.Model) -> State:
    """The state before the first step, with the parameters of ``model``."""
    # buffers of its own, also for the average: the state is donated to every step
    params, average = (jax.tree.map(jnp.array, tree) for tree in (model.params, _trained(model.params, config)))
    step, skipped, in_row = (jnp.zeros((), jnp.int32) for _ in range(3))
    return State(step, params, average, optimizer(config).init(average), skipped, in_row)  # type: ignore[arg-type]


def _trained(params: Params, config: Config) -> Params:
    """The parts that are trained."""
    return {name: part for name, part in params.items() if name in config.parts}


def _options(config: Config) -> dict[str, Any]:
    """What the loss is made of, for training and validation."""
    return {name: getattr(config, name) for name in OPTIONS}


def _targets(target: adain.Model | None, model: ginr.Model, content: Image, style: Image) -> Image | None:
    """What AdaIN makes of the pairs; both models have the same encoder."""
    if target is None:
        return None
    maps_c, maps_s = (encode(model, pictures) for pictures in (content, style))
    told = adain.aim(target.decoder, target, statistics(maps_s))
    return jax.lax.stop_gradient(adain.decode(target, with_moments(maps_c["relu4_1"], told)))


def train_step(
    key: Array,
    state: State,
    batch: dict[str, Array],
    *,
    config: Config,
    model: ginr.Model,
    target: adain.Model | None = None,
    axis_name: str | None = None,
) -> tuple[State, dict[str, Array]]:
    """One step of Adam on Eq. 2 or Eq. 6.

    Args:
      key: of the degrees of style and the places that are rendered.
      state: from `create_state` or the step before.
      batch: ``content`` and ``style`` ``(N, crop, crop, 3)``, uint8, or float32 in [0, 1].
      config, model: the run's, constant; ``model.params`` are not looked at.
      target: of ``config.target``.
      axis_name: axis to average gradients and terms over, under pmap.

    Returns:
      ``(state, terms)``: ``loss`` and its unweighted terms, ``norm`` of the gradients before they are clipped,
      ``skipped`` and ``in_row`` of the state; float32 scalars.
    """
    trained, content, style = _trained(state.params, config), to_unit(batch["content"]), to_unit(batch["style"])
    k_degree, k_which, k_where = jax.random.split(key, 3)
    degree, which = (jax.random.uniform(k, (len(content),), jnp.float32) for k in (k_degree, k_which))

    def loss_of(params: Params) -> tuple[Array, dict[str, Array]]:
        params = {**state.params, **params}
        if config.stage == "reconstruction":
            field = ginr.batch(params, model, content, content)
            loss = losses.reconstruction(field, content, degree)
            return loss, {"reconstruction": loss}
        loss, (terms, _) = losses.objective(
            params,
            model,
            content,
            style,
            jnp.where(which < config.mixed, degree, 1),
            where=losses.somewhere(k_where, config.crop, config.scale) if config.places else None,
            target=_targets(target, model, content, style),
            **_options(config),  # type: ignore[misc]
        )
        return loss, terms

    (loss, terms), grads = jax.value_and_grad(loss_of, has_aux=True)(trained)
    terms = {"loss": loss, **terms}
    if axis_name is not None:
        grads, terms = jax.lax.pmean((grads, terms), axis_name)
    return updates.advance(state, trained, grads, terms, tx=optimizer(config), decay=config.average)


# ---- the run -----------------------------------------------------------------------------------------------


@partial(jax.jit, static_argnames=("options",))
def _evaluate(
    model: ginr.Model, content: Array, style: Array, *, options: tuple[tuple[str, float], ...]
) -> tuple[dict[str, Array], list[Array]]:
    """Terms of full style on the pictures' own pixels, PSNR of degree 0, and pictures of degrees 0, 1/2 and 1."""
    one = jnp.ones(len(content), jnp.float32)
    loss, (terms, _) = losses.objective(model.params, model, content, style, one, **dict(options))  # type: ignore[arg-type]
    field = ginr.batch(model.params, model, content, style)
    shown = [losses.render(field, losses.whole(content.shape[1]), degree * one) for degree in (0.0, 0.5, 1.0)]
    psnr = -10 * jnp.log10(jnp.square(jnp.clip(shown[0], 0, 1) - content).mean((1, 2, 3))).mean()
    return {f"val/{name}": value for name, value in {"loss": loss, **terms, "psnr": psnr}.items()}, shown


def _averaged(state: State, model: ginr.Model) -> ginr.Model:
    """The model with the averaged weights, in host memory: every process then works with it on its own."""
    return dataclasses.replace(model, params=jax.tree.map(np.asarray, {**state.params, **state.average}))


def _validate(logs: run.Logs, step: int, model: ginr.Model, pairs: Batch, config: Config) -> dict[str, float]:
    """Writes and returns the terms, and draws the sheet content | style | degrees 0, 1/2 and 1."""
    content, style = pairs["content"], pairs["style"]
    options = {**_options(config), "target_weight": 0.0}
    terms, shown = _evaluate(model, content, style, options=tuple(options.items()))
    rows = zip(content, style, *map(np.asarray, shown), strict=True)
    if config.stage == "reconstruction":
        terms["val/loss"] = terms["val/reconstruction"]
    return run.log_validation(logs, step, terms, name="content_style_0_half_1", rows=rows)


def train(config: Config, mesh: Mesh | None = None) -> Path:
    """Runs the training and returns the path of the exported weights, ``workdir/generalizable_inr.safetensors``.

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
        if not _trained(model.params, config):
            raise ConfigError(f"train_only: {config.train_only!r}; the network has no such part")
        target = None if config.target is None else adain.load(config.target, encoder=config.vgg)
        state = this.restore(devices.replicate(create_state(config, model), mesh))
        # the frozen encoder becomes a constant of the compiled step
        step_fn = partial(train_step, config=config, model=dataclasses.replace(model, params={}), target=target)
        advance, key = devices.parallel_step(step_fn, mesh, config.parallel), jax.random.key(config.seed)
        step = this.first
        with (
            on_crops.open_loader(config, crops, step) as loader,
            run.open_logs(this, batch_size=config.batch_size) as logs,
            run.stop_on_signal() as stop,
        ):
            for step, batch in zip(this.left, devices.prefetch(loader, mesh), strict=False):
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
        path = on_crops.export(this, "generalizable_inr", state, partial(_averaged, model=model), ginr.save)
    this.check_done(step)
    return path


def main(argv: Sequence[str] | None = None) -> int:
    """The command; returns the exit code: 0, 1 when a run failed, 2 for wrong usage, 130 when interrupted."""
    return on_crops.command(Config, train, argv, prog="train.generalizable_inr", description=__doc__)
