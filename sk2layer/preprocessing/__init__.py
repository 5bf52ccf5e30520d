"""What becomes of the columns of a table before a network: numbers of all, and ramps between quantiles."""

from .encoder import PiecewiseLinearEncoder

__all__ = ["PiecewiseLinearEncoder"]
