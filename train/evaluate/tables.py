"""Results of `train.evaluate.transfer` as Markdown, the papers' figures beside them."""

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
PAPER_KERNELS1 = {"256": (0.017, 0.004), "512": (0.035, 0.005)}
"""Seconds, and those of AdaIN, on a V100; Table 1 of Dynamic Style Kernels, which does not say what is in them."""
PAPER_KERNELS2 = {"style kernels": 0.98, "AdaIN": 1.77}
"""Style loss, by Table 2; its unit is not printed, so ratios can be compared, and numbers cannot."""


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
        lines += (_kernels1 if subject.get("method") == "style_kernel" else _table1)(parts["table1"])
    if "table2" in parts:
        lines += _table2(parts["table2"])
    if "command" in parts:
        lines += _command(parts["command"])
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


def _kernels1(part: dict[str, Any]) -> list[str]:
    body = []
    for size, row in part["rows"].items():
        times = [row.get(name) for name in ("without", "with", "beside_without", "beside_with")]
        ratio = row["with"] / row["beside_with"] if "beside_with" in row else None
        paper = PAPER_KERNELS1.get(size)
        body.append([f"{size} x {size}", *times, ratio, *(paper or (None, None)), paper and paper[0] / paper[1]])
    other = _other(part)
    head = ["pixels", "style encoded before", "each time", f"{other}, before", f"{other}, each time"]
    head += ["ratio, each time", "paper", "paper, AdaIN", "paper, ratio"]
    note = "Seconds for a picture, medians of calls in turns, compilation left out; the paper's: a V100."
    return ["## Table 1: time", "", note, "", table(head, body), made(part), ""]


def _other(part: dict[str, Any]) -> str:
    return str(part["settings"].get("beside", "beside")).partition(" ")[0]


def _table2(part: dict[str, Any]) -> list[str]:
    rows = list(part["rows"].values())
    means = {
        name: statistics.fmean(row[name] for row in rows)
        for name in ("style_loss", "beside", "photo")
        if name in rows[0]
    }
    label = {"style_loss": "ours", "beside": _other(part), "photo": "the photo itself"}
    body: list[list[Any]] = [[label[name], value, value / means["photo"]] for name, value in means.items()]
    lines = [
        "## Table 2: style loss",
        "",
        "Squared distance of Gram matrices, divided by C H W, to the painting's, relu1_1 to relu5_1; means over pairs.",
        "",
        table(["", "style loss", "relative to the photo's"], body),
    ]
    if "beside" in means:
        shares = [row["style_loss"] / row["beside"] for row in rows if row["beside"]]
        lines += [
            f"Ours over {_other(part)}: {means['style_loss'] / means['beside']:.2f} (of means), "
            f"{statistics.median(shares):.2f} (median of pairs). The paper's over AdaIN: "
            f"{PAPER_KERNELS2['style kernels'] / PAPER_KERNELS2['AdaIN']:.2f} (0.98 and 1.77).",
            "",
        ]
    return [*lines, made(part), ""]


def _command(part: dict[str, Any]) -> list[str]:
    body = [[f"{size} x {size}", row["seconds"], row["peak_bytes"] / 2**30] for size, row in part["rows"].items()]
    return [
        "## High resolution",
        "",
        "The command, from file to file: all of its seconds, and the most memory of its process; a picture that does",
        "not fit in the free memory is painted in tiles. The paper shows pictures, no times.",
        "",
        table(["pixels", "seconds", "memory, GiB"], body),
        made(part),
        "",
    ]
