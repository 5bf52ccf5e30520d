"""How each library fits the same network from the same start: one class per library, for time_to_quality.py.

A method's `fit` is one whole call of the library's own entry point, with its validation of the data. A `Watch`, where
one is passed, notes the time and the objective (or the weights) after each iteration, through a hook that costs some
microseconds. What counts in the end is the `Task.objective` of the weights that come back, the same function for all.
"""

import functools
import importlib
import importlib.util
import time
from abc import ABC, abstractmethod
from typing import NamedTuple
from unittest import mock

import numpy as np
import scipy.optimize
from _nnet import fit_nnet, nnet_version
from _tasks import Weights
from sklearn.neural_network import MLPClassifier, MLPRegressor

from sk2layer import TwoLayerClassifier, TwoLayerRegressor
from sk2layer.solvers import SOLVERS

TOL = 1e-8  # so small that no method stops before it has no more to gain
EPOCH_SOLVERS = ("sgd", "adam")


class Watch:
    """Time stamps of a fit; raises `StopIteration` when the time allowed is over."""

    def __init__(self, budget=np.inf):
        self.budget, self.points, self.began = budget, [], time.perf_counter()

    def __call__(self, found, iteration=None):
        """Note the objective or the weights after an iteration."""
        seconds = time.perf_counter() - self.began
        self.points.append((iteration or len(self.points) + 1, seconds, found))
        if seconds > self.budget:
            raise StopIteration


class Run(NamedTuple):
    """One fit; `curve` has (iteration, seconds since the start, objective), `own` is the library's own objective."""

    seconds: float
    objective: float
    own: float
    curve: list


class Method(ABC):
    """A solver of a library."""

    name: str
    counts_epochs = False
    can_be_stopped = False
    resolution = 1  # how many iterations apart the points of the curve are

    @abstractmethod
    def fit(self, task, limit, watch=None):
        """Fit with at most `limit` iterations; return the weights and the library's own objective, if it tells."""

    def record(self, task, limit, budget):
        """Fit and watch."""
        watch = Watch(budget if self.can_be_stopped else np.inf)
        weights, own = self.fit(task, limit, watch)
        return self._summary(task, limit, watch, time.perf_counter() - watch.began, weights, own)

    def measure(self, task, limit):
        """Fit without watching; return the seconds taken and the objective reached."""
        began = time.perf_counter()
        weights, _ = self.fit(task, limit)
        return time.perf_counter() - began, task.objective(weights)

    def _summary(self, task, limit, watch, seconds, weights, own):
        values = [found if np.isscalar(found) else task.objective(found) for _, _, found in watch.points]
        curve = [(i, s, v) for (i, s, _), v in zip(watch.points, values, strict=True)]
        final = task.objective(weights)
        if not curve or curve[-1][2] > final * (1 + 1e-12):  # where the hook does not see the end
            curve.append((limit, seconds, final))
        return Run(seconds, final, final if own is None else own, curve)


class Ours(Method):
    """A solver of sk2layer, with its own default hyperparameters."""

    can_be_stopped = True

    def __init__(self, solver):
        self.solver, self.name, self.counts_epochs = solver, f"sk2layer/{solver}", solver in EPOCH_SOLVERS

    def fit(self, task, limit, watch=None):
        """Call the estimator's `fit`."""
        solver = SOLVERS[self.solver]()
        if watch is not None:
            solver.minimize = _watched(solver.minimize, watch)
        estimator = TwoLayerRegressor if task.kind == "regression" else TwoLayerClassifier
        model = estimator(
            len(task.start.b1),
            solver=solver,
            alpha=task.alpha,
            standardize=False,
            max_iter=limit,
            tol=TOL,
            n_iter_no_change=limit,
            n_jobs=1,
            random_state=task.seed,
        )
        W1, b1, W2, b2 = task.start
        model.fit(task.X, task.y, coefs_init=[W1, W2], intercepts_init=[b1, b2])
        return Weights.of(model), model.loss_


def _watched(minimize, watch):
    def minimize_and_watch(objective, theta, run):
        def note(intermediate_result):
            run.callback(intermediate_result)
            watch(intermediate_result.fun)

        return minimize(objective, theta, run._replace(callback=note))

    return minimize_and_watch


class _Given:
    """A scikit-learn network that starts from given weights and can be watched after each epoch."""

    start, watch = None, None

    def _init_coef(self, fan_in, fan_out, dtype):
        layer = self.start[2:] if self.coefs_ else self.start[:2]
        return tuple(a.copy() for a in layer)

    def _update_no_improvement_count(self, *args):
        super()._update_no_improvement_count(*args)
        if self.watch is not None:
            self.watch(Weights.of(self))


class _GivenRegressor(_Given, MLPRegressor):
    pass


class _GivenClassifier(_Given, MLPClassifier):
    pass


class ScikitLearn(Method):
    """A solver of scikit-learn's MLPRegressor and MLPClassifier, with default hyperparameters."""

    def __init__(self, solver):
        self.solver, self.name, self.counts_epochs = solver, f"scikit-learn/{solver}", solver in EPOCH_SOLVERS

    def fit(self, task, limit, watch=None):
        """Call the estimator's `fit`."""
        model = (_GivenRegressor if task.kind == "regression" else _GivenClassifier)(
            hidden_layer_sizes=(len(task.start.b1),),
            activation="logistic",
            solver=self.solver,
            alpha=task.alpha,
            max_iter=limit,
            max_fun=20 * limit,
            tol=TOL,
            n_iter_no_change=limit,
            random_state=task.seed,
        )
        model.start, model.watch = task.start, watch
        if watch is None or self.counts_epochs:
            model.fit(task.X, task.y)
        else:
            self._fit_with_callback(model, task, watch)
        return Weights.of(model), None if self.counts_epochs else model.loss_

    def _fit_with_callback(self, model, task, watch):
        def note(intermediate_result):
            watch(float(intermediate_result.fun))

        with mock.patch("scipy.optimize.minimize", functools.partial(scipy.optimize.minimize, callback=note)):
            model.fit(task.X, task.y)


class PyTorch(Method):
    """A PyTorch optimiser on the network written with tensors of float64.

    Adam has the learning rate and the batches of sk2layer's Adam; L-BFGS has its history of 50 and a strong Wolfe line
    search.
    """

    def __init__(self, solver):
        self.solver, self.name, self.counts_epochs = solver, f"PyTorch/{solver}", solver in EPOCH_SOLVERS
        self.can_be_stopped = self.counts_epochs

    def fit(self, task, limit, watch=None):
        """Run the usual training loop."""
        import torch

        data = [torch.from_numpy(a) for a in (task.X, task.Y)]
        weights = [torch.tensor(a, requires_grad=True) for a in task.start]
        (self._adam if self.counts_epochs else self._lbfgs)(torch, task, data, weights, limit, watch)
        return _as_weights(weights), None

    def _adam(self, torch, task, data, weights, limit, watch):
        optimizer = torch.optim.Adam(weights, lr=SOLVERS["adam"]().learning_rate)
        generator = torch.Generator().manual_seed(task.seed)
        try:
            for _ in range(limit):
                for rows in torch.randperm(len(task.X), generator=generator).split(200):
                    optimizer.zero_grad()
                    _torch_objective(torch, task, [a[rows] for a in data], weights).backward()
                    optimizer.step()
                if watch is not None:
                    watch(_as_weights(weights))
        except StopIteration:
            pass

    def _lbfgs(self, torch, task, data, weights, limit, watch):
        options = {"history_size": SOLVERS["lbfgs"]().n_corrections, "line_search_fn": "strong_wolfe"}
        tolerances = {"tolerance_grad": TOL, "tolerance_change": 1e-14}
        optimizer = torch.optim.LBFGS(weights, max_iter=limit, max_eval=20 * limit, **options, **tolerances)

        def closure():
            optimizer.zero_grad()
            value = _torch_objective(torch, task, data, weights)
            value.backward()
            return value

        if watch is None:
            optimizer.step(closure)
            return
        module = importlib.import_module("torch.optim.lbfgs")
        search = module._strong_wolfe

        def search_and_watch(*args, **kwargs):
            found = search(*args, **kwargs)
            watch(float(found[0]))
            return found

        with mock.patch.object(module, "_strong_wolfe", search_and_watch):
            optimizer.step(closure)


def _as_weights(tensors):
    return Weights(*(a.detach().numpy().copy() for a in tensors))


def _torch_objective(torch, task, data, weights):
    X, Y = data
    W1, b1, W2, b2 = weights
    Z = torch.addmm(b2, torch.sigmoid(torch.addmm(b1, X, W1)), W2)
    penalty = (0.5 * task.alpha / len(task.X)) * (W1.square().sum() + W2.square().sum())
    if task.kind == "regression":
        return 0.5 * (Z - Y).square().sum() / len(X) + penalty
    if task.kind == "binary":
        return torch.nn.functional.binary_cross_entropy_with_logits(Z, Y) + penalty
    return torch.nn.functional.cross_entropy(Z, Y) + penalty


class RNnet(Method):
    """R's nnet: BFGS in compiled C."""

    name = "R/nnet"
    resolution = 10

    def fit(self, task, limit, watch=None):
        """Call R; here the time has to be measured there."""
        return fit_nnet(task, limit, watch)

    def record(self, task, limit, budget):
        """Fit and watch."""
        watch = Watch()
        seconds, weights, own = self.fit(task, limit, watch)
        return self._summary(task, limit, watch, seconds, weights, own)

    def measure(self, task, limit):
        """Fit without watching; return the seconds taken and the objective reached."""
        seconds, weights, _ = self.fit(task, limit)
        return seconds, task.objective(weights)


def find_methods():
    """Return all methods that can run here."""
    methods = [Ours(solver) for solver in SOLVERS] + [ScikitLearn(solver) for solver in ("adam", "lbfgs")]
    if nnet_version():
        methods.append(RNnet())
    if importlib.util.find_spec("torch"):
        methods += [PyTorch(solver) for solver in ("adam", "lbfgs")]
    return methods
