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

import contextlib
import dataclasses
import logging
import math
import os
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Literal, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import struct
from jax.sharding import Mesh

from jaxstyle import adain, image, interrupts, memory, weights
from jaxstyle.arrays import Array, Params
from jaxstyle.stats import moments
from train import checkpoints, data, devices, flags, loop

logger = logging.getLogger(__name__)

SHEET_ROWS = 6  # validation pairs on a picture sheet
MAY_CHANGE = (
    *("steps", "workdir", "resume", "log_every", "checkpoint_every"),
    *("parallel", "distributed", "threads", "cache_mib"),
)
"""Fields that a resumed run may have different from the run it continues."""


def _flag(default: Any, text: str) -> Any:
    return field(default=default, metadata={"help": text})


@dataclass(frozen=True)
class Config:
    """Everything that decides a run; the flags of the command are made from it."""

    content: str = field(metadata={"help": "content pictures: a folder, or tfds:NAME/CONFIG:SPLIT"})
    style: str = field(metadata={"help": "style pictures: a folder, or tfds:NAME/CONFIG:SPLIT"})
    workdir: str = field(metadata={"help": "folder of the run: checkpoints, curves, sheets, weights"})
    vgg: str = _flag("vgg16", "encoder: vgg16 (shipped), or a file that convert_vgg --calibrate wrote")
    init: str | None = _flag(None, "weights to start from: a name or a file; none starts afresh")
    steps: int = _flag(160_000, "training steps")
    reconstruct_steps: int = _flag(0, "of these, first steps that only reconstruct their input")
    batch_size: int = _flag(8, "pairs in a batch, over all devices")
    crop: int = _flag(256, "side of the training crops in pixels, a multiple of 8")
    largest_crop: int = _flag(0, "cut windows of --crop up to this side, shrunk to --crop; 0: --crop only")
    resize: int = _flag(512, "short side to which pictures are brought before cropping, in pixels")
    augment: float = _flag(0.0, "share of the style crops that are recoloured, made graphic, mixed, or patterns")
    holdout: int = _flag(40, "pictures of each set held out for validation")
    seed: int = _flag(0, "of weights, order and crops")
    lr: float = _flag(1e-4, "learning rate of Adam")
    schedule: Literal["inverse", "cosine"] = _flag("inverse", "lr / (1 + 5e-5 t), or a cosine to 1 % of lr")
    style_weight: float = _flag(10.0, "lambda of Eq. 11")
    content_term: adain.ContentTerm = _flag("features", "what Lc compares: f(g(t)) with t, or both standardised")  # noqa: RUF009
    relative_style: bool = _flag(False, "Ls relative to the style's own statistics")
    relative_to: Literal["style", "photo"] = _flag("style", "to those, or to how far from them the photo is")
    identity_weight: float = _flag(0.0, "weight of the identity term")
    identity_share: float = _flag(0.25, "share of pairs that get the identity term, if it has a weight")
    fusion: adain.Fusion = _flag("adain", "how content and style features meet (Sec. 7.2)")  # noqa: RUF009
    norm: adain.DecoderNorm = _flag("none", "normalisation in the decoder (Sec. 7.2)")  # noqa: RUF009
    average: float = _flag(0.999, "decay of the running average of the weights; 0 switches it off")
    dtype: Literal["float32", "bfloat16"] = _flag("float32", "type of the convolutions, not of the losses")
    parallel: Literal["jit", "pmap"] = _flag("jit", "jit over all devices and hosts, or pmap over local ones")
    distributed: str | None = _flag(None, "HOST:PORT,PROCESSES,ID to train over several processes, or auto")
    threads: int = _flag(4, "threads that decode pictures")
    cache_mib: int = _flag(2048, "memory for decoded pictures, in MiB")
    log_every: int = _flag(50, "steps between rows of metrics.csv")
    checkpoint_every: int = _flag(1000, "steps between checkpoints, validations and picture sheets")
    resume: bool = _flag(False, "continue the run in --workdir from its newest checkpoint")

    def __post_init__(self) -> None:
        """Raises ValueError for values that no run can have."""
        positive = ("steps", "batch_size", "holdout", "log_every", "checkpoint_every", "threads")
        others = ("reconstruct_steps", "seed", "cache_mib", "style_weight", "identity_weight")
        for name, least in (dict.fromkeys(positive, 1) | dict.fromkeys(others, 0)).items():
            if not least <= getattr(self, name) < math.inf:
                raise ValueError(f"{name}: {getattr(self, name)}; expected a number of at least {least}")
        if self.seed >= 2**32:
            raise ValueError(f"seed: {self.seed}; expected less than {2**32}")
        if self.crop % adain.STRIDE or self.crop < adain.SMALLEST:
            raise ValueError(f"crop: {self.crop}; expected 16, 24, 32, ... (a multiple of {adain.STRIDE})")
        if not 0 < self.lr < math.inf:
            raise ValueError(f"lr: {self.lr}; expected a positive number")
        if not 0 <= self.average < 1:
            raise ValueError(f"average: {self.average}; expected 0 to less than 1")
        if not 0 < self.identity_share <= 1:
            raise ValueError(f"identity_share: {self.identity_share}; expected more than 0, at most 1")
        if not 0 <= self.augment <= 1:
            raise ValueError(f"augment: {self.augment}; expected 0 to 1")
        if self.relative_to == "photo" and not self.relative_style:
            raise ValueError("relative_to: photo needs relative_style")
        if self.parallel == "pmap" and self.norm == "batch":
            raise ValueError("parallel: pmap would normalise per device; use jit with norm batch")
        if self.fusion == "concat" and (self.identity_weight or self.reconstruct_steps):
            raise ValueError("fusion: concat takes neither identity_weight nor reconstruct_steps; set both to 0")
        if self.distributed and not re.fullmatch(r"auto|[^,]+:\d+,\d+,\d+", self.distributed):
            raise ValueError(f"distributed: {self.distributed!r}; expected HOST:PORT,PROCESSES,ID or auto")


@struct.dataclass
class State:
    """What a step changes: a pytree."""

    step: Array  # () int32, steps done
    decoder: Params  # the decoder's variables
    average: Params  # running average of decoder["params"], what is validated and exported
    opt: optax.OptState


def optimizer(config: Config) -> optax.GradientTransformation:
    """Adam with the schedule of the configuration."""
    if config.schedule == "inverse":
        return optax.adam(lambda t: config.lr / (1 + 5e-5 * t))
    return optax.adam(optax.cosine_decay_schedule(config.lr, config.steps, alpha=0.01))


def create_model(config: Config) -> adain.Model:
    """The frozen encoder, and a decoder that is fresh or read from ``--init``.

    Raises:
      ValueError: a weight file is missing, damaged, or does not fit the configuration.
    """
    encoder, arch = adain.load_encoder(config.vgg)
    model = adain.Model(encoder, {}, arch, config.fusion, config.norm, jnp.dtype(config.dtype))
    fresh = partial(jax.jit(adain.init_decoder), jax.random.key(config.seed), model)
    if config.init is None:
        return dataclasses.replace(model, decoder=fresh())
    decoder = adain.load(config.init, encoder=config.vgg).decoder
    if jax.tree.map(jnp.shape, decoder) != jax.tree.map(jnp.shape, jax.eval_shape(fresh)):
        wanted = f"fusion {config.fusion} and norm {config.norm}"
        raise weights.WeightsError(f"{config.init}: the decoder has another shape than {wanted} ask for")
    return dataclasses.replace(model, decoder=decoder)


def create_state(config: Config, model: adain.Model) -> State:
    """The state before the first step, with the decoder of ``model``."""
    # buffers of its own, also for the average: the state is donated to every step
    decoder, average = (jax.tree.map(jnp.copy, tree) for tree in (model.decoder, model.decoder["params"]))
    return State(jnp.zeros((), jnp.int32), decoder, average, optimizer(config).init(average))


def _objective_options(config: Config) -> dict[str, Any]:
    """What Eq. 11 is made of, for training and validation."""
    names = ("style_weight", "content_term", "relative_style", "relative_to")
    return {name: getattr(config, name) for name in names}


def train_step(
    state: State,
    batch: dict[str, Array],
    key: Array,
    *,
    config: Config,
    model: adain.Model,
    axis_name: str | None = None,
) -> tuple[State, dict[str, Array]]:
    """One step of Adam on Eq. 11.

    Args:
      state: from `create_state` or the step before.
      batch: ``content`` and ``style`` ``(N, crop, crop, 3)``, and ``identity`` ``(N,)`` from `mark_identity`.
      key: what all trainers' steps take; nothing is random in this one.
      config, model: the run's, constant; ``model.decoder`` is not looked at.
      axis_name: axis to average gradients and terms over, under pmap.

    Returns:
      ``(state, terms)``: ``loss`` and the unweighted terms of `adain.objective`, float32 scalars.
    """
    del key
    rest = {name: value for name, value in state.decoder.items() if name != "params"}

    def loss_of(params: Params) -> tuple[Array, dict[str, Array]]:
        return adain.objective(
            {"params": params, **rest},
            model,
            batch["content"],
            batch["style"],
            identity=batch.get("identity"),
            identity_weight=config.identity_weight or 1.0,  # without a weight: the reconstruction's
            **_objective_options(config),
        )

    (loss, terms), grads = jax.value_and_grad(loss_of, has_aux=True)(state.decoder["params"])
    terms = {"loss": loss, **terms}
    if axis_name is not None:
        grads, terms = jax.lax.pmean((grads, terms), axis_name)
    updates, opt = optimizer(config).update(grads, state.opt, state.decoder["params"])
    params = optax.apply_updates(state.decoder["params"], updates)
    decay = jnp.minimum(config.average, (1 + state.step) / (10 + state.step))  # young averages forget faster
    average = jax.tree.map(lambda a, p: a * decay + p * (1 - decay), state.average, params)
    decoder = adain.running_statistics({"params": params, **rest}, model, batch["content"], batch["style"])
    return State(state.step + 1, decoder, average, opt), terms


def mark_identity(batch: data.Batch, config: Config, step: int, first_row: int = 0) -> data.Batch:
    """Gives the identity pairs their content as style.

    They are an even share of the rows of all global batches, so that every division of a batch among devices
    or processes agrees on them; while reconstructing, all rows.

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
    rows = step * config.batch_size + first_row + np.arange(len(batch["content"]))
    later = config.identity_share if config.identity_weight else 0.0
    share = 1.0 if step < config.reconstruct_steps else later
    mask = np.ceil((rows + 1) * share) > np.ceil(rows * share)
    style = np.where(mask[:, None, None, None], batch["content"], batch["style"])
    return {"content": batch["content"], "style": style, "identity": mask.astype(np.float32)}


@partial(jax.jit, static_argnames=("content_term", "relative_style", "relative_to"))
def _evaluate(model: adain.Model, content: Array, style: Array, **options: Any) -> tuple[dict[str, Array], Array]:
    """Terms of Eq. 11 and the pictures, with the decoder as it is used after training; options of `objective`."""
    loss, terms = adain.objective(model.decoder, model, content, style, train=False, **options)
    f_c, f_s = (adain.encode(model, images)["relu4_1"] for images in (content, style))
    pictures = adain.decode(model, adain.fuse(model, f_c, adain.Style(moments(f_s), f_s)))
    return {f"val/{name}": value for name, value in {"loss": loss, **terms}.items()}, pictures


def _averaged(state: State, model: adain.Model) -> adain.Model:
    """The model with the averaged weights, in host memory: every process then works with it on its own."""
    decoder = jax.tree.map(np.asarray, {**state.decoder, "params": state.average})
    return dataclasses.replace(model, decoder=decoder)


def _open_data(config: Config) -> tuple[dict[str, data.Crops], data.Batch]:
    """The streams of training crops, ``content`` and ``style``, and the validation pairs."""
    sources = {name: data.open_source(getattr(config, name)) for name in ("content", "style")}
    parts = {name: data.split(source, config.holdout, config.seed) for name, source in sources.items()}
    crops = {
        name: data.Crops(
            source,
            parts[name][0],
            stream=name,
            seed=config.seed,
            resize=config.resize,
            crop=config.crop,
            largest_crop=config.largest_crop,
            cache_bytes=config.cache_mib * 2**19,  # each of the two gets half
            augment=config.augment if name == "style" else 0.0,
        )
        for name, source in sources.items()
    }
    pairs = data.validation_pairs(
        sources["content"],
        parts["content"][1],
        sources["style"],
        parts["style"][1],
        count=min(16, config.holdout),
        crop=config.crop,
    )
    return crops, pairs


def _open_loader(config: Config, crops: dict[str, data.Crops], first: int) -> data.Loader:
    """Batches of this process after ``first`` steps."""
    return data.Loader(
        crops["content"],
        crops["style"],
        batch_size=config.batch_size,
        start_step=first,
        process_index=jax.process_index(),
        process_count=jax.process_count(),
        threads=config.threads,
    )


def _batches(loader: data.Loader, config: Config) -> Iterator[data.Batch]:
    """This process' rows of every global batch from the loader's step on, identity pairs marked."""
    first_row = config.batch_size // jax.process_count() * jax.process_index()
    for step, batch in enumerate(loader, loader.step):
        yield mark_identity(batch, config, step, first_row)


class _Logs(NamedTuple):
    """What a run tells about itself; on processes other than 0 nothing."""

    metrics: loop.MetricLog
    validation: loop.MetricLog
    events: loop.EventLog
    progress: loop.Progress
    sheets: Path | None


@contextlib.contextmanager
def _open_logs(workdir: Path, config: Config, first: int) -> Iterator[_Logs]:
    """The logs of a run that has done ``first`` steps; what they hold of later steps is dropped."""
    write = jax.process_index() == 0

    def file(name: str) -> Path:
        return workdir / name if write else Path(os.devnull)

    with (
        loop.MetricLog(file("metrics.csv"), resume_step=first) as metrics,
        loop.MetricLog(file("validation.csv"), resume_step=first) as validation,
        loop.EventLog(workdir / "tensorboard" if write else None, resume_step=first) as events,
        loop.Progress(config.steps, start=first, batch_size=config.batch_size, enabled=write) as progress,
    ):
        yield _Logs(metrics, validation, events, progress, workdir / "sheets" if write else None)


def _log(logs: _Logs, step: int, terms: Mapping[str, Any]) -> None:
    """Writes the terms of a step, which have to be finite."""
    values = loop.check_finite(terms, step)
    logs.metrics.write(step, values)
    logs.progress.report(values)
    logs.events.scalars(step, values | {"images_per_second": logs.progress.per_second})


def _validate(logs: _Logs, step: int, model: adain.Model, pairs: data.Batch, config: Config) -> dict[str, float]:
    """Writes and returns the validation terms, and draws the sheet content | style | result."""
    terms, pictures = _evaluate(model, pairs["content"], pairs["style"], **_objective_options(config))
    values = loop.check_finite(terms, step)
    logs.validation.write(step, values)
    logs.events.scalars(step, values)
    if logs.sheets is not None:
        rows = zip(pairs["content"], pairs["style"], np.asarray(pictures), strict=True)
        sheet = loop.sheet(list(rows)[:SHEET_ROWS])
        logs.events.picture(step, "content_style_result", sheet)
        image.write(logs.sheets / f"{step:07d}.png", sheet)
    return values


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
    crops, pairs = _open_data(config)
    workdir, effective = checkpoints.make_workdir(config.workdir, "sheets"), dataclasses.asdict(config)
    with checkpoints.Checkpoints(workdir, best="val/loss") as saved:
        start = saved.begin(effective, resume=config.resume, may_change=MAY_CHANGE)
        model = create_model(config)
        state = devices.replicate(create_state(config, model), mesh)
        if start is not None:
            state = saved.restore(state, start)
        # the frozen encoder becomes a constant of the compiled step
        step_fn = partial(train_step, config=config, model=dataclasses.replace(model, decoder={}))
        run, key = devices.parallel_step(step_fn, mesh, config.parallel), jax.random.key(config.seed)
        first = step = start or 0
        stopping = False
        with (
            _open_loader(config, crops, first) as loader,
            _open_logs(workdir, config, first) as logs,
            loop.stop_on_signal() as stop,
        ):
            batches = devices.prefetch(_batches(loader, config), mesh)
            for step, batch in zip(range(first + 1, config.steps + 1), batches, strict=False):
                state, terms = run(state, batch, jax.random.fold_in(key, step))
                logs.progress.advance()
                last, stopping = step == config.steps, devices.any_process(stop.requested)
                if last or step % config.log_every == 0:
                    _log(logs, step, terms)
                due = last or step % config.checkpoint_every == 0
                if due or stopping:
                    loop.check_finite(terms, step)
                    averaged = _averaged(state, model)
                    # being stopped leaves no trace in the curves
                    values = _validate(logs, step, averaged, pairs, config) if due else None
                    saved.save(step, state, effective, values)
                if stopping:
                    break
            if loader.skipped:
                logger.warning("%d unreadable pictures were skipped", len(loader.skipped))
        path = _export(saved, state, model, config)
    if stopping and step < config.steps:
        raise KeyboardInterrupt(f"stopped after step {step} of {config.steps}; --resume goes on from there")
    return path


def _export(saved: checkpoints.Checkpoints, state: State, model: adain.Model, config: Config) -> Path:
    """Writes the averaged decoder of the best checkpoint so far, or of the newest if none is validated."""
    best = saved.restore(state, saved.best)
    path = Path(config.workdir) / "adain.safetensors"
    if jax.process_index() == 0:
        facts = {"steps": str(int(best.step)), "seed": str(config.seed), "licence": "your own"}
        adain.save(os.fspath(path), _averaged(best, model), **facts)
    return path


def main(argv: Sequence[str] | None = None) -> int:
    """The command; returns the exit code: 0, 1 when a run failed, 2 for wrong usage, 130 when interrupted."""
    description = (__doc__ or "").partition("\n")[0]
    config = flags.parse_flags(Config, argv, prog="python -m train.adain", description=description)
    logging.basicConfig(level=logging.WARNING, format="%(message)s")
    logging.getLogger("asyncio").setLevel(logging.CRITICAL)  # would show each array that a full disk refuses
    try:
        if config.distributed == "auto":
            devices.initialize_distributed("auto")
        elif config.distributed is not None:
            address, count, index = config.distributed.split(",")
            devices.initialize_distributed(address, int(count), int(index))
        path = train(config)
    except KeyboardInterrupt as error:
        return _fail(130, str(error) or "interrupted")
    except (loop.NonFiniteError, image.ImageError, OSError) as error:
        return _fail(1, str(error))
    except ValueError as error:
        return _fail(2, str(error))
    except RuntimeError as error:
        if not memory.exhausted(error):
            raise
        return _fail(1, "the device is out of memory; a smaller --batch-size or --crop needs less")
    if jax.process_index() == 0:
        print(path)
    return 0


def _fail(code: int, message: str) -> int:
    print(f"train.adain: {' '.join(message.split())}", file=sys.stderr)
    return code


if __name__ == "__main__":
    interrupts.deliver_lost()
    sys.exit(main())
