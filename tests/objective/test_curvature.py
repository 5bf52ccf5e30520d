"""Are the second derivatives right, and does Levenberg-Marquardt reach certified optima with them?"""

import itertools
import tracemalloc
import warnings
from functools import partial

import networks
import numpy as np
import pytest
from scipy import sparse
from sklearn import datasets
from sklearn.linear_model import LinearRegression
from slow import mostly_slow, seeds

from sk2layer import TwoLayerClassifier, TwoLayerRegressor
from sk2layer.model.activations import ACTIVATIONS
from sk2layer.model.likelihoods import StudentT
from sk2layer.model.losses import BinaryLogLoss, HalfSquaredError, MultinomialLogLoss
from sk2layer.model.network import Shape
from sk2layer.objective.curvature import choose_form
from sk2layer.objective.products import PairSum, RowSum
from sk2layer.rows.scaling import Scaling
from sk2layer.solvers import LBFGS, LevenbergMarquardt, Run
from sk2layer.solvers.levenberg_marquardt import QuadraticModel

LOSSES = [*networks.LOSSES[:1], (HalfSquaredError, 3), *networks.LOSSES[2:]]
N_SAMPLES = 40
make_objective = partial(networks.make_objective, activation="sigmoid", weighted=True, alpha=0.7)


def numerical_hessian(objective, theta, step=1e-5):
    def gradient(theta):
        return objective.value_and_gradient(theta)[1]

    return np.array([(gradient(theta + step * e) - gradient(theta - step * e)) / 2 / step for e in np.eye(len(theta))])


def numerical_gauss_newton(objective, theta, step=1e-6):
    """sum_i w_i J_i.T L_i J_i with J of the raw predictions and L of the loss both by differences."""
    sums, loss = objective.sums, objective.network.loss

    def delta(Z):
        return loss.losses_and_delta(sums.Y, Z.copy())[1]

    Z, J = networks.raw_prediction(objective, theta), networks.jacobian(objective, theta, step)
    L = np.stack([(delta(Z + step * e) - delta(Z - step * e)) / 2 / step for e in np.eye(Z.shape[1])], axis=-1)
    weight = np.ones(N_SAMPLES) if sums.weight is None else sums.weight
    matrix = np.einsum("i,iop,iol,ilq->pq", weight / weight.sum(), J, L, J)
    return matrix + np.diag(objective.penalty) / objective.weight_sum


# --------------------------------------------------------------------------------------------------------- the matrices


@pytest.mark.parametrize("form", [RowSum, PairSum])
@pytest.mark.parametrize("weighted", [True, False])
@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize(("loss", "k"), [case for case in LOSSES if case[0] is not StudentT])
def test_matrices_are_the_numerical_ones(loss, k, activation, weighted, form, monkeypatch):
    monkeypatch.setattr("sk2layer.objective.curvature.choose_form", lambda shape: form)
    objective, theta = make_objective(loss, k, activation=activation, weighted=weighted)
    gradient, gauss_newton, hessian = objective.curvature(theta)
    scale = np.abs(hessian).max()
    np.testing.assert_allclose(gradient, objective.value_and_gradient(theta)[1], rtol=0, atol=1e-14)
    np.testing.assert_allclose(gauss_newton, numerical_gauss_newton(objective, theta), rtol=0, atol=1e-8 * scale)
    np.testing.assert_allclose(hessian, numerical_hessian(objective, theta), rtol=0, atol=1e-8 * scale)
    assert (np.linalg.eigvalsh(gauss_newton) > -1e-14).all()


@pytest.mark.parametrize("form", [RowSum, PairSum])
@pytest.mark.parametrize("k", [1, 2])
def test_where_a_bound_stands_for_the_curvature_the_rest_is_the_numerical_one(k, form, monkeypatch):
    monkeypatch.setattr("sk2layer.objective.curvature.choose_form", lambda shape: form)
    objective, theta = make_objective(StudentT, k)
    _, gauss_newton, hessian = objective.curvature(theta)
    Z, J = networks.raw_prediction(objective, theta), networks.jacobian(objective, theta)
    share, penalty = objective.sums.weight / objective.weight_sum, np.diag(objective.penalty) / objective.weight_sum
    L = objective.network.loss.curvatures(objective.sums.Y, Z)
    np.testing.assert_allclose(gauss_newton, np.einsum("i,iop,io,ioq->pq", share, J, L, J) + penalty, rtol=0, atol=1e-8)
    rest = numerical_hessian(objective, theta) - numerical_gauss_newton(objective, theta)
    np.testing.assert_allclose(hessian - gauss_newton, rest, rtol=0, atol=1e-7)


@pytest.mark.parametrize(("loss", "k"), LOSSES)
def test_the_forms_agree_in_any_blocks(loss, k, monkeypatch):
    matrices = []
    for form, n_rows in itertools.product([RowSum, PairSum], [700, 333, 64]):
        monkeypatch.setattr("sk2layer.objective.curvature.choose_form", lambda shape, form=form: form)
        monkeypatch.setattr("sk2layer.objective.curvature.curvature_rows", lambda *size, n_rows=n_rows: n_rows)
        objective, theta = make_objective(loss, k, d=7, h=5, n=700)
        matrices.append(objective.curvature(theta)[1:])
    for gauss_newton, hessian in matrices[1:]:
        np.testing.assert_allclose(gauss_newton, matrices[0][0], rtol=0, atol=1e-14)
        np.testing.assert_allclose(hessian, matrices[0][1], rtol=0, atol=1e-14)


def test_pairs_of_inputs_that_do_not_fit_are_computed_anew(monkeypatch):
    objective, theta = make_objective(HalfSquaredError, 1)
    kept = objective.curvature(theta)[1]
    monkeypatch.setattr("sk2layer.objective.curvature.KEPT_BYTES", 0)
    other, _ = make_objective(HalfSquaredError, 1)
    np.testing.assert_array_equal(other.curvature(theta)[1], kept)
    assert inputs_kept(objective)
    assert not inputs_kept(other)


def inputs_kept(objective):
    return [key for _, work in objective.sums._ranges for key in work.kept if key[0] == "inputs"]


@pytest.mark.parametrize(
    ("shape", "n"), mostly_slow([(Shape(790, 1, 1), 300), (Shape(790, 2, 1), 300), (Shape(400, 8, 1), 200)])
)
@pytest.mark.parametrize("form", [RowSum, PairSum])
def test_blocks_take_little_memory_however_wide(form, shape, n, monkeypatch):
    """Beside the sums, their product, their index and the two results: at most 64 MiB."""
    monkeypatch.setattr("sk2layer.objective.curvature.choose_form", lambda shape: form)
    monkeypatch.setattr("sk2layer.rows.sums.MAX_RANGES", 1)
    objective, theta = make_objective(HalfSquaredError, 1, d=shape.n_features, h=shape.n_hidden, n=n)
    tracemalloc.start()
    try:
        objective.curvature(theta)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 2**26 + 6 * 8 * shape.n_parameters**2


@pytest.mark.parametrize("form", [RowSum, PairSum])
@pytest.mark.parametrize("d", [30, 100])
def test_the_memory_of_a_step_is_what_is_said(form, d, monkeypatch):
    """Of 20 matrices, beside a constant."""
    monkeypatch.setattr("sk2layer.objective.curvature.choose_form", lambda shape: form)
    objective, theta = make_objective(HalfSquaredError, 1, d=d, h=10, n=2**21 // (10 * d) + 100)
    tracemalloc.start()
    try:
        LevenbergMarquardt().minimize(objective, theta, Run(max_iter=1, tol=0.0))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 2**26 + 20 * 8 * len(theta) ** 2


def test_rows_of_the_jacobian_need_no_pairs(monkeypatch):
    monkeypatch.setattr("sk2layer.objective.curvature.choose_form", lambda shape: RowSum)
    objective, theta = make_objective(BinaryLogLoss, 2)
    monkeypatch.setattr("sk2layer.objective.curvature_terms.pair_products", None)  # would fail
    assert np.isfinite(objective.curvature(theta)[2]).all()


@pytest.mark.parametrize("n_features", [10, 200, 790])
def test_a_wide_layer_of_few_units_is_summed_by_rows(n_features):
    assert choose_form(Shape(n_features, 1, 1)) is RowSum
    assert choose_form(Shape(n_features, 3, 1)) is RowSum


def test_sparse_rows_have_the_matrices_of_dense_ones():
    objective, theta = make_objective(BinaryLogLoss, 1)
    dense = objective.curvature(theta)
    rows = Scaling.identity(3, 1).rows(sparse.csr_array(objective.sums.X[:]))
    for mine, theirs in zip(networks.with_data(objective, rows).curvature(theta), dense, strict=True):
        np.testing.assert_allclose(mine, theirs, rtol=0, atol=1e-14)


def test_the_hessian_can_be_left_out():
    objective, theta = make_objective(MultinomialLogLoss, 3)
    gradient, matrix, hessian = objective.curvature(theta, hessian=False)
    np.testing.assert_array_equal(gradient, objective.curvature(theta)[0])
    np.testing.assert_array_equal(matrix, objective.curvature(theta)[1])
    assert hessian is None
    assert objective.curvature(theta)[2] is not None


def test_float32_is_computed_with_and_comes_close():
    objective, theta = make_objective(HalfSquaredError, 2)
    single, theta_single = make_objective(HalfSquaredError, 2, dtype=np.float32)
    gradient, gauss_newton, hessian = single.curvature(theta_single)
    assert gradient.dtype == np.float32
    assert gauss_newton.dtype == hessian.dtype == np.float64
    np.testing.assert_allclose(hessian, objective.curvature(theta)[2], rtol=0, atol=1e-5)


def test_the_form_follows_the_shape():
    assert choose_form(Shape(1, 50, 1)) is RowSum
    assert choose_form(Shape(30, 30, 1)) is PairSum


# --------------------------------------------------------------------------------------------------------- the solver


class Residuals:
    """1/2 |r(theta)|^2 with the derivatives of r given: a least-squares problem without a network."""

    def __init__(self, residuals, jacobian, curvature):
        self.residuals, self.jacobian, self.second = residuals, jacobian, curvature

    def value(self, theta):
        return 0.5 * float(self.residuals(theta) @ self.residuals(theta))

    def curvature(self, theta, out=None):
        r, J = self.residuals(theta), self.jacobian(theta)
        return J.T @ r, J.T @ J, J.T @ J + self.second(theta, r)


def rosenbrock():
    return Residuals(
        lambda t: np.array([10.0 * (t[1] - t[0] ** 2), 1.0 - t[0]]),
        lambda t: np.array([[-20.0 * t[0], 10.0], [-1.0, 0.0]]),
        lambda t, r: np.array([[-20.0 * r[0], 0.0], [0.0, 0.0]]),
    )


def exponential():
    """Two exponentials of time fitted to their sum with an error: residuals remain at the minimum."""
    t = np.linspace(0.0, 2.0, 30)
    y = np.exp(-t) + np.exp(-3.0 * t) + 0.1 * np.sin(20.0 * t)

    def second(theta, r):
        return np.diag([r @ (t**2 * np.exp(-a * t)) for a in theta])

    return Residuals(
        lambda theta: np.exp(-np.outer(t, theta)).sum(axis=1) - y,
        lambda theta: -t[:, np.newaxis] * np.exp(-np.outer(t, theta)),
        second,
    )


@pytest.mark.parametrize("exact_hessian", [True, False])
def test_rosenbrock_is_solved(exact_hessian):
    solver = LevenbergMarquardt(exact_hessian=exact_hessian)
    result = solver.minimize(rosenbrock(), np.array([-1.2, 1.0]), Run(max_iter=100, tol=1e-12))
    assert result.success
    np.testing.assert_allclose(result.x, [1.0, 1.0], atol=1e-10)


@pytest.mark.parametrize("exact_hessian", [True, False])
def test_a_problem_with_residuals_left_is_solved(exact_hessian):
    solver = LevenbergMarquardt(exact_hessian=exact_hessian)
    problem = exponential()
    result = solver.minimize(problem, np.array([0.5, 5.0]), Run(max_iter=100, tol=1e-10))
    assert result.success
    assert np.abs(problem.curvature(result.x)[0]).max() <= 1e-10


def test_the_objective_never_rises():
    values = []
    LevenbergMarquardt(damping=1e-8).minimize(
        rosenbrock(), np.array([-1.2, 1.0]), Run(max_iter=100, tol=1e-12, callback=lambda r: values.append(r.fun))
    )
    assert len(values) > 5
    assert all(later < earlier for earlier, later in itertools.pairwise(values))


def test_a_matrix_that_is_not_definite_is_damped_until_it_is():
    saddle = Residuals(lambda t: t**2 - 1.0, lambda t: np.diag(2.0 * t), lambda t, r: np.diag(2.0 * r))
    result = LevenbergMarquardt(damping=1e-12).minimize(saddle, np.array([1e-9, 0.5]), Run(max_iter=100, tol=1e-10))
    np.testing.assert_allclose(np.abs(result.x), [1.0, 1.0])


def test_a_step_does_not_depend_on_what_was_asked_before():
    """The Hessian is not positive definite with little damping; that is forgotten but by the model that comes back."""
    memory = tuple(np.empty((2, 2)) for _ in range(3))
    saddle = Residuals(lambda t: t**2 - 1.0, lambda t: np.diag(2.0 * t), lambda t, r: np.diag(2.0 * r))
    model = QuadraticModel.of(saddle, np.array([0.1, 0.5]), memory, exact=True)
    by_hessian, same = model.step(10.0)
    by_gauss_newton, without = model.step(1e-3)
    assert (len(same.matrices), len(without.matrices)) == (2, 1)
    np.testing.assert_array_equal(model.step(10.0)[0].step, by_hessian.step)
    np.testing.assert_array_equal(without.step(1e-3)[0].step, by_gauss_newton.step)
    assert (without.step(10.0)[0].step != by_hessian.step).any()


def test_no_matrix_that_can_be_factorised_is_said_honestly():
    class Broken(Residuals):
        def curvature(self, theta, out=None):
            return np.ones(2), np.full((2, 2), np.nan), np.full((2, 2), np.nan)

    problem = Broken(lambda t: t, None, None)
    result = LevenbergMarquardt().minimize(problem, np.ones(2), Run(max_iter=10, tol=1e-4))
    assert result.nit == 0
    np.testing.assert_array_equal(result.x, np.ones(2))
    assert not result.success
    assert "the second derivatives are not finite" in result.message


@seeds(5)
@pytest.mark.parametrize("output_weight", [-1e4, 1e4])
def test_steps_are_found_where_there_is_no_curvature(output_weight, seed):
    """p (1 - p) is zero everywhere, and with it the Gauss-Newton matrix."""
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(50, 1))
    y = (X[:, 0] + rng.normal(size=50) > 0).astype(int)
    start = {"coefs_init": [[[1.0]], [[output_weight]]], "intercepts_init": [[0.0], [0.0]]}
    model = TwoLayerClassifier(1, solver="lm", alpha=0, standardize=False).fit(X, y, **start)
    constant = TwoLayerClassifier(1, solver="lm", alpha=1e6, standardize=False).fit(X, y).loss_
    assert model.n_iter_ > 0
    assert model.loss_ <= constant + 1e-6


@seeds(10)
@pytest.mark.parametrize(("dtype", "scale"), [(np.float32, 1e19), (np.float64, 1e160)])
def test_data_whose_squares_overflow_are_fitted_or_said_not_to_be(dtype, scale, seed):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(50, 2))
    y = (X[:, 0] + 0.1 * rng.normal(size=50)).astype(dtype)
    model = TwoLayerRegressor(3, solver="lm", alpha=0, standardize=False, random_state=seed)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        model.fit((scale * X).astype(dtype), y)
    said = [warning for warning in caught if "scale the data" in str(warning.message)]
    assert len(caught) == len(said)
    assert said or model.score((scale * X).astype(dtype), y) > 0.0


@seeds(5)
@pytest.mark.parametrize("n_classes", [2, 3])
@pytest.mark.parametrize("tol", [1e-4, 1e-12])
def test_separable_classes_converge_without_a_penalty(seed, n_classes, tol):
    """A ConvergenceWarning would be an error."""
    X = np.random.default_rng(seed).normal(size=(50, 2))
    y = np.digitize(X[:, 0], [0.0, 1.0][: n_classes - 1])
    model = TwoLayerClassifier(3, solver="lm", alpha=0, tol=tol, random_state=seed).fit(X, y)
    assert model.loss_ < 1e-12


@seeds(6)
@pytest.mark.parametrize("solver", ["auto", "lm", "lbfgs"])
def test_a_strong_penalty_leads_to_the_constant(solver, seed):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(100, 50))
    y = X @ rng.normal(size=50) + rng.normal(size=100)
    model = TwoLayerRegressor(10, activation="tanh", alpha=1000, solver=solver, random_state=seed).fit(X, y)
    assert model.loss_ == pytest.approx(0.5, abs=1e-4)


def test_the_limit_of_precision_ends_the_iteration():
    objective, theta = make_objective(HalfSquaredError, 1)
    result = LevenbergMarquardt().minimize(objective, theta, Run(max_iter=1000, tol=0.0))
    assert result.nit < 1000
    assert "cannot be lowered" in result.message
    assert np.abs(objective.value_and_gradient(result.x)[1]).max() < 1e-8


@pytest.mark.parametrize(("loss", "k"), LOSSES)
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_every_loss_converges_as_low_as_by_lbfgs(loss, k, dtype):
    objective, theta = make_objective(loss, k, dtype=dtype)
    result = LevenbergMarquardt().minimize(objective, theta, Run(max_iter=200, tol=1e-5))
    other = LBFGS().minimize(objective, theta, Run(max_iter=2000, tol=1e-5))
    assert result.success
    assert np.abs(result.jac).max() <= 1e-5
    assert result.x.dtype == dtype
    assert result.fun <= other.fun + 1e-3


def test_the_hessian_saves_iterations_where_classes_are_separable():
    X, y = datasets.load_wine(return_X_y=True)
    n_iter = {}
    for exact_hessian in (True, False):
        solver = LevenbergMarquardt(exact_hessian=exact_hessian)
        model = TwoLayerClassifier(5, solver=solver, alpha=0.01, tol=1e-6, max_iter=1000, random_state=0).fit(X, y)
        n_iter[exact_hessian] = model.n_iter_
    assert n_iter[True] < 0.7 * n_iter[False]


# --------------------------------------------------------------------------------------------------- certified optima


def test_a_teacher_without_noise_is_found():
    rng = np.random.default_rng(3)
    X = rng.normal(size=(300, 2))
    coefs, intercepts = [rng.normal(size=(2, 3)), rng.normal(size=(3, 1))], [rng.normal(size=3), rng.normal(size=1)]
    y = np.tanh(X @ coefs[0] + intercepts[0]) @ coefs[1] + intercepts[1]
    model = TwoLayerRegressor(
        3, activation="tanh", solver="lm", alpha=0, tol=0, max_iter=500, n_init=5, random_state=0
    ).fit(X, y[:, 0])
    assert model.loss_ < 1e-20
    np.testing.assert_allclose(model.predict(X), y[:, 0], atol=1e-9)


def test_the_identity_activation_is_least_squares():
    X, y = datasets.load_diabetes(return_X_y=True, scaled=False)
    model = TwoLayerRegressor(3, activation="identity", solver="lm", alpha=0, tol=0, random_state=0).fit(X, y)
    np.testing.assert_allclose(model.predict(X), LinearRegression().fit(X, y).predict(X), rtol=1e-10)


@pytest.mark.parametrize("load", [datasets.load_diabetes, datasets.load_linnerud])
@seeds(5)
def test_the_gradient_at_convergence_is_below_tol(load, seed):
    X, y = load(return_X_y=True)
    model = TwoLayerRegressor(solver="lm", alpha=1.0, tol=1e-6, warm_start=True, random_state=seed).fit(X, y)
    assert model.n_iter_ < 200
    state = model._fit_state
    assert np.isfinite(state.value)
    assert state.solver_state["decrease"] <= 1e-6


# ---------------------------------------------------------------------------------------------------------------- auto


@seeds(3)
@pytest.mark.parametrize("name", ["diabetes", "linnerud", "iris", "wine", "breast_cancer", "digits"])
def test_defaults_converge_on_the_bundled_data(name, seed):
    X, y = getattr(datasets, f"load_{name}")(return_X_y=True)
    Estimator = TwoLayerRegressor if name in ("diabetes", "linnerud") else TwoLayerClassifier
    model = Estimator(random_state=seed).fit(X, y)  # a ConvergenceWarning would be an error
    assert 1 <= model.n_iter_ < 200
