"""The augmentation of styles: pure functions of a picture and a generator, and their place in the stream of crops."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from train import augment, data
from train.data import Crops, Loader, open_source

SIZES = [(96, 96), (16, 40)]
FIELDS = [augment.stripes, augment.rings, augment.checkers, augment.dots]
FIELDS += [augment.tiles, augment.strokes, augment.clouds]
EFFECTS = [augment.recolour, augment.in_palette, augment.mosaic, augment.outline, augment.woodcut, augment.flatten]


def painting(size: tuple[int, int] = (96, 96), seed: int = 0) -> np.ndarray:
    """Smooth and random, (H, W, 3) uint8."""
    noise = np.random.default_rng(seed).integers(0, 256, (7, 6, 3), dtype=np.uint8)
    return np.asarray(Image.fromarray(noise).resize(size[::-1], Image.Resampling.BICUBIC))


@pytest.mark.parametrize("size", SIZES)
def test_a_style_is_a_picture_of_the_same_kind_and_follows_the_generator_alone(size: tuple[int, int]) -> None:
    pixels, other = painting(size), painting(size, 1)
    pixels.flags.writeable = other.flags.writeable = False  # the cache's pictures must not change
    found = [[augment.augment_style(pixels, np.random.default_rng(k), lambda: other) for k in range(60)] for _ in "ab"]
    for one, again in zip(*found, strict=True):
        assert one.shape == (*size, 3) and one.dtype == np.uint8
        assert np.array_equal(one, again)
    assert len({one.tobytes() for one in found[0]}) == 60
    assert np.mean([np.ptp(one) > 20 for one in found[0]]) > 0.9  # hardly any is blank


class Other:
    """Another painting that counts how often it was asked for."""

    def __init__(self) -> None:
        self.asked = 0

    def __call__(self) -> np.ndarray:
        self.asked += 1
        return painting(seed=1)


def test_another_painting_is_asked_for_once_at_most_and_not_for_patterns() -> None:
    for share, least, most in ((1.0, 0, 0), (0.0, 8, 40)):
        asked = []
        for k in range(100):
            other = Other()
            augment.augment_style(painting(), np.random.default_rng(k), other, patterns=share)
            asked.append(other.asked)
        assert max(asked) <= 1 and least <= sum(asked) <= most


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("effect", EFFECTS, ids=lambda f: f.__name__)
def test_effects_stay_in_range(effect: Callable[..., np.ndarray], size: tuple[int, int]) -> None:
    for pixels in (painting(size), np.zeros((*size, 3), np.uint8), np.full((*size, 3), 255, np.uint8)):
        x = pixels.astype(np.float32) / np.float32(255)
        for seed in range(8):
            y = effect(x, np.random.default_rng(seed))
            assert y.shape == x.shape and y.dtype == np.float32
            assert np.isfinite(y).all() and y.min() >= 0 and y.max() <= 1


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("field", FIELDS, ids=lambda f: f.__name__)
def test_fields_are_between_0_and_1(field: Callable[..., np.ndarray], size: tuple[int, int]) -> None:
    for seed in range(8):
        x = field(size, np.random.default_rng(seed))
        assert x.shape == size and x.dtype == np.float32
        assert x.min() >= 0 and x.max() <= 1


def test_palettes_have_two_to_five_colours_and_paint_all_of_them() -> None:
    ramp = np.linspace(0, 1, 200, dtype=np.float32)[None]
    for seed in range(30):
        colours = augment.palette(np.random.default_rng(seed))
        assert 2 <= len(colours) <= 5 and colours.dtype == np.float32
        assert colours.min() >= 0 and colours.max() <= 1
        flat, smooth = (augment.paint(ramp, colours, smooth=smooth)[0] for smooth in (False, True))
        assert {tuple(c) for c in flat} == {tuple(c) for c in colours}
        assert np.allclose(smooth[[0, -1]], colours[[0, -1]])


def test_colours() -> None:
    x = painting().astype(np.float32) / 255
    assert np.allclose(augment.turn_hue(x, 0.0), x, atol=1e-6)
    assert np.allclose(augment.turn_hue(x, 2 * np.pi / 3), x[..., [2, 0, 1]], atol=1e-6)
    assert np.allclose(augment.turn_hue(x, 1.0).sum(-1), x.sum(-1), atol=1e-5)
    for levels in (2, 3, 4):
        assert len(np.unique(augment.posterize(x, levels))) == levels
    assert augment.spread(np.full((4, 4), 0.3, np.float32)).max() == 0


@pytest.fixture
def folder(tmp_path: Path) -> str:
    for seed in range(5):
        Image.fromarray(painting((40, 48), seed)).save(tmp_path / f"{seed}.png")
    return str(tmp_path)


def crops(folder: str, **options: object) -> Crops:
    settings: dict = {"stream": "style", "seed": 3, "resize": 32, "crop": 16, "largest_crop": 32} | options
    return Crops(open_source(folder), range(5), **settings)


def test_share_0_changes_nothing_and_others_leave_the_rest_alone(folder: str) -> None:
    plain, half, whole = (crops(folder, augment=share) for share in (0.0, 0.5, 1.0))
    for k in range(10):
        assert np.array_equal(plain.example(k), crops(folder).example(k))
    changed = [not np.array_equal(plain.example(k), half.example(k)) for k in range(80)]
    assert 25 <= sum(changed) <= 55
    for k, different in enumerate(changed):  # the same picture changes in the same way, whatever the share
        assert np.array_equal(half.example(k), whole.example(k) if different else plain.example(k))


def test_an_augmented_stream_resumes_anywhere(folder: str) -> None:
    def batches(start: int, threads: int) -> list[data.Batch]:
        streams = crops(folder, stream="content"), crops(folder, augment=0.8)
        with Loader(*streams, batch_size=3, start_step=start, threads=threads) as loader:
            return [next(loader) for _ in range(7 - start)]

    whole, resumed = batches(0, 4), batches(4, 1)
    for one, other in zip(whole[4:], resumed, strict=True):
        for name in ("content", "style"):
            assert np.array_equal(one[name], other[name])


def test_a_share_outside_0_to_1_is_refused(folder: str) -> None:
    for share in (-0.1, 1.1):
        with pytest.raises(data.DataError, match="augment"):
            crops(folder, augment=share)
