"""Do chunks, blocks, mapped files and threads give what all rows in memory give, in less memory?"""

import tracemalloc

import numpy as np
import pytest
from networks import objective_on, start_of
from scipy.sparse import csr_array
from scipy.special import expit
from slow import mostly_slow

from sk2layer import TwoLayerClassifier, TwoLayerRegressor
from sk2layer.model.activations import ACTIVATIONS
from sk2layer.model.losses import HalfSquaredError
from sk2layer.model.network import Shape, Weights
from sk2layer.rows.inputs import OneHot, Selection
from sk2layer.rows.predict import predict_raw
from sk2layer.rows.scaling import RunningScaling
from sk2layer.solvers import SOLVERS, epochs

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

N_SAMPLES, SHAPE = 103, Shape(4, 5, 2)
DATA = np.random.default_rng(2)
X = 3.0 * DATA.normal(size=(N_SAMPLES, 4)) + [0.0, 1.0, 20.0, -3.0]
Y = np.column_stack([np.sin(X[:, 0]), X[:, 1] * X[:, 3]])
WEIGHT = DATA.uniform(0.2, 2.0, N_SAMPLES)
every_estimator = pytest.mark.parametrize("Estimator", [TwoLayerRegressor, TwoLayerClassifier])


def make_objective(convert, weight, dtype=np.float64):
    rows = RunningScaling().update(X, None, None).scaling(2).rows(convert(X.astype(dtype)))
    network = {"h": 5, "activation": "sigmoid", "alpha": 0.3}
    objective = objective_on(rows, Y.astype(dtype), HalfSquaredError(), weight=weight, **network)
    return objective, start_of(objective)


def target(Estimator, X):
    numbers = X[:, 0] + np.sin(X[:, 1])
    return numbers if Estimator is TwoLayerRegressor else np.digitize(numbers, [-1.0, 1.0])


def results(model):
    validation = getattr(model, "validation_loss_curve_", [])
    return [*model.coefs_, *model.intercepts_, np.array(model.loss_curve_), np.array(validation)]


def assert_same(one, other):
    for mine, its in zip(results(one), results(other), strict=True):
        np.testing.assert_array_equal(mine, its)


# ------------------------------------------------------------------------------------------------------ mini-batches


@pytest.mark.parametrize("convert", [np.asarray, csr_array], ids=["dense", "sparse"])
@pytest.mark.parametrize("weight", [None, WEIGHT], ids=["", "weighted"])
@pytest.mark.parametrize("order", [None, DATA.permutation(N_SAMPLES)[:90]], ids=["in order", "shuffled"])
@pytest.mark.parametrize("size", [1, 7, 100])
@pytest.mark.parametrize("copy_bytes", [0, 2**24], ids=["standardised in blocks", "kept"])
@pytest.mark.parametrize("chunk_bytes", [0, 1000, 2**20])
def test_gathered_batches_are_those_of_the_rows(convert, weight, order, size, copy_bytes, chunk_bytes, monkeypatch):
    monkeypatch.setattr("sk2layer.rows.scaling.COPY_BYTES", copy_bytes)
    monkeypatch.setattr("sk2layer.rows.sums.CHUNK_BYTES", chunk_bytes)
    objective, theta = make_objective(convert, weight)
    rows = np.arange(N_SAMPLES) if order is None else order
    batches = [rows[i : i + size] for i in range(0, len(rows), size)]
    found = [(n_rows, value, gradient.copy()) for n_rows, value, gradient in objective.batches(theta, size, order)]
    assert [n_rows for n_rows, _, _ in found] == [len(batch) for batch in batches]
    for (_, value, gradient), batch in zip(found, batches, strict=True):
        its_value, its_gradient = objective.value_and_gradient(theta, batch)
        np.testing.assert_allclose(value, its_value, rtol=1e-14)
        np.testing.assert_allclose(gradient, its_gradient, rtol=0, atol=1e-14 * np.abs(its_gradient).max())


def test_a_batch_of_many_blocks_is_their_sum():
    objective, theta = make_objective(np.asarray, WEIGHT)
    at_once = [(value, gradient.copy()) for _, value, gradient in objective.batches(theta, 60)]
    objective.sums.block_rows = 7
    in_blocks = [(value, gradient) for _, value, gradient in objective.batches(theta, 60)]
    for one, other in zip(at_once, in_blocks, strict=True):
        np.testing.assert_allclose(other[0], one[0], rtol=1e-14)
        np.testing.assert_allclose(other[1], one[1], rtol=0, atol=1e-13)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_batches_are_taken_at_what_theta_has_become(dtype):
    objective, theta = make_objective(np.asarray, None, dtype)
    by_hand = theta.copy()
    for number, (_, _, gradient) in enumerate(objective.batches(theta, 20)):
        assert gradient.dtype == dtype
        theta -= 0.1 * gradient
        by_hand -= 0.1 * objective.value_and_gradient(by_hand, slice(20 * number, 20 * number + 20))[1]
        np.testing.assert_allclose(theta, by_hand, rtol=0, atol=20 * np.finfo(dtype).eps)


@pytest.mark.parametrize("n_samples", [1, 1000, 1024, 1025, 4000])
def test_every_row_is_in_one_pool(n_samples, monkeypatch):
    monkeypatch.setattr(epochs, "POOL_ROWS", 1024)
    pools = list(epochs.shuffled(n_samples, np.random.default_rng(0)))
    assert all(0 < len(pool) <= 1024 for pool in pools)
    assert len(pools) == -(-n_samples // 1024)
    np.testing.assert_array_equal(np.sort(np.concatenate(pools)), np.arange(n_samples))
    if len(pools) == 1:
        np.testing.assert_array_equal(pools[0], np.random.default_rng(0).permutation(n_samples))


def test_a_pool_has_rows_from_everywhere_in_no_order(monkeypatch):
    monkeypatch.setattr(epochs, "POOL_ROWS", 4096)
    first, *_ = epochs.shuffled(2**20, np.random.default_rng(0))
    runs = np.unique(first // epochs.RUN_ROWS)
    assert len(runs) == 4096 // epochs.RUN_ROWS
    assert runs.max() - runs.min() > 1000
    assert (np.diff(first) == 1).mean() < 0.01


# --------------------------------------------------------------------------------------------------- large and mapped


@pytest.fixture
def mapped(tmp_path):
    np.save(tmp_path / "X.npy", X)
    return np.load(tmp_path / "X.npy", mmap_mode="r")


@every_estimator
@pytest.mark.parametrize("solver", SOLVERS)
@pytest.mark.parametrize("early_stopping", [False, True], ids=["", "early stopping"])
def test_a_mapped_file_is_fitted_as_memory_is(Estimator, solver, early_stopping, mapped, monkeypatch):
    monkeypatch.setattr("sk2layer.rows.scaling.COPY_BYTES", 0)
    monkeypatch.setattr("sk2layer.rows.sources.COPY_BYTES", 0)
    models = [
        Estimator(4, solver=solver, alpha=1.0, max_iter=4, early_stopping=early_stopping, random_state=0).fit(
            rows, target(Estimator, X), WEIGHT * (X[:, 1] > 0.0)
        )
        for rows in (X, mapped)
    ]
    assert_same(*models)
    np.testing.assert_array_equal(models[0].predict(X), models[1].predict(mapped))


@every_estimator
@pytest.mark.parametrize("solver", SOLVERS)
def test_what_is_standardised_and_encoded_in_blocks_is_what_is_kept(Estimator, solver, monkeypatch):
    def fit():
        return Estimator(4, solver=solver, alpha=1.0, max_iter=4, random_state=0).fit(X, target(Estimator, X))

    kept = fit()
    monkeypatch.setattr("sk2layer.rows.scaling.COPY_BYTES", 0)
    assert_same(fit(), kept)


def test_a_selection_is_its_rows():
    numbers = np.array([5, 2, 90])
    selection = Selection(X, numbers)
    np.testing.assert_array_equal(selection[1:], X[[2, 90]])
    np.testing.assert_array_equal(selection[np.array([2, 0])], X[[90, 5]])
    assert selection.shape == (3, 4)
    assert selection.nbytes == selection[:].nbytes
    np.testing.assert_array_equal(Selection(selection, np.array([1, 2]))[:], X[[2, 90]])
    assert selection.astype(np.float64, copy=False) is selection
    np.testing.assert_array_equal(selection.astype(np.float32), X[numbers].astype(np.float32))


def test_one_hot_rows_are_those_of_the_matrix():
    codes = np.array([2, 0, 1, 1])
    rows, matrix = OneHot(codes, 3), np.eye(3)[codes]
    np.testing.assert_array_equal(rows[:], matrix)
    np.testing.assert_array_equal(rows[1:3], matrix[1:3])
    np.testing.assert_array_equal(rows.take(np.array([3, 0]), axis=0)[:], matrix[[3, 0]])
    np.testing.assert_array_equal(rows.argmax(axis=1), matrix.argmax(axis=1))
    assert (len(rows), rows.shape, rows.nbytes) == (4, matrix.shape, matrix.nbytes)


@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("convert", [np.asarray, csr_array], ids=["dense", "sparse"])
def test_threads_share_a_prediction_without_changing_it(activation, convert, monkeypatch):
    monkeypatch.setattr("sk2layer.rows.predict.PREDICT_BYTES", 0)  # the smallest blocks
    rows = DATA.normal(size=(500, 4))
    W1, b1, W2, b2 = SHAPE.unpack(make_objective(convert, None)[1])
    network = ACTIVATIONS[activation]
    alone, *shared = (predict_raw(convert(rows), Weights(W1, b1, W2, b2), network, n) for n in (1, 2, 3, 100))
    for other in shared:
        np.testing.assert_array_equal(other, alone)
    hidden = rows @ W1 + b1
    network.apply(hidden)
    np.testing.assert_allclose(alone, hidden @ W2 + b2, rtol=0, atol=1e-13)


@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_an_activation_is_its_core_with_factors(activation, dtype):
    Z = np.linspace(-6.0, 6.0, 50, dtype=dtype).reshape(5, 10)
    core, applied = ACTIVATIONS[activation].cores[dtype], Z.copy()
    inner = core.slope * Z
    ACTIVATIONS[activation].apply(applied)
    core.function(inner)
    assert inner.dtype == dtype
    np.testing.assert_allclose(core.shift + core.scale * inner, applied, rtol=0, atol=4 * np.finfo(dtype).eps)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_sigmoid_unit_is_exact_and_silent_however_far_out(dtype):
    Z = np.array([[-1e38, -800.0, -100.0, -40.0, -1.0, 0.0, 1.0, 40.0, 800.0, 1e38]], dtype)
    A, one, zero = Z.copy(), np.ones((1, 1), dtype), np.zeros(1, dtype)
    with np.errstate(all="raise", under="ignore"):
        ACTIVATIONS["sigmoid"].apply(A)
        predicted = predict_raw(np.repeat(Z.T, 100, axis=0), Weights(one, zero, one, zero), ACTIVATIONS["sigmoid"])
    np.testing.assert_allclose(A, expit(Z), rtol=0, atol=np.finfo(dtype).eps)
    np.testing.assert_allclose(predicted[::100, 0], A[0], rtol=0, atol=np.finfo(dtype).eps)


@pytest.mark.parametrize("Estimator", mostly_slow([TwoLayerClassifier, TwoLayerRegressor]))
@pytest.mark.parametrize("solver", ["adam", "lbfgs"])
@pytest.mark.parametrize("early_stopping", mostly_slow([True, False]))
def test_a_fit_needs_little_beside_large_x(Estimator, solver, early_stopping, tmp_path):
    n_samples, n_features = 150_000, 100
    large = np.lib.format.open_memmap(tmp_path / "X.npy", "w+", np.float32, (n_samples, n_features))
    large[:] = DATA.standard_normal(n_features, dtype=np.float32)
    large[:, :2] = DATA.standard_normal((n_samples, 2), dtype=np.float32)
    y = target(Estimator, large)
    model = Estimator(2, solver=solver, alpha=1.0, max_iter=1, early_stopping=early_stopping, random_state=0)
    tracemalloc.start()
    model.fit(large, y).predict(large)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 0.5 * large.nbytes
