"""``python -m benchmarks.torch_command PHOTO PAINTING OUTPUT``: what ``jaxstyle stylize`` does, in PyTorch.

For photos whose sides are multiples of 8, and paintings of 512 pixels a side, which need no resizing.
"""

import argparse

import numpy as np
import torch
from PIL import Image, ImageOps

from benchmarks import inputs, torch_adain


def read(file: str, memory: torch.memory_format) -> torch.Tensor:
    """A picture (1, 3, H, W) in [0, 1], turned as its camera was."""
    with Image.open(file) as picture:
        pixels = np.asarray(ImageOps.exif_transpose(picture).convert("RGB"))
    return (torch.from_numpy(pixels.copy()).permute(2, 0, 1)[None].float() / 255).contiguous(memory_format=memory)


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser()
    for name in ("photo", "painting", "output"):
        parser.add_argument(name)
    parser.add_argument("--compile", action="store_true")
    parser.add_argument("--channels-last", action="store_true")
    given = parser.parse_args()
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    memory = torch.channels_last if given.channels_last else torch.contiguous_format
    module = torch_adain.Stylize(torch_adain.Encoder(inputs.ENCODER), torch_adain.Decoder(inputs.DECODER))
    module = module.to(device).to(memory_format=memory)  # type: ignore[call-overload]
    stylize = torch.compile(module) if given.compile else module
    photo, painting = (read(file, memory).to(device) for file in (given.photo, given.painting))
    with torch.no_grad():
        picture = stylize(photo, painting)[0].permute(1, 2, 0)
    Image.fromarray((picture * 255).round().byte().cpu().numpy()).save(given.output)


if __name__ == "__main__":
    main()
