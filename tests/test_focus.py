import json

import numpy as np
import pytest

from jaxstyle import image
from jaxstyle.cli.main import main
from jaxstyle.methods import style_kernel
from jaxstyle.methods.style_kernel.attention import Keys, attend, unit, weights
from jaxstyle.sheet import focus as sheet
from tests import style_kernels


@pytest.fixture(scope="module")
def model():
    """AdaIN's encoder and the parts that look, without anything at random."""
    return style_kernels.lite(aim=False, hidden=2, watch=2)


def squares(corner, side=64):
    """Stripes, and in one quarter a chessboard."""
    rows, columns = np.indices((side, side))
    picture = np.repeat((rows // 4 % 2)[..., None], 3, -1).astype(np.float32) * 0.6
    at = [slice(part * side // 2, (part + 1) * side // 2) for part in corner]
    picture[at[0], at[1]] = ((rows // 3 + columns // 3) % 2)[at[0], at[1], None] * np.float32([1, 0.2, 0.1])
    return picture


def test_a_point_looks_at_what_is_like_it(model):
    found = style_kernel.focus(model, squares((0, 1)), squares((1, 0)), (48, 16))
    assert found.weights.shape == found.kept.shape == (8, 8)
    assert found.weights.sum() == pytest.approx(1, abs=1e-5) and (found.kept == 1).all()  # open at the start
    row, column = np.unravel_index(found.weights.argmax(), (8, 8))
    assert row >= 4 and column < 4 and found.weights[4:, :4].sum() > 0.5


def test_the_weights_are_those_of_the_attention():
    rng = np.random.default_rng(0)
    query, keys = (np.asarray(unit(rng.normal(size=(1, n, 2, 3)).astype(np.float32))) for n in (3, 9))
    values, threshold = rng.normal(size=(1, 9, 2, 4)).astype(np.float32), np.float32(rng.uniform(0, 2, (1, 3, 2)))
    style, sharpness = Keys(keys, values, np.float32([7])), np.float32([[4, 6]])
    a, kept = (np.asarray(part) for part in weights(query, style, sharpness, threshold))
    expected = attend(query, style, sharpness, threshold, block=4)
    np.testing.assert_allclose((a * kept).sum(-1), expected.mass, rtol=1e-5)
    np.testing.assert_allclose(kept.sum(-1) / 7, expected.kept, rtol=1e-5)
    mean = np.einsum("nqgp,npgv->nqgv", a * kept, values) / np.asarray(expected.mass)[..., None]
    np.testing.assert_allclose(mean, expected.mean, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(weights(query, style, sharpness)[0].sum(-1), 1, rtol=1e-5)


@pytest.mark.parametrize(
    ("content", "at", "words"),
    [
        (np.zeros((9, 7, 3), np.float32), (7, 0), r"^at: expected a point of a picture of 7 x 9 pixels, got 7,0$"),
        (np.zeros((1, 9, 7, 3), np.float32), (0, 0), r"^content: expected one image \(H, W, 3\)$"),
    ],
)
def test_what_cannot_be_looked_up_is_one_line(model, content, at, words):
    with pytest.raises(ValueError, match=words):
        style_kernel.focus(model, content, np.zeros((8, 8, 3), np.float32), at)


def test_the_page_marks_what_it_found():
    photo, painting = np.zeros((20, 30, 3), np.float32), np.ones((20, 10, 3), np.float32)
    found = style_kernel.Focus(np.zeros((2, 1), np.float32), np.zeros((2, 1), np.float32))
    found.weights[1], found.kept[1] = 1, 1
    made = sheet.page(photo, painting, (29, 0), found)
    assert made.shape == (20, 50, 3) and made.min() >= 0 and made.max() <= 1
    assert made[:, :23].max() == 0 and made[6, 29].tolist() == pytest.approx([1, 0.9, 0])
    assert made[19, 35, 0] > made[0, 35, 0] and made[19, 45].min() > 0.9 and made[0, 45].max() < 0.3


def test_the_verb_makes_a_page(model, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("JAXSTYLE_CACHE_DIR", "off")
    monkeypatch.setattr(sheet, "PANEL", 64)
    image.write("photo.png", squares((0, 1)))
    image.write("painting.png", squares((1, 0), 80))
    style_kernel.save("model.safetensors", model)
    line = ["focus", "photo.png", "--style", "painting.png", "-o", "page.png"]
    mine = ["--weights-file", "model.safetensors"]
    assert main([*line, "--at", "48,16", "1,2", "--json", *mine]) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["at"] == [[48, 16], [1, 2]] and report["kept"] == [1, 1]
    assert report["weights_file"] == "model.safetensors"
    assert report["best"][0][0] < 40 <= report["best"][0][1]
    page = image.read("page.png").pixels
    assert page.shape == (128, 192, 3)
    assert main([*line, "--at", "1,2", "--overwrite", *mine]) == 0
    assert "1,2: looks most at " in capsys.readouterr().out
    np.testing.assert_array_equal(image.read("page.png").pixels, page[64:])  # each row is what a page of its own is
    for more, words in (
        (["--at", "64,0", "--overwrite", *mine], "--at: expected a point of a picture of 64 x 64 pixels, got 64,0"),
        (["--at", "1,1", *mine], "page.png: exists already"),
        (["--at", "1,1", "--overwrite", "--weights-file", "adain_vgg16"], "adain_vgg16: a model of a method without"),
    ):
        assert main([*line, *more]) == 2
        assert words in (said := capsys.readouterr().err) and said.count("\n") == 1
    with pytest.raises(SystemExit):
        main([*line, "--at", "1;2"])
    assert "--at: expected X,Y such as 320,200 in pixels, got '1;2'" in capsys.readouterr().err
