"""The queue of the studio: one at a time, the newest preview wins, urgent work between the steps of long work."""

import threading
import time

import pytest

from jaxstyle.studio import work
from jaxstyle.studio.work import Busy, Cancelled, Job, Queue

WAIT = 10


@pytest.fixture
def queue():
    made = Queue()
    yield made
    assert made.close(WAIT)


def blocked(queue, page="page", **options):
    """A job that runs until it is released or cancelled."""
    running, release = threading.Event(), threading.Event()

    def run(job):
        running.set()
        while not release.wait(0.01):
            job.step()
        return "released"

    job = queue.submit(Job(run, page, **options))
    assert running.wait(WAIT)
    return job, release


def test_jobs_are_done_one_after_the_other(queue):
    seen = []
    jobs = [queue.submit(Job(lambda job, n=n: seen.append((n, queue.waiting)) or n, "page")) for n in range(5)]
    assert [job.future.result(WAIT) for job in jobs] == [0, 1, 2, 3, 4]
    assert [n for n, _ in seen] == [0, 1, 2, 3, 4] and seen[-1][1] == 1


def test_the_newest_of_a_slot_wins(queue):
    first, _ = blocked(queue, slot="preview")
    ran = []
    second = queue.submit(Job(lambda job: ran.append(2), "page", slot="preview"))
    third = queue.submit(Job(lambda job: "newest", "page", slot="preview"))
    elsewhere = queue.submit(Job(lambda job: "of another page", "page 2", slot="preview"))
    for job in (first, second):
        with pytest.raises(Cancelled):
            job.future.result(WAIT)
    assert third.future.result(WAIT) == "newest" and elsewhere.future.result(WAIT) == "of another page"
    assert ran == []


def test_urgent_work_is_done_between_the_steps_of_long_work(queue):
    job, release = blocked(queue, urgent=False)
    threads = []
    urgent = queue.submit(Job(lambda job: threads.append(threading.current_thread().name), "page"))
    urgent.future.result(WAIT)
    assert not job.future.done() and threads == ["studio"]
    later = queue.submit(Job(lambda job: "later", "page", urgent=False))
    time.sleep(0.1)
    assert not later.future.done()  # long work waits for long work
    release.set()
    assert job.future.result(WAIT) == "released" and later.future.result(WAIT) == "later"


def test_cancelling_ends_what_runs_and_what_waits(queue):
    job, _ = blocked(queue, urgent=False)
    waiting = queue.submit(Job(lambda job: 1, "page", urgent=False))
    queue.cancel(waiting)
    with pytest.raises(Cancelled):
        waiting.future.result(0)
    queue.cancel_page("another page")
    assert not job.cancelled.is_set()
    queue.cancel_page("page")
    with pytest.raises(Cancelled):
        job.future.result(WAIT)
    assert queue.waiting == 0


def test_a_failure_ends_its_job_alone(queue):
    def fails(job):
        raise SystemExit("whatever it is")

    broken = queue.submit(Job(fails, "page"))
    with pytest.raises(SystemExit, match="whatever"):
        broken.future.result(WAIT)
    gone = queue.submit(Job(lambda job: 1, "page"))
    assert gone.future.result(WAIT) == 1


def test_who_has_stopped_waiting_does_not_stop_the_queue(queue):
    job, release = blocked(queue)
    waiting = queue.submit(Job(lambda job: 1, "page"))
    assert waiting.future.cancel()
    queue.cancel(waiting)
    release.set()
    assert job.future.result(WAIT) == "released"
    assert queue.submit(Job(lambda job: 2, "page")).future.result(WAIT) == 2


def test_too_much_is_refused(queue, monkeypatch):
    monkeypatch.setattr(work, "MOST_WAITING", 2)
    _, release = blocked(queue)
    for _ in range(2):
        queue.submit(Job(lambda job: 1, "page"))
    with pytest.raises(Busy, match="too much"):
        queue.submit(Job(lambda job: 1, "page"))
    release.set()


def test_a_closed_queue_ends_its_work_and_takes_no_more():
    queue = Queue()
    job, _ = blocked(queue)
    assert queue.close(WAIT)
    with pytest.raises(Cancelled):
        job.future.result(0)
    with pytest.raises(Busy):
        queue.submit(Job(lambda job: 1, "page"))
