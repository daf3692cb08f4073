"""Drawings of materials: glass, stones, thread, marbled paper, crystal, copper, tiles, cut paper, neon, oil, cloth."""

from __future__ import annotations

import numpy as np
from PIL import ImageDraw

from train.augment import Picture, blur, grid, paint, spread
from train.draw.pieces import Brush, Size, brushed, cells, colours, drawn, landscape, lit, mask, noise, rgb, sampled


def stained_glass(size: Size, rng: np.random.Generator) -> Picture:
    """Panes of coloured glass, brighter in the middle, in dark lead."""
    panes = cells(size, rng, 46)
    jewels = colours("#8c1020", "#d8902c", "#123c8c", "#1f6f5a", "#5a1f6e", "#e8c860", "#2f7fb8", "#b8481f")
    scene, _ = landscape(size, rng, ["#123c8c", "#2f7fb8", "#e8c860", "#d8902c", "#5a1f6e", "#8c1020", "#1f6f5a"])
    own = sampled(scene, panes.points[:, 0], panes.points[:, 1])
    drawn_ones = jewels[rng.integers(len(jewels), size=len(own))]
    tone = np.where(rng.random((len(own), 1)) < 0.45, drawn_ones, own)[panes.number]
    light = 0.7 + 0.5 * np.clip(panes.border / 14, 0, 1) + 0.35 * (noise(size, rng, 26) - 0.5)
    glass = lit(tone * light[..., None], 6 * noise(size, rng, 40, 2), 0.25)
    return np.where((panes.border < 2.6)[..., None], np.float32(0.06), glass)


def mosaic(size: Size, rng: np.random.Generator) -> Picture:
    """Small stones in rows that follow the rings and the ground of a picture, in light mortar."""
    y, x = grid(size)
    cy, cx, stone = 0.46 * size[0], 0.5 * size[1], 11.0
    radius = np.hypot(y - cy, x - cx)
    ring = np.floor(radius / stone)
    around = np.maximum(np.round(2 * np.pi * (ring + 0.5)), 1)
    turn = (np.arctan2(y - cy, x - cx) / (2 * np.pi) + ring * 0.381) % 1 * around
    across, along = radius / stone - ring, turn % 1
    gap = np.minimum.reduce([across, 1 - across, along, 1 - along])
    number = (ring * 1009 + np.floor(turn)).astype(int)
    shade = rng.normal(0, 0.075, 65_536).astype(np.float32)
    bands = colours("#e9dcc0", "#c8742c", "#7a2a1c", "#e0b860", "#25506e", "#70a0a4", "#efe6d2", "#3b5a3a")
    order = np.array([4, 4, 5, 0, 3, 3, 1, 2, 2, 6, 6, 5, 4, 4, 0, 3, 1, 1, 7, 7, 5, 6, 0, 2, 2, 4, 4, 5, 6, 6])
    petals = (np.arctan2(y - cy, x - cx) * 8 / np.pi + 0.35 * ring) % 2 < 1
    index = order[np.minimum(ring.astype(int) // 1, len(order) - 1)]
    index = np.where(petals & (ring.astype(int) % 9 > 4), (index + 3) % len(bands), index)
    tone = bands[index] + shade[number % 65_536][..., None]
    tone = tone + 0.06 * (noise(size, rng, 90, 2) - 0.5)[..., None]
    tone = lit(np.clip(tone, 0, 1), 5 * np.clip(gap, 0, 0.22), 0.28)
    return np.where((gap < 0.08)[..., None], colours("#b8ab94")[0], tone)


def embroidery(size: Size, rng: np.random.Generator) -> Picture:
    """Shining thread in short stitches: flowers on dark cloth."""
    y, x = grid(size)
    cloth = colours("#1d2440")[0] * (1 + 0.22 * (np.sin(y * 1.9) * np.sin(x * 1.9)))[..., None]
    threads = colours("#d8344f", "#f2a03c", "#f6e3b0", "#3f9a6a", "#7fc4d8", "#b06ac0", "#f27a90")

    def stitches(pen: ImageDraw.ImageDraw, scale: int) -> None:
        def stitch(a: np.ndarray, b: np.ndarray, tone: np.ndarray) -> None:
            ends = (*(a[::-1] * scale), *(b[::-1] * scale))
            pen.line(ends, fill=rgb(tone * 0.45), width=4 * scale)
            pen.line(ends, fill=rgb(tone * rng.uniform(0.82, 1.12)), width=2 * scale)

        for _ in range(26):  # stems
            at, angle = rng.random(2) * size, rng.uniform(0, 2 * np.pi)
            for _ in range(int(rng.integers(12, 30))):
                angle += rng.normal(0.08, 0.12)
                step = 9 * np.array([np.sin(angle), np.cos(angle)])
                stitch(at, at + step, threads[3] * rng.uniform(0.7, 1.1))
                at = at + step * 0.9
        for number in range(60):  # flowers
            centre, petals, radius = rng.random(2) * size, int(rng.integers(5, 9)), rng.uniform(24, 56)
            tones = threads[[0, 1, 2, 4, 5, 6]][[number % 6, int(rng.integers(6))]]
            for angle in np.arange(0, 2 * np.pi, 2.2 / radius):
                reach = radius * (0.55 + 0.45 * abs(np.sin(angle * petals / 2)))
                way = np.array([np.sin(angle), np.cos(angle)])
                for part, (low, high) in enumerate(((0.55, 1.0), (0.2, 0.6))):
                    low, high = low + rng.uniform(-0.06, 0.06), high + rng.uniform(-0.06, 0.04)
                    stitch(centre + low * reach * way, centre + high * reach * way, tones[part])
            for _ in range(14):
                spot = centre + rng.normal(0, radius * 0.09, 2)
                stitch(spot, spot + rng.normal(0, 3, 2), threads[2])

    ink = drawn(size, "#000000", 2, stitches)
    return np.where(ink.max(-1, keepdims=True) > 0.05, ink, cloth)


def marbled_paper(size: Size, rng: np.random.Generator) -> Picture:
    """Ink on water, drawn into combs and curls: veins in red, blue, cream and gold."""
    y, x = grid(size)
    u, v = x / size[1], y / size[0]
    for number, bend in enumerate((0.16, 0.09, 0.05)):
        u, v = (
            u + bend * (noise(size, rng, 2 + 2 * number, 3) - 0.5),
            v + bend * (noise(size, rng, 2 + 2 * number, 3) - 0.5),
        )
    comb = v + 0.035 * np.abs((u * 11) % 2 - 1) ** 0.6 * np.sign(np.sin(u * 11 * np.pi))
    bands = (comb * 15 + 1.3 * noise(size, rng, 5, 4)) % 1
    tones = colours("#f3e9d2", "#a3242b", "#f3e9d2", "#1c3a63", "#d9a441", "#10203a", "#c65a3c")
    edges = np.array([0, 0.24, 0.42, 0.5, 0.7, 0.78, 0.9, 1.0])
    base = tones[np.clip(np.searchsorted(edges, bands, side="right") - 1, 0, len(tones) - 1)]
    stones = cells(size, rng, 30, 1.0)
    drop = (rng.random(len(stones.points)) < 0.16)[stones.number] & (stones.border > 5)
    tint = tones[rng.integers(len(tones), size=len(stones.points))][stones.number]
    return blur(np.where(drop[..., None], tint, base), 0.6)


def crystal(size: Size, rng: np.random.Generator) -> Picture:
    """Facets of ice and amethyst, each with a slope of light and a bright edge."""
    y, x = grid(size)
    out = np.zeros((*size, 3), np.float32)
    tones = colours("#101436", "#3d2f86", "#7a4fc0", "#4fb6d8", "#b7ecf4", "#f4d6f0")
    for side, share in ((74, 1.0), (34, 0.42)):
        facets = cells(size, rng, side, 1.0)
        count = len(facets.points)
        slope = rng.normal(0, 0.55 / side, (count, 2)).astype(np.float32)
        away_y, away_x = (w - facets.points[facets.number, i] for i, w in enumerate((y, x)))
        # three flanks about each point
        angle = (np.arctan2(away_y, away_x) + rng.uniform(0, 6.28, count)[facets.number]) % (2 * np.pi)
        flank = np.floor(angle / (2 * np.pi / 4)).astype(int)
        level = rng.uniform(0.05, 0.95, (count, 4)).astype(np.float32)[facets.number, flank]
        level = level + slope[facets.number, 0] * away_y + slope[facets.number, 1] * away_x
        face = paint(np.clip(0.75 * level + 0.25 * noise(size, rng, 3), 0, 1), tones, smooth=True)
        shown = (rng.random(count) < share)[facets.number]
        face = np.where((facets.border < 0.9)[..., None], np.float32(0.92), face)
        edge = np.minimum(angle % (np.pi / 2), np.pi / 2 - angle % (np.pi / 2)) * np.hypot(away_y, away_x)
        face = np.where((edge < 0.8)[..., None], 0.5 * face + 0.5, face)
        out = np.where(shown[..., None], face, out)
    return out


def circuit(size: Size, rng: np.random.Generator) -> Picture:
    """A board: copper lines in eight directions, pads, chips and vias on green."""
    cell = 14
    rows, columns = size[0] // cell + 1, size[1] // cell + 1
    taken = np.zeros((rows + 1, columns + 1), bool)
    ways = np.array([(0, 1), (1, 1), (1, 0), (1, -1), (0, -1), (-1, -1), (-1, 0), (-1, 1)])
    copper, green, gold, silk = "#5cc07c", "#0c3b2c", "#d9b45a", "#e6efe6"
    chips = []
    for place in rng.permutation(9)[:5]:  # of a board of three by three
        down, right, tall, wide = rng.integers((0, 0, 3, 3), (3, 3, 6, 6)).tolist()
        chips.append((1 + rows // 3 * int(place // 3) + down, 2 + columns // 3 * int(place % 3) + right, tall, wide))
    for top, left, tall, wide in chips:
        taken[top - 1 : top + tall + 2, left - 1 : left + wide + 2] = True

    def board(pen: ImageDraw.ImageDraw, scale: int) -> None:
        unit = cell * scale

        def pad(row: float, column: float, radius: float) -> None:
            x, y, r = column * unit, row * unit, radius * unit
            pen.ellipse((x - r, y - r, x + r, y + r), fill=gold)
            pen.ellipse((x - r / 2, y - r / 2, x + r / 2, y + r / 2), fill="#06140f")

        for _ in range(900):
            row, column = int(rng.integers(rows)), int(rng.integers(columns))
            if taken[row, column]:
                continue
            path, way = [(row, column)], int(rng.integers(8))
            taken[row, column] = True
            for _ in range(int(rng.integers(8, 30))):
                if rng.random() < 0.22:
                    way = (way + int(rng.choice((-1, 1)))) % 8
                row, column = row + ways[way][0], column + ways[way][1]
                if not (0 <= row <= rows and 0 <= column <= columns) or taken[row, column]:
                    break
                taken[row, column] = True
                path.append((row, column))
            if len(path) > 1:
                points = [(c * unit, r * unit) for r, c in path]
                pen.line(points, fill=copper, width=round(0.26 * unit), joint="curve")
                for end in (path[0], path[-1]):
                    pad(*end, 0.33)
        for top, left, tall, wide in chips:
            box = [left * unit, top * unit, (left + wide) * unit, (top + tall) * unit]
            for row in range(tall + 1):
                for column in (left - 0.5, left + wide + 0.5):
                    x, y = column * unit, (top + row) * unit
                    pen.rectangle((x - unit / 2, y - unit / 6, x + unit / 2, y + unit / 6), fill="#c9cdd0")
            pen.rectangle(box, fill="#16181c", outline=silk, width=scale)
            pen.ellipse(
                (box[0] + unit / 3, box[1] + unit / 3, box[0] + unit * 0.8, box[1] + unit * 0.8), fill="#50555c"
            )

    base = drawn(size, green, 2, board)
    return np.clip(base + 0.05 * (noise(size, rng, 60, 2) - 0.5)[..., None], 0, 1)


def girih(size: Size, rng: np.random.Generator) -> Picture:
    """Glazed tiles: eight-pointed stars and crosses in turquoise, cobalt, white and gold."""
    cell = size[0] / 4
    tones = ["#0f3f7a", "#1f9a9a", "#f2ede0", "#d3a336", "#0b2750", "#74c7c0"]

    def star(y: float, x: float, outer: float, inner: float, points: int, turn: float) -> list[tuple[float, float]]:
        angles = turn + np.arange(2 * points) * np.pi / points
        radii = np.where(np.arange(2 * points) % 2 == 0, outer, inner)
        return [(x + r * np.cos(a), y + r * np.sin(a)) for a, r in zip(angles, radii, strict=True)]

    def tiles(pen: ImageDraw.ImageDraw, scale: int) -> None:
        unit = cell * scale
        line = 2 * scale
        for row in range(-1, 6):
            for column in range(-1, 6):
                for dy, dx, kind in ((0.5, 0.5, 0), (0, 0, 1)):
                    y, x = (row + dy) * unit, (column + dx) * unit
                    rings = ((0.5, 0.37, tones[kind]), (0.43, 0.3, tones[2]), (0.36, 0.26, tones[1 - kind]))
                    for outer, inner, tone in rings:
                        pen.polygon(
                            star(y, x, outer * unit, inner * unit, 8, np.pi / 8),
                            fill=tone,
                            outline="#f6f1e4",
                            width=line,
                        )
                    for outer, inner, tone in ((0.25, 0.13, tones[3]), (0.17, 0.08, tones[4]), (0.09, 0.05, tones[2])):
                        pen.polygon(
                            star(y, x, outer * unit, inner * unit, 8, 0), fill=tone, outline="#f6f1e4", width=line
                        )
                for dy, dx in ((0.5, 0), (0, 0.5)):
                    y, x = (row + dy) * unit, (column + dx) * unit
                    pen.polygon(star(y, x, 0.2 * unit, 0.1 * unit, 4, 0), fill=tones[5], outline="#f6f1e4", width=line)
                    pen.polygon(star(y, x, 0.1 * unit, 0.05 * unit, 4, np.pi / 4), fill=tones[3])

    glaze = drawn(size, tones[4], 2, tiles)
    worn = 0.86 + 0.24 * noise(size, rng, 9)
    return np.clip(glaze * worn[..., None] + 0.04 * (noise(size, rng, 110, 2) - 0.5)[..., None], 0, 1)


def cut_paper(size: Size, rng: np.random.Generator) -> Picture:
    """Layers of coloured paper, each with its shadow on the one below."""
    tones = colours("#fdf1d8", "#f7c873", "#ef8a52", "#d84c4c", "#8c2f55", "#3d2352", "#1b1436")
    height = noise(size, rng, 3.2, 2)
    out = np.broadcast_to(tones[0], (*size, 3)).copy()
    for number in range(1, len(tones)):
        inside = height > number / len(tones) * 0.92 + 0.02
        shadow = blur(np.repeat(np.roll(inside, (7, 6), (0, 1)).astype(np.float32)[..., None], 3, -1), 5)
        out = out * (1 - 0.5 * shadow)
        out[inside] = tones[number]
    fibres = noise(size, rng, 150, 2) - 0.5
    return np.clip(out + 0.055 * fibres[..., None], 0, 1)


def neon(size: Size, rng: np.random.Generator) -> Picture:
    """Glowing tubes before a dark brick wall."""
    y, x = grid(size)
    row = np.floor(y / 18)
    brick = (np.minimum(y % 18, (x + 20 * (row % 2)) % 40) > 2).astype(np.float32)
    wall = colours("#171126")[0] * (0.55 + 0.6 * brick * (0.7 + 0.5 * noise(size, rng, 60, 2)))[..., None]
    out = wall.astype(np.float32)
    for number, tone in enumerate(colours("#ff2e88", "#27e0ff", "#ffd23c", "#8f5bff", "#3dff9a")):

        def tubes(pen: ImageDraw.ImageDraw, scale: int, number: int = number) -> None:
            for _ in range(9):
                cy, cx, r = (*(rng.random(2) * size * scale), rng.uniform(20, 90) * scale)
                if number % 3 == 0:
                    start, end = rng.uniform(0, 360, 2).tolist()
                    pen.arc((cx - r, cy - r, cx + r, cy + r), start, end, fill="#ffffff", width=3 * scale)
                else:
                    t = np.linspace(0, 1, 60)
                    turn, bend = rng.uniform(0, 6.28), rng.uniform(0.5, 2.5)
                    curve = turn + bend * np.sin(2 * np.pi * t * rng.uniform(0.4, 1.4))
                    xs, ys = cx + np.cumsum(np.cos(curve)) * r / 14, cy + np.cumsum(np.sin(curve)) * r / 14
                    pen.line(
                        list(zip(xs.tolist(), ys.tolist(), strict=True)), fill="#ffffff", width=3 * scale, joint="curve"
                    )

        tube = mask(size, 2, tubes)[..., None]
        glow = sum(weight * glow_of(tube, radius) for radius, weight in ((5, 0.9), (16, 0.9), (40, 1.1)))
        out = out + tone * glow + tube * (0.35 + 0.65 * tone)
    return np.clip(out, 0, 1)


def glow_of(tube: np.ndarray, radius: float) -> np.ndarray:
    """Light about a mask ``(H, W, 1)``."""
    return blur(np.repeat(tube, 3, -1), radius)[..., :1]


def impasto(size: Size, rng: np.random.Generator) -> Picture:
    """Thick oil paint in swirls: a wheat field at evening, the strokes in relief."""
    tones = ["#1f4e9a", "#5aa0c8", "#f6d98a", "#fff0a8", "#2f6f5a", "#e0a72c", "#f2c53d", "#8a5a1c"]
    scene, layer = landscape(size, rng, tones)
    way = 2.6 * np.pi * (noise(size, rng, 2.5, 2) - 0.5) + np.where(layer > 2, 1.2, 0.0)
    wide = brushed(scene, way, rng, Brush(34, 7, 0.25, 0.07, 3), "#28466a")
    fine = brushed(wide, way, rng, Brush(24, 4, 0.3, 0.11, 2.2), "#000000")
    paint_on = np.where(fine.max(-1, keepdims=True) > 0, fine, wide)
    return lit(paint_on, 4 * blur(paint_on, 0.7).mean(-1), 0.55)


def batik(size: Size, rng: np.random.Generator) -> Picture:
    """Dyed cloth: light dots and leaves on indigo, with the fine cracks of the wax."""
    y, x = grid(size)
    swirl = np.arctan2(y - size[0] / 2, x - size[1] / 2) * 6 / np.pi + np.hypot(y - size[0] / 2, x - size[1] / 2) / 34

    def figures(pen: ImageDraw.ImageDraw, scale: int) -> None:
        for _ in range(44):
            cy, cx, r = (*(rng.random(2) * size * scale), rng.uniform(14, 40) * scale)
            kind, turn = int(rng.integers(3)), rng.uniform(0, 6.28)
            if kind == 0:
                for part in (1.0, 0.72, 0.44):
                    pen.ellipse(
                        (cx - r * part, cy - r * part, cx + r * part, cy + r * part), outline="#ffffff", width=3 * scale
                    )
                continue
            for angle in turn + np.arange(0, 6.28, 6.28 / (6 + 3 * kind)):
                tip, side = np.array([np.cos(angle), np.sin(angle)]), np.array([-np.sin(angle), np.cos(angle)])
                leaf = [(0, 0), (0.5, 0.16 * kind), (1, 0), (0.5, -0.16 * kind)]
                points = [(cx + r * (a * tip[0] + b * side[0]), cy + r * (a * tip[1] + b * side[1])) for a, b in leaf]
                pen.polygon(points, fill="#ffffff")

    wax = np.maximum(mask(size, 2, figures), 0.8 * ((swirl % 1 < 0.16) & (np.floor(swirl) % 2 == 0)))
    dye = paint(noise(size, rng, 4), colours("#0e1e4a", "#1d3f86", "#3a2a6a"), smooth=True)
    cloth = paint(noise(size, rng, 5), colours("#f0dfc0", "#e2a95c", "#f6ecd8"), smooth=True)
    cracks = spread(cells(size, rng, 15, 1.0).border)
    out = np.where((wax > 0.4)[..., None], cloth, dye)
    line = (cracks < 0.08)[..., None] & (noise(size, rng, 6) > 0.45)[..., None]
    out = np.where(line, 0.5 * out + 0.5 * np.where((wax > 0.4)[..., None], dye, cloth), out)
    return blur(out, 0.5)
