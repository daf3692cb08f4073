"""Results of `train.evaluate.adain` as Markdown, the papers' figures beside them."""

import statistics
from collections.abc import Callable, Sequence
from typing import Any

from train.evaluate.results import Results, table

COLUMNS = {
    "style_ratio": "style",
    "gram_ratio": "Gram",
    "content_ratio": "content",
    "lpips": "LPIPS",
    "psnr_alpha0": "PSNR at alpha 0",
}
PAPER_TABLE1 = {"256": (0.018, 0.027), "512": (0.065, 0.098)}
"""Seconds without and with encoding the style, VGG-19 on a Titan X (Pascal); Table 1 of arXiv:1703.06868."""


def markdown(found: Results) -> str:
    """The page of a file of results: a section for every part that it has."""
    subject, parts = found["subject"], found["parts"]
    encoder, digest = subject["encoder"], subject["sha256"]
    lines = [f"# {subject['weights']}", "", f"Encoder {encoder}; sha256 over the weights `{digest}`.", ""]
    if "scores" in parts or "yardstick" in parts:
        lines += _scores(parts)
    if "figure3" in parts:
        lines += _figure3(parts["figure3"])
    if "table1" in parts:
        lines += _table1(parts["table1"])
    return "\n".join(lines)


def made(part: dict[str, Any]) -> str:
    """Settings and machine of a part, one line."""
    settings = ", ".join(f"{name} = {_words(value)}" for name, value in part["settings"].items())
    machine = dict(part["environment"])
    device = machine.pop("device")
    versions = ", ".join(f"{name} {version}" for name, version in machine.items())
    return f"{len(part['rows'])} rows; {settings}. On {device}; {versions}."


def _words(value: Any) -> str:
    return " ".join(map(str, value)) if isinstance(value, list) else str(value)


def _summary(rows: Sequence[dict[str, Any]], how: Callable[[list[float]], float]) -> list[float | None]:
    """One number for each of `COLUMNS`, None where the rows have none."""
    columns = [[row[name] for row in rows if name in row] for name in COLUMNS]
    return [how(values) if values else None for values in columns]


def _scores(parts: dict[str, Any]) -> list[str]:
    names = {"scores": "decoder", "yardstick": "pixels optimised"}
    found = {label: parts[part] for part, label in names.items() if part in parts}
    body: list[list[Any]] = []
    for label, part in found.items():
        rows = list(part["rows"].values())
        body += [[f"{label}, mean", *_summary(rows, statistics.fmean)]]
        body += [[f"{label}, median", *_summary(rows, statistics.median)]]
    if len(found) == 2:
        common = [pair for pair in parts["scores"]["rows"] if pair in parts["yardstick"]["rows"]]
        ours, pixels = (_summary([part["rows"][pair] for pair in common], statistics.fmean) for part in found.values())
        ratios = [a / b if a is not None and b else None for a, b in zip(ours, pixels, strict=True)]
        body += [[f"decoder / pixels, {len(common)} pairs", *ratios]]
    lines = [
        "## Scores",
        "",
        "Seen by plain VGG-16, lower is better. Style and Gram: distance of channel statistics and of Gram matrices to",
        "the painting's, 0 = reached, 1 = as far as the photo. Content: distance of instance-normalised relu4_1 to the",
        "photo's, 0 = kept. LPIPS to the photo. PSNR of the picture at alpha 0 to the photo, in dB. Pixels optimised:",
        "Eq. 11 lowered on the picture itself, from the photo, without a decoder.",
        "",
        table(["", *COLUMNS.values()], body),
    ]
    for label, part in found.items():
        lines += [f"{label.capitalize()}: {made(part)}", ""]
    for label, part in found.items():
        pairs = [[pair, *(row.get(name) for name in COLUMNS)] for pair, row in part["rows"].items()]
        lines += [f"### {label.capitalize()}, by pair", "", table(["pair", *COLUMNS.values()], pairs)]
    return lines


def _figure3(part: dict[str, Any]) -> list[str]:
    rows = list(part["rows"].values())
    label = {"photo": "the photo itself", "decoder": "the decoder's result"}
    body = []
    for name in rows[0]["style_loss"]:
        means = [statistics.fmean(row[loss][name] for row in rows) for loss in ("style_loss", "content_loss")]
        body.append([label.get(name, f"pixels after {name} iterations"), *means])
    reached = [row["reached"] for row in rows if row["reached"] is not None]
    median = f"after {statistics.median(reached):.0f} iterations (median)" if reached else "later"
    return [
        "## Fig. 3: beside optimisation",
        "",
        "Style loss (Eq. 13) and content loss (relu4_1 to the photo's): squared norms, normalised VGG-16, means over",
        "pairs. The pixels are optimised as by Gatys et al., with the style loss of AdaIN, by L-BFGS from the photo.",
        "",
        table(["", "style loss", "content loss"], body),
        f"The pixels reach the decoder's style loss {median}, in {len(reached)} of {len(rows)} pairs by the end;",
        "in the paper after 50 to 100 iterations (512 x 512 pixels, VGG-19).",
        "",
        made(part),
        "",
    ]


def _table1(part: dict[str, Any]) -> list[str]:
    body = [
        [f"{size} x {size}", row["without"], row["with"], *PAPER_TABLE1.get(size, (None, None))]
        for size, row in part["rows"].items()
    ]
    head = ["pixels", "style encoded before", "style encoded each time", "paper, before", "paper, each time"]
    note = "Seconds for a picture, medians of repeated calls, compilation left out; the paper's: a Titan X, VGG-19."
    return ["## Table 1: time", "", note, "", table(head, body), made(part), ""]
