"""
How soon is each solver at the optimum?
=======================================

The same network, on the same data, with the same penalty, trained by three solvers of
:class:`~sk2layer.TwoLayerRegressor` and two of :class:`~sklearn.neural_network.MLPRegressor`: how low is the objective
after how much time?
"""

import time
import warnings

import matplotlib.pyplot as plt
import numpy as np
from scipy.special import expit
from sklearn.datasets import make_friedman1
from sklearn.exceptions import ConvergenceWarning
from sklearn.neural_network import MLPRegressor
from sklearn.preprocessing import scale

from sk2layer import TwoLayerRegressor

# Most of these fits are cut short on purpose.
warnings.filterwarnings("ignore", category=ConvergenceWarning)

X, y = make_friedman1(500, noise=1.0, random_state=0)
X, y = scale(X), scale(y)
n_hidden, alpha = 20, 0.01

# %%
# One function judges all fits by their weights: half the mean squared error plus the penalty on the weights, not on the
# biases. It is what both libraries minimise on data that are standardised, and ``alpha`` means the same in both.


def objective(model):
    (W1, W2), (b1, b2) = model.coefs_, model.intercepts_
    predicted = (expit(X @ W1 + b1) @ W2 + b2)[:, 0]
    penalty = alpha * (np.sum(W1**2) + np.sum(W2**2))
    return (np.sum((predicted - y) ** 2) + penalty) / (2 * len(X))


# %%
# All start from the same weights. Those of ``MLPRegressor`` follow from its ``random_state``, and a single epoch with a
# learning rate of almost nothing leaves them as they were drawn.


def start(seed):
    model = theirs("sgd", learning_rate_init=1e-100, max_iter=1, random_state=seed).fit(X, y)
    return {"coefs_init": model.coefs_, "intercepts_init": model.intercepts_}


def theirs(solver, **parameters):
    layers = {"hidden_layer_sizes": (n_hidden,), "activation": "logistic"}
    return MLPRegressor(**layers, solver=solver, alpha=alpha, tol=1e-9, **parameters)


def ours(solver, **parameters):
    return TwoLayerRegressor(n_hidden, solver=solver, alpha=alpha, tol=1e-9, **parameters)


# %%
# To see how far a solver is at which time without looking into it, the network is fitted anew with 1, 2, 4, ...
# iterations, and each whole fit is timed. A tolerance of almost nothing lets a fit take them all.


def curve(make, solver, most, seed):
    """Seconds and objectives of fits with more and more iterations."""
    given = start(seed) if make is ours else {}
    points = []
    for max_iter in 2 ** np.arange(np.log2(most) + 1).astype(int):
        model = make(solver, max_iter=max_iter, n_iter_no_change=most, random_state=seed)
        began = time.perf_counter()
        model.fit(X, y, **given)
        points.append((time.perf_counter() - began, objective(model)))
    return np.transpose(points)


networks = {
    'TwoLayerRegressor, "lm"': (ours, "lm", 128),
    'TwoLayerRegressor, "lbfgs"': (ours, "lbfgs", 1024),
    'TwoLayerRegressor, "adam"': (ours, "adam", 512),
    'MLPRegressor, "lbfgs"': (theirs, "lbfgs", 1024),
    'MLPRegressor, "adam"': (theirs, "adam", 512),
}
for make, solver, _ in networks.values():
    make(solver, max_iter=3).fit(X, y)  # warm up
curves = {name: [curve(*network, seed) for seed in range(5)] for name, network in networks.items()}

# %%
# Each thin line is one start, and a thick one the median of all. In the beginning any step helps, and a gradient costs
# less than the matrix that Levenberg-Marquardt (``"lm"``) forms for each of its steps; further down every one of these
# is worth many of the others. Adam, which is made for data too large for anything else, is the last to come down. On
# other data and for larger networks the order may be another: ``docs/benchmarks/time_to_quality.py`` measures it.

blue, orange = "tab:blue", "tab:orange"
styles = [(blue, "-"), (blue, "--"), (blue, ":"), (orange, "--"), (orange, ":")]

figure, ax = plt.subplots(figsize=(9, 5), layout="constrained")
for (name, of_seeds), (color, style) in zip(curves.items(), styles, strict=True):
    for points in of_seeds:
        ax.loglog(*points, color=color, linestyle=style, linewidth=0.7, alpha=0.4)
    ax.loglog(*np.median(of_seeds, axis=0), color=color, linestyle=style, linewidth=2.5, label=name)
ax.set(xlabel="seconds of a whole fit", ylabel="objective")
ax.grid(alpha=0.3)
ax.legend()
plt.show()
