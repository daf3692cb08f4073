import dataclasses
import functools
import os
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxstyle import weights
from jaxstyle.methods import adain
from jaxstyle.nets import vgg
from jaxstyle.nets.convolutions import conv3x3
from jaxstyle.nets.losses import content_loss, style_loss
from jaxstyle.nets.stats import Moments, moments


@functools.cache
def encoder():
    """The shipped encoder: normalised VGG-16 up to conv4_1."""
    return jax.device_put(adain.load_encoder("vgg16")[0])


@functools.cache
def model(fusion="adain", norm="none"):
    """The shipped encoder with a random decoder, whose pictures lie in the middle of the range."""
    bare = adain.Model(encoder(), {}, "vgg16", fusion, norm)
    decoder = jax.jit(adain.init_decoder)(jax.random.key(1), bare)
    last = decoder["params"]["conv7"]
    last["kernel"], last["bias"] = 0.1 * last["kernel"], last["bias"] + 0.5
    return bare.replace(decoder=decoder)


def images(*shape, seed=0):
    rng = np.random.default_rng(seed)
    *batch, h, w = shape
    coarse = rng.random((*batch, h // 4 + 1, w // 4 + 1, 3), np.float32)
    fine = np.repeat(np.repeat(coarse, 4, -3), 4, -2)[..., :h, :w, :]
    return np.clip(fine + rng.normal(0, 0.05, fine.shape), 0, 1).astype(np.float32)


def flat(*shape):
    return np.full((*shape, 3), 0.5, np.float32)


# Compiling takes most of the time here: contents are 2x16x24, styles 16x16 unless the size matters.

encode = functools.partial(jax.jit, static_argnames="taps")(adain.encode)
decode = jax.jit(adain.decode)
HALF = np.array([0.5, 0.5], np.float32)


# ---- inference ---------------------------------------------------------------------------------------------


def check_size(h, w):
    found = adain.stylize(model(), images(h, w), images(16, 16, seed=1))
    assert found.shape == (h, w, 3) and found.dtype == jnp.float32
    assert np.isfinite(found).all() and float(found.min()) >= 0 and float(found.max()) <= 1


@pytest.mark.parametrize(("h", "w"), [(1, 1), (7, 5)])
def test_any_size_comes_out_at_its_own_size(h, w):
    check_size(h, w)


@pytest.mark.slow
@pytest.mark.parametrize(("h", "w"), [(427, 640), (511, 1023), (1, 40), (17, 31)])
def test_photo_sizes_come_out_at_their_own_size(h, w):
    check_size(h, w)


@pytest.mark.parametrize("size", [(1, 1), (3, 50)])
def test_a_style_of_any_size(size):
    style = adain.encode_style(model(), images(*size))
    assert style.moments.mean.shape == style.moments.std.shape == (1, 512) and style.features is None
    assert all(np.isfinite(a).all() for a in style.moments)


def eq14(f_c, f_s, alpha):
    """The decoder's input after Eq. 8 and 14, in float64."""
    f_c, f_s = np.float64(f_c), np.float64(f_s)
    (mean_c, mean_s), (std_c, std_s) = (
        [function(f) for f in (f_c, f_s)]
        for function in (
            lambda f: f.mean((1, 2), keepdims=True),
            lambda f: np.sqrt(f.var((1, 2), keepdims=True) + 1e-5),
        )
    )
    return np.float32((1 - alpha) * f_c + alpha * (std_s * (f_c - mean_c) / std_c + mean_s))


def test_the_result_is_the_equation():
    """Eq. 14 from its parts, on a size that needs no padding; also at alpha 0, whatever the style."""
    contents, style, m = images(2, 16, 24), images(1, 16, 16, seed=1), model()
    f_c, f_s = (encode(m, x)["relu4_1"] for x in (contents, style))
    alphas = np.array([0.25, 1.0], np.float32)
    expected = np.clip(decode(m, eq14(f_c, f_s, alphas.reshape(2, 1, 1, 1))), 0, 1)
    np.testing.assert_allclose(adain.stylize(m, contents, style, alphas), expected, atol=1e-4)
    plain = np.clip(decode(m, f_c), 0, 1)
    for other in (style, images(1, 16, 16, seed=2)):
        np.testing.assert_allclose(adain.stylize(m, contents, other, 0 * alphas), plain, atol=1e-5)
    assert np.abs(plain - expected).max() > 1e-2  # alpha has something to do


def test_an_alpha_map_is_averaged_over_the_pixels_of_each_feature():
    contents, style, m = images(2, 16, 24), images(1, 16, 16, seed=1), model()
    alphas = np.random.default_rng(0).random((2, 16, 24), np.float32)
    small = alphas.reshape(2, 2, 8, 3, 8).mean((2, 4))[..., None]
    f_c, f_s = (encode(m, x)["relu4_1"] for x in (contents, style))
    expected = np.clip(decode(m, eq14(f_c, f_s, small)), 0, 1)
    np.testing.assert_allclose(adain.stylize(m, contents, style, alphas), expected, atol=1e-4)
    constant = adain.stylize(m, contents, style, HALF)
    np.testing.assert_allclose(adain.stylize(m, contents, style, np.full((2, 16, 24), 0.5)), constant, atol=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("shape", [(), (1,), (2,), (13, 19), (1, 13, 19), (2, 13, 19)], ids=str)
def test_a_constant_alpha_of_any_shape_is_the_number(shape):
    contents, style = images(2, 13, 19), images(16, 16, seed=1)
    expected = adain.stylize(model(), contents, style, 0.3)
    np.testing.assert_allclose(adain.stylize(model(), contents, style, np.full(shape, 0.3)), expected, atol=1e-5)


def test_padding_is_out_of_sight():
    """A picture of 13x19 is what the picture mirrored to 16x24 shows in its corner."""
    contents, style = images(2, 13, 19), adain.encode_style(model(), images(16, 16, seed=1))
    whole = np.pad(contents, ((0, 0), (0, 3), (0, 5), (0, 0)), mode="symmetric")
    expected = adain.stylize(model(), whole, style, HALF)[:, :13, :19]
    np.testing.assert_allclose(adain.stylize(model(), contents, style, HALF), expected, atol=1e-5)


def test_unsigned_integers_are_pictures_too():
    contents, style = images(2, 16, 24), images(16, 16, seed=1)
    bytes_ = [np.round(255 * x).astype(np.uint8) for x in (contents, style)]
    expected = adain.stylize(model(), *(np.float32(x) / 255 for x in bytes_), HALF)
    np.testing.assert_allclose(adain.stylize(model(), *bytes_, HALF), expected, atol=1e-5)


def test_a_batch_equals_its_pictures():
    contents, styles, alphas = images(2, 16, 24), images(2, 16, 16, seed=1), np.array([0.4, 1.0], np.float32)
    own = adain.stylize(model(), contents, styles, alphas)
    shared = adain.stylize(model(), contents, styles[0], alphas)
    np.testing.assert_array_equal(shared, adain.stylize(model(), contents, styles[:1], alphas))
    for i in range(2):
        one = adain.stylize(model(), contents[i], styles[i], alphas[i])
        np.testing.assert_allclose(own[i], one, atol=1e-5)
        one = adain.stylize(model(), contents[i], styles[0], alphas[i])
        np.testing.assert_allclose(shared[i], one, atol=1e-5)


def test_a_style_encoded_before_gives_the_same():
    contents, styles = images(2, 16, 24), images(2, 16, 16, seed=1)
    encoded = adain.encode_style(model(), styles)
    expected = adain.stylize(model(), contents, styles, HALF)
    np.testing.assert_array_equal(adain.stylize(model(), contents, encoded, HALF), expected)


def test_the_content_as_its_own_style_is_the_reconstruction():
    contents = images(2, 16, 24)
    whole, none = (adain.stylize(model(), contents, contents, np.full(2, a, np.float32)) for a in (1, 0))
    np.testing.assert_allclose(whole, none, atol=1e-4)


def test_jit_equals_no_jit():
    content, style = images(16, 24), images(16, 16, seed=1)
    compiled = adain.stylize(model(), content, style, 0.7)
    with jax.disable_jit():
        eager = adain.stylize(model(), content, style, 0.7)
    np.testing.assert_allclose(compiled, eager, atol=1e-5)


@pytest.mark.slow
def test_jit_around_stylize_changes_nothing():
    content, style = images(16, 24), images(16, 16, seed=1)
    found = jax.jit(adain.stylize)(model(), content, style, 0.7)
    np.testing.assert_allclose(found, adain.stylize(model(), content, style, 0.7), atol=1e-5)


@pytest.mark.slow
def test_vmap_equals_a_batch():
    contents, styles, alphas = images(2, 16, 24), images(2, 16, 16, seed=1), np.array([0.2, 1.0], np.float32)
    found = jax.vmap(adain.stylize, in_axes=(None, 0, 0, 0))(model(), contents, styles, alphas)
    np.testing.assert_allclose(found, adain.stylize(model(), contents, styles, alphas), atol=1e-5)


def test_gradients_through_stylize_are_finite():
    @jax.jit
    def gradients(content, style, alpha):
        loss = lambda *a: jnp.square(adain.stylize(model(), *a)).sum()  # noqa: E731
        return jax.grad(loss, argnums=(0, 1, 2))(content, style, alpha)

    for content in (images(17, 16), flat(17, 16)):
        for style in (images(16, 16, seed=1), flat(16, 16)):
            found = gradients(content, style, 0.5)
            assert all(np.isfinite(g).all() for g in found)
    found = gradients(images(17, 16), images(16, 16, seed=1), 0.5)
    assert all(np.abs(g).max() > 0 for g in found)


@pytest.mark.slow
def test_bfloat16_gives_nearly_the_same_picture():
    contents, style = images(2, 16, 24), images(16, 16, seed=1)
    half = model().replace(dtype=jnp.bfloat16)
    found = adain.stylize(half, contents, style, HALF)
    assert found.dtype == jnp.float32
    assert adain.encode_style(half, style).moments.mean.dtype == jnp.float32
    apart = np.abs(found - adain.stylize(model(), contents, style, HALF))
    assert apart.mean() < 0.005 and apart.max() < 0.1  # random decoders magnify single roundings


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"content": np.zeros((4, 4))}, r"content: expected an image .* got shape \(4, 4\)"),
        ({"style": np.zeros((4, 4, 1))}, r"style: expected an image .* got shape \(4, 4, 1\)"),
        ({"content": np.full((8, 9, 3), 255.0)}, r"content: expected float values in \[0, 1\], found 255 \.\. 255"),
        ({"style": np.full((8, 9, 3), np.nan)}, r"style: expected float values in \[0, 1\], found nan \.\. nan"),
        ({"style": np.zeros((0, 4, 3))}, r"style: there are no pixels .*"),
        (
            {"style": images(3, 4, 4)},
            r"style: expected 1 or 2 \(one for all or one per content image\), got 3",
        ),
        ({"content": images(4, 4), "style": images(3, 4, 4)}, r"style: expected 1 \(one for all .*\), got 3"),
        ({"alpha": 1.01}, r"alpha: expected values in \[0, 1\], found 1\.01 \.\. 1\.01"),
        (
            {"alpha": np.zeros(3)},
            r"alpha: expected a number, \(2,\), \(8, 9\) or \(2, 8, 9\), got shape \(3,\)",
        ),
        ({"alpha": np.zeros((9, 8))}, r"alpha: expected a number, .*, got shape \(9, 8\)"),
        ({"alpha": np.zeros((2, 8, 9, 1))}, r"alpha: expected a number, .*, got shape \(2, 8, 9, 1\)"),
        ({"alpha": np.zeros((0,))}, r"alpha: expected .* got shape \(0,\)"),
    ],
)
def test_errors_name_the_argument(arguments, message):
    arguments = {"content": images(2, 8, 9), "style": images(8, 8)} | arguments
    with pytest.raises(ValueError, match=f"^{message}$"):
        adain.stylize(model(), **arguments)


# ---- pytrees -----------------------------------------------------------------------------------------------


def test_a_model_is_a_pytree_with_a_static_configuration():
    m = model("concat", "instance")
    doubled = jax.tree.map(lambda a: 2 * a, m)
    assert isinstance(doubled, adain.Model)
    assert (doubled.arch, doubled.fusion, doubled.norm, doubled.dtype) == (
        "vgg16",
        "concat",
        "instance",
        jnp.float32,
    )
    np.testing.assert_array_equal(doubled.encoder["conv4_1"]["kernel"], 2 * np.asarray(m.encoder["conv4_1"]["kernel"]))
    assert all(hasattr(leaf, "dtype") for leaf in jax.tree.leaves(m))
    assert jax.tree.structure(m) != jax.tree.structure(m.replace(norm="none"))


def test_a_style_is_a_pytree():
    style = adain.encode_style(model(), images(2, 16, 16, seed=1))
    mean = jax.jit(lambda style: jax.tree.map(lambda a: a.mean(0, keepdims=True), style))(style)
    assert isinstance(mean, adain.Style) and isinstance(mean.moments, Moments)
    np.testing.assert_allclose(mean.moments.std, np.mean(style.moments.std, 0, keepdims=True), rtol=1e-6)
    found = adain.stylize(model(), images(2, 16, 24), mean, HALF)
    assert found.shape == (2, 16, 24, 3) and np.isfinite(found).all()


# ---- decoder -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arch", "fusion", "count"), [("vgg16", "adain", 8), ("vgg19", "adain", 9), ("vgg16", "concat", 8)]
)
def test_the_decoder_mirrors_the_encoder(arch, fusion, count):
    m = adain.Model({}, {}, arch, fusion)
    params = jax.eval_shape(adain.init_decoder, jax.random.key(0), m)["params"]
    assert set(params) == {f"conv{i}" for i in range(count)}
    widths = [params[f"conv{i}"]["kernel"].shape[2:] for i in range(count)]
    mirror = [vgg.kernel_shape(name)[2:] for name in vgg.conv_names(arch) if name <= "conv4_1"]
    expected = [(o, i) for i, o in reversed(mirror)]
    assert widths == ([(1024, 256), *expected[1:]] if fusion == "concat" else expected)


@pytest.mark.parametrize("norm", ["none", "batch", "instance"])
def test_the_decoder_multiplies_the_size_by_eight(norm):
    found = jax.eval_shape(decode, model("adain", norm), jnp.ones((2, 3, 2, 512)))
    assert found.shape == (2, 24, 16, 3) and found.dtype == jnp.float32


def test_decoder_variables_of_the_norms():
    assert set(model("adain", "none").decoder) == set(model("adain", "instance").decoder) == {"params"}
    batch = model("adain", "batch").decoder
    assert set(batch) == {"params", "batch_stats"} and len(batch["batch_stats"]) == 7  # all but the last


def test_unknown_options():
    m = model()
    with pytest.raises(ValueError, match=r"^fusion: expected 'adain' or 'concat', got 'sum'$"):
        adain.init_decoder(jax.random.key(0), m.replace(fusion="sum"))
    with pytest.raises(ValueError, match=r"^fusion: expected 'adain' or 'concat', got 'sum'$"):
        adain.fuse(m.replace(fusion="sum"), jnp.ones((1, 2, 2, 512)), adain.encode_style(m, images(16, 16)))
    with pytest.raises(ValueError, match=r"^norm: expected 'none', 'batch' or 'instance', got 'layer'"):
        adain.decode(m.replace(norm="layer"), jnp.ones((1, 2, 2, 512)))
    with pytest.raises(ValueError, match=r"^style: fusion='concat' needs the style's features"):
        adain.stylize(model("concat"), images(16, 16), adain.encode_style(m, images(16, 16)))


# ---- options of Sec. 7.2 -----------------------------------------------------------------------------------


def test_concatenation_lays_features_side_by_side():
    m = model("concat")
    content, same, other = images(1, 16, 16), images(1, 16, 16, seed=1), images(1, 24, 16, seed=2)
    f_c, f_s = (encode(m, x)["relu4_1"] for x in (content, same))
    fused = adain.fuse(m, f_c, adain.encode_style(m, same))
    np.testing.assert_allclose(fused, jnp.concatenate([f_c, f_s], -1), rtol=1e-4, atol=1e-4)
    assert adain.fuse(m, f_c, adain.encode_style(m, other)).shape == fused.shape == (1, 2, 2, 1024)


@pytest.mark.parametrize(
    ("fusion", "norm"),
    [
        ("concat", "batch"),
        pytest.param("adain", "instance", marks=pytest.mark.slow),
        pytest.param("concat", "none", marks=pytest.mark.slow),
    ],
)
def test_options_stylize_and_have_gradients(fusion, norm):
    m, contents, styles = model(fusion, norm), images(2, 16, 16), images(2, 16, 16, seed=1)
    found = adain.stylize(m, contents[0, :9, :13], styles[0], 0.5)
    assert found.shape == (9, 13, 3) and np.isfinite(found).all()

    def run(params):
        rest = {k: v for k, v in m.decoder.items() if k != "params"}
        return adain.objective({"params": params, **rest}, m, contents, styles)

    gradients, terms = jax.jit(jax.grad(run, has_aux=True))(m.decoder["params"])
    assert set(terms) == {"content", "style"} and all(float(v) > 0 for v in terms.values())
    for path, gradient in jax.tree.leaves_with_path(gradients):
        assert np.isfinite(gradient).all(), path
        # a bias before a normalisation is taken off again
        if norm == "none" or path[-1].key != "bias" or path[0].key == "conv7":
            assert np.abs(gradient).max() > 0, path


def test_running_statistics_follow_the_batch():
    m, contents, styles = model("adain", "batch"), images(2, 16, 16), images(2, 16, 16, seed=1)
    after = jax.jit(adain.running_statistics)(m.decoder, m, contents, styles)
    jax.tree.map(np.testing.assert_array_equal, after["params"], m.decoder["params"])
    moved = jax.tree.map(lambda a, b: float(jnp.abs(a - b).max()), after["batch_stats"], m.decoder["batch_stats"])
    assert min(jax.tree.leaves(moved)) > 0
    t = adain.fuse(m, encode(m, contents)["relu4_1"], adain.encode_style(m, styles))
    first = m.decoder["params"]["conv0"]
    batch_mean = conv3x3(t, first["kernel"], first["bias"]).mean((0, 1, 2))
    np.testing.assert_allclose(after["batch_stats"]["norm0"]["mean"], 0.01 * batch_mean, rtol=1e-2, atol=1e-4)
    assert adain.running_statistics(model().decoder, model(), contents, styles) is model().decoder


# ---- objective ---------------------------------------------------------------------------------------------


@functools.cache
def compiled_objective(dtype, norm):
    m = model().replace(dtype=dtype)

    def loss(params, contents, styles, rows):
        return adain.objective({"params": params}, m, contents, styles, identity=rows, identity_weight=3.0, norm=norm)

    return jax.jit(jax.value_and_grad(loss, has_aux=True))


def objective(params, contents, styles, rows=(0.0, 0.0), dtype=jnp.float32, norm="squared"):
    """((loss, terms), gradients by the parameters); ``rows`` marks the identity pairs, by default none."""
    return compiled_objective(dtype, norm)(params, contents, styles, np.array(rows, np.float32))


PAIR = images(2, 16, 24), images(2, 16, 24, seed=1)


def torch_objective(contents, styles, weight=10.0):
    """Eq. 11-13 in PyTorch, step by step: loss, terms and the gradient of the last layer, HWIO and bias."""
    torch = pytest.importorskip("torch")
    functional = torch.nn.functional

    def layer(x, params):
        kernel, bias = (torch.tensor(np.asarray(params[name])) for name in ("kernel", "bias"))
        if params is last:
            kernel, bias = leaves
        x = functional.pad(x, (1, 1, 1, 1), mode="reflect")
        return functional.conv2d(x, kernel.permute(3, 2, 0, 1), bias)

    last = model().decoder["params"]["conv7"]
    leaves = [torch.tensor(np.asarray(last[name]), requires_grad=True) for name in ("kernel", "bias")]

    def encode(x):
        mean, std = (torch.tensor(v).reshape(1, 3, 1, 1) for v in (vgg.IMAGENET_MEAN, vgg.IMAGENET_STD))
        x, taps = (x - mean) / std, []
        for name, params in encoder().items():
            if name in ("conv2_1", "conv3_1", "conv4_1"):
                x = functional.max_pool2d(x, 2)
            x = torch.relu(layer(x, params))
            if name.endswith("_1"):
                taps.append(x)
        return taps

    def statistics(f):
        return f.mean((2, 3), keepdim=True), torch.sqrt(f.var((2, 3), unbiased=False, keepdim=True) + 1e-5)

    c, s = (torch.tensor(x).permute(0, 3, 1, 2) for x in (contents, styles))
    with torch.no_grad():
        f_c, f_s = encode(c)[-1], encode(s)
        (mean_c, std_c), (mean_s, std_s) = statistics(f_c), statistics(f_s[-1])
        t = std_s * (f_c - mean_c) / std_c + mean_s
    x = t
    for i in range(8):
        if i in (1, 4, 6):
            x = functional.interpolate(x, scale_factor=2.0, mode="nearest")
        x = layer(x, model().decoder["params"][f"conv{i}"])
        x = torch.relu(x) if i < 7 else x
    f_o = encode(x)
    terms = {"content": functional.mse_loss(f_o[-1], t), "style": torch.zeros(())}
    for found, target in zip(f_o, f_s, strict=True):
        for a, b in zip(statistics(found), statistics(target), strict=True):
            terms["style"] = terms["style"] + functional.mse_loss(a, b)
    loss = terms["content"] + weight * terms["style"]
    loss.backward()
    return loss.item(), {k: v.item() for k, v in terms.items()}, [leaf.grad.numpy() for leaf in leaves]


@pytest.mark.torch
def test_objective_equals_torch():
    loss, terms, (kernel, bias) = torch_objective(*PAIR)
    (found, found_terms), gradients = objective(model().decoder["params"], *PAIR)
    assert float(found) == pytest.approx(loss, rel=1e-4)
    assert {k: float(v) for k, v in found_terms.items()} == pytest.approx(terms | {"identity": 0.0}, rel=1e-4)
    last = gradients["conv7"]
    np.testing.assert_allclose(last["kernel"], kernel, atol=1e-4 * np.abs(kernel).max())
    np.testing.assert_allclose(last["bias"], bias, atol=1e-4 * np.abs(bias).max())


def test_objective_gradients_reach_every_layer():
    _, gradients = objective(model().decoder["params"], *PAIR)
    for path, gradient in jax.tree.leaves_with_path(gradients):
        assert np.isfinite(gradient).all() and np.abs(gradient).max() > 0, path


@pytest.mark.parametrize("norm", ["squared", pytest.param("plain", marks=pytest.mark.slow)])
def test_decoder_gradients_are_finite_on_flat_images(norm):
    black = np.zeros((2, 16, 24, 3), np.float32)
    for contents, styles in ((flat(2, 16, 24), flat(2, 16, 24)), (black, PAIR[1]), (PAIR[0], black)):
        (loss, _), gradients = objective(model().decoder["params"], contents, styles, (1.0, 0.0), norm=norm)
        assert np.isfinite(loss) and all(np.isfinite(g).all() for g in jax.tree.leaves(gradients))


def test_without_an_identity_there_is_no_such_term():
    m = model()
    loss, terms = jax.eval_shape(adain.objective, m.decoder, m, *PAIR)
    assert set(terms) == {"content", "style"} and loss.shape == terms["style"].shape == ()


@pytest.mark.slow
def test_a_style_of_another_size_than_the_content():
    """Content and style are then encoded apart; the terms are those of Eq. 12 and 13 from their parts."""
    m, contents, styles = model(), PAIR[0], images(2, 16, 16, seed=1)
    f_c, f_s = encode(m, contents)["relu4_1"], encode(m, styles, taps=adain.STYLE_TAPS)
    t = adain.fuse(m, f_c, adain.Style(moments(f_s["relu4_1"])))
    f_o = encode(m, decode(m, t), taps=adain.STYLE_TAPS)
    loss, terms = jax.jit(adain.objective)(m.decoder, m, contents, styles, style_weight=2.0)
    assert float(terms["content"]) == pytest.approx(float(content_loss(f_o["relu4_1"], t)), rel=1e-4)
    expected = style_loss(f_o, {tap: moments(f) for tap, f in f_s.items()})
    assert float(terms["style"]) == pytest.approx(float(expected), rel=1e-4)
    assert float(loss) == pytest.approx(float(terms["content"] + 2 * terms["style"]), rel=1e-6)


@pytest.mark.parametrize("shape", [(2, 16, 16, 3), (2, 24, 16, 3)])
def test_style_relative_to_the_photo(shape):
    m, contents, styles = model(), images(2, 16, 16, seed=2), images(*shape[:3], seed=3)
    options = {"relative_style": True, "relative_to": "photo"}
    _, terms = jax.jit(functools.partial(adain.objective, **options))(m.decoder, m, contents, styles)
    c, s = (encode(m, x, taps=adain.STYLE_TAPS) for x in (contents, styles))
    f_o = encode(m, decode(m, adain.fuse(m, c["relu4_1"], adain.Style(moments(s["relu4_1"])))), taps=adain.STYLE_TAPS)
    before, targets = ({tap: moments(f) for tap, f in x.items()} for x in (c, s))
    expected = style_loss(f_o, targets, relative=True, before=before)
    assert float(terms["style"]) == pytest.approx(float(expected), rel=1e-4)


@pytest.mark.slow
def test_the_standardised_content_term():
    m, (contents, styles) = model(), PAIR
    run = jax.jit(adain.objective, static_argnames="content_term")
    _, terms = run(m.decoder, m, contents, styles, content_term="standardised")
    f_c = encode(m, contents)["relu4_1"]
    t = adain.fuse(m, f_c, adain.Style(moments(encode(m, styles)["relu4_1"])))
    f_o = encode(m, decode(m, t))["relu4_1"]
    a, b = (np.asarray(f, np.float64).reshape(2, -1, f.shape[-1]) for f in (f_o, f_c))
    a, b = ((f - f.mean(1, keepdims=True)) / np.sqrt(f.var(1, keepdims=True) + 1e-3) for f in (a, b))
    assert float(terms["content"]) == pytest.approx(((a - b) ** 2).mean(), rel=1e-4)
    with pytest.raises(ValueError, match="content_term: expected 'features' or 'standardised', got 'both'"):
        adain.objective(m.decoder, m, contents, styles, content_term="both")  # type: ignore[arg-type]


def test_the_identity_term():
    contents, styles = PAIR
    styles = np.stack([styles[0], contents[1]])
    params = model().decoder["params"]
    (plain, plain_terms), _ = objective(params, contents, styles)
    (loss, terms), _ = objective(params, contents, styles, (0.0, 1.0))
    reconstruction = decode(model(), encode(model(), contents)["relu4_1"])  # AdaIN changes nothing there
    expected = np.abs(np.asarray(reconstruction)[1] - contents[1]).mean() / 2
    assert float(plain_terms["identity"]) == 0 and float(terms["identity"]) == pytest.approx(expected, rel=1e-4)
    assert float(loss) == pytest.approx(float(plain) + 3 * expected, rel=1e-4)
    assert float(terms["style"]) == pytest.approx(float(plain_terms["style"]), rel=1e-5)


@pytest.mark.slow
def test_objective_in_bfloat16():
    params = model().decoder["params"]
    (loss, terms), gradients = objective(params, *PAIR, dtype=jnp.bfloat16)
    (expected, _), exact = objective(params, *PAIR)
    assert {a.dtype.name for a in jax.tree.leaves((loss, terms, gradients))} == {"float32"}
    assert float(loss) == pytest.approx(float(expected), rel=0.05)
    for (path, a), b in zip(jax.tree.leaves_with_path(gradients), jax.tree.leaves(exact), strict=True):
        assert np.linalg.norm(a - b) < 0.2 * np.linalg.norm(b), path


def test_descent_lowers_the_loss():
    params, losses = model().decoder["params"], []
    for _ in range(4):
        (loss, _), gradients = objective(params, *PAIR)
        losses.append(float(loss))
        size = np.sqrt(sum(float(jnp.square(g).sum()) for g in jax.tree.leaves(gradients)))
        params = jax.tree.map(lambda p, g, step=0.002 / size: p - step * g, params, gradients)
    assert losses == sorted(losses, reverse=True) and losses[-1] < 0.99 * losses[0]


def test_style_at_half_the_size():
    """It is the style term of halved pictures, and has its weight beside the other."""
    content, style = images(1, 32, 32), images(1, 32, 32, seed=1)
    run = jax.jit(partial(adain.objective, half_weight=0.5, style_weight=3.0))
    loss, terms = run(model().decoder, model().replace(decoder={}), content, style)

    def halved(x):
        return encode(model(), np.asarray(x).reshape(1, 16, 2, 16, 2, 3).mean((2, 4)), taps=adain.STYLE_TAPS)

    t = adain.fuse(model(), encode(model(), content)["relu4_1"], adain.encode_style(model(), style))
    target = {tap: moments(f) for tap, f in halved(style).items()}
    expected = float(style_loss(halved(decode(model(), t)), target))
    assert float(terms["half"]) == pytest.approx(expected, rel=1e-3)
    assert float(loss) == pytest.approx(
        float(terms["content"]) + 3 * (float(terms["style"]) + 0.5 * expected), rel=1e-3
    )


# ---- a learned aim -----------------------------------------------------------------------------------------


@functools.cache
def aiming(scale=0.3):
    """A model with a learned aim, whose last layer is random instead of zero."""
    bare = adain.Model(encoder(), {}, aim="learned")
    decoder = jax.jit(adain.init_decoder)(jax.random.key(1), bare)
    last = decoder["params"]["aim"]["change"]
    last["kernel"] = scale * jax.random.normal(jax.random.key(2), last["kernel"].shape) / 16
    return bare.replace(decoder=decoder)


def test_a_fresh_aim_is_the_style_itself():
    style = images(16, 24, seed=3)
    found, expected = adain.encode_style(aiming(0.0), style), adain.encode_style(model(), style)
    jax.tree.map(np.testing.assert_array_equal, found, expected)


def test_an_aim_is_a_correction_from_the_moments_of_all_layers():
    style = images(16, 24, seed=3)
    found = adain.encode_style(aiming(), style).moments
    features = encode(model(), style[None], taps=adain.STYLE_TAPS)
    every = {tap: [np.asarray(part) for part in moments(f)] for tap, f in features.items()}
    weights_of = jax.tree.map(np.asarray, aiming().decoder["params"]["aim"])
    seen = np.log(np.concatenate([part for each in every.values() for part in each], -1) + 0.05)
    hidden = seen @ weights_of["seen"]["kernel"] + weights_of["seen"]["bias"]
    hidden *= 0.5 * (1 + np.tanh(np.sqrt(2 / np.pi) * (hidden + 0.044715 * hidden**3)))  # GELU
    change = hidden @ weights_of["change"]["kernel"] + weights_of["change"]["bias"]
    assert np.abs(change).max() > 0.1
    np.testing.assert_allclose(found.mean, every["relu4_1"][0] + change[:, :512], atol=1e-3)
    np.testing.assert_allclose(found.std, every["relu4_1"][1] + change[:, 512:], atol=1e-3)


def test_a_padded_style_has_the_same_aim():
    style = images(19, 29, seed=3)
    larger = np.pad(style, ((0, 13), (0, 11), (0, 0)), mode="symmetric")
    found = adain.encode_padded_styles(aiming(), larger[None], np.array([[19, 29]]))
    exact = adain.encode_style(aiming(), style)
    jax.tree.map(partial(np.testing.assert_allclose, atol=2e-3), found, exact)


def test_identity_pairs_do_not_go_where_the_style_aims():
    contents = PAIR[0]
    run = jax.jit(partial(adain.objective, identity_weight=1.0))
    _, terms = run(aiming().decoder, aiming().replace(decoder={}), contents, contents, identity=np.ones(2, np.float32))
    rest = {k: v for k, v in aiming().decoder["params"].items() if k != "aim"}
    painted = decode(model().replace(decoder={"params": rest}), encode(model(), contents)["relu4_1"])
    assert float(terms["identity"]) == pytest.approx(float(np.abs(painted - contents).mean()), rel=1e-3)


def test_gradients_reach_the_aim():
    def loss(decoder):
        return adain.objective(decoder, aiming().replace(decoder={}), *PAIR)[0]

    gradients = jax.jit(jax.grad(loss))(aiming().decoder)["params"]["aim"]
    for path, gradient in jax.tree.leaves_with_path(gradients):
        assert np.isfinite(gradient).all() and np.abs(gradient).max() > 0, path


# ---- files -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("arch", ["vgg16", "vgg19"])
@pytest.mark.parametrize("fusion", ["adain", "concat"])
@pytest.mark.parametrize("norm", ["none", "batch", "instance"])
@pytest.mark.parametrize("aim", ["style", "learned"])
def test_shapes_are_those_of_fresh_variables(arch, fusion, norm, aim):
    bare = adain.Model({}, {}, arch, fusion, norm, aim)
    fresh = jax.eval_shape(adain.init_decoder, jax.random.key(0), bare)
    assert adain.decoder_shapes(bare) == jax.tree.map(np.shape, fresh)


def test_an_aim_is_saved_with_its_decoder(tmp_path):
    adain.save(tmp_path / "mine.safetensors", aiming())
    loaded = adain.load(str(tmp_path / "mine.safetensors"))
    assert loaded.aim == "learned"
    jax.tree.map(partial(np.testing.assert_allclose, atol=1e-3), loaded.decoder, aiming().decoder)
    adain.save(tmp_path / "plain.safetensors", model())
    assert "aim" not in weights.load(tmp_path / "plain.safetensors").metadata


@pytest.mark.parametrize(("fusion", "norm"), [("adain", "none"), ("concat", "batch")])
def test_what_is_saved_is_loaded(tmp_path, fusion, norm):
    m = model(fusion, norm)
    adain.save(tmp_path / "mine.safetensors", m, licence="CC0-1.0")
    loaded = adain.load(str(tmp_path / "mine.safetensors"))
    assert (loaded.arch, loaded.fusion, loaded.norm, loaded.full) == ("vgg16", fusion, norm, 1)
    adain.save(tmp_path / "less.safetensors", m.replace(full=0.9))
    assert adain.load(str(tmp_path / "less.safetensors")).full == 0.9
    assert jax.tree.structure(loaded.decoder) == jax.tree.structure(m.decoder)
    for path, array in jax.tree.leaves_with_path(m.decoder):
        stored = functools.reduce(lambda node, k: node[k.key], path, loaded.decoder)
        tolerance = 2**-11 if path[-1].key == "kernel" else 0
        np.testing.assert_allclose(stored, array, rtol=tolerance, atol=1e-7 if tolerance else 0)
    jax.tree.map(np.testing.assert_array_equal, loaded.encoder, m.encoder)
    assert weights.load(tmp_path / "mine.safetensors").metadata["licence"] == "CC0-1.0"
    if (fusion, norm) == ("adain", "none"):
        contents, style = images(2, 16, 24), images(16, 16, seed=1)
        found, expected = (adain.stylize(x, contents, style, HALF) for x in (loaded, m))
        np.testing.assert_allclose(found, expected, atol=1e-2)


def test_the_names_in_a_file():
    arrays = adain.to_arrays(model("adain", "batch").decoder)
    assert {
        "params.conv0.kernel",
        "params.conv7.bias",
        "params.norm0.scale",
        "batch_stats.norm0.mean",
    } <= set(arrays)
    assert arrays["params.conv0.kernel"].shape == (3, 3, 512, 256)
    types = {name.rpartition(".")[2]: array.dtype.name for name, array in arrays.items()}
    assert types == dict.fromkeys(["bias", "scale", "mean", "var"], "float32") | {"kernel": "float16"}
    assert adain.to_arrays(model().decoder, np.float32)["params.conv0.kernel"].dtype == np.float32


def write(path, arrays=None, **metadata):
    arrays = adain.to_arrays(model().decoder) if arrays is None else arrays
    good = {"kind": "adain", "arch": "vgg16", "fusion": "adain", "norm": "none"}
    weights.save(path, arrays, {k: v for k, v in (good | metadata).items() if v})
    return str(path)


def test_files_that_cannot_be_used(tmp_path):
    file = tmp_path / "mine.safetensors"

    def fails(message, **options):
        with pytest.raises(weights.WeightsError, match=message) as caught:
            adain.load(write(file, **options))
        assert "\n" not in str(caught.value) and os.fspath(file) in str(caught.value)

    fails("holds weights of kind 'inr'; needed is 'adain'", kind="inr")
    fails("made for encoder vgg19, but the one given is vgg16", arch="vgg19")
    fails("made for encoder None, but the one given is vgg16", arch="")
    fails("its arrays are not those of a decoder for vgg16, fusion concat, norm none and aim style", fusion="concat")
    fails("its arrays are not those of a decoder for vgg16, fusion adain, norm batch and aim style", norm="batch")
    fails("fusion: expected 'adain' or 'concat', got 'sum'", fusion="sum")
    for full in ("0", "1.5", "nan", "all"):
        fails(rf"full: expected a number in \(0, 1\], got '{full}'", full=full)
    fails("norm: expected 'none', 'batch' or 'instance', got 'layer'", norm="layer")
    arrays = adain.to_arrays(model().decoder)
    fails("its arrays are not those", arrays=arrays | {"params.conv0.bias": np.zeros(3, np.float32)})
    fails("its arrays are not those", arrays={k: v for k, v in arrays.items() if "conv7" not in k})
    with pytest.raises(weights.WeightsError, match="no such weight file"):
        adain.load(str(tmp_path / "none.safetensors"))
    with pytest.raises(weights.WeightsError, match="holds weights of kind 'vgg'; needed is 'adain'"):
        adain.load("vgg16")


def test_encoders_that_cannot_be_used(tmp_path):
    file = weights.load("vgg16")
    path = tmp_path / "vgg.safetensors"
    header = {"kind": "vgg", "arch": "vgg16"}

    def fails(message, arrays, metadata=header):
        weights.save(path, arrays, metadata)
        with pytest.raises(weights.WeightsError, match=message) as caught:
            adain.load_encoder(str(path))
        assert "\n" not in str(caught.value) and os.fspath(path) in str(caught.value)

    plain = {k: v for k, v in file.arrays.items() if not k.startswith("mean_activation.")}
    short = {k: v for k, v in file.arrays.items() if k.startswith(("conv1", "mean_activation.conv1"))}
    fails("has no calibrated scales; convert it with --calibrate", {"conv1_1.bias": plain["conv1_1.bias"]})
    fails("conv2_1.kernel: expected .* found no such array", short)
    fails("arch: expected 'vgg16' or 'vgg19', got None", short, {"kind": "vgg"})
    fails("needed is 'vgg'", short, header | {"kind": "adain"})


def test_a_vgg19_encoder_for_a_vgg19_decoder(tmp_path):
    arrays = {}
    for name in vgg.conv_names("vgg19"):
        shape = vgg.kernel_shape(name)
        arrays[f"{name}.kernel"] = np.zeros(shape, np.float16)
        arrays[f"{name}.bias"] = np.zeros(shape[3], np.float32)
        arrays[f"mean_activation.{name}"] = np.ones(shape[3], np.float32)
        if name == "conv4_1":
            break
    weights.save(tmp_path / "vgg19.safetensors", arrays, {"kind": "vgg", "arch": "vgg19"})
    bare = adain.Model({}, {}, "vgg19")
    m = bare.replace(decoder=jax.jit(adain.init_decoder)(jax.random.key(0), bare))
    adain.save(tmp_path / "mine.safetensors", m)
    loaded = adain.load(tmp_path / "mine.safetensors", encoder=str(tmp_path / "vgg19.safetensors"))
    assert loaded.arch == "vgg19" and len(loaded.encoder) == 9 and len(loaded.decoder["params"]) == 9
    assert jax.eval_shape(adain.stylize, loaded, images(17, 16), images(16, 16)).shape == (17, 16, 3)


def test_what_could_not_be_loaded_is_not_written(tmp_path):
    model = adain.load("adain_vgg16")
    for broken in (dataclasses.replace(model, decoder={}), dataclasses.replace(model, fusion="concat")):
        with pytest.raises(
            weights.WeightsError, match=r"a\.safetensors: the model's arrays are not those of a decoder"
        ):
            adain.save(tmp_path / "a.safetensors", broken)
    assert list(tmp_path.iterdir()) == []
