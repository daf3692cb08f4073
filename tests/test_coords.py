import jax.numpy as jnp
import numpy as np
import pytest

from jaxstyle.nets import coords


def test_pixels_are_at_their_centres():
    np.testing.assert_array_equal(coords.axis(4), [-0.75, -0.25, 0.25, 0.75])
    np.testing.assert_array_equal(coords.axis(1), [0])
    np.testing.assert_allclose(coords.axis(9)[1::3], coords.axis(3), atol=1e-15)  # the middle one of three is the one
    np.testing.assert_allclose(np.diff(coords.axis(20_000)), 2 / 20_000, rtol=1e-9)


@pytest.mark.parametrize("edges", [(-1.0, 1.0), (-0.3, 0.7)])
def test_a_window_has_the_coordinates_of_the_whole_bit_for_bit(edges):
    whole = coords.axis(20_000, *edges)
    np.testing.assert_array_equal(coords.axis(20_000, *edges, 12_345, 12_857), whole[12_345:12_857])


def test_a_part_of_the_axis_divided_is_the_axis_divided():
    """Half of the picture in n pixels is half of the picture in 2 n."""
    np.testing.assert_allclose(coords.axis(50, 0.0, 1.0), coords.axis(100)[50:], atol=1e-15)


def test_a_grid_has_x_to_the_right_and_y_down():
    grid = coords.grid(3, 2)
    assert grid.shape == (2, 3, 2) and grid.dtype == np.float32
    np.testing.assert_allclose(grid[0], [[-2 / 3, -0.5], [0, -0.5], [2 / 3, -0.5]], atol=1e-7)
    np.testing.assert_allclose(grid[1, 0], [-2 / 3, 0.5], atol=1e-7)
    np.testing.assert_allclose(coords.grid(2, 2, (0, -1, 1, 0))[0, 1], [0.75, -0.75], atol=1e-7)


def test_the_encoding_by_hand():
    found = coords.encode(jnp.array([0.5, -0.25]), octaves=2, omega=np.pi)
    phases = np.pi * np.array([0.5, 1.0, -0.25, -0.5])  # of x, of y
    np.testing.assert_allclose(found, [*np.sin(phases), *np.cos(phases), 0.5, -0.25], atol=1e-6)


@pytest.mark.parametrize(("octaves", "omega"), [(6, 1.0), (8, np.pi), (1, 2.0), (0, 1.0)])
def test_the_encoding_equals_its_formula(octaves, omega):
    points = np.random.default_rng(0).uniform(-1, 1, (5, 4, 2)).astype(np.float32)
    wanted = [np.sin(omega * 2**k * points[..., i]) for i in (0, 1) for k in range(octaves)]
    wanted += [np.cos(omega * 2**k * points[..., i]) for i in (0, 1) for k in range(octaves)]
    wanted = np.stack([*wanted, points[..., 0], points[..., 1]], axis=-1)
    found = coords.encode(jnp.asarray(points), octaves, omega)
    assert found.shape == (5, 4, coords.encoding_size(octaves)) == wanted.shape
    np.testing.assert_allclose(found, wanted, atol=1e-4)  # float32 phases of up to 128 pi


@pytest.mark.parametrize("octaves", [0, 1, 6])
def test_each_coordinate_has_its_part_of_the_encoding(octaves):
    points = jnp.asarray(np.random.default_rng(0).uniform(-1, 1, (7, 2)), jnp.float32)
    both = coords.encode(points, octaves, 2.0)
    rows = coords.encoding_rows(octaves)
    for i in (0, 1):
        np.testing.assert_array_equal(coords.encode_axis(points[:, i], octaves, 2.0), both[:, rows[i]])
    assert sorted(np.concatenate(rows)) == list(range(coords.encoding_size(octaves)))


@pytest.mark.parametrize("shape", [(1, 1), (1, 9), (7, 1), (6, 5), (3, 997)])
def test_a_map_at_its_own_pixels_is_the_map_exactly(shape):
    values = np.random.default_rng(0).random(shape, np.float32)
    found = coords.resample(values, coords.axis(shape[1]), coords.axis(shape[0]))
    assert found.dtype == jnp.float32
    np.testing.assert_array_equal(found, values)
    window = coords.resample(values, coords.axis(shape[1], start=shape[1] // 2), coords.axis(shape[0]))
    np.testing.assert_array_equal(window, values[:, shape[1] // 2 :])


def test_a_large_map_at_its_own_pixels_is_the_map_exactly():
    values = np.random.default_rng(0).random((1, 20_011), np.float32)
    np.testing.assert_array_equal(coords.resample(values, coords.axis(20_011), coords.axis(1)), values)


def test_a_plane_is_interpolated_exactly_and_constant_beyond_its_centres():
    x, y = coords.axis(4), coords.axis(3)
    plane = 2 * x[None] - 3 * y[:, None]
    fine_x, fine_y = coords.axis(40), coords.axis(60)
    found = coords.resample(plane, fine_x, fine_y)
    inside_x, inside_y = (np.clip(fine, axis[0], axis[-1]) for fine, axis in ((fine_x, x), (fine_y, y)))
    np.testing.assert_allclose(found, 2 * inside_x[None] - 3 * inside_y[:, None], atol=1e-6)


@pytest.mark.parametrize("cells", [1, 2, 7])
def test_a_spline_is_scipys(cells):
    """Also as a matrix, and beyond the picture it is what it is at its edge."""
    interpolate = pytest.importorskip("scipy.interpolate")
    control = np.random.default_rng(0).normal(size=cells + 2)
    width = 2 / cells
    knots = -1 + width * np.arange(-2, cells + 3)
    at = np.linspace(-1, 1, 41)
    wanted = interpolate.BSpline(knots, control, 2)(np.clip(at, -1, 1 - 1e-12))
    first, weights = coords.spline(jnp.asarray(at, jnp.float32), cells)
    np.testing.assert_allclose(
        (weights * control[np.asarray(first)[:, None] + np.arange(3)]).sum(-1), wanted, atol=1e-5
    )
    np.testing.assert_allclose(coords.spline_matrix(jnp.asarray(at, jnp.float32), cells) @ control, wanted, atol=1e-5)
    beyond = coords.spline_matrix(jnp.asarray([-1.5, -1.0, 1.0, 9.0]), cells)
    np.testing.assert_array_equal(beyond[::3], beyond[1:3])
