import json

import numpy as np
import pytest

from jaxstyle import image, methods
from jaxstyle.metrics import metrics
from jaxstyle.metrics.intervals import Interval
from jaxstyle.runtime import isolated
from jaxstyle.sheet import columns as columns_module
from jaxstyle.sheet import compare as module
from jaxstyle.sheet import compare_tables
from jaxstyle.sheet.columns import Column, Pair, columns, prepared
from jaxstyle.sheet.compare import compare_file, measured
from tests import recolour
from tests.pictures import smooth


@pytest.fixture
def files(pictures, monkeypatch):
    """Photos ``a.png`` and ``b.png`` in ``photos``, a painting ``look.png``; one method, in this process."""
    weights = str(pictures / "model.safetensors")
    recolour.save(weights, recolour.init(), licence="none")
    monkeypatch.setattr(methods, "METHODS", {"recolour": recolour.METHOD, "unshipped": recolour.METHOD})
    monkeypatch.setattr(methods, "shipped", lambda kind: (weights,) if kind == "recolour" else ())
    monkeypatch.setattr(isolated, "results", lambda run, *args: run(*args))
    (pictures / "photos").mkdir()
    for name, dark in (("a", 0.9), ("b", 0.5)):
        image.write(f"photos/{name}.png", dark * smooth(40, 52))
    image.write("look.png", np.random.default_rng(0).random((40, 52, 3), np.float32))
    return pictures


@pytest.fixture
def unmeasured(monkeypatch):
    """Instead of all measures the mean of the picture."""
    names = (*compare_tables.CONTENT, *compare_tables.STYLE)
    monkeypatch.setattr(module, "measured", lambda n, c, s, output: dict.fromkeys(names, float(output.mean())))


QUICK = {"methods": ["recolour"], "cell": 96, "size": 40}


def place(page, picture):
    """The left edge at which a picture stands on a page, pixel by pixel."""
    height, width = picture.shape[:2]
    for top, left in np.argwhere((page[: 1 - height, : 1 - width] == picture[0, 0]).all(-1)):
        if (page[top : top + height, left : left + width] == picture).all():
            return left
    raise AssertionError("it is not there")


# ---- columns -----------------------------------------------------------------------------------------------


def test_columns_are_all_methods_of_which_weights_are_shipped(files):
    weights = str(files / "model.safetensors")
    every = columns()
    assert [column.method for column in every] == ["recolour", "inr", "gatys"]
    assert every[0] == Column("recolour", "recolour", weights)
    assert [column.detail for column in every[1:]] == ["preview", "50 steps"]
    assert [column.method for column in columns(["gatys", "recolour"])] == ["gatys", "recolour"]


def test_the_shipped_methods_are_the_tables():
    expected = [kind for kind in methods.METHODS if methods.shipped(kind)]
    assert [column.method for column in columns()] == [*expected, "inr", "gatys"] and len(expected) > 1
    refined = [column for column in columns(refine=3) if column.refine]
    assert [column.method for column in refined] == [k for k in expected if methods.METHODS[k].objective is not None]
    names = [column.name for column in columns(refine=3)]
    assert len(set(names)) == len(names) and all(column.refine == 3 for column in refined)


@pytest.mark.parametrize(
    ("chosen", "refine", "words"),
    [
        (["recolor"], 0, "methods: expected some of recolour, inr, gatys, got 'recolor'"),
        (["unshipped"], 0, "methods: no weights of unshipped are shipped"),
        (["inr", "inr"], 0, "methods: expected each once, and at least one, got inr,inr"),
        ([], 0, "methods: expected each once, and at least one, got none"),
        (None, 5, "refine: none of recolour, inr, gatys can be refined"),
        (None, -1, "refine: "),
    ],
)
def test_columns_that_cannot_be(files, chosen, refine, words):
    with pytest.raises(ValueError, match=f"^{words}"):
        columns(chosen, refine)


def test_all_columns_see_the_same_pair(files):
    photo, painting = prepared(Pair("photos/a.png", "look.png"), 36)
    assert photo.shape == (36, 47, 3) and painting.shape == (40, 52, 3)  # neither is enlarged
    image.write("large.png", smooth(600, 700))
    photo, painting = prepared(Pair("photos/a.png", "large.png"), 1000)
    assert photo.shape == (40, 52, 3) and painting.shape == (256, 299, 3)
    with pytest.raises(metrics.MetricsError, match=r"^photo.png: 26 x 19 pixels; expected sides of at least 32$"):
        prepared(Pair("photo.png", "look.png"), 64)


# ---- what is measured --------------------------------------------------------------------------------------


def test_references_are_at_the_ends():
    photo, painting = smooth(40, 52), np.random.default_rng(0).random((40, 52, 3), np.float32)
    networks = metrics.load_networks()
    own, other = measured(networks, photo, photo.copy(), photo), measured(networks, photo, painting, painting)
    assert set(own) == {*compare_tables.CONTENT, *compare_tables.STYLE}
    assert own["lpips"] == own["cfsd"] == 0 and own["ssim"] == pytest.approx(1)
    assert other["style_ratio"] == other["gram_ratio"] == other["histogram"] == 0
    assert other["remd"] == pytest.approx(0, abs=1e-5) and other["lpips"] > 0.3 and other["ssim"] < 0.3
    untouched = measured(networks, photo, painting, photo)
    assert untouched["style_ratio"] == pytest.approx(1, rel=1e-3) and untouched["remd"] > 0.05


def test_one_pair(files):
    steps = []
    tables = ["out.md", "out.json"]
    report = compare_file(
        ["photos/a.png"], ["look.png"], "out.png", tables=tables, progress=lambda *s: steps.append(s), **QUICK
    )
    assert [row.name for row in report.rows] == ["photo itself", "painting itself", "recolour"]
    assert steps == [(1, 1)] and report.failed == () and report.pairs == (("photos/a.png", "look.png"),)
    own, other, made = report.rows
    assert own.measures["ssim"] == Interval(pytest.approx(1)) and own.seconds is None and own.peak_bytes is None
    assert other.measures["gram_ratio"].mean == 0
    assert made.seconds.mean > 0 and made.processor_seconds.mean > 0 and made.peak_bytes > 1 << 26
    result = columns_module._painted(columns(["recolour"])[0], *prepared(Pair("photos/a.png", "look.png"), 40))
    pixels = np.floor(255 * np.clip(result, 0, 1) + 0.5) / 255
    expected = measured(metrics.load_networks(), *prepared(report.pairs[0], 40), np.float32(pixels))
    assert {name: value.mean for name, value in made.measures.items()} == pytest.approx(expected, rel=1e-4, abs=1e-6)
    page = np.rint(255 * image.read("out.png").pixels).astype(np.uint8)
    shown = [image.read(file).pixels for file in report.pairs[0]] + [pixels]
    lefts = [place(page, np.rint(255 * one).astype(np.uint8)) for one in shown]
    assert lefts == sorted(set(lefts))  # each is there, one beside the other
    found = json.loads((files / "out.json").read_text())
    assert [row["name"] for row in found["rows"]] == [row.name for row in report.rows]
    assert found["rows"][2]["measures"]["lpips"]["mean"] == pytest.approx(expected["lpips"], rel=1e-3)
    assert found["rows"][2]["peak_bytes"] == made.peak_bytes and found["meaning"].keys() == expected.keys()
    lines = (files / "out.md").read_text().splitlines()
    assert lines[4].startswith("| recolour | ") and f" {expected['lpips']:.3f} |" in lines[4]
    assert {line.count("|") for line in lines[:5]} == {len(compare_tables.HEADS) + 1}


def test_pairs_have_intervals(files, unmeasured):
    report = compare_file(["photos"], ["look.png"], "out.png", **QUICK)
    assert [pair.photo for pair in report.pairs] == ["photos/a.png", "photos/b.png"]
    own, other, made = (row.measures["ssim"] for row in report.rows)
    assert own.low < own.mean < own.high and other.low == other.high == pytest.approx(other.mean)
    assert report.rows[2].seconds.low < report.rows[2].seconds.mean < report.rows[2].seconds.high
    alone = [compare_file([pair.photo], ["look.png"], "one.png", overwrite=True, **QUICK) for pair in report.pairs]
    values = [one.rows[2].measures["lpips"].mean for one in alone]
    assert made == pytest.approx((np.mean(values), min(values), max(values)))
    assert "[" in compare_tables.markdown(report) and "Means of the pairs" in compare_tables.markdown(report)


def test_pairing_rules(files, unmeasured, monkeypatch):
    both, paintings = ["photos/a.png", "photos/b.png"], ["look.png", "photos/a.png"]

    def pairs(**options):
        return list(compare_file(both, paintings, "out.png", overwrite=True, **QUICK, **options).pairs)

    assert pairs() == [(photo, style) for photo in both for style in paintings]
    assert pairs(pair="zip") == list(zip(both, paintings, strict=True))
    assert len(pairs(pair="random")) == 2 and pairs(pair="random", seed=1) != pairs(pair="random", seed=4)
    monkeypatch.setattr(module, "SHOWN", 1)
    report = compare_file(both, ["look.png"], "few.png", **QUICK)
    assert report.notices == ("the page shows the first 1 of 2 pairs; all of them are measured",)
    one = compare_file(both[:1], ["look.png"], "one.png", **QUICK)
    assert image.dimensions("few.png") == image.dimensions("one.png") and len(one.pairs) == 1


def test_built_in_styles(files, unmeasured):
    report = compare_file(["photos/a.png"], ["@starry-night", "look.png"], "out.png", **QUICK)
    assert [pair.painting for pair in report.pairs] == ["@starry-night", "look.png"]


def test_a_column_that_fails_leaves_its_words(files, unmeasured, monkeypatch):
    def fails(run, column, *args):
        if column.method == "inr":
            raise isolated.IsolatedError("a term of the loss is NaN")
        return run(column, *args)

    monkeypatch.setattr(isolated, "results", fails)
    options = {**QUICK, "methods": ["inr", "recolour"]}
    report = compare_file(["photos/a.png"], ["look.png"], "out.png", tables=["out.md"], **options)
    assert report.failed == ("INR-st: a term of the loss is NaN",)
    failed, made = report.rows[2:]
    assert failed.measures is None and failed.seconds is None and made.measures is not None
    text = (files / "out.md").read_text()
    assert "| INR-st |  |  |" in text and "Not made: INR-st: a term of the loss is NaN" in text
    assert image.read("out.png").pixels.shape[1] == image.dimensions("out.png")[1]


@pytest.mark.parametrize(
    ("options", "error", "words"),
    [
        ({"cell": 95}, ValueError, "cell: expected at least 96 pixels, got 95"),
        ({"size": 31}, ValueError, "size: expected at least 32 pixels, got 31"),
        ({"seed": -1}, ValueError, "seed: expected a whole number"),
        ({"tables": ["a.csv"]}, ValueError, "tables: expected files that end in .md or .json, got 'a.csv'"),
        ({"tables": ["a.md", "./a.md"]}, ValueError, "tables: ./a.md is written already"),
        ({"tables": ["no/a.md"]}, ValueError, "no/a.md: cannot be written: there is no folder"),
        ({"tables": ["taken.md"]}, ValueError, "taken.md: exists already"),
        ({"max_pixels": 10_000}, ValueError, "cell: a page of .* is too large"),
        ({"pair": "all"}, ValueError, "pair: expected one of product, zip, random, got 'all'"),
        ({"sizes": 1}, TypeError, "unexpected keyword argument 'sizes'"),
    ],
)
def test_mistakes_come_before_the_work(files, monkeypatch, options, error, words):
    (files / "taken.md").write_text("x")
    monkeypatch.setattr(module, "_references", lambda *args: pytest.fail("began"))
    with pytest.raises(error, match=f"^{words}"):
        compare_file(["photos/a.png"], ["look.png"], "out.png", **{**QUICK, **options})
    assert sorted(path.name for path in files.glob("out*")) == []


@pytest.fixture
def pair(pictures):
    """``content.png``, smooth, and ``look.png``, blocks of colours."""
    rng = np.random.default_rng(0)
    image.write("look.png", rng.random((20, 24, 3), np.float32).repeat(8, 0).repeat(8, 1))
    image.write("content.png", smooth(128, 160))


@pytest.mark.slow
@pytest.mark.timeout(1800)  # processes that compile, one after the other
@pytest.mark.parametrize(("size", "options"), [(128, {}), (64, {"refine": 2, "methods": ["adain", "style_kernel"]})])
def test_the_real_methods(pair, size, options):
    """What is shipped, in processes of their own."""
    report = compare_file(["content.png"], ["look.png"], "out.png", size=size, tables=["out.json"], **options)
    assert report.failed == ()
    own, _, *made = report.rows
    expected = columns(options.get("methods"), options.get("refine", 0))
    assert [row.name for row in made] == [column.name for column in expected] and len(made) >= 4
    for row in made:
        assert row.seconds.mean > 0 and row.peak_bytes > 1 << 27
        assert 0 < row.measures["style_ratio"].mean < 1 and row.measures["histogram"] < own.measures["histogram"]
        assert 0 < row.measures["lpips"].mean < 1 and 0 < row.measures["ssim"].mean < 1
