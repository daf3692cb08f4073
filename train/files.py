"""The one writer of text files: configurations, curves and results are there whole or not at all."""

import os
import tempfile
from pathlib import Path


def write(path: Path, text: str) -> None:
    """Writes a text file under a temporary name and renames it.

    Args:
      path: the file; its folder is there.
      text: what it is to hold, as UTF-8.

    Raises:
      OSError: it cannot be written; what was there before stays.
    """
    descriptor, temporary = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8", newline="") as stream:
            stream.write(text)
        umask = os.umask(0)
        os.umask(umask)
        os.chmod(temporary, 0o666 & ~umask)
        os.replace(temporary, path)
    except BaseException:
        os.unlink(temporary)
        raise
