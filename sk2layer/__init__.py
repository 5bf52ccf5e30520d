"""Two-layer neural networks as scikit-learn estimators."""

from .classifier import TwoLayerClassifier
from .regressor import TwoLayerRegressor
from .version import VERSION

__version__ = VERSION
__all__ = ["TwoLayerClassifier", "TwoLayerRegressor", "__version__"]
