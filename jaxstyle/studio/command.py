"""The command line that makes the picture that a page shows, for people to copy."""

from __future__ import annotations

import os
import shlex
from collections.abc import Callable

from jaxstyle import methods
from jaxstyle.controls.controls import Controls
from jaxstyle.studio.settings import Settings, Wish
from jaxstyle.studio.store import Upload


def map_names(settings: Settings, photo: str) -> tuple[str | None, tuple[str, ...]]:
    """What the alpha map and the masks are called when they are saved.

    Args:
      settings: say which of them there are.
      photo: the name of the photo's file.
    """
    stem = os.path.splitext(photo)[0]
    masks = tuple(f"{stem}_mask{number}.png" for number in range(1, len(settings.mask or ()) + 1))
    return None if settings.alpha_map is None else f"{stem}_alpha.png", masks


def command_of(settings: Settings, picture: Callable[[str], Upload]) -> str:
    """A command line for a shell; files that were sent stand there by their names alone, shipped ones by their paths
    or names.

    Args:
      settings: what it is to make.
      picture: gives those of a name.

    Raises:
      Gone: a picture is not there any more.
    """
    photo, styles = picture(settings.photo), [picture(name) for name in settings.styles]
    controls, default = settings.controls, Controls()
    alpha_map, masks = map_names(settings, photo.name)
    words = ["jaxstyle", "stylize", *_named([photo]), "--style", *_named(styles)]
    if settings.method != next(iter(methods.METHODS)):
        words += ["--method", settings.method]
    if controls.alpha != default.alpha:
        words += ["--alpha", f"{controls.alpha:g}"]
    if alpha_map is not None:
        words += ["--alpha-map", _file(alpha_map)]
    if controls.gradient is not None:
        words += ["--gradient", controls.gradient]
    if controls.alpha_blend != default.alpha_blend:
        words += ["--alpha-blend", controls.alpha_blend]
    if controls.weights is not None:
        words += ["--weights", ",".join(f"{weight:g}" for weight in controls.weights)]
    if masks:
        words += ["--mask", *map(_file, masks)]
    if controls.preserve_color is not None:
        words += ["--preserve-color", controls.preserve_color]
    if controls.size is not None:
        size = controls.size
        words += ["--size", f"{size[0]}x{size[1]}" if isinstance(size, tuple) else str(size)]
    if controls.style_size is not None:
        words += ["--style-size", str(controls.style_size)]
    if controls.refine:
        words += ["--refine", str(controls.refine)]
    return shlex.join([*words, "-o", _file(f"{os.path.splitext(photo.name)[0]}_stylized.png")])


def fit_command(wish: Wish, pair: tuple[Upload, Upload], name: str) -> str:
    """The command line of a fit.

    Args:
      wish: what was asked for.
      pair: the photo and the painting.
      name: of the file.
    """
    photo, painting = _named(list(pair))
    words = ["jaxstyle", "fit", photo, "--style", painting, "-o", _file(name), "--preset", wish.preset]
    for flag, value in (("--size", wish.size), ("--steps", wish.steps), ("--seed", wish.seed or None)):
        words += [] if value is None else [flag, str(value)]
    return shlex.join(words)


def _named(uploads: list[Upload]) -> list[str]:
    return [_file(upload.path or upload.name) for upload in uploads]


def _file(name: str) -> str:
    """The name of a file; one that begins with a dash is no flag."""
    return f"./{name}" if name.startswith("-") else name
