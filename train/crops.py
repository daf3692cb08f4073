"""Pictures -> random crops, an infinite stream that is a pure function of the seed.

Example ``k`` of a stream is picture ``k mod n`` of epoch ``k // n``'s permutation, cut by a crop drawn from
``(seed, stream, k)``. Nothing else is remembered, so a resumed run needs only its step number, and any number of
processes sees the same batches.
"""

from __future__ import annotations

import hashlib
import logging
import threading
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image

from train.augment import augment_style
from train.sources import DataError, Source, UnreadableError

logger = logging.getLogger(__name__)


def to_uint8(pixels: np.ndarray) -> np.ndarray:
    """Float in [0, 1], any shape -> uint8, rounded; what lies outside is clipped."""
    return (np.clip(pixels, 0.0, 1.0) * 255.0 + 0.5).astype(np.uint8)


def to_float(pictures: Sequence[np.ndarray]) -> np.ndarray:
    """Equal-sized uint8 (H, W, 3) pictures -> one float32 (B, H, W, 3) array in [0, 1]."""
    return np.stack(pictures).astype(np.float32) / np.float32(255)


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
        """A picture that is kept, (H, W, 3) uint8."""
        return self._pictures.get(index)

    def put(self, index: int, pixels: np.ndarray) -> None:
        """Keeps a picture, if there is room."""
        with self._lock:
            if index not in self._pictures and self.used_bytes + pixels.nbytes <= self.limit_bytes:
                self._pictures[index] = pixels
                self.used_bytes += pixels.nbytes


@dataclass(frozen=True)
class Cropping:
    """How examples are cut out of pictures; all streams of a run are cut alike.

    Attributes:
      resize: the short side of every picture is brought to this, in pixels, up or down.
      crop: side of an example, in pixels; at most ``resize``.
      largest_crop: 0, or the largest side cut out: each example is cut with a side drawn from
        ``crop .. largest_crop`` and resampled to ``crop``, so strokes are seen at several scales.
      flip: mirror every second example, by chance.
      seed: of orders, crops and flips; not negative.
    """

    resize: int
    crop: int
    largest_crop: int = 0
    flip: bool = True
    seed: int = 0

    def __post_init__(self) -> None:
        """Raises DataError for sizes that contradict each other."""
        if not 1 <= self.crop <= self.resize:
            raise DataError(f"crop: {self.crop} with resize {self.resize}; expected 1 to resize")
        if self.largest_crop and not self.crop <= self.largest_crop <= self.resize:
            wanted = f"0 or {self.crop} (crop) to {self.resize} (resize)"
            raise DataError(f"largest_crop: {self.largest_crop}; expected {wanted}")


class Crops:
    """An infinite stream of random crops of a source; ``crops.example(k)`` is a pure function of k."""

    def __init__(
        self,
        source: Source,
        indices: Sequence[int] | np.ndarray,
        cropping: Cropping,
        *,
        stream: str,
        cache_bytes: int = 0,
        augment: float = 0.0,
    ) -> None:
        """
        Args:
          source: the pictures.
          indices: which of them to use.
          cropping: how examples are cut out of them.
          stream: name folded into the seed, so that content and style are drawn independently.
          cache_bytes: memory for decoded and shrunk uint8 pictures, in bytes.
          augment: share of the examples, 0 to 1, that `train.augment` changes; the crops are the same with any.

        Raises:
          DataError: no indices, or ``augment`` is out of range.
        """
        if len(indices) == 0:
            raise DataError(f"{stream}: no pictures")
        if not 0 <= augment <= 1:
            raise DataError(f"augment: {augment}; expected 0 to 1")
        self.source, self.indices, self.cropping, self.stream = source, np.asarray(indices), cropping, stream
        self.augment = augment
        self.skipped: dict[str, str] = {}  # name -> why, of every picture found unreadable so far
        self._stream_id = int.from_bytes(hashlib.sha256(stream.encode()).digest()[:4], "big")
        self._cache = Cache(cache_bytes)
        self._lock = threading.Lock()
        self._orders: dict[int, np.ndarray] = {}

    def __getstate__(self) -> dict[str, object]:
        """What another process needs: neither locks nor decoded pictures."""
        return self.__dict__ | {"_lock": None, "_cache": self._cache.limit_bytes}

    def __setstate__(self, state: dict[str, object]) -> None:
        self.__dict__ |= state | {"_lock": threading.Lock(), "_cache": Cache(state["_cache"])}  # type: ignore[arg-type]

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
        return np.random.default_rng([self.cropping.seed, self._stream_id, *fold])

    def _load(self, index: int) -> np.ndarray | None:
        """Picture ``index``, uint8, shrunk to a short side of ``cropping.resize`` if larger; None when unreadable."""
        pixels = self._cache.get(index)
        if pixels is not None:
            return pixels
        name = self.source.name(index)
        if name in self.skipped:
            return None
        try:
            pixels = to_uint8(self.source.pixels(index, self.cropping.resize))
            pixels = resize_short_side(pixels, min(self.cropping.resize, *pixels.shape[:2]))
        except UnreadableError as error:
            with self._lock:
                if name not in self.skipped:
                    self.skipped[name] = str(error)
                    logger.warning("%s: skipped %s: %s", self.stream, name, error)
            return None
        self._cache.put(index, pixels)
        return pixels

    def _cut(self, pixels: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """A crop of a picture, (crop, crop, 3) uint8, where and how large the generator says."""
        resize, crop = self.cropping.resize, self.cropping.crop
        height, width = pixels.shape[:2]
        scale = resize / min(height, width)  # 1, or more for a picture that is too small
        tall, wide = max(resize, round(height * scale)), max(resize, round(width * scale))
        side = int(rng.integers(crop, (self.cropping.largest_crop or crop) + 1))
        y, x = int(rng.integers(tall - side + 1)), int(rng.integers(wide - side + 1))
        mirrored = bool(rng.integers(2)) and self.cropping.flip
        if scale == 1 and side == crop:
            cut = pixels[y : y + side, x : x + side]
        else:
            cut = _resample_window(pixels, (y / tall, x / wide, (y + side) / tall, (x + side) / wide), crop)
        return cut[:, ::-1] if mirrored else cut


def _resample_window(pixels: np.ndarray, window: tuple[float, float, float, float], size: int) -> np.ndarray:
    """Brings the window (top, left, bottom, right, as fractions of the picture) to (size, size, 3).

    The same as resizing the whole picture and cutting it afterwards, for the price of the window.
    """
    height, width = pixels.shape[:2]
    top, left, bottom, right = window
    box = (left * width, top * height, min(right, 1.0) * width, min(bottom, 1.0) * height)
    return np.asarray(Image.fromarray(pixels).resize((size, size), Image.Resampling.BICUBIC, box=box))
