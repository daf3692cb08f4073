import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxstyle.methods import adain
from jaxstyle.painting import buckets
from jaxstyle.painting.buckets import bucket
from jaxstyle.painting.picture import default_model

RNG = np.random.default_rng(0)


def picture(height, width, seed=0):
    rng = np.random.default_rng(seed)
    coarse = np.kron(rng.random((height // 4 + 1, width // 4 + 1, 3), np.float32), np.ones((4, 4, 1), np.float32))
    return np.clip(coarse[:height, :width] + rng.normal(0, 0.05, (height, width, 3)), 0, 1).astype(np.float32)


# ---- sizes -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("size", "expected"),
    [
        ((1, 16), (16, 16)),
        ((17, 64), (32, 64)),
        ((65, 128), (96, 128)),
        ((129, 427), (192, 448)),
        ((480, 640), (512, 640)),
        ((576, 768), (576, 768)),
        ((768, 1024), (768, 1024)),
        ((1080, 1920), (1152, 1920)),
        ((3000, 4000), (3072, 4096)),
        ((4097, 8000), (4608, 8192)),
    ],
)
def test_bucket(size, expected):
    assert bucket(*size) == expected


def test_buckets_are_few_and_little_larger():
    sides = np.arange(1, 10_000)
    up = np.array([bucket(side, 1)[0] for side in sides])
    assert (up >= sides).all() and (up % adain.STRIDE == 0).all() and (np.diff(up) >= 0).all()
    assert (up[sides % 64 == 0] == sides[sides % 64 == 0])[:16].all()  # up to 1024
    large = sides >= 512
    assert (up / sides)[large].max() < 1.125 and (up / sides)[large].mean() < 1.05
    assert len(set(up[sides <= 1024])) == 20 and len(set(up[sides <= 4096])) == 36


# ---- the same as without -----------------------------------------------------------------------------------


def close(found, expected, atol=0.01 / 255):
    np.testing.assert_allclose(np.asarray(found), np.asarray(expected), atol=atol)


@pytest.mark.slow
def test_one_program_serves_the_sizes_of_a_bucket_and_changes_nothing():
    """Up to the border: pictures smaller than one position, of whole positions, and as large as the bucket."""
    model = default_model()
    style = buckets.encode_style(model, picture(13, 21, seed=1))
    close(style.moments.mean, adain.encode_style(model, picture(13, 21, seed=1)).moments.mean, 1e-4)
    close(style.moments.std, adain.encode_style(model, picture(13, 21, seed=1)).moments.std, 1e-4)
    sizes = [(17, 30), (32, 24), (32, 32), (19, 17)]
    assert {bucket(*size) for size in sizes} == {(32, 32)}
    programs = adain._stylize._cache_size()
    found = {size: buckets.stylize(model, picture(*size), style, 0.75) for size in sizes}
    assert adain._stylize._cache_size() == programs + 1
    for size in sizes[:2]:
        close(found[size], adain.stylize(model, picture(*size), style, 0.75))
    for size in sizes:
        assert found[size].shape == (*size, 3) and found[size].dtype == np.float32


@pytest.fixture
def operation_by_operation():
    """Compiles operations, which are the same for all options, instead of programs."""
    with jax.disable_jit():
        yield


@pytest.mark.slow
def test_what_lies_beyond_has_no_influence(operation_by_operation):
    model, style = default_model(), adain.encode_style(default_model(), picture(16, 16, seed=1))
    content = picture(16, 32)
    size = np.int32([16, 24])
    found = adain.stylize(model, content, style, size=size)[:, :24]
    content[:, 24:] = RNG.random((16, 8, 3))
    close(adain.stylize(model, content, style, size=size)[:, :24], found, 0)
    close(found, adain.stylize(model, content[:, :24], style))


@pytest.mark.slow
@pytest.mark.parametrize("size", [(7, 19), (16, 24)])
def test_maps_and_several_styles(operation_by_operation, size):
    model, content = default_model(), picture(*size)
    styles = [picture(17, 18, seed=seed) for seed in (1, 2)]
    together = adain.stack([adain.encode_style(model, style) for style in styles])
    alike = adain.stack([buckets.encode_style(model, style) for style in styles])
    alpha = RNG.random(size, np.float32)
    shares = RNG.dirichlet(np.ones(3), size)[..., :2].astype(np.float32)
    for degree, part in ((alpha, shares), (0.5, shares), (alpha, np.float32([0.3, 0.7]))):
        expected = adain.stylize(model, content, together, degree, shares=part)
        close(buckets.stylize(model, content, alike, degree, shares=part), expected)
    one = jax.tree.map(lambda leaf: leaf[:1], together)
    close(buckets.stylize(model, content, one, alpha), adain.stylize(model, content, one, alpha))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("fusion", "norm"), [("concat", "none"), ("adain", "instance"), ("adain", "batch"), ("concat", "instance")]
)
def test_options_of_the_method(operation_by_operation, fusion, norm):
    bare = adain.Model(default_model().encoder, {}, "vgg16", fusion, norm)
    decoder = adain.init_decoder(jax.random.key(1), bare)
    last = decoder["params"]["conv7"]
    last["kernel"], last["bias"] = 0.1 * last["kernel"], last["bias"] + 0.5
    model, content, look = bare.replace(decoder=decoder), picture(13, 30), picture(19, 42, seed=1)
    style, alike = adain.encode_style(model, look), buckets.encode_style(model, look)
    assert jax.tree.map(np.shape, style) == jax.tree.map(np.shape, alike)
    jax.tree.map(lambda a, b: close(a, b, 1e-4), style, alike)
    expected = np.asarray(adain.stylize(model, content, style, 0.5))
    assert expected.std() > 0.01
    close(buckets.stylize(model, content, alike, 0.5), expected, 0.1 / 255)


def test_errors_are_those_of_the_method():
    with pytest.raises(ValueError, match="alpha: expected values in"):
        buckets.stylize(default_model(), picture(4, 4), adain.Style(adain.Moments(*jnp.ones((2, 1, 512)))), 1.5)
