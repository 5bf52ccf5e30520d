"""Does one fit with default settings replace a search? Its test error and its time beside those of a grid search.

The default of sk2layer, with its penalty by evidence, is fitted once. The search is scikit-learn's: `GridSearchCV` of
`MLPRegressor(solver="lbfgs")` over 4 penalties x 2 sizes x 2 activations, 5-fold, and then the best fitted to all
training rows, X and y scaled in a Pipeline. Both see the same training rows, 90 % of the data. Printed are the mean
RMSE on the others with its standard error over the splits, and the median seconds. The ratio of the errors is that of
the one fit to the search, the ratio of the times that of the search to the one fit.

    python docs/benchmarks/grid_search.py [--data DIR] [--splits 10] [--only diabetes yacht] [--quick]

`_splits.py` describes the folder of the UCI data sets. Without it, two more generated sets take their place.
"""

import argparse
import warnings

import numpy as np
from _models import PENALTIES, SIZES, mean_and_error, regressor_search, timed_fit
from _splits import regression_sets, selected
from sklearn.metrics import root_mean_squared_error
from threadpoolctl import threadpool_limits

from sk2layer import TwoLayerRegressor


def measure(data, options):
    """Return the errors of both, and the seconds of both, for each split: shape (n_splits, 2, 2)."""
    results = []
    for seed, X_train, y_train, X_test, y_test in data.parts():
        models = TwoLayerRegressor(random_state=seed), regressor_search(options.penalties, seed, options.sizes)
        seconds = [timed_fit(model, X_train, y_train) for model in models]
        errors = [root_mean_squared_error(y_test, model.predict(X_test)) for model in models]
        results.append((errors, seconds))
    return np.array(results)


def print_row(data, results):
    """Print one line of the table; return the ratio of errors and the ratio of times."""
    errors, seconds = results[:, 0].mean(axis=0), np.median(results[:, 1], axis=0)
    error_ratio, time_ratio = errors[0] / errors[1], seconds[1] / seconds[0]
    cells = "".join(f"{mean_and_error(column):>18}" for column in results[:, 0].T)
    times = "".join(f"{value:9.2f}" for value in seconds)
    print(f"{data.name:18}{len(data.X):6}{cells}{error_ratio:8.3f}{times}{time_ratio:8.1f}", flush=True)
    return error_ratio, time_ratio


def parse_options():
    """Return the options."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", metavar="DIR", help="a folder with uci/<name>/data.txt and the rows of the splits")
    parser.add_argument("--splits", type=int, default=10)
    parser.add_argument("--only", nargs="+", metavar="NAME")
    parser.add_argument("--penalties", type=float, nargs="+", default=PENALTIES, help="for the search")
    parser.add_argument("--sizes", type=int, nargs="+", default=SIZES, help="for the search")
    parser.add_argument("--quick", action="store_true", help="a smoke run: one split of diabetes, a small grid")
    options = parser.parse_args()
    if options.quick:
        options.splits, options.only, options.penalties, options.sizes = 1, ["diabetes"], [1.0], [5]
    return options


def main():
    """Print the table."""
    options = parse_options()
    bundled = ["diabetes", "friedman1"] + ([] if options.data else ["friedman2", "friedman3"])
    print(f"{options.splits} splits; penalties {options.penalties}, sizes {options.sizes} of the search; 1 thread")
    print(f"{'':24}{'RMSE on test rows':>27} {'':16}{'seconds':>19}")
    print(f"{'data set':18}{'rows':>6}{'one fit':>18}{'search':>18}{'ratio':>8}{'one fit':>9}{'search':>9}{'ratio':>8}")
    with threadpool_limits(1), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of not having converged
        data_sets = selected(regression_sets(options.data, bundled, options.splits), options.only)
        ratios = np.array([print_row(data, measure(data, options)) for data in data_sets])
    good, quick = ratios[:, 0] <= 1.0, ratios[:, 1] >= 10.0
    print(f"error as low or lower on {good.sum()} of {len(good)} sets, in a tenth of the time on {quick.sum()}")


if __name__ == "__main__":
    main()
