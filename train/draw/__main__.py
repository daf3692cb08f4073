"""``python -m train.draw [FOLDER]``: writes the pictures of `jaxstyle.styles`, by default those that ship.

Drawings are of one seed each; paintings are those of ``examples/style``, made smaller. The same versions of NumPy and
Pillow write the same files, others what differs by the rounding of JPEG.
"""

from __future__ import annotations

import io
import sys
import zlib
from pathlib import Path

import numpy as np

from jaxstyle import image, styles
from train.augment import Picture
from train.draw import inks, materials

SIDE = 400
"""Of drawings, and the short side of paintings, pixels."""
MOST_BYTES = 62_000
"""Of a file."""

DRAWINGS = {
    "batik": materials.batik,
    "bauhaus": inks.bauhaus,
    "blueprint": inks.blueprint,
    "circuit": materials.circuit,
    "crystal": materials.crystal,
    "cut-paper": materials.cut_paper,
    "embroidery": materials.embroidery,
    "girih": materials.girih,
    "halftone": inks.halftone,
    "impasto": materials.impasto,
    "ink-wash": inks.ink_wash,
    "marbled-paper": materials.marbled_paper,
    "mosaic": materials.mosaic,
    "neon": materials.neon,
    "pastel": inks.pastel,
    "pointillism": inks.pointillism,
    "stained-glass": materials.stained_glass,
    "watercolour": inks.watercolour,
    "waves": inks.waves,
    "woodcut": inks.woodcut,
}
PAINTINGS = {"starry-night": "starry_night.jpg", "the-kiss": "the_kiss.jpg", "the-scream": "the_scream.jpg"}
"""Names of files in ``examples/style``."""

EXAMPLES = Path(__file__).parents[2] / "examples" / "style"


def picture(name: str) -> Picture:
    """A style before it is written; of a drawing the name gives the seed."""
    if name in DRAWINGS:
        return np.asarray(DRAWINGS[name]((SIDE, SIDE), np.random.default_rng(zlib.crc32(name.encode()))), np.float32)
    pixels = image.read(EXAMPLES / PAINTINGS[name]).pixels
    return image.resize_short_side(pixels, min(SIDE, *pixels.shape[:2]))


def encoded(pixels: Picture) -> bytes:
    """A JPEG file of the best quality that is small enough."""
    for quality in range(92, 20, -2):
        file = io.BytesIO()
        image.write(file, pixels, format="jpeg", quality=quality)
        if file.tell() <= MOST_BYTES:
            break
    return file.getvalue()


def main(folder: Path) -> None:
    """Writes all of them."""
    for name in (*DRAWINGS, *PAINTINGS):
        data = encoded(picture(name))
        (folder / f"{name}.jpg").write_bytes(data)
        print(f"{name}: {len(data)} bytes")


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else styles.FOLDER)
