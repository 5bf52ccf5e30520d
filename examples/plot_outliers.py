"""
Outliers and known errors
=========================

Two kinds of noise for which a squared error is wrong: rows that are now and then far off, and rows that are measured
with errors which are unequal and known. ``loss="student_t"`` finds out how far is far; ``fit(..., y_std=...)`` is told.
"""

# %%
# The same curve twice: with a slip in about one row of twenty, and with two instruments, one of them sixteen times as
# good as the other.

import matplotlib.pyplot as plt
import numpy as np

from sk2layer import TwoLayerRegressor


def truth(x):
    """What is measured."""
    return np.sin(1.5 * x)


rng = np.random.default_rng(0)
x = np.sort(rng.uniform(-3, 3, 200))
X = x[:, np.newaxis]
slips = truth(x) + 0.2 * rng.standard_normal(200) + 5.0 * (rng.random(200) < 0.05)
sd = rng.choice([0.05, 0.8], 200)
unequal = truth(x) + sd * rng.standard_normal(200)

plain, robust = (TwoLayerRegressor(loss=loss, random_state=0).fit(X, slips) for loss in ("squared_error", "student_t"))
equal, known = (TwoLayerRegressor(random_state=0).fit(X, unequal, y_std=std) for std in (None, sd))

# %%
# The errors of the curves, and what was found out about the noise: the scale of most of it, and, beside the errors that
# are known, next to none.

fits = {"squared error": plain, "Student's t": robust, "errors taken for equal": equal, "errors known": known}
for name, model in fits.items():
    print(f"{name:24} off by {np.sqrt(np.mean((model.predict(X) - truth(x)) ** 2)):.3f}")
print(f"scale {robust.noise_scale_[0]:.2f}, degrees of freedom {robust.degrees_of_freedom_[0]:.1f}")
print(f"noise besides known errors {np.sqrt(known.noise_variance_[0]):.3f}")

# %%
# The band is that of the curve: where it is, with a probability of 95 %.

grid = np.linspace(-3, 3, 300)
figure, axes = plt.subplots(2, 2, figsize=(11, 7), sharex=True, sharey="row", layout="constrained")
targets = [slips, slips, unequal, unequal]
for ax, (title, model), y in zip(axes.ravel(), fits.items(), targets, strict=True):
    band = model.predict_interval(grid[:, np.newaxis], include_noise=False)
    ax.plot(x, y, ".", color="tab:gray", markersize=4)
    ax.fill_between(grid, *band.T, alpha=0.3, linewidth=0)
    ax.plot(grid, model.predict(grid[:, np.newaxis]))
    ax.plot(grid, truth(grid), color="black", linewidth=1, linestyle="--")
    ax.set_title(title)
plt.show()
