"""How a network becomes an estimator of scikit-learn, for tools that know only those."""

from typing import Any

import numpy as np

ACTIVATIONS = {"sigmoid": "logistic"}
"""What scikit-learn calls an activation, where its name is another."""


def to_mlp(MLP: Any, model: Any, y: Any, params: dict[str, Any] | None = None, **partial_fit_params: Any) -> Any:
    """Return a fitted MLP with the weights of a fitted estimator.

    One epoch over rows of zeros sets all that the release of scikit-learn expects of a fitted MLP; the weights and what
    is reported of the fit are then replaced. `y` is any targets of the kind that was fitted, and `params` are those of
    the MLP.
    """
    (W1, W2), (b1, b2) = model.coefs_, model.intercepts_
    activation = ACTIVATIONS.get(model._activation, model._activation)
    mlp = MLP(hidden_layer_sizes=(len(b1),), activation=activation, random_state=0, **(params or {}))
    mlp.partial_fit(np.zeros((len(y), len(W1)), W1.dtype), y, **partial_fit_params).set_params(random_state=None)
    vars(mlp).pop("_optimizer", None)  # remembers the gradients of that epoch
    mlp.coefs_, mlp.intercepts_ = [W1.copy(), W2.copy()], [b1.copy(), b2.copy()]
    mlp.loss_, mlp.loss_curve_, mlp.n_iter_, mlp.t_ = model.loss_, list(model.loss_curve_), model.n_iter_, 0
    mlp.best_loss_ = np.inf  # of training that goes on, the objective is another
    if hasattr(model, "feature_names_in_"):
        mlp.feature_names_in_ = model.feature_names_in_.copy()
    return mlp
