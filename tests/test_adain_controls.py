"""Several styles at once: Eq. 15 of arXiv:1703.06868 and its spatial control."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxstyle.methods import adain
from jaxstyle.nets.stats import moments
from jaxstyle.nets.stats import with_moments as normalised
from jaxstyle.painting.picture import default_model

HEIGHT, WIDTH, K = 19, 26, 3
RNG = np.random.default_rng(0)
CONTENT = RNG.random((2, HEIGHT, WIDTH, 3), np.float32)
MODEL = adain.Model({}, {})  # of which mixing looks at the configuration alone


@pytest.fixture(scope="module")
def model():
    return default_model().model


@pytest.fixture(scope="module")
def styles(model):
    """Three encoded styles."""
    pictures = [RNG.random((24, 24, 3), np.float32) ** power for power in (0.3, 1, 3)]
    return [adain.encode_style(model, picture) for picture in pictures]


@pytest.fixture(autouse=True)
def operation_by_operation():
    """Compiles operations instead of one program for every shape of the shares; the last test is about programs."""
    with jax.disable_jit():
        yield


def close(found, expected, atol=2e-5):
    np.testing.assert_allclose(np.asarray(found), np.asarray(expected), atol=atol)


def test_mix_is_the_sum_over_the_styles():
    content = jnp.asarray(RNG.random((2, 4, 5, 6), np.float32))
    looks = [jnp.asarray(RNG.normal(size=(1, 3, 3, 6)), jnp.float32) for _ in range(K)]
    shares = RNG.dirichlet(np.ones(K + 1), (2, 4, 5))[..., :K].astype(np.float32)  # the rest is content
    expected = (1 - shares.sum(-1, keepdims=True)) * content
    for k, look in enumerate(looks):
        expected += shares[..., k : k + 1] * normalised(content, look)
    stacked, own = adain.stack([adain.Style(moments(look)) for look in looks]), moments(content)
    close(adain.mix(MODEL, content, stacked, jnp.asarray(shares), source=own), expected, 1e-5)
    part = adain.mix(MODEL, content[:, 1:3], stacked, jnp.asarray(shares[:, 1:3]), source=own)
    close(part, expected[:, 1:3], 1e-5)  # a tile, with the statistics of the whole


def test_full_style_may_leave_some_of_the_content():
    content, look = (jnp.asarray(RNG.random((1, 4, 5, 6), np.float32)) for _ in range(2))
    style, own, shares = adain.Style(moments(look)), moments(content), RNG.random((1, 4, 5, 1), np.float32)
    found = adain.mix(MODEL.replace(full=0.8), content, style, jnp.asarray(shares), source=own)
    close(found, adain.mix(MODEL, content, style, jnp.asarray(0.8 * shares), source=own), 1e-5)


def test_one_share_everywhere_is_that_style_alone(model, styles):
    together = adain.stack(styles)
    for k, style in enumerate(styles):
        one = np.eye(K, dtype=np.float32)[k]
        alone = adain.stylize(model, CONTENT, style)
        close(adain.stylize(model, CONTENT, together, shares=one), alone)
        close(adain.stylize(model, CONTENT, together, shares=np.broadcast_to(one, (HEIGHT, WIDTH, K))), alone)


def test_constant_shares_are_weights_and_alpha_multiplies_them(model, styles):
    weights = np.float32([0.5, 0.3, 0.2])
    together = adain.stack(styles)
    plain = adain.stylize(model, CONTENT, together, shares=weights)
    everywhere = np.broadcast_to(weights, (HEIGHT, WIDTH, K))
    close(adain.stylize(model, CONTENT, together, shares=everywhere), plain)
    close(adain.stylize(model, CONTENT, together, shares=weights[None]), plain)
    close(adain.stylize(model, CONTENT, together, shares=everywhere[None]), plain)
    half = adain.stylize(model, CONTENT, together, 0.5, shares=weights)
    close(adain.stylize(model, CONTENT, together, shares=weights / 2), half)
    close(adain.stylize(model, CONTENT, together, np.full((HEIGHT, WIDTH), 0.5, np.float32), shares=weights), half)
    assert np.abs(np.asarray(half) - plain).max() > 0.01


def test_equal_styles_are_one_style(model, styles):
    same = adain.stack([styles[0]] * K)
    close(
        adain.stylize(model, CONTENT, same, 0.7, shares=np.float32([0.2, 0.5, 0.3])),
        adain.stylize(model, CONTENT, styles[0], 0.7),
    )


def test_no_share_is_the_content(model, styles):
    nothing = adain.stylize(model, CONTENT, adain.stack(styles), shares=np.zeros(K, np.float32))
    close(nothing, adain.stylize(model, CONTENT, styles[0], 0.0))


def test_a_batch_has_shares_of_its_own(model, styles):
    together, shares = adain.stack(styles[:2]), np.float32([[1, 0], [0, 1]])
    found = adain.stylize(model, CONTENT, together, shares=shares)
    close(found[0], adain.stylize(model, CONTENT, styles[0])[0])
    close(found[1], adain.stylize(model, CONTENT, styles[1])[1])
    maps = np.broadcast_to(shares[:, None, None], (2, HEIGHT, WIDTH, 2))
    close(adain.stylize(model, CONTENT, together, shares=maps), found)
    close(adain.stylize(model, CONTENT, together, np.float32([1, 0.5]), shares=shares)[0], found[0])


def test_far_from_a_masks_border_each_style_is_as_it_is_alone(model, styles):
    """Beyond the decoder's reach, 4 positions of 8 pixels, from the position that the border goes through."""
    content = RNG.random((16, 160, 3), np.float32)
    left = np.zeros((16, 160), np.float32)
    left[:, :84] = 1
    together = adain.stylize(model, content, adain.stack(styles[::2]), shares=np.stack([left, 1 - left], -1))
    first, second = (adain.stylize(model, content, style) for style in styles[::2])
    close(together[:, :48], first[:, :48])
    close(together[:, 120:], second[:, 120:])
    assert np.abs(np.asarray(first) - second)[:, 48:120].mean() > 0.05  # they do differ


@pytest.mark.parametrize(
    ("shares", "message"),
    [
        (np.ones(4), r"shares: expected \(3,\), \(2, 3\), \(19, 26, 3\) or .*, got shape \(4,\)"),
        (np.ones((26, 19, 3)), "shares: expected"),
        (np.float32([0.5, 0.5, 0.5]), "shares: expected sums of at most 1 at every place, found 1.5"),
        (np.float32([0.5, -0.5, 0.5]), r"shares: expected values in \[0, 1\]"),
        (np.float32([np.nan, 0, 0]), r"shares: expected values in \[0, 1\]"),
    ],
)
def test_wrong_shares_are_named(model, styles, shares, message):
    with pytest.raises(ValueError, match=message):
        adain.stylize(model, CONTENT, adain.stack(styles), shares=shares)


def test_concatenation_cannot_mix(model, styles):
    with pytest.raises(ValueError, match="shares: a model with fusion='concat' cannot mix styles"):
        adain.stylize(model.replace(fusion="concat"), CONTENT, adain.stack(styles), shares=np.ones(K) / K)


def test_nothing_to_stack(styles):
    with pytest.raises(ValueError, match="styles: expected at least one"):
        adain.stack([])
    with_features = [adain.Style(styles[0].moments, jnp.zeros((1, n, n, 512))) for n in (2, 3)]
    with pytest.raises(ValueError, match="of one size"):
        adain.stack(with_features)
    assert adain.stack(with_features[:1] * 2).features.shape == (2, 2, 2, 512)


def test_gradients_reach_the_shares():
    content, look = jnp.asarray(RNG.random((2, 4, 5, 6), np.float32)), jnp.asarray(RNG.random((K, 3, 3, 6), np.float32))
    shares = jnp.full((2, 4, 5, K), 1 / K)
    own, style = moments(content), adain.Style(moments(look))
    gradient = jax.grad(lambda w: jnp.square(adain.mix(MODEL, content, style, w, source=own)).sum())(shares)
    assert np.isfinite(gradient).all() and np.abs(gradient).min() > 0


def test_jit_equals_no_jit(model, styles):
    together, shares = adain.stack(styles), np.float32([0.5, 0.2, 0.1])
    step_by_step = adain.stylize(model, CONTENT, together, shares=shares)
    with jax.disable_jit(False):
        program = jax.jit(lambda shares: adain.stylize(model, CONTENT, together, shares=shares))
        close(program(shares), step_by_step, 1e-4)
