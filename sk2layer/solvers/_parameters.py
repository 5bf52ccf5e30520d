"""Which values a parameter may have: rules, and one check whose error names the parameter, the rule and the value.

This is the one place that uses private names of scikit-learn.
"""

from numbers import Integral, Real
from typing import Any

from sklearn.utils._param_validation import Interval, Options, StrOptions, validate_parameter_constraints

INFINITY = Options(Real, {float("inf")})
"""The rule for infinity, as a number that is never reached."""


def integer(low: int) -> Any:
    """Return the rule for an integer of at least `low`."""
    return Interval(Integral, low, None, closed="left")


def real(low: float, high: float | None = None, closed: str = "left") -> Any:
    """Return the rule for a number between `low` and `high`; `closed` says which bounds are included."""
    return Interval(Real, low, high, closed=closed)


def choice(*names: str) -> Any:
    """Return the rule for one of several names."""
    return StrOptions(set(names))


def check_parameters(estimator: Any) -> None:
    """Check the parameters of an object against its `_parameter_constraints`.

    Raises
    ------
    ValueError
        Names the parameter, what it must be, and what it is. The error is a `TypeError` as well.
    """
    constraints = estimator._parameter_constraints
    validate_parameter_constraints(constraints, estimator.get_params(deep=False), type(estimator).__name__)
