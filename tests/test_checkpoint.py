"""Does a fit whose process was killed go on from its checkpoint, to the weights of one that was not, bit for bit?"""

import errno
import multiprocessing
import os
import pickle
import random
import signal
import subprocess
import sys
import time
from unittest.mock import patch

import numpy as np
import pytest
import sklearn
from joblib import parallel_config
from sklearn import config_context
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from slow import mostly_slow

from sk2layer import TwoLayerClassifier, TwoLayerRegressor, callbacks
from sk2layer.callbacks import Checkpoint
from sk2layer.estimator import archive
from sk2layer.solvers import SOLVERS

pytestmark = [
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning"),
    pytest.mark.skipif(
        not hasattr(TwoLayerRegressor, "set_callbacks"), reason=f"scikit-learn {sklearn.__version__} has no callbacks"
    ),
]

rng = np.random.default_rng(5)
X = rng.normal(size=(300, 4)) * [1.0, 5.0, 0.1, 1.0] + [0.0, 1.0, 1.0, 0.0]
NUMBERS = np.sin(2.0 * X[:, 0]) + 0.3 * X[:, 1] + 0.1 * rng.normal(size=300)
LABELS = np.where(NUMBERS > 0.5, "high", "low")
WEIGHT = rng.uniform(0.2, 2.0, 300)

WAYS = {**{name: {"solver": name, "alpha": 0.01} for name in SOLVERS}, "evidence": {"alpha": "evidence"}}
every_way = pytest.mark.parametrize("way", WAYS)
every_estimator = pytest.mark.parametrize("Estimator", [TwoLayerRegressor, TwoLayerClassifier])


def model_of(way, Estimator=TwoLayerRegressor, **params):
    params = {"hidden_units": 3, "tol": 0.0, "n_iter_no_change": 10**6, "max_iter": 25, "random_state": 0, **params}
    return Estimator(**{**WAYS[way], **params})


def target(Estimator):
    return NUMBERS if Estimator is TwoLayerRegressor else LABELS


class Killed(BaseException):
    """What no fit survives."""


class Killer:
    """A callback that ends the fit, as it is, after some iteration."""

    def __init__(self, after):
        self.after = after

    def setup(self, estimator, context):
        pass

    teardown = on_fit_task_begin = setup

    def on_fit_task_end(self, estimator, context):
        if context.task_name == "iteration" and context.task_id + 1 == self.after:
            raise Killed


@pytest.fixture
def path(tmp_path):
    return tmp_path / "fit.checkpoint"


def checkpoint_at(path, **options):
    return Checkpoint(path, **{"every_seconds": 0.0, **options})


def fit_and_kill(model, path, after, *args, every_n_iter=1, **kwargs):
    with pytest.raises(Killed):
        model.set_callbacks(checkpoint_at(path, every_n_iter=every_n_iter), Killer(after)).fit(*args, **kwargs)


def assert_same_fit(one, other):
    for mine, its in zip([*one.coefs_, *one.intercepts_], [*other.coefs_, *other.intercepts_], strict=True):
        np.testing.assert_array_equal(mine, its)
    assert one.loss_curve_ == other.loss_curve_
    assert (one.n_iter_, one.loss_) == (other.n_iter_, other.loss_)
    assert getattr(one, "validation_loss_curve_", None) == getattr(other, "validation_loss_curve_", None)
    assert one.get_params(deep=False).keys() == other.get_params(deep=False).keys()


# --------------------------------------------------------------------------------------------------------------- kills


@pytest.mark.skipif(os.name == "nt", reason="Windows has no SIGKILL")
@pytest.mark.parametrize("n_kills", mostly_slow([2, 20]))
@pytest.mark.parametrize(
    "params", [{"solver": "adam", "max_iter": 200}, {"solver": "lm", "hidden_units": 8, "max_iter": 100}]
)
def test_killed_at_random_moments_all_end_at_the_same_weights(params, n_kills, tmp_path):
    """Processes are killed while they fit, and write after each iteration; each fit goes on here."""
    model = model_of("adam", **{"alpha": 1e-4, **params})
    whole = clone(model).fit(X, NUMBERS)
    processes = multiprocessing.get_context("forkserver")
    processes.set_forkserver_preload(["sk2layer.callbacks", "sklearn.callback"])
    moments, n_killed = random.Random(0), 0
    while n_killed < n_kills:
        path = tmp_path / f"{n_killed}.checkpoint"
        process = processes.Process(target=clone(model).set_callbacks(checkpoint_at(path)).fit, args=(X, NUMBERS))
        process.start()
        while not path.exists():
            assert process.exitcode is None
            time.sleep(0.001)
        time.sleep(moments.uniform(0.0, 0.3))
        process.kill()
        process.join()
        if process.exitcode == 0:  # it had ended: another one has to be killed
            path.unlink()
            continue
        assert process.exitcode == -signal.SIGKILL
        n_killed += 1
        resumed = checkpoint_at(path).resume(model)
        assert 0 < resumed.n_iter_ <= whole.n_iter_
        assert_same_fit(resumed.fit(X, NUMBERS), whole)


def test_killed_while_it_writes_it_goes_on_from_the_file_before(path):
    fsync, countdown = os.fsync, [4]

    def killed_fsync(file):
        countdown[0] -= 1
        if countdown[0] == 0:
            raise Killed
        fsync(file)

    with patch.object(os, "fsync", killed_fsync), pytest.raises(Killed):
        model_of("adam").set_callbacks(checkpoint_at(path)).fit(X, NUMBERS)
    assert os.listdir(path.parent) == ["fit.checkpoint"]
    resumed = Checkpoint.load(path)
    assert resumed.n_iter_ == 3
    resumed.set_callbacks(checkpoint_at(path)).fit(X, NUMBERS)
    assert_same_fit(resumed, model_of("adam").fit(X, NUMBERS))
    assert os.listdir(path.parent) == ["fit.checkpoint"]


# ------------------------------------------------------------------------------------------------------------ going on


@every_way
@every_estimator
@pytest.mark.parametrize("sample_weight", [None, WEIGHT], ids=["", "weighted"])
def test_it_goes_on_as_if_it_had_not_been_killed(Estimator, way, sample_weight, path):
    """Twice, so that a fit that was gone on with can be gone on with."""
    y, model = target(Estimator), model_of(way, Estimator)
    fit_and_kill(clone(model), path, 11, X, y, sample_weight, every_n_iter=3)
    resumed = checkpoint_at(path).resume(model)
    assert resumed.n_iter_ == 9
    fit_and_kill(resumed, path, 8, X, y, sample_weight)
    resumed = checkpoint_at(path).resume(model)
    assert resumed.n_iter_ == 17
    assert_same_fit(resumed.fit(X, y, sample_weight), model.fit(X, y, sample_weight))


@pytest.mark.parametrize("way", SOLVERS)
def test_early_stopping_goes_on(way, path):
    model = model_of(way, hidden_units=20, early_stopping=True, n_iter_no_change=4, max_iter=500, tol=1e-3)
    whole = clone(model).fit(X, NUMBERS)
    assert 5 < whole.n_iter_ < 500
    for after in (3, whole.n_iter_):
        fit_and_kill(clone(model), path, after, X, NUMBERS)
        assert_same_fit(checkpoint_at(path).resume(model).fit(X, NUMBERS), whole)


@every_way
def test_what_is_in_the_file_predicts_as_of_then(way, path):
    fit_and_kill(model_of(way), path, 7, X, NUMBERS)
    then = model_of(way, max_iter=7).fit(X, NUMBERS)
    np.testing.assert_array_equal(Checkpoint.load(path).predict(X), then.predict(X))


def test_a_fit_without_a_seed_goes_on(path):
    np.random.seed(1)  # noqa: NPY002 the global generator is what random_state=None means
    whole = model_of("adam", random_state=None, early_stopping=True).fit(X, NUMBERS)
    np.random.seed(1)  # noqa: NPY002
    fit_and_kill(model_of("adam", random_state=None, early_stopping=True), path, 5, X, NUMBERS)
    resumed = checkpoint_at(path).resume(model_of("adam", random_state=None, early_stopping=True))
    assert_same_fit(resumed.fit(X, NUMBERS), whole)


def test_a_warm_start_that_was_killed_goes_on_to_its_own_end(path):
    model = model_of("adam", max_iter=10, warm_start=True).fit(X, NUMBERS)
    fit_and_kill(model, path, 4, X, NUMBERS)
    resumed = Checkpoint.load(path).fit(X, NUMBERS)
    whole = model_of("adam", max_iter=20).fit(X, NUMBERS)
    assert_same_fit(resumed, whole)
    assert resumed.fit(X, NUMBERS).n_iter_ == 30


@pytest.mark.parametrize(("max_iter", "n_iter"), [(40, 40), (25, 25), (6, 12)])
def test_max_iter_is_that_of_the_whole_fit(max_iter, n_iter, path):
    """Where that many are done already, none is added."""
    fit_and_kill(model_of("adam"), path, 12, X, NUMBERS)
    resumed = checkpoint_at(path).resume(model_of("adam", max_iter=max_iter)).fit(X, NUMBERS)
    assert_same_fit(resumed, model_of("adam", max_iter=n_iter).fit(X, NUMBERS))


def test_when_it_has_ended_the_next_fit_is_a_new_one(path):
    fit_and_kill(model_of("adam"), path, 12, X, NUMBERS)
    resumed = Checkpoint.load(path).fit(X, NUMBERS)
    first = resumed.coefs_[0]
    assert resumed.fit(X, NUMBERS).n_iter_ == 25
    np.testing.assert_array_equal(resumed.coefs_[0], first)


def test_given_weights_are_not_started_from_again(path):
    first = model_of("lbfgs").fit(X, LABELS == "high")
    start = {"coefs_init": first.coefs_, "intercepts_init": first.intercepts_}
    fit_and_kill(model_of("adam"), path, 12, X, NUMBERS, **start)
    assert_same_fit(Checkpoint.load(path).fit(X, NUMBERS, **start), model_of("adam").fit(X, NUMBERS, **start))


def test_a_script_that_has_ended_can_be_run_again(path):
    results = []
    for _ in range(3):
        checkpoint = checkpoint_at(path, every_n_iter=10)
        model = checkpoint.resume(model_of("lm"))
        results.append(model.set_callbacks(checkpoint).fit(X, NUMBERS))
    assert_same_fit(results[1], results[0])
    assert_same_fit(results[2], results[0])


def test_in_a_pipeline(path):
    pipeline = make_pipeline(StandardScaler(), model_of("adam").set_callbacks(checkpoint_at(path), Killer(5)))
    with pytest.raises(Killed):
        pipeline.fit(X, NUMBERS)
    resumed = make_pipeline(StandardScaler(), checkpoint_at(path).resume(model_of("adam"))).fit(X, NUMBERS)
    assert_same_fit(resumed[-1], make_pipeline(StandardScaler(), model_of("adam")).fit(X, NUMBERS)[-1])


# ------------------------------------------------------------------------------------------------------------- when


def test_it_is_written_when_so_many_iterations_and_seconds_have_passed(path):
    now, written = [100.0], []

    class Clock(Killer):
        def on_fit_task_end(self, estimator, context):
            now[0] += 1.0

    def note(self, estimator):
        written.append(estimator.n_iter_)

    with patch.object(callbacks.time, "monotonic", lambda: now[0]), patch.object(Checkpoint, "_write", note):
        for options in ({"every_n_iter": 10}, {"every_seconds": 3.0}, {"every_n_iter": 2, "every_seconds": 6.5}):
            model_of("gd").set_callbacks(checkpoint_at(path, **options), Clock(0)).fit(X, NUMBERS)
    assert written == [10, 20, 4, 7, 10, 13, 16, 19, 22, 25, 8, 15, 22]


def test_a_state_is_made_only_to_be_written(path):
    with patch.object(TwoLayerRegressor, "_as_of", autospec=True, side_effect=TwoLayerRegressor._as_of) as as_of:
        model_of("adam").set_callbacks(checkpoint_at(path, every_n_iter=10)).fit(X, NUMBERS)
    assert as_of.call_count == 2


def test_a_file_holds_neither_data_nor_callbacks(path):
    fit_and_kill(model_of("adam"), path, 5, X, NUMBERS)
    assert not {"_skl_callbacks", "_callback_fit_ctx"} & vars(Checkpoint.load(path)).keys()
    size = path.stat().st_size
    fit_and_kill(model_of("adam"), path, 5, np.repeat(X, 10, axis=0), np.repeat(NUMBERS, 10))
    assert path.stat().st_size == pytest.approx(size, abs=200)


# ---------------------------------------------------------------------------------------------------------- bad input


def test_without_a_file_it_begins(path):
    model = model_of("adam")
    assert checkpoint_at(path).resume(model) is model


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"alpha": 0.5}, r"alpha must be 0\.01, as in .*fit\.checkpoint\. Got 0\.5\. Remove the file"),
        ({"random_state": 1}, "random_state must be 0"),
        ({"solver": "sgd"}, "solver must be 'adam'"),
        ({"solver": SOLVERS["adam"]()}, "solver must be 'adam'"),
        ({"alpha": "auto"}, r"alpha must be 0\.01"),
    ],
)
def test_other_parameters_are_an_error(change, message, path):
    fit_and_kill(model_of("adam"), path, 5, X, NUMBERS)
    with pytest.raises(ValueError, match=message):
        checkpoint_at(path).resume(model_of("adam").set_params(**change))


def test_another_parameter_of_the_solver_is_an_error(path):
    fit_and_kill(model_of("adam").set_params(solver__batch_size=50), path, 5, X, NUMBERS)
    with pytest.raises(ValueError, match="solver__batch_size must be 50"):
        checkpoint_at(path).resume(model_of("adam").set_params(solver__batch_size=60))


def test_another_estimator_is_an_error(path):
    fit_and_kill(model_of("adam"), path, 5, X, NUMBERS)
    with pytest.raises(ValueError, match=r"estimator must be a TwoLayerRegressor, as in .* Got TwoLayerClassifier"):
        checkpoint_at(path).resume(model_of("adam", TwoLayerClassifier))


@pytest.mark.parametrize("data", [(X[:200], NUMBERS[:200]), (2.0 * X, NUMBERS), (X, NUMBERS, WEIGHT)])
def test_other_data_are_an_error(data, path):
    fit_and_kill(model_of("adam"), path, 5, X, NUMBERS)
    with pytest.raises(ValueError, match=r"must be those of the fit that was not finished.* after 5 iterations"):
        Checkpoint.load(path).fit(*data)


def test_several_starts_are_an_error(path):
    with pytest.raises(ValueError, match=r"n_init must be 1 where a Checkpoint is set\. Got 3\."):
        model_of("adam", n_init=3).set_callbacks(checkpoint_at(path)).fit(X, NUMBERS)


def test_a_search_is_an_error(path):
    model = model_of("adam").set_callbacks(checkpoint_at(path))
    with pytest.raises(ValueError, match=r"needs a fit of its own\. Got one of many in GridSearchCV"):
        GridSearchCV(model, {"alpha": [0.1, 1.0]}, cv=2, error_score="raise").fit(X, NUMBERS)


def test_a_pipeline_is_an_error(path):
    with pytest.raises(ValueError, match=r"must be set on the network itself\. Got Pipeline"):
        make_pipeline(StandardScaler(), model_of("adam")).set_callbacks(checkpoint_at(path)).fit(X, NUMBERS)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"every_n_iter": 0}, "'every_n_iter' parameter of Checkpoint must be an int"),
        ({"every_seconds": -1.0}, "'every_seconds' parameter of Checkpoint must be a float"),
        ({"path": 3}, "'path' parameter of Checkpoint must be"),
    ],
)
def test_bad_parameters_are_errors_before_the_fit(options, message, path):
    checkpoint = Checkpoint(**{"path": path, **options})
    with pytest.raises(ValueError, match=message):
        checkpoint.resume(model_of("adam"))
    with pytest.raises(ValueError, match=message):
        model_of("adam").set_callbacks(checkpoint).fit(X, NUMBERS)


def test_another_file_is_an_error(path):
    path.write_bytes(pickle.dumps({"not": "an estimator"}))
    with pytest.raises(ValueError, match="path must be of a whole file of plain data"):
        Checkpoint.load(path)
    archive.write(path, {"not": "an estimator"})
    with pytest.raises(ValueError, match="must be of a file written by a Checkpoint"):
        Checkpoint.load(path)


@pytest.mark.parametrize("share", [0.0, 0.5, 0.99])
def test_an_empty_or_cut_file_is_an_error(share, path):
    fit_and_kill(model_of("adam"), path, 5, X, NUMBERS)
    content = path.read_bytes()
    path.write_bytes(content[: int(share * len(content))])
    for read in (Checkpoint.load, lambda path: checkpoint_at(path).resume(model_of("adam"))):
        with pytest.raises(ValueError, match="path must be of a whole file of plain data"):
            read(path)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("Estimator", [TwoLayerRegressor, TwoLayerClassifier])
def test_neither_to_write_nor_to_read_takes_a_pickle(Estimator, way, path, monkeypatch):
    def fail(*args, **kwargs):
        raise AssertionError("pickled")

    for name in ("dump", "dumps", "load", "loads", "Pickler", "Unpickler"):
        monkeypatch.setattr(pickle, name, fail)
    y = target(Estimator)
    fit_and_kill(model_of(way, Estimator), path, 5, X, y)
    assert Checkpoint.load(path).n_iter_ == 5


def test_a_folder_that_is_not_there_is_an_error_before_the_fit(path):
    for bad in (path.parent, path.parent / "nowhere" / "fit.checkpoint"):
        with pytest.raises(ValueError, match=r"path must be of a file, in a folder that exists\. Got '"):
            model_of("adam").set_callbacks(Checkpoint(bad)).fit(X, NUMBERS)


def test_what_cannot_be_kept_is_an_error_before_the_fit(path):
    model = model_of("adam").set_callbacks(checkpoint_at(path))
    model.note = object()
    with pytest.raises(TypeError, match="A file of plain data cannot hold a builtins:object"):
        model.fit(X, NUMBERS)
    assert not hasattr(model, "coefs_")


# --------------------------------------------------------------------------------------------------- what goes wrong


@pytest.mark.parametrize("call", ["fsync", "replace"])
def test_without_space_a_warning_says_so_and_the_fit_goes_on(call, path, monkeypatch):
    original, countdown = getattr(os, call), [6]

    def full(*args):
        countdown[0] -= 1
        if countdown[0] < 0:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        original(*args)

    monkeypatch.setattr(os, call, full)
    model = model_of("adam").set_callbacks(checkpoint_at(path))
    with pytest.warns(UserWarning, match="The checkpoint .*could not be written, and the fit goes on: .*space") as seen:
        model.fit(X, NUMBERS)
    monkeypatch.undo()
    assert len([warning for warning in seen if "checkpoint" in str(warning.message)]) == 25 - 6
    assert_same_fit(model, model_of("adam").fit(X, NUMBERS))
    assert os.listdir(path.parent) == ["fit.checkpoint"]
    assert_same_fit(checkpoint_at(path).resume(model_of("adam")).fit(X, NUMBERS), model)
    assert Checkpoint.load(path).n_iter_ == 6


FIT_WITHOUT_SPACE = """
import resource, sys, warnings
import numpy as np
from sk2layer import TwoLayerRegressor
from sk2layer.callbacks import Checkpoint

resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))  # bytes that may be in any file
X = np.random.default_rng(0).normal(size=(100, 3))
model = TwoLayerRegressor(50, solver="lbfgs", alpha=1.0, tol=0.0, max_iter=5, random_state=0)
warnings.simplefilter("ignore")
plain = model.fit(X, X[:, 0]).loss_curve_
warnings.simplefilter("error")
warnings.filterwarnings("ignore", category=sys.modules["sklearn.exceptions"].ConvergenceWarning)
warnings.filterwarnings("ignore", "The checkpoint .* could not be written")
model.set_callbacks(Checkpoint(sys.argv[1], every_seconds=0)).fit(X, X[:, 0])
print("same:", model.loss_curve_ == plain)
"""


@pytest.mark.skipif(os.name == "nt", reason="Windows has no limits of a process")
def test_a_real_lack_of_space(path):
    program = [sys.executable, "-c", FIT_WITHOUT_SPACE, str(path)]
    run = subprocess.run(program, capture_output=True, text=True, check=False)
    assert (run.returncode, run.stdout, run.stderr) == (0, "same: True\n", "")
    assert os.listdir(path.parent) == []


@pytest.mark.parametrize("way", SOLVERS)
def test_an_interrupt_while_it_writes_keeps_the_best_weights(way, path, monkeypatch):
    fsync, countdown = os.fsync, [4]

    def interrupted_fsync(file):
        countdown[0] -= 1
        if countdown[0] == 0:
            raise KeyboardInterrupt
        fsync(file)

    monkeypatch.setattr(os, "fsync", interrupted_fsync)
    model = model_of(way).set_callbacks(checkpoint_at(path))
    with pytest.warns(UserWarning, match="interrupted after 4 iterations; the best weights so far are kept"):
        model.fit(X, NUMBERS)
    assert model.loss_curve_ == model_of(way, max_iter=4).fit(X, NUMBERS).loss_curve_
    best = int(np.argmin(model.loss_curve_)) + 1
    assert model.loss_ == model_of(way, max_iter=best).fit(X, NUMBERS).loss_
    assert os.listdir(path.parent) == ["fit.checkpoint"]
    assert_same_fit(checkpoint_at(path).resume(model_of(way)).fit(X, NUMBERS), model_of(way).fit(X, NUMBERS))


@pytest.mark.parametrize("n_jobs", [1, 2])
def test_fits_that_share_a_path_leave_a_whole_file_of_one_of_them(n_jobs, path):
    model = model_of("adam").set_callbacks(checkpoint_at(path))
    with parallel_config("threading"):
        scores = cross_val_score(model, X, NUMBERS, n_jobs=n_jobs)
    np.testing.assert_array_equal(scores, cross_val_score(model_of("adam"), X, NUMBERS))
    assert os.listdir(path.parent) == ["fit.checkpoint"]
    assert Checkpoint.load(path).n_iter_ > 0


def test_processes_that_share_a_path_leave_a_whole_file_of_one_of_them(path):
    model = model_of("adam").set_callbacks(checkpoint_at(path))
    scores = cross_val_score(model, X, NUMBERS, n_jobs=2)
    np.testing.assert_array_equal(scores, cross_val_score(model_of("adam"), X, NUMBERS))
    assert os.listdir(path.parent) == ["fit.checkpoint"]
    assert Checkpoint.load(path).n_iter_ > 0


def test_a_link_planted_at_the_unfinished_file_is_not_followed(path, monkeypatch):
    victim = path.with_name("victim")
    victim.write_text("mine")
    monkeypatch.setattr(archive.secrets, "token_hex", lambda n: "guessed")
    path.with_name("fit.checkpoint.guessed.tmp").symlink_to(victim)
    model = model_of("adam", max_iter=1)
    with pytest.warns(UserWarning, match="could not be written, and the fit goes on"):
        model.set_callbacks(checkpoint_at(path)).fit(X, NUMBERS)
    assert victim.read_text() == "mine"


# ----------------------------------------------------------------------------------------------------- equal parameters


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ({"alpha": 1}, {"alpha": 1.0}),
        ({"alpha": 1.0}, {"alpha": np.float32(1)}),
        ({"hidden_units": 3}, {"hidden_units": np.int64(3)}),
        ({"tol": 0}, {"tol": 0.0}),
        ({"early_stopping": np.True_}, {"early_stopping": True}),
        ({"solver": SOLVERS["adam"](learning_rate=1)}, {"solver": SOLVERS["adam"](learning_rate=1.0)}),
    ],
    ids=str,
)
def test_equal_numbers_are_equal(before, after, path):
    fit_and_kill(model_of("adam", **before), path, 5, X, NUMBERS)
    resumed = checkpoint_at(path).resume(model_of("adam", **after))
    assert_same_fit(resumed.fit(X, NUMBERS), model_of("adam", **after).fit(X, NUMBERS))


def test_unequal_truths_are_not(path):
    fit_and_kill(model_of("adam", standardize=np.True_), path, 5, X, NUMBERS)
    with pytest.raises(ValueError, match="standardize must be"):
        checkpoint_at(path).resume(model_of("adam", standardize=np.False_))


@pytest.mark.parametrize("seed", [0, 1])
def test_generators_class_weights_and_requests_are_kept(seed, path):
    def model():
        made = model_of("adam", TwoLayerClassifier, class_weight={"high": 2, "low": 1})
        return made.set_params(random_state=np.random.RandomState(seed), early_stopping=True)

    with config_context(enable_metadata_routing=True):
        asking = model().set_fit_request(sample_weight=True)
        fit_and_kill(asking, path, 5, X, LABELS)
        resumed = checkpoint_at(path).resume(model().set_fit_request(sample_weight=True))
        assert resumed.get_metadata_routing().fit.requests["sample_weight"] is True
    assert_same_fit(resumed.fit(X, LABELS), model().fit(X, LABELS))


class OwnSolver(SOLVERS["sgd"]):
    """A solver of a user, with a state that has everything in it that a state may have."""

    def _start(self, theta):
        return {**super()._start(theta), "more": [(1, np.float64(0.5)), {"a": None, 2: "b"}], "nothing": np.empty(0)}


def test_a_solver_of_ones_own_goes_on(path):
    fit_and_kill(model_of("sgd", solver=OwnSolver(momentum=0.9)), path, 5, X, NUMBERS)
    state = Checkpoint.load(path)._fit_state.solver_state
    assert state["more"] == [(1, 0.5), {"a": None, 2: "b"}]
    resumed = checkpoint_at(path).resume(model_of("sgd", solver=OwnSolver(momentum=0.9)))
    assert_same_fit(resumed.fit(X, NUMBERS), model_of("sgd", solver=OwnSolver(momentum=0.9)).fit(X, NUMBERS))


@pytest.mark.parametrize("early_stopping", [False, True])
@pytest.mark.parametrize("then", [None, slice(100, 200), slice(0, 99)], ids=str)
def test_other_validation_data_are_an_error(then, early_stopping, path):
    def val(rows):
        return {} if rows is None else {"X_val": X[rows], "y_val": NUMBERS[rows]}

    model = model_of("adam", early_stopping=early_stopping)
    fit_and_kill(model, path, 5, X, NUMBERS, **val(slice(0, 100)))
    with pytest.raises(
        ValueError, match=r"data, for validation too, .* must be those of the fit that was not finished"
    ):
        Checkpoint.load(path).fit(X, NUMBERS, **val(then))
    whole = model_of("adam", early_stopping=early_stopping).fit(X, NUMBERS, **val(slice(0, 100)))
    assert_same_fit(Checkpoint.load(path).fit(X, NUMBERS, **val(slice(0, 100))), whole)
