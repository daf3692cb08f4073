"""Fitting from files to a file, and the verb: the same fit as in memory, resumed bit for bit, mistakes in a line."""

import dataclasses
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import jax
import numpy as np
import pytest

from jaxstyle import image
from jaxstyle.cli import fit as verb
from jaxstyle.cli import main
from jaxstyle.methods import inr
from jaxstyle.methods.inr import loop
from jaxstyle.methods.inr import schedule as inr_schedule
from jaxstyle.methods.inr.schedule import Enlarge, Regress, Schedule
from jaxstyle.painting import fit_file as module
from jaxstyle.painting import unfinished
from jaxstyle.painting.fit import fit, render_command
from jaxstyle.painting.fit_file import fit_file
from jaxstyle.runtime.progress import Progress

ROOT = Path(__file__).parents[1]
SPEC = inr.Spec(octaves=2, latent=4, width=8, depth=2, skip=0, bottleneck=4)
TINY = Schedule((Regress(4, points=32), Regress(3, points=16)), SPEC, size=16)


@pytest.fixture(autouse=True)
def _setting(monkeypatch, tmp_path):
    """Two pictures in the current folder, a tiny preset, no cache of the user's, and every step is kept."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("JAXSTYLE_CACHE_DIR", "off")
    monkeypatch.setitem(inr_schedule.PRESETS, "preview", TINY)
    monkeypatch.setattr(module, "KEEP_EVERY", 0.0)
    monkeypatch.setattr(module, "repainted", lambda photo, painting, size: half(photo, size))  # a model compiles long
    for number, name in enumerate(("photo.png", "painting.png")):
        image.write(name, np.random.default_rng(number).random((20, 30, 3), np.float32))


def half(photo, size):
    return loop.resized(photo, "photo", size) / 2


def made(output="out.safetensors", **options):
    return fit_file("photo.png", "painting.png", output, "preview", **options)


def names():
    return sorted(path.name for path in Path().iterdir())


def interrupt_after(steps):
    """A callback that is interrupted once so many steps are done, and their state kept."""

    def progress(told: Progress):
        if told.kept + told.done > steps:
            raise KeyboardInterrupt

    return progress


def test_it_is_the_fit_in_memory():
    told = []
    report = made(strip="strip.png", seed=3, progress=told.append)
    photo = image.read("photo.png").pixels
    wanted = fit("photo.png", "painting.png", TINY, seed=3, stylized=half(photo, 16))
    found = inr.load("out.safetensors")
    assert jax.tree.structure(found) == jax.tree.structure(wanted)
    jax.tree.map(np.testing.assert_array_equal, found, wanted)
    assert (report.width, report.height, report.steps, report.kept) == (20, 16, 7, 0)
    assert told == [Progress(7, 0, done, 0) for done in range(1, 8)]
    shown = np.asarray(inr.render_image(found, None, 0.0))
    error = np.square(shown - loop.resized(photo, "", 16), dtype=np.float64).mean()
    assert report.psnr == pytest.approx(-10 * np.log10(error), abs=0.006)
    strip = image.read("strip.png").pixels
    assert strip.shape == (16 + 2 * 4, 5 * 20 + 6 * 4, 3)
    np.testing.assert_allclose(
        strip[4:20, 4 + 2 * 24 : 24 + 2 * 24], inr.render_image(found, None, 0.5), atol=0.51 / 255
    )
    assert names() == ["out.safetensors", "painting.png", "photo.png", "strip.png"]


@pytest.fixture
def enlarging(monkeypatch):
    """A tiny preset that looks at the painting's own pixels."""
    stage = Enlarge(3, windows=1, side=16, vectors=16)
    schedule = Schedule((Regress(4, points=32), stage), dataclasses.replace(SPEC, detail=2), size=16)
    monkeypatch.setitem(inr_schedule.PRESETS, "preview", schedule)


def test_interrupted_while_it_enlarges_it_goes_on_to_the_same_bits(enlarging):
    made("whole.safetensors")
    with pytest.raises(KeyboardInterrupt):
        made(progress=interrupt_after(5))
    assert made().kept == 5
    assert Path("out.safetensors").read_bytes() == Path("whole.safetensors").read_bytes()
    found = inr.load("out.safetensors")
    assert found.spec.detail == 2 and float(np.abs(found.network["detail"]["kernel"]).max()) > 0
    wanted = fit("photo.png", "painting.png", "preview", stylized=half(image.read("photo.png").pixels, 16))
    jax.tree.map(np.testing.assert_array_equal, found, wanted)


@pytest.mark.parametrize("steps", [1, 2, 4, 6])
def test_what_was_interrupted_goes_on_to_the_same_bits(steps):
    made("whole.safetensors")
    words = f"interrupted; {steps} of 7 steps are kept in out.safetensors.jaxstyle-part, and the same command goes on"
    with pytest.raises(KeyboardInterrupt, match=words):
        made(progress=interrupt_after(steps))
    assert "out.safetensors" not in names() and "out.safetensors.jaxstyle-part" in names()
    told = []
    report = made(progress=told.append)
    assert report.kept == steps and told[0] == Progress(7, steps, 1, 0) and len(told) == 7 - steps
    assert Path("out.safetensors").read_bytes() == Path("whole.safetensors").read_bytes()
    assert "out.safetensors.jaxstyle-part" not in names()


def test_a_torn_state_leaves_the_one_before(monkeypatch):
    made("whole.safetensors")
    with pytest.raises(KeyboardInterrupt):
        made(progress=interrupt_after(4))
    samples = Path("out.safetensors.jaxstyle-part/samples")
    data = bytearray(samples.read_bytes())
    data[len(data) // 2 + 5] ^= 1  # of the second place, where even steps are
    samples.write_bytes(data)
    assert made().kept == 3
    assert Path("out.safetensors").read_bytes() == Path("whole.safetensors").read_bytes()


def test_interrupted_before_anything_is_kept_it_leaves_nothing(monkeypatch):
    monkeypatch.setattr(module, "KEEP_EVERY", 1e9)
    before = names()
    with pytest.raises(KeyboardInterrupt) as error:
        made(progress=interrupt_after(3))
    assert str(error.value) == "" and names() == before


def test_killed_between_its_two_files_it_writes_both(monkeypatch):
    """The strip, which is there by then, is its own; one that somebody else put there is not replaced."""

    class Killed(BaseException):
        pass

    def kill(*given, **header):
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(inr, "save", kill)
        with pytest.raises(Killed):
            made(strip="strip.png")
    assert "strip.png" in names() and "out.safetensors" not in names()
    Path("other.png").write_bytes(Path("strip.png").read_bytes())
    with pytest.raises(image.ImageError, match=r"^other\.png: exists already"):
        made(strip="other.png")
    assert made(strip="strip.png").kept == 6
    assert names() == ["other.png", "out.safetensors", "painting.png", "photo.png", "strip.png"]


def test_the_photo_may_come_from_standard_input(monkeypatch):
    made("whole.safetensors")
    with open("photo.png", "rb") as stream:
        monkeypatch.setattr(sys, "stdin", type("Stdin", (), {"buffer": stream, "isatty": lambda self: False})())
        fit_file("-", "painting.png", "out.safetensors", "preview")
    assert Path("out.safetensors").read_bytes() == Path("whole.safetensors").read_bytes()


def test_another_request_does_not_go_on():
    with pytest.raises(KeyboardInterrupt):
        made(progress=interrupt_after(2))
    with pytest.raises(unfinished.UnfinishedError, match="begun with seed = 0, not 1"):
        made(seed=1)
    image.write("photo.png", np.zeros((20, 30, 3), np.float32), overwrite=True)
    with pytest.raises(unfinished.UnfinishedError, match="begun with content = "):
        made()
    assert made(overwrite=True).kept == 0


def test_a_term_that_is_not_finite_ends_it_and_leaves_nothing(monkeypatch):
    steps = loop.steps

    def bad(*given):
        for done, state, terms in steps(*given):
            yield done, state, terms if done < 3 else terms | {"loss": np.float32("nan")}

    monkeypatch.setattr(loop, "steps", bad)
    before = names()
    with pytest.raises(ArithmeticError, match="step 3: loss = nan"):
        made()
    assert names() == before
    assert (
        main.main(["fit", "photo.png", "--style", "painting.png", "-o", "out.safetensors", "--preset", "preview"]) == 1
    )


def test_a_full_disk_is_a_line_and_the_rest_is_kept(monkeypatch):
    write = unfinished.Unfinished.write

    def full(part, number, tile):
        if part.done == 2:
            raise OSError(28, "No space left on device")
        write(part, number, tile)

    with monkeypatch.context() as patch:
        patch.setattr(unfinished.Unfinished, "write", full)
        with pytest.raises(image.ImageError, match=r"^out\.safetensors: cannot be written: no space left on device$"):
            made()
    assert made().kept == 2


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        ("nowhere.png --style painting.png -o a.safetensors", "nowhere.png: no such file"),
        ("photo.png --style text.png -o a.safetensors", "text.png: "),
        ("photo.png --style old.safetensors -o a.safetensors", "old.safetensors: a fitted style has a model"),
        ("photo.png -o a.safetensors", "the following arguments are required: --style"),
        ("photo.png --style painting.png", "the following arguments are required: -o/--output"),
        ("photo.png --style painting.png -o a.png", "a.png: expected a name that ends in .safetensors"),
        ("photo.png --style painting.png -o old.safetensors", "old.safetensors: exists already"),
        ("photo.png --style painting.png -o none/a.safetensors", "none/a.safetensors: cannot be written: "),
        ("photo.png --style painting.png -o a.safetensors --strip photo.png --overwrite", "photo.png: is the source"),
        ("photo.png --style painting.png -o a.safetensors --strip a.safetensors", "a.safetensors: "),
        ("photo.png --style painting.png -o a.safetensors --strip a.gif", "a.gif: "),
        ("photo.png --style painting.png -o a.safetensors --strip text.png", "text.png: exists already"),
        ("photo.png --style painting.png -o a.safetensors --size 8", "--size: expected a whole number of at least 16"),
        ("photo.png --style painting.png -o a.safetensors --size 99999", "--size: expected at most 13377, got 99999"),
        ("photo.png --style painting.png -o a.safetensors --steps 0", "argument --steps: expected a positive whole"),
        ("photo.png --style painting.png -o a.safetensors --seed 4294967296", "--seed: expected a whole number from"),
        ("photo.png --style painting.png -o a.safetensors --preset slow", "argument --preset: invalid choice: 'slow'"),
        ("photo.png --style painting.png -o a.safetensors --vgg vgg19", "vgg19: no such weight file"),
        ("photo.png --style painting.png -o a.safetensors --vgg adain_vgg16", "holds weights of kind 'adain'"),
        ("photo.png --style painting.png -o a.safetensors --max-pixels 9", "photo.png: "),
    ],
)
def test_mistakes_are_one_line_and_leave_nothing(flags, message, capsys):
    Path("text.png").write_text("not a picture")
    Path("old.safetensors").write_text("old")
    before = names()
    try:
        code = main.main(["fit", *flags.split()])
    except SystemExit as error:
        code = error.code
    captured = capsys.readouterr()
    assert code == 2 and captured.err.count("\n") == 1 and message in captured.err, captured.err
    assert captured.out == "" and names() == before and Path("old.safetensors").read_text() == "old"


def test_the_verb_tells_what_it_did_and_what_comes_next(capsys):
    line = "fit photo.png --style painting.png -o out.safetensors --preset preview --strip strip.png"
    assert main.main(line.split()) == 0
    first, second = capsys.readouterr().out.splitlines()
    assert first.startswith("out.safetensors: fitted to 20 x 16 pixels in 7 steps, ") and " dB to the photo" in first
    assert second == "jaxstyle render out.safetensors -o out.png --size 1024x819 --alpha 0.5"
    assert main.main([*second.split()[1:]]) == 0 and image.read("out.png").pixels.shape == (819, 1024, 3)
    capsys.readouterr()
    assert main.main([*line.split(), "--overwrite", "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert (report["steps"], report["kept"], report["strip"], report["preset"]) == (7, 0, "strip.png", "preview")


def test_the_verb_has_every_preset_with_its_steps():
    assert set(verb.PRESETS) == set(inr_schedule.PRESETS)
    help_text = next(action.help for action in _actions() if action.dest == "steps")
    assert "360, 570, 1050 and 20000" in help_text and inr_schedule.PRESETS["zoom"].steps == 1050
    assert inr_schedule.PRESETS["fast"].steps == 570 and inr_schedule.PRESETS["paper"].steps == 20000
    assert render_command("a b.safetensors", (10, 20)).startswith("jaxstyle render 'a b.safetensors' -o out.png")


def _actions():
    top = main.parser()
    (verbs,) = (action for action in top._actions if isinstance(action.choices, dict))
    return verbs.choices["fit"]._actions


def test_an_unknown_option_is_named():
    with pytest.raises(TypeError, match="unexpected keyword argument 'sise'"):
        made(sise=3)


@pytest.mark.slow
def test_killed_and_given_again_it_goes_on(tmp_path):
    """kill -9 as soon as more is kept, twice: in the end the file of a run that was left alone."""
    code = """
import sys
from jaxstyle.cli import main
from jaxstyle.methods import inr
from jaxstyle.methods.inr import schedule
from jaxstyle.methods.inr.schedule import Regress, Schedule
from jaxstyle.painting import fit_file
fit_file.KEEP_EVERY = 0.0
fit_file.repainted = lambda photo, painting, size: fit_file.loop.resized(photo, "photo", size) / 2
spec = inr.Spec(octaves=2, latent=4, width=8, depth=2, skip=0, bottleneck=4)
schedule.PRESETS["preview"] = Schedule((Regress(3000, points=32),), spec, size=16)
sys.exit(main.main(["fit", "photo.png", "--style", "painting.png", "--preset", "preview", "--json", "-o", sys.argv[1]]))
"""
    environment = os.environ | {"PYTHONPATH": str(ROOT)}

    def start(name):
        return subprocess.Popen([sys.executable, "-c", code, name], env=environment, stdout=subprocess.PIPE, text=True)

    whole = start("whole.safetensors")
    whole.communicate(timeout=300)
    assert whole.returncode == 0
    journal, kills = Path("out.safetensors.jaxstyle-part/journal.jsonl"), 0
    while not Path("out.safetensors").exists():
        run, size = start("out.safetensors"), journal.stat().st_size if journal.exists() else 0
        while kills < 2 and run.poll() is None:
            time.sleep(0.01)
            if journal.exists() and journal.stat().st_size > size + 5000:
                run.send_signal(signal.SIGKILL)
                kills += 1
                break
        out, _ = run.communicate(timeout=300)
        assert run.returncode in (0, -signal.SIGKILL)
    assert kills == 2 and json.loads(out)["kept"] > 0
    assert Path("out.safetensors").read_bytes() == Path("whole.safetensors").read_bytes()
