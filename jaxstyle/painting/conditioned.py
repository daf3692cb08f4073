"""Fits that do not start afresh, but from what generalizable INR makes of the pair in one forward pass.

What is fitted then is the style's part of the conditioned picture, see `jaxstyle.methods.generalizable_inr.fitted`, by
the steps and the objective of INR-st.
"""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Mapping
from typing import cast

import numpy as np

from jaxstyle import methods, weights
from jaxstyle.methods import generalizable_inr
from jaxstyle.methods.generalizable_inr import Field, fitted
from jaxstyle.methods.inr.schedule import CONDITIONED, Refine, Schedule
from jaxstyle.painting.options import PathLike
from jaxstyle.weights import WeightsError

WEIGHTS = "generalizable_inr"
"""The shipped model."""
INIT = "generalizable"
"""The start that is a picture conditioned by it."""


def load_model(name: PathLike) -> generalizable_inr.Model:
    """A model that conditions, by the name of shipped weights or the path of a file.

    Raises:
      WeightsError: it is missing, damaged, or of another method.
    """
    kind = weights.header(name)["kind"]
    if kind != generalizable_inr.KIND:
        raise WeightsError(f"{name}: holds weights of kind {kind!r}; needed is a model of {generalizable_inr.KIND}")
    model = methods.load(name).model
    if not isinstance(model, generalizable_inr.Model) or isinstance(model.config, generalizable_inr.Whole):
        raise WeightsError(f"{name}: needed is a model of generalizable_inr with latent grids")
    return model


def weights_of(init: PathLike) -> PathLike:
    """The weights of a start: those shipped for `INIT`, else a file.

    Raises:
      ValueError: ``init`` is neither.
    """
    named = isinstance(init, str | os.PathLike)
    if not named or (init != INIT and not os.path.isfile(init) and os.fspath(init) not in weights.shipped()):
        raise ValueError(f"init: expected {INIT!r} or a file of weights, got {init!r}")
    return WEIGHTS if init == INIT else init


def schedule_of(preset: str | Schedule | None, size: int | None, steps: int | None) -> Schedule:
    """What a fit from such a start consists of: `CONDITIONED`, or a schedule of one's own that can go on from there.

    Raises:
      ValueError: ``preset`` is a name, or has other stages than it takes; ``size`` or ``steps`` is out of range.
    """
    if isinstance(preset, str):
        raise ValueError(f"preset: expected none together with init, which has its own stages, got {preset!r}")
    found = CONDITIONED if preset is None else preset
    if not isinstance(found, Schedule):
        raise ValueError(f"preset: expected a Schedule, or none, together with init, got {found!r}")
    for stage in found.stages:
        if not isinstance(stage, Refine) or stage.anchor or stage.gradient_every > 1:
            raise ValueError(
                f"preset: expected stages Refine without anchor and gradient_every, with init, got {stage}"
            )
    found = found if size is None else dataclasses.replace(found, size=size)
    return found if steps is None else found.with_steps(steps)


def start(init: PathLike, pictures: Mapping[str, np.ndarray]) -> fitted.Fitted:
    """What a fit goes on from.

    Args:
      init: `INIT`, or a file of weights.
      pictures: ``content`` and ``style``, float32 ``(H, W, 3)``, as they are fitted.

    Raises:
      WeightsError: as `load_model`.
    """
    model = load_model(weights_of(init))
    return fitted.start(cast(Field, generalizable_inr.condition(model, pictures["content"], pictures["style"])))
