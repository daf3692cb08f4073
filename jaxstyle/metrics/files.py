"""Measures stylized picture files against their photo and painting."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from jaxstyle import image, styles
from jaxstyle.metrics import metrics
from jaxstyle.runtime import memory

MEANING = {
    "psnr": "dB to the photo (inf = the same)",
    "ssim": "structural similarity to the photo (1 = the same)",
    "lpips": "perceptual distance to the photo (0 = the same)",
    "content_ratio": "loss of the photo's structure (0 = kept, 2 = nothing in common)",
    "content_loss": "features to the photo's, AdaIN Fig. 3",
    "style_ratio": "statistics to the painting's, relative to the photo's (0 = reached, 1 = untouched)",
    "gram_ratio": "Gram matrices likewise (0 = reached, 1 = untouched)",
    "style_loss": "statistics to the painting's, AdaIN Eq. 13",
    "gram_distance": "Gram matrices to the painting's, five shallow layers",
    "gram_style_loss": "Gram matrices to the painting's, relu1_1 .. relu5_1",
}
"""What `measure_files` finds, in the order in which a table shows it."""

BYTES_PER_PIXEL = 3400
"""Memory that `metrics.measure` takes for a pixel of the photo, features of three pictures included."""


def measure_files(
    content: str,
    style: str,
    outputs: Sequence[str],
    *,
    size: int | tuple[int, int] | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> dict[str, dict[str, float]]:
    """Measures stylized pictures against the photo and the painting they were made of.

    Args:
      content: file of the photo; this and the others may also be pipes.
      style: file of the painting, or the ``"@name"`` of a built-in style.
      outputs: files of stylized pictures.
      size: bring all pictures to this first: the short side, or (width, height) whatever their shape. By default
        they are compared as they are, and the stylized ones must have the photo's size.
      progress: called with the number of outputs measured and their total.

    Returns:
      For every output, `metrics.measure` as numbers; see `MEANING`.

    Raises:
      ImageError: a picture cannot be read.
      MetricsError: a picture is too small or too large, or an output has another size than the photo.
    """
    painted = styles.path_of(style)
    sources = {
        file: image.source_of(painted if file == style else file) for file in dict.fromkeys((content, style, *outputs))
    }
    shapes = {file: _shape(file, source, size) for file, source in sources.items()}  # of all, before hours of measuring
    for name in outputs:
        if shapes[name] != shapes[content]:
            sizes = f"{_words(shapes[name])} pixels; {content} has {_words(shapes[content])}"
            raise metrics.MetricsError(f"{name}: {sizes} (--size WxH brings all to one size)")

    def read(file: str) -> np.ndarray:
        return image.resize(image.read(sources[file]).pixels, shapes[file])

    photo, painting = read(content), read(style)
    networks = metrics.load_networks()
    found = {}
    for number, name in enumerate(outputs, 1):
        values = metrics.measure(networks, photo, painting, read(name))
        found[name] = {metric: float(values[metric]) for metric in MEANING}
        if progress is not None:
            progress(number, len(outputs))
    return found


def _words(shape: tuple[int, int]) -> str:
    return f"{shape[1]} x {shape[0]}"


def _shape(file: str, source: str | bytes, size: int | tuple[int, int] | None) -> tuple[int, int]:
    """(height, width) at which a picture is measured.

    Raises:
      ImageError: it is no picture, as far as its header tells.
      MetricsError: it is too small, or too large for the memory.
    """
    shape = image.output_size(image.dimensions(source), size)
    if min(shape) < 2 * metrics.SMALLEST:
        raise metrics.MetricsError(f"{file}: {_words(shape)} pixels; expected sides of at least {2 * metrics.SMALLEST}")
    needed, free = shape[0] * shape[1] * BYTES_PER_PIXEL, memory.available_memory()
    if free is not None and needed > free:
        short = f"needs about {needed / 2**30:.1f} GiB of memory, {free / 2**30:.1f} are free"
        raise metrics.MetricsError(f"{file}: {_words(shape)} pixels: {short}; a smaller --size needs less")
    return shape
