"""Are the parameters of the noise found that make the data most probable?"""

import numpy as np
import pytest
from networks import make_objective, objective_on, start_of
from scipy import stats
from scipy.optimize import minimize_scalar
from scipy.special import digamma

from sk2layer.evidence.noise import better_noise, noise_of_penalised
from sk2layer.model.likelihoods import StudentT
from sk2layer.model.log_link import Gamma


def settled(objective, theta, log_noise, determined, rounds=60):
    for _ in range(rounds):
        log_noise = better_noise(objective, theta, log_noise, determined)
    return log_noise


@pytest.mark.parametrize("k", [1, 2])
def test_without_parameters_that_are_determined_it_is_maximum_likelihood(k):
    """Of a gamma distribution: log beta - digamma(beta) is the mean of half the deviances."""
    objective, theta = make_objective(Gamma, k, weighted=True)
    found = np.exp(settled(objective, theta, np.zeros((1, k)), 0.0))[0]
    share = objective.sums.weight / objective.weight_sum
    Y, Z = objective.sums.Y, _raw(objective, theta)
    half_deviances = share @ (Y / np.exp(Z) + Z - np.log(Y) - 1.0)
    np.testing.assert_allclose(np.log(found) - digamma(found), half_deviances, rtol=0.01)


def test_what_is_determined_makes_room_for_more_noise():
    """As MacKay's (W - gamma) / (2 loss) does: here nearly, since a gamma distribution of a large shape is Gaussian."""
    objective, theta = make_objective(Gamma, 1, n=40)
    objective = objective_on(objective.sums.X[:], np.exp(0.01 * (objective.sums.Y - 1.0)), Gamma())
    theta = 0.0 * theta
    alone, shared = (np.exp(settled(objective, theta, np.full((1, 1), 8.0), gamma)).item() for gamma in (0.0, 10.0))
    assert shared / alone == pytest.approx(30.0 / 40.0, rel=0.02)


def test_one_round_goes_the_right_way_from_afar():
    objective, theta = make_objective(Gamma, 1)
    best = settled(objective, theta, np.zeros((1, 1)), 0.0)
    for start in (best - 6.0, best + 6.0):
        moved = better_noise(objective, theta, start, 0.0)
        assert abs(moved - best) < abs(start - best) - 1.0


def test_the_fixed_point_is_the_minimum():
    objective, theta = make_objective(Gamma, 1)
    Y, Z = objective.sums.Y, _raw(objective, theta)

    def value(log_beta):
        return -Gamma(np.exp([[log_beta]])).log_densities(Y, Z).mean()

    expected = minimize_scalar(value, bounds=(-3.0, 6.0), method="bounded", options={"xatol": 1e-8}).x
    assert settled(objective, theta, np.zeros((1, 1)), 0.0).item() == pytest.approx(expected, abs=5e-3)


@pytest.mark.parametrize(("scale", "nu"), [(0.3, 1.5), (0.3, 4.0), (5.0, 10.0)])
def test_scale_and_degrees_of_freedom_are_those_of_scipys_fit(scale, nu):
    rng = np.random.default_rng(0)
    y = scale * rng.standard_t(nu, 2000)
    objective = objective_on(np.zeros((2000, 1)), y[:, np.newaxis], StudentT())
    log_noise = np.log([[1.0 / y.var()], [4.0]])
    beta, found = np.exp(settled(objective, np.zeros(objective.shape.n_parameters), log_noise, 0.0)).ravel()
    expected_nu, _, expected_scale = stats.t.fit(y, floc=0.0)
    assert found == pytest.approx(expected_nu, rel=0.03)
    assert beta**-0.5 == pytest.approx(expected_scale, rel=0.01)


def test_under_a_given_penalty_it_is_that_of_the_residuals():
    rng = np.random.default_rng(0)
    X = rng.uniform(-2.0, 2.0, (500, 1))
    Y = np.sin(X) + 0.1 * rng.standard_t(3.0, (500, 1))
    objective = objective_on(X, Y, StudentT(), alpha=0.01)
    beta, nu = noise_of_penalised(objective, start_of(objective), seed=0).ravel()
    assert beta**-0.5 == pytest.approx(0.1, rel=0.1)
    assert 2.0 < nu < 5.0


def test_a_part_of_many_rows_tells_it(monkeypatch):
    objective, theta = make_objective(StudentT, 1, n=1000)
    whole = noise_of_penalised(objective, theta, seed=0)
    monkeypatch.setattr("sk2layer.evidence.noise.PART_ROWS", 500)
    part = noise_of_penalised(objective, theta, seed=0)
    assert (part != whole).any()
    np.testing.assert_allclose(np.log(part / whole), 0.0, atol=0.5)


def _raw(objective, theta):
    W1, b1, W2, b2 = objective.shape.unpack(theta)
    return np.tanh(objective.sums.X[:] @ W1 + b1) @ W2 + b2
