import dataclasses
import errno
import io
import json
import os
import re
import sys
from pathlib import Path

import numpy as np
import PIL.Image
import pytest

import jaxstyle
from jaxstyle import image, methods
from jaxstyle.cli import arguments, main
from jaxstyle.folders import folder as batch
from jaxstyle.folders import manifest, workers
from jaxstyle.methods import adain
from jaxstyle.runtime import journal

STYLIZE = ["stylize", "photo.png", "--style", "painting.png", "--style-size", "19"]


def test_stylize(pictures, capsys):
    assert main.main([*STYLIZE, "-o", "out.png"]) == 0
    assert capsys.readouterr().out.startswith("out.png: 26 x 19 pixels in ")
    assert image.read("out.png").pixels.shape == (19, 26, 3)


def test_stylize_names_its_output_itself(pictures, capsys):
    assert main.main(STYLIZE) == 0
    assert image.read("photo_stylized_painting.png").pixels.shape == (19, 26, 3)
    assert main.main(STYLIZE) == 2  # it is there now
    assert "exists already: choose another name, or give --overwrite\n" in capsys.readouterr().err
    assert main.main([*STYLIZE, "--overwrite"]) == 0


def test_stylize_json(pictures, capsys):
    assert main.main([*STYLIZE, "-o", "out.png", "--alpha", "0.5", "--size", "13x19", "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert (report["output"], report["width"], report["height"]) == ("out.png", 13, 19)
    assert report["controls"]["alpha"] == 0.5 and report["controls"]["size"] == [13, 19]


class Stream:
    """Standard input or output that is no terminal."""

    def __init__(self, data=b""):
        self.buffer = io.BytesIO(data)

    def isatty(self):
        return False

    def flush(self):
        pass


def test_standard_input_and_output(pictures, capsys, monkeypatch):
    assert main.main([*STYLIZE, "-o", "out.png"]) == 0
    capsys.readouterr()
    out = Stream()
    monkeypatch.setattr(sys, "stdin", Stream(Path("photo.png").read_bytes()))
    monkeypatch.setattr(sys, "stdout", out)
    assert main.main(["stylize", "-", *STYLIZE[2:], "-o", "-"]) == 0
    assert capsys.readouterr().err.startswith("-: 26 x 19 pixels in ")
    assert out.buffer.getvalue() == Path("out.png").read_bytes()
    assert main.main([*STYLIZE, "-o", "-", "--json"]) == 2
    assert main.main(["stylize", "-", *STYLIZE[2:]]) == 2
    captured = capsys.readouterr().err.splitlines()
    assert captured[0] == "jaxstyle: --json: standard output is taken by the picture; give --output a file"
    assert captured[1].startswith("jaxstyle: --output: a file, or - for standard output, is needed")


def test_the_format_may_be_named(pictures):
    assert main.main([*STYLIZE, "-o", "out.data", "--format", "tiff"]) == 0
    with PIL.Image.open("out.data") as found:
        assert found.format == "TIFF" and found.size == (26, 19)
    assert main.main([*STYLIZE, "--format", "webp"]) == 0
    assert image.read("photo_stylized_painting.webp").format == "WEBP"


@pytest.mark.slow
def test_tiles_and_a_pyramid(pictures, capsys):
    assert main.main([*STYLIZE[:4], "-o", "whole.png"]) == 0
    assert main.main([*STYLIZE[:4], "-o", "tiled.png", "--tile", "16"]) == 0
    whole, tiled = image.read("whole.png").pixels, image.read("tiled.png").pixels
    np.testing.assert_allclose(tiled, whole, atol=1.1 / 255)
    assert main.main([*STYLIZE[:4], "-o", "out.dzi"]) == 0
    assert Path("out.dzi").is_file() and Path("out_files").is_dir()


def test_stylize_with_all_controls(pictures, capsys):
    image.write("left.png", np.repeat(np.float32([[1, 0]]), 13, axis=1))
    image.write("white.png", np.ones((19, 26), np.float32))
    flags = "--alpha 0.9 --alpha-map left.png --gradient center:1,edge:0.5 --weights 2,1 --mask left.png white.png"
    flags += " --alpha-blend features --preserve-color histogram --size 26x19 --weights-file adain_vgg16"
    assert main.main([*STYLIZE, "--style", "photo.png", "-o", "out.png", "--json", *flags.split()]) == 0
    captured = capsys.readouterr()
    report = json.loads(captured.out)
    assert report["style"] == ["painting.png", "photo.png"] and report["controls"] == {
        "alpha": 0.9,
        "alpha_map": "left.png",
        "gradient": "center:1,edge:0.5",
        "refine": 0,
        "weights": [2.0, 1.0],
        "mask": ["left.png", "white.png"],
        "preserve_color": "histogram",
        "size": [26, 19],
        "style_size": 19,
        "alpha_blend": "features",
    }
    assert "jaxstyle: left.png: 26 x 1 is stretched to 26 x 19\n" in captured.err


def test_styles_may_be_given_one_by_one(pictures):
    several = ["--style", "photo.png", "painting.png", "--weights", "0,.7,0.3"]
    args = main.parser().parse_args([*STYLIZE, *several])
    assert args.style == ["painting.png", "photo.png", "painting.png"]
    assert arguments.controls(args) == jaxstyle.Controls(weights=(0, 0.7, 0.3), style_size=19)


def test_every_flag_of_stylize_arrives(pictures, monkeypatch):
    """For one picture and for folders; a flag that is not known here fails the test."""
    seen = []

    class Stop(Exception):
        pass

    def take(*args, **options):
        options.pop("progress")
        seen.append((args, options))
        raise Stop

    monkeypatch.setattr(jaxstyle, "stylize_file", take)
    monkeypatch.setattr(batch, "stylize_folder", take)
    how = "--alpha 0.5 --alpha-map m.png --gradient left:0,right:1 --weights 2,1 --mask a.png b.png --size 9x8"
    how += " --preserve-color match --style-size 7 --alpha-blend features"
    masks = ("a.png", "b.png")
    expected = jaxstyle.Controls(0.5, "m.png", "left:0,right:1", (2, 1), masks, "match", (9, 8), 7, "features")
    more = "--weights-file w --format png --max-pixels 99 --tile 64 --scratch s --overwrite"
    options = {"weights_file": "w", "format": "png", "max_pixels": 99, "tile": 64, "scratch": "s", "overwrite": True}
    for extra in ("", "--pair random --seed 3 --recursive"):
        with pytest.raises(Stop):
            main.main(
                ["stylize", "photo.png", "--style", "1", "2", "-o", "out", *how.split(), *more.split(), *extra.split()]
            )
    (one, folder) = seen
    assert one == (("photo.png", ["1", "2"], "out", expected), options)
    assert folder[0][:3] == (["photo.png"], ["1", "2"], "out")
    assert folder[0][3] == expected
    assert folder[1] == {**options, "pair": "random", "seed": 3, "recursive": True}
    (verbs,) = (action.choices for action in main.parser()._actions if isinstance(action.choices, dict))
    flags = {action.dest for action in verbs["stylize"]._actions}
    fields = {field.name for field in dataclasses.fields(jaxstyle.Controls)}
    assert flags == fields | set(folder[1]) | {"content", "style", "output", "json", "help"}


# ---- folders -----------------------------------------------------------------------------------------------


@pytest.fixture
def folders(pictures, monkeypatch):
    """Three pictures in ``photos``, one of them broken, two ``styles``, and a cheap method in the place of AdaIN."""
    for name in ("photos/a.png", "photos/b.png", "photos/deep/a.png", "styles/x.png", "styles/y.png"):
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        image.write(name, np.random.default_rng(0).random((4, 5, 3), np.float32))

    def render(picture, looks, controls, maps, model, *, style=None):
        return image.Picture(picture.pixels / 2 + style / 2)

    monkeypatch.setattr(workers, "render", render)
    monkeypatch.setattr(workers, "encode_styles", lambda looks, *_: np.float32(looks[0].pixels.mean()))
    monkeypatch.setattr(batch, "load_model", lambda name: methods.loaded(adain.Model({}, {})))
    return pictures


def made(folder):
    return sorted(path.relative_to(folder).as_posix() for path in Path(folder).rglob("*.png"))


def test_a_folder(folders, capsys):
    assert main.main(["stylize", "photos", "--style", "styles/x.png"]) == 0
    captured = capsys.readouterr()
    assert captured.out.startswith("stylized: of 2 pictures 2 done, 0 failed, 0 were there, in ") and captured.err == ""
    assert made("stylized") == ["a_stylized_x.png", "b_stylized_x.png"] and Path("stylized", manifest.NAME).is_file()
    assert main.main(["stylize", "photos", "--style", "styles/x.png"]) == 0
    assert "0 done, 0 failed, 2 were there" in capsys.readouterr().out


def test_patterns_folders_in_folders_and_pairs(folders, capsys):
    arguments = ["stylize", "photos/*.png", "photos/deep", "--recursive", "--style", "styles/*", "-o", "out"]
    assert main.main([*arguments, "--pair", "random", "--seed", "4", "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert (report["pictures"], report["done"], report["failed"], report["stopped"]) == (3, 3, [], None)
    assert {line["seed"] for line in journal.read(report["manifest"]) if line["status"] == "done"} == {4}


def test_a_folder_in_another_format_and_in_tiles(folders, capsys):
    arguments = ["stylize", "photos", "--style", "styles/x.png", "-o", "out", "--format", "webp"]
    assert main.main([*arguments, "--scratch", "styles"]) == 0
    assert sorted(path.name for path in Path("out").glob("*.webp")) == ["a_stylized_x.webp", "b_stylized_x.webp"]
    assert image.read("out/a_stylized_x.webp").format == "WEBP"
    assert main.main([*arguments, "--tile", "64"]) == 0  # of that size or another, the result is the same
    assert "0 done, 0 failed, 2 were there" in capsys.readouterr().out


def test_some_failed(folders, capsys):
    Path("photos/b.png").write_text("no picture")
    Path("photos/notes.txt").touch()
    assert main.main(["stylize", "photos", "--style", "styles", "-o", "out"]) == 1
    captured = capsys.readouterr()
    assert captured.err.splitlines() == ["jaxstyle: photos/b.png: cannot be read: it is text ('no picture'...)"] * 2
    assert "out: of 4 pictures 2 done, 2 failed, 0 were there, 1 other files ignored, in " in captured.out
    Path("styles/y.png").write_text("no picture")
    assert main.main(["stylize", "photos/a.png", "--style", "styles", "-o", "more", "--json"]) == 1
    captured = capsys.readouterr()
    assert captured.err.startswith("jaxstyle: photos/a.png: styles/y.png: ") and captured.err.count("\n") == 1
    assert [failure["style"] for failure in json.loads(captured.out)["failed"]] == [["styles/y.png"]]


def test_heic_photos_that_are_passed_over_are_told(folders, capsys, monkeypatch):
    Path("photos/c.heic").touch()
    Path("photos/d.HEIC").touch()
    monkeypatch.setattr(image, "UNREAD_SUFFIXES", frozenset((".heic",)))
    monkeypatch.setattr(image, "READ_SUFFIXES", image.READ_SUFFIXES - {".heic"})
    assert main.main(["stylize", "photos", "--style", "styles/x.png", "-o", "out"]) == 0
    captured = capsys.readouterr()
    words = "photos: passed over 2 HEIC photos: to read them, pip install 'jaxstyle[heif]'"
    assert captured.err.splitlines() == [f"jaxstyle: {words}"] and "2 other files ignored" in captured.out
    assert main.main(["stylize-dataset", "photos", "set", "--styles", "styles", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["remarks"] == [words]


def test_a_full_disk(folders, capsys, monkeypatch):
    def write(target, *args, **options):
        raise image.ImageError(str(target), "cannot be written: no space left on device") from OSError(errno.ENOSPC, "")

    monkeypatch.setattr(image, "write", write)
    assert main.main(["stylize", "photos", "--style", "styles", "-o", "out"]) == 1
    assert re.search(r"jaxstyle: stopped: out/.*\.png: cannot be written: no space left", capsys.readouterr().err)


def test_files_are_mixed_and_that_is_said(folders, capsys):
    styles = ["--style", "styles/x.png", "styles/y.png", "-o", "out"]
    assert main.main(["stylize", "photos", *styles]) == 0
    assert "the styles are mixed in equal parts; --pair product takes them one by one" in capsys.readouterr().err
    assert made("out") == ["a_stylized_x_y.png", "b_stylized_x_y.png"]
    assert main.main(["stylize", "photos", *styles, "--pair", "zip"]) == 0
    assert capsys.readouterr().err == "" and made("out")[2:] == ["b_stylized_x_y.png", "b_stylized_y.png"]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ("photos nowhere.png", "nowhere.png: no such file or folder"),
        ("photos/*.gif", "photos/*.gif: matches no picture"),
        ("photos -o photo.png", "photo.png: is a file; the results need a folder"),
        ("photos -o new.png", "new.png: has the name of a picture"),
        ("photos -o /proc/jaxstyle", "/proc/jaxstyle: cannot be made"),
        ("photos --pair zip", "pair: zip needs as many styles as contents, found 2 contents and 1"),
        ("photos --pair each", "--pair: invalid choice: 'each'"),
        ("photos --weights 1,2", "weights: 2 are for several styles to be mixed; one file gives one to each picture"),
        ("photos --seed 1", "seed: nothing is drawn at random but by --pair random"),
        ("photo.png --recursive", "recursive: there is no folder to descend into"),
        ("photo.png photos/a.png --recursive", "recursive: there is no folder to descend into"),
        ("photos --weights-file nothing", "nothing: no such weight file"),
        ("photos --format gif", "format: unknown format 'gif': expected one of BMP, JPEG"),
        ("photos --tile 20", "--tile: expected a positive multiple of 8 pixels, got 20"),
        ("photos --scratch nowhere", "nowhere: is no folder that temporary files can be written to"),
        ("photos -o -", "output: standard output takes a single picture"),
        ("photos --alpha-map nowhere.png", "nowhere.png: no such file"),
        ("photos --style broken.png --pair product", "broken.png: cannot be read"),
    ],
)
def test_a_wrong_argument_for_a_folder_is_one_line_and_code_2(folders, capsys, monkeypatch, arguments, words):
    cheap = methods.loaded(adain.Model({}, {}))
    monkeypatch.setattr(batch, "load_model", lambda name: methods.load(name) if name == "nothing" else cheap)
    Path("broken.png").write_text("no picture")
    before = sorted(Path().rglob("*"))
    style = [] if "--style" in arguments else ["--style", "styles/x.png"]
    try:
        code = main.main(["stylize", *arguments.split(), *style])
    except SystemExit as exit_:
        code = exit_.code
    captured = capsys.readouterr()
    assert code == 2 and captured.out == "" and captured.err.count("\n") == 1
    assert captured.err.startswith("jaxstyle") and words in captured.err
    assert sorted(Path().rglob("*")) == before


def test_other_results_are_not_replaced_unasked(folders, capsys):
    arguments = ["stylize", "photos", "--style", "styles/x.png", "-o", "out"]
    assert main.main(arguments) == 0
    assert main.main([*arguments, "--alpha", "0.5"]) == 2
    error = capsys.readouterr().err
    assert "out/a_stylized_x.png: was made with alpha = 1.0, not 0.5; choose another folder, or give --overw" in error
    assert main.main([*arguments, "--alpha", "0.5", "--overwrite"]) == 0


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
    assert main.main(["stylize", content, "--style", style, "-o", "out.png"]) == 2
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
        (["--size", "1099511627776"], "--size: expected at most 1000000, got 1099511627776"),
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
        (["--preserve_color=sky_blue"], "--preserve-color: invalid choice: 'sky_blue'"),
        (["--seed", "1"], "seed: nothing is drawn at random but by --pair random"),
        (["--seed", "x"], "--seed: expected a whole number"),
        (["-o", "left.png", "--mask", "left.png", "--overwrite"], "left.png: is the source itself"),
        (["-o", "out.xyz"], "out.xyz: unknown suffix"),
        (["-o", "nowhere/out.png"], "there is no folder"),
        (["-o", "photo.png", "--overwrite"], "never replaced"),
        (["--unknown"], "--unknown"),
        (["--style", "photo.png", "missing.png"], "missing.png: "),
        (["--style", "photo.png", "@missing"], "'@missing': no built-in style of that name"),
    ],
)
def test_a_wrong_argument_is_one_line_and_code_2(pictures, capsys, extra, words):
    image.write("left.png", np.ones((2, 2), np.float32))
    try:
        code = main.main([*STYLIZE, *extra])
    except SystemExit as exit_:
        code = exit_.code
    captured = capsys.readouterr()
    assert code == 2 and captured.out == "" and captured.err.count("\n") == 1
    assert words in captured.err
