"""How much faster are more threads? Ours and PyTorch on the processor, in turn, for 1, 2, 4, ... threads.

Printed are median times, and the speed relative to one thread, turn by turn, in brackets with its quartiles. The
network has sigmoid hidden units and one linear output, the data are random numbers.

gradient   The objective with its gradient on all rows; PyTorch's is a forward and a backward pass by autograd.
blocks     A gradient in float64 by the rows of a block, half as many rows.
matrix     The Gauss-Newton matrix.
predict    A prediction of all rows.
std        A prediction with its standard deviation, after a fit by evidence.
starts     A fit of eight starts by evidence, in as many processes.

Each turn is after a pause, in which the threads of others go to sleep, and a call that is not timed.

    python docs/benchmarks/threads.py [--only gradient predict] [--threads 1 2 4] [--repeats 9] [--quick]
"""

import argparse
import importlib.util
import os
import warnings
from functools import partial

import numpy as np
from _turns import print_machine, ratio, take_turns
from sklearn.datasets import make_friedman1
from speed import DTYPES, draw, make_objective, ours
from threadpoolctl import threadpool_limits

from sk2layer import TwoLayerRegressor
from sk2layer.rows.threads import one_blas_thread

FULL, MATRIX, STD, STARTS = (400_000, 30, 100), (20_000, 20, 50), (1_000_000, 10, 20), (1000, 10, 20)
"""Rows, inputs, units."""
QUICK = (2000, 5, 10)
BLOCKS = (128, 256, 512, 1130, 2560, 5120, 10240)


def torch_network(X, n_hidden):
    """Return PyTorch's network and its inputs, or None where it is not installed."""
    if importlib.util.find_spec("torch") is None:
        return None
    import torch

    layers = torch.nn.Linear(X.shape[1], n_hidden), torch.nn.Sigmoid(), torch.nn.Linear(n_hidden, 1)
    inputs = torch.from_numpy(X)
    return torch.nn.Sequential(*layers).to(inputs.dtype), inputs


def in_threads(n_threads, way, *args):
    """Call a way of PyTorch in so many threads."""
    import torch

    torch.set_num_threads(n_threads)
    way(*args)


def print_scaling(title, seconds):
    """Print times, and the speed of each number of threads relative to one."""
    for name in dict.fromkeys(name for name, _ in seconds):
        one = seconds[name, 1]
        cells = [f"{n}: {1e3 * np.median(s):.1f} ms, {ratio(one, s)}" for (who, n), s in seconds.items() if who == name]
        print(f"{title}, {name}: {'; '.join(cells)}", flush=True)


def measure_gradient(options):
    """Print the times of a gradient."""
    for dtype in DTYPES:
        n, d, h = options.full
        X, y = draw(n, d, dtype)
        ways = {}
        for threads in options.threads:
            objective, theta = make_objective(X, y, h, threads)
            ways["ours", threads] = partial(_gradient, objective, theta)
        torch = torch_network(X, h)
        if torch is not None:
            for threads in options.threads:
                ways["PyTorch", threads] = partial(in_threads, threads, _torch_gradient, *torch, y)
        print_scaling(f"gradient, {n} x {d} -> {h}, {np.dtype(dtype)}", take_turns(ways, options.repeats, settled=True))


def _gradient(objective, theta):
    with one_blas_thread():
        objective.value_and_gradient(theta)


def _torch_gradient(network, inputs, y):
    import torch

    network.zero_grad()
    targets = torch.from_numpy(y[:, np.newaxis])
    (0.5 * torch.nn.functional.mse_loss(network(inputs), targets)).backward()


def measure_blocks(options):
    """Print the times of a gradient by the rows of a block."""
    n, d, h = options.full[0] // 2, *options.full[1:]
    X, y = draw(n, d, np.float64)
    for rows in BLOCKS:
        ways = {}
        for threads in options.threads:
            objective, theta = make_objective(X, y, h, threads)
            objective.sums.block_rows = rows
            ways["ours", threads] = partial(_gradient, objective, theta)
        print_scaling(f"gradient, {n} x {d} -> {h}, blocks of {rows}", take_turns(ways, options.repeats, settled=True))


def measure_matrix(options):
    """Print the times of a Gauss-Newton matrix."""
    n, d, h = options.matrix
    X, y = draw(n, d, np.float64)
    ways = {}
    for threads in options.threads:
        objective, theta = make_objective(X, y, h, threads)
        ways["ours", threads] = partial(_matrix, objective, theta)
    print_scaling(f"matrix, {n} x {d} -> {h}", take_turns(ways, options.repeats, settled=True))


def _matrix(objective, theta):
    theta += 1e-15  # the sums at the last weights are remembered
    with one_blas_thread():
        objective.curvature(theta, hessian=False)


def measure_predict(options):
    """Print the times of a prediction."""
    for dtype in DTYPES:
        n, d, h = options.full
        X, y = draw(n, d, dtype)
        model = ours(h, "adam", 1).fit(X[:1000], y[:1000])
        ways = {("ours", n): partial(_predict, model, X, n) for n in options.threads}
        torch = torch_network(X, h)
        if torch is not None:
            for threads in options.threads:
                ways["PyTorch", threads] = partial(in_threads, threads, _torch_predict, *torch)
        print_scaling(f"predict, {n} x {d} -> {h}, {np.dtype(dtype)}", take_turns(ways, options.repeats, settled=True))


def measure_std(options):
    """Print the times of a prediction with and without its standard deviation."""
    n, d, h = options.std
    X, y = make_friedman1(1000, d, noise=1.0, random_state=0)
    model = TwoLayerRegressor(h, random_state=0).fit(X, y)
    X = np.random.default_rng(0).random((n, d))
    ways = {("predict", n): partial(_predict, model, X, n) for n in options.threads}
    ways |= {("with std", n): partial(_predict, model, X, n, return_std=True) for n in options.threads}
    seconds = take_turns(ways, max(1, options.repeats // 3), settled=True)
    print_scaling(f"std, {n} x {d} -> {h}", seconds)
    for threads in options.threads:
        times = ratio(seconds["with std", threads], seconds["predict", threads])
        print(f"std, {threads} thread(s): with std {times} times as long as plain", flush=True)


def measure_starts(options):
    """Print the times of a fit of several starts."""
    n, d, h = options.starts
    X, y = make_friedman1(n, d, noise=0.3, random_state=0)
    ways = {}
    for jobs in options.threads:
        model = TwoLayerRegressor(h, n_init=8, n_jobs=jobs, random_state=0)
        ways["ours", jobs] = partial(model.fit, X, y)
    with threadpool_limits(1):
        print_scaling(f"eight starts, {n} x {d} -> {h}", take_turns(ways, max(1, options.repeats // 3), settled=True))


def _predict(model, X, n_threads, **params):
    with threadpool_limits(n_threads, user_api="blas"):
        model.predict(X, **params)


def _torch_predict(network, inputs):
    import torch

    with torch.no_grad():
        network(inputs)


MEASURES = {
    "gradient": measure_gradient,
    "blocks": measure_blocks,
    "matrix": measure_matrix,
    "predict": measure_predict,
    "std": measure_std,
    "starts": measure_starts,
}


def main():
    """Measure and print."""
    cores = os.cpu_count() or 1
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="+", choices=MEASURES, default=list(MEASURES))
    parser.add_argument("--threads", nargs="+", type=int, default=[2**i for i in range(cores.bit_length())])
    parser.add_argument("--repeats", type=int, default=9)
    parser.add_argument("--quick", action="store_true", help="a smoke run: the smallest sizes, one repeat")
    options = parser.parse_args()
    sizes = (QUICK,) * 4 if options.quick else (FULL, MATRIX, STD, STARTS)
    options.full, options.matrix, options.std, options.starts = sizes
    if options.quick:
        options.repeats = 1
    if 1 not in options.threads:
        options.threads = [1, *options.threads]
    warnings.simplefilter("ignore")  # of not having converged
    print_machine()
    for name in options.only:
        MEASURES[name](options)


if __name__ == "__main__":
    main()
