"""Does every solver minimise every problem, and by its own formulas?"""

import inspect
import pickle
from itertools import pairwise

import numpy as np
import pytest
from networks import objective_on, start_of
from scipy.optimize import minimize, rosen, rosen_der
from scipy.sparse import csr_array
from sklearn.base import clone
from slow import seeds

from sk2layer import TwoLayerRegressor
from sk2layer.model.activations import ACTIVATIONS
from sk2layer.model.likelihoods import StudentT
from sk2layer.model.log_link import Gamma, Poisson
from sk2layer.model.losses import BinaryLogLoss, HalfSquaredError, MultinomialLogLoss
from sk2layer.model.network import Shape, initial_weights
from sk2layer.rows.scaling import RunningScaling
from sk2layer.solvers import LBFGS, SGD, SOLVERS, Adam, GradientDescent, Run, Solver
from sk2layer.solvers.lbfgs import Corrections
from sk2layer.solvers.line_search import Point, search

NEEDS_CURVATURE = {"lm"}  # asks the objective for more than values and gradients
OF_GRADIENTS = [name for name in SOLVERS if name not in NEEDS_CURVATURE]
FIRST_ORDER = {"gd": GradientDescent, "sgd": SGD, "adam": Adam}
MINI_BATCH = [name for name in SOLVERS if SOLVERS[name].supports_partial_fit]


class Function:
    """A function and its gradient, as solvers know it: no rows, no network."""

    n_samples = 1

    def __init__(self, value, gradient):
        self.value, self.gradient = value, gradient

    def value_and_gradient(self, theta, rows=None):
        return float(self.value(theta)), self.gradient(theta).astype(theta.dtype)


class LeastSquares:
    """The mean of 1/2 (x_i theta - y_i)^2, on all rows or on some; remembers which it was asked for."""

    def __init__(self, n_samples=24, n_parameters=3):
        rng = np.random.default_rng(0)
        self.X, self.n_samples = rng.normal(size=(n_samples, n_parameters)), n_samples
        self.y = self.X @ np.arange(1.0, n_parameters + 1)
        self.asked = []

    def value(self, theta):
        return self.value_and_gradient(theta)[0]

    def value_and_gradient(self, theta, rows=None):
        if rows is not None:
            self.asked.append(np.arange(self.n_samples)[rows])
        X, y = (self.X, self.y) if rows is None else (self.X[rows], self.y[rows])
        residual = X @ theta - y
        return 0.5 * residual @ residual / len(y), X.T @ residual / len(y)

    def batches(self, theta, size, order):
        order = np.arange(self.n_samples) if order is None else order
        for start in range(0, len(order), size):
            rows = order[start : start + size]
            yield len(rows), *self.value_and_gradient(theta, rows)


class FixedGradients:
    """Gives the gradients of a list in their order, wherever it is asked, so that steps can be summed up by hand."""

    n_samples = 1

    def __init__(self, gradients):
        self.gradients, self.n_asked = gradients, 0

    def value(self, theta):
        return -float(self.n_asked)

    def value_and_gradient(self, theta, rows=None):
        self.n_asked += 1
        return -float(self.n_asked), self.gradients[self.n_asked - 1].copy()  # a solver may overwrite what it gets


def quadratic(curvatures):
    return Function(lambda t: 0.5 * curvatures @ t**2, lambda t: curvatures * t)


# ----------------------------------------------------------------------------------- problems that are not networks

ROSENBROCK = Function(rosen, rosen_der)
FUNCTIONS = {
    "bowl": (quadratic(np.array([1.0, 2.0])), [3.0, -2.0], [0.0, 0.0]),
    "valley": (quadratic(np.array([1.0, 50.0])), [3.0, -2.0], [0.0, 0.0]),
    "Rosenbrock 2": (ROSENBROCK, [-1.2, 1.0], [1.0, 1.0]),
    "Rosenbrock 3": (ROSENBROCK, [0.5, 0.8, 0.2], [1.0, 1.0, 1.0]),
}
STEPS = {
    "gd": {"learning_rate": 1e-3},
    "sgd": {"learning_rate": 2e-4},
    "adam": {"learning_rate": 0.02},
}


@pytest.mark.parametrize("name", OF_GRADIENTS)
@pytest.mark.parametrize("problem", FUNCTIONS)
def test_minimum_of_a_function(name, problem):
    function, start, minimum = FUNCTIONS[problem]
    solver = SOLVERS[name](**STEPS.get(name, {}))
    start = np.array(start)
    tol = 1e-9 if name in MINI_BATCH else 1e-4  # of the objective there, of its gradient otherwise
    result = solver.minimize(function, start, Run(max_iter=50_000, tol=tol, patience=200))
    assert result.success, result.message
    assert 0 < result.nit < 50_000
    assert result.fun == function.value(result.x)
    np.testing.assert_allclose(result.x, minimum, rtol=0.0, atol=2e-3)
    np.testing.assert_array_equal(start, FUNCTIONS[problem][1])


@pytest.mark.parametrize("name", OF_GRADIENTS)
def test_at_the_minimum_there_is_nothing_to_do(name):
    result = SOLVERS[name]().minimize(quadratic(np.ones(2)), np.zeros(2), Run(max_iter=100, tol=1e-4))
    assert result.success
    np.testing.assert_array_equal(result.x, [0.0, 0.0])


@pytest.mark.parametrize("name", OF_GRADIENTS)
def test_what_is_reported(name, capsys):
    start, seen = np.array([-1.2, 1.0]), []
    solver = SOLVERS[name](**STEPS.get(name, {}))
    run = Run(max_iter=7, tol=0.0, callback=lambda r: seen.append((r.x.copy(), r.fun)))
    result = solver.minimize(ROSENBROCK, start, run)
    assert result.nit == len(seen) == 7
    assert not result.success
    assert "max_iter" in result.message
    path, values = zip(*seen, strict=True)
    asked = [start, *path[:-1]] if name in MINI_BATCH else path  # an epoch of one batch reports what that met
    assert list(values) == [rosen(theta) for theta in asked]
    np.testing.assert_array_equal(path[-1], result.x)
    assert result.fun == rosen(result.x)
    if name not in MINI_BATCH:
        np.testing.assert_array_equal(result.jac, rosen_der(result.x))
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize("name", OF_GRADIENTS)
def test_the_callback_can_stop_it(name):
    def stop_at_the_third(result):
        seen.append(rosen(result.x))
        if len(seen) == 3:
            raise StopIteration

    seen = []
    solver = SOLVERS[name](**STEPS.get(name, {}))
    result = solver.minimize(ROSENBROCK, np.array([-1.2, 1.0]), Run(max_iter=50, tol=0.0, callback=stop_at_the_third))
    assert result.nit == 3
    assert result.fun == seen[-1]


@pytest.mark.parametrize("name", FIRST_ORDER)
def test_steps_too_long_are_reported(name):
    solver = SOLVERS[name](learning_rate=1e200)
    result = solver.minimize(quadratic(np.ones(2)), np.ones(2), Run(max_iter=100, tol=0.0))
    assert not result.success
    assert result.nit < 100
    assert "not finite: learning_rate=1e+200 is too large" in result.message


@pytest.mark.parametrize("name", FIRST_ORDER)
def test_a_rise_is_reported(name):
    solver = SOLVERS[name](learning_rate=5.0)
    result = solver.minimize(quadratic(np.ones(2)), np.ones(2), Run(max_iter=1, tol=0.0))
    assert not result.success
    assert "the objective rose from 1 to" in result.message
    assert "learning_rate=5 is too large" in result.message


@pytest.mark.parametrize("name", [name for name in OF_GRADIENTS if name not in MINI_BATCH])
def test_full_batch_solvers_do_not_ask_for_rows(name):
    class Rosenbrock:
        def value_and_gradient(self, theta):
            return rosen(theta), rosen_der(theta)

    result = SOLVERS[name](**STEPS.get(name, {})).minimize(Rosenbrock(), np.zeros(2), Run(max_iter=3, tol=0.0))
    assert result.nit == 3


def test_lbfgs_says_when_the_line_search_fails():
    """A gradient that points uphill cannot be followed."""
    wrong = Function(lambda t: 0.5 * t @ t, lambda t: -t)
    result = LBFGS().minimize(wrong, np.ones(2), Run(max_iter=10, tol=1e-4))
    assert not result.success
    assert "the line search lowers the objective by no more" in result.message
    np.testing.assert_array_equal(result.x, np.ones(2))


def test_lbfgs_says_when_the_objective_is_not_finite():
    with np.errstate(all="ignore"):
        result = LBFGS().minimize(Function(lambda t: np.inf, lambda t: t), np.ones(2), Run(max_iter=10, tol=1e-4))
    assert not result.success
    assert "not finite" in result.message


@pytest.mark.parametrize("name", OF_GRADIENTS)
def test_a_gradient_that_is_not_a_number_is_no_convergence(name):
    nowhere = Function(lambda t: np.nan, lambda t: np.full_like(t, np.nan))
    result = SOLVERS[name]().minimize(nowhere, np.ones(2), Run())
    assert not result.success
    assert "not finite" in result.message


def test_lbfgs_stops_at_the_precision_of_the_arithmetic():
    flat = Function(lambda t: 1.0 + 1e-3 * t @ t, lambda t: 2e-3 * t)
    result = LBFGS().minimize(flat, np.full(2, 1e-3, dtype=np.float32), Run(max_iter=100, tol=0.0))
    assert result.success
    assert "precision of float32" in result.message


@seeds(40)
@pytest.mark.parametrize("max_line_search", [20, 50, 500])
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_lbfgs_ends_at_the_best_point_however_long_it_searches(max_line_search, seed):
    """At the kinks of relu an interval shrinks until no number is left in it."""
    X = np.random.default_rng(seed).normal(size=(20, 1))
    solver = LBFGS(max_line_search=max_line_search)
    model = TwoLayerRegressor(3, activation="relu", solver=solver, alpha=0, random_state=seed)
    model.fit(X, np.sin(3.0 * X[:, 0]))
    assert model.loss_ == min([model.loss_, *model.loss_curve_])


@seeds(5)
@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("scale", [1e20, 1e100, 1e-20])
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_lbfgs_ends_at_the_best_point_in_any_units(scale, activation, seed):
    X = np.random.default_rng(seed).normal(size=(50, 3))
    model = TwoLayerRegressor(3, activation=activation, solver="lbfgs", alpha=0, standardize=False, random_state=seed)
    model.fit(scale * X, X[:, 0])
    assert model.loss_ == min([model.loss_, *model.loss_curve_])


@seeds(10)
@pytest.mark.parametrize("activation", ["relu", "tanh"])
@pytest.mark.parametrize("name", ["lbfgs", "lm"])
def test_convergence_is_claimed_where_the_gradient_vanishes(name, activation, seed):
    """With no tolerance to be within, that is to rounding: of the objective, whose root is that of the gradient."""
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(60, 2))
    shape = Shape(2, 4, 1)
    objective = objective_on(X, np.sin(2.0 * X[:, :1]), HalfSquaredError(), activation=activation, alpha=0.1)
    theta = initial_weights(shape, ACTIVATIONS[activation], rng)
    result = SOLVERS[name]().minimize(objective, theta, Run(max_iter=5000, tol=0.0))
    vanishes = np.abs(objective.value_and_gradient(result.x)[1]).max() < 1e-6
    assert result.success == vanishes or "max_iter" in result.message


@pytest.mark.parametrize("name", MINI_BATCH)
@pytest.mark.parametrize("batch_size", ["auto", 5])
@seeds(3)
def test_steps_too_short_are_no_convergence(name, batch_size, seed):
    solver = SOLVERS[name](learning_rate=1e-7, batch_size=batch_size)
    result = solver.minimize(LeastSquares(), np.zeros(3), Run(max_iter=100, tol=1e-4, seed=seed))
    assert not result.success
    assert "learning_rate=1e-07 is too small" in result.message


def descends_to_where_scipy_does(objective, start, n_corrections):
    result = LBFGS(n_corrections=n_corrections).minimize(objective, start, Run(max_iter=5000, tol=1e-6))
    options = {"maxcor": n_corrections, "gtol": 1e-6, "ftol": 0.0, "maxiter": 5000, "maxfun": 10_000}
    expected = minimize(objective.value_and_gradient, start, jac=True, method="L-BFGS-B", options=options)
    assert result.success, result.message
    np.testing.assert_allclose(result.x, expected.x, rtol=0.0, atol=1e-4)
    assert result.fun == pytest.approx(expected.fun, rel=1e-9, abs=1e-11)


@pytest.mark.parametrize("n_corrections", [3, 10, 50])
@pytest.mark.parametrize("start", [[-1.2, 1.0], [0.5, 0.8, 0.2], [2.0, -1.0, 0.3, 1.5, 0.1, 0.9]])
def test_lbfgs_comes_to_the_minimum_of_scipy_on_rosenbrock(start, n_corrections):
    descends_to_where_scipy_does(ROSENBROCK, np.array(start), n_corrections)


@pytest.mark.parametrize("n_corrections", [3, 10, 50])
def test_lbfgs_comes_to_the_minimum_of_scipy_on_a_quadratic(n_corrections):
    start = np.random.default_rng(0).normal(size=40)
    descends_to_where_scipy_does(quadratic(np.geomspace(0.1, 100.0, 40)), start, n_corrections)


def bfgs_matrix(pairs, n_parameters):
    """The inverse Hessian by the recursion of BFGS (Nocedal & Wright 2006, equation 7.16), from the oldest pair on."""
    s, y = pairs[-1]
    H = s @ y / (y @ y) * np.eye(n_parameters)
    for s, y in pairs:
        V = np.eye(n_parameters) - np.outer(y, s) / (s @ y)
        H = V.T @ H @ V + np.outer(s, s) / (s @ y)
    return H


@pytest.mark.parametrize("n_added", [1, 3, 4, 5, 11])
def test_the_compact_form_is_bfgs_from_the_last_pairs(n_added):
    rng, kept, n_parameters = np.random.default_rng(n_added), 4, 7
    A = rng.normal(size=(n_parameters, n_parameters))
    steps = rng.normal(size=(n_added, n_parameters))
    added = [(s, s @ (A @ A.T + np.eye(n_parameters))) for s in steps]
    corrections, gradient = Corrections(kept, n_parameters), rng.normal(size=n_parameters)
    for s, y in added:
        corrections.add(s, y)
    expected = -bfgs_matrix(added[-kept:], n_parameters) @ gradient
    np.testing.assert_allclose(corrections.direction(gradient), expected, rtol=1e-9, atol=1e-9)
    corrections.add(added[0][0], -added[0][1])  # curvature that is not positive is left out
    np.testing.assert_allclose(corrections.direction(gradient), expected, rtol=1e-9, atol=1e-9)


def along_a_line(phi, slope):
    """The points after a step, of a function of one variable and its derivative."""
    return lambda step: Point(step, np.array([step]), phi(step), np.array([slope(step)]), slope(step))


LINES = {
    "a step of one": (lambda t: (t - 1.0) ** 2, lambda t: 2.0 * (t - 1.0)),
    "far": (lambda t: (t - 3e3) ** 2, lambda t: 2.0 * (t - 3e3)),
    "near": (lambda t: (t - 3e-4) ** 2, lambda t: 2.0 * (t - 3e-4)),
    "a wave": (lambda t: -np.sin(20.0 * t) - t, lambda t: -20.0 * np.cos(20.0 * t) - 1.0),
    "a wall": (
        lambda t: 60.0 * t**2 - t if t < 0.02 else np.inf,
        lambda t: 120.0 * t - 1.0 if t < 0.02 else np.nan,
    ),
}


@pytest.mark.parametrize("line", LINES)
def test_the_line_search_keeps_its_conditions(line):
    asked, evaluate = [], along_a_line(*LINES[line])
    start = evaluate(0.0)
    point = search(lambda step: asked.append(step) or evaluate(step), start, 20, 0.0)
    assert point.value <= start.value + 1e-4 * point.step * start.slope
    assert abs(point.slope) <= 0.9 * abs(start.slope)
    assert asked[0] == 1.0
    assert len(asked) == (1 if line == "a step of one" else len(set(asked)))


def test_a_line_search_that_runs_out_returns_what_is_lower():
    evaluate = along_a_line(*LINES["far"])
    assert search(evaluate, evaluate(0.0), 1, 0.0).step == 1.0
    evaluate = along_a_line(*LINES["near"])
    assert search(evaluate, evaluate(0.0), 1, 0.0) is None


def test_lbfgs_shortens_steps_to_where_the_objective_is_finite():
    def value(t):
        return np.inf if t[0] < 0.0 else t[0] - 1e-3 * np.log(t[0])

    barrier = Function(value, lambda t: np.full(1, np.nan) if t[0] < 0.0 else 1.0 - 1e-3 / t)
    result = LBFGS().minimize(barrier, np.full(1, 0.5), Run(max_iter=200, tol=1e-8))
    assert result.success
    np.testing.assert_allclose(result.x, [1e-3], rtol=1e-6)


def test_lbfgs_starts_again_by_steepest_descent_where_its_pairs_mislead():
    """The state of another function: its pairs lead uphill."""
    solver, start = LBFGS(), np.array([3.0, -2.0])
    other = solver.minimize(quadratic(np.array([1.0, 50.0])), start, Run(max_iter=4, tol=0.0)).state
    other["pairs"]["rows"] *= -1.0
    other["pairs"]["scale"] *= -1.0
    function = quadratic(np.array([2.0, 1.0]))
    value, gradient = function.value_and_gradient(start)
    state = {**other, "theta": start, "value": value, "gradient": gradient, "fall": np.inf}
    result = solver.minimize(function, start, Run(max_iter=100, tol=1e-8, state=state))
    assert result.success
    np.testing.assert_allclose(result.x, [0.0, 0.0], atol=1e-8)


# ------------------------------------------------------------------------------------------------- networks, all losses

N_SAMPLES, N_FEATURES, N_HIDDEN, N_OUTPUTS = 40, 3, 4, 2
LOSSES = {"squared": HalfSquaredError(), "binary": BinaryLogLoss(), "multinomial": MultinomialLogLoss()}
LOSSES |= {"poisson": Poisson(), "gamma": Gamma(), "student_t": StudentT()}
ITERATIONS = {"gd": 800, "sgd": 800, "adam": 300}


def network(loss, *, activation="sigmoid", weighted=False, sparse=False, dtype=np.float64):
    """A network on little data, and where to start."""
    rng = np.random.default_rng(3)
    X = rng.normal(size=(N_SAMPLES, N_FEATURES))
    X[rng.random(X.shape) < 0.3] = 0.0
    signal = np.column_stack([X[:, 0] - X[:, 1], np.sin(2.0 * X[:, 1])])
    of_classes = np.eye(N_OUTPUTS)[(signal[:, 0] > signal[:, 1]).astype(int)]
    Y = {"squared": signal, "binary": (signal > 0.0).astype(float), "multinomial": of_classes}
    Y = (Y | {"student_t": signal, "poisson": np.round(np.exp(0.5 * signal)), "gamma": np.exp(0.5 * signal)})[loss]
    weight = rng.uniform(0.5, 2.0, N_SAMPLES) if weighted else None
    scaling = RunningScaling().update(X, None, weight).scaling(N_OUTPUTS)
    X = scaling.rows((csr_array(X) if sparse else X).astype(dtype))
    kind = {"h": N_HIDDEN, "activation": activation, "alpha": 4.0}
    objective = objective_on(X, Y.astype(dtype), LOSSES[loss], weight=weight, **kind)
    return objective, start_of(objective, seed=0)


def solve(name, objective, theta, **options):
    tol = 1e-8 if name in MINI_BATCH else 1e-6  # of the objective there, of its gradient otherwise
    run = {"max_iter": ITERATIONS.get(name, 200), "tol": tol, "patience": 100, **options}
    return SOLVERS[name]().minimize(objective, theta, Run(**run))


@pytest.mark.parametrize("name", SOLVERS)
@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize(("weighted", "sparse"), [(False, False), (True, True)], ids=["plain", "weighted sparse"])
def test_minimum_of_a_network(name, loss, weighted, sparse):
    """With linear hidden units, as many as outputs at least, every minimum is a global one: SciPy's BFGS gives it."""
    objective, theta = network(loss, activation="identity", weighted=weighted, sparse=sparse)
    expected = minimize(objective.value_and_gradient, theta, jac=True, method="BFGS")
    result = solve(name, objective, theta)
    assert expected.fun < 0.9 * objective.value(theta)
    assert result.fun == objective.value(result.x)
    assert result.fun == pytest.approx(expected.fun, rel=1e-4)


@pytest.mark.parametrize("name", SOLVERS)
@pytest.mark.parametrize("loss", LOSSES)
def test_near_the_end_the_gradient_is_small(name, loss):
    """With sigmoid hidden units different solvers may come to different minima."""
    objective, theta = network(loss, weighted=True)
    result = solve(name, objective, theta)
    start, end = (objective.value_and_gradient(point)[1] for point in (theta, result.x))
    assert result.fun == objective.value(result.x) < 0.9 * objective.value(theta)
    assert np.abs(end).max() < 0.03 * np.abs(start).max()


@pytest.mark.parametrize("name", SOLVERS)
@pytest.mark.parametrize("loss", LOSSES)
def test_float32_in_float32_out(name, loss):
    objective, theta = network(loss, dtype=np.float32)
    result = solve(name, objective, theta, max_iter=100)
    in_float64 = solve(name, *network(loss), max_iter=100)
    assert result.x.dtype == np.float32
    assert result.fun == pytest.approx(in_float64.fun, rel=1e-2)


@pytest.mark.parametrize("name", [name for name in SOLVERS if not SOLVERS[name].supports_partial_fit])
@pytest.mark.parametrize("loss", LOSSES)
def test_full_batch_solvers_stop_at_a_small_gradient(name, loss):
    objective, theta = network(loss)
    result = solve(name, objective, theta, max_iter=20_000, tol=1e-3)
    gradient = objective.value_and_gradient(result.x)[1]
    assert result.success
    assert np.abs(gradient).max() <= 1e-3
    np.testing.assert_allclose(result.jac, gradient, rtol=0.0, atol=1e-12)


@pytest.mark.parametrize("loss", LOSSES)
def test_lbfgs_comes_to_the_minimum_of_scipy_on_a_network(loss):
    """With linear hidden units every minimum is a global one, but not a single point."""
    objective, theta = network(loss, activation="identity", weighted=True)
    options = {"gtol": 1e-6, "ftol": 0.0, "maxiter": 5000, "maxfun": 10_000}
    expected = minimize(objective.value_and_gradient, theta, jac=True, method="L-BFGS-B", options=options)
    result = LBFGS().minimize(objective, theta, Run(max_iter=5000, tol=1e-6))
    assert result.success, result.message
    assert result.fun == pytest.approx(expected.fun, rel=1e-9)


# ------------------------------------------------------------------------------------------------------- the formulas


@pytest.fixture
def gradients():
    return list(np.random.default_rng(0).normal(size=(9, 2)))


def positions(solver, objective, start, n_steps):
    """Return theta before the first step and after each, shape (n_steps + 1, n_parameters)."""
    path = [start]
    result = solver.minimize(
        objective, start, Run(max_iter=n_steps, tol=0.0, patience=99, callback=lambda r: path.append(r.x.copy()))
    )
    assert result.nit == n_steps
    return np.array(path)


def test_gradient_descent(gradients):
    path = positions(GradientDescent(learning_rate=0.3), FixedGradients(gradients), np.ones(2), 8)
    np.testing.assert_allclose(path[1:], 1.0 - 0.3 * np.cumsum(gradients[:8], axis=0), rtol=1e-13)


def test_momentum(gradients):
    """A step is the sum of all gradients so far, each forgotten by `momentum` per step."""
    solver = SGD(learning_rate=0.3, momentum=0.8, nesterov=False)
    path = positions(solver, FixedGradients(gradients), np.ones(2), 8)
    for t, step in enumerate(np.diff(path, axis=0)):
        expected = -0.3 * sum(0.8 ** (t - i) * gradients[i] for i in range(t + 1))
        np.testing.assert_allclose(step, expected, rtol=1e-12)


def test_nesterov():
    """Sutskever et al. (2013), eq. 3-4: the gradient is taken where the momentum is about to lead.

    The solver's theta is that point, theta + momentum * velocity.
    """
    curvatures, rate, momentum = np.array([1.0, 3.0]), 0.1, 0.8
    path = positions(SGD(learning_rate=rate, momentum=momentum), quadratic(curvatures), np.array([2.0, -1.0]), 8)
    theta, velocity = path[0], np.zeros(2)
    for point in path[1:]:
        velocity = momentum * velocity - rate * curvatures * (theta + momentum * velocity)
        theta = theta + velocity
        np.testing.assert_allclose(point, theta + momentum * velocity, rtol=1e-12)


@pytest.mark.parametrize("nesterov", [False, True])
def test_sgd_without_momentum_is_gradient_descent(gradients, nesterov):
    sgd = SGD(learning_rate=0.3, momentum=0.0, nesterov=nesterov)
    path = positions(sgd, FixedGradients(gradients), np.ones(2), 8)
    expected = positions(GradientDescent(learning_rate=0.3), FixedGradients(gradients), np.ones(2), 8)
    np.testing.assert_array_equal(path, expected)


@pytest.mark.parametrize("power_t", [0.0, 0.5, 2.0])
def test_inverse_scaling(gradients, power_t):
    solver = SGD(learning_rate=0.3, momentum=0.0, schedule="invscaling", power_t=power_t)
    path = positions(solver, FixedGradients(gradients), np.ones(2), 8)
    for t, step in enumerate(np.diff(path, axis=0), start=1):
        np.testing.assert_allclose(step, -0.3 / t**power_t * gradients[t - 1], rtol=1e-12)


def test_adaptive_schedule():
    """Where the objective no longer falls the learning rate does, by 5 per `patience` epochs; only then it stops."""
    flat = Function(lambda t: 1.0, lambda t: np.ones(1))
    solver = SGD(learning_rate=0.05, momentum=0.0, schedule="adaptive")
    path = [np.zeros(1)]
    result = solver.minimize(
        flat, path[0], Run(max_iter=1000, tol=0.0, patience=3, callback=lambda r: path.append(r.x.copy()))
    )
    rates = -np.diff(np.array(path)[:, 0])
    assert result.success
    np.testing.assert_allclose(rates, np.repeat(0.05 / 5.0 ** np.arange(8), [4, *[3] * 7]), rtol=1e-9)
    assert rates[-1] < 1e-6 < rates[-4]


@pytest.mark.parametrize("schedule", ["constant", "invscaling"])
@pytest.mark.parametrize("patience", [2, 5])
def test_a_flat_objective_ends_the_patience(schedule, patience):
    flat = Function(lambda t: 1.0, lambda t: np.ones(1))
    result = SGD(schedule=schedule).minimize(flat, np.zeros(1), Run(max_iter=1000, tol=0.0, patience=patience))
    assert result.success
    assert result.nit == 1 + patience
    assert f"for {patience} epochs" in result.message


def test_adam(gradients):
    """Kingma & Ba (2015), algorithm 1, with the running means written out as weighted sums of all gradients so far."""
    rate, beta_1, beta_2, epsilon = 0.1, 0.7, 0.95, 1e-3
    solver = Adam(learning_rate=rate, beta_1=beta_1, beta_2=beta_2, epsilon=epsilon)
    path = positions(solver, FixedGradients(gradients), np.ones(2), 8)
    for t, step in enumerate(np.diff(path, axis=0)):
        weights_1, weights_2 = (np.array([beta ** (t - i) for i in range(t + 1)]) for beta in (beta_1, beta_2))
        seen = np.array(gradients[: t + 1])
        mean, mean_square = weights_1 @ seen / weights_1.sum(), weights_2 @ seen**2 / weights_2.sum()
        np.testing.assert_allclose(step, -rate * mean / (np.sqrt(mean_square) + epsilon), rtol=1e-11)


# -------------------------------------------------------------------------------------------------------- mini-batches


@pytest.mark.parametrize("name", MINI_BATCH)
@pytest.mark.parametrize("batch_size", [1, 5, 12])
def test_an_epoch_takes_every_row_once(name, batch_size):
    problem = LeastSquares()
    SOLVERS[name](batch_size=batch_size).minimize(problem, np.zeros(3), Run(max_iter=2, tol=0.0))
    n_batches = -(-problem.n_samples // batch_size)
    epochs = [np.concatenate(problem.asked[i : i + n_batches]) for i in (0, n_batches)]
    assert len(problem.asked) == 2 * n_batches
    assert max(len(rows) for rows in problem.asked) == batch_size
    for rows in epochs:
        np.testing.assert_array_equal(np.sort(rows), np.arange(problem.n_samples))
    assert (epochs[0] != epochs[1]).any()
    assert (epochs[0] != np.arange(problem.n_samples)).any()


@pytest.mark.parametrize("name", MINI_BATCH)
def test_without_shuffling_the_rows_come_in_their_order(name):
    problem = LeastSquares()
    SOLVERS[name](batch_size=5, shuffle=False).minimize(problem, np.zeros(3), Run(max_iter=2, tol=0.0))
    np.testing.assert_array_equal(np.concatenate(problem.asked), np.tile(np.arange(problem.n_samples), 2))


@pytest.mark.parametrize("name", MINI_BATCH)
@pytest.mark.parametrize("batch_size", ["auto", 24, 1000])
def test_a_batch_of_all_rows_is_the_whole(name, batch_size):
    problem = LeastSquares()
    SOLVERS[name](batch_size=batch_size).minimize(problem, np.zeros(3), Run(max_iter=2, tol=0.0))
    assert problem.asked == []


@pytest.mark.parametrize("name", MINI_BATCH)
def test_the_order_of_rows_follows_from_the_seed(name):
    def run(seed):
        return SOLVERS[name](batch_size=5).minimize(LeastSquares(), np.zeros(3), Run(max_iter=3, tol=0.0, seed=seed)).x

    np.testing.assert_array_equal(run(1), run(1))
    assert (run(1) != run(2)).any()


@pytest.mark.parametrize("name", MINI_BATCH)
def test_mini_batches_come_to_the_minimum(name):
    result = SOLVERS[name](batch_size=5).minimize(LeastSquares(), np.zeros(3), Run(max_iter=500, tol=1e-9))
    assert result.success
    np.testing.assert_allclose(result.x, [1.0, 2.0, 3.0], atol=1e-2)


def test_the_automatic_batch_size_is_200():
    problem = LeastSquares(n_samples=450)
    SGD().minimize(problem, np.zeros(3), Run(max_iter=1, tol=0.0))
    assert [len(rows) for rows in problem.asked] == [200, 200, 50]


# ------------------------------------------------------------------------------------------------------------ states


@pytest.mark.parametrize("name", SOLVERS)
@pytest.mark.parametrize("loss", LOSSES)
def test_a_state_that_is_passed_back_continues_the_run(name, loss):
    objective, theta = network(loss)
    options = {"tol": 0.0, "seed": 7}
    solver = SOLVERS[name](batch_size=9) if name in MINI_BATCH else SOLVERS[name]()
    whole = solver.minimize(objective, theta, Run(max_iter=20, **options))
    first = solver.minimize(objective, theta, Run(max_iter=12, **options))
    second = solver.minimize(objective, first.x, Run(max_iter=8, state=first.state, **options))
    np.testing.assert_array_equal(second.x, whole.x)
    assert second.fun == whole.fun
    assert first.nit + second.nit == whole.nit


@pytest.mark.parametrize("name", SOLVERS)
@pytest.mark.parametrize("loss", LOSSES)
def test_the_state_of_any_iteration_continues_the_run(name, loss):
    objective, theta = network(loss)
    options = {"tol": 0.0, "seed": 7}
    solver, passed = SOLVERS[name](batch_size=9) if name in MINI_BATCH else SOLVERS[name](), []

    def note(iteration):
        passed.append((iteration.x.copy(), iteration.get_state()))

    whole = solver.minimize(objective, theta, Run(max_iter=12, callback=note, **options))
    assert len(passed) == whole.nit == 12
    for done, (x, state) in enumerate(passed, start=1):
        rest = solver.minimize(objective, x, Run(max_iter=12 - done, state=state, **options))
        np.testing.assert_array_equal(rest.x, whole.x)
        assert (rest.fun, rest.nit) == (whole.fun, 12 - done)


@pytest.mark.parametrize("name", SOLVERS)
def test_a_state_can_be_used_twice(name):
    objective, theta = network("squared")
    solver, options = SOLVERS[name](), {"max_iter": 5, "tol": 0.0}
    first = solver.minimize(objective, theta, Run(**options))
    one, other = (solver.minimize(objective, first.x, Run(state=first.state, **options)) for _ in range(2))
    np.testing.assert_array_equal(one.x, other.x)
    assert (one.x != first.x).any()


def test_the_state_of_lbfgs_does_not_grow():
    objective, theta = network("squared")
    solver = LBFGS(n_corrections=5)
    sizes = [
        len(pickle.dumps(solver.minimize(objective, theta, Run(max_iter=n_iter, tol=0.0)).state)) for n_iter in (6, 20)
    ]
    assert sizes[0] == sizes[1]


# ------------------------------------------------------------------------------------------------- solvers as objects


@pytest.mark.parametrize("Solver_", SOLVERS.values())
def test_every_parameter_has_a_rule_and_can_be_set(Solver_):
    solver = Solver_()
    assert isinstance(solver, Solver)
    assert set(solver.get_params()) == set(Solver_._parameter_constraints)
    assert set(solver.get_params()) == set(inspect.signature(Solver_).parameters)
    assert clone(solver).set_params(**solver.get_params()).get_params() == solver.get_params()


def test_objectives_fall_along_a_good_learning_rate():
    values = []
    objective, theta = network("squared")
    GradientDescent(learning_rate=0.2).minimize(
        objective, theta, Run(max_iter=50, tol=0.0, callback=lambda r: values.append(r.fun))
    )
    assert all(later < earlier for earlier, later in pairwise(values))
