"""What a run tells about itself: curves in files, TensorBoard, progress; and the check that its terms are finite."""

from __future__ import annotations

import csv
import io
import math
import os
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any

import numpy as np

from jaxstyle.runtime import files


class LogError(ValueError):
    """A metric file that cannot be continued, or a row that does not fit its columns."""


class NonFiniteError(ArithmeticError):
    """A loss term became NaN or infinite."""


def check_finite(terms: Mapping[str, Any], step: int) -> dict[str, float]:
    """Scalars of any kind -> floats; waits for the device.

    Raises:
      NonFiniteError: a term is NaN or infinite; the message names every such term and the step.
    """
    values = {name: float(value) for name, value in terms.items()}
    bad = ", ".join(f"{name} = {value}" for name, value in values.items() if not math.isfinite(value))
    if bad:
        raise NonFiniteError(f"step {step}: {bad}; a lower learning rate may help")
    return values


class MetricLog:
    """A CSV file of one row a step: ``step`` first, then the columns of the first row, every float exact.

    It holds nothing but what the run computes, so a resumed run ends with the file of an uninterrupted one.
    """

    def __init__(self, path: str | os.PathLike[str], *, resume_step: int | None = None) -> None:
        """
        Args:
          path: the file. On process 0 only; the others give ``os.devnull``.
          resume_step: continue the file, less rows of later steps and a torn last line; None starts anew.

        Raises:
          LogError: the file to continue is not such a file.
        """
        self._columns: list[str] | None = None
        text = ""
        path = Path(path)
        if resume_step is not None and path.is_file():
            text = self._kept(path, resume_step)
        if path != Path(os.devnull):
            files.write(path, text)
        self._file: IO[str] = open(path, "a", newline="")  # noqa: SIM115, closed by close()
        self._writer = csv.writer(self._file, lineterminator="\n")

    def _kept(self, path: Path, resume_step: int) -> str:
        whole = path.read_text().rpartition("\n")[0]  # a line without its newline was torn by a kill
        rows = list(csv.reader(io.StringIO(whole)))
        if not rows:
            return ""
        if rows[0][:1] != ["step"]:
            raise LogError(f"{path}: line 1 begins with {rows[0][:1]}; expected step")
        try:
            kept = [row for row in rows[1:] if int(row[0]) <= resume_step]
        except (ValueError, IndexError) as error:
            raise LogError(f"{path}: a row does not begin with a step: {error}") from error
        if not kept:
            return ""
        self._columns = rows[0]
        out = io.StringIO()
        csv.writer(out, lineterminator="\n").writerows([rows[0], *kept])
        return out.getvalue()

    def write(self, step: int, values: Mapping[str, float]) -> None:
        """Appends a row and hands it to the operating system.

        Raises:
          LogError: the names are not those of the first row.
        """
        if self._columns is None:
            self._columns = ["step", *values]
            self._writer.writerow(self._columns)
        if set(values) != set(self._columns[1:]):
            raise LogError(f"{self._file.name}: step {step} has {sorted(values)}, the file {self._columns[1:]}")
        self._writer.writerow([step, *(repr(float(values[name])) for name in self._columns[1:])])
        self._file.flush()

    def close(self) -> None:
        """Closes the file."""
        self._file.close()

    def __enter__(self) -> MetricLog:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()


class EventLog:
    """TensorBoard event files: scalars and pictures. Nothing is written where ``folder`` is None."""

    def __init__(self, folder: str | os.PathLike[str] | None, *, resume_step: int | None = None) -> None:
        """
        Args:
          folder: where the event files go; None (processes other than 0) writes nothing.
          resume_step: TensorBoard is told to forget what earlier files hold after this step.

        Raises:
          LogError: tensorboardX is not installed.
        """
        self._writer: Any = None
        if folder is not None:
            try:
                from tensorboardX import SummaryWriter
            except ImportError as error:
                raise LogError("TensorBoard files need tensorboardX (extra jaxstyle[train])") from error
            purge = None if resume_step is None else resume_step + 1
            self._writer = SummaryWriter(os.fspath(folder), purge_step=purge)

    def scalars(self, step: int, values: Mapping[str, float]) -> None:
        """Adds a point to the curve of every name."""
        if self._writer is not None:
            for name, value in values.items():
                self._writer.add_scalar(name, value, step)
            self._writer.flush()

    def picture(self, step: int, name: str, pixels: np.ndarray) -> None:
        """Adds a picture, float (H, W, 3) in [0, 1]."""
        if self._writer is not None:
            rounded = np.rint(np.clip(pixels, 0, 1) * 255).astype(np.uint8)
            self._writer.add_image(name, rounded, step, dataformats="HWC")
            self._writer.flush()

    def close(self) -> None:
        """Closes the files."""
        if self._writer is not None:
            self._writer.close()

    def __enter__(self) -> EventLog:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()


class Progress:
    """A bar with loss terms, speed and time left; plain lines where stderr is no terminal; or nothing."""

    def __init__(
        self,
        steps: int,
        *,
        start: int = 0,
        batch_size: int = 1,
        unit: str = "images",
        label: str = "",
        enabled: bool = True,
        stream: IO[str] | None = None,
    ) -> None:
        """
        Args:
          steps: step at which the run ends.
          start: step at which it (re)starts.
          batch_size: how many of the unit a step does, such as pictures in a global batch.
          unit: what is counted for the speed, such as ``images`` or ``steps``.
          label: words before the step, such as the part of the run that ends at ``steps``.
          enabled: False on processes other than 0.
          stream: where to write; None means stderr.

        Raises:
          LogError: tqdm is not installed (needed on a terminal only).
        """
        self.steps, self.batch_size, self.unit = steps, batch_size, unit
        self.per_second = 0.0
        self._label = f"{label}  " if label else ""
        self._stream = sys.stderr if stream is None else stream
        self._enabled = enabled
        self._done = self._reported = start
        self._time = time.perf_counter()
        self._bar: Any = None
        if enabled and self._stream.isatty():
            try:
                from tqdm import tqdm
            except ImportError as error:
                raise LogError("the progress bar needs tqdm (extra jaxstyle[train])") from error
            self._bar = tqdm(
                total=steps, initial=start, file=self._stream, unit="step", dynamic_ncols=True, desc=label or None
            )

    def advance(self) -> None:
        """One more step is done."""
        self._done += 1
        if self._bar is not None:
            self._bar.update()

    def report(self, terms: Mapping[str, float]) -> None:
        """Shows the loss terms, and the speed since the last report; call it every log interval."""
        now = time.perf_counter()
        rate = (self._done - self._reported) / max(now - self._time, 1e-9)  # steps/s
        self._reported, self._time = self._done, now
        self.per_second = rate * self.batch_size
        shown = {name: f"{value:.4g}" for name, value in terms.items()}
        shown[f"{self.unit}/s"] = f"{self.per_second:.3g}"
        if self._bar is not None:
            self._bar.set_postfix(shown)
        elif self._enabled:
            left = format_seconds((self.steps - self._done) / rate) if rate else "?"
            words = "  ".join(f"{name} {value}" for name, value in shown.items())
            print(f"{self._label}step {self._done}/{self.steps}  {words}  left {left}", file=self._stream, flush=True)

    def close(self) -> None:
        """Leaves the bar as it stands."""
        if self._bar is not None:
            self._bar.close()

    def __enter__(self) -> Progress:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()


def format_seconds(seconds: float) -> str:
    """3725.0 -> ``1:02:05``."""
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes // 60}:{minutes % 60:02d}:{rest:02d}"
