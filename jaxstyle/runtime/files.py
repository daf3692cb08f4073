"""Files that are whole or not there: written under a temporary name, synced, renamed.

What has its name is on the disk: a file is synced before the rename and its folder after it, so that neither a killed
process nor a machine that lost its power leaves half a file under the name of a whole one.
"""

from __future__ import annotations

import contextlib
import errno
import itertools
import os
import secrets
import shutil
import stat
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

PathLike = str | os.PathLike[str]


def write(path: PathLike, data: bytes | str, overwrite: bool = True) -> None:
    """Makes ``path`` a file of these bytes, by way of a temporary file in the same folder.

    Whatever goes wrong, Ctrl-C included, leaves the old file as it was and no temporary one. Permissions are the
    umask's. A link stays a link; pipes and devices are written to, not replaced.

    Args:
      path: of the file; its folder is there.
      data: the bytes, or a text, which is written as UTF-8.
      overwrite: replace a file that is there.

    Raises:
      OSError: as the system says; FileExistsError where ``overwrite`` is False and the file exists.
    """
    data = data.encode() if isinstance(data, str) else data
    path = os.path.realpath(path)
    if os.path.exists(path):
        if not overwrite:
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), path)
        if not stat.S_ISREG(os.stat(path).st_mode):  # a folder fails here
            with open(path, "wb") as device:
                device.write(data)
            return
    with temporary_beside(path) as temporary:
        with open(temporary, "xb") as file:
            file.write(data)
        replace(temporary, path)


@contextlib.contextmanager
def temporary_beside(path: PathLike) -> Iterator[str]:
    """A name in the folder of ``path`` for what is not finished; if a file or folder has it afterwards, that goes."""
    name = os.path.join(os.path.dirname(path), f".jaxstyle-{secrets.token_hex(8)}.tmp")
    try:
        yield name
    finally:
        if os.path.isdir(name):
            shutil.rmtree(name, ignore_errors=True)
        else:
            with contextlib.suppress(OSError):
                os.unlink(name)


def replace(temporary: PathLike, path: PathLike) -> None:
    """Gives a finished file its name, which may be that of a file that is replaced; synced before and after.

    Args:
      temporary: the file, in the folder of ``path`` or at least in its file system.
      path: the name.

    Raises:
      OSError: as the system says; both files are then as they were.
    """
    _sync(temporary)
    os.replace(temporary, path)
    sync_folder(os.path.dirname(path) or ".")


def sync_tree(folder: PathLike) -> None:
    """Puts a folder with all that is in it on disk, before it gets its name.

    Raises:
      OSError: the disk is full, say.
    """
    found = [(place, [os.path.join(place, name) for name in names]) for place, _, names in os.walk(folder)]
    with ThreadPoolExecutor(16) as pool:  # many at once are twenty times as fast as one by one
        for _ in pool.map(_sync, itertools.chain.from_iterable(paths for _, paths in found)):
            pass
    for place, _ in found:
        sync_folder(place)


def sync_folder(folder: PathLike) -> None:
    """Puts the names in a folder on disk, where the system can do that."""
    with contextlib.suppress(OSError):  # Windows cannot; the files are in place anyway
        _sync(folder)


def _sync(path: PathLike) -> None:
    descriptor = os.open(path, os.O_RDWR if sys.platform == "win32" else os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOTSUP):  # a file system that cannot sync
            raise
    finally:
        os.close(descriptor)
