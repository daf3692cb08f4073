"""The benchmark command: names, arithmetic, tables, refusals, turns; and that PyTorch's part computes the same."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks import cases, inputs, peers, report, run, whole, worker
from benchmarks.cases import Case, Variant
from benchmarks.peers import PeerError, Record

CPU = {"kind": "cpu"}


# ---- names -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "case"),
    [
        ("stylize-512", Case("stylize-512", "stylize", 512)),
        ("stylize-48-encode", Case("stylize-48-encode", "stylize", 48, variant="encode")),
        ("train-256x8", Case("train-256x8", "train", 256, 8)),
        ("kernel-512", Case("kernel-512", "kernel", 512)),
        ("kernel-48-encode", Case("kernel-48-encode", "kernel", 48, variant="encode")),
        ("kernel-train-128x4", Case("kernel-train-128x4", "kernel-train", 128, 4)),
        ("render-2001-map", Case("render-2001-map", "render", 2001, variant="map")),
        ("condition-64", Case("condition-64", "condition", 64)),
        ("render-generalizable-77", Case("render-generalizable-77", "render-generalizable", 77)),
        ("fit-256", Case("fit-256", "fit", 256)),
        ("command-64", Case("command-64", "command", 64)),
    ],
)
def test_a_case_of_any_size_has_a_name(name: str, case: Case) -> None:
    assert cases.parse(name) == case


def test_all_that_is_timed_by_default_has_a_name_and_goals_are_of_such_cases() -> None:
    assert [cases.parse(name).name for name in (*cases.DEFAULT, *cases.QUICK)] == [*cases.DEFAULT, *cases.QUICK]
    assert set(cases.GOALS) <= set(cases.DEFAULT) and cases.parse("fit-256").goal == 1.5
    assert cases.parse("fit-512").goal is None


@pytest.mark.parametrize(
    "name",
    [
        "",
        "stylize",
        "stylize-0",
        "stylize-512-map",
        "render-9-encode",
        "train-64",
        "fit-9x9",
        "kernel-64-map",
        "kernel-train-64",
        "condition-64-encode",
        "render-generalizable-64-map",
        "render-generalizable",
    ],
)
def test_what_is_no_name_is_refused(name: str) -> None:
    with pytest.raises(cases.CaseError, match="is no case; expected stylize-SIZE"):
        cases.parse(name)


def test_pytorch_is_tried_in_every_way_under_a_name_of_its_own() -> None:
    for name in cases.DEFAULT:
        case = cases.parse(name)
        names = [variant.name for variant in cases.variants(case)]
        assert len(set(names)) == len(names) == 4 and not any("bfloat16" in name for name in names)
        assert {variant.compiled for variant in cases.variants(case)} == {False, True}
        eager = cases.variants(case, compiled=False, bfloat16=True)
        assert not any(variant.compiled for variant in eager)
        assert sum(variant.bfloat16 for variant in eager) == (case.kind != "command")
    assert [v.name for v in cases.variants(cases.parse("fit-16"))][:2] == ["eager NCHW", "eager channels_last"]
    for name in ("render-16", "render-generalizable-16"):
        assert cases.variants(cases.parse(name))[3].name == "compile 65536 points"


# ---- arithmetic and tables ---------------------------------------------------------------------------------

OURS = Record("jaxstyle", "jit", first=5.0, warm=[1.0, 2.0, 4.0], host_peak=2 * 10**9, about=CPU)
NCHW = Record("torch", "eager NCHW", first=3.0, warm=[3.0, 3.0, 9.0], host_peak=10**9, about=CPU)
LAST = Record("torch", "eager channels_last", first=2.0, warm=[2.5, 5.0, 2.0], host_peak=3 * 10**9, about=CPU)
FAST = Record("torch", "eager channels_last bfloat16", counted=False, warm=[0.1, 0.1, 0.1])
LOST = Record("torch", "compile NCHW", note="CppCompileError: no | compiler")


def test_the_fastest_variant_counts_if_it_counts_at_all() -> None:
    assert report.best([OURS, NCHW, LAST, FAST, LOST]) is LAST
    assert report.best([OURS, NCHW, FAST]) is NCHW
    assert report.best([OURS, FAST, LOST]) is None


def test_ratios_are_of_medians_with_those_of_the_rounds() -> None:
    assert report.ratio(OURS, LAST) == (1.25, 0.5, 2.5)


def test_a_summary_has_every_peer_with_all_its_times() -> None:
    found = report.summary(cases.parse("stylize-512"), [OURS, NCHW, LAST, FAST, LOST])
    assert json.loads(json.dumps(found)) == found
    assert (found["best"], found["ratio"], found["goal"]) == ("eager channels_last", 1.25, 1.3)
    assert [peer["median"] for peer in found["peers"]] == [2.0, 3.0, 2.5, 0.1, None]
    assert found["peers"][1]["warm"] == NCHW.warm


def page(load: float = 0.0) -> str:
    machine = {
        "jaxstyle": {"device": "cpu: slow", "jax": "0.10", "threads": 2},
        "torch": {"torch": "2.1", "threads": 2},
    }
    summaries = {
        "stylize-512": report.summary(cases.parse("stylize-512"), [OURS, NCHW, LAST, FAST, LOST]),
        "fit-16": report.summary(cases.parse("fit-16"), [OURS, LOST]),
    }
    return report.markdown({"machine": {**machine, "load_before": load}, "repeats": 3, "cases": summaries})


def test_the_page_shows_the_comparison_and_every_variant() -> None:
    text = page()
    assert "On cpu: slow; threads: jaxstyle 2, PyTorch 2; jax 0.10, torch 2.1. 3 rounds" in text
    assert (
        "| stylize-512 | 2.00 | 2.50 | eager channels_last | 1.25 (0.50-2.50) | 1.30 | 5.00 | 2.00 | 2.00 | 3.00 |"
        in text
    )
    assert "| fit-16 | 2.00 |  | none |  |  | 5.00 |  | 2.00 |  |" in text
    assert "| eager channels_last bfloat16, not counted | 0.100 |" in text
    assert "no \\| compiler |" in text


def test_the_page_says_when_the_machine_was_busy() -> None:
    assert "busy" not in page() and "busy before it began (load 3.1)" in page(3.1)


# ---- what is the same --------------------------------------------------------------------------------------


def test_pictures_differ_by_their_worst_value_and_gradients_by_their_norms() -> None:
    picture = np.zeros((1, 4, 4, 3), np.float32)
    other = picture.copy()
    other[0, 1, 2, 0] = 0.25
    assert peers.difference({"picture": picture}, {"picture": other}) == {"picture": 0.25}
    ours = {"loss": np.float32(2), "gradient a": np.array([3.0, 4.0]), "gradient b": np.ones(4)}
    theirs = {"loss": np.float32(2.5), "gradient a": np.array([3.0, 4.5]), "gradient b": np.ones(4)}
    assert peers.difference(ours, theirs) == {"loss": 0.25, "gradient": 0.1}
    fields = ({"field code": np.array([3.0, 4.0]) + x, "field matrix": np.ones(4)} for x in (0, 1))
    assert peers.difference(*fields) == {"field": pytest.approx(2**0.5 / 5)}


@pytest.mark.parametrize(
    "theirs", [{"loss": np.ones(())}, {"picture": np.ones((2, 2))}, {"picture": np.full((1, 2), np.nan)}]
)
def test_other_arrays_and_nan_are_not_the_same(theirs: dict[str, np.ndarray]) -> None:
    with pytest.raises(PeerError, match="computes"):
        peers.difference({"picture": np.ones((1, 2))}, theirs)


def test_how_far_apart_peers_may_be() -> None:
    assert not peers.too_far({"picture": 9e-4}, CPU, counted=True)
    assert (
        peers.too_far({"picture": 0.01, "loss": 1e-4, "gradient": 0.1}, CPU, True) == "picture by 0.01, gradient by 0.1"
    )
    assert not peers.too_far({"picture": 0.01}, {"kind": "gpu"}, True) and not peers.too_far(
        {"picture": 0.01}, CPU, False
    )
    assert not peers.too_far({"gradient": 0.2}, CPU, True, later=True) and peers.too_far(
        {"loss": 0.2}, CPU, True, later=True
    )
    assert peers.too_far({"loss": float("nan")}, CPU, counted=True)


def test_both_sides_get_the_same_pictures(tmp_path: Path) -> None:
    found = inputs.pictures(0, 2, 16)
    np.testing.assert_array_equal(found, inputs.pictures(0, 2, 16))
    assert found.shape == (2, 16, 16, 3) and found.dtype == np.float32 and 0 <= found.min() < found.max() <= 1
    degrees = inputs.degrees(5)
    assert degrees[0, 0] == 0 and degrees[-1, -1] == 1 and degrees[2, 2] == 0.5
    photo, painting = inputs.write_files(tmp_path, 24)
    assert photo.stat().st_size and painting.stat().st_size and inputs.ENCODER.exists() and inputs.DECODER.exists()


# ---- turns -------------------------------------------------------------------------------------------------


@pytest.fixture
def played(monkeypatch: pytest.MonkeyPatch) -> Callable[..., tuple[list[Record], list[str]]]:
    """Measures a case with peers that only pretend; what they answer is given by the variant's name."""
    calls: list[str] = []

    class Pretender(peers.Peer):
        def __init__(self, side: str, case: Case, variant: Variant, fitted: Path, folder: Path) -> None:
            name = "jaxstyle" if side == "jax" else variant.name
            self.record = Record(
                "jaxstyle" if side == "jax" else "torch", name, counted=not variant.bfloat16, about=CPU
            )
            self.answers, self.runs = answers.get(name, {}), 0

        def ask(self, *request: str) -> dict[str, Any]:
            calls.append(f"{self.record.variant}: {request[0]}")
            self.runs += request[0] == "run"
            if request[0] == self.answers.get("fails") and self.runs >= self.answers.get("after", 0):
                raise PeerError("out of breath")
            return {"seconds": float(self.runs), "host": 7, "device": None}

        def begin(self) -> dict[str, np.ndarray]:
            self.ask("prepare")
            self.record.first = self.ask("run")["seconds"]
            return self.outcome()

        def outcome(self) -> dict[str, np.ndarray]:
            return {"loss": np.asarray(1.0 + self.answers.get("off", 0.0) * (self.runs == self.answers.get("call", 1)))}

        def close(self) -> None:
            calls.append(f"{self.record.variant}: close")

    answers: dict[str, dict[str, Any]] = {}

    def play(**given: dict[str, Any]) -> tuple[list[Record], list[str]]:
        answers.update({name.replace("_", " ", 1): values for name, values in given.items()})
        case = cases.parse("fit-16")
        return peers.measure(case, cases.variants(case, compiled=False), 2, Path("f"), Path("d")), calls

    monkeypatch.setattr(peers, "Peer", Pretender)
    monkeypatch.setattr(peers, "SETTLE", 0)
    return play


def test_peers_begin_one_after_the_other_and_take_turns(played: Any) -> None:
    records, calls = played()
    three = ["jaxstyle", "eager NCHW", "eager channels_last"]
    begin = [f"{name}: {what}" for name in three for what in ("prepare", "run", "run")]
    turns = [f"{name}: run" for name in three]
    assert calls == [
        *begin,
        *turns,
        *turns,
        *(f"{name}: peak" for name in three),
        *(f"{name}: close" for name in three),
    ]
    assert [record.warm for record in records] == [[3.0, 4.0]] * 3
    assert all(record.host_peak == 7 and not record.note for record in records)


@pytest.mark.parametrize("call", [1, 2])
def test_who_computes_something_else_is_not_timed(played: Any, call: int) -> None:
    records, calls = played(eager_NCHW={"off": 0.5, "call": call})
    assert f"the {['first', 'second'][call - 1]} call differs in loss by 0.5" in records[1].note
    assert not records[1].warm and records[2].warm and calls.count("eager NCHW: close") == 1
    assert report.best(records) is records[2]


@pytest.mark.parametrize("after", [1, 3])
def test_who_fails_is_noted_and_the_others_go_on(played: Any, after: int) -> None:
    records, _ = played(eager_NCHW={"fails": "run", "after": after})
    assert records[1].note == "out of breath" and not records[1].warm and len(records[2].warm) == 2


def test_without_jaxstyle_there_is_nothing_to_compare(played: Any) -> None:
    with pytest.raises(PeerError, match=r"fit-16: jaxstyle failed: out of breath"):
        played(jaxstyle={"fails": "run", "after": 2})


def test_a_process_that_ends_is_an_error_with_its_last_words(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(peers.sys, "executable", "false")
    peer = peers.Peer("torch", cases.parse("fit-16"), Variant(), tmp_path / "f", tmp_path)
    with pytest.raises(PeerError, match="the process ended: exit code 1"):
        peer.ask("prepare")
    peer.close()


def test_processes_find_no_compiled_code_from_before(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("JAX_COMPILATION_CACHE_DIR", "/mine")
    found = peers.environment(tmp_path)
    assert "JAX_COMPILATION_CACHE_DIR" not in found and found["JAXSTYLE_CACHE_DIR"].startswith(str(tmp_path))
    assert int(found["OMP_NUM_THREADS"]) == peers.processors() >= 1


def test_peak_memory_counts_what_was_freed() -> None:
    block = np.ones(1 << 23)
    size = block.nbytes
    del block
    assert worker.peak_bytes() > size


def test_commands_are_timed_cold_and_warm_in_turns(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    places: list[tuple[str, str]] = []

    def fake(command: list[str], caches: Path) -> tuple[float, int]:
        places.append((command[1], caches.name))
        if "--channels-last" in command:
            raise PeerError("exit code 1: broken")
        inputs.Image.new("RGB", (64, 64), (100 + ("torch" in command[1]), 0, 0)).save(tmp_path / "result.png")
        return float(len(places)), 5

    monkeypatch.setattr(whole, "run", fake)
    monkeypatch.setattr(whole, "SETTLE", 0)
    case = cases.parse("command-64")
    ours, nchw, last = whole.measure(case, cases.variants(case, compiled=False), 2, tmp_path)
    assert [name for name, _ in places[:5]] == ["jaxstyle"] * 2 + ["benchmarks.torch_command"] * 3
    assert ours.first == np.median([1, 6]) and ours.warm == [2.0, 7.0] and nchw.warm == [4.0, 9.0]
    assert places[0][1] == places[1][1] != places[5][1]  # the same cache twice, then a new one
    assert nchw.difference["picture"] == pytest.approx(1 / 255) and last.note == "exit code 1: broken" and not last.warm


# ---- the command -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ("--only stylize-500", "stylize-500: 500 pixels; expected a multiple of 8"),
        ("--only fast", "'fast' is no case"),
        ("--repeats 0", "--repeats: expected a positive whole number, got '0'"),
        ("--threads 100000", "threads: 100000; this process may use"),
        ("--loud", "unrecognized arguments: --loud"),
    ],
)
def test_wrong_usage_gives_one_line(capsys: pytest.CaptureFixture[str], arguments: str, words: str) -> None:
    try:
        code = run.main(arguments.split())
    except SystemExit as exit:
        code = exit.code  # type: ignore[assignment]
    found = capsys.readouterr()
    assert code == 2 and words in found.err and found.err.count("\n") == 1 and not found.out


def test_without_pytorch_the_command_says_how_to_get_it(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(run.importlib.util, "find_spec", lambda name: None)
    assert run.main(["--only", "fit-16"]) == 2
    assert "pip install -e '.[torch,train]'" in capsys.readouterr().err


def test_the_command_writes_both_files(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    seen: dict[str, Any] = {}

    def measure(case: Case, tried: list[Variant], repeats: int, *rest: Any) -> list[Record]:
        seen[case.name] = (repeats, [variant.name for variant in tried])
        return [OURS, LAST]

    monkeypatch.setattr(run.importlib.util, "find_spec", lambda name: True)
    monkeypatch.setattr(peers, "measure", measure)
    assert run.main(["--only", "stylize-16", "stylize-24", "--quick", "--output", str(tmp_path / "new" / "r")]) == 0
    assert seen == {name: (3, ["eager NCHW", "eager channels_last"]) for name in ("stylize-16", "stylize-24")}
    found = json.loads((tmp_path / "new" / "r.json").read_text())
    assert found["cases"]["stylize-24"]["ratio"] == 1.25 and found["machine"]["jaxstyle"] == CPU
    text = (tmp_path / "new" / "r.md").read_text()
    assert text in capsys.readouterr().out and "| stylize-16 | 2.00 | 2.50 |" in text


def test_both_sides_are_kept_to_as_many_processors(monkeypatch: pytest.MonkeyPatch) -> None:
    chosen: list[set[int]] = []
    monkeypatch.setattr(run.os, "sched_getaffinity", lambda process: {5, 3, 4})
    monkeypatch.setattr(run.os, "sched_setaffinity", lambda process, numbers: chosen.append(set(numbers)))
    for threads in (None, 3, 2):
        run._use(threads)
    assert chosen == [{3, 4}]


def test_what_is_done_is_kept_where_a_later_case_fails(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def measure(case: Case, *rest: Any) -> list[Record]:
        if case.size == 24:
            raise PeerError("stylize-24: jaxstyle failed: no memory")
        return [OURS, LAST]

    monkeypatch.setattr(run.importlib.util, "find_spec", lambda name: True)
    monkeypatch.setattr(peers, "measure", measure)
    assert run.main(["--only", "stylize-16", "stylize-24", "--output", str(tmp_path / "r")]) == 1
    assert capsys.readouterr().err.endswith("benchmarks: stylize-24: jaxstyle failed: no memory\n")
    assert list(json.loads((tmp_path / "r.json").read_text())["cases"]) == ["stylize-16"]


@pytest.mark.slow
@pytest.mark.torch
@pytest.mark.parametrize(
    "name",
    [
        *("stylize-16", "render-20-map", "fit-16", "train-64x2", "command-64", "kernel-32-encode", "kernel-train-32x4"),
        *("condition-48", "render-generalizable-260"),  # below 256 pixels are means of points, which the peer has not
    ],
)
def test_pytorch_computes_the_same_and_is_timed(
    name: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("torch")
    monkeypatch.setenv("JAX_PLATFORMS", "cpu")
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    output = tmp_path / "r"
    assert run.main(["--only", name, "--repeats", "2", "--no-compile", "--output", str(output)]) == 0
    found = json.loads(output.with_suffix(".json").read_text())
    ours, *others = found["cases"][name]["peers"]
    assert [peer["note"] for peer in others] == [""] * len(others) and len(others) == 2
    rounds = 1 if name.startswith("command") else 2  # its first process is the cold one
    for peer in (ours, *others):
        assert len(peer["warm"]) == rounds and min(peer["warm"]) > 0 and peer["host_peak"] > 10**8
        assert peer["first"] > 0
    assert all(others[i]["difference"] for i in range(2)) and found["cases"][name]["ratio"] > 0
    assert f"| {name} |" in capsys.readouterr().out
