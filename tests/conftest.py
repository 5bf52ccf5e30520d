"""What holds for all tests: one thread for BLAS, so that results do not depend on the machine's cores, and one seed."""

import numpy as np
import pytest
from threadpoolctl import threadpool_limits


@pytest.fixture(scope="session", autouse=True)
def one_blas_thread():
    with threadpool_limits(1):
        yield


@pytest.fixture(autouse=True)
def seeded():
    """Make random_state=None repeatable: a test that fails must fail again."""
    np.random.seed(0)  # noqa: NPY002 the global generator is what scikit-learn's random_state=None means
