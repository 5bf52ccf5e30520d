"""Are the weights of a mixture the best there are, and are its moments those of what is drawn from it?"""

import numpy as np
import pytest
from slow import seeds

from sk2layer.evidence.mixture import mixture_moments, stacking_weights


def log_density(weights, densities, count):
    return np.average(np.log(densities @ weights), weights=count)


@seeds(5)
@pytest.mark.parametrize("counted", [False, True])
def test_no_weights_are_better(counted, seed):
    rng = np.random.default_rng(seed)
    densities = rng.random((40, 3)) * [1.0, 0.8, 0.5]
    count = rng.integers(1, 4, 40).astype(float) if counted else np.ones(40)
    best = stacking_weights(np.log(densities), count if counted else None)
    assert best.sum() == pytest.approx(1.0)
    assert (best >= 0.0).all()
    others = [*rng.dirichlet(np.ones(3), 2000), *np.eye(3)]
    highest = max(log_density(weights, densities, count) for weights in others)
    assert log_density(best, densities, count) >= highest - 1e-9


def test_fits_that_are_much_alike_are_told_apart():
    """Where steps that are shares of the weights, as those of EM, would take thousands."""
    rng = np.random.default_rng(0)
    common = rng.beta(4.0, 1.0, (100, 1))
    densities = np.clip(common + 0.05 * rng.normal(size=(100, 4)), 1e-6, 1.0)
    best = stacking_weights(np.log(densities), None)
    slope = (densities / (densities @ best)[:, np.newaxis]).mean(axis=0)  # at most 1 at the top
    assert slope.max() <= 1.0 + 1e-4
    np.testing.assert_allclose(slope[best > 0.0], 1.0, atol=1e-4)


def test_the_moments_are_those_of_a_sample():
    rng = np.random.default_rng(0)
    weights, means, variances = np.array([0.75, 0.25]), np.array([[1.0], [3.0]]), np.array([[0.25], [1.0]])
    which = rng.choice(2, 10**6, p=weights)
    drawn = means[which, 0] + np.sqrt(variances[which, 0]) * rng.normal(size=10**6)
    mean, variance = mixture_moments(weights, means, variances)
    np.testing.assert_allclose([mean[0], variance[0]], [drawn.mean(), drawn.var()], rtol=5e-3)
