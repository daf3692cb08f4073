import functools
import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxstyle.methods import adain, gatys
from jaxstyle.metrics import metrics
from jaxstyle.metrics.metrics import MetricsError
from jaxstyle.nets.stats import moments


@functools.cache
def networks():
    return metrics.load_networks()


def picture(seed, size=(32, 32)):
    rng = np.random.default_rng(seed)
    coarse = rng.random((size[0] // 4, size[1] // 4, 3))
    return (0.1 + 0.8 * np.repeat(np.repeat(coarse, 4, 0), 4, 1)).astype(np.float32)


# ---- losses ------------------------------------------------------------------------------------------------


def terms(output, content, style, loss):
    images = [jnp.asarray(x)[None] for x in (output, content, style)]
    wanted = gatys.targets(networks(), *images[1:], loss=loss)
    value, found = gatys.objective(images[0], networks(), wanted, loss=loss, style_weight=3.0)
    assert float(value) == pytest.approx(float(found["content"] + 3 * found["style"]), rel=1e-5)
    return {name: float(term) for name, term in found.items()}


@pytest.mark.slow
def test_the_adain_loss_is_the_trainers_on_what_a_decoder_made(key):
    content, style = picture(1), picture(2)
    encoder, arch = adain.load_encoder()
    model = adain.Model(encoder, {}, arch)
    model = model.replace(decoder=adain.init_decoder(key, model))

    @jax.jit
    def trained(model, content, style):
        _, terms = adain.objective(model.decoder, model, content, style)
        f_c, f_s = (adain.encode(model, x)["relu4_1"] for x in (content, style))
        return adain.decode(model, adain.fuse(model, f_c, adain.Style(moments(f_s))))[0], terms

    output, expected = trained(model, jnp.asarray(content)[None], jnp.asarray(style)[None])
    found = terms(output, content, style, "adain")
    assert found == pytest.approx({name: float(term) for name, term in expected.items()}, rel=1e-3)


def test_the_moments_loss_is_that_of_the_metrics():
    content, style, output = (picture(seed) for seed in (1, 2, 3))
    found = terms(output, content, style, "moments")
    assert found["style"] == pytest.approx(float(metrics.style_loss(networks(), output, style)), rel=1e-4)
    assert found["content"] == pytest.approx(float(metrics.content_loss(networks(), output, content)), rel=1e-4)


def test_the_gatys_loss_is_that_of_the_paper():
    """Eq. 4 and 5 with w_l = 1/5: sum((G - A)^2) / (4 N^2 M^2), N channels and M positions."""
    content, style, output = (picture(seed) for seed in (1, 2, 3))
    found = terms(output, content, style, "gatys")
    taps = (*metrics.GRAM_TAPS, "relu4_2")
    seen = [
        metrics.features(networks().plain, jnp.asarray(x)[None], taps, pool="avg") for x in (content, style, output)
    ]
    c, s, o = ({tap: np.float64(f).reshape(-1, f.shape[-1]) for tap, f in x.items()} for x in seen)
    losses = []
    for tap in metrics.GRAM_TAPS:
        m, n = o[tap].shape
        losses.append(((o[tap].T @ o[tap] - s[tap].T @ s[tap]) ** 2).sum() / (4 * n**2 * m**2))
    assert found["style"] == pytest.approx(np.mean(losses), rel=1e-3)
    assert found["content"] == pytest.approx(((o["relu4_2"] - c["relu4_2"]) ** 2).mean(), rel=1e-3)


# ---- optimisation ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("loss", "optimizer"),
    [
        ("moments", "adam"),
        ("moments", "lbfgs"),
        pytest.param("gatys", "adam", marks=pytest.mark.slow),
        pytest.param("adain", "adam", marks=pytest.mark.slow),
    ],
)
def test_the_loss_falls_from_that_of_the_photo(loss, optimizer):
    content, style = picture(1), picture(2)
    steps = 12
    found = gatys.optimise(
        networks(), content, style, steps=steps, loss=loss, optimizer=optimizer, keep=(0, 5, steps), learning_rate=0.03
    )
    values = found.curve["loss"]
    assert {name: len(curve) for name, curve in found.curve.items()} == dict.fromkeys(("loss", "content", "style"), 13)
    weight = gatys.STYLE_WEIGHTS[loss]
    np.testing.assert_allclose(values, found.curve["content"] + weight * found.curve["style"], rtol=1e-4)
    assert values[-1] < (0.5 if loss != "adain" else 0.8) * values[0]
    assert sorted(found.kept) == [0, 5, steps]
    np.testing.assert_array_equal(found.kept[0], content)
    np.testing.assert_array_equal(found.kept[steps], found.picture)
    assert found.picture.shape == content.shape and found.picture.min() >= 0 and found.picture.max() <= 1
    if optimizer == "lbfgs":
        assert (np.diff(values) <= 0).all()
    if loss != "adain":  # there the target is not the photo
        assert found.curve["content"][0] == 0 and found.curve["content"][-1] > 0
    if loss == "moments":  # after so many steps, as measured by others
        kept = float(metrics.style_loss(networks(), found.kept[5], style))
        assert found.curve["style"][5] == pytest.approx(kept, rel=1e-3 if optimizer == "adam" else 0.2)


def test_no_step_and_another_start():
    content, style, start = (picture(seed) for seed in (1, 2, 3))
    found = gatys.optimise(networks(), content, style, steps=0, loss="moments", start=start)
    np.testing.assert_array_equal(found.picture, start)
    expected = float(metrics.content_loss(networks(), start, content))
    assert found.curve["content"] == pytest.approx([expected], rel=1e-4)


@pytest.mark.parametrize("optimizer", ["adam", "lbfgs"])
def test_a_picture_that_is_its_own_style_stays(optimizer):
    content = picture(1)
    found = gatys.optimise(networks(), content, content, steps=2, loss="moments", optimizer=optimizer)
    np.testing.assert_allclose(found.picture, content, atol=1e-6)
    np.testing.assert_array_equal(found.curve["loss"], 0)


def test_nothing_is_compiled_into_a_loop():
    """Convolutions inside a loop are many times slower on CPU."""
    images = jnp.zeros((1, 32, 32, 3))
    wanted = jax.eval_shape(functools.partial(gatys.targets, loss="moments"), networks(), images, images)
    evaluate = functools.partial(gatys._evaluate, loss="moments")
    found = str(jax.make_jaxpr(evaluate)(images, networks(), wanted, jnp.float32(1)))
    assert "conv_general_dilated" in found and "while[" not in found and "scan[" not in found


def rosenbrock(x):
    a, b = x[0, 0, 0, 0], x[0, 0, 0, 1]
    return (1 - a) ** 2 + 100 * (b - a**2) ** 2


def walk(steps, function, start):
    run = jax.jit(jax.value_and_grad(function))

    def evaluate(x):
        value, gradient = run(x)
        return {"loss": value}, gradient

    return [(np.asarray(x), float(t["loss"])) for x, t in itertools.islice(gatys._lbfgs(evaluate, start), steps + 1)]


def test_lbfgs_finds_the_bottom_of_a_bent_valley_and_never_climbs():
    found = walk(60, rosenbrock, jnp.asarray([[[[-1.2, 1.0, 0.0]]]]))
    values = [value for _, value in found]
    assert (np.diff(values) <= 0).all() and values[-1] < 1e-6
    np.testing.assert_allclose(found[-1][0][0, 0, 0, :2], 1, atol=1e-2)


def test_lbfgs_stays_where_nothing_is_lower():
    found = walk(3, lambda x: jnp.abs(x).sum(), jnp.zeros((1, 1, 1, 3)))
    assert [value for _, value in found] == [0, 0, 0, 0]
    stuck = walk(3, lambda x: jnp.where(jnp.abs(x - 1).sum() > 0, 5.0, 1.0) + 0 * x.sum(), jnp.ones((1, 1, 1, 3)))
    assert [value for _, value in stuck] == [1, 1, 1, 1]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"loss": "mean"}, "loss: expected one of gatys, adain, moments, got 'mean'"),
        ({"optimizer": "sgd"}, "optimizer: expected 'adam' or 'lbfgs', got 'sgd'"),
        ({"steps": -1}, "steps: -1"),
        ({"steps": 3, "keep": (2, 4)}, r"steps: 3, keep: \[2, 4\]"),
        ({"start": picture(1, (32, 36))}, "start: 36 x 32 pixels; expected 32 x 32, the size of content"),
        ({"style": picture(1, (12, 32))}, "style: 32 x 12 pixels; expected at least 16 x 16"),
        ({"style": picture(1)[None]}, r"expected single pictures \(H, W, 3\), got a batch"),
    ],
)
def test_options_that_cannot_work(options, message):
    arguments = {"content": picture(1), "style": picture(2), "steps": 1} | options
    with pytest.raises(MetricsError, match=message) as found:
        gatys.optimise(networks(), **arguments)
    assert "\n" not in str(found.value)
