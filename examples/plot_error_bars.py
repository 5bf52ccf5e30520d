"""
How sure is the network?
========================

A function of one input, measured with noise, with a gap where nothing was measured. A fit with the default settings
chooses its penalty and estimates the noise by the evidence, from the training data alone, and can then say how far off
a prediction may be: by the noise where there are data, and by more where there are none.
"""

# %%
# The data are in the units they might have been measured in: the input in the thousands, the target in the hundreds.
# :class:`~sklearn.neural_network.MLPRegressor` is fitted to them as they are, with more iterations than
# by default.

import matplotlib.pyplot as plt
import numpy as np
from sklearn.neural_network import MLPRegressor

from sk2layer import TwoLayerRegressor

NOISE = 15.0


def truth(x):
    """What is measured."""
    return 300.0 + 100.0 * np.sin(x / 400.0) + 0.05 * x


rng = np.random.default_rng(0)
x = np.concatenate([rng.uniform(1000, 3000, 60), rng.uniform(4200, 6000, 60)])
y = truth(x) + NOISE * rng.standard_normal(len(x))
X = x[:, np.newaxis]

model = TwoLayerRegressor(random_state=0).fit(X, y)
peer = MLPRegressor(random_state=0, max_iter=2000).fit(X, y)

# %%
# ``predict(X, return_std=True)`` returns the standard deviation of a new measurement, and ``predict_interval`` the
# range that holds it with a probability of 95 %. A thousand new measurements at the same inputs say whether it does.

noise = float(np.sqrt(model.noise_variance_[0]))
x_new = rng.choice(x, 1000)
y_new = truth(x_new) + NOISE * rng.standard_normal(1000)
low, high = model.predict_interval(x_new[:, np.newaxis]).T
covered = np.mean((low <= y_new) & (y_new <= high))

print(f"standard deviation of the noise   {NOISE:.1f}, estimated {noise:.1f}")
print(f"new measurements in the band      {covered:.1%}")
print(f"effective number of parameters    {model.effective_n_parameters_:.1f} of {3 * model.hidden_units + 1}")

# %%
# Where there are data, the band is as wide as the noise, and in the gap it widens; the band of the curve alone, without
# the noise of a measurement, shows it best. Beyond the data on either side it widens too, but there it only says how
# far networks like this one may differ: the truth can do what none of them does, and leaves the band on the left.

grid = np.linspace(500, 6500, 400)
mean = model.predict(grid[:, np.newaxis])
figure, (left, right) = plt.subplots(1, 2, figsize=(11, 4), sharey=True, layout="constrained")
for include_noise, shade, label in [(True, 0.2, "95 % band of a measurement"), (False, 0.4, "95 % band of the curve")]:
    band = model.predict_interval(grid[:, np.newaxis], include_noise=include_noise)
    left.fill_between(grid, *band.T, color="tab:blue", alpha=shade, linewidth=0, label=label)
left.plot(grid, mean, color="tab:blue", label="prediction")
right.plot(grid, peer.predict(grid[:, np.newaxis]), color="tab:orange", label="prediction")
for ax, title in [(left, "TwoLayerRegressor()"), (right, "MLPRegressor(max_iter=2000)")]:
    ax.plot(grid, truth(grid), color="black", linewidth=1, linestyle="--", label="truth")
    ax.plot(x, y, ".", color="tab:gray", markersize=5, label="data")
    ax.set(title=title, xlabel="x", ylim=(100, 900))
    ax.legend(loc="upper left", fontsize="small")
left.set_ylabel("y")
plt.show()
