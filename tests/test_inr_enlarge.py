"""The objective of detail: windows of the painting, directions of edges, the coarse picture, and the stage."""

import dataclasses
import functools
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxstyle.methods import inr
from jaxstyle.methods.inr import detail, enlarge, loop
from jaxstyle.methods.inr import step as inr_step
from jaxstyle.methods.inr.schedule import PRESETS, Enlarge, Regress, Schedule, preset
from jaxstyle.nets import vgg

SPEC = inr.Spec(octaves=2, latent=4, width=16, depth=2, skip=0, bottleneck=8, grids=(4, 16), detail=4)
STAGE = Enlarge(5, windows=4, side=16, vectors=32)
SCHEDULE = Schedule((Regress(20, points=128, lr=1e-2), STAGE), SPEC, size=24)


@functools.cache
def encoder():
    """Random VGG to conv3_1."""
    rng, params = np.random.default_rng(0), {}
    for name in vgg.conv_names("vgg16")[:5]:
        shape = vgg.kernel_shape(name)
        kernel = rng.normal(0, np.sqrt(2 / np.prod(shape[:3])), shape).astype(np.float32)
        params[name] = {"kernel": kernel, "bias": np.zeros(shape[3], np.float32)}
    return params


def noise(seed, height, width):
    return np.random.default_rng(seed).random((height, width, 3), np.float32)


PICTURES = {"content": noise(0, 24, 24), "style": noise(1, 24, 24), "stylized": noise(2, 24, 24)}
PAINTING = noise(3, 70, 50)


@functools.cache
def fitted():
    """[(step, state, terms)] of all steps."""
    first, key = jax.random.split(jax.random.key(0))
    state = inr_step.create_state(first, SCHEDULE, (24, 24))
    pictures = PICTURES | {"painting": PAINTING}
    found = loop.steps(key, state, encoder(), SCHEDULE, pictures)
    return [(step, jax.device_get(state), jax.device_get(terms)) for step, state, terms in found]


# ---- the painting ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("shape", "side", "count"), [((32, 48), 16, 6), ((40, 16), 16, 3), ((10, 90), 16, 6), ((8, 8), 16, 1)]
)
def test_windows_cover_a_picture(shape, side, count):
    picture = np.arange(np.prod(shape), dtype=np.float32).reshape(*shape, 1)
    found = enlarge.windows(picture, side)
    assert found.shape == (count, min(side, shape[0]), min(side, shape[1]), 1)
    assert set(found.reshape(-1)) == set(picture.reshape(-1))


def test_of_a_large_picture_some_windows_are_looked_at():
    found = enlarge.windows(noise(0, 200, 300), 16)
    assert found.shape == (enlarge.MOST, 16, 16, 3) and len({w.tobytes() for w in found}) == enlarge.MOST


@pytest.mark.parametrize("degrees", [0, 30, 90, 150])
def test_strokes_follow_the_edges(degrees):
    angle = math.radians(degrees)
    y, x = np.mgrid[:60, :80]
    stripes = 0.5 + 0.5 * np.sin(0.7 * (math.cos(angle) * y - math.sin(angle) * x))  # alike along the angle
    found = enlarge.flow(np.repeat(stripes[..., None], 3, -1), 10)
    assert found.shape == (12, 12, 2)
    inner = found[3:-3, 3:-3].reshape(-1, 2)
    np.testing.assert_allclose(inner, [[math.cos(2 * angle), math.sin(2 * angle)]] * len(inner), atol=0.1)
    assert np.abs(enlarge.flow(np.full((60, 80, 3), 0.5), 10)).max() == 0


def test_a_painting_is_never_enlarged(monkeypatch):
    seen = []
    windows = enlarge.windows
    monkeypatch.setattr(
        enlarge, "windows", lambda picture, side: seen.append(picture.shape[:2]) or windows(picture, side)
    )
    params = inr.init(jax.random.key(0), SPEC, size=(24, 24))
    found = enlarge.targets(params, encoder(), PAINTING, inr.Loss(), STAGE)
    assert found.flow.shape == (6, 6, 2) and found.side == 16
    assert seen == [(28, 20), (57, 41), (70, 50), (70, 50)]
    assert found.grams["relu1_1"].shape == (4, 64, 64) and found.vectors["relu3_1"].shape == (4, enlarge.VECTORS, 256)
    np.testing.assert_array_equal(found.grams["relu2_1"][2], found.grams["relu2_1"][3])


# ---- windows -----------------------------------------------------------------------------------------------


def test_every_quarter_has_a_window():
    found = np.asarray(enlarge._corners(jax.random.key(0), 9))
    assert found.shape == (9, 2) and found.min() >= 0 and found.max() < 1
    for four in (found[:4], found[4:8]):
        assert {tuple(corner) for corner in np.floor(2 * four).astype(int)} == {(0, 0), (0, 1), (1, 0), (1, 1)}


@pytest.mark.slow
def test_the_coarse_term_is_that_of_means_of_pixels():
    """Beside means of blocks of a render, where a window begins at a pixel's edge, and where it does not."""
    params = fitted()[-1][1].params
    large, coarse = (np.asarray(inr.render_image(params, (n, n)), np.float64) for n in (96, 24))
    seen = detail.view((24, 24), 4.0)
    for corner, first in (((3.0, 5.0), (3, 5)), ((2.5, 4.25), (3, 5))):
        window, found = enlarge._window(params, seen, 16, 11, inr.Loss(), jnp.asarray(corner, jnp.float32))
        left, top = (round(4 * c) for c in corner)
        np.testing.assert_allclose(window, large[top : top + 16, left : left + 16], atol=1e-4)
        n = math.floor(corner[0] + 4) - first[0]
        x, y = first
        blocks = large[4 * y : 4 * (y + n), 4 * x : 4 * (x + n)].reshape(n, 4, n, 4, 3).mean((1, 3))
        assert found == pytest.approx(np.square(blocks - coarse[y : y + n, x : x + n]).mean(), rel=1e-2)


def test_a_window_is_no_larger_than_a_small_picture():
    assert enlarge.window_side(Enlarge(1), (256, 256)) == 112
    assert enlarge.window_side(Enlarge(1), (16, 400)) == 24


# ---- the stage ---------------------------------------------------------------------------------------------


def test_the_stage_changes_detail_alone():
    before, after = fitted()[19][1].params, fitted()[-1][1].params
    for name, layer in after.network.items():
        for part, values in layer.items():
            same = np.array_equal(values, before.network[name][part])
            assert same == (name not in (*detail.NAMES, detail.FLOW)), name
    np.testing.assert_array_equal(inr.render_image(after, (24, 24)), inr.render_image(before, (24, 24)))
    np.testing.assert_array_equal(inr.render_image(after, (96, 96), 0.0), inr.render_image(before, (96, 96), 0.0))
    assert np.abs(inr.render_image(after, (96, 96)) - inr.render_image(before, (96, 96))).max() > 0.01


def test_the_stages_terms_have_names_and_it_lowers_the_loss():
    terms = [t for _, _, t in fitted()[20:]]
    assert all(set(t) == {"loss", "style", "vectors", "coarse"} and np.isfinite(list(t.values())).all() for t in terms)
    before, after = fitted()[19][1].params, fitted()[-1][1].params
    data = enlarge.targets(after, encoder(), PAINTING, inr.Loss(), STAGE)
    key, weight = jax.random.key(9), STAGE.coarse
    loss = jax.jit(lambda p: enlarge.objective(key, p, encoder(), data, inr.Loss(), STAGE, weight)[0])
    assert loss(after) < loss(before)


def test_the_coarse_terms_weight_follows_what_the_pair_needs():
    """Up where windows are further from the coarse picture than asked, down where nearer, at most a pace a step."""
    stage = Enlarge(1, psnr=20.0, pace=0.1)
    found = [float(enlarge.followed(jnp.float32(2.0), jnp.float32(c), stage)) for c in (0.0, 0.005, 0.01, 0.015, 1.0)]
    np.testing.assert_allclose(found, 2 * np.exp([-0.1, -0.05, 0.0, 0.05, 0.1]), rtol=1e-5)
    weights, terms = zip(*((float(state.weight), t.get("coarse")) for _, state, t in fitted()), strict=True)
    assert set(weights[:20]) == {1.0}  # the stages before have nothing to hold
    assert inr_step.started(inr.init(jax.random.key(0)), PRESETS["fast"]).weight is None
    for before, after, coarse in zip(weights[19:], weights[20:], terms[20:], strict=False):
        assert after == pytest.approx(float(enlarge.followed(jnp.float32(before), coarse, STAGE)), rel=1e-5)


def test_continued_from_a_state_it_is_the_fit_of_one_go():
    _, key = jax.random.split(jax.random.key(0))
    pictures = PICTURES | {"painting": PAINTING}
    state = jax.tree.map(jnp.asarray, fitted()[21][1])
    *_, (step, last, _) = loop.steps(key, state, encoder(), SCHEDULE, pictures)
    assert step == 25
    jax.tree.map(np.testing.assert_array_equal, jax.device_get(last), fitted()[-1][1])


def test_without_the_picture_so_far_there_is_nothing_to_enlarge():
    with pytest.raises(ValueError, match="params: expected the picture so far"):
        inr_step.stage_data(SCHEDULE, 1, encoder(), **PICTURES)


def test_the_preset_is_fast_and_then_detail():
    fast, zoom = PRESETS["fast"], PRESETS["zoom"]
    assert zoom.stages[:-1] == fast.stages and zoom.loss == fast.loss and zoom.enlarges and not fast.enlarges
    assert isinstance(zoom.stages[-1], Enlarge) and zoom.spec == dataclasses.replace(fast.spec, detail=64)
    assert preset("zoom", size=128).spec.detail == 32


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"zooms": (1.0, 8.0)}, "zooms: expected two numbers above 1, the lower one first, got (1.0, 8.0)"),
        ({"zooms": (4.0, 2.0)}, "zooms: expected two numbers above 1, the lower one first, got (4.0, 2.0)"),
        ({"windows": 0}, "windows: expected a whole number of at least 1, got 0"),
        ({"near": -1.0}, "near: expected a number of at least 0, got -1.0"),
        ({"coarse": math.inf}, "coarse: expected a number of at least 0, got inf"),
        ({"psnr": math.nan}, "psnr: expected a number of at least 0, got nan"),
        ({"pace": -0.1}, "pace: expected a number of at least 0, got -0.1"),
    ],
)
def test_a_stage_that_none_can_be_is_refused(change, message):
    with pytest.raises(ValueError) as error:
        Enlarge(1, **change)
    assert str(error.value) == message


def test_a_schedule_that_enlarges_needs_detail():
    with pytest.raises(ValueError, match=r"^spec: expected detail of at least 1 cell"):
        Schedule((STAGE,), dataclasses.replace(SPEC, detail=0))
