"""The networks that are weighted against each other, and how they are fitted."""

import warnings
from collections.abc import Iterable
from typing import Any, ClassVar, NamedTuple

import numpy as np
from sklearn.base import BaseEstimator, clone
from sklearn.exceptions import ConvergenceWarning
from sklearn.pipeline import Pipeline
from sklearn.utils import check_random_state
from sklearn.utils.parallel import Parallel, delayed
from sklearn.utils.validation import check_is_fitted, validate_data

from .._typing import Array
from ..estimator.checks import check_weight
from ..estimator.origin import gradient
from ..preprocessing import PiecewiseLinearEncoder
from ..solvers._parameters import check_parameters, integer, naming_parameters

PLAIN = ((1, 20), (4, 10), (4, 20), (8, 10), (8, 20))
"""The numbers of pieces and of hidden units among which the leave-one-out density chooses."""

N_PLAIN = 2
"""So many are chosen."""

COMMITTEES = (8, 1)
"""The numbers of pieces of the committees."""

COMMITTEE: dict[str, Any] = {
    "hidden_units": 50,
    "activation": "relu",
    "alpha": 1.0,
    "max_iter": 100,
    "restarts": "average",
}
"""Wide networks with a weak penalty, whose errors the average cancels."""

LEAST_WEIGHT = 0.05
"""A network of less weight is left out."""

MAX_SEED = 2**31 - 1


class Rows(NamedTuple):
    """Training data, or a part of them."""

    X: Array
    y: Any
    weight: Array | None

    def part(self, rows: Any) -> "Rows":
        """Return some rows."""
        return Rows(self.X[rows], self.y[rows], None if self.weight is None else self.weight[rows])


class Stacked(BaseEstimator):
    """What both have in common: which networks there are, and how they are fitted."""

    _parameter_constraints: ClassVar[dict[str, Any]] = {
        "n_folds": [integer(2)],
        "n_init": [integer(1)],
        "n_jobs": [integer(-MAX_SEED), None],
        "random_state": ["random_state"],
    }
    _network: ClassVar[type]

    @naming_parameters
    def __init__(
        self, n_folds: int = 3, *, n_init: int = 5, n_jobs: int | None = None, random_state: Any = None
    ) -> None:
        self.n_folds = n_folds
        self.n_init = n_init
        self.n_jobs = n_jobs
        self.random_state = random_state

    def _checked(self, X: Any, y: Any, sample_weight: Any) -> Rows:
        """Return the rows of positive weight, checked."""
        check_parameters(self)
        X, y = validate_data(self, X, y, dtype=np.float64, ensure_all_finite="allow-nan")
        rows = Rows(X, y, None)
        weight = check_weight(sample_weight, len(rows.X))
        return rows if weight is None else rows._replace(weight=weight).part(weight > 0.0)

    def _candidates(self) -> tuple[list[Pipeline], list[Pipeline]]:
        """Return the networks by evidence, of which some are taken, and those of a committee, unfitted."""
        random = check_random_state(self.random_state)
        seeds = random.randint(MAX_SEED, size=1 + len(COMMITTEES))
        plain = [_model(n_pieces, self._network(n_units, random_state=seeds[0])) for n_pieces, n_units in PLAIN]
        wide = [
            _model(n_pieces, self._network(random_state=seed, **COMMITTEE))
            for n_pieces, seed in zip(COMMITTEES, seeds[1:], strict=True)
        ]
        return plain, wide

    def _fit_members(self, rows: Rows, folds: list[Any]) -> list[list[Pipeline]]:
        """Fit each kind, and return those of each fold.

        Of the committees, which may be of no use, one network each is fitted in a fold, and none to all rows as yet.
        """
        plain, committees = self._candidates()
        plain = self._fitted((model, rows) for model in plain)
        plain.sort(key=lambda model: np.nan_to_num(model[-1].loo_log_density_, nan=-np.inf), reverse=True)
        self.members_ = [*plain[:N_PLAIN], *committees]
        tasks = [(clone(model), rows.part(train)) for train, _ in folds for model in self.members_]
        fitted = iter(self._fitted(tasks, quiet=True))
        return [[next(fitted) for _ in self.members_] for _ in folds]

    def _keep(self, weights: Array, rows: Rows) -> Array:
        """Fit the committees that count to all rows, drop what does not, and return the weights of all."""
        weights = np.where(weights >= LEAST_WEIGHT, weights, 0.0)
        weights /= weights.sum()
        kept = [i for i, weight in enumerate(weights) if weight > 0.0 or i == 0]
        committees = [self.members_[i].set_params(network__n_init=self.n_init) for i in kept if i >= N_PLAIN]
        fitted = self._fitted((model, rows) for model in committees)
        self.members_ = [self.members_[i] for i in kept if i < N_PLAIN] + fitted
        self.weights_ = weights[kept]
        return weights

    def _fitted(self, tasks: Iterable[tuple[Pipeline, Rows]], *, quiet: bool = False) -> list[Pipeline]:
        return Parallel(n_jobs=self.n_jobs)(delayed(_fitted)(model, rows, quiet) for model, rows in tasks)

    def predict_gradient(self, X: Any, return_std: bool = False) -> Any:
        """Return the slopes of what is predicted, of a classifier of the probabilities: its derivatives by each input.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            The inputs.
        return_std : bool, default=False
            Whether to return the standard deviation of each slope, too.

        Returns
        -------
        gradient : ndarray of shape (n_samples, n_features) or (n_samples, n_classes, n_features)
            The weighted mean of the members' slopes, of two classes those of the probability of the second. Ramps have
            bends, at which it is the slope to the right. NaN where a value is missing.
        std : ndarray like gradient
            Their standard deviations, only with `return_std`: that of the first member, which is by evidence, and how
            far the slopes of the members differ.
        """
        X, (first, *others) = self._rows(X), self.members_
        slopes, *std = gradient([first[0]], first[1], X, return_std=return_std)
        each = np.stack([slopes, *(gradient([model[0]], model[1], X)[0] for model in others)])
        mean = np.tensordot(self.weights_, each, 1)
        if not return_std:
            return mean
        return mean, np.sqrt(std[0] ** 2 + np.tensordot(self.weights_, (each - mean) ** 2, 1))

    def _rows(self, X: Any) -> Any:
        check_is_fitted(self)
        return validate_data(self, X, dtype=np.float64, ensure_all_finite="allow-nan", reset=False)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        return tags


def _model(n_pieces: int, network: Any) -> Pipeline:
    return Pipeline([("encoder", PiecewiseLinearEncoder(n_pieces)), ("network", network)])


def _fitted(model: Pipeline, rows: Rows, quiet: bool) -> Pipeline:
    """Fit both steps with the weights, which a Pipeline does not pass to all."""
    encoder, network = model[0], model[1]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", Warning if quiet else ConvergenceWarning)
        X = encoder.fit_transform(rows.X, sample_weight=rows.weight)
        network.fit(X, rows.y, sample_weight=rows.weight)
    return model
