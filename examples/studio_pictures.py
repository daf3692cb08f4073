"""Makes the photos that `jaxstyle studio` ships, of those in this folder: ``python examples/studio_pictures.py``."""

from pathlib import Path

import jaxstyle
from jaxstyle import image

LONG_SIDE = 480
HERE = Path(__file__).parent
SHIPPED = Path(jaxstyle.__file__).parent / "studio" / "examples" / "photos"


def main() -> None:
    """Writes all of them anew."""
    SHIPPED.mkdir(parents=True, exist_ok=True)
    for path in sorted((HERE / "content").glob("*.jpg")):
        pixels = image.read(path).pixels
        scale = min(1.0, LONG_SIDE / max(pixels.shape[:2]))
        size = tuple(round(side * scale) for side in pixels.shape[:2])
        image.write(SHIPPED / path.name, image.resize(pixels, size), quality=85)


if __name__ == "__main__":
    main()
