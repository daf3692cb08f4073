"""What the evaluation of generalizable INR measures, keeps and says; its errors."""

import json
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image

from jaxstyle.methods import inr
from jaxstyle.methods.generalizable_inr import code as codes
from jaxstyle.metrics import metrics
from tests.conditioned import field_of
from train.evaluate import generalizable_inr as module
from train.evaluate import measure_inr, measure_starts
from train.evaluate.tables_generalizable_inr import BUDGETS, markdown
from train.pairs import Pair

MADE = {"settings": {"size": 64}, "environment": {"device": "cpu: slow", "jax": "0.1"}}


def smooth(seed, side=64):
    x, y = np.meshgrid(*[np.linspace(0, 1, side, dtype=np.float32)] * 2)
    a, b, c = np.random.default_rng(seed).uniform(2, 9, 3)
    return np.stack([0.5 + 0.4 * np.sin(a * x + b * y), 0.5 + 0.4 * np.cos(c * x), x * y], -1).astype(np.float32)


# ---- budgets -----------------------------------------------------------------------------------------------


def test_the_shipped_budget_is_the_code_of_the_method() -> None:
    photo = np.random.default_rng(0).random((32, 48, 3), np.float32)
    code = codes.Code(*(leaf[0] for leaf in codes.analyse(jnp.asarray(photo)[None])))
    wanted = codes.on_grid(code, jnp.arange(48) + 0.5, jnp.arange(32) + 0.5) @ codes.COLOURS
    assert codes.PHOTO in BUDGETS
    np.testing.assert_allclose(module.coded(photo, codes.PHOTO), wanted, atol=1e-4)


def test_more_control_points_hold_more() -> None:
    photo = np.random.default_rng(0).random((64, 64, 3), np.float32)
    row = module.budget(photo)
    values = [row[f"{a}x{b}"] for a, b in BUDGETS]
    assert len(values) == len(BUDGETS) and values == sorted(values)
    assert values[-1] > 50  # as many as pixels
    np.testing.assert_allclose(module.coded(np.full((32, 32, 3), 0.3, np.float32), (3, 1)), 0.3, atol=1e-4)


# ---- the command -------------------------------------------------------------------------------------------


@pytest.fixture
def setting(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Two pairs of pictures; the flags that name them; what is slow is not computed."""
    monkeypatch.setenv("JAXSTYLE_CACHE_DIR", "off")
    for number in range(3):
        Image.fromarray((255 * smooth(number)).astype(np.uint8)).save(tmp_path / f"{number}.png")
    (tmp_path / "pairs.tsv").write_text("".join(f"{tmp_path}/{i}.png\t{tmp_path}/2.png\n" for i in range(2)))
    monkeypatch.setattr(metrics, "load_networks", lambda: None)
    monkeypatch.setattr(module, "load_model", lambda name: None)
    monkeypatch.setattr(module, "load_any", lambda name: None)
    return ["--output", str(tmp_path / "out" / "r"), "--pairs-file", str(tmp_path / "pairs.tsv"), "--size", "64"]


def row(k: float) -> dict[str, float]:
    found = {"style_ratio": k, "gram_ratio": k, "content_ratio": 2 * k, "lpips": 0.5 * k}
    return found | {"lattice_8": 2.0 * k, "lattice_4": 1.0}


def full(k: float) -> dict[str, float]:
    return row(k) | {"psnr_alpha0": 30 + k, "numbers": 64896, "photo_lattice_8": 1.0, "photo_lattice_4": 1.0}


def steps() -> dict[str, object]:
    curve = {"0": 9.0, "30": 4.0, "60": 3.0, "114": 2.5, "228": 2.25}
    return {"steps": 570, "fresh": 2.75, "condition": curve, "needed": 114}


def test_all_parts_are_made_once(setting: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[str] = []

    def note(name: str, value: dict[str, object]) -> object:
        return lambda *arguments: made.append(name) or value

    both = {"lpips": 0.2, "ssim": 0.9, "psnr": 30.0}
    monkeypatch.setattr(module, "conditioned", note("conditioned", full(0.5)))
    monkeypatch.setattr(module, "stylized", note("stylized", row(0.25)))
    monkeypatch.setattr(module, "enlarged", note("enlarged", {"render": both | {"lpips": 0.1}, "bicubic": both}))
    monkeypatch.setattr(module, "conditioning", note("conditioning", {"processor": 2.0, "seconds": 1.0}))
    cost = {"processor": 4.0, "seconds": 3.0, "calls": 1, "peak_bytes": 1 << 29}
    monkeypatch.setattr(module, "rendering", note("rendering", cost))
    monkeypatch.setattr(measure_starts, "saving", lambda model, pair, counts: made.append("saving") or steps())
    flags = [*setting, "--large", "64", "--beside", "adain_vgg16", "--sizes", "100,40"]
    assert module.main(flags) == 0
    names = ("conditioned", "stylized", "enlarged", "conditioning", "rendering", "saving")
    assert made == [name for name in names for _ in "ab"]
    parts = json.loads((tmp_path / "out" / "r.json").read_text())["parts"]
    assert list(parts) == ["scores", "scores adain_vgg16", "budgets", "larger", "costs", "steps"]
    assert list(parts["scores"]["rows"]) == ["0 + 2", "1 + 2"] and list(parts["budgets"]["rows"]) == ["0", "1"]
    page = (tmp_path / "out" / "r.md").read_text()
    assert "| rendered is better, of 2 | 2 | 0 | 0 |" in page
    assert "| 0 + 2 | 2.75 | 9.00 | 4.00 | 3.00 | 2.50 | 2.25 | 114 |" in page
    made.clear()
    assert module.main(flags) == 0 and not made
    real = module.weights.header
    monkeypatch.setattr(
        module.weights, "header", lambda name: real(name) | ({"sha256": "new"} if "generalizable" in name else {})
    )
    assert module.main(flags) == 0  # other weights of the method: the others' rows and the code's are as they were
    assert set(made) == {"conditioned", "enlarged", "conditioning", "rendering", "saving"}


def test_fits_of_the_first_pairs(setting: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    spec = inr.Spec(octaves=1, latent=2, width=4, depth=2, skip=0, bottleneck=2)
    inr.save(tmp_path / "fit.safetensors", inr.init(jax.random.key(0), spec, size=(64, 64)))
    monkeypatch.setattr(module, "conditioned", lambda *arguments: full(0.5))
    monkeypatch.setattr(module, "judged", lambda networks, pair, output: row(float(output.mean())))
    flags = [*setting, "--parts", "scores", "--beside", "", "--inr", str(tmp_path / "fit.safetensors")]
    assert module.main(flags) == 0
    rows = json.loads((tmp_path / "out" / "r.json").read_text())["parts"]["scores INR-st, fast"]["rows"]
    assert list(rows) == ["0 + 2"]
    shown = np.asarray(inr.render_image(inr.load(tmp_path / "fit.safetensors"), (64, 64), 1.0))
    assert rows["0 + 2"]["style_ratio"] == pytest.approx(float(shown.mean()))


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--parts", "scores,colours"], "parts: 'scores,colours'; expected some of scores,budgets,larger,costs,steps"),
        (["--large", "100"], "large: 100; expected 64, 96, 128, ..."),
        (["--inr", "a.safetensors", "--inr-pairs", "1"], "inr_pairs: only without --inr"),
        (["--pairs-file", "none.tsv"], "none.tsv: cannot be read"),
    ],
)
def test_mistakes_are_one_line(
    setting: list[str], capsys: pytest.CaptureFixture[str], flags: list[str], message: str
) -> None:
    try:
        code = module.main([*setting, *flags])
    except SystemExit as exit:
        code = exit.code  # type: ignore[assignment]
    assert code == 2 and message in capsys.readouterr().err


# ---- rows --------------------------------------------------------------------------------------------------


def test_scores_are_of_the_picture_and_its_pattern() -> None:
    """A photo as its own result: nothing is between them; its lattice is the photo's."""
    photo = smooth(0)
    found = module.judged(metrics.load_networks(), Pair("a + b", photo, smooth(1)), photo)
    assert found["lpips"] == pytest.approx(0, abs=1e-5) and found["content_ratio"] == pytest.approx(0, abs=1e-4)
    assert found["style_ratio"] == pytest.approx(1, rel=1e-3)
    weave = photo + 0.05 * np.sin(np.arange(64) * (2 * np.pi / 8))[None, :, None].astype(np.float32)
    woven = module.judged(metrics.load_networks(), Pair("a + b", photo, smooth(1)), np.clip(weave, 0, 1))
    assert woven["lattice_8"] > 2 * found["lattice_8"]


def test_the_page_has_ratios_to_the_photos_and_lowest_values() -> None:
    parts = {
        "scores": {**MADE, "rows": {"a": full(1.0), "b": full(3.0) | {"photo_lattice_8": 3.0}}},
        "scores other": {**MADE, "rows": {"a": row(1.0)}},
    }
    page = markdown({"subject": {"method": "generalizable_inr"}, "parts": parts})
    assert "64896 numbers" in page and "On cpu: slow" in page
    assert "| generalizable_inr | 2 | 2.00 | 2.00 | 4.00 | 1.00 | 2.00 | 1.00 | 32.0 | 31.0 |" in page
    assert "| other | 1 | 1.00 | 1.00 | 2.00 | 0.500 | 2.00 | 1.00 |  |  |" in page


@pytest.mark.slow
def test_steps_are_those_after_which_the_objective_is_that_of_a_fresh_fit(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a fresh fit that is no better than the start the first number is enough, of one that is perfect none."""
    pair = Pair("a + b", smooth(0, 32), np.random.default_rng(0).random((32, 32, 3), np.float32))
    field, asked = field_of(pair.content, pair.content), []
    monkeypatch.setattr(measure_starts.ginr, "condition", lambda *arguments: field)
    monkeypatch.setattr(
        measure_starts, "fit", lambda *arguments, **options: asked.append((arguments, options)) or field
    )
    found = measure_starts.saving(None, pair, (4, 8))  # type: ignore[arg-type]
    assert found["condition"]["0"] == found["fresh"] > found["condition"]["4"] > found["condition"]["8"]
    assert found["needed"] == 4 and found["steps"] == 570 and list(found["condition"]) == ["0", "4", "8"]
    assert asked[0][0][2] == "fast" and asked[0][1] == {"size": 32}
    values = iter([2.0, 5.0, 3.0])
    monkeypatch.setattr(measure_starts, "_objective", lambda *arguments: next(values))
    assert measure_starts.saving(None, pair, (1,))["needed"] is None  # type: ignore[arg-type]


@pytest.mark.slow
def test_costs_are_of_processes_that_render(monkeypatch: pytest.MonkeyPatch) -> None:
    model = module.load_model("generalizable_inr")
    found = module.rendering(model, 40, 1, seen=64)
    assert found["calls"] == 1 and found["processor"] > 0 and 1 << 26 < found["peak_bytes"] < 1 << 31
    assert measure_inr.bands(40) == [(0, 40)]
