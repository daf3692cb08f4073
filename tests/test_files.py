"""Files that are whole or not there."""

import errno
import io
import os
import stat
from pathlib import Path
from typing import Any

import pytest

from jaxstyle.runtime import files


def test_bytes_and_texts(tmp_path: Path) -> None:
    files.write(tmp_path / "a", b"\x00\xff")
    files.write(str(tmp_path / "b"), "Zürich\n")
    assert (tmp_path / "a").read_bytes() == b"\x00\xff"
    assert (tmp_path / "b").read_bytes() == "Zürich\n".encode()


def test_a_name_without_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    files.write("a", b"one")
    with files.temporary_beside("a") as temporary:
        Path(temporary).write_bytes(b"two")
        files.replace(temporary, "a")
    assert [(path.name, path.read_bytes()) for path in tmp_path.iterdir()] == [("a", b"two")]


def test_write_follows_umask_and_links(tmp_path: Path) -> None:
    old = os.umask(0o027)
    try:
        files.write(tmp_path / "a", b"one")
    finally:
        os.umask(old)
    assert (tmp_path / "a").stat().st_mode & 0o777 == 0o640
    (tmp_path / "link").symlink_to(tmp_path / "a")
    files.write(tmp_path / "link", b"two")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "a").read_bytes() == b"two"
    with pytest.raises(FileExistsError):
        files.write(tmp_path / "a", b"three", overwrite=False)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a", "link"]


@pytest.mark.parametrize("failure", [OSError(errno.ENOSPC, "No space left on device"), KeyboardInterrupt()])
@pytest.mark.parametrize("step", ["write", "fsync", "replace"])
def test_failed_write_leaves_the_old_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, failure: BaseException, step: str
) -> None:
    target = tmp_path / "a.png"
    target.write_bytes(b"old")

    class Failing(io.FileIO):
        def write(self, data: Any) -> int:
            super().write(data[:2])
            raise failure

    def fail(*_: Any) -> None:
        raise failure

    if step == "write":
        monkeypatch.setattr(files, "open", lambda path, mode: Failing(path, mode.replace("b", "")), raising=False)
    else:
        monkeypatch.setattr(os, step, fail)
    with pytest.raises(type(failure)):
        files.write(target, b"new picture")
    monkeypatch.undo()
    assert [p.name for p in tmp_path.iterdir()] == ["a.png"]
    assert target.read_bytes() == b"old"


def record(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, Any]]:
    """The calls of fsync, with what the file then holds ("folder" for one), and of replace, with the new name."""
    calls = list[tuple[str, Any]]()
    fsync, replace = os.fsync, os.replace

    def synced(descriptor: int) -> None:
        about = os.fstat(descriptor)
        calls.append(("fsync", "folder" if stat.S_ISDIR(about.st_mode) else about.st_size))
        fsync(descriptor)

    def replaced(old: Any, new: Any) -> None:
        calls.append(("replace", os.path.basename(new)))
        replace(old, new)

    monkeypatch.setattr(os, "fsync", synced)
    monkeypatch.setattr(os, "replace", replaced)
    return calls


def test_the_file_is_synced_before_the_rename_and_its_folder_after(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = record(monkeypatch)
    files.write(tmp_path / "a", b"12345")
    assert calls == [("fsync", 5), ("replace", "a"), ("fsync", "folder")]


def test_all_files_of_a_tree_are_synced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "b").mkdir()
    (tmp_path / "a").write_bytes(b"1")
    (tmp_path / "b" / "c").write_bytes(b"12")
    calls = record(monkeypatch)
    files.sync_tree(tmp_path)
    assert sorted(calls[:2]) == [("fsync", 1), ("fsync", 2)] and calls[2:] == [("fsync", "folder")] * 2


def test_file_systems_that_cannot_sync(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def cannot(_: int) -> None:
        raise OSError(errno.EINVAL, "Invalid argument")

    monkeypatch.setattr(os, "fsync", cannot)
    files.write(tmp_path / "a", b"one")
    assert (tmp_path / "a").read_bytes() == b"one"


def test_a_device_is_written_to_not_replaced(tmp_path: Path) -> None:
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    reader = os.open(fifo, os.O_RDONLY | os.O_NONBLOCK)
    try:
        files.write(fifo, b"picture")
        assert os.read(reader, 100) == b"picture"
    finally:
        os.close(reader)
    assert fifo.is_fifo()


@pytest.mark.parametrize("kind", ["file", "folder", "none", "renamed"])
def test_what_is_not_finished_goes(tmp_path: Path, kind: str) -> None:
    with files.temporary_beside(tmp_path / "a") as temporary:
        path = Path(temporary)
        assert path.parent == tmp_path and path.name.startswith(".jaxstyle-") and path.suffix == ".tmp"
        if kind == "folder":
            (path / "b").mkdir(parents=True)
            (path / "b" / "c").touch()
        elif kind != "none":
            path.touch()
        if kind == "renamed":
            files.replace(path, tmp_path / "a")
    assert [p.name for p in tmp_path.iterdir()] == (["a"] if kind == "renamed" else [])


def test_a_disk_that_is_full_when_a_tree_is_synced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    (tmp_path / "a").touch()
    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        files.sync_tree(tmp_path)
