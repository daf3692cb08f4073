import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxstyle.arrays import as_images, check_alpha, pytree, static


@pytree
class Pair:
    """Two arrays and a name."""

    first: jax.Array
    second: jax.Array | None = None
    name: str = static(default="a")


def test_a_pytree_is_frozen_and_its_static_fields_are_structure():
    pair = Pair(jnp.ones(2), name="b")
    leaves, structure = jax.tree.flatten(pair)
    assert len(leaves) == 1 and jax.tree.unflatten(structure, leaves).name == "b"
    assert jax.tree.structure(pair) != jax.tree.structure(pair.replace(name="c"))
    doubled = jax.jit(lambda pair: pair.replace(first=2 * pair.first))(pair)
    assert isinstance(doubled, Pair) and doubled.name == "b" and doubled.first.tolist() == [2, 2]
    with pytest.raises(dataclasses.FrozenInstanceError):
        pair.name = "d"
    ((path, _),) = jax.tree_util.tree_leaves_with_path(pair)
    assert jax.tree_util.keystr(path) == ".first"


def test_one_image_becomes_a_batch():
    image = np.random.default_rng(0).random((4, 5, 3), np.float32)
    batch, single = as_images(image, "x")
    assert single and batch.dtype == jnp.float32
    np.testing.assert_array_equal(batch, image[None])
    batch, single = as_images(np.stack([image, image]), "x")
    assert not single and batch.shape == (2, 4, 5, 3)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.uint32])
def test_unsigned_integers_span_zero_to_one(dtype):
    top = np.iinfo(dtype).max
    image = np.array([0, top // 3, top], dtype).reshape(1, 1, 3)
    np.testing.assert_allclose(as_images(image, "x")[0].ravel(), [0, 1 / 3, 1], rtol=1e-6)


@pytest.mark.parametrize("dtype", [np.float16, np.float64, jnp.bfloat16])
def test_other_float_types_become_float32(dtype):
    batch, _ = as_images(np.full((2, 2, 3), 0.25).astype(dtype), "x")
    assert batch.dtype == jnp.float32 and float(batch.min()) == float(batch.max()) == 0.25


def test_values_a_little_outside_and_those_of_devices_pass():
    for image in (np.float32([[[-0.9, 0.5, 1.9]]]), jnp.full((1, 1, 3), 255.0)):
        np.testing.assert_array_equal(as_images(image, "x")[0][0], image)


def test_traced_images_pass():
    found = jax.jit(jax.vmap(lambda image: as_images(image, "x")[0][0]))(jnp.full((2, 3, 4, 3), 255, jnp.uint8))
    np.testing.assert_array_equal(found, jnp.ones((2, 3, 4, 3)))


@pytest.mark.parametrize(
    ("image", "message"),
    [
        (
            np.zeros((4, 5)),
            r"content: expected an image \(H, W, 3\) or a batch \(N, H, W, 3\), got shape \(4, 5\)",
        ),
        (np.zeros((4, 5, 4)), r"content: expected an image .*, got shape \(4, 5, 4\)"),
        (np.zeros((1, 1, 4, 5, 3)), r"content: expected an image .*, got shape \(1, 1, 4, 5, 3\)"),
        (np.zeros((0, 5, 3)), r"content: there are no pixels in an array of shape \(0, 5, 3\)"),
        (
            np.zeros((4, 5, 3), int),
            r"content: expected float values in \[0, 1\] or unsigned integers, got int64",
        ),
        (np.zeros((4, 5, 3), bool), r"content: expected float .*, got bool"),
        (np.zeros((4, 5, 3), complex), r"content: expected float .*, got complex128"),
        (np.full((4, 5, 3), 255.0), r"content: expected float values in \[0, 1\], found 255 \.\. 255"),
        (np.float32([[[-1.5, 0, 1]]]), r"content: expected float values in \[0, 1\], found -1\.5 \.\. 1"),
        (np.float16([[[0, np.nan, 1]]]), r"content: expected float values in \[0, 1\], found nan \.\. nan"),
        (np.full((1, 1, 3), np.inf).astype(jnp.bfloat16), r"content: expected float .*, found inf \.\. inf"),
        ([[[0.0, 0.0, 0.0]]], r"content: expected a NumPy or JAX array, got list"),
        ("photo.jpg", r"content: expected a NumPy or JAX array, got str"),
    ],
)
def test_what_is_not_an_image(image, message):
    with pytest.raises(ValueError, match=f"^{message}$"):
        as_images(image, "content")


@pytest.mark.parametrize("dtype", [np.float32, np.float64, jnp.bfloat16, np.int32, np.uint8])
def test_alpha_of_any_number_type(dtype):
    check_alpha(np.array([0, 1]).astype(dtype))
    with pytest.raises(ValueError, match=r"^alpha: expected values in \[0, 1\], found 0 \.\. 2$"):
        check_alpha(np.array([0, 2]).astype(dtype))


@pytest.mark.parametrize("alpha", [0, 1, 0.5, np.float64(0.3), [0.0, 1.0], np.zeros((2, 3))])
def test_good_alpha(alpha):
    check_alpha(alpha)


@pytest.mark.parametrize(
    ("alpha", "message"),
    [
        (1.5, r"strength: expected values in \[0, 1\], found 1\.5 \.\. 1\.5"),
        (np.array([0.5, -0.1]), r"strength: expected values in \[0, 1\], found -0\.1 \.\. 0\.5"),
        (float("nan"), r"strength: expected values in \[0, 1\], found nan \.\. nan"),
        ("half", r"strength: expected numbers in \[0, 1\], got <U4"),
        (None, r"strength: expected numbers in \[0, 1\], got object"),
        (np.zeros((99, 99), bool), r"strength: expected numbers in \[0, 1\], got bool"),
        (1j, r"strength: expected numbers in \[0, 1\], got complex128"),
    ],
)
def test_bad_alpha(alpha, message):
    with pytest.raises(ValueError, match=f"^{message}$"):
        check_alpha(alpha, "strength")


def test_traced_alpha_is_not_looked_at():
    def double(alpha):
        check_alpha(alpha)
        return 2 * alpha

    assert float(jax.jit(double)(7.0)) == 14
