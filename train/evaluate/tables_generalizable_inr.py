"""Results of `train.evaluate.generalizable_inr` as Markdown."""

from __future__ import annotations

import statistics
from typing import Any

from jaxstyle.methods.generalizable_inr import code as codes
from train.evaluate import results, tables

SCORES = ("style_ratio", "gram_ratio", "content_ratio", "lpips")
PERIODS = (8, 4)
"""Of the patterns that decoders leave, in pixels: cells of ``relu4_1`` and ``relu3_1``."""
BUDGETS = ((2, 1), (3, 1), (4, 1), (5, 2), (6, 2), codes.PHOTO, (7, 4), (8, 8))
"""Control points along a side of a cell, of brightness and of the colour differences."""
ENLARGED = 4
"""How many times, at degree 0."""
COUNTS = (30, 60, 114, 228)
"""Steps of fits that start from a conditioned picture; 114 are a fifth of those of ``fast``."""


def markdown(found: results.Results) -> str:
    """The page of a file of results: a section for every part that it has."""
    parts, lines = found["parts"], ["# Generalizable INR", ""]
    if "scores" in parts:
        lines += [*_scores(parts), tables.made(parts["scores"]), ""]
    if "budgets" in parts:
        rows = list(parts["budgets"]["rows"].values())
        size = parts["budgets"]["settings"]["size"]
        body = []
        for a, b in BUDGETS:
            values = [row[f"{a}x{b}"] for row in rows]
            numbers = (size // codes.CELL) ** 2 * (a * a + 2 * b * b)
            share = round(numbers / (3 * size * size), 3)
            body.append([f"{a} x {a}, {b} x {b}", numbers, share, statistics.fmean(values), min(values)])
        head = ["brightness, colours", "numbers", "of the samples", "PSNR, dB", "lowest"]
        lines += ["## The code of colours by its control points for 8 x 8 pixels", "", results.table(head, body)]
        lines += [tables.made(parts["budgets"]), ""]
    if "larger" in parts:
        rows = list(parts["larger"]["rows"].values())
        body = [
            [name, *(statistics.fmean(row[of][score] for row in rows) for score in ("lpips", "ssim", "psnr"))]
            for name, of in (("rendered", "render"), ("bicubic", "bicubic"))
        ]
        better = [
            sum(sign * row["render"][score] < sign * row["bicubic"][score] for row in rows)
            for score, sign in (("lpips", 1), ("ssim", -1), ("psnr", -1))
        ]
        body.append([f"rendered is better, of {len(rows)}", *better])
        lines += [f"## {ENLARGED} times enlarged, at degree 0", "", results.table(["", "LPIPS", "SSIM", "PSNR"], body)]
        lines += [tables.made(parts["larger"]), ""]
    if "costs" in parts:
        body = [
            [name, row.get("processor"), row["seconds"], row["peak_bytes"] / 2**30 if "peak_bytes" in row else None]
            for name, row in parts["costs"]["rows"].items()
        ]
        head = ["", "processor seconds", "seconds", "memory, GiB"]
        lines += ["## Time and memory", "", results.table(head, body), tables.made(parts["costs"]), ""]
    if "steps" in parts:
        rows = parts["steps"]["rows"]
        body = [[name, row["fresh"], *row["condition"].values(), row["needed"]] for name, row in rows.items()]
        head = ["", f"fast: objective after {next(iter(rows.values()))['steps']} steps"]
        head += [f"from the conditioned picture: {count}" for count in (0, *COUNTS)] + ["not above fast's after"]
        lines += ["## Steps of a fit that starts from a conditioned picture", "", results.table(head, body)]
        lines += [tables.made(parts["steps"]), ""]
    return "\n".join(lines)


def _scores(parts: dict[str, Any]) -> list[str]:
    photos = list(parts["scores"]["rows"].values())
    body = []
    for part in parts:
        if part.startswith("scores"):
            name, rows = part.removeprefix("scores").strip() or "generalizable_inr", list(parts[part]["rows"].values())
            of = [parts["scores"]["rows"][pair] for pair in parts[part]["rows"]]
            body.append([name, len(rows), *(statistics.fmean(row[score] for row in rows) for score in SCORES)])
            for period in PERIODS:
                shown = statistics.fmean(row[f"lattice_{period}"] for row in rows)
                body[-1].append(shown / statistics.fmean(row[f"photo_lattice_{period}"] for row in of))
            psnr = [row["psnr_alpha0"] for row in rows if "psnr_alpha0" in row]
            body[-1] += [statistics.fmean(psnr), min(psnr)] if psnr else [None, None]
    head = ["", "pairs", "style", "Gram", "content", "LPIPS", *(f"lattice {period}" for period in PERIODS)]
    numbers = photos[0]["numbers"]
    return [
        "## Scores",
        "",
        "Means over pairs: style, Gram and content distance relative to the photo's, LPIPS to the photo; lattice: mean",
        "over that of the photos; PSNR at degree 0 to the photo, its mean and lowest value, in dB.",
        f"A photo is {numbers} numbers, of all its grids, context and matrix.",
        "",
        results.table([*head, "PSNR", "lowest"], body),
    ]
