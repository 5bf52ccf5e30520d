"""Where the page of a class in our documentation is, which notebooks link to from the picture of an estimator."""

from typing import ClassVar

DOCUMENTATION = "https://sk2layer.readthedocs.io/en/stable"


class Documented:
    """A class with a page of its own in our documentation; goes before `BaseEstimator`, which asks for the link."""

    _doc_link_module: ClassVar[str] = __name__.partition(".")[0]
    _doc_link_template: ClassVar[str] = DOCUMENTATION + "/generated/{name}.html"

    def _doc_link_url_param_generator(self) -> dict[str, str]:
        """Return the name by which the class is imported."""
        return {"name": f"{type(self).__module__}.{type(self).__name__}"}
