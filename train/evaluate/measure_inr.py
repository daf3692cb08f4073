"""What the tables of INR-st (arXiv:2210.07762) measure, for one fitted picture: their rows as JSON values.

Degrees of style are jaxstyle's, 0 = content; the paper's alpha is 1 minus that.
"""

from __future__ import annotations

import multiprocessing
import statistics
import time
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool

import jax
import jax.numpy as jnp
import numpy as np

from jaxstyle import image
from jaxstyle.methods import inr
from jaxstyle.methods.inr import enlarge
from jaxstyle.methods.inr.picture import Picture
from jaxstyle.metrics import metrics
from jaxstyle.nets.stats import gram
from jaxstyle.painting.rendering import load_picture
from jaxstyle.runtime import memory
from train.evaluate.results import Row, rounded

BAND = 1 << 22
"""Points of a band of rows: a picture with more is rendered band by band and never there as a whole."""
LONG = 60
"""Seconds of timed calls after which there are enough."""
DISTANCES = (1, 3)
"""Of Table 3, in pixels."""
ZOOM, WINDOW = 4, 256
"""Of Table 5: how many times larger the enlargement is, and the side of its windows in pixels."""


class MeasureError(RuntimeError):
    """Something that could not be measured; the message is one line."""


# ---- Table 1: memory and time ------------------------------------------------------------------------------


def render_cost(file: str, size: int, repeats: int) -> Row:
    """Seconds (those of all processors, too) and peak memory of rendering a square picture, in a process of its own.

    Args:
      file: of the fitted or conditioned picture.
      size: side in pixels.
      repeats: timed calls; fewer where they take longer than `LONG` together.

    Raises:
      MeasureError: the process ended early, as it does where memory ends.
    """
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, mp_context=context) as pool:
        try:
            return pool.submit(_render_cost, file, size, repeats).result()
        except BrokenProcessPool:
            raise MeasureError(f"rendering {size} x {size} pixels ended early; is the memory too small?") from None


def _render_cost(file: str, size: int, repeats: int) -> Row:
    params = load_picture(file)
    for rows in sorted({bottom - top for top, bottom in bands(size)}):  # compiles what is timed below
        _band(params, size, 0, rows)
    times: list[float] = []
    busy = -time.process_time()
    while len(times) < repeats and sum(times) < LONG:
        start = time.perf_counter()
        for top, bottom in bands(size):
            _band(params, size, top, bottom)
        times.append(time.perf_counter() - start)
    busy = (busy + time.process_time()) / len(times)
    row = {"seconds": rounded(statistics.median(times)), "processor": rounded(busy)}
    return row | {"calls": len(times), "peak_bytes": peak_bytes()}


def bands(size: int) -> list[tuple[int, int]]:
    """(top, bottom) of the bands in which a square picture is rendered: of at most `BAND` points, or one row."""
    rows = max(1, BAND // size)
    return [(top, min(top + rows, size)) for top in range(0, size, rows)]


def _band(params: Picture, size: int, top: int, bottom: int) -> np.ndarray:
    """Rows of the picture in 8 bits, as they would go to a file."""
    pixels = inr.render_image(params, (size, size), 1.0, window=(0, top, size, bottom))
    return np.asarray(jnp.round(255 * pixels).astype(jnp.uint8))


def peak_bytes() -> int:
    """`jaxstyle.runtime.memory.peak_bytes`.

    Raises:
      MeasureError: it is unknown on this system.
    """
    peak = memory.peak_bytes()
    if peak is None:
        raise MeasureError("peak memory: unknown on this system")
    return peak


# ---- Tables 2 to 5: pictures -------------------------------------------------------------------------------


def ends(networks: metrics.Networks, params: inr.InrParams, content: np.ndarray, style: np.ndarray) -> Row:
    """Table 2: Gram distance to the painting and SSIM to the photo at both ends, and what is to be reached there.

    What is to be reached is the photo itself at degree 0, and at degree 1 the painting itself, brought to the photo's
    size where SSIM compares the two.
    """
    painting = image.resize(style, (content.shape[0], content.shape[1]))
    row: Row = {
        "gram_reached": {"0": rounded(metrics.gram_distance(networks, content, style)), "1": 0.0},
        "ssim_reached": {"0": 1.0, "1": rounded(metrics.ssim(painting, content))},
        "gram": {},
        "ssim": {},
    }
    for degree in ("0", "1"):
        picture = inr.render_image(params, params.size, float(degree))
        row["gram"][degree] = rounded(metrics.gram_distance(networks, picture, style))
        row["ssim"][degree] = rounded(metrics.ssim(picture, content))
    return row


def controllability(params: inr.InrParams, content: np.ndarray, pixels: int, seed: int) -> Row:
    """Table 3: what the style of one pixel does at some distance, see
    `jaxstyle.metrics.metrics.pixel_controllability`."""
    row: Row = {}
    for distance in DISTANCES:
        found = metrics.pixel_controllability(
            jax.random.key(seed),
            lambda alpha: inr.render_image(params, params.size, alpha),
            content,
            distance=distance,
            pixels=pixels,
        )
        row[str(distance)] = {name: rounded(value) for name, value in found._asdict().items()}
    return row


def disentanglement(networks: metrics.Networks, params: inr.InrParams, content: np.ndarray, style: np.ndarray) -> Row:
    """Table 4 for one fit: PSNR to the photo and Gram distance to the painting at degrees 0 to 1, and their steps."""
    renders = jnp.stack([inr.render_image(params, params.size, degree) for degree in metrics.ALPHAS])
    found = metrics.disentanglement(networks, content, style, renders)
    return {name: [rounded(value) for value in values] for name, values in found._asdict().items()}


def enlargement(networks: metrics.Networks, params: inr.InrParams, painting: np.ndarray) -> Row:
    """Table 5: an enlargement at full style beside the painting at the same pixel scale, which has its own pixels.

    ``windows``: mean Gram distance of windows to the whole painting; ``together``: that of their mean Gram matrices.
    Both of the fit rendered at `ZOOM` times its size, of its picture enlarged with a bicubic filter, and of the
    painting's own windows. ``psnr``: in dB, by zoom, of renders scaled down (means of pixels) to the picture.
    """
    width, height = params.size
    coarse = np.asarray(inr.render_image(params))
    row: Row = {"windows": {}, "together": {}, "psnr": {}}
    for zoom in (2, ZOOM, 2 * ZOOM):
        small = np.concatenate([_means(params, zoom, top, min(top + 32, height)) for top in range(0, height, 32)])
        row["psnr"][str(zoom)] = rounded(metrics.psnr(coarse, small))
    large = (ZOOM * height, ZOOM * width, 3)
    bicubic = np.clip(np.asarray(jax.image.resize(coarse, large, "cubic")), 0, 1)
    render = np.asarray(inr.render_image(params, (large[1], large[0])))
    for name, picture in (("fit", render), ("bicubic", bicubic), ("painting", painting)):
        shown = enlarge.windows(picture, WINDOW)
        distances = [float(metrics.gram_distance(networks, window, painting)) for window in shown]
        row["windows"][name] = rounded(statistics.fmean(distances))
        row["together"][name] = rounded(_together(networks, shown, painting))
    return row


def _means(params: inr.InrParams, zoom: int, top: int, bottom: int) -> np.ndarray:
    """Some rows of the picture fitted to, each pixel the mean of those of a render ``zoom`` times as large."""
    width, height = params.size
    size, window = (zoom * width, zoom * height), (0, zoom * top, zoom * width, zoom * bottom)
    rows = np.asarray(inr.render_image(params, size, window=window))
    return rows.reshape(bottom - top, zoom, width, zoom, 3).mean((1, 3))


def _together(networks: metrics.Networks, windows: np.ndarray, painting: np.ndarray) -> float:
    """`jaxstyle.metrics.metrics.gram_distance` of the mean of the windows' Gram matrices to the painting's."""

    def grams(picture: np.ndarray) -> list[np.ndarray]:
        found = metrics.features(networks.plain, picture[None], metrics.SHALLOW_TAPS, pool="avg")
        return [np.asarray(gram(found[tap])[0]) for tap in metrics.SHALLOW_TAPS]

    means = [np.mean(of_tap, axis=0) for of_tap in zip(*map(grams, windows), strict=True)]
    return float(sum(np.linalg.norm(a - b) for a, b in zip(means, grams(painting), strict=True)))
