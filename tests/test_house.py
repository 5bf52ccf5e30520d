"""Is the house kept: imports run one way, private names live in one place, functions and files stay small?"""

import ast
import importlib
import inspect
import pkgutil
from functools import cache
from pathlib import Path

import numpy as np
import pytest

import sk2layer
from sk2layer import callbacks, preprocessing

PACKAGE = Path(sk2layer.__file__).parent
FILES = sorted(path for path in PACKAGE.rglob("*.py"))

# A module imports from earlier lines only.
HOUSE = [
    {"_typing", "callback_support", "solvers", "threads", "version"},
    {"activations", "archive", "losses", "moments", "seen_rows"},
    {"bounds"},
    {"network", "rows"},
    {"gauss_newton", "kronecker", "priors"},
    {"lanes", "solver_choice"},
    {"scaling", "objective"},
    {"posterior", "monitor"},
    {"marginal_likelihood", "uncertainty"},
    {"data", "leave_one_out"},
    {"cluster"},
    {"dask_input", "evidence"},
    {"training"},
    {"mlp", "penalty", "persistence"},
    {"fitted"},
    {"base"},
    {"incremental"},
    {"regressor", "classifier"},
    {"__init__", "callbacks", "displays", "onnx", "preprocessing"},
]
FLOOR = {module: number for number, modules in enumerate(HOUSE) for module in modules}

MAX_FUNCTION_LINES, MEDIAN_FUNCTION_LINES, MAX_FILE_LINES = 40, 10, 300
LONGER_FILES: dict[str, str] = {}  # name: reason


def name_of(path):
    return ".".join(path.relative_to(PACKAGE).with_suffix("").parts)


every_file = pytest.mark.parametrize("path", FILES, ids=name_of)


@cache
def tree_of(path):
    return ast.parse(path.read_text(encoding="utf-8"))


def imported(path):
    """Return what a file imports, by absolute names: modules, and names from modules."""
    package = ("sk2layer", *path.relative_to(PACKAGE).parts[:-1])
    names = set()
    for node in ast.walk(tree_of(path)):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            origin = package[: len(package) - node.level + 1] if node.level else ()
            module = ".".join([*origin, *([node.module] if node.module else [])])
            names |= {f"{module}.{alias.name}" for alias in node.names}
    return names


def rooms(path):
    """Return the modules or packages of ours, just below sk2layer, that a file imports from."""
    return {name.split(".")[1] for name in imported(path) if name.startswith("sk2layer.")}


def functions(path):
    return [node for node in ast.walk(tree_of(path)) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]


def code_lines(path, node=None):
    """Count the lines of a function, or a file, that are neither blank nor comment nor docstring."""
    node = node or tree_of(path)
    lines = path.read_text(encoding="utf-8").splitlines()
    first, last = (node.lineno, node.end_lineno) if hasattr(node, "lineno") else (1, len(lines))
    docstrings = set()
    for inner in ast.walk(node):
        if isinstance(inner, ast.Expr) and isinstance(inner.value, ast.Constant) and isinstance(inner.value.value, str):
            docstrings |= set(range(inner.lineno, inner.end_lineno + 1))
    counted = (number for number in range(first, last + 1) if number not in docstrings)
    return sum(1 for number in counted if lines[number - 1].strip() and not lines[number - 1].strip().startswith("#"))


@every_file
def test_imports_run_one_way(path):
    room = path.relative_to(PACKAGE).with_suffix("").parts[0]
    assert room in FLOOR, f"{room} has no place in the house yet: give it one in HOUSE"
    above = {other for other in rooms(path) - {room} if FLOOR[other] >= FLOOR[room]}
    assert not above


@pytest.mark.parametrize("path", [path for path in FILES if "solvers" in path.parts], ids=name_of)
def test_solvers_import_nothing_of_ours_outside_themselves(path):
    assert rooms(path) <= {"solvers"}


@every_file
def test_private_names_of_scikit_learn_live_in_one_place(path):
    private = {
        name
        for name in imported(path)
        if name.startswith("sklearn.") and any(part.startswith("_") for part in name.split("."))
    }
    assert not private or name_of(path) == "solvers._parameters"


@every_file
def test_callbacks_of_scikit_learn_are_known_in_one_place(path):
    """They are experimental, and older versions have none."""
    known = {name for name in imported(path) if name.startswith("sklearn.callback")}
    assert not known or name_of(path) == "callback_support"


@every_file
def test_nobody_reaches_into_the_privacy_of_a_module(path):
    """What begins with an underscore is for its own module or package."""
    private = {name for name in imported(path) if name.startswith("sk2layer.") and name.split(".")[-1].startswith("_")}
    assert private <= {"sk2layer._typing"}


@every_file
def test_functions_fit_on_a_screen(path):
    """Bodies are counted, without docstrings, comments and blank lines."""
    too_long = {
        node.name: code_lines(path, node)
        for node in functions(path)
        if sum(code_lines_of_body(path, node)) > MAX_FUNCTION_LINES
    }
    assert not too_long


def code_lines_of_body(path, node):
    return (code_lines(path, statement) for statement in node.body)


def test_functions_are_half_a_screen_in_general():
    sizes = [sum(code_lines_of_body(path, node)) for path in FILES for node in functions(path)]
    assert np.median(sizes) <= MEDIAN_FUNCTION_LINES


@every_file
def test_files_are_short(path):
    assert code_lines(path) <= MAX_FILE_LINES or name_of(path) in LONGER_FILES


@every_file
def test_the_first_sentence_says_what_a_file_answers(path):
    docstring = ast.get_docstring(tree_of(path))
    assert docstring
    assert docstring.split("\n\n")[0].rstrip().endswith((".", "?", ":"))


def test_public_names_are_those_of_the_contract():
    assert set(sk2layer.__all__) == {"TwoLayerClassifier", "TwoLayerRegressor", "__version__"}
    displays = {"LossCurveDisplay", "NetworkDisplay", "PredictionIntervalDisplay", "RelevanceDisplay"}
    assert displays == set(importlib.import_module("sk2layer.displays").__all__)
    assert callbacks.__all__ == ["Checkpoint"]
    assert preprocessing.__all__ == ["PiecewiseLinearEncoder"]
    assert {"GradientDescent", "SGD", "Adam", "LBFGS", "Solver"} <= set(sk2layer.solvers.__all__)
    assert all(hasattr(sk2layer.solvers, name) for name in sk2layer.solvers.__all__)
    assert set(sk2layer.solvers.SOLVERS) >= {"gd", "sgd", "adam", "lbfgs"}


@pytest.mark.parametrize("Estimator", [sk2layer.TwoLayerRegressor, sk2layer.TwoLayerClassifier])
def test_every_parameter_and_attribute_is_documented(Estimator):
    parameters, _, rest = inspect.getdoc(Estimator).partition("Attributes\n")
    attributes = rest.partition("Notes\n")[0]
    for name in inspect.signature(Estimator).parameters:
        assert f"\n{name} : " in parameters
    X = np.arange(20.0).reshape(10, 2)
    model = Estimator(1, alpha=1.0, solver="gd", max_iter=3, tol=100.0, early_stopping=True)
    model.fit(X, np.arange(10) % 2)
    fitted = {name for name in vars(model) if name.endswith("_") and not name.startswith("_")}
    assert fitted
    for name in fitted | {"feature_names_in_"}:
        assert f"\n{name} : " in attributes


def test_matplotlib_is_imported_only_when_something_is_drawn():
    top = {name for path in FILES for node in tree_of(path).body for name in names_imported_by(node)}
    assert not {name for name in top if name.split(".")[0] == "matplotlib"}


def names_imported_by(node):
    if isinstance(node, ast.Import):
        return {alias.name for alias in node.names}
    return {node.module or ""} if isinstance(node, ast.ImportFrom) else set()


def test_there_is_a_marker_for_type_checkers():
    assert (PACKAGE / "py.typed").exists()


def test_every_module_can_be_imported():
    names = [module.name for module in pkgutil.walk_packages([str(PACKAGE)], "sk2layer.")]
    assert len(names) == len(FILES) - 1
    for name in names:
        __import__(name)
