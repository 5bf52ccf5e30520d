"""Which models of scikit-learn the predictions are compared with, how a fit is timed, and how splits are summed up."""

import time

import numpy as np
from sklearn.compose import TransformedTargetRegressor
from sklearn.model_selection import GridSearchCV
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

PENALTIES = (0.001, 0.03, 1.0, 30.0)  # on the scale of the sum of losses, for standardised data
SIZES = (20, 50)
ACTIVATIONS = ("tanh", "relu")


def scaled(model):
    """Return the model on standardised X."""
    return make_pipeline(StandardScaler(), model)


def regressor_search(penalties, seed, sizes=SIZES):
    """Return a search for the penalty, the size and the activation of an `MLPRegressor` on standardised X and y."""
    network = MLPRegressor(solver="lbfgs", random_state=seed)
    model = TransformedTargetRegressor(scaled(network), transformer=StandardScaler())
    grid = {
        "regressor__mlpregressor__alpha": penalties,
        "regressor__mlpregressor__hidden_layer_sizes": [(size,) for size in sizes],
        "regressor__mlpregressor__activation": ACTIVATIONS,
    }
    return GridSearchCV(model, grid, scoring="neg_mean_squared_error", cv=5)


def classifier_search(penalties, seed, size):
    """Return a search for the penalty of an `MLPClassifier` on standardised X."""
    network = MLPClassifier((size,), activation="logistic", solver="lbfgs", random_state=seed)
    return GridSearchCV(scaled(network), {"mlpclassifier__alpha": penalties}, scoring="neg_log_loss", cv=5)


def timed_fit(model, X, y, clock=time.perf_counter):
    """Fit the model, and return the seconds it took."""
    began = clock()
    model.fit(X, y)
    return clock() - began


def mean_and_error(values, digits=3):
    """Return the mean of values over splits and its standard error, as text; "-" where there are none."""
    if values[0] is None:
        return "-"
    mean = f"{np.mean(values):.{digits}f}"
    if len(values) == 1:
        return mean
    return f"{mean} ± {np.std(values, ddof=1) / np.sqrt(len(values)):.{digits}f}"
