"""
When should training stop?
==========================

Without a penalty, a network of enough hidden units goes on to learn the noise: the loss on the training data falls, and
the loss on data it has not seen rises again. ``early_stopping=True`` stops there, with any solver. The alternative is a
penalty that is right: then there is nothing to stop.
"""

import warnings

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import make_friedman1
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import LearningCurveDisplay, ShuffleSplit, train_test_split

from sk2layer import TwoLayerRegressor
from sk2layer.displays import LossCurveDisplay

warnings.filterwarnings("ignore", category=ConvergenceWarning)  # what is not stopped early is cut off on purpose

X, y = make_friedman1(600, noise=2.0, random_state=0)
X_train, X_val, y_train, y_val = train_test_split(X, y, train_size=200, random_state=0)
given = {"X_val": X_val, "y_val": y_val}

# %%
# Validation data without ``early_stopping`` are only watched. The curves are of L-BFGS, once to the end and once
# stopped:

unpenalised = {"hidden_units": 10, "solver": "lbfgs", "alpha": 0, "max_iter": 300, "random_state": 0}
on = TwoLayerRegressor(**unpenalised).fit(X_train, y_train, **given)
stopped = TwoLayerRegressor(early_stopping=True, **unpenalised).fit(X_train, y_train, **given)
print(f"to the end:    {on.n_iter_:4} iterations, R2 on the validation data {on.score(X_val, y_val):6.2f}")
print(f"stopped early: {stopped.n_iter_:4} iterations, R2 on the validation data {stopped.score(X_val, y_val):6.2f}")

# %%
# Early stopping needs data that are not trained on, and a penalty chosen by the evidence needs none. Which of them
# makes more of the same data? The learning curves, from 30 to 270 rows, are means over five splits. Where no validation
# data are passed, ``early_stopping`` sets a tenth of the training rows aside.

ways = {
    "no penalty": (TwoLayerRegressor(**unpenalised), "tab:gray"),
    "stopped early": (TwoLayerRegressor(early_stopping=True, **unpenalised), "tab:orange"),
    "by evidence (default)": (TwoLayerRegressor(10, random_state=0), "tab:blue"),
}
figure, (left, right) = plt.subplots(1, 2, figsize=(12, 4.5), layout="constrained")
LossCurveDisplay.from_estimator(on, ax=left)
left.axvline(stopped.n_iter_, color="black", linewidth=1, linestyle=":", label="stopped here")
left.set(title="One fit without a penalty", xscale="log", yscale="log")
left.legend()

for label, (model, color) in ways.items():
    LearningCurveDisplay.from_estimator(
        model,
        X[:300],
        y[:300],
        train_sizes=np.array([30, 60, 120, 270]),
        cv=ShuffleSplit(5, test_size=30, random_state=0),
        score_type="test",
        scoring="neg_root_mean_squared_error",
        negate_score=True,
        ax=right,
        line_kw={"color": color, "marker": "."},
        fill_between_kw={"color": color, "alpha": 0.15},
    ).lines_[0].set_label(label)
right.axhline(2.0, color="black", linewidth=1, linestyle=":", label="the noise")
right.set(title="Learning curves", xlabel="training rows", ylabel="RMSE on held-out rows", ylim=(1, 8))
right.legend()
plt.show()
