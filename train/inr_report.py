"""What a fit tells and leaves behind: curves by stage, strips of pictures from photo to painting, the fitted network.

Every pair has a folder: the run's own where there is one pair, else one in it. There are ``metrics_1_regress.csv`` and
so on, one file for each stage, because stages have different terms; ``strips/``; and at the end ``strip.png`` and
``inr.safetensors``.
"""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np

from jaxstyle import image
from jaxstyle.image.grid import grid
from jaxstyle.methods import inr
from jaxstyle.methods.inr.schedule import Schedule
from jaxstyle.painting import fit
from jaxstyle.painting.fit import renders
from train.logs import EventLog, MetricLog, Progress
from train.logs import check_finite as check_all_finite
from train.pairs import Pair


class Logs(NamedTuple):
    """What tells about one stage."""

    metrics: list[MetricLog]  # one for each pair
    events: EventLog
    progress: Progress


@contextlib.contextmanager
def open_stage(
    workdir: Path, chosen: Sequence[Pair], schedule: Schedule, stage: int, first: int, events: EventLog
) -> Iterator[Logs]:
    """The logs of a stage in a run that goes on after ``first`` steps; what they hold of later steps is dropped."""
    begin, kind = schedule.starts()[stage], type(schedule.stages[stage]).__name__.lower()
    count = sum(bool(one.steps) for one in schedule.stages)
    number = sum(bool(one.steps) for one in schedule.stages[: stage + 1])
    label = f"{kind} {number}/{count}" if count > 1 else kind
    name = f"metrics_{stage + 1}_{kind}.csv"
    with contextlib.ExitStack() as stack:
        files = [workdir / pair.name / name for pair in chosen]
        metrics = [stack.enter_context(MetricLog(file, resume_step=first)) for file in files]
        end, start = begin + schedule.stages[stage].steps, max(begin, first)
        progress = stack.enter_context(Progress(end, start=start, unit="steps", label=label))
        yield Logs(metrics, events, progress)


def check_finite(chosen: Sequence[Pair], terms: Mapping[str, np.ndarray], step: int) -> list[dict[str, float]]:
    """The terms of every pair as floats, from arrays with a row for each.

    Raises:
      NonFiniteError: a term is NaN or infinite; the message names the pair, the term and the step.
    """
    check_all_finite({pair.tag(name): terms[name][i] for i, pair in enumerate(chosen) for name in terms}, step)
    return [{name: float(values[i]) for name, values in terms.items()} for i in range(len(chosen))]


def log(logs: Logs, chosen: Sequence[Pair], terms: Mapping[str, np.ndarray], step: int) -> None:
    """Writes the terms of a step, which have to be finite; the bar shows their means over the pairs."""
    values = check_finite(chosen, terms, step)
    for file, row in zip(logs.metrics, values, strict=True):
        file.write(step, row)
    logs.progress.report({name: float(np.mean(column)) for name, column in terms.items()})
    scalars = {pair.tag(name): value for pair, row in zip(chosen, values, strict=True) for name, value in row.items()}
    logs.events.scalars(step, scalars | {"steps_per_second": logs.progress.per_second})


# ---- pictures and networks ---------------------------------------------------------------------------------


def fitted(params: inr.InrParams, number: int, pair: Pair) -> inr.InrParams:
    """The network of one pair, from arrays with a row for each of the run's."""
    return dataclasses.replace(jax.tree.map(lambda leaf: leaf[number], params), size=pair.size)


def write_strips(workdir: Path, chosen: Sequence[Pair], params: inr.InrParams, step: int, events: EventLog) -> None:
    """Draws a strip of every pair, ``strips/<step>.png`` in its folder."""
    for number, pair in enumerate(chosen):
        strip = grid([renders(fitted(params, number, pair))])
        image.write(workdir / pair.name / "strips" / f"{step:07d}.png", strip)
        events.picture(step, pair.tag("strip"), strip)


def write_networks(workdir: Path, chosen: Sequence[Pair], params: inr.InrParams, facts: Mapping[str, Any]) -> None:
    """Writes ``inr.safetensors`` of every pair into its folder, with facts for their headers."""
    header = {name: str(value) for name, value in facts.items()}
    for number, pair in enumerate(chosen):
        inr.save(workdir / pair.name / "inr.safetensors", fitted(params, number, pair), **header)


def write_results(
    workdir: Path,
    chosen: Sequence[Pair],
    params: inr.InrParams,
    step: int,
    events: EventLog,
    facts: Mapping[str, Any],
) -> dict[str, float]:
    """Writes ``strip.png`` and ``inr.safetensors`` of every pair into its folder.

    Args:
      workdir: of the run.
      chosen: all pairs of the run.
      params: arrays with a row for each.
      step: steps done.
      events: get the strips too.
      facts: for the headers of the networks' files.

    Returns:
      By name of the pair, the PSNR in dB of its picture at alpha 0 to the photo.
    """
    found = {}
    for number, pair in enumerate(chosen):
        pictures = renders(fitted(params, number, pair))
        strip = grid([pictures])
        image.write(workdir / pair.name / "strip.png", strip)
        events.picture(step, pair.tag("strip"), strip)
        found[pair.name] = fit.fidelity(pictures[0], pair.content)
    write_networks(workdir, chosen, params, facts)
    return found
