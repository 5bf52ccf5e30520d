"""
Counts
======

A network whose targets are counts: rented bicycles, calls, claims. With ``loss="poisson"`` it predicts the rate, and
its intervals are those of counts around it: whole numbers, narrow where the rate is low, and never below zero.
"""

# %%
# How many come in an hour depends on the hour and on the temperature; here the truth is known.

import matplotlib.pyplot as plt
import numpy as np

from sk2layer import TwoLayerRegressor


def rate(hour, temperature):
    """Return how many come in the mean."""
    rush = np.exp(-0.5 * ((hour - 8.0) / 1.5) ** 2) + 1.3 * np.exp(-0.5 * ((hour - 17.5) / 2.0) ** 2)
    return np.exp(-1.0 + 3.0 * rush + 0.04 * temperature)


rng = np.random.default_rng(0)
hour, temperature = rng.uniform(0, 24, 500), rng.uniform(0, 25, 500)
X, y = np.column_stack([hour, temperature]), rng.poisson(rate(hour, temperature))

models = {loss: TwoLayerRegressor(loss=loss, random_state=0).fit(X, y) for loss in ("squared_error", "poisson")}

# %%
# New hours say how good the rates are, and whether the intervals hold. With a squared error the noise is the same
# everywhere: too much at night, too little in the rush. The log evidence of the same counts says which of the two the
# data find more probable, without any new ones.

hour_new, temperature_new = rng.uniform(0, 24, 5000), rng.uniform(0, 25, 5000)
X_new, truth = np.column_stack([hour_new, temperature_new]), rate(hour_new, temperature_new)
y_new = rng.poisson(truth)
for loss, model in models.items():
    low, high = model.predict_interval(X_new).T
    held, busy = (low <= y_new) & (y_new <= high), truth > 5
    error = np.sqrt(np.mean((model.predict(X_new) - truth) ** 2))
    print(f"{loss:14} error of the rate {error:.2f}, in the interval {held[busy].mean():.2f} where rates are above 5,")
    print(f"{'':14} lower ends below zero {np.mean(low < 0):.0%}, log evidence {model.log_marginal_likelihood_:.0f}")

# %%
# A day at 15 degrees.

day = np.linspace(0, 24, 300)
rows = np.column_stack([day, np.full(300, 15.0)])
figure, axes = plt.subplots(1, 2, figsize=(11, 4), sharey=True, layout="constrained")
for ax, (loss, model) in zip(axes, models.items(), strict=True):
    low, high = model.predict_interval(rows).T
    near = np.abs(temperature - 15.0) < 5.0
    ax.fill_between(day, low, high, alpha=0.2, linewidth=0, step="mid", label="95 % of counts")
    ax.plot(day, model.predict(rows), label="prediction")
    ax.plot(day, rate(day, 15.0), color="black", linewidth=1, linestyle="--", label="truth")
    ax.plot(hour[near], y[near], ".", color="tab:gray", markersize=4, label="counts between 10 and 20 degrees")
    ax.set(title=f'loss="{loss}"', xlabel="hour")
axes[0].set_ylabel("count")
axes[0].legend(loc="upper left", fontsize="small")
plt.show()
