"""Which solver is the quickest to a good optimum, by loss, rows and parameters? The table behind `solver="auto"`.

Each solver fits the same problem from the same random weights with its default settings, up to `max_iter` iterations;
the times are those of whole fits, medians over seeds, in turn in one run. "lm" is Levenberg-Marquardt with matrices,
"lm, cg" with conjugate gradients. A solver counts as good where its objective is within 2 % of the lowest of all. The
last columns name the fastest good one, and what "auto" takes.

    python docs/benchmarks/solver_choice.py [--seeds 3] [--rows 200 2000 20000] [--inputs 10 50] [--units 5 20 50]

`--quick` is a smoke run.
"""

import argparse
import time
import warnings

import numpy as np
from sklearn.datasets import make_classification, make_friedman1
from threadpoolctl import threadpool_limits

from sk2layer import TwoLayerClassifier, TwoLayerRegressor
from sk2layer.solvers import LevenbergMarquardt

SOLVERS = {
    "lm": LevenbergMarquardt(linear_solver="cholesky"),
    "lm, cg": LevenbergMarquardt(linear_solver="cg"),
    "lbfgs": "lbfgs",
    "adam": "adam",
}
MATRIX_LIMIT = 2000  # parameters up to which "lm" is tried with matrices
GOOD = 1.02  # an objective within 2 % of the lowest


def make_problem(kind, n_samples, n_features):
    """Return an estimator class and data to fit."""
    if kind == "squared error":
        X, y = make_friedman1(n_samples, n_features, noise=1.0, random_state=0)
        return TwoLayerRegressor, X, y
    X, y = make_classification(
        n_samples, n_features, n_informative=8, n_redundant=0, n_clusters_per_class=4, random_state=0
    )
    return TwoLayerClassifier, X, y


def fit(Estimator, X, y, **parameters):
    """Return the seconds and the objective of one fit."""
    estimator = Estimator(**parameters)
    began = time.perf_counter()
    estimator.fit(X, y)
    return time.perf_counter() - began, estimator.loss_


def measure(kind, n_samples, n_features, n_units, n_seeds, max_iter, alpha):
    """Return for each solver the median seconds and objective, and what "auto" takes."""
    Estimator, X, y = make_problem(kind, n_samples, n_features)
    n_parameters = (n_features + 1) * n_units + n_units + 1
    solvers = {name: solver for name, solver in SOLVERS.items() if name != "lm" or n_parameters <= MATRIX_LIMIT}
    results = {name: [] for name in solvers}
    for seed in range(n_seeds):
        for name, solver in solvers.items():
            common = {"hidden_units": n_units, "random_state": seed, "max_iter": max_iter, "alpha": alpha}
            results[name].append(fit(Estimator, X, y, solver=solver, **common))
    chosen = Estimator(hidden_units=n_units, max_iter=1, alpha=alpha).fit(X, y).solver_
    return {name: np.median(runs, axis=0) for name, runs in results.items()}, type(chosen).__name__


def print_row(kind, n_samples, n_features, n_units, medians, auto):
    """Print one line of the table."""
    lowest = min(objective for _, objective in medians.values())
    good = {name: seconds for name, (seconds, objective) in medians.items() if objective <= GOOD * lowest}
    n_parameters = (n_features + 1) * n_units + n_units + 1
    cells = "  ".join(
        f"{medians[name][0]:8.3f} {medians[name][1] / lowest:7.3f}" if name in medians else f"{'-':>8} {'-':>7}"
        for name in SOLVERS
    )
    best = min(good, key=good.__getitem__)
    print(f"{kind:14} {n_samples:8} {n_features:6} {n_units:5} {n_parameters:6}  {cells}  {best:6} {auto}", flush=True)


def main():
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--rows", type=int, nargs="+", default=[200, 2000, 20000])
    parser.add_argument("--inputs", type=int, nargs="+", default=[10, 50])
    parser.add_argument("--units", type=int, nargs="+", default=[5, 20, 50])
    parser.add_argument("--max-iter", type=int, default=200)
    parser.add_argument("--alpha", type=float, default=0.1)
    parser.add_argument("--quick", action="store_true", help="a smoke run: the smallest size, one seed, few iterations")
    options = parser.parse_args()
    if options.quick:
        options.seeds, options.rows, options.inputs, options.units, options.max_iter = 1, [200], [10], [5], 20
    warnings.simplefilter("ignore")
    print(f"alpha={options.alpha:g}; 1 BLAS thread; seconds, and the objective relative to the lowest")
    heads = "  ".join(f"{name:>8} {'J':>7}" for name in SOLVERS)
    print(f"{'loss':14} {'rows':>8} {'inputs':>6} {'units':>5} {'params':>6}  {heads}  best   auto")
    with threadpool_limits(1):
        for kind in ("squared error", "log loss"):
            for case in ((n, d, h) for n in options.rows for d in options.inputs for h in options.units):
                print_row(kind, *case, *measure(kind, *case, options.seeds, options.max_iter, options.alpha))


if __name__ == "__main__":
    main()
