"""The trainer in examples/ learns, and `jaxstyle` takes what it leaves."""

import importlib.util
import re
from pathlib import Path

import jax
import numpy as np
import pytest

from jaxstyle import adain, image

EXAMPLES = Path(__file__).parents[1] / "examples"


@pytest.mark.slow
def test_two_steps_on_the_example_pictures(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    spec = importlib.util.spec_from_file_location("train_your_own", EXAMPLES / "train_your_own.py")
    assert spec is not None and spec.loader is not None
    example = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(example)
    monkeypatch.setattr(example, "SIDE", 32)
    monkeypatch.setattr(example, "BATCH", 2)
    photos, paintings = (example.read(str(EXAMPLES / kind)) for kind in ("content", "style"))
    assert photos.shape == paintings.shape == (5, 32, 32, 3)
    model = example.train(jax.random.key(0), photos, paintings, 2)
    assert len(re.findall(r"^\d content \S+ loss \S+ style \S+$", capsys.readouterr().out, re.M)) == 2
    fresh = adain.init_decoder(jax.random.key(0), model)
    moved = jax.tree.map(lambda a, b: float(np.abs(a - b).max()), model.decoder, fresh)
    assert all(0 < apart < 3e-4 for apart in jax.tree.leaves(moved))  # at most the rate, twice
    adain.save(tmp_path / "mine.safetensors", model)
    photo = image.read(EXAMPLES / "content" / "chelsea.jpg", short_side=32).pixels
    found = adain.stylize(adain.load(str(tmp_path / "mine.safetensors")), photo[:32, :40], np.asarray(paintings[0]))
    assert found.shape == (32, 40, 3) and np.isfinite(found).all()
