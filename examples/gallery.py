"""Makes docs/gallery.jpg, the photos of examples/content in the styles of examples/style:
``python examples/gallery.py [OUT]``, or ``jaxstyle sheet examples/content --styles examples/style --size 512 -o OUT``.
"""

import sys
from pathlib import Path

from jaxstyle import Controls, image
from jaxstyle.runtime import cache
from jaxstyle.sheet.make import sheet

HERE = Path(__file__).parent


def main() -> None:
    out = Path(sys.argv[1]) if len(sys.argv) > 1 else HERE.parent / "docs" / "gallery.jpg"
    cache.enable()
    photos, paintings = (sorted((HERE / kind).glob("*.jpg")) for kind in ("content", "style"))
    image.write(out, sheet(photos, paintings, Controls(size=512)).pixels)
    print(out)


if __name__ == "__main__":
    main()
