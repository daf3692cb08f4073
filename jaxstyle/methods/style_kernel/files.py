"""The method's models in weight files: all that is learned in one, the encoder in that of VGG."""

from __future__ import annotations

import dataclasses
import json
import os

import jax
import numpy as np

from jaxstyle import weights
from jaxstyle.arrays import Params
from jaxstyle.methods import adain
from jaxstyle.methods.style_kernel.network import Config, Model, expected

KIND = "style_kernel"


def _named(params: Params) -> dict[str, np.ndarray]:
    """Leaves by name: ``{"phi.block0.kernel": ...}``."""
    flat = jax.tree_util.tree_flatten_with_path(params)[0]
    return {".".join(str(k.key) for k in path): leaf for path, leaf in flat}


def save(path: str | os.PathLike[str], model: Model, **metadata: str) -> None:
    """Writes the parameters as one safetensors file (float16 kernels); the encoder is named by its architecture.

    Args:
      path: the file.
      model: its parameters are written.
      metadata: more entries for the file's header, such as ``licence``.

    Raises:
      WeightsError: the file cannot be written, or the parameters are none that `load` would take.
    """
    arrays = {
        name: np.asarray(leaf).astype(np.float16 if name.endswith(".kernel") else np.float32)
        for name, leaf in _named(model.params).items()
    }
    if problem := _problem(arrays, model):
        raise weights.WeightsError(f"{path}: {problem}")
    config = json.dumps(dataclasses.asdict(model.config), sort_keys=True)
    full = {"full": repr(float(model.full))} if model.full != 1 else {}
    weights.save(path, arrays, {"kind": KIND, "arch": model.arch, "config": config, **full, **metadata})


def _problem(arrays: dict[str, np.ndarray], model: Model) -> str:
    """What is wrong with the arrays of a model, or nothing."""
    shapes = {name: leaf.shape for name, leaf in _named(expected(model)).items()}
    if odd := sorted(shapes.keys() ^ arrays.keys()):
        return f"{odd[0]}: {'missing' if odd[0] in shapes else 'not known'}; its arrays are not those of its config"
    for name, shape in shapes.items():
        if arrays[name].shape != shape:
            return f"{name}: expected shape {shape}, found {arrays[name].shape}"
        if not np.isfinite(arrays[name]).all():
            return f"{name}: holds numbers that are not finite"
    return ""


def _config(source: str, text: str | None) -> Config:
    try:
        found = json.loads(text or "")
        config = Config(**found)
    except (ValueError, TypeError) as error:  # no JSON; other names than those of the fields; values out of range
        raise weights.WeightsError(f"{source}: config: {' '.join(str(error).split())}") from None
    for name, value in dataclasses.asdict(Config()).items():
        kinds = (int, float) if isinstance(value, float) else (type(value),)
        if type(getattr(config, name)) not in kinds:
            raise weights.WeightsError(f"{source}: config: {name}: expected such as {value!r}, got {found[name]!r}")
    return config


def load(source: str = "style_kernel_vgg16", *, encoder: str | None = None) -> Model:
    """Loads a model: shipped weights by name, or your own by path.

    Args:
      source: the name of shipped weights, or the path of a file that `save` or the trainer wrote.
      encoder: a VGG weight file; by default the shipped VGG-16, which fits models trained on it.

    Returns:
      A `Model`.

    Raises:
      WeightsError: a file is missing, damaged, of another kind, or encoder and parameters do not fit.
    """
    file = weights.load(source, kind=KIND)
    config = _config(source, file.metadata.get("config"))
    params, arch = adain.load_encoder(encoder or "vgg16")
    if arch != (wanted := file.metadata.get("arch")):
        raise weights.WeightsError(f"{source}: made for encoder {wanted}, but the one given is {arch}")
    full = adain.full_degree(source, file.metadata)
    model = Model(params, {}, config, arch, full=full)
    if problem := _problem(file.arrays, model):
        raise weights.WeightsError(f"{source}: {problem}")
    leaves = [np.asarray(file.arrays[name], np.float32) for name in _named(expected(model))]
    found = jax.tree.unflatten(jax.tree.structure(expected(model)), leaves)
    return jax.device_put(dataclasses.replace(model, params=found))
