import functools
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import PIL.Image
import pytest

import jaxstyle
from jaxstyle import cli, image


@pytest.fixture
def pictures(tmp_path, monkeypatch):
    """``photo.png`` and ``painting.png`` in the current folder, and no cache in the user's home."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("JAXSTYLE_CACHE_DIR", "off")
    rng = np.random.default_rng(1)
    image.write("photo.png", rng.random((19, 26, 3), np.float32))
    image.write("painting.png", rng.random((19, 19, 3), np.float32))
    return tmp_path


STYLIZE = ["stylize", "photo.png", "--style", "painting.png", "--style-size", "19"]


def test_stylize(pictures, capsys):
    assert cli.main([*STYLIZE, "-o", "out.png"]) == 0
    assert capsys.readouterr().out.startswith("out.png: 26 x 19 pixels in ")
    assert image.read("out.png").pixels.shape == (19, 26, 3)


def test_stylize_names_its_output_itself(pictures, capsys):
    assert cli.main(STYLIZE) == 0
    assert image.read("photo_stylized_painting.png").pixels.shape == (19, 26, 3)
    assert cli.main(STYLIZE) == 2  # it is there now
    assert "exists already" in capsys.readouterr().err
    assert cli.main([*STYLIZE, "--overwrite"]) == 0


def test_stylize_json(pictures, capsys):
    assert cli.main([*STYLIZE, "-o", "out.png", "--alpha", "0.5", "--size", "13x19", "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert (report["output"], report["width"], report["height"]) == ("out.png", 13, 19)
    assert report["controls"]["alpha"] == 0.5 and report["controls"]["size"] == [13, 19]


def test_stylize_with_all_controls(pictures, capsys):
    image.write("left.png", np.repeat(np.float32([[1, 0]]), 13, axis=1))
    image.write("white.png", np.ones((19, 26), np.float32))
    flags = "--alpha 0.9 --alpha-map left.png --gradient center:1,edge:0.5 --weights 2,1 --mask left.png white.png"
    flags += " --preserve-color histogram --size 26x19 --weights-file adain_vgg16"
    assert cli.main([*STYLIZE, "--style", "photo.png", "-o", "out.png", "--json", *flags.split()]) == 0
    captured = capsys.readouterr()
    report = json.loads(captured.out)
    assert report["style"] == ["painting.png", "photo.png"] and report["controls"] == {
        "alpha": 0.9,
        "alpha_map": "left.png",
        "gradient": "center:1,edge:0.5",
        "weights": [2.0, 1.0],
        "mask": ["left.png", "white.png"],
        "preserve_color": "histogram",
        "size": [26, 19],
        "style_size": 19,
        "seed": None,
    }
    assert "jaxstyle: mask 1: 26 x 1 is stretched to 26 x 19\n" in captured.err


def test_styles_may_be_given_one_by_one(pictures):
    several = ["--style", "photo.png", "painting.png", "--weights", "0,1,1"]
    args = cli.parser().parse_args([*STYLIZE, *several])
    assert args.style == ["painting.png", "photo.png", "painting.png"]
    assert cli.controls(args) == jaxstyle.Controls(weights=(0, 1, 1), style_size=19)


def test_info(pictures, capsys):
    assert cli.main(["info"]) == 0
    text = capsys.readouterr().out
    for word in ("jaxstyle 0.", "jax ", "cpu:0", "adain_vgg16", "vgg16", "licence", "sha256"):
        assert word in text
    assert cli.main(["info", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert {file["name"] for file in found["weights"]} == set(jaxstyle.weights.shipped())
    assert found["version"] == jaxstyle.__version__ and found["cache"] is None


def hostile(name):
    """Writes a picture that is none, or a broken one."""
    path = Path(name)
    if name == "text.jpg":
        path.write_text("this is no picture")
    elif name == "empty.png":
        path.touch()
    elif name == "cut.jpg":
        noise = np.random.default_rng(0).integers(0, 255, (64, 64, 3), np.uint8)
        PIL.Image.fromarray(noise).save(path)
        path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    elif name == "huge.bmp":  # a header that promises 60000 x 60000 pixels
        PIL.Image.new("RGB", (4, 4)).save(path)
        data = bytearray(path.read_bytes())
        data[18:26] = (60_000).to_bytes(4, "little") * 2
        path.write_bytes(data)
    elif name == "folder.png":
        path.mkdir()


@pytest.mark.parametrize("name", ["text.jpg", "empty.png", "cut.jpg", "huge.bmp", "folder.png", "missing.png"])
@pytest.mark.parametrize("role", ["content", "style"])
def test_a_hostile_picture_is_one_line_and_code_2(pictures, capsys, name, role):
    hostile(name)
    content, style = (name, "painting.png") if role == "content" else ("photo.png", name)
    before = sorted(os.listdir())
    assert cli.main(["stylize", content, "--style", style, "-o", "out.png"]) == 2
    captured = capsys.readouterr()
    assert captured.out == "" and captured.err.count("\n") == 1
    assert captured.err.startswith(f"jaxstyle: {name}: ")
    assert sorted(os.listdir()) == before


@pytest.mark.parametrize(
    ("extra", "words"),
    [
        (["--alpha", "2"], "--alpha: expected a number from 0 (content) to 1"),
        (["--alpha", "nan"], "--alpha"),
        (["--size", "0"], "--size"),
        (["--size", "4x"], "--size"),
        (["--style-size", "-3"], "--style-size"),
        (["--weights-file", "nothing"], "nothing: no such weight file"),
        (["--weights-file", "vgg16"], "kind 'vgg'"),
        (["--weights", "my.safetensors"], "--weights: expected numbers such as 2,1,1, one per style, got 'my.saf"),
        (["--weights", "2,1"], "weights: expected 1, one per style, got 2"),
        (["--weights", "0"], "weights: expected numbers of at least 0, not all of them 0"),
        (["--mask", "photo.png", "photo.png"], "mask: expected 1, one per style, got 2"),
        (["--mask", "missing.png"], "missing.png: "),
        (["--alpha-map", "missing.png"], "missing.png: "),
        (["--gradient", "left:0"], "gradient: expected two opposite sides"),
        (["--preserve-color", "hue"], "--preserve-color: invalid choice: 'hue'"),
        (["--seed", "1"], "seed: AdaIN draws nothing at random"),
        (["--seed", "x"], "--seed: expected a whole number"),
        (["-o", "left.png", "--mask", "left.png", "--overwrite"], "left.png: is the source itself"),
        (["-o", "out.xyz"], "out.xyz: unknown suffix"),
        (["-o", "nowhere/out.png"], "there is no folder"),
        (["-o", "photo.png", "--overwrite"], "never replaced"),
        (["--unknown"], "--unknown"),
    ],
)
def test_a_wrong_argument_is_one_line_and_code_2(pictures, capsys, extra, words):
    image.write("left.png", np.ones((2, 2), np.float32))
    try:
        code = cli.main([*STYLIZE, *extra])
    except SystemExit as exit_:
        code = exit_.code
    captured = capsys.readouterr()
    assert code == 2 and captured.out == "" and captured.err.count("\n") == 1
    assert words in captured.err


def test_convert_vgg_refuses_in_one_line(pictures, capsys):
    assert cli.main(["convert-vgg", "--arch", "vgg19", "--source", "missing.pth"]) == 2
    captured = capsys.readouterr()
    assert "missing.pth" in captured.err and captured.err.count("\n") == 1


@pytest.mark.parametrize("argv", [[], ["--help"], ["stylize", "--help"], ["info", "--help"], ["convert-vgg", "--help"]])
def test_help(argv, capsys):
    with pytest.raises(SystemExit) as exit_:
        cli.main(argv)
    assert exit_.value.code == (0 if argv else 2)
    if argv[1:]:
        assert "example: jaxstyle " in capsys.readouterr().out


@pytest.mark.slow
def test_interrupting_leaves_nothing(pictures):
    image.write("large.png", np.zeros((900, 1200, 3), np.float32))
    command = [sys.executable, "-m", "jaxstyle.cli", "stylize", "large.png", "--style", "painting.png", "-o", "o.png"]
    before = set(os.listdir())
    heed = functools.partial(signal.signal, signal.SIGINT, signal.SIG_DFL)  # a session in the background ignores it
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, preexec_fn=heed) as process:
        time.sleep(3)
        process.send_signal(signal.SIGINT)
        _, error = process.communicate(timeout=120)
    assert process.returncode == 130 and error.splitlines()[-1] == "jaxstyle: interrupted"
    assert set(os.listdir()) == before
