"""Are public names those by which users import, and by which stored files know them, whatever file they are in?"""

import importlib
import inspect
import pickle
import re
import subprocess
import sys

import pytest
from repository import text_of

import sk2layer

ROOMS = sorted(set(re.findall(r"currentmodule:: sk2layer\.(\w+)", text_of("docs/api.md"))))
MODULES = [sk2layer, *(importlib.import_module(f"sk2layer.{room}") for room in ROOMS)]
PUBLIC = [getattr(module, name) for module in MODULES for name in module.__all__]
DEFINED = [item for item in PUBLIC if inspect.isclass(item) or inspect.isfunction(item)]


def test_the_face_shows_what_is_public_and_nothing_else():
    assert dir(sk2layer) == sorted(["TwoLayerClassifier", "TwoLayerRegressor", "__version__", *ROOMS])
    assert [getattr(sk2layer, room) for room in ROOMS] == MODULES[1:]
    with pytest.raises(AttributeError, match="module 'sk2layer' has no attribute 'regresor'"):
        sk2layer.regresor  # noqa: B018


def test_a_room_need_not_be_imported():
    code = "import sk2layer; print(sk2layer.pipeline.make_table_pipeline.__name__)"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "make_table_pipeline"


@pytest.mark.parametrize("module", MODULES, ids=lambda module: module.__name__)
def test_what_is_public_is_of_the_module_it_is_imported_from(module):
    names = {name for name in module.__all__ if getattr(module, name) in DEFINED}
    assert names
    assert {getattr(module, name).__module__ for name in names} == {module.__name__}


@pytest.mark.parametrize("item", DEFINED, ids=lambda item: item.__name__)
def test_pickles_know_it_by_that_name(item):
    stored = pickle.dumps(item)
    assert item.__module__.encode() in stored
    assert pickle.loads(stored) is item


def test_the_lists_of_what_skops_trusts_hold_public_names_only():
    io = pytest.importorskip("skops.io", reason="skops is not installed")
    model = sk2layer.TwoLayerRegressor(2, solver="lm", alpha=1.0, random_state=0)
    stored = io.dumps(model.fit([[0.0], [1.0], [2.0], [4.0]], [0.0, 1.0, 4.0, 3.0]))
    assert io.get_untrusted_types(data=stored) == [
        "sk2layer.TwoLayerRegressor",
        "sk2layer.solvers.LevenbergMarquardt",
    ]


def test_development_is_told_from_releases():
    """As long as the changelog has an unreleased version on top, and no longer."""
    changelog = text_of("CHANGELOG.md")
    number, unreleased = re.search(r"^## \[([\d.]+)\] - (unreleased)?", changelog, re.MULTILINE).groups()
    assert sk2layer.__version__ == (f"{number}.dev0" if unreleased else number)


@pytest.mark.parametrize("item", [item for item in DEFINED if inspect.isclass(item)], ids=lambda item: item.__name__)
def test_its_source_is_its_own_or_none(item):
    """And not what stands on the same lines of the module's file."""
    try:
        lines, _ = inspect.getsourcelines(item)
    except OSError:
        return
    assert any(f"class {item.__name__}" in line for line in lines)
