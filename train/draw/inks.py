"""Drawings on paper: printed, cut in wood, dotted, washed, hatched and ruled."""

from __future__ import annotations

import numpy as np
from PIL import ImageDraw

from train.augment import Picture, blur, grid, luminance, paint
from train.draw.pieces import Brush, Size, brushed, colours, drawn, landscape, mask, noise, rgb, sampled


def halftone(size: Size, rng: np.random.Generator) -> Picture:
    """A comic's print: flat shapes with heavy outlines, in dots of cyan, magenta and yellow."""
    scene, layer = landscape(
        size, rng, ["#2a7fe0", "#7ac4ff", "#fff3a0", "#ff4a3a", "#ff9a3a", "#e02a7a", "#3a2a9a"], 4
    )
    y, x = grid(size)
    rays = (np.arctan2(y - 0.27 * size[0], x - 0.5 * size[1]) * 9 / np.pi) % 1 < 0.5
    scene = np.where(((layer == 0) & rays)[..., None], colours("#ffe14a")[0], scene)
    out = np.broadcast_to(colours("#fff8ea")[0], (*size, 3)).copy()
    inks = colours("#00a5e8", "#ec1a7c", "#ffe000")
    for channel, angle in enumerate((0.26, 1.31, 0.0)):
        u, v = x * np.cos(angle) + y * np.sin(angle), y * np.cos(angle) - x * np.sin(angle)
        away = np.hypot(u % 7 - 3.5, v % 7 - 3.5) / 3.5
        amount = 1 - blur(scene, 1.5)[..., channel]
        edge = np.clip((np.sqrt(amount) * 1.28 - away) * 3.5 + 0.5, 0, 1)[..., None]
        out = out * (1 - edge + edge * inks[channel])
    border = np.zeros(size, bool)
    for shift in ((0, 1), (1, 0), (0, 2), (2, 0), (0, 3), (3, 0), (1, 1), (2, 2)):
        moved = np.roll(layer, shift, (0, 1))
        border |= moved != layer
    border[:3] = border[:, :3] = False
    return np.where(blur(np.repeat(border[..., None].astype(np.float32), 3, -1), 0.7) > 0.4, np.float32(0.05), out)


def woodcut(size: Size, rng: np.random.Generator) -> Picture:
    """Black lines on cream, swelling where it is dark, each hill cut in its own direction; a red sun."""
    scene, layer = landscape(
        size, rng, ["#404040", "#909090", "#f0f0f0", "#ffffff", "#b0b0b0", "#707070", "#202020"], 6
    )
    y, x = grid(size)
    dark = 1 - luminance(blur(scene, 3))
    dark = np.clip(dark + 0.35 * (noise(size, rng, 5) - 0.5), 0.08, 0.92)
    bend = 26 * noise(size, rng, 3, 3)
    line = np.zeros(size, np.float32)
    for number in range(-1, 7):
        angle = 1.57 if number == 0 else 0.5 + 0.62 * number
        phase = (x * np.cos(angle) + y * np.sin(angle) + bend) / 8.5
        if number == 0:
            phase = np.hypot(y - 0.27 * size[0], x - 0.5 * size[1]) / 9 + 0.1 * bend
        line = np.where(layer == number, np.abs(phase % 1 - 0.5) * 2, line)
    ink = np.clip((dark - line) * 7 + 0.5 + 1.2 * (noise(size, rng, 90, 2) - 0.5), 0, 1)
    paper = colours("#efe2c4")[0] + 0.05 * (noise(size, rng, 60, 2) - 0.5)[..., None]
    ground = np.where((layer == -1)[..., None], colours("#c23a22")[0], paper)
    return ground + (colours("#1c1712")[0] - ground) * np.where(layer == -1, 0, ink)[..., None]


def pointillism(size: Size, rng: np.random.Generator) -> Picture:
    """Dots of pure colour: a bay at evening, warm dots among cold ones."""
    tones = ["#5a7ad0", "#f0a8b0", "#ffe09a", "#fff4c0", "#8a8ad0", "#4aa08a", "#3a6a3a", "#c0a040"]
    scene, _ = landscape(size, rng, tones)
    count = 30_000
    places = rng.random((count, 2)) * size
    tone = sampled(scene, places[:, 0], places[:, 1])
    grey = tone.mean(1, keepdims=True)
    tone = grey + (tone - grey) * 1.5 + rng.normal(0, 0.15, (count, 3))
    other = rng.random((count, 1)) < 0.2
    tone = np.where(other, 1.1 - tone[:, [1, 2, 0]] * 0.75, tone)

    def dots(pen: ImageDraw.ImageDraw, scale: int) -> None:
        for (y, x), colour, radius in zip(places * scale, tone, rng.uniform(1.6, 3.2, count) * scale, strict=True):
            pen.ellipse((x - radius, y - radius, x + radius, y + radius), fill=rgb(colour))

    return drawn(size, "#f2e8d0", 2, dots)


def watercolour(size: Size, rng: np.random.Generator) -> Picture:
    """Wet washes with dark rims that run into each other, on rough white paper."""
    out = np.broadcast_to(colours("#fbf8f0")[0], (*size, 3)).copy()
    washes = colours("#3f86b8", "#e58a9a", "#f6c648", "#5fb890", "#9a78c8", "#f07a50", "#4a86c8", "#b4d060")
    y, x = grid(size)
    rough = noise(size, rng, 130, 2)
    for number in range(15):
        cy, cx = rng.random(2) * size
        reach = rng.uniform(0.12, 0.27) * size[0]
        shape = 1 - np.hypot(y - cy, (x - cx) * rng.uniform(0.6, 1.4)) / reach + 0.9 * (noise(size, rng, 5, 5) - 0.5)
        inside = np.clip(shape * 22 + 0.5, 0, 1)
        rim = np.exp(-((shape * reach / 4) ** 2)) * inside
        flow = noise(size, rng, 4, 4)
        strength = inside * (0.12 + 0.5 * flow + 0.2 * (rough - 0.5)) + 0.28 * rim
        pigment = washes[number % len(washes)]
        out = out * np.exp(-np.clip(strength, 0, 1.4)[..., None] * (-np.log(np.clip(pigment, 0.06, 0.98))))
    return np.clip(out * (0.95 + 0.08 * rough[..., None]), 0, 1)


def ink_wash(size: Size, rng: np.random.Generator) -> Picture:
    """Mountains in mist and a branch, in black ink on rice paper, with a red seal."""
    paper = colours("#ece4d2")[0] + 0.04 * (noise(size, rng, 70, 3) - 0.5)[..., None]
    out = paper.astype(np.float32)
    y, x = grid(size)
    for number in range(5):
        near = number / 4
        line = size[0] * (0.3 + 0.5 * near - (0.34 - 0.2 * near) * (noise((1, size[1]), rng, 3 + number, 5)[0] - 0.4))
        depth = y - line
        mist = np.exp(-np.clip(depth, 0, None) / (0.13 * size[0])) * (depth > 0)
        texture = 0.55 + 0.75 * noise(size, rng, 14, 5)
        out = out * (1 - np.clip((0.28 + 0.6 * near) * mist * texture, 0, 0.95)[..., None])

    def branch(pen: ImageDraw.ImageDraw, scale: int) -> None:
        def grow(at: np.ndarray, angle: float, width: float, left: int) -> None:
            for _ in range(left):
                angle += rng.normal(0, 0.22)
                end = at + 13 * scale * np.array([np.sin(angle), np.cos(angle)])
                pen.line((*at[::-1], *end[::-1]), fill="#ffffff", width=max(1, round(width * scale)))
                at, width = end, width * 0.93
                if width > 1.2 and rng.random() < 0.35:
                    grow(at, angle + rng.choice((-0.9, 0.9)), width * 0.6, left // 2)
                if width < 4:
                    for _ in range(2):
                        leaf = at + rng.normal(0, 9 * scale, 2)
                        tip = leaf + 11 * scale * np.array([np.sin(angle + 1), np.cos(angle + 1)])
                        pen.line((*leaf[::-1], *tip[::-1]), fill="#ffffff", width=round(rng.uniform(1, 4) * scale))

        grow(np.array([0.62 * size[0], -5.0]) * scale, -0.5, 9, 17)
        grow(np.array([0.05 * size[0], size[1] + 5.0]) * scale, 2.6, 6, 10)

    ink = mask(size, 2, branch) * (0.72 + 0.35 * noise(size, rng, 30, 3))
    out = out * (1 - np.clip(ink, 0, 0.94)[..., None])
    seal = (np.abs(y - 0.88 * size[0]) < 20) & (np.abs(x - 0.9 * size[1]) < 17)
    bars = (y // 5 + x // 8).astype(int) % 3 == 0
    out[seal] = colours("#b8281f")[0]
    out[seal & bars & (noise(size, rng, 40, 2) > 0.35)] = colours("#ece4d2")[0]
    return np.clip(out, 0, 1)


def waves(size: Size, rng: np.random.Generator) -> Picture:
    """Rows of round waves, each of rings of indigo and white, with foam, under a pale sky."""
    radius = size[1] / 5.5
    tones = ["#12305a", "#f3ead6", "#1f4f86", "#f3ead6", "#3f7fae", "#f3ead6", "#9cc3cf"]

    def sea(pen: ImageDraw.ImageDraw, scale: int) -> None:
        for row in range(-1, 20):
            for column in range(-2, 12):
                y = (0.1 * size[0] + row * radius * 0.52) * scale
                x = (column + row % 2 * 0.5) * radius * scale
                size_of = radius * scale * (0.56 + 0.05 * np.sin(row * 1.7 + column * 2.3))
                for part, tone in zip((1, 0.9, 0.78, 0.64, 0.52, 0.36, 0.26), tones, strict=True):
                    r = size_of * part
                    pen.ellipse((x - r, y - r, x + r, y + r), fill=tone)
                if (row + 2 * column) % 5 == 0:
                    for angle in np.linspace(3.3, 6.1, 9):
                        fy, fx = y + size_of * np.sin(angle), x + size_of * np.cos(angle)
                        r = rng.uniform(3.0, 8.0) * scale
                        pen.ellipse((fx - r, fy - r, fx + r, fy + r), fill="#fbf6ea", outline="#12305a", width=scale)

    paper = 0.9 + 0.14 * noise(size, rng, 80, 3)
    y, _ = grid(size)
    fade = paint(np.clip(y / size[0], 0, 1), colours("#f6e2c0", "#ffffff", "#e4eef0"), smooth=True)
    return np.clip(drawn(size, "#e8d9b8", 2, sea) * paper[..., None] * fade, 0, 1)


def bauhaus(size: Size, rng: np.random.Generator) -> Picture:
    """Flat circles, arcs and bars in red, yellow, blue and black on warm paper."""
    cell = size[0] / 6
    tones = ["#d62f23", "#f2b61f", "#1f4fa0", "#171717", "#efe4cc", "#d8c8a4"]

    def shapes(pen: ImageDraw.ImageDraw, scale: int) -> None:
        unit = cell * scale
        for row in range(6):
            for column in range(6):
                top, left = row * unit, column * unit
                first, second, third = (tones[i] for i in rng.permutation(6)[:3])
                box = (left, top, left + unit, top + unit)
                pen.rectangle(box, fill=first)
                kind, turn = int(rng.integers(6)), int(rng.integers(4))
                if kind == 0:
                    for part, tone in ((0.46, second), (0.3, third), (0.14, first)):
                        y, x, r = top + unit / 2, left + unit / 2, part * unit
                        pen.ellipse((x - r, y - r, x + r, y + r), fill=tone)
                elif kind == 1:
                    y, x = top + unit * (turn // 2), left + unit * (turn % 2)
                    for part, tone in ((1.0, second), (0.66, third), (0.33, first)):
                        r = part * unit
                        wedge = (
                            (0, 90)
                            if turn == 0
                            else (90, 180)
                            if turn == 1
                            else (270, 360)
                            if turn == 2
                            else (180, 270)
                        )
                        pen.pieslice((x - r, y - r, x + r, y + r), *wedge, fill=tone)
                elif kind == 2:
                    for bar in range(0, 6, 2):
                        pen.rectangle(
                            (left, top + bar * unit / 6, left + unit, top + (bar + 1) * unit / 6), fill=second
                        )
                elif kind == 3:
                    corners = [(left, top), (left + unit, top), (left + unit, top + unit), (left, top + unit)]
                    pen.polygon([corners[(turn + i) % 4] for i in range(3)], fill=second)
                elif kind == 4:
                    pen.pieslice((left, top, left + unit, top + unit), 90 * turn, 90 * turn + 180, fill=second)
                    pen.ellipse(
                        (left + unit * 0.36, top + unit * 0.36, left + unit * 0.64, top + unit * 0.64), fill=third
                    )

    flat = drawn(size, tones[4], 2, shapes)
    return np.clip(flat * (0.93 + 0.11 * noise(size, rng, 100, 3))[..., None], 0, 1)


def pastel(size: Size, rng: np.random.Generator) -> Picture:
    """Oil crayon in broad bright strokes on black paper, whose grain shows through."""
    tones = ["#2f5fd0", "#d86ad0", "#ff9a5a", "#fff08a", "#30b0a0", "#e04a6a", "#5a2fb0"]
    scene, layer = landscape(size, rng, tones, 6)
    way = 0.5 * layer + 1.5 * (noise(size, rng, 3, 2) - 0.5)
    crayon = brushed(scene, way.astype(np.float32), rng, Brush(40, 6, 0.15, 0.1, 1.5), "#12101a")
    grain = np.clip(noise(size, rng, 160, 2) * 2.6 - 0.55, 0, 1)[..., None]
    return crayon * (0.35 + 0.65 * grain)


def blueprint(size: Size, rng: np.random.Generator) -> Picture:
    """White lines, circles and dimensions of a plan on blue paper."""

    def plan(pen: ImageDraw.ImageDraw, scale: int) -> None:
        height, width = size[0] * scale, size[1] * scale
        for step in range(0, max(height, width), 16 * scale):
            tone = "#404040" if step % (64 * scale) else "#606060"
            pen.line((step, 0, step, height), fill=tone, width=scale)
            pen.line((0, step, width, step), fill=tone, width=scale)
        for _ in range(26):
            y, x = (rng.integers(0, size[0] // 16, 2) * 16 * scale).tolist()
            tall, wide = (rng.integers(2, 10, 2) * 16 * scale).tolist()
            kind = int(rng.integers(4))
            if kind == 0:
                pen.rectangle((x, y, x + wide, y + tall), outline="#ffffff", width=2 * scale)
                for part in range(0, wide + tall, 8 * scale):
                    start, end = (
                        (x + max(0, part - tall), y + min(part, tall)),
                        (x + min(part, wide), y + max(0, part - wide)),
                    )
                    pen.line((*start, *end), fill="#a0a0a0", width=scale)
            elif kind == 1:
                for share in (1.0, 0.8, 0.3):
                    r = share * wide / 2
                    pen.ellipse((x - r, y - r, x + r, y + r), outline="#ffffff", width=2 * scale)
                pen.line((x - wide, y, x + wide, y), fill="#c0c0c0", width=scale)
                pen.line((x, y - wide, x, y + wide), fill="#c0c0c0", width=scale)
            elif kind == 2:
                pen.line((x, y, x + wide, y), fill="#ffffff", width=scale)
                for end in (x, x + wide):
                    pen.line((end, y - 6 * scale, end, y + 6 * scale), fill="#ffffff", width=2 * scale)
            else:
                pen.arc(
                    (x - wide, y - wide, x + wide, y + wide),
                    90 * float(rng.integers(4)),
                    360,
                    fill="#ffffff",
                    width=2 * scale,
                )

    line = np.clip(mask(size, 2, plan) * (0.75 + 0.4 * noise(size, rng, 90, 2)), 0, 1)[..., None]
    paper = paint(noise(size, rng, 6), colours("#12408a", "#1a54a8"), smooth=True)
    return paper + (colours("#eef4ff")[0] - paper) * line
