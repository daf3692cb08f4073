import contextlib
import errno
import io
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import jax
import numpy as np
import PIL.Image
import pytest

from jaxstyle import image
from jaxstyle.image import ImageError, stream, tiff
from jaxstyle.methods.inr.files import save
from jaxstyle.methods.inr.network import Spec, init
from jaxstyle.methods.inr.rendering import render_image
from jaxstyle.painting import rendering, unfinished
from jaxstyle.painting.rendering import render_file
from jaxstyle.painting.scene import Painter
from jaxstyle.painting.unfinished import UnfinishedError
from jaxstyle.runtime import memory
from jaxstyle.weights import WeightsError

SMALL = Spec(octaves=3, latent=4, width=16, depth=4, skip=2, bottleneck=8)
WIDTH, HEIGHT = 100, 70
PARAMS = init(jax.random.key(0), SMALL, size=(WIDTH, HEIGHT))
TILES = 12  # of 32 x 32 pixels and less
ONE = jax.local_devices()[:1]


def render(output, **options):
    return render_file(PARAMS, output, **{"tile": 32, "devices": ONE, **options})


@pytest.fixture(scope="module")
def colours():
    return np.asarray(render_image(PARAMS, (WIDTH, HEIGHT), 0.7))


@contextlib.contextmanager
def stopped(count, error=None):
    """Makes an error come instead of the tile after so many; gives the numbers of those asked for."""
    calls = []
    paint = Painter.__call__

    def painted(self, number, factor=1.0):
        calls.append(number)
        if len(calls) > count:
            raise error
        return paint(self, number, factor)

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(Painter, "__call__", painted)
        yield calls


def close_to(samples, colours, full=255):
    """Whether samples are colours rounded to nearest, but for the float32 rounding of both."""
    np.testing.assert_allclose(samples / full, colours, atol=0.5 / full + 2e-6)


# ---- formats -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("name", "bits"), [("a.png", 8), ("a.png", 16), ("a.bmp", 8), ("a.webp", 8)])
def test_the_file_is_the_picture(tmp_path, colours, name, bits):
    done = []
    report = render(tmp_path / name, alpha=0.7, bits=bits, progress=done.append)
    assert (report.width, report.height, report.tiles, report.kept, report.notices) == (WIDTH, HEIGHT, TILES, 0, ())
    assert [step.done for step in done] == list(range(TILES + 1)) and {step.total for step in done} == {TILES}
    found = image.read(tmp_path / name)
    assert found.bits == bits
    close_to(np.rint(found.pixels * (2**bits - 1)), colours, 2**bits - 1)
    assert [path.name for path in tmp_path.iterdir()] == [name]


def test_a_smaller_file_is_averaged_tile_by_tile(tmp_path):
    points = render_image(PARAMS, (41 * 3, 23 * 4), 0.7)  # as dense as the fit's pixels, or denser
    render(tmp_path / "a.png", size=(41, 23), alpha=0.7, tile=16, bits=16)
    means = np.asarray(points).reshape(23, 4, 41, 3, 3).mean((1, 3))
    close_to(np.rint(image.read(tmp_path / "a.png").pixels * 65535), means, 65535)
    render(tmp_path / "b.png", size=(41, 23), gradient="left:0,right:1", tile=16, bits=16)
    wanted = render_image(PARAMS, (41, 23), np.broadcast_to(np.linspace(0, 1, 41, dtype=np.float32), (23, 41)))
    close_to(np.rint(image.read(tmp_path / "b.png").pixels * 65535), wanted, 65535)


def test_a_tiff_has_smaller_versions(tmp_path, colours, monkeypatch):
    tifffile = pytest.importorskip("tifffile")
    monkeypatch.setattr(tiff, "TILE", 32)
    render(tmp_path / "a.tif", alpha=0.7)
    with tifffile.TiffFile(tmp_path / "a.tif") as file:
        assert [level.shape[:2] for level in file.series[0].levels] == [(70, 100), (35, 50), (18, 25)]
        close_to(file.asarray(), colours)
    with PIL.Image.open(tmp_path / "a.tif") as found:
        close_to(np.asarray(found), colours)


def test_a_deepzoom_pyramid_is_complete(tmp_path, colours):
    render(tmp_path / "a.dzi", alpha=0.7)
    levels = sorted(int(path.name) for path in (tmp_path / "a_files").iterdir())
    assert levels == list(range(8)) and 'Width="100" Height="70"' in (tmp_path / "a.dzi").read_text()
    with PIL.Image.open(tmp_path / "a_files" / "7" / "0_0.jpg") as found:
        assert np.abs(np.asarray(found) / 255 - colours).mean() < 0.01
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.dzi", "a_files"]


def test_several_devices_share_the_tiles(tmp_path, colours):
    render(tmp_path / "a.png", alpha=0.7, devices=None)
    assert jax.local_device_count() > 1
    close_to(np.rint(image.read(tmp_path / "a.png").pixels * 255), colours)


def test_standard_output(monkeypatch, tmp_path):
    class Stream:
        buffer = io.BytesIO()

        def isatty(self):
            return False

    render(tmp_path / "a.png")
    with monkeypatch.context() as patched:
        patched.setattr(sys, "stdout", Stream())
        assert render("-").output == "-"
        assert Stream.buffer.getvalue() == (tmp_path / "a.png").read_bytes()
        with stopped(7, KeyboardInterrupt()), pytest.raises(KeyboardInterrupt) as caught:
            render("-")
    assert str(caught.value) == ""  # nothing is kept, and nothing of that kind is said


# ---- interruptions -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["a.png", "a.tif", "a.dzi"])
def test_an_interrupted_run_goes_on_and_gives_the_same_bytes(tmp_path, name):
    pytest.importorskip("tifffile")
    (tmp_path / "whole").mkdir()
    (tmp_path / "part").mkdir()
    render(tmp_path / "whole" / name)
    message = r"^interrupted; 7 of 12 tiles are kept in .*\.jaxstyle-part, and the same command goes on$"
    with stopped(7, KeyboardInterrupt()), pytest.raises(KeyboardInterrupt, match=message):
        render(tmp_path / "part" / name)
    assert [path.name for path in (tmp_path / "part").iterdir()] == [f"{name}.jaxstyle-part"]
    (tmp_path / "part" / f"{name}.jaxstyle-part" / ".jaxstyle-0.tmp").write_bytes(b"what kill -9 leaves")
    done = []
    with stopped(99) as calls:
        report = render(tmp_path / "part" / name, progress=done.append)
    assert calls == [7, 8, 9, 10, 11] and report.kept == 7
    assert [(step.kept, step.done) for step in done] == [(7, n) for n in range(6)]
    for path in (tmp_path / "whole").rglob("*.*"):
        assert (tmp_path / "part" / path.relative_to(tmp_path / "whole")).read_bytes() == path.read_bytes()
    assert len(list((tmp_path / "whole").rglob("*"))) == len(list((tmp_path / "part").rglob("*")))


def test_nothing_stays_where_nothing_was_done(tmp_path):
    with stopped(0, KeyboardInterrupt()), pytest.raises(KeyboardInterrupt):
        render(tmp_path / "a.png")
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_keeps_what_is_done(tmp_path, monkeypatch):
    write = unfinished.Unfinished.write

    def full(self, number, tile):
        if number == 3:
            raise OSError(errno.ENOSPC, "No space left on device")
        write(self, number, tile)

    with monkeypatch.context() as patched:
        patched.setattr(unfinished.Unfinished, "write", full)
        message = r"a\.png: cannot be written: no space left on device; 3 of 12 tiles are kept in .* goes on$"
        with pytest.raises(ImageError, match=message) as caught:
            render(tmp_path / "a.png")
        assert caught.value.__cause__.errno == errno.ENOSPC
    assert [path.name for path in tmp_path.iterdir()] == ["a.png.jaxstyle-part"]
    assert render(tmp_path / "a.png").kept == 3
    monkeypatch.setattr(unfinished.shutil, "disk_usage", lambda folder: SimpleNamespace(free=1000))
    with pytest.raises(ImageError, match=r"b\.png: cannot be written: no space left on device: 0.02 MB are needed"):
        render(tmp_path / "b.png")
    assert [path.name for path in tmp_path.iterdir()] == ["a.png"]


def test_another_request_does_not_take_over(tmp_path):
    with stopped(2, KeyboardInterrupt()), pytest.raises(KeyboardInterrupt):
        render(tmp_path / "a.png", alpha=0.5)
    begun_otherwise = r"a\.png\.jaxstyle-part: holds a picture begun with alpha = 0\.5, not 0\.7"
    with pytest.raises(UnfinishedError, match=begun_otherwise):
        render(tmp_path / "a.png", alpha=0.7)
    others = init(jax.random.key(1), SMALL, size=(WIDTH, HEIGHT))
    with pytest.raises(UnfinishedError, match="begun with fit = "):
        render_file(others, tmp_path / "a.png", alpha=0.5, tile=32, devices=ONE)
    assert render(tmp_path / "a.png", alpha=0.7, overwrite=True).kept == 0


def test_a_map_that_changed_is_another_request(tmp_path):
    name = tmp_path / "map.png"
    image.write(name, np.zeros((7, 10), np.float32))
    with stopped(2, KeyboardInterrupt()), pytest.raises(KeyboardInterrupt):
        render(tmp_path / "a.png", alpha_map=name)
    image.write(name, np.ones((7, 10), np.float32))
    with pytest.raises(UnfinishedError, match="begun with alpha_map = "):
        render(tmp_path / "a.png", alpha_map=name)


def test_a_pyramid_whose_index_was_not_moved_yet_is_finished(tmp_path, monkeypatch):
    def killed(*_):
        raise SystemExit

    with monkeypatch.context() as patched:
        patched.setattr(os, "replace", killed)
        patched.setattr(os, "rename", lambda old, new: Path(new).mkdir())  # the tiles are in place
        with pytest.raises(SystemExit):
            render(tmp_path / "a.dzi")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.dzi.jaxstyle-part", "a_files"]
    assert render(tmp_path / "a.dzi").kept == TILES
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.dzi", "a_files"]
    with pytest.raises(ImageError, match="exists already"):
        render(tmp_path / "a.dzi")


@pytest.mark.slow
def test_a_killed_process_is_continued(tmp_path):
    fit = tmp_path / "inr.safetensors"
    save(fit, init(jax.random.key(0), Spec(width=128), size=(64, 64)))
    command = [sys.executable, "-m", "jaxstyle", "render", fit, "--size", "1600x1100", "--json", "-o"]
    subprocess.run([*command, tmp_path / "whole.tif"], check=True)
    target, journal = tmp_path / "a.tif", tmp_path / "a.tif.jaxstyle-part" / "journal.jsonl"
    process = subprocess.Popen([*command, target])
    while process.poll() is None and not (journal.exists() and journal.read_bytes().count(b"\n") > 4):
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    assert not target.exists() and any(journal.parent.glob(".jaxstyle-*.tmp"))
    report = json.loads(subprocess.run([*command, target], check=True, capture_output=True).stdout)
    assert 4 <= report["kept"] < report["tiles"] == 12
    assert target.read_bytes() == (tmp_path / "whole.tif").read_bytes()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.tif", "inr.safetensors", "whole.tif"]


# ---- errors ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("a.png", {"alpha": 1.2}, r"alpha: expected a number in \[0, 1\], got 1.2"),
        ("a.png", {"alpha": float("nan")}, "alpha: expected a number"),
        ("a.png", {"size": 0}, "size: expected a whole number of at least 1"),
        ("a.png", {"region": (0, 0, 0, 1)}, "region: expected"),
        ("a.png", {"gradient": "up:1"}, "gradient: expected"),
        ("a.png", {"mask": "none.png"}, "mask: needs mask_alpha"),
        ("a.png", {"mask": "none.png", "mask_alpha": (1,)}, "none.png: no such file"),
        ("a.png", {"alpha_map": np.ones((50, 50), np.float32)}, "50 x 50 pixels have another shape .* 100 x 70"),
        ("a.png", {"bits": 12}, "bits: expected 8 or 16"),
        ("a.png", {"tile": 0}, "tile: expected"),
        ("a.xyz", {}, "unknown suffix"),
        ("none/a.png", {}, "there is no folder"),
        ("there.png", {}, "exists already"),
        ("a.jpg", {"size": (70_000, 10)}, "70000 x 10 pixels are too many for JPEG, whose sides have at most 65500"),
        ("a.webp", {"size": (10, 20_000)}, "too many for WEBP, whose sides have at most 16383"),
    ],
)
def test_bad_requests_end_before_anything_is_rendered(tmp_path, monkeypatch, name, options, message):
    monkeypatch.chdir(tmp_path)
    Path("there.png").write_bytes(b"old")
    monkeypatch.setattr(rendering, "_run", None)
    with pytest.raises(ValueError, match=message) as caught:
        render(name, **options)
    assert "\n" not in str(caught.value)
    assert [path.name for path in tmp_path.iterdir()] == ["there.png"]


def test_a_fit_that_is_none(tmp_path):
    with pytest.raises(WeightsError, match=r"none\.safetensors"):
        render_file(tmp_path / "none.safetensors", tmp_path / "a.png")
    (tmp_path / "a.safetensors").write_text("no network")
    with pytest.raises(WeightsError, match=r"a\.safetensors"):
        render_file(tmp_path / "a.safetensors", tmp_path / "a.png")
    with pytest.raises(WeightsError, match="adain_vgg16"):
        render_file("adain_vgg16", tmp_path / "a.png")


def test_parameters_that_are_no_picture(tmp_path):
    several = jax.tree.map(lambda leaf: np.stack([leaf, leaf]), PARAMS)
    with pytest.raises(ValueError, match=r"fit: expected the parameters of one picture, got latents of shape \(2, 4\)"):
        render_file(several, tmp_path / "a.png")
    with pytest.raises(ValueError, match="fit: its parameters hold values that are not finite"):
        render_file(PARAMS.replace(z_s=PARAMS.z_s * np.nan), tmp_path / "a.png")


def test_what_does_not_fit_in_memory_is_refused_where_it_must(tmp_path, monkeypatch):
    monkeypatch.setattr(memory, "host_memory", lambda: 50_000)
    with pytest.raises(ImageError, match=r"a\.jpg: 100 x 70 pixels are too many for the memory, where JPEG needs them"):
        render(tmp_path / "a.jpg")
    render(tmp_path / "a.png")
    monkeypatch.setitem(sys.modules, "tifffile", None)
    with pytest.raises(ImageError, match="where TIFF needs them all at once"):
        render(tmp_path / "a.tif")
    monkeypatch.setattr(memory, "host_memory", lambda: None)
    report = render(tmp_path / "a.tif")
    assert report.notices == (
        "TIFF is written without tiles and smaller versions: they need tifffile (jaxstyle[large])",
    )


def test_what_is_special_about_a_mask_is_said(tmp_path):
    pages = [PIL.Image.new("L", (10, 7), grey) for grey in (255, 0)]
    pages[0].save(tmp_path / "mask.tif", save_all=True, append_images=pages[1:])
    report = render(tmp_path / "a.jpg", mask=tmp_path / "mask.tif", mask_alpha=0.5, bits=16)
    assert report.notices == (
        f"{tmp_path / 'mask.tif'}: picture of 2 pages: the first is taken",
        "JPEG is written at 8 bits per channel: PNG keeps 16",
    )


def test_a_source_is_never_replaced(tmp_path):
    save(tmp_path / "inr.safetensors", PARAMS)
    (tmp_path / "inr.png").symlink_to("inr.safetensors")
    with pytest.raises(ImageError, match="is the source itself"):
        render_file(tmp_path / "inr.safetensors", tmp_path / "inr.png", overwrite=True)


def test_what_was_there_stays_until_the_new_one_is_whole(tmp_path):
    (tmp_path / "a.png").write_bytes(b"old")
    with stopped(3, KeyboardInterrupt()), pytest.raises(KeyboardInterrupt):
        render(tmp_path / "a.png", overwrite=True)
    assert (tmp_path / "a.png").read_bytes() == b"old"


def test_the_format_may_be_given(tmp_path):
    render(tmp_path / "a", format="png")
    assert stream.format_of("a", "png") == image.read(tmp_path / "a").format == "PNG"


def test_an_option_that_does_not_exist_is_none(tmp_path):
    for option in ("alhpa_map", "weights", "preserve_color", "scratch", "fps"):
        with pytest.raises(TypeError, match=f"unexpected keyword argument '{option}'"):
            render(tmp_path / "a.png", **{option: None})
    assert list(tmp_path.iterdir()) == []
