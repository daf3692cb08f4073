"""The flags of `train.style_kernel`."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from jaxstyle.methods import adain
from jaxstyle.methods.style_kernel.loss import Options, StyleStatistic
from train import run, updates
from train.config import ConfigError, check_common, check_least, flag, required
from train.sources import HOLDOUT

MAY_CHANGE = (
    *("steps", "workdir", "resume", "log_every", "checkpoint_every"),
    *("parallel", "distributed", "threads", "processes", "cache_mib"),
)
"""Fields that a resumed run may have different from the run it continues."""
PARTS = ("query", "key", "value", "psi", "phi", "aim", "decoder", "sharpness", "gain")
"""Of the parameters, as far as a network has them."""
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
    network: Literal["lite", "paper"] = flag("lite", "what the network is made of, where --init does not say it")
    kernels: int | None = flag(None, "k of Eq. 6, odd (Table 3); 0: no kernels", "the network's")
    gated: bool | None = flag(None, "whether attention is gated", "the network's")
    shuffled: bool | None = flag(None, "whether channels are shuffled in groups", "the network's")
    aim: bool | None = flag(None, "whether the style's moments get a learned correction", "the network's")
    train_only: str = flag("all", f"parts to train, with commas: {', '.join(PARTS)}")
    freeze_decoder: bool = flag(False, "leave the decoder as it is")
    steps: int = flag(160_000, "training steps")
    batch_size: int = flag(4, "pairs in a batch, over all devices")
    crop: int = flag(96, "side of the training crops in pixels, a multiple of 8")
    largest_crop: int = flag(256, "cut windows of --crop up to this side, shrunk to --crop; 0: --crop only")
    resize: int = flag(256, "short side to which pictures are brought before cropping, in pixels")
    augment: float = flag(0.0, "share of the style crops that are recoloured, made graphic, mixed, or patterns")
    holdout: int | None = flag(None, "pictures of each set held out for validation", HOLDOUT)
    seed: int = flag(0, "of weights, order and crops")
    lr: float = flag(1e-4, "learning rate of Adam")
    gate_lr: float = flag(3e-5, "of psi, which decides what the gate lets through")
    decoder_lr: float | None = flag(None, "of the decoder", "that of --lr")
    adversary_lr: float = flag(1e-4, "of the discriminator")
    schedule: updates.Schedule = flag("cosine", "lr, lr / (1 + 5e-5 t), or a cosine to 1 % of lr")  # noqa: RUF009
    clip: float = flag(100.0, "norm to which larger gradients are brought")
    content_weight: float = flag(1.0, "weight of the content term")
    style_weight: float = flag(1.6, "weight of the style term")
    style_statistic: StyleStatistic = flag("moments", "of features: means and deviations, or Gram matrices")  # noqa: RUF009
    relative_style: bool = flag(True, "style term relative to the style's own statistics")
    relative_to: Literal["style", "photo"] = flag("photo", "to those, or to how far from them the photo is")
    deeper: bool = flag(False, "compare relu5_1 as well; crops of at least 32")
    half_weight: float = flag(0.0, "weight of the style term at half the size, beside the other")
    pixel_weight: float = flag(0.0, "of Eq. 8, pixels of both reconstructions; the paper: 20")
    feature_weight: float = flag(0.0, "of Eq. 8, their features; the paper: 0.5")
    identity_weight: float = flag(100.0, "weight of the identity term")
    identity_share: float = flag(0.25, "share of pairs that get the identity term, if it has a weight")
    remd_weight: float = flag(0.5, "of Eq. 9 between the output and the style")
    aligned_remd_weight: float = flag(0.0, "of Eq. 9 between the aligned and the style's features; the paper: 3")
    adversarial_weight: float = flag(0.0, "of the adversarial term; the paper: 1")
    average: float = flag(0.999, "decay of the running average of the weights; 0 switches it off")
    dtype: Literal["float32", "bfloat16"] = flag("float32", "type of the convolutions, not of the losses")
    parallel: Literal["jit", "pmap"] = flag("jit", "jit over all devices and hosts, or pmap over local ones")
    distributed: str | None = flag(None, "HOST:PORT,PROCESSES,ID to train over several processes, or auto")
    threads: int = flag(4, "threads that decode pictures")
    processes: int = flag(0, "processes that decode pictures, instead of threads; each has a cache of its own")
    echo: int = flag(1, "steps that a batch is used for, each time with the paintings moved on by one")
    cache_mib: int = flag(2048, "memory for decoded pictures, in MiB")
    log_every: int = flag(50, "steps between rows of metrics.csv")
    checkpoint_every: int = flag(1000, "steps between checkpoints, validations and picture sheets")
    resume: bool = flag(False, "continue the run in --workdir from its newest checkpoint")

    def __post_init__(self) -> None:
        """Raises ConfigError for values that no run can have."""
        held_out = () if self.holdout is None else ("holdout",)
        positive = ("steps", "batch_size", *held_out, "log_every", "checkpoint_every", "threads", "echo")
        weights = (name for name in OPTIONS if name.endswith("_weight"))
        check_least(self, dict.fromkeys(positive, 1) | dict.fromkeys(("seed", "processes", "cache_mib", *weights), 0))
        check_common(self, stride=adain.STRIDE, smallest=adain.SMALLEST * (2 if self.deeper else 1))
        for name in ("gate_lr", "decoder_lr", "adversary_lr", "clip"):
            value = getattr(self, name)
            if value is not None and not 0 < value < math.inf:
                raise ConfigError(f"{name}: {value}; expected a positive number")
        if unknown := [name for name in self.parts if name not in PARTS]:
            raise ConfigError(f"train_only: {unknown[0]!r}; expected all, or some of {', '.join(PARTS)}")
        run.check_address(self.distributed)

    @property
    def parts(self) -> tuple[str, ...]:
        """The parts that are trained, as far as the network has them."""
        asked = PARTS if self.train_only == "all" else tuple(part.strip() for part in self.train_only.split(","))
        return tuple(part for part in asked if not (self.freeze_decoder and part == "decoder"))
