"""``python -m benchmarks.inr_file FILE``: writes a coordinate network that both sides render.

The paper's network, with fresh parameters large enough that the picture is not all grey: how long it takes does not
depend on the values.
"""

import dataclasses
import math
import sys
from pathlib import Path

import jax

from jaxstyle.methods import inr


def write(file: Path) -> None:
    """Writes the file."""
    params = inr.init(jax.random.key(0))
    gain = dict.fromkeys(params.network, math.sqrt(2)) | {"rgb": 8.0}  # ReLU halves the variance
    network = {name: {**layer, "kernel": gain[name] * layer["kernel"]} for name, layer in params.network.items()}
    inr.save(file, dataclasses.replace(params, network=network))


if __name__ == "__main__":
    write(Path(sys.argv[1]))
