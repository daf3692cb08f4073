"""The test session: four CPU devices, a compilation cache of its own, and no silent rank promotion."""

import atexit
import gc
import os
import shutil
import tempfile

# Also for the processes that tests start. Workers of one session inherit the folder of the first process.
os.environ["JAX_PLATFORMS"] = "cpu"
if "JAXSTYLE_TEST_CACHE" not in os.environ:
    os.environ["JAXSTYLE_TEST_CACHE"] = tempfile.mkdtemp(prefix="jaxstyle-tests-")
    atexit.register(shutil.rmtree, os.environ["JAXSTYLE_TEST_CACHE"], ignore_errors=True)
os.environ["JAX_COMPILATION_CACHE_DIR"] = os.environ["JAXSTYLE_TEST_CACHE"]
os.environ["JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS"] = "0"

# The tests compile much and compute little. LLVM's optimisations and the newer way in which XLA writes loops would be
# three quarters of the time of compiling, and change rounding at most. An XLA without the older way passes over the
# last option. XLA_FLAGS= in the environment, as `make test-slow` sets it, leaves them all as users have them.
os.environ.setdefault(
    "XLA_FLAGS",
    "--xla_backend_optimization_level=0 --xla_cpu_parallel_codegen_split_count=1"
    " --xla_backend_extra_options=xla_cpu_disable_new_fusion_emitters=true",
)

from collections.abc import Iterator
from pathlib import Path

import jax
import numpy as np
import pytest

from jaxstyle import image
from tests.pictures import LONG, SHORT, smooth

jax.config.update("jax_num_cpu_devices", 4)
jax.config.update("jax_numpy_rank_promotion", "raise")


MOST_MAPS = 36_000
"""Regions of memory that a process may have before what it has compiled is forgotten: Linux allows 65 530, every
compiled program takes some, and with none left XLA ends the process."""


@pytest.fixture(scope="module", autouse=True)
def few_programs() -> Iterator[None]:
    """Forgets compiled programs after a module where there are many; they come back from the cache folder."""
    yield
    maps = Path("/proc/self/maps")
    if maps.exists() and maps.read_bytes().count(b"\n") > MOST_MAPS:
        jax.clear_caches()
        gc.collect()


@pytest.fixture
def key() -> jax.Array:
    """A PRNG key, the same in every test."""
    return jax.random.key(0)


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    """The file of a smooth photo."""
    path = tmp_path / "photo.png"
    image.write(path, smooth(SHORT, LONG))
    return path


@pytest.fixture
def painting(tmp_path: Path) -> Path:
    """The file of a square painting, noise."""
    path = tmp_path / "painting.png"
    image.write(path, np.random.default_rng(0).random((SHORT, SHORT, 3), np.float32))
    return path


@pytest.fixture
def pictures(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """``photo.png`` and ``painting.png``, noise, in the current folder, and no cache in the user's home."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("JAXSTYLE_CACHE_DIR", "off")
    rng = np.random.default_rng(1)
    image.write("photo.png", rng.random((SHORT, LONG, 3), np.float32))
    image.write("painting.png", rng.random((SHORT, SHORT, 3), np.float32))
    return tmp_path
