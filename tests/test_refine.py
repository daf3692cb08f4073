"""Paintings that are refined: what the steps go down, windows, controls, and every front door."""

import json
from functools import partial
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxstyle
from jaxstyle import Controls, image, methods
from jaxstyle.cli.main import main
from jaxstyle.controls.degree import Maps
from jaxstyle.folders.kept import BatchError
from jaxstyle.image.windows import ArraySource
from jaxstyle.methods import adain, refine, style_kernel
from jaxstyle.methods.interface import Loaded, Objective, Window
from jaxstyle.nets.losses import structure_loss, style_loss
from jaxstyle.nets.stats import moments
from jaxstyle.painting import refine as loop
from jaxstyle.painting.paint import Job, paint
from jaxstyle.painting.picture import encode_styles, load_model, paint_source
from jaxstyle.painting.plan import plan_tiles, plan_whole
from jaxstyle.painting.shares import Shares
from jaxstyle.painting.stroke_size import Shelf
from tests import recolour

HEIGHT, WIDTH = 45, 62
CLOSE = 1 / 255


def features(model, pictures, size):
    """Layers of two sizes, whose features see neighbours; as cheap as can be."""
    x = recolour._blur(model, jnp.asarray(pictures), size)
    rough = recolour._blur(model, jnp.abs(jnp.asarray(pictures) - x), size)
    fine = recolour._pool(jnp.concatenate([x, rough], -1), 2)
    return {"fine": fine, "coarse": recolour._pool(jnp.concatenate([jnp.tanh(8 * x - 4), rough], -1), 4)}


OBJECTIVE = Objective(features, style=("fine", "coarse"), content="coarse", weight=1.0, bytes_per_pixel=64)
METHOD = recolour.METHOD._replace(objective=OBJECTIVE)


@pytest.fixture(scope="module")
def loaded():
    return Loaded(METHOD, recolour.init(), "recolour", "")


def photo(height=HEIGHT, width=WIDTH, seed=0):
    """Dark and flat at the left, bright and rough at the right: windows with statistics of their own would show."""
    rng, x = np.random.default_rng(seed), np.linspace(0, 1, width)[None, :, None]
    waves = np.sin(np.arange(height)[:, None, None] / 5 + 12 * x + np.arange(3))
    return np.clip(0.1 + 0.7 * x + x * (0.15 * waves + rng.normal(0, 0.1, (height, width, 3))), 0, 1).astype(np.float32)


def painting(seed=1, side=32):
    rng = np.random.default_rng(seed)
    return np.kron(rng.random((side // 4, side // 4, 3), np.float32), np.ones((4, 4, 1), np.float32))


def styles(loaded, *seeds):
    looks = [image.Picture(painting(seed), None) for seed in seeds]
    return encode_styles(looks, Controls(refine=1), loaded, 32)


def job(loaded, style, content, alpha=1.0, parts=None, tile=None):
    count, needs, extent = len(jax.tree.leaves(style)[0]), loaded.needs, content.shape[:2]
    plan = plan_whole(*extent, needs) if tile is None else plan_tiles(*extent, needs, tile)
    return Job(
        ArraySource(content),
        style.style,
        Shares(alpha, np.full(count, 1 / count) if parts is None else parts, extent, needs.stride),
        plan,
    )


def refined(loaded, style, content, steps=6, alpha=1.0, parts=None, **options):
    work = job(loaded, style, content, alpha, parts)
    painted = np.concatenate(list(paint(loaded, work)))
    return loop.refined(loaded, work, style.aim, painted, steps, **options)


def close(found, expected, atol=CLOSE):
    np.testing.assert_allclose(np.asarray(found), np.asarray(expected), atol=atol)


# ---- the objective -----------------------------------------------------------------------------------------


def plain(objective, model, pictures):
    """The objective as the losses have it, of painted, photo and style."""
    found, before, wanted = (
        objective.features(model, picture[None], np.int32(picture.shape[:2])) for picture in pictures
    )
    statistics = [{tap: moments(f[tap]) for tap in objective.style} for f in (wanted, before)]
    style = style_loss(found, statistics[0], relative=True, before=statistics[1])
    content = structure_loss(found[objective.content], before[objective.content])
    return content + objective.weight * style, content, style


def test_it_is_what_the_losses_say(loaded):
    content, style = photo(44, 60), styles(loaded, 1)
    work = job(loaded, style, content)
    painted = np.concatenate(list(paint(loaded, work)))
    found = loop.refined(loaded, work, style.aim, painted, 1).curve
    expected = jax.jit(partial(plain, OBJECTIVE))(loaded.model, (painted, content, painting(1)))
    close([found[name][0] for name in ("loss", "content", "style")], expected, 1e-4)


def test_it_falls(loaded):
    found = refined(loaded, styles(loaded, 1), photo(), 20)
    assert (np.diff(found.curve["loss"]) < 0.01).all()
    assert found.curve["loss"][-1] < 0.7 * found.curve["loss"][0]
    assert found.pixels.dtype == np.float32 and found.pixels.shape == (HEIGHT, WIDTH, 3)
    assert found.pixels.min() >= 0 and found.pixels.max() <= 1


def test_the_same_again(loaded):
    first, second = (refined(loaded, styles(loaded, 1), photo()) for _ in range(2))
    np.testing.assert_array_equal(first.pixels, second.pixels)


def test_mixtures(loaded):
    """One style twice is that style, parts of it add up, a style without a share has no influence."""
    content = photo()
    one, twice, two = styles(loaded, 1), styles(loaded, 1, 1), styles(loaded, 1, 2)
    alone = refined(loaded, one, content).pixels
    close(refined(loaded, twice, content).pixels, alone)
    close(
        refined(loaded, twice, content, parts=np.float32([0.25, 0.5])).pixels,
        refined(loaded, one, content, alpha=0.75).pixels,
    )
    close(refined(loaded, two, content, parts=np.float32([1, 0])).pixels, alone)
    assert np.abs(refined(loaded, two, content).pixels - alone).mean() > 2 / 255


@pytest.mark.parametrize("alpha", [1.0, 0.5])
def test_a_map_of_one_value_is_that_value(loaded, alpha):
    content, style = photo(), styles(loaded, 1)
    everywhere = np.full((HEIGHT, WIDTH), alpha, np.float32)
    close(refined(loaded, style, content, alpha=everywhere).pixels, refined(loaded, style, content, alpha=alpha).pixels)


def test_masks_have_statistics_of_their_own(loaded):
    """Left and right in two styles: each half comes nearer to its own style, and not to the other's."""
    content, style = photo(48, 64), styles(loaded, 1, 2)
    parts = np.zeros((48, 64, 2), np.float32)
    parts[:, :32, 0] = parts[:, 32:, 1] = 1
    work = job(loaded, style, content, parts=parts)
    painted = np.concatenate(list(paint(loaded, work)))
    found = loop.refined(loaded, work, style.aim, painted, 20).pixels

    def apart(picture, number):
        part = picture[:, :32] if number == 0 else picture[:, 32:]
        own = features(loaded.model, part[None], np.int32(part.shape[:2]))
        aim = style.aim["fine"]
        return sum(float(jnp.square(a[0] - b[number]).sum()) for a, b in zip(moments(own["fine"]), aim, strict=True))

    for number in range(2):
        assert apart(found, number) < 0.5 * apart(painted, number)


def test_flat_pictures_are_finite(loaded):
    content = np.full((24, 32, 3), 0.5, np.float32)
    assert np.isfinite(refined(loaded, styles(loaded, 1), content).pixels).all()
    assert np.isfinite(refined(loaded, styles(loaded, 1), content, alpha=0.0).pixels).all()


# ---- levels and windows ------------------------------------------------------------------------------------


def test_levels_add_up():
    state = refine.begin(photo()[None])
    close(refine.drawn(state.levels, HEIGHT, WIDTH)[0], photo(), 0)
    ones = [jnp.zeros_like(level) for level in state.levels[:-1]] + [jnp.ones_like(state.levels[-1])]
    close(refine.drawn(ones, HEIGHT, WIDTH)[0, 16:, 16:], np.ones((HEIGHT - 16, WIDTH - 16, 3)), 1e-6)
    ramp = jnp.arange(8.0)[None, :, None, None] * jnp.ones((1, 8, 1, 3))
    doubled = refine._doubled(ramp, 1)[0, 1:-1, 0, 0]
    close(doubled, np.arange(14) / 2 + 0.25, 1e-6)


def test_windows_have_the_gradient_of_the_whole(loaded, monkeypatch):
    content, style = photo(), styles(loaded, 1, 2)
    alpha = np.clip(photo(seed=3)[..., 0] * 2, 0, 1)
    work = job(loaded, style, content, alpha)
    painted = np.concatenate(list(paint(loaded, work)))
    found = []
    monkeypatch.setattr(loop, "_descend_pixels", lambda state, gradient, *_: (found.append(gradient), state)[1])
    loop.refined(loaded, work, style.aim, painted, 1, tile=16)

    plan = plan_tiles(HEIGHT, WIDTH, loaded.needs, 1024)
    whole = loop._Work(loaded, OBJECTIVE, work._replace(plan=plan), style.aim)
    (place,), (photos,) = whole._places, whole._photos
    window: Window = whole._window(place)

    def loss(pixels):
        sums = refine.measure(whole._judging, loaded.model, pixels, window, photos, whole._held)
        return refine.value(OBJECTIVE, sums, whole._held)[0]

    rows, columns = (
        np.pad(np.arange(n), (0, m - n), mode="symmetric") for n, m in zip((HEIGHT, WIDTH), plan.reach, strict=True)
    )
    expected = jax.jit(jax.grad(loss))(jnp.asarray(painted[np.ix_(rows, columns)][None]))
    np.testing.assert_allclose(found[0], expected, atol=2e-5 * float(jnp.abs(expected).max()) + 1e-9, rtol=2e-3)


@pytest.mark.parametrize("alpha", [1.0, "map"])
def test_tiles_equal_the_whole(loaded, alpha):
    content, style = photo(), styles(loaded, 1)
    degree = np.clip(photo(seed=3)[..., 0] * 2, 0, 1) if alpha == "map" else alpha
    whole = refined(loaded, style, content, alpha=degree)
    told = []
    tiles = refined(loaded, style, content, alpha=degree, tile=16, progress=lambda *step: told.append(step))
    close(tiles.curve["loss"], whole.curve["loss"], 1e-3)
    close(tiles.pixels, whole.pixels, 2 / 255)
    assert np.abs(tiles.pixels - whole.pixels).mean() < 0.1 / 255
    assert told == [(number, 6) for number in range(1, 7)]


# ---- controls ----------------------------------------------------------------------------------------------


def made(loaded, content, controls, maps=None):
    style = encode_styles([image.Picture(painting(), None)], controls, loaded, 32)
    with Shelf() as shelf:
        return np.concatenate(
            list(paint_source(ArraySource(content), style, controls, maps or Maps(), loaded, shelf=shelf))
        )


def test_no_steps_are_the_painting_itself(loaded):
    content = photo()
    np.testing.assert_array_equal(made(loaded, content, Controls(refine=0)), made(loaded, content, Controls()))


def test_degree_0_stays_the_photo(loaded):
    content = photo()
    np.testing.assert_array_equal(made(loaded, content, Controls(refine=2, alpha=0.0)), content)
    found = made(loaded, content, Controls(refine=2, gradient="left:0,right:1"))
    np.testing.assert_array_equal(found[:, 0], content[:, 0])
    assert np.abs(found - content)[:, -9:].mean() > 5 / 255


def test_places_without_a_mask_stay_the_photo(loaded):
    content, mask = photo(), np.zeros((HEIGHT, WIDTH), np.float32)
    mask[:, 31:] = 1
    controls = Controls(refine=2, mask=(mask,))
    found = made(loaded, content, controls, Maps(mask=(ArraySource(mask),)))
    np.testing.assert_array_equal(found[:, :31], content[:, :31])
    assert np.abs(found - content)[:, 40:].mean() > 5 / 255


@pytest.mark.parametrize(
    "fields", [{"style_size": 24}, {"preserve_color": "match"}, {"preserve_color": "luminance"}, {"size": 30}]
)
def test_with_other_controls(loaded, fields):
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(methods.METHODS, "recolour", METHOD)
        plain, found = (
            np.asarray(jaxstyle.stylize(photo(), painting(), model=loaded, refine=steps, **fields)) for steps in (0, 3)
        )
    assert plain.shape == found.shape and np.abs(plain.astype(int) - found).mean() > 0.5


# ---- front doors -------------------------------------------------------------------------------------------


@pytest.fixture
def files(tmp_path, monkeypatch):
    """Pictures and a weight file of the small method in the current folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(methods.METHODS, "recolour", METHOD)
    monkeypatch.setenv("JAXSTYLE_CACHE_DIR", "off")
    (tmp_path / "photos").mkdir()
    for number in range(2):
        image.write(f"photos/{number}.png", photo(seed=number))
    image.write("painting.png", painting())
    recolour.save("small.safetensors", recolour.init(), licence="none")
    yield ["--weights-file", "small.safetensors", "--json"]
    load_model.cache_clear()


@pytest.mark.slow
def test_commands(files, capsys):
    for line in (
        ["stylize", "photos/0.png", "--style", "painting.png", "-o", "one.png"],
        ["stylize", "photos/0.png", "--style", "painting.png", "-o", "tiles.png", "--tile", "16"],
        ["stylize", "photos", "--style", "painting.png", "-o", "many"],
        ["stylize-dataset", "photos", "set", "--styles", "painting.png"],
        ["sheet", "photos", "--styles", "painting.png", "--cell", "40", "-o", "sheet.png"],
    ):
        assert main([*line, *files, "--refine", "3"]) == 0, capsys.readouterr().err
        report = json.loads(capsys.readouterr().out)
        assert not report.get("failed") and report.get("controls", {"refine": 3})["refine"] == 3
    main(["stylize", "photos/0.png", "--style", "painting.png", "-o", "plain.png", *files])
    whole, tiles, many, plain = (
        image.read(name).pixels for name in ("one.png", "tiles.png", "many/0_stylized_painting.png", "plain.png")
    )
    close(tiles, whole, 3 / 255)
    np.testing.assert_array_equal(many, whole)
    assert np.abs(whole - plain).mean() > 1 / 255
    assert not list(Path(".").glob("*-part"))


def test_a_folder_goes_on(files):
    options = {"weights_file": "small.safetensors"}
    first = jaxstyle.stylize_folder("photos/0.png", "painting.png", "out", refine=2, **options)
    again = jaxstyle.stylize_folder("photos", "painting.png", "out", refine=2, **options)
    assert (first.done, again.done, again.kept) == (1, 1, 1)
    with pytest.raises(BatchError, match="was made with refine = 2, not 3"):
        jaxstyle.stylize_folder("photos", "painting.png", "out", refine=3, **options)


def test_a_method_without_an_objective_is_refused(files, monkeypatch, capsys, tmp_path):
    monkeypatch.setitem(methods.METHODS, "recolour", recolour.METHOD)
    load_model.cache_clear()
    words = "has no objective by which its paintings could be refined"
    for line in (
        ["stylize", "photos/0.png", "--style", "painting.png", "-o", "one.png"],
        ["stylize", "photos", "--style", "painting.png", "-o", "many"],
        ["stylize-dataset", "photos", "set", "--styles", "painting.png"],
        ["sheet", "photos", "--styles", "painting.png", "-o", "sheet.png"],
    ):
        assert main([*line, *files, "--refine", "3"]) == 2
        error = capsys.readouterr().err
        assert error.count("\n") == 1 and f"--refine: recolour {words}" in error
    assert {path.name for path in tmp_path.iterdir()} == {"photos", "painting.png", "small.safetensors"}
    model = recolour.init()
    with pytest.raises(ValueError, match=words):
        jaxstyle.stylize(photo(), painting(), model=Loaded(recolour.METHOD, model), refine=1)


@pytest.mark.parametrize("steps", [-1, 1.5, True, "2", None])
def test_steps_are_whole_numbers(steps):
    with pytest.raises(ValueError, match=r"^refine: expected a whole number of at least 0, got"):
        Controls(refine=steps)


def test_which_methods_have_an_objective():
    assert adain.METHOD.objective is not None and style_kernel.METHOD.objective is not None
    assert recolour.METHOD.objective is None


# ---- AdaIN -------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_adain():
    """The trainers' objective; ten steps take it far down, and the style with it."""
    loaded = load_model("adain_vgg16")
    content, style = photo(64, 96), styles(loaded, 1)
    work = job(loaded, style, content)
    painted = np.concatenate(list(paint(loaded, work)))
    found = loop.refined(loaded, work, style.aim, painted, 10)
    expected = jax.jit(partial(plain, adain.OBJECTIVE))(loaded.model, (painted, content, painting(1)))
    close([found.curve[name][0] for name in ("loss", "content", "style")], expected, 5e-3)
    assert (np.diff(found.curve["loss"]) < 0.02).all()
    assert found.curve["loss"][-1] < 0.7 * found.curve["loss"][0]
    assert found.curve["style"][-1] < 0.5 * found.curve["style"][0]
    tiles = loop.refined(loaded, work, style.aim, painted, 3, tile=32)
    close(tiles.curve["loss"], loop.refined(loaded, work, style.aim, painted, 3).curve["loss"], 2e-3)
