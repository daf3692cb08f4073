"""The pages of `jaxstyle.sheet`: where pictures and names stand, and how they come there.

A page is told of styles, photos and results one by one, and puts them into an array, uint8 (height, width, 3).
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from typing import Literal, NamedTuple

import numpy as np

from jaxstyle import image
from jaxstyle.image import Picture
from jaxstyle.image.encode import quantise
from jaxstyle.image.text import line_height, text_mask

SMALLEST_CELL = 32
"""Side of a cell, in pixels, that leaves room for a name."""

PAPER, INK, PALE, ALARM = (250, 250, 248), (25, 25, 30), (236, 236, 233), (150, 30, 20)  # sRGB


class Entry(NamedTuple):
    """A photo or a style of the sheet: a picture no larger than a cell, or why there is none."""

    name: str
    picture: Picture | None
    problem: str = ""


def fitted(picture: Picture, side: int) -> Picture:
    """Scaled down so that it fits into a square; transparency too."""
    height, width = picture.pixels.shape[:2]
    longer = max(height, width)
    if longer <= side:
        return picture
    size = (max(1, round(height * side / longer)), max(1, round(width * side / longer)))
    alpha = None if picture.alpha is None else image.resize(picture.alpha, size)
    return dataclasses.replace(picture, pixels=image.resize(picture.pixels, size), alpha=alpha)


class _Page:
    """Sizes that both kinds of page have, in pixels."""

    def __init__(self, cell: int) -> None:
        self.cell = cell
        self.gap = max(4, cell // 20)
        self.letters = max(9, cell // 15)
        self.label = line_height(self.letters) + self.letters // 2
        self.height = self.width = 0

    def canvas(self) -> np.ndarray:
        """An empty page, uint8 (height, width, 3)."""
        return np.full((self.height, self.width, 3), PAPER, np.uint8)


class Grid(_Page):
    """One photo: itself, then it in every style, each with its style and its name below."""

    def __init__(self, cell: int, columns: int | None, styles: int) -> None:
        super().__init__(cell)
        self.strip = max(self.label, cell // 5)
        tall = cell + self.strip + self.gap
        self.columns = min(columns or math.ceil(math.sqrt((styles + 1) * tall / (cell + self.gap))), styles + 1)
        self.height = self.gap + tall * -(-(styles + 1) // self.columns)
        self.width = self.gap + (cell + self.gap) * self.columns

    def _corner(self, number: int) -> tuple[int, int]:
        row, column = divmod(number, self.columns)
        return self.gap + row * (self.cell + self.strip + self.gap), self.gap + column * (self.cell + self.gap)

    def style(self, canvas: np.ndarray, number: int, entry: Entry) -> None:
        """A style and its name below the place of its result, or in that place why there is none."""
        top, left = self._corner(number + 1)
        below, thumb = top + self.cell, self.strip
        if entry.picture is None:
            _problem(canvas, top, left, self.cell, entry.problem, self.letters)
            _write(canvas, entry.name, below, left, self.strip, self.cell, self.letters)
            return
        _put(canvas, fitted(entry.picture, thumb - 4), below + 2, left, thumb - 4, thumb - 4, None)
        beside = left + thumb + 2
        _write(canvas, entry.name, below, beside, self.strip, self.cell - thumb - 2, self.letters, align="left")

    def photo(self, canvas: np.ndarray, row: int, entry: Entry) -> None:
        """The photo, in the first place."""
        top, left = self._corner(0)
        if entry.picture is not None:  # else there is no sheet
            _put(canvas, entry.picture, top, left, self.cell, self.cell)
        _write(canvas, entry.name, top + self.cell, left, self.strip, self.cell, self.letters)

    def result(self, canvas: np.ndarray, row: int, column: int, picture: Picture | None) -> None:
        """The photo in a style."""
        if picture is not None:
            _put(canvas, picture, *self._corner(column + 1), self.cell, self.cell)


class Gallery(_Page):
    """Pictures in a grid, each with its name below."""

    def __init__(self, cell: int, columns: int, count: int) -> None:
        super().__init__(cell)
        self.columns = columns
        self.height = self.gap + (cell + self.label + self.gap) * -(-count // columns)
        self.width = self.gap + (cell + self.gap) * columns

    def picture(self, canvas: np.ndarray, number: int, entry: Entry) -> None:
        """A picture and its name."""
        row, column = divmod(number, self.columns)
        top, left = self.gap + row * (self.cell + self.label + self.gap), self.gap + column * (self.cell + self.gap)
        if entry.picture is not None:
            _put(canvas, entry.picture, top, left, self.cell, self.cell)
        _write(canvas, entry.name, top + self.cell, left, self.label, self.cell, self.letters)


class Table(_Page):
    """Photos down the rows, styles along the top; in blocks below each other where there are fewer columns."""

    def __init__(self, cell: int, columns: int | None, photos: int, styles: int) -> None:
        super().__init__(cell)
        self.photos = photos
        self.columns = min(columns or styles, styles)
        self.margin = cell // 2  # side of the small pictures
        self.head = self.margin + self.label + self.gap
        self.side = self.margin + 2 * self.gap
        self.block = self.head + photos * (cell + self.gap)
        self.height = self.gap + self.block * -(-styles // self.columns)
        self.width = self.side + (cell + self.gap) * self.columns

    def style(self, canvas: np.ndarray, number: int, entry: Entry) -> None:
        """A style at the head of its column."""
        block, column = divmod(number, self.columns)
        top, left = self.gap + block * self.block, self.side + column * (self.cell + self.gap)
        middle = left + (self.cell - self.margin) // 2
        self._margin_picture(canvas, entry, top, middle)
        _write(canvas, entry.name, top + self.margin, left, self.label, self.cell, self.letters)

    def photo(self, canvas: np.ndarray, row: int, entry: Entry) -> None:
        """A photo at the beginning of its row."""
        for top in range(self.gap + self.head, self.height, self.block):
            middle = top + row * (self.cell + self.gap) + (self.cell - self.margin - self.label) // 2
            self._margin_picture(canvas, entry, middle, self.gap)
            _write(canvas, entry.name, middle + self.margin, self.gap, self.label, self.margin, self.letters)

    def _margin_picture(self, canvas: np.ndarray, entry: Entry, top: int, left: int) -> None:
        if entry.picture is None:
            _problem(canvas, top, left, self.margin, entry.problem, self.letters)
        else:
            _put(canvas, fitted(entry.picture, self.margin), top, left, self.margin, self.margin, None)

    def result(self, canvas: np.ndarray, row: int, column: int, picture: Picture | None) -> None:
        """A photo in a style; None leaves its place empty."""
        block, column = divmod(column, self.columns)
        top = self.gap + block * self.block + self.head + row * (self.cell + self.gap)
        left = self.side + column * (self.cell + self.gap)
        if picture is None:
            canvas[top : top + self.cell, left : left + self.cell] = PALE
        else:
            _put(canvas, picture, top, left, self.cell, self.cell)


class Columns(_Page):
    """Pictures in columns with a name above each and lines of words below: a table that begins with pictures."""

    def __init__(self, cell: int, tall: int, columns: int, rows: int, lines: int) -> None:
        """The pictures are at most ``cell`` wide and ``tall`` high; there are ``lines`` lines below them."""
        super().__init__(cell)
        self.tall = tall
        self.margin = self.letters * 8  # for the names of the lines
        self.foot = self.gap + self.label + rows * (tall + self.gap)
        self.height = self.foot + lines * self.label + self.gap
        self.width = self.margin + 2 * self.gap + columns * (cell + self.gap)

    def _left(self, column: int) -> int:
        return self.margin + 2 * self.gap + column * (self.cell + self.gap)

    def head(self, canvas: np.ndarray, column: int, name: str) -> None:
        """The name of a column."""
        _write(canvas, name, self.gap, self._left(column), self.label, self.cell, self.letters)

    def row(self, canvas: np.ndarray, row: int, name: str) -> None:
        """The name of a row of pictures."""
        top = self.gap + self.label + row * (self.tall + self.gap)
        lines = self.tall // line_height(self.letters)
        _write(canvas, name, top, self.gap, self.tall, self.margin, self.letters, lines=lines, align="left")

    def place(self, canvas: np.ndarray, row: int, column: int, entry: Entry) -> None:
        """A picture, or why there is none."""
        top, left = self.gap + self.label + row * (self.tall + self.gap), self._left(column)
        if entry.picture is None:
            _problem(canvas, top, left, min(self.cell, self.tall), entry.problem, self.letters)
        else:
            _put(canvas, entry.picture, top, left, self.tall, self.cell)

    def line(self, canvas: np.ndarray, number: int, name: str, words: Sequence[str]) -> None:
        """A line below the pictures: its name, and a word for each column."""
        top = self.foot + number * self.label
        _write(canvas, name, top, self.gap, self.label, self.margin, self.letters, align="left")
        for column, word in enumerate(words):
            _write(canvas, word, top, self._left(column), self.label, self.cell, self.letters)


def _put(
    canvas: np.ndarray,
    picture: Picture,
    top: int,
    left: int,
    height: int,
    width: int,
    ground: tuple[int, int, int] | None = PALE,
) -> None:
    """Lays a picture into the middle of a box, whose rest gets the colour ``ground``."""
    if ground is not None:
        canvas[top : top + height, left : left + width] = ground
    tall, wide = picture.pixels.shape[:2]
    top, left = top + (height - tall) // 2, left + (width - wide) // 2
    place = canvas[top : top + tall, left : left + wide]
    pixels = picture.pixels
    if picture.alpha is not None:
        opacity = picture.alpha[..., None]
        pixels = opacity * pixels + (1 - opacity) * place.astype(np.float32) / 255
    place[:] = quantise(pixels, place.dtype)


def _write(
    canvas: np.ndarray,
    text: str,
    top: int,
    left: int,
    height: int,
    width: int,
    size: int,
    *,
    lines: int = 1,
    colour: tuple[int, int, int] = INK,
    align: Literal["left", "center"] = "center",
) -> None:
    """Writes into a box."""
    mask = text_mask(text, height, width, size=size, lines=lines, align=align)[..., None]
    place = canvas[top : top + height, left : left + width]
    place[:] = np.rint(place * (1 - mask) + np.asarray(colour, np.float32) * mask).astype(np.uint8)


def _problem(canvas: np.ndarray, top: int, left: int, side: int, problem: str, size: int) -> None:
    """A box that says why there is no picture."""
    canvas[top : top + side, left : left + side] = PALE
    inner = max(1, side - size)
    words = problem.partition(": ")[2] or problem
    inset = (side - inner) // 2
    lines = max(1, inner // line_height(size))
    _write(canvas, words, top + inset, left + inset, inner, inner, size, lines=lines, colour=ALARM)
