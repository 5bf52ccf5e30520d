"""How much the log evidence and the leave-one-out density lose when an input is left out."""

from numbers import Integral
from typing import Any

import numpy as np
from sklearn.base import clone
from sklearn.utils import Bunch, check_random_state
from sklearn.utils.parallel import Parallel, delayed

from .._typing import Array
from ..estimator.checks import check_rows
from ..estimator.reach import knows_errors, will_be_by_evidence
from .table import as_table, columns_of, network_by_evidence

MAX_SEED = 2**31 - 1


def drop_inputs(
    estimator: Any,
    X: Any,
    y: Any,
    *,
    sample_weight: Any = None,
    n_starts: int = 3,
    n_jobs: int | None = None,
    random_state: Any = None,
) -> Bunch:
    """Fit again without each input, and return what the log evidence and the leave-one-out density change by.

    Parameters
    ----------
    estimator : TwoLayerRegressor or TwoLayerClassifier
        The estimator, fitted by evidence to these data.
    X : {array-like, sparse matrix, DataFrame} of shape (n_samples, n_features)
        The inputs that it was fitted to.
    y : array-like of shape (n_samples,) or (n_samples, n_outputs)
        The targets.
    sample_weight : array-like of shape (n_samples,), optional
        The weights that it was fitted with.
    n_starts : int, default=3
        The number of fits without each input, and with all: the first from the weights of the estimator, the others
        from random ones. The most probable of each is compared.
    n_jobs : int, optional
        The number of processes that share the fits, as joblib has it.
    random_state : int, RandomState instance or None, default=None
        Determines the random weights.

    Returns
    -------
    dropped : Bunch
        With:

        log_evidence_change : ndarray of shape (n_features,)
            The log evidence without the input less that with all. Below 0: the data ask for it.
        loo_change : ndarray of shape (n_features,)
            The same of `loo_log_density_`, the mean over the samples.
        spread : float
            How far the log evidence of the starts differs, the root of the mean variance: a change that is not larger
            says nothing.
        log_evidence : ndarray of shape (n_features + 1, n_starts)
            Of all fits; the last row is that with all inputs.
        feature_names : list of str
            The names of the inputs.

    Raises
    ------
    ValueError
        If the estimator is a Pipeline or was not fitted by evidence, has one input only, or knows noise that depends on
        the inputs or `y_std`; or if X has other columns than the training data.

    Examples
    --------
    >>> import numpy as np
    >>> from sk2layer import TwoLayerRegressor
    >>> from sk2layer.inspection import drop_inputs
    >>> rng = np.random.default_rng(0)
    >>> X = rng.normal(size=(100, 3))
    >>> y = np.sin(X[:, 0]) + X[:, 1] + 0.1 * rng.normal(size=100)
    >>> model = TwoLayerRegressor(3, random_state=0).fit(X, y)
    >>> found = drop_inputs(model, X, y, n_starts=2, random_state=0)
    >>> (found.log_evidence_change < -found.spread).tolist()
    [True, True, False]
    """
    network, names = network_by_evidence(estimator), columns_of(estimator, as_table(X))
    if network is not estimator or len(names) < 2:
        raise ValueError(f"estimator must be a network itself, with two inputs or more. Got {estimator!r}.")
    if getattr(network, "noise", "constant") != "constant" or knows_errors(network) or not will_be_by_evidence(network):
        raise ValueError(
            "drop_inputs needs parameters that ask for a fit by evidence, noise='constant', and a fit without y_std. "
            f"Got {estimator!r}."
        )
    if not isinstance(n_starts, Integral) or n_starts < 1:
        raise ValueError(f"n_starts must be an int in the range [1, inf). Got {n_starts!r}.")
    values = check_rows(network, X, reset=False)
    means = np.asarray(values.mean(axis=0)).ravel()
    seeds = check_random_state(random_state).randint(MAX_SEED, size=n_starts)
    subsets = [[i for i in range(len(names)) if i != j] for j in range(len(names) + 1)]
    tasks = [(kept, number) for kept in subsets for number in range(n_starts)]
    found = Parallel(n_jobs=n_jobs)(
        delayed(_fit)(network, values[:, kept], y, sample_weight, kept, seeds[number], means if number == 0 else None)
        for kept, number in tasks
    )
    evidence, loo = np.array(found).reshape(len(subsets), n_starts, 2).transpose(2, 0, 1)
    best = evidence.argmax(axis=1)[:, np.newaxis]
    best_evidence, best_loo = (np.take_along_axis(array, best, 1)[:, 0] for array in (evidence, loo))
    return Bunch(
        log_evidence_change=best_evidence[:-1] - best_evidence[-1],
        loo_change=best_loo[:-1] - best_loo[-1],
        spread=float(np.sqrt(np.mean(np.var(evidence, axis=1)))),
        log_evidence=evidence,
        feature_names=names,
    )


def _fit(
    network: Any, X: Any, y: Any, sample_weight: Any, kept: list[int], seed: int, means: Array | None
) -> tuple[float, float]:
    """Return log evidence and leave-one-out density of a fit to some inputs, with `means` of all from its weights."""
    model, start = clone(network).set_params(random_state=seed, n_init=1), {}
    if means is not None and len(network.intercepts_[0]) == network.hidden_units:
        (W1, W2), (b1, b2) = network.coefs_, network.intercepts_
        gone = np.delete(np.arange(len(W1)), kept)
        start = {"coefs_init": [W1[kept], W2], "intercepts_init": [b1 + means[gone] @ W1[gone], b2]}
    model.fit(X, y, sample_weight, **start)
    return model.log_marginal_likelihood_, model.loo_log_density_
