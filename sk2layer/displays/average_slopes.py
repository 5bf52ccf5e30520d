"""How the mean slopes of the inputs are drawn."""

from collections.abc import Sequence
from typing import Any, Self

import numpy as np
from scipy.special import ndtri

from ..inspection import average_slopes
from .base import Display, check_output


class AverageSlopesDisplay(Display):
    """How much the prediction changes with each input in the mean: a bar each, with an interval, the largest first.

    Parameters
    ----------
    slope : ndarray of shape (n_features,)
        The mean slope of each input, in the units that are drawn. Those that are NaN are left out.
    standard_error : ndarray of shape (n_features,)
        That of each slope.
    feature_names : list of str
        The names of the inputs.
    confidence_level : float, default=0.95
        The probability of the intervals.
    label : str, default="average slope"
        What is drawn.

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
    sk2layer.inspection.average_slopes : The numbers.
    RelevanceDisplay : How freely each input may be used, without a sign.

    Examples
    --------
    >>> from sklearn.datasets import load_diabetes
    >>> from sk2layer import TwoLayerRegressor
    >>> from sk2layer.displays import AverageSlopesDisplay
    >>> X, y = load_diabetes(return_X_y=True, as_frame=True)
    >>> model = TwoLayerRegressor(5, random_state=0).fit(X, y)
    >>> display = AverageSlopesDisplay.from_estimator(model, X)
    >>> sorted(label.get_text() for label in display.ax_.get_yticklabels()[:2])
    ['bmi', 's5']
    """

    def __init__(
        self,
        slope: Any,
        standard_error: Any,
        feature_names: Sequence[str],
        *,
        confidence_level: float = 0.95,
        label: str = "average slope",
    ) -> None:
        self.slope, self.standard_error, self.feature_names = slope, standard_error, feature_names
        self.confidence_level, self.label = confidence_level, label

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        X: Any,
        *,
        sample_weight: Any = None,
        of: str = "predict_proba",
        output: int = 0,
        per_spread: bool = True,
        confidence_level: float = 0.95,
        max_features: int | None = None,
        ax: Any = None,
        name: str | None = None,
        **kwargs: Any,
    ) -> Self:
        """Draw the mean slopes of an estimator that was fitted by evidence.

        Parameters
        ----------
        estimator : TwoLayerRegressor or TwoLayerClassifier, or a Pipeline that ends in one
            The estimator.
        X : {array-like, sparse matrix, DataFrame} of shape (n_samples, n_features)
            The rows over which the mean is taken, as the estimator takes them.
        sample_weight : array-like of shape (n_samples,), optional
            The weights of the rows in the mean.
        of : {"predict_proba", "decision_function"}, default="predict_proba"
            Of a classifier, whether the slopes are those of the probabilities or of the log odds.
        output : int, default=0
            Which of several outputs, classes or labels.
        per_spread : bool, default=True
            Whether slopes are by one standard deviation of each input in X, which compares them, or by its unit.
        confidence_level : float in (0, 1), default=0.95
            The probability that an interval holds the slope.
        max_features : int, optional
            Draw only so many, the largest ones.
        ax : matplotlib Axes, optional
            What to draw on; by default a new figure.
        name : str, optional
            What it is called in the legend, to tell it from others on the same Axes.
        **kwargs : dict
            What Matplotlib is told of its bars, such as `color`.

        Returns
        -------
        display : AverageSlopesDisplay
            What was drawn.

        Raises
        ------
        ValueError
            If the estimator was not fitted by evidence.
        """
        found = average_slopes(estimator, X, sample_weight=sample_weight, of=of)
        factor = found.spread if per_spread else 1.0
        slope, error = (np.atleast_2d(array) for array in (found.slope, found.standard_error))
        check_output(output, len(slope))
        label = "average slope" + (" per standard deviation" if per_spread else "")
        display = cls(
            slope[output] * factor,
            error[output] * factor,
            found.feature_names,
            confidence_level=confidence_level,
            label=label,
        )
        return display.plot(ax, max_features=max_features, name=name, **kwargs)

    def plot(self, ax: Any = None, *, name: str | None = None, max_features: int | None = None, **kwargs: Any) -> Self:
        """Draw the bars.

        Parameters
        ----------
        ax : matplotlib Axes, optional
            What to draw on; by default a new figure.
        name : str, optional
            What they are called in the legend.
        max_features : int, optional
            Draw only so many, the largest ones.
        **kwargs : dict
            What Matplotlib is told of its bars, such as `color`.

        Returns
        -------
        display : AverageSlopesDisplay
            The display itself, with `ax_`, `figure_` and `bars_`.
        """
        ax = self._take_axes(ax)
        known = np.flatnonzero(np.isfinite(self.slope))
        order = known[np.argsort(-np.abs(self.slope[known]), kind="stable")][:max_features]
        half_width = self.standard_error[order] * ndtri(0.5 + 0.5 * self.confidence_level)
        colors = np.where(self.slope[order] >= 0.0, "tab:blue", "tab:orange").tolist()
        places = np.arange(len(order))
        style = {"color": colors, "ecolor": "black", "alpha": 0.8, "label": name, **kwargs}
        self.bars_ = ax.barh(places, self.slope[order], xerr=half_width, **style)
        ax.axvline(0.0, color="black", linewidth=0.8)
        ax.set_yticks(places, [self.feature_names[number] for number in order])
        ax.invert_yaxis()
        ax.set(xlabel=self.label)
        if name is not None:
            ax.legend()
        return self
