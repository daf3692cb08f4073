import inspect
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

import jaxstyle

ROOT = Path(__file__).parents[1]


def run(code: str, *, cwd: Path, **environment: str) -> subprocess.CompletedProcess:
    """Runs Python code in a new process that sees the given environment on top of this one's."""
    return subprocess.run(
        [sys.executable, "-B", "-W", "error", "-c", code],
        cwd=cwd,
        env=os.environ | {"PYTHONPATH": str(ROOT)} | environment,
        capture_output=True,
        text=True,
        timeout=120,
    )


def test_import_opens_no_device(tmp_path):
    # With a platform that does not exist, the first use of any device fails: importing must not be one.
    code = "import jaxstyle"
    assert run(code, cwd=tmp_path, JAX_PLATFORMS="nowhere").returncode == 0
    failed = run(f"{code}, jax; jax.devices()", cwd=tmp_path, JAX_PLATFORMS="nowhere")
    assert failed.returncode != 0 and "nowhere" in failed.stderr


def test_import_reads_no_weights_and_writes_nothing(tmp_path):
    code = """
import os, sys

def hook(event, arguments):
    if event == "open" and str(arguments[0]).endswith(".safetensors"):
        seen.append(arguments[0])
    if event == "open" and isinstance(arguments[1], str) and set(arguments[1]) & set("wxa+"):
        seen.append(arguments[0])
    if event == "os.mkdir":
        seen.append(arguments[0])

seen = []
sys.addaudithook(hook)
import jaxstyle
print(seen)
open("written", "w").close()
os.mkdir("made")
print(len(seen))
"""
    home = tmp_path / "home"
    home.mkdir()
    done = run(code, cwd=tmp_path, HOME=str(home), XDG_CACHE_HOME=str(home / "cache"))
    assert done.stdout.split("\n")[:2] == ["[]", "2"], done.stderr
    assert list(home.iterdir()) == []


def test_public_names_exist_and_are_documented():
    assert jaxstyle.__doc__
    assert len(set(jaxstyle.__all__)) == len(jaxstyle.__all__)
    for name in jaxstyle.__all__:
        value = getattr(jaxstyle, name)
        if inspect.ismodule(value) or inspect.isclass(value) or callable(value):
            assert value.__doc__ and value.__doc__.strip(), f"jaxstyle.{name} has no docstring"
            # the text that @dataclass writes by itself says nothing
            assert not value.__doc__.startswith(f"{name}("), f"jaxstyle.{name} has no docstring"


def test_weights_is_the_module_not_the_folder_beside_it():
    from jaxstyle import weights

    assert Path(weights.__file__) == Path(jaxstyle.__file__).with_name("weights.py")


def test_convert_vgg_runs_as_a_module(tmp_path):
    run_module = "runpy.run_module('jaxstyle.convert_vgg', run_name='__main__')"
    done = run(f"import runpy, sys; sys.argv = ['x', '--help']; {run_module}", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "--calibrate" in done.stdout


@pytest.mark.slow
def test_wheel_holds_the_library_with_its_weights_and_nothing_else(tmp_path):
    pytest.importorskip("hatchling")
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)]
    subprocess.run(build, cwd=ROOT, check=True, capture_output=True)
    [wheel] = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
        archive.extractall(tmp_path / "site")
    dist_info = f"jaxstyle-{jaxstyle.__version__}.dist-info/"
    library = {name for name in names if not name.startswith(dist_info)}
    folder = ROOT / "jaxstyle"
    expected = {p for p in folder.rglob("*") if p.suffix in (".py", ".safetensors", ".md", ".typed")}
    assert library == {str(path.relative_to(ROOT)) for path in expected}
    assert {"jaxstyle/weights/vgg16.safetensors", "jaxstyle/weights/vgg16.md", "jaxstyle/py.typed"} <= library
    assert {f"{dist_info}METADATA", f"{dist_info}entry_points.txt", f"{dist_info}licenses/LICENSE"} <= names

    code = "import jaxstyle.weights as w; print(w.__file__); print(w.load('vgg16').metadata['arch'])"
    done = run(code, cwd=tmp_path, PYTHONPATH=str(tmp_path / "site"))
    assert done.stdout.split() == [str(tmp_path / "site/jaxstyle/weights.py"), "vgg16"], done.stderr
