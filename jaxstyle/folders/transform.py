"""Styles for a data loader: pictures repainted on their way into training, each as its key says.

What a picture gets depends on the seed and its key alone: not on the order, the batch, the worker or the run. A
transform is a few names until it is first called, so that it can be sent to worker processes, in which jax then starts.
"""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import os
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from jaxstyle import image
from jaxstyle.controls.controls import Controls, PreserveColor, Size
from jaxstyle.controls.degree import read_maps
from jaxstyle.folders import find, pairing
from jaxstyle.image.encode import quantise
from jaxstyle.methods.interface import Style
from jaxstyle.painting.options import PathLike
from jaxstyle.painting.picture import (
    encode_styles,
    kept_styles,
    load_model,
    recolours,
    render,
    style_pixels,
    style_side,
)
from jaxstyle.painting.style_file import read_style, weights_for
from jaxstyle.styles import absolute

Key = int | str | bytes | np.generic | np.ndarray | tuple[Any, ...]

KEPT = 4096
"""Styles that a process keeps encoded, some kilobytes each; 16 pictures where they take on the content's colours."""

_worked_in: int | None = None  # the process in which a transform computed first


class TransformError(ValueError):
    """A picture or a key that a transform cannot use, or a process in which it cannot work. The message is one line."""


class Draw(NamedTuple):
    """What a key gets.

    Attributes:
      style: number of the style in `StyleTransform.styles`.
      alpha: degree of style in [0, 1].
    """

    style: int
    alpha: float


class StyleTransform:
    """Repaints pictures in styles drawn by their keys.

    ``transform(picture, key)`` takes a PIL image and gives one, or takes an array ``(H, W, 3)`` or ``(H, W)`` of
    integers or of floats in [0, 1] and gives ``(H, W, 3)`` of the same type (2 or 4 channels: the last is transparency
    and stays). A batch, ``(N, H, W, 3)`` or a list of pictures, goes with as many keys. A key is a number, a text, or
    a tuple of them: the index of the picture draws the same style in every epoch, ``(epoch, index)`` others. The name
    of a file relative to its data set draws what `jaxstyle.stylize_dataset` draws with the same seed and styles.

    It may be pickled, copied, and called from several threads. In a process forked from one in which jax was at work
    jax would hang: there, a transform that has been at work raises `TransformError`. Start workers by spawn, or use
    neither jax nor the transform before they are started.

    Attributes:
      styles: the style pictures, in the order in which they are numbered.
    """

    def __init__(
        self,
        styles: image.Source | Sequence[image.Source],
        *,
        alpha: float | tuple[float, float] = 1.0,
        size: Size | None = None,
        seed: int = 0,
        probability: float = 1.0,
        style_size: int | None = None,
        preserve_color: PreserveColor | None = None,
        weights_file: PathLike | None = None,
    ) -> None:
        """
        Args:
          styles: a folder, searched recursively, a pattern, a picture, or several of them; read when they are drawn.
          alpha: degree of style, or the ends of the range in which each picture's is drawn.
          size: of all results, also of those that stay as they are: the short side or ``(width, height)``.
          seed: of all draws.
          probability: that a picture is repainted at all.
          style_size, preserve_color: see `jaxstyle.Controls`.
          weights_file: name of shipped weights, or the path of a file; by default a fitted style's, or AdaIN's.

        Raises:
          PairError: there are no such styles.
          ValueError: an argument is out of range.
        """
        ends = alpha if isinstance(alpha, tuple | list) else (alpha, alpha)
        degrees = [Controls(end).alpha for end in ends]
        if len(degrees) != 2 or degrees[0] > degrees[1]:
            raise ValueError(f"alpha: expected a number or a range (low, high) in [0, 1], got {alpha!r}")
        if not 0 <= probability <= 1:
            raise ValueError(f"probability: expected a number in [0, 1], got {probability!r}")
        self._controls = Controls(size=size, style_size=style_size, preserve_color=preserve_color)
        self._range, self._seed, self._probability = (degrees[0], degrees[1]), pairing.checked_seed(seed), probability
        self.styles = _listed(styles)
        weights_file = weights_for(self.styles, weights_file)
        self._weights_file = os.path.abspath(weights_file) if os.path.exists(weights_file) else weights_file
        self._looks: Callable[[int, int], tuple[image.Picture, Style | None]] | None = None

    def draw(self, key: Key) -> Draw | None:
        """What a key gets; None if its picture stays as it is.

        Raises:
          TransformError: it is no key.
        """
        name = _name(key)
        if _uniform(self._seed, "probability", name) >= self._probability:
            return None
        low, high = self._range
        alpha = low + (high - low) * _uniform(self._seed, "alpha", name)
        return Draw(pairing.choose(self._seed, name, len(self.styles))[0], min(alpha, high))

    def __call__(self, picture: Any, key: Any) -> Any:
        """Repaints a picture, or a batch of them.

        Args:
          picture: one, or a batch; see the class.
          key: of the picture, or one for each.

        Returns:
          The same kind of thing.

        Raises:
          TransformError: these are no pictures or no keys, or not as many; or see the class.
          ImageError: a style cannot be read, or a picture has a wrong shape or range.
        """
        several = isinstance(picture, list | tuple)
        if not several and getattr(picture, "ndim", 0) != 4:
            return self._one(picture, key)
        keys = _several(key)
        if len(keys) != len(picture):
            raise TransformError(f"key: expected {len(picture)}, one for each picture, got {_short(key)}")
        made = [self._one(one, its) for one, its in zip(picture, keys, strict=True)]
        if several:
            return type(picture)(made)
        if not made:
            raise TransformError(f"picture: a batch of shape {picture.shape} holds no pictures")
        return np.stack(made)

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"_looks": None}

    def _one(self, picture: Any, key: Key) -> Any:
        drawn = self.draw(key)
        given = np.asarray(picture) if hasattr(picture, "shape") else None
        if given is None and not hasattr(picture, "mode"):
            raise TransformError(f"picture: expected an array or a PIL image, got {_short(picture)}")
        if given is not None and given.dtype.kind not in "f" and given.dtype not in (np.uint8, np.uint16):
            raise TransformError(f"picture: expected uint8, uint16 or floats in [0, 1], got an array of {given.dtype}")
        found = image.read(picture if given is None else given)
        found = self._resized(found) if drawn is None else self._painted(found, drawn)
        return image.to_pil(found) if given is None else _like(found, given)

    def _resized(self, picture: image.Picture) -> image.Picture:
        """A picture that stays as it is, but for its size."""
        shape = image.output_size(picture.pixels.shape, self._controls.size)
        alpha = None if picture.alpha is None else image.resize(picture.alpha, shape)
        return image.Picture(image.resize(picture.pixels, shape), alpha)

    def _painted(self, picture: image.Picture, drawn: Draw) -> image.Picture:
        global _worked_in
        if _worked_in not in (None, os.getpid()):
            raise TransformError(
                "this process was forked from one in which jax was at work, and would hang: start workers by spawn "
                "(of a torch DataLoader: multiprocessing_context='spawn')"
            )
        _worked_in = os.getpid()
        loaded = load_model(self._weights_file)
        if self._looks is None:
            self._looks = functools.lru_cache(min(KEPT, kept_styles(self._controls, loaded)))(self._encoded)
        controls = dataclasses.replace(self._controls, alpha=drawn.alpha)
        side = style_side(controls, image.output_size(picture.pixels.shape, controls.size))
        look, style = self._looks(drawn.style, side)
        return render(picture, [look], controls, read_maps(controls), loaded, style=style)

    def _encoded(self, number: int, side: int) -> tuple[image.Picture, Style | None]:
        """A style as it is looked at, as far as it can be got ready before there is a picture."""
        look = read_style(self.styles[number])
        if recolours(self._controls):
            return image.Picture(style_pixels(look.pixels, self._controls, side)), None
        style = encode_styles([look], self._controls, load_model(self._weights_file), side)
        return image.Picture(look.pixels[:1, :1]), style  # the pixels are not looked at any more


def _listed(styles: image.Source | Sequence[image.Source]) -> tuple[image.Source, ...]:
    """Style pictures in an order that depends on their names only, those in memory as they are given."""
    several = tuple(styles) if isinstance(styles, list | tuple) else (styles,)
    if not all(isinstance(style, str | os.PathLike) for style in several):
        return several
    found = find.find(several, "styles", recursive=True, style=True).pictures
    return tuple(absolute(style.path) for style in sorted(found, key=lambda style: (style.name, style.path)))


def _several(key: Any) -> list[Any]:
    """The keys of a batch; none if it is one key, or nothing of the kind."""
    try:
        return [] if isinstance(key, str | bytes) else list(key)
    except TypeError:
        return []


def _name(key: Any) -> str:
    """What stands for a key: equal ones of all types have the same."""
    if isinstance(key, tuple) and key:
        return "/".join(map(_name, key))
    value = key.item() if hasattr(key, "item") and np.ndim(key) == 0 else key
    if isinstance(value, bytes):
        return value.decode("utf-8", "surrogateescape")
    if isinstance(value, int | str):
        return str(value)
    raise TransformError(f"key: expected a whole number, a text or a tuple of them, got {_short(key)}")


def _uniform(seed: int, what: str, name: str) -> float:
    """A number in [0, 1) by a hash, 53 bits of it."""
    digest = hashlib.sha256(f"{seed}\0{what}\0{name}".encode("utf-8", "surrogateescape")).digest()
    return (int.from_bytes(digest[:8]) >> 11) / 2**53


def _like(picture: image.Picture, given: np.ndarray) -> np.ndarray:
    """A picture as an array of the type that was given; with transparency, if that had a place for it."""
    pixels = picture.pixels
    if given.ndim == 3 and given.shape[2] in (2, 4):
        alpha = np.ones(pixels.shape[:2], np.float32) if picture.alpha is None else picture.alpha
        pixels = np.concatenate([pixels, alpha[..., None]], axis=-1)
    return pixels.astype(given.dtype) if given.dtype.kind == "f" else quantise(pixels, given.dtype)


def _short(value: Any) -> str:
    text = repr(value)
    return " ".join((text if len(text) <= 60 else f"{text[:57]}...").split())
