"""Small networks that tests of sums, derivatives and evidence have in common, and data for each of the losses."""

import numpy as np
import pytest

from sk2layer.evidence.posterior import ExactPosterior
from sk2layer.model.activations import ACTIVATIONS
from sk2layer.model.likelihoods import StudentT
from sk2layer.model.log_link import Gamma, Poisson
from sk2layer.model.losses import BinaryLogLoss, HalfSquaredError, MultinomialLogLoss
from sk2layer.model.network import Network, Shape, initial_weights, pack
from sk2layer.objective.objective import Objective
from sk2layer.rows.predict import predict_raw, predict_slopes
from sk2layer.rows.sources import Table

LOSSES = [(HalfSquaredError, 1), (HalfSquaredError, 2), (BinaryLogLoss, 1), (BinaryLogLoss, 2), (MultinomialLogLoss, 3)]
LOSSES += [(Poisson, 1), (Poisson, 2), (Gamma, 1), (Gamma, 2), (StudentT, 1), (StudentT, 2)]
every_loss = pytest.mark.parametrize(("loss", "k"), LOSSES)


def draw(loss, k, n, d):
    """Return inputs, and targets that follow from them but for noise."""
    rng = np.random.default_rng(0)
    X, noise = rng.normal(size=(n, d)), rng.normal(size=(n, k))
    rates = np.exp(np.sin(2.0 * X[:, :1]) + 0.3 * X[:, -1:] * np.arange(k))
    targets = {
        HalfSquaredError: np.sin(2.0 * X[:, :1]) + X[:, -1:] * np.arange(k) + 0.3 * noise,
        StudentT: np.sin(2.0 * X[:, :1]) + X[:, -1:] * np.arange(k) + 0.2 * rng.standard_t(2.0, size=(n, k)),
        BinaryLogLoss: (X[:, :1] * X[:, -1:] + 0.3 * noise > 0.0).astype(float),
        MultinomialLogLoss: np.eye(k)[(X[:, :1] * np.linspace(1.0, -1.0, k) + noise).argmax(axis=1)],
        Poisson: np.random.default_rng(1).poisson(2.0 * rates).astype(float),
        Gamma: rates * np.exp(0.3 * noise),
    }
    return X, targets[loss]


def objective_on(X, Y, loss, *, weight=None, h=4, activation="tanh", alpha=0.0, n_threads=1):
    """Return the objective of a network with h hidden units."""
    shape = Shape(X.shape[1], h, Y.shape[1])
    network = Network(shape, ACTIVATIONS[activation], loss)
    return Objective(Table(X, Y, weight), network, alpha * shape.is_weight(), Y.dtype, n_threads)


def start_of(objective, seed=1):
    """Return random weights."""
    return initial_weights(*objective.network[:2], np.random.default_rng(seed)).astype(objective.dtype)


def make_objective(loss, k, *, n=40, d=3, weighted=False, weight=None, rows=slice(None), dtype=np.float64, **network):
    """Return an objective on `rows` of n, with the weights given or with random ones, and where to start."""
    X, Y = draw(loss, k, n, d)
    weight = np.random.default_rng(2).uniform(0.5, 2.0, n) if weighted else weight
    objective = objective_on(X[rows].astype(dtype), Y[rows].astype(dtype), loss(), weight=weight, **network)
    return objective, start_of(objective)


def with_data(objective, X=None, Y=None):
    """Return the same objective on other inputs or targets, with its own weights."""
    sums = objective.sums
    table = Table(sums.X if X is None else X, sums.Y if Y is None else Y, sums.weight)
    return Objective(table, objective.network, objective.penalty, objective.dtype)


def raw_prediction(objective, theta):
    """Return the raw predictions of the rows that the objective is about."""
    return predict_raw(objective.sums.X[:], objective.shape.unpack(theta), objective.network.activation)


def jacobian(objective, theta, step=1e-5):
    """Return the derivatives of raw predictions by theta, by differences, shape (n_samples, k, n_parameters)."""
    moves = step * np.eye(len(theta))
    columns = [raw_prediction(objective, theta + e) - raw_prediction(objective, theta - e) for e in moves]
    return np.stack(columns, axis=-1) / (2.0 * step)


def covariance_of(posterior):
    """Return the covariance of the parameters, by the unit vectors."""
    n = posterior.n_parameters if isinstance(posterior, ExactPosterior) else len(posterior.variances())
    return posterior.covariance_of(np.eye(n))


def linearised_draws(member, X, rng, n_draws=20_000):
    """Return draws of raw predictions and of their slopes, with the network linearised by differences."""
    scaling, theta = member.scaling, pack(member.weights)
    shape, activation = Shape(*member.weights.W1.shape, len(member.weights.b2)), ACTIVATIONS[member.activation]
    step = 1e-5 if activation.is_smooth else 1e-8  # slopes jump at kinks, which no row must be as near to
    moves = step * np.eye(len(theta))
    draws = rng.multivariate_normal(np.zeros(len(theta)), covariance_of(member.posterior), n_draws)

    def drawn(function):
        def at(t):
            return function(X, scaling.fold_out(shape.unpack(t)), activation)

        J = np.stack([(at(theta + move) - at(theta - move)) / (2.0 * step) for move in moves])
        return at(theta) + np.tensordot(draws, J, 1)

    return drawn(predict_raw), drawn(predict_slopes)
