"""Saving, keeping, restoring, and being killed while doing so."""

import json
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from PIL import Image

from train import devices
from train.checkpoints import CheckpointError, Checkpoints, make_workdir
from train.crops import Cropping, Crops
from train.loader import Loader
from train.logs import MetricLog, check_finite
from train.sources import open_source

ROOT = Path(__file__).resolve().parent.parent
CONFIG = {"seed": 0, "steps": 10, "lr": 1e-4, "vgg": None, "layers": [1, 2]}


def state_of(value: float) -> dict[str, Any]:
    params = {"w": jnp.full((4, 3), value, jnp.float32), "b": jnp.zeros((3,), jnp.bfloat16)}
    return {"params": params, "opt": optax.adam(1e-3).init(params), "step": jnp.int32(value)}


def equal(a: Any, b: Any) -> None:
    assert jax.tree.structure(a) == jax.tree.structure(b)
    jax.tree.map(lambda x, y: np.testing.assert_array_equal(np.asarray(x), np.asarray(y)), a, b)


def test_restores_on_another_number_of_devices(tmp_path: Path) -> None:
    four, two = devices.make_mesh(), devices.make_mesh(jax.devices()[:2])
    state = state_of(3.0)
    with Checkpoints(tmp_path / "run") as checkpoints:
        checkpoints.save(3, devices.replicate(state, four), CONFIG)
    with Checkpoints(tmp_path / "run") as checkpoints:
        restored = checkpoints.restore(devices.replicate(state_of(0.0), two))
        abstract = jax.eval_shape(lambda: state_of(0.0))
        onto_one = checkpoints.restore(abstract, sharding=jax.sharding.SingleDeviceSharding(jax.devices()[3]))
    equal(restored, state)
    equal(onto_one, state)
    assert restored["params"]["w"].sharding.device_set == set(jax.devices()[:2])
    assert restored["params"]["b"].dtype == jnp.bfloat16


def test_keeps_the_newest_and_the_best(tmp_path: Path) -> None:
    losses = {1: 5.0, 2: 1.0, 3: 4.0, 4: None, 5: 3.0, 6: 3.5}
    with Checkpoints(tmp_path, keep=2, best="val/loss") as checkpoints:
        assert checkpoints.latest is checkpoints.best is None
        for step, loss in losses.items():
            checkpoints.save(step, state_of(step), CONFIG, {} if loss is None else {"val/loss": loss})
    with Checkpoints(tmp_path, keep=2, best="val/loss") as checkpoints:
        assert checkpoints.steps == [2, 5, 6]
        assert (checkpoints.best, checkpoints.latest) == (2, 6)
        equal(checkpoints.restore(state_of(0.0), step=2), state_of(2.0))
        with pytest.raises(CheckpointError, match="no checkpoint of step 1; found 2, 5, 6"):
            checkpoints.restore(state_of(0.0), step=1)
        checkpoints.save(6, state_of(9.0), CONFIG)  # done already: left as it is
        equal(checkpoints.restore(state_of(0.0)), state_of(6.0))
    with Checkpoints(tmp_path / "plain", keep=1) as checkpoints:
        for step in (1, 2):
            checkpoints.save(step, state_of(step), CONFIG, {"val/loss": step})
        assert (checkpoints.steps, checkpoints.best) == ([2], None)


def test_begin_guards_the_work_folder(tmp_path: Path) -> None:
    workdir = tmp_path / "run"
    with Checkpoints(workdir) as checkpoints:
        assert checkpoints.begin(CONFIG, resume=True) is None  # killed before its first checkpoint
        assert json.loads((workdir / "config.json").read_text()) == CONFIG
        checkpoints.save(4, state_of(4.0), CONFIG)
    with Checkpoints(workdir) as checkpoints:
        with pytest.raises(CheckpointError, match="holds a run of 4 steps; give --resume"):
            checkpoints.begin(CONFIG, resume=False)
        with pytest.raises(CheckpointError, match=r"lr: 0.1, but the run in .* has 0.0001") as caught:
            checkpoints.begin(CONFIG | {"lr": 0.1, "steps": 20}, resume=True, may_change=("steps",))
        assert "\n" not in str(caught.value)
        with pytest.raises(CheckpointError, match="extra: 1, but"):
            checkpoints.begin(CONFIG | {"extra": 1}, resume=True)
        assert json.loads((workdir / "config.json").read_text()) == CONFIG
        assert checkpoints.begin(CONFIG | {"steps": 20, "layers": (1, 2)}, resume=True, may_change=["steps"]) == 4
        assert json.loads((workdir / "config.json").read_text())["steps"] == 20
        (workdir / "config.json").write_text("{")
        with pytest.raises(CheckpointError, match=r"config\.json: cannot be read"):
            checkpoints.begin(CONFIG, resume=True)


def test_another_network_is_one_line(tmp_path: Path) -> None:
    with Checkpoints(tmp_path) as checkpoints:
        checkpoints.save(1, state_of(1.0), CONFIG)
        other_shape = state_of(0.0) | {"step": jnp.zeros((2,), jnp.int32)}
        for other, words in (
            (other_shape, r"\['step'\] is int32 \(\), expected int32 \(2,\)"),
            ({"params": state_of(0.0)["params"]}, "expected none such"),
            (state_of(0.0) | {"new": jnp.zeros(2)}, r"\['new'\] is missing, expected float32 \(2,\)"),
        ):
            with pytest.raises(CheckpointError, match=f"step 1 does not fit this network: .*{words}") as caught:
                checkpoints.restore(other)
            assert "\n" not in str(caught.value)
        with pytest.raises(CheckpointError, match="found none"), Checkpoints(tmp_path / "empty") as empty:
            empty.restore(state_of(0.0))


SAVER = """
import sys
import jax.numpy as jnp
from train.checkpoints import Checkpoints
with Checkpoints(sys.argv[1], keep=2) as checkpoints:
    for step in range(1, 10_000):
        checkpoints.save(step, {"w": jnp.full((500, 1000), float(step)), "v": jnp.full(7, float(step))}, {})
        print(step, flush=True)
"""


@pytest.mark.parametrize("delay", [0.0, 0.02, 0.06])
def test_killed_while_saving_the_newest_whole_checkpoint_is_restored(tmp_path: Path, delay: float) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", SAVER, str(tmp_path)], cwd=ROOT, stdout=subprocess.PIPE, text=True
    ) as saver:
        assert saver.stdout is not None
        for line in saver.stdout:
            if int(line) == 3:
                time.sleep(delay)
                saver.send_signal(signal.SIGKILL)
                break
        printed = [3, *(int(line) for line in saver.stdout)][-1]
    assert saver.returncode == -signal.SIGKILL
    like = {"w": jnp.zeros((500, 1000)), "v": jnp.zeros(7)}
    with Checkpoints(tmp_path, keep=2) as checkpoints:
        assert checkpoints.latest in (printed, printed + 1)  # printed is on disk; the next may be
        restored = checkpoints.restore(like)
        equal(restored, jax.tree.map(lambda x: jnp.full_like(x, float(checkpoints.latest or 0)), like))
        checkpoints.save(99, like, {})  # waits for what clears away the torn one
        assert not [path for path in (tmp_path / "checkpoints").iterdir() if not path.name.isdigit()]
        assert checkpoints.latest == 99


def small_run(workdir: Path, pictures: Path, steps: int, resume: bool, stop_after: int | None = None) -> None:
    """The loop of a trainer in miniature: every part that a resumed run depends on."""
    mesh = devices.make_mesh()
    tx = optax.adam(1e-2)

    def step_fn(key: jax.Array, state: Any, batch: Any, axis_name: str | None = None) -> tuple[Any, Any]:
        def loss_fn(params: Any) -> tuple[jax.Array, Any]:
            result = batch["content"] @ params["mix"] + 0.01 * jax.random.normal(key, (3,))[None, None, None]
            loss = jnp.mean((jnp.mean(result, (1, 2)) - jnp.mean(batch["style"], (1, 2))) ** 2)
            return loss, {"loss": loss}

        gradients, terms = jax.grad(loss_fn, has_aux=True)(state["params"])
        updates, opt = tx.update(gradients, state["opt"])
        return {"params": optax.apply_updates(state["params"], updates), "opt": opt}, terms

    source = open_source(str(pictures))
    content, style = (
        Crops(source, range(len(source)), Cropping(24, 16, seed=1), stream=name) for name in ("content", "style")
    )
    params = {"mix": jnp.eye(3)}
    state = devices.replicate({"params": params, "opt": tx.init(params)}, mesh)
    step_of = devices.parallel_step(step_fn, mesh)
    with Checkpoints(workdir) as checkpoints:
        start = checkpoints.begin({"seed": 1}, resume=resume) or 0
        state = checkpoints.restore(state) if start else state
        with (
            MetricLog(workdir / "metrics.csv", resume_step=start if resume else None) as log,
            Loader(content, style, batch_size=4, start_step=start) as loader,
        ):
            for step in range(start + 1, steps + 1):
                batch = devices.shard_batch(next(loader), mesh)
                state, terms = step_of(jax.random.fold_in(jax.random.key(1), step), state, batch)
                log.write(step, check_finite(terms, step))
                if step % 4 == 0:
                    checkpoints.save(step, state, {"seed": 1})
                if step == stop_after:
                    return


@pytest.mark.parametrize("stop_after", [2, 6, 8])
def test_resumed_run_equals_an_uninterrupted_one_bit_for_bit(tmp_path: Path, stop_after: int) -> None:
    pictures = tmp_path / "pictures"
    pictures.mkdir()
    for i in range(5):
        noise = np.random.default_rng(i).integers(0, 256, (30, 40, 3), dtype=np.uint8)
        Image.fromarray(noise).save(pictures / f"{i}.png")
    small_run(tmp_path / "whole", pictures, 11, resume=False)
    small_run(tmp_path / "cut", pictures, 11, resume=False, stop_after=stop_after)
    small_run(tmp_path / "cut", pictures, 11, resume=True)
    whole, cut = ((tmp_path / name / "metrics.csv").read_bytes() for name in ("whole", "cut"))
    assert whole.count(b"\n") == 12
    assert cut == whole


def test_a_folder_for_the_run_is_made_or_named(tmp_path: Path) -> None:
    assert make_workdir(tmp_path / "a" / "b", "sheets", Path("x", "y")) == tmp_path / "a" / "b"
    assert sorted(path.name for path in (tmp_path / "a" / "b").iterdir()) == ["sheets", "x"]
    assert (tmp_path / "a" / "b" / "x" / "y").is_dir()
    (tmp_path / "file").touch()
    for below in ("file", "file/below"):
        with pytest.raises(CheckpointError, match=f"^workdir: {tmp_path}/{below}: "):
            make_workdir(tmp_path / below)


def test_a_full_disk_is_an_error_of_the_system(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*args: Any, **options: Any) -> None:
        raise ValueError("UNKNOWN: Error writing file: No space left on device")

    with Checkpoints(tmp_path) as checkpoints:
        monkeypatch.setattr(checkpoints._manager, "save", full)
        with pytest.raises(OSError, match=f"^{tmp_path}: the checkpoint of step 3 cannot be written: No space left"):
            checkpoints.save(3, state_of(1.0), CONFIG)


def test_a_checkpoint_for_which_there_is_no_room_is_not_begun(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    state = {"w": jnp.zeros((500, 1000)), "step": jnp.int32(0)}  # 2 000 004 bytes
    usage = type(shutil.disk_usage(tmp_path))
    with Checkpoints(tmp_path) as checkpoints:
        monkeypatch.setattr(shutil, "disk_usage", lambda path: usage(10**9, 10**9 - 2_000_003, 2_000_003))
        message = "step 3 cannot be written: no space left on device: 2.0 MB are needed, 2.0 MB are free$"
        with pytest.raises(OSError, match=f"^{tmp_path}: the checkpoint of {message}"):
            checkpoints.save(3, state, CONFIG)
        assert checkpoints.steps == [] and list((tmp_path / "checkpoints").iterdir()) == []
        monkeypatch.setattr(shutil, "disk_usage", lambda path: usage(10**9, 10**9 - 2_000_004, 2_000_004))
        checkpoints.save(3, state, CONFIG)
        monkeypatch.setattr(shutil, "disk_usage", lambda path: usage(0, 0, 0))  # a file system that does not tell
        checkpoints.save(4, state, CONFIG)
        assert checkpoints.steps == [3, 4]
    assert "Traceback" not in capfd.readouterr().err
