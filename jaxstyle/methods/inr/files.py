"""Files of fitted pictures: everything that a picture without resolution is, in one safetensors file."""

from __future__ import annotations

import dataclasses
import json
import os
import re
from pathlib import Path
from typing import Any

import jax.numpy as jnp
import numpy as np

from jaxstyle import weights
from jaxstyle.arrays import Params
from jaxstyle.methods.inr.network import InrParams, Spec, network_shapes

KIND = "inr"
"""What the files say they hold."""


def _shapes(spec: Spec) -> dict[str, tuple[int, ...]]:
    """The shapes of the arrays of a file."""
    layers = network_shapes(spec).items()
    found = {f"network.{layer}.{part}": shape for layer, parts in layers for part, shape in parts.items()}
    return found | {"z_c": (spec.latent,), "z_s": (spec.latent,)}


def _arrays(params: InrParams) -> dict[str, Any]:
    found = {f"network.{layer}.{part}": v for layer, parts in params.network.items() for part, v in parts.items()}
    return {**found, "z_c": params.z_c, "z_s": params.z_s}


def save(path: str | os.PathLike[str], params: InrParams, **metadata: str) -> None:
    """Writes one safetensors file that holds everything `load` needs; complete or not at all.

    Args:
      path: the file.
      params: of one picture; written as float32.
      metadata: more entries for the file's header; ``licence`` is "your own" if not given.

    Raises:
      WeightsError: the folder is missing.
      ValueError: ``params`` are not those of one picture, or not finite.
    """
    arrays = {name: np.asarray(value, np.float32) for name, value in _arrays(params).items()}
    if {name: value.shape for name, value in arrays.items()} != _shapes(params.spec):
        raise ValueError("params: expected the arrays of one picture, as its spec says; of several take one")
    if bad := next((name for name, value in arrays.items() if not np.isfinite(value).all()), None):
        raise ValueError(f"params: {bad} holds values that are not finite")
    header = {"licence": "your own", **metadata, "kind": KIND}
    spec = json.dumps(dataclasses.asdict(params.spec), sort_keys=True)
    weights.save(path, arrays, header | {"spec": spec, "size": "{}x{}".format(*params.size)})


def load(path: str | os.PathLike[str]) -> InrParams:
    """Reads a file that `save` wrote, bit for bit.

    Raises:
      WeightsError: it is missing, damaged, or holds something else.
    """
    if not os.path.isfile(path):
        problem = "is a folder" if os.path.isdir(path) else "no such file"
    else:
        problem = "" if os.access(path, os.R_OK) else "permission denied"
    if problem:
        label = os.fspath(path) or "''"
        raise weights.WeightsError(f"{label}: {problem}; expected a fitted picture, inr.safetensors")
    file = weights.load(Path(path), kind=KIND)  # never shipped weights
    try:
        spec = Spec(**json.loads(file.metadata.get("spec", "null") or "null"))
    except (TypeError, ValueError, RecursionError) as error:
        raise weights.WeightsError(f"{path}: its metadata 'spec' describe no network: {error}") from None
    size = re.fullmatch(r"([1-9]\d{0,8})x([1-9]\d{0,8})", file.metadata.get("size", ""))
    if size is None:
        found = file.metadata.get("size", "")[:40]
        raise weights.WeightsError(f"{path}: expected WIDTHxHEIGHT as its metadata 'size', found {found!r}")
    most = sum(array.size for array in file.arrays.values())  # whoever asks for the shapes of more may wait for ever
    small = spec.depth <= len(file.arrays) and max(spec.octaves, spec.detail, *spec.grids) <= most
    if not small or {name: array.shape for name, array in file.arrays.items()} != _shapes(spec):
        raise weights.WeightsError(f"{path}: its arrays are not those of the network that its metadata describe")
    bad = next((k for k, v in file.arrays.items() if v.dtype != np.float32 or not np.isfinite(v).all()), None)
    if bad is not None:
        raise weights.WeightsError(f"{path}: {bad} is not float32 or holds values that are not finite")
    network: Params = {}
    for name, array in file.arrays.items():
        if name.startswith("network."):
            _, layer, part = name.split(".")
            network.setdefault(layer, {})[part] = jnp.asarray(array)
    z_c, z_s = (jnp.asarray(file.arrays[name]) for name in ("z_c", "z_s"))
    return InrParams(network, z_c, z_s, spec, (int(size[1]), int(size[2])))
