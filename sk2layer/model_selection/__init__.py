"""Which of several models is the best one: searches that need no validation data."""

from ..solvers.documentation import of_module
from .search import EvidenceSearch

__all__ = ["EvidenceSearch"]

of_module(__name__, *(globals()[name] for name in __all__))
