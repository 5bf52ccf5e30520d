"""Is the noise as large as it is found to be, row by row, and constant where that is all the data say?"""

import pickle
import warnings

import numpy as np
import pandas as pd
import pytest
from scipy.stats import norm
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import GridSearchCV
from sklearn.utils.estimator_checks import parametrize_with_checks
from slow import seeds

from sk2layer import TwoLayerClassifier, TwoLayerRegressor
from sk2layer.callbacks import Checkpoint
from sk2layer.estimator import noise_of_inputs
from sk2layer.estimator.reach import was_interrupted
from sk2layer.export import to_code
from sk2layer.inspection import leverage
from sk2layer.model_selection import EvidenceSearch
from sk2layer.solvers import SOLVERS

every_seed = seeds(3)


def ramp(seed, n=300, noise=lambda x: 0.05 + 0.9 * x):
    rng = np.random.default_rng(seed)
    X = rng.uniform(size=(n, 1))
    return X, np.sin(6.0 * X[:, 0]) + noise(X[:, 0]) * rng.normal(size=n)


def log_density(model, X, y):
    return norm.logpdf(y, *model.predict(X, return_std=True)).mean()


@every_seed
def test_a_ramp_is_found(seed):
    (X, y), (X_new, y_new) = ramp(seed), ramp(seed + 100, 2000)
    model = TwoLayerRegressor(noise="inputs", random_state=0).fit(X, y)
    found = np.sqrt(model.noise_model_.predict(X_new) + model.noise_variance_)
    assert np.median(np.abs(found / (0.05 + 0.9 * X_new[:, 0]) - 1.0)) < 0.2
    plain = TwoLayerRegressor(random_state=0).fit(X, y)
    assert log_density(model, X_new, y_new) > log_density(plain, X_new, y_new) + 0.2
    assert model.loo_log_density_ > plain.loo_log_density_ + 0.2
    low, high = model.predict_interval(X_new).T
    third = np.minimum(3.0 * X_new[:, 0], 2.0).astype(int)
    covered = np.array([((low <= y_new) & (y_new <= high))[third == k].mean() for k in range(3)])
    assert (np.abs(covered - 0.95) < 0.05).all()
    quantiles = model.predict_quantile(X_new, [0.025, 0.975])
    np.testing.assert_allclose(quantiles, np.column_stack([low, high]), rtol=0, atol=1e-12)


@every_seed
def test_constant_noise_is_hardly_worse(seed):
    (X, y), (X_new, y_new) = (ramp(s, n, lambda x: 0.3) for s, n in [(seed, 300), (seed + 100, 2000)])
    model = TwoLayerRegressor(noise="inputs", random_state=0).fit(X, y)
    plain = TwoLayerRegressor(random_state=0).fit(X, y)
    assert log_density(model, X_new, y_new) > log_density(plain, X_new, y_new) - 0.02
    if model.noise_model_ is None:
        np.testing.assert_array_equal(model.predict_interval(X_new), plain.predict_interval(X_new))
        assert model.noise_variance_ == plain.noise_variance_


def test_each_output_has_a_noise_of_its_own():
    X, y = ramp(0)
    Y = np.column_stack([y, np.sin(6.0 * X[:, 0]) + (1.0 - 0.9 * X[:, 0]) * np.random.default_rng(1).normal(size=300)])
    model = TwoLayerRegressor(8, noise="inputs", random_state=0).fit(pd.DataFrame(X, columns=["x"]), Y)
    rows = pd.DataFrame({"x": [0.05, 0.95]})
    _, std = model.predict(rows, return_std=True)
    assert std.shape == (2, 2)
    assert std[0, 0] < 0.5 * std[1, 0]
    assert std[0, 1] > 2.0 * std[1, 1]
    _, of_the_mean = model.predict(rows, return_std=True, include_noise=False)
    assert (of_the_mean < std).all()


def test_a_weight_of_two_is_the_row_twice_and_one_of_zero_none():
    X, y = ramp(0, 150)
    weight = np.random.default_rng(0).integers(0, 3, 150)
    weighted = TwoLayerRegressor(5, noise="inputs", random_state=0).fit(X, y, weight)
    repeated = clone(weighted).fit(np.repeat(X, weight, axis=0), np.repeat(y, weight))
    np.testing.assert_allclose(weighted.predict_interval(X), repeated.predict_interval(X), rtol=1e-6)


@every_seed
def test_the_search_chooses_between_both(seed):
    grid, plain = {"noise": ["constant", "inputs"]}, TwoLayerRegressor(random_state=0)
    search = EvidenceSearch(plain, grid).fit(*ramp(seed))
    assert search.best_params_ == {"noise": "inputs"}
    assert EvidenceSearch(plain, grid, criterion="evidence").fit(*ramp(seed)).best_params_ == {"noise": "inputs"}
    same = EvidenceSearch(plain, grid, criterion="evidence").fit(*ramp(seed, 100, lambda x: 0.3))
    assert same.best_params_ == {"noise": "constant"}
    folds = GridSearchCV(TwoLayerRegressor(3, random_state=0), grid, cv=2).fit(*ramp(seed, 60))
    assert np.isfinite(folds.cv_results_["mean_test_score"]).all()


@every_seed
def test_what_is_reported_answers_for_the_second_network(seed):
    X, y = ramp(seed)
    model = TwoLayerRegressor(5, noise="inputs", random_state=0).fit(X, y)
    known = np.sqrt(noise_of_inputs.moments_of_variance(model.noise_model_, X)[0][:, 0])
    alone = TwoLayerRegressor(5, random_state=0).fit(X, y, y_std=known)
    assert model.log_marginal_likelihood_ < alone.log_marginal_likelihood_ - 2.0
    p = model.noise_model_.effective_n_parameters_
    charge = p / (len(y) - model.effective_n_parameters_ - p - 1.0)
    assert model.loo_log_density_ == pytest.approx(alone.loo_log_density_ - charge, abs=0.01)


@pytest.mark.parametrize(("n", "seed"), [(2, 0), (3, 0), (3, 1), *((6, seed) for seed in range(5))])
def test_a_few_rows_say_nothing_of_it(n, seed):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        model = TwoLayerRegressor(noise="inputs", random_state=0).fit(*ramp(seed, n))
    assert model.noise_model_ is None


@every_seed
def test_a_slip_is_no_surprise_beyond_all_measure(seed):
    X, y = ramp(seed)
    model = TwoLayerRegressor(noise="inputs", random_state=0).fit(X, y)
    mean, std = model.predict([[0.02]], return_std=True)
    middle, near, far = model.predict_quantile([[0.02]], [0.5, 0.75, 1.0 - 1e-9])[0]
    assert middle == pytest.approx(mean[0])
    assert (far - middle) / (near - middle) > 1.2 * norm.ppf(1.0 - 1e-9) / norm.ppf(0.75)
    assert near - middle < std[0] * norm.ppf(0.75)


@every_seed
@pytest.mark.parametrize("scale", [1e-12, 1e12])
def test_units_do_not_matter(scale, seed):
    X, y = ramp(seed)
    model, scaled = (TwoLayerRegressor(5, noise="inputs", random_state=0).fit(X, its) for its in (y, scale * y))
    assert scaled.noise_model_ is not None
    np.testing.assert_allclose(scaled.predict_interval(X), scale * model.predict_interval(X), atol=0.05 * scale)


@every_seed
@pytest.mark.parametrize("scale", [1e-25, 1e25])
def test_in_float32_a_variance_may_be_out_of_range(scale, seed):
    X, y = ramp(seed)
    X, y = X.astype(np.float32), (scale * y).astype(np.float32)
    model = TwoLayerRegressor(5, noise="inputs", random_state=0).fit(X, y)
    assert model.noise_model_ is not None
    low, high = model.predict_interval(X).T
    assert low.dtype == np.float32
    assert 0.9 < np.mean((low <= y) & (y <= high)) < 1.0


@every_seed
@pytest.mark.parametrize("given", [{"restarts": "average"}, {"restarts": "best"}])
def test_several_starts_have_it_too(given, seed):
    (X, y), (X_new, y_new) = ramp(seed), ramp(seed + 100, 1000)
    model = TwoLayerRegressor(5, noise="inputs", n_init=2, random_state=0, **given).fit(X, y)
    assert model.noise_model_ is not None
    low, high = model.predict_interval(X_new).T
    assert 0.9 < np.mean((low <= y_new) & (y_new <= high)) < 0.98


@every_seed
def test_without_noise_the_curve_is_exact(seed):
    X = np.random.default_rng(seed).uniform(size=(80, 2))
    y = X @ [1.0, 2.0]
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "The noise is below", ConvergenceWarning)
        model = TwoLayerRegressor(5, noise="inputs", random_state=0).fit(X, y)
    np.testing.assert_allclose(model.predict(X), y, atol=0.02)
    assert np.isfinite(model.predict_interval(X)).all()
    assert TwoLayerRegressor(5, noise="inputs").fit(X, np.ones(80)).noise_model_ is None


@every_seed
def test_rows_of_no_weight_may_be_anything(seed):
    X, y = ramp(seed, 200)
    weight = np.random.default_rng(seed).integers(0, 2, 200)
    wild = np.where(weight, y, 1e6)
    model = TwoLayerRegressor(5, noise="inputs", random_state=0).fit(X, wild, weight)
    absent = clone(model).fit(X[weight > 0], y[weight > 0])
    np.testing.assert_allclose(model.predict_interval(X), absent.predict_interval(X), rtol=1e-6)
    constant = clone(model).fit(X, np.where(weight, 3.0, y), weight)
    assert constant.noise_model_ is None


def test_a_fit_goes_on_from_weights_that_are_given():
    X, y = ramp(0)
    one = TwoLayerRegressor(5, noise="inputs", random_state=0).fit(X, y)
    other = clone(one).set_params(random_state=1)
    other.fit(X, y, coefs_init=one.coefs_, intercepts_init=one.intercepts_)
    assert np.abs(other.predict(X) - one.predict(X)).max() < 0.1
    with pytest.raises(ValueError, match="coefs_init must have the shapes"):
        other.fit(X, y, coefs_init=one.coefs_[::-1], intercepts_init=one.intercepts_)


@pytest.mark.parametrize("max_iter", [1, 3])
def test_a_warning_names_the_line_that_called_fit_and_comes_once(max_iter):
    with pytest.warns(ConvergenceWarning, match="has not converged after") as warned:
        TwoLayerRegressor(5, noise="inputs", max_iter=max_iter, random_state=0).fit(*ramp(0))
    assert {warning.filename for warning in warned} == {__file__}
    assert len({str(warning.message) for warning in warned}) == len(warned)


@pytest.mark.skipif(not hasattr(TwoLayerRegressor, "set_callbacks"), reason="this scikit-learn has no callbacks")
def test_callbacks_see_seven_fits(tmp_path):
    calls = []

    class Recorder:
        max_propagation_depth = None

        def setup(self, estimator, context):
            calls.append(("setup", context.task_name))

        def teardown(self, estimator, context):
            calls.append(("teardown", context.task_name))

        def on_fit_task_begin(self, estimator, context):
            calls.append(("begin", context.task_name))

        def on_fit_task_end(self, estimator, context):
            calls.append(("end", context.task_name))

    X, y = ramp(0)
    model = TwoLayerRegressor(5, noise="inputs", random_state=0).set_callbacks(Recorder()).fit(X, y)
    plain = TwoLayerRegressor(5, noise="inputs", random_state=0).fit(X, y)
    np.testing.assert_array_equal(model.predict_interval(X), plain.predict_interval(X))
    assert calls.count(("begin", "fit")) == calls.count(("end", "fit")) == 1 + 7
    assert calls.count(("begin", "iteration")) == calls.count(("end", "iteration")) > 7
    assert calls.count(("setup", "fit")) == calls.count(("teardown", "fit")) == 1
    with pytest.raises(ValueError, match="needs no Checkpoint"):
        clone(model).set_callbacks(Checkpoint(tmp_path / "file")).fit(X, y)
    search = EvidenceSearch(TwoLayerRegressor(5, random_state=0), {"noise": ["constant", "inputs"]})
    assert search.set_callbacks(Recorder()).fit(X, y).best_params_ == {"noise": "inputs"}


def test_an_earlier_fit_leaves_nothing_and_a_file_all():
    X, y = ramp(0)
    model = TwoLayerRegressor(5, noise="inputs", random_state=0).fit(X, y)
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(model)).predict_interval(X), model.predict_interval(X))
    plain = TwoLayerRegressor(5, random_state=0).fit(X, y)
    again = clone(model).fit(X, y)
    np.testing.assert_array_equal(again.predict_interval(X), model.predict_interval(X))
    again.set_params(noise="constant").fit(X, y)
    assert vars(again).keys() == vars(plain).keys()
    np.testing.assert_array_equal(again.predict_interval(X), plain.predict_interval(X))
    counts = again.set_params(loss="poisson").fit(X, np.abs(np.round(y)))
    assert vars(counts.set_params(loss="squared_error", noise="inputs").fit(X, y)).keys() == vars(model).keys()
    for network in (model, model.noise_model_):
        assert network._fit_state is None  # of going on from round to round
        assert not network.warm_start


@pytest.mark.parametrize("n_fits", range(1, 8))
def test_an_interrupt_keeps_the_best_that_was_fitted(n_fits, monkeypatch):
    (X, y), seen = ramp(0), []

    def interrupted(network):
        seen.extend([network] if network not in seen else [])
        return len(seen) == n_fits

    monkeypatch.setattr(noise_of_inputs, "was_interrupted", interrupted)
    model = TwoLayerRegressor(5, noise="inputs", random_state=0).fit(X, y)
    plain = TwoLayerRegressor(5, random_state=0).fit(X, y)
    assert (model.noise_model_ is None) == (n_fits < 4)  # the first round is the second and the third
    if n_fits < 4:
        np.testing.assert_array_equal(model.predict_interval(X), plain.predict_interval(X))
    assert was_interrupted(model) or n_fits == 1  # in which it would say so itself


@pytest.mark.parametrize(
    ("parameters", "fit_params", "message"),
    [
        ({"loss": "gamma"}, {}, r"needs loss='squared_error'\. Got loss='gamma'"),
        ({"alpha": 1.0}, {}, r"needs a fit by evidence\. Got alpha=1.0"),
        ({"solver": "adam"}, {}, r"needs a fit by evidence\. .*solver='adam'"),
        ({"early_stopping": True}, {}, r"needs a fit by evidence\. .*early_stopping=True"),
        ({"warm_start": True}, {}, "needs warm_start=False.*pass coefs_init"),
        ({}, {"y_std": np.ones(300)}, "needs y_std=None"),
        ({}, {"X_val": np.ones((3, 1)), "y_val": np.ones(3)}, "needs no X_val"),
        ({"noise": "row"}, {}, "noise"),
    ],
)
def test_what_does_not_go_with_it_is_said(parameters, fit_params, message):
    X, y = ramp(0)
    with pytest.raises(ValueError, match=message):
        TwoLayerRegressor(**{"noise": "inputs", **parameters}).fit(X, np.abs(y) + 0.1, **fit_params)


def test_what_knows_one_noise_only_says_so():
    X, y = ramp(0)
    model = TwoLayerRegressor(3, noise="inputs", random_state=0).fit(X, y)
    with pytest.raises(ValueError, match="leverage needs noise='constant'"):
        leverage(model, X)
    with pytest.raises(ValueError, match="return_std=True needs noise='constant'"):
        to_code(model, "c", return_std=True)
    assert "double" in to_code(model, "c")
    with pytest.raises(ValueError, match="noise must be constant for partial_fit"):
        TwoLayerRegressor(noise="inputs", solver="adam").partial_fit(X, y)
    assert not hasattr(TwoLayerClassifier(), "noise")


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@parametrize_with_checks([TwoLayerRegressor(2, noise="inputs", max_iter=3)])
def test_conformance(estimator, check):
    if check.func.__name__ == "check_regressors_train":
        pytest.skip("it sets alpha to a number, which is an error here")
    check(estimator)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@parametrize_with_checks([TwoLayerRegressor(3, noise="inputs", solver="lm", max_iter=10)])
def test_conformance_of_a_solver(estimator, check):
    test_conformance(estimator, check)


@pytest.mark.parametrize("solver", SOLVERS)
def test_every_solver_takes_part_where_the_evidence_is_asked_for(solver):
    X, y = ramp(0)
    model = TwoLayerRegressor(5, noise="inputs", solver=solver, alpha="evidence", max_iter=60, random_state=0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        model.fit(X, y)
    assert np.isfinite(model.predict_interval(X)).all()
    assert model.noise_model_ is not None or solver in ("gd", "sgd", "adam")
