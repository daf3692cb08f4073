"""What changes over the time of a clip: the degree of style by keys, maps and masks that are clips themselves."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Iterator
from fractions import Fraction
from typing import Any

import numpy as np

from jaxstyle.controls import colors
from jaxstyle.controls.controls import Controls
from jaxstyle.controls.degree import Maps, read_maps, stretched
from jaxstyle.image.windows import ArraySource, Source
from jaxstyle.video.clip import is_clip, open_clip
from jaxstyle.video.frames import Clip, Frame

Keys = tuple[tuple[float, float], ...]
"""Seconds and degrees of style, the seconds ascending."""


def checked_keys(keys: Any) -> Keys:
    """Degrees of style over time.

    Args:
      keys: pairs of seconds and a degree of style.

    Returns:
      The same as numbers.

    Raises:
      ValueError: they are not that, not ascending, or a degree is outside [0, 1].
    """
    try:
        found = tuple((float(time), float(value)) for time, value in keys)
    except (TypeError, ValueError):
        raise ValueError(f"alpha_keys: expected pairs of seconds and a degree of style, got {keys!r}") from None
    times = [time for time, _ in found]
    if not found or not all(a < b for a, b in itertools.pairwise(times)) or not times[0] >= 0:
        raise ValueError(f"alpha_keys: expected seconds from 0 on, each later than the one before, got {times}")
    if not all(0 <= value <= 1 for _, value in found):
        raise ValueError(f"alpha_keys: expected degrees in [0, 1], got {[value for _, value in found]}")
    return found


def degree_at(keys: Keys, seconds: float) -> float:
    """The degree of style at a time: linear between keys, constant before the first and after the last."""
    times, values = zip(*keys, strict=True)
    return float(np.interp(seconds, times, values))


class Script:
    """The controls of every frame."""

    def __init__(self, controls: Controls, keys: Keys | None, max_pixels: int) -> None:
        """
        Args:
          controls: ``alpha`` is multiplied by what the keys say; ``alpha_map`` and ``mask`` may be clips.
          keys: degrees of style over time.
          max_pixels: of maps and masks.

        Raises:
          ImageError: a map or a mask cannot be read.
        """
        self._keys = keys
        given = [controls.alpha_map, *(controls.mask or ())]
        self._moving: list[_Moving | None] = [_moving(source, max_pixels) for source in given]
        still = [source if moving is None else None for source, moving in zip(given, self._moving, strict=True)]
        masks = tuple(source for source in still[1:] if source is not None)
        self._still = read_maps(dataclasses.replace(controls, alpha_map=still[0], mask=masks or None), max_pixels)
        # what a frame is painted with: its pictures are in `Maps`, and its size is that of the result already
        self._controls = dataclasses.replace(controls, size=None)
        self._masked = controls.mask is not None
        self.notices = (*self._still.notices, *(n for m in self._moving if m is not None for n in m.clip.facts.notices))

    def at(self, seconds: Fraction) -> tuple[Controls, Maps]:
        """The controls and the maps of a frame. Times may only grow.

        Args:
          seconds: since the clip's first frame.

        Raises:
          ImageError: a frame of a map or a mask cannot be read.
        """
        controls = self._controls
        if self._keys is not None:
            controls = dataclasses.replace(controls, alpha=controls.alpha * degree_at(self._keys, float(seconds)))
        if not any(self._moving):
            return controls, self._still
        alpha_map = self._still.alpha_map if self._moving[0] is None else self._moving[0].at(seconds)
        if not self._masked:
            return controls, Maps(alpha_map, None)
        still = iter(self._still.mask or ())
        masks = tuple(next(still) if moving is None else moving.at(seconds) for moving in self._moving[1:])
        return controls, Maps(alpha_map, masks)

    def stretched(self, height: int, width: int) -> tuple[str, ...]:
        """A sentence for every map whose shape is not that of the result."""
        clips = [moving.clip for moving in self._moving if moving is not None]
        found = [stretched(clip.label, (clip.facts.height, clip.facts.width), height, width) for clip in clips]
        return (*self._still.stretched(height, width), *itertools.chain.from_iterable(found))

    def stamps(self) -> list[Any]:
        """What tells the clips among the maps and masks from others."""
        return [None if moving is None else moving.clip.stamps() for moving in self._moving]


def _moving(source: Any, max_pixels: int) -> _Moving | None:
    return _Moving(open_clip(source, max_pixels=max_pixels)) if is_clip(source) else None


class _Moving:
    """A map that is a clip: at every time its newest frame, after its end the last one."""

    def __init__(self, clip: Clip) -> None:
        self.clip = clip
        self._frames: Iterator[Frame] = clip.frames()
        self._next: Frame | None = next(self._frames, None)
        self._now: Source | None = None

    def at(self, seconds: Fraction) -> Source:
        facts, newest = self.clip.facts, None
        while self._next is not None and (
            (self._now is None and newest is None) or (self._next.pts - facts.start) * facts.time_base <= seconds
        ):
            newest, self._next = self._next, next(self._frames, None)
        if newest is not None:
            most = np.float32(np.iinfo(newest.pixels.dtype).max)
            self._now = ArraySource(colors.luma(newest.pixels.astype(np.float32) / most))
        assert self._now is not None
        return self._now


def span(start: float | None, end: float | None) -> tuple[Fraction, Fraction | None]:
    """The part of a clip that is wanted, in seconds.

    Raises:
      ValueError: it is empty, or begins before the clip.
    """
    # as decimals: 0.1 is a tenth of a second, and not the nearest float
    first = Fraction(0) if start is None else Fraction(str(start))
    last = None if end is None else Fraction(str(end))
    if first < 0:
        raise ValueError(f"start: expected seconds from 0 on, got {float(first):g}")
    if last is not None and last <= first:
        raise ValueError(f"end: expected more than the start, {float(first):g} s, got {float(last):g}")
    return first, last
