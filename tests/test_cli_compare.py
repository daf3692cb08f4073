"""The verb ``compare``: its flags, its report and its exit code. What it makes: tests/test_compare.py."""

import json

import pytest

from jaxstyle.cli import main
from jaxstyle.metrics.intervals import Interval
from jaxstyle.sheet import compare
from jaxstyle.sheet.columns import Pair
from jaxstyle.sheet.compare_tables import CONTENT, STYLE, Row


def report(*failed):
    measures = {name: Interval(0.123456789, 0.1, 0.2) for name in (*CONTENT, *STYLE)}
    rows = (Row("one", "adain", "w", 0, Interval(2.0), Interval(3.0), 1 << 30, measures), Row("two", "inr", "preview"))
    pairs = (Pair("a.png", "b.png"), Pair("c.png", "b.png"))
    return compare.CompareReport("out.png", ("out.md",), pairs, 99, "cpu: cpu", rows, failed, ("a: is dark",), 1.0)


@pytest.fixture
def calls(monkeypatch, pictures):
    """Instead of the work: what it is called with. What it returns is ``calls.report``."""

    class Calls(list):
        report = report()

    seen = Calls()

    def take(*args, progress, **options):
        progress(1, 2)
        seen.append((*args, options))
        return seen.report

    monkeypatch.setattr(compare, "compare_file", take)
    return seen


def test_every_flag_arrives(calls):
    line = "compare a photos --style b --styles c -o out.webp --format webp --table x.md y.json --methods adain,inr"
    line += " --refine 10 --size 128 --cell 100 --pair zip --seed 3 --recursive --max-pixels 99 --overwrite"
    assert main.main(line.split()) == 0
    photos, styles, output, options = calls[0]
    assert (photos, styles, output) == (["a", "photos"], ["b", "c"], "out.webp")
    flags = {"recursive": True, "overwrite": True, "max_pixels": 99, "format": "webp", "pair": "zip", "seed": 3}
    sizes = {"refine": 10, "size": 128, "cell": 100}
    assert options == {**flags, **sizes, "tables": ["x.md", "y.json"], "methods": ["adain", "inr"]}
    assert main.main(["compare", "a", "--style", "b"]) == 0
    defaults = {"refine": 0, "size": compare.SIZE, "cell": compare.CELL, "pair": "product", "seed": 0}
    assert calls[1][2:] == ("compare.png", {**defaults, "recursive": False, "overwrite": False})


def test_what_it_says(calls, capsys):
    assert main.main(["compare", "a", "--style", "b"]) == 0
    captured = capsys.readouterr()
    assert "| one | 2.0 | 1.00 GiB | 0.123 [0.100, 0.200] |" in captured.out
    assert captured.out.endswith("\nout.png, out.md: in 1.0 s\n") and captured.err == "jaxstyle: a: is dark\n"
    calls.report = report("two: is no picture")
    assert main.main(["compare", "a", "--style", "b"]) == 1
    assert capsys.readouterr().err.splitlines() == ["jaxstyle: two: is no picture", "jaxstyle: a: is dark"]


def test_json(calls, capsys):
    assert main.main(["compare", "a", "--style", "b", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    one, two = found["rows"]
    assert one["measures"]["ssim"] == {"mean": 0.123457, "low": 0.1, "high": 0.2} and two["measures"] == {}
    assert one["seconds"] == {"mean": 2.0, "low": None, "high": None} and two["seconds"] is None
    assert found["pairs"][1] == {"photo": "c.png", "painting": "b.png"} and found["size"] == 99


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ("nowhere/* --style painting.png", "nowhere/*: matches no picture"),
        ("photo.png", "the following arguments are required"),
        ("photo.png --style painting.png", "photo.png: 26 x 19 pixels; expected sides of at least 32"),
        ("photo.png --style painting.png -o photo.png --overwrite", "never replaced"),
        ("photo.png --style painting.png -o out.gif", "out.gif"),
        ("photo.png --style painting.png --methods adain,none", "--methods: expected some of adain, "),
        ("photo.png --style painting.png --methods inr --refine 3", "--refine: none of inr can be refined"),
        ("photo.png --style painting.png --cell 9", "--cell: expected at least 96 pixels, got 9"),
        ("photo.png --style painting.png --size 9", "--size: expected at least 32 pixels, got 9"),
        ("photo.png --style painting.png --table a.txt", "--table: expected files that end in .md or .json"),
        (
            "photo.png --style painting.png --table photo.png.md photo.png.md",
            "--table: photo.png.md is written already",
        ),
        ("photo.png --style painting.png --pair some", "--pair: invalid choice"),
        ("photo.png --style painting.png photo.png --pair zip", "zip needs as many styles as contents"),
        ("photo.png --style painting.png -o - --json", "--json: standard output is taken by the picture"),
    ],
)
def test_mistakes_are_one_line_and_code_2(pictures, capsys, arguments, words):
    try:
        code = main.main(["compare", *arguments.split()])
    except SystemExit as exit_:
        code = exit_.code
    captured = capsys.readouterr()
    assert code == 2 and captured.out == "" and captured.err.count("\n") == 1 and words in captured.err
    assert sorted(path.name for path in pictures.iterdir()) == ["painting.png", "photo.png"]
