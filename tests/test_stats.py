import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxstyle.nets.stats import EPS, Moments, gram, moments, standardise, with_moments


def features(shape, seed=0, mean=0.0, std=1.0):
    rng = np.random.default_rng(seed)
    n, *_, c = shape
    spread = std * rng.uniform(0.5, 2, (n, 1, 1, c))
    return (mean + rng.normal(size=(n, 1, 1, c)) + spread * rng.normal(size=shape)).astype(np.float32)


@pytest.mark.parametrize("mean", [0.0, 1000.0])
def test_moments_equal_numpy_in_float64(mean):
    f = features((2, 9, 7, 5), mean=mean)
    found = moments(f)
    exact = f.astype(np.float64)
    np.testing.assert_allclose(found.mean, exact.mean((1, 2)), rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(found.std, np.sqrt(exact.var((1, 2)) + EPS), rtol=1e-4)
    assert found.mean.shape == found.std.shape == (2, 5)


def test_moments_by_hand():
    f = jnp.array([1.0, 3.0]).reshape(1, 1, 2, 1)
    found = moments(f, eps=3.0)  # variance 1, divided by the number of positions
    assert (float(found.mean[0, 0]), float(found.std[0, 0])) == (2.0, 2.0)


@pytest.mark.parametrize("size", [(9, 7), (4, 7), (1, 1), (8, 3)])
def test_moments_of_a_part(size):
    f = features((2, 9, 7, 5), mean=100.0)
    found, expected = moments(f, size=np.int32(size)), moments(f[:, : size[0], : size[1]])
    np.testing.assert_allclose(found.mean, expected.mean, rtol=1e-6)
    np.testing.assert_allclose(found.std, expected.std, rtol=1e-4)
    style = features((2, 3, 3, 5), seed=1)
    part = with_moments(f, style, source=found)[:, : size[0], : size[1]]
    np.testing.assert_allclose(part, with_moments(f[:, : size[0], : size[1]], style), rtol=1e-3, atol=1e-3)


def test_bfloat16_features_have_float32_statistics():
    f = jnp.asarray(features((1, 64, 64, 4), mean=3.0)).astype(jnp.bfloat16)
    found = moments(f)
    assert {a.dtype.name for a in (*found, gram(f))} == {"float32"}
    exact = np.asarray(f, np.float64)
    np.testing.assert_allclose(found.mean, exact.mean((1, 2)), rtol=1e-5)
    np.testing.assert_allclose(found.std, exact.std((1, 2)), rtol=1e-4)


@pytest.mark.parametrize("size", [(8, 8), (5, 13)])
def test_adain_gives_the_content_the_statistics_of_the_style(size):
    content, style = features((3, 8, 8, 6), mean=2.0), features((3, *size, 6), seed=1, mean=-1.0, std=4.0)
    found, target = moments(with_moments(content, style)), moments(style)
    np.testing.assert_allclose(found.mean, target.mean, rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(found.std, target.std, rtol=1e-4)


def test_adain_of_features_with_themselves_changes_nothing():
    f = features((2, 7, 5, 6), mean=3.0)
    np.testing.assert_allclose(with_moments(f, f), f, rtol=1e-6, atol=1e-6)


def test_adain_is_affine_per_channel():
    content, style = features((1, 6, 6, 3)), features((1, 4, 4, 3), seed=1)
    found = np.asarray(with_moments(content, style))
    for c in range(3):
        assert np.corrcoef(content[..., c].ravel(), found[..., c].ravel())[0, 1] == pytest.approx(1)


def test_adain_takes_moments_and_one_style_for_a_batch():
    content, style = features((3, 6, 5, 4)), features((1, 9, 9, 4), seed=1)
    expected = np.concatenate([with_moments(c[None], style) for c in content])
    np.testing.assert_allclose(with_moments(content, style), expected, atol=1e-6)
    np.testing.assert_array_equal(with_moments(content, moments(style)), with_moments(content, style))
    pair = jax.tree.map(lambda a: jnp.concatenate([a, a, a]), moments(style))
    assert isinstance(pair, Moments)
    np.testing.assert_allclose(with_moments(content, pair), expected, atol=1e-6)


def test_adain_keeps_the_type_of_the_content():
    content, style = features((1, 6, 5, 4)), features((1, 9, 9, 4), seed=1)
    found = with_moments(jnp.asarray(content, jnp.bfloat16), style)
    assert found.dtype == jnp.bfloat16
    np.testing.assert_allclose(np.float32(found), with_moments(content, style), atol=0.1)


def test_flat_features_have_finite_values_and_gradients():
    flat, style = jnp.full((1, 4, 4, 3), 2.0), features((1, 4, 4, 3))
    target = np.broadcast_to(moments(style).mean[:, None, None], flat.shape)
    np.testing.assert_allclose(with_moments(flat, style), target, atol=1e-3)
    for function in (
        lambda f: jnp.square(with_moments(f, style)).sum(),
        lambda f: jnp.square(with_moments(style, f)).sum(),
        lambda f: moments(f).std.sum(),
        lambda f: gram(f).sum(),
    ):
        assert np.isfinite(jax.grad(function)(flat)).all()


def test_standardised_channels_have_mean_0_and_deviation_1():
    f = features((2, 9, 7, 5), mean=3.0, std=4.0)
    found = standardise(f, eps=0.0)
    np.testing.assert_allclose(found.mean((1, 2)), 0, atol=1e-5)
    np.testing.assert_allclose(found.std((1, 2)), 1, rtol=1e-5)
    np.testing.assert_allclose(standardise(5 * f + 2, eps=0.0), found, atol=1e-4)  # blind to AdaIN
    np.testing.assert_array_equal(standardise(np.full((1, 4, 4, 2), 0.5, np.float32)), 0)


def test_gram_of_ones():
    """Every entry is H * W / (C * H * W)."""
    np.testing.assert_allclose(gram(jnp.ones((2, 5, 3, 4))), np.full((2, 4, 4), 1 / 4))


def test_gram_equals_a_sum_over_positions():
    f = features((2, 5, 3, 4))
    flat = f.reshape(2, 15, 4).astype(np.float64)
    expected = np.stack([sum(np.outer(v, v) for v in image) / (15 * 4) for image in flat])
    np.testing.assert_allclose(gram(f), expected, rtol=1e-5, atol=1e-6)


def test_gram_does_not_see_where_things_are():
    f = features((1, 6, 6, 4))
    mixed = np.random.default_rng(0).permutation(f.reshape(1, 36, 4), axis=1).reshape(f.shape)
    np.testing.assert_allclose(gram(mixed), gram(f), rtol=1e-5, atol=1e-6)
