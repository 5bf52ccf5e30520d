"""Do the displays understand a table: columns of text and dates, and columns that are several inputs of a network?"""

import datetime

import numpy as np
import pytest
from matplotlib import pyplot
from sklearn.compose import ColumnTransformer, make_column_transformer
from sklearn.decomposition import PCA
from sklearn.impute import SimpleImputer
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from sk2layer import TwoLayerRegressor
from sk2layer.displays import PredictionIntervalDisplay, RelevanceDisplay
from sk2layer.model_selection import EvidenceSearch
from sk2layer.pipeline import StackedRegressor, make_table_pipeline
from sk2layer.preprocessing import PiecewiseLinearEncoder

N_SAMPLES = 80
TOWNS = ["Bonn", "Ulm", "Ulm", "Köln"]
DAY = datetime.datetime(2020, 1, 1)


@pytest.fixture(autouse=True)
def closed():
    """Close the figures of a test."""
    pyplot.switch_backend("Agg")
    yield
    pyplot.close("all")


def network(**given):
    return TwoLayerRegressor(3, random_state=0, **given)


def columns():
    """Return a table: y is a curve along "area" and a step between towns; "noise" is nothing to y."""
    rng = np.random.default_rng(0)
    area, noise = rng.uniform(0.0, 6.0, N_SAMPLES), rng.normal(size=N_SAMPLES)
    town = rng.choice(TOWNS, N_SAMPLES)
    since = [DAY + datetime.timedelta(days=int(day)) for day in rng.integers(0, 100, N_SAMPLES)]
    y = np.sin(area) + 2.0 * (town == "Ulm") + 0.1 * rng.normal(size=N_SAMPLES)
    return {"area": area, "town": town.tolist(), "noise": noise, "since": since}, y


@pytest.fixture(params=["pandas", "polars"])
def frame(request):
    return pytest.importorskip(request.param).DataFrame(columns()[0])


@pytest.fixture
def numbers():
    table, _ = columns()
    return np.column_stack([table["area"], table["noise"]])


@pytest.fixture
def y():
    return columns()[1]


def drawn(display):
    """Return the widths of the bars by their names."""
    names = [label.get_text() for label in display.ax_.get_yticklabels()]
    return dict(zip(names, (bar.get_width() for bar in display.bars_), strict=True))


def joined(relevances, names, prefix):
    """Return the root of the sum of squares of those whose names begin so."""
    return np.sqrt(sum(r**2 for r, name in zip(relevances, names, strict=True) if name.startswith(prefix)))


# ------------------------------------------------------------------ relevances


def test_the_relevance_of_a_column_is_that_of_its_pieces_together(numbers, y):
    model = make_pipeline(PiecewiseLinearEncoder(4), network(alpha="ard")).fit(numbers, y)
    relevances = model[-1].feature_relevances_
    expected = {"x0": np.linalg.norm(relevances[:4]), "x1": np.linalg.norm(relevances[4:])}
    found = drawn(RelevanceDisplay.from_estimator(model))
    assert found == pytest.approx(expected, rel=1e-12)
    assert next(iter(found)) == "x0"


def test_it_is_the_spread_of_what_a_unit_takes_from_the_column(numbers, y):
    """Over the rows, and over weights drawn from the prior."""
    encoder = PiecewiseLinearEncoder(4)
    model = make_pipeline(encoder, network(alpha="ard")).fit(numbers, y)
    Z = encoder.transform(numbers)
    standardised = (Z - Z.mean(axis=0)) / Z.std(axis=0)
    prior = np.random.default_rng(0).normal(size=(20_000, Z.shape[1])) * model[-1].feature_relevances_
    taken = prior[:, :4] @ standardised[:, :4].T
    expected = np.sqrt(taken.var(axis=1).mean())
    assert drawn(RelevanceDisplay.from_estimator(model))["x0"] == pytest.approx(expected, rel=0.03)


def test_one_piece_is_the_column_itself(numbers, y):
    model = make_pipeline(PiecewiseLinearEncoder(1), network(alpha="ard")).fit(numbers, y)
    display = RelevanceDisplay.from_estimator(model, feature_names=["area", "noise"])
    assert display.relevances == pytest.approx(model[-1].feature_relevances_, rel=1e-12)
    assert set(drawn(display)) == {"area", "noise"}


def test_the_columns_of_a_table_have_one_bar_each(frame, y):
    model = make_table_pipeline(network(alpha="ard"), n_pieces=3).fit(frame, y)
    found = drawn(RelevanceDisplay.from_estimator(model))
    names, relevances = model[:-1].get_feature_names_out(), model[-1].feature_relevances_
    assert found == pytest.approx({name: joined(relevances, names, name) for name in frame.columns}, rel=1e-12)
    assert {*list(found)[:2]} == {"area", "town"}


@pytest.mark.parametrize("given", [{}, {"drop": "first"}, {"drop": "if_binary"}, {"min_frequency": 25}])
def test_columns_may_be_named_or_numbered_and_categories_dropped_or_merged(frame, y, given):
    coder = OneHotEncoder(sparse_output=False, **given)
    for table in ([0, 2], [1]), (["area", "noise"], ["town"]):
        coding = make_column_transformer(
            (make_pipeline(SimpleImputer(), PiecewiseLinearEncoder(2)), table[0]),
            (coder, table[1]),
            verbose_feature_names_out=False,
        )
        model = make_pipeline(coding, StandardScaler(), network(alpha="ard")).fit(frame, y)
        names, relevances = coding.get_feature_names_out(), model[-1].feature_relevances_
        assert len({name for name in names if name.startswith("town")}) == len(
            coding["onehotencoder"].get_feature_names_out()
        )
        expected = {name: joined(relevances, names, name) for name in frame.columns}
        assert drawn(RelevanceDisplay.from_estimator(model)) == pytest.approx(expected, rel=1e-12)
        assert expected["since"] == 0.0  # dropped


def test_what_is_left_over_may_pass_through(numbers, y):
    coding = ColumnTransformer([("ramps", PiecewiseLinearEncoder(3), [1])], remainder="passthrough")
    model = make_pipeline("passthrough", coding, network(alpha="ard")).fit(numbers, y)
    relevances = model[-1].feature_relevances_
    expected = {"x0": relevances[3], "x1": np.linalg.norm(relevances[:3])}
    assert drawn(RelevanceDisplay.from_estimator(model)) == pytest.approx(expected, rel=1e-12)


def test_a_step_that_mixes_columns_is_named(numbers, y):
    model = make_pipeline(PCA(2), network(alpha="ard")).fit(numbers, y)
    with pytest.raises(ValueError, match=r"must come from one column.* Got PCA\(n_components=2\)"):
        RelevanceDisplay.from_estimator(model)


def test_a_pipeline_without_relevances_says_what_to_do(numbers, y):
    model = make_pipeline(PiecewiseLinearEncoder(2), network()).fit(numbers, y)
    with pytest.raises(ValueError, match='TwoLayerRegressor has no feature_relevances_: fit it with alpha="ard"'):
        RelevanceDisplay.from_estimator(model)


# ------------------------------------------------------------------ intervals


def like(frame, cells):
    """Return a frame of the same package."""
    return type(frame)({name: list(values) for name, values in cells.items()})


def test_a_band_over_a_column_leaves_the_others_at_their_medians_or_most_frequent_values(frame, y):
    model = make_table_pipeline(network(), n_pieces=3).fit(frame, y)
    display = PredictionIntervalDisplay.from_estimator(model, frame, y, feature="area", n_points=5)
    table, _ = columns()
    grid = np.linspace(min(table["area"]), max(table["area"]), 5)
    days = np.median([(day - DAY).total_seconds() for day in table["since"]])
    rest = {"town": ["Ulm"] * 5, "noise": [np.median(table["noise"])] * 5}
    others = like(frame, {"area": grid, **rest, "since": [DAY + datetime.timedelta(seconds=days)] * 5})
    np.testing.assert_array_equal(display.line_.get_xdata(), grid)
    np.testing.assert_allclose(display.interval, model.predict_interval(others), rtol=1e-9)
    np.testing.assert_allclose(display.line_.get_ydata(), model.predict(others), rtol=1e-9)
    np.testing.assert_array_equal(display.data_.get_xdata(), table["area"])
    assert display.ax_.get_xlabel() == "area"


def test_a_band_may_go_over_dates(frame, y):
    model = make_table_pipeline(network(), n_pieces=2).fit(frame, y)
    display = PredictionIntervalDisplay.from_estimator(model, frame, y, feature="since", n_points=3)
    dates = columns()[0]["since"]
    ends = np.array([min(dates), max(dates)], dtype="M8[us]")
    np.testing.assert_array_equal(np.asarray(display.position)[[0, -1]].astype("M8[us]"), ends)
    np.testing.assert_array_equal(np.asarray(display.data[0]).astype("M8[us]"), np.array(dates, dtype="M8[us]"))


@pytest.mark.parametrize(
    "model",
    [
        make_table_pipeline(StackedRegressor(n_folds=2, n_init=1, random_state=0), n_pieces=1),
        EvidenceSearch(make_table_pipeline(network()), {"encoder__n_pieces": [1, 3]}),
        EvidenceSearch(make_table_pipeline(network()), {"encoder__n_pieces": [1, 3]}, average=True),
    ],
    ids=["stacked", "search", "average"],
)
def test_all_that_has_intervals_can_be_drawn(model, frame, y):
    model.fit(frame, y)
    bars = PredictionIntervalDisplay.from_estimator(model, frame, y, confidence_level=0.8)
    np.testing.assert_array_equal(bars.interval, model.predict_interval(frame, 0.8))
    np.testing.assert_array_equal(bars.prediction, model.predict(frame))
    band = PredictionIntervalDisplay.from_estimator(model, frame, feature=0)
    assert band.line_.get_xdata()[0] == min(columns()[0]["area"])
    assert (band.interval[:, 0] < band.prediction).all()
    assert (band.prediction < band.interval[:, 1]).all()


def test_a_pipeline_that_passes_on_no_intervals_is_asked_at_its_end(numbers, y):
    model = make_pipeline(PiecewiseLinearEncoder(3), network()).fit(numbers, y)
    display = PredictionIntervalDisplay.from_estimator(model, numbers, y, include_noise=False)
    expected = model[-1].predict_interval(model[:-1].transform(numbers), include_noise=False)
    np.testing.assert_array_equal(display.interval, expected)


def test_missing_cells_have_no_part_in_where_a_column_stays(y):
    table, _ = columns()
    holes = np.array([[*table["area"]], table["town"], [*table["noise"]], [True, True, False, False] * 20], object).T
    holes[::4, 0], holes[1::4, 1], holes[::2, 2], holes[0, 3] = np.nan, None, None, True
    model = make_table_pipeline(network(), n_pieces=2).fit(holes, y)
    display = PredictionIntervalDisplay.from_estimator(model, holes, feature=0, n_points=2)
    area, noise = np.delete(holes[:, 0], np.s_[::4]).astype(float), holes[1::2, 2].astype(float)
    rows = np.array([[x, "Ulm", np.median(noise), True] for x in (area.min(), area.max())], dtype=object)
    np.testing.assert_allclose(display.interval, model.predict_interval(rows), rtol=1e-12)


@pytest.mark.parametrize("category", [False, True])
def test_a_band_over_texts_or_categories_is_refused(category, y):
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame(columns()[0])
    frame["town"] = (
        frame["town"].map({"Bonn": 1, "Ulm": 2, "Köln": 3}).astype("category") if category else frame["town"]
    )
    model = make_table_pipeline(network(), n_pieces=1).fit(frame, y)
    with pytest.raises(ValueError, match=r"feature must be a column of numbers or dates\. Got 'town'"):
        PredictionIntervalDisplay.from_estimator(model, frame, feature="town")


def test_a_single_column_must_be_a_column(y):
    model = network().fit(np.array(columns()[0]["area"])[:, np.newaxis], y)
    with pytest.raises(ValueError, match="Expected 2D array, got 1D"):
        PredictionIntervalDisplay.from_estimator(model, np.arange(float(len(y))), y)
