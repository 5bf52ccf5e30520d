"""Does a fit find the function from its random start, and do more hidden units than are needed do harm?

starts     R2 and log evidence of default fits to functions with many bends, seed by seed: sin on ranges of 40 to
           80 with and without noise, sin(2 pi x); for relu, Levenberg-Marquardt's place is taken by L-BFGS
units      the log evidence by the number of hidden units, medians over seeds, and how far the larger ones are
           below the best of the smaller ones

python docs/benchmarks/starts.py [--seeds 10] [--quick]
"""

import argparse
import warnings

import numpy as np
from sklearn.datasets import make_friedman1
from threadpoolctl import threadpool_limits

from sk2layer import TwoLayerRegressor

UNITS = (1, 2, 3, 5, 10, 20, 40, 60)


def sine(length, noise):
    """Return a maker of sin(x) on a range of this length."""

    def make(seed):
        x = np.arange(0.0, length, 0.1)[:, np.newaxis]
        return x, np.sin(x[:, 0]) + noise * np.random.default_rng(seed).normal(size=len(x))

    return make


def waves(seed):
    """Return sin(2 pi x) with noise .1 on (0, 8)."""
    rng = np.random.default_rng(seed)
    x = rng.uniform(0.0, 8.0, (320, 1))
    return x, np.sin(2.0 * np.pi * x[:, 0]) + 0.1 * rng.normal(size=320)


def kinks(seed):
    """Return sin(x) on (-10, 10)."""
    x = np.random.default_rng(seed).uniform(-10.0, 10.0, (1000, 1))
    return x, np.sin(x[:, 0])


def friedman1(seed):
    """Return 200 rows of friedman1 with noise 1."""
    return make_friedman1(200, noise=1.0, random_state=seed)


STARTS = {
    "sin, 0 to 60, 60 units": (sine(60, 0.0), {"hidden_units": 60}),
    "sin, 0 to 60, 40 units": (sine(60, 0.0), {"hidden_units": 40}),
    "sin, 0 to 40, 40 units": (sine(40, 0.0), {"hidden_units": 40}),
    "sin, 0 to 80, 60 units": (sine(80, 0.0), {"hidden_units": 60}),
    "sin, 0 to 60, noise .1, 60 units": (sine(60, 0.1), {"hidden_units": 60}),
    "sin, 0 to 60, noise .3, 60 units": (sine(60, 0.3), {"hidden_units": 60}),
    "sin(2 pi x), 0 to 8, noise .1, 40 units": (waves, {"hidden_units": 40}),
    "sin, -10 to 10, relu, auto, alpha .001": (kinks, {"activation": "relu", "alpha": 1e-3}),
    "sin, -10 to 10, relu, lbfgs, alpha .001": (kinks, {"activation": "relu", "alpha": 1e-3, "solver": "lbfgs"}),
    "sin, -10 to 10, relu": (kinks, {"activation": "relu"}),
}
SIZES = {"sin, 0 to 60, noise .1": sine(60, 0.1), "sin(2 pi x), noise .1": waves, "friedman1, 200 rows": friedman1}


def r2_without_noise(model, make, seed, x):
    """Return R2 on the function without its noise, where it is known."""
    true = np.sin(2.0 * np.pi * x[:, 0]) if make is waves else np.sin(x[:, 0])
    return model.score(x, true)


def starts(seeds):
    """Print the first table."""
    print(f"{'':44}{'R2 against the function, sorted':>40}{'log evidence':>24}")
    for name, (make, parameters) in STARTS.items():
        scores, evidences = [], []
        for seed in seeds:
            x, y = make(seed)
            model = TwoLayerRegressor(random_state=seed, **parameters).fit(x, y)
            scores.append(r2_without_noise(model, make, seed, x))
            evidences.append(getattr(model, "log_marginal_likelihood_", np.nan))
        text = " ".join(f"{score:.3f}" for score in sorted(scores))
        print(f"{name:44}{text}   {np.nanmin(evidences):.0f} to {np.nanmax(evidences):.0f}", flush=True)


def units(seeds, sizes):
    """Print the second table."""
    print(f"\nmedian log evidence\n{'':26}" + "".join(f"{size:>10}" for size in sizes) + f"{'largest fall':>16}")
    for name, make in SIZES.items():
        evidences = np.array(
            [
                [TwoLayerRegressor(size, random_state=seed).fit(*make(seed)).log_marginal_likelihood_ for size in sizes]
                for seed in seeds
            ]
        )
        falls = np.maximum.accumulate(evidences, axis=1) - evidences
        median = np.median(evidences, axis=0)
        cells = "".join(f"{value:10.1f}" for value in median)
        print(f"{name:26}{cells}{np.median(falls, axis=0).max():16.1f}", flush=True)


def main():
    """Print both."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--quick", action="store_true", help="a smoke run")
    options = parser.parse_args()
    seeds = range(1 if options.quick else options.seeds)
    with threadpool_limits(1), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        starts(seeds)
        units(seeds[:5], (1, 5) if options.quick else UNITS)


if __name__ == "__main__":
    main()
