"""The frames of a clip, painted: reading, painting and what follows overlap, and all devices share the frames.

A thread reads ahead: it decodes, brings frames to their size and finds cuts and flow. One thread for each device
paints. Whoever takes the frames, in their order, mixes and encodes meanwhile.
"""

from __future__ import annotations

import collections
import contextlib
import dataclasses
import functools
import queue
import threading
from collections.abc import Generator, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from fractions import Fraction
from typing import Any, NamedTuple, TypeVar

import jax
import numpy as np

from jaxstyle import image
from jaxstyle.controls.controls import Controls
from jaxstyle.controls.degree import Maps
from jaxstyle.image.decode import unit
from jaxstyle.methods.interface import Loaded, Style
from jaxstyle.painting.finish import painted_part
from jaxstyle.painting.picture import encode_styles, recolours, render, shares_of, style_side
from jaxstyle.video import steady
from jaxstyle.video.frames import Clip
from jaxstyle.video.keys import Script
from jaxstyle.video.steady import Flow, Memory

AHEAD = 2
"""Frames that are read before they are needed, beside one for each device."""


class Task(NamedTuple):
    """What is asked for of all frames.

    Attributes:
      loaded: the model.
      looks: the styles.
      controls: as they were given.
      size: (height, width) of the result.
      temporal: weight of the frame before, see `steady`; 0: every frame for itself.
      devices: that share the frames.
      flow: whether the frame before is mixed in, too, and not the statistics alone kept steady.
    """

    loaded: Loaded
    looks: tuple[image.Picture, ...]
    controls: Controls
    size: tuple[int, int]
    temporal: float
    devices: Sequence[jax.Device]
    flow: bool = True


class Ready(NamedTuple):
    """A frame that is ready to be painted.

    Attributes:
      number: from 0.
      pts, duration: see `jaxstyle.video.clip.Frame`.
      given: uint8 ``(H, W, 3)``, what is compared with other frames.
      pixels: float32 ``(H, W, 3)``.
      controls, maps: of this frame.
      cut: whether a scene begins with it.
      scene: colours of its scene, see `steady.scene_colours`.
      moved: the flow from the frame before.
    """

    number: int
    pts: int
    duration: int
    given: np.ndarray
    pixels: np.ndarray
    controls: Controls
    maps: Maps
    cut: bool
    scene: np.ndarray
    moved: Flow | None


class Done(NamedTuple):
    """A frame that is painted.

    Attributes:
      pts, duration: as in `Ready`.
      pixels: uint8 ``(H, W, 3)``.
      cut: whether a scene begins with it.
      memory: what the next frame must know, None where it need not.
    """

    pts: int
    duration: int
    pixels: np.ndarray
    cut: bool
    memory: Memory | None


class Part(NamedTuple):
    """The part of a clip that is wanted, and what of it is there already.

    Attributes:
      start, end: seconds since the clip's first frame; the end is not in it, None: to the end.
      done: how many frames are there.
      last: the time of the last of them, in the clip's time base.
      memory: what was known after it.
    """

    start: Fraction
    end: Fraction | None
    done: int = 0
    last: int | None = None
    memory: Memory | None = None


T = TypeVar("T")


def painted(clip: Clip, task: Task, script: Script, part: Part) -> Generator[Done, None, None]:
    """The frames of a part of a clip, painted, in their order.

    Args:
      clip: the input.
      task: how.
      script: the controls over time.
      part: which frames; what is there already is not painted again.

    Raises:
      ImageError: a frame cannot be read.
      ValueError: the controls do not fit.
    """
    average = None
    if task.temporal:
        keep = steady.KEPT * task.temporal / steady.MOST
        average = steady.Average(keep, part.done, None if part.memory is None else part.memory.averages)
    brush = _Brush(task, average)
    before = None if part.memory is None else part.memory.painted
    source = _ahead(_ready(clip, task, script, part), AHEAD + len(task.devices))
    with contextlib.closing(source), contextlib.closing(brush.painted(source)) as frames:
        for ready, pixels in frames:
            if task.temporal and before is not None and ready.moved is not None:
                weight = task.temporal * _painted_part(ready, task)
                pixels = steady.mixed(pixels, before, ready.moved, weight)
            before = steady.as_samples(pixels)
            memory = None
            if average is not None:
                memory = Memory(ready.given, before, ready.scene, average.after(ready.number))
            yield Done(ready.pts, ready.duration, before, ready.cut, memory)


def _painted_part(ready: Ready, task: Task) -> Any:
    """Where the result is the photo's nothing may be mixed in: 1 where all is painting, a number or (H, W)."""
    shares = shares_of(len(task.looks), ready.controls, ready.maps, task.size, task.loaded.needs.stride)
    part = painted_part(shares.total(0, task.size[0], 0, task.size[1]))
    return part if part.shape == task.size else float(part.reshape(()))


def _ready(clip: Clip, task: Task, script: Script, part: Part) -> Iterator[Ready]:
    facts, memory = clip.facts, part.memory
    before, scene = (None, None) if memory is None else (memory.given, memory.scene)
    first = facts.start + _ticks(part.start, facts.time_base)
    number = part.done
    for frame in clip.frames(first if part.last is None else part.last + 1):
        seconds = (frame.pts - facts.start) * facts.time_base
        if part.end is not None and seconds >= part.end:
            return
        pixels = image.resize(unit(frame.pixels), task.size)
        given = steady.as_samples(pixels)
        cut = before is None or (task.temporal > 0 and steady.difference(before, given) > steady.CUT)
        if cut or scene is None:
            scene = steady.scene_colours(pixels)
        moving = task.temporal > 0 and task.flow and not cut
        moved = steady.flow(before, given) if moving and before is not None else None
        controls, maps = script.at(seconds)
        yield Ready(number, frame.pts, frame.duration, given, pixels, controls, maps, cut, scene, moved)
        before, number = given, number + 1


def _ticks(seconds: Fraction, time_base: Fraction) -> int:
    """The first time in a time base that is not before a time."""
    return -int(-seconds // time_base)


class _Brush:
    """Paints frames, each on the device that is free first."""

    def __init__(self, task: Task, average: steady.Average | None) -> None:
        self._task, self._average = task, average
        self._free: queue.SimpleQueue[tuple[jax.Device, Loaded]] = queue.SimpleQueue()
        self._alone = list(task.devices) == jax.local_devices()[:1]
        for device in task.devices:
            model = task.loaded.model if self._alone else jax.device_put(task.loaded.model, device)
            self._free.put((device, task.loaded._replace(model=model)))
        self._style: Style | None = None
        self._scene: tuple[np.ndarray, Style] | None = None
        self._one = threading.Lock()

    def painted(self, frames: Iterator[Ready]) -> Generator[tuple[Ready, np.ndarray], None, None]:
        """Frames and their paintings, float32 ``(H, W, 3)``, in the order in which they come."""
        pool = ThreadPoolExecutor(len(self._task.devices), "jaxstyle-video")
        waiting: collections.deque[tuple[Ready, Future[np.ndarray]]] = collections.deque()
        try:
            for ready in frames:
                waiting.append((ready, pool.submit(self._painted, ready)))
                if len(waiting) > len(self._task.devices):
                    first, future = waiting.popleft()
                    yield first, future.result()
            while waiting:
                first, future = waiting.popleft()
                yield first, future.result()
        finally:
            if self._average is not None and waiting:
                self._average.fail()
            pool.shutdown(wait=False, cancel_futures=True)

    def _painted(self, ready: Ready) -> np.ndarray:
        task, average = self._task, self._average
        device, loaded = self._free.get()
        try:
            with contextlib.nullcontext() if self._alone else jax.default_device(device):
                style, controls = self._styles(ready)
                if average is not None:
                    join = functools.partial(average.join, ready.number, ready.cut)
                    loaded = loaded._replace(steady=join)
                made = render(image.Picture(ready.pixels), task.looks, controls, ready.maps, loaded, style=style)
                return made.pixels
        except BaseException:
            if average is not None:
                average.fail()
            raise
        finally:
            self._free.put((device, loaded._replace(steady=None)))

    def _styles(self, ready: Ready) -> tuple[Style | None, Controls]:
        """The styles of a frame, encoded, and its controls. Where the styles take on the content's colours those are
        the frame's own, or with consistency those with which its scene begins."""
        task = self._task
        side = style_side(task.controls, task.size)
        with self._one:
            if not recolours(task.controls):
                if self._style is None:
                    encoded = encode_styles(task.looks, task.controls, task.loaded, side)
                    self._style = encoded if self._alone else jax.device_get(encoded)
                return self._style, ready.controls
            if not task.temporal:
                return None, ready.controls
            if self._scene is None or self._scene[0] is not ready.scene:
                encoded = encode_styles(task.looks, task.controls, task.loaded, side, ready.scene)
                self._scene = ready.scene, encoded if self._alone else jax.device_get(encoded)
            return self._scene[1], dataclasses.replace(ready.controls, preserve_color=None)


# ---- reading ahead -----------------------------------------------------------------------------------------


def _ahead(items: Iterator[T], depth: int) -> Generator[T, None, None]:
    """The same items, made by a thread that is at most ``depth`` of them ahead."""
    filled: queue.Queue[tuple[bool, Any]] = queue.Queue(depth)
    stop = threading.Event()

    def put(entry: tuple[bool, Any]) -> bool:
        while not stop.is_set():
            with contextlib.suppress(queue.Full):
                filled.put(entry, timeout=0.1)
                return True
        return False

    def work() -> None:
        try:
            for item in items:
                if not put((True, item)):
                    break
            put((False, None))
        except BaseException as error:  # it is raised where the items are taken
            put((False, error))

    thread = threading.Thread(target=work, name="jaxstyle-read", daemon=True)
    thread.start()
    try:
        while True:
            more, value = filled.get()
            if more:
                yield value
            elif value is None:
                return
            else:
                raise value
    finally:
        stop.set()
