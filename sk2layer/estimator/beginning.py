"""What a fit starts from, which is the first of these that there is.

1. a fit that was not finished: it goes on exactly, or it is an error;
2. `coefs_init` and `intercepts_init`;
3. with `warm_start`, the last fit: exactly from where it stopped if nothing has changed, else from its weights;
4. random weights, `n_init` times.
"""

from typing import Any, NamedTuple

from ..model.network import Shape, Weights
from .checks import check_init, draw_seed
from .outcome import FitState
from .problem import FitSettings, Problem


class Beginning(NamedTuple):
    """What a fit starts from.

    Attributes
    ----------
    weights : Weights or None
        The weights to start from, in the units of the data; None for random ones.
    state : FitState or None
        Where the last fit stopped, to go on exactly; `weights` count if it is of another problem.
    seed : int
        What all that is random in the fit follows from.
    n_starts : int
        The number of starts that differ in their random weights.
    """

    weights: Weights | None
    state: FitState | None
    seed: int
    n_starts: int

    def is_where_it_stopped(self, problem: Problem, settings: FitSettings) -> bool:
        """Return whether the problem is that of the last fit, which can then go on as if it had not stopped.

        Raises
        ------
        ValueError
            If it is another one, and the last fit was not finished.
        """
        if self.state is None or self.state.is_of(problem, settings):
            return self.state is not None
        if self.state.in_progress:
            raise ValueError(
                "The data, for validation too, and the parameters other than max_iter must be those of the fit that "
                "was not finished. Got others, or what another version or another machine's arithmetic has left, "
                f"after {len(self.state.monitor.loss_curve)} iterations of it. clone() the estimator to start afresh."
            )
        return False


def goes_on(estimator: Any) -> bool:
    """Return whether `fit` goes on from the last fit: one that was not finished, or any with `warm_start`."""
    return _is_unfinished(estimator) or (estimator.warm_start and hasattr(estimator, "coefs_"))


def beginning_of(estimator: Any, shape: Shape, init: tuple[Any, Any]) -> Beginning:
    """Return what `fit` starts from, given `coefs_init` and `intercepts_init`, or None for each."""
    given, again = check_init(init, shape, estimator.n_init), goes_on(estimator)
    state = getattr(estimator, "_fit_state", None) if again else None
    seed = draw_seed(estimator.random_state) if state is None else state.seed
    if given is not None and not _is_unfinished(estimator):
        return Beginning(given, None, seed, 1)
    weights = previous_weights(estimator, shape) if again else None
    return Beginning(weights, state, seed, int(estimator.n_init) if weights is None else 1)


def previous_weights(estimator: Any, shape: Shape) -> Weights | None:
    """Return the weights of the last fit; None if they make a constant, which has nothing to go on from.

    Raises
    ------
    ValueError
        If they are those of a network of another shape.
    """
    (W1, W2), (b1, b2) = estimator.coefs_, estimator.intercepts_
    previous = Shape(W1.shape[0], W1.shape[1], W2.shape[1])
    if previous != shape:
        raise ValueError(
            f"A fit cannot go on from a network of {previous} with one of {shape}. "
            "clone() the estimator to start afresh."
        )
    return Weights(W1, b1, W2, b2) if W2.any() else None


def _is_unfinished(estimator: Any) -> bool:
    state: FitState | None = getattr(estimator, "_fit_state", None)
    return state is not None and state.in_progress
