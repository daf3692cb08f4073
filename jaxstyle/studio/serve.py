"""Runs the studio: takes a port, says where it is, opens the browser, and ends in order."""

from __future__ import annotations

import contextlib
import secrets
import socket
import threading
import webbrowser
from collections.abc import Callable, Iterator
from typing import NamedTuple
from urllib.parse import urlunsplit

import uvicorn

from jaxstyle.studio import app as application
from jaxstyle.studio.asking import Studio
from jaxstyle.studio.guard import is_local, own_names

PORT = 8642
"""Where none is asked for and it is free."""
MOST_CONNECTIONS = 256
OPEN_TO_ALL = (
    "this address is open to every machine that reaches this one, with its name or address in the place of 127.0.0.1: "
    "whoever has the token may use it; nothing is encrypted, so whoever listens on the network sees the token and the "
    "pictures. Give no --host to keep it to yourself"
)
"""What is said where other machines may use the studio."""


class PortError(ValueError):
    """A port or an address that cannot be had. The message is one line."""


class Running(NamedTuple):
    """A studio that runs.

    Attributes:
      url: of its page.
      host, port, token: of which that is made.
      studio: what its routes share.
    """

    url: str
    host: str
    port: int
    token: str
    studio: Studio


def listen(host: str, port: int | None) -> socket.socket:
    """A socket that listens.

    Args:
      host: name or address of this machine.
      port: 0 for any that is free; None: `PORT`, or if that is taken any other.

    Raises:
      PortError: it cannot be had.
    """
    if not host:
        raise PortError("host: expected a name or an address of this machine")
    if port is not None and port > 65535:
        raise PortError(f"port: expected 0 to 65535, got {port}")
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    for number in (PORT, 0) if port is None else (port,):
        try:
            return socket.create_server((host, number), family=family, backlog=128)
        except OSError as error:
            problem = error
    asked = "port" if port is not None else "host"
    raise PortError(f"{asked}: cannot listen at {host} port {PORT if port is None else port}: {problem}") from None


def run(
    host: str,
    port: int | None,
    *,
    browser: bool,
    max_bytes: int,
    max_pixels: int,
    say: Callable[[str], None],
) -> None:
    """Serves until Ctrl-C.

    Args:
      host, port: see `listen`.
      browser: whether to open a page.
      max_bytes, max_pixels: see `jaxstyle.studio.app.create`.
      say: called with lines for the user; the first one is the address.

    Raises:
      PortError: as `listen`.
      KeyboardInterrupt: it was ended.
    """
    with contextlib.closing(listen(host, port)) as server:
        token = secrets.token_urlsafe(16)
        say(address(host, server.getsockname()[1], token))
        if not is_local(host):
            say(OPEN_TO_ALL)
        with serving(max_bytes=max_bytes, max_pixels=max_pixels, token=token, host=host) as (web, _):
            if browser:
                webbrowser.open(address(host, server.getsockname()[1], token))
            with contextlib.suppress(KeyboardInterrupt):  # how it ends; raised again below, when its work has ended
                web.run(sockets=[server])
    raise KeyboardInterrupt("the studio is closed")


@contextlib.contextmanager
def serving(*, max_bytes: int, max_pixels: int, token: str, host: str) -> Iterator[tuple[uvicorn.Server, Studio]]:
    """A server that is not running yet, and what its routes share; in the end its work is stopped.

    Args:
      max_bytes, max_pixels: see `jaxstyle.studio.app.create`.
      token: with which its paths begin.
      host: where it will listen.
    """
    app = application.create(max_bytes=max_bytes, max_pixels=max_pixels)
    config = uvicorn.Config(
        application.guarded(app, token, own_names(host)),
        http="h11",
        ws="none",
        lifespan="off",
        log_level="critical",  # what goes wrong is said by jaxstyle.studio.answers
        access_log=False,
        server_header=False,
        limit_concurrency=MOST_CONNECTIONS,
        timeout_graceful_shutdown=1,
    )
    try:
        yield uvicorn.Server(config), app.state.studio
    finally:
        app.state.studio.queue.close()


@contextlib.contextmanager
def in_thread(*, max_bytes: int = application.MAX_BYTES, max_pixels: int = application.MAX_PIXELS) -> Iterator[Running]:
    """A studio in another thread of this process, for a notebook or a test; in the end it is closed.

    Args:
      max_bytes, max_pixels: see `jaxstyle.studio.app.create`.
    """
    host, token = "127.0.0.1", secrets.token_urlsafe(16)
    with (
        contextlib.closing(listen(host, 0)) as server,
        serving(max_bytes=max_bytes, max_pixels=max_pixels, token=token, host=host) as (web, studio),
    ):
        thread = threading.Thread(target=web.run, kwargs={"sockets": [server]}, daemon=True)
        thread.start()
        port = server.getsockname()[1]
        try:
            yield Running(address(host, port, token), host, port, token, studio)
        finally:
            web.should_exit = True
            thread.join()


def address(host: str, port: int, token: str) -> str:
    """Where the page is, for this machine's browser."""
    name = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(host, f"[{host}]" if ":" in host else host)
    return urlunsplit(("http", f"{name}:{port}", f"/{token}/", "", ""))
