"""Does a table as it comes become a good fit, whatever is in its columns?"""

import pickle
from datetime import date, timedelta
from decimal import Decimal
from functools import cache, partial

import numpy as np
import pandas as pd
import polars as pl
import pytest
from scipy.sparse import csr_matrix
from sklearn.base import clone
from sklearn.compose import make_column_transformer
from sklearn.datasets import load_diabetes, load_iris, make_classification, make_friedman1
from sklearn.decomposition import PCA
from sklearn.linear_model import Ridge
from sklearn.metrics import log_loss
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import PowerTransformer, StandardScaler
from sklearn.utils.estimator_checks import parametrize_with_checks
from slow import seeds

from sk2layer import TwoLayerClassifier, TwoLayerRegressor
from sk2layer.pipeline import StackedClassifier, StackedRegressor, TablePipeline, make_table_pipeline, members
from sk2layer.pipeline.members import Rows
from sk2layer.pipeline.regression import _best_mean, _mixture
from sk2layer.preprocessing.columns import FarOut, as_numbers, as_texts, make_table_encoder, where_numbers, where_texts

every_seed = seeds(3)
FOLDS = "rows are set aside in folds: a row given twice is not a row of weight two"


@pytest.fixture
def small(monkeypatch):
    """Let networks be small, and soon ended, where it does not matter how good they are."""
    monkeypatch.setattr(members, "PLAIN", ((1, 2), (4, 2)))
    monkeypatch.setattr(members, "COMMITTEE", {**members.COMMITTEE, "hidden_units": 10, "max_iter": 10})
    for Stacked in (StackedRegressor, StackedClassifier):
        monkeypatch.setattr(Stacked, "_network", staticmethod(partial(Stacked._network, max_iter=3)))


def flats(seed, n_samples=300):
    """Return rents of flats: numbers, names, a boolean and a date, of which the rent depends on all."""
    rng = np.random.default_rng(seed)
    X = pd.DataFrame(
        {
            "area": rng.gamma(6.0, 12.0, n_samples),
            "rooms": rng.integers(1, 6, n_samples),
            "town": rng.choice(["Ulm", "Bonn", "Jena"], n_samples, p=[0.5, 0.3, 0.2]),
            "balcony": rng.random(n_samples) < 0.4,
            "since": pd.Timestamp("2010-01-01") + pd.to_timedelta(rng.integers(0, 5000, n_samples), unit="D"),
        }
    )
    effect = X["town"].map({"Ulm": 0.0, "Bonn": 150.0, "Jena": -100.0}) + 80.0 * X["balcony"]
    age = (X["since"] - pd.Timestamp("2010-01-01")).dt.days / 1000.0
    y = 9.0 * X["area"] + 40.0 * np.minimum(X["rooms"], 3) + effect + 30.0 * age
    return X, (y + 40.0 * rng.normal(size=n_samples)).to_numpy()


def quick(seed=0):
    return make_table_pipeline(TwoLayerRegressor(5, random_state=seed))


# what the columns are


COLUMNS = {
    "integers": ([1, 2, 3], [1.0, 2.0, 3.0]),
    "floats": ([1.5, np.nan, 3.0], [1.5, np.nan, 3.0]),
    "nullable": (pd.array([1, None, 3], dtype="Int64"), [1.0, np.nan, 3.0]),
    "booleans": ([True, False, True], [1.0, 0.0, 1.0]),
    "nullable booleans": (pd.array([True, None, False], dtype="boolean"), [1.0, np.nan, 0.0]),
    "objects": (np.array([True, None, 2.5], dtype=object), [1.0, np.nan, 2.5]),
    "decimals": (np.array([Decimal("1.5"), Decimal("NaN"), None], dtype=object), [1.5, np.nan, np.nan]),
    "dates": (pd.to_datetime(["1970-01-03", None, "1970-01-01 12:00"], format="ISO8601"), [2.0, np.nan, 0.5]),
    "dates with zones": (pd.to_datetime(["1970-01-03", None, "1970-01-02"]).tz_localize("UTC"), [2.0, np.nan, 1.0]),
    "days": (np.array([date(1970, 1, 3), None, date(1969, 12, 31)], dtype=object), [2.0, np.nan, -1.0]),
    "durations": (pd.to_timedelta([1, None, 2], unit="D"), [1.0, np.nan, 2.0]),
    "durations as objects": (np.array([timedelta(1), None, timedelta(0.5)], dtype=object), [1.0, np.nan, 0.5]),
    "nothing": (np.array([None, None, None], dtype=object), [np.nan, np.nan, np.nan]),
}


@pytest.mark.parametrize("name", COLUMNS)
def test_numbers(name):
    values, expected = COLUMNS[name]
    X = pd.DataFrame({"before": ["a", "b", "c"], "x": values})
    assert where_numbers(X) == [1]
    assert where_texts(X) == [0]
    np.testing.assert_array_equal(as_numbers(X[["x"]])[:, 0], expected)


TEXTS = {
    "strings": (["a", None, "b"], ["a", None, "b"]),
    "strings of pandas": (pd.array(["a", None, "b"], dtype="string"), ["a", None, "b"]),
    "categories": (pd.Categorical(["a", None, "b"]), ["a", None, "b"]),
    "categories that are numbers": (pd.Categorical([1, None, 2]), ["1", None, "2"]),
    "mixed": (np.array(["a", 1, np.nan], dtype=object), ["a", "1", None]),
}


@pytest.mark.parametrize("name", TEXTS)
def test_texts(name):
    values, expected = TEXTS[name]
    X = pd.DataFrame({"before": [1, 2, 3], "x": values})
    assert where_texts(X) == [1]
    assert as_texts(X[["x"]])[:, 0].tolist() == expected


def test_categories_that_are_numbers_are_the_same_with_and_without_missing_values():
    with_missing, without = (pd.DataFrame({"x": pd.Categorical([1, last])}) for last in (None, 2))
    assert as_texts(with_missing)[0, 0] == as_texts(without)[0, 0] == "1"


@every_seed
def test_polars_is_as_pandas(seed):
    X, _ = flats(seed)
    X.loc[::7, ["area", "town", "since"]] = None
    X["town"] = X["town"].astype(object).where(X["town"].notna(), None)
    encoder = make_table_encoder(3, 40)
    expected = encoder.fit_transform(X)
    polars = pl.DataFrame({name: X[name].to_numpy() if name != "town" else X[name].tolist() for name in X})
    polars = polars.with_columns(pl.col("area").fill_nan(None))
    other = clone(encoder)
    np.testing.assert_array_equal(other.fit_transform(polars), expected)
    np.testing.assert_array_equal(other.transform(X), expected)
    assert other.get_feature_names_out().tolist() == encoder.get_feature_names_out().tolist()
    categorical = clone(encoder).fit_transform(polars.with_columns(pl.col("town").cast(pl.Categorical)))
    np.testing.assert_array_equal(categorical, expected)


def test_arrays():
    X, _ = make_friedman1(60, random_state=0)
    encoder = make_table_encoder(3, 40)
    np.testing.assert_array_equal(encoder.fit_transform(X), X)
    np.testing.assert_array_equal(clone(encoder).fit_transform(csr_matrix(X)), X)
    mixed = np.column_stack([X[:, :2].astype(object), np.where(X[:, 2] < 0.5, "low", "high")])
    assert clone(encoder).fit(mixed).get_feature_names_out().tolist() == ["x0", "x1", "x2_high", "x2_low"]


def test_rare_and_unknown_and_missing_texts():
    X = pd.DataFrame({"x": ["a"] * 5 + ["b"] * 4 + ["c", "d"] + [None] * 3})
    encoder = make_table_encoder(3, 40).fit(X)
    assert encoder.get_feature_names_out().tolist() == ["x_a", "x_b", "x_None", "x_infrequent_sklearn"]
    found = encoder.transform(pd.DataFrame({"x": ["a", None, "c", "never seen"]}))
    np.testing.assert_array_equal(found, [[1, 0, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1], [0, 0, 0, 1]])
    assert len(make_table_encoder(1, 3).fit(X).get_feature_names_out()) == 3


def test_a_column_that_is_text_where_it_was_numbers_is_named():
    model = quick().fit(*flats(0))
    with pytest.raises(ValueError, match=r"Column 'area' held numbers in the training data.*'large'"):
        model.predict(flats(1)[0].assign(area="large"))


# the pipeline


@pytest.mark.parametrize("name", ["Regressor", "CLASSIFIER", ""])
def test_unknown_names(name):
    with pytest.raises(ValueError, match=r'estimator must be "regressor", "classifier" or an estimator. Got'):
        make_table_pipeline(name)


def test_the_estimator_is_used_as_it_is():
    estimator = TwoLayerRegressor(4, random_state=0)
    pipeline = make_table_pipeline(estimator, n_pieces=3)
    assert pipeline[-1] is estimator
    assert pipeline.set_params(encoder__n_pieces=5)[1].n_pieces == 5


def test_what_the_last_step_has_not_the_pipeline_has_not():
    assert hasattr(quick(), "predict_interval")
    for estimator in (Ridge(), TwoLayerClassifier(), "classifier"):
        assert not hasattr(make_table_pipeline(estimator), "predict_interval")


@every_seed
def test_error_bars_reach_through(seed):
    X, y = flats(seed)
    model = quick(seed).fit(X, y)
    inputs = model[:-1].transform(X)
    for found, expected in zip(
        model.predict(X, return_std=True), model[-1].predict(inputs, return_std=True), strict=True
    ):
        np.testing.assert_array_equal(found, expected)
    found = model.predict_interval(X, 0.8, include_noise=False)
    np.testing.assert_array_equal(found, model[-1].predict_interval(inputs, 0.8, include_noise=False))
    found = model.predict_quantile(X, [0.1, 0.9], include_noise=False)
    np.testing.assert_array_equal(found, model[-1].predict_quantile(inputs, [0.1, 0.9], include_noise=False))


@every_seed
def test_cloned_and_pickled(seed):
    X, y = flats(seed)
    model = quick(seed).fit(X, y)
    np.testing.assert_array_equal(clone(model).fit(X, y).predict(X), model.predict(X))
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(model)).predict(X), model.predict(X))
    assert isinstance(model[:1], TablePipeline)


# several kinds of networks, weighted


@parametrize_with_checks(
    [Stacked(n_folds=2, n_init=1) for Stacked in (StackedRegressor, StackedClassifier)],
    expected_failed_checks=lambda estimator: {
        f"check_sample_weight_equivalence_on_{kind}_data": FOLDS for kind in ("dense", "sparse")
    },
)
@pytest.mark.usefixtures("small")
def test_conformance(estimator, check):
    check(estimator)


@every_seed
def test_the_best_mean_has_the_least_error_of_all(seed):
    rng = np.random.default_rng(seed)
    y = rng.normal(size=50)
    unseen = y[:, np.newaxis] + rng.normal(scale=[0.3, 0.5, 2.0], size=(50, 3)) + [0.2, -0.2, 0.0]
    weight = rng.integers(1, 4, 50).astype(float)

    def error(weights):
        return np.average((unseen @ weights - y) ** 2, weights=weight)

    best = _best_mean(unseen, Rows(unseen, y, weight))
    assert best.sum() == pytest.approx(1.0)
    assert (best >= 0.0).all()
    assert all(error(best) <= error(weights) + 1e-12 for weights in rng.dirichlet(np.ones(3), 2000))
    np.testing.assert_allclose(_best_mean(np.repeat(unseen, weight.astype(int), axis=0), _repeated(y, weight)), best)


def _repeated(y, weight):
    y = np.repeat(y, weight.astype(int))
    return Rows(y, y, None)


def test_the_mixture_of_normal_distributions():
    rng = np.random.default_rng(0)
    predicted, std, weights = np.array([[1.0, 3.0]]), np.array([0.5]), np.array([0.75, 0.25])
    drawn = predicted[0, rng.choice(2, 10**6, p=weights)] + std * rng.normal(size=10**6)
    y, spread = _mixture(predicted, std, weights)
    np.testing.assert_allclose([y[0], spread[0]], [drawn.mean(), drawn.std()], rtol=3e-3)


def steps(rng, n_samples):
    X = rng.random((n_samples, 4))
    return X, np.floor(4.0 * X[:, 0]) * np.floor(3.0 * X[:, 1]) + X[:, 2] + 0.1 * rng.normal(size=n_samples)


def slopes(rng, n_samples):
    X = rng.normal(size=(n_samples, 4))
    return X, X @ [1.0, 2.0, -1.0, 0.5] + rng.normal(size=n_samples)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")  # of the committee
@pytest.mark.parametrize("make", [steps, slopes])
def test_hardly_behind_any_of_its_members(make):
    """In the mean over tables: of each, three folds tell the best weights up to chance."""
    assert np.mean([behind_the_best_member(make, seed) for seed in range(3)]) < 1.1


def behind_the_best_member(make, seed):
    rng = np.random.default_rng(seed)
    (X, y), (X_test, y_test) = make(rng, 400), make(rng, 1000)
    model = StackedRegressor(random_state=seed).fit(X, y)

    def error(model):
        return np.mean((model.predict(X_test) - y_test) ** 2)

    wide = members._model(8, TwoLayerRegressor(random_state=seed, n_init=5, **members.COMMITTEE))
    return error(model) / min(error(member) for member in [*model.members_, wide.fit(X, y)])


@pytest.mark.usefixtures("small")
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_those_by_evidence_are_chosen_by_the_leave_one_out_density():
    X, y = make_friedman1(100, random_state=0)
    model = StackedRegressor(random_state=0)
    candidates, _ = model._candidates()
    densities = [candidate.fit(X, y)[-1].loo_log_density_ for candidate in candidates]
    best = members.PLAIN[int(np.argmax(densities))]
    first = model.fit(X, y).members_[0]
    assert (first[0].n_pieces, first[-1].hidden_units) == best


@seeds(3)
def test_intervals_cover(seed):
    """With errors of which some are large, and more noise on one side."""
    rng = np.random.default_rng(seed)
    X = rng.uniform(-1.0, 1.0, (2600, 2))
    y = np.sin(3.0 * X[:, 0]) + (0.1 + 0.1 * (X[:, 1] > 0.0)) * rng.standard_t(3, size=2600)
    model = StackedRegressor(random_state=seed).fit(X[:600], y[:600])
    for level in (0.5, 0.8, 0.95):
        low, high = model.predict_interval(X[600:], level).T
        assert np.mean((low <= y[600:]) & (y[600:] <= high)) == pytest.approx(level, abs=0.06)


@pytest.mark.slow
@every_seed
def test_standard_deviations_are_those_of_the_errors(seed):
    X, y = make_friedman1(1300, noise=1.0, random_state=seed)
    y, std, expected = *StackedRegressor(random_state=seed).fit(X[:300], y[:300]).predict(X[300:], True), y[300:]
    assert np.sqrt(np.mean(((y - expected) / std) ** 2)) == pytest.approx(1.0, abs=0.15)


@pytest.mark.usefixtures("small")
@pytest.mark.parametrize("level", [0.0, 1.0, -1, "0.9", None])
def test_levels_that_are_none(level):
    model = StackedRegressor(2, n_init=1, random_state=0).fit(*make_friedman1(30, random_state=0))
    with pytest.raises(ValueError, match=r"confidence_level must be a float in the range \(0, 1\)"):
        model.predict_interval(np.zeros((1, 10)), level)


@pytest.mark.usefixtures("small")
def test_rows_of_weight_zero_are_as_good_as_absent():
    for Stacked, (X, y) in [
        (StackedRegressor, load_diabetes(return_X_y=True)),
        (StackedClassifier, load_iris(return_X_y=True)),
    ]:
        weight = np.tile([2.0, 0.0, 1.0], len(y))[: len(y)]
        kept = weight > 0.0
        model = Stacked(2, n_init=1, random_state=0)
        expected = clone(model).fit(X[kept], y[kept], weight[kept]).predict(X)
        np.testing.assert_array_equal(model.fit(X, y, weight).predict(X), expected)
        assert not np.array_equal(clone(model).fit(X[kept], y[kept]).weights_, model.weights_)


@pytest.mark.usefixtures("small")
def test_processes_change_nothing():
    X, y = make_friedman1(80, random_state=0)
    one, two = (StackedRegressor(n_init=2, n_jobs=n_jobs, random_state=0).fit(X, y) for n_jobs in (None, 2))
    np.testing.assert_array_equal(one.predict(X), two.predict(X))


@seeds(3)
def test_a_class_of_few_rows(seed):
    """Too few for the folds: the network by evidence alone."""
    X, y = load_iris(return_X_y=True)
    rows = np.r_[:52, 100:150]  # two of the second class
    model = StackedClassifier(random_state=seed).fit(X[rows], np.array(["a", "b", "c"])[y[rows]])
    assert model.weights_.tolist() == [1.0]
    np.testing.assert_array_equal(model.predict_proba(X), model.members_[0].predict_proba(X))
    assert model.score(X[[0, 120]], ["a", "c"]) == 1.0


@seeds(3)
def test_probabilities(seed):
    X, y = make_classification(400, 8, n_informative=5, n_classes=3, random_state=seed)
    model = StackedClassifier(random_state=seed).fit(X[:300], y[:300])
    probability = model.predict_proba(X[300:])
    np.testing.assert_allclose(probability.sum(axis=1), 1.0)
    np.testing.assert_array_equal(model.classes_[probability.argmax(axis=1)], model.predict(X[300:]))
    rates = np.bincount(y[:300]) / 300.0
    assert log_loss(y[300:], probability) < log_loss(y[300:], np.tile(rates, (100, 1))) - 0.2


@pytest.mark.usefixtures("small")
@pytest.mark.parametrize("constant", [0.0, 5.0])
def test_a_constant_target(constant):
    X, _ = make_friedman1(40, random_state=0)
    model = StackedRegressor(random_state=0).fit(X, np.full(40, constant))
    np.testing.assert_allclose(model.predict(X), constant, atol=1e-6)
    assert np.isfinite(model.predict_interval(X)).all()


# a table with something wrong


def with_one_wild_cell(X, rng):
    return X.assign(area=X["area"].where(np.arange(len(X)) != 3, 1e6))


def with_codes_for_missing(X, rng):
    return X.assign(**{name: X[name].where(rng.random(len(X)) > 0.02, -9999) for name in ("area", "rooms")})


def with_a_column_of_text(X, rng):
    return X.assign(note=[f"flat {number}" for number in rng.permutation(len(X))])


def with_an_empty_column(X, rng):
    return X.assign(empty=np.nan, none=None)


WRONG = [with_one_wild_cell, with_codes_for_missing, with_a_column_of_text, with_an_empty_column]


def r2_of(X, y, seed, spoil, model):
    """Return R2 on test rows as they were, after a fit to spoilt training rows."""
    rng = np.random.default_rng(seed)
    X_train, X_test, y_train, y_test = train_test_split(X, y, random_state=seed)
    clean = X_test.assign(**dict.fromkeys(set(spoil(X_test, rng)) - set(X_test), None))
    return model.fit(spoil(X_train, rng), y_train).score(clean, y_test)


@every_seed
@pytest.mark.parametrize("spoil", WRONG)
def test_what_is_wrong_with_a_table_costs_little(spoil, seed):
    X, y = flats(seed)
    as_it_was = r2_of(X, y, seed, lambda X, rng: X, quick(seed))
    assert as_it_was > 0.9
    assert r2_of(X, y, seed, spoil, quick(seed)) > as_it_was - 0.03


@every_seed
def test_wild_cells_of_test_rows_cost_little(seed):
    X, y = flats(seed)
    model = quick(seed).fit(X[:200], y[:200])
    spoilt = with_codes_for_missing(X[200:], np.random.default_rng(seed))
    spoilt.iloc[0, 2] = "Rome"
    assert np.isfinite(model.predict(spoilt)).all()
    ranges = model.predict(X[:200])
    assert np.ptp(model.predict(spoilt)) < 2.0 * np.ptp(ranges)


@seeds(3)
def test_missing_values(seed):
    """A tenth of the cells of a table in which columns tell much the same: what is missing can be made up for."""
    rng = np.random.default_rng(seed)
    base = rng.normal(size=(400, 2))
    X = pd.DataFrame(base @ rng.normal(size=(2, 8)) + 0.1 * rng.normal(size=(400, 8))).add_prefix("x")
    y = base[:, 0] + np.sin(2.0 * base[:, 1]) + 0.1 * rng.normal(size=400)
    spoilt = X.mask(rng.random(X.shape) < 0.1)
    whole = quick(seed).fit(X[:300], y[:300]).score(X[300:], y[300:])
    assert quick(seed).fit(spoilt[:300], y[:300]).score(spoilt[300:], y[300:]) > whole - 0.15
    assert quick(seed).fit(spoilt[:300], y[:300]).score(X[300:], y[300:]) > whole - 0.05


@pytest.mark.slow
@pytest.mark.parametrize("spoil", WRONG)
def test_by_name(spoil):
    assert r2_by_name(spoil) > r2_by_name(as_it_is) - 0.03


@cache
def r2_by_name(spoil):
    return r2_of(*flats(0), 0, spoil, make_table_pipeline("regressor", random_state=0))


def as_it_is(X, rng):
    return X


def test_what_is_far_out():
    x = np.r_[np.linspace(0.0, 1.0, 100), 1e6, -9999.0, -9999.0, np.nan]
    columns = [x, np.zeros(104), np.r_[np.zeros(101), 7.0, 8.0, 9.0], np.full(104, np.nan)]
    far_out = FarOut().fit(np.column_stack(columns))
    np.testing.assert_array_equal(far_out.low_, [0.0, 0.0, 0.0, np.nan])
    np.testing.assert_array_equal(far_out.high_, [1.0, 0.0, 9.0, np.nan])
    found = far_out.transform(
        np.array([[1e6, 3.0, 100.0, 1.0], [-9999.0, 0.0, 8.0, np.nan], [-9998.0, -1, np.nan, 0.0]])
    )
    expected = [[1.0, 0.0, 9.0, np.nan], [np.nan, 0.0, 8.0, np.nan], [0.0, 0.0, np.nan, np.nan]]
    np.testing.assert_array_equal(found, expected)


def test_beside_the_pipeline_of_skrub():
    """It knows what its columns are, too; ours is not behind."""
    skrub = pytest.importorskip("skrub", reason="skrub is not installed")
    X, y = flats(0)
    X.loc[::9, ["area", "town"]] = None
    theirs = skrub.tabular_pipeline(TwoLayerRegressor(random_state=0)).fit(X[:200], y[:200])
    ours = make_table_pipeline(TwoLayerRegressor(random_state=0)).fit(X[:200], y[:200])
    assert theirs.score(X[200:], y[200:]) > 0.8
    assert ours.score(X[200:], y[200:]) > theirs.score(X[200:], y[200:]) - 0.03
    assert theirs[-1].predict_interval(theirs[:-1].transform(X)).shape == (300, 2)


# slopes by the columns of the table


def in_the_middle(X):
    """Return rows with their numbers between the edges, not at them, where a slope is a difference."""
    return X.assign(area=X["area"] + 1e-3, rooms=X["rooms"] + 0.2, since=X["since"] + pd.Timedelta(hours=7)).iloc[:40]


@pytest.mark.parametrize("which", ["network", "regressor", "classifier"])
def test_slopes_are_the_derivatives_by_the_columns_of_a_table(which, small):
    X, y = flats(0)
    if which == "network":
        model = quick().fit(X, y)
    else:
        model = make_table_pipeline(which, random_state=0).fit(X, y if which == "regressor" else y > np.median(y))
    predict = model.predict if which != "classifier" else lambda rows: model.predict_proba(rows)[:, 1]
    rows = in_the_middle(X)
    gradient, std = model.predict_gradient(rows, return_std=True)
    assert gradient.shape == std.shape == rows.shape
    np.testing.assert_array_equal(gradient, model.predict_gradient(rows))
    moves = {"area": 1e-4, "rooms": 1e-4, "since": pd.Timedelta(minutes=10)}
    for name, move in moves.items():
        step = move if isinstance(move, float) else move / pd.Timedelta(days=1)
        up, down = (predict(rows.assign(**{name: rows[name] + way * move})) for way in (1, -1))
        j = list(rows.columns).index(name)
        scale = abs(gradient[:, j]).max()
        np.testing.assert_allclose(gradient[:, j] / scale, (up - down) / (2.0 * step * scale), rtol=1e-5, atol=1e-6)
        assert (std[:, j] > 0.0).mean() > 0.7  # beyond the last edge there is no slope
    assert np.isnan(gradient[:, 2]).all()
    assert np.isnan(std[:, 2]).all()


def test_slopes_of_missing_values_and_beyond_the_data():
    X, y = flats(0)
    X.loc[::5, "area"] = np.nan
    model = quick().fit(X, y)
    rows = X.iloc[:10].assign(area=[np.nan, 1e4, *X["area"].iloc[2:10]])
    gradient, std = model.predict_gradient(rows, return_std=True)
    assert np.isnan([gradient[0, 0], std[0, 0]]).all()
    assert gradient[1, 0] == std[1, 0] == 0.0
    assert np.isfinite(gradient[:, 1]).all()


def test_steps_of_scikit_learn_have_the_slopes_that_they_have():
    X, y = flats(0)
    X, Z = X[["area", "rooms"]], X[["area", "rooms"]].to_numpy(np.float64)
    network = TwoLayerRegressor(5, random_state=0)
    numbers = make_column_transformer((StandardScaler(), ["rooms"]), remainder="passthrough")
    model = TablePipeline([("scaler", numbers), ("power", PowerTransformer()), ("network", network)]).fit(X, y)
    gradient = model.predict_gradient(X)
    for j, move in enumerate(1e-5 * np.eye(2)):
        up, down = (model.predict(pd.DataFrame(Z + way * move, columns=X.columns)) for way in (1, -1))
        np.testing.assert_allclose(gradient[:, j], (up - down) / 2e-5, rtol=1e-5, atol=1e-5)
    mixing = TablePipeline([("pca", PCA()), ("network", network)]).fit(Z, y)
    with pytest.raises(ValueError, match="must come from one column, by a step that says which"):
        mixing.predict_gradient(Z)


@pytest.mark.parametrize(
    ("name", "y", "message"),
    [
        ("classifier", ["a"] * 30, r"at least two classes. Got one class: \['a'\]"),
        ("regressor", ["a", "b"] * 15, "^y: could not convert"),
    ],
)
def test_targets_of_which_nothing_can_be_learned_are_named_as_they_came(name, y, message):
    with pytest.raises(ValueError, match=message):
        make_table_pipeline(name).fit(np.arange(60.0).reshape(30, 2), y)
