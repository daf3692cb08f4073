"""What is measured of a method whatever it is: pictures, their seconds and memory, their style loss."""

from __future__ import annotations

import contextlib
import io
import multiprocessing
import statistics
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from functools import partial
from pathlib import Path
from typing import Any

import jax
import numpy as np

from jaxstyle import image, weights
from jaxstyle.arrays import ArrayLike
from jaxstyle.cli import main as cli
from jaxstyle.controls.controls import Controls
from jaxstyle.controls.degree import Maps
from jaxstyle.image.windows import ArraySource
from jaxstyle.methods import adain, style_kernel
from jaxstyle.methods.interface import Loaded
from jaxstyle.metrics import metrics
from jaxstyle.painting.paint import paint
from jaxstyle.painting.picture import job_of
from train.evaluate.measure_inr import MeasureError, peak_bytes
from train.evaluate.results import Row, rounded
from train.pairs import Pair

Model = adain.Model | style_kernel.Model
STYLE_SIDE = 512
"""Of the painting that is given to the command."""

_LOAD: dict[str, Callable[..., Any]] = {"adain": adain.load, "style_kernel": style_kernel.load}


def load(source: str, vgg: str) -> Model:
    """A model of the method that its weight file is of.

    Raises:
      WeightsError: there is no such file, or it cannot be used.
    """
    kind = weights.header(source)["kind"]
    if kind not in _LOAD:
        raise weights.WeightsError(f"{source}: holds weights of kind {kind!r}; needed is {' or '.join(_LOAD)}")
    return _LOAD[kind](source, encoder=vgg)  # type: ignore[no-any-return]


def encode_style(model: Model, style: ArrayLike) -> Any:
    """A painting ``(H, W, 3)``, sides multiples of 8, as the method keeps it."""
    if not isinstance(model, style_kernel.Model):
        return adain.encode_style(model, style)
    return style_kernel.encode_styles(model, style[None], np.asarray([style.shape[:2]], np.int32))


def stylize(model: Model, content: ArrayLike, style: Any, alpha: float = 1.0) -> Any:
    """A photo ``(H, W, 3)`` in a style from `encode_style`, in [0, 1]."""
    if not isinstance(model, style_kernel.Model):
        return adain.stylize(model, content, style, alpha)
    loaded = Loaded(style_kernel.METHOD, model)
    job = job_of(ArraySource(np.asarray(content)), style, Controls(alpha=alpha), Maps(), loaded)
    return next(paint(loaded, job))


def table1(model: Model, size: int, repeats: int, beside: Model | None = None) -> Row:
    """Median seconds to stylize a square picture, without and with encoding the style, compilation left out.

    Args:
      model: the method.
      size: side in pixels.
      repeats: timed calls.
      beside: another method that is timed in turns with it: ``beside_without`` and ``beside_with``.
    """
    photo, painting = np.random.default_rng(0).random((2, size, size, 3), np.float32)
    content, style = jax.device_put((photo, painting))
    found: dict[str, Callable[[], Any]] = {}
    for prefix, one in (("", model), ("beside_", beside)):
        if prefix == "" or one is not None:
            found[f"{prefix}without"] = partial(stylize, one, content, encode_style(one, style))  # type: ignore[arg-type]
            found[f"{prefix}with"] = partial(_both, one, content, style)  # type: ignore[arg-type]
    times: dict[str, list[float]] = {name: [] for name in found}
    for _ in range(repeats + 1):
        for name, run in found.items():
            start = time.perf_counter()
            jax.block_until_ready(run())
            times[name].append(time.perf_counter() - start)
    return {name: rounded(statistics.median(seconds[1:])) for name, seconds in times.items()}  # the first one compiles


def _both(model: Model, content: ArrayLike, style: ArrayLike) -> Any:
    return stylize(model, content, encode_style(model, style))


def table2(model: Model, networks: metrics.Networks, pair: Pair, beside: Model | None = None) -> Row:
    """The style loss of a pair's result, of the photo itself, and of another method's result."""
    pictures = {"photo": pair.content}
    for name, one in (("style_loss", model), ("beside", beside)):
        if one is not None:
            pictures[name] = np.asarray(_both(one, pair.content, pair.style))
    return {name: rounded(metrics.gram_style_loss(networks, x, pair.style)) for name, x in pictures.items()}


def command_cost(source: str, size: int) -> Row:
    """Seconds and peak memory of the command on a square picture, in a process of its own, from file to file.

    Raises:
      MeasureError: the command failed.
    """
    with tempfile.TemporaryDirectory() as name:
        files = [str(Path(name) / file) for file in ("photo.png", "painting.png", "result.png")]
        for seed, (file, side) in enumerate(zip(files, (size, STYLE_SIDE), strict=False)):
            coarse = np.random.default_rng(seed).integers(0, 256, (-(-side // 8), -(-side // 8), 3), dtype=np.uint8)
            image.write(file, coarse.repeat(8, 0).repeat(8, 1)[:side, :side])
        arguments = ["stylize", files[0], "--style", files[1], "-o", files[2], "--weights-file", source]
        with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
            try:
                code, seconds, peak = pool.submit(_command, arguments).result()
            except BrokenProcessPool:
                code, seconds, peak = -1, 0.0, 0
    if code:
        raise MeasureError(f"painting {size} x {size} pixels failed; is the memory too small?")
    return {"seconds": rounded(seconds), "peak_bytes": peak}


def _command(arguments: list[str]) -> tuple[int, float, int]:
    """Exit code, seconds and peak memory of a command."""
    start = time.perf_counter()
    with contextlib.redirect_stdout(io.StringIO()):
        code = cli.main(arguments)
    return code, time.perf_counter() - start, peak_bytes()
