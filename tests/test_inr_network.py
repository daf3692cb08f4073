import dataclasses
import itertools
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxstyle.methods.inr import network
from jaxstyle.methods.inr.network import InrParams, Network, Spec, init
from jaxstyle.nets import coords as places

SMALL = Spec(octaves=3, latent=4, width=16, depth=4, skip=2, bottleneck=8)
GRIDS = dataclasses.replace(SMALL, grids=(2, 5), features=3)

evaluate = jax.jit(network.evaluate, static_argnames=("dtype",))
evaluate_grid = jax.jit(network.evaluate_grid)


def plain(params, points, alpha):
    """The network as the paper draws it, with its a = 1 - alpha."""
    a = 1 - jnp.asarray(alpha, jnp.float32)[..., None]
    rank = a.ndim - 1
    z_c, z_s = (z.reshape((1,) * rank + (-1,)) for z in (params.z_c, params.z_s))
    z = jnp.broadcast_to(a * z_c + (1 - a) * z_s, (*points.shape[:-1], params.spec.latent))
    degree = jnp.broadcast_to(jnp.asarray(alpha, jnp.float32), points.shape[:-1])
    return Network(params.spec).apply({"params": params.network}, points, z, degree)


def with_grids(key, spec=GRIDS):
    """Parameters whose grids are no longer near zero."""
    params = init(key, spec)
    for cells in spec.grids:
        params.network[f"grid{cells}"] = jax.tree.map(lambda v: 50 * v, params.network[f"grid{cells}"])
    return params


def points(shape, seed=0):
    return jnp.asarray(np.random.default_rng(seed).uniform(-1, 1, (*shape, 2)), jnp.float32)


def alphas(shape, seed=1):
    return jnp.asarray(np.random.default_rng(seed).random(shape), jnp.float32)


# ---- the function ------------------------------------------------------------------------------------------


def test_the_default_network_is_the_papers(key):
    params = init(key)
    shapes = jax.tree.map(jnp.shape, params.network)
    entry = 26 + 16
    wanted = {"layer0": (entry, 256), "layer5": (256 + entry, 256), "linear": (256, 128), "rgb": (128, 3)}
    wanted |= {f"layer{i}": (256, 256) for i in (1, 2, 3, 4, 6, 7)}
    assert {name: layer["kernel"] for name, layer in shapes.items()} == wanted
    assert all(layer["bias"] == layer["kernel"][1:] for layer in shapes.values())
    assert params.z_c.shape == params.z_s.shape == (16,)
    for layer in params.network.values():
        fan_in, fan_out = layer["kernel"].shape
        bound = (6 / (fan_in + fan_out)) ** 0.5  # Xavier
        assert 0.9 * bound < jnp.abs(layer["kernel"]).max() <= bound
        assert jnp.abs(layer["bias"]).max() <= fan_in**-0.5


def test_latents_are_normal_and_everything_comes_from_the_key(key):
    spec = dataclasses.replace(SMALL, latent=4000)
    a, b, other = init(key, spec), init(key, spec), init(jax.random.key(1), spec)
    for z in (a.z_c, a.z_s):
        assert abs(float(z.mean())) < 0.05 and abs(float(z.std()) - 1) < 0.05
    assert not np.array_equal(a.z_c, a.z_s)
    for same, found, different in zip(*map(jax.tree.leaves, (a, b, other)), strict=True):
        np.testing.assert_array_equal(same, found)
        assert not np.array_equal(same, different)


@pytest.mark.parametrize(
    "spec",
    [
        Spec(),
        dataclasses.replace(SMALL, skip=0),
        dataclasses.replace(SMALL, skip=1, octaves=0, omega=3.0),
        dataclasses.replace(SMALL, skip=3, omega=np.pi),
        dataclasses.replace(SMALL, depth=1, skip=0),
        GRIDS,
        dataclasses.replace(GRIDS, octaves=0, skip=0),
    ],
    ids=str,
)
def test_the_savings_change_nothing_but_rounding(spec, key):
    @jax.jit
    def both(params, at, mixed, index):
        """(found, wanted) of every way to compute, with one alpha and with many."""
        x, y, one = at[0, :, 0], at[:, 0, 1], jnp.float32(0.3)
        grid = jnp.stack(jnp.meshgrid(x, y), axis=-1)
        whole = network.evaluate_grid(params, x, y, one)
        return [
            (network.evaluate(params, at, mixed), plain(params, at, mixed)),
            (network.evaluate(params, at, one), plain(params, at, one)),
            (network.evaluate_grid(params, x, y, mixed), plain(params, grid, mixed)),
            (whole, plain(params, grid, one)),
            (network.evaluate_sparse(params, x, y, one, index), whole.reshape(-1, 3)[index]),
        ]

    for found, wanted in both(with_grids(key, spec), points((5, 4)), alphas((5, 4)), jnp.array([7, 0, 19, 7])):
        assert found.dtype == jnp.float32 and found.shape == wanted.shape
        np.testing.assert_allclose(found, wanted, atol=1e-6)


@pytest.mark.parametrize("spec", [SMALL, GRIDS], ids=["paper", "grids"])
def test_gradients_are_those_of_the_plain_network(spec, key):
    x, y = jnp.linspace(-1, 1, 4), jnp.linspace(-1, 1, 5)
    grid = jnp.stack(jnp.meshgrid(x, y), axis=-1)
    probe = jnp.asarray(np.random.default_rng(2).normal(size=(5, 4, 3)), jnp.float32)

    @jax.jit
    def gradients(params, mixed):
        found = []
        for alpha in (jnp.float32(0.7), mixed):
            functions = (
                lambda p, alpha=alpha: plain(p, grid, alpha),
                lambda p, alpha=alpha: network.evaluate_grid(p, x, y, alpha),
                lambda p, alpha=alpha: network.evaluate(p, grid, alpha),
            )
            found.append([jax.grad(lambda p, f=f: (f(p) * probe).sum())(params) for f in functions])
        return found

    for wanted, *ways in gradients(with_grids(key, spec), alphas((5, 4))):
        for found in ways:
            jax.tree.map(partial(np.testing.assert_allclose, rtol=1e-4, atol=1e-5), found, wanted)


def test_the_ends_know_nothing_of_each_other(key):
    """At alpha 0 the style's latent, at alpha 1 the content's, changes not a bit."""
    params, at = init(key, SMALL), points((9,))
    x, y = at[:, 0], at[:, 1]
    for alpha, other in ((0.0, "z_s"), (1.0, "z_c")):
        changed = dataclasses.replace(params, **{other: 1e3 * getattr(params, other) + 7})
        degree = jnp.full((9,), alpha)
        np.testing.assert_array_equal(evaluate(params, at, degree), evaluate(changed, at, degree))
        degree = jnp.float32(alpha)
        np.testing.assert_array_equal(evaluate_grid(params, x, y, degree), evaluate_grid(changed, x, y, degree))
    content, style = (evaluate(params, at, jnp.full((9,), end)) for end in (0.0, 1.0))
    assert np.abs(content - style).max() > 1e-3


def test_the_ends_know_nothing_of_each_others_grids(key):
    params, at = with_grids(key), points((9,))
    for alpha, other in ((0.0, "style"), (1.0, "content")):
        grids = {f"grid{n}": {**params.network[f"grid{n}"], other: jnp.full((n + 2, n + 2, 3), 9.0)} for n in (2, 5)}
        changed = dataclasses.replace(params, network=params.network | grids)
        for degree in (jnp.float32(alpha), jnp.full((9,), alpha)):
            np.testing.assert_array_equal(evaluate(params, at, degree), evaluate(changed, at, degree))
        assert np.abs(evaluate(params, at, jnp.float32(0.5)) - evaluate(changed, at, jnp.float32(0.5))).max() > 1e-3


def test_hidden_layers_in_bfloat16_are_close(key):
    params, at = init(key), points((50,))
    exact, rough = (evaluate(params, at, jnp.float32(0.4), dtype=t) for t in (jnp.float32, jnp.bfloat16))
    assert rough.dtype == jnp.float32
    assert 0 < np.abs(exact - rough).max() < 0.02


def test_vmap_over_pictures_equals_a_loop():
    several = [init(jax.random.key(i), SMALL) for i in range(3)]
    stacked = jax.tree.map(lambda *leaves: jnp.stack(leaves), *several)
    assert stacked.spec == SMALL
    x = y = jnp.linspace(-1, 1, 4)
    found = jax.vmap(lambda p: evaluate_grid(p, x, y, jnp.float32(0.4)))(stacked)
    for one, wanted in zip(found, several, strict=True):
        np.testing.assert_allclose(one, evaluate_grid(wanted, x, y, jnp.float32(0.4)), atol=1e-6)


def test_a_picture_is_a_pytree_with_a_static_spec(key):
    params = init(key, SMALL, size=(30, 20))
    assert len(jax.tree.leaves(params)) == 2 * (SMALL.depth + 2) + 2
    same = jax.jit(lambda p: p)(params)
    assert (type(same), same.spec, same.size) == (InrParams, SMALL, (30, 20))


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("octaves", -1, "octaves: expected a whole number of at least 0, got -1"),
        ("width", 2.5, "width: expected a whole number of at least 1, got 2.5"),
        ("depth", 0, "depth: expected a whole number of at least 1, got 0"),
        ("skip", 8, "skip: expected a layer from 1 to 7, or 0 for none, got 8"),
        ("omega", float("nan"), "omega: expected a positive number, got nan"),
        ("omega", "1", "omega: expected a positive number, got '1'"),
        ("grids", (8, 0), "grids: expected whole numbers of at least 1, got (8, 0)"),
        ("grids", (8, 8), "grids: expected different numbers, got (8, 8)"),
        ("features", 0, "features: expected a whole number of at least 1, got 0"),
    ],
)
def test_a_spec_that_no_network_can_have_is_refused(field, value, message):
    with pytest.raises(ValueError) as error:
        Spec(**{field: value})
    assert str(error.value) == message


def test_places_of_a_grid_are_those_of_its_points(key):
    """The grid that `coords.grid` lists is the one that `evaluate_grid` computes."""
    params = init(key, SMALL)
    x, y = (jnp.asarray(places.axis(n), jnp.float32) for n in (5, 3))
    alpha = jnp.float32(0.5)
    listed = evaluate(params, jnp.asarray(places.grid(5, 3)), alpha)
    np.testing.assert_allclose(evaluate_grid(params, x, y, alpha), listed, atol=1e-6)
    for (i, row), (j, column) in itertools.product(enumerate(y), enumerate(x)):
        np.testing.assert_allclose(listed[i, j], evaluate(params, jnp.stack([column, row]), alpha), atol=1e-6)
