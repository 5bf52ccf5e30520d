"""scikit-learn's own conformance checks, for both estimators with every solver."""

import pytest
from sklearn.utils.estimator_checks import parametrize_with_checks

from sk2layer import TwoLayerClassifier, TwoLayerRegressor
from sk2layer.regressor import LOSSES
from sk2layer.solvers import SOLVERS

ESTIMATORS = [TwoLayerRegressor, TwoLayerClassifier]
RANDOM_SPLIT = "early stopping sets aside a random part of the rows: a row given twice is not a row of weight two"

SMALL = {"hidden_units": 3}
"""What the checks ask is the same of a network of any size; by default they are asked of the default one."""

POSITIVE, NEGATIVE = ("poisson", "gamma"), "the check draws targets below 0, whatever the tag says"


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@parametrize_with_checks(
    [Estimator(**its) for Estimator in ESTIMATORS for its in [{}, *({"solver": name, **SMALL} for name in SOLVERS)]]
)
def test_every_solver(estimator, check):
    check(estimator)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@parametrize_with_checks(
    [
        TwoLayerRegressor(solver=solver, loss=loss, **SMALL)
        for loss in sorted(LOSSES.keys() - {"squared_error"})
        for solver in ["auto", *SOLVERS]
    ],
    expected_failed_checks=lambda model: {"check_regressor_multioutput": NEGATIVE} if model.loss in POSITIVE else {},
)
def test_every_loss(estimator, check):
    check(estimator)


def excepted(estimator):
    return {f"check_sample_weight_equivalence_on_{kind}_data": RANDOM_SPLIT for kind in ("dense", "sparse")}


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@parametrize_with_checks(
    [Estimator(solver=solver, early_stopping=True, **SMALL) for Estimator in ESTIMATORS for solver in SOLVERS],
    expected_failed_checks=excepted,
)
def test_every_solver_with_early_stopping(estimator, check, monkeypatch):
    """But for `partial_fit`, which is an error then, and which the checks call wherever it is there."""
    monkeypatch.delattr(type(estimator), "partial_fit")
    check(estimator)
