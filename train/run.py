"""What a run is: its work folder, its logs, when it saves, when it stops, how it ends; the loop is the trainer's own.

A trainer is the five names ``Config, create_state, train_step, train, main``. It sees to its method; all else is
here, in `train.loader` and in `train.devices`; `train.on_crops` puts them together for trainings on crops. The
skeleton::

    def train(config):
        mesh = devices.make_mesh()
        with run.open_run(config, config.workdir, config.steps, asdict(config), may_change=MAY_CHANGE) as this:
            state = this.restore(devices.replicate(create_state(config), mesh))
            step_fn = devices.parallel_step(partial(train_step, config=config), mesh)
            with open_loader(...) as loader, run.open_logs(this) as logs, run.stop_on_signal() as stop:
                for step, batch in zip(this.left, devices.prefetch(loader, mesh), strict=False):
                    state, terms = step_fn(fold_in(key, step), state, batch)
                    logs.progress.advance()
                    due = this.due(step, stop)
                    if due.log:
                        run.log(logs, step, terms)
                    if due.save:
                        this.save(step, state)
                    if due.stop:
                        break
        this.check_done(step)

    def main(argv=None):
        return run.command(Config, work, argv, prog="train.method", description=__doc__, smaller="--batch-size")

The state is a pytree, what the step changes: one network or two with an optimiser each.
"""

from __future__ import annotations

import contextlib
import logging
import math
import os
import re
import signal
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any, NamedTuple, Protocol, TypeVar

import jax
from jax.sharding import Sharding

from jaxstyle import image
from jaxstyle.image.grid import grid
from jaxstyle.runtime import command as commands
from train import checkpoints, devices
from train.config import ConfigError, parse_flags
from train.logs import EventLog, MetricLog, NonFiniteError, Progress, check_finite

logger = logging.getLogger(__name__)

C = TypeVar("C")
T = TypeVar("T")

SHEET_ROWS = 6
"""Validation pairs on a sheet."""
FAILURES = (NonFiniteError, image.ImageError)
"""Errors of a run that are no mistake in its flags."""


# ---- the run -----------------------------------------------------------------------------------------------


class Settings(Protocol):
    """What is looked at of a trainer's configuration."""

    @property
    def resume(self) -> bool:
        """Whether to continue the run in the work folder."""

    @property
    def log_every(self) -> int:
        """Steps between rows of the curves."""

    @property
    def checkpoint_every(self) -> int:
        """Steps between checkpoints."""


class Due(NamedTuple):
    """What is to be done after a step."""

    log: bool  # a row for the curves
    validate: bool  # and a checkpoint
    save: bool  # a checkpoint: with every validation, and before stopping
    stop: bool


class Stop:
    """Whether a signal has asked the run to stop."""

    requested: bool = False


@dataclass(frozen=True)
class Run:
    """A run that is open.

    Attributes:
      settings: of its configuration.
      effective: all of the configuration, kept beside the checkpoints.
      saved: its checkpoints.
      first: steps done before.
      steps: the step at which it ends.
    """

    settings: Settings
    effective: Mapping[str, Any]
    saved: checkpoints.Checkpoints
    first: int
    steps: int

    @property
    def left(self) -> range:
        """The steps that are left to do, counted from 1."""
        return range(self.first + 1, self.steps + 1)

    def restore(self, state: T, sharding: Sharding | None = None) -> T:
        """The state of the newest checkpoint, where ``sharding`` says or ``state`` is; ``state`` if there is none."""
        return self.saved.restore(state, self.first, sharding) if self.first else state

    def due(self, step: int, stop: Stop) -> Due:
        """What is to be done after a step; all processes ask, and get the same answer."""
        last, stopping = step == self.steps, devices.any_process(stop.requested)
        validate = last or step % self.settings.checkpoint_every == 0
        return Due(last or step % self.settings.log_every == 0, validate, validate or stopping, stopping)

    def save(self, step: int, state: Any, values: Mapping[str, float] | None = None) -> None:
        """Saves the state after a step, with what validation found."""
        self.saved.save(step, state, self.effective, values)

    def check_done(self, step: int) -> None:
        """Raises KeyboardInterrupt where a run ended after ``step`` and was not done; the message says how to go on."""
        if step < self.steps:
            raise KeyboardInterrupt(f"stopped after step {step} of {self.steps}; --resume goes on from there")


def left_open(settings: Settings, workdir: str | os.PathLike[str], name: str) -> Any:
    """A field that a configuration may leave open with None: then that of the run that is continued, if there is one.

    What the run decides by itself it may keep that way, even where its pictures have become more.
    """
    value = getattr(settings, name)
    return checkpoints.recorded(workdir).get(name) if value is None and settings.resume else value


@contextlib.contextmanager
def open_run(
    settings: Settings,
    workdir: str | os.PathLike[str],
    steps: int,
    effective: Mapping[str, Any],
    *,
    may_change: Collection[str],
    keep: int = 3,
    best: str | None = None,
) -> Iterator[Run]:
    """Begins or continues the run of a work folder, which is made where missing.

    Args:
      settings: the trainer's configuration.
      workdir: the folder.
      steps: at which the run ends.
      effective: the configuration in force, JSON values only.
      may_change: fields of it that may differ from the run that is continued.
      keep, best: which checkpoints are kept, see `train.checkpoints.Checkpoints`.

    Raises:
      CheckpointError: the folder cannot be written to, or holds another run.
    """
    with checkpoints.Checkpoints(checkpoints.make_workdir(workdir), keep=keep, best=best) as saved:
        first = saved.begin(effective, resume=settings.resume, may_change=may_change) or 0
        yield Run(settings, effective, saved, first, steps)


@contextlib.contextmanager
def stop_on_signal(signals: Sequence[int] = (signal.SIGTERM, signal.SIGINT)) -> Iterator[Stop]:
    """While it is open a first signal sets ``stop.requested``; the loop saves and leaves at the step's end.

    A second one acts as it always did. Only the main thread may use it.
    """
    stop = Stop()
    before = {number: signal.getsignal(number) or signal.SIG_DFL for number in signals}

    def handle(number: int, frame: FrameType | None) -> None:
        stop.requested = True
        signal.signal(number, before[number])

    for number in signals:
        signal.signal(number, handle)
    try:
        yield stop
    finally:
        for number in signals:
            signal.signal(number, before[number])


# ---- its logs ----------------------------------------------------------------------------------------------


class Logs(NamedTuple):
    """What a run tells about itself; on processes other than 0 nothing."""

    metrics: MetricLog
    validation: MetricLog
    events: EventLog
    progress: Progress
    sheets: Path | None


@contextlib.contextmanager
def open_logs(run: Run, *, batch_size: int = 1, unit: str = "images") -> Iterator[Logs]:
    """``metrics.csv``, ``validation.csv``, ``tensorboard/`` and ``sheets/`` in the work folder, and the progress.

    What they hold of steps after the first ones of the run is dropped.

    Args:
      run: whose.
      batch_size: how many of the unit a step does, over all devices.
      unit: what is counted for the speed.
    """
    write, folder, first = jax.process_index() == 0, run.saved.workdir, run.first

    def file(name: str) -> Path:
        return folder / name if write else Path(os.devnull)

    checkpoints.make_workdir(folder, "sheets")
    with (
        MetricLog(file("metrics.csv"), resume_step=first) as metrics,
        MetricLog(file("validation.csv"), resume_step=first) as validation,
        EventLog(folder / "tensorboard" if write else None, resume_step=first) as events,
        Progress(run.steps, start=first, batch_size=batch_size, unit=unit, enabled=write) as progress,
    ):
        yield Logs(metrics, validation, events, progress, folder / "sheets" if write else None)


def log(logs: Logs, step: int, terms: Mapping[str, Any]) -> None:
    """Writes the terms of a step, which have to be finite."""
    values = check_finite(terms, step)
    logs.metrics.write(step, values)
    logs.progress.report(values)
    logs.events.scalars(step, values | {f"{logs.progress.unit}_per_second": logs.progress.per_second})


def log_steady(logs: Logs, step: int, terms: Mapping[str, Any], *, many: int) -> None:
    """`log` for steps that change nothing where they are not finite; such a step is not written.

    Args:
      logs, step: see `log`.
      terms: ``in_row``, how many such steps there were at the end, ``skipped``, how many in all, and the step's others.
      many: so many in a row are an error.

    Raises:
      NonFiniteError: there were.
    """
    values = {name: float(value) for name, value in terms.items()}
    in_row = int(values.pop("in_row"))
    if in_row >= many:
        bad = ", ".join(f"{name} = {value}" for name, value in values.items() if not math.isfinite(value))
        raise NonFiniteError(f"step {step}: the last {in_row} were skipped, {bad}; a lower learning rate may help")
    if in_row:
        logger.warning("step %d: not finite, skipped; %d in all", step, int(values["skipped"]))
    else:
        log(logs, step, values)


def log_validation(
    logs: Logs, step: int, terms: Mapping[str, Any], *, name: str, rows: Iterable[Sequence[Any]]
) -> dict[str, float]:
    """Writes and returns the terms of a validation, which have to be finite, and draws a sheet.

    Args:
      logs: the run's.
      step: steps done.
      terms: scalars, their names begin with ``val/``.
      name: of the sheet, such as ``content_style_result``.
      rows: of the sheet, pictures (H, W, 3) of one size in [0, 1]; the first `SHEET_ROWS` are drawn.
    """
    values = check_finite(terms, step)
    logs.validation.write(step, values)
    logs.events.scalars(step, values)
    if logs.sheets is not None:
        drawn = grid(list(rows)[:SHEET_ROWS])
        logs.events.picture(step, name, drawn)
        image.write(logs.sheets / f"{step:07d}.png", drawn)
    return values


# ---- its processes and its command -------------------------------------------------------------------------


def check_address(address: str | None) -> None:
    """Raises ConfigError unless `join` understands it."""
    if address and not re.fullmatch(r"auto|[^,]+:\d+,\d+,\d+", address):
        raise ConfigError(f"distributed: {address!r}; expected HOST:PORT,PROCESSES,ID or auto")


def join(address: str | None) -> None:
    """Joins the processes of one run, before anything else of jax.

    Args:
      address: ``HOST:PORT,PROCESSES,ID`` with the address of process 0; ``auto`` where jax finds out by itself; None
        for one process.

    Raises:
      DeviceError: the number of this process is out of range.
    """
    if address == "auto":
        devices.initialize_distributed("auto")
    elif address is not None:
        host, count, index = address.split(",")
        devices.initialize_distributed(host, int(count), int(index))


def command(
    config: type[C],
    work: Callable[[C], Iterable[str]],
    argv: Sequence[str] | None,
    *,
    prog: str,
    description: str | None,
    smaller: str,
    interrupted: str = "interrupted",
    failures: tuple[type[Exception], ...] = FAILURES,
) -> int:
    """A command of this package: its flags, what it prints, its exit code.

    Args:
      config: the dataclass that its flags are made from.
      work: does it, and returns the lines to print.
      argv: the arguments; None means those of the process.
      prog: its module, such as ``train.adain``; begins every line about what is wrong.
      description: its first line stands above the flags in ``--help``.
      smaller: flags of which smaller values need less memory.
      interrupted: what is said after Ctrl-C where the exception says nothing itself.
      failures: errors of a run that are no mistake in its flags.

    Returns:
      0, 1 when a run failed, 2 for wrong usage, 130 when interrupted.

    Raises:
      SystemExit: the flags are wrong, or ask for ``--help``.
    """
    found = parse_flags(config, argv, prog=f"python -m {prog}", description=(description or "").partition("\n")[0])
    logging.basicConfig(level=logging.WARNING, format="%(message)s")
    logging.getLogger("asyncio").setLevel(logging.CRITICAL)  # would show each array that a full disk refuses

    def run() -> int:
        for line in work(found):
            print(line)
        return 0

    return commands.guarded(run, prog, smaller=smaller, interrupted=interrupted, failures=failures)
