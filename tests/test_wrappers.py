"""Do pipelines, searches and ensembles of scikit-learn around ours pass its conformance checks, as around its own?"""

import pytest
from sklearn.ensemble import (
    AdaBoostClassifier,
    AdaBoostRegressor,
    BaggingClassifier,
    BaggingRegressor,
    StackingClassifier,
    StackingRegressor,
)
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.model_selection import GridSearchCV
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import estimator_checks_generator

from sk2layer import TwoLayerClassifier, TwoLayerRegressor

pytestmark = pytest.mark.filterwarnings("ignore")  # those of the wrappers are theirs

QUICK = {"max_iter": 20, "alpha": 0.01, "random_state": 0}
OURS = {Network: Network(2, solver="lm", **QUICK) for Network in (TwoLayerClassifier, TwoLayerRegressor)}
ITS = [
    {TwoLayerClassifier: MLPClassifier(2, **QUICK), TwoLayerRegressor: MLPRegressor(hidden_layer_sizes=2, **QUICK)},
    {TwoLayerClassifier: LogisticRegression(), TwoLayerRegressor: Ridge()},
]
SEARCH = {"param_grid": {"tol": [0.1, 0.01]}, "cv": 2, "error_score": "raise"}
MANY = {"n_estimators": 2, "random_state": 0}

WRAPPERS = {
    "pipeline of a classifier": (TwoLayerClassifier, lambda model: make_pipeline(StandardScaler(), model)),
    "pipeline of a regressor": (TwoLayerRegressor, lambda model: make_pipeline(StandardScaler(), model)),
    "search over classifiers": (TwoLayerClassifier, lambda model: GridSearchCV(model, **SEARCH)),
    "search over regressors": (TwoLayerRegressor, lambda model: GridSearchCV(model, **SEARCH)),
    "BaggingClassifier": (TwoLayerClassifier, lambda model: BaggingClassifier(model, **MANY)),
    "BaggingRegressor": (TwoLayerRegressor, lambda model: BaggingRegressor(model, **MANY)),
    "AdaBoostClassifier": (TwoLayerClassifier, lambda model: AdaBoostClassifier(model, **MANY)),
    "AdaBoostRegressor": (TwoLayerRegressor, lambda model: AdaBoostRegressor(model, **MANY)),
    "StackingClassifier": (TwoLayerClassifier, lambda model: StackingClassifier([("net", model)], cv=2)),
    "StackingRegressor": (TwoLayerRegressor, lambda model: StackingRegressor([("net", model)], cv=2)),
}

FITS_IN_PLACE = ["check_estimators_overwrite_params", "check_dont_overwrite_parameters"]
DRAWS_ROWS = [f"check_sample_weight_equivalence_on_{kind}_data" for kind in ("dense", "sparse")]
NOT_FOR = {  # what the wrapper itself does not do, whatever it is around
    "pipeline of a classifier": FITS_IN_PLACE,
    "pipeline of a regressor": FITS_IN_PLACE,
    "search over regressors": ["check_supervised_y_2d"],  # it does not pass on that there may be several outputs
    "BaggingClassifier": [*DRAWS_ROWS, "check_decision_proba_consistency"],
    "BaggingRegressor": DRAWS_ROWS,
    "AdaBoostRegressor": DRAWS_ROWS,
}


def checks(wrapper, models=OURS):
    kind, wrap = WRAPPERS[wrapper]
    for estimator, check in estimator_checks_generator(wrap(models[kind])):
        yield estimator, check, check.func.__name__


ALWAYS = ("pipeline of a classifier", "search over regressors", "BaggingRegressor", "StackingClassifier")

CASES = [
    pytest.param(estimator, check, id=f"{wrapper}: {name}", marks=[] if wrapper in ALWAYS else pytest.mark.slow)
    for wrapper in WRAPPERS
    for estimator, check, name in checks(wrapper)
    if name not in NOT_FOR.get(wrapper, [])
]


@pytest.mark.parametrize(("estimator", "check"), CASES)
def test_conformance(estimator, check):
    check(estimator)


@pytest.mark.parametrize("wrapper", NOT_FOR)
def test_what_is_left_out_fails_around_models_of_scikit_learn_too(wrapper):
    failed = set()
    for estimator, check, name in [case for models in ITS for case in checks(wrapper, models)]:
        if name in NOT_FOR[wrapper]:
            try:
                check(estimator)
            except (AssertionError, ValueError):
                failed.add(name)
    assert failed == set(NOT_FOR[wrapper])
