"""Parameters as the arrays of a weight file: leaves by name, kernels in half precision, and what does not fit."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import jax
import numpy as np

from jaxstyle.arrays import Params


def named(params: Params) -> dict[str, Any]:
    """Leaves of nested dictionaries by name: ``{"decoder.conv0.kernel": ...}``."""
    flat = jax.tree_util.tree_flatten_with_path(params)[0]
    return {".".join(str(k.key) for k in path): leaf for path, leaf in flat}


def stored(params: Params, kernels: Any = np.float16) -> dict[str, np.ndarray]:
    """Leaves by name as files have them: kernels of the type ``kernels``, everything else float32."""
    return {
        name: np.asarray(leaf).astype(kernels if name.endswith(".kernel") else np.float32)
        for name, leaf in named(params).items()
    }


def problem(arrays: Mapping[str, np.ndarray], expected: Params) -> str:
    """What is wrong with the arrays of a file, or nothing.

    Args:
      arrays: by name.
      expected: parameters of a fresh model, or their shapes.
    """
    shapes = {name: leaf.shape for name, leaf in named(expected).items()}
    if odd := sorted(shapes.keys() ^ arrays.keys()):
        return f"{odd[0]}: {'missing' if odd[0] in shapes else 'not known'}; its arrays are not those of its config"
    for name, shape in shapes.items():
        if arrays[name].shape != shape:
            return f"{name}: expected shape {shape}, found {arrays[name].shape}"
        if not np.isfinite(arrays[name]).all():
            return f"{name}: holds numbers that are not finite"
    return ""
