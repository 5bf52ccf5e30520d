"""
How many hidden units: by the evidence, or by a grid search?
============================================================

The log evidence of a fit, ``log_marginal_likelihood_``, is the log probability of the training data under the model,
around the weights that it ended at, and can be compared between numbers of hidden units. So no rows have to be held
out and no penalty to be searched: a fit for each number will do, here the most probable of three starts, since starts
end in different modes. :class:`~sklearn.model_selection.GridSearchCV` needs five fits for each pair of a number and a
penalty.
"""

import time

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import make_friedman1
from sklearn.model_selection import GridSearchCV, train_test_split

from sk2layer import TwoLayerRegressor

X, y = make_friedman1(2000, noise=1.0, random_state=0)
X_train, X_test, y_train, y_test = train_test_split(X, y, train_size=400, random_state=0)
UNITS = [1, 2, 3, 4, 6, 8, 12, 16]
PENALTIES = [0.01, 0.1, 1.0, 10.0]

# %%
# By the evidence, in one pass. ``loo_log_density_`` comes with it: how well each row is predicted from the others.

began = time.perf_counter()
fits = [TwoLayerRegressor(units, n_init=3, random_state=0).fit(X_train, y_train) for units in UNITS]
most_probable = max(fits, key=lambda model: model.log_marginal_likelihood_)
evidence_seconds = time.perf_counter() - began

# %%
# By 5-fold cross-validation, over the same numbers of units and four penalties:

began = time.perf_counter()
grid = {"hidden_units": UNITS, "alpha": PENALTIES}
search = GridSearchCV(TwoLayerRegressor(max_iter=1000, random_state=0), grid, scoring="neg_mean_squared_error")
search.fit(X_train, y_train)
search_seconds = time.perf_counter() - began


def test_error(model):
    """RMSE on the rows held out; the noise is 1."""
    return np.sqrt(np.mean((model.predict(X_test) - y_test) ** 2))


print("                 hidden_units   test RMSE   fits   seconds")
for name, model, n_fits, seconds in [
    ("evidence", most_probable, 3 * len(UNITS), evidence_seconds),
    ("GridSearchCV", search.best_estimator_, 5 * len(UNITS) * len(PENALTIES) + 1, search_seconds),
]:
    print(f"{name:13} {model.hidden_units:15} {test_error(model):11.3f} {n_fits:6} {seconds:9.1f}")

# %%
# The evidence rises steeply up to the units that the function needs, and the test error falls with it. From there on
# neither changes much: the penalty, which is chosen anew for each number, keeps small what is not needed, so that the
# *effective* number of parameters grows far less than their number. Here too many units do no harm; only too few do.
# The leave-one-out density (dashed) tells the same.

figure, (left, middle, right) = plt.subplots(1, 3, figsize=(13, 4), layout="constrained")
chosen = {"marker": "o", "s": 160, "facecolor": "none", "edgecolor": "tab:red", "linewidth": 2, "zorder": 3}
left.plot(UNITS, [model.log_marginal_likelihood_ for model in fits], ".-", color="tab:blue")
left.scatter(most_probable.hidden_units, most_probable.log_marginal_likelihood_, **chosen, label="chosen")
left.set(title="Log evidence on the training data")
density = left.twinx()
density.plot(UNITS, [model.loo_log_density_ for model in fits], ".--", color="tab:gray", label="leave-one-out density")
density.set(yticks=[])
density.legend(loc="center right")
left.legend(loc="lower right")

middle.plot(UNITS, [test_error(model) for model in fits], ".-", color="tab:blue", label="by evidence")
middle.scatter(most_probable.hidden_units, test_error(most_probable), **chosen, label="chosen by evidence")
best = search.best_params_["hidden_units"]
rmse = test_error(search.best_estimator_)
middle.plot(best, rmse, "s", color="tab:gray", markersize=8, label="chosen by GridSearchCV")
middle.axhline(1.0, color="black", linewidth=0.8, linestyle=":")
middle.set(title="RMSE on test data (dotted: the noise)")
middle.legend()

right.plot(UNITS, [12 * units + 1 for units in UNITS], ".-", color="tab:gray", label="all")
right.plot(UNITS, [model.effective_n_parameters_ for model in fits], ".-", color="tab:blue", label="effective")
right.set(title="Number of parameters")
right.legend()
for ax in (left, middle, right):
    ax.set(xlabel="hidden_units")
plt.show()
