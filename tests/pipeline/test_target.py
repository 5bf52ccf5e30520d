"""Do the mean, the deviation and the intervals of a transformed target come back in its own units?"""

import pickle

import numpy as np
import pandas as pd
import pytest
import sklearn
from scipy.stats import norm
from sklearn.base import clone
from sklearn.compose import TransformedTargetRegressor
from sklearn.datasets import load_diabetes
from sklearn.linear_model import BayesianRidge, Ridge
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, PowerTransformer, QuantileTransformer, StandardScaler
from sklearn.utils.estimator_checks import parametrize_with_checks
from slow import seeds

from sk2layer import TwoLayerRegressor
from sk2layer.model_selection import EvidenceSearch
from sk2layer.pipeline import StackedRegressor, TransformedTarget, make_table_pipeline
from sk2layer.pipeline.scale import NAMES, Scale

every_seed = seeds(3)


def network(seed=0, **params):
    return TwoLayerRegressor(5, random_state=seed, **params)


def prices(seed, n_samples=400, noise=0.3):
    """Return log-normal prices with errors in proportion to their size, and the means of their logarithms."""
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n_samples, 3))
    m = 5.0 + X[:, 0] + 0.5 * np.sin(2.0 * X[:, 1])
    return X, np.exp(m + noise * rng.normal(size=n_samples)), m


def covered(model, X, y, level=0.95):
    low, high = model.predict_interval(X, level).T
    return (low <= y) & (y <= high)


@parametrize_with_checks(
    [
        TransformedTarget(make_pipeline(StandardScaler(), BayesianRidge()), "log"),
        TransformedTarget(network(), "yeo-johnson"),
        TransformedTarget(network(alpha=1.0), StandardScaler()),
    ]
)
@pytest.mark.filterwarnings("ignore:The network predicts a constant:sklearn.exceptions.ConvergenceWarning")
def test_conformance(estimator, check):
    check(estimator)


# moments


@every_seed
def test_moments_of_logarithms(seed):
    rng = np.random.default_rng(seed)
    m, s = rng.normal(0.0, 3.0, 50), rng.uniform(1e-6, 1.5, 50)
    mean, std = Scale("log", np.array([1.0, 2.0])).moments(m, s)
    np.testing.assert_allclose(mean, np.exp(m + s**2 / 2.0), rtol=1e-12)
    np.testing.assert_allclose(std, mean * np.sqrt(np.expm1(s**2)), rtol=1e-8)
    mean, std_of_one_more = Scale("log1p", np.array([1.0, 2.0])).moments(m, s)
    np.testing.assert_allclose(mean, np.exp(m + s**2 / 2.0) - 1.0, rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(std_of_one_more, std, rtol=1e-7)


@every_seed
def test_moments_of_roots(seed):
    """Where the normal distribution reaches below 0, y is 0."""
    rng = np.random.default_rng(seed)
    m, s = rng.uniform(0.0, 4.0, 50), rng.uniform(0.1, 1.0, 50)
    mean, std = Scale("sqrt", np.array([1.0, 2.0])).moments(m, s)
    density, below = norm.pdf(m / s), norm.cdf(m / s)
    second = (m**2 + s**2) * below + m * s * density
    fourth = (m**4 + 6.0 * m**2 * s**2 + 3.0 * s**4) * below + m * s * (m**2 + 5.0 * s**2) * density
    np.testing.assert_allclose(mean, second, rtol=0.01)
    np.testing.assert_allclose(std, np.sqrt(fourth - second**2), rtol=0.01)


@pytest.mark.parametrize(
    "transformer", ["yeo-johnson", PowerTransformer("box-cox"), QuantileTransformer(n_quantiles=50)]
)
@every_seed
def test_moments_are_those_of_draws(seed, transformer):
    rng = np.random.default_rng(seed)
    y = rng.lognormal(1.0, 0.5, 300)
    scale = Scale(transformer, y)
    t, s = np.median(scale.forth(y)), 0.3 * np.std(scale.forth(y))
    drawn = scale.back(t + s * rng.normal(size=10**6))
    mean, std = scale.moments(np.array([t]), np.array([s]))
    np.testing.assert_allclose([mean[0], std[0]], [drawn.mean(), drawn.std()], rtol=0.01)


# fits


@every_seed
def test_mean_and_deviation_of_prices(seed):
    X, y, _ = prices(seed)
    model = TransformedTarget(network(seed), "log").fit(X, y)
    m, s = network(seed).fit(X, np.log(y)).predict(X, return_std=True)
    mean, std = model.predict(X, return_std=True)
    np.testing.assert_allclose(mean, np.exp(m + s**2 / 2.0), rtol=1e-10)
    np.testing.assert_allclose(std, mean * np.sqrt(np.expm1(s**2)), rtol=1e-8)
    np.testing.assert_array_equal(model.predict(X), mean)
    _, s = network(seed).fit(X, np.log(y)).predict(X, return_std=True, include_noise=False)
    same, less = model.predict(X, return_std=True, include_noise=False)
    np.testing.assert_array_equal(same, mean)
    np.testing.assert_allclose(less, np.exp(m + s**2 / 2.0) * np.sqrt(np.expm1(s**2)), rtol=1e-6)


@every_seed
def test_the_true_mean_is_found(seed):
    X, y, m = prices(seed, 2000)
    model = TransformedTarget(network(seed), "log").fit(X, y)
    mean, std = model.predict(X, return_std=True)
    true = np.exp(m + 0.3**2 / 2.0)
    assert np.mean(mean / true) == pytest.approx(1.0, abs=0.02)
    assert np.mean(std / (true * np.sqrt(np.expm1(0.3**2)))) == pytest.approx(1.0, abs=0.08)


@every_seed
def test_intervals_are_those_of_the_logarithms(seed):
    X, y, _ = prices(seed)
    model, logs = TransformedTarget(network(seed), "log").fit(X, y), network(seed).fit(X, np.log(y))
    for how in ({}, {"include_noise": False}):
        found, expected = model.predict_interval(X, 0.8, **how), logs.predict_interval(X, 0.8, **how)
        np.testing.assert_allclose(found, np.exp(expected), rtol=1e-12)


@every_seed
def test_intervals_cover_the_dearest_too(seed):
    X, y, m = prices(seed, 1500)
    model = TransformedTarget(network(seed), "log").fit(X[:500], y[:500])
    found = covered(model, X[500:], y[500:])
    dear = m[500:] > np.quantile(m[500:], 0.9)
    assert np.mean(found) == pytest.approx(0.95, abs=0.03)
    assert np.mean(found[dear]) == pytest.approx(0.95, abs=0.08)
    plain = covered(network(seed).fit(X[:500], y[:500]), X[500:], y[500:])
    assert np.mean(plain[dear]) < 0.8


@pytest.mark.parametrize("transformer", NAMES)
def test_intervals_cover_diabetes(transformer):
    X, y = load_diabetes(return_X_y=True)
    found = []
    for seed in range(5):
        train, test = np.split(np.random.default_rng(seed).permutation(len(y)), [250])
        model = TransformedTarget(network(seed), transformer).fit(X[train], y[train])
        assert model.score(X[test], y[test]) > 0.3
        found.append(np.mean(covered(model, X[test], y[test])))
    assert np.mean(found) == pytest.approx(0.95, abs=0.03)


@every_seed
def test_a_transformer_that_does_nothing_changes_nothing(seed):
    X, y, _ = prices(seed)
    nothing = FunctionTransformer(validate=True)
    model, plain = TransformedTarget(network(seed), nothing).fit(X, y), network(seed).fit(X, y)
    for found, expected in zip(model.predict(X, True), plain.predict(X, True), strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-8)
    np.testing.assert_allclose(model.predict_interval(X), plain.predict_interval(X), rtol=1e-12)


def test_a_transformer_that_falls():
    X, y, _ = prices(0)
    falling = FunctionTransformer(np.negative, np.negative)
    low, high = TransformedTarget(network(), falling).fit(X, y).predict_interval(X).T
    assert (low < high).all()


@every_seed
@pytest.mark.parametrize("transformer", ["yeo-johnson", PowerTransformer("box-cox")])
def test_powers_stay_finite_far_from_the_training_targets(transformer, seed):
    """Their inverses rise to infinity not far above, where the power is negative."""
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(200, 1))
    y = 1.0 / (3.0 - np.clip(X[:, 0] + 0.3 * rng.normal(size=200), -2.8, 2.8))
    model = TransformedTarget(network(seed), transformer).fit(X, y)
    X = np.array([[-100.0], [0.0], [100.0]])
    found = np.column_stack([*model.predict(X, return_std=True), model.predict_interval(X, 0.999)])
    assert np.isfinite(found).all()
    assert (np.abs(found) <= y.max() + np.ptp(y) + 1e-9).all()


def test_without_a_deviation_the_median_is_predicted():
    X, y, _ = prices(0)
    for regressor in (Ridge(), network(alpha=1.0)):
        model = TransformedTarget(regressor, "log").fit(X, y)
        expected = TransformedTargetRegressor(regressor, func=np.log, inverse_func=np.exp).fit(X, y).predict(X)
        np.testing.assert_allclose(model.predict(X), expected, rtol=1e-12)
        with pytest.raises((TypeError, ValueError)):
            model.predict(X, return_std=True)
    assert not hasattr(TransformedTarget(Ridge(), "log"), "predict_interval")


@every_seed
def test_several_outputs(seed):
    """Each has a power of its own."""
    X, y, _ = prices(seed)
    Y = np.column_stack([y, np.sqrt(y)])
    model = TransformedTarget(network(seed), "yeo-johnson").fit(X, Y)
    mean, std = model.predict(X, return_std=True)
    assert mean.shape == std.shape == Y.shape
    assert model.predict_interval(X).shape == (*Y.shape, 2)
    assert (model.predict_interval(X)[..., 0] < mean).all()
    assert model.score(X, Y) > 0.6
    one = TransformedTarget(network(seed), "log").fit(X, Y[:, :1])
    flat = TransformedTarget(network(seed), "log").fit(X, y)
    np.testing.assert_allclose(one.predict(X)[:, 0], flat.predict(X), rtol=1e-10)
    np.testing.assert_allclose(one.predict_interval(X)[:, 0], flat.predict_interval(X), rtol=1e-10)


@pytest.mark.parametrize("transformer", NAMES)
def test_single_precision(transformer):
    X, y, _ = prices(0)
    X, y = X.astype(np.float32), y.astype(np.float32)
    model = TransformedTarget(network(), transformer).fit(X, y)
    double = TransformedTarget(network(), transformer).fit(X.astype(float), y.astype(float))
    mean, std = model.predict(X, return_std=True)
    assert mean.dtype == std.dtype == np.float32
    assert np.corrcoef(mean, double.predict(X))[0, 1] > 0.99


def test_rows_elsewhere():
    da = pytest.importorskip("dask.array")
    X, y, _ = prices(0)
    model = TransformedTarget(network(), "log").fit(X, y)
    rows = da.from_array(X, chunks=(150, 3))
    for found, expected in zip(model.predict(rows, return_std=True), model.predict(X, return_std=True), strict=True):
        np.testing.assert_allclose(found.compute(), expected, rtol=1e-10)
    np.testing.assert_allclose(model.predict_interval(rows).compute(), model.predict_interval(X), rtol=1e-10)
    with pytest.raises(ValueError, match=r"needs X in memory to be fitted\. Got a Dask collection"):
        model.fit(rows, y)


# errors


@pytest.mark.parametrize(
    ("transformer", "smallest", "rule"), [("log", 0.0, "y > 0"), ("log1p", -1.0, "y > -1"), ("sqrt", -0.5, "y >= 0")]
)
def test_targets_outside(transformer, smallest, rule):
    model = TransformedTarget(network(), transformer)
    with pytest.raises(ValueError, match=f"transformer='{transformer}' needs {rule}. The smallest y is {smallest}"):
        model.fit(np.zeros((3, 1)), [1.0, smallest, 2.0])
    assert not hasattr(model, "scales_")


@pytest.mark.parametrize("transformer", ["ln", None, 2, np.log, Ridge()])
def test_transformers_that_are_none(transformer):
    with pytest.raises(ValueError, match="transformer must be 'log', 'log1p', 'sqrt', 'yeo-johnson' or a transformer"):
        TransformedTarget(network(), transformer).fit(np.zeros((3, 1)), [1.0, 2.0, 3.0])


def test_inputs_that_are_wrong_are_named_as_ever():
    X, y, _ = prices(0)
    with pytest.raises(ValueError, match="X has 2 features, but TwoLayerRegressor is expecting 3"):
        TransformedTarget(network(), "log").fit(X, y).predict(X[:, :2])


# in company


def test_weights_reach_the_regressor():
    X, y, _ = prices(0)
    weight = np.arange(len(y)) % 3.0
    expected = network().fit(X, np.log(y), sample_weight=weight).predict_interval(X)
    model = TransformedTarget(network(), "log").fit(X, y, sample_weight=weight)
    np.testing.assert_allclose(np.log(model.predict_interval(X)), expected, rtol=1e-10)
    piped = TransformedTarget(make_pipeline(StandardScaler(), network()), "log")
    piped.fit(X, y, twolayerregressor__sample_weight=weight)
    with sklearn.config_context(enable_metadata_routing=True):
        routed = TransformedTarget(network().set_fit_request(sample_weight=True), "log")
        routed.fit(X, y, sample_weight=weight)
        np.testing.assert_array_equal(routed.predict(X), model.predict(X))


@every_seed
def test_cloned_and_pickled(seed):
    X, y, _ = prices(seed)
    for transformer in NAMES:
        model = TransformedTarget(network(seed), transformer).fit(X, y)
        np.testing.assert_array_equal(clone(model).fit(X, y).predict(X), model.predict(X))
        np.testing.assert_array_equal(pickle.loads(pickle.dumps(model)).predict(X), model.predict(X))


@pytest.mark.parametrize(
    "regressor",
    [
        make_pipeline(StandardScaler(), network()),
        make_table_pipeline(network()),
        EvidenceSearch(network(), {"hidden_units": [2, 4]}),
        StackedRegressor(2, n_init=1, random_state=0),
    ],
    ids=lambda regressor: type(regressor).__name__,
)
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_around(regressor):
    X, y, m = prices(0, 200)
    model = TransformedTarget(regressor, "log").fit(X[:150], y[:150])
    mean, std = model.predict(X, return_std=True)
    assert (std > 0.0).all()
    assert (model.predict_interval(X)[:, 0] < mean).all()
    assert np.std(np.log(mean[150:]) - m[150:]) < 0.2


def test_around_what_is_not_ours():
    X, y, _ = prices(0)
    model, m = TransformedTarget(BayesianRidge(), "log").fit(X, y), BayesianRidge().fit(X, np.log(y))
    t, s = m.predict(X, return_std=True)
    np.testing.assert_allclose(model.predict(X), np.exp(t + s**2 / 2.0), rtol=1e-10)


def test_inside_a_pipeline_for_tables():
    X, y, _ = prices(0)
    X = pd.DataFrame(X, columns=["a", "b", "c"]).assign(town=np.where(X[:, 2] > 0.0, "Ulm", "Bonn"))
    inside = make_table_pipeline(TransformedTarget(network(), "log")).fit(X, y)
    around = TransformedTarget(make_table_pipeline(network()), "log").fit(X, y)
    np.testing.assert_array_equal(inside.predict_interval(X), around.predict_interval(X))
    np.testing.assert_array_equal(inside.predict(X, return_std=True), around.predict(X, return_std=True))
    assert inside[-1].n_features_in_ > 4


def test_searched():
    X, y, _ = prices(0, 200)
    grid = {"transformer": ["sqrt", "log"], "regressor__hidden_units": [2, 5]}
    search = GridSearchCV(TransformedTarget(network(), "sqrt"), grid, cv=3).fit(X, y)
    assert search.best_params_["transformer"] == "log"
    frame = pd.DataFrame(X, columns=["a", "b", "c"])
    assert TransformedTarget(network(), "log").fit(frame, y).feature_names_in_.tolist() == ["a", "b", "c"]


class Faulty(BayesianRidge):
    """Fails where deviations are asked for, as some regressors do with what is no array."""

    def predict(self, X, return_std=False):
        if return_std:
            raise TypeError("deviations need an array")
        return super().predict(X)


def test_a_fault_of_the_regressor_does_not_make_a_median_of_the_mean():
    X, y, _ = prices(0)
    model = TransformedTarget(Faulty(), "log").fit(X, y)
    with pytest.raises(TypeError, match="deviations need an array"):
        model.predict(X)
