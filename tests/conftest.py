"""What holds for all tests: one thread for BLAS, so that results do not depend on the machine's cores, and one seed.

With the option --with-callbacks, a callback watches every fit of every test, which must change none of them. With
--hypothesis-profile=long, input that is made up is made up anew, a hundred times as often.
"""

import hypothesis
import numpy as np
import pytest
from threadpoolctl import threadpool_limits

from sk2layer.estimator.fitted import FittedTwoLayer

hypothesis.settings.register_profile("short", max_examples=50, derandomize=True, deadline=None, database=None)
hypothesis.settings.register_profile("long", max_examples=5000, deadline=None, database=None, print_blob=True)
hypothesis.settings.load_profile("short")


class Watcher:
    """A callback that asks for everything, and does nothing."""

    def setup(self, estimator, context):
        pass

    teardown = setup

    def on_fit_task_begin(self, estimator, context, *, X=None, y=None, metadata=None, fitted_estimator=None):
        pass

    on_fit_task_end = on_fit_task_begin


def pytest_addoption(parser):
    parser.addoption("--with-callbacks", action="store_true", help="let a callback of scikit-learn's watch every fit")


@pytest.fixture(scope="session", autouse=True)
def watcher(request):
    if request.config.getoption("--with-callbacks"):
        if not hasattr(FittedTwoLayer, "set_callbacks"):
            raise pytest.UsageError("--with-callbacks needs scikit-learn 1.9 or newer")
        FittedTwoLayer._skl_callbacks = [Watcher()]  # found wherever a fit has none of its own


@pytest.fixture(scope="session", autouse=True)
def one_blas_thread():
    with threadpool_limits(1):
        yield


@pytest.fixture(autouse=True)
def seeded():
    """Make random_state=None repeatable: a test that fails must fail again."""
    np.random.seed(0)  # noqa: NPY002 the global generator is what scikit-learn's random_state=None means
