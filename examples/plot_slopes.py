"""
What does an input do, and how surely?
======================================

A network with one hidden layer can be differentiated exactly: ``predict_gradient`` returns how steeply the prediction
rises with each input, with a standard deviation. Their mean over the rows says how important an input is, with a sign;
the mean prediction over an input shows where.
"""

# %%
# Ten measurements of 442 patients, and how their diabetes had progressed a year later. The mean slopes with their
# standard errors are what the coefficients of a linear model would be, had it not to be linear:

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_diabetes

from sk2layer import TwoLayerRegressor
from sk2layer.displays import AverageSlopesDisplay, PartialDependenceBandDisplay
from sk2layer.inspection import average_slopes

X, y = load_diabetes(return_X_y=True, as_frame=True, scaled=False)
model = TwoLayerRegressor(random_state=0).fit(X, y)
print(average_slopes(model, X, as_frame=True).frame.round(3))

# %%
# An input counts in its own unit. By a standard deviation of each input they can be compared. Beside it, the mean
# prediction over the two that count most: how sure it is, is known from one covariance for all its points.

figure, (left, middle, right) = plt.subplots(1, 3, figsize=(12, 4), layout="constrained")
AverageSlopesDisplay.from_estimator(model, X, ax=left)
PartialDependenceBandDisplay.from_estimator(model, X, "bmi", ax=middle)
PartialDependenceBandDisplay.from_estimator(model, X, "s5", ax=right)
for axes, title in ((left, "Mean slopes, 95 %"), (middle, "Body mass index"), (right, "A serum measurement")):
    axes.set_title(title)
plt.show()

# %%
# A mean may hide that an input acts up here and down there. The slopes of each row do not: of body mass index, over the
# blood pressure, each with a bar of one standard deviation.

slopes, std = model.predict_gradient(X, return_std=True)
bmi = list(X.columns).index("bmi")
figure, axes = plt.subplots(figsize=(7, 4), layout="constrained")
axes.errorbar(X["bp"], slopes[:, bmi], std[:, bmi], fmt=".", color="tab:blue", ecolor="lightsteelblue")
axes.axhline(0.0, color="black", linewidth=0.8)
axes.set(xlabel="bp", ylabel="slope of bmi")
plt.show()

# %%
# And two inputs at once, with lines where the standard deviation of the mean prediction is the same:

PartialDependenceBandDisplay.from_estimator(model, X, ["bmi", "bp"])
plt.show()
print(f"slopes of bmi above 0 by two standard deviations: {np.mean(slopes[:, bmi] > 2 * std[:, bmi]):.0%} of the rows")
