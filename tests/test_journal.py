import errno
import json
import multiprocessing
import os
import threading
import time

import pytest

from jaxstyle.runtime import journal
from jaxstyle.runtime.journal import Journal, JournalError, read, read_at, read_places


def record(output, status="done", **more):
    return {"output": output, "status": status, **more, "time": 1.5}


@pytest.fixture
def path(tmp_path):
    return tmp_path / "journal.jsonl"


def test_what_is_appended_is_read(path):
    written = [record("a.png", "writing"), record("sub/ä.png", seconds=0.1, error='"\n'), record("a.png")]
    with Journal(path) as file:
        for line in written:
            file.append(line)
        assert file.last("a.png") == written[2] and file.last("sub/ä.png") == written[1] and file.last("b.png") is None
    assert list(read(path)) == written
    with Journal(path) as file:  # the next run
        assert file.last("a.png") == written[2]
        file.append(record("a.png", "failed"))
        assert file.last("a.png")["status"] == "failed" and file.last("sub/ä.png") == written[1]
    assert len(path.read_text().splitlines()) == 4


def test_a_record_is_read_again_by_its_place(path):
    written = [record("ä.png"), record("b.png", seconds=0.1)]
    with Journal(path) as file:
        for line in written:
            file.append(line)
    places = [place for place, _ in read_places(path)]
    assert [read_at(path, place) for place in places] == written
    assert places[0].offset == 0 and places[1].offset == places[0].length


def test_names_that_are_no_text(path):
    name = os.fsdecode(b"\xff.png")
    with Journal(path) as file:
        file.append(record(name))
        assert file.last(name) == record(name)
    assert list(read(path)) == [record(name)]


def test_a_line_torn_anywhere_is_as_if_it_had_not_been(path):
    with Journal(path) as file:
        file.append(record("a.png"))
        file.append(record("b.png", note="ä" * 10))
    whole = path.read_bytes()
    first = whole.index(b"\n") + 1
    for cut in range(first, len(whole)):
        path.write_bytes(whole[:cut])
        assert list(read(path)) == [record("a.png")]
        with Journal(path) as file:
            assert file.last("b.png") is None and file.last("a.png") == record("a.png")
            file.append(record("c.png"))
        assert list(read(path)) == [record("a.png"), record("c.png")]
    path.write_bytes(whole[:first] + b"\0\0\0\n")
    assert list(read(path)) == [record("a.png")]


@pytest.mark.parametrize("line", [b"nonsense", b"[1]", b'{"output": "a.png"}', b'{"output": 1, "status": "done"}'])
def test_damage_before_the_last_line_is_no_torn_line(path, line):
    text = line + b"\n" + json.dumps(record("a.png")).encode() + b"\n"
    path.write_bytes(text)
    for use in (Journal, lambda path: list(read(path))):
        with pytest.raises(JournalError, match=r"journal\.jsonl: line 1 is no record: mend"):
            use(path)
    assert path.read_bytes() == text


def test_only_one_has_it(path):
    with Journal(path) as file:
        file.append(record("a.png"))
        with pytest.raises(JournalError, match=f"^{path.parent}: another process is writing its results there$"):
            Journal(path)
        assert list(read(path)) == [record("a.png")]  # reading is free
    Journal(path).close()


def hold(path, ready):
    with Journal(path):
        ready.set()
        threading.Event().wait()


@pytest.mark.slow
def test_the_lock_goes_with_the_process(path):
    context = multiprocessing.get_context("spawn")
    ready = context.Event()
    process = context.Process(target=hold, args=(path, ready))
    process.start()
    assert ready.wait(60)
    with pytest.raises(JournalError, match="another process"):
        Journal(path)
    process.kill()
    process.join()
    Journal(path).close()


def test_an_empty_one_leaves_no_file(path):
    Journal(path).close()
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

    with Journal(path) as file:
        file.append(record("a.png"))
        file._file = Full(file._file)
        with pytest.raises(OSError, match="No space"):
            file.append(record("b.png"))
        assert file.last("b.png") is None
        file._file.left = 10_000
        file.append(record("c.png"))
    assert list(read(path)) == [record("a.png"), record("c.png")]


def test_many_threads(path):
    with Journal(path) as file:

        def append(number):
            for i in range(50):
                file.append(record(f"{number}/{i}.png"))
                assert file.last(f"{number}/{i}.png") == record(f"{number}/{i}.png")

        threads = [threading.Thread(target=append, args=(n,)) for n in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert {line["output"] for line in read(path)} == {f"{n}/{i}.png" for n in range(4) for i in range(50)}


def test_what_cannot_be_written_or_read(tmp_path):
    with pytest.raises(JournalError, match="cannot be written: no such file or directory"):
        Journal(tmp_path / "nowhere" / "x.jsonl")
    with pytest.raises(JournalError, match="cannot be read: no such file or directory"):
        list(read(tmp_path / "x.jsonl"))


def test_records_say_when(path):
    with Journal(path) as file:
        file.append({"output": "a.png", "status": "done"})
        assert abs(file.last("a.png")["time"] - time.time()) < 60


def test_a_line_that_is_being_written_just_now_ends_the_reading(path):
    """Another process may write the rest of it before the reader is at the end."""

    lines = [json.dumps(record("a.png")).encode() + b"\n", b'{"output": "b', b'.png", "status": "done"}\n']

    class Growing:
        def readline(self, most):
            return lines.pop(0) if lines else b""

    assert [found["output"] for _, found in journal._lines(Growing(), path)] == ["a.png"]


@pytest.mark.parametrize("kind", ["pipe", "device", "folder", "link to itself"])
def test_only_regular_files_are_opened(path, kind):
    """Nobody waits for a pipe or reads a device without an end."""
    if kind == "pipe":
        os.mkfifo(path)
    elif kind == "device":
        path.symlink_to("/dev/zero")
    elif kind == "folder":
        path.mkdir()
    else:
        path.symlink_to(path)
    words = {"folder": "is a directory", "link to itself": "too many levels of symbolic links"}
    words = words.get(kind, "not a regular file")
    with pytest.raises(JournalError, match=f"^{path}: cannot be read: {words}$"):
        list(read(path))
    with pytest.raises(JournalError, match=f"^{path}: cannot be written: {words}$"):
        Journal(path)
    assert journal.in_use(path)  # which cannot be told
    with pytest.raises(OSError):
        read_at(path, journal.Place(0, 2))


@pytest.mark.parametrize(
    "line",
    [
        b'{"output": "a", "status": "done", "more": ' + b"[" * 100_000 + b"]" * 100_000 + b"}",
        b'{"output": "a", "status": "done", "time": "now"}',
        b'{"output": "a", "status": "done", "time": null}',
        b'{"output": ["a"], "status": "done"}',
        b'{"output": "a", "status": {}}',
        b'["output", "status"]',
        b'{"output": "a", "status": "done", "more": ' + b"1" * 10_000 + b"}",
        b"\xff\xfe",
    ],
    ids=["deep", "time", "no time", "output", "status", "list", "long number", "no text"],
)
def test_lines_that_are_no_records(path, line):
    good = json.dumps(record("b.png")).encode()
    path.write_bytes(line + b"\n" + good + b"\n")
    with pytest.raises(JournalError, match="line 1 is no record: mend or remove the file"):
        list(read(path))
    with pytest.raises(JournalError, match="line 1 is no record"):
        Journal(path)
    path.write_bytes(good + b"\n" + line + b"\n")  # as if torn
    assert list(read(path)) == [record("b.png")]


def test_no_more_is_read_than_a_line_may_have(path, monkeypatch):
    monkeypatch.setattr(journal, "LONGEST", 100)
    path.write_bytes(b" " * 101)
    for use in (lambda: list(read(path)), lambda: Journal(path)):
        with pytest.raises(JournalError, match="line 1 is no record"):
            use()
    path.unlink()
    with Journal(path) as file:
        file.append(record("a"))
        with pytest.raises(OSError, match="too long"):
            file.append(record("b", note="x" * 100))
        assert file.last("b") is None
    assert list(read(path)) == [record("a")]


def test_a_record_is_what_its_readers_expect(path):
    def check(record):
        return isinstance(record.get("size"), int)

    with Journal(path, check) as file:
        file.append(record("a", size=1))
        file.append(record("b", size=2))
    assert len(list(read(path, check))) == 2
    path.write_text(path.read_text().replace("1,", '"1",'))
    for use in (lambda: list(read(path, check)), lambda: Journal(path, check)):
        with pytest.raises(JournalError, match="line 1 is no record"):
            use()


def test_whether_it_is_still_in_its_place(path):
    with Journal(path) as file:
        assert file.in_place()
        path.rename(path.with_name("moved"))
        assert not file.in_place()
        path.write_bytes(b"another's")
        assert not file.in_place()
    assert path.read_bytes() == b"another's"  # an empty journal is removed, but not what took its place


def test_whether_a_process_has_it(path):
    assert not journal.in_use(path)
    with Journal(path) as file:
        file.append(record("a.png"))
        assert journal.in_use(path)
    assert not journal.in_use(path)
    Journal(path).close()  # the question has left no lock


def test_a_file_system_without_locks(path, monkeypatch):
    """Runs work there, and do not take each other for gone."""
    fcntl = pytest.importorskip("fcntl")

    def flock(file, how):
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr(fcntl, "flock", flock)
    with Journal(path) as file:
        file.append(record("a.png"))
    assert journal.in_use(path)


def test_a_lock_that_is_held_for_a_moment_is_waited_for(path):
    Journal(path).close()
    path.touch()
    with open(path, "r+b") as file:
        assert journal._locked(file)
        threading.Timer(0.05, file.close).start()
        Journal(path).close()
