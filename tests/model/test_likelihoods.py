"""Is each likelihood what its name says, and are losses, derivatives, distribution functions and variances its own?"""

import numpy as np
import pytest
from scipy import stats
from scipy.integrate import quad

from sk2layer.model.likelihoods import KnownErrors, StudentT
from sk2layer.model.log_link import Gamma, Poisson
from sk2layer.model.losses import Loss
from sk2layer.regressor import LOSSES

SHAPE = 2.5
Y = np.array([[0.0], [1.0], [3.0], [40.0]])
Z = np.array([[-1.0], [0.3], [1.5], [3.5]])

# name: likelihood, targets, the distribution for raw predictions
CASES = {
    "student_t": (StudentT(np.array([[4.0], [3.0]])), Y, lambda z: stats.t(3.0, loc=z, scale=0.5)),
    "poisson": (Poisson(), Y, lambda z: stats.poisson(np.exp(z))),
    "gamma": (Gamma(np.array([[SHAPE]])), Y + 0.1, lambda z: stats.gamma(SHAPE, scale=np.exp(z) / SHAPE)),
}
every_case = pytest.mark.parametrize(("likelihood", "y", "distribution"), CASES.values(), ids=CASES)


def test_the_names_are_those_of_the_parameter():
    assert {name: loss.name for name, loss in LOSSES.items()} == {name: name for name in LOSSES}
    assert all(isinstance(loss, Loss) for loss in LOSSES.values())
    assert CASES.keys() | {"squared_error"} == LOSSES.keys()


@every_case
def test_it_is_the_distribution_of_scipy(likelihood, y, distribution):
    known = distribution(Z)
    log_density = getattr(known, "logpmf", None) if likelihood.name == "poisson" else known.logpdf
    np.testing.assert_allclose(likelihood.log_densities(y, Z), log_density(y), rtol=1e-10)
    np.testing.assert_allclose(likelihood.cdf(y, Z), known.cdf(y), rtol=1e-10)
    np.testing.assert_allclose(likelihood.variance(Z, 0.0 * Z, include_noise=True), known.var(), rtol=1e-10)


@every_case
def test_losses_are_negative_log_densities_up_to_what_does_not_depend_on_z(likelihood, y, distribution):
    losses, both = (likelihood.losses(y, Z + move) for move in (0.0, 0.7)), []
    both = [-likelihood.log_densities(y, Z + move)[:, 0] for move in (0.0, 0.7)]
    first, second = losses
    np.testing.assert_allclose(second - first, both[1] - both[0], rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(likelihood.negative_log_likelihoods(y, Z), both[0], rtol=1e-12)


@every_case
def test_delta_and_curvature_are_derivatives(likelihood, y, distribution):
    """But for Student's, whose curvature is that of a bound: there it is the delta over the residual."""
    step = 1e-4
    low, high = (likelihood.delta(y, Z + move) for move in (-step, step))
    losses = [likelihood.losses(y, Z + move)[:, np.newaxis] for move in (-step, step)]
    np.testing.assert_allclose(
        likelihood.delta(y, Z.copy()), (losses[1] - losses[0]) / (2 * step), rtol=1e-6, atol=1e-7
    )
    bend = (high - low) / (2 * step) if likelihood.name != "student_t" else likelihood.delta(y, Z.copy()) / (Z - y)
    np.testing.assert_allclose(likelihood.curvatures(y, Z), bend, rtol=1e-6)
    factor = likelihood.curvature_factor(y, Z)[:, :, 0]
    np.testing.assert_allclose(factor**2, likelihood.curvatures(y, Z), rtol=1e-12)


@every_case
@pytest.mark.parametrize("include_noise", [True, False])
def test_variances_are_those_of_the_mixture(likelihood, y, distribution, include_noise):
    """By integration over a Gaussian raw prediction."""
    z, v = 0.4, 0.3
    weigh = stats.norm(z, np.sqrt(v)).pdf

    def average(function):
        return quad(lambda t: weigh(t) * function(t), z - 12 * np.sqrt(v), z + 12 * np.sqrt(v), epsabs=1e-12)[0]

    mean, square = average(lambda t: distribution(t).mean()), average(lambda t: distribution(t).mean() ** 2)
    expected = square - mean**2 + include_noise * average(lambda t: distribution(t).var())
    found = likelihood.variance(np.array([[z]]), np.array([[v]]), include_noise=include_noise)
    np.testing.assert_allclose(found, expected, rtol=1e-7)


@every_case
def test_float32_stays_float32(likelihood, y, distribution):
    y, Z_32 = y.astype(np.float32), Z.astype(np.float32)
    assert likelihood.losses(y, Z_32).dtype == np.float32
    assert likelihood.delta(y, Z_32.copy()).dtype == np.float32
    assert likelihood.curvature_factor(y, Z_32).dtype == np.float32
    assert likelihood.inverse_link(Z_32.copy()).dtype == np.float32


def test_means_are_the_largest_number_instead_of_infinity():
    for dtype in (np.float32, np.float64):
        mean = Poisson().inverse_link(np.array([[1e5]], dtype))
        assert np.isfinite(mean).all()
        assert mean[0, 0] > 1e-4 * np.finfo(dtype).max
    wide = Poisson().variance(np.array([[500.0]]), np.array([[900.0]]), include_noise=True)
    assert np.isfinite(wide).all()


@every_case
def test_the_link_is_the_inverse(likelihood, y, distribution):
    np.testing.assert_allclose(likelihood.link(likelihood.inverse_link(Z.copy())), Z, rtol=1e-12)


def test_counts_that_are_all_zero_have_a_start():
    assert np.isfinite(Poisson().start(np.zeros(1))).all()


def test_with_many_degrees_of_freedom_it_is_half_the_squared_error():
    """Where losses are relative to the precision, whatever that is."""
    likelihood = StudentT().relative_at(np.array([[25.0], [1e9]]))
    y, z = np.array([[1.0]]), np.array([[0.3]])
    assert likelihood.losses(y, z)[0] == pytest.approx(0.245, rel=1e-6)
    assert likelihood.delta(y, z.copy()).item() == pytest.approx(-0.7, rel=1e-6)
    assert likelihood.curvatures(y, z).item() == pytest.approx(1.0, rel=1e-6)


def test_far_outliers_have_finite_losses_and_no_pull():
    y, z = np.array([[1e200], [-1e308]]), np.zeros((2, 1))
    with np.errstate(over="ignore"):
        delta = StudentT().delta(y, z)
    assert (np.abs(delta) < 1e-100).all()


def test_up_to_two_degrees_of_freedom_there_is_no_variance():
    likelihood = StudentT(np.array([[1.0, 1.0], [2.0, 2.5]]))
    variance = likelihood.variance(np.zeros((1, 2)), np.full((1, 2), 0.5), include_noise=True)
    np.testing.assert_allclose(variance, [[np.inf, 5.5]])
    np.testing.assert_allclose(likelihood.variance(np.zeros((1, 2)), np.full((1, 2), 0.5), include_noise=False), 0.5)


def test_known_errors_add_to_the_noise():
    likelihood = KnownErrors(np.array([[4.0, 1.0]]))
    rng = np.random.default_rng(0)
    y, z, v = rng.normal(size=(5, 2)), rng.normal(size=(5, 2)), rng.uniform(0.0, 2.0, (5, 2))
    both, known = np.hstack([y, v]), stats.norm(z, np.sqrt(v + np.array([0.25, 1.0])))
    np.testing.assert_allclose(likelihood.log_densities(both, z), known.logpdf(y), rtol=1e-12)
    np.testing.assert_allclose(likelihood.delta(both, z.copy()), (z - y) / (v + np.array([0.25, 1.0])), rtol=1e-12)
    np.testing.assert_allclose(likelihood.curvatures(both, z), 1.0 / (v + np.array([0.25, 1.0])), rtol=1e-12)
    rest = likelihood.losses(both, z + 0.5) - likelihood.losses(both, z)
    expected = known.logpdf(y) - stats.norm(z + 0.5, np.sqrt(v + np.array([0.25, 1.0]))).logpdf(y)
    np.testing.assert_allclose(rest, expected.sum(axis=1), rtol=1e-9)


def test_known_errors_are_asked_for_in_float32_too():
    likelihood, both = KnownErrors(np.array([[4.0]])), np.ones((3, 2), np.float32)
    z = np.zeros((3, 1), np.float32)
    assert likelihood.losses(both, z).dtype == likelihood.delta(both, z).dtype == np.float32
