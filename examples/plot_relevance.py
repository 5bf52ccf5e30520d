"""
Which inputs matter?
====================

Ten inputs, of which five make the target and five have nothing to do with it. The evidence chooses a penalty for each
input. By default these are pooled, drawn towards their mean; with ``alpha="ard"`` they are free, and inputs that do not
help are switched off in the course of the fit, without a search and without validation data.
"""

# %%
# The function is Friedman's, :math:`10 \sin(\pi x_1 x_2) + 20 (x_3 - \frac12)^2 + 10 x_4 + 5 x_5`, with noise of
# standard deviation 1. Its third input has no linear relation with the target at all.

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import make_friedman1
from sklearn.model_selection import train_test_split

from sk2layer import TwoLayerRegressor
from sk2layer.displays import NetworkDisplay, RelevanceDisplay

names = [f"x{number}" for number in range(1, 11)]
X, y = make_friedman1(2000, noise=1.0, random_state=0)
X_train, X_test, y_train, y_test = train_test_split(X, y, train_size=200, random_state=0)

pooled = TwoLayerRegressor(8, random_state=0).fit(X_train, y_train)
ard = TwoLayerRegressor(8, alpha="ard", random_state=0).fit(X_train, y_train)

correlation = np.abs([np.corrcoef(column, y_train)[0, 1] for column in X_train.T])
print("input  relevance  |correlation with y|")
for name, relevance, r in zip(names, ard.feature_relevances_, correlation, strict=True):
    print(f"{name:5} {relevance:10.3f} {r:21.2f}")

# %%
# To switch off what does not count is worth a little here, since pooling does most of it. Where rows are few, free
# penalties may switch off what does count; then the default is the better one.

for label, model in [("pooled (default)", pooled), ("free (ard)", ard)]:
    rmse = np.sqrt(np.mean((model.predict(X_test) - y_test) ** 2))
    print(f"{label:17} test RMSE {rmse:.2f} (the noise alone: 1), log evidence {model.log_marginal_likelihood_:.0f}")

# %%
# The relevance is the standard deviation that the weights of an input may have, for standardised data. In the network
# itself, each line is as wide as what passes through it, blue where the weight is positive and orange where it is
# negative; from the inputs that were switched off there are no lines to be seen.

figure, (left, right) = plt.subplots(1, 2, figsize=(11, 4.8), width_ratios=[1, 1.3], layout="constrained")
RelevanceDisplay.from_estimator(ard, feature_names=names, ax=left)
left.set_title("Relevance of each input")
NetworkDisplay.from_estimator(ard, X_train, feature_names=names, ax=right)
right.set_title("The network")
plt.show()
