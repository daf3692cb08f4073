import numpy as np
import PIL.Image
import pytest

from jaxstyle import Controls, ImageError, image
from jaxstyle.controls.degree import (
    Maps,
    ResizedMap,
    degree,
    gradient_at,
    mix,
    open_maps,
    read_maps,
    shares,
)
from jaxstyle.image.windows import ArraySource

RNG = np.random.default_rng(0)
HEIGHT, WIDTH = 41, 63
SPECS = (
    "left:0,right:1",
    "right:0.25,left:1",
    "bottom:0,center:1,top:0.5",
    "top-left:0,bottom-right:1",
    "bottom-left:0,center:0.9,top-right:0.1",
    "top-left:0,top-right:1,bottom-left:0.5,bottom-right:0.25",
    "center:1,edge:0",
)


def everything(window, height=HEIGHT, width=WIDTH):
    return window(0, height, 0, width)


def windows(read, height=HEIGHT, width=WIDTH):
    """The whole map, put together from windows that do not fit anything."""
    rows = []
    for top in range(0, height, 17):
        bottom = min(top + 17, height)
        rows.append(np.concatenate([read(top, bottom, x, min(x + 23, width)) for x in range(0, width, 23)], 1))
    return np.concatenate(rows)


def resized(values, height, width):
    return everything(ResizedMap(ArraySource(values), height, width).read, height, width)


def gradient(spec, height, width):
    return everything(degree(Controls(gradient=spec), Maps(), height, width), height, width)


def sources(*arrays):
    return tuple(map(ArraySource, arrays))


# ---- resized maps ------------------------------------------------------------------------------------------


def matrix(size, resized):
    """What an axis of ``size`` values becomes, as a matrix: means over areas, or linear between centres."""
    out = np.zeros((resized, size))
    for i in range(resized):
        if resized < size:
            begin, end = i * size / resized, (i + 1) * size / resized
            out[i] = [max(0, min(end, j + 1) - max(begin, j)) / (end - begin) for j in range(size)]
        else:
            at = np.clip((i + 0.5) * size / resized - 0.5, 0, size - 1)
            out[i] = np.maximum(0, 1 - np.abs(at - np.arange(size)))
    return out


@pytest.mark.parametrize("shape", [(41, 63), (7, 100), (200, 9), (1, 1), (40, 64)])
def test_resized_map(shape):
    values = RNG.random(shape).astype(np.float32)
    source = ResizedMap(ArraySource(values), HEIGHT, WIDTH)
    found = windows(source.read)
    assert source.shape == (HEIGHT, WIDTH) and found.dtype == np.float32
    np.testing.assert_allclose(found, everything(source.read), atol=1e-6)
    expected = matrix(shape[0], HEIGHT) @ values @ matrix(shape[1], WIDTH).T
    np.testing.assert_allclose(found, expected, atol=1e-6)


def test_shrinking_a_map_is_the_mean_over_each_area():
    values = RNG.random((12, 20), np.float32)
    expected = values.reshape(4, 3, 5, 4).mean((1, 3))
    np.testing.assert_allclose(resized(values, 4, 5), expected, atol=1e-6)
    for size in ((7, 13), (5, 20), (1, 1)):
        assert resized(values, *size).mean() == pytest.approx(values.mean(), abs=1e-6)


def test_growing_a_map_is_linear():
    np.testing.assert_allclose(resized(np.float32([[0, 1]]), 3, 4), [[0, 0.25, 0.75, 1]] * 3, atol=1e-6)
    np.testing.assert_array_equal(resized(np.float32([[0.3]]), 5, 6), np.full((5, 6), 0.3, np.float32))


@pytest.mark.parametrize("size", [(3, 50), (50, 3), (19, 26), (64, 64)])
def test_resizing_a_mask_does_not_overshoot(size):
    hard = (RNG.random((19, 26)) > 0.5).astype(np.float32)
    found = resized(hard, *size)
    assert found.shape == size and found.dtype == np.float32 and found.min() >= 0 and found.max() <= 1
    np.testing.assert_allclose(resized(1 - hard, *size), 1 - found, atol=1e-6)  # inverse masks stay inverse
    np.testing.assert_array_equal(resized(np.ones((19, 26), np.float32), *size), 1)


# ---- gradients ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [(5, 8), (19, 26), (1, 2), (2, 2)])
def test_sides_and_corners_have_their_values_exactly(size):
    across = gradient("left:0.25,right:1", *size)
    assert across.shape == size and across.dtype == np.float32
    assert (across[:, 0] == 0.25).all() and (across[:, -1] == 1).all()
    np.testing.assert_allclose(np.diff(across, 2, axis=1), 0, atol=1e-6)  # linear
    if size[0] > 1:
        down = gradient("top:1,bottom:0.1", *size)
        assert (down[0] == 1).all() and (down[-1] == np.float32(0.1)).all()
        diagonal = gradient("top-right:0.2,bottom-left:0.9", *size)
        assert (diagonal[0, -1], diagonal[-1, 0]) == (np.float32(0.2), np.float32(0.9))
        np.testing.assert_allclose((diagonal[0, 0], diagonal[-1, -1]), 0.55, atol=1e-6)
        four = gradient("top-left:0,top-right:0.2,bottom-left:0.6,bottom-right:1", *size)
        np.testing.assert_array_equal(four[[0, 0, -1, -1], [0, -1, 0, -1]], np.float32([0, 0.2, 0.6, 1]))


def test_the_middle_of_a_gradient():
    np.testing.assert_allclose(gradient("left:0,center:1,right:0.5", 1, 5)[0], [0, 0.5, 1, 0.75, 0.5])
    assert gradient("left:0,right:1", 1, 1) == 0.5


def test_a_radial_gradient():
    found = gradient("center:1,edge:0", 9, 13)
    assert found[4, 6] == 1
    assert (found[[0, 8, 4, 4], [6, 6, 0, 12]] == 0).all() and found[0, 0] == 0
    np.testing.assert_allclose(found[4, [3, 9]], 0.5, atol=1e-6)
    np.testing.assert_array_equal(found, found[::-1, ::-1])


def expected_gradient(spec, height, width):
    """The same from the picture's corners: every gradient is one of x, y, their sums, and the distance."""
    stops = {place: float(value) for place, value in (part.split(":") for part in spec.split(","))}
    x, y = np.meshgrid(*(np.linspace(0, 1, n) if n > 1 else np.array([0.5]) for n in (width, height)))
    if "edge" in stops:
        return np.interp(np.hypot(2 * x - 1, 2 * y - 1), [0, 1], [stops["center"], stops["edge"]])
    if len(stops) == 4:
        top, bottom = ((1 - x) * stops[f"{side}-left"] + x * stops[f"{side}-right"] for side in ("top", "bottom"))
        return (1 - y) * top + y * bottom
    along = {"left": x, "top": y, "top-left": (x + y) / 2, "top-right": (1 - x + y) / 2}
    opposite = {"left": "right", "top": "bottom", "top-left": "bottom-right", "top-right": "bottom-left"}
    first = next(place for place in opposite if place in stops)
    low, high = stops[first], stops[opposite[first]]
    return np.interp(along[first], [0, 0.5, 1], [low, stops.get("center", (low + high) / 2), high])


@pytest.mark.parametrize("spec", SPECS)
@pytest.mark.parametrize("size", [(HEIGHT, WIDTH), (1, WIDTH), (HEIGHT, 1)])
def test_gradient(spec, size):
    found = windows(degree(Controls(gradient=spec), Maps(), *size), *size)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, gradient(spec, *size), atol=1e-6)
    np.testing.assert_allclose(found, expected_gradient(spec, *size), atol=1e-6)


def test_gradient_says_what_is_wrong():
    with pytest.raises(ValueError, match="gradient: expected"):
        gradient_at("left:0", np.zeros(3), np.zeros(4))


# ---- reading -----------------------------------------------------------------------------------------------


def test_maps_are_read_as_grey_and_transparent_is_black(tmp_path):
    grey = RNG.integers(0, 256, (6, 7), np.uint8)
    PIL.Image.fromarray(grey).save(tmp_path / "grey.png")
    opacity = np.tile(np.uint8([[0], [255]]), (3, 7))
    PIL.Image.merge("LA", [PIL.Image.fromarray(x) for x in (grey, opacity)]).save(tmp_path / "cut.png")
    maps = read_maps(Controls(alpha_map=tmp_path / "grey.png", mask=[tmp_path / "cut.png", grey]))
    np.testing.assert_allclose(everything(maps.alpha_map.read, 6, 7), grey / 255, atol=1e-6)
    np.testing.assert_allclose(everything(maps.mask[0].read, 6, 7), grey * (opacity / 255) / 255, atol=1e-6)
    np.testing.assert_allclose(everything(maps.mask[1].read, 6, 7), grey / 255, atol=1e-6)
    image.write(tmp_path / "colour.png", np.zeros((3, 4, 3), np.float32) + np.float32([1, 0, 0]))
    colour = read_maps(Controls(alpha_map=tmp_path / "colour.png")).alpha_map
    np.testing.assert_allclose(everything(colour.read, 3, 4), 0.299, atol=1e-6)


def test_a_map_that_cannot_be_read_is_named(tmp_path):
    (tmp_path / "text.png").write_text("no picture")
    for fields in ({"alpha_map": tmp_path / "text.png"}, {"mask": tmp_path / "text.png"}):
        with pytest.raises(ImageError, match=r"text\.png: "):
            read_maps(Controls(**fields))


def test_a_map_that_is_no_picture(tmp_path):
    (tmp_path / "text.png").write_text("no picture")
    with (
        pytest.raises(image.ImageError, match=r"text\.png: cannot be read: it is text"),
        open_maps(Controls(mask=(tmp_path / "text.png",))),
    ):
        pass


@pytest.mark.parametrize("read", [read_maps, lambda chosen: open_maps(chosen).__enter__()])
@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"alpha_map": np.full((4, 4), 255.0)}, "^alpha_map: float array with values from 255 to 255: expected"),
        ({"alpha_map": np.zeros((4, 4, 7))}, r"^alpha_map: array of shape \(4, 4, 7\): expected"),
        ({"mask": (np.ones((4, 4)), b"no picture")}, "^mask 2: cannot be read: it is text"),
    ],
)
def test_a_picture_in_memory_has_the_name_of_its_control(read, fields, message):
    with pytest.raises(image.ImageError, match=message):
        read(Controls(**fields))


def test_notices_are_those_of_the_whole(tmp_path):
    frames = [PIL.Image.new("L", (4, 4), grey) for grey in (0, 255)]
    frames[0].save(tmp_path / "moving.gif", save_all=True, append_images=frames[1:])
    for source in (tmp_path / "moving.gif", (tmp_path / "moving.gif").read_bytes()):
        chosen = Controls(alpha_map=source, mask=(source,))
        with open_maps(chosen) as opened:
            assert opened.notices == read_maps(chosen).notices
            assert len(opened.notices) == 2


def test_maps_of_another_shape_are_told():
    maps = Maps(*sources(np.zeros((100, 200))), sources(np.zeros((50, 100)), np.zeros((100, 50))))
    assert maps.stretched(400, 800) == ("mask 2: 50 x 100 is stretched to 800 x 400",)
    assert maps.stretched(201, 400) == ("mask 2: 50 x 100 is stretched to 400 x 201",)  # rounding is no other shape
    assert Maps().stretched(3, 4) == ()
    named = Maps(maps.alpha_map, maps.mask, names=("map.png", "mask 1", "b.png"))
    assert named.stretched(400, 800) == ("b.png: 50 x 100 is stretched to 800 x 400",)


# ---- degree of style and shares ----------------------------------------------------------------------------


def test_degree_is_the_product():
    values = RNG.random((5, 8), np.float32)
    maps = Maps(alpha_map=ArraySource(values))
    assert degree(Controls(alpha=0.3), Maps(), 5, 8) == 0.3
    expected = 0.5 * values * gradient("top:0,bottom:1", 5, 8)
    found = everything(degree(Controls(alpha=0.5, gradient="top:0,bottom:1"), maps, 5, 8), 5, 8)
    np.testing.assert_allclose(found, expected, atol=1e-7)
    assert found.dtype == np.float32


@pytest.fixture
def chosen(tmp_path):
    """Controls with a map of every kind: of another size, transparent, in colour, in memory."""
    image.write(tmp_path / "map.png", RNG.random((30, 21, 3)), alpha=RNG.random((30, 21)))
    image.write(tmp_path / "mask.png", RNG.random((HEIGHT, WIDTH)), bits=16)
    in_memory = RNG.random((90, 100)).astype(np.float32)
    return Controls(
        alpha=0.9,
        alpha_map=tmp_path / "map.png",
        gradient="left:0,right:1",
        weights=(2, 1),
        mask=(tmp_path / "mask.png", in_memory),
    )


def test_degree_and_shares_are_those_of_the_whole(chosen):
    whole = read_maps(chosen)
    (small, *masks) = (
        resized(everything(source.read, *source.shape), HEIGHT, WIDTH) for source in (whole.alpha_map, *whole.mask)
    )
    with open_maps(chosen) as opened:
        degrees = windows(degree(chosen, opened, HEIGHT, WIDTH))
        parts = windows(shares(2, chosen, opened, HEIGHT, WIDTH))
        assert opened.stretched(HEIGHT, WIDTH) == whole.stretched(HEIGHT, WIDTH) != ()
    np.testing.assert_allclose(degrees, everything(degree(chosen, whole, HEIGHT, WIDTH)), atol=1e-6)
    np.testing.assert_allclose(degrees, 0.9 * small * gradient(chosen.gradient, HEIGHT, WIDTH), atol=1e-6)
    np.testing.assert_allclose(parts, everything(shares(2, chosen, whole, HEIGHT, WIDTH)), atol=1e-6)
    np.testing.assert_allclose(parts, mix(2, chosen.weights, masks), atol=1e-6)


def test_without_maps_there_are_numbers():
    chosen = Controls(alpha=0.5, weights=(3, 1))
    with open_maps(chosen) as opened:
        assert degree(chosen, opened, HEIGHT, WIDTH) == 0.5
        np.testing.assert_allclose(shares(2, chosen, opened, HEIGHT, WIDTH), [0.75, 0.25])
        assert opened.notices == opened.stretched(HEIGHT, WIDTH) == ()


def test_weights_are_normalised():
    np.testing.assert_allclose(mix(3, (2, 1, 1)), [0.5, 0.25, 0.25])
    np.testing.assert_allclose(mix(4), 0.25)
    np.testing.assert_allclose(mix(2, (1e-12, 3e-12)), [0.25, 0.75])


def test_masks_that_do_not_overlap_mean_what_they_show():
    left = np.zeros((3, 4), np.float32)
    left[:, :2] = 1
    right = 0.5 * (1 - left)
    for weights in (None, (5, 1)):
        np.testing.assert_allclose(mix(2, weights, [left, right]), np.stack([left, right], -1), atol=1e-6)


def test_overlapping_masks_are_normalised_and_weighed():
    ones = np.ones((2, 3), np.float32)
    np.testing.assert_allclose(mix(2, None, [ones, 0.5 * ones])[0, 0], [2 / 3, 1 / 3], atol=1e-6)
    np.testing.assert_allclose(mix(2, (3, 1), [ones, ones])[0, 0], [0.75, 0.25], atol=1e-6)  # as without masks
    np.testing.assert_allclose(mix(2, (3, 1), [0.2 * ones, 0.2 * ones])[0, 0], [0.3, 0.1], atol=1e-6)


def test_what_no_mask_covers_is_content():
    none = np.zeros((2, 2), np.float32)
    assert (mix(2, (1, 2), [none, none]) == 0).all()
    assert (mix(2, (1, 0), [none, none + 1]) == 0).all()  # a style of weight 0 has no part


def test_shares_are_shares():
    found = mix(3, (1, 7, 0.3), list(RNG.random((3, 9, 8), np.float32)))
    assert found.shape == (9, 8, 3) and found.dtype == np.float32
    assert found.min() >= 0 and found.max() <= 1 and found.sum(-1).max() <= 1 + 1e-6
