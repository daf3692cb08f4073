"""The command that measures how still painted videos are."""

import json
from pathlib import Path

import numpy as np
import pytest

from jaxstyle import image, methods
from jaxstyle.painting import picture
from tests import recolour
from train.evaluate import clips, video

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
        (["--videos", "a.mp4"], "videos: not together with --pairs-file"),
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
    names = [shot.name for shot in video.load(config)]
    assert len(set(names)) == 10


def test_the_motion_of_a_film_is_found(tmp_path, monkeypatch):
    """A texture that slides by three pixels a frame is found three pixels from where it was, but for the edge."""
    monkeypatch.chdir(tmp_path)
    rows, columns = np.mgrid[0:96, 0:200]
    texture = 0.5 + 0.2 * (np.sin(columns / 5 + rows / 9) + np.cos(rows / 6 - columns / 13))
    Path("film").mkdir()
    for i in range(11):
        image.write(f"film/{i:02}.png", np.repeat(texture[:, 3 * i : 3 * i + 96, None], 3, -1).astype(np.float32))
    clip = clips.FilmClip("film", 9, 96)
    assert len(list(clip.frames())) == 9
    first = next(clip.frames()).pixels
    np.testing.assert_array_equal(first, (texture[:, 3:99, None] * 255 + 0.5).astype(np.uint8).repeat(3, -1))
    places = clip.positions(4, 3)[16:80, 16:80]
    expected = np.stack(np.mgrid[16:80, 16:80], -1) + np.array([0, 3])
    assert np.isfinite(places).all(-1).mean() > 0.95
    assert np.nanmedian(np.abs(places - expected)) < 0.1
    with pytest.raises(image.ImageError, match="film: has 11 frames; expected at least 12"):
        clips.FilmClip("film", 12, 96)


def test_films_get_the_paintings_of_the_examples_in_turn(tmp_path):
    noise = np.random.default_rng(0).random((9, 32, 40, 3), np.float32)
    for name in "ab":
        (tmp_path / name).mkdir()
        for i, pixels in enumerate(noise):
            image.write(tmp_path / name / f"{i}.png", pixels)
    (tmp_path / "text.png").write_text("no picture at all\n")
    with pytest.raises(video.PairsError, match=r"text\.png: is no video that can be read: it does not say"):
        video.load(video.Config("x", videos=f"{tmp_path}/text.png", size=32, frames=9))
    one, two = video.load(video.Config("x", videos=f"{tmp_path}/a,{tmp_path}/b", size=32, frames=9))
    assert (one.name.split(" + ")[0], two.name.split(" + ")[0]) == ("a", "b") and one.name[1:] != two.name[1:]
    assert one.clip.label == "a" and two.clip.label == "b"
