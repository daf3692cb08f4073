"""The tables of the papers, for shipped weights or your own: ``python -m train.evaluate --output FILE ...``.

Parts of the evaluation of AdaIN (arXiv:1703.06868) and of Dynamic Style Kernels, whichever the weights are of. Each is
switched on by its flag and kept in one file of results, ``FILE.json``, with ``FILE.md`` for people. The same command
goes on where an interrupted one stopped; other parts may be added by later runs.

* scores: style, Gram, content and LPIPS of the results, and PSNR at alpha = 0, on pairs of pictures;
* ``--yardstick-steps``: the same for pixels optimised under the decoder's own loss, which no decoder should beat;
* ``--figure3-pairs``: style and content loss beside those of Gatys et al.'s optimisation, by iterations (Fig. 3);
* ``--table1-repeats``: time by size, with and without encoding the style (Table 1), and of ``--beside``;
* ``--table2-pairs``: the style loss of Style Kernels' Table 2, and of ``--beside``;
* ``--command-sizes``: seconds and memory of the whole command, in tiles where a picture does not fit in memory.

Pairs are the centre squares of pictures held out of training, the first photo with the first painting and so on, as
the trainer validates on; or those of a file.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Literal

import numpy as np

from jaxstyle import image, weights
from jaxstyle.arrays import ArrayLike
from jaxstyle.methods import gatys
from jaxstyle.metrics import metrics
from jaxstyle.runtime import files
from train import pairs
from train.config import ConfigError, check_least, flag, required, whole_numbers
from train.crops import to_float, to_uint8
from train.evaluate import measure, results, tables
from train.evaluate.measure import MeasureError, Model
from train.evaluate.results import Results, Row, Task, rounded
from train.pairs import Pair
from train.sources import HOLDOUT, choose_holdout, open_source

SCORES = ("style_ratio", "gram_ratio", "content_ratio", "lpips")


@dataclass(frozen=True)
class Config:
    """What to evaluate; the flags of the command are made from it."""

    output: str = required("results to make or complete: OUTPUT.json and OUTPUT.md")
    weights: str = flag("adain_vgg16", "weights of a method: a shipped name, or a file of a trainer")
    vgg: str = flag("vgg16", "their encoder: vgg16 (shipped), or a file that convert_vgg --calibrate wrote")
    content: str | None = flag(None, "photos: a folder, or tfds:NAME/CONFIG:SPLIT; the held-out part is used")
    style: str | None = flag(None, "paintings: likewise")
    pairs: int = flag(32, "pairs to evaluate")
    holdout: int | None = flag(None, "pictures of each set that training held out", HOLDOUT)
    seed: int = flag(0, "seed of that training, which decides the held-out pictures")
    pairs_file: str | None = flag(None, "instead: lines of PHOTO tab PAINTING; further columns are not looked at")
    size: int = flag(256, "side in pixels of the squares that pictures are cut to, a multiple of 8")
    scores: bool = flag(True, "score the results")
    yardstick_steps: int = flag(0, "also score pixels optimised for so many steps under Eq. 11; 0: do not")
    yardstick_optimizer: Literal["adam", "lbfgs"] = flag("adam", "how they are optimised")
    figure3_pairs: int = flag(0, "make Fig. 3 with the first so many pairs; 0: do not")
    figure3_iterations: str = flag("10,50,100,300", "iterations of Gatys et al.'s optimisation to show")
    table1_repeats: int = flag(0, "make Table 1 with so many timed calls; 0: do not")
    table1_sizes: str = flag("256,512,1024", "sides in pixels to time")
    table2_pairs: int = flag(0, "make Style Kernels' Table 2 with the first so many pairs; 0: do not")
    beside: str | None = flag(None, "other weights, to put beside them in Tables 1 and 2")
    command_sizes: str | None = flag(None, "sides in pixels of squares to paint by the command, such as 1024,4000")
    pictures: str | None = flag(None, "folder for the scored pictures, and scores.tsv that lists them")

    def __post_init__(self) -> None:
        """Raises ConfigError for values that no evaluation can have."""
        parts = dict.fromkeys(("seed", "yardstick_steps", "figure3_pairs", "table1_repeats", "table2_pairs"), 0)
        held_out = {} if self.holdout is None else {"holdout": 1}
        check_least(self, {"pairs": 1} | held_out | parts, "at least")
        if self.size % 8 or self.size < 2 * metrics.SMALLEST:
            raise ConfigError(f"size: {self.size}; expected 32, 40, 48, ... (a multiple of 8)")
        if (self.content is None) != (self.style is None) or (self.content and self.pairs_file):
            raise ConfigError("content, style: give both, or --pairs-file instead of them")
        if self.pair_count and not (self.content or self.pairs_file):
            raise ConfigError("content, style: needed for the scores; give folders, --pairs-file, or --no-scores")
        if self.content and self.holdout is not None and self.pair_count > self.holdout:
            raise ConfigError(f"pairs: {self.pair_count}; only {self.holdout} of each set are held out")
        for name in ("figure3_iterations", "table1_sizes", "command_sizes"):
            if getattr(self, name) is not None:
                whole_numbers(getattr(self, name), name)

    @property
    def pair_count(self) -> int:
        """How many pairs the parts need."""
        return max(self.pairs if self.scores or self.yardstick_steps else 0, self.figure3_pairs, self.table2_pairs)


def load_pairs(config: Config) -> list[Pair]:
    """As many pairs as the parts need.

    Raises:
      ValueError: pictures are missing or cannot be read; the message is one line.
    """
    if config.pair_count == 0:
        return []
    if config.pairs_file is not None:
        return pairs.squares(config.pairs_file, size=config.size, count=config.pair_count)
    folders, count = (str(config.content), str(config.style)), config.pair_count
    return pairs.held_out(*folders, holdout=config.holdout, seed=config.seed, size=config.size, count=count)


# ---- parts -------------------------------------------------------------------------------------------------


def _as_file(picture: Any) -> np.ndarray:
    """The picture as a file of 8 bit would keep it."""
    return to_float([to_uint8(np.asarray(picture))])[0]


def _score(networks: metrics.Networks, pair: Pair, output: np.ndarray) -> Row:
    found = metrics.scores(networks, pair.content, pair.style, output)
    return {name: rounded(found[name]) for name in SCORES}


def score(model: Model, networks: metrics.Networks, pair: Pair, save: Callable[[np.ndarray], None]) -> Row:
    """`metrics.scores` of a pair at alpha = 1, and the PSNR of alpha = 0 to the photo."""
    style = measure.encode_style(model, pair.style)
    output, plain = (_as_file(measure.stylize(model, pair.content, style, alpha)) for alpha in (1.0, 0.0))
    save(output)
    return _score(networks, pair, output) | {"psnr_alpha0": rounded(metrics.psnr(plain, pair.content))}


def yardstick(networks: metrics.Networks, pair: Pair, config: Config, save: Callable[[np.ndarray], None]) -> Row:
    """`metrics.scores` of pixels optimised under Eq. 11, starting from the photo."""
    steps, optimizer = config.yardstick_steps, config.yardstick_optimizer
    found = gatys.optimise(networks, pair.content, pair.style, steps=steps, loss="adain", optimizer=optimizer)
    output = _as_file(found.picture)
    save(output)
    return _score(networks, pair, output)


def figure3(model: Model, networks: metrics.Networks, pair: Pair, iterations: Sequence[int]) -> Row:
    """Style and content loss of the decoder's result, of the photo, and of optimised pixels after some iterations.

    The optimisation is that of Gatys et al. with means and deviations instead of Gram matrices, as in the paper, by
    L-BFGS from the photo. ``reached`` is the first iteration whose style loss is not above the decoder's, or None.
    """
    found = gatys.optimise(
        networks, pair.content, pair.style, steps=max(iterations), loss="moments", optimizer="lbfgs", keep=iterations
    )
    ours = measure.stylize(model, pair.content, measure.encode_style(model, pair.style))
    pictures: list[ArrayLike] = [pair.content, ours, *(found.kept[i] for i in iterations)]
    styles = [rounded(metrics.style_loss(networks, picture, pair.style)) for picture in pictures]
    contents = [rounded(metrics.content_loss(networks, picture, pair.content)) for picture in pictures]
    names = ("photo", "decoder", *map(str, iterations))
    below = np.flatnonzero(found.curve["style"] <= styles[1])
    return {
        "style_loss": dict(zip(names, styles, strict=True)),
        "content_loss": dict(zip(names, contents, strict=True)),
        "reached": int(below[0]) if len(below) else None,
    }


# ---- all of it ---------------------------------------------------------------------------------------------


def _saver(config: Config, found: Results, part: str, number: int, pair: Pair) -> Callable[[np.ndarray], None]:
    """What writes the result of a pair, and the pair, into the folder of pictures; nothing if there is none.

    A row whose picture is not there yet is made anew.
    """
    if config.pictures is None:
        return lambda output: None
    folder, letter = Path(config.pictures), {"scores": "o", "yardstick": "y"}[part]
    files = {name: folder / f"{number:03d}{name}.png" for name in ("c", "s", letter)}
    if not files[letter].exists():
        found["parts"].get(part, {}).get("rows", {}).pop(pair.name, None)

    def save(output: np.ndarray) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        for file, pixels in zip(files.values(), (pair.content, pair.style, output), strict=True):
            image.write(file, pixels)

    return save


def _scored(
    config: Config, found: Results, path: Path, part: str, scored: Sequence[Pair], make: Callable[..., Row], **more: Any
) -> None:
    """Completes a part that has a row, and a picture, for every pair."""
    tasks = {
        pair.name: Task(pair.fingerprint, partial(make, pair=pair, save=_saver(config, found, part, number, pair)))
        for number, pair in enumerate(scored)
    }
    results.complete(found, path, part, _origin(config) | more, tasks)
    if config.pictures is not None:
        letter = {"scores": "o", "yardstick": "y"}[part]
        lines = ["\t".join(f"{config.pictures}/{i:03d}{x}.png" for x in ("c", "s", letter)) for i in range(len(scored))]
        files.write(Path(config.pictures) / f"{part}.tsv", "\n".join(lines) + "\n")


def _origin(config: Config) -> dict[str, Any]:
    """Where the pairs come from, without the folders of this machine."""
    if config.pairs_file is not None:
        return {"pairs": Path(config.pairs_file).name, "size": config.size}
    sets = {"content": Path(str(config.content)).name, "style": Path(str(config.style)).name}
    return sets | {"holdout": config.holdout, "seed": config.seed, "size": config.size}


def _beside(config: Config) -> dict[str, Any]:
    """The other method, where there is one: its name and the checksum of its weights."""
    if config.beside is None:
        return {}
    return {"beside": f"{Path(config.beside).stem} {weights.header(config.beside)['sha256'][:12]}"}


def evaluate(config: Config) -> Path:
    """Makes or completes the results, and returns the path of the Markdown.

    Raises:
      ValueError: something in the configuration cannot work; the message is one line.
      OSError: something cannot be written.
    """
    model, facts = measure.load(config.weights, config.vgg), weights.header(config.weights)
    beside = None if config.beside is None else measure.load(config.beside, config.vgg)
    subject = {"weights": Path(config.weights).stem, "sha256": facts["sha256"], "encoder": Path(config.vgg).stem}
    if facts["kind"] != "adain":
        subject["method"] = facts["kind"]
    if config.content and config.holdout is None:
        sources = [open_source(str(spec)) for spec in (config.content, config.style)]
        config = dataclasses.replace(config, holdout=choose_holdout(None, *sources))
    path, page = results.written(config.output)
    found = results.load(path, subject)
    chosen = load_pairs(config)
    pictures = () if config.pictures is None else (Path(config.pictures) / "scores.tsv",)
    results.check_writable(path, page, *pictures)
    networks = metrics.load_networks()
    scored = chosen[: config.pairs]
    if config.scores:
        _scored(config, found, path, "scores", scored, partial(score, model, networks))
    if config.yardstick_steps:
        more = {"steps": config.yardstick_steps, "optimizer": config.yardstick_optimizer}
        _scored(config, found, path, "yardstick", scored, partial(yardstick, networks, config=config), **more)
    if config.figure3_pairs:
        iterations = whole_numbers(config.figure3_iterations, "figure3_iterations")
        make = partial(figure3, model, networks, iterations=iterations)
        tasks = {pair.name: Task(pair.fingerprint, partial(make, pair)) for pair in chosen[: config.figure3_pairs]}
        results.complete(found, path, "figure3", _origin(config) | {"iterations": iterations}, tasks)
    if config.table1_repeats:
        sizes = whole_numbers(config.table1_sizes, "table1_sizes")
        make = partial(measure.table1, model, repeats=config.table1_repeats, beside=beside)
        tasks = {str(size): Task("", partial(make, size)) for size in sizes}
        results.complete(found, path, "table1", {"repeats": config.table1_repeats} | _beside(config), tasks)
    if config.table2_pairs:
        make = partial(measure.table2, model, networks, beside=beside)
        tasks = {pair.name: Task(pair.fingerprint, partial(make, pair)) for pair in chosen[: config.table2_pairs]}
        results.complete(found, path, "table2", _origin(config) | _beside(config), tasks)
    if config.command_sizes:
        make = partial(measure.command_cost, config.weights)
        sizes = whole_numbers(config.command_sizes, "command_sizes")
        results.complete(
            found,
            path,
            "command",
            {"painting": measure.STYLE_SIDE},
            {str(size): Task("", partial(make, size)) for size in sizes},
        )
    files.write(page, tables.markdown(found))
    return page


def main(argv: Sequence[str] | None = None) -> int:
    """The command; returns the exit code: 0, 1 when a run failed, 2 for wrong usage, 130 when interrupted."""
    return results.command(
        Config,
        evaluate,
        argv,
        prog="train.evaluate",
        description=__doc__,
        smaller="--size, or smaller --table1-sizes,",
        failures=(MeasureError,),
    )
