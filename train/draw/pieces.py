"""What several drawings are made of: noise, cells, brush strokes and a landscape.

Pictures are ``(H, W, 3)`` and fields ``(H, W)``, float32 in [0, 1], as in `train.augment`. A NumPy generator decides
everything that is random.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from PIL import Image, ImageDraw

from train.augment import Field, Picture, grid, paint, spread, to_float, waves

Colour = tuple[int, int, int]
Size = tuple[int, int]


def noise(size: Size, rng: np.random.Generator, cells: float, octaves: int = 4, gain: float = 0.5) -> Field:
    """Smooth noise with about ``cells`` hills along the longer side, and finer ones on them, each ``gain`` as high."""
    field = np.zeros(size, np.float32)
    for octave in range(octaves):
        field += np.float32(gain**octave) * waves(size, rng, cells * 2**octave)
    return spread(field)


def colours(*hexes: str) -> np.ndarray:
    """Colours such as ``"#e0a030"``, ``(n, 3)`` float32 in [0, 1]."""
    return np.array([[int(text[i : i + 2], 16) for i in (1, 3, 5)] for text in hexes], np.float32) / 255


def rgb(colour: np.ndarray) -> Colour:
    """A colour as Pillow takes it."""
    red, green, blue = (round(float(value) * 255) for value in np.clip(colour, 0, 1))
    return red, green, blue


def drawn(size: Size, ground: str, scale: int, draw: Callable[[ImageDraw.ImageDraw, int], None]) -> Picture:
    """What ``draw`` paints on a canvas ``scale`` times as large, scaled down: lines without steps.

    Args:
        size: (H, W) of the result.
        ground: colour of the empty canvas.
        scale: how much larger the canvas is.
        draw: called with Pillow's pen and ``scale``.
    """
    canvas = Image.new("RGB", (size[1] * scale, size[0] * scale), ground)
    draw(ImageDraw.Draw(canvas), scale)
    return to_float(np.asarray(canvas.resize((size[1], size[0]), Image.Resampling.BOX)))


def mask(size: Size, scale: int, draw: Callable[[ImageDraw.ImageDraw, int], None]) -> Field:
    """`drawn` in grey, on black."""
    return drawn(size, "#000000", scale, draw)[..., 0]


def sampled(x: Picture, rows: np.ndarray, columns: np.ndarray) -> np.ndarray:
    """The picture at places in pixels, those beyond its border at the border."""
    height, width = x.shape[:2]
    return x[np.clip(rows, 0, height - 1).astype(int), np.clip(columns, 0, width - 1).astype(int)]


def lit(x: Picture, height: Field, depth: float) -> Picture:
    """A relief of that height, with light from the upper left."""
    dy, dx = np.gradient(height)
    return np.clip(x * (1 - np.float32(depth) * (dx + dy))[..., None], 0, 1)


class Cells(NamedTuple):
    """Cells about points of a shaken lattice.

    Attributes:
        number: of the cell, (H, W).
        points: row and column of each, (n, 2).
        border: distance to the next cell's border in pixels, about, (H, W).
    """

    number: np.ndarray
    points: np.ndarray
    border: Field


def cells(size: Size, rng: np.random.Generator, side: float, shake: float = 0.9) -> Cells:
    """Cells of about ``side`` pixels; with ``shake`` 0 they are squares."""
    rows, columns = (int(np.ceil(edge / side)) + 4 for edge in size)
    at = np.moveaxis(np.mgrid[:rows, :columns], 0, -1) - 1.5 + shake * (rng.random((rows, columns, 2)) - 0.5)
    points = (at * side).astype(np.float32)
    y, x = grid(size)
    row, column = (y / side).astype(int) + 2, (x / side).astype(int) + 2  # of the lattice, whose first two lie outside
    near = np.full((2, *size), np.inf, np.float32)
    number = np.zeros(size, int)
    for up in (-2, -1, 0, 1):
        for left in (-2, -1, 0, 1):
            i, j = np.clip(row + up, 0, rows - 1), np.clip(column + left, 0, columns - 1)
            away = np.hypot(y - points[i, j, 0], x - points[i, j, 1])
            number = np.where(away < near[0], i * columns + j, number)
            near = np.sort(np.concatenate([near, away[None]]), axis=0)[:2]
    return Cells(number, points.reshape(-1, 2), (near[1] - near[0]) / 2)


class Brush(NamedTuple):
    """Strokes all over a picture.

    Attributes:
        length, width: pixels.
        turned: how much directions vary, radians.
        shade: how much colours vary, standard deviation.
        cover: how often a place is painted over.
    """

    length: float
    width: float
    turned: float = 0.2
    shade: float = 0.05
    cover: float = 3.0


def brushed(x: Picture, way: Field, rng: np.random.Generator, brush: Brush, ground: str) -> Picture:
    """A picture painted in short strokes.

    Args:
        x: gives the colours.
        way: direction of the strokes, radians.
        rng: decides places and shades.
        brush: what they are like.
        ground: colour of what stays free.
    """
    size = x.shape[:2]
    count = int(brush.cover * size[0] * size[1] / (brush.length * brush.width))
    places = rng.random((count, 2)) * size
    tones = sampled(x, places[:, 0], places[:, 1]) + rng.normal(0, brush.shade, (count, 1))
    tones = tones + rng.normal(0, brush.shade / 2, (count, 3))
    angles = sampled(way, places[:, 0], places[:, 1]) + rng.normal(0, brush.turned, count)
    lengths = brush.length * rng.uniform(0.6, 1.2, count)

    def strokes(pen: ImageDraw.ImageDraw, scale: int) -> None:
        for (y, x), angle, tone, length in zip(places * scale, angles, tones, lengths * scale / 2, strict=True):
            dy, dx = length * np.sin(angle), length * np.cos(angle)
            pen.line((x - dx, y - dy, x + dx, y + dy), fill=rgb(tone), width=max(1, round(brush.width * scale)))

    return drawn((size[0], size[1]), ground, 2, strokes)


def landscape(size: Size, rng: np.random.Generator, tones: Sequence[str], hills: int = 5) -> tuple[Picture, np.ndarray]:
    """Hills one behind the other under a sky with a sun.

    Args:
        size: (H, W).
        rng: decides where.
        tones: of the sky from top to horizon (three), the sun, and the hills from far to near (at least two).
        hills: how many.

    Returns:
        The picture, and of every pixel the number of its hill, 0 for the sky and -1 for the sun.
    """
    palette = colours(*tones)
    y, x = grid(size)
    horizon = 0.5
    picture = paint(np.clip(y / (size[0] * horizon), 0, 1), palette[:3], smooth=True)
    layer = np.zeros(size, int)
    sun = np.hypot(y - 0.27 * size[0], x - rng.uniform(0.3, 0.7) * size[1]) < 0.12 * size[0]
    picture[sun], layer[sun] = palette[3], -1
    for number in range(hills):
        near = number / max(hills - 1, 1)
        line = horizon + 0.44 * near - (0.2 - 0.08 * near) * (noise((1, size[1]), rng, 3, 3)[0] - 0.5)
        below = y > line * size[0]
        tone = paint(np.full((1, 1), near, np.float32), palette[4:], smooth=True)[0, 0]
        picture[below], layer[below] = tone, number + 1
    return picture, layer
