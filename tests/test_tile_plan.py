import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxstyle.image.windows import ArraySource
from jaxstyle.methods import adain
from jaxstyle.nets import convolutions, vgg
from jaxstyle.painting.plan import Canvas, decoder_margin, encoder_margin, make_plan, positions, share_map, spans


@pytest.fixture
def row_by_row(monkeypatch):
    """Convolutions compute no rows together, in whose sums a NaN would reach those that do not depend on it."""
    monkeypatch.setattr(convolutions, "_LARGE", 10**9)


@pytest.mark.usefixtures("row_by_row")
@pytest.mark.parametrize("arch", ["vgg16", "vgg19"])
def test_encoder_margin_is_what_a_position_sees(arch):
    """NaN in one pixel reaches every feature that depends on it, and nothing else."""
    names = vgg.conv_names(arch)
    deepest = names.index("conv4_1")
    params = {n: {"kernel": np.ones(vgg.kernel_shape(n), np.float32), "bias": np.zeros(vgg.kernel_shape(n)[3:])}
              for n in names[: deepest + 1]}  # fmt: skip
    encode = jax.jit(lambda x: vgg.features(params, x, ["relu4_1"], arch=arch, padding="reflect")["relu4_1"])
    seen = set()
    for pixel in (80, 87):  # the first and the last one of position 10
        image = jnp.zeros((1, 160, 168, 3)).at[0, pixel, pixel].set(jnp.nan)
        reached = np.isnan(np.asarray(encode(image))[0]).any(-1)
        rows, columns = np.flatnonzero(reached.any(1)), np.flatnonzero(reached.any(0))
        assert reached[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1].all()
        np.testing.assert_array_equal(rows, columns)
        seen |= set(rows)
    margin = encoder_margin(arch)
    assert seen == set(range(10 - margin, 10 + margin + 1))


@pytest.mark.usefixtures("row_by_row")
@pytest.mark.parametrize("arch", ["vgg16", "vgg19"])
def test_decoder_margin_is_what_a_position_reaches(arch, key):
    model = adain.Model({}, {}, arch)
    shapes = jax.eval_shape(adain.init_decoder, key, model)
    variables = jax.tree.map(lambda leaf: jnp.ones(leaf.shape), shapes)
    decode = jax.jit(adain.Decoder(arch).apply)
    pixels = np.asarray(decode(variables, jnp.zeros((1, 20, 21, 512)).at[0, 10, 10, 0].set(jnp.nan)))[0]
    reached = np.isnan(pixels).any(-1).reshape(20, 8, 21, 8).any((1, 3))
    margin = decoder_margin(arch)
    expected = np.zeros_like(reached)
    expected[10 - margin : 11 + margin, 10 - margin : 11 + margin] = True
    np.testing.assert_array_equal(reached, expected)


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


@pytest.mark.parametrize("tile", [1, 3, 8, 100])
@pytest.mark.parametrize(("height", "width"), [(5, 16), (100, 731), (1030, 17)])
def test_plan(height, width, tile):
    plan = make_plan(height, width, tile, "vgg16")
    assert plan.grid == (positions(height), positions(width))
    count = np.zeros(plan.grid, int)
    for y, x in plan.encode:
        assert y.start + plan.encode_size[0] <= plan.grid[0] and x.start + plan.encode_size[1] <= plan.grid[1]
        count[y.first : y.last, x.first : x.last] += 1
    assert (count == 1).all()  # every position goes into the statistics once
    for lines, size in ((plan.decode_rows, 0), (plan.decode_columns, 1)):
        assert all(line.last - line.first <= tile for line in lines)
        assert len(lines) == -(-plan.grid[size] // tile)  # no more tiles than need be
        assert plan.encode_size[size] == min(plan.grid[size], plan.decode_size[size] + 8)


@pytest.mark.parametrize(("height", "width"), [(1, 3), (9, 16), (21, 30)])
def test_canvas_is_mirrored_like_the_whole_picture(height, width):
    image = np.random.default_rng(0).random((height, width, 3), np.float32)
    tall, wide = positions(height), positions(width)
    whole = np.asarray(adain._pad(jnp.asarray(image)[None], tall * 8, wide * 8))[0]
    canvas = Canvas(ArraySource(image).read, height, width)
    np.testing.assert_array_equal(canvas.window(0, 0, tall, wide), whole)
    np.testing.assert_array_equal(canvas.window(tall - 1, wide - 1, 1, 1), whole[-8:, -8:])


def test_share_map_is_the_mean_of_mirrored_blocks():
    rng = np.random.default_rng(0)
    alpha, shares = rng.random((150, 21), np.float32), rng.random((150, 21, 2), np.float32) / 2
    whole = np.pad(alpha[..., None] * shares, ((0, 2), (0, 3), (0, 0)), mode="symmetric")
    expected = whole.reshape(19, 8, 3, 8, 2).mean((1, 3))
    forms = [
        lambda values: values,
        jnp.asarray,
        ArraySource,
        lambda values: lambda top, bottom, left, right: values[top:bottom, left:right],
    ]
    for form in forms:
        np.testing.assert_allclose(share_map(form(alpha), form(shares), 150, 21), expected, atol=1e-6)
    np.testing.assert_allclose(
        share_map(0.5, shares, 150, 21), share_map(np.full_like(alpha, 0.5), shares, 150, 21), atol=1e-6
    )
    assert share_map(0.5, np.array([0.5, 0.25]), 16, 20).tolist() == [[[0.25, 0.125]] * 3] * 2
    assert share_map(np.full((16, 16), 255, np.uint8), np.ones(1), 16, 16).tolist() == [[[1], [1]]] * 2


@pytest.mark.parametrize(
    ("alpha", "shares", "message"),
    [
        (
            np.zeros((24, 16)),
            np.ones(1),
            r"alpha: expected a map \(16, 24\) of the picture's pixels, got shape \(24, 16\)",
        ),
        (1, np.zeros((16, 24)), r"shares: expected a map \(16, 24, K\) of the picture's pixels"),
        (np.zeros(4), np.ones(1), r"alpha: expected a number or \(H, W\), got shape \(4,\)"),
        (1, 1, r"shares: expected \(K,\) or \(H, W, K\), got shape \(\)"),
        (2, np.ones(1), r"alpha: expected values in \[0, 1\], found 2 .. 2"),
        (1, np.array([0.75, 0.5]), r"shares: expected sums of at most 1 at every place, found 1.25"),
        (1, np.full((16, 24, 2), 0.75), r"shares: expected sums of at most 1 at every place, found 1.5"),
    ],
)
def test_share_map_says_what_is_wrong(alpha, shares, message):
    with pytest.raises(ValueError, match=message):
        share_map(alpha, shares, 16, 24)
