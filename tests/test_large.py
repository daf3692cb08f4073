import functools
import io
import shutil
import sys

import numpy as np
import PIL.Image
import pytest

from jaxstyle import image
from jaxstyle.controls.controls import Controls
from jaxstyle.controls.degree import read_maps
from jaxstyle.image import ImageError
from jaxstyle.methods import adain
from jaxstyle.nets.stats import Moments
from jaxstyle.painting import buckets, large
from jaxstyle.painting.picture import check, encode_styles, render
from jaxstyle.runtime import memory

HEIGHT, WIDTH = 75, 110
TILE = 32


def photo(height=HEIGHT, width=WIDTH, channels=3):
    """Dark and flat at the left, bright and rough at the right: tiles with their own statistics would show."""
    rng, x = np.random.default_rng(0), np.linspace(0, 1, width)[None, :, None]
    waves = np.sin(np.arange(height)[:, None, None] / 5 + 20 * x + np.arange(channels))
    noise = rng.normal(0, 0.1, (height, width, channels))
    return np.clip(0.1 + 0.7 * x + x * (0.15 * waves + noise), 0, 1).astype(np.float32)


@pytest.fixture(scope="module")
def model():
    return adain.load()


@pytest.fixture
def files(tmp_path, monkeypatch):
    """``photo.png`` (16 bits, transparent, with EXIF data), ``mask.png``, ``ramp.png`` in the current folder."""
    monkeypatch.chdir(tmp_path)
    exif = PIL.Image.Exif()
    exif[0x010E] = "a description"
    alpha = np.clip(photo(channels=1)[..., 0] * 2, 0, 1)
    image.write("photo.png", photo(), alpha=alpha, bits=16, exif=exif.tobytes())
    image.write("mask.png", np.float32(np.indices((30, 44)).sum(0) % 20 < 12))
    image.write("ramp.png", np.tile(np.linspace(0, 1, WIDTH, dtype=np.float32), (HEIGHT, 1)))
    return tmp_path


def looks(count=1):
    rng = np.random.default_rng(1)
    blocks = [np.kron(rng.random((6, 6, 3), np.float32), np.ones((8, 8, 1), np.float32)) for _ in range(count)]
    return [image.Picture(block) for block in blocks]


ANY_STYLE = adain.Style(Moments(np.zeros((1, 512), np.float32), np.ones((1, 512), np.float32)))


@pytest.fixture
def negative(monkeypatch):
    """Instead of a painting a negative, which takes no time: for what happens around the method."""

    def stylize(model, source, style, alpha, *, shares, tile, scratch, progress):
        height, width = source.shape[:2]
        tops = range(0, height, tile)
        for number, top in enumerate(tops, 1):
            if progress is not None:
                progress(number, len(tops))
            yield 1 - source.read(top, min(top + tile, height), 0, width)

    monkeypatch.setattr(large.tiles, "stylize", stylize)


def both(model, chosen, count=1, output="out.png", **options):
    """(file that `stylize_large` wrote, what it reported, the picture done as a whole)."""
    check(chosen, count)
    encode = functools.partial(encode_styles, looks(count), chosen, model)
    style = encode if chosen.preserve_color in ("match", "histogram") else encode()
    done = large.stylize_large("photo.png", style, output, chosen, model=model, tile=TILE, **options)
    whole = render(image.read("photo.png"), looks(count), chosen, read_maps(chosen), model)
    return image.read(output), done, whole


@pytest.mark.slow
def test_all_controls_at_once(files, model):
    chosen = Controls(
        alpha=0.9,
        alpha_map="ramp.png",
        gradient="top:1,bottom:0.5",
        weights=(2, 1),
        mask=("mask.png", "ramp.png"),
        preserve_color="luminance",
        size=60,
    )
    steps = []
    found, done, whole = both(model, chosen, 2, progress=lambda *step: steps.append(step))
    assert (done.width, done.height, done.tile) == (88, 60, TILE) == (*whole.pixels.shape[1::-1], TILE)
    np.testing.assert_allclose(found.pixels, whole.pixels, atol=0.05 / 255)
    np.testing.assert_allclose(found.alpha, whole.alpha, atol=1e-4)
    assert (found.bits, found.exif) == (16, image.read("photo.png").exif)
    assert [step[0] for step in steps] == list(range(1, steps[-1][1] + 1))
    assert sorted(file.name for file in files.iterdir()) == ["mask.png", "out.png", "photo.png", "ramp.png"]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("chosen", "count"),
    [
        (Controls(mask=("mask.png",), alpha_map="ramp.png"), 1),
        (Controls(preserve_color="match"), 1),
        (Controls(preserve_color="histogram", weights=(1, 3)), 2),
        (Controls(gradient="left:0,right:1", style_size=30), 1),
    ],
    ids=str,
)
def test_equals_the_picture_as_a_whole(files, model, chosen, count):
    found, _, whole = both(model, chosen, count)
    np.testing.assert_allclose(found.pixels, whole.pixels, atol=0.1 / 255)


@pytest.mark.slow
def test_streamed_tiff_to_a_pyramid(files, model):
    tifffile = pytest.importorskip("tifffile")
    pixels = (photo() * 255).astype(np.uint8)
    tifffile.imwrite("photo.tif", pixels, photometric="rgb", tile=(32, 48), compression="zlib")
    style = encode_styles(looks(), Controls(), model)
    large.stylize_large("photo.tif", style, "out.dzi", model=model, tile=TILE, scratch=files)
    expected = render(image.read(pixels), looks(), Controls(), read_maps(Controls()), model).pixels
    found = image.read(files / "out_files" / "7" / "0_0.jpg").pixels
    assert np.abs(found - expected).mean() < 3 / 255


@pytest.mark.parametrize("style_size", [20, 40, 75, 90])
def test_style_size(files, negative, style_size):
    """Scaled down the result is the small painting, with the detail of the large one."""
    large.stylize_large("photo.png", ANY_STYLE, "out.png", Controls(style_size=style_size), model=None, tile=TILE)
    pixels = image.read("photo.png").pixels
    small = image.short_side_size((HEIGHT, WIDTH), style_size)
    expected = image.resize(1 - image.resize(pixels, small), (HEIGHT, WIDTH))
    if style_size < HEIGHT:
        seen = image.resize(image.resize(1 - pixels, small), (HEIGHT, WIDTH))
        expected = np.clip(expected + 1 - pixels - seen, 0, 1)
    np.testing.assert_allclose(image.read("out.png").pixels, expected, atol=1e-4)
    assert sorted(file.name for file in files.iterdir()) == ["mask.png", "out.png", "photo.png", "ramp.png"]


class Stream:
    """A standard stream."""

    def __init__(self, buffer):
        self.buffer = buffer

    def isatty(self):
        return False


def test_through_pipes(files, negative, monkeypatch):
    def send(format=None):
        monkeypatch.setattr(sys, "stdin", Stream(io.BytesIO((files / "photo.png").read_bytes())))
        large.stylize_large("-", ANY_STYLE, "-", model=None, tile=TILE, scratch=files, format=format)

    before = sorted(files.iterdir())
    monkeypatch.setattr(sys, "stdout", Stream(io.BytesIO()))
    send()
    found, content = image.read(sys.stdout.buffer.getvalue()), image.read("photo.png")
    assert (found.format, found.bits, found.exif) == ("PNG", 16, content.exif)
    np.testing.assert_allclose(found.pixels, 1 - content.pixels, atol=1e-4)
    np.testing.assert_allclose(found.alpha, content.alpha, atol=1e-4)
    monkeypatch.setattr(sys, "stdout", Stream(io.BytesIO()))
    send("jpg")
    assert image.read(sys.stdout.buffer.getvalue()).format == "JPEG"

    class Full(io.BytesIO):
        def flush(self):
            raise OSError(28, "No space left on device")

    monkeypatch.setattr(sys, "stdout", Stream(Full()))
    with pytest.raises(ImageError, match="cannot be written: no space left on device"):
        send()
    assert sorted(files.iterdir()) == before


@pytest.mark.parametrize("output", ["out.png", "out.tif", "out.dzi", "out.jpg", "-"])
@pytest.mark.parametrize("style_size", [None, 40])
def test_interruption_leaves_nothing(files, negative, output, style_size, monkeypatch):
    before = sorted(files.iterdir())
    monkeypatch.setattr(sys, "stdout", Stream(io.BytesIO()))

    def stop(done, total):
        if done == total:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        large.stylize_large(
            "photo.png",
            ANY_STYLE,
            output,
            Controls(style_size=style_size),
            model=None,
            tile=TILE,
            scratch=files,
            progress=stop,
        )
    assert sorted(files.iterdir()) == before and sys.stdout.buffer.getvalue() == b""


def test_errors_come_before_the_work(files, model):
    before = {file: file.read_bytes() for file in files.iterdir()}
    never = lambda colours: pytest.fail("a style was encoded")  # noqa: E731
    (files / "text.png").write_text("no picture")
    for message, content, output, chosen, options in (
        ("photo.png: is the source itself", "photo.png", "photo.png", Controls(), {"overwrite": True}),
        ("mask.png: is the source itself", "photo.png", "mask.png", Controls(mask="mask.png"), {"overwrite": True}),
        ("ramp.png: is the source", "photo.png", "ramp.png", Controls(), {"overwrite": True, "keep": ["ramp.png"]}),
        ("mask.png: exists already", "photo.png", "mask.png", Controls(), {}),
        ("out.xyz: unknown suffix", "photo.png", "out.xyz", Controls(), {}),
        ("there is no folder", "photo.png", "none/out.dzi", Controls(), {}),
        ("none.png: no such file", "none.png", "out.png", Controls(), {}),
        ("text.png: cannot be read: it is text", "text.png", "out.png", Controls(), {}),
        ("text.png: cannot be read: it is text", "photo.png", "out.png", Controls(alpha_map="text.png"), {}),
        ("110 x 75 is 0.0 megapixels, more than the limit", "photo.png", "out.png", Controls(), {"max_pixels": 99}),
    ):
        with pytest.raises(ValueError, match=message):
            large.stylize_large(content, never, output, chosen, model=model, **options)
    for message, chosen, options in (
        ("tile: expected a positive multiple of 8 pixels, got 20", Controls(), {"tile": 20}),
        ("weights: expected 1, one per style, got 2", Controls(weights=(1, 2)), {}),
        ("instance normalisation looks at the whole picture", Controls(), {"model": model.replace(norm="instance")}),
    ):
        with pytest.raises(ValueError, match=message):
            large.stylize_large("photo.png", ANY_STYLE, "out.png", chosen, **({"model": model} | options))
    (files / "text.png").unlink()
    assert {file: file.read_bytes() for file in files.iterdir()} == before


def test_a_disk_without_room(files, negative, monkeypatch):
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: shutil._ntuple_diskusage(1, 1, 0))
    large.stylize_large("photo.png", ANY_STYLE, "out.png", model=None, tile=TILE)  # needs none
    with pytest.raises(ImageError, match=r": has not the room for a painting in between \(0\.0 GB are wanted\)"):
        large.stylize_large("photo.png", ANY_STYLE, "new.png", Controls(style_size=40), model=None, tile=TILE)
    assert not (files / "new.png").exists()


def test_needed(files, monkeypatch):
    whole = memory.untiled_bytes(*buckets.bucket(HEIGHT, WIDTH)) / 0.8
    plain = Controls()
    assert not large.needed("photo.png", "out.png", plain)
    assert not large.needed("photo.png", "out.png", plain, available=int(whole) + 1)
    assert large.needed("photo.png", "out.png", plain, available=int(whole) - 1)
    assert not large.needed("photo.png", "out.png", Controls(size=40), available=int(whole) - 1)
    assert large.needed("photo.png", "-", Controls(size=(HEIGHT, 2 * WIDTH)), available=int(whole))
    assert large.needed("photo.png", "out.png", Controls(size=40, style_size=80), available=int(whole) - 1)
    reading = memory.PICTURE_BYTES_PER_PIXEL * HEIGHT * WIDTH
    assert large.needed(photo(), "out.png", Controls(size=1), available=reading)
    assert large.needed("anything", "out.DZI", plain)
    with pytest.raises(ImageError, match=r"none\.png: no such file"):
        large.needed("none.png", "out.png", plain)
    assert large.needed("anything", "out.png", plain, tile=64)
    monkeypatch.setattr(memory, "available_memory", lambda: 1 << 20)
    assert large.needed("photo.png", "out.png", plain)
    whole_only = adain.Model({}, {}, norm="instance")
    assert not large.needed("photo.png", "out.png", plain, model=whole_only)
    assert large.needed("photo.png", "out.dzi", plain, model=whole_only)  # and is refused there


def test_options_are_checked_before_any_picture(files):
    large.check_options(adain.Model({}, {}), 64, files)
    large.check_options(adain.Model({}, {}, norm="instance"), None, None)
    for model, tile, scratch, words in (
        (adain.Model({}, {}), 60, None, "tile: expected a positive multiple of 8 pixels, got 60"),
        (
            adain.Model({}, {}, norm="instance"),
            64,
            None,
            "tile: this model's instance normalisation looks at the whole",
        ),
        (adain.Model({}, {}), None, "photo.png", "photo.png: is no folder that temporary files can be written to"),
        (adain.Model({}, {}), None, files / "none", "none: is no folder that temporary files can be written to"),
    ):
        with pytest.raises(ValueError, match=words):
            large.check_options(model, tile, scratch)


def test_notices(files, negative, monkeypatch):
    frames = [PIL.Image.new("L", (WIDTH, 9), grey) for grey in (0, 255)]
    frames[0].save("moving.gif", save_all=True, append_images=frames[1:])
    done = large.stylize_large(
        "moving.gif", ANY_STYLE, "out.jpg", Controls(mask="photo.png"), model=None, tile=TILE, format="webp"
    )
    assert done.notices == (
        "moving.gif: animated picture of 2 frames: the first is taken",
        f"mask 1: {WIDTH} x {HEIGHT} is stretched to {WIDTH} x 9",
    )
    monkeypatch.setattr(memory, "available_memory", lambda: 1 << 20)
    done = large.stylize_large("photo.png", ANY_STYLE, "out.jpg", model=None, tile=TILE, overwrite=True)
    assert done.notices == (
        f"{WIDTH} x {HEIGHT} pixels are too many for the free memory as a whole: done in tiles",
        "JPEG is written at 8 bits per channel: PNG keeps 16",
        "JPEG has no transparency: the alpha channel is left out",
    )
