"""What goes wrong with a request: an answer of one line for everything, and never the end of the server."""

from __future__ import annotations

import sys
import traceback
from typing import Any

from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response

from jaxstyle.runtime import memory
from jaxstyle.studio.guard import TooLarge
from jaxstyle.studio.store import Gone
from jaxstyle.studio.work import Busy, Cancelled

CODES: tuple[tuple[type[BaseException], int], ...] = (
    (Gone, 410),
    (ValueError, 400),
    (ArithmeticError, 400),
    (TooLarge, 413),
    (Busy, 503),
    (MemoryError, 507),
)
"""Status codes by what was raised; the first that fits."""


def problem(error: BaseException) -> str:
    """A line about what went wrong; what is a mistake of ours goes to standard error with its traceback."""
    if any(isinstance(error, kind) for kind, code in CODES if code != 507):
        return " ".join(str(error).split())
    if isinstance(error, MemoryError) or memory.exhausted(error):
        return "out of memory: a smaller size needs less"
    traceback.print_exception(error, file=sys.stderr)
    return f"the studio has made a mistake ({type(error).__name__}); the terminal says more"


async def answer(request: Request, error: Exception) -> Response:
    """The answer where something was raised."""
    code = next((code for kind, code in CODES if isinstance(error, kind)), 507 if memory.exhausted(error) else 500)
    return JSONResponse({"error": problem(error)}, code)


async def cancelled(request: Request, error: Exception) -> Response:
    """The answer where a newer request has taken the place of this one, or nobody waits."""
    return JSONResponse({"error": "cancelled"}, 409)


async def http(request: Request, error: Exception) -> Response:
    """The answer where there is nothing at a path, or not by this method."""
    assert isinstance(error, HTTPException)
    return JSONResponse({"error": f"{error.detail}"}, error.status_code, headers=error.headers)


HANDLERS: dict[Any, Any] = {
    **{kind: answer for kind, _ in CODES},
    RuntimeError: answer,
    Exception: answer,
    Cancelled: cancelled,
    ClientDisconnect: cancelled,
    HTTPException: http,
}
