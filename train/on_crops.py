"""What trainings on crops of photos and paintings have in common: flags, pictures, the run, and the weights it leaves.

The loop is each trainer's own. What runs of any kind have in common is in `train.run`.
"""

from __future__ import annotations

import contextlib
import dataclasses
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeVar

import jax

from train import loader, run
from train.config import ConfigError, check_least, check_seed, flag, required
from train.crops import Cropping, Crops
from train.sources import HOLDOUT

C = TypeVar("C", bound="Config")

MAY_CHANGE = (
    *("steps", "workdir", "resume", "log_every", "checkpoint_every"),
    *("parallel", "distributed", "threads", "processes", "cache_mib"),
)
"""Fields that a resumed run may have different from the run it continues."""


# ---- flags -------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Config:
    """The flags of every such training; a trainer adds those of its method, and may have other defaults."""

    content: str = required("content pictures: a folder, or tfds:NAME/CONFIG:SPLIT")
    style: str = required("style pictures: a folder, or tfds:NAME/CONFIG:SPLIT")
    workdir: str = required("folder of the run: checkpoints, curves, sheets, weights")
    vgg: str = flag("vgg16", "encoder: vgg16 (shipped), or a file that convert_vgg --calibrate wrote")
    steps: int = flag(160_000, "training steps")
    batch_size: int = flag(8, "pairs in a batch, over all devices")
    crop: int = flag(256, "side of the training crops in pixels, a multiple of 8")
    largest_crop: int = flag(0, "cut windows of --crop up to this side, shrunk to --crop; 0: --crop only")
    resize: int = flag(512, "short side to which pictures are brought before cropping, in pixels")
    augment: float = flag(0.0, "share of the style crops that are recoloured, made graphic, mixed, or patterns")
    holdout: int | None = flag(None, "pictures of each set held out for validation", HOLDOUT)
    seed: int = flag(0, "of weights, order and crops")
    average: float = flag(0.999, "decay of the running average of the weights; 0 switches it off")
    dtype: Literal["float32", "bfloat16"] = flag("float32", "type of the convolutions, not of the losses")
    parallel: Literal["jit", "pmap"] = flag("jit", "jit over all devices and hosts, or pmap over local ones")
    distributed: str | None = flag(None, "HOST:PORT,PROCESSES,ID to train over several processes, or auto")
    threads: int = flag(4, "threads that decode pictures")
    processes: int = flag(0, "processes that decode pictures, instead of threads; each has a cache of its own")
    cache_mib: int = flag(2048, "memory for decoded pictures, in MiB")
    log_every: int = flag(50, "steps between rows of metrics.csv")
    checkpoint_every: int = flag(1000, "steps between checkpoints, validations and picture sheets")
    resume: bool = flag(False, "continue the run in --workdir from its newest checkpoint")

    def check(self, *, stride: int, smallest: int) -> None:
        """Checks these fields.

        Args:
          stride: of the network; crops are multiples of it.
          smallest: side of a crop.

        Raises:
          ConfigError: one of them has a value that no run can have.
        """
        held_out = () if self.holdout is None else ("holdout",)
        positive = ("steps", "batch_size", *held_out, "log_every", "checkpoint_every", "threads")
        check_least(self, dict.fromkeys(positive, 1) | dict.fromkeys(("seed", "processes", "cache_mib"), 0))
        check_seed(self.seed)
        if self.crop % stride or self.crop < smallest:
            some = ", ".join(str(smallest + i * stride) for i in range(3))
            raise ConfigError(f"crop: {self.crop}; expected {some}, ... (a multiple of {stride})")
        if not 0 <= self.average < 1:
            raise ConfigError(f"average: {self.average}; expected 0 to less than 1")
        if not 0 <= self.augment <= 1:
            raise ConfigError(f"augment: {self.augment}; expected 0 to 1")
        run.check_address(self.distributed)


def with_default(name: str, default: int) -> Any:
    """A flag of `Config` where a trainer has another default."""
    return dataclasses.field(default=default, metadata=Config.__dataclass_fields__[name].metadata)


def check_style(config: Any) -> None:
    """Checks what trainings with identity pairs and a style term that may be relative have in common.

    Args:
      config: has ``identity_share``, ``relative_style``, ``relative_to``.

    Raises:
      ConfigError: one of them has a value that no run can have.
    """
    if not 0 < config.identity_share <= 1:
        raise ConfigError(f"identity_share: {config.identity_share}; expected more than 0, at most 1")
    if config.relative_to == "photo" and not config.relative_style:
        raise ConfigError("relative_to: photo needs relative_style")


def chosen_parts(train_only: str, parts: Sequence[str]) -> tuple[str, ...]:
    """The parts of a network that are trained.

    Args:
      train_only: ``all``, or some of their names, with commas.
      parts: the names there are.

    Raises:
      ConfigError: a name is none of them.
    """
    if train_only == "all":
        return tuple(parts)
    chosen = tuple(part.strip() for part in train_only.split(","))
    if unknown := [name for name in chosen if name not in parts]:
        raise ConfigError(f"train_only: {unknown[0]!r}; expected all, or some of {', '.join(parts)}")
    return chosen


# ---- the run -----------------------------------------------------------------------------------------------


@contextlib.contextmanager
def open_run(config: Config) -> Iterator[tuple[run.Run, dict[str, Crops], loader.Batch]]:
    """Opens the pictures, and begins or continues the run; the checkpoint with the lowest ``val/loss`` is kept.

    Returns:
      The run, its streams of crops, and the pairs it is validated on, see `train.loader.Pictures`.

    Raises:
      DataError: a set is missing, or too few of its pictures can be read.
      CheckpointError: the work folder cannot be written to, or holds another run.
    """
    pictures = loader.open_pictures(
        config.content,
        config.style,
        Cropping(config.resize, config.crop, config.largest_crop, seed=config.seed),
        holdout=run.left_open(config, config.workdir, "holdout"),
        cache_bytes=config.cache_mib * 2**20,
        augment=config.augment,
    )
    effective = dataclasses.asdict(config) | {"holdout": pictures.holdout}
    with run.open_run(config, config.workdir, config.steps, effective, may_change=MAY_CHANGE, best="val/loss") as this:
        yield this, pictures.crops, pictures.validation


def open_loader(
    config: Config, crops: Mapping[str, Crops], step: int, *, echo: int = 1
) -> contextlib.AbstractContextManager[loader.Loader]:
    """The batches after a step, see `train.loader.open_loader`."""
    return loader.open_loader(
        crops,
        batch_size=config.batch_size,
        start_step=step,
        threads=config.threads,
        processes=config.processes,
        echo=echo,
    )


def export(this: run.Run, name: str, state: Any, averaged: Callable[[Any], Any], save: Callable[..., None]) -> Path:
    """Writes the averaged weights of the best checkpoint so far, or of the newest if none is validated.

    Args:
      this: the run.
      name: of the file in its work folder, without the ending.
      state: one of the same structure as that of the checkpoint.
      averaged: ``averaged(state)``, the model with the averaged weights.
      save: ``save(file, model, **metadata)``, of which process 0 alone makes use.

    Returns:
      The file.
    """
    best = this.saved.restore(state, this.saved.best)
    path = Path(this.effective["workdir"]) / f"{name}.safetensors"
    if jax.process_index() == 0:
        facts = {"steps": str(int(best.step)), "seed": str(this.effective["seed"]), "licence": "your own"}
        save(os.fspath(path), averaged(best), **facts)
    return path


def command(
    config: type[C], train: Callable[[C], Path], argv: Sequence[str] | None, *, prog: str, description: str | None
) -> int:
    """The command of a trainer, which prints the file of its weights; see `train.run.command`."""

    def work(found: C) -> list[str]:
        run.join(found.distributed)
        path = train(found)
        return [str(path)] if jax.process_index() == 0 else []

    smaller = "--batch-size or --crop"
    return run.command(config, work, argv, prog=prog, description=description, smaller=smaller)
