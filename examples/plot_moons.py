"""
Does a classifier know what it does not know?
=============================================

Two classes in the plane, and few data. A fit with the default settings averages the probabilities it predicts over all
weights that the data leave possible, so that far from the data it says so. The same weights without the average, and
:class:`~sklearn.neural_network.MLPClassifier`, are sure nearly everywhere.
"""

import matplotlib.pyplot as plt
import numpy as np
from scipy.special import expit
from sklearn.datasets import make_moons
from sklearn.metrics import log_loss
from sklearn.neural_network import MLPClassifier

from sk2layer import TwoLayerClassifier

X, y = make_moons(60, noise=0.25, random_state=0)
X_test, y_test = make_moons(2000, noise=0.25, random_state=1)

model = TwoLayerClassifier(random_state=0).fit(X, y)
peer = MLPClassifier(hidden_layer_sizes=(20,), activation="logistic", solver="lbfgs", max_iter=5000, random_state=0)
peer.fit(X, y)

# %%
# The plain probabilities are those of a forward pass by hand, with the one set of weights in ``coefs_``.


def plain(X):
    """The probability of the second class without the average."""
    (W1, W2), (b1, b2) = model.coefs_, model.intercepts_
    return expit(expit(X @ W1 + b1) @ W2 + b2)[:, 0]


ways = {
    "TwoLayerClassifier()": lambda X: model.predict_proba(X)[:, 1],
    "its weights without the average": plain,
    'MLPClassifier(solver="lbfgs")': lambda X: peer.predict_proba(X)[:, 1],
}
print("on 2000 new samples               log loss   accuracy")
for name, probability in ways.items():
    p = probability(X_test)
    print(f"{name:33} {log_loss(y_test, p):8.3f} {np.mean((p > 0.5) == y_test):10.3f}")

# %%
# On the boundary (black) both classes are equally probable. White is even odds, and a full colour is certainty. The
# average does not move the boundary; but it turns pale where the data end, for there the boundary could as well run
# elsewhere, as the network on the right shows.

axis = np.linspace(-4.0, 5.0, 150)
grid = np.stack(np.meshgrid(axis, axis), axis=-1)
figure, axes = plt.subplots(1, 3, figsize=(12, 4.3), sharey=True, layout="constrained")
for ax, (name, probability) in zip(axes, ways.items(), strict=True):
    p = probability(grid.reshape(-1, 2)).reshape(len(axis), len(axis))
    filled = ax.contourf(axis, axis, p, levels=np.linspace(0.0, 1.0, 21), cmap="RdBu_r")
    ax.contour(axis, axis, p, levels=[0.5], colors="black", linewidths=1.0)
    for label, color in [(0, "tab:blue"), (1, "tab:red")]:
        ax.plot(*X[y == label].T, "o", color=color, markersize=4, markeredgecolor="white", markeredgewidth=0.5)
    ax.set(title=name, aspect="equal")
figure.colorbar(filled, ax=axes, label="probability of the second class", ticks=[0.0, 0.25, 0.5, 0.75, 1.0])
plt.show()
