"""Batches of content and style: from any step on, for any process, decoded ahead; and the validation pairs."""

import time
from pathlib import Path

import jax.numpy as jnp
import numpy as np
import pytest

from tests.train_pictures import crops, write_folder
from train.loader import Batch, Loader, to_unit, validation_pairs
from train.sources import DataError, Source, open_source


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Seven pictures in nested folders, one note and one hidden file."""
    return write_folder(tmp_path / "pictures")


def test_nothing_readable_is_an_error(tmp_path: Path) -> None:
    for name in ("1.png", "2.jpg"):
        (tmp_path / name).write_text("text")
    stream = crops(open_source(str(tmp_path)))
    with (
        Loader(stream, stream, batch_size=2) as loader,
        pytest.raises(DataError, match="content: none of 2 pictures is readable"),
    ):
        next(loader)


def test_loader_resumes_anywhere_with_any_threads(folder: Path) -> None:
    source = open_source(str(folder))

    def batches(start: int, count: int, **options: int) -> list[Batch]:
        with Loader(crops(source), crops(source, stream="style"), batch_size=4, start_step=start, **options) as loader:
            return [next(loader) for _ in range(count)]

    straight = batches(0, 6, threads=1, prefetch=1)
    resumed = batches(4, 2, threads=3, prefetch=3)
    for expected, got in zip(straight[4:], resumed, strict=True):
        assert set(got) == {"content", "style"}
        for name in got:
            assert got[name].shape == (4, 16, 16, 3)
            assert got[name].dtype == np.uint8
            assert got[name].min() < got[name].max()
            np.testing.assert_array_equal(got[name], expected[name])
    assert not np.array_equal(straight[0]["content"], straight[0]["style"])


def test_processes_that_decode_give_the_same_batches_and_say_what_they_skipped(folder: Path) -> None:
    (folder / "broken.png").write_bytes(b"no picture")
    source = open_source(str(folder))

    def batches(**options: int) -> tuple[list[Batch], dict[str, str]]:
        content, style = crops(source), crops(source, stream="style")
        with Loader(content, style, batch_size=4, **options) as loader:
            return [next(loader) for _ in range(4)], loader.skipped

    (threads, why), (processes, also) = batches(threads=2), batches(processes=2)
    for expected, got in zip(threads, processes, strict=True):
        for name in expected:
            np.testing.assert_array_equal(got[name], expected[name])
    assert list(why) == list(also) == ["broken.png"] and why == also


def test_an_echo_moves_the_paintings_on(folder: Path) -> None:
    source = open_source(str(folder))

    def batches(count: int, **options: int) -> list[Batch]:
        with Loader(crops(source), crops(source, stream="style"), batch_size=4, **options) as loader:
            return [next(loader) for _ in range(count)]

    plain, echoed = batches(3), batches(6, echo=2)
    for step, got in enumerate(echoed):
        expected = plain[step // 2]
        np.testing.assert_array_equal(got["content"], expected["content"])
        np.testing.assert_array_equal(got["style"], np.roll(expected["style"], step % 2, axis=0))
    for start in (1, 2, 3):
        for expected, got in zip(echoed[start:], batches(6 - start, echo=2, start_step=start), strict=True):
            np.testing.assert_array_equal(got["style"], expected["style"])


def test_bytes_become_floats_where_they_are_used() -> None:
    pixels = np.arange(256, dtype=np.uint8).reshape(1, 1, 256, 1)
    np.testing.assert_allclose(to_unit(jnp.asarray(pixels)), pixels / np.float32(255), atol=1e-7)
    floats = jnp.linspace(0, 1, 7)
    assert to_unit(floats) is floats


def test_two_processes_get_the_two_halves_of_the_global_batch(folder: Path) -> None:
    source = open_source(str(folder))

    def third_batch(index: int, count: int) -> Batch:
        with Loader(
            crops(source),
            crops(source, stream="style"),
            batch_size=6,
            start_step=2,
            process_index=index,
            process_count=count,
        ) as loader:
            return next(loader)

    whole, halves = third_batch(0, 1), [third_batch(0, 2), third_batch(1, 2)]
    for name in whole:
        np.testing.assert_array_equal(whole[name], np.concatenate([half[name] for half in halves]))
    with pytest.raises(DataError, match=r"batch_size: 6.*4 processes"):
        third_batch(0, 4)


def test_prefetch_is_bounded_and_close_drops_it(folder: Path) -> None:
    source = open_source(str(folder))
    decoded = []

    class Slow(Source):
        def __len__(self) -> int:
            return len(source)

        def name(self, index: int) -> str:
            return source.name(index)

        def pixels(self, index: int, short_side: int | None = None) -> np.ndarray:
            decoded.append(index)
            time.sleep(0.005)
            return source.pixels(index)

    loader = Loader(crops(Slow()), crops(source), batch_size=2, threads=1, prefetch=3)
    next(loader)
    time.sleep(0.3)
    assert len(decoded) == 2 * 4
    next(loader)
    loader.close()
    count = len(decoded)
    time.sleep(0.05)
    assert len(decoded) == count <= 2 * 5


def test_validation_pairs_are_centre_crops_repeated_to_the_count(folder: Path) -> None:
    source = open_source(str(folder))
    (folder / "a.webp").write_text("text")
    pairs = validation_pairs(source, [3, 1, 4], source, [5], count=4, crop=32)
    assert pairs["content"].shape == pairs["style"].shape == (4, 32, 32, 3)
    np.testing.assert_allclose(pairs["content"][0], source.pixels(3)[:, 4:36], atol=1e-6)
    np.testing.assert_array_equal(pairs["content"][0], pairs["content"][2])  # index 1 is unreadable
    np.testing.assert_array_equal(pairs["style"][0], pairs["style"][3])
    with pytest.raises(DataError, match="validation style: no readable picture"):
        validation_pairs(source, [3], source, [1], count=2, crop=32)
