import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxstyle.nets.losses import content_loss, gram_loss, remd, sample_positions, structure_loss, style_loss
from jaxstyle.nets.stats import Moments, gram, moments


def random(shape, seed=0):
    return jnp.asarray(np.random.default_rng(seed).normal(size=shape), jnp.float32)


def test_content_loss_by_hand():
    target = jnp.zeros((2, 1, 2, 2))
    f = target.at[0].set(3.0).at[1, 0, 0].set(4.0)  # image 0: four times 3; image 1: 4, 4, 0, 0
    assert float(content_loss(f, target)) == pytest.approx((9 + 8) / 2)
    assert float(content_loss(f, target, norm="plain")) == pytest.approx((6 + 32**0.5) / 2)


def test_style_loss_by_hand():
    """Deviations of a checkerboard of 0 and 2a are a; means are a."""
    board = jnp.array([[0.0, 2.0], [2.0, 0.0]]).reshape(1, 2, 2, 1)
    f = jnp.concatenate([board, 3 * board], axis=-1)  # means 1 and 3, deviations 1 and 3
    target = Moments(jnp.array([[1.0, 1.0]]), jnp.array([[1.0, 6.0]]))
    assert float(style_loss({"a": f}, {"a": target})) == pytest.approx(4 / 2 + 9 / 2, rel=1e-4)
    assert float(style_loss({"a": f}, {"a": target}, norm="plain")) == pytest.approx(2 + 3, rel=1e-4)
    both = style_loss({"a": f, "b": f, "not a target": f}, {"a": target, "b": target})
    assert float(both) == pytest.approx(2 * 6.5, rel=1e-4)


@pytest.mark.parametrize("norm", ["squared", "plain"])
def test_equals_numpy_in_float64(norm):
    f, target = random((3, 5, 4, 6)), random((3, 5, 4, 6), seed=1)

    def distance(a, b):
        d = np.float64(a).reshape(3, -1) - np.float64(b).reshape(3, -1)
        return np.mean((d**2).mean(1)) if norm == "squared" else np.mean(np.sqrt((d**2).sum(1)))

    np.testing.assert_allclose(content_loss(f, target, norm=norm), distance(f, target), rtol=1e-5)
    a, b = ([np.float64(x).mean((1, 2)), np.sqrt(np.float64(x).var((1, 2)) + 1e-5)] for x in (f, target))
    expected = distance(a[0], b[0]) + distance(a[1], b[1])
    np.testing.assert_allclose(style_loss({"t": f}, {"t": moments(target)}, norm=norm), expected, rtol=1e-5)


@pytest.mark.parametrize("norm", ["squared", "plain"])
def test_zero_at_the_target_with_finite_gradients(norm):
    f = jnp.full((2, 3, 3, 4), 0.5)
    loss, gradient = jax.value_and_grad(lambda f: content_loss(f, jnp.full((2, 3, 3, 4), 0.5), norm=norm))(f)
    assert float(loss) <= 1e-5 and np.isfinite(gradient).all()
    own = {"t": moments(f)}
    loss, gradient = jax.value_and_grad(lambda f: style_loss({"t": f}, own, norm=norm))(f)
    assert float(loss) <= 1e-5 and np.isfinite(gradient).all()


@pytest.mark.parametrize("norm", ["squared", "plain"])
def test_a_tiled_batch_changes_nothing(norm):
    f, target = random((2, 3, 3, 4)), random((2, 3, 3, 4), seed=1)
    twice = [jnp.concatenate([x, x]) for x in (f, target)]
    np.testing.assert_allclose(content_loss(*twice, norm=norm), content_loss(f, target, norm=norm), rtol=1e-6)
    found = style_loss({"t": twice[0]}, {"t": moments(twice[1])}, norm=norm)
    np.testing.assert_allclose(found, style_loss({"t": f}, {"t": moments(target)}, norm=norm), rtol=1e-6)


def test_one_style_serves_the_batch():
    f, style = random((3, 4, 4, 5)), random((1, 6, 6, 5), seed=1)
    each = [style_loss({"t": x[None]}, {"t": moments(style)}) for x in f]
    np.testing.assert_allclose(style_loss({"t": f}, {"t": moments(style)}), np.mean(each), rtol=1e-6)


def test_bfloat16_features_give_a_float32_loss():
    """The difference of two close bfloat16 values is exact in float32, and sums do not stop at 256."""
    f = jnp.full((1, 64, 64, 1), 257.0).astype(jnp.bfloat16)
    loss = content_loss(f, jnp.zeros_like(f))
    assert loss.dtype == jnp.float32
    assert float(loss) == float(jnp.square(f[0, 0, 0, 0].astype(jnp.float32)))
    small = jnp.full((1, 2, 2, 1), 1 / 512, jnp.bfloat16)
    assert float(content_loss(jnp.ones_like(small), small)) == pytest.approx((1 - 1 / 512) ** 2)


def test_errors_name_the_argument():
    f = random((2, 3, 3, 4))
    with pytest.raises(
        ValueError, match=r"^target: expected the shape of features, \(2, 3, 3, 4\), got \(1, 3, 3, 4\)$"
    ):
        content_loss(f, f[:1])
    with pytest.raises(ValueError, match=r"^norm: expected 'squared' or 'plain', got 'l1'$"):
        content_loss(f, f, norm="l1")
    with pytest.raises(ValueError, match=r"^norm: expected 'squared' or 'plain', got 'l1'$"):
        style_loss({"t": f}, {"t": moments(f)}, norm="l1")
    with pytest.raises(ValueError, match=r"^features: none for u; found t$"):
        style_loss({"t": f}, {"u": moments(f)})
    with pytest.raises(ValueError, match=r"^style: expected statistics \(2, 4\) for t, got \(3, 4\)$"):
        style_loss({"t": f}, {"t": moments(random((3, 2, 2, 4)))})


def test_gram_loss_by_hand():
    """Ones have a Gram matrix of 1 / C everywhere."""
    ones = {"a": jnp.ones((2, 3, 5, 4)), "b": jnp.ones((2, 6, 2, 2)), "not a target": jnp.ones((2, 1, 1, 1))}
    zeros = {"a": jnp.zeros((1, 4, 4)), "b": jnp.zeros((2, 2, 2))}
    assert float(gram_loss(ones, zeros)) == pytest.approx(1 / 16 + 1 / 4, rel=1e-6)
    own = {tap: gram(f) for tap, f in ones.items()}
    loss, gradient = jax.value_and_grad(lambda f: gram_loss(f, own))(ones)
    assert float(loss) == 0 and all(np.isfinite(g).all() for g in gradient.values())


def test_gram_loss_equals_numpy_in_float64():
    f, target = random((3, 5, 4, 6)), random((2, 7, 6), seed=1)
    grams = np.einsum("nhwc,nhwd->ncd", np.float64(f), np.float64(f)) / f[0].size
    wanted = np.float64(target[:1, :6])
    np.testing.assert_allclose(gram_loss({"t": f}, {"t": target[:1, :6]}), ((grams - wanted) ** 2).mean(), rtol=1e-5)
    with pytest.raises(ValueError, match=r"^grams: expected \(3, 6, 6\) for t, got \(2, 6, 6\)"):
        gram_loss({"t": f}, {"t": target[:, :6]})
    with pytest.raises(ValueError, match=r"^features: none for u; found t"):
        gram_loss({"t": f}, {"u": target})


def test_relative_style_is_blind_to_the_scale_of_a_layer():
    """Scaling a layer scales its plain distance by the square, its relative one not at all; 0 features cost 1."""
    f, s = ({tap: random((2, 6, 5, 4), seed=i) for tap in ("a", "b")} for i in range(2))
    targets = {tap: moments(x, eps=0.0) for tap, x in s.items()}
    plain, relative = (float(style_loss({"a": f["a"]}, {"a": targets["a"]}, relative=r)) for r in (False, True))
    both = float(style_loss(f, targets, relative=True))
    scaled = {"a": f["a"], "b": 10 * f["b"]}
    wanted = targets | {"b": moments(10 * s["b"], eps=0.0)}
    assert float(style_loss(scaled, wanted, relative=True)) == pytest.approx(both, rel=1e-3)
    energy = np.square(targets["a"].mean).mean(-1) + np.square(targets["a"].std).mean(-1)
    assert plain != pytest.approx(relative, rel=0.01)
    one = [
        float(style_loss({"a": f["a"][i : i + 1]}, {"a": Moments(*(m[i : i + 1] for m in targets["a"]))}))
        for i in (0, 1)
    ]
    assert relative == pytest.approx(np.mean(one / energy), rel=1e-5)
    black = {"a": jnp.zeros((2, 6, 5, 4))}
    assert float(style_loss(black, {"a": targets["a"]}, relative=True)) == pytest.approx(1, rel=0.01)
    with pytest.raises(ValueError, match="norm: expected 'squared' with relative, got 'plain'"):
        style_loss(f, targets, relative=True, norm="plain")


def test_relative_style_may_be_relative_to_the_photo():
    """The photo itself costs a little less than 1, whatever its distance; one that is the style costs nothing."""
    c, s = ({"a": random((2, 6, 5, 4), seed=i)} for i in range(2))
    photo, target = (moments(x["a"]) for x in (c, s))
    own = np.square(target.mean).mean(-1) + np.square(target.std).mean(-1)
    way = np.square(photo.mean - target.mean).mean(-1) + np.square(photo.std - target.std).mean(-1)
    expected = np.mean(way / (way + 0.1 * own))
    photo, target = {"a": photo}, {"a": target}
    assert float(style_loss(c, target, relative=True, before=photo)) == pytest.approx(expected, rel=1e-4)
    assert float(style_loss(s, target, relative=True, before=target)) == pytest.approx(0, abs=1e-6)


def test_structure_is_blind_to_how_channels_are_scaled():
    f = random((2, 6, 5, 4))
    scale, shift = random((2, 4), seed=1) ** 2 + 1, random((2, 4), seed=2)
    seen = f * scale[:, None, None] + shift[:, None, None]
    assert float(structure_loss(seen, f)) == pytest.approx(0, abs=1e-4)
    alike = structure_loss(random((2, 64, 64, 4), seed=3), random((2, 64, 64, 4), seed=4))
    assert float(alike) == pytest.approx(2, rel=0.05)  # unrelated
    assert float(structure_loss(seen, -f)) == pytest.approx(4, rel=0.01)
    with pytest.raises(ValueError, match=r"^target: expected the shape of features"):
        structure_loss(f, f[:1])


def test_relative_gram_is_1_for_black_and_for_the_photo():
    s, p = ({"a": random((2, 6, 5, 4), seed=i), "b": 10 * random((2, 3, 5, 4), seed=i + 5)} for i in range(2))
    grams, before = ({tap: gram(f) for tap, f in each.items()} for each in (s, p))
    black = {tap: jnp.zeros_like(f) for tap, f in s.items()}
    assert float(gram_loss(black, grams, relative=True)) == pytest.approx(2, rel=1e-5)  # two layers
    assert float(gram_loss(s, grams, relative=True, before=before)) == pytest.approx(0, abs=1e-6)
    way = {tap: np.square(before[tap] - grams[tap]).mean((1, 2)) for tap in s}
    own = {tap: np.square(grams[tap]).mean((1, 2)) for tap in s}
    expected = sum(np.mean(way[tap] / (way[tap] + 0.1 * own[tap])) for tap in s)
    assert float(gram_loss(p, grams, relative=True, before=before)) == pytest.approx(expected, rel=1e-4)


def test_remd_equals_numpy():
    x, y = np.float64(random((2, 7, 5))), np.float64(random((2, 9, 5), seed=1))
    expected = []
    for a, b in zip(x, y, strict=True):
        cost = np.array([[1 - u @ v / np.linalg.norm(u) / np.linalg.norm(v) for v in b] for u in a])
        expected.append(max(cost.min(1).mean(), cost.min(0).mean()))
    for pair in ((x, y), (y, x)):
        found = remd(*(jnp.asarray(side, jnp.float32) for side in pair))
        assert float(found) == pytest.approx(np.mean(expected), rel=1e-5)


def test_remd_by_hand():
    """The order, the length and repetitions do not matter; one side with more is the costlier direction."""
    axes = jnp.eye(3)[None]
    assert float(remd(axes, 5 * axes[:, ::-1])) == pytest.approx(0, abs=1e-6)
    assert float(remd(axes, -axes)) == pytest.approx(1, abs=1e-6)  # another axis is nearer than the opposite one
    assert float(remd(axes[:, :1], -axes[:, :1])) == pytest.approx(2, abs=1e-6)
    assert float(remd(axes[:, :1], axes)) == pytest.approx(2 / 3, abs=1e-6)
    assert float(remd(axes, axes[:, :1])) == pytest.approx(2 / 3, abs=1e-6)
    gradient = jax.grad(lambda x: remd(x, axes))(jnp.zeros((1, 4, 3)))
    assert np.isfinite(gradient).all()


def test_sampled_positions_are_the_same_ones_of_all_images(key):
    f = jnp.broadcast_to(jnp.arange(30.0).reshape(1, 5, 6, 1), (3, 5, 6, 2))
    np.testing.assert_array_equal(sample_positions(key, f, 30), f.reshape(3, 30, 2))
    np.testing.assert_array_equal(sample_positions(None, f, 10)[0, :, 0], np.arange(0, 30, 3))
    drawn = np.asarray(sample_positions(key, f, 10))
    assert drawn.shape == (3, 10, 2) and len(set(drawn[0, :, 0])) == 10
    np.testing.assert_array_equal(drawn, np.broadcast_to(drawn[:1, :, :1], drawn.shape))
    assert not np.array_equal(drawn, sample_positions(jax.random.key(1), f, 10))
