"""Which solver is the cheapest, and is "auto" as good as the others?"""

import itertools
import warnings

import numpy as np
import pytest
from scipy import sparse
from sklearn.exceptions import ConvergenceWarning
from slow import seeds

from sk2layer import TwoLayerClassifier, TwoLayerRegressor
from sk2layer.model.activations import ACTIVATIONS
from sk2layer.model.losses import BinaryLogLoss, HalfSquaredError, MultinomialLogLoss
from sk2layer.model.network import Network, Shape
from sk2layer.objective.solver_choice import adam_seconds, cheapest_solver, lbfgs_seconds, lm_seconds

SQUARED, BINARY, MULTINOMIAL = HalfSquaredError(), BinaryLogLoss(), MultinomialLogLoss()


def fitted(Estimator, X, y, **parameters):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        return Estimator(**parameters).fit(X, y)


@pytest.mark.parametrize(
    ("n_samples", "shape", "loss", "activation", "name"),
    [
        (200, Shape(10, 5, 1), SQUARED, "sigmoid", "lm"),
        (200, Shape(10, 10, 1), SQUARED, "tanh", "lm"),
        (2000, Shape(10, 5, 1), SQUARED, "sigmoid", "lm"),
        (200, Shape(50, 20, 1), SQUARED, "sigmoid", "lbfgs"),
        (300, Shape(790, 1, 1), SQUARED, "sigmoid", "lbfgs"),
        *((n, Shape(10, 20, 1), SQUARED, "sigmoid", "lbfgs") for n in (20_000, 50_000, 100_000)),
        (200, Shape(10, 3, 1), BINARY, "sigmoid", "lm"),
        (200, Shape(10, 20, 1), BINARY, "sigmoid", "lbfgs"),
        (2000, Shape(10, 10, 3), MULTINOMIAL, "sigmoid", "lbfgs"),
        (200, Shape(1, 3, 1), SQUARED, "relu", "lbfgs"),
        (10**7, Shape(10, 20, 1), SQUARED, "sigmoid", "adam"),
        (10**7, Shape(10, 20, 1), BINARY, "relu", "adam"),
    ],
)
def test_the_cheapest(n_samples, shape, loss, activation, name):
    assert cheapest_solver(n_samples, Network(shape, ACTIVATIONS[activation], loss)) == name


def test_rows_elsewhere_come_in_no_batches():
    network = Network(Shape(10, 20, 1), ACTIVATIONS["sigmoid"], SQUARED)
    assert cheapest_solver(10**7, network, in_memory=False) == "lbfgs"


def test_an_epoch_of_many_parameters_on_few_inputs_is_dear():
    wide, narrow = (
        Network(shape, ACTIVATIONS["sigmoid"], SQUARED) for shape in (Shape(200_000, 20, 1), Shape(1000, 5, 1))
    )
    assert cheapest_solver(2_000_000, wide, density=5e-4) == "lbfgs"
    assert cheapest_solver(10**8, narrow, density=0.1) == "adam"


@pytest.mark.parametrize("seconds", [lm_seconds, lbfgs_seconds, adam_seconds])
def test_what_is_larger_costs_more(seconds):
    for larger, smaller in itertools.pairwise([40, 20, 10]):
        assert seconds(50 * larger, Shape(5, 5, 1)) > seconds(50 * smaller, Shape(5, 5, 1))
        assert seconds(500, Shape(larger, 5, 1)) > seconds(500, Shape(smaller, 5, 1))
        assert seconds(500, Shape(5, larger, 1)) > seconds(500, Shape(5, smaller, 1))
        assert seconds(500, Shape(5, 5, larger)) > seconds(500, Shape(5, 5, smaller))


@pytest.mark.parametrize("Estimator", [TwoLayerRegressor, TwoLayerClassifier])
@seeds(3)
def test_wide_sparse_data_are_fitted_as_by_lbfgs(Estimator, seed):
    X = sparse.random(300, 5000, 0.005, format="csr", random_state=seed)
    y = X @ np.random.default_rng(seed).normal(size=5000)
    y = y if Estimator is TwoLayerRegressor else y > 0
    auto, other = (
        fitted(Estimator, X, y, solver=solver, alpha=1.0, random_state=seed, max_iter=30)
        for solver in ("auto", "lbfgs")
    )
    assert auto.loss_curve_ == other.loss_curve_


def test_relu_is_fitted_as_well_as_by_lbfgs():
    """On ten starts, since some of them end with dead units whatever the solver."""
    X = np.random.default_rng(0).uniform(-10.0, 10.0, (1000, 1))
    y = np.sin(X[:, 0])
    scores = {
        solver: [
            fitted(TwoLayerRegressor, X, y, activation="relu", alpha=1e-3, solver=solver, random_state=seed).score(X, y)
            for seed in range(10)
        ]
        for solver in ("auto", "lbfgs")
    }
    assert np.median(scores["auto"]) >= np.median(scores["lbfgs"]) > 0.95
