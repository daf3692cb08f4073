"""Makes the pictures of docs/inr.md from the fit in examples/inr, by the commands that stand there:
``python examples/inr_pictures.py [FOLDER]``.
"""

import os
import shlex
import sys
import tempfile
from pathlib import Path

import numpy as np
from PIL import Image

from jaxstyle.cli import main as cli

ROOT = Path(__file__).parents[1]
FIT = "examples/inr/chelsea_starry_night.safetensors"
COMMANDS = {
    "gradient.jpg": f"render {FIT} --gradient left:0,right:1 --size 720x480",
    "mask.jpg": f"render {FIT} --mask examples/inr/chelsea_mask.png --mask-alpha 0.15 --size 720x480",
}
EYE = (-0.3625, -0.358, -0.1125, -0.108)
"""The region of the zoom: an eighth of the picture's width and height."""


def run(command: str, out: Path) -> Image.Image:
    """What a command of jaxstyle renders."""
    if cli.main([*shlex.split(command), "-o", str(out), "--overwrite"]):
        raise SystemExit(f"jaxstyle {command}: failed")
    return Image.open(out).convert("RGB")


def zoom(folder: Path) -> Image.Image:
    """Left what the network says between the pixels, right the pixels it was fitted at, enlarged with a bicubic filter;
    above at degree of style 0, below at 1."""
    rows = []
    for alpha in (0, 1):
        region = ",".join(map(str, EYE))
        near = run(f"render {FIT} --alpha {alpha} --region={region} --size 480x320", folder / "near.png")
        whole = run(f"render {FIT} --alpha {alpha}", folder / "whole.png")
        box = [(1 + edge) / 2 * side for edge, side in zip(EYE, 2 * whole.size, strict=True)]
        rows.append(np.hstack([near, whole.resize(near.size, Image.Resampling.BICUBIC, box=tuple(box))]))
    return Image.fromarray(np.vstack(rows))


def main() -> None:
    docs = Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / "docs" / "inr"
    docs = docs.resolve()
    docs.mkdir(parents=True, exist_ok=True)
    os.chdir(ROOT)
    for name, command in COMMANDS.items():
        run(command, docs / name)
    with tempfile.TemporaryDirectory() as folder:
        zoom(Path(folder)).save(docs / "zoom.jpg", quality=92)


if __name__ == "__main__":
    main()
