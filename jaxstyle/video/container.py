"""The finished file: encoded frames with the input's sound and subtitles in a container.

Sound and subtitles are copied packet by packet. Times are those of the input, to the tick, where the container has a
time base that fine: MP4 and QuickTime have, Matroska and WebM count milliseconds.
"""

from __future__ import annotations

import heapq
import io
import itertools
import math
import os
from collections.abc import Iterable, Iterator
from fractions import Fraction
from typing import Any, NamedTuple

from jaxstyle import image
from jaxstyle.image import film
from jaxstyle.image.film import Packet, Setting
from jaxstyle.image.source import ImageError, reason
from jaxstyle.video.clip import NUMBERED
from jaxstyle.video.films import Film
from jaxstyle.video.segments import Segments, durations

CONTAINERS = {".mp4": "mp4", ".m4v": "mp4", ".mov": "mov", ".mkv": "matroska", ".webm": "webm"}
ANIMATIONS = {".gif": "GIF", ".webp": "WEBP"}
FINEST = Fraction(1, 1000)
"""The time base of Matroska and WebM, seconds."""

_COPIED = ("audio", "subtitle")
_LEAST_TIMESCALE = 500  # below it a multiple is used: players expect fine ones
_MOST_TICKS = 1 << 31  # of a file: players expect durations of 32 bits
_NONE = Fraction(0)
_OWN_TAGS = {"major_brand", "minor_version", "compatible_brands", "encoder", "duration", "creation_time"}


class Kind(NamedTuple):
    """What kind of output a name asks for.

    Attributes:
      container: as PyAV calls it, or "" where it is none.
      animation: "GIF", "WEBP" or "".
      pattern: of the names of pictures in a folder, such as ``%06d.png``, or "".
    """

    container: str = ""
    animation: str = ""
    pattern: str = ""


def kind_of(output: str, format: str | None = None) -> Kind:
    """The kind of an output.

    Args:
      output: a file, a folder (a name without a suffix, or that of one that is there), or ``folder/%06d.png``.
      format: a suffix without its dot that counts instead of the file's.

    Raises:
      ImageError: nothing of that suffix can be written.
    """
    name = os.path.basename(output)
    if format is None and NUMBERED.search(name):
        image.format_of(name)
        if name.count("%") != 1:
            raise ImageError(output, "expected one number in the name of the frames, as in FOLDER/%06d.png")
        return Kind(pattern=name)
    suffix = os.path.splitext(name)[1].lower() if format is None else f".{format.lower()}"
    if format is None and (os.path.isdir(output) or not suffix) and not image.is_standard(output):
        return Kind(pattern="%06d.png")
    if image.is_standard(output) and format is None:
        return Kind(container="matroska")
    if suffix in CONTAINERS:
        return Kind(container=CONTAINERS[suffix])
    if suffix in ANIMATIONS:
        return Kind(animation=ANIMATIONS[suffix])
    known = ", ".join(sorted((*CONTAINERS, *ANIMATIONS)))
    raise ImageError(output, f"unknown suffix {suffix!r}: expected one of {known}, a folder, or FOLDER/%06d.png")


def default_codec(kind: Kind) -> str:
    """The codec where none is asked for."""
    return "av1" if kind.container == "webm" else "h264"


def check_codec(label: str, kind: Kind, codec: str) -> None:
    """Checks that a container can hold a codec, and that there is an encoder.

    Raises:
      ImageError: it cannot, or there is none.
    """
    name = film.encoder_name(codec, label)
    with _dry(kind, label) as container:
        if name not in container.supported_codecs:
            raise ImageError(label, f"{kind.container} cannot hold {codec}; .mkv can")


def _dry(kind: Kind, label: str) -> Any:
    """A container of that kind in memory, to ask what it can hold."""
    return film.library(label).open(io.BytesIO(), "w", format=kind.container)


class Sound(NamedTuple):
    """Which streams of the input are copied.

    Attributes:
      source: the input.
      streams: their numbers.
      words: what they are, such as ``"audio (aac)"``.
      notices: about those that are left out.
      ticks: their time bases, seconds.
      first, last: seconds on the input's clock between which packets are copied; None: to the end.
      shift: seconds by which they are brought forward.
    """

    source: Film
    streams: tuple[int, ...]
    words: tuple[str, ...]
    notices: tuple[str, ...]
    ticks: tuple[Fraction, ...]
    first: Fraction | None = None
    last: Fraction | None = None
    shift: Fraction = Fraction(0)


def sound_of(source: Film, kind: Kind) -> Sound:
    """The streams of an input that a container can hold."""
    streams, words, notices, ticks = [], [], [], []
    with source.opened() as container, _dry(kind, source.label) as dry:
        for stream in container.streams:
            if stream.type not in _COPIED:
                continue
            name = (
                f"{stream.type} ({stream.codec_context.codec.canonical_name})" if stream.codec_context else stream.type
            )
            try:
                dry.add_stream_from_template(stream)
            except Exception:  # PyAV has several for a codec that does not fit, or that it does not know
                notices.append(f"{source.label}: its {name} does not go into {kind.container} and is left out")
                continue
            streams.append(stream.index)
            words.append(name)
            ticks.append(Fraction(stream.time_base))
    return Sound(source, tuple(streams), tuple(words), tuple(notices), tuple(ticks))


def write_film(path: str, kind: Kind, setting: Setting, done: Segments, sound: Sound | None, label: str) -> None:
    """Writes a video.

    Args:
      path: the file, which is not there.
      kind: its container.
      setting: how the frames were encoded.
      done: the frames.
      sound: what is copied beside them.
      label: the name of the result, for messages.

    Raises:
      ImageError: it cannot be written.
    """
    av = film.library(label)
    shift = 0 if sound is None else int(sound.shift / setting.time_base)
    ticks, seconds = () if sound is None else sound.ticks, abs(done.shown[-1][0]) * setting.time_base
    try:
        with av.open(path, "w", format=kind.container, options=_options(kind, setting, ticks, seconds)) as out:
            stream = out.add_stream(film.encoder_name(setting.codec, label), rate=setting.rate)
            film.configure(stream.codec_context, setting)
            stream.time_base = setting.time_base
            if setting.codec == "hevc" and kind.container in ("mp4", "mov"):
                stream.codec_context.codec_tag = "hvc1"  # what Apple's players ask for
            if sound is None:
                _mux(out, av, _of_film(av, stream, setting, done, shift))
                return
            with sound.source.opened() as container:
                targets = {}
                for number in sound.streams:
                    given = container.streams[number]
                    targets[number] = out.add_stream_from_template(given)
                    targets[number].metadata.update(given.metadata)
                    targets[number].disposition = given.disposition.value
                out.metadata.update({k: v for k, v in container.metadata.items() if k.lower() not in _OWN_TAGS})
                if sound.first is None and sound.last is None and container.chapters():
                    out.set_chapters(container.chapters())
                others = _of_sound(container, targets, sound)
                _mux(out, av, heapq.merge(_of_film(av, stream, setting, done, shift), others, key=lambda pair: pair[0]))
    except (av.error.FFmpegError, ValueError, OSError) as error:
        if isinstance(error, ImageError):
            raise
        raise ImageError(label, f"cannot be written: {reason(error)}") from error


def _options(
    kind: Kind, setting: Setting, others: Iterable[Fraction] = (), seconds: Fraction = _NONE
) -> dict[str, str]:
    """Of the muxer; ``others`` are the time bases of the streams beside the frames, ``seconds`` how long it is."""
    found = {"fflags": "+bitexact"}  # nothing that differs from run to run
    if kind.container in ("mp4", "mov"):
        scale = setting.time_base.denominator
        scale *= 1 if scale >= _LEAST_TIMESCALE else -(-10_000 // scale)
        # when a track begins is counted in the file's own time base
        common = math.lcm(scale, *(tick.denominator for tick in others))
        fitting = [wanted for wanted in (common, scale) if wanted * (seconds + 1) < _MOST_TICKS]
        found |= {"video_track_timescale": str(scale), "movflags": "+faststart"}
        found |= {"movie_timescale": str(fitting[0])} if fitting else {}
    return found


Timed = Iterator[tuple[Fraction, Any]]
"""Packets, each with when it is decoded in seconds."""


def _mux(out: Any, av: Any, packets: Iterable[tuple[Fraction, Any]]) -> None:
    for _, packet in packets:
        out.mux_one(packet)


def decoding_times(order: list[int], first_step: int) -> list[int]:
    """When packets are decoded: as early as they must, each later than the one before, none after it is shown.

    Args:
      order: when they are shown, in the order in which they are decoded.
      first_step: by which those go back that are decoded before the first is shown.

    Returns:
      As many times: those of `order`, sorted, late by as many packets as one is decoded ahead.
    """
    shown = sorted(order)
    rank = {pts: number for number, pts in enumerate(shown)}
    late = max((number - rank[pts] for number, pts in enumerate(order)), default=0)
    before = [shown[0] - (late - i) * first_step for i in range(late)] if shown else []
    return [*before, *shown[: len(shown) - late]]


def _of_film(av: Any, stream: Any, setting: Setting, done: Segments, shift: int) -> Timed:
    usual = max(1, round(1 / (setting.rate * setting.time_base)))
    lasts = dict(zip((pts for pts, _ in done.shown), durations(done.shown, usual), strict=True))
    order = [packet.pts for segment in done.segments() for packet in segment.packets]
    times = decoding_times(order, min(lasts.values(), default=1))
    packets: Iterator[Packet] = itertools.chain.from_iterable(segment.packets for segment in done.segments())
    for dts, packet in zip(times, packets, strict=True):
        made = av.Packet(packet.data)
        made.time_base, made.stream, made.is_keyframe = setting.time_base, stream, packet.key
        made.pts, made.dts, made.duration = packet.pts - shift, dts - shift, lasts[packet.pts]
        yield dts * setting.time_base - shift * setting.time_base, made


def _of_sound(container: Any, targets: dict[int, Any], sound: Sound) -> Timed:
    if not targets:
        return
    last = Fraction(-(10**9))
    for packet in container.demux([container.streams[number] for number in targets]):
        if packet.dts is None or packet.pts is None or not packet.size:
            continue
        at = packet.pts * packet.time_base
        if (sound.first is not None and at < sound.first) or (sound.last is not None and at >= sound.last):
            continue
        shift = round(sound.shift / packet.time_base)
        packet.pts, packet.dts = packet.pts - shift, packet.dts - shift
        last = max(last, packet.dts * packet.time_base)  # merging wants them in order
        packet.stream = targets[packet.stream.index]
        yield last, packet
