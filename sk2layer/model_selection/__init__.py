"""Which of several models is the best one: searches that need no validation data."""

from .search import EvidenceSearch

__all__ = ["EvidenceSearch"]
