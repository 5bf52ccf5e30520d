"""
What does a network do while it learns?
=======================================

A network first finds the coarse shape of the data, then the fine one, and in the end the noise, if nothing holds it
back. Here is one on its way: what it predicts after some of its iterations, and how well after all of them. Callbacks
record it; they need scikit-learn 1.9 or newer. In between the fit is broken off, and gone on with from a file.
"""

# %%
# The data are 60 noisy points of a known curve to learn from, and 2000 more to score on. There is hardly any penalty.

import sys
import tempfile
import warnings
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics import r2_score

from sk2layer import TwoLayerRegressor
from sk2layer.callbacks import Checkpoint

if not hasattr(TwoLayerRegressor, "set_callbacks"):
    print("This example needs scikit-learn 1.9 or newer.")
    sys.exit()

from sklearn.callback import ScoringMonitor


def truth(x):
    return np.sin(2.0 * x) + 0.5 * x + np.exp(-20.0 * (x - 1.0) ** 2)


rng = np.random.default_rng(0)
X, X_new = (rng.uniform(-3.0, 3.0, size=(n, 1)) for n in (60, 2000))
y, y_new = (truth(inputs[:, 0]) + 0.4 * rng.normal(size=len(inputs)) for inputs in (X, X_new))
warnings.simplefilter("ignore", ConvergenceWarning)  # it shall go on, whatever it is good for

# %%
# ``ScoringMonitor`` comes with scikit-learn. It is given the training data, but may score on any.


def score(network, X, y):
    return {"training": r2_score(y, network.predict(X)), "new": r2_score(y_new, network.predict(X_new))}


def by_iteration(monitor, name):
    return [row[name] for row in monitor.get_logs().data if row["task_name"] == "iteration"]


# %%
# A callback of one's own is a class with four methods. This one keeps what the network predicts after some iterations:
# ``fitted_estimator`` is the network as it is at that moment. It can also stop a fit, by returning True.

SHOWN = [3, 20, 150, 1500]
grid = np.linspace(-3.0, 3.0, 400)[:, np.newaxis]


class KeepCurves:
    def __init__(self):
        self.curves = {}

    def setup(self, estimator, context):
        pass

    def on_fit_task_begin(self, estimator, context):
        pass

    def on_fit_task_end(self, estimator, context, *, fitted_estimator=None):
        if fitted_estimator is not None and fitted_estimator.n_iter_ in SHOWN:
            self.curves[fitted_estimator.n_iter_] = fitted_estimator.predict(grid)

    def teardown(self, estimator, context):
        pass


def network():
    return TwoLayerRegressor(40, solver="lbfgs", alpha=1e-6, tol=1e-12, max_iter=1500, random_state=0)


whole, keeper = ScoringMonitor(scoring=score), KeepCurves()
fitted = network().set_callbacks(whole, keeper).fit(X, y)

# %%
# The same fit again, with a ``Checkpoint`` after every 50 iterations. The process is killed after 333 of them, or so it
# seems to the fit. The second process finds the file, goes on after iteration 300, and ends at the same weights.


class Kill(KeepCurves):
    def on_fit_task_end(self, estimator, context):
        if context.task_name == "iteration" and context.task_id == 332:
            raise SystemExit


with tempfile.TemporaryDirectory() as folder:
    checkpoint = Checkpoint(Path(folder) / "network.checkpoint", every_n_iter=50, every_seconds=0.0)
    try:
        checkpoint.resume(network()).set_callbacks(checkpoint, Kill()).fit(X, y)
    except SystemExit:
        print("killed")
    rest = ScoringMonitor(scoring=score)
    resumed = checkpoint.resume(network()).set_callbacks(checkpoint, rest).fit(X, y)

n_done = resumed.n_iter_ - len(by_iteration(rest, "new"))
print(f"gone on with after iteration {n_done}, ended after {resumed.n_iter_}")
print("the same weights, bit for bit:", all(map(np.array_equal, resumed.coefs_, fitted.coefs_)))

# %%
# On new data it is best after some hundred iterations. The training data do not show it: their score goes on rising.
# Validation data do, which ``early_stopping`` watches. The other way is a penalty that keeps the network from following
# the noise, however long the fit goes on; by default it is chosen from the training data.

figure = plt.figure(figsize=(11, 6.5), layout="constrained")
panels = figure.subplot_mosaic([SHOWN, ["scores"] * len(SHOWN)])
for n_iter in SHOWN:
    panels[n_iter].plot(X[:, 0], y, ".", color="tab:gray", markersize=4)
    panels[n_iter].plot(grid, truth(grid), color="tab:gray", linewidth=1)
    panels[n_iter].plot(grid, keeper.curves[n_iter], color="tab:blue", linewidth=2)
    panels[n_iter].set(title=f"after {n_iter} iterations", ylim=(-4.0, 4.0), xticks=[], yticks=[])
axes = panels["scores"]
iterations = np.arange(1, fitted.n_iter_ + 1)
axes.semilogx(iterations, by_iteration(whole, "training"), color="tab:gray", label="training data")
axes.semilogx(iterations, by_iteration(whole, "new"), color="tab:blue", label="new data")
rest_scores = by_iteration(rest, "new")[::100]
axes.plot(iterations[n_done::100], rest_scores, "o", mfc="none", color="tab:orange", label="new data, gone on with")
axes.axvline(333, color="tab:orange", linestyle="--", linewidth=1)
axes.set(xlabel="iteration", ylabel="R2", ylim=(-0.1, 1.05), xlim=(1, fitted.n_iter_))
for n_iter in SHOWN:
    axes.axvline(n_iter, color="lightgray", linewidth=1, zorder=0)
axes.legend(loc="lower center", ncols=3)
plt.show()
