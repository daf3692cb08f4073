import xml.etree.ElementTree as ElementTree

import numpy as np
import PIL.Image
import pytest

from jaxstyle.image.deepzoom import files_of, write_deepzoom

RNG = np.random.default_rng(0)


def halved(samples):
    """2x2 means; the last row and column of an odd number stand for their pairs."""
    height, width = samples.shape[:2]
    even = np.pad(samples, ((0, height % 2), (0, width % 2), (0, 0)), mode="edge").astype(int)
    quads = even[::2, ::2] + even[1::2, ::2] + even[::2, 1::2] + even[1::2, 1::2]
    return (quads + 2) // 4


@pytest.mark.parametrize(("height", "width"), [(1, 1), (254, 255), (255, 508), (509, 300), (770, 3)])
@pytest.mark.parametrize("step", [1, 100])
def test_every_level_is_the_mean_of_the_next(tmp_path, height, width, step):
    samples = RNG.integers(0, 256, (height, width, 4), np.uint8)
    bands = (samples[top : top + step] for top in range(0, height, step))
    target = tmp_path / "picture.dzi"
    (tmp_path / "work").mkdir()
    write_deepzoom(str(tmp_path / "work"), str(target), bands, samples.shape, None)
    assert files_of(str(target)) == str(tmp_path / "picture_files")
    root = ElementTree.parse(target).getroot()
    assert root.attrib == {"Format": "png", "Overlap": "1", "TileSize": "254"}
    assert root[0].attrib == {"Width": str(width), "Height": str(height)}
    expected = samples
    levels = sorted((tmp_path / "picture_files").iterdir(), key=lambda level: -int(level.name))
    assert [int(level.name) for level in levels] == list(range(len(levels) - 1, -1, -1))
    for level in levels:
        rows, columns = -(-expected.shape[0] // 254), -(-expected.shape[1] // 254)
        assert len(list(level.iterdir())) == rows * columns
        for row in range(rows):
            for column in range(columns):
                top, left = max(row * 254 - 1, 0), max(column * 254 - 1, 0)
                part = expected[top : row * 254 + 255, left : column * 254 + 255]
                with PIL.Image.open(level / f"{column}_{row}.png") as tile:
                    np.testing.assert_array_equal(np.asarray(tile), part)
        last, expected = expected, halved(expected)
    assert last.shape[:2] == (1, 1)


def test_without_transparency_tiles_are_jpeg(tmp_path):
    target = tmp_path / "picture.dzi"
    (tmp_path / "work").mkdir()
    write_deepzoom(str(tmp_path / "work"), str(target), [np.full((300, 20, 3), 99, np.uint8)], (300, 20, 3), 80)
    assert 'Format="jpg"' in target.read_text()
    with PIL.Image.open(tmp_path / "picture_files" / "9" / "0_1.jpg") as tile:
        assert tile.size == (20, 47)


def test_an_old_pyramid_comes_back_when_the_new_one_cannot_take_its_place(tmp_path):
    (tmp_path / "picture_files").mkdir()
    (tmp_path / "picture_files" / "old").touch()
    (tmp_path / "picture.dzi").mkdir()  # cannot be replaced by a file
    (tmp_path / "work").mkdir()
    with pytest.raises(OSError, match=r"picture\.dzi"):
        write_deepzoom(
            str(tmp_path / "work"), str(tmp_path / "picture.dzi"), [np.zeros((9, 9, 3), np.uint8)], (9, 9, 3), None
        )
    assert [file.name for file in (tmp_path / "picture_files").iterdir()] == ["old"]
