"""Which values a parameter may have: rules, and one check whose error names the parameter, the rule and the value.

This is the one place that uses private names of scikit-learn.
"""

import inspect
from collections.abc import Callable
from functools import wraps
from numbers import Integral, Real
from typing import Any, Concatenate, ParamSpec, cast

from sklearn.utils._param_validation import Interval, Options, StrOptions, validate_parameter_constraints

INFINITY = Options(Real, {float("inf")})
"""The rule for infinity, as a number that is never reached."""

P = ParamSpec("P")


def integer(low: int) -> Any:
    """Return the rule for an integer of at least `low`."""
    return Interval(Integral, low, None, closed="left")


def real(low: float, high: float | None = None, closed: str = "left") -> Any:
    """Return the rule for a number between `low` and `high`; `closed` says which bounds are included."""
    return Interval(Real, low, high, closed=closed)


class Choice(StrOptions):
    """One of several names, and what to say besides if it is none of them."""

    def __init__(self, names: set[str], note: str) -> None:
        super().__init__(names)
        self.note = note

    def __str__(self) -> str:
        return super().__str__() + self.note


def choice(*names: str, note: str = "") -> Any:
    """Return the rule for one of several names; a note comes after their list."""
    return Choice(set(names), note)


def naming_parameters(init: Callable[Concatenate[Any, P], None]) -> Callable[Concatenate[Any, P], None]:
    """Make an `__init__` that names the class and its parameters where an argument is none of them."""
    signature = inspect.signature(init)

    @wraps(init)
    def checked(self: Any, *args: P.args, **kwargs: P.kwargs) -> None:
        try:
            signature.bind(self, *args, **kwargs)
        except TypeError as error:
            names = ", ".join([*signature.parameters][1:])
            note = " (hidden_layer_sizes of scikit-learn's MLPs is hidden_units)" * ("hidden_layer_sizes" in kwargs)
            raise TypeError(f"{type(self).__name__}: {error}. Its parameters are {names}{note}.") from None
        init(self, *args, **kwargs)

    return cast(Callable[Concatenate[Any, P], None], checked)


def check_parameters(estimator: Any) -> None:
    """Check the parameters of an object against its `_parameter_constraints`.

    Raises
    ------
    ValueError
        Names the parameter, what it must be, and what it is. The error is a `TypeError` as well.
    """
    constraints = estimator._parameter_constraints
    params = {name: getattr(estimator, name) for name in constraints}  # get_params inspects __init__ each time
    validate_parameter_constraints(constraints, params, type(estimator).__name__)
