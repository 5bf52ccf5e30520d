"""Which solver is the quickest to a good optimum, by loss, rows and parameters? The tables behind `solver="auto"`.

Each solver fits the same problem from the same random weights with its default settings, up to `max_iter` iterations;
the times are those of whole fits, medians over seeds, in turn in one run. A solver counts as good where its objective
is within 2 % of the lowest of all. The last columns name the fastest good one, and what "auto" takes.

    python docs/benchmarks/solver_choice.py [--seeds 3] [--rows 200 2000 20000] [--inputs 10 50] [--units 5 20 50]

`--rates` measures what `sk2layer/objective/cost.py` predicts: the processor's milliseconds an iteration by size, with
the prediction behind each; and how many iterations of L-BFGS it takes to come within 2 % of where Levenberg-Marquardt
ends by itself, for one of those that itself needs. `--quick` is a smoke run of either.
"""

import argparse
import time
import warnings

import numpy as np
from scipy import sparse
from sklearn.datasets import make_classification, make_friedman1
from threadpoolctl import threadpool_limits

from sk2layer import TwoLayerClassifier, TwoLayerRegressor
from sk2layer.model.network import Shape
from sk2layer.objective.solver_choice import adam_seconds, lbfgs_seconds, lm_seconds
from sk2layer.solvers import LBFGS, SOLVERS, LevenbergMarquardt

COMPARED = "lm", "lbfgs", "adam"
MATRIX_LIMIT = 2000  # parameters up to which "lm" is tried
GOOD = 1.02  # an objective within 2 % of the lowest
SIZES = (  # rows, inputs, units, outputs, density
    *((200, 10, 5, 1, 1.0), (200, 10, 20, 1, 1.0), (200, 50, 20, 1, 1.0), (200, 1, 300, 1, 1.0), (200, 790, 1, 1, 1.0)),
    *((2000, 3, 3, 1, 1.0), (2000, 10, 20, 1, 1.0), (2000, 10, 10, 5, 1.0), (2000, 50, 10, 1, 1.0)),
    *((20000, 10, 5, 1, 1.0), (20000, 10, 20, 1, 1.0), (20000, 30, 10, 1, 1.0), (20000, 100, 50, 1, 1.0)),
    *((2000, 20000, 5, 1, 0.005), (2000, 20000, 20, 1, 0.005), (20000, 5000, 10, 1, 0.01)),
)


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
    results = {name: [] for name in COMPARED if name != "lm" or n_parameters <= MATRIX_LIMIT}
    for seed in range(n_seeds):
        for name, runs in results.items():
            common = {"hidden_units": n_units, "random_state": seed, "max_iter": max_iter, "alpha": alpha}
            runs.append(fit(Estimator, X, y, solver=name, **common))
    chosen = Estimator(hidden_units=n_units, max_iter=1, alpha=alpha).fit(X, y).solver_
    return {name: np.median(runs, axis=0) for name, runs in results.items()}, type(chosen).__name__


def print_row(kind, n_samples, n_features, n_units, medians, auto):
    """Print one line of the table."""
    lowest = min(objective for _, objective in medians.values())
    good = {name: seconds for name, (seconds, objective) in medians.items() if objective <= GOOD * lowest}
    n_parameters = (n_features + 1) * n_units + n_units + 1
    cells = "  ".join(
        f"{medians[name][0]:8.3f} {medians[name][1] / lowest:7.3f}" if name in medians else f"{'-':>8} {'-':>7}"
        for name in COMPARED
    )
    best = min(good, key=good.__getitem__)
    print(f"{kind:14} {n_samples:8} {n_features:6} {n_units:5} {n_parameters:6}  {cells}  {best:6} {auto}", flush=True)


def clocked(solver, limit):
    """Return the solver, which notes seconds of the processor and objective after each iteration, up to a limit."""

    class Clocked(type(solver)):
        def minimize(self, objective, theta, run):
            began = time.process_time()

            def note(result):
                self.seen.append((time.process_time() - began, result.fun))
                run.callback(result)
                if self.seen[-1][0] > limit:
                    raise StopIteration

            self.seen = []
            return super().minimize(objective, theta, run._replace(callback=note))

        def __sklearn_clone__(self):
            return self

    Clocked.__init__ = type(solver).__init__
    return Clocked(**solver.get_params())


def print_seconds(n_samples, n_features, n_units, n_outputs, density, limit):
    """Print the milliseconds that an iteration of each solver takes, measured and predicted."""
    rng, shape = np.random.default_rng(0), Shape(n_features, n_units, n_outputs)
    X = rng.normal(size=(n_samples, n_features)) if density == 1.0 else None
    X = sparse.random(n_samples, n_features, density, format="csr", random_state=0) if X is None else X
    y, cells = rng.normal(size=(n_samples, n_outputs)), []
    predictions = lm_seconds(n_samples, shape), lbfgs_seconds(n_samples, shape, density)
    for name, predicted in zip(COMPARED, (*predictions, adam_seconds(n_samples, shape, density)), strict=True):
        solver = clocked(SOLVERS[name](), limit)
        if name != "lm" or shape.n_parameters <= MATRIX_LIMIT:
            TwoLayerRegressor(n_units, solver=solver, alpha=0.1, tol=0.0, max_iter=300, random_state=0).fit(X, y)
            seconds = np.diff([0.0, *(t for t, _ in solver.seen)])[len(solver.seen) // 10 :]
            cells.append(f"{1e3 * seconds.mean():9.3f} {1e3 * predicted:9.3f}")
        else:
            cells.append(f"{'-':>9} {1e3 * predicted:9.3g}")
    print(f"{n_samples:8} {n_features:6} {n_units:5} {n_outputs:7} {density:7}  {'  '.join(cells)}", flush=True)


def count_iterations(kind, n_samples, n_features, n_units, seed, alpha, limit):
    """Return the iterations of L-BFGS for one of Levenberg-Marquardt to come within 2 % of where the latter ends."""
    Estimator, X, y = make_problem(kind, n_samples, n_features)
    common = {"hidden_units": n_units, "alpha": alpha, "random_state": seed}
    newton, quasi = clocked(LevenbergMarquardt(), limit), clocked(LBFGS(), limit)
    Estimator(solver=newton, **common).fit(X, y)
    Estimator(solver=quasi, max_iter=10**6, tol=0.0, **common).fit(X, y)
    goal = GOOD * newton.seen[-1][1]
    first = [next((i for i, (_, J) in enumerate(seen, 1) if goal >= J), np.inf) for seen in (newton.seen, quasi.seen)]
    return first[1] / first[0]


def print_rates(options):
    """Print what the prediction is made of."""
    heads = "  ".join(f"{name:>9} {'predicted':>9}" for name in COMPARED)
    print(f"{'rows':>8} {'inputs':>6} {'units':>5} {'outputs':>7} {'density':>7}  {heads}   ms an iteration")
    for size in SIZES[: 2 if options.quick else None]:
        print_seconds(*size, limit=options.limit)
    print("\niterations of L-BFGS for one of Levenberg-Marquardt, medians over starts")
    for kind, alpha in ((kind, alpha) for kind in ("squared error", "log loss") for alpha in (0.1, 1.0)):
        cases = [(n, d, h) for n in options.rows for d in options.inputs for h in options.units]
        ratios = [
            np.median([count_iterations(kind, *case, seed, alpha, options.limit) for seed in range(options.seeds)])
            for case in cases
        ]
        cells = " ".join(f"{ratio:.1f}" for ratio in ratios)
        print(f"{kind:14} alpha={alpha:<4g} median {np.median(ratios):.1f}: {cells}", flush=True)


def main():
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--rows", type=int, nargs="+", default=[200, 2000, 20000])
    parser.add_argument("--inputs", type=int, nargs="+", default=[10, 50])
    parser.add_argument("--units", type=int, nargs="+", default=[5, 20, 50])
    parser.add_argument("--max-iter", type=int, default=200)
    parser.add_argument("--alpha", type=float, default=0.1)
    parser.add_argument("--rates", action="store_true", help="the rates and numbers of iterations instead")
    parser.add_argument("--limit", type=float, default=1.0, help="seconds of the processor for a fit of --rates")
    parser.add_argument("--quick", action="store_true", help="a smoke run: the smallest size, one seed, few iterations")
    options = parser.parse_args()
    if options.quick:
        options.seeds, options.rows, options.inputs, options.units, options.max_iter = 1, [200], [10], [5], 20
    warnings.simplefilter("ignore")
    if options.rates:
        with threadpool_limits(1):
            print_rates(options)
        return
    print(f"alpha={options.alpha:g}; 1 BLAS thread; seconds, and the objective relative to the lowest")
    heads = "  ".join(f"{name:>8} {'J':>7}" for name in COMPARED)
    print(f"{'loss':14} {'rows':>8} {'inputs':>6} {'units':>5} {'params':>6}  {heads}  best   auto")
    with threadpool_limits(1):
        for kind in ("squared error", "log loss"):
            for case in ((n, d, h) for n in options.rows for d in options.inputs for h in options.units):
                print_row(kind, *case, *measure(kind, *case, options.seeds, options.max_iter, options.alpha))


if __name__ == "__main__":
    main()
