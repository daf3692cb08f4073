import dataclasses
import itertools
import json
import os

import numpy as np
import pytest

from jaxstyle import image, methods
from jaxstyle.controls.controls import Controls
from jaxstyle.controls.degree import Maps
from jaxstyle.image import ImageError, Picture
from jaxstyle.methods import adain
from jaxstyle.sheet import make as module
from jaxstyle.sheet.make import Sheet, SheetReport, sheet, sheet_file

CELL = 40


@pytest.fixture
def files(tmp_path, monkeypatch):
    """Two photos in ``photos``, three paintings in ``paintings``, all of one colour each."""
    monkeypatch.chdir(tmp_path)
    for folder, names in (("photos", ["a", "b"]), ("paintings", ["x", "y", "z"])):
        (tmp_path / folder).mkdir()
        for number, name in enumerate(names, 1):
            image.write(f"{folder}/{name}.png", np.full((30 * number, 80, 3), 20 * number, np.uint8))
    return tmp_path


@pytest.fixture
def painted(monkeypatch):
    """Instead of the method: the mean of the photo's and the style's colour. Gives the calls."""
    calls = []

    def encode_styles(looks, controls, model, side, content=None):
        calls.append(("encode", float(looks[0].pixels.mean() * 255)))
        return looks[0].pixels.mean()

    def render(picture, looks, controls, maps, model, *, style=None):
        calls.append(("render", picture.pixels.shape[:2]))
        known = looks[0].pixels.mean() if style is None else style
        return Picture((picture.pixels + known) / 2, notices=maps.notices)

    monkeypatch.setattr(module, "encode_styles", encode_styles)
    monkeypatch.setattr(module, "render", render)
    monkeypatch.setattr(module, "default_model", lambda: None)
    return calls


PHOTOS, STYLES = ["photos/a.png", "photos/b.png"], ["paintings/x.png", "paintings/y.png", "paintings/z.png"]


def count(pixels, grey):
    return int((pixels == grey).all(-1).sum())


def test_every_photo_in_every_style(files, painted):
    steps = []
    made = sheet(PHOTOS, STYLES, cell=CELL, progress=lambda *step: steps.append(step))
    assert isinstance(made, Sheet) and made.pixels.dtype == np.uint8 and made.failed == made.notices == ()
    encoded = [value for kind, value in painted if kind == "encode"]
    np.testing.assert_allclose(encoded, [20, 40, 60], rtol=1e-5)  # once each
    shapes = [(15, 40)] * 3 + [(30, 40)] * 3
    assert [value for kind, value in painted if kind == "render"] == shapes
    assert steps == [(n + 1, 6) for n in range(6)]
    for (row, photo), style in itertools.product(enumerate((20, 40)), (20, 40, 60)):
        assert count(made.pixels, (photo + style) / 2) >= (15, 30)[row] * 40


def test_photos_may_be_painted_larger_than_they_are_shown(files, painted):
    made = sheet(PHOTOS, STYLES[:1], Controls(size=45), cell=CELL)
    assert [value for kind, value in painted if kind == "render"] == [(30, 80), (45, 60)]  # a has no more
    assert count(made.pixels, 20) >= 15 * 40 and count(made.pixels, 30) >= 30 * 40


def test_nobody_waits_for_a_pipe_or_a_device(files, painted):
    os.mkfifo("photos/pipe.png")
    for name, target in (("self", "self.png"), ("zero", "/dev/zero")):
        (files / f"photos/{name}.png").symlink_to(target)
    words = (
        "is a named pipe, not a picture file",
        "too many levels of symbolic links",
        "is a device, not a picture file",
    )
    found = [f"photos/{name}.png" for name in ("pipe", "self", "zero")]
    made = sheet(["photos/a.png", *found], ["paintings/x.png"], cell=CELL)
    assert made.failed == tuple(f"{name}: {why}" for name, why in zip(found, words, strict=True))


def test_one_photo_is_a_grid(files, painted):
    made = sheet(["photos/b.png"], STYLES, cell=CELL, columns=2)
    page = module.Grid(CELL, 2, 3)
    assert made.pixels.shape == (page.height, page.width, 3)
    assert count(made.pixels, 30) >= 1200 and count(made.pixels, 50) >= 1200
    assert count(made.pixels, 40) >= 1200 + 1200  # the photo itself, and in the style of its own colour


def test_pictures_in_memory_have_numbers_for_names(painted):
    made = sheet([np.zeros((20, 20, 3))], [image.to_pil(np.ones((9, 9, 3)))] * 2, cell=CELL)
    same = sheet([np.zeros((20, 20, 3), np.uint8)], [np.ones((9, 9, 3))] * 2, cell=CELL)
    np.testing.assert_array_equal(made.pixels, same.pixels)


def test_styles_that_take_on_colours_are_encoded_for_each_photo(files, painted):
    sheet(PHOTOS, STYLES, Controls(preserve_color="match"), cell=CELL)
    assert [kind for kind, _ in painted] == ["render"] * 6  # which encodes


def test_a_broken_picture_among_many(files, painted):
    (files / "paintings" / "broken.png").write_text("no picture")
    made = sheet([*PHOTOS, "photos/none.png"], ["paintings/broken.png", *STYLES], cell=CELL)
    assert made.failed == (
        "paintings/broken.png: cannot be read: it is text ('no picture'...)",
        "photos/none.png: no such file or directory",
    )
    whole = sheet(PHOTOS, STYLES, cell=CELL)
    for photo, style in itertools.product((20, 40), (20, 40, 60)):
        assert count(made.pixels, (photo + style) / 2) >= count(whole.pixels, (photo + style) / 2)


@pytest.mark.parametrize(
    ("photos", "styles", "options", "message"),
    [
        ([], STYLES, {}, "photos: expected at least one picture, got none"),
        (PHOTOS, [], {}, "styles: expected at least one picture, got none"),
        (PHOTOS, STYLES, {"controls": Controls(weights=(1,))}, "weights: means nothing on a contact sheet"),
        (PHOTOS, STYLES, {"controls": Controls(size=(9, 9))}, "size: on a contact sheet expected the short side alone"),
        (PHOTOS, STYLES, {"controls": Controls(mask=("a", "b"))}, "mask: expected 1"),
        (PHOTOS, STYLES, {"cell": 31}, "cell: expected at least 32 pixels, got 31"),
        (PHOTOS, STYLES, {"columns": 0}, "columns: expected at least 1, got 0"),
        (PHOTOS, STYLES, {"cell": 10_000}, r"cell: \d+ x \d+ pixels for 2 x 3 pictures are too many"),
        (["none.png"], STYLES, {}, r"^none\.png: no such file or directory$"),
        (["none.png", "no.png"], STYLES, {}, r"^photos: none of the 2 can be read; the first: none\.png: no such"),
        (PHOTOS, ["none.png"], {}, r"^none\.png: no such file or directory$"),
    ],
)
def test_what_cannot_be_done_is_one_line(files, painted, photos, styles, options, message):
    with pytest.raises(ValueError, match=message):
        sheet(photos, styles, **({"cell": CELL} | options))
    assert not [kind for kind, _ in painted if kind == "render"]


def test_maps_may_not_be_too_large_either(files, painted):
    image.write("map.png", np.zeros((90, 90), np.float32))
    with pytest.raises(ImageError, match=r"^map\.png: 90 x 90 is 0\.0 megapixels, more than the limit"):
        sheet(PHOTOS[:1], STYLES[:1], Controls(alpha_map="map.png"), cell=40, columns=1, max_pixels=8000)


def test_results_are_those_of_the_front_door(files):
    rng = np.random.default_rng(0)
    photo, style = rng.random((CELL, CELL, 3), np.float32), rng.random((CELL, CELL, 3), np.float32)
    chosen, model = Controls(alpha=0.5, style_size=CELL, preserve_color="luminance"), methods.load("adain_vgg16")
    made = sheet([photo], [style], chosen, cell=CELL, columns=2)
    expected = module.render(Picture(photo), [Picture(style)], chosen, Maps(), model).pixels
    top, left = module.Grid(CELL, 2, 1)._corner(1)
    found = made.pixels[top : top + CELL, left : left + CELL] / 255
    np.testing.assert_allclose(found, expected, atol=0.51 / 255)


def test_a_sheet_that_its_format_cannot_hold_is_not_painted(files, painted, monkeypatch):
    monkeypatch.setattr(module, "load_model", lambda _: pytest.fail("it was begun"))
    with pytest.raises(ImageError, match=r"big\.webp: .* too many for WEBP, whose sides have at most 16383"):
        sheet_file(["photos"], ["paintings/*.png"], "big.webp", cell=17_000)


def test_from_files_to_a_file(files, painted, monkeypatch):
    monkeypatch.setattr(module, "load_model", lambda name: methods.loaded(adain.Model({}, {})))

    def make(photos=("photos",), styles=("paintings/*.png",), output="out.jpg", controls=None, **options):
        return sheet_file(photos, styles, output, controls, **({"cell": 40} | options))

    report = make(controls=Controls(alpha=0.25), alpha=0.5)
    assert isinstance(report, SheetReport) and json.dumps(dataclasses.asdict(report))
    assert report.controls["alpha"] == 0.5 and report.weights_file == "adain_vgg16"
    assert (report.photos, report.styles, report.failed) == (tuple(PHOTOS), tuple(STYLES), ())
    assert image.read("out.jpg").pixels.shape == (report.height, report.width, 3)
    with pytest.raises(ImageError, match=r"out\.jpg: exists already"):
        make()
    (files / "photos" / "broken.png").write_text("no picture")
    report = make(overwrite=True, columns=2, format="webp")
    assert len(report.failed) == 1 and image.read("out.jpg").format == "WEBP"
    with pytest.raises(ImageError, match="never replaced"):
        make(styles=["paintings"], output="photos/a.png", overwrite=True)
    with pytest.raises(ValueError, match=r"nowhere/\*: matches no picture"):
        make(styles=["nowhere/*"])
    for name in ("tile", "seeds"):
        with pytest.raises(TypeError, match=f"unexpected keyword argument '{name}'"):
            make(**{name: 8})
