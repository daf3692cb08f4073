"""The studio as a web application: its page, its routes, and all that they share."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from jaxstyle import image, styles
from jaxstyle.studio.answers import HANDLERS
from jaxstyle.studio.asking import Studio
from jaxstyle.studio.fits import Fits
from jaxstyle.studio.guard import Guard
from jaxstyle.studio.pages import Pages
from jaxstyle.studio.painter import Painter, Result
from jaxstyle.studio.routes import ROUTES, facts_of
from jaxstyle.studio.store import Store, Upload, uploaded
from jaxstyle.studio.work import Queue

MAX_BYTES = 64 << 20
"""Of a file that is sent, unless said otherwise."""
MAX_PIXELS = 50_000_000
"""Of a picture that is sent or made, unless said otherwise."""
ASIDE = 2
"""Pictures that are read or written at once, beside the work of the queue."""

_HERE = Path(__file__).parent
_TYPES = {".html": "text/html", ".css": "text/css", ".js": "text/javascript", ".txt": "text/plain"}


def create(*, max_bytes: int = MAX_BYTES, max_pixels: int = MAX_PIXELS) -> Starlette:
    """The application, without its guard; ``state.studio`` of it is a `Studio`.

    Args:
      max_bytes: of a file that is sent.
      max_pixels: of a picture that is sent or made.
    """
    queue = Queue()
    pictures: Store[Upload] = Store("picture", max(256 << 20, 4 * max_bytes))
    painter = Painter(pictures, Store("map", max(256 << 20, 4 * max_pixels)), max_pixels)
    results: Store[Result] = Store("result", max(512 << 20, 8 * max_pixels))
    app = Starlette(routes=[*_page(), *ROUTES], exception_handlers=HANDLERS)
    app.state.max_bytes = max_bytes
    app.state.studio = Studio(
        queue=queue,
        pages=Pages(queue),
        painter=painter,
        fits=Fits(max_pixels),
        results=results,
        jobs=Store("job", 256),
        examples=_examples(painter),
        aside=asyncio.Semaphore(ASIDE),
    )
    return app


def guarded(app: Starlette, token: str, names: frozenset[str]) -> Guard:
    """The application behind its guard; arguments as those of `Guard`."""
    most, pixels = app.state.max_bytes, app.state.studio.painter.max_pixels
    uploads = {"/pictures": most, "/fits/open": most, "/maps": max(most, pixels)}  # a map has a byte for each pixel
    return Guard(app, token, names=names, uploads=uploads)


def _page() -> list[Route]:
    """The page's files, read once: no path of a request is ever opened."""
    folder = _HERE / "page"
    files = [path for path in sorted(folder.rglob("*")) if path.suffix in _TYPES]
    return [_asset(path.relative_to(folder).as_posix(), path.read_bytes(), _TYPES[path.suffix]) for path in files]


def _asset(name: str, data: bytes, media: str) -> Route:
    async def asset(request: Request) -> Response:
        return Response(data, media_type=media)

    return Route("/" if name == "index.html" else f"/{name}", asset)


def _examples(painter: Painter) -> dict[str, list[dict[str, Any]]]:
    """Puts the shipped pictures beside those that pages send; what a page must know of them."""
    found: dict[str, list[dict[str, Any]]] = {}
    photos = {str(path): path for path in sorted((_HERE / "examples").glob("photos/*.jpg"))}
    paintings = {text: Path(styles.path_of(text)) for text in map(f"{styles.MARK}{{}}".format, styles.STYLES)}
    for kind, shipped in (("photos", photos), ("paintings", paintings)):
        found[kind] = []
        for text, path in shipped.items():
            name = f"example-{path.stem}"
            painter.examples[name] = uploaded(path.read_bytes(), path.name, image.MAX_PIXELS, text)
            found[kind].append(facts_of(name, painter.examples[name]))
    return found
