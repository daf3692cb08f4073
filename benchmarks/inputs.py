"""The same pictures, maps and weight files for both sides; numpy only."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from benchmarks.cases import STYLE_SIDE

SHIPPED = Path(__file__).parents[1] / "jaxstyle" / "weights"
ENCODER, DECODER = SHIPPED / "vgg16.safetensors", SHIPPED / "adain_vgg16.safetensors"
HYPERNETWORK = SHIPPED / "generalizable_inr.safetensors"


def pictures(seed: int, count: int, size: int) -> np.ndarray:
    """Smooth waves with some noise: float32 ``(count, size, size, 3)`` in [0, 1]."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:size, :size] / size
    found = []
    for _ in range(count):
        channels = [np.sin(rng.normal(0, 12) * x + rng.normal(0, 12) * y + rng.normal(0, 3)) for _ in range(3)]
        found.append(0.5 + 0.35 * np.stack(channels, axis=-1) + rng.normal(0, 0.05, (size, size, 3)))
    return np.clip(found, 0, 1).astype(np.float32)


def degrees(size: int) -> np.ndarray:
    """A map of degrees of style, 0 at one corner and 1 at the other: float32 ``(size, size)``."""
    line = np.linspace(0, 1, size)
    return ((line[:, None] + line[None]) / 2).astype(np.float32)


def write_files(folder: Path, size: int) -> tuple[Path, Path]:
    """A photo (JPEG, ``size`` pixels a side) and a painting (PNG) to give to a command."""
    photo, painting = folder / "photo.jpg", folder / "painting.png"
    for file, seed, side in ((photo, 0, size), (painting, 1, STYLE_SIDE)):
        pixels = np.round(255 * pictures(seed, 1, side)[0]).astype(np.uint8)
        Image.fromarray(pixels).save(file, quality=92)  # of which PNG takes no notice
    return photo, painting
