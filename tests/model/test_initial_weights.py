"""Do random starts spread what hidden units do over the data, so that functions of many bends are found?"""

import warnings

import numpy as np
import pytest
from sklearn.exceptions import ConvergenceWarning
from slow import seeds

from sk2layer import TwoLayerRegressor
from sk2layer.model.activations import ACTIVATIONS
from sk2layer.model.network import Shape, initial_weights

GAINS = {"tanh": (1.0, 1.0), "identity": (1.0, 1.0), "relu": (np.sqrt(2.0), 1.0), "sigmoid": (2.0, 2.0)}
ROOT = np.sqrt(3.0)  # inputs of variance one are in the cube of this half width, if they are uniform


def draw(d, h, k, activation, seed=0):
    shape = Shape(d, h, k)
    return shape.unpack(initial_weights(shape, ACTIVATIONS[activation], np.random.default_rng(seed)))


@pytest.mark.parametrize("activation", GAINS)
@pytest.mark.parametrize("h", [1, 7, 50])
@seeds(3)
def test_of_one_input_there_is_a_bend_in_each_part_of_the_range(activation, h, seed):
    W1, b1, _, _ = draw(1, h, 1, activation, seed)
    bends = np.sort(-b1 / W1[0])
    edges = ROOT * np.linspace(-1.0, 1.0, h + 1)
    assert (edges[:-1] <= bends).all()
    assert (bends <= edges[1:]).all()


@pytest.mark.parametrize("activation", GAINS)
@seeds(3)
def test_of_several_inputs_bends_are_in_the_cube_on_all_sides(activation, seed):
    d, h = 4, 2000
    W1, b1, _, _ = draw(d, h, 1, activation, seed)
    length = np.linalg.norm(W1, axis=0)
    directions, distances = W1 / length, -b1 / length
    assert (np.abs(distances) <= ROOT * np.abs(directions).sum(axis=0)).all()
    assert distances.std() == pytest.approx(1.0, rel=0.05)  # of a point of the cube, in any direction
    np.testing.assert_allclose(directions.mean(axis=1), 0.0, atol=0.06)
    np.testing.assert_allclose(np.mean(directions**2, axis=1), 1.0 / d, rtol=0.1)


@pytest.mark.parametrize("activation", GAINS)
@pytest.mark.parametrize(("d", "h"), [(1, 40), (3, 27), (10, 20)])
def test_bends_are_as_wide_as_the_distance_between_them(activation, d, h):
    W1 = draw(d, h, 1, activation)[0]
    width = 0.7 * h ** (1.0 / d) / ROOT if activation in ("sigmoid", "tanh") else 1.0
    np.testing.assert_allclose(np.linalg.norm(W1, axis=0), GAINS[activation][0] * width, rtol=1e-12)


@pytest.mark.parametrize("activation", GAINS)
def test_output_weights_are_a_tenth_of_those_of_glorot_and_bengio(activation):
    h, k = 50, 30
    _, _, W2, b2 = draw(4, h, k, activation)
    bound = 0.1 * GAINS[activation][1] * np.sqrt(6.0 / (h + k))
    assert 0.99 * bound < np.abs(W2).max() <= bound
    assert W2.std() == pytest.approx(bound / ROOT, rel=0.05)
    assert not b2.any()


# --------------------------------------------------------------------------------------------- what is found from there


@seeds(2)
@pytest.mark.parametrize(("end", "units", "noise"), [(60, 60, 0.0), (60, 40, 0.0), (40, 60, 0.1), (80, 40, 0.3)])
def test_a_wave_of_many_periods_is_found(end, units, noise, seed):
    x = np.arange(0.0, end, 0.1)[:, np.newaxis]
    wave = np.sin(x[:, 0])
    y = wave + noise * np.random.default_rng(seed).normal(size=len(x))
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "The noise is below", ConvergenceWarning)
        model = TwoLayerRegressor(units, random_state=seed).fit(x, y)
    assert model.score(x, y) >= 0.99 * (1.0 - noise**2 / y.var())
    assert model.score(x, wave) >= 0.98


@seeds(5)
def test_eight_periods_are_found_in_few_rows(seed):
    rng = np.random.default_rng(seed)
    x = rng.uniform(0.0, 8.0, (320, 1))
    wave = np.sin(2.0 * np.pi * x[:, 0])
    model = TwoLayerRegressor(40, random_state=seed).fit(x, wave + 0.1 * rng.normal(size=320))
    assert model.score(x, wave) >= 0.98
    assert np.sqrt(model.noise_variance_[0]) == pytest.approx(0.1, rel=0.15)


@seeds(3)
@pytest.mark.parametrize(("few", "many"), [(1, 10), (5, 40)])
def test_more_units_than_are_needed_do_no_harm(few, many, seed):
    """Neither to the prediction of the function, nor to that of samples that were left out."""
    rng = np.random.default_rng(seed)
    x, noise = rng.uniform(-2.0, 2.0, (200, 1)), 0.1 * rng.normal(size=200)
    function = np.tanh(x[:, 0]) if few == 1 else np.sin(3.0 * x[:, 0])
    small, large = (TwoLayerRegressor(h, random_state=seed).fit(x, function + noise) for h in (few, many))
    for model in (small, large):
        assert np.sqrt(np.mean((model.predict(x) - function) ** 2)) < 0.04
    assert large.loo_log_density_ > small.loo_log_density_ - 0.05


def test_every_activation_has_gains():
    assert GAINS.keys() == ACTIVATIONS.keys()
