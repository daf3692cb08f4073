"""Every equation of the method against a slow NumPy form that a reader would write first."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxstyle import weights
from jaxstyle.methods import adain, style_kernel
from jaxstyle.methods.style_kernel import Config, attention
from jaxstyle.methods.style_kernel.attention import Keys, attend, gate, unit
from jaxstyle.methods.style_kernel.kernels import GROUPS, separable, shuffle
from jaxstyle.methods.style_kernel.network import CHANNELS, STYLE_TAPS, expected, init
from jaxstyle.methods.style_kernel.parts import Block, Psi, ResidualDecoder
from jaxstyle.methods.style_kernel.transform import _evenly, describe, look, mix, transform
from jaxstyle.nets.aim import Aim
from jaxstyle.nets.stats import EPS, moments
from tests import style_kernels

FLOOR = 1e-2
TAPS = {"relu1_1": (32, 64), "relu2_1": (16, 128), "relu3_1": (8, 256), "relu4_1": (4, 512)}


def normal(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def features(n=1, h=4, w=5, seed=0, taps=("relu4_1",)):
    """Of a picture, by layer: not negative, a third of them 0."""
    found = {}
    for i, tap in enumerate(taps):
        times, channels = 2 ** (4 - int(tap[4])), TAPS[tap][1]
        found[tap] = np.maximum(normal(n, h * times, w * times, channels, seed=seed + i) + 0.5, 0)
    return found


def bare(config, key=None):
    """A model without encoder."""
    model = style_kernel.Model({}, {}, config)
    params = jax.jit(init)(jax.random.key(0) if key is None else key, model)
    return dataclasses.replace(model, params=params)


SMALL = dataclasses.replace(style_kernel.lite(), hidden=4, watch=3, aim=False)
"""Of the parts that tests look at, small ones; query, key and decoder have their size."""


@pytest.fixture(scope="module")
def small():
    """A small model whose every part does something."""
    return style_kernels.perturbed(bare(SMALL))


# ---- attention and gate ------------------------------------------------------------------------------------


def slow_attend(query, keys, values, count, sharpness, threshold):
    """Eq. 1, 2 and 5, one position after the other."""
    n, q, g, _ = query.shape
    mean, deviation = np.zeros((2, n, q, g, values.shape[-1]))
    mass, kept = np.zeros((2, n, q, g))
    for i, u, head in np.ndindex(n, q, g):
        m = int(count[i])
        s = np.float64([sharpness[i, head] * (query[i, u, head] @ keys[i, v, head]) for v in range(m)])
        a = np.exp(s) / np.exp(s).sum()
        t = -1.0 if threshold is None else threshold[i, u, head]
        through = [a[v] > t * a.mean() or a[v] == a.max() for v in range(m)]
        a = np.where(through, a, 0)
        mass[i, u, head], kept[i, u, head] = a.sum(), np.mean(through)
        a /= a.sum()
        seen = values[i, :m, head].astype(np.float64)
        mean[i, u, head] = a @ seen
        deviation[i, u, head] = np.sqrt(a @ (seen - mean[i, u, head]) ** 2 + FLOOR**2)
    return mean, deviation, mass, kept


def case(p=11, seed=0):
    query, keys = (np.array(unit(normal(2, m, 3, 4, seed=seed + m))) for m in (6, p))
    threshold = np.random.default_rng(seed).uniform(-0.3, 3, (2, 6, 3)).astype(np.float32)
    return (
        query,
        keys,
        normal(2, p, 3, 2, seed=seed + 6),
        np.float32([p, p - 4]),
        np.float32([[3, 9, 1]] * 2),
        threshold,
    )


@pytest.mark.parametrize("block", [None, 1, 4, 11, 64])
@pytest.mark.parametrize("gated", [True, False])
def test_attention_in_blocks_is_the_slow_form(block, gated):
    query, keys, values, count, sharpness, threshold = case()
    threshold = threshold if gated else None
    found = attend(query, Keys(keys, values, count), sharpness, threshold, block=block)
    expected = slow_attend(query, keys, values, count, sharpness, threshold)
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_allclose(one, other, rtol=2e-4, atol=1e-4)
    if gated:
        assert 0.1 < found.kept.mean() < 0.9


def test_gradients_do_not_depend_on_the_blocks():
    query, keys, values, count, sharpness, threshold = case()

    def loss(query, keys, values, sharpness, threshold, block):
        found = attend(query, Keys(keys, values, count), sharpness, threshold, block=block)
        return sum(jnp.square(part).sum() for part in found[:3])

    whole, blocks = (jax.grad(loss, range(5))(query, keys, values, sharpness, threshold, block) for block in (None, 3))
    for one, other in zip(whole, blocks, strict=True):
        assert np.abs(one).max() > 1e-3
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-5)


def test_positions_that_are_none_have_no_influence():
    query, keys, values, count, sharpness, threshold = case()
    found = attend(query, Keys(keys, values, count), sharpness, threshold, block=4)
    for i, many in enumerate(count.astype(int)):
        keys[i, many:], values[i, many:] = 1e3, 1e4
    other = attend(query, Keys(keys, values, count), sharpness, threshold, block=4)
    jax.tree.map(np.testing.assert_array_equal, found, other)
    gradient = jax.grad(lambda k: attend(query, Keys(k, values, count), sharpness, threshold, block=4).mean.sum())(keys)
    assert not np.asarray(gradient[1, 7:]).any() and np.asarray(gradient[1, :7]).any()


@pytest.mark.parametrize("count", [1, 3, 4, 7, 11])
def test_positions_are_looked_at_as_far_as_there_are_any(monkeypatch, count):
    query, keys, values, _, sharpness, threshold = case()
    counts, found = np.float32([count, 1]), {}
    for few in (1, 99):  # with and without programs of their own for quarters of 11 positions
        monkeypatch.setattr(attention, "_FEW", few)
        found[few] = attend(query, Keys(keys, values, counts), sharpness, threshold, block=4)
    for parts in zip(*found.values(), slow_attend(query, keys, values, counts, sharpness, threshold), strict=True):
        for part in parts[:2]:
            np.testing.assert_allclose(part, parts[2], rtol=2e-4, atol=1e-4)


def test_heads_may_be_done_at_once(monkeypatch):
    query, keys, values, counts, sharpness, threshold = case()
    one = attend(query, Keys(keys, values, counts), sharpness, threshold, block=4)
    monkeypatch.setattr(attention.jax, "default_backend", lambda: "gpu")
    for a, b in zip(one, attend(query, Keys(keys, values, counts), sharpness, threshold, block=4), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6)


def test_a_row_keeps_at_least_its_largest_entry():
    query, keys, values, count, sharpness, _ = case()
    found = attend(query, Keys(keys, values, count), sharpness, np.full((2, 6, 3), 1e6, np.float32), block=4)
    np.testing.assert_allclose(found.kept, np.broadcast_to(1 / count[:, None, None], (2, 6, 3)))
    similar = np.einsum("nqgd,npgd->nqgp", query, keys)
    similar[1, ..., 7:] = -2
    nearest = similar.argmax(-1)
    expected = np.stack([[[values[n, nearest[n, q, g], g] for g in range(3)] for q in range(6)] for n in range(2)])
    np.testing.assert_allclose(found.mean, expected, atol=1e-5)
    np.testing.assert_allclose(found.deviation, FLOOR, atol=2e-3)


def test_one_position_is_all_there_is():
    query, keys, values, _, sharpness, threshold = case()
    found = attend(query, Keys(keys[:, :1], values[:, :1], np.ones(2, np.float32)), sharpness, threshold)
    np.testing.assert_allclose(found.mean, np.broadcast_to(values[:, :1], (2, 6, 3, 2)), atol=1e-6)
    np.testing.assert_allclose(found.mass, 1, atol=1e-6)


def test_the_gate_is_a_step_with_the_gradient_of_a_sigmoid():
    a, t = np.float32([0.1, 0.9, 5.0]), np.float32([0.5, 0.5, 0.5])
    np.testing.assert_array_equal(gate(a, t), [0, 1, 1])
    np.testing.assert_array_equal(gate(a, np.float32([0.1, 1, -1])), [0, 0, 1])
    of_a, of_t = jax.grad(lambda a, t: gate(a, t).sum(), (0, 1))(a, t)
    s = 1 / (1 + np.exp(-(a - t) / 0.5))
    np.testing.assert_allclose(of_t, -s * (1 - s) / 0.5, rtol=1e-5)
    assert not np.asarray(of_a).any()


def test_products_may_be_of_half_the_bits():
    query, keys, values, count, sharpness, _ = case()
    exact = attend(query, Keys(keys, values, count), sharpness, block=4)
    found = attend(query, Keys(keys, values, count), sharpness, block=4, dtype=jnp.bfloat16)
    assert all(leaf.dtype == jnp.float32 for leaf in found)
    for one, other in zip(found[:3], exact[:3], strict=True):
        np.testing.assert_allclose(one, other, atol=0.05)


# ---- kernels -----------------------------------------------------------------------------------------------


def reflected(i, length):
    while not 0 <= i < length:
        i = -i if i < 0 else 2 * (length - 1) - i
    return i


def slow_separable(x, column, row):
    """x * (d + F1) * (d + F2), Eq. 6, one position after the other."""
    (n, h, w, c), k = x.shape, column.shape[3]
    y, z = np.array(x, np.float64), np.zeros(x.shape)
    for a, i, j, b in np.ndindex(n, h, w, c):
        y[a, i, j, b] += sum(column[a, i, j, m, b] * x[a, reflected(i + m - k // 2, h), j, b] for m in range(k))
    for a, i, j, b in np.ndindex(n, h, w, c):
        z[a, i, j, b] = y[a, i, j, b]
        z[a, i, j, b] += sum(row[a, i, j, m, b] * y[a, i, reflected(j + m - k // 2, w), b] for m in range(k))
    return z


@pytest.mark.parametrize("k", [1, 3, 5])
@pytest.mark.parametrize("shape", [(2, 4, 5, 3), (1, 3, 2, 2)])
def test_kernels_of_every_position(k, shape):
    x, column, row = normal(*shape), normal(*shape[:3], k, shape[3], seed=1), normal(*shape[:3], k, shape[3], seed=2)
    found = separable(x, column, row)
    np.testing.assert_allclose(found, slow_separable(x, column, row), rtol=1e-4, atol=1e-5)
    # in a larger array
    around = ((0, 0), (0, 3), (0, 2), (0, 0))
    large = [np.pad(part, around + ((0, 0),) * (part.ndim - 4), constant_values=7) for part in (x, column, row)]
    inside = jax.jit(separable)(*large, size=np.int32(shape[1:3]))[:, : shape[1], : shape[2]]
    np.testing.assert_allclose(inside, found, rtol=1e-5, atol=1e-5)


def test_kernels_of_zeros_change_nothing():
    x, none = normal(1, 3, 4, 2), np.zeros((1, 3, 4, 3, 2), np.float32)
    np.testing.assert_array_equal(separable(x, none, none), x)


def test_shuffling_permutes_groups(key):
    x = np.arange(2 * 32, dtype=np.float32).reshape(1, 1, 2, 32)
    found = np.asarray(shuffle(key, x)).reshape(2, GROUPS, 4)
    groups = x.reshape(2, GROUPS, 4)
    order = [int(np.flatnonzero((groups[0] == found[0, i]).all(-1))[0]) for i in range(GROUPS)]
    assert sorted(order) == list(range(GROUPS)) and order != list(range(GROUPS))
    np.testing.assert_array_equal(found, groups[:, order])
    assert (np.asarray(shuffle(jax.random.key(5), x)).reshape(found.shape) != found).any()


# ---- what the decoder sees ---------------------------------------------------------------------------------


def standard(x):
    mean, std = x.mean((1, 2), keepdims=True), np.sqrt(x.var((1, 2), keepdims=True) + EPS)
    return (x - mean) / std, mean, std


def slow_start(z_c, z_s, heads):
    """Attention-AdaIN without anything learned: attended deviation * IN(Z_c) + attended mean."""
    (x, *_), (y, mean, std) = (standard(np.float64(part)) for part in (z_c, z_s))
    shape, c = x.shape, x.shape[-1]
    x, y = x.reshape(-1, c), y.reshape(-1, c)
    seen, around = np.zeros_like(x), np.zeros_like(x)
    for g in np.split(np.arange(c), heads):
        q, k = (part[:, g] / np.linalg.norm(part[:, g], axis=1, keepdims=True) for part in (x, y))
        s = 10 * np.log(len(y)) / np.log(1024) * (q @ k.T)
        a = np.exp(s - s.max(1, keepdims=True))
        a /= a.sum(1, keepdims=True)
        seen[:, g] = a @ y[:, g]
        around[:, g] = np.sqrt(a @ y[:, g] ** 2 - seen[:, g] ** 2 + FLOOR**2)
    z_cs = mean + std * seen.reshape(shape)
    return std * around.reshape(shape) * x.reshape(shape) + z_cs, z_cs


def test_the_papers_start_is_attention_adain():
    model = bare(dataclasses.replace(style_kernel.paper(), watch=4, wide=False))
    f_c, f_s = features(), features(h=3, w=7, seed=1)
    found = jax.jit(transform)(model.params, model, f_c, f_s)
    z, z_cs = slow_start(f_c["relu4_1"], f_s["relu4_1"], 8)
    np.testing.assert_allclose(found.z, z, rtol=1e-3, atol=1e-3)
    np.testing.assert_allclose(found.z_cs, z_cs, rtol=1e-3, atol=1e-3)
    assert found.kept.min() == 1


def test_lite_starts_as_adain(key):
    source = adain.load()
    model = style_kernel.from_adain(key, source, style_kernel.lite())
    f_c, f_s = features(n=2), features(n=2, h=3, w=7, seed=1, taps=STYLE_TAPS)
    found = jax.jit(transform)(model.params, model, f_c, f_s)
    expected = adain.fuse(source, jnp.asarray(f_c["relu4_1"]), adain.describe(source, f_s))
    np.testing.assert_allclose(found.z, expected, atol=1e-4)
    pictures = style_kernel.decode(model.params, model, found.z)
    np.testing.assert_allclose(pictures, adain.decode(source, expected), atol=1e-4)


def test_only_adains_plain_decoder_is_taken_over(key):
    source = adain.Model({}, {"params": {}}, norm="instance")
    with pytest.raises(ValueError, match=r"^source: expected fusion 'adain' and norm 'none', got fusion 'adain' and"):
        style_kernel.from_adain(key, source, style_kernel.lite())
    with pytest.raises(ValueError, match=r"^config: AdaIN's decoder is the mirror of VGG, not 'residual'$"):
        style_kernel.from_adain(key, adain.Model({}, {"params": {}}), style_kernel.paper())
    with pytest.raises(ValueError, match=r"^config: the AdaIN model has a learned aim, which aim=True takes over$"):
        style_kernel.from_adain(key, adain.Model({}, {"params": {"aim": {}}}), SMALL)


def test_a_learned_aim_is_taken_over(key):
    """It moves the moments by what it adds to those of the style."""
    model = bare(dataclasses.replace(SMALL, aim=True))
    learned = {"aim": style_kernels.perturbed(model).params["aim"]}
    model = style_kernel.from_adain(key, adain.Model({}, {"params": learned}), model.config)
    assert model.params["aim"] is learned["aim"] and model.params["decoder"] == {}
    f_s = features(n=2, h=3, w=7, seed=1, taps=STYLE_TAPS)
    found = describe(model.params, model, f_s)
    seen = {tap: moments(f_s[tap]) for tap in STYLE_TAPS}
    expected = Aim().apply({"params": learned["aim"]}, seen)
    for one, other, own in zip(found.target, expected, seen["relu4_1"], strict=True):
        np.testing.assert_allclose(one, other, atol=1e-5)
        assert np.abs(one - own).max() > 1e-2
    jax.tree.map(np.testing.assert_array_equal, found.own, seen["relu4_1"])


def test_a_gate_that_is_not_normalised_again_takes_weight_away(small):
    loose = small.replace(config=dataclasses.replace(SMALL, normalised=False))
    f_c, f_s = features(), features(h=3, w=7, seed=1)
    one, other = (transform(model.params, model, f_c, f_s) for model in (small, loose))
    seen = look(small.params, small, f_c["relu4_1"], moments(f_c["relu4_1"]))
    style = describe(small.params, small, f_s)
    np.testing.assert_array_equal(one.kept, other.kept)
    assert 0.1 < one.kept.mean() < 0.99
    sharpness = np.full((1, 8), 10 * np.log(21) / np.log(1024), np.float32)
    mass = attend(seen.query, style.keys, sharpness, seen.threshold).mass
    expected = np.asarray(one.z_cs).reshape(20, 8, 64) * np.asarray(mass)[0, :, :, None]
    np.testing.assert_allclose(np.asarray(other.z_cs).reshape(20, 8, 64), expected, rtol=1e-3, atol=1e-3)


def test_every_parameter_learns(small):
    """Also what decides about the gate; of the decoder's layers nothing is asked here."""
    f_c, f_s = features(), features(h=3, w=7, seed=1)
    wanted = normal(1, 4, 5, CHANNELS, seed=3)
    gradients = jax.jit(jax.grad(lambda params: jnp.square(transform(params, small, f_c, f_s).z - wanted).mean()))(
        small.params
    )
    for name in small.params.keys() - {"decoder"}:
        for path, leaf in jax.tree_util.tree_flatten_with_path(gradients[name])[0]:
            assert np.abs(leaf).max() > 1e-8, (name, path)
    gamma, beta = np.split(np.abs(gradients["psi"]["block2"]["bias"]), 2)
    assert gamma.min() > 0 and beta.min() > 0


@pytest.mark.parametrize("rows", ["content", "style", "both"])
def test_gradients_are_finite_where_all_is_flat(small, rows):
    f_c, f_s = features(), features(h=3, w=7, seed=1)
    if rows != "style":
        f_c = {"relu4_1": np.zeros((1, 4, 5, CHANNELS), np.float32)}
    if rows != "content":
        f_s = {"relu4_1": np.full((1, 3, 7, CHANNELS), 0.5, np.float32)}

    def loss(params, f_c, f_s):
        found = transform(params, small, f_c, f_s)
        return jnp.square(found.z).mean() + jnp.square(found.z_cs).mean()

    value, gradients = jax.jit(jax.value_and_grad(loss, (0, 1, 2)))(small.params, f_c, f_s)
    assert np.isfinite(value) and all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(gradients))


def test_channels_are_shuffled_in_training_alone(key):
    model = bare(dataclasses.replace(SMALL, shuffled=True))
    f_c, f_s = features(), features(h=3, w=7, seed=1)
    plain, shuffled = transform(model.params, model, f_c, f_s), transform(model.params, model, f_c, f_s, key=key)
    x, (_, mean, std) = standard(f_c["relu4_1"])[0], standard(f_s["relu4_1"])
    expected = std * np.asarray(shuffle(key, x)) + mean
    np.testing.assert_allclose(shuffled.z, expected, atol=1e-4)
    assert np.abs(plain.z - shuffled.z).max() > 0.1
    never = model.replace(config=SMALL)
    np.testing.assert_array_equal(transform(never.params, never, f_c, f_s, key=key).z, plain.z)


def test_one_style_with_all_shares_is_the_style(small):
    """Also where the picture and the style lie in larger arrays, and a style keeps more positions than it has."""
    f_c, f_s = features()["relu4_1"], features(h=3, w=7, seed=1)
    expected = transform(small.params, small, {"relu4_1": f_c}, f_s)
    around = ((0, 0), (0, 3), (0, 2), (0, 0))
    wide, laid = (np.pad(x, around, constant_values=9) for x in (f_c, f_s["relu4_1"]))
    style = jax.jit(describe, static_argnames="positions")(
        small.params, small, {"relu4_1": laid}, size=np.int32([24, 56]), positions=40
    )
    assert style.keys.keys.shape[1] == 40 and style.keys.there.tolist() == [21]
    z = jax.jit(mix)(small, wide, style, np.ones((1, 1, 1, 1), np.float32), source=moments(f_c), size=np.int32([4, 5]))
    np.testing.assert_allclose(z[:, :4, :5], expected.z, rtol=1e-3, atol=1e-3)


def test_full_style_may_leave_some_of_the_content(small):
    f_c, style = features()["relu4_1"], describe(small.params, small, features(h=3, w=7, seed=1))
    one, own = np.ones((1, 1, 1, 1), np.float32), moments(f_c)
    all_of_it = mix(small, jnp.asarray(f_c), style, one, source=own)
    found = mix(small.replace(full=0.75), jnp.asarray(f_c), style, one, source=own)
    np.testing.assert_allclose(found, 0.75 * all_of_it + 0.25 * f_c, rtol=1e-4, atol=1e-4)


def test_no_share_is_the_content(small):
    f_c, f_s = features()["relu4_1"], features(h=3, w=7, seed=1)
    style = describe(small.params, small, f_s)
    z = mix(small, jnp.asarray(f_c), style, np.zeros((1, 1, 1, 1), np.float32), source=moments(f_c))
    np.testing.assert_array_equal(z, f_c)


@pytest.mark.parametrize(("h", "w", "most"), [(3, 4, 12), (3, 4, 50), (9, 9, 16), (1, 30, 7), (30, 1, 7), (8, 64, 100)])
def test_positions_are_taken_evenly(h, w, most):
    taken, there = (np.asarray(x) for x in _evenly(h + 2, w + 3, most, np.int32([h, w])))
    taken = taken[: int(there)]
    rows, columns = taken // (w + 3), taken % (w + 3)
    assert len(set(taken.tolist())) == len(taken) <= most and len(taken) >= min(h * w, most / 2)
    assert rows.max() < h and columns.max() < w
    for found, side in ((np.unique(rows), h), (np.unique(columns), w)):
        assert np.ptp(np.diff(found)) <= 1 if len(found) > 1 else side / 2 - 1 <= found[0] <= side / 2
        assert abs(found[0] - (side - 1 - found[-1])) <= 1
    if h * w <= most:
        assert len(taken) == h * w and (np.diff(taken) > 0).all()


def test_statistics_stay_exact_with_half_the_bits(small):
    half = small.replace(dtype=jnp.bfloat16)
    f_c, f_s = features(), features(h=3, w=7, seed=1)
    exact = transform(small.params, small, f_c, f_s)
    found = transform(half.params, half, jax.tree.map(jnp.bfloat16, f_c), jax.tree.map(jnp.bfloat16, f_s))
    assert found.z.dtype == jnp.bfloat16 and found.z_cs.dtype == jnp.float32
    assert np.abs(found.z_cs - exact.z_cs).mean() < 0.02 * np.abs(exact.z_cs).mean()


# ---- networks ----------------------------------------------------------------------------------------------


def size_of(config):
    params = jax.eval_shape(init, jax.random.key(0), style_kernel.Model({}, {}, config))
    return {name: sum(leaf.size for leaf in jax.tree.leaves(part)) for name, part in params.items()}


def test_sizes_are_those_of_the_paper():
    """Of the paper's own numbers there are the layers; see also Table 4."""
    found = size_of(style_kernel.paper())
    conv = 9 * 512
    assert found["query"] == found["key"] == found["value"] == conv * 512 + 512
    assert found["phi"] == conv * 512 + 512 + conv * 7 * 512 + 7 * 512
    assert found["psi"] == 2 * (conv * 512 + 512) + conv * 16 + 16
    assert 33e6 < sum(found.values()) < 33.5e6 and 2.4e6 < found["decoder"] < 2.6e6
    assert sum(size_of(style_kernel.lite()).values()) < 7e6


ROWS = {"base": {"kernels": 0, "gated": False, "shuffled": False}, "SK": {"gated": False, "shuffled": False}}
ROWS |= {"CGM": {"shuffled": False}, "GS": {}, "k1": {"kernels": 1}, "k5": {"kernels": 5}}


@pytest.mark.parametrize("start", [style_kernel.lite, style_kernel.paper])
@pytest.mark.parametrize("row", ROWS)
def test_the_rows_of_the_ablation_are_settings(start, row):
    """Table 5 without its losses, and Table 3."""
    config = dataclasses.replace(start(), **ROWS[row])
    model = style_kernel.Model({}, {}, config)
    params = jax.eval_shape(init, jax.random.key(0), model)
    assert ("phi" in params, "psi" in params) == (config.kernels > 0, config.gated)
    f = {tap: jax.ShapeDtypeStruct((2, s, s, c), jnp.float32) for tap, (s, c) in TAPS.items()}
    found = jax.eval_shape(
        lambda params, f: (t := transform(params, model, f, f), style_kernel.decode(params, model, t.z)), params, f
    )
    assert found[0].z.shape == found[0].z_cs.shape == (2, 4, 4, 512) and found[1].shape == (2, 32, 32, 3)


def test_the_gate_is_open_at_the_start_and_can_move(key):
    net = Psi(SMALL)
    x = normal(1, 3, 4, CHANNELS)
    found = net.apply(net.init(key, x), x)
    variables = net.init(key, x)["params"]
    np.testing.assert_allclose(found, 2 / (1 + np.exp(2)) + np.tanh(-1) / 2, rtol=1e-5)
    assert found.shape == (1, 3, 4, 8) and found.max() < 0
    far = {"kernel": jnp.zeros((1, 1, 3, 16)), "bias": jnp.full(16, 99.0)}
    shifted = {"params": {**variables, "block2": far}}
    np.testing.assert_allclose(net.apply(shifted, x), 2.5)


@pytest.mark.parametrize("near", [True, False])
def test_a_block_is_a_convolution(key, near):
    x = normal(1, 4, 3, 2)
    net = Block(5, near)
    variables = net.init(key, x)
    kernel, far = np.asarray(variables["params"]["kernel"]), int(near)
    expected = np.zeros((1, 4, 3, 5))
    for i, j in np.ndindex(4, 3):
        for a, b in np.ndindex(kernel.shape[:2]):
            expected[0, i, j] += x[0, reflected(i + a - far, 4), reflected(j + b - far, 3)] @ kernel[a, b]
    np.testing.assert_allclose(net.apply(variables, x), expected, rtol=1e-4, atol=1e-5)


def test_the_decoder_of_table_4(key):
    from jaxstyle.nets.convolutions import conv3x3, upsample2x

    net, x = ResidualDecoder(), normal(1, 2, 3, CHANNELS)
    variables = jax.jit(net.init)(key, x)
    p, y = variables["params"], jnp.asarray(x)
    for i in range(3):
        y = upsample2x(y) if i else y
        z = conv3x3(jax.nn.relu(y), p[f"conv{2 * i}"]["kernel"], p[f"conv{2 * i}"]["bias"])
        z = conv3x3(jax.nn.relu(z), p[f"conv{2 * i + 1}"]["kernel"], p[f"conv{2 * i + 1}"]["bias"])
        y = y @ p[f"beside{i}"]["kernel"][0, 0] + p[f"beside{i}"]["bias"][None, None, None] + z
        assert y.shape[-1] == CHANNELS >> (i + 1)
    y = conv3x3(jax.nn.relu(upsample2x(y)), p["conv6"]["kernel"], p["conv6"]["bias"])
    found = jax.jit(net.apply)(variables, x)
    assert found.shape == (1, 16, 24, 3)
    np.testing.assert_allclose(found, (np.tanh(y) + 1) / 2, atol=1e-4)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"heads": 7}, "heads: expected a divisor of 512, got 7"),
        ({"kernels": 2}, "kernels: expected 0 or an odd size, got 2"),
        ({"base": "none"}, "base: expected 'painting' or 'attended', got 'none'"),
        ({"decoder": "unet"}, "decoder: expected 'mirror' or 'residual', got 'unet'"),
        ({"block": 0}, "block: expected at least 1, got 0"),
        ({"far": 4}, "far: expected 0 to 3 blocks, got 4"),
    ],
)
def test_what_cannot_be_built_is_one_line(changes, words):
    with pytest.raises(ValueError, match=f"^{words}$"):
        Config(**changes)


# ---- files -------------------------------------------------------------------------------------------------


def test_weight_files_keep_the_configuration(small, tmp_path):
    file = tmp_path / "small.safetensors"
    style_kernel.save(file, small, licence="none")
    again = style_kernel.load(file)
    assert again.config == SMALL and again.arch == "vgg16" and weights.header(file)["licence"] == "none"
    assert jax.tree.structure(again.params) == jax.tree.structure(small.params)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-6), again.params, small.params)
    style_kernel.save(tmp_path / "again.safetensors", again, licence="none")
    assert (tmp_path / "again.safetensors").read_bytes() == file.read_bytes()


@pytest.mark.parametrize(
    ("metadata", "arrays", "words"),
    [
        ({"config": "no"}, {}, "config: Expecting value"),
        ({"config": None}, {}, "config: Expecting value"),
        ({"config": '{"depth": 3}'}, {}, "config: .*'depth'"),
        ({"config": '{"heads": 7}'}, {}, "config: heads: expected a divisor of 512, got 7"),
        ({"config": '{"aim": 1}'}, {}, "config: aim: expected such as False, got 1"),
        ({"config": "[1]"}, {}, "config: "),
        ({"arch": "vgg19"}, {}, "made for encoder vgg19, but the one given is vgg16"),
        ({}, {"gain": None}, "gain: missing; its arrays are not those of its config"),
        ({}, {"more": np.zeros(3, np.float32)}, "more: not known; its arrays are not those of its config"),
        ({}, {"gain": np.zeros((3, 512), np.float32)}, r"gain: expected shape \(2, 512\), found \(3, 512\)"),
        ({}, {"gain": np.full((2, 512), np.nan, np.float32)}, "gain: holds numbers that are not finite"),
    ],
)
def test_a_file_that_cannot_be_used_is_one_line(small, tmp_path, metadata, arrays, words):
    file = tmp_path / "odd.safetensors"
    style_kernel.save(file, small)
    found = weights.load(file)
    changed = {k: v for k, v in {**found.arrays, **arrays}.items() if v is not None}
    weights.save(file, changed, {k: v for k, v in {**found.metadata, **metadata}.items() if v is not None})
    with pytest.raises(weights.WeightsError, match=f"^{file}: {words}") as caught:
        style_kernel.load(file)
    assert "\n" not in str(caught.value)


def test_what_would_not_load_is_not_saved(small, tmp_path):
    for params, words in (
        ({}, "aim|gain|decoder.*missing"),
        ({**small.params, "sharpness": np.full(8, np.inf, np.float32)}, "sharpness: holds numbers that are not finite"),
    ):
        with pytest.raises(weights.WeightsError, match=words):
            style_kernel.save(tmp_path / "none.safetensors", small.replace(params=params))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"near": False, "values": False, "gated": False},
        {"base": "painting", "content": True, "wide": False, "hidden": 128, "aim": True},
        {"kernels": 0, "decoder": "mirror", "watch": 64, "far": 1, "heads": 4},
    ],
)
def test_shapes_are_those_of_fresh_parameters(changes):
    model = style_kernel.Model({}, {}, dataclasses.replace(style_kernel.paper(), **changes))
    fresh = jax.eval_shape(init, jax.eval_shape(jax.random.key, 0), model)
    found = expected(model)
    assert jax.tree.map(lambda leaf: (leaf.shape, leaf.dtype), found) == jax.tree.map(
        lambda leaf: (leaf.shape, leaf.dtype), fresh
    )
