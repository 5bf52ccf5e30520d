"""Are densities and quantiles those of the likelihood averaged over the raw prediction?"""

from functools import partial

import numpy as np
import pytest
from scipy import stats
from scipy.integrate import quad
from slow import seeds

from sk2layer.evidence.new_targets import Averaged, Linked, Mixed, log_density, quantiles, solved
from sk2layer.model.likelihoods import StudentT
from sk2layer.model.log_link import Gamma, Poisson
from sk2layer.model.losses import HalfSquaredError

LIKELIHOODS = {"poisson": Poisson(), "gamma": Gamma(np.array([[3.0]]))}
LIKELIHOODS["student_t"] = StudentT(np.array([[2.0], [3.0]]))
every_likelihood = pytest.mark.parametrize("likelihood", LIKELIHOODS.values(), ids=LIKELIHOODS)


def averaged(function, z, v):
    weigh = stats.norm(z, np.sqrt(v)).pdf
    return quad(
        lambda t: weigh(t) * function(np.array([[t]])).item(), z - 9 * np.sqrt(v), z + 9 * np.sqrt(v), limit=500
    )[0]


@every_likelihood
@pytest.mark.parametrize("v", [1e-4, 0.1, 1.0])
def test_the_density_is_the_average(likelihood, v):
    for z, y in [(0.0, 1.0), (2.0, 5.0), (1.0, 12.0), (6.0, 500.0)]:
        Y = np.array([[y]])
        expected = averaged(lambda t, Y=Y: np.exp(likelihood.log_densities(Y, t)), z, v)
        found = log_density(likelihood, Y, np.array([[z]]), np.array([[[v]]]))
        assert found[0] == pytest.approx(np.log(expected), abs=1e-4)


@pytest.mark.parametrize("v", [0.0, 0.2])
@pytest.mark.parametrize("q", [0.025, 0.5, 0.975, 1e-6])
@pytest.mark.parametrize("name", ["gamma", "student_t"])
def test_a_continuous_quantile_has_that_probability_below(v, q, name):
    likelihood, Z = LIKELIHOODS[name], np.array([[0.0], [1.0], [8.0]])
    found = quantiles(Averaged(likelihood, Z, np.full_like(Z, v)), q)
    for z, y in zip(Z.ravel(), found.ravel(), strict=True):
        Y = np.array([[y]])
        below = averaged(lambda t, Y=Y: likelihood.cdf(Y, t), z, v) if v else likelihood.cdf(Y, np.array([[z]])).item()
        assert below == pytest.approx(q, rel=1e-4)


@pytest.mark.parametrize("v", [0.0, 0.2])
@pytest.mark.parametrize("q", [0.025, 0.5, 0.975, 0.999999])
def test_a_quantile_of_counts_is_the_least_that_suffices(v, q):
    likelihood, Z = LIKELIHOODS["poisson"], np.array([[-3.0], [0.0], [1.0], [6.0]])
    found = quantiles(Averaged(likelihood, Z, np.full_like(Z, v)), q)
    assert (found == np.floor(found)).all()
    assert (found >= 0.0).all()
    if v == 0.0:
        np.testing.assert_array_equal(found, stats.poisson(np.exp(Z)).ppf(q))
        return
    for z, y in zip(Z.ravel(), found.ravel(), strict=True):
        at, before = (averaged(partial(likelihood.cdf, np.array([[n]])), z, v) for n in (y, y - 1.0))
        assert at >= q - 1e-3
        assert before < q + 1e-3 or y == 0.0


@every_likelihood
def test_it_does_not_depend_on_the_rows_that_come_along(likelihood, monkeypatch):
    Z = np.linspace(-2.0, 5.0, 20)[:, np.newaxis]
    together = quantiles(Averaged(likelihood, Z, np.full_like(Z, 0.1)), 0.9)
    monkeypatch.setattr("sk2layer.evidence.new_targets.ROWS", 3)
    again = quantiles(Averaged(likelihood, Z, np.full_like(Z, 0.1)), 0.9)
    np.testing.assert_allclose(again, together, rtol=1e-6, atol=1e-6)


@every_likelihood
def test_a_raw_prediction_that_is_hardly_known_has_finite_quantiles(likelihood):
    Z, wide = np.array([[0.0], [50.0]]), np.full((2, 1), 1e4)
    for q in (0.025, 0.975):
        assert np.isfinite(quantiles(Averaged(likelihood, Z, wide), q)).all()


def members(kinds, seed=0):
    """Some of each kind, apart from each other, for targets of any size."""
    rng = np.random.default_rng(seed)
    Z, known_by = np.array([[-3.0], [0.0], [1.0], [6.0]]), 30.0
    identity, made = HalfSquaredError(), []
    for kind in kinds:
        z, std = Z + rng.normal(scale=0.5, size=Z.shape), rng.uniform(0.1, 0.5, Z.shape)
        if kind == "gaussian":
            made.append(Linked(identity, z, std, known_by))
        elif kind.startswith("mean of "):
            made.append(Linked(LIKELIHOODS[kind.removeprefix("mean of ")], z, std, known_by))
        else:
            made.append(Averaged(LIKELIHOODS[kind], z, std**2))
    return Mixed(made, rng.dirichlet(np.ones(len(made))))


@pytest.mark.parametrize("q", [1e-6, 0.025, 0.5, 0.975, 0.999999])
@seeds(3)
@pytest.mark.parametrize(
    "kinds",
    [
        ["gaussian", "gaussian", "gaussian"],
        ["gaussian", "student_t"],
        ["gamma", "gamma"],
        ["gamma", "gaussian"],
        ["mean of gamma", "mean of poisson", "gaussian"],
        ["poisson", "poisson"],
        ["poisson", "gaussian", "gamma"],
    ],
    ids=" and ".join,
)
def test_the_quantile_of_a_mixture_is_the_least_that_suffices(kinds, seed, q):
    mixture = members(kinds, seed)
    found = quantiles(mixture, q)
    each = np.array([quantiles(member, q) for member in mixture.members])
    assert (each.min(axis=0) - 1e-9 <= found).all()
    assert (found <= each.max(axis=0) + 1e-9).all()
    at = sum(w * member.cdf(found) for w, member in zip(mixture.weights, mixture.members, strict=True))
    assert (at >= q - 1e-12).all()
    apart = 1e-5 * np.maximum(np.abs(found), 1e-3)
    assert (mixture.cdf(found - apart) < q).all()
    if set(kinds) == {"poisson"}:
        np.testing.assert_array_equal(found, np.floor(found))


@pytest.mark.parametrize("kind", ["poisson", "gamma", "student_t", "gaussian", "mean of gamma"])
def test_the_same_twice_is_the_same(kind):
    alone = members([kind]).members[0]
    for q in (0.025, 0.5, 0.975):
        expected = quantiles(alone, q)
        np.testing.assert_allclose(quantiles(Mixed([alone, alone], np.array([0.3, 0.7])), q), expected, rtol=1e-6)


def test_a_mixture_of_what_is_known_and_what_is_not_has_quantiles():
    """Also where one of them may be anything, and where another has no deviation at all."""
    identity, rate, zero = HalfSquaredError(), LIKELIHOODS["poisson"], np.zeros((2, 1))
    for wide in (Averaged(rate, zero, np.full((2, 1), 1e4)), Linked(rate, zero, np.full((2, 1), 100.0), 5.0)):
        mixture = Mixed([Linked(identity, zero + 2.0, zero, 5.0), wide], np.array([0.5, 0.5]))
        found = quantiles(mixture, [0.01, 0.2, 0.5, 0.9])
        assert np.isfinite(found).all()
        assert (np.diff(found, axis=-1) >= 0.0).all()
        np.testing.assert_allclose(found[:, 0, 2], 2.0, rtol=1e-6)


@pytest.mark.parametrize("q", [0.025, 0.3, 0.975])
def test_smooth_probabilities_are_asked_for_less_than_half_as_often_as_by_halving(q):
    asked = []

    def cdf(Y):
        asked.append(len(Y))
        return stats.t(3.0).cdf(Y)

    low, high = np.full((5, 1), -6.0), np.linspace(5.0, 9.0, 5)[:, np.newaxis]
    found = solved(cdf, q, low, high, lambda low, high: 0.5 * (low + high))
    np.testing.assert_allclose(found, stats.t(3.0).ppf(q), rtol=1e-6, atol=1e-6)
    assert len(asked) < 0.5 * np.log2(12.0 / 1e-7)
