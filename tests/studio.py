"""The studio in tests: pages without a browser, and a server on a port of this machine."""

import contextlib
import http.client
import json
import time

from starlette.testclient import TestClient

from jaxstyle.studio import serve
from jaxstyle.studio.app import create, guarded
from jaxstyle.studio.guard import own_names

TOKEN = "the-token-of-the-tests"


@contextlib.contextmanager
def client(**limits):
    """A client whose paths have the token, with ``studio``, what the routes share, and ``page``, an open page."""
    app = create(**limits)
    try:
        with TestClient(guarded(app, TOKEN, own_names("127.0.0.1")), f"http://127.0.0.1/{TOKEN}/", False) as found:
            found.studio = app.state.studio
            found.page = found.portal.call(_open, app.state.studio)
            yield found
    finally:
        assert app.state.studio.queue.close(60)


async def _open(studio):
    return studio.pages.open().name


@contextlib.contextmanager
def server(**limits):
    """A studio in another thread, see `serve.in_thread`, that takes less than others."""
    with serve.in_thread(**({"max_bytes": 8 << 20, "max_pixels": 4_000_000} | limits)) as place:
        yield place


def ask(place, method, path, body=b"", headers=(), timeout=30):
    """(status, body) of one request, which may be wrong; a path without a slash comes after the token."""
    _, host, port, token, _ = place
    connection = http.client.HTTPConnection(host, port, timeout=timeout)
    try:
        connection.request(method, path if path.startswith("/") else f"/{token}/{path}", body, dict(headers))
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()


def tell(place, path, facts):
    """(status, what is answered) of JSON that is sent."""
    status, body = ask(place, "POST", path, json.dumps(facts), {"Content-Type": "application/json"})
    return status, json.loads(body)


class Listening:
    """A page that listens to its events; a context manager."""

    def __init__(self, place):
        self._connection = http.client.HTTPConnection(place.host, place.port, timeout=60)
        self._path = f"/{place.token}/events"

    def __enter__(self):
        self._connection.request("GET", self._path)
        self._stream = self._connection.getresponse()
        self.page = self.next("hello")["page"]
        return self

    def next(self, *events):
        """The facts of the next event of one of these kinds."""
        kind = ""
        while line := self._stream.readline().decode():
            if line.startswith("event: "):
                kind = line.split()[1]
            if line.startswith("data: ") and (not events or kind in events):
                return json.loads(line[6:]) | {"event": kind}
        raise AssertionError("the stream has ended")

    def __exit__(self, *exception):
        self._stream.close()
        self._connection.close()


def until(holds, seconds=30):
    """Waits until something holds."""
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end, "it never came to hold"
        time.sleep(0.02)
