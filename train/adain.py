"""Trains the AdaIN decoder (arXiv:1703.06868) on folders of photos and paintings.

``python -m train.adain --content DIR --style DIR --workdir DIR``; ``--help`` lists the rest. The defaults are
those of the paper (Sec. 6) and of its authors' code: Adam with a learning rate of 1e-4 / (1 + 5e-5 t),
160 000 batches of 8 pairs, short side 512, crops of 256, lambda 10.

Differs from the paper: the weights that are validated and exported are a running average; a share of the
pairs may have its content as style, with a pixel loss (``--identity-weight``), so that alpha = 0 gives the
photo back; training may start with plain reconstruction (``--reconstruct-steps``), which a fresh decoder
learns much faster than Eq. 11.
"""

from __future__ import annotations

if __name__ == "__main__":  # the imports below take seconds
    from train.entry import entry

    entry("train.adain")

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Literal

import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import struct
from jax.sharding import Mesh

from jaxstyle import weights
from jaxstyle.arrays import Array, Params
from jaxstyle.methods import adain
from train import devices, on_crops, run, updates
from train.config import ConfigError, check_least, check_positive, flag
from train.loader import Batch, to_unit
from train.logs import check_finite


@dataclass(frozen=True)
class Config(on_crops.Config):
    """Everything that decides a run; the flags of the command are made from it."""

    init: str | None = flag(None, "weights to start from: a name or a file; none starts afresh")
    reconstruct_steps: int = flag(0, "of --steps, first ones that only reconstruct their input")
    lr: float = flag(1e-4, "learning rate of Adam")
    schedule: Literal["inverse", "cosine"] = flag("inverse", "lr / (1 + 5e-5 t), or a cosine to 1 % of lr")
    style_weight: float = flag(10.0, "lambda of Eq. 11")
    content_term: adain.ContentTerm = flag("features", "what Lc compares: f(g(t)) with t, or both standardised")  # noqa: RUF009
    relative_style: bool = flag(False, "Ls relative to the style's own statistics")
    relative_to: Literal["style", "photo"] = flag("style", "to those, or to how far from them the photo is")
    half_weight: float = flag(0.0, "weight of Ls of the pictures at half their size, beside Ls")
    identity_weight: float = flag(0.0, "weight of the identity term")
    identity_share: float = flag(0.25, "share of pairs that get the identity term, if it has a weight")
    fusion: adain.Fusion = flag("adain", "how content and style features meet (Sec. 7.2)")  # noqa: RUF009
    aim: adain.AimedAt | None = flag(  # noqa: RUF009
        None,
        "moments that features get: the style's (Eq. 8), or learned from all its layers",
        "that of --init, or style",
    )
    norm: adain.DecoderNorm = flag("none", "normalisation in the decoder (Sec. 7.2)")  # noqa: RUF009
    echo: int = flag(1, "steps that a batch is used for, each time with the paintings moved on by one")

    def __post_init__(self) -> None:
        """Raises ConfigError for values that no run can have."""
        self.check(stride=adain.STRIDE, smallest=adain.SMALLEST)
        others = ("reconstruct_steps", "style_weight", "half_weight", "identity_weight")
        check_least(self, {"echo": 1} | dict.fromkeys(others, 0))
        check_positive(self, "lr")
        on_crops.check_style(self)
        if self.parallel == "pmap" and self.norm == "batch":
            raise ConfigError("parallel: pmap would normalise per device; use jit with norm batch")
        if self.fusion == "concat" and (self.identity_weight or self.reconstruct_steps):
            raise ConfigError("fusion: concat takes neither identity_weight nor reconstruct_steps; set both to 0")


# ---- the method --------------------------------------------------------------------------------------------


@struct.dataclass
class State:
    """What a step changes: a pytree."""

    step: Array  # () int32, steps done
    decoder: Params  # the decoder's variables
    average: Params  # running average of decoder["params"], what is validated and exported
    opt: optax.OptState


def optimizer(config: Config) -> optax.GradientTransformation:
    """Adam with the schedule of the configuration."""
    return optax.adam(updates.rate(config.schedule, config.lr, config.steps))


def create_model(config: Config) -> adain.Model:
    """The frozen encoder, and a decoder that is fresh or read from ``--init``.

    Raises:
      ValueError: a weight file is missing, damaged, or does not fit the configuration.
    """
    encoder, arch = adain.load_encoder(config.vgg)
    first = None if config.init is None else adain.load(config.init, encoder=config.vgg)
    aim = config.aim or ("style" if first is None else first.aim)
    model = adain.Model(encoder, {}, arch, config.fusion, config.norm, aim, jnp.dtype(config.dtype))
    fresh = partial(jax.jit(adain.init_decoder), jax.random.key(config.seed), model)
    if first is None:
        return dataclasses.replace(model, decoder=fresh())
    decoder = first.decoder
    if aim == "learned" and "aim" not in decoder["params"]:  # begins at the style's moments
        decoder = {**decoder, "params": {**decoder["params"], "aim": fresh()["params"]["aim"]}}
    if jax.tree.map(jnp.shape, decoder) != jax.tree.map(jnp.shape, jax.eval_shape(fresh)):
        wanted = f"fusion {config.fusion}, norm {config.norm} and aim {aim}"
        raise weights.WeightsError(f"{config.init}: the decoder has another shape than {wanted} ask for")
    return dataclasses.replace(model, decoder=decoder)


def create_state(config: Config, model: adain.Model) -> State:
    """The state before the first step, with the decoder of ``model``."""
    # buffers of its own, also for the average: the state is donated to every step
    decoder, average = (jax.tree.map(jnp.copy, tree) for tree in (model.decoder, model.decoder["params"]))
    return State(jnp.zeros((), jnp.int32), decoder, average, optimizer(config).init(average))


def _objective_options(config: Config) -> dict[str, Any]:
    """What Eq. 11 is made of, for training and validation."""
    names = ("style_weight", "content_term", "relative_style", "relative_to", "half_weight")
    return {name: getattr(config, name) for name in names}


def train_step(
    key: Array,
    state: State,
    batch: dict[str, Array],
    *,
    config: Config,
    model: adain.Model,
    axis_name: str | None = None,
) -> tuple[State, dict[str, Array]]:
    """One step of Adam on Eq. 11.

    Args:
      key: what all trainers' steps take; nothing is random in this one.
      state: from `create_state` or the step before.
      batch: ``content`` and ``style`` ``(N, crop, crop, 3)``, uint8, or float32 in [0, 1], and ``identity`` ``(N,)``
        from `mark_identity`.
      config, model: the run's, constant; ``model.decoder`` is not looked at.
      axis_name: axis to average gradients and terms over, under pmap.

    Returns:
      ``(state, terms)``: ``loss`` and the unweighted terms of `adain.objective`, float32 scalars.
    """
    del key
    rest = {name: value for name, value in state.decoder.items() if name != "params"}
    content, style = to_unit(batch["content"]), to_unit(batch["style"])

    def loss_of(params: Params) -> tuple[Array, dict[str, Array]]:
        return adain.objective(
            {"params": params, **rest},
            model,
            content,
            style,
            identity=batch.get("identity"),
            identity_weight=config.identity_weight or 1.0,  # without a weight: the reconstruction's
            **_objective_options(config),
        )

    (loss, terms), grads = jax.value_and_grad(loss_of, has_aux=True)(state.decoder["params"])
    terms = {"loss": loss, **terms}
    if axis_name is not None:
        grads, terms = jax.lax.pmean((grads, terms), axis_name)
    with jax.numpy_dtype_promotion("standard"):  # optax's Adam multiplies floats with its count of steps
        change, opt = optimizer(config).update(grads, state.opt, state.decoder["params"])
    params = optax.apply_updates(state.decoder["params"], change)
    average = updates.follow(state.average, params, state.step, config.average)
    decoder = adain.running_statistics({"params": params, **rest}, model, content, style)
    return State(state.step + 1, decoder, average, opt), terms


def mark_identity(batch: Batch, config: Config, step: int, first_row: int = 0) -> Batch:
    """Gives the identity pairs their content as style, see `updates.mark_identity`; while reconstructing all pairs.

    Args:
      batch: ``content`` and ``style``, rows of the global batch.
      config: the run's.
      step: steps done before this batch.
      first_row: place of the first of these rows in the global batch.

    Returns:
      The batch, with ``identity`` ``(N,)`` float32, 1 for these pairs, if the run has such pairs at all.
    """
    if not config.identity_weight and not config.reconstruct_steps:
        return batch
    later = config.identity_share if config.identity_weight else 0.0
    share = 1.0 if step < config.reconstruct_steps else later
    return updates.mark_identity(batch, step * config.batch_size + first_row, share)


@partial(jax.jit, static_argnames=("content_term", "relative_style", "relative_to", "half_weight"))
def _evaluate(model: adain.Model, content: Array, style: Array, **options: Any) -> tuple[dict[str, Array], Array]:
    """Terms of Eq. 11 and the pictures, with the decoder as it is used after training; options of `objective`."""
    loss, terms = adain.objective(model.decoder, model, content, style, train=False, **options)
    f_c, f_s = adain.encode(model, content)["relu4_1"], adain.encode(model, style, adain.style_taps(model))
    pictures = adain.decode(model, adain.fuse(model, f_c, adain.describe(model, f_s)))
    return {f"val/{name}": value for name, value in {"loss": loss, **terms}.items()}, pictures


def _averaged(state: State, model: adain.Model) -> adain.Model:
    """The model with the averaged weights, in host memory: every process then works with it on its own."""
    decoder = jax.tree.map(np.asarray, {**state.decoder, "params": state.average})
    return dataclasses.replace(model, decoder=decoder)


def _validate(logs: run.Logs, step: int, model: adain.Model, pairs: Batch, config: Config) -> dict[str, float]:
    """Writes and returns the validation terms, and draws the sheet content | style | result."""
    content, style = pairs["content"], pairs["style"]
    terms, pictures = _evaluate(model, content, style, **_objective_options(config))
    rows = zip(content, style, np.asarray(pictures), strict=True)
    return run.log_validation(logs, step, terms, name="content_style_result", rows=rows)


# ---- the run -----------------------------------------------------------------------------------------------


def train(config: Config, mesh: Mesh | None = None) -> Path:
    """Runs the training and returns the path of the exported weights, ``workdir/adain.safetensors``.

    A first SIGINT or SIGTERM lets it finish its step, save the state and export the best weights so far.

    Args:
      config: the run.
      mesh: the devices, from `devices.make_mesh`; None means all devices of all processes.

    Raises:
      ValueError: something in the configuration cannot work; the message is one line.
      NonFiniteError: a loss term became NaN or infinite.
      KeyboardInterrupt: a signal ended the run early; the message says how to go on.
      OSError: something cannot be written.
    """
    mesh = devices.make_mesh() if mesh is None else mesh
    devices.check_batch_size(config.batch_size, mesh)
    with on_crops.open_run(config) as (this, crops, pairs):
        model = create_model(config)
        state = this.restore(devices.replicate(create_state(config, model), mesh))
        # the frozen encoder becomes a constant of the compiled step
        step_fn = partial(train_step, config=config, model=dataclasses.replace(model, decoder={}))
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
                    run.log(logs, step, terms)
                if due.save:
                    check_finite(terms, step)
                    # being stopped leaves no trace in the curves
                    values = _validate(logs, step, _averaged(state, model), pairs, config) if due.validate else None
                    this.save(step, state, values)
                if due.stop:
                    break
        path = on_crops.export(this, "adain", state, partial(_averaged, model=model), adain.save)
    this.check_done(step)
    return path


def main(argv: Sequence[str] | None = None) -> int:
    """The command; returns the exit code: 0, 1 when a run failed, 2 for wrong usage, 130 when interrupted."""
    return on_crops.command(Config, train, argv, prog="train.adain", description=__doc__)
