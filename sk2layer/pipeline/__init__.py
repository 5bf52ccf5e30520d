"""A table as it comes: numbers of all its columns, and networks of several kinds, weighted by what they predict."""

from ..solvers.documentation import of_module
from .classification import StackedClassifier
from .regression import StackedRegressor
from .table import TablePipeline, make_table_pipeline
from .target import TransformedTarget

__all__ = ["StackedClassifier", "StackedRegressor", "TablePipeline", "TransformedTarget", "make_table_pipeline"]

of_module(__name__, *(globals()[name] for name in __all__))
