"""The evaluation command: its parts, its files, going on after an interruption, and its errors."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image

from jaxstyle import image, methods
from jaxstyle.methods import adain, style_kernel
from jaxstyle.metrics import metrics
from jaxstyle.painting.picture import repaint
from tests import style_kernels
from train import pairs
from train.crops import to_float, to_uint8
from train.evaluate import measure, tables
from train.evaluate import transfer as evaluate

SIZE = 32


@pytest.fixture(scope="module", autouse=True)
def _no_cache_of_the_user() -> Iterator[None]:
    """The command would keep compiled code in the user's cache folder."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("JAXSTYLE_CACHE_DIR", "off")
        yield


@pytest.fixture(scope="module")
def setting(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with ``content``, ``style`` and the weights of an untrained decoder, ``mine.safetensors``."""
    root = tmp_path_factory.mktemp("evaluate")
    for name in ("content", "style"):
        (root / name).mkdir()
        for i in range(4):
            coarse = np.random.default_rng([i, len(name)]).integers(0, 256, (9, 10, 3), dtype=np.uint8)
            Image.fromarray(np.repeat(np.repeat(coarse, 4, 0), 4, 1)).save(root / name / f"{i}.png")
    encoder, arch = adain.load_encoder()
    model = adain.Model(encoder, {}, arch)
    decoder = jax.jit(adain.init_decoder)(jax.random.key(0), model)
    adain.save(root / "mine.safetensors", model.replace(decoder=jax.tree.map(lambda x: 0.5 * x + 0.01, decoder)))
    return root


def arguments(root: Path, output: Path, *more: str) -> list[str]:
    folders = ["--content", str(root / "content"), "--style", str(root / "style"), "--holdout", "3", "--pairs", "2"]
    return ["--output", str(output), "--weights", str(root / "mine.safetensors"), "--size", str(SIZE), *folders, *more]


def read(output: Path) -> dict[str, Any]:
    return json.loads(output.with_suffix(".json").read_text())  # type: ignore[no-any-return]


def forbid(monkeypatch: pytest.MonkeyPatch, *names: str) -> None:
    """Makes it an error to compute these anew."""

    def fail(*args: Any, **options: Any) -> None:
        raise AssertionError("made anew")

    for name in names:
        monkeypatch.setattr(evaluate, name, fail)


@pytest.fixture(scope="module")
def scored(setting: Path) -> Path:
    """The scores, with pictures."""
    output = setting / "results" / "mine"
    assert evaluate.main(arguments(setting, output, "--pictures", str(setting / "pictures"))) == 0
    return output


def written(setting: Path, output: Path, part: str) -> list[tuple[dict[str, float], list[np.ndarray]]]:
    """The rows of a part and the pictures that they are of, whose scores they must have."""
    rows = read(output)["parts"][part]["rows"].values()
    lines = (setting / "pictures" / f"{part}.tsv").read_text().splitlines()
    found = []
    for line, row in zip(lines, rows, strict=True):
        pictures = [image.read(name).pixels for name in line.split("\t")]
        assert [picture.shape for picture in pictures] == [(SIZE, SIZE, 3)] * 3
        expected = {name: float(v) for name, v in metrics.scores(metrics.load_networks(), *pictures).items()}
        assert {name: row[name] for name in expected} == pytest.approx(expected, rel=1e-3)
        found.append((row, pictures))
    return found


def test_rows_are_the_scores_of_the_written_pictures(setting: Path, scored: Path) -> None:
    model = adain.load(str(setting / "mine.safetensors"))
    rows = written(setting, scored, "scores")
    assert len(rows) == 2
    for row, (content, style, output) in rows:
        np.testing.assert_allclose(output, adain.stylize(model, content, style), atol=0.51 / 255)
        plain = adain.stylize(model, content, style, 0.0)
        assert row["psnr_alpha0"] == pytest.approx(float(metrics.psnr(plain, content)), abs=0.05)
    settings = read(scored)["parts"]["scores"]["settings"]
    assert settings == {"content": "content", "style": "style", "holdout": 3, "seed": 0, "size": SIZE}


@pytest.mark.slow
def test_the_yardstick_is_an_optimised_picture(setting: Path, tmp_path: Path) -> None:
    output, pictures = tmp_path / "r", ["--pictures", str(setting / "pictures")]
    assert evaluate.main(arguments(setting, output, "--no-scores", "--yardstick-steps", "3", *pictures)) == 0
    for row, (content, _, picture) in written(setting, output, "yardstick"):
        assert row["style_ratio"] < 0.99 and row["lpips"] > 0.01 and np.abs(content - picture).max() > 0.02
        assert "psnr_alpha0" not in row
    settings = read(output)["parts"]["yardstick"]["settings"]
    assert settings["steps"] == 3 and settings["optimizer"] == "adam"


def test_the_page_has_means_ratios_and_every_pair(setting: Path, scored: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    numbers = iter([0.25, 0.75])
    monkeypatch.setattr(evaluate, "yardstick", lambda *args, **more: dict.fromkeys(evaluate.SCORES, next(numbers)))
    forbid(monkeypatch, "score")
    assert evaluate.main(arguments(setting, scored, "--yardstick-steps", "3")) == 0
    page, found = scored.with_suffix(".md").read_text(), read(scored)
    means = {
        part: np.mean([row["style_ratio"] for row in block["rows"].values()]) for part, block in found["parts"].items()
    }
    cells = {line.split("|")[1].strip(): line.split("|")[2].strip() for line in page.splitlines() if "|" in line}
    assert float(cells["decoder, mean"]) == pytest.approx(means["scores"], rel=6e-3)
    assert float(cells["pixels optimised, mean"]) == pytest.approx(means["yardstick"], rel=6e-3)
    assert float(cells["decoder / pixels, 2 pairs"]) == pytest.approx(means["scores"] / means["yardstick"], rel=6e-3)
    assert all(pair in cells for pair in found["parts"]["scores"]["rows"])
    assert page.startswith("# mine\n") and found["subject"]["sha256"] in page
    assert f"jax {jax.__version__}" in page and "On cpu: " in page and "steps = 3" in page


def test_a_second_run_makes_only_what_is_missing(
    setting: Path, scored: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    before = read(scored)
    forbid(monkeypatch, "score")
    assert evaluate.main(arguments(setting, scored)) == 0
    assert read(scored) == before
    assert capsys.readouterr().out.strip() == f"{scored}.md"
    missing = setting / "pictures" / "001o.png"
    missing.unlink()
    made = []
    monkeypatch.setattr(
        evaluate, "score", lambda model, networks, pair, save: made.append(pair) or save(pair.style) or {}
    )
    assert evaluate.main(arguments(setting, scored, "--pictures", str(setting / "pictures"))) == 0
    assert len(made) == 1 and missing.exists()


def test_an_interrupted_run_goes_on(
    setting: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    made: list[str] = []

    def score(model: Any, networks: Any, pair: Any, save: Any) -> dict[str, float]:
        made.append(pair.name)
        if len(made) == 2:
            raise KeyboardInterrupt
        return dict.fromkeys((*evaluate.SCORES, "psnr_alpha0"), 0.5)

    monkeypatch.setattr(evaluate, "score", score)
    output = tmp_path / "r"
    assert evaluate.main(arguments(setting, output)) == 130
    assert "goes on from there" in capsys.readouterr().err and not output.with_suffix(".md").exists()
    assert evaluate.main(arguments(setting, output)) == 0
    assert len(made) == 3 and made[1] == made[2] and len(read(output)["parts"]["scores"]["rows"]) == 2


@pytest.mark.slow
def test_figure_3_and_table_1(setting: Path, tmp_path: Path) -> None:
    output = tmp_path / "r"
    flags = ["--no-scores", "--figure3-pairs", "1", "--figure3-iterations", "4,1"]
    times = ["--table1-repeats", "2", "--table1-sizes", "16,24"]
    assert evaluate.main(arguments(setting, output, *flags, *times)) == 0
    parts = read(output)["parts"]
    assert list(parts) == ["figure3", "table1"]
    (name, row), *others = parts["figure3"]["rows"].items()
    assert not others and list(row["style_loss"]) == list(row["content_loss"]) == ["photo", "decoder", "1", "4"]
    assert row["content_loss"]["photo"] < 1e-6 < row["content_loss"]["4"]
    losses = row["style_loss"]
    assert losses["4"] < losses["1"] < losses["photo"]
    folders = str(setting / "content"), str(setting / "style")
    (pair,) = pairs.held_out(*folders, holdout=3, seed=0, size=SIZE, count=1)
    assert name == pair.name
    expected = float(metrics.style_loss(metrics.load_networks(), pair.content, pair.style))
    assert losses["photo"] == pytest.approx(expected, rel=1e-4)
    assert row["reached"] is None or (row["reached"] <= 4) == (losses["4"] <= losses["decoder"])
    for row in parts["table1"]["rows"].values():
        assert 0 < row["without"] < 60 and 0 < row["with"] < 60
    page = output.with_suffix(".md").read_text()
    assert "| pixels after 4 iterations |" in page and "50 to 100 iterations" in page and "16 x 16" in page


def test_the_papers_figures_stand_beside_ours(setting: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        measure, "table1", lambda model, size, repeats, beside: {"without": size / 1e4, "with": size / 5e3}
    )
    output = tmp_path / "r"
    flags = ["--output", str(output), "--weights", str(setting / "mine.safetensors"), "--no-scores"]
    assert evaluate.main([*flags, "--table1-repeats", "1"]) == 0  # needs no pictures
    page = output.with_suffix(".md").read_text()
    assert "| 256 x 256 | 0.0256 | 0.0512 | 0.0180 | 0.0270 |" in page
    assert "| 512 x 512 | 0.0512 | 0.102 | 0.0650 | 0.0980 |" in page
    assert "| 1024 x 1024 | 0.102 | 0.205 |  |  |" in page


def part(rows: dict[str, Any], **settings: Any) -> dict[str, Any]:
    return {"settings": settings, "environment": {"device": "cpu"}, "rows": rows}


def test_the_figures_of_style_kernels_stand_beside_ours() -> None:
    times = {"without": 0.5, "with": 0.8, "beside_without": 0.25, "beside_with": 0.4}
    losses = [{"photo": 10.0, "style_loss": 2.0, "beside": 4.0}, {"photo": 10.0, "style_loss": 3.0, "beside": 4.0}]
    parts = {
        "table1": part({"512": times, "64": {"without": 0.01, "with": 0.02}}, beside="other 0123"),
        "table2": part(dict(zip("ab", losses, strict=True)), beside="other 0123"),
        "command": part({"4000": {"seconds": 300.0, "peak_bytes": 3 * 2**29}}),
    }
    subject = {"weights": "mine", "sha256": "0", "encoder": "vgg16", "method": "style_kernel"}
    page = tables.markdown({"subject": subject, "parts": parts})
    assert "| pixels | style encoded before | each time | other, before | other, each time |" in page
    assert "| 512 x 512 | 0.500 | 0.800 | 0.250 | 0.400 | 2.00 | 0.0350 | 0.00500 | 7.00 |" in page
    assert "| 64 x 64 | 0.0100 | 0.0200 |  |  |  |  |  |  |" in page
    assert "| ours | 2.50 | 0.250 |" in page and "| other | 4.00 | 0.400 |" in page
    assert "Ours over other: 0.62 (of means), 0.62 (median of pairs). The paper's over AdaIN: 0.55" in page
    assert "| 4000 x 4000 | 300 | 1.50 |" in page and "Titan" not in page


@pytest.mark.slow
def test_style_kernels_are_evaluated_by_the_kind_of_their_weights(setting: Path, tmp_path: Path) -> None:
    weights, output = tmp_path / "kernels.safetensors", tmp_path / "r"
    style_kernel.save(weights, style_kernels.perturbed(style_kernels.lite()))
    flags = ["--weights", str(weights), "--beside", str(setting / "mine.safetensors"), "--pairs", "1"]
    parts = ["--table1-repeats", "1", "--table1-sizes", "32", "--table2-pairs", "1", "--command-sizes", "44"]
    assert evaluate.main([*arguments(setting, output), *flags, *parts]) == 0
    found = read(output)
    assert found["subject"]["method"] == "style_kernel"
    assert list(found["parts"]) == ["scores", "table1", "table2", "command"]
    folders = str(setting / "content"), str(setting / "style")
    (pair,) = pairs.held_out(*folders, holdout=3, seed=0, size=SIZE, count=1)
    picture = repaint(pair.content, pair.style, methods.load(str(weights)))
    networks = metrics.load_networks()
    scores = metrics.scores(networks, pair.content, pair.style, to_float([to_uint8(picture)])[0])
    assert found["parts"]["scores"]["rows"][pair.name]["lpips"] == pytest.approx(float(scores["lpips"]), rel=1e-3)
    losses = found["parts"]["table2"]["rows"][pair.name]
    expected = [metrics.gram_style_loss(networks, x, pair.style) for x in (pair.content, picture)]
    assert [losses["photo"], losses["style_loss"]] == pytest.approx([float(x) for x in expected], rel=1e-3)
    assert losses["beside"] > 0 and losses["beside"] != losses["style_loss"]
    assert set(found["parts"]["table1"]["rows"]["32"]) == {"without", "with", "beside_without", "beside_with", "of"}
    cost = found["parts"]["command"]["rows"]["44"]
    assert 0 < cost["seconds"] < 600 and cost["peak_bytes"] > 10**8


def test_a_command_that_fails_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(measure.MeasureError, match=r"^painting 16 x 16 pixels failed; is the memory too small\?$"):
        measure.command_cost(str(tmp_path / "none.safetensors"), 16)


def test_timing_leaves_the_first_call_out(monkeypatch: pytest.MonkeyPatch) -> None:
    lasts = [9.0, 9.0, 5.0, 1.0, 1.0, 2.0, 3.0, 4.0]  # the first round compiles; then both in turns
    clock = iter([time for i, last in enumerate(lasts) for time in (10.0 * i, 10.0 * i + last)])
    calls: list[str] = []
    monkeypatch.setattr(measure.time, "perf_counter", lambda: next(clock))
    monkeypatch.setattr(adain, "encode_style", lambda model, style: calls.append("encode"))
    monkeypatch.setattr(adain, "stylize", lambda *args: calls.append("stylize") or jnp.zeros(()))
    found = measure.table1(None, 8, 3)  # type: ignore[arg-type]
    assert found == {"without": 3.0, "with": 2.0}  # medians of 5, 1, 3 and of 1, 2, 4
    assert calls == ["encode", *["stylize", "encode", "stylize"] * 4]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ("--pairs 0", "pairs: 0; expected at least 1"),
        ("--pairs 4", "pairs: 4; only 3 of each set are held out"),
        ("--size 36", "size: 36; expected 32, 40, 48"),
        ("--figure3-iterations 1,x", "figure3_iterations: '1,x'"),
        ("--style none", "content, style: give both"),
        ("--content none --style none", "content, style: needed for the scores"),
        ("--pairs-file p.tsv", "content, style: give both, or --pairs-file"),
        ("--holdout 9", "holdout: 9 of 4 pictures"),
        ("--weights nothing", "nothing: no such weight file"),
        ("--weights vgg16", "vgg16: holds weights of kind 'vgg'; needed is adain or style_kernel"),
        ("--beside nothing", "nothing: no such weight file"),
        ("--command-sizes 0", "command_sizes: '0'"),
        ("--vgg nothing", "nothing: no such weight file"),
        ("--content nowhere", "nowhere: not a folder"),
        ("--content none --style none --pairs-file nowhere.tsv", "nowhere.tsv: cannot be read"),
    ],
)
def test_wrong_usage_gives_one_line(
    setting: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], change: str, words: str
) -> None:
    try:
        code = evaluate.main([*arguments(setting, tmp_path / "r"), *change.split()])
    except SystemExit as exit:
        code = exit.code  # type: ignore[assignment]
    found = capsys.readouterr()
    assert code == 2 and words in found.err and found.err.count("\n") == 1 and not found.out
    assert list(tmp_path.iterdir()) == []


def test_an_output_that_cannot_be_written_is_told_before_anything_is_made(
    setting: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    forbid(monkeypatch, "score")
    (tmp_path / "file").touch()
    pictures = ["--pictures", str(tmp_path / "file")]
    for wrong in (arguments(setting, tmp_path / "file" / "r"), arguments(setting, tmp_path / "r", *pictures)):
        assert evaluate.main(wrong) == 2
        assert capsys.readouterr().err == f"train.evaluate: {tmp_path}/file: no folder to write to: File exists\n"


@pytest.mark.parametrize(
    ("error", "words"),
    [(MemoryError("no"), "out of"), (RuntimeError("RESOURCE_EXHAUSTED: no"), "the device is out of")],
    ids=["host", "device"],
)
def test_an_end_of_memory_is_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], error: Exception, words: str
) -> None:
    def fail(config: evaluate.Config) -> Path:
        raise error

    monkeypatch.setattr(evaluate, "evaluate", fail)
    assert evaluate.main(["--output", "r", "--no-scores"]) == 1
    assert capsys.readouterr().err.startswith(f"train.evaluate: {words} memory; a smaller --size, or")


def test_results_of_other_weights_are_not_overwritten(
    setting: Path, scored: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = scored.with_suffix(".json").read_text()
    assert evaluate.main([*arguments(setting, scored), "--weights", "adain_vgg16"]) == 2
    assert "holds results of weights mine" in capsys.readouterr().err
    assert scored.with_suffix(".json").read_text() == before
