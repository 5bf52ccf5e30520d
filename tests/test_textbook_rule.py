"""Is solver="gd" the rule of the textbooks, in each of the notations in which it is usually taught?

Each function below steps gradient descent by hand, in one notation's own terms and shapes, and must reach the weights
of the estimator after many steps. The notations minimise different multiples of the same objective, so that they differ
by a factor in the learning rate; `n` is the number of samples:

    notation                                                       gradients                       learning rate
    -------------------------------------------------------------  ------------------------------  -----------------
    (a) L = 1/n sum_i (y_i - y^_i)^2, unit by unit                 -2/n sum_i (y_i - y^_i) ...     ours = 2 * its
    (b) L = sum_i (y_i - y^_i)^2, matrices on column vectors       -2 (y - y^) a1^T, summed        ours = 2 n * its
    (c) L = sum_i 1/2 (y^_i - y_i)^2, deltas                       d2 = y^ - y, summed             ours = n * its
    (d) L = sum_i (a2_i - y_i)^2, samples as rows, X (n, f)        2 (a2 - y) g'(z2), summed       ours = 2 n * its
    (e) L = 1/(2m) (A2 - Y)^T (A2 - Y), samples as columns, m = n  1/m sum over columns            ours = its
    (f) L = -1/n sum_i log-likelihood_i, sigmoid output            dL/dz2 = y^ - y, averaged       ours = its

"Ours" is `GradientDescent(learning_rate=...)` with `standardize=False` and `alpha=0`. Where a notation is stated for
one sample, its gradients are summed over the training set; who averages them instead divides its factor by n.
"""

import math

import numpy as np
import pytest
from networks import objective_on
from scipy.special import expit, logsumexp

from sk2layer import TwoLayerClassifier, TwoLayerRegressor
from sk2layer.model.activations import ACTIVATIONS
from sk2layer.model.losses import BinaryLogLoss, HalfSquaredError, MultinomialLogLoss
from sk2layer.model.network import Shape, Workspace, backward, forward
from sk2layer.solvers import GradientDescent

N_SAMPLES, N_FEATURES, N_HIDDEN, N_STEPS = 25, 3, 4, 200
LEARNING_RATE = 0.3


@pytest.fixture
def rng():
    return np.random.default_rng(0)


@pytest.fixture
def X(rng):
    return rng.normal(size=(N_SAMPLES, N_FEATURES))


@pytest.fixture
def y(rng, X):
    return np.sin(X[:, 0]) + X[:, 1] * X[:, 2] + 0.1 * rng.normal(size=N_SAMPLES)


@pytest.fixture
def start(rng):
    """W1 (features, hidden), b1, W2 (hidden, outputs), b2, all of them different from zero."""
    return [rng.normal(size=shape) for shape in [(N_FEATURES, N_HIDDEN), (N_HIDDEN,), (N_HIDDEN, 1), (1,)]]


def sigmoid(z):
    return 1.0 / (1.0 + np.exp(-z))


def sigmoid_prime(z):
    return sigmoid(z) * (1.0 - sigmoid(z))


def unit_by_unit(X, y, start, rate):
    """(a) Mean squared error; every weight and every unit by itself, no matrices at all."""
    n, hidden, inputs = len(X), range(N_HIDDEN), range(N_FEATURES)
    w1, b1, w2, b2 = start[0].tolist(), start[1].tolist(), start[2][:, 0].tolist(), float(start[3][0])
    for _ in range(N_STEPS):
        dw1, db1 = [[0.0] * N_HIDDEN for _ in inputs], [0.0] * N_HIDDEN
        dw2, db2 = [0.0] * N_HIDDEN, 0.0
        for x, target in zip(X.tolist(), y.tolist(), strict=True):
            a = [1.0 / (1.0 + math.exp(-(sum(x[f] * w1[f][j] for f in inputs) + b1[j]))) for j in hidden]
            error = target - (sum(a[j] * w2[j] for j in hidden) + b2)
            db2 += -2.0 / n * error
            for j in hidden:
                dw2[j] += -2.0 / n * error * a[j]
                db1[j] += -2.0 / n * error * w2[j] * a[j] * (1.0 - a[j])
                for f in inputs:
                    dw1[f][j] += -2.0 / n * error * w2[j] * a[j] * (1.0 - a[j]) * x[f]
        w1 = [[w1[f][j] - rate * dw1[f][j] for j in hidden] for f in inputs]
        b1 = [b1[j] - rate * db1[j] for j in hidden]
        w2 = [w2[j] - rate * dw2[j] for j in hidden]
        b2 = b2 - rate * db2
    return [np.array(w1), np.array(w2)[:, np.newaxis]], [np.array(b1), np.array([b2])]


def column_vectors(X, y, start, rate):
    """(b) Squared error; W1 (hidden, features) times a column vector x, gradients -2 (y - y^) a1^T and so on."""
    W1, b1, W2, b2 = start[0].T, start[1][:, np.newaxis], start[2].T, start[3][:, np.newaxis]
    for _ in range(N_STEPS):
        dW1, db1, dW2, db2 = (np.zeros_like(array) for array in (W1, b1, W2, b2))
        for x, target in zip(X[:, :, np.newaxis], y, strict=True):
            z1 = W1 @ x + b1
            a1 = sigmoid(z1)
            error = target - (W2 @ a1 + b2)
            dW2 += -2.0 * error @ a1.T
            db2 += -2.0 * error
            dW1 += -2.0 * ((W2.T @ error) * sigmoid_prime(z1)) @ x.T
            db1 += -2.0 * (W2.T @ error) * sigmoid_prime(z1)
        W1, b1, W2, b2 = W1 - rate * dW1, b1 - rate * db1, W2 - rate * dW2, b2 - rate * db2
    return [W1.T, W2.T], [b1[:, 0], b2[:, 0]]


def deltas(X, y, start, rate):
    """(c) Half the squared error; d2 = y^ - y, d1 = d2 W2 s'(z1), with W2 a plain vector."""
    W1, b1, W2, b2 = start[0], start[1], start[2][:, 0], float(start[3][0])
    for _ in range(N_STEPS):
        dW1, db1, dW2, db2 = np.zeros_like(W1), np.zeros_like(b1), np.zeros_like(W2), 0.0
        for x, target in zip(X, y, strict=True):
            z1 = x @ W1 + b1
            d2 = (sigmoid(z1) @ W2 + b2) - target
            d1 = d2 * W2 * sigmoid_prime(z1)
            dW2, db2 = dW2 + d2 * sigmoid(z1), db2 + d2
            dW1, db1 = dW1 + np.outer(x, d1), db1 + d1
        W1, b1, W2, b2 = W1 - rate * dW1, b1 - rate * db1, W2 - rate * dW2, b2 - rate * db2
    return [W1, W2[:, np.newaxis]], [b1, np.array([b2])]


def samples_as_rows(X, y, start, rate):
    """(d) Squared error; X (n, f), with a general output activation g(z2), which is the identity here."""

    def g(z2):
        return z2

    def g_prime(z2):
        return np.ones_like(z2)

    (W1, b1, W2, b2), Y = start, y.reshape(-1, 1)
    for _ in range(N_STEPS):
        z1 = np.dot(X, W1) + b1
        a1 = sigmoid(z1)
        z2 = np.dot(a1, W2) + b2
        dz2 = 2.0 * (g(z2) - Y) * g_prime(z2)
        dz1 = np.dot(dz2, W2.T) * sigmoid_prime(z1)
        W2, b2 = W2 - rate * np.dot(a1.T, dz2), b2 - rate * np.sum(dz2, axis=0)
        W1, b1 = W1 - rate * np.dot(X.T, dz1), b1 - rate * np.sum(dz1, axis=0)
    return [W1, W2], [b1, b2]


def samples_as_columns(X, y, start, rate):
    """(e) Half the mean squared error; X (features, m), db2 = 1/m times the sum over columns."""
    X, Y, m = X.T, y.reshape(1, -1), len(X)
    W1, b1, W2, b2 = start[0].T, start[1].reshape(-1, 1), start[2].T, start[3].reshape(-1, 1)
    for _ in range(N_STEPS):
        Z1 = W1 @ X + b1
        A1 = sigmoid(Z1)
        A2 = W2 @ A1 + b2
        dZ2 = A2 - Y
        dW2, db2 = 1.0 / m * dZ2 @ A1.T, 1.0 / m * np.sum(dZ2, axis=1, keepdims=True)
        dZ1 = (W2.T @ dZ2) * sigmoid_prime(Z1)
        dW1, db1 = 1.0 / m * dZ1 @ X.T, 1.0 / m * np.sum(dZ1, axis=1, keepdims=True)
        W1, b1, W2, b2 = W1 - rate * dW1, b1 - rate * db1, W2 - rate * dW2, b2 - rate * db2
    return [W1.T, W2.T], [b1.ravel(), b2.ravel()]


def log_loss(X, y, start, rate):
    """(f) Mean log loss; sigmoid output, of which dL/dz2 = y^ - y is all that is left."""
    W1, b1, W2, b2 = start
    for _ in range(N_STEPS):
        a1 = sigmoid(X @ W1 + b1)
        probability = sigmoid(a1 @ W2 + b2)
        dz2 = (probability - y.reshape(-1, 1)) / len(X)
        dz1 = dz2 @ W2.T * a1 * (1.0 - a1)
        W1, b1, W2, b2 = W1 - rate * X.T @ dz1, b1 - rate * dz1.sum(0), W2 - rate * a1.T @ dz2, b2 - rate * dz2.sum(0)
    return [W1, W2], [b1, b2]


def ours(Estimator, X, y, start, **params):
    W1, b1, W2, b2 = start
    solver = GradientDescent(learning_rate=LEARNING_RATE)
    params = {"tol": 0, "max_iter": N_STEPS, **params}
    model = Estimator(len(b1), solver=solver, standardize=False, alpha=0, **params)
    return model.fit(X, y, coefs_init=[W1, W2], intercepts_init=[b1, b2])


def assert_same_weights(model, expected):
    coefs, intercepts = expected
    for fitted, by_hand in zip([*model.coefs_, *model.intercepts_], [*coefs, *intercepts], strict=True):
        np.testing.assert_allclose(fitted, by_hand, rtol=0.0, atol=1e-12)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize(
    ("by_hand", "ours_by_its"),
    [
        pytest.param(unit_by_unit, 2, id="a"),
        pytest.param(column_vectors, 2 * N_SAMPLES, id="b"),
        pytest.param(deltas, N_SAMPLES, id="c"),
        pytest.param(samples_as_rows, 2 * N_SAMPLES, id="d"),
        pytest.param(samples_as_columns, 1, id="e"),
    ],
)
def test_regression(by_hand, ours_by_its, X, y, start):
    model = ours(TwoLayerRegressor, X, y, start)
    assert model.n_iter_ == N_STEPS
    assert model.loss_ < 0.5 * model.loss_curve_[0]
    assert_same_weights(model, by_hand(X, y, start, LEARNING_RATE / ours_by_its))


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_classification(X, y, start):
    label = (y > 0.0).astype(int)
    model = ours(TwoLayerClassifier, X, label, start)
    assert model.n_iter_ == N_STEPS
    assert model.loss_ < model.loss_curve_[0]
    assert_same_weights(model, log_loss(X, label, start, LEARNING_RATE))


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_the_objective_of_the_curve_is_the_one_of_notation_e(X, y, start):
    model = ours(TwoLayerRegressor, X, y, start)
    residual = model.predict(X) - y
    assert model.loss_curve_[-1] == pytest.approx(residual @ residual / (2 * N_SAMPLES), rel=1e-13)


def test_until_convergence(X, y, start):
    """The rule stops at the first step after which no component of the gradient exceeds `tol`."""
    tol = 0.02
    model = ours(TwoLayerRegressor, X, y, start, tol=tol, max_iter=10_000)
    (W1, b1, W2, b2), n_steps = start, 0
    while True:
        A1 = sigmoid(X @ W1 + b1)
        D2 = (A1 @ W2 + b2 - y[:, np.newaxis]) / N_SAMPLES
        D1 = D2 @ W2.T * A1 * (1.0 - A1)
        gradient = [X.T @ D1, D1.sum(0), A1.T @ D2, D2.sum(0)]
        if max(np.abs(g).max() for g in gradient) <= tol:
            break
        W1, b1, W2, b2 = (w - LEARNING_RATE * g for w, g in zip([W1, b1, W2, b2], gradient, strict=True))
        n_steps += 1
    assert model.n_iter_ == n_steps > 10


# ------------------------------------------------------------------------ why two estimators need one backpropagation


def squared_error(y, z):
    return 0.5 * np.sum((z - y) ** 2)


def bernoulli(y, z):
    p = 1.0 / (1.0 + np.exp(-z))
    return -np.sum(y * np.log(p) + (1.0 - y) * np.log(1.0 - p))


def categorical(y, z):
    return -np.sum(y * np.log(np.exp(z) / np.sum(np.exp(z))))


def identity(z):
    return z


def softmax(z):
    return np.exp(z - logsumexp(z))


def derivative(function, z):
    """Return the gradient by complex steps, f'(z) = Im f(z + ih) / h, exact to rounding."""
    steps = 1e-100j * np.eye(len(z))
    return np.array([function(z + step).imag for step in steps]) / 1e-100


LINKS = [
    pytest.param(squared_error, identity, HalfSquaredError(), id="identity + squared error"),
    pytest.param(bernoulli, expit, BinaryLogLoss(), id="sigmoid + log loss"),
    pytest.param(categorical, softmax, MultinomialLogLoss(), id="softmax + multinomial log loss"),
]


@pytest.mark.parametrize(("loss", "output", "library_loss"), LINKS)
def test_the_output_delta_is_prediction_minus_target(loss, output, library_loss, rng):
    for _ in range(20):
        z, y = 3.0 * rng.normal(size=3), np.eye(3)[rng.integers(3)]
        delta = derivative(lambda raw, y=y: loss(y, raw), z)
        np.testing.assert_allclose(delta, output(z) - y, rtol=0.0, atol=1e-13)
        value, library_delta = library_loss.losses_and_delta(y[np.newaxis], z[np.newaxis].copy())
        np.testing.assert_allclose(value[0], loss(y, z), rtol=1e-13)
        np.testing.assert_allclose(library_delta[0], delta, rtol=0.0, atol=1e-13)


def test_the_backward_pass_sees_nothing_of_the_loss_but_the_delta(rng, X):
    shape, activation = Shape(N_FEATURES, N_HIDDEN, 2), ACTIVATIONS["sigmoid"]
    theta, D2 = rng.normal(size=shape.n_parameters), rng.normal(size=(N_SAMPLES, 2))
    weights, augmented, passes = shape.unpack(theta), shape.augmented(theta), Workspace(shape, float).passes(N_SAMPLES)
    found, X1 = np.empty(shape.n_parameters), np.hstack([X, np.ones((N_SAMPLES, 1))])
    forward(X1, augmented, activation, passes)
    backward(X1, augmented, activation, passes, D2, shape.augmented(found))
    gradient = shape.unpack(found)
    A1 = sigmoid(X @ weights.W1 + weights.b1)
    D1 = D2 @ weights.W2.T * A1 * (1.0 - A1)
    for ours, by_hand in zip(gradient, [X.T @ D1, D1.sum(0), A1.T @ D2, D2.sum(0)], strict=True):
        np.testing.assert_allclose(ours, by_hand, rtol=0.0, atol=1e-13)


@pytest.mark.parametrize("loss", [BinaryLogLoss(), MultinomialLogLoss()])
def test_equal_deltas_give_equal_gradients(loss, rng, X):
    """A regression, its targets chosen so that its deltas are those of a classification, has the same gradient."""
    shape = Shape(N_FEATURES, N_HIDDEN, 3)
    theta, Y = rng.normal(size=shape.n_parameters), np.eye(3)[rng.integers(3, size=N_SAMPLES)]
    W1, b1, W2, b2 = shape.unpack(theta)
    Z2 = sigmoid(X @ W1 + b1) @ W2 + b2
    targets = Z2 - (loss.inverse_link(Z2.copy()) - Y)
    network = {"h": N_HIDDEN, "activation": "sigmoid"}
    of_classes = objective_on(X, Y, loss, **network).value_and_gradient(theta)[1]
    of_numbers = objective_on(X, targets, HalfSquaredError(), **network).value_and_gradient(theta)[1]
    np.testing.assert_allclose(of_numbers, of_classes, rtol=0.0, atol=1e-14)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_equal_deltas_move_both_estimators_equally(X, y, start):
    W1, b1, W2, b2 = start
    label = (y > 0.0).astype(int)
    z2 = (sigmoid(X @ W1 + b1) @ W2 + b2)[:, 0]
    classifier = ours(TwoLayerClassifier, X, label, start, max_iter=1)
    regressor = ours(TwoLayerRegressor, X, z2 - (expit(z2) - label), start, max_iter=1)
    assert np.abs(classifier.coefs_[0] - W1).max() > 1e-3
    assert_same_weights(regressor, (classifier.coefs_, classifier.intercepts_))
