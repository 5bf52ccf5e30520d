"""Where a public class is: its page in the documentation, and the module that users import it from."""

from typing import Any, ClassVar

DOCUMENTATION = "https://sk2layer.readthedocs.io/en/stable"


class Documented:
    """A class with a page of its own in our documentation; goes before `BaseEstimator`, which asks for the link."""

    _doc_link_module: ClassVar[str] = __name__.partition(".")[0]
    _doc_link_template: ClassVar[str] = DOCUMENTATION + "/generated/{name}.html"

    def _doc_link_url_param_generator(self) -> dict[str, str]:
        """Return the name by which the class is imported."""
        return {"name": f"{type(self).__module__}.{type(self).__name__}"}


def of_module(module: str, *items: Any) -> None:
    """Set `__module__` of classes and functions to the module that users import from, also in stored files."""
    for item in items:
        item.__module__ = module
        if "__firstlineno__" in vars(item):  # from Python 3.13 on: a line of another file than that of the module
            del item.__firstlineno__
