"""
Predictions in a database
=========================

A network of two layers is a formula, so it can be evaluated where no library is. Here a database predicts for its own
rows, with standard deviations, from a query that ``to_code`` writes; no row leaves it.
"""

# %%
# The progress of diabetes after a year, from body mass index and blood pressure. Few hidden units are enough for a
# smooth surface, and keep the formula short.

import sqlite3

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_diabetes

from sk2layer import TwoLayerRegressor
from sk2layer.export import to_code

X, y = load_diabetes(return_X_y=True, as_frame=True, scaled=False)
X = X[["bmi", "bp"]]
model = TwoLayerRegressor(2, random_state=0).fit(X, y)
print(to_code(model, "sql", table="patients", digits=2))

# %%
# With standard deviations the query is longer: they are a quadratic form of the derivatives by all parameters. By
# default the numbers have all their digits, and the database says what ``predict`` does but for rounding.

query = to_code(model, "sql", return_std=True, table="patients", keep="id")
print(len(query.splitlines()), "lines of SQL")

base = sqlite3.connect(":memory:")
base.execute("CREATE TABLE patients (id INTEGER PRIMARY KEY, bmi REAL, bp REAL)")
base.executemany("INSERT INTO patients (bmi, bp) VALUES (?, ?)", X.to_numpy().tolist())
rows = np.array(base.execute(f"{query} ORDER BY id").fetchall())
mean, std = model.predict(X, return_std=True)
print(f"largest difference: {np.abs(rows[:, 1] - mean).max():.0e} of the mean, ", end="")
print(f"{np.abs(rows[:, 2] - std).max():.0e} of the standard deviation")

# %%
# So that it can be asked as any table: who is most likely to be far worse than the mean? The same formula in plain
# Python draws the surface.

base.execute(f"CREATE VIEW forecast AS {query}")
worst = base.execute("SELECT id, prediction, std FROM forecast ORDER BY prediction DESC LIMIT 3").fetchall()
for number, prediction, deviation in worst:
    print(f"patient {number}: {prediction:.0f} +- {deviation:.0f}")

space = {}
exec(to_code(model, "python"), space)
bmi, bp = (np.linspace(X[name].min(), X[name].max(), 60) for name in X)
surface = [[space["predict"](a, b) for a in bmi] for b in bp]

figure, ax = plt.subplots(layout="constrained")
colors = ax.contourf(bmi, bp, surface, 12, cmap="viridis", alpha=0.8)
ax.scatter(X["bmi"], X["bp"], s=5, c="black", alpha=0.4, label="patients")
chosen = X.iloc[[number - 1 for number, *_ in worst]]
ax.scatter(chosen["bmi"], chosen["bp"], s=50, facecolors="none", edgecolors="tab:red", label="largest predictions")
ax.set(xlabel="body mass index", ylabel="blood pressure", title="A formula from a network")
ax.legend(loc="lower right")
figure.colorbar(colors, label="predicted progression")
plt.show()
