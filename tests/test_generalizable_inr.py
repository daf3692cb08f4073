"""Generalizable INR: the linear code, the field, conditioning, files."""

import dataclasses
import json
from functools import partial
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxstyle
from jaxstyle import adain, weights
from jaxstyle.methods import generalizable_inr as ginr
from jaxstyle.methods.generalizable_inr import code as codes
from jaxstyle.methods.generalizable_inr import conditioning, network
from jaxstyle.methods.generalizable_inr import field as fields
from jaxstyle.methods.interface import Window
from jaxstyle.nets import coords as places
from jaxstyle.nets.losses import style_loss
from jaxstyle.nets.stats import Moments
from tests.pictures import smooth

EXAMPLES = Path(__file__).parents[1] / "examples"
SMALL = ginr.Config(tokens=4, width=16, depth=1, heads=2, weight_tokens=3, context=4, features=8, hidden=8)


def picture(height=40, width=48, seed=0):
    """Noise with about the spectrum and the colours of photographs."""
    rng = np.random.default_rng(seed)
    far = np.hypot(*np.meshgrid(np.fft.fftfreq(width), np.fft.fftfreq(height)))[..., None]
    white = rng.normal(size=(height, width, 1)) + 0.3 * rng.normal(size=(height, width, 3))
    waves = np.fft.ifft2(np.fft.fft2(white, axes=(0, 1)) / np.maximum(far, 0.02) ** 1.7, axes=(0, 1)).real
    return np.clip(0.5 + 0.15 * waves / waves.std(), 0, 1).astype(np.float32)


@pytest.fixture(scope="module")
def model():
    """A small one, made of the shipped AdaIN model; its MLP adds something."""
    made = jax.jit(ginr.from_adain, static_argnames="config")(jax.random.key(0), adain.load(), config=SMALL)
    field = made.params["field"]
    last = {"kernel": 0.2 * jnp.ones_like(field["colours"]["kernel"]), "bias": field["colours"]["bias"]}
    keys = jax.random.split(jax.random.key(1))
    vectors = made.params["transformer"]["vectors"]
    vectors = {**vectors, "kernel": 0.1 * jax.random.normal(keys[0], vectors["kernel"].shape)}
    transformer = {**made.params["transformer"], "vectors": vectors}
    params = {**made.params, "field": {**field, "colours": last}, "transformer": transformer}
    return dataclasses.replace(made, params=params)


@pytest.fixture(scope="module")
def conditioned(model):
    return ginr.condition(model, picture(), picture(seed=1))


_analyse = jax.jit(codes.analyse, static_argnames="points")


def psnr(found, expected):
    return -10 * np.log10(np.square(np.asarray(found, np.float64) - expected).mean())


def grid(code, width, height):
    return np.asarray(codes.on_grid(code, jnp.arange(width) + 0.5, jnp.arange(height) + 0.5) @ codes.COLOURS)


def code_of(pixels, points=codes.PHOTO):
    return jax.tree.map(lambda leaf: leaf[0], _analyse(jnp.asarray(pixels)[None], points=points))


# ---- the linear code ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("points", [codes.PHOTO, codes.PAINTED])
def test_the_code_is_the_nearest_spline(points):
    """Of a plain least-squares fit with the picture mirrored, in float64."""
    pixels = picture(64, 72)
    found = code_of(pixels, points)
    colours = pixels.astype(np.float64) @ codes.COLOURS.T.astype(np.float64)
    for grid_, each, values in zip(found, points, (colours[..., :1], colours[..., 1:]), strict=True):
        inverse = []
        for side in (64, 72):
            count = side * each // 8
            at, control = (np.arange(side) + 0.5) * each / 8, np.arange(-3, count + 3)
            spread = codes.cubic(at[:, None] - (control[None] + 0.5))
            synthesis = np.zeros((side, count))
            for k, column in zip(control, spread.T, strict=True):
                synthesis[:, min(max(k, -1 - k), 2 * count - 1 - k)] += column
            inverse.append(np.linalg.pinv(synthesis))
        expected = np.einsum("ih,hwc,jw->ijc", inverse[0], values, inverse[1])
        np.testing.assert_allclose(grid_, expected, atol=4e-3 if each >= 7 else 0.03)


def test_it_holds_a_photo_in_a_third_of_the_numbers():
    found = [psnr(grid(code_of(pixels), 64, 64), pixels) for pixels in (picture(64, 64, seed) for seed in range(3))]
    numbers = sum(leaf.size for leaf in jax.tree.leaves(code_of(picture(256, 256))))
    assert min(found) > 30 and numbers == 58_368


def test_flat_pictures_stay_flat_at_every_place():
    flat = np.full((16, 24, 3), [0.2, 0.5, 0.9], np.float32)
    x = jnp.linspace(0, 24, 50)
    values = codes.on_grid(code_of(flat), x, jnp.linspace(0, 16, 40)) @ codes.COLOURS
    np.testing.assert_allclose(values, np.broadcast_to(flat[0, 0], values.shape), atol=2e-5)


def test_there_are_no_seams_between_cells():
    """Values, slopes and curvatures on both sides of every border agree."""
    code, step = code_of(picture(32, 32)), 0.05
    for border in (8.0, 16.0, 8 / 7 * 3.5, 4.0, 24.0):  # of cells, and where the splines' pieces meet
        x = jnp.float32(border + step * (np.arange(7) - 3))
        values = np.asarray(codes.at_points(code, x, jnp.full(7, 13.3)), np.float64)
        slopes, bends = np.diff(values, axis=0) / step, np.diff(values, 2, axis=0) / step**2
        assert np.abs(np.diff(values, axis=0)).max() < 0.02
        assert np.abs(np.diff(slopes, axis=0)).max() < 0.03
        assert np.abs(np.diff(bends, axis=0)).max() < 0.05


@pytest.mark.parametrize("size", [64, 1000, 4096])
def test_a_pixels_centre_has_one_piece_whichever_way_its_place_is_rounded(size):
    """Control points and weights may come of places that a compiler rounds differently."""
    centres = np.arange(size, dtype=np.float32) + 0.5  # where control points are, of as many of them as pixels
    below, above = (np.nextafter(centres, np.float32(end)) for end in (0, 2 * size))
    pieces = [codes._spline(jnp.asarray(x), size, codes.CELL)[0] for x in (below, centres, above)]
    np.testing.assert_array_equal(pieces[0], pieces[1])
    np.testing.assert_array_equal(pieces[2], pieces[1])


def test_values_are_those_of_the_spline_at_the_borders_of_its_pieces():
    """In float64, with every control point, a thousandth before and behind the border, and on it."""
    code = code_of(picture(16, 16), codes.PAINTED)
    x = np.array([[k - 2.0**-10, k - 2.0**-11, k, k + 2.0**-11] for k in np.arange(2, 14) + 0.5]).reshape(-1)
    found = codes.on_grid(code, jnp.float32(x), jnp.float32([7.3]), codes.PAINTED)[0, :, 0]
    weights = [codes.cubic(at[:, None] - 0.5 - np.arange(16)) for at in (np.array([7.3]), x)]
    expected = np.einsum("ih,jw,hwc->ijc", *weights, np.asarray(code.luma, np.float64))[0, :, 0]
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_points_equal_the_grid_also_of_large_codes(monkeypatch):
    code = code_of(picture(40, 56))
    x, y = jnp.linspace(0, 56, 17), jnp.linspace(0, 40, 13)
    at = jnp.meshgrid(x, y)
    expected = codes.on_grid(code, x, y)
    np.testing.assert_allclose(codes.at_points(code, *at), expected, atol=2e-6)
    monkeypatch.setattr(codes, "_FEW", 0)
    np.testing.assert_allclose(codes.on_grid(code, x, y), expected, atol=2e-6)


def test_a_picture_in_a_larger_array_has_the_same_code():
    pixels = picture(24, 32)
    larger = np.random.default_rng(0).random((1, 48, 40, 3), np.float32)
    larger[0, :24, :32] = pixels
    found = jax.jit(codes.analyse)(larger, jnp.asarray([24, 32], jnp.int32))
    for part, whole, points in zip(found, code_of(pixels), (7, 2), strict=True):
        np.testing.assert_allclose(part[0, : 3 * points, : 4 * points], whole, atol=1e-5)


# ---- the field ---------------------------------------------------------------------------------------------


def test_degree_0_shows_the_photo_whatever_the_style(model, conditioned):
    other = ginr.condition(model, picture(), picture(seed=5))
    first, second = (np.asarray(jaxstyle.render_image(f, alpha=0.0)) for f in (conditioned, other))
    np.testing.assert_allclose(first, second, atol=1e-6)
    full = [np.asarray(jaxstyle.render_image(f)) for f in (conditioned, other)]
    assert np.abs(full[0] - full[1]).mean() > 0.02
    silent = dataclasses.replace(conditioned, shared=jax.tree.map(jnp.zeros_like, conditioned.shared))
    assert psnr(jaxstyle.render_image(silent, alpha=0.0), picture()) > 30


def test_with_the_photo_as_style_adain_is_the_identity(model):
    """Whatever the degree, features are those of the photo."""
    same = ginr.condition(model, picture(), picture())
    np.testing.assert_allclose(same.own.mean, same.target.mean, atol=1e-6)
    np.testing.assert_allclose(same.own.std, same.target.std, atol=1e-6)
    x, y = places.axis(60), places.axis(44)
    colour = codes.on_grid(same.content.code, *(fields.pixels(same.content, v, k) for k, v in enumerate((x, y))))
    features = fields.on_grid(same.content, same.spec, x, y, colour)
    scale = same.target.std / same.own.std
    change = scale, same.target.mean - same.own.mean * scale
    shown = [
        fields.colours(same.shared, features, colour, jnp.float32(a), change, jnp.float32) for a in (0.0, 0.6, 1.0)
    ]
    np.testing.assert_allclose(shown[1], shown[0], atol=1e-5)
    np.testing.assert_allclose(shown[2], shown[0], atol=1e-5)
    np.testing.assert_array_equal(np.clip(shown[0], 0, 1), same.on_grid(x, y, jnp.float32(0)))


def test_statistics_are_those_of_the_fixed_grid(conditioned):
    """A slow reference: F at the reference's points, one by one."""
    view, spec = conditioned.content, conditioned.spec
    coords = jnp.asarray(places.grid(32, 32))
    pixels = [(coords[..., k] + 1) / 2 * view.extent[k] for k in (0, 1)]
    found = fields.at_points(view, spec, coords, codes.at_points(view.code, *pixels)).reshape(-1, SMALL.features)
    np.testing.assert_allclose(conditioned.own.mean, found.mean(0), atol=1e-4)
    np.testing.assert_allclose(conditioned.own.std, found.std(0), atol=1e-3)


def test_chunks_windows_points_and_the_whole_are_one_function(conditioned):
    size, rng = (57, 49), np.random.default_rng(0)
    degree = rng.random((49, 57), np.float32)
    whole = np.asarray(jaxstyle.render_image(conditioned, size, degree))
    chunked = jaxstyle.render_image(conditioned, size, degree, chunk=100)
    part = jaxstyle.render_image(conditioned, size, degree, window=(5, 7, 30, 20))
    coords = places.grid(*size)
    np.testing.assert_allclose(chunked, whole, atol=1e-6)
    np.testing.assert_allclose(part, whole[7:20, 5:30], atol=1e-6)
    np.testing.assert_allclose(jaxstyle.render(conditioned, coords, degree), whole, atol=2e-6)
    np.testing.assert_allclose(jaxstyle.render(conditioned, coords, degree, chunk=64), whole, atol=2e-6)
    one = jax.vmap(lambda xy, a: jaxstyle.render(conditioned, xy, a))
    np.testing.assert_allclose(one(coords[3], degree[3]), whole[3], atol=2e-6)


def test_smaller_it_is_the_area_average_of_its_full_size(conditioned):
    alpha = places.resample(np.random.default_rng(0).random((5, 6), np.float32), places.axis(12), places.axis(10))
    for degree in (1.0, np.asarray(alpha)):
        spread = np.repeat(np.repeat(degree, 4, 0), 4, 1) if np.ndim(degree) else degree
        full = np.asarray(jaxstyle.render_image(conditioned, (48, 40), spread))
        wanted = full.reshape(10, 4, 12, 4, 3).mean((1, 3))
        found = jaxstyle.render_image(conditioned, (12, 10), degree)
        np.testing.assert_allclose(found, wanted, atol=1e-6)
    window = jaxstyle.render_image(conditioned, (12, 10), alpha, window=(3, 2, 9, 7), chunk=50)
    np.testing.assert_allclose(window, found[2:7, 3:9], atol=1e-6)


def test_one_pixel_of_the_map_changes_one_pixel(conditioned):
    degree = np.full((20, 24), 0.7, np.float32)
    before = np.asarray(jaxstyle.render_image(conditioned, (24, 20), degree))
    degree[11, 5] = 0.1
    changed = np.abs(np.asarray(jaxstyle.render_image(conditioned, (24, 20), degree)) - before).max(-1) > 1e-6
    assert changed[11, 5] and changed.sum() == 1


def test_degrees_mix_without_a_jump(conditioned):
    shown = np.stack([jaxstyle.render_image(conditioned, alpha=a) for a in np.linspace(0, 1, 11).tolist()])
    steps = np.abs(np.diff(shown, axis=0)).mean((1, 2, 3))
    assert steps.max() < 3 * steps.mean()


def test_the_field_sees_places_in_the_order_of_its_matrix():
    spec = fields.Spec(octaves=2, within=True)
    rng = np.random.default_rng(0)
    code = code_of(picture(16, 24))
    matrix = jnp.asarray(rng.normal(size=(fields.inputs(spec, 5), 7)), jnp.float32)
    context = jnp.asarray(rng.normal(size=(6, 6, 5)), jnp.float32)
    view = fields.View(code, context, matrix, jnp.float32([24, 16]))
    x, y = (jnp.asarray(places.axis(n), jnp.float32) for n in (9, 6))
    coords = jnp.stack(jnp.meshgrid(x, y), -1)
    colour = codes.on_grid(code, (x + 1) * 12, (y + 1) * 8)
    found = jax.jit(fields.on_grid, static_argnums=1)(view, spec, x, y, colour)
    plain = jax.jit(fields.at_points, static_argnums=1)(view, spec, coords, colour)
    np.testing.assert_allclose(found, plain, atol=1e-5)
    cell = np.asarray(jnp.stack([(x[4] + 1) * 12, (y[2] + 1) * 8])) * 2 * np.pi / 8
    seen = [
        colour[2, 4],
        places.spline_values(jnp.pad(context, ((1, 1), (1, 1), (0, 0)), mode="edge"), coords[2, 4]),
        places.encode(coords[2, 4], 2, np.pi),
    ]
    seen += [np.sin(cell), np.cos(cell), np.ones(1)]
    np.testing.assert_allclose(plain[2, 4], np.concatenate(seen) @ matrix, atol=1e-4)


# ---- conditioning ------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_it_starts_as_adain_does():
    """Before training full style shows what the AdaIN model paints, as far as the code holds it, if it looks once."""
    source, config = adain.load(), dataclasses.replace(SMALL, feedback=False)
    model = jax.jit(ginr.from_adain, static_argnames="config")(jax.random.key(0), source, config=config)
    photo, painting = picture(seed=3), picture(seed=2)
    expected = np.clip(adain.stylize(source, photo, adain.encode_style(source, painting)), 0, 1)
    assert psnr(jaxstyle.render_image(ginr.condition(model, photo, painting)), expected) > 26


def _corrected(model, photo, painting):
    """The moments of the photo's layers, of the style's, and what the painter is told to give them."""
    maps, seen = (network.encode(model, jnp.asarray(pixels)[None]) for pixels in (photo, painting))
    style = network.describe(model.params, model, seen, Moments(*jnp.zeros((2, 1, 8))))
    own = network.statistics(maps)
    told = conditioning.corrected(model.params, model, maps, style, own)
    return maps, own, network.statistics(seen), style, told


@pytest.mark.slow
def test_a_second_look_brings_the_painting_nearer_to_the_style():
    """By the measure of trainings, with the shipped weights; without it the painter is told the style's own moments."""
    names = ("content/chelsea.jpg", "style/starry_night.jpg")
    photo, painting = (jaxstyle.image.resize(jaxstyle.image.read(EXAMPLES / n).pixels, (96, 96)) for n in names)
    model, distance = ginr.load(), {}
    for feedback in (False, True):
        other = model if feedback else ginr.with_feedback(model, False)
        maps, own, wanted, style, told = jax.jit(_corrected)(other, photo, painting)
        painted = network.paint(other.params, other, network.restyle(maps, told, own))
        found = network.encode(other, jnp.clip(painted, 0, 1))
        distance[feedback] = float(style_loss(found, wanted, relative=True, before=own))
        if not feedback:
            jax.tree.map(np.testing.assert_array_equal, told, style.moments)
    assert distance[True] < 0.9 * distance[False], distance


def test_moments_are_changed_by_the_share_of_what_is_missing_of_each_channel():
    gain = {"mean": jnp.float32([0.5, 0.0]), "std": jnp.float32([1.0, 1.0])}
    parts = [[[1, 1]], [[2, 2]]], [[[3, 3]], [[4, 1]]], [[[1, 1]], [[1, 3]]]
    told, found, wanted = (Moments(*jnp.float32(part)) for part in parts)
    moved = conditioning._moved(gain, told, found, wanted)
    np.testing.assert_allclose(moved.mean, [[0, 1]])
    np.testing.assert_allclose(moved.std, [[0.5, 4]])  # 2 + (1 - 4) would be negative


def test_a_share_of_full_style_is_the_photo(model, conditioned):
    """The latent grids are linear in the picture; training leaves the share as it is."""
    feedback = {**model.params["feedback"], "full": jnp.float32(1)}
    whole = dataclasses.replace(model, params={**model.params, "feedback": feedback})
    painted = ginr.condition(whole, picture(), picture(seed=1)).styled
    for found, each, photo in zip(conditioned.styled, painted, code_of(picture(), codes.PAINTED), strict=True):
        np.testing.assert_allclose(found, 0.95 * each + 0.05 * photo, atol=1e-5)

    def mean(full):
        params = {"feedback": {"full": full}}
        return conditioning.shown(params, model, jnp.zeros((1, 8, 8, 3)), jnp.ones((1, 8, 8, 3))).mean()

    assert mean(jnp.float32(0.75)) == 0.75 and jax.grad(mean)(jnp.float32(0.75)) == 0


@pytest.mark.slow
def test_one_style_serves_all_photos(model):
    """As each photo by itself, and no gradient comes from what was missing."""
    photos = jnp.stack([picture(32, 32, seed=3), picture(32, 32, seed=4)])
    style = network.describe(
        model.params,
        model,
        network.encode(model, jnp.asarray(picture(32, 32, seed=5))[None]),
        Moments(*jnp.zeros((2, 1, 8))),
    )

    @jax.jit
    def told(photos, painter):
        maps = network.encode(model, photos)
        params = {**model.params, "painter": painter}
        return conditioning.corrected(params, model, maps, style, network.statistics(maps))["relu4_1"].mean

    painter = model.params["painter"]
    both, alone = told(photos, painter), [told(photo[None], painter)[0] for photo in photos]
    np.testing.assert_allclose(both, jnp.stack(alone), atol=2e-4)
    assert np.abs(both[0] - both[1]).max() > 1e-3
    change = jax.grad(lambda painter: told(photos, painter).sum())(painter)
    assert all(not np.any(leaf) for leaf in jax.tree.leaves(change))


def test_weights_of_before_the_second_look_are_read_as_they_were(model, tmp_path):
    file, plain = tmp_path / "model.safetensors", ginr.with_feedback(model, False)
    ginr.save(file, plain, licence="none")
    good = weights.load(file)
    config = json.loads(good.metadata["config"])
    del config["feedback"]
    weights.save(file, good.arrays, {"kind": ginr.KIND, "arch": "vgg16", "config": json.dumps(config)})
    found = ginr.load(str(file))
    assert found.config == plain.config
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-4), found.params, plain.params)


@pytest.mark.parametrize(
    ("height", "width"), [(33, 17), *(pytest.param(*size, marks=pytest.mark.slow) for size in ((1, 1), (3, 90)))]
)
def test_every_size_is_conditioned_on(model, height, width):
    field = ginr.condition(
        model, picture(height, width) if min(height, width) > 2 else smooth(height, width), picture()
    )
    assert field.size == (width, height)
    shown = np.asarray(jaxstyle.render_image(field))
    assert shown.shape == (height, width, 3) and np.isfinite(shown).all() and 0 <= shown.min() <= shown.max() <= 1
    assert jaxstyle.render_image(field, (11, 13), 0.5).shape == (13, 11, 3)


@pytest.mark.slow
def test_conditioning_has_gradients_in_both_pictures(model):
    """Also of a picture that is mirrored; traced it is what it is otherwise."""

    @jax.jit
    def shown(content, style):
        return jaxstyle.render_image(ginr.condition(model, content, style), (8, 8))

    photo, painting = jnp.asarray(picture(20, 17)), jnp.asarray(picture(seed=1))
    now = jaxstyle.render_image(ginr.condition(model, photo, painting), (8, 8))
    np.testing.assert_allclose(shown(photo, painting), now, atol=1e-5)
    for gradient in jax.grad(lambda *pair: shown(*pair).sum(), argnums=(0, 1))(photo, painting):
        assert np.isfinite(gradient).all() and np.abs(gradient).max() > 0


def test_traced_pictures_are_conditioned_on(model):
    field = jax.eval_shape(partial(ginr.condition, model), np.zeros((20, 17, 3)), np.zeros((40, 48, 3)))
    assert field.size == (17, 20) and field.styled.luma.shape == (24, 24, 1)


def test_what_is_mirrored_is_not_shown(model):
    """Of 33 x 17 pixels the same lies at the edges as of the multiple of 8."""
    photo = picture(33, 17)
    field = ginr.condition(model, photo, picture())
    silent = dataclasses.replace(field, shared=jax.tree.map(jnp.zeros_like, field.shared))
    assert psnr(jaxstyle.render_image(silent, alpha=0.0), photo) > 27


def test_budget(conditioned):
    """At 256 pixels; the code grows with the picture, the rest does not."""
    assert ginr.numbers(conditioned) == 49 * 30 + 8 * 30 + 16 * 4 + fields.inputs(conditioned.spec, 4) * 8
    full = ginr.Config()
    rest = full.tokens**2 * full.context + fields.inputs(full.spec, full.context) * full.features
    assert (49 + 8) * 32 * 32 + rest == 64_896


def test_parameters_of_the_shipped_configuration():
    model = ginr.Model({}, {})
    shapes = jax.eval_shape(ginr.init, jax.eval_shape(jax.random.key, 0), model)
    assert 4e6 < sum(leaf.size for leaf in jax.tree.leaves(shapes)) < 12e6


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((np.zeros((2, 8, 8, 3), np.float32), np.zeros((8, 8, 3), np.float32)), r"^content: expected one picture"),
        ((np.zeros((8, 8, 3), np.float32), np.zeros((8, 8), np.float32)), r"^style: expected an image"),
        ((np.zeros((8, 8, 3), np.float32), np.full((8, 8, 3), np.nan, np.float32)), r"^style: "),
    ],
)
def test_no_pictures(model, arguments, message):
    with pytest.raises(ValueError, match=message):
        ginr.condition(model, *arguments)


@pytest.mark.parametrize(
    ("fields_", "message"),
    [({"tokens": 0}, "tokens: expected at least 1, got 0"), ({"heads": 5}, "heads: expected a divisor of width, 192")],
)
def test_configurations_that_cannot_be_built(fields_, message):
    with pytest.raises(ValueError, match=message):
        ginr.Config(**fields_)


# ---- the paper's configuration, and the method's interface -------------------------------------------------


@pytest.fixture(scope="module")
def whole():
    """A small model of the paper's configuration, whose pictures differ."""
    small = ginr.Whole(view=16, patch=4, width=16, depth=1, heads=2, weight_tokens=3, octaves=4, hidden=12, layers=4)
    model = ginr.Model({}, {}, small)
    params = jax.jit(ginr.init)(jax.random.key(0), model)
    vectors = params["transformer"]["vectors"]
    vectors = {**vectors, "kernel": jax.random.normal(jax.random.key(1), vectors["kernel"].shape)}
    return dataclasses.replace(model, params={**params, "transformer": {**params["transformer"], "vectors": vectors}})


def test_the_papers_field_is_a_picture_like_others(whole, tmp_path):
    field, other, same = (ginr.condition(whole, picture(), picture(seed=seed)) for seed in (1, 2, 0))
    shown = [np.asarray(jaxstyle.render_image(f, (60, 44), alpha=0.0)) for f in (field, other)]
    np.testing.assert_array_equal(*shown)
    full = [np.asarray(jaxstyle.render_image(f, (60, 44))) for f in (field, other, same)]
    assert np.abs(full[0] - full[1]).max() > 0.01
    np.testing.assert_allclose(full[2], shown[0], atol=1e-5)  # AdaIN with the photo's own statistics
    degree = np.random.default_rng(0).random((44, 60), np.float32)
    mapped = np.asarray(jaxstyle.render_image(field, (60, 44), degree))
    # without the compiler's optimisations sums of a matrix product depend a little on how many rows it has
    np.testing.assert_allclose(jaxstyle.render_image(field, (60, 44), degree, chunk=50), mapped, atol=3e-6)
    np.testing.assert_allclose(jaxstyle.render(field, places.grid(60, 44), degree), mapped, atol=3e-6)
    with pytest.raises(ValueError, match="field: only pictures of the local configuration are kept in files"):
        ginr.save_picture(tmp_path / "picture.safetensors", field)


def test_the_instance_matrix_is_of_low_rank(whole):
    pictures = jnp.stack([jnp.asarray(picture(seed=seed)) for seed in range(2)])
    one, two = np.asarray(ginr.whole.matrices(whole.params, whole.config, pictures))
    assert np.linalg.matrix_rank(one - two, tol=1e-4) == 3


def test_a_model_of_the_paper_in_a_file(whole, tmp_path):
    file = str(tmp_path / "paper.safetensors")
    ginr.save(file, whole, licence="none")
    again = ginr.load(file)
    assert again.config == whole.config
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-4), again.params, whole.params)


@pytest.mark.parametrize("name", ["whole", pytest.param("model", marks=pytest.mark.slow)])
def test_the_method_paints_what_conditioning_renders(name, request):
    """At the picture's own pixels, also where it is no multiple of the stride; large ones from a smaller one."""
    model = request.getfixturevalue(name)
    photo, painting = picture(33, 43), picture(seed=1)
    style = ginr.encode_styles(model, painting[None], np.int32([[40, 48]]))
    field = ginr.condition(model, photo, painting)
    pixels = np.pad(photo, ((0, 15), (0, 5), (0, 0)), mode="symmetric")[None]
    rest = np.int32([0, 0]), np.int32([0, 40, 0, 48]), np.int32([33, 43])
    for alpha in (1.0, 0.4):
        window = Window(pixels, *rest, np.float32([[[[alpha]]]]))
        found = jax.jit(lambda window: ginr.paint(model, ginr.encode_window(model, window), style, (), window))(window)
        shown = jaxstyle.render_image(field, alpha=alpha)
        np.testing.assert_allclose(np.clip(found[0, :33, :43], 0, 1), shown, atol=2e-3)


@pytest.mark.slow
def test_large_pictures_are_conditioned_on_at_less_than_their_size(model, monkeypatch):
    photo, painting = smooth(70, 110), picture(seed=1)
    style = ginr.encode_styles(model, painting[None], np.int32([[40, 48]]))
    pixels = np.pad(photo, ((0, 10), (0, 2), (0, 0)), mode="symmetric")[None]
    rest = np.int32([0, 0]), np.int32([0, 72, 0, 112]), np.int32([70, 110]), np.float32([[[[1.0]]]])
    found = {}
    for most in (1024**2, 40 * 56):
        monkeypatch.setattr(ginr.windows, "LARGEST", most)
        window = Window(pixels, *rest)
        found[most] = np.asarray(ginr.paint(model, ginr.encode_window(model, window), style, (), window))[0, :70, :110]
    reduced = np.asarray(ginr.windows._seen(window).pixels)[0, :35, :55]
    np.testing.assert_allclose(reduced, jaxstyle.image.resize(photo, (35, 55)), atol=2e-3)  # but for its edges
    shown = np.asarray(jaxstyle.render_image(ginr.condition(model, reduced, painting), (110, 70)))
    np.testing.assert_allclose(np.clip(found[40 * 56], 0, 1), shown, atol=2e-3)
    assert np.abs(found[1024**2] - found[40 * 56]).max() > 0.05


@pytest.mark.parametrize("size", [(70, 62), (71, 45), (140, 60)])
def test_large_pictures_are_reduced_to_as_many_pixels_as_are_conditioned_on(monkeypatch, size):
    """Not to a quarter of them where they are a little larger."""
    monkeypatch.setattr(ginr.windows, "LARGEST", 64 * 48)
    sides = tuple(-(-side // 8) * 8 for side in size)
    by = np.sqrt(np.prod(sides) / (64 * 48))

    def wave(counts, width):
        """Values at pixel centres, half a wave down and a whole one across."""
        return 0.5 + 0.3 * np.outer(
            *(
                np.cos(np.pi * k * (np.arange(n) + 0.5) * width / s)
                for k, n, s in zip((1, 2), counts, size, strict=True)
            )
        )

    pixels = np.full((1, *sides, 3), 7, np.float32)  # what is beyond the picture means nothing
    pixels[0, : size[0], : size[1]] = wave(size, 1)[..., None]
    rest = np.int32([0, 0]), np.int32([0, sides[0], 0, sides[1]]), np.int32(size), np.float32([[[[1.0]]]])
    seen = jax.jit(ginr.windows._seen)(Window(pixels, *rest))
    inside = [int(np.ceil(side / by)) for side in size]
    assert 0.9 < np.prod(seen.pixels.shape[1:3]) / (64 * 48) < 1.3
    np.testing.assert_allclose(seen.extent, np.array(size[::-1]) / by, rtol=1e-6)
    np.testing.assert_allclose(seen.pixels[0, : inside[0], : inside[1], 0], wave(inside, by), atol=5e-3)
    filled = np.asarray(seen.pixels[0, ..., 0])
    for axis, count in enumerate(inside):
        line, back = (np.take(filled, at, axis) for at in (count, count - 1))
        np.testing.assert_array_equal(line, back)  # mirrored


# ---- files -------------------------------------------------------------------------------------------------


def test_a_picture_in_a_file_is_the_same_bit_for_bit(conditioned, tmp_path):
    file = tmp_path / "picture.safetensors"
    ginr.save_picture(file, conditioned)
    again = ginr.load_picture(file)
    assert jax.tree.structure(again) == jax.tree.structure(conditioned)
    jax.tree.map(np.testing.assert_array_equal, again, conditioned)


def test_render_file_opens_it(conditioned, tmp_path):
    ginr.save_picture(tmp_path / "picture.safetensors", conditioned)
    report = jaxstyle.render_file(tmp_path / "picture.safetensors", tmp_path / "out.png", (60, 50), 0.8, tile=32)
    assert (report.width, report.height, report.tiles) == (60, 50, 4)
    shown = np.asarray(jaxstyle.render_image(conditioned, (60, 50), 0.8))
    np.testing.assert_allclose(jaxstyle.image.read(tmp_path / "out.png").pixels, shown, atol=0.51 / 255)
    with pytest.raises(ValueError, match=r"fit: expected the parameters of one picture, got moments of shape \(2, 8\)"):
        jaxstyle.render_file(jax.tree.map(lambda leaf: jnp.stack([leaf] * 2), conditioned), tmp_path / "two.png")


def test_damaged_pictures_are_one_line(conditioned, tmp_path):
    file = tmp_path / "picture.safetensors"
    ginr.save_picture(file, conditioned)
    good = weights.load(file)
    facts = {k: v for k, v in good.metadata.items() if k in ("kind", "size", "spec", "licence")}
    for change, words in (
        (
            {"arrays": {k: v for k, v in good.arrays.items() if k != "context"}},
            "are not those of a conditioned picture",
        ),
        ({"arrays": {**good.arrays, "matrix": good.arrays["matrix"][1:]}}, "are not those of a conditioned picture"),
        ({"arrays": {**good.arrays, "extent": np.float32([np.nan, 1])}}, "are not those of a conditioned picture"),
        ({"size": "0x3"}, "expected WIDTHxHEIGHT as its metadata 'size', found '0x3'"),
        ({"spec": '{"colour": 1}'}, "are not those of a conditioned picture"),
    ):
        arrays = change.pop("arrays", good.arrays)
        weights.save(file, arrays, facts | change)
        with pytest.raises(weights.WeightsError, match=words) as caught:
            jaxstyle.render_file(file, tmp_path / "out.png")
        assert "\n" not in str(caught.value)
    assert not (tmp_path / "out.png").exists()
    broken = dataclasses.replace(conditioned, own=Moments(conditioned.own.mean * np.nan, conditioned.own.std))
    with pytest.raises(ValueError, match=r"field: own\.mean holds values that are not finite"):
        ginr.save_picture(file, broken)


def test_weights_with_another_config_are_refused(model, tmp_path):
    file = tmp_path / "model.safetensors"
    ginr.save(file, model, licence="none")
    again = ginr.load(str(file))
    assert again.config == SMALL
    good = weights.load(file)
    for config, words in (
        (json.dumps(dataclasses.asdict(SMALL) | {"width": 32}), "expected shape"),
        ('{"breadth": 1}', "config: .*breadth"),
        ('{"width": "16"}', "config: width: expected a whole number, got '16'"),
        ("[]", "config: "),
        ("", "config: "),
    ):
        weights.save(file, good.arrays, {"kind": ginr.KIND, "arch": "vgg16", "config": config})
        with pytest.raises(weights.WeightsError, match=words) as caught:
            ginr.load(str(file))
        assert "\n" not in str(caught.value)
