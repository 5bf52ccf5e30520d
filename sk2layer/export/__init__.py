"""How a fitted network is written out as code, for places where there is no library to load it."""

from ..solvers.documentation import of_module
from .code import to_code

__all__ = ["to_code"]

of_module(__name__, *(globals()[name] for name in __all__))
