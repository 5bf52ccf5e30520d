"""
The best settings of a process
==============================

A network that knows its slopes can be optimised over by any method that takes derivatives. Here are the settings of a
process with the highest yield, under a limit, by SciPy's SLSQP; and those that are good for sure: the standard
deviation of the prediction is a penalty.
"""

# %%
# Thirty experiments with the temperature and the time of a reaction, few of them at high temperatures. The yield has a
# maximum; the cost of a setting is known, and must not be above 13.

import matplotlib.pyplot as plt
import numpy as np
from scipy.optimize import minimize

from sk2layer import TwoLayerRegressor

rng = np.random.default_rng(0)
X = np.column_stack([rng.beta(1.5, 2.5, 30) * 6.0, rng.uniform(0.0, 6.0, 30)])


def true_yield(X):
    """Return what nobody knows."""
    temperature, time = X.T
    decay = (time - 3.0) ** 2 + 5.0 * np.maximum(temperature - 5.5, 0.0) ** 2
    return 60.0 + 25.0 * np.exp(-((temperature - 5.0) ** 2) / 6.0) - decay


y = true_yield(X) + 2.0 * rng.normal(size=30)
model = TwoLayerRegressor(10, random_state=0).fit(X, y)


# %%
# What is minimised is the negative yield plus ``caution`` standard deviations. Its derivative is that of the
# prediction, which is exact, and that of the deviation, which SciPy finds by differences of it.


def objective(x, caution):
    """Return the value and its derivative."""
    rows = np.vstack([x, x + 1e-5 * np.eye(2), x - 1e-5 * np.eye(2)])
    mean, std = model.predict(rows, return_std=True, include_noise=False)
    slope_of_std = (std[1:3] - std[3:5]) / 2e-5
    return -mean[0] + caution * std[0], -model.predict_gradient(rows[:1])[0] + caution * slope_of_std


cost = {"type": "ineq", "fun": lambda x: 13.0 - x @ [1.5, 1.0], "jac": lambda x: np.array([-1.5, -1.0])}


def best_settings(caution):
    """Return the best of five searches."""
    starts = X[y.argsort()[-5:]]
    found = [
        minimize(objective, x, caution, jac=True, method="SLSQP", bounds=[(0, 8), (0, 6)], constraints=cost)
        for x in starts
    ]
    return min(found, key=lambda result: result.fun).x


settings = {caution: best_settings(caution) for caution in (0.0, 1.0, 2.0)}
for caution, x in settings.items():
    mean, std = model.predict([x], return_std=True, include_noise=False)
    mean, std = mean[0], std[0]
    print(f"caution {caution:g}: {x.round(2)}, predicted {mean:.1f} ± {std:.1f}, so at least {mean - 2 * std:.1f}")

# %%
# The highest yield is promised where hardly anything has been tried, and there it may be anything. With caution it is a
# little lower, and what it is at least is higher. Nobody knows before who will have been right:

for caution, x in settings.items():
    print(f"caution {caution:g}: in truth {true_yield(x[np.newaxis])[0]:.1f}")

# %%
# The prediction, how unsure it is, the limit, and both settings:

grid = np.stack(np.meshgrid(np.linspace(0, 8, 80), np.linspace(0, 6, 60)), axis=-1)
mean, std = model.predict(grid.reshape(-1, 2), return_std=True, include_noise=False)
figure, both = plt.subplots(1, 2, figsize=(11, 4), layout="constrained", sharey=True)
for axes, values, title in zip(both, (mean, std), ("predicted yield", "standard deviation"), strict=True):
    filled = axes.contourf(grid[..., 0], grid[..., 1], values.reshape(60, 80), levels=14)
    figure.colorbar(filled, ax=axes)
    axes.plot(*X.T, ".", color="white", markersize=4)
    axes.plot([7 / 1.5, 8], [6, 1], color="tab:red", linewidth=1, label="cost 13")
    for (caution, x), marker in zip(settings.items(), "^os", strict=True):
        axes.plot(*x, marker, color="tab:red", label=f"caution {caution:g}")
    axes.set(title=title, xlabel="temperature", ylim=(0, 6))
both[0].set_ylabel("time")
both[0].legend()
plt.show()
