"""The trainer of generalizable INRs: stages, what is frozen, where is rendered; resuming."""

import dataclasses
import signal
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxstyle.methods import adain
from jaxstyle.methods import generalizable_inr as ginr
from jaxstyle.methods.generalizable_inr import loss as losses
from tests.train_runs import arguments, complaint, norm, rows, start, write_pictures
from train import generalizable_inr as trainer
from train.checkpoints import Checkpoints

SETTINGS: dict[str, Any] = {
    **{"crop": 40, "largest_crop": 0, "resize": 40, "batch_size": 4, "holdout": 2, "threads": 2},
    **{"log_every": 1, "checkpoint_every": 2},
}
"""Of a run whose time is nearly all the compiler's."""
CHOICES: list[dict[str, Any]] = [
    {"near_weight": 0.5},
    {"stage": "reconstruction", "init": None},
    {"train_only": "field", "places": False, "half_weight": 0.0, "reconstruction_weight": 0.0},
    {"target": "adain_vgg16", "target_weight": 2.0, "dtype": "bfloat16", "painter_lr": 1e-5},
]


@pytest.fixture(scope="session")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folders ``content`` and ``style`` with small pictures."""
    return write_pictures(tmp_path_factory.mktemp("pictures"))


def config(pictures: Path, workdir: Path, **changes: Any) -> trainer.Config:
    folders = {"content": str(pictures / "content"), "style": str(pictures / "style")}
    return trainer.Config(**(folders | {"workdir": str(workdir)} | SETTINGS | changes))


def of(**changes: Any) -> trainer.Config:
    """A configuration whose folders are never looked at."""
    return config(Path("unused"), Path("unused"), **changes)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"steps": 0}, "steps: 0; expected a number of at least 1"),
        ({"scale": 0.5}, "scale: 0.5; expected a number of at least 1"),
        ({"style_weight": -1.0}, "style_weight: -1.0; expected a number of at least 0"),
        ({"crop": 32}, "crop: 32; expected 40, 48, 56"),
        ({"mixed": 1.5}, "mixed: 1.5; expected 0 to 1"),
        ({"painter_lr": 0.0}, "painter_lr: 0.0; expected a positive number"),
        ({"train_only": "field,vgg"}, "train_only: 'vgg'; expected all, or some of transformer, aim"),
        ({"target_weight": 1.0}, "target: needs target_weight, and the other way round"),
        ({"stage": "third"}, "stage: "),
        ({"network": "paper"}, "init: adain_vgg16; a network of the paper starts afresh, with none"),
        ({"init": "vgg16"}, "holds weights of kind 'vgg'"),
        ({"content": "nowhere"}, "nowhere: not a folder"),
    ],
)
def test_a_mistake_is_one_line_and_code_2(
    pictures: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], changes: dict[str, Any], words: str
) -> None:
    line = arguments(config(pictures, tmp_path / "run"))
    for name, value in changes.items():
        line += [f"--{name}", str(value)]
    assert words in complaint(trainer, line, capsys)


# ---- the parts -------------------------------------------------------------------------------------------


def test_places_lie_inside_at_any_offset_to_the_cells() -> None:
    keys = jax.random.split(jax.random.key(0), 50)
    where = [losses.somewhere(key, 64, 1.25) for key in keys]
    steps, offsets = [], []
    for x, y in where:
        assert x.shape == y.shape == (56,)
        for line in (x, y):
            pixels = (np.asarray(line, np.float64) + 1) * 32
            step = np.diff(pixels)
            np.testing.assert_allclose(step, step[0], atol=2e-4)
            assert pixels[0] >= step[0] / 2 - 1e-4 and pixels[-1] <= 64 - step[0] / 2 + 1e-4
            offsets.append((pixels[0] - step[0] / 2) % 8)
        steps.append(step[0])
    assert min(steps) >= 0.8 - 1e-5 and max(steps) <= 1 + 1e-5 and np.ptp(steps) > 0.1
    assert np.histogram(offsets, 4, (0, 8))[0].min() > 8


def test_moments_between_are_those_of_the_degree() -> None:
    photo, painting = ({tap: losses.Moments(*jnp.full((2, 2, 3), v)) for tap in losses.STYLE_TAPS} for v in (1.0, 5.0))
    found = losses._between(photo, painting, jnp.float32([0.25, 1]))
    for of_tap in found.values():
        np.testing.assert_array_equal(of_tap.std, [[2] * 3, [5] * 3])


@pytest.fixture(scope="module")
def model() -> ginr.Model:
    """A small one."""
    small = ginr.Config(tokens=4, width=16, depth=1, heads=2, weight_tokens=3, context=4, features=8, hidden=8)
    return jax.jit(ginr.from_adain, static_argnames="config")(jax.random.key(0), adain.load(), config=small)


@pytest.mark.parametrize("choice", CHOICES)
def test_a_step_keeps_the_state_and_gives_float32_terms(model: ginr.Model, choice: dict[str, Any]) -> None:
    run = of(**choice)
    model = dataclasses.replace(model, dtype=jnp.dtype(run.dtype))
    state = jax.eval_shape(lambda: trainer.create_state(run, model))
    shape = jax.ShapeDtypeStruct((4, run.crop, run.crop, 3), jnp.float32)
    target = adain.load(run.target) if run.target else None
    after, terms = jax.eval_shape(
        lambda *args: trainer.train_step(*args, config=run, model=model, target=target),
        jax.random.key(0),
        state,
        {"content": shape, "style": shape},
    )
    described = [jax.tree.map(lambda a: (a.shape, a.dtype), tree) for tree in (after, state)]
    assert described[0] == described[1]
    assert {"loss", "norm", "skipped", "in_row"} <= terms.keys()
    style = run.stage == "style"
    assert ("content" in terms) == ("style" in terms) == style
    assert ("reconstruction" in terms) == (not style or bool(run.reconstruction_weight))
    for name in ("near", "half", "target"):
        assert (name in terms) == (style and bool(getattr(run, f"{name}_weight"))), name
    assert all(term.shape == () and term.dtype == jnp.float32 for term in terms.values())


def test_weights_get_the_second_look_or_lose_it(model: ginr.Model, tmp_path: Path) -> None:
    """What they have learned of it stays where it is asked for."""
    changed = jax.tree.map(lambda share: 0.5 * share, model.params["feedback"])
    learned = dataclasses.replace(model, params={**model.params, "feedback": changed})
    plain = ginr.with_feedback(model, False)
    for name, saved, expected in (("learned", learned, changed), ("plain", plain, model.params["feedback"])):
        file = str(tmp_path / f"{name}.safetensors")
        ginr.save(file, saved, licence="none")
        found = trainer.create_model(of(init=file))
        jax.tree.map(np.testing.assert_array_equal, found.params["feedback"], expected)
        assert "feedback" not in trainer.create_model(of(init=file, feedback=False)).params


def test_parts_that_the_network_lacks_are_not_trained(pictures: Path, tmp_path: Path) -> None:
    run = config(pictures, tmp_path / "run", init="generalizable_inr", feedback=False, train_only="feedback")
    with pytest.raises(trainer.ConfigError, match="train_only: 'feedback'; the network has no such part"):
        trainer.train(run)


def test_the_papers_network_takes_steps_of_both_stages() -> None:
    small = ginr.Whole(view=16, patch=4, width=16, depth=1, heads=2, weight_tokens=3, octaves=4, hidden=12, layers=4)
    model = ginr.Model(adain.load_encoder()[0], {}, small)
    model = dataclasses.replace(model, params=jax.jit(ginr.init)(jax.random.key(0), model))
    for choice in ({"stage": "reconstruction"}, {"train_only": "field", "places": False, "half_weight": 0.0}):
        run = of(network="paper", init=None, **choice)
        assert trainer.create_model(run).config == ginr.Whole()
        state = jax.eval_shape(lambda run=run: trainer.create_state(run, model))
        shape = jax.ShapeDtypeStruct((4, run.crop, run.crop, 3), jnp.float32)
        after, _ = jax.eval_shape(
            lambda *args, run=run: trainer.train_step(*args, config=run, model=model),
            *(jax.random.key(0), state, {"content": shape, "style": shape}),
        )
        assert jax.tree.map(lambda a: (a.shape, a.dtype), after) == jax.tree.map(lambda a: (a.shape, a.dtype), state)
        assert set(state.average) == set(run.parts) & {"transformer", "field"}


class Toy:
    """A loss that is a sum of parameters times the mean of the photos: one weight a part."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, **changes: Any) -> None:
        monkeypatch.setattr(trainer.losses, "objective", self.objective)
        self.config = of(**{"schedule": "constant", "lr": 1e-2} | changes)
        params: dict[str, Any] = {part: {"w": jnp.full(2, 5.0)} for part in ("transformer", "aim", "field")}
        params["painter"] = {name: {"kernel": jnp.full(2, 5.0)} for name in ("conv0", "beside1")}
        self.model = ginr.Model({}, params)
        self.state = trainer.create_state(self.config, self.model)
        self.seen: list[Any] = []

    def objective(self, params: Any, model: Any, content: Any, style: Any, alpha: Any, **options: Any) -> Any:
        self.seen.append((alpha, options))
        loss = content.mean() * sum(part.sum() for part in jax.tree.leaves(params))
        return loss, ({"content": loss}, None)

    def step(self, factor: float = 1.0, count: int = 1) -> dict[str, Any]:
        batch = {name: jnp.full((count, 2, 2, 3), factor) for name in ("content", "style")}
        key = jax.random.key(0)
        self.state, terms = trainer.train_step(key, self.state, batch, config=self.config, model=self.model)
        return terms


def test_the_decoder_has_its_rate(monkeypatch: pytest.MonkeyPatch) -> None:
    """Adam's first step is the rate itself."""
    toy = Toy(monkeypatch, painter_lr=1e-3)
    toy.step()
    np.testing.assert_allclose(toy.state.params["painter"]["conv0"]["kernel"], 5 - 1e-3, rtol=1e-5)
    np.testing.assert_allclose(toy.state.params["painter"]["beside1"]["kernel"], 5 - 1e-2, rtol=1e-5)
    np.testing.assert_allclose(toy.state.params["field"]["w"], 5 - 1e-2, rtol=1e-5)


def test_what_is_frozen_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    toy = Toy(monkeypatch, train_only="field, aim")
    toy.step()
    moved = {name for name, part in toy.state.params.items() if not all(np.all(v == 5) for v in jax.tree.leaves(part))}
    assert toy.state.average.keys() == moved == {"field", "aim"}


def test_a_share_of_the_pairs_has_any_degree(monkeypatch: pytest.MonkeyPatch) -> None:
    toy = Toy(monkeypatch, mixed=0.25, places=False)
    toy.step(count=400)
    ((alpha, options),) = toy.seen
    other = np.asarray(alpha)[np.asarray(alpha) < 1]
    assert 60 < len(other) < 140 and other.min() < 0.1 and other.max() > 0.9 and options["where"] is None
    assert set(options) == {"where", "target", *trainer.OPTIONS}


# ---- whole runs ------------------------------------------------------------------------------------------


def small_models(monkeypatch: pytest.MonkeyPatch, model: ginr.Model) -> None:
    """Runs of this process begin with a small model."""
    monkeypatch.setattr(
        trainer, "create_model", lambda config: dataclasses.replace(model, dtype=jnp.dtype(config.dtype))
    )


@pytest.mark.slow
@pytest.mark.parametrize("choice", CHOICES)
def test_every_choice_trains_and_exports(
    pictures: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    model: ginr.Model,
    choice: dict[str, Any],
) -> None:
    small_models(monkeypatch, model)
    run = config(pictures, tmp_path / "run", steps=3, **choice)
    assert trainer.main(arguments(run)) == 0
    captured = capsys.readouterr()
    assert captured.out == f"{tmp_path}/run/generalizable_inr.safetensors\n"
    curve = rows(tmp_path / "run" / "metrics.csv")
    assert [row["step"] for row in curve] == ["1", "2", "3"] and {row["skipped"] for row in curve} == {"0.0"}
    checked = rows(tmp_path / "run" / "validation.csv")
    assert [row["step"] for row in checked] == ["2", "3"] and float(checked[-1]["val/psnr"]) > 10
    assert {file.name for file in (tmp_path / "run" / "sheets").iterdir()} == {"0000002.png", "0000003.png"}
    found = ginr.load(captured.out.strip())
    for part in model.params:
        moved = norm(jax.tree.map(np.subtract, found.params[part], model.params[part]))
        assert (part in run.parts) or moved <= 1e-2 * norm(model.params[part]), part  # float16


@pytest.mark.slow
def test_killed_and_resumed_equals_an_uninterrupted_run_bit_for_bit(pictures: Path, tmp_path: Path) -> None:
    settings = {"steps": 5, "checkpoint_every": 2}
    with start(trainer, config(pictures, tmp_path / "cut", **settings)) as process:
        assert process.stderr is not None
        for line in process.stderr:
            if line.startswith("step 3/"):
                process.kill()
    assert process.returncode == -signal.SIGKILL
    with Checkpoints(tmp_path / "cut") as saved:
        assert saved.latest == 2
    for name, resume in (("cut", True), ("whole", False)):
        trainer.train(config(pictures, tmp_path / name, **settings, resume=resume))
    for name in ("metrics.csv", "validation.csv"):
        assert (tmp_path / "cut" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes(), name
    cut, whole = (ginr.load(str(tmp_path / name / "generalizable_inr.safetensors")) for name in ("cut", "whole"))
    jax.tree.map(np.testing.assert_array_equal, cut.params, whole.params)
