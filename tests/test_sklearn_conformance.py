"""scikit-learn's own conformance checks, for both estimators with every solver."""

import pytest
from sklearn.utils.estimator_checks import parametrize_with_checks

from sk2layer import TwoLayerClassifier, TwoLayerRegressor
from sk2layer.regressor import LOSSES
from sk2layer.solvers import SOLVERS

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

ESTIMATORS = [TwoLayerRegressor, TwoLayerClassifier]
OTHER_LOSSES = sorted(LOSSES.keys() - {"squared_error"})
RANDOM_SPLIT = "early stopping sets aside a random part of the rows: a row given twice is not a row of weight two"

SMALL = {"hidden_units": 3}
"""What the checks ask is the same of a network of any size."""

SHORT = {"auto": {"max_iter": 5}, "lm": {"max_iter": 5}, "lbfgs": {"max_iter": 20}}
"""So many choices of the penalty, each with a fit, are enough for what they ask; gradient steps need all they have."""

POSITIVE, NEGATIVE = ("poisson", "gamma"), "the check draws targets below 0, whatever the tag says"


def with_loss(loss, solver):
    return TwoLayerRegressor(loss=loss, solver=solver, **SMALL, **SHORT.get(solver, {}))


def negative(model):
    return {"check_regressor_multioutput": NEGATIVE} if model.loss in POSITIVE else {}


@parametrize_with_checks(
    [
        Estimator(solver=solver, **SMALL, **SHORT.get(solver, {}))
        for Estimator in ESTIMATORS
        for solver in ["auto", *SOLVERS]
    ]
)
def test_every_solver(estimator, check):
    check(estimator)


@pytest.mark.slow
@parametrize_with_checks([Estimator() for Estimator in ESTIMATORS])
def test_by_default(estimator, check):
    check(estimator)


@parametrize_with_checks(
    [with_loss(loss, solver) for loss, solver in zip(OTHER_LOSSES, ["adam", "lbfgs", "lm"], strict=True)],
    expected_failed_checks=negative,
)
def test_every_loss(estimator, check):
    check(estimator)


@pytest.mark.slow
@parametrize_with_checks(
    [with_loss(loss, solver) for loss in OTHER_LOSSES for solver in ["auto", *SOLVERS]],
    expected_failed_checks=negative,
)
def test_every_loss_with_every_solver(estimator, check):
    check(estimator)


def stopped_early(solvers):
    """Let the checks be asked of both estimators with these solvers, and early stopping."""
    random = {f"check_sample_weight_equivalence_on_{kind}_data": RANDOM_SPLIT for kind in ("dense", "sparse")}
    estimators = [
        Estimator(solver=solver, early_stopping=True, **SMALL) for Estimator in ESTIMATORS for solver in solvers
    ]
    return parametrize_with_checks(estimators, expected_failed_checks=lambda _: random)


@stopped_early(["lm"])
def test_early_stopping(estimator, check, monkeypatch):
    """But for `partial_fit`, which is an error then, and which the checks call wherever it is there."""
    monkeypatch.delattr(type(estimator), "partial_fit")
    check(estimator)


@pytest.mark.slow
@stopped_early(SOLVERS)
def test_every_solver_with_early_stopping(estimator, check, monkeypatch):
    test_early_stopping(estimator, check, monkeypatch)
