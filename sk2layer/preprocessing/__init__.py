"""What becomes of the columns of a table before a network: numbers of all, and ramps between quantiles."""

from .encoder import PiecewiseLinearEncoder

__all__ = ["PiecewiseLinearEncoder"]

for _name in __all__:
    globals()[_name].__module__ = __name__  # where it is imported from: its own file may move
