"""The front door from clip to clip; the command ``jaxstyle video`` is this.

Each frame is what `jaxstyle.stylize` makes of it, by one compiled program and with styles that are encoded once; with
``temporal`` it also knows of the frames before (`jaxstyle.video.steady`). Frames keep their times, and the sound is
copied. Stopped or killed, the same call goes on, and ends with the same bytes (`jaxstyle.video.segments`).
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, Unpack

import jax

from jaxstyle import image
from jaxstyle.controls.controls import Controls
from jaxstyle.image import film
from jaxstyle.image.source import ImageError, check_size, label_of, os_problem, sent
from jaxstyle.image.stream import check_format
from jaxstyle.painting.options import PathLike, sort
from jaxstyle.painting.picture import check, load_model, several
from jaxstyle.painting.style_file import read_style, weights_for
from jaxstyle.painting.unfinished import digest, digest_of
from jaxstyle.runtime import files
from jaxstyle.runtime.progress import Progress
from jaxstyle.video import container, pictures, steady
from jaxstyle.video.clip import named, open_clip, place_of
from jaxstyle.video.container import Sound
from jaxstyle.video.films import Film
from jaxstyle.video.frames import Clip
from jaxstyle.video.keys import Script
from jaxstyle.video.painter import Done, Part, Task, painted
from jaxstyle.video.segments import FRAMES, Segment, Segments, durations
from jaxstyle.video.steady import Memory
from jaxstyle.video.wish import Goal, VideoOptions, Wish, check_goal, goal_of, wish_of


@dataclass(frozen=True)
class VideoReport:
    """What `stylize_video` did.

    Attributes:
      output: the file or folder written.
      content, style: the files read.
      width, height: of the result, in pixels.
      frames: how many it has; ``kept``: of them, how many an earlier run had made.
      duration: of it, in seconds; ``cuts``: how many scenes begin in what this run made, with ``temporal``.
      codec: of the video, or the format of its pictures; ``sound``: what was copied beside it.
      temporal: the weight of the frame before.
      controls: `Controls.as_dict`.
      weights_file: name or path of the weights; ``weights_sha256`` their checksum.
      seconds: all that it took; ``frames_per_second`` of those this run made.
      notices: sentences for the user.
    """

    output: str
    content: str
    style: tuple[str, ...]
    width: int
    height: int
    frames: int
    kept: int
    duration: float
    cuts: int
    codec: str
    sound: tuple[str, ...]
    temporal: float
    controls: dict[str, Any]
    weights_file: str
    weights_sha256: str
    seconds: float
    frames_per_second: float
    notices: tuple[str, ...] = ()


def stylize_video(
    content: PathLike,
    style: PathLike | Sequence[PathLike],
    output: PathLike,
    controls: Controls | None = None,
    *,
    progress: Callable[[Progress], None] | None = None,
    **options: Unpack[VideoOptions],
) -> VideoReport:
    """Repaints a clip in the style of a painting, or of several.

    Args:
      content: a video file; GIF or WebP; a folder of pictures or a pattern such as ``frames/%06d.png``; ``"-"`` is
        standard input.
      style: the paintings, or a fitted style, see `jaxstyle.stylize`.
      output: ``.mp4``, ``.mov``, ``.mkv`` or ``.webm``; ``.gif`` or ``.webp``; a folder, or ``folder/%06d.png``;
        ``"-"`` is standard output, Matroska unless ``format`` says otherwise.
      controls: see `jaxstyle.stylize`; ``alpha_map`` and ``mask`` may be clips, too: at every time their newest frame.
      progress: called with the frames done, those of an earlier run included; the total is an estimate for files that
        do not say how many they have.
      options: fields of `Controls`; ``weights_file``, ``format``, ``overwrite`` and ``max_pixels`` (of a frame) as of
        `jaxstyle.stylize_file`; and
        ``alpha_keys``: pairs of seconds and degree of style, between which it changes evenly; it multiplies ``alpha``.
        ``temporal``: weight of the frame before, 0 to 0.5, see `jaxstyle.video.steady`; 0: every frame for itself.
        ``start``, ``end``: the part of the clip that is made, seconds since its first frame.
        ``fps``: frames per second of a folder of pictures, by default 25.
        ``codec``: ``"h264"``, ``"hevc"``, ``"av1"`` or ``"ffv1"``, which is lossless; by default H.264, in WebM AV1.
        ``crf``: quality of the first three; a smaller number is better.

    Returns:
      A `VideoReport`.

    Raises:
      ImageError: a file cannot be read or written, ``output`` exists, or PyAV or an encoder is missing.
      UnfinishedError: what was begun of ``output`` belongs to another request.
      WeightsError: ``weights_file`` cannot be used.
      TypeError: there is no such option.
      ValueError: an argument is out of range.
    """
    begun = time.perf_counter()
    (chosen, limits, saving, weights_file, rest), sources = sort(VideoOptions, controls, options), several(style)
    if limits.tile is not None or limits.scratch is not None:
        raise ValueError(
            "tile: frames are painted in tiles where they do not fit in memory; there is nothing to choose"
        )
    goal = goal_of(output, saving)
    wish = wish_of(rest, goal)
    check(chosen, len(sources))
    with contextlib.ExitStack() as stack:
        source = stack.enter_context(named(content))
        read = (source, *map(os.fspath, sources), *chosen.files())
        check_goal(goal, wish, saving, [place for place in map(place_of, read) if os.path.exists(place)])
        label = "<stdin>" if image.is_standard(content) else label_of(content)
        clip = open_clip(source, wish.fps, limits.max_pixels, label)
        if isinstance(clip, Film) and wish.end is None:
            clip.check_whole()
        setting = _setting(clip, goal, chosen, wish)
        if goal.kind.animation:  # all of it is in memory while it is written
            count = max(1, _expected(clip, wish))
            words = f"{goal.label} ({count} frames of {setting.width} x {setting.height})"
            check_size((setting.width * count, setting.height), limits.max_pixels, words)
        sound = _sound(clip, goal, wish)
        weights_file = weights_for(sources, weights_file)
        loaded = load_model(weights_file)
        check(chosen, len(sources), loaded)
        looks = tuple(read_style(path, max_pixels=limits.max_pixels) for path in sources)
        notices = [f"{path}: {note}" for path, look in zip(sources, looks, strict=True) for note in look.notices]
        script = Script(chosen, wish.keys, limits.max_pixels)
        devices = jax.local_devices() if limits.devices is None else limits.devices
        task = Task(loaded, looks, chosen, (setting.height, setting.width), wish.temporal, devices)
        if goal.standard:
            goal = goal._replace(path=stack.enter_context(sent(image.target_of(goal.label), name="video")))
        request = _request(clip, script, task, setting, wish)
        part = stack.enter_context(_segments(goal, request, saving.overwrite))
        with part.written(0, "frames", resumable=not goal.standard):
            wanted = _begun(part, wish)
            kept = part.done
            frames = _counted(painted(clip, task, script, wanted), kept, _expected(clip, wish), progress)
            with contextlib.closing(frames):
                cuts = _encode(frames, setting, goal, part)
            if not part.done:
                raise ImageError(clip.label, f"has no frames from {float(wish.start):g} s on")
            lasts = durations(part.shown, 1)
            duration = (part.shown[-1][0] + lasts[-1] - part.shown[0][0]) * setting.time_base
            if isinstance(clip, Film):
                notices += clip.damage(duration if not wish.start and wish.end is None else None)
            notices += [*clip.facts.notices, *script.notices]
            notices += [*script.stretched(setting.height, setting.width), *_said(wish, goal, setting, sound)]
            notices += _finish(goal, setting, part, sound)
    seconds = time.perf_counter() - begun
    width, height = setting.coded if goal.kind.container else (setting.width, setting.height)
    return VideoReport(
        output=goal.label,
        content=os.fspath(content),
        style=tuple(os.fspath(path) for path in sources),
        width=width,
        height=height,
        frames=part.done,
        kept=kept,
        duration=round(float(duration), 6),
        cuts=cuts,
        codec=wish.codec or goal.kind.animation or goal.kind.pattern,
        sound=() if sound is None else sound.words,
        temporal=wish.temporal,
        controls=chosen.as_dict(),
        weights_file=weights_file,
        weights_sha256=loaded.sha256,
        seconds=round(seconds, 3),
        frames_per_second=round((part.done - kept) / seconds, 4),
        notices=tuple(notices),
    )


# ---- before --------------------------------------------------------------------------------------------------


def _setting(clip: Clip, goal: Goal, controls: Controls, wish: Wish) -> film.Setting:
    """How the frames are encoded.

    Raises:
      ImageError: the format or the encoder does not take such a size.
    """
    facts = clip.facts
    height, width = image.output_size((facts.height, facts.width), controls.size)
    if goal.kind.animation:
        check_format(goal.label, goal.kind.animation, width, height)
    # a size that is asked for as width and height is in square pixels
    aspect = Fraction(1) if isinstance(controls.size, tuple) else facts.aspect
    setting = film.Setting(wish.codec or "", wish.crf, width, height, facts.time_base, facts.rate, aspect)
    if goal.kind.container:
        film.check(setting, goal.label)
    return setting


def _sound(clip: Clip, goal: Goal, wish: Wish) -> Sound | None:
    """What is copied beside the frames."""
    if not isinstance(clip, Film) or not goal.kind.container:
        return None
    found = container.sound_of(clip, goal.kind)
    origin = clip.facts.start * clip.facts.time_base
    if wish.start:
        found = found._replace(first=origin + wish.start)
    return found if wish.end is None else found._replace(last=origin + wish.end)


def _request(clip: Clip, script: Script, task: Task, setting: film.Setting, wish: Wish) -> dict[str, Any]:
    """All that decides about the bytes of the result."""
    fields = task.controls.as_dict()
    fields["alpha_map"], *fields["mask"] = [
        digest(name) if stamps is None else stamps
        for name, stamps in zip([fields["alpha_map"], *(fields["mask"] or ())], script.stamps(), strict=True)
    ]
    stamps = clip.stamps()
    return {
        "content": stamps if len(stamps) == 1 else digest_of([str(stamp) for stamp in stamps]),
        "model": task.loaded.sha256 or digest_of(task.loaded.model),
        **fields,
        "style": digest_of([look.pixels for look in task.looks]),
        "alpha_keys": wish.keys,
        "size": [task.size[1], task.size[0]],
        "temporal": wish.temporal,
        "flow": wish.temporal > 0 and steady.flow_library() is not None,
        "from": str(wish.start),
        "to": str(wish.end),
        "fps": str(setting.rate),
        "codec": setting.codec,
        "crf": setting.crf,
        "device": task.devices[0].device_kind,
        "jax": jax.__version__,
    }


def _segments(goal: Goal, request: dict[str, Any], discard: bool) -> Segments:
    try:
        return Segments(goal.path, request, discard=discard)
    except OSError as error:
        raise ImageError(goal.label, f"cannot be written: {os_problem(error)}") from error


def _begun(part: Segments, wish: Wish) -> Part:
    """What is wanted, and what of it is there. Where frames depend on those before them, segments without what the next
    one must know are made again."""
    memory = None
    while wish.temporal and part.count:
        data = part.memory()
        if data is not None:
            memory = Memory.from_bytes(data)
            break
        part.drop_last()
    return Part(wish.start, wish.end, part.done, part.shown[-1][0] if part.done else None, memory)


def _expected(clip: Clip, wish: Wish) -> int:
    """How many frames there will be, about."""
    facts = clip.facts
    whole = Fraction(facts.frames) / facts.rate
    end = whole if wish.end is None else min(wish.end, whole) if facts.frames else wish.end
    return max(0, round((end - wish.start) * facts.rate))


# ---- frames --------------------------------------------------------------------------------------------------


def _counted(
    frames: Generator[Done, None, None], kept: int, expected: int, progress: Callable[[Progress], None] | None
) -> Generator[Done, None, None]:
    """The same frames; each is told of when it is done with."""
    done = 0
    with contextlib.closing(frames):  # whatever happens, no thread goes on
        for frame in frames:
            yield frame
            done += 1
            if progress is not None:
                progress(Progress(max(expected, kept + done), kept, done, 0))
    if progress is not None:
        progress(Progress(kept + done, kept, done, 0))


def _encode(frames: Iterator[Done], setting: film.Setting, goal: Goal, part: Segments) -> int:
    """Encodes frames and puts them away, segment by segment; returns in how many of them a scene begins."""
    cuts = 0
    coder: film.Encoder | None = None
    shown: list[tuple[int, int]] = []
    packets: list[film.Packet] = []
    memory = None

    def put_away() -> None:
        nonlocal coder
        if coder is not None:
            packets.extend(coder.finish())
        part.write(Segment(tuple(shown), tuple(packets)), None if memory is None else memory.to_bytes())
        coder = None
        shown.clear()
        packets.clear()

    for frame in frames:
        if goal.kind.container:
            coder = coder or film.Encoder(setting, goal.label)
            packets.extend(coder.encode(frame.pixels, frame.pts))
        else:
            format = image.format_of(goal.kind.pattern) if goal.kind.pattern else "PNG"
            packets.append(film.Packet(frame.pts, True, pictures.picture_bytes(frame.pixels, format)))
        shown.append((frame.pts, frame.duration))
        memory, cuts = frame.memory, cuts + frame.cut
        if len(shown) == FRAMES:
            put_away()
    if shown:
        put_away()
    return cuts


def _finish(goal: Goal, setting: film.Setting, part: Segments, sound: Sound | None) -> tuple[str, ...]:
    """Writes the result from the segments; sentences for the user."""
    try:
        if goal.kind.pattern:
            pictures.write_pictures(goal.path, goal.kind, part)
        elif goal.kind.animation:
            return pictures.write_animation(goal.path, goal.kind, part, setting.time_base, setting.rate)
        else:
            if sound is not None and sound.first is not None:  # the part begins with its first frame
                sound = sound._replace(shift=part.shown[0][0] * setting.time_base)
            path = os.path.realpath(goal.path)
            with files.temporary_beside(path) as temporary:
                container.write_film(temporary, goal.kind, setting, part, sound, goal.label)
                files.replace(temporary, path)
    except OSError as error:
        raise ImageError(goal.label, f"cannot be written: {os_problem(error)}") from error
    return ()


def _said(wish: Wish, goal: Goal, setting: film.Setting, sound: Sound | None) -> tuple[str, ...]:
    """What the user should know of the result."""
    notices = [] if sound is None else list(sound.notices)
    if wish.temporal and steady.flow_library() is None:
        notices.append("without OpenCV (pip install 'jaxstyle[flow]') statistics alone are kept steady, not the pixels")
    if goal.kind.container:
        notices += setting.notices
    fine = (setting.time_base / container.FINEST).denominator == 1
    if goal.kind.container in ("matroska", "webm") and not fine:
        notices.append(f"{goal.kind.container} counts milliseconds: times are rounded to them; .mp4 keeps them exactly")
    return tuple(notices)
