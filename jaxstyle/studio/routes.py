"""What a page may ask for, and what it is answered.

Routes are thin: they check what was sent, hand work to the queue and wait for it. What they raise is answered in
`jaxstyle.studio.answers`.
"""

from __future__ import annotations

import json
from typing import Any

import numpy as np
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from jaxstyle import image, methods
from jaxstyle.controls.colors import luma
from jaxstyle.methods.inr.schedule import PRESETS
from jaxstyle.painting import deep
from jaxstyle.sheet import focus
from jaxstyle.studio.asking import (
    Tell,
    aside,
    asked_for,
    begun,
    download,
    outcome,
    sent,
    studio_of,
    submitted,
    whole,
)
from jaxstyle.studio.command import command_of, map_names
from jaxstyle.studio.painter import model_of, screen, written
from jaxstyle.studio.settings import MOST_STYLES, wish
from jaxstyle.studio.store import Upload, grey, uploaded
from jaxstyle.studio.work import Job

VIEWS = (256, 2048)
"""Longest sides in which pictures are shown, pixels."""
LONGER = {"Cache-Control": "private, max-age=3600"}
"""Of what never changes under its name."""

_DOWNLOADS = {"png": "PNG", "jpg": "JPEG", "tif": "TIFF"}

# ---- pictures and maps -------------------------------------------------------------------------------------


def facts_of(name: str, upload: Upload) -> dict[str, Any]:
    """What a page must know of a picture."""
    return {"id": name, "name": upload.name, "width": upload.width, "height": upload.height}


async def _take_picture(request: Request) -> Response:
    painter = studio_of(request).painter
    data, name = await sent(request)
    upload = await aside(request, uploaded, data, name, painter.max_pixels)
    return JSONResponse(facts_of(painter.pictures.put(upload, len(data)), upload))


async def _view_picture(request: Request) -> Response:
    side = whole(request.query_params.get("side", str(VIEWS[-1])), "side", VIEWS[-1])
    if side not in VIEWS:
        raise ValueError(f"side: expected one of {VIEWS}, got {side}")
    data, media = await aside(request, studio_of(request).painter.view, request.path_params["name"], side)
    return Response(data, media_type=media, headers=LONGER)


async def _take_map(request: Request) -> Response:
    """A map: a picture file in a form, or, with its width and height in the query, its bytes."""
    painter = studio_of(request).painter
    most = painter.max_pixels
    width, height = (whole(request.query_params.get(name), name, most) for name in ("width", "height"))
    if not 1 <= width * height <= most:
        raise ValueError(f"map: expected 1 to {most} pixels, got {width} x {height}")
    if request.headers.get("content-type", "").startswith("multipart/"):
        data, name = await sent(request)
        await aside(request, uploaded, data, name, most)
        found = await aside(request, _read_map, data, (height, width), most)
    else:
        raw = await request.body()
        if len(raw) != width * height:
            raise ValueError(f"map: expected {width * height} bytes, one for each pixel, got {len(raw)}")
        found = np.frombuffer(raw, np.uint8).reshape(height, width)
    return JSONResponse({"id": painter.maps.put(found, found.nbytes)})


def _read_map(data: bytes, size: tuple[int, int], most: int) -> np.ndarray:
    """A grey picture in (height, width), black where it is transparent."""
    picture = image.read(data, max_pixels=most)
    values = luma(picture.pixels)
    return grey(image.resize(values if picture.alpha is None else values * picture.alpha, size))


async def _give_map(request: Request) -> Response:
    found = studio_of(request).painter.maps.get(request.path_params["name"])
    return Response(found.tobytes(), media_type="application/octet-stream")


async def _give_map_file(request: Request) -> Response:
    found = studio_of(request).painter.maps.get(request.path_params["name"])
    data, media = await aside(request, written, found, "PNG")
    return Response(data, media_type=media)


# ---- painting ----------------------------------------------------------------------------------------------


async def _preview(request: Request) -> Response:
    studio = studio_of(request)
    asked = await asked_for(request, "page", "settings")
    page, settings = studio.pages.get(asked["page"]), studio.painter.checked(asked["settings"])
    job = Job(lambda job: studio.painter.preview(settings, job.step), page.name, slot="preview")
    data, media, notices = await outcome(request, submitted(studio, job))
    return Response(data, media_type=media, headers={"X-Notices": json.dumps(notices)})


async def _command(request: Request) -> Response:
    painter = studio_of(request).painter
    settings = painter.checked((await asked_for(request, "settings"))["settings"])
    alpha_map, masks = map_names(settings, painter.picture(settings.photo).name)
    words = command_of(settings, painter.picture)
    return JSONResponse({"command": words, "alpha_map": alpha_map, "mask": masks})


async def _focus(request: Request) -> Response:
    studio = studio_of(request)
    asked = await asked_for(request, "page", "photo", "painting", "method", "x", "y")
    page = studio.pages.get(asked["page"])
    photo, painting, method = (asked[name] for name in ("photo", "painting", "method"))
    for name in ("photo", "painting"):
        if not isinstance(asked[name], str):
            raise ValueError(f"{name}: expected the name of a picture")
    if method not in list(methods.METHODS):
        raise ValueError(f"method: expected one of {', '.join(methods.METHODS)}, got {str(method)[:40]!r}")
    if not all(isinstance(asked[name], int | float) for name in ("x", "y")):
        raise ValueError("at: expected two numbers in [0, 1)")
    at = float(asked["x"]), float(asked["y"])
    job = Job(lambda job: studio.painter.focus(photo, painting, method, at), page.name, slot="focus")
    data, media = await outcome(request, submitted(studio, job))
    return Response(data, media_type=media)


async def _full(request: Request) -> Response:
    studio = studio_of(request)
    asked = await asked_for(request, "page", "settings")
    settings = studio.painter.checked(asked["settings"])

    def make(job: Job, name: str, tell: Tell) -> dict[str, Any]:
        def progress(done: int, total: int) -> None:
            tell("progress", done=done, total=total)

        result = studio.painter.full(settings, job.step, progress)
        height, width = result.samples.shape[:2]
        return {
            "result": studio.results.put(result, result.bytes),
            "width": width,
            "height": height,
            "notices": result.notices,
        }

    return begun(studio, asked["page"], "result", make)


async def _give_result(request: Request) -> Response:
    name, kind = request.path_params["name"], request.path_params["kind"]
    result = studio_of(request).results.get(name)
    if kind == "view":
        data, media = await aside(request, screen, result)
        return Response(data, media_type=media)
    if kind not in _DOWNLOADS:
        raise HTTPException(404, f"expected one of {', '.join(_DOWNLOADS)}")
    options = {"alpha": result.alpha, "bits": result.bits, "exif": result.exif}
    data, media = await aside(request, lambda: written(result.samples, _DOWNLOADS[kind], **options))
    return download(data, media, f"{result.name}.{kind}")


async def _cancel(request: Request) -> Response:
    studio = studio_of(request)
    studio.queue.cancel(studio.jobs.get(request.path_params["name"]))
    return JSONResponse({})


# ---- fits and zoom -----------------------------------------------------------------------------------------


async def _fit(request: Request) -> Response:
    studio = studio_of(request)
    asked = await asked_for(request, "page", "fit")
    wanted = wish(asked["fit"])
    pair = studio.painter.picture(wanted.photo), studio.painter.picture(wanted.painting)

    def make(job: Job, name: str, tell: Tell) -> dict[str, Any]:
        strips = 0

        def show(strip: bytes) -> None:
            nonlocal strips
            strips += 1
            studio.fits.tiles.put(strip, len(strip), f"strip {name}")
            tell("strip", number=strips)

        def progress(done: int, total: int) -> None:
            if done % 5 == 0 or done == total:
                tell("progress", done=done, total=total)

        return studio.fits.facts(studio.fits.fit(wanted, pair, job.step, progress, show))

    return begun(studio, asked["page"], "fit", make)


async def _strip(request: Request) -> Response:
    strip = studio_of(request).fits.tiles.get(f"strip {request.path_params['name']}")
    return Response(strip, media_type="image/jpeg")


async def _open_fit(request: Request) -> Response:
    fits = studio_of(request).fits
    data, name = await sent(request)
    return JSONResponse(fits.facts(await aside(request, fits.open, data, name)))


async def _give_fit(request: Request) -> Response:
    found = studio_of(request).fits.kept.get(request.path_params["name"])
    return download(found.data, "application/octet-stream", found.name)


async def _tile(request: Request) -> Response:
    studio, params = studio_of(request), request.path_params
    level, x, y = (whole(params[name], name, 2**53) for name in ("level", "x", "y"))
    try:
        alpha = float(request.query_params.get("alpha", "1"))
    except ValueError:
        raise ValueError("alpha: expected a number in [0, 1]") from None
    deep.check(studio.fits.kept.get(params["fit"]).params, level, x, y, alpha)
    page = f"tiles of {params['fit']}"
    job = Job(lambda job: studio.fits.tile(params["fit"], level, x, y, alpha), page)
    data = await outcome(request, studio.queue.submit(job))
    return Response(data, media_type="image/png", headers=LONGER)


# ---- facts and events --------------------------------------------------------------------------------------


async def _facts(request: Request) -> Response:
    studio = studio_of(request)
    found = {
        "methods": [
            {
                "name": name,
                "attends": focus.attends(method),
                "refines": method.objective is not None,
                "mixes": model_of(name).needs.mixes,
            }
            for name, method in methods.METHODS.items()
            if methods.shipped(name)
        ],
        "presets": [{"name": name, "steps": schedule.steps} for name, schedule in PRESETS.items()],
        "examples": studio.examples,
        "max_bytes": request.app.state.max_bytes,
        "max_pixels": studio.painter.max_pixels,
        "most_styles": MOST_STYLES,
        "deepest": deep.DEEPEST,
    }
    return JSONResponse(found)


async def _events(request: Request) -> Response:
    pages = studio_of(request).pages
    stream = pages.events(pages.open(), request.is_disconnected)
    return StreamingResponse(stream, media_type="text/event-stream")


ROUTES = [
    Route("/facts", _facts),
    Route("/events", _events),
    Route("/pictures", _take_picture, methods=["POST"]),
    Route("/pictures/{name}", _view_picture),
    Route("/maps", _take_map, methods=["POST"]),
    Route("/maps/{name}.png", _give_map_file),
    Route("/maps/{name}", _give_map),
    Route("/preview", _preview, methods=["POST"]),
    Route("/command", _command, methods=["POST"]),
    Route("/focus", _focus, methods=["POST"]),
    Route("/results", _full, methods=["POST"]),
    Route("/results/{name}.{kind}", _give_result),
    Route("/jobs/{name}", _cancel, methods=["DELETE"]),
    Route("/jobs/{name}/strip.jpg", _strip),
    Route("/fits", _fit, methods=["POST"]),
    Route("/fits/open", _open_fit, methods=["POST"]),
    Route("/fits/{name}.safetensors", _give_fit),
    Route("/tile/{fit}/{level}/{x}_{y}.png", _tile),
]
