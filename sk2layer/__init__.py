"""Two-layer neural networks as scikit-learn estimators."""

from importlib import import_module
from typing import TYPE_CHECKING

from .classifier import TwoLayerClassifier
from .cluster.input import Cluster
from .estimator.data import PLACES
from .regressor import TwoLayerRegressor
from .solvers.documentation import of_module
from .version import VERSION

PLACES.insert(0, Cluster())

ROOMS = [
    "callbacks",
    "displays",
    "export",
    "inspection",
    "model_selection",
    "onnx",
    "pipeline",
    "preprocessing",
    "solvers",
]
"""The public ones, imported when they are asked for; what is in the others may move."""

of_module(__name__, TwoLayerClassifier, TwoLayerRegressor)

__version__ = VERSION
__all__ = ["TwoLayerClassifier", "TwoLayerRegressor", "__version__", *ROOMS]

if not TYPE_CHECKING:  # a checker would take any name for one that is there

    def __getattr__(name):
        if name in ROOMS:
            return import_module(f"{__name__}.{name}")
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return __all__
