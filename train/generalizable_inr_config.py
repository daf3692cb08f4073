"""The flags of `train.generalizable_inr`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from jaxstyle.methods import adain
from jaxstyle.methods.generalizable_inr.code import CELL
from jaxstyle.methods.generalizable_inr.loss import Options
from train import on_crops, updates
from train.config import ConfigError, check_least, check_positive, flag

PARTS = ("transformer", "aim", "painter", "feedback", "field")
"""Of the parameters."""
OPTIONS = tuple(Options.__annotations__)
"""Fields that are options of the loss."""


@dataclass(frozen=True)
class Config(on_crops.Config):
    """Everything that decides a run; the flags of the command are made from it."""

    init: str | None = flag("adain_vgg16", "weights to start from, AdaIN's or such: a name or a file; none: afresh")
    network: Literal["local", "paper"] = flag(
        "local", "latent grids, or the paper's one matrix a picture; of --init none"
    )
    stage: Literal["reconstruction", "style"] = flag("style", "what is learned: Eq. 2, or Eq. 6")
    feedback: bool = flag(True, "paint twice, corrected by what came first; weights without it get it")
    train_only: str = flag("all", f"parts to train, with commas: {', '.join(PARTS)}")
    target: str | None = flag(None, "AdaIN weights; full style is compared with their pictures, see --target-weight")
    batch_size: int = on_crops.with_default("batch_size", 4)
    crop: int = on_crops.with_default("crop", 128)
    largest_crop: int = on_crops.with_default("largest_crop", 256)
    resize: int = on_crops.with_default("resize", 256)
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

    def __post_init__(self) -> None:
        """Raises ConfigError for values that no run can have."""
        self.check(stride=adain.STRIDE, smallest=2 * adain.SMALLEST + CELL)
        check_least(self, {"scale": 1} | dict.fromkeys(OPTIONS, 0))
        check_positive(self, "lr", "painter_lr", "clip")
        if not 0 <= self.mixed <= 1:
            raise ConfigError(f"mixed: {self.mixed}; expected 0 to 1")
        on_crops.chosen_parts(self.train_only, PARTS)
        if self.network == "paper" and self.init is not None:
            raise ConfigError(
                f"init: {self.init}; a network of the paper starts afresh, with none; a file says what it is"
            )
        if (self.target is None) != (not self.target_weight):
            raise ConfigError("target: needs target_weight, and the other way round")

    @property
    def parts(self) -> tuple[str, ...]:
        """The parts that are trained."""
        return on_crops.chosen_parts(self.train_only, PARTS)
