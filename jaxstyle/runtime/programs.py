"""Compiled programs, kept in the cache folder: what was compiled before is neither traced nor lowered again.

JAX's own cache saves the compilation, but finds it only by the lowered program, and that takes longer than to paint a
small picture. Here a program is known by what it is made of: the source of this package's methods, the versions of JAX
and Flax, the shapes and types of its arguments with their static fields, the device and the number of processors, and
what is configured of JAX and XLA.

The folder is used only where it is in use (`jaxstyle.runtime.cache`), and trusted as JAX's cache is: it holds machine
code. Each file has a checksum. One that is damaged, cannot be read or written, or does not run costs the time that it
would have saved; the newest `FILES` stay.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import os
import threading
import zlib
from collections.abc import Callable, Sequence
from importlib import metadata
from pathlib import Path
from typing import Any

import jax
import numpy as np
from jax.experimental import serialize_executable
from jax.experimental.compilation_cache import compilation_cache

from jaxstyle.runtime import cache, files, progress

FILES = 128
"""Most programs on disk; one of AdaIN has 0.2 to 0.4 MB."""
FORMAT = b"jaxstyle program 1\n"
SUFFIX = ".program"

_SOURCES = ("arrays.py", "nets", "methods", "painting/paint.py", "runtime/programs.py")
_CONFIGURED = (
    "jax_default_matmul_precision",
    "jax_enable_x64",
    "jax_numpy_dtype_promotion",
)
_LOOKED_AT = ("jax_disable_jit", "jax_debug_nans", "jax_debug_infs")
"""Options of JAX by which somebody looks at what is computed: nothing is kept then."""
_VARIABLES = ("XLA_", "LIBTPU_", "CUDA_", "NVIDIA_", "JAX_")

_QUICK: dict[str, Any] = {"xla_cpu_use_fusion_emitters": False}
_RARE: dict[str, Any] = {"xla_backend_optimization_level": 1}

_ONE = threading.Lock()
_PROGRAMS: dict[str, Callable[..., Any]] = {}
"""Those of this process, by their key."""


def run(
    name: str,
    function: Callable[..., Any],
    *args: Any,
    static: tuple[Any, ...] = (),
    build: Callable[[Sequence[Any]], Any] = lambda leaves: leaves[0],
    rare: bool = False,
) -> Any:
    """``function(*static, *args)``, by a program that is kept where the cache folder is in use.

    Args:
      name: says which function of this package it is, with its static arguments: the same name must always mean the
        same. Empty: nothing is kept.
      function: a function that `jax.jit` returned.
      args: pytrees of arrays.
      static: its static arguments, which come first.
      build: ``jax.tree.leaves`` of what the function returns -> what it returns; by default its one array.
      rare: it runs so rarely that on a CPU a third less compilation is worth some percent of its own time.

    Returns:
      What the function returns; a program that was kept makes the same bits as when it was new. On a CPU the function
      itself, by another code generator, may round in another way.
    """
    leaves, tree = jax.tree.flatten(args)
    folder, device = cache.in_use(), _device(leaves)
    if not name or folder is None or device is None or any(getattr(jax.config, each) for each in _LOOKED_AT):
        return function(*static, *args)
    leaves = [leaf if isinstance(leaf, jax.Array) else np.asarray(leaf) for leaf in leaves]
    facts = [name, str(rare), str(tree), *(f"{leaf.dtype} {leaf.shape}" for leaf in leaves), *_around(device)]
    if any(" at 0x" in fact for fact in facts):  # an object of this process, whose place says nothing of the next
        return function(*static, *args)
    key = hashlib.sha256("\0".join(facts).encode()).hexdigest()
    with contextlib.nullcontext() if key in _PROGRAMS else _ONE:
        if key in _PROGRAMS:
            return build(_PROGRAMS[key](*leaves))
        path = folder / "programs" / f"{name}-{key[:40]}{SUFFIX}"
        program, found = _read(path, key, leaves, device)
        if program is None:

            def flat(*leaves: Any) -> tuple[Any, ...]:
                return tuple(jax.tree.leaves(function(*static, *jax.tree.unflatten(tree, leaves))))

            program = _made(flat, leaves, device, path, key, rare)
            found = program(*leaves)
        _PROGRAMS[key] = program
        return build(found)


# ---- what a program is known by ----------------------------------------------------------------------------


def _device(leaves: Sequence[Any]) -> jax.Device | None:
    """The one device that computes with these arrays; None where they are traced or on several."""
    if any(isinstance(leaf, jax.core.Tracer) for leaf in leaves) or jax.process_count() > 1:
        return None
    found = {d for leaf in leaves if isinstance(leaf, jax.Array) and leaf.committed for d in leaf.devices()}
    chosen = jax.config.jax_default_device  # type: ignore[attr-defined]
    if isinstance(chosen, str):
        return None
    return (found or {chosen or jax.local_devices()[0]}).pop() if len(found) < 2 else None


def _around(device: jax.Device) -> list[str]:
    """All that decides what machine code a function becomes, but the function and its arguments."""
    config = [f"{name}={getattr(jax.config, name, None)}" for name in _CONFIGURED]
    return [*_fixed(), f"{device.platform} {device.device_kind} {device.id}", device.client.platform_version, *config]


@functools.cache
def _fixed() -> tuple[str, ...]:
    """What stays as it is in a process: sources, versions, processors, variables of the environment."""
    home, found = Path(__file__).parents[1], hashlib.sha256()
    for place in _SOURCES:
        for path in sorted((home / place).rglob("*.py")) if (home / place).is_dir() else [home / place]:
            found.update(f"{path.relative_to(home).as_posix()}\0".encode())
            found.update(path.read_bytes())
    versions = [f"{package} {metadata.version(package)}" for package in ("jax", "jaxlib", "flax")]
    processors = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    ignored = ("JAX_COMPILATION_CACHE_", "JAX_PERSISTENT_CACHE_", "XLA_PYTHON_CLIENT_")
    variables = [
        f"{name}={os.environ[name]}"
        for name in sorted(os.environ)
        if name.startswith(_VARIABLES) and not name.startswith(ignored)
    ]
    return found.hexdigest(), *versions, f"{processors} processors", *variables


# ---- programs and their files ------------------------------------------------------------------------------


def _made(
    function: Callable[..., Any], leaves: Sequence[Any], device: jax.Device, path: Path, key: str, rare: bool
) -> Callable[..., Any]:
    """Compiles a function of arrays that returns a tuple of arrays, and keeps it if that can be done."""
    with progress.compiling(), jax.default_device(device):
        lowered = jax.jit(function).lower(*leaves)
        with _without_jaxs_cache():  # what comes from there cannot be kept: its machine code is not given out again
            compiled = _compiled(lowered, device, rare)
    with contextlib.suppress(Exception):  # devices whose programs cannot be kept; a full disk
        data, _, out = serialize_executable.serialize(compiled)
        payload = zlib.compress(out.num_leaves.to_bytes(4, "little") + data, 1)
        path.parent.mkdir(parents=True, exist_ok=True)
        files.write(path, FORMAT + hashlib.sha256(key.encode() + payload).digest() + payload)
        cache.prune(path.parent, FILES)
    return compiled


def _compiled(lowered: jax.stages.Lowered, device: jax.Device, rare: bool) -> jax.stages.Compiled:
    """Compiles; on a CPU with XLA's older code generator for fusions, which takes two thirds of the time and whose code
    is as fast, and what is rare with less optimisation by LLVM."""
    options = _QUICK | (_RARE if rare else {})
    if device.platform == "cpu":
        with contextlib.suppress(jax.errors.JaxRuntimeError):  # where there is no longer such an option
            return lowered.compile(options)
    return lowered.compile()


@contextlib.contextmanager
def _without_jaxs_cache() -> Any:
    """JAX's cache of compiled code switched off; it asks once whether it is on, until it is reset."""
    before = jax.config.jax_enable_compilation_cache  # type: ignore[attr-defined]
    jax.config.update("jax_enable_compilation_cache", False)
    compilation_cache.reset_cache()
    try:
        yield
    finally:
        jax.config.update("jax_enable_compilation_cache", before)
        compilation_cache.reset_cache()


def _read(
    path: Path, key: str, leaves: Sequence[Any], device: jax.Device
) -> tuple[Callable[..., Any] | None, Sequence[Any]]:
    """The program of a file, and what it makes of these arrays; None where it is not there, or damaged."""
    try:
        data = path.read_bytes()
        start, payload = len(FORMAT) + 32, memoryview(data)[len(FORMAT) + 32 :]
        if data[:start] != FORMAT + hashlib.sha256(key.encode() + payload).digest():
            return None, ()
        plain = zlib.decompress(payload)
        taken = jax.tree.structure((tuple(range(len(leaves))), {}))
        given = jax.tree.structure(tuple(range(int.from_bytes(plain[:4], "little"))))
        program = serialize_executable.deserialize_and_load(plain[4:], taken, given, device.client, [device])
        found = jax.block_until_ready(program(*leaves))  # parts that are missing are missed when it runs
    except Exception:  # whatever may be wrong in a file that was whole when it was written
        return None, ()
    with contextlib.suppress(OSError):
        os.utime(path)  # it was of use: others go first
    return program, found
