import os
import signal

import pytest

from jaxstyle.runtime.isolated import IsolatedError, results


def processes(*values):
    """Its process's number and the values."""
    yield os.getpid()
    yield from values


def failing(error):
    yield 1
    raise error


def killed(number):
    yield 1
    os.kill(os.getpid(), number)


def endless():
    yield os.getpid()
    while True:
        signal.pause()


def test_results_come_from_another_process():
    number, *values = results(processes, "a", {"b": 2.5})
    assert number != os.getpid() and values == ["a", {"b": 2.5}]


def test_results_larger_than_a_pipe():
    _, block = results(processes, bytes(1 << 22))
    assert len(block) == 1 << 22


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (ValueError("size:\n too small"), "size: too small"),
        (FloatingPointError("NaN"), "NaN"),
        (MemoryError(), "out of memory"),
        (RuntimeError("RESOURCE_EXHAUSTED: 9 bytes"), "out of memory"),
        (RuntimeError("a mistake"), "its process ended early: exit code 1"),
    ],
)
def test_errors_are_words(error, words):
    found = results(failing, error)
    assert next(found) == 1
    with pytest.raises(IsolatedError, match=f"^{words}$"):
        next(found)


@pytest.mark.parametrize(
    ("number", "words"), [(signal.SIGKILL, "is the memory too small?"), (signal.SIGTERM, "exit code -15")]
)
def test_a_process_that_ends_early_is_noticed(number, words):
    found = results(killed, number)
    with pytest.raises(IsolatedError, match=f"^its process ended early: {words.replace('?', '[?]')}$"):
        list(found)


def test_who_stops_listening_ends_the_process():
    found = results(endless)
    number = next(found)
    os.kill(number, signal.SIGINT)  # as a terminal sends to all; it is the first process's to end the other
    os.kill(number, 0)
    found.close()
    with pytest.raises(ProcessLookupError):
        os.kill(number, 0)
