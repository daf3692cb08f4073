import functools
import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxstyle import weights
from jaxstyle.metrics import metrics
from jaxstyle.metrics.metrics import MetricsError
from jaxstyle.nets import losses
from jaxstyle.nets.stats import moments


@functools.cache
def networks():
    return metrics.load_networks()


def pictures(shape, seed=0):
    """Smooth random pictures: noise alone leaves deep layers dead."""
    rng = np.random.default_rng(seed)
    coarse = rng.random((*shape[:-3], shape[-3] // 4 + 1, shape[-2] // 4 + 1, 3))
    fine = np.repeat(np.repeat(coarse, 4, -3), 4, -2)[..., : shape[-3], : shape[-2], :]
    return np.clip(fine + rng.normal(0, 0.05, shape), 0, 1).astype(np.float32)


def triple(shape=(32, 32, 3)):
    return [pictures(shape, seed) for seed in (1, 2, 3)]


# ---- pixels ------------------------------------------------------------------------------------------------


def test_psnr_by_hand():
    a = np.full((2, 8, 9, 3), 0.5, np.float32)
    b = a + np.array([0.1, 0.01], np.float32).reshape(2, 1, 1, 1)
    np.testing.assert_allclose(metrics.psnr(a, b), [20, 40], rtol=1e-4)
    assert metrics.psnr(a[0], a[0]).shape == () and metrics.psnr(a[0], a[0]) == np.inf
    assert float(metrics.psnr(np.uint8(a[0] * 0), np.full((8, 9, 3), 51, np.uint8))) == pytest.approx(20 * np.log10(5))


def reference_ssim(a, b):
    module = pytest.importorskip("skimage.metrics")
    options = {"gaussian_weights": True, "sigma": 1.5, "use_sample_covariance": False}
    return module.structural_similarity(np.float64(a), np.float64(b), data_range=1, channel_axis=-1, **options)


@pytest.mark.parametrize("size", [(11, 11), (40, 31)])
def test_ssim_equals_scikit_image(size):
    a = pictures((3, *size, 3))
    b = np.clip(a + np.random.default_rng(1).normal(0, [[[[0.02]]], [[[0.1]]], [[[0.5]]]], a.shape), 0, 1)
    expected = [reference_ssim(x, y) for x, y in zip(a, b, strict=True)]
    np.testing.assert_allclose(metrics.ssim(a, b.astype(np.float32)), expected, atol=1e-5)


@pytest.mark.parametrize("level", [0.0, 0.5, 1.0])
def test_ssim_of_nearly_flat_pictures_is_not_lost_in_rounding(level):
    a = np.full((32, 32, 3), level, np.float32)
    b = np.clip(a + np.random.default_rng(0).integers(-1, 2, a.shape) / 255, 0, 1).astype(np.float32)
    assert float(metrics.ssim(a, b)) == pytest.approx(reference_ssim(a, b), abs=1e-4)
    assert metrics.ssim(a, a) == 1


# ---- scores, against a slow float64 VGG ----------------------------------------------------------------------


def slow_features(x, through="relu4_1", pool=np.max):
    """Every activation of VGG-16 for one picture, from the weight file, without the package's network."""
    arrays = weights.load("vgg16").arrays
    x = (np.float64(x) - [0.485, 0.456, 0.406]) / [0.229, 0.224, 0.225]
    found = {}
    for block, count in enumerate((2, 2, 3, 3, 3), 1):
        for i in range(1, count + 1):
            kernel, bias = (np.float64(arrays[f"conv{block}_{i}.{part}"]) for part in ("kernel", "bias"))
            padded, (h, w) = np.pad(x, ((1, 1), (1, 1), (0, 0))), x.shape[:2]
            taps = itertools.product(range(3), range(3))
            x = np.maximum(bias + sum(padded[r : r + h, c : c + w] @ kernel[r, c] for r, c in taps), 0)
            found[f"relu{block}_{i}"] = x
            if f"relu{block}_{i}" == through:
                return found
        h, w = (side // 2 * 2 for side in x.shape[:2])
        x = pool(x[:h, :w].reshape(h // 2, 2, w // 2, 2, -1), (1, 3))
    return found


def slow_gram(f):
    rows = f.reshape(-1, f.shape[-1])
    return rows.T @ rows / rows.size


def slow_scores(content, style, output):
    c, s, o = (slow_features(x) for x in (content, style, output))

    def apart(f, g):
        return sum(((h(f, (0, 1)) - h(g, (0, 1))) ** 2).sum() for h in (np.mean, np.std))

    def normalised(f):
        return (f - f.mean((0, 1))) / (f.std((0, 1)) + 1e-5)

    grams = [{tap: slow_gram(f[tap]) for tap in metrics.SHALLOW_TAPS} for f in (c, s, o)]
    trios = [[g[tap] for g in grams] for tap in metrics.SHALLOW_TAPS]
    gram_ratios = [((go - gs) ** 2).sum() / ((gc - gs) ** 2).sum() for gc, gs, go in trios]
    taps = ("relu1_1", "relu2_1", "relu3_1", "relu4_1")
    kept = normalised(c["relu4_1"])
    return {
        "style_ratio": np.mean([apart(o[tap], s[tap]) / apart(c[tap], s[tap]) for tap in taps]),
        "gram_ratio": np.mean(gram_ratios),
        "content_ratio": ((normalised(o["relu4_1"]) - kept) ** 2).sum() / (kept**2).sum(),
    }


def test_scores_equal_a_slow_float64_computation():
    content, style, output = triple()
    found = metrics.scores(networks(), content, style, output)
    for name, expected in slow_scores(content, style, output).items():
        assert found[name].shape == () and float(found[name]) == pytest.approx(expected, rel=1e-3), name
    assert float(found["lpips"]) == pytest.approx(float(metrics.lpips(networks(), content, output)), rel=1e-5)


def test_scores_of_the_photo_itself_and_of_the_painting_itself():
    content, style, _ = triple()
    untouched, copied = (
        {k: float(v) for k, v in metrics.scores(networks(), content, style, x).items()} for x in (content, style)
    )
    assert untouched == pytest.approx({"style_ratio": 1, "gram_ratio": 1, "content_ratio": 0, "lpips": 0}, abs=1e-5)
    assert copied["style_ratio"] < 1e-9 and copied["gram_ratio"] < 1e-9 and copied["content_ratio"] > 0.5
    recoloured = {k: float(v) for k, v in metrics.scores(networks(), content, style, 0.5 * content + 0.2).items()}
    assert recoloured["content_ratio"] < 0.3 * copied["content_ratio"]


def test_batches_are_compared_picture_by_picture():
    content, style, output = triple()
    outputs = np.stack([output, content])
    found = metrics.scores(networks(), content, style, outputs)
    for i in range(2):
        alone = metrics.scores(networks(), content, style, outputs[i])
        for name, values in found.items():
            assert values.shape == (2,) and float(values[i]) == pytest.approx(float(alone[name]), rel=1e-4, abs=1e-6)


# ---- losses and Gram distances -----------------------------------------------------------------------------


def normalised(images):
    taps = ("relu1_1", "relu2_1", "relu3_1", "relu4_1", "relu5_1")
    return metrics.features(networks().normalised, jnp.asarray(images)[None], taps, padding="reflect")


def test_losses_are_those_of_training():
    content, style, output = triple()
    f_o, f_c, f_s = (normalised(x) for x in (output, content, style))
    wanted = {tap: moments(f_s[tap]) for tap in metrics.MOMENT_TAPS}
    expected = losses.content_loss(f_o["relu4_1"], f_c["relu4_1"]), losses.style_loss(f_o, wanted)
    found = metrics.content_loss(networks(), output, content), metrics.style_loss(networks(), output, style)
    np.testing.assert_allclose(found, expected, rtol=1e-4)


def test_gram_style_loss_is_four_times_eq_4_of_gatys():
    """E_l = sum((G - A)^2) / (4 N^2 M^2), N channels, M positions, G = F F^T."""
    _, style, output = triple()
    f, g = (normalised(x) for x in (output, style))
    total = 0.0
    for tap in metrics.GRAM_TAPS:
        n = f[tap].shape[-1]
        a, b = (np.float64(x[tap]).reshape(-1, n) for x in (f, g))
        m = len(a)
        total += ((a.T @ a - b.T @ b) ** 2).sum() / (4 * n**2 * m**2)
    assert float(metrics.gram_style_loss(networks(), output, style)) == pytest.approx(4 * total, rel=1e-3)


@pytest.mark.parametrize(("pool", "reduce"), [("avg", np.mean), ("max", np.max)])
def test_gram_distance_equals_a_slow_float64_computation(pool, reduce):
    _, style, output = triple()
    f, g = (slow_features(x, "relu3_1", reduce) for x in (output, style))
    expected = sum(np.linalg.norm(slow_gram(f[tap]) - slow_gram(g[tap])) for tap in metrics.SHALLOW_TAPS)
    assert float(metrics.gram_distance(networks(), output, style, pool=pool)) == pytest.approx(expected, rel=1e-3)
    if pool == "avg":
        assert float(metrics.gram_distance(networks(), output, style)) == pytest.approx(expected, rel=1e-3)


def test_the_distance_of_the_style_from_itself_is_zero():
    _, style, output = triple()
    for distance in (metrics.style_loss, metrics.gram_style_loss, metrics.gram_distance):
        assert float(distance(networks(), style, style)) == pytest.approx(0, abs=1e-9)
        assert distance(networks(), output, style) > 0.01


def test_the_style_may_have_another_size():
    """A picture of one colour has the same statistics at every size, but for the border."""
    _, _, output = triple()
    small, large = (np.full((side, side, 3), 0.5, np.float32) for side in (32, 48))
    a, b = (float(metrics.style_loss(networks(), output, style)) for style in (small, large))
    assert a == pytest.approx(b, rel=1e-3)


# ---- controls ----------------------------------------------------------------------------------------------


def pointwise(photo, painting):
    """A method that computes every pixel apart, with an error of reconstruction of 0.02."""
    return lambda alpha: (photo + 0.02) * (1 - alpha[..., None]) + painting * alpha[..., None]


def test_a_pointwise_method_is_controllable_but_for_its_reconstruction(key):
    photo, painting = 0.9 * pictures((12, 15, 3), 1), pictures((12, 15, 3), 2)
    for distance in (1, 3):
        render = pointwise(photo, painting)
        found = metrics.pixel_controllability(key, render, photo, distance=distance, pixels=5)
        assert found.to_reconstruction == 0
        assert found.to_content == pytest.approx(255 * 0.02, rel=1e-4)


def test_a_blurred_method_leaks_as_far_as_its_blur(key):
    """Alpha averaged over 3x3 pixels: every pixel of the first ring gets a ninth of full white, the second nothing."""
    photo = np.zeros((11, 12, 3), np.float32)

    def render(alpha):
        padded = np.pad(np.asarray(alpha), 1)
        blurred = sum(padded[i : i + 11, j : j + 12] for i in range(3) for j in range(3)) / 9
        return np.repeat(blurred[..., None], 3, -1).astype(np.float32)

    near, far = (metrics.pixel_controllability(key, render, photo, distance=d, pixels=4) for d in (1, 2))
    assert near == pytest.approx((255 / 9, 255 / 9)) and far == (0, 0)


def test_the_stylized_pixels_are_drawn_from_the_key_within_the_picture(key):
    def places(key):
        seen = []

        def render(alpha):
            seen.append(np.argwhere(np.asarray(alpha) == 1))
            return np.zeros((9, 8, 3), np.float32)

        metrics.pixel_controllability(key, render, np.zeros((9, 8, 3), np.float32), distance=2, pixels=30)
        assert len(seen[0]) == 0 and all(len(one) == 1 for one in seen[1:]) and len(seen) == 31
        return np.concatenate(seen[1:])

    first = places(key)
    assert (first.min(0) == [2, 2]).all() and (first.max(0) == [6, 5]).all()
    assert (places(key) == first).all() and (places(jax.random.key(1)) != first).any()


@pytest.mark.parametrize(
    ("shape", "options", "rendered", "message"),
    [
        ((9, 9), {"distance": 0}, (9, 9), "distance 0"),
        ((9, 9), {"pixels": 0}, (9, 9), "pixels 0"),
        ((9, 6), {"distance": 3}, (9, 6), "sides over 2 distances"),
        ((9, 9), {}, (9, 8), "render: 8 x 9 pixels; expected 9 x 9"),
    ],
)
def test_controllability_that_cannot_be_measured(key, shape, options, rendered, message):
    photo, result = np.zeros((*shape, 3), np.float32), np.zeros((*rendered, 3), np.float32)
    with pytest.raises(MetricsError, match=message):
        metrics.pixel_controllability(key, lambda alpha: result, photo, **options)


def test_disentanglement_of_a_cross_fade():
    content, style, _ = triple()
    alphas = np.array(metrics.ALPHAS, np.float32).reshape(-1, 1, 1, 1)
    renders = (1 - alphas) * np.clip(content + 0.05, 0, 1) + alphas * style
    found = metrics.disentanglement(networks(), content, style, renders)
    for i in range(5):
        assert float(found.psnr[i]) == pytest.approx(float(metrics.psnr(content, renders[i])), rel=1e-5)
        expected = float(metrics.gram_distance(networks(), renders[i], style))
        assert float(found.gram[i]) == pytest.approx(expected, rel=1e-3, abs=1e-5)
    assert found.gram[-1] < 1e-5 and (np.diff(found.psnr) < 0).all()
    np.testing.assert_allclose(found.psnr_steps, found.psnr[:-1] - found.psnr[1:], rtol=1e-4)
    np.testing.assert_allclose(found.gram_steps, np.abs(np.diff(found.gram)), rtol=1e-4)
    for wrong in (renders[:1], renders[0]):
        with pytest.raises(MetricsError, match=r"expected \(H, W, 3\) twice and \(K, H, W, 3\)"):
            metrics.disentanglement(networks(), content, style, wrong)


# ---- arguments ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda p: metrics.psnr(p(8, 8), p(8, 9)), "b: 9 x 8 pixels; expected 8 x 8, the size of a"),
        (lambda p: metrics.ssim(p(10, 16), p(10, 16)), "a: 16 x 10 pixels; expected at least 11 x 11"),
        (
            lambda p: metrics.content_loss(networks(), p(16, 16), p(32, 16)),
            "content: 16 x 32 pixels; .* size of output",
        ),
        (lambda p: metrics.gram_style_loss(networks(), p(32, 32), p(16, 16)), "style: 16 x 16 .* at least 32 x 32"),
        (
            lambda p: metrics.scores(networks(), p(16, 16), p(8, 16), p(16, 16)),
            "style: 16 x 8 pixels; expected at least",
        ),
        (lambda p: metrics.scores(networks(), p(16, 16), p(16, 16), p(24, 16)), "output: 16 x 24 .* size of content"),
        (
            lambda p: metrics.scores(networks(), p(16, 16), np.stack([p(16, 16)] * 2), np.stack([p(16, 16)] * 3)),
            "style: 2 pictures; expected 1 or, as of another argument, 3",
        ),
    ],
)
def test_pictures_that_do_not_fit_are_named(call, message):
    with pytest.raises(MetricsError, match=message) as found:
        call(lambda h, w: np.zeros((h, w, 3), np.float32))
    assert "\n" not in str(found.value)


def test_style_ratios_are_those_of_scores_for_any_size():
    content, style, output = triple()
    networks_ = networks()
    expected = metrics.scores(networks_, content, style, output)
    found = metrics.style_ratios(networks_, content, style, output)
    assert set(found) == {"style_ratio", "gram_ratio"}
    np.testing.assert_allclose([found[name] for name in found], [expected[name] for name in found], rtol=1e-4)
    other = metrics.style_ratios(networks_, content, pictures((24, 32, 3), 4), pictures((24, 32, 3), 4))
    assert other["style_ratio"] == other["gram_ratio"] == 0
