"""The verb ``jaxstyle video``: repaints a video, with its sound and its times."""

from __future__ import annotations

import argparse
import dataclasses
from typing import Any

from jaxstyle.cli import arguments, messages

HELP = "repaint a video in the style of paintings"
DESCRIPTION = """\
Repaints a video frame by frame, with its sound and subtitles copied and each frame at its time, so that the painting
stays in its place. Needs PyAV: pip install 'jaxstyle[video,flow]'."""
EPILOG = """\
A command that was stopped or killed goes on when it is given again: OUT.jaxstyle-part beside OUT holds what is done.

examples:
  jaxstyle video clip.mp4 --style painting.jpg -o out.mp4
  jaxstyle video clip.mov --style painting.jpg -o out.mp4 --from 0:10 --to 0:20 --size 480 --alpha 10:0,15:1
  jaxstyle video clip.mp4 --style one.jpg two.jpg --mask front.mp4 back.mp4 -o out.mkv --codec ffv1
  jaxstyle video 'frames/%06d.png' --fps 24 --style painting.jpg -o painted/"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the verb's arguments."""
    parser.add_argument(
        "content",
        metavar="IN",
        help="the video, a GIF or WebP, a folder of pictures or a pattern such as 'frames/%%06d.png' (-: standard "
        "input)",
    )
    parser.add_argument(
        "--style", required=True, nargs="+", action="extend", metavar="STYLE", help="the painting; several are mixed"
    )
    parser.add_argument(
        "-o",
        "--output",
        required=True,
        metavar="OUT",
        help=".mp4, .mov, .mkv or .webm; .gif or .webp; a folder, or FOLDER/%%06d.png (-: standard output)",
    )
    arguments.add_controls(parser, moving=True)
    arguments.add_weights_file(parser)
    group = parser.add_argument_group("video")
    group.add_argument(
        "--temporal",
        type=arguments.temporal,
        metavar="W",
        help="how much of each frame is that before it, moved to where things are now; 0: every frame by itself; "
        "at most 0.5 (default: 0.4)",
    )
    group.add_argument(
        "--from",
        dest="start",
        type=arguments.seconds,
        metavar="TIME",
        help="where the part begins that is made: seconds, M:S or H:M:S (default: with the first frame)",
    )
    group.add_argument(
        "--to", dest="end", type=arguments.seconds, metavar="TIME", help="where it ends (default: with the last frame)"
    )
    group.add_argument(
        "--codec",
        choices=("h264", "hevc", "av1", "ffv1"),
        help="of the video; ffv1 is lossless (default: h264, in .webm av1)",
    )
    group.add_argument(
        "--crf",
        type=arguments.seed,
        metavar="N",
        help="quality; a smaller number is better (default: 18 of h264, 20 of hevc, 28 of av1)",
    )
    group.add_argument(
        "--fps", type=arguments.fps, metavar="N", help="frames per second of a folder of pictures (default: 25)"
    )
    parser.add_argument(
        "--format", metavar="F", help="mp4, mov, mkv, webm, gif or webp, instead of OUT's suffix (default of -: mkv)"
    )
    arguments.add_max_pixels(parser)
    parser.add_argument(
        "--overwrite",
        action="store_true",
        help="replace OUT, and what another command began of it; files that are read are never replaced",
    )
    arguments.add_json(parser)


_OPTIONS = ("weights_file", "format", "overwrite", "max_pixels", "temporal", "start", "end", "codec", "crf", "fps")


def run(args: argparse.Namespace) -> tuple[dict[str, Any], int]:
    """Does what the flags say; returns the report, and 0."""
    from jaxstyle import stylize_video
    from jaxstyle.runtime import cache, progress

    cache.enable()
    messages.check_standard_output(args)
    options = arguments.given(args, *_OPTIONS)
    if isinstance(args.alpha, tuple):
        options["alpha_keys"], args.alpha = args.alpha, 1.0
    with progress.Bar(what="frames") as bar:
        report = stylize_video(args.content, args.style, args.output, arguments.controls(args), progress=bar, **options)
    messages.note(*report.notices)
    size = f"{report.width} x {report.height}"
    speed = f" ({report.frames_per_second:.3g} frames/s)" if report.frames - report.kept > 1 else ""
    sound = f", with {', '.join(report.sound)}" if report.sound else ""
    frames = "1 frame" if report.frames == 1 else f"{report.frames} frames"
    words = f"{frames} of {size} pixels, {report.duration:.2f} s{sound}"
    messages.say(args, f"{report.output}: {words}, in {report.seconds:.1f} s{speed}")
    return dataclasses.asdict(report), 0
