"""Does each parameter have the prior of its group, and does the fixed point go where counts and squares are equal?"""

import numpy as np
import pytest
from slow import seeds

from sk2layer.evidence import priors
from sk2layer.evidence.priors import LONGEST_STEP, Groups
from sk2layer.model.network import Shape

SHAPE = Shape(3, 4, 2)
every_grouping = pytest.mark.parametrize("grouping", ["evidence", "ard"])


@every_grouping
def test_each_input_the_hidden_biases_and_the_output_weights_are_a_group(grouping):
    """And the output biases have a prior of their own, which is given."""
    groups = Groups.of(SHAPE, grouping)
    W1, b1, W2, b2 = SHAPE.unpack(groups.number)
    np.testing.assert_array_equal(W1, np.repeat([[0], [1], [2]], 4, axis=1))
    assert (b1 == 3).all()
    assert (W2 == 4).all()
    assert (b2 == 5).all()
    assert (groups.n_inputs, groups.n_groups) == (3, 5)
    expected = np.where(groups.number == 5, 7.0, groups.number)
    np.testing.assert_array_equal(groups.of_parameters(np.arange(5.0), 7.0), expected)
    np.testing.assert_array_equal(groups.sums(np.ones(SHAPE.n_parameters)), [4, 4, 4, 4, 8])


@every_grouping
def test_very_many_inputs_have_one_in_common(grouping, monkeypatch):
    monkeypatch.setattr(priors, "MOST_GROUPS", 2)
    groups = Groups.of(SHAPE, grouping)
    W1, b1, W2, b2 = SHAPE.unpack(groups.number)
    assert [set(part.ravel()) for part in (W1, b1, W2, b2)] == [{0}, {1}, {2}, {3}]
    assert (groups.n_inputs, groups.n_groups) == (1, 3)


def settled(groups, log_precisions, counts, squares):
    """Where the fixed point leads with these counts and squares, which in earnest change with it."""
    for _ in range(300):
        log_precisions = groups.fixed_point(log_precisions, counts, squares)
    return log_precisions


@seeds(5)
def test_alone_a_precision_is_count_by_square(seed):
    rng = np.random.default_rng(seed)
    counts, squares = rng.uniform(0.01, 4.0, 5), 10.0 ** rng.uniform(-3, 3, 5)
    now = np.log(counts / squares) + rng.uniform(-1.9, 1.9, 5)
    ard = Groups.of(SHAPE, "ard").fixed_point(now, counts, squares)
    np.testing.assert_allclose(np.exp(ard), counts / squares, rtol=1e-12)
    pooled = Groups.of(SHAPE, "evidence").fixed_point(now, counts, squares)
    np.testing.assert_allclose(np.exp(pooled)[3:], counts[3:] / squares[3:], rtol=1e-12)


@seeds(5)
def test_pooled_precisions_solve_the_equation_of_their_mode(seed):
    """1/2 (gamma - tau |theta|^2) = log tau - m, with m their mean."""
    rng = np.random.default_rng(seed)
    groups = Groups.of(Shape(6, 4, 1), "evidence")
    counts, squares = rng.uniform(0.01, 4.0, 8), 10.0 ** rng.uniform(-3, 3, 8)
    x = settled(groups, rng.normal(size=8), counts, squares)[:6]
    np.testing.assert_allclose(0.5 * (counts[:6] - np.exp(x) * squares[:6]), x - x.mean(), atol=1e-5)


def test_inputs_of_which_little_is_known_stay_close_to_the_others():
    groups = Groups.of(SHAPE, "evidence")
    squares = np.array([1.0, 1.0, 1e-6, 1.0, 1.0])
    known = settled(groups, np.zeros(5), np.array([4.0, 4.0, 4.0, 1.0, 1.0]), squares)
    unknown = settled(groups, np.zeros(5), np.array([4.0, 4.0, 0.01, 1.0, 1.0]), squares)
    assert unknown[2] < unknown[:2].max() + 1.0
    assert known[2] > known[:2].max() + 2.0
    alone = settled(Groups.of(SHAPE, "ard"), np.zeros(5), np.array([4.0, 4.0, 0.01, 1.0, 1.0]), squares)
    assert alone[2] == pytest.approx(np.log(1e4))


@every_grouping
def test_pooling_does_not_depend_on_a_common_scale(grouping):
    """The mean is free: only how inputs compare is drawn together."""
    rng = np.random.default_rng(0)
    counts, squares, groups = rng.uniform(0.5, 4.0, 5), rng.uniform(0.1, 10.0, 5), Groups.of(SHAPE, grouping)
    one = settled(groups, np.zeros(5), counts, squares)
    other = settled(groups, np.zeros(5), counts, squares * np.array([1e-3, 1e-3, 1e-3, 1.0, 1.0]))
    np.testing.assert_allclose(other - one, np.log([1e3, 1e3, 1e3, 1.0, 1.0]), atol=1e-4)


@every_grouping
def test_no_step_is_longer_than_what_is_known_holds_for(grouping):
    groups = Groups.of(SHAPE, grouping)
    counts, squares = np.full(5, 2.0), np.array([1e9, 1e-9, 1.0, 1e9, 1e-9])
    step = groups.fixed_point(np.zeros(5), counts, squares)
    assert np.abs(step).max() == LONGEST_STEP
    assert step[3] < 0.0 < step[4]


@every_grouping
@pytest.mark.parametrize("column", [0, 1, 2])
def test_a_group_without_effect_stays_and_draws_no_other(grouping, column):
    groups, rng = Groups.of(SHAPE, grouping), np.random.default_rng(0)
    counts, squares = rng.uniform(0.5, 4.0, 5), rng.uniform(0.1, 10.0, 5)
    counts[column] = 0.0
    results = []
    for place in (-8.0, 8.0):
        log_precisions = np.zeros(5)
        log_precisions[column] = place
        results.append(groups.fixed_point(log_precisions, counts, squares))
        assert results[-1][column] == place
    others = np.arange(5) != column
    np.testing.assert_array_equal(results[0][others], results[1][others])
