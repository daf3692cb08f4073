"""``python -m benchmarks.made_file KIND FILE``: writes a network that both sides compute with.

How long they take does not depend on the values, but these are such that every part does something.
"""

import dataclasses
import math
import sys
from pathlib import Path
from typing import Any

import jax

from benchmarks import inputs
from benchmarks.cases import CONDITIONED
from jaxstyle.methods import adain, generalizable_inr, inr, style_kernel

_SPREAD = {"gain": 0.3, "phi.block1.kernel": 0.01, "phi.block1.bias": 0.1, "aim.change.kernel": 0.003}
_SPREAD |= {"query.kernel": 0.01, "key.kernel": 0.01, "psi.block2.kernel": 0.3, "psi.block2.bias": 1.0}


def write_inr(file: Path) -> None:
    """The paper's coordinate network, with fresh parameters large enough that the picture is not all grey."""
    params = inr.init(jax.random.key(0))
    gain = dict.fromkeys(params.network, math.sqrt(2)) | {"rgb": 8.0}  # ReLU halves the variance
    network = {name: {**layer, "kernel": gain[name] * layer["kernel"]} for name, layer in params.network.items()}
    inr.save(file, dataclasses.replace(params, network=network))


def write_style_kernel(file: Path) -> None:
    """The small network of style kernels made of the shipped AdaIN model; what begins with zeros is random."""
    source = adain.load(str(inputs.DECODER), encoder=str(inputs.ENCODER))
    model = style_kernel.from_adain(jax.random.key(0), source, style_kernel.lite())
    keys = iter(jax.random.split(jax.random.key(1), len(jax.tree.leaves(model.params))))

    def spread(path: Any, leaf: jax.Array) -> jax.Array:
        size = _SPREAD.get(".".join(str(part.key) for part in path), 0.0)
        return leaf + size * jax.random.normal(next(keys), leaf.shape)

    params = jax.tree_util.tree_map_with_path(spread, model.params)
    style_kernel.save(file, dataclasses.replace(model, params=params), licence="none")


def write_generalizable_inr(file: Path) -> None:
    """What the shipped hypernetwork makes of two pictures."""
    model = generalizable_inr.load(str(inputs.HYPERNETWORK), encoder=str(inputs.ENCODER))
    field = generalizable_inr.condition(model, *inputs.pictures(0, 2, CONDITIONED))
    generalizable_inr.save_picture(file, field, licence="none")  # type: ignore[arg-type]


if __name__ == "__main__":
    {"inr": write_inr, "style_kernel": write_style_kernel, "generalizable_inr": write_generalizable_inr}[sys.argv[1]](
        Path(sys.argv[2])
    )
