"""Where training pictures come from: image folders and tensorflow-datasets behind one small interface."""

import contextlib
import dataclasses
import hashlib
import logging
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

import numpy as np

from jaxstyle import image

RETRIES = 3
"""Attempts after the first to reach where a data set is downloaded from, in 1.4 s."""


class DataError(ValueError):
    """A data set that cannot be opened, is empty, or holds no readable picture."""


class UnreadableError(DataError):
    """One picture that cannot be read; the streams skip it."""


class Source(Protocol):
    """A finite, ordered collection of pictures."""

    def __len__(self) -> int: ...

    def name(self, index: int) -> str:
        """A stable name of the picture, for messages and for the hold-out split."""
        ...

    def pixels(self, index: int, short_side: int | None = None) -> np.ndarray:
        """The picture, float32 (H, W, 3) in [0, 1].

        Args:
          index: which one.
          short_side: a hint that it will be shrunk to this short side: a JPEG may be decoded smaller.

        Raises:
          UnreadableError: the picture cannot be decoded.
        """
        ...


class Folder:
    """Every picture below a folder, in the order of their relative paths (so not of the file system)."""

    def __init__(self, root: str | os.PathLike[str]) -> None:
        """
        Args:
          root: the folder, searched recursively; hidden files and folders are left out.

        Raises:
          DataError: no such folder, or no file in it has the suffix of a picture.
        """
        self.root = Path(root)
        if not self.root.is_dir():
            raise DataError(f"{root}: not a folder; expected a folder of pictures or tfds:NAME/CONFIG:SPLIT")
        names = []
        for folder, children, files in os.walk(self.root, followlinks=True):
            children[:] = [child for child in children if not child.startswith(".")]
            for file in files:
                if not file.startswith(".") and os.path.splitext(file)[1].lower() in image.READ_SUFFIXES:
                    names.append(Path(folder, file).relative_to(self.root).as_posix())
        if not names:
            raise DataError(f"{root}: holds no picture; expected files such as .jpg, .png or .webp")
        self.names = sorted(names)

    def __len__(self) -> int:
        return len(self.names)

    def name(self, index: int) -> str:
        return self.names[index]

    def pixels(self, index: int, short_side: int | None = None) -> np.ndarray:
        path = self.root / self.names[index]
        try:
            image.check_file(path)  # nobody shall wait for a pipe
            return image.read(path, short_side=short_side).pixels
        except image.ImageError as error:
            raise UnreadableError(str(error)) from error


class Tfds:
    """One split of a data set of tensorflow-datasets, read without TensorFlow from its ArrayRecord files."""

    def __init__(self, spec: str, data_dir: str | os.PathLike[str] | None = None) -> None:
        """
        Args:
          spec: ``NAME[/CONFIG][:VERSION]:SPLIT``, for example ``imagenette/320px-v2:train[:90%]``.
          data_dir: where prepared data sets lie; None means ``TFDS_DATA_DIR``, else tfds' own default.

        Raises:
          DataError: tfds is not installed, or the data set, its split or a picture feature is missing.
        """
        match = re.fullmatch(r"([^:]+(?::\d+\.\d+\.\d+)?):(.+)", spec)
        if match is None:
            raise DataError(f"tfds:{spec}: expected tfds:NAME/CONFIG:SPLIT, e.g. tfds:imagenette/320px-v2:train")
        name, split = match.groups()
        try:
            import tensorflow_datasets as tfds
        except ImportError as error:
            raise DataError(f"tfds:{spec}: needs tensorflow-datasets (extra jaxstyle[train])") from error
        try:
            with _impatient():
                data = tfds.data_source(
                    name,
                    split=split,
                    data_dir=None if data_dir is None else os.fspath(data_dir),
                    builder_kwargs={"file_format": "array_record"},
                    # prepared data sets of its makers are in another format
                    download_and_prepare_kwargs={
                        "download_config": tfds.download.DownloadConfig(try_download_gcs=False)
                    },
                )
        except OSError as error:  # requests has its own errors of the network
            raise DataError(f"tfds:{spec}: is not on this machine, and cannot be downloaded: {_line(error)}") from error
        except Exception as error:  # tfds raises many unrelated types for a wrong name or split
            raise DataError(f"tfds:{spec}: {_line(error)}") from error
        features = data.dataset_info.features
        pictures = [key for key, feature in features.items() if isinstance(feature, tfds.features.Image)]
        if not pictures:
            raise DataError(f"tfds:{spec}: has no picture feature; its features are {', '.join(features)}")
        self.spec = spec
        self.feature = "image" if "image" in pictures else pictures[0]
        # The encoded file as it was stored: `image.read` decodes it, with its orientation and colour profile.
        self.data = dataclasses.replace(data, decoders={self.feature: tfds.decode.SkipDecoding()})

    def __len__(self) -> int:
        return len(self.data)

    def name(self, index: int) -> str:
        return f"tfds:{self.spec}#{index}"

    def pixels(self, index: int, short_side: int | None = None) -> np.ndarray:
        try:
            return image.read(self.data[index][self.feature], short_side=short_side).pixels
        except image.ImageError as error:
            raise UnreadableError(f"{self.name(index)}: {error}") from error


def _line(error: Exception) -> str:
    return next(iter(str(error).strip().splitlines()), type(error).__name__)


@contextlib.contextmanager
def _impatient() -> Iterator[None]:
    """Without a network tfds gives up after seconds: by itself it tries eleven times, in 205 s, and tells of each."""
    from tensorflow_datasets.core.download import downloader

    logger = logging.getLogger("urllib3.connectionpool")
    before, level = getattr(downloader, "MAX_RETRIES", RETRIES), logger.level
    downloader.MAX_RETRIES = RETRIES
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        downloader.MAX_RETRIES = before
        logger.setLevel(level)


def open_source(spec: str, data_dir: str | os.PathLike[str] | None = None) -> Source:
    """Opens an image folder, or ``tfds:NAME/CONFIG:SPLIT``; ``data_dir`` is where tfds looks.

    Raises:
      DataError: there is no such data set, or it is empty.
    """
    source: Source = Tfds(spec.removeprefix("tfds:"), data_dir) if spec.startswith("tfds:") else Folder(spec)
    if len(source) == 0:
        raise DataError(f"{spec}: is empty")
    return source


HOLDOUT = "a tenth of the smaller set, at most 40"
"""How many pictures are held out where nobody says it, in words; see `choose_holdout`."""


def choose_holdout(given: int | None, *sources: Source) -> int:
    """How many pictures of each source are held out: as given, or a tenth of the smallest, at least 1, at most 40."""
    return given if given is not None else max(1, min(40, min(map(len, sources)) // 10))


def split(source: Source, holdout: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Splits a source by the hash of (seed, name), so that adding pictures moves hardly any other.

    Args:
      source: the pictures.
      holdout: how many to hold out for validation.
      seed: which ones.

    Returns:
      Training indices and validation indices: ascending, disjoint, together the whole source.

    Raises:
      DataError: nothing would be left to train on.
    """
    if not 0 <= holdout < len(source):
        raise DataError(f"holdout: {holdout} of {len(source)} pictures; expected 0 to {len(source) - 1}")
    digests = [hashlib.sha256(f"{seed}/{source.name(i)}".encode()).digest() for i in range(len(source))]
    order = np.array(sorted(range(len(source)), key=digests.__getitem__))
    return np.sort(order[holdout:]), np.sort(order[:holdout])
