"""Pictures that several tests are made with."""

import numpy as np

SHORT, LONG = 19, 26
"""Sides in pixels of the photo in `tests/conftest.py`."""


def smooth(height: int, width: int, channels: int = 3) -> np.ndarray:
    """A picture without sharp edges, float32 (height, width, channels), so that a format's rounding changes little."""
    y, x = np.mgrid[0 : 1 : height * 1j, 0 : 1 : width * 1j]
    waves = [np.sin(3 * x + i) * np.cos(2 * y - i) for i in range(channels)]
    return (np.stack(waves, -1) * 0.4 + 0.5).astype(np.float32)
