"""What both sides agree on: the form of a case that is ready to be timed, and the numbers in it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

SHARE = 0.35
"""The paper's a, the share of content, at which the step of the fit is taken: the same on both sides."""
DEGREE = 0.7
"""Degree of style of renderings without a map."""


class Subject(NamedTuple):
    """A case, ready to be timed.

    Attributes:
      run: computes once, and returns when the result is there. A training step goes on from the one before.
      outcome: what a result of ``run`` consists of, as arrays that both sides have in the same form: ``picture`` NHWC,
        or ``loss`` and the optimiser's mean gradients, or the arrays of a ``field``.
    """

    run: Callable[[], Any]
    outcome: Callable[[Any], dict[str, np.ndarray]]
