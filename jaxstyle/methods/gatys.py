"""Style transfer by optimising the pixels (Gatys et al. 2016): slow, and the yardstick of the methods that are not.

`optimise` starts from the photo and lowers one of three losses, each a function of frozen features:

* ``"gatys"``: the paper's own, Gram matrices for style and the photo's relu4_2 for content;
* ``"adain"``: AdaIN's training loss (Eq. 11 of arXiv:1703.06868) on pixels instead of the decoder, so what a decoder
  free of all limits would do;
* ``"moments"``: what AdaIN's Fig. 3 compares with, means and deviations for style and the photo's relu4_1.

One step is one compiled function, called from a Python loop: convolutions inside a compiled loop would be many times
slower on CPU.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Collection, Iterator
from functools import partial
from typing import Any, Literal, NamedTuple, TypedDict, Unpack

import jax
import jax.numpy as jnp
import numpy as np
import optax

from jaxstyle.arrays import Array, ArrayLike, Features, Image
from jaxstyle.metrics.metrics import CONTENT_TAP, GRAM_TAPS, MOMENT_TAPS
from jaxstyle.metrics.networks import MetricsError, Networks, as_batches, features
from jaxstyle.nets import losses
from jaxstyle.nets.stats import gram, moments, with_moments

Loss = Literal["gatys", "adain", "moments"]
Optimizer = Literal["adam", "lbfgs"]

STYLE_WEIGHTS: dict[str, float] = {"gatys": 100.0, "adain": 10.0, "moments": 10.0}
"""Default weight of the style term of each loss. Content terms are means here and sums in Gatys et al.'s paper, whose
weights therefore do not carry over: 100 gives pictures like theirs."""

_GATYS_CONTENT = "relu4_2"
_ARMIJO = 1e-4  # part of the promised decrease that a step of L-BFGS must bring
_HALVINGS = 10  # of such a step before L-BFGS forgets what it remembers


class Targets(NamedTuple):
    """What the picture's features should become: a pytree."""

    content: Features
    style: dict[str, Any]  # by layer: Gram matrices, or `stats.Moments`


class Result(NamedTuple):
    """What `optimise` found.

    Attributes:
      picture: ``(H, W, 3)`` in [0, 1].
      curve: ``loss`` and the unweighted ``content`` and ``style`` after 0, 1, ..., steps steps.
      kept: the picture after each of the asked steps.
    """

    picture: Image
    curve: dict[str, np.ndarray]
    kept: dict[int, Image]


def _features(networks: Networks, images: Image, loss: Loss) -> dict[str, Features]:
    if loss == "gatys":  # average pooling: Sec. 2 of the paper
        return features(networks.plain, images, (*GRAM_TAPS, _GATYS_CONTENT), pool="avg")
    return features(networks.normalised, images, MOMENT_TAPS, padding="reflect")


@partial(jax.jit, static_argnames="loss")
def targets(networks: Networks, content: Image, style: Image, *, loss: Loss) -> Targets:
    """What `objective` aims at.

    Args:
      networks: see `jaxstyle.metrics.metrics.load_networks`.
      content: ``(1, H, W, 3)`` in [0, 1].
      style: ``(1, H', W', 3)``.
      loss: which one.
    """
    f_c, f_s = (_features(networks, images, loss) for images in (content, style))
    if loss == "gatys":
        return Targets(f_c[_GATYS_CONTENT], {tap: gram(f_s[tap]) for tap in GRAM_TAPS})
    statistics = {tap: moments(f_s[tap]) for tap in MOMENT_TAPS}
    kept = f_c[CONTENT_TAP]
    return Targets(with_moments(kept, statistics[CONTENT_TAP]) if loss == "adain" else kept, statistics)


def objective(
    images: Image, networks: Networks, wanted: Targets, *, loss: Loss, style_weight: float | Array
) -> tuple[Array, dict[str, Array]]:
    """The loss of a picture: ``content + style_weight * style``.

    ``content`` is the mean squared difference of features. ``style`` is, for ``"gatys"``, Eq. 4 averaged over
    relu1_1 .. relu5_1 (its Eq. 5 with weights of 1/5); for the others Eq. 13 of arXiv:1703.06868.

    Args:
      images: ``(1, H, W, 3)``.
      networks: see `jaxstyle.metrics.metrics.load_networks`.
      wanted: from `targets`.
      loss: which one.
      style_weight: see `STYLE_WEIGHTS`.

    Returns:
      ``(loss, terms)``: a scalar, and the unweighted ``content`` and ``style``.
    """
    found = _features(networks, images, loss)
    if loss == "gatys":
        squares = [jnp.square(gram(found[tap]) - wanted.style[tap]).sum((1, 2)).mean() for tap in GRAM_TAPS]
        content, style = found[_GATYS_CONTENT], jnp.stack(squares).mean() / 4
    else:
        content, style = found[CONTENT_TAP], losses.style_loss(found, wanted.style)
    terms = {"content": losses.content_loss(content, wanted.content), "style": style}
    return terms["content"] + style_weight * terms["style"], terms


@partial(jax.jit, static_argnames="loss")
def _evaluate(
    pixels: Array, networks: Networks, wanted: Targets, style_weight: Array, *, loss: Loss
) -> tuple[dict[str, Array], Array]:
    """The terms, ``loss`` among them, and the gradient."""
    run = partial(objective, loss=loss, style_weight=style_weight)
    (value, terms), gradient = jax.value_and_grad(run, has_aux=True)(pixels, networks, wanted)
    return {"loss": value, **terms}, gradient


_LBFGS = optax.chain(optax.scale_by_lbfgs(memory_size=10), optax.scale(-1.0))


@jax.jit
def _adam_step(gradient: Array, state: optax.OptState, pixels: Array, rate: Array) -> tuple[Array, optax.OptState]:
    with jax.numpy_dtype_promotion("standard"):  # optax multiplies floats with its count of steps
        updates, state = optax.adam(rate).update(gradient, state, pixels)
    return jnp.clip(pixels + updates, 0, 1), state  # type: ignore[operator]


@jax.jit
def _direction(gradient: Array, state: optax.OptState, pixels: Array) -> tuple[Array, Array, optax.OptState]:
    """Where L-BFGS would step, the slope of the loss along it, and its memory afterwards."""
    with jax.numpy_dtype_promotion("standard"):
        step, state = _LBFGS.update(gradient, state, pixels)
    return step, jnp.vdot(gradient, step), state  # type: ignore[arg-type, return-value]


Evaluate = Callable[[Array], tuple[dict[str, Array], Array]]
Walk = Iterator[tuple[Array, dict[str, Array]]]


def _adam(evaluate: Evaluate, pixels: Array, rate: float) -> Walk:
    """The pixels and their terms after 0, 1, 2, ... steps."""
    state = optax.adam(rate).init(pixels)
    while True:
        terms, gradient = evaluate(pixels)
        yield pixels, terms
        pixels, state = _adam_step(gradient, state, pixels, jnp.float32(rate))


def _lbfgs(evaluate: Evaluate, pixels: Array) -> Walk:
    """The same. Each step is halved until the loss falls as it should; the first try nearly always does.

    optax's own line search evaluates the loss inside a compiled loop, which is what this module has to avoid.
    """
    state = fresh = _LBFGS.init(pixels)
    terms, gradient = evaluate(pixels)
    while True:
        yield pixels, terms
        step, slope, state = _direction(gradient, state, pixels)
        if not float(slope) < 0:  # a memory without positive curvature: begin anew, downhill
            step, slope, state = _direction(gradient, fresh, pixels)
        for size in 0.5 ** np.arange(_HALVINGS, dtype=np.float32):
            candidate = pixels + size * step
            found, new_gradient = evaluate(candidate)
            if float(found["loss"]) <= float(terms["loss"]) + _ARMIJO * float(size * slope):
                pixels, terms, gradient = candidate, found, new_gradient
                break
        else:
            state = fresh


class Options(TypedDict, total=False):
    """Further options of `optimise`."""

    style_weight: float | None
    learning_rate: float
    start: ArrayLike | None
    keep: Collection[int]


def optimise(
    networks: Networks,
    content: ArrayLike,
    style: ArrayLike,
    *,
    steps: int = 150,
    loss: Loss = "gatys",
    optimizer: Optimizer = "adam",
    **options: Unpack[Options],
) -> Result:
    """Changes a picture's pixels until its features are those wanted (Eq. 7 of Gatys et al. 2016).

    Args:
      networks: see `jaxstyle.metrics.metrics.load_networks`.
      content: the photo ``(H, W, 3)``, at least 16 x 16 pixels.
      style: the painting ``(H', W', 3)``, of any such size.
      steps: iterations. One takes one evaluation of the loss and its gradient, with L-BFGS sometimes more.
      loss: ``"gatys"``, ``"adain"`` or ``"moments"``, see the module's text.
      optimizer: ``"adam"`` keeps the pixels within [0, 1] at every step, ``"lbfgs"`` lets them leave it on the way.
      options: ``style_weight``: by default that of `STYLE_WEIGHTS`.
        ``learning_rate``: of Adam, 0.02 by default; L-BFGS has none.
        ``start``: the picture to start from, ``(H, W, 3)``; by default the photo.
        ``keep``: numbers of steps after which the picture is kept.

    Returns:
      A `Result`.

    Raises:
      MetricsError: the pictures do not fit, or an option is out of range.
      TypeError: there is no such option.

    Differs from the paper: VGG-16 instead of VGG-19, a start from the photo instead of noise.
    """
    if unknown := sorted(set(options) - Options.__annotations__.keys()):
        raise TypeError(f"unexpected keyword argument {unknown[0]!r}")
    start, keep, style_weight = options.get("start"), options.get("keep", ()), options.get("style_weight")
    if loss not in STYLE_WEIGHTS:
        raise MetricsError(f"loss: expected one of {', '.join(STYLE_WEIGHTS)}, got {loss!r}")
    if optimizer not in ("adam", "lbfgs"):
        raise MetricsError(f"optimizer: expected 'adam' or 'lbfgs', got {optimizer!r}")
    if steps < 0 or not set(keep) <= set(range(steps + 1)):
        raise MetricsError(f"steps: {steps}, keep: {sorted(keep)}; expected at least 0, and keep of 0 .. steps")
    (photo, pixels), single = as_batches(content=content, start=content if start is None else start)
    (painting,), alone = as_batches(style=style)
    if not (single and alone):
        raise MetricsError("content, start, style: expected single pictures (H, W, 3), got a batch")
    wanted = targets(networks, photo, painting, loss=loss)
    weight = jnp.float32(STYLE_WEIGHTS[loss] if style_weight is None else style_weight)

    def evaluate(pixels: Array) -> tuple[dict[str, Array], Array]:
        return _evaluate(pixels, networks, wanted, weight, loss=loss)

    walk = (
        _adam(evaluate, pixels, options.get("learning_rate", 0.02)) if optimizer == "adam" else _lbfgs(evaluate, pixels)
    )
    rows, kept = [], {}
    for step, (pixels, terms) in enumerate(itertools.islice(walk, steps + 1)):
        rows.append(terms)
        if step in keep:
            kept[step] = jnp.clip(pixels[0], 0, 1)
    curve = {name: np.asarray(jnp.stack([row[name] for row in rows])) for name in ("loss", "content", "style")}
    return Result(jnp.clip(pixels[0], 0, 1), curve, kept)
