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
from jaxstyle.methods.inr.picture import Picture
from jaxstyle.painting import deep
from jaxstyle.painting.fit import ALPHAS, fitting, render_command
from jaxstyle.painting.rendering import fitted
from jaxstyle.studio.command import fit_command
from jaxstyle.studio.painter import Step, Told, written
from jaxstyle.studio.settings import Wish
from jaxstyle.studio.store import Store, Upload, plain
from jaxstyle.weights import WeightsError

STRIP = 128
"""Short side of the pictures of a strip, pixels."""
STRIP_EVERY = 2.0
"""Seconds between strips."""


@dataclass(frozen=True, eq=False)
class Fitted:
    """A fitted picture.

    Attributes:
      name: of its file.
      params: the network.
      data: the file, as ``jaxstyle render`` reads it.
      made: the command line that fits it; "" where that is not known.
    """

    name: str
    params: Picture
    data: bytes
    made: str = ""


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
            return self._keep(Fitted(name, fitted(path), path.read_bytes(), fit_command(wish, pair, name)))

    def open(self, data: bytes, name: str) -> str:
        """Keeps the fitted picture of a file that a page has sent; returns its name.

        Raises:
          WeightsError: it is none.
        """
        label = plain(name)
        with _file() as path:
            path.write_bytes(data)
            try:
                return self._keep(Fitted(label, fitted(path), data))
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
        commands = [*filter(None, [found.made]), render_command(found.name, (width, height))]
        facts = {"fit": name, "name": found.name, "width": width, "height": height}
        return facts | {"tile": deep.SIDE, "command": "\n".join(commands)}

    def _keep(self, found: Fitted) -> str:
        return self.kept.put(found, 2 * len(found.data))


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
