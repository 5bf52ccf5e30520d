"""Which of many cases are tried always, and which only where all is: those that are marked `slow`."""

import pytest


def mostly_slow(cases, n_always=1):
    """Return the cases, all but the first marked as slow."""
    always, *rest = cases[:n_always], *cases[n_always:]
    return [*always, *(pytest.param(*as_tuple(case), marks=pytest.mark.slow) for case in rest)]


def as_tuple(case):
    return case if isinstance(case, tuple) else (case,)


def seeds(n):
    """Return the mark of a test of n seeds, of which the first is tried always."""
    return pytest.mark.parametrize("seed", mostly_slow(range(n)))
