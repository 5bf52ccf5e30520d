"""Is a fit on a cluster the local fit, also when workers die, blocks are bad or the client is stopped?"""

import os
import signal
import threading
import time
from contextlib import contextmanager

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.datasets import make_friedman1
from slow import mostly_slow

from sk2layer import TwoLayerClassifier, TwoLayerRegressor
from sk2layer.cluster.partitions import FAN_IN

pytest.importorskip("distributed", reason="the tests on a cluster need dask and distributed")

import dask
import dask.array as da
import dask.dataframe as dd
from dask.distributed import Client, LocalCluster, wait

pytestmark = [
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning"),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),  # of the processes that the tests kill
]

X, y = make_friedman1(5400, noise=1.0, random_state=0)
classes = np.digitize(y, [10.0, 16.0])
weight = np.random.default_rng(0).uniform(0.0, 2.0, len(X)).round(1)
CHUNK = 1800


@pytest.fixture(scope="module")
def client():
    with (
        dask.config.set({"distributed.scheduler.allowed-failures": 50}),
        LocalCluster(n_workers=2, threads_per_worker=1, processes=True, dashboard_address=":0") as cluster,
        Client(cluster) as client,
    ):
        yield client


def chunked(array, rows=CHUNK):
    return da.from_array(array, chunks=(rows, *array.shape[1:]))


def fit_both(model, target, sample_weight=None):
    there = None if sample_weight is None else chunked(sample_weight)
    here = clone(model).fit(X, target, sample_weight)
    return here, clone(model).fit(chunked(X), chunked(target), there)


def assert_same_fit(one, other):
    assert one.loss_curve_ == other.loss_curve_
    for mine, its in zip([*one.coefs_, *one.intercepts_], [*other.coefs_, *other.intercepts_], strict=True):
        np.testing.assert_array_equal(mine, its)


# ------------------------------------------------------------------ the local fit


@pytest.mark.parametrize("weighted", mostly_slow([True, False]))
@pytest.mark.parametrize(
    ("Estimator", "target"),
    [(TwoLayerRegressor, y), (TwoLayerClassifier, y > 14.0), (TwoLayerClassifier, classes)],
    ids=["regression", "two classes", "three classes"],
)
@pytest.mark.parametrize(("solver", "max_iter"), [("gd", 3), ("lbfgs", 12), ("lm", 6)])
def test_every_iteration_is_that_of_the_local_fit(client, Estimator, target, solver, max_iter, weighted):
    model = Estimator(5, solver=solver, alpha=0.1, max_iter=max_iter, tol=0.0, random_state=2)
    here, there = fit_both(model, target, weight if weighted else None)
    assert len(here.loss_curve_) == max_iter
    np.testing.assert_allclose(there.loss_curve_, here.loss_curve_, rtol=1e-10)
    np.testing.assert_allclose(there.predict(X[:100]), here.predict(X[:100]), rtol=1e-6)


@pytest.mark.parametrize("loss", ["poisson", "gamma"])
@pytest.mark.parametrize("alpha", [0.1, "auto"])
def test_every_loss_is_that_of_the_local_fit(client, loss, alpha):
    """Also where it begins, at the mean of all targets, and what it predicts."""
    model = TwoLayerRegressor(2, loss=loss, alpha=alpha, solver="lm", max_iter=3, tol=0.0, random_state=0)
    here, there = fit_both(model, np.round(np.abs(y)) + (loss == "gamma"), weight)
    np.testing.assert_allclose(there.loss_curve_, here.loss_curve_, rtol=1e-8)
    if alpha == "auto":
        lazy = there.predict_interval(chunked(X[:100], 50))
        np.testing.assert_allclose(lazy.compute(), here.predict_interval(X[:100]), rtol=1e-4, atol=1.0)


def test_known_errors_are_for_rows_in_memory():
    with pytest.raises(ValueError, match="y_std needs X and y in memory"):
        TwoLayerRegressor(2).fit(chunked(X), chunked(y), y_std=np.ones(len(y)))


def test_totals_of_totals_are_those_of_the_local_fit(client):
    model = TwoLayerRegressor(3, solver="lm", alpha=0.1, max_iter=3, tol=0.0, random_state=0)
    rows, target = chunked(X, 300), chunked(y, 300)
    assert rows.numblocks[0] > 2 * FAN_IN
    here, there = clone(model).fit(X, y), clone(model).fit(rows, target)
    np.testing.assert_allclose(there.loss_curve_, here.loss_curve_, rtol=1e-10)


def test_the_evidence_is_that_of_the_local_fit(client):
    part = slice(0, 400)
    model = TwoLayerRegressor(2, alpha="ard", max_iter=3, tol=0.0, random_state=0)
    here = clone(model).fit(X[part], y[part])
    there = clone(model).fit(chunked(X[part], 200), chunked(y[part], 200))
    np.testing.assert_allclose(there.loss_curve_, here.loss_curve_, rtol=1e-8)
    mean, std = there.predict(chunked(X[part], 200), return_std=True)
    assert isinstance(mean, da.Array)
    assert isinstance(std, da.Array)
    np.testing.assert_array_equal(np.stack(dask.compute(mean, std)), there.predict(X[part], return_std=True))
    slopes = dask.compute(*there.predict_gradient(chunked(X[part], 200), return_std=True))
    np.testing.assert_allclose(slopes, there.predict_gradient(X[part], return_std=True), rtol=1e-12)


@pytest.mark.parametrize("class_weight", [None, "balanced"], ids=str)
def test_small_weights_and_those_of_classes_are_scaled_as_here(client, class_weight):
    model = TwoLayerClassifier(2, alpha="evidence", class_weight=class_weight, max_iter=1, tol=0.0, random_state=0)
    here, there = fit_both(model, y > 20.0, 1e-3 * weight)
    np.testing.assert_allclose(there.loss_curve_, here.loss_curve_, rtol=1e-8)


def test_many_classes_in_one_block_are_no_surprise(client):
    letters = np.array(list("abcdefghijklmnopqrstuvwxyz"))[np.arange(260) % 26]
    model = TwoLayerClassifier(2, solver="lbfgs", alpha=1.0, max_iter=2, random_state=0)
    assert len(model.fit(chunked(X[:260]), chunked(letters)).classes_) == 26


def test_weights_that_are_no_counts_warn(client):
    model = TwoLayerRegressor(2, alpha="evidence", max_iter=1, random_state=0)
    with pytest.warns(UserWarning, match="5400 rows count as 1.*e.04 observations"):
        model.fit(chunked(X), chunked(y), chunked(weight + 2.25))


@pytest.mark.parametrize("class_weight", ["balanced", {0: 2.0, 2: 0.5}], ids=str)
def test_validation_data_are_weighted_by_class_as_in_the_local_fit(client, class_weight):
    model = TwoLayerClassifier(3, solver="lbfgs", alpha=0.1, class_weight=class_weight, max_iter=5, random_state=0)
    validation = {"X_val": X[:500], "y_val": classes[:500]}
    here = clone(model).fit(X, classes, **validation)
    there = clone(model).fit(chunked(X), chunked(classes), **validation)
    np.testing.assert_allclose(there.validation_loss_curve_, here.validation_loss_curve_, rtol=1e-10)


@pytest.mark.parametrize("class_weight", ["balanced", {0: 2.0, 2: 0.0}], ids=str)
def test_classes_are_weighted_as_in_the_local_fit(client, class_weight):
    model = TwoLayerClassifier(3, solver="lbfgs", alpha=0.1, class_weight=class_weight, max_iter=5, random_state=0)
    here, there = fit_both(model, classes, weight)
    np.testing.assert_allclose(there.loss_curve_, here.loss_curve_, rtol=1e-12)


def test_restarts_are_those_of_the_local_fit(client):
    model = TwoLayerRegressor(3, solver="lbfgs", alpha=0.1, n_init=3, max_iter=5, random_state=0)
    here, there = fit_both(model, y)
    np.testing.assert_allclose(there.loss_curve_, here.loss_curve_, rtol=1e-12)


def test_labels_may_be_strings_that_not_every_block_has(client):
    names = np.array(["low", "middle", "high"])[np.sort(classes)]
    model = TwoLayerClassifier(3, solver="lbfgs", alpha=0.1, max_iter=5, random_state=0)
    here, there = fit_both(model, names)
    np.testing.assert_array_equal(there.classes_, here.classes_)
    np.testing.assert_allclose(there.loss_curve_, here.loss_curve_, rtol=1e-12)
    assert there.predict(chunked(X)).compute().tolist() == there.predict(X).tolist()


def test_float32_stays_so(client):
    model = TwoLayerRegressor(3, solver="lbfgs", alpha=0.1, max_iter=5, random_state=0)
    model.fit(chunked(X.astype(np.float32)), chunked(y.astype(np.float32)))
    assert {array.dtype for array in [*model.coefs_, *model.intercepts_]} == {np.dtype(np.float32)}
    assert model.predict(chunked(X.astype(np.float32))).dtype == np.float32


def test_blocks_need_not_be_alike_nor_cut_as_those_of_the_targets(client):
    model = TwoLayerRegressor(3, solver="lbfgs", alpha=0.1, max_iter=5, random_state=0)
    here = clone(model).fit(X, y)
    there = clone(model).fit(da.from_array(X, chunks=((5000, 399, 1), (4, 6))), chunked(y, 2000))
    np.testing.assert_allclose(there.loss_curve_, here.loss_curve_, rtol=1e-12)


def test_data_frames_bring_the_names_of_their_columns(client):
    pd = pytest.importorskip("pandas", reason="Dask DataFrames need pandas")
    frame = pd.DataFrame(X, columns=[f"x{i}" for i in range(10)])
    here = TwoLayerRegressor(3, solver="lbfgs", alpha=0.1, max_iter=5, random_state=0).fit(frame, y)
    rows, target = dd.from_pandas(frame, npartitions=3), dd.from_pandas(pd.Series(y), npartitions=3)
    there = clone(here).fit(rows, target)
    np.testing.assert_allclose(there.loss_curve_, here.loss_curve_, rtol=1e-12)
    assert there.feature_names_in_.tolist() == frame.columns.tolist()
    np.testing.assert_array_equal(there.predict(rows).compute(), there.predict(frame))
    with pytest.raises(ValueError, match="feature names"):
        there.predict(rows.rename(columns={"x0": "other"}))


def test_without_a_cluster_threads_of_dask_do_the_same():
    model = TwoLayerRegressor(3, solver="lm", alpha=0.1, max_iter=3, tol=0.0, random_state=0)
    here = clone(model).fit(X, y)
    with dask.config.set(scheduler="threads"):
        there = clone(model).fit(chunked(X), chunked(y))
    np.testing.assert_allclose(there.loss_curve_, here.loss_curve_, rtol=1e-10)


# ------------------------------------------------------------------ where the blocks are

SIXTEENTH = 338
short = TwoLayerRegressor(3, solver="lm", alpha=0.1, max_iter=4, tol=0.0, random_state=0)


@pytest.fixture
def after_each_iteration(monkeypatch):
    """Return what has a function called after each iteration of a fit, with the number of iterations so far."""
    from sk2layer.estimator.monitor import Monitor

    note = Monitor.__call__

    def install(function):
        def note_and_call(monitor, iteration):
            note(monitor, iteration)
            function(len(monitor.loss_curve))

        monkeypatch.setattr(Monitor, "__call__", note_and_call)

    return install


def blocks_of_each_worker(client):
    """Return the keys of the blocks that each worker has."""
    return {
        worker: {key for key in keys if str(key).startswith("check_block")}
        for worker, keys in client.has_what().items()
    }


def moved(client):
    """Return what workers have taken from each other: the functions that made it, each with its bytes."""
    logs = client.run(lambda dask_worker: [dict(transfer["keys"]) for transfer in dask_worker.transfer_incoming_log])
    return [(dask.utils.key_split(key), n) for log in logs.values() for keys in log for key, n in keys.items()]


def forget_moves(client):
    client.run(lambda dask_worker: dask_worker.transfer_incoming_log.clear())


def test_every_worker_has_as_many_blocks_and_keeps_them(client, after_each_iteration):
    seen = []
    after_each_iteration(lambda _: seen.append(blocks_of_each_worker(client)))
    clone(short).fit(chunked(X, SIXTEENTH), chunked(y, SIXTEENTH))
    assert len(seen) == 4
    assert all(blocks == seen[0] for blocks in seen)
    assert [len(keys) for keys in seen[0].values()] == [8, 8]


def test_only_merged_totals_and_weights_are_moved(client):
    forget_moves(client)
    clone(short).fit(chunked(X, SIXTEENTH), chunked(y, SIXTEENTH))
    names = [name for name, _ in moved(client)]
    assert set(names) == {"Checks", "Summand", "merge_sums"}
    assert names.count("merge_sums") == names.count("Summand")  # in each pass, one worker tells the other


def test_totals_have_the_size_that_dask_believes(client):
    forget_moves(client)
    clone(short).fit(chunked(X, SIXTEENTH), chunked(y, SIXTEENTH))
    n_parameters = 11 * 3 + 4
    assert max(n for name, n in moved(client) if name == "merge_sums") > 8 * n_parameters**2 / 3


def test_blocks_that_workers_have_already_stay_there(client):
    workers = sorted(client.nthreads())
    turns = {"workers": lambda key: workers[key[1] % 2 if isinstance(key, tuple) else 0], "allow_other_workers": True}
    with dask.annotate(**turns):
        rows, target = dask.persist(chunked(X, SIXTEENTH), chunked(y, SIXTEENTH))
    wait([rows, target])
    forget_moves(client)
    clone(short).fit(rows, target)
    assert {name for name, _ in moved(client)} == {"Checks", "Summand", "merge_sums", "sum_block"}


@pytest.mark.slow
def test_a_worker_that_comes_back_takes_its_share_again(client, after_each_iteration):
    rows, target = chunked(X, SIXTEENTH), chunked(y, SIXTEENTH)
    undisturbed, seen = clone(short).fit(rows, target), []

    def kill_and_look(n_iter):
        if n_iter == 1:
            victim = processes(client)[0]
            os.kill(victim, signal.SIGKILL)
            processes(client, without=victim)
        seen.append(blocks_of_each_worker(client))

    after_each_iteration(kill_and_look)
    assert_same_fit(clone(short).fit(rows, target), undisturbed)
    assert min(len(keys) for keys in seen[-1].values()) >= 8
    assert len(seen[-1]) == 2


# ------------------------------------------------------------------ predictions


def test_predictions_are_lazy(client):
    model = TwoLayerClassifier(3, solver="lbfgs", alpha=0.1, max_iter=5, random_state=0).fit(X, classes)
    rows = chunked(X)

    def fail(block):
        raise AssertionError("computed")

    for method in ("predict", "predict_proba", "predict_log_proba", "decision_function"):
        lazy, now = getattr(model, method)(rows), getattr(model, method)(X)
        getattr(model, method)(rows.map_blocks(fail, dtype=float, meta=np.empty((0, 0))))  # no block is asked for
        assert (lazy.shape, lazy.dtype, lazy.chunks[0]) == (now.shape, now.dtype, rows.chunks[0])
        np.testing.assert_array_equal(lazy.compute(), now)


def test_intervals_are_lazy_too(client):
    model = TwoLayerRegressor(2, alpha="evidence", max_iter=3, random_state=0).fit(X[:200], y[:200])
    lazy = model.predict_interval(chunked(X[:500], 200), 0.5)
    assert lazy.shape == (500, 2)
    np.testing.assert_array_equal(lazy.compute(), model.predict_interval(X[:500], 0.5))


# ------------------------------------------------------------------ faults


def test_the_workers_keep_nothing_once_a_fit_has_ended(client):
    TwoLayerRegressor(3, solver="lm", alpha=0.1, max_iter=2, random_state=0).fit(chunked(X), chunked(y))
    deadline = time.monotonic() + 30.0
    while client.who_has() and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not client.who_has()


def processes(client, without=None):
    """Return the processes of both workers, once these are there, and that one is not."""
    deadline = time.monotonic() + 60.0
    while time.monotonic() < deadline:
        client.cluster.scale(2)  # Dask gives up a worker that is killed while it starts
        found = set(client.run(os.getpid, on_error="ignore").values())
        ready = all(nanny.status.name == "running" for nanny in client.cluster.workers.values())
        if len(found) == 2 and without not in found and ready:
            return sorted(found)
        time.sleep(0.05)
    raise AssertionError("the workers have not come back")


@contextmanager
def kept_at_two_workers(client):
    """Start workers that Dask has given up anew, also while a fit waits for them."""
    ended = threading.Event()

    def keep():
        while not ended.wait(0.5):
            client.cluster.scale(2)

    keeper = threading.Thread(target=keep)
    keeper.start()
    try:
        yield
    finally:
        ended.set()
        keeper.join()


@pytest.mark.slow
def test_ten_runs_with_a_worker_killed_are_ten_times_the_same(client):
    model = TwoLayerRegressor(5, solver="lm", alpha=0.1, max_iter=6, tol=0.0, random_state=0)
    rows, target = chunked(X), chunked(y)
    start = time.perf_counter()
    undisturbed = clone(model).fit(rows, target)
    duration, rng, victim = time.perf_counter() - start, np.random.default_rng(), None
    for _ in range(10):
        victim = rng.choice(processes(client, without=victim))
        timer = threading.Timer(rng.uniform(0.0, 0.8 * duration), os.kill, (victim, signal.SIGKILL))
        timer.start()
        with kept_at_two_workers(client):
            assert_same_fit(clone(model).fit(rows, target), undisturbed)
        timer.join()
    processes(client, without=victim)


@pytest.mark.parametrize("value", [np.nan, np.inf])
@pytest.mark.parametrize("which", ["X", "y"])
def test_a_block_that_is_not_finite_is_named(client, which, value):
    bad = {"X": X.copy(), "y": y.copy()}
    bad[which][2 * CHUNK + 3] = value
    with pytest.raises(ValueError, match=r"^Block 2 \(counted from 0\): .*(NaN|infinity)"):
        TwoLayerRegressor(3, alpha=0.1).fit(chunked(bad["X"]), chunked(bad["y"]))


def test_a_block_with_another_number_of_columns_is_named(client):
    narrow = chunked(X).map_blocks(lambda block, block_id: block[:, : 9 if block_id[0] == 2 else 10], dtype=float)
    with pytest.raises(ValueError, match=r"^Block 2 \(counted from 0\): X has 9 features"):
        TwoLayerRegressor(3, alpha=0.1).fit(narrow, chunked(y))


def test_a_block_with_a_negative_weight_is_named(client):
    negative = weight.copy()
    negative[CHUNK] = -1.0
    with pytest.raises(ValueError, match=r"^Block 1 \(counted from 0\): sample_weight must not be negative"):
        TwoLayerRegressor(3, alpha=0.1).fit(chunked(X), chunked(y), chunked(negative))


def test_blocks_without_weight_are_as_good_as_absent(client):
    some = weight.copy()
    some[:CHUNK] = 0.0
    model = TwoLayerRegressor(3, solver="lbfgs", alpha=0.1, max_iter=5, random_state=0)
    here, there = fit_both(model, y, some)
    np.testing.assert_allclose(there.loss_curve_, here.loss_curve_, rtol=1e-12)
    with pytest.raises(ValueError, match="sample_weight must not be zero"):
        model.fit(chunked(X), chunked(y), chunked(0.0 * weight))


def with_gap(array):
    """Blocks of which one in the middle, and the last, have no rows."""
    return da.from_array(array, chunks=((CHUNK, 0, 2 * CHUNK, 0), *((n,) for n in array.shape[1:])))


@pytest.mark.parametrize("standardize", [False, True])
@pytest.mark.parametrize(
    ("Estimator", "target"),
    [
        (TwoLayerRegressor, y),
        (TwoLayerRegressor, np.column_stack([y, X[:, 0]])),
        (TwoLayerClassifier, np.where(y > 14.0, "much", "little")),
        (TwoLayerClassifier, classes),
        (TwoLayerClassifier, np.column_stack([y > 14.0, X[:, 0] > 0.5]).astype(int)),
    ],
    ids=["regression", "two outputs", "two classes", "three classes", "two labels"],
)
def test_blocks_without_rows_are_as_good_as_absent(client, Estimator, target, standardize):
    model = Estimator(3, solver="lbfgs", alpha=0.1, max_iter=3, random_state=0, standardize=standardize)
    here = clone(model).fit(X, target, weight)
    there = clone(model).fit(with_gap(X), with_gap(target), with_gap(weight))
    np.testing.assert_allclose(there.loss_curve_, here.loss_curve_, rtol=1e-10)
    np.testing.assert_array_equal(there.predict(with_gap(X)).compute(), there.predict(X))
    if Estimator is TwoLayerClassifier:
        np.testing.assert_array_equal(there.predict_proba(with_gap(X)).compute(), there.predict_proba(X))


@pytest.mark.parametrize("Estimator", [TwoLayerRegressor, TwoLayerClassifier])
def test_a_frame_of_which_a_filter_leaves_a_partition_empty(client, Estimator):
    pd = pytest.importorskip("pandas")
    names = [f"x{i}" for i in range(10)]
    frame = pd.DataFrame(X, columns=names).assign(row=range(len(X)), y=y, label=np.where(y > 14.0, "much", "little"))
    some = frame[frame["row"] >= CHUNK]
    parts = dd.from_pandas(frame, npartitions=6)
    parts = parts[parts["row"] >= CHUNK]
    assert 0 in parts.map_partitions(len).compute().tolist()
    column = "y" if Estimator is TwoLayerRegressor else "label"
    model = Estimator(3, solver="lbfgs", alpha=0.1, max_iter=3, random_state=0)
    here = clone(model).fit(some[names], some[column])
    there = clone(model).fit(parts[names], parts[column])
    np.testing.assert_allclose(there.loss_curve_, here.loss_curve_, rtol=1e-10)
    np.testing.assert_array_equal(there.predict(parts[names]).compute(), there.predict(some[names]))


def test_error_bars_where_a_block_has_no_rows(client):
    model = TwoLayerRegressor(2, max_iter=3, random_state=0).fit(X[:200], y[:200])
    mean, std = dask.compute(*model.predict(with_gap(X), return_std=True))
    np.testing.assert_array_equal(np.stack([mean, std]), model.predict(X, return_std=True))
    np.testing.assert_array_equal(model.predict_interval(with_gap(X)).compute(), model.predict_interval(X))
    assert model.predict(with_gap(X)[:0]).compute().shape == (0,)


def test_an_interrupted_client_keeps_the_best_weights_so_far(client, monkeypatch):
    from sk2layer.estimator.monitor import Monitor

    note = Monitor.__call__

    def interrupt_in_the_next_sum(monitor, iteration):
        note(monitor, iteration)
        if len(monitor.loss_curve) >= 3:  # again, should the first come in a finalizer, where Python drops it
            threading.Timer(0.01, os.kill, (os.getpid(), signal.SIGINT)).start()

    model = TwoLayerRegressor(5, solver="lm", alpha=0.1, max_iter=50, tol=0.0, random_state=0)
    monkeypatch.setattr(Monitor, "__call__", interrupt_in_the_next_sum)
    with pytest.warns(UserWarning, match="interrupted after .* iterations; the best weights so far are kept"):
        model.fit(chunked(X), chunked(y))
    monkeypatch.undo()
    assert 3 <= model.n_iter_ < 50
    assert model.loss_ == min(model.loss_curve_)
    whole = TwoLayerRegressor(5, solver="lm", alpha=0.1, max_iter=model.n_iter_, tol=0.0, random_state=0)
    assert_same_fit(whole.fit(chunked(X), chunked(y)), model)


# ------------------------------------------------------------------ what is not possible


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"solver": "adam"}, "solver must be 'gd', 'lbfgs', 'lm' or 'auto'"),
        ({"solver": "lbfgs", "early_stopping": True}, "early_stopping=True needs X_val"),
    ],
    ids=["adam", "early stopping"],
)
def test_what_needs_all_rows_in_one_place_is_refused(parameters, message):
    with pytest.raises(ValueError, match=message):
        TwoLayerRegressor(3, **parameters).fit(chunked(X), chunked(y))


def test_validation_data_in_memory_stop_the_fit_early(client):
    model = TwoLayerRegressor(3, solver="lbfgs", alpha=0.1, early_stopping=True, max_iter=5, random_state=0)
    here = clone(model).fit(X, y, X_val=X[:500], y_val=y[:500])
    there = clone(model).fit(chunked(X), chunked(y), X_val=X[:500], y_val=y[:500])
    np.testing.assert_allclose(there.validation_loss_curve_, here.validation_loss_curve_, rtol=1e-12)
    with pytest.raises(ValueError, match="X_val must be in memory"):
        model.fit(chunked(X), chunked(y), X_val=chunked(X), y_val=chunked(y))


def test_what_is_no_table_is_refused():
    pd = pytest.importorskip("pandas")
    series = dd.from_pandas(pd.Series(X[:, 0]), npartitions=2)
    unknown = chunked(X)[:, chunked(y)[:10] > 0.0]
    model = TwoLayerRegressor(2, alpha=1.0, max_iter=2).fit(X, y)
    for rows, got in ((series, "Series"), (chunked(y), r"Array of shape \(5400,\)"), (unknown, "Array of shape")):
        message = rf"X must have shape \(n_samples, n_features\), with a known number of features\. Got Dask's {got}"
        for use in (model.predict, model.predict_interval, lambda rows: model.fit(rows, chunked(y))):
            with pytest.raises(ValueError, match=message):
                use(rows)


def test_targets_and_rows_have_to_come_from_the_same_place():
    with pytest.raises(TypeError, match=r"y must come from Dask where X does\. Got ndarray"):
        TwoLayerRegressor(3).fit(chunked(X), y)
    with pytest.raises(ValueError, match=r"must have the rows of X, 5400\. Got 3600"):
        TwoLayerRegressor(3).fit(chunked(X), chunked(y[CHUNK:]))
    with pytest.raises(ValueError, match="take its blocks one by one through partial_fit"):
        TwoLayerRegressor(3, solver="adam").partial_fit(chunked(X), chunked(y))
