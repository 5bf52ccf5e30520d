r"""
Is gradient descent here the rule of the textbook?
==================================================

The rule is :math:`W \leftarrow W - \eta\,\partial J/\partial W`, with the gradient of the mean loss over the whole
training set. Here it is in plain NumPy, line by line, beside ``solver="gd"``: after 10 000 steps from the same start,
the weights of both are the same to twelve decimals.
"""

import warnings

import matplotlib.pyplot as plt
import numpy as np
from sklearn.exceptions import ConvergenceWarning

from sk2layer import TwoLayerRegressor
from sk2layer.solvers import GradientDescent

rng = np.random.default_rng(0)
x = np.sort(rng.uniform(-3.0, 3.0, 40))
y = np.sin(2.0 * x) + 0.5 * x + 0.2 * rng.normal(size=40)
X, Y = x[:, np.newaxis], y[:, np.newaxis]

# %%
# By hand
# -------
# Samples are rows. Half the mean squared error has the output delta ``(A2 - Y) / n``, and all else follows from it.

n, n_hidden, learning_rate, n_steps = len(X), 8, 0.2, 10_000
W1 = 3.0 * rng.normal(size=(1, n_hidden))
b1 = 3.0 * rng.normal(size=n_hidden)
W2 = rng.normal(size=(n_hidden, 1))
b2 = np.zeros(1)
start = {"coefs_init": [W1, W2], "intercepts_init": [b1, b2]}

watched = [0, 100, 1_000, 10_000]
losses, fits = [], {}
for step in range(n_steps + 1):
    A1 = 1.0 / (1.0 + np.exp(-(X @ W1 + b1)))  # forward
    A2 = A1 @ W2 + b2
    losses.append(0.5 * np.mean((A2 - Y) ** 2))
    if step in watched:
        fits[step] = W1, b1, W2, b2
    if step == n_steps:
        break
    D2 = (A2 - Y) / n  # backward
    D1 = D2 @ W2.T * A1 * (1.0 - A1)
    W1 = W1 - learning_rate * X.T @ D1  # step
    b1 = b1 - learning_rate * D1.sum(axis=0)
    W2 = W2 - learning_rate * A1.T @ D2
    b2 = b2 - learning_rate * D2.sum(axis=0)

# %%
# By the library
# --------------
# ``standardize=False`` and ``alpha=0`` leave the data and the objective as they are, and ``tol=0`` lets it take
# every step. So the fit ends with the warning that it has not converged, as it should; here it is silenced.

warnings.filterwarnings("ignore", category=ConvergenceWarning)
model = TwoLayerRegressor(
    n_hidden,
    solver=GradientDescent(learning_rate=learning_rate),
    standardize=False,
    alpha=0,
    tol=0,
    max_iter=n_steps,
)
model.fit(X, y, **start)

by_hand = {"W1": W1, "W2": W2, "b1": b1, "b2": b2}
by_library = [*model.coefs_, *model.intercepts_]
print("largest difference after 10 000 steps")
for (name, hand), library in zip(by_hand.items(), by_library, strict=True):
    print(f"  {name}  {np.abs(hand - library).max():.0e}")
    np.testing.assert_allclose(library, hand, rtol=0.0, atol=1e-12)

# %%
# The curve of the losses is the same as well. On its way the network turns from whatever it was into the wave that is
# in the data.

figure, (left, right) = plt.subplots(1, 2, figsize=(11, 4.2), layout="constrained")
steps = np.arange(1, n_steps + 1)
left.loglog(steps, losses[1:], color="tab:blue", linewidth=6, alpha=0.3, label="by hand")
left.loglog(steps, model.loss_curve_, color="tab:blue", linewidth=1.2, label='solver="gd", loss_curve_')
left.set(xlabel="step", ylabel="half the mean squared error", title="The loss falls")
left.legend()

right.plot(x, y, "o", color="tab:gray", markersize=4, label="data")
grid = np.linspace(-3.0, 3.0, 200)[:, np.newaxis]
for (step, (W1, b1, W2, b2)), shade in zip(fits.items(), np.linspace(0.25, 1.0, len(fits)), strict=True):
    curve = 1.0 / (1.0 + np.exp(-(grid @ W1 + b1))) @ W2 + b2
    right.plot(grid, curve, color=plt.cm.Blues(shade), linewidth=2, label=f"after {step} steps")
right.set(xlabel="x", ylabel="y", title="The network learns")
right.legend(loc="lower right")
plt.show()
