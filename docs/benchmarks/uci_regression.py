"""How well are targets predicted, and how well does the model know: the protocol of the UCI regression benchmark.

Hernandez-Lobato & Adams (2015): twenty random splits into 90 % for training and 10 % for testing, networks with 50
hidden units, X and y standardised on the training part, and on the test part in the original units

    RMSE              root mean squared error
    log-likelihood    mean log density of the measured y under the predicted normal distribution; only for models that
                      predict a standard deviation

with mean and standard error over the splits, and the median seconds of a fit, with its search if there is one. Models:

    sk2layer, default           TwoLayerRegressor(hidden_units), the penalty by evidence where it can be afforded
    sk2layer, ard               the same with alpha="ard", a penalty for each input
    sk2layer, table             make_table_pipeline("regressor"), untouched
    MLPRegressor, searched      GridSearchCV, 5-fold, solver="lbfgs": 4 penalties x 2 sizes x 2 activations;
                                X and y scaled
    gradient boosting           HistGradientBoostingRegressor()
    Gaussian process            a length scale for each input, and noise; of more than --gp-rows rows a random part

Below them are published figures, under the same protocol, for the sets of which we have them.

    python docs/benchmarks/uci_regression.py --data DIR [--splits 20] [--only yacht energy] [--units 50] [--quick]

`_splits.py` describes the folder. Without it, bundled and generated data are split at random.

References
----------
Hernandez-Lobato & Adams (2015). Probabilistic backpropagation for scalable learning of Bayesian neural networks. ICML.
Gal & Ghahramani (2016). Dropout as a Bayesian approximation. ICML.
Lakshminarayanan, Pritzel & Blundell (2017). Simple and scalable predictive uncertainty estimation using deep
ensembles. NeurIPS.
Amini, Schwarting, Soleimany & Rus (2020). Deep evidential regression. NeurIPS.
"""

import argparse
import warnings

import numpy as np
from _models import PENALTIES, mean_and_error, regressor_search, scaled, timed_fit
from _splits import regression_sets, selected
from scipy.stats import norm
from sklearn.ensemble import HistGradientBoostingRegressor
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import RBF, ConstantKernel, WhiteKernel
from threadpoolctl import threadpool_limits

from sk2layer import TwoLayerRegressor
from sk2layer.pipeline import make_table_pipeline

PUBLISHED = {  # RMSE and log-likelihood
    "yacht": {
        "PBP (Hernandez-Lobato & Adams 2015)": (1.02, -1.63),
        "MC dropout (Gal & Ghahramani 2016)": (0.67, -1.25),
        "deep ensembles (Lakshminarayanan et al. 2017)": (1.58, -1.18),
        "evidential (Amini et al. 2020)": (1.57, -1.03),
    },
    "energy": {
        "PBP (Hernandez-Lobato & Adams 2015)": (1.80, -2.04),
        "MC dropout (Gal & Ghahramani 2016)": (0.54, -1.21),
        "deep ensembles (Lakshminarayanan et al. 2017)": (2.09, -1.38),
        "evidential (Amini et al. 2020)": (2.06, -1.39),
    },
    "wine-quality-red": {
        "PBP (Hernandez-Lobato & Adams 2015)": (0.64, -0.97),
        "MC dropout (Gal & Ghahramani 2016)": (0.61, -0.92),
        "deep ensembles (Lakshminarayanan et al. 2017)": (0.64, -0.94),
        "evidential (Amini et al. 2020)": (0.61, -0.89),
    },
}


class Network:
    """A network of ours, with its error bars where the evidence chose the penalty."""

    def __init__(self, **parameters):
        self.model = TwoLayerRegressor(**parameters)

    def fit(self, X, y):
        """Fit."""
        self.model.fit(X, y)

    def predict(self, X):
        """Return the predictions, and their standard deviations or None."""
        if hasattr(self.model, "noise_variance_"):
            return self.model.predict(X, return_std=True)
        return self.model.predict(X), None


class Table(Network):
    """Our pipeline for tables."""

    def __init__(self, seed):
        self.model = make_table_pipeline("regressor", random_state=seed)

    def predict(self, X):
        """Return the predictions and their standard deviations."""
        return self.model.predict(X, return_std=True)


class Peer:
    """A model of scikit-learn that predicts no standard deviation."""

    def __init__(self, model):
        self.model = model

    def fit(self, X, y):
        """Fit."""
        self.model.fit(X, y)

    def predict(self, X):
        """Return the predictions."""
        return self.model.predict(X), None


class GaussianProcess:
    """A Gaussian process on standardised X and y, of at most so many training rows."""

    def __init__(self, n_rows, seed):
        self.n_rows, self.seed = n_rows, seed

    def fit(self, X, y):
        """Fit."""
        rows = np.random.default_rng(self.seed).permutation(len(X))[: self.n_rows]
        kernel = ConstantKernel() * RBF(np.ones(X.shape[1]), (1e-2, 1e4)) + WhiteKernel(0.1, (1e-6, 1e1))
        process = GaussianProcessRegressor(kernel, normalize_y=True, random_state=self.seed)
        self.model = scaled(process).fit(X[rows], y[rows])

    def predict(self, X):
        """Return the predictions and their standard deviations."""
        return self.model.predict(X, return_std=True)


def make_models(options, seed):
    """Return the models by name."""
    ours = {"hidden_units": options.units, "random_state": seed}
    return {
        "sk2layer, default": Network(**ours),
        "sk2layer, ard": Network(**ours, alpha="ard"),
        "sk2layer, average of 5": Network(**ours, n_init=5, restarts="average"),
        "sk2layer, table": Table(seed),
        "MLPRegressor, searched": Peer(regressor_search(options.penalties, seed)),
        "gradient boosting": Peer(HistGradientBoostingRegressor(random_state=seed)),
        "Gaussian process": GaussianProcess(options.gp_rows, seed),
    }


def evaluate(model, X_train, y_train, X_test, y_test):
    """Return RMSE, mean log-likelihood or None, and the seconds of the fit."""
    seconds = timed_fit(model, X_train, y_train)
    predicted, std = model.predict(X_test)
    error = np.sqrt(np.mean((predicted - y_test) ** 2))
    return error, None if std is None else norm.logpdf(y_test, predicted, std).mean(), seconds


def measure(data, options):
    """Return the results of all splits, by the model's name."""
    results = {}
    for seed, *parts in data.parts():
        for name, model in make_models(options, seed).items():
            if not options.models or name in options.models:
                results.setdefault(name, []).append(evaluate(model, *parts))
    return results


def print_table(data, results):
    """Print one data set."""
    print(f"\n{data!s}\n{'':47}{'RMSE':>16} {'log-likelihood':>18} {'fit, s':>9}")
    for name, rows in results.items():
        errors, likelihoods, seconds = zip(*rows, strict=True)
        cells = f"{mean_and_error(errors):>16} {mean_and_error(likelihoods):>18} {np.median(seconds):9.2f}"
        print(f"{name:47}{cells}", flush=True)
    for name, (error, likelihood) in PUBLISHED.get(data.name, {}).items():
        print(f"{name:47}{error:16.2f} {likelihood:18.2f}")


def parse_options():
    """Return the options."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", metavar="DIR", help="a folder with uci/<name>/data.txt and the rows of the splits")
    parser.add_argument("--splits", type=int, default=20)
    parser.add_argument("--only", nargs="+", metavar="NAME", help="these data sets, bundled ones too")
    parser.add_argument("--models", nargs="+", metavar="NAME", help='these models, such as "sk2layer, ard"')
    parser.add_argument("--units", type=int, default=50, help="hidden units of sk2layer")
    parser.add_argument("--penalties", type=float, nargs="+", default=PENALTIES, help="for the search")
    parser.add_argument("--gp-rows", type=int, default=1500, help="training rows of the Gaussian process")
    parser.add_argument("--quick", action="store_true", help="a smoke run: one split of diabetes, small models")
    options = parser.parse_args()
    if options.quick:
        options.splits, options.only, options.units, options.penalties = 1, ["diabetes"], 5, [1.0]
        options.gp_rows = 100
    unknown = set(options.models or ()) - set(make_models(options, 0))
    if unknown:
        parser.error(f"there is no model {sorted(unknown)}; there are {list(make_models(options, 0))}")
    return options


def main():
    """Print a table for each data set."""
    options = parse_options()
    bundled = [] if options.data and not options.only else ["diabetes", "friedman1"]
    print(f"hidden_units={options.units}; 1 thread; Gaussian process on at most {options.gp_rows} training rows")
    print("mean ± standard error over splits, median seconds")
    with threadpool_limits(1), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of not having converged
        for data in selected(regression_sets(options.data, bundled, options.splits), options.only):
            print_table(data, measure(data, options))


if __name__ == "__main__":
    main()
