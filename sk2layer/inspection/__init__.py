"""What a fitted network has learned of each input: slopes, dependence and evidence, and where it extrapolates."""

from ..solvers.documentation import of_module
from .dependence import partial_dependence
from .extrapolation import leverage
from .inputs import drop_inputs
from .slopes import average_slopes

__all__ = ["average_slopes", "drop_inputs", "leverage", "partial_dependence"]

of_module(__name__, *(globals()[name] for name in __all__))
