"""The verb ``sheet``: its flags, its report and its exit code. What a sheet looks like: tests/test_sheet.py."""

import json

import pytest

from jaxstyle import image
from jaxstyle.cli import main
from jaxstyle.controls.controls import Controls
from jaxstyle.sheet import make


def test_a_sheet(pictures, capsys):
    assert main.main(["sheet", "photo.png", "--styles", "painting.png", "photo.png", "--cell", "32", "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert image.read("sheet.png").pixels.shape == (report["height"], report["width"], 3)


def test_every_flag_arrives(pictures, capsys, monkeypatch):
    seen = []

    def take(*args, progress, **options):
        seen.append((*args, options))
        return make.SheetReport("out.png", ("a",), ("b",), 9, 8, {}, "w", tuple(failed), ("b: is dark",), 1.0)

    monkeypatch.setattr(make, "sheet_file", take)
    line = "sheet a photos --styles b --styles c -o out.png --format webp --cell 40 --columns 2 --recursive --overwrite"
    line += " --weights-file w --max-pixels 99 --alpha 0.5 --size 9"
    failed = []
    assert main.main(line.split()) == 0
    captured = capsys.readouterr()
    assert captured.out == "out.png: 9 x 8 pixels in 1.0 s\n" and captured.err == "jaxstyle: b: is dark\n"
    failed = ["c.png: no such file"]
    assert main.main(["sheet", "a", "--styles", "b"]) == 1
    assert capsys.readouterr().err.splitlines() == ["jaxstyle: c.png: no such file", "jaxstyle: b: is dark"]
    photos, styles, output, controls, options = seen[0]
    assert (photos, styles, output, controls) == (["a", "photos"], ["b", "c"], "out.png", Controls(0.5, size=9))
    given = {"format": "webp", "cell": 40, "columns": 2, "recursive": True, "overwrite": True}
    assert options == {**given, "weights_file": "w", "max_pixels": 99}
    assert seen[1][2:] == (
        "sheet.png",
        Controls(),
        {"cell": make.CELL, "recursive": False, "overwrite": False},
    )


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ("nowhere/* --styles painting.png", "nowhere/*: matches no picture"),
        ("photo.png --styles painting.png -o photo.png --overwrite", "never replaced"),
        ("photo.png --styles painting.png --cell 31", "--cell: expected at least 32 pixels, got 31"),
        ("photo.png --styles painting.png --size 9x9", "--size: on a contact sheet expected the short side alone"),
        ("photo.png --styles painting.png --mask a b", "--mask: expected 1, one per style, got 2"),
        ("photo.png --styles painting.png --seed 1", "unrecognized arguments: --seed"),
        ("photo.png --styles painting.png -o - --json", "--json: standard output is taken by the picture"),
    ],
)
def test_mistakes_are_one_line_and_code_2(pictures, capsys, arguments, words):
    try:
        code = main.main(["sheet", *arguments.split()])
    except SystemExit as exit_:
        code = exit_.code
    captured = capsys.readouterr()
    assert code == 2 and captured.out == "" and captured.err.count("\n") == 1 and words in captured.err
