"""The base of all displays: the Axes to draw on, and the names of inputs and outputs."""

from collections.abc import Sequence
from typing import Any, Self

from sklearn.utils.validation import check_is_fitted


class Display:
    """What all displays share: Axes of their own, unless the caller has some."""

    ax_: Any
    figure_: Any

    def plot(self, ax: Any = None, *, name: str | None = None, **kwargs: Any) -> Self:
        """Draw it, as `from_estimator` does at once.

        Parameters
        ----------
        ax : matplotlib Axes, optional
            What to draw on; by default a new figure.
        name : str, optional
            What it is called in the legend, to tell it from others on the same Axes.
        **kwargs : dict
            What Matplotlib is told of its lines, such as `color` or `linewidth`.

        Returns
        -------
        display : Display
            The display itself, with `ax_`, `figure_` and what was drawn.
        """
        self._draw(self._take_axes(ax), name, **kwargs)
        return self

    def _draw(self, ax: Any, name: str | None, **style: Any) -> None:
        """Draw on these Axes, and keep what was drawn."""
        raise NotImplementedError

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


def labelled(name: str | None, label: str) -> str:
    """Return the label of one part of the drawing in the legend."""
    return label if name is None else f"{name}, {label}"


def require(estimator: Any, attribute: str, remedy: str) -> Any:
    """Return an attribute that only some fits have."""
    check_is_fitted(estimator)
    if not hasattr(estimator, attribute):
        raise ValueError(f"{type(estimator).__name__} has no {attribute}: {remedy}.")
    return getattr(estimator, attribute)


def check_output(output: Any, n_outputs: int) -> None:
    """Raise ValueError where this is not the number of an output."""
    if output not in range(n_outputs):
        raise ValueError(f"output must be a number below {n_outputs}. Got {output!r}.")


def names_of_inputs(estimator: Any, given: Sequence[str] | None, n_features: int) -> list[str]:
    """Return the names of the inputs: the given ones, those of the training data, or x0, x1, ..."""
    default = getattr(estimator, "feature_names_in_", [f"x{number}" for number in range(n_features)])
    return _check_names("feature_names", default if given is None else given, n_features)


def names_of_outputs(estimator: Any, given: Sequence[str] | None, n_outputs: int) -> list[str]:
    """Return the names of the outputs: the given ones, those of the classes, y, or y0, y1, ..."""
    default = ["y"] if n_outputs == 1 else [f"y{number}" for number in range(n_outputs)]
    default = getattr(estimator, "classes_", default)[-n_outputs:]  # of two classes, the second has the output
    return _check_names("output_names", default if given is None else given, n_outputs)


def _check_names(parameter: str, names: Sequence[Any], size: int) -> list[str]:
    if len(names) != size:
        raise ValueError(f"{parameter} must be {size} names. Got {len(names)}: {list(names)}.")
    return [str(name) for name in names]
