"""A painting that stays in its place: what a frame takes over from those before it.

A method paints each frame for itself, and what it paints of a place changes from frame to frame though the place does
not: it flickers. Two things are done about it, both of them anew after a cut:

* The frame's statistics, the `Survey` of the method, are an exponential average over the frames.
* The painting of the frame before is moved to where things are now, by the optical flow of the *input*, and mixed in
  with a weight of at most `MOST`, where the flow can be trusted (Ruder, Dosovitskiy & Brox 2016, arXiv:1604.08610, who
  use it in an objective; here it is a mean). A weight of a half and no more leaves half of each frame new: errors of
  the flow die out within some frames. A mean of two paintings whose strokes do not meet is paler and softer than
  either, which costs style; so its contrast is brought back to that of the frame's own painting, place by place and
  scale by scale (in the manner of Heitz & Neyret 2018, "High-Performance By-Example Noise", who keep the variance of
  textures that they mix).
"""

from __future__ import annotations

import contextlib
import io
import threading
from collections.abc import Iterator
from typing import Any, NamedTuple

import jax
import numpy as np

from jaxstyle.image.encode import quantise
from jaxstyle.methods.interface import Survey

MOST = 0.5
"""The largest weight of the frame before."""
WEIGHT = 0.4
"""The weight where none is asked for: what it brings and costs is in ``docs/results/video``."""
KEPT = 0.9
"""The part of the average statistics that is that of the frames before, at the weight `MOST`."""
CUT = 0.35
"""How different the colours of two frames are at a cut, from 0 to 1, see `difference`."""
FLOW_SIDE = 720
"""Most pixels of the short side at which the flow is found."""

_CELLS, _LEVELS, _SAMPLES = 4, 16, 128
_SCENE_PIXELS = 1 << 16
_SCALES, _AROUND, _GAIN, _TINY = (1, 2, 4, 8), 5, np.float32(2), np.float32(1e-6)
"""Of `_with_contrast`: deviations of the Gaussians, pixels; half a window by them; the largest factor."""


# ---- cuts --------------------------------------------------------------------------------------------------


def difference(before: np.ndarray, now: np.ndarray) -> float:
    """How different the colours of two frames are, 0 to 1: histograms of each channel in 4 x 4 parts of the picture,
    half of the sum of their absolute differences, averaged over channels and parts.

    Args:
      before, now: uint8 ``(H, W, 3)``, of one size.
    """
    return float(np.abs(_histograms(before) - _histograms(now)).sum(-1).mean() / 2)


def _histograms(pixels: np.ndarray) -> np.ndarray:
    """(parts, channels, levels), each of sum 1; a value counts for the two nearest levels, so that noise changes
    little."""
    step = max(1, min(pixels.shape[:2]) // _SAMPLES)
    small = pixels[::step, ::step].astype(np.float32) * np.float32((_LEVELS - 1) / 255)
    found = []
    for rows in np.array_split(small, _CELLS, axis=0):
        for part in np.array_split(rows, _CELLS, axis=1):
            values = part.reshape(-1, 3).T
            low = np.minimum(values.astype(np.int64), _LEVELS - 2)
            for at, share in zip(low, values - low, strict=True):
                ends = np.bincount(at, 1 - share, _LEVELS) + np.bincount(at + 1, share, _LEVELS)
                found.append(ends / max(1, at.size))
    return np.reshape(found, (_CELLS * _CELLS, 3, _LEVELS))


# ---- statistics --------------------------------------------------------------------------------------------

Averages = dict[tuple[int, int], list[np.ndarray]]
"""By (height, width) of what was painted: the leaves of an averaged survey."""


class Average:
    """The exponential average of surveys over frames, which may be painted by several threads: each waits for the frame
    before."""

    def __init__(self, keep: float, first: int, state: Averages | None = None) -> None:
        """
        Args:
          keep: the part of the average so far.
          first: the number of the first frame that will come.
          state: the averages of the frames before.
        """
        self._keep, self._first = keep, first
        self._turn, self._failed = threading.Condition(), False
        self._found: dict[int, Averages] = {} if state is None else {first - 1: state}

    def join(self, number: int, cut: bool, extent: tuple[int, int], survey: Survey) -> Survey:
        """The average with the survey of one more frame.

        Args:
          number: of the frame.
          cut: whether a scene begins with it.
          extent: (height, width) of what is painted; each of a frame has an average of its own.
          survey: of the frame.

        Raises:
          RuntimeError: the frame before could not be painted.
        """
        with self._turn:
            self._turn.wait_for(
                lambda: self._failed or number <= self._first or extent in self._found.get(number - 1, {})
            )
            if self._failed:
                raise RuntimeError("the frame before could not be painted")
            leaves, structure = jax.tree.flatten(jax.tree.map(lambda leaf: np.asarray(leaf, np.float32), survey))
            before = None if cut else self._found.get(number - 1, {}).get(extent)
            if before is not None:
                keep = np.float32(self._keep)
                leaves = [keep * old + (1 - keep) * new for old, new in zip(before, leaves, strict=True)]
            self._found.setdefault(number, {})[extent] = leaves
            self._turn.notify_all()
            return jax.tree.unflatten(structure, leaves)

    def after(self, number: int) -> Averages:
        """The averages as they were after a frame; what is older is forgotten."""
        with self._turn:
            for old in [n for n in self._found if n < number]:
                del self._found[old]
            return dict(self._found.get(number, {}))

    def fail(self) -> None:
        """Ends the waiting of all threads."""
        with self._turn:
            self._failed = True
            self._turn.notify_all()


# ---- flow --------------------------------------------------------------------------------------------------


class Flow(NamedTuple):
    """Where a frame's pixels were in the frame before.

    Attributes:
      columns, rows: float32 ``(H, W)``, the place in the frame before, pixels.
      trust: ``(H, W)`` in [0, 1].
    """

    columns: np.ndarray
    rows: np.ndarray
    trust: np.ndarray


def flow_library() -> Any | None:
    """OpenCV, which finds the flow; None where it is not installed (the extra ``flow``)."""
    try:
        import cv2
    except ImportError:
        return None
    return cv2


@contextlib.contextmanager
def _one_thread(cv2: Any) -> Iterator[None]:
    """With a single thread: the result of DIS depends on how many there are."""
    before = cv2.getNumThreads()
    cv2.setNumThreads(1)
    try:
        yield
    finally:
        cv2.setNumThreads(before)


def flow(before: np.ndarray, now: np.ndarray) -> Flow | None:
    """The optical flow from a frame to that before it (OpenCV's DIS, Kroeger et al. 2016, arXiv:1603.03590), and back:
    where both do not agree something is hidden, and the flow is not trusted (Sundaram, Brox & Keutzer 2010).

    Args:
      before, now: uint8 ``(H, W, 3)``.

    Returns:
      None without OpenCV, or where the frames are too small for it.
    """
    cv2, (height, width) = flow_library(), now.shape[:2]
    if cv2 is None or min(height, width) < 16:
        return None
    scale = max(1.0, min(height, width) / FLOW_SIDE)
    size = (max(16, round(width / scale)), max(16, round(height / scale)))
    small = [cv2.resize(frame, size, interpolation=cv2.INTER_AREA) if scale > 1 else frame for frame in (before, now)]
    old, new = (cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY) for frame in small)
    with _one_thread(cv2):
        finder = cv2.DISOpticalFlow_create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
        back, forth = finder.calc(new, old, None), finder.calc(old, new, None)
    y, x = np.indices(new.shape, dtype=np.float32)
    columns, rows = x + back[..., 0], y + back[..., 1]
    returned = cv2.remap(forth, columns, rows, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    apart = np.square(returned + back).sum(-1)
    most = 0.01 * (np.square(returned).sum(-1) + np.square(back).sum(-1)) + 0.5
    inside = (columns >= 0) & (columns <= size[0] - 1) & (rows >= 0) & (rows <= size[1] - 1)
    moved = cv2.remap(small[0], columns, rows, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    changed = np.abs(moved.astype(np.float32) - small[1].astype(np.float32)).mean(-1) / 255
    alike = np.clip(1.5 - changed / 0.08, 0, 1)
    trust = cv2.blur(((apart <= most) & inside).astype(np.float32), (3, 3)) * alike * inside
    if scale > 1:
        larger = np.asarray([width / size[0], height / size[1]], np.float32)
        back = cv2.resize(back, (width, height), interpolation=cv2.INTER_LINEAR) * larger
        trust = cv2.resize(trust, (width, height), interpolation=cv2.INTER_LINEAR)
        y, x = np.indices((height, width), dtype=np.float32)
        columns, rows = x + back[..., 0], y + back[..., 1]
    return Flow(columns, rows, trust)


def mixed(painted: np.ndarray, before: np.ndarray, moved: Flow, weight: float | np.ndarray) -> np.ndarray:
    """A painting with that of the frame before mixed in, with the contrast that it had.

    Args:
      painted: float32 ``(H, W, 3)`` in [0, 1].
      before: uint8 ``(H, W, 3)``, the frame before as it was written.
      moved: where things were.
      weight: of the frame before where the flow is trusted, a number or ``(H, W)``, at most `MOST`.

    Returns:
      float32 ``(H, W, 3)`` in [0, 1]; where the weight is 0 it is ``painted``.
    """
    cv2 = flow_library()
    assert cv2 is not None
    # cubic: what is moved over and over stays sharp
    old = cv2.remap(before, moved.columns, moved.rows, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)
    part = (np.minimum(weight, MOST) * moved.trust)[..., None].astype(np.float32)
    mean = painted + part * (old.astype(np.float32) / np.float32(255) - painted)
    found = np.clip(_with_contrast(cv2, mean, painted), 0, 1)
    return np.where(part > 0, found, painted)


def _with_contrast(cv2: Any, pixels: np.ndarray, like: np.ndarray) -> np.ndarray:
    """Pixels whose bands between two scales have, around each place, the deviation that those of another picture have;
    none is weakened, nor made stronger than `_GAIN`."""
    out = np.zeros_like(pixels)
    for sigma in _SCALES:
        size = 2 * round(_AROUND * sigma) + 1
        bands = []
        for picture in (pixels, like):
            coarse = cv2.GaussianBlur(picture, (0, 0), sigma, borderType=cv2.BORDER_REFLECT_101)
            fine = picture - coarse
            bands.append(
                (coarse, fine, cv2.blur(np.square(fine).mean(-1), (size, size), borderType=cv2.BORDER_REFLECT_101))
            )
        (pixels, fine, own), (like, _, wanted) = bands
        gain = np.sqrt((wanted + _TINY) / (own + _TINY))
        out += fine * np.clip(gain, 1, _GAIN)[..., None]
    return np.asarray(out + pixels)


# ---- what the next frame must know -------------------------------------------------------------------------


class Memory(NamedTuple):
    """What is known after a frame, so that a run that was stopped goes on with the same bits.

    Attributes:
      given: uint8 ``(H, W, 3)``, the input.
      painted: uint8 ``(H, W, 3)``, the result.
      scene: float32 ``(n, 3)``, colours of the first frame of its scene.
      averages: of the statistics.
    """

    given: np.ndarray
    painted: np.ndarray
    scene: np.ndarray
    averages: Averages

    def to_bytes(self) -> bytes:
        """The same as the bytes of an ``.npz`` file."""
        arrays = {"given": self.given, "painted": self.painted, "scene": self.scene}
        sizes = list(self.averages)
        for number, size in enumerate(sizes):
            arrays |= {f"average {number} {i}": leaf for i, leaf in enumerate(self.averages[size])}
        arrays["sizes"] = np.asarray([[*size, len(self.averages[size])] for size in sizes], np.int64).reshape(-1, 3)
        data = io.BytesIO()
        np.savez(data, **arrays)  # type: ignore[arg-type]
        return data.getvalue()

    @staticmethod
    def from_bytes(data: bytes) -> Memory:
        """What `to_bytes` made."""
        with np.load(io.BytesIO(data), allow_pickle=False) as found:
            averages = {
                (int(tall), int(wide)): [found[f"average {number} {i}"] for i in range(int(count))]
                for number, (tall, wide, count) in enumerate(found["sizes"])
            }
            return Memory(found["given"], found["painted"], found["scene"], averages)


def scene_colours(pixels: np.ndarray) -> np.ndarray:
    """Some of a frame's pixels, float32 ``(n, 3)``, from a regular grid over all of it."""
    step = max(1, int(np.ceil(np.sqrt(pixels.shape[0] * pixels.shape[1] / _SCENE_PIXELS))))
    return np.asarray(pixels[::step, ::step], np.float32).reshape(-1, 3)


def as_samples(pixels: np.ndarray) -> np.ndarray:
    """float32 in [0, 1] -> uint8."""
    return quantise(pixels, np.dtype(np.uint8))
