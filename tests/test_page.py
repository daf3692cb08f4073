import numpy as np
import pytest

from jaxstyle.image import Picture
from jaxstyle.sheet.page import ALARM, PALE, PAPER, Columns, Entry, Grid, Table, fitted

CELL = 60


def flat(height, width, value, alpha=None):
    opacity = None if alpha is None else np.full((height, width), alpha, np.float32)
    return Picture(np.full((height, width, 3), value, np.float32), opacity)


def boxes(canvas, colour):
    """(rows, columns) of the pixels that have a colour, as the box around them."""
    ys, xs = np.nonzero((canvas == np.asarray(colour)).all(-1))
    return (ys.min(), ys.max() + 1, xs.min(), xs.max() + 1, len(ys)) if len(ys) else None


@pytest.mark.parametrize(("shape", "expected"), [((90, 120), (45, 60)), ((600, 3), (60, 1)), ((20, 30), (20, 30))])
def test_fitted_keeps_the_aspect_ratio(shape, expected):
    found = fitted(flat(*shape, 0.5, 0.25), CELL)
    assert found.pixels.shape[:2] == found.alpha.shape == expected
    np.testing.assert_allclose(found.alpha, 0.25, atol=1e-6)


@pytest.mark.parametrize(("columns", "styles"), [(None, 1), (None, 8), (2, 5), (50, 3), (1, 2)])
def test_grid_has_a_place_for_everything(columns, styles):
    page = Grid(CELL, columns, styles)
    canvas = page.canvas()
    page.photo(canvas, 0, Entry("photo", flat(60, 40, 0)))
    assert boxes(canvas, (0, 0, 0))[4] >= 60 * 40
    corners = set()
    for number in range(styles):
        page.style(canvas, number, Entry("style", flat(60, 60, 0.5)))
        page.result(canvas, 0, number, flat(60, 60, 1))
        top, bottom, left, right, count = boxes(canvas, (255, 255, 255))
        assert (bottom - top, right - left, count) == (60, 60, 3600)
        canvas[top:bottom, left:right] = 7  # nothing comes here again
        corners.add((top, left))
    assert len(corners) == styles
    assert len({left for _, left in corners} | {page.gap}) <= min(columns or 9, styles + 1)
    assert boxes(canvas, (7, 7, 7))[4] == styles * 3600
    edge = np.concatenate([canvas[0], canvas[-1], canvas[:, 0], canvas[:, -1]])
    assert (edge == PAPER).all()


@pytest.mark.parametrize("columns", [None, 1, 2, 3])
def test_table_has_rows_of_photos_and_columns_of_styles(columns):
    page = Table(CELL, columns, 2, 3)
    canvas = page.canvas()
    for number in range(3):
        page.style(canvas, number, Entry("", flat(30, 30, 0)))
    for row in range(2):
        page.photo(canvas, row, Entry("", flat(30, 30, 0)))
    before = canvas.copy()
    places = np.empty((2, 3), object)
    for row in range(2):
        for column in range(3):
            page.result(canvas, row, column, flat(60, 60, 1))
            places[row, column] = boxes(canvas, (255, 255, 255))[:4:2]
            top, left = places[row, column]
            assert (before[top : top + 60, left : left + 60] == PAPER).all()  # over no picture and no name
            canvas[top : top + 60, left : left + 60] = 7
    assert all(places[0, column][1] == places[1, column][1] for column in range(3))
    if columns in (None, 3):
        assert all(len({places[row, column][0] for column in range(3)}) == 1 for row in range(2))
    assert boxes(canvas, (7, 7, 7))[4] == 6 * 3600
    blocks = -(-3 // (columns or 3))
    assert boxes(canvas, (0, 0, 0))[4] == 900 * (3 + 2 * blocks)  # photos stand beside every block


def test_letterboxes_are_filled_and_transparency_shows_them():
    page = Table(CELL, None, 1, 1)
    canvas = page.canvas()
    page.result(canvas, 0, 0, flat(20, 60, 1, alpha=0))
    top, bottom, left, right, count = boxes(canvas, PALE)
    assert (bottom - top, right - left, count) == (60, 60, 3600)
    page.result(canvas, 0, 0, flat(20, 60, 0, alpha=0.5))
    assert boxes(canvas, np.floor(np.asarray(PALE) / 2 + 0.5))[:4] == (top + 20, top + 40, left, right)


@pytest.mark.parametrize("page", [Grid(CELL, None, 3), Table(CELL, None, 2, 3), Grid(32, None, 3), Table(32, 1, 1, 3)])
def test_a_picture_that_is_not_there_leaves_its_words(page):
    canvas = page.canvas()
    page.style(canvas, 1, Entry("night", None, "night.png: cannot be read: it is text"))
    page.photo(canvas, 0, Entry("day", None, "day.png: no such file"))
    red = (canvas[..., 0] > canvas[..., 1].astype(int) + 40).sum()
    assert red > 5  # letters
    page.result(canvas, 0, 1, None)
    assert (canvas[..., 0] > canvas[..., 1].astype(int) + 40).sum() == red


def test_columns_have_a_place_for_everything():
    page = Columns(CELL, 40, columns=3, rows=2, lines=2)
    canvas = page.canvas()
    corners = []
    for column in range(3):
        for row in range(2):
            page.place(canvas, row, column, Entry("x", flat(40, 60, 1)))
            top, bottom, left, right, count = boxes(canvas, (255, 255, 255))
            assert (bottom - top, right - left, count) == (40, 60, 2400)
            canvas[top:bottom, left:right] = 7
            corners.append((left, top))
    assert corners == sorted(corners) and len({left for left, _ in corners}) == 3
    before = canvas.copy()
    page.head(canvas, 2, "WWW")
    page.row(canvas, 1, "WWW")
    page.line(canvas, 0, "WWW", ["WWW"] * 3)
    page.line(canvas, 1, "WWW", ["WWW"] * 3)
    ys, xs = np.nonzero((canvas != before).any(-1))
    assert not (before[ys, xs] == 7).any()  # no word lies on a picture
    assert ys.min() < corners[0][1] and ys.max() > corners[1][1] + 40 and xs.max() >= corners[-1][0]
    assert (canvas[-page.gap :] == PAPER).all() and (canvas[:, -page.gap :] == PAPER).all()


def test_a_column_without_a_picture_says_why():
    page = Columns(CELL, 50, columns=1, rows=1, lines=0)
    canvas = page.canvas()
    page.place(canvas, 0, 0, Entry("x", None, "no memory"))
    assert boxes(canvas, PALE) is not None
    assert np.abs(canvas.astype(int) - ALARM).sum(-1).min() < 30
