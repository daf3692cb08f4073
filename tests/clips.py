"""Clips that several tests are made with, made by PyAV: tests that need them skip where it is not installed."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest

av = pytest.importorskip("av", reason="videos need PyAV: pip install 'jaxstyle[video]'")

NTSC = Fraction(30000, 1001)
TICK = Fraction(1, 30000)
VARIABLE = (0, 33, 50, 120, 121, 300, 340)
"""Times of frames in milliseconds, none of which is as far from the next as another."""


def picture(number: int, height: int = 48, width: int = 64) -> np.ndarray:
    """A smooth frame that tells its number and where is up: uint8 ``(height, width, 3)``."""
    y, x = np.mgrid[0 : 1 : height * 1j, 0 : 1 : width * 1j]
    waves = [0.2 + 0.6 * x, 0.2 + 0.6 * y, 0.5 + 0.3 * np.sin(6 * x + 4 * y + 0.2 * number)]
    return np.asarray(255 * np.stack(waves, -1) + 0.5).astype(np.uint8)


def make(
    path: str | os.PathLike[str],
    frames: Sequence[np.ndarray],
    pts: Sequence[int] | None = None,
    tick: Fraction = TICK,
    *,
    sound: str | None = None,
    turned: int = 0,
    **tags: Any,
) -> Path:
    """Writes a video: H.264 at 29.97 frames per second, nearly lossless.

    Args:
      path: the file.
      frames: uint8 ``(H, W, 3)``.
      pts: their times in ``tick``; by default evenly 29.97 per second.
      tick: the time base.
      sound: a codec, of a tone as long as the frames.
      turned: degrees by which players turn it, against the clock.
      tags: attributes of the codec context.
    """
    times = list(pts) if pts is not None else [round(i / NTSC / tick) for i in range(len(frames))]
    scale = {"video_track_timescale": str(tick.denominator)} if str(path).endswith((".mp4", ".mov")) else {}
    with av.open(str(path), "w", options=scale) as out:
        stream = out.add_stream("libx264", rate=NTSC, options={"crf": "4", "preset": "fast"})
        context = stream.codec_context
        stream.height, stream.width = frames[0].shape[:2]
        stream.pix_fmt, context.time_base = "yuv420p", tick
        for name, value in tags.items():
            setattr(context, name, value)
        if turned:
            if not hasattr(stream, "set_display_rotation"):
                pytest.skip("this PyAV cannot write a rotation")
            stream.set_display_rotation(turned)
        audio = None if sound is None else out.add_stream(sound, rate=48_000, layout="mono")
        for pixels, time in zip(frames, times, strict=True):
            frame = av.VideoFrame.from_ndarray(pixels)
            frame.pts, frame.time_base = time, tick
            out.mux(stream.encode(frame))
        out.mux(stream.encode())
        if audio is not None:
            _tone(out, audio, max(0.1, float((times[-1] + 1000) * tick) if pts is None else 0.4))
    return Path(path)


def _tone(out: Any, stream: Any, seconds: float) -> None:
    wave = (0.3 * np.sin(2 * np.pi * 440 * np.arange(int(48_000 * seconds)) / 48_000)).astype(np.float32)
    for start in range(0, len(wave), 960):
        frame = av.AudioFrame.from_ndarray(wave[None, start : start + 960], format="fltp", layout="mono")
        frame.sample_rate, frame.pts, frame.time_base = 48_000, start, Fraction(1, 48_000)
        out.mux(stream.encode(frame))
    out.mux(stream.encode())


def shown(path: str | os.PathLike[str]) -> list[tuple[Fraction, np.ndarray]]:
    """The frames of a video with their times in seconds, as PyAV decodes them by itself."""
    with av.open(str(path)) as file:
        return [(f.pts * f.time_base, f.to_ndarray(format="rgb24")) for f in file.decode(video=0)]


def times(path: str | os.PathLike[str]) -> list[Fraction]:
    """When the frames of a video are shown, in seconds."""
    return [time for time, _ in shown(path)]


def packets(path: str | os.PathLike[str], kind: str = "audio") -> list[tuple[Fraction, bytes]]:
    """The packets of a video's sound or subtitles, with their times."""
    with av.open(str(path)) as file:
        stream = next(stream for stream in file.streams if stream.type == kind)
        return [(p.pts * p.time_base, bytes(p)) for p in file.demux(stream) if p.size]


def close(found: Iterable[np.ndarray], wanted: Iterable[np.ndarray], most: float) -> None:
    """Asserts that frames differ by at most so many levels on average."""
    for a, b in zip(found, wanted, strict=True):
        assert a.shape == b.shape
        assert np.abs(a.astype(np.float32) - b.astype(np.float32)).mean() <= most
