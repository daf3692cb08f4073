import json
import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxstyle import image, methods
from jaxstyle.image.windows import ArraySource, Source
from jaxstyle.methods import adain
from jaxstyle.methods.interface import Loaded, mirrored
from jaxstyle.painting import paint as module
from jaxstyle.painting.paint import Job, paint
from jaxstyle.painting.picture import default_model
from jaxstyle.painting.plan import Place, bucket, plan_tiles, plan_whole
from jaxstyle.painting.shares import Shares
from jaxstyle.runtime import scratch
from tests import recolour

RNG = np.random.default_rng(0)


def photo(height, width, seed=0):
    """Dark and flat at the left, bright and rough at the right: tiles with their own statistics would show."""
    rng = np.random.default_rng(seed)
    x = np.linspace(0, 1, width)[None, :, None]
    waves = np.sin(np.arange(height)[:, None, None] / 9 + 20 * x + np.arange(3))
    return np.clip(0.1 + 0.7 * x + x * (0.15 * waves + rng.normal(0, 0.1, (height, width, 3))), 0, 1).astype(np.float32)


def picture(height, width, seed=0):
    rng = np.random.default_rng(seed)
    coarse = np.kron(rng.random((height // 4 + 1, width // 4 + 1, 3), np.float32), np.ones((4, 4, 1), np.float32))
    return np.clip(coarse[:height, :width] + rng.normal(0, 0.05, (height, width, 3)), 0, 1).astype(np.float32)


@pytest.fixture(scope="module")
def loaded():
    return default_model()


@pytest.fixture(scope="module")
def styles(loaded):
    rng = np.random.default_rng(1)
    blocks = [np.kron(rng.random((8, 8, 3), np.float32), np.ones((8, 8, 1), np.float32)) for _ in range(2)]
    return [adain.encode_style(loaded.model, block) for block in blocks]


@pytest.fixture(scope="module")
def small(loaded, styles):
    """A picture, and what it becomes as a whole."""
    content = (photo(203, 331) * 255).astype(np.uint8)
    return content, np.asarray(adain.stylize(loaded.model, content, styles[0], 0.75))


@pytest.fixture
def operation_by_operation():
    """Compiles operations, which are the same for all options, instead of programs."""
    with jax.disable_jit():
        yield


def bands(loaded, content, style, alpha=1.0, shares=None, *, tile=None, **options):
    """In tiles, or as one window."""
    source = content if isinstance(content, Source) else ArraySource(np.asarray(content))
    extent, needs = source.shape[:2], loaded.needs
    parts = Shares(alpha, np.ones(1) if shares is None else shares, extent, needs.stride)
    plan = plan_whole(*extent, needs) if tile is None else plan_tiles(*extent, needs, tile)
    return paint(loaded, Job(source, style, parts, plan), **options)


def joined(*args, **kwargs):
    return np.concatenate(list(bands(*args, **kwargs)))


def close(found, expected, atol=0.02 / 255):
    np.testing.assert_allclose(np.asarray(found), np.asarray(expected), atol=atol)


# ---- tiles -------------------------------------------------------------------------------------------------


def test_equals_the_whole_picture(loaded, styles, small):
    content, expected = small
    steps = []
    found = list(bands(loaded, content, styles[0], 0.75, tile=80, progress=lambda *step: steps.append(step)))
    assert all(band.dtype == np.float32 and band.shape[1:] == (331, 3) and len(band) <= 80 for band in found)
    assert steps == [(n + 1, 21) for n in range(21)]  # 2 x 3 windows, then 3 x 5 tiles
    close(np.concatenate(found), expected)


def test_a_full_disk_costs_time_only(loaded, styles, small, tmp_path, monkeypatch):
    write, count = scratch.Scratch.write, 0

    def write_until_full(self, *args):
        nonlocal count
        count += 1
        if count == 3:
            self._file.close()
            self._file = open("/dev/full", "r+b")  # noqa: SIM115
        write(self, *args)

    monkeypatch.setattr(scratch.Scratch, "write", write_until_full)
    found = joined(loaded, ArraySource(small[0]), styles[0], 0.75, tile=80, scratch=tmp_path)
    assert count == 3
    close(found, small[1])


@pytest.mark.slow
def test_maps_and_several_styles_in_tiles(loaded, styles, tmp_path):
    height, width = 645, 701
    content, rng = photo(height, width), np.random.default_rng(2)
    alpha = np.linspace(0, 1, height * width, dtype=np.float32).reshape(height, width)
    shares = np.zeros((height, width, 2), np.float32)
    shares[:, : width // 2, 0] = 1
    shares[100:, width // 3 :, 1] = rng.random((height - 100, width - width // 3), np.float32)
    shares[..., 1] = np.minimum(shares[..., 1], 1 - shares[..., 0])
    both = adain.stack(styles)
    expected = np.asarray(adain.stylize(loaded.model, content, both, alpha, shares=shares))
    window = lambda top, bottom, left, right: alpha[top:bottom, left:right]  # noqa: E731
    close(
        joined(loaded, content, both, window, shares, tile=256, scratch=tmp_path), expected, 0.02 / 255
    )  # of 1.4 million values one differs by 0.011: rounding
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
@pytest.mark.parametrize(("height", "width", "tile"), [(9, 9, 8), (9, 150, 24), (640, 130, 1024), (645, 701, 192)])
def test_any_size_and_any_tile(loaded, styles, height, width, tile, tmp_path):
    content = photo(height, width)
    expected = np.asarray(adain.stylize(loaded.model, content, styles[0]))
    for folder in (None, tmp_path):
        close(joined(loaded, content, styles[0], tile=tile, scratch=folder), expected)


@pytest.mark.slow
def test_concatenated_features_in_tiles(loaded, key, tmp_path):
    bare = loaded.model.replace(fusion="concat", decoder={})
    shapes = jax.eval_shape(adain.init_decoder, key, bare)
    rng = np.random.default_rng(0)
    draw = lambda leaf: rng.normal(0, (2 / np.prod(leaf.shape[:-1])) ** 0.5, leaf.shape).astype(np.float32)  # noqa: E731
    other = bare.replace(decoder=jax.tree.map(draw, shapes))
    style = adain.encode_style(other, photo(50, 70, 3))
    content = photo(100, 170)
    expected = np.asarray(adain.stylize(other, content, style, 0.5))
    for folder in (None, tmp_path):
        found = joined(methods.loaded(other), content, style, 0.5, tile=48, scratch=folder)
        close(found, expected, 0.02 / 255)


@pytest.mark.parametrize(("height", "width"), [(1, 3), (9, 16), (21, 30)])
def test_windows_are_mirrored_like_the_whole_picture(loaded, height, width):
    pixels = np.random.default_rng(0).random((height, width, 3), np.float32)
    whole = mirrored(pixels[None], loaded.needs.stride, loaded.needs.smallest)[0]
    np.testing.assert_array_equal(mirrored(jnp.asarray(pixels)[None], adain.STRIDE, adain.SMALLEST)[0], whole)
    shares = Shares(1, np.ones(1), (height, width), 8)
    canvas = module.Canvas(Job(ArraySource(pixels), None, shares, plan_tiles(height, width, loaded.needs, 8)))
    tall, wide = whole.shape[:2]
    core = (0, tall, 0, wide)
    np.testing.assert_array_equal(canvas.window(Place(0, 0, core), (tall, wide)).pixels[0], whole)
    corner = canvas.window(Place(tall - 8, wide - 8, core), (8, 8))
    np.testing.assert_array_equal(corner.pixels[0], whole[-8:, -8:])
    assert (corner.corner.tolist(), corner.core.tolist()) == ([tall - 8, wide - 8], list(core))
    assert corner.extent.tolist() == [height, width]


def test_errors_come_before_the_work(loaded, styles):
    content, two = np.zeros((32, 40, 3), np.float32), adain.stack(styles)
    concat = methods.loaded(loaded.model.replace(fusion="concat"))
    unknown = methods.loaded(loaded.model.replace(fusion="x"))
    for message, args, options in (
        ("tile: expected a positive multiple of 8 pixels, got 100", (loaded, content, styles[0]), {"tile": 100}),
        ("tile: expected a positive multiple of 8 pixels, got 0", (loaded, content, styles[0]), {"tile": 0}),
        (r"source: expected a picture \(H, W, 3\), got shape \(32, 40\)", (loaded, content[..., 0], styles[0]), {}),
        ("source: expected an array .* got shape ", (loaded, content[:0], styles[0]), {}),
        ("shares: expected 2, one per style, got 1", (loaded, content, two), {}),
        ("shares: expected 2, one per style, got 3", (loaded, content, two), {"shares": np.full(3, 0.2)}),
        ("alpha: expected values in", (loaded, content, styles[0], 1.5), {}),
        (
            "tile: this model looks at the whole picture",
            (methods.loaded(loaded.model.replace(norm="instance")), content, styles[0]),
            {"tile": 32},
        ),
        ("style: this model takes one style, got 2", (concat, content, two), {"shares": np.ones(2) / 2}),
    ):
        with pytest.raises(ValueError, match=message):
            bands(*args, **options)
    for message, args in (
        ("fusion: expected 'adain' or 'concat', got 'x'", (unknown, content, styles[0])),
        ("fusion='concat' needs the style's features", (concat, content, styles[0])),
    ):
        with pytest.raises(ValueError, match=message):
            joined(*args)


@pytest.mark.slow
def test_no_seams_at_2048(loaded, styles, tmp_path):
    content = photo(2048, 2048)
    expected = np.asarray(adain.stylize(loaded.model, content, styles[0]))
    for tile in (512, 1024):
        found = joined(loaded, content, styles[0], tile=tile, scratch=tmp_path)
        assert np.abs(found - expected).max() < 0.1 / 255


MEMORY = """
import json, sys
import numpy as np
from jaxstyle.image import stream, windows
from jaxstyle.methods import adain
from jaxstyle.methods.adain import inference
from jaxstyle.methods.interface import Loaded
from jaxstyle.painting.paint import Job, paint
from jaxstyle.painting.picture import default_model
from jaxstyle.painting.plan import plan_tiles
from jaxstyle.painting.shares import Shares
loaded = default_model()
style = adain.encode_style(loaded.model, np.random.default_rng(0).random((64, 64, 3), np.float32))
with windows.open_large(sys.argv[1]) as picture:
    height, width = picture.pixels.shape[:2]
    plan = plan_tiles(height, width, loaded.needs, 512)
    job = Job(picture.pixels, style, Shares(1.0, np.ones(1), (height, width), 8), plan)
    stream.write(sys.argv[2], stream.Rows(paint(loaded, job, scratch=sys.argv[3]), height, width))
lines = open("/proc/self/status").read().splitlines()  # ru_maxrss would begin with that of the process before
peak = next(int(line.split()[1]) << 10 for line in lines if line.startswith("VmHWM:"))
print(json.dumps({"peak": peak, "height": height, "width": width}))
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_memory_does_not_grow_with_the_picture(loaded, tmp_path):
    peaks = []
    for height in (1024, 4096):
        source, target = tmp_path / f"{height}.png", tmp_path / f"{height}_out.png"
        pixels = np.random.default_rng(0).integers(0, 256, (height, 2048, 3), np.uint8)
        image.write(source, pixels)
        command = [sys.executable, "-c", MEMORY, str(source), str(target), str(tmp_path)]
        found = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
        assert (found["height"], found["width"]) == (height, 2048)
        peaks.append(found["peak"])
    assert peaks[1] - peaks[0] < 3 * 3072 * 2048 * 4  # the picture itself, in 8 bits, twice while it is decoded
    assert peaks[1] < 4096 * 2048 * loaded.needs.bytes_per_pixel / 4


# ---- one window, of a size that others share ---------------------------------------------------------------


def encoded(loaded, pixels):
    """A style in its bucket."""
    sides = pixels.shape[:2]
    grow = [(0, n - m) for n, m in zip(bucket(*sides, loaded.needs.stride), sides, strict=True)]
    laid = np.pad(pixels, [*grow, (0, 0)], mode="symmetric")
    return loaded.method.encode_style(loaded.model, laid[None], np.asarray([sides]))


@pytest.mark.slow
def test_one_program_serves_the_sizes_of_a_bucket_and_changes_nothing(loaded):
    """Up to the border: pictures smaller than one position, of whole positions, and as large as the bucket."""
    style, expected = (
        encoded(loaded, picture(13, 21, seed=1)),
        adain.encode_style(loaded.model, picture(13, 21, seed=1)),
    )
    close(style.moments.mean, expected.moments.mean, 1e-4)
    close(style.moments.std, expected.moments.std, 1e-4)
    sizes = [(17, 30), (32, 24), (32, 32), (19, 17)]
    assert {bucket(*size) for size in sizes} == {(32, 32)}
    found, programs = {}, []
    for size in sizes:
        (found[size],) = bands(loaded, picture(*size), style, 0.75, progress=lambda *_: pytest.fail("one window"))
        programs.append(module._whole._cache_size())
    assert len(set(programs)) == 1
    for size in sizes[:2]:
        close(found[size], adain.stylize(loaded.model, picture(*size), style, 0.75))
    for size in sizes:
        assert found[size].shape == (*size, 3) and found[size].dtype == np.float32


@pytest.mark.slow
@pytest.mark.parametrize("size", [(7, 19), (16, 24)])
def test_maps_and_several_styles_in_one_window(loaded, operation_by_operation, size):
    model, content = loaded.model, picture(*size)
    looks = [picture(17, 18, seed=seed) for seed in (1, 2)]
    together = adain.stack([adain.encode_style(model, look) for look in looks])
    alike = adain.stack([encoded(loaded, look) for look in looks])
    alpha = RNG.random(size, np.float32)
    shares = RNG.dirichlet(np.ones(3), size)[..., :2].astype(np.float32)
    for degree, part in ((alpha, shares), (0.5, shares), (alpha, np.float32([0.3, 0.7]))):
        expected = adain.stylize(model, content, together, degree, shares=part)
        close(joined(loaded, content, alike, degree, part), expected)
    one = jax.tree.map(lambda leaf: leaf[:1], together)
    close(joined(loaded, content, one, alpha), adain.stylize(model, content, one, alpha))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("fusion", "norm"), [("concat", "none"), ("adain", "instance"), ("adain", "batch"), ("concat", "instance")]
)
def test_options_of_the_method(loaded, operation_by_operation, fusion, norm):
    bare = adain.Model(loaded.model.encoder, {}, "vgg16", fusion, norm)
    decoder = adain.init_decoder(jax.random.key(1), bare)
    last = decoder["params"]["conv7"]
    last["kernel"], last["bias"] = 0.1 * last["kernel"], last["bias"] + 0.5
    model, content, look = bare.replace(decoder=decoder), picture(13, 30), picture(19, 42, seed=1)
    other = methods.loaded(model)
    style, alike = adain.encode_style(model, look), encoded(other, look)
    assert jax.tree.map(np.shape, style) == jax.tree.map(np.shape, alike)
    jax.tree.map(lambda a, b: close(a, b, 1e-4), style, alike)
    expected = np.asarray(adain.stylize(model, content, style, 0.5))
    assert expected.std() > 0.01
    close(joined(other, content, alike, 0.5), expected, 0.1 / 255)


# ---- frames that know of those before them -----------------------------------------------------------------


def test_a_survey_may_be_replaced_before_it_is_painted_with():
    """Whole and in tiles alike: one that stays changes nothing, that of another picture paints like that one's."""
    small = Loaded(recolour.METHOD, recolour.init())
    content, other = photo(44, 60), picture(44, 60)
    style = recolour.encode_style(small.model, picture(16, 16)[None], np.asarray([[16, 16]]))
    shares = Shares(1.0, np.ones(1, np.float32), (44, 60), recolour.STRIDE)
    asked = []

    def painted(pixels, steady, tile):
        plan = plan_whole(44, 60, small.needs) if tile is None else plan_tiles(44, 60, small.needs, tile)
        bands = paint(small._replace(steady=steady), Job(ArraySource(pixels), style, shares, plan))
        return np.concatenate(list(bands))

    def noted(extent, survey):
        asked.append((extent, survey))
        return survey

    for tile in (None, 16):
        plain = painted(content, None, tile)
        np.testing.assert_allclose(painted(content, noted, tile), plain, atol=1e-5)
        painted(other, noted, tile)
        (_, own), (extent, theirs) = asked[-2:]
        assert extent == (44, 60) and float(own.positions) == float(theirs.positions) == 11 * 15
        replaced = painted(content, lambda _, survey, theirs=theirs: theirs, tile)
        assert np.abs(replaced - plain).mean() > 0.02
        np.testing.assert_allclose(painted(content, lambda _, survey, own=own: own, tile), plain, atol=1e-5)
    assert len(asked) == 4
