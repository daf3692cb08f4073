"""Folders and tensorflow-datasets as sources of pictures, and what is held out of them."""

import io
import os
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from tests.train_pictures import crops, write_folder, write_picture
from train.loader import Loader
from train.sources import DataError, UnreadableError, choose_holdout, open_source, split


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Seven pictures in nested folders, one note and one hidden file."""
    return write_folder(tmp_path / "pictures")


def test_folder_is_recursive_sorted_and_leaves_out_what_is_hidden(folder: Path) -> None:
    source = open_source(str(folder))
    names = [source.name(i) for i in range(len(source))]
    assert names == ["Z.PNG", "a.webp", "b/1.jpg", "b/2.png", "c/d/3.png", "e.bmp", "f.png"]
    assert source.pixels(3).shape == (32, 40, 3)
    assert source.pixels(3).dtype == np.float32


def test_nobody_waits_for_a_pipe_or_a_device(folder: Path) -> None:
    os.mkfifo(folder / "pipe.png")
    (folder / "to_pipe.png").symlink_to("pipe.png")
    (folder / "self.png").symlink_to("self.png")
    (folder / "zero.png").symlink_to("/dev/zero")
    source = open_source(str(folder))
    for index in range(len(source)):
        if source.name(index) in ("pipe.png", "to_pipe.png", "self.png", "zero.png"):
            with pytest.raises(UnreadableError, match=r"named pipe|device|symbolic links"):
                source.pixels(index)
    assert len(source) == 11


@pytest.mark.parametrize(
    ("sizes", "held"), [((3, 900), 1), ((39, 400), 3), ((400, 40), 4), ((5000, 400), 40), ((2,), 1)]
)
def test_a_tenth_is_held_out_at_most_40(sizes: tuple[int, ...], held: int) -> None:
    sources = [range(size) for size in sizes]  # all that is asked for is how many there are
    assert choose_holdout(None, *sources) == held  # type: ignore[arg-type]
    assert choose_holdout(40, *sources) == 40  # type: ignore[arg-type]


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


def test_tfds_without_a_network_fails_at_once(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """By itself it tries for three minutes and a half."""
    tfds = pytest.importorskip("tensorflow_datasets")
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)

    class FarPictures(tfds.core.GeneratorBasedBuilder):
        VERSION = tfds.core.Version("1.0.0")

        def _info(self) -> Any:
            return self.dataset_info_from_configs(features=tfds.features.FeaturesDict({"image": tfds.features.Image()}))

        def _split_generators(self, manager: Any) -> Any:
            return {"train": self._generate_examples(manager.download("http://127.0.0.1:9/pictures.zip"))}

        def _generate_examples(self, path: Any) -> Any:
            yield from ()

    start = time.perf_counter()
    with pytest.raises(
        DataError, match="tfds:far_pictures:train: is not on this machine, and cannot be down"
    ) as caught:
        open_source("tfds:far_pictures:train", data_dir=tmp_path)
    assert time.perf_counter() - start < 20 and "\n" not in str(caught.value) and "127.0.0.1" in str(caught.value)
    assert "Retrying" not in capfd.readouterr().err


def test_missing_tfds_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "tensorflow_datasets", None)
    with pytest.raises(DataError, match=r"jaxstyle\[train\]"):
        open_source("tfds:imagenette/320px-v2:train")
