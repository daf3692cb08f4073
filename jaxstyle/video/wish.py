"""What is asked for of a video beside the controls, checked before anything is read; and where the result goes."""

from __future__ import annotations

import os
from collections.abc import Sequence
from fractions import Fraction
from typing import Any, NamedTuple

from jaxstyle import image
from jaxstyle.image import film
from jaxstyle.image.source import ImageError, label_of
from jaxstyle.painting.options import Options, Output, PathLike
from jaxstyle.video import container, keys, pictures, steady
from jaxstyle.video.container import Kind


class VideoOptions(Options, total=False):
    """The keyword arguments of `jaxstyle.stylize_video`."""

    alpha_keys: Sequence[tuple[float, float]] | None
    temporal: float
    start: float | None
    end: float | None
    fps: float | Fraction | None
    codec: str | None
    crf: int | None


class Wish(NamedTuple):
    """What is asked for beside the controls.

    Attributes:
      keys: degrees of style over time.
      temporal: weight of the frame before.
      start, end: of the part, seconds since the first frame.
      fps: of pictures.
      codec, crf: of the video.
    """

    keys: keys.Keys | None
    temporal: float
    start: Fraction
    end: Fraction | None
    fps: Fraction | None
    codec: str | None
    crf: int | None


class Goal(NamedTuple):
    """Where the result goes.

    Attributes:
      label: as it was given.
      path: of the file or the folder.
      kind: of it.
    """

    label: str
    path: str
    kind: Kind

    @property
    def standard(self) -> bool:
        """Whether it is standard output."""
        return image.is_standard(self.label)


def wish_of(options: dict[str, Any], goal: Goal) -> Wish:
    """The options that are no controls.

    Raises:
      ValueError: one of them is out of range, or has no effect on such an output.
    """
    given = options.get("alpha_keys")
    temporal = options.get("temporal", steady.WEIGHT)
    if not isinstance(temporal, int | float) or not 0 <= temporal <= steady.MOST:
        raise ValueError(f"temporal: expected a number from 0 (off) to {steady.MOST}, got {temporal!r}")
    start, end = keys.span(options.get("start"), options.get("end"))
    codec, crf = options.get("codec"), options.get("crf")
    if not goal.kind.container and (codec is not None or crf is not None):
        name = "codec" if codec is not None else "crf"
        raise ValueError(f"{name}: {goal.label} is no video file; expected one of {', '.join(container.CONTAINERS)}")
    if codec is not None and codec not in film.CODECS:
        raise ValueError(f"codec: expected one of {', '.join(film.CODECS)}, got {codec!r}")
    chosen = codec or container.default_codec(goal.kind)
    most = film.CODECS[chosen].most
    if crf is not None and film.CODECS[chosen].crf is None:
        raise ValueError(f"crf: {chosen} is lossless, there is no quality to choose")
    if crf is not None and (isinstance(crf, bool) or not isinstance(crf, int) or not 0 <= crf <= most):
        raise ValueError(f"crf: expected a whole number from 0 to {most} for {chosen}, got {crf!r}")
    return Wish(
        None if given is None else keys.checked_keys(given), float(temporal), start, end, _fps(options.get("fps")),
        chosen if goal.kind.container else None, crf,
    )  # fmt: skip


def _fps(value: Any) -> Fraction | None:
    if value is None:
        return None
    try:
        found = value if isinstance(value, Fraction) else Fraction(value).limit_denominator(1001)
    except (TypeError, ValueError, OverflowError):
        raise ValueError(f"fps: expected frames per second such as 25 or 30000/1001, got {value!r}") from None
    if not Fraction(1, 100) <= found <= 1000:
        raise ValueError(f"fps: expected from 0.01 to 1000 frames per second, got {float(found):g}")
    return found


def goal_of(output: PathLike, saving: Output) -> Goal:
    """Where the result goes.

    Raises:
      ImageError: nothing of that name can be written.
    """
    label = label_of(output)
    kind = container.kind_of(label, saving.format)
    if kind.pattern:
        folder = os.path.dirname(label) if container.NUMBERED.search(os.path.basename(label)) else label
        return Goal(label, os.path.normpath(folder or "."), kind)
    return Goal(label, label, kind)


def check_goal(goal: Goal, wish: Wish, saving: Output, read: Sequence[str]) -> None:
    """Checks, before anything is read, that the result can be written.

    Args:
      goal, wish: what is written.
      saving: ``overwrite`` is looked at.
      read: the files that are read, which are never replaced.

    Raises:
      ImageError: it cannot, it is there already, PyAV is missing, or it has no such encoder.
    """
    if goal.kind.container:
        container.check_codec(goal.label, goal.kind, wish.codec or "")
    if goal.kind.pattern:
        pictures.check_folder(goal.path, goal.label, goal.kind, saving.overwrite)
        folder = os.path.realpath(goal.path)
        for path in map(os.path.realpath, read):
            if path == folder or path.startswith(folder + os.sep):
                raise ImageError(goal.label, f"would replace {path}, which is read")
    else:  # the suffix is checked by now
        image.check_target(goal.label, format="PNG", overwrite=saving.overwrite, keep=read)
