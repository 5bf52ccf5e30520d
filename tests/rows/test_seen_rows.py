"""Are the rows that come again known, in whatever batches they come, dense or sparse, few or many?"""

import numpy as np
import pytest
from scipy.sparse import csr_array
from slow import seeds

from sk2layer.rows import seen_rows
from sk2layer.rows.inputs import OneHot
from sk2layer.rows.seen_rows import SAMPLE_SIZE, SeenRows

every_seed = seeds(5)


def stream(X, Y, batches, weight=None):
    """Return what was seen of some rows, batch by batch, and how much that was after each."""
    seen, distinct = None, []
    for rows in batches:
        batch = SeenRows.of(X[rows], Y[rows], None if weight is None else weight[rows])
        seen = batch if seen is None else seen.merge(batch)
        distinct.append(seen.distinct_weight)
    return seen, np.array(distinct)


@every_seed
@pytest.mark.parametrize("n_samples", [1, SAMPLE_SIZE, SAMPLE_SIZE + 1, 5000])
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_new_rows_and_whole_passes_are_counted_exactly(n_samples, dtype, seed):
    rng = np.random.default_rng(seed)
    X, Y = rng.normal(size=(n_samples, 3)).astype(dtype), rng.normal(size=(n_samples, 2))
    weight = rng.integers(1, 5, n_samples).astype(float)
    for epoch in range(4):
        batches = [
            rows for _ in range(epoch + 1) for rows in np.array_split(rng.permutation(n_samples), 7) if len(rows)
        ]
        seen, distinct = stream(X, Y, batches, weight)
        n_first = len(batches) // (epoch + 1)
        np.testing.assert_array_equal(distinct[:n_first], np.cumsum([weight[rows].sum() for rows in batches[:n_first]]))
        assert seen.total_weight == (epoch + 1) * weight.sum()
        assert seen.distinct_weight == pytest.approx(weight.sum(), rel=1e-14)
        assert len(seen.hashes) == min(n_samples, SAMPLE_SIZE)


@every_seed
def test_within_a_pass_and_with_random_rows_the_count_is_close(seed):
    """Of a binomial share of 256 rows the standard deviation is 3 %."""
    rng = np.random.default_rng(seed)
    X, Y = rng.normal(size=(5000, 3)), rng.normal(size=(5000, 1))
    passes = [rows for _ in range(3) for rows in np.array_split(rng.permutation(5000), 10)]
    _, distinct = stream(X, Y, passes)
    np.testing.assert_allclose(distinct[10:], 5000, rtol=0.1)
    _, distinct = stream(X, Y, [rng.integers(5000, size=100) for _ in range(500)])
    np.testing.assert_allclose(distinct[-1], 5000, rtol=0.1)


@every_seed
def test_equal_rows_of_a_batch_are_different_samples(seed):
    rng = np.random.default_rng(seed)
    X, Y = rng.integers(2, size=(1000, 2)).astype(float), rng.integers(2, size=(1000, 1))
    _, distinct = stream(X, Y, [np.arange(1000)] * 3)
    np.testing.assert_array_equal(distinct, 1000)


def test_targets_are_a_part_of_a_row():
    X = np.zeros((10, 3))
    for Y in (np.arange(10)[:, np.newaxis], OneHot(np.arange(10), 10)):
        _, distinct = stream(X, Y, [slice(k, k + 1) for k in range(10)])
        np.testing.assert_array_equal(distinct, np.arange(1, 11))


@every_seed
def test_sparse_rows_are_dense_rows_and_blocks_do_not_matter(seed, monkeypatch):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(3000, 20)) * (rng.random(size=(3000, 20)) < 0.1)
    Y = rng.normal(size=(3000, 1))
    dense, sparse = SeenRows.of(X, Y, None), SeenRows.of(csr_array(X), Y, None)
    monkeypatch.setattr(seen_rows, "HASHED_BYTES", 1)
    in_blocks = SeenRows.of(X, Y, None)
    for other in (sparse, in_blocks):
        for mine, its in zip(dense, other, strict=True):
            np.testing.assert_array_equal(mine, its)


@pytest.mark.parametrize("scale", [1.0, 1e-300, 1e10, 0.1])
@pytest.mark.parametrize("shift", [0.0, 2000.0])
def test_numbers_of_few_digits_have_hashes_of_their_own(scale, shift):
    numbers = scale * np.arange(300.0)
    X = np.stack(np.meshgrid(numbers, numbers), axis=-1).reshape(-1, 2) + shift * (scale == 1.0)
    hashes = seen_rows._hashes(X, np.zeros((len(X), 1)))
    assert len(np.unique(hashes)) == len(X)
    counts = np.histogram(hashes.astype(float), bins=16, range=(0.0, 2.0**64))[0]
    np.testing.assert_allclose(counts, len(X) / 16, rtol=0.06)  # 4.5 standard deviations
