"""Do threads share the rows without changing the result, and is BLAS left as it was?"""

import threading
import time

import numpy as np
import pytest
from joblib import Parallel, cpu_count, delayed
from networks import objective_on, start_of
from sklearn.datasets import make_friedman1
from threadpoolctl import threadpool_info, threadpool_limits

from sk2layer import TwoLayerClassifier, TwoLayerRegressor
from sk2layer.model.losses import HalfSquaredError
from sk2layer.rows.sums import RANGE_OPERATIONS
from sk2layer.rows.threads import ThreadMap, one_blas_thread, thread_budget

X, y = make_friedman1(30_000, noise=1.0, random_state=0)


def blas_threads():
    return [library["num_threads"] for library in threadpool_info() if library["user_api"] == "blas"]


def make_objective(n_threads):
    network = {"h": 20, "activation": "sigmoid", "alpha": 1.0, "n_threads": n_threads}
    objective = objective_on(X, y[:, np.newaxis], HalfSquaredError(), weight=np.linspace(0.5, 1.5, len(X)), **network)
    assert len(X) * objective.shape.n_parameters > 3 * RANGE_OPERATIONS
    return objective, start_of(objective)


def test_every_view_of_the_objective_is_the_same_to_the_last_bit():
    (alone, theta), (shared, _) = make_objective(1), make_objective(3)
    for _ in range(3):
        assert shared.value(theta) == alone.value(theta) == alone.value_and_gradient(theta)[0]
        np.testing.assert_array_equal(shared.value_and_gradient(theta)[1], alone.value_and_gradient(theta)[1])
        for mine, its in zip(shared.curvature(theta), alone.curvature(theta), strict=True):
            np.testing.assert_array_equal(mine, its)


def test_the_ranges_are_all_rows():
    objective, theta = make_objective(2)
    weight = objective.sums.weight
    halves = [objective.value(theta, rows) for rows in (slice(0, 15_000), slice(15_000, 30_000))]
    penalty = 0.5 * objective.penalty @ theta**2 / weight.sum()
    np.testing.assert_allclose(np.mean(halves) - penalty, objective.value(theta) - penalty, rtol=1e-13)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("solver", ["gd", "sgd", "adam", "lbfgs", "lm"])
@pytest.mark.parametrize("Estimator", [TwoLayerRegressor, TwoLayerClassifier])
def test_a_fit_is_the_same_with_one_thread_and_with_two(Estimator, solver):
    target = y if Estimator is TwoLayerRegressor else y > 14
    one, two = (Estimator(solver=solver, max_iter=2, n_jobs=n_jobs, random_state=0).fit(X, target) for n_jobs in (1, 2))
    assert one.loss_curve_ == two.loss_curve_
    for mine, its in zip([*one.coefs_, *one.intercepts_], [*two.coefs_, *two.intercepts_], strict=True):
        np.testing.assert_array_equal(mine, its)


def test_the_budget_is_what_is_set_and_never_more_than_there_is():
    with threadpool_limits(1, user_api="blas"):
        assert thread_budget(None) == 1
        assert thread_budget(2) == min(2, cpu_count())
    with threadpool_limits(2, user_api="blas"):
        assert thread_budget(None) == min(2, cpu_count())
        assert thread_budget(None, n_processes=2) == 1
    assert thread_budget(10**6) == cpu_count()
    assert thread_budget(-1) == cpu_count()
    with one_blas_thread():
        assert thread_budget(None) == 1  # a fit within a fit takes no more


def test_processes_of_a_search_have_no_more_threads_than_their_share():
    budgets = Parallel(n_jobs=2)(delayed(thread_budget)(None) for _ in range(2))
    assert all(1 <= budget <= max(1, cpu_count() // 2) for budget in budgets)


def test_blas_has_its_threads_back_after_fits_that_overlap():
    with threadpool_limits(2, user_api="blas"):
        before, seen = blas_threads(), []
        first, second = one_blas_thread(), one_blas_thread()
        first.__enter__()
        second.__enter__()
        first.__exit__(None, None, None)
        seen.append(blas_threads())
        second.__exit__(None, None, None)
        assert seen == [[1] * len(before)]
        assert blas_threads() == before


def test_blas_has_its_threads_back_after_a_fit_that_fails():
    with threadpool_limits(2, user_api="blas"):
        before = blas_threads()
        with pytest.raises(ValueError, match="diverged"):
            TwoLayerRegressor(solver="gd", standardize=False, max_iter=1000, random_state=0).set_params(
                solver__learning_rate=1e3
            ).fit(X[:100], y[:100])
        assert blas_threads() == before


def test_the_map_keeps_the_order_and_runs_at_once():
    barrier = threading.Barrier(2, timeout=60)

    def meet(item):
        barrier.wait()
        return item

    assert ThreadMap(2)(meet, [1, 2, 3, 4]) == [1, 2, 3, 4]


def test_the_map_waits_for_all_before_it_fails():
    done = []

    def work(item):
        if item == 0:
            raise KeyboardInterrupt
        time.sleep(0.05)
        done.append(item)

    with pytest.raises(KeyboardInterrupt):
        ThreadMap(2)(work, [0, 1, 2])
    assert sorted(done) == [1, 2]


def test_fits_in_threads_of_the_caller_are_those_of_the_fits_alone():
    params = {"solver": "lm", "alpha": 1.0, "max_iter": 2, "tol": 1.0}
    models = [TwoLayerRegressor(**params, n_jobs=2, random_state=seed) for seed in range(3)]
    together = Parallel(n_jobs=3, prefer="threads")(delayed(model.fit)(X, y) for model in models)
    for model in together:
        alone = TwoLayerRegressor(**params, n_jobs=1, random_state=model.random_state)
        assert alone.fit(X, y).loss_curve_ == model.loss_curve_
