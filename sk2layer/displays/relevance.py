"""How the relevances of the inputs are drawn."""

from collections.abc import Sequence
from typing import Any, Self

import numpy as np

from ..estimator.origin import origins, steps_of
from .base import Display, names_of_inputs, require


class RelevanceDisplay(Display):
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

    Notes
    -----
    A column that is several inputs of the network, such as ramps or categories, has the root of the sum of their
    squared relevances: as of a single input, this squared is the variance over the training rows of what a hidden unit
    takes from the column, in the mean over the prior of its weights.

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
        name: str | None = None,
        **kwargs: Any,
    ) -> Self:
        """Draw the relevances of a fitted estimator.

        Parameters
        ----------
        estimator : TwoLayerRegressor or TwoLayerClassifier, or a Pipeline that ends in one
            The estimator, fitted with `alpha="ard"`. Of a Pipeline the relevances are those of its columns, where each
            step says which column its outputs come from.
        feature_names : list of str, optional
            The names of the inputs, or of the columns that a Pipeline takes; by default those of the training data, or
            x0, x1, and so on.
        max_features : int, optional
            Draw only so many, the most relevant ones.
        ax : matplotlib Axes, optional
            What to draw on; by default a new figure.
        name : str, optional
            What it is called in the legend, to tell it from others on the same Axes.
        **kwargs : dict
            What Matplotlib is told of its bars, such as `color`.

        Returns
        -------
        display : RelevanceDisplay
            What was drawn.

        Raises
        ------
        NotFittedError
            If the estimator has not been fitted.
        ValueError
            If it was fitted with another `alpha`, if there are not as many names as inputs, or if a step of a Pipeline
            mixes columns.
        """
        *steps, network = steps_of(estimator)
        relevances = require(network, "feature_relevances_", 'fit it with alpha="ard"')
        if steps:
            variances = np.bincount(origins(steps), relevances**2, minlength=steps[0].n_features_in_)
            relevances = np.sqrt(variances)
        names = names_of_inputs(estimator, feature_names, len(relevances))
        return cls(relevances, names).plot(ax, max_features=max_features, name=name, **kwargs)

    def plot(self, ax: Any = None, *, name: str | None = None, max_features: int | None = None, **kwargs: Any) -> Self:
        """Draw the bars.

        Parameters
        ----------
        ax : matplotlib Axes, optional
            What to draw on; by default a new figure.
        name : str, optional
            What they are called in the legend.
        max_features : int, optional
            Draw only so many, the most relevant ones.
        **kwargs : dict
            What Matplotlib is told of its bars, such as `color`.

        Returns
        -------
        display : RelevanceDisplay
            The display itself, with `ax_`, `figure_` and `bars_`.
        """
        if max_features is not None and max_features < 1:
            raise ValueError(f"max_features must be an int of at least 1 or None. Got {max_features!r}.")
        ax = self._take_axes(ax)
        order = np.argsort(-np.asarray(self.relevances), kind="stable")[:max_features]
        style = {"color": "tab:blue", "label": name, **kwargs}
        self.bars_ = ax.barh(np.arange(len(order)), np.asarray(self.relevances)[order], **style)
        ax.set_yticks(np.arange(len(order)), [self.feature_names[number] for number in order])
        ax.invert_yaxis()
        ax.set(xlabel="relevance")
        if name is not None:
            ax.legend()
        return self
