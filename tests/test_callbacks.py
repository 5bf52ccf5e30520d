"""Do scikit-learn's callbacks see each iteration of a fit, with its weights, and does it stop where they ask to?"""

import io
import pickle
from unittest.mock import patch

import numpy as np
import pytest
import sklearn
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import parametrize_with_checks

from sk2layer import TwoLayerClassifier, TwoLayerRegressor
from sk2layer.estimator import callback_support
from sk2layer.estimator.fitted import FittedTwoLayer
from sk2layer.objective import objective
from sk2layer.solvers import SOLVERS

MINI_BATCH = [name for name in SOLVERS if SOLVERS[name].supports_partial_fit]

SUPPORTED = hasattr(TwoLayerRegressor, "set_callbacks")
needs_callbacks = pytest.mark.skipif(not SUPPORTED, reason=f"scikit-learn {sklearn.__version__} has no callbacks")
unconverged = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

rng = np.random.default_rng(3)
X = rng.normal(size=(60, 3)) * [1.0, 5.0, 0.1] + [0.0, 1.0, 1.0]
NUMBERS = X[:, 0] ** 2 + 0.3 * X[:, 1] + 0.1 * rng.normal(size=60)
LABELS = np.where(NUMBERS > 1.5, "high", "low")
WEIGHT = rng.uniform(0.2, 2.0, 60)

WAYS = {**{name: {"solver": name, "alpha": 0.1} for name in SOLVERS}, "evidence": {"alpha": "evidence"}}
every_way = pytest.mark.parametrize("way", WAYS)
every_estimator = pytest.mark.parametrize("Estimator", [TwoLayerRegressor, TwoLayerClassifier])


def model_of(way, Estimator=TwoLayerRegressor, **params):
    return Estimator(**{"hidden_units": 3, "tol": 0.0, "max_iter": 8, "random_state": 0, **WAYS[way], **params})


def kept_of(way, curve):
    """Return the number of the iteration whose weights a fit with this curve keeps: by evidence, the best one."""
    return int(np.argmin(curve)) if way == "evidence" else len(curve) - 1


def target(Estimator):
    return NUMBERS if Estimator is TwoLayerRegressor else LABELS


class Recorder:
    """A callback that keeps what it is called with, and may ask to stop after some task."""

    def __init__(self, stop_after=None):
        self.stop_after = stop_after
        self.calls, self.fitted, self.arguments = [], [], []

    def setup(self, estimator, context):
        self.calls.append(("setup", context.task_name, context.task_id))

    def teardown(self, estimator, context):
        self.calls.append(("teardown", context.task_name, context.task_id))

    def on_fit_task_begin(self, estimator, context, *, X=None, y=None, metadata=None):
        self.calls.append(("begin", context.task_name, context.task_id))
        self.arguments.append((X, y, metadata))

    def on_fit_task_end(self, estimator, context, *, X=None, y=None, metadata=None, fitted_estimator=None):
        task = context.task_name, context.task_id
        self.calls.append(("end", *task))
        self.arguments.append((X, y, metadata))
        if task[0] == "iteration" and fitted_estimator is not None:
            self.fitted.append(fitted_estimator)
        return task == self.stop_after

    def ended(self, task_name):
        return [call[2] for call in self.calls if call[:2] == ("end", task_name)]


def assert_same_fit(one, other):
    for mine, its in zip([*one.coefs_, *one.intercepts_], [*other.coefs_, *other.intercepts_], strict=True):
        np.testing.assert_array_equal(mine, its)
    assert one.loss_curve_ == other.loss_curve_
    assert (one.n_iter_, one.loss_) == (other.n_iter_, other.loss_)


# ------------------------------------------------------------------------------------------------------- what they see


@needs_callbacks
@unconverged
@every_way
@every_estimator
def test_each_iteration_can_predict_with_the_weights_of_that_moment(Estimator, way):
    y, recorder = target(Estimator), Recorder()
    model = model_of(way, Estimator).set_callbacks(recorder).fit(X, y)
    assert len(recorder.fitted) == model.n_iter_ == 8
    for number, then in enumerate(recorder.fitted, start=1):
        stopped_there = model_of(way, Estimator, max_iter=number).fit(X, y)
        assert then.loss_curve_ == stopped_there.loss_curve_ == model.loss_curve_[:number]
        if way not in MINI_BATCH:
            assert then.loss_ == then.loss_curve_[-1]
        kept = recorder.fitted[kept_of(way, then.loss_curve_)]
        np.testing.assert_array_equal(kept.coefs_[0], stopped_there.coefs_[0])
        np.testing.assert_array_equal(kept.predict(X), stopped_there.predict(X))
        if kept is then:
            assert_same_fit(then, stopped_there)
    np.testing.assert_array_equal(recorder.fitted[kept_of(way, model.loss_curve_)].coefs_[0], model.coefs_[0])


@needs_callbacks
@unconverged
def test_error_bars_are_those_of_the_moment():
    recorder = Recorder()
    model_of("evidence").set_callbacks(recorder).fit(X, NUMBERS)
    stopped_there = model_of("evidence", max_iter=3).fit(X, NUMBERS)
    std, expected = (model.predict(X, return_std=True)[1] for model in (recorder.fitted[2], stopped_there))
    np.testing.assert_array_equal(std, expected)
    assert recorder.fitted[2].log_marginal_likelihood_ == stopped_there.log_marginal_likelihood_


@needs_callbacks
@unconverged
@every_way
@every_estimator
def test_they_change_nothing(Estimator, way):
    y = target(Estimator)
    plain, watched = model_of(way, Estimator).fit(X, y), model_of(way, Estimator).set_callbacks(Recorder()).fit(X, y)
    assert_same_fit(watched, plain)
    assert vars(watched).keys() - vars(plain).keys() == {"_skl_callbacks"}


@needs_callbacks
@unconverged
@every_way
def test_every_task_that_begins_ends(way):
    recorder = Recorder()
    model_of(way).set_callbacks(recorder).fit(X, NUMBERS)
    iterations = [(event, "iteration", i) for i in range(8) for event in ("begin", "end")]
    assert recorder.calls == [
        ("setup", "fit", 0),
        ("begin", "fit", 0),
        *iterations,
        ("end", "fit", 0),
        ("teardown", "fit", 0),
    ]


@needs_callbacks
@every_way
def test_a_fit_that_converges_has_begun_one_iteration_more(way):
    recorder = Recorder()
    model = model_of(way, tol=0.01 if way == "gd" else 1e-3, n_iter_no_change=5, max_iter=2000)
    model.set_callbacks(recorder).fit(X, NUMBERS)
    assert model.n_iter_ < 2000
    assert len(recorder.fitted) == model.n_iter_
    assert recorder.ended("iteration") == list(range(model.n_iter_ + 1))


@needs_callbacks
@unconverged
def test_they_are_given_what_was_passed_to_fit():
    recorder, y = Recorder(), NUMBERS.tolist()
    model_of("lm").set_callbacks(recorder).fit(X, y, WEIGHT)
    assert len(recorder.arguments) == 18
    for its_X, its_y, metadata in recorder.arguments:
        assert its_X is X
        assert its_y is y
        assert metadata.keys() == {"sample_weight"}
        assert metadata["sample_weight"] is WEIGHT


@needs_callbacks
@unconverged
@pytest.mark.parametrize("n_jobs", [None, 2])
def test_starts_are_tasks_of_their_own(n_jobs):
    from sklearn.callback import ScoringMonitor

    monitor = ScoringMonitor(scoring="r2")
    model_of("adam", n_init=3, n_jobs=n_jobs).set_callbacks(monitor).fit(X, NUMBERS)
    rows = monitor.get_logs().data
    paths = [row["task_id_path"] for row in rows]
    starts = [(0, start) for start in range(3)]
    assert paths == [(0,), *starts, *[(*path, i) for path in starts for i in range(8)]]
    scores = {row["task_id_path"]: row["r2"] for row in rows}
    assert [scores[0, start] for start in range(3)] == [scores[0, start, 7] for start in range(3)]
    assert len(set(scores.values())) == 24


@needs_callbacks
@unconverged
def test_a_warm_start_reports_its_own_iterations():
    recorder = Recorder()
    model = model_of("gd", warm_start=True).set_callbacks(recorder).fit(X, NUMBERS)
    recorder.calls.clear()
    model.set_params(max_iter=3).fit(X, NUMBERS)
    assert model.n_iter_ == 11
    assert recorder.ended("iteration") == [0, 1, 2]


@needs_callbacks
def test_a_batch_is_not_reported():
    recorder = Recorder()
    model_of("adam").set_callbacks(recorder).partial_fit(X, NUMBERS)
    assert recorder.calls == []


@needs_callbacks
@unconverged
@every_way
def test_the_estimator_of_a_moment_can_be_kept_and_pickled(way):
    recorder = Recorder()
    model_of(way).set_callbacks(recorder).fit(X, NUMBERS)
    with patch.object(Recorder, "__reduce__", lambda self: (Recorder, ())):
        again = pickle.loads(pickle.dumps(recorder.fitted[4]))
    np.testing.assert_array_equal(again.predict(X), recorder.fitted[4].predict(X))


@needs_callbacks
@unconverged
def test_a_batch_goes_on_from_the_weights_of_the_moment():
    recorder = Recorder()
    model_of("sgd").set_callbacks(recorder).fit(X, NUMBERS)
    ended_there = model_of("sgd", max_iter=4).fit(X, NUMBERS)
    assert_same_fit(recorder.fitted[3].partial_fit(X, NUMBERS), ended_there.partial_fit(X, NUMBERS))


# ------------------------------------------------------------------------------------------------------- how they stop


@needs_callbacks
@every_way
@every_estimator
def test_asked_to_stop_it_stops_with_usable_weights(Estimator, way):
    """And without a warning: it is what was asked for."""
    y, recorder = target(Estimator), Recorder(stop_after=("iteration", 4))
    model = model_of(way, Estimator).set_callbacks(recorder).fit(X, y)
    with pytest.warns(ConvergenceWarning):
        short = model_of(way, Estimator, max_iter=5).fit(X, y)
    assert_same_fit(model, short)
    np.testing.assert_array_equal(model.predict(X), short.predict(X))
    assert vars(model).keys() - {"_skl_callbacks"} == vars(short).keys()
    assert recorder.ended("iteration") == [0, 1, 2, 3, 4]
    assert recorder.calls[-2:] == [("end", "fit", 0), ("teardown", "fit", 0)]


@needs_callbacks
@pytest.mark.parametrize("way", SOLVERS)
def test_with_early_stopping_the_best_weights_remain(way):
    model = model_of(way, hidden_units=20, alpha=0.0, early_stopping=True, n_iter_no_change=1000, max_iter=1000)
    model.set_callbacks(Recorder(stop_after=("iteration", 29))).fit(
        X[:20], NUMBERS[:20], X_val=X[20:], y_val=NUMBERS[20:]
    )
    assert model.n_iter_ <= 30
    best = int(np.argmin(model.validation_loss_curve_)) + 1
    with pytest.warns(ConvergenceWarning):
        stopped_there = model_of(way, hidden_units=20, alpha=0.0, max_iter=best).fit(X[:20], NUMBERS[:20])
    assert model.loss_ == stopped_there.loss_


@needs_callbacks
@every_way
def test_a_stopped_fit_can_go_on(way):
    whole = model_of(way, warm_start=True).set_callbacks(Recorder(stop_after=("iteration", 7))).fit(X, NUMBERS)
    pieces = model_of(way, warm_start=True).set_callbacks(Recorder(stop_after=("iteration", 2))).fit(X, NUMBERS)
    pieces.set_callbacks(Recorder(stop_after=("iteration", 4))).fit(X, NUMBERS)
    assert_same_fit(pieces, whole)


@needs_callbacks
@unconverged
def test_stopping_an_iteration_ends_its_start_and_stopping_a_start_ends_the_fit():
    iteration = Recorder(stop_after=("iteration", 1))
    model_of("gd", n_init=3).set_callbacks(iteration).fit(X, NUMBERS)
    assert iteration.ended("iteration") == [0, 1] * 3
    assert sorted(iteration.ended("start")) == [0, 1, 2]
    start = Recorder(stop_after=("start", 1))
    model_of("gd", n_init=3).set_callbacks(start).fit(X, NUMBERS)
    assert start.ended("start") == [0, 1]
    assert len(start.fitted) == 16


@needs_callbacks
@pytest.mark.parametrize("error", [ZeroDivisionError, KeyboardInterrupt])
def test_they_are_torn_down_whatever_happens(error, monkeypatch):
    recorder, forward, countdown = Recorder(), objective.forward, [20]

    def failing_forward(*args):
        countdown[0] -= 1
        if countdown[0] == 0:
            raise error
        return forward(*args)

    monkeypatch.setattr(objective, "forward", failing_forward)
    model = model_of("gd", max_iter=1000).set_callbacks(recorder)
    expected = pytest.raises(error) if error is ZeroDivisionError else pytest.warns(UserWarning, match="interrupted")
    with expected:
        model.fit(X, NUMBERS)
    assert recorder.calls[-1] == ("teardown", "fit", 0)
    assert not {"_callback_fit_ctx", "_skl_callbacks_to_teardown"} & vars(model).keys()


@needs_callbacks
def test_what_a_callback_raises_is_raised():
    class Failing(Recorder):
        def on_fit_task_end(self, estimator, context):
            raise ZeroDivisionError("in a callback")

    with pytest.raises(ZeroDivisionError, match="in a callback"):
        model_of("lbfgs").set_callbacks(Failing()).fit(X, NUMBERS)


class Raising(Recorder):
    """A recorder that raises at the given call, and ever after."""

    def __init__(self, error, event, task_name, task_id=0):
        super().__init__()
        self.error, self.call = error, (event, task_name, task_id)

    def _raise(self):
        if self.call in self.calls:
            raise self.error

    def on_fit_task_begin(self, estimator, context):
        super().on_fit_task_begin(estimator, context)
        self._raise()

    def on_fit_task_end(self, estimator, context, *, X=None, y=None, metadata=None, fitted_estimator=None):
        super().on_fit_task_end(estimator, context)
        self._raise()

    def assert_all_ended_once(self):
        begun, ended = ([call[1:] for call in self.calls if call[0] == event] for event in ("begin", "end"))
        assert sorted(begun) == sorted(ended)


@needs_callbacks
@pytest.mark.parametrize("way", SOLVERS)
@pytest.mark.parametrize("seed", [0, 1])
@pytest.mark.parametrize(("event", "n_iter"), [("end", 5), ("begin", 4)])
def test_an_interrupt_inside_a_callback_keeps_the_best_weights(event, n_iter, seed, way):
    """The callback is interrupted again each time it is called, as one that takes long may be."""
    recorder = Raising(KeyboardInterrupt, event, "iteration", 4)
    model = model_of(way, max_iter=1000, random_state=seed).set_callbacks(recorder)
    with pytest.warns(UserWarning, match=f"interrupted after {n_iter} iterations; the best weights so far are kept"):
        model.fit(X, NUMBERS)
    recorder.assert_all_ended_once()
    with pytest.warns(ConvergenceWarning):
        whole = model_of(way, max_iter=n_iter, random_state=seed).fit(X, NUMBERS)
    assert model.loss_curve_ == whole.loss_curve_
    best = int(np.argmin(whole.loss_curve_)) + 1
    with pytest.warns(ConvergenceWarning):
        kept = model_of(way, max_iter=best, random_state=seed).fit(X, NUMBERS)
    assert model.loss_ == kept.loss_
    np.testing.assert_array_equal(model.predict(X), kept.predict(X))


@needs_callbacks
@unconverged
@pytest.mark.parametrize(
    "task", [("end", "fit"), ("end", "iteration", 7), ("begin", "iteration", 0), ("begin", "start")]
)
@pytest.mark.parametrize("n_init", [1, 2])
def test_an_interrupt_inside_a_callback_at_the_ends_of_a_fit(n_init, task):
    recorder = Raising(KeyboardInterrupt, *task)
    model = model_of("gd", n_init=n_init).set_callbacks(recorder)
    if task == ("begin", "start") and n_init == 1:  # there is no such task
        model.fit(X, NUMBERS)
    else:
        with pytest.warns(UserWarning, match="interrupted"):
            model.fit(X, NUMBERS)
    recorder.assert_all_ended_once()
    assert np.isfinite(model.predict(X)).all()
    assert model.n_iter_ == (0 if task[0] == "begin" and (n_init > 1 or task[1] == "iteration") else 8)


@needs_callbacks
@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("n_init", [1, 2])
@pytest.mark.parametrize("call", [("end", "iteration", 2), ("begin", "iteration", 2), ("begin", "fit"), ("end", "fit")])
def test_a_callback_must_not_raise_stop_iteration(call, n_init, way):
    """To the solver it would mean that it may stop."""
    model = model_of(way, n_init=n_init).set_callbacks(Raising(StopIteration, *call))
    with pytest.raises(RuntimeError, match=r"The callback Raising raised StopIteration\. To stop a fit, return True"):
        model.fit(X, NUMBERS)
    assert not hasattr(model, "coefs_")


@needs_callbacks
@pytest.mark.parametrize("way", WAYS)
def test_nor_must_what_saves_a_state(way):
    class Saver(Recorder):
        def on_state(self, estimator_now):
            next(iter([]))

    with pytest.raises(RuntimeError, match="The callback Saver raised StopIteration"):
        model_of(way).set_callbacks(Saver()).fit(X, NUMBERS)


# ------------------------------------------------------------------------------------------------- scikit-learn's own


@needs_callbacks
@unconverged
@every_way
@every_estimator
def test_scoring_monitor_records_the_scores_of_each_iteration(Estimator, way):
    from sklearn.callback import ScoringMonitor

    y, scoring = target(Estimator), "r2" if Estimator is TwoLayerRegressor else "neg_log_loss"
    monitor = ScoringMonitor(scoring=scoring)
    model = model_of(way, Estimator).set_callbacks(monitor).fit(X, y)
    rows = [row for row in monitor.get_logs().data if row["task_name"] == "iteration"]
    scorer = sklearn.metrics.get_scorer(scoring)
    expected = [scorer(model_of(way, Estimator, max_iter=i).fit(X, y), X, y) for i in range(1, 9)]
    assert len(rows) == 8
    assert [rows[kept_of(way, model.loss_curve_[:i])][scoring] for i in range(1, 9)] == expected
    assert monitor.get_logs().data[0][scoring] == scorer(model, X, y)


@pytest.fixture
def screen(monkeypatch):
    """Give what rich prints to."""
    rich = pytest.importorskip("rich", reason="rich, which ProgressBar needs, is not installed")
    screen = io.StringIO()
    monkeypatch.setattr(rich, "_console", rich.console.Console(file=screen, width=200, force_terminal=False))
    return screen


@needs_callbacks
@unconverged
@every_way
@pytest.mark.parametrize("n_init", [1, 3])
def test_progress_bar_shows_a_bar(way, n_init, screen):
    from sklearn.callback import ProgressBar

    model_of(way, n_init=n_init).set_callbacks(ProgressBar(max_propagation_depth=None)).fit(X, NUMBERS)
    lines = screen.getvalue().splitlines()
    titles = ["TwoLayerRegressor - fit", *(f"TwoLayerRegressor - start #{i}" for i in range(n_init) if n_init > 1)]
    assert [line.partition(" ━")[0].strip() for line in lines] == titles
    assert all("100%" in line for line in lines)


@needs_callbacks
@unconverged
@every_way
def test_progress_bar_shows_a_bar_in_a_pipeline_in_a_search(way, screen):
    from sklearn.callback import ProgressBar

    pipeline = make_pipeline(StandardScaler(), model_of(way))
    search = GridSearchCV(pipeline, {"twolayerregressor__hidden_units": [2, 3]}, cv=2)
    search.set_callbacks(ProgressBar(max_propagation_depth=None)).fit(X, NUMBERS)
    bars = [line for line in screen.getvalue().splitlines() if "TwoLayerRegressor - fit" in line]
    assert len(bars) == 5
    assert all("100%" in bar for bar in bars)


@needs_callbacks
@unconverged
def test_iterations_are_reported_in_a_pipeline():
    recorder = Recorder()
    make_pipeline(StandardScaler(), model_of("lm").set_callbacks(recorder)).fit(X, NUMBERS)
    assert recorder.ended("iteration") == list(range(8))


# --------------------------------------------------------------------------------------------------- with and without


@pytest.mark.skipif(SUPPORTED, reason="scikit-learn has callbacks")
def test_without_callbacks_in_scikit_learn_there_is_no_way_to_set_them():
    assert not hasattr(TwoLayerRegressor(), "set_callbacks")
    assert not hasattr(TwoLayerClassifier(), "set_callbacks")


@unconverged
def test_nobody_reports_where_nobody_listens(monkeypatch):
    monkeypatch.delattr(FittedTwoLayer, "_skl_callbacks", raising=False)  # of the option --with-callbacks
    with patch.object(callback_support.Reporter, "__init__", side_effect=AssertionError):
        model_of("lm").fit(X, NUMBERS)


@needs_callbacks
def test_what_is_no_callback_is_refused():
    with pytest.raises(TypeError, match="FitCallback"):
        model_of("lm").set_callbacks(print)


@needs_callbacks
def test_a_clone_has_them_too():
    recorder = Recorder()
    assert clone(model_of("lm").set_callbacks(recorder))._skl_callbacks == [recorder]


class Predictor:
    """A callback that predicts at each iteration, and keeps nothing."""

    def setup(self, estimator, context):
        pass

    teardown = on_fit_task_begin = setup

    def on_fit_task_end(self, estimator, context, *, X=None, fitted_estimator=None):
        if fitted_estimator is not None:
            assert len(fitted_estimator.predict(X)) > 0


def watched():
    models = [
        TwoLayerRegressor(3, max_iter=3),
        TwoLayerClassifier(3, solver="lm", max_iter=3),
        TwoLayerClassifier(3, solver="adam", max_iter=20),
    ]
    return [model.set_callbacks(Predictor()) for model in models] if SUPPORTED else []


@unconverged
@parametrize_with_checks(watched())
def test_conformance_with_callbacks(estimator, check):
    check(estimator)
