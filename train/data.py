"""Pictures -> batches of random crops, as a pure function of (seed, step).

Batch ``t`` holds the examples ``t * batch_size ...`` of an infinite stream. Example ``k`` is picture ``k
mod n`` of epoch ``k // n``'s permutation, cut by a crop drawn from ``(seed, stream, k)``. Nothing else is
remembered, so a resumed run needs only its step number, and any number of processes sees the same global
batches.

Grain would give the shuffling and the threads, but not the contiguous slice of each process, the
substitutes for unreadable pictures or the cache, and it is one more package; what is left of it is a thread
pool, which the standard library has. Threads are enough because Pillow releases the GIL while it decodes
and resizes.
"""

import hashlib
import logging
import math
import threading
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor

import numpy as np
from PIL import Image

from train.augment import augment_style
from train.sources import DataError as DataError
from train.sources import Source, UnreadableError
from train.sources import open_source as open_source
from train.sources import split as split

logger = logging.getLogger(__name__)

Batch = dict[str, np.ndarray]


def to_uint8(pixels: np.ndarray) -> np.ndarray:
    """Float in [0, 1], any shape -> uint8, rounded; what lies outside is clipped."""
    return (np.clip(pixels, 0.0, 1.0) * 255.0 + 0.5).astype(np.uint8)


def resize_short_side(pixels: np.ndarray, size: int) -> np.ndarray:
    """Resamples (H, W, 3) uint8 so that its short side is ``size``; antialiased when smaller.

    Raises:
        UnreadableError: the long side is over 16 times the short one, and would become a very large picture.
    """
    height, width = pixels.shape[:2]
    if max(height, width) > 16 * min(height, width):
        raise UnreadableError(f"{width}x{height} pixels; expected sides within a ratio of 16")
    scale = size / min(height, width)
    target = (max(size, round(width * scale)), max(size, round(height * scale)))  # Pillow: (width, height)
    if target == (width, height):
        return pixels
    return np.asarray(Image.fromarray(pixels).resize(target, Image.Resampling.BICUBIC))


class Cache:
    """Decoded pictures kept in memory up to a limit: first come, first kept. Results never depend on it."""

    def __init__(self, limit_bytes: int) -> None:
        self.limit_bytes = limit_bytes
        self.used_bytes = 0
        self._pictures: dict[int, np.ndarray] = {}
        self._lock = threading.Lock()

    def get(self, index: int) -> np.ndarray | None:
        return self._pictures.get(index)

    def put(self, index: int, pixels: np.ndarray) -> None:
        with self._lock:
            if index not in self._pictures and self.used_bytes + pixels.nbytes <= self.limit_bytes:
                self._pictures[index] = pixels
                self.used_bytes += pixels.nbytes


class Crops:
    """An infinite stream of random crops of a source; ``crops.example(k)`` is a pure function of k."""

    def __init__(
        self,
        source: Source,
        indices: Sequence[int] | np.ndarray,
        *,
        stream: str,
        seed: int,
        resize: int,
        crop: int,
        largest_crop: int = 0,
        flip: bool = True,
        cache_bytes: int = 0,
        augment: float = 0.0,
    ) -> None:
        """
        Args:
            source: the pictures.
            indices: which of them to use.
            stream: name folded into the seed, so that content and style are drawn independently.
            seed: of orders, crops and flips; not negative.
            resize: the short side of every picture is brought to this, in pixels, up or down.
            crop: side of an example, in pixels; at most ``resize``.
            largest_crop: 0, or the largest side cut out: each example is cut with a side drawn from
                ``crop .. largest_crop`` and resampled to ``crop``, so strokes are seen at several scales.
            flip: mirror every second example, by chance.
            cache_bytes: memory for decoded and shrunk uint8 pictures, in bytes.
            augment: share of the examples, 0 to 1, that `train.augment` changes; the crops are the same with any.

        Raises:
            DataError: no indices, or sizes that contradict each other.
        """
        if len(indices) == 0:
            raise DataError(f"{stream}: no pictures")
        if not 1 <= crop <= resize:
            raise DataError(f"crop: {crop} with resize {resize}; expected 1 to resize")
        if largest_crop and not crop <= largest_crop <= resize:
            raise DataError(f"largest_crop: {largest_crop}; expected 0 or {crop} (crop) to {resize} (resize)")
        if not 0 <= augment <= 1:
            raise DataError(f"augment: {augment}; expected 0 to 1")
        self.source, self.indices, self.stream = source, np.asarray(indices), stream
        self.seed, self.resize, self.crop, self.flip = seed, resize, crop, flip
        self.largest_crop = largest_crop or crop
        self.augment = augment
        self.skipped: dict[str, str] = {}  # name -> why, of every picture found unreadable so far
        self._stream_id = int.from_bytes(hashlib.sha256(stream.encode()).digest()[:4], "big")
        self._cache = Cache(cache_bytes)
        self._lock = threading.Lock()
        self._orders: dict[int, np.ndarray] = {}

    def order(self, epoch: int) -> np.ndarray:
        """(n,) the permutation of the indices in which epoch ``epoch`` visits them."""
        with self._lock:
            if epoch not in self._orders:
                if len(self._orders) > 2:  # prefetch looks at most a little past the end of an epoch
                    del self._orders[min(self._orders)]
                self._orders[epoch] = self._rng(0, epoch).permutation(self.indices)
            return self._orders[epoch]

    def example(self, k: int) -> np.ndarray:
        """Example ``k`` of the stream: (crop, crop, 3) uint8.

        An unreadable picture is replaced by the next readable one in the order of the same epoch.

        Raises:
            DataError: not one picture is readable.
        """
        epoch, position = divmod(k, len(self.indices))
        order = self.order(epoch)
        for offset in range(len(order)):
            index = int(order[(position + offset) % len(order)])
            pixels = self._load(index)
            if pixels is not None:
                return self._augmented(self._cut(pixels, self._rng(1, k)), k)
        why = next(iter(self.skipped.values()))
        raise DataError(f"{self.stream}: none of {len(order)} pictures is readable; {why}")

    def _augmented(self, cut: np.ndarray, k: int) -> np.ndarray:
        """Example ``k``, changed or not."""
        if not self.augment:
            return cut
        rng = self._rng(2, k)
        if rng.random() >= self.augment:
            return cut

        def other() -> np.ndarray:
            pixels = self._load(int(rng.choice(self.indices)))
            return cut[::-1] if pixels is None else self._cut(pixels, rng)

        return augment_style(cut, rng, other)

    def _rng(self, *fold: int) -> np.random.Generator:
        return np.random.default_rng([self.seed, self._stream_id, *fold])

    def _load(self, index: int) -> np.ndarray | None:
        """Picture ``index``, uint8, shrunk to a short side of ``resize`` if larger; None when unreadable."""
        pixels = self._cache.get(index)
        if pixels is not None:
            return pixels
        name = self.source.name(index)
        if name in self.skipped:
            return None
        try:
            pixels = to_uint8(self.source.pixels(index, self.resize))
            pixels = resize_short_side(pixels, min(self.resize, *pixels.shape[:2]))
        except UnreadableError as error:
            with self._lock:
                if name not in self.skipped:
                    self.skipped[name] = str(error)
                    logger.warning("%s: skipped %s: %s", self.stream, name, error)
            return None
        self._cache.put(index, pixels)
        return pixels

    def _cut(self, pixels: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        height, width = pixels.shape[:2]
        scale = self.resize / min(height, width)  # 1, or more for a picture that is too small
        tall, wide = max(self.resize, round(height * scale)), max(self.resize, round(width * scale))
        side = int(rng.integers(self.crop, self.largest_crop + 1))
        y, x = int(rng.integers(tall - side + 1)), int(rng.integers(wide - side + 1))
        mirrored = bool(rng.integers(2)) and self.flip
        if scale == 1 and side == self.crop:
            cut = pixels[y : y + side, x : x + side]
        else:
            cut = _resample_window(pixels, (y / tall, x / wide, (y + side) / tall, (x + side) / wide), self.crop)
        return cut[:, ::-1] if mirrored else cut


def _resample_window(pixels: np.ndarray, window: tuple[float, float, float, float], size: int) -> np.ndarray:
    """Brings the window (top, left, bottom, right, as fractions of the picture) to (size, size, 3).

    The same as resizing the whole picture and cutting it afterwards, for the price of the window.
    """
    height, width = pixels.shape[:2]
    top, left, bottom, right = window
    box = (left * width, top * height, min(right, 1.0) * width, min(bottom, 1.0) * height)
    return np.asarray(Image.fromarray(pixels).resize((size, size), Image.Resampling.BICUBIC, box=box))


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
    def skipped(self) -> dict[str, str]:
        """Name -> reason of the unreadable pictures met so far by this process."""
        return {name: why for stream in self.streams.values() for name, why in dict(stream.skipped).items()}

    def close(self) -> None:
        """Drops what is prefetched and waits for the pictures being decoded."""
        self._pool.shutdown(wait=True, cancel_futures=True)
        self._pending.clear()

    def __enter__(self) -> "Loader":
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()


def to_float(pictures: Sequence[np.ndarray]) -> np.ndarray:
    """Equal-sized uint8 (H, W, 3) pictures -> one float32 (B, H, W, 3) array in [0, 1]."""
    return np.stack(pictures).astype(np.float32) / np.float32(255)


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
