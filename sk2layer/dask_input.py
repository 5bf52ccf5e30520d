"""What do estimators do with rows from Dask, and what not? Nothing of Dask is imported before such are there."""

from collections.abc import Callable
from functools import wraps
from typing import Any, Concatenate, ParamSpec, TypeVar, cast

from .data import is_dask

P = ParamSpec("P")
T = TypeVar("T")


def check_fit_on_dask(estimator: Any, X_val: Any) -> None:
    """Raise ValueError where a fit asks for what needs its rows in one place."""
    if estimator._takes_batches():
        raise ValueError(
            "solver must be 'gd', 'lbfgs', 'lm' or 'auto' where X comes from Dask; 'sgd' and 'adam' "
            f"take its blocks one by one through partial_fit, in memory. Got {estimator.solver!r}."
        )
    if is_dask(X_val):
        raise ValueError("X_val must be in memory, also where X comes from Dask. Got a Dask collection.")
    if estimator.early_stopping and X_val is None:
        raise ValueError("early_stopping=True needs X_val and y_val where X comes from Dask.")


def lazy_on_dask(method: Callable[Concatenate[Any, Any, P], T]) -> Callable[Concatenate[Any, Any, P], T]:
    """Make a method that predicts from rows return Dask arrays where these come from Dask, computed when asked for."""

    @wraps(method)
    def predict(self: Any, X: Any, *args: P.args, **kwargs: P.kwargs) -> T:
        if not is_dask(X):
            return method(self, X, *args, **kwargs)
        from .cluster import map_rows

        return cast(T, map_rows(self, method.__name__, X, *args, **kwargs))

    return cast(Callable[Concatenate[Any, Any, P], T], predict)
