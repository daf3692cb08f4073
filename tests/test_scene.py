import jax
import numpy as np
import PIL.Image
import pytest

from jaxstyle import image
from jaxstyle.controls.degree import ResizedMap, gradient_at
from jaxstyle.image.windows import ArraySource
from jaxstyle.methods.inr.network import Spec, init
from jaxstyle.methods.inr.rendering import render_image
from jaxstyle.nets import coords
from jaxstyle.painting.scene import Painter, View, open_scene, shown_size

SMALL = Spec(octaves=3, latent=4, width=16, depth=4, skip=2, bottleneck=8)
SIZE = (30, 20)  # width, height
RNG = np.random.default_rng(0)
PARAMS = init(jax.random.key(0), SMALL, size=SIZE)
REGION = (-0.5, -1.0, 0.25, 0.5)
BETWEEN = np.linspace(0, 1, 20), np.linspace(0, 1, 30)  # rows and columns, 0 at the first and 1 at the last


def degree(view, size=SIZE):
    """The degree of style of the whole picture, put together from windows that do not fit anything."""
    with open_scene(PARAMS, view) as scene:
        assert (scene.width, scene.height) == size
        if not callable(scene.degree):
            return scene.degree
        x, y = (coords.axis(n, view.region[i], view.region[i + 2]) for i, n in enumerate(size))
        rows = [
            [scene.degree(y[i : i + 7], x[j : j + 11]) for j in range(0, size[0], 11)] for i in range(0, size[1], 7)
        ]
        found = np.concatenate([np.concatenate(row, 1) for row in rows])
        assert found.dtype == np.float32
        return found


@pytest.mark.parametrize("shape", [(20, 30), (40, 60), (2, 3), (4, 6), (11, 16)])
def test_an_alpha_map_is_that_of_the_whole_picture(shape):
    values = RNG.random(shape).astype(np.float32)
    height, width = min(20, shape[0]), min(30, shape[1])
    smaller = ResizedMap(ArraySource(values), height, width).read(0, height, 0, width)  # larger ones are averaged
    wanted = coords.resample(smaller, coords.axis(30), coords.axis(20))
    np.testing.assert_allclose(degree(View(alpha=0.5, alpha_map=values)), 0.5 * wanted, atol=1e-6)


def test_a_zoom_shows_what_the_whole_picture_has_there():
    values = RNG.random((20, 30)).astype(np.float32)
    x, y = coords.axis(48, -0.5, 0.25), coords.axis(64, -1.0, 0.5)
    view = View(alpha_map=values, size=(48, 64), region=REGION)
    wanted = coords.resample(values, x, y)
    np.testing.assert_allclose(degree(view, (48, 64)), wanted, atol=1e-6)
    view = View(gradient="left:0,right:1", size=(48, 64), region=REGION)
    wanted = ((x + 1) / 2 * 128 - 0.5) / 127  # the whole picture has 128 columns
    np.testing.assert_allclose(degree(view, (48, 64)), np.tile(wanted, (64, 1)), atol=1e-6)


@pytest.mark.parametrize("spec", ["left:0,right:1", "top-left:0,bottom-right:1", "center:1,edge:0", "bottom:0.5,top:1"])
def test_gradients_are_those_of_the_controls(spec):
    np.testing.assert_allclose(degree(View(gradient=spec)), gradient_at(spec, *BETWEEN), atol=1e-6)


def test_masks_have_their_own_degrees():
    left = np.zeros((20, 30), np.float32)
    left[:, :10] = 1
    right = np.zeros((20, 30), np.float32)
    right[:, 15:] = 0.5
    found = degree(View(alpha=0.25, mask=(left, right), mask_alpha=(1, 0.75)))
    np.testing.assert_array_equal(found[:, :10], 1)
    np.testing.assert_array_equal(found[:, 10:15], 0.25)
    np.testing.assert_allclose(found[:, 15:], 0.5 * 0.25 + 0.5 * 0.75, atol=1e-6)
    ones = np.ones((20, 30), np.float32)
    np.testing.assert_allclose(degree(View(mask=(ones, ones), mask_alpha=(0.0, 0.5))), 0.25, atol=1e-6)
    found = degree(View(gradient="left:0,right:1", mask=(left,), mask_alpha=(0.5,)))
    np.testing.assert_allclose(found[:, 10:], gradient_at("left:0,right:1", *BETWEEN)[:, 10:], atol=1e-6)
    np.testing.assert_array_equal(found[:, :10], 0.5)


def test_degrees_of_masks_may_be_a_number_or_an_array():
    half = np.full((20, 30), 0.5, np.float32)
    np.testing.assert_allclose(degree(View(mask=half, mask_alpha=0.25)), 0.5 + 0.5 * 0.25, atol=1e-6)
    np.testing.assert_allclose(degree(View(mask=(half, half), mask_alpha=np.array([0.25, 0.75]))), 0.5, atol=1e-6)


def test_what_is_special_about_a_map_is_said(tmp_path):
    pages = [PIL.Image.new("L", SIZE, grey) for grey in (255, 0)]
    pages[0].save(tmp_path / "map.tif", save_all=True, append_images=pages[1:])
    with open_scene(PARAMS, View(alpha_map=str(tmp_path / "map.tif"))) as scene:
        assert len(scene.notices) == 1 and scene.notices[0].endswith("map.tif: picture of 2 pages: the first is taken")


def test_one_number_stays_one():
    assert degree(View(alpha=0.3)) == 0.3


def test_maps_of_another_shape_are_refused():
    for values in (np.ones((30, 20)), np.ones((20, 24)), np.ones((1, 30))):
        with (
            pytest.raises(image.ImageError, match=r"alpha_map: its \d+ x \d+ pixels have another shape .* 30 x 20; "),
            open_scene(PARAMS, View(alpha_map=values.astype(np.float32))),
        ):
            pass
    square = np.ones((9, 9), np.float32)
    with open_scene(PARAMS, View(mask=square, size=(50, 50), mask_alpha=(1,))):  # the shape of the result
        pass
    with open_scene(PARAMS, View(mask=np.ones((2, 3), np.float32), size=(50, 50), mask_alpha=(1,))):  # that of the fit
        pass
    part = View(mask=np.ones((2, 3), np.float32), mask_alpha=(1,), region=REGION)
    with open_scene(PARAMS, part):  # of the whole, not the part
        pass


@pytest.mark.parametrize(
    ("masks", "alphas", "message"),
    [
        (1, None, "mask: needs mask_alpha"),
        (1, (0, 1), "mask_alpha: expected 1, one per mask, got 2"),
        (0, (0,), "mask_alpha: is for masks, and there is none"),
        (2, 0.5, "mask_alpha: expected 2, one per mask, got 1"),
        (1, "much", r"mask_alpha: expected numbers in \[0, 1\], one per mask, got 'much'"),
        (1, (None,), r"mask_alpha: expected numbers in \[0, 1\], got nan"),
        (1, (1.5,), r"mask_alpha: expected numbers in \[0, 1\], got 1.5"),
        (1, (float("nan"),), r"mask_alpha: expected numbers in \[0, 1\], got nan"),
    ],
)
def test_degrees_of_masks_are_checked(masks, alphas, message):
    with pytest.raises(ValueError, match=message):
        View(mask=[np.ones((20, 30), np.float32)] * masks or None, mask_alpha=alphas)


@pytest.mark.parametrize(
    ("size", "region", "wanted"),
    [
        (None, coords.WHOLE, (30, 20)),
        (40, coords.WHOLE, (60, 40)),
        ((7, 9), REGION, (7, 9)),
        (None, (-1, -1, 0, 1), (15, 20)),
        (None, (0, 0, 0.5, 0.5), (30, 20)),
        (100, (-1, -1, 0, 1), (100, 133)),
    ],
)
def test_sizes_have_the_shape_of_what_is_shown(size, region, wanted):
    assert shown_size((30, 20), size, region) == wanted


def test_regions_are_checked():
    with pytest.raises(ValueError, match="region: expected"):
        View(region=(0, 0, 2, 1))


@pytest.mark.parametrize("bits", [8, 16])
def test_tiles_are_the_picture(bits):
    values = RNG.random((20, 30)).astype(np.float32)
    wanted = np.asarray(render_image(PARAMS, (48, 65), values, region=REGION))
    with open_scene(PARAMS, View(alpha_map=values, size=(48, 65), region=REGION)) as scene:
        painter = Painter(scene, bits, tile=32)
        assert (painter.down, painter.across, painter.rows, painter.columns) == (3, 2, 22, 24)
        tiles = [np.asarray(painter(number)) for number in range(6)]
        darker = np.asarray(painter(0, 0.0))
    assert tiles[0].dtype == (np.uint8 if bits == 8 else np.uint16)
    whole = np.concatenate([np.concatenate(tiles[i : i + 2], 1) for i in (0, 2, 4)])[:65]
    full = 2**bits - 1
    np.testing.assert_allclose(whole / full, wanted, atol=0.5 / full + 2e-6)
    content = np.asarray(render_image(PARAMS, (48, 65), 0.0, region=REGION))[:22, :24]
    np.testing.assert_allclose(darker / full, content, atol=0.5 / full + 2e-6)


def test_a_view_is_checked_and_has_tuples():
    view = View(size=[40, 30], mask="a.png", mask_alpha=0.5)
    assert view == View((40, 30), mask=("a.png",), mask_alpha=(0.5,))
    assert view.controls.files() == ("a.png",)
    with pytest.raises(ValueError, match=r"^alpha: expected a number in \[0, 1\], got 2"):
        View(alpha=2)
