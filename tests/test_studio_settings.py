"""What a page may ask for, and what of it is refused in one line."""

import numpy as np
import pytest

from jaxstyle import methods
from jaxstyle.controls.controls import Controls
from jaxstyle.studio import settings
from jaxstyle.studio.settings import check_sizes, parse, preview_size
from jaxstyle.studio.store import Gone, Store, Upload, grey, plain, uploaded

DEFAULT, *OTHERS = methods.METHODS


def test_settings_are_controls_and_names():
    found = parse(
        {"photo": "p", "styles": ["a", "b"], "alpha": 0.5, "weights": [2, 1], "mask": ["m", "n"], "size": [4, 3]}
    )
    assert (found.photo, found.styles, found.mask, found.alpha_map) == ("p", ("a", "b"), ("m", "n"), None)
    assert found.controls == Controls(alpha=0.5, weights=(2, 1), size=(4, 3)) and found.method == DEFAULT
    assert parse({"photo": "p", "styles": ["a"], "method": OTHERS[0], "alpha": None}).method == OTHERS[0]


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"photo": None}, "photo: expected the name of a picture"),
        ({"photo": ["../../etc/passwd"]}, "photo: expected the name"),
        ({"styles": []}, "styles: expected 1 to 8 paintings, got 0"),
        ({"styles": ["s"] * 9}, "styles: expected 1 to 8 paintings, got 9"),
        ({"styles": "s"}, "styles: expected a list"),
        ({"styles": [1]}, "styles: expected the name"),
        ({"method": "none"}, "method: expected one of"),
        ({"method": {}}, "method: expected one of"),
        ({"alpha": 2}, "alpha: expected a number in"),
        ({"alpha": float("nan")}, "alpha: expected a number"),
        ({"alpha": "full"}, "alpha: expected a number"),
        ({"alpha_map": 3}, "alpha_map: expected the name"),
        ({"mask": ["m", "n"]}, "mask: expected 1, one per style, got 2"),
        ({"weights": [1, 2]}, "weights: expected 1, one per style, got 2"),
        ({"weights": "12"}, "weights: expected one number per style"),
        ({"size": 0}, "size: expected a whole number"),
        ({"size": [1, 2, 3]}, "size: expected the short side or"),
        ({"size": 1e9}, "size: expected a whole number"),
        ({"style_size": 5000}, "style_size: expected at most 4096"),
        ({"refine": 2000}, "refine: expected at most 1000 steps"),
        ({"preserve_color": []}, "preserve_color: expected text"),
        ({"gradient": "up"}, "gradient: expected PLACE:VALUE"),
        ({"weights_file": "/etc/passwd"}, "settings: there is no 'weights_file'"),
    ],
)
def test_bad_settings_are_one_line(change, problem):
    with pytest.raises(ValueError) as error:
        parse({"photo": "p", "styles": ["s"]} | change)
    assert str(error.value).startswith(problem) and "\n" not in str(error.value)


@pytest.mark.parametrize("request_", [None, 3, [], "text"])
def test_what_is_no_object_is_refused(request_):
    with pytest.raises(ValueError, match="settings: expected an object"):
        parse(request_)


def test_no_picture_on_the_way_is_too_large():
    photo, long = Upload("p", b"", 400, 300), Upload("s", b"", 100_000, 2)
    check_sizes(Controls(size=1000, style_size=256), photo, [photo], 2_000_000)
    for controls, styles, problem in (
        (Controls(size=2000), [photo], "size: 2667 x 2000 is 5 megapixels; the studio makes at most 2"),
        (Controls(size=(9999, 9999)), [photo], "size: "),
        (Controls(style_size=2000), [photo], "style_size: "),
        (Controls(style_size=64), [long], "style_size: .* 3200000 x 64"),  # a bomb: few pixels that become many
    ):
        with pytest.raises(ValueError, match=f"^{problem}"):
            check_sizes(controls, photo, styles, 2_000_000)


def test_previews_are_small_whatever_the_shape():
    assert preview_size(1000, 2000, 256) == (256, 512)
    assert preview_size(100, 200, 256) == (100, 200)  # not enlarged
    for height, width in ((1, 10**6), (10**6, 1), (10, 10**7), (3000, 4000)):
        tall, wide = preview_size(height, width, 256)
        assert 1 <= tall <= height and 1 <= wide <= width and tall * wide <= 4 * 256**2 * 1.01


def test_a_store_forgets_what_was_not_asked_for_longest():
    store: Store[str] = Store("thing", 10)
    first, second = store.put("a", 4), store.put("b", 4)
    assert store.get(first) == "a"
    third = store.put("c", 4)
    assert second not in store and store.get(first) == "a" and store.get(third) == "c"
    alone = store.put("larger than all", 100)
    assert len(store) == 1 and store.get(alone)
    for name in (second, None, 3, ["a"]):
        with pytest.raises(Gone):
            store.get(name)


@pytest.mark.parametrize(
    ("name", "called"),
    [
        ("../../etc/passwd", "passwd"),
        ("C:\\photos\\a.jpg", "a.jpg"),
        ("a\nb\0.png", "ab.png"),
        ("..", "picture"),
        ("", "picture"),
        ("é" * 200 + ".png", "é" * 76 + ".png"),
    ],
)
def test_a_name_is_only_a_name(name, called):
    assert plain(name) == called


def test_the_header_decides_before_anything_is_decoded(photo):
    data = photo.read_bytes()
    found = uploaded(data, "dir/photo.png", 10**6)
    assert (found.name, found.width, found.height) == ("photo.png", 26, 19)
    with pytest.raises(ValueError, match=r"^photo\.png: 26 x 19 is 0\.0 megapixels; the studio takes at most 0$"):
        uploaded(data, "photo.png", 100)
    cut = data[: len(data) // 2]
    assert uploaded(cut, "cut.png", 10**6).width == 26  # the header is whole: it is found out when it is decoded
    with pytest.raises(ValueError, match=r"^text\.png: it is text|^text\.png: cannot be read"):
        uploaded(b"no picture at all", "text.png", 10**6)
    with pytest.raises(ValueError, match=r"^fitted\.safetensors: a fitted style or weights; the studio takes picture"):
        uploaded(b"no picture at all", "fitted.safetensors", 10**6)


def test_grey_is_rounded():
    np.testing.assert_array_equal(grey(np.float32([[0, 0.5, 1, 2, -1]])), np.uint8([[0, 128, 255, 255, 0]]))
    assert settings.MOST_STYLES == 8
