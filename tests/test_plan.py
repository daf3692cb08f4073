import dataclasses

import numpy as np
import pytest

from jaxstyle.methods import adain
from jaxstyle.painting import plan as module
from jaxstyle.painting.plan import TileError, bucket, default_tile, fits, mirrored, plan_tiles, plan_whole, spans

NEEDS = adain.needs(adain.Model({}, {}))


def reach(pixels):
    """Of an axis that is mirrored up to whole positions of 8 pixels, two at least."""
    return -(-max(16, pixels) // 8) * 8


# ---- buckets -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("size", "expected"),
    [
        ((1, 16), (16, 16)),
        ((17, 64), (32, 64)),
        ((65, 128), (96, 128)),
        ((129, 427), (192, 448)),
        ((480, 640), (512, 640)),
        ((576, 768), (576, 768)),
        ((768, 1024), (768, 1024)),
        ((1080, 1920), (1152, 1920)),
        ((3000, 4000), (3072, 4096)),
        ((4097, 8000), (4608, 8192)),
    ],
)
def test_bucket(size, expected):
    assert bucket(*size) == bucket(*size, 8) == expected


def test_buckets_are_few_and_little_larger():
    sides = np.arange(1, 10_000)
    up = np.array([bucket(side, 1)[0] for side in sides])
    assert (up >= sides).all() and (up % adain.STRIDE == 0).all() and (np.diff(up) >= 0).all()
    assert (up[sides % 64 == 0] == sides[sides % 64 == 0])[:16].all()  # up to 1024
    large = sides >= 512
    assert (up / sides)[large].max() < 1.125 and (up / sides)[large].mean() < 1.05
    assert len(set(up[sides <= 1024])) == 20 and len(set(up[sides <= 4096])) == 36


def test_buckets_are_multiples_of_the_stride():
    assert bucket(100, 1000, 14) == (140, 1036)


@pytest.mark.parametrize(("height", "width"), [(1, 1), (9, 40), (768, 1025)])
def test_plan_whole(height, width):
    plan = plan_whole(height, width, NEEDS)
    assert plan.whole and plan.windows == 2
    assert (plan.extent, plan.reach) == ((height, width), (reach(height), reach(width)))
    assert plan.canvas == plan.encode_size == plan.paint_size == bucket(*plan.reach)
    assert plan.paint == [plan.encode] == [[(0, 0, (0, reach(height), 0, reach(width)))]]


# ---- tiles -------------------------------------------------------------------------------------------------


def test_spans_cover_an_axis_once_with_margins_except_at_its_ends():
    for size in (2, 3, 7, 20, 33):
        for core in (1, 2, 5, 16, 40):
            for margin in (0, 4, 8):
                length, windows = spans(size, core, margin)
                assert [p for w in windows for p in range(w.first, w.last)] == list(range(size))
                for start, first, last in windows:
                    assert start >= 0 and start + length <= size
                    assert start == 0 or first - start >= margin
                    assert start + length == size or start + length - last >= margin


@pytest.mark.parametrize("tile", [8, 24, 64, 800])
@pytest.mark.parametrize(("height", "width"), [(5, 16), (100, 731), (1030, 17)])
def test_plan_tiles(height, width, tile):
    plan = plan_tiles(height, width, NEEDS, tile)
    assert plan.extent == (height, width)
    assert plan.reach == plan.canvas == (reach(height), reach(width))
    painted = [place for row in plan.paint for place in row]
    for places, (tall, wide) in ((plan.encode, plan.encode_size), (painted, plan.paint_size)):
        count = np.zeros(plan.reach, int)
        for top, left, (first, bottom, start, right) in places:
            assert 0 <= top <= first and bottom <= top + tall <= plan.reach[0]
            assert 0 <= left <= start and right <= left + wide <= plan.reach[1]
            assert not any(side % 8 for side in (top, left, first, bottom, start, right, tall, wide))
            count[first:bottom, start:right] += 1
        assert (count == 1).all()  # every pixel is in the statistics once, and painted once
    rows = [row[0].core[:2] for row in plan.paint]
    assert all(place.core[:2] == own for row, own in zip(plan.paint, rows, strict=True) for place in row)
    columns = [place.core[2:] for place in plan.paint[0]]
    for lines, axis in ((rows, 0), (columns, 1)):
        assert all(last - first <= tile for first, last in lines)
        assert len(lines) == -(-plan.reach[axis] // tile)  # no more tiles than need be
        assert plan.encode_size[axis] == min(plan.reach[axis], plan.paint_size[axis] + 2 * 32)
    assert plan.margin == 32 and plan.windows == len(plan.encode) + len(rows) * len(columns)


def test_windows_that_all_hold_the_picture_are_one():
    """Tiles of 32 pixels see 64 pixels beyond them: nothing is gained by cutting a picture that is not larger."""
    assert plan_tiles(60, 88, NEEDS, 32).whole
    assert not plan_tiles(100, 88, NEEDS, 32).whole and not plan_tiles(60, 147, NEEDS, 32).whole


@pytest.mark.parametrize("tile", [100, 0, -8, 4])
def test_a_tile_is_a_multiple_of_the_stride(tile):
    with pytest.raises(TileError, match=f"tile: expected a positive multiple of 8 pixels, got {tile}"):
        plan_tiles(32, 40, NEEDS, tile)


def test_a_model_that_needs_the_whole_picture_has_no_tiles():
    with pytest.raises(TileError, match="tile: this model looks at the whole picture, not at tiles"):
        plan_tiles(32, 40, adain.needs(adain.Model({}, {}, norm="instance")), 32)


def test_default_tile_is_the_largest_that_half_the_memory_takes():
    assert default_tile(NEEDS, 64 << 30) == 1024
    window = (512 + 128) ** 2 * NEEDS.bytes_per_pixel
    assert default_tile(NEEDS, 2 * window) == 512
    assert default_tile(NEEDS, 2 * window - 2) == default_tile(NEEDS, 0) == 256
    assert default_tile(NEEDS) in module.TILES


def test_default_tile_is_a_multiple_of_the_stride():
    assert default_tile(NEEDS._replace(stride=14), 64 << 30) == 1022


def test_what_fits():
    """A picture is painted in its bucket, and as a whole where tiles cannot serve."""
    needed = int(NEEDS.bytes_per_pixel * 192 * 448 / 0.8)
    assert fits(129, 427, NEEDS, needed + 1) and not fits(129, 427, NEEDS, needed - 1)
    whole = adain.needs(dataclasses.replace(adain.Model({}, {}), norm="instance"))
    assert fits(129, 427, whole, 0) and fits(16, 16, NEEDS)


def test_mirrored():
    assert mirrored(3, 8).tolist() == [0, 1, 2, 2, 1, 0, 0, 1]
    assert mirrored(1, 3).tolist() == [0, 0, 0]
    assert mirrored(4, 2).tolist() == [0, 1, 2, 3]
