"""Do both estimators work inside the tools of scikit-learn, and survive being copied and stored?"""

import copy
import pickle
import re
import sys

import joblib
import numpy as np
import pytest
from repository import text_of
from sklearn.base import clone
from sklearn.calibration import CalibratedClassifierCV
from sklearn.datasets import load_breast_cancer, load_diabetes, load_iris
from sklearn.ensemble import (
    AdaBoostRegressor,
    BaggingClassifier,
    BaggingRegressor,
    StackingRegressor,
    VotingClassifier,
    VotingRegressor,
)
from sklearn.experimental import enable_halving_search_cv  # noqa: F401
from sklearn.inspection import partial_dependence, permutation_importance
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.model_selection import (
    GridSearchCV,
    HalvingGridSearchCV,
    KFold,
    RandomizedSearchCV,
    cross_val_predict,
    cross_val_score,
    learning_curve,
)
from sklearn.multiclass import OneVsRestClassifier
from sklearn.multioutput import MultiOutputRegressor, RegressorChain
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import PolynomialFeatures, StandardScaler

from sk2layer import TwoLayerClassifier, TwoLayerRegressor
from sk2layer.onnx import register
from sk2layer.solvers import SOLVERS

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

ESTIMATORS = [TwoLayerRegressor, TwoLayerClassifier]
MINI_BATCH = [name for name in SOLVERS if SOLVERS[name].supports_partial_fit]
every_estimator = pytest.mark.parametrize("Estimator", ESTIMATORS)
every_solver = pytest.mark.parametrize("solver", SOLVERS)


@pytest.fixture
def diabetes():
    X, y = load_diabetes(return_X_y=True, scaled=False)
    return X[:150], y[:150]


@pytest.fixture
def cancer():
    X, y = load_breast_cancer(return_X_y=True)
    return X[:150, :8], np.array(["malignant", "benign"])[y[:150]]


@pytest.fixture
def data_of(diabetes, cancer):
    return {TwoLayerRegressor: diabetes, TwoLayerClassifier: cancer}


def outputs(model, X):
    return model.predict_proba(X) if hasattr(model, "predict_proba") else model.predict(X)


# ------------------------------------------------------------------------------------------------------------- searches


def test_export_names_the_extra_that_it_needs(monkeypatch):
    monkeypatch.setitem(sys.modules, "skl2onnx", None)  # as if it were not installed
    with pytest.raises(ImportError, match=r"register needs skl2onnx: pip install 'sk2layer\[onnx\]'"):
        register()


@every_estimator
def test_grid_search(Estimator, data_of):
    X, y = data_of[Estimator]
    grid = {"hidden_units": [1, 4], "alpha": [0.1, 1e6], "activation": ["sigmoid", "tanh"]}
    search = GridSearchCV(Estimator(max_iter=30, random_state=0), grid, cv=3, error_score="raise").fit(X, y)
    assert search.best_params_["alpha"] == 0.1
    assert search.best_score_ > (0.3 if Estimator is TwoLayerRegressor else 0.85)


@every_estimator
@pytest.mark.parametrize("solver", ["gd", "sgd", "adam"])
def test_grid_search_over_parameters_of_a_solver_that_is_named(Estimator, solver, data_of):
    """The smaller learning rate leads nowhere within these few iterations."""
    X, y = data_of[Estimator]
    model = Estimator(4, solver=solver, max_iter=30, random_state=0)
    search = GridSearchCV(model, {"solver__learning_rate": [1e-6, 0.1]}, cv=3, error_score="raise").fit(X, y)
    assert search.best_params_ == {"solver__learning_rate": 0.1}
    assert search.best_estimator_.solver_.learning_rate == 0.1
    assert model.solver == solver


def test_grid_search_over_solvers(diabetes):
    grid = [{"solver": ["lbfgs"]}, {"solver": ["sgd"], "solver__momentum": [0.5, 0.9]}]
    model = TwoLayerRegressor(3, max_iter=10, random_state=0)
    search = GridSearchCV(model, grid, cv=2, error_score="raise").fit(*diabetes)
    alone = [TwoLayerRegressor(3, max_iter=10, random_state=0, solver=SOLVERS["lbfgs"]())]
    alone += [clone(alone[0]).set_params(solver=SOLVERS["sgd"](momentum=momentum)) for momentum in (0.5, 0.9)]
    expected = [cross_val_score(each, *diabetes, cv=2).mean() for each in alone]
    np.testing.assert_allclose(search.cv_results_["mean_test_score"], expected, rtol=1e-12)
    assert len(set(expected)) == 3


def test_grid_search_in_a_pipeline(diabetes):
    pipeline = make_pipeline(PolynomialFeatures(include_bias=False), TwoLayerRegressor(3, solver="adam", max_iter=10))
    grid = {"twolayerregressor__solver__learning_rate": [1e-9, 0.1], "twolayerregressor__random_state": [0]}
    search = GridSearchCV(pipeline, grid, cv=2, error_score="raise").fit(*diabetes)
    assert search.best_estimator_[-1].solver_.learning_rate == 0.1
    assert np.ptp(search.cv_results_["mean_test_score"]) > 0.1


@every_estimator
def test_halving_search_with_iterations_as_the_resource(Estimator, data_of):
    X, y = data_of[Estimator]
    search = HalvingGridSearchCV(
        Estimator(3, random_state=0),
        {"alpha": [0.1, 1.0, 1e6]},
        resource="max_iter",
        min_resources=5,
        max_resources=45,
        cv=2,
        error_score="raise",
        random_state=0,
    ).fit(X, y)
    assert search.n_resources_ == [5, 15]
    assert search.best_params_["max_iter"] == 15
    assert search.best_params_["alpha"] < 1e6


@every_estimator
def test_randomized_search(Estimator, data_of):
    X, y = data_of[Estimator]
    model = Estimator(solver="lbfgs", max_iter=20, random_state=0)
    space = {"hidden_units": range(1, 6), "alpha": np.logspace(-2, 1, 50), "solver__n_corrections": [5, 20]}
    search = RandomizedSearchCV(model, space, n_iter=4, cv=2, random_state=0, error_score="raise").fit(X, y)
    best = clone(model).set_params(**search.best_params_)
    assert search.best_score_ == cross_val_score(best, X, y, cv=2).mean() == max(search.cv_results_["mean_test_score"])
    assert search.best_estimator_.solver_.n_corrections == search.best_params_["solver__n_corrections"]


@every_estimator
def test_learning_curve_by_batches(Estimator, data_of):
    """Each size goes on from the one before, with the rows that are new."""
    X, y = data_of[Estimator]
    model = Estimator(4, solver="adam", random_state=0)
    ((train, test),) = [(np.arange(0, 140), np.arange(140, 150))]
    classes = {"classes": np.unique(y)} if Estimator is TwoLayerClassifier else {}
    sizes, _, scores = learning_curve(
        model, X, y, cv=[(train, test)], train_sizes=[60, 90, 140], exploit_incremental_learning=True
    )
    by_hand = []
    for start, stop in zip([0, 60, 90], sizes, strict=True):
        model.partial_fit(X[start:stop], y[start:stop], **classes)
        by_hand.append(model.score(X[test], y[test]))
    np.testing.assert_allclose(scores[:, 0], by_hand, rtol=1e-12)


# ---------------------------------------------------------------------------------------- predictions across a data set


@every_estimator
@every_solver
def test_cross_val_predict(Estimator, solver, data_of):
    X, y = data_of[Estimator]
    model = Estimator(3, solver=solver, max_iter=10, random_state=0)
    folds = list(KFold(3).split(X))
    expected = np.concatenate([clone(model).fit(X[train], y[train]).predict(X[test]) for train, test in folds])
    np.testing.assert_array_equal(cross_val_predict(model, X, y, cv=folds), expected)


def test_cross_val_predict_of_probabilities(cancer):
    X, y = cancer
    model, folds = TwoLayerClassifier(3, max_iter=30, random_state=0), list(KFold(3).split(X))
    for method in ["predict_proba", "predict_log_proba", "decision_function"]:
        fits = [(clone(model).fit(X[train], y[train]), X[test]) for train, test in folds]
        expected = np.concatenate([getattr(fit, method)(rows) for fit, rows in fits])
        np.testing.assert_array_equal(cross_val_predict(model, X, y, cv=folds, method=method), expected)


@every_estimator
def test_cross_val_score_in_parallel(Estimator, data_of):
    X, y = data_of[Estimator]
    model = Estimator(3, max_iter=20, random_state=0)
    scores = [cross_val_score(model, X, y, cv=3, n_jobs=n_jobs) for n_jobs in (1, 2)]
    np.testing.assert_array_equal(scores[0], scores[1])


@pytest.mark.parametrize("method", ["sigmoid", "isotonic"])
@pytest.mark.parametrize("load", ["cancer", "iris"])
def test_calibration(method, load, cancer):
    X, y = cancer if load == "cancer" else load_iris(return_X_y=True)
    model = CalibratedClassifierCV(TwoLayerClassifier(3, max_iter=30, random_state=0), method=method, cv=3).fit(X, y)
    assert model.score(X, y) > 0.85
    np.testing.assert_allclose(model.predict_proba(X).sum(axis=1), 1.0)


# ------------------------------------------------------------------------------------------------------------ ensembles


@every_estimator
def test_bagging(Estimator, data_of):
    X, y = data_of[Estimator]
    Bagging = BaggingRegressor if Estimator is TwoLayerRegressor else BaggingClassifier
    model = Bagging(Estimator(4, max_iter=30), n_estimators=5, random_state=0).fit(X, y)
    assert model.score(X, y) > (0.4 if Estimator is TwoLayerRegressor else 0.9)
    assert len({estimator.loss_ for estimator in model.estimators_}) == 5


def test_voting(diabetes, cancer):
    networks = [("small", TwoLayerClassifier(2, random_state=0)), ("linear", LogisticRegression(max_iter=10_000))]
    X, y = cancer
    for voting in ("soft", "hard"):
        assert VotingClassifier(networks, voting=voting).fit(X, y).score(X, y) > 0.9
    X, y = diabetes
    networks = [("small", TwoLayerRegressor(2, random_state=0)), ("linear", Ridge())]
    assert VotingRegressor(networks).fit(X, y).score(X, y) > 0.4
    assert StackingRegressor(networks, cv=2).fit(X, y).score(X, y) > 0.4


def test_boosting_by_weights(diabetes):
    X, y = diabetes
    model = AdaBoostRegressor(TwoLayerRegressor(2, max_iter=20), n_estimators=3, random_state=0).fit(X, y)
    assert model.score(X, y) > 0.4


def test_meta_estimators_for_several_outputs(diabetes):
    X, y = diabetes
    Y = np.column_stack([y, X[:, 2]])
    for Meta in (MultiOutputRegressor, RegressorChain):
        assert Meta(TwoLayerRegressor(3, max_iter=30, random_state=0)).fit(X, Y).score(X, Y) > 0.4
    X, y = load_iris(return_X_y=True)
    assert OneVsRestClassifier(TwoLayerClassifier(3, max_iter=30, random_state=0)).fit(X, y).score(X, y) > 0.9


# ----------------------------------------------------------------------------------------------------------- inspection


@every_estimator
def test_permutation_importance(Estimator, data_of):
    X, y = data_of[Estimator]
    X = np.hstack([X, np.zeros((len(X), 1))])
    model = Estimator(4, random_state=0).fit(X, y)
    importance = permutation_importance(model, X, y, n_repeats=3, random_state=0).importances_mean
    assert importance[-1] == 0.0
    assert importance.max() > 0.01


@every_estimator
def test_partial_dependence(Estimator, data_of):
    """Of a network that is linear in each of its inputs, in its raw prediction at least."""
    X, y = data_of[Estimator]
    model = Estimator(2, activation="identity", alpha=1.0, random_state=0).fit(X, y)
    method = "predict" if Estimator is TwoLayerRegressor else "decision_function"
    options = {} if Estimator is TwoLayerRegressor else {"response_method": method}
    result = partial_dependence(model, X, [2], grid_resolution=5, kind="average", **options)
    grid = result["grid_values"][0]
    slope = np.diff(result["average"][0]) / np.diff(grid)
    expected = (model.coefs_[0] @ model.coefs_[1])[2, 0]
    np.testing.assert_allclose(slope, expected, rtol=1e-6)


# --------------------------------------------------------------------------------------------------- copies and storage

COPIES = {
    "deepcopy": lambda model, path: copy.deepcopy(model),
    "copy": lambda model, path: copy.copy(model),
    "pickle": lambda model, path: pickle.loads(pickle.dumps(model)),
    "joblib": lambda model, path: joblib.load(joblib.dump(model, path / "model.joblib")[0]),
}


@every_estimator
@every_solver
@pytest.mark.parametrize("way", COPIES)
@pytest.mark.parametrize("options", [{}, {"warm_start": True, "early_stopping": True}], ids=["", "warm start"])
def test_copies_predict_the_same_bit_for_bit(Estimator, solver, way, options, data_of, tmp_path):
    X, y = data_of[Estimator]
    model = Estimator(4, solver=solver, random_state=0, max_iter=5, **options).fit(X, y)
    copied = COPIES[way](model, tmp_path)
    np.testing.assert_array_equal(outputs(copied, X), outputs(model, X))
    assert repr(copied.get_params()) == repr(model.get_params())
    assert copied.loss_curve_ == model.loss_curve_


@every_estimator
@every_solver
def test_a_clone_is_not_fitted_and_fits_the_same(Estimator, solver, data_of):
    X, y = data_of[Estimator]
    model = Estimator(4, solver=SOLVERS[solver](), random_state=0, max_iter=5, alpha=0.5).fit(X, y)
    copied = clone(model)
    assert not hasattr(copied, "coefs_")
    assert copied.solver is not model.solver
    assert repr(copied) == repr(model)
    np.testing.assert_array_equal(outputs(copied.fit(X, y), X), outputs(model, X))


@every_estimator
@every_solver
@pytest.mark.parametrize("way", ["deepcopy", "pickle"])
def test_a_copy_goes_on_exactly(Estimator, solver, way, data_of, tmp_path):
    X, y = data_of[Estimator]
    model = Estimator(4, solver=solver, random_state=0, max_iter=5, tol=0.0, warm_start=True).fit(X, y)
    copied = COPIES[way](model, tmp_path)
    np.testing.assert_array_equal(outputs(copied.fit(X, y), X), outputs(model.fit(X, y), X))
    assert copied.n_iter_ == 10


@every_estimator
@pytest.mark.parametrize("solver", MINI_BATCH)
def test_a_copy_takes_the_next_batch(Estimator, solver, data_of, tmp_path):
    X, y = data_of[Estimator]
    model = Estimator(4, solver=solver, random_state=0).partial_fit(X, y)
    copied = COPIES["pickle"](model, tmp_path)
    np.testing.assert_array_equal(outputs(copied.partial_fit(X, y), X), outputs(model.partial_fit(X, y), X))


@every_estimator
def test_a_fitted_estimator_does_not_hold_on_to_the_data(Estimator, data_of):
    X, y = data_of[Estimator]
    X, y = np.tile(X, (40, 1)), np.tile(y, 40)
    watched = {"early_stopping": True, "validation_fraction": 0.5}
    for options in ({}, {"warm_start": True}, {"warm_start": True, **watched}, {"solver": "sgd", **watched}):
        model = Estimator(2, random_state=0, max_iter=3, **options).fit(X, y)
        assert len(pickle.dumps(model)) < X.nbytes / 10


@every_estimator
def test_a_readable_repr(Estimator):
    assert repr(Estimator(5, alpha=2)) == f"{Estimator.__name__}(alpha=2, hidden_units=5)"
    assert "SGD(momentum=0.5)" in repr(Estimator(solver=SOLVERS["sgd"](momentum=0.5)))
    assert Estimator.__name__ in make_pipeline(StandardScaler(), Estimator())._repr_html_()


def test_a_mixed_integer_program_finds_the_best_input_of_a_relu_network():
    """By the code of the guide: nothing within the bounds and the budget is better."""
    pytest.importorskip("pyomo.environ", reason="Pyomo is not installed")
    pytest.importorskip("highspy", reason="HiGHS is not installed")
    page = text_of("docs/guide/optimising.md")
    namespace = {}
    exec(re.search(r"```python\n(.*?)```", page, re.DOTALL)[1], namespace)
    model, best = namespace["model"], namespace["best"]
    assert best.sum() <= 5.0 + 1e-6
    assert namespace["p"].y() == pytest.approx(model.predict([best])[0], abs=1e-6)
    grid = np.stack(np.meshgrid(*[np.linspace(0.0, 5.0, 201)] * 2), axis=-1).reshape(-1, 2)
    assert model.predict(grid[grid.sum(axis=1) <= 5.0]).max() <= model.predict([best])[0] + 1e-6
