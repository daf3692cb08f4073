"""Conditioning from files to a file, by the library and by the command."""

import json
from pathlib import Path

import jax
import numpy as np
import pytest

import jaxstyle
from jaxstyle import adain, image
from jaxstyle.cli.main import main
from jaxstyle.methods import generalizable_inr as ginr
from jaxstyle.methods import load
from jaxstyle.methods.generalizable_inr.field import inputs
from jaxstyle.painting import unfinished
from tests.pictures import smooth


@pytest.fixture(scope="module")
def weights_file(tmp_path_factory):
    """Of a small model."""
    small = ginr.Config(tokens=4, width=16, depth=1, heads=2, weight_tokens=3, context=4, features=8, hidden=8)
    model = jax.jit(ginr.from_adain, static_argnames="config")(jax.random.key(0), adain.load(), config=small)
    file = tmp_path_factory.mktemp("weights") / "small.safetensors"
    ginr.save(file, model, licence="none")
    return str(file)


@pytest.fixture
def pictures(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("JAXSTYLE_CACHE_DIR", "off")
    image.write("photo.png", smooth(48, 64))
    image.write("painting.png", smooth(40, 40)[:, ::-1] ** 2)


def test_from_files_to_a_picture_of_any_size(pictures, weights_file, capsys):
    line = ["condition", "photo.png", "--style", "painting.png", "-o", "out.safetensors", "--size", "32"]
    assert main([*line, "--weights-file", weights_file, "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert (report["width"], report["height"]) == (43, 32) and report["psnr"] > 30
    assert report["numbers"] == 49 * 24 + 8 * 24 + 16 * 4 + inputs(ginr.Spec(), 4) * 8
    assert main(["render", "out.safetensors", "-o", "large.png", "--size", "90", "--alpha", "0.5"]) == 0
    assert image.read("large.png").pixels.shape == (90, 121, 3)
    model = ginr.load(weights_file)
    pixels = [image.read(name).pixels for name in ("photo.png", "painting.png")]
    small = [image.resize_short_side(each, 32) for each in pixels]
    found = jaxstyle.condition("photo.png", "painting.png", size=32, weights_file=weights_file)
    expected = ginr.condition(model, *small)
    jax.tree.map(np.testing.assert_array_equal, found, expected)
    jax.tree.map(np.testing.assert_array_equal, jaxstyle.load_picture("out.safetensors"), expected)
    capsys.readouterr()
    assert main(["render", weights_file, "-o", "none.png"]) == 2
    error = capsys.readouterr().err
    assert "kind 'generalizable_inr'; needed is a picture that jaxstyle fit or jaxstyle condition wrote" in error


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("photo.png --style painting.png -o out.png", "out.png: expected a name that ends in .safetensors"),
        ("photo.png --style painting.png -o nowhere/out.safetensors", "nowhere"),
        ("none.png --style painting.png -o out.safetensors", "none.png"),
        ("photo.png --style painting.png -o out.safetensors --size 0", "--size"),
        (
            "photo.png --style painting.png -o out.safetensors --weights-file adain_vgg16",
            "adain_vgg16: holds weights of kind 'adain'; needed is a model of generalizable_inr",
        ),
    ],
)
def test_mistakes_are_one_line_and_code_2(pictures, capsys, tmp_path, line, message):
    try:
        code = main(["condition", *line.split()])
    except SystemExit as stop:
        code = stop.code
    error = capsys.readouterr().err
    assert code == 2 and message in error and error.count("\n") == 1, error
    assert not list(tmp_path.glob("out*"))


@pytest.mark.parametrize("call", [jaxstyle.condition, jaxstyle.condition_file, jaxstyle.fit, jaxstyle.fit_file])
def test_a_fitted_style_is_no_painting_here(pictures, call):
    arguments = ["photo.png", "fitted.safetensors", *(["x.safetensors"] if "file" in call.__name__ else [])]
    with pytest.raises(
        image.ImageError, match=r"^fitted\.safetensors: a fitted style .*; expected a picture file, or @"
    ):
        call(*arguments)


def test_what_is_there_is_not_replaced(pictures, weights_file, capsys, tmp_path):
    (tmp_path / "out.safetensors").write_text("mine")
    line = [
        "condition",
        "photo.png",
        "--style",
        "painting.png",
        "-o",
        "out.safetensors",
        "--weights-file",
        weights_file,
    ]
    assert main(line) == 2 and (tmp_path / "out.safetensors").read_text() == "mine"
    assert "exists" in capsys.readouterr().err


def test_a_fit_that_was_begun_is_not_thrown_away(pictures, weights_file, tmp_path, capsys):
    with unfinished.opened("out.safetensors", {"preset": "fast"}, (4,), np.dtype(np.uint8)) as part:
        part.write(0, np.zeros(4, np.uint8))
    folder = tmp_path / f"out.safetensors{unfinished.SUFFIX}"
    line = ["condition", "photo.png", "--style", "painting.png", "-o", "out.safetensors", "--size", "32"]
    line += ["--weights-file", weights_file]
    assert main(line) == 2 and folder.is_dir() and not (tmp_path / "out.safetensors").exists()
    error = capsys.readouterr().err
    assert "out.safetensors.jaxstyle-part: holds" in error and error.count("\n") == 1
    with unfinished.opened("out.safetensors", {"preset": "fast"}, (4,), np.dtype(np.uint8)):
        assert main([*line, "--overwrite"]) == 2 and folder.is_dir()  # it is being fitted
    assert "out.safetensors" in capsys.readouterr().err
    assert main([*line, "--overwrite"]) == 0 and not folder.exists() and (tmp_path / "out.safetensors").exists()


def test_weights_that_are_read_are_never_replaced(pictures, weights_file, tmp_path, capsys):
    own = tmp_path / "own.safetensors"
    own.write_bytes(Path(weights_file).read_bytes())
    line = ["condition", "photo.png", "--style", "painting.png", "-o", str(own), "--weights-file", str(own)]
    assert main([*line, "--overwrite"]) == 2
    assert "own.safetensors" in capsys.readouterr().err
    assert own.read_bytes() == Path(weights_file).read_bytes()


@pytest.mark.slow
def test_pictures_of_methods_that_look_at_the_whole_can_be_refined(pictures, weights_file):
    painted, refined = (
        np.asarray(jaxstyle.stylize("photo.png", "painting.png", model=load(weights_file), refine=n)) for n in (0, 1)
    )
    assert painted.shape == refined.shape and (painted != refined).any()
