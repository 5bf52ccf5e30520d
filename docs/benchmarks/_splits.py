"""Which rows are for training and which for testing: the splits of published results, or splits drawn here.

The folder of `--data` has, beside the data sets that `_tasks.py` describes, the rows of each split, numbered from 0:

    DIR/uci/<name>/index_train_<i>.txt, index_test_<i>.txt      of split i
    DIR/classification/<name>/conxuntos_kfold.dat               a line for training and a line for testing, by turns
"""

from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
from _tasks import DATA_FILES, read_table
from sklearn import datasets
from sklearn.model_selection import ShuffleSplit, StratifiedKFold

REGRESSION = {
    "diabetes": partial(datasets.load_diabetes, return_X_y=True, scaled=False),
    "friedman1": partial(datasets.make_friedman1, 500, noise=1.0, random_state=0),
    "friedman2": partial(datasets.make_friedman2, 500, noise=125.0, random_state=0),
    "friedman3": partial(datasets.make_friedman3, 500, noise=0.1, random_state=0),
}
CLASSIFICATION = {
    "breast_cancer": partial(datasets.load_breast_cancer, return_X_y=True),
    "iris": partial(datasets.load_iris, return_X_y=True),
    "wine": partial(datasets.load_wine, return_X_y=True),
}


class DataSet(NamedTuple):
    """Data, and for each split the numbers of its training rows and of its test rows."""

    name: str
    X: np.ndarray
    y: np.ndarray
    splits: list

    def __str__(self):
        n_samples, n_features = self.X.shape
        return f"{self.name}: {n_samples} rows, {n_features} inputs, {len(self.splits)} splits"

    def parts(self):
        """Return the number of each split with X and y of its training part and of its test part."""
        for number, (train, test) in enumerate(self.splits):
            yield number, self.X[train], self.y[train], self.X[test], self.y[test]


def regression_sets(folder, bundled, n_splits):
    """Return the data sets below `folder`/uci with their first splits, then the bundled ones with random splits."""
    found = [_uci_set(path.parent, n_splits) for path in sorted(Path(folder).glob("uci/*/data.txt"))] if folder else []
    for name in bundled:
        X, y = REGRESSION[name]()
        splitter = ShuffleSplit(n_splits, test_size=0.1, random_state=0)
        found.append(DataSet(name, X, y, list(splitter.split(X))))
    return found


def _uci_set(folder, n_splits):
    present = sorted(folder.glob("index_train_*.txt"), key=lambda path: int(path.stem.rpartition("_")[2]))
    splits = [
        tuple(np.loadtxt(path.with_name(path.name.replace("train", part)), dtype=int) for part in ("train", "test"))
        for path in present[:n_splits]
    ]
    return DataSet(folder.name, *read_table(folder, "regression"), splits)


def classification_sets(folder):
    """Return the data sets below `folder`/classification with their four splits, then bundled ones with four folds."""
    names = {Path(path).name: name for name, path in DATA_FILES["classification"].items()}
    found = []
    for path in sorted(Path(folder).glob("classification/*/conxuntos_kfold.dat")) if folder else []:
        lines = path.read_text(encoding="utf-8").splitlines()
        rows = [np.array(line.split(), dtype=int) for line in lines if line.strip()]
        splits = list(zip(rows[::2], rows[1::2], strict=True))
        name = names.get(path.parent.name, path.parent.name)
        found.append(DataSet(name, *read_table(path.parent, "classification"), splits))
    for name, load in CLASSIFICATION.items():
        X, y = load()
        splitter = StratifiedKFold(4, shuffle=True, random_state=0)
        found.append(DataSet(name, X, y, list(splitter.split(X, y))))
    return found


def selected(data_sets, names):
    """Return the data sets of these names, or all if there are no names."""
    unknown = set(names or ()) - {data.name for data in data_sets}
    if unknown:
        raise SystemExit(f"No such data set: {', '.join(sorted(unknown))}.")
    return [data for data in data_sets if not names or data.name in names]
