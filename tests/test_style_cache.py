"""Styles that are kept: what they are known by, how many there are, and files that are not what they were."""

import os
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import jax
import numpy as np
import pytest

from jaxstyle import Controls, image, weights
from jaxstyle.methods.interface import Loaded
from jaxstyle.painting import picture, style_cache
from jaxstyle.painting.style_cache import KEPT, Kept, encoded
from jaxstyle.runtime import cache
from tests import recolour

ROOT = Path(__file__).parents[1]
MODEL = Loaded(recolour.METHOD, recolour.init(), "some.safetensors", "0123")


@pytest.fixture(autouse=True)
def _none_kept(monkeypatch):
    """Nothing in memory, and no cache folder, whatever commands an earlier test has run."""
    monkeypatch.setenv(cache.VARIABLE, "off")
    KEPT.clear()
    yield
    KEPT.clear()


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """The cache of the process, in use."""
    monkeypatch.setattr(style_cache, "_folder", lambda: tmp_path / "styles")
    return tmp_path / "styles"


def pixels(seed=0, height=9, width=12):
    return np.random.default_rng(seed).random((height, width, 3), np.float32)


class Counting:
    """Encodes, and counts how often."""

    def __init__(self):
        self.count, self._encode = 0, picture._encode_style

    def __call__(self, loaded, found):
        self.count += 1
        return self._encode(loaded, found)


def same(a, b):
    return jax.tree.structure(a) == jax.tree.structure(b) and all(
        x.dtype == y.dtype and np.array_equal(x, y) for x, y in zip(jax.tree.leaves(a), jax.tree.leaves(b), strict=True)
    )


# ---- in memory ---------------------------------------------------------------------------------------------


def test_the_same_pixels_are_encoded_once():
    encode = Counting()
    first, again = (encoded(MODEL, pixels().copy(), encode) for _ in range(2))
    assert encode.count == 1 and same(first, again) and same(first, picture._encode_style(MODEL, pixels()))
    assert all(isinstance(leaf, np.ndarray) for leaf in jax.tree.leaves(first))


@pytest.mark.parametrize(
    ("loaded", "found"),
    [
        (MODEL, np.nextafter(pixels(), np.float32(2))),
        (MODEL, pixels().reshape(12, 9, 3)),  # the same bytes
        (MODEL._replace(sha256="4567"), pixels()),
        (MODEL._replace(method=recolour.METHOD._replace(kind="another")), pixels()),
    ],
    ids=["pixels", "shape", "weights", "method"],
)
def test_others_are_encoded(loaded, found):
    encode = Counting()
    encoded(MODEL, pixels(), encode)
    encoded(loaded, found, encode)
    assert encode.count == 2


def test_what_decides_rounding_is_part_of_the_name():
    key = style_cache._key(MODEL, pixels())
    with jax.default_matmul_precision("highest"):
        assert style_cache._key(MODEL, pixels()) != key
    assert style_cache._key(MODEL, pixels()) == key


def test_a_model_made_in_memory_has_no_name():
    encode = Counting()
    for _ in range(2):
        encoded(MODEL._replace(sha256=""), pixels(), encode)
    assert encode.count == 2 and len(KEPT) == 0


def test_memory_is_bounded():
    """200 pictures: never more bytes than allowed, and the latest asked for are there."""
    kept = Kept(1000)
    for number in range(200):
        kept.put(str(number), (np.zeros(50, np.float32),))  # 200 bytes
        kept.get("0")
        assert kept.bytes == 200 * len(kept) <= 1000
    assert len(kept) == 5 and kept.get("0") and kept.get("199") and not kept.get("1")
    kept.put("large", (np.zeros(251, np.float32),))
    assert kept.get("large") is None and len(kept) == 5
    kept.put("199", (np.zeros(50, np.float32),))  # two threads encoded the same
    assert kept.bytes == 1000


def test_the_front_door_encodes_a_style_once_for_every_size_it_is_looked_at(monkeypatch):
    count = Counting()
    monkeypatch.setattr(picture, "_encode_style", count)
    look = [image.Picture(pixels(height=40, width=30))]
    for controls in (Controls(style_size=20), Controls(style_size=20, alpha=0.5), Controls(style_size=24)):
        picture.encode_styles(look, controls, MODEL, picture.style_side(controls, (64, 64)))
    assert count.count == 2
    match = Controls(style_size=20, preserve_color="match")  # a style for one content alone: not kept
    for _ in range(2):
        picture.encode_styles(look, match, MODEL, 20, pixels(1))
    assert count.count == 4 and len(KEPT) == 2


# ---- on disk -----------------------------------------------------------------------------------------------


def test_the_next_process_finds_it(folder):
    encode = Counting()
    first = encoded(MODEL, pixels(), encode)
    KEPT.clear()
    assert same(encoded(MODEL, pixels(), encode), first) and encode.count == 1
    (file,) = folder.iterdir()
    assert file.stat().st_size < 1000


@pytest.mark.parametrize(
    "damage",
    [
        lambda data: b"",
        lambda data: data[:-1],
        lambda data: data[:-1] + bytes([data[-1] ^ 1]),
        lambda data: b"\xff" * 100,
        lambda data: data.replace(b'"key":"', b'"key":"0'),
    ],
    ids=["empty", "short", "bit", "noise", "name"],
)
def test_a_damaged_file_is_made_again(folder, damage):
    encode = Counting()
    first = encoded(MODEL, pixels(), encode)
    (file,) = folder.iterdir()
    whole = file.read_bytes()
    file.write_bytes(damage(whole))
    KEPT.clear()
    assert same(encoded(MODEL, pixels(), encode), first) and encode.count == 2
    assert file.read_bytes() == whole


def test_arrays_that_are_no_style_are_not_used(folder):
    key = style_cache._key(MODEL, pixels())
    folder.mkdir()
    weights.save(folder / f"{key}.safetensors", {"0": np.ones(3, np.float32)}, {"kind": "style", "key": key})
    encode = Counting()
    encoded(MODEL, pixels(), encode)
    assert encode.count == 1


@pytest.mark.parametrize("there", ["file", "folder"])
def test_what_cannot_be_written_costs_nothing_but_time(folder, there):
    if there == "file":
        folder.write_text("in the way")
    else:
        (folder / f"{style_cache._key(MODEL, pixels())}.safetensors").mkdir(parents=True)
    assert same(encoded(MODEL, pixels(), Counting()), picture._encode_style(MODEL, pixels()))


def test_large_styles_and_those_of_methods_that_do_not_say_how_stay_in_memory(folder, monkeypatch):
    encoded(MODEL._replace(method=recolour.METHOD._replace(style_of=None)), pixels(), Counting())
    monkeypatch.setattr(style_cache, "LARGEST_FILE", 23)
    encoded(MODEL, pixels(1), Counting())
    assert len(KEPT) == 2 and not folder.exists()


def test_the_files_used_last_stay(folder, monkeypatch):
    monkeypatch.setattr(style_cache, "FILES", 3)
    for seed in range(3):
        encoded(MODEL, pixels(seed), Counting())
        os.utime(folder / f"{style_cache._key(MODEL, pixels(seed))}.safetensors", (seed, seed))
    KEPT.clear()
    encoded(MODEL, pixels(0), Counting())  # of use
    (folder / ".jaxstyle-0.tmp").write_text("of a process that was killed")
    os.utime(folder / ".jaxstyle-0.tmp", (0, 0))
    encoded(MODEL, pixels(3), Counting())
    wanted = {f"{style_cache._key(MODEL, pixels(seed))}.safetensors" for seed in (0, 2, 3)}
    assert {file.name for file in folder.iterdir()} == wanted


def test_many_at_once(folder, monkeypatch):
    """Sixteen that read, write and give up the same few files get what encoding gives."""
    monkeypatch.setattr(style_cache, "FILES", 2)
    wanted = [jax.device_get(picture._encode_style(MODEL, pixels(seed))) for seed in range(4)]

    def work(number):
        for turn in range(10):
            KEPT.clear()
            seed = (number + turn) % 4
            assert same(encoded(MODEL, pixels(seed), picture._encode_style), wanted[seed])

    with ThreadPoolExecutor(16) as pool:
        list(pool.map(work, range(16)))
    assert len(list(folder.iterdir())) <= 3


def test_the_folder_is_that_of_the_cache_where_it_is_in_use(monkeypatch, tmp_path):
    before = jax.config.jax_compilation_cache_dir
    monkeypatch.setenv(cache.VARIABLE, str(tmp_path))
    assert style_cache._folder() is None  # a program that did not ask for it has none
    try:
        assert style_cache._folder() is None and cache.enable() is not None
        assert style_cache._folder() == cache.folder() / "styles"
        monkeypatch.setenv(cache.VARIABLE, "off")
        assert style_cache._folder() is None
    finally:
        jax.config.update("jax_compilation_cache_dir", before)


@pytest.mark.slow
def test_the_command_keeps_styles_unless_the_cache_is_off(tmp_path):
    image.write(tmp_path / "a.png", pixels(height=20, width=20))
    line = [
        sys.executable,
        "-m",
        "jaxstyle",
        "stylize",
        "a.png",
        "--style",
        "a.png",
        "--style-size",
        "20",
        "-o",
        "b.png",
    ]
    found = []
    for place in (tmp_path / "cache", tmp_path / "cache", "off"):
        environment = os.environ | {cache.VARIABLE: str(place), "PYTHONPATH": str(ROOT), "HOME": str(tmp_path)}
        start = time.time()
        subprocess.run(line, cwd=tmp_path, env=environment, check=True, capture_output=True)
        files = list((tmp_path / "cache").rglob("styles/*"))
        assert len(files) == 1 and (files[0].stat().st_mtime >= start) is (place != "off")
        found.append((tmp_path / "b.png").read_bytes())
    assert len(set(found)) == 1
