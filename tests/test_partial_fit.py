"""Can data come in pieces: is `partial_fit` there where it makes sense, and an epoch of the same fit?"""

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.datasets import load_breast_cancer, load_diabetes, load_iris
from sklearn.exceptions import NotFittedError

from sk2layer import TwoLayerClassifier, TwoLayerRegressor
from sk2layer.solvers import SGD, SOLVERS, GradientDescent

MINI_BATCH = [name for name in SOLVERS if SOLVERS[name].supports_partial_fit]
OTHERS = ["auto", *(name for name in SOLVERS if name not in MINI_BATCH)]
every_estimator = pytest.mark.parametrize("Estimator", [TwoLayerRegressor, TwoLayerClassifier])
every_mini_batch_solver = pytest.mark.parametrize("solver", MINI_BATCH)
ignore_no_convergence = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


@pytest.fixture
def numbers():
    return load_diabetes(return_X_y=True, scaled=False)


@pytest.fixture
def data_of(numbers):
    return {TwoLayerRegressor: numbers, TwoLayerClassifier: load_breast_cancer(return_X_y=True)}


def weights_of(model):
    return [*model.coefs_, *model.intercepts_]


def assert_same_weights(one, other, tolerance=0.0):
    for mine, its in zip(weights_of(one), weights_of(other), strict=True):
        np.testing.assert_allclose(mine, its, rtol=tolerance, atol=tolerance)


@every_estimator
def test_it_is_there_for_mini_batch_solvers_only(Estimator):
    for solver in MINI_BATCH:
        assert hasattr(Estimator(solver=solver), "partial_fit")
        assert hasattr(Estimator(solver=SOLVERS[solver]()), "partial_fit")
    for solver in OTHERS:
        assert not hasattr(Estimator(solver=solver), "partial_fit")
    with pytest.raises(AttributeError, match="has no attribute 'partial_fit'") as caught:
        Estimator(solver="lbfgs").partial_fit([[0.0]], [0.0])
    assert "mini-batch solver, 'sgd' or 'adam'. Got solver='lbfgs'" in str(caught.value.__cause__)


@ignore_no_convergence
@every_estimator
def test_a_batch_is_an_epoch(Estimator, data_of):
    """With all rows in one step it is a step of gradient descent, with the batch's share of the penalty."""
    X, y = data_of[Estimator]
    X = X / np.abs(X).max(axis=0)
    params = {"hidden_units": 5, "standardize": False, "random_state": 0}
    model = Estimator(**params, solver=SGD(learning_rate=0.01, momentum=0.0, batch_size=1000), alpha=10.0)
    model.partial_fit(X[:100], y[:100])
    for start, stop in [(100, 150), (150, 400)]:
        step = Estimator(**params, solver=GradientDescent(learning_rate=0.01), max_iter=1)
        step.set_params(alpha=10.0 * (stop - start) / stop)
        step.fit(X[start:stop], y[start:stop], coefs_init=model.coefs_, intercepts_init=model.intercepts_)
        model.partial_fit(X[start:stop], y[start:stop])
        assert_same_weights(model, step, 1e-13)
        assert model.loss_ == pytest.approx(step.loss_, rel=1e-13)


def test_momentum_lasts_from_batch_to_batch(numbers):
    """Without a gradient a step goes on by `momentum` times the last."""
    X, y = numbers
    model = TwoLayerRegressor(5, solver=SGD(learning_rate=1e-3, momentum=0.8, nesterov=False, batch_size=1000))
    model.set_params(standardize=False, alpha=0.0, random_state=0)
    model.partial_fit(X, y)
    weights = [weights_of(model.partial_fit(X, y))]
    model.set_params(solver__learning_rate=1e-300)
    weights += [weights_of(model.partial_fit(X, y)) for _ in range(2)]
    for first, second, third in zip(*weights, strict=True):
        np.testing.assert_allclose(third - second, 0.8 * (second - first), rtol=1e-6, atol=1e-12)
        assert (third != second).any()


@pytest.mark.parametrize("solvers", [("sgd", "adam"), ("adam", "sgd")])
def test_another_solver_takes_over(solvers, numbers):
    model = TwoLayerRegressor(5, solver=solvers[0], random_state=0).partial_fit(*numbers)
    before = model.loss_
    for _ in range(5):
        model.set_params(solver=solvers[1]).partial_fit(*numbers)
    assert model.loss_ < before


@every_estimator
@every_mini_batch_solver
def test_batches_are_learned(Estimator, solver, data_of):
    X, y = data_of[Estimator]
    model = Estimator(10, solver=solver, random_state=0)
    order = np.random.default_rng(0).permutation(len(X))
    for epoch in range(10):
        for batch in np.array_split(order, 8):
            model.partial_fit(X[batch], y[batch])
        assert model.n_iter_ == 8 * (epoch + 1) == len(model.loss_curve_)
    assert model.score(X, y) > (0.45 if Estimator is TwoLayerRegressor else 0.95)


@every_mini_batch_solver
def test_what_was_learned_is_kept_when_the_statistics_move(solver, numbers):
    """But for the step, the network is the function that it was, whatever the means and spreads of the batch."""
    X, y = numbers
    model = TwoLayerRegressor(5, solver=SOLVERS[solver](learning_rate=1e-12), alpha=0.0, random_state=0)
    before = model.partial_fit(X[:100], y[:100]).predict(X)
    model.partial_fit(3.0 * X[100:] + 5.0, -2.0 * y[100:])
    np.testing.assert_allclose(model.predict(X), before, rtol=1e-6)


@every_mini_batch_solver
def test_a_column_that_was_constant_so_far_is_learned(solver):
    X, y = load_iris(return_X_y=True)
    model = TwoLayerRegressor(5, solver=solver, random_state=0)
    first = X.copy()
    first[:, 2] = 1.0
    model.partial_fit(first, y)
    assert not model.coefs_[0][2].any()
    for _ in range(100):
        model.partial_fit(X, y)
    assert model.coefs_[0][2].all()
    assert model.score(X, y) > 0.8


@ignore_no_convergence
@every_mini_batch_solver
def test_a_fit_goes_on_with_batches(solver, numbers):
    X, y = numbers
    model = TwoLayerRegressor(5, solver=solver, random_state=0, max_iter=30).fit(X[:200], y[:200])
    before = model.score(X[200:], y[200:])
    for _ in range(20):
        model.partial_fit(X[200:], y[200:])
    assert model.score(X[200:], y[200:]) > before
    assert model.n_iter_ == 50


@ignore_no_convergence
@every_mini_batch_solver
@pytest.mark.parametrize("standardize", [False, True], ids=["raw", "standardized"])
def test_a_fit_that_was_stopped_early_goes_on_with_batches(solver, standardize):
    X, y = load_iris(return_X_y=True)
    model = TwoLayerRegressor(5, solver=solver, standardize=standardize, random_state=0, max_iter=30)
    model.set_params(early_stopping=True).fit(X, y)
    before = model.predict(X)
    model.set_params(solver__learning_rate=1e-12).partial_fit(3.0 * X, y + 5.0)
    np.testing.assert_allclose(model.predict(X), before, rtol=1e-6)
    model.set_params(solver__learning_rate=0.01).partial_fit(3.0 * X, y + 5.0)
    assert (np.abs(model.predict(X) - before) > 1e-4).all()
    assert not hasattr(model, "validation_loss_curve_")


@ignore_no_convergence
def test_fit_starts_afresh(numbers):
    X, y = numbers
    model = TwoLayerRegressor(5, solver="adam", random_state=0, max_iter=5)
    fresh = clone(model).fit(X, y)
    assert_same_weights(model.partial_fit(X[:50], y[:50]).fit(X, y), fresh)


def test_classes_that_are_yet_to_come():
    X, y = load_iris(return_X_y=True)
    model = TwoLayerClassifier(5, solver="adam", random_state=0).partial_fit(X[:50], y[:50], classes=[0, 1, 2])
    np.testing.assert_array_equal(model.classes_, [0, 1, 2])
    assert model.predict_proba(X).shape == (150, 3)
    for _ in range(100):
        for start in (0, 50, 100):
            model.partial_fit(X[start : start + 50], y[start : start + 50])
    assert model.score(X, y) > 0.8


def test_batches_of_several_labels():
    X, y = load_iris(return_X_y=True)
    Y = np.column_stack([y == 0, y == 1]).astype(int)
    model = TwoLayerClassifier(5, solver="adam", random_state=0)
    for _ in range(200):
        model.partial_fit(X, Y)
    assert (model.predict(X) == Y).mean() > 0.8


@every_estimator
def test_labels_or_outputs_that_do_not_fit_the_first_batch(Estimator, data_of):
    X, y = data_of[Estimator]
    model = Estimator(3, solver="sgd").partial_fit(X, y)
    weights = [array.copy() for array in weights_of(model)]
    if Estimator is TwoLayerClassifier:
        with pytest.raises(ValueError, match=r"y must have labels out of \[0, 1\]\. Got unseen labels: \[7, 8\]"):
            model.partial_fit(X, y + 7)
    else:
        with pytest.raises(ValueError, match=r"y must have 1 column\(s\)\. Got 2"):
            model.partial_fit(X, np.column_stack([y, y]))
    with pytest.raises(ValueError, match=f"X has 2 features, but {Estimator.__name__} is expecting {X.shape[1]}"):
        model.partial_fit(X[:, :2], y)
    for array, before in zip(weights_of(model), weights, strict=True):
        np.testing.assert_array_equal(array, before)


def test_one_class_and_no_classes_to_come():
    with pytest.raises(ValueError, match="at least two classes"):
        TwoLayerClassifier(solver="sgd").partial_fit([[0.0], [1.0]], ["a", "a"])


def test_another_network_cannot_go_on(numbers):
    model = TwoLayerRegressor(3, solver="sgd").partial_fit(*numbers)
    with pytest.raises(ValueError, match="cannot go on from a network of"):
        model.set_params(hidden_units=4).partial_fit(*numbers)


def test_parameters_are_checked(numbers):
    with pytest.raises(ValueError, match="The 'hidden_units' parameter of TwoLayerRegressor must be"):
        TwoLayerRegressor(0, solver="sgd").partial_fit(*numbers)


def test_a_batch_that_diverges_leaves_the_weights_as_they_were(numbers):
    X, y = numbers
    model = TwoLayerRegressor(3, solver=SGD(learning_rate=0.01), random_state=0).partial_fit(X, y)
    before = model.predict(X)
    with pytest.raises(ValueError, match=r"SGD\(learning_rate=1e\+200\) diverged"):
        model.set_params(solver__learning_rate=1e200).partial_fit(X, y)
    np.testing.assert_array_equal(model.predict(X), before)


def test_weights_of_rows(numbers):
    X, y = numbers
    weight = np.arange(len(y)) % 2.0
    model = TwoLayerRegressor(3, solver="sgd", random_state=0)
    weighted, without = (clone(model) for _ in range(2))
    for _ in range(2):
        weighted.partial_fit(X, y, weight)
        without.partial_fit(X[1::2], y[1::2])
    assert_same_weights(weighted, without, 1e-12)


def test_verbose(numbers, capsys):
    model = TwoLayerRegressor(3, solver="sgd", verbose=2)
    for _ in range(4):
        model.partial_fit(*numbers)
    lines = capsys.readouterr().out.splitlines()
    assert [int(line.split("iteration")[1].split()[0]) for line in lines] == [2, 4]


def test_predict_needs_a_batch_first():
    with pytest.raises(NotFittedError):
        TwoLayerRegressor(solver="sgd").predict([[1.0]])


def test_other_classes_in_a_later_call_are_an_error():
    X, y = np.arange(12.0).reshape(6, 2), np.array([0, 1, 2, 0, 1, 2])
    model = TwoLayerClassifier(3, solver="sgd", random_state=0).partial_fit(X, y, classes=[0, 1, 2])
    model.partial_fit(X, y, classes=[2, 1, 0])
    with pytest.raises(ValueError, match=r"classes must be the same in every call: \[0, 1, 2\]. Got \[0, 1\]"):
        model.partial_fit(X, y, classes=[0, 1])
