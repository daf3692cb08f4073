"""A wider world of styles: recoloured, flattened and mixed paintings, and patterns that nobody painted.

Pure functions of a picture and a NumPy generator: the same generator state, the same result. Pictures are ``(H, W, 3)``
float32 in [0, 1], unless said otherwise. A decoder trained on a few thousand paintings knows their colours and little
else; strong, flat or graphic styles are rare among them. `augment_style` draws what is missing.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

Picture = np.ndarray  # (H, W, 3) float32 in [0, 1]
Field = np.ndarray  # (H, W) float32 in [0, 1]

LUMA = np.array([0.299, 0.587, 0.114], np.float32)


def augment_style(
    pixels: np.ndarray, rng: np.random.Generator, other: Callable[[], np.ndarray], patterns: float = 0.12
) -> np.ndarray:
    """A new style made from a crop of a painting.

    Args:
        pixels: ``(H, W, 3)`` uint8.
        rng: decides everything.
        other: gives the crop of another painting, of the same shape and type; called at most once.
        patterns: share of styles that are patterns without a painting.

    Returns:
        ``(H, W, 3)`` uint8.
    """
    if rng.random() < patterns:
        return to_uint8(pattern(pixels.shape[:2], rng))
    x = to_float(pixels)
    if rng.random() < 0.2:
        x = mix(x, to_float(other()), rng)
    if rng.random() < 0.25:
        graphic = (mosaic, outline, woodcut, flatten)[rng.integers(4)]
        x = graphic(x, rng)
    if rng.random() < 0.15:
        x = 1 - x
    if rng.random() < 0.2:
        x = posterize(x, int(rng.integers(2, 5)))
    x = in_palette(x, rng) if rng.random() < 0.15 else recolour(x, rng)
    return to_uint8(x)


# ---- colours -------------------------------------------------------------------------------------------------


def recolour(x: Picture, rng: np.random.Generator) -> Picture:
    """Another hue, saturation (0 to 2.2), contrast (0.6 to 2.2), gamma and brightness."""
    x = turn_hue(x, float(rng.uniform(0, 2 * np.pi)) if rng.random() < 0.7 else 0.0)
    grey = luminance(x)[..., None]
    x = grey + (x - grey) * np.float32(rng.uniform(0, 2.2))
    mean = x.mean((0, 1))
    x = mean + (x - mean) * np.float32(np.exp(rng.uniform(np.log(0.6), np.log(2.2))))
    x = np.clip(x + np.float32(rng.uniform(-0.2, 0.2)), 0, 1)
    return x ** np.float32(np.exp(rng.uniform(-0.5, 0.5)))


def turn_hue(x: Picture, angle: float) -> Picture:
    """Turns the colours about the grey axis by ``angle`` radians; not clipped."""
    cos, third = np.cos(angle), (1 - np.cos(angle)) / 3
    side = np.sin(angle) / np.sqrt(3)
    rows = [[cos + third, third - side, third + side], [third + side, cos + third, third - side]]
    rows.append([third - side, third + side, cos + third])
    return x @ np.array(rows, np.float32).T


def posterize(x: Picture, levels: int) -> Picture:
    """Rounds every channel to ``levels`` values from 0 to 1."""
    return np.rint(np.clip(x, 0, 1) * (levels - 1)).astype(np.float32) / np.float32(levels - 1)


def in_palette(x: Picture, rng: np.random.Generator) -> Picture:
    """Dark to light along two to five drawn colours; half of the time in flat steps."""
    return paint(spread(luminance(x)), palette(rng), smooth=bool(rng.random() < 0.5))


def palette(rng: np.random.Generator) -> np.ndarray:
    """Two to five colours, ``(n, 3)`` float32 in [0, 1]; often with black or white among them."""
    colours = rng.random((int(rng.integers(2, 6)), 3))
    grey = colours.mean(1, keepdims=True)
    colours = np.clip(grey + (colours - grey) * rng.uniform(0.2, 2.5), 0, 1)
    if rng.random() < 0.4:
        colours[0] = rng.uniform(0, 0.12)
    if rng.random() < 0.4:
        colours[-1] = rng.uniform(0.88, 1)
    return colours.astype(np.float32)


def paint(field: Field, colours: np.ndarray, *, smooth: bool) -> Picture:
    """0 to 1 -> the first to the last of the colours ``(n, 3)``: blended if ``smooth``, else in n flat steps."""
    n = len(colours)
    if not smooth:
        return colours[np.minimum((field * n).astype(int), n - 1)]
    place = np.arange(n, dtype=np.float32) / (n - 1)
    return np.stack([np.interp(field, place, colours[:, i]) for i in range(3)], -1).astype(np.float32)


def luminance(x: Picture) -> Field:
    """Weighted sum of the channels, ``(H, W)``."""
    return x @ LUMA


def spread(field: Field) -> Field:
    """Scales and clips a field so that it covers [0, 1] but for 2 % at either end; a flat one becomes 0."""
    low, high = np.quantile(field, (0.02, 0.98))
    return np.clip((field - low) / max(high - low, 1e-3), 0, 1).astype(np.float32)


# ---- a painting made graphic -----------------------------------------------------------------------------------


def mix(x: Picture, y: Picture, rng: np.random.Generator) -> Picture:
    """Two paintings in one: blended, or each in its part of the picture."""
    if rng.random() < 0.5:
        return x + (y - x) * np.float32(rng.uniform(0.2, 0.8))
    return np.where(waves(x.shape[:2], rng, 2.0)[..., None] < rng.uniform(0.3, 0.7), x, y)


def mosaic(x: Picture, rng: np.random.Generator) -> Picture:
    """Cells of one colour each; half of the time with dark or light joints."""
    first, second, cell, points = _cells(x.shape[:2], rng)
    out = x[points[:, 0], points[:, 1]][cell]
    if rng.random() < 0.5:
        joint = np.sqrt(second) - np.sqrt(first) < rng.uniform(0.8, 2.5)
        out = np.where(joint[..., None], np.float32(rng.choice((0.05, 0.95))), out)
    return out


def outline(x: Picture, rng: np.random.Generator) -> Picture:
    """Dark, or light, lines where the luminance changes; half of the time on flattened colours."""
    soft = blur(x, rng.uniform(0.7, 2))
    dy, dx = np.gradient(luminance(soft))
    slope = np.hypot(dy, dx)
    line = slope > np.quantile(slope, rng.uniform(0.75, 0.93))
    base = posterize(soft, int(rng.integers(2, 5))) if rng.random() < 0.5 else x
    return np.where(line[..., None], np.float32(rng.choice((0.02, 0.02, 0.98))), base)


def woodcut(x: Picture, rng: np.random.Generator) -> Picture:
    """Lines of one colour on another, wide where the painting is dark."""
    phase = _along(x.shape[:2], rng, rng.uniform(3, 9), bend=1.5)
    line = 0.5 + 0.5 * np.sin(2 * np.pi * phase)
    ink = line > spread(luminance(blur(x, 1.0)))
    colours = palette(rng)
    return np.where(ink[..., None], colours[0], colours[-1])


def flatten(x: Picture, rng: np.random.Generator) -> Picture:
    """Flat regions: blurred, then posterized."""
    return posterize(blur(x, rng.uniform(1, 4)), int(rng.integers(2, 5)))


# ---- patterns ----------------------------------------------------------------------------------------------------


def pattern(size: tuple[int, int], rng: np.random.Generator) -> Picture:
    """A pattern in two to five colours: stripes, rings, checkers, dots, mosaic, strokes or waves; ``size``: (H, W)."""
    kind = (stripes, rings, checkers, dots, tiles, strokes, clouds)[rng.integers(7)]
    x = paint(kind(size, rng), palette(rng), smooth=bool(rng.random() < 0.3))
    if rng.random() < 0.4:
        x = x + rng.normal(0, rng.uniform(0.01, 0.12), (*size, 1)).astype(np.float32)
    if rng.random() < 0.4:
        x = x * (1 + np.float32(rng.uniform(-0.5, 0.5)) * waves(size, rng, 3.0)[..., None])
    return np.clip(x, 0, 1).astype(np.float32)


def stripes(size: tuple[int, int], rng: np.random.Generator) -> Field:
    """Bent stripes."""
    return _along(size, rng, rng.uniform(5, 32), bend=rng.uniform(0, 2)) % 1


def rings(size: tuple[int, int], rng: np.random.Generator) -> Field:
    """Rings about a point."""
    y, x = grid(size)
    cy, cx = rng.uniform(-0.2, 1.2, 2) * size
    wobble = rng.uniform(0, 1.5) * waves(size, rng, 3.0)
    return ((np.hypot(y - cy, x - cx) / rng.uniform(6, 30) + wobble) % 1).astype(np.float32)


def checkers(size: tuple[int, int], rng: np.random.Generator) -> Field:
    """A board, turned, of drawn values."""
    cell = rng.uniform(5, 28)
    u, v = _turned(size, rng)
    rows, columns = (np.floor(w / cell).astype(int) for w in (u, v))
    values = rng.random((97, 89)).astype(np.float32)
    even = ((rows + columns) % 2).astype(np.float32)
    return even if rng.random() < 0.5 else values[rows % 97, columns % 89]


def dots(size: tuple[int, int], rng: np.random.Generator) -> Field:
    """Discs on a turned lattice, of one radius or of many."""
    cell = rng.uniform(5, 22)
    u, v = _turned(size, rng)
    rows, columns = (np.floor(w / cell).astype(int) for w in (u, v))
    values = rng.random((97, 89)).astype(np.float32)[rows % 97, columns % 89]
    away = np.hypot(u / cell - rows - 0.5, v / cell - columns - 0.5)
    radius = rng.uniform(0.2, 0.5) * (1 if rng.random() < 0.5 else 0.4 + 0.6 * values)
    return np.where(away < radius, 0.3 + 0.7 * values, 0).astype(np.float32)


def tiles(size: tuple[int, int], rng: np.random.Generator) -> Field:
    """Cells of drawn values about drawn points."""
    _, _, cell, points = _cells(size, rng)
    return rng.random(len(points)).astype(np.float32)[cell]


def strokes(size: tuple[int, int], rng: np.random.Generator) -> Field:
    """Short brush strokes over each other, all about one direction."""
    canvas = Image.new("L", (size[1], size[0]), int(rng.integers(256)))
    draw = ImageDraw.Draw(canvas)
    length, width, way = rng.uniform(6, 40), int(rng.integers(1, 9)), rng.uniform(0, np.pi)
    spread_of_angles = rng.choice((0.1, 0.5, 3.0))
    count = int(min(900, 2.5 * size[0] * size[1] / (length * width)))
    places = rng.uniform(0, 1, (count, 2)) * size
    angles = way + rng.normal(0, spread_of_angles, count)
    for (y, x), angle, value in zip(places, angles, rng.integers(0, 256, count), strict=True):
        dy, dx = 0.5 * length * np.sin(angle), 0.5 * length * np.cos(angle)
        draw.line((x - dx, y - dy, x + dx, y + dy), fill=int(value), width=width)
    return np.asarray(canvas, np.float32) / 255


def clouds(size: tuple[int, int], rng: np.random.Generator) -> Field:
    """Smooth waves of a drawn length."""
    return waves(size, rng, float(np.exp(rng.uniform(np.log(2), np.log(14)))))


def waves(size: tuple[int, int], rng: np.random.Generator, cells: float) -> Field:
    """A smooth random field with about ``cells`` hills along the longer side."""
    small = rng.random((int(cells) + 3, int(cells) + 3)).astype(np.float32)
    field = Image.fromarray(small).resize((size[1], size[0]), Image.Resampling.BICUBIC)
    return spread(np.asarray(field, np.float32))


# ---- pieces --------------------------------------------------------------------------------------------------------


def grid(size: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    y, x = np.mgrid[: size[0], : size[1]].astype(np.float32)
    return y, x


def _turned(size: tuple[int, int], rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Coordinates in pixels along two axes at right angles in a drawn direction."""
    y, x = grid(size)
    angle = rng.uniform(0, 2 * np.pi)
    return y * np.cos(angle) + x * np.sin(angle), x * np.cos(angle) - y * np.sin(angle)


def _along(size: tuple[int, int], rng: np.random.Generator, period: float, bend: float) -> Field:
    """Periods passed along a drawn direction; ``bend``: by how many periods the lines wander."""
    return (_turned(size, rng)[0] / period + bend * waves(size, rng, 3.0)).astype(np.float32)


def _cells(size: tuple[int, int], rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Squared distances to the nearest and second point, the nearest's index, each (H, W), and the points (n, 2)."""
    count = int(np.exp(rng.uniform(np.log(10), np.log(220))))
    points = np.stack([rng.integers(0, side, count) for side in size], -1)
    y, x = grid(size)
    away = (y[..., None] - points[:, 0]) ** 2 + (x[..., None] - points[:, 1]) ** 2  # (H, W, n)
    first, second = np.moveaxis(np.partition(away, 1, axis=-1)[..., :2], -1, 0)
    return first, second, away.argmin(-1), points


def blur(x: Picture, radius: float) -> Picture:
    return to_float(np.asarray(Image.fromarray(to_uint8(x)).filter(ImageFilter.GaussianBlur(radius))))


def to_float(pixels: np.ndarray) -> Picture:
    return pixels.astype(np.float32) / np.float32(255)


def to_uint8(x: Picture) -> np.ndarray:
    return (np.clip(x, 0, 1) * 255 + 0.5).astype(np.uint8)
