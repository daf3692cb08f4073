import dataclasses
import json

import jax
import numpy as np
import pytest

from jaxstyle import image
from jaxstyle.cli import main, render
from jaxstyle.methods.inr.files import save
from jaxstyle.methods.inr.network import Spec, init
from jaxstyle.methods.inr.rendering import render_image
from jaxstyle.painting import unfinished
from jaxstyle.painting.rendering import Rendering

SMALL = Spec(octaves=3, latent=4, width=16, depth=4, skip=2, bottleneck=8)
PARAMS = init(jax.random.key(0), SMALL, size=(30, 20))


@pytest.fixture
def fit(tmp_path, monkeypatch):
    """``inr.safetensors`` and two masks in the current folder, and no cache in the user's home."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("JAXSTYLE_CACHE_DIR", "off")
    save("inr.safetensors", PARAMS)
    left = np.zeros((20, 30), np.float32)
    left[:, :9] = 1
    image.write("left.png", left)
    image.write("right.png", left[:, ::-1])
    return tmp_path


def test_a_picture(fit, capsys):
    assert main.main(["render", "inr.safetensors", "-o", "out.png"]) == 0
    assert capsys.readouterr().out.startswith("out.png: 30 x 20 pixels in ")
    np.testing.assert_allclose(image.read("out.png").pixels, render_image(PARAMS), atol=0.51 / 255)


def test_all_controls(fit, capsys):
    command = "render inr.safetensors -o out.png --json --size 33x24 --alpha 0.9 --alpha_map left.png"
    command += " --gradient top:1,bottom:0.5 --mask left.png right.png --mask-alpha 1,0.25 --region -0.5,-.5,0.5,1"
    assert main.main(command.split()) == 0
    report = json.loads(capsys.readouterr().out)
    assert (report["output"], report["width"], report["height"], report["frames"]) == ("out.png", 33, 24, 1)
    middle = render_image(PARAMS, (33, 24), 0.0, region=(-0.5, -0.5, 0.5, 1))[:, 16]  # beside both masks
    np.testing.assert_allclose(image.read("out.png").pixels[:, 16], middle, atol=0.51 / 255)
    assert main.main(["render", "inr.safetensors", "-o", "sweep.webp", "--sweep", "3", "--fps", "4"]) == 0
    assert capsys.readouterr().out.startswith("sweep.webp: 3 pictures of 30 x 20 pixels in ")


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        ("none.safetensors -o a.png", "none.safetensors"),
        ("left.png -o a.png", "left.png: "),
        ("inr.safetensors -o a.png --alpha 1.2", "argument --alpha: expected a number from 0 (content) to 1"),
        ("inr.safetensors -o a.png --alpha nan", "argument --alpha: expected a number from 0 (content) to 1"),
        ("inr.safetensors -o a.png --mask left.png", "--mask: needs --mask-alpha"),
        ("inr.safetensors -o a.png --mask left.png --mask-alpha 1,0", "--mask-alpha: expected 1, one per mask, got 2"),
        ("inr.safetensors -o a.png --mask left.png --mask-alpha x", "argument --mask-alpha: expected numbers such as"),
        ("inr.safetensors -o a.png --region 0,0,2,1", "argument --region: expected left, top, right and bottom edge"),
        ("inr.safetensors -o a.png --region -1,-1,1", "argument --region: expected x0,y0,x1,y1, got '-1,-1,1'"),
        ("inr.safetensors -o a.png --sweep 1", "argument --sweep: expected a number of pictures from 2 to 1000"),
        ("inr.safetensors -o a.png --fps 3", "--fps: is for --sweep"),
        ("inr.safetensors -o a.gif", "a.gif: .gif and .mp4 are for --sweep N"),
        (". -o a.png", ".: is a folder; expected a fitted picture, inr.safetensors"),
        ("inr.safetensors -o a.gif --sweep 3 --bits 16", "--bits: a sweep has 8"),
        ("inr.safetensors -o inr.safetensors --format png", "inr.safetensors: is the source itself"),
        ("inr.safetensors -o left.png", "left.png: exists already"),
        ("inr.safetensors -o a.png --alpha-map square.png", "square.png: its 9 x 9 pixels have another shape than the"),
        ("inr.safetensors -o - --json", "--json: standard output is taken by the picture"),
    ],
)
def test_mistakes_are_one_line_and_leave_nothing(fit, capsys, flags, message):
    image.write("square.png", np.ones((9, 9), np.float32))
    before = sorted(path.name for path in fit.iterdir())
    try:
        code = main.main(["render", *flags.split()])
    except SystemExit as error:
        code = error.code
    captured = capsys.readouterr()
    assert code == 2 and captured.err.count("\n") == 1 and message in captured.err and captured.out == ""
    assert sorted(path.name for path in fit.iterdir()) == before


def test_a_failed_run_is_told_from_a_mistake(fit, capsys, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(unfinished.Unfinished, "write", full)
    assert main.main(["render", "inr.safetensors", "-o", "out.png", "--json"]) == 1
    captured = capsys.readouterr()
    assert captured.err == "jaxstyle: out.png: cannot be written: no space left on device\n"
    assert json.loads(captured.out) == {"stopped": "out.png: cannot be written: no space left on device"}
    assert not list(fit.glob("out*"))


def test_the_speed_is_told_where_it_means_something():
    report = Rendering("a.png", 2000, 1000, 1, 8, 0, 0.5, 4_000_000)
    assert render.words(report) == "a.png: 2000 x 1000 pixels in 0.5 s (4 megapixels/s)"
    assert render.words(dataclasses.replace(report, tiles=1)) == "a.png: 2000 x 1000 pixels in 0.5 s"
    found = render.words(dataclasses.replace(report, kept=7))
    assert found == "a.png: 2000 x 1000 pixels in 0.5 s, 7 of 8 tiles were there"
