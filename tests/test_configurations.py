"""Ways in which users set up JAX: 64 bit, no silent promotion, no NaN on the way, nothing compiled.

Each part runs in a process of its own, as the settings come from the environment.
"""

import os
import subprocess
import sys
from pathlib import Path

import pytest

import jaxstyle

SETTINGS = ("JAX_ENABLE_X64=1", "JAX_NUMPY_DTYPE_PROMOTION=strict", "JAX_DEBUG_NANS=1", "JAX_DISABLE_JIT=1")

START = """
import jax, numpy as np
import jaxstyle
from jaxstyle import image, methods
from tests import recolour

rng = np.random.default_rng(0)
photo, painting = (rng.random(shape, np.float32) for shape in ((24, 26, 3), (20, 22, 3)))
image.write("photo.png", photo)
image.write("painting.png", painting)

def types(tree):
    return {str(leaf.dtype) for leaf in jax.tree.leaves(tree)}
"""

PAINT = """
methods.METHODS["recolour"] = recolour.METHOD
recolour.save("recolour.safetensors", recolour.init())
found = {}
for name, options in {"whole": {}, "tiles": {"tile": 16}}.items():
    jaxstyle.stylize_file("photo.png", "painting.png", f"{name}.png", weights_file="recolour.safetensors", **options)
    found[name] = image.read(f"{name}.png").pixels
    assert found[name].shape == photo.shape
assert np.abs(found["whole"] - found["tiles"]).max() <= 1.01 / 255
"""

STROKES = """
methods.METHODS["recolour"] = recolour.METHOD
recolour.save("recolour.safetensors", recolour.init())
options = {"weights_file": "recolour.safetensors", "style_size": 12, "preserve_color": "histogram"}
jaxstyle.stylize_file("photo.png", "painting.png", "strokes.png", tile=16, gradient="left:0,right:1", **options)
assert image.read("strokes.png").pixels.shape == photo.shape
"""

FITS = """
from jaxstyle import inr

params = jaxstyle.fit("photo.png", "painting.png", "preview", size=32, steps=3)
assert types((params.network, params.z_c, params.z_s)) == {"float32"}
inr.save("fit.safetensors", params)
again = inr.load("fit.safetensors")
assert all(map(np.array_equal, jax.tree.leaves(params), jax.tree.leaves(again)))
drawn = jaxstyle.render_image(again, (20, 18), 0.5)
assert drawn.dtype == np.float32 and drawn.shape == (18, 20, 3) and np.isfinite(drawn).all()
"""

RENDER = """
jaxstyle.render_file(FIT, "out.png", size=12, gradient="left:0,right:1")
assert image.read("out.png").pixels.shape[0] == 12
"""

OBJECTIVE = """
from jaxstyle.methods import adain

model = adain.load("adain_vgg16")

def loss_of(params):
    pictures = photo[None, :16, :16], painting[None, :16, :16]
    identity = np.ones(1, np.float32)
    return adain.objective({"params": params}, model, *pictures, identity=identity, identity_weight=1.0)[0]

loss, gradient = jax.value_and_grad(loss_of)(model.decoder["params"])
assert types((loss, gradient)) == {"float32"}
assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves((loss, gradient)))
"""


def run(folder, program, setting):
    root = Path(jaxstyle.__file__).parents[1]
    name, _, value = setting.partition("=")
    fit = f"FIT = {str(root / 'examples/inr/chelsea_starry_night.safetensors')!r}\n"
    done = subprocess.run(
        [sys.executable, "-c", START + fit + program],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": str(root), name: value},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("setting", SETTINGS)
def test_painting_whole_and_in_tiles(tmp_path, setting):
    run(tmp_path, PAINT, setting)


@pytest.mark.slow
@pytest.mark.parametrize("program", [STROKES, FITS, RENDER, OBJECTIVE], ids=["strokes", "fit", "render", "adain"])
@pytest.mark.parametrize("setting", SETTINGS)
def test_methods(tmp_path, setting, program):
    run(tmp_path, program, setting)
