"""How a fitted network is drawn: its losses, its error bars, its weights, and what its inputs do.

The displays follow scikit-learn's convention: `from_estimator` computes what is drawn and draws it, the object keeps
both, and `plot` draws it again, on Axes of the caller's if there are any. Matplotlib is imported when something is
drawn, and not before.
"""

from ..solvers.documentation import of_module
from .average_slopes import AverageSlopesDisplay
from .dependence import PartialDependenceBandDisplay
from .interval import PredictionIntervalDisplay
from .loss_curve import LossCurveDisplay
from .network import NetworkDisplay
from .relevance import RelevanceDisplay

__all__ = [
    "AverageSlopesDisplay",
    "LossCurveDisplay",
    "NetworkDisplay",
    "PartialDependenceBandDisplay",
    "PredictionIntervalDisplay",
    "RelevanceDisplay",
]

of_module(__name__, *(globals()[name] for name in __all__))
