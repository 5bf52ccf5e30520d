"""What do conformal intervals add where the likelihood is wrong, and what do they cost where it is right?

    counts          Poisson counts of a rate that depends on two inputs
    vary more       the same rates, each multiplied by a random number of mean 1 and variance 1/2, which no loss knows

There are 600 rows; conformal methods set 200 of them aside. Printed are, as means over seeds, the share of 4000 new
counts in their intervals of 95 %, for all rows and for thirds of them by their rate, and the width. Needs the package
mapie, version 1.6 or later.

    python docs/benchmarks/conformal.py [--seeds 10] [--quick]
"""

import argparse
import importlib.util
import warnings

import numpy as np
from sklearn.base import BaseEstimator, RegressorMixin
from threadpoolctl import threadpool_limits

from sk2layer import TwoLayerRegressor

LEVEL, N_TRAIN, N_SET_ASIDE, N_NEW = 0.95, 400, 200, 4000


class Quantile(RegressorMixin, BaseEstimator):
    """A regressor whose prediction is a quantile of another one's."""

    def __init__(self, model, q):
        self.model, self.q = model, q

    def fit(self, X, y):
        """Do nothing: the model is fitted."""
        return self

    def predict(self, X):
        """Return the quantile."""
        return self.model.predict_quantile(X, self.q)

    @property
    def n_features_in_(self):
        """The number of inputs."""
        return self.model.n_features_in_


def drawn(rng, n, *, vary):
    """Return inputs, counts and rates."""
    X = rng.uniform(-2.0, 2.0, (n, 2))
    rate = np.exp(1.2 + np.sin(2.0 * X[:, 0]) + 0.5 * X[:, 1])
    return X, rng.poisson(rate * rng.gamma(2.0, 0.5, n) if vary else rate).astype(float), rate


def intervals(seed, X, y, X_new):
    """Yield a name and the ends of intervals, as rows, for each method."""
    from mapie.regression import ConformalizedQuantileRegressor, SplitConformalRegressor

    def fitted(n, **how):
        return TwoLayerRegressor(random_state=seed, **how).fit(X[:n], y[:n])

    aside = X[N_TRAIN:], y[N_TRAIN:]
    for name, how in {"loss='poisson'": {"loss": "poisson"}, "noise='inputs'": {"noise": "inputs"}}.items():
        yield name, fitted(N_TRAIN + N_SET_ASIDE, **how).predict_interval(X_new, LEVEL).T
        model = fitted(N_TRAIN, **how)
        conformal = SplitConformalRegressor(model, LEVEL).conformalize(*aside)
        yield f"{name}, split conformal", conformal.predict_interval(X_new)[1][:, :, 0].T
        quantiles = [Quantile(model, q) for q in (0.5 - 0.5 * LEVEL, 0.5 + 0.5 * LEVEL, 0.5)]
        conformal = ConformalizedQuantileRegressor(quantiles, LEVEL, prefit=True).conformalize(*aside)
        yield f"{name}, its quantiles moved", conformal.predict_interval(X_new)[1][:, :, 0].T


def figures(ends, y, rate):
    """Return the coverage of all, and by thirds of the rate, and the mean width."""
    low, high = ends
    inside, third = (low <= y) & (y <= high), np.digitize(rate, np.quantile(rate, [1 / 3, 2 / 3]))
    return [inside.mean(), *(inside[third == k].mean() for k in range(3)), np.mean(high - low)]


def main():
    """Print both tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--quick", action="store_true", help="a smoke run: one seed")
    options = parser.parse_args()
    if importlib.util.find_spec("mapie") is None:
        print("mapie is not installed")
        return
    for kind, vary in {"counts": False, "vary more": True}.items():
        found = {}
        for seed in range(1 if options.quick else options.seeds):
            rng = np.random.default_rng(seed)
            X, y, _ = drawn(rng, N_TRAIN + N_SET_ASIDE, vary=vary)
            X_new, y_new, rate = drawn(rng, N_NEW, vary=vary)
            for name, ends in intervals(seed, X, y, X_new):
                found.setdefault(name, []).append(figures(ends, y_new, rate))
        print(
            f"{kind:44}" + "".join(f"{column:>13}" for column in ["all", "lowest third", "middle", "highest", "width"])
        )
        for name, rows in found.items():
            print(f"  {name:42}" + "".join(f"{cell:13.3f}" for cell in np.mean(rows, axis=0)))
        print(flush=True)


if __name__ == "__main__":
    with threadpool_limits(1), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of not having converged
        main()
