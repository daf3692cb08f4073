import dataclasses
import json
import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxstyle import image
from jaxstyle.image.windows import ArraySource
from jaxstyle.methods import adain
from jaxstyle.painting import tiles
from jaxstyle.runtime import memory, scratch


def photo(height, width, seed=0):
    """Dark and flat at the left, bright and rough at the right: tiles with their own statistics would show."""
    rng = np.random.default_rng(seed)
    x = np.linspace(0, 1, width)[None, :, None]
    waves = np.sin(np.arange(height)[:, None, None] / 9 + 20 * x + np.arange(3))
    return np.clip(0.1 + 0.7 * x + x * (0.15 * waves + rng.normal(0, 0.1, (height, width, 3))), 0, 1).astype(np.float32)


@pytest.fixture(scope="module")
def model():
    return adain.load()


@pytest.fixture(scope="module")
def styles(model):
    rng = np.random.default_rng(1)
    blocks = [np.kron(rng.random((8, 8, 3), np.float32), np.ones((8, 8, 1), np.float32)) for _ in range(2)]
    return [adain.encode_style(model, block) for block in blocks]


@pytest.fixture(scope="module")
def small(model, styles):
    """A picture, and what it becomes as a whole."""
    content = (photo(203, 331) * 255).astype(np.uint8)
    return content, np.asarray(adain.stylize(model, content, styles[0], 0.75))


def joined(*args, **kwargs):
    return np.concatenate(list(tiles.stylize(*args, **kwargs)))


def test_equals_the_whole_picture(model, styles, small):
    content, expected = small
    steps = []
    bands = list(tiles.stylize(model, content, styles[0], 0.75, tile=80, progress=lambda *step: steps.append(step)))
    assert all(band.dtype == np.float32 and band.shape[1:] == (331, 3) and len(band) <= 80 for band in bands)
    assert steps == [(n + 1, 21) for n in range(21)]  # 2 x 3 windows, then 3 x 5 tiles
    np.testing.assert_allclose(np.concatenate(bands), expected, atol=0.01 / 255)


def test_a_full_disk_costs_time_only(model, styles, small, tmp_path, monkeypatch):
    write, count = scratch.Scratch.write, 0

    def write_until_full(self, *args):
        nonlocal count
        count += 1
        if count == 3:
            self._file.close()
            self._file = open("/dev/full", "r+b")  # noqa: SIM115
        write(self, *args)

    monkeypatch.setattr(scratch.Scratch, "write", write_until_full)
    found = joined(model, ArraySource(small[0]), styles[0], 0.75, tile=80, scratch=tmp_path)
    assert count == 3
    np.testing.assert_allclose(found, small[1], atol=0.01 / 255)


@pytest.mark.slow
def test_maps_and_several_styles(model, styles, tmp_path):
    height, width = 645, 701
    content, rng = photo(height, width), np.random.default_rng(2)
    alpha = np.linspace(0, 1, height * width, dtype=np.float32).reshape(height, width)
    shares = np.zeros((height, width, 2), np.float32)
    shares[:, : width // 2, 0] = 1
    shares[100:, width // 3 :, 1] = rng.random((height - 100, width - width // 3), np.float32)
    shares[..., 1] = np.minimum(shares[..., 1], 1 - shares[..., 0])
    both = adain.stack(styles)
    expected = np.asarray(adain.stylize(model, content, both, alpha, shares=shares))
    window = lambda top, bottom, left, right: alpha[top:bottom, left:right]  # noqa: E731
    found = joined(model, content, both, window, shares=shares, tile=256, scratch=tmp_path)
    np.testing.assert_allclose(found, expected, atol=0.01 / 255)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
@pytest.mark.parametrize(("height", "width", "tile"), [(9, 9, 8), (9, 150, 24), (640, 130, 1024), (645, 701, 192)])
def test_any_size_and_any_tile(model, styles, height, width, tile, tmp_path):
    content = photo(height, width)
    expected = np.asarray(adain.stylize(model, content, styles[0]))
    for folder in (None, tmp_path):
        found = joined(model, content, styles[0], tile=tile, scratch=folder)
        np.testing.assert_allclose(found, expected, atol=0.01 / 255)


@pytest.mark.slow
def test_concatenated_features(model, key, tmp_path):
    bare = dataclasses.replace(model, fusion="concat", decoder={})
    shapes = jax.eval_shape(adain.init_decoder, key, bare)
    rng = np.random.default_rng(0)
    draw = lambda leaf: rng.normal(0, (2 / np.prod(leaf.shape[:-1])) ** 0.5, leaf.shape).astype(np.float32)  # noqa: E731
    other = dataclasses.replace(bare, decoder=jax.tree.map(draw, shapes))
    style = adain.encode_style(other, photo(50, 70, 3))
    content = photo(100, 170)
    expected = np.asarray(adain.stylize(other, content, style, 0.5))
    for folder in (None, tmp_path):
        found = joined(other, content, style, 0.5, tile=48, scratch=folder)
        np.testing.assert_allclose(found, expected, atol=0.02 / 255)


def test_content_moments_are_those_of_all_positions():
    rng = np.random.default_rng(0)
    values = (100 + rng.normal(0, 0.1, (1, 30, 20, 4))).astype(np.float32)  # mean >> std
    running = tiles._Running()
    for rows in (slice(0, 1), slice(1, 17), slice(17, 30)):
        bounds = np.asarray([rows.start, rows.stop, 0, 20])
        mean, squares = np.asarray(tiles._sums(jnp.asarray(values), bounds))
        running.add((rows.stop - rows.start) * 20, mean, squares)
    found = running.moments()
    exact = values.astype(np.float64)
    np.testing.assert_allclose(found.mean[0], exact.mean((0, 1, 2)), rtol=1e-6)
    np.testing.assert_allclose(found.std[0], np.sqrt(exact.var((0, 1, 2)) + 1e-5), rtol=1e-5)


def test_default_tile_is_the_largest_that_half_the_memory_takes():
    assert tiles.default_tile(64 << 30) == 1024
    window = memory.untiled_bytes(512 + 128, 512 + 128)
    assert tiles.default_tile(2 * window) == 512
    assert tiles.default_tile(2 * window - 2) == tiles.default_tile(0) == 256
    assert tiles.default_tile() in tiles.TILES


def test_errors_come_before_the_work(model, styles):
    content = np.zeros((32, 40, 3), np.float32)
    two = adain.stack(styles)
    concat = dataclasses.replace(model, fusion="concat")
    for message, args, options in (
        ("tile: expected a positive multiple of 8 pixels, got 100", (model, content, styles[0]), {"tile": 100}),
        ("tile: expected a positive multiple of 8 pixels, got 0", (model, content, styles[0]), {"tile": 0}),
        (r"source: expected a picture \(H, W, 3\), got shape \(32, 40\)", (model, content[..., 0], styles[0]), {}),
        ("source: expected an array .* got shape ", (model, content[:0], styles[0]), {}),
        ("style: 2 styles need their shares", (model, content, two), {}),
        ("shares: expected 2, one per style, got 3", (model, content, two), {"shares": np.full(3, 0.2)}),
        ("alpha: expected values in", (model, content, styles[0], 1.5), {}),
        ("instance normalisation", (dataclasses.replace(model, norm="instance"), content, styles[0]), {}),
        ("fusion: expected 'adain' or 'concat', got 'x'", (dataclasses.replace(model, fusion="x"), content, two), {}),
        ("shares: a model with fusion='concat' cannot", (concat, content, two), {"shares": np.ones(2) / 2}),
        ("fusion='concat' needs the style's features", (concat, content, styles[0]), {}),
    ):
        with pytest.raises(ValueError, match=message):
            tiles.stylize(*args, **options)


@pytest.mark.slow
def test_no_seams_at_2048(model, styles, tmp_path):
    content = photo(2048, 2048)
    expected = np.asarray(adain.stylize(model, content, styles[0]))
    for tile in (512, 1024):
        found = joined(model, content, styles[0], tile=tile, scratch=tmp_path)
        assert np.abs(found - expected).max() < 0.1 / 255


MEMORY = """
import json, sys
import numpy as np
from jaxstyle import adain, bigimage, bigimage_write, tiles
model = adain.load()
style = adain.encode_style(model, np.random.default_rng(0).random((64, 64, 3), np.float32))
with bigimage.open_large(sys.argv[1]) as picture:
    height, width = picture.pixels.shape[:2]
    bands = tiles.stylize(model, picture.pixels, style, tile=512, scratch=sys.argv[3])
    bigimage_write.write(sys.argv[2], bands, height, width)
lines = open("/proc/self/status").read().splitlines()  # ru_maxrss would begin with that of the process before
peak = next(int(line.split()[1]) << 10 for line in lines if line.startswith("VmHWM:"))
print(json.dumps({"peak": peak, "height": height, "width": width}))
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_memory_does_not_grow_with_the_picture(tmp_path):
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
    assert peaks[1] < memory.untiled_bytes(4096, 2048) / 4
