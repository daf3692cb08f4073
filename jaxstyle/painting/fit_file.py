"""The front door of fitting from files to a file; the command ``jaxstyle fit`` is this.

What is done of a fit is kept in a folder beside the file that it will be, ``NAME.jaxstyle-part``: the state after some
step, every few seconds, in two places in turn, each with its checksum. So a run that was stopped or killed goes on
where it was, and ends with the file, bit for bit, of one that was not.
"""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, TypedDict, Unpack

import jax
import jax.numpy as jnp
import numpy as np

from jaxstyle import image, weights
from jaxstyle.image.grid import grid
from jaxstyle.image.source import MAX_PIXELS, ImageError, label_of, os_problem
from jaxstyle.methods import generalizable_inr, inr
from jaxstyle.methods.inr import loop, step
from jaxstyle.methods.inr.schedule import Regress, Schedule
from jaxstyle.methods.inr.step import FitState
from jaxstyle.painting import conditioned
from jaxstyle.painting.conditioned import INIT, weights_of
from jaxstyle.painting.fit import DEFAULT, check_sizes, fidelity, key_of, renders, repainted, schedule_of, with_encoder
from jaxstyle.painting.options import DEFAULT_WEIGHTS, PathLike
from jaxstyle.painting.style_file import painting_of
from jaxstyle.painting.unfinished import SUFFIX as PART
from jaxstyle.painting.unfinished import Unfinished, opened
from jaxstyle.runtime.progress import Progress

KEEP_EVERY = 10.0
"""Seconds between states that are kept."""
SUFFIX = ".safetensors"


@dataclass(frozen=True)
class Fitting:
    """What `fit_file` did.

    Attributes:
      output: the file written.
      content, style: the files read.
      preset: what the fit consists of, by name.
      width, height: of the picture fitted to, in pixels.
      steps: in all; ``kept`` of them were done by an earlier run.
      seconds: from reading the pictures to the written file, loading and compiling included.
      psnr: in dB, of the picture at alpha 0 to the photo.
      strip: the file with the strip of pictures, or None.
      notices: sentences about what was left out of the pictures.
    """

    output: str
    content: str
    style: str
    preset: str
    width: int
    height: int
    steps: int
    kept: int
    seconds: float
    psnr: float
    strip: str | None = None
    notices: tuple[str, ...] = ()


class FitOptions(TypedDict, total=False):
    """The keyword arguments of `fit_file`."""

    size: int | None
    steps: int | None
    seed: int
    strip: PathLike | None
    vgg: PathLike
    init: PathLike | None
    overwrite: bool
    max_pixels: int


def fit_file(
    content: PathLike,
    style: PathLike,
    output: PathLike,
    preset: str | None = None,
    *,
    progress: Callable[[Progress], None] | None = None,
    **options: Unpack[FitOptions],
) -> Fitting:
    """Like `jaxstyle.fit`, from files to a file; killed half-way, the same call finishes it, bit for bit.

    Args:
      content, style: the photo and the painting, or the ``"@name"`` of a built-in style; ``"-"`` for standard input.
      output: the file to write, which `jaxstyle.render_file` renders; it ends in ``.safetensors``.
      preset: ``"fast"`` (the default), ``"zoom"``, ``"preview"`` or ``"paper"``; none together with ``init``.
      progress: called with the steps done.
      options: ``size``, ``steps``, ``seed``, ``vgg``, ``init`` as of `jaxstyle.fit`. ``strip``: a file for a strip of
        pictures, from the photo to full style. ``overwrite``: replace ``output`` and ``strip`` if they are there, and
        throw away what was begun for another request; the files that are read are never replaced. ``max_pixels``: the
        largest picture that is read.

    Returns:
      A `Fitting`.

    Raises:
      ImageError: a picture cannot be read or written, or a file to write exists.
      WeightsError: weights are missing or damaged.
      UnfinishedError: what was begun of ``output`` belongs to another request.
      JournalError: another process is fitting it.
      TypeError: there is no such option.
      ValueError: ``preset``, ``size``, ``steps`` or ``seed`` is out of range.
      ArithmeticError: a term of the loss became NaN or infinite; nothing is kept.
      KeyboardInterrupt: with a message that says what is kept, if anything is.
    """
    begin = time.perf_counter()
    if unknown := sorted(set(options) - FitOptions.__optional_keys__):
        raise TypeError(f"unexpected keyword argument {unknown[0]!r}")
    seed, strip = options.get("seed", 0), options.get("strip")
    overwrite, vgg, init = options.get("overwrite", False), options.get("vgg", "vgg16"), options.get("init")
    schedule = schedule_of(preset, options.get("size"), options.get("steps"), init)
    preset = preset or (DEFAULT if init is None else INIT)
    first_key, key = jax.random.split(key_of(seed))
    names = {"content": content, "style": painting_of(style)}
    keep = [path for path in names.values() if not image.is_standard(path)]
    _check_targets(output, strip, overwrite, keep if init is None else [*keep, init])
    schedule, encoder = with_encoder(schedule, vgg)
    most = options.get("max_pixels", MAX_PIXELS)
    read = {name: image.read(image.source_of(path), max_pixels=most) for name, path in names.items()}
    pictures = {name: loop.resized(found.pixels, name, schedule.size) for name, found in read.items()}
    check_sizes(schedule, encoder, **pictures)
    if schedule.enlarges:
        pictures["painting"] = loop.own_pixels(read["style"].pixels, "style")
    height, width = pictures["content"].shape[:2]
    if init is None:
        state = step.create_state(first_key, schedule, (width, height))
    else:
        state = step.started(conditioned.start(init, pictures), schedule)
    facts = {"preset": preset, "steps": schedule.steps, "size": schedule.size, "seed": seed}
    request = facts | _request(schedule, pictures, vgg, DEFAULT_WEIGHTS if init is None else weights_of(init))
    with opened(output, request, (_bytes(state),), np.dtype(np.uint8), discard=overwrite) as part:
        begun = _newest(part, state)
        kept = int(begun[0].step)
        part.keep = kept > 0
        if strip is not None and not (overwrite or part.noted("strip") == os.path.realpath(strip)):
            image.check_target(strip, keep=(*keep, output))
        if any(isinstance(schedule.stages[stage], Regress) for stage, _ in schedule.left(kept)):
            pictures["stylized"] = repainted(read["content"].pixels, read["style"].pixels, schedule.size)
        left = loop.steps(key, begun[0], encoder, schedule, pictures)
        params = _run(part, left, begun, schedule.steps, progress).params
        params = params if init is None else params.picture
        shown = renders(params)
        if strip is not None:
            part.note("strip", os.path.realpath(strip))  # from now on it is ours
            image.write(strip, grid([shown]))
        save = inr.save if init is None else generalizable_inr.save_picture
        save(output, params, **{name: str(value) for name, value in facts.items()})
        part.keep = False
    return Fitting(
        output=os.fspath(output),
        content=os.fspath(content),
        style=os.fspath(style),
        preset=preset,
        width=width,
        height=height,
        steps=schedule.steps,
        kept=kept,
        seconds=round(time.perf_counter() - begin, 3),
        psnr=round(fidelity(shown[0], pictures["content"]), 2),
        strip=None if strip is None else os.fspath(strip),
        notices=tuple(f"{names[name]}: {notice}" for name, found in read.items() for notice in found.notices),
    )


def _check_targets(output: PathLike, strip: PathLike | None, overwrite: bool, read: list[PathLike]) -> None:
    """Checks, before anything is read, that both files can be written; that of a strip may be there."""
    if not os.fspath(output).lower().endswith(SUFFIX):
        raise ImageError(label_of(output), f"expected a name that ends in {SUFFIX}, for the fitted picture")
    image.check_target(output, format="png", overwrite=overwrite, keep=read)  # the path is what is checked
    if strip is not None:
        image.check_target(strip, overwrite=True, keep=(*read, output))


def _request(schedule: Schedule, pictures: dict[str, np.ndarray], vgg: PathLike, model: PathLike) -> dict[str, Any]:
    """What decides a fit, beside what its flags are called: the pixels, the weights, the whole schedule."""
    found: dict[str, Any] = {name: hashlib.sha256(p.tobytes()).hexdigest()[:16] for name, p in pictures.items()}
    found |= {"shapes": [list(pixels.shape[:2]) for pixels in pictures.values()]}
    found |= {"vgg": weights.header(vgg)["sha256"][:16], "weights": weights.header(model)["sha256"][:16]}
    return found | {"schedule": repr(schedule)}


# ---- the run -----------------------------------------------------------------------------------------------


def _run(
    part: Unfinished,
    steps: Iterator[tuple[int, FitState, dict[str, Any]]],
    begun: tuple[FitState, int],
    count: int,
    progress: Callable[[Progress], None] | None,
) -> FitState:
    """All the steps that are left after ``begun``, see `_newest`; the state after them."""
    state, place = begun
    first = saved = int(state.step)
    last = time.monotonic()
    try:
        for done, after, terms in steps:
            state = after
            if progress is not None:
                progress(Progress(count, first, done - first, 0))
            if done < count and time.monotonic() - last >= KEEP_EVERY:
                loop.check_finite(terms, done)
                part.write(place, _packed(state))
                part.keep, saved, place, last = True, done, 1 - place, time.monotonic()
    except ArithmeticError:
        part.keep = False  # what is kept may lead there again
        raise
    except OSError as error:
        raise ImageError(part.target, f"cannot be written: {os_problem(error)}") from error
    except KeyboardInterrupt:
        if not saved:
            raise
        words = f"{saved} of {count} steps are kept in {part.target}{PART}, and the same command goes on"
        raise KeyboardInterrupt(f"interrupted; {words}") from None
    return state


# ---- states as bytes ---------------------------------------------------------------------------------------


def _bytes(state: FitState) -> int:
    return sum(leaf.nbytes for leaf in jax.tree.leaves(state))


def _packed(state: FitState) -> np.ndarray:
    """All arrays of a state, one after the other, uint8."""
    leaves = [np.ascontiguousarray(leaf).reshape(-1).view(np.uint8) for leaf in jax.tree.leaves(jax.device_get(state))]
    return np.concatenate(leaves)


def _unpacked(data: np.ndarray, like: FitState) -> FitState:
    leaves, structure = jax.tree.flatten(like)
    ends = np.cumsum([leaf.nbytes for leaf in leaves])
    found = [
        jnp.asarray(data[end - leaf.nbytes : end].view(leaf.dtype).reshape(leaf.shape))
        for leaf, end in zip(leaves, ends, strict=True)
    ]
    return jax.tree.unflatten(structure, found)


def _newest(part: Unfinished, first: FitState) -> tuple[FitState, int]:
    """The state with the most steps behind it that is there and undamaged, or the first one; and the place, 0 or 1, of
    the next one, which is not its own."""
    found = [(first, 0)]
    for place in (0, 1):
        data = part.read(place)
        if data is not None:
            found.append((_unpacked(data, first), 1 - place))
    return max(found, key=lambda one: int(one[0].step))
