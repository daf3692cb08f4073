"""VGG-16 and VGG-19 features (Simonyan & Zisserman, arXiv:1409.1556), convolutional part only.

The frozen encoder is an argument of whatever uses it: ``params`` is a plain dict
``{"conv1_1": {"kernel": (3, 3, 3, 64), "bias": (64,)}, ...}`` and `features` is a pure function of it.
Nothing is loaded when this module is imported; `jaxstyle.weights` reads the files.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import jax
import jax.numpy as jnp
import numpy as np

from jaxstyle.arrays import Array, ArrayLike, Features, Image, Params
from jaxstyle.nets.convolutions import Padding

Arch = Literal["vgg16", "vgg19"]
Pool = Literal["max", "avg"]

BLOCKS: dict[str, tuple[int, ...]] = {"vgg16": (2, 2, 3, 3, 3), "vgg19": (2, 2, 4, 4, 4)}
WIDTHS = (64, 128, 256, 512, 512)
IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)


def conv_names(arch: Arch) -> tuple[str, ...]:
    """Names of the convolutions in order: ``conv1_1``, ``conv1_2``, ``conv2_1``, ...

    Raises:
      ValueError: an architecture other than vgg16 and vgg19.
    """
    if arch not in BLOCKS:
        raise ValueError(f"arch: expected 'vgg16' or 'vgg19', got {arch!r}")
    return tuple(f"conv{b}_{i}" for b, n in enumerate(BLOCKS[arch], 1) for i in range(1, n + 1))


def kernel_shape(name: str) -> tuple[int, int, int, int]:
    """Shape (3, 3, Cin, Cout) of the kernel of convolution ``name``, for example ``conv3_1``."""
    block, index = int(name[4]) - 1, int(name[6:])
    c_in = WIDTHS[block] if index > 1 else (3, *WIDTHS)[block]
    return 3, 3, c_in, WIDTHS[block]


def check(shape: tuple[int, ...], taps: Sequence[str], arch: Arch, padding: Padding, pool: Pool) -> None:
    """Raises ValueError for images of that shape, or arguments, that `features` cannot take."""
    names = conv_names(arch)
    for tap in taps:
        if tap.replace("relu", "conv", 1) not in names or not tap.startswith(("relu", "conv")):
            accepted = f"relu1_1 .. relu{names[-1][4:]} or conv1_1 .. {names[-1]}"
            raise ValueError(f"taps: {tap!r} is not a layer; expected {accepted}")
    if padding not in ("zero", "reflect"):
        raise ValueError(f"padding: expected 'reflect' or 'zero', got {padding!r}")
    if pool not in ("max", "avg"):
        raise ValueError(f"pool: expected 'max' or 'avg', got {pool!r}")
    block = max((int(tap[4]) for tap in taps), default=1)
    least = 2 ** (block - 1) * (2 if padding == "reflect" else 1)  # reflection needs two pixels everywhere
    if len(shape) != 4 or shape[-1] != 3 or min(shape[1:3]) < least:
        wanted = f"(N, H, W, 3) with H and W at least {least} for block {block} and {padding} padding"
        raise ValueError(f"images: expected {wanted}, got shape {shape}")


def features(
    params: Params,
    images: Image,
    taps: Sequence[str],
    *,
    arch: Arch = "vgg16",
    padding: Padding = "zero",
    pool: Pool = "max",
    dtype: jnp.dtype = jnp.float32,
    size: Array | None = None,
) -> dict[str, Features]:
    """Activations of VGG at the named layers; nothing deeper than the deepest one is computed.

    Args:
      params: ``{name: {"kernel", "bias"}}``, see `from_arrays`; they may be `normalise`-d.
      images: ``(N, H, W, 3)``, sRGB in [0, 1]; ImageNet's mean and deviation are taken off inside. H and W
        are at least the stride of the deepest tap (1, 2, 4, 8, 16 for blocks 1 to 5), with reflect padding
        twice that.
      taps: for example ``("relu1_1", "relu4_1")``; ``conv4_1`` is the value before the ReLU.
      arch: ``"vgg16"`` or ``"vgg19"``.
      padding: ``"zero"`` or ``"reflect"``.
      pool: ``"max"`` or ``"avg"``.
      dtype: type of the convolutions.
      size: (2,), height and width of the pictures where ``images`` are larger, see `jaxstyle.nets.convolutions.mirror`:
        what lies beyond has no influence on what lies inside. Only with reflect padding.

    Returns:
      ``{tap: (N, H', W', C)}``.

    Raises:
      ValueError: an unknown architecture, tap, padding or pool; ``params`` end before the deepest tap;
        ``images`` have another shape or are too small; ``size`` with zero padding.
    """
    if size is not None and padding != "reflect":
        raise ValueError(f"size: needs padding='reflect', got {padding!r}")
    check(images.shape, taps, arch, padding, pool)
    missing = [tap for tap in taps if tap.replace("relu", "conv") not in params]
    if missing:
        raise ValueError(f"taps: {missing[0]} is not in params, which hold {', '.join(params) or 'nothing'}")
    from jaxstyle.nets.layers import VGG  # Flax is imported where something is traced

    module = VGG(arch=arch, taps=tuple(taps), padding=padding, pool=pool, dtype=dtype)
    return module.apply({"params": params}, images, size)  # type: ignore[return-value]


def encode(
    model: Any, images: Image, taps: Sequence[str] = ("relu4_1",), *, size: Array | None = None
) -> dict[str, Features]:
    """`features` as a model sees them, ``{tap: (N, H', W', C)}``: f of AdaIN's Eq. 8.

    Args:
      model: has ``encoder``, VGG's parameters, their ``arch``, and ``dtype`` of the convolutions.
      images: ``(N, H, W, 3)``, for ``relu4_1`` at least 16 pixels high and wide.
      taps, size: see `features`.

    Raises:
      ValueError: ``images`` are too small or no images, or a tap is unknown.
    """
    net, dtype = model.encoder, model.dtype
    return features(net, images, taps, arch=model.arch, padding="reflect", dtype=dtype, size=size)


def from_arrays(arrays: Mapping[str, ArrayLike], arch: Arch = "vgg16", *, through: str | None = None) -> Params:
    """Parameters from the flat arrays of a weight file.

    Args:
      arrays: ``{"conv1_1.kernel": (3, 3, 3, 64), "conv1_1.bias": (64,), ...}`` of any float type.
      arch: ``"vgg16"`` or ``"vgg19"``.
      through: the last convolution wanted, for example ``"conv4_1"``; by default all.

    Returns:
      ``{"conv1_1": {"kernel", "bias"}, ...}`` in float32.

    Raises:
      ValueError: an array is missing or has another shape, or ``through`` is no convolution.
    """
    if through is not None and through not in conv_names(arch):
        raise ValueError(f"through: {through!r} is not a convolution; expected {', '.join(conv_names(arch))}")
    params: Params = {}
    for name in conv_names(arch):
        shapes = {"kernel": kernel_shape(name), "bias": kernel_shape(name)[3:]}
        for part, shape in shapes.items():
            array = arrays.get(f"{name}.{part}")
            found = "no such array" if array is None else f"shape {np.shape(array)}"
            if array is None or np.shape(array) != shape:
                raise ValueError(f"{name}.{part}: expected {shape} for {arch}, found {found}")
        params[name] = {part: np.asarray(arrays[f"{name}.{part}"], np.float32) for part in shapes}
        if name == through:
            break
    return params


def mean_activation(
    params: Params, images: Image, *, arch: Arch = "vgg16", padding: Padding = "reflect"
) -> dict[str, Array]:
    """Mean of every channel after its ReLU over images and positions (Gatys et al. 2015, Sec. "Methods").

    Args:
      params: VGG parameters; only the convolutions present are computed.
      images: ``(N, H, W, 3)`` in [0, 1].
      arch: ``"vgg16"`` or ``"vgg19"``.
      padding: as the normalised network will be used.

    Returns:
      ``{"conv1_1": (64,), ...}``. Average them over a calibration set, then `floor_scales`, then `normalise`.
    """
    taps = [name.replace("conv", "relu") for name in conv_names(arch) if name in params]
    found = features(params, images, taps, arch=arch, padding=padding)
    return {tap.replace("relu", "conv"): f.mean((0, 1, 2)) for tap, f in found.items()}


def floor_scales(scales: Mapping[str, ArrayLike], fraction: float = 0.1) -> dict[str, np.ndarray]:
    """Raises scales below ``fraction`` of their layer's median to it.

    Without it the few channels that hardly ever fire would dominate every loss on normalised features.

    Args:
      scales: ``{"conv1_1": (64,), ...}``, the channels' mean activations.
      fraction: of the median over the layer's channels.

    Returns:
      The same names and shapes, float32.
    """
    arrays = {name: np.asarray(s, np.float32) for name, s in scales.items()}
    return {name: np.maximum(s, np.float32(fraction) * np.median(s)) for name, s in arrays.items()}


def normalise(params: Params, scales: Mapping[str, ArrayLike]) -> Params:
    """Normalised VGG: every filter's mean activation is 1, the function the same up to those scales.

    ``w'[i, o] = w[i, o] * m_prev[i] / m[o]`` and ``b'[o] = b[o] / m[o]``: ReLU and both poolings commute with
    positive factors (Gatys et al. 2015; the ``vgg_normalised`` of AdaIN's authors).

    Args:
      params: VGG parameters.
      scales: ``{"conv1_1": (64,), ...}``, the channels' mean activations, positive; at least for the layers
        of ``params``.

    Returns:
      Parameters of the same shape.

    Raises:
      ValueError: a layer has no scales, or scales of another shape, or not positive.
    """
    out: Params = {}
    previous = np.ones((3,), np.float32)
    for name, layer in params.items():
        if name not in scales:
            raise ValueError(f"scales: none for {name}; found {', '.join(scales) or 'nothing'}")
        m = np.asarray(scales[name], np.float32)
        if m.shape != np.shape(layer["bias"]):
            raise ValueError(f"scales: expected {np.shape(layer['bias'])} for {name}, got shape {m.shape}")
        if not (m > 0).all():
            raise ValueError(f"scales: those of {name} must be positive, the smallest is {m.min():g}")
        kernel = layer["kernel"] * (previous[:, None] / m[None, :])[None, None]
        out[name] = {"kernel": kernel, "bias": layer["bias"] / m}
        previous = m
    return jax.tree.map(lambda a: np.asarray(a, np.float32), out)
