"""What generalizable INR is worth: ``python -m train.evaluate_generalizable_inr --output FILE --pairs-file PAIRS ...``.

Results are kept in ``FILE.json``, with ``FILE.md`` for people; the same command goes on where an interrupted one
stopped, and with other weights makes anew what depends on them. ``--parts`` chooses among

* scores: style, Gram, content, LPIPS and lattice of every pair, and PSNR at degree 0, beside other methods
  (``--beside``) and INR-st (``--inr``, fits of the first pairs; ``--inr-pairs``, fitted here, kept in ``FILE.fits``);
* budgets: PSNR of the linear code of colours alone, by its control points;
* larger: a photo conditioned on at a quarter of its size and rendered at its own, at degree 0, beside bicubic
  interpolation: LPIPS, SSIM and PSNR to the photo;
* costs: processor seconds of conditioning, and of rendering with its memory, by size;
* steps: what ``jaxstyle fit --init generalizable`` makes of the objective by its steps, beside the preset ``fast``, of
  the first `STARTS` pairs.
"""

from __future__ import annotations

import hashlib
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, cast

import jax
import numpy as np

import jaxstyle
from jaxstyle import image, weights
from jaxstyle.controls.controls import Controls
from jaxstyle.controls.degree import Maps
from jaxstyle.methods import generalizable_inr as ginr
from jaxstyle.methods import inr
from jaxstyle.methods.generalizable_inr import code as codes
from jaxstyle.metrics import metrics
from jaxstyle.metrics.lattice import lattice
from jaxstyle.metrics.networks import lpips
from jaxstyle.painting.conditioned import load_model
from jaxstyle.painting.picture import load_model as load_any
from jaxstyle.painting.picture import render
from jaxstyle.runtime import files
from train import pairs
from train.config import ConfigError, check_least, flag, required, whole_numbers
from train.evaluate import measure_inr, measure_starts, results
from train.evaluate.results import Row, Task, rounded
from train.evaluate.tables_generalizable_inr import BUDGETS, COUNTS, ENLARGED, PERIODS, SCORES, markdown
from train.pairs import Pair

PARTS = ("scores", "budgets", "larger", "costs", "steps")
STARTS = 4
"""Pairs of the part steps, which takes minutes for each."""


@dataclass(frozen=True)
class Config:
    """What to evaluate; the flags of the command are made from it."""

    output: str = required("results to make or complete: OUTPUT.json and OUTPUT.md")
    pairs_file: str = required("lines of PHOTO tab PAINTING, of which squares are cut")
    parts: str = flag("scores,budgets,larger,costs,steps", "which parts")
    weights: str = flag("generalizable_inr", "a model of the method: a shipped name, or a file of the trainer")
    beside: str = flag("adain_vgg16,style_kernel_vgg16", "weights of other methods, beside it; empty: none")
    inr: str | None = flag(None, "fits of the first pairs, FILE,FILE,..., in their order")
    inr_pairs: int = flag(0, "instead: fit so many of the first pairs with the preset fast")
    pairs: int = flag(40, "pairs to score, at most")
    size: int = flag(256, "side in pixels of the squares, a multiple of 8")
    large: int = flag(512, "side in pixels of the photos of the part larger; smaller ones are left out")
    sizes: str = flag("512,2000", "sides in pixels to render for the costs")
    repeats: int = flag(3, "timed calls of each")

    def __post_init__(self) -> None:
        """Raises ConfigError for values that no evaluation can have."""
        check_least(self, {"pairs": 1, "repeats": 1, "inr_pairs": 0}, "at least")
        for name in ("size", "large"):
            if getattr(self, name) % 32 or getattr(self, name) < 64:
                raise ConfigError(f"{name}: {getattr(self, name)}; expected 64, 96, 128, ... (a multiple of 32)")
        if not set(self.chosen) <= set(PARTS):
            raise ConfigError(f"parts: {self.parts!r}; expected some of {','.join(PARTS)}")
        if self.inr and self.inr_pairs:
            raise ConfigError("inr_pairs: only without --inr")
        whole_numbers(self.sizes, "sizes")

    @property
    def chosen(self) -> tuple[str, ...]:
        """The names of the parts."""
        return tuple(part.strip() for part in self.parts.split(","))


# ---- scores ------------------------------------------------------------------------------------------------


def judged(networks: metrics.Networks, pair: Pair, output: np.ndarray) -> Row:
    """Scores of a result, and its power at regular frequencies beside that of the photo, see `lattice`."""
    found = metrics.scores(networks, pair.content, pair.style, output)
    row = {name: rounded(found[name]) for name in SCORES}
    for period in PERIODS:
        row[f"lattice_{period}"] = rounded(lattice(output, period, photo=pair.content))
    return row


def conditioned(networks: metrics.Networks, model: ginr.Model, pair: Pair) -> Row:
    """The row of a pair: full style, and PSNR of degree 0."""
    field = ginr.condition(model, pair.content, pair.style)
    output, plain = (np.asarray(inr.render_image(field, None, alpha)) for alpha in (1.0, 0.0))
    row = judged(networks, pair, output) | {"psnr_alpha0": rounded(metrics.psnr(plain, pair.content))}
    photo = {f"photo_lattice_{period}": rounded(lattice(pair.content, period)) for period in PERIODS}
    return row | photo | {"numbers": ginr.numbers(cast(ginr.Field, field))}


def stylized(networks: metrics.Networks, loaded: Any, pair: Pair) -> Row:
    """The row of a pair by another method."""
    pictures = image.Picture(pair.content, None), [image.Picture(pair.style, None)]
    return judged(networks, pair, render(*pictures, Controls(), Maps(), loaded).pixels)


def fitted(networks: metrics.Networks, file: Path, pair: Pair) -> Row:
    """The row of a pair of which there is a fit of INR-st; it is made first where there is none."""
    if not file.exists():
        params = jaxstyle.fit(pair.content, pair.style, size=pair.size[0])
        assert isinstance(params, inr.InrParams)
        file.parent.mkdir(parents=True, exist_ok=True)
        inr.save(file, params)
    params = inr.load(file)
    plain = np.asarray(inr.render_image(params, pair.size, 0.0))
    row = judged(networks, pair, np.asarray(inr.render_image(params, pair.size, 1.0)))
    return row | {"psnr_alpha0": rounded(metrics.psnr(plain, pair.content))}


# ---- budgets -----------------------------------------------------------------------------------------------


def coded(photo: np.ndarray, points: tuple[int, int]) -> np.ndarray:
    """What the linear code holds of a photo with other numbers of control points, `BUDGETS`; not clipped."""
    shown = photo @ codes.COLOURS.T
    for channels, count in ((slice(0, 1), points[0]), (slice(1, 3), points[1])):
        for axis in (0, 1):
            matrix = _synthesis(photo.shape[axis], count) @ np.asarray(
                codes.analysis(photo.shape[axis], photo.shape[axis], count), np.float64
            )
            shown[..., channels] = np.moveaxis(np.tensordot(matrix, shown[..., channels], (1, axis)), 0, axis)
    return shown @ codes.COLOURS


def _synthesis(length: int, points: int) -> np.ndarray:
    """``(length, points length / 8)``: a spline at the centres of pixels, mirrored at the ends."""
    count = length * points // codes.CELL
    at = (np.arange(length) + 0.5) * points / codes.CELL - 0.5
    found = np.zeros((length, count))
    for index in range(-2, count + 2):
        turned = index % (2 * count)
        found[:, min(turned, 2 * count - 1 - turned)] += codes.cubic(at - index)
    return found


def budget(photo: np.ndarray) -> Row:
    """PSNR by the control points of a cell."""
    return {f"{a}x{b}": rounded(metrics.psnr(np.clip(coded(photo, (a, b)), 0, 1), photo)) for a, b in BUDGETS}


# ---- larger ------------------------------------------------------------------------------------------------


def enlarged(networks: metrics.Networks, model: ginr.Model, photo: np.ndarray) -> Row:
    """A photo from a quarter of its size, `ENLARGED` times enlarged: rendered, and by bicubic interpolation."""
    side = photo.shape[0]
    small = image.resize(photo, (side // ENLARGED, side // ENLARGED))
    render = np.asarray(inr.render_image(ginr.condition(model, small, small), (side, side), 0.0))
    bicubic = np.clip(np.asarray(jax.image.resize(small, photo.shape, "cubic")), 0, 1)
    return {
        name: {
            "lpips": rounded(lpips(networks, picture, photo)),
            "ssim": rounded(metrics.ssim(picture, photo)),
            "psnr": rounded(metrics.psnr(picture, photo)),
        }
        for name, picture in (("render", render), ("bicubic", bicubic))
    }


def _photos(config: Config) -> dict[str, np.ndarray]:
    """The photos of the pairs file that are large enough, each once, at the size that is asked for."""
    names = dict.fromkeys(photo for _, photo, _ in pairs.lines(config.pairs_file))
    read = {name: image.read(name).pixels[..., :3] for name in names}
    return {name: pairs.square(p, config.large) for name, p in read.items() if min(p.shape[:2]) >= config.large}


# ---- costs -------------------------------------------------------------------------------------------------


def conditioning(model: ginr.Model, side: int, repeats: int) -> Row:
    """Processor and wall seconds of conditioning on squares, compilation left out."""
    photo, painting = np.random.default_rng(0).random((2, side, side, 3), np.float32)
    busy, wall = [], []
    for _ in range(repeats + 1):
        start = time.process_time(), time.perf_counter()
        jax.block_until_ready(ginr.condition(model, photo, painting))
        busy.append(time.process_time() - start[0])
        wall.append(time.perf_counter() - start[1])
    return {"processor": rounded(statistics.median(busy[1:])), "seconds": rounded(statistics.median(wall[1:]))}


def rendering(model: ginr.Model, side: int, repeats: int, seen: int = 256) -> Row:
    """Of rendering squares, and the memory of a process that does nothing else."""
    photo, painting = np.random.default_rng(0).random((2, seen, seen, 3), np.float32)
    field = cast(ginr.Field, ginr.condition(model, photo, painting))
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "picture.safetensors"
        ginr.save_picture(file, field)
        return measure_inr.render_cost(str(file), side, repeats)


# ---- all of it ---------------------------------------------------------------------------------------------


def evaluate(config: Config) -> Path:
    """Makes or completes the results, and returns the path of the Markdown.

    Raises:
      ValueError: something in the configuration cannot work; the message is one line.
      MeasureError: rendering failed.
      OSError: something cannot be written.
    """
    model, digest = load_model(config.weights), weights.header(config.weights)["sha256"][:12]
    path, page = results.written(config.output)
    found = results.load(path, {"method": ginr.KIND})
    scored = pairs.squares(config.pairs_file, size=config.size, count=config.pairs)
    results.check_writable(path, page)
    networks = metrics.load_networks()
    origin = {"pairs": Path(config.pairs_file).name, "size": config.size}
    own = {"weights": Path(config.weights).stem, "sha256": digest}

    def complete(part: str, settings: dict[str, Any], tasks: dict[str, Task]) -> None:
        results.complete(found, path, part, settings, tasks)
        files.write(page, markdown(found))

    def by_pair(make: Callable[[Pair], Row], chosen: Sequence[Pair] = scored) -> dict[str, Task]:
        return {_name(pair): Task(pair.fingerprint, partial(make, pair)) for pair in chosen}

    if "scores" in config.chosen:
        complete("scores", origin | own, by_pair(partial(_swapped, conditioned, networks, model)))
        for name in filter(None, (name.strip() for name in config.beside.split(","))):
            loaded, other = load_any(name), weights.header(name)["sha256"][:12]
            make = partial(_swapped, stylized, networks, loaded)
            complete(f"scores {Path(name).stem}", origin | {"sha256": other}, by_pair(make))
        if fits := _fits(config, len(scored)):
            tasks = {
                _name(pair): Task(_digest(pair, file), partial(fitted, networks, file, pair))
                for pair, file in zip(scored, fits, strict=False)
            }
            complete("scores INR-st, fast", origin, tasks)
    if "budgets" in config.chosen:
        photos = {pair.name.split(" + ")[0]: pair.content for pair in scored}
        tasks = {Path(name).stem: Task(_of(photo), partial(budget, photo)) for name, photo in photos.items()}
        complete("budgets", origin, tasks)
    if "larger" in config.chosen:
        tasks = {
            Path(name).stem: Task(_of(photo), partial(enlarged, networks, model, photo))
            for name, photo in _photos(config).items()
        }
        complete("larger", origin | own | {"size": config.large, "from": config.large // ENLARGED}, tasks)
    if "costs" in config.chosen:
        sizes = whole_numbers(config.sizes, "sizes")
        tasks = {f"condition {n}": Task(digest, partial(conditioning, model, n, config.repeats)) for n in (256, 512)}
        tasks |= {f"render {n}": Task(digest, partial(rendering, model, n, config.repeats)) for n in sizes}
        complete("costs", own | {"repeats": config.repeats}, tasks)
    if "steps" in config.chosen:
        make = partial(measure_starts.saving, model, counts=COUNTS)
        complete("steps", origin | own | {"counts": list(COUNTS)}, by_pair(make, scored[:STARTS]))
    return page


def _swapped(make: Callable[..., Row], networks: metrics.Networks, how: Any, pair: Pair) -> Row:
    return make(networks, how, pair)


def _name(pair: Pair) -> str:
    return " + ".join(Path(name).stem for name in pair.name.split(" + "))


def _of(photo: np.ndarray) -> str:
    return hashlib.sha256(photo.tobytes()).hexdigest()[:12]


def _digest(pair: Pair, file: Path) -> str:
    return f"{pair.fingerprint} {weights.header(file)['sha256'][:12] if file.exists() else ''}".strip()


def _fits(config: Config, count: int) -> list[Path]:
    """The files of fits of the first pairs."""
    if config.inr is None:
        return [Path(f"{config.output}.fits") / f"{number:03d}.safetensors" for number in range(config.inr_pairs)]
    chosen = [Path(name.strip()) for name in config.inr.split(",")]
    if len(chosen) > count:
        raise ConfigError(f"inr: {len(chosen)} files for {count} pairs")
    return chosen


def main(argv: Sequence[str] | None = None) -> int:
    """The command; returns the exit code: 0, 1 when a run failed, 2 for wrong usage, 130 when interrupted."""
    return results.command(
        Config,
        evaluate,
        argv,
        prog="train.evaluate_generalizable_inr",
        description=__doc__,
        smaller="--size, or smaller --sizes,",
        failures=(ArithmeticError, measure_inr.MeasureError),
    )
