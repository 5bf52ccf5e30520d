"""Is what the displays draw what the fit has found?"""

import sys

import numpy as np
import pandas as pd
import pytest
from matplotlib import pyplot
from matplotlib.colors import to_rgb
from sklearn.exceptions import NotFittedError
from sklearn.pipeline import make_pipeline
from slow import seeds

from sk2layer import TwoLayerClassifier, TwoLayerRegressor
from sk2layer.displays import (
    AverageSlopesDisplay,
    LossCurveDisplay,
    NetworkDisplay,
    PartialDependenceBandDisplay,
    PredictionIntervalDisplay,
    RelevanceDisplay,
)
from sk2layer.inspection import average_slopes, partial_dependence
from sk2layer.pipeline import make_table_pipeline
from sk2layer.preprocessing import PiecewiseLinearEncoder

N_FEATURES = 3


@pytest.fixture(autouse=True)
def closed():
    """Close the figures of a test."""
    pyplot.switch_backend("Agg")
    yield
    pyplot.close("all")


@pytest.fixture(scope="module")
def X():
    return np.random.default_rng(0).normal(size=(60, N_FEATURES)) * [1.0, 10.0, 100.0] + [0.0, 5.0, 0.0]


@pytest.fixture(scope="module")
def y(X):
    return np.sin(X[:, 0]) + 0.1 * np.random.default_rng(1).normal(size=len(X))


@pytest.fixture(scope="module")
def model(X, y):
    return TwoLayerRegressor(4, random_state=0).fit(X, y)


@pytest.fixture(scope="module")
def ard(X, y):
    return TwoLayerRegressor(4, alpha="ard", random_state=0).fit(X, y)


def draw(which, model, ard, X, y, **given):
    """Return the display of that name."""
    makers = {
        "losses": lambda: LossCurveDisplay.from_estimator(model, **given),
        "intervals": lambda: PredictionIntervalDisplay.from_estimator(model, X, y, **given),
        "network": lambda: NetworkDisplay.from_estimator(model, X, **given),
        "relevances": lambda: RelevanceDisplay.from_estimator(ard, **given),
        "slopes": lambda: AverageSlopesDisplay.from_estimator(ard, X, **given),
        "dependence": lambda: PartialDependenceBandDisplay.from_estimator(ard, X, 0, grid_resolution=5, **given),
    }
    return makers[which]()


every_display = pytest.mark.parametrize(
    "name", ["losses", "intervals", "network", "relevances", "slopes", "dependence"]
)


@every_display
def test_a_display_is_drawn_on_the_axes_it_is_given_or_on_new_ones(name, model, ard, X, y):
    figure, (left, right) = pyplot.subplots(1, 2)
    display = draw(name, model, ard, X, y, ax=left)
    assert display.ax_ is left
    assert display.figure_ is figure
    assert display.plot(right) is display
    assert display.ax_ is right
    assert right.has_data()
    assert display.plot().figure_ is not figure


@every_display
def test_without_matplotlib_the_error_says_what_to_install(name, model, ard, X, y, monkeypatch):
    display = draw(name, model, ard, X, y)
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(ImportError, match=r"Display needs Matplotlib.*sk2layer\[plots\]"):
        display.plot()


@every_display
def test_an_estimator_that_is_not_fitted_is_said_to_be(name, X, y):
    with pytest.raises(NotFittedError):
        draw(name, TwoLayerRegressor(), TwoLayerRegressor(), X, y)


# ------------------------------------------------------------------ losses


def test_the_losses_are_those_of_the_fit(model):
    display = LossCurveDisplay.from_estimator(model)
    (line,) = display.lines_
    np.testing.assert_array_equal(line.get_ydata(), model.loss_curve_)
    np.testing.assert_array_equal(line.get_xdata(), np.arange(1, model.n_iter_ + 1))


def test_the_lowest_validation_loss_is_marked(X, y):
    stopped = TwoLayerRegressor(4, alpha=0, early_stopping=True, random_state=0).fit(X[:40], y[:40])
    training, validation, lowest = LossCurveDisplay.from_estimator(stopped).lines_
    np.testing.assert_array_equal(training.get_ydata(), stopped.loss_curve_)
    np.testing.assert_array_equal(validation.get_ydata(), stopped.validation_loss_curve_)
    assert lowest.get_ydata()[0] == min(stopped.validation_loss_curve_)
    assert stopped.validation_loss_curve_[int(lowest.get_xdata()[0]) - 1] == lowest.get_ydata()[0]


# ------------------------------------------------------------------ relevances


def test_the_bars_are_the_relevances_in_falling_order(ard):
    display = RelevanceDisplay.from_estimator(ard, feature_names=["age", "bmi", "bp"])
    order = np.argsort(ard.feature_relevances_)[::-1]
    np.testing.assert_array_equal([bar.get_width() for bar in display.bars_], ard.feature_relevances_[order])
    labels = [label.get_text() for label in display.ax_.get_yticklabels()]
    assert labels == [["age", "bmi", "bp"][number] for number in order]
    assert labels[0] == "age"  # the one that y depends on
    low, high = display.ax_.get_ylim()
    assert low > high  # the first bar is at the top


def test_only_the_most_relevant_are_drawn(ard):
    display = RelevanceDisplay.from_estimator(ard, max_features=2)
    np.testing.assert_array_equal(
        [bar.get_width() for bar in display.bars_], np.sort(ard.feature_relevances_)[::-1][:2]
    )
    assert display.ax_.get_yticklabels()[0].get_text() == "x0"


def test_relevances_need_a_fit_that_found_them(model):
    with pytest.raises(ValueError, match=r'has no feature_relevances_: fit it with alpha="ard"'):
        RelevanceDisplay.from_estimator(model)


def test_at_least_one_bar_must_be_asked_for(ard):
    with pytest.raises(ValueError, match=r"max_features must be an int of at least 1 or None\. Got 0"):
        RelevanceDisplay.from_estimator(ard, max_features=0)


def test_names_must_be_as_many_as_inputs(ard):
    with pytest.raises(ValueError, match=r"feature_names must be 3 names. Got 2: \['a', 'b'\]"):
        RelevanceDisplay.from_estimator(ard, feature_names=["a", "b"])


# ------------------------------------------------------------------ intervals


def ends(display):
    """Return the lower and upper ends of bars."""
    return np.array([segment[:, 1] for segment in display.interval_.get_segments()])


def test_bars_are_drawn_beside_what_was_measured(model, X, y):
    display = PredictionIntervalDisplay.from_estimator(model, X, y, confidence_level=0.8)
    np.testing.assert_array_equal(ends(display), model.predict_interval(X, 0.8))
    np.testing.assert_array_equal([segment[0, 0] for segment in display.interval_.get_segments()], y)
    np.testing.assert_array_equal(display.line_.get_xdata(), y)
    np.testing.assert_allclose(display.line_.get_ydata(), model.predict(X), rtol=1e-12)
    np.testing.assert_array_equal(display.data_.get_xdata(), display.data_.get_ydata())  # the diagonal
    assert display.interval_.get_label() == "80 % interval"


@pytest.mark.parametrize("feature", [1, "x1"])
def test_a_band_goes_over_one_input_with_the_others_at_their_medians(model, X, y, feature):
    display = PredictionIntervalDisplay.from_estimator(model, X, y, feature=feature, n_points=7)
    grid = np.tile(np.median(X, axis=0), (7, 1))
    grid[:, 1] = np.linspace(X[:, 1].min(), X[:, 1].max(), 7)
    np.testing.assert_array_equal(display.line_.get_xdata(), grid[:, 1])
    np.testing.assert_allclose(display.line_.get_ydata(), model.predict(grid), rtol=1e-12)
    vertices = display.interval_.get_paths()[0].vertices
    for x, interval in zip(grid[:, 1], model.predict_interval(grid), strict=True):
        heights = vertices[vertices[:, 0] == x][:, 1]
        assert [heights.min(), heights.max()] == pytest.approx(interval, rel=1e-12)
    np.testing.assert_array_equal(display.data_.get_xdata(), X[:, 1])
    np.testing.assert_array_equal(display.data_.get_ydata(), y)
    assert (display.ax_.get_xlabel(), display.ax_.get_ylabel()) == ("x1", "y")


def test_of_one_input_the_band_is_the_default(X, y):
    model = TwoLayerRegressor(4, random_state=0).fit(X[:, :1], y)
    display = PredictionIntervalDisplay.from_estimator(model, X[:, :1], include_noise=False)
    np.testing.assert_allclose(display.interval, model.predict_interval(display.position[:, None], include_noise=False))
    assert display.data_ is None


def test_one_of_several_outputs_is_drawn(X, y):
    Y = np.column_stack([y, 10.0 * X[:, 1]])
    model = TwoLayerRegressor(4, random_state=0).fit(X, Y)
    display = PredictionIntervalDisplay.from_estimator(model, X, Y, output=1)
    np.testing.assert_array_equal(ends(display), model.predict_interval(X)[:, 1])
    np.testing.assert_array_equal(display.line_.get_xdata(), Y[:, 1])


@pytest.mark.parametrize("package", ["pandas", "polars"])
def test_the_columns_of_a_frame_name_the_inputs(package, X, y):
    library = pytest.importorskip(package)
    frame = library.DataFrame(dict(zip("abc", X.T, strict=True)))
    model = TwoLayerRegressor(4, random_state=0).fit(frame, y)
    target = library.DataFrame({"progress": y})["progress"]
    band = PredictionIntervalDisplay.from_estimator(model, frame, target, feature="b")
    assert (band.ax_.get_xlabel(), band.ax_.get_ylabel()) == ("b", "progress")
    network = NetworkDisplay.from_estimator(model, frame)
    assert [text.get_text() for text in network.ax_.texts] == ["a", "b", "c", "y"]


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"feature": "age"}, r"feature must be one of \['x0', 'x1', 'x2'\], or a number below 3. Got 'age'"),
        ({"feature": 3}, r"feature must be one of .* Got 3"),
        ({"y": None}, "y must be given unless feature"),
        ({"output": 1}, r"output must be a number below 1\. Got 1"),
        ({"confidence_level": 2}, r"confidence_level must be a float in the range \(0, 1\). Got 2"),
    ],
)
def test_what_cannot_be_drawn_is_named(model, X, y, given, message):
    given = {"y": y, **given}
    with pytest.raises(ValueError, match=message):
        PredictionIntervalDisplay.from_estimator(model, X, given.pop("y"), **given)


def test_inputs_of_another_width_or_length_are_refused(model, X, y):
    with pytest.raises(ValueError, match="X has 2 features, but TwoLayerRegressor is expecting 3"):
        PredictionIntervalDisplay.from_estimator(model, X[:, :2], y, feature=0)
    with pytest.raises(ValueError, match="X has 2 features, but TwoLayerRegressor is expecting 3"):
        NetworkDisplay.from_estimator(model, X[:, :2])
    with pytest.raises(ValueError, match="inconsistent numbers of samples"):
        PredictionIntervalDisplay.from_estimator(model, X, y[:-1])


def test_a_classifier_has_no_intervals(X, y):
    model = TwoLayerClassifier(2, random_state=0).fit(X, y > 0)
    with pytest.raises(ValueError, match="TwoLayerClassifier has no predict_interval: only a TwoLayerRegressor"):
        PredictionIntervalDisplay.from_estimator(model, X, y)


def test_a_fit_without_error_bars_says_so(X, y):
    model = TwoLayerRegressor(4, alpha=1, random_state=0).fit(X, y)
    with pytest.raises(ValueError, match='needs a fit by evidence: alpha="evidence"'):
        PredictionIntervalDisplay.from_estimator(model, X, y)


# ------------------------------------------------------------------ network


@pytest.mark.parametrize("activation", ["sigmoid", "tanh"])
def test_lines_are_as_wide_as_what_passes_through_them(X, y, activation):
    model = TwoLayerRegressor(4, activation=activation, random_state=0).fit(X, y)
    (W1, W2), (b1, _) = model.coefs_, model.intercepts_
    Z1 = X @ W1 + b1
    A1 = np.tanh(Z1) if activation == "tanh" else 1 / (1 + np.exp(-Z1))
    display = NetworkDisplay.from_estimator(model, X)
    order = np.argsort(-np.abs(W2[:, 0]) * A1.std(axis=0))
    expected = [W1[:, order] * X.std(axis=0)[:, np.newaxis], (W2 * A1.std(axis=0)[:, np.newaxis])[order]]
    for lines, flow in zip(display.lines_, expected, strict=True):
        widths = lines.get_linewidths()
        np.testing.assert_allclose(widths, 4 * np.abs(flow).ravel() / np.abs(flow).max(), rtol=1e-10)
        blue = [tuple(color[:3]) == to_rgb("tab:blue") for color in lines.get_colors()]
        assert blue == (flow.ravel() >= 0).tolist()


def test_the_units_of_the_data_do_not_change_the_picture(X, y):
    fits = [TwoLayerRegressor(4, alpha=1.0, random_state=0).fit(rows, y) for rows in (X, X * 1000.0)]
    one, other = [NetworkDisplay.from_estimator(*pair) for pair in zip(fits, (X, X * 1000.0), strict=True)]
    for mine, its in zip(one.lines_, other.lines_, strict=True):
        np.testing.assert_allclose(mine.get_linewidths(), its.get_linewidths(), rtol=1e-6)


def test_circles_are_as_many_as_units_and_named(X, y):
    labels = np.array(["low", "middle", "high"])[np.digitize(y, [-0.3, 0.3])]
    model = TwoLayerClassifier(5, random_state=0).fit(X, labels)
    display = NetworkDisplay.from_estimator(model, X, feature_names=["age", "bmi", "bp"])
    assert [len(nodes.get_xdata()) for nodes in display.nodes_] == [3, 5, 3]
    assert [text.get_text() for text in display.ax_.texts] == ["age", "bmi", "bp", *model.classes_]
    heights = [text.get_position()[1] for text in display.ax_.texts[:3]]
    np.testing.assert_array_equal(heights, display.nodes_[0].get_ydata())


def test_the_output_of_two_classes_is_the_second(X, y):
    model = TwoLayerClassifier(2, random_state=0).fit(X, np.where(y > 0, "yes", "no"))
    assert NetworkDisplay.from_estimator(model, X).ax_.texts[-1].get_text() == "yes"


def test_a_network_of_zeros_can_be_drawn(X):
    flows = [np.zeros((3, 2)), np.zeros((2, 1))]
    display = NetworkDisplay(flows, ["a", "b", "c"], ["y"]).plot()
    np.testing.assert_array_equal(display.lines_[0].get_linewidths(), np.zeros(6))


def test_output_names_must_be_as_many_as_outputs(model, X):
    with pytest.raises(ValueError, match=r"output_names must be 1 names\. Got 2"):
        NetworkDisplay.from_estimator(model, X, output_names=["a", "b"])


# ---------------------------------------------------------------------- style


def color_of(name, display):
    """Return the colour of the first thing drawn that has one to choose."""
    if name in ("relevances", "slopes"):
        return to_rgb(display.bars_[0].get_facecolor())
    return to_rgb((display.lines_[0] if name == "losses" else display.line_).get_color())


@pytest.mark.parametrize("name", ["losses", "intervals", "dependence"])
def test_two_curves_on_the_same_axes_differ(name, model, ard, X, y):
    _, ax = pyplot.subplots()
    one = draw(name, model, ard, X, y, ax=ax, name="one")
    first = color_of(name, one)
    two = draw(name, ard, ard, X, y, ax=ax, name="two")
    assert first != color_of(name, two)
    labels = [text.get_text() for text in ax.get_legend().get_texts()]
    assert {label.partition(",")[0] for label in labels} >= {"one", "two"}


@pytest.mark.parametrize("name", ["losses", "intervals", "relevances", "slopes", "dependence"])
def test_a_color_can_be_chosen(name, model, ard, X, y):
    display = draw(name, model, ard, X, y, color="tab:red", name="mine")
    assert color_of(name, display) == to_rgb("tab:red")
    assert any("mine" in text.get_text() for text in display.ax_.get_legend().get_texts())
    if name == "intervals":
        assert to_rgb(display.interval_.get_colors()[0]) == to_rgb("tab:red")


def test_the_lines_of_a_network_can_be_styled(model, X):
    display = NetworkDisplay.from_estimator(model, X, linestyle="dashed", name="mine")
    assert all(style[1] for lines in display.lines_ for style in lines.get_linestyles())
    assert display.ax_.get_title() == "mine"


def test_curves_of_one_color_are_told_apart(X, y):
    model = TwoLayerRegressor(2, early_stopping=True, random_state=0).fit(X, y)
    training, validation, _ = LossCurveDisplay.from_estimator(model, color="tab:red").lines_
    assert training.get_linestyle() != validation.get_linestyle()
    _, *mine = LossCurveDisplay.from_estimator(model, color="tab:red", linestyle=":").lines_
    assert mine[0].get_linestyle() == ":"


# ---------------------------------------------------------------------- pipelines and predictions


def test_what_is_in_a_pipeline_is_drawn(X, y):
    frame = pd.DataFrame(X, columns=["a", "b", "c"])
    model = make_pipeline(PiecewiseLinearEncoder(2), TwoLayerRegressor(3, random_state=0)).fit(frame, y)
    encoder, network = model
    np.testing.assert_array_equal(LossCurveDisplay.from_estimator(model).lines_[0].get_ydata(), network.loss_curve_)
    display, alone = (
        NetworkDisplay.from_estimator(model, frame),
        NetworkDisplay.from_estimator(network, encoder.transform(frame)),
    )
    np.testing.assert_array_equal(display.flows[0], alone.flows[0])
    assert display.feature_names == encoder.get_feature_names_out().tolist()


def test_predictions_of_anybody_are_drawn_with_their_intervals(model, X, y):
    interval = model.predict_interval(X)
    ours = PredictionIntervalDisplay.from_estimator(model, X, y)
    theirs = PredictionIntervalDisplay.from_predictions(y.tolist(), model.predict(X), interval, name="theirs")
    np.testing.assert_array_equal(theirs.line_.get_xydata(), ours.line_.get_xydata())
    np.testing.assert_array_equal(theirs.interval_.get_segments(), ours.interval_.get_segments())
    assert theirs.ax_.get_ylabel() == "predicted"
    for wrong in [(y, y, interval[1:]), (y, y[1:], interval), (y, y, y), (interval, interval, interval)]:
        with pytest.raises(ValueError, match=r"interval \(n_samples, 2\). Got"):
            PredictionIntervalDisplay.from_predictions(*wrong)


@pytest.mark.parametrize("k", [1, 2])
def test_bars_of_average_slopes_are_the_largest_first(k):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(100, 3)) * [1.0, 10.0, 1.0]
    y = np.outer(X @ [-1.0, 0.02, 0.5], np.arange(1, k + 1)) + 0.1 * rng.normal(size=(100, k))
    model = TwoLayerRegressor(2, random_state=0).fit(X, y)
    display = AverageSlopesDisplay.from_estimator(model, X, output=k - 1)
    assert [label.get_text() for label in display.ax_.get_yticklabels()] == ["x0", "x2", "x1"]
    widths = [bar.get_width() for bar in display.bars_]
    found = average_slopes(model, X)
    np.testing.assert_allclose(widths, (np.atleast_2d(found.slope)[k - 1] * found.spread)[[0, 2, 1]])
    few = AverageSlopesDisplay.from_estimator(model, X, output=k - 1, per_spread=False, max_features=1)
    assert few.bars_[0].get_width() == pytest.approx(-1.0 * k, rel=0.1)
    assert few.ax_.get_xlabel() == "average slope"
    with pytest.raises(ValueError, match="output must be a number below"):
        AverageSlopesDisplay.from_estimator(model, X, output=5)


def test_partial_dependence_is_a_curve_with_a_band_or_a_map():
    rng = np.random.default_rng(0)
    X = pd.DataFrame({"a": rng.normal(size=100), "b": rng.normal(size=100), "town": rng.choice(["Ulm", "Bonn"], 100)})
    y = np.sin(X["a"]) + X["b"] + (X["town"] == "Ulm") + 0.1 * rng.normal(size=100)
    model = make_table_pipeline(TwoLayerRegressor(3, random_state=0), n_pieces=1).fit(X, y)
    curve = PartialDependenceBandDisplay.from_estimator(model, X, "a", grid_resolution=9)
    found = partial_dependence(model, X, "a", grid_resolution=9)
    np.testing.assert_array_equal(curve.line_.get_xydata(), np.column_stack([*found.grid_values, found.average[0]]))
    corners = curve.band_.get_paths()[0].vertices
    assert corners[:, 1].max() == pytest.approx((found.average + 1.96 * found.std).max(), rel=1e-4)
    flat = PartialDependenceBandDisplay.from_estimator(model, X, ["b", "a"], grid_resolution=4)
    assert (flat.ax_.get_xlabel(), flat.ax_.get_ylabel()) == ("b", "a")
    assert flat.line_.zmax == pytest.approx(flat.average.max())
    towns = PartialDependenceBandDisplay.from_estimator(model, X, "town")
    assert [label.get_text() for label in towns.ax_.get_xticklabels()] == ["Bonn", "Ulm"]


@seeds(3)
@pytest.mark.parametrize("loss", ["poisson", "gamma"])
def test_bands_of_rates_and_amounts_are_above_zero(loss, seed):
    """Also where they are hardly known, of new targets and of means."""
    rng = np.random.default_rng(seed)
    X = rng.uniform(-2.0, 2.0, (50, 2))
    mean = np.exp(-2.0 + 2.0 * np.sin(1.5 * X[:, 0]))
    y = rng.poisson(mean).astype(float) if loss == "poisson" else rng.gamma(0.5, mean / 0.5)
    model = TwoLayerRegressor(4, loss=loss, random_state=0).fit(X, y)
    display = PartialDependenceBandDisplay.from_estimator(model, X, 0, percentiles=(0, 1))
    ends = display.band_.get_paths()[0].vertices[:, 1]
    assert ends.min() > 0.0
    found = partial_dependence(model, X, 0, percentiles=(0, 1))
    assert (found.average - 1.96 * found.std).min() < ends.min()
    few = PartialDependenceBandDisplay(np.array([2.0]), np.array([0.1]), [np.array(["a"])], ["x"], positive=True).plot()
    (bar,) = few.band_.get_segments()
    np.testing.assert_allclose(bar[:, 1], 2.0 * np.exp(np.array([-1.96, 1.96]) * 0.05), rtol=1e-4)
    for include_noise in (True, False):
        display = PredictionIntervalDisplay.from_estimator(model, X, y, feature=0, include_noise=include_noise)
        assert display.interval_.get_paths()[0].vertices[:, 1].min() >= 0.0


def test_a_band_is_as_wide_as_the_noise_is_there():
    rng = np.random.default_rng(0)
    X = rng.uniform(size=(300, 1))
    y = np.sin(6.0 * X[:, 0]) + (0.05 + 0.9 * X[:, 0]) * rng.normal(size=300)
    model = TwoLayerRegressor(5, noise="inputs", random_state=0).fit(X, y)
    display = PredictionIntervalDisplay.from_estimator(model, X, y)
    width = np.diff(display.interval, axis=1)[:, 0]
    assert width[display.position > 0.9].min() > 4.0 * width[display.position < 0.1].max()
