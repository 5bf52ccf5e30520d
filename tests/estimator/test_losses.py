"""Does a regressor keep its word with every loss: solvers, weights, containers, resuming, predictions, reports?"""

import pickle

import numpy as np
import pytest
from scipy import stats
from scipy.sparse import csr_matrix
from sklearn.base import clone
from sklearn.linear_model import GammaRegressor, PoissonRegressor
from sklearn.metrics import mean_gamma_deviance, mean_poisson_deviance, r2_score
from sklearn.neural_network import MLPRegressor
from slow import mostly_slow, seeds

from sk2layer import TwoLayerRegressor
from sk2layer.model_selection import EvidenceSearch
from sk2layer.regressor import LOSSES
from sk2layer.solvers import SGD, SOLVERS, GradientDescent

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

OTHERS = sorted(LOSSES.keys() - {"squared_error"})
every_loss = pytest.mark.parametrize("loss", OTHERS)
of_logarithms = pytest.mark.parametrize("loss", ["poisson", "gamma"])
every_solver = pytest.mark.parametrize("solver", ["auto", *SOLVERS])
SMALL = {"hidden_units": 4, "random_state": 0}


def signal(X):
    return 1.0 + np.sin(1.5 * X[:, 0]) + 0.3 * X[:, 1]


def data(loss, n=250, seed=0):
    """Inputs, targets, and what their means are, or the curve."""
    rng = np.random.default_rng(seed)
    X = rng.uniform(-2.0, 2.0, size=(n, 2))
    means = np.exp(signal(X))
    if loss == "student_t":
        return X, signal(X) + 0.2 * rng.standard_t(3.0, n), signal(X)
    return X, {"poisson": rng.poisson(means).astype(float), "gamma": rng.gamma(5.0, means / 5.0)}[loss], means


def solver_for(name, loss):
    """With steps that are short enough for a loss as curved as the rates are high."""
    short = {"gd": GradientDescent(learning_rate=0.02), "sgd": SGD(learning_rate=0.005)} if loss == "poisson" else {}
    return short.get(name, name)


@every_loss
@every_solver
def test_every_solver_finds_the_curve(loss, solver):
    X, y, means = data(loss)
    model = TwoLayerRegressor(8, solver=solver_for(solver, loss), loss=loss, random_state=0, max_iter=1000).fit(X, y)
    assert model.loss_ < np.inf
    assert r2_score(means, model.predict(X)) > 0.7
    assert (model.penalty_ == "evidence") == (solver in ("auto", "lbfgs", "lm"))


@of_logarithms
def test_predictions_are_exponentials_of_the_forward_pass(loss):
    X, y, _ = data(loss)
    model = TwoLayerRegressor(**SMALL, activation="tanh", loss=loss).fit(X, y)
    (W1, W2), (b1, b2) = model.coefs_, model.intercepts_
    np.testing.assert_allclose(model.predict(X), np.exp(np.tanh(X @ W1 + b1) @ W2 + b2)[:, 0], rtol=1e-10)
    assert model.out_activation_ == "exp"
    assert model.score(X, y) == r2_score(y, model.predict(X))


@pytest.mark.parametrize(("loss", "Peer"), [("poisson", PoissonRegressor), ("gamma", GammaRegressor)])
def test_a_linear_network_is_the_generalised_linear_model(loss, Peer):
    X, y, _ = data(loss)
    model = TwoLayerRegressor(1, activation="identity", alpha=1e-8, tol=1e-9, solver="lm", loss=loss, random_state=0)
    peer = Peer(alpha=0.0, tol=1e-8, max_iter=1000).fit(X, y)
    np.testing.assert_allclose(model.fit(X, y).predict(X), peer.predict(X), rtol=1e-5)


@pytest.mark.parametrize(("loss", "deviance"), [("poisson", mean_poisson_deviance), ("gamma", mean_gamma_deviance)])
def test_the_objective_is_half_the_mean_deviance(loss, deviance):
    X, y, _ = data(loss)
    model = TwoLayerRegressor(**SMALL, alpha=0.0, solver="lm", max_iter=5, loss=loss).fit(X, y)
    assert model.loss_ == pytest.approx(0.5 * deviance(y, model.predict(X)), rel=1e-9)


@of_logarithms
def test_it_starts_at_the_mean(loss):
    """Far from 1, too, and where nothing is standardised: there the loss of exp(0) = 1 would be all there is to see."""
    X, y, _ = data(loss)
    for standardize in (True, False):
        how = {"standardize": standardize, "solver": "lm", "alpha": 1.0, "max_iter": 1, "loss": loss}
        model = TwoLayerRegressor(**SMALL, **how).fit(X, 1000.0 * y)
        assert 0.5 < model.predict(X).mean() / (1000.0 * y.mean()) < 2.0


@pytest.mark.parametrize("alpha", ["auto", 0.5])
def test_amounts_may_be_in_any_unit(alpha):
    X, y, _ = data("gamma")
    model = TwoLayerRegressor(**SMALL, loss="gamma", alpha=alpha, tol=1e-6, solver="lm")
    expected = clone(model).fit(X, y).predict(X)
    np.testing.assert_allclose(model.fit(X, 1e6 * y).predict(X), 1e6 * expected, rtol=0.1 if alpha == "auto" else 1e-4)


def test_amounts_with_little_noise_are_their_logarithms_with_gaussian_noise():
    """In all that the evidence says, but for the Jacobian of the logarithm."""
    X = np.random.default_rng(0).uniform(-2.0, 2.0, (200, 2))
    t = signal(X) + 0.05 * np.random.default_rng(1).normal(size=200)
    amounts = TwoLayerRegressor(**SMALL, standardize=False, loss="gamma").fit(X, np.exp(t))
    logarithms = TwoLayerRegressor(**SMALL, standardize=False).fit(X, t)
    assert amounts.dispersion_[0] == pytest.approx(logarithms.noise_variance_[0], rel=0.1)
    assert amounts.log_marginal_likelihood_ + t.sum() == pytest.approx(logarithms.log_marginal_likelihood_, abs=6.0)
    assert amounts.loo_log_density_ + t.mean() == pytest.approx(logarithms.loo_log_density_, abs=0.03)
    np.testing.assert_allclose(np.log(amounts.alpha_ / logarithms.alpha_), 0.0, atol=1.6)
    ends = amounts.predict_interval(X), np.exp(logarithms.predict_interval(X))
    np.testing.assert_allclose(*ends, rtol=0.05)


@every_loss
@pytest.mark.parametrize("alpha", ["auto", 0.5])
def test_weights_are_counts(loss, alpha):
    X, y, _ = data(loss, 80)
    counts = np.random.default_rng(1).integers(0, 3, len(y))
    model = TwoLayerRegressor(**SMALL, loss=loss, alpha=alpha, solver="lm")
    weighted = clone(model).fit(X, y, sample_weight=counts).predict(X)
    repeated = model.fit(np.repeat(X, counts, axis=0), np.repeat(y, counts)).predict(X)
    np.testing.assert_allclose(weighted, repeated, rtol=1e-6)


def test_rates_with_exposures_are_counts():
    """As scikit-learn has them: y / exposure, with the exposures for weights, has the minimum of the counts."""
    X, y, _ = data("poisson", 100)
    exposure = np.random.default_rng(1).integers(1, 5, len(y)).astype(float)
    model = TwoLayerRegressor(
        1, activation="identity", loss="poisson", alpha=1e-8, solver="lm", tol=1e-9, random_state=0
    )
    peer = PoissonRegressor(alpha=0.0, tol=1e-8, max_iter=1000).fit(X, y / exposure, sample_weight=exposure)
    model.fit(X, y / exposure, sample_weight=exposure)
    np.testing.assert_allclose(model.predict(X), peer.predict(X), rtol=1e-4)


@every_loss
@pytest.mark.parametrize("solver", ["auto", "lbfgs", "adam"])
def test_sparse_rows_are_dense_rows(loss, solver):
    X, y, _ = data(loss, 100)
    X = np.where(X > 0.5, X, 0.0)
    model = TwoLayerRegressor(**SMALL, loss=loss, solver=solver, max_iter=30)
    dense = clone(model).fit(X, y).predict(X)
    np.testing.assert_allclose(model.fit(csr_matrix(X), y).predict(csr_matrix(X)), dense, rtol=1e-5)


@every_loss
@pytest.mark.parametrize("solver", SOLVERS)
def test_float32_is_computed_with(loss, solver):
    X, y, _ = data(loss, 100)
    model = TwoLayerRegressor(**SMALL, loss=loss, solver=solver_for(solver, loss), alpha=1.0, max_iter=50)
    double, single = model.fit(X, y).predict(X), model.fit(np.float32(X), np.float32(y)).predict(np.float32(X))
    assert single.dtype == np.float32
    np.testing.assert_allclose(single, double, rtol=0.05)


@every_loss
@pytest.mark.parametrize(("solver", "alpha"), [*((name, 0.5) for name in SOLVERS), ("auto", "auto")])
def test_a_fit_goes_on_exactly(loss, solver, alpha):
    X, y, _ = data(loss, 60)
    model = TwoLayerRegressor(**SMALL, loss=loss, solver=solver_for(solver, loss), alpha=alpha, tol=0.0)
    whole = clone(model).set_params(max_iter=12).fit(X, y)
    model.set_params(warm_start=True, max_iter=5).fit(X, y)
    model.set_params(max_iter=7).fit(X, y)
    np.testing.assert_array_equal(model.coefs_[0], whole.coefs_[0])
    np.testing.assert_array_equal(model.predict(X), whole.predict(X))


@every_loss
def test_early_stopping_and_batches(loss):
    X, y, _ = data(loss)
    model = TwoLayerRegressor(**SMALL, loss=loss, solver="adam", early_stopping=True, max_iter=300).fit(X, y)
    assert np.isfinite(model.validation_loss_curve_).all()
    model = TwoLayerRegressor(**SMALL, loss=loss, solver="adam")
    for _ in range(60):
        for rows in np.array_split(np.arange(len(y)), 5):
            model.partial_fit(X[rows], y[rows])
    assert model.score(X, y) > 0.3


@every_loss
def test_several_outputs_are_several_targets(loss):
    X, y, means = data(loss)
    Y = np.column_stack([y, data(loss, seed=1)[1]])
    model = TwoLayerRegressor(8, loss=loss, random_state=0).fit(X, Y)
    mean, std = model.predict(X, return_std=True)
    assert mean.shape == std.shape == (len(y), 2)
    assert model.predict_interval(X).shape == (len(y), 2, 2)
    assert model.predict_quantile(X, [0.1, 0.5, 0.9]).shape == (len(y), 2, 3)
    assert r2_score(means, mean[:, 0]) > 0.8


@pytest.mark.parametrize("loss", mostly_slow(OTHERS, 2))
def test_intervals_cover_what_they_say(loss):
    X, y, _ = data(loss, 400)
    X_new, y_new, _ = data(loss, 1500, seed=7)
    model = TwoLayerRegressor(8, loss=loss, random_state=0).fit(X, y)
    for level in (0.5, 0.95):
        low, high = model.predict_interval(X_new, level).T
        covered = np.mean((low <= y_new) & (y_new <= high))
        assert level - 0.03 < covered < level + (0.03 if loss != "poisson" else 0.2)
    quantiles = model.predict_quantile(X_new, [0.1, 0.5, 0.9])
    assert (np.diff(quantiles, axis=-1) >= 0.0).all()
    np.testing.assert_array_equal(model.predict_quantile(X_new, 0.5), quantiles[:, 1])
    at_most = (y_new[:, np.newaxis] <= quantiles).mean(axis=0)
    assert (at_most > np.array([0.1, 0.5, 0.9]) - 0.03).all()


@of_logarithms
def test_intervals_of_positive_targets_are_positive(loss):
    X, y, _ = data(loss)
    model = TwoLayerRegressor(8, loss=loss, random_state=0).fit(X, y)
    far = 100.0 * X
    assert (model.predict_interval(far) >= 0.0).all()
    of_means = model.predict_interval(X, include_noise=False)
    assert (of_means > 0.0).all()
    assert (of_means[:, 0] < model.predict(X)).all()
    assert (of_means[:, 1] > model.predict(X)).all()
    mean, std = model.predict(X, return_std=True)
    assert (std > model.predict(X, return_std=True, include_noise=False)[1]).all()
    assert (std**2 > (mean if loss == "poisson" else mean**2 * model.dispersion_)).all()


def outliers(seed=0, share=0.05, n=200):
    """A curve with noise of 0.2, and some rows that are 5 too high."""
    rng = np.random.default_rng(seed)
    X = rng.uniform(-3.0, 3.0, (n, 1))
    return X, np.sin(1.5 * X[:, 0]) + 0.2 * rng.normal(size=n) + 5.0 * (rng.random(n) < share)


@pytest.mark.parametrize("alpha", ["auto", "ard", 0.01])
def test_outliers_do_not_bend_the_curve(alpha):
    X, y = outliers()
    grid = np.linspace(-2.8, 2.8, 200)[:, np.newaxis]
    errors = {
        loss: np.sqrt(np.mean((model.predict(grid) - np.sin(1.5 * grid[:, 0])) ** 2))
        for loss in ("squared_error", "student_t")
        for model in [TwoLayerRegressor(8, random_state=0, loss=loss, alpha=alpha).fit(X, y)]
    }
    assert errors["student_t"] < 0.12
    assert errors["student_t"] < 0.5 * errors["squared_error"]


@seeds(4)
def test_intervals_hold_all_rows_and_2_9_times_those_of_half_the_rows_the_good_ones(seed):
    X, y = outliers(seed, n=800)
    X_new, clean = outliers(100 + seed, share=0.0, n=2000)
    model = TwoLayerRegressor(8, loss="student_t", random_state=0).fit(X, y)
    plain = TwoLayerRegressor(8, random_state=0).fit(*outliers(seed, share=0.0, n=800))
    width = np.diff(plain.predict_interval(X_new)).mean()
    low, high = model.predict_interval(X_new).T
    assert np.mean((low <= clean) & (clean <= high)) > 0.99
    half = model.predict_interval(X_new, 0.5)
    middle, reach = half.mean(axis=1), 1.96 / 0.6745 * np.diff(half, axis=1)[:, 0] / 2
    assert 0.92 < np.mean(np.abs(clean - middle) < reach) < 0.98
    assert 2 * reach.mean() < 1.3 * width


def test_without_outliers_it_is_the_fit_with_gaussian_noise():
    X, y = outliers(share=0.0)
    robust, plain = (
        TwoLayerRegressor(8, random_state=0, loss=loss).fit(X, y) for loss in ("student_t", "squared_error")
    )
    assert robust.degrees_of_freedom_[0] > 10.0
    np.testing.assert_allclose(robust.predict(X), plain.predict(X), atol=0.15)
    widths = (np.diff(model.predict_interval(X), axis=1).mean() for model in (robust, plain))
    assert next(widths) == pytest.approx(next(widths), rel=0.1)


@pytest.mark.parametrize("solver", ["auto", "adam"])
def test_scale_and_degrees_of_freedom_are_found_in_the_units_of_the_targets(solver):
    X, y, _ = data("student_t", 1500)
    model = TwoLayerRegressor(8, loss="student_t", solver=solver, random_state=0)
    for unit in (1.0, 1000.0):
        model.fit(X, unit * y)
        assert model.noise_scale_[0] == pytest.approx(0.2 * unit, rel=0.1)
        assert model.degrees_of_freedom_[0] == pytest.approx(3.0, rel=0.35)
    assert not hasattr(model, "noise_variance_")
    assert not hasattr(clone(model).set_params(loss="squared_error").fit(X, y), "noise_scale_")


def test_each_output_has_noise_of_its_own():
    rng = np.random.default_rng(0)
    X = rng.uniform(-2.0, 2.0, (1500, 1))
    Y = np.column_stack(
        [np.sin(X[:, 0]) + 0.1 * rng.normal(size=1500), 50.0 * X[:, 0] + 20.0 * rng.standard_t(2.0, 1500)]
    )
    model = TwoLayerRegressor(5, loss="student_t", random_state=0).fit(X, Y)
    np.testing.assert_allclose(model.noise_scale_, [0.1, 20.0], rtol=0.15)
    assert model.degrees_of_freedom_[0] > 10.0 > 3.0 > model.degrees_of_freedom_[1]


def test_the_evidence_in_other_units_is_that_of_other_units():
    X, y, _ = data("student_t", 100)
    model = TwoLayerRegressor(**SMALL, loss="student_t")
    small, large = clone(model).fit(X, y), clone(model).fit(X, 1000.0 * y)
    apart = small.log_marginal_likelihood_ - large.log_marginal_likelihood_
    assert apart == pytest.approx(100 * np.log(1000.0), abs=0.5)
    assert small.loo_log_density_ - large.loo_log_density_ == pytest.approx(np.log(1000.0), abs=0.01)
    np.testing.assert_allclose(large.predict_interval(X), 1000.0 * small.predict_interval(X), rtol=0.02, atol=20.0)


def test_the_dispersion_is_found():
    X, y, _ = data("gamma", 1000)
    model = TwoLayerRegressor(8, loss="gamma", random_state=0).fit(X, y)
    assert model.dispersion_[0] == pytest.approx(0.2, rel=0.1)
    assert not hasattr(clone(model).set_params(alpha=1.0).fit(X, y), "dispersion_")
    assert not hasattr(model, "noise_variance_")


@every_loss
def test_the_evidence_is_that_of_the_targets(loss):
    """Of a constant, where all is known: the log density of the data, less what the bias and the noise have cost."""
    X, _, _ = data(loss, 300)
    rng = np.random.default_rng(1)
    known = {"poisson": stats.poisson(4.0), "gamma": stats.gamma(5.0, scale=2.0), "student_t": stats.t(3.0, 7.0, 2.0)}
    known = known[loss]
    y = known.rvs(300, random_state=rng)
    known = known.logpmf(y) if loss == "poisson" else known.logpdf(y)
    model = TwoLayerRegressor(**SMALL, loss=loss, standardize=False)
    assert model.fit(X, y).effective_n_parameters_ < 6.0
    assert model.log_marginal_likelihood_ == pytest.approx(known.sum(), abs=12.0)
    assert model.loo_log_density_ == pytest.approx(known.mean(), abs=0.02)
    assert model.loss_ == pytest.approx(-model.log_marginal_likelihood_ / 300, rel=1e-6)


def test_the_evidence_chooses_the_loss():
    for loss in OTHERS:
        X, y, _ = data(loss)
        search = EvidenceSearch(TwoLayerRegressor(**SMALL), {"loss": ["squared_error", loss]})
        assert search.fit(X, y).best_params_["loss"] == loss
        averaged = EvidenceSearch(TwoLayerRegressor(**SMALL), {"loss": ["squared_error", loss]}, average=True).fit(X, y)
        assert np.isfinite(averaged.predict(X)).all()


@every_loss
def test_what_was_left_out_is_predicted_as_well_as_it_says(loss):
    X, y, means = data(loss, 60)
    model = TwoLayerRegressor(**SMALL, loss=loss).fit(X, y)
    known = {"poisson": stats.poisson(means), "gamma": stats.gamma(5.0, scale=means / 5.0)}
    known["student_t"] = stats.t(3.0, means, 0.2)
    inside = (known[loss].logpmf(y) if loss == "poisson" else known[loss].logpdf(y)).mean()
    assert inside - 0.5 < model.loo_log_density_ < inside + 0.1


@every_loss
def test_it_is_the_same_after_a_pickle(loss):
    X, y, _ = data(loss, 60)
    model = TwoLayerRegressor(**SMALL, loss=loss).fit(X, y)
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(model)).predict_interval(X), model.predict_interval(X))
    model.set_params(loss="squared_error")  # a parameter, and not what was fitted
    assert model.predict(X).min() >= 0.0 or loss == "student_t"


@pytest.mark.parametrize(("loss", "wrong"), [("poisson", -1.0), ("gamma", 0.0), ("gamma", 1e-320)])
def test_targets_that_a_loss_does_not_know(loss, wrong):
    X, y, _ = data(loss, 20)
    bad = np.where(np.arange(20) == 3, wrong, y)
    with pytest.raises(ValueError, match=rf"^y must be .* where loss='{loss}'\. Got {wrong:g}\."):
        TwoLayerRegressor(loss=loss).fit(X, bad)
    with pytest.raises(ValueError, match=r"^y_val must be"):
        TwoLayerRegressor(loss=loss, solver="adam").fit(X, y, X_val=X, y_val=bad)


def test_counts_that_are_all_zero_have_a_rate_of_nearly_none():
    X = data("poisson", 30)[0]
    model = TwoLayerRegressor(**SMALL, loss="poisson", alpha=1.0).fit(X, np.zeros(30))
    assert (model.predict(X) < 1e-3).all()


@pytest.mark.parametrize("q", [0.0, 1.0, -1.0, np.nan, True, None, "0.5", [], [0.5, 2.0], [[0.5]], [None]])
def test_probabilities_of_quantiles(q):
    X, y, _ = data("gamma", 30)
    with pytest.raises(ValueError, match=r"^q must be a float in the range \(0, 1\)"):
        TwoLayerRegressor(**SMALL).fit(X, y).predict_quantile(X, q)


@seeds(3)
@pytest.mark.parametrize("loss", LOSSES)
def test_what_is_as_improbable_as_can_be_has_quantiles(loss, seed):
    X, y, _ = data(OTHERS[seed] if loss == "squared_error" else loss, 60, seed)
    model = TwoLayerRegressor(**SMALL, loss=loss).fit(X, y)
    for include_noise in (True, False):
        found = model.predict_quantile(X, [1e-320, 1e-200, 1e-9, 0.5, 1.0 - 1e-16], include_noise=include_noise)
        assert np.isfinite(found).all()
        assert (np.diff(found, axis=-1) >= 0.0).all()


@seeds(3)
@every_loss
@pytest.mark.parametrize("n", [1, 2, 3, 5])
@pytest.mark.filterwarnings("ignore::UserWarning")
def test_few_rows_are_fitted_and_predicted(loss, n, seed):
    X, y, _ = data(loss, n, seed)
    model = TwoLayerRegressor(**SMALL, loss=loss).fit(X, y)
    assert np.isfinite(model.predict(X)).all()
    assert np.isfinite(model.predict_quantile(X, [0.025, 0.5, 0.975])).all()
    assert np.isfinite(model.log_marginal_likelihood_)


@seeds(3)
@of_logarithms
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_far_away_numbers_are_large_and_no_more(loss, dtype, seed):
    """In the floating type that is computed with."""
    X, y, _ = data(loss, 60, seed)
    model = TwoLayerRegressor(**SMALL, loss=loss).fit(X.astype(dtype), y.astype(dtype))
    rows = (1e3 * X).astype(dtype)
    for found in (*model.predict(rows, return_std=True), model.predict_interval(rows)):
        assert found.dtype == dtype
        assert np.isfinite(found).all()


@seeds(3)
@every_loss
@pytest.mark.filterwarnings("ignore::UserWarning")
def test_a_row_that_is_far_larger_than_all_others(loss, seed):
    X, y, _ = data(loss, 60, seed)
    y = np.where(np.arange(60) == 3, 1e6, np.abs(y) + 0.1)
    model = TwoLayerRegressor(**SMALL, loss=loss).fit(X, y)
    assert not np.isnan(model.predict(X, return_std=True)).any()
    assert np.isfinite(model.predict_interval(X)).all()


@seeds(4)
@pytest.mark.filterwarnings("ignore::UserWarning")
def test_counts_beside_others_that_are_a_thousand_times_as_high(seed):
    X, y, _ = data("poisson", 60, seed)
    model = TwoLayerRegressor(5, loss="poisson", random_state=seed).fit(X, np.column_stack([y, 1000.0 * y[::-1]]))
    assert np.isfinite(model.predict_interval(X)).all()


@seeds(3)
@pytest.mark.parametrize("height", [1e6, 1e12])
def test_counts_may_be_huge(height, seed):
    X, _, means = data("poisson", 80, seed)
    y = np.random.default_rng(seed).poisson(height * means).astype(float)
    model = TwoLayerRegressor(8, loss="poisson", random_state=0).fit(X, y)
    assert r2_score(y, model.predict(X)) > 0.99
    low, high = model.predict_interval(X).T
    assert (low < model.predict(X)).all()
    assert (model.predict(X) < high).all()
    assert np.mean((low <= y) & (y <= high)) > 0.9 or height > 1e6  # no network is right to a millionth


def test_quantiles_of_gaussian_noise_are_the_ends_of_its_intervals():
    X, y, _ = data("gamma")
    model = TwoLayerRegressor(**SMALL).fit(X, y)
    for include_noise in (True, False):
        ends = model.predict_quantile(X, [0.025, 0.975], include_noise=include_noise)
        np.testing.assert_allclose(ends, model.predict_interval(X, include_noise=include_noise), rtol=1e-9)
    with pytest.raises(ValueError, match="needs a fit by evidence"):
        model.set_params(alpha=1.0).fit(X, y).predict_quantile(X, 0.5)


def test_scikit_learns_network_is_the_same_where_it_has_the_loss():
    X, y, _ = data("poisson", 60)
    model = TwoLayerRegressor(**SMALL, loss="poisson", alpha=1.0).fit(X, y)
    if "loss" in MLPRegressor().get_params():
        np.testing.assert_allclose(model.to_mlp().predict(X), model.predict(X), rtol=1e-10)
    else:
        with pytest.raises(ValueError, match="loss='poisson'"):
            model.to_mlp()
    with pytest.raises(ValueError, match="loss='gamma'"):
        model.set_params(loss="gamma").fit(X, y + 1.0).to_mlp()
