"""The command that measures how still painted videos are."""

import json
from pathlib import Path

import numpy as np
import pytest

from jaxstyle import image, methods
from jaxstyle.painting import picture
from tests import recolour
from train.evaluate import video

pytest.importorskip("cv2", reason="flow needs OpenCV: pip install 'jaxstyle[flow]'")


@pytest.fixture
def setting(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(methods.METHODS, "recolour", recolour.METHOD)
    monkeypatch.setenv("JAXSTYLE_CACHE_DIR", "off")
    picture.load_model.cache_clear()
    recolour.save("one.safetensors", recolour.init())
    recolour.save("two.safetensors", recolour.init(1))
    for name in ("photo", "painting"):
        coarse = np.random.default_rng(len(name)).random((8, 9, 3), np.float32)
        image.write(f"{name}.png", np.repeat(np.repeat(coarse, 8, 0), 8, 1))
    Path("pairs.tsv").write_text("photo.png\tpainting.png\n")
    return ["--output", "out/video", "--pairs-file", "pairs.tsv", "--size", "32", "--frames", "9"]


@pytest.mark.slow
def test_the_tables_and_going_on(setting, monkeypatch, capsys):
    line = [*setting, "--weights", "one.safetensors,two.safetensors", "--pictures", "frames"]
    assert video.main(line) == 0, capsys.readouterr().err
    found = json.loads(Path("out/video.json").read_text())
    (row,) = found["parts"]["clips"]["rows"].values()
    assert row["move"] == "pan" and list(found["subject"]) == ["one", "two"]
    plain, steadier = row["one frame by frame"], row[f"one {video.DEFAULT}"]
    assert row["input"]["warping"] > 0 and 0 < steadier["warping"] < plain["warping"] * 1.05
    page = Path("out/video.md").read_text()
    assert "| input |" in page and "Table 2" in page and "| two, frame by frame |" in page
    assert len(list(Path("frames/00 input").iterdir())) == 9
    monkeypatch.setattr(video, "measure", lambda *_: pytest.fail("it is there"))
    assert video.main(line) == 0


@pytest.mark.parametrize(
    ("more", "words"),
    [
        (["--frames", "8"], "frames: 8; expected at least 9"),
        (["--size", "33"], "size: 33; expected 32, 40, 48"),
        (["--weights", "none.safetensors"], "none.safetensors: "),
        (["--weights", "one.safetensors,one.safetensors"], "weights: expected different ones"),
        (["--pairs-file", "none.tsv"], "none.tsv: cannot be read"),
    ],
)
def test_mistakes_are_one_line(setting, capsys, more, words):
    try:
        code = video.main([*setting, "--weights", "one.safetensors", *more])
    except SystemExit as stopped:  # what the flags alone tell
        code = stopped.code
    assert code == 2
    error = capsys.readouterr().err
    assert words in error and error.count("\n") == 1


def test_the_examples_make_ten_clips():
    config = video.Config("x", size=32)
    names = [pair.name for pair in video.load_pairs(config)]
    assert len(set(names)) == 10
