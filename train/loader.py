"""Batches of content and style crops from one step on, decoded ahead by threads, and pairs to validate on.

Batch ``t`` holds the examples ``t * batch_size ...`` of the streams of `train.crops`; each process gets its rows of it.

Grain would give the shuffling and the threads, but not the contiguous slice of each process, the substitutes for
unreadable pictures or the cache, and it is one more package; what is left of it is a thread pool, which the standard
library has. Threads are enough where a step takes longer than its pictures: Pillow releases the GIL while it decodes
and resizes. Processes keep a fast accelerator busy with augmented pictures. The batches are the same.
"""

from __future__ import annotations

import contextlib
import logging
import math
import multiprocessing
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Executor, Future, ProcessPoolExecutor, ThreadPoolExecutor
from typing import NamedTuple, TypeAlias, TypedDict, Unpack

import jax
import jax.numpy as jnp
import numpy as np

from jaxstyle.arrays import Array
from train.crops import Cropping, Crops, resize_short_side, to_float, to_uint8
from train.sources import DataError, Source, UnreadableError, choose_holdout, open_source, split

logger = logging.getLogger(__name__)

Batch = dict[str, np.ndarray]
"""``content`` and ``style``, uint8 (rows, crop, crop, 3), and what a trainer adds, by row."""

_Decoded: TypeAlias = tuple[np.ndarray, dict[str, str]]
"""An example, and why pictures met so far were skipped, by name."""

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
def open_loader(
    crops: Mapping[str, Crops], *, batch_size: int, start_step: int, threads: int, processes: int = 0, echo: int = 1
) -> Iterator[Loader]:
    """The batches of this process after ``start_step`` steps; at the end it is said how many pictures were skipped."""
    with Loader(
        crops["content"],
        crops["style"],
        batch_size=batch_size,
        start_step=start_step,
        process_index=jax.process_index(),
        process_count=jax.process_count(),
        threads=threads,
        processes=processes,
        echo=echo,
    ) as loader:
        yield loader
        if loader.skipped:
            logger.warning("%d unreadable pictures were skipped", len(loader.skipped))


class Options(TypedDict, total=False):
    """How a `Loader` makes its batches."""

    threads: int
    processes: int
    echo: int
    prefetch: int


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
        **options: Unpack[Options],
    ) -> None:
        """
        Args:
          content: stream of content pictures.
          style: stream of style pictures.
          batch_size: pairs in the global batch, over all processes.
          start_step: step of the first batch.
          process_index: this process.
          process_count: how many share the global batch.
          options: ``threads`` (4): pictures decoded at once.
            ``processes`` (0): so many processes decode instead, each with a cache of its own.
            ``echo`` (1): steps that a batch is used for, each time with the paintings of this process' rows moved on by
            one: so many more pairs where pictures take longer than steps (data echoing, arXiv:1907.05550).
            ``prefetch`` (2): batches decoded ahead.

        Raises:
          DataError: the batch cannot be divided among the processes.
        """
        if batch_size < 1 or batch_size % process_count:
            raise DataError(f"batch_size: {batch_size}; expected a multiple of the {process_count} processes")
        self.streams = {"content": content, "style": style}
        threads, processes = options.get("threads", 4), options.get("processes", 0)
        self.step, self._echo = start_step, max(1, options.get("echo", 1))
        self._same: Batch = {}
        rows = batch_size // process_count
        self._rows = range(process_index * rows, (process_index + 1) * rows)
        self._batch_size = batch_size
        self._prefetch = max(1, options.get("prefetch", 2))
        self._pool: Executor = (
            ProcessPoolExecutor(processes, multiprocessing.get_context("spawn"), _keep, (self.streams,))
            if processes
            else ThreadPoolExecutor(max(1, threads), thread_name_prefix="decode")
        )
        self._example = _example if processes else lambda name, k: _decoded(self.streams[name], k)
        self._pending: deque[dict[str, list[Future[_Decoded]]]] = deque()
        self.skipped: dict[str, str] = {}  # name -> why, of the unreadable pictures met so far

    def __next__(self) -> Batch:
        """The batch of the next step: ``content`` and ``style``, uint8 (rows, crop, crop, 3).

        Raises:
          DataError: not one picture of a stream is readable.
        """
        again = self.step % self._echo
        if not again or not self._same:
            self._same = self._decoded()
        self.step += 1
        return self._same | {"style": np.roll(self._same["style"], again, axis=0)}

    def _decoded(self) -> Batch:
        """The batch that is due."""
        while len(self._pending) <= self._prefetch:
            first = (self.step // self._echo + len(self._pending)) * self._batch_size
            self._pending.append(
                {
                    name: [self._pool.submit(self._example, name, first + row) for row in self._rows]
                    for name in self.streams
                }
            )
        futures = self._pending.popleft()
        batch = {}
        for name, examples in futures.items():
            pictures, skipped = zip(*(one.result() for one in examples), strict=True)
            batch[name] = np.stack(pictures)
            for some in skipped:
                self.skipped |= some
        return batch

    @property
    def first_row(self) -> int:
        """Place of this process' first row in every global batch."""
        return self._rows.start

    def close(self) -> None:
        """Drops what is prefetched and waits for the pictures being decoded."""
        self._pool.shutdown(wait=True, cancel_futures=True)
        self._pending.clear()

    def __enter__(self) -> Loader:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()


def _decoded(stream: Crops, k: int) -> _Decoded:
    return stream.example(k), dict(stream.skipped)


_kept: dict[str, Crops] = {}
"""What a process of a loader decodes."""


def _keep(streams: dict[str, Crops]) -> None:
    """The beginning of such a process."""
    _kept.update(streams)


def _example(name: str, k: int) -> _Decoded:
    """What such a process does."""
    return _decoded(_kept[name], k)


def to_unit(pixels: Array) -> Array:
    """uint8 -> float32 in [0, 1], on the device, where it travels as a quarter; float32 stays as it is."""
    return pixels.astype(jnp.float32) / 255 if pixels.dtype == jnp.uint8 else pixels


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
