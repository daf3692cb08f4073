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
from jaxstyle.methods.generalizable_inr.network import Config, Model, init

KIND = "generalizable_inr"


def _named(params: Params) -> dict[str, np.ndarray]:
    """Leaves by name: ``{"painter.conv0.kernel": ...}``."""
    flat = jax.tree_util.tree_flatten_with_path(params)[0]
    return {".".join(str(k.key) for k in path): leaf for path, leaf in flat}


def _expected(model: Model) -> Params:
    """The shapes and types of a model's parameters."""
    return jax.eval_shape(init, jax.eval_shape(jax.random.key, 0), model)


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
    weights.save(path, arrays, {"kind": KIND, "arch": model.arch, "config": config, **metadata})


def _problem(arrays: dict[str, np.ndarray], model: Model) -> str:
    """What is wrong with the arrays of a model, or nothing."""
    shapes = {name: leaf.shape for name, leaf in _named(_expected(model)).items()}
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
        if bad := next((name for name, value in found.items() if type(value) not in (int, bool)), None):
            raise ValueError(f"{bad}: expected a whole number, got {found[bad]!r}")
        return Config(**found)
    except (
        ValueError,
        TypeError,
        AttributeError,
    ) as error:  # no JSON, other fields, out of range
        raise weights.WeightsError(f"{source}: config: {' '.join(str(error).split())}") from None


def load(source: str = "generalizable_inr", *, encoder: str | None = None) -> Model:
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
    model = Model(params, {}, config, arch)
    if problem := _problem(file.arrays, model):
        raise weights.WeightsError(f"{source}: {problem}")
    expected = _expected(model)
    leaves = [np.asarray(file.arrays[name], np.float32) for name in _named(expected)]
    found = jax.tree.unflatten(jax.tree.structure(expected), leaves)
    return jax.device_put(dataclasses.replace(model, params=found))
