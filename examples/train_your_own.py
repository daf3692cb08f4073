"""A trainer of one's own, with the library and optax alone: an AdaIN decoder on two folders of pictures.
``python examples/train_your_own.py PHOTOS PAINTINGS OUT.safetensors [STEPS]``; what it lacks is in ``train/``.
"""

import sys
from pathlib import Path

import jax
import jax.numpy as jnp
import optax

from jaxstyle import adain, image

SIDE, BATCH = 128, 4


def read(folder: str) -> jax.Array:
    """All pictures of a folder, (N, SIDE, SIDE, 3) in [0, 1]."""
    files = sorted(file for file in Path(folder).iterdir() if file.suffix.lower() in image.READ_SUFFIXES)
    return jnp.stack([image.resize(image.read(file).pixels, (SIDE, SIDE)) for file in files])


def train(key: jax.Array, photos: jax.Array, paintings: jax.Array, steps: int) -> adain.Model:
    """A decoder after so many steps on random pairs."""
    encoder, arch = adain.load_encoder()
    model, optimizer = adain.Model(encoder, {}, arch), optax.adam(1e-4)

    @jax.jit
    def train_step(key: jax.Array, decoder: dict, opt: optax.OptState) -> tuple:
        key_c, key_s = jax.random.split(key)
        content, style = jax.random.choice(key_c, photos, (BATCH,)), jax.random.choice(key_s, paintings, (BATCH,))
        objective = jax.value_and_grad(adain.objective, has_aux=True)
        (loss, terms), gradients = objective(decoder, model, content, style, style_weight=10.0)
        updates, opt = optimizer.update(gradients, opt)
        return optax.apply_updates(decoder, updates), opt, {"loss": loss, **terms}

    decoder = adain.init_decoder(key, model)
    opt = optimizer.init(decoder)
    for step in range(1, steps + 1):
        decoder, opt, terms = train_step(jax.random.fold_in(key, step), decoder, opt)
        print(step, *(f"{name} {value:.4g}" for name, value in terms.items()))
    return model.replace(decoder=decoder)


if __name__ == "__main__":
    if len(sys.argv) not in (4, 5):
        sys.exit(__doc__)
    photos, paintings, out, *steps = sys.argv[1:]
    adain.save(out, train(jax.random.key(0), read(photos), read(paintings), int(*steps or [10_000])))
