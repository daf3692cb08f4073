"""KeyboardInterrupts that Python ignores come again; see tests/test_cli_main.py for the command."""

import gc
import signal
import sys
import threading
import time
import weakref

import pytest

from jaxstyle.runtime import interrupts


@pytest.fixture(autouse=True)
def heeded(monkeypatch):
    """SIGINT raises KeyboardInterrupt, also where the tests run in the background and it is ignored."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    reported = []
    monkeypatch.setattr(sys, "unraisablehook", reported.append)
    yield reported
    signal.signal(signal.SIGINT, before)


class Thing:
    pass


class Interrupting:
    def __del__(self):
        signal.raise_signal(signal.SIGINT)


def in_a_callback_of_the_collector():
    def callback(*_):
        gc.callbacks.remove(callback)
        signal.raise_signal(signal.SIGINT)

    gc.callbacks.append(callback)
    gc.collect()


def in_a_destructor():
    Interrupting()


def in_a_callback_of_a_weak_reference():
    thing = Thing()
    reference = weakref.ref(thing, lambda _: signal.raise_signal(signal.SIGINT))
    del thing
    assert reference() is None


LOSING = [in_a_callback_of_the_collector, in_a_destructor, in_a_callback_of_a_weak_reference]


@pytest.mark.parametrize("lose", LOSING)
def test_without_it_they_are_lost(heeded, lose):
    lose()
    time.sleep(0.3)
    assert [lost.exc_type for lost in heeded] == [KeyboardInterrupt]


@pytest.mark.parametrize("lose", LOSING)
@pytest.mark.parametrize("wait", [time.sleep, lambda seconds: threading.Event().wait(seconds)], ids=["sleep", "lock"])
def test_a_lost_one_comes_again(heeded, lose, wait):
    interrupts.deliver_lost()
    lose()
    start = time.perf_counter()
    with pytest.raises(KeyboardInterrupt):
        wait(10)
    assert time.perf_counter() - start < 5 and not heeded


def test_one_that_is_lost_again_comes_again(heeded):
    interrupts.deliver_lost()
    in_a_destructor()

    class Slow:
        def __del__(self):
            time.sleep(10)  # ended by the first that comes again, which is lost in here

    Slow()
    with pytest.raises(KeyboardInterrupt):
        time.sleep(10)
    assert not heeded


def test_one_that_is_seen_comes_once(heeded):
    interrupts.deliver_lost()
    with pytest.raises(KeyboardInterrupt):
        signal.raise_signal(signal.SIGINT)
    time.sleep(3 * interrupts._LATER)


def test_other_exceptions_are_reported_as_before(heeded):
    interrupts.deliver_lost()

    class Wrong:
        def __del__(self):
            raise ValueError("wrong")

    Wrong()
    assert [str(lost.exc_value) for lost in heeded] == ["wrong"]


def test_held_a_first_one_waits():
    seen = []
    with pytest.raises(KeyboardInterrupt), interrupts.held():
        signal.raise_signal(signal.SIGINT)
        seen.append("went on")
    assert seen == ["went on"] and signal.getsignal(signal.SIGINT) is signal.default_int_handler
    with interrupts.held():
        pass


def test_held_a_second_one_does_not_wait():
    seen = []
    with pytest.raises(KeyboardInterrupt), interrupts.held():
        signal.raise_signal(signal.SIGINT)
        signal.raise_signal(signal.SIGINT)
        seen.append("went on")
    assert seen == [] and signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_held_changes_nothing_where_it_is_ignored_or_in_a_thread():
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with interrupts.held():
        assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN
        signal.raise_signal(signal.SIGINT)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    found = []

    def inside():
        with interrupts.held():
            found.append(signal.getsignal(signal.SIGINT))

    thread = threading.Thread(target=inside)
    thread.start()
    thread.join()
    assert found == [signal.default_int_handler]
