import itertools

import jax
import numpy as np
import PIL.Image
import pytest

import jaxstyle
from jaxstyle import Controls, image, methods
from jaxstyle.controls import colors
from jaxstyle.controls.degree import Maps, read_maps
from jaxstyle.image.windows import ArraySource
from jaxstyle.methods import adain
from jaxstyle.painting import picture
from jaxstyle.painting.picture import (
    default_model,
    encode_styles,
    paint_source,
    render,
    style_pixels,
    style_side,
    stylize,
)
from jaxstyle.painting.stroke_size import Shelf
from tests import recolour
from tests.pictures import LONG, SHORT, smooth

RNG = np.random.default_rng(0)
HEIGHT, WIDTH = SHORT, LONG


def test_takes_paths_pil_images_and_arrays_and_gives_a_pil_image(photo, painting):
    found = stylize(photo, painting, style_size=HEIGHT)
    assert isinstance(found, PIL.Image.Image) and found.size == (WIDTH, HEIGHT) and found.mode == "RGB"
    with PIL.Image.open(photo) as content, PIL.Image.open(painting) as style:
        same = stylize(np.asarray(content), style, style_size=HEIGHT)
    np.testing.assert_array_equal(np.asarray(found), np.asarray(same))


def test_equals_the_method_on_arrays(photo, painting):
    content, style = image.read(photo).pixels, image.read(painting).pixels
    expected = adain.stylize(default_model().model, content, style, 0.5)
    found = np.asarray(stylize(photo, painting, style_size=HEIGHT, alpha=0.5), np.float32) / 255
    np.testing.assert_allclose(found, np.asarray(expected), atol=0.51 / 255)


def test_same_call_same_picture(photo, painting):
    first, second = (np.asarray(stylize(photo, painting, style_size=HEIGHT)) for _ in range(2))
    np.testing.assert_array_equal(first, second)


@pytest.mark.parametrize(
    ("size", "expected"), [(None, (WIDTH, HEIGHT)), (HEIGHT, (WIDTH, HEIGHT)), (38, (52, 38)), ((26, 19), (26, 19))]
)
def test_size(photo, painting, size, expected):
    assert stylize(photo, painting, size=size, style_size=HEIGHT).size == expected


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"alpha": 1.5}, "alpha"),
        ({"alpha": float("nan")}, "alpha"),
        ({"size": 0}, "size"),
        ({"size": (0, 5)}, "size"),
        ({"style_size": 0}, "style_size"),
        ({"weights": (1, 2)}, "weights: expected 1, one per style, got 2"),
        ({"mask": ("a.png", "b.png")}, "mask: expected 1, one per style, got 2"),
    ],
)
def test_a_bad_argument_is_named(photo, painting, arguments, words):
    with pytest.raises(ValueError, match=words):
        stylize(photo, painting, **arguments)


def test_a_control_that_does_not_exist_is_no_control(photo, painting):
    with pytest.raises(TypeError, match="unexpected keyword argument 'alhpa'"):
        stylize(photo, painting, alhpa=1)


def test_no_style(photo):
    with pytest.raises(ValueError, match="style: expected at least one picture"):
        stylize(photo, [])


# ---- the size at which styles are looked at ----------------------------------------------------------------


@pytest.mark.parametrize(
    ("extent", "asked", "expected"),
    [
        ((1, 7, 3), None, 256),
        ((256, 300), None, 256),
        ((287, 900, 3), None, 256),
        ((900, 288, 3), None, 320),
        ((400, 400), None, 384),
        ((512, 512, 3), None, 512),
        ((3000, 4000), None, 512),
        ((3000, 4000), 1000, 1000),
        ((3000, 4000), 100, 100),
    ],
)
def test_styles_are_looked_at_at_about_the_size_of_the_result(extent, asked, expected):
    assert style_side(Controls(style_size=asked), extent) == expected


def test_a_style_is_never_enlarged_unless_asked_for(photo):
    """The method gets the pixels of a small one themselves, and a second look finds nothing to do."""
    small, large = RNG.random((20, 33, 3), np.float32), smooth(303, 404)
    np.testing.assert_array_equal(style_pixels(small, Controls(), 256), small)
    assert style_pixels(small, Controls(style_size=40), 40).shape == (40, 66, 3)
    with pytest.raises(ValueError, match=r"^style_size: expected styles of at most 179 megapixels, got 165000 x"):
        style_pixels(small, Controls(style_size=100_000), 100_000)
    seen = style_pixels(large, Controls(), 256)
    assert min(seen.shape[:2]) == 256
    np.testing.assert_array_equal(style_pixels(seen, Controls(), 256), seen)
    found = np.asarray(stylize(photo, small), np.float32) / 255
    expected = adain.stylize(default_model().model, image.read(photo).pixels, small)
    np.testing.assert_allclose(found, np.asarray(expected), atol=0.51 / 255)


@pytest.mark.slow
@pytest.mark.parametrize(("own", "seen"), [((19, 26), (19, 19)), ((350, 360), (256, 320))])
def test_every_front_door_looks_at_a_style_in_the_same_way(own, seen, tmp_path):
    """Never larger than it is, and as large as each photo asks for."""
    painting, photos = tmp_path / "painting.png", tmp_path / "photos"
    image.write(painting, RNG.random((*own, 3), np.float32))
    photos.mkdir()
    expected = {}
    for name, (height, width), side in zip("ab", ((40, 50), (320, 330)), seen, strict=True):
        image.write(photos / f"{name}.png", smooth(height, width))
        look = image.resize_short_side(image.read(painting).pixels, side)
        found = adain.stylize(default_model().model, image.read(photos / f"{name}.png").pixels, look)
        expected[name] = np.asarray(found, np.float32) * 255

    def same(name, found):
        assert np.abs(np.asarray(found, np.float32) - expected[name]).max() < 1.5

    jaxstyle.stylize_folder(photos, painting, tmp_path / "folder")
    jaxstyle.stylize_dataset(photos, tmp_path / "set", painting)
    transform = jaxstyle.StyleTransform([painting])
    for name in "ab":
        photo = photos / f"{name}.png"
        same(name, stylize(photo, painting))
        jaxstyle.stylize_file(photo, painting, tmp_path / "file.png", overwrite=True)
        jaxstyle.stylize_file(photo, painting, tmp_path / "tiles.png", tile=256, overwrite=True)
        written = [*tmp_path.glob("*/*.png"), tmp_path / "file.png", tmp_path / "tiles.png"]
        written = [file for file in written if file.parent != photos and file.stem[0] in f"{name}ft"]
        assert len(written) == 4
        for file in written:
            same(name, image.read(file).pixels * 255)
        same(name, transform(PIL.Image.open(photo), 0))


# ---- controls ----------------------------------------------------------------------------------------------


PHOTO = smooth(HEIGHT, WIDTH)
LOOKS = [RNG.random((HEIGHT, HEIGHT, 3), np.float32) ** power for power in (0.4, 2.5)]
LEFT = np.repeat(np.float32([[1, 0]]), 13, axis=1)


def rendered(looks=LOOKS[:1], photo=PHOTO, **fields):
    """Float pixels, not rounded to bytes."""
    controls = Controls(**{"style_size": HEIGHT, **fields})
    maps = read_maps(controls)
    return render(image.Picture(photo), [image.Picture(x) for x in looks], controls, maps, default_model()).pixels


@pytest.fixture
def operation_by_operation():
    """Compiles operations, which are the same for all controls, instead of a program for each."""
    with jax.disable_jit():
        yield


def test_controls_as_one_and_as_keywords(photo, painting):
    chosen = Controls(alpha=0.5, style_size=HEIGHT)
    first = stylize(photo, painting, chosen)
    second = stylize(photo, painting, alpha=0.5, style_size=HEIGHT)
    third = stylize(photo, painting, Controls(style_size=HEIGHT), alpha=0.5)
    assert first.tobytes() == second.tobytes() == third.tobytes()
    assert first.tobytes() != stylize(photo, painting, chosen, alpha=1).tobytes()


@pytest.mark.slow
def test_every_pair_of_controls(operation_by_operation, monkeypatch):
    """Each does something, also beside each of the others, and none goes out of range."""
    monkeypatch.setattr(picture, "STYLE_SIZE", HEIGHT)
    controls = {
        "alpha": 0.6,
        "alpha_map": np.float32([[0.2, 1]]),
        "gradient": "top:0.2,bottom:1",
        "weights": (5, 1),
        "mask": (np.float32([[0.9, 0.2]]), np.float32([[0.3, 1]])),
        "size": (32, 24),
        "style_size": 23,
    }
    chosen = [{name: value} for name, value in controls.items()]
    chosen += [{"preserve_color": way} for way in ("match", "histogram", "luminance")]

    def run(*fields):
        found = rendered(LOOKS, **{"style_size": None, **{k: v for f in fields for k, v in f.items()}})
        assert found.shape == ((24, 32, 3) if any("size" in f for f in fields) else (HEIGHT, WIDTH, 3))
        assert found.dtype == np.float32 and found.min() >= 0 and found.max() <= 1
        return found

    def differ(a, b):
        return a.shape != b.shape or np.abs(a - b).max() > 1 / 255

    plain, alone = run(), [run(fields) for fields in chosen]
    assert all(differ(plain, found) for found in alone)
    for (i, a), (j, b) in itertools.combinations(enumerate(chosen), 2):
        if a.keys() != b.keys():
            both = run(a, b)
            assert differ(both, alone[i]), f"{b} does nothing beside {a}"
            assert differ(both, alone[j]), f"{a} does nothing beside {b}"


def test_one_style_twice_is_that_style(operation_by_operation):
    np.testing.assert_allclose(rendered([LOOKS[0]] * 2, weights=(3, 1)), rendered(), atol=1e-4)


def test_a_weight_of_zero_leaves_a_style_out(operation_by_operation):
    np.testing.assert_allclose(rendered(LOOKS, weights=(0, 1)), rendered(LOOKS[1:]), atol=1e-4)


def test_masks(operation_by_operation):
    white, black = np.ones((2, 3), np.float32), np.zeros((5, 4), np.float32)
    np.testing.assert_allclose(rendered(LOOKS, mask=[white, black]), rendered(), atol=1e-4)
    np.testing.assert_allclose(rendered(LOOKS, mask=[white, white]), rendered(LOOKS), atol=1e-4)
    np.testing.assert_allclose(rendered(LOOKS, mask=[black, black]), rendered(alpha=0), atol=1e-4)
    np.testing.assert_allclose(rendered(mask=LEFT), rendered(alpha_map=LEFT), atol=1e-4)  # of one style
    np.testing.assert_allclose(rendered(gradient="left:1,right:1"), rendered(), atol=1e-4)


@pytest.mark.parametrize("way", ["match", "histogram"])
def test_styles_take_on_the_contents_colours(operation_by_operation, way):
    recolour = {"match": colors.match_covariance, "histogram": colors.match_histogram}[way]
    expected = rendered([recolour(look, PHOTO) for look in LOOKS])
    np.testing.assert_allclose(rendered(LOOKS, preserve_color=way), expected, atol=1e-4)


def test_colours_under_transparency_do_not_count(monkeypatch):
    seen = []
    monkeypatch.setitem(picture.RECOLOUR, "match", lambda style, content: seen.append(content) or style)
    opacity = np.zeros((HEIGHT, WIDTH), np.float32)
    opacity[4:9] = 1
    looks, chosen = [image.Picture(LOOKS[0])], Controls(style_size=HEIGHT, preserve_color="match")
    for alpha, expected in ((opacity, PHOTO[4:9].reshape(-1, 3)), (0 * opacity, PHOTO)):
        render(image.Picture(PHOTO, alpha), looks, chosen, Maps(), default_model())
        np.testing.assert_array_equal(seen.pop(), expected)


def test_luminance_keeps_the_contents_chroma(operation_by_operation):
    content = 0.5 + 0.1 * (PHOTO - 0.5)
    found, plain = rendered(photo=content, preserve_color="luminance"), rendered(photo=content)
    inside = (found > 0).all(-1) & (found < 1).all(-1)
    assert inside.mean() > 0.5

    def chroma(pixels):
        return np.stack([pixels[..., 0] - pixels[..., 1], pixels[..., 2] - pixels[..., 1]])

    np.testing.assert_allclose(chroma(found)[:, inside], chroma(content)[:, inside], atol=1e-5)
    np.testing.assert_allclose(colors.luma(found)[inside], colors.luma(plain)[inside], atol=1e-5)


@pytest.mark.parametrize("way", ["match", "histogram", "luminance"])
@pytest.mark.parametrize("content", [np.full_like(PHOTO, 0.5), np.zeros_like(PHOTO), np.repeat(PHOTO[..., :1], 3, -1)])
@pytest.mark.parametrize("style", [np.ones_like(LOOKS[0]), np.repeat(LOOKS[0][..., :1], 3, -1)])
def test_flat_and_grey_pictures_keep_their_colours(operation_by_operation, way, content, style):
    found = rendered([style], content, preserve_color=way)
    assert np.isfinite(found).all() and found.min() >= 0 and found.max() <= 1
    if way == "luminance":
        np.testing.assert_allclose(found, np.repeat(found[..., :1], 3, -1), atol=1e-6)


def test_encoded_styles_serve_many_contents(operation_by_operation):
    looks, model = [image.Picture(x) for x in LOOKS], default_model()
    for fields in ({}, {"preserve_color": "match"}):
        chosen = Controls(style_size=HEIGHT, **fields)
        style = encode_styles(looks, chosen, model, HEIGHT)
        found = render(image.Picture(PHOTO), looks, chosen, Maps(), model, style=style).pixels
        np.testing.assert_array_equal(found, rendered(LOOKS, **fields))


def test_a_model_that_cannot_mix_says_so(photo, painting):
    model = default_model().model.replace(fusion="concat")
    with pytest.raises(ValueError, match="style: this model takes one style, got 2"):
        stylize(photo, [painting, painting], model=model)


def test_style_size_keeps_the_look_at_another_size():
    """Scaled down, the large picture is the small one; without it the two have little in common."""
    content = image.resize(PHOTO, (2 * HEIGHT, 2 * WIDTH))
    small = rendered(photo=image.resize(content, (HEIGHT, WIDTH)))
    large, other = rendered(photo=content), rendered(photo=content, style_size=2 * HEIGHT)
    assert large.shape == other.shape == content.shape

    def distance(found):
        return np.sqrt(np.square(image.resize(found, (HEIGHT, WIDTH)) - small).mean())

    def detail(found):
        return np.abs(found - image.resize(image.resize(found, (HEIGHT, WIDTH)), found.shape[:2])).mean()

    assert distance(large) < 0.1 * distance(other)
    look = encode_styles([image.Picture(LOOKS[0])], Controls(style_size=HEIGHT), default_model(), HEIGHT)
    with Shelf() as shelf:
        bands = paint_source(ArraySource(content), look, Controls(), Maps(), default_model(), shelf=shelf)
        painted_large = np.concatenate(list(bands))
    assert detail(large) > 0.9 * detail(painted_large)  # with its detail, not enlarged
    tiny = rendered(photo=content, size=(11, 8))
    assert np.sqrt(np.square(tiny - image.resize(small, (8, 11))).mean()) < 0.05


def test_a_model_may_be_named(tmp_path, monkeypatch):
    """A method, weights, or a file; what it is loaded from is all that is looked at here."""
    asked = []

    def load_model(name):
        asked.append(name)
        return methods.Loaded(recolour.METHOD, recolour.init())

    monkeypatch.setattr(picture, "load_model", load_model)
    pixels = np.zeros((16, 16, 3), np.float32)
    for model in ("style_kernel", "adain", "adain_vgg16", tmp_path / "own.safetensors", None):
        jaxstyle.stylize(pixels, pixels, model=model)
    own = str(tmp_path / "own.safetensors")
    assert asked == ["style_kernel_vgg16", "adain_vgg16", "adain_vgg16", own, "adain_vgg16"]
