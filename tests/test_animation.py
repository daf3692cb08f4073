import numpy as np
import pytest
from PIL import Image

from jaxstyle.image import ImageError, animation, encode


def greys(count, size=(6, 9)):
    return [np.full((*size, 3), 30 * i + 10, np.uint8) for i in range(count)]


@pytest.mark.parametrize("kind", ["GIF", "WEBP"])
def test_what_was_encoded_comes_back(tmp_path, kind):
    path, shown = tmp_path / f"a.{kind.lower()}", [40, 100, 250]
    path.write_bytes(encode.encode_animation(greys(3), kind, shown))
    assert animation.facts(path, 1000) == (6, 9, 3) and animation.durations(path) == shown
    found = list(animation.frames_of(path))
    assert [time for _, time in found] == shown
    for (pixels, _), wanted in zip(found, greys(3), strict=True):
        assert np.abs(pixels.astype(int) - wanted).max() <= 3
    assert len(list(animation.frames_of(path, 2))) == 1


def test_frames_that_are_hardly_shown_are_shown_as_browsers_do(tmp_path):
    frames = [Image.fromarray(pixels) for pixels in greys(2)]
    frames[0].save(tmp_path / "a.gif", save_all=True, append_images=frames[1:], duration=0)
    assert animation.durations(tmp_path / "a.gif") == [animation.USUAL] * 2


def test_bad_files_are_one_line(tmp_path):
    (tmp_path / "text.gif").write_text("no picture")
    with pytest.raises(ImageError, match=r"text\.gif: "):
        animation.facts(tmp_path / "text.gif", 1000)
    (tmp_path / "a.gif").write_bytes(encode.encode_animation(greys(2), "GIF", 50))
    with pytest.raises(ImageError, match="more than the limit"):
        animation.facts(tmp_path / "a.gif", 50)
    assert animation.is_animation("A.GIF") and animation.is_animation("a.webp") and not animation.is_animation("a.mp4")
