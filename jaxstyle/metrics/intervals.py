"""How sure a mean is: bootstrap intervals over pictures."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import jax
import numpy as np

from jaxstyle.arrays import Array

DRAWS = 2000
LEVEL = 0.95


class Interval(NamedTuple):
    """A mean, and between which bounds it lies; without bounds for a single value.

    Attributes:
      mean: of the values.
      low, high: bounds of the interval of `LEVEL`, or None.
    """

    mean: float
    low: float | None = None
    high: float | None = None


def bootstrap(key: Array, values: Sequence[float], *, draws: int = DRAWS, level: float = LEVEL) -> Interval:
    """The mean of values with its percentile bootstrap interval (Efron 1979).

    The same key draws the same values for every column of as many: columns are resampled together.

    Args:
      key: of the draws.
      values: at least one.
      draws: how many times as many values are drawn with replacement.
      level: part of the means of the draws that lies between the bounds, in (0, 1).

    Raises:
      ValueError: there are no values, or ``draws`` or ``level`` is out of range.
    """
    found = np.asarray(values, np.float64)
    if found.ndim != 1 or not len(found):
        raise ValueError(f"values: expected at least one number, got shape {found.shape}")
    if draws < 1 or not 0 < level < 1:
        raise ValueError(f"draws: {draws}, level: {level}; expected at least 1, and a part between 0 and 1")
    if len(found) == 1:
        return Interval(float(found[0]))
    drawn = np.asarray(jax.random.randint(key, (draws, len(found)), 0, len(found)))
    low, high = np.percentile(found[drawn].mean(1), (50 - 50 * level, 50 + 50 * level))
    return Interval(float(found.mean()), float(low), float(high))
