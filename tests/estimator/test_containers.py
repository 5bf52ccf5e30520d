"""Is what comes in kept as it is: sparse and dense, float32, data frames and their names, metadata, tags?"""

import tracemalloc

import numpy as np
import pandas as pd
import polars as pl
import pytest
import sklearn
from scipy import sparse
from sklearn.base import clone
from sklearn.compose import make_column_transformer
from sklearn.datasets import load_breast_cancer, load_diabetes
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import GridSearchCV, cross_validate
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler
from sklearn.utils import get_tags
from sklearn.utils.validation import check_is_fitted

from sk2layer import TwoLayerClassifier, TwoLayerRegressor
from sk2layer.solvers import SOLVERS

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

ESTIMATORS = [TwoLayerRegressor, TwoLayerClassifier]
SPARSE = [sparse.csr_array, sparse.csc_array, sparse.csr_matrix, sparse.csc_matrix, sparse.coo_array]
every_estimator = pytest.mark.parametrize("Estimator", ESTIMATORS)
every_solver = pytest.mark.parametrize("solver", SOLVERS)


@pytest.fixture
def data_of():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(80, 5)) * [1.0, 10.0, 0.1, 1.0, 1.0]
    X[rng.random(X.shape) < 0.6] = 0.0
    y = X[:, 0] + 0.1 * X[:, 1] + np.sin(3.0 * X[:, 3])
    return {TwoLayerRegressor: (X, y), TwoLayerClassifier: (X, np.where(y > 0.0, "high", "low"))}


def outputs(model, X):
    return model.predict_proba(X) if hasattr(model, "predict_proba") else model.predict(X)


# --------------------------------------------------------------------------------------------------------------- sparse


@every_estimator
@every_solver
@pytest.mark.parametrize("convert", SPARSE)
def test_sparse_rows_are_fitted_and_predicted_as_dense_ones(Estimator, solver, convert, data_of):
    X, y = data_of[Estimator]
    model = Estimator(4, solver=solver, alpha=1.0, random_state=0, max_iter=10, tol=0.0)
    dense = outputs(model.fit(X, y), X)
    in_all_forms = outputs(model.fit(convert(X), y, X_val=convert(X[:9]), y_val=y[:9]), convert(X))
    np.testing.assert_allclose(in_all_forms, dense, rtol=1e-9)
    np.testing.assert_allclose(outputs(model, X), dense, rtol=1e-9)


@every_estimator
@pytest.mark.parametrize("early_stopping", [False, True])
def test_sparse_rows_in_batches(Estimator, early_stopping, data_of):
    X, y = data_of[Estimator]
    model = Estimator(4, solver="sgd", random_state=0).set_params(solver__batch_size=16, max_iter=5)

    def outputs_after(rows):
        model.set_params(early_stopping=early_stopping).fit(rows, y)
        return outputs(model.set_params(early_stopping=False).partial_fit(X, y), X)

    np.testing.assert_allclose(outputs_after(sparse.csr_array(X)), outputs_after(X), rtol=1e-9)


@every_estimator
@pytest.mark.parametrize("solver", ["sgd", "lbfgs"])
def test_sparse_rows_are_never_made_dense_as_a_whole(Estimator, solver):
    n_samples, n_features = 4000, 2500
    X = sparse.csr_array(sparse.random(n_samples, n_features, density=1e-3, random_state=0))
    y = np.asarray(X.sum(axis=1)).ravel()
    y = y if Estimator is TwoLayerRegressor else y > np.median(y)
    model = Estimator(2, solver=solver, max_iter=2, early_stopping=True)
    tracemalloc.start()
    outputs(model.fit(X, y), X)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < n_samples * n_features * 8 / 4


def test_sparse_labels(data_of):
    X, y = data_of[TwoLayerRegressor]
    Y = np.column_stack([y > 0.0, X[:, 0] > 0.0]).astype(int)
    model = TwoLayerClassifier(4, random_state=0, max_iter=10)
    dense = model.fit(X, Y).predict_proba(X)
    np.testing.assert_array_equal(model.fit(X, sparse.csr_array(Y)).predict_proba(X), dense)


# -------------------------------------------------------------------------------------------------------------- float32


@every_estimator
@every_solver
@pytest.mark.parametrize("convert", [np.asarray, sparse.csr_array])
@pytest.mark.parametrize("standardize", [False, True], ids=["raw", "standardized"])
def test_float32_in_float32_out(Estimator, solver, convert, standardize, data_of):
    X, y = data_of[Estimator]
    X = X / X.max(axis=0)
    single = convert(X.astype(np.float32))
    model = Estimator(4, solver=solver, alpha=1.0, standardize=standardize, random_state=0, max_iter=10)
    double = outputs(model.fit(X, y), X)
    model.fit(single, y)
    assert {array.dtype for array in [*model.coefs_, *model.intercepts_]} == {np.dtype(np.float32)}
    p = outputs(model, single)
    assert p.dtype == np.float32
    np.testing.assert_allclose(p, double, atol=2e-3 * np.abs(double).max())


@every_estimator
@pytest.mark.parametrize("dtype", [np.int64, np.float16, bool, object])
def test_everything_else_becomes_float64(Estimator, dtype, data_of):
    X, y = data_of[Estimator]
    X = (X > 0.0).astype(dtype)
    model = Estimator(4, random_state=0, max_iter=5).fit(X, y)
    assert model.coefs_[0].dtype == np.float64
    np.testing.assert_array_equal(outputs(model, X), outputs(model, X.astype(float)))


def test_float32_and_a_column_far_from_zero(data_of):
    """A mean a thousand times the spread, such as that of a year, costs three digits of seven and no more."""
    X, y = data_of[TwoLayerRegressor]
    near, far = X.astype(np.float32), (X + np.array([0.0, 0.0, 0.0, 1000.0, 0.0])).astype(np.float32)
    model = TwoLayerRegressor(4, alpha=1.0, random_state=0, max_iter=10)
    np.testing.assert_allclose(model.fit(far, y).predict(far), model.fit(near, y).predict(near), atol=1e-3)


# ---------------------------------------------------------------------------------------------------------- data frames


@every_estimator
@pytest.mark.parametrize("Frame", [pd.DataFrame, pl.DataFrame])
def test_names_of_columns_are_kept_and_checked(Estimator, Frame, data_of):
    X, y = data_of[Estimator]
    names = ["age", "size", "speed", "mass", "rate"]
    frame = Frame(dict(zip(names, X.T, strict=True)))
    if not hasattr(StandardScaler().fit(frame), "feature_names_in_"):
        pytest.skip("this release of scikit-learn does not read the names of this data frame")
    model = Estimator(4, alpha=1.0, random_state=0, max_iter=10)
    plain = outputs(model.fit(X, y), X)
    assert not hasattr(model, "feature_names_in_")
    model.fit(frame, y, X_val=frame[:9], y_val=y[:9])
    np.testing.assert_array_equal(model.feature_names_in_, names)
    assert model.n_features_in_ == 5
    np.testing.assert_allclose(outputs(model, frame), plain, rtol=1e-9)
    with pytest.raises(ValueError, match="feature names should match"):
        model.predict(frame[names[::-1]])
    with pytest.raises(ValueError, match="X_val: The feature names should match"):
        model.fit(frame, y, X_val=frame[names[::-1]], y_val=y)
    with pytest.warns(UserWarning, match="does not have valid feature names"):
        model.predict(X)


@every_estimator
@pytest.mark.parametrize(("Frame", "container"), [(pd.DataFrame, "pandas"), (pl.DataFrame, "polars")])
def test_names_pass_through_a_pipeline(Estimator, Frame, container, data_of):
    """Categories are coded, numbers scaled, and the network knows its inputs by the names that result."""
    X, y = data_of[Estimator]
    frame = Frame({"age": X[:, 1], "color": np.where(X[:, 0] > 0.0, "red", "blue"), "mass": X[:, 3]})
    if not hasattr(StandardScaler().fit(frame[["age"]]), "feature_names_in_"):
        pytest.skip("this release of scikit-learn does not read the names of this data frame")
    coding = make_column_transformer(
        (OneHotEncoder(sparse_output=False), ["color"]),
        (StandardScaler(), ["age", "mass"]),
        verbose_feature_names_out=False,
    )
    pipeline = make_pipeline(coding, Estimator(4, alpha=1.0, random_state=0, max_iter=10))
    plain = outputs(pipeline.fit(frame, y), frame)
    pipeline.set_output(transform=container)
    np.testing.assert_allclose(outputs(pipeline.fit(frame, y), frame), plain, rtol=1e-9)  # columns lie otherwise
    assert pipeline[-1].feature_names_in_.tolist() == ["color_blue", "color_red", "age", "mass"]


@every_estimator
@pytest.mark.parametrize("Series", [pd.Series, pl.Series])
def test_targets_and_weights_in_series(Estimator, Series, data_of):
    X, y = data_of[Estimator]
    weight = np.linspace(0.5, 2.0, len(y))
    model = Estimator(4, random_state=0, max_iter=10)
    plain = outputs(model.fit(X, y, weight), X)
    series = Series(name="target", data=y) if Series is pd.Series else Series("target", y)
    np.testing.assert_array_equal(outputs(model.fit(X, series, Series(weight)), X), plain)
    if Estimator is TwoLayerClassifier:
        np.testing.assert_array_equal(model.classes_, ["high", "low"])
        assert set(model.predict(X)) <= {"high", "low"}


def test_frames_of_several_targets(data_of):
    X, y = data_of[TwoLayerRegressor]
    Y = np.column_stack([y, -y])
    model = TwoLayerRegressor(4, random_state=0, max_iter=10)
    plain = model.fit(X, Y).predict(X)
    np.testing.assert_array_equal(model.fit(X, pd.DataFrame(Y, columns=["a", "b"])).predict(X), plain)
    np.testing.assert_array_equal(model.fit(X, pl.DataFrame({"a": y, "b": -y})).predict(X), plain)


def test_categories_as_labels(data_of):
    X, y = data_of[TwoLayerClassifier]
    model = TwoLayerClassifier(4, random_state=0, max_iter=10).fit(X, pd.Series(y, dtype="category"))
    np.testing.assert_array_equal(model.classes_, ["high", "low"])


# ------------------------------------------------------------------------------------------------------------- metadata


@pytest.fixture
def routing():
    with sklearn.config_context(enable_metadata_routing=True):
        yield


@pytest.mark.usefixtures("routing")
@every_estimator
def test_weights_are_routed(Estimator, data_of):
    """Rows of weight zero are as good as absent in the search, too: in fits and in scores."""
    X, y = data_of[Estimator]
    weight = (np.arange(len(y)) % 4 > 0).astype(float)
    nonsense = np.where(weight[:, np.newaxis] > 0.0, X, 1e6)
    model = Estimator(4, random_state=0, max_iter=10)
    model.set_fit_request(sample_weight=True).set_score_request(sample_weight=True)
    search = GridSearchCV(model, {"alpha": [0.1, 10.0]}, cv=2, error_score="raise")
    scores = [search.fit(data, y, sample_weight=weight).cv_results_["mean_test_score"] for data in (X, nonsense)]
    np.testing.assert_array_equal(scores[0], scores[1])


@pytest.mark.usefixtures("routing")
@every_estimator
def test_validation_data_are_routed(Estimator, data_of):
    X, y = data_of[Estimator]
    model = Estimator(4, random_state=0, max_iter=10).set_fit_request(X_val=True, y_val=True)
    result = cross_validate(
        model, X, y, cv=2, params={"X_val": X[:30], "y_val": y[:30]}, return_estimator=True, error_score="raise"
    )
    assert all(len(model.validation_loss_curve_) == model.n_iter_ for model in result["estimator"])


@pytest.mark.usefixtures("routing")
def test_weights_are_routed_through_a_pipeline_to_batches(data_of):
    X, y = data_of[TwoLayerRegressor]
    model = TwoLayerRegressor(4, solver="sgd", random_state=0, max_iter=3).set_fit_request(sample_weight=True)
    scaler = StandardScaler().set_fit_request(sample_weight=False)
    pipeline = Pipeline([("scale", scaler), ("network", model)])
    weight = np.linspace(0.0, 2.0, len(y))
    weighted = pipeline.fit(X, y, sample_weight=weight).predict(X)
    expected = model.fit(StandardScaler().fit_transform(X), y, weight).predict(StandardScaler().fit_transform(X))
    np.testing.assert_array_equal(weighted, expected)
    assert hasattr(model, "set_partial_fit_request")


# ----------------------------------------------------------------------------------------------------------------- tags


def test_tags_tell_the_truth():
    regressor, classifier = get_tags(TwoLayerRegressor()), get_tags(TwoLayerClassifier())
    assert regressor.estimator_type == "regressor"
    assert classifier.estimator_type == "classifier"
    assert regressor.target_tags.multi_output
    assert classifier.classifier_tags.multi_label
    assert classifier.classifier_tags.multi_class
    for tags in (regressor, classifier):
        assert tags.input_tags.sparse
        assert not tags.input_tags.allow_nan
        assert tags.target_tags.required
        assert not tags.non_deterministic
        assert not tags.no_validation


@every_estimator
def test_a_fitted_estimator_is_seen_as_such(Estimator, data_of):
    X, y = data_of[Estimator]
    model = Estimator(2, alpha=1.0, max_iter=2, tol=1e9)
    model.settled_ = True  # an attribute of somebody else's
    with pytest.raises(NotFittedError):
        check_is_fitted(model)
    check_is_fitted(model.fit(X, y))
    with pytest.raises(NotFittedError):
        check_is_fitted(clone(model))


def test_data_sets_of_scikit_learn_as_frames():
    X, y = load_diabetes(return_X_y=True, as_frame=True, scaled=False)
    model = TwoLayerRegressor(random_state=0).fit(X, y)
    np.testing.assert_array_equal(model.feature_names_in_, X.columns)
    assert model.score(X, y) > 0.5
    X, y = load_breast_cancer(return_X_y=True, as_frame=True)
    assert TwoLayerClassifier(random_state=0).fit(X, y).score(X, y) > 0.95
