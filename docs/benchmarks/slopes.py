"""Are slopes and their error bars right, and how far does a prediction hold beyond the data?

numerical  the largest difference from differences to the fourth order, relative to the largest slope of the input
draws      the deviations of slopes and of their means by those of 2,000 draws from the posterior: quantiles of the
           ratio, with the network linearised as the deviations have it, and as it is
coverage   how often 95 % intervals hold the slope of friedman1 at new rows, by input; five of them are irrelevant
diabetes   mean slopes of five starts, and how far they are apart in standard errors
beyond     how often 95 % intervals of a new observation hold beyond the ends of a sine (n = 120), by the distance, and
           by the relative leverage: from -3 to 3, where it has turned at both ends, and from -2 to 2, where hardly
time       seconds of slopes and of their deviations, by those of predictions and theirs

python docs/benchmarks/slopes.py [--seeds 20] [--only NAME ...] [--quick]
"""

import argparse
import time
import warnings

import numpy as np
from sklearn.datasets import load_diabetes, make_friedman1
from threadpoolctl import threadpool_limits

from sk2layer import TwoLayerRegressor
from sk2layer.inspection import average_slopes, leverage
from sk2layer.model.activations import ACTIVATIONS
from sk2layer.model.network import Shape, pack
from sk2layer.rows.predict import predict_slopes

FITS = {"default": {}, "10 units": {"hidden_units": 10}, "average of 5": {"n_init": 5, "restarts": "average"}}
BEYOND = {**FITS, "40 units": {"hidden_units": 40}, "relu": {"activation": "relu"}}
N_DRAWS = 2000


def slopes_of_friedman1(X):
    """Return the derivatives of the function without its noise."""
    slopes, angle = np.zeros_like(X), np.pi * X[:, 0] * X[:, 1]
    slopes[:, :2] = 10.0 * np.pi * X[:, [1, 0]] * np.cos(angle)[:, np.newaxis]
    slopes[:, 2] = 40.0 * (X[:, 2] - 0.5)
    slopes[:, 3:5] = 10.0, 5.0
    return slopes


def numerical(_):
    """Print the first."""
    X, y = make_friedman1(300, noise=1.0, random_state=0)
    model = TwoLayerRegressor(random_state=0).fit(X, y)
    found, step, worst = model.predict_gradient(X), 1e-3, 0.0
    for j, e in enumerate(step * np.eye(10)):
        near, far = (model.predict(X + m * e) - model.predict(X - m * e) for m in (1, 2))
        worst = max(worst, np.abs((8.0 * near - far) / (12.0 * step) - found[:, j]).max() / np.abs(found[:, j]).max())
    print(f"numerical: largest relative difference {worst:.1e}")


def draws(_):
    """Print the second."""
    X, y = make_friedman1(300, noise=1.0, random_state=0)
    model = TwoLayerRegressor(10, random_state=0).fit(X, y)
    X, (weights, posterior, scaling, activation, _) = X[:100], model._posterior
    theta, shape = pack(weights), Shape(*weights.W1.shape, 1)

    def slopes(t):
        return predict_slopes(X, scaling.fold_out(shape.unpack(t)), ACTIVATIONS[activation])[:, 0]

    covariance = posterior.covariance_of(np.eye(len(theta)))
    moved = np.random.default_rng(0).multivariate_normal(np.zeros(len(theta)), covariance, N_DRAWS)
    J = np.stack([(slopes(theta + e) - slopes(theta - e)) / 2e-5 for e in 1e-5 * np.eye(len(theta))])
    _, std = model.predict_gradient(X, return_std=True)
    error = average_slopes(model, X).standard_error
    for name, drawn in (
        ("linearised", slopes(theta) + np.tensordot(moved, J, 1)),
        ("as it is", np.array([slopes(theta + t) for t in moved])),
    ):
        ratio, of_means = std / drawn.std(axis=0), error / drawn.mean(axis=1).std(axis=0)
        text = " ".join(f"{value:.3f}" for value in np.quantile(ratio, [0.0, 0.05, 0.5, 0.95, 1.0]))
        print(f"draws, network {name}: ratio at 0, 5, 50, 95, 100 % {text}; of means {of_means.min():.3f} to "
              f"{of_means.max():.3f}")  # fmt: skip


def coverage(seeds):
    """Print the third."""
    for n in (300, 1000):
        for name, how in FITS.items():
            held = []
            for seed in seeds if n == 300 else seeds[: max(1, len(seeds) // 2)]:
                X, y = make_friedman1(n, noise=1.0, random_state=seed)
                new, _ = make_friedman1(1000, random_state=1000 + seed)
                found, std = (
                    TwoLayerRegressor(random_state=seed, **how).fit(X, y).predict_gradient(new, return_std=True)
                )
                held.append(np.mean(np.abs(found - slopes_of_friedman1(new)) < 1.96 * std, axis=0))
            cells = " ".join(f"{value:.2f}" for value in np.mean(held, axis=0))
            print(f"coverage, n = {n:4}, {name:14}{cells}   all {np.mean(held):.3f}", flush=True)


def diabetes(_):
    """Print the fourth."""
    X, y = load_diabetes(return_X_y=True, as_frame=True)
    found = [average_slopes(TwoLayerRegressor(random_state=seed).fit(X, y), X) for seed in range(5)]
    for seed, one in enumerate(found):
        order = np.argsort(-np.abs(one.slope))[:4]
        cells = ", ".join(f"{X.columns[j]} {one.slope[j]:.0f} ± {one.standard_error[j]:.0f}" for j in order)
        print(f"diabetes, seed {seed}: {cells}")
    apart = max(np.max(np.abs(a.slope - b.slope) / a.standard_error) for a in found for b in found)
    print(f"diabetes: starts differ by {apart:.2f} standard errors at most")


def beyond(seeds):
    """Print the fifth."""
    distance = np.tile(np.linspace(0.0, 4.0, 81), 2)
    parts = {
        f"to {b}": (a <= distance) & (distance <= b) for a, b in ((0, 0.25), (0.25, 0.5), (0.5, 1), (1, 2), (2, 4))
    }
    print(f"{'beyond':33}" + "".join(f"{name:>8}" for name in parts) + f"{'.5 to 4':>9}")
    for name, how in BEYOND.items():
        inside = {}
        for end in (3.0, 2.0):
            held, far = np.array([_held(distance, end, seed, how) for seed in seeds]).transpose(1, 0, 2)
            inside[end] = held, far
            cells = "".join(f"{held[:, part].mean():8.2f}" for part in parts.values())
            print(f"  -{end:g} to {end:g}, {name:21}{cells}{held[:, distance >= 0.5].mean():9.2f}", flush=True)
        held, far = np.concatenate(list(inside.values()), axis=1)
        levels = ((0.0, 3.0), (3.0, 10.0), (10.0, 100.0), (100.0, np.inf))
        cells = ", ".join(
            f"{low:g} to {high:g}: {np.mean(held[(far >= low) & (far < high)]):.2f}" for low, high in levels
        )
        print(f"    by the relative leverage: {cells}", flush=True)


def _held(distance, end, seed, how):
    """Return which intervals hold so far beyond both ends of the data, and the relative leverage."""
    rng, half = np.random.default_rng(seed), len(distance) // 2
    x = rng.uniform(-end, end, (120, 1))
    new = (end + distance)[:, np.newaxis] * np.repeat([[-1.0], [1.0]], half, axis=0)
    model = TwoLayerRegressor(random_state=seed, **how).fit(x, np.sin(x[:, 0]) + 0.1 * rng.normal(size=120))
    low, high = model.predict_interval(new).T
    target = np.sin(new[:, 0]) + 0.1 * rng.normal(size=len(new))
    return (low <= target) & (target <= high), leverage(model, new).relative


def seconds(call, *arguments, **options):
    """Return the shortest of three."""
    found = []
    for _ in range(3):
        began = time.perf_counter()
        call(*arguments, **options)
        found.append(time.perf_counter() - began)
    return min(found)


def times(_):
    """Print the last."""
    for n, d, how in ((1000, 10, {}), (1000, 30, {}), (10_000, 10, {})):
        rng = np.random.default_rng(0)
        X = rng.normal(size=(n, d))
        model = TwoLayerRegressor(random_state=0, **how).fit(X, np.sin(X[:, 0]) + X[:, 1] + rng.normal(size=n))
        plain = [seconds(model.predict, X), seconds(model.predict_gradient, X)]
        sure = [seconds(model.predict, X, return_std=True), seconds(model.predict_gradient, X, return_std=True)]
        mean = seconds(average_slopes, model, X)
        kind = type(model._posterior.posterior).__name__
        print(f"time, {n} rows, {d} inputs ({kind}): values {1e3 * plain[0]:.1f} ms, slopes {1e3 * plain[1]:.1f} ms; "
              f"with deviations {1e3 * sure[0]:.0f} ms, {1e3 * sure[1]:.0f} ms; mean slopes {1e3 * mean:.0f} ms",
              flush=True)  # fmt: skip


PARTS = {
    "numerical": numerical,
    "draws": draws,
    "coverage": coverage,
    "diabetes": diabetes,
    "beyond": beyond,
    "time": times,
}


def main():
    """Print what is asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--only", nargs="+", choices=list(PARTS), default=list(PARTS))
    parser.add_argument("--quick", action="store_true", help="a smoke run")
    options = parser.parse_args()
    with threadpool_limits(1), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for name in options.only:
            PARTS[name](range(1 if options.quick else options.seeds))


if __name__ == "__main__":
    main()
