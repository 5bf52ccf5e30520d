"""How good is a network with error bars for Bayesian optimisation, beside a Gaussian process?

regret     how far the best value is above the minimum after some evaluations of Branin and Hartmann 3, without noise:
           median and quartiles of the runs. Each run begins with a Latin hypercube, and takes the point of the largest
           expected improvement among 2,000 random ones and 500 near the best one, the same for all models
step       seconds of one step, a fit and the expected improvements, by the number of points

python docs/benchmarks/bayesian_optimisation.py [--runs 20] [--evaluations 40] [--only NAME ...] [--quick]
"""

import argparse
import time
import warnings

import numpy as np
from scipy.stats import norm, qmc
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import ConstantKernel, Matern
from threadpoolctl import threadpool_limits

from sk2layer import TwoLayerRegressor


def branin(X):
    """Return Branin's function on the unit square; its minimum is 0.397887."""
    a, b = 15.0 * X[:, 0] - 5.0, 15.0 * X[:, 1]
    bowl = (b - 5.1 / (4.0 * np.pi**2) * a**2 + 5.0 / np.pi * a - 6.0) ** 2
    return bowl + 10.0 * (1.0 - 1.0 / (8.0 * np.pi)) * np.cos(a) + 10.0


def hartmann3(X):
    """Return Hartmann's function of three variables on the unit cube; its minimum is -3.86278."""
    A = np.array([[3.0, 10.0, 30.0], [0.1, 10.0, 35.0], [3.0, 10.0, 30.0], [0.1, 10.0, 35.0]])
    P = 1e-4 * np.array([[3689, 1170, 2673], [4699, 4387, 7470], [1091, 8732, 5547], [381, 5743, 8828]])
    inner = np.einsum("ij,nij->ni", A, (X[:, np.newaxis] - P) ** 2)
    return -np.exp(-inner) @ [1.0, 1.2, 3.0, 3.2]


FUNCTIONS = {"Branin": (branin, 2, 0.397887), "Hartmann 3": (hartmann3, 3, -3.86278)}


def gaussian_process(d, seed):
    """Return the usual one: Matern 5/2 with a length for each input, from two starts."""
    kernel = ConstantKernel() * Matern(np.ones(d), nu=2.5)
    return GaussianProcessRegressor(kernel, alpha=1e-8, normalize_y=True, n_restarts_optimizer=1, random_state=seed)


MODELS = {
    "network": lambda d, seed: TwoLayerRegressor(random_state=seed),
    "average of 3": lambda d, seed: TwoLayerRegressor(n_init=3, restarts="average", random_state=seed),
    "Gaussian process": gaussian_process,
}


def expected_improvement(model, X, lowest):
    """Return by how much a value at each row is expected to be below the lowest so far."""
    options = {"include_noise": False} if isinstance(model, TwoLayerRegressor) else {}
    mean, std = model.predict(X, return_std=True, **options)
    z = (lowest - mean) / np.maximum(std, 1e-12)
    return std * (z * norm.cdf(z) + norm.pdf(z))


def candidates(rng, best):
    """Return where the improvement is looked at."""
    near = np.clip(best + 0.05 * rng.normal(size=(500, len(best))), 0.0, 1.0)
    return np.vstack([rng.uniform(size=(2000, len(best))), near])


def run(make, function, d, n_evaluations, seed):
    """Return the lowest value after each evaluation."""
    rng = np.random.default_rng(seed)
    X = qmc.LatinHypercube(d, seed=seed).random(4 * d)
    y = function(X)
    while len(y) < n_evaluations:
        model = make(d, seed).fit(X, y)
        tried = candidates(rng, X[y.argmin()])
        best = expected_improvement(model, tried, y.min()).argmax()
        X, y = np.vstack([X, tried[best]]), np.append(y, function(tried[[best]]))
    return np.minimum.accumulate(y)


def regret(options):
    """Print the first table."""
    marks = sorted({min(n, options.evaluations) for n in (15, 20, 30, 40)})
    print(f"{'regret: median (quartiles)':34}" + "".join(f"{f'{n} evaluations':>30}" for n in marks))
    for title, (function, d, minimum) in FUNCTIONS.items():
        for name in options.models:
            lowest = [run(MODELS[name], function, d, options.evaluations, seed) for seed in range(options.runs)]
            gaps = np.array(lowest)[:, [n - 1 for n in marks]] - minimum
            cells = (f"{b:.2g} ({a:.1g} to {c:.1g})" for a, b, c in np.quantile(gaps, [0.25, 0.5, 0.75], axis=0).T)
            print(f"{title:12}{name:22}" + "".join(f"{cell:>30}" for cell in cells), flush=True)


def step(options):
    """Print the second table."""
    sizes = (50, 100) if options.quick else (50, 100, 200, 400, 800)
    print(f"\n{'seconds of a step':34}" + "".join(f"{n:>10}" for n in sizes))
    for title, (function, d, _) in FUNCTIONS.items():
        for name in options.models:
            spent = []
            for n in sizes:
                rng = np.random.default_rng(n)
                X = rng.uniform(size=(n, d))
                y = function(X)
                began = time.perf_counter()
                expected_improvement(MODELS[name](d, 0).fit(X, y), candidates(rng, X[y.argmin()]), y.min())
                spent.append(time.perf_counter() - began)
            print(f"{title:12}{name:22}" + "".join(f"{value:10.2f}" for value in spent), flush=True)


def main():
    """Print what is asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=20)
    parser.add_argument("--evaluations", type=int, default=40)
    parser.add_argument("--models", nargs="+", choices=list(MODELS), default=list(MODELS))
    parser.add_argument("--only", nargs="+", choices=["regret", "step"], default=["regret", "step"])
    parser.add_argument("--quick", action="store_true", help="a smoke run")
    options = parser.parse_args()
    if options.quick:
        options.runs, options.evaluations = 1, 15
    with threadpool_limits(1), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for name in options.only:
            {"regret": regret, "step": step}[name](options)


if __name__ == "__main__":
    main()
