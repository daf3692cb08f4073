"""Lays out photos x paintings as one picture: ``python examples/gallery.py [OUT]`` made docs/gallery.jpg."""

import sys
from pathlib import Path

import numpy as np

from jaxstyle import adain, cache, image

HERE = Path(__file__).parent
SIDE = 288  # pixels a tile
MARGIN = 6


def tile(path: Path) -> np.ndarray:
    """The middle square of a picture, (SIDE, SIDE, 3)."""
    pixels = image.resize_short_side(image.read(path).pixels, SIDE)
    top, left = ((length - SIDE) // 2 for length in pixels.shape[:2])
    return pixels[top : top + SIDE, left : left + SIDE]


def main() -> None:
    out = Path(sys.argv[1]) if len(sys.argv) > 1 else HERE.parent / "docs" / "gallery.jpg"
    cache.enable()
    photos = [tile(path) for path in sorted((HERE / "content").glob("*.jpg"))]
    paintings = [tile(path) for path in sorted((HERE / "style").glob("*.jpg"))]
    model = adain.load()
    rows = [[np.ones_like(photos[0]), *photos]]
    for painting in paintings:
        results = adain.stylize(model, np.stack(photos), adain.encode_style(model, painting))
        rows.append([painting, *np.asarray(results)])
    frame = ((MARGIN // 2, MARGIN // 2), (MARGIN // 2, MARGIN // 2), (0, 0))
    grid = np.concatenate([np.concatenate([np.pad(t, frame, constant_values=1) for t in row], 1) for row in rows])
    image.write(out, grid)
    print(out)


if __name__ == "__main__":
    main()
