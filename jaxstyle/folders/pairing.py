"""Which pictures are stylized with which styles, and what the results are called.

Names only: folders are listed, no picture is opened. The outcome is a plain list of `Job`.
"""

from __future__ import annotations

import collections
import glob
import hashlib
import itertools
import numbers
import os
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from jaxstyle import image
from jaxstyle.controls.controls import Controls
from jaxstyle.painting import names
from jaxstyle.painting.options import PathLike
from jaxstyle.painting.unfinished import SUFFIX
from jaxstyle.runtime import journal

Pair = Literal["product", "zip", "random"]
PAIRS: tuple[Pair, ...] = ("product", "zip", "random")

SIGNS = "*?["
"""What makes an argument a pattern, unless there is a file of that name."""


class PairError(ValueError):
    """Pictures that are not there, or that do not go together. The message is one line."""


@dataclass(frozen=True, slots=True)
class Found:
    """A file.

    Attributes:
      path: by which it is opened.
      name: relative to the folder or the pattern that it was found by, with ``/``; of a file named itself, its own.
      picture: False for a file in a folder whose suffix is not that of a picture.
    """

    path: str
    name: str
    picture: bool = True


@dataclass(frozen=True)
class Listing:
    """What `find` found.

    Attributes:
      pictures: in the order of the arguments, those of a folder or a pattern in the order of their names.
      grouped: whether there was a folder or a pattern among the arguments.
      ignored: how many files in folders are no pictures, by their suffix, or are results of an earlier run.
      others: the files in folders that are no pictures.
    """

    pictures: tuple[Found, ...]
    grouped: bool
    ignored: int
    others: tuple[Found, ...] = ()


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


# ---- finding pictures --------------------------------------------------------------------------------------


def is_group(source: PathLike) -> bool:
    """Whether an argument stands for any number of pictures: a folder, or a pattern such as ``photos/*.jpg``."""
    path = os.fspath(source)
    return os.path.isdir(path) or (not os.path.lexists(path) and any(sign in path for sign in SIGNS))


def find(sources: Sequence[PathLike], name: str, *, recursive: bool = False, results: Collection[str] = ()) -> Listing:
    """The pictures that arguments stand for.

    In folders and patterns those files count whose suffix is that of a picture; hidden ones do not. Results of
    earlier runs are left out, which manifests tell: of the folder of the results, and of folders that are descended
    into. A folder that is named itself gives its pictures whatever they are.

    Args:
      sources: files, folders and patterns (``*``, ``?``, ``[...]``, and ``**`` for folders in between).
      name: of the argument, for messages.
      recursive: descend into the folders in folders.
      results: real paths of files to be left out, see `jaxstyle.runtime.journal.results`.

    Returns:
      A `Listing` with at least one picture.

    Raises:
      PairError: an argument stands for no picture, or a folder cannot be listed.
    """
    groups = [is_group(source) for source in sources]
    found: list[Found] = []
    others: list[Found] = []
    ignored, made = 0, set(results)
    for source, group in zip(sources, groups, strict=True):
        path = os.fspath(source)
        if os.path.isdir(path):
            pictures = list(_folder(path, "", recursive, made))
        else:
            pictures = list(_pattern(path, recursive, made) if group else _file(path, made))
        taken = sorted((p for p in pictures if p is not None and p.picture), key=lambda picture: picture.name)
        others += [p for p in pictures if p is not None and not p.picture]
        if group and not taken:
            raise PairError(f"{path}: {_no_picture(path, recursive)}")
        found += taken
        ignored += len(pictures) - len(taken)
    if not found:
        kind = "none but results of an earlier run" if sources else "none"
        raise PairError(f"{name}: expected at least one picture, got {kind}")
    return Listing(tuple(found), any(groups), ignored, tuple(others))


def _no_picture(path: str, recursive: bool) -> str:
    if not os.path.isdir(path):
        return "matches no picture"
    deeper = not recursive and any(entry.is_dir() for entry in list(os.scandir(path)))
    return "holds no picture" + ("; recursive=True looks into its folders" if deeper else "")


def _file(path: str, made: Collection[str]) -> Iterator[Found | None]:
    if not os.path.lexists(path):
        raise PairError(f"{path}: no such file or folder")
    folder, name = os.path.split(path)
    is_result = made and os.path.join(os.path.realpath(folder), name) in made
    yield None if is_result else Found(path, name)


def _folder(root: str, prefix: str, recursive: bool, made: set[str]) -> Iterator[Found | None]:
    """The files in a folder, None for results of earlier runs; ``prefix`` goes before their names."""
    waiting, seen = [(root, prefix)], set()
    while waiting:
        folder, prefix = waiting.pop()
        try:
            about, entries = os.stat(folder), list(os.scandir(folder))
        except OSError as error:
            raise PairError(f"{folder}: cannot be listed: {(error.strerror or str(error)).lower()}") from error
        if (about.st_dev, about.st_ino) in seen:
            continue  # by a link to a folder above
        seen.add((about.st_dev, about.st_ino))
        if folder != root and any(journal.is_manifest(entry.name) for entry in entries):
            made |= journal.results(folder)
        real = os.path.realpath(folder)
        for entry in entries:
            if entry.name.startswith("."):
                continue
            if entry.is_dir():
                if recursive and not entry.name.endswith(SUFFIX):  # of an unfinished picture
                    waiting.append((entry.path, f"{prefix}{entry.name}/"))
            elif made and os.path.join(real, entry.name) in made:
                yield None
            else:
                yield Found(entry.path, prefix + entry.name, _is_picture(entry))


def _is_picture(entry: os.DirEntry[str]) -> bool:
    """By the suffix; a link that leads nowhere is one that will fail, not one that is overlooked."""
    suffix = os.path.splitext(entry.name)[1].lower()
    return suffix in image.READ_SUFFIXES and (entry.is_file() or entry.is_symlink())


def _pattern(pattern: str, recursive: bool, made: set[str]) -> Iterator[Found | None]:
    fixed = list(itertools.takewhile(lambda part: not any(sign in part for sign in SIGNS), Path(pattern).parts))
    base, seen = Path(*fixed), {Path(*fixed)}
    for path in glob.iglob(pattern, recursive=True):
        name = Path(path).relative_to(base)
        for above in name.parents:  # up to the base itself
            if base / above not in seen:
                seen.add(base / above)
                made |= journal.results(base / above)
        if os.path.isdir(path):
            if recursive and "**" not in pattern and not path.endswith(SUFFIX):
                made |= journal.results(path)
                yield from _folder(path, f"{name.as_posix()}/", recursive, made)
        elif name.suffix.lower() in image.READ_SUFFIXES:
            yield from (None if found is None else Found(path, name.as_posix()) for found in _file(path, made))
        else:
            yield None


# ---- who with whom -----------------------------------------------------------------------------------------


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
        raise ValueError("seed: AdaIN draws nothing at random, its result is always the same; leave the seed out")


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
      contents, styles: from `find`.
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
    once = {(os.path.abspath(c.path), *(os.path.abspath(s.path) for s in looks)): (c, looks) for c, looks in pairs}
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
            mark = names.digest(map(os.path.abspath, paths))
            name = names.result_name(content.name, [style.name for style in looks], mark, format)
        if names.comparable(name) in taken:
            raise PairError(
                f"{content.path}: its result would have the name of that of {taken[names.comparable(name)]}: {name}"
            )
        taken[names.comparable(name)] = content.path
        jobs.append(Job(content.path, paths[1:], name, controls))
    return jobs
