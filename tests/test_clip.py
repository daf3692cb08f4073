from fractions import Fraction

import numpy as np
import pytest
from PIL import Image

from jaxstyle import image
from jaxstyle.image import ImageError
from jaxstyle.video import clip, films
from jaxstyle.video.clip import open_clip
from tests import clips


@pytest.fixture(scope="module")
def film(tmp_path_factory):
    frames = [clips.picture(i) for i in range(9)]
    return clips.make(tmp_path_factory.mktemp("clip") / "a.mp4", frames, sound="aac", turned=90), frames


def test_a_film_has_its_times_and_stands_upright(film):
    path, frames = film
    found = open_clip(str(path))
    assert found.facts[:6] == (48, 64, clips.TICK, clips.NTSC, 9, 0)
    read = list(found.frames())
    assert [(f.pts, f.duration) for f in read] == [(1001 * i, 1001) for i in range(9)]
    clips.close([f.pixels for f in read], [np.rot90(f) for f in frames], 3)
    assert found.stamps()[0][:2] == ["a.mp4", path.stat().st_size]


@pytest.mark.parametrize("start", [1, 3003, 3004, 8008, 9000])
def test_frames_from_a_time_on_are_those_of_the_whole(film, start):
    found = open_clip(str(film[0]))
    whole = [f for f in found.frames() if f.pts >= start]
    part = list(found.frames(start))
    assert [f.pts for f in part] == [f.pts for f in whole]
    for a, b in zip(part, whole, strict=True):
        np.testing.assert_array_equal(a.pixels, b.pixels)


def test_a_variable_rate_survives(tmp_path):
    path = clips.make(tmp_path / "a.mkv", [clips.picture(i) for i in range(7)], clips.VARIABLE, Fraction(1, 1000))
    found = open_clip(str(path))
    assert [f.pts for f in found.frames()] == list(clips.VARIABLE) and found.facts.time_base == Fraction(1, 1000)


def test_pictures_of_a_folder_and_of_a_pattern(tmp_path):
    for number in (2, 10, 9):
        image.write(tmp_path / f"f{number}.png", clips.picture(number))
    (tmp_path / "notes.txt").touch()
    for source in (str(tmp_path), str(tmp_path / "f%d.png")):
        found = open_clip(source, Fraction(24))
        assert found.facts[:6] == (64, 48, Fraction(1, 24), Fraction(24), 3, 0) and not found.facts.notices
        read = list(found.frames())
        assert [f.pts for f in read] == [0, 1, 2]
        for frame, number in zip(read, (2, 9, 10), strict=True):
            np.testing.assert_array_equal(frame.pixels, clips.picture(number))
        assert [f.pts for f in found.frames(2)] == [2]
    assert "are taken for 25 a second" in open_clip(str(tmp_path)).facts.notices[0]
    image.write(tmp_path / "f11.png", clips.picture(0, 40, 64))
    with pytest.raises(ImageError, match=r"f11\.png: 64 x 40 pixels; the first frame has 64 x 48$"):
        list(open_clip(str(tmp_path)).frames())
    with pytest.raises(ImageError, match=r"there are no pictures of that name$"):
        open_clip(str(tmp_path / "g%04d.png"))


@pytest.mark.parametrize("name", ["a.gif", "a.webp"])
def test_animations_keep_how_long_each_frame_is_shown(tmp_path, name):
    frames = [Image.fromarray(np.full((20, 30, 3), 40 * i, np.uint8)) for i in range(1, 5)]
    shown = [50, 120, 20, 300]
    frames[0].save(tmp_path / name, save_all=True, append_images=frames[1:], duration=shown, lossless=True)
    found = open_clip(str(tmp_path / name))
    assert found.facts[:6] == (30, 20, Fraction(1, 1000), Fraction(4000, 490), 4, 0)
    read = list(found.frames())
    assert [(f.pts, f.duration) for f in read] == [(0, 50), (50, 120), (170, 20), (190, 300)]
    assert [int(f.pixels[5, 5, 0]) for f in read] == [40, 80, 120, 160]
    assert [f.pts for f in found.frames(51)] == [170, 190]


def test_what_is_transparent_stands_on_white(tmp_path):
    Image.new("RGBA", (8, 8), (0, 0, 0, 0)).save(tmp_path / "a.webp", lossless=True)
    assert next(iter(open_clip(str(tmp_path / "a.webp")).frames())).pixels.min() == 255


def test_bad_files_are_one_line(tmp_path, film):
    (tmp_path / "text.mp4").write_text("no video at all\n" * 50)
    (tmp_path / "text.png").write_text("no picture at all\n")
    (tmp_path / "empty.mp4").touch()
    whole = film[0].read_bytes()
    (tmp_path / "head.mp4").write_bytes(whole[: len(whole) // 2])
    with clips.av.open(str(tmp_path / "sound.m4a"), "w", format="mp4") as out:
        clips._tone(out, out.add_stream("aac", rate=48_000, layout="mono"), 0.1)
    for name, words in (
        ("text.mp4", "is no video that can be read: "),
        ("text.png", "is no video that can be read: it does not say how large its pictures are$"),
        ("empty.mp4", "is no video that can be read: "),
        ("head.mp4", "is no video that can be read: "),
        ("sound.m4a", r"has no video stream \(audio\)$"),
        ("none.mp4", "no such file or directory$"),
    ):
        with pytest.raises(ImageError, match=words) as caught:
            open_clip(str(tmp_path / name))
        assert str(caught.value).startswith(str(tmp_path / name)) and "\n" not in str(caught.value)
    with pytest.raises(ImageError, match=r"has times of its own: fps is for folders of pictures$"):
        open_clip(str(film[0]), Fraction(25))
    with pytest.raises(ImageError, match="megapixels, more than the limit"):
        open_clip(str(film[0]), max_pixels=1000)


@pytest.mark.parametrize("name", ["a.mkv", "a.mp4"])
def test_a_file_that_was_cut_off_is_found_before_it_is_painted(tmp_path, name):
    """Also one whose index stands in front; whole ones pass."""
    path = clips.make(tmp_path / name, [clips.picture(i) for i in range(9)])
    if name == "a.mp4":
        with (
            clips.av.open(str(path)) as given,
            clips.av.open(str(tmp_path / "b.mp4"), "w", options={"movflags": "faststart"}) as out,
        ):
            stream = out.add_stream_from_template(given.streams.video[0])
            for packet in given.demux(video=0):
                if packet.dts is not None:
                    packet.stream = stream
                    out.mux(packet)
        path = tmp_path / "b.mp4"
    open_clip(str(path)).check_whole()
    data = path.read_bytes()
    path.write_bytes(data[: len(data) - 400])
    with pytest.raises(
        ImageError, match=r"is cut off: of \d+ bytes at least \d+ are missing \(end = SECONDS takes a part"
    ):
        open_clip(str(path)).check_whole()


@pytest.mark.parametrize("name", ["a.mp4", "a.mkv"])
@pytest.mark.parametrize("seed", range(8))
def test_damage_is_an_error_or_is_told(tmp_path, name, seed):
    """Decoders mend what they can; what comes out is never less than the file says it has without a word."""
    path = clips.make(tmp_path / name, [clips.picture(i) for i in range(40)])
    assert _read_whole(path) == (40, ())
    data, random = bytearray(path.read_bytes()), np.random.default_rng(seed)
    at, count = int(random.integers(len(data) // 6, 5 * len(data) // 6)), int(random.choice([40, 300]))
    data[at : at + count] = random.integers(0, 256, count, np.uint8).tobytes()
    path.write_bytes(data)
    try:
        count, notices = _read_whole(path)
    except ImageError as error:
        assert "is damaged" in str(error) and "\n" not in str(error)
    else:
        assert all(name in notice for notice in notices)
        # a Matroska file does not say how many it has: what it lost without any damaged frame is not known
        assert count == 40 or any("missing" in notice for notice in notices) or (name == "a.mkv" and not notices)


def _read_whole(path):
    clip = open_clip(str(path))
    frames = list(clip.frames())
    end = (frames[-1].pts + frames[-1].duration - frames[0].pts) * clip.facts.time_base
    return len(frames), clip.damage(end)


@pytest.mark.parametrize(("left_out", "words"), [({7}, "1 frame seems"), ({7, 8, 9, 30}, "4 frames seem"), ((), None)])
def test_frames_that_a_damaged_file_lost_between_others_are_told_of(tmp_path, left_out, words):
    """Where others of it are damaged: without that a gap may be a screen on which nothing moved."""
    whole = clips.make(tmp_path / "whole.mkv", [clips.picture(i) for i in range(40)], gop_size=1, max_b_frames=0)
    path = tmp_path / "a.mkv"
    with clips.av.open(str(whole)) as given, clips.av.open(str(path), "w") as out:
        stream = out.add_stream_from_template(given.streams.video[0])
        for number, packet in enumerate(given.demux(video=0)):
            if packet.dts is not None and number not in left_out:
                packet.stream = stream
                out.mux(packet)
    count, notices = _read_whole(path)
    assert (count, notices) == (40 - len(left_out), ())
    with clips.av.open(str(path)) as container:
        packets = [bytes(packet) for packet in container.demux(video=0) if packet.size]
    data = path.read_bytes()
    at, size = data.index(packets[20]), len(packets[20])
    path.write_bytes(data[: at + size // 2] + bytes(size - size // 2) + data[at + size :])
    count, notices = _read_whole(path)
    why = "to be missing: the time between two frames is longer there than elsewhere"
    assert count == 40 - len(left_out) and notices[0].endswith("as far as the decoder could mend it")
    assert notices[1:] == (() if words is None else (f"{path}: {words} {why}",))


def test_mended_frames_are_counted(tmp_path):
    """The second half of what one frame of forty is made of is overwritten: it is shown, and told of."""
    path = clips.make(tmp_path / "a.mp4", [clips.picture(i) for i in range(40)])
    with clips.av.open(str(path)) as container:
        packets = [(packet.pos, packet.size) for packet in container.demux(video=0) if packet.size]
    data, (at, size) = bytearray(path.read_bytes()), packets[20]
    data[at + size // 2 : at + size] = bytes(size - size // 2)
    path.write_bytes(data)
    count, notices = _read_whole(path)
    assert count == 40
    assert notices == (f"{path}: 1 frame is damaged, and shown as far as the decoder could mend it",)


def test_which_names_of_masks_are_clips(tmp_path):
    assert (
        clip.is_clip("a.MP4") and clip.is_clip("m/%06d.png") and clip.is_clip(str(tmp_path)) and clip.is_clip("a.gif")
    )
    assert not clip.is_clip("a.png") and not clip.is_clip(np.zeros((2, 2))) and not clip.is_clip(None)


def test_a_cover_is_no_video(tmp_path):
    """A file of music with a picture in front."""
    with clips.av.open(str(tmp_path / "a.mp4"), "w") as out:
        stream = out.add_stream("mjpeg", rate=1)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuvj420p"
        stream.disposition = 1024  # attached_pic
        frame = clips.av.VideoFrame.from_ndarray(clips.picture(0))
        frame.pts = 0
        out.mux(stream.encode(frame))
        out.mux(stream.encode())
    with clips.av.open(str(tmp_path / "a.mp4")) as file:
        if not films._is_cover(file.streams.video[0]):
            pytest.skip("this PyAV does not write covers")
    with pytest.raises(ImageError, match="has no video stream"):
        open_clip(str(tmp_path / "a.mp4"))
