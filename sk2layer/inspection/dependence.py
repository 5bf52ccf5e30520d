"""How the mean prediction changes over one input or two, and how surely."""

from itertools import product
from numbers import Integral
from typing import Any

import numpy as np
from sklearn.utils import Bunch

from .._typing import Array
from ..estimator.by_evidence import posterior_of
from ..estimator.checks import check_rows
from ..estimator.reach import ask, rows_for_network
from ..evidence.averages import covariance_of_means, value_derivatives
from ..evidence.uncertainty import FittedPosterior
from ..model.losses import Loss
from .table import as_table, column, columns_of, link_of, network_by_evidence, replaced


def partial_dependence(
    estimator: Any,
    X: Any,
    features: Any,
    *,
    percentiles: tuple[float, float] = (0.05, 0.95),
    grid_resolution: int | None = None,
) -> Bunch:
    """Return the mean prediction over the rows with one input, or two, set to each value of a grid, and how sure it is.

    Parameters
    ----------
    estimator : TwoLayerRegressor or TwoLayerClassifier, or a Pipeline that ends in one
        The estimator, fitted by evidence.
    X : {array-like, DataFrame} of shape (n_samples, n_features)
        The rows over which the mean is taken, as the estimator takes them.
    features : int, str, or sequence of one or two of these
        The inputs, by number or name.
    percentiles : tuple of float, default=(0.05, 0.95)
        Between which quantiles of the input in X the grid lies. An input of other things than numbers has all its
        values for a grid.
    grid_resolution : int, optional
        The number of values of the grid; by default 50 of one input, and 15 of each of two. An input of fewer numbers
        has these for a grid.

    Returns
    -------
    dependence : Bunch
        With:

        average : ndarray of shape (n_outputs, n_values) or (n_outputs, n_values_0, n_values_1)
            The mean predictions; of a classifier the probabilities, of two classes that of the second.
        std : ndarray like average
            Their standard deviations, without the noise.
        covariance : ndarray of shape (n_outputs, n_points, n_points)
            Of all points of the grid, in the order of the raveled `average`: how sure a difference of two is.
        grid_values : list of ndarrays of shape (n_values,)
            The values of each input.
        feature_names : list of str
            The names of the inputs.

    Raises
    ------
    ValueError
        If the estimator was not fitted by evidence, or an input is not there.

    See Also
    --------
    sk2layer.displays.PartialDependenceBandDisplay : Draws it.
    sklearn.inspection.partial_dependence : The same for any model, without how sure it is.

    Examples
    --------
    >>> from sklearn.datasets import load_diabetes
    >>> from sk2layer import TwoLayerRegressor
    >>> from sk2layer.inspection import partial_dependence
    >>> X, y = load_diabetes(return_X_y=True, as_frame=True)
    >>> model = TwoLayerRegressor(5, random_state=0).fit(X, y)
    >>> found = partial_dependence(model, X, "bmi", grid_resolution=5)
    >>> found.average.shape, found.std.shape
    ((1, 5), (1, 5))
    """
    X = as_table(X)
    network, columns = network_by_evidence(estimator), columns_of(estimator, X)
    numbers = _numbers(features, columns)
    resolution = (50 if len(numbers) == 1 else 15) if grid_resolution is None else grid_resolution
    _check_grid(percentiles, resolution)
    grids = [_grid(column(X, j), percentiles, resolution) for j in numbers]
    for j, grid in zip(numbers, grids, strict=True):
        if not len(grid):
            raise ValueError(f"X must have values of {columns[j]!r}. All are missing.")
    loss, _ = link_of(network)
    tables = [replaced(X, dict(zip(numbers, point, strict=True))) for point in product(*grids)]
    mean = np.stack([_mean_prediction(estimator, network, table) for table in tables], axis=-1)
    covariance = _covariance(network, [rows_for_network(estimator, table) for table in tables], loss)
    shape = (len(mean), *map(len, grids))
    return Bunch(
        average=mean.reshape(shape),
        std=np.sqrt(np.maximum(np.einsum("kpp->kp", covariance), 0.0)).reshape(shape),
        covariance=covariance,
        grid_values=grids,
        feature_names=[columns[j] for j in numbers],
    )


def _covariance(network: Any, tables: list[Any], loss: Loss | None) -> Array:
    """Return the covariance of the mean predictions over several tables, for each output."""
    k, tables = network.n_outputs_, [check_rows(network, table, reset=False) for table in tables]

    def derivatives(member: FittedPosterior) -> Array:
        share = np.full(tables[0].shape[0], 1.0 / tables[0].shape[0])
        found = np.stack([value_derivatives(member, table, share, loss) for table in tables], axis=1)
        return found.reshape(-1, found.shape[-1])

    whole = covariance_of_means(posterior_of(network), derivatives)
    return np.einsum("opoq->opq", whole.reshape(k, len(tables), k, len(tables)))


def _mean_prediction(estimator: Any, network: Any, table: Any) -> Array:
    """Return the mean of the predictions or the probabilities, shape (n_outputs,)."""
    if not hasattr(network, "classes_"):
        return np.atleast_1d(np.mean(ask(estimator, "predict", table), axis=0))
    return np.mean(ask(estimator, "predict_proba", table), axis=0)[-network.n_outputs_ :]


def _numbers(features: Any, columns: list[str]) -> list[int]:
    listed = list(features) if isinstance(features, list | tuple | np.ndarray) else [features]
    found = [_number(feature, columns) for feature in listed]
    if len({*found}) not in (1, 2) or len({*found}) < len(found):
        raise ValueError(f"features must be one input or two different ones. Got {features!r}.")
    return found


def _number(feature: Any, columns: list[str]) -> int:
    if feature in columns:
        return columns.index(feature)
    if feature in range(len(columns)):
        return int(feature)
    raise ValueError(f"features must be of {columns}, or numbers below {len(columns)}. Got {feature!r}.")


def _check_grid(percentiles: Any, resolution: Any) -> None:
    if not isinstance(resolution, Integral) or resolution < 1:
        raise ValueError(f"grid_resolution must be an int in the range [1, inf). Got {resolution!r}.")
    if np.shape(percentiles) != (2,) or not 0.0 <= percentiles[0] < percentiles[1] <= 1.0:
        raise ValueError(f"percentiles must be two floats, 0 <= low < high <= 1. Got {percentiles!r}.")


def _grid(values: Any, percentiles: tuple[float, float], resolution: int) -> Any:
    if values.dtype.kind not in "iuf":
        return np.array(sorted({value for value in values.tolist() if value == value and value is not None}))
    values = values[np.isfinite(values)]
    found = np.unique(values)
    if len(found) <= resolution:
        return found
    low, high = np.quantile(values, percentiles)
    return np.linspace(low, high, resolution)
