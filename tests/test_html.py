"""Does what notebooks show of an estimator link to our documentation, and to something that is there?"""

import html
import inspect
import os
import re
import tomllib
from pathlib import Path
from urllib.parse import unquote

import pytest
from repository import ROOT, text_of
from sklearn.datasets import load_iris
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import sk2layer
from sk2layer import TwoLayerClassifier, TwoLayerRegressor, solvers
from sk2layer.preprocessing import PiecewiseLinearEncoder
from sk2layer.solvers.documentation import DOCUMENTATION

PAGES = Path(os.environ.get("SK2LAYER_HTML", ROOT / "docs" / "_build" / "html")) / "generated"
CLASSES = [TwoLayerRegressor, TwoLayerClassifier, PiecewiseLinearEncoder, *solvers.SOLVERS.values()]
every_class = pytest.mark.parametrize("Class", CLASSES)

links_parameters = pytest.mark.skipif(
    "param-doc-link" not in StandardScaler()._repr_html_(), reason="this release of scikit-learn links no parameters"
)
needs_pages = pytest.mark.skipif(not PAGES.exists(), reason="the documentation has not been built")


def links(estimator):
    """Return the addresses that the display of an estimator links to."""
    return [html.unescape(link) for link in re.findall(r'href="([^"]+)"', estimator._repr_html_())]


def page_name(Class):
    return f"{Class.__module__}.{Class.__name__}.html"


def entries(page):
    """Return the pairs of name and type in the lists of parameters and attributes of a page of the documentation."""
    pattern = r'<dt><strong>(.*?)</strong><span class="classifier">(.*?)</span></dt>'
    text = (PAGES / page).read_text(encoding="utf-8")
    return {tuple(html.unescape(re.sub("<[^>]*>", "", part)) for part in pair) for pair in re.findall(pattern, text)}


@every_class
def test_a_class_links_to_its_page(Class):
    assert f"{DOCUMENTATION}/generated/{page_name(Class)}" in links(Class())


def test_the_address_is_that_of_the_project():
    project = tomllib.loads(text_of("pyproject.toml"))["project"]
    assert project["urls"]["Documentation"] == DOCUMENTATION


def test_classes_of_others_do_not_link_to_our_pages():
    class Custom(TwoLayerRegressor):
        pass

    assert not any(link.startswith(DOCUMENTATION) for link in links(Custom()))


def test_inside_of_a_pipeline():
    pages = {link.partition("#")[0] for link in links(make_pipeline(StandardScaler(), TwoLayerRegressor()))}
    assert f"{DOCUMENTATION}/generated/sk2layer.TwoLayerRegressor.html" in pages


@links_parameters
@every_class
def test_every_parameter_is_linked_and_described(Class):
    linked = {unquote(link.partition("text=")[2]).partition(",-")[0] for link in links(Class()) if "#" in link}
    assert linked == Class().get_params(deep=False).keys()
    assert Class()._repr_html_().count('<span class="param-doc-description"') == len(linked)


@needs_pages
@every_class
def test_every_page_is_there(Class):
    assert f'id="{page_name(Class).removesuffix(".html")}"' in (PAGES / page_name(Class)).read_text(encoding="utf-8")


@needs_pages
@links_parameters
@every_class
def test_every_link_finds_its_text(Class):
    """What a link of a parameter or fitted attribute looks for stands in the page as it is, quotes included."""
    estimator = Class()
    if hasattr(estimator, "fit"):
        estimator.fit(*load_iris(return_X_y=True))
    base = f"{DOCUMENTATION}/generated/{page_name(Class)}#:~:text="
    wanted = {
        tuple(map(unquote, link.removeprefix(base).split(",-", 1)))
        for link in links(estimator)
        if link.startswith(base)
    }
    assert len(wanted) >= len(estimator.get_params(deep=False))
    assert wanted <= entries(page_name(Class))


def public_methods():
    """Yield public classes, each with a method of ours."""
    for module in [sk2layer, *(getattr(sk2layer, room) for room in sk2layer.ROOMS)]:
        for Class in filter(inspect.isclass, (getattr(module, name) for name in module.__all__)):
            for name, method in inspect.getmembers(Class, callable):
                if str(getattr(method, "__module__", "")).startswith("sk2layer") and not name.startswith("_"):
                    yield Class, name


@needs_pages
@pytest.mark.parametrize(("Class", "method"), [case for case in public_methods() if case[1] != "get_metadata_routing"])
def test_every_public_method_of_ours_is_on_a_page(Class, method):
    page = (PAGES / page_name(Class)).read_text(encoding="utf-8")
    assert f'id="{Class.__module__}.{Class.__name__}.{method}"' in page
