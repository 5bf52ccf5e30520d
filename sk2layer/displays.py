"""How a fitted network is drawn: its losses, its error bars, its weights and the relevances of its inputs.

The displays follow scikit-learn's convention: `from_estimator` computes what is drawn and draws it, the object keeps
both, and `plot` draws it again, on Axes of the caller's if there are any. Matplotlib is imported when something is
drawn, and not before.
"""

from collections.abc import Sequence
from typing import Any, Self

import numpy as np
from sklearn.utils import check_consistent_length
from sklearn.utils.validation import check_is_fitted, validate_data

from ._typing import Array
from .activations import ACTIVATIONS

__all__ = ["LossCurveDisplay", "NetworkDisplay", "PredictionIntervalDisplay", "RelevanceDisplay"]


class _Display:
    """What all displays share: Axes of their own, unless the caller has some."""

    ax_: Any
    figure_: Any

    def _take_axes(self, ax: Any) -> Any:
        """Set `ax_` and `figure_`, and return the Axes to draw on."""
        try:
            from matplotlib import pyplot
        except ImportError as error:
            raise ImportError(
                f"{type(self).__name__} needs Matplotlib, which is not installed: pip install 'sk2layer[plots]'."
            ) from error
        self.ax_ = pyplot.subplots(layout="constrained")[1] if ax is None else ax
        self.figure_ = self.ax_.figure
        return self.ax_


def _require(estimator: Any, attribute: str, remedy: str) -> Any:
    """Return an attribute that only some fits have."""
    check_is_fitted(estimator)
    if not hasattr(estimator, attribute):
        raise ValueError(f"{type(estimator).__name__} has no {attribute}: {remedy}.")
    return getattr(estimator, attribute)


def _input_names(estimator: Any, given: Sequence[str] | None, n_features: int) -> list[str]:
    """Return the names of the inputs: the given ones, those of the training data, or x0, x1, ..."""
    default = getattr(estimator, "feature_names_in_", [f"x{number}" for number in range(n_features)])
    return _check_names("feature_names", default if given is None else given, n_features)


def _output_names(estimator: Any, given: Sequence[str] | None, n_outputs: int) -> list[str]:
    """Return the names of the outputs: the given ones, those of the classes, y, or y0, y1, ..."""
    default = ["y"] if n_outputs == 1 else [f"y{number}" for number in range(n_outputs)]
    default = getattr(estimator, "classes_", default)[-n_outputs:]  # of two classes, the second has the output
    return _check_names("output_names", default if given is None else given, n_outputs)


def _check_names(parameter: str, names: Sequence[Any], size: int) -> list[str]:
    if len(names) != size:
        raise ValueError(f"{parameter} must be {size} names. Got {len(names)}: {list(names)}.")
    return [str(name) for name in names]


class LossCurveDisplay(_Display):
    """The objective, and the validation loss if there is one, after each iteration of a fit.

    The objective includes the penalty and the validation loss does not, so that only their courses can be compared;
    after a fit by evidence the objective is the negative log evidence per sample, which may be negative.

    Parameters
    ----------
    loss_curve : array-like of shape (n_iterations,)
        The objective after each iteration.
    validation_loss_curve : array-like of shape (n_iterations,), optional
        The mean loss on the validation data after each iteration.

    Attributes
    ----------
    ax_ : matplotlib Axes
        What was drawn on.
    figure_ : matplotlib Figure
        The figure it is a part of.
    lines_ : list of matplotlib Line2D
        The training curve, and with validation data theirs and the mark at its lowest point.

    See Also
    --------
    PredictionIntervalDisplay : The error bars of a fit.

    Examples
    --------
    >>> from sklearn.datasets import load_diabetes
    >>> from sk2layer import TwoLayerRegressor
    >>> from sk2layer.displays import LossCurveDisplay
    >>> X, y = load_diabetes(return_X_y=True)
    >>> model = TwoLayerRegressor(early_stopping=True, random_state=0).fit(X, y)
    >>> display = LossCurveDisplay.from_estimator(model)
    >>> [line.get_label() for line in display.lines_]
    ['training', 'validation', 'lowest']
    """

    def __init__(self, loss_curve: Any, validation_loss_curve: Any = None) -> None:
        self.loss_curve = loss_curve
        self.validation_loss_curve = validation_loss_curve

    @classmethod
    def from_estimator(cls, estimator: Any, *, ax: Any = None) -> Self:
        """Draw the curves of a fitted estimator.

        Parameters
        ----------
        estimator : TwoLayerRegressor or TwoLayerClassifier
            The fitted estimator.
        ax : matplotlib Axes, optional
            What to draw on; by default a new figure.

        Returns
        -------
        display : LossCurveDisplay
            What was drawn.

        Raises
        ------
        NotFittedError
            If the estimator has not been fitted.
        """
        curve = _require(estimator, "loss_curve_", "it is not a network that reports its losses")
        return cls(curve, getattr(estimator, "validation_loss_curve_", None)).plot(ax)

    def plot(self, ax: Any = None) -> Self:
        """Draw the curves.

        Parameters
        ----------
        ax : matplotlib Axes, optional
            What to draw on; by default a new figure.

        Returns
        -------
        display : LossCurveDisplay
            The display itself, with `ax_`, `figure_` and `lines_`.
        """
        ax = self._take_axes(ax)
        steps = np.arange(1, len(self.loss_curve) + 1)
        self.lines_ = ax.plot(steps, self.loss_curve, color="tab:blue", label="training")
        if self.validation_loss_curve is not None:
            best = int(np.argmin(self.validation_loss_curve))
            lowest = self.validation_loss_curve[best]
            self.lines_ += ax.plot(steps, self.validation_loss_curve, color="tab:orange", label="validation")
            self.lines_ += ax.plot(steps[best], lowest, "o", color="tab:orange", label="lowest")
        ax.set(xlabel="iteration", ylabel="loss")
        ax.legend()
        return self


class RelevanceDisplay(_Display):
    """How freely each input may be used, as a fit with `alpha="ard"` has found: one bar each, the most relevant first.

    Parameters
    ----------
    relevances : array-like of shape (n_features,)
        The prior standard deviation of the weights of each standardised input.
    feature_names : list of str
        The names of the inputs.

    Attributes
    ----------
    ax_ : matplotlib Axes
        What was drawn on.
    figure_ : matplotlib Figure
        The figure it is a part of.
    bars_ : matplotlib BarContainer
        The bars, from the top.

    See Also
    --------
    NetworkDisplay : The weights themselves.

    Examples
    --------
    >>> from sklearn.datasets import load_diabetes
    >>> from sk2layer import TwoLayerRegressor
    >>> from sk2layer.displays import RelevanceDisplay
    >>> X, y = load_diabetes(return_X_y=True, as_frame=True)
    >>> model = TwoLayerRegressor(5, alpha="ard", random_state=0).fit(X, y)
    >>> display = RelevanceDisplay.from_estimator(model)
    >>> sorted(label.get_text() for label in display.ax_.get_yticklabels()[:2])
    ['bmi', 's5']
    """

    def __init__(self, relevances: Any, feature_names: Sequence[str]) -> None:
        self.relevances = relevances
        self.feature_names = feature_names

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        *,
        feature_names: Sequence[str] | None = None,
        max_features: int | None = None,
        ax: Any = None,
    ) -> Self:
        """Draw the relevances of a fitted estimator.

        Parameters
        ----------
        estimator : TwoLayerRegressor or TwoLayerClassifier
            The estimator, fitted with `alpha="ard"`.
        feature_names : list of str, optional
            The names of the inputs; by default those of the training data, or x0, x1, and so on.
        max_features : int, optional
            Draw only so many, the most relevant ones.
        ax : matplotlib Axes, optional
            What to draw on; by default a new figure.

        Returns
        -------
        display : RelevanceDisplay
            What was drawn.

        Raises
        ------
        NotFittedError
            If the estimator has not been fitted.
        ValueError
            If it was fitted with another `alpha`, or if there are not as many names as inputs.
        """
        relevances = _require(estimator, "feature_relevances_", 'fit it with alpha="ard"')
        names = _input_names(estimator, feature_names, len(relevances))
        return cls(relevances, names).plot(ax, max_features=max_features)

    def plot(self, ax: Any = None, *, max_features: int | None = None) -> Self:
        """Draw the bars.

        Parameters
        ----------
        ax : matplotlib Axes, optional
            What to draw on; by default a new figure.
        max_features : int, optional
            Draw only so many, the most relevant ones.

        Returns
        -------
        display : RelevanceDisplay
            The display itself, with `ax_`, `figure_` and `bars_`.
        """
        if max_features is not None and max_features < 1:
            raise ValueError(f"max_features must be an int of at least 1 or None. Got {max_features!r}.")
        ax = self._take_axes(ax)
        order = np.argsort(-np.asarray(self.relevances), kind="stable")[:max_features]
        self.bars_ = ax.barh(np.arange(len(order)), np.asarray(self.relevances)[order], color="tab:blue")
        ax.set_yticks(np.arange(len(order)), [self.feature_names[number] for number in order])
        ax.invert_yaxis()
        ax.set(xlabel="relevance")
        return self


class PredictionIntervalDisplay(_Display):
    """The predictions of a regressor with their intervals: a band over one input, or beside what was measured.

    Parameters
    ----------
    position : ndarray of shape (n_points,)
        Where the predictions are drawn: values of the input, or the measured targets.
    prediction : ndarray of shape (n_points,)
        The predictions.
    interval : ndarray of shape (n_points, 2)
        The lower and the upper end of each interval.
    data : tuple of 2 ndarrays of shape (n_samples,), optional
        With a band, the input and the target of the data.
    band : bool, default=True
        Whether to draw a band, rather than one bar for each prediction.
    label : str, default="interval"
        What the intervals are called in the legend.
    names : tuple of 2 str, default=("x", "y")
        What the axes are called.

    Attributes
    ----------
    ax_ : matplotlib Axes
        What was drawn on.
    figure_ : matplotlib Figure
        The figure it is a part of.
    line_ : matplotlib Line2D
        The curve of the predictions, or their marks.
    interval_ : matplotlib collection
        The band, or the bars.
    data_ : matplotlib Line2D or None
        The data, or the diagonal on which predictions are right.

    See Also
    --------
    sklearn.metrics.PredictionErrorDisplay : Predictions without intervals.

    Examples
    --------
    >>> from sklearn.datasets import load_diabetes
    >>> from sk2layer import TwoLayerRegressor
    >>> from sk2layer.displays import PredictionIntervalDisplay
    >>> X, y = load_diabetes(return_X_y=True)
    >>> model = TwoLayerRegressor(random_state=0).fit(X[:300], y[:300])
    >>> display = PredictionIntervalDisplay.from_estimator(model, X[300:], y[300:])
    >>> display.ax_.get_xlabel(), display.ax_.get_ylabel()
    ('measured', 'predicted')
    >>> display = PredictionIntervalDisplay.from_estimator(model, X[300:], y[300:], feature=2)
    >>> display.ax_.get_xlabel()
    'x2'
    """

    def __init__(
        self,
        position: Any,
        prediction: Any,
        interval: Any,
        *,
        data: tuple[Any, Any] | None = None,
        band: bool = True,
        label: str = "interval",
        names: tuple[str, str] = ("x", "y"),
    ) -> None:
        self.position, self.prediction, self.interval = position, prediction, interval
        self.data, self.band, self.label, self.names = data, band, label, names

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        X: Any,
        y: Any = None,
        *,
        feature: int | str | None = None,
        output: int = 0,
        confidence_level: float = 0.95,
        include_noise: bool = True,
        n_points: int = 200,
        ax: Any = None,
    ) -> Self:
        """Draw the intervals of a regressor that was fitted by evidence.

        Parameters
        ----------
        estimator : TwoLayerRegressor
            The fitted estimator.
        X : {array-like, DataFrame} of shape (n_samples, n_features)
            The inputs. A band spans their range.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs), optional
            The measured targets. Needed unless a band is drawn. Beside a band over one of several inputs they scatter
            more widely than the band, since their other inputs are not at the medians.
        feature : int or str, optional
            The input over which to draw a band, by number or name; the others stay at their medians. By default a band
            is drawn where there is one input only, and otherwise predictions beside measurements.
        output : int, default=0
            Which of several outputs.
        confidence_level : float in (0, 1), default=0.95
            The probability that the interval holds the target.
        include_noise : bool, default=True
            Whether the interval is for a new y, or for its mean alone.
        n_points : int, default=200
            The number of points at which a band is computed.
        ax : matplotlib Axes, optional
            What to draw on; by default a new figure.

        Returns
        -------
        display : PredictionIntervalDisplay
            What was drawn.

        Raises
        ------
        NotFittedError
            If the estimator has not been fitted.
        ValueError
            If the fit was not by evidence, a parameter is out of its range, or `y` is missing.
        """
        _require(estimator, "predict_interval", "only a TwoLayerRegressor has error bars")
        rows = validate_data(estimator, X, reset=False, dtype=np.float64)
        if output not in range(estimator.n_outputs_):
            raise ValueError(f"output must be a number below {estimator.n_outputs_}. Got {output!r}.")
        columns, target = _input_names(estimator, None, rows.shape[1]), None
        if y is not None:
            check_consistent_length(rows, y)
            target = np.asarray(y, dtype=np.float64).reshape(len(rows), -1)[:, output]
        if feature is None and len(columns) == 1:
            feature = columns[0]
        position: Array
        if feature is None:
            if target is None:
                raise ValueError("y must be given unless feature names the input over which to draw. Got None.")
            position, inputs, data, names = target, X, None, ("measured", "predicted")
        else:
            number = _find_input(feature, columns)
            grid = _sweep(rows, number, n_points)
            position, inputs = grid[:, number], _like(X, grid)
            data = None if target is None else (rows[:, number], target)
            names = columns[number], str(getattr(y, "name", None) or "y")
        interval = estimator.predict_interval(inputs, confidence_level, include_noise=include_noise)
        interval = interval.reshape(len(interval), -1, 2)[:, output]
        label = f"{100 * confidence_level:g} % interval"
        display = cls(
            position, interval.mean(axis=1), interval, data=data, band=feature is not None, label=label, names=names
        )
        return display.plot(ax)

    def plot(self, ax: Any = None) -> Self:
        """Draw the intervals.

        Parameters
        ----------
        ax : matplotlib Axes, optional
            What to draw on; by default a new figure.

        Returns
        -------
        display : PredictionIntervalDisplay
            The display itself, with `ax_`, `figure_`, `line_`, `interval_` and `data_`.
        """
        ax = self._take_axes(ax)
        (self._draw_band if self.band else self._draw_bars)(ax)
        ax.set(xlabel=self.names[0], ylabel=self.names[1])
        ax.legend()
        return self

    def _draw_band(self, ax: Any) -> None:
        self.interval_ = ax.fill_between(
            self.position, *np.transpose(self.interval), color="tab:blue", alpha=0.25, linewidth=0, label=self.label
        )
        (self.line_,) = ax.plot(self.position, self.prediction, color="tab:blue", label="prediction")
        self.data_ = None
        if self.data is not None:
            (self.data_,) = ax.plot(*self.data, ".", color="tab:gray", label="data")

    def _draw_bars(self, ax: Any) -> None:
        self.interval_ = ax.vlines(
            self.position, *np.transpose(self.interval), color="tab:blue", alpha=0.25, label=self.label
        )
        (self.line_,) = ax.plot(self.position, self.prediction, ".", color="tab:blue", label="prediction")
        ends = [np.min(self.position), np.max(self.position)]
        (self.data_,) = ax.plot(ends, ends, color="black", linewidth=0.8, label="as measured")


def _find_input(feature: int | str, names: list[str]) -> int:
    """Return the number of an input, which is given by number or name."""
    if feature in names:
        return names.index(str(feature))
    if feature in range(len(names)):
        return int(feature)
    raise ValueError(f"feature must be one of {names}, or a number below {len(names)}. Got {feature!r}.")


def _sweep(rows: Array, number: int, n_points: int) -> Array:
    """Return rows in which one input runs over its range while the others are at their medians."""
    grid = np.tile(np.median(rows, axis=0), (n_points, 1))
    grid[:, number] = np.linspace(rows[:, number].min(), rows[:, number].max(), n_points)
    return grid


def _like(X: Any, rows: Array) -> Any:
    """Return the rows as a DataFrame with the columns of X, if X is one."""
    return type(X)(dict(zip(X.columns, rows.T, strict=True))) if hasattr(X, "columns") else rows


class NetworkDisplay(_Display):
    """The network itself: inputs, hidden units and outputs as circles, weights as lines, the stronger the wider.

    How much passes through a line is its weight times the standard deviation of what it starts from, an input or a
    hidden unit; this can be compared whatever the units of the data. Lines are as wide as that, the widest of each
    layer alike, blue where the weight is positive and orange where it is negative. The hidden units are in the order of
    what they pass on, the strongest first.

    Parameters
    ----------
    flows : list of 2 ndarrays, of shapes (n_features, hidden_units) and (hidden_units, n_outputs)
        The weights of both layers, times the standard deviation of what they start from.
    feature_names : list of str
        The names of the inputs.
    output_names : list of str
        The names of the outputs.

    Attributes
    ----------
    ax_ : matplotlib Axes
        What was drawn on.
    figure_ : matplotlib Figure
        The figure it is a part of.
    lines_ : list of 2 matplotlib LineCollection
        The weights of both layers, row by row.
    nodes_ : list of 3 matplotlib Line2D
        The inputs, hidden units and outputs.

    See Also
    --------
    RelevanceDisplay : The relevance of each input.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sk2layer import TwoLayerClassifier
    >>> from sk2layer.displays import NetworkDisplay
    >>> X, y = load_iris(return_X_y=True, as_frame=True)
    >>> model = TwoLayerClassifier(6, random_state=0).fit(X, y)
    >>> display = NetworkDisplay.from_estimator(model, X)
    >>> [len(lines.get_segments()) for lines in display.lines_]
    [24, 18]
    """

    def __init__(self, flows: Sequence[Array], feature_names: Sequence[str], output_names: Sequence[str]) -> None:
        self.flows = flows
        self.feature_names = feature_names
        self.output_names = output_names

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        X: Any,
        *,
        feature_names: Sequence[str] | None = None,
        output_names: Sequence[str] | None = None,
        ax: Any = None,
    ) -> Self:
        """Draw the network of a fitted estimator.

        Parameters
        ----------
        estimator : TwoLayerRegressor or TwoLayerClassifier
            The fitted estimator.
        X : {array-like, DataFrame} of shape (n_samples, n_features)
            Inputs, from which it is seen how much inputs and hidden units vary.
        feature_names : list of str, optional
            The names of the inputs; by default those of the training data, or x0, x1, and so on.
        output_names : list of str, optional
            The names of the outputs; by default those of the classes (of two, the second), y, or y0, y1, and so on.
        ax : matplotlib Axes, optional
            What to draw on; by default a new figure.

        Returns
        -------
        display : NetworkDisplay
            What was drawn.

        Raises
        ------
        NotFittedError
            If the estimator has not been fitted.
        ValueError
            If there are not as many names as inputs or outputs.
        """
        W1, W2 = _require(estimator, "coefs_", "it is not a network")
        names = _input_names(estimator, feature_names, len(W1))
        flows = _flows(validate_data(estimator, X, reset=False, dtype=np.float64), estimator)
        outputs = _output_names(estimator, output_names, W2.shape[1])
        return cls(flows, names, outputs).plot(ax)

    def plot(self, ax: Any = None) -> Self:
        """Draw the network.

        Parameters
        ----------
        ax : matplotlib Axes, optional
            What to draw on; by default a new figure.

        Returns
        -------
        display : NetworkDisplay
            The display itself, with `ax_`, `figure_`, `lines_` and `nodes_`.
        """
        ax = self._take_axes(ax)
        order = np.argsort(-np.linalg.norm(self.flows[1], axis=1), kind="stable")
        flows = [self.flows[0][:, order], self.flows[1][order]]
        heights = [_heights(size) for size in (*flows[0].shape, flows[1].shape[1])]
        self.lines_ = [_draw_lines(ax, n, heights[n], heights[n + 1], flow) for n, flow in enumerate(flows)]
        style = {"marker": "o", "linestyle": "none", "markersize": 9, "color": "white", "markeredgecolor": "black"}
        self.nodes_ = [ax.plot(np.full(len(y), n), y, **style)[0] for n, y in enumerate(heights)]
        for x, side, named, y in [(-0.05, "right", self.feature_names, 0), (2.05, "left", self.output_names, 2)]:
            for name, height in zip(named, heights[y], strict=True):
                ax.text(x, height, name, ha=side, va="center")
        ax.set(xlim=(-0.6, 2.5), ylim=(-0.05, 1.05))
        ax.axis("off")
        return self


def _flows(X: Array, estimator: Any) -> list[Array]:
    """Return the weights times the standard deviation of what they start from."""
    (W1, W2), (b1, _) = estimator.coefs_, estimator.intercepts_
    A1 = X @ W1 + b1
    ACTIVATIONS[estimator._activation].apply(A1)
    return [W1 * X.std(axis=0)[:, np.newaxis], W2 * A1.std(axis=0)[:, np.newaxis]]


def _heights(size: int) -> Array:
    """Return where the circles of a layer are, from the top."""
    return 1.0 - (np.arange(size) + 0.5) / size


def _draw_lines(ax: Any, layer: int, left: Array, right: Array, flow: Array) -> Any:
    """Draw a line from each circle of one layer to each of the next, and return them."""
    from matplotlib.collections import LineCollection

    strength = np.abs(flow).ravel() / max(np.abs(flow).max(), np.finfo(float).tiny)
    lines = LineCollection(
        [[(layer, start), (layer + 1, end)] for start in left for end in right],
        linewidths=4.0 * strength,
        colors=np.where(flow.ravel() >= 0.0, "tab:blue", "tab:orange").tolist(),
        alpha=0.25 + 0.75 * strength,
    )
    return ax.add_collection(lines)
