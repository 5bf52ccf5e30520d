"""Do MAPIE's conformal intervals around ours cover what they say, also where the likelihood is wrong?"""

import numpy as np
import pytest
from sklearn.base import BaseEstimator, RegressorMixin
from sklearn.datasets import load_iris
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sk2layer import TwoLayerClassifier, TwoLayerRegressor
from sk2layer.pipeline import StackedRegressor, make_table_pipeline

classification = pytest.importorskip("mapie.classification", reason="mapie is not installed")
regression = pytest.importorskip("mapie.regression", reason="mapie is not installed")

every_seed = pytest.mark.parametrize("seed", [0, 1, 2])
LEVEL = 0.9


def counts(seed, n):
    """Counts that vary more than Poisson's do: their rates do, too."""
    rng = np.random.default_rng(seed)
    X = rng.uniform(-2.0, 2.0, (n, 2))
    return X, rng.poisson(np.exp(1.2 + np.sin(2.0 * X[:, 0])) * rng.gamma(2.0, 0.5, n)).astype(float)


def network(seed):
    return TwoLayerRegressor(5, loss="poisson", random_state=seed)


MODELS = {
    "alone": network,
    "in a pipeline": lambda seed: make_pipeline(StandardScaler(), network(seed)),
}
every_model = pytest.mark.parametrize("model_of", MODELS.values(), ids=MODELS)


def covered(ends, y):
    low, high = np.asarray(ends)[:, :, 0].T
    return np.mean((low <= y) & (y <= high))


class Quantile(RegressorMixin, BaseEstimator):
    """A regressor whose prediction is a quantile of another one's, for what takes regressors only."""

    def __init__(self, model, q):
        self.model, self.q = model, q

    def fit(self, X, y):
        return self

    def predict(self, X):
        return self.model.predict_quantile(X, self.q)

    @property
    def n_features_in_(self):
        return self.model.n_features_in_


@every_seed
@every_model
def test_errors_of_rows_set_aside(model_of, seed):
    (X, y), (X_new, y_new) = counts(seed, 500), counts(100 + seed, 4000)
    model = model_of(seed).fit(X[:250], y[:250])
    conformal = regression.SplitConformalRegressor(model, LEVEL).conformalize(X[250:], y[250:])
    mean, ends = conformal.predict_interval(X_new)
    np.testing.assert_array_equal(mean, model.predict(X_new))
    assert LEVEL - 0.06 < covered(ends, y_new) < LEVEL + 0.06


@every_seed
def test_errors_of_folds_and_of_resampled_rows(seed):
    (X, y), (X_new, y_new), model = counts(seed, 150), counts(100 + seed, 2000), MODELS["in a pipeline"](seed)
    folds = regression.CrossConformalRegressor(model, LEVEL, cv=5, random_state=seed)
    resampled = regression.JackknifeAfterBootstrapRegressor(model, LEVEL, resampling=30, random_state=seed)
    for conformal in (folds, resampled):
        _, ends = conformal.fit_conformalize(X, y).predict_interval(X_new)
        assert LEVEL - 0.06 < covered(ends, y_new) < LEVEL + 0.07


@every_seed
def test_quantiles_are_moved_until_they_cover(seed):
    (X, y), (X_new, y_new) = counts(seed, 500), counts(100 + seed, 4000)
    model = network(seed).fit(X[:250], y[:250])
    low, high = model.predict_interval(X_new, LEVEL).T
    assert np.mean((low <= y_new) & (y_new <= high)) < LEVEL - 0.05  # the likelihood is wrong
    quantiles = [Quantile(model, q) for q in (0.5 - 0.5 * LEVEL, 0.5 + 0.5 * LEVEL, 0.5)]
    conformal = regression.ConformalizedQuantileRegressor(quantiles, LEVEL, prefit=True)
    _, ends = conformal.conformalize(X[250:], y[250:]).predict_interval(X_new)
    assert LEVEL - 0.06 < covered(ends, y_new) < LEVEL + 0.07


@every_seed
@pytest.mark.parametrize("scaled", [False, True])
def test_sets_of_classes_hold_the_true_one(scaled, seed):
    X, y = load_iris(return_X_y=True)
    order = np.random.default_rng(seed).permutation(len(y))
    train, conform, test = np.split(order, [50, 100])
    model = TwoLayerClassifier(3, random_state=seed)
    model = (make_pipeline(StandardScaler(), model) if scaled else model).fit(X[train], y[train])
    conformal = classification.SplitConformalClassifier(model, LEVEL).conformalize(X[conform], y[conform])
    predicted, sets = conformal.predict_set(X[test])
    np.testing.assert_array_equal(predicted, model.predict(X[test]))
    assert sets[np.arange(len(test)), y[test], 0].mean() > LEVEL - 0.12
    assert sets.sum(axis=1).mean() < 1.5


def test_tables_and_their_stacked_networks():
    (X, y), (X_new, y_new) = counts(0, 300), counts(100, 1000)
    for model in (StackedRegressor(random_state=0), make_table_pipeline(network(0))):
        conformal = regression.SplitConformalRegressor(model.fit(X[:150], y[:150]), LEVEL)
        _, ends = conformal.conformalize(X[150:], y[150:]).predict_interval(X_new)
        assert LEVEL - 0.07 < covered(ends, y_new) < LEVEL + 0.07
