"""What style kernels are trained for: AdaIN's terms where the network is AdaIN, and each term by itself."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxstyle.methods import adain, style_kernel
from jaxstyle.methods.style_kernel.loss import DEEPER, TAPS, objective
from jaxstyle.nets import discriminator
from jaxstyle.nets.losses import gram_loss, remd, style_loss
from jaxstyle.nets.stats import gram, moments

ALL = {
    "style_statistic": "gram",
    "deeper": True,
    "pixel_weight": 20.0,
    "feature_weight": 0.5,
    "identity_weight": 2.0,
    "remd_weight": 0.5,
    "aligned_remd_weight": 3.0,
    "adversarial_weight": 0.25,
}


@pytest.fixture(scope="module")
def model():
    """AdaIN's, with kernels and a gate that do nothing yet."""
    fresh = jax.jit(style_kernel.from_adain, static_argnames="config")
    return fresh(jax.random.key(0), adain.load(), config=style_kernel.lite())


@pytest.fixture(scope="module")
def deep(model):
    """The same, with an encoder that has relu5_1."""
    encoder, _ = adain.load_encoder(through="conv5_1")
    return dataclasses.replace(model, encoder=encoder)


def pictures(seed, size=32):
    return jnp.asarray(np.random.default_rng(seed).random((2, size, size, 3)), jnp.float32)


def test_the_start_has_the_terms_of_adain(model):
    """With `from_adain` the pictures, and so content, style and identity, are those of AdaIN's own loss."""
    content, identity = pictures(0, 16), jnp.array([0.0, 1.0])
    style = jnp.stack([pictures(1, 16)[0], content[1]])
    options = {"style_weight": 1.5, "identity_weight": 7.0, "relative_style": True, "relative_to": "photo"}

    @jax.jit
    def ours(model, content, style):
        return objective(None, model.params, model, content, style, identity=identity, **options)

    @jax.jit
    def theirs(source, content, style):
        term = "standardised"
        return adain.objective(source.decoder, source, content, style, identity=identity, content_term=term, **options)

    loss, (terms, made) = ours(model, content, style)
    expected, of_adain = theirs(adain.load(), content, style)
    assert float(loss) == pytest.approx(float(expected), rel=1e-3)
    assert terms.keys() == of_adain.keys() | {"gate"} and float(terms["gate"]) == 1
    for name, value in of_adain.items():
        assert float(terms[name]) == pytest.approx(float(value), rel=1e-3), name
    assert made.images.shape == content.shape


@pytest.mark.slow
def test_every_term_is_what_it_says_and_all_have_gradients(deep, key):
    content, style, identity = pictures(0), pictures(1), jnp.array([0.0, 1.0])
    style = style.at[1].set(content[1])
    adversary = discriminator.init(key)

    @jax.jit
    def found(deep, adversary):
        def loss_of(params):
            return objective(
                key, params, deep, content, style, identity=identity, discriminator=adversary, style_weight=3.0, **ALL
            )

        return jax.value_and_grad(loss_of, has_aux=True)(deep.params)

    (loss, (terms, (images, kept))), grads = found(deep, adversary)
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(grads))
    weights = {"content": 1.0, "style": 3.0, "pixels": 20.0, "features": 0.5, "identity": 2.0}
    weights |= {"remd": 0.5, "aligned_remd": 3.0, "adversarial": 0.25}
    assert terms.keys() == weights.keys() | {"gate"}
    assert kept.shape == (2, 4, 4) and float(terms["gate"]) == pytest.approx(float(kept.mean()))
    assert float(loss) == pytest.approx(sum(w * float(terms[name]) for name, w in weights.items()), rel=1e-4)

    taps = (*TAPS, DEEPER)
    encode, judge = jax.jit(style_kernel.encode, static_argnames="taps"), jax.jit(discriminator.judge)
    f_o, f_s = (encode(deep, x, taps=taps) for x in (images, style))
    grams = {tap: gram(f) for tap, f in f_s.items()}
    assert float(terms["style"]) == pytest.approx(float(gram_loss(f_o, grams)), rel=1e-3)
    o, s = (f["relu4_1"].reshape(2, -1, 512) for f in (f_o, f_s))
    assert float(terms["remd"]) == pytest.approx(float(remd(o, s)), rel=1e-3)
    apart = jnp.abs(images[1] - content[1]).mean() / 2
    assert float(terms["identity"]) == pytest.approx(float(apart), rel=1e-3)
    scores = judge(adversary, images)
    adversarial = sum(jnp.square(score[0] - 1).mean() for score in scores) / 2  # not the identity pair
    assert float(terms["adversarial"]) == pytest.approx(float(adversarial), rel=1e-3)
    stylized = jax.jit(lambda model, x: objective(None, model.params, model, x, x)[1][1].images)
    again = [stylized(deep, x) for x in (content, style)]
    pixels = sum(jnp.square(a - x).mean() for a, x in zip(again, (content, style), strict=True))
    assert float(terms["pixels"]) == pytest.approx(float(pixels), rel=1e-3)
    features = 0.0
    for a, x in zip(again, (content, style), strict=True):
        f_a, f_x = (encode(deep, images, taps=taps[1:]) for images in (a, x))
        features += sum(float(jnp.square(f_a[tap] - f_x[tap]).mean()) for tap in taps[1:])
    assert float(terms["features"]) == pytest.approx(features, rel=1e-3)


@pytest.mark.slow
def test_flat_pictures_have_finite_gradients(deep, key):
    flat = jnp.full((2, 32, 32, 3), 0.5)
    adversary = discriminator.init(key)

    def loss_of(params, deep, adversary):
        return objective(key, params, deep, flat, flat, identity=jnp.ones(2), discriminator=adversary, **ALL)

    (loss, _), grads = jax.jit(jax.value_and_grad(loss_of, has_aux=True))(deep.params, deep, adversary)
    assert np.isfinite(loss) and all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(grads))


@pytest.mark.parametrize("relative", [False, True])
def test_what_has_no_weight_is_not_computed(model, relative):
    """Neither the discriminator nor a second decoding is in the program, and relu5_1 is not asked for."""
    off = {name: 0.0 if name.endswith("_weight") else value for name, value in ALL.items()} | {"deeper": False}
    x = jax.ShapeDtypeStruct((1, 16, 16, 3), jnp.float32)
    adversary = jax.eval_shape(discriminator.init, jax.random.key(0))

    def loss_of(content, style, adversary=None, **options):
        return objective(None, model.params, model, content, style, discriminator=adversary, **options)

    def size(*args, **options):
        return len(jax.make_jaxpr(lambda *args: loss_of(*args, **options))(*args).eqns)

    options = {"relative_style": relative}
    least = size(x, x, **options)
    assert size(x, x, adversary, **(off | options | {"style_statistic": "moments"})) <= least + 4  # 0 times two terms
    _, (terms, _) = jax.eval_shape(lambda x: loss_of(x, x, **options), x)
    assert terms.keys() == {"content", "style", "gate"}


def test_mistakes(model):
    x = jnp.zeros((1, 16, 16, 3))
    with pytest.raises(
        ValueError, match=r"^style: expected the shape of content, \(1, 16, 16, 3\), got \(1, 24, 16, 3\)"
    ):
        objective(None, model.params, model, x, jnp.zeros((1, 24, 16, 3)))
    with pytest.raises(ValueError, match="style_statistic: expected 'moments' or 'gram', got 'mean'"):
        jax.eval_shape(lambda x: objective(None, model.params, model, x, x, style_statistic="mean"), x)
    with pytest.raises(TypeError, match="unexpected keyword argument 'remd'"):
        objective(None, model.params, model, x, x, remd=1.0)


def test_relative_terms_are_those_of_the_library(model):
    """The moments' form: what is compared is relu1_1 to relu4_1 of the output."""
    content, style = pictures(0, 16), pictures(1, 16)
    _, (terms, (images, _)) = jax.jit(lambda m, c, s: objective(None, m.params, m, c, s))(model, content, style)
    f_o, f_s = (jax.jit(lambda m, x: style_kernel.encode(m, x, TAPS))(model, x) for x in (images, style))
    expected = style_loss(f_o, {tap: moments(f) for tap, f in f_s.items()})
    assert float(terms["style"]) == pytest.approx(float(expected), rel=1e-3)
