"""Rows of pictures at half their size: means of 2 x 2 samples, as the rows come."""

from __future__ import annotations

import numpy as np


def halved(rows: np.ndarray) -> np.ndarray:
    """Means of 2 x 2 samples, rounded to nearest, halves upwards.

    Args:
      rows: uint8 or uint16 ``(h, w, C)``; the last row and column of an odd number stand for their pairs.

    Returns:
      The same type, ``(ceil(h / 2), ceil(w / 2), C)``.
    """
    height, width = rows.shape[:2]
    even = np.pad(rows, ((0, height % 2), (0, width % 2), (0, 0)), mode="edge")
    quads = even.reshape(even.shape[0] // 2, 2, even.shape[1] // 2, 2, even.shape[2])
    total = quads.sum((1, 3), dtype=np.uint16 if rows.dtype == np.uint8 else np.uint32)
    return ((total + 2) >> 2).astype(rows.dtype)


class Halving:
    """`halved` of a picture whose rows come in bands of any height, from top to bottom."""

    def __init__(self) -> None:
        self._single: np.ndarray | None = None  # a row that waits for the second one of its pair

    def add(self, band: np.ndarray) -> np.ndarray:
        """The rows ``(n, ceil(w / 2), C)``, n >= 0, that are complete with this band ``(h, w, C)``."""
        if self._single is not None:
            band = np.concatenate([self._single, band])
        even = len(band) // 2 * 2
        self._single = band[even:].copy() if even < len(band) else None
        return halved(band[:even])

    def finish(self) -> np.ndarray | None:
        """The last row, of a picture with an odd number of them."""
        single, self._single = self._single, None
        return None if single is None else halved(single)
