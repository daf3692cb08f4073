"""AdaIN on windows of a picture: how far it sees, what it knows of the whole, and that nothing beyond counts."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxstyle.methods import adain
from jaxstyle.methods.interface import Window
from jaxstyle.nets import convolutions, vgg
from jaxstyle.painting.picture import default_model

RNG = np.random.default_rng(0)


@pytest.fixture
def row_by_row(monkeypatch):
    """Convolutions compute no rows together, in whose sums a NaN would reach those that do not depend on it."""
    monkeypatch.setattr(convolutions, "_LARGE", 10**9)


@pytest.mark.usefixtures("row_by_row")
@pytest.mark.parametrize("arch", ["vgg16", "vgg19"])
def test_encoder_margin_is_what_a_position_sees(arch):
    """NaN in one pixel reaches every feature that depends on it, and nothing else."""
    names = vgg.conv_names(arch)
    deepest = names.index("conv4_1")
    params = {n: {"kernel": np.ones(vgg.kernel_shape(n), np.float32), "bias": np.zeros(vgg.kernel_shape(n)[3:])}
              for n in names[: deepest + 1]}  # fmt: skip
    encode = jax.jit(lambda x: vgg.features(params, x, ["relu4_1"], arch=arch, padding="reflect")["relu4_1"])
    seen = set()
    for pixel in (80, 87):  # the first and the last one of position 10
        image = jnp.zeros((1, 160, 168, 3)).at[0, pixel, pixel].set(jnp.nan)
        reached = np.isnan(np.asarray(encode(image))[0]).any(-1)
        rows, columns = np.flatnonzero(reached.any(1)), np.flatnonzero(reached.any(0))
        assert reached[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1].all()
        np.testing.assert_array_equal(rows, columns)
        seen |= set(rows)
    margin, beyond = divmod(adain.needs(adain.Model({}, {}, arch)).margins[0], 8)
    assert beyond == 0
    assert seen == set(range(10 - margin, 10 + margin + 1))


@pytest.mark.usefixtures("row_by_row")
@pytest.mark.parametrize("arch", ["vgg16", "vgg19"])
def test_decoder_margin_is_what_a_position_reaches(arch, key):
    model = adain.Model({}, {}, arch)
    shapes = jax.eval_shape(adain.init_decoder, key, model)
    variables = jax.tree.map(lambda leaf: jnp.ones(leaf.shape), shapes)
    decode = jax.jit(adain.Decoder(arch).apply)
    pixels = np.asarray(decode(variables, jnp.zeros((1, 20, 21, 512)).at[0, 10, 10, 0].set(jnp.nan)))[0]
    reached = np.isnan(pixels).any(-1).reshape(20, 8, 21, 8).any((1, 3))
    margin, beyond = divmod(adain.needs(model).margins[1], 8)
    assert beyond == 0
    expected = np.zeros_like(reached)
    expected[10 - margin : 11 + margin, 10 - margin : 11 + margin] = True
    np.testing.assert_array_equal(reached, expected)


@pytest.mark.parametrize("corner", [(0, 0), (40, 16)])
def test_surveys_of_cores_are_merged_to_that_of_all_positions(corner):
    rng = np.random.default_rng(0)
    values = (100 + rng.normal(0, 0.1, (1, 30, 20, 4))).astype(np.float32)  # mean >> std
    (top, left), found = corner, None
    for first, last in ((0, 1), (1, 17), (17, 30)):
        core = np.asarray([top + 8 * first, top + 8 * last, left, left + 160])
        window = Window(np.zeros((1, 240, 160, 3)), np.asarray(corner), core, np.asarray([280, 176]), np.ones(1))
        survey = jax.device_get(adain.survey(None, jnp.asarray(values), None, window))
        assert survey.positions == (last - first) * 20
        found = survey if found is None else adain.merge(found, survey)
    exact = values.astype(np.float64)
    assert found.positions == 600 and found.mean.dtype == found.squares.dtype == np.float64
    np.testing.assert_allclose(found.mean, exact.mean((0, 1, 2)), rtol=1e-6)
    std = np.sqrt(found.squares / found.positions + 1e-5)
    np.testing.assert_allclose(std, np.sqrt(exact.var((0, 1, 2)) + 1e-5), rtol=1e-5)


def picture(height, width, seed=0):
    rng = np.random.default_rng(seed)
    coarse = np.kron(rng.random((height // 4 + 1, width // 4 + 1, 3), np.float32), np.ones((4, 4, 1), np.float32))
    return np.clip(coarse[:height, :width] + rng.normal(0, 0.05, (height, width, 3)), 0, 1).astype(np.float32)


@pytest.mark.slow
def test_what_lies_beyond_has_no_influence():
    """Not on the pixels, and not on the survey."""
    model, content = default_model().model, picture(16, 32)
    style = adain.encode_style(model, picture(16, 16, seed=1))

    def painted():
        core, extent = np.int32([0, 16, 0, 24]), np.int32([16, 24])
        window = Window(jnp.asarray(content)[None], np.int32([0, 0]), core, extent, np.ones((1, 1, 1, 1), np.float32))
        features = adain.encode_window(model, window)
        survey = adain.survey(model, features, style, window)
        return survey, np.clip(adain.paint(model, features, style, survey, window)[0, :, :24], 0, 1)

    with jax.disable_jit():  # operations, which other tests compile too, instead of programs
        survey, found = painted()
        content[:, 24:] = RNG.random((16, 8, 3))
        again, same = painted()
        np.testing.assert_array_equal(same, found)
        jax.tree.map(np.testing.assert_array_equal, again, survey)
        np.testing.assert_allclose(found, adain.stylize(model, content[:, :24], style), atol=0.01 / 255)
