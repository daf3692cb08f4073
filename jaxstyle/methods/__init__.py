"""The methods: one paper, one file or folder. They know arrays, neither files nor controls."""

from __future__ import annotations

import os
from typing import Any

from jaxstyle import weights
from jaxstyle.methods import adain, generalizable_inr, style_kernel
from jaxstyle.methods.interface import Loaded, Method

METHODS: dict[str, Method] = {
    "adain": adain.METHOD,
    "style_kernel": style_kernel.METHOD,
    "generalizable_inr": generalizable_inr.METHOD,
}
"""By the kind of their weight files. A new method is a module, a line here, and a weight file with its card."""


def load(name_or_path: str | os.PathLike[str]) -> Loaded:
    """A model, with the method that its weight file is of.

    Args:
      name_or_path: shipped weights by name, or your own by path.

    Raises:
      WeightsError: there is no such file, it cannot be used, or it holds no method's weights.
    """
    name = os.fspath(name_or_path)
    facts = weights.header(name)
    method = METHODS.get(facts["kind"])
    if method is None:
        needed = " or ".join(map(repr, METHODS))
        raise weights.WeightsError(f"{name}: holds weights of kind {facts['kind']!r}; needed is {needed}")
    return Loaded(method, method.load(name), name, facts["sha256"])


def shipped(kind: str) -> tuple[str, ...]:
    """Names of the weights of a method, by its kind, that come with the package."""
    return tuple(name for name in weights.shipped() if weights.header(name)["kind"] == kind)


def loaded(model: Any) -> Loaded:
    """A model made in memory, with its method; what is loaded already is returned as it is.

    Raises:
      TypeError: it is no model of any method.
    """
    if isinstance(model, Loaded):
        return model
    for method in METHODS.values():
        if isinstance(model, method.model):
            return Loaded(method, model)
    raise TypeError(f"model: expected what jaxstyle.methods.load returns, got {type(model).__name__}")
