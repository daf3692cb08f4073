"""Models of the tests: small ones, and ones whose every part does something."""

import dataclasses

import jax
import numpy as np

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
    source = adain.load() if config.aim else without_aim(adain.load())
    return style_kernel.from_adain(jax.random.key(0) if key is None else key, source, config)


def without_aim(source):
    """An AdaIN model whose features get the style's own moments."""
    params = {name: part for name, part in source.decoder["params"].items() if name != "aim"}
    return dataclasses.replace(source, decoder={"params": params}, aim="style")
