"""What a run is: begun, continued, saved, stopped; its logs; its command and exit codes."""

import dataclasses
import importlib
import inspect
import os
import signal
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from PIL import Image

from tests.train_pictures import write_folder
from train import devices, run
from train.checkpoints import CheckpointError
from train.config import ConfigError, required
from train.crops import Cropping
from train.loader import open_loader, open_pictures
from train.logs import MetricLog, NonFiniteError


@dataclass(frozen=True)
class Config:
    """Of a trainer that does nothing."""

    workdir: str = required("folder")
    steps: int = 7
    lr: float = 0.5
    log_every: int = 2
    checkpoint_every: int = 3
    resume: bool = False


def begin(workdir: Path, **changes: Any) -> Any:
    config = Config(str(workdir), **changes)
    return run.open_run(config, config.workdir, config.steps, asdict(config), may_change=("steps", "resume"))


def state(value: float) -> dict[str, jax.Array]:
    return {"w": jnp.full(3, value)}


def test_a_run_goes_on_from_its_newest_checkpoint(tmp_path: Path) -> None:
    with begin(tmp_path / "run") as this:
        assert (this.first, list(this.left)) == (0, [1, 2, 3, 4, 5, 6, 7])
        before = state(1.0)
        assert this.restore(before) is before
        this.save(4, state(2.0), {"val/loss": 1.0})
    with begin(tmp_path / "run", resume=True, steps=6) as this:
        assert (this.first, list(this.left)) == (4, [5, 6])
        found = this.restore(state(0.0), jax.sharding.SingleDeviceSharding(jax.devices()[1]))
        np.testing.assert_array_equal(found["w"], state(2.0)["w"])
        assert found["w"].devices() == {jax.devices()[1]}
    with pytest.raises(CheckpointError, match="holds a run of 4 steps"), begin(tmp_path / "run"):
        pass
    with pytest.raises(CheckpointError, match=r"lr: 0\.1, but"), begin(tmp_path / "run", resume=True, lr=0.1):
        pass


def test_what_is_due_after_a_step(tmp_path: Path) -> None:
    stop = run.Stop()
    with begin(tmp_path) as this:
        found = {step: this.due(step, stop) for step in this.left}
        assert [step for step, due in found.items() if due.log] == [2, 4, 6, 7]
        assert [step for step, due in found.items() if due.validate] == [3, 6, 7]
        assert all(due.save == due.validate and not due.stop for due in found.values())
        stop.requested = True
        assert this.due(4, stop) == run.Due(log=True, validate=False, save=True, stop=True)
        this.check_done(7)
        with pytest.raises(KeyboardInterrupt, match=r"^stopped after step 4 of 7; --resume goes on from there$"):
            this.check_done(4)


def test_logs_are_in_the_work_folder_and_hold_what_is_finite(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    picture = np.full((4, 5, 3), 0.5, np.float32)
    with begin(tmp_path) as this, run.open_logs(this, batch_size=8) as logs:
        logs.progress.advance()
        run.log(logs, 1, {"loss": jnp.float32(0.25)})
        rows = [(picture, picture)] * (run.SHEET_ROWS + 2)
        terms = {"val/loss": np.float32(2)}
        assert run.log_validation(logs, 1, terms, name="pairs", rows=rows) == {"val/loss": 2.0}
        for write in (run.log, lambda *args: run.log_validation(*args, name="pairs", rows=rows)):
            with pytest.raises(NonFiniteError, match="step 2: loss = nan"):
                write(logs, 2, {"loss": np.nan})
    assert (tmp_path / "metrics.csv").read_text() == "step,loss\n1,0.25\n"
    assert (tmp_path / "validation.csv").read_text() == "step,val/loss\n1,2.0\n"
    with Image.open(tmp_path / "sheets" / "0000001.png") as sheet:
        assert sheet.size == (2 * 5 + 3 * 4, run.SHEET_ROWS * 4 + (run.SHEET_ROWS + 1) * 4)
    assert len(list((tmp_path / "tensorboard").iterdir())) == 1
    assert capsys.readouterr().err.startswith("step 1/7  loss 0.25  images/s ")


def test_the_other_processes_write_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    with begin(tmp_path) as this:
        monkeypatch.setattr(jax, "process_index", lambda: 1)
        with run.open_logs(this) as logs:
            run.log(logs, 1, {"loss": 1.0})
            assert run.log_validation(logs, 1, {"val/loss": 1.0}, name="pairs", rows=[]) == {"val/loss": 1.0}
    assert not {"metrics.csv", "validation.csv", "tensorboard"} & {path.name for path in tmp_path.iterdir()}
    assert list((tmp_path / "sheets").iterdir()) == [] and capsys.readouterr().err == ""


def step_of_two(key: jax.Array, state: Any, batch: Any, axis_name: str | None = None) -> tuple[Any, Any]:
    """A network and its critic, each with an optimiser, in one state."""
    noise = jax.random.normal(key, (3,))

    def score(critic: jax.Array, x: jax.Array) -> jax.Array:
        return jnp.tanh(x.mean((0, 1, 2)) + noise) @ critic

    def loss_of(weights: jax.Array, critic: jax.Array) -> jax.Array:
        return -score(critic, batch["content"] @ weights)

    def critic_loss_of(critic: jax.Array, weights: jax.Array) -> jax.Array:
        return score(critic, batch["content"] @ weights) - score(critic, batch["style"])

    found = {}
    for name, other, of in (("weights", "critic", loss_of), ("critic", "weights", critic_loss_of)):
        value, gradient = jax.value_and_grad(of)(state[name], state[other])
        update, opt = TX.update(gradient, state[f"opt_{name}"])
        state = state | {name: state[name] + update, f"opt_{name}": opt}
        found[f"loss_{name}"] = value
    return state, found


TX = optax.adam(1e-2)


def test_what_is_left_open_is_that_of_the_run_that_is_continued(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text('{"steps": 7, "log_every": 3}')

    def chosen(**given: Any) -> Any:
        settings = SimpleNamespace(**({"log_every": None, "resume": True} | given))
        return run.left_open(settings, tmp_path, "log_every")

    assert (chosen(), chosen(log_every=2), chosen(resume=False)) == (3, 2, None)
    for damage in ("", "[]", "{", '{"steps": 7}'):
        (tmp_path / "config.json").write_text(damage)
        assert chosen() is None
    (tmp_path / "config.json").unlink()
    assert chosen() is None


def train_two(workdir: Path, pictures: Path, **changes: Any) -> None:
    """The skeleton, with nothing left out."""
    config = Config(str(workdir), **changes)
    mesh = devices.make_mesh()
    cropping = Cropping(12, 8, seed=1)
    crops, pairs, _ = open_pictures(str(pictures), str(pictures), cropping, holdout=2, cache_bytes=0)
    with run.open_run(
        config, config.workdir, config.steps, asdict(config), may_change=("workdir", "resume"), best="val/loss"
    ) as this:
        weights, critic = jnp.eye(3), jnp.ones(3)
        state = {"weights": weights, "critic": critic, "opt_weights": TX.init(weights), "opt_critic": TX.init(critic)}
        state = this.restore(devices.replicate(state, mesh))
        advance, key = devices.parallel_step(step_of_two, mesh), jax.random.key(1)
        step = this.first
        with (
            open_loader(crops, batch_size=4, start_step=this.first, threads=2) as loader,
            run.open_logs(this, batch_size=4) as logs,
            run.stop_on_signal() as stop,
        ):
            for step, batch in zip(this.left, devices.prefetch(loader, mesh), strict=False):
                state, terms = advance(jax.random.fold_in(key, step), state, batch)
                logs.progress.advance()
                due = this.due(step, stop)
                if due.log:
                    run.log(logs, step, terms)
                if due.save:
                    rows = zip(pairs["content"], pairs["content"] @ np.asarray(state["weights"]), strict=True)
                    loss = {"val/loss": state["critic"].sum()}
                    values = run.log_validation(logs, step, loss, name="pairs", rows=rows) if due.validate else None
                    this.save(step, state, values)
                if due.stop:
                    break
    this.check_done(step)


@pytest.mark.usefixtures("interruptible")
@pytest.mark.parametrize("stopped", [1, 4])
def test_two_networks_stopped_and_resumed_equal_an_uninterrupted_run_bit_for_bit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stopped: int
) -> None:
    pictures = write_folder(tmp_path / "pictures")
    train_two(tmp_path / "whole", pictures, log_every=1)
    write = MetricLog.write

    def interrupting(log: MetricLog, step: int, values: Any) -> None:
        write(log, step, values)
        if step == stopped:
            signal.raise_signal(signal.SIGINT)

    with monkeypatch.context() as patch:
        patch.setattr(MetricLog, "write", interrupting)
        with pytest.raises(KeyboardInterrupt, match=f"stopped after step {stopped + 1} of 7"):
            train_two(tmp_path / "cut", pictures, log_every=1)
    train_two(tmp_path / "cut", pictures, log_every=1, resume=True)
    for name in ("metrics.csv", "validation.csv", "sheets/0000007.png"):
        assert (tmp_path / "cut" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes(), name
    lines = (tmp_path / "whole" / "metrics.csv").read_text().splitlines()
    assert lines[0] == "step,loss_critic,loss_weights" and len(lines) == 8


@pytest.mark.parametrize("name", ["adain", "inr_fit"])
def test_trainers_have_the_same_five_names(name: str) -> None:
    trainer = importlib.import_module(f"train.{name}")
    assert dataclasses.is_dataclass(trainer.Config)
    assert all(callable(getattr(trainer, name)) for name in ("create_state", "train", "main"))
    parameters = list(inspect.signature(trainer.train_step).parameters.values())
    assert [parameter.name for parameter in parameters[:3]] == ["key", "state", "batch"]
    assert all(parameter.kind is parameter.KEYWORD_ONLY for parameter in parameters[3:])


# ---- processes and the command -----------------------------------------------------------------------------


def test_the_address_of_a_run_of_several_processes(monkeypatch: pytest.MonkeyPatch) -> None:
    joined: list[tuple[Any, ...]] = []
    monkeypatch.setattr(devices, "initialize_distributed", lambda *args: joined.append(args))
    for address in (None, "auto", "host:80,3,2"):
        run.check_address(address)
        run.join(address)
    assert joined == [("auto",), ("host:80", 3, 2)]
    for wrong in ("host,1,0", "host:80", "host:80,3,x"):
        with pytest.raises(ConfigError, match=f"^distributed: '{wrong}'; expected HOST:PORT,PROCESSES,ID or auto$"):
            run.check_address(wrong)


def ran(work: Any, *argv: str, **options: Any) -> int:
    return run.command(
        Config, work, argv, prog="train.none", description="Does.\n\nNothing.", smaller="--lr", **options
    )


@pytest.mark.parametrize(
    ("error", "code", "words"),
    [
        (NonFiniteError("step 1: loss = nan"), 1, "step 1: loss = nan"),
        (ConfigError("lr: 2"), 2, "lr: 2"),
        (OSError("the disk\nis full"), 1, "the disk is full"),
        (FileNotFoundError(2, "No such file", "x.png"), 1, "x.png: No such file"),
        (KeyboardInterrupt(), 130, "go on"),
        (KeyboardInterrupt("stopped after step 1"), 130, "stopped after step 1"),
        (RuntimeError("RESOURCE_EXHAUSTED: x"), 1, "the device is out of memory; a smaller --lr needs less"),
    ],
    ids=str,
)
def test_what_fails_is_one_line_and_an_exit_code(
    capsys: pytest.CaptureFixture[str], error: BaseException, code: int, words: str
) -> None:
    def work(config: Config) -> list[str]:
        raise error

    assert ran(work, "--workdir", "x", interrupted="go on") == code
    assert capsys.readouterr() == ("", f"train.none: {words}\n")


def test_a_command_prints_what_its_work_returns_and_has_help(capsys: pytest.CaptureFixture[str]) -> None:
    assert ran(lambda config: [config.workdir, f"{config.steps}"], "--workdir", "x", "--steps", "3") == 0
    assert capsys.readouterr() == ("x\n3\n", "")
    with pytest.raises(SystemExit, match=r"^0$"):
        ran(None, "--help")
    out = capsys.readouterr().out
    assert "usage: python -m train.none" in out and "Does.\n" in out and "Nothing" not in out
    with pytest.raises(SystemExit, match=r"^2$"):
        ran(None)
    found = capsys.readouterr().err
    assert found == (
        "python -m train.none: the following arguments are required: --workdir (see python -m train.none --help)\n"
    )


# ---- signals -----------------------------------------------------------------------------------------------


@pytest.fixture
def interruptible() -> Iterator[None]:
    """SIGINT raises KeyboardInterrupt, also where the session runs in the background and ignores it."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("interruptible")
def test_first_signal_asks_second_acts_and_handlers_come_back() -> None:
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    with run.stop_on_signal() as stop:
        assert not stop.requested
        os.kill(os.getpid(), signal.SIGINT)
        assert stop.requested
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGINT)
            signal.pause()
    with run.stop_on_signal() as stop:
        assert not stop.requested
        os.kill(os.getpid(), signal.SIGTERM)
        assert stop.requested
    assert {number: signal.getsignal(number) for number in before} == before


def test_many_steps_in_a_row_that_are_not_finite_end_the_run(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    written: list[Any] = []
    monkeypatch.setattr(run, "log", lambda logs, step, values: written.append((step, values)))
    nothing: Any = None
    nan = {"loss": np.float32(np.nan), "skipped": 3}
    run.log_steady(nothing, 7, {"loss": np.float32(1), "skipped": 2, "in_row": 0}, many=20)
    run.log_steady(nothing, 8, nan | {"in_row": 19}, many=20)
    assert written == [(7, {"loss": 1.0, "skipped": 2.0})]
    assert "step 8: not finite, skipped; 3 in all" in caplog.text
    with pytest.raises(NonFiniteError, match="step 9: the last 20 were skipped, loss = nan; a lower"):
        run.log_steady(nothing, 9, nan | {"in_row": 20}, many=20)
