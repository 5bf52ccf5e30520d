"""Which of several models is the best one: searches that need no validation data."""

from .search import EvidenceSearch

__all__ = ["EvidenceSearch"]

for _name in __all__:
    globals()[_name].__module__ = __name__  # where it is imported from: its own file may move
