"""The pictures that arguments stand for: files, folders and patterns.

Names only: folders are listed, no picture is opened.
"""

from __future__ import annotations

import glob
import itertools
import os
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from jaxstyle import image, styles
from jaxstyle.folders import manifest
from jaxstyle.painting.options import PathLike
from jaxstyle.painting.unfinished import SUFFIX

SIGNS = "*?["
"""What makes an argument a pattern, unless there is a file of that name."""


class PairError(ValueError):
    """Pictures that are not there, or that do not go together. The message is one line."""


@dataclass(frozen=True, slots=True)
class Found:
    """A file.

    Attributes:
      path: by which it is opened; of a built-in style its name with the ``@``.
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
      others: the files in folders that are no pictures, or cannot be read.
      notices: sentences for the user about photos that were passed over.
    """

    pictures: tuple[Found, ...]
    grouped: bool
    ignored: int
    others: tuple[Found, ...] = ()
    notices: tuple[str, ...] = ()


def is_group(source: PathLike, *, style: bool = False) -> bool:
    """Whether an argument stands for any number of pictures: a folder, or a pattern such as ``photos/*.jpg``.

    Args:
      source: the argument.
      style: whether it is that of a style, where ``@*`` is a pattern of built-in ones.
    """
    path = os.fspath(source)
    if style and styles.is_builtin(path):
        return _has_sign(path)
    if os.path.isdir(path) or os.path.lexists(path):
        return os.path.isdir(path)
    return any(map(_has_sign, Path(path).parts[len(_literal(path).parts) :]))


def _has_sign(part: str) -> bool:
    return any(sign in part for sign in SIGNS)


def _literal(pattern: str) -> Path:
    """The folder in which a pattern begins: signs in the names of folders that are there stand for themselves."""
    found = Path()
    for part in Path(pattern).parts:
        if _has_sign(part) and not os.path.lexists(found / part):
            break
        found /= part
    return found


def find(
    sources: Sequence[PathLike],
    name: str,
    *,
    recursive: bool = False,
    results: Collection[str] = (),
    style: bool = False,
) -> Listing:
    """The pictures that arguments stand for.

    In folders and patterns those files count whose suffix is that of a picture; hidden ones do not. Results of
    earlier runs are left out, which manifests tell: of the folder of the results, and of folders that are descended
    into. A folder that is named itself gives its pictures whatever they are.

    Args:
      sources: files, folders and patterns (``*``, ``?``, ``[...]``, and ``**`` for folders in between).
      name: of the argument, for messages.
      recursive: descend into the folders in folders.
      results: real paths of files to be left out, see `jaxstyle.folders.manifest.results`.
      style: whether these are styles, where ``@name`` and ``@*`` are built-in ones (`jaxstyle.styles`).

    Returns:
      A `Listing` with at least one picture.

    Raises:
      PairError: an argument stands for no picture, or a folder cannot be listed.
      StyleNameError: there is no built-in style of that name.
    """
    groups = [is_group(source, style=style) for source in sources]
    found: list[Found] = []
    others: list[Found] = []
    notices: list[str] = []
    ignored, made = 0, set(results)
    for source, group in zip(sources, groups, strict=True):
        path = os.fspath(source)
        if style and styles.is_builtin(path):
            pictures: list[Found | None] = [Found(f"{styles.MARK}{known}", known) for known in styles.named(path)]
        elif os.path.isdir(path):
            pictures = list(_folder(path, "", recursive, made))
        else:
            pictures = list(_pattern(path, recursive, made) if group else _file(path, made))
        taken = sorted((p for p in pictures if p is not None and p.picture), key=lambda picture: picture.name)
        rest = [p for p in pictures if p is not None and not p.picture]
        unread = sum(_suffix(p.name) in image.UNREAD_SUFFIXES for p in rest)
        heic = f"{unread} HEIC photo{'s' * (unread > 1)}: to read them, pip install 'jaxstyle[heif]'"
        if group and not taken:
            raise PairError(f"{path}: {_no_picture(path, recursive)}" + (f" but {heic}" if unread else ""))
        notices += [f"{path}: passed over {heic}"] if unread else []
        others += rest
        found += taken
        ignored += len(pictures) - len(taken)
    if not found:
        kind = "none but results of an earlier run" if sources else "none"
        raise PairError(f"{name}: expected at least one picture, got {kind}")
    return Listing(tuple(found), any(groups), ignored, tuple(others), tuple(notices))


def _suffix(name: str) -> str:
    return os.path.splitext(name)[1].lower()


def _no_picture(path: str, recursive: bool) -> str:
    if not os.path.isdir(path):
        return "matches no picture"
    deeper = not recursive and any(map(_is_folder, list(os.scandir(path))))
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
        if folder != root and any(manifest.is_manifest(entry.name) for entry in entries):
            made |= manifest.results(folder)
        real = os.path.realpath(folder)
        for entry in entries:
            if entry.name.startswith("."):
                continue
            if _is_folder(entry):
                if recursive and not entry.name.endswith(SUFFIX):  # of an unfinished picture
                    waiting.append((entry.path, f"{prefix}{entry.name}/"))
            elif made and os.path.join(real, entry.name) in made:
                yield None
            else:
                yield Found(entry.path, prefix + entry.name, _is_picture(entry))


def _is_folder(entry: os.DirEntry[str]) -> bool:
    """Whether it is a folder or a link to one; a link to itself, or to what may not be looked at, is none."""
    try:
        return entry.is_dir()
    except OSError:
        return False


def _is_picture(entry: os.DirEntry[str]) -> bool:
    """By the suffix: links that lead nowhere, pipes and the like will fail, and are not overlooked."""
    return _suffix(entry.name) in image.READ_SUFFIXES


def _pattern(pattern: str, recursive: bool, made: set[str]) -> Iterator[Found | None]:
    base = _literal(pattern)
    seen = {base}
    parts = (pattern.replace(os.altsep, os.sep) if os.altsep else pattern).split(os.sep)
    matches = _matches(os.sep, parts[1:]) if parts[0] == "" else _matches("", parts)
    for path in dict.fromkeys(matches):
        name = Path(path).relative_to(base)
        for above in name.parents:  # up to the base itself
            if base / above not in seen:
                seen.add(base / above)
                made |= manifest.results(base / above)
        if os.path.isdir(path):
            if recursive and "**" not in pattern and not path.endswith(SUFFIX):
                made |= manifest.results(path)
                yield from _folder(path, f"{name.as_posix()}/", recursive, made)
        elif name.suffix.lower() in image.UNREAD_SUFFIXES:
            yield Found(path, name.as_posix(), False)
        elif name.suffix.lower() in image.READ_SUFFIXES:
            yield from (None if found is None else Found(path, name.as_posix()) for found in _file(path, made))
        else:
            yield None


def _matches(folder: str, parts: Sequence[str]) -> Iterator[str]:
    """What a pattern stands for.

    Args:
      folder: with a separator at its end, or empty.
      parts: of the pattern below it. One with signs that is there is taken as it is.
    """
    part, rest, escaped = parts[0], parts[1:], glob.escape(folder)
    found: Iterable[str]
    if part == "**":
        found = glob.iglob(f"{escaped}**{os.sep if rest else ''}", recursive=True)
        found = itertools.chain([""], found) if rest and not folder else found  # without a name glob leaves it out
    elif _has_sign(part) and not os.path.lexists(folder + part):
        found = glob.iglob(escaped + part)
    else:
        found = [folder + part] if part in ("", os.curdir) or os.path.lexists(folder + part) else []
    for path in found:
        if not rest:
            yield path
        elif path == "" or os.path.isdir(path):
            yield from _matches(path if path == "" or path.endswith(os.sep) else path + os.sep, rest)
