"""
A table as it comes
===================

Patients' measurements as they are written down: some are missing, sex is a word, and the date of the visit is a date.
:func:`~sk2layer.pipeline.make_table_pipeline` makes a fit of it, with intervals.
"""

# %%
# The diabetes data, with one cell of twelve lost, and the names of things put back. The date of a visit tells nothing.

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from sklearn.datasets import load_diabetes
from sklearn.ensemble import HistGradientBoostingRegressor
from sklearn.linear_model import RidgeCV
from sklearn.model_selection import KFold, cross_val_score, train_test_split

from sk2layer import TwoLayerRegressor
from sk2layer.pipeline import make_table_pipeline

rng = np.random.default_rng(0)
table, progression = load_diabetes(return_X_y=True, as_frame=True, scaled=False)
table = table.mask(rng.random(table.shape) < 1 / 12)
table["sex"] = table["sex"].map({1.0: "female", 2.0: "male"})
table["visit"] = pd.Timestamp("2001-01-01") + pd.to_timedelta(rng.integers(0, 700, len(table)), unit="D")
print(table.head().to_string())

# %%
# By name, the pipeline weights networks of several kinds by what they predict for rows set aside. The same errors say
# how wide its intervals have to be.

X_train, X_test, y_train, y_test = train_test_split(table, progression, random_state=0)
model = make_table_pipeline("regressor", random_state=0).fit(X_train, y_train)
for weight, member in zip(model[-1].weights_, model[-1].members_, strict=True):
    network = member[-1]
    print(f"{weight:.2f}  {network.n_init} x {network.hidden_units} {network.activation}, {member[0].n_pieces} pieces")

# %%
# R2 on held-out folds, beside a single network, a linear model and boosted trees, all behind the same columns.

models = {
    "several, weighted": make_table_pipeline("regressor", random_state=0),
    "one network": make_table_pipeline(TwoLayerRegressor(random_state=0)),
    "ridge regression": make_table_pipeline(RidgeCV(np.logspace(-2, 4, 13)), n_pieces=1),
    "boosted trees": make_table_pipeline(HistGradientBoostingRegressor(random_state=0), n_pieces=1),
}
folds = KFold(4, shuffle=True, random_state=0)
scores = {name: cross_val_score(each, table, progression, cv=folds) for name, each in models.items()}
for name, score in scores.items():
    print(f"{name:<20} {score.mean():.3f}")

# %%
# Nine intervals of ten should hold what was measured.

low, high = model.predict_interval(X_test, 0.9).T
order = np.argsort(model.predict(X_test))
inside = ((low <= y_test) & (y_test <= high)).to_numpy()
figure, (left, right) = plt.subplots(1, 2, figsize=(11, 4.5), layout="constrained", width_ratios=[3, 2])
left.fill_between(np.arange(len(order)), low[order], high[order], alpha=0.25, label="90 % intervals")
left.plot(model.predict(X_test)[order], label="predicted")
left.plot(y_test.to_numpy()[order], ".", color="black", label="measured")
left.set(title=f"{inside.mean():.0%} inside", xlabel="patients held out, by prediction", ylabel="progression")
left.legend()
for row, score in enumerate(scores.values()):
    right.plot(score, np.full(len(score), row), "o", color="tab:blue" if row < 2 else "tab:gray", alpha=0.5)
    right.plot(score.mean(), row, "|", color="black", markersize=20)
right.set_yticks(range(len(scores)), scores)
right.invert_yaxis()
right.set(xlabel="R2 on held-out folds", title="The same table, four models")
plt.show()
