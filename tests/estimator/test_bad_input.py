"""What does bad input get: an error that names the thing, the rule and the value, or a correct finite fit?"""

import inspect
import re
from functools import partial

import numpy as np
import pandas as pd
import pytest
from scipy.sparse import csr_array
from sklearn.exceptions import ConvergenceWarning, NotFittedError

from sk2layer import TwoLayerClassifier, TwoLayerRegressor
from sk2layer.estimator.base import BaseTwoLayer
from sk2layer.model.activations import ACTIVATIONS
from sk2layer.solvers import SGD, SOLVERS, Adam, GradientDescent

every_estimator = pytest.mark.parametrize("Estimator", [TwoLayerRegressor, TwoLayerClassifier])
every_solver = pytest.mark.parametrize("solver", SOLVERS)
ignore_no_convergence = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

rng = np.random.default_rng(0)
X = rng.normal(size=(30, 3))
NUMBERS = X[:, 0] + np.sin(X[:, 1])
LABELS = (NUMBERS > 0.0).astype(int)


def target(Estimator):
    return NUMBERS if Estimator is TwoLayerRegressor else LABELS


def spoiled(array, value):
    array = np.array(array, dtype=float)
    array.flat[1] = value
    return array


def error(message):
    return pytest.raises(ValueError, match=message)


def outputs(model, X):
    return model.predict_proba(X) if isinstance(model, TwoLayerClassifier) else model.predict(X)


# ----------------------------------------------------------------------------------------------------- NaN and infinity

NOT_FINITE = [
    pytest.param(np.nan, "NaN", id="NaN"),
    pytest.param(np.inf, "infinity", id="infinity"),
    pytest.param(-np.inf, "infinity", id="-infinity"),
]


@every_estimator
@pytest.mark.parametrize(("value", "name"), NOT_FINITE)
def test_values_that_are_not_finite(Estimator, value, name):
    y, model, ones = target(Estimator), Estimator(2), np.ones(30)
    with error(f"Input X contains {name}"):
        model.fit(spoiled(X, value), y)
    with error(f"Input X contains {name}"):
        model.fit(csr_array(spoiled(X, value)), y)
    with error(f"Input y contains {name}"):
        model.fit(X, spoiled(y, value))
    with error(f"Input sample_weight contains {name}"):
        model.fit(X, y, spoiled(ones, value))
    with error(f"X_val: Input X contains {name}"):
        model.fit(X, y, X_val=spoiled(X, value), y_val=y)
    with error(f"Input y_val contains {name}"):
        model.fit(X, y, X_val=X, y_val=spoiled(y, value))
    with error(f"Input sample_weight_val contains {name}"):
        model.fit(X, y, X_val=X, y_val=y, sample_weight_val=spoiled(ones, value))
    assert not hasattr(model, "coefs_")


@every_estimator
@pytest.mark.parametrize(("value", "name"), NOT_FINITE)
def test_weights_to_start_from_that_are_not_finite(Estimator, value, name):
    W1, W2, b1, b2 = np.ones((3, 2)), np.ones((2, 1)), np.ones(2), np.ones(1)
    with error(f"Input coefs_init contains {name}"):
        Estimator(2).fit(X, target(Estimator), coefs_init=[spoiled(W1, value), W2], intercepts_init=[b1, b2])
    with error(f"Input intercepts_init contains {name}"):
        Estimator(2).fit(X, target(Estimator), coefs_init=[W1, W2], intercepts_init=[spoiled(b1, value), b2])


@ignore_no_convergence
@every_estimator
@pytest.mark.parametrize(("value", "name"), NOT_FINITE)
def test_predict_for_values_that_are_not_finite(Estimator, value, name):
    model = Estimator(2, max_iter=1).fit(X, target(Estimator))
    with error(f"Input X contains {name}"):
        model.predict(spoiled(X, value))


def test_missing_labels():
    with error("y: Input contains NaN"):
        TwoLayerClassifier().fit(X, np.array([np.nan, "a", "b"] * 10, dtype=object))


# ----------------------------------------------------------------------------------------------------------- parameters

PARAMETERS = [
    ("hidden_units", [0, -1, 2.5, "20", None], r"an int in the range \[1, inf\)"),
    ("activation", ["logistic", "Sigmoid", None, np.tanh], "a str among {.*'identity'.*}"),
    ("solver", ["newton", "", None, Adam, 3], "a str among {.*'lbfgs'.*} or an instance of 'sk2layer.solvers"),
    ("alpha", [-1.0, "automatic", None, [1.0]], r"a float in the range \[0(.0)?, inf\) or a str among {.*'auto'"),
    ("standardize", ["yes", None, 0.5], "'bool'"),
    ("max_iter", [0, -5, 10.5, "many", None], r"an int in the range \[1, inf\)"),
    ("tol", [-1e-9, "small", None], r"a float in the range \[0(.0)?, inf\)"),
    ("early_stopping", ["yes", None], "'bool'"),
    ("validation_fraction", [0.0, 1.0, -0.1, 2, "half"], r"a float in the range \(0(.0)?, 1(.0)?\)"),
    ("n_iter_no_change", [0, 1.5, None, float("nan")], r"an int in the range \[1, inf\) or a float among {inf}"),
    ("n_init", [0, 1.5, None], r"an int in the range \[1, inf\)"),
    ("warm_start", ["yes", None], "'bool'"),
    ("n_jobs", [1.5, "all"], "'int'"),
    ("random_state", ["seed", -1, 0.5], "RandomState"),
    ("verbose", [-1, "yes", None], r"'bool'.* or an int in the range \[0, inf\)"),
]


def cases(table):
    return [pytest.param(name, value, rule, id=f"{name}={value}") for name, values, rule in table for value in values]


@every_estimator
@pytest.mark.parametrize(("name", "value", "rule"), cases(PARAMETERS))
def test_wrong_parameters(Estimator, name, value, rule):
    with pytest.raises((ValueError, TypeError)) as caught:
        Estimator(**{name: value}).fit(X, target(Estimator))
    message = str(caught.value)
    assert f"The '{name}' parameter of {Estimator.__name__} must be" in message
    assert re.search(rule, message)
    assert f"Got {value!r} instead" in message


@every_estimator
def test_unknown_names_come_with_the_choices(Estimator):
    for name, choices in [("solver", ["auto", *SOLVERS]), ("activation", ACTIVATIONS)]:
        with error(f"The '{name}' parameter") as caught:
            Estimator(**{name: "best"}).fit(X, target(Estimator))
        assert all(f"'{choice}'" in str(caught.value) for choice in choices)


def test_what_scikit_learn_calls_otherwise_is_translated():
    with error("'sigmoid' is what scikit-learn calls 'logistic'"):
        TwoLayerRegressor(activation="logistic").fit(X, NUMBERS)


@every_estimator
def test_arguments_that_are_no_parameters(Estimator):
    name = Estimator.__name__
    with pytest.raises(TypeError, match=rf"^{name}: .*'hidden_layer_sizes'.* are hidden_units, .* is hidden_units\)"):
        Estimator(hidden_layer_sizes=(10,))
    with pytest.raises(TypeError, match=rf"^{name}: .*'batch_size'.* Its parameters are hidden_units, .*, verbose"):
        Estimator(batch_size=10)
    with pytest.raises(TypeError, match=rf"^{name}: too many positional arguments. Its parameters are hidden_units"):
        Estimator(10, "tanh")
    assert [*inspect.signature(Estimator).parameters] == [*inspect.signature(BaseTwoLayer).parameters] + (
        ["class_weight"] if Estimator is TwoLayerClassifier else ["noise", "loss"]
    )


@pytest.mark.parametrize(
    ("missing", "container"),
    [
        (None, np.asarray),
        (None, list),
        (pd.NA, np.asarray),
        (pd.NA, partial(pd.Series, dtype="string")),
        (3, np.asarray),
    ],
)
def test_labels_of_several_types(missing, container):
    names, spoilt = (np.where(LABELS, "yes", "no").astype(object) for _ in range(2))
    spoilt[4] = missing
    for name, call in {
        "y": lambda: TwoLayerClassifier().fit(X, container(spoilt)),
        "y_val": lambda: TwoLayerClassifier().fit(X, names, X_val=X, y_val=container(spoilt)),
        "classes": lambda: TwoLayerClassifier(solver="adam").partial_fit(X, names, classes=container(spoilt)),
    }.items():
        with error(rf"^{name} must have labels of one type, none of them missing. Got (NAType|NoneType|int), str\."):
            call()


@pytest.mark.parametrize(("value", "kind"), [(pd.NA, TypeError), ("seven", ValueError)])
def test_what_is_no_number_is_named(value, kind):
    spoilt, weight = NUMBERS.astype(object), np.ones(30).astype(object)
    spoilt[4] = weight[4] = value
    columns = X.astype(object)
    columns[4, 1] = value
    model = TwoLayerRegressor()
    for name, call in {
        "X": lambda: model.fit(columns, NUMBERS),
        "y": lambda: model.fit(X, spoilt),
        "sample_weight": lambda: model.fit(X, NUMBERS, weight),
        "X_val": lambda: model.fit(X, NUMBERS, X_val=columns, y_val=NUMBERS),
        "y_val": lambda: model.fit(X, NUMBERS, X_val=X, y_val=spoilt),
        "sample_weight_val": lambda: model.fit(X, NUMBERS, X_val=X, y_val=NUMBERS, sample_weight_val=weight),
    }.items():
        with pytest.raises(kind, match=rf"^{name}: "):
            call()


@pytest.mark.parametrize("n_rows", [26, 40])
def test_many_classes_in_a_batch_are_no_surprise(n_rows):
    letters = np.array(list("abcdefghijklmnopqrstuvwxyz"))
    rows = np.random.default_rng(0).normal(size=(n_rows, 2))
    model = TwoLayerClassifier(2, solver="adam", random_state=0)
    for _ in range(2):
        model.partial_fit(rows, letters[np.arange(n_rows) % 26], classes=letters)
    assert model.classes_.tolist() == letters.tolist()


@pytest.mark.parametrize("class_weight", ["balance", 3, [1.0, 2.0]])
def test_wrong_class_weight(class_weight):
    with error(
        r"The 'class_weight' parameter of TwoLayerClassifier must be .*'dict', a str among {'balanced'} or None"
    ):
        TwoLayerClassifier(class_weight=class_weight).fit(X, LABELS)


@pytest.mark.parametrize(
    "class_weight", [{5: -1.0}, {1: -1.0}, {1: np.nan}, {1: np.inf}, {1: "a"}, {"1": 1.0}], ids=str
)
def test_class_weights_of_another_kind_of_label_or_no_number(class_weight):
    message = f"class_weight must give numbers >= 0 to labels like [0, 1]. Got {class_weight}."
    with error(re.escape(message)):
        TwoLayerClassifier(class_weight=class_weight).fit(X, LABELS)


@every_solver
def test_class_weights_that_leave_nothing(solver):
    with error(r"class_weight must not be zero for all samples, .* Got {0: 0, 1: 0}"):
        TwoLayerClassifier(solver=solver, class_weight={0: 0, 1: 0}).fit(X, LABELS)


def test_class_weights_of_several_labels():
    with error("class_weight must be None where there are several labels per sample"):
        TwoLayerClassifier(class_weight="balanced").fit(X, np.column_stack([LABELS, LABELS]))


SOLVER_PARAMETERS = [
    (GradientDescent, "learning_rate", [0.0, -0.1, "fast", None], r"a float in the range \(0(.0)?, inf\)"),
    (SGD, "learning_rate", [0.0, -0.1], r"a float in the range \(0(.0)?, inf\)"),
    (SGD, "momentum", [-0.1, 1.0, "some"], r"a float in the range \[0(.0)?, 1(.0)?\)"),
    (SGD, "nesterov", ["yes"], "'bool'"),
    (SGD, "schedule", ["linear", None], "a str among {.*'adaptive'.*}"),
    (SGD, "power_t", [-1.0], r"a float in the range \[0(.0)?, inf\)"),
    (SGD, "batch_size", [0, 1.5, "all"], r"an int in the range \[1, inf\) or a str among {'auto'}"),
    (SGD, "shuffle", ["yes"], "'bool'"),
    (Adam, "learning_rate", [0.0], r"a float in the range \(0(.0)?, inf\)"),
    (Adam, "beta_1", [1.0, -0.1], r"a float in the range \[0(.0)?, 1(.0)?\)"),
    (Adam, "beta_2", [1.0, -0.1], r"a float in the range \[0(.0)?, 1(.0)?\)"),
    (Adam, "epsilon", [0.0], r"a float in the range \(0(.0)?, inf\)"),
    (Adam, "batch_size", [0], r"an int in the range \[1, inf\) or a str among {'auto'}"),
    (SOLVERS["lbfgs"], "n_corrections", [0, 2.5], r"an int in the range \[1, inf\)"),
    (SOLVERS["lbfgs"], "max_line_search", [0], r"an int in the range \[1, inf\)"),
]


@pytest.mark.parametrize(
    ("Solver", "name", "value", "rule"),
    [
        pytest.param(*row[:2], value, row[3], id=f"{row[0].__name__}({row[1]}={value})")
        for row in SOLVER_PARAMETERS
        for value in row[2]
    ],
)
def test_wrong_parameters_of_a_solver(Solver, name, value, rule):
    with error(f"The '{name}' parameter of {Solver.__name__} must be .*{rule}.* Got {value!r} instead"):
        TwoLayerRegressor(solver=Solver(**{name: value})).fit(X, NUMBERS)


def test_parameters_that_a_solver_does_not_have():
    with error("Invalid parameter 'momentum' for estimator GradientDescent"):
        TwoLayerRegressor(solver="gd").set_params(solver__momentum=0.5)
    with error(r"solver='auto' has no parameters to set \(solver__momentum\). Name one of .*'adam'"):
        TwoLayerRegressor().set_params(solver__momentum=0.5)
    with error("Invalid parameter 'size'"):
        TwoLayerRegressor().set_params(size=3)


# --------------------------------------------------------------------------------------------------------------- shapes


@every_estimator
def test_lengths_that_differ(Estimator):
    y, model = target(Estimator), Estimator(2)
    with error(r"inconsistent numbers of samples: \[30, 29\]"):
        model.fit(X, y[:-1])
    with error(r"inconsistent numbers of samples: \[30, 5\]"):
        model.fit(X, y, X_val=X, y_val=y[:5])
    with error(r"sample_weight must be 1D, one weight per sample: shape \(30,\). Got shape \(5,\)"):
        model.fit(X, y, np.ones(5))
    with error(r"sample_weight must be 1D, one weight per sample: shape \(30,\). Got shape \(30, 1\)"):
        model.fit(X, y, np.ones((30, 1)))
    with error(r"sample_weight_val must be 1D, one weight per sample: shape \(30,\). Got shape \(3,\)"):
        model.fit(X, y, X_val=X, y_val=y, sample_weight_val=np.ones(3))


@ignore_no_convergence
@every_estimator
def test_another_number_of_features(Estimator):
    y, model = target(Estimator), Estimator(2, max_iter=1)
    with error(f"X_val: X has 2 features, but {Estimator.__name__} is expecting 3 features"):
        model.fit(X, y, X_val=X[:, :2], y_val=y)
    model.fit(X, y)
    for method in ["predict", "predict_proba", "decision_function"] if Estimator is TwoLayerClassifier else ["predict"]:
        with error(f"X has 4 features, but {Estimator.__name__} is expecting 3 features"):
            getattr(model, method)(np.hstack([X, X[:, :1]]))


@every_estimator
def test_arrays_of_other_dimensions(Estimator):
    y = target(Estimator)
    with error("Expected 2D array, got 1D array"):
        Estimator().fit(X[:, 0], y)
    with error("Found array with dim 3"):
        Estimator().fit(X[np.newaxis], y)
    with error("Found array with 0 feature"):
        Estimator().fit(X[:, :0], y)
    with error("Found array with 0 sample"):
        Estimator().fit(X[:0], y[:0])
    with error("requires y to be passed, but the target y is None"):
        Estimator().fit(X, None)
    with error("could not convert string to float"):
        Estimator().fit([["a"]] * 30, y)


def test_targets_of_other_dimensions():
    with error("Found array with dim 3"):
        TwoLayerRegressor().fit(X, np.ones((30, 2, 2)))
    with error(r"y must have shape \(n_samples,\) or \(n_samples, n_outputs\). Got \(\)"):
        TwoLayerRegressor().fit(X, 3.0)
    with error(r"y_val must have 1 column\(s\). Got 2"):
        TwoLayerRegressor().fit(X, NUMBERS, X_val=X, y_val=np.column_stack([NUMBERS, NUMBERS]))
    with error("could not convert string to float"):
        TwoLayerRegressor().fit(X, ["a"] * 30)


@every_estimator
def test_validation_data_in_part(Estimator):
    y = target(Estimator)
    for part in ({"X_val": X}, {"y_val": y}):
        with error("X_val and y_val must be given together. Got one of them only"):
            Estimator().fit(X, y, **part)
    with error("sample_weight_val is given without X_val and y_val"):
        Estimator().fit(X, y, sample_weight_val=np.ones(30))


@every_estimator
def test_weights_to_start_from_of_another_network(Estimator):
    y, model = target(Estimator), Estimator(2)
    coefs, intercepts = [np.ones((3, 2)), np.ones((2, 1))], [np.ones(2), np.ones(1)]
    for part in ({"coefs_init": coefs}, {"intercepts_init": intercepts}):
        with error("coefs_init and intercepts_init must be given together. Got one of them only"):
            model.fit(X, y, **part)
    with error(re.escape("coefs_init must have the shapes [(3, 2), (2, 1)]. Got [(2, 3), (2, 1)]")):
        model.fit(X, y, coefs_init=[coefs[0].T, coefs[1]], intercepts_init=intercepts)
    with error(re.escape("intercepts_init must have the shapes [(2,), (1,)]. Got [(2,), (3,)]")):
        model.fit(X, y, coefs_init=coefs, intercepts_init=[intercepts[0], np.ones(3)])
    with error(r"coefs_init must be a list of two arrays, one for each layer. Got 3"):
        model.fit(X, y, coefs_init=[*coefs, np.ones((1, 1))], intercepts_init=intercepts)
    with error(r"intercepts_init must be a list of two arrays, one for each layer. Got 7"):
        model.fit(X, y, coefs_init=coefs, intercepts_init=7)
    with error("n_init must be 1 where coefs_init gives the start. Got 3"):
        model.set_params(n_init=3).fit(X, y, coefs_init=coefs, intercepts_init=intercepts)


# --------------------------------------------------------------------------------------------------------------- labels


@pytest.mark.parametrize("labels", [np.zeros(30, dtype=int), ["a"] * 30, [True] * 30])
@pytest.mark.parametrize("early_stopping", [False, True])
def test_one_class(labels, early_stopping):
    with error(re.escape(f"y must have at least two classes. Got one class: {np.unique(labels).tolist()}.")):
        TwoLayerClassifier(early_stopping=early_stopping).fit(X, labels)


def test_unseen_labels_in_validation_data():
    with error(re.escape("y_val must have labels out of [0, 1]. Got unseen labels: [5, 6].")):
        TwoLayerClassifier().fit(X, LABELS, X_val=X, y_val=LABELS + 5)
    names = np.array(["no", "yes"])[LABELS]
    with error(re.escape("y_val must have labels out of ['no', 'yes']. Got unseen labels: ['yesterday'].")):
        TwoLayerClassifier().fit(X, names, X_val=X, y_val=np.where(names == "yes", "yesterday", "no"))
    with error(re.escape("y_val must have labels out of [0, 1]. Got unseen labels: [0.5].")):
        TwoLayerClassifier().fit(X, LABELS, X_val=X, y_val=0.5 * LABELS)
    with error(re.escape("y_val must have labels out of [0, 1]. Got unseen labels: ['no', 'yes'].")):
        TwoLayerClassifier().fit(X, LABELS, X_val=X, y_val=names)


def test_targets_that_are_no_labels():
    with error("Unknown label type: continuous"):
        TwoLayerClassifier().fit(X, NUMBERS)
    with error("y must be one column of labels or a matrix of 0 and 1. Got several columns of labels"):
        TwoLayerClassifier().fit(X, np.column_stack([LABELS, np.arange(30) % 3]))
    with error("y must be a matrix of 0 and 1"):
        TwoLayerClassifier().fit(X, 2 * np.column_stack([LABELS, LABELS]))


def test_validation_labels_of_another_kind():
    several = np.column_stack([LABELS, LABELS])
    with error(r"y_val must be a matrix of 0 and 1, as in the first fit. Got shape \(30,\)"):
        TwoLayerClassifier().fit(X, several, X_val=X, y_val=LABELS)
    with error("y_val must have 2 columns, one for each label. Got 3"):
        TwoLayerClassifier().fit(X, several, X_val=X, y_val=np.column_stack([LABELS] * 3))
    with error("y_val must be a matrix of 0 and 1"):
        TwoLayerClassifier().fit(X, several, X_val=X, y_val=3 * several)
    with error("y should be a 1d array, got an array of shape"):
        TwoLayerClassifier().fit(X, LABELS, X_val=X, y_val=several)


# -------------------------------------------------------------------------------------------------------------- weights


@every_estimator
@every_solver
def test_weights_that_leave_nothing(Estimator, solver):
    y, model = target(Estimator), Estimator(2, solver=solver)
    with error("sample_weight must not be zero for all samples, and its sum must be at most 1e.30. Got 0"):
        model.fit(X, y, np.zeros(30))
    with error("sample_weight must not be zero for all samples, and its sum must be at most 1e.30. Got inf"):
        model.fit(X, y, np.full(30, 1e308))
    with error("sample_weight must not be negative. Got -2"):
        model.fit(X, y, spoiled(np.ones(30), -2.0))
    with error("sample_weight_val must not be zero for all samples"):
        model.fit(X, y, X_val=X, y_val=y, sample_weight_val=np.zeros(30))


# ------------------------------------------------------------------------------------------ data that are hard to scale


@ignore_no_convergence
@every_solver
@pytest.mark.parametrize("standardize", [False, True], ids=["raw", "standardized"])
@pytest.mark.parametrize("n_outputs", [1, 2])
def test_constant_targets_are_predicted(solver, standardize, n_outputs):
    y = np.full((30, n_outputs), 3.0)
    model = TwoLayerRegressor(2, solver=solver, standardize=standardize, random_state=0, max_iter=500)
    model.set_params(n_iter_no_change=100)
    np.testing.assert_allclose(model.fit(X, y).predict(X), y, atol=0.2 if not standardize else 1e-12)


@pytest.mark.filterwarnings("error")
@every_solver
@pytest.mark.parametrize("standardize", [False, True], ids=["raw", "standardized"])
def test_one_sample(solver, standardize):
    model = TwoLayerRegressor(2, solver=solver, standardize=standardize, random_state=0, max_iter=5000, tol=1e-3)
    model.set_params(n_iter_no_change=200)
    np.testing.assert_allclose(model.fit(X[:1], [7.0]).predict(X[:1]), 7.0, atol=0.1 if not standardize else 1e-12)


def test_one_sample_and_early_stopping():
    with error("early_stopping=True needs n_samples >= 2 to set some aside. Got n_samples = 1. Pass X_val and y_val"):
        TwoLayerRegressor(early_stopping=True).fit(X[:1], [7.0])
    model = TwoLayerRegressor(early_stopping=True).fit(X[:1], [7.0], X_val=X[:1], y_val=[7.0])
    np.testing.assert_allclose(model.predict(X[:1]), 7.0)


@ignore_no_convergence
@pytest.mark.parametrize("validation_fraction", [0.001, 0.999])
@pytest.mark.parametrize("n_samples", [2, 3, 30])
def test_a_fraction_that_would_leave_nothing_leaves_one_row(validation_fraction, n_samples):
    model = TwoLayerRegressor(2, early_stopping=True, validation_fraction=validation_fraction, max_iter=3)
    assert np.isfinite(model.fit(X[:n_samples], NUMBERS[:n_samples]).predict(X)).all()


@ignore_no_convergence
@every_estimator
@every_solver
def test_more_features_than_samples(Estimator, solver):
    rows = X[:4, :].repeat(20, axis=1) + 0.1 * np.random.default_rng(1).normal(size=(4, 60))
    y = target(Estimator)[:4] if Estimator is TwoLayerRegressor else [0, 1, 0, 1]
    model = Estimator(3, solver=solver, random_state=0, alpha=0.1).fit(rows, y)
    assert np.isfinite(outputs(model, rows)).all()
    assert model.score(rows, y) > 0.8


@ignore_no_convergence
@every_estimator
@every_solver
def test_constant_and_duplicate_columns(Estimator, solver):
    """A constant column changes nothing, and gets the weight zero."""
    y = target(Estimator)
    rows = np.hstack([X, X, np.full((30, 1), 7.0), np.zeros((30, 1))])
    model = Estimator(3, solver=solver, random_state=0).fit(rows, y)
    assert not model.coefs_[0][6:].any()
    assert np.isfinite(outputs(model, rows)).all()
    other = rows.copy()
    other[:, 6:] = 1e6
    np.testing.assert_array_equal(outputs(model, other), outputs(model, rows))


@ignore_no_convergence
@every_estimator
@every_solver
def test_columns_of_any_scale(Estimator, solver):
    """Powers of two near 1e-12 and 1e+12, so that the results are the same to rounding."""
    y, scales = target(Estimator), np.array([2.0**-40, 2.0**40, 1.0])
    model = Estimator(3, solver=solver, random_state=0, max_iter=20)
    expected = outputs(model.fit(X, y), X)
    np.testing.assert_allclose(outputs(model.fit(X * scales, y), X * scales), expected, rtol=1e-9)


@ignore_no_convergence
@every_solver
def test_targets_of_a_large_scale(solver):
    model = TwoLayerRegressor(3, solver=solver, random_state=0, max_iter=20)
    expected = model.fit(X, NUMBERS).predict(X)
    np.testing.assert_allclose(model.fit(X, 2.0**30 * NUMBERS).predict(X) / 2.0**30, expected, rtol=1e-9)


@every_solver
def test_numbers_whose_squares_are_not_finite(solver):
    with error("Column 0 of X spreads too widely to be standardised: .* must be from 1e-145 to 1e.154 in float64"):
        TwoLayerRegressor(solver=solver).fit(1e200 * X, NUMBERS)
    with error("Column 0 of y spreads too widely to be standardised"):
        TwoLayerRegressor(solver=solver).fit(X, 1e200 * NUMBERS)
    with error(r"diverged at iteration 1: the objective is not finite"):
        TwoLayerRegressor(solver=solver, standardize=False, alpha=1.0).fit(X, 1e200 * NUMBERS)


@pytest.mark.parametrize("solver", ["auto", *SOLVERS])
@pytest.mark.parametrize(("x_unit", "y_unit"), [(1.0, 1e200), (1.0, 1e155), (1e200, 1.0), (1.0, 1e-160)])
def test_numbers_out_of_range_have_no_evidence(solver, x_unit, y_unit):
    model = TwoLayerRegressor(3, solver=solver, alpha="evidence", standardize=False, random_state=0)
    with error("The evidence of the penalty is not a finite number: X or y are too .* Set standardize=True"):
        model.fit(x_unit * X, y_unit * NUMBERS)
    if y_unit == 1.0:
        with error("The evidence of the penalty is not a finite number"):
            TwoLayerClassifier(3, solver=solver, alpha="evidence", standardize=False).fit(x_unit * X, NUMBERS > 0.0)


# ----------------------------------------------------------------------------------------------------------- divergence


@every_estimator
@pytest.mark.parametrize("standardize", [False, True], ids=["raw", "standardized"])
@pytest.mark.parametrize("solver", [GradientDescent, SGD, Adam])
def test_divergence_to_infinity_is_an_error(Estimator, standardize, solver):
    y, model = target(Estimator), Estimator(3, solver=solver(learning_rate=1e200), standardize=standardize)
    message = (
        rf"{solver.__name__}\(learning_rate=1e\+200\) diverged at iteration \d+: .*learning_rate=1e\+200 is too large"
    )
    with error(message):
        model.fit(X, y)
    assert not hasattr(model, "coefs_")
    with pytest.raises(NotFittedError):
        model.predict(X)


@every_estimator
@pytest.mark.parametrize("solver", [SGD(learning_rate=1e3), Adam(learning_rate=1e3)], ids=str)
def test_a_rising_objective_is_a_warning(Estimator, solver):
    model = Estimator(3, solver=solver, random_state=0)
    with pytest.warns(ConvergenceWarning, match=r"the objective rose from .* to .*: learning_rate=1000 is too large"):
        model.fit(X, target(Estimator))
    assert np.isfinite(outputs(model, X)).all()


def test_a_fit_that_diverges_leaves_the_last_one():
    model = TwoLayerRegressor(3, solver="lbfgs", random_state=0).fit(X, NUMBERS)
    before = model.predict(X)
    with error("diverged"):
        model.set_params(solver=GradientDescent(learning_rate=1e200)).fit(X, NUMBERS)
    np.testing.assert_array_equal(model.predict(X), before)


# ------------------------------------------------------------------------------------------ no convergence, and no fit


@every_estimator
@every_solver
def test_no_convergence_is_one_warning_that_says_what_to_do(Estimator, solver):
    with pytest.warns(ConvergenceWarning) as warned:
        Estimator(3, solver=solver, alpha=1.0, max_iter=2).fit(X, target(Estimator))
    message = str(warned[0].message)
    assert len(warned) == 1
    assert warned[0].filename == __file__
    assert message.startswith(f"{SOLVERS[solver].__name__} has not converged after 2 iterations: max_iter reached")
    assert "Increase max_iter=2 or tol=0.0001, or try another solver." in message


@every_estimator
def test_convergence_is_no_warning(Estimator, recwarn):
    Estimator(3, max_iter=1000).fit(X, target(Estimator))
    assert len(recwarn) == 0


@every_estimator
def test_before_a_fit(Estimator):
    model = Estimator()
    methods = ["predict", "predict_proba", "predict_log_proba", "decision_function"]
    for method in methods if Estimator is TwoLayerClassifier else ["predict"]:
        with pytest.raises(NotFittedError, match=f"This {Estimator.__name__} instance is not fitted yet"):
            getattr(model, method)(X)
    with pytest.raises(NotFittedError):
        model.score(X, target(Estimator))


def test_targets_that_float32_cannot_hold():
    y = np.where(NUMBERS > 0.0, 1e300, -1e300)
    with error("The weights are beyond the range of float32 in the units of X and y"):
        TwoLayerRegressor(2, alpha=1.0).fit(X.astype(np.float32), y)


@every_estimator
@pytest.mark.parametrize("cell", [np.nan, "Ulm", None])
def test_tables_with_texts_and_missing_values_are_shown_where_to_go(Estimator, cell):
    table = X.astype(object)
    table[3, 1] = cell
    with pytest.raises(ValueError) as caught:  # noqa: PT011 (scikit-learn has many words for it)
        Estimator().fit(table, target(Estimator))
    assert "make_table_pipeline" in caught.value.__notes__[0]
