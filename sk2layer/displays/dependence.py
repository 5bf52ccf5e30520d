"""How the mean prediction over one input or two is drawn, with how sure it is."""

from typing import Any, Self

import numpy as np
from scipy.special import ndtri

from ..estimator.origin import steps_of
from ..inspection import partial_dependence
from .base import Display, check_output, labelled


class PartialDependenceBandDisplay(Display):
    """The mean prediction with one input, or two, set to each value of a grid: a curve with a band, or a map.

    Parameters
    ----------
    average, std : ndarrays of shape (n_values,) or (n_values_0, n_values_1)
        The mean predictions, and their standard deviations.
    grid_values : list of one or two ndarrays of shape (n_values,)
        The values of each input.
    feature_names : list of str
        The names of the inputs.
    confidence_level : float, default=0.95
        The probability of the band.
    label : str, default="mean prediction"
        What is drawn.
    positive : bool, default=False
        Whether the mean cannot be below 0, as that of counts: then the band is by the standard deviation of its
        logarithm, `std / average`.

    Attributes
    ----------
    ax_ : matplotlib Axes
        What was drawn on.
    figure_ : matplotlib Figure
        The figure it is a part of.
    line_ : matplotlib Line2D or ContourSet
        The curve, or the filled contours of the map.
    band_ : matplotlib collection or ContourSet
        The band, bars where the values are no numbers, or the lines of equal standard deviation.

    See Also
    --------
    sk2layer.inspection.partial_dependence : The numbers.
    sklearn.inspection.PartialDependenceDisplay : The same for any model, without a band.

    Examples
    --------
    >>> from sklearn.datasets import load_diabetes
    >>> from sk2layer import TwoLayerRegressor
    >>> from sk2layer.displays import PartialDependenceBandDisplay
    >>> X, y = load_diabetes(return_X_y=True, as_frame=True)
    >>> model = TwoLayerRegressor(5, random_state=0).fit(X, y)
    >>> display = PartialDependenceBandDisplay.from_estimator(model, X, "bmi", grid_resolution=20)
    >>> display.ax_.get_xlabel(), display.ax_.get_ylabel()
    ('bmi', 'mean prediction')
    """

    def __init__(
        self,
        average: Any,
        std: Any,
        grid_values: list[Any],
        feature_names: list[str],
        *,
        confidence_level: float = 0.95,
        label: str = "mean prediction",
        positive: bool = False,
    ) -> None:
        self.average, self.std, self.grid_values, self.feature_names = average, std, grid_values, feature_names
        self.confidence_level, self.label, self.positive = confidence_level, label, positive

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        X: Any,
        features: Any,
        *,
        output: int = 0,
        confidence_level: float = 0.95,
        percentiles: tuple[float, float] = (0.05, 0.95),
        grid_resolution: int | None = None,
        ax: Any = None,
        name: str | None = None,
        **kwargs: Any,
    ) -> Self:
        """Draw the partial dependence of an estimator that was fitted by evidence.

        Parameters
        ----------
        estimator : TwoLayerRegressor or TwoLayerClassifier, or a Pipeline that ends in one
            The estimator.
        X : {array-like, DataFrame} of shape (n_samples, n_features)
            The rows over which the mean is taken, as the estimator takes them.
        features : int, str, or sequence of one or two of these
            The inputs, by number or name.
        output : int, default=0
            Which of several outputs, classes or labels.
        confidence_level : float in (0, 1), default=0.95
            The probability that the band holds the mean prediction at a value.
        percentiles : tuple of float, default=(0.05, 0.95)
            Between which quantiles of the input in X the grid lies.
        grid_resolution : int, optional
            The number of values of the grid; by default 50 of one input, and 15 of each of two.
        ax : matplotlib Axes, optional
            What to draw on; by default a new figure.
        name : str, optional
            What it is called in the legend, to tell it from others on the same Axes.
        **kwargs : dict
            What Matplotlib is told of its curve, marks or levels, such as `color`.

        Returns
        -------
        display : PartialDependenceBandDisplay
            What was drawn.

        Raises
        ------
        ValueError
            If the estimator was not fitted by evidence, or an input is not there.
        """
        found = partial_dependence(estimator, X, features, percentiles=percentiles, grid_resolution=grid_resolution)
        check_output(output, len(found.average))
        average, std = found.average[output], found.std[output]
        how = {"confidence_level": confidence_level, "positive": steps_of(estimator)[-1].out_activation_ == "exp"}
        return cls(average, std, found.grid_values, found.feature_names, **how).plot(ax, name=name, **kwargs)

    def _draw(self, ax: Any, name: str | None, **style: Any) -> None:
        (self._draw_curve if len(self.grid_values) == 1 else self._draw_map)(ax, name, **style)

    def _draw_curve(self, ax: Any, name: str | None, **style: Any) -> None:
        (position,), (low, high) = self.grid_values, self._ends()
        label = labelled(name, f"{100 * self.confidence_level:g} % interval")
        if position.dtype.kind in "iuf":
            (self.line_,) = ax.plot(position, self.average, **{"label": labelled(name, self.label), **style})
            band = {"color": self.line_.get_color(), "alpha": 0.25, "linewidth": 0, "label": label}
            self.band_ = ax.fill_between(position, low, high, **band)
        else:
            places = [str(value) for value in position]
            ends = [list(self.average - low), list(high - self.average)]  # no arrays: one element would trouble it
            how = {"fmt": "o", "label": label, **style}
            self.line_, _, (self.band_,) = ax.errorbar(places, self.average, ends, **how)
        ax.set(xlabel=self.feature_names[0], ylabel=self.label)
        ax.legend()

    def _ends(self) -> tuple[Any, Any]:
        """Return the lower and the upper ends of the band."""
        half_width = self.std * ndtri(0.5 + 0.5 * self.confidence_level)
        if not self.positive:
            return self.average - half_width, self.average + half_width
        factor = np.exp(half_width / self.average)
        return self.average / factor, self.average * factor

    def _draw_map(self, ax: Any, name: str | None, **style: Any) -> None:
        across, up = (np.asarray(grid, dtype=np.float64) for grid in self.grid_values)
        self.line_ = ax.contourf(across, up, self.average.T, **{"levels": 12, **style})
        self.band_ = ax.contour(across, up, self.std.T, levels=4, colors="white", linestyles="dashed", linewidths=0.8)
        ax.clabel(self.band_, fmt="± %.3g", fontsize="small")
        self.figure_.colorbar(self.line_, ax=ax, label=labelled(name, self.label))
        ax.set(xlabel=self.feature_names[0], ylabel=self.feature_names[1])
