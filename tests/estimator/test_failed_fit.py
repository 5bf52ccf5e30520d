"""Does a fit that fails leave the estimator as it was, fitted or not, whatever fails and whenever?"""

import warnings

import numpy as np
import pytest
import sklearn
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning, NotFittedError
from sklearn.utils.validation import check_is_fitted

from sk2layer import TwoLayerClassifier, TwoLayerRegressor
from sk2layer.objective import objective
from sk2layer.solvers import SOLVERS, GradientDescent

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

needs_callbacks = pytest.mark.skipif(
    not hasattr(TwoLayerRegressor, "set_callbacks"), reason=f"scikit-learn {sklearn.__version__} has no callbacks"
)
every_estimator = pytest.mark.parametrize("Estimator", [TwoLayerRegressor, TwoLayerClassifier])
MINI_BATCH = [name for name in SOLVERS if SOLVERS[name].supports_partial_fit]

rng = np.random.default_rng(0)
X = rng.normal(size=(60, 3))
WIDE = rng.normal(size=(60, 5))
NUMBERS = X[:, 0] + np.sin(X[:, 1])


def target(Estimator):
    return NUMBERS if Estimator is TwoLayerRegressor else NUMBERS > 0.0


class Failing:
    """A callback that fails at the end of a task."""

    def __init__(self, task_name, error):
        self.task_name, self.error = task_name, error

    def setup(self, estimator, context):
        pass

    teardown = on_fit_task_begin = setup

    def on_fit_task_end(self, estimator, context):
        if context.task_name == self.task_name:
            raise self.error


BAD = np.where(np.arange(60) == 7, np.nan, NUMBERS)

WAYS_TO_FAIL = {
    "y with NaN": ({}, {"y": BAD}),
    "y of other length": ({}, {"y": NUMBERS[:50]}),
    "bad weights": ({}, {"sample_weight": -np.ones(60)}),
    "X_val of other columns": ({}, {"X_val": X[:, :1], "y_val": NUMBERS}),
    "bad start": ({}, {"coefs_init": [np.ones(2)] * 2, "intercepts_init": [np.ones(2)] * 2}),
    "divergence": ({"solver": GradientDescent(learning_rate=1e300), "alpha": 1.0}, {}),
    "a warning that is an error": ({"solver": "gd", "alpha": 1.0, "max_iter": 1, "tol": 0.0}, {}),
}
"""Parameters of the estimator, and what is passed to fit in place of what is right."""


def fail_with(name, model, y, *, columns=WIDE):
    """Try a fit on other columns, which fails for the reason of this name."""
    change, keywords = WAYS_TO_FAIL[name]
    right = {key: model.get_params()[key] for key in change}
    error = ConvergenceWarning if "warning" in name else ValueError
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("error", ConvergenceWarning)
        model.set_params(**change)
        with pytest.raises(error):
            model.fit(**{"X": columns, "y": y, **keywords})
    model.set_params(**right)


@every_estimator
@pytest.mark.parametrize("name", WAYS_TO_FAIL)
@pytest.mark.parametrize("params", [{}, {"alpha": 1.0, "solver": "lbfgs"}, {"alpha": 1.0, "solver": "sgd"}], ids=str)
def test_a_refit_that_fails_leaves_it_as_it_was(params, name, Estimator):
    y = target(Estimator)
    model = Estimator(3, random_state=0, max_iter=10, **params).fit(X, y)
    before, prediction = dict(vars(model)), model.predict(X)
    fail_with(name, model, y)
    assert vars(model).keys() == before.keys()
    assert all(vars(model)[key] is value for key, value in before.items() if key not in model.get_params(deep=False))
    assert model.n_features_in_ == 3
    np.testing.assert_array_equal(model.predict(X), prediction)
    with pytest.raises(ValueError, match=r"X has 5 features, but .* is expecting 3"):
        model.predict(WIDE)
    assert model.fit(WIDE, y).n_features_in_ == 5


@pytest.mark.filterwarnings("ignore:X does not have valid feature names")
@every_estimator
@pytest.mark.parametrize("name", WAYS_TO_FAIL)
def test_names_of_columns_are_kept_too(name, Estimator):
    pd = pytest.importorskip("pandas")
    y = target(Estimator)
    frame, other = pd.DataFrame(X, columns=list("abc")), pd.DataFrame(WIDE, columns=list("vwxyz"))
    model = Estimator(3, random_state=0, max_iter=10).fit(frame, y)
    fail_with(name, model, y, columns=other)
    assert model.feature_names_in_.tolist() == ["a", "b", "c"]
    unnamed = Estimator(3, random_state=0, max_iter=10).fit(X, y)
    fail_with(name, unnamed, y, columns=other)
    assert not hasattr(unnamed, "feature_names_in_")


@every_estimator
@pytest.mark.parametrize("name", WAYS_TO_FAIL)
def test_a_first_fit_that_fails_is_none(name, Estimator):
    model = Estimator(3, random_state=0, max_iter=10)
    before = dict(vars(model))
    fail_with(name, model, target(Estimator))
    assert vars(model) == before
    with pytest.raises(NotFittedError):
        check_is_fitted(model)
    with pytest.raises(NotFittedError):
        model.predict(WIDE)


@every_estimator
def test_what_has_no_weights_is_not_fitted(Estimator):
    """Whatever other attributes it has."""
    model = Estimator(3)
    model.n_features_in_ = 3
    with pytest.raises(NotFittedError):
        check_is_fitted(model)
    check_is_fitted(Estimator(2, max_iter=2).fit(X, target(Estimator)))


@every_estimator
@pytest.mark.parametrize("solver", MINI_BATCH)
def test_a_batch_that_fails_leaves_it_as_it_was(solver, Estimator):
    y = target(Estimator)
    model, undisturbed = (Estimator(3, solver=solver, random_state=0) for _ in range(2))
    with pytest.raises(ValueError, match="NaN"):
        model.partial_fit(WIDE, np.where(np.arange(60) == 7, np.nan, NUMBERS))
    assert vars(model) == vars(undisturbed)
    for each in (model, undisturbed):
        each.partial_fit(X, y)
    with pytest.raises(ValueError, match="X has 5 features"):
        model.partial_fit(WIDE, y)
    with pytest.raises(ValueError, match="NaN"):
        model.partial_fit(X, np.where(np.arange(60) == 7, np.nan, NUMBERS))
    for each in (model, undisturbed):
        each.partial_fit(X, y)
    assert model.loss_curve_ == undisturbed.loss_curve_
    np.testing.assert_array_equal(model.predict(X), undisturbed.predict(X))


@needs_callbacks
@every_estimator
@pytest.mark.parametrize("task_name", ["iteration", "fit"])
@pytest.mark.parametrize("error", [ZeroDivisionError, SystemExit])
def test_what_a_callback_raises_leaves_it_as_it_was(error, task_name, Estimator):
    y = target(Estimator)
    model = Estimator(3, alpha=1.0, random_state=0, max_iter=10).fit(X, y)
    before = dict(vars(model))
    with pytest.raises(error):
        model.set_callbacks(Failing(task_name, error)).fit(WIDE, y)
    del model._skl_callbacks
    assert all(vars(model)[key] is value for key, value in before.items())
    assert vars(model).keys() == before.keys()


@every_estimator
@pytest.mark.parametrize("solver", SOLVERS)
def test_a_warm_start_that_fails_can_still_go_on(solver, Estimator, monkeypatch):
    y = target(Estimator)
    params = {"solver": solver, "alpha": 0.1, "tol": 0.0, "n_iter_no_change": 1000, "random_state": 0}
    model = Estimator(3, max_iter=5, warm_start=True, **params).fit(X, y)
    forward, countdown = objective.forward, [4]

    def failing_forward(*args):
        countdown[0] -= 1
        if countdown[0] == 0:
            raise ZeroDivisionError
        return forward(*args)

    with monkeypatch.context() as context:
        context.setattr(objective, "forward", failing_forward)
        with pytest.raises(ZeroDivisionError):
            model.fit(X, y)
    assert model.n_iter_ == 5
    whole = clone(model).set_params(max_iter=10, warm_start=False).fit(X, y)
    assert model.fit(X, y).loss_curve_ == whole.loss_curve_
