"""Clips and their motion: a camera moves over a still picture, and all is known; or a film, whose motion is found."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image

from jaxstyle.image.encode import quantise
from jaxstyle.image.source import ImageError
from jaxstyle.video import steady
from jaxstyle.video.clip import Facts, Frame, open_clip
from train import pairs

ROOM = 1.5
"""The short side of the picture by the side of the clip."""
MOVES = ("pan", "zoom in", "turn", "zoom out", "hand")
_SEED = 0  # of the unsteady hand
_FARNEBACK = (0.5, 5, 21, 5, 7, 1.5, 0)  # scale and number of the levels, window, iterations, neighbours, their sigma


class Pose(NamedTuple):
    """Where a camera is: the middle of what it sees, pixels of the picture from its own middle; how many of the
    picture's pixels one of its own is; how far it is turned, radians."""

    x: float
    y: float
    scale: float
    angle: float


def poses(move: str, count: int, side: int) -> list[Pose]:
    """The way of a camera.

    Args:
      move: one of `MOVES`.
      count: frames.
      side: of the clip in pixels.
    """
    t = np.linspace(-1, 1, count)
    still = np.zeros(count)
    ways = {
        "pan": (0.16 * side * t, 0.06 * side * t, still + 1, still),
        "zoom in": (still, still, 1.2 - 0.15 * t, still),
        "zoom out": (0.05 * side * t, still, 1.2 + 0.15 * t, still),
        "turn": (still, still, still + 1.05, 0.15 * t),
        "hand": _hand(count, side),
    }
    return [Pose(*map(float, pose)) for pose in zip(*ways[move], strict=True)]


def _hand(count: int, side: int) -> tuple[np.ndarray, ...]:
    """A camera held in the hand: smooth noise."""
    steps = np.random.default_rng(_SEED).normal(size=(4, count + 4))
    smooth = np.cumsum(np.stack([np.convolve(row, np.ones(5) / 5, "valid") for row in steps]), axis=1)
    smooth -= smooth.mean(1, keepdims=True)
    x, y, scale, angle = smooth / np.abs(smooth).max(1, keepdims=True)
    return 0.06 * side * x, 0.06 * side * y, 1.1 + 0.03 * scale, 0.03 * angle


class CameraClip:
    """A square clip of a still picture; it has what a `jaxstyle.video.clip.Clip` has.

    Attributes:
      label, facts: of the clip.
    """

    def __init__(self, picture: np.ndarray, move: str, count: int, side: int) -> None:
        """
        Args:
          picture: float32 ``(H, W, 3)``, its short side `ROOM` times ``side``.
          move: one of `MOVES`.
          count: frames.
          side: in pixels.
        """
        self.label, self._side = move, side
        self.facts = Facts(side, side, Fraction(1, 25), Fraction(25), count)
        self._poses = poses(move, count, side)
        self._picture = Image.fromarray(quantise(picture, np.dtype(np.uint8)))
        self._middle = np.array([picture.shape[1], picture.shape[0]]) / 2

    def frames(self, start: int | None = None) -> Iterator[Frame]:
        """Those from ``start`` on."""
        for number, pose in enumerate(self._poses):
            if start is None or number >= start:
                yield Frame(number, 1, self._seen(pose))

    def stamps(self) -> list[list[object]]:
        """It has no files."""
        return []

    def _seen(self, pose: Pose) -> np.ndarray:
        """What the camera sees, two by two samples for each pixel: uint8 ``(side, side, 3)``."""
        matrix, offset = self._to_picture(pose)
        half = matrix / 2  # Pillow's places are pixel edges, as these are
        data = (half[0, 0], half[0, 1], offset[0], half[1, 0], half[1, 1], offset[1])
        size = (2 * self._side, 2 * self._side)
        seen = self._picture.transform(size, Image.Transform.AFFINE, data, Image.Resampling.BICUBIC)
        return np.asarray(seen.reduce(2))

    def _to_picture(self, pose: Pose) -> tuple[np.ndarray, np.ndarray]:
        """(2, 2) and (2,): from places of the clip to those of the picture, x and y, from the upper left corner."""
        cos, sin = np.cos(pose.angle) * pose.scale, np.sin(pose.angle) * pose.scale
        matrix = np.array([[cos, -sin], [sin, cos]])
        return matrix, self._middle + np.array([pose.x, pose.y]) - matrix @ np.full(2, self._side / 2)

    def positions(self, now: int, before: int) -> np.ndarray:
        """Where the pixels of one frame are in another: ``(side, side, 2)``, row and column."""
        (here, at), (there, its) = (self._to_picture(self._poses[number]) for number in (now, before))
        back = np.linalg.inv(there)
        x, y = np.meshgrid(np.arange(self._side) + 0.5, np.arange(self._side) + 0.5)
        places = np.stack([x, y], -1) @ (back @ here).T + back @ (at - its)
        return np.asarray(places[..., ::-1] - 0.5)


class FilmClip:
    """Frames from the middle of a film, the middle square of each; it has what a `jaxstyle.video.clip.Clip` has.

    Attributes:
      label, facts: of the clip.
    """

    def __init__(self, file: str, count: int, side: int) -> None:
        """
        Args:
          file: whatever `jaxstyle.video.clip.open_clip` opens.
          count: frames.
          side: of the clip in pixels.

        Raises:
          ImageError: the file cannot be read, or has fewer frames.
        """
        clip = open_clip(file)
        most = sum(1 for _ in clip.frames())
        if most < count:
            raise ImageError(file, f"has {most} {'frame' if most == 1 else 'frames'}; expected at least {count}")
        middle = (most - count) // 2
        chosen = itertools.islice(clip.frames(), middle, middle + count)
        self._frames = [_square(frame.pixels, side) for frame in chosen]
        self.label = Path(file).stem
        self.facts = Facts(side, side, Fraction(1, 25), Fraction(25), count)

    def frames(self, start: int | None = None) -> Iterator[Frame]:
        """Those from ``start`` on."""
        for number, pixels in enumerate(self._frames):
            if start is None or number >= start:
                yield Frame(number, 1, pixels)

    def stamps(self) -> list[list[object]]:
        """Its file is not asked for again."""
        return []

    def positions(self, now: int, before: int) -> np.ndarray:
        """Where the pixels of one frame are in another, ``(side, side, 2)``, row and column; NaN where there and back
        do not agree. It is Farnebäck's flow (2003), not that by which paintings are moved."""
        cv2 = steady.flow_library()
        assert cv2 is not None
        here, there = (cv2.cvtColor(self._frames[number], cv2.COLOR_RGB2GRAY) for number in (now, before))
        forth, back = (cv2.calcOpticalFlowFarneback(*two, None, *_FARNEBACK) for two in ((here, there), (there, here)))
        y, x = np.indices(here.shape, dtype=np.float32)
        columns, rows = x + forth[..., 0], y + forth[..., 1]
        returned = cv2.remap(back, columns, rows, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        apart = np.square(returned + forth).sum(-1)
        most = 0.01 * (np.square(returned).sum(-1) + np.square(forth).sum(-1)) + 0.5
        return np.where((apart <= most)[..., None], np.stack([rows, columns], -1), np.nan)


def _square(pixels: np.ndarray, side: int) -> np.ndarray:
    square = pairs.square(pixels / np.float32(np.iinfo(pixels.dtype).max), side)
    return quantise(square, np.dtype(np.uint8))
