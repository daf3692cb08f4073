"""Files, streams, and ``-`` for standard input and output."""

import io
import os
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import PIL.Image
import pytest

from jaxstyle import image
from jaxstyle.image import source as image_source
from jaxstyle.image.source import ImageError, byte_stream, label_of, reading, source_of, target_of


class Stream:
    """A standard stream that gives or takes bytes."""

    def __init__(self, data=b"", terminal=False):
        self.buffer, self.terminal = io.BytesIO(data), terminal

    def isatty(self):
        return self.terminal


def test_labels():
    assert label_of("a.png") == label_of(Path("a.png")) == "a.png"
    assert (label_of(""), label_of(b"x"), label_of(b"x", "output")) == ("''", "picture", "output")
    assert label_of(np.zeros(3)) == "array"
    with open(os.devnull) as file:
        assert (label_of(io.BytesIO()), label_of(file)) == ("picture", os.devnull)


def test_byte_streams_are_seekable_and_whole(tmp_path):
    (tmp_path / "a").write_bytes(b"data")
    with (tmp_path / "a").open("rb") as file:
        for source in (tmp_path / "a", b"data", bytearray(b"data"), io.BytesIO(b"data"), file):
            with byte_stream(source, "a") as stream:
                assert stream.seek(1) == 1 and stream.read() == b"ata"
    with pytest.raises(ImageError, match="is a folder"), byte_stream(tmp_path, "a"):
        pass


def test_what_comes_through_a_pipe_can_be_read_again(tmp_path):
    data = io.BytesIO()
    PIL.Image.new("RGB", (4, 3)).save(data, "PNG")
    (tmp_path / "file").write_bytes(data.getvalue())
    os.mkfifo(tmp_path / "pipe")
    for place in (tmp_path / "file", str(tmp_path / "file"), tmp_path, tmp_path / "none", b"data", "a\0b"):
        assert source_of(place) is place
    for path in (tmp_path / "pipe", str(tmp_path / "pipe")):
        writer = threading.Thread(target=(tmp_path / "pipe").write_bytes, args=(data.getvalue(),), daemon=True)
        writer.start()
        found = source_of(path)
        writer.join(10)
        assert image.dimensions(found) == (3, 4) and image.read(found).pixels.shape == (3, 4, 3)
        assert label_of(found) == str(tmp_path / "pipe")
    assert source_of(os.devnull) == b""
    with pytest.raises(ImageError, match=f"{os.devnull}: .*an empty file"):
        image.read(source_of(os.devnull))


def test_an_endless_device_is_left_in_time(monkeypatch):
    monkeypatch.setattr(image_source, "MAX_STREAM_BYTES", 1 << 20)
    with pytest.raises(ImageError, match="/dev/zero: gives more than 1 MiB"):
        source_of("/dev/zero")


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (ImageError("b", "broken"), "b: broken"),
        (MemoryError(), "a: not enough memory to decode it"),
        (FileNotFoundError(2, "No such file"), "a: no such file"),
        (OSError("odd"), "a: cannot be read: odd"),
        (IndexError(), "a: cannot be read: IndexError"),
    ],
)
def test_whatever_goes_wrong_becomes_one_line(error, message):
    with pytest.raises(ImageError) as caught, reading("a"):
        raise error
    assert str(caught.value) == message


def test_interruption_is_no_error_of_the_picture():
    with pytest.raises(KeyboardInterrupt), reading("a"):
        raise KeyboardInterrupt


def test_only_a_dash_is_standard():
    array = np.zeros((2, 2), np.uint8)
    assert all(source_of(place) is place for place in ("a.png", Path("a.png"), b"-", array, "", "./-"))
    assert all(target_of(place) is place for place in ("a.png", Path("a.png"), "--"))


def test_standard_input_can_be_read_twice(monkeypatch):
    picture = io.BytesIO()
    image.write(picture, np.full((4, 5, 3), 99, np.uint8), format="PNG")
    monkeypatch.setattr(sys, "stdin", Stream(picture.getvalue()))
    source = source_of("-")
    for _ in range(2):
        assert image.dimensions(source) == (4, 5)
        np.testing.assert_allclose(image.read(source).pixels, 99 / 255)
    with pytest.raises(ImageError, match=r"^<stdin>: cannot be read: it is an empty file$"):
        image.read(source_of(Path("-")))  # nothing is left


def test_terminals_are_refused(monkeypatch):
    monkeypatch.setattr(sys, "stdin", Stream(terminal=True))
    monkeypatch.setattr(sys, "stdout", Stream(terminal=True))
    with pytest.raises(ImageError, match=r"^<stdin>: is a terminal"):
        source_of("-")
    for refuses in (target_of, image.check_target):
        with pytest.raises(ImageError, match=r"^<stdout>: is a terminal"):
            refuses("-")
    monkeypatch.setattr(sys, "stdin", None)  # closed
    with pytest.raises(ImageError, match="<stdin>"):
        source_of("-")


def test_standard_input_is_limited(monkeypatch):
    monkeypatch.setattr(image_source, "MAX_STREAM_BYTES", 1 << 20)
    monkeypatch.setattr(sys, "stdin", Stream(bytes((1 << 20) + 1)))
    with pytest.raises(ImageError, match=r"^<stdin>: gives more than 1 MiB$"):
        source_of("-")


PIPE = """
import sys
from jaxstyle import image
picture = image.read(image.source_of("-"))
image.check_target("-")
image.write(
    image.target_of("-"), picture.pixels, alpha=picture.alpha, bits=picture.bits, exif=picture.exif,
    format=image.format_of("-", None, picture.format),
)
"""


def test_a_picture_goes_through_a_pipe_as_it_is():
    rng, picture = np.random.default_rng(0), io.BytesIO()
    samples, alpha = rng.integers(0, 65536, (5, 7, 3), np.uint16), rng.integers(0, 65536, (5, 7), np.uint16)
    exif = PIL.Image.Exif()
    exif[0x010E] = "a description"
    image.write(picture, samples, alpha=alpha, bits=16, format="PNG", exif=exif.tobytes())
    done = subprocess.run([sys.executable, "-c", PIPE], input=picture.getvalue(), capture_output=True, check=True)
    sent, found = image.read(picture.getvalue()), image.read(done.stdout)
    assert (found.format, found.bits, found.exif) == ("PNG", 16, sent.exif)
    np.testing.assert_array_equal(found.pixels, sent.pixels)
    np.testing.assert_array_equal(found.alpha, sent.alpha)


def test_what_has_no_end_is_no_picture(tmp_path):
    """Devices are never read; a named pipe is refused where it was found, as in a folder."""
    fifo, link = tmp_path / "pipe.png", tmp_path / "zero.png"
    os.mkfifo(fifo)
    link.symlink_to("/dev/zero")
    for path in ("/dev/zero", link):
        with pytest.raises(ImageError, match=f"^{path}: is a device, not a picture file$"):
            image.read(path)
        with pytest.raises(ImageError, match="is a device"):
            image.check_file(path)
    with pytest.raises(ImageError, match=f"^{fifo}: is a named pipe, not a picture file$"):
        image.check_file(fifo)
    image.check_file(tmp_path / "missing.png")  # reading says more
    read, write = os.pipe()
    try:
        image.check_file(f"/dev/fd/{read}")  # from a shell
    finally:
        os.close(read)
        os.close(write)
