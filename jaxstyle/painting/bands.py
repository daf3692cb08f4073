"""Pictures in tiles that go on where they were: their bands of rows are kept on disk until the file is whole.

A band is a row of windows. Its samples are kept as they will be in the file, and the survey of the whole picture as a
note beside them (`jaxstyle.painting.unfinished`); so the next run encodes what the missing bands see, and paints them.
"""

from __future__ import annotations

import contextlib
import functools
import os
import shutil
from collections.abc import Callable, Iterator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxstyle.controls.controls import Controls
from jaxstyle.image.encode import quantise
from jaxstyle.methods.interface import Loaded, Needs
from jaxstyle.painting import unfinished
from jaxstyle.painting.finish import finish
from jaxstyle.painting.options import PathLike
from jaxstyle.painting.paint import Begun, Job, paint
from jaxstyle.painting.plan import Plan
from jaxstyle.painting.unfinished import SUFFIX, Unfinished, about, digest, digest_of

_SURVEY = "survey"


def begin(target: PathLike, request: dict[str, Any], plan: Plan, *, discard: bool) -> Unfinished | None:
    """The place for the bands of a picture, or for those that are missing.

    Args:
      target: the picture that it will be.
      request: what `request` returned.
      plan: its windows.
      discard: throw away what was begun for another request.

    Returns:
      None where it is not worth it, or there is no room on the disk.

    Raises:
      UnfinishedError: what was begun belongs to another request, which is not to be discarded.
      JournalError: another process is at work on it.
      ImageError: its folder cannot be made.
    """
    (top, bottom), (height, width) = plan.bands[0], plan.extent
    dtype, real = np.dtype(np.uint8 if request["bits"] == 8 else np.uint16), os.path.realpath(target)
    if not os.path.isdir(real + SUFFIX):
        room = shutil.disk_usage(os.path.dirname(real)).free
        if len(plan.bands) == 1 or room < height * width * 3 * dtype.itemsize:
            return None
    return unfinished.opened(target, request, (bottom - top, width, 3), dtype, discard=discard)


def painted(
    loaded: Loaded,
    job: Job,
    controls: Controls,
    part: Unfinished,
    *,
    scratch: PathLike | None,
    progress: Callable[[int, int], None] | None,
) -> Iterator[np.ndarray]:
    """A picture, band by band, from disk or painted.

    Args:
      loaded: the model.
      job: what is painted.
      controls: ``alpha_blend`` and ``preserve_color`` are looked at.
      part: the bands that are done; the others are put there.
      scratch, progress: see `jaxstyle.painting.paint.paint`.

    Returns:
      Bands of rows from top to bottom, uint8 or uint16 ``(h, W, 3)``.
    """
    rows = job.plan.bands
    missing = [number for number in range(len(rows)) if part.read(number) is None]
    begun = Begun(missing, part.noted(_SURVEY), functools.partial(part.note, _SURVEY))
    with contextlib.closing(paint(loaded, job, scratch=scratch, progress=progress, begun=begun)) as fresh:
        for number, (top, bottom) in enumerate(rows):
            samples = None if number in missing else part.read(number)
            if samples is None:
                band = quantise(finish(next(fresh), top, job.source, job.shares, controls), part.dtype)
                samples = np.pad(band, ((0, part.shape[0] - len(band)), (0, 0), (0, 0)))  # the last one may be shorter
                part.write(number, samples)
            yield samples[: bottom - top]


# ---- the request -------------------------------------------------------------------------------------------


def request(content: PathLike | bytes, job: Job, controls: Controls, loaded: Loaded, bits: int) -> dict[str, Any]:
    """All that decides about the samples.

    Raises:
      ImageError: a map or a mask cannot be read.
    """
    height, width = job.plan.extent
    fields = controls.as_dict()
    fields["alpha_map"] = digest(fields["alpha_map"])
    fields["mask"] = [digest(name) for name in fields["mask"] or ()]
    return {
        **about(content),
        "model": loaded.sha256 or digest_of(loaded.model),
        **fields,
        "style": digest_of(job.style),
        "size": [width, height],
        "bits": bits,
        "tile": _side(job.plan),
        "device": next(iter(jnp.zeros(()).devices())).device_kind,
        "jax": jax.__version__,
    }


def begun_tile(target: PathLike, needs: Needs) -> int | None:
    """The side of the tiles in which a picture was begun, if a model can be painted in such; the free memory, and with
    it the tile that is chosen, may be another by now."""
    side = (unfinished.begun(target) or {}).get("tile")
    return side if isinstance(side, int) and needs.windowed and side % needs.stride == 0 else None


def _side(plan: Plan) -> int:
    """The least side of tiles that makes this plan."""
    top, bottom, left, right = plan.paint[0][0].core
    return max(bottom - top, right - left)
