"""One device, four devices with jit, four with pmap, and two processes: the same training."""

import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from train import devices
from train.devices import DeviceError

ROOT = Path(__file__).resolve().parent.parent
TX = optax.adam(1e-2)


def initial_state() -> dict[str, Any]:
    rng = np.random.default_rng(0)
    params = {
        "w": jnp.asarray(rng.normal(size=(6, 5)), jnp.float32),
        "v": jnp.asarray(rng.normal(size=(5, 1)), jnp.float32),
    }
    return {"params": params, "opt": TX.init(params), "gradients": jax.tree.map(jnp.zeros_like, params)}


def step_fn(key: jax.Array, state: Any, batch: Any, axis_name: str | None = None) -> tuple[Any, Any]:
    """A small network; the state keeps the last gradients so that they can be compared."""

    def loss_fn(params: Any) -> tuple[jax.Array, dict[str, jax.Array]]:
        y = jnp.tanh(batch["content"] @ params["w"]) @ params["v"]
        error = jnp.mean((y - batch["style"]) ** 2)
        size = jnp.mean(y**2) * jax.random.uniform(key)
        return error + size, {"error": error, "size": size}

    gradients, terms = jax.grad(loss_fn, has_aux=True)(state["params"])
    if axis_name is not None:
        gradients, terms = jax.lax.pmean((gradients, terms), axis_name)
    updates, opt = TX.update(gradients, state["opt"], state["params"])
    params = optax.apply_updates(state["params"], updates)
    return {"params": params, "opt": opt, "gradients": gradients}, terms


def batches(count: int, rows: int = 8) -> list[dict[str, np.ndarray]]:
    rng = np.random.default_rng(1)
    return [
        {
            "content": rng.normal(size=(rows, 6)).astype(np.float32),
            "style": rng.normal(size=(rows, 1)).astype(np.float32),
        }
        for _ in range(count)
    ]


def run(count: int, mode: Any, steps: int = 20) -> tuple[list[list[float]], Any]:
    mesh = devices.make_mesh(jax.devices()[:count])
    state = devices.replicate(initial_state(), mesh)
    step = devices.parallel_step(step_fn, mesh, mode)
    losses = []
    for number, batch in enumerate(devices.prefetch(batches(steps), mesh)):
        state, terms = step(jax.random.fold_in(jax.random.key(0), number), state, batch)
        losses.append([float(terms["error"]), float(terms["size"])])
    for leaf in jax.tree.leaves(state):
        assert leaf.sharding.is_fully_replicated
        assert len(leaf.sharding.device_set) == count
    return losses, jax.device_get(state)


def test_one_device_equals_four_with_jit_and_with_pmap() -> None:
    losses, state = run(1, "jit")
    for mode in ("jit", "pmap"):
        other_losses, other_state = run(4, mode)
        np.testing.assert_allclose(other_losses, losses, rtol=1e-5)
        jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-6), other_state, state)
    assert run(4, "jit")[0] == run(4, "jit")[0]  # the same devices: the same bits


def test_batches_are_split_over_the_devices_in_order() -> None:
    mesh = devices.make_mesh()
    assert mesh.axis_names == ("data",)
    batch = batches(1)[0]
    sharded = devices.shard_batch(batch, mesh)["content"]
    np.testing.assert_array_equal(sharded, batch["content"])
    assert [shard.data.shape for shard in sharded.addressable_shards] == [(8 // mesh.size, 6)] * mesh.size


def test_prefetch_keeps_order_and_looks_one_ahead() -> None:
    mesh = devices.make_mesh()
    seen = []

    def source() -> Any:
        for number in range(4):
            seen.append(number)
            yield {"x": np.full((4, 1), number, np.float32)}

    found = [(float(batch["x"][0, 0]), len(seen)) for batch in devices.prefetch(source(), mesh)]
    assert found == [(0, 2), (1, 3), (2, 4), (3, 4)]


def test_mistakes_are_named() -> None:
    mesh = devices.make_mesh()
    with pytest.raises(DeviceError, match="batch_size: 6; expected a multiple of the 4 devices"):
        devices.shard_batch(batches(1, rows=6)[0], mesh)
    with pytest.raises(DeviceError, match="parallel: 'threads'"):
        devices.parallel_step(step_fn, mesh, "threads")  # type: ignore[arg-type]
    with pytest.raises(DeviceError, match="give all 3"):
        devices.initialize_distributed("127.0.0.1:1", 2, None)
    with pytest.raises(DeviceError, match="process_id: 2; expected 0 to 1"):
        devices.initialize_distributed("127.0.0.1:1", 2, 2)
    devices.initialize_distributed()  # nothing to join
    assert devices.any_process(True)
    assert not devices.any_process(False)


PROCESS = """
import sys, json
import jax
jax.config.update("jax_num_cpu_devices", 2)
from train import devices
port, index, folder = sys.argv[1], int(sys.argv[2]), sys.argv[3]
devices.initialize_distributed(f"127.0.0.1:{port}", 2, index)
sys.path.insert(0, "tests")
from test_train_devices import batches, initial_state, step_fn
from train.checkpoints import Checkpoints
mesh = devices.make_mesh()
assert mesh.size == 4
state = devices.replicate(initial_state(), mesh)
step = devices.parallel_step(step_fn, mesh)
losses = []
for number, batch in enumerate(batches(20)):
    rows = {name: x[4 * index : 4 * index + 4] for name, x in batch.items()}
    state, terms = step(jax.random.fold_in(jax.random.key(0), number), state, devices.shard_batch(rows, mesh))
    losses.append([float(terms["error"]), float(terms["size"])])
assert devices.any_process(index == 1)
assert not devices.any_process(False)
try:
    devices.parallel_step(step_fn, mesh, "pmap")
except devices.DeviceError as error:
    assert "2 processes" in str(error)
else:
    raise AssertionError("pmap was accepted")
with Checkpoints(folder) as checkpoints:
    assert checkpoints.begin({"seed": 0}, resume=False) is None
    checkpoints.save(20, state, {"seed": 0})
    checkpoints.restore(state)
print(json.dumps(losses))
"""


def test_two_processes_equal_one(tmp_path: Path) -> None:
    import json

    from jax.sharding import SingleDeviceSharding

    from train.checkpoints import Checkpoints

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    running = [
        subprocess.Popen(
            [sys.executable, "-c", PROCESS, str(port), str(index), str(tmp_path)],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for index in range(2)
    ]
    try:
        outputs = [process.communicate(timeout=120) for process in running]
    finally:
        for process in running:
            process.kill()
    for process, (_, err) in zip(running, outputs, strict=True):
        assert process.returncode == 0, err
    expected, state = run(1, "jit")
    for out, _ in outputs:
        np.testing.assert_allclose(json.loads(out.splitlines()[-1]), expected, rtol=1e-5)
    # What two processes saved, one restores.
    with Checkpoints(tmp_path) as checkpoints:
        restored = checkpoints.restore(initial_state(), sharding=SingleDeviceSharding(jax.devices()[0]))
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-6), restored, state)
