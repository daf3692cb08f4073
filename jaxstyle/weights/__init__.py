"""Weight files: list, load, verify and write safetensors, and the model cards beside the shipped ones.

A weight file is a safetensors file whose metadata say what it is (``kind``, ``licence``, ...) and carry a
SHA-256 over its arrays, checked at every load. The shipped files lie beside this module, each with a card of the same
name: ``vgg16.safetensors`` and ``vgg16.md``.
"""

import hashlib
import json
import math
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import safetensors
import safetensors.numpy

from jaxstyle.runtime import files

FORMAT = "jaxstyle"
VERSION = "1"
_FOLDER = Path(__file__).parent


class WeightsError(ValueError):
    """A weight file is missing, damaged or of another kind; the message is one line and names the file."""


@dataclass(frozen=True)
class Weights:
    """The content of one weight file.

    Attributes:
      arrays: the arrays by name, in the type they are stored in (kernels are often float16: cast before use).
      metadata: the file's metadata; always with ``format``, ``version``, ``sha256`` and ``kind``.
      name: shipped name, or the file name without its suffix.
      path: where it was read.
    """

    arrays: dict[str, np.ndarray]
    metadata: dict[str, str]
    name: str
    path: Path


def shipped() -> tuple[str, ...]:
    """Names of the weight files that come with the package, sorted."""
    return tuple(sorted(file.stem for file in _FOLDER.glob("*.safetensors")))


def path(name: str) -> Path:
    """The file of shipped weights.

    Raises:
      WeightsError: nothing of that name is shipped.
    """
    if name not in shipped():
        raise WeightsError(f"no shipped weights {name!r}; shipped are: {', '.join(shipped()) or 'none'}")
    return _FOLDER / f"{name}.safetensors"


def card(name: str) -> str:
    """The model card of shipped weights, Markdown.

    Raises:
      WeightsError: nothing of that name is shipped, or it has no card.
    """
    file = path(name).with_suffix(".md")
    if not file.is_file():
        raise WeightsError(f"{file}: the model card of {name!r} is missing")
    return file.read_text(encoding="utf-8")


def info(name: str) -> dict[str, Any]:
    """Facts about shipped weights, from the file's header alone: the arrays are neither read nor verified.

    Returns:
      ``name``, ``kind``, ``licence``, ``sha256`` (over the arrays), ``bytes`` (size of the file) and
      ``parameters`` (how many numbers it holds).

    Raises:
      WeightsError: nothing of that name is shipped, or its file is damaged.
    """
    file = path(name)
    with _open(file) as handle:
        metadata = _metadata(handle, file)
        parameters = sum(math.prod(handle.get_slice(key).get_shape()) for key in handle.keys())  # noqa: SIM118
    return {
        "name": name,
        "kind": metadata["kind"],
        "licence": metadata.get("licence", "unknown"),
        "sha256": metadata["sha256"],
        "bytes": file.stat().st_size,
        "parameters": parameters,
    }


def _located(name_or_path: str | os.PathLike[str]) -> Path:
    known = isinstance(name_or_path, str) and name_or_path in shipped()
    file = path(str(name_or_path)) if known else Path(name_or_path)
    if not file.is_file():
        given = os.fspath(name_or_path) or "''"
        raise WeightsError(f"{given}: no such weight file; shipped are: {', '.join(shipped()) or 'none'}")
    return file


def header(name_or_path: str | os.PathLike[str]) -> dict[str, str]:
    """The metadata of a weight file, ``kind`` and ``sha256`` among them; the arrays are neither read nor verified.

    Raises:
      WeightsError: the file is missing, or no weight file of this package.
    """
    file = _located(name_or_path)
    with _open(file) as handle:
        return _metadata(handle, file)


def load(name_or_path: str | os.PathLike[str], *, kind: str | None = None) -> Weights:
    """Loads and verifies weights.

    Args:
      name_or_path: a name from :func:`shipped`, or the path of a file that :func:`save` wrote.
      kind: what the caller can use, such as ``"vgg"``; ``None`` takes any.

    Raises:
      WeightsError: the file is missing, is no weight file of this package, is damaged, or is of another kind.
    """
    file = _located(name_or_path)
    with _open(file) as handle:
        metadata = _metadata(handle, file)
        if kind is not None and metadata["kind"] != kind:
            raise WeightsError(f"{file}: holds weights of kind {metadata['kind']!r}; needed is {kind!r}")
        arrays = {key: handle.get_tensor(key) for key in handle.keys()}  # noqa: SIM118
    found = digest(arrays)
    if found != metadata["sha256"]:
        raise WeightsError(f"{file}: damaged: sha256 of its arrays is {found}, expected {metadata['sha256']}")
    return Weights(arrays, metadata, file.stem, file)


def save(file: str | os.PathLike[str], arrays: Mapping[str, np.ndarray], metadata: Mapping[str, str]) -> None:
    """Writes a weight file; the same arrays and metadata always give the same bytes.

    The file appears complete or not at all, and replaces one that was there.

    Args:
      file: path of the file; its folder must exist.
      arrays: the arrays by name.
      metadata: strings; ``kind`` is required, ``licence`` and ``source`` are expected. ``format``,
        ``version`` and ``sha256`` are set here.

    Raises:
      WeightsError: the folder is missing, there are no arrays, or ``metadata`` has no ``kind``.
    """
    target = Path(file)
    if not target.parent.is_dir():
        raise WeightsError(f"{target}: folder {target.parent} does not exist")
    if not arrays or "kind" not in metadata:
        raise WeightsError(f"{target}: weights need at least one array and metadata with 'kind'")
    contiguous = {key: np.asarray(arrays[key], order="C") for key in sorted(arrays)}
    header = dict(metadata) | {"format": FORMAT, "version": VERSION, "sha256": digest(contiguous)}
    data = _sorted_header(safetensors.numpy.save(contiguous, metadata=header))
    files.write(target, data)


def digest(arrays: Mapping[str, np.ndarray]) -> str:
    """SHA-256 in hexadecimal over name, type, shape and little-endian bytes of the arrays, sorted by name."""
    result = hashlib.sha256()
    for key in sorted(arrays):
        array = np.asarray(arrays[key])
        array = array.astype(array.dtype.newbyteorder("<"), copy=False)
        result.update(f"{key}\0{array.dtype.name}\0{list(array.shape)}\0".encode())
        result.update(np.ascontiguousarray(array).reshape(-1).view(np.uint8).data)
    return result.hexdigest()


def _sorted_header(data: bytes) -> bytes:
    """The same safetensors file with a sorted JSON header: the writer orders the metadata by chance."""
    size = int.from_bytes(data[:8], "little")
    text = json.dumps(json.loads(data[8 : 8 + size]), sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    header = text.encode()
    header += b" " * (-len(header) % 8)
    return len(header).to_bytes(8, "little") + header + data[8 + size :]


def _open(file: Path) -> Any:
    try:
        return safetensors.safe_open(file, framework="numpy")
    except (safetensors.SafetensorError, OSError) as error:
        reason = " ".join(str(error).split())
        raise WeightsError(f"{file}: not a complete safetensors file: {reason}") from None


def _metadata(handle: Any, file: Path) -> dict[str, str]:
    metadata = dict(handle.metadata() or {})
    if metadata.get("format") != FORMAT or not {"version", "sha256", "kind"} <= metadata.keys():
        raise WeightsError(f"{file}: safetensors, but not written by jaxstyle (metadata lack format, kind or sha256)")
    if metadata["version"] != VERSION:
        raise WeightsError(f"{file}: file format version {metadata['version']}; this jaxstyle reads version {VERSION}")
    return metadata
