"""Models of the tests: small ones, and ones whose every part does something."""

import dataclasses
import os
from pathlib import Path

import jax
import numpy as np

from jaxstyle import weights
from jaxstyle.methods import adain, style_kernel


def perturbed(model, seed=0, scale=1.0):
    """What starts at zero, or at doing nothing, is random: phi's and psi's last blocks, gains, the aim."""
    rng = np.random.default_rng(seed)
    sizes = {"gain": 0.5, "phi.block1.kernel": 0.01, "phi.block1.bias": 0.1, "psi.block2.kernel": 0.3}
    sizes |= {"psi.block2.bias": 1.5, "aim.change.kernel": 0.005, "query.kernel": 0.02, "key.kernel": 0.02}

    def other(path, leaf):
        name = ".".join(str(k.key) for k in path)
        return np.asarray(leaf + scale * sizes.get(name, 0) * rng.normal(size=leaf.shape), np.float32)

    params = jax.tree_util.tree_map_with_path(other, model.params)
    return dataclasses.replace(model, params=params)


def lite(key=None, **changes):
    """AdaIN's model with the parts of `style_kernel.lite`."""
    config = dataclasses.replace(style_kernel.lite(), **changes)
    return style_kernel.from_adain(jax.random.key(0) if key is None else key, adain.load(), config)


def shelf(folder: Path) -> Path:
    """A folder like that of the shipped weights, with a model of this method beside them."""
    for file in weights._FOLDER.glob("*.*[ds]"):
        os.symlink(file, folder / file.name)
    style_kernel.save(folder / "style_kernel_test.safetensors", perturbed(lite()), licence="none")
    return folder
