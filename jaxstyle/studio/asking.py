"""What routes do alike: read what was sent, wait for work while somebody does, and begin what takes long."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

import python_multipart  # noqa: F401 - what starlette needs to read forms; it would say so with the first one only
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import UploadFile
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from jaxstyle.studio.answers import problem
from jaxstyle.studio.fits import Fits
from jaxstyle.studio.pages import Pages
from jaxstyle.studio.painter import Painter, Result
from jaxstyle.studio.store import Store, plain
from jaxstyle.studio.work import Cancelled, Job, Queue

POLL = 0.1
"""Seconds between looks at whether who asked is still there."""

T = TypeVar("T")


@dataclass(frozen=True)
class Studio:
    """All that the routes share.

    Attributes:
      queue, pages: the work and who wants it.
      painter, fits: what does it.
      results: the full results, the last ones.
      jobs: full results and fits that are being made.
      examples: what is shipped, as the page lists it.
      aside: held while a picture is read or written beside the work of the queue, so that few are at once.
    """

    queue: Queue
    pages: Pages
    painter: Painter
    fits: Fits
    results: Store[Result]
    jobs: Store[Job]
    examples: dict[str, list[dict[str, Any]]]
    aside: asyncio.Semaphore


def studio_of(request: Request) -> Studio:
    """What the routes share."""
    found: Studio = request.app.state.studio
    return found


async def aside(request: Request, function: Callable[..., T], *arguments: Any) -> T:
    """Calls a function that takes a while but does not compute, in another thread."""
    async with studio_of(request).aside:
        return await run_in_threadpool(function, *arguments)


# ---- what was sent -----------------------------------------------------------------------------------------


async def sent(request: Request) -> tuple[bytes, str]:
    """The file in a form with one, and its name."""
    async with request.form(max_files=1, max_fields=4, max_part_size=1 << 16) as form:
        files = [part for part in form.values() if isinstance(part, UploadFile)]
        if len(files) != 1:
            raise ValueError("file: expected a form with one file")
        return await files[0].read(), plain(files[0].filename or "")


async def asked_for(request: Request, *fields: str) -> dict[str, Any]:
    """The JSON object in a request, which has these fields and no others."""
    try:
        found = json.loads(await request.body())
    except (ValueError, RecursionError):
        raise ValueError("request: expected JSON") from None
    if not isinstance(found, dict) or set(found) != set(fields):
        raise ValueError(f"request: expected an object with {', '.join(fields)}")
    return found


def whole(text: str | None, name: str, most: int) -> int:
    """A whole number in a request, of at least 0."""
    if text is None or not (text.isascii() and text.isdigit() and len(text) < 20 and int(text) <= most):
        raise ValueError(f"{name}: expected a whole number from 0 to {most}, got {str(text)[:20]!r}")
    return int(text)


# ---- work --------------------------------------------------------------------------------------------------


def submitted(studio: Studio, job: Job) -> Job:
    """A job in the queue, unless its page is closed meanwhile."""
    studio.queue.submit(job)
    try:
        studio.pages.get(job.page)
    except ValueError:
        studio.queue.cancel(job)
        raise
    return job


async def outcome(request: Request, job: Job) -> Any:
    """What a job gives; it ends if who asked is gone."""
    waiting = asyncio.wrap_future(job.future)
    waiting.add_done_callback(lambda future: future.cancelled() or future.exception())  # it may be that none looks
    while not (await asyncio.wait({waiting}, timeout=POLL))[0]:
        if await request.is_disconnected():
            studio_of(request).queue.cancel(job)
            raise Cancelled
    return waiting.result()


Tell = Callable[..., None]
"""Tells a page of an event, by its name and facts; the first of which is the job's name."""


def begun(studio: Studio, page_name: object, slot: str, make: Callable[[Job, str, Tell], dict[str, Any]]) -> Response:
    """Begins what takes long; the page is told how it goes.

    Args:
      studio: what the routes share.
      page_name: of the page that wants it.
      slot: see `Job`.
      make: does it; called with the job, its name and what tells the page. Returns what is told in the end.
    """
    page = studio.pages.get(page_name)

    def tell(event: str, **facts: Any) -> None:
        page.tell(event, job=name, **facts)

    job = Job(lambda job: make(job, name, tell), page.name, slot=slot, urgent=False)
    name = studio.jobs.put(job, 1)

    def told(future: Any) -> None:
        error = future.exception()
        if error is None:
            tell("done", **future.result())
        elif isinstance(error, Cancelled):
            tell("cancelled")
        else:
            tell("failed", error=problem(error))

    job.future.add_done_callback(told)
    submitted(studio, job)
    return JSONResponse({"job": name})


def download(data: bytes, media: str, name: str) -> Response:
    """A file that a browser saves under a name."""
    safe = "".join(c if c.isascii() and (c.isalnum() or c in "._-") else "_" for c in name)
    return Response(data, media_type=media, headers={"Content-Disposition": f'attachment; filename="{safe}"'})
