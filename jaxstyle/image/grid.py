"""Pictures of one size in a grid, to look at what a network does."""

from collections.abc import Sequence
from typing import Any

import numpy as np


def grid(rows: Sequence[Sequence[Any]], *, margin: int = 4) -> np.ndarray:
    """Lays equal-sized pictures out in a grid on white, for example content | style | result.

    Args:
      rows: rows of equally many pictures, each float (h, w, 3) in [0, 1].
      margin: white pixels between and around them.

    Returns:
      float32 (H, W, 3) in [0, 1].

    Raises:
      ValueError: no pictures, rows of different lengths, or pictures of different sizes.
    """
    placed = [[np.clip(np.asarray(picture, np.float32), 0, 1) for picture in row] for row in rows]
    shapes = {picture.shape for row in placed for picture in row}
    if len({len(row) for row in placed}) != 1 or len(shapes) != 1:
        raise ValueError(f"rows: {[len(row) for row in placed]} pictures of {sorted(shapes)}; expected a full grid")
    ((height, width, channels),) = shapes
    size = (margin + len(placed) * (height + margin), margin + len(placed[0]) * (width + margin), channels)
    out = np.ones(size, np.float32)
    for i, row in enumerate(placed):
        for j, picture in enumerate(row):
            y, x = margin + i * (height + margin), margin + j * (width + margin)
            out[y : y + height, x : x + width] = picture
    return out
