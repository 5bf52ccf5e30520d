"""
A table of numbers and categories
=================================

A network computes with numbers. Of a table that holds names as well, the usual
:class:`~sklearn.compose.ColumnTransformer` makes numbers, one column for each name. The table here is Fisher's iris
data as a DataFrame: two measurements of the sepals in cm and the name of the species, from which the length of the
petals is predicted.
"""

# %%
# With ``set_output``, the steps before the network hand on DataFrames, and so the network knows its inputs by name.

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from sklearn.compose import make_column_transformer
from sklearn.datasets import load_iris
from sklearn.linear_model import RidgeCV
from sklearn.model_selection import KFold, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder

from sk2layer import TwoLayerRegressor

iris = load_iris(as_frame=True)
table = iris.data[["sepal length (cm)", "sepal width (cm)"]].assign(species=np.asarray(iris.target_names)[iris.target])
petal_length = iris.data["petal length (cm)"]
numbers, categories = list(table.columns[:2]), ["species"]


def pipeline(model, columns):
    """The model on some columns of the table, names coded as 0 and 1."""
    named = [name for name in columns if name in categories]
    coding = make_column_transformer(
        (OneHotEncoder(sparse_output=False, handle_unknown="ignore"), named),
        ("passthrough", [name for name in columns if name not in named]),
        verbose_feature_names_out=False,
    )
    return make_pipeline(coding.set_output(transform="pandas"), model)


network = pipeline(TwoLayerRegressor(random_state=0), numbers + categories).fit(table, petal_length)
print(*network[-1].feature_names_in_, sep="\n")

# %%
# R2 on the parts held out by 5-fold cross-validation, with and without the species. Ridge regression draws parallel
# lines, one for each species; the network draws a curve for each.

folds = KFold(n_splits=5, shuffle=True, random_state=0)
scores = {}
for title, columns in [("measurements", numbers), ("species", categories), ("both", numbers + categories)]:
    for model in (TwoLayerRegressor(random_state=0), RidgeCV(np.logspace(-3, 3, 13))):
        name = f"{type(model).__name__}, {title}"
        scores[name] = cross_val_score(pipeline(model, columns), table, petal_length, cv=folds)
        print(f"{name:<32} {scores[name].mean():.3f}")

# %%
# The band is where a petal of that species lies with a probability of 95 %, at the species' mean width of the sepals.
# It widens where no flower of the species was measured.

figure, (left, right) = plt.subplots(1, 2, figsize=(11, 5), layout="constrained", width_ratios=[3, 2])
lengths = np.linspace(4.0, 8.2, 85)
for color, (species, flowers) in zip(["tab:blue", "tab:orange", "tab:green"], table.groupby("species"), strict=True):
    rows = pd.DataFrame(
        {numbers[0]: lengths, numbers[1]: flowers[numbers[1]].mean(), "species": species}, columns=table.columns
    )
    predicted = network.predict(rows)
    low, high = network[-1].predict_interval(network[:-1].transform(rows)).T
    left.plot(flowers[numbers[0]], petal_length[flowers.index], ".", color=color, alpha=0.7)
    left.plot(lengths, predicted, color=color, linewidth=2, label=f"Iris {species}")
    left.fill_between(lengths, low, high, color=color, alpha=0.15, linewidth=0)
left.set(xlabel=numbers[0], ylabel="petal length (cm)", ylim=(0, 8.5), title="One network, a curve for each species")
left.legend(loc="upper left")

for row, (name, score) in enumerate(scores.items()):
    color = "tab:blue" if name.startswith("TwoLayer") else "tab:gray"
    right.plot(score, np.full(len(score), row), "o", color=color, alpha=0.4)
    right.plot(score.mean(), row, "|", color=color, markersize=20, markeredgewidth=3)
right.set_yticks(range(len(scores)), scores)
right.invert_yaxis()
right.set(xlabel="R2 on held-out data", title="What the columns are worth")
plt.show()
