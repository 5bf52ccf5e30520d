"""Is every gradient the derivative of the objective that design and documentation state, however it is summed?"""

from itertools import product

import numpy as np
import pytest
from scipy.sparse import csr_array
from scipy.special import log_expit, log_softmax, xlogy

from sk2layer.model.activations import ACTIVATIONS
from sk2layer.model.likelihoods import StudentT
from sk2layer.model.log_link import Gamma, Poisson
from sk2layer.model.losses import BinaryLogLoss, HalfSquaredError, MultinomialLogLoss
from sk2layer.model.network import Network, Shape, Weights, initial_weights, pack
from sk2layer.objective.objective import Objective
from sk2layer.rows.predict import predict_raw
from sk2layer.rows.scaling import RunningScaling, Scaling
from sk2layer.rows.sources import Table

N_SAMPLES, N_FEATURES, N_HIDDEN = 11, 4, 3

SHAPES = np.array([[2.0, 0.5]])  # of gamma distributions
PRECISIONS = np.array([[3.0, 0.5], [3.0, 3.0]])  # and degrees of freedom, of t distributions

# name: loss, number of outputs, sample losses written out plainly from targets and raw predictions
LOSSES = {
    "squared, 1 output": (HalfSquaredError(), 1, lambda Y, Z: 0.5 * ((Z - Y) ** 2).sum(1)),
    "squared, 3 outputs": (HalfSquaredError(), 3, lambda Y, Z: 0.5 * ((Z - Y) ** 2).sum(1)),
    "binary": (BinaryLogLoss(), 1, lambda Y, Z: -(Y * log_expit(Z) + (1 - Y) * log_expit(-Z)).sum(1)),
    "multilabel": (BinaryLogLoss(), 3, lambda Y, Z: -(Y * log_expit(Z) + (1 - Y) * log_expit(-Z)).sum(1)),
    "multinomial": (MultinomialLogLoss(), 3, lambda Y, Z: -(Y * log_softmax(Z, axis=1)).sum(1)),
    "poisson": (Poisson(), 2, lambda Y, Z: (np.exp(Z) - Y * Z + xlogy(Y, Y) - Y).sum(1)),
    "student_t": (StudentT(PRECISIONS), 2, lambda Y, Z: (2.0 * np.log(1.0 + [3.0, 0.5] * (Z - Y) ** 2 / 3.0)).sum(1)),
    "gamma": (Gamma(SHAPES), 2, lambda Y, Z: (SHAPES * (Y / np.exp(Z) + Z - np.log(Y) - 1.0)).sum(1)),
}
HIDDEN = {
    "sigmoid": lambda Z: 1.0 / (1.0 + np.exp(-Z)),
    "tanh": np.tanh,
    "relu": lambda Z: Z * (Z > 0.0),
    "identity": lambda Z: Z,
}
PENALTIES = ["none", "alpha", "one each"]

every_network = pytest.mark.parametrize(("loss", "activation"), list(product(LOSSES, HIDDEN)))
every_loss = pytest.mark.parametrize("loss", LOSSES)
weighted_or_not = pytest.mark.parametrize("weighted", [False, True], ids=["unweighted", "weighted"])


class Case:
    """A tiny network with data: the objective of the library, and the same in plain sums over dense arrays."""

    def __init__(
        self, loss, activation="sigmoid", *, weighted=False, penalty="alpha", sparse=False, standardized=False
    ):
        rng = np.random.default_rng([5, *loss.encode()])  # no ReLU is within a step of its kink
        self.loss, n_outputs, self.sample_losses = LOSSES[loss]
        self.hidden, self.activation = HIDDEN[activation], ACTIVATIONS[activation]
        self.shape = Shape(N_FEATURES, N_HIDDEN, n_outputs)
        self.theta = rng.normal(size=self.shape.n_parameters)
        X = 3.0 + 2.0 * rng.normal(size=(N_SAMPLES, N_FEATURES))
        X[rng.random(X.shape) < 0.4] = 0.0
        self.Y = self._targets(rng)
        self.weight = rng.uniform(0.1, 3.0, N_SAMPLES) if weighted else None
        strengths = {"none": 0.0, "alpha": 0.7, "one each": rng.uniform(0.0, 2.0, len(self.theta))}
        self.penalty = strengths[penalty] * self.shape.is_weight()
        scaling = Scaling.identity(N_FEATURES, n_outputs)
        if standardized:
            scaling = RunningScaling().update(X, None, self.weight).scaling(n_outputs)
        given = csr_array(X) if sparse else X
        self.X = (X - scaling.x_mean) / scaling.x_spread
        self.objective = self.of(scaling.rows(given))

    def of(self, X, dtype=np.float64):
        network = Network(self.shape, self.activation, self.loss)
        return Objective(Table(X, self.Y.astype(dtype), self.weight), network, self.penalty, dtype)

    def _targets(self, rng):
        k = self.shape.n_outputs
        if self.loss.in_units_of_y:
            return rng.normal(size=(N_SAMPLES, k))
        if isinstance(self.loss, BinaryLogLoss):
            return rng.integers(2, size=(N_SAMPLES, k)).astype(float)
        if self.loss.out_activation == "exp":
            return rng.poisson(2.0, size=(N_SAMPLES, k)) + (0.5 if isinstance(self.loss, Gamma) else 0.0)
        return np.eye(k)[rng.integers(k, size=N_SAMPLES)]

    def plain_value(self, theta):
        """J as design and documentation have it: mean loss plus penalty over the total weight."""
        d, h, k = self.shape
        W1, b1, W2, b2 = np.split(theta, [d * h, d * h + h, d * h + h + h * k])
        Z2 = self.hidden(self.X @ W1.reshape(d, h) + b1) @ W2.reshape(h, k) + b2
        w = np.ones(N_SAMPLES) if self.weight is None else self.weight
        return np.sum(w * self.sample_losses(self.Y, Z2)) / w.sum() + self.penalty @ theta**2 / (2.0 * w.sum())


def numerical_gradient(function, theta, step=1e-3):
    """Return the gradient by central differences, extrapolated to fourth order."""
    steps = step * np.eye(len(theta))
    near = np.array([function(theta + s) - function(theta - s) for s in steps])
    far = np.array([function(theta + 2.0 * s) - function(theta - 2.0 * s) for s in steps])
    return (8.0 * near - far) / (12.0 * step)


def relative_error(gradient, expected):
    return np.abs(gradient - expected).max() / np.abs(expected).max()


@every_network
@weighted_or_not
@pytest.mark.parametrize("penalty", PENALTIES)
@pytest.mark.parametrize("sparse", [False, True], ids=["dense", "sparse"])
@pytest.mark.parametrize("standardized", [False, True], ids=["raw", "standardized"])
def test_value_and_gradient(loss, activation, weighted, penalty, sparse, standardized):
    case = Case(loss, activation, weighted=weighted, penalty=penalty, sparse=sparse, standardized=standardized)
    value, gradient = case.objective.value_and_gradient(case.theta)
    assert value == pytest.approx(case.plain_value(case.theta), rel=1e-12)
    assert relative_error(gradient, numerical_gradient(case.plain_value, case.theta)) < 1e-7


@every_loss
def test_the_penalty_is_for_weights_and_never_for_biases(loss):
    case = Case(loss, penalty="alpha")
    mask = case.shape.unpack(case.shape.is_weight())
    assert (mask.W1 == 1.0).all()
    assert (mask.W2 == 1.0).all()
    assert not mask.b1.any()
    assert not mask.b2.any()


@every_network
def test_float32_computes_in_float32_and_agrees_with_float64(loss, activation):
    case = Case(loss, activation, weighted=True)
    value, gradient = case.objective.value_and_gradient(case.theta)
    single = case.of(case.X.astype(np.float32), np.float32)
    value_32, gradient_32 = single.value_and_gradient(case.theta.astype(np.float32))
    assert gradient_32.dtype == np.float32
    assert value_32 == pytest.approx(value, rel=1e-5)
    assert relative_error(gradient_32, gradient) < 1e-5


@pytest.mark.parametrize("loss", [name for name in LOSSES if LOSSES[name][0].out_activation != "exp"])
@pytest.mark.parametrize("activation", HIDDEN)
def test_the_saturated_network_is_finite_without_a_warning(loss, activation):
    case = Case(loss, activation)
    value, gradient = case.objective.value_and_gradient(1e4 * case.theta)
    assert np.isfinite(value)
    assert np.isfinite(gradient).all()


@pytest.mark.parametrize("loss", ["poisson", "gamma"])
@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_a_mean_beyond_all_numbers_has_no_finite_loss_and_no_warning(loss, sign):
    """A solver refuses such a step: it must be infinity, and not nothing that compares."""
    case, theta = Case(loss), np.zeros(Case(loss).shape.n_parameters)
    case.shape.unpack(theta).b2[:] = sign * 1e4
    value, gradient = case.objective.value_and_gradient(theta)
    assert value == case.objective.value(theta)
    assert value == np.inf or (loss, sign) in [("poisson", -1.0), ("gamma", 1.0)]
    assert value > 1e3
    assert not np.isnan(gradient).any()


@pytest.mark.parametrize("loss", [Poisson(), Gamma()])
def test_deviances_keep_their_digits(loss):
    """Of targets near their means, also large or in float32, where differences of the terms have none left."""
    for dtype, y in [(np.float64, 1e9), (np.float32, 1e4)]:
        t = np.array([[-1e-3], [0.0], [1e-3]], dtype=dtype)
        Y = np.full_like(t, y)
        expected = 0.5 * t[:, 0] ** 2 * (y if isinstance(loss, Poisson) else 1.0)
        losses = loss.losses(Y, (t + np.log(y)).astype(dtype))
        np.testing.assert_allclose(losses, expected, rtol=1e-2, atol=expected.max() * 1e-2)


@pytest.mark.parametrize("loss", [BinaryLogLoss(), MultinomialLogLoss()])
def test_log_losses_of_extreme_raw_predictions(loss):
    """Right where the naive formulas overflow: a loss of about |z|, or none at all."""
    Y, Z = np.array([[1.0, 0.0], [1.0, 0.0]]), np.array([[-2000.0, 0.0], [2000.0, 0.0]])
    losses, delta = loss.losses_and_delta(Y, Z.copy())
    of_the_zeros = np.log(2.0) if isinstance(loss, BinaryLogLoss) else 0.0
    np.testing.assert_allclose(losses, [2000.0 + of_the_zeros, of_the_zeros])
    np.testing.assert_allclose(delta[:, 0], [-1.0, 0.0])


# ---------------------------------------------------------------------------------------------------- sums over rows


@every_loss
@weighted_or_not
@pytest.mark.parametrize("sparse", [False, True], ids=["dense", "sparse"])
@pytest.mark.parametrize("block_rows", [1, 2, 4, 10, N_SAMPLES, 1000])
def test_blocks_of_rows_do_not_change_the_sums(loss, weighted, sparse, block_rows):
    case = Case(loss, weighted=weighted, sparse=sparse, standardized=True)
    in_blocks = Case(loss, weighted=weighted, sparse=sparse, standardized=True).objective
    in_blocks.sums.block_rows = block_rows
    value, gradient = case.objective.value_and_gradient(case.theta)
    value_in_blocks, gradient_in_blocks = in_blocks.value_and_gradient(case.theta)
    assert value_in_blocks == pytest.approx(value, rel=1e-14)
    assert relative_error(gradient_in_blocks, gradient) < 1e-14


@every_loss
@weighted_or_not
@pytest.mark.parametrize("block_rows", [1, 4, N_SAMPLES])
@pytest.mark.parametrize("rows", [None, slice(2, 9), np.array([7, 1, 3])], ids=["all", "slice", "numbers"])
def test_value_alone_is_the_same_to_the_last_bit(loss, weighted, block_rows, rows):
    case = Case(loss, weighted=weighted)
    case.objective.sums.block_rows = block_rows
    assert case.objective.value(case.theta, rows) == case.objective.value_and_gradient(case.theta, rows)[0]


@every_loss
@weighted_or_not
@pytest.mark.parametrize("batch_size", [1, 3, 10])
@pytest.mark.parametrize("shuffle", [False, True])
def test_mini_batches_average_to_the_whole(loss, weighted, batch_size, shuffle):
    """Each batch counts by its share of the rows; the value and the gradient of the whole are then their mean."""
    case = Case(loss, weighted=weighted)
    order = np.random.default_rng(0).permutation(N_SAMPLES)
    starts = range(0, N_SAMPLES, batch_size)
    batches = [order[i : i + batch_size] if shuffle else slice(i, i + batch_size) for i in starts]
    parts = [case.objective.value_and_gradient(case.theta, rows) for rows in batches]
    shares = np.array([len(order[i : i + batch_size]) for i in starts]) / N_SAMPLES
    value, gradient = case.objective.value_and_gradient(case.theta)
    assert shares @ [part[0] for part in parts] == pytest.approx(value, rel=1e-13)
    assert relative_error(shares @ np.array([part[1] for part in parts]), gradient) < 1e-13


@every_loss
@weighted_or_not
def test_a_slice_is_those_rows(loss, weighted):
    case = Case(loss, weighted=weighted)
    value, gradient = case.objective.value_and_gradient(case.theta, slice(3, 8))
    value_of_numbers, gradient_of_numbers = case.objective.value_and_gradient(case.theta, np.arange(3, 8))
    assert value_of_numbers == pytest.approx(value, rel=1e-14)
    assert relative_error(gradient_of_numbers, gradient) < 1e-14


def test_theta_is_not_changed():
    case = Case("multinomial")
    theta = case.theta.copy()
    case.objective.value_and_gradient(theta)
    case.objective.value(theta)
    np.testing.assert_array_equal(theta, case.theta)


@every_network
@pytest.mark.parametrize("sparse", [False, True], ids=["dense", "sparse"])
def test_prediction_in_blocks_is_the_forward_pass(loss, activation, sparse, monkeypatch):
    monkeypatch.setattr("sk2layer.rows.predict.PREDICT_BYTES", 0)  # the smallest blocks, 64 rows
    case = Case(loss, activation)
    X = np.random.default_rng(0).normal(size=(150, N_FEATURES))
    W1, b1, W2, b2 = weights = case.shape.unpack(case.theta)
    Z2 = predict_raw(csr_array(X) if sparse else X, weights, case.activation)
    np.testing.assert_allclose(Z2, case.hidden(X @ W1 + b1) @ W2 + b2, rtol=0.0, atol=1e-12)


# --------------------------------------------------------------------------------------------------- initial weights


def draw(shape, activation, seed=0):
    return shape.unpack(initial_weights(shape, ACTIVATIONS[activation], np.random.default_rng(seed)))


@pytest.mark.parametrize("activation", HIDDEN)
def test_initial_weights_break_the_symmetry_of_hidden_units(activation):
    weights = draw(Shape(5, 8, 3), activation)
    columns = np.vstack([weights.W1, weights.b1, weights.W2.T])
    assert len(np.unique(columns, axis=1).T) == 8
    assert not weights.b2.any()


def test_pack_is_the_inverse_of_unpack():
    shape = Shape(5, 8, 3)
    theta = np.arange(shape.n_parameters, dtype=float)
    weights = shape.unpack(theta)
    np.testing.assert_array_equal(pack(weights), theta)
    assert [array.shape for array in weights] == [(5, 8), (8,), (8, 3), (3,)]
    assert all(np.shares_memory(array, theta) for array in weights)


def test_the_initial_sigmoid_network_is_the_tanh_network():
    """It has the same function from the same random numbers, up to the output bias sum_j W2[j]."""
    shape = Shape(5, 8, 3)
    X = np.random.default_rng(1).normal(size=(20, 5))
    sigmoid, tanh = draw(shape, "sigmoid"), draw(shape, "tanh")
    by_sigmoid = predict_raw(X, sigmoid, ACTIVATIONS["sigmoid"])
    by_tanh = predict_raw(X, tanh, ACTIVATIONS["tanh"])
    np.testing.assert_allclose(by_sigmoid, by_tanh + tanh.W2.sum(axis=0), rtol=0.0, atol=1e-14)


def test_initial_weights_follow_from_the_generator():
    shape = Shape(3, 4, 2)
    first, again, other = (Weights(*draw(shape, "tanh", seed)) for seed in (0, 0, 1))
    np.testing.assert_array_equal(pack(first), pack(again))
    assert np.abs(pack(first) - pack(other)).max() > 0.01


def test_every_activation_is_written_independently():
    assert HIDDEN.keys() == ACTIVATIONS.keys()
