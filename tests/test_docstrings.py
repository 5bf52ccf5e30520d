"""Are the docstrings of all that is public complete, and in the form that numpydoc asks for?"""

import doctest
import inspect
import pkgutil
import re

import pytest
from repository import text_of

import sk2layer
from sk2layer.model.activations import ACTIVATIONS
from sk2layer.solvers import SOLVERS

validate = pytest.importorskip("numpydoc.validate", reason="numpydoc is not installed").validate

PUBLIC = [sk2layer, *(getattr(sk2layer, room) for room in sk2layer.ROOMS)]

WAIVED = {
    "GL01": "ruff sees to it that all begin alike",
    "ES01": "a summary that says all needs no extension",
    "EX01": "the examples of a method are those of its class",
    "SA01": "what else there is, is seen on the page of the class",
    "RT02": "results have names, as in scikit-learn",
}

SAID_ONCE = {"minimize", "carried_over"}


def public_names():
    """Return the public classes and functions, and the methods of ours that the classes have."""
    for module in PUBLIC:
        for name in module.__all__:
            found = getattr(module, name)
            if callable(found):
                yield f"{module.__name__}.{name}"
            if inspect.isclass(found):
                yield from (f"{module.__name__}.{name}.{method}" for method in own_methods(found))


def own_methods(found):
    """Return the names of public methods of ours; the contract of a solver's is that of `Solver`'s."""
    for name, method in inspect.getmembers(found, callable):
        ours = str(getattr(method, "__module__", "")).startswith("sk2layer")
        if ours and not name.startswith("_") and (name not in SAID_ONCE or found is sk2layer.solvers.Solver):
            yield name


NAMES = sorted(public_names())


def test_what_is_public_is_found():
    expected = {
        "sk2layer.TwoLayerRegressor.predict_interval",
        "sk2layer.TwoLayerClassifier.partial_fit",
        "sk2layer.solvers.Solver.minimize",
        "sk2layer.displays.NetworkDisplay.from_estimator",
        "sk2layer.callbacks.Checkpoint.load",
        "sk2layer.onnx.register",
    }
    assert expected <= set(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_the_docstring_is_complete(name):
    faults = [f"{code}: {text}" for code, text in validate(name)["errors"] if code not in WAIVED]
    assert not faults


def is_method(name):
    return inspect.isclass(pkgutil.resolve_name(name.rpartition(".")[0]))


@pytest.mark.parametrize(
    "name", [name for name in NAMES if is_method(name) and ">>>" in (pkgutil.resolve_name(name).__doc__ or "")]
)
def test_examples_of_methods_run(name):
    """Those that pytest does not find, since it looks for them where a class is said to be in the file that has it."""
    found = doctest.DocTestFinder(recurse=False).find(pkgutil.resolve_name(name), name, module=False, globs={})
    assert sum(len(test.examples) for test in found)
    for test in found:
        said = []
        assert not doctest.DocTestRunner().run(test, out=said.append).failed, "".join(said)


@pytest.mark.parametrize("Estimator", [sk2layer.TwoLayerRegressor, sk2layer.TwoLayerClassifier])
def test_every_choice_is_named_where_users_look(Estimator):
    """In the docstrings and the mathematics: whoever adds one is told here."""
    named = re.search(r"\n    activation : {(.*?)}", Estimator.__doc__).group(1)
    assert set(re.findall(r'"(\w+)"', named)) == {*ACTIVATIONS}
    solvers = re.search(r"\n    solver : {(.*?)}", Estimator.__doc__).group(1)
    assert set(re.findall(r'"(\w+)"', solvers)) == {"auto", *SOLVERS}
    mathematics = text_of("docs/mathematics.md")
    assert all(f'| `"{name}"` | $' in mathematics for name in ACTIVATIONS)


@pytest.mark.parametrize("name", [name for name in NAMES if name.split(".")[-1][0].isupper()])
def test_every_class_has_an_example(name):
    codes = {code for code, _ in validate(name)["errors"]}
    assert "EX01" not in codes or name == "sk2layer.solvers.Solver"  # an abstract class has nothing to show


@pytest.mark.parametrize("name", [name for name in NAMES if name.split(".")[-1][0].isupper()])
def test_every_class_is_in_the_reference(name):
    module, _, name = name.rpartition(".")
    section = text_of("docs/api.md").partition(f".. currentmodule:: {module}\n")[2].partition("```")[0]
    assert name in section.split()
