"""Clips painted, from file to file."""

import base64
import dataclasses
import io
import os
import signal
import subprocess
import sys
import threading
import time
from fractions import Fraction
from pathlib import Path

import jax
import numpy as np
import pytest

import jaxstyle
from jaxstyle import image, methods
from jaxstyle.image import ImageError
from jaxstyle.painting import picture
from jaxstyle.painting.paint import _paint, _whole
from jaxstyle.painting.unfinished import UnfinishedError
from jaxstyle.video import file as video
from jaxstyle.video import steady
from jaxstyle.video.file import stylize_video
from tests import clips, recolour

ONE = jax.local_devices()[:1]


@pytest.fixture(autouse=True)
def weights(tmp_path, monkeypatch):
    """A small method, a painting, and nothing in the user's cache."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(methods.METHODS, "recolour", recolour.METHOD)
    monkeypatch.setenv("JAXSTYLE_CACHE_DIR", "off")
    picture.load_model.cache_clear()
    recolour.save("recolour.safetensors", recolour.init())
    image.write("painting.png", np.random.default_rng(0).random((40, 40, 3), np.float32))
    return "recolour.safetensors"


def paint(content, output, style="painting.png", **options):
    return stylize_video(content, style, output, weights_file="recolour.safetensors", **{"crf": None, **options})


def frames(count, **size):
    return [clips.picture(i, **size) for i in range(count)]


def wanted(pixels, **controls):
    """What `jaxstyle.stylize` makes of a frame."""
    loaded = methods.load("recolour.safetensors")
    return np.asarray(jaxstyle.stylize(np.ascontiguousarray(pixels), "painting.png", model=loaded, **controls))


def read(folder):
    return [np.asarray(image.to_pil(image.read(path))) for path in sorted(Path(folder).iterdir())]


# ---- times, sound, orientation -----------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["out.mp4", "out.mov"])
def test_sound_times_and_orientation(name):
    """29.97 frames per second, AAC, and turned by a quarter: the same packets, the same times, upright."""
    source = clips.make("in.mp4", frames(9), sound="aac", turned=90)
    report = paint(str(source), name, temporal=0)
    assert (report.width, report.height, report.frames, report.sound) == (48, 64, 9, ("audio (aac)",))
    assert report.duration == pytest.approx(9 * 1001 / 30000) and not report.notices
    assert clips.times(name) == clips.times(source) == [Fraction(1001 * i, 30000) for i in range(9)]
    assert clips.packets(name) == clips.packets(source)
    with clips.av.open(name) as file:
        stream = file.streams.video[0]
        assert stream.time_base == clips.TICK and stream.average_rate == clips.NTSC
        first = next(file.decode(video=0))
        assert first.rotation == 0 and (first.colorspace, first.color_range, first.color_primaries) == (1, 1, 1)
    seen = [pixels for _, pixels in clips.shown(source)]
    made = [np.rot90(pixels) for pixels in seen]
    with clips.av.open(name) as file:
        from jaxstyle.image import film

        found = [film.to_rgb(frame) for frame in file.decode(video=0)]
    clips.close(found, [wanted(pixels) for pixels in made], 6)


@pytest.mark.parametrize(("name", "size"), [("out.mp4", (64, 42)), ("out.gif", (63, 41))])
def test_the_report_has_the_sides_of_the_file(name, size):
    report = paint(str(clips.make("in.mp4", frames(2))), name, size=(63, 41))
    assert (report.width, report.height) == size
    even = "h264 wants even sides: 63 x 41 became 64 x 42, its last row or column repeated"
    assert (even in report.notices) == (name == "out.mp4")
    with clips.av.open(name) as file:
        assert (file.streams.video[0].width, file.streams.video[0].height) == size


def test_a_variable_rate_survives_to_the_tick():
    tick = Fraction(1, 1000)
    source = clips.make("in.mkv", frames(7), clips.VARIABLE, tick, sound="libopus")
    paint(str(source), "out.mp4")
    assert clips.times("out.mp4") == [pts * tick for pts in clips.VARIABLE]
    assert [data for _, data in clips.packets("out.mp4")] == [data for _, data in clips.packets(source)]
    offsets = {
        round((a - b) * 48_000) for (a, _), (b, _) in zip(clips.packets("out.mp4"), clips.packets(source), strict=True)
    }
    assert all(abs(offset) <= 48 for offset in offsets)  # Matroska counts milliseconds


def test_the_times_of_a_part_begin_with_it():
    source = clips.make("in.mp4", frames(12), sound="aac")
    report = paint(str(source), "out.mp4", start=0.1, end=0.3)
    whole = clips.times(source)
    kept = [time for time in whole if Fraction(1, 10) <= time < Fraction(3, 10)]
    assert clips.times("out.mp4") == [time - kept[0] for time in kept] and report.frames == len(kept)
    sound = clips.packets("out.mp4")
    part = [(time, data) for time, data in clips.packets(source) if Fraction(0.1) <= time < Fraction(0.3)]
    assert [data for _, data in sound] == [data for _, data in part] and part
    assert all(abs(a - (b - kept[0])) <= Fraction(1, 48_000) for (a, _), (b, _) in zip(sound, part, strict=True))
    with pytest.raises(ImageError, match=r"in\.mp4: has no frames from 9 s on$"):
        paint(str(source), "late.mp4", start=9)
    assert not list(Path().glob("late*"))


@pytest.mark.parametrize("name", ["out.mp4", "out.mkv"])
def test_a_video_that_begins_after_its_sound_still_does(name):
    tick = Fraction(1, 1000)
    source = clips.make("in.mp4", frames(4), [500, 540, 580, 700], tick, sound="aac")
    paint(str(source), name)
    times, sound = clips.times(name), clips.packets(name)
    late = sound[1][0]  # Matroska has no times before 0: all of it is later by what the codec begins early
    assert [time - late for time in times] == [Fraction(pts, 1000) for pts in (500, 540, 580, 700)]
    assert [data for _, data in sound] == [data for _, data in clips.packets(source)]
    assert late == (0 if name == "out.mp4" else Fraction(21, 1000))


def test_pixels_that_are_not_square_keep_their_shape():
    """Turned by a quarter they are high instead of wide; a size that is asked for has square ones."""
    source = clips.make("in.mp4", frames(2), turned=90, sample_aspect_ratio=Fraction(4, 3))
    for name, options, wanted in (("a.mp4", {}, Fraction(3, 4)), ("b.mp4", {"size": (40, 60)}, Fraction(1))):
        paint(str(source), name, **options)
        with clips.av.open(name) as file:
            assert (file.streams.video[0].sample_aspect_ratio or 1) == wanted


def test_subtitles_are_copied_where_they_fit():
    source = clips.make("plain.mkv", frames(4), [0, 40, 80, 120], Fraction(1, 1000), max_b_frames=0)
    Path("words.srt").write_text("1\n00:00:00,010 --> 00:00:00,090\nHello\n\n")
    with clips.av.open(str(source)) as given, clips.av.open("words.srt") as words, clips.av.open("in.mkv", "w") as out:
        both = [(c, c.streams[0], out.add_stream_from_template(c.streams[0])) for c in (given, words)]
        for container, stream, target in both:
            for packet in container.demux(stream):
                if packet.dts is not None:
                    packet.stream = target
                    out.mux(packet)
    report = paint("in.mkv", "out.mkv")
    assert report.sound == ("subtitle (subrip)",) and clips.packets("out.mkv", "subtitle") == clips.packets(
        "in.mkv", "subtitle"
    )
    report = paint("in.mkv", "out.mp4")
    assert report.sound == () and report.notices == (
        "in.mkv: its subtitle (subrip) does not go into mp4 and is left out",
    )


# ---- frames ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "controls",
    [
        {},
        {"alpha": 0.3, "size": 24},
        {"style_size": 20, "preserve_color": "luminance"},
        {"preserve_color": "match", "gradient": "left:0,right:1"},
    ],
)
def test_frame_by_frame_is_what_stylize_makes(controls):
    for number, pixels in enumerate(frames(3)):
        image.write(f"f{number}.png", pixels)
    report = paint("f%d.png", "out", temporal=0, **controls)
    assert report.frames == 3 and report.codec == "%06d.png"
    for found, pixels in zip(read("out"), frames(3), strict=True):
        np.testing.assert_array_equal(found, wanted(pixels, **controls))


def test_several_styles_masks_and_moving_masks():
    for number, pixels in enumerate(frames(3)):
        image.write(f"f{number}.png", pixels)
        image.write(f"m{number}.png", np.full((48, 64), number / 2, np.float32))
    image.write("other.png", np.random.default_rng(5).random((40, 40, 3), np.float32))
    image.write("white.png", np.ones((8, 8), np.float32))
    styles = ["painting.png", "other.png"]
    report = paint("f%d.png", "out", styles, temporal=0, mask=("m%d.png", "white.png"), weights=(2, 1))
    assert report.notices[-1] == "white.png: 8 x 8 is stretched to 64 x 48"
    for number in range(3):
        image.write(f"n{number}.png", np.zeros((48, 48), np.float32))
    for clip in ("n0.png", "n%d.png"):
        report = paint("f%d.png", f"of {len(clip)}", "painting.png", temporal=0, mask=clip)
        assert report.notices[-1] == f"{clip}: 48 x 48 is stretched to 64 x 48"
    loaded = methods.load("recolour.safetensors")
    for number, found in enumerate(read("out")):
        mask = (f"m{number}.png", "white.png")
        single = jaxstyle.stylize(f"f{number}.png", styles, model=loaded, mask=mask, weights=(2, 1))
        np.testing.assert_array_equal(found, np.asarray(single))


def test_a_fitted_style_brings_its_model():
    painting = base64.b64encode(Path("painting.png").read_bytes()).decode()
    recolour.save("fitted.safetensors", recolour.init(3), painting=painting)
    image.write("f0.png", frames(1)[0])
    report = stylize_video("f%d.png", "fitted.safetensors", "out")
    assert report.weights_file == "fitted.safetensors"
    (found,) = read("out")
    np.testing.assert_array_equal(found, np.asarray(jaxstyle.stylize(frames(1)[0], "fitted.safetensors")))
    assert np.abs(found - wanted(frames(1)[0]).astype(int)).max() > 2


def test_the_degree_over_time_ends_with_the_photo():
    """Where it is 0 frames are the input, to the last bit, also with frames before them mixed in."""
    for number, pixels in enumerate(frames(6)):
        image.write(f"f{number}.png", pixels)
    paint("f%d.png", "out", fps=10, alpha_keys=[(0.1, 1), (0.3, 0)])
    found = read("out")
    for number in (3, 4, 5):
        np.testing.assert_array_equal(found[number], frames(6)[number])
    away = [np.abs(a.astype(int) - b).mean() for a, b in zip(found, frames(6), strict=True)]
    assert away[0] > 10 and away[1] > 10 and away[2] > 0


def test_all_frames_share_one_program_and_styles_are_encoded_once(monkeypatch):
    for number, pixels in enumerate(frames(5, height=44, width=60)):
        image.write(f"f{number}.png", pixels)
    encoded, encode = [], recolour.METHOD.encode_style
    method = recolour.METHOD._replace(encode_style=lambda *args: encoded.append(1) or encode(*args))
    monkeypatch.setitem(methods.METHODS, "recolour", method)
    picture.load_model.cache_clear()
    image.write("painting.png", np.random.default_rng(9).random((41, 40, 3), np.float32))  # one that was not seen yet
    for name, temporal, program in (("a", 0, _whole), ("b", 0.4, _paint)):
        before = program._cache_size()
        paint("f%d.png", name, temporal=temporal, alpha_keys=[(0, 1), (1, 0.5)])
        # devices have programs of their own
        assert program._cache_size() - before <= len(jax.local_devices())
    assert len(encoded) == 1


def test_all_devices_share_the_frames_and_the_result_is_that_of_one(monkeypatch):
    for number, pixels in enumerate(frames(9)):
        image.write(f"f{number}.png", pixels)
    for temporal in (0, 0.5):
        paint("f%d.png", f"many-{int(10 * temporal)}", temporal=temporal)
        with monkeypatch.context() as patch:
            patch.setattr(video.jax, "local_devices", lambda: ONE)
            paint("f%d.png", f"one-{int(10 * temporal)}", temporal=temporal)
        for a, b in zip(read(f"many-{int(10 * temporal)}"), read(f"one-{int(10 * temporal)}"), strict=True):
            assert np.abs(a.astype(int) - b).max() <= 1


def test_steadiness_changes_frames_after_the_first_and_begins_anew_at_cuts():
    moving = [clips.picture(3 * i) for i in range(3)]
    other = [255 - pixels[::-1] for pixels in moving]
    for number, pixels in enumerate(moving + other):
        image.write(f"f{number}.png", pixels)
    report = paint("f%d.png", "out")
    assert report.cuts == 2 and report.temporal == steady.WEIGHT
    found = read("out")
    same = [np.array_equal(a, wanted(b)) for a, b in zip(found, moving + other, strict=True)]
    assert same == [True, False, False, True, False, False]


# ---- other inputs and outputs ------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["out.gif", "out.webp"])
def test_animations_in_and_out(name):
    source = clips.make("in.mp4", frames(5))
    report = paint(str(source), name)
    assert report.codec == name[4:].upper() and report.frames == 5
    with image.picture.Image.open(name) as found:
        shown = []
        for number in range(found.n_frames):
            found.seek(number)
            found.load()
            shown.append(found.info["duration"])
    assert sum(shown) == pytest.approx(1000 * 5 * 1001 / 30000, abs=6) and max(shown) - min(shown) <= 10
    assert "the times of its frames are rounded" in report.notices[0]
    again = paint(name, "again.mp4")
    assert (again.frames, again.width, again.height) == (5, 64, 48)
    assert [round(1000 * t) for t in clips.times("again.mp4")] == [sum(shown[:i]) for i in range(5)]


def test_lossless_video_is_the_frames():
    for number, pixels in enumerate(frames(3)):
        image.write(f"f{number}.png", pixels)
    paint("f%d.png", "out.mkv", codec="ffv1", fps=Fraction(30000, 1001))
    paint("f%d.png", "out", fps=Fraction(30000, 1001))
    for (_, a), b in zip(clips.shown("out.mkv"), read("out"), strict=True):
        np.testing.assert_array_equal(a, b)


def test_a_folder_is_replaced_only_with_leave():
    image.write("f0.png", frames(1)[0])
    paint("f%d.png", "out/%03d.png")
    assert os.listdir("out") == ["001.png"]
    with pytest.raises(ImageError, match="exists already and is not empty"):
        paint("f%d.png", "out/%03d.png")
    image.write("f1.png", frames(2)[1])
    paint("f%d.png", "out/%03d.png", overwrite=True)
    assert sorted(os.listdir("out")) == ["001.png", "002.png"]
    with pytest.raises(ImageError, match=r"would replace .*, which is read"):
        paint("out", "out/%03d.png", overwrite=True)


def test_standard_input_and_output(monkeypatch):
    class Stream:
        def __init__(self, data=b""):
            self.buffer = io.BytesIO(data)

        def isatty(self):
            return False

    source = clips.make("in.mp4", frames(4), sound="aac")
    paint(str(source), "out.mkv")
    monkeypatch.setattr(sys, "stdin", Stream(source.read_bytes()))
    monkeypatch.setattr(sys, "stdout", Stream())
    report = paint("-", "-")
    assert (report.content, report.output) == ("-", "-")
    assert sys.stdout.buffer.getvalue() == Path("out.mkv").read_bytes()
    monkeypatch.setattr(sys, "stdin", Stream(source.read_bytes()[:1000]))
    with pytest.raises(ImageError, match=r"^<stdin>: is no video that can be read"):
        paint("-", "out.mp4")


# ---- stopped and killed ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("out.mp4", {}),
        ("out.mp4", {"temporal": 0}),
        ("out.mkv", {"preserve_color": "match"}),
        ("out.gif", {}),
        ("out", {}),
    ],
)
def test_stopped_and_given_again_the_result_is_the_same(monkeypatch, name, options):
    monkeypatch.setattr(video, "FRAMES", 4)
    source = str(clips.make("in.mp4", [clips.picture(3 * i) for i in range(14)], sound="aac"))

    def stop(progress):
        if progress.done == 7:
            raise KeyboardInterrupt

    with pytest.raises(
        KeyboardInterrupt, match=rf"^interrupted; 4 frames are kept in {name}\.jaxstyle-part, and the same"
    ):
        paint(source, name, progress=stop, **options)
    assert not os.path.exists(name)
    seen = []
    report = paint(source, name, progress=seen.append, **options)
    assert (report.kept, report.frames) == (4, 14)
    assert (seen[0].kept, seen[0].done, seen[-1].total) == (4, 1, 14)
    assert not os.path.exists(f"{name}.jaxstyle-part")
    whole = f"whole{os.path.splitext(name)[1]}"
    paint(source, whole, **options)
    if os.path.isdir(name):
        for a, b in zip(read(name), read(whole), strict=True):
            np.testing.assert_array_equal(a, b)
    else:
        assert Path(name).read_bytes() == Path(whole).read_bytes()


def test_another_request_does_not_go_on(monkeypatch):
    monkeypatch.setattr(video, "FRAMES", 2)
    source = str(clips.make("in.mp4", frames(6)))

    def stop(progress):
        if progress.done == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        paint(source, "out.mp4", progress=stop)
    with pytest.raises(
        UnfinishedError, match=r"out\.mp4\.jaxstyle-part: holds a video begun with alpha = 1\.0, not 0\.5"
    ):
        paint(source, "out.mp4", alpha=0.5)
    assert paint(source, "out.mp4", alpha=0.5, overwrite=True).kept == 0


def test_a_failure_leaves_no_file(monkeypatch):
    source = str(clips.make("in.mp4", frames(3)))

    def full(*_):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(video.container, "write_film", full)
        with pytest.raises(
            ImageError, match=r"^out\.mp4: cannot be written: no space left on device; 3 frames are kept"
        ):
            paint(source, "out.mp4")
    assert not os.path.exists("out.mp4")
    assert paint(source, "out.mp4").kept == 3


@pytest.mark.parametrize("temporal", [0, 0.4])
def test_no_thread_is_left_by_a_failure(monkeypatch, temporal):
    """Neither one that reads ahead nor one that waits for the frame before."""
    for number, pixels in enumerate(frames(9)):
        image.write(f"f{number}.png", pixels if number != 5 else pixels[:40])
    with pytest.raises(ImageError, match=r"f5\.png: 64 x 40 pixels; the first frame has 64 x 48"):
        paint("f%d.png", "a.mp4", temporal=temporal)

    def failing(*args):
        raise MemoryError("no room")

    monkeypatch.setitem(methods.METHODS, "recolour", recolour.METHOD._replace(paint=failing))
    picture.load_model.cache_clear()
    with pytest.raises(MemoryError):
        paint("f%d.png", "b.mp4", temporal=temporal)
    end = time.monotonic() + 10
    while any(t.name.startswith(("jaxstyle-video", "jaxstyle-read")) for t in threading.enumerate()):
        assert time.monotonic() < end
        time.sleep(0.05)
    assert not list(Path().glob("*.mp4*"))


@pytest.mark.slow
def test_killed_and_given_again_the_file_is_the_same(tmp_path):
    """By the command, with the shipped weights, twice killed."""
    source = clips.make("in.mp4", [clips.picture(i, 32, 32) for i in range(200)], sound="aac")
    command = [sys.executable, "-m", "jaxstyle", "video", str(source), "--style", "painting.png", "--json", "-o"]
    environment = {**os.environ, "PYTHONPATH": str(Path(jaxstyle.__file__).parents[1])}
    part, kills = Path("out.mp4.jaxstyle-part"), 0
    for segments in (1, 2):
        process = subprocess.Popen([*command, "out.mp4"], env=environment, stdout=subprocess.DEVNULL)
        while process.poll() is None and len(list(part.glob("*.segment"))) < segments:
            time.sleep(0.05)
        if process.poll() is None:
            process.send_signal(signal.SIGKILL)
            kills += 1
        process.wait()
        assert not Path("out.mp4").exists() or process.returncode == 0
    done = subprocess.run([*command, "out.mp4", "--overwrite"], env=environment, capture_output=True, text=True)
    assert done.returncode == 0 and kills, done.stderr
    subprocess.run([*command, "whole.mp4"], env=environment, check=True, capture_output=True)
    assert Path("out.mp4").read_bytes() == Path("whole.mp4").read_bytes()
    assert '"kept": 0' not in done.stdout


# ---- mistakes ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"temporal": 0.6}, r"^temporal: expected a number from 0 \(off\) to 0\.5, got 0\.6$"),
        ({"codec": "vp9"}, r"^codec: expected one of h264, hevc, av1, ffv1, got 'vp9'$"),
        ({"crf": 52}, r"^crf: expected a whole number from 0 to 51 for h264, got 52$"),
        ({"codec": "ffv1", "crf": 3}, r"^crf: ffv1 is lossless, there is no quality to choose$"),
        ({"start": 2, "end": 1}, r"^end: expected more than the start, 2 s, got 1$"),
        ({"tile": 64}, r"^tile: frames are painted in tiles where they do not fit"),
        ({"fps": 25}, r"has times of its own: fps is for folders of pictures$"),
        ({"fps": "fast"}, r"^fps: expected frames per second such as 25 or 30000/1001, got 'fast'$"),
        ({"fps": 0}, r"^fps: expected from 0\.01 to 1000 frames per second, got 0$"),
        ({"weights": (1, 2)}, r"^weights: expected 1, one per style, got 2$"),
        ({"mask": "none.mp4"}, r"^none\.mp4: no such file or directory$"),
        ({"overwrite": True, "output": "in.mp4"}, r"^in\.mp4: is the source itself, which is never replaced$"),
        ({"output": "there.mp4"}, r"^there\.mp4: exists already: choose another name, or give overwrite=True$"),
        ({"output": "a.gif", "codec": "h264"}, r"^codec: a\.gif is no video file; expected one of \.mp4"),
        ({"output": "a.gif", "max_pixels": 5000}, r"^a\.gif \(2 frames of 64 x 48\): .* more than the limit of 0\.0 "),
        ({"size": (20_000, 2)}, r"^a\.mp4: h264 cannot encode 20000 x 2 pixels: "),
    ],
)
def test_mistakes_are_one_line_and_leave_nothing(options, words):
    source = str(clips.make("in.mp4", frames(2)))
    Path("there.mp4").touch()
    before = sorted(os.listdir())
    options = {"output": "a.mp4", **options}
    with pytest.raises(ValueError, match=words) as caught:
        paint(source, **options)
    assert "\n" not in str(caught.value) and sorted(os.listdir()) == before


def test_without_opencv_a_notice_says_so(monkeypatch):
    monkeypatch.setattr(steady, "flow_library", lambda: None)
    source = str(clips.make("in.mp4", frames(3)))
    (notice,) = paint(source, "out.mp4").notices
    assert notice.startswith("without OpenCV (pip install 'jaxstyle[flow]')")
    assert paint(source, "plain.mp4", temporal=0).notices == ()


def test_the_report_is_of_plain_values():
    image.write("f0.png", frames(1)[0])
    report = dataclasses.asdict(paint("f%d.png", "out.mp4", fps=24))
    assert report["frames"] == 1 and report["duration"] == pytest.approx(1 / 24, abs=1e-5) and report["codec"] == "h264"
    import json

    assert json.loads(json.dumps(report))["weights_file"] == "recolour.safetensors"
