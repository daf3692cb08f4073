"""The method's models in weight files: all that is learned in one, the encoder in that of VGG."""

from __future__ import annotations

import dataclasses
import json
import os

import jax
import numpy as np

from jaxstyle import weights
from jaxstyle.methods import adain
from jaxstyle.methods.style_kernel.network import Config, Model, expected
from jaxstyle.nets import leaves

KIND = "style_kernel"


def save(path: str | os.PathLike[str], model: Model, **metadata: str) -> None:
    """Writes the parameters as one safetensors file (float16 kernels); the encoder is named by its architecture.

    Args:
      path: the file.
      model: its parameters are written.
      metadata: more entries for the file's header, such as ``licence``.

    Raises:
      WeightsError: the file cannot be written, or the parameters are none that `load` would take.
    """
    arrays = leaves.stored(model.params)
    if problem := leaves.problem(arrays, expected(model)):
        raise weights.WeightsError(f"{path}: {problem}")
    config = json.dumps(dataclasses.asdict(model.config), sort_keys=True)
    full = {"full": repr(float(model.full))} if model.full != 1 else {}
    weights.save(path, arrays, {"kind": KIND, "arch": model.arch, "config": config, **full, **metadata})


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
    if problem := leaves.problem(file.arrays, expected(model)):
        raise weights.WeightsError(f"{source}: {problem}")
    values = [np.asarray(file.arrays[name], np.float32) for name in leaves.named(expected(model))]
    found = jax.tree.unflatten(jax.tree.structure(expected(model)), values)
    return jax.device_put(dataclasses.replace(model, params=found))
