"""How still painted videos are: ``python -m train.evaluate_video --output FILE``.

Cameras move over still pictures, so that the motion is known; of ``--videos`` it is found, by another flow than that
by which paintings are moved. Each clip is painted frame by frame, with steady
statistics, and with the frame before mixed in as well (`jaxstyle.video.steady`); of the input and of each painting are
measured:

* the warping error (`jaxstyle.metrics.temporal`) of neighbours, and of frames 8 apart;
* LPIPS between neighbours (Style Kernels' Table 2) and between frames 8 apart;
* how much of the style is there: distance of channel statistics to the painting's, 0 = reached, 1 = as the input.

Several ``--weights`` are painted on the same clips. Results are kept as those of ``train.evaluate``, and the same
command goes on.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np

import train
from jaxstyle import image, weights
from jaxstyle.controls.controls import Controls
from jaxstyle.methods.interface import Loaded
from jaxstyle.metrics import metrics
from jaxstyle.painting.picture import load_model
from jaxstyle.runtime import files
from jaxstyle.video import steady
from jaxstyle.video.keys import Script
from jaxstyle.video.painter import Part, Task, painted
from train import pairs
from train.config import ConfigError, check_least, flag, required
from train.evaluate import results, tables
from train.evaluate.clips import MOVES, ROOM, CameraClip, FilmClip
from train.evaluate.results import Row, rounded
from train.pairs import Pair, PairsError

EXAMPLES = Path(train.__file__).parents[1] / "examples"
DEFAULT = f"flow, {steady.WEIGHT}"
LAG = 8
"""Frames between those of the long comparison."""
VARIANTS = {
    "frame by frame": (0.0, False),
    "statistics": (steady.WEIGHT, False),
    f"flow, {steady.WEIGHT}": (steady.WEIGHT, True),
}
"""Name -> weight of the frame before, and whether it is mixed in."""
MOTION = {
    "known": "Means over clips in which a camera moves over a still picture.",
    "found": "Means over clips of films, whose motion is that of Farnebäck's flow where there and back agree.",
}
SCORED = 4
"""Style and content are measured of every so many frames."""
PAPER = {"style kernels": 0.30, "AdaIN": 0.37}
"""LPIPS of neighbours, Table 2 of Dynamic Style Kernels, on ten clips that it does not name."""
COLUMNS = {
    "warping": "warping error",
    "warping_long": f"{LAG} frames apart",
    "lpips": "LPIPS",
    "lpips_long": f"{LAG} frames apart",
    "style_ratio": "style",
    "content_ratio": "content",
    "seconds": "seconds a frame",
}
_MEASURED = ("warping", "warping_long", "lpips", "lpips_long")


@dataclass(frozen=True)
class Config:
    """What to measure; the flags of the command are made from it."""

    output: str = required("results to make or complete: OUTPUT.json and OUTPUT.md")
    weights: str = flag("adain_vgg16,style_kernel_vgg16", "weights of methods, shipped names or files, with commas")
    pairs_file: str | None = flag(None, "lines of PHOTO tab PAINTING, a clip of each", "the pictures of examples/")
    videos: str | None = flag(None, "videos instead, with commas, in the paintings of examples/ in turn")
    clips: int = flag(10, "clips at most")
    frames: int = flag(16, "of a clip")
    size: int = flag(256, "side of a clip in pixels, a multiple of 8")
    pictures: str | None = flag(None, "folder for the frames of the clips and of what was painted of them")

    def __post_init__(self) -> None:
        """Raises ConfigError for values that no evaluation can have."""
        check_least(self, {"clips": 1, "frames": LAG + 1}, "at least")
        if self.videos is not None and self.pairs_file is not None:
            raise ConfigError("videos: not together with --pairs-file")
        if self.size % 8 or self.size < 2 * metrics.SMALLEST:
            raise ConfigError(f"size: {self.size}; expected 32, 40, 48, ... (a multiple of 8)")


class Shot(NamedTuple):
    """A clip, the painting ``(H, W, 3)`` that it gets, and what both are known by in the results."""

    name: str
    fingerprint: str
    clip: CameraClip | FilmClip
    style: np.ndarray


def load(config: Config) -> list[Shot]:
    """The clips and their paintings.

    Raises:
      PairsError: a file cannot be read.
    """
    if config.videos is not None:
        return _films(config)
    return [
        Shot(
            pair.name,
            pair.fingerprint,
            CameraClip(pair.content, MOVES[number % len(MOVES)], config.frames, config.size),
            pair.style,
        )
        for number, pair in enumerate(_moved_over(config))
    ]


def _films(config: Config) -> list[Shot]:
    found, (_, paintings) = [], _examples()
    for number, name in enumerate(config.videos.split(",")[: config.clips] if config.videos else ()):
        try:
            clip = FilmClip(name, config.frames, config.size)
        except image.ImageError as error:
            raise PairsError(str(error)) from None
        painting = paintings[number % len(paintings)]
        style = _read(config, str(painting))
        first = next(clip.frames()).pixels
        pair = Pair(f"{clip.label} + {painting.stem}", first, style)
        found.append(Shot(pair.name, pair.fingerprint, clip, style))
    return found


def _read(config: Config, file: str) -> np.ndarray:
    try:
        pixels = image.read(file).pixels
    except image.ImageError as error:
        raise PairsError(str(error)) from None
    return image.resize_short_side(pixels, round(ROOM * config.size))


def _examples() -> tuple[list[Path], list[Path]]:
    photos, paintings = (sorted((EXAMPLES / kind).glob("*.jpg")) for kind in ("content", "style"))
    if not photos or not paintings:
        raise PairsError(f"{EXAMPLES}: holds no pictures; give --pairs-file")
    return photos, paintings


def _moved_over(config: Config) -> list[Pair]:
    """The photos, large enough for a camera to move over, and the paintings."""
    read = partial(_read, config)
    if config.pairs_file is not None:
        return pairs.from_file(config.pairs_file, read, count=config.clips)
    photos, paintings = _examples()
    chosen = [
        (photos[i % len(photos)], paintings[(i + i // len(photos)) % len(paintings)]) for i in range(config.clips)
    ]
    return [Pair(f"{a.stem} + {b.stem}", read(str(a)), read(str(b))) for a, b in chosen]


def measure(config: Config, models: dict[str, Loaded], networks: metrics.Networks, shot: Shot, number: int) -> Row:
    """The numbers of a clip: of the input, and of all variants of all methods."""
    clip = shot.clip
    given = [frame.pixels for frame in clip.frames()]
    row: Row = {"move": clip.label, "input": _numbers(networks, given, clip)}
    _keep(config, number, "input", given)
    for name, loaded in models.items():
        for variant, (weight, flow) in VARIANTS.items():
            controls = Controls()
            look = (image.Picture(shot.style),)
            size = (config.size, config.size)
            task = Task(loaded, look, controls, size, weight, jax.local_devices()[:1], flow)
            begun, frames = time.process_time(), []
            for done in painted(clip, task, Script(controls, None, image.MAX_PIXELS), Part(Fraction(0), None)):
                frames.append(done.pixels)
            seconds = (time.process_time() - begun) / len(frames)
            some = slice(SCORED - 1, None, SCORED)
            scores = metrics.scores(networks, np.stack(given[some]), shot.style, np.stack(frames[some]))
            ratios = {key: rounded(scores[key].mean()) for key in ("style_ratio", "content_ratio")}
            row[f"{name} {variant}"] = _numbers(networks, frames, clip) | ratios | {"seconds": rounded(seconds)}
            _keep(config, number, f"{name} {variant}", frames)
    return row


def _numbers(networks: metrics.Networks, frames: Sequence[np.ndarray], clip: CameraClip | FilmClip) -> dict[str, float]:
    lags = (1, LAG)
    warping = [metrics.warping_error(frames, clip.positions, lag) for lag in lags]
    values = (*warping, *metrics.lpips_by_lag(networks, frames, lags))
    return {name: rounded(value) for name, value in zip(_MEASURED, values, strict=True)}


def _keep(config: Config, number: int, name: str, frames: Sequence[np.ndarray]) -> None:
    if config.pictures is not None:
        folder = Path(config.pictures) / f"{number:02d} {name}"
        folder.mkdir(parents=True, exist_ok=True)
        for i, pixels in enumerate(frames, 1):
            image.write(folder / f"{i:06d}.png", pixels)


# ---- tables ------------------------------------------------------------------------------------------------


def markdown(found: results.Results) -> str:
    """The page of a file of results."""
    part = found["parts"]["clips"]
    rows = list(part["rows"].values())
    names = list(found["subject"])
    means = {
        variant: {key: statistics.fmean(row[variant][key] for row in rows) for key in rows[0][variant]}
        for variant in rows[0]
        if isinstance(rows[0][variant], dict)
    }
    body = [[variant, *(means[variant].get(key) for key in COLUMNS)] for variant in means]
    relative = []
    for name in names:
        plain = means[f"{name} frame by frame"]
        for variant in list(VARIANTS)[1:]:
            own = means[f"{name} {variant}"]
            ratios = [own[key] / plain[key] if plain[key] else None for key in COLUMNS]
            relative.append([f"{name} {variant}", *ratios])
    lines = [
        "# How still painted videos are",
        "",
        MOTION[part["settings"].get("motion", "known")],
        "Warping error: mean square of the difference between a frame and an earlier one moved by that motion, where",
        "it is known, values in [0, 1]. LPIPS between the same two, not moved. Style: distance of channel statistics",
        "to the painting's, 0 = reached, 1 = as the input. Content: of relu4_1 to the input's. Seconds are the",
        "processor's, the first compilation in them.",
        "",
        results.table(["", *COLUMNS.values()], body),
        "By frame by frame, of means:",
        "",
        results.table(["", *COLUMNS.values()], relative),
    ]
    if len(names) > 1:
        lines += _table2(rows, names)
    clips = [
        [f"{pair} ({row['move']})", row["input"]["warping"], *(_share(row, name, "warping") for name in names)]
        for pair, row in part["rows"].items()
    ]
    return "\n".join([
        *lines,
        "## By clip",
        "",
        "The input's warping error, and the share that is left of that of frame by frame with the default weight.",
        "",
        results.table(["clip", "input", *names], clips),
        tables.made(part),
        "",
    ])  # fmt: skip


def _share(row: Row, name: str, key: str) -> float:
    return float(row[f"{name} {DEFAULT}"][key] / row[f"{name} frame by frame"][key])


def _table2(rows: list[Row], names: list[str]) -> list[str]:
    """LPIPS of neighbours by that of the first weights."""
    base, variants = names[0], list(VARIANTS)
    body = []
    for variant in variants:
        plain = [row[f"{base} {variant}"]["lpips"] for row in rows]
        for name in names:
            own = [row[f"{name} {variant}"]["lpips"] for row in rows]
            shares = [a / b for a, b in zip(own, plain, strict=True)]
            mean, other = statistics.fmean(own), statistics.fmean(plain)
            body.append([f"{name}, {variant}", mean, mean / other, statistics.median(shares)])
    still = statistics.fmean(row["input"]["lpips"] for row in rows)
    paper = PAPER["style kernels"] / PAPER["AdaIN"]
    return [
        "## Style Kernels, Table 2: LPIPS between consecutive frames",
        "",
        results.table(["", "LPIPS", f"by {base}, of means", "median of clips"], body),
        f"Of the input {still:.3f}. In the paper, frame by frame on ten clips of its own: 0.30, and 0.37 of AdaIN, "
        f"{paper:.2f} of it.",
        "",
    ]


# ---- all of it ---------------------------------------------------------------------------------------------


def evaluate(config: Config) -> Path:
    """Makes or completes the results, and returns the path of the Markdown.

    Raises:
      ValueError: something in the configuration cannot work; the message is one line.
      OSError: something cannot be written.
    """
    sources = [source for source in config.weights.split(",") if source]
    subject = {Path(source).stem: weights.header(source)["sha256"] for source in sources}
    if not sources or len(subject) < len(sources):
        raise ConfigError(f"weights: expected different ones, with commas, got {config.weights!r}")
    if steady.flow_library() is None:
        raise ConfigError("this needs OpenCV: pip install 'jaxstyle[flow]'")
    models = {Path(source).stem: load_model(source) for source in sources}
    path, page = results.written(config.output)
    found = results.load(path, subject)
    results.check_writable(path, page)
    networks = metrics.load_networks()
    tasks = {
        shot.name: results.Task(shot.fingerprint, partial(measure, config, models, networks, shot, number))
        for number, shot in enumerate(load(config))
    }
    settings: dict[str, Any] = {"frames": config.frames, "size": config.size, "variants": list(VARIANTS)}
    if config.videos:
        settings["motion"] = "found"
    results.complete(found, path, "clips", settings, tasks)
    files.write(page, markdown(found))
    return page


def main(argv: Sequence[str] | None = None) -> int:
    """The command; returns the exit code: 0, 1 when a run failed, 2 for wrong usage, 130 when interrupted."""
    return results.command(
        Config,
        evaluate,
        argv,
        prog="train.evaluate_video",
        description=__doc__,
        smaller="--size",
    )
