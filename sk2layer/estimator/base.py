"""What both estimators have in common: their parameters, and what these mean for a fit."""

from abc import abstractmethod
from numbers import Integral
from typing import Any, ClassVar, Self

from ..evidence.stages import make_stages
from ..model.activations import ACTIVATIONS
from ..model.network import Network
from ..objective.solver_choice import cheapest_solver, density_of
from ..rows.sources import RowSource
from ..solvers import SOLVERS, Solver
from ..solvers._parameters import INFINITY, check_parameters, choice, integer, naming_parameters, real
from .data import place_of
from .fitted import FittedTwoLayer
from .outcome import RESTARTS
from .targets import Targets

EVIDENCE_SOLVERS = None, SOLVERS["lbfgs"], SOLVERS["lm"]
"""With these, or one chosen by size, alpha="auto" is "evidence"; the others are asked for to be what they are."""


class BaseTwoLayer(FittedTwoLayer):
    """Parameters and fit of a two-layer network; the subclasses add what y means."""

    _parameter_constraints: ClassVar[dict[str, Any]] = {
        "hidden_units": [integer(1)],
        "activation": [choice(*ACTIVATIONS, note=" ('sigmoid' is what scikit-learn calls 'logistic')")],
        "solver": [choice("auto", *SOLVERS), Solver],
        "alpha": [real(0.0), choice("auto", "evidence", "ard")],
        "standardize": ["boolean"],
        "max_iter": [integer(1)],
        "tol": [real(0.0)],
        "early_stopping": ["boolean"],
        "validation_fraction": [real(0.0, 1.0, closed="neither")],
        "n_iter_no_change": [integer(1), INFINITY],
        "n_init": [integer(1)],
        "restarts": [choice(*RESTARTS)],
        "warm_start": ["boolean"],
        "n_jobs": [None, Integral],
        "random_state": ["random_state"],
        "verbose": ["boolean", integer(0)],
    }

    @naming_parameters
    def __init__(
        self,
        hidden_units: int = 20,
        *,
        activation: str = "sigmoid",
        solver: str | Solver = "auto",
        alpha: float | str = "auto",
        standardize: bool = True,
        max_iter: int = 200,
        tol: float = 1e-4,
        early_stopping: bool = False,
        validation_fraction: float = 0.1,
        n_iter_no_change: float = 10,
        n_init: int = 1,
        restarts: str = "best",
        warm_start: bool = False,
        n_jobs: int | None = None,
        random_state: Any = None,
        verbose: bool | int = False,
    ) -> None:
        self.hidden_units = hidden_units
        self.activation = activation
        self.solver = solver
        self.alpha = alpha
        self.standardize = standardize
        self.max_iter = max_iter
        self.tol = tol
        self.early_stopping = early_stopping
        self.validation_fraction = validation_fraction
        self.n_iter_no_change = n_iter_no_change
        self.n_init = n_init
        self.restarts = restarts
        self.warm_start = warm_start
        self.n_jobs = n_jobs
        self.random_state = random_state
        self.verbose = verbose

    # ------------------------------------------------------------------ what the subclasses say

    _targets: ClassVar[type[Targets]]
    """The targets that it takes."""

    @abstractmethod
    def _make_targets(self, y: Any, classes: Any = None) -> Targets:
        """Return how this y is encoded."""

    @abstractmethod
    def _remembered_targets(self) -> Targets:
        """Return how the y of the last fit was encoded."""

    # ------------------------------------------------------------------ parameters

    def set_params(self, **params: Any) -> Self:
        """Set parameters, those of the solver as `solver__<name>` also where the solver was given by name.

        Parameters
        ----------
        **params : dict
            The parameters by name.

        Returns
        -------
        self : estimator
            The estimator itself.
        """
        nested = {key: params.pop(key) for key in list(params) if key.startswith("solver__")}
        super().set_params(**params)
        if nested and isinstance(self.solver, str):
            if self.solver not in SOLVERS:
                raise ValueError(
                    f"solver={self.solver!r} has no parameters to set ({', '.join(nested)}). "
                    f"Name one of {sorted(SOLVERS)} or pass a solver object."
                )
            self.solver = SOLVERS[self.solver]()
        return super().set_params(**nested)

    def _solver_type(self) -> type[Any] | None:
        """Return the class of the solver, None where that is chosen by size."""
        return SOLVERS.get(self.solver) if isinstance(self.solver, str) else type(self.solver)

    def _takes_batches(self) -> bool:
        """Return whether the solver works on mini-batches, as far as it is known without data."""
        return getattr(self._solver_type(), "supports_partial_fit", False)

    def _grouping(self) -> str:
        """Return how the evidence groups the weights if it is to choose the penalty, otherwise an empty string."""
        if self.alpha != "auto":
            return self.alpha if isinstance(self.alpha, str) else ""
        return "evidence" if not self.early_stopping and self._solver_type() in EVIDENCE_SOLVERS else ""

    def _make_solver(self, source: RowSource, network: Network) -> Solver:
        """Return the solver to use."""
        if not isinstance(self.solver, str):
            return self.solver
        name, n_samples = self.solver, source.X.shape[0]
        if name == "auto" and self._grouping():
            return make_stages(n_samples, network, None)[-1].solver
        if name == "auto":
            density = density_of(source.X)
            name = cheapest_solver(n_samples, network, density=density, in_memory=source.in_memory)
        return SOLVERS[name]()

    def _check_parameters(self, X: Any, X_val: Any = None) -> None:
        check_parameters(self)
        if self.warm_start and self.restarts == "average" and self.n_init > 1:
            raise ValueError(
                "warm_start must be False where several starts are averaged, since one network can be gone on with. "
                f"Got {self.warm_start}, with restarts={self.restarts!r} and n_init={self.n_init}."
            )
        if self.alpha in ("evidence", "ard") and self.early_stopping:
            raise ValueError(f"alpha={self.alpha!r} needs early_stopping=False. Got {self.early_stopping}.")
        if isinstance(self.solver, Solver):
            check_parameters(self.solver)
        place_of(X).check_fit(self, X_val)
