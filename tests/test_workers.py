import threading
import time

import pytest

from jaxstyle.folders.workers import _Once


def test_each_value_is_worked_out_once_however_many_ask():
    asked, barrier = [], threading.Barrier(8)

    def slow(key):
        asked.append(key)
        time.sleep(0.05)
        return key * 2

    once, found = _Once(slow, most=10), []

    def ask():
        barrier.wait()
        found.extend(once(key) for key in (1, 2))

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(asked) == [1, 2] and sorted(found) == [2] * 8 + [4] * 8


def test_the_last_ones_are_kept():
    asked = []
    once = _Once(lambda key: asked.append(key), most=2)
    for key in (1, 2, 1, 3, 1, 2, 3):
        once(key)
    assert asked == [1, 2, 3, 2, 3]  # 2 was left out for 3, then 1 ... the longest unused first


def test_an_error_is_everyones():
    def fail(key):
        raise ValueError(f"{key}: broken")

    once = _Once(fail, most=2)
    for _ in range(2):
        with pytest.raises(ValueError, match="x: broken"):
            once("x")
