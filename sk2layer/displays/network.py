"""How the weights of a network are drawn."""

from collections.abc import Sequence
from typing import Any, Self

import numpy as np
from sklearn.utils.validation import validate_data

from .._typing import Array
from ..estimator.reach import activation_of, network_of, rows_for_network
from ..model.activations import ACTIVATIONS
from .base import Display, names_of_inputs, names_of_outputs, require


class NetworkDisplay(Display):
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
        name: str | None = None,
        **kwargs: Any,
    ) -> Self:
        """Draw the network of a fitted estimator.

        Parameters
        ----------
        estimator : TwoLayerRegressor or TwoLayerClassifier, or a Pipeline that ends in one
            The fitted estimator.
        X : {array-like, DataFrame} of shape (n_samples, n_features)
            Inputs as the estimator takes them, from which it is seen how much inputs and hidden units vary.
        feature_names : list of str, optional
            The names of the inputs of the network; by default those of the training data, those that the steps of a
            Pipeline give them, or x0, x1, and so on.
        output_names : list of str, optional
            The names of the outputs; by default those of the classes (of two, the second), y, or y0, y1, and so on.
        ax : matplotlib Axes, optional
            What to draw on; by default a new figure.
        name : str, optional
            What it is called in the legend, to tell it from others on the same Axes.
        **kwargs : dict
            What Matplotlib is told of its lines, such as `color`.

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
        network = network_of(estimator)
        W1, W2 = require(network, "coefs_", "it is not a network")
        if feature_names is None and hasattr(estimator, "steps"):
            feature_names = estimator[:-1].get_feature_names_out()
        names = names_of_inputs(network, feature_names, len(W1))
        rows = validate_data(network, rows_for_network(estimator, X), reset=False, dtype=np.float64)
        outputs = names_of_outputs(network, output_names, W2.shape[1])
        return cls(_flows(rows, network), names, outputs).plot(ax, name=name, **kwargs)

    def _draw(self, ax: Any, name: str | None, **style: Any) -> None:
        order = np.argsort(-np.linalg.norm(self.flows[1], axis=1), kind="stable")
        flows = [self.flows[0][:, order], self.flows[1][order]]
        heights = [_heights(size) for size in (*flows[0].shape, flows[1].shape[1])]
        self.lines_ = [_draw_lines(ax, n, heights[n], heights[n + 1], flow, style) for n, flow in enumerate(flows)]
        circles = {"marker": "o", "linestyle": "none", "markersize": 9, "color": "white", "markeredgecolor": "black"}
        self.nodes_ = [ax.plot(np.full(len(y), n), y, **circles)[0] for n, y in enumerate(heights)]
        for x, side, named, y in [(-0.05, "right", self.feature_names, 0), (2.05, "left", self.output_names, 2)]:
            for label, height in zip(named, heights[y], strict=True):
                ax.text(x, height, label, ha=side, va="center")
        ax.set(xlim=(-0.6, 2.5), ylim=(-0.05, 1.05))
        ax.axis("off")
        if name is not None:
            ax.set_title(name)


def _flows(X: Array, estimator: Any) -> list[Array]:
    """Return the weights times the standard deviation of what they start from."""
    (W1, W2), (b1, _) = estimator.coefs_, estimator.intercepts_
    A1 = X @ W1 + b1
    ACTIVATIONS[activation_of(estimator)].apply(A1)
    return [W1 * X.std(axis=0)[:, np.newaxis], W2 * A1.std(axis=0)[:, np.newaxis]]


def _heights(size: int) -> Array:
    """Return where the circles of a layer are, from the top."""
    return 1.0 - (np.arange(size) + 0.5) / size


def _draw_lines(ax: Any, layer: int, left: Array, right: Array, flow: Array, style: dict[str, Any]) -> Any:
    """Draw a line from each circle of one layer to each of the next, and return them."""
    from matplotlib.collections import LineCollection

    strength = np.abs(flow).ravel() / max(np.abs(flow).max(), np.finfo(float).tiny)
    lines = LineCollection(
        [[(layer, start), (layer + 1, end)] for start in left for end in right],
        linewidths=4.0 * strength,
        colors=np.where(flow.ravel() >= 0.0, "tab:blue", "tab:orange").tolist(),
        alpha=0.25 + 0.75 * strength,
    )
    lines.set(**style)
    return ax.add_collection(lines)
