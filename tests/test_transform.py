"""Styles in a data loader. Most tests put a cheap method in the place of AdaIN: they are about what is around it."""

import concurrent.futures
import copy
import os
import pickle
import subprocess
import sys
from pathlib import Path

import numpy as np
import PIL.Image
import pytest

import jaxstyle
from jaxstyle import StyleTransform, image, methods
from jaxstyle.folders import transform
from jaxstyle.folders.find import Found, Listing, find
from jaxstyle.folders.pairing import choose, pair_up
from jaxstyle.folders.transform import Draw, TransformError
from jaxstyle.methods import adain

RNG = np.random.default_rng(0)
PHOTO = RNG.integers(0, 256, (6, 9, 3), np.uint8)


class Cheap:
    """In the place of AdaIN: the content mixed with the mean of the style, and a count of what was encoded."""

    def __init__(self):
        self.encoded = 0

    def encode_styles(self, looks, controls, model, side):
        self.encoded += 1
        return np.float32(looks[0].pixels.mean())

    def render(self, picture, looks, controls, maps, model, *, style=None):
        mean = np.float32(looks[0].pixels.mean()) if style is None else style
        shape = image.output_size(picture.pixels.shape[:2], controls.size)
        pixels = image.resize(picture.pixels, shape)
        alpha = None if picture.alpha is None else image.resize(picture.alpha, shape)
        return image.Picture(((1 - controls.alpha) * pixels + controls.alpha * mean).astype(np.float32), alpha)


@pytest.fixture
def cheap(tmp_path, monkeypatch):
    """Five styles in ``styles`` in the current folder, of one colour each."""
    monkeypatch.chdir(tmp_path)
    Path("styles/deep").mkdir(parents=True)
    for i in range(5):
        image.write(f"styles/{'deep/' if i % 2 else ''}s{i}.png", np.full((3, 3, 3), 51 * i, np.uint8))
    method = Cheap()
    monkeypatch.setattr(transform, "render", method.render)
    monkeypatch.setattr(transform, "encode_styles", method.encode_styles)
    monkeypatch.setattr(transform, "load_model", lambda name: methods.loaded(adain.Model({}, {})))
    monkeypatch.setattr(transform, "_worked_in", None)
    return method


def level(path):
    return int(Path(path).stem[1]) * 51


# ---- what a key draws --------------------------------------------------------------------------------------


def test_the_draw_is_that_of_a_data_set(cheap):
    restyle = StyleTransform("styles", seed=7)
    listing = find(["styles"], "styles", recursive=True)
    for name in ("cat/1.png", "dog/2.png", "x"):
        ((_, (style,)),) = pair_up(Listing((Found("", name),), True, 0), listing, pair="random", seed=7)
        assert restyle.styles[restyle.draw(name).style] == os.path.abspath(style.path)
        assert (restyle(PHOTO, name) == level(style.path)).all()


def test_draws_depend_on_seed_and_key_alone(cheap):
    restyle = StyleTransform("styles", alpha=(0.25, 0.75), probability=0.5, seed=1)
    drawn = {key: restyle.draw(key) for key in range(2000)}
    other = StyleTransform(["styles"], alpha=(0.25, 0.75), probability=0.5, seed=1)
    assert {key: other.draw(key) for key in reversed(range(2000))} == drawn
    used = [draw for draw in drawn.values() if draw is not None]
    assert 900 < len(used) < 1100  # 1000 expected, deviation 22
    for style in range(5):  # 200 expected, deviation 13
        assert 140 < sum(draw.style == style for draw in used) < 260
    alphas = [draw.alpha for draw in used]
    assert 0.25 <= min(alphas) < 0.26 and 0.74 < max(alphas) <= 0.75 and abs(np.mean(alphas) - 0.5) < 0.02
    assert abs(np.corrcoef(alphas, [draw.style for draw in used])[0, 1]) < 0.1
    changed = StyleTransform("styles", alpha=(0.25, 0.75), probability=0.5, seed=2)
    assert sum(changed.draw(key) != drawn[key] for key in drawn) > 1200
    assert StyleTransform("styles", probability=0).draw(3) is None
    assert StyleTransform("styles", seed=9).draw(3) == Draw(choose(9, "3", 5)[0], 1.0)


def test_keys_of_all_types(cheap):
    restyle = StyleTransform("styles", alpha=(0, 1))
    for same in ([3, "3", b"3", np.int64(3), np.uint8(3), np.array(3), np.str_("3")], [("a", 3), ("a", "3"), "a/3"]):
        assert len({restyle.draw(key) for key in same}) == 1
    assert len({restyle.draw((epoch, 3)) for epoch in range(10)}) == 10
    for key in (1.5, None, (), [], np.array([1, 2]), np.float32(1), (1, None)):
        with pytest.raises(TransformError, match=r"^key: expected a whole number, a text or a tuple of them, got "):
            restyle(PHOTO, key)


# ---- what is given is what comes back ----------------------------------------------------------------------


@pytest.mark.parametrize("probability", [0, 1])
@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float16", "float32", "float64"])
@pytest.mark.parametrize("shape", [(6, 9), (6, 9, 1), (6, 9, 2), (6, 9, 3), (6, 9, 4)])
def test_arrays(cheap, shape, dtype, probability):
    full = np.iinfo(dtype).max if dtype.startswith("u") else 1
    given = (RNG.random(shape) * full).astype(dtype)
    kept = given.copy()
    made = StyleTransform("styles", alpha=0.5, probability=probability)(given, 1)
    channels = shape[2] if len(shape) == 3 else 1
    assert made.shape == (6, 9, 4 if channels in (2, 4) else 3) and made.dtype == given.dtype
    assert (given == kept).all()
    colours = given.reshape(6, 9, channels)[..., : 3 if channels > 2 else 1].astype(float) / full
    drawn = StyleTransform("styles")
    mean = level(drawn.styles[drawn.draw(1).style]) / 255
    expected = np.broadcast_to(colours if probability == 0 else colours / 2 + mean / 2, (6, 9, 3))
    np.testing.assert_allclose(made[..., :3] / float(full), expected, atol=0.51 / 255)
    if channels in (2, 4):
        np.testing.assert_allclose(made[..., 3].astype(float), given[..., -1].astype(float), atol=1e-3)


@pytest.mark.parametrize("probability", [0, 1])
def test_images(cheap, probability):
    restyle = StyleTransform("styles", probability=probability)
    for mode, expected in (("RGB", "RGB"), ("L", "RGB"), ("RGBA", "RGBA"), ("P", "RGB")):
        found = restyle(PIL.Image.fromarray(PHOTO).convert(mode), 1)
        assert isinstance(found, PIL.Image.Image) and found.size == (9, 6)
        assert found.mode == (expected if mode != "RGBA" else "RGB")  # opaque
    clear = PIL.Image.fromarray(np.zeros((6, 9, 4), np.uint8))
    assert restyle(clear, 1).mode == "RGBA"
    assert (np.asarray(restyle(PIL.Image.fromarray(PHOTO), 1)) == restyle(PHOTO, 1)).all()


def test_every_result_has_the_size(cheap):
    for size, shape in ((4, (4, 6, 3)), ((8, 5), (5, 8, 3))):
        restyle = StyleTransform("styles", size=size, probability=0.5)
        assert {restyle(PHOTO, key).shape for key in range(8)} == {shape}
        assert {restyle.draw(key) is None for key in range(8)} == {True, False}


def test_batches(cheap):
    restyle = StyleTransform("styles", alpha=(0, 1), probability=0.7)
    photos = RNG.integers(0, 256, (5, 6, 9, 3), np.uint8)
    single = [restyle(photo, key) for photo, key in zip(photos, range(5), strict=True)]
    for keys in (range(5), [0, 1, 2, 3, 4], np.arange(5)):
        made = restyle(photos, keys)
        assert made.dtype == np.uint8 and (made == single).all()
    assert (restyle(photos[::-1], range(5)[::-1]) == single[::-1]).all()
    listed = restyle(list(photos), ("0", "1", "2", "3", "4"))
    assert isinstance(listed, list) and (np.stack(listed) == single).all()
    mixed = restyle((photos[0], PIL.Image.fromarray(photos[1])), [0, 1])
    assert isinstance(mixed, tuple) and (np.asarray(mixed[1]) == single[1]).all()
    for keys in (3, "01234", range(4), np.array(3), None):
        with pytest.raises(TransformError, match=r"^key: expected 5, one for each picture, got "):
            restyle(photos, keys)


def test_styles_in_memory_keep_their_order(cheap):
    looks = [np.full((2, 2, 3), value, np.uint8) for value in (10, 20)]
    restyle = StyleTransform([*looks, PIL.Image.fromarray(looks[0])])
    assert len(restyle.styles) == 3
    for key in range(6):
        assert (restyle(PHOTO, key) == (10, 20, 10)[restyle.draw(key).style]).all()
    assert (StyleTransform(looks[1])(PHOTO, 0) == 20).all()


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"alpha": 1.5}, "^alpha: expected a number in"),
        ({"alpha": (0.7, 0.2)}, r"^alpha: expected a number or a range \(low, high\) in \[0, 1\], got \(0\.7, 0\.2\)$"),
        ({"alpha": (0.1, 0.2, 0.3)}, "^alpha: expected a number or a range"),
        ({"probability": 2}, r"^probability: expected a number in \[0, 1\], got 2$"),
        ({"probability": float("nan")}, "^probability: "),
        ({"seed": -1}, "^seed: "),
        ({"size": 0}, "^size: "),
        ({"preserve_color": "no"}, "^preserve_color: expected one of"),
        ({"styles": "nowhere"}, "^nowhere: no such file or folder$"),
        ({"styles": []}, "^styles: expected at least one picture"),
    ],
)
def test_wrong_arguments(cheap, options, words):
    with pytest.raises(ValueError, match=words):
        StyleTransform(**({"styles": "styles"} | options))


@pytest.mark.parametrize(
    ("picture", "words"),
    [
        ("photo.jpg", "^picture: expected an array or a PIL image, got 'photo.jpg'$"),
        (None, "^picture: expected an array or a PIL image, got None$"),
        (np.zeros((4, 4, 3), np.int64), "^picture: expected uint8, uint16 or floats in"),
        (np.zeros((4, 4, 5), np.uint8), r"array of shape \(4, 4, 5\)"),
        (np.full((4, 4, 3), 255.0), "values from 255 to 255: expected floats in"),
    ],
)
def test_wrong_pictures(cheap, picture, words):
    with pytest.raises(ValueError, match=words):
        StyleTransform("styles")(picture, 0)


# ---- processes and threads ---------------------------------------------------------------------------------


def test_styles_are_encoded_once_and_late(cheap):
    restyle = StyleTransform("styles")
    assert cheap.encoded == 0
    for _ in range(2):
        restyle(PHOTO, 0)
    assert cheap.encoded == 1
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        many = list(pool.map(lambda key: restyle(PHOTO, key), range(40)))
    assert all((made == level(restyle.styles[restyle.draw(key).style])).all() for key, made in enumerate(many))


@pytest.mark.parametrize("way", ["match", "histogram"])
def test_styles_that_take_on_colours_are_not_encoded_beforehand(cheap, way):
    StyleTransform("styles", preserve_color=way)(PHOTO, 0)
    assert cheap.encoded == 0


def test_copies_and_pickles_hold_no_arrays(cheap):
    restyle = StyleTransform("styles", alpha=(0.2, 0.9), seed=3)
    before = pickle.dumps(restyle)
    expected = restyle(PHOTO, 5)
    assert pickle.dumps(restyle) == before and len(before) < 2000
    for other in (pickle.loads(before), copy.copy(restyle), copy.deepcopy(restyle)):
        assert (other(PHOTO, 5) == expected).all()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork")
def test_a_forked_process_is_told_instead_of_hanging(cheap, monkeypatch):
    restyle = StyleTransform("styles", probability=0.5)
    used = next(key for key in range(99) if restyle.draw(key))
    left = next(key for key in range(99) if not restyle.draw(key))
    restyle(PHOTO, left)  # which needs no jax
    with monkeypatch.context() as forked:
        forked.setattr(os, "getpid", lambda: -1)
        restyle(PHOTO, used)  # jax has not been at work in the process above
    with pytest.raises(TransformError, match=r"forked .* start workers by spawn .*multiprocessing_context='spawn'"):
        restyle(PHOTO, used)
    restyle(PHOTO, left)


def test_in_grain(cheap):
    grain = pytest.importorskip("grain")
    restyle = StyleTransform("styles", alpha=(0, 1))
    photos = list(RNG.integers(0, 256, (5, 6, 9, 3), np.uint8))
    made = grain.MapDataset.source(photos).map_with_index(lambda index, photo: restyle(photo, index)).batch(5)
    assert (next(iter(made)) == restyle(photos, range(5))).all()


LOADER = """
import sys
import numpy as np, torch
import jaxstyle

class Photos(torch.utils.data.Dataset):
    def __init__(self):
        self.restyle = jaxstyle.StyleTransform("styles", alpha=(0.4, 1), seed=2, style_size=16)
    def __len__(self):
        return 6
    def __getitem__(self, index):
        photo = np.random.default_rng(index).integers(0, 256, (16, 16, 3), np.uint8)
        return self.restyle(photo, index), index

if __name__ == "__main__":
    for way, workers in (("fork", 1), ("spawn", 2)):
        loader = torch.utils.data.DataLoader(
            Photos(), batch_size=2, num_workers=workers, multiprocessing_context=way, shuffle=way == "spawn"
        )
        found = [None] * 6
        for pictures, indices in loader:
            for picture, index in zip(pictures.numpy(), indices.tolist()):
                found[index] = picture
        np.save(f"{way}.npy", found)
    here = Photos()  # jax starts in this process now
    np.save("here.npy", [here[index][0] for index in range(6)])
"""


@pytest.mark.slow
@pytest.mark.torch
@pytest.mark.timeout(1200)  # five processes compile
def test_in_the_workers_of_a_torch_loader(tmp_path):
    """The same pictures by fork, by spawn, in any order and in this process; and those of `jaxstyle.stylize`."""
    pytest.importorskip("torch")
    for i in range(3):
        (tmp_path / "styles").mkdir(exist_ok=True)
        image.write(tmp_path / f"styles/s{i}.png", RNG.random((16, 16, 3), np.float32))
    (tmp_path / "load.py").write_text(LOADER)
    root = str(Path(jaxstyle.__file__).parents[1])
    subprocess.run([sys.executable, "load.py"], cwd=tmp_path, check=True, env=os.environ | {"PYTHONPATH": root})
    fork, spawn, here = (np.load(tmp_path / f"{way}.npy") for way in ("fork", "spawn", "here"))
    assert (fork == here).all() and (spawn == here).all() and here.shape == (6, 16, 16, 3)
    restyle = StyleTransform(tmp_path / "styles", alpha=(0.4, 1), seed=2, style_size=16)
    photo = np.random.default_rng(4).integers(0, 256, (16, 16, 3), np.uint8)
    style, alpha = restyle.draw(4)
    alone = jaxstyle.stylize(photo, restyle.styles[style], alpha=alpha, style_size=16)
    np.testing.assert_array_equal(np.asarray(alone), here[4])
