import json
from pathlib import Path

import numpy as np
import PIL.Image
import pytest

from jaxstyle import Controls, ImageError, image
from jaxstyle.controls.controls import (
    Fields,
    Maps,
    degree,
    gradient,
    parse_gradient,
    read_maps,
    resize_map,
    shares,
    stretched,
)

RNG = np.random.default_rng(0)


# ---- Controls ----------------------------------------------------------------------------------------------


def test_controls_go_through_json_and_are_hashable():
    controls = Controls(
        alpha=0.5,
        alpha_map=Path("map.png"),
        gradient="left:0,right:1",
        weights=[2, 1],
        mask=["a.png", Path("b.png")],
        preserve_color="match",
        size=[640, 480],
        style_size=256,
        seed=3,
    )
    record = json.loads(json.dumps(controls.as_dict()))
    assert Controls(**record) == controls and hash(Controls(**record)) == hash(controls)
    assert record["mask"] == ["a.png", "b.png"] and controls.files() == ("map.png", "a.png", "b.png")
    assert Controls(**Controls().as_dict()) == Controls()


def test_pictures_in_memory_are_recorded_by_their_pixels():
    mask = RNG.random((4, 5), np.float32)
    first, second = (Controls(mask=[m]).as_dict()["mask"][0] for m in (mask, 1 - mask))
    assert first.startswith("sha256:") and first != second
    assert first == Controls(mask=mask.copy()).as_dict()["mask"][0]
    assert Controls(alpha_map=mask).files() == ()


def test_fields_are_those_of_controls():
    assert list(Fields.__annotations__) == list(Controls().as_dict())


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"alpha": 1.5}, "alpha: expected a number in [0, 1], got 1.5"),
        ({"alpha": float("nan")}, "alpha: expected a number in [0, 1]"),
        ({"alpha": "much"}, "alpha: .* got 'much'"),
        ({"alpha": np.zeros((3, 3))}, "alpha: .*alpha_map.*ndarray"),
        ({"gradient": "left"}, "gradient: expected PLACE:VALUE"),
        ({"gradient": "left:0,left:1"}, "gradient: .*each place once"),
        ({"gradient": "north:0,south:1"}, "gradient: .*bottom-left"),
        ({"gradient": "left:0"}, "gradient: expected two opposite sides"),
        ({"gradient": "left:0,top:1"}, "gradient: expected two opposite sides"),
        ({"gradient": "center:0"}, "gradient: expected two opposite sides"),
        ({"gradient": "center:0,edge:1,left:1"}, "gradient: expected two opposite sides"),
        ({"gradient": "left:0,right:2"}, "gradient: expected values in [0, 1], got right:2"),
        ({"gradient": "left:0,right:x"}, "gradient: expected a number after right:, got 'x'"),
        ({"gradient": "left:0,right:nan"}, "gradient: expected a number after right:"),
        ({"weights": (0, 0)}, "weights: expected numbers of at least 0, not all of them 0"),
        ({"weights": (1, -1)}, "weights: expected numbers of at least 0"),
        ({"weights": (1, float("inf"))}, "weights: expected numbers"),
        ({"weights": ()}, "weights: "),
        ({"weights": "2,1"}, "weights: expected one number per style"),
        ({"weights": 2}, "weights: expected one number per style"),
        ({"preserve_color": "hue"}, "preserve_color: expected one of match, histogram, luminance, got 'hue'"),
        ({"size": 0}, "size: expected a whole number of at least 1, got 0"),
        ({"size": (0, 5)}, "size: expected a whole number"),
        ({"size": (1, 2, 3)}, "size: expected the short side or"),
        ({"size": "640"}, "size: "),
        ({"style_size": 2.5}, "style_size: expected a whole number of at least 1, got 2.5"),
        ({"style_size": True}, "style_size: "),
        ({"seed": -1}, "seed: expected a whole number of at least 0"),
    ],
)
def test_a_wrong_field_is_named(fields, message):
    with pytest.raises(ValueError, match="^" + message.replace("[", r"\[").replace("]", r"\]")):
        Controls(**fields)


def test_counts_must_fit_the_styles():
    Controls(weights=(1, 2), mask=("a", "b")).check_styles(2)
    with pytest.raises(ValueError, match="weights: expected 3, one per style, got 2"):
        Controls(weights=(1, 2)).check_styles(3)
    with pytest.raises(ValueError, match="mask: expected 2, one per style, got 1"):
        Controls(mask="a.png").check_styles(2)


# ---- degree of style ---------------------------------------------------------------------------------------


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


def test_blanks_in_a_gradient_do_no_harm():
    assert parse_gradient(" left : 0, right:1 ") == {"left": 0, "right": 1}


def test_shrinking_a_map_is_the_mean_over_each_area():
    values = RNG.random((12, 20), np.float32)
    expected = values.reshape(4, 3, 5, 4).mean((1, 3))
    np.testing.assert_allclose(resize_map(values, 4, 5), expected, atol=1e-6)
    for size in ((7, 13), (5, 20), (1, 1)):
        assert resize_map(values, *size).mean() == pytest.approx(values.mean(), abs=1e-6)


def test_growing_a_map_is_linear():
    np.testing.assert_allclose(resize_map(np.float32([[0, 1]]), 3, 4), [[0, 0.25, 0.75, 1]] * 3, atol=1e-6)
    np.testing.assert_array_equal(resize_map(np.float32([[0.3]]), 5, 6), np.full((5, 6), 0.3, np.float32))


@pytest.mark.parametrize("size", [(3, 50), (50, 3), (19, 26), (64, 64)])
def test_resizing_a_mask_does_not_overshoot(size):
    hard = (RNG.random((19, 26)) > 0.5).astype(np.float32)
    found = resize_map(hard, *size)
    assert found.shape == size and found.dtype == np.float32 and found.min() >= 0 and found.max() <= 1
    np.testing.assert_allclose(resize_map(1 - hard, *size), 1 - found, atol=1e-6)  # inverse masks stay inverse
    np.testing.assert_array_equal(resize_map(np.ones((19, 26), np.float32), *size), 1)


def test_degree_is_the_product():
    maps = Maps(alpha_map=RNG.random((5, 8), np.float32))
    assert degree(Controls(alpha=0.3), Maps(), 5, 8) == 0.3
    expected = 0.5 * maps.alpha_map * gradient("top:0,bottom:1", 5, 8)
    found = degree(Controls(alpha=0.5, gradient="top:0,bottom:1"), maps, 5, 8)
    np.testing.assert_allclose(found, expected, atol=1e-7)
    assert found.dtype == np.float32


def test_maps_are_read_as_grey_and_transparent_is_black(tmp_path):
    grey = RNG.integers(0, 256, (6, 7), np.uint8)
    PIL.Image.fromarray(grey).save(tmp_path / "grey.png")
    opacity = np.tile(np.uint8([[0], [255]]), (3, 7))
    PIL.Image.merge("LA", [PIL.Image.fromarray(x) for x in (grey, opacity)]).save(tmp_path / "cut.png")
    maps = read_maps(Controls(alpha_map=tmp_path / "grey.png", mask=[tmp_path / "cut.png", grey]))
    np.testing.assert_allclose(maps.alpha_map, grey / 255, atol=1e-6)
    np.testing.assert_allclose(maps.mask[0], grey * (opacity / 255) / 255, atol=1e-6)
    np.testing.assert_allclose(maps.mask[1], grey / 255, atol=1e-6)
    image.write(tmp_path / "colour.png", np.zeros((3, 4, 3), np.float32) + np.float32([1, 0, 0]))
    np.testing.assert_allclose(read_maps(Controls(alpha_map=tmp_path / "colour.png")).alpha_map, 0.299, atol=1e-6)


def test_a_map_that_cannot_be_read_is_named(tmp_path):
    (tmp_path / "text.png").write_text("no picture")
    for fields in ({"alpha_map": tmp_path / "text.png"}, {"mask": tmp_path / "text.png"}):
        with pytest.raises(ImageError, match=r"text\.png: "):
            read_maps(Controls(**fields))


def test_maps_of_another_shape_are_told():
    maps = Maps(np.zeros((100, 200)), (np.zeros((50, 100)), np.zeros((100, 50))))
    assert stretched(maps, 400, 800) == ("mask 2: 50 x 100 is stretched to 800 x 400",)
    assert stretched(maps, 201, 400) == ("mask 2: 50 x 100 is stretched to 400 x 201",)  # rounding is no other shape
    assert stretched(Maps(), 3, 4) == ()


# ---- several styles ----------------------------------------------------------------------------------------


def test_weights_are_normalised():
    np.testing.assert_allclose(shares(3, (2, 1, 1)), [0.5, 0.25, 0.25])
    np.testing.assert_allclose(shares(4), 0.25)
    np.testing.assert_allclose(shares(2, (1e-12, 3e-12)), [0.25, 0.75])


def test_masks_that_do_not_overlap_mean_what_they_show():
    left = np.zeros((3, 4), np.float32)
    left[:, :2] = 1
    right = 0.5 * (1 - left)
    for weights in (None, (5, 1)):
        np.testing.assert_allclose(shares(2, weights, [left, right]), np.stack([left, right], -1), atol=1e-6)


def test_overlapping_masks_are_normalised_and_weighed():
    ones = np.ones((2, 3), np.float32)
    np.testing.assert_allclose(shares(2, None, [ones, 0.5 * ones])[0, 0], [2 / 3, 1 / 3], atol=1e-6)
    np.testing.assert_allclose(shares(2, (3, 1), [ones, ones])[0, 0], [0.75, 0.25], atol=1e-6)  # as without masks
    np.testing.assert_allclose(shares(2, (3, 1), [0.2 * ones, 0.2 * ones])[0, 0], [0.3, 0.1], atol=1e-6)


def test_what_no_mask_covers_is_content():
    none = np.zeros((2, 2), np.float32)
    assert (shares(2, (1, 2), [none, none]) == 0).all()
    assert (shares(2, (1, 0), [none, none + 1]) == 0).all()  # a style of weight 0 has no part


def test_shares_are_shares():
    found = shares(3, (1, 7, 0.3), list(RNG.random((3, 9, 8), np.float32)))
    assert found.shape == (9, 8, 3) and found.dtype == np.float32
    assert found.min() >= 0 and found.max() <= 1 and found.sum(-1).max() <= 1 + 1e-6
