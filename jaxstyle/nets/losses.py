"""Losses on features: arrays in, one scalar out. All accumulate in float32."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import numpy as np
from jax import lax, random
from jax import numpy as jnp  # `import jax.numpy` may see half of it, if a thread is importing jax

from jaxstyle.arrays import Array, Features
from jaxstyle.nets.stats import Moments, gram, moments, standardise

Norm = Literal["squared", "plain"]
OWN = 0.1
"""So much of the style's own squared norm is added to the photo's distance, which may be 0."""
_TINY = 1e-12  # under the root of the plain norm, whose gradient would be infinite at 0
STANDARDISE_EPS = 1e-3
"""The scale of normalised features is 1: channels that hardly respond say nothing."""


def _per_image(found: Array, target: Array, norm: Norm) -> Array:
    """Distance of every image's values from its target's: (N, ...) and (N or 1, ...) -> (N,)."""
    d = (found.astype(jnp.float32) - target.astype(jnp.float32)).reshape(found.shape[0], -1)
    if norm == "squared":
        return jnp.square(d).mean(-1)
    if norm == "plain":
        return jnp.sqrt(jnp.square(d).sum(-1) + _TINY)
    raise ValueError(f"norm: expected 'squared' or 'plain', got {norm!r}")


def content_loss(features: Features, target: Features, *, norm: Norm = "squared") -> Array:
    """Distance of feature maps (Eq. 12 of arXiv:1703.06868), a mean over the batch.

    Args:
      features: ``(N, H, W, C)``.
      target: the same shape.
      norm: ``"squared"``: mean of the squared differences; ``"plain"``: Euclidean norm.

    Returns:
      A scalar.

    Raises:
      ValueError: the shapes differ, or an unknown ``norm``.

    Differs from the paper: Eq. 12 has the Euclidean norm, the authors' code the mean squared error; the
    latter is the default.
    """
    if features.shape != target.shape:
        raise ValueError(f"target: expected the shape of features, {features.shape}, got {target.shape}")
    return _per_image(features, target, norm).mean()


def structure_loss(features: Features, target: Features, *, norm: Norm = "squared") -> Array:
    """`content_loss` after each channel got mean 0 and deviation 1 in both: where things are, and not how they look.

    Args:
      features: ``(N, H, W, C)``, such as ``relu4_1`` of normalised VGG, whose channels are about 1.
      target: the same shape.
      norm: see `content_loss`.

    Returns:
      A scalar; squared it is 0 for the same structure and about 2 for unrelated ones.

    Raises:
      ValueError: the shapes differ, or an unknown ``norm``.
    """
    return content_loss(*(standardise(f, eps=STANDARDISE_EPS) for f in (features, target)), norm=norm)


def style_loss(
    features: Mapping[str, Features],
    style: Mapping[str, Moments],
    *,
    norm: Norm = "squared",
    relative: bool = False,
    before: Mapping[str, Moments] | None = None,
) -> Array:
    """Distance of channel means plus that of deviations, summed over layers (Eq. 13 of arXiv:1703.06868).

    Differs from the paper: with ``relative`` every layer's squared distance is divided by the squared norm of the
    style's own statistics, ``|mu|^2 + |sigma|^2``. A few styles with extreme activations then no longer outweigh the
    others, nor one layer the rest.

    Args:
      features: ``{tap: (N, H, W, C)}`` of the stylized images.
      style: ``{tap: Moments}`` of the style images, ``(N, C)`` or ``(1, C)``; its taps are the ones compared.
      norm: see `content_loss`.
      relative: divide, see above; for the squared norm only.
      before: statistics of the photos; the distance is then divided by theirs, plus a tenth of the norm above: what is
        left of it counts, and a painting that is like the photo asks for as much care as a strange one.

    Returns:
      A scalar, the mean over the batch.

    Raises:
      ValueError: a tap is missing, the statistics do not fit the features, or an unknown ``norm``.
    """
    if relative and norm != "squared":
        raise ValueError(f"norm: expected 'squared' with relative, got {norm!r}")
    total = jnp.zeros((), jnp.float32)
    for tap, target in style.items():
        if tap not in features:
            raise ValueError(f"features: none for {tap}; found {', '.join(features) or 'nothing'}")
        found = moments(features[tap])
        n, c = found.mean.shape
        if target.mean.shape not in ((n, c), (1, c)):
            raise ValueError(f"style: expected statistics ({n}, {c}) for {tap}, got {target.mean.shape}")
        distance = _per_image(found.mean, target.mean, norm) + _per_image(found.std, target.std, norm)
        if relative:
            own = jnp.square(target.mean).mean(-1) + jnp.square(target.std).mean(-1)
            if before is not None:
                way = _per_image(before[tap].mean, target.mean, norm) + _per_image(before[tap].std, target.std, norm)
                own = way + OWN * own
            distance /= own
        total += distance.mean()
    return total


def gram_loss(
    features: Mapping[str, Features],
    grams: Mapping[str, Array],
    *,
    relative: bool = False,
    before: Mapping[str, Array] | None = None,
) -> Array:
    """Mean squared difference of Gram matrices, summed over layers (Eq. 8 of arXiv:2210.07762).

    Args:
      features: ``{tap: (N, H, W, C)}`` of the stylized images.
      grams: ``{tap: (N or 1, C, C)}`` of the style images, from `stats.gram`; its taps are the ones compared.
      relative: divide every layer's by the mean square of the style's own, see `style_loss`.
      before: Gram matrices of the photos, see `style_loss`; only with ``relative``.

    Returns:
      A scalar, the mean over the batch.

    Raises:
      ValueError: a tap is missing, or the matrices do not fit the features.
    """
    total = jnp.zeros((), jnp.float32)
    for tap, target in grams.items():
        if tap not in features:
            raise ValueError(f"features: none for {tap}; found {', '.join(features) or 'nothing'}")
        n, c = features[tap].shape[0], features[tap].shape[-1]
        if target.shape not in ((n, c, c), (1, c, c)):
            raise ValueError(f"grams: expected ({n}, {c}, {c}) for {tap}, got {target.shape}")
        distance = _per_image(gram(features[tap]), target, "squared")
        if relative:
            own = jnp.square(target).mean((1, 2))
            distance /= own if before is None else _per_image(before[tap], target, "squared") + OWN * own
        total += distance.mean()
    return total


def sample_positions(key: Array | None, features: Features, count: int) -> Array:
    """The vectors at some positions, the same ones of all images of the batch.

    Args:
      key: which positions; None: evenly spaced ones.
      features: ``(N, H, W, C)``.
      count: how many at most; where there are no more, all of them in their order.

    Returns:
      ``(N, min(H * W, count), C)``.
    """
    n, h, w, c = features.shape
    vectors = features.reshape(n, h * w, c)
    if h * w <= count:
        return vectors
    if key is None:
        return vectors[:, np.arange(count) * (h * w) // count]
    return vectors[:, random.choice(key, h * w, (count,), replace=False)]


def remd(vectors: Array, others: Array) -> Array:
    """Relaxed earth mover's distance of two sets of vectors, by cosine distance (STROTSS, arXiv:1904.12785, Eq. 5-7).

    Every vector goes to the nearest one of the other set; the costlier direction counts.

    Args:
      vectors: ``(N, P, C)``.
      others: ``(N, Q, C)``.

    Returns:
      A scalar in [0, 2], the mean over the batch; 0 where each vector points like one of the other set.
    """

    def unit(x: Array) -> Array:
        x = x.astype(jnp.float32)
        return x / jnp.sqrt(jnp.square(x).sum(-1, keepdims=True) + _TINY)

    cosine = jnp.einsum("npc,nqc->npq", unit(vectors), unit(others), precision=lax.Precision.HIGHEST)
    there, back = (1 - cosine.max(axis).mean(-1) for axis in (2, 1))
    return jnp.maximum(there, back).mean()
