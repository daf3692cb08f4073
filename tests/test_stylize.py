import itertools
import sys

import jax
import numpy as np
import PIL.Image
import pytest

import jaxstyle
from jaxstyle import Controls, image, weights
from jaxstyle.controls import colors
from jaxstyle.controls.degree import Maps, read_maps
from jaxstyle.methods import adain
from jaxstyle.painting import buckets
from jaxstyle.painting.picture import default_model, encode_styles, render, stylize, stylize_file
from jaxstyle.runtime import memory

RNG = np.random.default_rng(0)
HEIGHT, WIDTH = 19, 26


def smooth(height, width, channels=3):
    """A picture without sharp edges, so that a format's rounding changes little."""
    y, x = np.mgrid[0 : 1 : height * 1j, 0 : 1 : width * 1j]
    waves = [np.sin(3 * x + i) * np.cos(2 * y - i) for i in range(channels)]
    return (np.stack(waves, -1) * 0.4 + 0.5).astype(np.float32)


@pytest.fixture
def photo(tmp_path):
    path = tmp_path / "photo.png"
    image.write(path, smooth(HEIGHT, WIDTH))
    return path


@pytest.fixture
def painting(tmp_path):
    path = tmp_path / "painting.png"
    image.write(path, RNG.random((HEIGHT, HEIGHT, 3), np.float32))
    return path


def test_takes_paths_pil_images_and_arrays_and_gives_a_pil_image(photo, painting):
    picture = stylize(photo, painting, style_size=HEIGHT)
    assert isinstance(picture, PIL.Image.Image) and picture.size == (WIDTH, HEIGHT) and picture.mode == "RGB"
    with PIL.Image.open(photo) as content, PIL.Image.open(painting) as style:
        same = stylize(np.asarray(content), style, style_size=HEIGHT)
    np.testing.assert_array_equal(np.asarray(picture), np.asarray(same))


def test_equals_the_method_on_arrays(photo, painting):
    content, style = image.read(photo).pixels, image.read(painting).pixels
    expected = adain.stylize(default_model(), content, style, 0.5)
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


def test_transparency_is_put_back(tmp_path, painting):
    mask = np.zeros((HEIGHT, WIDTH), np.float32)
    mask[4:9] = 1
    image.write(tmp_path / "cut.png", smooth(HEIGHT, WIDTH), alpha=mask)
    stylize_file(tmp_path / "cut.png", painting, tmp_path / "out.png", style_size=HEIGHT)
    np.testing.assert_array_equal(image.read(tmp_path / "out.png").alpha, mask)
    report = stylize_file(tmp_path / "cut.png", painting, tmp_path / "out.jpg", style_size=HEIGHT)
    assert any("transparency" in notice for notice in report.notices)


def test_sixteen_bits_stay_sixteen(tmp_path, painting):
    image.write(tmp_path / "deep.png", smooth(HEIGHT, WIDTH), bits=16)
    stylize_file(tmp_path / "deep.png", painting, tmp_path / "out.png", style_size=HEIGHT)
    found = image.read(tmp_path / "out.png")
    assert found.bits == 16
    assert np.any(np.abs(found.pixels * 255 - np.rint(found.pixels * 255)) > 0.1)


def test_a_turned_photo_comes_out_upright(tmp_path, painting):
    exif = PIL.Image.Exif()
    exif[0x0112] = 6
    PIL.Image.fromarray((smooth(HEIGHT, WIDTH) * 255).astype(np.uint8)).save(tmp_path / "turned.jpg", exif=exif)
    report = stylize_file(tmp_path / "turned.jpg", painting, tmp_path / "out.jpg", style_size=HEIGHT)
    assert (report.width, report.height) == (HEIGHT, WIDTH)
    with PIL.Image.open(tmp_path / "out.jpg") as out:
        assert out.size == (HEIGHT, WIDTH) and out.getexif().get(0x0112, 1) == 1


def test_report(photo, painting, tmp_path):
    report = stylize_file(photo, str(painting), tmp_path / "out.webp", alpha=0.25, style_size=HEIGHT)
    assert (report.output, report.content) == (str(tmp_path / "out.webp"), str(photo))
    assert report.style == (str(painting),) and report.weights_file == "adain_vgg16"
    assert report.controls == Controls(alpha=0.25, style_size=HEIGHT).as_dict()
    assert report.weights_sha256 == weights.info("adain_vgg16")["sha256"]
    assert (report.width, report.height) == (WIDTH, HEIGHT) and report.seconds > 0


def test_a_folder_for_the_result(photo, painting, tmp_path):
    (tmp_path / "out").mkdir()
    report = stylize_file(photo, painting, tmp_path / "out", style_size=HEIGHT)
    assert report.output == str(tmp_path / "out/photo_stylized_painting.png")
    with pytest.raises(jaxstyle.ImageError, match=r"photo_stylized_painting\.png: exists already"):
        stylize_file(photo, painting, tmp_path / "out", style_size=HEIGHT)


def test_never_replaces_what_it_should_not(photo, painting, tmp_path):
    before = photo.read_bytes()
    image.write(tmp_path / "mask.png", np.ones((4, 4), np.float32))
    for target in (photo, painting, tmp_path / "mask.png"):
        with pytest.raises(jaxstyle.ImageError, match="never replaced"):
            stylize_file(photo, painting, target, mask=tmp_path / "mask.png", overwrite=True)
    (tmp_path / "there.png").write_bytes(b"mine")
    with pytest.raises(jaxstyle.ImageError, match=r"there\.png: exists already"):
        stylize_file(photo, painting, tmp_path / "there.png")
    assert photo.read_bytes() == before and (tmp_path / "there.png").read_bytes() == b"mine"


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
    monkeypatch.setattr(sys.modules["jaxstyle.stylize"], "STYLE_SIZE", HEIGHT)
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


def test_all_controls_from_files(photo, painting, tmp_path):
    image.write(tmp_path / "left.png", LEFT)
    image.write(tmp_path / "right.png", 1 - LEFT)
    report = stylize_file(
        photo,
        [painting, photo],
        tmp_path / "out.png",
        alpha=0.9,
        alpha_map=tmp_path / "left.png",
        gradient="center:1,edge:0.5",
        weights=[2, 1],
        mask=[tmp_path / "left.png", tmp_path / "right.png"],
        preserve_color="match",
        size=(26, 19),
        style_size=HEIGHT,
    )
    assert report.style == (str(painting), str(photo))
    assert Controls(**report.controls).mask == (str(tmp_path / "left.png"), str(tmp_path / "right.png"))
    assert image.read(tmp_path / "out.png").pixels.shape == (19, 26, 3)
    assert len([notice for notice in report.notices if "is stretched to 26 x 19" in notice]) == 3


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
    monkeypatch.setattr(colors, "match_covariance", lambda style, content: seen.append(content) or style)
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
        style = encode_styles(looks, chosen, model)
        found = render(image.Picture(PHOTO), looks, chosen, Maps(), model, style=style).pixels
        np.testing.assert_array_equal(found, rendered(LOOKS, **fields))


def test_a_model_that_cannot_mix_says_so(photo, painting):
    model = default_model().replace(fusion="concat")
    with pytest.raises(ValueError, match="style: a model with fusion='concat' takes one style, got 2"):
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
    look = encode_styles([image.Picture(LOOKS[0])], Controls(style_size=HEIGHT), default_model())
    painted_large = buckets.stylize(default_model(), content, look, 1)
    assert detail(large) > 0.9 * detail(painted_large)  # with its detail, not enlarged
    tiny = rendered(photo=content, size=(11, 8))
    np.testing.assert_allclose(tiny, image.resize(small, (8, 11)), atol=0.05)


@pytest.mark.parametrize("several", [False, pytest.param(True, marks=pytest.mark.slow)])
def test_what_does_not_fit_is_done_in_tiles(photo, painting, tmp_path, monkeypatch, several):
    styles, more = ([painting, photo], {"weights": (2, 1)}) if several else (painting, {"gradient": "left:0,right:1"})
    whole = np.asarray(stylize(photo, styles, **more), np.int32)
    monkeypatch.setattr(memory, "fits", lambda *_: False)
    report = stylize_file(photo, styles, tmp_path / "out.png", **more)
    found = np.rint(image.read(tmp_path / "out.png").pixels * 255).astype(np.int32)
    assert np.abs(found - whole).max() <= 1
    assert any("done in tiles" in notice for notice in report.notices)
