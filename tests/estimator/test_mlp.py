"""Is the MLP that an estimator turns into the same network, for scikit-learn and for the tools that know it?"""

import pickle
from functools import cache

import numpy as np
import pandas as pd
import pytest
from scipy.sparse import csr_array
from scipy.special import expit, softmax
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.inspection import permutation_importance
from sklearn.neural_network import MLPClassifier, MLPRegressor

from sk2layer import TwoLayerClassifier, TwoLayerRegressor
from sk2layer.model.activations import ACTIVATIONS
from sk2layer.model.network import Weights
from sk2layer.rows.predict import predict_raw

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

rng = np.random.default_rng(0)
X = rng.normal(size=(90, 3)) * [1.0, 10.0, 0.1] + [0.0, 50.0, 1.0]
wave = X[:, 0] + np.sin(X[:, 1] / 5.0) + 5.0 * X[:, 2]
TARGETS = {
    "numbers": wave,
    "columns": np.column_stack([wave, -X[:, 1]]),
    "one column": wave[:, np.newaxis],
    "two": np.where(wave > np.median(wave), "high", "low"),
    "several": np.digitize(wave, np.quantile(wave, [0.3, 0.7])) - 5,
    "multilabel": np.column_stack([wave > 5.0, X[:, 0] > 0.0, X[:, 1] > 50.0]).astype(int),
}
NUMBERS, LABELS = ["numbers", "columns", "one column"], ["two", "several", "multilabel"]

every_activation = pytest.mark.parametrize("activation", ACTIVATIONS)
every_fit = pytest.mark.parametrize(
    "settings", [(("alpha", 0.1),), (), (("n_init", 2), ("restarts", "average"))], ids=["number", "evidence", "average"]
)


@cache
def fitted(target, activation="tanh", settings=(("alpha", 0.1),), dtype=np.float64):
    Estimator = TwoLayerRegressor if target in NUMBERS else TwoLayerClassifier
    model = Estimator(4, activation=activation, random_state=0).set_params(**dict(settings))
    return model.fit(X.astype(dtype), TARGETS[target])


def plain_prediction(model):
    """Return the raw predictions of the weights alone, without moderation."""
    (W1, W2), (b1, b2) = model.coefs_, model.intercepts_
    return predict_raw(X, Weights(W1, b1, W2, b2), ACTIVATIONS[model.activation])


@every_activation
@every_fit
@pytest.mark.parametrize("target", NUMBERS)
def test_regressors_predict_the_same(target, activation, settings):
    model = fitted(target, activation, settings)
    mlp = model.to_mlp()
    assert type(mlp) is MLPRegressor
    expected = model.predict(X)
    expected = expected[:, 0] if target == "one column" else expected
    np.testing.assert_allclose(mlp.predict(X), expected, rtol=1e-12, atol=1e-12 * np.abs(expected).max())
    assert mlp.score(X, TARGETS[target]) == pytest.approx(model.score(X, TARGETS[target]), rel=1e-12)


@every_activation
@every_fit
@pytest.mark.parametrize("target", LABELS)
def test_classifiers_predict_the_plain_probabilities(target, activation, settings):
    model = fitted(target, activation, settings)
    mlp = model.to_mlp()
    assert type(mlp) is MLPClassifier
    Z = plain_prediction(model)
    p = {"two": lambda: np.hstack([expit(-Z), expit(Z)]), "several": lambda: softmax(Z, axis=1)}
    plain = p.get(target, lambda: expit(Z))()
    np.testing.assert_allclose(mlp.predict_proba(X), plain, rtol=0.0, atol=1e-12)
    np.testing.assert_array_equal(mlp.classes_, model.classes_)
    if target == "multilabel":
        np.testing.assert_array_equal(mlp.predict(X), plain > 0.5)
    else:
        np.testing.assert_array_equal(mlp.predict(X), model.classes_[plain.argmax(axis=1)])
    if dict(settings).get("alpha"):
        np.testing.assert_allclose(mlp.predict_proba(X), model.predict_proba(X), rtol=0.0, atol=1e-12)
        np.testing.assert_array_equal(mlp.predict(X), model.predict(X))


@pytest.mark.parametrize("target", TARGETS)
def test_the_mlp_is_complete(target):
    """It has what a fitted MLP has, can be copied, stored and cloned, and shares no memory with the estimator."""
    model = fitted(target)
    mlp, y = model.to_mlp(), TARGETS[target].squeeze()
    own = type(mlp)(hidden_layer_sizes=(4,), max_iter=2, random_state=0).fit(X, y)
    public = {name for name in vars(own) if name.endswith("_")}
    assert public <= vars(mlp).keys()
    for name in ("n_features_in_", "n_outputs_", "n_layers_", "out_activation_"):
        assert getattr(mlp, name) == getattr(own, name)
    assert (mlp.loss_, mlp.loss_curve_, mlp.n_iter_) == (model.loss_, model.loss_curve_, model.n_iter_)
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(mlp)).predict(X), mlp.predict(X))
    sparse = mlp.predict(csr_array(X))
    assert np.isin(sparse, mlp.classes_).all() if hasattr(mlp, "classes_") else np.allclose(sparse, mlp.predict(X))
    assert clone(mlp).get_params() == mlp.get_params()
    before = model.predict(X)
    for array in (*mlp.coefs_, *mlp.intercepts_):
        array *= 0.0
    np.testing.assert_array_equal(model.predict(X), before)


@pytest.mark.parametrize("target", ["numbers", *LABELS])
def test_training_goes_on_from_the_weights(target):
    """The first step of an MLP without history is its learning rate long in every weight."""
    mlp = fitted(target).to_mlp().set_params(learning_rate_init=1e-5, batch_size=len(X))
    before = [array.copy() for array in mlp.coefs_]
    mlp.partial_fit(X, TARGETS[target])
    steps = np.concatenate([np.abs(new - old).ravel() for new, old in zip(mlp.coefs_, before, strict=True)])
    assert 0.0 < steps.max() < 1.01e-5


def test_the_global_generator_is_left_alone():
    """The same MLP each time, whatever was drawn before, and nothing drawn."""
    model = fitted("several")
    before = np.random.get_state()[1].copy()  # noqa: NPY002
    first = model.to_mlp()
    np.testing.assert_array_equal(np.random.get_state()[1], before)  # noqa: NPY002
    assert first.random_state is None


def test_float32_and_names_are_kept():
    mlp = fitted("numbers", dtype=np.float32).to_mlp()
    assert {array.dtype for array in (*mlp.coefs_, *mlp.intercepts_)} == {np.dtype(np.float32)}
    frame = pd.DataFrame(X, columns=["age", "size", "speed"])
    mlp = TwoLayerRegressor(4, alpha=0.1, random_state=0).fit(frame, wave).to_mlp()
    np.testing.assert_array_equal(mlp.feature_names_in_, frame.columns)
    mlp.predict(frame)
    with pytest.raises(ValueError, match="feature names should match"):
        mlp.predict(frame[["size", "age", "speed"]])


@pytest.mark.parametrize("Estimator", [TwoLayerRegressor, TwoLayerClassifier])
def test_it_needs_a_fit(Estimator):
    with pytest.raises(NotFittedError):
        Estimator().to_mlp()


# ---------------------------------------------------------------------------------------------------------------- tools


def test_importances_by_permutation_agree():
    model = fitted("numbers")
    ours, its = (permutation_importance(each, X, wave, random_state=0) for each in (model, model.to_mlp()))
    np.testing.assert_allclose(its.importances_mean, ours.importances_mean, rtol=1e-9)


@pytest.mark.filterwarnings("ignore")  # of shap's imports
@pytest.mark.parametrize("target", ["numbers", "several"])
def test_shap_explains_both_alike(target):
    """Shapley values add up to the prediction, and do not depend on whose predictions they are."""
    shap = pytest.importorskip("shap", reason="shap is not installed")
    model = fitted(target)
    mlp = model.to_mlp()
    method = "predict" if target == "numbers" else "predict_proba"
    values = [
        shap.KernelExplainer(getattr(each, method), X[:20]).shap_values(X[20:25], silent=True) for each in (model, mlp)
    ]
    np.testing.assert_allclose(values[1], values[0], atol=1e-9)
    explained = values[1].sum(axis=1) + getattr(mlp, method)(X[:20]).mean(axis=0)
    np.testing.assert_allclose(explained, getattr(model, method)(X[20:25]), atol=1e-9)


@pytest.mark.filterwarnings("ignore")  # of emlearn's imports
@pytest.mark.parametrize("activation", ["sigmoid", "tanh", "relu"])
def test_emlearn_writes_the_network_in_c(activation, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # where it compiles
    with np.errstate():  # the import changes it for good
        emlearn = pytest.importorskip("emlearn", reason="emlearn is not installed")
    model = fitted("several", activation)
    converted = emlearn.convert(model.to_mlp(), method="inline")
    agree = converted.predict(X.astype(np.float32)) == model.predict(X) - model.classes_[0]
    assert agree.all()
