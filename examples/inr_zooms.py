"""Five zooms of a fitted picture, below each the same part of its picture enlarged with a bicubic filter:
``python examples/inr_zooms.py FIT OUT [X,Y]``. X,Y is the place in the middle, in the coordinates of ``--region``.
"""

import sys

import numpy as np
from PIL import Image

import jaxstyle

ZOOMS = (1, 2, 3, 5, 8)
SIDE = 200
"""Of a cell, in pixels; at a zoom of 1 it shows as many of the picture fitted to."""


def cell(params: jaxstyle.InrParams, whole: Image.Image, zoom: float, middle: tuple[float, float]) -> np.ndarray:
    """The fit's part of the picture, and below it that of its enlarged pixels."""
    box = []  # left, top, right, bottom in pixels of the picture fitted to
    for at, side in zip(middle, params.size, strict=True):
        low = min(max((at + 1) / 2 * side - SIDE / zoom / 2, 0), side - SIDE / zoom)
        box.append((low, low + SIDE / zoom))
    (left, right), (top, bottom) = box
    edges = [2 * v / side - 1 for v, side in zip((left, top, right, bottom), 2 * params.size, strict=True)]
    region = (edges[0], edges[1], edges[2], edges[3])
    near = np.asarray(jaxstyle.render_image(params, (SIDE, SIDE), region=region))
    far = whole.resize((SIDE, SIDE), Image.Resampling.BICUBIC, box=(left, top, right, bottom))
    return np.vstack([np.uint8(255 * near + 0.5), np.asarray(far)])


def main() -> None:
    params = jaxstyle.inr.load(sys.argv[1])
    x, y = map(float, sys.argv[3].split(",")) if len(sys.argv) > 3 else (0.0, 0.0)
    whole = Image.fromarray(np.uint8(255 * np.asarray(jaxstyle.render_image(params)) + 0.5))
    page = np.hstack([cell(params, whole, zoom, (x, y)) for zoom in ZOOMS])
    Image.fromarray(page).save(sys.argv[2], quality=88)


if __name__ == "__main__":
    main()
