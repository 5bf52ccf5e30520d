"""Can data come in pieces: is `partial_fit` there where it makes sense, and an epoch of the same fit?"""

import copy
import itertools

import numpy as np
import pytest
from scipy.sparse import csr_array
from sklearn.base import clone
from sklearn.datasets import load_breast_cancer, load_diabetes, load_iris
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import train_test_split
from slow import mostly_slow, seeds

from sk2layer import TwoLayerClassifier, TwoLayerRegressor
from sk2layer.solvers import SGD, SOLVERS, GradientDescent

MINI_BATCH = [name for name in SOLVERS if SOLVERS[name].supports_partial_fit]
OTHERS = ["auto", *(name for name in SOLVERS if name not in MINI_BATCH)]
every_estimator = pytest.mark.parametrize("Estimator", [TwoLayerRegressor, TwoLayerClassifier])
every_mini_batch_solver = pytest.mark.parametrize("solver", MINI_BATCH)
every_kind = pytest.mark.parametrize("kind", [np.asarray, csr_array], ids=["dense", "sparse"])
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


@ignore_no_convergence
@every_estimator
@every_mini_batch_solver
@every_kind
@seeds(3)
def test_calls_with_the_same_rows_are_one_fit(Estimator, solver, kind, seed, data_of):
    """Penalty, momentum, first weights, order of rows; the means and spreads are the same up to rounding."""
    X, y = data_of[Estimator]
    X, weight = kind(X), np.random.default_rng(seed).integers(1, 4, len(y)).astype(float)
    params = {"alpha": 10.0, "tol": 0.0, "n_iter_no_change": float("inf"), "random_state": seed}
    params["solver"] = SOLVERS[solver](batch_size=100)
    whole = Estimator(5, max_iter=30, **params).fit(X, y, weight)
    from_fit = Estimator(5, max_iter=10, **params).fit(X, y, weight)
    of_batches = Estimator(5, **params)
    for _ in range(20):
        from_fit.partial_fit(X, y, sample_weight=weight)
    for _ in range(30):
        of_batches.partial_fit(X, y, sample_weight=weight)
    for model in (from_fit, of_batches):
        np.testing.assert_allclose(model.loss_curve_, whole.loss_curve_, rtol=1e-9)
        np.testing.assert_allclose(model.coefs_[0], whole.coefs_[0], rtol=1e-7, atol=1e-9)


@ignore_no_convergence
@seeds(3)
def test_without_scaling_a_fit_goes_on_to_the_last_bit(seed, numbers):
    X, y = numbers
    X, y = X / np.abs(X).max(axis=0), y / 100.0
    params = {"solver": SGD(momentum=0.9), "alpha": 0.0, "standardize": False, "tol": 0.0, "random_state": seed}
    whole = TwoLayerRegressor(5, max_iter=100, n_iter_no_change=1000, **params).fit(X, y)
    for n_init in (1, 3):
        model = TwoLayerRegressor(5, max_iter=50, n_iter_no_change=1000, n_init=n_init, **params).fit(X, y)
        first = model.loss_curve_
        model.set_params(n_init=1)
        for _ in range(50):
            model.partial_fit(X, y)
        assert model.loss_curve_[:50] == first
        if n_init == 1:
            assert_same_weights(model, whole)
            assert model.loss_curve_ == whole.loss_curve_
        going_on = TwoLayerRegressor(5, max_iter=50, n_iter_no_change=1000, n_init=n_init, warm_start=True, **params)
        assert_same_weights(model, going_on.fit(X, y).fit(X, y))


@ignore_no_convergence
def test_the_momentum_of_later_weights_is_not_for_those_that_early_stopping_went_back_to(numbers):
    X, y = numbers
    model = TwoLayerRegressor(30, solver=SGD(learning_rate=0.2), alpha=0.0, random_state=0, max_iter=300)
    model.set_params(early_stopping=True, n_iter_no_change=5).fit(X, y)
    assert np.argmin(model.validation_loss_curve_) < model.n_iter_ - 1
    before = model.predict(X)
    model.set_params(early_stopping=False, solver__learning_rate=1e-12).partial_fit(X, y)
    np.testing.assert_allclose(model.predict(X), before, rtol=1e-6)


def with_whole_passes(model, X, y, n_epochs, shuffle):
    """Fit in batches of 100, as in the guide, or in other batches in each epoch."""
    for epoch in range(n_epochs):
        order = np.random.default_rng(epoch).permutation(len(X)) if shuffle else np.arange(len(X))
        for start in range(0, len(X), 100):
            rows = order[start : start + 100]
            model.partial_fit(X[rows], y[rows])
    return model


@ignore_no_convergence
@pytest.mark.parametrize(
    ("n_epochs", "seed", "shuffle"),
    mostly_slow(
        [
            *itertools.product([20], [0, 1, 2], [False, True]),
            *itertools.product([100], [0, 1], [False, True]),
            (500, 0, False),
        ],
        6,
    ),
)
def test_many_epochs_in_batches_generalise_as_a_fit_does(n_epochs, seed, shuffle, numbers):
    X_train, X_test, y_train, y_test = train_test_split(*numbers, random_state=0)
    model = TwoLayerRegressor(solver="adam", alpha=10, random_state=seed, max_iter=n_epochs)
    whole = clone(model).fit(X_train, y_train).score(X_test, y_test)
    in_batches = with_whole_passes(model, X_train, y_train, n_epochs, shuffle).score(X_test, y_test)
    assert in_batches == pytest.approx(whole, abs=0.03)


def step_with_penalty(before, X, y, alpha):
    """Return the estimator after a step of gradient descent on one batch with this penalty on it."""
    step = TwoLayerRegressor(5, solver=GradientDescent(learning_rate=0.01), standardize=False, max_iter=1, alpha=alpha)
    return step.fit(X, y, coefs_init=before.coefs_, intercepts_init=before.intercepts_)


@pytest.fixture
def plain():
    """Return an estimator for which a call is one step, and small data."""
    X, y = load_diabetes(return_X_y=True)
    solver = SGD(learning_rate=0.01, momentum=0.0, batch_size=10**6)
    return TwoLayerRegressor(5, solver=solver, alpha=100.0, standardize=False, random_state=0), 10.0 * X, y / 100.0


@ignore_no_convergence
def test_rows_that_come_again_count_once(plain):
    model, X, y = plain
    calls = [(0, 100), (100, 150), (0, 100), (50, 150), (100, 250)]
    for (start, stop), n_seen in zip(calls, [100, 150, 150, 150, 250], strict=True):
        before = copy.deepcopy(model)
        model.partial_fit(X[start:stop], y[start:stop])
        if hasattr(before, "coefs_"):
            assert_same_weights(
                model, step_with_penalty(before, X[start:stop], y[start:stop], 100.0 * (stop - start) / n_seen), 1e-13
            )


@ignore_no_convergence
@pytest.mark.parametrize("early_stopping", [False, True])
def test_the_rows_of_a_fit_count_and_count_once(early_stopping, plain):
    model, X, y = plain
    model.set_params(max_iter=3, early_stopping=early_stopping).fit(X[:100], y[:100])
    model.set_params(early_stopping=False)
    n_fitted = 90 if early_stopping else 100
    for start, stop, n_seen in [(100, 200, n_fitted + 100), (0, 100, 200), (0, 200, 200)]:
        before = copy.deepcopy(model)
        model.partial_fit(X[start:stop], y[start:stop])
        expected = step_with_penalty(before, X[start:stop], y[start:stop], 100.0 * (stop - start) / n_seen)
        assert_same_weights(model, expected, 1e-13)


@ignore_no_convergence
def test_the_number_of_rows_can_be_said(plain):
    model, X, y = plain
    model.partial_fit(X[:100], y[:100], n_samples_total=100)
    for n_samples_total in (442, 10**6):
        before = copy.deepcopy(model)
        model.partial_fit(X[:100], y[:100], n_samples_total=n_samples_total)
        assert_same_weights(model, step_with_penalty(before, X[:100], y[:100], 1e4 / n_samples_total), 1e-13)
    for wrong in (99, 0, -1, float("nan"), "all", [442]):
        with pytest.raises(ValueError, match=r"n_samples_total must be a number of at least .* this batch, 100\. Got"):
            model.partial_fit(X[:100], y[:100], n_samples_total=wrong)
    labels = (y > 1.5).astype(int)
    classifiers = [TwoLayerClassifier(5, solver="sgd", alpha=100.0, random_state=0) for _ in range(2)]
    classifiers[0].partial_fit(X, labels, n_samples_total=4420)
    classifiers[1].set_params(alpha=10.0).partial_fit(X, labels)
    assert_same_weights(*classifiers)


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
    model.set_params(**({"solver__momentum": 0.0} if solver == "sgd" else {}))
    model.set_params(early_stopping=True).fit(X, y)
    before = model.predict(X)
    model.set_params(early_stopping=False, solver__learning_rate=1e-12).partial_fit(3.0 * X, y + 5.0)
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


@seeds(2)
def test_classes_that_are_yet_to_come(seed):
    X, y = load_iris(return_X_y=True)
    model = TwoLayerClassifier(5, solver="adam", random_state=seed).partial_fit(X[:50], y[:50], classes=[0, 1, 2])
    np.testing.assert_array_equal(model.classes_, [0, 1, 2])
    assert model.predict_proba(X).shape == (150, 3)
    for _ in range(200):
        for start in range(3):
            model.partial_fit(X[start::3], y[start::3])
    assert model.score(X, y) > 0.9


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


@every_estimator
@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"early_stopping": True}, "early_stopping must be False for partial_fit. Got True"),
        ({"n_init": 2}, "n_init must be 1 for partial_fit. Got 2"),
        ({"n_init": 2, "restarts": "average"}, "n_init must be 1 for partial_fit. Got 2"),
    ],
)
def test_what_one_batch_cannot_give_is_an_error(Estimator, params, message, data_of):
    model = Estimator(3, solver="adam", random_state=0, **params)
    with pytest.raises(ValueError, match=message):
        model.partial_fit(*data_of[Estimator])
    assert not hasattr(model, "coefs_")


def test_balanced_classes_in_batches_are_an_error():
    X, y = load_breast_cancer(return_X_y=True)
    model = TwoLayerClassifier(3, solver="adam", class_weight="balanced", random_state=0)
    with pytest.raises(ValueError, match=r"class_weight must be a dict or None for partial_fit.*Got 'balanced'"):
        model.partial_fit(X, y)
    model.set_params(class_weight={0: 2.0}).partial_fit(X, y)
    weighted = TwoLayerClassifier(3, solver="adam", random_state=0).partial_fit(X, y, sample_weight=2.0 - y)
    assert_same_weights(model, weighted)


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
