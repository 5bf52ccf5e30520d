"""Does variable projection pay? Levenberg-Marquardt on all weights against the same on the hidden layer alone.

For squared error with a linear output the best output weights follow from the hidden ones by a linear solve, so they
can be projected out (Golub & Pereyra 1973). What remains is a function of W1 and b1 alone. Its gradient is that of the
hidden layer; its Gauss-Newton matrix (Kaufman 1975) and its Hessian are the Schur complements of the output layer's
block in the full ones. So the very same solver runs on both, and what is compared are two problems, not two programs.

Both start from the same weights, with the best output layer. Printed are the iterations and the seconds until the
objective is within 1 % of the lower of the two final ones, and the final objectives: medians over seeds.

    python docs/benchmarks/variable_projection.py [--data DIR] [--seeds 5] [--alpha 0.01] [--hidden 20] [--quick]
"""

import argparse
import time
from pathlib import Path

import numpy as np
from _tasks import list_data_sets, make_task
from threadpoolctl import threadpool_limits

from sk2layer.model.activations import ACTIVATIONS
from sk2layer.model.losses import HalfSquaredError
from sk2layer.model.network import Network, Shape, pack
from sk2layer.objective.objective import Objective
from sk2layer.rows.sources import Table
from sk2layer.solvers import LevenbergMarquardt, Run


class Projected:
    """The objective as a function of the hidden layer, at the best output layer for it."""

    def __init__(self, objective):
        self.objective = objective
        d, h, self.k = objective.shape
        self.n_hidden = (d + 1) * h
        self.penalty = objective.penalty[self.n_hidden :].reshape(h + 1, self.k)[:, 0]

    def complete(self, theta):
        """Return all weights: the given hidden layer and the output layer that is best for it."""
        shape, sums = self.objective.shape, self.objective.sums
        whole = np.concatenate([theta, np.zeros(shape.n_parameters - self.n_hidden)])
        weights = shape.unpack(whole)
        A1 = sums.X[:] @ weights.W1 + weights.b1
        self.objective.network.activation.apply(A1)
        A = np.column_stack([A1, np.ones(len(A1))])
        whole[self.n_hidden :] = np.linalg.solve(A.T @ A + np.diag(self.penalty), A.T @ sums.Y).ravel()
        return whole

    def value(self, theta):
        """Return the objective."""
        return self.objective.value(self.complete(theta))

    def curvature(self, theta, out=None):
        """Return the gradient, the Gauss-Newton matrix and the Hessian."""
        gradient, gauss_newton, hessian = self.objective.curvature(self.complete(theta))
        return gradient[: self.n_hidden], self._schur(gauss_newton), self._schur(hessian)

    def _schur(self, matrix):
        m = self.n_hidden
        return matrix[:m, :m] - matrix[:m, m:] @ np.linalg.solve(matrix[m:, m:], matrix[m:, :m])


def make_objective(task):
    """Return sk2layer's objective of a benchmark task, and the start."""
    shape = Shape(task.X.shape[1], task.start[0].shape[1], task.Y.shape[1])
    network = Network(shape, ACTIVATIONS["sigmoid"], HalfSquaredError())
    return Objective(Table(task.X, task.Y), network, task.alpha * shape.is_weight()), pack(task.start)


def record(objective, theta, max_iter):
    """Minimise; return the seconds and the objective after each iteration."""
    curve, began = [], time.perf_counter()

    def watch(result):
        curve.append((time.perf_counter() - began, result.fun))

    LevenbergMarquardt().minimize(objective, theta, Run(max_iter=max_iter, tol=1e-9, callback=watch))
    return np.array(curve)


def until(curve, target):
    """Return the iterations and seconds until the target, or infinity."""
    reached = np.flatnonzero(curve[:, 1] <= target)
    return (reached[0] + 1, curve[reached[0], 0]) if len(reached) else (np.inf, np.inf)


def main():
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--alpha", type=float, default=0.01)
    parser.add_argument("--hidden", type=int, default=20)
    parser.add_argument("--max-iter", type=int, default=300)
    parser.add_argument("--quick", action="store_true", help="a smoke run: diabetes only, one seed, few iterations")
    options = parser.parse_args()
    data_sets = {name: found for name, found in list_data_sets(options.data).items() if found[0] == "regression"}
    if options.quick:
        options.seeds, options.max_iter, data_sets = 1, 10, {"diabetes": data_sets["diabetes"]}
    print(
        "1 BLAS thread; all: on all weights, projected: on the hidden layer; medians (iterations, seconds, objective)"
    )
    with threadpool_limits(1):
        for name, (kind, load) in data_sets.items():
            X, y = load()
            rows = []
            for seed in range(options.seeds):
                task = make_task(
                    name, kind, X, y, hidden=options.hidden, alpha=options.alpha, origin="sk2layer", seed=seed
                )
                objective, theta = make_objective(task)
                projected = Projected(objective)
                hidden = theta[: projected.n_hidden]
                whole = record(objective, projected.complete(hidden), options.max_iter)
                reduced = record(projected, hidden, options.max_iter)
                target = 1.01 * min(whole[-1, 1], reduced[-1, 1])
                rows.append([*until(whole, target), whole[-1, 1], *until(reduced, target), reduced[-1, 1]])
            a, b, c, d, e, f = np.median(rows, axis=0)
            print(f"{name:18} all {a:6.0f} {b:8.3f} {c:10.6f}   projected {d:6.0f} {e:8.3f} {f:10.6f}", flush=True)


if __name__ == "__main__":
    main()
