"""
Choose by one fit each: EvidenceSearch beside GridSearchCV
==========================================================

How many hidden units, which activation, and into how many pieces is each column to be cut? A fit by evidence says for
itself how well it predicts each row from all others, ``loo_log_density_``. So
:class:`~sk2layer.model_selection.EvidenceSearch` needs one fit for each candidate, on all rows, where
:class:`~sklearn.model_selection.GridSearchCV` needs one for each fold, and one more at the end.
"""

# %%
# The diabetes data: ten measurements of 442 patients, and how far the disease had progressed a year later. Half of the
# patients are set aside, to see what the choices are worth; neither search is told of them.

import time

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from sklearn.datasets import load_diabetes
from sklearn.model_selection import GridSearchCV, train_test_split
from sklearn.pipeline import Pipeline

from sk2layer import TwoLayerRegressor
from sk2layer.displays import PredictionIntervalDisplay
from sk2layer.model_selection import EvidenceSearch
from sk2layer.preprocessing import PiecewiseLinearEncoder

X, y = load_diabetes(return_X_y=True, as_frame=True, scaled=False)
X_train, X_test, y_train, y_test = train_test_split(X, y, test_size=0.5, random_state=0)

model = Pipeline([("pieces", PiecewiseLinearEncoder()), ("network", TwoLayerRegressor(random_state=0))])
grid = {
    "pieces__n_pieces": [1, 2, 4, 8],
    "network__hidden_units": [2, 5],
    "network__activation": ["tanh", "relu"],
}

# %%
# The same candidates for both.

began = time.perf_counter()
by_evidence = EvidenceSearch(model, grid).fit(X_train, y_train)
evidence_seconds = time.perf_counter() - began

began = time.perf_counter()
by_folds = GridSearchCV(model, grid, cv=5, scoring="neg_root_mean_squared_error").fit(X_train, y_train)
folds_seconds = time.perf_counter() - began

n_candidates = len(by_evidence.results_["params"])
for name, search, n_fits, seconds in [
    ("EvidenceSearch", by_evidence, n_candidates, evidence_seconds),
    ("GridSearchCV", by_folds, 5 * n_candidates + 1, folds_seconds),
]:
    chosen = ", ".join(f"{key.split('__')[1]}={value}" for key, value in search.best_params_.items())
    rmse = np.sqrt(np.mean((search.predict(X_test) - y_test) ** 2))
    print(f"{name:<15} {n_fits:4} fits {seconds:6.1f} s   test RMSE {rmse:.1f}   {chosen}")

# %%
# Of the patients set aside, 221, an RMSE of 56 is known to about 3: the two choices are as good as each other, and one
# of them takes a fifth of the fits. ``results_`` reads as a table:

results = pd.DataFrame(by_evidence.results_).sort_values("rank")
names = {name: name.split("__")[1] for name in results if name.startswith("param_")}
print(
    results[[*names, "loo_log_density", "log_marginal_likelihood"]].rename(columns=names).head().to_string(index=False)
)

# %%
# Left, each candidate as both searches see it: the better ones are at the top and to the left. Many pieces are of no
# use to so few patients, and both say so; the folds, which fit to fewer rows still, say it louder. Right, what the
# chosen network makes of the body mass index, with the other measurements at their medians.

figure, (left, right) = plt.subplots(1, 2, figsize=(11, 4.5), layout="constrained")
errors, densities = -by_folds.cv_results_["mean_test_score"], by_evidence.results_["loo_log_density"]
pieces = np.array([params["pieces__n_pieces"] for params in by_evidence.results_["params"]])
for color, n_pieces in zip(["tab:blue", "tab:green", "tab:orange", "tab:red"], grid["pieces__n_pieces"], strict=True):
    rows = pieces == n_pieces
    left.plot(errors[rows], densities[rows], "o", color=color, label=f"{n_pieces} piece{'s' * (n_pieces > 1)}")
for marker, name, chosen in [
    ("o", "EvidenceSearch", by_evidence.best_index_),
    ("s", "GridSearchCV", by_folds.best_index_),
]:
    style = {"markersize": 14, "fillstyle": "none", "color": "black", "linestyle": "none"}
    left.plot(errors[chosen], densities[chosen], marker=marker, label=f"by {name}", **style)
left.set(xlabel="RMSE by 5-fold cross-validation", ylabel="leave-one-out log density", title="16 candidates")
left.legend(fontsize="small", loc="upper right")
PredictionIntervalDisplay.from_estimator(by_evidence, X_test, y_test, feature="bmi", ax=right)
right.set(title="The chosen network", ylabel="progression")
plt.show()
