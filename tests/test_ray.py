"""The shards of a data set on a local cluster of two workers, with the method itself on small pictures."""

import os
import pickle
import signal
import subprocess
import sys
import time
import types
from pathlib import Path

import numpy as np
import pytest

import jaxstyle
from jaxstyle import Controls, image
from jaxstyle.folders import dataset, manifest, ray
from jaxstyle.folders.ray import _absolute, _together
from jaxstyle.painting.options import Limits, Output

RNG = np.random.default_rng(0)

RUN = """
import sys
import ray
from jaxstyle import on_ray, stylize_dataset

if __name__ == "__main__":
    output, seed, shards = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    options = {"seed": seed, "alpha": 0.8, "style_size": 32, "copy_other": True}
    if shards:
        ray.init(num_cpus=2, include_dashboard=False, logging_level="ERROR")
        report = on_ray.stylize_dataset("in", output, "styles", shards=shards, **options)
    else:
        report = stylize_dataset("in", output, "styles", **options)
    print("REPORT", report.pictures, report.done, report.kept, len(report.failed), report.copied, flush=True)
"""


def start(*arguments):
    here = {
        "PYTHONPATH": str(Path(jaxstyle.__file__).parents[1]),
        "JAXSTYLE_CACHE_DIR": os.environ["JAXSTYLE_TEST_CACHE"],
        "RAY_DATA_DISABLE_PROGRESS_BARS": "1",
        "RAY_USAGE_STATS_ENABLED": "0",
        "RAY_AUTH_MODE": "disabled",  # else it writes a token into the user's home
    }
    return subprocess.Popen(
        [sys.executable, "run.py", *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env=os.environ | here,
    )


def told(process):
    """[pictures, done, kept, failed, copied]"""
    text = process.communicate(timeout=500)[0]
    assert process.returncode == 0, text
    return [int(word) for word in text.partition("REPORT ")[2].splitlines()[0].split()]


def contents(folder):
    files = [path for path in Path(folder).rglob("*") if path.is_file() and not manifest.is_manifest(path.name)]
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}


def done(folder):
    return [record["output"] for record in manifest.records(folder) if record["status"] == "done"]


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in (
        *(f"in/{kind}/{i}.png" for kind in ("cat", "dog") for i in range(30)),
        *(f"styles/{i}.png" for i in "abc"),
    ):
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        image.write(name, RNG.random((32, 32, 3), np.float32))
    Path("in/dog/label.txt").write_text("label")
    Path("run.py").write_text(RUN)
    return tmp_path


@pytest.mark.slow
@pytest.mark.timeout(1800)  # four processes that start a cluster or compile
def test_killed_and_started_again_it_does_what_is_missing(folder):
    """Two workers; what they make is, byte for byte, what the command makes alone."""
    pytest.importorskip("ray")
    with start("out", 1, 8) as process:
        while len(done("out")) < 12 and process.poll() is None:
            time.sleep(0.02)
        process.send_signal(signal.SIGKILL)
    assert process.returncode == -signal.SIGKILL
    time.sleep(5)  # its workers notice that it is gone
    before = len(done("out"))
    assert 12 <= before < 60
    with start("out", 1, 6) as process:  # in other shards
        pictures, made, kept, failed, copied = told(process)
    assert (pictures, made, kept, failed, copied) == (60, 60 - before, before, 0, 1)
    with start("whole", 1, 0) as process:
        assert told(process) == [60, 60, 0, 0, 1]
    assert contents("out") == contents("whole")
    assert len(done("out")) == len(set(done("out"))) == 60
    with start("out", 1, 0) as process:  # without a cluster
        assert told(process) == [60, 0, 60, 0, 0]
    with start("out", 2, 6) as process:
        text = process.communicate(timeout=500)[0]
    assert process.returncode == 1 and "was made by another draw (seed 1" in text.splitlines()[-1]


def test_paths_that_every_process_finds(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    found = _absolute(Controls(alpha_map="map.png", mask=("a.png",), alpha=0.5))
    assert found == Controls(alpha_map=str(tmp_path / "map.png"), mask=(str(tmp_path / "a.png"),), alpha=0.5)
    assert _absolute(Controls()) == Controls()


def test_one_report_of_all_shards():
    def report(shard, done, kept, failed, stopped=None):
        return jaxstyle.DatasetReport(
            *("/out", f"/out/{shard}.jsonl", done + kept + len(failed), done, kept, failed, stopped, 3, 1, 2.0, 1.0),
            *("w", "0", 7, 2, f"{shard}/2", shard),
        )

    a, b = jaxstyle.folders.workers.Failure("a", (), "a", "why"), jaxstyle.folders.workers.Failure("b", (), "b", "why")
    found = _together([report(1, 4, 5, (a,)), report(2, 6, 0, (b,), "full")], 10.0)
    assert (found.pictures, found.done, found.kept, found.failed, found.stopped) == (17, 10, 5, (a, b), "full")
    assert (found.ignored, found.notices, found.copied, found.seed, found.styles_per_image) == (3, 2, 3, 7, 2)
    assert (found.seconds, found.pictures_per_second, found.shard) == (10.0, 1.2, None)
    assert found.manifest == "/out/jaxstyle-manifest-*-of-2.jsonl"


def test_the_number_of_shards():
    with pytest.raises(ValueError, match=r"^shards: expected at least 1, got 0$"):
        ray.stylize_dataset("in", "out", "styles", shards=0)


@pytest.mark.parametrize("name", ["shard", "devices", "pair"])
def test_what_means_nothing_there(name):
    with pytest.raises(TypeError, match=f"^unexpected keyword argument '{name}'$"):
        ray.stylize_dataset("in", "out", "styles", **{name: None})


def test_without_ray_it_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(ImportError, match=r"pip install 'jaxstyle\[ray\]'"):
        ray.stylize_dataset("in", "out", "styles")


class OneProcess:
    """In the place of ``ray.data``: rows one after the other in this process; a copy of what goes to a worker."""

    def __init__(self, rows):
        self.rows, self.asked = rows, {}

    def from_items(self, rows, *, override_num_blocks):
        assert len(rows) == override_num_blocks
        self.rows = rows
        return self

    def map(self, function, *, fn_kwargs, **asked):
        self.asked.update(asked)
        how = pickle.loads(pickle.dumps(fn_kwargs))
        self.rows = (function(row, **how) for row in self.rows)
        return self

    def iter_rows(self):
        return iter(self.rows)


def test_what_a_worker_is_told(folder, monkeypatch):
    monkeypatch.setenv("JAXSTYLE_CACHE_DIR", "off")
    monkeypatch.setenv("XLA_PYTHON_CLIENT_PREALLOCATE", "false")  # it sets that itself, for its whole process
    here, seen = OneProcess([]), []
    monkeypatch.setitem(sys.modules, "ray", types.SimpleNamespace(data=here))
    monkeypatch.setitem(sys.modules, "ray.data", here)

    def run(jobs, place, **options):
        seen.append((jobs, place, options))
        return jaxstyle.BatchReport(str(place), "m", len(jobs), len(jobs), 0, (), None, 0, 0, 1.0, 1.0, "w", "0")

    monkeypatch.setattr(dataset.batch, "run", run)
    options = {"alpha": 0.5, "seed": 3, "keep_names": True, "max_pixels": 99, "scratch": "s", "overwrite": True}
    found = ray.stylize_dataset("in", "out", "styles", shards=2, gpus=0.5, **options)
    assert here.asked == {"num_cpus": 1, "num_gpus": 0.5}
    assert (found.pictures, found.done, found.seed, found.shard) == (60, 60, 3, None)
    assert sum(len(jobs) for jobs, _, _ in seen) == 60
    for number, (jobs, place, how) in enumerate(seen, 1):
        assert place == folder / "out" and how.pop("name") == f"jaxstyle-manifest-{number}-of-2.jsonl"
        assert how.pop("limits") == Limits(max_pixels=99, scratch=str(folder / "s"))
        assert how.pop("output") == Output(overwrite=True)
        assert how == {"weights_file": None, "seed": 3, "progress": None}
        assert all(job.controls == Controls(alpha=0.5) and Path(job.output).name.endswith(".png") for job in jobs)
        assert all(job.styles[0].startswith(str(folder / "styles")) for job in jobs)
