import functools
import io
import os
import shutil
import sys
import threading
from pathlib import Path

import jax
import numpy as np
import PIL.Image
import pytest

import jaxstyle
from jaxstyle import image, methods, weights
from jaxstyle.controls.controls import Controls
from jaxstyle.controls.degree import read_maps
from jaxstyle.image import ImageError, resolution, windows
from jaxstyle.image.windows import ArraySource
from jaxstyle.methods import adain
from jaxstyle.nets.stats import Moments
from jaxstyle.painting import bands, picture
from jaxstyle.painting.file import check_limits, paint_file, save, streams, stylize_file
from jaxstyle.painting.options import Limits, Output
from jaxstyle.painting.picture import check, default_model, encode_styles, render, stylize
from jaxstyle.painting.plan import TileError, bucket
from jaxstyle.runtime import memory
from tests.pictures import LONG, SHORT, smooth

HEIGHT, WIDTH = 75, 110
TILE = 32


def rough(height=HEIGHT, width=WIDTH, channels=3):
    """Dark and flat at the left, bright and rough at the right: tiles with their own statistics would show."""
    rng, x = np.random.default_rng(0), np.linspace(0, 1, width)[None, :, None]
    waves = np.sin(np.arange(height)[:, None, None] / 5 + 20 * x + np.arange(channels))
    noise = rng.normal(0, 0.1, (height, width, channels))
    return np.clip(0.1 + 0.7 * x + x * (0.15 * waves + noise), 0, 1).astype(np.float32)


@pytest.fixture(scope="module")
def model():
    return default_model()


@pytest.fixture
def files(tmp_path, monkeypatch):
    """``photo.png`` (16 bits, transparent, with EXIF data), ``mask.png``, ``ramp.png`` in the current folder."""
    monkeypatch.chdir(tmp_path)
    exif = PIL.Image.Exif()
    exif[0x010E] = "a description"
    alpha = np.clip(rough(channels=1)[..., 0] * 2, 0, 1)
    image.write("photo.png", rough(), alpha=alpha, bits=16, exif=exif.tobytes())
    image.write("mask.png", np.float32(np.indices((30, 44)).sum(0) % 20 < 12))
    image.write("ramp.png", np.tile(np.linspace(0, 1, WIDTH, dtype=np.float32), (HEIGHT, 1)))
    return tmp_path


def looks(count=1):
    rng = np.random.default_rng(1)
    blocks = [np.kron(rng.random((6, 6, 3), np.float32), np.ones((8, 8, 1), np.float32)) for _ in range(count)]
    return [image.Picture(block) for block in blocks]


ANY_MODEL = methods.loaded(adain.Model({}, {}))
ANY_STYLE = adain.Style(Moments(np.zeros((1, 512), np.float32), np.ones((1, 512), np.float32)))
TILES = Limits(tile=TILE)


@pytest.fixture
def negative(monkeypatch):
    """Instead of a painting a negative, which takes no time: for what happens around the method."""

    def paint(loaded, job, *, scratch, progress, begun=None):
        height, width = job.source.shape[:2]
        tops = range(0, height, TILE)
        for number, top in enumerate(tops, 1):
            if progress is not None:
                progress(number, len(tops))
            yield 1 - job.source.read(top, min(top + TILE, height), 0, width)

    monkeypatch.setattr(picture, "paint", paint)
    monkeypatch.setattr(bands, "paint", paint)


def both(model, chosen, count=1, output="out.png", **options):
    """(file that `paint_file` wrote, what it reported, the picture done as a whole)."""
    check(chosen, count)
    style = functools.partial(encode_styles, looks(count), chosen, model)
    done = paint_file("photo.png", style, output, chosen, loaded=model, limits=TILES, **options)
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
        size=100,
    )
    steps = []
    found, done, whole = both(model, chosen, 2, progress=lambda *step: steps.append(step))
    assert (done.width, done.height) == (147, 100) == whole.pixels.shape[1::-1]
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
    pixels = (rough() * 255).astype(np.uint8)
    tifffile.imwrite("photo.tif", pixels, photometric="rgb", tile=(32, 48), compression="zlib")
    style = encode_styles(looks(), Controls(), model, 512)
    paint_file("photo.tif", style, "out.dzi", Controls(), loaded=model, limits=Limits(tile=TILE, scratch=files))
    expected = render(image.read(pixels), looks(), Controls(), read_maps(Controls()), model).pixels
    found = image.read(files / "out_files" / "7" / "0_0.jpg").pixels
    image.write("expected.jpg", expected)
    assert np.abs(found - image.read("expected.jpg").pixels).mean() < 1 / 255


@pytest.mark.parametrize("style_size", [20, 40, 75, 90])
def test_style_size(files, negative, style_size):
    """Scaled down the result is the small painting, with the detail of the large one."""
    paint_file("photo.png", ANY_STYLE, "out.png", Controls(style_size=style_size), loaded=ANY_MODEL, limits=TILES)
    pixels = image.read("photo.png").pixels
    small = image.short_side_size((HEIGHT, WIDTH), style_size)
    expected = image.resize(1 - image.resize(pixels, small), (HEIGHT, WIDTH))
    if style_size < HEIGHT:
        seen = image.resize(image.resize(1 - pixels, small), (HEIGHT, WIDTH))
        expected = np.clip(expected + 1 - pixels - seen, 0, 1)
    np.testing.assert_allclose(image.read("out.png").pixels, expected, atol=1e-4)
    assert sorted(file.name for file in files.iterdir()) == ["mask.png", "out.png", "photo.png", "ramp.png"]


@pytest.mark.parametrize("tile", [None, TILE])
def test_the_one_rule_of_output_size(files, negative, tile):
    """As a whole and in tiles: the short side is what was asked for, the long one rounded, halves upwards."""
    image.write("wide.png", np.zeros((1000, 1501, 3), np.uint8))
    report = stylize_file("wide.png", "mask.png", "out.png", size=500, style_size=32, tile=tile)
    assert (report.width, report.height) == (751, 500)
    assert image.dimensions("out.png") == (500, 751)


class Stream:
    """A standard stream."""

    def __init__(self, buffer):
        self.buffer = buffer

    def isatty(self):
        return False


HUGE_PIXELS = np.broadcast_to(np.float32(0.5), (8, 65_501, 3))
HUGE = ArraySource(HUGE_PIXELS)


def test_through_pipes(files, negative, monkeypatch):
    def send(format=None):
        monkeypatch.setattr(sys, "stdin", Stream(io.BytesIO((files / "photo.png").read_bytes())))
        limits, saving = Limits(tile=TILE, scratch=files), Output(format=format)
        paint_file("-", ANY_STYLE, "-", Controls(), loaded=ANY_MODEL, limits=limits, saving=saving)

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
def test_interruption_leaves_nothing_but_what_is_done(files, negative, output, style_size, monkeypatch):
    before = sorted(files.iterdir())
    monkeypatch.setattr(sys, "stdout", Stream(io.BytesIO()))

    def stop(done, total):
        if done == total:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        paint_file(
            "photo.png",
            ANY_STYLE,
            output,
            Controls(style_size=style_size),
            loaded=ANY_MODEL,
            limits=Limits(tile=TILE, scratch=files),
            progress=stop,
        )
    kept = [] if output == "-" or style_size else [files / f"{output}.jaxstyle-part"]
    assert sorted(files.iterdir()) == sorted([*before, *kept]) and sys.stdout.buffer.getvalue() == b""


def test_errors_come_before_the_work(files, model):
    before = {file: file.read_bytes() for file in files.iterdir()}
    never = lambda colours: pytest.fail("a style was encoded")  # noqa: E731
    (files / "text.png").write_text("no picture")
    again = Output(overwrite=True)
    for message, content, output, chosen, saving in (
        ("photo.png: is the source itself", "photo.png", "photo.png", Controls(), again),
        ("mask.png: is the source itself", "photo.png", "mask.png", Controls(mask="mask.png"), again),
        ("ramp.png: is the source", "photo.png", "ramp.png", Controls(), Output(overwrite=True, keep=("ramp.png",))),
        ("mask.png: exists already", "photo.png", "mask.png", Controls(), Output()),
        ("out.xyz: unknown suffix", "photo.png", "out.xyz", Controls(), Output()),
        ("there is no folder", "photo.png", "none/out.dzi", Controls(), Output()),
        ("none.png: no such file", "none.png", "out.png", Controls(), Output()),
        ("text.png: cannot be read: it is text", "text.png", "out.png", Controls(), Output()),
        ("text.png: cannot be read: it is text", "photo.png", "out.png", Controls(alpha_map="text.png"), Output()),
    ):
        with pytest.raises(ValueError, match=message):
            paint_file(content, never, output, chosen, loaded=model, saving=saving)
    with pytest.raises(ValueError, match=r"110 x 75 is 0\.0 megapixels, more than the limit"):
        paint_file("photo.png", never, "out.png", Controls(), loaded=model, limits=Limits(max_pixels=99))
    whole_only = methods.loaded(adain.Model({}, {}, norm="instance"))
    for message, chosen, options in (
        ("tile: expected a positive multiple of 8 pixels, got 20", Controls(), {"limits": Limits(tile=20)}),
        ("weights: expected 1, one per style, got 2", Controls(weights=(1, 2)), {}),
        ("tile: this model looks at the whole picture, not at tiles", Controls(), {"loaded": whole_only}),
    ):
        with pytest.raises(ValueError, match=message):
            paint_file("photo.png", ANY_STYLE, "out.png", chosen, **({"loaded": model, "limits": TILES} | options))
    with pytest.raises(TileError, match="output: this model looks at the whole picture"):
        paint_file("photo.png", never, "out.dzi", Controls(), loaded=whole_only)
    (files / "text.png").unlink()
    assert {file: file.read_bytes() for file in files.iterdir()} == before


@pytest.mark.parametrize("tile", [None, TILE])
@pytest.mark.parametrize(
    ("name", "most", "size"), [("a.webp", 16_383, (16_384, 8)), ("a.jpg", 65_500, (8, 65_501)), ("-", 65_500, None)]
)
def test_what_a_format_cannot_hold_is_refused_before_it_is_painted(files, monkeypatch, tile, name, most, size):
    never = lambda *_, **__: pytest.fail("it was painted")  # noqa: E731
    monkeypatch.setattr(picture, "paint", never)
    content = "photo.png"
    if size is None:  # as large as the content, in its format
        monkeypatch.setattr(sys, "stdout", Stream(io.BytesIO()))
        content, size = "long.jpg", (65_501, 8)
        monkeypatch.setattr(windows, "open_large", lambda *_, **__: windows.LargePicture(HUGE, format="JPEG"))
        monkeypatch.setattr(image, "read", lambda *_, **__: image.Picture(HUGE_PIXELS, format="JPEG"))
        monkeypatch.setattr(image, "dimensions", lambda _: HUGE_PIXELS.shape[:2])
        chosen = Controls()
    else:
        chosen = Controls(size=size)
    message = f"{size[0]} x {size[1]} pixels are too many for .*, whose sides have at most {most}: PNG, TIFF and"
    before = sorted(files.iterdir())
    with pytest.raises(ImageError, match=message):
        if tile is None:
            monkeypatch.setattr("jaxstyle.painting.file.encode_styles", never)
            monkeypatch.setattr("jaxstyle.painting.picture.encode_styles", never)
            stylize_file(content, "mask.png", name, chosen)
        else:
            paint_file(content, never, name, chosen, loaded=ANY_MODEL, limits=TILES)
    assert sorted(files.iterdir()) == before


def test_a_photo_from_a_pipe_is_read_once(files, negative, monkeypatch):
    """A FIFO, or ``<(cat photo.png)`` in a shell, gives what is in it but once."""
    os.mkfifo("pipe")
    monkeypatch.setattr("jaxstyle.painting.file.load_model", lambda _: ANY_MODEL)
    monkeypatch.setattr("jaxstyle.painting.file.encode_styles", lambda *_: ANY_STYLE)
    monkeypatch.setattr("jaxstyle.painting.picture.encode_styles", lambda *_: ANY_STYLE)
    seen = []
    for tile in (None, TILE):
        for content in ("photo.png", "pipe"):
            if content == "pipe":
                writer = threading.Thread(
                    target=lambda: Path("pipe").write_bytes(Path("photo.png").read_bytes()), daemon=True
                )
                writer.start()
            options = {} if tile is None else {"tile": tile}
            made = stylize_file(content, "mask.png", "out.png", overwrite=True, **options)
            assert made.content == content
            seen.append(Path("out.png").read_bytes())
        writer.join(10)
    assert seen[0] == seen[1] and seen[2] == seen[3]


@pytest.mark.parametrize("tile", [None, TILE])
@pytest.mark.parametrize("name", ["a.png", "a.jpg", "a.tif", "a.webp"])
@pytest.mark.parametrize(("size", "expected"), [(None, (300, 150)), (150, (600, 300)), ((55, 75), (150, 150))])
def test_the_result_is_as_large_on_paper(files, negative, tile, name, size, expected):
    PIL.Image.open("photo.png").save("printed.png", dpi=(300, 150))
    chosen = Controls(size=size)
    if tile is None:
        made = render(image.read("printed.png"), looks(), chosen, read_maps(chosen), ANY_MODEL, style=ANY_STYLE)
        save(made, name, Output())
    else:
        paint_file("printed.png", ANY_STYLE, name, chosen, loaded=ANY_MODEL, limits=TILES)
    assert resolution.split(image.read(name).exif)[1] == pytest.approx(expected, rel=2e-4)


def test_a_disk_without_room(files, negative, monkeypatch):
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: shutil._ntuple_diskusage(1, 1, 0))
    options = {"loaded": ANY_MODEL, "limits": TILES}
    paint_file("photo.png", ANY_STYLE, "out.png", Controls(), **options)  # needs none
    with pytest.raises(ImageError, match=r": there is no room for the painting in between \(0\.0 GB are needed\)"):
        paint_file("photo.png", ANY_STYLE, "new.png", Controls(style_size=40), **options)
    assert not (files / "new.png").exists()


def test_streams(files, monkeypatch):
    needs, plain = ANY_MODEL.needs, Controls()
    tall, wide = bucket(HEIGHT, WIDTH)
    whole = tall * wide * needs.bytes_per_pixel / 0.8

    def needed(content, output, controls, loaded=ANY_MODEL, limits=Limits(), **available):  # noqa: B008 (frozen)
        return streams(content, output, controls, loaded, limits, **available)

    assert not needed("photo.png", "out.png", plain)
    assert not needed("photo.png", "out.png", plain, available=int(whole) + 1)
    assert needed("photo.png", "out.png", plain, available=int(whole) - 1)
    assert not needed("photo.png", "out.png", Controls(size=40), available=int(whole) - 1)
    assert needed("photo.png", "-", Controls(size=(HEIGHT, 2 * WIDTH)), available=int(whole))
    assert needed("photo.png", "out.png", Controls(size=40, style_size=80), available=int(whole) - 1)
    reading = memory.PICTURE_BYTES_PER_PIXEL * HEIGHT * WIDTH
    assert needed(rough(), "out.png", Controls(size=1), available=reading)
    assert needed("anything", "out.DZI", plain)
    with pytest.raises(ImageError, match=r"none\.png: no such file"):
        needed("none.png", "out.png", plain)
    assert needed("anything", "out.png", plain, limits=Limits(tile=64))
    monkeypatch.setattr(memory, "available_memory", lambda devices=None: 1 << 20)
    assert needed("photo.png", "out.png", plain)
    assert needed("photo.png", "out.png", plain, limits=Limits(devices=jax.devices()[:1]))
    whole_only = methods.loaded(adain.Model({}, {}, norm="instance"))
    assert not needed("photo.png", "out.png", plain, whole_only)
    assert needed("photo.png", "out.dzi", plain, whole_only)  # and is refused there


def test_limits_are_checked_before_any_picture(files):
    any_size, whole_only = ANY_MODEL, methods.loaded(adain.Model({}, {}, norm="instance"))
    check_limits(any_size, Limits(tile=64, scratch=files))
    check_limits(whole_only, Limits())
    for loaded, tile, scratch, words in (
        (any_size, 60, None, "tile: expected a positive multiple of 8 pixels, got 60"),
        (whole_only, 64, None, "tile: this model looks at the whole picture, not at tiles"),
        (any_size, None, "photo.png", "photo.png: is no folder that temporary files can be written to"),
        (any_size, None, files / "none", "none: is no folder that temporary files can be written to"),
    ):
        with pytest.raises(ValueError, match=words):
            check_limits(loaded, Limits(tile=tile, scratch=scratch))


def test_notices(files, negative, monkeypatch):
    frames = [PIL.Image.new("L", (WIDTH, 9), grey) for grey in (0, 255)]
    frames[0].save("moving.gif", save_all=True, append_images=frames[1:])
    done = paint_file(
        "moving.gif",
        ANY_STYLE,
        "out.jpg",
        Controls(mask="photo.png"),
        loaded=ANY_MODEL,
        limits=TILES,
        saving=Output(format="webp"),
    )
    assert done.notices == (
        "moving.gif: animated picture of 2 frames: the first is taken",
        f"photo.png: {WIDTH} x {HEIGHT} is stretched to {WIDTH} x 9",
    )
    monkeypatch.setattr(memory, "available_memory", lambda: 1 << 20)
    done = paint_file(
        "photo.png",
        ANY_STYLE,
        "out.jpg",
        Controls(),
        loaded=ANY_MODEL,
        limits=TILES,
        saving=Output(overwrite=True),
    )
    assert done.notices == (
        f"{WIDTH} x {HEIGHT} pixels are too many for the free memory as a whole: done in tiles",
        "JPEG is written at 8 bits per channel: PNG keeps 16",
        "JPEG has no transparency: the alpha channel is left out",
    )


# ---- the front door ------------------------------------------------------------------------------------------


LEFT = np.repeat(np.float32([[1, 0]]), 13, axis=1)


def test_transparency_is_put_back(tmp_path, painting):
    mask = np.zeros((SHORT, LONG), np.float32)
    mask[4:9] = 1
    image.write(tmp_path / "cut.png", smooth(SHORT, LONG), alpha=mask)
    stylize_file(tmp_path / "cut.png", painting, tmp_path / "out.png", style_size=SHORT)
    np.testing.assert_array_equal(image.read(tmp_path / "out.png").alpha, mask)
    report = stylize_file(tmp_path / "cut.png", painting, tmp_path / "out.jpg", style_size=SHORT)
    assert any("transparency" in notice for notice in report.notices)


def test_sixteen_bits_stay_sixteen(tmp_path, painting):
    image.write(tmp_path / "deep.png", smooth(SHORT, LONG), bits=16)
    stylize_file(tmp_path / "deep.png", painting, tmp_path / "out.png", style_size=SHORT)
    found = image.read(tmp_path / "out.png")
    assert found.bits == 16
    assert np.any(np.abs(found.pixels * 255 - np.rint(found.pixels * 255)) > 0.1)


def test_a_turned_photo_comes_out_upright(tmp_path, painting):
    exif = PIL.Image.Exif()
    exif[0x0112] = 6
    PIL.Image.fromarray((smooth(SHORT, LONG) * 255).astype(np.uint8)).save(tmp_path / "turned.jpg", exif=exif)
    report = stylize_file(tmp_path / "turned.jpg", painting, tmp_path / "out.jpg", style_size=SHORT)
    assert (report.width, report.height) == (SHORT, LONG)
    with PIL.Image.open(tmp_path / "out.jpg") as out:
        assert out.size == (SHORT, LONG) and out.getexif().get(0x0112, 1) == 1


def test_report(photo, painting, tmp_path):
    report = stylize_file(photo, str(painting), tmp_path / "out.webp", alpha=0.25, style_size=SHORT)
    assert (report.output, report.content) == (str(tmp_path / "out.webp"), str(photo))
    assert report.style == (str(painting),) and report.weights_file == "adain_vgg16"
    assert report.controls == Controls(alpha=0.25, style_size=SHORT).as_dict()
    assert report.weights_sha256 == weights.info("adain_vgg16")["sha256"]
    assert (report.width, report.height) == (LONG, SHORT) and report.seconds > 0


def test_a_folder_for_the_result(photo, painting, tmp_path):
    (tmp_path / "out").mkdir()
    report = stylize_file(photo, painting, tmp_path / "out", style_size=SHORT)
    assert report.output == str(tmp_path / "out/photo_stylized_painting.png")
    with pytest.raises(jaxstyle.ImageError, match=r"photo_stylized_painting\.png: exists already"):
        stylize_file(photo, painting, tmp_path / "out", style_size=SHORT)


def test_never_replaces_what_it_should_not(photo, painting, tmp_path):
    before = photo.read_bytes()
    image.write(tmp_path / "mask.png", np.ones((4, 4), np.float32))
    for target in (photo, painting, tmp_path / "mask.png"):
        with pytest.raises(jaxstyle.ImageError, match="never replaced"):
            stylize_file(photo, painting, target, mask=tmp_path / "mask.png", overwrite=True)
    (tmp_path / "there.png").write_bytes(b"mine")
    with pytest.raises(jaxstyle.ImageError, match=r"there\.png: exists already"):
        stylize_file(photo, painting, tmp_path / "there.png")
    assert photo.read_bytes() == before and (tmp_path / "there.png").read_bytes() == b"mine"


def test_all_controls_from_files(photo, painting, tmp_path):
    image.write(tmp_path / "left.png", LEFT)
    image.write(tmp_path / "right.png", 1 - LEFT)
    report = stylize_file(
        photo,
        [painting, photo],
        tmp_path / "out.png",
        alpha=0.9,
        alpha_map=tmp_path / "left.png",
        gradient="center:1,edge:0.5",
        weights=[2, 1],
        mask=[tmp_path / "left.png", tmp_path / "right.png"],
        preserve_color="match",
        size=(26, 19),
        style_size=SHORT,
    )
    assert report.style == (str(painting), str(photo))
    assert Controls(**report.controls).mask == (str(tmp_path / "left.png"), str(tmp_path / "right.png"))
    assert image.read(tmp_path / "out.png").pixels.shape == (19, 26, 3)
    assert len([notice for notice in report.notices if "is stretched to 26 x 19" in notice]) == 3


@pytest.mark.parametrize("several", [False, pytest.param(True, marks=pytest.mark.slow)])
def test_what_does_not_fit_is_done_in_tiles(photo, painting, tmp_path, monkeypatch, several):
    styles, more = ([painting, photo], {"weights": (2, 1)}) if several else (painting, {"gradient": "left:0,right:1"})
    whole = np.asarray(stylize(photo, styles, **more), np.int32)
    monkeypatch.setattr(memory, "fits", lambda *_: False)
    report = stylize_file(photo, styles, tmp_path / "out.png", **more)
    found = np.rint(image.read(tmp_path / "out.png").pixels * 255).astype(np.int32)
    assert np.abs(found - whole).max() <= 1
    assert any("done in tiles" in notice for notice in report.notices)
