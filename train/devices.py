"""Data parallelism: one mesh axis over the devices of all processes, the batch sharded, the rest replicated.

``jit`` over the mesh is the one code path: the compiler inserts the gradient all-reduce, and statistics over
the batch are global without further thought. ``pmap`` runs the same step function per device, where it has to
average gradients and terms itself; it is offered for comparison, and on one process only.
"""

from __future__ import annotations

import functools
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, Literal, TypeVar

import jax
import numpy as np
from jax.experimental import multihost_utils
from jax.sharding import AxisType, Mesh, NamedSharding, PartitionSpec

AXIS = "data"
"""Name of the mesh axis, and of the pmap axis."""

T = TypeVar("T")
StepFn = Callable[..., tuple[Any, Any]]


class DeviceError(ValueError):
    """A batch, mode or address that does not fit the devices or processes."""


def initialize_distributed(
    coordinator: str | None = None, num_processes: int | None = None, process_id: int | None = None
) -> None:
    """Joins the processes of one run; call it before anything else of jax. Without arguments it does nothing.

    Args:
      coordinator: ``host:port`` of process 0, or ``auto`` where jax finds out by itself (Slurm, TPU, MPI).
      num_processes: how many processes take part.
      process_id: which of them this is, from 0.

    Raises:
      DeviceError: some of the three are given and others are missing or out of range.
    """
    if coordinator is None and num_processes is None and process_id is None:
        return
    if coordinator == "auto":
        jax.distributed.initialize()
        return
    if coordinator is None or num_processes is None or process_id is None:
        raise DeviceError(
            f"coordinator {coordinator}, num_processes {num_processes}, process_id {process_id}: give all 3"
        )
    if not 0 <= process_id < num_processes:
        raise DeviceError(f"process_id: {process_id}; expected 0 to {num_processes - 1}")
    jax.distributed.initialize(coordinator, num_processes, process_id)


def make_mesh(devices: Sequence[jax.Device] | None = None) -> Mesh:
    """A mesh with the one axis ``data`` over the given devices, by default all devices of all processes."""
    devices = jax.devices() if devices is None else list(devices)
    return jax.make_mesh((len(devices),), (AXIS,), axis_types=(AxisType.Auto,), devices=devices)


def replicate(tree: T, mesh: Mesh) -> T:
    """Copies every array of a pytree to every device of the mesh; each process must hold the same values."""
    sharding = NamedSharding(mesh, PartitionSpec())
    if jax.process_count() == 1:
        return jax.device_put(tree, sharding)
    return jax.tree.map(lambda x: jax.make_array_from_process_local_data(sharding, np.asarray(x)), tree)


def check_batch_size(batch_size: int, mesh: Mesh) -> None:
    """Raises DeviceError unless the global batch can be shared out equally among the devices of the mesh."""
    if batch_size < 1 or batch_size % mesh.size:
        raise DeviceError(f"batch_size: {batch_size}; expected a multiple of the {mesh.size} devices")


def shard_batch(batch: dict[str, np.ndarray], mesh: Mesh) -> dict[str, jax.Array]:
    """This process' rows -> global arrays whose first axis is shared out among the devices of the mesh.

    Args:
      batch: host arrays (rows of this process, ...).
      mesh: from `make_mesh`.

    Returns:
      Global arrays (rows of all processes, ...).

    Raises:
      DeviceError: the rows cannot be shared out equally.
    """
    sharding = NamedSharding(mesh, PartitionSpec(AXIS))
    for rows in batch.values():
        check_batch_size(len(rows) * jax.process_count(), mesh)
    return {name: jax.make_array_from_process_local_data(sharding, rows) for name, rows in batch.items()}


def prefetch(batches: Iterable[dict[str, np.ndarray]], mesh: Mesh, ahead: int = 1) -> Iterator[dict[str, jax.Array]]:
    """`shard_batch` of each batch, with ``ahead`` more of them already on their way to the devices."""
    waiting: deque[dict[str, jax.Array]] = deque()
    for batch in batches:
        waiting.append(shard_batch(batch, mesh))
        if len(waiting) > ahead:
            yield waiting.popleft()
    yield from waiting


def parallel_step(step_fn: StepFn, mesh: Mesh, mode: Literal["jit", "pmap"] = "jit") -> StepFn:
    """Compiles a training step for all devices of a mesh.

    Args:
      step_fn: ``step_fn(key, state, batch, axis_name=None) -> (state, terms)``, where losses are means over
        the batch. With an ``axis_name`` it sees one device's rows and must ``lax.pmean`` gradients and
        terms over that axis before using them.
      mesh: from `make_mesh`.
      mode: ``jit`` (rows of the batch sharded over the mesh) or ``pmap`` (one process only).

    Returns:
      ``step(key, state, batch) -> (state, terms)``: the state replicated and donated (do not use it again),
      the batch as `shard_batch` gives it, the terms replicated.

    Raises:
      DeviceError: an unknown mode, or pmap in a run of several processes.
    """
    if mode == "jit":
        replicated = NamedSharding(mesh, PartitionSpec())
        return jax.jit(step_fn, donate_argnums=1, out_shardings=replicated)
    if mode != "pmap":
        raise DeviceError(f"parallel: {mode!r}; expected jit or pmap")
    if jax.process_count() > 1:
        raise DeviceError(f"parallel: pmap in a run of {jax.process_count()} processes; use jit")
    per_device = jax.pmap(
        functools.partial(step_fn, axis_name=AXIS),
        axis_name=AXIS,
        in_axes=(None, None, 0),
        out_axes=None,
        donate_argnums=1,
        devices=list(mesh.devices.flat),
    )

    def step(key: jax.Array, state: Any, batch: Any) -> tuple[Any, Any]:
        rows = jax.tree.map(lambda x: x.reshape(mesh.size, -1, *x.shape[1:]), batch)  # (B, ...) -> (n, B/n, ...)
        return per_device(key, state, rows)

    return step


def any_process(flag: bool) -> bool:
    """Whether the flag is set on any process, so that all stop at the same step; a collective operation."""
    if jax.process_count() == 1:
        return flag
    return bool(np.any(multihost_utils.process_allgather(np.asarray(flag))))
