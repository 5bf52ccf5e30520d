"""Does Ctrl-C keep the best weights so far, warn, and leave a usable estimator, with every solver?"""

import os
import signal
import subprocess
import sys

import numpy as np
import pytest
from scipy.optimize import OptimizeResult
from sklearn.base import clone

from sk2layer import TwoLayerClassifier, TwoLayerRegressor
from sk2layer.estimator import starts
from sk2layer.estimator.monitor import Monitor
from sk2layer.objective import kronecker, objective
from sk2layer.solvers import SOLVERS

every_solver = pytest.mark.parametrize("solver", SOLVERS)
every_estimator = pytest.mark.parametrize("Estimator", [TwoLayerRegressor, TwoLayerClassifier])
interrupted_warning = r"The fit was interrupted after {} iterations; the best weights so far are kept\."

rng = np.random.default_rng(0)
X = rng.normal(size=(60, 3))
NUMBERS = X[:, 0] + np.sin(X[:, 1])


def target(Estimator):
    return NUMBERS if Estimator is TwoLayerRegressor else NUMBERS > 0.0


@pytest.fixture
def interrupt_at(monkeypatch):
    """Give a function that makes the n-th forward pass from now on be interrupted, as a key press would."""
    forward, countdown = objective.forward, [0]

    def interruptible_forward(*args):
        countdown[0] -= 1
        if countdown[0] == 0:
            raise KeyboardInterrupt
        return forward(*args)

    def set_countdown(n):
        countdown[0] = n

    monkeypatch.setattr(objective, "forward", interruptible_forward)
    return set_countdown


@every_solver
@every_estimator
@pytest.mark.parametrize("evaluation", [20, 21, 22, 23])
def test_the_best_weights_are_kept(Estimator, solver, evaluation, interrupt_at):
    y = target(Estimator)
    model = Estimator(5, solver=solver, random_state=0, max_iter=1000, tol=0.0, alpha=0.01)
    interrupt_at(evaluation)
    with pytest.warns(UserWarning, match=interrupted_warning.format(r"\d+")) as warned:
        assert model.fit(X, y) is model
    assert len(warned) == 1
    assert 0 < model.n_iter_ == len(model.loss_curve_) < 25
    again = Estimator(5, solver=solver, random_state=0, tol=0.0, alpha=0.01)
    again.set_params(max_iter=int(np.argmin(model.loss_curve_)) + 1)
    with pytest.warns(UserWarning, match="has not converged"):
        again.fit(X, y)
    assert model.loss_ == again.loss_
    np.testing.assert_array_equal(model.predict(X), again.predict(X))
    assert np.isfinite(model.score(X, y))


WAYS = {
    "default": {},
    "lbfgs": {"solver": "lbfgs"},
    "adam": {"solver": "adam", "alpha": "evidence"},
    "ard": {"alpha": "ard"},
    "three starts": {"n_init": 3},
}


@every_estimator
@pytest.mark.parametrize("params", WAYS.values(), ids=WAYS)
@pytest.mark.parametrize("evaluation", [1, 3, 8, 20, 21, 80, 150])
def test_while_the_penalty_is_sought_the_evidence_is_kept_with_the_weights(Estimator, params, evaluation, interrupt_at):
    """Also of the weights within the first round, where there is none yet."""
    y, model = target(Estimator), Estimator(5, random_state=0, tol=0.0, **params)
    interrupt_at(evaluation)
    with pytest.warns(UserWarning, match=interrupted_warning.format(r"\d+")) as warned:
        model.fit(X, y)
    assert len(warned) == 1
    assert 0 < model.n_iter_ == len(model.loss_curve_)
    assert model.loss_ == min(model.loss_curve_)
    assert model.penalty_ == params.get("alpha", "evidence")
    assert model.alpha_.shape == (5,)
    assert model.log_marginal_likelihood_ <= 0.0 or Estimator is TwoLayerRegressor
    assert np.isfinite([model.effective_n_parameters_, model.log_marginal_likelihood_]).all()
    if Estimator is TwoLayerRegressor:
        assert np.isfinite(model.predict_interval(X)).all()
        assert (model.noise_variance_ > 0.0).all()
    posterior = model._posterior.mean(X)
    np.testing.assert_allclose(posterior, model._raw_prediction(X), rtol=1e-12, atol=1e-12)


def test_of_the_rounds_before_an_interrupt_the_best_is_kept(monkeypatch):
    """Its weights, its penalty, its noise: those of a fit of as many rounds."""
    seen, add = [], kronecker.KroneckerSum.add

    def interrupted(*args):
        seen.append(1)
        if len(seen) == 7:
            raise KeyboardInterrupt
        return add(*args)

    monkeypatch.setattr(kronecker.KroneckerSum, "add", interrupted)
    model = TwoLayerRegressor(5, random_state=0)
    with pytest.warns(UserWarning, match=interrupted_warning.format(6)):
        model.fit(X, NUMBERS)
    monkeypatch.undo()
    best = int(np.argmin(model.loss_curve_)) + 1
    with pytest.warns(UserWarning, match="has not converged"):
        again = TwoLayerRegressor(5, random_state=0, max_iter=best).fit(X, NUMBERS)
    np.testing.assert_array_equal(model.predict_interval(X), again.predict_interval(X))
    for name in ("alpha_", "noise_variance_", "loss_", "log_marginal_likelihood_", "effective_n_parameters_"):
        np.testing.assert_array_equal(getattr(model, name), getattr(again, name))


@every_solver
def test_before_the_first_iteration_the_start_is_kept(solver, interrupt_at):
    model = TwoLayerRegressor(5, solver=solver, alpha=1.0, random_state=0)
    interrupt_at(1)
    with pytest.warns(UserWarning, match=interrupted_warning.format(0)):
        model.fit(X, NUMBERS)
    assert model.n_iter_ == 0
    assert np.isfinite(model.loss_)
    assert np.isfinite(model.predict(X)).all()


@every_solver
def test_with_early_stopping_the_best_is_that_of_the_validation_loss(solver, interrupt_at):
    model = TwoLayerRegressor(30, solver=solver, random_state=0, alpha=0.0, tol=0.0, early_stopping=True)
    model.set_params(n_iter_no_change=1000, max_iter=1000)
    interrupt_at(30)
    with pytest.warns(UserWarning, match="interrupted"):
        model.fit(X[:20], NUMBERS[:20], X_val=X[20:], y_val=NUMBERS[20:])
    best = int(np.argmin(model.validation_loss_curve_))
    stopped_there = clone(model).set_params(early_stopping=False, max_iter=best + 1)
    with pytest.warns(UserWarning, match="has not converged"):
        stopped_there.fit(X[:20], NUMBERS[:20])
    assert model.loss_ == stopped_there.loss_
    expected = model.validation_loss_curve_[best] * NUMBERS[:20].var()
    assert 0.5 * np.mean((model.predict(X[20:]) - NUMBERS[20:]) ** 2) == pytest.approx(expected, rel=1e-9)


@every_solver
@pytest.mark.parametrize("number", [1, 2, 4])
def test_of_several_starts_the_best_so_far_is_kept(solver, number, interrupt_at, monkeypatch):
    """It may be one that was finished, or the one that was not; those after it do not begin."""
    run, outcomes = starts.run, []

    def run_the_last_one_interrupted(*args):
        if len(outcomes) == number - 1:
            interrupt_at(8)
        outcomes.append(run(*args))
        return outcomes[-1]

    monkeypatch.setattr(starts, "run", run_the_last_one_interrupted)
    model = TwoLayerRegressor(5, solver=solver, alpha=1.0, random_state=1, max_iter=20, tol=0.0, n_init=4)
    with pytest.warns(UserWarning, match="interrupted"):
        model.fit(X, NUMBERS)
    assert len(outcomes) == number
    assert [outcome.interrupted for outcome in outcomes] == [False] * (number - 1) + [True]
    assert model.loss_ == min(outcome.loss for outcome in outcomes)


@pytest.mark.parametrize("n_finished", [0, 1, 3])
def test_of_parallel_starts_the_best_that_has_finished_is_kept(n_finished, monkeypatch):
    """The interrupt comes while the parent waits for the others."""
    losses = []

    class Parallel:
        def __init__(self, **options):
            pass

        def __call__(self, calls):
            for _ in range(n_finished):
                function, args, _ = next(calls)
                outcome = (getattr(function, "function", function))(*args)
                losses.append(outcome.loss)
                yield outcome
            raise KeyboardInterrupt

    monkeypatch.setattr(starts, "Parallel", Parallel)
    model = TwoLayerRegressor(5, random_state=1, max_iter=10, n_init=4, n_jobs=2)
    if n_finished:
        with pytest.warns(UserWarning, match="interrupted"):
            model.fit(X, NUMBERS)
        assert len(losses) == n_finished
        assert model.loss_ == min(losses)
    else:
        with pytest.raises(KeyboardInterrupt):
            model.fit(X, NUMBERS)
        assert not hasattr(model, "coefs_")


@every_solver
def test_an_interrupted_fit_goes_on_from_its_weights(solver, interrupt_at):
    model = TwoLayerRegressor(5, solver=solver, random_state=0, max_iter=100, alpha=0.01, warm_start=True)
    model.set_params(tol=0.0, n_iter_no_change=1000)
    interrupt_at(30)
    with pytest.warns(UserWarning, match="interrupted"):
        model.fit(X, NUMBERS)
    kept = model.loss_
    model.set_params(max_iter=1)
    if solver == "adam":  # its first step is as long as its rate, wherever it begins
        model.set_params(solver__learning_rate=1e-5)
    with pytest.warns(UserWarning, match="has not converged"):
        model.fit(X, NUMBERS)
    assert model.loss_curve_[0] < kept * 1.05
    assert model.n_iter_ == 1


@every_estimator
def test_an_interrupted_batch_is_as_if_it_had_not_come(Estimator, interrupt_at):
    """The interrupt goes on, so that it ends the loop over batches as well."""
    y = target(Estimator)
    model = Estimator(5, solver="sgd", random_state=0).partial_fit(X, y).partial_fit(X, y)
    before, loss_curve = model.predict(X), model.loss_curve_
    interrupt_at(2)
    with pytest.raises(KeyboardInterrupt):
        model.partial_fit(100.0 * X + 50.0, y)
    np.testing.assert_array_equal(model.predict(X), before)
    assert model.loss_curve_ == loss_curve
    assert model.partial_fit(X, y).n_iter_ == 3


@pytest.mark.parametrize("evaluation", range(20, 30))
def test_curves_of_an_interrupted_fit_are_equally_long(evaluation, interrupt_at):
    model = TwoLayerRegressor(5, solver="adam", tol=0.0, max_iter=1000, early_stopping=True, random_state=0)
    interrupt_at(evaluation)
    with pytest.warns(UserWarning, match=interrupted_warning.format(r"\d+")):
        model.fit(X, NUMBERS)
    assert model.n_iter_ == len(model.loss_curve_) == len(model.validation_loss_curve_)


def test_an_interrupt_while_an_iteration_is_noted_takes_it_off_the_curve():
    class Interrupting:
        def copy(self):
            raise KeyboardInterrupt

    monitor = Monitor()
    monitor(OptimizeResult(x=np.ones(1), fun=2.0))
    with pytest.raises(KeyboardInterrupt):
        monitor(OptimizeResult(x=Interrupting(), fun=1.0))
    monitor.forget_unfinished()
    assert monitor.loss_curve == [monitor.best.value] == [2.0]


FIT_FOREVER = """
import signal
import warnings
import numpy as np
from sk2layer import TwoLayerRegressor

signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell starts background jobs with SIGINT ignored
rng = np.random.default_rng(0)
X = rng.normal(size=(200, 3))
y = np.sin(X[:, 0])
model = TwoLayerRegressor({params}, tol=0.0, max_iter=10**9, random_state=0, verbose=True)
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    model.fit(X, y)
print("caught:", [str(warning.message) for warning in caught])
print("finite:", bool(np.isfinite(model.predict(X)).all()))
"""


@pytest.mark.skipif(os.name == "nt", reason="Windows has no SIGINT for a single process")
@pytest.mark.parametrize("params", ["solver='gd'", "solver='adam', n_iter_no_change=10**9, n_init=2"])
def test_a_real_interrupt(params):
    program = [sys.executable, "-c", FIT_FOREVER.format(params=params)]
    with subprocess.Popen(program, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        for _ in range(20):
            assert "iteration" in process.stdout.readline(), process.stderr.read()
        process.send_signal(signal.SIGINT)
        output, errors = process.communicate(timeout=120)
    assert process.returncode == 0, errors
    assert "caught: ['The fit was interrupted after" in output
    assert "finite: True" in output
