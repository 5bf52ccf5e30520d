"""Where in a model the network is, and what rows become on their way there.

A model is one of our estimators, or a Pipeline that ends in a model. What a Pipeline does not pass on, such as
`predict_interval`, is asked of the network itself.
"""

from typing import Any


def network_of(model: Any) -> Any:
    """Return the estimator that the model ends in."""
    while hasattr(model, "steps"):
        model = model.steps[-1][1]
    return model


def rows_for_network(model: Any, X: Any) -> Any:
    """Return what the steps of a fitted model before its network make of X."""
    while hasattr(model, "steps"):
        X = model[:-1].transform(X) if len(model.steps) > 1 else X
        model = model.steps[-1][1]
    return X


def ask(model: Any, method: str, X: Any, **params: Any) -> Any:
    """Return what a method of the network says of rows as the model takes them."""
    return getattr(network_of(model), method)(rows_for_network(model, X), **params)
