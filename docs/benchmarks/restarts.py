"""How much does the result of a fit depend on its random start, with one start and with several?

The objective has many minima, and which of them is found depends on the start. For each penalty `alpha`, data set and
number of starts `n_init`, an estimator is fitted with each of the seeds 0, 1, 2, ... to the same training rows, three
quarters of the data. Printed are the smallest, the median and the largest of

    objective   `loss_`, what is minimised, and how far the largest lies above the smallest: relative to that, or, where
                the penalty is chosen by the evidence (alpha "evidence"), their difference in log evidence per row
    score       on the rows held out: R2, or the accuracy

and the median seconds of a fit. Several starts can only lower the objective; whether they raise the score is another
question.

    python docs/benchmarks/restarts.py [--seeds 20] [--n-init 1 5] [--alpha 1 0.01] [--only diabetes iris] [--quick]
"""

import argparse
import itertools
import time
import warnings

import numpy as np
from sklearn.datasets import load_breast_cancer, load_diabetes, load_iris, make_friedman1
from sklearn.model_selection import train_test_split
from threadpoolctl import threadpool_limits

from sk2layer import TwoLayerClassifier, TwoLayerRegressor

DATA_SETS = {
    "diabetes": (TwoLayerRegressor, lambda: load_diabetes(return_X_y=True)),
    "friedman1-500": (TwoLayerRegressor, lambda: make_friedman1(500, noise=1.0, random_state=0)),
    "breast_cancer": (TwoLayerClassifier, lambda: load_breast_cancer(return_X_y=True)),
    "iris": (TwoLayerClassifier, lambda: load_iris(return_X_y=True)),
}


def split(Estimator, load):
    """Return training and held-out data; of classes, both have the same shares."""
    X, y = load()
    return train_test_split(X, y, random_state=0, stratify=y if Estimator is TwoLayerClassifier else None)


def measure(Estimator, data, seeds, **parameters):
    """Return the objective, the held-out score and the seconds for each seed, shape (n_seeds, 3)."""
    X_train, X_test, y_train, y_test = data
    rows = []
    for seed in range(seeds):
        began = time.perf_counter()
        model = Estimator(random_state=seed, **parameters).fit(X_train, y_train)
        seconds = time.perf_counter() - began
        rows.append((model.loss_, model.score(X_test, y_test), seconds))
    return np.array(rows)


def print_row(alpha, name, n_init, rows):
    """Print one line of the table."""
    objective, score, seconds = rows.T
    low, middle, high = objective.min(), np.median(objective), objective.max()
    spread = f"{high - low:8.4f}" if alpha == "evidence" else f"{high / low - 1:8.1%}"
    cells = f"{low:9.5f} {middle:9.5f} {high:9.5f} {spread}"
    scores = f"{score.min():8.3f} {np.median(score):8.3f} {score.max():8.3f}"
    print(f"{alpha!s:8} {name:14} {n_init:6}   {cells}   {scores}   {np.median(seconds):8.3f}", flush=True)


def penalty(text):
    """Return the strength of a penalty, or "evidence"."""
    return text if text == "evidence" else float(text)


def parse_options():
    """Return the options."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--n-init", type=int, nargs="+", default=[1, 5], help="numbers of starts")
    parser.add_argument("--only", nargs="+", choices=DATA_SETS, default=list(DATA_SETS), metavar="NAME")
    parser.add_argument("--hidden-units", type=int, default=20)
    parser.add_argument("--alpha", nargs="+", default=[1.0, 0.01], type=penalty)
    parser.add_argument("--solver", default="auto")
    parser.add_argument("--max-iter", type=int, default=1000)
    parser.add_argument("--quick", action="store_true", help="a smoke run: iris only, two seeds")
    options = parser.parse_args()
    if options.quick:
        options.only, options.seeds = ["iris"], 2
    return options


def main():
    """Print the table."""
    options = parse_options()
    parameters = {name: getattr(options, name) for name in ("hidden_units", "solver", "max_iter")}
    print(", ".join(f"{name}={value}" for name, value in parameters.items()), end="; ")
    print(f"{options.seeds} seeds; 1 BLAS thread")
    print(f"{'':33}{'objective':>9} {'':28}    held-out score")
    names = f"{'smallest':>9} {'median':>9} {'largest':>9} {'spread':>8}   {'smallest':>8} {'median':>8} {'largest':>8}"
    print(f"alpha    {'data set':14} n_init   {names}   seconds")
    with threadpool_limits(1), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of not having converged
        for alpha, name in itertools.product(options.alpha, options.only):
            Estimator, load = DATA_SETS[name]
            data = split(Estimator, load)
            for n_init in options.n_init:
                rows = measure(Estimator, data, options.seeds, alpha=alpha, n_init=n_init, **parameters)
                print_row(alpha, name, n_init, rows)


if __name__ == "__main__":
    main()
