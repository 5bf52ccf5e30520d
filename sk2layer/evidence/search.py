"""The search for the penalty by evidence: rounds that fit the weights and then update the precisions.

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

from .._typing import Array
from ..objective.objective import Objective
from ..solvers import Run, Solver
from ..solvers.base import OUT_OF_ITERATIONS, STOPPED, Callback
from .marginal_likelihood import Look, MarginalLikelihood
from .priors import Groups
from .report import Evidence, report
from .stages import Stage, make_stages

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


class PenaltySearch(Solver):
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

    def minimize(self, objective: Any, theta: Array, run: Run) -> OptimizeResult:
        """Minimise -log p(y) per unit of sample weight; see `Solver.minimize`.

        A round counts as idle whose gain of that is below 10 `tol`; where the weight is below 1000, as if it were 1000.
        """
        search = Search(self, objective, theta, run)
        message, n_iter = search.message, 0
        while not message and n_iter < run.max_iter:
            try:
                look = search.round(run.callback)
                n_iter += 1
                message = search.message
                if run.callback is not None:
                    run.callback(search.iteration(look))
            except StopIteration:
                message = message or STOPPED
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
        """Return the result at these weights."""
        return report(objective, theta, log_precisions, self.grouping)


class Best(NamedTuple):
    """The most probable weights and precisions of a search, and whether they make a constant."""

    theta: Array
    log_precisions: Array
    log_evidence: float
    is_constant: bool = False


class Search:
    """A search under way, all of which that changes is in `state`, plain data. The seed determines parts of rows."""

    def __init__(self, method: PenaltySearch, objective: Objective, theta: Array, run: Run) -> None:
        self.method, self.objective, self.tol, self.seed, state = method, objective, run.tol, run.seed, run.state
        self.groups = Groups.of(objective.shape, method.grouping)
        self.stages = make_stages(objective.sums.total_samples, objective.network, method.solver)
        if objective.n_samples == 0:  # the rows are elsewhere: there is no part of them here
            self.stages = [stage for stage in self.stages if stage.n_rows is None]
        self.weight = objective.weight_sum
        self._likelihoods: dict[int | None, MarginalLikelihood] = {}
        if state is None:
            state = {"first": theta, "fresh": method.fresh, "stage": 0, "strength": 0, "winner": None, "message": ""}
            known, last = method.log_precisions, len(self.stages) - 1
            if known is not None and len(known) == len(self.likelihood(None).lower):
                state |= {"stage": last, "strength": len(STRENGTHS) - 1, **self._begun(theta, known)}
            else:
                stage = 0 if method.fresh else last
                state |= {"stage": stage, **self._begun(theta, self._start(theta, stage, strength=0))}
        self.state = state

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

    def _start(self, theta: Array, stage: int, strength: int) -> Array:
        """Return the log precisions that a search of this stage begins with."""
        return self.likelihood(self.stages[stage].n_rows).start(theta, STRENGTHS[strength])

    @staticmethod
    def _begun(theta: Array, log_precisions: Array) -> dict[str, Any]:
        """Return the part of the state that a new search or stage resets."""
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
        seen = [state["theta"]]

        def watch(iteration: OptimizeResult) -> None:
            seen[0] = iteration.x

        try:
            theta, solver_state = self._fit(stage, objective, watch)
        except KeyboardInterrupt:
            if callback is not None and self.state["best"] is None:
                look = likelihood.look(seen[0].copy(), state["log_precisions"], exact=False)
                callback(self.iteration(look))
            raise
        look = likelihood.look(theta, state["log_precisions"], exact=stage.exact)
        reached = {"theta": theta, "log_precisions": look.better, "solver_state": solver_state}
        self.state = self._judged({**state, **reached, "rounds": state["rounds"] + 1}, look, likelihood)
        return look

    def _fit(self, stage: Stage, objective: Objective, watch: Callback) -> tuple[Array, dict[str, Any] | None]:
        theta, solver_state = self.state["theta"], self.state["solver_state"]
        if solver_state is not None:
            solver_state = stage.solver.carried_over(solver_state, objective, theta)
        run = Run(stage.n_steps, INNER_TOL, seed=self.seed, callback=watch, state=solver_state)
        result = stage.solver.minimize(objective, theta, run)
        return result.x, result.state

    def _judged(self, state: dict[str, Any], look: Look, likelihood: MarginalLikelihood) -> dict[str, Any]:
        """Return the state after a look at the evidence; at the next strength or stage if this one has ended."""
        best, winner, weight = state["best"], state["winner"], likelihood.objective.weight_sum
        if best is None or look.log_evidence > best[2]:
            best = look.theta, look.log_precisions, look.log_evidence, likelihood.is_constant(look)
        least = GAIN * self.tol * max(weight, LEAST_WEIGHT) * (1.0 if self.is_last_stage else PASSING)
        stale = 0 if look.log_evidence > state["goal"] + least else state["stale"] + 1
        state = {**state, "best": best, "stale": stale, "goal": max(state["goal"], look.log_evidence)}
        behind = winner is not None and look.log_evidence < winner[2] - HOPELESS and state["rounds"] >= TRIAL
        if state["rounds"] < LEAST_ROUNDS or not (stale >= STALE or behind):
            return state
        if winner is None or best[2] > winner[2]:
            winner = best
        strength, n_strengths = state["strength"] + 1, len(STRENGTHS) - (not winner[3])
        if state["stage"] == 0 and state["fresh"] and strength < n_strengths:
            begun = self._begun(state["first"], self._start(state["first"], 0, strength))
            return {**state, "winner": winner, "strength": strength, **begun}
        if not self.is_last_stage:
            return {**state, **self._begun(*winner[:2]), "stage": state["stage"] + 1, "winner": None}
        message = f"the log evidence has grown by less than {least:.2g} in {STALE} rounds"
        return {**state, "best": winner, "winner": winner, "message": message}

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
