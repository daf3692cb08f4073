import os

import pytest

from jaxstyle import image
from jaxstyle.painting.names import MOST_BYTES, SUFFIXES, default_output, result_name


@pytest.mark.parametrize(
    ("content", "styles", "expected"),
    [
        ("photo.jpg", ["night.png"], "photo_stylized_night.jpg"),
        ("sub/deep/photo.JPG", ["x/night.tar.png"], "sub/deep/photo_stylized_night.tar.JPG"),
        ("photo.gif", ["night.png"], "photo_stylized_night.png"),
        ("photo", ["a.png", "b.png"], "photo_stylized_a_b.png"),
        ("photo.png", ["a", "b", "c", "d", "e"], "photo_stylized_a_b_c_2_more.png"),
        ("12:30/a:b?.png", ["c|d\n.png"], "12_30/a_b__stylized_c_d_.png"),
        (os.fsdecode(b"\xff.png"), ["ä.png"], "__stylized_ä.png"),
    ],
)
def test_result_name(content, styles, expected):
    assert result_name(content, styles) == expected


@pytest.mark.parametrize(
    ("content", "format", "expected"),
    [
        ("a.jpg", "PNG", "a_stylized_s.png"),
        ("a.JPEG", "jpg", "a_stylized_s.jpg"),
        ("in/a.gif", "tiff", "in/a_stylized_s.tif"),
        ("a", "webp", "a_stylized_s.webp"),
    ],
)
def test_the_format_gives_the_suffix(content, format, expected):
    assert result_name(content, ["s.png"], format=format) == expected
    assert default_output(content, "s.png", format).name == expected.rpartition("/")[2]
    with pytest.raises(ValueError, match="format: unknown format 'gif'"):
        result_name(content, ["s.png"], format="gif")


def test_every_format_has_a_suffix_that_means_it():
    assert {image.WRITE_FORMATS[suffix]: suffix for suffix in SUFFIXES.values()} == SUFFIXES
    assert set(SUFFIXES) == set(image.WRITE_FORMATS.values())


def test_long_names_are_cut_and_stay_different():
    found = {result_name(f"{stem * 200}{i}.png", ["é" * 200 + ".png"]) for stem in "aé" for i in range(3)}
    assert len(found) == 6 and all(len(name.encode()) <= MOST_BYTES for name in found)
    assert all(name.endswith(".png") for name in found)


def test_default_output():
    assert str(default_output("a/photo.jpg", "b/night.png")) == "photo_stylized_night.jpg"
    assert str(default_output("photo.png", ["a.png", "x/b.jpg"])) == "photo_stylized_a_b.png"
