"""Are means of slopes and of predictions what they are over the rows, and as sure as the posterior says?"""

import numpy as np
import pandas as pd
import polars as pl
import pytest
from networks import linearised_draws
from scipy.sparse import csr_array
from sklearn.datasets import load_diabetes, make_classification
from sklearn.linear_model import Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from slow import mostly_slow

from sk2layer import TwoLayerClassifier, TwoLayerRegressor
from sk2layer.evidence import averages
from sk2layer.evidence.marginal_likelihood import MarginalLikelihood
from sk2layer.inspection import average_slopes, drop_inputs, leverage, partial_dependence
from sk2layer.inspection import slopes as inspected
from sk2layer.pipeline import make_table_pipeline

AVERAGE = {"n_init": 3, "restarts": "average"}


def regression(k=1, n=120):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(n, 3)) * [1.0, 10.0, 0.1]
    y = 100.0 * np.sin(X[:, :1]) + 5.0 * X[:, 1:2] * np.arange(1, k + 1) + 20.0 * rng.normal(size=(n, k))
    return X, y if k > 1 else y[:, 0]


def classes(k=2, n=200):
    X, y = make_classification(
        n, 4, n_informative=3, n_redundant=0, n_classes=k, n_clusters_per_class=1, flip_y=0.1, random_state=0
    )
    return X * [1.0, 10.0, 0.1, 1.0], y


def spread_of_means(model, X, function, n_draws=2000):
    """Return the standard deviation over draws of what a function makes of raw predictions and slopes of all rows."""
    members = getattr(model._posterior, "members", (model._posterior,))
    rng = np.random.default_rng(0)
    drawn = [function(*pair) for m in members for pair in zip(*linearised_draws(m, X, rng, n_draws), strict=True)]
    return np.std(drawn, axis=0)


@pytest.mark.parametrize("k", [1, 2])
@pytest.mark.parametrize("how", [{}, AVERAGE, {"activation": "relu"}, "factored"], ids=str)
def test_average_slopes_are_as_sure_as_draws_from_the_posterior_say(k, how, monkeypatch):
    if how == "factored":
        monkeypatch.setattr(MarginalLikelihood, "_exact", lambda *_: None)
        how = {}
    X, y = regression(k)
    model = TwoLayerRegressor(4, random_state=0, **how).fit(X, y)
    X = X + 0.01 * X.std(axis=0)  # a fit of relu may end with a row at a kink, where slopes have no differences
    found = average_slopes(model, X)
    np.testing.assert_allclose(found.slope, model.predict_gradient(X).mean(axis=0), rtol=1e-9)
    expected = spread_of_means(model, X, lambda _, s: s.mean(axis=0))
    np.testing.assert_allclose(found.standard_error, expected if k > 1 else expected[0], rtol=0.05)
    np.testing.assert_allclose(found.z, found.slope / found.standard_error, rtol=1e-12)
    monkeypatch.setattr(averages, "BLOCK_BYTES", 1)
    monkeypatch.setattr(inspected, "MEANS_BYTES", 1)
    again = average_slopes(model, csr_array(X))
    np.testing.assert_allclose(again.standard_error, found.standard_error, rtol=1e-8)


@pytest.mark.parametrize(("k", "how"), mostly_slow([(2, AVERAGE), (3, {}), (2, {}), (3, AVERAGE)], 2))
def test_average_slopes_of_probabilities(k, how):
    """Their errors are by the derivative at the mean: about those of draws, where labels are known well."""
    X, y = classes(k, n=600)
    model = TwoLayerClassifier(4, random_state=0, **how).fit(X, y)
    found = average_slopes(model, X)
    np.testing.assert_allclose(found.slope, model.predict_gradient(X).mean(axis=0), rtol=1e-9)
    link = model._remembered_targets().loss.link_slopes
    expected = spread_of_means(model, X, lambda z, s: (link(z) @ s).mean(axis=0))
    np.testing.assert_allclose(found.standard_error, expected if k > 2 else expected[0], rtol=0.15)
    odds = average_slopes(model, X, of="decision_function")
    np.testing.assert_allclose(odds.slope, model.predict_gradient(X, of="decision_function").mean(axis=0), rtol=1e-9)


@pytest.mark.parametrize("loss", ["poisson", "gamma"])
@pytest.mark.parametrize("k", [1, 2])
@pytest.mark.parametrize("how", [{}, AVERAGE], ids=str)
def test_rates_and_amounts_have_mean_slopes_and_partial_dependence(loss, k, how):
    """With errors by the derivative at the mean: about those of draws, where it is known well."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(600, 3)) * [1.0, 10.0, 0.1]
    mean = np.exp(1.0 + np.sin(X[:, :1]) + 0.05 * X[:, 1:2] * np.arange(1, k + 1))
    y = rng.poisson(mean) if loss == "poisson" else rng.gamma(5.0, mean / 5.0)
    model = TwoLayerRegressor(4, loss=loss, random_state=0, **how).fit(X, y if k > 1 else y[:, 0])
    found = average_slopes(model, X)
    np.testing.assert_allclose(found.slope, model.predict_gradient(X).mean(axis=0), rtol=1e-9)
    link = model._fitted_loss().link_slopes
    expected = spread_of_means(model, X, lambda z, s: (link(z) @ s).mean(axis=0))
    np.testing.assert_allclose(found.standard_error, expected if k > 1 else expected[0], rtol=0.15)
    found = partial_dependence(model, X, 0, grid_resolution=5)
    moved = X.copy()
    moved[:, 0] = found.grid_values[0][2]
    np.testing.assert_allclose(found.average[:, 2], model.predict(moved).mean(axis=0), rtol=1e-9)
    expected = spread_of_means(model, moved, lambda z, _: np.exp(z).mean(axis=0))
    np.testing.assert_allclose(found.std[:, 2], expected, rtol=0.1)


def test_average_slopes_of_diabetes_are_those_that_are_known():
    """Body mass index and a blood serum measurement first, both up; five starts alike within a standard error."""
    X, y = load_diabetes(return_X_y=True, as_frame=True)
    found = [average_slopes(TwoLayerRegressor(random_state=seed).fit(X, y), X, as_frame=True) for seed in range(5)]
    for one in found:
        first = one.frame["slope"].abs().nlargest(2)
        assert set(first.index) == {"bmi", "s5"}
        assert (one.frame["slope"][first.index] > 0.0).all()
        assert (np.abs(one.slope - found[0].slope) < one.standard_error).all()


def test_average_slopes_with_weights_and_frames():
    X, y = regression(2)
    model = TwoLayerRegressor(4, random_state=0).fit(X, y)
    weight = np.arange(120) % 3
    found = average_slopes(model, X, sample_weight=weight, as_frame=True)
    twice = average_slopes(model, np.repeat(X, weight, axis=0))
    np.testing.assert_allclose(found.slope, twice.slope, rtol=1e-9)
    np.testing.assert_allclose(found.standard_error, twice.standard_error, rtol=1e-9)
    assert found.frame.shape == (6, 4)
    assert found.frame.index[0] == ("y0", "x0")
    np.testing.assert_array_equal(found.frame["p_value"], found.p_value.ravel())


@pytest.mark.parametrize("frame", [pd.DataFrame, pl.DataFrame])
def test_average_slopes_of_a_table_are_by_its_columns(frame):
    rng = np.random.default_rng(0)
    area, town, noise = rng.uniform(20.0, 120.0, 300), rng.choice(["Ulm", "Bonn"], 300), rng.normal(size=300)
    y = 9.0 * area + 100.0 * (town == "Bonn") + 20.0 * rng.normal(size=300)
    noise[::7] = np.nan
    X = frame({"area": area, "town": town, "noise": noise})
    model = make_table_pipeline(TwoLayerRegressor(5, random_state=0), n_pieces=3).fit(X, y)
    found = average_slopes(model, X)
    each = model.predict_gradient(X)
    np.testing.assert_allclose(found.slope, [each[:, 0].mean(), np.nan, np.nanmean(each[:, 2])])
    assert np.isnan(found.standard_error).tolist() == [False, True, False]
    assert abs(found.slope[0] - 9.0) < 3.0 * found.standard_error[0] < 1.0
    assert abs(found.z[2]) < 3.0
    assert found.feature_names == ["area", "town", "noise"]


def test_a_scaler_before_the_network_changes_nothing_of_average_slopes():
    X, y = regression()
    model = make_pipeline(StandardScaler(), TwoLayerRegressor(4, random_state=0)).fit(X, y)
    found = average_slopes(model, X)
    rows = model[0].transform(X)
    plain = average_slopes(model[1], rows)
    np.testing.assert_allclose(found.slope, plain.slope / model[0].scale_, rtol=1e-7)
    np.testing.assert_allclose(found.standard_error, plain.standard_error / model[0].scale_, rtol=1e-7)


@pytest.mark.parametrize("k", [1, 2])
@pytest.mark.parametrize("how", [{}, AVERAGE], ids=str)
def test_partial_dependence_is_the_mean_prediction_with_a_band_of_draws(k, how):
    X, y = regression(k)
    model = TwoLayerRegressor(4, random_state=0, **how).fit(X, y)
    found = partial_dependence(model, X, 0, grid_resolution=6)
    assert found.average.shape == found.std.shape == (k, 6)
    for point in (0, 4):
        moved = X.copy()
        moved[:, 0] = found.grid_values[0][point]
        np.testing.assert_allclose(found.average[:, point], model.predict(moved).mean(axis=0), rtol=1e-9)
        expected = spread_of_means(model, moved, lambda z, _: z.mean(axis=0))
        np.testing.assert_allclose(found.std[:, point], expected, rtol=0.05)
    assert found.covariance[0, 0, 0] + found.covariance[0, 5, 5] - 2.0 * found.covariance[0, 0, 5] > 0.0
    np.testing.assert_allclose(np.einsum("kpp->kp", found.covariance), found.std**2, rtol=1e-9)


@pytest.mark.parametrize("k", [2, 3])
def test_partial_dependence_of_probabilities(k):
    X, y = classes(k)
    model = TwoLayerClassifier(4, random_state=0).fit(X, y)
    found = partial_dependence(model, X, [1, 0], grid_resolution=4)
    assert found.std.shape == found.average.shape == (1 if k == 2 else 3, 4, 4)
    moved = X.copy()
    moved[:, 1], moved[:, 0] = (grid[2] for grid in found.grid_values)
    expected = model.predict_proba(moved).mean(axis=0)
    np.testing.assert_allclose(found.average[:, 2, 2], expected if k > 2 else expected[1:], rtol=1e-9)
    link = model._remembered_targets().loss.inverse_link
    expected = spread_of_means(model, moved, lambda z, _: link(z.copy()).mean(axis=0))
    np.testing.assert_allclose(found.std[:, 2, 2], expected, rtol=0.15)


@pytest.mark.parametrize("frame", [pd.DataFrame, pl.DataFrame])
def test_partial_dependence_of_texts_and_of_few_values(frame):
    rng = np.random.default_rng(0)
    X = frame({"town": rng.choice(["Ulm", "Bonn"], 200), "rooms": rng.integers(1, 5, 200), "x": rng.normal(size=200)})
    y = 100.0 * (np.asarray(X["town"]) == "Bonn") + 5.0 * np.asarray(X["rooms"]) + 5.0 * rng.normal(size=200)
    model = make_table_pipeline(TwoLayerRegressor(4, random_state=0)).fit(X, y)
    found = partial_dependence(model, X, ["town", "rooms"])
    assert [grid.tolist() for grid in found.grid_values] == [["Bonn", "Ulm"], [1, 2, 3, 4]]
    assert np.all(found.average[0, 0] - found.average[0, 1] > 90.0)


def test_dropping_an_input_says_what_the_data_ask_for():
    rng = np.random.default_rng(0)
    X = pd.DataFrame(rng.normal(size=(150, 4)) + 3.0, columns=list("abcd"))
    y = np.sin(X["a"]) + X["b"] + 0.1 * rng.normal(size=150)
    model = TwoLayerRegressor(4, random_state=0).fit(X, y)
    found = drop_inputs(model, X, y, n_starts=2, random_state=0)
    assert found.feature_names == list("abcd")
    assert found.log_evidence.shape == (5, 2)
    assert np.all(found.log_evidence_change[:2] < -50.0)
    assert np.all(np.abs(found.log_evidence_change[2:]) < 20.0)
    assert np.all(found.loo_change[:2] < -0.3)
    assert 0.0 <= found.spread < 20.0


def test_leverage_is_the_mean_one_in_the_mean_of_the_training_rows():
    X, y = regression()
    model = TwoLayerRegressor(4, random_state=0).fit(X, y)
    found = leverage(model, X)
    assert found.leverage.sum() == pytest.approx(model.effective_n_parameters_, rel=0.01)  # the output bias has a prior
    assert found.relative.mean() == pytest.approx(1.0, rel=0.01)
    assert np.all(leverage(model, X + np.array([10.0, 0.0, 0.0])).relative > 1.0)
    _, std = model.predict(X, return_std=True)
    _, own = model.predict(X, return_std=True, include_noise=False)
    np.testing.assert_allclose(found.share, own**2 / std**2, rtol=1e-9)


def test_leverage_of_classes_and_of_an_average():
    X, y = classes(3)
    for how in ({}, AVERAGE):
        model = TwoLayerClassifier(4, random_state=0, **how).fit(X, y)
        inside = leverage(model, X)
        assert inside.leverage.shape == (200,)
        assert np.all(inside.leverage > 0.0)
        assert np.all((inside.share > 0.0) & (inside.share < 1.0))


def test_rows_may_be_lists():
    X, y = regression()
    model = TwoLayerRegressor(4, random_state=0).fit(X, y)
    np.testing.assert_array_equal(average_slopes(model, X.tolist()).z, average_slopes(model, X).z)
    np.testing.assert_array_equal(leverage(model, X.tolist()).share, leverage(model, X).share)
    lists, arrays = (partial_dependence(model, rows, 0, grid_resolution=3) for rows in (X.tolist(), X))
    np.testing.assert_array_equal(lists.std, arrays.std)
    table = make_table_pipeline(TwoLayerRegressor(4, random_state=0)).fit(X, y)
    np.testing.assert_array_equal(table.predict_gradient(X.tolist()), table.predict_gradient(X))


def test_what_cannot_be_inspected():
    X, y = regression()
    with pytest.raises(ValueError, match="must be a TwoLayerRegressor"):
        average_slopes(Ridge().fit(X, y), X)
    given = TwoLayerRegressor(4, alpha=1.0, random_state=0).fit(X, y)
    for inspect in (average_slopes, leverage, lambda model, X: partial_dependence(model, X, 0)):
        with pytest.raises(ValueError, match="needs a fit by evidence"):
            inspect(given, X)
    model = TwoLayerRegressor(4, loss="gamma", random_state=0).fit(X, np.exp(y / 100.0))
    with pytest.raises(ValueError, match=r"leverage needs loss='squared_error'\. Got loss='gamma'"):
        leverage(model, X)
    model = TwoLayerRegressor(4, random_state=0).fit(X, y)
    with pytest.raises(ValueError, match="features must be of"):
        partial_dependence(model, X, "bmi")
    with pytest.raises(ValueError, match="features must be one input or two"):
        partial_dependence(model, X, [0, 1, 2])
    with pytest.raises(ValueError, match="estimator must be a network itself"):
        drop_inputs(make_pipeline(StandardScaler(), model).fit(X, y), X, y)
