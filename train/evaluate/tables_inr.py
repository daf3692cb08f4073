"""Results of `train.evaluate.inr` as Markdown, the figures of INR-st (arXiv:2210.07762) beside them.

The paper's alpha is the share of content. Columns are in its order, named by the degree of style, which is 1 minus
that.
"""

import statistics
from collections.abc import Callable, Sequence
from typing import Any

from train.evaluate.results import Results, Row, table
from train.evaluate.tables import made

PAPER_TABLE1 = {"256": (1.7, 0.25), "512": (1.7, 0.28), "2000": (1.8, 0.96), "20000": (1.8, 65.79)}
"""GiB and seconds to render, by side; Table 1, one RTX 3090."""
PAPER_FIT = 6.5
"""Minutes to fit a pair at 256 x 256; Table 1."""
PAPER_TABLE2 = {"gram": {"1": 0.31, "0": 5.42}, "ssim": {"1": 0.34, "0": 0.91}}
PAPER_TABLE2_REACHED = {"gram": {"1": 0.00, "0": 5.47}, "ssim": {"1": 0.13, "0": 1.00}}
"""By degree of style; Table 2, columns "Ours" and "GT"."""
PAPER_TABLE3 = {"1": 0.326, "3": 0.136}
"""By distance; Table 3, column "Ours"."""
PAPER_TABLE4 = {
    "weighted": ((27.97, 0.02), (0.09, 0.04), (0.54, 0.76), (3.46, 2.62), (3.22, 2.40), (35.28, 5.04)),
    "unweighted": ((27.98, 0.02), (0.01, 0.04), (0.01, 0.08), (0.06, 0.21), (0.44, 1.56), (28.49, 1.76)),
}
"""PSNR and Gram distance: at full style, of four steps, and at content only; Table 4."""

_GIB = 1 << 30


def markdown(found: Results) -> str:
    """The page of a file of results: a section for every table that it has."""
    subject = ", ".join(f"{name} {value}" for name, value in found["subject"].items())
    sections: dict[str, Callable[[dict[str, Any]], list[str]]] = {
        "table1": _table1,
        "table2": _table2,
        "table3": _table3,
        "table4": _table4,
        "table5": _table5,
    }
    lines = ["# INR-st", "", f"{subject}.", ""]
    for name, section in sections.items():
        if name in found["parts"]:
            lines += [*section(found["parts"][name]), made(found["parts"][name]), ""]
    return "\n".join(lines)


def _means(rows: Sequence[Row], *path: str) -> float:
    """The mean over pairs of a number at the end of a path of keys."""

    def at(value: Any) -> float:
        for key in path:
            value = value[key]
        return float(value)

    return statistics.fmean(at(row) for row in rows)


def _table1(part: dict[str, Any]) -> list[str]:
    rows, body = part["rows"], []
    for size, row in rows.items():
        if size != "fit":
            paper = PAPER_TABLE1.get(size, (None, None))
            body.append([f"{size} x {size}", row["peak_bytes"] / _GIB, row["seconds"], *paper])
    minutes = [seconds / 60 for seconds in rows.get("fit", {}).get("seconds", [])]
    fit = f"One fit took {statistics.median(minutes):.3g} minutes (median of {len(minutes)}); " if minutes else "Fit: "
    return [
        "## Table 1: memory and time",
        "",
        "Rendering at one degree of style, compilation left out; memory is the most in use, on a CPU by the whole",
        "process, which hands the picture over in bands of rows. The paper's figures: VGG-19, one RTX 3090.",
        "",
        table(["pixels", "memory, GiB", "seconds", "paper, GiB", "paper, seconds"], body),
        f"{fit}the paper's {PAPER_FIT:g} minutes, 20 000 steps.",
        "",
    ]


def _table2(part: dict[str, Any]) -> list[str]:
    rows = list(part["rows"].values())
    label = {"gram": "Gram distance to the painting", "ssim": "SSIM to the photo"}
    body: list[list[Any]] = []
    for name, text in label.items():
        for degree in ("1", "0"):
            ours = _means(rows, name, degree), _means(rows, f"{name}_reached", degree)
            paper = PAPER_TABLE2[name][degree], PAPER_TABLE2_REACHED[name][degree]
            body.append([f"{text}, degree of style {degree}", *ours, *paper])
    photo = _means(rows, "gram_reached", "0")
    theirs = PAPER_TABLE2_REACHED["gram"]["0"]
    for degree in ("1", "0"):
        shares = _means(rows, "gram", degree) / photo if photo else None, PAPER_TABLE2["gram"][degree] / theirs
        body.append([f"Gram distance relative to the photo's, degree {degree}", shares[0], None, shares[1], None])
    return [
        "## Table 2: content preservation and stylization",
        "",
        "Means over pairs. Gram distance: sum over five shallow layers of the Frobenius distance of Gram matrices",
        "divided by C H W, times 1 (the paper does not print its factor: compare the relative rows). To reach: the",
        "painting itself at degree 1, the photo itself at degree 0.",
        "",
        table(["", "jaxstyle", "to reach", "paper", "paper, to reach"], body),
    ]


def _table3(part: dict[str, Any]) -> list[str]:
    rows = list(part["rows"].values())
    body = []
    for distance in rows[0]:
        if distance != "of":
            ours = [_means(rows, distance, name) for name in ("to_reconstruction", "to_content")]
            body.append([f"d = {distance}", *ours, PAPER_TABLE3.get(distance)])
    return [
        "## Table 3: pixel-wise controllability",
        "",
        "One pixel alone is stylized; mean absolute difference, times 255, on the ring of pixels d away, to the",
        "picture at degree 0 everywhere (0: the neighbours do not change) and to the photo (reconstruction's error).",
        "",
        table(["", "to the reconstruction", "to the photo", "paper"], body),
    ]


def _table4(part: dict[str, Any]) -> list[str]:
    rows = list(part["rows"].values())
    body: list[list[Any]] = []
    for name, label in {"unweighted": "without reweighting", "weighted": "with reweighting"}.items():
        chosen = [row[name] for row in rows if name in row]
        if not chosen:
            continue
        for value, column, text in (("psnr", 0, "PSNR"), ("gram", 1, "Gram")):
            columns = [[row[value][-1] for row in chosen]]
            columns += [[row[f"{value}_steps"][i] for row in chosen] for i in (3, 2, 1, 0)]
            columns += [[row[value][0] for row in chosen]]
            body.append([f"{text}, {label}", *map(statistics.fmean, columns)])
            body.append([f"{text}, {label}, paper", *(cell[column] for cell in PAPER_TABLE4[name])])
    return [
        "## Table 4: disentanglement",
        "",
        "PSNR to the photo in dB and Gram distance to the painting (as in Table 2), means over pairs; between degrees",
        "the absolute differences. Larger steps: content and style are better told apart.",
        "",
        table(["", "degree 1", "1 to 0.75", "0.75 to 0.5", "0.5 to 0.25", "0.25 to 0", "degree 0"], body),
    ]


def _table5(part: dict[str, Any]) -> list[str]:
    body: list[list[Any]] = []
    shares: dict[str, list[float]] = {"windows": [], "together": []}
    for name, row in part["rows"].items():
        for kind, found in shares.items():
            found.append(row[kind]["fit"] / row[kind]["bicubic"])
        cells = [row["windows"][of] for of in ("fit", "bicubic", "painting")]
        body.append([name, *cells, *(found[-1] for found in shares.values()), *row["psnr"].values()])
    zooms = [f"PSNR at {zoom} x, dB" for zoom in next(iter(part["rows"].values()))["psnr"]]
    mean = ["mean of the ratios", None, None, None, *map(statistics.fmean, shares.values()), *[None] * len(zooms)]
    return [
        "## Table 5: enlargements (not in the paper)",
        "",
        "At full style, four times as large as what was fitted to: Gram distance (as in Table 2) of windows of 256",
        "pixels to the painting, which has its own pixels; of the fit, of its picture enlarged with a bicubic filter,",
        "and of the painting's own windows. Ratio: of the fit to bicubic, of the windows' mean distance and of the",
        "distance of their mean Gram matrices. PSNR: of renders scaled down to the picture.",
        "",
        table(["pair", "fit", "bicubic", "painting", "ratio", "ratio, together", *zooms], [*body, mean]),
    ]
