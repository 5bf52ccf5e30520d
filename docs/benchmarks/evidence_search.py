"""Does one fit for each candidate choose as well as cross-validation? `EvidenceSearch` beside `GridSearchCV`.

The model is `PiecewiseLinearEncoder` and a network; the candidates are 1, 4 and 8 pieces of each input by 10 and 20
hidden units. Each way of choosing sees the same training rows:

    loo        EvidenceSearch by the leave-one-out density
    evidence   EvidenceSearch by the log evidence
    average    EvidenceSearch(average=True), the mixture by stacking
    folds      GridSearchCV, 5-fold, by R2 or log loss, and the best fitted to all training rows

Printed are for each data set, as means over its splits, the error on the test rows (RMSE, or of classes the log loss),
with its ratio to that of the folds, minus the log density of the test rows (of classes, that is the log loss again),
and how many times as long the folds took, as the median. The sums at the end are over all data sets: the geometric
means of the ratios, and on how many sets the error is at most 1 % above that of the folds.

    python docs/benchmarks/evidence_search.py [--data DIR] [--splits 5] [--only diabetes yacht] [--quick]

`_splits.py` describes the folder of the data sets that are not bundled.
"""

import argparse
import warnings

import numpy as np
from _models import timed_fit
from _splits import classification_sets, regression_sets, selected
from scipy.stats import gmean, norm
from sklearn.base import is_classifier
from sklearn.metrics import log_loss, root_mean_squared_error
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import Pipeline
from threadpoolctl import threadpool_limits

from sk2layer import TwoLayerClassifier, TwoLayerRegressor
from sk2layer.model_selection import EvidenceSearch
from sk2layer.preprocessing import PiecewiseLinearEncoder

WAYS = ["loo", "evidence", "average", "folds"]


def searches(network, grid):
    """Return the search of each way."""
    model = Pipeline([("encoder", PiecewiseLinearEncoder()), ("network", network)])
    scoring = "neg_log_loss" if is_classifier(network) else "r2"
    return [
        EvidenceSearch(model, grid, criterion="loo"),
        EvidenceSearch(model, grid, criterion="evidence"),
        EvidenceSearch(model, grid, average=True),
        GridSearchCV(model, grid, scoring=scoring, cv=5),
    ]


def score(search, X, y):
    """Return the error on test rows, and minus their mean log density."""
    if is_classifier(search):
        loss = log_loss(y, search.predict_proba(X), labels=search.classes_)
        return loss, loss
    mean, std = search.predict(X, return_std=True) if isinstance(search, EvidenceSearch) else best_of(search, X)
    return root_mean_squared_error(y, mean), -norm.logpdf(y, mean, std).mean()


def best_of(search, X):
    """Return what the best model of a search with folds predicts."""
    return search.best_estimator_.predict(X, return_std=True)


def measure(data, Estimator, options):
    """Return error, minus log density and seconds of each way and split, shape (n_splits, n_ways, 3)."""
    grid = {"encoder__n_pieces": options.pieces, "network__hidden_units": options.units}
    results = []
    for seed, X_train, y_train, X_test, y_test in data.parts():
        row = []
        for search in searches(Estimator(random_state=seed), grid):
            seconds = timed_fit(search, X_train, y_train)
            row.append([*score(search, X_test, y_test), seconds])
        results.append(row)
    return np.array(results)


def print_row(data, results):
    """Print one line of the table; return the ratios of the errors and of the times to those of the folds."""
    errors, densities = results[:, :, 0].mean(axis=0), results[:, :, 1].mean(axis=0)
    ratios, seconds = errors[:-1] / errors[-1], np.median(results[:, :, 2], axis=0)
    cells = "".join(f"{error:9.3f}" for error in errors) + "".join(f"{ratio:9.3f}" for ratio in ratios)
    cells += "".join(f"{density:9.3f}" for density in densities)
    print(f"{data.name:17}{len(data.X):5}{cells}{seconds[-1] / seconds[0]:7.1f}", flush=True)
    return [*ratios, seconds[-1] / seconds[0]]


def parse_options():
    """Return the options."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", metavar="DIR", help="a folder with the data sets that are not bundled")
    parser.add_argument("--splits", type=int, default=5, help="of the regression data; classes have 4")
    parser.add_argument("--only", nargs="+", metavar="NAME")
    parser.add_argument("--pieces", type=int, nargs="+", default=[1, 4, 8])
    parser.add_argument("--units", type=int, nargs="+", default=[10, 20])
    parser.add_argument("--quick", action="store_true", help="a smoke run: one split of diabetes, a small grid")
    options = parser.parse_args()
    if options.quick:
        options.splits, options.only, options.pieces, options.units = 1, ["diabetes"], [1, 2], [2]
    return options


def main():
    """Print the table."""
    options = parse_options()
    regression = regression_sets(options.data, ["diabetes", "friedman1", "friedman2"], options.splits)
    kinds = {data.name: (data, TwoLayerRegressor) for data in regression}
    for data in classification_sets(options.data):
        kinds[data.name] = data, TwoLayerClassifier
    print(f"pieces {options.pieces}, hidden units {options.units}; {options.splits} splits, of classes 4; 1 thread")
    print(f"{'':22}{'error on test rows':>36}{'ratio to folds':>27}{'minus log density':>36}{'time':>7}")
    print(f"{'data set':17}{'rows':>5}" + "".join(f"{way:>9}" for way in [*WAYS, *WAYS[:-1], *WAYS]) + f"{'ratio':>7}")
    with threadpool_limits(1), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of not having converged
        chosen = selected([data for data, _ in kinds.values()], options.only)
        ratios = np.array([print_row(data, measure(data, kinds[data.name][1], options)) for data in chosen])
    means = ", ".join(f"{way} {mean:.3f}" for way, mean in zip(WAYS, gmean(ratios[:, :-1]), strict=False))
    good = ", ".join(f"{way} {n}" for way, n in zip(WAYS, (ratios[:, :-1] <= 1.01).sum(axis=0), strict=False))
    print(f"mean ratio of errors: {means}; of times: {gmean(ratios[:, -1]):.1f}")
    print(f"error at most 1 % above that of the folds, of {len(ratios)} sets: {good}")


if __name__ == "__main__":
    main()
