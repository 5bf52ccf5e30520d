"""What is minimised and how: standardised data, network and penalty; solver, tolerances and what watches."""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from .._typing import Array
from ..evidence.noise import noise_of_penalised, start_under_wide_noise
from ..model.network import Network, Weights, initial_weights, pack
from ..objective.objective import Objective
from ..rows.scaling import Scaling
from ..rows.sources import RowSource, Table
from ..solvers import Solver
from .monitor import Monitor


class Problem:
    """What is minimised, apart from where to start.

    Training and validation data come in the units of the user, and `scaling` standardises both. `alpha` is the strength
    of the penalty on the weights, None where the evidence chooses it, and `dtype` the floating type of the computation,
    by default that of the data.
    """

    def __init__(
        self,
        train: RowSource,
        validation: Table | None,
        *,
        scaling: Scaling,
        network: Network,
        alpha: float | None,
        dtype: Any = None,
        n_threads: int = 1,
    ) -> None:
        self.scaling, self.network, self.shape, self.alpha = scaling, network, network.shape, alpha or 0.0
        self.n_threads, self.by_evidence = n_threads, alpha is None
        self.weights_dtype, self.dtype = train.X.dtype, np.dtype(dtype or train.X.dtype)
        self.train = train.standardized(scaling, self.dtype)
        self.validation = None if validation is None else validation.standardized(scaling, self.dtype)

    def objective(self) -> Objective:
        """Return the objective, with a work space of its own."""
        return self._objective(self.train, self.alpha)

    def settle_noise(self, seed: int) -> None:
        """Find the parameters of the noise under the given penalty, if the loss has such; from a random start."""
        if self._needs_noise:
            self.set_noise(noise_of_penalised(self.objective(), self.start(None, seed), seed))

    def set_noise(self, noise: Array) -> None:
        """Set the parameters of the noise, for standardised data; losses are relative to its precision."""
        loss: Any = self.network.loss
        self.network = self.network._replace(loss=loss.relative_at(noise))

    def validation_loss(self) -> Callable[[Array], float] | None:
        """Return the loss on the validation data, without a penalty, as a function of theta; None without such data."""
        return None if self.validation is None else self._objective(self.validation, 0.0).value

    def validation_value(self, theta: Array) -> float | None:
        """Return the loss on the validation data, None where there are none."""
        loss = self.validation_loss()
        return None if loss is None else loss(theta)

    def _objective(self, source: RowSource, alpha: float) -> Objective:
        return Objective(source, self.network, alpha * self.shape.is_weight(), self.dtype, self.n_threads)

    def start(self, weights: Weights | None, seed: int, *, at_random: bool = False) -> Array:
        """Return theta to start from: the given weights, in the units of the data, or random ones.

        Where the noise has parameters, random ones are first fitted under wide noise, unless `at_random`.
        """
        if weights is None:
            theta = initial_weights(self.shape, self.network.activation, np.random.default_rng(seed))
            if self.network.loss.starts_at_mean:
                self.shape.unpack(theta).b2[:] = self.network.loss.start(self.objective().target_means())
        else:
            theta = pack(self.scaling.fold_in(weights))
        theta = theta.astype(self.dtype)
        if weights is None and self._needs_noise and not at_random:
            theta = start_under_wide_noise(self.objective(), theta, seed)
        return theta

    @property
    def _needs_noise(self) -> bool:
        """Whether the noise has parameters that are to be found before the weights."""
        return self.network.loss.needs_noise and not self.by_evidence


class FitSettings(NamedTuple):
    """How to minimise: what the solver and the monitor are told; `reporter` is that of the fit, or of a start."""

    solver: Solver
    max_iter: int
    tol: float
    patience: int
    early_stopping: bool = False
    keep_state: bool = False
    print_every: int = 0
    title: str = ""
    reporter: Any = None
    restarts: str = "best"
    n_jobs: int | None = None

    def monitor(self) -> Monitor:
        """Return what watches a new fit."""
        patience = self.patience if self.early_stopping else None
        return Monitor(patience=patience, tol=self.tol, print_every=self.print_every, title=self.title)

    def of_starts(self, n_starts: int) -> list["FitSettings"]:
        """Report that the fit begins, and return the settings of each start."""
        reporters = [None] * n_starts if self.reporter is None else self.reporter.begin(n_starts, self.max_iter)
        if n_starts == 1:
            return [self._replace(reporter=reporters[0])]
        titles = (f"{self.title}, start {number} of {n_starts}," for number in range(1, n_starts + 1))
        return [self._replace(reporter=its, title=title) for its, title in zip(reporters, titles, strict=True)]

    def key(self) -> tuple[Any, ...]:
        """Return what must not change if a fit is to go on exactly."""
        return str(type(self.solver)), self.solver.get_params(), self.tol, self.patience, self.early_stopping
