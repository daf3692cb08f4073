import numpy as np
import PIL.Image
import pytest

from jaxstyle import image
from jaxstyle.controls import controls, map_windows
from jaxstyle.controls.controls import Controls
from jaxstyle.image.windows import ArraySource

RNG = np.random.default_rng(0)
HEIGHT, WIDTH = 41, 63


def windows(read, height=HEIGHT, width=WIDTH):
    """The whole map, put together from windows that do not fit anything."""
    rows = []
    for top in range(0, height, 17):
        bottom = min(top + 17, height)
        rows.append(np.concatenate([read(top, bottom, x, min(x + 23, width)) for x in range(0, width, 23)], 1))
    return np.concatenate(rows)


@pytest.mark.parametrize("shape", [(41, 63), (7, 100), (200, 9), (1, 1), (40, 64)])
def test_resized_map(shape):
    values = RNG.random(shape).astype(np.float32)
    source = map_windows.ResizedMap(ArraySource(values), HEIGHT, WIDTH)
    found = windows(source.read)
    assert source.shape == (HEIGHT, WIDTH) and found.dtype == np.float32
    np.testing.assert_allclose(found, controls.resize_map(values, HEIGHT, WIDTH), atol=1e-6)


@pytest.mark.parametrize(
    "spec",
    [
        "left:0,right:1",
        "right:0.25,left:1",
        "bottom:0,center:1,top:0.5",
        "top-left:0,bottom-right:1",
        "bottom-left:0,center:0.9,top-right:0.1",
        "top-left:0,top-right:1,bottom-left:0.5,bottom-right:0.25",
        "center:1,edge:0",
    ],
)
@pytest.mark.parametrize("size", [(HEIGHT, WIDTH), (1, WIDTH), (HEIGHT, 1)])
def test_gradient(spec, size):
    found = windows(map_windows.gradient(spec, *size), *size)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, controls.gradient(spec, *size), atol=1e-6)


def test_gradient_says_what_is_wrong():
    with pytest.raises(ValueError, match="gradient: expected"):
        map_windows.gradient("left:0", HEIGHT, WIDTH)


@pytest.fixture
def maps(tmp_path):
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


def test_degree_and_shares_are_those_of_the_whole(maps):
    whole = controls.read_maps(maps)
    masks = [controls.resize_map(mask, HEIGHT, WIDTH) for mask in whole.mask]
    with map_windows.open_maps(maps) as opened:
        degree = windows(map_windows.degree(maps, opened, HEIGHT, WIDTH))
        shares = windows(map_windows.shares(2, maps, opened, HEIGHT, WIDTH))
        assert opened.stretched(HEIGHT, WIDTH) == controls.stretched(whole, HEIGHT, WIDTH) != ()
    np.testing.assert_allclose(degree, controls.degree(maps, whole, HEIGHT, WIDTH), atol=1e-6)
    np.testing.assert_allclose(shares, controls.shares(2, maps.weights, masks), atol=1e-6)


def test_without_maps_there_are_numbers():
    chosen = Controls(alpha=0.5, weights=(3, 1))
    with map_windows.open_maps(chosen) as opened:
        assert map_windows.degree(chosen, opened, HEIGHT, WIDTH) == 0.5
        np.testing.assert_allclose(map_windows.shares(2, chosen, opened, HEIGHT, WIDTH), [0.75, 0.25])
        assert opened.notices == opened.stretched(HEIGHT, WIDTH) == ()


def test_notices_are_those_of_the_whole(tmp_path):
    frames = [PIL.Image.new("L", (4, 4), grey) for grey in (0, 255)]
    frames[0].save(tmp_path / "moving.gif", save_all=True, append_images=frames[1:])
    for source in (tmp_path / "moving.gif", (tmp_path / "moving.gif").read_bytes()):
        chosen = Controls(alpha_map=source, mask=(source,))
        with map_windows.open_maps(chosen) as opened:
            assert opened.notices == controls.read_maps(chosen).notices
            assert len(opened.notices) == 2


@pytest.mark.parametrize("read", [controls.read_maps, lambda chosen: map_windows.open_maps(chosen).__enter__()])
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


def test_a_map_that_is_no_picture(tmp_path):
    (tmp_path / "text.png").write_text("no picture")
    with (
        pytest.raises(image.ImageError, match=r"text\.png: cannot be read: it is text"),
        map_windows.open_maps(Controls(mask=(tmp_path / "text.png",))),
    ):
        pass
