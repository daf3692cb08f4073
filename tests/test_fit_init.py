"""Fits that start from a conditioned picture: the photo stays, the style follows, files and interruptions."""

import dataclasses
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxstyle import adain, image
from jaxstyle.cli import main
from jaxstyle.methods import generalizable_inr as ginr
from jaxstyle.methods import inr
from jaxstyle.methods.generalizable_inr import fitted
from jaxstyle.methods.inr import loop
from jaxstyle.methods.inr.schedule import Enlarge, Refine, Regress, Schedule
from jaxstyle.painting import conditioned
from jaxstyle.painting import fit_file as module
from jaxstyle.painting.fit import fit
from jaxstyle.painting.fit_file import fit_file
from jaxstyle.painting.rendering import render_file
from tests.conditioned import field_of

SMALL = ginr.Config(tokens=4, width=16, depth=1, heads=2, weight_tokens=3, context=4, features=8, hidden=8)
SIDE = 16


@pytest.fixture(autouse=True)
def _setting(monkeypatch, tmp_path):
    """Two pictures in the current folder, a start that needs no network, and every step is kept."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("JAXSTYLE_CACHE_DIR", "off")
    monkeypatch.setattr(module, "KEEP_EVERY", 0.0)
    for number, name in enumerate(("photo.png", "painting.png")):
        image.write(name, np.random.default_rng(number).random((SIDE, SIDE, 3), np.float32))


@pytest.fixture
def start(monkeypatch):
    """The start of every fit, whatever the network."""
    photo, painting = (np.random.default_rng(k).random((SIDE, SIDE, 3), np.float32) for k in (0, 1))
    field = field_of(photo, painting)
    monkeypatch.setattr(conditioned, "start", lambda init, pictures: fitted.start(field))
    monkeypatch.setattr(module, "_request", lambda *arguments: {})  # it looks at the file of the network
    return field


def made(output="out.safetensors", **options):
    defaults = {"init": "generalizable", "size": SIDE, "steps": 4}
    return fit_file("photo.png", "painting.png", output, **{**defaults, **options})


def shown(picture, alpha):
    return np.asarray(inr.render_image(picture, (32, 32), alpha))


def test_the_parts_of_a_start_are_the_picture(start):
    whole = fitted.start(start)
    jax.tree.map(np.testing.assert_array_equal, whole.picture, start)
    np.testing.assert_array_equal(shown(whole, 0.0), shown(start, 0.0))
    for alpha in (0.4, np.random.default_rng(0).random((32, 32), np.float32)):
        np.testing.assert_allclose(shown(whole, alpha), shown(start, alpha), atol=1e-6)
    at = np.random.default_rng(1).uniform(-1, 1, (7, 2))
    np.testing.assert_allclose(inr.render(whole, at, 0.3), inr.render(start, at, 0.3), atol=1e-6)
    pointers = [leaf.unsafe_buffer_pointer() for leaf in jax.tree.leaves(whole)]
    assert len(set(pointers)) == len(pointers)  # a step may overwrite them


@pytest.mark.parametrize("number", range(len(fitted.COARSE)))
def test_what_is_added_of_fewer_control_points_is_enlarged(start, number):
    """A grid of one value moves the whole picture by it; a level is a part of the picture, not of the photo."""
    whole = fitted.start(start)
    levels = list(whole.network["coarse"])
    levels[number] = levels[number]._replace(luma=levels[number].luma + 0.1)
    moved = dataclasses.replace(whole, network={**whole.network, "coarse": tuple(levels)})
    np.testing.assert_allclose(moved.picture.styled.luma, start.styled.luma + 0.1, atol=1e-6)
    np.testing.assert_array_equal(moved.picture.styled.chroma, start.styled.chroma)
    np.testing.assert_array_equal(shown(moved, 0.0), shown(start, 0.0))
    assert [level.luma.shape[0] for level in whole.network["coarse"]] == [
        start.styled.luma.shape[0] // times for times in fitted.COARSE
    ]


def test_control_points_in_between_are_on_lines():
    """Of grids of random values, for sides that are no whole multiples of theirs: NumPy's interpolation, both axes."""
    field = field_of(*np.random.default_rng(0).random((2, 24, 40, 3), np.float32))
    whole = fitted.start(field)
    level = whole.network["coarse"][2]  # 3 x 5 of brightness, 1 x 2 of colour, for 24 x 40 and 12 x 20
    rng = np.random.default_rng(1)
    given = [rng.random(leaf.shape, np.float32) for leaf in level]
    coarse = (*whole.network["coarse"][:2], type(level)(*map(jnp.asarray, given)), whole.network["coarse"][3])
    moved = dataclasses.replace(whole, network={**whole.network, "coarse": coarse}).picture.styled
    for found, before, grid in zip(moved, field.styled, given, strict=True):
        expected = np.asarray(grid, np.float64)
        for axis, count in enumerate(found.shape[:2]):
            n = expected.shape[axis]
            at = (np.arange(count) + 0.5) * n / count - 0.5
            expected = np.apply_along_axis(lambda line, at=at, n=n: np.interp(at, np.arange(n), line), axis, expected)
        np.testing.assert_allclose(found - before, expected, atol=2e-6)


@pytest.mark.parametrize("side", [(8, 40), (16, 8)])
def test_small_pictures_have_coarse_grids_too(side):
    whole = fitted.start(field_of(*np.random.default_rng(0).random((2, *side, 3), np.float32)))
    assert all(min(leaf.shape) >= 1 for leaf in jax.tree.leaves(whole.network))
    jax.tree.map(np.testing.assert_array_equal, whole.picture.styled, whole.field.styled)


def test_degree_0_stays_bit_for_bit_and_the_objective_falls(start):
    loss = inr.Loss(sampling="fixed", fixed=0.3)
    schedule = Schedule((Refine(8, lr=1e-2),), loss=loss, size=SIDE)
    encoder, _ = inr.load_encoder("vgg16", loss)
    pictures = [np.random.default_rng(k).random((SIDE, SIDE, 3), np.float32) for k in (0, 1)]
    told = []
    found = fit(*pictures, schedule, init="generalizable", callback=lambda n, terms: told.append(float(terms["loss"])))
    assert isinstance(found, ginr.Field) and found.size == start.size
    np.testing.assert_array_equal(shown(found, 0.0), shown(start, 0.0))
    assert np.abs(shown(found, 1.0) - shown(start, 1.0)).max() > 0.01
    assert len(told) == 8 and told[-1] < 0.8 * told[0]
    data = inr.targets(encoder, *pictures, loss)
    before, after = (float(inr.objective(p, encoder, data, 0.7, loss)[0]) for p in (start, found))
    assert before == pytest.approx(told[0], rel=1e-4) and after < told[-1]
    for name in ("content", "own", "target", "shared"):
        jax.tree.map(np.testing.assert_array_equal, getattr(found, name), getattr(start, name))


def test_a_file_is_the_fit_in_memory_and_is_rendered(start):
    report = made(seed=3, strip="strip.png")
    found = ginr.load_picture("out.safetensors")
    wanted = fit("photo.png", "painting.png", init="generalizable", size=SIDE, steps=4, seed=3)
    jax.tree.map(np.testing.assert_array_equal, found, wanted)
    assert (report.preset, report.steps, report.kept) == ("generalizable", 4, 0)
    render_file("out.safetensors", "out.png", (20, 20), 1.0)
    pixels = image.read("out.png").pixels
    np.testing.assert_allclose(pixels, inr.render_image(found, (20, 20), 1.0), atol=0.51 / 255)
    assert image.read("strip.png").pixels.shape[0] == SIDE + 8


def test_interrupted_it_goes_on_to_the_same_bits(start):
    made("whole.safetensors")

    def interrupt(told):
        if told.kept + told.done > 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt, match="2 of 4 steps are kept"):
        made(progress=interrupt)
    assert not Path("out.safetensors").exists()
    assert made().kept == 2
    assert Path("out.safetensors").read_bytes() == Path("whole.safetensors").read_bytes()


@pytest.mark.parametrize(
    ("preset", "message"),
    [
        ("zoom", "preset: expected none together with init, which has its own stages, got 'zoom'"),
        (5, "preset: expected a Schedule, or none, together with init, got 5"),
        (Schedule((Regress(3),)), "preset: expected stages Refine without anchor"),
        (Schedule((Refine(3, anchor=1.0),)), "preset: expected stages Refine without anchor"),
        (Schedule((Refine(3, gradient_every=2),)), "preset: expected stages Refine without anchor"),
        (Schedule((Enlarge(3),), inr.Spec(detail=2)), "preset: expected stages Refine without anchor"),
    ],
)
def test_presets_are_of_fits_that_start_afresh(preset, message):
    with pytest.raises(ValueError, match=message):
        fit("photo.png", "painting.png", preset, init="generalizable")


@pytest.mark.parametrize("init", ["", ".", 5, True, b"generalizable", ["generalizable"], np.zeros(3)])
def test_a_start_is_a_word_or_a_file(init):
    with pytest.raises(ValueError, match=r"^init: expected 'generalizable' or a file of weights, got "):
        fit("photo.png", "painting.png", init=init)


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        ("--init generalizable --preset fast", "preset: expected none together with init"),
        ("--init nothing.safetensors", "--init: expected 'generalizable' or a file of weights, got 'nothing.saf"),
        ("--init generalisable", "--init: expected 'generalizable' or a file of weights, got 'generalisable'"),
        ("--init adain_vgg16", "adain_vgg16: holds weights of kind 'adain'; needed is a model of generalizable_inr"),
        ("--init photo.png --overwrite", "photo.png"),
    ],
)
def test_mistakes_are_one_line_and_leave_nothing(capsys, flags, message):
    words = f"fit photo.png --style painting.png -o out.safetensors --size 16 {flags}".split()
    assert main.main(words) == 2
    error = capsys.readouterr().err.strip()
    assert message in error and len(error.splitlines()) == 1
    assert sorted(path.name for path in Path().iterdir()) == ["painting.png", "photo.png"]


@pytest.mark.slow
def test_weights_of_ones_own_condition_the_start(capsys):
    model = jax.jit(ginr.from_adain, static_argnames="config")(jax.random.key(0), adain.load(), config=SMALL)
    ginr.save("own.safetensors", model)
    files = ["photo.png", "--style", "painting.png", "-o", "out.safetensors"]
    assert main.main(["fit", *files, "--size", "32", "--steps", "2", "--init", "own.safetensors"]) == 0
    read = {name: image.read(f"{name}.png").pixels for name in ("photo", "painting")}
    photo, painting = (loop.resized(pixels, name, 32) for name, pixels in read.items())
    field = ginr.condition(model, photo, painting)
    found = ginr.load_picture("out.safetensors")
    np.testing.assert_allclose(shown(found, 0.0), shown(field, 0.0), atol=0.01)  # kernels are stored in float16
    assert found.size == field.size == (photo.shape[1], photo.shape[0])
