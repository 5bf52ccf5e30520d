"""Does a fit do what the documentation of the estimators says, with every solver?"""

import inspect
import pickle
from contextlib import contextmanager
from unittest.mock import patch

import numpy as np
import pytest
from scipy.special import expit, softmax
from sklearn.base import clone
from sklearn.datasets import load_breast_cancer, load_diabetes, load_iris, make_multilabel_classification
from sklearn.metrics import accuracy_score, r2_score

from sk2layer import TwoLayerClassifier, TwoLayerRegressor
from sk2layer.estimator import base, starts
from sk2layer.model.activations import ACTIVATIONS
from sk2layer.solvers import SGD, SOLVERS, Adam, GradientDescent

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

ESTIMATORS = [TwoLayerRegressor, TwoLayerClassifier]
MINI_BATCH = [name for name in SOLVERS if SOLVERS[name].supports_partial_fit]
every_estimator = pytest.mark.parametrize("Estimator", ESTIMATORS)
every_solver = pytest.mark.parametrize("solver", SOLVERS)


@pytest.fixture
def diabetes():
    X, y = load_diabetes(return_X_y=True, scaled=False)
    return X[:120], y[:120]


@pytest.fixture
def cancer():
    X, y = load_breast_cancer(return_X_y=True)
    return X[:120, :10], y[:120]


@pytest.fixture
def iris():
    X, y = load_iris(return_X_y=True)
    return X, np.array(["setosa", "versicolor", "virginica"])[y]


@pytest.fixture
def multilabel():
    return make_multilabel_classification(120, 8, n_classes=3, n_labels=2, random_state=0)


@pytest.fixture
def data_of(diabetes, cancer):
    return {TwoLayerRegressor: diabetes, TwoLayerClassifier: cancer}


def forward(model, X):
    (W1, W2), (b1, b2) = model.coefs_, model.intercepts_
    return expit(X @ W1 + b1) @ W2 + b2


# -------------------------------------------------------------------------------------------------- what can be learned


@every_solver
def test_regression(solver, diabetes):
    X, y = diabetes
    model = TwoLayerRegressor(solver=solver, random_state=0).fit(X, y)
    assert model.predict(X).shape == y.shape
    assert r2_score(y, model.predict(X)) > 0.45
    assert (model.n_outputs_, model.n_layers_, model.out_activation_) == (1, 3, "identity")


@every_solver
def test_regression_of_several_outputs(solver, diabetes):
    X, y = diabetes
    Y = np.column_stack([y, X[:, 2] + X[:, 3], -1e6 * X[:, 8]])
    model = TwoLayerRegressor(solver=solver, alpha=1.0, random_state=0).fit(X, Y)
    assert model.predict(X).shape == Y.shape
    assert (r2_score(Y, model.predict(X), multioutput="raw_values") > 0.4).all()
    assert (model.n_outputs_, model.out_activation_) == (3, "identity")
    assert [W.shape for W in model.coefs_] == [(10, 20), (20, 3)]
    assert [b.shape for b in model.intercepts_] == [(20,), (3,)]


def test_a_column_of_targets_stays_a_column(diabetes):
    X, y = diabetes
    model = TwoLayerRegressor(random_state=0)
    flat, column = model.fit(X, y).predict(X), model.fit(X, y[:, np.newaxis]).predict(X)
    np.testing.assert_array_equal(column, flat[:, np.newaxis])


@every_solver
def test_two_classes(solver, cancer):
    X, y = cancer
    model = TwoLayerClassifier(solver=solver, random_state=0).fit(X, y)
    assert accuracy_score(y, model.predict(X)) > 0.9
    assert (model.n_outputs_, model.n_layers_, model.out_activation_) == (1, 3, "sigmoid")


@every_solver
def test_several_classes(solver, iris):
    X, y = iris
    model = TwoLayerClassifier(solver=solver, random_state=0).fit(X, y)
    assert accuracy_score(y, model.predict(X)) > 0.9
    assert (model.n_outputs_, model.out_activation_) == (3, "softmax")
    np.testing.assert_array_equal(model.classes_, ["setosa", "versicolor", "virginica"])


@every_solver
def test_several_labels(solver, multilabel):
    X, Y = multilabel
    model = TwoLayerClassifier(solver=solver, random_state=0).fit(X, Y)
    assert (model.predict(X) == Y).mean() > 0.8
    assert (model.n_outputs_, model.out_activation_) == (3, "sigmoid")
    np.testing.assert_array_equal(model.classes_, [0, 1, 2])


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_activations(activation, diabetes, iris):
    X, y = diabetes
    assert TwoLayerRegressor(activation=activation, random_state=0).fit(X, y).score(X, y) > 0.45
    X, y = iris
    assert TwoLayerClassifier(activation=activation, random_state=0).fit(X, y).score(X, y) > 0.95


def test_what_no_linear_model_can_learn():
    """Exclusive or, the problem that hidden units were invented for."""
    X, y = np.array([[0, 0], [0, 1], [1, 0], [1, 1]]), np.array(["same", "other", "other", "same"])
    model = TwoLayerClassifier(4, alpha=0.01, random_state=0).fit(X, y)
    np.testing.assert_array_equal(model.predict(X), y)
    assert model.predict_proba(X).max(axis=1).min() > 0.9


# --------------------------------------------------------------------------------------- labels and their probabilities


@pytest.mark.parametrize(
    "labels",
    [
        ["no", "yes"],
        ["a", "b", "c"],
        [False, True],
        [-1, 1],
        [1.0, 2.0, 5.0],
        np.array(["x", "yyyy", "zz"], dtype=object),
        np.array([3, 1, 2], dtype=np.int8),
    ],
    ids=str,
)
def test_labels_of_any_type_come_back(labels):
    labels = np.asarray(labels)
    y = np.resize(labels, 60)
    X = np.eye(len(labels))[np.resize(np.arange(len(labels)), 60)]
    model = TwoLayerClassifier(3, alpha=0.01, random_state=0).fit(X, y)
    np.testing.assert_array_equal(model.classes_, np.unique(labels))
    np.testing.assert_array_equal(model.predict(X), y)
    assert model.predict(X).dtype == model.classes_.dtype
    assert model.score(X, y) == 1.0


def test_probabilities_of_two_classes(cancer):
    X, y = cancer
    model = TwoLayerClassifier(alpha=1.0, random_state=0).fit(X, y)
    log_odds, p = model.decision_function(X), model.predict_proba(X)
    assert log_odds.shape == (120,)
    np.testing.assert_allclose(log_odds, forward(model, X)[:, 0], rtol=1e-12)
    np.testing.assert_allclose(p, np.column_stack([expit(-log_odds), expit(log_odds)]), atol=1e-15)
    np.testing.assert_array_equal(model.predict(X), model.classes_[p.argmax(axis=1)])
    np.testing.assert_allclose(np.exp(model.predict_log_proba(X)), p, atol=1e-15)


def test_probabilities_of_several_classes(iris):
    X, y = iris
    model = TwoLayerClassifier(alpha=1.0, random_state=0).fit(X, y)
    scores, p = model.decision_function(X), model.predict_proba(X)
    np.testing.assert_allclose(scores, forward(model, X), rtol=1e-12)
    np.testing.assert_allclose(p, softmax(scores, axis=1), rtol=1e-12)
    np.testing.assert_allclose(p.sum(axis=1), 1.0, rtol=1e-14)
    np.testing.assert_array_equal(model.predict(X), model.classes_[p.argmax(axis=1)])
    np.testing.assert_allclose(np.exp(model.predict_log_proba(X)), p, rtol=1e-12)


@pytest.mark.parametrize("n_labels", [2, 3])
def test_probabilities_of_several_labels(n_labels, multilabel):
    X, Y = multilabel
    model = TwoLayerClassifier(alpha=1.0, random_state=0).fit(X, Y[:, :n_labels])
    scores, p = model.decision_function(X), model.predict_proba(X)
    assert scores.shape == p.shape == (120, n_labels)
    np.testing.assert_allclose(scores, forward(model, X), rtol=1e-12)
    np.testing.assert_allclose(p, expit(scores), rtol=1e-12)
    np.testing.assert_array_equal(model.predict(X), p > 0.5)
    np.testing.assert_allclose(np.exp(model.predict_log_proba(X)), p, rtol=1e-12)


def test_the_logarithm_of_a_probability_that_rounds_to_zero(iris):
    X, y = iris
    for of_classes in [slice(50, None), slice(None)]:
        model = TwoLayerClassifier(alpha=1.0, random_state=0).fit(X[of_classes], y[of_classes])
        model.coefs_[1] = 1e4 * model.coefs_[1]
        log_p = model.predict_log_proba(X)
        assert np.isfinite(log_p).all()
        assert log_p.min() < -1000.0


# -------------------------------------------------------------------------------------------------- attributes of a fit


@every_estimator
@every_solver
@pytest.mark.parametrize("standardize", [False, True], ids=["raw", "standardized"])
def test_the_loss_curve_ends_at_the_objective(Estimator, solver, standardize, iris):
    X, y = iris[0][:, :3], iris[0][:, 3] if Estimator is TwoLayerRegressor else iris[1]
    model = Estimator(3, solver=solver, standardize=standardize, alpha=0.5, random_state=0, max_iter=25).fit(X, y)
    assert 0 < len(model.loss_curve_) == model.n_iter_ <= 25
    assert all(isinstance(value, float) for value in model.loss_curve_)
    assert model.loss_ < model.loss_curve_[0]
    if solver not in MINI_BATCH:  # of those the curve has means over the batches of an epoch
        assert model.loss_ == model.loss_curve_[-1]
    assert model.alpha_ == 0.5
    assert not hasattr(model, "validation_loss_curve_")
    if not standardize:
        W1, W2 = model.coefs_
        penalty = 0.5 / (2 * len(X)) * ((W1**2).sum() + (W2**2).sum())
        if Estimator is TwoLayerRegressor:
            mean_loss = 0.5 * ((model.predict(X) - y) ** 2).mean()
        else:
            mean_loss = -model.predict_log_proba(X)[np.arange(len(X)), np.searchsorted(model.classes_, y)].mean()
        assert model.loss_ == pytest.approx(mean_loss + penalty, rel=1e-12)


@every_estimator
def test_parameters_are_those_of_the_contract(Estimator):
    parameters = inspect.signature(Estimator).parameters
    expected = {
        "hidden_units": 20,
        "activation": "sigmoid",
        "solver": "auto",
        "alpha": "auto",
        "standardize": True,
        "max_iter": 200,
        "tol": 1e-4,
        "early_stopping": False,
        "validation_fraction": 0.1,
        "n_iter_no_change": 10,
        "n_init": 1,
        "restarts": "best",
        "warm_start": False,
        "n_jobs": None,
        "random_state": None,
        "verbose": False,
    }
    expected |= (
        {"class_weight": None} if Estimator is TwoLayerClassifier else {"noise": "constant", "loss": "squared_error"}
    )
    assert {name: parameter.default for name, parameter in parameters.items()} == expected
    assert [name for name, parameter in parameters.items() if parameter.kind is not parameter.KEYWORD_ONLY] == [
        "hidden_units"
    ]


@every_estimator
@pytest.mark.parametrize("solver", [*SOLVERS, SGD(momentum=0.5), GradientDescent(learning_rate=0.1)], ids=str)
def test_fit_changes_no_parameter(Estimator, solver, data_of):
    model = Estimator(3, solver=solver, random_state=0, max_iter=3)
    before = {name: repr(value) for name, value in model.get_params().items()}
    assert model.fit(*data_of[Estimator]) is model
    assert {name: repr(value) for name, value in model.get_params().items()} == before


@every_estimator
@pytest.mark.parametrize("name", ["lm", "lbfgs", "adam"])
def test_auto_is_what_is_cheapest(Estimator, name, monkeypatch, data_of):
    asked = []
    monkeypatch.setattr(base, "cheapest_solver", lambda *size, **of: asked.append((size, of)) or name)
    X, y = data_of[Estimator]
    assert isinstance(Estimator(1, alpha=1.0, max_iter=1).fit(X, y).solver_, SOLVERS[name])
    ((n_samples, network), of) = asked[0]
    assert (n_samples, *network.shape[:2], network.activation) == (*X.shape, 1, ACTIVATIONS["sigmoid"])
    assert of == {"density": 1.0, "in_memory": True}


@every_solver
def test_the_solver_by_name_and_as_object_are_the_same(solver, diabetes):
    by_name = TwoLayerRegressor(3, solver=solver, random_state=0, max_iter=5).fit(*diabetes)
    as_object = TwoLayerRegressor(3, solver=SOLVERS[solver](), random_state=0, max_iter=5).fit(*diabetes)
    assert by_name.loss_curve_ == as_object.loss_curve_
    assert isinstance(by_name.solver_, SOLVERS[solver])


def test_parameters_of_a_solver_that_was_named():
    model = TwoLayerRegressor(solver="sgd").set_params(solver__momentum=0.5, solver__learning_rate=0.1, alpha=2)
    assert model.get_params()["solver__momentum"] == 0.5
    assert (model.solver.learning_rate, model.alpha) == (0.1, 2)
    model.set_params(solver="adam", solver__beta_1=0.8)
    assert isinstance(model.solver, Adam)
    assert model.solver.beta_1 == 0.8
    model.set_params(solver__beta_1=0.7)
    assert model.solver.beta_1 == 0.7


@every_estimator
@every_solver
def test_random_state_decides_everything_random(Estimator, solver, data_of):
    X, y = data_of[Estimator]
    if solver in MINI_BATCH:
        solver = SOLVERS[solver](batch_size=32)
    model = Estimator(3, solver=solver, early_stopping=True, max_iter=5)
    first, again, other = (clone(model).set_params(random_state=seed).fit(X, y).predict(X) for seed in (1, 1, 2))
    np.testing.assert_array_equal(first, again)
    coefs = [clone(model).set_params(random_state=seed).fit(X, y).coefs_[0] for seed in (1, 2)]
    assert (coefs[0] != coefs[1]).all()
    assert len(other) == len(first)


def test_a_generator_as_random_state_goes_on(diabetes):
    X, y = diabetes
    one, other = np.random.RandomState(3), np.random.RandomState(3)
    first = TwoLayerRegressor(random_state=one, max_iter=3).fit(X, y).coefs_[0]
    np.testing.assert_array_equal(TwoLayerRegressor(random_state=other, max_iter=3).fit(X, y).coefs_[0], first)
    assert (TwoLayerRegressor(random_state=one, max_iter=3).fit(X, y).coefs_[0] != first).all()


# ---------------------------------------------------------------------------------------------------- given weights


@every_estimator
@every_solver
@pytest.mark.parametrize("standardize", [False, True], ids=["raw", "standardized"])
def test_a_fit_from_given_weights_starts_there(Estimator, solver, standardize, iris):
    """Where steps have a length of their own it is short, so that the first iteration ends near its start."""
    X, y = iris[0][:, :3], iris[0][:, 3] if Estimator is TwoLayerRegressor else iris[1] == "setosa"
    good = Estimator(3, solver="lbfgs", alpha=1.0, standardize=standardize, random_state=0).fit(X, y)
    weights = {"coefs_init": good.coefs_, "intercepts_init": good.intercepts_}
    model = Estimator(3, solver=solver, alpha=1.0, standardize=standardize, random_state=1, max_iter=1)
    if hasattr(SOLVERS[solver](), "learning_rate"):
        model.set_params(solver__learning_rate=1e-3)
    again, elsewhere = clone(model).fit(X, y, **weights), model.fit(X, y)
    assert again.loss_ == pytest.approx(good.loss_, rel=0.1)
    assert elsewhere.loss_ > 1.5 * good.loss_


def test_given_weights_are_not_changed(diabetes):
    X, y = diabetes
    coefs, intercepts = [np.ones((10, 3)), np.ones((3, 1))], [np.ones(3), np.ones(1)]
    TwoLayerRegressor(3, solver="gd", max_iter=3).fit(X, y, coefs_init=coefs, intercepts_init=intercepts)
    assert all((array == 1.0).all() for array in [*coefs, *intercepts])


def test_given_weights_may_be_lists(diabetes):
    X, y = diabetes
    coefs, intercepts = [[[0.01]] * 10, [[1]]], [[0], [1]]
    model = TwoLayerRegressor(1, max_iter=3).fit(X, y, coefs_init=coefs, intercepts_init=intercepts)
    assert model.loss_ < model.loss_curve_[0]


# ------------------------------------------------------------------------------------------------------ several starts


@contextmanager
def record_runs():
    """Give a list that fills with the outcome of every start."""
    run, outcomes = starts.run, []

    def recording(*args):
        outcomes.append(run(*args))
        return outcomes[-1]

    with patch.object(starts, "run", recording):
        yield outcomes


@every_estimator
@every_solver
def test_of_several_starts_the_lowest_objective_is_kept(Estimator, solver, data_of):
    model = Estimator(3, solver=solver, alpha=1.0, max_iter=6, random_state=5, n_init=4)
    with record_runs() as outcomes:
        model.fit(*data_of[Estimator])
    losses = [outcome.loss for outcome in outcomes]
    assert len(set(losses)) == 4
    assert model.loss_ == min(losses)
    assert model.loss_curve_ == outcomes[int(np.argmin(losses))].monitor.loss_curve


@every_solver
def test_with_early_stopping_the_lowest_validation_loss_is_kept(solver, diabetes):
    model = TwoLayerRegressor(5, solver=solver, early_stopping=True, max_iter=30, random_state=0, n_init=4)
    with record_runs() as outcomes:
        model.fit(*diabetes)
    lowest = [min(outcome.monitor.validation_loss_curve) for outcome in outcomes]
    assert len(set(lowest)) == 4
    assert min(model.validation_loss_curve_) == min(lowest)


def test_one_start_is_the_first_of_several(diabetes):
    model = TwoLayerRegressor(5, max_iter=10, random_state=0)
    with record_runs() as outcomes:
        clone(model).set_params(n_init=2).fit(*diabetes)
    assert outcomes[0].loss == model.fit(*diabetes).loss_


def test_several_starts_in_parallel_are_the_same(diabetes):
    X, y = diabetes
    model = TwoLayerRegressor(5, n_init=4, max_iter=20, random_state=0)
    one, two = clone(model).set_params(n_jobs=1).fit(X, y), clone(model).set_params(n_jobs=2).fit(X, y)
    np.testing.assert_array_equal(one.predict(X), two.predict(X))
    assert one.loss_curve_ == two.loss_curve_


# -------------------------------------------------------------------------------------------------------------- verbose


@every_estimator
@every_solver
def test_verbose_prints_a_line_per_iteration(Estimator, solver, data_of, capsys):
    model = Estimator(3, solver=solver, alpha=1.0, verbose=True, max_iter=4, random_state=0).fit(*data_of[Estimator])
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == model.n_iter_ == 4
    for number, (line, loss) in enumerate(zip(lines, model.loss_curve_, strict=True), start=1):
        assert line.startswith(f"{Estimator.__name__} {SOLVERS[solver].__name__} iteration {number:5d}")
        assert f"objective {loss:<12.6g}" in line
        assert "validation" not in line


@every_solver
def test_verbose_prints_every_so_many_and_the_validation_loss(solver, diabetes, capsys):
    X, y = diabetes
    model = TwoLayerRegressor(3, solver=solver, verbose=3, max_iter=8, random_state=0)
    model.fit(X, y, X_val=X[:10], y_val=y[:10])
    lines = capsys.readouterr().out.splitlines()
    assert [int(line.split("iteration")[1].split()[0]) for line in lines] == [3, 6]
    assert f"validation loss {model.validation_loss_curve_[5]:<12.6g}" in lines[1]


def test_verbose_says_which_start_a_line_is_of(diabetes, capsys):
    model = TwoLayerRegressor(3, alpha=1.0, verbose=1, max_iter=2, n_init=2, warm_start=True, random_state=0)
    model.fit(*diabetes)
    lines = capsys.readouterr().out.splitlines()
    assert [line.partition(" iteration ")[0].partition(", ")[2] for line in lines] == 2 * ["start 1 of 2,"] + 2 * [
        "start 2 of 2,"
    ]
    model.fit(*diabetes)  # goes on from the best one alone
    assert "start" not in capsys.readouterr().out


@pytest.mark.parametrize("n_init", [1, 3])
def test_verbose_tells_the_seconds_of_this_fit(n_init, diabetes, capsys, monkeypatch):
    """Whatever the clock said when the one before began, in another process it may be."""
    X, y = diabetes
    model = TwoLayerRegressor(3, solver="gd", verbose=1, max_iter=2, warm_start=True, n_init=n_init, random_state=0)
    now = [1e6]

    def clock():
        now[0] += 0.25
        return now[0]

    monkeypatch.setattr("sk2layer.estimator.monitor.time.perf_counter", clock)
    for start in (1e6, 5e7, 0.0):
        now[0] = start
        pickle.loads(pickle.dumps(model.fit(X, y)))
        times = [float(line.split()[-2]) for line in capsys.readouterr().out.splitlines()]
        assert len(times) == (2 * n_init if start == 1e6 else 2)
        assert all(0.0 < time <= 1.0 for time in times)


@every_estimator
def test_without_verbose_nothing_is_printed(Estimator, data_of, capsys):
    Estimator(3, max_iter=4).fit(*data_of[Estimator])
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize("Estimator", [TwoLayerRegressor, TwoLayerClassifier])
def test_a_fitted_estimator_does_not_follow_parameters_set_later(Estimator):
    X, y = load_iris(return_X_y=True)
    model = Estimator(4, solver=Adam(learning_rate=0.01), random_state=0, max_iter=5).fit(X, y)
    before = model.predict(X)
    model.set_params(activation="tanh", solver__learning_rate=0.5)
    np.testing.assert_array_equal(model.predict(X), before)
    assert model.solver_.learning_rate == 0.01
