import numpy as np
import pytest
import skimage.exposure

from jaxstyle.controls import colors

RNG = np.random.default_rng(0)


def painted(height, width, channels=((1, 0, 0), (0, 1, 0), (0, 0, 1))):
    """Pixels around grey whose channels hang together."""
    return (0.5 + 0.04 * RNG.normal(size=(height, width, 3)) @ np.array(channels)).astype(np.float32)


CONTENT = painted(20, 31, channels=[[1, 0.6, 0.1], [0, 0.8, 0.5], [0.2, 0, 0.3]])
STYLE = painted(24, 22, channels=[[0.7, 0, 0], [0.4, 0.5, 0], [-0.3, 0.9, 1]])


def covariance(pixels):
    return np.cov(np.float64(pixels).reshape(-1, 3).T, bias=True)


def test_match_gives_the_mean_and_covariance_of_the_content():
    found = colors.match_covariance(STYLE, CONTENT)
    assert found.shape == STYLE.shape and found.dtype == np.float32
    np.testing.assert_allclose(found.mean((0, 1)), CONTENT.mean((0, 1)), atol=1e-6)
    np.testing.assert_allclose(covariance(found), covariance(CONTENT), atol=1e-8)


def test_match_moves_the_colours_less_than_other_maps_with_the_same_covariance():
    found = colors.match_covariance(STYLE, CONTENT)
    lower_s, lower_c = (np.linalg.cholesky(covariance(pixels)) for pixels in (STYLE, CONTENT))
    centred = STYLE.reshape(-1, 3) - STYLE.mean((0, 1))
    cholesky = centred @ (lower_c @ np.linalg.inv(lower_s)).T + CONTENT.mean((0, 1))
    np.testing.assert_allclose(covariance(cholesky), covariance(CONTENT), atol=1e-8)
    assert np.square(found - STYLE).mean() < np.square(cholesky.reshape(STYLE.shape) - STYLE).mean()


def test_match_does_not_depend_on_the_order_of_the_channels():
    order = [2, 0, 1]
    turned = colors.match_covariance(STYLE[..., order], CONTENT[..., order])
    np.testing.assert_allclose(turned, colors.match_covariance(STYLE, CONTENT)[..., order], atol=1e-6)


@pytest.mark.parametrize("recolour", [colors.match_covariance, colors.match_histogram])
def test_a_picture_in_its_own_colours_stays_as_it_is(recolour):
    np.testing.assert_allclose(recolour(STYLE, STYLE), STYLE, atol=1e-6)


@pytest.mark.parametrize("recolour", [colors.match_covariance, colors.match_histogram])
@pytest.mark.parametrize("style", [np.zeros((1, 1, 3)), np.full((9, 9, 3), 0.3), np.ones((4, 5, 3))])
def test_a_flat_style_takes_the_middle_of_the_contents_colours(recolour, style):
    found = recolour(np.float32(style), CONTENT)
    middle = CONTENT.mean((0, 1)) if recolour is colors.match_covariance else np.median(CONTENT, (0, 1))
    np.testing.assert_allclose(found, np.broadcast_to(middle, style.shape), atol=2e-3)


@pytest.mark.parametrize("recolour", [colors.match_covariance, colors.match_histogram])
def test_a_flat_content_gives_its_one_colour(recolour):
    found = recolour(STYLE, np.full((3, 3, 3), (0.1, 0.5, 0.9), np.float32))
    np.testing.assert_allclose(found, np.broadcast_to((0.1, 0.5, 0.9), STYLE.shape), atol=1e-6)


def test_match_of_a_grey_style_keeps_to_a_line_of_colours_without_blowing_up_its_noise():
    grey = np.repeat(painted(24, 24)[..., :1], 3, -1) + RNG.uniform(-0.5, 0.5, (24, 24, 3)) / 255
    found = np.float64(colors.match_covariance(grey, CONTENT))
    np.testing.assert_allclose(found.mean((0, 1)), CONTENT.mean((0, 1)), atol=1e-5)
    values = np.linalg.eigvalsh(covariance(found))
    assert values[1] < 1e-3 * values[2]


@pytest.mark.parametrize("recolour", [colors.match_covariance, colors.match_histogram])
def test_strong_colours_stay_in_range(recolour):
    content, style = RNG.random((8, 9, 3)).round().astype(np.float32), RNG.random((7, 9, 3), np.float32)
    found = recolour(style, content)
    assert found.min() >= 0 and found.max() <= 1 and np.isfinite(found).all()


def test_histograms_are_equal_where_sizes_are():
    values = np.linspace(0.1, 0.8, 400, dtype=np.float32)  # no two alike: equal values would share a rank
    style, content = (np.stack([RNG.permutation(v) for v in (a, a**2, a**3)], -1) for a in (values, 1 - values))
    found = colors.match_histogram(style, content)
    for channel in range(3):
        np.testing.assert_array_equal(np.sort(found[..., channel], None), np.sort(content[..., channel], None))
        np.testing.assert_array_equal(np.argsort(found[..., channel], None), np.argsort(style[..., channel], None))


def test_histograms_agree_with_skimage():
    expected = skimage.exposure.match_histograms(STYLE, CONTENT, channel_axis=-1)
    found = colors.match_histogram(STYLE, CONTENT)
    middle = np.argsort(STYLE[..., 0], None)[10:-10]  # the ends are single pixels, far apart
    np.testing.assert_allclose(found.reshape(-1, 3)[middle, 0], expected.reshape(-1, 3)[middle, 0], atol=2e-3)
    np.testing.assert_allclose(found.mean((0, 1)), CONTENT.mean((0, 1)), atol=1e-3)


def chroma(pixels):
    """Cb and Cr from their definition."""
    r, g, b = np.moveaxis(np.float64(pixels), -1, 0)
    y = 0.299 * r + 0.587 * g + 0.114 * b
    return (b - y) / 1.772, (r - y) / 1.402


def test_luminance_keeps_cb_and_cr():
    content, result = CONTENT[:, :22], STYLE[:20]
    found = colors.keep_chroma(result, content)
    np.testing.assert_allclose(chroma(found), chroma(content), atol=1e-6)
    np.testing.assert_allclose(colors.luma(found), colors.luma(result), atol=1e-6)
    assert found.dtype == np.float32


def test_luminance_stays_in_range():
    content, result = RNG.random((2, 12, 13, 3), np.float32).round()
    found = colors.keep_chroma(result, content)
    assert found.min() >= 0 and found.max() <= 1


def test_luma_of_greys_is_the_grey():
    np.testing.assert_allclose(colors.luma(np.full((2, 3, 3), 0.25, np.float32)), 0.25, rtol=1e-6)
