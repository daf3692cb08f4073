"""Five zooms of a fitted picture, below each the same part of its picture enlarged with a bicubic filter:
``python examples/inr_zooms.py FIT OUT [X,Y [PAINTING]]``.

X,Y is the place in the middle, in the coordinates of ``--region``. A fit without detail gets it first, by the last
stage of ``--preset zoom`` with PAINTING, which takes minutes.
"""

import dataclasses
import sys

import jax
import numpy as np
from PIL import Image

import jaxstyle
from jaxstyle.methods.inr import loop, step
from jaxstyle.methods.inr import schedule as inr_schedule

ZOOMS = (1, 2, 3, 5, 8)
SIDE = 200
"""Of a cell, in pixels; at a zoom of 1 it shows as many of the picture fitted to."""


def with_detail(params: jaxstyle.InrParams, painting: str) -> jaxstyle.InrParams:
    """A fit of 256 pixels, and detail on top of it."""
    preset = inr_schedule.preset("zoom")
    spec = dataclasses.replace(params.spec, detail=preset.spec.detail)
    schedule = dataclasses.replace(preset, stages=preset.stages[-1:], spec=spec)
    made = step.create_state(jax.random.key(0), schedule, params.size).params
    made = dataclasses.replace(params, network=made.network | params.network, spec=spec)
    state = step.started(made, schedule)
    own = jaxstyle.image.read(painting).pixels
    coarse = np.asarray(jaxstyle.render_image(params))
    pictures = {"content": coarse, "style": loop.resized(own, painting, schedule.size), "painting": own}
    encoder, _ = jaxstyle.inr.load_encoder("vgg16", schedule.loss)
    *_, (_, last, _) = loop.steps(jax.random.key(1), state, encoder, schedule, pictures)
    return last.params


def cell(params: jaxstyle.InrParams, whole: Image.Image, zoom: float, middle: tuple[float, float]) -> np.ndarray:
    """The fit's part of the picture, and below it that of its enlarged pixels."""
    box = []  # left, right, top, bottom in pixels of the picture fitted to
    for at, side in zip(middle, params.size, strict=True):
        low = min(max((at + 1) / 2 * side - SIDE / zoom / 2, 0), side - SIDE / zoom)
        box += [low, low + SIDE / zoom]
    left, right, top, bottom = box
    width, height = params.size
    region = (2 * left / width - 1, 2 * top / height - 1, 2 * right / width - 1, 2 * bottom / height - 1)
    near = np.asarray(jaxstyle.render_image(params, (SIDE, SIDE), region=region))
    far = whole.resize((SIDE, SIDE), Image.Resampling.BICUBIC, box=(left, top, right, bottom))
    return np.vstack([np.uint8(255 * near + 0.5), np.asarray(far)])


def main() -> None:
    params = jaxstyle.inr.load(sys.argv[1])
    x, y = map(float, sys.argv[3].split(",")) if len(sys.argv) > 3 else (0.0, 0.0)
    if not params.spec.detail:
        params = with_detail(params, sys.argv[4])
    whole = Image.fromarray(np.uint8(255 * np.asarray(jaxstyle.render_image(params)) + 0.5))
    page = np.hstack([cell(params, whole, zoom, (x, y)) for zoom in ZOOMS])
    Image.fromarray(page).save(sys.argv[2], quality=88)


if __name__ == "__main__":
    main()
