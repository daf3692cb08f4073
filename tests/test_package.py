import ast
import inspect
import os
import pickle
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
    code = "from jaxstyle import *"
    assert run(code, cwd=tmp_path, JAX_PLATFORMS="nowhere").returncode == 0
    failed = run(f"{code}; import jax; jax.devices()", cwd=tmp_path, JAX_PLATFORMS="nowhere")
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
from jaxstyle import *
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


def test_nothing_heavy_is_imported_before_it_is_asked_for(tmp_path):
    code = """
import sys, threading
import jaxstyle
print({"jax", "flax", "numpy", "PIL"} & set(sys.modules), set(jaxstyle.__all__) <= set(dir(jaxstyle)))
threads = [threading.Thread(target=getattr, args=(jaxstyle, name)) for name in jaxstyle.__all__]
[thread.start() for thread in threads]
[thread.join() for thread in threads]
print(set(jaxstyle.__all__) <= set(vars(jaxstyle)))
"""
    done = run(code, cwd=tmp_path)
    assert done.stdout == "set() True\nTrue\n", done.stderr


def test_the_command_line_is_read_without_jax(tmp_path):
    code = """
import contextlib, io, sys
from jaxstyle.cli import main as cli
lines = ["", "--help", "--version", "stylize --help", "sheet --help", "stylize a --style b --alpha 2", "render --no"]
for line in [*lines, "completion bash"]:
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        try:
            cli.main(line.split())
        except SystemExit:
            pass
    print({"jax", "flax", "PIL"} & set(sys.modules))
"""
    done = run(code, cwd=tmp_path)
    assert done.stdout == "set()\n" * 7 + "{'PIL'}\n", done.stderr  # completion asks for the formats


def test_names_mean_the_same_whatever_was_imported_before(tmp_path):
    code = """
import importlib, inspect, sys
orders = [
    "import jaxstyle.painting.picture",
    "from jaxstyle import stylize; assert inspect.isfunction(stylize)",
    "from jaxstyle import *; assert inspect.isfunction(stylize)",
    "import jaxstyle; jaxstyle.Report",
    "from jaxstyle.methods import adain, inr",
    "from jaxstyle.folders import dataset; from jaxstyle import fit",
    "from jaxstyle.cli.main import main",
    "import jaxstyle.weights; assert jaxstyle.weights.load",
    "import jaxstyle.image; assert jaxstyle.image.read",
]
for order in orders:
    for name in [name for name in sys.modules if name.partition(".")[0] == "jaxstyle"]:
        del sys.modules[name]
    exec(order, globals())
    import jaxstyle
    for name in jaxstyle.__all__:
        value = getattr(jaxstyle, name)
        if inspect.ismodule(value):
            assert value is sys.modules[f"jaxstyle.{jaxstyle._MODULES[name]}"], (order, name)
        else:
            assert value.__name__ == name, (order, name)
            assert value is getattr(sys.modules[value.__module__], name), (order, name)
print("good")
"""
    done = run(code, cwd=tmp_path)
    assert done.stdout == "good\n", done.stderr


def test_no_module_bears_the_name_of_a_public_function():
    """Importing the module would set the package's attribute of that name."""
    modules = {path.stem for path in Path(jaxstyle.__file__).parent.iterdir()} - {"__init__"}
    assert modules & set(jaxstyle.__all__) <= set(jaxstyle._MODULES)


def test_what_is_not_there_is_told(tmp_path):
    with pytest.raises(AttributeError, match=r"^module 'jaxstyle' has no attribute 'nothing'$"):
        _ = jaxstyle.nothing
    with pytest.raises(ImportError, match="cannot import name 'nothing' from 'jaxstyle'"):
        exec("from jaxstyle import nothing")
    assert not hasattr(jaxstyle, "__wrapped__")
    done = run("import sys; sys.modules['safetensors'] = None; import jaxstyle; jaxstyle.fit", cwd=tmp_path)
    assert "ModuleNotFoundError" in done.stderr and "safetensors" in done.stderr  # and not that there is no `fit`


def test_type_checkers_see_what_there_is():
    tree = ast.parse(Path(jaxstyle.__file__).read_text(encoding="utf-8"))
    (typed,) = (node for node in tree.body if isinstance(node, ast.If))
    seen = {(alias.asname or alias.name, alias.name, node.module) for node in typed.body for alias in node.names}
    modules = {(name, *f"jaxstyle.{home}".rpartition(".")[::-2]) for name, home in jaxstyle._MODULES.items()}
    others = {(name, name, f"jaxstyle.{home}") for name, home in jaxstyle._HOMES.items()}
    assert seen == modules | others and jaxstyle.__all__ == sorted(jaxstyle._MODULES | jaxstyle._HOMES)


def test_pickles_name_the_modules(tmp_path):
    values = (jaxstyle.Controls(alpha=0.5), jaxstyle.stylize, jaxstyle.Report)
    assert pickle.loads(pickle.dumps(values)) == values
    done = run(f"import pickle; print(pickle.loads({pickle.dumps(values[0])!r}).alpha)", cwd=tmp_path)
    assert done.stdout == "0.5\n", done.stderr


def test_public_names_exist_and_are_documented():
    assert jaxstyle.__doc__
    assert len(set(jaxstyle.__all__)) == len(jaxstyle.__all__)
    for name in jaxstyle.__all__:
        value = getattr(jaxstyle, name)
        if inspect.ismodule(value) or inspect.isclass(value) or callable(value):
            assert value.__doc__ and value.__doc__.strip(), f"jaxstyle.{name} has no docstring"
            # the text that @dataclass writes by itself says nothing
            assert not value.__doc__.startswith(f"{name}("), f"jaxstyle.{name} has no docstring"


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
    kinds = (".py", ".safetensors", ".md", ".typed", ".html", ".css", ".js", ".txt", ".jpg")
    expected = {path for path in folder.rglob("*") if path.suffix in kinds}
    assert library == {str(path.relative_to(ROOT)) for path in expected}
    assert {"jaxstyle/weights/vgg16.safetensors", "jaxstyle/weights/vgg16.md", "jaxstyle/py.typed"} <= library
    assert {"jaxstyle/studio/page/index.html", "jaxstyle/studio/page/vendor/openseadragon.LICENSE.txt"} <= library
    assert {f"{dist_info}METADATA", f"{dist_info}entry_points.txt", f"{dist_info}licenses/LICENSE"} <= names

    code = "import jaxstyle.weights as w; print(w.__file__); print(w.load('vgg16').metadata['arch'])"
    done = run(code, cwd=tmp_path, PYTHONPATH=str(tmp_path / "site"))
    assert done.stdout.split() == [str(tmp_path / "site/jaxstyle/weights/__init__.py"), "vgg16"], done.stderr
