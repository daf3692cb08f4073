import functools

import numpy as np
import pytest

from jaxstyle.metrics import distributions, metrics
from jaxstyle.metrics.metrics import MetricsError


@functools.cache
def networks():
    return metrics.load_networks()


def pictures(*shape, seed=0):
    """Blocks of random colours with some noise."""
    rng = np.random.default_rng(seed)
    coarse = rng.random((*shape[:-3], shape[-3] // 4 + 1, shape[-2] // 4 + 1, 3))
    fine = np.repeat(np.repeat(coarse, 4, -3), 4, -2)[..., : shape[-3], : shape[-2], :]
    return np.clip(fine + rng.normal(0, 0.05, shape), 0, 1).astype(np.float32)


def taps(image, *names):
    found = metrics.features(networks().plain, image[None], names)
    return [np.float64(found[name][0]).reshape(-1, found[name].shape[-1]) for name in names]


# ---- CFSD --------------------------------------------------------------------------------------------------


def reference_cfsd(output, content):
    """The definition, position by position, in float64."""
    (f,), (g,) = (taps(image, "relu3_1") for image in (output, content))
    total = 0.0
    for x, y in zip(f / f.shape[1], g / g.shape[1], strict=True):
        q, p = (np.exp(z - z.max()) for z in (f @ x / f.shape[1], g @ y / g.shape[1]))
        p, q = p / p.sum(), q / q.sum()
        total += (p * np.log(p / q)).sum()
    return total * 128**2 / len(f)


def test_cfsd_is_its_definition(monkeypatch):
    monkeypatch.setattr(distributions, "_ROWS", 10)  # of 48 positions: several blocks and a rest
    output, content = pictures(2, 24, 32, 3), pictures(24, 32, 3, seed=1)
    found = distributions.cfsd(networks(), output, content)
    np.testing.assert_allclose(found, [reference_cfsd(image, content) for image in output], rtol=1e-4)
    assert found.min() > 0.01 and distributions.cfsd(networks(), content, content) == 0


def test_cfsd_sees_places_not_colours():
    """Turned upside down a picture is alike in other places; a little darker it is alike in the same."""
    content = pictures(32, 32, 3)
    content[:16] = 0.5
    darker, turned = (float(distributions.cfsd(networks(), x, content)) for x in (content * 0.9, content[::-1]))
    assert 0 < darker < turned / 3


# ---- REMD --------------------------------------------------------------------------------------------------


def reference_remd(output, style):
    found = []
    for f, g in zip(*(taps(image, *distributions.REMD_TAPS) for image in (output, style)), strict=True):
        cost = 1 - (f / np.linalg.norm(f, axis=1)[:, None]) @ (g / np.linalg.norm(g, axis=1)[:, None]).T
        found.append(max(cost.min(0).mean(), cost.min(1).mean()))
    return np.mean(found)


def test_remd_is_its_definition():
    output, style = pictures(24, 32, 3), pictures(2, 32, 40, 3, seed=1)
    found = distributions.remd(networks(), output, style)
    np.testing.assert_allclose(found, [reference_remd(output, image) for image in style], atol=1e-5)
    assert distributions.remd(networks(), output, output) == pytest.approx(0, abs=1e-5)
    assert found.min() > 0.05


# ---- colours -----------------------------------------------------------------------------------------------


def reference_histogram(image):
    """Eq. 1-3 of arXiv:2011.11731, pixel by pixel."""
    centres, found = np.linspace(-3, 3, 64), np.zeros((3, 64, 64))
    for pixel in np.float64(image).reshape(-1, 3):
        logs, light = np.log(pixel + 1e-6), np.sqrt((pixel**2).sum()) + 1e-6
        for i, (j, k) in enumerate([(1, 2), (0, 2), (0, 1)]):
            u, v = (1 / (1 + ((logs[i] - logs[n] - centres) / 0.02) ** 2) for n in (j, k))
            found[i] += light * np.outer(u, v)
    return found / found.sum()


def test_histogram_distance_is_its_definition():
    a, b = pictures(9, 12, 3), pictures(8, 7, 3, seed=1)
    roots = [np.sqrt(reference_histogram(image)) for image in (a, b)]
    expected = np.sqrt(((roots[0] - roots[1]) ** 2).sum() / 2)
    assert distributions.histogram_distance(a, b) == pytest.approx(expected, abs=1e-4)
    assert distributions.histogram_distance(a, a) == 0


def test_histogram_distance_of_extremes():
    red, blue, grey, black = (np.full((8, 8, 3), c, np.float32) for c in ([1, 0.1, 0.1], [0.1, 0.1, 1], 0.5, 0))
    assert distributions.histogram_distance(red, blue) > 0.9
    assert distributions.histogram_distance(grey, grey * 0.5) < 0.02  # ratios of colours, not brightness
    assert np.isfinite(distributions.histogram_distance(black, red))
    shuffled = np.random.default_rng(0).permutation(pictures(16, 16, 3).reshape(-1, 3)).reshape(8, 32, 3)
    assert distributions.histogram_distance(shuffled, pictures(16, 16, 3)) < 1e-3  # where they are does not count


def test_large_pictures_are_looked_at_in_places(monkeypatch):
    monkeypatch.setattr(distributions, "PIXELS", 64)
    image = pictures(32, 32, 3)
    few = image.reshape(-1, 3)[np.arange(64) * 1024 // 64].reshape(8, 8, 3)
    assert distributions.histogram_distance(image, few) == 0


# ---- batches and mistakes ----------------------------------------------------------------------------------


def test_a_result_for_each_picture():
    one, many = pictures(16, 16, 3), pictures(3, 16, 16, 3, seed=2)
    for distance in (distributions.cfsd, distributions.remd):
        distance = functools.partial(distance, networks())
        found = distance(many, one)
        assert found.shape == (3,) and distance(one, one).shape == () and distance(one, many).shape == (3,)
        np.testing.assert_allclose(found[1], distance(many[1], one), rtol=1e-3)
    assert distributions.histogram_distance(many, one).shape == (3,)


def test_mistakes_are_named():
    one = pictures(16, 16, 3)
    with pytest.raises(MetricsError, match=r"^content: 20 x 16 pixels; expected 16 x 16, the size of output$"):
        distributions.cfsd(networks(), one, pictures(16, 20, 3))
    with pytest.raises(MetricsError, match=r"^style: 9 x 16 pixels; expected at least 16 x 16$"):
        distributions.remd(networks(), one, pictures(16, 9, 3))
    with pytest.raises(MetricsError, match=r"^style: 2 pictures; expected 1 or, as of another argument, 3$"):
        distributions.histogram_distance(pictures(3, 8, 8, 3), pictures(2, 8, 8, 3))
