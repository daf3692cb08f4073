"""The rows of INR-st's tables, of networks whose pictures are known."""

import dataclasses
import itertools
import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxstyle.methods import inr
from jaxstyle.metrics import metrics
from train.evaluate import measure_inr

SPEC = inr.Spec(octaves=1, latent=2, width=4, depth=2, skip=0, bottleneck=2)
SIZE = (24, 20)  # width, height


def grey() -> inr.InrParams:
    """A network whose picture is grey of 1/2 at degree 0 and brighter, alike everywhere, with more style."""
    params = inr.init(jax.random.key(0), SPEC, size=SIZE)
    network = jax.tree.map(jnp.zeros_like, params.network)
    layer0, layer1 = network["layer0"]["kernel"], network["layer1"]["kernel"]
    network["layer0"]["kernel"] = layer0.at[-2, 0].set(1.0)  # the latent's first number
    network["layer1"]["kernel"] = layer1.at[0, 0].set(1.0)
    network["linear"]["kernel"] = network["linear"]["kernel"].at[0, 0].set(1.0)
    network["rgb"]["kernel"] = network["rgb"]["kernel"].at[0].set(1.0)
    return dataclasses.replace(params, network=network, z_c=jnp.zeros(2), z_s=jnp.array([2.0, 0.0]))


def sigmoid(x: float) -> float:
    return 1 / (1 + float(np.exp(-x)))


PHOTO = np.full((SIZE[1], SIZE[0], 3), 0.25, np.float32)


def test_the_network_of_these_tests_is_what_it_is_said_to_be() -> None:
    picture = inr.render_image(grey(), SIZE, 0.5)
    np.testing.assert_allclose(picture, np.full_like(PHOTO, sigmoid(1.0)), atol=1e-6)


def test_one_pixel_changes_no_other() -> None:
    row = measure_inr.controllability(grey(), PHOTO, pixels=3, seed=0)
    assert list(row) == ["1", "3"]
    for found in row.values():
        assert found["to_reconstruction"] == 0
        assert found["to_content"] == pytest.approx(255 * 0.25, rel=1e-4)  # 1/2 beside 1/4


def test_steps_along_the_degree_of_style() -> None:
    row = measure_inr.disentanglement(metrics.load_networks(), grey(), PHOTO, PHOTO[:, :20])
    wanted = [-20 * np.log10(sigmoid(2 * degree) - 0.25) for degree in (0, 0.25, 0.5, 0.75, 1)]
    np.testing.assert_allclose(row["psnr"], wanted, rtol=1e-4)
    np.testing.assert_allclose(row["psnr_steps"], -np.diff(wanted), rtol=1e-3)
    assert (np.diff(row["gram"]) > 0).all()
    np.testing.assert_allclose(row["gram_steps"], np.diff(row["gram"]), rtol=1e-3)
    assert json.loads(json.dumps(row)) == row


def test_both_ends_and_what_is_to_be_reached_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(metrics, "gram_distance", lambda networks, a, b: np.abs(np.mean(a) - np.mean(b)))
    painting = np.full((30, 18, 3), 0.75, np.float32)
    row = measure_inr.ends(None, grey(), PHOTO, painting)  # type: ignore[arg-type]
    assert row["gram_reached"] == {"0": pytest.approx(0.5), "1": 0.0}
    assert row["gram"] == {"0": pytest.approx(0.25, abs=1e-5), "1": pytest.approx(sigmoid(2.0) - 0.75, abs=1e-4)}

    def flat_ssim(a: float, b: float) -> float:
        return (2 * a * b + 1e-4) / (a * a + b * b + 1e-4)

    assert row["ssim_reached"] == {"0": 1.0, "1": pytest.approx(flat_ssim(0.75, 0.25), abs=1e-4)}
    assert row["ssim"]["0"] == pytest.approx(flat_ssim(0.5, 0.25), abs=1e-4)
    assert row["ssim"]["1"] == pytest.approx(flat_ssim(sigmoid(2.0), 0.25), abs=1e-4)


@pytest.mark.parametrize("size", [1, 256, 2048, 2049, 20_000])
def test_bands_cover_the_picture_once_and_are_small(size: int) -> None:
    found = measure_inr.bands(size)
    assert found[0][0] == 0 and found[-1][1] == size
    assert all(one[1] == other[0] for one, other in itertools.pairwise(found))
    assert all(0 < (bottom - top) * size <= measure_inr.BAND for top, bottom in found)
    assert len({bottom - top for top, bottom in found}) <= 2


def test_bands_together_are_the_picture(monkeypatch: pytest.MonkeyPatch) -> None:
    params = inr.init(jax.random.key(1), SPEC, size=(20, 20))
    monkeypatch.setattr(measure_inr, "BAND", 7 * 20)
    rows = [measure_inr._band(params, 20, *band) for band in measure_inr.bands(20)]
    whole = np.round(255 * np.asarray(inr.render_image(params, (20, 20), 1.0)))
    np.testing.assert_array_equal(np.concatenate(rows), whole.astype(np.uint8))
    assert [len(band) for band in rows] == [7, 7, 6]


def test_peak_memory_that_is_unknown_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    assert measure_inr.peak_bytes() > 1 << 24
    monkeypatch.setattr(measure_inr.memory, "peak_bytes", lambda: None)
    with pytest.raises(measure_inr.MeasureError, match=r"^peak memory: unknown on this system$"):
        measure_inr.peak_bytes()


@pytest.mark.slow
def test_rendering_is_measured_in_a_process_of_its_own(tmp_path) -> None:
    inr.save(tmp_path / "fit.safetensors", grey())
    block = np.ones(1 << 27)  # 1 GiB that is not the rendering's
    row = measure_inr.render_cost(str(tmp_path / "fit.safetensors"), 16, 2)
    assert row["calls"] == 2 and 0 < row["seconds"] < 60
    assert 1 << 26 < row["peak_bytes"] < block.nbytes
    with pytest.raises(ValueError, match="no such file; expected a fitted picture"):
        measure_inr.render_cost(str(tmp_path / "other"), 16, 1)


def test_long_calls_are_not_repeated(monkeypatch: pytest.MonkeyPatch, tmp_path) -> None:
    clock = iter([0.0, 30.0, 100.0, 140.0])
    monkeypatch.setattr(measure_inr, "load_picture", lambda file: None)
    monkeypatch.setattr(measure_inr, "_band", lambda *band: None)
    monkeypatch.setattr(measure_inr.time, "perf_counter", lambda: next(clock))
    row = measure_inr._render_cost("fit", 16, 5)
    assert row["calls"] == 2 and row["seconds"] == 35.0


def test_an_enlargement_without_detail_is_a_smooth_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a picture alike everywhere: as far from the painting as its bicubic enlargement, and no other scaled down."""
    monkeypatch.setattr(measure_inr, "WINDOW", 32)
    painting = np.random.default_rng(0).random((40, 50, 3), np.float32)
    row = measure_inr.enlargement(metrics.load_networks(), grey(), painting)
    assert list(row["psnr"]) == ["2", "4", "8"] and min(row["psnr"].values()) > 60  # or infinite
    for kind in ("windows", "together"):
        assert row[kind]["fit"] == pytest.approx(row[kind]["bicubic"], rel=1e-3)
        assert row[kind]["painting"] < 0.5 * row[kind]["fit"]
