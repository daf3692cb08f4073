"""Where pictures come from and go to: errors that name them, limits, streams, ``-`` for standard input and output.

The part of `jaxstyle.image` that knows files and streams, and nothing of what is in them.
"""

from __future__ import annotations

import contextlib
import io
import os
import re
import shutil
import stat
import sys
import tempfile
import threading
import warnings
from collections.abc import Iterator
from typing import Any, BinaryIO, TypeVar, cast

import numpy as np

MAX_PIXELS = 178_956_970
"""Default limit on width x height, checked in the header before anything is decoded: 179 megapixels, where
Pillow itself refuses. As float32 RGB such a picture takes 2.1 GB."""

MAX_STREAM_BYTES = 1 << 30
"""Most bytes taken from a pipe or a file object; regular files have no such limit."""

STANDARD = "-"
"""Stands for standard input or output where a command takes the name of a file."""


class ImageError(ValueError):
    """A picture that cannot be read or written. The message is one line and begins with the file's name."""

    def __init__(self, label: str, problem: str) -> None:
        super().__init__(f"{_one_line(label)}: {_one_line(problem[:300])}")
        self.label, self.problem = label, problem

    def __reduce__(self) -> tuple[type[ImageError], tuple[str, str]]:
        return type(self), (self.label, self.problem)  # crosses process borders


def _one_line(text: str) -> str:
    """`text` with line breaks and whatever else cannot be printed written as escapes."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def reason(error: BaseException) -> str:
    """What an exception says, or its name where it says nothing."""
    return str(error) or type(error).__name__


def os_problem(error: OSError) -> str:
    """What the system says of a file that cannot be read, as part of a sentence."""
    return error.strerror.lower() if error.strerror else f"cannot be read: {reason(error)}"


def label_of(place: Any, otherwise: str = "picture") -> str:
    """A file's name for messages; ``otherwise`` for what has none."""
    if isinstance(place, str | os.PathLike):
        return os.fspath(place) or "''"
    if isinstance(place, np.ndarray):
        return "array"
    name = getattr(place, "name", None) or getattr(place, "filename", None)
    if isinstance(name, int):
        return {0: "<stdin>", 1: "<stdout>"}.get(name, otherwise)
    return name if isinstance(name, str) else otherwise


def check_size(size: tuple[int, int], max_pixels: int, label: str) -> None:
    """Checks a picture's ``(width, height)``.

    Raises:
        ImageError: no pixels, or more than `max_pixels`.
    """
    width, height = size
    if width < 1 or height < 1:
        raise ImageError(label, f"has no pixels: {width} x {height}")
    if width * height > max_pixels:
        raise ImageError(
            label,
            f"{width} x {height} is {width * height / 1e6:.1f} megapixels, more than the limit of "
            f"{max_pixels / 1e6:.1f} (max_pixels = {max_pixels})",
        )


_PILLOW_MODULES = re.compile(r"PIL\.")
_quiet_lock = threading.Lock()
_quiet_depth = 0


@contextlib.contextmanager
def _pillow_warnings_off() -> Iterator[None]:
    """Keeps Pillow's warnings (damaged EXIF, many pixels) from the user, who gets notices and errors instead.
    Where threads overlap `warnings.catch_warnings` may restore wrong filters; one counted filter cannot."""
    global _quiet_depth
    entry = ("ignore", None, Warning, _PILLOW_MODULES, 0)
    filters = cast(list[Any], warnings.filters)
    with _quiet_lock:
        if _quiet_depth == 0 or entry not in filters:
            filters.insert(0, entry)
        _quiet_depth += 1
    try:
        yield
    finally:
        with _quiet_lock:
            _quiet_depth -= 1
            if _quiet_depth == 0:
                with contextlib.suppress(ValueError):
                    cast(list[Any], warnings.filters).remove(entry)


@contextlib.contextmanager
def reading(label: str) -> Iterator[None]:
    """Makes an `ImageError` of everything that goes wrong with a picture, and keeps Pillow's warnings away."""
    try:
        with _pillow_warnings_off():
            yield
    except ImageError:
        raise
    except MemoryError as error:
        raise ImageError(label, "not enough memory to decode it") from error
    except OSError as error:
        raise ImageError(label, os_problem(error)) from error
    except Exception as error:  # Pillow's parsers and decoders raise nearly anything on damaged data
        raise ImageError(label, f"cannot be read: {reason(error)}") from error


_HANDED = ("/dev/stdin", "/dev/fd/", "/proc/self/fd/")
"""Names of pipes that a shell opens for a command, which have an end."""


def check_file(path: str | os.PathLike[str]) -> None:
    """Checks that a path is no pipe, device or socket: a picture in a folder for which nobody should wait.

    What is missing or leads nowhere passes, as `read` says more about it; so do pipes from a shell.

    Raises:
        ImageError: it is one of these.
    """
    try:
        kind = os.stat(path).st_mode
    except (OSError, ValueError):
        return
    check_no_device(kind, label_of(path))
    if stat.S_ISFIFO(kind) and not os.fspath(path).startswith(_HANDED):
        raise ImageError(label_of(path), "is a named pipe, not a picture file")
    if stat.S_ISSOCK(kind):
        raise ImageError(label_of(path), "is a socket, not a picture file")


def check_no_device(kind: int, label: str) -> None:
    """Checks that a file's mode is not that of a device, which may have no end.

    Raises:
        ImageError: it is.
    """
    if stat.S_ISCHR(kind) or stat.S_ISBLK(kind):
        raise ImageError(label, "is a device, not a picture file")


# --- streams ----------------------------------------------------------------------------------------------


@contextlib.contextmanager
def byte_stream(source: Any, label: str) -> Iterator[BinaryIO]:
    """A seekable stream of the bytes of a path, of bytes or of a binary file object, which is read to its end.

    Raises:
        ImageError: a folder, a stream of text, or one longer than `MAX_STREAM_BYTES`.
        OSError: the file cannot be opened.
    """
    if isinstance(source, bytes | bytearray):
        yield io.BytesIO(source)
    elif hasattr(source, "read"):
        yield io.BytesIO(_read_all(source, label))
    elif os.path.isdir(source):
        raise ImageError(label, "is a folder, not a picture file")
    else:
        if os.path.realpath(source) != os.devnull:
            check_no_device(os.stat(source).st_mode, label)
        with open(source, "rb") as file:
            yield file if stat.S_ISREG(os.fstat(file.fileno()).st_mode) else io.BytesIO(_read_all(file, label))


def _read_all(stream: BinaryIO, label: str) -> bytes:
    data = stream.read(MAX_STREAM_BYTES + 1)
    if not isinstance(data, bytes):
        raise ImageError(label, "gives text: open it in binary mode")
    if len(data) > MAX_STREAM_BYTES:
        raise ImageError(label, f"gives more than {MAX_STREAM_BYTES >> 20} MiB")
    return data


class _Piped(bytes):
    """What came through a pipe: bytes that can be read again, with a name for messages."""

    name = "<stdin>"


Place = TypeVar("Place")


def is_standard(place: object) -> bool:
    """Whether a command means standard input or output: ``"-"``, also as a path. A file of that name has a longer one,
    such as that with its folder."""
    return isinstance(place, str | os.PathLike) and os.fspath(place) == STANDARD


def source_of(place: Place) -> Place | bytes:
    """What a command reads: `place` itself, or the bytes of what can be read but once: for ``"-"`` of standard input,
    and as `from_pipe`.

    Raises:
        ImageError: it cannot be read, standard input is closed, or it is a terminal or gives more than
            `MAX_STREAM_BYTES`.
    """
    if not is_standard(place):
        return from_pipe(place)
    if sys.stdin is None or sys.stdin.isatty():
        raise ImageError("<stdin>", "is a terminal: send a picture through a pipe, or name a file")
    return _Piped(_read_all(sys.stdin.buffer, "<stdin>"))


def from_pipe(place: Place) -> Place | bytes:
    """`place` itself, or, if it is the path of a pipe (``/dev/stdin``, ``<(...)`` in a shell, a FIFO) or of a device,
    the bytes that it gives, to its end.

    Raises:
        ImageError: it cannot be read, is a terminal, or gives more than `MAX_STREAM_BYTES`.
    """
    if not isinstance(place, str | os.PathLike):
        return place
    try:
        mode = os.stat(place).st_mode
    except (OSError, ValueError):  # whoever opens it tells
        return place
    if stat.S_ISREG(mode) or stat.S_ISDIR(mode):
        return place
    label = label_of(place)
    with reading(label), open(place, "rb") as file:
        if file.isatty():
            raise ImageError(label, "is a terminal: send a picture through a pipe, or name a file")
        data = _Piped(_read_all(file, label))
    data.name = label
    return data


def target_of(place: Place) -> Place | BinaryIO:
    """What a command writes to: `place` itself, or for ``"-"`` the binary stream of standard output.

    Raises:
        ImageError: standard output is a terminal or closed.
    """
    if not is_standard(place):
        return place
    if sys.stdout is None or sys.stdout.isatty():
        raise ImageError("<stdout>", "is a terminal: send it to a file or through a pipe")
    return sys.stdout.buffer


@contextlib.contextmanager
def sent(stream: Any, folder: str | os.PathLike[str] | None = None, name: str = "picture") -> Iterator[str]:
    """The name of a file to write in a folder of its own; when the block ends it is copied to the stream.

    Args:
      stream: a binary file open for writing, such as `target_of` gives.
      folder: where that folder is made; by default the system's for temporary files.
      name: what the file is called, where its suffix counts.

    Raises:
      ImageError: the stream does not take it.
    """
    with tempfile.TemporaryDirectory(dir=folder, prefix=".jaxstyle-") as place:
        path = os.path.join(place, name)
        yield path
        try:
            with open(path, "rb") as file:
                shutil.copyfileobj(file, stream, 1 << 20)
            stream.flush()
        except BrokenPipeError:
            raise
        except OSError as error:
            raise ImageError(label_of(stream), f"cannot be written: {os_problem(error)}") from error
