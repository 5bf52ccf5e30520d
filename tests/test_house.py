"""Is the house kept: imports run down, names live in one place, functions and files stay small?"""

import ast
import importlib
import inspect
import pkgutil
from functools import cache
from graphlib import TopologicalSorter
from pathlib import Path

import numpy as np
import pytest
from repository import text_of

import sk2layer
from sk2layer import callbacks, export, inspection, model_selection, preprocessing

PACKAGE, TESTS = Path(sk2layer.__file__).parent, Path(__file__).parent
FILES = sorted(path for path in PACKAGE.rglob("*.py"))
FOLDERS = sorted(path.parent.name for path in PACKAGE.glob("*/__init__.py"))

# From the bottom: a room, a folder or a file of its own, imports from the floors below it.
HOUSE = [
    {"_typing", "solvers", "version"},
    {"model"},
    {"rows"},
    {"objective"},
    {"evidence"},
    {"estimator"},
    {"cluster"},
    {"classifier", "inspection", "preprocessing", "regressor"},
    {"__init__", "callbacks", "displays", "export", "model_selection", "onnx", "pipeline"},
]
FLOOR = {room: number for number, rooms in enumerate(HOUSE) for room in rooms}
WITHOUT_DASK = {"solvers", "model", "rows", "objective", "evidence", "estimator"}
USED_WHERE_THEY_ARE_ASKED_FOR = {"dask", "distributed", "matplotlib", "onnx", "skl2onnx"}

MAX_ROOMS, MAX_FLOORS = 20, 9
MAX_FUNCTION_LINES, MEDIAN_FUNCTION_LINES, MAX_FILE_LINES = 40, 10, 300
PRIVATE_OF_OTHERS = {
    "estimator.origin": {"_slopes_of"},  # of steps before a network, which stand on a higher floor
    "cluster.input": {"_meta", "_meta_nonempty"},  # of Dask, the only way to an example of a row
    "estimator.callback_support": {"_skl_callbacks", "_init_callback_context"},  # of scikit-learn
}
"""What has no public name."""

WHAT_IT_IS = 55
"""The column of CONTRIBUTING's map where it begins."""

REASON = "# Longer than 300 lines: "


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


def room_of(path):
    return path.relative_to(PACKAGE).with_suffix("").parts[0]


def modules_imported(path):
    """Return the names of the files of ours that a file imports from."""
    known = {name_of(other).removesuffix(".__init__"): name_of(other) for other in FILES}
    parts = (name.split(".") for name in imported(path) if name.startswith("sk2layer."))
    names = {".".join(part[1:end]) for part in parts for end in (len(part), len(part) - 1)}
    return {known[name] for name in names & known.keys()}


def words(path):
    """Return all names and strings of a file's code, without docstrings."""
    docstrings = {id(node.value) for node in ast.walk(tree_of(path)) if isinstance(node, ast.Expr)}
    nodes = (node for node in ast.walk(tree_of(path)) if id(node) not in docstrings)
    return {value for node in nodes for _, value in ast.iter_fields(node) if isinstance(value, str)}


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


def test_the_house_is_small():
    assert {room_of(path) for path in FILES} == FLOOR.keys()
    assert len(FLOOR) <= MAX_ROOMS
    assert len(HOUSE) <= MAX_FLOORS


def rooms_on_the_map():
    """Yield what CONTRIBUTING says that there is: room and file, from the top. Names end where what they are begins."""
    text = text_of("CONTRIBUTING.md")
    room = ""
    for line in text.partition("sk2layer/\n")[2].partition("```")[0].splitlines():
        names = line[:WHAT_IT_IS].split()
        if line[2] != " ":
            room = names.pop(0).removesuffix("/") if names[0].endswith("/") else ""
        yield from ((room, name) for name in names)


def test_the_map_names_all_that_there_is():
    there = {path.relative_to(PACKAGE).with_suffix("").parts for path in FILES if not path.name.startswith("_")}
    found = [(room, name) if room else (name,) for room, name in rooms_on_the_map()]
    assert set(found) == there - {("version",)}
    assert len(found) == len(set(found))


def test_the_map_is_in_the_order_of_the_floors():
    inner = [room for room, _ in rooms_on_the_map() if room]
    assert [FLOOR[room] for room in inner] == sorted((FLOOR[room] for room in inner), reverse=True)


@every_file
def test_imports_run_down(path):
    room = room_of(path)
    assert not {other for other in rooms(path) - {room} if FLOOR[other] >= FLOOR[room]}


def test_no_imports_run_in_a_circle():
    """Also within a folder."""
    TopologicalSorter({name_of(path): modules_imported(path) for path in FILES}).prepare()


@pytest.mark.parametrize("path", [path for path in FILES if room_of(path) == "solvers"], ids=name_of)
def test_solvers_import_nothing_of_ours_outside_themselves(path):
    assert rooms(path) <= {"solvers"}


@pytest.mark.parametrize("path", [path for path in FILES if room_of(path) != "cluster"], ids=name_of)
def test_only_the_face_of_the_package_knows_the_cluster(path):
    assert "cluster" not in rooms(path) or name_of(path) == "__init__"


@pytest.mark.parametrize("path", [path for path in FILES if room_of(path) in WITHOUT_DASK], ids=name_of)
def test_below_the_cluster_nobody_has_heard_of_dask(path):
    assert not {word for word in words(path) if "dask" in word.lower()}


def test_tests_have_the_folders_of_the_package():
    assert sorted({path.parent.name for path in TESTS.glob("*/test_*.py")}) == FOLDERS


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
    assert not known or name_of(path) == "estimator.callback_support"


@every_file
def test_nobody_reaches_into_the_privacy_of_a_module(path):
    """What begins with an underscore is for its own module or package."""
    private = {name for name in imported(path) if name.startswith("sk2layer.") and name.split(".")[-1].startswith("_")}
    assert private <= {"sk2layer._typing"}


def private(name):
    return name.startswith("_") and not name.startswith("__")


@cache
def defined_in(room):
    """Return the names of the attributes and methods that a room's classes have."""
    names = set()
    for path in FILES:
        for node in ast.walk(tree_of(path)) if room_of(path) == room else ():
            if isinstance(node, ast.FunctionDef):
                names.add(node.name)
            elif isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store):
                names.add(node.attr)
            elif isinstance(node, ast.AnnAssign | ast.Assign):
                targets = [node.target] if isinstance(node, ast.AnnAssign) else node.targets
                names |= {target.id for target in targets if isinstance(target, ast.Name)}
    return names


def private_attributes_of_others(path):
    """Return those read of anything but `self`, a class that is derived from, or `super()`; also by name."""
    for node in ast.walk(tree_of(path)):
        if isinstance(node, ast.Attribute) and private(node.attr):
            owner = ast.unparse(node.value)
            if owner not in ("self", "cls", "super()") and not owner[0].isupper():
                yield node.attr
        elif isinstance(node, ast.Call) and ast.unparse(node.func) in ("getattr", "hasattr"):
            owner, name = node.args[:2]
            if isinstance(name, ast.Constant) and private(name.value) and ast.unparse(owner) != "self":
                yield name.value


@every_file
def test_nobody_reaches_into_the_privacy_of_an_object_of_another_room(path):
    """What others may ask of a fitted network stands in `estimator.reach` and `estimator.by_evidence`."""
    known = defined_in(room_of(path)) | PRIVATE_OF_OTHERS.get(name_of(path), set()) | {"_replace", "_asdict"}
    assert not set(private_attributes_of_others(path)) - known


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
    """With their docstrings, unless a comment says why not."""
    lines = path.read_text(encoding="utf-8").splitlines()
    assert len(lines) <= MAX_FILE_LINES or any(line.startswith(REASON) for line in lines)


@every_file
def test_the_first_sentence_says_what_a_file_answers(path):
    docstring = ast.get_docstring(tree_of(path))
    assert docstring
    assert docstring.split("\n\n")[0].rstrip().endswith((".", "?", ":"))


def test_public_names_are_those_of_the_contract():
    displays = {"AverageSlopes", "LossCurve", "Network", "PartialDependenceBand", "PredictionInterval", "Relevance"}
    assert {f"{name}Display" for name in displays} == set(importlib.import_module("sk2layer.displays").__all__)
    assert callbacks.__all__ == ["Checkpoint"]
    assert export.__all__ == ["to_code"]
    assert model_selection.__all__ == ["EvidenceSearch"]
    assert inspection.__all__ == ["average_slopes", "drop_inputs", "leverage", "partial_dependence"]
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


@every_file
def test_optional_packages_are_imported_where_they_are_used(path):
    """In a function, and not with the module."""
    inside = {id(node) for function in functions(path) for node in ast.walk(function)}
    at_once = {name for node in ast.walk(tree_of(path)) if id(node) not in inside for name in names_imported_by(node)}
    assert not {name.split(".")[0] for name in at_once} & USED_WHERE_THEY_ARE_ASKED_FOR


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
