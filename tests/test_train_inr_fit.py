"""The INR-st trainer: its command, resuming, signals, and many pairs on one device and four."""

import csv
import dataclasses
import json
import os
import re
import signal
import subprocess
import sys
import typing
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jax
import numpy as np
import pytest

import jaxstyle
from jaxstyle import image
from jaxstyle.methods import inr
from jaxstyle.methods.inr import schedule as inr_schedule
from jaxstyle.methods.inr.schedule import Enlarge, Refine, Regress, Schedule
from jaxstyle.painting import fit
from train import inr_fit as trainer
from train import inr_pairs, inr_report
from train.checkpoints import CheckpointError, Checkpoints
from train.devices import make_mesh
from train.inr_pairs import Group
from train.logs import MetricLog, NonFiniteError
from train.pairs import Pair, PairsError

SPEC = inr.Spec(octaves=3, latent=4, width=16, depth=3, skip=1, bottleneck=8)
TINY = Schedule((Regress(3, points=64, lr=1e-2), Refine(2)), SPEC, size=16)
REGRESSION = Schedule((Regress(4, points=64, lr=1e-6),), SPEC, size=16)
LOG = {"log_every": 1, "checkpoint_every": 2, "strip_every": 2}


@pytest.fixture(autouse=True)
def _setting(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No cache of the user's, small presets, and a folder of one's own."""
    monkeypatch.setenv("JAXSTYLE_CACHE_DIR", "off")
    monkeypatch.setitem(inr_schedule.PRESETS, "preview", TINY)
    monkeypatch.setitem(inr_schedule.PRESETS, "fast", REGRESSION)
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def darkened(monkeypatch: pytest.MonkeyPatch) -> None:
    """The photo at half its brightness in place of what AdaIN makes, which takes long to compile."""
    monkeypatch.setattr(inr_pairs, "stylized", lambda pair: pair.content / 2)


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """``a.png`` to ``d.png``, the last of another shape, and a file that is no picture."""
    root = tmp_path_factory.mktemp("some pictures")
    for number, name in enumerate("abcd"):
        coarse = np.random.default_rng(number).random((4, 4 if name < "d" else 9, 3), np.float32)
        image.write(root / f"{name}.png", np.repeat(np.repeat(coarse, 5, 0), 5, 1))
    (root / "broken.png").write_text("not a picture")
    return root


def config(pictures: Path, workdir: str = "run", content: str = "a", style: str = "b", **changes: Any) -> Any:
    pair = {"content": f"{pictures / content}.png", "style": f"{pictures / style}.png"}
    if "pairs" in changes:
        pair = {}
    return trainer.Config(**{**pair, "workdir": workdir, "preset": "preview", **changes})


def arguments(config: trainer.Config) -> list[str]:
    """The command line of a configuration."""
    found = []
    for name, value in vars(config).items():
        if isinstance(value, bool):
            found.append(f"--{name}" if value else f"--no-{name}")
        elif value is not None:
            found += [f"--{name}", str(value)]
    return found


def rows(file: Path) -> list[dict[str, str]]:
    with file.open(newline="") as lines:
        return list(csv.DictReader(lines))


def same(a: Any, b: Any) -> None:
    assert jax.tree.structure(a) == jax.tree.structure(b)
    jax.tree.map(np.testing.assert_array_equal, a, b)


# ---- the command -------------------------------------------------------------------------------------------


def test_help_shows_every_flag(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "500")  # no word is broken at its hyphen
    with pytest.raises(SystemExit) as caught:
        trainer.main(["--help"])
    assert caught.value.code == 0
    text = " ".join(capsys.readouterr().out.split())
    for field in trainer.Config.__dataclass_fields__.values():
        assert f"--{field.name.replace('_', '-')} " in text and field.metadata["help"] in text, field.name
    presets = typing.get_args(typing.get_type_hints(trainer.Config)["preset"])
    assert set(presets) == set(inr_schedule.PRESETS)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"steps": 0}, "steps: expected a whole number of at least 1, got 0"),
        ({"size": 8}, "size: expected a whole number of at least 16, got 8"),
        ({"seed": 2**32}, "seed: 4294967296; expected less"),
        ({"at_once": 0}, "at_once: 0; expected a number of at least 1"),
        ({"strip_every": -1}, "strip_every: -1; expected a number of at least 0"),
        ({"preset": "slow"}, "--preset: invalid choice: 'slow'"),
        ({"sampling": "often"}, "--sampling: invalid choice: 'often'"),
        ({"style_loss": "mean"}, "--style-loss: invalid choice: 'mean' (choose from gram, mean_std)"),
        ({"lr": "inf"}, "lr: expected a positive number, got inf"),
        ({"omega": 0}, "omega: expected a positive number, got 0.0"),
        ({"octaves": -1}, "octaves: expected a whole number of at least 0, got -1"),
        ({"kappa": 0}, "kappa: expected a positive number, got 0.0"),
        ({"style_weight": -1}, "style_weight: expected a number of at least 0, got -1.0"),
        ({"fixed_alpha": 0.5}, "fixed_alpha: 0.5; it counts only with --sampling fixed"),
        ({"fixed_alpha": 2}, "fixed_alpha: 2.0; expected a number in [0, 1]"),
        ({"rate": 2}, "rate: 2.0; it counts only with --sampling exponential"),
        ({"kappa": 2, "reweighting": "none"}, "kappa: 2.0; it counts only with a --reweighting other than none"),
        ({"content": "none"}, "content, style: give both, or --pairs instead of them"),
        ({"pairs": "pairs.tsv"}, "content, style: give both, or --pairs instead of them"),
        ({"content": "nowhere.png"}, "nowhere.png: no such file"),
        ({"style": "text.png"}, "text.png: "),
        ({"vgg": "vgg19"}, "vgg19: no such weight file"),
        ({"workdir": "text.png"}, "workdir: text.png"),
        ({"taps": "deep_relu", "preset": "preview"}, "content: expected at least 16 x 16 pixels for relu5_1"),
    ],
    ids=str,
)
def test_a_mistake_is_one_line_and_code_2_and_nothing_is_written(
    pictures: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    changes: dict[str, Any],
    words: str,
) -> None:
    coarse = Schedule((Refine(1, shrink=2),), SPEC, size=16)
    monkeypatch.setitem(inr_schedule.PRESETS, "preview", coarse)
    Path("text.png").write_text("not a picture")
    line = arguments(config(pictures))
    for name, value in changes.items():
        line += [f"--{name}", str(value)]  # the last one counts
    try:
        code = trainer.main(line)
    except SystemExit as stop:
        code = stop.code  # type: ignore[assignment]
    captured = capsys.readouterr()
    assert (code, captured.out) == (2, "")
    assert words in captured.err and captured.err.count("\n") == 1, captured.err
    assert [path.name for path in tmp_path.iterdir()] == ["text.png"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (None, "pairs.tsv: cannot be read"),
        ("", "pairs.tsv: holds no pairs"),
        ("a.png\tb.png\n\nc.png\n", r"pairs.tsv: line 3 is 'c.png'; expected PHOTO tab PAINTING"),
        ("a.png\tb.png\nc.png\tnowhere.png\n", "pairs.tsv: line 2: nowhere.png: no such file"),
        ("a.png\tb.png\nbroken.png\tb.png\n", "pairs.tsv: line 2: broken.png: "),
        ("a.png\tb.png\nc.png\tb.png\n./a.png\tb.png\n", "line 3: results would go to a_b, like those of line 1"),
    ],
)
def test_a_wrong_line_of_a_file_of_pairs_is_named(
    pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str | None, message: str
) -> None:
    monkeypatch.chdir(pictures)
    file = tmp_path / "pairs.tsv"
    if text is not None:
        file.write_text(text)
    with pytest.raises(PairsError, match=message) as found:
        trainer.train(trainer.Config(pairs=str(file), workdir=str(tmp_path / "run")))
    assert "\n" not in str(found.value) and not (tmp_path / "run").exists()


def test_the_pair_that_is_too_small_for_vgg_is_named() -> None:
    large, small = np.zeros((32, 32, 3), np.float32), np.zeros((32, 16, 3), np.float32)
    chosen = [Pair("a_b", large, large), Pair("c_d", large, small)]
    loss = inr.Loss(taps="deep_relu")
    schedule = Schedule((Regress(1), Refine(0, shrink=9), Refine(1, shrink=2)), SPEC, loss, size=32)
    encoder, _ = inr.load_encoder("vgg16", loss)
    with pytest.raises(PairsError, match=r"^c_d: style: expected at least 16 x 16 pixels for relu5_1, got"):
        inr_pairs.check_sizes(chosen, encoder, schedule)
    inr_pairs.check_sizes(chosen[:1], encoder, schedule)


def test_flags_change_the_preset() -> None:
    def schedule(**changes: Any) -> Schedule:
        return trainer.Config(content="a", style="b", preset="paper", **changes).schedule()

    paper = inr_schedule.PRESETS["paper"]
    assert schedule() == paper
    assert schedule(size=64, steps=9) == inr_schedule.preset("paper", size=64, steps=9)
    changed = schedule(sampling="fixed", fixed_alpha=0.2, reweighting="polynomial", kappa=2.0, style_weight=1.0)
    assert changed.loss == inr.Loss(sampling="fixed", fixed=0.8, reweighting="polynomial", kappa=2.0, style_weight=1.0)
    changed = schedule(sampling="exponential", rate=5.0, taps="deep_conv", style_loss="mean_std", dtype="bfloat16")
    assert changed.loss == inr.Loss(
        sampling="exponential", rate=5.0, taps="deep_conv", style="mean_std", dtype="bfloat16"
    )
    assert schedule(octaves=0, omega=3.0).spec == inr.Spec(octaves=0, omega=3.0)
    assert schedule(lr=0.5).stages == (Refine(20_000, lr=0.5),)
    fast = trainer.Config(content="a", style="b", preset="preview", lr=0.5).schedule()
    assert [stage.lr for stage in fast.stages] == [0.5, 0.5] and fast.steps == TINY.steps


def test_a_folder_is_named_after_the_pictures() -> None:
    assert trainer.Config(content="x/a b.jpg", style="y/c.png").folder() == Path("runs/a b_c")
    assert trainer.Config(pairs="x/some.tsv").folder() == Path("runs/some")
    command = fit.render_command(Path("runs/a b_c/inr.safetensors"), (160, 128))
    assert command == "jaxstyle render 'runs/a b_c/inr.safetensors' -o out.png --size 1024x819 --alpha 0.5"


# ---- a whole run -------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("darkened")
def test_stopped_and_resumed_over_a_stage_border_equals_an_uninterrupted_run_bit_for_bit(
    pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    whole, cut = tmp_path / "whole", tmp_path / "cut"
    assert trainer.main(arguments(config(pictures, str(whole), **LOG))) == 0
    captured = capsys.readouterr()
    assert captured.out == f"jaxstyle render {whole}/inr.safetensors -o out.png --size 1024x1024 --alpha 0.5\n"
    assert "regress 1/2  step 3/3  loss " in captured.err and "steps/s" in captured.err
    assert re.search(r"refine 2/2  step 5/5  content \S+  loss \S+  style \S+  steps/s \S+  left 0:00:00", captured.err)
    first, second = rows(whole / "metrics_1_regress.csv"), rows(whole / "metrics_2_refine.csv")
    assert [row["step"] for row in (*first, *second)] == list("12345")
    assert set(first[0]) == {"step", "loss", "pixels"} and set(second[0]) == {"step", "loss", "content", "style"}

    params = inr.load(whole / "inr.safetensors")
    assert (params.spec, params.size) == (SPEC, (16, 16))
    strip = image.read(whole / "strip.png").pixels
    assert strip.shape == (16 + 2 * 4, 5 * 16 + 6 * 4, 3)
    for number, alpha in enumerate((0, 0.25, 0.5, 0.75, 1)):
        picture = strip[4:20, 4 + 20 * number : 20 + 20 * number]
        np.testing.assert_allclose(picture, jaxstyle.render_image(params, None, alpha), atol=0.51 / 255)
    photo = image.resize(image.read(pictures / "a.png").pixels, (16, 16))
    decibel = -10 * np.log10(np.square(jaxstyle.render_image(params, None, 0) - photo).mean())
    assert f"{whole}/strip.png: PSNR {decibel:.1f} dB to the photo at alpha 0" in captured.err
    assert sorted(path.name for path in (whole / "strips").iterdir()) == ["0000002.png", "0000004.png"]

    write = MetricLog.write

    def interrupting(log: MetricLog, step: int, values: Any) -> None:
        write(log, step, values)
        if step == 1:
            signal.raise_signal(signal.SIGTERM)

    with monkeypatch.context() as patch:
        patch.setattr(MetricLog, "write", interrupting)
        assert trainer.main(arguments(config(pictures, str(cut), **LOG))) == 130
    captured = capsys.readouterr()
    assert captured.err.endswith("train.inr_fit: stopped after step 2 of 5; --resume goes on from there\n")
    assert captured.out == "" and inr.load(cut / "inr.safetensors").size == (16, 16)
    with Checkpoints(cut) as saved:
        assert saved.latest == 2
    assert trainer.main(arguments(config(pictures, str(cut), **LOG, resume=True))) == 0
    same(inr.load(cut / "inr.safetensors"), params)
    for file in ("metrics_1_regress.csv", "metrics_2_refine.csv", "strip.png", "strips/0000004.png", "inr.safetensors"):
        assert (cut / file).read_bytes() == (whole / file).read_bytes(), file

    before = (cut / "config.json").read_bytes()
    for changes, words in (
        ({}, "holds a run of 5 steps; give --resume"),
        ({"resume": True, "lr": 0.5}, "lr: 0.5, but the run in .* has None; it cannot change on --resume"),
        ({"resume": True, "steps": 6}, "steps: 6, but the run in .* has 5; it cannot"),
        ({"resume": True, "kappa": 2.0}, "kappa: 2.0, but the run in .* has 1.0; it cannot"),
        ({"resume": True, "style": "c"}, "pictures: {'pair': '.*'}, but the run in"),
    ):
        capsys.readouterr()
        assert trainer.main(arguments(config(pictures, str(cut), **LOG, **changes))) == 2
        message = capsys.readouterr().err
        assert re.search(words, message) and message.count("\n") == 1, message
    assert (cut / "config.json").read_bytes() == before
    assert json.loads(before)["style_weight"] == 1e5
    assert trainer.main(arguments(config(pictures, str(cut), **LOG, resume=True))) == 0  # finished already
    assert (cut / "inr.safetensors").read_bytes() == (whole / "inr.safetensors").read_bytes()


def test_a_refused_run_leaves_no_folders_for_its_pairs(
    pictures: Path, tmp_path: Path, file: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def refuse(*_: Any, **__: Any) -> None:
        raise CheckpointError("lr: 0.5, but the run has None")

    monkeypatch.setattr(Checkpoints, "begin", refuse)
    assert trainer.main(arguments(config(pictures, pairs=file, resume=True))) == 2
    assert capsys.readouterr().err == "train.inr_fit: lr: 0.5, but the run has None\n"
    assert [path.name for path in (tmp_path / "run").iterdir()] == ["checkpoints"]


def test_it_is_said_where_there_is_nothing_to_resume(
    pictures: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def stop(*_: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(trainer, "create_state", stop)
    for resume, words in ((True, ["train.inr_fit: run: there is no checkpoint yet, the run begins"]), (False, [])):
        assert trainer.main(arguments(config(pictures, resume=resume))) == 130
        assert capsys.readouterr().err.splitlines() == [*words, "train.inr_fit: interrupted"]


def test_a_term_that_is_not_finite_is_named_with_its_pair() -> None:
    chosen = [Pair(name, np.zeros((1, 1, 3)), np.zeros((1, 1, 3))) for name in ("a_b", "c_b")]
    terms = {"loss": np.array([1.0, np.nan]), "style": np.array([2.0, 3.0])}
    with pytest.raises(NonFiniteError, match=r"^step 7: c_b/loss = nan; a lower"):
        inr_report.check_finite(chosen, terms, 7)
    found = inr_report.check_finite(chosen, terms | {"loss": np.zeros(2)}, 7)
    assert found == [{"loss": 0.0, "style": 2.0}, {"loss": 0.0, "style": 3.0}]


@pytest.mark.slow
@pytest.mark.usefixtures("darkened")
def test_a_loss_that_is_not_finite_ends_the_run(
    pictures: Path, tmp_path: Path, file: str, capsys: pytest.CaptureFixture[str]
) -> None:
    run = config(pictures, preset="fast", pairs=file, lr=1e30, log_every=1)
    assert trainer.main(arguments(run)) == 1
    message = capsys.readouterr().err.splitlines()[-1]
    assert re.fullmatch(r"train.inr_fit: step \d: a_b/loss = nan, .*c_b/pixels = nan; a lower .*", message), message
    assert not list(tmp_path.rglob("inr.safetensors"))


# ---- several pairs -----------------------------------------------------------------------------------------


def test_pairs_are_shared_out_by_size() -> None:
    square, wide, devices = (16, 16), (24, 12), jax.devices()[:3]

    def shared(sizes: list[tuple[int, int]], at_once: int = 4) -> list[tuple[tuple[int, ...], list[int], int]]:
        groups = inr_pairs.group(sizes, devices, at_once)
        return [(g.members, [device.id for device in g.mesh.devices.flat], g.each) for g in groups]

    assert shared([square]) == [((0,), [0], 1)]
    assert shared([square, wide, square]) == [((0, 2), [0, 1], 1), ((1,), [2], 1)]
    assert shared([square] * 5) == [((0, 1, 2, 3, 4), [0, 1, 2], 2)]
    assert shared([square] * 4) == [((0, 1, 2, 3), [0, 1], 2)]  # not three of them, one of which would repeat
    assert shared([square] * 4, at_once=1) == [((0, 1, 2), [0, 1, 2], 1), ((3,), [0], 1)]


def test_rows_go_to_the_devices_and_come_back() -> None:
    sizes = [(1, 1), (2, 2), (1, 1), (1, 1), (2, 2), (1, 1), (1, 1)]
    groups = inr_pairs.group(sizes, jax.devices()[:3], 4)
    tree = {"a": np.arange(7.0), "b": np.arange(14).reshape(7, 2)}
    spread = [inr_pairs.spread(inr_pairs.members_of(tree, group), group) for group in groups]
    assert [part["a"].tolist() for part in spread] == [[0, 2, 3, 5, 6, 6], [1, 4]]
    assert len(spread[0]["a"].sharding.device_set) == 3
    same(inr_pairs.collect(spread, groups), tree)


def fit_alone(pictures: Path, names: str, **changes: Any) -> inr.InrParams:
    """The fit of a pair on its own, on one device."""
    run = config(pictures, f"alone_{names}", names[0], names[1], **changes)
    trainer.train(run, jax.devices()[:1])
    return inr.load(f"alone_{names}/inr.safetensors")


def assert_close(found: inr.InrParams, wanted: inr.InrParams, start: Any, apart: float) -> None:
    """Equal to rounding, and what the steps did to the parameters equal to a share ``apart`` of it."""
    assert (found.spec, found.size) == (wanted.spec, wanted.size)
    leaves = [jax.tree.leaves(params.network) for params in (found, wanted, start)]
    norms = np.zeros(2)
    for a, b, before in zip(*leaves, strict=True):
        np.testing.assert_allclose(a, b, atol=1e-5)
        norms += np.square(a - b).sum(dtype=np.float64), np.square(b - before).sum(dtype=np.float64)
    assert 0 <= norms[0] < apart**2 * norms[1]


@pytest.fixture
def file(pictures: Path, tmp_path: Path) -> Iterator[str]:
    """Three pairs of two sizes."""
    lines = [f"{pictures}/{a}.png\t{pictures}/{b}.png\n" for a, b in ("ab", "dc", "cb")]
    (tmp_path / "pairs.tsv").write_text("".join(lines))
    yield str(tmp_path / "pairs.tsv")


@pytest.mark.usefixtures("darkened")
def test_pairs_side_by_side_equal_fits_on_their_own(pictures: Path, file: str, tmp_path: Path) -> None:
    Path(file).write_text("".join(Path(file).read_text().splitlines(keepends=True)[::2]))  # of one size
    commands = trainer.train(config(pictures, pairs=file, preset="fast", log_every=1), jax.devices()[:1])
    names = ["a_b", "c_b"]
    for command, name in zip(commands, names, strict=True):
        assert command == f"jaxstyle render run/{name}/inr.safetensors -o out.png --size 1024x1024 --alpha 0.5"
        assert [row["step"] for row in rows(tmp_path / "run" / name / "metrics_1_regress.csv")] == list("1234")
        assert (tmp_path / "run" / name / "strip.png").is_file()
    found = [inr.load(f"run/{name}/inr.safetensors") for name in names]
    start = inr.init(jax.random.split(jax.random.key(0))[0], SPEC)
    assert_close(found[1], fit_alone(pictures, "cb", preset="fast"), start, apart=0.02)
    with pytest.raises(AssertionError):  # of the same key, but of other pictures
        assert_close(found[1], found[0], start, apart=0.02)


@pytest.mark.slow
@pytest.mark.usefixtures("darkened")
def test_four_devices_equal_fits_on_their_own(pictures: Path, file: str, monkeypatch: pytest.MonkeyPatch) -> None:
    schedule = Schedule((Regress(2, points=64), Refine(3, alphas=2, gradient_every=2)), SPEC, size=16)
    monkeypatch.setitem(inr_schedule.PRESETS, "preview", schedule)
    trainer.train(config(pictures, pairs=file, lr=1e-6))
    start = inr.init(jax.random.split(jax.random.key(0))[0], SPEC)
    for name in ("cb", "dc"):  # one of each size
        found = inr.load(f"run/{name[0]}_{name[1]}/inr.safetensors")
        assert_close(found, fit_alone(pictures, name, lr=1e-6), start, apart=0.05)


@pytest.mark.slow
@pytest.mark.usefixtures("darkened")
def test_what_four_devices_saved_one_resumes(pictures: Path, file: str, monkeypatch: pytest.MonkeyPatch) -> None:
    trainer.train(config(pictures, "whole", pairs=file, preset="fast"))
    write = MetricLog.write

    def interrupting(log: MetricLog, step: int, values: Any) -> None:
        write(log, step, values)
        if "a_b" in log._file.name:  # once: a second signal would not wait
            signal.raise_signal(signal.SIGINT)

    with monkeypatch.context() as patch:
        patch.setattr(MetricLog, "write", interrupting)
        with pytest.raises(KeyboardInterrupt, match="stopped after step 3 of 4"):
            trainer.train(config(pictures, "moved", pairs=file, preset="fast", log_every=2))
    trainer.train(config(pictures, "moved", pairs=file, preset="fast", resume=True), jax.devices()[:1])
    start = inr.init(jax.random.split(jax.random.key(0))[0], SPEC)
    for name in ("a_b", "d_c", "c_b"):
        found, wanted = (inr.load(f"{run}/{name}/inr.safetensors") for run in ("moved", "whole"))
        assert_close(found, wanted, start, apart=0.02)


@pytest.mark.slow
def test_it_is_the_fit_of_the_library(pictures: Path) -> None:
    trainer.train(config(pictures, steps=5))
    wanted = jaxstyle.fit(pictures / "a.png", pictures / "b.png", TINY)
    same(inr.load("run/inr.safetensors"), wanted)


def test_a_group_repeats_its_last_pair_where_they_do_not_go_up_evenly() -> None:
    group = Group((0, 1, 2), make_mesh(jax.devices()[:2]))
    assert group.each == 2
    assert inr_pairs.spread(np.arange(3), group).tolist() == [0, 1, 2, 2]


@pytest.mark.usefixtures("darkened")
@pytest.mark.slow
def test_a_fit_that_enlarges_is_the_librarys_and_pairs_have_their_own(
    pictures: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The painting's own pixels are looked at: of another size than the fit's."""
    stage = Enlarge(3, windows=1, side=16, vectors=16)
    schedule = Schedule((Regress(40, points=64, lr=1e-2), stage), dataclasses.replace(SPEC, detail=2), size=16)
    monkeypatch.setitem(inr_schedule.PRESETS, "preview", schedule)
    trainer.train(config(pictures, log_every=1))
    found = inr.load("run/inr.safetensors")
    photo = inr_pairs.read_picture(f"{pictures / 'a'}.png", 16)
    wanted = jaxstyle.fit(photo, f"{pictures / 'b'}.png", "preview", stylized=photo / 2)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, atol=1e-4), found, wanted)
    assert set(rows(Path("run/metrics_2_enlarge.csv"))[0]) >= {"style", "vectors", "coarse"}
    file = Path("pairs.tsv")
    file.write_text("".join(f"{pictures / a}.png\t{pictures / b}.png\n" for a, b in ("ab", "cb")))
    trainer.train(config(pictures, "two", pairs=str(file), log_every=1), jax.devices()[:1])
    flows = [inr.load(f"two/{pair}/inr.safetensors").network["flow"]["points"] for pair in ("a_b", "c_b")]
    same, other = (np.abs(points - found.network["flow"]["points"]).mean() for points in flows)
    assert same < 0.2 * other


@pytest.mark.slow
@pytest.mark.parametrize("killed", [7, 10])
def test_killed_while_it_enlarges_and_resumed_it_is_the_fit_of_one_go(
    pictures: Path, tmp_path: Path, killed: int
) -> None:
    """kill -9 in the first step of the stage, and later; the newest checkpoint is some steps old, or from before."""
    code = """
import os, signal, sys
from jaxstyle.methods import inr
from jaxstyle.methods.inr import schedule
from jaxstyle.methods.inr.schedule import Enlarge, Regress, Schedule
from train import inr_fit, inr_pairs
from train.logs import MetricLog
spec = inr.Spec(octaves=3, latent=4, width=16, depth=3, skip=1, bottleneck=8, detail=4)
stages = Regress(6, points=64, lr=1e-2), Enlarge(6, windows=2, side=16, vectors=16)
schedule.PRESETS["zoom"] = Schedule(stages, spec, size=16)
inr_pairs.stylized = lambda pair: pair.content / 2
write, last = MetricLog.write, int(sys.argv.pop(1))
def writing(log, step, values):
    write(log, step, values)
    if step == last:
        os.kill(os.getpid(), signal.SIGKILL)
MetricLog.write = writing
sys.exit(inr_fit.main(sys.argv[1:]))
"""
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[1])}

    def run(last: int, workdir: str, **changes: Any) -> int:
        flags = arguments(config(pictures, workdir, preset="zoom", log_every=1, checkpoint_every=3, **changes))
        return subprocess.run([sys.executable, "-c", code, str(last), *flags], env=environment, check=False).returncode

    assert run(0, "whole") == 0
    assert run(killed, "cut") == -signal.SIGKILL
    with Checkpoints(tmp_path / "cut") as saved:
        assert saved.latest == (killed - 1) // 3 * 3
    assert run(0, "cut", resume=True) == 0
    assert Path("cut/inr.safetensors").read_bytes() == Path("whole/inr.safetensors").read_bytes()
    for stage in ("1_regress", "2_enlarge"):
        assert rows(Path(f"cut/metrics_{stage}.csv")) == rows(Path(f"whole/metrics_{stage}.csv"))
