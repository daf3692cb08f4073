"""Draws the training curves of the shipped weights, docs/results/adain_vgg16/curves.png, from the logs beside it:
``python examples/curves.py [FOLDER]``. Needs matplotlib.
"""

import csv
import sys
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt

FOLDER = Path(__file__).parents[1] / "docs" / "results" / "adain_vgg16"
TERMS = {"content": "content (standardised relu4_1)", "style": "style (relative)", "identity": "identity (L1)"}


def read(path: Path) -> dict[str, list[float]]:
    """Columns of a log by their names."""
    with path.open(newline="") as file:
        rows = list(csv.DictReader(file))
    return {name: [float(row[name]) for row in rows] for name in rows[0]}


def main() -> None:
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else FOLDER
    training, validation = read(folder / "metrics.csv"), read(folder / "validation.csv")
    figure, axes = plt.subplots(1, len(TERMS), figsize=(4 * len(TERMS), 3), constrained_layout=True)
    for axis, (term, title) in zip(axes, TERMS.items(), strict=True):
        axis.plot(training["step"], training[term], linewidth=0.5, alpha=0.5, label="training, single batches")
        if f"val/{term}" in validation:
            axis.plot(validation["step"], validation[f"val/{term}"], linewidth=2, label="validation, averaged weights")
        axis.set(title=title, xlabel="step")
        axis.legend(fontsize="x-small")
    figure.savefig(folder / "curves.png", dpi=100)
    print(folder / "curves.png")


if __name__ == "__main__":
    main()
