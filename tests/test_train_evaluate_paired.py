"""The table of paired differences: arithmetic by hand, and files that do not fit."""

import json
from pathlib import Path
from typing import Any

import pytest

from train.evaluate import paired


def results(folder: Path, name: str, values: list[float], of: str = "x", **settings: Any) -> Path:
    """A file as `train.evaluate` writes it, every score of pair i the same number."""
    rows = {f"pair {i}": dict.fromkeys(paired.SCORES, value) | {"of": f"{of}{i}"} for i, value in enumerate(values)}
    part = {"settings": {"size": 256} | settings, "environment": {}, "rows": rows}
    path = folder / f"{name}.json"
    path.write_text(json.dumps({"subject": {}, "parts": {"scores": part}}))
    return path


def run(folder: Path, *paths: Path) -> int:
    return paired.main(["--output", str(folder / "out" / "table"), "--rows", ",".join(map(str, paths))])


def test_differences_are_of_the_same_pairs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    full, less = results(tmp_path, "full", [1.0, 2.0, 6.0]), results(tmp_path, "less", [1.5, 2.0, 7.0])
    assert run(tmp_path, full, less) == 0
    found = json.loads((tmp_path / "out" / "table.json").read_text())
    assert found["pairs"] == 3 and found["settings"] == {"size": 256} and list(found["rows"]) == ["full", "less"]
    # 0.5, 0, 1: their variance is 0.25, so the error of their mean sqrt(0.25 / 3)
    wanted = {"mean": 3.5, "difference": 0.5, "error": pytest.approx(0.288675), "lower": 0}
    assert found["rows"]["less"] == dict.fromkeys(paired.SCORES, wanted)
    assert found["rows"]["full"]["lpips"] == {"mean": 3.0, "difference": 0.0, "error": 0.0, "lower": 0}
    table = capsys.readouterr().out
    assert "|  | style | Gram | content | LPIPS |" in table and "| full | 3.0000 | " in table
    assert "| less | 3.5000 (+0.5000 ± 0.5774, lower in 0) |" in table
    assert run(tmp_path, less, full) == 0 and "(-0.5000 ± 0.5774, lower in 2) |" in capsys.readouterr().out


@pytest.mark.parametrize("other", [{"of": "y"}, {"size": 128}, {"values": [1.0, 2.0, 3.0]}])
def test_other_pairs_are_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str], other: dict[str, Any]) -> None:
    full = results(tmp_path, "full", [1.0, 2.0])
    less = results(tmp_path, "less", **{"values": [1.0, 2.0], **other})
    assert run(tmp_path, full, less) == 2
    assert capsys.readouterr().err == f"train.evaluate.paired: {less}: its pairs are not those of {full}\n"
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("text", [None, "no JSON", "{}", "[]", '{"parts": {"scores": {"rows": {"a": {}}}}}'])
def test_what_holds_no_scores_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str], text: str | None) -> None:
    full, bad = results(tmp_path, "full", [1.0, 2.0]), tmp_path / "bad.json"
    if text is not None:
        bad.write_text(text)
    assert run(tmp_path, full, bad) == 2
    found = capsys.readouterr()
    assert found.err.startswith(f"train.evaluate.paired: {bad}: ") and found.err.count("\n") == 1 and not found.out


def test_one_file_twice_too_few_and_one_pair(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    full, one = results(tmp_path, "full", [1.0, 2.0]), results(tmp_path, "one", [1.0])
    for paths, words in (((full,), "at least two"), ((full, full), "full twice"), ((one, full), "1 pairs; needed are")):
        try:
            code = run(tmp_path, *paths)
        except SystemExit as exit:
            code = exit.code  # type: ignore[assignment]
        found = capsys.readouterr()
        assert code == 2 and words in found.err and found.err.count("\n") == 1
