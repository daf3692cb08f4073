"""The open pages: what each is told, and the end of its work when it is closed."""

from __future__ import annotations

import asyncio
import json
import secrets
import threading
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

from jaxstyle.studio.work import Busy, Queue

MOST_PAGES = 64
ALIVE = 1.0
"""Seconds between looks at whether a page is still there."""


class Page:
    """A page in a browser, and what it is to be told."""

    def __init__(self) -> None:
        self.name = secrets.token_hex(8)
        self._events: asyncio.Queue[tuple[str, dict[str, Any]]] = asyncio.Queue(4096)
        self._loop = asyncio.get_running_loop()

    def tell(self, event: str, **facts: Any) -> None:
        """Tells the page something; from any thread. What a page does not fetch is lost at some point."""

        def put() -> None:
            if not self._events.full():
                self._events.put_nowait((event, facts))

        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(put)

    async def next(self) -> bytes:
        """What the page is told next as a server-sent event; a comment where there has been nothing for `ALIVE`."""
        try:
            event, facts = await asyncio.wait_for(self._events.get(), ALIVE)
        except TimeoutError:
            return b":\n\n"
        return f"event: {event}\ndata: {json.dumps(facts)}\n\n".encode()


class Pages:
    """The pages that are open."""

    def __init__(self, queue: Queue) -> None:
        """
        Args:
          queue: where the work of a page that is closed ends.
        """
        self._queue, self._open, self._mutex = queue, dict[str, Page](), threading.Lock()

    def open(self) -> Page:
        """A new page.

        Raises:
          Busy: there are too many.
        """
        page = Page()
        with self._mutex:
            if len(self._open) >= MOST_PAGES:
                raise Busy(f"{MOST_PAGES} pages are open: close some")
            self._open[page.name] = page
        return page

    def close(self, page: Page) -> None:
        """Ends a page and its work."""
        with self._mutex:
            self._open.pop(page.name, None)
        self._queue.cancel_page(page.name)

    def get(self, name: object) -> Page:
        """The page of a name.

        Raises:
          ValueError: there is none.
        """
        with self._mutex:
            found = self._open.get(name) if isinstance(name, str) else None
        if found is None:
            raise ValueError("page: it is closed; load it again")
        return found

    async def events(self, page: Page, gone: Callable[[], Awaitable[bool]]) -> AsyncIterator[bytes]:
        """What a page is told, from its name on, until it is ``gone``; then it is closed."""
        try:
            yield f"event: hello\ndata: {json.dumps({'page': page.name})}\n\n".encode()
            while not await gone():
                yield await page.next()
        finally:
            self.close(page)

    def __len__(self) -> int:
        with self._mutex:
            return len(self._open)
