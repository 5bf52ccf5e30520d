"""How much the prediction changes with each input, in the mean, and how surely."""

import importlib
from typing import Any

import numpy as np
from scipy.stats import norm
from sklearn.utils import Bunch, gen_batches

from .._typing import Array
from ..estimator.by_evidence import posterior_of
from ..estimator.checks import check_rows, check_weight
from ..estimator.origin import gradient, steps_of, with_slopes
from ..evidence.averages import Direction, covariance_of_means, slope_derivatives
from ..evidence.uncertainty import FittedPosterior
from ..model.losses import Loss
from .table import as_table, columns_of, link_of, names_of_outputs, network_by_evidence, spreads_of

MEANS_BYTES = 2**26
"""Of derivatives of means by the parameters, of so many inputs at a time."""


def average_slopes(
    estimator: Any, X: Any, *, sample_weight: Any = None, of: str = "predict_proba", as_frame: bool = False
) -> Bunch:
    """Return the mean slope of each input, with its standard error: how important it is, with a sign.

    Parameters
    ----------
    estimator : TwoLayerRegressor or TwoLayerClassifier, or a Pipeline that ends in one
        The estimator, fitted by evidence. Of a Pipeline the inputs are its columns, where each step says which column
        its outputs come from.
    X : {array-like, sparse matrix, DataFrame} of shape (n_samples, n_features)
        The rows over which the mean is taken, as the estimator takes them: those of the training data, or others.
    sample_weight : array-like of shape (n_samples,), optional
        The weights of the rows in the mean.
    of : {"predict_proba", "decision_function"}, default="predict_proba"
        Of a classifier, whether the slopes are those of the probabilities or of the log odds.
    as_frame : bool, default=False
        Whether to return a table of pandas, too, a row for each input, and for each output where there are several.

    Returns
    -------
    slopes : Bunch
        With arrays of shape (n_features,), or (n_outputs, n_features) where there are several outputs or classes:

        slope : ndarray
            The mean over the rows of what `predict_gradient` returns. Rows in which a value is missing are left out,
            and for a column of text it is NaN.
        standard_error : ndarray
            That of the mean. The rows share the error of the fit: it is by their whole covariance.
        z : ndarray
            The slope by its standard error.
        p_value : ndarray
            The probability of a z that is farther from 0, if there were no slope.
        spread : ndarray of shape (n_features,)
            The standard deviation of each input in X. The slope times the spread compares inputs of different units.
        feature_names : list of str
            The names of the inputs.
        frame : DataFrame
            Only with `as_frame`.

    Raises
    ------
    ValueError
        If the estimator was not fitted by evidence, or a step of a Pipeline mixes columns.

    See Also
    --------
    sk2layer.displays.AverageSlopesDisplay : Draws them.
    sklearn.inspection.permutation_importance : Importance without a sign, for any model.

    Notes
    -----
    The rows are taken as they are: the standard error is what the fit leaves open, not how another sample of rows would
    differ. Of a mean of networks it includes how far they disagree. An input that acts up here and down there may have
    the mean slope 0: :func:`partial_dependence` shows it.

    Examples
    --------
    >>> from sklearn.datasets import load_diabetes
    >>> from sk2layer import TwoLayerRegressor
    >>> from sk2layer.inspection import average_slopes
    >>> X, y = load_diabetes(return_X_y=True, as_frame=True)
    >>> model = TwoLayerRegressor(5, random_state=0).fit(X, y)
    >>> found = average_slopes(model, X)
    >>> sorted(found.feature_names[j] for j in abs(found.slope * found.spread).argsort()[-2:])
    ['bmi', 's5']
    """
    X = as_table(X)
    network, names = network_by_evidence(estimator), columns_of(estimator, X)
    loss, options = link_of(network, of)
    steps = steps_of(estimator)[:-1]
    slopes, *_ = gradient(steps, network, X, **options)
    slopes = slopes[:, np.newaxis] if slopes.ndim == 2 else slopes
    known = np.isfinite(slopes[:, 0])
    weight = check_weight(sample_weight, len(slopes))
    share = known * (np.ones(len(slopes)) if weight is None else weight)[:, np.newaxis]
    share = share / np.where(known.any(axis=0), share.sum(axis=0), np.nan)
    mean = np.einsum("nd,nkd->kd", share, np.where(known[:, np.newaxis], slopes, 0.0))
    rows, origin, factor = with_slopes(steps, X)
    directions = [Direction(i, factor[:, i]) for i in (np.flatnonzero(origin == j) for j in range(len(names)))]
    error = _standard_errors(network, check_rows(network, rows, reset=False), directions, share, loss, of)
    with np.errstate(divide="ignore", invalid="ignore"):  # of a constant input
        z = mean / error
    found = {"slope": mean, "standard_error": error, "z": z, "p_value": 2.0 * norm.sf(np.abs(z))}
    one = {name: array[0] if len(array) == 1 else array for name, array in found.items()}
    frame = {"frame": _as_frame(found, names, names_of_outputs(network, len(mean)))} if as_frame else {}
    return Bunch(**one, spread=spreads_of(X), feature_names=names, **frame)


def _standard_errors(
    network: Any, X: Any, directions: list[Direction], share: Array, loss: Loss | None, of: str
) -> Array:
    """Return the standard errors of mean slopes, shape (n_outputs, n_features), some directions at a time."""
    k = network.n_outputs_
    size = 8 * k * sum(array.size for array in (*network.coefs_, *network.intercepts_))
    error = np.full((k, len(directions)), np.nan)
    clean = [Direction(inputs, np.nan_to_num(factor)) for inputs, factor in directions]
    for part in gen_batches(len(directions), max(1, MEANS_BYTES // size)):

        def derivatives(member: FittedPosterior, part: slice = part) -> Array:
            found = slope_derivatives(
                member, X, clean[part], np.nan_to_num(share[:, part]), loss, log_odds=of == "decision_function"
            )
            return found.reshape(-1, found.shape[-1])

        variance = covariance_of_means(posterior_of(network), derivatives).diagonal().reshape(-1, k).T
        error[:, part] = np.sqrt(np.maximum(variance, 0.0))
    return np.where(np.isnan(share[0]), np.nan, error)


def _as_frame(found: dict[str, Array], names: list[str], outputs: list[str]) -> Any:
    pd: Any = importlib.import_module("pandas")

    index = pd.Index(names, name="feature")
    if len(outputs) > 1:
        index = pd.MultiIndex.from_product([outputs, names], names=["output", "feature"])
    return pd.DataFrame({name: array.ravel() for name, array in found.items()}, index=index)
