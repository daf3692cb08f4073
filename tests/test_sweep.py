import io
import sys
from types import ModuleType

import jax
import numpy as np
import PIL.Image
import pytest

from jaxstyle import image
from jaxstyle.image import ImageError, encode
from jaxstyle.methods.inr.network import Spec, init
from jaxstyle.methods.inr.rendering import render_image
from jaxstyle.painting import sweep as sweep_module
from jaxstyle.painting.sweep import sweep_file

SMALL = Spec(octaves=3, latent=4, width=16, depth=4, skip=2, bottleneck=8)
PARAMS = init(jax.random.key(0), SMALL, size=(31, 20))
ONE = jax.local_devices()[:1]


def sweep(output, frames=3, **options):
    return sweep_file(PARAMS, output, frames, devices=ONE, **options)


@pytest.fixture(scope="module")
def wanted():
    """The pictures at alpha 0, 0.4 and 0.8."""
    return [np.asarray(render_image(PARAMS, None, alpha)) for alpha in (0.0, 0.4, 0.8)]


def test_a_page_shows_all_frames(tmp_path, wanted):
    steps = []
    report = sweep(tmp_path / "a.png", alpha=0.8, progress=steps.append)
    assert (report.width, report.height, report.frames, report.tiles) == (31, 20, 3, 3)
    assert [step.done for step in steps] == [1, 2, 3]
    page = image.read(tmp_path / "a.png").pixels
    gap, label = 4, 11 + 4  # of the smallest letters
    for number, frame in enumerate(wanted):
        top, left = gap + number // 2 * (20 + label + gap), gap + number % 2 * (31 + gap)
        np.testing.assert_allclose(page[top : top + 20, left : left + 31], frame, atol=0.51 / 255)
        below = page[top + 20 : top + 20 + label, left : left + 31]
        assert below.min() < 0.6  # letters on the paper
    np.testing.assert_allclose(page[:gap], 250 / 255)


@pytest.mark.parametrize(("name", "tolerance"), [("a.gif", 0.03), ("a.webp", 0.03)])
def test_animations_have_all_frames(tmp_path, wanted, name, tolerance):
    sweep(tmp_path / name, alpha=0.8, fps=20)
    with PIL.Image.open(tmp_path / name) as found:
        assert (found.n_frames, found.size, found.info["loop"]) == (3, (31, 20), 0)
        for number, frame in enumerate(wanted):
            found.seek(number)
            found.load()
            assert found.info["duration"] == 50
            assert np.abs(np.asarray(found.convert("RGB")) / 255 - frame).mean() < tolerance
    assert [path.name for path in tmp_path.iterdir()] == [name]


@pytest.mark.parametrize("name", ["a.gif", "a.webp"])
def test_frames_may_be_shown_for_long(tmp_path, name):
    sweep(tmp_path / name, 2, fps=0.01)
    with PIL.Image.open(tmp_path / name) as found:
        found.seek(1)
        found.load()
        assert found.info["duration"] == 100_000


def test_a_video_has_all_frames_at_even_sizes(tmp_path, wanted):
    av = pytest.importorskip("av")
    report = sweep(tmp_path / "a.mp4", alpha=0.8, fps=12.5)
    assert report.notices == ("h264 wants even sides: 31 x 20 became 32 x 20, its last row or column repeated",)
    assert (report.width, report.height) == (32, 20)
    with av.open(tmp_path / "a.mp4") as video:
        assert float(video.streams.video[0].average_rate) == 12.5
        found = [frame.to_ndarray(format="rgb24") / 255 for frame in video.decode(video=0)]
    assert [frame.shape for frame in found] == [(20, 32, 3)] * 3
    for frame, exact in zip(found, wanted, strict=True):
        assert np.abs(frame[:, :31] - exact).mean() < 0.03
    assert [path.name for path in tmp_path.iterdir()] == ["a.mp4"]


def test_a_video_needs_pyav(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "av", None)
    with pytest.raises(ImageError, match=r"a\.mp4: MP4 needs PyAV \(pip install 'jaxstyle\[video\]'\)"):
        sweep(tmp_path / "a.mp4")


def test_standard_output(tmp_path, monkeypatch):
    class Stream:
        def __init__(self):
            self.buffer = io.BytesIO()

        def isatty(self):
            return False

    for name, format in (("a.png", None), ("a.gif", "gif")):
        sweep(tmp_path / name)
        with monkeypatch.context() as patched:
            patched.setattr(sys, "stdout", Stream())
            sweep("-", format=format)
            assert sys.stdout.buffer.getvalue() == (tmp_path / name).read_bytes()
    with pytest.raises(ImageError, match="<stdout>: a video cannot be written there"):
        sweep("-", format="mp4")


def test_a_failure_leaves_nothing(tmp_path, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(sweep_module.files, "write", full)
    with pytest.raises(ImageError, match=r"a\.gif: cannot be written: no space left on device"):
        sweep(tmp_path / "a.gif")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("a.png", {"frames": 1}, "frames: expected a whole number from 2 to 1000, got 1"),
        ("a.gif", {"fps": 0}, "fps: expected a number from 0.01 to 100, got 0"),
        ("a.gif", {"fps": 0.001}, "fps: expected a number from 0.01 to 100, got 0.001"),
        ("a.gif", {"fps": float("nan")}, "fps: expected a number from 0.01"),
        ("a.dzi", {}, r"a\.dzi: a sweep cannot be \.dzi: expected \.gif"),
        ("a.xyz", {}, r"unknown suffix '\.xyz': expected one of \.bmp, \.gif, \.jfif, .*\.mp4, \.png"),
        ("there.gif", {}, "exists already"),
        ("none/a.gif", {}, "there is no folder"),
        ("a.gif", {"size": (10_000, 10_000)}, r"a\.gif \(3 frames of 10000 x 10000\): .* more than the limit"),
        ("a.webp", {"size": (17_000, 10)}, "too many for WEBP"),
        ("a.mp4", {"size": (10, 16_385)}, "too many for MP4, whose sides have at most 16384"),
        ("a.gif", {"mask": "none.png"}, "mask: needs mask_alpha"),
    ],
)
def test_bad_requests(tmp_path, monkeypatch, name, options, message):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "there.gif").touch()
    monkeypatch.setattr(sweep_module, "_frames", None)
    monkeypatch.setitem(sys.modules, "av", ModuleType("av"))  # it is looked for, not used
    with pytest.raises(ValueError, match=message):
        sweep(name, **options)
    assert [path.name for path in tmp_path.iterdir()] == ["there.gif"]


def test_an_animation_of_one_frame():
    frame = np.full((4, 5, 3), 7, np.uint8)
    assert image.read(encode.encode_animation([frame], "WEBP", 100)).pixels.shape == (4, 5, 3)


def test_an_option_that_does_not_exist_is_none(tmp_path):
    for option in ("bits", "tile", "weights"):
        with pytest.raises(TypeError, match=f"unexpected keyword argument '{option}'"):
            sweep(tmp_path / "a.png", **{option: None})
