import itertools
from fractions import Fraction

import numpy as np
import pytest

from jaxstyle.image import ImageError
from jaxstyle.video import container, pictures
from jaxstyle.video.container import Kind
from jaxstyle.video.films import Film
from tests import clips


@pytest.mark.parametrize(
    ("name", "format", "kind"),
    [
        ("a.mp4", None, Kind(container="mp4")),
        ("a.M4V", None, Kind(container="mp4")),
        ("a.mkv", None, Kind(container="matroska")),
        ("a.xyz", "webm", Kind(container="webm")),
        ("-", None, Kind(container="matroska")),
        ("-", "gif", Kind(animation="GIF")),
        ("a.webp", None, Kind(animation="WEBP")),
        ("frames", None, Kind(pattern="%06d.png")),
        ("frames/%04d.jpg", None, Kind(pattern="%04d.jpg")),
    ],
)
def test_names_say_what_is_written(name, format, kind):
    assert container.kind_of(name, format) == kind


@pytest.mark.parametrize(
    ("name", "format", "words"),
    [
        ("a.txt", None, r"unknown suffix '\.txt': expected one of \.gif, .*\.webp, a folder, or FOLDER/%06d\.png$"),
        ("a.mp4", "avi", r"unknown suffix '\.avi'"),
        ("f/%d.txt", None, r"unknown suffix '\.txt': expected one of \.bmp"),
    ],
)
def test_other_names_are_one_line(name, format, words):
    with pytest.raises(ImageError, match=words):
        container.kind_of(name, format)


def test_which_container_holds_which_codec():
    container.check_codec("a.mp4", Kind(container="mp4"), "h264")
    container.check_codec("a.mkv", Kind(container="matroska"), "ffv1")
    with pytest.raises(ImageError, match=r"^a\.webm: webm cannot hold hevc; \.mkv can$"):
        container.check_codec("a.webm", Kind(container="webm"), "hevc")


def test_times_of_decoding():
    """In the order of the times themselves where nothing is reordered; else late, but never after they are shown."""
    assert container.decoding_times([0, 10, 25], 10) == [0, 10, 25] and container.decoding_times([], 1) == []
    order = [0, 50, 33, 120, 121, 300, 400, 340]
    found = container.decoding_times(order, 33)
    assert found == [-33, 0, 33, 50, 120, 121, 300, 340]
    for order in (np.random.default_rng(0).permutation(20).tolist(), [3, 2, 1, 0]):
        found = container.decoding_times(order, 1)
        assert all(a < b for a, b in itertools.pairwise(found))
        assert all(dts <= pts for dts, pts in zip(found, order, strict=True))


def test_sound_that_does_not_fit_is_left_out_with_a_notice(tmp_path):
    path = clips.make(tmp_path / "a.mp4", [clips.picture(i) for i in range(3)], sound="aac")
    film = Film(str(path), 10**6)
    found = container.sound_of(film, Kind(container="mp4"))
    assert found.streams == (1,) and found.words == ("audio (aac)",) and not found.notices
    found = container.sound_of(film, Kind(container="webm"))
    assert found.streams == () and found.notices == (f"{path}: its audio (aac) does not go into webm and is left out",)


def test_folders_that_may_not_be_replaced(tmp_path, monkeypatch):
    kind = Kind(pattern="%03d.png")

    def check(name, overwrite=False):
        pictures.check_folder(str(tmp_path / name), name, kind, overwrite)

    for name in ("empty", "frames", "mixed"):
        (tmp_path / name).mkdir()
    (tmp_path / "file").touch()
    for name in ("frames", "mixed"):
        (tmp_path / name / "001.png").touch()
    (tmp_path / "mixed" / "holiday.jpg").touch()
    check("new")
    check("empty")
    check("frames", overwrite=True)
    for name, overwrite, words in (
        ("frames", False, "frames: exists already and is not empty: choose another name, or give overwrite=True"),
        ("mixed", True, r"mixed: holds something else than frames \(holiday.jpg\), which is never replaced"),
        ("file", True, "file: is a file, and the frames need a folder"),
        ("none/new", False, "cannot be written: there is no folder"),
    ):
        with pytest.raises(ImageError, match=words):
            check(name, overwrite)
    monkeypatch.chdir(tmp_path / "frames")
    with pytest.raises(
        ImageError, match="frames: is the folder that this runs in, which is never replaced: name another"
    ):
        check("frames", overwrite=True)


def test_a_time_base_is_kept_or_a_multiple():
    setting = container.Setting("h264", None, 8, 8, Fraction(1, 30000), Fraction(30))
    scale = {
        tick: container._options(Kind(container="mp4"), setting._replace(time_base=Fraction(tick)))[
            "video_track_timescale"
        ]
        for tick in ("1/30000", "1/600", "1/25", "1001/30000")
    }
    assert scale == {"1/30000": "30000", "1/600": "600", "1/25": "10000", "1001/30000": "30000"}
    assert "video_track_timescale" not in container._options(Kind(container="matroska"), setting)
    tick = Fraction(1, 48_000)
    for seconds, scale in ((10, "240000"), (10_000, "30000"), (100_000, None)):
        found = container._options(Kind(container="mp4"), setting, [tick], Fraction(seconds))
        assert found.get("movie_timescale") == scale
