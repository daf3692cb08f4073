"""What every method promises, tested on every entry of METHODS, and on one that a single module of the tests adds."""

import json
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxstyle
from jaxstyle import Controls, image, methods, stylize_file, weights
from jaxstyle.cli.main import main
from jaxstyle.controls.degree import Maps
from jaxstyle.image.windows import ArraySource
from jaxstyle.methods.interface import Window, inside, reach
from jaxstyle.painting.finish import painted_part
from jaxstyle.painting.paint import Job, _whole, paint
from jaxstyle.painting.picture import _encode_style, default_model, load_model, paint_source
from jaxstyle.painting.plan import Plan, plan_tiles, plan_whole
from jaxstyle.painting.shares import Shares
from jaxstyle.painting.stroke_size import Shelf
from tests import recolour

KINDS = [*methods.METHODS, "recolour"]
heavy = pytest.mark.parametrize(
    "loaded",
    [pytest.param(kind, marks=() if kind == "recolour" else pytest.mark.slow) for kind in KINDS],
    indirect=True,
)
"""For tests that have to compile much: the small method always, the others where slow tests are run."""
large = pytest.mark.parametrize(
    "loaded",
    [pytest.param(kind, marks=() if kind in ("adain", "recolour") else pytest.mark.slow) for kind in KINDS],
    indirect=True,
)
"""For those that compile several programs of a method: the large ones where slow tests are run."""
HEIGHT, WIDTH = 99, 150
CLOSE = 0.5 / 255


def photo(height=HEIGHT, width=WIDTH, seed=0):
    """Dark and flat at the left, bright and rough at the right: windows with statistics of their own would show."""
    rng, x = np.random.default_rng(seed), np.linspace(0, 1, width)[None, :, None]
    waves = np.sin(np.arange(height)[:, None, None] / 9 + 20 * x + np.arange(3))
    return np.clip(0.1 + 0.7 * x + x * (0.15 * waves + rng.normal(0, 0.1, (height, width, 3))), 0, 1).astype(np.float32)


def painting(seed=1, side=48):
    rng = np.random.default_rng(seed)
    return np.kron(rng.random((side // 8, side // 8, 3), np.float32), np.ones((8, 8, 1), np.float32))


def shipped(kind):
    """The first shipped weights of a method."""
    return next(name for name in weights.shipped() if weights.header(name)["kind"] == kind)


@pytest.fixture(scope="module", params=KINDS)
def loaded(request, tmp_path_factory):
    """A model of every method."""
    with pytest.MonkeyPatch.context() as patch:
        if request.param == "recolour":
            patch.setitem(methods.METHODS, "recolour", recolour.METHOD)
            file = tmp_path_factory.mktemp("weights") / "recolour.safetensors"
            recolour.save(file, recolour.init(), licence="none")
            yield methods.load(file)
            load_model.cache_clear()
        else:
            yield methods.load(shipped(request.param))


@pytest.fixture(scope="module")
def styles(loaded):
    """Two styles, each alone."""
    return [_encode_style(loaded, painting(seed)) for seed in (1, 2)]


def both(styles):
    return jax.tree.map(lambda *leaves: jnp.concatenate(leaves), *styles)


def test_a_style_is_made_of_its_arrays(loaded, styles):
    leaves, structure = jax.tree.flatten(styles[0])
    if loaded.method.style_of is None:
        pytest.skip("its styles are kept in memory only")
    found = loaded.method.style_of(leaves)
    assert jax.tree.structure(found) == structure and all(map(np.array_equal, jax.tree.leaves(found), leaves))


def painted(loaded, style, content, alpha=1.0, parts=None, *, tile=None, **options):
    """The picture, as one window or in tiles."""
    extent = content.shape[:2]
    needs = loaded.needs
    count = jax.tree.leaves(style)[0].shape[0]
    shares = Shares(alpha, np.ones(count) / count if parts is None else parts, extent, needs.stride)
    plan = plan_whole(*extent, needs) if tile is None else plan_tiles(*extent, needs, tile)
    return np.concatenate(list(paint(loaded, Job(ArraySource(content), style, shares, plan), **options)))


@pytest.fixture(scope="module")
def whole(loaded, styles):
    return painted(loaded, styles[0], photo())


def close(found, expected, atol=CLOSE):
    np.testing.assert_allclose(np.asarray(found), np.asarray(expected), atol=atol)


# ---- windows -----------------------------------------------------------------------------------------------


def test_needs_are_consistent(loaded):
    needs = loaded.needs
    assert needs.stride >= 1 and needs.smallest % needs.stride == 0
    assert all(margin % needs.stride == 0 and margin >= 0 for margin in needs.margins)
    assert needs.bytes_per_pixel > 0 and needs.style_bytes > 0


@pytest.mark.parametrize("folder", [False, True])
def test_tiles_equal_the_whole(loaded, styles, whole, folder, tmp_path):
    if not loaded.needs.windowed:
        pytest.skip("needs whole pictures")
    found = painted(loaded, styles[0], photo(), tile=24, scratch=tmp_path if folder else None)
    assert found.shape == (HEIGHT, WIDTH, 3) and found.dtype == np.float32
    close(found, whole)
    assert list(tmp_path.iterdir()) == []


def test_a_larger_array_changes_nothing(loaded, styles, whole):
    """A picture as it is, mirrored up to its reach and no further, and the same in its bucket."""
    needs = loaded.needs
    in_bucket = plan_whole(HEIGHT, WIDTH, needs)
    far = in_bucket.reach
    plan = in_bucket._replace(canvas=far, encode_size=far, paint_size=far)
    assert plan.whole and plan.canvas == plan.reach != in_bucket.canvas
    shares = Shares(1.0, np.ones(1), (HEIGHT, WIDTH), needs.stride)
    (found,) = paint(loaded, Job(ArraySource(photo()), styles[0], shares, plan))
    close(found, whole)


def windows(loaded, content, plan: Plan):
    place = plan.encode[0]
    pixels = np.zeros((1, *plan.canvas, 3), np.float32)
    far = plan.reach
    rows, columns = (
        np.pad(np.arange(n), (0, m - n), mode="symmetric") for n, m in zip(content.shape[:2], far, strict=True)
    )
    pixels[0, : far[0], : far[1]] = content[np.ix_(rows, columns)]
    return pixels, (np.int32([0, 0]), np.int32(place.core), np.int32(content.shape[:2]))


def run(loaded, style, window):
    return np.asarray(_whole(loaded.method, loaded.model, style, window))


def test_what_lies_beyond_has_no_influence(loaded, styles):
    plan = plan_whole(HEIGHT, WIDTH, loaded.needs)
    pixels, rest = windows(loaded, photo(), plan)
    shares = np.float32([[[[1.0]]]])
    found = run(loaded, styles[0], Window(pixels, *rest, shares))[:HEIGHT, :WIDTH]
    far = plan.reach
    beyond = np.random.default_rng(3).random(pixels.shape, np.float32)
    beyond[:, : far[0], : far[1]] = pixels[:, : far[0], : far[1]]
    assert plan.canvas != far
    close(run(loaded, styles[0], Window(beyond, *rest, shares))[:HEIGHT, :WIDTH], found, 0.05 / 255)


@heavy
def test_jit_equals_eager(loaded, styles):
    content = photo(24, 32)
    pixels, rest = windows(loaded, content, plan_whole(24, 32, loaded.needs))
    window = Window(pixels, *rest, np.float32([[[[0.75]]]]))
    with jax.disable_jit():
        expected = run(loaded, styles[0], window)
    close(run(loaded, styles[0], window), expected, 0.05 / 255)


def test_merging_does_not_depend_on_the_order(loaded, styles):
    needs, model = loaded.needs, loaded.model
    if not needs.windowed:
        pytest.skip("needs whole pictures")
    content = photo()
    pixels, _ = windows(loaded, content, plan_tiles(HEIGHT, WIDTH, needs, 1024))
    features_of = jax.jit(loaded.method.encode)
    survey_of = jax.jit(loaded.method.survey)
    found = []
    full = Window(pixels, np.int32([0, 0]), np.int32([0, 0, 0, 0]), np.int32([HEIGHT, WIDTH]), np.float32([[[[1.0]]]]))
    features = features_of(model, full)
    far = reach((HEIGHT, WIDTH), needs.stride, needs.smallest)
    for top, bottom in ((0, 32), (32, 40), (40, far[0])):
        for left, right in ((0, 64), (64, far[1])):
            window = full._replace(core=np.int32([top, bottom, left, right]))
            found.append(jax.device_get(survey_of(model, features, styles[0], window)))
    whole = survey_of(model, features, styles[0], full._replace(core=np.int32([0, far[0], 0, far[1]])))
    for order in (found, found[::-1]):
        total = order[0]
        for one in order[1:]:
            total = loaded.method.merge(total, one)
        jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-5), total, jax.device_get(whole))


def test_reach_and_inside():
    assert reach((1, 17), 8, 16).tolist() == [16, 24] and reach(jnp.asarray([5, 8]), 4, 4).tolist() == [8, 8]
    pixels = np.zeros((1, 16, 24, 3), np.float32)
    rest = (np.int32([0, 0, 0, 0]), np.int32([20, 40]), np.float32([[[[1]]]]))
    assert inside(Window(pixels, np.int32([0, 0]), *rest), 8, 16).tolist() == [16, 24]
    assert inside(Window(pixels, np.int32([16, 24]), *rest), 8, 16).tolist() == [8, 16]


@pytest.mark.parametrize("size", [(1, 1), (7, 5), (1, 40), pytest.param((1023, 511), marks=pytest.mark.slow)])
def test_every_size_keeps_its_size(loaded, styles, size):
    found = painted(loaded, styles[0], photo(*size))
    assert found.shape == (*size, 3) and np.isfinite(found).all() and found.min() >= 0 and found.max() <= 1


# ---- styles and shares -------------------------------------------------------------------------------------


def test_alpha_0_ignores_the_style(loaded, styles):
    content = photo()
    close(painted(loaded, styles[0], content, 0.0), painted(loaded, styles[1], content, 0.0), 1e-6)
    changed = np.abs(painted(loaded, styles[0], content) - painted(loaded, styles[1], content)).mean()
    assert changed > 2 / 255


def test_a_map_of_one_value_is_that_value(loaded, styles):
    content = photo()
    close(
        painted(loaded, styles[0], content, np.full((HEIGHT, WIDTH), 0.5, np.float32)),
        painted(loaded, styles[0], content, 0.5),
    )


def test_mixing_is_what_it_promises(loaded, styles):
    """A style without a share has no influence; one style twice is that style; shares act in all of their range."""
    if not loaded.needs.mixes:
        pytest.skip("takes one style")
    content, two = photo(), both(styles)
    first, second = (painted(loaded, style, content) for style in styles)
    close(painted(loaded, two, content, 1.0, np.float32([1, 0])), first)
    close(painted(loaded, two, content, 1.0, np.float32([0, 1])), second)
    close(
        painted(loaded, both([styles[0]] * 2), content, 1.0, np.float32([0.25, 0.5])),
        painted(loaded, styles[0], content, 0.75),
    )
    half = painted(loaded, two, content, 1.0, np.float32([0.5, 0.5]))
    assert min(np.abs(half - other).mean() for other in (first, second)) > 0.5 / 255
    step = painted(loaded, two, content, 1.0, np.float32([0.501, 0.499]))
    assert np.abs(step - half).mean() < 0.5 / 255


def test_a_pixel_of_the_map_changes_its_neighbourhood_alone(loaded, styles):
    if not loaded.needs.windowed:
        pytest.skip("looks at the whole picture")
    needs, content, alpha = loaded.needs, photo(), np.ones((HEIGHT, WIDTH), np.float32)
    before = painted(loaded, styles[0], content, alpha)
    alpha[50, 80] = 0
    changed = np.abs(painted(loaded, styles[0], content, alpha) - before).max(-1) > 1e-5
    assert changed.any()
    far = needs.margins[1] + needs.stride
    rows, columns = np.flatnonzero(changed.any(1)), np.flatnonzero(changed.any(0))
    assert 50 - far < rows[0] <= 50 <= rows[-1] < 50 + far and 80 - far < columns[0] <= 80 <= columns[-1] < 80 + far


def test_styles_in_a_batch_equal_single_ones(loaded):
    pictures, extents = [painting(1, 48), painting(2, 32)], np.int32([[48, 48], [30, 32]])
    laid = np.stack([pictures[0], np.pad(pictures[1], ((0, 16), (0, 16), (0, 0)), mode="symmetric")])
    together = loaded.method.encode_style(loaded.model, laid, extents)
    alone = [loaded.method.encode_style(loaded.model, laid[i : i + 1], extents[i : i + 1]) for i in range(len(extents))]
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-5), together, both(alone))


# ---- parameters --------------------------------------------------------------------------------------------


@heavy
def test_gradients_are_finite_on_flat_pictures(loaded, styles):
    content = np.full((24, 32, 3), 0.5, np.float32)
    pixels, rest = windows(loaded, content, plan_whole(24, 32, loaded.needs))
    method, model = loaded.method, loaded.model

    def loss(floats, pixels, style):
        window = Window(pixels, *rest, np.float32([[[[1.0]]]]))
        features = method.encode(floats, window)
        found = method.paint(floats, features, style, method.survey(floats, features, style, window), window)
        return jnp.square(found).mean()

    gradients = jax.jit(jax.grad(loss, argnums=(0, 1, 2)))(model, pixels, styles[0])
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(gradients))
    assert any(np.abs(leaf).max() > 0 for leaf in jax.tree.leaves(gradients[0]))


def test_weights_in_half_precision_give_the_same_picture(loaded, styles, tmp_path):
    file = tmp_path / "again.safetensors"
    loaded.method.save(file, loaded.model, licence="none")
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(methods.METHODS, loaded.method.kind, loaded.method)
        again = methods.load(file)
    assert again.method is loaded.method and len(again.sha256) == 64
    content = photo()
    close(painted(again, styles[0], content), painted(loaded, styles[0], content), 2 / 255)


def test_bad_weights_are_one_line(loaded, tmp_path, monkeypatch):
    monkeypatch.setitem(methods.METHODS, loaded.method.kind, loaded.method)
    weights.save(tmp_path / "other.safetensors", {"a": np.zeros(2, np.float32)}, {"kind": loaded.method.kind})
    weights.save(tmp_path / "alien.safetensors", {"a": np.zeros(2, np.float32)}, {"kind": "alien"})
    for name, words in (
        ("other", ":"),
        ("alien", "holds weights of kind 'alien'; needed is 'adain'"),
        ("none", "no such"),
    ):
        with pytest.raises(weights.WeightsError, match=words) as caught:
            methods.load(tmp_path / f"{name}.safetensors")
        assert f"{name}.safetensors" in str(caught.value) and "\n" not in str(caught.value)
    with pytest.raises(TypeError, match=r"^model: expected what jaxstyle\.methods\.load returns, got dict$"):
        methods.loaded({})


# ---- every front end ---------------------------------------------------------------------------------------


@pytest.fixture
def files(loaded, tmp_path, monkeypatch):
    """Pictures, and the model's weight file, in the current folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(methods.METHODS, loaded.method.kind, loaded.method)
    monkeypatch.setenv("JAXSTYLE_CACHE_DIR", "off")
    for folder in ("photos/a", "paintings"):
        (tmp_path / folder).mkdir(parents=True)
    for number in range(2):
        image.write(f"photos/a/{number}.png", photo(45, 61, seed=number))
        image.write(f"paintings/{number}.png", painting(number))
    image.write("mask.png", np.float32(np.indices((45, 61)).sum(0) > 50))
    return loaded.name


@heavy
def test_every_verb_serves_it(files, loaded, capsys):
    with_model = ["--weights-file", files, "--style-size", "40"]
    windowed = loaded.needs.windowed
    for line in (
        ["stylize", "photos/a/0.png", "--style", "paintings/0.png", "-o", "one.png", "--json"],
        [
            "stylize",
            "photos/a/0.png",
            "--style",
            "paintings/0.png",
            "-o",
            "tiles.png",
            *(("--tile", str(5 * loaded.needs.stride)) if windowed else ()),
            "--json",
        ],
        ["stylize", "photos", "--recursive", "--style", "paintings", "--mask", "mask.png", "-o", "many", "--json"],
        ["stylize-dataset", "photos", "set", "--styles", "paintings", "--preserve-color", "match", "--json"],
        ["sheet", "photos/a", "--styles", "paintings", "--cell", "40", "-o", "sheet.png", "--json"],
        ["video", "photos/a", "--style", "paintings/0.png", "-o", "moving", "--json"],
    ):
        assert main([*line, *with_model]) == 0, capsys.readouterr().err
        report = json.loads(capsys.readouterr().out)
        assert report["weights_file"] == files and not report.get("failed")
    close(image.read("one.png").pixels, image.read("tiles.png").pixels, 1.01 / 255)
    assert image.read("many/a/0_stylized_1.png").pixels.shape == (45, 61, 3)
    close(image.read("moving/000001.png").pixels, image.read("one.png").pixels, 1.01 / 255)
    transform = jaxstyle.StyleTransform("paintings", size=(24, 24), weights_file=files)
    assert transform((photo(45, 61) * 255).astype(np.uint8), 3).shape == (24, 24, 3)


def levels(file, deep=False):
    """Its samples, as they are in the file."""
    return np.rint(image.read(file).pixels * (65535 if deep else 255)).astype(np.int32)


@heavy
def test_alpha_0_is_the_photo(files, loaded):
    """To the last bit, by every way from file to file."""
    with_model = {"weights_file": files, "alpha": 0.0, "style_size": 40}
    image.write("deep.png", photo(45, 61), bits=16)
    tile = 3 * loaded.needs.stride
    for source, deep in (("photos/a/0.png", False), ("deep.png", True)):
        for number, options in enumerate(
            ({}, {"preserve_color": "luminance"}, {"preserve_color": "match"}, {"style_size": 30}, {"style_size": 70})
        ):
            for name, more in (("whole", {}), ("tiles", {"tile": tile})):
                if more and not loaded.needs.windowed:
                    continue
                output = f"{name}{number}.png"
                stylize_file(source, "paintings/0.png", output, overwrite=True, **{**with_model, **options, **more})
                np.testing.assert_array_equal(levels(output, deep), levels(source, deep), err_msg=f"{output} {options}")
    jaxstyle.stylize_folder("photos/a", "paintings/0.png", "many", **with_model)
    jaxstyle.stylize_dataset("photos", "set", "paintings", **with_model)
    transform = jaxstyle.StyleTransform("paintings", alpha=0.0, weights_file=files)
    for number in range(2):
        expected = levels(f"photos/a/{number}.png")
        (kept,) = Path("many").glob(f"{number}_*.png")
        (in_set,) = Path("set/a").glob(f"{number}*.png")
        for file in (kept, in_set):
            np.testing.assert_array_equal(levels(file), expected)
        np.testing.assert_array_equal(transform(expected.astype(np.uint8), number), expected)


@heavy
def test_where_no_style_is_the_photo_stays(files, loaded):
    """Zeros of a map, the beginning of a gradient, places that no mask covers: to the last bit, in tiles as well."""
    content, zero = levels("photos/a/0.png"), np.zeros((45, 61), bool)
    zero[:, :31], ramp = True, np.float32(np.clip(np.arange(61) - 30, 0, 30) / 30)
    image.write("map.png", np.tile(ramp, (45, 1)))
    image.write("left.png", np.float32(np.tile(np.arange(61) > 30, (45, 1))))
    cases = [{"alpha_map": "map.png"}, {"mask": "left.png"}, {"mask": "map.png", "alpha": 0.75}]
    if loaded.needs.mixes:
        cases.append({"mask": ("left.png", "map.png"), "weights": (1, 2)})
    for number, fields in enumerate(cases):
        styles = ["paintings/0.png", "paintings/1.png"][: len(np.atleast_1d(fields.get("mask", "one")))]
        found = []
        for tile in (None, 3 * loaded.needs.stride) if loaded.needs.windowed else (None,):
            output = f"{number}-{tile}.png"
            stylize_file("photos/a/0.png", styles, output, weights_file=files, style_size=45, tile=tile, **fields)
            found.append(levels(output))
            np.testing.assert_array_equal(found[-1][zero], content[zero], err_msg=str(fields))
            assert np.abs(found[-1] - content)[~zero].max() > 3
        assert np.abs(found[0] - found[-1]).max() <= 1


@large
def test_from_the_photo_to_the_painting_there_is_no_jump(loaded, styles):
    """The result is the formula of what features alone give, and full degrees are as they always were."""
    content = photo(40, 56)

    def made(alpha, blend="photo"):
        controls = Controls(alpha=alpha, alpha_blend=blend)
        with Shelf() as shelf:
            bands = paint_source(ArraySource(content), styles[0], controls, Maps(), loaded, shelf=shelf)
            return np.concatenate(list(bands))

    degrees = np.linspace(0, 1, 21, dtype=np.float32).tolist()
    found, features = (np.stack([made(alpha, blend) for alpha in degrees]) for blend in ("photo", "features"))
    part = painted_part(np.float32(degrees))[:, None, None, None]
    close(found, part * features + (1 - part) * content, 1e-6)
    np.testing.assert_array_equal(found[0], content)
    np.testing.assert_array_equal(found[10:], features[10:])
    close(features[-1], painted(loaded, styles[0], content), 1e-6)
    steps = np.sqrt(np.square(np.diff(found, axis=0)).mean((1, 2, 3)))
    assert steps.max() < 4 * np.sqrt(np.square(features[-1] - content).mean()) / len(steps)
    away = np.sqrt(np.square(found - content).mean((1, 2, 3)))
    assert (np.diff(away[:11]) > 0).all()


def test_what_differs_is_the_method_alone(files, loaded):
    found = np.asarray(jaxstyle.stylize("photos/a/0.png", "paintings/0.png", model=loaded, style_size=40), np.float32)
    other = np.asarray(jaxstyle.stylize("photos/a/0.png", "paintings/0.png", style_size=40), np.float32)
    assert found.shape == other.shape
    assert (np.abs(found - other).mean() > 1) == (loaded.method is not default_model().method)
