"""
What are the weights worth outside of the library?
==================================================

The data are standardised for training, and the scaling is folded back into the weights. So ``coefs_`` and
``intercepts_`` are in the units of the data, and two lines of NumPy over raw measurements are the whole prediction. Any
language that can multiply can do the same.
"""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from sklearn.datasets import load_diabetes

from sk2layer import TwoLayerRegressor

data = load_diabetes(scaled=False, as_frame=True)
X, y = data.data, data.target
model = TwoLayerRegressor(3, random_state=0).fit(X, y)

# %%
# The forward pass by hand, over ages in years and blood pressures in mm Hg:

(W1, W2), (b1, b2) = model.coefs_, model.intercepts_
A1 = 1.0 / (1.0 + np.exp(-(X.to_numpy() @ W1 + b1)))
by_hand = (A1 @ W2 + b2)[:, 0]

difference = np.abs(by_hand - model.predict(X)).max()
print(f"predictions from {by_hand.min():.0f} to {by_hand.max():.0f}, largest difference {difference:.0e}")
np.testing.assert_allclose(by_hand, model.predict(X), rtol=1e-12)

# %%
# Change the unit of an input, and its weights change by the same factor the other way, while nothing else does: here
# the body mass index from kg per square metre to pounds per square inch, a factor of 0.0014.

FACTOR = 2.20462 / 39.3701**2
other = X.assign(bmi=X["bmi"] * FACTOR)
refitted = TwoLayerRegressor(3, random_state=0).fit(other, y)
bmi = X.columns.get_loc("bmi")
print("weights of the body mass index, kg / m^2:   ", np.round(W1[bmi], 4))
print("weights of the body mass index, lb / in^2:  ", np.round(refitted.coefs_[0][bmi], 4))
print("the same, in kg / m^2:                      ", np.round(refitted.coefs_[0][bmi] * FACTOR, 4))

# %%
# Each hidden unit is a smooth step in one direction of the inputs, and the prediction is a weighted sum of these steps:
# here along the body mass index, for a patient who is average in all else. What each unit adds is drawn about its
# mean.

grid = np.tile(X.mean().to_numpy(), (200, 1))
grid[:, bmi] = np.linspace(X["bmi"].min(), X["bmi"].max(), 200)
hidden = 1.0 / (1.0 + np.exp(-(grid @ W1 + b1)))

figure, axes = plt.subplots(1, 3, figsize=(12, 3.8), layout="constrained")
titles = ["1. hidden = sigmoid(X @ W1 + b1)", "2. hidden * W2", "3. their sum + b2"]
axes[0].plot(grid[:, bmi], hidden)
axes[1].plot(grid[:, bmi], hidden * W2[:, 0] - (hidden * W2[:, 0]).mean(axis=0))
axes[2].plot(X["bmi"], y, ".", color="tab:gray", alpha=0.3, label="all patients")
axes[2].plot(grid[:, bmi], (hidden @ W2 + b2)[:, 0], color="black", linewidth=2, label="by hand")
rows = pd.DataFrame(grid, columns=X.columns)
axes[2].plot(grid[::20, bmi], model.predict(rows)[::20], "o", color="tab:red", label="predict")
axes[2].legend()
for ax, title in zip(axes, titles, strict=True):
    ax.set(title=title, xlabel="body mass index, kg / m²")
axes[0].set_ylabel("value of each hidden unit")
axes[1].set_ylabel("what it adds to the prediction")
axes[2].set_ylabel("progress of the disease")
plt.show()
