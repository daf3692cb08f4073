import numpy as np
import pytest

from jaxstyle.image.text import ELLIPSIS, broken, line_height, text_mask


def ink(mask):
    """(first row, last row, first column, last column) with letters in them."""
    rows, columns = np.flatnonzero(mask.max(1) > 0.2), np.flatnonzero(mask.max(0) > 0.2)
    return rows[0], rows[-1], columns[0], columns[-1]


def test_letters_stand_in_the_middle():
    mask = text_mask("HHHH", 60, 200, size=20)
    assert (mask.shape, mask.dtype) == ((60, 200), np.float32) and 0 <= mask.min() < mask.max() == 1
    top, bottom, left, right = ink(mask)
    assert abs(top - (59 - bottom)) <= 6 and abs(left - (199 - right)) <= 2
    assert 10 <= bottom - top <= 20  # capital letters of size 20


def test_left_aligned_text_begins_at_the_left():
    assert ink(text_mask("HHHH", 40, 200, size=20, align="left"))[2] <= 3


def test_different_texts_look_different():
    masks = [text_mask(text, 30, 120, size=16) for text in ("starry_night", "starry_light", "The Kiss")]
    assert not np.array_equal(masks[0], masks[1]) and not np.array_equal(masks[0], masks[2])
    assert not text_mask("", 30, 120, size=16).any()


def test_long_names_lose_their_middle():
    [short] = broken("a_very_long_name_of_a_picture_0017", 100, size=12)
    begin, dots, end = short.partition(ELLIPSIS)
    assert dots and "a_very_long_name".startswith(begin) and "picture_0017".endswith(end) and end
    assert abs(len(begin) - len(end)) <= 1
    assert ink(text_mask("n" * 500, 20, 50, size=12))[3] <= 49
    assert broken("short", 100, size=12) == ["short"]
    assert broken("iiii", 7, size=12) in (["i"], ["ii"]) and broken("wide", 2, size=12) == [""]


def test_lines_are_broken_at_spaces_and_else_anywhere():
    text = "cannot be read: it is text and no picture at all"
    rows = broken(text, 90, size=12, lines=9)
    assert 1 < len(rows) < 9 and " ".join(rows) == text
    assert "".join(broken("n" * 60, 90, size=12, lines=9)) == "n" * 60
    three = broken(text, 60, size=12, lines=3)
    assert len(three) == 3 and ELLIPSIS in three[-1]
    top, bottom, *_ = ink(text_mask(text, 80, 90, size=12, lines=3))
    assert bottom - top > 2 * line_height(12)


@pytest.mark.parametrize("text", ["日本", "naïve.jpg", "a\nb", "\udcff", "\x1b[31m", " "])
def test_any_name_can_be_drawn(text):
    assert text_mask(text, 20, 60, size=12).shape == (20, 60)
