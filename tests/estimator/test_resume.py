"""Does a fit go on where it stopped: fifty calls of one iteration as one call of fifty, bit for bit?"""

from unittest.mock import patch

import numpy as np
import pytest
from sklearn.base import clone
from slow import mostly_slow

from sk2layer import TwoLayerClassifier, TwoLayerRegressor
from sk2layer.estimator import starts
from sk2layer.solvers import SOLVERS

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

MINI_BATCH = [name for name in SOLVERS if SOLVERS[name].supports_partial_fit]

DATA = np.random.default_rng(4)
X = DATA.normal(size=(50, 3)) * [1.0, 3.0, 0.1] + [0.0, 1.0, 1.0]
NUMBERS = X[:, 0] ** 2 + 0.3 * X[:, 1]
WEIGHT = DATA.uniform(0.2, 2.0, 50)


def model_and_target(Estimator, name, **params):
    """An estimator that never stops by itself, with mini-batches where there are such."""
    solver = SOLVERS[name](batch_size=16) if name in MINI_BATCH else name
    params = {"hidden_units": 3, "tol": 0.0, "n_iter_no_change": 1000, "random_state": 3, **params}
    return Estimator(solver=solver, **params), NUMBERS if Estimator is TwoLayerRegressor else NUMBERS > 1.0


def assert_same_fit(one, other):
    for mine, its in zip([*one.coefs_, *one.intercepts_], [*other.coefs_, *other.intercepts_], strict=True):
        np.testing.assert_array_equal(mine, its)
    assert one.loss_curve_ == other.loss_curve_
    assert (one.n_iter_, one.loss_) == (other.n_iter_, other.loss_)
    assert getattr(one, "validation_loss_curve_", None) == getattr(other, "validation_loss_curve_", None)


FITS = {
    **{name: (name, {"alpha": 1.0}) for name in SOLVERS},
    **{f"{name} early stopping": (name, {"alpha": 1.0, "early_stopping": True}) for name in SOLVERS},
    **{f"{name} by evidence": (name, {"alpha": "evidence"}) for name in ["auto", *SOLVERS]},
    "by ard": ("auto", {"alpha": "ard"}),
}
every_fit = pytest.mark.parametrize(("name", "params"), FITS.values(), ids=FITS)


@every_fit
@pytest.mark.parametrize(
    ("Estimator", "standardize", "weighted"),
    mostly_slow(
        [
            (TwoLayerRegressor, False, False),
            (TwoLayerClassifier, True, True),
            (TwoLayerRegressor, True, True),
            (TwoLayerClassifier, False, False),
        ],
        2,
    ),
)
def test_fifty_fits_of_one_iteration_are_one_of_fifty(name, params, Estimator, standardize, weighted):
    sample_weight = WEIGHT if weighted else None
    params = {**params, "standardize": standardize, "warm_start": True}
    whole, y = model_and_target(Estimator, name, max_iter=50, **params)
    pieces, _ = model_and_target(Estimator, name, max_iter=1, **params)
    whole.fit(X, y, sample_weight)
    for _ in range(50):
        pieces.fit(X, y, sample_weight)
    assert whole.n_iter_ > 5
    assert_same_fit(pieces, whole)
    for attribute in ("alpha_", "noise_variance_", "log_marginal_likelihood_", "effective_n_parameters_"):
        mine, its = getattr(pieces, attribute, None), getattr(whole, attribute, None)
        np.testing.assert_array_equal(mine, its)


@pytest.mark.parametrize("name", SOLVERS)
def test_early_stopping_stops_in_pieces_where_it_stops_in_one(name):
    params = {"early_stopping": True, "n_iter_no_change": 3, "alpha": 0.0, "tol": 1e-3, "warm_start": True}
    whole, y = model_and_target(TwoLayerRegressor, name, max_iter=500, **params)
    pieces, _ = model_and_target(TwoLayerRegressor, name, max_iter=7, **params)
    whole.fit(X, y)
    for _ in range(0, whole.n_iter_ + 14, 7):
        pieces.fit(X, y)
    assert whole.n_iter_ < 500
    assert_same_fit(pieces, whole)


@pytest.mark.parametrize("name", SOLVERS)
def test_going_on_with_other_data_starts_from_the_weights(name):
    model, y = model_and_target(TwoLayerRegressor, name, max_iter=30, warm_start=True, alpha=1.0)
    model.fit(X, y)
    coefs, intercepts = model.coefs_, model.intercepts_
    fresh = clone(model).set_params(warm_start=False).fit(X[:40], y[:40], coefs_init=coefs, intercepts_init=intercepts)
    model.fit(X[:40], y[:40])
    np.testing.assert_allclose(model.loss_curve_[:3], fresh.loss_curve_[:3], rtol=1e-9)


@pytest.mark.parametrize("change", [{"alpha": 0.1}, {"activation": "tanh"}, {"tol": 1e-9}, {"solver": "adam"}])
def test_going_on_with_other_parameters_starts_from_the_weights(change):
    model, y = model_and_target(TwoLayerRegressor, "lbfgs", max_iter=5, warm_start=True, alpha=1.0)
    model.fit(X, y)
    coefs, intercepts = model.coefs_, model.intercepts_
    model.set_params(**change).fit(X, y)
    fresh = clone(model).set_params(warm_start=False).fit(X, y, coefs_init=coefs, intercepts_init=intercepts)
    np.testing.assert_allclose(model.loss_curve_, fresh.loss_curve_, rtol=1e-9)
    assert model.n_iter_ == 5


VALIDATION = {
    "none": {},
    "one": {"X_val": X[:20], "y_val": NUMBERS[:20]},
    "weighted": {"X_val": X[:20], "y_val": NUMBERS[:20], "sample_weight_val": WEIGHT[:20]},
    "another": {"X_val": X[20:45], "y_val": NUMBERS[20:45]},
}


@pytest.mark.parametrize("name", SOLVERS)
@pytest.mark.parametrize("early_stopping", [False, True], ids=["", "early stopping"])
@pytest.mark.parametrize(
    ("first", "second"), [("none", "one"), ("one", "weighted"), ("one", "another"), ("one", "none")]
)
def test_going_on_with_other_validation_data_starts_from_the_weights(first, second, early_stopping, name):
    """And with curves of that fit alone, of one length; the best weights are those on the new data."""
    params = {"alpha": 1.0, "early_stopping": early_stopping, "max_iter": 6, "warm_start": True}
    model, y = model_and_target(TwoLayerRegressor, name, **params)
    model.fit(X, y, **VALIDATION[first])
    fresh = clone(model).set_params(warm_start=False)
    fresh.fit(X, y, **VALIDATION[second], coefs_init=model.coefs_, intercepts_init=model.intercepts_)
    model.fit(X, y, **VALIDATION[second])
    assert len(model.loss_curve_) == model.n_iter_ == 6
    np.testing.assert_allclose(model.loss_curve_, fresh.loss_curve_, rtol=1e-9)
    np.testing.assert_allclose(model.loss_, fresh.loss_, rtol=1e-9)
    if second != "none" or early_stopping:
        np.testing.assert_allclose(model.validation_loss_curve_, fresh.validation_loss_curve_, rtol=1e-9)


@pytest.mark.parametrize("name", SOLVERS)
def test_going_on_with_the_same_validation_data_goes_on(name):
    model, y = model_and_target(TwoLayerRegressor, name, max_iter=6, warm_start=True)
    whole, _ = model_and_target(TwoLayerRegressor, name, max_iter=12)
    model.fit(X, y, **VALIDATION["weighted"]).fit(X, y, **VALIDATION["weighted"])
    assert_same_fit(model, whole.fit(X, y, **VALIDATION["weighted"]))
    assert len(model.validation_loss_curve_) == 12


@pytest.mark.parametrize("name", SOLVERS)
def test_warm_start_can_be_asked_for_later(name):
    model, y = model_and_target(TwoLayerRegressor, name, max_iter=10)
    before = model.fit(X, y).loss_
    model.set_params(warm_start=True).fit(X, y)
    assert model.loss_ < before


def test_given_weights_are_where_it_starts_also_when_it_could_go_on():
    model, y = model_and_target(TwoLayerRegressor, "gd", max_iter=20, warm_start=True)
    model.fit(X, y)
    zeros = [np.zeros_like(W) for W in model.coefs_], [np.zeros_like(b) for b in model.intercepts_]
    model.fit(X, y, coefs_init=zeros[0], intercepts_init=zeros[1])
    fresh = clone(model).fit(X, y, coefs_init=zeros[0], intercepts_init=zeros[1])
    assert_same_fit(model, fresh)


def test_another_network_cannot_go_on():
    model, y = model_and_target(TwoLayerRegressor, "lbfgs", max_iter=5, warm_start=True)
    model.fit(X, y).set_params(hidden_units=7)
    with pytest.raises(
        ValueError, match=r"cannot go on from .*n_hidden=3.* with .*n_hidden=7.*clone\(\) the estimator"
    ):
        model.fit(X, y)


def test_what_was_fitted_before_decides_what_the_targets_are():
    model, _ = model_and_target(TwoLayerClassifier, "lbfgs", max_iter=5, warm_start=True)
    model.fit(X, np.resize(["a", "b", "c"], len(X)))
    model.fit(X, np.resize(["a", "b"], len(X)))
    np.testing.assert_array_equal(model.classes_, ["a", "b", "c"])
    with pytest.raises(ValueError, match=r"y must have labels out of .*unseen labels: \['d'\]"):
        model.fit(X, np.resize(["a", "d"], len(X)))


def test_without_warm_start_every_fit_is_a_new_one():
    model, y = model_and_target(TwoLayerRegressor, "lbfgs", max_iter=5)
    first = model.fit(X, y).coefs_[0]
    np.testing.assert_array_equal(model.fit(X, y).coefs_[0], first)
    assert model.n_iter_ == 5


@pytest.mark.parametrize("name", SOLVERS)
def test_of_several_starts_the_best_goes_on(name):
    several, y = model_and_target(TwoLayerRegressor, name, max_iter=10, n_init=3, warm_start=True)
    first = several.fit(X, y).loss_curve_
    several.set_params(max_iter=2).fit(X, y)
    assert several.n_iter_ == 12
    assert several.loss_curve_[:10] == first


def test_going_on_with_other_data_takes_one_start_only():
    several, y = model_and_target(TwoLayerRegressor, "lbfgs", max_iter=10, n_init=3, warm_start=True)
    several.fit(X, y)
    with patch.object(starts, "run", side_effect=starts.run) as run:
        several.fit(X[:40], y[:40])
    assert run.call_count == 1
