"""Small pictures and streams of crops for the tests of what trainers read."""

from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from train.crops import Cropping, Crops
from train.sources import Source


def write_picture(path: Path, size: tuple[int, int] = (40, 32), seed: int = 0) -> None:
    """A smooth random picture, (width, height)."""
    path.parent.mkdir(parents=True, exist_ok=True)
    noise = np.random.default_rng(seed).integers(0, 256, (5, 4, 3), dtype=np.uint8)
    Image.fromarray(noise).resize(size, Image.Resampling.BICUBIC).save(path)


def write_folder(root: Path) -> Path:
    """Seven pictures in nested folders, one note and one hidden file."""
    names = ["b/2.png", "b/1.jpg", "a.webp", "c/d/3.png", "Z.PNG", "e.bmp", "f.png"]
    for seed, name in enumerate(names):
        write_picture(root / name, seed=seed)
    (root / "notes.txt").write_text("not a picture")
    write_picture(root / ".hidden.png")
    write_picture(root / ".thumbs" / "x.png")
    return root


def crops(source: Source, *, stream: str = "content", cache_bytes: int = 0, **cropping: Any) -> Crops:
    """A stream of crops of 16 pixels; other options are of `Cropping`."""
    how = Cropping(**{"seed": 3, "resize": 24, "crop": 16, **cropping})
    return Crops(source, range(len(source)), how, stream=stream, cache_bytes=cache_bytes)
