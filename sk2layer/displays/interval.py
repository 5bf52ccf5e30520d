"""How predictions are drawn with their error bars."""

from typing import Any, Self

import numpy as np
from sklearn.utils import check_consistent_length

from ..estimator.origin import steps_of
from .base import Display, check_output, labelled, names_of_inputs, require
from .sweep import sweep


class PredictionIntervalDisplay(Display):
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
        name: str | None = None,
        **kwargs: Any,
    ) -> Self:
        """Draw the intervals of a regressor that was fitted by evidence.

        Parameters
        ----------
        estimator : TwoLayerRegressor, Pipeline that ends in one, or any other estimator with `predict_interval`
            The fitted estimator.
        X : {array-like, DataFrame} of shape (n_samples, n_features)
            The inputs, as the estimator takes them, so of a pipeline the table itself. A band spans their range.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs), optional
            The measured targets. Needed unless a band is drawn. Beside a band over one of several inputs they scatter
            more widely than the band, since their other inputs are not at the medians.
        feature : int or str, optional
            The input over which to draw a band, by number or name: a column of numbers or dates. The others stay at
            their medians, or columns of text, categories and booleans at their most frequent values. By default a band
            is drawn where there is one input only, and otherwise predictions beside measurements.
        output : int, default=0
            Which of several outputs.
        confidence_level : float in (0, 1), default=0.95
            The probability that the interval holds the target.
        include_noise : bool, default=True
            Whether the interval is for a new y, or for its mean alone, which not all other estimators know.
        n_points : int, default=200
            The number of points at which a band is computed.
        ax : matplotlib Axes, optional
            What to draw on; by default a new figure.
        name : str, optional
            What it is called in the legend, to tell it from others on the same Axes.
        **kwargs : dict
            What Matplotlib is told of its curve or marks and their intervals, such as `color`.

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
        *steps, network = steps_of(estimator)
        require(network, "predict_interval", "only a TwoLayerRegressor or what is made of such has error bars")
        n_features = (*np.shape(X), 1)[1]
        columns = names_of_inputs(estimator, getattr(X, "columns", None), n_features)
        check_consistent_length(X, y)
        if feature is None and n_features == 1:
            feature = columns[0]
        inputs, position, data, names = X, None, None, ("measured", "predicted")
        if feature is not None:
            number = _find_input(feature, columns)
            inputs, position, data = sweep(X, number, n_points)
            names = columns[number], str(getattr(y, "name", None) or "y")
        elif y is None:
            raise ValueError("y must be given unless feature names the input over which to draw. Got None.")
        for step in steps:
            inputs = step.transform(inputs)
        given = {} if include_noise else {"include_noise": False}
        interval = _of_output(network.predict_interval(inputs, confidence_level, **given), output, 2)
        target = None if y is None else _of_output(np.asarray(y, dtype=np.float64), output)
        display = cls(
            target if feature is None else position,
            _of_output(network.predict(inputs), output),
            interval,
            data=None if feature is None or target is None else (data, target),
            band=feature is not None,
            label=f"{100 * confidence_level:g} % interval",
            names=names,
        )
        return display.plot(ax, name=name, **kwargs)

    @classmethod
    def from_predictions(
        cls,
        y_true: Any,
        y_pred: Any,
        interval: Any,
        *,
        label: str = "interval",
        ax: Any = None,
        name: str | None = None,
        **kwargs: Any,
    ) -> Self:
        """Draw intervals beside what was measured, whoever has predicted them.

        Parameters
        ----------
        y_true : array-like of shape (n_samples,)
            The measured targets.
        y_pred : array-like of shape (n_samples,)
            The predictions.
        interval : array-like of shape (n_samples, 2)
            The lower and the upper end of each interval.
        label : str, default="interval"
            What the intervals are called in the legend.
        ax : matplotlib Axes, optional
            What to draw on; by default a new figure.
        name : str, optional
            What it is called in the legend, to tell it from others on the same Axes.
        **kwargs : dict
            What Matplotlib is told of the marks and their intervals, such as `color`.

        Returns
        -------
        display : PredictionIntervalDisplay
            What was drawn.
        """
        y_true, y_pred, interval = (np.asarray(values, dtype=np.float64) for values in (y_true, y_pred, interval))
        if not y_true.shape == y_pred.shape == interval.shape[:-1] or interval.shape[-1:] != (2,) or y_true.ndim != 1:
            raise ValueError(
                "y_true and y_pred must have shape (n_samples,), and interval (n_samples, 2). "
                f"Got {y_true.shape}, {y_pred.shape} and {interval.shape}."
            )
        names = ("measured", "predicted")
        return cls(y_true, y_pred, interval, band=False, label=label, names=names).plot(ax, name=name, **kwargs)

    def _draw(self, ax: Any, name: str | None, **style: Any) -> None:
        marks = {"label": labelled(name, "prediction"), **({} if self.band else {"marker": ".", "linestyle": "none"})}
        (self.line_,) = ax.plot(self.position, self.prediction, **{**marks, **style})
        (self._draw_band if self.band else self._draw_bars)(ax, name, self.line_.get_color())
        ax.set(xlabel=self.names[0], ylabel=self.names[1])
        ax.legend()

    def _draw_band(self, ax: Any, name: str | None, color: Any) -> None:
        ends, label = np.transpose(self.interval), labelled(name, self.label)
        self.interval_ = ax.fill_between(self.position, *ends, color=color, alpha=0.25, linewidth=0, label=label)
        self.data_ = None
        if self.data is not None:
            (self.data_,) = ax.plot(*self.data, ".", color="tab:gray", label="data")

    def _draw_bars(self, ax: Any, name: str | None, color: Any) -> None:
        ends, label = np.transpose(self.interval), labelled(name, self.label)
        self.interval_ = ax.vlines(self.position, *ends, color=color, alpha=0.25, label=label)
        corners = [np.min(self.position), np.max(self.position)]
        (self.data_,) = ax.plot(corners, corners, color="black", linewidth=0.8, label="as measured")


def _find_input(feature: int | str, names: list[str]) -> int:
    """Return the number of an input, which is given by number or name."""
    if feature in names:
        return names.index(str(feature))
    if feature in range(len(names)):
        return int(feature)
    raise ValueError(f"feature must be one of {names}, or a number below {len(names)}. Got {feature!r}.")


def _of_output(values: Any, output: int, *shape: int) -> Any:
    """Return what belongs to one of several outputs."""
    values = values.reshape(len(values), -1, *shape)
    check_output(output, values.shape[1])
    return values[:, output]
