"""The command that makes INR-st's tables: which fits it takes, what it keeps, and its errors."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jax
import numpy as np
import pytest
from PIL import Image

import jaxstyle
from jaxstyle.methods import inr
from jaxstyle.metrics import metrics
from train.evaluate import inr as evaluate_inr
from train.evaluate import measure_inr
from train.inr_pairs import read_file

SPEC = inr.Spec(octaves=1, latent=2, width=4, depth=2, skip=0, bottleneck=2)
SIZE = 32


@pytest.fixture(scope="module", autouse=True)
def _no_cache_of_the_user() -> Iterator[None]:
    """The command would keep compiled code in the user's cache folder."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("JAXSTYLE_CACHE_DIR", "off")
        yield


@pytest.fixture(scope="module")
def setting(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """``pairs.tsv`` of two pairs, and fits of them: ``a0``, ``a1`` and, without reweighting, ``b0``, ``b1``."""
    root = tmp_path_factory.mktemp("evaluate_inr")
    rng = np.random.default_rng(0)
    for name, shape in {"p0": (40, 48), "p1": (60, 40), "s": (44, 44)}.items():
        coarse = rng.integers(0, 256, (shape[0] // 4, shape[1] // 4, 3), dtype=np.uint8)
        Image.fromarray(np.repeat(np.repeat(coarse, 4, 0), 4, 1)).save(root / f"{name}.png")
    (root / "pairs.tsv").write_text("".join(f"{root}/p{i}.png\t{root}/s.png\n" for i in range(2)))
    for i, pair in enumerate(read_file(str(root / "pairs.tsv"), SIZE)):
        for kind, seed in {"a": i, "b": 7 + i}.items():
            params = inr.init(jax.random.key(seed), SPEC, size=pair.size)
            inr.save(root / f"{kind}{i}.safetensors", params, **({"seconds": f"{60 * (i + 1)}"} if kind == "a" else {}))
    return root


def files(root: Path, kind: str) -> str:
    return ",".join(str(root / f"{kind}{i}.safetensors") for i in range(2))


def arguments(root: Path, output: Path, *more: str) -> list[str]:
    return ["--output", str(output), "--pairs-file", str(root / "pairs.tsv"), "--size", str(SIZE), *more]


def read(output: Path) -> dict[str, Any]:
    return json.loads(output.with_suffix(".json").read_text())["parts"]  # type: ignore[no-any-return]


@pytest.fixture
def cheap(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Any, ...]]:
    """Instead of measuring, notes what would be measured."""
    made: list[tuple[Any, ...]] = []

    def cost(file: str, size: int, repeats: int) -> dict[str, Any]:
        made.append(("cost", Path(file).name, size, repeats))
        return {"seconds": 1.0, "calls": repeats, "peak_bytes": 1 << 30}

    def ends(networks: Any, params: inr.InrParams, content: np.ndarray, style: np.ndarray) -> dict[str, Any]:
        made.append(("ends", float(params.z_c[0]), content.shape, style.shape))
        both = {"0": 1.0, "1": 0.5}
        return {"gram": both, "ssim": both, "gram_reached": both, "ssim_reached": both}

    def controllability(params: inr.InrParams, content: np.ndarray, pixels: int, seed: int) -> dict[str, Any]:
        made.append(("controllability", float(params.z_c[0]), pixels, seed))
        return {"1": {"to_reconstruction": 0.0, "to_content": 1.0}}

    def disentanglement(networks: Any, params: inr.InrParams, content: np.ndarray, style: np.ndarray) -> dict[str, Any]:
        made.append(("disentanglement", float(params.z_c[0])))
        return {"psnr": [1.0] * 5, "gram": [1.0] * 5, "psnr_steps": [1.0] * 4, "gram_steps": [1.0] * 4}

    for name, fake in {"render_cost": cost, "ends": ends, "controllability": controllability}.items():
        monkeypatch.setattr(measure_inr, name, fake)
    monkeypatch.setattr(measure_inr, "disentanglement", disentanglement)
    monkeypatch.setattr(metrics, "load_networks", lambda: None)
    return made


def latent(root: Path, name: str) -> float:
    return float(inr.load(root / f"{name}.safetensors").z_c[0])


def test_every_table_is_of_the_given_fits(setting: Path, tmp_path: Path, cheap: Any) -> None:
    output = tmp_path / "r"
    lists = ["--inr", files(setting, "a"), "--unweighted", files(setting, "b")]
    more = ["--sizes", "40,24", "--repeats", "2", "--pixels", "5", "--seed", "3"]
    assert evaluate_inr.main(arguments(setting, output, *lists, *more)) == 0
    a0, a1, b0, b1 = (latent(setting, name) for name in ("a0", "a1", "b0", "b1"))
    assert cheap[:2] == [("cost", "a0.safetensors", 24, 2), ("cost", "a0.safetensors", 40, 2)]
    shapes = [((29, 35, 3), (32, 32, 3)), ((39, 26, 3), (32, 32, 3))]
    assert cheap[2:4] == [("ends", a0, *shapes[0]), ("ends", a1, *shapes[1])]
    assert cheap[4:6] == [("controllability", a0, 5, 3), ("controllability", a1, 5, 3)]
    assert [latent for _, latent in cheap[6:]] == [a0, b0, a1, b1]
    parts = read(output)
    assert parts["table1"]["rows"]["fit"]["seconds"] == [60.0, 120.0]
    assert list(parts["table4"]["rows"]["p0_s"]) == ["weighted", "unweighted", "of"]
    page = output.with_suffix(".md").read_text()
    assert "One fit took 1.5 minutes (median of 2)" in page and "| d = 1 | 0.00 | 1.00 | 0.326 |" in page
    cheap.clear()
    assert evaluate_inr.main(arguments(setting, output, *lists, *more)) == 0 and cheap == []


def test_tables_are_made_one_by_one_and_only_once(setting: Path, tmp_path: Path, cheap: Any) -> None:
    output, fits = tmp_path / "r", ["--inr", files(setting, "a")]
    assert evaluate_inr.main(arguments(setting, output, *fits, "--tables", "3")) == 0
    assert list(read(output)) == ["table3"] and len(cheap) == 2
    assert evaluate_inr.main(arguments(setting, output, *fits, "--tables", "4,3")) == 0
    assert list(read(output)) == ["table3", "table4"] and len(cheap) == 4
    assert "unweighted" not in read(output)["table4"]["rows"]["p0_s"]
    assert evaluate_inr.main(arguments(setting, output, "--inr", files(setting, "b"), "--tables", "3")) == 0
    assert len(cheap) == 6  # other fits


def test_pairs_are_fitted_once_with_and_without_reweighting(
    setting: Path, tmp_path: Path, cheap: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    fitted: list[tuple[Any, ...]] = []

    def fit(content: np.ndarray, style: np.ndarray, schedule: Any, *, seed: int, vgg: str) -> inr.InrParams:
        fitted.append((content.shape, schedule.loss.reweighting, schedule.steps, schedule.size, seed, vgg))
        return inr.init(jax.random.key(len(fitted)), SPEC, size=content.shape[1::-1])

    monkeypatch.setattr(jaxstyle, "fit", fit)
    output, flags = tmp_path / "r", ["--preset", "preview", "--steps", "9", "--seed", "5"]
    assert evaluate_inr.main(arguments(setting, output, *flags, "--tables", "2")) == 0
    assert fitted == [((h, w, 3), "exponential", 9, SIZE, 5, "vgg16") for h, w in ((29, 35), (39, 26))]
    assert evaluate_inr.main(arguments(setting, output, *flags, "--tables", "2,4")) == 0
    assert [entry[1] for entry in fitted[2:]] == ["none", "none"]
    (tmp_path / "r.fits" / "001.safetensors").unlink()
    assert evaluate_inr.main(arguments(setting, output, *flags, "--tables", "1,2,4", "--sizes", "16")) == 0
    assert len(fitted) == 5 and fitted[4][0] == (39, 26, 3)
    assert len(read(output)["table1"]["rows"]["fit"]["seconds"]) == 2
    assert "preset preview, steps 9, seed 5" in output.with_suffix(".md").read_text()
    assert evaluate_inr.main(arguments(setting, output, "--preset", "fast")) == 2  # holds results of another preset
    assert len(fitted) == 5


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ("--tables 2,6", "tables: '2,6'; expected some of 1,2,3,4,5"),
        ("--pixels 0", "pixels: 0; expected at least 1"),
        ("--size 8", "size: 8; expected at least 16"),
        ("--sizes 1,x", "sizes: '1,x'; expected positive whole numbers"),
        ("--content x", "pairs_file: give it, or --content and --style instead"),
        ("--unweighted x", "unweighted: only together with --inr"),
        ("--preset slow", "invalid choice: 'slow'"),
        ("--inr one.safetensors", "inr: 1 files for 2 pairs; give one for each"),
        ("--inr a,b", "a: no such file; expected a fitted picture"),
        ("--pairs-file nowhere.tsv", "nowhere.tsv: cannot be read"),
        ("--inr SWAPPED", "fitted at 26 x 39 pixels; p0_s has 35 x 29, see --size"),
    ],
)
def test_wrong_usage_gives_one_line(
    setting: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], change: str, words: str
) -> None:
    swapped = ",".join(str(setting / f"a{i}.safetensors") for i in (1, 0))
    try:
        code = evaluate_inr.main([*arguments(setting, tmp_path / "r"), *change.replace("SWAPPED", swapped).split()])
    except SystemExit as exit:
        code = exit.code  # type: ignore[assignment]
    found = capsys.readouterr()
    assert code == 2 and words in found.err and found.err.count("\n") == 1 and not found.out
    assert list(tmp_path.iterdir()) == []


def test_an_output_that_cannot_be_written_is_told_before_anything_is_fitted(
    setting: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(jaxstyle, "fit", None)
    (tmp_path / "file").touch()
    assert evaluate_inr.main(arguments(setting, tmp_path / "file" / "r")) == 2
    message = f"train.evaluate_inr: {tmp_path}/file: no folder to write to: File exists\n"
    assert capsys.readouterr().err == message


@pytest.mark.parametrize(
    ("error", "words"),
    [(MemoryError("no"), "out of"), (RuntimeError("RESOURCE_EXHAUSTED: no"), "the device is out of")],
    ids=["host", "device"],
)
def test_an_end_of_memory_is_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], error: Exception, words: str
) -> None:
    def fail(config: evaluate_inr.Config) -> Path:
        raise error

    monkeypatch.setattr(evaluate_inr, "evaluate", fail)
    assert evaluate_inr.main(["--output", "r", "--pairs-file", "p"]) == 1
    assert capsys.readouterr().err.startswith(f"train.evaluate_inr: {words} memory; a smaller --size, or")


def test_a_failed_rendering_is_no_usage_error(
    setting: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(*args: Any, **options: Any) -> None:
        raise measure_inr.MeasureError("rendering 16 x 16 pixels ended early")

    monkeypatch.setattr(measure_inr, "render_cost", fail)
    flags = ["--inr", files(setting, "a"), "--tables", "1"]
    assert evaluate_inr.main(arguments(setting, tmp_path / "r", *flags)) == 1
    assert capsys.readouterr().err.endswith("train.evaluate_inr: rendering 16 x 16 pixels ended early\n")


@pytest.mark.slow
def test_all_of_it_from_two_pictures(setting: Path, tmp_path: Path) -> None:
    (tmp_path / "one.tsv").write_text((setting / "pairs.tsv").read_text().splitlines()[0])
    output = tmp_path / "r"
    flags = ["--pairs-file", str(tmp_path / "one.tsv"), "--size", str(SIZE), "--preset", "paper", "--steps", "3"]
    flags += ["--sizes", "16", "--repeats", "1", "--pixels", "2"]
    assert evaluate_inr.main(["--output", str(output), *flags]) == 0
    parts = read(output)
    assert list(parts) == [f"table{i}" for i in (1, 2, 3, 4)]
    assert parts["table3"]["rows"]["p0_s"]["1"]["to_reconstruction"] == 0
    weighted, unweighted = (parts["table4"]["rows"]["p0_s"][name] for name in ("weighted", "unweighted"))
    assert weighted["psnr"] != unweighted["psnr"]
    row = parts["table2"]["rows"]["p0_s"]
    assert row["gram"]["0"] == pytest.approx(weighted["gram"][0], rel=1e-4)
    assert parts["table1"]["rows"]["16"]["peak_bytes"] > 1 << 26
