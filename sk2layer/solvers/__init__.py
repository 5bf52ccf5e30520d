"""How the objective is minimised: solvers as objects that own their hyperparameters.

Each can be passed as the `solver` of an estimator, or named there: "gd", "sgd", "adam", "lbfgs", "lm".
"""

from .base import Run, Solver
from .documentation import of_module
from .first_order import SGD, Adam, GradientDescent
from .lbfgs import LBFGS
from .levenberg_marquardt import LevenbergMarquardt

SOLVERS: dict[str, type[Solver]] = {
    "gd": GradientDescent,
    "sgd": SGD,
    "adam": Adam,
    "lbfgs": LBFGS,
    "lm": LevenbergMarquardt,
}

__all__ = ["LBFGS", "SGD", "Adam", "GradientDescent", "LevenbergMarquardt", "Run", "Solver"]

of_module(__name__, *(globals()[name] for name in __all__))
