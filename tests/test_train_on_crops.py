"""What trainings on crops have in common, of each of the trainers: their flags, and how they refuse them."""

import dataclasses
import importlib

import pytest

from tests.train_runs import complaint
from train import on_crops
from train.config import ConfigError

TRAINERS = ("adain", "style_kernel", "generalizable_inr")


@pytest.mark.parametrize("name", TRAINERS)
def test_help_shows_every_flag_with_its_default(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    trainer = importlib.import_module(f"train.{name}")
    with pytest.raises(SystemExit) as caught:
        trainer.main(["--help"])
    assert caught.value.code == 0
    text, fields = " ".join(capsys.readouterr().out.split()), dataclasses.fields(trainer.Config)
    for field in fields:
        assert f"--{field.name.replace('_', '-')}" in text and field.metadata["help"] in text, field.name
    for words in ("default: 0.999", "default: 160000", "default: vgg16", "default: none"):
        assert words in text
    assert text.count("(default: ") + text.count("(required)") == len(fields)


@pytest.mark.parametrize("name", TRAINERS)
@pytest.mark.parametrize(
    ("flag", "value", "words"),
    [
        ("checkpoint-every", "0", "checkpoint_every: 0; expected a number of at least 1"),
        ("holdout", "0", "holdout: 0; expected a number of at least 1"),
        ("cache-mib", "-1", "cache_mib: -1; expected a number of at least 0"),
        ("seed", "4294967296", "seed: 4294967296; expected less than 4294967296"),
        ("crop", "100", "crop: 100; expected "),
        ("lr", "inf", "lr: inf; expected a positive number"),
        ("average", "1", "average: 1.0; expected 0 to less than 1"),
        ("augment", "nan", "augment: nan; expected 0 to 1"),
        ("distributed", "here", "distributed: 'here'; expected HOST:PORT,PROCESSES,ID or auto"),
        ("content", "nowhere", "nowhere: not a folder"),
    ],
)
def test_each_refuses_what_no_run_can_have(
    name: str, flag: str, value: str, words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    trainer = importlib.import_module(f"train.{name}")
    line = ["--content", "a", "--style", "b", "--workdir", "c", f"--{flag}", value]
    assert f": {words}" in complaint(trainer, line, capsys)


def test_the_parts_that_are_trained() -> None:
    assert on_crops.chosen_parts("all", ("a", "b")) == ("a", "b")
    assert on_crops.chosen_parts("b, a", ("a", "b")) == ("b", "a")
    with pytest.raises(ConfigError, match=r"^train_only: 'c'; expected all, or some of a, b$"):
        on_crops.chosen_parts("a,c", ("a", "b"))
