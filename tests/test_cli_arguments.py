"""What the flags name of the library is what the library has. Their errors: tests/test_cli_stylize.py."""

import dataclasses

import pytest

import jaxstyle
from jaxstyle import methods, weights
from jaxstyle.cli import arguments, main
from jaxstyle.nets import convert_vgg, coords
from jaxstyle.painting import sweep
from jaxstyle.painting.options import DEFAULT_WEIGHTS
from jaxstyle.sheet import make as sheet


def parsed(line):
    return main.parse(line.split())


def choices(verb, name):
    (verbs,) = (action.choices for action in main.parser()._actions if isinstance(action.choices, dict))
    return next(action.choices for action in verbs[verb]._actions if action.dest == name)


@pytest.mark.parametrize("line", ["stylize a --style b", "stylize-dataset a b --styles c", "sheet a --styles b"])
def test_the_weights(line):
    assert parsed(line).weights_file is None  # and the library's holds, or a fitted style's
    assert f"(default: {DEFAULT_WEIGHTS})" in " ".join(parsed(line).parser.format_help().split())


@pytest.mark.parametrize("line", ["stylize a --style b", "stylize-dataset a b --styles c", "sheet a --styles b"])
def test_a_method_stands_for_its_weights(line, capsys, monkeypatch):
    monkeypatch.setattr(weights, "shipped", lambda: ("adain_vgg16", "vgg16"))
    assert parsed(f"{line} --method adain").weights_file == "adain_vgg16"
    for more, words in (
        ("--method vgg", f"--method: expected one of {', '.join(methods.METHODS)}, got 'vgg'"),
        ("--method style_kernel", "--method: no weights of style_kernel are shipped; give a file by --weights-file"),
        ("--method adain --weights-file w", "not allowed with argument --"),
        ("--weights-file w --method adain", "not allowed with argument --"),
    ):
        with pytest.raises(SystemExit) as caught:
            parsed(f"{line} {more}")
        assert caught.value.code == 2 and words in capsys.readouterr().err


def test_defaults_and_limits(capsys):
    assert parsed("sheet a --styles b").cell == sheet.CELL
    assert parsed("render a -o b").region == coords.WHOLE
    assert parsed(f"render a -o b --sweep {sweep.MOST_FRAMES}").sweep == sweep.MOST_FRAMES
    with pytest.raises(SystemExit):
        parsed(f"render a -o b --sweep {sweep.MOST_FRAMES + 1}")
    assert f"from 2 to {sweep.MOST_FRAMES}, got" in capsys.readouterr().err
    assert choices("convert-vgg", "arch") == convert_vgg.ARCHS
    assert choices("convert-vgg", "dtype") == convert_vgg.DTYPES


def test_only_what_was_given_is_handed_on():
    args = parsed("stylize a --style b --tile 8 --overwrite --alpha 0.5 --size 3x4")
    assert arguments.given(args, "format", "tile", "overwrite", "recursive") == {
        "tile": 8,
        "overwrite": True,
        "recursive": False,
    }
    assert arguments.controls(args) == jaxstyle.Controls(alpha=0.5, size=(3, 4))


def test_the_controls_are_the_library_s():
    """A flag for every field; a sheet, whose results have one style each, has no weights."""
    fields = {field.name for field in dataclasses.fields(jaxstyle.Controls)}
    for line in ("stylize a --style b", "stylize-dataset a b --styles c"):
        assert fields <= vars(parsed(line)).keys()
    assert fields - vars(parsed("sheet a --styles b")).keys() == {"weights"}


def test_a_negative_region_is_no_flag():
    assert arguments.join_region(["a", "--region", "-.5,0,1,1", "-o", "x"]) == ["a", "--region=-.5,0,1,1", "-o", "x"]
    assert arguments.join_region(["--region", "-1,-1,0,0"]) == ["--region=-1,-1,0,0"]
    assert arguments.join_region(["--region", "-o", "x"]) == ["--region", "-o", "x"]
    assert arguments.join_region(["--region"]) == ["--region"]
