"""The patch discriminator against slow forms and PyTorch's layers."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

from jaxstyle.nets import discriminator
from jaxstyle.nets.discriminator import Discriminator, conv4x4, half, init, judge, objective, squared_loss


def random(shape, seed=0):
    return jnp.asarray(np.random.default_rng(seed).random(shape), jnp.float32)


def plain(x, kernel, stride):
    numbers = ("NHWC", "HWIO", "NHWC")
    return lax.conv_general_dilated(x, kernel, (stride, stride), ((2, 2), (2, 2)), dimension_numbers=numbers)


@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("size", [(1, 1), (2, 5), (7, 6), (8, 8)])
def test_a_convolution_equals_the_plain_one(size, stride):
    x, kernel = random((2, *size, 3)), random((4, 4, 3, 5), seed=1) - 0.5
    expected = plain(x, kernel, stride)
    assert expected.shape[1:3] == tuple(side // stride + 1 for side in size)
    np.testing.assert_allclose(conv4x4(x, kernel, stride=stride), expected, rtol=1e-4, atol=1e-5)
    weigh = random(expected.shape, seed=2)
    found, wanted = (
        jax.grad(lambda x, k, f=f: (f(x, k) * weigh).sum(), argnums=(0, 1))(x, kernel)
        for f in (lambda x, k: conv4x4(x, k, stride=stride), lambda x, k: plain(x, k, stride))
    )
    for a, b in zip(found, wanted, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-4)


def test_another_stride_is_refused():
    with pytest.raises(ValueError, match="stride: expected 1 or 2, got 3"):
        conv4x4(jnp.zeros((1, 4, 4, 1)), jnp.zeros((4, 4, 1, 1)), stride=3)


@pytest.mark.parametrize("size", [(1, 1), (2, 3), (6, 7)])
def test_half_is_the_mean_of_what_there_is(size):
    x = np.asarray(random((2, *size, 3)))
    found = half(jnp.asarray(x))
    assert found.shape == (2, -(-size[0] // 2), -(-size[1] // 2), 3)
    for i in range(found.shape[1]):
        for j in range(found.shape[2]):
            seen = x[:, max(2 * i - 1, 0) : 2 * i + 2, max(2 * j - 1, 0) : 2 * j + 2]
            np.testing.assert_allclose(found[:, i, j], seen.mean((1, 2)), rtol=1e-5)


def test_sizes_and_parameters():
    """The authors' network has 2 764 737 parameters a scale for three channels."""
    params = jax.eval_shape(init, jax.random.key(0))
    assert sum(np.prod(leaf.shape) for leaf in jax.tree.leaves(params)) == 2 * 2_764_737
    for size, maps in ((8, [(4, 4), (4, 4)]), (96, [(15, 15), (9, 9)])):
        scores = jax.eval_shape(judge, params, jax.ShapeDtypeStruct((2, size, size, 3), jnp.float32))
        assert [s.shape for s in scores] == [(2, *shape) for shape in maps]


def small(images):
    net = Discriminator(width=4)
    return net, jax.jit(net.init)(jax.random.key(0), images)


@pytest.mark.torch
def test_equals_pytorch():
    torch = pytest.importorskip("torch")
    images = random((2, 27, 32, 3))
    net, params = small(images)
    params = jax.tree.map(lambda a: random(a.shape, seed=a.size) - 0.5, params)
    x = torch.from_numpy(np.array(2 * images - 1)).permute(0, 3, 1, 2)
    nn = torch.nn
    for scale, scores in enumerate(net.apply(params, images)):
        layers = []
        for i, (stride, norm) in enumerate(((2, False), (2, True), (2, True), (1, True), (1, None))):
            kernel, bias = (params["params"][f"scale{scale}"][f"conv{i}"][name] for name in ("kernel", "bias"))
            conv = nn.Conv2d(*kernel.shape[2:], 4, stride, 2)
            conv.weight.data = torch.from_numpy(np.asarray(kernel).transpose(3, 2, 0, 1).copy())
            conv.bias.data = torch.from_numpy(np.array(bias))
            layers += [conv, *([nn.InstanceNorm2d(kernel.shape[3])] if norm else [])]
            layers += [nn.LeakyReLU(0.2)] if norm is not None else []
        seen = nn.AvgPool2d(3, 2, [1, 1], count_include_pad=False)(x) if scale else x
        with torch.no_grad():
            expected = nn.Sequential(*layers)(seen)[:, 0].numpy()
        np.testing.assert_allclose(scores, expected, rtol=1e-3, atol=1e-3 * np.abs(expected).max())


def test_losses_by_hand():
    scores = [jnp.array([[[1.0, 3.0]], [[1.0, 1.0]]]), jnp.array([[[0.0]], [[2.0]]])]
    assert float(squared_loss(scores, 1.0)) == pytest.approx((2 + 0) / 2 + 1)
    assert float(squared_loss(scores, 1.0, jnp.array([1.0, 0.0]))) == pytest.approx((2 + 1) / 2)


def test_it_learns_to_tell_two_kinds_apart_and_leaves_the_pictures_alone(monkeypatch):
    dark, bright = 0.3 * random((2, 16, 16, 3)), 0.7 + 0.3 * random((2, 16, 16, 3), seed=1)
    _, params = small(dark)
    monkeypatch.setattr(discriminator, "Discriminator", lambda dtype: Discriminator(width=4, dtype=dtype))
    loss = jax.jit(objective)
    first = float(loss(params, bright, dark))
    zeros = jax.tree.map(jnp.zeros_like, params)
    assert float(loss(zeros, bright, dark)) == pytest.approx(0.5 * 2)  # scores 0: half of (1 + 0) on two scales
    gradients = jax.jit(jax.grad(objective, argnums=(0, 2)))
    for _ in range(30):
        grads, of_made = gradients(params, bright, dark)
        params = jax.tree.map(lambda a, g: a - 0.02 * g, params, grads)
    assert float(loss(params, bright, dark)) < 0.7 * first
    assert float(jnp.abs(of_made).max()) == 0
    one, other = (loss(params, bright, dark, rows=jnp.array(rows)) for rows in ([1.0, 0.0], [0.0, 1.0]))
    assert float(one + other) == pytest.approx(float(loss(params, bright, dark)), rel=1e-4)


def test_flat_pictures_have_finite_gradients_and_bfloat16_float32_scores():
    images = jnp.full((1, 16, 16, 3), 0.5)
    net, params = small(images)
    grads = jax.jit(jax.grad(lambda p, x: squared_loss(net.apply(p, x), 1.0), argnums=(0, 1)))(params, images)
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(grads))
    nets = net, Discriminator(width=4, dtype=jnp.bfloat16)
    exactly, roughly = (jax.jit(net.apply)(params, random((1, 16, 16, 3))) for net in nets)
    for found, exact in zip(roughly, exactly, strict=True):
        assert found.dtype == jnp.float32
        np.testing.assert_allclose(found, exact, atol=0.05 * float(jnp.abs(exact).max()) + 0.01)
