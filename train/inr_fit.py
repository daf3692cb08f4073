"""Fits INR-st networks (arXiv:2210.07762) to a photo and a painting, or to many pairs at once.

``python -m train.inr_fit --content PHOTO --style PAINTING``; ``--help`` lists the rest. What a fit consists of is said
by ``--preset``, see `jaxstyle.methods.inr.schedule`; the other flags change one thing of it, for the paper's ablations.
It is the fit that `jaxstyle.fit` does, with curves, strips of pictures and checkpoints beside it.

``--pairs FILE`` fits every line PHOTO tab PAINTING of a file: those whose photos have one size side by side, shared out
among all devices, the others in turn step by step. All pairs draw the same random numbers: what becomes of one does not
depend on which others are fitted beside it.
"""

from __future__ import annotations

if __name__ == "__main__":  # the imports below take seconds
    from train.entry import entry

    entry("train.inr_fit")

import dataclasses
import functools
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Literal, NamedTuple

import jax
import numpy as np
from jax.sharding import Mesh, PartitionSpec, SingleDeviceSharding

from jaxstyle.arrays import Array, Params
from jaxstyle.methods import inr
from jaxstyle.methods.inr import schedule as inr_schedule
from jaxstyle.methods.inr import step as inr_step
from jaxstyle.methods.inr.schedule import Regress, Schedule
from jaxstyle.methods.inr.step import FitState
from jaxstyle.painting import fit
from jaxstyle.runtime import cache
from train import inr_pairs, inr_report, run
from train.checkpoints import make_workdir
from train.config import ConfigError, check_least, check_seed, flag
from train.devices import AXIS, replicate
from train.logs import EventLog
from train.pairs import Pair

Step = Callable[[Array, FitState, Any, Params], tuple[FitState, dict[str, Array]]]

MAY_CHANGE = (
    *("content", "style", "pairs", "workdir", "resume", "at_once"),
    *("log_every", "strip_every", "checkpoint_every"),
)
"""Fields that a resumed run may have different from the run it continues; the pictures have to be the same."""

_LOSS = {name: name for name in ("sampling", "rate", "reweighting", "kappa", "style_weight", "taps", "dtype")}
_LOSS["style_loss"] = "style"
_SPEC = ("octaves", "omega")


def _change(text: str) -> Any:
    return field(default=None, metadata={"help": text, "default": "the preset's"})


@dataclass(frozen=True)
class Config:
    """Everything that decides a run; the flags of the command are made from it. None: as the preset has it."""

    content: str | None = flag(None, "the photo")
    style: str | None = flag(None, "the painting")
    pairs: str | None = flag(None, "instead of both: a text file with lines of PHOTO tab PAINTING")
    workdir: str | None = flag(None, "folder of the run; none: runs/PHOTO_PAINTING, or runs/ and the name of --pairs")
    preset: Literal["fast", "paper", "preview", "zoom"] = flag("fast", "what the fit consists of")
    vgg: str = flag("vgg16", "VGG: vgg16 (shipped), or a file that jaxstyle convert-vgg wrote")
    size: int | None = _change("pictures are brought to about SIZE * SIZE pixels")
    steps: int | None = _change("steps in all, every stage with its share")
    seed: int = flag(0, "of everything random")
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
    at_once: int = flag(4, "pairs that a device computes side by side, about 0.8 GB each at 256 * 256 pixels")
    log_every: int = flag(10, "steps between rows of the curves")
    strip_every: int = flag(500, "steps between strips of pictures; 0: only one, at the end")
    checkpoint_every: int = flag(500, "steps between checkpoints")
    resume: bool = flag(False, "continue the run in --workdir from its newest checkpoint, if there is one")

    def __post_init__(self) -> None:
        """Raises ConfigError for values that no run can have."""
        alone = self.content is not None and self.style is not None and self.pairs is None
        if not alone and (self.pairs is None or self.content is not None or self.style is not None):
            raise ConfigError("content, style: give both, or --pairs instead of them")
        check_least(self, {"seed": 0, "at_once": 1, "log_every": 1, "strip_every": 0, "checkpoint_every": 1})
        check_seed(self.seed)
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


def _read(config: Config, schedule: Schedule) -> list[Pair]:
    if config.pairs is not None:
        return inr_pairs.read_file(config.pairs, schedule.size, own=schedule.enlarges)
    return [inr_pairs.read_pair(str(config.content), str(config.style), schedule.size, own=schedule.enlarges)]


# ---- the method --------------------------------------------------------------------------------------------


def create_state(key: Array, schedule: Schedule, count: int) -> FitState:
    """The state before the first step of so many pairs, NumPy arrays with a row for each; all rows are alike.

    The parameters are without the size of a picture, which the pairs need not share; see `inr_report.fitted`.
    """
    state = inr_step.create_state(key, schedule, (0, 0))
    return jax.tree.map(lambda leaf: np.repeat(np.asarray(leaf)[None], count, axis=0), state)


def train_step(
    key: Array, state: FitState, batch: Any, *, encoder: Params, schedule: Schedule, stage: int
) -> tuple[FitState, dict[str, Array]]:
    """One step of a stage for the pairs of one device, each as `jaxstyle.methods.inr.step.fit_step` does it.

    Args:
      key: the run's, always the same; the step folds its own number into it.
      state: from `create_state` or the step before, a row for each pair.
      batch: what the step compares with, a row for each pair, see `inr_pairs.stage_data`.
      encoder: VGG's parameters, which the pairs share.
      schedule, stage: the fit, and which of its stages.

    Returns:
      ``(state, terms)``, a row for each pair.
    """
    one = partial(inr_step.fit_step, schedule=schedule, stage=stage)
    if len(state.step) > 1:
        return jax.vmap(one, in_axes=(None, 0, 0, None))(key, state, batch, encoder)
    state, batch = jax.tree.map(lambda leaf: leaf[0], (state, batch))
    return jax.tree.map(lambda leaf: leaf[None], one(key, state, batch, encoder))


@functools.cache
def _compiled(mesh: Mesh, schedule: Schedule, stage: int) -> Step:
    """`train_step` on a group's devices, ``step(key, state, batch, encoder)``; the state is donated."""

    def rows(key: Array, state: FitState, batch: Any, encoder: Params) -> tuple[FitState, dict[str, Array]]:
        return train_step(key, state, batch, encoder=encoder, schedule=schedule, stage=stage)

    some, whole = PartitionSpec(AXIS), PartitionSpec()
    shared = jax.shard_map(rows, mesh=mesh, in_specs=(whole, some, some, whole), out_specs=some)
    return jax.jit(shared, donate_argnums=1)


# ---- the run -----------------------------------------------------------------------------------------------


class _Fits(NamedTuple):
    """What stays the same while fitting."""

    config: Config
    schedule: Schedule
    chosen: list[Pair]
    workdir: Path
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
    schedule, encoder = fit.with_encoder(schedule, config.vgg)
    chosen = _read(config, schedule)
    inr_pairs.check_sizes(chosen, encoder, schedule)
    groups = inr_pairs.group([pair.size for pair in chosen], devices or jax.devices(), config.at_once)
    workdir, effective = config.folder(), config.effective(schedule, chosen)
    first_key, key = jax.random.split(jax.random.key(config.seed))  # as `jaxstyle.fit` does
    fits = _Fits(config, schedule, chosen, workdir, groups, encoder, key)
    with run.open_run(config, workdir, schedule.steps, effective, may_change=MAY_CHANGE, keep=2) as this:
        if config.resume and not this.first:
            print(f"train.inr_fit: {workdir}: there is no checkpoint yet, the run begins", file=sys.stderr)
        make_workdir(workdir, *(Path(pair.name, "strips") for pair in chosen))
        state = create_state(first_key, schedule, len(chosen))
        state = this.restore(state, SingleDeviceSharding(jax.devices()[0]))
        with EventLog(workdir / "tensorboard", resume_step=this.first) as events, run.stop_on_signal() as stop:
            state = _fit(fits, state, this, events, stop)
            step = int(state.step[0])
            facts = {"preset": config.preset, "steps": step, "seed": config.seed}
            if step < schedule.steps:
                inr_report.write_networks(workdir, chosen, state.params, facts)
            this.check_done(step)
            ratios = inr_report.write_results(workdir, chosen, state.params, step, events, facts)
    for name, ratio in ratios.items():
        print(f"{workdir / name / 'strip.png'}: PSNR {ratio:.1f} dB to the photo at alpha 0", file=sys.stderr)
    return [fit.render_command(workdir / pair.name / "inr.safetensors", pair.size) for pair in chosen]


def _fit(fits: _Fits, state: FitState, this: run.Run, events: EventLog, stop: run.Stop) -> FitState:
    """All stages from the step after the run's first ones on, or as many steps as a signal leaves.

    The states before and after are NumPy arrays with a row for each pair.
    """
    schedule, config = fits.schedule, fits.config
    states = [inr_pairs.spread(inr_pairs.members_of(state, group), group) for group in fits.groups]
    encoders = [replicate(fits.encoder, group.mesh) for group in fits.groups]
    targets: list[np.ndarray | None] = [None] * len(fits.chosen)
    for stage, steps in schedule.left(this.first):
        if isinstance(schedule.stages[stage], Regress) and targets[0] is None:
            targets = [inr_pairs.stylized(pair) for pair in fits.chosen]
        data = [
            inr_pairs.stage_data(fits.chosen, targets, group, fits.encoder, schedule, stage, state)
            for group, state in zip(fits.groups, states, strict=True)
        ]
        compiled = [_compiled(group.mesh, schedule, stage) for group in fits.groups]
        with inr_report.open_stage(fits.workdir, fits.chosen, schedule, stage, this.first, events) as logs:
            for step in steps:
                found = [
                    run_step(fits.key, *rest) for run_step, *rest in zip(compiled, states, data, encoders, strict=True)
                ]
                states = [after for after, _ in found]
                logs.progress.advance()
                due = this.due(step, stop)
                strip = step < schedule.steps and config.strip_every and step % config.strip_every == 0
                if due.log or due.save or strip:
                    terms = inr_pairs.collect([terms for _, terms in found], fits.groups)
                    inr_report.check_finite(fits.chosen, terms, step)
                if due.log:
                    inr_report.log(logs, fits.chosen, terms, step)
                if due.save or strip:
                    state = inr_pairs.collect(states, fits.groups)
                if strip:
                    inr_report.write_strips(fits.workdir, fits.chosen, state.params, step, events)
                if due.save:
                    this.save(step, state)
                if due.stop:
                    return state
    return state


def _work(config: Config) -> list[str]:
    cache.enable()
    return train(config)


def main(argv: Sequence[str] | None = None) -> int:
    """The command; returns the exit code: 0, 1 when a run failed, 2 for wrong usage, 130 when interrupted."""
    smaller = "--size or --at-once"
    return run.command(Config, _work, argv, prog="train.inr_fit", description=__doc__, smaller=smaller)
