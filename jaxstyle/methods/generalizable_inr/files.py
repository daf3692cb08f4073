"""The method's models in weight files: all that is learned in one, the encoder in that of VGG; and conditioned
pictures, each in one file with everything that it is."""

from __future__ import annotations

import dataclasses
import json
import os
import re
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np

from jaxstyle import weights
from jaxstyle.arrays import Params
from jaxstyle.methods import adain
from jaxstyle.methods.generalizable_inr import code as codes
from jaxstyle.methods.generalizable_inr import field as fields
from jaxstyle.methods.generalizable_inr.code import Code
from jaxstyle.methods.generalizable_inr.field import Field, Spec, View
from jaxstyle.methods.generalizable_inr.network import Config, Model, init
from jaxstyle.methods.generalizable_inr.whole import Whole
from jaxstyle.nets import leaves
from jaxstyle.nets.stats import Moments

KIND = "generalizable_inr"
PICTURE = "generalizable_inr_picture"
"""What files of conditioned pictures say they hold."""

_FORMS: dict[str, type[Config | Whole]] = {"local": Config, "paper": Whole}


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
    arrays = leaves.stored(model.params)
    if problem := leaves.problem(arrays, _expected(model)):
        raise weights.WeightsError(f"{path}: {problem}")
    config = json.dumps(dataclasses.asdict(model.config), sort_keys=True)
    form = next(name for name, kind in _FORMS.items() if isinstance(model.config, kind))
    weights.save(path, arrays, {"kind": KIND, "form": form, "arch": model.arch, "config": config, **metadata})


def _config(source: str, form: str, text: str | None) -> Config | Whole:
    try:
        found = json.loads(text or "")
        if form == "local":
            found = {"feedback": False} | found  # files of before it
        if bad := next((name for name, value in found.items() if type(value) not in (int, bool)), None):
            raise ValueError(f"{bad}: expected a whole number, got {found[bad]!r}")
        return _FORMS[form](**found)
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
    config = _config(source, file.metadata.get("form", "local"), file.metadata.get("config"))
    params, arch = adain.load_encoder(encoder or "vgg16")
    if arch != (wanted := file.metadata.get("arch")):
        raise weights.WeightsError(f"{source}: made for encoder {wanted}, but the one given is {arch}")
    model = Model(params, {}, config, arch)
    if problem := leaves.problem(file.arrays, _expected(model)):
        raise weights.WeightsError(f"{source}: {problem}")
    expected = _expected(model)
    values = [np.asarray(file.arrays[name], np.float32) for name in leaves.named(expected)]
    found = jax.tree.unflatten(jax.tree.structure(expected), values)
    return jax.device_put(dataclasses.replace(model, params=found))


# ---- pictures --------------------------------------------------------------------------------------------------


def _arrays(field: Field) -> dict[str, np.ndarray]:
    """All that a conditioned picture is, by name."""
    found = {
        **{f"content.{name}": grid for name, grid in field.content.code._asdict().items()},
        **{f"styled.{name}": grid for name, grid in field.styled._asdict().items()},
        **{f"own.{name}": values for name, values in field.own._asdict().items()},
        **{f"target.{name}": values for name, values in field.target._asdict().items()},
        **{f"{layer}.{part}": v for layer, parts in field.shared.items() for part, v in parts.items()},
        **{name: getattr(field.content, name) for name in ("context", "matrix", "extent")},
    }
    return {name: np.asarray(value, np.float32) for name, value in found.items()}


def _shapes(found: dict[str, np.ndarray], spec: Spec) -> dict[str, tuple[int, ...]]:
    """The shapes that the arrays of one picture have, by those of some of them.

    Raises:
      KeyError, ValueError: one of these is missing, or has another number of axes.
    """
    (tall, wide, _), (side, _, context) = found["content.chroma"].shape, found["context"].shape
    (wanted,), (hidden,) = found["own.mean"].shape, found["hidden.bias"].shape
    tall, wide = tall // codes.PHOTO[1], wide // codes.PHOTO[1]
    grids = {
        f"{part}.{name}": (tall * count, wide * count, channels)
        for part, points in (("content", codes.PHOTO), ("styled", codes.PAINTED))
        for name, count, channels in zip(codes.Code._fields, points, (1, 2), strict=True)
    }
    vectors = {f"{part}.{name}": (wanted,) for part in ("own", "target") for name in Moments._fields}
    layers = {"hidden.kernel": (wanted + 3, hidden), "hidden.bias": (hidden,)}
    layers |= {"colours.kernel": (hidden, 3), "colours.bias": (3,)}
    matrix = (fields.inputs(spec, context), wanted)
    return {**grids, **vectors, **layers, "context": (side, side, context), "matrix": matrix, "extent": (2,)}


def save_picture(path: str | os.PathLike[str], field: Field, **metadata: str) -> None:
    """Writes a conditioned picture as one safetensors file, which `jaxstyle.render_file` opens.

    Args:
      path: the file.
      field: of one picture; written as float32.
      metadata: more entries for the file's header; ``licence`` is "your own" if not given.

    Raises:
      WeightsError: the folder is missing.
      ValueError: ``field`` is not that of one picture, or not finite.
    """
    if not isinstance(field, Field):
        raise ValueError("field: only pictures of the local configuration are kept in files")
    arrays = _arrays(field)
    if field.several:
        raise ValueError(f"field: expected one picture, got {field.several}; of several take one")
    if bad := next((name for name, value in arrays.items() if not np.isfinite(value).all()), None):
        raise ValueError(f"field: {bad} holds values that are not finite")
    header = {"licence": "your own", **metadata, "kind": PICTURE, "size": "{}x{}".format(*field.size)}
    weights.save(path, arrays, header | {"spec": json.dumps(dataclasses.asdict(field.spec), sort_keys=True)})


def load_picture(path: str | os.PathLike[str]) -> Field:
    """Reads a file that `save_picture` wrote, bit for bit.

    Raises:
      WeightsError: it is missing, damaged, or holds something else.
    """
    file = weights.load(Path(path), kind=PICTURE)  # never shipped weights
    size = re.fullmatch(r"([1-9]\d{0,8})x([1-9]\d{0,8})", file.metadata.get("size", ""))
    if size is None:
        named = file.metadata.get("size", "")[:40]
        raise weights.WeightsError(f"{path}: expected WIDTHxHEIGHT as its metadata 'size', found {named!r}")
    try:
        spec = Spec(**json.loads(file.metadata.get("spec", "")))
        fits = {name: array.shape for name, array in file.arrays.items()} == _shapes(file.arrays, spec)
    except (TypeError, ValueError, KeyError, RecursionError):
        fits = False
    if not fits or any(not np.isfinite(v).all() or v.dtype != np.float32 for v in file.arrays.values()):
        raise weights.WeightsError(f"{path}: its arrays are not those of a conditioned picture")
    found = {name: jnp.asarray(array) for name, array in file.arrays.items()}
    parts = {
        part: {name.partition(".")[2]: value for name, value in found.items() if name.startswith(f"{part}.")}
        for part in ("content", "styled", "own", "target", "hidden", "colours")
    }
    view = View(Code(**parts["content"]), found["context"], found["matrix"], found["extent"])
    moments = Moments(**parts["own"]), Moments(**parts["target"])
    shared = {name: parts[name] for name in ("hidden", "colours")}
    return Field(shared, view, Code(**parts["styled"]), *moments, spec, (int(size[1]), int(size[2])))
