import os
from pathlib import Path

import pytest

from jaxstyle.folders import manifest
from jaxstyle.folders.manifest import NAME, History, beside
from jaxstyle.runtime.journal import Journal, JournalError


def record(output, status="done", **more):
    return {"output": output, "status": status, **more, "time": 1.5}


def test_names():
    assert manifest.name_of(None) == NAME and manifest.name_of((2, 4)) == "jaxstyle-manifest-2-of-4.jsonl"
    assert all(map(manifest.is_manifest, (NAME, "jaxstyle-manifest-2-of-4.jsonl", "jaxstyle-manifest-old.jsonl")))
    assert not any(map(manifest.is_manifest, ("journal.jsonl", "jaxstyle-manifest.json", "my-jaxstyle-manifest.jsonl")))


def test_others_beside_it(tmp_path):
    with Journal(tmp_path / NAME) as file:
        file.append(record("a.png"))
        assert beside(file) == []
        with Journal(tmp_path / "jaxstyle-manifest-1-of-2.jsonl") as other:
            assert beside(other) == [tmp_path / NAME]


def test_an_empty_one_that_goes_while_others_look(tmp_path, monkeypatch):
    """Whoever had it removes it; one that is damaged is an error."""
    with Journal(tmp_path / "jaxstyle-manifest-1-of-2.jsonl") as own:
        own.append(record("a.png"))
        gone = tmp_path / "jaxstyle-manifest-2-of-2.jsonl"
        with monkeypatch.context() as patched:
            patched.setattr(manifest.os, "listdir", lambda folder: [own.path.name, gone.name])
            assert [found["output"] for found in manifest.records(tmp_path)] == ["a.png"]
            assert History(own, ["a.png"]).last("a.png") == record("a.png")
        gone.write_text("nonsense\n{}\n")
        for use in (lambda: list(manifest.records(tmp_path)), lambda: History(own, ["a.png"])):
            with pytest.raises(JournalError, match="line 1 is no record"):
                use()


def test_history_is_the_newest_of_all_manifests(tmp_path):
    def put(name, output, when, **more):
        with Journal(tmp_path / name) as file:
            file.append(record(output, **more) | {"time": when})

    others = [f"jaxstyle-manifest-{i}-of-2.jsonl" for i in (1, 2)]
    put(others[0], "a.png", 3, note="other")
    put(others[1], "a.png", 2, note="older")
    put(others[1], "b.png", 1, note="other")
    put(others[1], "b.png", 2, note="its newest")
    put(others[1], "c.png", 9)
    put(NAME, "b.png", 3, note="own")
    put(NAME, "d.png", 3)
    with Journal(tmp_path / NAME) as own:
        history = History(own, ["a.png", "b.png", "d.png", "e.png"])
        assert [history.last(name) and history.last(name).get("note") for name in ("a.png", "b.png")] == [
            "other",
            "own",
        ]
        assert history.last("d.png") == record("d.png") | {"time": 3}
        assert history.last("e.png") is None and history.last("c.png") is None  # which was not asked for
        own.append(record("a.png") | {"note": "anew", "time": 4})
        assert history.last("a.png")["note"] == "anew"
    with Journal(tmp_path / others[1]) as own:
        assert History(own, ["b.png"]).last("b.png")["note"] == "own"


def test_results_of_all_manifests_of_a_folder(tmp_path):
    assert manifest.results(tmp_path / "nowhere") == manifest.results(tmp_path) == set()
    for name, outputs in ((NAME, ("a.png", "sub/b.png")), ("jaxstyle-manifest-2-of-4.jsonl", ("c.png",))):
        with Journal(tmp_path / name) as file:
            for output in outputs:
                file.append(record(output, "writing"))
    link = tmp_path / "link"
    link.symlink_to(tmp_path)
    expected = {str(Path(os.path.realpath(tmp_path), name)) for name in ("a.png", "sub/b.png", "c.png")}
    assert manifest.results(tmp_path) == manifest.results(link) == expected


@pytest.mark.parametrize(
    "more",
    [
        {"style": 5},
        {"style": [5]},
        {"style": "s.png"},
        {"controls": [1]},
        {"controls": "alpha"},
        {"source": ["a.png"]},
        {"inputs": 1},
        {"result": {}},
        {"weights_sha256": 1},
        {"notices": "none"},
        {"time": "now"},
    ],
    ids=str,
)
def test_values_of_the_wrong_type(tmp_path, more):
    """As damage: one line that names the file, whoever reads it."""
    with manifest.open_manifest(tmp_path / NAME) as own:
        own.append(record("a.png") | more)
        own.append(record("b.png"))
    (tmp_path / NAME).rename(tmp_path / "jaxstyle-manifest-1-of-2.jsonl")
    with manifest.open_manifest(tmp_path / NAME) as own:
        uses = (lambda: manifest.results(tmp_path), lambda: History(own, ["a.png"]))
        for use in (*uses, lambda: manifest.open_manifest(tmp_path / "jaxstyle-manifest-1-of-2.jsonl")):
            with pytest.raises(JournalError, match=r"jaxstyle-manifest-1-of-2\.jsonl: line 1 is no record"):
                use()


def test_records_of_earlier_versions(tmp_path):
    """They know less."""
    with manifest.open_manifest(tmp_path / NAME) as own:
        own.append({"output": "a.png", "status": "writing"})
        own.append(record("a.png", source="/a.png", style=["/s.png"], controls={}, seed=None, inputs=[[1, 2]]))
    assert len(list(manifest.records(tmp_path))) == 2
