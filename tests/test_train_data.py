"""Sources, order, crops, substitutes and the loader of train.data."""

import io
import logging
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from train import data
from train.data import Crops, DataError, Loader, open_source, split


def write_picture(path: Path, size: tuple[int, int] = (40, 32), seed: int = 0) -> None:
    """A smooth random picture, (width, height)."""
    path.parent.mkdir(parents=True, exist_ok=True)
    noise = np.random.default_rng(seed).integers(0, 256, (5, 4, 3), dtype=np.uint8)
    Image.fromarray(noise).resize(size, Image.Resampling.BICUBIC).save(path)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Seven pictures in nested folders, one note and one hidden file."""
    root = tmp_path / "pictures"
    names = ["b/2.png", "b/1.jpg", "a.webp", "c/d/3.png", "Z.PNG", "e.bmp", "f.png"]
    for seed, name in enumerate(names):
        write_picture(root / name, seed=seed)
    (root / "notes.txt").write_text("not a picture")
    write_picture(root / ".hidden.png")
    write_picture(root / ".thumbs" / "x.png")
    return root


def crops(source: data.Source, **options: object) -> Crops:
    settings: dict = {"stream": "content", "seed": 3, "resize": 24, "crop": 16} | options
    return Crops(source, range(len(source)), **settings)


def test_folder_is_recursive_sorted_and_leaves_out_what_is_hidden(folder: Path) -> None:
    source = open_source(str(folder))
    names = [source.name(i) for i in range(len(source))]
    assert names == ["Z.PNG", "a.webp", "b/1.jpg", "b/2.png", "c/d/3.png", "e.bmp", "f.png"]
    assert source.pixels(3).shape == (32, 40, 3)
    assert source.pixels(3).dtype == np.float32


def test_wrong_or_empty_folder_is_one_line(tmp_path: Path) -> None:
    for spec in (tmp_path / "missing", tmp_path):
        with pytest.raises(DataError, match=str(spec)) as caught:
            open_source(str(spec))
        assert "\n" not in str(caught.value)


def test_split_is_disjoint_complete_and_follows_names(folder: Path) -> None:
    source = open_source(str(folder))
    training, validation = split(source, 3, seed=0)
    assert sorted([*training, *validation]) == list(range(7))
    assert len(validation) == 3
    held = {source.name(i) for i in validation}
    others = [split(source, 3, seed=seed)[1].tolist() for seed in range(5)]
    assert len({tuple(indices) for indices in others}) > 1
    # A new picture displaces at most one that was held out.
    write_picture(folder / "0_new.png")
    grown = open_source(str(folder))
    assert len(held - {grown.name(i) for i in split(grown, 3, seed=0)[1]}) <= 1
    with pytest.raises(DataError, match=r"holdout: 7 of 7.*0 to 6"):
        split(source, 7, seed=0)


def test_each_epoch_visits_every_picture_once_in_its_own_order(folder: Path) -> None:
    stream = crops(open_source(str(folder)))
    orders = [stream.order(epoch).tolist() for epoch in range(4)]
    assert all(sorted(order) == list(range(7)) for order in orders)
    assert len({tuple(order) for order in orders}) == 4


def test_example_depends_on_seed_stream_and_number_only(folder: Path) -> None:
    source = open_source(str(folder))
    one, other = crops(source), crops(source, cache_bytes=1 << 20)
    late = [one.example(k) for k in (30, 4, 4, 17)]
    for number in range(31):  # fills caches in another order
        other.example(number)
    again = [other.example(k) for k in (30, 4, 4, 17)]
    np.testing.assert_array_equal(late, again)
    assert late[0].shape == (16, 16, 3)
    assert late[0].dtype == np.uint8
    for changed in ({"seed": 4}, {"stream": "style"}):
        assert not np.array_equal(one.example(4), crops(source, **changed).example(4))


@pytest.mark.parametrize("largest_crop", [0, 20])
def test_crop_is_a_window_of_the_resized_picture(tmp_path: Path, largest_crop: int) -> None:
    # Red rises with x, green with y: a crop's corners tell where it was cut, and whether it was mirrored.
    y, x = np.mgrid[0:24, 0:48]
    pixels = np.stack([4 * x, 8 * y, 0 * x], -1).astype(np.uint8)
    Image.fromarray(pixels).save(tmp_path / "ramp.png")
    stream = crops(open_source(str(tmp_path)), largest_crop=largest_crop)
    cuts = [stream.example(k).astype(int) for k in range(64)]
    widths = [abs(cut[0, -1, 0] - cut[0, 0, 0]) / 4 for cut in cuts]  # distance of the outer pixel centres
    if largest_crop:
        assert 14 < min(widths) < 16
        assert 17 < max(widths) < 20
    else:
        assert set(widths) == {15}
        assert all(cut[-1, 0, 1] - cut[0, 0, 1] == 15 * 8 for cut in cuts)
        lefts = {min(cut[0, 0, 0], cut[0, -1, 0]) // 4 for cut in cuts}
        assert lefts <= set(range(33))
        assert len(lefts) > 15
        assert {cut[0, 0, 1] // 8 for cut in cuts} == set(range(9))
    mirrored = sum(cut[0, 0, 0] > cut[0, -1, 0] for cut in cuts)
    assert 16 < mirrored < 48
    unflipped = crops(open_source(str(tmp_path)), flip=False)
    assert all(cut[0, 0, 0] < cut[0, -1, 0] for cut in map(unflipped.example, range(16)))


def test_small_pictures_are_enlarged_and_extreme_ones_skipped(tmp_path: Path) -> None:
    write_picture(tmp_path / "tiny.png", (3, 2))
    write_picture(tmp_path / "thread.png", (200, 2))
    stream = crops(open_source(str(tmp_path)))
    assert {stream.example(k).shape for k in range(6)} == {(16, 16, 3)}
    assert list(stream.skipped) == ["thread.png"]
    assert "200x2" in stream.skipped["thread.png"]


def test_window_equals_a_cut_of_the_whole_enlarged_picture(folder: Path) -> None:
    pixels = data.to_uint8(open_source(str(folder)).pixels(3))  # 32 rows, 40 columns
    whole = data.resize_short_side(pixels, 64)
    window = data._resample_window(pixels, (5 / 64, 30 / 80, 37 / 64, 62 / 80), 32)
    assert np.abs(window.astype(int) - whole[5:37, 30:62]).max() <= 1


def test_sizes_that_contradict_each_other_are_refused(folder: Path) -> None:
    source = open_source(str(folder))
    for options, name in (({"crop": 25}, "crop: 25"), ({"largest_crop": 25}, "largest_crop: 25")):
        with pytest.raises(DataError, match=name):
            crops(source, **options)
    with pytest.raises(DataError, match="no pictures"):
        Crops(source, [], stream="style", seed=0, resize=8, crop=8)


def test_unreadable_pictures_are_replaced_named_once_and_counted(
    folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    whole = crops(open_source(str(folder)))
    (folder / "b/2.png").write_text("text")
    cut = (folder / "b/1.jpg").read_bytes()
    (folder / "b/1.jpg").write_bytes(cut[: len(cut) // 2])
    source = open_source(str(folder))
    bad = {i for i in range(7) if source.name(i) in ("b/1.jpg", "b/2.png")}
    stream = crops(source)
    with caplog.at_level(logging.WARNING):
        found = [stream.example(k) for k in range(21)]
    assert set(stream.skipped) == {"b/1.jpg", "b/2.png"}
    assert sum("b/2.png" in record.getMessage() for record in caplog.records) == 1
    for k, example in enumerate(found):
        order = whole.order(k // 7).tolist()
        if order[k % 7] in bad:
            # The substitute does not depend on what was met before.
            np.testing.assert_array_equal(example, crops(source).example(k))
        else:
            np.testing.assert_array_equal(example, whole.example(k))


def test_nothing_readable_is_an_error(tmp_path: Path) -> None:
    for name in ("1.png", "2.jpg"):
        (tmp_path / name).write_text("text")
    stream = crops(open_source(str(tmp_path)))
    with (
        Loader(stream, stream, batch_size=2) as loader,
        pytest.raises(DataError, match="content: none of 2 pictures is readable"),
    ):
        next(loader)


def test_cache_keeps_to_its_limit(folder: Path) -> None:
    room = 2 * 24 * 30 * 3 + 1  # two pictures of 40x32 brought to 30x24
    stream = crops(open_source(str(folder)), cache_bytes=room)
    for k in range(14):
        stream.example(k)
    assert stream._cache.used_bytes == room - 1


def test_loader_resumes_anywhere_with_any_threads(folder: Path) -> None:
    source = open_source(str(folder))

    def batches(start: int, count: int, **options: int) -> list[data.Batch]:
        with Loader(crops(source), crops(source, stream="style"), batch_size=4, start_step=start, **options) as loader:
            return [next(loader) for _ in range(count)]

    straight = batches(0, 6, threads=1, prefetch=1)
    resumed = batches(4, 2, threads=3, prefetch=3)
    for expected, got in zip(straight[4:], resumed, strict=True):
        assert set(got) == {"content", "style"}
        for name in got:
            assert got[name].shape == (4, 16, 16, 3)
            assert got[name].dtype == np.float32
            assert 0 <= got[name].min() < got[name].max() <= 1
            np.testing.assert_array_equal(got[name], expected[name])
    assert not np.array_equal(straight[0]["content"], straight[0]["style"])


def test_two_processes_get_the_two_halves_of_the_global_batch(folder: Path) -> None:
    source = open_source(str(folder))

    def third_batch(index: int, count: int) -> data.Batch:
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

    class Slow(data.Source):
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
    pairs = data.validation_pairs(source, [3, 1, 4], source, [5], count=4, crop=32)
    assert pairs["content"].shape == pairs["style"].shape == (4, 32, 32, 3)
    np.testing.assert_allclose(pairs["content"][0], source.pixels(3)[:, 4:36], atol=1e-6)
    np.testing.assert_array_equal(pairs["content"][0], pairs["content"][2])  # index 1 is unreadable
    np.testing.assert_array_equal(pairs["style"][0], pairs["style"][3])
    with pytest.raises(DataError, match="validation style: no readable picture"):
        data.validation_pairs(source, [3], source, [1], count=2, crop=32)


@pytest.fixture(scope="module")
def tfds_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A prepared data set, written offline by a builder of tensorflow-datasets."""
    tfds = pytest.importorskip("tensorflow_datasets")

    class SwatchPictures(tfds.core.GeneratorBasedBuilder):
        VERSION = tfds.core.Version("1.0.0")

        def _info(self):  # type: ignore[no-untyped-def]
            features = tfds.features.FeaturesDict({"image": tfds.features.Image(), "label": np.int64})
            return self.dataset_info_from_configs(features=features)

        def _split_generators(self, dl_manager):  # type: ignore[no-untyped-def]
            return {"train": self._generate_examples(6), "test": self._generate_examples(2)}

        def _generate_examples(self, count: int):  # type: ignore[no-untyped-def]
            for i in range(count):
                file = io.BytesIO()
                Image.fromarray(np.full((20 + i, 30, 3), 40 * i, np.uint8)).save(file, "PNG")
                file.seek(0)
                yield i, {"image": file, "label": i}

    root = tmp_path_factory.mktemp("tfds")
    SwatchPictures(data_dir=root, file_format="array_record").download_and_prepare()
    return root


def test_tfds_split_is_read_without_tensorflow(tfds_folder: Path) -> None:
    source = open_source("tfds:swatch_pictures:train", data_dir=tfds_folder)
    assert len(source) == 6
    values = sorted(float(source.pixels(i)[0, 0, 0]) * 255 for i in range(6))
    np.testing.assert_allclose(values, [0, 40, 80, 120, 160, 200], atol=1e-3)
    assert len({source.name(i) for i in range(6)}) == 6
    with Loader(crops(source), crops(source, stream="style"), batch_size=3) as loader:
        assert next(loader)["style"].shape == (3, 16, 16, 3)
    part = open_source("tfds:swatch_pictures:1.0.0:train[:4]", data_dir=tfds_folder)
    assert len(part) == 4
    assert "tensorflow" not in sys.modules


@pytest.mark.parametrize("spec", ["tfds:swatch_pictures:nowhere", "tfds:no_such_set_at_all:train", "tfds:name"])
def test_tfds_mistakes_are_one_line(tfds_folder: Path, spec: str) -> None:
    with pytest.raises(DataError, match=spec) as caught:
        open_source(spec, data_dir=tfds_folder)
    assert "\n" not in str(caught.value)


def test_missing_tfds_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "tensorflow_datasets", None)
    with pytest.raises(DataError, match=r"jaxstyle\[train\]"):
        open_source("tfds:imagenette/320px-v2:train")
