"""Does early stopping watch the validation loss, with every solver, and give the best weights back?"""

import numpy as np
import pytest
from scipy.optimize import OptimizeResult
from sklearn.base import clone
from sklearn.datasets import load_breast_cancer, load_diabetes
from sklearn.metrics import log_loss
from slow import seeds

from sk2layer import TwoLayerClassifier, TwoLayerRegressor
from sk2layer.estimator.data import split
from sk2layer.estimator.monitor import Monitor
from sk2layer.rows.sources import Table
from sk2layer.solvers import SOLVERS, Adam

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

every_solver = pytest.mark.parametrize("solver", SOLVERS)


@pytest.fixture
def numbers():
    X, y = load_diabetes(return_X_y=True, scaled=False)
    return X[:150], y[:150]


@pytest.fixture
def classes():
    X, y = load_breast_cancer(return_X_y=True)
    return X[::4, :10], np.array(["malignant", "benign"])[y[::4]]


def validation_loss(model, X, y):
    """The mean loss without the penalty, in the units of the data."""
    if isinstance(model, TwoLayerClassifier):
        return log_loss(y, model.predict_proba(X), labels=model.classes_)
    return 0.5 * np.mean((model.predict(X) - y) ** 2)


@every_solver
@pytest.mark.parametrize("Estimator", [TwoLayerRegressor, TwoLayerClassifier])
def test_the_best_weights_are_given_back(Estimator, solver, numbers, classes):
    """They are those of a fit that was stopped at the lowest validation loss, and the curve tells that loss."""
    X, y = numbers if Estimator is TwoLayerRegressor else classes
    (X, y), held_out = (X[:60], y[:60]), (X[60:], y[60:])
    model = Estimator(20, solver=solver, alpha=0.1, tol=0.0, random_state=0, n_iter_no_change=15)
    model.set_params(early_stopping=True, max_iter=400).fit(X, y, X_val=held_out[0], y_val=held_out[1])
    best = int(np.argmin(model.validation_loss_curve_))
    assert len(model.validation_loss_curve_) == len(model.loss_curve_) == model.n_iter_
    scale = y.var() if Estimator is TwoLayerRegressor else 1.0
    expected = model.validation_loss_curve_[best] * scale
    assert validation_loss(model, *held_out) == pytest.approx(expected, rel=1e-9)
    stopped = clone(model).set_params(early_stopping=False, max_iter=best + 1).fit(X, y)
    assert model.loss_ == stopped.loss_
    for mine, its in zip(model.coefs_, stopped.coefs_, strict=True):
        np.testing.assert_array_equal(mine, its)


@every_solver
def test_it_stops_when_the_patience_is_over(solver, numbers):
    X, y = numbers
    model = TwoLayerRegressor(20, solver=solver, alpha=0.0, tol=0.0, random_state=1, early_stopping=True)
    model.set_params(n_iter_no_change=3, max_iter=2000).fit(X[:40], y[:40], X_val=X[40:], y_val=y[40:])
    assert model.n_iter_ < 2000
    best = model.n_iter_ - 3
    assert np.argmin(model.validation_loss_curve_) == best - 1
    stopped_there = clone(model).set_params(early_stopping=False, max_iter=best).fit(X[:40], y[:40])
    assert model.loss_ == stopped_there.loss_


@every_solver
def test_an_infinite_patience_is_never_over(solver, numbers):
    X, y = numbers
    model = TwoLayerRegressor(20, solver=solver, alpha=0.0, tol=0.0, random_state=1, early_stopping=True, max_iter=100)
    longer = clone(model).set_params(n_iter_no_change=1000)
    for each in (model.set_params(n_iter_no_change=float("inf")), longer):
        each.fit(X[:40], y[:40], X_val=X[40:], y_val=y[40:])
    assert model.loss_curve_ == longer.loss_curve_
    assert model.loss_ == longer.loss_


def test_tol_is_the_fall_that_counts():
    """The loss falls by 0.1 at each iteration: enough for a tol below that, never enough for one above."""

    def n_iterations(tol):
        monitor = Monitor(lambda theta: 1.0 - 0.1 * theta[0], patience=3, tol=tol)
        for n in range(1, 9):
            try:
                monitor(OptimizeResult(x=np.array([float(n)]), fun=0.0))
            except StopIteration:
                return n
        return 9

    assert n_iterations(0.05) == 9
    assert n_iterations(0.15) == 4


@every_solver
def test_without_early_stopping_validation_data_only_watch(solver, numbers):
    X, y = numbers
    model = TwoLayerRegressor(5, solver=solver, random_state=0, max_iter=20)
    alone = clone(model).fit(X[:100], y[:100])
    watched = model.fit(X[:100], y[:100], X_val=X[100:], y_val=y[100:])
    np.testing.assert_array_equal(watched.coefs_[0], alone.coefs_[0])
    assert watched.loss_curve_ == alone.loss_curve_
    assert len(watched.validation_loss_curve_) == watched.n_iter_
    assert not hasattr(alone, "validation_loss_curve_")


def test_the_validation_curve_of_an_earlier_fit_is_gone(numbers):
    X, y = numbers
    model = TwoLayerRegressor(3, max_iter=5, random_state=0).fit(X, y, X_val=X, y_val=y)
    assert len(model.validation_loss_curve_) == 5
    assert not hasattr(model.fit(X, y), "validation_loss_curve_")


def test_validation_data_are_no_training_data(numbers):
    """Nor do they enter the scaling."""
    X, y = numbers
    model = TwoLayerRegressor(3, max_iter=20, random_state=0, early_stopping=True, n_iter_no_change=100)
    curve = model.fit(X[:100], y[:100], X_val=X[100:], y_val=y[100:]).loss_curve_
    assert clone(model).fit(X[:100], y[:100], X_val=1e3 * X[100:], y_val=-y[100:]).loss_curve_ == curve


@pytest.mark.parametrize("fraction", [0.1, 0.25, 0.5])
@pytest.mark.parametrize("copy_bytes", [0, 2**24])
def test_a_part_is_set_aside(copy_bytes, fraction, numbers, monkeypatch):
    monkeypatch.setattr("sk2layer.rows.sources.COPY_BYTES", copy_bytes)
    X, y = numbers
    train, validation = split(Table(X, y[:, np.newaxis], np.ones(150)), fraction, None, seed=0)
    assert validation.X.shape[0] == len(validation.Y) == len(validation.weight) == round(150 * fraction)
    both = np.vstack([np.column_stack([part.X[:], part.Y]) for part in (train, validation)])
    expected = np.column_stack([X, y])
    np.testing.assert_array_equal(both[np.lexsort(both.T)], expected[np.lexsort(expected.T)])


def rows_of(data):
    """Return the numbers of the rows as X, Y and the weights have them."""
    return data.X[:][:, 0], np.asarray(data.Y[:])[:, 0], data.weight


@seeds(3)
def test_rows_of_large_data_keep_their_targets_and_weights(seed):
    """Above 16 MiB they are not copied."""
    numbers = np.arange(1.0, 2.0**20 + 10.0)
    data = Table(np.column_stack([numbers, numbers, numbers]), numbers[:, np.newaxis], numbers)
    assert data.X.nbytes > 2**24
    train, validation = split(data, 0.3, None, seed)
    some = np.random.default_rng(seed).permutation(len(validation.weight))[:1000]
    for part in (train, validation, validation.take(some), data.take(np.array([5, 1, 7, 0]))):
        in_X, in_Y, weight = rows_of(part)
        np.testing.assert_array_equal(in_X, in_Y)
        np.testing.assert_array_equal(in_X, weight)


@seeds(3)
@pytest.mark.parametrize("Estimator", [TwoLayerRegressor, TwoLayerClassifier])
@pytest.mark.parametrize("weighted", [False, True])
def test_large_data_are_stopped_early_as_small_ones(weighted, Estimator, seed, numbers, classes, monkeypatch):
    X, y = numbers if Estimator is TwoLayerRegressor else classes
    weight = np.random.default_rng(seed).integers(0, 3, len(X)) if weighted else None
    model = Estimator(3, solver="lbfgs", alpha=1.0, early_stopping=True, max_iter=20, random_state=seed)
    small = clone(model).fit(X, y, weight)
    monkeypatch.setattr("sk2layer.rows.sources.COPY_BYTES", 0)
    large = clone(model).fit(X, y, weight)
    np.testing.assert_allclose(large.loss_curve_, small.loss_curve_, rtol=1e-6)
    np.testing.assert_allclose(large.validation_loss_curve_, small.validation_loss_curve_, rtol=1e-6)


def test_the_part_follows_from_random_state(numbers):
    X, y = numbers
    model = TwoLayerRegressor(3, early_stopping=True, max_iter=3)
    curves = [clone(model).set_params(random_state=seed).fit(X, y).validation_loss_curve_ for seed in (0, 0, 1)]
    assert curves[0] == curves[1] != curves[2]


def test_the_part_keeps_the_proportions_of_classes():
    codes = np.repeat([0, 1, 2], [70, 20, 10])
    data = Table(np.arange(100.0)[:, np.newaxis], np.eye(3)[codes], None)
    _, validation = split(data, 0.1, codes, seed=0)
    np.testing.assert_array_equal(validation.Y.sum(axis=0), [7, 2, 1])


@pytest.mark.parametrize(
    "y",
    [["a"] * 30 + ["b"], ["a", "b", "c", "d"] * 2, ["a", "b"]],
    ids=["a class of one", "fewer in the part than classes", "two rows"],
)
def test_proportions_that_cannot_be_kept_are_not(y):
    X = np.arange(float(len(y)))[:, np.newaxis]
    model = TwoLayerClassifier(3, early_stopping=True, random_state=0, max_iter=5).fit(X, y)
    np.testing.assert_array_equal(model.classes_, np.unique(y))
    assert np.isfinite(model.validation_loss_curve_).all()


def test_several_labels_and_several_outputs_are_split_too(numbers):
    X, y = numbers
    labels = np.column_stack([y > 100.0, y > 150.0]).astype(int)
    assert TwoLayerClassifier(3, early_stopping=True, max_iter=5).fit(X, labels).n_outputs_ == 2
    assert TwoLayerRegressor(3, early_stopping=True, max_iter=5).fit(X, np.column_stack([y, -y])).n_outputs_ == 2


def test_it_helps(numbers):
    """A large network without a penalty learns the noise by heart, unless it is stopped."""
    X, y = numbers
    model = TwoLayerRegressor(50, alpha=0.0, random_state=0, max_iter=300)
    overfitted = clone(model).fit(X[:75], y[:75]).score(X[75:], y[75:])
    stopped = model.set_params(early_stopping=True, validation_fraction=0.3).fit(X[:75], y[:75]).score(X[75:], y[75:])
    assert stopped > overfitted + 0.2


def test_it_is_no_warning_to_be_stopped(recwarn, numbers):
    model = TwoLayerRegressor(20, solver=Adam(learning_rate=0.05), early_stopping=True, random_state=0, max_iter=1000)
    model.fit(*numbers)
    assert model.n_iter_ < 1000
    assert len(recwarn) == 0
