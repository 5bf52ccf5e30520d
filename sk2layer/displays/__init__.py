"""How a fitted network is drawn: its losses, its error bars, its weights, and what its inputs do.

The displays follow scikit-learn's convention: `from_estimator` computes what is drawn and draws it, the object keeps
both, and `plot` draws it again, on Axes of the caller's if there are any. Matplotlib is imported when something is
drawn, and not before.
"""

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

for _name in __all__:
    globals()[_name].__module__ = __name__  # where it is imported from: its own file may move
