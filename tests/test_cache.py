import os
import subprocess
import sys
from pathlib import Path

import pytest

from jaxstyle.runtime import cache

ROOT = Path(__file__).parents[1]


@pytest.mark.parametrize("word", ["off", "OFF", "0", "none"])
def test_off(monkeypatch, word):
    monkeypatch.setenv(cache.VARIABLE, word)
    assert cache.folder() is None
    assert cache.enable() is None


def test_folder_is_one_for_each_kind_of_processor(monkeypatch, tmp_path):
    monkeypatch.setenv(cache.VARIABLE, str(tmp_path))
    here = cache.folder()
    assert here is not None and here.parent == tmp_path
    monkeypatch.setattr(cache, "_processor", lambda: "another")
    assert cache.folder() not in (None, here)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="the place differs by system")
def test_default_folder_follows_the_system(monkeypatch, tmp_path):
    monkeypatch.delenv(cache.VARIABLE, raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache.folder().parent == tmp_path / "jaxstyle"
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert cache.folder().parent == tmp_path / ".cache" / "jaxstyle"


def test_a_home_that_is_nowhere_is_no_cache(monkeypatch):
    monkeypatch.setenv("JAXSTYLE_CACHE_DIR", "~there_is_no_such_user/cache")
    assert cache.folder() is None and cache.enable() is None

    def nowhere():
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.setenv("JAXSTYLE_CACHE_DIR", "")
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setattr(cache.Path, "home", nowhere)
    assert cache.folder() is None and cache.enable() is None


def test_a_folder_that_cannot_be_made_is_no_error(monkeypatch, tmp_path):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv(cache.VARIABLE, str(tmp_path / "file"))
    assert cache.enable() is None


def test_a_second_process_finds_what_the_first_compiled(tmp_path):
    code = """
import jax, jax.numpy as jnp
from jaxstyle import cache
print(cache.enable() is not None)
jax.config.update("jax_persistent_cache_min_compile_time_secs", 0)
hits = []
jax.monitoring.register_event_listener(lambda event, **_: hits.append(event))
jax.jit(lambda x: jnp.tanh(x) @ x)(jnp.ones((9, 9))).block_until_ready()
print("/jax/compilation_cache/cache_hits" in hits)
"""
    environment = os.environ | {cache.VARIABLE: str(tmp_path), "PYTHONPATH": str(ROOT), "JAX_PLATFORMS": "cpu"}
    seen = [
        subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, timeout=120)
        for _ in range(2)
    ]
    assert [run.stdout.split() for run in seen] == [["True", "False"], ["True", "True"]], seen[0].stderr
