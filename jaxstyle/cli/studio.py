"""The verb ``jaxstyle studio``: a page in the browser that paints, brushes, fits and zooms."""

from __future__ import annotations

import argparse
from typing import Any

from jaxstyle.cli import arguments

HELP = "open a page in the browser that paints, brushes, fits and zooms"
DESCRIPTION = (
    "Serves a page to this machine's browser: photo and paintings, all the controls, an alpha brush, fits and a deep "
    "zoom. Needs jaxstyle[studio]."
)
EPILOG = """\
The address ends with a token: who does not have it is answered nothing. Pictures stay in this machine's memory; nothing
is loaded from elsewhere. Ctrl-C ends it.

examples:
  jaxstyle studio
  jaxstyle studio --port 9000 --no-browser
  jaxstyle studio --host 0.0.0.0"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the verb's arguments."""
    parser.add_argument(
        "--host",
        type=str,
        default="127.0.0.1",
        metavar="ADDRESS",
        help="where to listen: 0.0.0.0 lets other machines in, if they have the token; nothing is encrypted "
        "(default: %(default)s, this machine alone)",
    )
    parser.add_argument(
        "--port",
        type=arguments.seed,
        metavar="N",
        help="the port, 0 for any (default: 8642, or another if it is taken)",
    )
    parser.add_argument("--no-browser", action="store_true", help="print the address only")
    parser.add_argument(
        "--max-upload",
        type=arguments.count,
        default=64,
        metavar="MIB",
        help="refuse files of more mebibytes (default: %(default)s)",
    )
    parser.add_argument(
        "--max-pixels",
        type=arguments.count,
        default=50_000_000,
        metavar="N",
        help="refuse pictures of more pixels, and to make such (default: 50 million)",
    )
    parser.set_defaults(json=False)


def run(args: argparse.Namespace) -> tuple[dict[str, Any], int]:
    """Serves until Ctrl-C, which is a KeyboardInterrupt."""
    from jaxstyle.runtime import cache

    try:
        from jaxstyle.studio import serve
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] not in ("starlette", "uvicorn", "multipart", "python_multipart"):
            raise
        raise ValueError("studio: needs pip install 'jaxstyle[studio]'") from error
    cache.enable()
    serve.run(
        args.host,
        args.port,
        browser=not args.no_browser,
        max_bytes=args.max_upload << 20,
        max_pixels=args.max_pixels,
        say=lambda line: print(line, flush=True),
    )
    return {}, 0
