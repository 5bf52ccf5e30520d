"""What a fitted network has learned of each input: slopes, dependence and evidence, and where it extrapolates."""

from .dependence import partial_dependence
from .extrapolation import leverage
from .inputs import drop_inputs
from .slopes import average_slopes

__all__ = ["average_slopes", "drop_inputs", "leverage", "partial_dependence"]

for _name in __all__:
    globals()[_name].__module__ = __name__  # where it is imported from: its own file may move
