"""Flags made from a dataclass."""

from dataclasses import dataclass, field
from typing import Literal

import pytest

from train.config import parse_flags


@dataclass(frozen=True)
class Config:
    content: str = field(metadata={"help": "folder of photos"})
    batch_size: int = field(default=8, metadata={"help": "pairs in 100% of a batch"})
    learning_rate: float = 1e-4
    vgg: str | None = field(default=None, metadata={"help": "encoder weights"})
    resume: bool = field(default=False, metadata={"help": "continue the run"})
    flip: bool = True
    parallel: Literal["jit", "pmap"] = "jit"
    factor: Literal[1, 2, 4] = 1
    limit: int | None = 3

    def __post_init__(self) -> None:
        if self.batch_size < 1:
            raise ValueError(f"batch_size: {self.batch_size}; expected 1 or more")


def test_defaults_and_required() -> None:
    assert parse_flags(Config, ["--content", "x"]) == Config(content="x")


def test_every_type_with_dashes_or_underscores() -> None:
    expected = Config("a_b", 4, 0.5, "w.safetensors", True, False, "pmap", 4, None)
    arguments = (
        "--content a_b --batch{0}size 4 --learning{0}rate=0.5 --vgg w.safetensors --resume --no-flip "
        "--parallel pmap --factor 4 --limit none"
    )
    for separator in "-_":
        assert parse_flags(Config, arguments.format(separator).split()) == expected
    assert parse_flags(Config, ["--content", "x", "--learning-rate", "-0.001"]).learning_rate == -0.001


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ("", ["--content"]),
        ("--content x --batch-size four", ["--batch-size", "four", "int"]),
        ("--content x --batch-size none", ["--batch-size", "none"]),
        ("--content x --batch-size 0", ["batch_size: 0", "1 or more"]),
        ("--content x --parallel threads", ["--parallel", "threads", "jit, pmap"]),
        ("--content x --factor 3", ["--factor", "1, 2, 4"]),
        ("--content x --batch 4", ["--batch"]),
        ("--content x stray", ["stray"]),
    ],
)
def test_wrong_usage_is_one_line_and_code_2(
    arguments: str, words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as caught:
        parse_flags(Config, arguments.split(), prog="train.adain")
    assert caught.value.code == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("train.adain: ") and err.endswith(" (see train.adain --help)\n")
    assert err.count("\n") == 1
    assert all(word in err for word in words)


def test_help_shows_every_flag_with_its_default(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        parse_flags(Config, ["--help"], prog="train.adain", description="Trains a decoder.")
    assert caught.value.code == 0
    text = " ".join(capsys.readouterr().out.split())
    assert "Trains a decoder." in text
    for words in (
        "--content STR folder of photos (required)",
        "--batch-size INT pairs in 100% of a batch (default: 8)",
        "--learning-rate FLOAT (default: 0.0001)",
        "--vgg STR encoder weights (default: none)",
        "--resume, --no-resume continue the run (default: off)",
        "--flip, --no-flip (default: on)",
        "--parallel {jit,pmap} (default: jit)",
        "--factor {1,2,4} (default: 1)",
        "--limit INT (default: 3)",
    ):
        assert words in text
    assert text.count("default:") == 8


def test_none_is_the_literals_own_where_it_has_one(capsys: pytest.CaptureFixture[str]) -> None:
    @dataclass(frozen=True)
    class Change:
        weighting: Literal["none", "linear"] | None = field(default=None, metadata={"default": "the preset's"})
        kind: Literal["a", "b"] | None = "b"

    assert parse_flags(Change, []).weighting is None
    assert parse_flags(Change, ["--weighting", "none", "--kind", "none"]) == Change("none", None)
    with pytest.raises(SystemExit):
        parse_flags(Change, ["--help"])
    assert "--weighting {none,linear} (default: the preset's)" in " ".join(capsys.readouterr().out.split())


def test_a_type_without_a_flag_is_refused() -> None:
    @dataclass(frozen=True)
    class Odd:
        sizes: tuple[int, ...] = (1, 2)

    with pytest.raises(TypeError, match="sizes"):
        parse_flags(Odd, [])
