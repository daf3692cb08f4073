"""Compiled programs on disk: the second process neither traces nor compiles, and whatever is wrong costs time only."""

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxstyle import image
from jaxstyle.runtime import cache, command, programs

ROOT = Path(__file__).parents[1]
TRACED = []


@partial(jax.jit, static_argnums=0)
def affine(factor, weights, x):
    TRACED.append(factor)
    return {"far": factor * x + weights["b"], "sum": x.sum()}


def build(leaves):
    return {"far": leaves[0], "sum": leaves[1]}


def run(x, *, name="affine-2", factor=2, b=1.0, **options):
    return programs.run(name, affine, {"b": np.float32(b)}, x, static=(factor,), build=build, **options)


X = np.arange(6, dtype=np.float32).reshape(2, 3)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A cache folder in use, and a process that knows no program yet."""
    monkeypatch.setattr(cache, "in_use", lambda: tmp_path)
    forget()
    yield tmp_path / "programs"
    forget()


def forget():
    programs._PROGRAMS.clear()
    TRACED.clear()
    affine.clear_cache()


def good(found, x=X):
    return np.array_equal(found["far"], 2 * np.asarray(x) + 1) and found["sum"] == np.asarray(x).sum()


def test_the_next_process_traces_nothing(folder):
    assert good(run(X)) and len(TRACED) == 1
    assert good(run(X + 1), X + 1) and len(TRACED) == 1
    (file,) = folder.iterdir()
    written = file.stat().st_mtime_ns
    os.utime(file, ns=(0, 0))
    forget()
    assert good(run(X + 1), X + 1) and good(run(X)) and TRACED == []
    assert list(folder.iterdir()) == [file] and file.stat().st_mtime_ns >= written  # of use: others go first


def test_results_are_those_of_the_function(folder):
    rng = np.random.default_rng(0)
    x = rng.standard_normal((40, 30)).astype(np.float32)
    function = jax.jit(lambda x: jnp.tanh(x @ x.T).sum(0) / jnp.sqrt(jnp.abs(x).mean()))
    found = []
    for _ in range(2):
        found.append(np.asarray(programs.run("tanh", function, x)))
        programs._PROGRAMS.clear()
    np.testing.assert_array_equal(*found)
    # Of another code generator, so sums of 40 numbers up to 1 differ by roundings of 40, whatever is left of them.
    np.testing.assert_allclose(found[0], function(x), rtol=1e-5, atol=40 * np.finfo(np.float32).eps)


@pytest.mark.parametrize(
    "other",
    [
        lambda: run(X[:1]),
        lambda: run(X.astype(np.int32)),
        lambda: run(X, name="another"),
        lambda: run(X, rare=True),
        lambda: programs.run("affine-2", affine, {"c": np.float32(1), "b": np.float32(1)}, X, static=(2,), build=build),
    ],
    ids=["shape", "type", "name", "rare", "structure"],
)
def test_others_are_other_programs(folder, other):
    run(X)
    other()
    assert len(programs._PROGRAMS) == len(list(folder.iterdir())) == 2


@pytest.mark.parametrize("what", ["sources", "versions", "flags", "precision"])
def test_what_decides_the_code_is_part_of_the_name(folder, monkeypatch, what):
    run(X)
    forget()
    if what == "precision":
        with jax.default_matmul_precision("highest"):
            run(X)
    else:
        programs._fixed.cache_clear()
        if what == "sources":
            monkeypatch.setattr(programs, "_SOURCES", ("arrays.py",))
        elif what == "versions":
            monkeypatch.setattr(programs.metadata, "version", lambda package: "0")
        else:
            monkeypatch.setenv("XLA_FLAGS", "--xla_another")
        run(X)
        programs._fixed.cache_clear()
    assert len(TRACED) == 1 and len(list(folder.iterdir())) == 2


def test_variables_that_decide_nothing_do_not_count(folder, monkeypatch):
    run(X)
    forget()
    programs._fixed.cache_clear()
    monkeypatch.setenv("XLA_PYTHON_CLIENT_PREALLOCATE", "false")  # the command sets it
    monkeypatch.setenv("JAX_COMPILATION_CACHE_DIR", "elsewhere")
    run(X)
    programs._fixed.cache_clear()
    assert TRACED == []


@pytest.mark.parametrize(
    "damage",
    [
        lambda data: b"",
        lambda data: data[:-1],
        lambda data: data[:-1] + bytes([data[-1] ^ 1]),
        lambda data: b"\xff" * 1000,
        lambda data: data.replace(b"program 1", b"program 0"),
    ],
    ids=["empty", "short", "bit", "noise", "format"],
)
def test_a_damaged_file_is_made_again(folder, damage):
    run(X)
    (file,) = folder.iterdir()
    file.write_bytes(damage(file.read_bytes()))
    forget()
    assert good(run(X)) and len(TRACED) == 1
    forget()
    assert good(run(X)) and TRACED == []


def test_a_file_of_another_program_is_not_run(folder):
    run(X)
    (file,) = folder.iterdir()
    run(X[:1])
    (other,) = set(folder.iterdir()) - {file}
    other.write_bytes(file.read_bytes())
    forget()
    assert good(run(X[:1]), X[:1]) and len(TRACED) == 1


def test_a_whole_file_that_does_not_run_is_made_again(folder, monkeypatch):
    run(X)

    class Broken:
        def __call__(self, *leaves):
            raise jax.errors.JaxRuntimeError("NOT_FOUND: a function")

    monkeypatch.setattr(programs.serialize_executable, "deserialize_and_load", lambda *arguments: Broken())
    forget()
    assert good(run(X)) and len(TRACED) == 1


@pytest.mark.parametrize("there", ["file", "serialize"])
def test_what_cannot_be_kept_costs_nothing_but_time(folder, monkeypatch, there):
    if there == "file":
        folder.write_text("in the way")
    else:
        monkeypatch.setattr(programs.serialize_executable, "serialize", lambda compiled: 1 / 0)
    assert good(run(X)) and good(run(X)) and len(TRACED) == 1
    assert not folder.is_dir()


def test_an_option_that_xla_no_longer_has_is_left_out(folder, monkeypatch):
    monkeypatch.setattr(programs, "_QUICK", {"xla_no_such_option": True})
    assert good(run(X)) and len(list(folder.iterdir())) == 1


@pytest.mark.parametrize("why", ["off", "no name", "traced", "devices", "looked at", "object"])
def test_where_nothing_is_kept_the_function_is_called(folder, monkeypatch, why):
    if why == "off":
        monkeypatch.setattr(cache, "in_use", lambda: None)
        affine_of = run
    elif why == "no name":
        affine_of = partial(run, name="")
    elif why == "traced":
        affine_of = jax.jit(run)
    elif why == "devices":
        mesh = jax.sharding.Mesh(np.array(jax.devices()[:2]), ("i",))
        affine_of = lambda x: run(jax.device_put(x, jax.sharding.NamedSharding(mesh, jax.P("i"))))  # noqa: E731
    elif why == "object":
        affine_of = partial(run, name=f"{object()}")
    else:
        affine_of = run
    with jax.debug_nans(why == "looked at"):
        for _ in range(2):
            found = affine_of(X)
            assert good(found) and programs._PROGRAMS == {}
    assert not folder.exists()


def test_each_device_has_its_own(folder):
    for device in jax.devices()[:2]:
        for _ in range(2):
            found = run(jax.device_put(X, device))
            assert good(found) and found["far"].devices() == {device}
            with jax.default_device(device):
                assert run(X)["far"].devices() == {device}
            programs._PROGRAMS.clear()
    assert len(list(folder.iterdir())) == 2 and len(TRACED) == 2


def test_jaxs_own_cache_stays_as_it_was(folder):
    before = jax.config.jax_enable_compilation_cache
    with pytest.raises(ZeroDivisionError), programs._without_jaxs_cache():
        assert not jax.config.jax_enable_compilation_cache
        raise ZeroDivisionError
    assert jax.config.jax_enable_compilation_cache == before


def test_the_files_used_last_stay(folder, monkeypatch):
    monkeypatch.setattr(programs, "FILES", 2)
    for rows in (1, 2):
        run(np.ones((rows, 3), np.float32))
    for age, file in enumerate(sorted(folder.iterdir(), key=lambda file: file.stat().st_mtime_ns)):
        os.utime(file, (age, age))
    programs._PROGRAMS.clear()
    run(np.ones((1, 3), np.float32))  # of use
    run(np.ones((3, 3), np.float32))
    forget()
    for rows in (1, 3):
        run(np.ones((rows, 3), np.float32))
    assert TRACED == [] and len(list(folder.iterdir())) == 2


def test_many_at_once(folder):
    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(lambda i: good(run(X + i % 2), X + i % 2), range(32)))
    assert len(TRACED) == 1


def test_objects_that_are_kept_are_not_collected():
    import gc

    before, enabled = gc.get_freeze_count(), gc.isenabled()
    try:
        with command.kept_objects():
            assert not gc.isenabled()
            kept = [[] for _ in range(1000)]
        assert gc.isenabled() and gc.get_freeze_count() >= before + len(kept)
    finally:
        gc.unfreeze()
        (gc.enable if enabled else gc.disable)()


def test_methods_are_imported_without_flax():
    """Which takes a quarter of a second of every command that paints with a kept program."""
    code = "import sys; from jaxstyle import methods; from jaxstyle.cli import main; print('flax' in sys.modules)"
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True)
    assert done.stdout == "False\n", done.stderr


@pytest.mark.slow
def test_the_command_needs_neither_flax_nor_a_compiler_the_second_time(tmp_path):
    """Nothing is kept where the cache is off, and the pictures are the same."""
    image.write(tmp_path / "a.png", np.random.default_rng(0).random((20, 24, 3), np.float32))
    code = """
import sys
import jax
from jaxstyle.cli import main
from jaxstyle.runtime import programs
code = main.main("stylize a.png --style a.png -o b.png --overwrite".split())
print(code, "flax" in sys.modules)
"""
    environment = os.environ | {"PYTHONPATH": str(ROOT), "HOME": str(tmp_path)}
    found, pictures = [], []
    for place in ("off", str(tmp_path / "cache"), str(tmp_path / "cache")):
        done = subprocess.run(
            [sys.executable, "-c", code],
            cwd=tmp_path,
            env=environment | {cache.VARIABLE: place},
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stderr
        found.append((done.stdout.splitlines()[-1], len(list((tmp_path / "cache").rglob("*.program")))))
        pictures.append(image.read(tmp_path / "b.png").pixels)
    assert found == [("0 True", 0), ("0 True", 2), ("0 False", 2)]
    assert np.array_equal(pictures[1], pictures[2])
    np.testing.assert_allclose(pictures[0], pictures[1], atol=1 / 255 + 1e-6)
