"""The tables of INR-st (arXiv:2210.07762): ``python -m train.evaluate_inr --output FILE --pairs-file PAIRS ...``.

Results are kept in ``FILE.json``, with ``FILE.md`` for people; the same command goes on where an interrupted one
stopped. ``--tables 1,2,3,4`` chooses among

* 1: memory and time of rendering by size, and the time of a fit;
* 2: Gram distance and SSIM at both ends of the degree of style;
* 3: what the style of one pixel does to its neighbours;
* 4: how well photo and painting are told apart along the degree of style, with and without reweighting;
* 5, not in the paper: whether an enlargement looks like the painting, of fits with detail (``--preset zoom``).

Pairs are those of a file, or photos and paintings held out of a training, as in `train.evaluate`. They are fitted by
``jaxstyle.fit`` with ``--preset``, twice where Table 4 is wanted, and the fits are kept in ``FILE.fits``. Or they are
fitted already: ``--inr`` names a file for every pair, ``--unweighted`` those without reweighting.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Literal

import numpy as np

import jaxstyle
from jaxstyle import weights
from jaxstyle.methods import inr
from jaxstyle.methods.inr import schedule as inr_schedule
from jaxstyle.metrics import metrics
from jaxstyle.runtime import files
from train import inr_pairs, pairs
from train.config import ConfigError, check_least, flag, required, whole_numbers
from train.evaluate import measure_inr, results, tables_inr
from train.evaluate.results import Results, Row, Task
from train.pairs import Pair
from train.sources import HOLDOUT


@dataclass(frozen=True)
class Config:
    """What to evaluate; the flags of the command are made from it."""

    output: str = required("results to make or complete: OUTPUT.json and OUTPUT.md")
    tables: str = flag("1,2,3,4", "which tables")
    pairs_file: str | None = flag(None, "lines of PHOTO tab PAINTING, which keep their shapes")
    content: str | None = flag(None, "instead: photos, a folder or tfds:NAME/CONFIG:SPLIT, of which squares are cut")
    style: str | None = flag(None, "and paintings, likewise")
    pairs: int = flag(100, "pairs to evaluate, at most")
    holdout: int | None = flag(None, "pictures of each folder that training held out", HOLDOUT)
    holdout_seed: int = flag(0, "seed of that training, which decides the held-out pictures")
    inr: str | None = flag(None, "fitted files, FILE,FILE,..., one for each pair in order; none: fit the pairs")
    unweighted: str | None = flag(None, "for Table 4, fits of the same pairs without reweighting, likewise")
    preset: Literal["paper", "fast", "preview", "zoom"] = flag("fast", "how pairs are fitted")
    steps: int = flag(0, "steps of a fit; 0: the preset's")
    size: int = flag(256, "pairs are, or were, fitted at about size * size pixels")
    seed: int = flag(0, "of the fits and of the pixels of Table 3")
    vgg: str = flag("vgg16", "what fits see pictures through: vgg16 (shipped), or a file that convert_vgg wrote")
    sizes: str = flag("256,512,2000", "sides in pixels to render for Table 1; the paper's go on to 20000")
    repeats: int = flag(3, "timed calls of each, fewer where they take minutes")
    pixels: int = flag(16, "random pixels of each pair for Table 3")

    def __post_init__(self) -> None:
        """Raises ConfigError for values that no evaluation can have."""
        least = {"pairs": 1, "repeats": 1, "pixels": 1, "steps": 0, "seed": 0}
        least |= {} if self.holdout is None else {"holdout": 1}
        check_least(self, least, "at least")
        if self.size < inr_schedule.SMALLEST:
            raise ConfigError(f"size: {self.size}; expected at least {inr_schedule.SMALLEST}")
        if not set(self.chosen) <= {1, 2, 3, 4, 5}:
            raise ConfigError(f"tables: {self.tables!r}; expected some of 1,2,3,4,5")
        whole_numbers(self.sizes, "sizes")
        if (self.content is None) != (self.style is None) or (self.content is None) == (self.pairs_file is None):
            raise ConfigError("pairs_file: give it, or --content and --style instead")
        if self.content and self.holdout is not None and self.pairs > self.holdout:
            raise ConfigError(f"pairs: {self.pairs}; only {self.holdout} of each folder are held out")
        if self.unweighted and not self.inr:
            raise ConfigError("unweighted: only together with --inr")

    @property
    def chosen(self) -> tuple[int, ...]:
        """The tables' numbers."""
        return whole_numbers(self.tables, "tables")


@dataclass(frozen=True)
class Fit:
    """A fitted pair.

    Attributes:
      pair: its pictures.
      file: of the fit.
      params: what is in it.
      seconds: how long it took, if the file says so.
      fingerprint: of pictures and fit.
    """

    pair: Pair
    file: Path
    params: inr.InrParams
    seconds: float | None
    fingerprint: str


def load_pairs(config: Config) -> list[Pair]:
    """The pairs to be evaluated, at the size of their fits.

    Raises:
      ValueError: pictures are missing or cannot be read; the message is one line.
    """
    if config.pairs_file is not None:
        own = 5 in config.chosen or inr_schedule.PRESETS[config.preset].enlarges
        return inr_pairs.read_file(config.pairs_file, config.size, own=own)[: config.pairs]
    folders, seed, size = (str(config.content), str(config.style)), config.holdout_seed, config.size
    return pairs.held_out(*folders, holdout=config.holdout, seed=seed, size=size, count=config.pairs)


# ---- fits --------------------------------------------------------------------------------------------------


def read_fit(file: Path, pair: Pair) -> Fit:
    """A fit of a pair.

    Raises:
      WeightsError: the file is missing, damaged, or no fit.
      ConfigError: it cannot be of this pair.
    """
    params, metadata = inr.load(file), weights.load(file).metadata
    if params.size != pair.size:
        sizes = ["{} x {}".format(*size) for size in (params.size, pair.size)]
        raise ConfigError(f"{file}: fitted at {sizes[0]} pixels; {pair.name} has {sizes[1]}, see --size")
    seconds = metadata.get("seconds")
    digest = hashlib.sha256((pair.fingerprint + metadata["sha256"]).encode()).hexdigest()[:12]
    return Fit(pair, file, params, None if seconds is None else float(seconds), digest)


def schedule_of(config: Config, reweighting: bool) -> inr_schedule.Schedule:
    """The preset, with or without reweighting (Eq. 6 or 4)."""
    found = inr_schedule.preset(config.preset, size=config.size, steps=config.steps or None)
    loss = found.loss if reweighting else dataclasses.replace(found.loss, reweighting="none")
    return dataclasses.replace(found, loss=loss)


def make_fit(config: Config, pair: Pair, file: Path, *, reweighting: bool = True) -> Fit:
    """Fits a pair and keeps the result; a file that is there already and was made alike is taken as it is."""
    schedule = schedule_of(config, reweighting)
    recipe = [pair.fingerprint, Path(config.vgg).stem, str(config.seed), json.dumps(dataclasses.asdict(schedule))]
    made = hashlib.sha256("\n".join(recipe).encode()).hexdigest()
    if not (file.exists() and weights.load(file).metadata.get("recipe") == made):
        print(f"fit: {file}", file=sys.stderr, flush=True)
        start = time.perf_counter()
        params = jaxstyle.fit(pair.content, _painting(pair), schedule, seed=config.seed, vgg=config.vgg)
        assert isinstance(params, inr.InrParams)  # it starts afresh
        np.asarray(params.z_c)  # waits until it is there
        seconds = time.perf_counter() - start
        file.parent.mkdir(parents=True, exist_ok=True)
        inr.save(file, params, recipe=made, seconds=f"{seconds:.2f}", preset=config.preset)
    return read_fit(file, pair)


def load_fits(config: Config, chosen: Sequence[Pair]) -> tuple[list[Fit], list[Fit]]:
    """The fits of all pairs, and those without reweighting, of which there may be none.

    Raises:
      ValueError: a file is missing or not of its pair; the message is one line.
    """
    if config.inr is not None:
        found = [
            _read_list(files, name, chosen) for name, files in (("inr", config.inr), ("unweighted", config.unweighted))
        ]
        return found[0], found[1]
    folder, fits, unweighted = Path(f"{config.output}.fits"), [], []
    for number, pair in enumerate(chosen):
        fits.append(make_fit(config, pair, folder / f"{number:03d}.safetensors"))
        if 4 in config.chosen:
            file = folder / f"{number:03d}_unweighted.safetensors"
            unweighted.append(make_fit(config, pair, file, reweighting=False))
    return fits, unweighted


def _read_list(files: str | None, name: str, chosen: Sequence[Pair]) -> list[Fit]:
    if files is None:
        return []
    paths = [Path(file.strip()) for file in files.split(",")]
    if len(paths) != len(chosen):
        raise ConfigError(f"{name}: {len(paths)} files for {len(chosen)} pairs; give one for each, in their order")
    return [read_fit(path, pair) for path, pair in zip(paths, chosen, strict=True)]


# ---- tables ------------------------------------------------------------------------------------------------


def _table1(config: Config, fits: Sequence[Fit]) -> dict[str, Task]:
    """Rows by size, of the first fit, and the seconds of all fits: rendering takes as long for every pair."""
    measure = partial(measure_inr.render_cost, os.fspath(fits[0].file), repeats=config.repeats)
    sizes = whole_numbers(config.sizes, "sizes")
    spec = json.dumps(dataclasses.asdict(fits[0].params.spec))
    tasks = {str(size): Task(hashlib.sha256(spec.encode()).hexdigest()[:12], partial(measure, size)) for size in sizes}
    seconds = [fit.seconds for fit in fits if fit.seconds is not None]
    digest = hashlib.sha256(repr(seconds).encode()).hexdigest()[:12]
    return tasks | ({"fit": Task(digest, lambda: {"seconds": seconds})} if seconds else {})


def _table4(networks: metrics.Networks, fit: Fit, other: Fit | None) -> Row:
    found = {"weighted": fit, **({"unweighted": other} if other else {})}
    pictures = fit.pair.content, fit.pair.style
    return {name: measure_inr.disentanglement(networks, one.params, *pictures) for name, one in found.items()}


def _painting(pair: Pair) -> np.ndarray:
    """With its own pixels, where they are known."""
    return pair.style if pair.painting is None else pair.painting


def _by_pair(fits: Sequence[Fit], others: Sequence[Fit], make: Any) -> dict[str, Task]:
    """A row for every pair, from its fit and, where there is one, that without reweighting."""
    tasks = {}
    for number, fit in enumerate(fits):
        other = others[number] if others else None
        of = fit.fingerprint + (other.fingerprint if other else "")
        tasks[fit.pair.name] = Task(of, partial(make, fit, other))
    return tasks


def evaluate(config: Config) -> Path:
    """Makes or completes the results, and returns the path of the Markdown.

    Raises:
      ValueError: something in the configuration cannot work; the message is one line.
      MeasureError: rendering failed.
      OSError: something cannot be written.
    """
    chosen = load_pairs(config)
    path, page = results.written(config.output)
    found = _results(path, config)
    results.check_writable(path, page)
    fits, unweighted = load_fits(config, chosen)
    networks = metrics.load_networks()
    makers = {
        2: lambda fit, other: measure_inr.ends(networks, fit.params, fit.pair.content, fit.pair.style),
        3: lambda fit, other: measure_inr.controllability(fit.params, fit.pair.content, config.pixels, config.seed),
        4: partial(_table4, networks),
        5: lambda fit, other: measure_inr.enlargement(networks, fit.params, _painting(fit.pair)),
    }
    settings: dict[int, dict[str, Any]] = {1: {"repeats": config.repeats}, 3: {"pixels": config.pixels}}
    for number in config.chosen:
        if number == 1:
            tasks = _table1(config, fits)
        else:
            tasks = _by_pair(fits, unweighted if number == 4 else [], makers[number])
        results.complete(found, path, f"table{number}", {"size": config.size} | settings.get(number, {}), tasks)
    files.write(page, tables_inr.markdown(found))
    return page


def _results(path: Path, config: Config) -> Results:
    """The results so far; those of other fits are not touched."""
    fitted = {"preset": config.preset, "steps": config.steps or inr_schedule.PRESETS[config.preset].steps}
    subject = {"fits": "given"} if config.inr else {**fitted, "seed": config.seed, "vgg": Path(config.vgg).stem}
    return results.load(path, {"method": "inr", **subject})


def main(argv: Sequence[str] | None = None) -> int:
    """The command; returns the exit code: 0, 1 when a run failed, 2 for wrong usage, 130 when interrupted."""
    os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")  # the process of Table 1 needs some of the device
    return results.command(
        Config,
        evaluate,
        argv,
        prog="train.evaluate_inr",
        description=__doc__,
        smaller="--size, or smaller --sizes,",
        failures=(ArithmeticError, measure_inr.MeasureError),
    )
