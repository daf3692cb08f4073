"""Checkpoints of a run: the state after a step (orbax), and beside them the configuration that made it.

A checkpoint becomes visible in one rename after all of it is written, so a process killed while saving leaves
the previous one as the newest. Saving waits for the disk: what is logged and what is saved then always agree.
"""

from __future__ import annotations

import json
import math
import os
import shutil
import tempfile
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any, TypeVar

import jax
import orbax.checkpoint as ocp
from jax.sharding import Sharding
from orbax.checkpoint import checkpoint_managers as policies

from jaxstyle.runtime import files

T = TypeVar("T")
FORMAT = 1
"""Version of what is stored; a reader refuses others."""


class CheckpointError(ValueError):
    """A work folder that does not fit what is asked of it."""


def make_workdir(workdir: str | os.PathLike[str], *folders: str | os.PathLike[str]) -> Path:
    """The folder of a run, and folders in it, made when missing.

    Raises:
      CheckpointError: it cannot be made, or nothing can be written into it.
    """
    path = Path(workdir)
    try:
        for folder in (".", *folders):
            (path / folder).mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=path):
            return path
    except OSError as error:
        raise CheckpointError(f"workdir: {path}: {error.strerror}") from error


def recorded(workdir: str | os.PathLike[str]) -> dict[str, Any]:
    """The configuration of the run in a folder; empty if there is none that can be read."""
    try:
        found = json.loads((Path(workdir) / "config.json").read_text())
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


class Checkpoints:
    """The checkpoints below ``workdir/checkpoints``; use it in a ``with`` statement or close it."""

    def __init__(self, workdir: str | os.PathLike[str], *, keep: int = 3, best: str | None = None) -> None:
        """
        Args:
          workdir: folder of the run, made when missing. Every process gives the same one.
          keep: how many of the newest checkpoints to keep.
          best: name of a metric, lower is better: the checkpoint with the lowest is kept as well.
        """
        self.workdir = Path(workdir).absolute()
        self._best = best

        def score(metrics: Mapping[str, float]) -> float:
            return metrics.get(best, math.inf) if best is not None else math.inf

        kept: list[policies.PreservationPolicy] = [policies.LatestN(keep)]
        if best is not None:
            kept.append(policies.BestN(get_metric_fn=score, reverse=True, n=1, keep_checkpoints_without_metrics=False))
        self._manager = ocp.CheckpointManager(
            self.workdir / "checkpoints",
            options=ocp.CheckpointManagerOptions(
                preservation_policy=policies.AnyPreservationPolicy(kept),
                best_fn=score,  # without it orbax would not store metrics
                best_mode="min",
                cleanup_tmp_directories=True,
                enable_async_checkpointing=False,
            ),
        )

    def begin(self, config: Mapping[str, Any], *, resume: bool, may_change: Collection[str] = ()) -> int | None:
        """Starts or continues a run and writes ``workdir/config.json``.

        Args:
          config: the configuration in force, JSON values only (``dataclasses.asdict`` of it).
          resume: continue from the newest checkpoint, if there is one.
          may_change: fields that may differ from the run that is continued.

        Returns:
          The step to restore, or None to start from the beginning.

        Raises:
          CheckpointError: the folder holds a run and ``resume`` is off, or a field has changed.
        """
        path = self.workdir / "config.json"
        step = self.latest
        if step is not None and not resume:
            raise CheckpointError(f"{self.workdir}: holds a run of {step} steps; give --resume, or another --workdir")
        if step is not None:
            self._check_unchanged(json.loads(json.dumps(config)), path, may_change)
        if jax.process_index() == 0:
            files.write(path, json.dumps(dict(config), indent=2) + "\n")
        return step

    def _check_unchanged(self, config: dict[str, Any], path: Path, may_change: Collection[str]) -> None:
        try:
            old = json.loads(path.read_text())
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or error
            raise CheckpointError(f"{path}: cannot be read, so the run cannot be continued: {reason}") from error
        for name in sorted(set(config) | set(old)):
            if name not in may_change and config.get(name) != old.get(name):
                raise CheckpointError(
                    f"{name}: {config.get(name)!r}, but the run in {self.workdir} has {old.get(name)!r}; "
                    "it cannot change on --resume"
                )

    def save(
        self, step: int, state: Any, config: Mapping[str, Any], metrics: Mapping[str, float] | None = None
    ) -> None:
        """Saves the state after ``step`` steps and returns when it is on disk.

        Args:
          step: number of steps done. A step already saved is left as it is.
          state: pytree of arrays (parameters, optimiser state, ...).
          config: what is needed to rebuild the network, JSON values only.
          metrics: scalars of this step; may be missing.

        Raises:
          OSError: it cannot be written.
        """
        if step in self._manager.all_steps():
            return
        needed, disk = sum(leaf.nbytes for leaf in jax.tree.leaves(state)), shutil.disk_usage(self.workdir)
        if disk.total and disk.free < needed:  # orbax' threads would print a traceback for every array
            problem = f"no space left on device: {needed / 1e6:.1f} MB are needed, {disk.free / 1e6:.1f} MB are free"
            raise OSError(f"{self.workdir}: the checkpoint of step {step} cannot be written: {problem}")
        meta = {"format": FORMAT, "config": dict(config), "arrays": _arrays(state)}
        parts = ocp.args.Composite(state=ocp.args.StandardSave(state), meta=ocp.args.JsonSave(meta))
        try:
            self._manager.save(step, args=parts, metrics=dict(metrics or {}), force=True)
            self._manager.wait_until_finished()
        except ValueError as error:  # what orbax raises where the disk is full
            reason = str(error).rpartition(": ")[2]
            raise OSError(f"{self.workdir}: the checkpoint of step {step} cannot be written: {reason}") from error

    def restore(self, like: T, step: int | None = None, sharding: Sharding | None = None) -> T:
        """Restores a state to any number of devices.

        Args:
          like: a state of the same structure, of arrays or of ``jax.eval_shape``.
          step: which checkpoint; None means the newest.
          sharding: where the arrays go; None means where those of ``like`` are.

        Returns:
          The state saved after that step.

        Raises:
          CheckpointError: there is no such checkpoint, or its arrays are not those of ``like``.
        """
        step = self.latest if step is None else step
        if step is None or step not in self._manager.all_steps():
            found = ", ".join(map(str, self._manager.all_steps())) or "none"
            raise CheckpointError(f"{self.workdir}: no checkpoint of step {step}; found {found}")

        meta = self._manager.restore(step, args=ocp.args.Composite(meta=ocp.args.JsonRestore())).meta
        if meta["format"] != FORMAT:
            raise CheckpointError(f"{self.workdir}: step {step} has format {meta['format']}, not {FORMAT}")
        stored, wanted = meta["arrays"], _arrays(like)
        for name in sorted(set(stored) | set(wanted)):
            if stored.get(name) != wanted.get(name):
                raise CheckpointError(
                    f"{self.workdir}: step {step} does not fit this network: {name} is "
                    f"{stored.get(name, 'missing')}, expected {wanted.get(name, 'none such')}"
                )
        target = jax.tree.map(lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=sharding or x.sharding), like)
        return self._manager.restore(step, args=ocp.args.Composite(state=ocp.args.StandardRestore(target))).state

    @property
    def latest(self) -> int | None:
        """Step of the newest checkpoint, or None."""
        return self._manager.latest_step()

    @property
    def steps(self) -> list[int]:
        """The steps that can be restored, ascending."""
        return sorted(self._manager.all_steps())

    @property
    def best(self) -> int | None:
        """Step of the checkpoint with the lowest ``best`` metric, the newest of equals, or None."""
        if self._best is None:
            return None
        scored = {step: (self._manager.metrics(step) or {}).get(self._best) for step in self.steps}
        found = [(value, -step) for step, value in scored.items() if value is not None]
        return -min(found)[1] if found else None

    def close(self) -> None:
        """Frees what orbax holds."""
        self._manager.close()

    def __enter__(self) -> Checkpoints:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()


def _arrays(tree: Any) -> dict[str, str]:
    """Path of each array in a pytree -> what it is, such as ``float32 (3, 3, 64, 64)``."""
    leaves = jax.tree_util.tree_leaves_with_path(tree)
    return {jax.tree_util.keystr(path): f"{leaf.dtype} {tuple(leaf.shape)}" for path, leaf in leaves}
