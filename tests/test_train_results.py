"""Files of results: what is reused and what is made anew."""

import json
from pathlib import Path
from typing import Any

import pytest

from train.evaluate import results
from train.evaluate.results import ResultsError, Task, complete, load

SUBJECT = {"weights": "mine", "sha256": "abc"}


def tasks(made: list[str], names: str, of: str = "x") -> dict[str, Task]:
    def run(name: str) -> dict[str, Any]:
        made.append(name)
        return {"value": ord(name)}

    return {name: Task(of, lambda name=name: run(name)) for name in names}


def test_rows_are_made_once_and_kept_in_order(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path, made = tmp_path / "new" / "r.json", list[str]()
    rows = complete(load(path, SUBJECT), path, "part", {"n": (1, 2)}, tasks(made, "ba"))
    assert made == ["b", "a"] and list(rows) == ["b", "a"]
    assert capsys.readouterr().err.splitlines() == ["part 1/2: b", "part 2/2: a"]
    found = load(path, SUBJECT)
    again = complete(found, path, "part", {"n": (1, 2)}, tasks(made, "cba"))
    assert made == ["b", "a", "c"] and list(again) == ["c", "b", "a"] and again["a"]["value"] == ord("a")
    assert complete(found, path, "part", {"n": (1, 2)}, tasks(made, "a")) == {"a": again["a"]} and len(made) == 3
    kept = json.loads(path.read_text())
    assert kept["subject"] == SUBJECT and list(kept["parts"]["part"]["rows"]) == ["a"]
    assert kept["parts"]["part"]["environment"] == results.environment()
    assert [file.name for file in path.parent.iterdir()] == ["r.json"]  # nothing temporary


@pytest.mark.parametrize("change", ["settings", "of", "environment"])
def test_rows_of_other_settings_pictures_or_machines_are_made_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, change: str
) -> None:
    path, made = tmp_path / "r.json", list[str]()
    complete(load(path, SUBJECT), path, "part", {"n": 1}, tasks(made, "a"))
    complete(load(path, SUBJECT), path, "other", {"n": 1}, tasks(made, "o"))
    if change == "environment":
        monkeypatch.setattr(results, "environment", lambda: {"device": "another"})
    settings, of = {"n": 2 if change == "settings" else 1}, "y" if change == "of" else "x"
    complete(load(path, SUBJECT), path, "part", settings, tasks(made, "a", of))
    assert made == ["a", "o", "a"]
    assert load(path, SUBJECT)["parts"]["other"]["rows"]["o"]["value"] == ord("o")


def test_an_interrupted_part_goes_on(tmp_path: Path) -> None:
    path, made = tmp_path / "r.json", list[str]()

    def interrupt() -> dict[str, Any]:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        complete(load(path, SUBJECT), path, "part", {}, tasks(made, "a") | {"b": Task("x", interrupt)})
    complete(load(path, SUBJECT), path, "part", {}, tasks(made, "ab"))
    assert made == ["a", "b"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "not a file of results"),
        ("[]", "not a file of results"),
        ('{"parts": {}}', "not a file of results: 'subject'"),
        ('{"subject": [], "parts": []}', "not a file of results"),
        ('{"subject": {"weights": "mine", "sha256": "abc"}, "parts": {"scores": []}}', "not a file of results"),
        (
            '{"subject": {"weights": "mine", "sha256": "abc"}, "parts":'
            ' {"scores": {"settings": {}, "environment": {}, "rows": {"a": 1}}}}',
            "not a file of results",
        ),
        ('{"subject": {}, "parts": {}}', "of something else; give another --output"),
        ('{"subject": {"weights": "other", "sha256": "abc"}, "parts": {}}', "of weights other; give another --output"),
    ],
)
def test_files_that_cannot_be_continued(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "r.json"
    path.write_text(text)
    with pytest.raises(ResultsError, match=message) as found:
        load(path, SUBJECT)
    assert str(path) in str(found.value) and "\n" not in str(found.value)


def test_places_that_nothing_can_be_written_to(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "r.md").mkdir()
    results.check_writable(tmp_path / "new" / "r.json", tmp_path / "new" / "r.md")
    assert (tmp_path / "new").is_dir() and not list((tmp_path / "new").iterdir())
    with pytest.raises(ResultsError, match=f"^{tmp_path}/file: no folder to write to: "):
        results.check_writable(tmp_path / "r.json", tmp_path / "file" / "r.md")
    with pytest.raises(ResultsError, match=f"^{tmp_path}/r.md: is a folder"):
        results.check_writable(tmp_path / "r.json", tmp_path / "r.md")
    with pytest.raises(ResultsError, match=r"r\.md: cannot be read: Is a directory$"):
        load(tmp_path / "r.md", SUBJECT)


def test_the_environment_names_device_and_versions() -> None:
    found = results.environment()
    assert found["device"].startswith("cpu: ") and found["device"].endswith("cores")
    assert set(found) == {"device", "jaxstyle", "python", *results.PACKAGES} and all(found.values())


def test_a_table_of_numbers_of_every_size() -> None:
    found = results.table(
        ["a", "b"], [["x|y", 0.12345], ["z", 14.17], ["u", 123.4], ["v", 12345.6], ["w", None], [7, 2e-5]]
    )
    assert found.splitlines() == [
        "| a | b |",
        "| --- | ---: |",
        "| x\\|y | 0.123 |",
        "| z | 14.2 |",
        "| u | 123 |",
        "| v | 12346 |",
        "| w |  |",
        "| 7 | 2.00e-05 |",
    ]
