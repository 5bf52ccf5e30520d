"""Two-layer neural networks as scikit-learn estimators."""

from .classifier import TwoLayerClassifier
from .regressor import TwoLayerRegressor
from .version import VERSION as __version__

__all__ = ["TwoLayerClassifier", "TwoLayerRegressor", "__version__"]
