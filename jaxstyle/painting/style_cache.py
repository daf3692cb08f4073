"""Styles that were encoded, kept by what is in their pictures: a painting that was seen before is not encoded again.

The last ones of a process are in memory, `MEMORY` bytes of them at most. Small ones are in the cache folder too, for
the next process, where that is in use (`jaxstyle.runtime.cache`: the commands use it, ``JAXSTYLE_CACHE_DIR=off`` keeps
them from it): the newest `FILES`, each with a checksum of its own. A file that is damaged, or cannot be read or
written, costs the time that it would have saved.

A style is known by the pixels that are encoded, which are at the size at which the style is looked at, by the model's
checksum and those of all shipped weights, and by what decides rounding: JAX's version, its precision and the kind of
device. Models made in memory have no checksum: their styles are not kept.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import os
import threading
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import numpy as np

from jaxstyle import weights
from jaxstyle.methods.interface import Loaded, Style
from jaxstyle.runtime import cache

MEMORY = 40 << 20
"""Most bytes of styles in memory."""
FILES = 512
"""Most styles on disk."""
LARGEST_FILE = 1 << 16
"""Most bytes of a style on disk; one of AdaIN has 4096."""
FORMAT = 1
"""Of what is kept: another one where the same pixels and weights give another style than before."""

Encode = Callable[[Loaded, np.ndarray], Style]


class Kept:
    """The styles in memory, the one that was not asked for longest given up first; threads may share it."""

    def __init__(self, most: int = MEMORY) -> None:
        """
        Args:
          most: bytes of all their arrays.
        """
        self._most, self._styles, self._mutex = most, OrderedDict[str, Style](), threading.Lock()
        self.bytes = 0

    def __len__(self) -> int:
        return len(self._styles)

    def get(self, key: str) -> Style | None:
        """A style that is kept, or None."""
        with self._mutex:
            if key in self._styles:
                self._styles.move_to_end(key)
            return self._styles.get(key)

    def put(self, key: str, style: Style) -> None:
        """Keeps a style of NumPy arrays; one that is larger than all there is room for is not."""
        with self._mutex:
            if key in self._styles or _size(style) > self._most:
                return
            self._styles[key] = style
            self.bytes += _size(style)
            while self.bytes > self._most:
                self.bytes -= _size(self._styles.popitem(last=False)[1])

    def clear(self) -> None:
        """Forgets them all."""
        with self._mutex:
            self._styles.clear()
            self.bytes = 0


KEPT = Kept()
"""Those of this process."""


def encoded(loaded: Loaded, pixels: np.ndarray, encode: Encode) -> Style:
    """A style, from memory, from disk, or encoded and kept.

    Args:
      loaded: the model.
      pixels: float32 ``(H, W, 3)``, as they are encoded.
      encode: encodes them.

    Returns:
      What ``encode`` returned for the same model and pixels; of NumPy arrays, which serve every device and must not be
      changed, or, where it is not kept, as it is.
    """
    key = _key(loaded, pixels)
    if key is None:
        return encode(loaded, pixels)
    found = KEPT.get(key)
    if found is not None:
        return found
    folder = _folder()
    style = None if folder is None else _read(folder, key, loaded)
    if style is None:
        style = jax.tree.map(np.asarray, jax.device_get(encode(loaded, pixels)))
        if folder is not None and loaded.method.style_of is not None:
            _write(folder, key, style)
    KEPT.put(key, style)
    return style


def _size(style: Style) -> int:
    return sum(leaf.nbytes for leaf in jax.tree.leaves(style))


def _key(loaded: Loaded, pixels: np.ndarray) -> str | None:
    """What a style is known by; None for that of a model without a checksum."""
    if not loaded.sha256:
        return None
    config: Any = jax.config
    device = config.jax_default_device or jax.devices()[0]
    kind = str(getattr(device, "device_kind", device))
    rounding = (jax.__version__, kind, config.jax_default_matmul_precision, config.jax_enable_x64)
    facts = (FORMAT, loaded.method.kind, loaded.sha256, _shipped(), rounding, pixels.shape, pixels.dtype.str)
    found = hashlib.sha256(repr(facts).encode())
    found.update(np.ascontiguousarray(pixels).data)
    return found.hexdigest()


@functools.cache
def _shipped() -> tuple[str, ...]:
    """The checksums of all shipped weights: a model may use some of them beside those of its own file."""
    return tuple(weights.header(name)["sha256"] for name in weights.shipped())


# ---- on disk -----------------------------------------------------------------------------------------------


def _folder() -> Path | None:
    """Where small styles are kept; None where the cache is not in use."""
    place = cache.in_use()
    return None if place is None else place / "styles"


def _read(folder: Path, key: str, loaded: Loaded) -> Style | None:
    """The style of a file, if it is there, whole and undamaged."""
    path, make = folder / f"{key}.safetensors", loaded.method.style_of
    if make is None or not path.is_file():
        return None
    try:
        file = weights.load(path, kind="style")
        if file.metadata.get("key") != key:
            return None
        style = make([file.arrays[str(number)] for number in range(len(file.arrays))])
    except (weights.WeightsError, LookupError, TypeError, ValueError):
        return None
    with contextlib.suppress(OSError):
        os.utime(path)  # it was of use: others go first
    return style


def _write(folder: Path, key: str, style: Style) -> None:
    """Keeps a small style, and gives up the oldest where there are too many; whatever fails is left at that."""
    leaves = jax.tree.leaves(style)
    if _size(style) > LARGEST_FILE or not all(leaf.dtype.kind in "fiu" for leaf in leaves):
        return
    arrays = {str(number): leaf for number, leaf in enumerate(leaves)}
    with contextlib.suppress(OSError, weights.WeightsError):
        folder.mkdir(parents=True, exist_ok=True)
        weights.save(folder / f"{key}.safetensors", arrays, {"kind": "style", "licence": "your own", "key": key})
        cache.prune(folder, FILES)
