"""Threads that make pictures: each has one job at a time, and the devices go round.

While one thread computes, others read, encode and write. So the devices are busy, and no more pictures are in memory
than there are threads.
"""

from __future__ import annotations

import concurrent.futures
import contextlib
import dataclasses
import errno
import functools
import itertools
import queue
import threading
import time
from collections.abc import Callable, Generator, Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, NamedTuple, TypeVar

import jax

from jaxstyle import image, styles
from jaxstyle.controls.degree import Maps
from jaxstyle.folders.kept import Facts, written
from jaxstyle.folders.pairing import Job
from jaxstyle.image import ImageError
from jaxstyle.methods.interface import Loaded, Style
from jaxstyle.painting.file import check_result, paint_file, save, streams
from jaxstyle.painting.options import Limits, Output
from jaxstyle.painting.picture import (
    OUT_OF_MEMORY,
    STYLE_SIZE,
    encode_styles,
    kept_styles,
    recolours,
    render,
    style_pixels,
    style_side,
)
from jaxstyle.painting.style_file import read_style
from jaxstyle.runtime import memory
from jaxstyle.runtime.journal import Journal, Record

FULL = (errno.ENOSPC, errno.EDQUOT, errno.EROFS)  # no other picture could be written either

GONE = "{}: was removed or replaced while results were written there; they are gone, the same command makes them again"


class FolderGoneError(ValueError):
    """The folder of the results is not the one any more in which the run began."""


@dataclass(frozen=True)
class Failure:
    """A picture that could not be made.

    Attributes:
      source, style: the files.
      output: of the result, below the folder of the results.
      error: one line.
    """

    source: str
    style: tuple[str, ...]
    output: str
    error: str


K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


class _Once(Generic[K, V]):
    """A function that keeps its last values. Threads that ask for the same one wait for whoever asked first."""

    def __init__(self, function: Callable[[K], V], most: int) -> None:
        self._function, self._most = function, most
        self._kept: dict[K, concurrent.futures.Future[V]] = {}
        self._mutex = threading.Lock()

    def __call__(self, key: K) -> V:
        with self._mutex:
            found = self._kept.pop(key, None)
            future = found or concurrent.futures.Future()
            self._kept[key] = future  # the last in the order
            if len(self._kept) > self._most:
                del self._kept[next(iter(self._kept))]
        if found is None:
            try:
                future.set_result(self._function(key))
            except BaseException as error:
                future.set_exception(error)
        return future.result()


class _Looks(NamedTuple):
    """The styles of a picture, ready: pictures only where they take on the content's colours."""

    pictures: tuple[image.Picture, ...]
    encoded: Style | None
    notices: tuple[str, ...]


class _Made(NamedTuple):
    """A result.

    Attributes:
      picture: None if it is written already.
      width, height: in pixels.
      notices: about the content and the maps.
      waited: seconds until there was a device.
    """

    picture: image.Picture | None
    width: int
    height: int
    notices: tuple[str, ...]
    waited: float


class Workers:
    """The threads, and what they share: the model on every device, styles and maps, the manifest.

    Attributes:
      stopped: why there is no use in going on, such as a full disk; else None.
    """

    def __init__(
        self,
        jobs: Sequence[Job],
        facts: Facts,
        record: Journal,
        root: Path,
        loaded: Loaded,
        maps: Mapping[int, Maps],
        limits: Limits,
    ) -> None:
        """
        Args:
          jobs: that will be done.
          facts: about them, for the manifest.
          record: the manifest.
          root: folder of the results.
          loaded: the model.
          maps: of the jobs' controls, by their ``id``.
          limits: of every picture; with a tile every one is painted in tiles.
        """
        self.stopped: str | None = None
        self._facts, self._record, self._root, self._loaded, self._limits = facts, record, root, loaded, limits
        chosen = list(limits.devices or jax.local_devices())[: max(1, len(jobs))]
        self._devices: queue.SimpleQueue[tuple[jax.Device | None, Loaded]] = queue.SimpleQueue()
        if chosen == jax.local_devices()[:1]:
            self._devices.put((None, loaded))
        else:
            for device in chosen:
                self._devices.put((device, loaded._replace(model=jax.device_put(loaded.model, device))))
        self._computing = chosen
        self._threads = len(chosen) + 2  # one reads and one writes while the devices compute
        self._stop = threading.Event()
        self._writing = threading.Semaphore(self._threads)
        self._recolour = {id(job.controls): recolours(job.controls) for job in jobs}
        self._controls = {id(job.controls): job.controls for job in jobs}
        most = min([kept_styles(controls, loaded) for controls in self._controls.values()], default=16)
        self._looks = _Once(self._read_styles, most=most)
        self._maps = maps
        again = any(a.content == b.content for a, b in itertools.pairwise(jobs))
        self._read = _Once(self._read_content, most=2) if again else self._read_content  # threads overtake each other

    def prepare(self, jobs: Sequence[Job]) -> None:
        """Gets the styles ready, if they are the same for all jobs.

        Raises:
          ImageError: one of them cannot be read.
        """
        if len({(job.styles, id(job.controls)) for job in jobs}) == 1:
            try:
                side = self._side(jobs[0])
            except ImageError:  # which is that photo's failure
                side = jobs[0].controls.style_size or STYLE_SIZE
            self._looks((jobs[0].styles, id(jobs[0].controls), side))

    def outcomes(self, jobs: Iterable[Job]) -> Generator[Failure | tuple[str, ...], None, None]:
        """Does the jobs; of each, as it is finished, why it failed, or its notices."""
        pool = concurrent.futures.ThreadPoolExecutor(self._threads, "jaxstyle")
        pending: set[concurrent.futures.Future[Failure | tuple[str, ...] | None]] = set()
        try:
            for job in itertools.chain(jobs, [None]):
                most = 2 * self._threads if job is not None else 0
                while len(pending) > most:
                    finished, pending = concurrent.futures.wait(pending, return_when="FIRST_COMPLETED")
                    yield from (outcome for future in finished if (outcome := future.result()) is not None)
                if job is not None and not self._stop.is_set():
                    pending.add(pool.submit(self._one, job))
        except BaseException:
            self._stop.set()
            pool.shutdown(wait=False, cancel_futures=True)
            for _ in range(self._threads):  # what is being written becomes whole
                self._writing.acquire()
            self._writing.release(self._threads)
            raise
        pool.shutdown()

    def _one(self, job: Job) -> Failure | tuple[str, ...] | None:
        """One result; None if the run has been stopped."""
        if self._stop.is_set():
            return None
        facts = {"output": job.output, **self._facts.of(job)}
        try:
            image.check_file(job.content)
            start, inputs = time.perf_counter(), self._facts.inputs(job)
            looks, target = self._looks((job.styles, id(job.controls), self._side(job))), self._root / job.output
            if self._in_tiles(job, target):
                made = self._made_piecewise(job, looks, target)
            else:
                made = self._made_whole(job, looks)
            if made is None:
                return None
            with self._writing:
                if self._stop.is_set() and made.picture is not None:
                    return None
                notices = (*looks.notices, *made.notices)
                if made.picture is not None:
                    self._begin(job, target)
                    notices += save(made.picture, target, Output(overwrite=True))
                self._check_place(target)
                seconds = round(time.perf_counter() - start - made.waited, 3)
                result = {"width": made.width, "height": made.height, "result": written(target)}
                more = {"seconds": seconds, "notices": notices, "inputs": inputs, "status": "done"}
                self._record.append({**facts, **result, **more})
            return notices
        except (ValueError, OSError, MemoryError, RuntimeError) as error:
            return self._failed(job, facts, error)

    def _in_tiles(self, job: Job, target: Path) -> bool:
        """Whether that was asked for, or is needed on the smallest of the devices."""
        limits = dataclasses.replace(self._limits, devices=self._computing)
        return streams(job.content, target, job.controls, self._loaded, limits)

    def _made_whole(self, job: Job, looks: _Looks) -> _Made | None:
        """The result, to be written; None if the run has been stopped."""
        maps, picture = self._maps[id(job.controls)], self._read(job.content)
        check_result(self._root / job.output, picture, job.controls, Output())
        with self._device() as (loaded, waited):
            if self._stop.is_set():
                return None
            result = render(picture, looks.pictures, job.controls, maps, loaded, style=looks.encoded)
        notices = (*(f"{job.content}: {notice}" for notice in picture.notices), *maps.notices, *result.notices)
        height, width = result.pixels.shape[:2]
        return _Made(result, width, height, notices, waited)

    def _made_piecewise(self, job: Job, looks: _Looks, target: Path) -> _Made | None:
        """The result of a picture that is done in tiles, written; None if the run has been stopped."""
        style = looks.encoded
        if style is None:
            style = functools.partial(encode_styles, looks.pictures, job.controls, self._loaded)
        with self._device() as (loaded, waited):
            with self._writing:
                if self._stop.is_set():
                    return None
                self._begin(job, target)
            found = paint_file(
                job.content,
                style,
                target,
                job.controls,
                loaded=loaded,
                limits=self._limits,
                saving=Output(overwrite=True, keep=(*map(styles.path_of, job.styles), *job.controls.files())),
            )
        return _Made(None, found.width, found.height, found.notices, waited)

    def _begin(self, job: Job, target: Path) -> None:
        """Puts on record that a file of that name is ours, before there is one.

        Raises:
          FolderGoneError: somebody has removed the folder of the results.
        """
        if not self._record.in_place():
            raise FolderGoneError(GONE.format(self._root))
        self._record.append({"output": job.output, "status": "writing"})
        target.parent.mkdir(parents=True, exist_ok=True)

    def _check_place(self, target: Path) -> None:
        """Takes a result back that was just written into another folder, which has taken the place of that of the run.

        Raises:
          FolderGoneError: it has.
        """
        if not self._record.in_place():
            target.unlink(missing_ok=True)
            raise FolderGoneError(GONE.format(self._root))

    def _failed(self, job: Job, facts: Record, error: Exception) -> Failure | None:
        """Puts a failure on record, or stops the run where there is no use in going on."""
        cause = error if isinstance(error, OSError) else error.__cause__
        if memory.exhausted(error):
            words = OUT_OF_MEMORY
        elif isinstance(error, RuntimeError):
            raise error
        elif isinstance(error, OSError):  # the manifest, or a folder in that of the results
            place = error.filename or self._record.path
            words = f"{place}: cannot be written: {(error.strerror or str(error)).lower()}"
        else:
            words = " ".join(str(error).split())
        if not self._record.in_place():
            words = GONE.format(self._root)
        elif not (isinstance(cause, OSError) and cause.errno in FULL):
            try:
                with self._writing:
                    if not self._stop.is_set():
                        self._record.append({**facts, "error": words, "status": "failed"})
                return Failure(job.content, job.styles, job.output, words)
            except OSError as full:
                words = f"{self._record.path}: cannot be written: {(full.strerror or str(full)).lower()}"
        self.stopped = self.stopped or words
        self._stop.set()
        return None

    @contextlib.contextmanager
    def _device(self) -> Iterator[tuple[Loaded, float]]:
        """The model on the device that is free first, and the seconds that it took to be free."""
        asked = time.perf_counter()
        device, loaded = self._devices.get()
        waited = time.perf_counter() - asked
        try:
            with jax.default_device(device) if device is not None else contextlib.nullcontext():
                yield loaded, waited
        finally:
            self._devices.put((device, loaded))

    def _read_content(self, path: str) -> image.Picture:
        return image.read(path, max_pixels=self._limits.max_pixels)

    def _side(self, job: Job) -> int:
        """The side at which the styles of a picture are looked at; of its file only the header is read."""
        return style_side(job.controls, image.output_size(image.dimensions(job.content), job.controls.size))

    def _read_styles(self, key: tuple[tuple[str, ...], int, int]) -> _Looks:
        """Reads styles, and encodes them unless they take on the content's colours; the key ends with their side."""
        paths, controls, side = key[0], self._controls[key[1]], key[2]
        for path in paths:
            image.check_file(styles.path_of(path))
        pictures = [read_style(path, max_pixels=self._limits.max_pixels) for path in paths]
        notices = tuple(f"{path}: {note}" for path, look in zip(paths, pictures, strict=True) for note in look.notices)
        if self._recolour[key[1]]:
            small = [style_pixels(look.pixels, controls, side) for look in pictures]
            return _Looks(tuple(image.Picture(pixels) for pixels in small), None, notices)
        with self._device() as (loaded, _):
            return _Looks((), jax.device_get(encode_styles(pictures, controls, loaded, side)), notices)
