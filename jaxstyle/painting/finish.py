"""What is done to a painting once its pixels are there, band by band: the photo comes back in where the degree of style
is small, and colours are kept.

A method that mixes features, as AdaIN does (Eq. 14 of arXiv:1703.06868), ends at degree 0 with the photo as its network
redraws it, about 20 dB from the photo. So the result is ``a(w) painted(w) + (1 - a(w)) photo`` with w the degree of
style of the pixel, all styles together, and `painted_part` as a: at 0 it is the photo to the last bit, from `FULL` on
the painting alone. What is mixed lies on top of each other, since a network that redraws moves nothing.
"""

from __future__ import annotations

import numpy as np

from jaxstyle.controls import colors
from jaxstyle.controls.controls import Controls
from jaxstyle.image.windows import Source
from jaxstyle.painting.shares import Shares

FULL = 0.5
"""The degree of style from which a picture is all painting."""

_ROWS = 256  # of a band that are blended at a time: what lies between is small then


def painted_part(degree: np.ndarray) -> np.ndarray:
    """a(w): how much of a pixel is the painting's; the rest is the photo's.

    ``t (2 - t)`` with ``t = min(1, w / FULL)``: it grows all the way from exactly 0 at 0 to exactly 1 at `FULL`, where
    its slope is 0, so that it has neither a jump nor a corner. With it the distance from the photo grows about evenly
    with w (of AdaIN, in root mean square: 0.04, 0.08, 0.12, 0.15, 0.17, 0.20, 0.24 at 0.1, 0.2, 0.3, 0.4, 0.5, 0.7, 1);
    a ramp that begins flat leaves the photo as it is up to 0.15 and changes it in a rush then.

    Args:
      degree: w in [0, 1], of any shape.

    Returns:
      float32 of that shape, in [0, 1].
    """
    t = np.minimum(np.asarray(degree, np.float32) / np.float32(FULL), np.float32(1))
    return t * (2 - t)


def finish(band: np.ndarray, top: int, photo: Source, shares: Shares, controls: Controls) -> np.ndarray:
    """Rows of a painting as they are in the result.

    Args:
      band: float32 ``(h, W, 3)`` in [0, 1], what the method painted.
      top: the first of its rows.
      photo: the content in the size of the result, (H, W, 3).
      shares: the degree of style at its pixels.
      controls: ``alpha_blend`` and ``preserve_color`` are looked at.

    Returns:
      The same; with the photo where the degree is small, unless ``alpha_blend`` is ``"features"``, and with the photo's
      colours where ``preserve_color`` is ``"luminance"``.
    """
    if controls.alpha_blend == "photo":
        band = _blended(band, top, photo, shares)
    if controls.preserve_color == "luminance":
        band = colors.keep_chroma(band, photo.read(top, top + len(band), 0, band.shape[1]))
    return band


def _blended(band: np.ndarray, top: int, photo: Source, shares: Shares) -> np.ndarray:
    """``a band + (1 - a) photo``, in which neither has a part where the other has all."""
    found, width = band, band.shape[1]
    for row in range(0, len(band), _ROWS):
        rows = slice(row, min(row + _ROWS, len(band)))
        window = (top + rows.start, top + rows.stop, 0, width)
        part = painted_part(shares.total(*window))[..., None]
        if part.min() < 1:
            found = np.array(band) if found is band else found
            found[rows] = part * band[rows] + (1 - part) * photo.read(*window)
    return found
