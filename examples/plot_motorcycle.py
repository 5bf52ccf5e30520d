"""
Noise that depends on the inputs
================================

The acceleration of a dummy's head in simulated motorcycle accidents: nothing moves for 14 milliseconds, then all at
once, and from there on the measurements scatter. One variance for all of them is too large before and too small after;
with ``noise="inputs"`` a second network says how large it is where.
"""

# %%
# 133 measurements of several experiments: milliseconds after the impact, and accelerations in units of g [1]_.

import matplotlib.pyplot as plt
import numpy as np
from scipy.stats import norm
from sklearn.model_selection import KFold

from sk2layer import TwoLayerRegressor
from sk2layer.displays import PredictionIntervalDisplay

TIMES = """
2.4 2.6 3.2 3.6 4 6.2 6.6 6.8 7.8 8.2 8.8 8.8 9.6 10 10.2 10.6 11 11.4 13.2 13.6 13.8 14.6 14.6 14.6 14.6 14.6
14.6 14.8 15.4 15.4 15.4 15.4 15.6 15.6 15.8 15.8 16 16 16.2 16.2 16.2 16.4 16.4 16.6 16.8 16.8 16.8 17.6 17.6
17.6 17.6 17.8 17.8 18.6 18.6 19.2 19.4 19.4 19.6 20.2 20.4 21.2 21.4 21.8 22 23.2 23.4 24 24.2 24.2 24.6 25 25
25.4 25.4 25.6 26 26.2 26.2 26.4 27 27.2 27.2 27.2 27.6 28.2 28.4 28.4 28.6 29.4 30.2 31 31.2 32 32 32.8 33.4
33.8 34.4 34.8 35.2 35.2 35.4 35.6 35.6 36.2 36.2 38 38 39.2 39.4 40 40.4 41.6 41.6 42.4 42.8 42.8 43 44 44.4 45
46.6 47.8 47.8 48.8 50.6 52 53.2 55 55 55.4 57.6
"""
ACCELERATIONS = """
0 -1.3 -2.7 0 -2.7 -2.7 -2.7 -1.3 -2.7 -2.7 -1.3 -2.7 -2.7 -2.7 -5.4 -2.7 -5.4 0 -2.7 -2.7 0 -13.3 -5.4 -5.4
-9.3 -16 -22.8 -2.7 -22.8 -32.1 -53.5 -54.9 -40.2 -21.5 -21.5 -50.8 -42.9 -26.8 -21.5 -50.8 -61.7 -5.4 -80.4 -59
-71 -91.1 -77.7 -37.5 -85.6 -123.1 -101.9 -99.1 -104.4 -112.5 -50.8 -123.1 -85.6 -72.3 -127.2 -123.1 -117.9 -134
-101.9 -108.4 -123.1 -123.1 -128.5 -112.5 -95.1 -81.8 -53.5 -64.4 -57.6 -72.3 -44.3 -26.8 -5.4 -107.1 -21.5
-65.6 -16 -45.6 -24.2 9.5 4 12 -21.5 37.5 46.9 -17.4 36.2 75 8.1 54.9 48.2 46.9 16 45.6 1.3 75 -16 -54.9 69.6
34.8 32.1 -37.5 22.8 46.9 10.7 5.4 -1.3 -21.5 -13.3 30.8 -10.7 29.4 0 -10.7 14.7 -1.3 0 10.7 10.7 -26.8 -14.7
-13.3 0 10.7 -14.7 -2.7 10.7 -2.7 10.7
"""

X, y = np.fromstring(TIMES, sep=" ")[:, np.newaxis], np.fromstring(ACCELERATIONS, sep=" ")

models = {noise: TwoLayerRegressor(noise=noise, random_state=0).fit(X, y) for noise in ("constant", "inputs")}

# %%
# Rows that were left out, by ten folds, say which is right: their log density, how many of the intervals of 95 % hold
# them, and how wide these are before anything moves. In brackets is the log density that the fit to all rows says of
# itself, by which it has decided that a second network is worth it.

early = X[:, 0] < 14
for noise, model in models.items():
    mean, std, ends = np.empty(len(y)), np.empty(len(y)), np.empty((len(y), 2))
    for train, test in KFold(10, shuffle=True, random_state=0).split(X):
        fold = TwoLayerRegressor(noise=noise, random_state=0).fit(X[train], y[train])
        mean[test], std[test] = fold.predict(X[test], return_std=True)
        ends[test] = fold.predict_interval(X[test])
    held = (ends[:, 0] <= y) & (y <= ends[:, 1])
    density, half_width = norm.logpdf(y, mean, std).mean(), np.diff(ends)[early].mean() / 2
    print(f"noise={noise!r:11} log density {density:.2f} ({model.loo_log_density_:.2f}),", end=" ")
    print(f"in the interval {held.mean():.2f}, half-width before 14 ms {half_width:.1f}")

# %%
# The band is for a new measurement. Its noise is nearly twenty times as large at 35 milliseconds as in the beginning,
# where the curve is held by measurements that are almost exact.

figure, axes = plt.subplots(1, 3, figsize=(14, 4), layout="constrained")
for ax, (noise, model) in zip(axes, models.items(), strict=False):
    PredictionIntervalDisplay.from_estimator(model, X, y, ax=ax)
    ax.set(title=f'noise="{noise}"', xlabel="milliseconds", ylabel="acceleration", ylim=(-200, 130))
grid = np.linspace(0, 60, 300)[:, np.newaxis]
for noise, model in models.items():
    mean_std, std = (model.predict(grid, return_std=True, include_noise=kind)[1] for kind in (False, True))
    axes[2].plot(grid, np.sqrt(std**2 - mean_std**2), label=f'noise="{noise}"')
axes[2].plot(X, np.abs(y - models["inputs"].predict(X)), ".", color="tab:gray", markersize=4, label="residuals, size")
axes[2].set(title="standard deviation of the noise", xlabel="milliseconds")
axes[2].legend()
plt.show()

# %%
# .. [1] Silverman (1985). Some aspects of the spline smoothing approach to non-parametric regression curve fitting.
#        Journal of the Royal Statistical Society, Series B 47. The data are `mcycle` of R's package MASS.
