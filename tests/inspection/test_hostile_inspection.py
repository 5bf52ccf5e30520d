"""What do inspections make of input that is of another kind, in another order, or of no use?"""

import copy
from functools import cache

import numpy as np
import pandas as pd
import polars as pl
import pytest
from numpy.testing import assert_allclose
from scipy.sparse import coo_matrix, csc_matrix, csr_matrix

from sk2layer import TwoLayerRegressor
from sk2layer.inspection import average_slopes, drop_inputs, leverage, partial_dependence
from sk2layer.pipeline import make_table_pipeline


@cache
def sparse_case():
    rng = np.random.default_rng(4)
    X = rng.normal(size=(60, 3)) * (rng.random((60, 3)) < 0.5)
    y = X[:, 0] - X[:, 1] + 0.1 * rng.normal(size=60)
    return X, y, TwoLayerRegressor(3, random_state=0).fit(X, y)


INSPECTIONS = {
    "average_slopes": lambda model, X, y: average_slopes(model, X).slope,
    "partial_dependence": lambda model, X, y: partial_dependence(model, X, 0, grid_resolution=3).average,
    "leverage": lambda model, X, y: leverage(model, X).leverage,
    "drop_inputs": lambda model, X, y: drop_inputs(model, X, y, n_starts=1, random_state=0).log_evidence_change,
}
every_inspection = pytest.mark.parametrize("inspect", INSPECTIONS.values(), ids=INSPECTIONS)


@every_inspection
@pytest.mark.parametrize("form", [coo_matrix, csc_matrix, csr_matrix])
def test_sparse_matrices_of_all_kinds_are_as_arrays(inspect, form):
    X, y, model = sparse_case()
    assert_allclose(inspect(model, form(X), y), inspect(model, X, y), rtol=1e-6, atol=1e-9)


@every_inspection
@pytest.mark.parametrize("spoiled", [lambda X: X[:, :2], lambda X: X[0], lambda X: X[:0], lambda X: X * np.nan])
def test_rows_that_are_none_of_the_network_are_an_error(inspect, spoiled):
    X, y, model = sparse_case()
    with pytest.raises(ValueError, match=r"\bX\b"):
        inspect(model, spoiled(X), y)


@every_inspection
def test_columns_in_another_order_are_an_error_where_a_network_takes_them(inspect):
    X, y, _ = sparse_case()
    table = pd.DataFrame(X, columns=["a", "b", "c"])
    with pytest.raises(ValueError, match="same order"):
        inspect(TwoLayerRegressor(3, random_state=0).fit(table, y), table[["b", "a", "c"]], y)


@pytest.mark.parametrize("library", [pd, pl])
def test_a_table_may_have_its_columns_in_another_order_and_more_of_them(library):
    rng = np.random.default_rng(0)
    table = pd.DataFrame({"a": rng.normal(size=90), "town": rng.choice(["Ulm", "Bonn"], 90), "b": rng.normal(size=90)})
    y = 3.0 * table["a"] - table["b"] + (table["town"] == "Ulm") + 0.1 * rng.normal(size=90)
    model = make_table_pipeline(TwoLayerRegressor(3, random_state=0), n_pieces=2).fit(table, y)
    other = library.DataFrame(table.assign(more=0.0)[["b", "more", "town", "a"]].to_dict("list"))
    assert_allclose(model.predict(other), model.predict(table))
    slopes, expected = model.predict_gradient(other), model.predict_gradient(table)
    assert_allclose(slopes[:, [3, 0]], expected[:, [0, 2]])
    assert not slopes[:, 1].any()
    found, before = average_slopes(model, other), average_slopes(model, table)
    assert found.feature_names == ["b", "more", "town", "a"]
    for what in ("slope", "standard_error"):
        assert_allclose(found[what][[3, 2, 0]], before[what])
    curve, same = (partial_dependence(model, rows, "a", grid_resolution=4) for rows in (other, table))
    assert_allclose(curve.average, same.average)


def test_a_grid_between_integers_is_not_rounded():
    rng = np.random.default_rng(1)
    X = rng.integers(0, 100, size=(200, 2))
    model = TwoLayerRegressor(3, random_state=0).fit(X, X[:, 0] / 50.0 + 0.1 * rng.normal(size=200))
    found, expected = (partial_dependence(model, rows, 0, grid_resolution=8) for rows in (X, X.astype(float)))
    assert (found.grid_values[0] % 1.0).any()
    assert_allclose(found.average, expected.average)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"features": None}, "features must be"),
        ({"features": 1.5}, "features must be"),
        ({"features": [0, 0]}, "two different"),
        ({"features": []}, "two different"),
        ({"features": -1}, "numbers below 3"),
        ({"grid_resolution": 0}, "grid_resolution must be an int"),
        ({"grid_resolution": 2.5}, "grid_resolution must be an int"),
        ({"percentiles": (0.9, 0.1)}, "percentiles must be"),
        ({"percentiles": (5, 95)}, "percentiles must be"),
        ({"percentiles": 0.5}, "percentiles must be"),
    ],
)
def test_what_no_dependence_can_be_drawn_of(wrong, message):
    X, _, model = sparse_case()
    with pytest.raises(ValueError, match=message):
        partial_dependence(model, X, **{"features": 0, **wrong})


def test_of_is_checked_of_a_regressor_too():
    X, _, model = sparse_case()
    with pytest.raises(ValueError, match="of must be"):
        average_slopes(model, X, of="probability")


@pytest.mark.parametrize("n_starts", [0, 1.5])
def test_a_number_of_starts_that_is_none(n_starts):
    X, y, model = sparse_case()
    with pytest.raises(ValueError, match="n_starts must be an int"):
        drop_inputs(model, X, y, n_starts=n_starts)


@pytest.mark.parametrize("changed", [{"alpha": 1.0}, {"early_stopping": True}, {"noise": "inputs"}])
def test_inputs_are_dropped_by_fits_of_the_same_kind_only(changed):
    X, y, model = sparse_case()
    other = copy.copy(model).set_params(**changed)
    with pytest.raises(ValueError, match="drop_inputs needs"):
        drop_inputs(other, X, y)


@pytest.mark.parametrize("inspect", [INSPECTIONS["leverage"], INSPECTIONS["drop_inputs"]])
def test_what_errors_were_known_is_not_known_any_more(inspect):
    X, y, _ = sparse_case()
    known = TwoLayerRegressor(3, random_state=0).fit(X, y, y_std=np.full(60, 0.1))
    with pytest.raises(ValueError, match="y_std"):
        inspect(known, X, y)
    assert np.isfinite(inspect(known.fit(X, y), X, y)).all()


def test_where_nothing_varies_the_model_has_no_leverage():
    X, _, _ = sparse_case()
    found = leverage(TwoLayerRegressor(3, random_state=0).fit(X, np.full(60, 3.0)), X)
    assert not found.leverage.any()
    assert not found.relative.any()
    assert not found.share.any()
