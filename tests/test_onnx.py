"""Does an exported graph, evaluated by onnxruntime, say what the estimator says?"""

from functools import cache

import numpy as np
import pandas as pd
import pytest
from sklearn.compose import make_column_transformer
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler
from slow import seeds

from sk2layer import TwoLayerClassifier, TwoLayerRegressor
from sk2layer.model.activations import ACTIVATIONS
from sk2layer.onnx import register

skl2onnx = pytest.importorskip("skl2onnx", reason="skl2onnx is not installed")
onnxruntime = pytest.importorskip("onnxruntime", reason="onnxruntime is not installed")

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

rng = np.random.default_rng(0)
X = rng.normal(size=(120, 4)) * [1.0, 10.0, 0.1, 0.0] + [0.0, 50.0, 1.0, 7.0]  # the last column is constant
wave = X[:, 0] + np.sin(X[:, 1] / 5.0) + 5.0 * X[:, 2]
NUMBERS, COLUMNS = wave, np.column_stack([wave, -0.01 * X[:, 1]])
TWO = (wave > np.median(wave)).astype(int)
SEVERAL = np.digitize(wave, np.quantile(wave, [0.3, 0.7]))
LABELS = np.column_stack([wave > 5.0, X[:, 0] > 0.0, X[:, 1] > 50.0]).astype(int)

every_type = pytest.mark.parametrize(("dtype", "tolerance"), [(np.float32, 1e-5), (np.float64, 1e-12)])
EVIDENCE, NUMBER = (), (("alpha", 0.1),)
AVERAGE = (("n_init", 3), ("restarts", "average"))
CASES = {
    **{f"{activation} by evidence": (("activation", activation), *EVIDENCE) for activation in ACTIVATIONS},
    **{f"{activation} by a number": (("activation", activation), *NUMBER) for activation in ACTIVATIONS},
    "by ard": (("alpha", "ard"),),
    "unscaled": (("standardize", False), ("alpha", 1.0), ("max_iter", 20)),
    "average by evidence": AVERAGE,
    "average by a number": (*AVERAGE, *NUMBER),
}
TARGETS = {"one": NUMBERS, "columns": COLUMNS, "two": TWO, "several": SEVERAL, "multilabel": LABELS}
every_case = pytest.mark.parametrize("settings", CASES.values(), ids=CASES)
every_kind_of_number = pytest.mark.parametrize("target", ["one", "columns"])
every_kind_of_label = pytest.mark.parametrize("target", ["two", "several", "multilabel"])


@cache
def fitted(target, settings=EVIDENCE):
    """Return an estimator fitted to one of the targets; fitted once, since nothing here changes it."""
    Estimator = TwoLayerRegressor if target in ("one", "columns") else TwoLayerClassifier
    return Estimator(5, random_state=0).set_params(**dict(settings)).fit(X, TARGETS[target])


@pytest.fixture(autouse=True)
def registered():
    register()


def run(model, inputs, options=None, target_opset=None):
    """Return the outputs of the exported model, for the given inputs: a matrix, or columns by name."""
    if isinstance(inputs, np.ndarray):
        inputs = {"X": inputs}
        types = [("X", skl2onnx.common.data_types.guess_data_type(inputs["X"][:1])[0][1])]
        types[0][1].shape = [None, inputs["X"].shape[1]]
    else:
        types = [(name, tensor_type([None, 1])) for name, (tensor_type, _) in inputs.items()]
        inputs = {name: column for name, (_, column) in inputs.items()}
    graph = skl2onnx.to_onnx(model, initial_types=types, options=options, target_opset=target_opset)
    settings = onnxruntime.SessionOptions()
    settings.intra_op_num_threads = settings.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(graph.SerializeToString(), settings, providers=["CPUExecutionProvider"])
    return session.run(None, inputs)


def assert_close(exported, expected, tolerance):
    """Compare in the type of the graph: the estimator's is that of its weights."""
    expected = np.asarray(expected)
    np.testing.assert_allclose(exported, expected, rtol=tolerance, atol=tolerance * np.abs(expected).max())


# ----------------------------------------------------------------------------------------------------------- regression


@every_type
@every_case
@every_kind_of_number
def test_regression(target, settings, dtype, tolerance):
    model, rows = fitted(target, settings), X.astype(dtype)
    (exported,) = run(model, rows)
    assert exported.dtype == dtype
    assert_close(exported, model.predict(rows).reshape(len(X), -1), tolerance)


@every_type
@pytest.mark.parametrize("include_noise", [True, False])
@pytest.mark.parametrize("settings", [case for case in CASES.values() if "alpha" not in dict(case)], ids=str)
@every_kind_of_number
def test_standard_deviations(target, settings, include_noise, dtype, tolerance):
    model, rows = fitted(target, settings), np.vstack([X, 3.0 * X]).astype(dtype)
    exported = run(model, rows, {id(model): {"return_std": True, "include_noise": include_noise}})
    expected = model.predict(rows, return_std=True, include_noise=include_noise)
    for its, ours in zip(exported, expected, strict=True):
        assert its.dtype == dtype
        assert_close(its, ours.reshape(len(rows), -1), tolerance)


def test_standard_deviations_need_a_fit_by_evidence():
    model = fitted("one", NUMBER)
    with pytest.raises(ValueError, match=r'return_std=True needs a fit by evidence: alpha="auto".*Got alpha=0.1'):
        run(model, X, {id(model): {"return_std": True}})


@cache
def fitted_with(noise, seed, *, matrix=False, dtype=np.float64, **settings):
    """Return a regressor with another noise, and the targets it was fitted to: from 1, which every loss knows."""
    y = 1.0 + np.random.default_rng(seed).poisson(np.exp(0.5 + 0.3 * wave))
    y = np.column_stack([y, 1.0 + X[:, 1] / 100.0 + np.abs(X[:, 0]) * y[::-1]]) if matrix else y
    model = TwoLayerRegressor(5, random_state=seed).set_params(**settings)
    return model.set_params(**dict([noise])).fit(X.astype(dtype), y.astype(dtype))


every_noise = pytest.mark.parametrize(
    "noise",
    [("loss", "student_t"), ("loss", "poisson"), ("loss", "gamma"), ("noise", "inputs")],
    ids=lambda pair: pair[1],
)


@every_noise
@every_type
@pytest.mark.parametrize("matrix", [False, True])
@pytest.mark.parametrize("include_noise", [True, False])
@seeds(3)
def test_deviations_under_every_noise(noise, dtype, tolerance, matrix, include_noise, seed):
    model, rows = fitted_with(noise, seed, matrix=matrix), np.vstack([X, 1.5 * X]).astype(dtype)
    exported = run(model, rows, {id(model): {"return_std": True, "include_noise": include_noise}})
    expected = model.predict(rows, return_std=True, include_noise=include_noise)
    for its, ours in zip(exported, expected, strict=True):
        assert its.dtype == dtype
        assert_close(its, ours.reshape(len(rows), -1), 10.0 * tolerance)


@every_noise
def test_deviations_of_an_average_of_starts_and_of_a_fit_in_float32(noise):
    for model, dtype, tolerance in [
        (fitted_with(noise, 0, n_init=3, restarts="average"), np.float64, 1e-10),
        (fitted_with(noise, 0, dtype=np.float32), np.float32, 1e-3),
    ]:
        rows = X.astype(dtype)
        exported = run(model, rows, {id(model): {"return_std": True}})
        for its, ours in zip(exported, model.predict(rows, return_std=True), strict=True):
            np.testing.assert_allclose(its[:, 0], ours, rtol=tolerance)


def test_a_deviation_that_is_infinite_is_so_in_the_graph():
    rng_of_t = np.random.default_rng(0)
    y = X[:, 0] + 0.1 * rng_of_t.standard_t(1.0, len(X))
    model = TwoLayerRegressor(3, loss="student_t", random_state=0).fit(X, y)
    assert model.degrees_of_freedom_[0] < 2.0
    assert np.isinf(run(model, X, {id(model): {"return_std": True}})[1]).all()


@pytest.mark.parametrize("loss", ["poisson", "gamma"])
def test_far_away_a_deviation_is_a_large_number(loss):
    model = fitted_with(("loss", loss), 0)
    rows = 1e3 * X
    _, std = run(model, rows, {id(model): {"return_std": True}})
    np.testing.assert_allclose(std[:, 0], model.predict(rows, return_std=True)[1], rtol=1e-6)


def test_an_unknown_option_is_an_error():
    model = fitted("one", NUMBER)
    with pytest.raises(NameError, match="return_cov"):
        run(model, X, {id(model): {"return_cov": True}})


# ------------------------------------------------------------------------------------------------------- classification


@every_type
@every_case
@every_kind_of_label
def test_classification(target, settings, dtype, tolerance):
    model, rows = fitted(target, settings), X.astype(dtype)
    labels, probabilities = run(model, rows, {id(model): {"zipmap": False}})
    np.testing.assert_array_equal(labels, model.predict(rows))
    assert (labels.dtype, probabilities.dtype) == (np.int64, dtype)
    assert_close(probabilities, model.predict_proba(rows), tolerance)


@every_type
@pytest.mark.parametrize("settings", [EVIDENCE, NUMBER], ids=["evidence", "number"])
@every_kind_of_label
def test_raw_scores(target, settings, dtype, tolerance):
    model, rows = fitted(target, settings), X.astype(dtype)
    labels, scores = run(model, rows, {id(model): {"zipmap": False, "raw_scores": True}})
    expected = model.decision_function(rows)
    np.testing.assert_array_equal(labels, model.predict(rows))
    assert_close(scores, np.column_stack([-expected, expected]) if target == "two" else expected, tolerance)


def test_probabilities_are_moderated():
    """A graph of the plain network would be off by far more than any tolerance here."""
    model = fitted("several")
    exported = run(model, X, {id(model): {"zipmap": False}})[1]
    assert np.abs(exported - model.to_mlp().predict_proba(X)).max() > 1e-3


NAMES = np.array(["low", "middle", "high"])


@pytest.mark.parametrize(
    ("y", "dtype"),
    [
        (NAMES[SEVERAL], object),
        (NAMES[TWO].astype(object), object),
        (pd.Series(NAMES[SEVERAL], dtype="category"), object),
        (SEVERAL - 7, np.int64),
        (SEVERAL.astype(np.int8), np.int64),
        (TWO.astype(bool), np.int64),
        (SEVERAL.astype(float), np.int64),
    ],
    ids=["text", "objects", "categories", "negative", "int8", "bool", "float"],
)
@pytest.mark.parametrize("zipmap", [True, False])
def test_labels(y, dtype, zipmap):
    """Maps from labels to probabilities are for float32 alone, in onnxruntime."""
    model, rows = TwoLayerClassifier(5, alpha=1.0, random_state=0).fit(X, y), X.astype(np.float32)
    labels, probabilities = run(model, rows, {id(model): {"zipmap": zipmap}})
    assert labels.tolist() == model.predict(X).tolist()
    assert np.asarray(labels).dtype == dtype
    if zipmap:
        assert [list(row) for row in probabilities[:2]] == [model.classes_.tolist()] * 2
        probabilities = [list(row.values()) for row in probabilities]
    np.testing.assert_allclose(probabilities, model.predict_proba(X), atol=1e-5)


def test_options_of_classifiers():
    """Columns by label; positions in place of labels; the labels as an output of their own."""
    model = TwoLayerClassifier(5, alpha=1.0, random_state=0).fit(X, NAMES[SEVERAL])
    p = model.predict_proba(X)
    _, *columns = run(model, X, {id(model): {"zipmap": "columns"}})
    np.testing.assert_allclose(np.column_stack(columns), p, atol=1e-12)
    positions, _ = run(model, X, {id(model): {"zipmap": False, "nocl": True}})
    np.testing.assert_array_equal(positions, p.argmax(axis=1))
    _, _, classes = run(model, X, {id(model): {"zipmap": False, "output_class_labels": True}})
    np.testing.assert_array_equal(classes, model.classes_)


def test_the_default_for_several_labels():
    model = fitted("multilabel", NUMBER)
    labels, probabilities = run(model, X.astype(np.float32))
    np.testing.assert_array_equal(labels, model.predict(X))
    np.testing.assert_allclose([list(row.values()) for row in probabilities], model.predict_proba(X), atol=1e-5)


# ------------------------------------------------------------------------------------------------------------ pipelines


@pytest.mark.parametrize("model", [TwoLayerRegressor(5, random_state=0), TwoLayerClassifier(5, random_state=0)])
def test_in_a_pipeline(model):
    rows = X.astype(np.float32)
    pipeline = make_pipeline(StandardScaler(), model).fit(rows, TWO)
    options = {id(pipeline): {"zipmap": False}} if hasattr(pipeline, "predict_proba") else {}
    outputs = run(pipeline, rows, options)
    np.testing.assert_allclose(outputs[0].ravel(), pipeline.predict(rows), atol=1e-5)
    if options:
        np.testing.assert_allclose(outputs[1], pipeline.predict_proba(rows), atol=1e-5)


def test_standard_deviations_in_a_pipeline():
    pipeline = make_pipeline(StandardScaler(), TwoLayerRegressor(5, random_state=0)).fit(X, NUMBERS)
    y, std = run(pipeline, X, {id(pipeline[-1]): {"return_std": True}})
    expected = pipeline.predict(X, return_std=True)
    np.testing.assert_allclose(y[:, 0], expected[0], rtol=1e-10)
    np.testing.assert_allclose(std[:, 0], expected[1], rtol=1e-10)


@pytest.mark.parametrize("model", [TwoLayerRegressor(5, random_state=0), TwoLayerClassifier(5, random_state=0)])
def test_numbers_and_categories_in_columns(model):
    types = skl2onnx.common.data_types
    frame = pd.DataFrame({"age": X[:, 1], "size": X[:, 2], "color": NAMES[SEVERAL], "place": NAMES[TWO]})
    coding = make_column_transformer(
        (OneHotEncoder(handle_unknown="ignore"), ["color", "place"]), (StandardScaler(), ["age", "size"])
    )
    pipeline = make_pipeline(coding, model).fit(frame, TWO)
    columns = {
        name: (types.StringTensorType, frame[[name]].to_numpy(dtype=object))
        if name in ("color", "place")
        else (types.FloatTensorType, frame[[name]].to_numpy(np.float32))
        for name in frame
    }
    options = {id(model): {"zipmap": False}} if hasattr(pipeline, "predict_proba") else None
    outputs = run(pipeline, columns, options)
    np.testing.assert_allclose(outputs[0].ravel(), pipeline.predict(frame), atol=1e-5)
    if options:
        np.testing.assert_allclose(outputs[1], pipeline.predict_proba(frame), atol=1e-5)


def test_in_a_search():
    search = GridSearchCV(TwoLayerClassifier(4, random_state=0), {"alpha": [0.1, 1.0]}, cv=2).fit(X, SEVERAL)
    labels, probabilities = run(search, X, {id(search): {"zipmap": False}})
    np.testing.assert_array_equal(labels, search.predict(X))
    np.testing.assert_allclose(probabilities, search.predict_proba(X), atol=1e-12)


# ---------------------------------------------------------------------------------------------------------------- graph


@pytest.mark.parametrize("target_opset", [13, 15, 18])
@every_kind_of_label
def test_older_opsets(target, target_opset):
    model = fitted(target)
    _, p = run(model, X, {id(model): {"zipmap": False}}, {"": target_opset, "ai.onnx.ml": 1})
    np.testing.assert_allclose(p, model.predict_proba(X), atol=1e-12)


@pytest.mark.parametrize("n_rows", [0, 1, 7])
def test_any_number_of_rows(n_rows):
    regressor, classifier = fitted("columns"), fitted("two")
    y, std = run(regressor, X[:n_rows], {id(regressor): {"return_std": True}})
    assert y.shape == std.shape == (n_rows, 2)
    labels, p = run(classifier, X[:n_rows], {id(classifier): {"zipmap": False}})
    assert labels.shape == (n_rows,)
    assert p.shape == (n_rows, 2)


def test_integers_are_computed_with_in_float32():
    model, rows = fitted("one"), np.rint(X).astype(np.int64)
    (exported,) = run(model, rows)
    assert exported.dtype == np.float32
    assert_close(exported, model.predict(rows)[:, np.newaxis], 1e-5)


@pytest.mark.parametrize("target", ["one", "several"])
def test_several_inputs_are_for_a_column_transformer_to_join(target):
    doubles = skl2onnx.common.data_types.DoubleTensorType
    columns = {f"x{j}": (doubles, X[:, [j]]) for j in range(X.shape[1])}
    with pytest.raises(skl2onnx.common.utils.InvalidInputLengthException, match=r"at most 1 input"):
        run(fitted(target), columns)
