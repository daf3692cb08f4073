"""Which pictures are stylized with which styles; what results are called is in `jaxstyle.painting.names`.

Names only: no picture is opened. The outcome is a plain list of `Job`.
"""

from __future__ import annotations

import collections
import hashlib
import numbers
import os
from dataclasses import dataclass
from typing import Any, Literal

from jaxstyle.controls.controls import Controls
from jaxstyle.folders.find import Found, Listing, PairError
from jaxstyle.painting import names
from jaxstyle.styles import absolute

Pair = Literal["product", "zip", "random"]
PAIRS: tuple[Pair, ...] = ("product", "zip", "random")


@dataclass(frozen=True, slots=True)
class Job:
    """One result to be made.

    Attributes:
      content: path of the photo.
      styles: paths of the styles, several to be mixed.
      output: path of the result below the folder of the results, with ``/``.
      controls: how.
    """

    content: str
    styles: tuple[str, ...]
    output: str
    controls: Controls


def checked_seed(seed: Any) -> int:
    """The seed of draws, by default 0.

    Raises:
      ValueError: it is no whole number of at least 0.
    """
    if seed is None:
        return 0
    if isinstance(seed, bool) or not isinstance(seed, numbers.Integral) or seed < 0:
        raise ValueError(f"seed: expected a whole number of at least 0, got {seed!r}")
    return int(seed)


def check_no_seed(seed: int | None) -> None:
    """Raises ValueError where a seed is given and nothing is drawn."""
    if seed is not None:
        raise ValueError("seed: nothing is drawn at random but by pair='random'; leave the seed out")


def choose(seed: int, name: str, count: int, k: int = 1) -> tuple[int, ...]:
    """Draws ``k`` different numbers below ``count``, by a hash of the seed and the name and nothing else.

    Raises:
      ValueError: ``k`` is not between 0 and ``count``.
    """
    if not 0 <= k <= count:
        raise ValueError(f"k: expected 0 to {count}, got {k}")
    moved: dict[int, int] = {}  # the first steps of a Fisher-Yates shuffle
    for i in range(k):
        text = f"{seed}\0{i}\0{name}".encode("utf-8", "surrogateescape")
        j = i + int.from_bytes(hashlib.sha256(text).digest()) % (count - i)
        moved[i], moved[j] = moved.get(j, j), moved.get(i, i)
    return tuple(moved[i] for i in range(k))


def pair_up(
    contents: Listing, styles: Listing, *, pair: Pair | None = None, seed: int = 0, k: int = 1
) -> list[tuple[Found, tuple[Found, ...]]]:
    """Which content goes with which styles.

    * ``"product"``: every content with every style, one after the other.
    * ``"zip"``: the first content with the first style, the second with the second, ...
    * ``"random"``: every content with ``k`` styles, one after the other, drawn by the seed and the content's name
      (`choose`): they depend neither on the order nor on the other contents.
    * None: styles that were named file by file are mixed, for every content; if there was a folder or a pattern among
      them, it means ``"product"``.

    Args:
      contents, styles: from `jaxstyle.folders.find.find`.
      pair: one of these.
      seed, k: for ``"random"``.

    Returns:
      Contents with their styles, each once, in the order of the contents.

    Raises:
      PairError: ``"zip"`` of different numbers, or something else than these.
      ValueError: there are not ``k`` styles.
    """
    every = styles.pictures
    pairs: list[tuple[Found, tuple[Found, ...]]]
    if pair == "product" or (pair is None and styles.grouped):
        pairs = [(content, (style,)) for content in contents.pictures for style in every]
    elif pair is None:
        pairs = [(content, every) for content in contents.pictures]
    elif pair == "zip":
        if len(contents.pictures) != len(every):
            found = f"{len(contents.pictures)} contents and {len(every)} styles"
            raise PairError(f"pair: zip needs as many styles as contents, found {found}")
        pairs = [(content, (style,)) for content, style in zip(contents.pictures, every, strict=True)]
    elif pair == "random":
        every = tuple(sorted(every, key=lambda style: (style.name, style.path)))
        pairs = [(c, (every[i],)) for c in contents.pictures for i in choose(seed, c.name, len(every), k)]
    else:
        raise PairError(f"pair: expected one of {', '.join(PAIRS)}, got {pair!r}")
    once = {(os.path.abspath(c.path), *(absolute(s.path) for s in looks)): (c, looks) for c, looks in pairs}
    return list(once.values())


def make_jobs(
    contents: Listing,
    styles: Listing,
    controls: Controls,
    *,
    pair: Pair | None = None,
    seed: int = 0,
    k: int = 1,
    format: str | None = None,
    keep_names: bool = False,
) -> list[Job]:
    """Contents with their styles as in `pair_up`, and names for the results that are all different.

    A name is that of `jaxstyle.painting.names.result_name`, in the content's sub-folder. Where several results would
    have the same one, also if only on a disk that takes capitals for small letters, all of them are marked with a hash
    of their paths. With ``keep_names`` they have the contents' own names, but for the suffix, and none is marked.

    Raises:
      PairError: as `pair_up`; weights or masks for pictures that have one style each; or names that are the same even
        so.
      ImageError: ``format`` is none that can be written.
    """
    pairs = pair_up(contents, styles, pair=pair, seed=seed, k=k)
    most = max(len(looks) for _, looks in pairs)
    for name, given in (("weights", controls.weights), ("mask", controls.mask)):
        if most == 1 and given is not None and len(given) > 1:
            how = f"pair {pair!r}" if pair else "a folder or pattern" if styles.grouped else "one file"
            raise PairError(f"{name}: {len(given)} are for several styles to be mixed; {how} gives one to each picture")
    called = [
        names.result_name(content.name, [] if keep_names else [style.name for style in looks], format=format)
        for content, looks in pairs
    ]
    often = collections.Counter(map(names.comparable, called))
    taken: dict[str, str] = {}
    jobs = []
    for (content, looks), name in zip(pairs, called, strict=True):
        paths = (content.path, *(style.path for style in looks))
        if often[names.comparable(name)] > 1 and not keep_names:
            mark = names.digest(map(absolute, paths))
            name = names.result_name(content.name, [style.name for style in looks], mark, format)
        if names.comparable(name) in taken:
            raise PairError(
                f"{content.path}: its result would have the name of that of {taken[names.comparable(name)]}: {name}"
            )
        taken[names.comparable(name)] = content.path
        jobs.append(Job(content.path, paths[1:], name, controls))
    return jobs
