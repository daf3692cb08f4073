"""Draws how much of the painting a model gives for how much of the photo, docs/results/frontier: style against content
over degrees of style, of one or several models, as `jaxstyle stylize` paints.

``python examples/frontier.py PAIRS.tsv OUT MODEL [MODEL ...]``: a line of the list is ``photo <tab> painting``, a model
the name of shipped weights or ``LABEL=FILE``; of results that another program made, ``LABEL=FOLDER`` with ``0.png``,
``1.png``, ... in the order of the list. Rows are kept in OUT.json; what is there is not made again. Needs matplotlib.
"""

import json
import sys
from pathlib import Path

import numpy as np

import jaxstyle
from jaxstyle import image, methods
from jaxstyle.metrics import metrics
from jaxstyle.metrics.networks import load_networks
from jaxstyle.runtime import cache

SIDE = 256
"""Pixels at which pictures are scored; they are painted as they are."""
DEGREES, FEW = (1.0, 0.75, 0.5, 0.25), 20
"""Of full style all pairs are scored, of others the first few."""
SCORES = ("style_ratio", "gram_ratio", "content_ratio", "lpips")


def square(picture) -> np.ndarray:
    """Any picture as it is scored."""
    return image.resize(image.read(picture).pixels[..., :3], (SIDE, SIDE))


def score(networks, pairs, painted) -> list[dict[str, float]]:
    """The scores of results."""
    rows = []
    for (photo, painting), result in zip(pairs, painted, strict=False):
        found = metrics.scores(networks, *(square(one) for one in (photo, painting, result)))
        rows.append({name: round(float(found[name]), 5) for name in SCORES})
    return rows


def evaluate(networks, pairs, source: str, degree: float, count: int) -> list[dict[str, float]]:
    """The scores of a model, or of pictures in a folder, which have no degree."""
    if Path(source).is_dir():
        return score(networks, pairs[:count], [Path(source) / f"{number}.png" for number in range(count)])
    model = methods.load(source)
    painted = (jaxstyle.stylize(*pair, model=model, alpha=degree) for pair in pairs[:count])
    return score(networks, pairs[:count], painted)


def draw(rows: dict[str, dict[str, list[dict[str, float]]]], out: Path) -> None:
    """The figure: every model a line over its degrees, means over the pairs that all have."""
    import matplotlib as mpl

    mpl.use("Agg")
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(1, 2, figsize=(9, 4), constrained_layout=True, sharey=True)
    count = min(len(found) for degrees in rows.values() for found in degrees.values())
    for label, degrees in rows.items():
        means = {d: {n: np.mean([r[n] for r in found[:count]]) for n in SCORES} for d, found in degrees.items()}
        order = sorted(means, key=float)
        for axis, name in zip(axes, ("content_ratio", "lpips"), strict=True):
            axis.plot([means[d][name] for d in order], [means[d]["style_ratio"] for d in order], "o-", label=label)
            for d in order if len(order) > 1 else []:
                axis.annotate(d, (means[d][name], means[d]["style_ratio"]), fontsize="x-small", xytext=(3, 3),
                              textcoords="offset points")  # fmt: skip
            axis.set(xlabel=name.removesuffix("_ratio"))
    axes[0].set(ylabel="style")
    axes[0].legend(fontsize="small")
    figure.savefig(out.with_suffix(".png"), dpi=100)


def main() -> None:
    """Scores what is missing, then draws."""
    listed, out, *models = sys.argv[1:]
    cache.enable()
    pairs = [tuple(line.split("\t")[:2]) for line in Path(listed).read_text(encoding="utf-8").splitlines() if line]
    file = Path(f"{out}.json")
    rows = json.loads(file.read_text()) if file.exists() else {}
    networks = load_networks()
    for model in models:
        label, _, source = model.rpartition("=")
        label = label or source
        for degree in (1.0,) if Path(source).is_dir() else DEGREES:
            if str(degree) in rows.get(label, {}):
                continue
            count = len(pairs) if degree == 1 else min(FEW, len(pairs))
            rows.setdefault(label, {})[str(degree)] = evaluate(networks, pairs, source, degree, count)
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(json.dumps(rows, indent=1))
            means = {name: np.mean([row[name] for row in rows[label][str(degree)]]) for name in SCORES}
            print(label, degree, {name: round(float(mean), 3) for name, mean in means.items()}, flush=True)
    draw(rows, Path(out))


if __name__ == "__main__":
    main()
