"""The studio as a server: who may talk to it, what it takes, and that nothing ends it."""

import base64
import hashlib
import itertools
import json
import os
import re
import shlex
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import jax
import numpy as np
import pytest

from jaxstyle import image
from jaxstyle.cli import main
from jaxstyle.methods import inr
from jaxstyle.studio import guard, serve
from jaxstyle.studio.guard import Guard, is_local, own_names
from jaxstyle.studio.work import Job
from tests import studio as pages
from tests.pictures import smooth
from tests.test_studio_app import file_of


@pytest.fixture(scope="module")
def place():
    with pages.server() as found:
        yield found


def form(data, name="photo.png"):
    """A form with a file: its bytes, and its headers."""
    start = f'--b\r\nContent-Disposition: form-data; name="file"; filename="{name}"\r\n\r\n'.encode()
    return start + data + b"\r\n--b--\r\n", {"Content-Type": "multipart/form-data; boundary=b"}


def send(place, pixels, name="photo.png"):
    status, body = pages.ask(place, "POST", "pictures", *form(file_of(pixels), name))
    assert status == 200, body
    return json.loads(body)["id"]


# ---- who may talk to it ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "headers", "status"),
    [
        ("facts", {}, 200),
        ("facts", {"Host": "localhost:1"}, 200),
        ("facts", {"Host": "[::1]:1"}, 200),
        ("facts", {"Host": "evil.example"}, 403),
        ("facts", {"Host": "127.0.0.1.evil.example:80"}, 403),
        ("facts", {"Host": ""}, 403),
        ("facts", {"Host": "192.168.1.1"}, 403),
        ("facts", {"Origin": "null"}, 403),
        ("facts", {"Origin": "evil.example"}, 403),
        ("/facts", {}, 403),
        ("/", {}, 403),
        ("/wrong/facts", {}, 403),
        ("/TOKENx/facts", {}, 403),
        ("/TOKE/facts", {}, 403),
    ],
)
def test_only_this_machine_with_the_token_is_answered(place, path, headers, status):
    path = path.replace("TOKEN", place.token).replace("TOKE", place.token[:-1])
    found, body = pages.ask(place, "GET", path, headers=headers)
    assert found == status, body
    assert status == 200 or b"methods" not in body


def test_the_origin_is_the_studios_own(place):
    host = f"127.0.0.1:{place.port}"
    for origin, status in ((f"{'http'}://{host}", 200), (f"{'https'}://{host}", 403), (f"{'http'}://127.0.0.1:1", 403)):
        assert pages.ask(place, "GET", "facts", headers={"Host": host, "Origin": origin})[0] == status


def test_names_of_this_machine():
    assert own_names("127.0.0.1") == own_names("localhost") == own_names("::1")
    everywhere = Guard(None, "t", names=own_names("0.0.0.0"), uploads={})
    for host, own in (
        ("192.168.1.7:8642", True),
        ("[fe80::1]:8642", True),
        (socket.gethostname() + ":8642", True),
        ("localhost", True),
        ("evil.example:8642", False),
        ("", False),
    ):
        assert everywhere._is_own(host) == own, host
    assert is_local("127.0.0.1") and is_local("localhost") and not is_local("0.0.0.0") and not is_local("10.0.0.1")


def test_the_token_alone_leads_to_the_page(place):
    import http.client

    connection = http.client.HTTPConnection(place.host, place.port, timeout=10)
    connection.request("GET", f"/{place.token}")
    answer = connection.getresponse()
    assert answer.status == 307 and answer.headers["location"] == f"/{place.token}/"
    connection.close()


def test_the_one_style_of_the_vendored_script_is_allowed():
    script = (Path(guard.__file__).parent / "page/vendor/openseadragon.min.js").read_text(encoding="utf-8")
    (style,) = re.findall(r'mobile-css","true"\);\w\.textContent="([^"]*)"', script)
    assert "sha256-" + base64.b64encode(hashlib.sha256(style.encode()).digest()).decode() == guard.VENDOR_STYLE


# ---- what it takes -----------------------------------------------------------------------------------------


def test_what_is_too_large_is_refused_before_it_is_there(place):
    status, body = pages.ask(place, "POST", "pictures", b"", {"Content-Length": str(1 << 40)})
    assert status == 413 and b"at most 8 MiB" in body
    status, body = pages.ask(place, "POST", "command", b"", {"Content-Length": str(2 << 20)})
    assert status == 413 and b"at most 1 MiB" in body


def test_a_body_without_a_length_is_counted(place):
    def chunk(data):
        return f"{len(data):x}\r\n".encode() + data + b"\r\n"

    start, headers = form(b"")
    head = f"POST /{place.token}/pictures HTTP/1.1\r\nHost: 127.0.0.1\r\nTransfer-Encoding: chunked\r\n"
    head += f"Content-Type: {headers['Content-Type']}\r\n\r\n"
    with socket.create_connection((place.host, place.port), timeout=20) as connection:
        connection.sendall(head.encode() + chunk(start.partition(b"\r\n--b--")[0] + b"\r\n"))
        for _ in range(9 << 4):  # 9 MiB
            connection.sendall(chunk(bytes(1 << 16)))
        assert connection.recv(1 << 16).startswith(b"HTTP/1.1 413 ")
    assert pages.ask(place, "GET", "facts")[0] == 200


# ---- pages -------------------------------------------------------------------------------------------------


def test_closing_a_page_ends_its_work(place):
    studio, ended = place.studio, threading.Event()

    def run(job):
        try:
            while True:
                time.sleep(0.01)
                job.step()
        finally:
            ended.set()

    with pages.Listening(place) as one, pages.Listening(place) as two:
        job = studio.queue.submit(Job(run, one.page, urgent=False))
        other = studio.queue.submit(Job(lambda job: "done", two.page, urgent=False))
        time.sleep(0.1)
        assert not ended.is_set() and len(studio.pages) >= 2
        one.__exit__()
        assert ended.wait(20) and job.cancelled.is_set()
        assert other.future.result(20) == "done"
    pages.until(lambda: len(studio.pages) == 0)


def test_two_pages_at_once(place):
    """Each is told of its own work alone, and gets its own picture."""
    photos = [send(place, smooth(20, 26)), send(place, 1 - smooth(24, 20))]
    painting = send(place, np.random.default_rng(0).random((20, 20, 3), np.float32), "painting.png")
    with pages.Listening(place) as one, pages.Listening(place) as two:
        jobs = []
        for page, photo in zip((one, two), photos, strict=True):
            asked = {"page": page.page, "settings": {"photo": photo, "styles": [painting]}}
            status, answer = pages.tell(place, "results", asked)
            assert status == 200
            jobs.append(answer["job"])
        sizes = []
        for page, job in zip((one, two), jobs, strict=True):
            facts = page.next("done", "failed", "cancelled")
            assert facts["event"] == "done" and facts["job"] == job
            sizes.append((facts["width"], facts["height"]))
        assert sizes == [(26, 20), (20, 24)]


@pytest.mark.slow
def test_a_fit_is_told_step_by_step_and_ended(place, tmp_path, monkeypatch):
    photo = send(place, smooth(40, 40))
    wanted = {"photo": photo, "painting": photo, "preset": "preview", "size": 16, "steps": 100_000}
    with pages.Listening(place) as page:
        status, answer = pages.tell(place, "fits", {"page": page.page, "fit": wanted})
        assert status == 200, answer
        strip = page.next("strip", "failed")
        assert strip["event"] == "strip", strip
        assert pages.ask(place, "GET", f"jobs/{answer['job']}/strip.jpg")[1][:2] == b"\xff\xd8"
        assert page.next("progress")["total"] == 100_000
        # a preview comes between two steps
        asked = {"page": page.page, "settings": {"photo": photo, "styles": [photo]}}
        assert pages.ask(place, "POST", "preview", json.dumps(asked), timeout=60)[0] == 200
        assert pages.ask(place, "DELETE", f"jobs/{answer['job']}")[0] == 200
        assert page.next("done", "failed", "cancelled")["event"] == "cancelled"
        # a short one gives the file that its command line writes
        pages.tell(place, "fits", {"page": page.page, "fit": wanted | {"steps": 6}})
        facts = page.next("done", "failed")
        image.write(tmp_path / "photo.png", smooth(40, 40))
        monkeypatch.chdir(tmp_path)
        monkeypatch.setenv("JAXSTYLE_CACHE_DIR", "off")
        fitted, rendered = map(shlex.split, facts["command"].splitlines())
        assert main.main(fitted[1:]) == main.main(rendered[1:]) == 0
        (tmp_path / "ours.safetensors").write_bytes(pages.ask(place, "GET", f"fits/{facts['fit']}.safetensors")[1])
        ours, theirs = (inr.load(tmp_path / name) for name in ("ours.safetensors", fitted[fitted.index("-o") + 1]))
        jax.tree.map(np.testing.assert_array_equal, ours, theirs)
    pages.until(lambda: place.studio.queue.waiting == 0)


# ---- nothing ends it ---------------------------------------------------------------------------------------


def bad_requests(place):
    """Some hundred requests, none of which is right."""
    photo = file_of(smooth(64, 64))
    rng = np.random.default_rng(0)
    gone = {"photo": "x", "styles": ["y"]}
    paths = ("..", "../../etc/passwd", "%2e%2e/%2e%2e/etc/passwd", "pictures/..", "a" * 5000)
    yield from (("GET", path, b"", {}) for path in paths)
    tiles = itertools.product(("x", ".."), ("0", "-1", "9" * 300), ("0_0", "a_b", "_"))
    yield from (("GET", "tile/{}/{}/{}.png".format(*parts), b"", {}) for parts in tiles)
    yield from ((method, "pictures", b"x", {}) for method in ("PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "BREW"))
    for _ in range(60):  # cut at any place, and changed at some
        data = bytearray(photo[: int(rng.integers(1, len(photo)))])
        for place_ in rng.integers(0, len(data), 3):
            data[place_] = rng.integers(0, 256)
        yield ("POST", "pictures", *form(bytes(data)))
    for _ in range(20):
        yield ("POST", "fits/open", *form(rng.bytes(int(rng.integers(0, 3000)))))
        yield ("POST", "pictures", rng.bytes(500), {"Content-Type": "multipart/form-data; boundary=b"})
        yield ("POST", "maps?width=9&height=9", rng.bytes(int(rng.integers(0, 200))), {})
    for body in (b"", b"{", b"[" * 50_000, b"null", b'"x"', b"1e999", rng.bytes(1000)):
        yield from (("POST", path, body, {}) for path in ("preview", "results", "command", "focus", "fits"))
    for value in (None, 1, [], {}, "x", -1, 1e300, True, "../x", ["x"] * 50, "\0", "\ud800"):
        for field in ("photo", "styles", "alpha", "size", "mask", "method", "weights"):
            yield ("POST", "preview", json.dumps({"page": "x", "settings": gone | {field: value}}).encode(), {})
            yield ("POST", "command", json.dumps({"settings": gone | {field: value}}).encode(), {})
    yield ("POST", "pictures", bytes(9 << 20), {"Content-Type": "multipart/form-data; boundary=b"})


def test_hundreds_of_bad_requests_leave_it_running(place):
    requests = list(bad_requests(place))
    assert len(requests) > 300
    codes, failures = [], []

    def work(mine):
        for method, path, body, headers in mine:
            try:
                codes.append(pages.ask(place, method, path, body, headers)[0])
            except (ConnectionError, TimeoutError) as error:  # hung up on what was too large
                failures.append((path, error))

    threads = [threading.Thread(target=work, args=(requests[start::8],)) for start in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
    assert {code for code in codes if code >= 500} == set()
    assert all(400 <= code < 500 or code == 200 for code in codes) and codes.count(200) < len(codes) / 4
    assert {path for path, _ in failures} <= {"pictures"} and len(failures) <= 2
    negative = b"POST / HTTP/1.1\r\nContent-Length: -1\r\n\r\n"
    for data in (b"\0" * 100, b"GET\r\n\r\n", b"GET / HTTP/9.9\r\n\r\n", negative, b"\xff" * 70_000):
        with socket.create_connection((place.host, place.port), timeout=10) as connection:
            connection.sendall(data)
    assert pages.ask(place, "GET", "facts")[0] == 200
    photo, painting = send(place, smooth(20, 26)), send(place, smooth(20, 20))
    with pages.Listening(place) as page:
        asked = {"page": page.page, "settings": {"photo": photo, "styles": [painting]}}
        assert pages.ask(place, "POST", "preview", json.dumps(asked), timeout=60)[0] == 200
    assert place.studio.queue.waiting == 0


# ---- the verb ----------------------------------------------------------------------------------------------


def test_a_port_that_is_taken_is_one_line_unless_none_was_asked_for(monkeypatch, capsys):
    with serve.listen("127.0.0.1", 0) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(serve.PortError, match=f"^port: cannot listen at 127.0.0.1 port {port}: "):
            serve.listen("127.0.0.1", port)
        assert main.main(["studio", "--no-browser", "--port", str(port)]) == 2
        assert re.match(rf"jaxstyle: --port: cannot listen at 127\.0\.0\.1 port {port}: .*\n$", capsys.readouterr().err)
        monkeypatch.setattr(serve, "PORT", port)
        with serve.listen("127.0.0.1", None) as other:
            assert other.getsockname()[1] != port
    with pytest.raises(serve.PortError, match=r"^port: expected 0 to 65535, got 70000$"):
        serve.listen("127.0.0.1", 70_000)
    with pytest.raises(serve.PortError, match=r"^host: expected a name or an address"):
        serve.listen("", 0)
    for host, number in (("256.256.256.256", 0), ("203.0.113.1", 0)):
        with pytest.raises(serve.PortError, match="cannot listen at"):
            serve.listen(host, number)


def test_addresses():
    assert serve.address("127.0.0.1", 5, "t") == f"{'http'}://127.0.0.1:5/t/"
    assert serve.address("0.0.0.0", 5, "t") == f"{'http'}://127.0.0.1:5/t/"
    assert serve.address("::1", 5, "t") == f"{'http'}://[::1]:5/t/"


def test_what_is_not_installed_is_said_in_one_line(monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "uvicorn", None)
    monkeypatch.delitem(sys.modules, "jaxstyle.studio.serve", raising=False)
    import jaxstyle.studio

    monkeypatch.delattr(jaxstyle.studio, "serve", raising=False)
    assert main.main(["studio"]) == 2
    assert capsys.readouterr().err == "jaxstyle: studio: needs pip install 'jaxstyle[studio]'\n"


@pytest.mark.skipif(sys.platform == "win32", reason="signals")
@pytest.mark.parametrize("host", ["127.0.0.1", "0.0.0.0"])
def test_the_verb_says_where_it_is_and_ends_with_ctrl_c(tmp_path, host):
    command = [sys.executable, "-m", "jaxstyle", "studio", "--no-browser", "--port", "0", "--host", host]
    environment = os.environ | {"JAXSTYLE_CACHE_DIR": "off", "PYTHONPATH": os.getcwd()}
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment) as run:
        line = run.stdout.readline()
        found = re.fullmatch(r"http://127\.0\.0\.1:(\d+)/([\w-]{22})/\n", line)
        assert found, line + run.stderr.read()
        if host == "0.0.0.0":
            assert "open to every machine" in run.stdout.readline()
        where = serve.Running("", "127.0.0.1", int(found[1]), found[2], None)
        pages.until(lambda: pages.ask(where, "GET", "facts")[0] == 200)
        run.send_signal(signal.SIGINT)
        _, errors = run.communicate(timeout=60)
        assert run.returncode == 130 and errors == "jaxstyle: the studio is closed\n"
