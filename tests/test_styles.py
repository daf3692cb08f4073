"""Built-in styles: their facts and files, and that every front door takes a name."""

import json
import re
import shlex
from pathlib import Path

import numpy as np
import pytest

import jaxstyle
from jaxstyle import image, methods, styles
from jaxstyle.cli import stylize as verb
from jaxstyle.cli.main import VERBS, main, parse, parser
from jaxstyle.folders import find
from jaxstyle.folders.folder import is_batch
from jaxstyle.metrics import files as measuring
from jaxstyle.painting import fit, fit_file, fit_style
from jaxstyle.painting.names import default_output
from jaxstyle.painting.picture import load_model
from jaxstyle.painting.style_file import is_fitted, read_style, weights_for
from jaxstyle.sheet import focus
from jaxstyle.sheet.make import sheet
from jaxstyle.styles import FOLDER, STYLES, StyleNameError, named, path_of
from tests import recolour
from tests.test_fit_style import METHOD

ROOT = Path(__file__).parents[1]
WAVES = str(FOLDER / "waves.jpg")


class Reached(Exception):
    """Raised where a test has seen enough."""


@pytest.fixture
def place(pictures, monkeypatch):
    """`pictures`, and a quick model."""
    monkeypatch.setitem(methods.METHODS, "recolour", METHOD)
    load_model.cache_clear()
    recolour.save("model.safetensors", recolour.init(), licence="none")
    yield pictures
    load_model.cache_clear()


# ---- facts and files -----------------------------------------------------------------------------------------


def test_there_are_enough_and_they_are_small():
    files = {path.stem: path for path in FOLDER.glob("*.jpg")}
    assert set(files) == set(STYLES) and len(files) >= 16
    assert sum(path.stat().st_size for path in files.values()) <= 1_500_000
    assert list(STYLES) == sorted(STYLES)
    for name, path in files.items():
        height, width = image.dimensions(path)
        assert 256 <= min(height, width) <= 512, name
        assert re.fullmatch("[a-z]+(-[a-z]+)*", name)


@pytest.mark.parametrize("name", STYLES)
def test_every_fact_is_there(name):
    facts = STYLES[name]
    assert all(isinstance(text, str) and text.strip() == text != "" for text in facts if text != facts.year)
    assert facts.rights in ("public domain", "CC0-1.0") and 1400 < facts.year <= 2026
    if facts.rights == "CC0-1.0":
        assert "train.draw" in facts.source
    elif (ROOT / "examples" / "SOURCES.md").exists():
        lines = (ROOT / "examples" / "SOURCES.md").read_text(encoding="utf-8").splitlines()
        (line,) = (line for line in lines if f"style/{name.replace('-', '_')}.jpg |" in line)
        for text in (f"{facts.author}, *{facts.title}*, {facts.year}", facts.source, facts.rights):
            assert text in line


def test_no_two_look_alike():
    """Means and deviations of the colours differ, which is what a style is made of at the least."""
    pixels = [read_style(f"@{name}").pixels for name in STYLES]
    looks = np.array([np.concatenate([x.mean((0, 1)), x.std((0, 1))]) for x in pixels])
    apart = np.abs(looks[:, None] - looks[None]).max(-1) + np.eye(len(looks))
    assert apart.min() > 0.02


# ---- names ---------------------------------------------------------------------------------------------------


def test_a_name_is_its_file():
    assert path_of("@waves") == path_of(Path("@waves")) == WAVES
    for other in ("waves", "./@waves", Path("x/@waves"), None, 3):
        assert path_of(other) is other
    assert styles.absolute("@waves") == "@waves" and Path(styles.absolute("waves")).is_absolute()
    assert named("@*") == tuple(STYLES) and named("@w*") == ("watercolour", "waves", "woodcut")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("@starry_nigt", "@starry-night"),
        ("@Woodcut", "@woodcut"),
        ("@xyzzy", "jaxstyle styles lists them"),
        ("@", "jaxstyle styles lists them"),
        ("@x.safetensors", "no built-in style"),
        ("@../styles/waves", "no built-in style"),
        ("@w*", "a pattern, where one style"),
    ],
)
def test_what_is_no_name_is_told_with_those_that_are_near(text, words):
    for read in (path_of, read_style):
        with pytest.raises(StyleNameError) as told:
            read(text)
        assert words in str(told.value) and repr(text) in str(told.value) and "\n" not in str(told.value)
    assert not is_fitted(text)
    with pytest.raises(StyleNameError):
        jaxstyle.stylize(np.zeros((8, 8, 3), np.float32), text)


def test_a_name_without_its_mark_is_told(place):
    for read in (read_style, lambda text: jaxstyle.stylize(np.zeros((8, 8, 3), np.float32), text)):
        with pytest.raises(StyleNameError, match=r"^waves: no such file; did you mean @waves\?$"):
            read("waves")
    image.write("waves.png", np.full((8, 8, 3), 0.5, np.float32))
    Path("waves.png").rename("waves")
    assert read_style("waves").pixels.shape == (8, 8, 3)


def test_a_file_of_such_a_name_is_given_with_its_folder(place):
    image.write("@waves.png", np.full((8, 8, 3), 0.5, np.float32))
    Path("@waves").mkdir()
    image.write("@waves/inside.png", np.full((8, 8, 3), 0.5, np.float32))
    assert read_style("./@waves.png").pixels.shape == (8, 8, 3)
    assert read_style("@waves").pixels.shape[0] > 8
    assert [found.path for found in find.find(["./@waves"], "styles", style=True).pictures] == ["./@waves/inside.png"]
    assert [found.path for found in find.find(["@waves"], "styles", style=True).pictures] == ["@waves"]
    assert [found.path for found in find.find(["@waves.png"], "photos").pictures] == ["@waves.png"]
    assert not is_batch(["photo.png"], ["@waves"]) and is_batch(["photo.png"], ["@*"])


def test_results_have_the_name():
    assert default_output("a/photo.png", ["@starry-night", "x/two.jpg"]).name == "photo_stylized_starry-night_two.png"
    assert weights_for(["@waves", "@mosaic"], "model") == "model"


# ---- front doors ---------------------------------------------------------------------------------------------


def test_pictures_and_files(place):
    model = load_model("model.safetensors")
    expected = np.asarray(jaxstyle.stylize("photo.png", WAVES, model=model))
    np.testing.assert_array_equal(np.asarray(jaxstyle.stylize("photo.png", "@waves", model=model)), expected)
    for tile in (None, 16):
        options = {} if tile is None else {"tile": tile}
        report = jaxstyle.stylize_file(
            "photo.png", "@waves", f"{tile}.png", weights_file="model.safetensors", **options
        )
        assert report.style == ("@waves",)
        assert np.abs(image.read(report.output).pixels * 255 - expected).max() <= 1
    with pytest.raises(image.ImageError, match="source itself"):
        jaxstyle.stylize_file("photo.png", "@waves", WAVES, weights_file="model.safetensors", overwrite=True)
    cells = [sheet(["photo.png"], [look], model=model, cell=32).pixels[:32] for look in ("@waves", WAVES)]
    np.testing.assert_array_equal(*cells)


def test_the_command_mixes_names_and_files(place, capsys):
    words = ["stylize", "photo.png", "--style", "@waves", "painting.png", "--weights-file", "model.safetensors"]
    assert main(words) == 0
    assert Path("photo_stylized_waves_painting.png").exists()
    assert main([*words[:3], "@wavs", "--json"]) == 2
    said = capsys.readouterr().err.strip().splitlines()
    assert said[-1].startswith("jaxstyle: '@wavs': no built-in style") and "@waves" in said[-1]


def test_folders_keep_names_in_their_manifests(place, monkeypatch):
    options = {"weights_file": str(place / "model.safetensors")}
    report = jaxstyle.stylize_folder("photo.png", "@w*", "out", **options)
    made = {path.name for path in Path("out").glob("*.png")}
    assert made == {f"photo_stylized_{name}.png" for name in named("@w*")} and report.done == 3
    records = [json.loads(line) for line in Path(report.manifest).read_text().splitlines()]
    assert {tuple(record["style"]) for record in records if record.get("status") == "done"} == {
        (f"@{name}",) for name in named("@w*")
    }
    (place / "elsewhere").mkdir()
    monkeypatch.chdir(place / "elsewhere")
    again = jaxstyle.stylize_folder(place / "photo.png", "@w*", place / "out", **options)
    assert (again.kept, again.done) == (3, 0)


def test_data_sets_and_transforms(place):
    Path("set").mkdir()
    for name in "abc":
        image.write(f"set/{name}.png", image.read("photo.png").pixels)
    options = {"seed": 1, "weights_file": "model.safetensors"}
    report = jaxstyle.stylize_dataset("set", "out", ["@*", "painting.png"], **options)
    assert report.done == 3
    restyle = jaxstyle.StyleTransform(["@*", "painting.png"], **options)
    assert len(restyle.styles) == len(STYLES) + 1 and "@waves" in restyle.styles
    for name in "abc":
        (made,) = Path("out").glob(f"{name}_stylized_*.png")
        look = restyle.styles[restyle.draw(f"{name}.png").style]
        assert made.stem == f"{name}_stylized_{Path(look).stem.lstrip('@')}"
        pixels = np.asarray(restyle(image.to_pil(image.read("photo.png")), f"{name}.png"))
        assert np.abs(image.read(made).pixels * 255 - pixels).max() <= 1
    assert jaxstyle.StyleTransform("@waves").styles == ("@waves",)


def test_focus_reads_it(place, monkeypatch):
    def seen(loaded, photo, painting, at):
        raise Reached(painting.shape)

    monkeypatch.setattr(focus, "looked_up", seen)
    monkeypatch.setattr(focus.methods, "load", lambda name: name)
    with pytest.raises(Reached, match=re.escape(str(read_style("@waves").pixels.shape))):
        focus.focus_file("photo.png", "@waves", "page.png", [(1, 1)])


def test_fits_read_it(place, monkeypatch):
    def seen(key, photo, painting, *rest, **more):
        raise Reached(painting.shape)

    monkeypatch.setattr(fit.loop, "fit", seen)
    monkeypatch.setattr(fit, "repainted", lambda *given: None)
    with pytest.raises(Reached, match=re.escape(str(read_style("@waves").pixels.shape))):
        jaxstyle.fit("photo.png", "@waves", "preview")

    def sizes(schedule, encoder, *, content, style):
        raise Reached(style)

    monkeypatch.setattr(fit_file, "check_sizes", sizes)
    found = []
    for look in ("@waves", WAVES):
        with pytest.raises(Reached) as reached:
            fit_file.fit_file("photo.png", look, "fit.safetensors", "preview")
        found.append(reached.value.args[0])
    np.testing.assert_array_equal(*found)


def test_models_are_fitted_to_it(place):
    report = fit_style.fit_style_file(
        "@waves", "waves.safetensors", ["photo.png"], weights_file="model.safetensors", steps=1
    )
    assert report.style == "@waves"
    np.testing.assert_allclose(read_style("waves.safetensors").pixels, read_style("@waves").pixels, atol=1e-6)
    fitted = jaxstyle.fit_style("@waves", ["photo.png"], model=load_model("model.safetensors"), steps=1)
    assert fitted.method is METHOD


def test_metrics_measure_against_it(place, monkeypatch):
    def seen(networks, photo, painting, made):
        raise Reached(painting)

    monkeypatch.setattr(measuring.metrics, "load_networks", lambda: None)
    monkeypatch.setattr(measuring.metrics, "measure", seen)
    image.write("made.png", image.read("photo.png").pixels)
    found = []
    for look in ("@waves", WAVES):
        with pytest.raises(Reached) as reached:
            measuring.measure_files("photo.png", look, ["made.png"], size=(64, 48))
        found.append(reached.value.args[0])
    np.testing.assert_array_equal(*found)


def test_the_studio_offers_them():
    app = pytest.importorskip("jaxstyle.studio.app")
    shown = app.create().state.studio
    assert [one["id"] for one in shown.examples["paintings"]] == [f"example-{name}" for name in STYLES]
    assert {shown.painter.examples[f"example-{name}"].path for name in STYLES} == {f"@{name}" for name in STYLES}


# ---- the verb ------------------------------------------------------------------------------------------------


def test_the_verb_lists_all_or_some(capsys):
    assert main(["styles"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == len(STYLES)
    for line, (name, facts) in zip(lines, STYLES.items(), strict=True):
        assert line.split()[0] == f"@{name}"
        assert all(str(fact) in line for fact in (facts.title, facts.author, facts.year, facts.rights))
    assert main(["styles", "@waves", "the-*", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert [one["name"] for one in found] == ["@waves", "@the-kiss", "@the-scream"]
    assert set(found[0]) == {"name", "title", "author", "year", "source", "rights", "file"}
    assert found[0]["file"] == WAVES
    assert main(["styles", "@wafes"]) == 2
    assert "@waves" in capsys.readouterr().err


def test_the_verb_makes_a_page(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(["styles", "waves", "the-scream", "-o", "page.png", "--cell", "64"]) == 0
    page = image.read("page.png").pixels
    assert f"{page.shape[1]} x {page.shape[0]} pixels" in capsys.readouterr().out
    small = image.resize(read_style("@waves").pixels, (64, 64))
    gap = 4
    np.testing.assert_allclose(page[gap : gap + 64, gap : gap + 64], small, atol=1 / 255)
    assert page[gap : gap + 64, 2 * gap + 64 : -gap].std() > 0.1
    before = Path("page.png").read_bytes()
    for more in ([], ["--overwrite", "--cell", "8"]):
        assert main(["styles", "-o", "page.png", *more]) == 2
        assert len(capsys.readouterr().err.strip().splitlines()) == 1
    assert Path("page.png").read_bytes() == before
    assert main(["styles", "-o", "page.png", "--overwrite"]) == 0


def test_every_verb_with_a_style_says_so():
    verbs = next(action for action in parser()._actions if isinstance(action.choices, dict)).choices
    for name in ("stylize", "stylize-dataset", "sheet", "compare", "focus", "fit", "fit-style", "metrics"):
        said = [action.help for action in verbs[name]._actions if action.dest in ("style", "styles")]
        assert said and all("@NAME" in text for text in said), name
    assert verb.EPILOG.count("@starry-night") == 1 and "styles" in VERBS
    assert parse(shlex.split("stylize photo.jpg --style @starry-night")).style == ["@starry-night"]


@pytest.mark.skipif(not (ROOT / "docs" / "styles.md").exists(), reason="not a checkout")
def test_the_page_of_the_docs_shows_them_all(tmp_path):
    shown = ROOT / "docs" / "styles.jpg"
    assert shown.stat().st_size <= 250_000
    assert main(["styles", "-o", str(tmp_path / "styles.jpg")]) == 0
    old, new = (image.read(path).pixels for path in (shown, tmp_path / "styles.jpg"))
    assert old.shape == new.shape and np.abs(old - new).mean() < 0.01
    text = (ROOT / "docs" / "styles.md").read_text(encoding="utf-8")
    assert "jaxstyle styles -o docs/styles.jpg" in text
    assert f"all {len(STYLES)} files" in text
