"""The flags of `train.style_kernel`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from jaxstyle.methods import adain
from jaxstyle.methods.style_kernel.loss import Options, StyleStatistic
from train import on_crops, updates
from train.config import check_least, check_positive, flag

PARTS = ("query", "key", "value", "psi", "phi", "aim", "decoder", "sharpness", "gain")
"""Of the parameters, as far as a network has them."""
OPTIONS = tuple(Options.__annotations__)
"""Fields that are options of the loss."""


@dataclass(frozen=True)
class Config(on_crops.Config):
    """Everything that decides a run; the flags of the command are made from it."""

    init: str | None = flag("adain_vgg16", "weights to start from, AdaIN's or such: a name or a file; none: afresh")
    network: Literal["lite", "paper"] = flag("lite", "what the network is made of, where --init does not say it")
    kernels: int | None = flag(None, "k of Eq. 6, odd (Table 3); 0: no kernels", "the network's")
    gated: bool | None = flag(None, "whether attention is gated", "the network's")
    shuffled: bool | None = flag(None, "whether channels are shuffled in groups", "the network's")
    aim: bool | None = flag(None, "whether the style's moments get a learned correction", "the network's")
    train_only: str = flag("all", f"parts to train, with commas: {', '.join(PARTS)}")
    freeze_decoder: bool = flag(False, "leave the decoder as it is")
    batch_size: int = on_crops.with_default("batch_size", 4)
    crop: int = on_crops.with_default("crop", 96)
    largest_crop: int = on_crops.with_default("largest_crop", 256)
    resize: int = on_crops.with_default("resize", 256)
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
    echo: int = flag(1, "steps that a batch is used for, each time with the paintings moved on by one")

    def __post_init__(self) -> None:
        """Raises ConfigError for values that no run can have."""
        self.check(stride=adain.STRIDE, smallest=adain.SMALLEST * (2 if self.deeper else 1))
        weights = (name for name in OPTIONS if name.endswith("_weight"))
        check_least(self, {"echo": 1} | dict.fromkeys(weights, 0))
        on_crops.check_style(self)
        check_positive(self, "lr", "gate_lr", "decoder_lr", "adversary_lr", "clip")
        on_crops.chosen_parts(self.train_only, PARTS)

    @property
    def parts(self) -> tuple[str, ...]:
        """The parts that are trained, as far as the network has them."""
        asked = on_crops.chosen_parts(self.train_only, PARTS)
        return tuple(part for part in asked if not (self.freeze_decoder and part == "decoder"))
