"""How fast, and in how much memory, is the Gauss-Newton matrix formed, against `J.T @ J` of a dense Jacobian?

For half the squared error of one output the generalised Gauss-Newton matrix of the objective is J.T @ J / n plus the
penalty on the diagonal, with the rows of the Jacobian

    x_f r_a   (W1)      r_a   (b1)      a_a   (W2)      1   (b2)          r = a (1 - a) W2

`Objective.curvature` also returns the gradient, and the value is asked for: the time is that of all three, from X. For
the dense way it is given with and without the time to build the Jacobian. With several threads, ours share the rows and
leave BLAS one; the dense way leaves them to BLAS. The ways take turns, where there are several threads after a pause
and a call that is not timed; medians, and ratios to `gauss_newton`.
"""

import argparse
import importlib.metadata
import resource
import subprocess
import sys
import time

import numpy as np
from _turns import take_turns
from scipy.linalg.blas import dsyrk
from scipy.special import expit
from threadpoolctl import threadpool_limits

from sk2layer.model.activations import ACTIVATIONS
from sk2layer.model.losses import HalfSquaredError
from sk2layer.model.network import Network, Shape, initial_weights
from sk2layer.objective.objective import Objective
from sk2layer.rows.sources import Table
from sk2layer.rows.threads import one_blas_thread

SIZES = [(8192, 30, 30), (50000, 10, 30), (1024, 8, 20)]  # rows, inputs, hidden units
QUICK_SIZES = [(1024, 8, 20)]
MEMORY_SIZE = (1_000_000, 10, 20)
ALPHA = 0.01


def make_objective(n_rows, n_features, n_hidden, n_threads=1):
    """Return an objective on random data and a theta to evaluate it at."""
    rng = np.random.default_rng(0)
    X, Y = rng.standard_normal((n_rows, n_features)), rng.standard_normal((n_rows, 1))
    shape, activation = Shape(n_features, n_hidden, 1), ACTIVATIONS["sigmoid"]
    network = Network(shape, activation, HalfSquaredError())
    objective = Objective(Table(X, Y), network, penalty=ALPHA * shape.is_weight(), n_threads=n_threads)
    return objective, initial_weights(shape, activation, rng)


def dense_jacobian(objective, theta):
    """Return the Jacobian of the raw prediction, shape (n_samples, n_parameters), in the order of theta."""
    X, weights = objective.sums.X[:], objective.shape.unpack(theta)
    (n, d), h = X.shape, objective.shape.n_hidden
    A = expit(X @ weights.W1 + weights.b1)
    R = A * (1.0 - A) * weights.W2[:, 0]
    J = np.empty((n, objective.shape.n_parameters))
    # Reshaping one axis of J into two makes a view: the products are written where they belong.
    np.multiply(X[:, :, np.newaxis], R[:, np.newaxis, :], out=J[:, : d * h].reshape(n, d, h))
    J[:, d * h : (d + 1) * h] = R
    J[:, (d + 1) * h : -1] = A
    J[:, -1] = 1.0
    return J


def check(objective, theta, J):
    """Return the largest difference of both matrices relative to the largest entry; it must be below 1e-10."""
    expected = J.T @ J / objective.n_samples
    expected.flat[:: len(theta) + 1] += objective.penalty / objective.n_samples
    difference = np.abs(gauss_newton(objective, theta)[2] - expected).max() / np.abs(expected).max()
    if not difference <= 1e-10:
        raise AssertionError(f"the matrices differ by {difference:.1e}")
    return difference


def gauss_newton(objective, theta):
    """Return value, gradient and matrix as a fit computes them, at weights that it has not seen."""
    theta += 1e-15
    with one_blas_thread():
        return objective.value(theta), *objective.curvature(theta, hessian=False)[:2]


def compare(size, threads, repeats):
    """Print the times for one size."""
    objective, theta = make_objective(*size, threads)
    J = dense_jacobian(objective, theta)
    ways = {
        "gauss_newton": lambda: gauss_newton(objective, theta),
        "J.T @ J": lambda: J.T @ J,
        "dsyrk(J)": lambda: dsyrk(1.0, J.T),
        "build J, then J.T @ J": lambda: (lambda K: K.T @ K)(dense_jacobian(objective, theta)),
    }
    with threadpool_limits(limits=threads):
        difference = check(objective, theta, J)
        turns = take_turns(ways, repeats, settled=threads > 1)
    seconds = {name: float(np.median(values)) for name, values in turns.items()}
    cells = [f"{name} {1e3 * s:.2f} ms ({s / seconds['gauss_newton']:.2f})" for name, s in seconds.items()]
    n, d, h = size
    title = f"{n} x {d}, {h} units, {len(theta)} parameters, {threads} thread(s)"
    print(f"{title}: {'; '.join(cells)}; difference {difference:.0e}", flush=True)


def print_memory(size):
    """Print the memory that one call needs at its peak, beyond X, Y and what was there before; for a new process."""
    objective, theta = make_objective(*size)
    with threadpool_limits(limits=1):
        before = _peak_mebibytes()
        began = time.perf_counter()
        gauss_newton(objective, theta)
        seconds, after = time.perf_counter() - began, _peak_mebibytes()
    n, d, h = size
    data = 8 * n * d / 2**20
    print(f"{n} x {d} ({data:.0f} MiB), {h} units: {after - before:.0f} MiB beyond X at the peak, {seconds:.2f} s")


def _peak_mebibytes():
    unit = 2**20 if sys.platform == "darwin" else 2**10  # ru_maxrss is in bytes there, in KiB elsewhere
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 2**20


def main(arguments):
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--threads", nargs="+", type=int, default=[1, 2])
    parser.add_argument("--repeats", type=int, default=15)
    parser.add_argument("--quick", action="store_true", help="a smoke run: the smallest size, three repeats, no memory")
    parser.add_argument("--memory", action="store_true", help="the memory only, in this process")
    options = parser.parse_args(arguments)
    if options.memory:
        print_memory(MEMORY_SIZE)
        return
    versions = [f"{name} {importlib.metadata.version(name)}" for name in ("numpy", "scipy", "sk2layer")]
    print(", ".join(versions), flush=True)
    if not options.quick:  # first, since a new process begins with the largest memory that its parent ever had
        subprocess.run([sys.executable, __file__, "--memory"], check=True)
    for threads in options.threads:
        for size in QUICK_SIZES if options.quick else SIZES:
            compare(size, threads, 3 if options.quick else options.repeats)


if __name__ == "__main__":
    main(sys.argv[1:])
