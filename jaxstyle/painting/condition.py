"""The front door of conditioning: two pictures in, a picture without resolution out, in one forward pass."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from typing import TypedDict, Unpack, cast

import numpy as np

from jaxstyle import image
from jaxstyle.image.source import ImageError, label_of
from jaxstyle.methods import generalizable_inr
from jaxstyle.methods.generalizable_inr import Field
from jaxstyle.methods.inr import render_image
from jaxstyle.painting import unfinished
from jaxstyle.painting.conditioned import WEIGHTS, load_model
from jaxstyle.painting.fit import fidelity
from jaxstyle.painting.fit_file import SUFFIX
from jaxstyle.painting.options import PathLike
from jaxstyle.painting.style_file import painting_of

SIZE = 512
"""Short side in pixels to which larger pictures are brought."""


@dataclass(frozen=True)
class Conditioning:
    """What `condition_file` did.

    Attributes:
      output: the file written.
      content, style: the files read.
      width, height: of the picture that was conditioned on, in pixels.
      weights_file: of the model.
      numbers: in the picture's latent grids, those of the photo.
      psnr: in dB, of the picture at alpha 0 to the photo.
      seconds: from reading the pictures to the written file, loading and compiling included.
      notices: sentences about what was left out of the pictures.
    """

    output: str
    content: str
    style: str
    width: int
    height: int
    weights_file: str
    numbers: int
    psnr: float
    seconds: float
    notices: tuple[str, ...] = ()


class ConditionOptions(TypedDict, total=False):
    """The keyword arguments of `condition_file`."""

    size: int
    weights_file: PathLike
    overwrite: bool
    max_pixels: int


def condition(
    content: image.Source, style: image.Source, *, size: int = SIZE, weights_file: PathLike = WEIGHTS
) -> Field:
    """A photo in the style of a painting as a function of place and degree of style, without fitting.

    After ``picture = jaxstyle.condition(photo, painting)``, ``jaxstyle.render_image(picture, (width, height), alpha)``
    gives pictures of any size and any degree of style.

    Args:
      content, style: path, PIL image, bytes or array; see `jaxstyle.image.read`. Transparency is not looked at. The
        style may be the ``"@name"`` of a built-in one.
      size: pictures whose short side is longer are brought to this, pixels. It decides what detail the picture has, not
        how large one may render.
      weights_file: name of shipped weights or the path of a file, of a model of this method.

    Returns:
      The picture; `jaxstyle.generalizable_inr.save_picture` keeps it.

    Raises:
      ImageError: a picture cannot be read.
      WeightsError: weights are missing, damaged, or of another method.
      ValueError: ``size`` is out of range.
    """
    _check_size(size)
    model = load_model(weights_file)
    photo, painting = (_shrunk(image.read(source).pixels, size) for source in (content, painting_of(style)))
    return cast(Field, generalizable_inr.condition(model, photo, painting))


def condition_file(
    content: PathLike, style: PathLike, output: PathLike, **options: Unpack[ConditionOptions]
) -> Conditioning:
    """Like `condition`, from files to a file that `jaxstyle.render_file` renders.

    Args:
      content, style: the photo and the painting; ``"-"`` for standard input.
      output: the file to write; it ends in ``.safetensors``.
      options: ``size`` and ``weights_file`` as of `condition`; ``overwrite``: replace ``output`` if it is there, and
        throw away what a fit began of it; ``max_pixels``: the largest picture that is read.

    Returns:
      A `Conditioning`.

    Raises:
      ImageError: a picture cannot be read, or ``output`` exists or cannot be written.
      UnfinishedError: a fit was begun of ``output``, and is not to be thrown away.
      JournalError: another process is fitting it.
      WeightsError: as `condition`.
      ValueError: ``size`` is out of range.
    """
    if unknown := sorted(set(options) - set(ConditionOptions.__annotations__)):
        raise TypeError(f"unexpected keyword argument {unknown[0]!r}")
    start, size, name = time.perf_counter(), options.get("size", SIZE), options.get("weights_file", WEIGHTS)
    _check_size(size)
    if not os.fspath(output).lower().endswith(SUFFIX):
        raise ImageError(label_of(output), f"expected a name that ends in {SUFFIX}, for the conditioned picture")
    overwrite = options.get("overwrite", False)
    keep = [content, painting_of(style), name]
    image.check_target(output, format="png", overwrite=overwrite, keep=keep)  # the path is what is checked
    most = options.get("max_pixels", image.MAX_PIXELS)
    paths = (content, painting_of(style))
    read = [image.read(image.source_of(path), max_pixels=most) for path in paths]
    model = load_model(name)
    photo, painting = (_shrunk(found.pixels, size) for found in read)
    # nobody fits the same file meanwhile
    with unfinished.opened(output, {"preset": "condition"}, (1,), np.dtype(np.uint8), discard=overwrite) as part:
        part.keep = False
        field = cast(Field, generalizable_inr.condition(model, photo, painting))
        generalizable_inr.save_picture(output, field)
    return Conditioning(
        output=os.fspath(output),
        content=os.fspath(content),
        style=os.fspath(style),
        width=field.size[0],
        height=field.size[1],
        weights_file=os.fspath(name),
        numbers=generalizable_inr.numbers(field),
        psnr=round(fidelity(np.asarray(render_image(field, alpha=0.0)), photo), 2),
        seconds=round(time.perf_counter() - start, 3),
        notices=tuple(
            f"{os.fspath(path)}: {notice}" for path, found in zip(paths, read, strict=True) for notice in found.notices
        ),
    )


def _check_size(size: int) -> None:
    if isinstance(size, bool) or not isinstance(size, int) or size < 1:
        raise ValueError(f"size: expected a number of pixels of at least 1, got {size!r}")


def _shrunk(pixels: np.ndarray, size: int) -> np.ndarray:
    return image.resize_short_side(pixels[..., :3], min(size, *pixels.shape[:2]))
