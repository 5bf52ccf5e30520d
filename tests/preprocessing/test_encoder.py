"""Is a column the ramps between its quantiles, with all that scikit-learn asks of a transformer?"""

import inspect
import pickle

import numpy as np
import pandas as pd
import polars as pl
import pytest
from scipy.sparse import csc_array, csr_matrix, issparse
from sklearn.base import clone
from sklearn.compose import make_column_transformer
from sklearn.datasets import load_diabetes
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import OneHotEncoder
from sklearn.utils import get_tags
from sklearn.utils.estimator_checks import parametrize_with_checks

from sk2layer import TwoLayerRegressor
from sk2layer.preprocessing import PiecewiseLinearEncoder

SEEDS = range(5)
every_seed = pytest.mark.parametrize("seed", SEEDS)
every_number = pytest.mark.parametrize("n_pieces", [1, 2, 5, 8])
SETTINGS = [
    {},
    {"n_pieces": 1},
    {"n_pieces": 3, "extrapolation": "linear"},
    {"sparse_output": True},
    {"n_pieces": 50, "extrapolation": "linear", "sparse_output": True},
]


def table(seed, n_samples=200, missing=0.0):
    """Return columns of all kinds: normal, skewed, counts, two values, large with small differences, constant."""
    rng = np.random.default_rng(seed)
    X = np.column_stack(
        [
            rng.normal(size=n_samples),
            np.exp(rng.normal(scale=2.0, size=n_samples)),
            rng.poisson(2.0, size=n_samples),
            rng.integers(0, 2, size=n_samples),
            1e6 + rng.normal(size=n_samples),
            np.full(n_samples, 7.0),
        ]
    )
    X[rng.random(X.shape) < missing] = np.nan
    return X


def outputs(encoder, column):
    return np.flatnonzero(encoder.feature_indices_ == column)


@parametrize_with_checks([PiecewiseLinearEncoder(**params) for params in SETTINGS])
def test_conformance(estimator, check):
    check(estimator)


# ---------------------------------------------------------------------- ramps and edges


@every_seed
@every_number
def test_ramps_are_interpolations_between_the_edges(seed, n_pieces):
    encoder, X = PiecewiseLinearEncoder(n_pieces).fit(table(seed)), table(seed + 100)
    encoded = encoder.transform(X)
    for column, edges in enumerate(encoder.edges_[:-1]):
        for number, output in enumerate(outputs(encoder, column)):
            steps = np.repeat([0.0, 1.0], [number + 1, len(edges) - number - 1])
            np.testing.assert_allclose(encoded[:, output], np.interp(X[:, column], edges, steps), rtol=1e-9, atol=1e-12)


@every_seed
@every_number
@pytest.mark.parametrize("n_samples", [200, 203])
def test_edges_are_quantiles(seed, n_pieces, n_samples):
    """Those that `numpy.quantile` calls "averaged_inverted_cdf", though with exact levels: of 200 rows many are at a
    step of the distribution function, of 203 hardly any."""
    X = np.sort(table(seed, n_samples), axis=0)
    edges = PiecewiseLinearEncoder(n_pieces).fit(X).edges_
    levels = n_samples * np.arange(n_pieces + 1)
    first, last = np.maximum(-(-levels // n_pieces), 1) - 1, np.minimum(levels // n_pieces, n_samples - 1)
    for column in (0, 1, 4):
        np.testing.assert_allclose(edges[column], (X[first, column] + X[last, column]) / 2.0, rtol=1e-15)


@every_seed
@every_number
def test_the_sum_of_ramps_times_widths_is_the_clipped_input(seed, n_pieces):
    encoder, X = PiecewiseLinearEncoder(n_pieces).fit(table(seed)), table(seed + 100)
    encoded = encoder.transform(X)
    assert encoded.min() == 0.0
    assert encoded.max() == 1.0
    for column, edges in enumerate(encoder.edges_):
        ramps = encoded[:, outputs(encoder, column)]
        assert (np.diff(ramps, axis=1) <= 0.0).all()
        assert (((ramps > 0.0) & (ramps < 1.0)).sum(axis=1) <= 1).all()
        recovered = edges[0] + ramps @ np.diff(edges)
        np.testing.assert_allclose(recovered, X[:, column].clip(edges[0], edges[-1]), rtol=1e-12, atol=1e-12)


@every_seed
def test_pieces_have_the_same_share_of_the_rows(seed):
    X = np.random.default_rng(seed).normal(size=(800, 1))
    edges = PiecewiseLinearEncoder(8).fit(X).edges_[0]
    assert np.histogram(X, edges)[0].tolist() == [100] * 8


def test_few_different_values_are_the_edges():
    X = np.array([[0.0, 5.0, 1.0], [0.0, 5.0, 2.0], [0.0, -3.0, 4.0], [1.0, 0.0, 8.0], [1.0, 0.0, 16.0]])
    X = np.repeat(X, [1, 1, 1, 1, 9], axis=0)
    encoder = PiecewiseLinearEncoder(4).fit(X)
    assert [edges.tolist() for edges in encoder.edges_] == [[0.0, 1.0], [-3.0, 0.0, 5.0], [1.0, 2.0, 4.0, 8.0, 16.0]]
    np.testing.assert_array_equal(encoder.transform(X)[:, 0], X[:, 0])
    assert encoder.feature_indices_.tolist() == [0, 1, 1, 2, 2, 2, 2]


def test_equal_quantiles_are_one():
    X = np.r_[np.zeros(50), 1.0:51.0][:, np.newaxis]
    assert PiecewiseLinearEncoder(4).fit(X).edges_[0].tolist() == [0.0, 0.5, 25.5, 50.0]


def test_one_piece_is_the_input_from_its_smallest_to_its_largest_value():
    X = table(0)[:, :5]
    encoded = PiecewiseLinearEncoder(1).fit_transform(X)
    np.testing.assert_allclose(encoded, (X - X.min(axis=0)) / np.ptp(X, axis=0), rtol=1e-14)


@pytest.mark.parametrize("extrapolation", ["clip", "linear"])
def test_a_constant_column_is_one_column_of_zeros(extrapolation):
    encoder = PiecewiseLinearEncoder(extrapolation=extrapolation).fit([[3.0], [3.0]])
    assert encoder.edges_[0].tolist() == [3.0, 3.0]
    encoded = encoder.transform([[3.0], [-10.0], [1e300], [np.nan]])
    assert encoded.tolist() == [[0.0]] * 4
    assert not np.signbit(encoded).any()


@every_seed
def test_what_lies_outside_is_clipped_or_goes_on(seed):
    X, factor = table(seed)[:, :2], 3.0
    clipping = PiecewiseLinearEncoder(5).fit(X)
    linear = PiecewiseLinearEncoder(5, extrapolation="linear").fit(X)
    np.testing.assert_array_equal(linear.transform(X), clipping.transform(X))
    for column, edges in enumerate(linear.edges_):
        outside = np.array([edges[0] - factor * (edges[1] - edges[0]), edges[-1] + factor * (edges[-1] - edges[-2])])
        rows = np.column_stack([outside, outside])
        np.testing.assert_array_equal(clipping.transform(rows)[:, outputs(clipping, column)], [[0.0] * 5, [1.0] * 5])
        expected = [[-factor, 0.0, 0.0, 0.0, 0.0], [1.0, 1.0, 1.0, 1.0, 1.0 + factor]]
        np.testing.assert_allclose(linear.transform(rows)[:, outputs(linear, column)], expected, rtol=1e-9)


@every_seed
@every_number
def test_one_outlier_stretches_the_last_piece_only(seed, n_pieces):
    X = table(seed)[:, :1]
    row = X.argmax()
    spoilt = X.copy()
    spoilt[row] = 1e6
    others = np.delete(np.arange(len(X)), row)
    clean, encoder = PiecewiseLinearEncoder(n_pieces).fit(X), PiecewiseLinearEncoder(n_pieces).fit(spoilt)
    assert encoder.edges_[0][-1] == 1e6
    np.testing.assert_array_equal(encoder.edges_[0][:-1], clean.edges_[0][:-1])
    np.testing.assert_array_equal(encoder.transform(X[others])[:, :-1], clean.transform(X[others])[:, :-1])


@every_seed
def test_an_outlier_anywhere_moves_edges_by_one_row_at_most(seed):
    X = np.random.default_rng(seed).normal(size=(200, 1))
    spoilt = X.copy()
    spoilt[seed] = 1e6
    rank = np.sort(X[:, 0]).searchsorted(PiecewiseLinearEncoder().fit(spoilt).edges_[0][:-1])
    assert (np.abs(rank - np.arange(8) * 25) <= 1).all()


def test_the_largest_numbers():
    X = np.array([[-8e307], [0.0], [8e307]])
    encoder = PiecewiseLinearEncoder(2, extrapolation="linear").fit(X)
    assert encoder.transform(X).tolist() == [[0.0, 0.0], [1.0, 0.0], [1.0, 1.0]]
    assert np.isfinite(encoder.transform([[1.7e308]])).all()
    tiny = 5e-324 * np.arange(20.0)[:, np.newaxis]
    assert PiecewiseLinearEncoder(3).fit(tiny).transform(tiny)[[0, -1]].tolist() == [[0.0] * 3, [1.0] * 3]


# ---------------------------------------------------------------------- weights


@every_seed
@every_number
@pytest.mark.parametrize("missing", [0.0, 0.2])
def test_integer_weights_are_repeated_rows_to_the_last_bit(seed, n_pieces, missing):
    X, weight = table(seed, missing=missing), np.random.default_rng(seed).integers(0, 4, size=200)
    weighted = PiecewiseLinearEncoder(n_pieces).fit(X, sample_weight=weight)
    repeated = PiecewiseLinearEncoder(n_pieces).fit(np.repeat(X, weight, axis=0))
    assert len(weighted.edges_) == len(repeated.edges_)
    for ours, theirs in zip(weighted.edges_, repeated.edges_, strict=True):
        np.testing.assert_array_equal(ours, theirs)
    np.testing.assert_array_equal(weighted.missing_encoding_, repeated.missing_encoding_)
    np.testing.assert_array_equal(weighted.transform(X), repeated.transform(X))


@every_seed
def test_the_scale_of_weights_does_not_matter(seed):
    X, weight = table(seed), np.random.default_rng(seed).integers(1, 4, size=200)
    counted = PiecewiseLinearEncoder().fit(X, sample_weight=weight)
    for factor in (0.1, 1.0 / 3.0, 1e-20, 1e20):
        scaled = PiecewiseLinearEncoder().fit(X, sample_weight=factor * weight)
        for ours, theirs in zip(scaled.edges_, counted.edges_, strict=True):
            np.testing.assert_array_equal(ours, theirs)
        np.testing.assert_allclose(scaled.missing_encoding_, counted.missing_encoding_, rtol=1e-12)


def test_weights_move_the_edges():
    X = np.arange(101.0)[:, np.newaxis]
    assert PiecewiseLinearEncoder(2).fit(X, sample_weight=np.r_[np.full(51, 1e3), np.ones(50)]).edges_[0][1] < 30.0
    assert PiecewiseLinearEncoder(2).fit(X).edges_[0][1] == 50.0


def test_rows_of_weight_zero_are_absent():
    X = np.array([[1.0, 1.0], [2.0, 4.0], [np.nan, 2.0], [1e9, np.nan]])
    encoder = PiecewiseLinearEncoder().fit(X, sample_weight=[1.0, 2.0, 0.0, 0.0])
    assert [edges.tolist() for edges in encoder.edges_] == [[1.0, 2.0], [1.0, 4.0]]
    assert encoder.get_feature_names_out().tolist() == ["x0[1, 2]", "x1[1, 4]"]


# ---------------------------------------------------------------------- missing values


@every_seed
def test_missing_values_are_the_mean_of_the_ramps_and_have_an_indicator(seed):
    X = table(seed, missing=0.2)
    encoder = PiecewiseLinearEncoder(4).fit(X)
    encoded = encoder.transform(X)
    for column in range(X.shape[1]):
        missing, (*ramps, indicator) = np.isnan(X[:, column]), outputs(encoder, column)
        assert len(ramps) == len(encoder.edges_[column]) - 1
        np.testing.assert_array_equal(encoded[:, indicator], missing)
        means = encoded[~missing][:, ramps].mean(axis=0)
        np.testing.assert_allclose(encoded[missing][:, ramps], np.tile(means, (missing.sum(), 1)), rtol=1e-12)
        np.testing.assert_allclose(encoder.missing_encoding_[ramps], means, rtol=1e-12)


@every_seed
def test_missing_values_have_no_part_in_the_edges(seed):
    x = np.random.default_rng(seed).normal(size=100)
    with_missing = np.insert(x, [0, 50, 100], np.nan)[:, np.newaxis]
    found, expected = (PiecewiseLinearEncoder().fit(X).edges_[0] for X in (with_missing, x[:, np.newaxis]))
    np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("extrapolation", ["clip", "linear"])
def test_only_columns_with_missing_values_in_training_have_an_indicator(extrapolation):
    X = np.array([[0.0, 0.0], [1.0, 1.0], [2.0, np.nan]])
    encoder = PiecewiseLinearEncoder(extrapolation=extrapolation).fit(X)
    assert encoder.get_feature_names_out().tolist() == ["x0[0, 1]", "x0[1, 2]", "x1[0, 1]", "x1[missing]"]
    assert encoder.feature_indices_.tolist() == [0, 0, 1, 1]
    encoded = encoder.transform([[np.nan, np.nan], [-5.0, -5.0]])
    np.testing.assert_allclose(encoded[0], [2.0 / 3.0, 1.0 / 3.0, 0.5, 1.0], rtol=1e-15)
    below = -5.0 * (extrapolation == "linear")
    assert encoded[1].tolist() == [below, 0.0, below, 0.0]


def test_a_column_without_values_is_an_indicator_only():
    X = np.array([[np.nan, 1.0], [np.nan, 2.0]])
    encoder = PiecewiseLinearEncoder().fit(X)
    assert encoder.get_feature_names_out(["a", "b"]).tolist() == ["a[missing]", "b[1, 2]"]
    assert encoder.edges_[0].shape == (0,)
    assert encoder.transform([[np.nan, 1.5], [4.0, 1.5]]).tolist() == [[1.0, 0.5], [0.0, 0.5]]
    assert PiecewiseLinearEncoder().fit_transform([[np.nan], [np.nan]]).tolist() == [[1.0], [1.0]]


# ---------------------------------------------------------------------- kinds of input and output


@every_seed
@pytest.mark.parametrize("extrapolation", ["clip", "linear"])
@pytest.mark.parametrize("make", [csr_matrix, csc_array])
def test_sparse_is_dense(seed, extrapolation, make):
    rng = np.random.default_rng(seed)
    X = table(seed, missing=0.1) * rng.integers(0, 2, size=(200, 6))
    weight = rng.integers(0, 3, size=200)
    dense = PiecewiseLinearEncoder(5, extrapolation=extrapolation).fit(X, sample_weight=weight)
    for sparse_output in (False, True):
        encoder = clone(dense).set_params(sparse_output=sparse_output).fit(make(X), sample_weight=weight)
        for given in (X, make(X)):
            encoded = encoder.transform(given)
            assert issparse(encoded) == sparse_output
            if sparse_output:
                assert isinstance(encoded, csr_matrix)
                assert encoded.nnz == np.count_nonzero(dense.transform(X))
                encoded = encoded.toarray()
            np.testing.assert_array_equal(encoded, dense.transform(X))


@every_seed
@pytest.mark.parametrize("sparse_output", [False, True])
def test_float32_stays_float32(seed, sparse_output):
    X = table(seed, missing=0.1).astype(np.float32)
    encoder = PiecewiseLinearEncoder(sparse_output=sparse_output)
    single, double = encoder.fit_transform(X), clone(encoder).fit_transform(X.astype(np.float64))
    assert (single.dtype, double.dtype) == (np.float32, np.float64)
    assert {"float32", "float64"} == {*get_tags(encoder).transformer_tags.preserves_dtype}
    assert abs(single - double).max() <= 1e-7


@every_seed
def test_blocks_of_rows_are_all_rows(seed, monkeypatch):
    X = table(seed, missing=0.1)
    encoder = PiecewiseLinearEncoder().fit(X)
    whole = encoder.transform(X)
    monkeypatch.setattr("sk2layer.preprocessing.encoder.BLOCK_SIZE", 7 * whole.shape[1])
    np.testing.assert_array_equal(encoder.transform(X), whole)
    np.testing.assert_array_equal(encoder.set_params(sparse_output=True).transform(X).toarray(), whole)


def test_integers_and_objects_are_numbers():
    expected = PiecewiseLinearEncoder().fit_transform([[0.0], [1.0], [np.nan]])
    given = np.array([[0], [1], [None]], dtype=object)
    np.testing.assert_array_equal(PiecewiseLinearEncoder().fit_transform(given), expected)
    assert PiecewiseLinearEncoder().fit_transform([[0], [2], [1]]).tolist() == [[0.0, 0.0], [1.0, 1.0], [1.0, 0.0]]


@pytest.mark.parametrize("params", SETTINGS)
def test_copies_encode_alike(params):
    X = table(0, missing=0.1)
    encoder = PiecewiseLinearEncoder(**params).fit(X)
    copies = [pickle.loads(pickle.dumps(encoder)), clone(encoder).fit(X)]
    assert all(abs(copy.transform(X) - encoder.transform(X)).max() == 0.0 for copy in copies)


# ---------------------------------------------------------------------- names and frames


def test_names_have_three_digits_or_as_many_as_tell_edges_apart():
    X = np.column_stack(
        [
            [23.1234, 25.6, 31.0],
            [100000.0, 250000.0, 1250000.0],
            [2019.0, 2019.25, 2019.5],
            [-1e-7, -0.0, 1e300],
            [5.0, 5.0, 5.0],
            [np.nan, np.nan, 0.1 + 0.2],
        ]
    )
    assert PiecewiseLinearEncoder().fit(X).get_feature_names_out().tolist() == [
        *["x0[23.1, 25.6]", "x0[25.6, 31]"],
        *["x1[100000, 250000]", "x1[250000, 1250000]"],
        *["x2[2019, 2019.2]", "x2[2019.2, 2019.5]"],
        *["x3[-1e-07, 0]", "x3[0, 1e+300]"],
        *["x4[5, 5]", "x5[0.3, 0.3]", "x5[missing]"],
    ]


@every_seed
def test_names_are_unique_and_as_many_as_columns(seed):
    X = table(seed, missing=0.1)
    encoder = PiecewiseLinearEncoder(40).fit(X)
    names = encoder.get_feature_names_out([f"column {j}" for j in range(6)])
    assert len({*names}) == len(names) == encoder.transform(X).shape[1] == len(encoder.feature_indices_)
    assert [f"column {j}" for j in encoder.feature_indices_] == [name.partition("[")[0] for name in names]


def test_frames_of_pandas():
    frame = pd.DataFrame({"bmi": [23.1, 25.6, np.nan], "age": pd.array([30, None, 50], dtype="Int64")})
    encoder = PiecewiseLinearEncoder().fit(frame)
    assert encoder.feature_names_in_.tolist() == ["bmi", "age"]
    encoded = encoder.set_output(transform="pandas").transform(frame)
    assert encoded.columns.tolist() == ["bmi[23.1, 25.6]", "bmi[missing]", "age[30, 50]", "age[missing]"]
    assert encoded.to_numpy().tolist() == [[0.0, 0.0, 0.0, 0.0], [1.0, 0.0, 0.5, 1.0], [0.5, 1.0, 1.0, 0.0]]
    with pytest.raises(ValueError, match="input_features is not equal to feature_names_in_"):
        encoder.get_feature_names_out(["age", "bmi"])


def test_frames_of_polars():
    frame = pl.DataFrame({"bmi": [23.1, 25.6, None]})
    encoded = PiecewiseLinearEncoder().set_output(transform="polars").fit_transform(frame)
    assert encoded.columns == ["bmi[23.1, 25.6]", "bmi[missing]"]
    assert encoded.rows() == [(0.0, 0.0), (1.0, 0.0), (0.5, 1.0)]


def test_every_parameter_and_attribute_is_documented():
    encoder = PiecewiseLinearEncoder().fit([[0.0], [1.0]])
    documented = inspect.getdoc(PiecewiseLinearEncoder).partition("See Also")[0]
    for name in [*encoder.get_params(), *(name for name in vars(encoder) if name.endswith("_")), "feature_names_in_"]:
        assert f"\n{name} : " in documented


# ---------------------------------------------------------------------- errors


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"n_pieces": 0}, r"'n_pieces' parameter of PiecewiseLinearEncoder must be an int in the range \[1, inf\).*0"),
        ({"n_pieces": 2.0}, "'n_pieces' parameter .*2.0"),
        ({"extrapolation": "error"}, "'extrapolation' parameter .*must be a str among .*'error'"),
        ({"sparse_output": "yes"}, "'sparse_output' parameter .*'yes'"),
    ],
)
def test_parameters_are_checked(params, message):
    with pytest.raises(ValueError, match=message):
        PiecewiseLinearEncoder(**params).fit([[0.0], [1.0]])


@pytest.mark.parametrize(
    ("weight", "message"),
    [
        ([1.0, -2.0], "sample_weight must not be negative. Got -2"),
        ([0.0, 0.0], r"sample_weight must not be zero for all samples, and its sum must be at most 1e\+30. Got 0"),
        ([1e308, 1e308], "sample_weight must not be zero for all samples, .* Got inf"),
        ([1.0, np.nan], "sample_weight contains NaN"),
        ([1.0], r"sample_weight must be 1D, one weight per sample: shape \(2,\). Got shape \(1,\)"),
        ([[1.0], [1.0]], r"sample_weight must be 1D, one weight per sample: shape \(2,\). Got shape \(2, 1\)"),
    ],
)
def test_weights_are_checked(weight, message):
    with pytest.raises(ValueError, match=message):
        PiecewiseLinearEncoder().fit([[0.0], [1.0]], sample_weight=weight)


@pytest.mark.parametrize("make", [np.asarray, csr_matrix])
def test_infinite_values_are_an_error(make):
    encoder = PiecewiseLinearEncoder()
    with pytest.raises(ValueError, match="X contains infinity"):
        encoder.fit(make([[0.0], [np.inf]]))
    with pytest.raises(ValueError, match="X contains infinity"):
        encoder.fit(make([[0.0], [1.0]])).transform(make([[-np.inf]]))


def test_other_errors():
    with pytest.raises(ValueError, match=r"X must not span more than 1.8e308 in a column. Got -1e\+308 to 1e\+308"):
        PiecewiseLinearEncoder().fit([[1e308], [-1e308]])
    with pytest.raises(NotFittedError, match="not fitted"):
        PiecewiseLinearEncoder().transform([[0.0]])
    with pytest.raises(NotFittedError, match="not fitted"):
        PiecewiseLinearEncoder().get_feature_names_out()
    encoder = PiecewiseLinearEncoder().fit([[0.0], [1.0]])
    with pytest.raises(ValueError, match="X has 2 features, but PiecewiseLinearEncoder is expecting 1"):
        encoder.transform([[0.0, 1.0]])
    with pytest.raises(ValueError, match="input_features should have length equal to number of features"):
        encoder.get_feature_names_out(["a", "b"])
    with pytest.raises(TypeError, match="Its parameters are n_pieces, extrapolation, sparse_output"):
        PiecewiseLinearEncoder(pieces=3)


# ---------------------------------------------------------------------- with others


def test_among_other_transformers():
    frame = pd.DataFrame({"bmi": [20.0, 25.0, np.nan], "sex": ["f", "m", "f"]})
    transformer = make_column_transformer((PiecewiseLinearEncoder(), ["bmi"]), (OneHotEncoder(), ["sex"]))
    transformer.fit(frame)
    names = [name.partition("__")[2] for name in transformer.get_feature_names_out()]
    assert names == ["bmi[20, 25]", "bmi[missing]", "sex_f", "sex_m"]
    expected = [[0.0, 0.0, 1.0, 0.0], [1.0, 0.0, 0.0, 1.0], [0.5, 1.0, 1.0, 0.0]]
    assert np.asarray(transformer.transform(frame)).tolist() == expected


@pytest.mark.parametrize("sparse_output", [False, True])
def test_the_number_of_pieces_can_be_searched_for(sparse_output):
    """A sine of two and a half waves is beyond three hidden units of the raw input, and not beyond ramps."""
    rng = np.random.default_rng(0)
    X = rng.uniform(size=(200, 1))
    y = np.sin(5.0 * np.pi * X[:, 0]) + 0.1 * rng.normal(size=200)
    encoder = PiecewiseLinearEncoder(sparse_output=sparse_output)
    pipeline = Pipeline([("encode", encoder), ("network", TwoLayerRegressor(3, alpha=0.1, random_state=0))])
    search = GridSearchCV(pipeline, {"encode__n_pieces": [1, 20]}, cv=3).fit(X, y)
    assert search.best_params_ == {"encode__n_pieces": 20}
    assert search.score(X, y) > 0.9


@every_seed
def test_one_outlying_cell_does_little_to_predictions(seed):
    X, y = load_diabetes(return_X_y=True)
    rng = np.random.default_rng(seed)
    order = rng.permutation(len(y))
    train, test = order[:300], order[300:]
    model = make_pipeline(PiecewiseLinearEncoder(4), TwoLayerRegressor(3, random_state=seed))
    clean = model.fit(X[train], y[train]).score(X[test], y[test])
    X[train[0], rng.integers(10)] = 1e6
    assert model.fit(X[train], y[train]).score(X[test], y[test]) > clean - 0.03
