"""How the objective is minimised: solvers as objects that own their hyperparameters.

Each can be passed as the `solver` of an estimator, or named there: "gd", "sgd", "adam", "lbfgs", "lm".
"""

from .base import Run, Solver
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

for _name in __all__:
    globals()[_name].__module__ = __name__  # where it is imported from: its own file may move
