"""Does it pay to fit from several starts: the first one alone, the best of five, or the average of five?

Each way is fitted to the training rows of random splits, a quarter held out (yacht: a tenth).
Printed are the means over the splits of what is measured on the rows held out,

    regression       root mean squared error, and minus the log-likelihood where there are error bars
    classification   log loss, and the share of wrong classes

the standard error of the difference between average and best, and on how many splits the average is ahead.

    python docs/benchmarks/committee.py [--splits 10] [--starts 5] [--only diabetes moons] [--data DIR] [--quick]
"""

import argparse
import warnings

import numpy as np
from _tasks import list_data_sets
from sklearn import datasets
from sklearn.metrics import log_loss
from sklearn.model_selection import ShuffleSplit
from threadpoolctl import threadpool_limits

from sk2layer import TwoLayerClassifier, TwoLayerRegressor

WAYS = {"one start": {}, "best": {"restarts": "best"}, "average": {"restarts": "average"}}


def wiggles():
    """Return 200 noisy values of a function of one input."""
    rng = np.random.default_rng(0)
    x = rng.uniform(-3.0, 3.0, 200)
    return x[:, np.newaxis], np.sin(3.0 * x) + 0.5 * np.cos(7.0 * x) + 0.2 * rng.normal(size=200)


def list_cases(folder):
    """Return the cases by name: estimator, its parameters, and data."""
    cases = {
        "diabetes": (TwoLayerRegressor, {}, lambda: datasets.load_diabetes(return_X_y=True)),
        "friedman1": (TwoLayerRegressor, {}, lambda: datasets.make_friedman1(500, noise=1.0, random_state=0)),
        "wiggles": (TwoLayerRegressor, {}, wiggles),
        "breast_cancer": (
            TwoLayerClassifier,
            {"hidden_units": 10},
            lambda: datasets.load_breast_cancer(return_X_y=True),
        ),
        "moons": (TwoLayerClassifier, {}, lambda: datasets.make_moons(300, noise=0.25, random_state=0)),
    }
    for alpha in (1.0, 0.01):
        name = f"diabetes, alpha={alpha:g}"
        cases[name] = TwoLayerRegressor, {"alpha": alpha}, lambda: datasets.load_diabetes(return_X_y=True)
    found = list_data_sets(folder)
    if "yacht" in found:
        cases["yacht"] = TwoLayerRegressor, {"hidden_units": 50}, found["yacht"][1]
    return cases


def score(model, X, y):
    """Return what is measured on rows held out."""
    if isinstance(model, TwoLayerClassifier):
        return log_loss(y, model.predict_proba(X), labels=model.classes_), np.mean(model.predict(X) != y)
    error = model.predict(X) - y
    if np.ndim(model.alpha_) == 0:
        return np.sqrt(np.mean(error**2)), np.nan
    variance = model.predict(X, return_std=True)[1] ** 2
    return np.sqrt(np.mean(error**2)), 0.5 * np.mean(np.log(2.0 * np.pi * variance) + error**2 / variance)


def measure(Estimator, parameters, X, y, splits, n_starts):
    """Return the scores of each way, shape (n_splits, 2)."""
    scores = {way: [] for way in WAYS}
    for seed, (train, test) in enumerate(splits):
        for way, options in WAYS.items():
            n_init = n_starts if options else 1
            model = Estimator(n_init=n_init, random_state=seed, **options, **parameters).fit(X[train], y[train])
            scores[way].append(score(model, X[test], y[test]))
    return {way: np.array(values) for way, values in scores.items()}


def print_case(name, scores):
    """Print a line."""
    cells = "  ".join(f"{first:9.4f} {second:8.4f}" for first, second in (s.mean(axis=0) for s in scores.values()))
    ahead = (scores["average"] - scores["best"])[:, 0]
    error = ahead.std(ddof=1) / len(ahead) ** 0.5 if len(ahead) > 1 else np.nan
    print(f"{name:20} {cells}  {error:8.4f}  {np.sum(ahead < 0)} of {len(ahead)}", flush=True)


def main():
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--splits", type=int, default=10)
    parser.add_argument("--starts", type=int, default=5)
    parser.add_argument("--only", nargs="+", metavar="NAME", help="cases to take; all by default")
    parser.add_argument("--data", metavar="DIR", help="folder with the data sets that are not bundled; see _tasks.py")
    parser.add_argument("--quick", action="store_true", help="a smoke run: one case, two splits, two starts")
    options = parser.parse_args()
    if options.quick:
        options.splits, options.starts, options.only = 2, 2, ["diabetes, alpha=1"]
    warnings.simplefilter("ignore")
    heads = "  ".join(f"{way:>9} {'':8}" for way in WAYS)
    print(f"{options.starts} starts, 1 BLAS thread\n{'':20} {heads}  {'s.e.':>8}  ahead")
    with threadpool_limits(1):
        for name, (Estimator, parameters, load) in list_cases(options.data).items():
            if options.only and name not in options.only:
                continue
            X, y = load()
            splits = ShuffleSplit(options.splits, test_size=0.1 if name == "yacht" else 0.25, random_state=0).split(X)
            print_case(name, measure(Estimator, parameters, X, y, splits, options.starts))


if __name__ == "__main__":
    main()
