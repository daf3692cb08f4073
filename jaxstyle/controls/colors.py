"""Keeping the content's colours: the style picture recoloured before it is looked at, or the result afterwards.

Colours are arrays (..., 3), sRGB-encoded in [0, 1]; plain NumPy.
"""

from __future__ import annotations

import numpy as np

_LUMA = np.array([0.299, 0.587, 0.114], np.float32)  # Y of YCbCr and YIQ (ITU-R BT.601), of encoded values
_FLAT = (2 / 255) ** 2  # variance of a colour direction that is rounding noise rather than colour


def luma(pixels: np.ndarray) -> np.ndarray:
    """Y of YCbCr: float32 (...) of encoded pixels (..., 3); of a pixel it is the same wherever that is in an array,
    which a product with a matrix does not promise."""
    r, g, b = np.moveaxis(np.asarray(pixels, np.float32), -1, 0)
    return np.asarray(_LUMA[0] * r + _LUMA[1] * g + _LUMA[2] * b)


def match_covariance(style: np.ndarray, content: np.ndarray) -> np.ndarray:
    """Gives a style picture the mean and the covariance of the content's colours (Gatys et al. 2016, arXiv:1606.05897).

    ``x -> T (x - mean_s) + mean_c`` with the symmetric ``T = S^-1/2 (S^1/2 C S^1/2)^1/2 S^-1/2``: of all linear maps
    that turn the covariance S into C, the one that moves the colours least (Monge's map between normal distributions).
    Differs from the paper, which takes the Cholesky factors, whose result depends on the order of the channels, or
    ``C^1/2 S^-1/2``, which is not symmetric. Directions in which the style hardly varies, such as all
    but one in a grey picture, have no covariance to be matched: they get the content's mean alone.

    Args:
      style, content: (..., 3), of any sizes.

    Returns:
      float32 in the shape of ``style``, clipped to [0, 1].
    """
    x, y = (np.asarray(pixels, np.float64).reshape(-1, 3) for pixels in (style, content))
    (x_mean, s), (y_mean, c) = (_covariance(pixels) for pixels in (x, y))
    values, axes = np.linalg.eigh(s)
    varied = values > _FLAT
    root = np.sqrt(np.where(varied, values, 0))
    inverse = np.divide(1, root, out=np.zeros(3), where=varied)
    s_half, s_inverse_half = (axes * root) @ axes.T, (axes * inverse) @ axes.T
    values, axes = np.linalg.eigh(s_half @ c @ s_half)
    middle = (axes * np.sqrt(np.maximum(values, 0))) @ axes.T
    out = (x - x_mean) @ (s_inverse_half @ middle @ s_inverse_half) + y_mean
    return np.clip(out, 0, 1).astype(np.float32).reshape(np.shape(style))


def _covariance(pixels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    mean = pixels.mean(0)
    return mean, (pixels - mean).T @ (pixels - mean) / len(pixels)


def match_histogram(style: np.ndarray, content: np.ndarray) -> np.ndarray:
    """Gives every channel of a style picture the content's histogram.

    Each value goes to the content's value of the same rank, equal values to the middle of their ranks: a flat picture
    becomes the content's median colour.

    Args:
      style, content: (..., 3), of any sizes.

    Returns:
      float32 in the shape of ``style``, within the content's range.
    """
    out = np.empty(np.shape(style), np.float32)
    for channel in range(3):
        _, place, at = _ranks(style[..., channel])
        values, _, wanted = _ranks(content[..., channel])
        out[..., channel] = np.interp(at, wanted, values)[place].reshape(out.shape[:-1])
    return out


def _ranks(values: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(different values, index of each pixel's, relative rank of each)."""
    different, place, counts = np.unique(np.ravel(values), return_inverse=True, return_counts=True)
    return different, place, (np.cumsum(counts) - counts / 2) / counts.sum()


def keep_chroma(result: np.ndarray, content: np.ndarray) -> np.ndarray:
    """The luma of a result with the chroma of the content: Y of one, Cb and Cr of the other (ITU-R BT.601).

    Of encoded values. To move Y alone adds the same to red, green and blue: YIQ and YUV would give the same.

    Args:
      result, content: (..., 3) of the same shape.

    Returns:
      float32, clipped to [0, 1], which may move the chroma of very light and very dark pixels.
    """
    return np.clip(content + (luma(result) - luma(content))[..., None], 0, 1).astype(np.float32)
