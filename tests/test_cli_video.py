import argparse
import json
import os
import sys
from pathlib import Path

import numpy as np
import pytest

from jaxstyle import image, methods
from jaxstyle.cli import arguments, main
from jaxstyle.painting import picture
from tests import clips, recolour


@pytest.fixture(autouse=True)
def files(tmp_path, monkeypatch):
    """``in.mp4``, ``painting.png`` and a small method in the current folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(methods.METHODS, "recolour", recolour.METHOD)
    monkeypatch.setenv("JAXSTYLE_CACHE_DIR", "off")
    picture.load_model.cache_clear()
    recolour.save("recolour.safetensors", recolour.init())
    image.write("painting.png", np.random.default_rng(0).random((40, 40, 3), np.float32))
    clips.make("in.mp4", [clips.picture(i) for i in range(5)], sound="aac")


def run(*words):
    return main.main(["video", *words, "--style", "painting.png", "--weights-file", "recolour.safetensors"])


def test_a_video(capsys):
    assert run("in.mp4", "-o", "out.mp4") == 0
    said = capsys.readouterr()
    assert said.out.startswith("out.mp4: 5 frames of 64 x 48 pixels, 0.17 s, with audio (aac), in ") and not said.err
    assert clips.times("out.mp4") == clips.times("in.mp4")


def test_all_flags(capsys):
    flags = "--from 0:00.03 --to 0.15 --codec hevc --crf 30 --temporal 0.2 --alpha 0:0,0:01:1 --size 40 --json"
    assert run("in.mp4", "-o", "out.mkv", *flags.split()) == 0
    report = json.loads(capsys.readouterr().out)
    assert (report["frames"], report["codec"], report["temporal"]) == (4, "hevc", 0.2)
    assert (report["width"], report["height"]) == (54, 40) and report["controls"]["alpha"] == 1.0
    with clips.av.open("out.mkv") as file:
        assert file.streams.video[0].codec_context.codec.canonical_name == "hevc"


def test_frames_in_and_out(capsys):
    assert run("in.mp4", "-o", "frames/%04d.png") == 0
    assert sorted(os.listdir("frames")) == [f"{i:04d}.png" for i in range(1, 6)]
    assert run("frames/%04d.png", "-o", "again.gif", "--fps", "30000/1001") == 0
    assert "again.gif: 5 frames" in capsys.readouterr().out


def test_every_mistake_is_one_line_and_exit_code_2(capsys, monkeypatch):
    Path("text.mp4").write_text("no video\n" * 99)
    Path("cut.mp4").write_bytes(Path("in.mp4").read_bytes()[:3000])
    for words, said in (
        (("text.mp4", "-o", "a.mp4"), "jaxstyle: text.mp4: is no video that can be read: "),
        (("cut.mp4", "-o", "a.mp4"), "jaxstyle: cut.mp4: is no video that can be read: "),
        (("none.mp4", "-o", "a.mp4"), "jaxstyle: none.mp4: no such file"),
        (("in.mp4", "-o", "in.mp4", "--overwrite"), "is the source itself"),
        (("in.mp4", "-o", "a.webm", "--codec", "h264"), "webm cannot hold h264"),
        (("in.mp4", "-o", "a.mp4", "--crf", "99"), "jaxstyle: --crf: expected a whole number from 0 to 51"),
        (("in.mp4", "-o", "a.mp4", "--from", "2", "--to", "1"), "jaxstyle: --to: expected more than the start"),
        (("in.mp4", "-o", "a.mp4", "--fps", "9"), "fps is for folders of pictures"),
        (("in.mp4", "-o", "-", "--json"), "standard output is taken by"),
    ):
        assert run(*words) == 2, words
        error = capsys.readouterr().err
        assert said in error and error.count("\n") == 1, error
        assert not Path("a.mp4").exists()
    Path("there.mp4").touch()
    assert run("in.mp4", "-o", "there.mp4") == 2 and "or give --overwrite" in capsys.readouterr().err
    monkeypatch.setitem(sys.modules, "av", None)
    assert run("in.mp4", "-o", "a.mp4") == 2
    assert capsys.readouterr().err == "jaxstyle: a.mp4: videos need PyAV: pip install 'jaxstyle[video,flow]'\n"


def test_words_that_flags_do_not_take(capsys):
    for flag, value in (
        ("--temporal", "0.6"),
        ("--codec", "vp9"),
        ("--from", "1:2:3:4"),
        ("--fps", "x"),
        ("--alpha", "0:0,0:1"),
    ):
        with pytest.raises(SystemExit) as caught:
            run("in.mp4", "-o", "a.mp4", flag, value)
        error = capsys.readouterr().err
        assert caught.value.code == 2 and f"argument {flag}: " in error and error.count("\n") == 1


def test_times_and_degrees():
    assert [arguments.seconds(text) for text in ("12.5", "1:02.5", "1:00:03")] == [12.5, 62.5, 3603]
    assert arguments.degree_over_time("0.5") == 0.5
    assert arguments.degree_over_time("0:0,1:30:0.5,2:00:1") == ((0, 0), (90, 0.5), (120, 1))
    for text in ("", "x", "-1", "1:", "nan", "inf"):
        with pytest.raises(argparse.ArgumentTypeError, match="expected seconds, M:S or H:M:S"):
            arguments.seconds(text)
    assert str(arguments.fps("29.97")) == "2997/100" and str(arguments.fps("30000/1001")) == "30000/1001"


def test_frames_and_masks_that_are_read_are_never_replaced(capsys):
    assert run("in.mp4", "-o", "frames/%04d.png") == 0
    kept = {name: Path("frames", name).read_bytes() for name in os.listdir("frames")}
    for words in (
        ("frames/%04d.png", "-o", "frames/%04d.png"),
        ("frames/%04d.png", "-o", "frames"),
        ("in.mp4", "--mask", "frames/%04d.png", "-o", "frames"),
    ):
        capsys.readouterr()
        assert run(*words, "--overwrite") == 2
        assert "which is read" in capsys.readouterr().err
        assert kept == {name: Path("frames", name).read_bytes() for name in os.listdir("frames")}


@pytest.mark.parametrize("name", ["out/%d%d.png", "out/%d%%.png", "out/a%_%d.png"])
def test_names_of_frames_have_one_number(capsys, name):
    assert run("in.mp4", "-o", name) == 2
    assert "one number" in capsys.readouterr().err and not Path("out").exists()


def test_parts_of_a_clip_are_decimals(capsys):
    """0.1 is a tenth of a second: a clip of ten frames a second begins and ends at frames."""
    assert run("in.mp4", "-o", "frames") == 0
    capsys.readouterr()
    for part, count in ((("0.1", "0.2"), 1), (("0.1", "0.3"), 2), (("0.4", "0.5"), 1)):
        assert run("frames", "--fps", "10", "--from", part[0], "--to", part[1], "-o", "o.gif", "--overwrite") == 0
        assert f"o.gif: {count} frame" in capsys.readouterr().out, part
