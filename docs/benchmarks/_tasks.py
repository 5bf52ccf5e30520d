"""Which problems the solvers are compared on: data sets, the network, where it starts, and the one objective.

Data sets come with scikit-learn or from its generators; those of `DATA_FILES` are read from the folder of `--data`:

    DIR/uci/<name>/data.txt                     numbers in rows
    DIR/uci/<name>/index_features.txt           the columns that are inputs
    DIR/uci/<name>/index_target.txt             the column of the target
    DIR/classification/<name>/<name>_R.dat      a header line, then row number, inputs, class
"""

from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
from scipy.special import expit, logsumexp
from sklearn import datasets
from sklearn.preprocessing import LabelBinarizer, StandardScaler

from sk2layer.model.activations import ACTIVATIONS
from sk2layer.model.network import Shape, initial_weights


class Weights(NamedTuple):
    """Weights (d, h) and (h, k), biases (h,) and (k,)."""

    W1: np.ndarray
    b1: np.ndarray
    W2: np.ndarray
    b2: np.ndarray

    @classmethod
    def of(cls, model):
        """Return the weights of a fitted estimator of ours or of scikit-learn."""
        (W1, W2), (b1, b2) = model.coefs_, model.intercepts_
        return cls(*(np.array(a) for a in (W1, b1, W2, b2)))


class Task(NamedTuple):
    """What is minimised, and where it starts; X and the targets of a regression are standardised."""

    name: str
    kind: str  # "regression", "binary" or "multiclass"
    X: np.ndarray
    y: np.ndarray  # for estimators: numbers or labels, shape (n,)
    Y: np.ndarray  # encoded: numbers, 0 and 1, or one-hot rows, shape (n, k)
    alpha: float
    start: Weights
    seed: int

    def objective(self, weights):
        """Return the mean loss plus alpha / (2 n) times the sum of the squared weights, without the biases."""
        W1, b1, W2, b2 = weights
        Z = expit(self.X @ W1 + b1) @ W2 + b2
        if self.kind == "regression":
            total = 0.5 * np.sum((Z - self.Y) ** 2)
        elif self.kind == "binary":
            total = np.sum(np.logaddexp(0.0, Z) - self.Y * Z)
        else:
            total = np.sum(logsumexp(Z, axis=1) - np.sum(self.Y * Z, axis=1))
        return float(total + 0.5 * self.alpha * (np.sum(W1**2) + np.sum(W2**2))) / len(self.X)


def draw_start(origin, shape, seed):
    """Return random initial weights as scikit-learn draws them for logistic units, or as sk2layer does."""
    rng = np.random.default_rng(seed)
    if origin == "sk2layer":
        theta = initial_weights(Shape(*shape), ACTIVATIONS["sigmoid"], rng)
        return Weights(*(a.copy() for a in Shape(*shape).unpack(theta)))
    d, h, k = shape
    bounds = np.sqrt(2.0 / (d + h)), np.sqrt(2.0 / (h + k))  # MLPRegressor._init_coef
    sizes = ((d, h), bounds[0]), ((h,), bounds[0]), ((h, k), bounds[1]), ((k,), bounds[1])
    return Weights(*(rng.uniform(-bound, bound, size) for size, bound in sizes))


def _friedman(n_samples):
    return datasets.make_friedman1(n_samples, n_features=10, noise=1.0, random_state=0)


def _generated_classes():
    return datasets.make_classification(2000, 20, n_informative=8, n_clusters_per_class=3, flip_y=0.05, random_state=0)


BUNDLED = {
    "regression": {
        "diabetes": lambda: datasets.load_diabetes(return_X_y=True),
        "friedman1-1000": lambda: _friedman(1000),
        "friedman1-5000": lambda: _friedman(5000),
        "friedman1-10000": lambda: _friedman(10000),
    },
    "classification": {
        "breast_cancer": lambda: datasets.load_breast_cancer(return_X_y=True),
        "iris": lambda: datasets.load_iris(return_X_y=True),
        "wine": lambda: datasets.load_wine(return_X_y=True),
        "digits": lambda: datasets.load_digits(return_X_y=True),
        "classification-2000": _generated_classes,
        "moons-2000": lambda: datasets.make_moons(2000, noise=0.25, random_state=0),
    },
}
DATA_FILES = {
    "regression": {name: f"uci/{name}" for name in ("yacht", "energy", "wine-quality-red")},
    "classification": {
        "pima": "classification/pima",
        "sonar": "classification/conn-bench-sonar-mines-rocks",
        "german": "classification/statlog-german-credit",
    },
}


def list_data_sets(folder):
    """Return the kind ("regression" or "classification") and the loader of each data set that is there, by name."""
    found = {}
    for kind, loaders in BUNDLED.items():
        found.update({name: (kind, loader) for name, loader in loaders.items()})
        for name, path in DATA_FILES[kind].items():
            if folder and Path(folder, path).is_dir():
                found[name] = kind, partial(read_table, Path(folder, path), kind)
    return found


def read_table(folder, kind):
    """Return X and y of a data set in a folder of its own."""
    if kind == "regression":
        table = np.loadtxt(folder / "data.txt")
        inputs, target = (np.loadtxt(folder / f"index_{part}.txt", dtype=int) for part in ("features", "target"))
        return table[:, inputs], table[:, int(target)]
    table = np.loadtxt(folder / f"{folder.name}_R.dat", skiprows=1)
    return table[:, 1:-1], table[:, -1].astype(int)


def make_task(name, kind, X, y, *, hidden, alpha, origin, seed):
    """Return the problem: X and the targets of a regression standardised, the start drawn."""
    X = StandardScaler().fit_transform(X)
    if kind == "regression":
        y = (y - y.mean()) / y.std()
        Y = y[:, np.newaxis]
    else:
        Y = LabelBinarizer().fit_transform(y).astype(np.float64)
        kind = "binary" if Y.shape[1] == 1 else "multiclass"
    start = draw_start(origin, (X.shape[1], hidden, Y.shape[1]), seed)
    return Task(name, kind, X, y, Y, alpha, start, seed)
