"""AdaIN's models in weight files: the decoder in one, the encoder in that of VGG."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping
from typing import Any

import jax
import numpy as np

from jaxstyle import weights
from jaxstyle.arrays import Params
from jaxstyle.methods.adain.network import Model, decoder_shapes
from jaxstyle.nets import leaves, vgg

_DEEPEST = "conv4_1"


def load_encoder(source: str = "vgg16", *, through: str = _DEEPEST) -> tuple[Params, vgg.Arch]:
    """The frozen encoder f: normalised VGG up to ``conv4_1`` from a weight file with calibrated scales.

    Args:
      source: the name of shipped weights, or a file that ``jaxstyle convert-vgg --calibrate`` wrote.
      through: the last convolution; losses may look deeper than the method does.

    Returns:
      ``(params, arch)``.

    Raises:
      WeightsError: the file is missing, damaged, not VGG, or not calibrated.
    """
    file = weights.load(source, kind="vgg")
    arch: vgg.Arch = file.metadata.get("arch")  # type: ignore[assignment]
    prefix = "mean_activation."
    scales = {k.removeprefix(prefix): v for k, v in file.arrays.items() if k.startswith(prefix)}
    if not scales:
        raise weights.WeightsError(f"{source}: has no calibrated scales; convert it with --calibrate FOLDER")
    try:
        params = vgg.from_arrays(file.arrays, arch, through=through)
        return vgg.normalise(params, scales), arch
    except ValueError as error:
        raise weights.WeightsError(f"{source}: {error}") from None


def to_arrays(decoder: Params, dtype: Any = np.float16) -> dict[str, np.ndarray]:
    """The decoder's variables by name: ``{"params.conv0.kernel": ...}``.

    Args:
      decoder: the variables.
      dtype: of the kernels; everything else is float32.

    Returns:
      Flat arrays, as `save` writes and `load` reads them.
    """
    return leaves.stored(decoder, dtype)


def save(path: str | os.PathLike[str], model: Model, **metadata: str) -> None:
    """Writes the decoder as one safetensors file (float16 kernels); the encoder is named by its architecture.

    Args:
      path: the file.
      model: its decoder is written.
      metadata: more entries for the file's header, such as ``licence``.

    Raises:
      WeightsError: the file cannot be written, or the decoder is none that `load` would take.
    """
    if jax.tree.map(np.shape, model.decoder) != decoder_shapes(model):
        kind = f"{model.arch}, fusion {model.fusion}, norm {model.norm} and aim {model.aim}"
        raise weights.WeightsError(f"{path}: the model's arrays are not those of a decoder for {kind}")
    config: dict[str, str] = {"arch": model.arch, "fusion": model.fusion, "norm": model.norm}
    config |= {"aim": model.aim} if model.aim != "style" else {}  # files of before have none
    config |= {"full": repr(float(model.full))} if model.full != 1 else {}
    weights.save(path, to_arrays(model.decoder), {"kind": "adain", **config, **metadata})


def full_degree(source: str, metadata: Mapping[str, str]) -> float:
    """What the metadata of a weight file say a degree of style of 1 is, see `Model`; 1 where they say nothing.

    Raises:
      WeightsError: it is no number in (0, 1].
    """
    text = metadata.get("full", "1")
    try:
        full = float(text)
    except ValueError:
        full = math.nan
    if not 0 < full <= 1:
        raise weights.WeightsError(f"{source}: full: expected a number in (0, 1], got {text!r}")
    return full


def load(source: str = "adain_vgg16", *, encoder: str | None = None) -> Model:
    """Loads a model: shipped weights by name, or your own by path.

    Args:
      source: ``"adain_vgg16"`` or the path of a file that `save` or the trainer wrote.
      encoder: a VGG weight file; by default the shipped VGG-16, which fits decoders trained on it.

    Returns:
      A `Model`.

    Raises:
      WeightsError: a file is missing, damaged, of another kind, or encoder and decoder do not fit.
    """
    file = weights.load(source, kind="adain")
    wanted, fusion, norm = (file.metadata.get(name) for name in ("arch", "fusion", "norm"))
    params, arch = load_encoder(encoder or "vgg16")
    if arch != wanted:
        raise weights.WeightsError(f"{source}: made for encoder {wanted}, but the one given is {arch}")
    decoder: Params = {}
    for name, array in file.arrays.items():
        *parts, last = name.split(".")
        node = decoder
        for part in parts:
            node = node.setdefault(part, {})
        node[last] = np.asarray(array, np.float32)
    aim, full = file.metadata.get("aim", "style"), full_degree(source, file.metadata)
    model = Model(params, decoder, arch, fusion, norm, aim, full=full)  # type: ignore[arg-type]
    try:
        fresh = decoder_shapes(model)
    except ValueError as error:
        raise weights.WeightsError(f"{source}: {error}") from None
    if jax.tree.map(np.shape, decoder) != fresh:
        kind = f"{arch}, fusion {fusion}, norm {norm} and aim {model.aim}"
        raise weights.WeightsError(f"{source}: its arrays are not those of a decoder for {kind}")
    return jax.device_put(model)
