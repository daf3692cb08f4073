"""How much memory there is, what a decoded picture takes of it, and its end."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import jax

PICTURE_BYTES_PER_PIXEL = 40
"""Of a picture that is read as a whole and resized: what the decoder holds, 32-bit pixels, and a copy of them."""

_SHARE = 0.8  # of what is free: others need some too, and the estimate is one


def exhausted(error: BaseException) -> bool:
    """Whether an error says that memory ended: Python's own, or what jax raises for a device."""
    return isinstance(error, MemoryError) or (isinstance(error, RuntimeError) and "RESOURCE_EXHAUSTED" in str(error))


def fits(needed: int, available: int | None = None) -> bool:
    """Whether so many bytes can be computed with.

    Args:
      needed: bytes.
      available: bytes; by default `available_memory`. Where that is unknown, 4 GiB.
    """
    if available is None:
        available = available_memory() or 4 << 30
    return needed <= _SHARE * available


def picture_fits(height: int, width: int, available: int | None = None) -> bool:
    """Whether a picture of this size can be read as a whole; arguments as in `fits`, but of the host's memory."""
    if available is None:
        available = host_memory() or 4 << 30
    return height * width * PICTURE_BYTES_PER_PIXEL <= _SHARE * available


def available_memory(devices: Sequence[jax.Device] | None = None) -> int | None:
    """Bytes free to the device that computes: of its own memory, or of the host's for a CPU. None if unknown.

    Args:
      devices: those of which any may compute, at the same time: the least of them counts, and those without a memory
        of their own share the host's. By default the one that `jax.default_device` chose, or the first.
    """
    free, sharing = [], 0
    for device in devices or [_default_device()]:
        stats = device.memory_stats()
        if stats and "bytes_limit" in stats:
            free.append(max(0, stats["bytes_limit"] - stats.get("bytes_in_use", 0)))
        else:
            sharing += 1
    if sharing and (host := host_memory()) is not None:
        free.append(host // sharing)
    return min(free, default=None)


def peak_bytes() -> int | None:
    """Most memory in use so far: of the device's own, or for a CPU of the whole process. None if unknown."""
    stats = jax.local_devices()[0].memory_stats() or {}
    if "peak_bytes_in_use" in stats:
        return int(stats["peak_bytes_in_use"])
    for line in _text(Path("/proc/self/status")).splitlines():
        if line.startswith("VmHWM:"):
            return 1024 * int(line.split()[1])
    if os.name != "posix":
        return None
    import resource

    scale = 1 if os.uname().sysname == "Darwin" else 1024
    return scale * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def _default_device() -> jax.Device:
    chosen = jax.config.jax_default_device  # type: ignore[attr-defined]
    if isinstance(chosen, str):
        return jax.local_devices(backend=chosen)[0]
    return chosen or jax.local_devices()[0]


def host_memory(root: str | os.PathLike[str] = "/") -> int | None:
    """Bytes that this process may still take: of the machine's memory, and of what its control groups leave it.

    Args:
      root: where ``proc`` and ``sys`` are.

    Returns:
      The least of all limits; where Linux' files are missing, the machine's memory, or None if that is unknown too.
    """
    base = Path(root)
    limits = _group_limits(base)
    for line in _text(base / "proc/meminfo").splitlines():
        if line.startswith("MemAvailable:"):
            limits.append(int(line.split()[1]) << 10)
    if not limits:
        try:
            return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
        except (AttributeError, OSError, ValueError):  # not on Windows
            return None
    return max(0, min(limits))


def _group_limits(base: Path) -> list[int]:
    """What is left in the process's memory control groups, of both versions, and in all above them."""
    found = []
    for line in _text(base / "proc/self/cgroup").splitlines():
        number, controllers, path = line.split(":", 2)
        if number == "0" and not controllers:
            top, files = base / "sys/fs/cgroup", ("memory.max", "memory.current", "inactive_file")
        elif "memory" in controllers.split(","):
            top = base / "sys/fs/cgroup/memory"
            files = ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file")
        else:
            continue
        group = top / path.lstrip("/")
        for folder in (group, *group.parents):  # in a container the path may be the host's: only the top is there
            if folder == top.parent:
                break
            limit, used = (_text(folder / name).strip() for name in files[:2])
            if limit.isdigit() and used.isdigit():
                found.append(int(limit) - int(used) + _cached(folder, files[2]))
    return found


def _cached(folder: Path, name: str) -> int:
    """File pages that the kernel gives back when memory is short; they count as used."""
    for line in _text(folder / "memory.stat").splitlines():
        key, _, value = line.partition(" ")
        if key == name and value.isdigit():
            return int(value)
    return 0


def _text(path: Path) -> str:
    try:
        return path.read_text()
    except OSError:
        return ""
