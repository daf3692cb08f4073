"""An array on disk that is gone with the process, whatever happens to it, and does not count as its memory."""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
from typing import Any

import numpy as np


class Scratch:
    """An array ``(H, W, C)`` in a nameless file; a context manager.

    Attributes:
      usable: whether it holds what was written. False without a folder, or where it does not fit twice (the result
        needs room as well), or once the disk was full.
    """

    def __init__(
        self, folder: str | os.PathLike[str] | None, shape: tuple[int, int, int], dtype: np.dtype[Any]
    ) -> None:
        self._shape, self._dtype, self.usable = shape, dtype, False
        size = shape[0] * shape[1] * shape[2] * dtype.itemsize
        with contextlib.suppress(OSError):  # it saves time only
            if folder is not None and shutil.disk_usage(folder).free > 2 * size:
                self._file = tempfile.TemporaryFile(dir=folder)  # noqa: SIM115 (closed by __exit__)
                self.usable = True

    def __enter__(self) -> Scratch:
        return self

    def __exit__(self, *_: object) -> None:
        if self.usable:
            self.usable = False
            self._file.close()

    def write(self, top: int, left: int, block: np.ndarray) -> None:
        """Puts a block ``(h, w, C)`` at row ``top``, column ``left``."""
        try:
            for y, row in enumerate(np.ascontiguousarray(block, self._dtype), top):
                self._file.seek(self._offset(y, left))
                self._file.write(row.view(np.uint8).data)
            self._file.flush()
        except OSError:  # the disk is full after all
            self.usable = False
            with contextlib.suppress(OSError):  # what is left in the buffer cannot be written either
                self._file.close()

    def read(self, top: int, left: int, height: int, width: int) -> np.ndarray:
        """``(height, width, C)`` from row ``top``, column ``left``."""
        out = np.empty((height, width, self._shape[2]), self._dtype)
        for y in range(height):
            self._file.seek(self._offset(top + y, left))
            self._file.readinto(out[y].view(np.uint8).data)  # type: ignore[attr-defined]
        return out

    def _offset(self, y: int, x: int) -> int:
        return (y * self._shape[1] + x) * self._shape[2] * self._dtype.itemsize
