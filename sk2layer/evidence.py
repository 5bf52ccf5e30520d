"""Which penalty do the data ask for: rounds of fitting the weights, and of looking how strong the priors should be.

A round minimises the objective under the present precisions by some steps of a solver, looks at the log evidence there,
and goes on with the precisions that MacKay's fixed point makes of them (`marginal_likelihood`). The first rounds leave
the weights time to grow: precisions that are weak beside the weights of the start are raised by what the data say,
where strong ones would shrink every weight before it has learned anything. But where the data say little, a weak start
ends in noise, which a strong one smooths. So there are searches from two strengths, and the more probable one goes on.

What a round costs, and how the curvature is known, goes by size in stages (`make_stages`): on a part of the rows where
they are many, by L-BFGS with the curvature in its Kronecker-factored form; and for a small regression by
Levenberg-Marquardt with the matrix itself, for a few rounds or from the beginning.

References
----------
MacKay (1992). A practical Bayesian framework for backpropagation networks. Neural Computation 4.
"""

from functools import partial
from typing import Any, NamedTuple

import numpy as np
from scipy.optimize import OptimizeResult

from ._typing import Array
from .activations import Activation
from .leave_one_out import leave_one_out_density
from .losses import Loss
from .marginal_likelihood import Look, MarginalLikelihood
from .network import Shape
from .objective import Objective
from .posterior import Posterior
from .priors import Groups
from .solver_choice import OPERATION, lm_seconds
from .solvers import LBFGS, LevenbergMarquardt, Solver
from .solvers.base import OUT_OF_ITERATIONS, Callback

STRENGTHS = (0.1, 1.0, 0.001)
"""Of the priors a search begins with, in units of the inverse mean squares of the start's weights. The last
one is for data of which the others say that they determine a constant only."""

HOPELESS = 10.0  # log evidence so far below the best: a search that is there after `TRIAL` rounds is given up
TRIAL = 3
STALE = 3  # rounds without a gain that counts
LEAST_ROUNDS = 5  # of a search: precisions come from afar
GAIN, LEAST_WEIGHT = 10.0, 1000.0  # a round gains at least so many times `tol` per unit of weight, of at least so many
PASSING = 3.0  # times that, where another stage follows
INNER_TOL = 1e-9

SMALL_STEP = 0.002
"""Predicted seconds of a step with the matrix that is worth no other kind; of more where rows are interpolated."""

FEW_ROWS = 8.0
"""Rows for each parameter up to which steps with the matrix change more than the last digits of what L-BFGS found."""

AFFORDABLE_STEP, AFFORDABLE_LOOK, AFFORDABLE_LEVERAGES = 0.03, 0.15, 0.05
"""Predicted seconds to end a search with some such steps; to look at the matrix once; and at what it says of rows."""


class Stage(NamedTuple):
    """How a part of the search goes: on how many rows (None for all), by which steps, with which curvature."""

    n_rows: int | None
    solver: Solver
    n_steps: int
    exact: bool


def make_stages(n_samples: int, shape: Shape, loss: Loss, activation: Activation, solver: Solver | None) -> list[Stage]:
    """Return the stages of a search with the solver given, or with those that suit the size."""
    step, rows_per_parameter = lm_seconds(n_samples, shape), n_samples * shape.n_outputs / shape.n_parameters
    if solver is not None:
        n_steps = 3 if isinstance(solver, LevenbergMarquardt) else 15
        return [Stage(None, solver, n_steps, step <= AFFORDABLE_STEP)]
    smooth = activation.is_smooth and loss.has_noise
    if smooth and step <= SMALL_STEP * (2.5 if rows_per_parameter <= 2.0 else 1.0):
        return [Stage(None, LevenbergMarquardt(), 5, True)]
    first = LBFGS(n_corrections=20)
    stages, part = [], max(2000, 8 * shape.n_parameters)
    while n_samples > 4 * part:
        stages.append(Stage(part, first, 15, False))
        part *= 8
    stages.append(Stage(None, first, 15, False))
    if smooth and step <= AFFORDABLE_STEP and rows_per_parameter <= FEW_ROWS:
        stages.append(Stage(None, LevenbergMarquardt(), 2, True))
    return stages


class Evidence(NamedTuple):
    """What was found besides the weights; for standardised data.

    Attributes
    ----------
    log_precisions : ndarray of shape (n_groups,) or (n_groups + n_outputs,)
        Of the priors, then of the noise if there is any.
    n_groups : int
    log_evidence : float
    n_effective : float
        The number of parameters that the data determine.
    posterior : Posterior
    relevances : ndarray of shape (n_features,) or (1,)
        The prior standard deviation of the weights of each input in units of its spread; 0 for a constant one.
    loo_log_density : float
    at_bound : bool
        Whether the noise is as small as it may be.
    is_constant : bool
        Whether the data determine no more than a constant, and are none.
    """

    log_precisions: Array
    n_groups: int
    log_evidence: float
    n_effective: float
    posterior: Posterior
    relevances: Array
    loo_log_density: float
    at_bound: bool
    is_constant: bool

    @property
    def prior_precision(self) -> Array:
        """The precision of the prior of each group, shape (n_groups,)."""
        return np.exp(self.log_precisions[: self.n_groups])

    @property
    def noise_variance(self) -> Array:
        """The variance of the noise of each output, shape (n_outputs,), or none where there is no noise."""
        return np.exp(-self.log_precisions[self.n_groups :])


class EvidenceSearch(Solver):
    """Maximising the evidence in the form of a solver, whose objective's penalty has no effect.

    Parameters
    ----------
    grouping : {"evidence", "ard"}
        Whether the precisions of the inputs are pooled.
    solver : Solver or None
        What fits the weights; None is what suits the size.
    log_precisions : ndarray or None
        Those to start from, of an earlier fit.
    fresh : bool
        Whether the weights to start from are random.
    """

    def __init__(
        self,
        grouping: str = "evidence",
        solver: Solver | None = None,
        log_precisions: Array | None = None,
        fresh: bool = True,
    ) -> None:
        self.grouping, self.solver, self.log_precisions, self.fresh = grouping, solver, log_precisions, fresh

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """Return what must not change if a fit is to go on exactly."""
        return {"grouping": self.grouping, "solver": None if self.solver is None else self.solver.get_params()}

    def minimize(
        self,
        objective: Any,
        theta: Array,
        *,
        max_iter: int,
        tol: float,
        patience: int = 10,
        seed: int = 0,
        callback: Callback | None = None,
        state: dict[str, Any] | None = None,
        keep_state: bool = False,
    ) -> OptimizeResult:
        """Minimise -log p(y) per unit of sample weight; see `Solver.minimize`.

        A round counts as idle whose gain of that is below 10 `tol`; where the weight is below 1000, as if it were 1000.
        """
        search = Search(self, objective, theta, tol, seed, state)
        message, n_iter = search.message, 0
        while not message and n_iter < max_iter:
            try:
                look = search.round(callback)
                n_iter += 1
                message = search.message
                if callback is not None:
                    callback(search.iteration(look))
            except StopIteration:
                message = message or "stopped by the callback"
        best, state, evidence = self._found(search, theta.dtype)
        result = OptimizeResult(
            x=best.theta.astype(theta.dtype),
            fun=-best.log_evidence / search.weight,
            nit=n_iter,
            success=bool(message),
            message=message or OUT_OF_ITERATIONS,
            state=state,
        )
        result.evidence = evidence
        result.fingerprint = objective.value(result.x)
        return result

    def _found(self, search: "Search", dtype: Any) -> tuple["Best", dict[str, Any], Evidence]:
        """Return the best of a search, or, where that has ended, a constant that is more probable."""
        objective, best, state = search.objective, search.best, search.state
        evidence = self.evidence(objective, best.theta.astype(dtype), best.log_precisions)
        if not (search.message and state["fresh"]):
            return best, state, evidence
        constant = search.likelihood(None).constant()
        if not constant.log_evidence > evidence.log_evidence:
            return best, state, evidence
        best = Best(constant.theta, constant.log_precisions, constant.log_evidence)
        return best, state, self.evidence(objective, best.theta.astype(dtype), best.log_precisions)

    def evidence(self, objective: Objective, theta: Array, log_precisions: Array) -> Evidence:
        """Return what is to be said of the weights, with the matrix itself where that can be afforded once."""
        likelihood = MarginalLikelihood(objective, Groups.of(objective.shape, self.grouping))
        n_samples, shape, groups = objective.total_samples, objective.shape, likelihood.groups
        exact = lm_seconds(n_samples, shape) <= AFFORDABLE_LOOK
        look = likelihood.look(theta, log_precisions, exact=exact)
        own = likelihood.has_noise  # of labels, it is another one that predicts
        posterior = leverages = look.posterior if own else likelihood.posterior(theta, log_precisions, exact=exact)
        if exact and n_samples * shape.n_outputs * shape.n_parameters**2 * OPERATION > AFFORDABLE_LEVERAGES:
            leverages = likelihood.posterior(theta, log_precisions, exact=False)
        noise = np.exp(log_precisions[groups.n_groups :])
        inputs = slice(0, groups.n_inputs)
        relevances = np.exp(0.5 * (likelihood.units - log_precisions)[inputs]) * likelihood.alive[inputs]
        return Evidence(
            log_precisions,
            groups.n_groups,
            look.log_evidence,
            look.n_effective,
            posterior,
            relevances,
            leave_one_out_density(objective, theta, leverages, noise),
            likelihood.is_at_bound(log_precisions),
            likelihood.is_constant(look),
        )


class Best(NamedTuple):
    """The most probable weights and precisions of a search, and whether they make a constant."""

    theta: Array
    log_precisions: Array
    log_evidence: float
    is_constant: bool = False


class Search:
    """A search under way, all of which that changes is in `state`, plain data.

    Parameters
    ----------
    method : EvidenceSearch
    objective : Objective
    theta : ndarray of shape (n_parameters,)
        Where it begins.
    tol : float
    seed : int
        Determines the part of the rows.
    state : dict or None
        The state of an earlier search to go on with.
    """

    def __init__(
        self,
        method: EvidenceSearch,
        objective: Objective,
        theta: Array,
        tol: float,
        seed: int,
        state: dict[str, Any] | None,
    ) -> None:
        self.method, self.objective, self.tol, self.seed = method, objective, tol, seed
        self.groups = Groups.of(objective.shape, method.grouping)
        network = objective.shape, objective.loss, objective.activation
        self.stages = make_stages(objective.total_samples, *network, method.solver)
        if objective.n_samples == 0:  # the rows are elsewhere: there is no part of them here
            self.stages = [stage for stage in self.stages if stage.n_rows is None]
        self.weight = objective.weight_sum
        self._likelihoods: dict[int | None, MarginalLikelihood] = {}
        if state is None:
            state = {"first": theta, "fresh": method.fresh, "stage": 0, "strength": 0, "winner": None, "message": ""}
            known = method.log_precisions
            if known is not None and len(known) == len(self.likelihood(None).lower):
                state.update(stage=len(self.stages) - 1, strength=len(STRENGTHS) - 1)
                state.update(self._begun(theta, known))
            else:
                state.update(stage=0 if method.fresh else len(self.stages) - 1)
                state.update(self._begun(theta, self._start(state)))
        self.state = dict(state)

    @property
    def stage(self) -> Stage:
        """The present stage."""
        return self.stages[self.state["stage"]]

    @property
    def is_last_stage(self) -> bool:
        """Whether no other one follows."""
        return self.state["stage"] + 1 == len(self.stages)

    @property
    def message(self) -> str:
        """Why the search has ended; empty as long as it has not."""
        return self.state["message"]

    @property
    def best(self) -> Best:
        """The best of the present stage, or what it begins with."""
        state = self.state
        seen = [Best(*best) for best in (state["best"], state["winner"]) if best is not None]
        begun = Best(state["theta"], state["log_precisions"], -np.inf)
        return max(seen, key=lambda best: best.log_evidence, default=begun)

    def likelihood(self, n_rows: int | None) -> MarginalLikelihood:
        """Return the likelihood of so many rows, or of all."""
        if n_rows not in self._likelihoods:
            objective = self.objective
            if n_rows is not None:
                rows = np.random.default_rng(self.seed).permutation(objective.n_samples)[:n_rows]
                objective = objective.part(np.sort(rows))
            self._likelihoods[n_rows] = MarginalLikelihood(objective, self.groups)
        return self._likelihoods[n_rows]

    def _start(self, state: dict[str, Any]) -> Array:
        likelihood = self.likelihood(self.stages[state["stage"]].n_rows)
        return likelihood.start(state["first"], STRENGTHS[state["strength"]])

    @staticmethod
    def _begun(theta: Array, log_precisions: Array) -> dict[str, Any]:
        """Return what begins anew with a search or a stage."""
        return {
            "theta": theta,
            "log_precisions": log_precisions,
            "solver_state": None,
            "best": None,
            "goal": -np.inf,
            "stale": 0,
            "rounds": 0,
        }

    def round(self, callback: Callback | None) -> Look:
        """Carry out a round and decide what comes next; if interrupted, let the callback see what was reached."""
        state, stage = self.state, self.stage
        likelihood = self.likelihood(stage.n_rows)
        objective = likelihood.objective_at(state["log_precisions"])
        reached = [state["theta"]]

        def watch(iteration: OptimizeResult) -> None:
            reached[0] = iteration.x

        try:
            theta, solver_state = self._fit(stage, objective, watch)
        except KeyboardInterrupt:
            if callback is not None and self.state["best"] is None:
                look = likelihood.look(reached[0].copy(), state["log_precisions"], exact=False)
                callback(self.iteration(look))
            raise
        look = likelihood.look(theta, state["log_precisions"], exact=stage.exact)
        state.update(theta=theta, log_precisions=look.better, solver_state=solver_state, rounds=state["rounds"] + 1)
        self._judge(look, likelihood)
        return look

    def _fit(self, stage: Stage, objective: Objective, watch: Callback) -> tuple[Array, dict[str, Any] | None]:
        theta, solver_state = self.state["theta"], self.state["solver_state"]
        if solver_state is not None:
            solver_state = stage.solver.carried_over(solver_state, objective, theta)
        result = stage.solver.minimize(
            objective,
            theta,
            max_iter=stage.n_steps,
            tol=INNER_TOL,
            seed=self.seed,
            callback=watch,
            state=solver_state,
            keep_state=True,
        )
        return result.x, result.state

    def _judge(self, look: Look, likelihood: MarginalLikelihood) -> None:
        """Take note of the evidence, and go on with the next strength or stage where this one is done."""
        state, weight = self.state, likelihood.objective.weight_sum
        if state["best"] is None or look.log_evidence > state["best"][2]:
            constant = likelihood.is_constant(look)
            state["best"] = look.theta, look.log_precisions, look.log_evidence, constant
        least = GAIN * self.tol * max(weight, LEAST_WEIGHT) * (1.0 if self.is_last_stage else PASSING)
        gained = look.log_evidence > state["goal"] + least
        state["stale"] = 0 if gained else state["stale"] + 1
        state["goal"] = max(state["goal"], look.log_evidence)
        winner = state["winner"]
        behind = winner is not None and look.log_evidence < winner[2] - HOPELESS and state["rounds"] >= TRIAL
        if state["rounds"] < LEAST_ROUNDS or not (state["stale"] >= STALE or behind):
            return
        if winner is None or state["best"][2] > winner[2]:
            state["winner"] = state["best"]
        n_strengths = len(STRENGTHS) - (not state["winner"][3])
        if state["stage"] == 0 and state["fresh"] and state["strength"] + 1 < n_strengths:
            state["strength"] += 1
            state.update(self._begun(state["first"], self._start(state)))
        elif not self.is_last_stage:
            theta, log_precisions, *_ = state["winner"]
            state.update(self._begun(theta, log_precisions), stage=state["stage"] + 1, winner=None)
        else:
            state["best"] = state["winner"]
            state["message"] = f"the log evidence has grown by less than {least:.2g} in {STALE} rounds"

    def iteration(self, look: Look) -> OptimizeResult:
        """Return what a callback is told."""
        weight = self.likelihood(self.stage.n_rows).objective.weight_sum
        method, objective, log_precisions = self.method, self.objective, look.log_precisions
        return OptimizeResult(
            x=look.theta,
            fun=-look.log_evidence / weight,
            get_state=self.state.copy,
            extra={"log_precisions": log_precisions},
            get_evidence=partial(method.evidence, objective, look.theta, log_precisions),
        )
