"""Pictures in tiles that were stopped or killed go on where they were, whatever the method."""

import contextlib
import errno
import io
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from jaxstyle import image, methods
from jaxstyle.cli.main import main
from jaxstyle.folders.find import find
from jaxstyle.folders.folder import stylize_folder
from jaxstyle.image import ImageError, stream
from jaxstyle.painting import bands, paint, unfinished
from jaxstyle.painting.file import stylize_file
from jaxstyle.painting.picture import load_model
from jaxstyle.painting.unfinished import UnfinishedError
from tests import recolour

HEIGHT, WIDTH, TILE = 61, 45, 16
BANDS = 4  # of 16, 16, 16 and 13 rows


@pytest.fixture
def files(tmp_path, monkeypatch):
    """Pictures and a model in the current folder, and a folder ``whole`` for results of undisturbed runs."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(methods.METHODS, "recolour", recolour.METHOD)
    rng = np.random.default_rng(0)
    image.write("photo.png", rng.random((HEIGHT, WIDTH, 3)), alpha=rng.random((HEIGHT, WIDTH)), bits=16)
    image.write("painting.png", rng.random((24, 24, 3)))
    image.write("ramp.png", np.tile(np.linspace(0, 1, WIDTH, dtype=np.float32), (HEIGHT, 1)))
    recolour.save("model.safetensors", recolour.init(), licence="none")
    (tmp_path / "whole").mkdir()
    yield tmp_path
    load_model.cache_clear()


def stylize(output, **options):
    options = {"weights_file": "model.safetensors", "tile": TILE, **options}
    return stylize_file("photo.png", "painting.png", output, **options)


@contextlib.contextmanager
def stopped(count=99, error=None):
    """Makes an error come instead of the band after so many; gives the first rows of those asked for."""
    tops, finish = [], bands.finish

    def finished(band, top, *rest):
        tops.append(top)
        if len(tops) > count:
            raise error
        return finish(band, top, *rest)

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(bands, "finish", finished)
        yield tops


def interrupt(output, count=2, **options):
    with stopped(count, KeyboardInterrupt()), pytest.raises(KeyboardInterrupt) as caught:
        stylize(output, **options)
    return str(caught.value)


def names(folder="."):
    return sorted(path.name for path in Path(folder).iterdir())


GIVEN = ["model.safetensors", "painting.png", "photo.png", "ramp.png", "whole"]
PART = "a.png.jaxstyle-part"

# ---- going on ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["a.png", "a.tif", "a.dzi", "a.jpg"])
def test_an_interrupted_run_goes_on_and_gives_the_same_bytes(files, name):
    if name == "a.tif":
        pytest.importorskip("tifffile")
    stylize(f"whole/{name}")
    message = f"interrupted; 2 of 4 bands are kept in {name}.jaxstyle-part, and the same command goes on"
    assert interrupt(name) == message
    assert names() == sorted([*GIVEN, f"{name}.jaxstyle-part"])
    (files / f"{name}.jaxstyle-part" / ".jaxstyle-0.tmp").write_bytes(b"what kill -9 leaves")
    with stopped() as tops:
        stylize(name)
    assert tops == [32, 48]
    found, expected = ([p for p in Path(root).rglob("*") if p.is_file()] for root in (".", "whole"))
    for path in expected:
        assert (files / path.relative_to("whole")).read_bytes() == path.read_bytes()
    assert len(found) == 4 + 2 * len(expected) and not any(files.glob("*.jaxstyle-part"))


@pytest.mark.parametrize(
    "options",
    [
        {"preserve_color": "luminance", "alpha": 0.2},
        {"preserve_color": "match", "gradient": "left:0,right:1"},
        {"alpha_map": "ramp.png", "size": 53},
        {"style_size": 45},  # the size of the picture: painted once
    ],
    ids=str,
)
def test_with_controls(files, options):
    stylize("whole/a.png", **options)
    interrupt("a.png", **options)
    stylize("a.png", **options)
    assert Path("a.png").read_bytes() == Path("whole/a.png").read_bytes()
    assert names() == sorted([*GIVEN, "a.png"])


@pytest.mark.slow
def test_with_the_shipped_model(files):
    image.write("photo.png", np.random.default_rng(0).random((250, 180, 3)), bits=16)
    options = {"weights_file": "adain_vgg16", "tile": 32}
    stylize("whole/a.png", **options)
    interrupt("a.png", 5, **options)
    with stopped() as tops:
        stylize("a.png", **options)
    assert tops == [160, 192, 224]
    assert Path("a.png").read_bytes() == Path("whole/a.png").read_bytes()


def test_the_first_pass_is_not_repeated(files, monkeypatch):
    calls, steps = [], []
    for name in ("_encode", "_survey", "_paint"):
        function = getattr(paint, name)
        monkeypatch.setattr(paint, name, lambda *args, f=function, n=name: (calls.append(n), f(*args))[1])

    def counted(**options):
        calls.clear()
        stylize("a.png", progress=lambda *step: steps.append(step), **options)
        return [calls.count(name) for name in ("_encode", "_survey", "_paint")]

    encoded, surveyed, painted = counted()
    assert encoded == surveyed and painted == 3 * BANDS
    total = steps[-1][1]
    assert steps == [(n, total) for n in range(1, total + 1)]
    Path("a.png").unlink()
    interrupt("a.png", 3)
    steps.clear()
    again = counted()
    assert 0 < again[0] < encoded and again[1:] == [0, 3]  # only what the last band sees
    assert steps == [(n, total) for n in range(total - again[0] - 3 + 1, total + 1)]
    Path("a.png").unlink()
    interrupt("a.png", 3)
    monkeypatch.setattr(paint, "Scratch", lambda folder, *rest: Scratch(None, *rest))  # no room for features
    assert counted() == [3, 0, 3]


Scratch = paint.Scratch


def test_all_bands_are_there_but_not_the_file(files, monkeypatch):
    with monkeypatch.context() as patched:
        patched.setattr(os, "replace", lambda *_: (_ for _ in ()).throw(OSError(errno.EIO, "Input/output error")))
        message = r"^a\.png: cannot be written: input/output error; 4 of 4 bands are kept in a\.png\.jaxstyle-part, and"
        with pytest.raises(ImageError, match=message):
            stylize("a.png")
    with stopped() as tops:
        stylize("a.png")
    stylize("whole/a.png")
    assert tops == [] and Path("a.png").read_bytes() == Path("whole/a.png").read_bytes()


def test_a_damaged_band_is_painted_again(files):
    stylize("whole/a.png")
    interrupt("a.png", 3)
    samples = Path(PART, "samples")
    damaged = bytearray(samples.read_bytes())
    damaged[16 * WIDTH * 6 + 7] ^= 1  # 16 bits: 6 bytes a pixel
    samples.write_bytes(damaged)
    with stopped() as tops:
        stylize("a.png")
    assert tops == [16, 48] and Path("a.png").read_bytes() == Path("whole/a.png").read_bytes()


def test_the_tile_is_that_of_the_beginning(files):
    """By default it depends on the free memory, and so does whether there are tiles at all."""
    stylize("whole/a.png")
    interrupt("a.png")
    with stopped() as tops:
        stylize("a.png", tile=None)
    assert tops == [32, 48] and Path("a.png").read_bytes() == Path("whole/a.png").read_bytes()


CHILD = """
import sys, time
from jaxstyle import methods, stylize_file, stylize_folder
from jaxstyle.painting import bands
from tests import recolour

methods.METHODS["recolour"] = recolour.METHOD
finish = bands.finish
bands.finish = lambda band, top, *rest: finish(band, top, *rest) if top < 32 else time.sleep(600)
{call}(*sys.argv[1:], weights_file="model.safetensors", tile=16)
"""


def kill(call, *arguments, journal):
    """Runs a call in a process that is killed when two bands are done."""
    root = str(Path(__file__).parents[1])
    path = os.pathsep.join([root, *filter(None, [os.environ.get("PYTHONPATH")])])
    command = [sys.executable, "-c", CHILD.format(call=call), *arguments]
    process = subprocess.Popen(command, env={**os.environ, "PYTHONPATH": path})
    while process.poll() is None and not (journal.exists() and journal.read_bytes().count(b'"done"') == 2):
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL


def test_a_killed_process_is_continued(files):
    stylize("whole/a.png")
    kill("stylize_file", "photo.png", "painting.png", "a.png", journal=Path(PART, "journal.jsonl"))
    assert not Path("a.png").exists() and any(Path(PART).glob(".jaxstyle-*.tmp"))
    with stopped() as tops:
        stylize("a.png")
    assert tops == [32, 48] and Path("a.png").read_bytes() == Path("whole/a.png").read_bytes()
    assert names() == sorted([*GIVEN, "a.png"])


def test_a_folder_is_continued(files):
    options = {"weights_file": "model.safetensors", "tile": TILE}
    (files / "photos").mkdir()
    Path("photo.png").rename("photos/photo.png")
    stylize_folder("photos", "painting.png", "whole", **options)
    name = "photo_stylized_painting.png"
    part = Path("out", f"{name}.jaxstyle-part")
    kill("stylize_folder", "photos", "painting.png", "out", journal=part / "journal.jsonl")
    assert part.is_dir() and not Path("out", name).exists()
    with stopped() as tops:
        report = stylize_folder("photos", "painting.png", "out", **options)
    assert tops == [32, 48] and (report.done, report.kept, report.failed) == (1, 0, ())
    assert Path("out", name).read_bytes() == Path("whole", name).read_bytes()
    assert names("out") == names("whole") == ["jaxstyle-manifest.jsonl", name]
    assert stylize_folder("photos", "painting.png", "out", **options).kept == 1


def test_what_changed_is_begun_anew_in_a_folder(files):
    """There results are made anew of pictures that have changed."""
    options = {"weights_file": "model.safetensors", "tile": TILE, "pair": "product"}
    with stopped(2, SystemExit()), pytest.raises(SystemExit):
        stylize_folder("photo.png", "painting.png", "out", **options)
    image.write("photo.png", np.random.default_rng(1).random((HEIGHT, WIDTH, 3)))
    with stopped() as tops:
        assert stylize_folder("photo.png", "painting.png", "out", **options).done == 1
    assert tops == [0, 16, 32, 48] and not any(Path("out").glob("*.jaxstyle-part"))


def test_what_is_unfinished_is_no_picture(files):
    interrupt("whole/a.png")
    tiles = Path("whole", PART, ".jaxstyle-0.tmp", "7")
    tiles.mkdir(parents=True)
    (tiles / "0_0.jpg").write_bytes(b"of a pyramid that was being written")
    Path("painting.png").rename("whole/c.png")
    for source in ("whole", "whol*", "whole/**"):
        listing = find([source], "content", recursive=True)
        assert [found.path for found in listing.pictures] == ["whole/c.png"] and listing.others == ()


# ---- another request ---------------------------------------------------------------------------------------


def test_another_request_does_not_take_over(files):
    interrupt("a.png", alpha=0.5)
    words = r"^a\.png\.jaxstyle-part: holds a picture begun with {}; give the command that began it, or give overwrite"
    with pytest.raises(UnfinishedError, match=words.format(r"alpha = 0\.5, not 1\.0")):
        stylize("a.png")
    with pytest.raises(UnfinishedError, match=words.format('alpha_blend = "photo", not "features"')):
        stylize("a.png", alpha=0.5, alpha_blend="features")
    with pytest.raises(UnfinishedError, match=words.format("tile = 16, not 32")):
        stylize("a.png", alpha=0.5, tile=32)
    with pytest.raises(UnfinishedError, match=words.format("style = .*")):
        stylize_file("photo.png", "ramp.png", "a.png", alpha=0.5, weights_file="model.safetensors")
    recolour.save("model.safetensors", recolour.init(1), licence="none")
    load_model.cache_clear()
    with pytest.raises(UnfinishedError, match=words.format("model = .*")):
        stylize("a.png", alpha=0.5)
    assert names() == sorted([*GIVEN, PART])
    with stopped() as tops:
        stylize("a.png", overwrite=True)
    assert tops == [0, 16, 32, 48] and names() == sorted([*GIVEN, "a.png"])


def test_files_that_changed_are_another_request(files):
    interrupt("a.png", alpha_map="ramp.png")
    image.write("ramp.png", np.ones((HEIGHT, WIDTH), np.float32))
    with pytest.raises(UnfinishedError, match="begun with alpha_map = "):
        stylize("a.png", alpha_map="ramp.png")
    os.utime("photo.png", ns=(0, 0))
    with pytest.raises(UnfinishedError, match=r"begun with content_time = \d+, not 0"):
        stylize("a.png", alpha_map="ramp.png")
    image.write("photo.png", np.zeros((HEIGHT, WIDTH, 3)))
    with pytest.raises(UnfinishedError, match="begun with content_bytes = "):
        stylize("a.png", alpha_map="ramp.png")


def test_the_command_says_so(files, capsys):
    interrupt("a.png")
    line = ["stylize", "photo.png", "--style", "painting.png", "-o", "a.png", "--weights-file", "model.safetensors"]
    assert main([*line, "--alpha", "0.5"]) == 2
    error = capsys.readouterr().err
    assert error.endswith("give the command that began it, or give --overwrite\n") and error.count("\n") == 1
    with stopped(1, KeyboardInterrupt()):
        assert main(line) == 130
    words = f"jaxstyle: interrupted; 3 of 4 bands are kept in {PART}, and the same command goes on\n"
    assert capsys.readouterr().err == words
    assert main(line) == 0


# ---- nothing is kept ---------------------------------------------------------------------------------------


def test_nothing_stays_where_nothing_was_done(files):
    assert interrupt("a.png", 0) == ""
    assert names() == GIVEN


@pytest.mark.parametrize("options", [{"style_size": 30}, {"output": "-"}], ids=str)
def test_nothing_is_kept_that_could_not_go_on(files, options, monkeypatch):
    monkeypatch.setattr(bands, "painted", None)
    monkeypatch.setattr(image, "target_of", lambda place: io.BytesIO())
    with pytest.raises(KeyboardInterrupt) as caught:
        stylize(**{"output": "a.png", "progress": interrupted_late, "tile": TILE, **options})
    assert str(caught.value) == "" and names() == GIVEN


def test_one_band_is_not_kept(files, monkeypatch):
    monkeypatch.setattr(bands, "painted", None)
    stylize("a.png", tile=64)
    assert names() == sorted([*GIVEN, "a.png"])


def interrupted_late(done, total):
    if done == total:
        raise KeyboardInterrupt


def test_a_disk_without_room(files, monkeypatch):
    """What was begun needs room for the rest; what was not is painted without being kept."""
    interrupt("a.png")
    monkeypatch.setattr(unfinished.shutil, "disk_usage", lambda folder: unfinished.shutil._ntuple_diskusage(1, 1, 0))
    message = r"^a\.png: cannot be written: no space left on device: 0\.01 MB are needed, 0\.00 free$"
    with pytest.raises(ImageError, match=message) as caught:
        stylize("a.png")
    assert caught.value.__cause__.errno == errno.ENOSPC and Path(PART).is_dir()
    monkeypatch.setattr(bands, "painted", None)
    stylize("b.png")


def test_a_full_disk_keeps_what_is_done(files, monkeypatch):
    write = unfinished.Unfinished.write

    def full(self, number, tile):
        if number == 3:
            raise OSError(errno.ENOSPC, "No space left on device")
        write(self, number, tile)

    with monkeypatch.context() as patched:
        patched.setattr(unfinished.Unfinished, "write", full)
        with pytest.raises(ImageError, match=r"no space left on device; 3 of 4 bands are kept in .* goes on$"):
            stylize("a.png")
    with stopped() as tops:
        stylize("a.png")
    assert tops == [48]


def test_a_pyramid_whose_index_was_not_moved_yet_is_finished(files, monkeypatch):
    with monkeypatch.context() as patched:
        patched.setattr(os, "replace", lambda *_: sys.exit())
        patched.setattr(os, "rename", lambda old, new: Path(new).mkdir())  # the tiles are in place
        with pytest.raises(SystemExit):
            stylize("a.dzi")
    assert {"a.dzi.jaxstyle-part", "a_files"} <= set(names())
    with stopped() as tops:
        stylize("a.dzi")
    assert tops == [] and names() == sorted([*GIVEN, "a.dzi", "a_files"])


def test_the_bits_that_a_format_keeps():
    assert [stream.kept_bits(kind, 16) for kind in ("PNG", "DZI", "JPEG")] == [16, 8, 8]
    assert {stream.kept_bits(kind, 8) for kind in ("PNG", "DZI", "JPEG")} == {8}
