"""Disks that are full or read-only, and broken pictures on the way: one line, the right exit code, no broken file under
a result's name, and the same command again completes. A negative in the place of AdaIN: nothing here is about it.
"""

import contextlib
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from jaxstyle import image, methods
from jaxstyle.cli import main
from jaxstyle.folders import folder as batch
from jaxstyle.folders import manifest, workers
from jaxstyle.methods import adain
from jaxstyle.nets.stats import Moments
from jaxstyle.painting import file as front
from jaxstyle.painting import picture

resource = pytest.importorskip("resource")

RNG = np.random.default_rng(0)
ANY_STYLE = adain.Style(Moments(np.zeros((1, 512), np.float32), np.ones((1, 512), np.float32)))


@pytest.fixture
def pictures(tmp_path, monkeypatch):
    """In the current folder ``photos/`` of four pictures, noise, which takes the more room the larger it is, and
    ``painting.png``. What is made of them are negatives."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("JAXSTYLE_CACHE_DIR", "off")
    Path("photos").mkdir()
    for name, side in (("a", 8), ("b", 96), ("c", 8), ("d", 96)):
        image.write(f"photos/{name}.png", RNG.random((side, side, 3), np.float32))
    image.write("painting.png", RNG.random((8, 8, 3), np.float32))

    def paint(loaded, job, *, scratch, progress):
        height, width = job.source.shape[:2]
        for top in range(0, height, 32):
            yield 1 - job.source.read(top, min(top + 32, height), 0, width)

    for module in (front, workers):
        monkeypatch.setattr(module, "render", lambda picture, *_, **__: image.Picture(1 - picture.pixels))
        monkeypatch.setattr(module, "encode_styles", lambda *_: ANY_STYLE)
    for module in (front, batch):
        monkeypatch.setattr(module, "load_model", lambda name: methods.loaded(adain.Model({}, {})))
    monkeypatch.setattr(picture, "paint", paint)
    return tmp_path


@contextlib.contextmanager
def limit(_):
    """No file may have more than 6000 bytes, which the noise of 96 pixels a side does not fit in."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (6000, before[1]))
    try:
        yield "file too large"
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def mount(folder, options):
    """Mounts a file system in memory; skips the test where that is not allowed."""
    folder.mkdir(exist_ok=True)
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", folder], capture_output=True)
    if done.returncode:
        pytest.skip("file systems cannot be mounted")


@contextlib.contextmanager
def full(folder):
    """A disk of which the last 12 KB are free, too few for the noise of 96 pixels a side."""
    filler = folder / "filler"
    disk = os.statvfs(folder)
    filler.write_bytes(bytes((disk.f_bfree - 3) * disk.f_bsize))
    try:
        yield "no space left on device"
    finally:
        filler.unlink()


@pytest.fixture(params=["limit", "disk"])
def short(request, pictures):
    """(folder for results, context in which there is not enough room in it)."""
    folder = pictures / "out"
    if request.param == "limit":
        folder.mkdir()
        yield folder, limit
        return
    mount(folder, "size=1m")
    yield folder, full
    subprocess.run(["umount", folder], check=True)


def files(folder):
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.name != "filler"}


ONE = ["stylize", "photos/b.png", "--style", "painting.png"]


@pytest.mark.parametrize("tile", [[], ["--tile", "32"]])
@pytest.mark.parametrize("name", ["out/b.png", "out/b.tif", "out/b.jpg", "out/b.dzi"])
def test_one_picture_without_room(short, capsys, name, tile):
    if name.endswith(".tif") and tile:
        pytest.importorskip("tifffile")
    folder, without_room = short
    with without_room(folder) as why:
        assert main.main([*ONE, "-o", name, *tile]) == 1
        captured = capsys.readouterr()
        assert captured.err == f"jaxstyle: {name}: cannot be written: {why}\n" and captured.out == ""
        assert files(folder) == set()
        Path(name).write_text("mine")
        assert main.main([*ONE, "-o", name, *tile, "--overwrite"]) == 1
        assert Path(name).read_text() == "mine" and files(folder) == {Path(name).name}
    assert main.main([*ONE, "-o", name, *tile, "--overwrite"]) == 0
    if not name.endswith(".dzi"):
        found, content = image.read(name).pixels, image.read("photos/b.png").pixels
        np.testing.assert_allclose(found, 1 - content, atol=0.2 if name.endswith("jpg") else 1 / 255)


@pytest.mark.parametrize("tile", [[], ["--tile", "32"]])
def test_a_folder_without_room(short, capsys, tile):
    """A full disk stops it, a file that is too large has failed. What is there is whole, the rest is made later."""
    folder, without_room = short
    command = ["stylize", "photos", "--style", "painting.png", "-o", "out", *tile]
    with without_room(folder) as why:
        assert main.main(command) == 1
        said = capsys.readouterr().err.splitlines()
        assert said and all(line.endswith(f": cannot be written: {why}") for line in said)
        assert all(line.startswith("jaxstyle: stopped: ") == (why != "file too large") for line in said)
        there = files(folder) - {manifest.NAME}
        assert there <= {"a_stylized_painting.png", "c_stylized_painting.png"}
        whole = {name: (folder / name).read_bytes() for name in there}
        assert all(image.read(data).pixels.shape == (8, 8, 3) for data in whole.values())
    assert main.main(command) == 0
    assert f"{4 - len(there)} done, 0 failed, {len(there)} were there" in capsys.readouterr().out
    assert files(folder) == {manifest.NAME, *(f"{name}_stylized_painting.png" for name in "abcd")}
    assert all((folder / name).read_bytes() == data for name, data in whole.items())


@pytest.fixture
def read_only(pictures):
    """A folder that cannot be written to: for root, who may write anywhere, a file system that cannot."""
    folder = pictures / "fixed"
    if os.geteuid():
        folder.mkdir(mode=0o500)
        yield "fixed"
        return
    mount(folder, "ro,size=4k")
    yield "fixed"
    subprocess.run(["umount", folder], check=True)


@pytest.mark.parametrize(
    ("content", "arguments", "words"),
    [
        ("photos/a.png", ["-o", "fixed/a.png"], "fixed/a.png: cannot be written: the folder "),
        ("photos/a.png", ["-o", "fixed/a.dzi"], "fixed/a.dzi: cannot be written: the folder "),
        ("photos/a.png", ["-o", "a.png", "--tile", "32", "--scratch", "fixed"], "fixed: is no folder that temporary"),
        ("photos", ["-o", "fixed"], "fixed/jaxstyle-manifest.jsonl: cannot be written: "),
        ("photos", ["-o", "fixed/out", "--tile", "32"], "fixed/out: cannot be made: "),
    ],
)
def test_a_read_only_folder(read_only, capsys, content, arguments, words):
    before = files(Path())
    assert main.main(["stylize", content, "--style", "painting.png", *arguments]) == 2
    captured = capsys.readouterr()
    assert captured.err.startswith(f"jaxstyle: {words}") and captured.err.count("\n") == 1 and captured.out == ""
    assert files(Path()) == before


@pytest.mark.parametrize("tile", [[], ["--tile", "32"]])
def test_a_broken_picture_in_the_middle_of_a_folder(pictures, capsys, tile):
    whole = Path("photos/b.png").read_bytes()
    Path("photos/b.png").write_bytes(whole[: len(whole) // 2])
    command = ["stylize", "photos", "--style", "painting.png", "-o", "out", *tile]
    assert main.main(command) == 1
    captured = capsys.readouterr()
    assert captured.err.startswith("jaxstyle: photos/b.png: ") and captured.err.count("\n") == 1
    assert "3 done, 1 failed, 0 were there" in captured.out
    assert files(Path("out")) == {manifest.NAME, *(f"{name}_stylized_painting.png" for name in "acd")}
    Path("photos/b.png").write_bytes(whole)
    assert main.main(command) == 0
    assert "1 done, 0 failed, 3 were there" in capsys.readouterr().out


def test_what_the_system_says_is_one_line(pictures, capsys, monkeypatch):
    """Also where nobody foresaw it."""

    def fail(**_):
        raise OSError(24, "Too many open files", "photos")

    monkeypatch.setattr(front.tempfile, "TemporaryDirectory", fail)
    monkeypatch.setattr(sys, "stdout", type("Stream", (), {"buffer": None, "isatty": lambda _: False})())
    monkeypatch.setattr(image, "target_of", lambda place: sys.stderr)
    assert main.main([*ONE, "-o", "-", "--tile", "32"]) == 1
    assert capsys.readouterr().err == "jaxstyle: photos: Too many open files\n"


def test_a_command_that_was_started_without_standard_output():
    """What it prints is for nobody, and it ends as it would."""
    done = subprocess.run(
        ["sh", "-c", f'"{sys.executable}" -m jaxstyle styles >&-'],
        stderr=subprocess.PIPE,
        env=os.environ | {"PYTHONPATH": str(Path(image.__file__).parents[2])},
    )
    assert (done.returncode, done.stderr) == (0, b"")
