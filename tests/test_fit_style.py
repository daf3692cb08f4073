"""Models fitted to a painting: what the steps go down, the file, and that it is a style wherever there is one."""

import json
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from PIL import Image

import jaxstyle
from jaxstyle import Controls, image, methods, weights
from jaxstyle.cli.main import main
from jaxstyle.methods import fit_style as fitting
from jaxstyle.methods.interface import Adaptable, Loaded, Objective
from jaxstyle.methods.refine import Judging
from jaxstyle.painting import fit_style as front
from jaxstyle.painting.paint import Job, paint
from jaxstyle.painting.picture import encode_styles, load_model
from jaxstyle.painting.plan import plan_whole
from jaxstyle.painting.refine import refined
from jaxstyle.painting.shares import Shares
from jaxstyle.painting.style_file import read_style, weights_for
from jaxstyle.sheet.make import sheet
from tests import recolour
from tests.test_refine import OBJECTIVE

ADAPTABLE = Adaptable(lambda m: {"gain": m.gain}, lambda m, part: m.replace(gain=part["gain"]))
METHOD = recolour.METHOD._replace(objective=OBJECTIVE, adaptable=ADAPTABLE)
JUDGING = Judging(OBJECTIVE, recolour.STRIDE, recolour.SMALLEST)
RNG = np.random.default_rng(0)


def blocks(side, rng=RNG):
    return np.kron(rng.random((side // 8, side // 8, 3), np.float32), np.ones((8, 8, 1), np.float32))


@pytest.fixture(scope="module")
def loaded():
    return Loaded(METHOD, recolour.init())


@pytest.fixture(scope="module")
def fixed(loaded):
    rng = np.random.default_rng(1)
    aimed = encode_styles([image.Picture(blocks(64, rng))], Controls(refine=1), loaded, 64)
    photos = np.stack([0.3 + 0.2 * blocks(64, rng) for _ in range(3)])
    return fitting.Fixed(loaded.model, aimed.style, aimed.aim, jnp.asarray(photos))


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """The method among all methods, in a folder with a photo, a painting, the method's weights and a fitted style."""
    monkeypatch.setitem(methods.METHODS, "recolour", METHOD)
    monkeypatch.setenv("JAXSTYLE_CACHE_DIR", "off")
    monkeypatch.chdir(tmp_path)
    load_model.cache_clear()
    rng = np.random.default_rng(2)
    Path("photos").mkdir()
    for name in ("photo.png", "photos/a.png", "photos/b.png"):
        image.write(name, 0.2 + 0.3 * blocks(40, rng))
    image.write("painting.png", blocks(48, rng))
    recolour.save("model.safetensors", recolour.init(), licence="none")
    jaxstyle.fit_style_file(
        "painting.png", "fitted.safetensors", ["photo.png"], weights_file="model.safetensors", steps=5
    )
    yield tmp_path
    load_model.cache_clear()


# ---- the steps ---------------------------------------------------------------------------------------------


def test_the_loss_is_the_objective_of_the_painted_picture(loaded, fixed):
    photo = np.asarray(fixed.photos[0])
    found, terms = fitting.loss(METHOD, JUDGING, ADAPTABLE.part(loaded.model), fixed, fixed.photos[0])
    plan = plan_whole(64, 64, loaded.needs)
    job = Job(image.windows.ArraySource(photo), fixed.style, Shares(1.0, np.ones(1), (64, 64), recolour.STRIDE), plan)
    (painted,) = paint(loaded, job)
    expected = refined(loaded, job, fixed.aim, painted, 1).curve
    assert float(found) == pytest.approx(expected["loss"][0], rel=0.01)  # whose pixels end at black and white
    assert float(terms["style"]) == pytest.approx(expected["style"][0], rel=0.01)


def test_steps_go_down_and_change_nothing_but_the_part(fixed, key):
    state = fitting.begin(METHOD, fixed.model)
    step = jax.jit(fitting.descend, static_argnums=(1, 2, 5))
    curve = []
    for _ in range(60):
        state, terms = step(key, METHOD, JUDGING, state, fixed, (60, 2, 48))
        curve.append(float(terms["loss"]))
    assert np.mean(curve[-10:]) < np.mean(curve[:10])
    assert set(state.part) == {"gain"}
    model = ADAPTABLE.replaced(fixed.model, state.part)
    assert model.kernel is fixed.model.kernel
    assert not np.allclose(model.gain, fixed.model.gain)


def test_a_step_is_one_of_adam(fixed, key):
    steps = 7
    rates = optax.cosine_decay_schedule(fitting.RATE, steps, alpha=0.1)
    adam = optax.adam(rates, b1=0.8, b2=0.95)
    state = fitting.begin(METHOD, fixed.model)
    part, memory = state.part, adam.init(state.part)
    for number in range(3):
        crops = fitting.crops(jax.random.fold_in(key, number), fixed.photos, 2, 48)
        slopes = jax.grad(lambda p, c=crops: sum(fitting.loss(METHOD, JUDGING, p, fixed, x)[0] for x in c) / 2)(part)
        change, memory = adam.update(slopes, memory)
        part = optax.apply_updates(part, change)
        state, _ = fitting.descend(key, METHOD, JUDGING, state, fixed, (steps, 2, 48))
        np.testing.assert_allclose(state.part["gain"], part["gain"], rtol=1e-5)


def test_crops_are_parts_of_the_photos_and_half_of_them_mirrored(key):
    rows = jnp.broadcast_to(jnp.arange(9.0)[:, None], (9, 9))
    photos = jnp.stack([jnp.stack([rows, rows.T, jnp.full((9, 9), n)], -1) for n in (0.0, 1.0)])
    found = np.asarray(fitting.crops(key, photos, 200, 4))
    assert found.shape == (200, 4, 4, 3)
    assert (np.diff(found[..., 0], axis=1) == 1).all()
    steps = np.diff(found[..., 1], axis=2)
    assert (steps == steps[:, :1, :1]).all()
    assert 70 < (steps[:, 0, 0] == -1).sum() < 130
    assert {0.0, 1.0} == set(found[..., 2].ravel())
    assert {*range(9)} == set(found[..., 1].ravel().astype(int))
    np.testing.assert_array_equal(found, fitting.crops(key, photos, 200, 4))


def test_shipped_methods_say_what_can_be_fitted():
    for name in weights.shipped():
        kind = weights.header(name)["kind"]
        method = methods.METHODS.get(kind)
        if method is None or method.adaptable is None:
            continue
        model = method.load(name)
        part = method.adaptable.part(model)
        more = method.adaptable.replaced(model, jax.tree.map(lambda leaf: leaf + 1, part))
        changed = jax.tree.map(lambda a, b: bool((np.asarray(a) != np.asarray(b)).any()), model, more)
        assert sum(jax.tree.leaves(changed)) == len(jax.tree.leaves(part)) > 0


# ---- the file ----------------------------------------------------------------------------------------------


def test_the_file_is_a_style_and_a_model(folder):
    painting = image.read("painting.png").pixels
    np.testing.assert_array_equal(read_style("fitted.safetensors").pixels, painting)
    fitted = jaxstyle.fit_style("painting.png", ["photo.png"], model=load_model("model.safetensors"), steps=5)
    np.testing.assert_array_equal(methods.load("fitted.safetensors").model.gain, fitted.model.gain)
    expected = jaxstyle.stylize("photo.png", "painting.png", model=load_model("fitted.safetensors"))
    plain = jaxstyle.stylize("photo.png", "painting.png", model=load_model("model.safetensors"))
    found = jaxstyle.stylize("photo.png", "fitted.safetensors")
    np.testing.assert_array_equal(np.asarray(found), np.asarray(expected))
    assert (np.asarray(found) != np.asarray(plain)).any()


def test_the_same_seed_gives_the_same_file(folder):
    options = {"weights_file": "model.safetensors", "steps": 3}
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        jaxstyle.fit_style_file("painting.png", f"{name}.safetensors", ["photos/a.png"], seed=seed, **options)
    a, b, c = (Path(f"{name}.safetensors").read_bytes() for name in "abc")
    assert a == b
    assert a != c


def test_shipped_photos_are_used_where_none_are_given(folder, capsys):
    assert main(["fit-style", "painting.png", "-o", "f.safetensors", "--weights-file", "model.safetensors", "--steps",
                 "1", "--json"]) == 0  # fmt: skip
    report = json.loads(capsys.readouterr().out)
    assert report["photos"] == len(list(front.PHOTOS.glob("*.jpg"))) >= 5
    assert report["steps"] == 1


def test_every_front_door_takes_it(folder):
    expected = np.asarray(jaxstyle.stylize("photo.png", "fitted.safetensors"))
    jaxstyle.stylize_file("photo.png", "fitted.safetensors", "one.png")
    np.testing.assert_array_equal(np.asarray(Image.open("one.png")), expected)
    assert main(["stylize", "photo.png", "--style", "fitted.safetensors", "-o", "two.png"]) == 0
    np.testing.assert_array_equal(np.asarray(Image.open("two.png")), expected)
    assert main(["stylize", "photos", "--style", "fitted.safetensors", "-o", "out"]) == 0
    assert main(["stylize-dataset", "photos", "set", "--styles", "fitted.safetensors"]) == 0
    a = np.asarray(jaxstyle.stylize("photos/a.png", "fitted.safetensors"))
    for made in (*Path("out").glob("a*.png"), *Path("set").rglob("a*.png")):
        np.testing.assert_array_equal(np.asarray(Image.open(made)), a)
    transform = jaxstyle.StyleTransform("fitted.safetensors")
    np.testing.assert_array_equal(np.asarray(transform(Image.open("photo.png"), 0)), expected)
    assert main(["sheet", "photo.png", "--styles", "fitted.safetensors", "-o", "sheet.png"]) == 0
    assert main(["stylize", "photo.png", "--style", "fitted.safetensors", "-o", "three.png", "--refine", "1"]) == 0


def test_a_sheet_takes_the_model_of_each_style(folder):
    own, other = recolour.init(), recolour.Model(recolour.init().kernel, jnp.zeros(3))
    text = weights.header("fitted.safetensors")["painting"]
    recolour.save("flat.safetensors", other, licence="none", painting=text)
    model = methods.loaded(Loaded(METHOD, own))

    def page(*styles):
        return sheet(["photo.png"], styles, model=model, columns=2, cell=48).pixels

    plain, mixed = page("painting.png", "painting.png"), page("painting.png", "flat.safetensors")
    changed = np.flatnonzero((plain != mixed).any((0, 2)))
    assert len(changed) >= 30
    assert changed.max() - changed.min() < 48  # one cell


# ---- what is refused ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["stylize", "photo.png", "--style", "fitted.safetensors", "painting.png", "-o", "x.png"], "no other style"),
        (
            ["stylize", "photo.png", "--style", "fitted.safetensors", "-o", "x.png", "--weights-file",
             "model.safetensors"],
            "fitted.safetensors: a fitted style of recolour has a model of its own, got model.safetensors of reco",
        ),
        *(
            (
                [*line, "--method", "adain"],
                "fitted.safetensors: a fitted style of recolour has a model of its own, got adain_vgg16 of adain",
            )
            for line in (
                ["stylize", "photo.png", "--style", "fitted.safetensors", "-o", "x.png"],
                ["stylize", "photos", "--style", "fitted.safetensors", "-o", "x"],
                ["stylize-dataset", "photos", "x", "--styles", "fitted.safetensors"],
            )
        ),
        (["stylize", "photo.png", "--style", "model.safetensors", "-o", "x.png"], "weights without a painting"),
        (["stylize", "photo.png", "--style", "none.safetensors", "-o", "x.png"], "none.safetensors: no such"),
        (["fit-style", "painting.png", "-o", "x.png"], "x.png: expected a name that ends in .safetensors"),
        (["fit-style", "none.png", "-o", "x.safetensors"], "none.png"),
        (["fit-style", "painting.png", "-o", "fitted.safetensors"], "fitted.safetensors"),
        (["fit-style", "painting.png", "-o", "x.safetensors", "--steps", "0"], "--steps"),
        (["fit-style", "painting.png", "-o", "x.safetensors", "--steps", "99999"], "10000"),
        (["fit-style", "painting.png", "-o", "x.safetensors", "--photos", "none"], "none"),
        (["fit-style", "painting.png", "-o", "none/x.safetensors"], "none"),
        (["fit-style", "painting.png", "-o", "x.safetensors", "--weights-file", "vgg16"], "kind 'vgg'"),
    ],
)  # fmt: skip
def test_bad_input_is_one_line(folder, capsys, arguments, words):
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    with_exit = pytest.raises(SystemExit) if "0" in arguments else None
    if with_exit is None:
        assert main(arguments) == 2
    else:
        with with_exit as stopped:
            main(arguments)
        assert stopped.value.code == 2
    said = capsys.readouterr().err.strip().split("\n")
    assert words in said[-1]
    assert len(said) == 1 or "one by one" in said[0]
    assert before == {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_a_damaged_painting_is_named(folder):
    file = weights.load("model.safetensors")
    weights.save("bad.safetensors", file.arrays, {"kind": "recolour", "painting": "AAAA"})
    with pytest.raises(weights.WeightsError, match=r"bad\.safetensors: damaged: its painting"):
        read_style("bad.safetensors")


def test_a_method_without_a_part_to_fit_is_refused(loaded):
    model = Loaded(METHOD._replace(adaptable=None), recolour.init())
    with pytest.raises(ValueError, match="recolour cannot be fitted"):
        jaxstyle.fit_style(blocks(32), [blocks(32)], model=model, steps=1)


def test_photos_that_are_none(loaded):
    with pytest.raises(ValueError, match="photos: expected at least one"):
        jaxstyle.fit_style(blocks(32), [], model=loaded)
    with pytest.raises(TypeError, match="unexpected keyword argument 'step'"):
        jaxstyle.fit_style(blocks(32), step=1)


def test_a_loss_that_is_not_finite_ends_the_fit(loaded):
    model = Loaded(
        METHOD._replace(objective=Objective(**(OBJECTIVE._asdict() | {"weight": float("nan")}))), loaded.model
    )
    with pytest.raises(ArithmeticError, match="step 1 of 3"):
        jaxstyle.fit_style(blocks(32), [blocks(32)], model=model, steps=3)


def test_weights_that_go_with_styles():
    assert weights_for(["a.png", "b.png"], "model") == "model"
    assert weights_for(["a.png"], "") == ""  # which is said to be missing: not the usual ones
    assert weights_for(["a.png"], None) == "adain_vgg16" and weights_for(["a.png"], None, usual="usual") == "usual"
    assert weights_for(["a.safetensors"], "a.safetensors") == "a.safetensors"
    assert weights_for(["a.safetensors", Path("a.safetensors")], None, usual="usual") == "a.safetensors"


def test_a_method_may_be_named_beside_a_style_that_was_fitted_with_it(tmp_path):
    """Its shipped weights are what ``--method`` comes to; another method is another model."""
    file = weights.load("style_kernel_vgg16")
    style = tmp_path / "style.safetensors"
    weights.save(style, file.arrays, {"kind": "style_kernel", "painting": "AAAA"})
    assert weights_for([style], "style_kernel_vgg16") == str(style)
    with pytest.raises(ValueError, match=r"style\.safetensors: a fitted style of style_kernel .* adain_vgg16 of adain"):
        weights_for([style], "adain_vgg16")


def test_another_model_may_not_be_named_in_python_either(folder):
    with pytest.raises(ValueError, match=r"^fitted\.safetensors: a fitted style of recolour .* adain_vgg16 of adain"):
        jaxstyle.stylize("photo.png", "fitted.safetensors", model="adain")


@pytest.mark.slow
@pytest.mark.parametrize("name", ["adain_vgg16", "style_kernel_vgg16"])
def test_shipped_models_have_more_of_the_painting_after_a_few_steps(name):
    model = methods.load(name)
    painting, photos = image.read("examples/style/starry_night.jpg").pixels, front._photos(None, 10**8)
    fitted, curve = front._fitted(painting, photos, {"model": model, "steps": 12}, None)
    assert np.mean(curve[-3:]) < 0.97 * np.mean(curve[:3])
    photo = image.read("examples/content/coffee.jpg").pixels[:128, :128]
    found, before = (
        np.asarray(jaxstyle.stylize(photo, "examples/style/starry_night.jpg", model=m)) for m in (fitted, model)
    )
    assert (found != before).any()
