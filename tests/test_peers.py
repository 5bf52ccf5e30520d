"""Do the estimators agree with scikit-learn's where both mean the same, and are they as good on real data?"""

import numpy as np
import pytest
from scipy.special import expit, log_expit, log_softmax
from sklearn.base import clone, is_classifier
from sklearn.datasets import load_breast_cancer, load_diabetes, load_iris
from sklearn.metrics import log_loss
from sklearn.model_selection import KFold, cross_val_score
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.preprocessing import scale
from slow import seeds

from sk2layer import TwoLayerClassifier, TwoLayerRegressor

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

ALPHA, N_HIDDEN = 2.0, 6
HIDDEN = {
    "logistic": expit,
    "tanh": np.tanh,
    "relu": lambda Z: np.maximum(Z, 0.0),
    "identity": lambda Z: Z,
}
OUR_NAME = {"logistic": "sigmoid", "tanh": "tanh", "relu": "relu", "identity": "identity"}
PROBLEMS = ["numbers", "two classes", "three classes"]
every_problem = pytest.mark.parametrize("problem", PROBLEMS)
every_activation = pytest.mark.parametrize("activation", HIDDEN)


def data(problem):
    if problem == "numbers":
        X, y = load_diabetes(return_X_y=True)
        return scale(X)[:200], scale(y)[:200]
    if problem == "two classes":
        X, y = load_breast_cancer(return_X_y=True)
        return scale(X[:, :10])[:200], y[:200]
    X, y = load_iris(return_X_y=True)
    return scale(X), np.array(["setosa", "versicolor", "virginica"])[y]


def estimators(problem, activation, **params):
    """Return ours and scikit-learn's of the same network."""
    Ours, Theirs = (TwoLayerRegressor, MLPRegressor) if problem == "numbers" else (TwoLayerClassifier, MLPClassifier)
    params = {"alpha": ALPHA, "random_state": 0, **params}
    ours = Ours(N_HIDDEN, activation=OUR_NAME[activation], standardize=False, **params)
    return ours, Theirs(hidden_layer_sizes=(N_HIDDEN,), activation=activation, **params)


def with_weights(theirs, ours, X, y, solver, **params):
    """Return scikit-learn's estimator, about to go on from our weights."""
    theirs = theirs.set_params(max_iter=1, solver="sgd").fit(X, y)
    theirs.coefs_ = [W.copy() for W in ours.coefs_]
    theirs.intercepts_ = [b.copy() for b in ours.intercepts_]
    return theirs.set_params(warm_start=True, solver=solver, **params)


def objective(model, X, y):
    """The objective that both document, at the weights of either, written out."""
    (W1, W2), (b1, b2) = model.coefs_, model.intercepts_
    hidden = HIDDEN[{"sigmoid": "logistic"}.get(model.activation, model.activation)]
    Z2 = hidden(X @ W1 + b1) @ W2 + b2
    if is_classifier(model):
        log_p = log_softmax(Z2, axis=1) if Z2.shape[1] > 1 else np.hstack([log_expit(-Z2), log_expit(Z2)])
        losses = -log_p[np.arange(len(y)), np.searchsorted(model.classes_, y)]
    else:
        losses = 0.5 * ((Z2 - y.reshape(len(y), -1)) ** 2).sum(axis=1)
    return losses.mean() + model.alpha / (2 * len(y)) * ((W1**2).sum() + (W2**2).sum())


@every_problem
@every_activation
def test_the_same_weights_are_the_same_network(problem, activation):
    X, y = data(problem)
    ours, theirs = estimators(problem, activation, max_iter=20)
    theirs = with_weights(theirs, ours.fit(X, y), X, y, "sgd")
    if is_classifier(ours):
        np.testing.assert_array_equal(ours.predict(X), theirs.predict(X))
        np.testing.assert_allclose(ours.predict_proba(X), theirs.predict_proba(X), rtol=1e-12, atol=1e-12)
    else:
        np.testing.assert_allclose(ours.predict(X), theirs.predict(X), rtol=1e-12, atol=1e-12)


@every_problem
@every_activation
def test_the_same_weights_have_the_same_objective(problem, activation):
    """Theirs is the first of a loss curve: that before a step, which is too short to be seen."""
    X, y = data(problem)
    ours, theirs = estimators(problem, activation, max_iter=20)
    ours.fit(X, y)
    theirs = with_weights(theirs, ours, X, y, "sgd", learning_rate_init=1e-300, batch_size=len(y))
    loss_curve = theirs.fit(X, y).loss_curve_
    assert ours.loss_ == pytest.approx(loss_curve[-1], rel=1e-12)
    assert ours.loss_ == pytest.approx(objective(ours, X, y), rel=1e-12)


@every_problem
@pytest.mark.parametrize("activation", ["logistic", "tanh", "identity"])
@seeds(3)
def test_from_the_same_start_lbfgs_comes_at_least_as_low(problem, activation, seed):
    """Not a theorem: the two remember different numbers of pairs, and from some starts (not from these), or at the
    kinks of ReLU, this leads them to different minima."""
    X, y = data(problem)
    start, theirs = estimators(problem, activation, max_iter=1, random_state=seed, solver="lbfgs")
    start.fit(X, y)
    ours = clone(start).set_params(max_iter=2000, tol=1e-6)
    ours.fit(X, y, coefs_init=start.coefs_, intercepts_init=start.intercepts_)
    theirs = with_weights(theirs, start, X, y, "lbfgs", max_iter=2000, tol=1e-6).fit(X, y)
    assert objective(ours, X, y) <= objective(theirs, X, y) < objective(start, X, y)


def test_with_several_outputs_lbfgs_comes_lower():
    """Theirs is the mean over outputs, so that the same objective has the penalty divided by their number."""
    X = data("numbers")[0]
    Y = np.column_stack([np.sin((i + 1) * X[:, i]) + X[:, i + 1] for i in range(3)])
    start, theirs = estimators("numbers", "tanh", max_iter=1, solver="lbfgs")
    start.fit(X, Y)
    ours = clone(start).set_params(max_iter=2000, tol=1e-6)
    ours.fit(X, Y, coefs_init=start.coefs_, intercepts_init=start.intercepts_)
    theirs = with_weights(theirs.set_params(alpha=ALPHA / 3), start, X, Y, "lbfgs", max_iter=2000, tol=1e-6).fit(X, Y)
    theirs.alpha = ALPHA
    assert objective(ours, X, Y) <= objective(theirs, X, Y)


@pytest.mark.parametrize("solver", ["lbfgs", "gd"])
@pytest.mark.parametrize("n_outputs", [1, 2, 5])
def test_at_the_minimum_of_several_outputs_the_gradient_is_zero(solver, n_outputs):
    """With its gradient wrong by a factor (scikit-learn's issue 8349), the solver would stop elsewhere."""
    X = data("numbers")[0]
    Y = np.column_stack([np.sin((i + 1) * X[:, i]) + X[:, i + 1] for i in range(n_outputs)])
    model = TwoLayerRegressor(N_HIDDEN, solver=solver, alpha=20.0, standardize=False, tol=1e-5, max_iter=20_000)
    model.set_params(random_state=0).fit(X, Y)
    (W1, W2), (b1, b2), n = model.coefs_, model.intercepts_, len(X)
    A1 = expit(X @ W1 + b1)
    D2 = (A1 @ W2 + b2 - Y) / n
    D1 = D2 @ W2.T * A1 * (1.0 - A1)
    gradient = [X.T @ D1 + 20.0 / n * W1, D1.sum(0), A1.T @ D2 + 20.0 / n * W2, D2.sum(0)]
    assert max(np.abs(part).max() for part in gradient) <= 1e-5 * (1 + 1e-6)
    assert model.loss_ == pytest.approx(objective(model, X, Y), rel=1e-12)
    assert np.abs(W2).max() > 0.1


@seeds(5)
def test_diabetes_in_its_raw_units(seed):
    X, y = load_diabetes(return_X_y=True, scaled=False)
    model = TwoLayerRegressor(solver="lbfgs", alpha=10, random_state=seed)
    assert cross_val_score(model, X, y, cv=KFold(5, shuffle=True, random_state=seed)).mean() >= 0.46


@seeds(5)
def test_diabetes_in_its_raw_units_in_the_order_of_its_rows(seed):
    X, y = load_diabetes(return_X_y=True, scaled=False)
    assert cross_val_score(TwoLayerRegressor(solver="lbfgs", alpha=10, random_state=seed), X, y).mean() >= 0.46


@pytest.mark.parametrize("solver", ["auto", "lbfgs", "adam", "sgd", "gd"])
def test_breast_cancer_in_its_raw_units(solver):
    X, y = load_breast_cancer(return_X_y=True)
    assert cross_val_score(TwoLayerClassifier(solver=solver, random_state=0), X, y).mean() >= 0.96


def test_iris_probabilities_are_calibrated():
    X, y = load_iris(return_X_y=True)
    train, test = next(KFold(3, shuffle=True, random_state=0).split(X))
    model = TwoLayerClassifier(random_state=0).fit(X[train], y[train])
    assert log_loss(y[test], model.predict_proba(X[test])) < 0.2
