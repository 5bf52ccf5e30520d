"""Made tables, of few rows and many, few columns and many, on which a default fit must not be worse than a constant."""

from functools import partial

import numpy as np


def _targets(kind, signal, rng):
    """Return numbers with noise, or the classes 0 and 1, of which `kind` may say how rare 1 is."""
    if kind == "numbers":
        return signal + signal.std() * rng.normal(size=len(signal)) if signal.std() else rng.normal(size=len(signal))
    noisy = signal + (signal.std() or 1.0) * rng.logistic(size=len(signal))
    return (noisy > np.quantile(noisy, 1.0 - kind)).astype(int)


def _signal(Z, rng):
    """Return a smooth function of the columns, most of it linear."""
    w = rng.normal(size=Z.shape[1]) / np.sqrt(Z.shape[1])
    return Z @ w + 0.5 * np.sin(2.0 * Z[:, 0]) + 0.3 * Z[:, 0] * Z[:, -1]


def dense(kind, n, d, seed):
    """Return independent normal columns, of which a third matters."""
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, d))
    return X, _targets(kind, _signal(X[:, : max(1, d // 3)], rng), rng)


def collinear(kind, n, d, seed):
    """Return many columns made of five."""
    rng = np.random.default_rng(seed)
    Z = rng.normal(size=(n, 5))
    return Z @ rng.normal(size=(5, d)) + 0.01 * rng.normal(size=(n, d)), _targets(kind, _signal(Z, rng), rng)


def one_hot(kind, n, levels, seed):
    """Return three categories as columns of 0 and 1."""
    rng = np.random.default_rng(seed)
    codes = [rng.choice(levels, n, p=np.arange(levels, 0, -1) / np.sum(np.arange(levels + 1))) for _ in range(3)]
    X = np.hstack([np.eye(levels)[code] for code in codes])
    effects = [rng.normal(size=levels) for _ in codes]
    return X, _targets(kind, sum(effect[code] for effect, code in zip(effects, codes, strict=True)), rng)


def codes(kind, n, d, seed):
    """Return answers of a survey, 1 to 5 with 99 for none, of skewed frequencies."""
    rng = np.random.default_rng(seed)
    X = rng.choice([1.0, 2.0, 3.0, 4.0, 5.0, 99.0], (n, d), p=[0.3, 0.25, 0.2, 0.13, 0.1, 0.02])
    return X, _targets(kind, (np.minimum(X[:, : d // 2], 5.0) - 2.5).sum(axis=1) / np.sqrt(d), rng)


def skewed(kind, n, d, seed):
    """Return lognormal columns."""
    rng = np.random.default_rng(seed)
    Z = rng.normal(size=(n, d))
    return np.exp(1.5 * Z), _targets(kind, _signal(Z, rng), rng)


def noise(kind, n, d, seed):
    """Return targets that have nothing to do with X."""
    rng = np.random.default_rng(seed)
    return rng.normal(size=(n, d)), _targets(kind, np.zeros(n), rng)


TABLES = {
    f"{make.__name__} {n} x {d}, {kind if kind == 'numbers' else f'{kind:.0%} ones'}": partial(make, kind, n, d)
    for make, kind, n, d in [
        (dense, "numbers", 20, 1),
        (dense, "numbers", 40, 5),
        (dense, "numbers", 100, 20),
        (dense, "numbers", 300, 60),
        (dense, "numbers", 1000, 100),
        (dense, "numbers", 5000, 10),
        (dense, "numbers", 40000, 20),
        (dense, 0.5, 30, 3),
        (dense, 0.5, 200, 50),
        (dense, 0.5, 2000, 30),
        (dense, 0.064, 60000, 122),
        (dense, 0.02, 3000, 10),
        (collinear, "numbers", 80, 700),
        (collinear, "numbers", 500, 100),
        (collinear, 0.5, 80, 700),
        (collinear, 0.3, 1000, 60),
        (one_hot, "numbers", 300, 12),
        (one_hot, "numbers", 3000, 30),
        (one_hot, 0.4, 500, 15),
        (one_hot, 0.1, 4000, 25),
        (codes, "numbers", 400, 40),
        (codes, 0.3, 800, 60),
        (skewed, "numbers", 500, 8),
        (skewed, 0.4, 1500, 12),
        (noise, "numbers", 50, 5),
        (noise, "numbers", 500, 50),
        (noise, "numbers", 20000, 10),
        (noise, 0.5, 60, 10),
        (noise, 0.3, 1000, 100),
        (noise, 0.05, 10000, 20),
    ]
}
