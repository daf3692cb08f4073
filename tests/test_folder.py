"""Folders in, folders out. Most tests put a cheap method in the place of AdaIN: they are about what is around it."""

import errno
import json
import os
import random
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import jax
import numpy as np
import pytest

import jaxstyle
from jaxstyle import Controls, image, methods
from jaxstyle.folders import folder as batch
from jaxstyle.folders import manifest, workers
from jaxstyle.folders.folder import is_batch, stylize_folder
from jaxstyle.folders.kept import BatchError
from jaxstyle.folders.pairing import Job
from jaxstyle.methods import adain
from jaxstyle.painting import picture
from jaxstyle.painting.file import Painting
from jaxstyle.runtime import journal
from jaxstyle.runtime.journal import Journal, JournalError
from jaxstyle.runtime.progress import Progress

RNG = np.random.default_rng(0)


def noise(path, height=5, width=7):
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    image.write(path, RNG.random((height, width, 3), np.float32))


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Five pictures of all shapes in ``in``, two styles, in the current folder."""
    monkeypatch.chdir(tmp_path)
    for i, size in enumerate([(5, 7), (16, 3), (1, 1), (40, 20)]):
        noise(f"in/p{i}.png", *size)
    noise("in/sub/p0.png")
    noise("styles/x.png")
    noise("styles/y.png")
    return tmp_path


class Cheap:
    """In the place of AdaIN: the content plus the mean of the styles, with what was called and where."""

    def __init__(self):
        self.rendered, self.encoded, self.devices = [], 0, set()
        self.before = lambda picture: None

    def encode_styles(self, looks, controls, model, side=512, content=None):
        self.encoded += 1
        return np.mean([look.pixels.mean() for look in looks], dtype=np.float32)

    def render(self, picture, looks, controls, maps, model, *, style=None):
        self.before(picture)
        self.rendered.append(picture.pixels.shape[:2])
        self.devices |= model.model.decoder["place"].devices()
        mean = self.encode_styles(looks, controls, model) if style is None else style
        pixels = (1 - controls.alpha) * picture.pixels + controls.alpha * (picture.pixels / 2 + mean / 2)
        return image.Picture(pixels.astype(np.float32), picture.alpha, picture.bits, picture.exif)


@pytest.fixture
def cheap(monkeypatch):
    method = Cheap()
    monkeypatch.setattr(workers, "render", method.render)
    monkeypatch.setattr(workers, "encode_styles", method.encode_styles)
    monkeypatch.setattr(
        batch, "load_model", lambda name: methods.loaded(adain.Model({}, {"place": jax.numpy.zeros(1)}))
    )
    return method


def records(folder="out"):
    return list(journal.read(Path(folder, manifest.NAME)))


def contents(folder="out"):
    """{name: bytes} of the results."""
    files = [path for path in Path(folder).rglob("*") if path.is_file() and path.name != manifest.NAME]
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}


# ---- what is made ------------------------------------------------------------------------------------------


def test_a_folder_in_one_style(folder, cheap):
    Path("in/notes.txt").touch()
    report = stylize_folder("in", "styles/x.png", "out", recursive=True, alpha=0.5)
    names = {f"p{i}_stylized_x.png" for i in range(4)} | {"sub/p0_stylized_x.png"}
    assert contents().keys() == names
    assert (report.pictures, report.done, report.kept, report.failed, report.stopped) == (5, 5, 0, (), None)
    assert (report.folder, report.manifest, report.ignored) == ("out", f"out/{manifest.NAME}", 1)
    assert report.seconds > 0 and report.pictures_per_second > 0 and cheap.encoded == 1
    expected = 0.75 * image.read("in/p3.png").pixels + 0.25 * image.read("styles/x.png").pixels.mean()
    np.testing.assert_allclose(image.read("out/p3_stylized_x.png").pixels, expected, atol=0.51 / 255)
    done = {record["output"]: record for record in records() if record["status"] == "done"}
    assert done.keys() == names
    found = done["sub/p0_stylized_x.png"]
    assert found["source"] == str(folder / "in/sub/p0.png") and found["style"] == [str(folder / "styles/x.png")]
    assert found["controls"] == Controls(alpha=0.5).as_dict() and found["seed"] is None
    assert (found["width"], found["height"]) == (7, 5) and found["seconds"] >= 0
    assert found["weights"] == "adain_vgg16" and found["weights_sha256"] == report.weights_sha256


def test_each_with_each_encodes_each_style_and_reads_each_content_once(folder, cheap, monkeypatch):
    read = []
    plain = image.read
    monkeypatch.setattr(image, "read", lambda path, **options: read.append(path) or plain(path, **options))
    report = stylize_folder("in", "styles", "out", devices=jax.devices()[:1])
    assert contents().keys() == {f"p{i}_stylized_{style}.png" for i in range(4) for style in "xy"}
    assert report.done == 8 and cheap.encoded == 2
    assert all(read.count(f"styles/{style}.png") == 1 for style in "xy") and len(read) < 2 + 8


@pytest.mark.parametrize("way", ["match", "histogram"])
def test_styles_that_take_on_colours_are_read_once_and_encoded_for_each(folder, cheap, monkeypatch, way):
    read = []
    plain = image.read
    monkeypatch.setattr(image, "read", lambda path, **options: read.append(path) or plain(path, **options))
    stylize_folder("in", "styles/x.png", "out", preserve_color=way)
    assert cheap.encoded == 4 and read.count("styles/x.png") == 1


def test_files_are_mixed_and_pairs_are_paired(folder, cheap):
    mixed = stylize_folder(["in/p0.png", "in/p1.png"], ["styles/x.png", "styles/y.png"], "mixed", weights=(2, 1))
    assert contents("mixed").keys() == {"p0_stylized_x_y.png", "p1_stylized_x_y.png"} and mixed.done == 2
    stylize_folder(["in/p0.png", "in/p1.png"], ["styles/x.png", "styles/y.png"], "zip", pair="zip")
    assert contents("zip").keys() == {"p0_stylized_x.png", "p1_stylized_y.png"}


def test_random_pairs_and_their_seed(folder, cheap):
    report = stylize_folder("in", "styles", "out", pair="random", seed=3)
    assert report.done == 4 and {record["seed"] for record in records() if record["status"] == "done"} == {3}
    stylize_folder(["in/p2.png", "in/p1.png"], "styles", "part", pair="random", seed=3)
    assert contents("part").items() <= contents().items()
    with pytest.raises(ValueError, match="seed: nothing is drawn at random but by pair"):
        stylize_folder("in", "styles", "other", seed=3)
    assert not Path("other").exists()


def test_progress(folder, cheap):
    Path("in/bad.png").write_text("text")
    seen = []
    stylize_folder("in", "styles/x.png", "out", progress=seen.append)
    assert seen[0] == Progress(5, 0, 0, 0) and seen[-1] == Progress(5, 0, 4, 1)
    assert [p.done + p.failed for p in seen] == list(range(6))
    seen.clear()
    stylize_folder("in", "styles/x.png", "out", progress=seen.append)
    assert seen == [Progress(5, 4, 0, 0), Progress(5, 4, 0, 1)]


def test_several_devices_share_the_work(folder, cheap):
    devices, together = jax.devices(), threading.Barrier(4)
    assert len(devices) == 4
    cheap.before = lambda picture: together.wait(10)  # passes when four pictures are being computed
    stylize_folder("in", "styles", "many")
    assert cheap.devices == set(devices)
    cheap.before = lambda picture: None
    cheap.devices.clear()
    stylize_folder("in", "styles", "one", devices=devices[1:2])
    assert cheap.devices == {devices[1]} and contents("many") == contents("one")


def test_few_pictures_are_in_memory_at_a_time(folder, cheap, monkeypatch):
    for i in range(40):
        noise(f"in/more{i}.png")
    alive, most, mutex, two = 0, 0, threading.Lock(), threading.Event()
    plain, save = image.read, workers.save

    def read(path, **options):
        nonlocal alive, most
        with mutex:
            alive += "in/" in str(path)
            most = max(most, alive)
            if alive > 1:
                two.set()
        return plain(path, **options)

    def written(*args, **options):
        nonlocal alive
        assert two.wait(60)  # however busy the machine is: another picture is read before the first is written
        with mutex:
            alive -= 1
        return save(*args, **options)

    monkeypatch.setattr(image, "read", read)
    monkeypatch.setattr(workers, "save", written)
    assert stylize_folder("in", "styles/x.png", "out", devices=jax.devices()[:1]).done == 44
    assert 1 < most <= 3


def test_reading_and_writing_go_on_while_a_device_computes(folder, cheap, monkeypatch):
    """The first computation waits until another picture is read, the first writing until another is computed."""
    read, computed = threading.Semaphore(0), threading.Semaphore(0)
    waited = {}

    def wait(name, semaphore):
        if name not in waited:
            waited[name] = None
            waited[name] = all(semaphore.acquire(timeout=10) for _ in range(2))

    def before(picture):
        computed.release()
        wait("computation", read)

    def write(*args, **options):
        wait("writing", computed)
        return save(*args, **options)

    plain, save = image.read, workers.save
    monkeypatch.setattr(image, "read", lambda path, **o: ("in/" in path and read.release()) or plain(path, **o))
    monkeypatch.setattr(workers, "save", write)
    cheap.before = before
    assert stylize_folder("in", "styles/x.png", "out", devices=jax.devices()[:1]).done == 4
    assert waited == {"computation": True, "writing": True}


def test_what_does_not_fit_is_done_piece_by_piece(folder, cheap, monkeypatch):
    """A folder does for a large picture what is done for it alone."""
    seen = []

    def paint_file(content, style, output, controls, *, loaded, limits, saving):
        own = [record["status"] for record in records() if record["output"] == Path(output).name]
        assert own == ["writing"] and not Path(output).exists()  # before there is a file; others may be done meanwhile
        seen.append((content, style, controls, saving.keep, saving.overwrite, limits.max_pixels, limits.tile))
        image.write(output, np.zeros((2, 3, 3), np.float32))
        return Painting(3, 2, ("done in tiles",))

    monkeypatch.setattr(workers, "streams", lambda content, *_: content == "in/p3.png")
    monkeypatch.setattr(workers, "paint_file", paint_file)
    report = stylize_folder("in", "styles/x.png", "out", alpha=0.5, max_pixels=10_000, devices=jax.devices()[:1])
    assert (report.done, report.notices, len(cheap.rendered)) == (4, 1, 3)
    ((content, style, controls, *others),) = seen
    assert content == "in/p3.png" and controls == Controls(alpha=0.5)
    assert others == [("styles/x.png",), True, 10_000, None]
    np.testing.assert_allclose(style, image.read("styles/x.png").pixels.mean())
    (found,) = [
        record for record in records() if record["output"] == "p3_stylized_x.png" and record["status"] == "done"
    ]
    assert (found["width"], found["height"], found["notices"]) == (3, 2, ["done in tiles"])
    assert image.read("out/p3_stylized_x.png").pixels.shape == (2, 3, 3)
    assert stylize_folder("in", "styles/x.png", "out", alpha=0.5).kept == 4


def test_tiles_may_be_asked_for(folder, cheap, monkeypatch):
    """For every picture; how large they are is no matter of the results, so a run may go on with others."""
    seen = []

    def paint_file(content, style, output, controls, *, loaded, limits, saving):
        seen.append((content, limits.tile, limits.scratch))
        image.write(output, np.zeros((2, 3, 3), np.float32))
        return Painting(3, 2)

    monkeypatch.setattr(workers, "paint_file", paint_file)
    assert stylize_folder("in", "styles/x.png", "out", tile=64, scratch=folder).done == 4 and cheap.rendered == []
    assert sorted(seen) == [(f"in/p{i}.png", 64, folder) for i in range(4)]
    assert stylize_folder("in", "styles/x.png", "out", tile=128).kept == 4
    assert stylize_folder("in", "styles/x.png", "out").kept == 4
    for options, words in (
        ({"tile": 60}, "tile: expected a positive multiple of 8 pixels, got 60"),
        ({"scratch": "nowhere"}, "nowhere: is no folder that temporary files can be written to"),
    ):
        with pytest.raises(ValueError, match=words):
            stylize_folder("in", "styles/x.png", "new", **options)
        assert not Path("new").exists()


def test_the_format_of_all_results(folder, cheap):
    """It is in their names: results in another format are other files, and both are kept."""
    noise("in/q.bmp")
    stylize_folder("in", "styles/x.png", "out")
    for format, suffix, kind in (("jpg", ".jpg", "JPEG"), ("TIFF", ".tif", "TIFF"), ("png", ".png", "PNG")):
        report = stylize_folder("in", "styles/x.png", "out", format=format)
        assert report.done == (1 if kind == "PNG" else 5)  # four were PNG already
        made = {name for name in contents() if name.endswith(suffix)}
        assert made == {f"{stem}_stylized_x{suffix}" for stem in ("p0", "p1", "p2", "p3", "q")}
        assert {image.read(Path("out", name)).format for name in made} == {kind}
        assert stylize_folder("in", "styles/x.png", "out", format=format).kept == 5
    assert stylize_folder("in", "styles/x.png", "out").kept == 5
    with pytest.raises(image.ImageError, match=r"^format: unknown format 'gif': expected one of BMP, JPEG"):
        stylize_folder("in", "styles/x.png", "new", format="gif")
    assert not Path("new").exists()


def test_is_batch(folder):
    assert not is_batch(["in/p0.png"], ["styles/x.png", "styles/y.png"]) and not is_batch(["missing"], ["styles/x.png"])
    assert is_batch(["in/p0.png", "in/p1.png"], ["styles/x.png"]) and is_batch(["in"], ["styles/x.png"])
    assert is_batch(["in/p0.png"], ["styles"]) and is_batch(["in/*.png"], ["styles/x.png"])
    assert is_batch(["in/p0.png"], ["styles/x.png"], "zip")


# ---- what cannot be made -----------------------------------------------------------------------------------


def test_broken_pictures_do_not_stop_the_others(folder, cheap):
    Path("in/p1.png").write_bytes(Path("in/p3.png").read_bytes()[:200])
    Path("in/p2.png").write_text("no picture")
    report = stylize_folder("in", "styles", "out")
    assert report.done == 4 and len(report.failed) == 4
    assert {failure.source for failure in report.failed} == {"in/p1.png", "in/p2.png"}
    assert all(failure.error.startswith(f"{failure.source}: ") for failure in report.failed)
    assert not any("\n" in failure.error for failure in report.failed)
    failed = [record for record in records() if record["status"] == "failed"]
    assert {record["output"] for record in failed} == {failure.output for failure in report.failed}
    assert {record["error"] for record in failed} == {failure.error for failure in report.failed}
    noise("in/p1.png")  # mended
    report = stylize_folder("in", "styles", "out")
    assert (report.done, report.kept, len(report.failed)) == (2, 4, 2)


def test_a_broken_style_is_read_once(folder, cheap, monkeypatch):
    Path("styles/x.png").write_text("no picture")
    read = []
    plain = image.read
    monkeypatch.setattr(image, "read", lambda path, **options: read.append(path) or plain(path, **options))
    report = stylize_folder("in", "styles", "out")
    assert report.done == 4 and len(report.failed) == 4 and read.count("styles/x.png") == 1
    assert all(failure.error.startswith("styles/x.png: ") for failure in report.failed)


def test_the_only_style_or_a_map_being_broken_is_found_before_any_work(folder, cheap):
    Path("broken.png").write_text("no picture")
    for styles, options in (("broken.png", {}), ("styles/x.png", {"alpha_map": "broken.png"})):
        with pytest.raises(jaxstyle.ImageError, match=r"^broken\.png: cannot be read"):
            stylize_folder("in", styles, "out", **options)
        assert not Path("out").exists() and cheap.rendered == []


@pytest.mark.parametrize("error", [MemoryError(), RuntimeError("RESOURCE_EXHAUSTED: Out of memory\nallocating")])
def test_a_device_without_memory_is_a_failure(folder, cheap, error):
    def before(picture):
        if picture.pixels.shape[:2] == (40, 20):
            raise error

    cheap.before = before
    report = stylize_folder("in", "styles/x.png", "out")
    (failure,) = report.failed
    assert failure.source == "in/p3.png" and "out of memory" in failure.error and report.done == 3


def test_a_mistake_in_the_program_is_not_swallowed(folder, cheap):
    def before(picture):
        raise RuntimeError("a mistake")

    cheap.before = before
    with pytest.raises(RuntimeError, match="a mistake"):
        stylize_folder("in", "styles/x.png", "out")
    cheap.before = lambda picture: None
    assert stylize_folder("in", "styles/x.png", "out").done == 4  # and the folder is free again


def test_a_full_disk_stops_the_run(folder, cheap, monkeypatch):
    plain, count = image.write, 0

    def write(target, *args, **options):
        nonlocal count
        count += 1
        if count > 2:
            raise image.ImageError(str(target), "cannot be written: no space left on device") from OSError(
                errno.ENOSPC, os.strerror(errno.ENOSPC)
            )
        return plain(target, *args, **options)

    monkeypatch.setattr(image, "write", write)
    for i in range(20):
        noise_bytes = Path("in/p0.png").read_bytes()
        Path(f"in/more{i}.png").write_bytes(noise_bytes)
    report = stylize_folder("in", "styles/x.png", "out", devices=jax.devices()[:1])
    assert report.done == 2 and report.failed == () and len(cheap.rendered) < 10
    assert report.stopped.endswith("cannot be written: no space left on device")
    monkeypatch.undo()


def test_a_manifest_that_cannot_grow_stops_the_run(folder, cheap, monkeypatch):
    plain = Journal.append

    def append(self, record):
        if record["status"] == "done" and "p2" in record["output"]:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        plain(self, record)

    monkeypatch.setattr(Journal, "append", append)
    report = stylize_folder("in", "styles/x.png", "out")
    assert report.stopped == f"out/{manifest.NAME}: cannot be written: no space left on device"
    monkeypatch.setattr(Journal, "append", plain)
    report = stylize_folder("in", "styles/x.png", "out")  # what was written but not recorded is ours all the same
    assert report.done + report.kept == 4 and report.done >= 1


@pytest.mark.parametrize("after", [0, 2, 4])
@pytest.mark.parametrize("again", [False, True])
def test_a_folder_removed_during_the_run_is_not_made_again(folder, cheap, after, again):
    """Before the first result, between two, or after the last: what is gone is not called done."""
    count = []

    def progress(told):
        count.append(told)
        if told.done == after and Path("out").exists() and not any(Path().glob("moved*")):
            Path("out").rename("moved")
            if again:
                Path("out").mkdir()

    report = stylize_folder("in", "styles/x.png", "out", devices=jax.devices()[:1], progress=progress)
    assert report.stopped is not None and report.stopped.startswith("out: was removed or replaced while")
    assert "\n" not in report.stopped and (list(Path("out").iterdir()) if again else Path("out").exists()) in (
        [],
        False,
    )
    report = stylize_folder("in", "styles/x.png", "out")
    assert (report.done, report.kept, report.stopped) == (4, 0, None)


def test_a_result_removed_or_cut_off_during_the_run_is_not_called_done(folder, cheap):
    def progress(told):
        if told.done == 4:
            Path("out/p0_stylized_x.png").unlink()
            Path("out/p1_stylized_x.png").write_bytes(b"")

    report = stylize_folder("in", "styles/x.png", "out", progress=progress)
    assert report.done == 2 and {failure.source for failure in report.failed} == {"in/p0.png", "in/p1.png"}
    assert all("was removed or changed while" in failure.error for failure in report.failed)
    report = stylize_folder("in", "styles/x.png", "out")
    assert (report.done, report.kept, report.failed) == (2, 2, ())


def test_a_result_cut_off_afterwards_is_made_again(folder, cheap):
    stylize_folder("in", "styles/x.png", "out")
    whole = contents()
    os.truncate("out/p2_stylized_x.png", 0)
    report = stylize_folder("in", "styles/x.png", "out")
    assert (report.done, report.kept) == (1, 3) and contents() == whole


def test_links_to_themselves_pipes_and_devices_are_failures(folder, cheap):
    """None of them stops the others, and nobody waits for them."""
    Path("in/self.png").symlink_to("self.png")
    Path("in/zero.png").symlink_to("/dev/zero")
    os.mkfifo("in/pipe.png")
    Path("in/to_pipe.png").symlink_to("pipe.png")
    Path("in/loop").symlink_to("loop")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind("in/socket.png")
        report = stylize_folder("in", "styles/x.png", "out", recursive=True)
    words = {
        "in/self.png": "too many levels of symbolic links",
        "in/zero.png": "is a device, not a picture file",
        "in/pipe.png": "is a named pipe, not a picture file",
        "in/to_pipe.png": "is a named pipe, not a picture file",
        "in/socket.png": "is a socket, not a picture file",
    }
    assert {f.source: f.error for f in report.failed} == {name: f"{name}: {why}" for name, why in words.items()}
    assert report.done == 5
    report = stylize_folder("in/p0.png", ["in/pipe.png", "styles"], "more", pair="product")
    assert report.done == 2 and [failure.error for failure in report.failed] == [
        "in/pipe.png: is a named pipe, not a picture file"
    ]


def test_a_folder_that_cannot_be_used(folder, cheap):
    Path("file").touch()
    for output in ("file", "file/under", "out.png", "/proc/jaxstyle"):
        with pytest.raises(BatchError, match=f"^{output}: "):
            stylize_folder("in", "styles/x.png", output)
    with pytest.raises(BatchError, match=r"^output: standard output takes a single picture"):
        stylize_folder("in", "styles/x.png", "-")
    assert cheap.rendered == [] and cheap.encoded == 0


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_read_only_folder(folder, cheap):
    Path("out").mkdir(mode=0o500)
    with pytest.raises(JournalError, match="cannot be written: permission denied"):
        stylize_folder("in", "styles/x.png", "out")


def test_two_runs_do_not_share_a_folder(folder, cheap):
    started, go_on = threading.Event(), threading.Event()
    cheap.before = lambda picture: started.set() or go_on.wait(10)
    first = threading.Thread(target=stylize_folder, args=("in", "styles/x.png", "out"))
    first.start()
    assert started.wait(10)
    with pytest.raises(JournalError, match=r"^out: another process is writing its results there$"):
        stylize_folder("in", "styles/y.png", "out")
    go_on.set()
    first.join()
    assert contents().keys() == {f"p{i}_stylized_x.png" for i in range(4)}


@pytest.mark.parametrize(
    ("arguments", "options", "words"),
    [
        (("nowhere", "styles/x.png"), {}, "nowhere: no such file or folder"),
        (("in/*.gif", "styles/x.png"), {}, r"in/\*.gif: matches no picture"),
        (("in", ["styles/x.png", "gone.png"]), {}, "gone.png: no such file or folder"),
        (("in/p0.png", "styles/x.png"), {"recursive": True}, "recursive: there is no folder to descend into"),
        (("in", "styles"), {"weights": (1, 2)}, "weights: 2 are for several styles to be mixed"),
        (("in", ["styles/x.png", "styles/y.png"]), {"weights": (1, 2, 3)}, "weights: expected 2, one per style, got 3"),
        (("in", "styles"), {"pair": "zip"}, "pair: zip needs as many styles as contents, found 4 contents and 2"),
        (("in", "styles/x.png"), {"alpha": 2}, "alpha: expected a number in"),
        (("in", "styles"), {"pair": "random", "seed": -1}, "seed: expected a whole number of at least 0, got -1"),
    ],
)
def test_mistakes_are_found_before_any_work(folder, cheap, arguments, options, words):
    with pytest.raises(ValueError, match=words):
        stylize_folder(*arguments, "out", **options)
    assert not Path("out").exists()


@pytest.mark.parametrize("name", ["bits", "styles_per_image", "colour"])
def test_an_option_that_there_is_not(folder, cheap, name):
    with pytest.raises(TypeError, match=f"^unexpected keyword argument '{name}'$"):
        stylize_folder("in", "styles/x.png", "out", **{name: 1})
    assert not Path("out").exists()


def test_a_model_that_cannot_mix(folder, cheap, monkeypatch):
    model = methods.loaded(adain.Model({}, {"place": jax.numpy.zeros(1)}, fusion="concat"))
    monkeypatch.setattr(batch, "load_model", lambda name: model)
    with pytest.raises(ValueError, match="style: this model takes one style, got 2"):
        stylize_folder("in", ["styles/x.png", "styles/y.png"], "out")


# ---- again -------------------------------------------------------------------------------------------------


def test_again_nothing_is_done(folder, cheap):
    stylize_folder("in", "styles", "out")
    before, size = contents(), Path("out", manifest.NAME).stat().st_size
    times = {path: path.stat().st_mtime_ns for path in Path("out").iterdir()}
    cheap.rendered.clear()
    report = stylize_folder("in", "styles", "out")
    assert (report.done, report.kept, report.pictures_per_second) == (0, 8, 0) and cheap.rendered == []
    assert contents() == before and Path("out", manifest.NAME).stat().st_size == size
    assert {path: path.stat().st_mtime_ns for path in Path("out").iterdir()} == times


def test_new_pictures_are_added(folder, cheap):
    stylize_folder("in", "styles/x.png", "out")
    noise("in/new.png")
    report = stylize_folder("in", "styles/x.png", "out")
    assert (report.done, report.kept) == (1, 4)


def test_a_changed_picture_is_made_anew(folder, cheap):
    stylize_folder("in", "styles/x.png", "out")
    before = contents()
    noise("in/p3.png", 40, 20)
    report = stylize_folder("in", "styles/x.png", "out")
    assert (report.done, report.kept) == (1, 3)
    assert {name for name, data in contents().items() if before[name] != data} == {"p3_stylized_x.png"}


def test_other_controls_are_refused_or_replace(folder, cheap):
    stylize_folder("in", "styles/x.png", "out")
    before = contents()
    with pytest.raises(BatchError, match=r"out/p0_stylized_x\.png: was made with alpha = 1\.0, not 0\.5"):
        stylize_folder("in", "styles/x.png", "out", alpha=0.5)
    assert contents() == before
    assert stylize_folder("in", "styles/x.png", "out", alpha=0.5, overwrite=True).done == 4
    assert all(data != before[name] for name, data in contents().items() if name != "p2_stylized_x.png")
    assert stylize_folder("in", "styles/x.png", "out", alpha=0.5, overwrite=True).kept == 4  # done, not done again


def test_results_inside_the_folder_are_no_pictures(folder, cheap):
    for output in ("in/out", "in"):
        for _ in range(3):
            report = stylize_folder("in", "styles/x.png", output, recursive=True)
            assert (report.pictures, report.failed) == (5, ())
        assert report.kept == 5
    (Path("in/p0_stylized_x.png")).unlink()
    with Journal(Path("in", manifest.NAME)) as file:  # as if killed after writing, before that was on record
        file.append({"output": "p0_stylized_x.png", "status": "writing"})
    noise("in/p0_stylized_x.png")
    assert stylize_folder("in", "styles/x.png", "in", recursive=True).done == 1


def test_leftovers_of_a_killed_run_go(folder, cheap):
    for name in ("out/.jaxstyle-00.tmp", "out/sub/.jaxstyle-11.tmp"):
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        Path(name).touch()
    stylize_folder("in", "styles/x.png", "out", recursive=True)
    assert contents().keys() == {f"p{i}_stylized_x.png" for i in range(4)} | {"sub/p0_stylized_x.png"}


def test_any_list_of_jobs(folder, cheap):
    """What other ways to choose pictures build on: jobs with names, controls and a manifest of their own."""
    soft = Controls(alpha=0.5)
    jobs = [
        Job("in/p0.png", ("styles/x.png",), "train/a.png", Controls()),
        Job("in/p0.png", ("styles/x.png",), "train/b.png", soft),
        Job("in/p1.png", ("styles/x.png", "styles/y.png"), "test/c.png", soft),
    ]
    name = "jaxstyle-manifest-1-of-2.jsonl"
    assert batch.run(jobs[:2], "out", seed=5, name=name).done == 2
    assert batch.run(jobs, "out", seed=5, name=name).done == 1
    found = [record for record in journal.read(f"out/{name}") if record["status"] == "done"]
    assert [(r["output"], r["controls"]["alpha"], r["seed"]) for r in found][2:] == [("test/c.png", 0.5, 5)]


# ---- stopped -----------------------------------------------------------------------------------------------


RUN = """
import json, os, signal, sys, time
import jax, numpy as np
from jaxstyle import image, methods
from jaxstyle.folders import folder, workers
from jaxstyle.methods import adain

def render(picture, looks, controls, maps, model, *, style=None):
    time.sleep(0.02)
    return image.Picture(picture.pixels / 2 + style / 2)

signal.signal(signal.SIGINT, signal.default_int_handler)  # processes in the background ignore it
workers.render = render
workers.encode_styles = lambda looks, *_: np.float32(looks[0].pixels.mean())
folder.load_model = lambda name: methods.loaded(adain.Model({}, {}))
print("ready", flush=True)
try:
    report = folder.stylize_folder("in", "styles", sys.argv[1], recursive=True)
    print(json.dumps([report.done, report.kept, len(report.failed)]))
except KeyboardInterrupt as error:
    print(error, flush=True)
    os._exit(130)
"""


def start(output):
    process = subprocess.Popen(
        [sys.executable, "-c", RUN, output],
        stdout=subprocess.PIPE,
        text=True,
        env=os.environ | {"PYTHONPATH": str(Path(jaxstyle.__file__).parents[1])},
    )
    assert process.stdout.readline() == "ready\n"
    return process


@pytest.mark.slow
def test_killed_five_times_nothing_is_lost_and_nothing_done_twice(folder):
    for i in range(55):
        noise(f"in/more{i:02}.png", 90, 90)  # some milliseconds to be written
    Path("in/more20.png").write_text("broken")
    pictures = 60 * 2
    draw = random.Random(0)
    for kill in range(5):
        with start("out") as process:
            while len(list(Path("out").glob("**/*.png"))) < (kill + 1) * pictures // 8 and process.poll() is None:
                time.sleep(0.005)
            time.sleep(draw.random() * 0.05)
            process.kill()
        assert process.returncode == -signal.SIGKILL
    with start("out") as process:
        done, kept, failed = json.loads(process.communicate()[0])
    assert (done + kept, failed) == (pictures - 2, 2) and 0 < done < pictures / 2
    with start("whole") as process:
        assert json.loads(process.communicate()[0]) == [pictures - 2, 0, 2]
    assert contents("out") == contents("whole")  # byte for byte, and no temporary file
    finished = [record["output"] for record in records() if record["status"] == "done"]
    assert len(finished) == len(set(finished)) == pictures - 2


@pytest.mark.slow
def test_interrupted_it_can_go_on(folder):
    for i in range(55):
        noise(f"in/more{i:02}.png", 90, 90)
    with start("out") as process:
        while len(list(Path("out").glob("**/*.png"))) < 20:
            time.sleep(0.005)
        process.send_signal(signal.SIGINT)
        said = process.communicate()[0]
    assert process.returncode == 130
    done = [record["output"] for record in records() if record["status"] == "done"]
    how, number, rest = said.split(" ", 2)
    assert how == "interrupted:" and rest == "of 120 pictures are done, the same command does the rest\n"
    assert 0 < int(number) <= len(done)
    assert contents().keys() == set(done)  # nothing half done, nothing unrecorded
    with start("out") as process:
        assert json.loads(process.communicate()[0]) == [120 - len(done), len(done), 0]


# ---- the method itself -------------------------------------------------------------------------------------


@pytest.mark.slow
def test_alone_and_in_a_folder_and_on_any_device(folder, monkeypatch):
    """The same pixels."""
    monkeypatch.setattr(picture, "STYLE_SIZE", 16)
    for i, size in enumerate([(17, 30), (32, 20), (25, 25), (18, 17)]):
        noise(f"few/p{i}.png", *size)
    for count in (1, 2):
        report = stylize_folder("few", "styles/x.png", f"on{count}", alpha=0.8, devices=jax.devices()[:count])
        assert report.done == 4
    for name in contents("on1"):
        alone = jaxstyle.stylize(Path("few", name.replace("_stylized_x", "")), "styles/x.png", alpha=0.8)
        for count in (1, 2):
            found = np.rint(image.read(Path(f"on{count}", name)).pixels * 255).astype(np.int32)
            assert np.abs(found - np.asarray(alone, np.int32)).max() <= 1
