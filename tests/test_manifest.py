import errno
import json
import multiprocessing
import os
import threading
from pathlib import Path

import pytest

from jaxstyle import manifest
from jaxstyle.manifest import Manifest, ManifestError


def record(output, status="done", **more):
    return {"output": output, "status": status, **more}


@pytest.fixture
def path(tmp_path):
    return tmp_path / manifest.NAME


def test_what_is_appended_is_read(path):
    written = [record("a.png", "writing"), record("sub/ä.png", seconds=0.1, error='"\n'), record("a.png")]
    with Manifest(path) as file:
        for line in written:
            file.append(line)
        assert file.last("a.png") == written[2] and file.last("sub/ä.png") == written[1] and file.last("b.png") is None
    assert list(manifest.read(path)) == written
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
    assert list(manifest.read(path)) == [record(name)]


def test_a_line_torn_anywhere_is_as_if_it_had_not_been(path):
    with Manifest(path) as file:
        file.append(record("a.png"))
        file.append(record("b.png", note="ä" * 10))
    whole = path.read_bytes()
    first = whole.index(b"\n") + 1
    for cut in range(first, len(whole)):
        path.write_bytes(whole[:cut])
        assert list(manifest.read(path)) == [record("a.png")]
        with Manifest(path) as file:
            assert file.last("b.png") is None and file.last("a.png") == record("a.png")
            file.append(record("c.png"))
        assert list(manifest.read(path)) == [record("a.png"), record("c.png")]
    path.write_bytes(whole[:first] + b"\0\0\0\n")
    assert list(manifest.read(path)) == [record("a.png")]


@pytest.mark.parametrize("line", [b"nonsense", b"[1]", b'{"output": "a.png"}', b'{"output": 1, "status": "done"}'])
def test_damage_before_the_last_line_is_no_torn_line(path, line):
    text = line + b"\n" + json.dumps(record("a.png")).encode() + b"\n"
    path.write_bytes(text)
    for use in (Manifest, lambda path: list(manifest.read(path))):
        with pytest.raises(ManifestError, match=r"manifest\.jsonl: line 1 is no record of a picture"):
            use(path)
    assert path.read_bytes() == text


def test_only_one_has_it(path):
    with Manifest(path) as file:
        file.append(record("a.png"))
        with pytest.raises(ManifestError, match=f"^{path.parent}: another process is writing its results there$"):
            Manifest(path)
        assert list(manifest.read(path)) == [record("a.png")]  # reading is free
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
    assert list(manifest.read(path)) == [record("a.png"), record("c.png")]


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
    assert {line["output"] for line in manifest.read(path)} == {f"{n}/{i}.png" for n in range(4) for i in range(50)}


def test_what_cannot_be_written_or_read(tmp_path):
    with pytest.raises(ManifestError, match="cannot be written: no such file or directory"):
        Manifest(tmp_path / "nowhere" / "x.jsonl")
    with pytest.raises(ManifestError, match="cannot be read: no such file or directory"):
        list(manifest.read(tmp_path / "x.jsonl"))


def test_results_of_all_manifests_of_a_folder(tmp_path):
    assert manifest.results(tmp_path / "nowhere") == manifest.results(tmp_path) == set()
    for name, outputs in ((manifest.NAME, ("a.png", "sub/b.png")), ("jaxstyle-manifest-2-of-4.jsonl", ("c.png",))):
        with Manifest(tmp_path / name) as file:
            for output in outputs:
                file.append(record(output, "writing"))
    link = tmp_path / "link"
    link.symlink_to(tmp_path)
    expected = {str(Path(os.path.realpath(tmp_path), name)) for name in ("a.png", "sub/b.png", "c.png")}
    assert manifest.results(tmp_path) == manifest.results(link) == expected
