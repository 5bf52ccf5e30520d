"""Is standardising exact: the same network, the same fit, the weights in the units of the data?"""

import numpy as np
import pytest
from scipy.sparse import csc_array, csr_array, csr_matrix
from scipy.special import expit
from sklearn.compose import TransformedTargetRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sk2layer import TwoLayerClassifier, TwoLayerRegressor
from sk2layer.model.network import Weights
from sk2layer.rows.scaling import RunningScaling, Scaling, StandardizedDense, rescale
from sk2layer.solvers import SGD, SOLVERS, Adam

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

N_SAMPLES, N_FEATURES, N_HIDDEN, N_OUTPUTS = 60, 4, 3, 2


@pytest.fixture
def rng():
    return np.random.default_rng(0)


@pytest.fixture
def X(rng):
    """Columns of very different places and scales, some entries zero."""
    X = rng.normal(size=(N_SAMPLES, N_FEATURES)) * [1.0, 1e3, 1e-4, 5.0] + [0.0, 2e3, 3e-4, -50.0]
    X[rng.random(X.shape) < 0.3] = 0.0
    return X


@pytest.fixture
def Y(rng, X):
    Z = (X - X.mean(axis=0)) / X.std(axis=0)
    return np.column_stack([np.sin(Z[:, 0]) + Z[:, 1], 1e3 + 200.0 * Z[:, 2] * Z[:, 3]])


@pytest.fixture
def weight(rng):
    return rng.uniform(0.1, 4.0, N_SAMPLES)


@pytest.fixture
def weights(rng):
    shapes = [(N_FEATURES, N_HIDDEN), (N_HIDDEN,), (N_HIDDEN, N_OUTPUTS), (N_OUTPUTS,)]
    return Weights(*(rng.normal(size=shape) for shape in shapes))


def scaling_of(X, Y=None, weight=None, n_outputs=N_OUTPUTS, **options):
    return RunningScaling().update(X, Y, weight, **options).scaling(n_outputs)


def raw_prediction(X, weights):
    W1, b1, W2, b2 = weights
    return expit(X @ W1 + b1) @ W2 + b2


def assert_close(one, other, tolerance):
    for mine, its in zip(one, other, strict=True):
        np.testing.assert_allclose(mine, its, rtol=tolerance, atol=tolerance)


# ------------------------------------------------------------------------------------------------------- the statistics


@pytest.mark.parametrize("convert", [np.asarray, csr_array, csc_array, csr_matrix])
@pytest.mark.parametrize("n_rows", [7, 16384], ids=["in pieces", "at once"])
def test_means_and_spreads_are_weighted(convert, n_rows, X, Y, weight):
    scaling = scaling_of(convert(X).tocsr() if convert is not np.asarray else X, Y, weight, n_rows=n_rows)
    for data, mean, spread in [(X, scaling.x_mean, scaling.x_spread), (Y, scaling.y_mean, scaling.y_spread)]:
        expected = np.average(data, axis=0, weights=weight)
        np.testing.assert_allclose(mean, expected, rtol=1e-12)
        np.testing.assert_allclose(spread**2, np.average((data - expected) ** 2, axis=0, weights=weight), rtol=1e-9)


def test_a_weight_is_a_number_of_rows(rng, X, Y):
    counts = rng.integers(1, 4, N_SAMPLES)
    repeated = scaling_of(np.repeat(X, counts, axis=0), np.repeat(Y, counts, axis=0))
    assert_close(scaling_of(X, Y, counts.astype(float)), repeated, 1e-12)


@pytest.mark.parametrize("value", [0.0, 1.0, 0.1, -7e5, 1e-12, 1e12])
@pytest.mark.parametrize("convert", [np.asarray, csr_array])
@pytest.mark.parametrize("weighted", [False, True])
def test_constant_columns_have_no_spread(value, convert, weighted, X, weight):
    X[:, 1] = value
    scaling = scaling_of(convert(X), None, weight if weighted else None)
    assert scaling.x_spread[1] == 0.0
    assert (scaling.x_spread[[0, 2, 3]] > 0.0).all()


@pytest.mark.parametrize("scale", [1e-12, 1e12])
def test_small_and_large_columns_are_not_constant(scale, X):
    np.testing.assert_allclose(scaling_of(scale * X).x_spread, scale * X.std(axis=0), rtol=1e-9)


def test_without_targets_y_is_left_alone(X):
    scaling = scaling_of(X)
    assert not scaling.y_mean.any()
    assert (scaling.y_spread == 1.0).all()


@pytest.mark.parametrize("name", ["X", "y"])
@pytest.mark.parametrize("scale", [1e200, 1e-150, 1e-200, 1e-300, 1e-310])
def test_a_spread_beyond_all_numbers_is_an_error(name, scale, X, Y):
    (X if name == "X" else Y)[:, 1] *= scale / np.abs(X if name == "X" else Y)[:, 1].max()
    amount = "widely" if scale > 1.0 else "little"
    with pytest.raises(ValueError, match=f"Column 1 of {name} spreads too {amount} to be standardised"):
        scaling_of(X, Y)
    with pytest.raises(ValueError, match=f"Column 1 of {name} spreads too {amount} to be standardised"):
        scaling_of(csr_array(X), Y, n_rows=7)


@pytest.mark.parametrize("scale", [1e36, 1e-36])
def test_weights_of_single_precision_have_a_narrower_range(scale, X, Y):
    with pytest.raises(ValueError, match=r"from 1e-35 to 1e.35 in float32"):
        TwoLayerRegressor(2).fit(X.astype(np.float32), scale * Y)


def test_small_numbers_in_some_blocks_only_are_no_error(X):
    X[:7, 1] = 1e-200 * np.arange(7)
    X[7:14, 2] = 1e-200
    np.testing.assert_allclose(scaling_of(X, n_rows=7).x_spread, X.std(axis=0), rtol=1e-9)


# --------------------------------------------------------------------------------------------------- folding out and in


def test_folded_out_weights_compute_the_same_from_raw_data(X, Y, weights):
    scaling = scaling_of(X, Y)
    standardized = (X - scaling.x_mean) / scaling.x_spread
    expected = raw_prediction(standardized, weights) * scaling.y_spread + scaling.y_mean
    np.testing.assert_allclose(raw_prediction(X, scaling.fold_out(weights)), expected, rtol=1e-11)


def test_folding_in_undoes_folding_out(X, Y, weights):
    scaling = scaling_of(X, Y)
    assert_close(scaling.fold_in(scaling.fold_out(weights)), weights, 1e-12)
    assert_close(scaling.fold_out(scaling.fold_in(weights)), weights, 1e-10)


def test_weights_of_constant_columns_become_zero(X, Y, weights):
    X[:, 1], Y[:, 0] = 5.0, 3.0
    scaling = scaling_of(X, Y)
    folded = scaling.fold_out(weights)
    assert not folded.W1[1].any()
    assert not folded.W2[:, 0].any()
    assert folded.b2[0] == 3.0
    assert all(np.isfinite(array).all() for array in [*folded, *scaling.fold_in(weights)])


def test_identity_folds_nothing(X, Y, weights):
    identity = Scaling.identity(N_FEATURES, N_OUTPUTS)
    assert_close(identity.fold_out(weights), weights, 0.0)
    assert_close(identity.fold_in(weights), weights, 0.0)
    assert identity.rows(X) is X
    np.testing.assert_array_equal(identity.targets(Y, np.float64), Y)


def test_rescaled_weights_are_the_same_function(X, Y, weights):
    old, new = scaling_of(X[:30], Y[:30]), scaling_of(X, Y)
    assert_close(new.fold_out(rescale(weights, old, new)), old.fold_out(weights), 1e-10)


def test_weights_of_a_column_that_was_constant_so_far_are_kept(X, Y, weights):
    start, start_y = X[:30].copy(), Y[:30].copy()
    start[:, 1], start_y[:, 0] = 7.0, 2.0
    old, new = scaling_of(start, start_y), scaling_of(X, Y)
    converted = rescale(weights, old, new)
    np.testing.assert_array_equal(converted.W1[1], weights.W1[1])
    np.testing.assert_array_equal(converted.W2[:, 0], weights.W2[:, 0])
    assert converted.b2[0] == weights.b2[0]
    assert all(np.isfinite(array).all() for array in converted)


# -------------------------------------------------------------------------------------------------- standardised rows


@pytest.mark.parametrize("rows", [slice(None), slice(3, 20), np.array([5, 1, 40])], ids=["all", "slice", "numbers"])
@pytest.mark.parametrize("convert", [csr_array, csr_matrix])
def test_sparse_rows_multiply_as_the_dense_ones_do(rows, convert, rng, X):
    X[:, 1] = 0.0
    scaling = scaling_of(X)
    dense, sparse = scaling.rows(X)[rows], scaling.rows(convert(X))[rows]
    B, D = rng.normal(size=(N_FEATURES + 1, 5)), rng.normal(size=(len(dense), 5))
    assert sparse.shape == dense.shape
    np.testing.assert_allclose(sparse.toarray(), dense, atol=1e-10)
    with_one, expected = scaling.rows(convert(X)).with_one(rows, None), np.hstack([dense, np.ones((len(dense), 1))])
    np.testing.assert_allclose(with_one.dot(B, out=np.empty((len(dense), 5))), expected @ B, atol=1e-10)
    np.testing.assert_allclose(with_one.T.dot(D, out=np.empty((N_FEATURES + 1, 5))), expected.T @ D, atol=1e-10)


@pytest.mark.parametrize("rows", [slice(None), slice(3, 20), np.array([5, 1, 40])], ids=["all", "slice", "numbers"])
@pytest.mark.parametrize("copy_bytes", [0, 2**24], ids=["in blocks", "kept"])
def test_a_one_is_appended_to_dense_rows_in_work_space(rows, copy_bytes, monkeypatch, X):
    monkeypatch.setattr("sk2layer.rows.scaling.COPY_BYTES", copy_bytes)
    scaled = scaling_of(X).rows(X)
    for _ in range(2):  # the ones must be there when the work space comes back
        with_one = scaled.with_one(rows, lambda n: np.ones((n, N_FEATURES + 1)))
        np.testing.assert_array_equal(with_one[:, :-1], scaled[rows])
        assert (with_one[:, -1] == 1.0).all()


def test_large_data_are_standardised_in_blocks(monkeypatch, X, Y):
    expected = TwoLayerRegressor(3, random_state=0, max_iter=30).fit(X, Y)
    monkeypatch.setattr("sk2layer.rows.scaling.COPY_BYTES", 0)
    assert isinstance(scaling_of(X).rows(X), StandardizedDense)
    in_blocks = TwoLayerRegressor(3, random_state=0, max_iter=30).fit(X, Y)
    assert_close(in_blocks.coefs_, expected.coefs_, 0.0)


# ------------------------------------------------------------------------------------------------------- in a whole fit

FITS = [pytest.param(name, id=name) for name in SOLVERS]


@pytest.mark.parametrize("solver", FITS)
@pytest.mark.parametrize("weighted", [False, True], ids=["", "weighted"])
def test_anybodys_forward_pass_reproduces_the_predictions(solver, weighted, X, Y, weight):
    sample_weight = weight if weighted else None
    regressor = TwoLayerRegressor(5, solver=solver, alpha=1.0, random_state=0, max_iter=30).fit(X, Y, sample_weight)
    (W1, W2), (b1, b2) = regressor.coefs_, regressor.intercepts_
    np.testing.assert_allclose(regressor.predict(X), raw_prediction(X, (W1, b1, W2, b2)), rtol=1e-12)
    label = Y[:, 0] > 0.0
    classifier = TwoLayerClassifier(5, solver=solver, alpha=1.0, random_state=0, max_iter=30)
    classifier.fit(X, label, sample_weight)
    (W1, W2), (b1, b2) = classifier.coefs_, classifier.intercepts_
    probability = expit(raw_prediction(X, (W1, b1, W2, b2)))
    np.testing.assert_allclose(classifier.predict_proba(X)[:, 1:], probability, rtol=1e-12)


@pytest.mark.parametrize("solver", FITS)
def test_a_standardised_fit_is_that_of_standardised_data(solver, X, Y):
    params = {"hidden_units": 5, "solver": solver, "alpha": 1.0, "random_state": 0, "max_iter": 15, "tol": 0.0}
    ours = TwoLayerRegressor(**params).fit(X, Y)
    plain = make_pipeline(StandardScaler(), TwoLayerRegressor(**params, standardize=False))
    theirs = TransformedTargetRegressor(plain, transformer=StandardScaler()).fit(X, Y)
    np.testing.assert_allclose(ours.predict(X), theirs.predict(X), rtol=1e-10)
    np.testing.assert_allclose(ours.loss_curve_, theirs.regressor_[-1].loss_curve_, rtol=1e-10)


@pytest.mark.parametrize("solver", FITS)
def test_a_standardised_classification_is_that_of_standardised_data(solver, X, Y):
    label = (Y[:, 0] > 0.0).astype(int) + (Y[:, 1] > 1e3)
    params = {"hidden_units": 5, "solver": solver, "alpha": 1.0, "random_state": 0, "max_iter": 15, "tol": 0.0}
    ours = TwoLayerClassifier(**params).fit(X, label)
    theirs = make_pipeline(StandardScaler(), TwoLayerClassifier(**params, standardize=False)).fit(X, label)
    np.testing.assert_allclose(ours.predict_proba(X), theirs.predict_proba(X), rtol=1e-9)


@pytest.mark.parametrize("solver", FITS)
@pytest.mark.parametrize("convert", [csr_array, csc_array, csr_matrix])
@pytest.mark.parametrize("standardize", [False, True], ids=["raw", "standardized"])
def test_a_sparse_fit_is_the_dense_one(solver, convert, standardize, rng, weight):
    X = rng.normal(size=(N_SAMPLES, N_FEATURES)) * [1.0, 2.0, 0.5, 1.0]
    X[rng.random(X.shape) < 0.5] = 0.0
    y = np.sin(X[:, 0]) + X[:, 1]
    model = TwoLayerRegressor(3, solver=solver, alpha=1.0, standardize=standardize, random_state=0)
    model.set_params(max_iter=15, tol=0.0)
    dense = model.fit(X, y, weight).predict(X)
    sparse = model.fit(convert(X), y, weight).predict(convert(X))
    np.testing.assert_allclose(sparse, dense, rtol=1e-9)


@pytest.mark.parametrize("solver", ["gd", SGD(batch_size=7, shuffle=False), Adam(batch_size=7, shuffle=False)], ids=str)
def test_without_standardising_nothing_changes_to_the_bit(solver, rng, weights):
    """The given weights come back after a step that is too short to be seen: nothing on the way rounds them."""
    X, Y = 1e3 * rng.normal(size=(30, N_FEATURES)), rng.normal(size=(30, N_OUTPUTS))
    W1, b1, W2, b2 = weights
    model = TwoLayerRegressor(N_HIDDEN, solver=solver, standardize=False, max_iter=1, alpha=0.0)
    model.set_params(solver__learning_rate=1e-300)
    model.fit(X, Y, coefs_init=[W1, W2], intercepts_init=[b1, b2])
    assert_close([*model.coefs_, *model.intercepts_], [W1, W2, b1, b2], 0.0)
    np.testing.assert_allclose(model.loss_curve_, [model.loss_], rtol=1e-14)


@pytest.mark.parametrize("standardize", [False, True])
def test_weights_to_start_from_are_in_the_units_of_the_data(standardize, X, Y, weights):
    W1, b1, W2, b2 = weights
    W1 = W1 / X.std(axis=0)[:, np.newaxis]
    model = TwoLayerRegressor(N_HIDDEN, solver="gd", standardize=standardize, max_iter=1)
    model.set_params(solver__learning_rate=1e-300)
    model.fit(X, Y, coefs_init=[W1, W2], intercepts_init=[b1, b2])
    np.testing.assert_allclose(model.predict(X), raw_prediction(X, (W1, b1, W2, b2)), rtol=1e-10)


@pytest.mark.parametrize("solver", FITS)
def test_units_of_the_data_do_not_matter(solver, X, Y):
    """Other units and origins of X and y, exact in binary, give the same fit."""
    model = TwoLayerRegressor(3, solver=solver, random_state=0, max_iter=15, tol=0.0)
    expected = model.fit(X, Y).predict(X)
    other = model.fit(1024.0 * X, Y / 256.0).predict(1024.0 * X) * 256.0
    np.testing.assert_allclose(other, expected, rtol=1e-9)
