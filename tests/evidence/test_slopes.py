"""Are slopes the derivatives of what is predicted, and their deviations those of the posterior?"""

from functools import partial

import numpy as np
import pytest
from networks import linearised_draws
from scipy.sparse import csr_array
from sklearn.datasets import make_classification, make_friedman1, make_multilabel_classification
from sklearn.exceptions import NotFittedError
from slow import mostly_slow

from sk2layer import TwoLayerClassifier, TwoLayerRegressor
from sk2layer.evidence import slopes
from sk2layer.evidence.kronecker_posterior import KroneckerPosterior
from sk2layer.evidence.marginal_likelihood import MarginalLikelihood
from sk2layer.model.activations import ACTIVATIONS
from sk2layer.rows import predict

pytestmark = pytest.mark.filterwarnings("ignore:.*has not converged:sklearn.exceptions.ConvergenceWarning")  # of relu


def regression(seed=0, n=150, k=1):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, 3)) * [1.0, 10.0, 0.1] + [0.0, 5.0, 1.0]
    z = (X - [0.0, 5.0, 1.0]) / [1.0, 10.0, 0.1]
    y = 100.0 * np.sin(z[:, :1]) + 50.0 * z[:, 1:2] * np.arange(1, k + 1) + 20.0 * rng.normal(size=(n, k))
    return X, y if k > 1 else y[:, 0]


def classes(seed=0, n=150, k=2):
    X, y = make_classification(
        n, 4, n_informative=3, n_redundant=0, n_classes=k, n_clusters_per_class=1, flip_y=0.1, random_state=seed
    )
    return X * [1.0, 10.0, 0.1, 1.0], y


def labels(seed=0, n=150):
    return make_multilabel_classification(n, 4, n_classes=3, random_state=seed)


def differences(function, X, step=1e-5):
    """Return derivatives by each input, to the fourth order, along a last axis."""
    found = []
    for j, spread in enumerate(X.std(axis=0)):
        e = step * spread * np.eye(X.shape[1])[j]
        near, far = function(X + e) - function(X - e), function(X + 2.0 * e) - function(X - 2.0 * e)
        found.append((8.0 * near - far) / (12.0 * step * spread))
    return np.stack(found, axis=-1)


def assert_close(found, expected, rtol=1e-6):
    """Relative to the size of each input's slopes."""
    scale = np.abs(expected).max(axis=0)
    np.testing.assert_allclose(found / scale, expected / scale, rtol=rtol, atol=rtol)


activations = pytest.mark.parametrize("activation", ACTIVATIONS)
fits = pytest.mark.parametrize("how", [{}, {"solver": "lm"}, {"alpha": 1.0}, {"n_init": 3, "restarts": "average"}])


@activations
@fits
@pytest.mark.parametrize("k", [1, 2])
def test_slopes_are_the_derivatives_of_predictions(activation, how, k):
    X, y = regression(k=k)
    model = TwoLayerRegressor(4, activation=activation, random_state=0, **how).fit(X, y)
    X, _ = regression(seed=1)  # of relu, there are bends at the rows of a fit
    gradient = model.predict_gradient(X)
    assert gradient.shape == ((150, 3) if k == 1 else (150, 2, 3))
    assert_close(gradient, differences(model.predict, X))


def second_class(method, k):
    return (lambda X: method(X)[:, 1]) if k == 2 else method


@activations
@fits
@pytest.mark.parametrize("k", [2, 3])
def test_slopes_are_the_derivatives_of_probabilities(activation, how, k):
    X, y = classes(k=k)
    model = TwoLayerClassifier(4, activation=activation, random_state=0, **how).fit(X, y)
    X, _ = classes(seed=1, k=k)
    gradient = model.predict_gradient(X)
    assert gradient.shape == ((150, 4) if k == 2 else (150, 3, 4))
    assert_close(gradient, differences(second_class(model.predict_proba, k), X))

    assert_close(model.predict_gradient(X, of="decision_function"), differences(model.decision_function, X))


def test_slopes_are_the_derivatives_of_the_probabilities_of_labels():
    X, y = labels()
    model = TwoLayerClassifier(4, random_state=0).fit(X, y)
    gradient, std = model.predict_gradient(X, return_std=True)
    assert gradient.shape == std.shape == (150, 3, 4)
    assert_close(gradient, differences(model.predict_proba, X))


# ------------------------------------------------------------------------------------------------------- deviations


FITS = {
    "exact": (regression, TwoLayerRegressor, {"solver": "lm"}),
    "two outputs": (partial(regression, k=2), TwoLayerRegressor, {"solver": "lm"}),
    "relu": (regression, TwoLayerRegressor, {"activation": "relu"}),
    "two classes, factored": (classes, TwoLayerClassifier, {}),
    "two classes, exact": (classes, TwoLayerClassifier, {"solver": "lm"}),
    "three classes, factored": (partial(classes, k=3), TwoLayerClassifier, {}),
    "three classes, exact": (partial(classes, k=3), TwoLayerClassifier, {"solver": "lm"}),
    "labels, factored": (labels, TwoLayerClassifier, {}),
}


@pytest.mark.parametrize(
    ("several", "name"), mostly_slow([(several, name) for several in (False, True) for name in FITS], len(FITS) + 2)
)
def test_deviations_are_those_of_draws_from_the_posterior(name, several, monkeypatch):
    make, Estimator, how = FITS[name]
    if "factored" in name:
        monkeypatch.setattr(MarginalLikelihood, "_exact", lambda *_: None)
    X, y = make()
    averaged = {"n_init": 3, "restarts": "average"} if several else {}
    model = Estimator(4, random_state=0, **how, **averaged).fit(X, y)
    X, members = X[:10] + 0.01 * X.std(axis=0), model._posterior.members if several else [model._posterior]
    assert ("factored" in name) == isinstance(members[0].posterior, KroneckerPosterior)
    rng = np.random.default_rng(0)
    Z, drawn = (np.concatenate(part) for part in zip(*(linearised_draws(m, X, rng) for m in members), strict=True))
    if Estimator is TwoLayerClassifier:
        link = model._remembered_targets().loss.link_slopes
        drawn = np.stack([link(z) @ s for z, s in zip(Z, drawn, strict=True)])
    _, std = model.predict_gradient(X, return_std=True)
    ratio = std.reshape(drawn.shape[1:]) / drawn.std(axis=0)
    assert np.abs(np.median(ratio) - 1.0) < 0.02
    assert np.mean(np.abs(ratio - 1.0) < 0.05) > (0.9 if Estimator is TwoLayerClassifier else 0.999)


@pytest.mark.parametrize("loss", ["student_t", "poisson", "gamma"])
@pytest.mark.parametrize("k", [1, 2])
def test_slopes_of_other_likelihoods(loss, k):
    """They are the derivatives of what is predicted, and vary as e^z s does for draws of z and s."""
    X, y = regression(k=k)
    if loss != "student_t":
        y = np.random.default_rng(0).poisson(np.exp(y / 200.0)) + float(loss == "gamma")
    model = TwoLayerRegressor(4, loss=loss, random_state=0).fit(X, y)
    gradient, std = model.predict_gradient(X[:30], return_std=True)
    assert gradient.shape == std.shape == (30, *[k] * (k > 1), 3)
    assert_close(gradient, differences(model.predict, X[:30]))
    (moments,) = model._posterior.slope_moments(X[:3])
    draws = np.random.default_rng(1).normal(size=(200_000, 2))
    for row, output, f in [(0, 0, 0), (1, k - 1, 1), (2, 0, 2)]:
        value, cross, own = (
            moments.covariance.value[row],
            moments.covariance.cross[row, f],
            moments.covariance.own[row, f],
        )
        covariance = np.array([[value, cross], [cross, own]])[:, :, output, output]
        z, s = np.linalg.cholesky(covariance) @ draws.T
        z, s = z + moments.Z[row, output], s + moments.slopes[row, f, output]
        expected = (s if loss == "student_t" else np.exp(z) * s).std()
        np.testing.assert_allclose(std.reshape(30, k, 3)[row, output, f], expected, rtol=0.02)


@pytest.mark.parametrize("k", [2, 3])
def test_deviations_of_log_odds_are_those_of_the_raw_prediction_moderated(k):
    X, y = classes(k=k)
    model = TwoLayerClassifier(4, random_state=0).fit(X, y)
    X = X[:10]
    _, slopes_ = linearised_draws(model._posterior, X, np.random.default_rng(0))
    _, std = model.predict_gradient(X, return_std=True, of="decision_function")
    raw = model._raw_prediction(X)
    raw = raw - raw.mean(axis=1, keepdims=True) if k > 2 else raw
    slopes_ = slopes_ - slopes_.mean(axis=2, keepdims=True) if k > 2 else slopes_
    factor = model.decision_function(X).reshape(raw.shape) / raw
    np.testing.assert_allclose(std.reshape(slopes_.shape[1:]), slopes_.std(axis=0) * factor[..., np.newaxis], rtol=0.05)


def test_deviations_of_slopes_do_not_depend_on_blocks_and_threads(monkeypatch):
    X, y = regression()
    model = TwoLayerRegressor(4, random_state=0).fit(X, y)
    expected = model.predict_gradient(X, return_std=True)
    monkeypatch.setattr(slopes, "SLOPE_BYTES", 2**17)
    for n_jobs in (1, 2):
        found = model.set_params(n_jobs=n_jobs).predict_gradient(X, return_std=True)
        np.testing.assert_allclose(found, expected, rtol=1e-10)


def test_slopes_of_many_rows_are_those_of_each(monkeypatch):
    X, y = regression()
    model = TwoLayerRegressor(4, alpha=1.0, random_state=0).fit(X, y)
    expected = np.vstack([model.predict_gradient(row[np.newaxis]) for row in X])
    monkeypatch.setattr(predict, "PREDICT_BYTES", 1)
    monkeypatch.setattr(predict, "PASS_OPERATIONS", 1)
    for n_jobs in (1, 2):
        np.testing.assert_allclose(model.set_params(n_jobs=n_jobs).predict_gradient(X), expected, rtol=1e-12)


@pytest.mark.parametrize("Estimator", [TwoLayerRegressor, TwoLayerClassifier])
def test_slopes_of_sparse_rows_and_of_float32(Estimator):
    X, y = regression() if Estimator is TwoLayerRegressor else classes()
    X = np.maximum(X, np.median(X, axis=0)) - np.median(X, axis=0)
    model = Estimator(4, random_state=0).fit(X, y)
    expected = model.predict_gradient(X, return_std=True)
    np.testing.assert_allclose(model.predict_gradient(csr_array(X), return_std=True), expected, rtol=1e-9)
    model.fit(X.astype(np.float32), y)
    found = model.predict_gradient(X.astype(np.float32), return_std=True)
    assert [array.dtype for array in found] == [np.float32] * 2
    scale = np.abs(expected[0]).max(axis=0)
    np.testing.assert_allclose(found / scale, np.stack(expected) / scale, atol=0.05)  # two searches for the penalty


def test_a_constant_input_has_no_slope():
    X, y = regression()
    X[:, 1] = 7.0
    gradient, std = TwoLayerRegressor(4, random_state=0).fit(X, y).predict_gradient(X, return_std=True)
    assert not gradient[:, 1].any()
    assert not std[:, 1].any()


def test_one_column_of_targets_keeps_its_axis():
    X, y = regression()
    model = TwoLayerRegressor(4, random_state=0).fit(X, y[:, np.newaxis])
    assert [array.shape for array in model.predict_gradient(X, return_std=True)] == [(150, 1, 3)] * 2


@pytest.mark.parametrize("Estimator", [TwoLayerRegressor, TwoLayerClassifier])
def test_what_cannot_be_said_of_slopes(Estimator):
    X, y = classes()
    with pytest.raises(NotFittedError):
        Estimator().predict_gradient(X)
    model = Estimator(4, alpha=1.0, random_state=0).fit(X, y)
    with pytest.raises(ValueError, match="needs a fit by evidence"):
        model.predict_gradient(X, return_std=True)
    if Estimator is TwoLayerClassifier:
        with pytest.raises(ValueError, match="of must be 'predict_proba' or 'decision_function'"):
            model.predict_gradient(X, of="predict")


def test_intervals_of_slopes_cover_the_slopes_of_a_known_function():
    """Friedman's first function, half of whose inputs are irrelevant; the slopes are those at new rows."""
    covered = []
    for seed in range(5):
        X, y = make_friedman1(300, noise=1.0, random_state=seed)
        new, _ = make_friedman1(1000, random_state=100 + seed)
        angle, true = np.pi * new[:, 0] * new[:, 1], np.zeros_like(new)
        true[:, :2] = 10.0 * np.pi * new[:, [1, 0]] * np.cos(angle)[:, np.newaxis]
        true[:, 2:5] = np.column_stack([40.0 * (new[:, 2] - 0.5), np.full(1000, 10.0), np.full(1000, 5.0)])
        model = TwoLayerRegressor(10, random_state=seed).fit(X, y)
        gradient, std = model.predict_gradient(new, return_std=True)
        covered.append(np.mean(np.abs(gradient - true) < 1.96 * std, axis=0))
    assert 0.9 < np.mean(covered) < 0.98
    assert np.mean(covered, axis=0).min() > 0.8
