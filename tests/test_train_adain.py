"""The AdaIN trainer: its command, resuming, signals, and one device, four devices, two processes alike."""

import json
import re
import signal
import socket
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image

from jaxstyle import weights
from jaxstyle.methods import adain
from tests.train_runs import arguments, complaint, norm, rows, start, write_pictures
from train import adain as trainer
from train import devices
from train.checkpoints import Checkpoints
from train.logs import MetricLog

SETTINGS: dict[str, Any] = {
    "crop": 16,
    "resize": 20,
    "batch_size": 4,
    "holdout": 2,
    "log_every": 1,
    "checkpoint_every": 2,
    "identity_weight": 5.0,
    "threads": 2,
}
"""Of a run of a few seconds on four devices; nearly all of them the compiler's, once."""
LOW_RATE = 5e-7
"""For comparing devices: their rounding differs, which flips maxima and the signs that Adam's first steps
are; at the usual rate such differences grow with every step."""


@pytest.fixture(scope="session")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with ``content`` and ``style``: seven small pictures each, and a file that is none."""
    return write_pictures(tmp_path_factory.mktemp("pictures"))


def config(pictures: Path, workdir: Path, **changes: Any) -> trainer.Config:
    folders = {"content": str(pictures / "content"), "style": str(pictures / "style")}
    return trainer.Config(**(folders | {"workdir": str(workdir)} | SETTINGS | changes))


def tree(folder: Path) -> dict[str, int]:
    """Every file below a folder and when it was written."""
    return {str(path): path.stat().st_mtime_ns for path in sorted(folder.rglob("*")) if path.is_file()}


def events(folder: Path) -> dict[str, set[int]]:
    """Name -> steps of everything in the TensorBoard files of a folder."""
    from tensorboardX.proto.event_pb2 import Event

    found: dict[str, set[int]] = {}
    for file in folder.glob("events.out.tfevents.*"):
        data = file.read_bytes()
        while data:  # length (8 bytes), its checksum (4), the event, its checksum (4)
            length = int.from_bytes(data[:8], "little")
            event = Event.FromString(data[12 : 12 + length])
            for value in event.summary.value:
                found.setdefault(value.tag, set()).add(event.step)
            data = data[16 + length :]
    return found


# ---- the command -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"steps": 0}, "steps: 0; expected a number of at least 1"),
        ({"holdout": 0}, "holdout: 0; expected"),
        ({"style_weight": "nan"}, "style_weight: nan; expected"),
        ({"identity_weight": -1.0}, "identity_weight: -1.0; expected"),
        ({"lr": "inf"}, "lr: inf; expected a positive number"),
        ({"seed": 2**32}, "seed: 4294967296; expected less"),
        ({"crop": 20}, "crop: 20; expected 16, 24, 32"),
        ({"crop": 8}, "crop: 8; expected 16, 24, 32"),
        ({"average": 1.0}, "average: 1.0; expected"),
        ({"augment": 1.5}, "augment: 1.5; expected 0 to 1"),
        ({"relative_to": "photo"}, "relative_to: photo needs relative_style"),
        ({"identity_share": 0.0}, "identity_share: 0.0; expected"),
        ({"norm": "batch", "parallel": "pmap"}, "use jit with norm batch"),
        ({"fusion": "concat"}, "fusion: concat takes neither"),
        ({"distributed": "localhost:1,2"}, "distributed: 'localhost:1,2'; expected HOST:PORT,PROCESSES,ID"),
        ({"batch_size": "four"}, "--batch-size"),
        ({"norm": "layer"}, "--norm"),
        ({"batch_size": 6}, "batch_size: 6; expected a multiple of the 4 devices"),
        ({"content": "nowhere"}, "nowhere: not a folder"),
        ({"style": "nothing"}, "nothing: holds no picture"),
        ({"content": "text"}, "validation content: no readable picture"),
        ({"holdout": 8}, "holdout: 8 of 8 pictures"),
        ({"resize": 8}, "crop: 16 with resize 8"),
        ({"largest_crop": 64}, "largest_crop: 64"),
        ({"workdir": "file"}, "workdir: file"),
        ({"workdir": "file/below"}, "workdir: file/below"),
        ({"vgg": "vgg.safetensors"}, "vgg.safetensors"),
        ({"init": "adain.safetensors"}, "adain.safetensors"),
        ({"init": "adain_vgg16", "norm": "instance"}, "another shape than fusion adain, norm instance and aim learned"),
    ],
)
def test_a_mistake_is_one_line_and_code_2(
    pictures: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    changes: dict[str, Any],
    words: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    for folder in ("nothing", "text"):
        Path(folder).mkdir()
    for i in range(4):
        Path("text", f"{i}.png").write_text("not a picture")
    Path("file").touch()
    line = arguments(config(pictures, tmp_path / "run"))
    for name, value in changes.items():
        line[line.index(f"--{name}") + 1] = str(value)
    assert words in complaint(trainer, line, capsys)


def test_train_then_resume(pictures: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    whole, cut = tmp_path / "whole", tmp_path / "cut"
    assert trainer.main(arguments(config(pictures, whole, steps=3))) == 0
    captured = capsys.readouterr()
    assert captured.out == f"{whole}/adain.safetensors\n"
    assert "step 3/3  content " in captured.err and "images/s" in captured.err

    assert [row["step"] for row in rows(whole / "metrics.csv")] == ["1", "2", "3"]
    validation = rows(whole / "validation.csv")
    assert [row["step"] for row in validation] == ["2", "3"]
    first = rows(whole / "metrics.csv")[0]
    terms = {name: float(value) for name, value in first.items()}
    total = terms["content"] + 10 * terms["style"] + 5 * terms["identity"]
    assert terms["loss"] == pytest.approx(total, rel=1e-5)
    scalars = events(whole / "tensorboard")
    for name in ("loss", "content", "style", "identity", "images_per_second"):
        assert scalars[name] == {1, 2, 3}, name
    for name in ("val/loss", "val/content", "val/style", "content_style_result"):
        assert scalars[name] == {2, 3}, name
    for step in (2, 3):  # three pictures in each of two rows, 4 pixels between and around
        with Image.open(whole / "sheets" / f"{step:07d}.png") as sheet:
            assert sheet.size == (3 * 16 + 4 * 4, 2 * 16 + 3 * 4)
    assert json.loads((whole / "config.json").read_text())["crop"] == 16

    best = min(validation, key=lambda row: float(row["val/loss"]))
    exported = weights.load(str(whole / "adain.safetensors"), kind="adain")
    assert exported.metadata["steps"] == best["step"]
    model = adain.load(str(whole / "adain.safetensors"))
    assert adain.stylize(model, jnp.zeros((20, 17, 3)), jnp.ones((16, 16, 3))).shape == (20, 17, 3)

    assert trainer.main(arguments(config(pictures, cut, steps=2))) == 0
    assert trainer.main(arguments(config(pictures, cut, steps=3, resume=True))) == 0
    for name in ("metrics.csv", "validation.csv"):
        assert (cut / name).read_bytes() == (whole / name).read_bytes(), name
    capsys.readouterr()

    before = {path: time for path, time in tree(cut).items() if "checkpoints" in path or "sheets" in path}
    unsaid = config(pictures, cut, steps=3, resume=True, holdout=None)  # is what the run has, not a tenth of seven
    assert trainer.main(arguments(unsaid)) == 0  # finished already
    assert before.items() <= tree(cut).items()
    assert (cut / "metrics.csv").read_bytes() == (whole / "metrics.csv").read_bytes()
    assert capsys.readouterr().err == ""

    before = tree(cut)
    for changes, words in (
        ({}, "holds a run of 3 steps; give --resume"),
        ({"resume": True, "lr": 1e-3}, "lr: 0.001, but the run in .* has 0.0001"),
        ({"resume": True, "holdout": 1}, "holdout: 1, but the run in .* has 2"),
        ({"resume": True, "crop": 24, "resize": 24}, "crop: 24, but the run in .* has 16"),
    ):
        assert trainer.main(arguments(config(pictures, cut, steps=3, **changes))) == 2
        message = capsys.readouterr().err
        assert re.search(words, message) and message.count("\n") == 1, message
    assert tree(cut) == before


def test_a_signal_ends_the_step_saves_and_exports(
    pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    write = MetricLog.write

    def interrupting(log: MetricLog, step: int, values: Any) -> None:
        write(log, step, values)
        if step == 1:
            signal.raise_signal(signal.SIGINT)

    workdir = tmp_path / "run"
    with monkeypatch.context() as patch:
        patch.setattr(MetricLog, "write", interrupting)
        assert trainer.main(arguments(config(pictures, workdir, steps=4))) == 130
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.endswith("train.adain: stopped after step 2 of 4; --resume goes on from there\n")
    with Checkpoints(workdir) as saved:
        assert saved.latest == 2
    assert adain.load(str(workdir / "adain.safetensors")).arch == "vgg16"


def test_the_aim_is_that_of_the_start_unless_it_is_said() -> None:
    def of(**changes: Any) -> adain.Model:
        return trainer.create_model(config(Path("unused"), Path("unused"), **changes))

    shipped = adain.load("adain_vgg16")
    assert shipped.aim == of(init="adain_vgg16").aim == "learned"
    jax.tree.map(np.testing.assert_array_equal, of(init="adain_vgg16").decoder, shipped.decoder)
    with pytest.raises(weights.WeightsError, match="another shape than fusion adain, norm none and aim style ask for"):
        of(init="adain_vgg16", aim="style")
    assert of().aim == "style" and "aim" not in of().decoder["params"]
    assert of(aim="learned").aim == "learned" and "aim" in of(aim="learned").decoder["params"]


def test_a_loss_that_is_not_finite_ends_the_run(
    pictures: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model = trainer.create_model(config(pictures, tmp_path))
    bad = jax.tree.map(lambda a: np.full(a.shape, np.nan, np.float32), model.decoder)
    adain.save(str(tmp_path / "bad.safetensors"), model.replace(decoder=bad))  # type: ignore[attr-defined]
    run = config(pictures, tmp_path / "run", steps=3, init=str(tmp_path / "bad.safetensors"))
    assert trainer.main(arguments(run)) == 1
    message = capsys.readouterr().err
    assert re.fullmatch(r"train.adain: step 1: .*loss = nan.*\n", message), message
    assert not (tmp_path / "run" / "adain.safetensors").exists()


# ---- the parts -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("share", [0.1, 0.25, 0.3, 0.75, 1.0])
def test_identity_pairs_are_an_even_share_whoever_looks(pictures: Path, share: float) -> None:
    run = config(pictures, Path("unused"), identity_share=share, reconstruct_steps=2)
    batch = {
        "content": np.zeros((4, 1, 1, 3), np.float32),
        "style": np.ones((4, 1, 1, 3), np.float32),
    }
    marks = []
    for step in range(102):
        whole = trainer.mark_identity(batch, run, step)
        half = {name: value[2:] for name, value in batch.items()}
        other = trainer.mark_identity(half, run, step, first_row=2)
        np.testing.assert_array_equal(other["identity"], whole["identity"][2:])
        np.testing.assert_array_equal(whole["style"][:, 0, 0, 0], 1 - whole["identity"])
        marks.append(whole["identity"])
    assert np.all(marks[:2] == np.float32(1))
    assert abs(np.sum(marks[2:]) - share * 400) <= 1


def test_without_identity_weight_only_the_reconstruction_has_identity_pairs(pictures: Path) -> None:
    batch = {
        "content": np.zeros((4, 1, 1, 3), np.float32),
        "style": np.ones((4, 1, 1, 3), np.float32),
    }
    run = config(pictures, Path("unused"), identity_weight=0.0)
    assert trainer.mark_identity(batch, run, 0) is batch
    run = config(pictures, Path("unused"), identity_weight=0.0, reconstruct_steps=1)
    assert trainer.mark_identity(batch, run, 0)["identity"].sum() == 4
    assert trainer.mark_identity(batch, run, 1)["identity"].sum() == 0


@pytest.mark.parametrize("schedule", ["inverse", "cosine"])
def test_learning_rate(pictures: Path, schedule: str) -> None:
    run = config(pictures, Path("unused"), schedule=schedule, lr=1e-2, steps=1000)
    tx = trainer.optimizer(run)
    weight = jnp.zeros(())
    state = tx.init(weight)
    for _ in range(3):  # Adam's step with a constant gradient is the rate itself
        update, state = tx.update(jnp.ones(()), state, weight)
    expected = 1e-2 / (1 + 5e-5 * 2) if schedule == "inverse" else 1e-2 * np.cos(np.pi * 2 / 1000 / 2) ** 2
    assert float(-update) == pytest.approx(expected, rel=1e-4)


CHOICES = [
    {"dtype": "bfloat16"},
    {"fusion": "concat", "identity_weight": 0.0},
    {"norm": "instance"},
    {"norm": "batch"},
    {"relative_style": True, "relative_to": "photo", "augment": 0.5},
]


@pytest.mark.parametrize("choice", CHOICES)
def test_a_step_keeps_the_state_and_gives_float32_terms(pictures: Path, choice: dict[str, Any]) -> None:
    run = config(pictures, Path("unused"), **choice)
    model = trainer.create_model(run)
    state = trainer.create_state(run, model)
    shape = (4, run.crop, run.crop, 3)
    batch = {"content": jnp.zeros(shape), "style": jnp.ones(shape)}
    if run.identity_weight:
        batch["identity"] = jnp.ones(4)
    step = lambda *args: trainer.train_step(*args, config=run, model=model)  # noqa: E731
    after, terms = jax.eval_shape(step, jax.random.key(0), state, batch)
    described = [jax.tree.map(lambda a: (a.shape, a.dtype), tree) for tree in (after, state)]
    assert described[0] == described[1]
    assert {"loss", "content", "style"} <= terms.keys()
    assert all(term.shape == () and term.dtype == jnp.float32 for term in terms.values())


def test_the_average_follows_the_weights_and_can_be_switched_off(pictures: Path) -> None:
    batch = {"content": jnp.zeros((1, 16, 16, 3)), "style": jnp.ones((1, 16, 16, 3))}
    calls = []

    def constant_objective(decoder: Any, *rest: Any, **options: Any) -> Any:
        calls.append(options)
        return sum(jnp.sum(leaf) for leaf in jax.tree.leaves(decoder["params"])), {}

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(adain, "objective", constant_objective)
        for average, share in ((0.999, 0.1), (0.05, 0.05), (0.0, 0.0)):
            run = config(pictures, Path("unused"), average=average, lr=1.0)
            params = {"w": jnp.full(3, 5.0)}
            model = adain.Model({}, {"params": params})
            before = trainer.create_state(run, model)
            after, _ = trainer.train_step(jax.random.key(0), before, batch, config=run, model=model)
            np.testing.assert_allclose(after.decoder["params"]["w"], 4.0, rtol=1e-5)
            np.testing.assert_allclose(after.average["w"], 4.0 + share, rtol=1e-5)
            assert after.step == 1
    assert calls[0]["style_weight"] == 10.0 and calls[0]["identity_weight"] == 5.0


@pytest.mark.slow
def test_validation_is_the_objective_with_the_averaged_weights(pictures: Path) -> None:
    pairs = {name: np.random.default_rng(len(name)).random((3, 16, 16, 3), np.float32) for name in ("a", "bc")}
    content, style = pairs.values()
    model = trainer.create_model(config(pictures, Path("unused")))
    terms, _ = trainer._evaluate(model, content, style, style_weight=7.0)
    loss, expected = jax.jit(adain.objective, static_argnames="style_weight")(
        model.decoder, model, content, style, style_weight=7.0
    )
    np.testing.assert_allclose(terms["val/loss"], loss, rtol=1e-5)
    for name, value in expected.items():
        np.testing.assert_allclose(terms[f"val/{name}"], value, rtol=1e-5)


@pytest.mark.slow
def test_validation_takes_the_running_statistics_of_batch_normalisation(pictures: Path) -> None:
    content, style = np.random.default_rng(0).random((2, 3, 16, 16, 3), np.float32)
    model = trainer.create_model(config(pictures, Path("unused"), norm="batch"))
    noise = iter(np.random.default_rng(1).uniform(0.5, 2.0, (99, 512)).astype(np.float32))
    stats = jax.tree.map(lambda a: next(noise)[: len(a)], model.decoder["batch_stats"])
    model = model.replace(decoder={**model.decoder, "batch_stats": stats})  # type: ignore[attr-defined]
    _, found = trainer._evaluate(model, content, style)
    alone = [trainer._evaluate(model, content[i : i + 1], style[i : i + 1])[1] for i in range(3)]
    np.testing.assert_allclose(found, np.concatenate(alone), rtol=1e-3, atol=1e-5)
    np.testing.assert_allclose(np.clip(found, 0, 1), adain.stylize(model, content, style), atol=1e-5)


# ---- whole runs ------------------------------------------------------------------------------------------


def parameters(run: trainer.Config) -> Any:
    """The decoder's parameters in the newest checkpoint of a run."""
    state = trainer.create_state(run, trainer.create_model(run))
    with Checkpoints(run.workdir) as saved:
        return jax.device_get(saved.restore(state).decoder["params"])


@pytest.mark.slow
def test_one_device_equals_four_with_jit_and_with_pmap(pictures: Path, tmp_path: Path) -> None:
    found = {}
    for name, count, parallel in (("one", 1, "jit"), ("jit", 4, "jit"), ("pmap", 4, "pmap")):
        folder = tmp_path / name
        run = config(pictures, folder, steps=20, checkpoint_every=20, lr=LOW_RATE, parallel=parallel)
        trainer.train(run, devices.make_mesh(jax.devices()[:count]))
        losses = np.loadtxt(folder / "metrics.csv", delimiter=",", skiprows=1)
        found[name] = losses, parameters(run)
    losses, reached = found.pop("one")
    start = trainer.create_model(config(pictures, tmp_path)).decoder["params"]
    moved = jax.tree.map(np.subtract, reached, start)
    assert losses[-1, 3] < 0.9 * losses[0, 3]  # otherwise there is little to compare
    for other_losses, other in found.values():
        np.testing.assert_allclose(other_losses, losses, rtol=1e-4)
        apart = jax.tree.map(np.subtract, other, reached)
        assert max(np.abs(a).max() for a in jax.tree.leaves(apart)) < 1e-4
        assert norm(apart) < 0.02 * norm(moved)


@pytest.mark.slow
@pytest.mark.parametrize("killed_at", [1, 5])
def test_killed_and_resumed_equals_an_uninterrupted_run_bit_for_bit(
    pictures: Path, tmp_path: Path, killed_at: int
) -> None:
    settings = {"steps": 8, "checkpoint_every": 3}
    with start(trainer, config(pictures, tmp_path / "cut", **settings)) as process:
        assert process.stderr is not None
        for line in process.stderr:
            if line.startswith(f"step {killed_at}/"):
                process.kill()
    assert process.returncode == -signal.SIGKILL
    with Checkpoints(tmp_path / "cut") as saved:
        assert saved.latest == (None if killed_at == 1 else 3)
    trainer.train(config(pictures, tmp_path / "cut", **settings, resume=True))
    trainer.train(config(pictures, tmp_path / "whole", **settings))
    for name in ("metrics.csv", "validation.csv"):
        assert (tmp_path / "cut" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes(), name
    assert len(rows(tmp_path / "whole" / "metrics.csv")) == 8


@pytest.mark.slow
def test_two_processes_equal_one(pictures: Path, tmp_path: Path) -> None:
    settings = {"steps": 5, "lr": LOW_RATE}
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    running = []
    for index in range(2):
        address = f"127.0.0.1:{port},2,{index}"
        run = config(pictures, tmp_path / "two", **settings, distributed=address)
        running.append(start(trainer, run, count=2))
    try:
        outputs = [process.communicate(timeout=400) for process in running]
    finally:
        for process in running:
            process.kill()
    for process, (_, err) in zip(running, outputs, strict=True):
        assert process.returncode == 0, err
    path = f"{tmp_path}/two/adain.safetensors\n"  # after what gloo has to say
    assert outputs[0][0].endswith(path) and path not in outputs[1][0]
    assert "step 5/5" in outputs[0][1] and "step " not in outputs[1][1]
    assert len(list((tmp_path / "two" / "tensorboard").iterdir())) == 1

    trainer.train(config(pictures, tmp_path / "one", **settings))
    for name in ("metrics.csv", "validation.csv"):
        two, one = (np.loadtxt(tmp_path / run / name, delimiter=",", skiprows=1) for run in ("two", "one"))
        np.testing.assert_allclose(two, one, rtol=1e-4)
    # what two processes saved, one resumes
    trainer.train(config(pictures, tmp_path / "two", **settings | {"steps": 6}, resume=True))
    assert [row["step"] for row in rows(tmp_path / "two" / "metrics.csv")] == list("123456")


@pytest.mark.slow
@pytest.mark.parametrize("choice", [*CHOICES, {"reconstruct_steps": 1, "schedule": "cosine", "average": 0.0}])
def test_every_choice_trains_and_exports(pictures: Path, tmp_path: Path, choice: dict[str, Any]) -> None:
    run = config(pictures, tmp_path / "run", steps=2, **choice)
    path = trainer.train(run)
    start = trainer.create_model(run).decoder
    model = adain.load(str(path))
    assert (model.fusion, model.norm) == (run.fusion, run.norm)
    assert norm(jax.tree.map(np.subtract, model.decoder["params"], start["params"])) > 1e-2
    if run.norm == "batch":
        moved = jax.tree.map(np.subtract, model.decoder["batch_stats"], start["batch_stats"])
        assert min(np.abs(a).max() for a in jax.tree.leaves(moved)) > 1e-5
    result = adain.stylize(model, jnp.zeros((17, 20, 3)), jnp.ones((16, 16, 3)))
    assert result.shape == (17, 20, 3) and bool(jnp.isfinite(result).all())


@pytest.mark.slow
def test_starts_from_weights_and_a_full_disk_is_one_line(pictures: Path, tmp_path: Path) -> None:
    run = config(pictures, tmp_path / "run", steps=2, init="adain_vgg16")
    shipped = adain.load("adain_vgg16").decoder
    jax.tree.map(np.testing.assert_array_equal, trainer.create_model(run).decoder, shipped)
    process = start(trainer, run, blocks="1024")  # enough for curves, not for a checkpoint
    out, err = process.communicate(timeout=400)
    assert process.returncode == 1 and out == "", err
    assert f"train.adain: {tmp_path}/run: the checkpoint of step 2 cannot be written: File too large" in err
    with Checkpoints(tmp_path / "run") as saved:
        assert saved.latest is None
