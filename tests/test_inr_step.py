import dataclasses
import functools
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxstyle.methods import inr
from jaxstyle.methods.inr import step as inr_step
from jaxstyle.methods.inr.loop import fit
from jaxstyle.methods.inr.schedule import Refine, Regress, Schedule
from jaxstyle.methods.inr.step import FitState, create_state, fit_step, stage_data
from jaxstyle.nets import vgg

SPEC = inr.Spec(octaves=3, latent=4, width=16, depth=3, skip=1, bottleneck=8)
SCHEDULE = Schedule(
    (Regress(40, points=128, lr=1e-2), Refine(12, lr=1e-3, lr_end=5e-4)), SPEC, inr.Loss(pixel_weight=10.0), size=16
)
REGRESSION = dataclasses.replace(SCHEDULE, stages=SCHEDULE.stages[:1])


@functools.cache
def encoder():
    """Random VGG to conv3_1: He-normal kernels, no biases."""
    rng, params = np.random.default_rng(0), {}
    for name in vgg.conv_names("vgg16")[:5]:
        shape = vgg.kernel_shape(name)
        kernel = rng.normal(0, np.sqrt(2 / np.prod(shape[:3])), shape).astype(np.float32)
        params[name] = {"kernel": kernel, "bias": np.zeros(shape[3], np.float32)}
    return params


def picture(seed, height=16, width=16):
    """Smooth: a few waves."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:height, :width] / height
    waves = [np.sin(rng.normal(0, 4) * x + rng.normal(0, 4) * y + rng.normal(0, 3)) for _ in range(3)]
    return np.float32(0.5 + 0.5 * np.stack(waves, axis=-1))


PAIR = {"content": picture(0), "style": picture(1)}
STYLIZED = picture(2)


@functools.cache
def recorded():
    """(the fit, {term: values of its steps}, numbers of the steps)."""
    terms, steps = [], []

    def callback(step, values):
        steps.append(step)
        terms.append({name: float(value) for name, value in values.items()})

    params = fit(jax.random.key(0), **PAIR, encoder=encoder(), schedule=SCHEDULE, stylized=STYLIZED, callback=callback)
    return params, terms, steps


def assert_same(found, wanted):
    assert jax.tree.structure(found) == jax.tree.structure(wanted)
    jax.tree.map(np.testing.assert_array_equal, found, wanted)


# ---- the whole fit -----------------------------------------------------------------------------------------


def test_a_fit_lowers_the_loss_of_every_stage():
    _, terms, steps = recorded()
    assert steps == list(range(1, 53))
    assert [set(t) for t in (terms[0], terms[40])] == [{"loss", "pixels"}, {"loss", "content", "style", "pixels"}]
    pixels = [t["pixels"] for t in terms[:40]]
    assert np.mean(pixels[-5:]) < 0.5 * np.mean(pixels[:5])
    assert all(t["loss"] == t["pixels"] for t in terms[:40])
    assert all(np.isfinite(list(t.values())).all() for t in terms)


def test_regression_brings_the_ends_to_the_photo_and_the_stylized_picture():
    before = create_state(jax.random.split(jax.random.key(0))[0], SCHEDULE, (16, 16)).params
    after, _, _ = recorded()
    for alpha, wanted in ((0.0, PAIR["content"]), (1.0, STYLIZED)):
        old, new = (np.square(inr.render_image(p, (16, 16), alpha) - wanted).mean() for p in (before, after))
        assert new < 0.4 * old
    half = np.square(inr.render_image(after, (16, 16), 0.5) - (PAIR["content"] + STYLIZED) / 2).mean()
    assert half < np.square(inr.render_image(after, (16, 16), 0.0) - (PAIR["content"] + STYLIZED) / 2).mean()


def test_the_same_key_gives_the_same_bits():
    params, _, _ = recorded()
    again = fit(jax.random.key(0), **PAIR, encoder=encoder(), schedule=SCHEDULE, stylized=STYLIZED)
    assert_same(again, params)
    assert (params.spec, params.size) == (SPEC, (16, 16))
    other = fit(jax.random.key(1), **PAIR, encoder=encoder(), schedule=SCHEDULE, stylized=STYLIZED)
    assert all(not np.array_equal(a, b) for a, b in zip(jax.tree.leaves(other), jax.tree.leaves(params), strict=True))


def test_latents_stay_as_they_were_drawn():
    params, _, _ = recorded()
    before = create_state(jax.random.split(jax.random.key(0))[0], SCHEDULE).params
    np.testing.assert_array_equal(params.z_c, before.z_c)
    np.testing.assert_array_equal(params.z_s, before.z_s)


def test_a_callback_ends_the_fit():
    seen = []

    def stop(step, terms):
        seen.append(step)
        return step == 3

    stopped = fit(jax.random.key(0), **PAIR, encoder={}, schedule=REGRESSION, stylized=STYLIZED, callback=stop)
    assert seen == [1, 2, 3]
    assert np.isfinite(inr.render_image(stopped, (4, 4), 0.5)).all()
    whole = fit(jax.random.key(0), **PAIR, encoder={}, schedule=REGRESSION, stylized=STYLIZED)
    assert not np.array_equal(whole.network["rgb"]["bias"], stopped.network["rgb"]["bias"])


def test_pictures_of_any_kind_keep_their_shape():
    content = np.uint8(255 * picture(0, 40, 90))
    schedule = dataclasses.replace(REGRESSION, stages=(dataclasses.replace(REGRESSION.stages[0], steps=1),), size=24)
    params = fit(jax.random.key(0), content, picture(1, 7, 5), {}, schedule, stylized=picture(2, 40, 90))
    assert params.size == (36, 16)
    assert inr.render_image(params).shape == (16, 36, 3)


def test_a_loss_that_is_not_finite_ends_the_fit_and_is_named():
    wild = dataclasses.replace(REGRESSION, stages=(dataclasses.replace(REGRESSION.stages[0], lr=1e30),))
    with pytest.raises(ArithmeticError, match=r"^step (20|40): loss = nan, pixels = nan; a lower learning rate"):
        fit(jax.random.key(0), **PAIR, encoder={}, schedule=wild, stylized=STYLIZED)


def test_what_is_missing_is_named():
    run = partial(fit, jax.random.key(0), encoder={}, schedule=REGRESSION)
    with pytest.raises(ValueError, match=r"^stylized: expected the content stylized, \(16, 16, 3\), .* got none"):
        run(**PAIR)
    with pytest.raises(ValueError, match=r"^content: expected one picture \(H, W, 3\), got shape \(1, 16, 16, 3\)"):
        run(PAIR["content"][None], PAIR["style"], stylized=STYLIZED)
    with pytest.raises(ValueError, match=r"^style: expected an image"):
        run(PAIR["content"], PAIR["style"][..., 0], stylized=STYLIZED)
    with pytest.raises(ValueError, match=r"^stylized: .* got shape \(9, 16, 3\)"):
        stage_data(REGRESSION, 0, {}, **PAIR, stylized=STYLIZED[:9])


# ---- one step ----------------------------------------------------------------------------------------------

step_of = jax.jit(fit_step, static_argnames=("schedule", "stage"))


def test_a_run_that_goes_on_from_a_saved_state_is_the_run_that_never_stopped():
    """Two steps of each stage, then a copy of the state through NumPy, then the rest; and by the loop's own keys."""
    k_state, k_steps = jax.random.split(jax.random.key(0))
    state = create_state(k_state, SCHEDULE, (16, 16))
    for step in range(SCHEDULE.steps):
        stage = SCHEDULE.stage_at(step)
        if step in (0, 40):
            data = stage_data(SCHEDULE, stage, encoder(), **PAIR, stylized=STYLIZED)
        if step in (2, 42):
            state = jax.tree.map(lambda leaf: jnp.asarray(np.array(leaf)), state)
        state, _ = step_of(k_steps, state, data, encoder(), schedule=SCHEDULE, stage=stage)
    assert isinstance(state, FitState) and int(state.step) == SCHEDULE.steps
    assert_same(state.params, recorded()[0])


def several(make, count=2):
    """make(i) for each i, and all of them stacked."""
    each = [make(i) for i in range(count)]
    return each, jax.tree.map(lambda *leaves: jnp.stack(leaves), *each)


@pytest.mark.parametrize("stage", [0, pytest.param(1, marks=pytest.mark.slow)])
def test_vmap_over_pairs_equals_a_loop(stage):
    keys, stacked_keys = several(lambda i: jax.random.key(i))
    states, stacked_states = several(lambda i: create_state(jax.random.key(10 + i), SCHEDULE, (16, 16)))
    pairs, stacked_pairs = several(
        lambda i: stage_data(
            SCHEDULE, stage, encoder(), PAIR["content"] * (1 - i / 2), PAIR["style"], stylized=picture(5 + i)
        )
    )
    one = partial(fit_step, schedule=SCHEDULE, stage=stage)
    many = jax.jit(jax.vmap(one, in_axes=(0, 0, 0, None)))
    found, found_terms = many(stacked_keys, stacked_states, stacked_pairs, encoder())
    for i in range(2):
        wanted, terms = step_of(keys[i], states[i], pairs[i], encoder(), schedule=SCHEDULE, stage=stage)
        for name, value in terms.items():
            np.testing.assert_allclose(found_terms[name][i], value, rtol=1e-4)
        got = jax.tree.map(lambda leaf, i=i: leaf[i], found)
        moments = jax.tree.leaves(wanted.opt)
        for a, b in zip(jax.tree.leaves(got.opt), moments, strict=True):  # Adam's averages: the gradients themselves
            np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-5 * np.abs(b).max())


def test_the_learning_rate_goes_from_its_first_to_its_last_value():
    rates = [float(inr_step._learning_rate(SCHEDULE.stages[1], jnp.int32(t))) for t in range(12)]
    np.testing.assert_allclose([rates[0], rates[-1]], [1e-3, 5e-4], rtol=1e-5)
    np.testing.assert_allclose(np.diff(np.log(rates)), np.log(0.5) / 11, rtol=1e-3)
    assert inr_step._learning_rate(SCHEDULE.stages[0], jnp.int32(7)) == 1e-2
    last = Refine(1, lr=1e-3, lr_end=1e-4)
    assert float(inr_step._learning_rate(last, jnp.int32(0))) == pytest.approx(1e-3)


def test_regression_draws_its_share_of_ends_and_every_pixel():
    """With networks that say what they are asked, the targets can be read off."""
    data = stage_data(
        REGRESSION, 0, {}, np.zeros((16, 16, 3), np.float32), PAIR["style"], np.ones((16, 16, 3), np.float32)
    )
    seen = {}

    def spy(params, coords, alpha, *, dtype):
        seen["coords"], seen["alpha"] = coords, alpha
        return jnp.broadcast_to(alpha[:, None], (*alpha.shape, 3))  # exactly the cross-faded target

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(inr, "evaluate", spy)
        loss, _ = inr_step._regression(jax.random.key(0), None, data, Regress(1, points=8000, ends=0.6), jnp.float32)
    assert float(loss) < 1e-12
    alpha = np.asarray(seen["alpha"])
    shares = [(alpha == 0).mean(), (alpha == 1).mean(), ((alpha > 0) & (alpha < 1)).mean()]
    np.testing.assert_allclose(shares, [0.3, 0.3, 0.4], atol=0.03)
    assert len(np.unique(seen["coords"], axis=0)) == 256
    np.testing.assert_allclose(np.unique(seen["coords"]), (2 * np.arange(16) + 1) / 16 - 1, atol=1e-6)


@pytest.mark.slow
def test_refinement_with_several_degrees_and_some_gradients_lowers_the_loss_too():
    stage = Refine(30, shrink=1.5, alphas=2, gradient_every=3, lr=3e-3)
    schedule = dataclasses.replace(SCHEDULE, stages=(stage,), loss=inr.Loss(sampling="fixed", fixed=0.6), size=24)
    losses = []
    params = fit(
        jax.random.key(0),
        picture(0, 24, 24),
        picture(1, 24, 24),
        encoder(),
        schedule,
        callback=lambda step, terms: losses.append(float(terms["loss"])),
    )
    assert params.size == (24, 24)
    assert np.mean(losses[-5:]) < 0.7 * np.mean(losses[:5])
