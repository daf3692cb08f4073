"""Platforms that the environment asks for and that are not there."""

import json
import os
import subprocess
import sys
from pathlib import Path

import jax
import pytest

import jaxstyle
from jaxstyle.runtime import command, platforms


def run(*arguments, **variables):
    environment = {name: value for name, value in os.environ.items() if name not in platforms.VARIABLES}
    environment |= {"PYTHONPATH": str(Path(jaxstyle.__file__).parents[1]), **variables}
    return subprocess.run([sys.executable, *arguments], capture_output=True, text=True, env=environment)


def test_those_that_there_are():
    assert platforms.devices() == (jax.devices(), None)


def test_info_works_without_the_platform_and_says_so():
    done = run("-m", "jaxstyle", "info", "--json", JAX_PLATFORMS="nonsense")
    assert done.returncode == 0 and json.loads(done.stdout)["devices"]
    (line,) = done.stderr.splitlines()
    assert line.startswith("jaxstyle: JAX_PLATFORMS=nonsense: JAX cannot use this platform here; there are: cpu")


@pytest.mark.parametrize("variable", platforms.VARIABLES)
def test_a_command_says_it_in_one_line(variable):
    fit = Path(jaxstyle.__file__).parents[1] / "examples/inr/chelsea_starry_night.safetensors"
    done = run("-m", "jaxstyle", "render", fit, "-o", "-", "--size", "8", "--format", "png", **{variable: "cuda"})
    if done.returncode == 0:
        pytest.skip("there is CUDA")
    assert done.returncode == 2 and done.stdout == ""
    (line,) = done.stderr.splitlines()
    assert line.startswith(f"jaxstyle: {variable}=cuda: ")


@pytest.mark.parametrize("error", [RuntimeError, AssertionError])
def test_a_mistake_of_ours_keeps_its_traceback(error):
    def work():
        raise error("ours")

    with pytest.raises(error, match="ours"):
        command.guarded(work, "jaxstyle")
