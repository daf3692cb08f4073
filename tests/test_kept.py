import os
from pathlib import Path

import pytest

from jaxstyle.controls.controls import Controls
from jaxstyle.folders.kept import BatchError, Facts, is_whole, make_folder, missing, remove_leftovers, written
from jaxstyle.folders.manifest import NAME
from jaxstyle.folders.pairing import Job
from jaxstyle.runtime.journal import Journal

PLAIN = Controls()


class Run:
    """Jobs for ``a.png`` and ``b.png`` in the style of ``s.png``, and a manifest."""

    def __init__(self, root):
        self.root, self.out = root, root / "out"
        for name in ("a.png", "b.png", "s.png", "t.png", "map.png"):
            (root / name).write_bytes(name.encode())
        (self.out / "sub").mkdir(parents=True)

    def jobs(self, controls=PLAIN, style="s.png"):
        names = {"a.png": "a.png", "b.png": "sub/b.png"}
        return [
            Job(str(self.root / name), (str(self.root / style),), output, controls) for name, output in names.items()
        ]

    def missing(self, jobs=None, *, sha256="1", overwrite=False):
        """What is left to be done."""
        with Journal(self.out / NAME) as record:
            jobs = self.jobs() if jobs is None else jobs
            return [
                job.output for job in missing(jobs, Facts("w", sha256, None), record, self.out, overwrite=overwrite)
            ]

    def put(self, job, status="done", sha256="1", **more):
        """What a run would do; ``more`` goes on record."""
        facts = Facts("w", sha256, None)
        path = self.out / job.output
        path.write_bytes(b"result")
        with Journal(self.out / NAME) as record:
            about = {"inputs": facts.inputs(job), "result": written(path)} | more
            record.append({"output": job.output, "status": status, **facts.of(job), **about})


@pytest.fixture
def run(tmp_path):
    return Run(tmp_path)


def test_what_is_done_is_kept(run):
    first, second = run.jobs()
    assert run.missing() == ["a.png", "sub/b.png"]
    run.put(first)
    assert run.missing() == run.missing(overwrite=True) == ["sub/b.png"]
    run.put(second)
    assert run.missing() == []


def test_what_is_gone_is_made_again(run):
    first, second = run.jobs()
    run.put(first)
    run.put(second)
    (run.out / first.output).unlink()
    assert run.missing() == ["a.png"]


@pytest.mark.parametrize("status", ["writing", "failed"])
def test_what_was_not_finished_is_made(run, status):
    first, second = run.jobs()
    run.put(second)
    run.put(first, status)
    assert run.missing() == ["a.png"]


def test_what_nobody_made_is_not_replaced(run):
    (run.out / "a.png").write_bytes(b"mine")
    with pytest.raises(
        BatchError, match=r"out/a\.png: exists already, and no earlier run made it; choose another folder"
    ):
        run.missing()
    assert run.missing(overwrite=True) == ["a.png", "sub/b.png"]


@pytest.mark.parametrize("damage", [b"", b"resul", b"resulT", b"result and more"])
def test_a_result_that_is_not_what_was_written_is_made_again(run, damage):
    first, second = run.jobs()
    run.put(first)
    run.put(second)
    path = run.out / first.output
    path.write_bytes(damage)
    os.utime(path, ns=(1, 1))
    assert run.missing() == ["a.png"]


def test_a_copied_result_is_kept(run):
    """With another time, but the same bytes; of earlier versions the manifest knows neither."""
    first, second = run.jobs()
    run.put(first)
    run.put(second, result=None)
    for job in (first, second):
        os.utime(run.out / job.output, ns=(1, 1))
    assert run.missing() == []
    (run.out / second.output).write_bytes(b"")
    assert run.missing() == []


def test_whether_a_result_is_whole(tmp_path):
    path = tmp_path / "a.png"
    path.write_bytes(b"123456789")
    result = written(path)
    assert result == [9, path.stat().st_mtime_ns, 0xCBF43926]  # the check value of CRC-32
    assert is_whole(path, {"result": result}) and is_whole(path, {"result": [9, 0, 0xCBF43926]}) and is_whole(path, {})
    assert not is_whole(path, {"result": [9, 0, 1]}) and not is_whole(tmp_path / "b.png", {"result": result})
    assert not is_whole(tmp_path / "b.png", {})


def test_what_was_made_when_controls_had_a_seed_is_kept(run):
    for job in run.jobs():
        facts = Facts("w", "1", None)
        (run.out / job.output).write_bytes(b"result")
        with Journal(run.out / NAME) as record:
            about = {**facts.of(job), "controls": {**job.controls.as_dict(), "seed": None}}
            record.append({"output": job.output, "status": "done", "inputs": facts.inputs(job), **about})
    assert run.missing() == []


@pytest.mark.parametrize("name", ["a.png", "s.png", "map.png"])
@pytest.mark.parametrize("change", ["time", "size", "gone"])
def test_a_file_that_has_changed(run, name, change):
    jobs = run.jobs(Controls(alpha_map=str(run.root / "map.png")))
    for job in jobs:
        run.put(job)
    assert run.missing(jobs) == []
    path = run.root / name
    about = path.stat()
    if change == "time":
        os.utime(path, ns=(about.st_atime_ns, about.st_mtime_ns + 1))
    elif change == "size":
        path.write_bytes(b"")
        os.utime(path, ns=(about.st_atime_ns, about.st_mtime_ns))
    else:
        path.unlink()
    assert run.missing(jobs) == (["a.png"] if name == "a.png" else ["a.png", "sub/b.png"])


def test_other_controls_weights_or_pictures_are_refused(run):
    for job in run.jobs():
        run.put(job)
    others = run.jobs(Controls(alpha=0.5)), run.jobs(Controls(size=(3, 4))), run.jobs(style="t.png")
    words = (
        r"with alpha = 1\.0, not 0\.5",
        r"with size = None, not \[3, 4\]",
        r"in the style of /.*/s\.png, not /.*/t\.png",
    )
    for jobs, how in zip(others, words, strict=True):
        with pytest.raises(BatchError, match=rf"out/a\.png: was made {how}; choose another folder, or give over"):
            run.missing(jobs)
        assert run.missing(jobs, overwrite=True) == ["a.png", "sub/b.png"]
    with pytest.raises(BatchError, match=r"was made with other weights \(w\)"):
        run.missing(sha256="2")
    (run.root / "other").mkdir()
    (run.root / "other/a.png").write_bytes(b"another")
    job = Job(str(run.root / "other/a.png"), run.jobs()[0].styles, "a.png", PLAIN)
    with pytest.raises(BatchError, match=r"was made of /.*/a\.png, not /.*/other/a\.png"):
        run.missing([job])


def test_it_does_not_matter_how_a_path_is_written(run, monkeypatch):
    for job in run.jobs():
        run.put(job)
    monkeypatch.chdir(run.root)
    jobs = [
        Job(f"./{name}", ("out/../s.png",), output, PLAIN)
        for name, output in (("a.png", "a.png"), ("b.png", "sub/b.png"))
    ]
    assert run.missing(jobs) == []


def test_what_is_read_is_never_replaced(run):
    os.link(run.root / "s.png", run.out / "a.png")
    for overwrite in (False, True):
        with pytest.raises(
            BatchError, match=r"out/a\.png: is one of the pictures that are read, which are never replaced"
        ):
            run.missing(overwrite=overwrite)
    job = Job(
        str(run.root / "b.png"), (str(run.root / "s.png"),), "../a.png", Controls(alpha_map=str(run.root / "a.png"))
    )
    with pytest.raises(BatchError, match="never replaced"):
        run.missing([job], overwrite=True)


def test_make_folder(tmp_path):
    assert make_folder(tmp_path / "new/deep") and not make_folder(tmp_path / "new/deep")
    assert (tmp_path / "new/deep").is_dir()
    (tmp_path / "file").touch()
    (tmp_path / "folder.png").mkdir()
    make_folder(tmp_path / "folder.png")
    for name, words in (
        ("file", "is a file; the results need a folder"),
        ("new.png", "has the name of a picture; the results need a folder"),
        ("file/under", "cannot be made: not a directory"),
    ):
        with pytest.raises(BatchError, match=f"{name}: {words}"):
            make_folder(tmp_path / name)
    with pytest.raises(BatchError, match="/proc/jaxstyle: cannot be made: "):
        make_folder(Path("/proc/jaxstyle"))


def test_a_manifest_that_nobody_has_open_keeps_no_leftovers(tmp_path):
    with Journal(tmp_path / "jaxstyle-manifest-2-of-2.jsonl") as other:
        other.append({"output": "b.png", "status": "writing"})
    (tmp_path / ".jaxstyle-0a.tmp").touch()
    with Journal(tmp_path / "jaxstyle-manifest-1-of-2.jsonl") as record:
        remove_leftovers(record, ["a.png"])
    assert not (tmp_path / ".jaxstyle-0a.tmp").exists()


def test_leftovers_are_removed_and_nothing_else(tmp_path):
    names = (
        ".jaxstyle-0a.tmp",
        "x.tmp",
        ".jaxstyle-0b.png",
        "jaxstyle.tmp",
        "sub/.jaxstyle-0d.tmp",
        "other/.jaxstyle-0.tmp",
    )
    for name in names:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    (tmp_path / ".jaxstyle-0c.tmp").mkdir()
    other = Journal(tmp_path / "jaxstyle-manifest-2-of-2.jsonl")
    with Journal(tmp_path / "jaxstyle-manifest-1-of-2.jsonl") as record:
        outputs = ("a.png", "sub/b.png", "nowhere/c.png")
        remove_leftovers(record, outputs)  # they may be the other's
        assert all((tmp_path / name).exists() for name in names)
        other.close()
        remove_leftovers(record, outputs)
    assert {name for name in names if not (tmp_path / name).exists()} == {".jaxstyle-0a.tmp", "sub/.jaxstyle-0d.tmp"}
