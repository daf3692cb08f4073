"""The flags of `train.generalizable_inr`."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from jaxstyle.methods import adain
from jaxstyle.methods.generalizable_inr.code import CELL
from jaxstyle.methods.generalizable_inr.loss import Options
from train import run, updates
from train.config import ConfigError, check_crops, check_least, flag, required
from train.sources import HOLDOUT

MAY_CHANGE = (
    *("steps", "workdir", "resume", "log_every", "checkpoint_every"),
    *("parallel", "distributed", "threads", "processes", "cache_mib"),
)
"""Fields that a resumed run may have different from the run it continues."""
PARTS = ("transformer", "aim", "painter", "field")
"""Of the parameters."""
OPTIONS = tuple(Options.__annotations__)
"""Fields that are options of the loss."""


@dataclass(frozen=True)
class Config:
    """Everything that decides a run; the flags of the command are made from it."""

    content: str = required("content pictures: a folder, or tfds:NAME/CONFIG:SPLIT")
    style: str = required("style pictures: a folder, or tfds:NAME/CONFIG:SPLIT")
    workdir: str = required("folder of the run: checkpoints, curves, sheets, weights")
    vgg: str = flag("vgg16", "encoder: vgg16 (shipped), or a file that convert_vgg --calibrate wrote")
    init: str | None = flag("adain_vgg16", "weights to start from, AdaIN's or such: a name or a file; none: afresh")
    network: Literal["local", "paper"] = flag(
        "local", "latent grids, or the paper's one matrix a picture; of --init none"
    )
    stage: Literal["reconstruction", "style"] = flag("style", "what is learned: Eq. 2, or Eq. 6")
    train_only: str = flag("all", f"parts to train, with commas: {', '.join(PARTS)}")
    target: str | None = flag(None, "AdaIN weights; full style is compared with their pictures, see --target-weight")
    steps: int = flag(160_000, "training steps")
    batch_size: int = flag(4, "pairs in a batch, over all devices")
    crop: int = flag(128, "side of the training crops in pixels, a multiple of 8")
    largest_crop: int = flag(256, "cut windows of --crop up to this side, shrunk to --crop; 0: --crop only")
    resize: int = flag(256, "short side to which pictures are brought before cropping, in pixels")
    augment: float = flag(0.0, "share of the style crops that are recoloured, made graphic, mixed, or patterns")
    holdout: int | None = flag(None, "pictures of each set held out for validation", HOLDOUT)
    seed: int = flag(0, "of weights, order, crops, degrees of style and places")
    lr: float = flag(2e-4, "learning rate of Adam")
    painter_lr: float | None = flag(None, "of the painter's convolutions", "that of --lr")
    schedule: updates.Schedule = flag("cosine", "lr, lr / (1 + 5e-5 t), or a cosine to 1 % of lr")  # noqa: RUF009
    clip: float = flag(100.0, "norm to which larger gradients are brought")
    content_weight: float = flag(1.0, "weight of the content term")
    near_weight: float = flag(0.0, "weight of the same at relu3_1")
    style_weight: float = flag(1.0, "weight of the style term")
    half_weight: float = flag(1.0, "weight of the style term at half the size, beside the other")
    reconstruction_weight: float = flag(20.0, "weight of Eq. 2 in the second stage")
    target_weight: float = flag(0.0, "weight of the difference to --target")
    mixed: float = flag(0.25, "share of the pairs with a degree of style drawn from 0 to 1; the others have 1")
    places: bool = flag(True, "render between pixels, at random offsets to the cells")
    scale: float = flag(1.25, "with --places: render up to so many times larger")
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

    def __post_init__(self) -> None:
        """Raises ConfigError for values that no run can have."""
        held_out = () if self.holdout is None else ("holdout",)
        positive = ("steps", "batch_size", *held_out, "log_every", "checkpoint_every", "threads", "scale")
        check_least(self, dict.fromkeys(positive, 1) | dict.fromkeys(("seed", "processes", "cache_mib", *OPTIONS), 0))
        check_crops(self, stride=adain.STRIDE, smallest=2 * adain.SMALLEST + CELL)
        for name in ("painter_lr", "clip"):
            value = getattr(self, name)
            if value is not None and not 0 < value < math.inf:
                raise ConfigError(f"{name}: {value}; expected a positive number")
        if not 0 <= self.mixed <= 1:
            raise ConfigError(f"mixed: {self.mixed}; expected 0 to 1")
        if unknown := [name for name in self.parts if name not in PARTS]:
            raise ConfigError(f"train_only: {unknown[0]!r}; expected all, or some of {', '.join(PARTS)}")
        if self.network == "paper" and self.init is not None:
            raise ConfigError(
                f"init: {self.init}; a network of the paper starts afresh, with none; a file says what it is"
            )
        if (self.target is None) != (not self.target_weight):
            raise ConfigError("target: needs target_weight, and the other way round")
        run.check_address(self.distributed)

    @property
    def parts(self) -> tuple[str, ...]:
        """The parts that are trained."""
        return PARTS if self.train_only == "all" else tuple(part.strip() for part in self.train_only.split(","))
