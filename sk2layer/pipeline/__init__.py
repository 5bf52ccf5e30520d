"""A table as it comes: numbers of all its columns, and networks of several kinds, weighted by what they predict."""

from .classification import StackedClassifier
from .regression import StackedRegressor
from .table import TablePipeline, make_table_pipeline
from .target import TransformedTarget

__all__ = ["StackedClassifier", "StackedRegressor", "TablePipeline", "TransformedTarget", "make_table_pipeline"]

for _name in __all__:
    globals()[_name].__module__ = __name__  # where it is imported from: its own file may move
