"""Detail of enlarged renders: the coarse picture and the photo stay, noise has no period, windows and points agree."""

import dataclasses
import json
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxstyle import image, weights
from jaxstyle.methods.inr import detail, files
from jaxstyle.methods.inr.network import Spec, evaluate, init
from jaxstyle.methods.inr.rendering import render, render_image
from jaxstyle.nets import coords
from jaxstyle.painting.rendering import render_file

SPEC = Spec(octaves=2, latent=4, width=16, depth=2, skip=0, bottleneck=8, grids=(4,), detail=5)
SIZE = (30, 20)  # width, height


@pytest.fixture(scope="module")
def params():
    """A picture whose detail is strong."""
    made = init(jax.random.key(0), SPEC, size=SIZE)
    rng = np.random.default_rng(0)
    last = {part: jnp.asarray(rng.normal(size=v.shape), jnp.float32) for part, v in made.network["detail"].items()}
    points = jnp.asarray(rng.normal(size=(7, 7, 2)), jnp.float32)
    return dataclasses.replace(made, network=made.network | {"detail": last, "flow": {"points": points}})


@pytest.fixture(scope="module")
def plain(params):
    """The same without detail."""
    network = {name: layer for name, layer in params.network.items() if name not in (*detail.NAMES, detail.FLOW)}
    return dataclasses.replace(params, network=network, spec=dataclasses.replace(SPEC, detail=0))


# ---- pictures ----------------------------------------------------------------------------------------------


def test_the_coarse_picture_and_smaller_ones_stay_bit_for_bit(params, plain):
    for size in (SIZE, (15, 10), (90, 15)):  # of the last one a pixel is no square
        np.testing.assert_array_equal(render_image(params, size), render_image(plain, size))


def test_the_photo_stays_bit_for_bit_at_every_size(params, plain):
    for size in ((75, 50), (240, 160)):
        np.testing.assert_array_equal(render_image(params, size, 0.0), render_image(plain, size, 0.0))
        alpha = np.linspace(0, 1, size[0] * size[1], dtype=np.float32).reshape(size[::-1]).round()
        half, full = (np.asarray(render_image(p, size, alpha)) for p in (params, plain))
        np.testing.assert_allclose(half[alpha == 0], full[alpha == 0], atol=1e-6)
        assert np.abs(half - full)[alpha == 1].mean() > 0.02


@pytest.mark.parametrize("zoom", [1.3, 2.0, 4.0, 20.0])
def test_an_enlargement_has_detail_that_grows_with_the_degree_of_style(params, plain, zoom):
    size = tuple(round(zoom * side) for side in SIZE)
    change = [
        float(jnp.abs(render_image(params, size, a) - render_image(plain, size, a)).mean()) for a in (0.2, 0.6, 1)
    ]
    assert 1e-3 < change[0] < change[1] < change[2]


def test_windows_regions_and_chunks_are_parts_of_the_whole(params):
    whole = np.asarray(render_image(params, (120, 80)))
    window = render_image(params, (120, 80), window=(30, 7, 71, 60))
    np.testing.assert_allclose(window, whole[7:60, 30:71], atol=1e-5)
    region = render_image(params, (60, 40), region=(-1, -1, 0, 0))
    np.testing.assert_allclose(region, whole[:40, :60], atol=1e-5)
    np.testing.assert_allclose(render_image(params, (120, 80), chunk=97), whole, atol=1e-5)
    np.testing.assert_allclose(render_image(params, (120, 80), devices=jax.devices()[:3]), whole, atol=1e-5)


def test_a_picture_is_its_points_at_the_same_distance(params):
    whole, at = np.asarray(render_image(params, (90, 60), 0.7)), coords.grid(90, 60)
    np.testing.assert_allclose(render(params, at, 0.7, zoom=3.0), whole, atol=1e-5)
    finest = render_image(params, (240, 160))
    np.testing.assert_allclose(render(params, coords.grid(240, 160)), finest, atol=1e-5)
    with pytest.raises(ValueError, match=r"^zoom: expected a positive number, got 0"):
        render(params, at, zoom=0)


def test_jit_is_eager(params):
    at, seen = jnp.asarray(coords.grid(12, 9)), detail.view(SIZE, 4.0)
    compiled = jax.jit(lambda p, at: evaluate(p, at, jnp.float32(0.8), seen=seen))(params, at)
    with jax.disable_jit():
        eager = evaluate(params, at, jnp.float32(0.8), seen=seen)
    np.testing.assert_allclose(compiled, eager, atol=2e-5)


def test_a_file_of_an_enlargement_is_the_picture(params, tmp_path):
    render_file(params, tmp_path / "out.png", (90, 60), tile=32, bits=16)
    found = image.read(tmp_path / "out.png").pixels
    np.testing.assert_allclose(found, render_image(params, (90, 60)), atol=1e-4)


def test_bfloat16_is_close(params):
    exact, rough = (render_image(params, (90, 60), dtype=t) for t in (jnp.float32, jnp.bfloat16))
    assert 0 < np.abs(exact - rough).mean() < 0.02


# ---- noise -------------------------------------------------------------------------------------------------


def line(length=4096, step=0.25, zoom=8.0, angle=0.0):
    """Noise along a line, in a picture without edges: (points, octaves, fields)."""
    at = jnp.arange(length, dtype=jnp.float32)[:, None] * jnp.array([[step, 0.1 * step]], jnp.float32)
    flow = jnp.broadcast_to(jnp.array([math.cos(2 * angle), math.sin(2 * angle)], jnp.float32), at.shape)
    found = jax.jit(detail.noise)(at, flow, jnp.float32(zoom))
    return np.asarray(found).reshape(length, detail.OCTAVES, detail.FIELDS)


def test_noise_has_no_period_and_no_mean():
    found = line()
    assert np.abs(found).max() <= 1.2
    for octave in range(detail.OCTAVES):
        for field in range(4):
            values = found[:, octave, field]
            assert values.std() > 0.05
            assert field == 2 or abs(values.mean()) < 0.15  # of overlapping strokes the higher ones are seen
            values = (values - values.mean()) / values.std()
            spectrum = np.abs(np.fft.rfft(values, 2 * len(values))) ** 2
            correlation = np.fft.irfft(spectrum)[: len(values) // 2] / len(values)
            cell = round(detail.COARSEST / 2.0 ** (detail.OCTAVES - 1 - octave) / 0.25)
            assert correlation[0] == pytest.approx(1, abs=0.01)
            assert np.abs(correlation[2 * cell * round(detail.STRETCH) + 8 :]).max() < 0.5


def test_strokes_lie_along_the_flow():
    def reach(angle):
        """Correlation of a stroke's own value at some distance along the line."""
        values = line(2000, 0.5, angle=angle)[:, -1, 2]
        return np.corrcoef(values[:-6], values[6:])[0, 1]

    assert reach(0.1) > 0.35 and reach(0.1 + math.pi / 2) < 0.2


def test_enlarged_further_an_octave_keeps_its_noise_at_the_next_place():
    """A zoom of 4 beside one of 2: what entered at a place enters at the next one, and one more comes in."""
    at = jnp.asarray(np.random.default_rng(0).uniform(0, 200, (500, 2)), jnp.float32)
    flow = jnp.ones_like(at)
    two, four = (np.asarray(detail.noise(at, flow, jnp.float32(z))).reshape(500, 4, 7) for z in (2, 4))
    np.testing.assert_allclose(four[:, 1:3, :2], two[:, :2, :2], atol=1e-6)  # clouds
    np.testing.assert_allclose(four[:, 1:3, 6], two[:, :2, 6], atol=1e-6)  # to the stroke's edge
    assert np.abs(two[:, 2:]).max() < 1e-6 and np.abs(four[:, 3]).max() < 1e-6 and np.abs(four[:, 0]).max() > 0.5


def test_noise_changes_smoothly_with_the_zoom():
    at = jnp.asarray(np.random.default_rng(0).uniform(0, 200, (500, 2)), jnp.float32)
    for zoom in (1.0, 1.7, 2.0, 4.0, 5.5):
        low, high = (detail.noise(at, jnp.ones_like(at), jnp.float32(zoom * f)) for f in (0.999, 1.001))
        assert np.abs(low - high).max() < 0.02


def hashed(i, j, seed):
    h = (i * 0x9E3779B1 + j * 0x85EBCA77 + seed * 0x27D4EB2F + 0x165667B1) % 2**32
    h = (h ^ (h >> 16)) * 0x85EBCA6B % 2**32
    h = (h ^ (h >> 13)) * 0xC2B2AE35 % 2**32
    return h ^ (h >> 16)


def test_strokes_are_a_power_diagram():
    """Beside a search among more cells in Python."""
    at = np.random.default_rng(0).uniform(-20, 20, (60, 2))
    x, y = (jnp.asarray(at[:, k], jnp.float32) for k in (0, 1))
    found = np.asarray(detail._strokes(x, y, jnp.float32(1e6), jnp.uint32(5)))
    for k, (u, v) in enumerate(np.asarray(jnp.stack([x, y], -1), np.float64)):
        ranks = []
        for i in range(math.floor(u) - 2, math.floor(u) + 3):
            for j in range(math.floor(v) - 2, math.floor(v) + 3):
                bits = [(hashed(i, j, 5) >> shift & 255) / 127.5 - 1 for shift in (0, 8, 16, 24)]
                along, across = u - (i + 0.5 + 0.4 * bits[0]), v - (j + 0.5 + 0.4 * bits[1])
                ranks.append((0.3 * bits[2] - along**2 - across**2, bits[2], bits[3], along, across))
        ranks.sort(reverse=True)
        edge = ranks[0][0] - ranks[1][0]
        np.testing.assert_allclose(found[:4, k], ranks[0][1:], atol=1e-4)
        assert found[4, k] == pytest.approx(min(2 * edge, 1), abs=1e-4)


# ---- files -------------------------------------------------------------------------------------------------


def test_a_file_keeps_detail(params, tmp_path):
    files.save(tmp_path / "fit.safetensors", params)
    found = files.load(tmp_path / "fit.safetensors")
    assert (found.spec, found.size) == (SPEC, SIZE)
    jax.tree.map(np.testing.assert_array_equal, found, params)


def test_a_file_from_before_there_was_detail_opens(plain, tmp_path):
    files.save(tmp_path / "fit.safetensors", plain)
    kept = weights.load(tmp_path / "fit.safetensors")
    spec = {name: value for name, value in json.loads(kept.metadata["spec"]).items() if name != "detail"}
    metadata = {name: kept.metadata[name] for name in ("kind", "size")} | {"spec": json.dumps(spec)}
    weights.save(tmp_path / "old.safetensors", kept.arrays, metadata)
    found = files.load(tmp_path / "old.safetensors")
    np.testing.assert_array_equal(render_image(found, (60, 40)), render_image(plain, (60, 40)))


def test_a_file_that_says_it_has_detail_must_have_it(plain, tmp_path):
    files.save(tmp_path / "fit.safetensors", plain)
    kept = weights.load(tmp_path / "fit.safetensors")
    for cells in (5, 10**9):
        spec = json.loads(kept.metadata["spec"]) | {"detail": cells}
        metadata = {name: kept.metadata[name] for name in ("kind", "size")} | {"spec": json.dumps(spec)}
        weights.save(tmp_path / "false.safetensors", kept.arrays, metadata)
        with pytest.raises(weights.WeightsError, match="its arrays are not those of the network"):
            files.load(tmp_path / "false.safetensors")
    with pytest.raises(ValueError, match=r"^detail: expected a whole number of at least 0, got -1"):
        Spec(detail=-1)
