"""How still a video is: what changes from frame to frame beside what the motion changes.

Both measures depend on the motion and on the frames' contrast, and a blur is good for both: beside a stylized video
stand the values of its input.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Sequence

import jax
import jax.numpy as jnp
import numpy as np
from jax.scipy.ndimage import map_coordinates

from jaxstyle.arrays import Array, ArrayLike, Features
from jaxstyle.metrics.networks import LPIPS_TAPS, MetricsError, Networks, as_batches, features, lpips_distance

Positions = Callable[[int, int], np.ndarray]
"""Of two numbers of frames: where each pixel of the first is in the second, ``(H, W, 2)``, row and column."""


def temporal_lpips(networks: Networks, frames: Iterable[ArrayLike], lag: int = 1) -> float:
    """Mean LPIPS of frames of a video that are ``lag`` apart, 1: neighbours (Table 2 of *Learning Dynamic Style
    Kernels*); 0 = still. See `lpips_by_lag`."""
    return lpips_by_lag(networks, frames, (lag,))[0]


def lpips_by_lag(networks: Networks, frames: Iterable[ArrayLike], lags: Sequence[int]) -> list[float]:
    """Mean LPIPS of frames that are so far apart, for each of several lags.

    Args:
      networks: see `jaxstyle.metrics.metrics.load_networks`.
      frames: more pictures ``(H, W, 3)`` of one size than the largest lag, at least 16 x 16 pixels; an array
        ``(T, H, W, 3)`` or any iterable. So many and one are held at a time, and each is seen by the network once.
      lags: frames, each at least 1.

    Raises:
      MetricsError: there are not more frames than that, or they are too small, or their sizes differ.
    """
    if not lags or min(lags) < 1:
        raise MetricsError(f"lag: expected at least 1, got {min(lags, default=None)}")
    distances: list[list[float]] = [[] for _ in lags]
    count, shape = 0, None
    seen: deque[dict[str, Features]] = deque(maxlen=max(lags))
    for count, frame in enumerate(frames, 1):
        if np.ndim(frame) != 3 or np.shape(frame) != (shape or np.shape(frame)):
            raise MetricsError(f"frames: number {count} has shape {np.shape(frame)}; expected {shape or '(H, W, 3)'}")
        (batch,), _ = as_batches(frames=frame)
        found = features(networks.plain, batch, LPIPS_TAPS)
        for lag, own in zip(lags, distances, strict=True):
            if len(seen) >= lag:
                own.append(float(lpips_distance(networks, seen[-lag], found)[0]))
        shape = np.shape(frame)
        seen.append(found)
    if not all(distances):
        raise MetricsError(f"frames: {count}; expected at least {max(lags) + 1}")
    return [float(np.mean(own)) for own in distances]


def warping_error(frames: Sequence[ArrayLike], positions: Positions, lag: int = 1) -> float:
    """Mean square of the difference between frames and those ``lag`` before them, moved to where things are now (Lai et
    al. 2018, arXiv:1808.00449); 0 = all change is motion.

    Args:
      frames: more pictures ``(H, W, 3)`` of one size than ``lag``, floats in [0, 1] or unsigned integers.
      positions: the true motion. Pixels that were outside of the earlier frame, or at a place that is not finite,
        which says that they were hidden, are not counted.
      lag: frames, at least 1.

    Returns:
      The mean over pixels, channels and pairs of frames.

    Raises:
      MetricsError: there are not more frames than ``lag``, their sizes differ, or no pixel can be compared.
    """
    if lag < 1 or len(frames) <= lag:
        raise MetricsError(f"frames: {len(frames)}, lag: {lag}; expected more frames than the lag, which is at least 1")
    found = []
    for number in range(lag, len(frames)):
        (now, before), _ = as_batches(least=1, now=frames[number], before=frames[number - lag])
        squares, counted = _difference(now[0], before[0], jnp.asarray(positions(number, number - lag), jnp.float32))
        if not counted:
            raise MetricsError(f"positions: no pixel of frame {number} is in frame {number - lag}")
        found.append(float(squares) / float(counted))
    return float(np.mean(found))


@jax.jit
def _difference(now: Array, before: Array, positions: Array) -> tuple[Array, Array]:
    """The sum of squared differences over pixels, each the mean of its channels, and how many pixels there are."""
    height, width, _ = before.shape
    last = jnp.asarray([height - 1, width - 1], jnp.float32)
    inside = (jnp.isfinite(positions) & (positions >= 0) & (positions <= last[None, None])).all(-1)
    places = jnp.where(inside[..., None], positions, 0.0)
    moved = jax.vmap(lambda plane: map_coordinates(plane, [places[..., 0], places[..., 1]], order=1), 2, 2)(before)
    return jnp.where(inside, jnp.square(now - moved).mean(-1), 0.0).sum(), inside.sum()
