"""
How many hidden units, and how strong a penalty?
================================================

Cross-validation answers both at once: :class:`~sklearn.model_selection.GridSearchCV` over ``hidden_units`` and
``alpha``, on the raw breast cancer data, whose 30 inputs run from thousandths to thousands. What decides is the log
loss of the predicted probabilities, which still tells models apart when their accuracy is the same.
"""

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_breast_cancer
from sklearn.metrics import ConfusionMatrixDisplay, accuracy_score, log_loss
from sklearn.model_selection import GridSearchCV, train_test_split

from sk2layer import TwoLayerClassifier

data = load_breast_cancer()
labels = data.target_names[data.target]
X_train, X_test, y_train, y_test = train_test_split(data.data, labels, stratify=labels, random_state=0)

grid = {"hidden_units": [1, 2, 5, 10, 20], "alpha": [0.03, 0.1, 0.3, 1.0, 3.0, 10.0]}
search = GridSearchCV(
    TwoLayerClassifier(max_iter=1000, random_state=0),
    grid,
    scoring=["neg_log_loss", "accuracy"],
    refit="neg_log_loss",
)
search.fit(X_train, y_train)

# %%
# The best of the grid, refitted to all training data, on the quarter of the data that was held out:

probability = search.predict_proba(X_test)
predicted = search.predict(X_test)
print("chosen:  ", ", ".join(f"{name}={value}" for name, value in search.best_params_.items()))
print(f"log loss  {log_loss(y_test, probability, labels=search.classes_):.3f}")
print(f"accuracy  {accuracy_score(y_test, predicted):.3f}")

# %%
# The penalty matters most, and how many units there are matters little as long as there are enough of them. The
# accuracy alone could not tell.

shape = len(grid["alpha"]), len(grid["hidden_units"])  # GridSearchCV goes through the names in alphabetical order
loss = -search.cv_results_["mean_test_neg_log_loss"].reshape(shape).T
accuracy = search.cv_results_["mean_test_accuracy"].reshape(shape).T


def heat_map(ax, values, cmap, title):
    """Draw and write a value for each pair of parameters; frame the pair that was chosen."""
    image = ax.imshow(values, cmap=cmap, aspect="auto")
    for row in range(values.shape[0]):
        for column in range(values.shape[1]):
            value = values[row, column]
            dark = np.mean(image.cmap(image.norm(value))[:3]) < 0.5
            ax.text(column, row, f"{value:.3f}", ha="center", va="center", color="white" if dark else "black")
    column = grid["alpha"].index(search.best_params_["alpha"])
    row = grid["hidden_units"].index(search.best_params_["hidden_units"])
    ax.add_patch(plt.Rectangle((column - 0.5, row - 0.5), 1, 1, fill=False, edgecolor="tab:orange", linewidth=4))
    ax.set_xticks(range(len(grid["alpha"])), grid["alpha"])
    ax.set_yticks(range(len(grid["hidden_units"])), grid["hidden_units"])
    ax.set(xlabel="alpha", title=title)


figure, axes = plt.subplots(1, 3, figsize=(13, 4), width_ratios=[1.3, 1.3, 1], layout="constrained")
heat_map(axes[0], loss, "Blues_r", "Log loss, cross-validated (dark is better)")
heat_map(axes[1], accuracy, "Blues", "Accuracy, cross-validated (dark is better)")
axes[0].set_ylabel("hidden_units")
ConfusionMatrixDisplay.from_predictions(y_test, predicted, ax=axes[2], cmap="Greys", colorbar=False)
axes[2].set_title("Held-out patients")
plt.show()
