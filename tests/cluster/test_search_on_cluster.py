"""Do searches on a cluster find what the local search finds, to the last digit, and with one thread for each worker?"""

import os

import numpy as np
import pytest
from joblib import parallel_config
from sklearn.base import clone
from sklearn.datasets import load_breast_cancer, load_diabetes
from sklearn.experimental import enable_halving_search_cv  # noqa: F401
from sklearn.model_selection import GridSearchCV, HalvingGridSearchCV

from sk2layer import TwoLayerClassifier, TwoLayerRegressor
from sk2layer.model_selection import EvidenceSearch
from sk2layer.rows.threads import thread_budget

pytestmark = [
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning"),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
]

PROBLEMS = {
    "regression": (TwoLayerRegressor(solver="lbfgs", random_state=0), load_diabetes(return_X_y=True, scaled=False)),
    "classification": (TwoLayerClassifier(solver="lbfgs", random_state=0), load_breast_cancer(return_X_y=True)),
}
GRID = {"hidden_units": [2, 4], "alpha": [0.1, 1.0, 10.0]}


@pytest.fixture(scope="module")
def dask_client():
    distributed = pytest.importorskip("distributed", reason="needs dask and distributed")
    with (
        distributed.LocalCluster(n_workers=2, threads_per_worker=1, processes=True, dashboard_address=":0") as cluster,
        distributed.Client(cluster) as client,
    ):
        yield client


@pytest.fixture(scope="module")
def ray_backend():
    ray = pytest.importorskip("ray", reason="needs ray")
    from ray.util.joblib import register_ray

    ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False, configure_logging=False)
    register_ray()
    yield
    ray.shutdown()


def searches(model):
    return [
        GridSearchCV(clone(model).set_params(max_iter=5), GRID, cv=3),
        HalvingGridSearchCV(model, GRID, resource="max_iter", min_resources=5, max_resources=45, cv=3, random_state=0),
    ]


def assert_same_search(one, other):
    assert one.best_params_ == other.best_params_
    assert one.cv_results_.keys() == other.cv_results_.keys()
    for name, values in one.cv_results_.items():
        if "time" not in name and "params" not in name:
            np.testing.assert_array_equal(values, other.cv_results_[name], err_msg=name)
    for mine, its in zip(one.best_estimator_.coefs_, other.best_estimator_.coefs_, strict=True):
        np.testing.assert_array_equal(mine, its)


@pytest.mark.parametrize("number", [0, 1], ids=["grid", "halving"])
@pytest.mark.parametrize("problem", PROBLEMS)
def test_a_search_on_dask_is_the_local_search(dask_client, problem, number):
    model, (X, y) = PROBLEMS[problem]
    here = searches(model)[number].fit(X, y)
    with parallel_config(backend="dask"):
        there = searches(model)[number].fit(X, y)
    assert_same_search(there, here)


@pytest.mark.parametrize("problem", PROBLEMS)
def test_a_search_by_evidence_on_dask_is_the_local_search(dask_client, problem):
    model, (X, y) = PROBLEMS[problem]
    search = EvidenceSearch(clone(model).set_params(max_iter=5), {"hidden_units": [2, 4]}, average=True)
    here = clone(search).fit(X, y)
    with parallel_config(backend="dask"):
        there = clone(search).fit(X, y)
    for name in ("rank", "loo_log_density", "weight"):
        np.testing.assert_array_equal(there.results_[name], here.results_[name])
    np.testing.assert_array_equal(there.predict(X), here.predict(X))


def test_fits_of_a_search_on_dask_run_on_its_workers_with_one_thread_each(dask_client):
    class WhereFitted(TwoLayerRegressor):
        """Knows which process fitted it, and how many threads that allowed; made here, it is sent as a whole."""

        def fit(self, X, y):
            self.process_, self.threads_ = os.getpid(), thread_budget(self.n_jobs)
            return super().fit(X, y)

    X, y = PROBLEMS["regression"][1]
    scoring = {name: lambda model, X, y, name=name: getattr(model, name) for name in ("process_", "threads_")}
    model = WhereFitted(2, alpha=1.0, solver="lbfgs", max_iter=3)
    search = GridSearchCV(model, {"alpha": [1.0, 2.0]}, cv=3, scoring=scoring, refit=False)
    with parallel_config(backend="dask"):
        results = search.fit(X, y).cv_results_
    processes = {int(pid) for i in range(3) for pid in results[f"split{i}_test_process_"]}
    assert processes <= set(dask_client.run(os.getpid).values())
    assert set(results["mean_test_threads_"]) == {1.0}


def test_a_search_on_ray_is_the_local_search(ray_backend):
    model, (X, y) = PROBLEMS["classification"]
    search = GridSearchCV(clone(model).set_params(max_iter=5), {"alpha": [0.1, 1.0]}, cv=2)
    here = clone(search).fit(X, y)
    with parallel_config(backend="ray"):
        there = clone(search).set_params(n_jobs=2).fit(X, y)
    assert_same_search(there, here)


@pytest.mark.filterwarnings("ignore:.*optuna.terminator:FutureWarning")  # optuna-integration uses it
@pytest.mark.filterwarnings("ignore:.*experimental:Warning")
@pytest.mark.parametrize("problem", PROBLEMS)
def test_optuna_finds_the_same_again_and_hands_over_a_fitted_network(problem):
    integration = pytest.importorskip("optuna_integration", reason="needs optuna and optuna-integration")
    import optuna

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    model, (X, y) = PROBLEMS[problem]
    space = {
        "hidden_units": optuna.distributions.IntDistribution(1, 8),
        "alpha": optuna.distributions.FloatDistribution(1e-2, 1e2, log=True),
    }
    found = [
        integration.OptunaSearchCV(
            clone(model).set_params(max_iter=5),
            space,
            n_trials=5,
            cv=3,
            study=optuna.create_study(direction="maximize", sampler=optuna.samplers.TPESampler(seed=0)),
        ).fit(X, y)
        for _ in range(2)
    ]
    assert found[0].best_params_ == found[1].best_params_
    alone = clone(model).set_params(max_iter=5, **found[0].best_params_).fit(X, y)
    np.testing.assert_array_equal(found[0].predict(X), alone.predict(X))
