import io
import time

import jax
import numpy as np
import pytest

from jaxstyle.runtime import programs, progress
from jaxstyle.runtime.progress import Bar, Progress, describe


def test_the_line_says_how_far_how_fast_and_how_long():
    text = describe(Progress(total=130, kept=30, done=18, failed=2), seconds=10, width=100)
    assert text == "[" + "#" * 11 + " " * 19 + "] 50/130  2 pictures/s  0:00:40 left  2 failed"
    assert describe(Progress(3, 0, 0, 0), 0, 100).endswith("] 0/3")
    assert describe(Progress(3, 3, 0, 0), 1, 100).endswith("##] 3/3")
    assert describe(Progress(7201, 0, 1, 0), 1, 100).endswith("1 pictures/s  2:00:00 left")


@pytest.mark.parametrize("width", [5, 20, 40, 60, 80, 200])
def test_the_line_fits_the_terminal(width):
    assert len(describe(Progress(100_000, 0, 50_000, 3), 12345, width)) < width


class Terminal(io.StringIO):
    def isatty(self):
        return True


def test_it_is_drawn_now_and_then_and_at_the_end():
    stream, now = Terminal(), [0.0]
    with Bar(stream, lambda: now[0]) as bar:
        for i in range(101):
            bar(Progress(100, 0, i, 0))
            now[0] += 0.01
    drawn = stream.getvalue().split("\r")[1:]
    assert 9 <= len(drawn) <= 12 and "100/100" in drawn[-1] and stream.getvalue().endswith("\n")


def test_nothing_where_there_is_no_terminal(capsys):
    stream = io.StringIO()
    with Bar(stream) as bar:
        bar(Progress(1, 0, 1, 0))
    with Bar() as bar:
        bar(Progress(1, 0, 1, 0))
    assert stream.getvalue() == capsys.readouterr().err == ""


def test_it_says_that_it_compiles_while_nothing_is_done(monkeypatch, tmp_path):
    monkeypatch.setattr(progress, "PATIENCE", 0.02)
    monkeypatch.setenv("JAXSTYLE_CACHE_DIR", str(tmp_path))
    stream = Terminal()

    def slow(*_):
        wait_for(stream, "compiling (first run only) ... 0:00:00 so far")
        return lambda x: (x,)

    monkeypatch.setattr(programs, "_compiled", slow)
    with Bar(stream) as bar:
        array, device = np.zeros(3, np.float32), jax.devices()[0]
        programs._made(lambda x: (x,), [array], device, tmp_path / "a", "key", False)
        with progress.compiling():
            bar(Progress(3, 0, 1, 0))
    assert stream.getvalue().rpartition("\r")[2].startswith("[")


def test_what_takes_long_shows_a_sign_of_life(monkeypatch):
    """Also before anything is done: the time so far, which goes when the work is done."""
    monkeypatch.setattr(progress, "PATIENCE", 0.02)
    stream = Terminal()
    with Bar(stream):
        wait_for(stream, "so far")
    assert stream.getvalue().endswith("\r\x1b[K") and "\n" not in stream.getvalue()
    stream = Terminal()
    with Bar(stream) as bar:
        bar(Progress(3, 0, 0, 0))
        wait_for(stream, "0/3  0:00:00 so far")
    assert stream.getvalue().endswith("\n")


def wait_for(stream, words):
    end = time.monotonic() + 20
    while words not in stream.getvalue():
        assert time.monotonic() < end
        time.sleep(0.005)


def test_what_is_quick_shows_nothing():
    stream = Terminal()
    with Bar(stream):
        pass
    assert stream.getvalue() == ""


def test_the_time_so_far():
    assert describe(Progress(3, 0, 0, 0), 65, 100).endswith("] 0/3  0:01:05 so far")
    assert describe(Progress(3, 3, 0, 0), 65, 100).endswith("] 3/3")
