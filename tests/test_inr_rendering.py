import dataclasses
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxstyle.methods.inr import picture as inr_picture
from jaxstyle.methods.inr import rendering as inr_render
from jaxstyle.methods.inr.network import Network, Spec, init
from jaxstyle.methods.inr.rendering import render, render_image
from jaxstyle.nets import coords

SMALL = Spec(octaves=3, latent=4, width=16, depth=4, skip=2, bottleneck=8)
SIZE = (30, 20)  # width, height


@pytest.fixture(scope="module")
def params():
    return init(jax.random.key(0), SMALL, size=SIZE)


@pytest.fixture(scope="module")
def whole(params):
    return np.asarray(render_image(params, SIZE, 0.7))


def maps(shape, seed=0):
    return np.random.default_rng(seed).random(shape, np.float32)


# ---- points ------------------------------------------------------------------------------------------------


def test_points_are_the_networks(params):
    at = np.random.default_rng(0).uniform(-1, 1, (5, 4, 2))  # float64
    z = 0.3 * params.z_c + 0.7 * params.z_s  # the paper's a = 1 - alpha = 0.3
    network = jax.jit(Network(SMALL).apply)
    wanted = network({"params": params.network}, jnp.float32(at), jnp.broadcast_to(z, (5, 4, 4)))
    found = render(params, at, 0.7)
    assert found.dtype == jnp.float32
    np.testing.assert_allclose(found, wanted, atol=1e-6)


def test_one_point_many_points_and_none(params):
    one = render(params, (0.25, -0.5), 1)
    assert one.shape == (3,)
    np.testing.assert_allclose(render(params, [[0.25, -0.5]], 1.0)[0], one, atol=1e-6)
    np.testing.assert_allclose(render(params, np.array([[[0.25, -0.5]]], np.float16), 1.0)[0, 0], one, atol=1e-6)
    assert render(params, np.zeros((1, 2), np.int32)).shape == (1, 3)
    assert render(params, np.zeros((0, 2))).shape == (0, 3)
    assert render(params, np.zeros((2, 0, 2)), np.zeros((2, 0))).shape == (2, 0, 3)


@pytest.mark.parametrize("shape", [(), (1,), (1, 1), (30,), (20, 1), (1, 30), (20, 30)], ids=str)
def test_alpha_broadcasts_to_the_points(params, shape):
    at, alpha = coords.grid(*SIZE), maps(shape)
    found = render(params, at, alpha)
    np.testing.assert_allclose(found, render(params, at, np.broadcast_to(alpha, (20, 30))), atol=1e-6)


@pytest.mark.parametrize("chunk", [7, 599])
def test_chunks_of_points_change_nothing(params, whole, chunk):
    np.testing.assert_allclose(render(params, coords.grid(*SIZE), 0.7, chunk=chunk), whole, atol=1e-6)


def test_it_goes_through_jit_vmap_and_grad(params, whole):
    at = jnp.asarray(coords.grid(*SIZE))
    np.testing.assert_allclose(jax.jit(render)(params, at, 0.7), whole, atol=1e-6)
    by_point = jax.vmap(jax.vmap(render, in_axes=(None, 0, None)), in_axes=(None, 0, None))
    np.testing.assert_allclose(by_point(params, at, 0.7), whole, atol=1e-6)
    mixed = jnp.asarray(maps((600,)))
    each = jax.vmap(render, in_axes=(None, 0, 0))(params, at.reshape(-1, 2), mixed)
    np.testing.assert_allclose(each, render(params, at.reshape(-1, 2), mixed), atol=1e-6)
    slope = jax.jacobian(lambda alpha: render(params, at[:1, 0], alpha))(0.7)
    step = (render(params, at[:1, 0], 0.71) - render(params, at[:1, 0], 0.69)) / 0.02
    np.testing.assert_allclose(slope, step, rtol=0.02, atol=1e-4)


def test_several_pictures_at_once(params):
    several = [params, init(jax.random.key(1), SMALL, size=SIZE)]
    stacked = jax.tree.map(lambda *leaves: jnp.stack(leaves), *several)
    at = coords.grid(3, 2)
    found = jax.vmap(render, in_axes=(0, None, None))(stacked, at, 0.4)
    pictures = jax.vmap(lambda p: render_image(p, (60, 40), 0.4))(stacked)
    small = jax.vmap(lambda p: render_image(p, (3, 2), 0.4))(stacked)
    for i, one in enumerate(several):
        np.testing.assert_allclose(found[i], render(one, at, 0.4), atol=1e-6)
        np.testing.assert_allclose(pictures[i], render(one, coords.grid(60, 40), 0.4), atol=1e-6)
        np.testing.assert_allclose(small[i], render_image(one, (3, 2), 0.4), atol=1e-6)


# ---- pictures ----------------------------------------------------------------------------------------------


def test_a_picture_is_its_points(params, whole):
    assert whole.shape == (20, 30, 3) and whole.dtype == np.float32
    assert 0 <= whole.min() < whole.max() <= 1
    np.testing.assert_allclose(whole, render(params, coords.grid(*SIZE), 0.7), atol=1e-6)


@pytest.mark.parametrize("chunk", [7, 599])
@pytest.mark.parametrize("uniform", [True, False])
def test_chunks_of_a_picture_change_nothing(params, chunk, uniform):
    alpha = 0.7 if uniform else maps((20, 30))
    expected = render_image(params, SIZE, alpha)
    np.testing.assert_allclose(render_image(params, SIZE, alpha, chunk=chunk), expected, atol=1e-6)


def test_gradients_through_chunks_are_those_of_the_whole(params):
    x, y = (jnp.asarray(coords.axis(n), jnp.float32) for n in SIZE)
    probe = jnp.asarray(np.random.default_rng(1).normal(size=(20, 30, 3)), jnp.float32)

    @partial(jax.jit, static_argnums=1)
    def gradient(network, chunk):
        def through(network):
            changed = dataclasses.replace(params, network=network)
            return (inr_render.render_grid(changed, x, y, jnp.float32(0.3), chunk=chunk) * probe).sum()

        return jax.grad(through)(network)

    whole, parts = (gradient(params.network, chunk) for chunk in (600, 50))
    jax.tree.map(partial(np.testing.assert_allclose, rtol=1e-4, atol=1e-4), parts, whole)


@pytest.mark.parametrize("shape", [(1, 1), (1, 50), (50, 1), (13, 7), (100, 3), (3, 100), (64, 64)])
@pytest.mark.parametrize("chunk", [1, 6, 49, 64, 5000])
def test_tiles_cover_a_picture_of_any_shape_and_are_no_larger_than_the_chunk(shape, chunk):
    height, width = shape
    rows, columns = inr_render._tile(height, width, chunk)
    assert 1 <= rows <= height and 1 <= columns <= width and rows * columns <= chunk
    down, across = -(-height // rows), -(-width // columns)
    # what is computed beyond the edges is less than one row or column for each tile
    assert down * rows - height < down and across * columns - width < across
    assert down * across * rows * columns <= 2.1 * max(chunk, height * width)


@pytest.mark.parametrize("uniform", [True, False])
@pytest.mark.parametrize("window", [(11, 3, 12, 4), (4, 7, 29, 20)])
def test_a_window_is_a_crop_of_the_whole(params, uniform, window):
    alpha = 0.7 if uniform else maps((5, 9))
    left, top, right, bottom = window
    expected = render_image(params, SIZE, alpha)[top:bottom, left:right]
    np.testing.assert_allclose(render_image(params, SIZE, alpha, window=window), expected, atol=1e-6)
    np.testing.assert_allclose(render_image(params, SIZE, alpha, window=window, chunk=20), expected, atol=1e-6)


def test_a_window_of_a_large_picture_is_its_points(params):
    window = (12_345, 19_990, 12_349, 19_993)
    found = render_image(params, (20_000, 20_000), 0.7, window=window)
    x, y = coords.axis(20_000, start=12_345, stop=12_349), coords.axis(20_000, start=19_990, stop=19_993)
    expected = render(params, np.stack(np.meshgrid(x, y), -1), 0.7)
    assert found.shape == (3, 4, 3)
    np.testing.assert_allclose(found, expected, atol=1e-6)


@pytest.mark.parametrize("uniform", [True, False])
def test_a_region_is_a_window_where_their_edges_are_the_same(params, uniform):
    """The right third of the upper half, at the scale of the picture, and three times as large."""
    alpha, region = 0.7 if uniform else maps((4, 5)), (1 / 3, -1, 1, 0)
    crop = render_image(params, SIZE, alpha)[:10, 20:]
    np.testing.assert_allclose(render_image(params, (10, 10), alpha, region=region), crop, atol=1e-5)
    large = render_image(params, (30, 30), alpha, region=region)
    expected = render_image(params, (90, 60), alpha, window=(60, 0, 90, 30))
    np.testing.assert_allclose(large, expected, atol=1e-5)
    np.testing.assert_allclose(large[1::3, 1::3], crop, atol=1e-5)  # of nine pixels the middle one is the old one
    part = render_image(params, (30, 30), alpha, region=region, window=(3, 5, 11, 30))
    np.testing.assert_allclose(part, large[5:30, 3:11], atol=1e-6)


def test_a_map_of_the_pictures_size_is_taken_as_it_is(params):
    alpha = maps((20, 30))
    found = render_image(params, SIZE, alpha)
    np.testing.assert_allclose(found, render(params, coords.grid(*SIZE), alpha), atol=1e-6)
    np.testing.assert_allclose(render_image(params, SIZE, jnp.asarray(alpha, jnp.bfloat16)), found, atol=1e-2)


@pytest.mark.parametrize("shape", [(1, 30), (40, 90)])
def test_a_map_of_another_size_is_interpolated_at_the_pixels(params, shape):
    alpha = maps(shape)
    expected = coords.resample(alpha, coords.axis(30), coords.axis(20))
    found = render_image(params, SIZE, alpha)
    np.testing.assert_allclose(found, render(params, coords.grid(*SIZE), expected), atol=1e-6)


def test_a_constant_map_is_the_number(params, whole):
    for shape in ((1,), (1, 1), (20, 30), (3, 3)):
        np.testing.assert_allclose(render_image(params, SIZE, np.full(shape, 0.7)), whole, atol=1e-6)


@pytest.mark.parametrize("chunk", [None, 49])
def test_one_pixel_of_the_map_changes_one_pixel_exactly(params, chunk):
    alpha = maps((20, 30))
    changed = alpha.copy()
    changed[13, 8] = 1 - changed[13, 8]
    for make in (
        lambda a: render_image(params, SIZE, a, chunk=chunk),
        lambda a: render(params, coords.grid(*SIZE), a, chunk=chunk),
    ):
        different = (np.asarray(make(alpha)) != np.asarray(make(changed))).any(-1)
        assert different[13, 8] and different.sum() == 1


# ---- smaller pictures --------------------------------------------------------------------------------------


def mean_of_points(params, size, alpha, points, region=coords.WHOLE):
    """The slow way: all points of all pixels, from `render`, and their means."""
    (width, height), (across, down) = size, points
    at = coords.grid(width * across, height * down, region)
    degree = np.repeat(np.repeat(np.broadcast_to(alpha, (height, width)), down, 0), across, 1)
    return np.asarray(render(params, at, degree)).reshape(height, down, width, across, 3).mean((1, 3))


@pytest.mark.parametrize(
    ("size", "points"), [((15, 10), (2, 2)), ((29, 19), (2, 2)), ((7, 20), (5, 1)), ((1, 1), (30, 20))], ids=str
)
@pytest.mark.parametrize("uniform", [True, False])
def test_pixels_larger_than_the_fits_are_means_of_points_as_dense_as_its_pixels(params, size, points, uniform):
    alpha = 0.7 if uniform else maps(size[::-1])
    assert inr_picture.points_in(params, *size) == points
    wanted = mean_of_points(params, size, alpha, points)
    np.testing.assert_allclose(render_image(params, size, alpha), wanted, atol=1e-6)
    np.testing.assert_allclose(render_image(params, size, alpha, chunk=7), wanted, atol=1e-6)


def test_half_and_third_of_the_size_are_means_of_the_fits_pixels(params, whole):
    for by in (2, 5):
        means = whole.reshape(20 // by, by, 30 // by, by, 3).mean((1, 3))
        np.testing.assert_allclose(render_image(params, (30 // by, 20 // by), 0.7), means, atol=1e-6)


def test_nothing_is_averaged_from_the_fits_size_on(params):
    for size in (SIZE, (31, 21), (300, 200)):
        x, y = (jnp.asarray(coords.axis(n), jnp.float32) for n in size)
        plain = inr_render.render_grid(inr_picture.sizeless(params), x, y, jnp.float32(0.7), chunk=4096)
        np.testing.assert_array_equal(render_image(params, size, 0.7, chunk=4096), plain)
    region = (-0.5, -0.5, 0.5, 0.5)  # 15 x 10 pixels of the fit
    assert inr_picture.points_in(params, 15, 10, region) == (1, 1)
    assert inr_picture.points_in(params, 14, 10, region) == (2, 1)


@pytest.mark.parametrize("window", [(0, 0, 3, 2), (4, 1, 9, 7), (8, 6, 11, 7)])
def test_a_window_of_a_smaller_picture_is_a_crop_of_it(params, window):
    left, top, right, bottom = window
    for alpha in (0.7, maps((7, 11))):
        expected = render_image(params, (11, 7), alpha)[top:bottom, left:right]
        np.testing.assert_allclose(render_image(params, (11, 7), alpha, window=window), expected, atol=1e-6)


def test_a_region_of_a_smaller_picture_is_the_mean_of_its_points(params):
    region = (-0.5, -1.0, 0.75, 0.25)
    wanted = mean_of_points(params, (5, 4), 0.3, (4, 4), region)
    np.testing.assert_allclose(render_image(params, (5, 4), 0.3, region=region), wanted, atol=1e-6)


def test_sizes(params):
    assert render_image(params).shape == (20, 30, 3)  # that of the picture fitted to
    assert render_image(params, 10).shape == (10, 15, 3)  # the short side
    assert render_image(params, 3).shape == (3, 5, 3)  # 4.5: halves upwards
    assert render_image(dataclasses.replace(params, size=(20, 30)), np.int64(7)).shape == (11, 7, 3)
    assert render_image(params, [5, 40]).shape == (40, 5, 3)
    assert render_image(params, (1, 1)).shape == (1, 1, 3)


@pytest.mark.parametrize("uniform", [True, False])
@pytest.mark.parametrize("chunk", [None, pytest.param(70, marks=pytest.mark.slow)])
def test_devices_share_the_chunks(params, uniform, chunk):
    devices = jax.devices()
    assert len(devices) == 4
    alpha = 0.7 if uniform else maps((20, 30))
    expected = render_image(params, SIZE, alpha)
    found = render_image(params, SIZE, alpha, devices=devices, chunk=chunk)
    np.testing.assert_allclose(found, expected, atol=1e-6)
    assert found.sharding.device_set == set(devices)
    for few in (devices, devices[:1]):  # smaller than what was fitted to, a pixel is the mean of several points
        small = render_image(params, 8, devices=few, chunk=chunk)
        np.testing.assert_allclose(small, render_image(params, 8), atol=1e-6)


# ---- cost --------------------------------------------------------------------------------------------------


def test_nothing_is_compiled_anew_for_another_alpha_or_picture(params):
    at = coords.grid(4, 3)
    render(params, at, 0.1)
    render_image(params, (60, 40), 0.1, window=(0, 0, 4, 3))
    render_image(params, (4, 3), 0.1)
    counts = inr_render._render_points._cache_size(), inr_render.render_grid._cache_size()
    other = init(jax.random.key(5), SMALL, size=(77, 50))
    for alpha in (0, 1, 0.25, np.float64(0.5), np.array(0.75), jnp.float32(1)):
        render(other, at, alpha)
        render_image(params, (4, 3), alpha)
        render_image(dataclasses.replace(other, size=SIZE), (4, 3), alpha)  # as many points in a pixel
        render_image(other, (4, 3), alpha, region=(-0.05, 0, 0.05, 0.1))
        render_image(other, (4000, 3000), alpha, window=(100, 200, 104, 203))
    assert (inr_render._render_points._cache_size(), inr_render.render_grid._cache_size()) == counts


def temporary_bytes(function, *arguments, **options):
    return function.lower(*arguments, **options).compile().memory_analysis().temp_size_in_bytes


@pytest.mark.parametrize("uniform", [True, False])
def test_memory_is_that_of_a_chunk(uniform):
    """The points may keep coordinates and colours twice, but not what is between, 64 bytes a layer here."""
    params = jax.eval_shape(lambda: init(jax.random.key(0), SMALL))
    options = {"chunk": 256, "dtype": jnp.float32}

    def floats(*shape):
        return jax.ShapeDtypeStruct(shape, jnp.float32)

    def of_points(n):
        alpha = floats() if uniform else floats(n)
        return temporary_bytes(inr_render._render_points, params, floats(n, 2), alpha, **options)

    def of_grid(n):
        alpha = floats() if uniform else floats(16, n // 16)
        return temporary_bytes(inr_render.render_grid, params, floats(n // 16), floats(16), alpha, **options)

    many = 256 * 64
    assert of_points(many) <= of_points(512) + 2 * 24 * many
    assert of_grid(many) <= of_grid(512) + 2 * 24 * many
    assert of_points(512) <= 256 * 16 * 4 * 8  # a few layers' values of one chunk


# ---- errors ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((np.zeros((4, 3)),), r"coords: expected \(\.\.\., 2\), x and y in the last axis, got shape \(4, 3\)"),
        ((0.5,), r"coords: expected \(\.\.\., 2\), x and y in the last axis, got shape \(\)"),
        ((np.zeros((4, 2), complex),), r"coords: expected numbers \(\.\.\., 2\), got complex128"),
        ((np.array([["a", "b"]]),), r"coords: expected numbers \(\.\.\., 2\), got <U1"),
        (([[1, 2], [3]],), r"coords: expected an array \(\.\.\., 2\), got rows of different lengths"),
        ((np.array([[0, np.nan]]),), "coords: expected finite numbers, found NaN or infinity"),
        ((np.zeros((4, 2)), np.zeros(3)), r"alpha: expected .* broadcasts to \(4,\), got shape \(3,\)"),
        ((np.zeros((4, 2)), np.zeros((2, 4))), r"alpha: expected .* broadcasts to \(4,\), got shape \(2, 4\)"),
        ((np.zeros((4, 2)), 1.5), r"alpha: expected values in \[0, 1\], found 1\.5 \.\. 1\.5"),
        ((np.zeros((4, 2)), -0.1), r"alpha: expected values in \[0, 1\]"),
        ((np.zeros((4, 2)), np.nan), r"alpha: expected values in \[0, 1\]"),
        ((np.zeros((4, 2)), "1"), "alpha: expected numbers"),
        ((np.zeros((2, 2)), [[0, 1], [0]]), "alpha: expected a number or an array, got rows of different lengths"),
    ],
)
def test_bad_points_are_refused_by_name(params, arguments, message):
    with pytest.raises(ValueError, match=f"^{message}"):
        render(params, *arguments)


@pytest.mark.parametrize("make", [lambda params: render(params, (0.0, 0.0)), render_image])
def test_parameters_of_another_kind_are_refused_by_name(params, make):
    with pytest.raises(
        ValueError, match=r"^params: expected a fitted picture, as jaxstyle\.load_picture reads it, got str$"
    ):
        make("inr.safetensors")
    several = jax.tree.map(lambda leaf: np.stack([leaf, leaf]), params)
    with pytest.raises(
        ValueError, match=r"^params: expected the parameters of one picture, .* shape \(2, 4\); jax\.vmap"
    ):
        make(several)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"size": (30,)}, r"size: expected \(width, height\) or the short side in pixels, at least 1, got \(30,\)"),
        ({"size": (30, 0)}, r"size: expected \(width, height\) .* got \(30, 0\)"),
        ({"size": 2.5}, r"size: expected \(width, height\) .* got 2\.5"),
        ({"size": "big"}, r"size: expected \(width, height\) .* got 'big'"),
        ({"size": True}, r"size: expected \(width, height\) .* got True"),
        ({"alpha": np.zeros(30)}, r"alpha: expected a number or a map \(h, w\), got shape \(30,\)"),
        ({"alpha": np.zeros((20, 30, 3))}, r"alpha: expected a number or a map \(h, w\), got shape \(20, 30, 3\)"),
        ({"alpha": np.zeros((0, 3))}, r"alpha: expected a number or a map \(h, w\), got shape \(0, 3\)"),
        ({"alpha": 1.2}, r"alpha: expected values in \[0, 1\], found 1\.2"),
        ({"alpha": np.full((2, 2), np.nan)}, r"alpha: expected values in \[0, 1\]"),
        ({"region": (0, 0, 1)}, r"region: expected \(left, top, right, bottom\) inside of \(-1, -1, 1, 1\)"),
        ({"region": (0, 0, 0, 1)}, r"region: .* not empty, got \(0, 0, 0, 1\)"),
        ({"region": (0, 0, 30, 20)}, r"region: .* got \(0, 0, 30, 20\)"),
        ({"region": (0, 0, np.nan, 1)}, "region: "),
        ({"region": 3}, "region: .* got 3"),
        ({"window": (0, 0, 31, 20)}, r"window: expected \(left, top, right, bottom\) in pixels, inside of 30 x 20"),
        ({"window": (5, 0, 5, 20)}, r"window: .* not empty, got \(5, 0, 5, 20\)"),
        ({"window": (0, 0, 1.5, 20)}, "window: "),
        ({"window": (0, 0, 20)}, "window: "),
        ({"chunk": 0}, "chunk: expected a number of points of at least 1, got 0"),
        ({"chunk": 1e4}, "chunk: "),
        ({"chunk": True}, "chunk: "),
    ],
    ids=str,
)
def test_a_bad_picture_is_refused_by_name(params, options, message):
    with pytest.raises(ValueError, match=f"^{message}") as error:
        render_image(params, **{"size": SIZE, **options})
    assert "\n" not in str(error.value)
