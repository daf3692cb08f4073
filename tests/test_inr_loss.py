import dataclasses
import functools
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxstyle import weights
from jaxstyle.methods import inr
from jaxstyle.methods.inr import Loss, Spec, objective, reweight, sample_alpha
from jaxstyle.nets import coords, vgg
from jaxstyle.nets.losses import content_loss
from jaxstyle.nets.stats import gram, moments

SMALL = Spec(octaves=3, latent=4, width=16, depth=4, skip=2, bottleneck=8)
EXPONENTIAL = ("exponential", "exponential_eq5")


@functools.cache
def encoder(through="conv3_1"):
    """Random VGG: He-normal kernels, small biases."""
    rng, params = np.random.default_rng(0), {}
    for name in vgg.conv_names("vgg16"):
        shape = vgg.kernel_shape(name)
        kernel = rng.normal(0, np.sqrt(2 / np.prod(shape[:3])), shape).astype(np.float32)
        params[name] = {"kernel": kernel, "bias": rng.normal(0, 0.1, shape[3]).astype(np.float32)}
        if name == through:
            return params


def picture(height, width, seed=0):
    """Smooth and a little noisy."""
    rng = np.random.default_rng(seed)
    coarse = np.kron(rng.random((height // 4 + 1, width // 4 + 1, 3)), np.ones((4, 4, 1)))[:height, :width]
    return np.clip(coarse + rng.normal(0, 0.05, (height, width, 3)), 0, 1).astype(np.float32)


# ---- reweighting -------------------------------------------------------------------------------------------


def test_reweighting_by_hand():
    half, log2 = 0.5, math.log(2)
    assert float(reweight(half)) == pytest.approx(half * log2, rel=1e-6)
    assert float(reweight(half, "exponential", 3.0)) == pytest.approx(half**3 * log2, rel=1e-6)
    assert float(reweight(half, "exponential_eq5", 3.0)) == pytest.approx(-half * math.log(1 - half**3), rel=1e-6)
    assert float(reweight(half, "polynomial", 3.0)) == pytest.approx(half**3, rel=1e-6)
    assert float(reweight(half, "none", 3.0)) == half


@pytest.mark.parametrize("kappa", [0.05, 0.5, 1.0, 2.0, 7.0])
@pytest.mark.parametrize("kind", ["exponential", "exponential_eq5", "polynomial", "none"])
def test_reweighting_equals_its_formula_and_is_finite_at_the_clip(kind, kappa):
    x = np.array([0, 1e-6, 1e-3, 0.1, 0.5, 0.9, 0.999, 1 - 1e-6, 1])
    clipped = np.float64(np.clip(np.float32(x), np.float32(1e-6), np.float32(1 - 1e-6)))
    wanted = {
        "exponential": -(clipped**kappa) * np.log1p(-clipped),
        "exponential_eq5": -clipped * np.log(-np.expm1(kappa * np.log(clipped))),
        "polynomial": clipped**kappa,
        "none": clipped,
    }[kind]
    values, slopes = jax.vmap(jax.value_and_grad(lambda x: reweight(x, kind, kappa)))(jnp.float32(x))
    np.testing.assert_allclose(values, wanted, rtol=1e-4, atol=1e-7)
    assert np.isfinite(slopes).all()
    assert (np.diff(values) >= 0).all() and values[0] < 0.6 and values[0] < values[-1]


def test_the_pole_is_cut_off_and_both_forms_are_one_at_kappa_1():
    assert float(reweight(1.0)) == pytest.approx(-math.log(1e-6), rel=5e-3)  # float32 next to 1 - 1e-6
    assert float(reweight(jnp.float32(1 - 1e-7))) == float(reweight(1.0))
    x = np.linspace(0, 1, 101)
    np.testing.assert_allclose(*(reweight(x, kind) for kind in EXPONENTIAL), rtol=1e-5, atol=1e-7)
    with pytest.raises(ValueError, match=r"^reweighting: expected one of exponential, .* got 'linear'"):
        reweight(0.5, "linear")


# ---- sampling ----------------------------------------------------------------------------------------------


def test_uniform_degrees_fill_the_unit_interval(key):
    drawn = np.asarray(sample_alpha(key, count=20_000))
    assert drawn.shape == (20_000,) and drawn.min() >= 0 and drawn.max() <= 1
    np.testing.assert_allclose(np.quantile(drawn, [0.1, 0.5, 0.9]), [0.1, 0.5, 0.9], atol=0.02)


def test_exponential_degrees_follow_their_density(key):
    """With the density proportional to exp(-4 a), the mean of a is 1/4 - 1/(e^4 - 1); most pictures are styled."""
    drawn = sample_alpha(key, Loss(sampling="exponential", rate=4.0), 40_000)
    a = 1 - np.asarray(drawn[:20_000])  # the second half are mirror images
    assert a.min() >= 0 and a.max() <= 1
    assert a.mean() == pytest.approx(1 / 4 - 1 / (math.exp(4) - 1), abs=0.01)


def test_fixed_degrees_and_mirror_images(key):
    np.testing.assert_allclose(sample_alpha(key, Loss(sampling="fixed", fixed=0.3)), [0.7], rtol=1e-6)
    drawn = np.asarray(sample_alpha(key, count=6))
    np.testing.assert_allclose(drawn[:3] + drawn[3:], 1, rtol=1e-6)
    assert len(set(drawn.tolist())) == 6
    assert sample_alpha(key, count=3).shape == (3,)
    np.testing.assert_array_equal(sample_alpha(key, count=6), drawn)
    assert not np.array_equal(sample_alpha(jax.random.key(1), count=6), drawn)


# ---- options -----------------------------------------------------------------------------------------------


def test_the_defaults_are_the_papers():
    loss = Loss()
    assert loss.style_taps == ("relu1_1", "relu1_2", "relu2_1", "relu2_2", "relu3_1")
    assert loss.content_tap == "relu2_2"
    assert (loss.content_weight, loss.style_weight, loss.pixel_weight, loss.kappa) == (1, 1e5, 0, 1)
    assert (loss.style, loss.reweighting, loss.sampling) == ("gram", "exponential", "uniform")


@pytest.mark.parametrize("taps", ["shallow_relu", "shallow_conv", "deep_relu", "deep_conv"])
def test_all_taps_are_layers_of_both_networks(taps):
    loss = Loss(taps=taps)
    for arch in ("vgg16", "vgg19"):
        names = vgg.conv_names(arch)
        for tap in (*loss.style_taps, loss.content_tap):
            assert tap.startswith(taps.split("_")[1]) and f"conv{tap[4:]}" in names
    assert len(loss.style_taps) == 5


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"taps": "all"}, "taps: expected one of shallow_relu, shallow_conv, deep_relu, deep_conv, got 'all'"),
        ({"style": "remd"}, "style: expected one of gram, mean_std, got 'remd'"),
        ({"reweighting": "linear"}, "reweighting: expected one of exponential, exponential_eq5, polynomial, none, got"),
        ({"sampling": "normal"}, "sampling: expected one of uniform, exponential, fixed, got 'normal'"),
        ({"arch": "vgg11"}, "arch: expected one of vgg16, vgg19, got 'vgg11'"),
        ({"style_weight": -1}, "style_weight: expected a number of at least 0, got -1"),
        ({"kappa": 0}, "kappa: expected a positive number, got 0"),
        ({"rate": math.inf}, "rate: expected a positive number, got inf"),
        ({"fixed": 1.5}, "fixed: expected a number in [0, 1], got 1.5"),
    ],
)
def test_an_option_that_is_none_is_refused(options, message):
    with pytest.raises(ValueError) as error:
        Loss(**options)
    assert str(error.value).startswith(message)


# ---- the objective -----------------------------------------------------------------------------------------


def test_the_objective_is_the_weighted_sum_of_plain_terms(key):
    """Against the same terms from public parts: render, VGG, Gram matrices."""
    params, content, style = inr.init(key, SMALL), picture(13, 18), picture(9, 12, seed=1)
    loss = Loss(pixel_weight=30.0, content_weight=2.0)
    found, terms = jax.jit(objective, static_argnums=4)(
        params, encoder(), inr.targets(encoder(), content, style, loss), jnp.float32(0.3), loss
    )
    image = inr.render(params, coords.grid(18, 13), 0.3)[None]
    plain = jax.jit(lambda x: vgg.features(encoder(), x, loss.style_taps, padding="zero", pool="avg"))
    f_o, f_c, f_s = (plain(jnp.asarray(x)) for x in (image, content[None], style[None]))
    squares = [jnp.square(gram(f_o[tap]) - gram(f_s[tap])).mean() for tap in loss.style_taps]
    wanted = {
        "content": jnp.square(f_o["relu2_2"] - f_c["relu2_2"]).mean(),
        "style": sum(squares),
        "pixels": jnp.square(image[0] - content).mean(),
    }
    assert terms.keys() == wanted.keys()
    for name, value in wanted.items():
        np.testing.assert_allclose(terms[name], value, rtol=1e-4)
    of_content = reweight(0.7) * (2 * wanted["content"] + 30 * wanted["pixels"])  # the paper's a is 1 - alpha
    np.testing.assert_allclose(found, of_content + reweight(0.3) * 1e5 * wanted["style"], rtol=1e-4)


def test_the_ends_are_content_and_style(key):
    params = inr.init(key, SMALL)
    pair = inr.targets(encoder(), picture(8, 12), picture(12, 8, seed=1))
    run = jax.jit(objective)
    for alpha, name, weight in ((0.0, "content", 1), (1.0, "style", 1e5)):
        loss, terms = run(params, encoder(), pair, jnp.float32(alpha))
        np.testing.assert_allclose(loss, reweight(1.0) * weight * terms[name], rtol=1e-4)


@pytest.mark.slow
def test_other_statistics_and_layers(key):
    params = inr.init(key, SMALL)
    loss = Loss(style="mean_std", taps="shallow_conv", reweighting="none", style_weight=2.0)
    content, style = picture(8, 12), picture(12, 8, seed=1)
    pair = inr.targets(encoder(), content, style, loss)
    assert pair.style.keys() == {"conv1_1", "conv1_2", "conv2_1", "conv2_2", "conv3_1"}
    found, terms = jax.jit(objective, static_argnums=4)(params, encoder(), pair, jnp.float32(0.25), loss)
    image = inr.render(params, coords.grid(12, 8), 0.25)[None]
    f_o, f_s, f_c = (
        loss.features(encoder(), jnp.asarray(x), loss.style_taps) for x in (image, style[None], content[None])
    )
    squares = 0.0
    for tap in loss.style_taps:
        for a, b in zip(moments(f_o[tap]), moments(f_s[tap]), strict=True):
            squares += jnp.square(a - b).mean()
    wanted = {"content": content_loss(f_o["conv2_2"], f_c["conv2_2"]), "style": squares}
    for name, value in wanted.items():
        np.testing.assert_allclose(terms[name], value, rtol=1e-4)
    np.testing.assert_allclose(found, 0.75 * wanted["content"] + 0.25 * 2 * wanted["style"], rtol=1e-4)


def test_the_gradient_through_some_points_is_right_on_average(key):
    """Every third point, beginning with each of the first three: the mean of the three is the gradient through all."""
    params = inr.init(key, SMALL)
    pair = inr.targets(encoder(), picture(8, 12), picture(12, 8, seed=1))

    @jax.jit
    def run(at):
        def loss_of(network):
            changed = dataclasses.replace(params, network=network)
            return objective(changed, encoder(), pair, jnp.float32(0.4), gradient_at=at)[0]

        return jax.value_and_grad(loss_of)(params.network)

    def loss_of(network):
        return objective(dataclasses.replace(params, network=network), encoder(), pair, jnp.float32(0.4))[0]

    wanted_loss, wanted = jax.jit(jax.value_and_grad(loss_of))(params.network)
    thirds = [run(jnp.arange(start, 96, 3)) for start in range(3)]
    assert all(float(loss) == pytest.approx(float(wanted_loss), rel=1e-5) for loss, _ in thirds)
    mean = jax.tree.map(lambda *leaves: sum(leaves) / 3, *(gradient for _, gradient in thirds))
    largest = max(float(jnp.abs(leaf).max()) for leaf in jax.tree.leaves(wanted))
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, atol=1e-4 * largest), mean, wanted)
    assert any(
        np.abs(a - b).max() > 1e-2 * largest for a, b in zip(*map(jax.tree.leaves, (thirds[0][1], wanted)), strict=True)
    )


@pytest.mark.parametrize("at", [None, np.arange(0, 96, 3)])
def test_the_degree_of_a_step_is_a_number_of_any_type(key, at):
    params = inr.init(key, SMALL)

    def loss_of(alpha):
        pair = inr.targets(encoder(), picture(8, 12), picture(12, 8, seed=1))
        return objective(params, encoder(), pair, alpha, gradient_at=at)[0]

    for alpha in (0.4, 1, np.float64(0.4), jnp.float32(0.4)):
        assert jax.eval_shape(lambda alpha=alpha: loss_of(alpha)).shape == ()
    with pytest.raises(ValueError, match=r"^alpha: expected one number, got shape \(2,\); jax\.vmap takes several"):
        jax.eval_shape(lambda: loss_of(np.array([0.4, 0.5])))


def test_pictures_that_are_none_are_refused():
    for name in ("content", "style"):
        pair = {"content": picture(16, 16), "style": picture(16, 16)}
        with pytest.raises(ValueError, match=rf"^{name}: expected one picture \(H, W, 3\), got shape \(1, 16, 16, 3\)"):
            inr.targets(encoder(), **{**pair, name: pair[name][None]})
        with pytest.raises(ValueError, match=f"^{name}: expected an image"):
            inr.targets(encoder(), **{**pair, name: pair[name][..., 0]})
        with pytest.raises(
            ValueError, match=rf"^{name}: expected at least 4 x 4 pixels for relu3_1, got shape \(3, 8, 3\)"
        ):
            inr.targets(encoder(), **{**pair, name: picture(3, 8)})
        with pytest.raises(ValueError, match=rf"^{name}: expected at least 16 x 16 pixels for conv5_1, got"):
            inr.targets(encoder(), **{**pair, name: picture(15, 40)}, loss=Loss(taps="deep_conv"))


def test_the_encoder_is_vgg_as_trained():
    params, arch = inr.load_encoder()
    assert arch == "vgg16" and list(params)[-1] == "conv3_1"
    stored = weights.load("vgg16").arrays
    np.testing.assert_array_equal(params["conv2_1"]["kernel"], np.float32(stored["conv2_1.kernel"]))
    assert list(inr.load_encoder("vgg16", Loss(taps="deep_conv"))[0])[-1] == "conv5_1"
    with pytest.raises(weights.WeightsError, match="holds weights of kind 'adain'; needed is 'vgg'"):
        inr.load_encoder("adain_vgg16")


# ---- against PyTorch ---------------------------------------------------------------------------------------


def paper_in_torch(torch, params, content, style, a, options):
    """The paper's formulation in float64, written without jaxstyle: (loss, content, style, gradients)."""
    functional = torch.nn.functional

    def tensor(value):
        return torch.tensor(np.asarray(value), dtype=torch.float64)

    layers = {name: {k: tensor(v).requires_grad_() for k, v in parts.items()} for name, parts in params.network.items()}
    height, width = content.shape[:2]
    rows, columns = (
        torch.tensor([(2 * i + 1) / n - 1 for i in range(n)], dtype=torch.float64) for n in (height, width)
    )
    at = torch.stack([columns.repeat(height), rows.repeat_interleave(width)], dim=-1)
    spec = params.spec
    frequencies = spec.omega * 2.0 ** torch.arange(spec.octaves, dtype=torch.float64)
    phases = (at[..., None] * frequencies).reshape(len(at), -1)
    z = a * tensor(params.z_c) + (1 - a) * tensor(params.z_s)
    entry = torch.cat([phases.sin(), phases.cos(), at, z.repeat(len(at), 1)], dim=1)

    def linear(x, name):
        return x @ layers[name]["kernel"] + layers[name]["bias"]

    y = entry
    for i in range(spec.depth):
        if i and i == spec.skip:
            y = torch.cat([y, entry], dim=1)
        y = functional.relu(linear(y, f"layer{i}"))
    output = torch.sigmoid(linear(linear(y, "linear"), "rgb")).T.reshape(1, 3, height, width)

    net = encoder(options["through"])

    def features(x):
        mean, std = (tensor(v).reshape(1, 3, 1, 1) for v in ([0.485, 0.456, 0.406], [0.229, 0.224, 0.225]))
        x, found = (x - mean) / std, {}
        for name, layer in net.items():
            if name.endswith("_1") and name != "conv1_1":
                x = functional.avg_pool2d(x, 2)
            x = functional.conv2d(x, tensor(layer["kernel"]).permute(3, 2, 0, 1), tensor(layer["bias"]), padding=1)
            found[name] = x
            x = found[name.replace("conv", "relu")] = functional.relu(x)
        return found

    def statistics(f):
        flat = f[0].reshape(f.shape[1], -1)
        if options["style"] == "gram":
            return (flat @ flat.T / flat.numel(),)
        return flat.mean(1), (flat.var(1, unbiased=False) + 1e-5).sqrt()

    f_o, f_c, f_s = features(output), *(features(tensor(x).permute(2, 0, 1)[None]) for x in (content, style))
    of_content = functional.mse_loss(f_o[options["content_tap"]], f_c[options["content_tap"]])
    of_style = sum(
        functional.mse_loss(ours, theirs)
        for tap in options["style_taps"]
        for ours, theirs in zip(statistics(f_o[tap]), statistics(f_s[tap]), strict=True)
    )
    loss = options["f"](a) * of_content + options["f"](1 - a) * 1e5 * of_style
    loss.backward()
    gradients = {name: {k: v.grad.numpy() for k, v in parts.items()} for name, parts in layers.items()}
    return loss.item(), of_content.item(), of_style.item(), gradients


@pytest.mark.torch
@pytest.mark.parametrize(
    ("loss", "spec", "f"),
    [
        pytest.param(Loss(), Spec(), lambda x: -x * math.log(1 - x), id="paper"),
        pytest.param(
            Loss(reweighting="exponential_eq5", kappa=2.0, style="mean_std", taps="shallow_conv"),
            Spec(octaves=8, omega=math.pi),
            lambda x: -x * math.log(1 - x**2),
            id="eq5-mean_std-conv-pi",
        ),
        pytest.param(
            Loss(reweighting="polynomial", kappa=3.0, taps="deep_relu"),
            Spec(octaves=0, skip=0, depth=3),
            lambda x: x**3,
            id="polynomial-deep-no-encoding",
            marks=pytest.mark.slow,
        ),
    ],
)
def test_loss_and_gradients_are_those_of_the_paper_in_pytorch(loss, spec, f, key):
    torch = pytest.importorskip("torch")
    through = f"conv{loss.style_taps[-1][4:]}"
    params, content, style, alpha = inr.init(key, spec), picture(18, 26), picture(20, 22, seed=1), 0.35
    options = {
        **{"through": through, "style": loss.style, "f": f},
        **{"content_tap": loss.content_tap, "style_taps": loss.style_taps},
    }
    wanted = paper_in_torch(torch, params, content, style, 1 - alpha, options)

    @jax.jit
    def run(network):
        changed = dataclasses.replace(params, network=network)
        return objective(changed, encoder(through), pair, jnp.float32(alpha), loss)

    pair = inr.targets(encoder(through), content, style, loss)
    (found, terms), gradients = jax.value_and_grad(run, has_aux=True)(params.network)
    np.testing.assert_allclose([found, terms["content"], terms["style"]], wanted[:3], rtol=1e-4)
    for name, parts in wanted[3].items():
        for part, gradient in parts.items():
            error = np.linalg.norm(gradients[name][part] - gradient) / np.linalg.norm(gradient)
            assert error < 1e-4, (name, part, error)
