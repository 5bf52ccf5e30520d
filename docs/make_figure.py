"""Make the figure of the README and of the landing page: a fit with its error band beside that of scikit-learn.

python docs/make_figure.py            write docs/_static/why.png
python docs/make_figure.py FILE       write FILE
"""

import sys
from pathlib import Path

import matplotlib
import matplotlib.pyplot as plt
import numpy as np
from sklearn.neural_network import MLPRegressor

from sk2layer import TwoLayerRegressor
from sk2layer.displays import PredictionIntervalDisplay

TARGET = Path(__file__).parent / "_static" / "why.png"


def truth(x):
    """What is measured, in units in which x runs to thousands and y to hundreds."""
    return 300.0 + 100.0 * np.sin(x / 400.0) + 0.05 * x


def main():
    """Fit both to the same raw data, and draw."""
    matplotlib.use("Agg")
    rng = np.random.default_rng(0)
    x = np.concatenate([rng.uniform(1000, 3000, 60), rng.uniform(4200, 6000, 60)])
    y = truth(x) + 15.0 * rng.standard_normal(len(x))
    X, grid = x[:, np.newaxis], np.linspace(1000, 6000, 400)
    ours = TwoLayerRegressor(random_state=0).fit(X, y)
    theirs = MLPRegressor(max_iter=2000, random_state=0).fit(X, y)

    figure, (left, right) = plt.subplots(1, 2, figsize=(10, 3.6), sharey=True, layout="constrained")
    PredictionIntervalDisplay.from_estimator(ours, X, y, ax=left)
    right.plot(x, y, ".", color="tab:gray", label="data")
    right.plot(grid, theirs.predict(grid[:, np.newaxis]), color="tab:orange", label="prediction")
    left.set(title="TwoLayerRegressor()", xlabel="x", ylim=(150, 850))
    right.set(title="MLPRegressor(max_iter=2000)", xlabel="x")
    for ax in (left, right):
        ax.plot(grid, truth(grid), color="black", linewidth=1, linestyle="--", label="truth")
        ax.legend(loc="upper left", fontsize="small")
    figure.savefig(sys.argv[1] if len(sys.argv) > 1 else TARGET, dpi=110)


if __name__ == "__main__":
    main()
