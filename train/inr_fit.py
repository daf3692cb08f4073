"""Fits INR-st networks (arXiv:2210.07762) to a photo and a painting, or to many pairs at once.

``python -m train.inr_fit --content PHOTO --style PAINTING``; ``--help`` lists the rest. What a fit consists of is said
by ``--preset``, see `jaxstyle.methods.inr.schedule`; the other flags change one thing of it, for the paper's ablations.
It is the fit that `jaxstyle.fit` does, with curves, strips of pictures and checkpoints beside it.

``--pairs FILE`` fits every line PHOTO tab PAINTING of a file: those whose photos have one size side by side, shared out
among all devices, the others in turn step by step. All pairs draw the same random numbers: what becomes of one does not
depend on which others are fitted beside it.
"""

from __future__ import annotations

import dataclasses
import logging
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, NamedTuple

import jax
import numpy as np
from jax.sharding import SingleDeviceSharding

from jaxstyle import image
from jaxstyle.arrays import Array, Params
from jaxstyle.methods import inr
from jaxstyle.methods.inr import schedule as inr_schedule
from jaxstyle.methods.inr.schedule import Regress, Schedule
from jaxstyle.methods.inr.step import FitState
from jaxstyle.runtime import cache, interrupts, memory
from train import checkpoints, flags, inr_pairs, inr_report, loop
from train.devices import replicate
from train.inr_pairs import Pair

MAY_CHANGE = (
    *("content", "style", "pairs", "workdir", "resume", "at_once"),
    *("log_every", "strip_every", "checkpoint_every"),
)
"""Fields that a resumed run may have different from the run it continues; the pictures have to be the same."""

_LOSS = {name: name for name in ("sampling", "rate", "reweighting", "kappa", "style_weight", "taps", "dtype")}
_LOSS["style_loss"] = "style"
_SPEC = ("octaves", "omega")


class ConfigError(ValueError):
    """Flags that no run can have; the message is one line and begins with the field."""


def _flag(default: Any, text: str) -> Any:
    return field(default=default, metadata={"help": text})


def _change(text: str) -> Any:
    return field(default=None, metadata={"help": text, "default": "the preset's"})


@dataclass(frozen=True)
class Config:
    """Everything that decides a run; the flags of the command are made from it. None: as the preset has it."""

    content: str | None = _flag(None, "the photo")
    style: str | None = _flag(None, "the painting")
    pairs: str | None = _flag(None, "instead of both: a text file with lines of PHOTO tab PAINTING")
    workdir: str | None = _flag(None, "folder of the run; none: runs/PHOTO_PAINTING, or runs/ and the name of --pairs")
    preset: Literal["fast", "paper", "preview"] = _flag("fast", "what the fit consists of")
    vgg: str = _flag("vgg16", "VGG: vgg16 (shipped), or a file that jaxstyle convert-vgg wrote")
    size: int | None = _change("pictures are brought to about SIZE * SIZE pixels")
    steps: int | None = _change("steps in all, every stage with its share")
    seed: int = _flag(0, "of everything random")
    sampling: inr.Sampling | None = _change("distribution of the content's share (Fig. 15)")  # noqa: RUF009
    rate: float | None = _change("of --sampling exponential")
    fixed_alpha: float | None = _change("of --sampling fixed, the degree of style")
    reweighting: inr.Reweighting | None = _change("f of Eq. 6 (Fig. 16)")  # noqa: RUF009
    kappa: float | None = _change("exponent of f")
    style_weight: float | None = _change("lambda of Eq. 8 (Fig. 17)")
    taps: inr.TapSet | None = _change("layers of VGG that are compared (Fig. 18)")  # noqa: RUF009
    style_loss: inr.StyleStatistic | None = _change("what of them is the style (Fig. 8)")  # noqa: RUF009
    octaves: int | None = _change("frequencies of the positional encoding; 0: none of it")
    omega: float | None = _change("the lowest of them; 1 is the authors' code, 3.14159265 Eq. 9")
    lr: float | None = _change("learning rate of all stages, constant")
    dtype: Literal["float32", "bfloat16"] | None = _change("type of VGG's convolutions and the hidden layers")
    at_once: int = _flag(4, "pairs that a device computes side by side, about 0.8 GB each at 256 * 256 pixels")
    log_every: int = _flag(10, "steps between rows of the curves")
    strip_every: int = _flag(500, "steps between strips of pictures; 0: only one, at the end")
    checkpoint_every: int = _flag(500, "steps between checkpoints")
    resume: bool = _flag(False, "continue the run in --workdir from its newest checkpoint, if there is one")

    def __post_init__(self) -> None:
        """Raises ValueError for values that no run can have."""
        alone = self.content is not None and self.style is not None and self.pairs is None
        if not alone and (self.pairs is None or self.content is not None or self.style is not None):
            raise ConfigError("content, style: give both, or --pairs instead of them")
        least = {"seed": 0, "at_once": 1, "log_every": 1, "strip_every": 0, "checkpoint_every": 1}
        for name, value in least.items():
            if getattr(self, name) < value:
                raise ConfigError(f"{name}: {getattr(self, name)}; expected a number of at least {value}")
        if self.seed >= 2**32:
            raise ConfigError(f"seed: {self.seed}; expected less than {2**32}")
        loss = self.schedule().loss
        for name, used, with_flag in (
            ("rate", loss.sampling == "exponential", "--sampling exponential"),
            ("fixed_alpha", loss.sampling == "fixed", "--sampling fixed"),
            ("kappa", loss.reweighting != "none", "a --reweighting other than none"),
        ):
            if getattr(self, name) is not None and not used:
                raise ConfigError(f"{name}: {getattr(self, name)}; it counts only with {with_flag}")

    def schedule(self) -> Schedule:
        """The preset with what the flags change; ``loss.arch`` is that of the preset, whatever ``vgg`` is."""
        found = inr_schedule.preset(self.preset, size=self.size, steps=self.steps)
        loss: dict[str, Any] = {at: getattr(self, name) for name, at in _LOSS.items()}
        if self.fixed_alpha is not None:
            if not 0 <= self.fixed_alpha <= 1:
                raise ConfigError(f"fixed_alpha: {self.fixed_alpha}; expected a number in [0, 1]")
            loss["fixed"] = 1 - self.fixed_alpha  # the library's is the paper's, the share of content
        spec: dict[str, Any] = {name: getattr(self, name) for name in _SPEC}
        stages = found.stages
        if self.lr is not None:
            stages = tuple(dataclasses.replace(stage, lr=self.lr, lr_end=None) for stage in stages)
        return dataclasses.replace(
            found, stages=stages, loss=_changed(found.loss, loss), spec=_changed(found.spec, spec)
        )

    def effective(self, schedule: Schedule, chosen: Sequence[Pair]) -> dict[str, Any]:
        """What is kept beside the checkpoints: the flags with the preset's values filled in, and all else that counts.

        A changed flag is found before the whole, which comes late in the alphabet and is long.
        """
        values = dataclasses.asdict(self) | {"size": schedule.size, "steps": schedule.steps}
        values |= {name: getattr(schedule.loss, at) for name, at in _LOSS.items()}
        values |= {name: getattr(schedule.spec, name) for name in _SPEC} | {"fixed_alpha": 1 - schedule.loss.fixed}
        pictures = {pair.name or "pair": pair.fingerprint for pair in chosen}
        return values | {"pictures": pictures, "whole": repr(schedule)}

    def folder(self) -> Path:
        """The run's, as given or made of the names of the pictures."""
        if self.workdir is not None:
            return Path(self.workdir)
        names = [self.pairs] if self.pairs is not None else [self.content, self.style]
        return Path("runs", "_".join(Path(str(name)).stem for name in names))


def _changed(old: Any, values: dict[str, Any]) -> Any:
    return dataclasses.replace(old, **{name: value for name, value in values.items() if value is not None})


def _read(config: Config, size: int) -> list[Pair]:
    if config.pairs is not None:
        return inr_pairs.read_file(config.pairs, size)
    return [inr_pairs.read_pair(str(config.content), str(config.style), size)]


class _Run(NamedTuple):
    """What stays the same while fitting."""

    config: Config
    schedule: Schedule
    chosen: list[Pair]
    workdir: Path
    effective: dict[str, Any]
    groups: list[inr_pairs.Group]
    encoder: Params
    key: Array


def train(config: Config, devices: Sequence[jax.Device] | None = None) -> list[str]:
    """Fits all pairs, and returns the command lines that render what came of them.

    A first SIGINT or SIGTERM lets it finish its step, save the states and write the networks as they stand.

    Args:
      config: the run.
      devices: where to compute; None means all.

    Raises:
      ValueError: something in the configuration cannot work; the message is one line.
      NonFiniteError: a term of the loss became NaN or infinite.
      KeyboardInterrupt: a signal ended the run early; the message says how to go on.
      OSError, ImageError: something cannot be written.
    """
    schedule = config.schedule()
    encoder, arch = inr.load_encoder(config.vgg, schedule.loss)
    schedule = dataclasses.replace(schedule, loss=dataclasses.replace(schedule.loss, arch=arch))
    chosen = _read(config, schedule.size)
    inr_pairs.check_sizes(chosen, encoder, schedule)
    groups = inr_pairs.group([pair.size for pair in chosen], devices or jax.devices(), config.at_once)
    workdir = checkpoints.make_workdir(config.folder())
    first_key, key = jax.random.split(jax.random.key(config.seed))  # as `jaxstyle.fit` does
    run = _Run(config, schedule, chosen, workdir, config.effective(schedule, chosen), groups, encoder, key)
    with checkpoints.Checkpoints(workdir, keep=2) as saved:
        first = saved.begin(run.effective, resume=config.resume, may_change=MAY_CHANGE) or 0
        if config.resume and not first:
            print(f"train.inr_fit: {workdir}: there is no checkpoint yet, the run begins", file=sys.stderr)
        checkpoints.make_workdir(workdir, *(Path(pair.name, "strips") for pair in chosen))
        state = inr_pairs.create_state(first_key, schedule, len(chosen))
        if first:
            state = saved.restore(state, first, SingleDeviceSharding(jax.devices()[0]))
        with (
            loop.EventLog(workdir / "tensorboard", resume_step=first) as events,
            loop.stop_on_signal() as stop,
        ):
            state = _fit(run, state, first, saved, events, stop)
            step = int(state.step[0])
            facts = {"preset": config.preset, "steps": step, "seed": config.seed}
            if step < schedule.steps:
                inr_report.write_networks(workdir, chosen, state.params, facts)
                raise KeyboardInterrupt(f"stopped after step {step} of {schedule.steps}; --resume goes on from there")
            ratios = inr_report.write_results(workdir, chosen, state.params, step, events, facts)
    for name, ratio in ratios.items():
        print(f"{workdir / name / 'strip.png'}: PSNR {ratio:.1f} dB to the photo at alpha 0", file=sys.stderr)
    return [inr_report.render_command(workdir / pair.name, pair.size) for pair in chosen]


def _fit(
    run: _Run,
    state: FitState,
    first: int,
    saved: checkpoints.Checkpoints,
    events: loop.EventLog,
    stop: loop.Stop,
) -> FitState:
    """All stages from the step after ``first`` on, or as many steps as a signal leaves.

    The states before and after are NumPy arrays with a row for each pair.
    """
    schedule, config = run.schedule, run.config
    states = [inr_pairs.spread(inr_pairs.members_of(state, group), group) for group in run.groups]
    encoders = [replicate(run.encoder, group.mesh) for group in run.groups]
    targets: list[np.ndarray | None] = [None] * len(run.chosen)
    for stage, begin in enumerate(schedule.starts()):
        steps = range(max(begin, first) + 1, begin + schedule.stages[stage].steps + 1)
        if not steps:
            continue
        if isinstance(schedule.stages[stage], Regress) and targets[0] is None:
            targets = [inr_pairs.stylized(pair) for pair in run.chosen]
        data = [inr_pairs.stage_data(run.chosen, targets, group, run.encoder, schedule, stage) for group in run.groups]
        compiled = [inr_pairs.compile_step(group.mesh, group.each, schedule, stage) for group in run.groups]
        with inr_report.open_stage(run.workdir, run.chosen, schedule, stage, first, events) as logs:
            for step in steps:
                found = [
                    run_step(run.key, *rest) for run_step, *rest in zip(compiled, states, data, encoders, strict=True)
                ]
                states = [after for after, _ in found]
                logs.progress.advance()
                last, stopping = step == schedule.steps, stop.requested
                log = last or step % config.log_every == 0
                save = last or stopping or step % config.checkpoint_every == 0
                strip = not last and config.strip_every and step % config.strip_every == 0
                if log or save or strip:
                    terms = inr_pairs.collect([terms for _, terms in found], run.groups)
                    inr_report.check_finite(run.chosen, terms, step)
                if log:
                    inr_report.log(logs, run.chosen, terms, step)
                if save or strip:
                    state = inr_pairs.collect(states, run.groups)
                if strip:
                    inr_report.write_strips(run.workdir, run.chosen, state.params, step, events)
                if save:
                    saved.save(step, state, run.effective)
                if stopping:
                    return state
    return state


def main(argv: Sequence[str] | None = None) -> int:
    """The command; returns the exit code: 0, 1 when a run failed, 2 for wrong usage, 130 when interrupted."""
    description = (__doc__ or "").partition("\n")[0]
    config = flags.parse_flags(Config, argv, prog="python -m train.inr_fit", description=description)
    logging.basicConfig(level=logging.WARNING, format="%(message)s")
    logging.getLogger("asyncio").setLevel(logging.CRITICAL)  # would show each array that a full disk refuses
    cache.enable()
    try:
        commands = train(config)
    except KeyboardInterrupt as error:
        return _fail(130, str(error) or "interrupted")
    except (loop.NonFiniteError, image.ImageError, OSError) as error:
        return _fail(1, str(error))
    except ValueError as error:
        return _fail(2, str(error))
    except RuntimeError as error:
        if not memory.exhausted(error):
            raise
        return _fail(1, "the device is out of memory; a smaller --size or --at-once needs less")
    print("\n".join(commands))
    return 0


def _fail(code: int, message: str) -> int:
    print(f"train.inr_fit: {' '.join(message.split())}", file=sys.stderr)
    return code


if __name__ == "__main__":
    interrupts.deliver_lost()
    sys.exit(main())
