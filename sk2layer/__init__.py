"""Two-layer neural networks as scikit-learn estimators."""

from .classifier import TwoLayerClassifier
from .cluster.input import Cluster
from .estimator.data import PLACES
from .regressor import TwoLayerRegressor
from .version import VERSION

PLACES.insert(0, Cluster())

__version__ = VERSION
__all__ = ["TwoLayerClassifier", "TwoLayerRegressor", "__version__"]
