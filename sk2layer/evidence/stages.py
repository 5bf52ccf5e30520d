"""The stages of a search for the penalty, by size: the number of rows, the solver, the form of the curvature."""

from typing import NamedTuple

from ..model.network import Network
from ..objective.solver_choice import lm_seconds
from ..solvers import LBFGS, LevenbergMarquardt, Solver

SMALL_STEP, SMALL_STEP_OF_FEW_ROWS = 0.002, 0.005
"""Predicted seconds of a step with the matrix that is worth no other kind; of more where rows are few."""

INTERPOLATED_ROWS = 2.0
"""Rows for each parameter up to which they may be interpolated, and many steps are needed."""

LBFGS_STEPS, LM_STEPS, LM_FIRST_STEPS, LM_LAST_STEPS = 15, 3, 5, 2
"""Of a round: steps of L-BFGS, and steps with the matrix where the solver is given, from the beginning, and at last."""

FEW_ROWS = 8.0
"""Rows for each parameter up to which steps with the matrix change more than the last digits of what L-BFGS found."""

AFFORDABLE_STEP = 0.03
"""Predicted seconds of a step with the matrix that is worth while to end a search with some of them."""

PART_ROWS, PART_ROWS_PER_PARAMETER, PART_GROWTH, LARGEST_PART = 2000, 8, 8, 0.25
"""Of the smallest part of the rows: at least so many, and for each parameter; each part is so many times the last, and
less than this share of all, or it would save too little."""


class Stage(NamedTuple):
    """How a part of the search goes: on how many rows (None for all), by which steps, with which curvature."""

    n_rows: int | None
    solver: Solver
    n_steps: int
    exact: bool


def make_stages(n_samples: int, network: Network, solver: Solver | None) -> list[Stage]:
    """Return the stages of a search with the solver given, or with those that suit the size."""
    shape, activation, loss = network
    step, rows_per_parameter = lm_seconds(n_samples, shape), n_samples * shape.n_outputs / shape.n_parameters
    if solver is not None:
        n_steps = LM_STEPS if isinstance(solver, LevenbergMarquardt) else LBFGS_STEPS
        return [Stage(None, solver, n_steps, step <= AFFORDABLE_STEP)]
    smooth = activation.is_smooth and not loss.of_labels
    if smooth and step <= (SMALL_STEP_OF_FEW_ROWS if rows_per_parameter <= INTERPOLATED_ROWS else SMALL_STEP):
        return [Stage(None, LevenbergMarquardt(), LM_FIRST_STEPS, True)]
    first = LBFGS(n_corrections=20)
    stages, part = [], max(PART_ROWS, PART_ROWS_PER_PARAMETER * shape.n_parameters)
    while part < LARGEST_PART * n_samples:
        stages.append(Stage(part, first, LBFGS_STEPS, False))
        part *= PART_GROWTH
    stages.append(Stage(None, first, LBFGS_STEPS, False))
    if smooth and step <= AFFORDABLE_STEP and rows_per_parameter <= FEW_ROWS:
        stages.append(Stage(None, LevenbergMarquardt(), LM_LAST_STEPS, True))
    return stages
