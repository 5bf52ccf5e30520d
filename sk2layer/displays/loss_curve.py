"""How the losses of a fit are drawn."""

from typing import Any, Self

import numpy as np

from ..estimator.reach import network_of
from .base import Display, labelled, require


class LossCurveDisplay(Display):
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
    def from_estimator(cls, estimator: Any, *, ax: Any = None, name: str | None = None, **kwargs: Any) -> Self:
        """Draw the curves of a fitted estimator.

        Parameters
        ----------
        estimator : TwoLayerRegressor or TwoLayerClassifier, or a Pipeline that ends in one
            The fitted estimator.
        ax : matplotlib Axes, optional
            What to draw on; by default a new figure.
        name : str, optional
            What it is called in the legend, to tell it from others on the same Axes.
        **kwargs : dict
            What Matplotlib is told of its lines, such as `color`.

        Returns
        -------
        display : LossCurveDisplay
            What was drawn.

        Raises
        ------
        NotFittedError
            If the estimator has not been fitted.
        """
        network = network_of(estimator)
        curve = require(network, "loss_curve_", "it is not a network that reports its losses")
        return cls(curve, getattr(network, "validation_loss_curve_", None)).plot(ax, name=name, **kwargs)

    def _draw(self, ax: Any, name: str | None, **style: Any) -> None:
        steps = np.arange(1, len(self.loss_curve) + 1)
        self.lines_ = ax.plot(steps, self.loss_curve, **{"label": labelled(name, "training"), **style})
        if self.validation_loss_curve is not None:
            dashed = {
                "label": labelled(name, "validation"),
                **({"linestyle": "--"} if "color" in style else {}),
                **style,
            }
            self.lines_ += ax.plot(steps, self.validation_loss_curve, **dashed)
            best, color = int(np.argmin(self.validation_loss_curve)), self.lines_[-1].get_color()
            lowest = steps[best], self.validation_loss_curve[best]
            self.lines_ += ax.plot(*lowest, "o", color=color, label=labelled(name, "lowest"))
        ax.set(xlabel="iteration", ylabel="loss")
        ax.legend()
