"""Whatever comes as data and parameters: is there a fit that is finite, or an error that says what is wrong?

What comes is made up by hypothesis: shapes, types, scales, weights and parameters, most of them possible by themselves,
and strange together. With --hypothesis-profile=long thousands are, and others each time.
"""

import re
import warnings

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from scipy import sparse

from sk2layer import TwoLayerClassifier, TwoLayerRegressor
from sk2layer.model.activations import ACTIVATIONS

NAMED = re.compile(
    r"\b(X|y|sample_weight|X_val|y_val|n_samples|n_features|numbers of samples|class|classes|label|labels|weights?|"
    r"feature|hidden_units|activation|solver|alpha|standardize|max_iter|tol|early_stopping|validation_fraction|"
    r"n_iter_no_change|n_init|restarts|warm_start|n_jobs|verbose|class_weight|diverged)\b"
)
"""What an error is about: one of these is in each."""

PARAMETERS = {
    "hidden_units": st.sampled_from([1, 2, 3, 7, 0, -1, 2.5, None, "3", np.int32(2)]),
    "activation": st.sampled_from([*ACTIVATIONS, "logistic", None]),
    "solver": st.sampled_from(["auto", "gd", "sgd", "adam", "lbfgs", "lm", "newton", 3]),
    "alpha": st.sampled_from(["auto", "evidence", "ard", 0.0, 1e-12, 1.0, 1e12, 1e300, -1.0, np.nan, np.inf, "much"]),
    "standardize": st.sampled_from([True, False, "yes"]),
    "max_iter": st.sampled_from([1, 2, 10, 0, 1.5]),
    "tol": st.sampled_from([0.0, 1e-4, 1e10, -1.0, np.nan]),
    "early_stopping": st.booleans(),
    "validation_fraction": st.sampled_from([0.1, 0.5, 0.999, 0.0, 1.0]),
    "n_init": st.sampled_from([1, 2, 0]),
    "restarts": st.sampled_from(["best", "average", "worst"]),
}

NUMBERS = st.one_of(
    st.sampled_from([0.0, 1.0, -1.0, 2.0]),
    st.floats(-10.0, 10.0, allow_subnormal=False),
    st.floats(allow_nan=False, allow_infinity=False),
)
STRANGE = st.sampled_from([np.nan, np.inf, -np.inf, 1e308, -1e308, 5e-324])


@st.composite
def matrices(draw, n_samples):
    """Return rows, whose columns are of scales of their own, in one of the containers that are taken."""
    n_features = draw(st.sampled_from([1, 2, 3, 5, 0]))
    seed = draw(st.integers(0, 2**16))
    X = np.random.default_rng(seed).normal(size=(n_samples, n_features))
    X *= (
        10.0 ** np.array(draw(st.lists(st.sampled_from([0, 0, 3, -3, 150, -150]), min_size=5, max_size=5)))[:n_features]
    )
    if draw(st.booleans()) and n_features:
        X[:, 0] = draw(NUMBERS)
    if draw(st.integers(0, 5)) == 0 and X.size:
        X.flat[0] = draw(STRANGE)
    if draw(st.booleans()):
        X = np.repeat(X[: max(1, n_samples // 2)], 2, axis=0)[:n_samples]
    containers = [np.asarray, np.asarray, np.float32, pd.DataFrame, sparse.csr_array, np.ndarray.tolist, np.ravel]
    with warnings.catch_warnings(action="ignore"):  # of numbers that float32 has not
        return draw(st.sampled_from([*containers, lambda X: X.astype(object), lambda X: X > 0.0, np.asfortranarray]))(X)


@st.composite
def targets(draw, n_samples, labels):
    """Return numbers or labels, in most cases as many as there are rows."""
    n_samples = draw(st.sampled_from([n_samples] * 9 + [n_samples + 1]))
    if labels:
        values = st.sampled_from(
            draw(st.sampled_from([["a", "b"], [0, 1, 2], [True, False], [-1.0, 1.0], ["a", 1], [3]]))
        )
    else:
        values = draw(
            st.sampled_from([NUMBERS, st.integers(-3, 3), st.just(4.0), NUMBERS, st.one_of(NUMBERS, STRANGE)])
        )
    shape = draw(st.sampled_from([(n_samples,), (n_samples,), (n_samples, 1), (n_samples, 2), (n_samples, 2, 1)]))
    size = int(np.prod(shape))
    y = draw(st.lists(values, min_size=size, max_size=size))
    return np.array(y, dtype=object if len({type(value) for value in y}) > 1 else None).reshape(shape)


@st.composite
def weights(draw, n_samples):
    """Return weights: none, counts, or numbers of any size."""
    one = draw(st.sampled_from([None, st.integers(0, 3), st.floats(0.0, 1e300), st.just(0.0), st.floats(-1.0, 1.0)]))
    return None if one is None else np.array(draw(st.lists(one, min_size=n_samples, max_size=n_samples)), dtype=float)


@st.composite
def cases(draw, labels):
    """Return parameters, of which few are strange at a time, and data."""
    n_samples = draw(st.sampled_from([1, 2, 3, 5, 8, 20, 0]))
    chosen = draw(st.lists(st.sampled_from(sorted(PARAMETERS)), max_size=4, unique=True))
    params = {"max_iter": 10, "hidden_units": 2, **{name: draw(PARAMETERS[name]) for name in chosen}}
    return params, draw(matrices(n_samples)), draw(targets(n_samples, labels)), draw(weights(n_samples))


def fit_or_say_why(Estimator, case):
    """Return the fitted estimator and its outputs, or None where an error has said what is wrong."""
    params, X, y, weight = case
    with warnings.catch_warnings(action="ignore"):
        try:
            model = Estimator(random_state=0, **params).fit(X, y, weight)
        except (ValueError, TypeError) as error:
            if NAMED.search(str(error)):
                return None
            raise
        outputs = [model.predict_proba(X)] if Estimator is TwoLayerClassifier else [model.predict(X)]
        if Estimator is TwoLayerRegressor and model.penalty_ in ("evidence", "ard"):
            outputs += [*model.predict(X, return_std=True), model.predict_interval(X)]
    return model, outputs


@pytest.mark.parametrize("Estimator", [TwoLayerRegressor, TwoLayerClassifier])
@settings(suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(data=st.data())
def test_a_fit_is_finite_or_says_why_not(Estimator, data):
    fitted = fit_or_say_why(Estimator, data.draw(cases(labels=Estimator is TwoLayerClassifier)))
    if fitted is not None:
        model, outputs = fitted
        arrays = [*model.coefs_, *model.intercepts_, np.atleast_1d(model.loss_), *outputs]
        assert all(np.isfinite(array).all() for array in arrays)
