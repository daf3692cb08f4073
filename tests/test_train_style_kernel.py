"""The trainer of style kernels: two optimisers, skipped steps, frozen parts; resuming; one device and four alike."""

import re
import signal
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxstyle import weights
from jaxstyle.methods import adain, style_kernel
from jaxstyle.methods.style_kernel.loss import Made
from tests.train_runs import arguments, complaint, norm, rows, start, write_pictures
from train import devices
from train import style_kernel as trainer
from train.checkpoints import Checkpoints

SETTINGS: dict[str, Any] = {
    "crop": 16,
    "largest_crop": 0,
    "resize": 20,
    "batch_size": 4,
    "holdout": 2,
    "log_every": 1,
    "checkpoint_every": 2,
    "identity_weight": 5.0,
    "threads": 2,
}
"""Of a run whose time is nearly all the compiler's."""
LOW_RATE = {"lr": 5e-7, "gate_lr": 5e-7, "adversary_lr": 5e-7}
"""For comparing devices: their rounding differs, and at the usual rate such differences grow with every step."""
CHOICES: list[dict[str, Any]] = [
    {},
    {"adversarial_weight": 1.0},
    {"train_only": "decoder", "kernels": 0, "gated": False, "remd_weight": 0.0},
    {"freeze_decoder": True, "dtype": "bfloat16", "identity_weight": 0.0},
    {
        **{"network": "paper", "init": None, "crop": 32, "resize": 32, "deeper": True, "style_statistic": "gram"},
        **{"relative_style": False, "relative_to": "style", "identity_weight": 0.0, "pixel_weight": 20.0},
        **{"feature_weight": 0.5, "aligned_remd_weight": 3.0, "adversarial_weight": 1.0, "average": 0.0},
    },
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
        ({"remd_weight": -1.0}, "remd_weight: -1.0; expected a number of at least 0"),
        ({"crop": 20}, "crop: 20; expected 16, 24, 32"),
        ({"crop": 24, "deeper": True}, "crop: 24; expected 32, 40, 48"),
        ({"gate_lr": 0.0}, "gate_lr: 0.0; expected a positive number"),
        ({"clip": "nan"}, "clip: nan; expected a positive number"),
        ({"train_only": "decoder,style"}, "train_only: 'style'; expected all, or some of query, key"),
        ({"train_only": "decoder", "freeze_decoder": True}, "of these the network has none that is to be trained"),
        ({"kernels": 2}, "kernels: "),
        ({"network": "paper"}, "config: "),
        ({"init": "nothing.safetensors"}, "nothing.safetensors: no such weight file"),
        ({"init": "vgg16"}, "holds weights of kind 'vgg'"),
        ({"batch_size": 6}, "batch_size: 6; expected a multiple of the 4 devices"),
        ({"content": "nowhere"}, "nowhere: not a folder"),
    ],
)
def test_a_mistake_is_one_line_and_code_2(
    pictures: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    changes: dict[str, Any],
    words: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    line = arguments(config(pictures, tmp_path / "run"))
    for name, value in changes.items():
        line += [f"--{name}"] if value is True else [f"--{name}", str(value)]
    assert words in complaint(trainer, line, capsys)
    assert not list(tmp_path.rglob("*.safetensors"))


# ---- the parts -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("choice", [*CHOICES[:-1], pytest.param(CHOICES[-1], marks=pytest.mark.slow)])
def test_a_step_keeps_the_state_and_gives_float32_terms(choice: dict[str, Any]) -> None:
    run = of(**choice)
    model = trainer.create_model(run)
    state = jax.eval_shape(lambda: trainer.create_state(run, model))
    shape = jax.ShapeDtypeStruct((4, run.crop, run.crop, 3), jnp.float32)
    batch = {"content": shape, "style": shape}
    if run.identity_weight:
        batch["identity"] = jax.ShapeDtypeStruct((4,), jnp.float32)
    after, terms = jax.eval_shape(
        lambda *args: trainer.train_step(*args, config=run, model=model), jax.random.key(0), state, batch
    )
    described = [jax.tree.map(lambda a: (a.shape, a.dtype), tree) for tree in (after, state)]
    assert described[0] == described[1]
    assert {"loss", "content", "style", "gate", "norm", "skipped", "in_row"} <= terms.keys()
    for name in ("pixel", "feature", "identity", "remd", "aligned_remd", "adversarial"):
        term = {"pixel": "pixels", "feature": "features"}.get(name, name)
        assert (term in terms) == bool(getattr(run, f"{name}_weight")), name
    assert ("adversary" in terms) == (state.adversary is not None) == bool(run.adversarial_weight)
    assert all(term.shape == () and term.dtype == jnp.float32 for term in terms.values())


class Toy:
    """A loss that is a sum of parameters times the mean of the photos, and a judge's likewise: one weight a part."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, **changes: Any) -> None:
        monkeypatch.setattr(trainer, "objective", self.objective)
        monkeypatch.setattr(trainer.patches, "objective", self.judge)
        monkeypatch.setattr(trainer.patches, "init", lambda key: {"w": jnp.full(2, 5.0)})
        self.config = of(**{"schedule": "constant", "lr": 1e-2, "gate_lr": 1e-3, "identity_weight": 0.0} | changes)
        params = {part: jnp.full(2, 5.0) for part in ("psi", "phi", "decoder")}
        self.model = style_kernel.Model({}, params)
        self.state = trainer.create_state(self.config, self.model)

    @staticmethod
    def objective(key: Any, params: Any, model: Any, content: Any, style: Any, **options: Any) -> Any:
        loss = content.mean() * sum(part.sum() for part in params.values())
        return loss, ({"content": loss}, Made(content, content[..., 0]))

    @staticmethod
    def judge(params: Any, style: Any, made: Any, **options: Any) -> Any:
        return made.mean() * params["w"].sum()

    def step(self, factor: float = 1.0) -> dict[str, Any]:
        batch = {name: jnp.full((1, 2, 2, 3), factor) for name in ("content", "style")}
        key = jax.random.key(0)
        self.state, terms = trainer.train_step(key, self.state, batch, config=self.config, model=self.model)
        return terms


def test_every_part_has_its_rate(monkeypatch: pytest.MonkeyPatch) -> None:
    """Adam's first step is the rate itself, however long the gradient is."""
    for clip in (1e-3, 1e3):
        toy = Toy(monkeypatch, decoder_lr=5e-2, clip=clip)
        toy.step(7.0)
        for part, rate in (("psi", 1e-3), ("phi", 1e-2), ("decoder", 5e-2)):
            np.testing.assert_allclose(toy.state.params[part], 5 - rate, rtol=1e-5)


def test_large_gradients_are_brought_to_a_norm(monkeypatch: pytest.MonkeyPatch) -> None:
    """What Adam remembers of a gradient is a tenth of it."""
    toy = Toy(monkeypatch, clip=2.0)
    assert float(toy.step(100.0)["norm"]) == pytest.approx(100 * 6**0.5, rel=1e-5)
    mu = next(leaf.mu for leaf in toy.state.opt if hasattr(leaf, "mu"))
    np.testing.assert_allclose(norm(mu), 0.1 * 2.0, rtol=1e-5)


def test_what_is_frozen_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    for changes, trained in (
        ({"train_only": "decoder"}, {"decoder"}),
        ({"freeze_decoder": True}, {"psi", "phi"}),
        ({"train_only": "psi, decoder,aim"}, {"psi", "decoder"}),
    ):
        toy = Toy(monkeypatch, **changes)
        toy.step()
        assert toy.state.average.keys() == trained
        assert {name for name, part in toy.state.params.items() if not np.all(part == 5)} == trained


def test_the_average_follows_the_weights_and_can_be_switched_off(monkeypatch: pytest.MonkeyPatch) -> None:
    for average, share in ((0.999, 0.1), (0.05, 0.05), (0.0, 0.0)):
        toy = Toy(monkeypatch, average=average, lr=1.0)
        toy.step()
        np.testing.assert_allclose(toy.state.params["phi"], 4.0, rtol=1e-5)
        np.testing.assert_allclose(toy.state.average["phi"], 4.0 + share, rtol=1e-5)


def test_the_discriminator_takes_one_step_for_two(monkeypatch: pytest.MonkeyPatch) -> None:
    toy = Toy(monkeypatch, adversarial_weight=1.0, adversary_lr=0.5)
    seen = []
    for factor in (1.0, 1.0, 2.0, np.nan, 1.0, 1.0):
        terms = toy.step(factor)
        seen.append((float(toy.state.adversary.params["w"][0]), float(terms["adversary"])))
    weights, losses = zip(*seen, strict=True)
    np.testing.assert_allclose(weights, [5, 4.5, 4.5, 4.5, 4.5, 4.0], rtol=1e-3)
    np.testing.assert_allclose(losses, [0, 10, 10, 10, 10, 9], rtol=1e-3)


def test_identity_pairs_are_no_paintings_for_the_discriminator(monkeypatch: pytest.MonkeyPatch) -> None:
    found = []

    def judge(params: Any, style: Any, made: Any, *, rows: Any, dtype: Any) -> Any:
        found.append(rows)
        return params["w"].sum()

    toy = Toy(monkeypatch, adversarial_weight=1.0)
    monkeypatch.setattr(trainer.patches, "objective", judge)
    adversary = toy.state.adversary
    ones, identity = jnp.ones((2, 2, 2, 3)), jnp.array([0.0, 1.0])
    trainer._judge(ones, ones, identity, adversary, config=toy.config, axis_name=None)
    np.testing.assert_array_equal(found[0], [1, 0])


def test_the_sheets_last_column_is_what_the_gate_lets_through(monkeypatch: pytest.MonkeyPatch) -> None:
    made = Made(jnp.full((1, 16, 16, 3), 0.5), jnp.array([[[0.0, 0.25], [0.75, 1.0]]]))
    drawn: dict[str, Any] = {}
    monkeypatch.setattr(trainer, "_evaluate", lambda *args, **options: ({"val/loss": 1.0}, made))
    monkeypatch.setattr(trainer.run, "log_validation", lambda *args, **named: drawn.update(named))
    pairs = {name: np.full((1, 16, 16, 3), i) for i, name in enumerate(("content", "style"))}
    trainer._validate(None, 1, style_kernel.Model({}, {}), pairs, of())  # type: ignore[arg-type]
    (columns,) = drawn["rows"]
    assert [column.shape for column in columns] == [(16, 16, 3)] * 4
    assert [column[0, 0, 0] for column in columns] == [0, 1, 0.5, 0]
    for y, x in np.ndindex(2, 2):
        assert (columns[3][8 * y : 8 * y + 8, 8 * x : 8 * x + 8] == made.kept[0, y, x]).all()


def test_a_start_from_a_file_keeps_its_network(tmp_path: Path) -> None:
    first = trainer.create_model(of(kernels=1, gated=False))
    assert (first.config.kernels, first.config.gated, first.config.decoder) == (1, False, "mirror")
    of_adain = dict(adain.load().decoder["params"])  # the default
    parts = {"decoder": first.params["decoder"], "aim": first.params["aim"]}
    jax.tree.map(np.testing.assert_array_equal, parts, {"aim": of_adain.pop("aim"), "decoder": of_adain})
    path = str(tmp_path / "kernels.safetensors")
    style_kernel.save(path, first, licence="none")
    again = trainer.create_model(of(init=path, dtype="bfloat16"))
    assert again.config == first.config and again.dtype == jnp.bfloat16
    with pytest.raises(weights.WeightsError, match="has kernels 1, not 3"):
        trainer.create_model(of(init=path, kernels=3))
    deep = trainer.create_model(of(init=path, deeper=True, crop=32, resize=32))
    assert "conv5_1" in deep.encoder and "conv5_1" not in again.encoder


# ---- whole runs ------------------------------------------------------------------------------------------


def parameters(run: trainer.Config) -> Any:
    """The parameters of both networks in the newest checkpoint of a run."""
    state = trainer.create_state(run, trainer.create_model(run))
    with Checkpoints(run.workdir) as saved:
        found = jax.device_get(saved.restore(state))
    return found.params, found.adversary.params


@pytest.mark.slow
@pytest.mark.parametrize("choice", CHOICES)
def test_every_choice_trains_and_exports(
    pictures: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], choice: dict[str, Any]
) -> None:
    run = config(pictures, tmp_path / "run", steps=3, **choice)
    assert trainer.main(arguments(run)) == 0
    captured = capsys.readouterr()
    assert captured.out == f"{tmp_path}/run/style_kernel.safetensors\n"
    assert "step 3/3  " in captured.err and "images/s" in captured.err
    curve = rows(tmp_path / "run" / "metrics.csv")
    assert [row["step"] for row in curve] == ["1", "2", "3"] and {row["skipped"] for row in curve} == {"0.0"}
    assert [row["step"] for row in rows(tmp_path / "run" / "validation.csv")] == ["2", "3"]
    assert {file.name for file in (tmp_path / "run" / "sheets").iterdir()} == {"0000002.png", "0000003.png"}
    model, begun = style_kernel.load(captured.out.strip()), trainer.create_model(run)
    assert model.config == begun.config
    for part in begun.params:
        moved = norm(jax.tree.map(np.subtract, model.params[part], begun.params[part]))
        assert (part in run.parts) or moved <= 1e-2 * norm(begun.params[part]), part  # float16
    picture = jax.jit(style_kernel.decode)(model.params, model, jnp.zeros((1, 2, 2, 512)))
    assert np.isfinite(picture).all()


@pytest.mark.slow
def test_one_device_equals_four_with_jit_and_with_pmap(pictures: Path, tmp_path: Path) -> None:
    found = {}
    for name, count, parallel in (("one", 1, "jit"), ("jit", 4, "jit"), ("pmap", 4, "pmap")):
        changes = LOW_RATE | {"steps": 6, "checkpoint_every": 6, "parallel": parallel, "adversarial_weight": 1.0}
        run = config(pictures, tmp_path / name, **changes)
        trainer.train(run, devices.make_mesh(jax.devices()[:count]))
        found[name] = np.loadtxt(tmp_path / name / "metrics.csv", delimiter=",", skiprows=1), parameters(run)
    losses, reached = found.pop("one")
    run = config(pictures, tmp_path, adversarial_weight=1.0)
    state = trainer.create_state(run, trainer.create_model(run))
    for other_losses, other in found.values():
        np.testing.assert_allclose(other_losses, losses, rtol=2e-3, atol=1e-6)
        for i, begun in enumerate((state.params, state.adversary.params)):
            moved, apart = (jax.tree.map(np.subtract, reached[i], tree) for tree in (begun, other[i]))
            assert norm(moved) > 0 and norm(apart) < 0.1 * norm(moved)


@pytest.mark.slow
@pytest.mark.parametrize("killed_at", [1, 5])
def test_killed_and_resumed_equals_an_uninterrupted_run_bit_for_bit(
    pictures: Path, tmp_path: Path, killed_at: int
) -> None:
    settings = {"steps": 7, "checkpoint_every": 3, "adversarial_weight": 1.0}
    with start(trainer, config(pictures, tmp_path / "cut", **settings)) as process:
        assert process.stderr is not None
        for line in process.stderr:
            if line.startswith(f"step {killed_at}/"):
                process.kill()
    assert process.returncode == -signal.SIGKILL
    with Checkpoints(tmp_path / "cut") as saved:
        assert saved.latest == (None if killed_at == 1 else 3)
    for name, resume in (("cut", True), ("whole", False)):
        trainer.train(config(pictures, tmp_path / name, **settings, resume=resume))
    for name in ("metrics.csv", "validation.csv"):
        assert (tmp_path / "cut" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes(), name
    assert len(rows(tmp_path / "whole" / "metrics.csv")) == 7
    cut, whole = (parameters(config(pictures, tmp_path / name, **settings)) for name in ("cut", "whole"))
    jax.tree.map(np.testing.assert_array_equal, cut, whole)


@pytest.mark.slow
def test_a_start_that_is_not_finite_ends_in_one_line(
    pictures: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trainer, "MANY", 3)
    model = trainer.create_model(of(kernels=0, gated=False))
    bad = jax.tree.map(lambda a: np.full(a.shape, np.nan, np.float32), model.params)
    monkeypatch.setattr(trainer, "create_model", lambda config: model.replace(params=bad))  # type: ignore[attr-defined]
    run = config(pictures, tmp_path / "run", steps=9, checkpoint_every=9)
    assert trainer.main(arguments(run)) == 1
    message = capsys.readouterr().err
    assert re.search(r"train.style_kernel: step 3: the last 3 were skipped, .*loss = nan.*\n$", message), message
    assert rows(tmp_path / "run" / "metrics.csv") == []
    assert not (tmp_path / "run" / "style_kernel.safetensors").exists()
