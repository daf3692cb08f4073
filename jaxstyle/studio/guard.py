"""Who may talk to the studio, and how much they may send: in front of everything else.

* The address begins with a token of 128 random bits. Whoever does not know it learns nothing, not even what is there.
* The Host must be this machine's: a page elsewhere whose name was made to lead here has another one (DNS rebinding).
* The Origin, which browsers add where a page sends something, must be the studio's own.
* A body has at most so many bytes, whatever its header says, and few where no files are sent to.
"""

from __future__ import annotations

import ipaddress
import secrets
import socket
from collections.abc import Mapping
from typing import Any

from starlette.responses import PlainTextResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

SMALL_BODY = 1 << 20
"""Most bytes of a request that sends no file."""
VENDOR_STYLE = "sha256-9xTiqzfwFaL2SGb1rmr8gysEwVVjIvqWAgmZgqFqpEE="
"""Of the one style that OpenSeadragon adds to the page."""

HEADERS = {
    "Content-Security-Policy": (
        f"default-src 'none'; script-src 'self'; style-src 'self' '{VENDOR_STYLE}'; "
        "img-src 'self' blob: data:; connect-src 'self'; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}
"""With every answer: a page that may load nothing from elsewhere, be in no other page and tell no one its address."""


class TooLarge(Exception):
    """A body with more bytes than it may have, raised where it is read. The message is one line."""


class Guard:
    """An ASGI application around another one.

    Attributes:
      token: with which paths begin.
    """

    def __init__(self, app: ASGIApp, token: str, *, names: frozenset[str], uploads: Mapping[str, int]) -> None:
        """
        Args:
          app: what is guarded.
          token: with which paths begin.
          names: what this machine is called; see `own_names`.
          uploads: the paths that files are sent to, and their most bytes.
        """
        self._app, self.token, self._names, self._uploads = app, token, names, uploads

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers a request, or hands it on without the token."""
        if scope["type"] == "lifespan":
            return await self._app(scope, receive, send)
        if scope["type"] != "http":
            return await send({"type": "websocket.close", "code": 1008})

        async def told(message: Message) -> None:
            if message["type"] == "http.response.start":
                had = {name.lower() for name, _ in message["headers"]}
                more = [(name.lower().encode(), value.encode()) for name, value in HEADERS.items()]
                if b"cache-control" not in had:
                    more.append((b"cache-control", b"no-store"))
                message = {**message, "headers": [*message["headers"], *more]}
            await send(message)

        answer, rest = self._judged(scope)
        if answer is not None:
            return await answer(scope, receive, told)
        inner = {**scope, "path": rest, "raw_path": rest.encode("utf-8", "replace")}
        await self._app(inner, _counted(receive, self._allowed(rest)), told)

    def _judged(self, scope: Scope) -> tuple[Response | None, str]:
        """An answer where a request goes no further, and the path without the token."""
        headers = {name: value.decode("latin-1") for name, value in scope["headers"]}
        host = headers.get(b"host", "")
        if not self._is_own(host):
            return _refusal(403, "the Host of this request is not this machine"), ""
        origin = headers.get(b"origin")
        if origin is not None and origin != f"{scope.get('scheme', 'http')}://{host}":
            return _refusal(403, "the Origin of this request is another page"), ""
        _, token, *rest = [*scope["path"].split("/", 2), ""][:3]
        if not secrets.compare_digest(token.encode("utf-8", "replace"), self.token.encode()):
            return _refusal(403, "open the address that jaxstyle studio has printed: it has a token in it"), ""
        if scope["path"] == f"/{self.token}":
            return RedirectResponse(f"/{self.token}/"), ""
        path = f"/{rest[0]}"
        most = self._allowed(path)
        length = headers.get(b"content-length", "0")
        if length.isascii() and length.isdigit() and len(length) < 20 and int(length) <= most:
            return None, path
        return _refusal(413, too_large(most)), ""

    def _allowed(self, path: str) -> int:
        return self._uploads.get(path, SMALL_BODY)

    def _is_own(self, host: str) -> bool:
        name = host.rpartition(":")[0] if not host.endswith("]") and ":" in host else host
        return name.lower() in self._names or ("*" in self._names and _is_address(name.strip("[]")))


def _is_address(name: str) -> bool:
    """Whether it is an IP address, of which no name server can say where it leads."""
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def own_names(host: str) -> frozenset[str]:
    """What a Host may be for a server that listens at ``host``; ``"*"`` stands for all IP addresses."""
    here = {"localhost", "127.0.0.1", "[::1]"}
    if is_local(host):
        return frozenset(here)
    return frozenset(here | {host.lower(), socket.gethostname().lower(), "*"})


def is_local(host: str) -> bool:
    """Whether only this machine reaches a server that listens at ``host``."""
    return host == "localhost" or (_is_address(host) and ipaddress.ip_address(host).is_loopback)


def too_large(most: int) -> str:
    """What is said of a body with more bytes than ``most``."""
    return f"too large: at most {most / 2**20:.0f} MiB are taken"


def _refusal(code: int, problem: str) -> Response:
    return PlainTextResponse(problem + "\n", code, headers={"Connection": "close"})


def _counted(receive: Receive, most: int) -> Receive:
    """Receives a body, but not more bytes of it than ``most``."""
    seen = 0

    async def counted() -> Any:
        nonlocal seen
        message = await receive()
        if message["type"] == "http.request":
            seen += len(message.get("body", b""))
            if seen > most:
                raise TooLarge(too_large(most))
        return message

    return counted
