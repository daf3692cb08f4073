"""Fitted pictures: fitting a pair step by step, opening files, and tiles for a zoom, the last ones kept."""

from __future__ import annotations

import contextlib
import os
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jax
import numpy as np

from jaxstyle import image
from jaxstyle.image.grid import grid
from jaxstyle.methods.inr import InrParams, files, render_image
from jaxstyle.methods.inr.schedule import PRESETS
from jaxstyle.painting import deep
from jaxstyle.painting.fit import ALPHAS, fitting
from jaxstyle.painting.rendering import fitted
from jaxstyle.studio.painter import Step, Told, written
from jaxstyle.studio.store import Store, Upload, plain
from jaxstyle.weights import WeightsError

STRIP = 128
"""Short side of the pictures of a strip, pixels."""
STRIP_EVERY = 2.0
"""Seconds between strips."""
LARGEST_FIT = 1024
MOST_STEPS = 100_000


@dataclass(frozen=True, eq=False)
class Fitted:
    """A fitted picture.

    Attributes:
      name: of its file.
      params: the network.
      data: the file, as ``jaxstyle render`` reads it.
    """

    name: str
    params: InrParams
    data: bytes


@dataclass(frozen=True)
class Wish:
    """A fit that was asked for.

    Attributes:
      photo, painting: names of pictures.
      preset: one of `jaxstyle.methods.inr.schedule.PRESETS`.
      size: see `jaxstyle.fit`; None: the preset's.
      steps: in all; None: the preset's.
      seed: of all that is drawn.
    """

    photo: str
    painting: str
    preset: str
    size: int | None = None
    steps: int | None = None
    seed: int = 0


def wish(request: Any) -> Wish:
    """A fit in a request, as JSON gives it.

    Raises:
      ValueError: it is not of that form, or out of range.
    """
    fields = ("photo", "painting", "preset", "size", "steps", "seed")
    if not isinstance(request, dict) or set(request) - set(fields):
        raise ValueError(f"fit: expected an object with {', '.join(fields)}")
    for name in ("photo", "painting", "preset"):
        if not isinstance(request.get(name), str):
            raise ValueError(f"{name}: expected text, got {type(request.get(name)).__name__}")
    if request["preset"] not in PRESETS:
        raise ValueError(f"preset: expected one of {', '.join(PRESETS)}, got {request['preset'][:40]!r}")
    for name, least, most in (("size", 16, LARGEST_FIT), ("steps", 1, MOST_STEPS), ("seed", 0, 2**32 - 1)):
        value = request.get(name)
        if value is not None and (type(value) is not int or not least <= value <= most):
            raise ValueError(f"{name}: expected a whole number from {least} to {most}, got {str(value)[:20]}")
    return Wish(**{name: value for name, value in request.items() if value is not None})


class Fits:
    """The fitted pictures of all pages.

    Attributes:
      kept: them.
      tiles: files of tiles that were made last, by fit, place and degree of style.
    """

    def __init__(self, max_pixels: int) -> None:
        """
        Args:
          max_pixels: of a picture that is read.
        """
        self._most = max_pixels
        self.kept: Store[Fitted] = Store("fit", 512 << 20)
        self.tiles: Store[bytes] = Store("tile", 128 << 20)

    def fit(
        self, wish: Wish, pair: tuple[Upload, Upload], step: Step, tell: Told, show: Callable[[bytes], None]
    ) -> str:
        """Fits a pair; returns the name of the fitted picture.

        Args:
          wish: what was asked for.
          pair: the photo and the painting.
          step: called after every step.
          tell: called with the number of steps done and their total.
          show: called with a strip of pictures, a JPEG file, every `STRIP_EVERY` seconds.
        """
        photo, painting = (image.read(one.data, max_pixels=self._most).pixels for one in pair)
        last = time.monotonic()
        found: InrParams | None = None
        options = {"size": wish.size, "steps": wish.steps, "seed": wish.seed}
        for done, total, params in fitting(photo, painting, wish.preset, **options):  # type: ignore[arg-type]
            found = params
            jax.block_until_ready(params.network)
            tell(done, total)
            step()
            if done == total or time.monotonic() - last >= STRIP_EVERY:
                show(strip(params))
                last = time.monotonic()
        assert found is not None
        name = f"{os.path.splitext(pair[0].name)[0]}_{os.path.splitext(pair[1].name)[0]}.safetensors"
        with _file() as path:
            files.save(path, found, preset=wish.preset, seed=str(wish.seed))
            return self._keep(name, fitted(path), path.read_bytes())

    def open(self, data: bytes, name: str) -> str:
        """Keeps the fitted picture of a file that a page has sent; returns its name.

        Raises:
          WeightsError: it is none.
        """
        label = plain(name)
        with _file() as path:
            path.write_bytes(data)
            try:
                return self._keep(label, fitted(path), data)
            except WeightsError as error:
                raise WeightsError(str(error).replace(str(path), label)) from None

    def tile(self, name: str, level: int, column: int, row: int, alpha: float) -> bytes:
        """A tile as a PNG file, see `jaxstyle.painting.deep.tile`; kept for the next time."""
        key = f"{name} {level} {column}_{row} {alpha:.2f}"
        if key not in self.tiles:
            data, _ = written(deep.tile(self.kept.get(name).params, level, column, row, round(alpha, 2)), "PNG")
            self.tiles.put(data, len(data), key)
            return data
        return self.tiles.get(key)

    def facts(self, name: str) -> dict[str, Any]:
        """What a page must know of a fitted picture."""
        found = self.kept.get(name)
        width, height = found.params.size
        return {"fit": name, "name": found.name, "width": width, "height": height, "tile": deep.SIDE}

    def _keep(self, name: str, params: InrParams, data: bytes) -> str:
        return self.kept.put(Fitted(name, params, data), 2 * len(data))


@contextlib.contextmanager
def _file() -> Iterator[Path]:
    """The name of a temporary file, of ours alone."""
    with tempfile.TemporaryDirectory(prefix="jaxstyle-studio-") as folder:
        yield Path(folder) / "inr.safetensors"


def strip(params: InrParams) -> bytes:
    """From the photo to full style in small pictures, a JPEG file."""
    scale = STRIP / min(params.size)
    width, height = (max(1, min(4 * STRIP, round(side * scale))) for side in params.size)
    shown: Iterator[np.ndarray] = (np.asarray(render_image(params, (width, height), alpha)) for alpha in ALPHAS)
    return written(grid([list(shown)]), "JPEG", quality=88)[0]
