import os
import threading
from pathlib import Path

import numpy as np
import PIL.Image
import pytest

from jaxstyle import image
from jaxstyle.metrics import files as measured
from jaxstyle.metrics import metrics

SIZES = {"photo": (32, 40), "painting": (32, 40), "tall": (36, 32), "out": (32, 40), "wrong": (32, 48)}


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """A photo, two paintings, a result, and a result of a wrong size."""
    folder = tmp_path_factory.mktemp("pictures")
    rng = np.random.default_rng(0)
    found = {}
    for name, (h, w) in SIZES.items():
        pixels = np.repeat(np.repeat(rng.random((h // 4, w // 4, 3)), 4, 0), 4, 1)
        found[name] = str(folder / f"{name}.png")
        image.write(found[name], pixels.astype(np.float32))
    return found


@pytest.mark.parametrize(
    ("size", "shapes"),
    [((64, 48), [(48, 64)] * 3), (64, [(64, 80), (72, 64), (64, 80)]), (None, [(32, 40), (36, 32), (32, 40)])],
)
def test_size_brings_all_pictures_to_one_size(files, monkeypatch, size, shapes):
    seen = []

    def measure(networks, *pictures):
        seen.extend(p.shape[:2] for p in pictures)
        return dict.fromkeys(measured.MEANING, 0.0)

    monkeypatch.setattr(metrics, "measure", measure)
    measured.measure_files(files["photo"], files["tall"], [files["out"]], size=size)
    assert seen == shapes


def test_pictures_that_cannot_be_measured_are_named(files, tmp_path, monkeypatch):
    small = str(tmp_path / "small.png")
    image.write(small, np.zeros((31, 50, 3), np.float32))
    photo, painting = files["photo"], files["painting"]
    monkeypatch.setattr(metrics, "measure", None)  # nothing is measured before all have been looked at
    for arguments, words in {
        (photo, painting, files["wrong"]): f"{files['wrong']}: 48 x 32 pixels; {photo} has 40 x 32",
        (photo, small, photo): f"{small}: 50 x 31 pixels; expected sides of at least 32",
        (photo, painting, small + "x"): f"{small}x: no such file",
    }.items():
        with pytest.raises(ValueError) as found:
            measured.measure_files(arguments[0], arguments[1], [files["out"], arguments[2]])
        assert str(found.value).startswith(words) and "\n" not in str(found.value)
    monkeypatch.setattr(measured.memory, "available_memory", lambda: 1 << 20)
    with pytest.raises(metrics.MetricsError, match=r"photo.png: 40 x 32 pixels: needs about .* --size needs less"):
        measured.measure_files(photo, painting, [photo])
    monkeypatch.setattr(image, "read", None)  # a size that no memory holds is not tried
    with pytest.raises(metrics.MetricsError, match=r"photo.png: 1000000 x 800000 pixels: needs about"):
        measured.measure_files(photo, painting, [photo], size=800_000)


def test_a_photo_at_a_smaller_size_equals_what_was_made_of_it(tmp_path, monkeypatch):
    """A JPEG that its decoder shrinks differs from the same pixels in another format, and may differ in size."""
    photo, copy = str(tmp_path / "photo.jpg"), str(tmp_path / "copy.png")
    image.write(photo, np.random.default_rng(0).random((203, 301, 3)).astype(np.float32))
    image.write(copy, image.read(photo).pixels)
    seen = []
    monkeypatch.setattr(metrics, "load_networks", lambda: None)
    monkeypatch.setattr(
        metrics, "measure", lambda networks, *pictures: seen.extend(pictures) or dict.fromkeys(measured.MEANING, 0.0)
    )
    measured.measure_files(photo, photo, [copy], size=33)
    np.testing.assert_array_equal(seen[0], seen[2])


def test_pictures_from_pipes_are_read_once(files, tmp_path, monkeypatch):
    pipe, seen = str(tmp_path / "pipe"), []
    os.mkfifo(pipe)
    writer = threading.Thread(target=lambda: Path(pipe).write_bytes(Path(files["photo"]).read_bytes()), daemon=True)
    monkeypatch.setattr(metrics, "load_networks", lambda: None)
    monkeypatch.setattr(
        metrics, "measure", lambda networks, *pictures: seen.extend(pictures) or dict.fromkeys(measured.MEANING, 0.0)
    )
    writer.start()
    found = measured.measure_files(pipe, files["painting"], [files["out"], pipe])
    writer.join(10)
    assert list(found) == [files["out"], pipe]
    np.testing.assert_array_equal(seen[0], image.read(files["photo"]).pixels)


def test_a_photo_that_lies_on_its_side_is_measured_upright(files, tmp_path, monkeypatch):
    """A TIFF of orientation 6: its size is that of the upright picture, and so is that of its painting."""
    turned, seen = str(tmp_path / "turned.tif"), []
    with PIL.Image.open(files["photo"]) as photo:
        exif = PIL.Image.Exif()
        exif[0x0112] = 6
        photo.transpose(PIL.Image.Transpose.ROTATE_90).save(turned, exif=exif)
    monkeypatch.setattr(metrics, "load_networks", lambda: None)
    monkeypatch.setattr(
        metrics, "measure", lambda networks, *pictures: seen.extend(pictures) or dict.fromkeys(measured.MEANING, 0.0)
    )
    measured.measure_files(turned, turned, [files["out"]])
    np.testing.assert_array_equal(seen[0], image.read(files["photo"]).pixels)
    np.testing.assert_array_equal(seen[1], seen[0])


def test_sizes_are_those_of_paintings(tmp_path, monkeypatch):
    """The short side is what was asked for, the long one rounded to nearest, halves upwards."""
    photo = str(tmp_path / "photo.png")
    image.write(photo, np.zeros((1000, 1501, 3), np.uint8))
    seen = []
    monkeypatch.setattr(metrics, "load_networks", lambda: None)
    monkeypatch.setattr(
        metrics,
        "measure",
        lambda networks, *pictures: seen.extend(p.shape[:2] for p in pictures) or dict.fromkeys(measured.MEANING, 0.0),
    )
    measured.measure_files(photo, photo, [photo], size=500)
    assert seen == [(500, 751)] * 3
