"""What becomes of the columns of a table before a network: numbers of all, and ramps between quantiles."""

from ..solvers.documentation import of_module
from .encoder import PiecewiseLinearEncoder

__all__ = ["PiecewiseLinearEncoder"]

of_module(__name__, *(globals()[name] for name in __all__))
