"""How much a picture has of a regular pattern that its network's cells leave: a weave, a checkerboard, dots.

Scores of style and content hardly see such a pattern, the eye does at once where the picture is flat. In its spectrum
it is lines at the cells' frequency and its multiples.
"""

from __future__ import annotations

import numpy as np

from jaxstyle.arrays import ArrayLike

CYCLES = 8
"""Cells along a side of the squares whose spectra are looked at."""
_NEAR = (3, 4)  # bins from a line; a Hann window's lobe ends two from it, and the next line is `CYCLES` away
_QUANTUM = 1 / 255**2 / 12  # power of what rounding to 8 bits adds to a pixel


def lattice(picture: ArrayLike, period: int, *, photo: ArrayLike | None = None, share: float = 0.25) -> float:
    """Power at the cells' frequency and its multiples over that of the frequencies around, in flat regions.

    The mean over all of these frequencies, horizontal, vertical and both, of the power there divided by the geometric
    mean of its neighbours'; of the power summed over the flattest squares, each of which counts alike. 1: there is no
    pattern. Pictures of nature have 0.9 to 1.2; what a method adds is the ratio to the photo's.

    Args:
      picture: ``(H, W, 3)`` or ``(H, W)`` in [0, 1], height and width at least 8 periods.
      period: of the cells, pixels, at least 2.
      photo: what says which squares are flat, of the picture's height and width; by default the picture itself.
      share: of the squares that count as flat, more than 0, at most 1.

    Returns:
      A number of at least 0.

    Raises:
      ValueError: an argument is out of range.
    """
    if isinstance(period, bool) or not isinstance(period, int | np.integer) or period < 2:
        raise ValueError(f"period: expected a whole number of at least 2, got {period!r}")
    if not 0 < share <= 1:
        raise ValueError(f"share: expected more than 0, at most 1, got {share!r}")
    grey, side = _grey(picture, "picture"), CYCLES * int(period)
    if min(grey.shape) < side:
        raise ValueError(
            f"picture: expected at least {side} x {side} pixels for a period of {period}, got {grey.shape}"
        )
    plain = grey if photo is None else _grey(photo, "photo")
    if plain.shape != grey.shape:
        raise ValueError(f"photo: expected the picture's size, {grey.shape}, got {plain.shape}")
    rough = _squares(plain, side).var((1, 2))
    flat = np.argsort(rough, kind="stable")[: max(1, round(share * len(rough)))]
    squares = _squares(grey, side)[flat]
    line = np.hanning(side + 1)[:-1]
    window = line[:, None] * line[None]
    squares = (squares - (squares * window).sum((1, 2), keepdims=True) / window.sum()) * window
    power = np.abs(np.fft.fft2(squares)) ** 2 + _QUANTUM * np.square(window).sum()
    power = (power / power[:, _high(side)].mean(1)[:, None, None]).mean(0)
    around = [(i, j) for i in range(-4, 5) for j in range(-4, 5) if max(abs(i), abs(j)) in _NEAR]
    away = tuple(zip(*around, strict=True))
    found = []
    for i in range(0, side, CYCLES):
        for j in range(0, side, CYCLES):
            if i or j:
                rows, columns = ((at + np.array(step)) % side for at, step in zip((i, j), away, strict=True))
                found.append(power[i, j] / np.exp(np.log(power[rows, columns]).mean()))
    return float(np.mean(found))


def _grey(picture: ArrayLike, name: str) -> np.ndarray:
    pixels = np.asarray(picture, np.float64)
    if pixels.ndim == 3 and pixels.shape[2] == 3:
        pixels = pixels.mean(2)
    if pixels.ndim != 2 or not np.isfinite(pixels).all():
        raise ValueError(f"{name}: expected finite numbers (H, W, 3) or (H, W), got shape {np.shape(picture)}")
    return pixels


def _squares(pixels: np.ndarray, side: int) -> np.ndarray:
    """All squares of a grid that overlap by half, ``(n, side, side)``."""
    step = side // 2
    tops, lefts = (range(0, length - side + 1, step) for length in pixels.shape)
    return np.stack([pixels[y : y + side, x : x + side] for y in tops for x in lefts])


def _high(side: int) -> np.ndarray:
    """Which bins of a spectrum are neither the mean nor among the slowest waves, ``(side, side)``."""
    far = np.abs(np.fft.fftfreq(side, 1 / side))
    return np.maximum(far[:, None], far[None]) >= CYCLES // 2
