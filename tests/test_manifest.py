import errno
import json
import multiprocessing
import os
import threading
import time
from pathlib import Path

import pytest

from jaxstyle.runtime import journal
from jaxstyle.runtime.journal import History, Manifest, ManifestError


def record(output, status="done", **more):
    return {"output": output, "status": status, **more, "time": 1.5}


@pytest.fixture
def path(tmp_path):
    return tmp_path / journal.NAME


def test_what_is_appended_is_read(path):
    written = [record("a.png", "writing"), record("sub/ä.png", seconds=0.1, error='"\n'), record("a.png")]
    with Manifest(path) as file:
        for line in written:
            file.append(line)
        assert file.last("a.png") == written[2] and file.last("sub/ä.png") == written[1] and file.last("b.png") is None
    assert list(journal.read(path)) == written
    with Manifest(path) as file:  # the next run
        assert file.last("a.png") == written[2]
        file.append(record("a.png", "failed"))
        assert file.last("a.png")["status"] == "failed" and file.last("sub/ä.png") == written[1]
    assert len(path.read_text().splitlines()) == 4


def test_names_that_are_no_text(path):
    name = os.fsdecode(b"\xff.png")
    with Manifest(path) as file:
        file.append(record(name))
        assert file.last(name) == record(name)
    assert list(journal.read(path)) == [record(name)]


def test_a_line_torn_anywhere_is_as_if_it_had_not_been(path):
    with Manifest(path) as file:
        file.append(record("a.png"))
        file.append(record("b.png", note="ä" * 10))
    whole = path.read_bytes()
    first = whole.index(b"\n") + 1
    for cut in range(first, len(whole)):
        path.write_bytes(whole[:cut])
        assert list(journal.read(path)) == [record("a.png")]
        with Manifest(path) as file:
            assert file.last("b.png") is None and file.last("a.png") == record("a.png")
            file.append(record("c.png"))
        assert list(journal.read(path)) == [record("a.png"), record("c.png")]
    path.write_bytes(whole[:first] + b"\0\0\0\n")
    assert list(journal.read(path)) == [record("a.png")]


@pytest.mark.parametrize("line", [b"nonsense", b"[1]", b'{"output": "a.png"}', b'{"output": 1, "status": "done"}'])
def test_damage_before_the_last_line_is_no_torn_line(path, line):
    text = line + b"\n" + json.dumps(record("a.png")).encode() + b"\n"
    path.write_bytes(text)
    for use in (Manifest, lambda path: list(journal.read(path))):
        with pytest.raises(ManifestError, match=r"manifest\.jsonl: line 1 is no record of a picture"):
            use(path)
    assert path.read_bytes() == text


def test_only_one_has_it(path):
    with Manifest(path) as file:
        file.append(record("a.png"))
        with pytest.raises(ManifestError, match=f"^{path.parent}: another process is writing its results there$"):
            Manifest(path)
        assert list(journal.read(path)) == [record("a.png")]  # reading is free
    Manifest(path).close()


def hold(path, ready):
    with Manifest(path):
        ready.set()
        threading.Event().wait()


@pytest.mark.slow
def test_the_lock_goes_with_the_process(path):
    context = multiprocessing.get_context("spawn")
    ready = context.Event()
    process = context.Process(target=hold, args=(path, ready))
    process.start()
    assert ready.wait(60)
    with pytest.raises(ManifestError, match="another process"):
        Manifest(path)
    process.kill()
    process.join()
    Manifest(path).close()


def test_an_empty_one_leaves_no_file(path):
    Manifest(path).close()
    assert not path.exists()


def test_a_full_disk_leaves_whole_lines(path):
    class Full:
        def __init__(self, file):
            self._file, self.left = file, 30

        def write(self, data):
            if not self.left:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            written = self._file.write(data[: self.left])
            self.left -= written
            return written

        def __getattr__(self, name):
            return getattr(self._file, name)

    with Manifest(path) as file:
        file.append(record("a.png"))
        file._file = Full(file._file)
        with pytest.raises(OSError, match="No space"):
            file.append(record("b.png"))
        assert file.last("b.png") is None
        file._file.left = 10_000
        file.append(record("c.png"))
    assert list(journal.read(path)) == [record("a.png"), record("c.png")]


def test_many_threads(path):
    with Manifest(path) as file:

        def append(number):
            for i in range(50):
                file.append(record(f"{number}/{i}.png"))
                assert file.last(f"{number}/{i}.png") == record(f"{number}/{i}.png")

        threads = [threading.Thread(target=append, args=(n,)) for n in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert {line["output"] for line in journal.read(path)} == {f"{n}/{i}.png" for n in range(4) for i in range(50)}


def test_what_cannot_be_written_or_read(tmp_path):
    with pytest.raises(ManifestError, match="cannot be written: no such file or directory"):
        Manifest(tmp_path / "nowhere" / "x.jsonl")
    with pytest.raises(ManifestError, match="cannot be read: no such file or directory"):
        list(journal.read(tmp_path / "x.jsonl"))


def test_records_say_when(path):
    with Manifest(path) as file:
        file.append({"output": "a.png", "status": "done"})
        assert abs(file.last("a.png")["time"] - time.time()) < 60


def test_a_line_that_is_being_written_just_now_ends_the_reading(path):
    """Another process may write the rest of it before the reader is at the end."""

    class Growing:
        def __iter__(self):
            return iter([json.dumps(record("a.png")).encode() + b"\n", b'{"output": "b', b'.png", "status": "done"}\n'])

    assert [found["output"] for _, _, found in journal._lines(Growing(), path)] == ["a.png"]


def test_history_is_the_newest_of_all_manifests(tmp_path):
    def put(name, output, when, **more):
        with Manifest(tmp_path / name) as file:
            file.append(record(output, **more) | {"time": when})

    others = [f"jaxstyle-manifest-{i}-of-2.jsonl" for i in (1, 2)]
    put(others[0], "a.png", 3, note="other")
    put(others[1], "a.png", 2, note="older")
    put(others[1], "b.png", 1, note="other")
    put(others[1], "b.png", 2, note="its newest")
    put(others[1], "c.png", 9)
    put(journal.NAME, "b.png", 3, note="own")
    put(journal.NAME, "d.png", 3)
    with Manifest(tmp_path / journal.NAME) as own:
        history = History(own, ["a.png", "b.png", "d.png", "e.png"])
        assert [history.last(name) and history.last(name).get("note") for name in ("a.png", "b.png")] == [
            "other",
            "own",
        ]
        assert history.last("d.png") == record("d.png") | {"time": 3}
        assert history.last("e.png") is None and history.last("c.png") is None  # which was not asked for
        own.append(record("a.png") | {"note": "anew", "time": 4})
        assert history.last("a.png")["note"] == "anew"
    with Manifest(tmp_path / others[1]) as own:
        assert History(own, ["b.png"]).last("b.png")["note"] == "own"


def test_whether_a_run_has_it(path, tmp_path):
    assert not journal.in_use(path)
    with Manifest(path) as file:
        file.append(record("a.png"))
        assert journal.in_use(path) and journal.beside(file) == []
        with Manifest(tmp_path / "jaxstyle-manifest-1-of-2.jsonl") as other:
            assert journal.beside(other) == [path]
    assert not journal.in_use(path)
    Manifest(path).close()  # the question has left no lock


def test_a_file_system_without_locks(path, monkeypatch):
    """Runs work there, and do not take each other for gone."""
    fcntl = pytest.importorskip("fcntl")

    def flock(file, how):
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr(fcntl, "flock", flock)
    with Manifest(path) as file:
        file.append(record("a.png"))
    assert journal.in_use(path)


def test_a_lock_that_is_held_for_a_moment_is_waited_for(path):
    Manifest(path).close()
    path.touch()
    with open(path, "r+b") as file:
        assert journal._locked(file)
        threading.Timer(0.05, file.close).start()
        Manifest(path).close()


def test_results_of_all_manifests_of_a_folder(tmp_path):
    assert journal.results(tmp_path / "nowhere") == journal.results(tmp_path) == set()
    for name, outputs in ((journal.NAME, ("a.png", "sub/b.png")), ("jaxstyle-manifest-2-of-4.jsonl", ("c.png",))):
        with Manifest(tmp_path / name) as file:
            for output in outputs:
                file.append(record(output, "writing"))
    link = tmp_path / "link"
    link.symlink_to(tmp_path)
    expected = {str(Path(os.path.realpath(tmp_path), name)) for name in ("a.png", "sub/b.png", "c.png")}
    assert journal.results(tmp_path) == journal.results(link) == expected
