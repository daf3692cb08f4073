"""Batches of content and style crops from one step on, decoded ahead by threads, and pairs to validate on.

Batch ``t`` holds the examples ``t * batch_size ...`` of the streams of `train.crops`; each process gets its rows of it.

Grain would give the shuffling and the threads, but not the contiguous slice of each process, the substitutes for
unreadable pictures or the cache, and it is one more package; what is left of it is a thread pool, which the standard
library has. Threads are enough because Pillow releases the GIL while it decodes and resizes.
"""

from __future__ import annotations

import contextlib
import logging
import math
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import NamedTuple

import jax
import numpy as np

from train.crops import Cropping, Crops, resize_short_side, to_float, to_uint8
from train.sources import DataError, Source, UnreadableError, choose_holdout, open_source, split

logger = logging.getLogger(__name__)

Batch = dict[str, np.ndarray]
"""``content`` and ``style``, float32 (rows, crop, crop, 3) in [0, 1], and what a trainer adds, by row."""

VALIDATION = 16
"""Pairs to validate on, if so many are held out."""


class Pictures(NamedTuple):
    """What a run is trained and validated on."""

    crops: dict[str, Crops]  # the streams ``content`` and ``style``
    validation: Batch  # of pairs that are held out
    holdout: int  # pictures of each set that are not trained on


def open_pictures(
    content: str, style: str, cropping: Cropping, *, holdout: int | None, cache_bytes: int, augment: float = 0.0
) -> Pictures:
    """Opens photos and paintings, and holds some of them out.

    Args:
      content: photos, a folder or tfds:NAME/CONFIG:SPLIT.
      style: paintings, likewise.
      cropping: how examples are cut; its seed also decides which pictures are held out.
      holdout: pictures of each set that are not trained on; None: as `train.sources.choose_holdout` says.
      cache_bytes: memory for decoded pictures; each set gets half.
      augment: share of the paintings' crops that `train.augment` changes.

    Raises:
      DataError: a set is missing, or too few of its pictures can be read.
    """
    sources = {"content": open_source(content), "style": open_source(style)}
    holdout = choose_holdout(holdout, *sources.values())
    parts = {name: split(source, holdout, cropping.seed) for name, source in sources.items()}
    crops = {
        name: Crops(
            source,
            parts[name][0],
            cropping,
            stream=name,
            cache_bytes=cache_bytes // len(sources),
            augment=augment if name == "style" else 0.0,
        )
        for name, source in sources.items()
    }
    validation = validation_pairs(
        sources["content"],
        parts["content"][1],
        sources["style"],
        parts["style"][1],
        count=min(VALIDATION, holdout),
        crop=cropping.crop,
    )
    return Pictures(crops, validation, holdout)


@contextlib.contextmanager
def open_loader(crops: Mapping[str, Crops], *, batch_size: int, start_step: int, threads: int) -> Iterator[Loader]:
    """The batches of this process after ``start_step`` steps; at the end it is said how many pictures were skipped."""
    with Loader(
        crops["content"],
        crops["style"],
        batch_size=batch_size,
        start_step=start_step,
        process_index=jax.process_index(),
        process_count=jax.process_count(),
        threads=threads,
    ) as loader:
        yield loader
        if loader.skipped:
            logger.warning("%d unreadable pictures were skipped", len(loader.skipped))


class Loader(Iterator[Batch]):
    """Batches of a content and a style stream from one step on, decoded ahead by threads; close it when done.

    Process p of P gets rows ``p * B/P .. (p + 1) * B/P`` of every global batch of B.
    """

    def __init__(
        self,
        content: Crops,
        style: Crops,
        *,
        batch_size: int,
        start_step: int = 0,
        process_index: int = 0,
        process_count: int = 1,
        threads: int = 4,
        prefetch: int = 2,
    ) -> None:
        """
        Args:
          content: stream of content pictures.
          style: stream of style pictures.
          batch_size: pairs in the global batch, over all processes.
          start_step: step of the first batch.
          process_index: this process.
          process_count: how many share the global batch.
          threads: pictures decoded at once.
          prefetch: batches decoded ahead.

        Raises:
          DataError: the batch cannot be divided among the processes.
        """
        if batch_size < 1 or batch_size % process_count:
            raise DataError(f"batch_size: {batch_size}; expected a multiple of the {process_count} processes")
        self.streams = {"content": content, "style": style}
        self.step = start_step
        rows = batch_size // process_count
        self._rows = range(process_index * rows, (process_index + 1) * rows)
        self._batch_size = batch_size
        self._prefetch = max(1, prefetch)
        self._pool = ThreadPoolExecutor(max(1, threads), thread_name_prefix="decode")
        self._pending: deque[dict[str, list[Future[np.ndarray]]]] = deque()

    def __next__(self) -> Batch:
        """The batch of the next step: ``content`` and ``style``, float32 (rows, crop, crop, 3) in [0, 1].

        Raises:
          DataError: not one picture of a stream is readable.
        """
        while len(self._pending) <= self._prefetch:
            first = (self.step + len(self._pending)) * self._batch_size
            self._pending.append(
                {
                    name: [self._pool.submit(stream.example, first + row) for row in self._rows]
                    for name, stream in self.streams.items()
                }
            )
        futures = self._pending.popleft()
        self.step += 1
        return {name: to_float([one.result() for one in examples]) for name, examples in futures.items()}

    @property
    def first_row(self) -> int:
        """Place of this process' first row in every global batch."""
        return self._rows.start

    @property
    def skipped(self) -> dict[str, str]:
        """Name -> reason of the unreadable pictures met so far by this process."""
        return {name: why for stream in self.streams.values() for name, why in dict(stream.skipped).items()}

    def close(self) -> None:
        """Drops what is prefetched and waits for the pictures being decoded."""
        self._pool.shutdown(wait=True, cancel_futures=True)
        self._pending.clear()

    def __enter__(self) -> Loader:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()


def validation_pairs(
    content: Source,
    content_indices: Sequence[int] | np.ndarray,
    style: Source,
    style_indices: Sequence[int] | np.ndarray,
    *,
    count: int,
    crop: int,
) -> Batch:
    """The same ``count`` (content, style) pairs in every run: centre crops, short side brought to ``crop``.

    Pair i is readable content i with readable style i, each list repeated from its start when too short.

    Returns:
      ``content`` and ``style``, float32 (count, crop, crop, 3) in [0, 1].

    Raises:
      DataError: one of the two lists holds no readable picture.
    """

    def pictures(source: Source, indices: Sequence[int] | np.ndarray, what: str) -> np.ndarray:
        found: list[np.ndarray] = []
        for index in indices:
            try:
                pixels = resize_short_side(to_uint8(source.pixels(int(index), crop)), crop)
            except UnreadableError as error:
                logger.warning("validation %s: skipped %s: %s", what, source.name(int(index)), error)
                continue
            y, x = (pixels.shape[0] - crop) // 2, (pixels.shape[1] - crop) // 2
            found.append(pixels[y : y + crop, x : x + crop])
            if len(found) == count:
                break
        if not found:
            raise DataError(f"validation {what}: no readable picture among {len(indices)}; hold some out")
        return to_float((found * math.ceil(count / len(found)))[:count])

    return {
        "content": pictures(content, content_indices, "content"),
        "style": pictures(style, style_indices, "style"),
    }
