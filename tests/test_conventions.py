"""Conventions that hold for every module of the library, read from the modules themselves."""

import ast
import importlib
import inspect
import pkgutil
from pathlib import Path

import jax
import pytest

import jaxstyle

MODULES = sorted(m.name for m in pkgutil.walk_packages(jaxstyle.__path__, "jaxstyle."))
RANDOM = "random"  # jax.random, numpy.random


def public(module):
    """(name, object) of the functions, classes and methods that a module defines for others."""
    for name, value in vars(module).items():
        if name.startswith("_") or getattr(value, "__module__", None) != module.__name__:
            continue
        if inspect.isfunction(value) or inspect.isclass(value) or hasattr(value, "__wrapped__"):
            yield name, value
        if inspect.isclass(value):
            for part, member in vars(value).items():
                member = getattr(member, "__func__", member)
                own = inspect.isfunction(member) and member.__qualname__.startswith(f"{value.__name__}.")
                if own and not part.startswith("_") and written(value, part):
                    yield f"{name}.{part}", member


def written(cls, method):
    """Whether a method stands in the class's source; dataclasses and Flax add others (``replace``)."""
    tree = ast.parse(inspect.cleandoc("\n" + inspect.getsource(cls)))
    return any(isinstance(node, ast.FunctionDef) and node.name == method for node in tree.body[0].body)


@pytest.fixture(params=MODULES)
def module(request):
    return importlib.import_module(request.param)


def test_the_library_is_found():
    assert {"jaxstyle.arrays", "jaxstyle.methods.adain", "jaxstyle.methods.inr.loss", "jaxstyle.weights"} <= set(
        MODULES
    )
    names = {name for name, _ in public(importlib.import_module("jaxstyle.methods.adain.inference"))}
    assert {"stylize", "encode_style", "stack"} <= names
    assert {"Model", "Style", "objective", "stylize"} <= set(vars(jaxstyle.adain)) and jaxstyle.adain.Decoder


def test_every_module_says_what_it_is_for(module):
    assert module.__doc__ and len(module.__doc__.split()) > 3


def test_everything_public_has_a_docstring(module):
    """A sentence of its own: what a dataclass or Flax writes by itself begins with the class's signature."""
    missing = [
        name
        for name, value in public(module)
        if not (inspect.getdoc(value) or "").strip() or inspect.getdoc(value).startswith(f"{name}(")
    ]
    assert missing == []


def test_public_functions_are_annotated(module):
    missing = []
    for name, value in public(module):
        if inspect.isclass(value):
            continue
        signature = inspect.signature(value)
        missing += [f"{name}: {p}" for p, v in signature.parameters.items() if p != "self" and v.annotation is v.empty]
        if signature.return_annotation is signature.empty:
            missing.append(f"{name}: return")
    assert missing == []


def test_a_key_is_called_key_and_comes_first(module):
    """Whoever takes a PRNG key takes it as the first argument, or by name alone; nobody calls it otherwise."""
    for name, value in public(module):
        if inspect.isclass(value):
            continue
        found = inspect.signature(value).parameters
        parameters = [p for p in found if p != "self"]
        assert not {"rng", "prng", "prng_key", "rng_key", "random_key"} & set(parameters), name
        if "key" in parameters:
            assert parameters[0] == "key" or found["key"].kind is inspect.Parameter.KEYWORD_ONLY, name


def sources():
    return [Path(file) for file in sorted(Path(jaxstyle.__file__).parent.rglob("*.py"))]


@pytest.mark.parametrize("file", sources(), ids=lambda file: f"{file.parent.name}/{file.name}")
def test_randomness_comes_from_a_key_alone(file):
    """No module makes a key or a generator: the caller gives the key."""
    made = [
        ast.unparse(node)
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call)
        and ast.unparse(node.func).endswith((f"{RANDOM}.key", f"{RANDOM}.PRNGKey", f"{RANDOM}.default_rng"))
    ]
    # in files.py a key whose numbers nobody sees: the shapes of fresh variables; in the front door the caller's seed
    allowed = {("adain/files.py", "jax.random.key(0)"), ("painting/fit.py", "jax.random.key(seed)")}
    assert [call for call in made if (f"{file.parent.name}/{file.name}", call) not in allowed] == []


@pytest.mark.parametrize("file", sources(), ids=lambda file: f"{file.parent.name}/{file.name}")
def test_options_are_not_mutable(file):
    """No list, dict or set as a default value."""
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.FunctionDef | ast.Lambda):
            defaults = [*node.args.defaults, *(d for d in node.args.kw_defaults if d)]
            assert not any(isinstance(d, ast.List | ast.Dict | ast.Set) for d in defaults)


def test_all_names_exist_and_are_documented():
    assert list(jaxstyle.__all__) == sorted(jaxstyle.__all__)
    for name in jaxstyle.__all__:
        assert getattr(jaxstyle, name).__doc__


def test_what_a_user_holds_is_a_pytree_of_arrays():
    """Static configuration is part of the structure, so that it survives every transformation."""
    from jaxstyle.methods import adain
    from jaxstyle.nets import stats

    moments = stats.Moments(jax.numpy.zeros((1, 2)), jax.numpy.ones((1, 2)))
    style, model = (
        adain.Style(moments),
        adain.Model({"a": moments.mean}, {"b": moments.std}, "vgg19", "concat", "batch"),
    )
    for value, count in ((moments, 2), (style, 2), (model, 2)):
        leaves, structure = jax.tree.flatten(value)
        assert len(leaves) == count and jax.tree.structure(jax.tree.unflatten(structure, leaves)) == structure
        same = jax.jit(lambda value: value)(value)
        assert type(same) is type(value) and jax.tree.structure(same) == structure
    assert (jax.jit(lambda m: m)(model).arch, model.replace(norm="none").norm) == ("vgg19", "none")


def functions(package):
    """(where, number of parameters) of every public function and method in the sources of a package."""
    root = Path(jaxstyle.__file__).parents[1]
    for file in sorted((root / package).rglob("*.py")):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.FunctionDef) and (not node.name.startswith("_") or node.name == "__init__"):
                found = [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs]
                found = [argument for argument in found if argument.arg not in ("self", "cls")]
                more = (node.args.vararg is not None) + (node.args.kwarg is not None)
                yield f"{file.relative_to(root)}: {node.name}", len(found) + more


@pytest.mark.parametrize("package", ["jaxstyle", "train", "benchmarks"])
def test_no_function_has_more_than_eight_parameters(package):
    """More of them belong together: they are a group, see `jaxstyle.painting.options`."""
    found = dict(functions(package))
    assert len(found) > 20
    assert [name for name, count in found.items() if count > 8] == []


def test_the_default_method_is_named_once_and_in_prose():
    """No line of code outside of the methods knows one of them but by the name of the default weights."""
    root = Path(jaxstyle.__file__).parent
    allowed = {"adain_vgg16", "methods.adain", "jaxstyle.adain"}
    for file in sorted(root.rglob("*.py")):
        if "methods" in file.relative_to(root).parts or file == root / "__init__.py":
            continue
        tree = ast.parse(file.read_text(encoding="utf-8"))
        prose = {ast.get_docstring(n, clean=False) for n in ast.walk(tree) if isinstance(n, DOCUMENTED)}
        prose |= {
            n.value.value for n in ast.walk(tree) if isinstance(n, ast.Expr) and isinstance(n.value, ast.Constant)
        }
        for node in ast.walk(tree):
            names = [getattr(node, field, None) for field in ("id", "attr", "name", "arg", "module")]
            if isinstance(node, ast.Constant) and isinstance(node.value, str) and node.value not in prose:
                names += [word for word in node.value.split() if word not in allowed]
            found = [name for name in names if isinstance(name, str) and "adain" in name]  # the word in prose: AdaIN
            assert found == [], f"{file.relative_to(root)}:{getattr(node, 'lineno', 0)}: {found}"


DOCUMENTED = (ast.Module, ast.ClassDef, ast.FunctionDef)
