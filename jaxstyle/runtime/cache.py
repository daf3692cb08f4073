"""The cache folder: a picture of a size seen before starts without compiling anew.

Beside what JAX keeps it holds whole programs, see `jaxstyle.runtime.programs`, and styles, see
`jaxstyle.painting.style_cache`.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import os
import platform
import sys
from pathlib import Path
from typing import Any, cast

import jax

VARIABLE = "JAXSTYLE_CACHE_DIR"
"""Environment variable: another folder for the cache, or ``off``."""


def folder() -> Path | None:
    """Where the cache lies: ``$JAXSTYLE_CACHE_DIR``, else in the user's cache folder; None if switched off or nowhere.

    Compiled code fits one kind of processor and home folders are shared between machines: each kind has a
    sub-folder.
    """
    chosen = os.environ.get(VARIABLE, "")
    if chosen.lower() in ("off", "0", "none"):
        return None
    try:
        if chosen:
            root = Path(chosen).expanduser()
        elif sys.platform == "win32":
            root = Path(os.environ.get("LOCALAPPDATA") or Path.home()) / "jaxstyle" / "cache"
        elif sys.platform == "darwin":
            root = Path.home() / "Library" / "Caches" / "jaxstyle"
        else:
            root = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache").expanduser() / "jaxstyle"
    except RuntimeError:  # a user without a home, or none of that name
        return None
    return root / f"{platform.machine() or 'cpu'}-{_processor()}"


@functools.cache
def _processor() -> str:
    """A short name for the processor's instruction set."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        lines = [platform.processor()]
    features = next((line for line in lines if line.startswith(("flags", "Features"))), lines[0] if lines else "")
    return hashlib.sha256(features.encode()).hexdigest()[:8]


def enable() -> Path | None:
    """Makes jax keep what it compiles in `folder`; call it before the first computation.

    Returns:
      The folder, or None where the cache is switched off or its folder cannot be made.
    """
    place = folder()
    if place is None:
        return None
    try:
        place.mkdir(parents=True, exist_ok=True)
    except OSError:
        return None  # a read-only home costs time, not the picture
    if not os.access(place, os.W_OK):
        return None
    jax.config.update("jax_compilation_cache_dir", str(place))
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.2)
    return place


def in_use() -> Path | None:
    """The folder that `enable` has put to use in this process, or None."""
    place, config = folder(), cast(Any, jax.config)
    return place if place is not None and config.jax_compilation_cache_dir == str(place) else None


def prune(place: Path, most: int) -> None:
    """Removes all but the newest files of a folder; whatever fails is left at that: others may be doing the same.

    Args:
      place: the folder, which holds nothing else.
      most: so many files stay.

    Raises:
      OSError: the folder cannot be listed.
    """
    found: list[tuple[float, str]] = []
    with os.scandir(place) as entries:
        for entry in entries:
            with contextlib.suppress(OSError):
                found.append((entry.stat().st_mtime, entry.path))
    for _, path in sorted(found)[: max(0, len(found) - most)]:
        with contextlib.suppress(OSError):
            os.unlink(path)
