import functools
import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxstyle import weights
from jaxstyle.nets import layers, vgg

TAPS = {a: [f"{kind}{n[4:]}" for n in vgg.conv_names(a) for kind in ("conv", "relu")] for a in ("vgg16", "vgg19")}


@functools.cache
def shipped():
    """The shipped VGG-16, float16 kernels as float32."""
    return vgg.from_arrays(weights.load("vgg16", kind="vgg").arrays)


def tiny(arch="vgg16", seed=0, through=None):
    """Random parameters, He-normal, with biases."""
    rng = np.random.default_rng(seed)
    params = {}
    for name in vgg.conv_names(arch):
        shape = vgg.kernel_shape(name)
        kernel = rng.normal(0, np.sqrt(2 / np.prod(shape[:3])), shape)
        params[name] = {
            "kernel": kernel.astype(np.float32),
            "bias": rng.normal(0, 0.1, shape[3]).astype(np.float32),
        }
        if name == through:
            break
    return params


def images(shape, seed=0):
    """Smooth random pictures: noise alone leaves deep layers dead."""
    rng = np.random.default_rng(seed)
    n, h, w, _ = shape
    coarse = rng.random((n, h // 4 + 2, w // 4 + 2, 3))
    fine = np.repeat(np.repeat(coarse, 4, 1), 4, 2)[:, :h, :w]
    return np.clip(fine + rng.normal(0, 0.05, shape), 0, 1).astype(np.float32)


def relative_error(found, expected):
    found, expected = np.float64(found), np.float64(expected)
    assert found.shape == expected.shape
    return np.abs(found - expected).max() / np.abs(expected).max()


# ---- against torch -----------------------------------------------------------------------------------------


def torch_taps(params, x, arch, padding, pool):
    """Every activation of torch's own layers, NHWC."""
    torch = pytest.importorskip("torch")
    nn = torch.nn
    found = {}
    x = torch.tensor(x).permute(0, 3, 1, 2)
    mean, std = (torch.tensor(v).reshape(1, 3, 1, 1) for v in ([0.485, 0.456, 0.406], [0.229, 0.224, 0.225]))
    x = (x - mean) / std
    with torch.no_grad():
        for name in vgg.conv_names(arch):
            if name.endswith("_1") and name != "conv1_1":
                x = (nn.MaxPool2d(2, 2) if pool == "max" else nn.AvgPool2d(2, 2))(x)
            kernel, bias = (torch.tensor(params[name][part]) for part in ("kernel", "bias"))
            conv = nn.Conv2d(*kernel.shape[2:], 3, padding=1, padding_mode="zeros" if padding == "zero" else padding)
            conv.weight.copy_(kernel.permute(3, 2, 0, 1))
            conv.bias.copy_(bias)
            found[name] = conv(x)
            x = found[name.replace("conv", "relu")] = nn.ReLU()(found[name])
    return {tap: f.permute(0, 2, 3, 1).numpy() for tap, f in found.items()}


@pytest.mark.torch
@pytest.mark.parametrize(
    ("padding", "pool", "size"),
    [
        ("zero", "max", (40, 33)),
        ("zero", "avg", (40, 33)),
        ("reflect", "max", (49, 32)),
        ("reflect", "avg", (49, 32)),
    ],
)
def test_every_tap_of_the_shipped_vgg16_equals_torch(padding, pool, size):
    x = images((2, *size, 3))
    expected = torch_taps(shipped(), x, "vgg16", padding, pool)
    run = jax.jit(lambda p, x: vgg.features(p, x, TAPS["vgg16"], padding=padding, pool=pool))
    found = run(shipped(), x)
    assert set(found) == set(TAPS["vgg16"]) == set(expected)
    errors = {tap: relative_error(found[tap], expected[tap]) for tap in expected}
    assert max(errors.values()) <= 1e-4, errors


# ---- structure ---------------------------------------------------------------------------------------------


def test_names_and_shapes_are_those_of_the_paper():
    assert len(vgg.conv_names("vgg16")) == 13 and len(vgg.conv_names("vgg19")) == 16
    assert vgg.conv_names("vgg16")[-1] == "conv5_3" and vgg.conv_names("vgg19")[-1] == "conv5_4"
    for arch, count in (("vgg16", 14_714_688), ("vgg19", 20_024_384)):  # torchvision's features
        shapes = [vgg.kernel_shape(name) for name in vgg.conv_names(arch)]
        assert sum(np.prod(s) + s[3] for s in shapes) == count
        assert all(a[3] == b[2] for a, b in itertools.pairwise(shapes))


@pytest.mark.parametrize(
    ("taps", "arch", "convolutions"),
    [
        (("relu1_1",), "vgg16", 1),
        (("conv2_1", "relu1_2"), "vgg16", 3),
        (("relu4_1", "relu2_1"), "vgg16", 8),
        (("relu4_1",), "vgg19", 9),
        (("relu5_3",), "vgg16", 13),
    ],
)
def test_nothing_beyond_the_deepest_tap_is_computed(taps, arch, convolutions):
    params = jax.eval_shape(lambda: tiny(arch))
    x = jax.ShapeDtypeStruct((1, 32, 32, 3), jnp.float32)
    jaxpr = jax.make_jaxpr(lambda p, x: vgg.features(p, x, taps, arch=arch))(params, x)
    assert str(jaxpr).count("conv_general_dilated[") == convolutions


def test_parameters_beyond_the_deepest_tap_need_not_be_there():
    x = images((1, 16, 16, 3))
    found = vgg.features(tiny(through="conv2_1"), x, ["relu2_1"])["relu2_1"]
    np.testing.assert_array_equal(found, vgg.features(tiny(), x, ["relu2_1"])["relu2_1"])


def test_taps_before_and_after_the_relu():
    found = vgg.features(tiny(), images((1, 8, 8, 3)), ["relu1_2", "conv1_2"])
    assert set(found) == {"relu1_2", "conv1_2"}
    assert float(found["conv1_2"].min()) < 0
    np.testing.assert_array_equal(found["relu1_2"], jnp.maximum(found["conv1_2"], 0))


def test_the_module_makes_parameters_of_the_same_names(key):
    module = layers.VGG(taps=("relu2_1",))
    params = jax.eval_shape(module.init, key, images((1, 4, 4, 3)))["params"]
    assert jax.tree.map(jnp.shape, params) == jax.tree.map(jnp.shape, tiny(through="conv2_1"))


def test_bfloat16_convolutions():
    x = images((1, 32, 32, 3))
    run = jax.jit(vgg.features, static_argnames=("taps", "dtype"))
    half = run(shipped(), x, taps=("relu1_1", "relu3_1"), dtype=jnp.bfloat16)
    full = run(shipped(), x, taps=("relu1_1", "relu3_1"))
    assert all(f.dtype == jnp.bfloat16 for f in half.values())
    assert all(relative_error(half[tap], full[tap]) < 3e-2 for tap in full)


# ---- loading -----------------------------------------------------------------------------------------------


def test_from_arrays_stops_where_it_is_told_to():
    arrays = weights.load("vgg16").arrays
    params = vgg.from_arrays(arrays, through="conv4_1")
    assert list(params) == list(vgg.conv_names("vgg16")[:8])
    assert {a.dtype.name for a in jax.tree.leaves(params)} == {"float32"}
    np.testing.assert_array_equal(params["conv4_1"]["kernel"], np.float32(arrays["conv4_1.kernel"]))


def test_from_arrays_errors():
    arrays = {f"{n}.{p}": a for n, layer in tiny(through="conv1_2").items() for p, a in layer.items()}
    with pytest.raises(
        ValueError, match=r"^conv2_1.kernel: expected \(3, 3, 64, 128\) for vgg16, found no such array$"
    ):
        vgg.from_arrays(arrays)
    arrays["conv1_2.bias"] = np.zeros(3)
    with pytest.raises(ValueError, match=r"^conv1_2.bias: expected \(64,\) for vgg16, found shape \(3,\)$"):
        vgg.from_arrays(arrays)
    with pytest.raises(ValueError, match=r"^through: 'relu4_1' is not a convolution; expected conv1_1, .*conv5_3$"):
        vgg.from_arrays(arrays, through="relu4_1")
    with pytest.raises(ValueError, match=r"^arch: expected 'vgg16' or 'vgg19', got 'alexnet'$"):
        vgg.from_arrays(arrays, "alexnet")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"arch": "resnet"}, r"arch: expected 'vgg16' or 'vgg19', got 'resnet'"),
        (
            {"taps": ["relu3_4"]},
            r"taps: 'relu3_4' is not a layer; expected relu1_1 \.\. relu5_3 or conv1_1 \.\. conv5_3",
        ),
        ({"taps": "relu1_1"}, r"taps: 'r' is not a layer; .*"),
        ({"taps": ["pool1"]}, r"taps: 'pool1' is not a layer; .*"),
        (
            {"taps": ["relu1_1", "conv2_2"]},
            r"taps: conv2_2 is not in params, which hold conv1_1, conv1_2, conv2_1",
        ),
        ({"padding": "same"}, r"padding: expected 'reflect' or 'zero', got 'same'"),
        ({"pool": "min"}, r"pool: expected 'max' or 'avg', got 'min'"),
        ({"images": np.zeros((8, 8, 3))}, r"images: expected \(N, H, W, 3\) .*, got shape \(8, 8, 3\)"),
        ({"images": np.zeros((1, 8, 8, 1))}, r"images: expected \(N, H, W, 3\) .*, got shape \(1, 8, 8, 1\)"),
        ({"images": np.zeros((1, 1, 8, 3))}, r"images: .* at least 2 for block 2 and zero padding, got .*"),
        (
            {"images": np.zeros((1, 3, 8, 3)), "padding": "reflect"},
            r"images: .* at least 4 for block 2 and reflect .*",
        ),
    ],
)
def test_errors_name_the_argument(options, message):
    arguments = {"images": np.zeros((1, 8, 8, 3), np.float32), "taps": ["relu2_1"]} | options
    with pytest.raises(ValueError, match=f"^{message}$"):
        vgg.features(tiny(through="conv2_1"), **arguments)


@pytest.mark.parametrize(("padding", "size"), [("zero", 16), ("reflect", 32)])
def test_the_smallest_images(padding, size):
    def relu5_3(x):
        return vgg.features(tiny(), x, ["relu5_3"], padding=padding)["relu5_3"]

    assert jax.eval_shape(relu5_3, images((1, size, size, 3))).shape == (1, size // 16, size // 16, 512)
    with pytest.raises(ValueError, match=f"^images: .* at least {size} "):
        relu5_3(images((1, size, size - 1, 3)))


# ---- normalised VGG ----------------------------------------------------------------------------------------


def test_normalised_activations_have_mean_one_on_the_calibration_pictures():
    """Channels that hardly fire stay below one: theirs is the floor's scale."""
    params = vgg.from_arrays(weights.load("vgg16").arrays, through="conv3_1")
    measure = jax.jit(functools.partial(vgg.mean_activation, images=images((4, 32, 32, 3))))
    means = measure(params)
    assert means.keys() == params.keys() and means["conv2_1"].shape == (128,)
    scales = vgg.floor_scales(means)
    after = measure(vgg.normalise(params, scales))
    for name, mean in after.items():
        fires = np.asarray(means[name]) == scales[name]
        np.testing.assert_allclose(mean[fires], 1, rtol=1e-4, err_msg=name)
        np.testing.assert_allclose(mean, means[name] / scales[name], atol=1e-4, err_msg=name)
        assert fires.mean() > 0.5


@pytest.mark.parametrize("pool", ["max", "avg"])
@pytest.mark.parametrize("padding", ["zero", "reflect"])
def test_normalising_only_divides_every_channel_by_its_scale(padding, pool):
    file = weights.load("vgg16")
    params = vgg.from_arrays(file.arrays, through="conv4_1")
    scales = {name: file.arrays[f"mean_activation.{name}"] for name in params}
    x = images((1, 32, 40, 3))
    taps = ("relu1_1", "conv2_2", "relu3_1", "relu4_1")
    run = jax.jit(lambda p: vgg.features(p, x, taps, padding=padding, pool=pool))
    plain, normalised = run(params), run(vgg.normalise(params, scales))
    for tap in taps:
        scale = scales[tap.replace("relu", "conv")]
        assert relative_error(np.asarray(normalised[tap]) * scale, plain[tap]) < 1e-5


def test_the_shipped_scales_are_floored():
    arrays = weights.load("vgg16").arrays
    for name in vgg.conv_names("vgg16"):
        scale = arrays[f"mean_activation.{name}"]
        assert scale.shape == (vgg.kernel_shape(name)[3],)
        assert scale.min() >= 0.0999 * np.median(scale) > 0


def test_floor_scales():
    found = vgg.floor_scales({"conv1_1": np.array([0.0, 0.05, 1.0, 2.0, 3.0])})["conv1_1"]
    np.testing.assert_allclose(found, [0.1, 0.1, 1, 2, 3])
    assert found.dtype == np.float32
    np.testing.assert_allclose(vgg.floor_scales({"a": np.array([1.0, 4.0, 4.0])}, 0.5)["a"], [2, 4, 4])


@pytest.mark.parametrize(
    ("scales", "message"),
    [
        ({}, "scales: none for conv1_1; found nothing"),
        ({"conv1_1": np.ones(3)}, r"scales: expected \(64,\) for conv1_1, got shape \(3,\)"),
        ({"conv1_1": np.zeros(64)}, "scales: those of conv1_1 must be positive, the smallest is 0"),
        ({"conv1_1": np.full(64, np.nan)}, "scales: those of conv1_1 must be positive, the smallest is nan"),
        ({"conv1_1": np.ones(64)}, "scales: none for conv1_2; found conv1_1"),
    ],
)
def test_bad_scales(scales, message):
    with pytest.raises(ValueError, match=f"^{message}$"):
        vgg.normalise(tiny(through="conv1_2"), scales)


# ---- pictures in larger arrays -----------------------------------------------------------------------------


def test_what_lies_beyond_a_picture_has_no_influence():
    """The features of the picture alone, an odd last row or column of each block left out as there."""
    params, taps = tiny(through="conv3_1"), ("relu1_2", "relu2_1", "conv3_1")
    x = images((1, 16, 24, 3))
    features = jax.jit(lambda x, size: vgg.features(params, x, taps, padding="reflect", size=size))
    found = features(x, np.int32([11, 18]))
    for tap, expected in features(x[:, :11, :18], None).items():
        rows, columns = expected.shape[1:3]
        assert relative_error(found[tap][:, :rows, :columns], expected) < 1e-5
    with pytest.raises(ValueError, match="size: needs padding='reflect', got 'zero'"):
        vgg.features(params, x, taps, size=np.int32([16, 16]))
