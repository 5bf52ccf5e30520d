"""How many threads share the rows: a budget that leaves BLAS one thread each, and a map that keeps the order.

Products of small matrices are faster in one thread per block of rows than one after the other in many threads of BLAS.
So a fit takes the budget of BLAS for itself, and holds BLAS to one thread meanwhile. What is summed in which order does
not depend on the number of threads, and so neither does the result.
"""

import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import contextmanager
from functools import cache
from typing import Any

from joblib import cpu_count, effective_n_jobs
from threadpoolctl import ThreadpoolController

PASS_OPERATIONS = 2**22
"""Rows times parameters from which on threads share a single pass over the rows."""

_lock = threading.Lock()
_held: list[Any] = []  # the limit in force, once for each fit under way: only the first sets it, the last lifts it


@cache
def _controller() -> ThreadpoolController:
    return ThreadpoolController().select(user_api="blas")


def thread_budget(n_jobs: int | None, n_processes: int = 1) -> int:
    """Return how many threads each of `n_processes` may use, which share the budget.

    `n_jobs` is what joblib understands by it; None is what the caller leaves to BLAS.
    """
    if n_jobs is None:
        threads = max((library.num_threads for library in _controller().lib_controllers), default=1)
    else:
        threads = effective_n_jobs(n_jobs)
    return 1 if threads == 1 else max(1, min(threads, cpu_count()) // n_processes)


@contextmanager
def one_blas_thread() -> Iterator[None]:
    """Hold BLAS to one thread; fits in several threads may overlap."""
    with _lock:
        _held.append(_held[0] if _held else _controller().limit(limits=1))
    try:
        yield
    finally:
        with _lock:
            limit = _held.pop()
            if not _held:
                limit.restore_original_limits()


class ThreadMap:
    """`map` in threads, which are started when they are first needed and end with this object."""

    def __init__(self, n_threads: int) -> None:
        self.n_threads = n_threads
        self._pool: ThreadPoolExecutor | None = None

    def __call__(self, function: Callable[[Any], Any], items: Sequence[Any]) -> list[Any]:
        """Return function(item) of all items, in their order."""
        if self.n_threads == 1 or len(items) == 1:
            return [function(item) for item in items]
        if self._pool is None:
            self._pool = ThreadPoolExecutor(self.n_threads, thread_name_prefix="sk2layer")
        futures = [self._pool.submit(function, item) for item in items]
        try:
            return [future.result() for future in futures]
        finally:
            wait(futures)  # after an interrupt too: nobody may work on what the caller takes up again
