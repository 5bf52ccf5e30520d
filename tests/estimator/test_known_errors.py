"""Do rows count by how well they are known, and is the noise what is left, with every solver and container?"""

import numpy as np
import pytest
from scipy.sparse import csr_matrix
from sklearn import config_context
from sklearn.base import clone
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import RBF, ConstantKernel
from sklearn.model_selection import GridSearchCV
from slow import seeds

from sk2layer import TwoLayerClassifier, TwoLayerRegressor
from sk2layer.model_selection import EvidenceSearch
from sk2layer.solvers import SGD, SOLVERS, GradientDescent

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

SMALL = {"hidden_units": 5, "random_state": 0}
GRID = np.linspace(-2.8, 2.8, 200)[:, np.newaxis]


def curve(X):
    return np.sin(1.5 * X[:, 0])


def data(n=200, seed=0, rest=0.0):
    """Errors of two kinds, and noise besides."""
    rng = np.random.default_rng(seed)
    X, sd = rng.uniform(-3.0, 3.0, (n, 1)), rng.choice([0.05, 0.8], n)
    return X, curve(X) + sd * rng.normal(size=n) + rest * rng.normal(size=n), sd


def error(model):
    return np.sqrt(np.mean((model.predict(GRID) - curve(GRID)) ** 2))


@seeds(3)
def test_the_curve_is_nearly_that_of_a_gaussian_process_that_knows_them(seed):
    X, y, sd = data(seed=seed)
    model = TwoLayerRegressor(**SMALL).fit(X, y, y_std=sd)
    peer = GaussianProcessRegressor(ConstantKernel() * RBF(), alpha=sd**2, random_state=0).fit(X, y)
    assert error(model) < 0.5 * error(clone(model).fit(X, y))
    assert error(model) < 1.6 * error(peer)
    assert np.sqrt(model.noise_variance_[0]) < 0.06


def test_intervals_with_the_errors_of_new_rows_cover_what_they_say():
    X, y, sd = data()
    X_new, y_new, sd_new = data(4000, seed=9)
    mean, std = TwoLayerRegressor(**SMALL).fit(X, y, y_std=sd).predict(X_new, return_std=True)
    inside = np.abs(y_new - mean) < 1.96 * np.hypot(std, sd_new)
    for kind in (0.05, 0.8):
        assert 0.9 < inside[sd_new == kind].mean() < 0.985


@pytest.mark.parametrize("alpha", ["auto", 1.0])
def test_what_is_left_is_estimated(alpha):
    X, y, sd = data(600, rest=0.3)
    model = TwoLayerRegressor(**SMALL, alpha=alpha).fit(X, 100.0 * y, y_std=100.0 * sd)
    assert np.sqrt(model.noise_variance_[0]) == pytest.approx(30.0, rel=0.15)


def test_errors_of_nothing_leave_the_fit_as_it_is():
    X, y, _ = data(rest=0.2)
    plain, known = (TwoLayerRegressor(**SMALL).fit(X, y, y_std=std) for std in (None, np.zeros(200)))
    assert known.noise_variance_[0] == pytest.approx(plain.noise_variance_[0], rel=0.05)
    assert known.log_marginal_likelihood_ == pytest.approx(plain.log_marginal_likelihood_, abs=3.0)
    assert known.loo_log_density_ == pytest.approx(plain.loo_log_density_, abs=0.03)


@pytest.mark.parametrize("solver", SOLVERS)
def test_every_solver_knows_them(solver):
    X, y, sd = data(rest=0.2)
    short = {"gd": GradientDescent(learning_rate=0.005), "sgd": SGD(learning_rate=0.001)}
    model = TwoLayerRegressor(**SMALL, solver=short.get(solver, solver), alpha=0.5, max_iter=1500).fit(X, y, y_std=sd)
    assert error(model) < 0.2
    assert 0.1 < np.sqrt(model.noise_variance_[0]) < 0.3


def test_several_outputs_weights_sparse_rows_float32_and_orders():
    X, y, sd = data()
    Y, std = np.column_stack([y, 10.0 * y[::-1]]), np.column_stack([sd, 10.0 * sd[::-1]])
    model = TwoLayerRegressor(**SMALL).fit(X, Y, y_std=std)
    assert model.noise_variance_.shape == (2,)
    counts = np.random.default_rng(0).integers(0, 3, len(X))
    weighted = clone(model).fit(X, y, counts, y_std=sd).predict(X)
    repeated = clone(model).fit(np.repeat(X, counts, axis=0), np.repeat(y, counts), y_std=np.repeat(sd, counts))
    np.testing.assert_array_equal(repeated.predict(X), weighted)
    backwards = clone(model).fit(X[::-1], y[::-1], counts[::-1], y_std=sd[::-1]).predict(X)
    np.testing.assert_array_equal(backwards, weighted)
    given = clone(model).set_params(alpha=1.0, solver="lbfgs")
    dense = clone(given).fit(X, y, y_std=sd).predict(X)
    np.testing.assert_allclose(clone(given).fit(csr_matrix(X), y, y_std=sd).predict(X), dense, rtol=1e-4, atol=1e-4)
    single = given.fit(np.float32(X), np.float32(y), y_std=np.float32(sd)).predict(np.float32(X))
    assert single.dtype == np.float32
    np.testing.assert_allclose(single, dense, atol=0.05)


@pytest.mark.parametrize(("solver", "alpha"), [("auto", "auto"), ("lm", 0.5), ("adam", 0.5)])
def test_a_fit_goes_on_exactly(solver, alpha):
    X, y, sd = data(80)
    model = TwoLayerRegressor(**SMALL, solver=solver, alpha=alpha, tol=0.0)
    whole = clone(model).set_params(max_iter=9).fit(X, y, y_std=sd)
    model.set_params(warm_start=True, max_iter=4).fit(X, y, y_std=sd)
    model.set_params(max_iter=5).fit(X, y, y_std=sd)
    np.testing.assert_array_equal(model.predict(X), whole.predict(X))


def test_early_stopping_sets_aside_errors_too():
    X, y, sd = data()
    model = TwoLayerRegressor(**SMALL, solver="adam", early_stopping=True, max_iter=400).fit(X, y, y_std=sd)
    assert np.isfinite(model.validation_loss_curve_).all()
    with pytest.raises(ValueError, match="X_val cannot be given with y_std"):
        model.fit(X, y, y_std=sd, X_val=X, y_val=y)


def test_searches_hand_them_on():
    X, y, sd = data(120)
    found = GridSearchCV(TwoLayerRegressor(**SMALL), {"alpha": [0.5, 1.0]}, cv=2).fit(X, y, y_std=sd)
    assert found.best_estimator_.noise_variance_[0] < 0.2
    with config_context(enable_metadata_routing=True):
        routed = TwoLayerRegressor(**SMALL).set_fit_request(y_std=True)
        again = GridSearchCV(routed, {"alpha": [0.5, 1.0]}, cv=2).fit(X, y, y_std=sd)
    np.testing.assert_array_equal(again.predict(X), found.predict(X))
    for average in (False, True):
        search = EvidenceSearch(TwoLayerRegressor(random_state=0), {"hidden_units": [3, 6]}, average=average)
        assert error(search.fit(X, y, y_std=sd)) < 0.1


@pytest.mark.parametrize(
    ("std", "rule"),
    [
        (np.ones(3), r"y_std must have the shape of y, \(20, 1\)\. Got \(3, 1\)"),
        (np.full(20, -0.5), r"y_std must not be negative\. Got -0\.5"),
        (np.full(20, np.nan), "y_std contains NaN"),
        (np.full(20, np.inf), "y_std contains infinity"),
        (np.full(20, 1e200), r"y_std must have squares that float64 can hold\. Got 1e\+200"),
        (np.full(20, 1e20, np.float32), r"y_std must have squares that float32 can hold\. Got 1e\+20"),
        (np.ones((20, 2)), "y_std must have the shape of y"),
    ],
)
def test_what_is_no_deviation(std, rule):
    X, y, _ = data(20)
    with pytest.raises(ValueError, match=rule):
        TwoLayerRegressor(**SMALL).fit(X, y, y_std=std)


@seeds(3)
@pytest.mark.parametrize("n", [1, 2, 3, 60])
@pytest.mark.parametrize("std", [1e-200, 1e-12, 1e8, "one is huge", "one is zero"])
@pytest.mark.filterwarnings("ignore::UserWarning")
def test_deviations_of_any_size_and_few_rows(std, n, seed):
    X, y, sd = data(n, seed)
    first = np.arange(n) == 0
    std = {"one is huge": np.where(first, 1e8, sd), "one is zero": np.where(first, 0.0, sd)}.get(std, np.full(n, std))
    model = TwoLayerRegressor(**SMALL).fit(X, y, y_std=std)
    assert np.isfinite(model.predict(X, return_std=True)).all()
    assert np.isfinite(model.predict_quantile(X, [0.1, 0.9])).all()


def test_only_gaussian_noise_has_errors_beside_it():
    X, y, sd = data(20)
    with pytest.raises(ValueError, match=r"y_std needs loss='squared_error'\. Got loss='poisson'"):
        TwoLayerRegressor(**SMALL, loss="poisson").fit(X, np.abs(y), y_std=sd)
    with pytest.raises(TypeError, match="y_std"):
        TwoLayerClassifier(**SMALL).fit(X, y > 0.0, y_std=sd)
