import re
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

from jaxstyle.nets import convolutions
from jaxstyle.nets.convolutions import (
    avg_pool2x2,
    conv3x3,
    inner,
    max_pool2x2,
    mirror,
    ring,
    ring_upsample_conv3x3,
    upsample2x,
    upsample_conv3x3,
)
from jaxstyle.nets.layers import Conv3x3

# (N, H, W, Cin, Cout): tiny, odd with few outputs, more positions than a strip (2048), a row longer than a
# strip, more images than strips
SHAPES = [(1, 2, 2, 3, 16), (2, 5, 7, 4, 3), (2, 33, 40, 5, 10), (1, 2, 2100, 3, 9), (70, 6, 6, 3, 9)]


def plain_conv(x, kernel, bias, padding):
    if padding == "reflect":
        x = jnp.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0)), mode="reflect")
    else:
        x = jnp.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0)))
    dims = ("NHWC", "HWIO", "NHWC")
    return lax.conv_general_dilated(x, kernel, (1, 1), "VALID", dimension_numbers=dims) + bias


def plain_upsample_conv(x, kernel, bias):
    return plain_conv(jnp.repeat(jnp.repeat(x, 2, axis=1), 2, axis=2), kernel, bias, "reflect")


def arguments(shape, scale=1, seed=0):
    """x, kernel, bias and a cotangent for the output, ``scale`` times as high and wide as x."""
    n, h, w, c_in, c_out = shape
    rng = np.random.default_rng(seed)
    shapes = [(n, h, w, c_in), (3, 3, c_in, c_out), (c_out,), (n, scale * h, scale * w, c_out)]
    return [jnp.asarray(rng.normal(size=shape), jnp.float32) for shape in shapes]


def value_and_gradients(function, args, dy):
    def both(args, dy):
        y, pull = jax.vjp(function, *args)
        return (y, *pull(dy))

    return jax.jit(both)(args, dy)


def assert_close(found, expected, tolerance=2e-5):
    """Largest difference below ``tolerance`` of the largest value, for every array of two trees."""
    assert jax.tree.structure(found) == jax.tree.structure(expected)
    for a, b in zip(jax.tree.leaves(found), jax.tree.leaves(expected), strict=True):
        assert a.shape == b.shape
        a, b = np.asarray(a, np.float64), np.asarray(b, np.float64)
        assert np.isfinite(a).all()
        assert np.abs(a - b).max() <= tolerance * np.abs(b).max()


def with_flat_bias(function, *rest):
    return lambda x, kernel, bias: function(x, kernel, bias.reshape(1, 1, 1, -1), *rest)


@pytest.mark.parametrize(
    ("shape", "padding"),
    [(s, "reflect") for s in SHAPES] + [((1, 1, 3, 3, 4), "zero"), (SHAPES[2], "zero")],
    ids=str,
)
def test_conv_equals_pad_and_valid_convolution(shape, padding):
    *args, dy = arguments(shape)
    found = value_and_gradients(lambda *a: conv3x3(*a, padding=padding), args, dy)
    expected = value_and_gradients(with_flat_bias(plain_conv, padding), args, dy)
    assert_close(found, expected)


@pytest.mark.parametrize("shape", [(1, 1, 1, 3, 12), (2, 1, 4, 3, 4), *SHAPES[1:]], ids=str)
def test_upsampling_conv_equals_repeat_and_conv(shape):
    *args, dy = arguments(shape, scale=2)
    found = value_and_gradients(upsample_conv3x3, args, dy)
    assert_close(found, value_and_gradients(with_flat_bias(plain_upsample_conv), args, dy))


@pytest.mark.parametrize("padding", ["zero", "reflect"])
@pytest.mark.parametrize("height", [2, 3, 4, 5, 9])
def test_four_rows_at_once_equal_one_by_one(height, padding, monkeypatch):
    """Full tiles, and one that ends after 1, 2 and 3 rows; values and gradients."""
    monkeypatch.setattr(convolutions, "_MANY", 1)
    monkeypatch.setattr(convolutions, "_LARGE", 1)
    *args, dy = arguments((2, height, 5, 3, 9))
    found = value_and_gradients(lambda *a: conv3x3(*a, padding=padding), args, dy)
    assert_close(found, value_and_gradients(with_flat_bias(plain_conv, padding), args, dy))


def test_many_channels_take_half_of_the_multiplications():
    """Two convolutions of 1x3 for each row of a tile instead of three; to the rounding that the docstring names."""

    def operations(shape, dtype=jnp.float32):
        x, kernel, *_ = (a.astype(dtype) for a in arguments(shape))
        jaxpr = str(jax.make_jaxpr(lambda *a: conv3x3(*a, padding="zero"))(x, kernel))
        return len(re.findall(r"conv_general_dilated\[", jaxpr))

    many = (1, 33, 32, 128, 130)
    assert operations(many) == 6
    assert operations(many, jnp.bfloat16) == operations((1, 33, 32, 64, 128)) == operations((1, 8, 8, 128, 128)) == 1
    *args, _ = arguments(many)
    assert_close(conv3x3(*args, padding="zero"), with_flat_bias(plain_conv, "zero")(*args), tolerance=4e-6)


def test_the_kernel_gradient_takes_every_path():
    """The shapes above reach what they are meant to: without this the paths could move away from them."""
    positions = [n * h * w for n, h, w, _, _ in SHAPES]
    assert any(p > convolutions._STRIP and s[-1] > 8 for p, s in zip(positions, SHAPES, strict=True))
    assert any(w > convolutions._STRIP for _, _, w, _, _ in SHAPES)
    assert any(n > convolutions._MAX_STRIPS and n * h * w > convolutions._STRIP for n, h, w, _, _ in SHAPES)
    assert any(c_out <= 8 for *_, c_out in SHAPES)


@pytest.mark.parametrize("shape", [(4000, 2, 2, 3, 9), (2, 400, 40, 3, 9)], ids=str)
def test_the_kernel_gradient_has_a_bounded_number_of_operations(shape):
    *args, dy = arguments(shape)
    jaxpr = str(jax.make_jaxpr(lambda *a: jax.vjp(conv3x3, *a)[1](dy))(*args))  # traced, neither compiled nor run
    strips = len(re.findall(r"conv_general_dilated\[", jaxpr))
    assert 1 < strips <= 2 * convolutions._MAX_STRIPS + 20  # 20 for the convolution, its ring and the gradient by x


@pytest.mark.parametrize(
    ("function", "shape"),
    [(conv3x3, (1, 70, 31, 8, 12)), (upsample_conv3x3, (2, 6, 5, 8, 4))],
    ids=["conv", "up"],
)
def test_bfloat16_agrees_with_float32_and_stays_bfloat16(function, shape):
    *args, dy = arguments(shape, scale=1 if function is conv3x3 else 2)
    half = [a.astype(jnp.bfloat16) for a in (*args, dy)]
    found = value_and_gradients(function, half[:-1], half[-1])
    assert all(a.dtype == jnp.bfloat16 for a in found)
    expected = value_and_gradients(function, [a.astype(jnp.float32) for a in half[:-1]], half[-1].astype(jnp.float32))
    assert_close(found, expected, tolerance=2e-2)


def test_bfloat16_gradients_of_the_parameters_are_summed_in_float32():
    """25 000 equal terms in 12 strips: a running sum in bfloat16 would stop growing at 256."""
    x, dy = jnp.ones((12, 45, 45, 2), jnp.bfloat16), jnp.ones((12, 45, 45, 9), jnp.bfloat16)
    kernel, bias = jnp.zeros((3, 3, 2, 9), jnp.bfloat16), jnp.zeros((9,), jnp.bfloat16)
    pull = jax.vjp(lambda kernel, bias: conv3x3(x, kernel, bias), kernel, bias)[1]
    assert_close(jax.jit(pull)(dy), (jnp.full((3, 3, 2, 9), 12 * 45 * 45.0), jnp.full((9,), 12 * 45 * 45.0)), 4e-3)


@pytest.mark.parametrize("function", [conv3x3, upsample_conv3x3])
@pytest.mark.parametrize(
    ("shape", "axis"), [((1, 4, 5, 3, 4), 0), ((2, 40, 30, 2, 9), None)], ids=["own kernels", "one kernel"]
)
def test_vmap_equals_a_loop(function, shape, axis):
    calls = [arguments(shape, scale=1 if function is conv3x3 else 2, seed=seed) for seed in range(3)]
    if axis is None:
        calls = [[call[0], *calls[0][1:3], call[3]] for call in calls]

    @jax.jit
    def both(x, kernel, bias, dy):
        y, pull = jax.vjp(function, x, kernel, bias)
        return (y, *pull(dy))

    stacked = [np.stack(a) for a in zip(*calls, strict=True)]
    if axis is None:
        stacked[1:3] = calls[0][1:3]
    found = jax.jit(jax.vmap(both, in_axes=(0, axis, axis, 0)))(*stacked)
    expected = [np.stack(a) for a in zip(*(both(*call) for call in calls), strict=True)]
    assert_close(found, tuple(expected))


@pytest.mark.parametrize("function", [conv3x3, upsample_conv3x3])
def test_without_jit_the_same(function):
    x, kernel, bias, _ = arguments((2, 6, 5, 4, 9))
    with jax.disable_jit():
        eager = function(x, kernel, bias)
    assert_close(eager, jax.jit(function)(x, kernel, bias))


@pytest.mark.parametrize("function", [conv3x3, upsample_conv3x3])
@pytest.mark.parametrize("shape", [(1, 4, 5, 3, 3), (1, 3, 700, 3, 9)], ids=str)
def test_gradients_are_slopes(function, shape):
    """Along a random direction, in double precision; linear in every argument: differences are exact."""
    with jax.enable_x64(True):
        *args, dy = (np.float64(a) for a in arguments(shape, scale=1 if function is conv3x3 else 2))
        other = [np.float64(a) for a in arguments(shape, seed=1)[:3]]
        y, *gradients = value_and_gradients(function, args, dy)
        run = jax.jit(function)
        for i, (gradient, direction) in enumerate(zip(gradients, other, strict=True)):
            moved = [a + direction if i == j else a for j, a in enumerate(args)]
            np.testing.assert_allclose((gradient * direction).sum(), ((run(*moved) - y) * dy).sum(), rtol=1e-9)


@pytest.mark.parametrize("function", [conv3x3, upsample_conv3x3])
def test_gradients_can_be_differentiated_again(function):
    """A gradient penalty, as adversarial losses use it: d/dkernel of |d/dx|^2."""
    x, kernel, bias, _ = arguments((1, 5, 6, 3, 9))
    plain = with_flat_bias(plain_conv, "reflect") if function is conv3x3 else with_flat_bias(plain_upsample_conv)

    def penalty(kernel, convolve):
        slope = jax.grad(lambda x: jnp.square(convolve(x, kernel, bias)).sum())(x)
        return jnp.square(slope).sum()

    found, expected = jax.jit(lambda k: [jax.grad(penalty)(k, f) for f in (function, plain)])(kernel)
    assert_close(found, expected, tolerance=1e-4)


@pytest.mark.torch
@pytest.mark.parametrize("mode", ["reflect", "zero"])
@pytest.mark.parametrize("shape", [(2, 7, 5, 6, 4), (2, 33, 40, 5, 10)], ids=str)
def test_conv_equals_torch(shape, mode):
    torch = pytest.importorskip("torch")
    *args, dy = arguments(shape)
    x, kernel, bias, cotangent = (torch.tensor(np.asarray(a)) for a in (*args, dy))
    net = torch.nn.Conv2d(*shape[3:], 3, padding=1, padding_mode="zeros" if mode == "zero" else mode)
    with torch.no_grad():
        net.weight.copy_(kernel.permute(3, 2, 0, 1))
        net.bias.copy_(bias)
    x = x.permute(0, 3, 1, 2).requires_grad_()
    y = net(x)
    y.backward(cotangent.permute(0, 3, 1, 2))
    expected = (
        y.detach().permute(0, 2, 3, 1),
        x.grad.permute(0, 2, 3, 1),
        net.weight.grad.permute(2, 3, 1, 0),
    )
    found = value_and_gradients(lambda *a: conv3x3(*a, padding=mode), args, dy)
    assert_close(found, tuple(t.numpy() for t in (*expected, net.bias.grad)))


@pytest.mark.torch
def test_upsampling_conv_equals_torch():
    torch = pytest.importorskip("torch")
    x, kernel, bias, _ = arguments((2, 5, 7, 6, 4))
    up = torch.nn.functional.interpolate(torch.tensor(np.asarray(x)).permute(0, 3, 1, 2), scale_factor=2.0)
    up = torch.nn.functional.pad(up, (1, 1, 1, 1), mode="reflect")
    taps = torch.tensor(np.asarray(kernel)).permute(3, 2, 0, 1)
    expected = torch.nn.functional.conv2d(up, taps, torch.tensor(np.asarray(bias)))
    assert_close(upsample_conv3x3(x, kernel, bias), expected.permute(0, 2, 3, 1).numpy())


def test_conv_is_a_cross_correlation_with_mirrored_border():
    x = jnp.arange(12.0).reshape(1, 3, 4, 1)
    kernel = jnp.zeros((3, 3, 1, 1)).at[0, 0].set(1)  # takes the pixel above and to the left
    rows, columns = jnp.array([1, 0, 1]), jnp.array([1, 0, 1, 2])
    np.testing.assert_array_equal(conv3x3(x, kernel), x[:, rows][:, :, columns])
    shifted = jnp.pad(x[:, :-1, :-1], ((0, 0), (1, 0), (1, 0), (0, 0)))
    np.testing.assert_array_equal(conv3x3(x, kernel, padding="zero"), shifted)


def test_reflection_keeps_constants():
    x, kernel = jnp.full((1, 5, 4, 2), 3.0), jnp.full((3, 3, 2, 9), 0.25)
    np.testing.assert_allclose(conv3x3(x, kernel), jnp.full((1, 5, 4, 9), 3 * 0.25 * 18))
    np.testing.assert_allclose(upsample_conv3x3(x, kernel), jnp.full((1, 10, 8, 9), 3 * 0.25 * 18))


def test_upsample_repeats_pixels():
    x = jax.random.normal(jax.random.key(0), (2, 3, 4, 5))
    np.testing.assert_array_equal(upsample2x(x), jnp.repeat(jnp.repeat(x, 2, axis=1), 2, axis=2))


def test_conv_errors():
    kernel = jnp.zeros((3, 3, 3, 4))
    with pytest.raises(ValueError, match=r"^padding: expected 'reflect' or 'zero', got 'same'$"):
        conv3x3(jnp.zeros((1, 4, 4, 3)), kernel, padding="same")
    with pytest.raises(ValueError, match=r"^x: reflect padding needs .* at least 2, got shape \(1, 1, 4, 3\)$"):
        conv3x3(jnp.zeros((1, 1, 4, 3)), kernel)
    assert conv3x3(jnp.zeros((1, 1, 4, 3)), kernel, padding="zero").shape == (1, 1, 4, 4)


# ---- pooling -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", [(2, 4, 6, 3), (1, 7, 5, 2), (1, 2, 3, 1), (1, 16, 16, 8)], ids=str)
def test_max_pool_and_its_gradient_equal_reduce_window(shape, key):
    x = jax.random.permutation(key, jnp.arange(float(np.prod(shape)))).reshape(shape)  # no ties
    dy = jax.random.normal(key, (shape[0], shape[1] // 2, shape[2] // 2, shape[3]))

    def reference(x):
        return lax.reduce_window(x, -jnp.inf, lax.max, (1, 2, 2, 1), (1, 2, 2, 1), "VALID")

    for function in (max_pool2x2, jax.jit(max_pool2x2)):
        found, pull = jax.vjp(function, x)
        expected, reference_pull = jax.vjp(reference, x)
        np.testing.assert_array_equal(found, expected)
        np.testing.assert_array_equal(pull(dy)[0], reference_pull(dy)[0])


def reference_gradient_text(x):
    def loss(x):
        pooled = lax.reduce_window(x, -jnp.inf, lax.max, (1, 2, 2, 1), (1, 2, 2, 1), "VALID")
        return jnp.square(pooled).sum()

    return jax.jit(jax.grad(loss)).lower(x).as_text(dialect="hlo")


def test_max_pool_shares_the_gradient_where_values_tie():
    flat = jax.grad(lambda x: max_pool2x2(x).sum())(jnp.zeros((1, 4, 4, 2)))
    np.testing.assert_array_equal(flat, jnp.full((1, 4, 4, 2), 0.25))
    two = jnp.array([[5.0, 1.0], [1.0, 5.0]]).reshape(1, 2, 2, 1)
    np.testing.assert_array_equal(jax.grad(lambda x: max_pool2x2(x).sum())(two), two // 5 / 2)


def test_the_max_pool_gradient_needs_no_scatter():
    x = jnp.zeros((1, 8, 8, 4))
    compiled = jax.jit(jax.grad(lambda x: jnp.square(max_pool2x2(x)).sum())).lower(x).compile().as_text()
    assert " maximum(" in compiled and not re.search(r" (select-and-)?scatter\(", compiled)
    assert re.search(r" select-and-scatter\(", reference_gradient_text(x))  # what the search would find


@pytest.mark.parametrize("shape", [(2, 4, 6, 3), (1, 7, 5, 2)], ids=str)
def test_avg_pool_is_the_mean_of_four(shape, key):
    x = jax.random.normal(key, shape)
    n, h, w, c = shape
    even = x[:, : h // 2 * 2, : w // 2 * 2].reshape(n, h // 2, 2, w // 2, 2, c)
    np.testing.assert_allclose(avg_pool2x2(x), even.mean((2, 4)), atol=1e-6)
    assert avg_pool2x2(x.astype(jnp.bfloat16)).dtype == jnp.bfloat16


# ---- module ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("upsample", [False, True])
def test_module_is_the_function(upsample, key):
    x = jax.random.normal(key, (2, 6, 4, 5))
    module = Conv3x3(7, upsample=upsample)
    variables = module.init(key, ring(x))
    params = variables["params"]
    assert jax.tree.map(jnp.shape, params) == {"kernel": (3, 3, 5, 7), "bias": (7,)}
    function = upsample_conv3x3 if upsample else conv3x3
    found = inner(module.apply(variables, ring(x)))
    np.testing.assert_array_equal(found, function(x, params["kernel"], params["bias"]))


def test_module_types(key):
    x = jax.random.normal(key, (1, 5, 4, 5))
    module = Conv3x3(7, dtype=jnp.bfloat16)
    variables = module.init(key, x)
    assert {a.dtype.name for a in jax.tree.leaves(variables)} == {"float32"}
    assert module.apply(variables, x).dtype == jnp.bfloat16


# ---- rings -------------------------------------------------------------------------------------------------


def test_mirror_is_reflect_padding():
    x = jax.random.normal(jax.random.key(0), (2, 4, 5, 3))
    around = ((0, 0), (1, 1), (1, 1), (0, 0))
    np.testing.assert_array_equal(mirror(ring(x)), jnp.pad(x, around, mode="reflect"))
    np.testing.assert_array_equal(mirror(ring(x), repeat=True), jnp.pad(x, around, mode="edge"))
    np.testing.assert_array_equal(inner(ring(x)), x)


@pytest.mark.parametrize("upsample", [False, True])
def test_a_picture_in_a_larger_array_ends_where_it_ends(upsample):
    """One program for all sizes, and inside each the convolution of the picture alone, and its gradients."""
    x, kernel, bias, dy = arguments((2, 6, 7, 4, 3), scale=1 + upsample)
    conv, alone = (ring_upsample_conv3x3, upsample_conv3x3) if upsample else (partial(conv3x3, padding="zero"), conv3x3)

    def of_the_picture(size):  # outputs that are the picture's, as a mask
        rows, columns = (jnp.arange(n) < (1 + upsample) * end for n, end in zip(dy.shape[1:3], size, strict=True))
        return (rows[:, None] & columns[None])[None, ..., None]

    @jax.jit
    def laid(x, size):
        y, pull = jax.vjp(lambda x, k, b: inner(conv(mirror(ring(x), size, repeat=upsample), k, b)), x, kernel, bias)
        return (y, *pull(dy * of_the_picture(size)))

    for h, w in ((2, 7), (5, 4), (6, 7)):
        y, dx, *others = laid(x, np.int32([h, w]))
        tall, wide = (n + n * upsample for n in (h, w))
        cut = value_and_gradients(alone, (x[:, :h, :w], kernel, bias), dy[:, :tall, :wide])
        assert_close((y[:, :tall, :wide], dx[:, :h, :w], *others), cut)
        assert not dx[:, h:].any() and not dx[:, :, w:].any()
    assert laid._cache_size() == 1
