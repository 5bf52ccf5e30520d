"""Two-layer neural networks as scikit-learn estimators."""

from .classifier import TwoLayerClassifier
from .regressor import TwoLayerRegressor

__version__ = "0.1.0"
__all__ = ["TwoLayerClassifier", "TwoLayerRegressor", "__version__"]
