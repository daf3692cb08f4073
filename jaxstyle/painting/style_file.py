"""What a style is, wherever one is given: a picture, a built-in one by its name, or a fitted style.

A built-in style (`jaxstyle.styles`) is a picture by name. A fitted style is a weight file of a method, with the
painting in its metadata: `jaxstyle.painting.fit_style` writes it. As a style it has a picture, which `read_style`
gives, and the model that goes with it, which `weights_for` names.
"""

from __future__ import annotations

import base64
import binascii
import os
from collections.abc import Sequence
from typing import Any, TypeGuard

from jaxstyle import image, methods, weights
from jaxstyle.image.source import MAX_PIXELS, ImageError
from jaxstyle.painting.options import DEFAULT_WEIGHTS, PathLike
from jaxstyle.styles import STYLES, StyleNameError, is_builtin, path_of

SUFFIX = ".safetensors"
PAINTING = "painting"
"""In the metadata: a picture file, base64."""


def is_fitted(source: Any) -> TypeGuard[PathLike]:
    """Whether a style is a fitted one: the path of a file whose name ends in ``.safetensors``."""
    named = isinstance(source, str | os.PathLike) and not is_builtin(source)
    return named and os.fspath(source).lower().endswith(SUFFIX)


def painting_of(source: Any) -> Any:
    """A style where a fitted one is of no use: what `jaxstyle.image.read` takes; of a built-in style its file.

    Raises:
      ImageError: it is a fitted style.
      StyleNameError: there is no built-in style of that name.
    """
    if is_fitted(source):
        wanted = "expected a picture file, or @NAME of a built-in style"
        raise ImageError(os.fspath(source), f"a fitted style has a model of its own, of no use here; {wanted}")
    return path_of(source)


def read_style(source: image.Source, *, max_pixels: int = MAX_PIXELS, short_side: int | None = None) -> image.Picture:
    """The picture of a style: that of a picture file, of a built-in style, or the painting of a fitted one.

    Args:
      source: what `jaxstyle.image.read` takes, ``"@name"`` of a built-in style, or the path of a fitted one.
      max_pixels, short_side: see `jaxstyle.image.read`.

    Raises:
      ImageError: it is no picture.
      WeightsError: it is no fitted style.
      StyleNameError: there is no built-in style of that name.
    """
    if not is_fitted(source):
        if isinstance(source, str) and source in STYLES and not os.path.exists(source):
            raise StyleNameError(f"{source}: no such file; did you mean @{source}?")
        return image.read(path_of(source), max_pixels=max_pixels, short_side=short_side)
    text = weights.header(source).get(PAINTING)
    if text is None:
        raise weights.WeightsError(f"{source}: weights without a painting are no style; jaxstyle fit-style makes one")
    try:
        return image.read(base64.b64decode(text, validate=True), max_pixels=max_pixels, short_side=short_side)
    except (binascii.Error, ImageError):
        raise weights.WeightsError(f"{source}: damaged: its painting cannot be read") from None


def weights_for(styles: Sequence[Any], weights_file: PathLike | None, *, usual: str = DEFAULT_WEIGHTS) -> str:
    """The weights that go with styles: a fitted style's own, else those that were asked for.

    Args:
      styles: all that are to be used with one model.
      weights_file: what was asked for; beside a fitted style it may be that, or the shipped weights of its method,
        which is how the command names a method.
      usual: what it is where nobody asks.

    Raises:
      ValueError: a fitted style among others, or together with other weights or another method than its own.
      WeightsError: it is no fitted style, or there are no such weights.
    """
    fitted = [os.fspath(style) for style in styles if is_fitted(style)]
    asked = None if weights_file is None else os.fspath(weights_file)
    if not fitted:
        return usual if asked is None else asked
    if len({os.fspath(style) if isinstance(style, str | os.PathLike) else id(style) for style in styles}) > 1:
        raise ValueError(f"{fitted[0]}: a fitted style has a model of its own, and goes with no other style")
    if asked is not None and os.path.realpath(asked) != os.path.realpath(fitted[0]):
        own, other = (weights.header(name)["kind"] for name in (fitted[0], asked))
        if own != other or asked not in methods.shipped(own):
            found = f"{asked} of {other} as well"
            raise ValueError(f"{fitted[0]}: a fitted style of {own} has a model of its own, got {found}")
    return fitted[0]
