"""The verb ``metrics``: the table and the JSON. What is measured: tests/test_metrics_files.py."""

import json

import numpy as np
import pytest

from jaxstyle import image
from jaxstyle.cli import main
from jaxstyle.cli.metrics import table
from jaxstyle.metrics import metrics
from jaxstyle.metrics.files import MEANING


@pytest.fixture
def files(tmp_path, monkeypatch):
    """``photo.png`` and ``painting.png`` in the current folder, and no cache in the user's home."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("JAXSTYLE_CACHE_DIR", "off")
    rng = np.random.default_rng(0)
    for name in ("photo.png", "painting.png", "out.png"):
        image.write(name, np.repeat(np.repeat(rng.random((8, 10, 3)), 4, 0), 4, 1).astype(np.float32))


COMMAND = ["metrics", "--content", "photo.png", "--style", "painting.png"]


def test_every_metric_of_every_output(files, capsys):
    assert main.main([*COMMAND, "out.png", "photo.png", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    pixels = [image.read(file).pixels for file in ("photo.png", "painting.png", "out.png")]
    expected = metrics.measure(metrics.load_networks(), *pixels)
    assert set(expected) == set(MEANING)
    assert (found["content"], found["style"], list(found["outputs"])) == (
        "photo.png",
        "painting.png",
        ["out.png", "photo.png"],
    )
    assert found["outputs"]["out.png"] == pytest.approx({name: float(v) for name, v in expected.items()})
    assert json.loads(json.dumps(found, allow_nan=False)) == found
    same = found["outputs"]["photo.png"]
    assert same["psnr"] is None and same["ssim"] == 1 and same["lpips"] < 1e-6 and same["content_loss"] < 1e-6
    assert main.main([*COMMAND, "out.png", "photo.png"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split() == ["out.png", "photo.png"]
    assert [line.split()[0] for line in lines[1:]] == list(MEANING)
    assert lines[1].split()[2] == "inf" and float(lines[2].split()[1]) == pytest.approx(
        float(expected["ssim"]), abs=1e-3
    )


def test_json_prints_no_table(files, capsys, monkeypatch):
    monkeypatch.setattr(metrics, "measure", lambda *args: dict.fromkeys(MEANING, np.float32(0.25)))
    assert main.main([*COMMAND, "out.png", "--json"]) == 0
    (line,) = capsys.readouterr().out.splitlines()
    found = json.loads(line)
    assert found["outputs"]["out.png"]["ssim"] == 0.25
    assert found["content"] == "photo.png" and found["style"] == "painting.png"


def test_files_of_one_name_are_told_apart():
    numbers = dict.fromkeys(MEANING, 0.5)
    for names, head in ((["a/o.png", "b/o.png"], ["a/o.png", "b/o.png"]), (["a/o.png", "b/p.png"], ["o.png", "p.png"])):
        assert table({name: numbers for name in names}, MEANING).splitlines()[0].split() == head


def test_the_size_arrives(files, monkeypatch):
    seen = []

    def measure(networks, *pictures):
        seen.extend(p.shape[:2] for p in pictures)
        return dict.fromkeys(MEANING, 0.0)

    monkeypatch.setattr(metrics, "measure", measure)
    assert main.main([*COMMAND, "out.png", "--size", "64x48"]) == 0
    assert main.main([*COMMAND, "out.png", "--size", "64"]) == 0
    assert main.main([*COMMAND, "out.png"]) == 0
    assert seen == [(48, 64)] * 3 + [(64, 80)] * 3 + [(32, 40)] * 3


@pytest.mark.parametrize("text", ["0", "12x", "ax3", "1x2x3", "-4"])
def test_sizes_that_are_none(text, capsys):
    with pytest.raises(SystemExit):
        main.parse(["metrics", f"--size={text}", "--content", "c", "--style", "s", "o"])
    assert "expected N (short side) or WIDTHxHEIGHT" in capsys.readouterr().err
