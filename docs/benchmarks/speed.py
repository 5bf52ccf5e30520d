"""How fast are a step, a gradient, a fit and a prediction, and what memory do they take? Beside the peers.

Ours and the peers' take turns in one run; printed are median times and the median of the ratios turn by turn, in
brackets with its quartiles. Above 1, a ratio says that the peer took longer. The network has sigmoid hidden units and
one linear output, the data are random numbers.

fits       A whole fit by Adam of 1, 3 and 10 epochs, in the units of the data. PyTorch's is its usual loop: shuffled
           rows, autograd, `torch.optim.Adam`. One thread each.
sigmoid    The ways to compute it, on as many numbers as fit into a second-level cache.
gradient   The objective with its gradient, on all rows, beside the two products of matrices in it alone,
           X @ W1 and X.T @ D1, in as many threads of BLAS. Where there are several threads, here and below, each turn
           is after a pause, in which those of BLAS go to sleep, and a call that is not timed.
matrix     Value, gradient and Gauss-Newton matrix, beside the product of the pairs of inputs with the pairs of hidden
           units in it alone (see `sk2layer.objective.curvature`), block by block.
lbfgs      An iteration of a fit by L-BFGS, and its memory beyond X at the peak, in a process of its own.
predict    Rows a second, and one row.
tiny       A fit of 100 x 5 with 5 units, 10 iterations, and a prediction of one row.
search     GridSearchCV over 24 candidates and 5 folds in two processes, both with the same number of epochs or of
           iterations, learning rate and batches. X and y come standardised; ours does it again.
mapped     An epoch of Adam and a prediction on a memory-mapped file: memory beyond the mapped pages.

    python docs/benchmarks/speed.py [--only fits predict] [--threads 1 2] [--repeats 9] [--cpu] [--quick]
"""

import argparse
import importlib.util
import tempfile
import time
import warnings
from functools import partial
from pathlib import Path

import numpy as np
from _turns import PeakMemory, in_a_new_process, more_turns, print_machine, print_ways, take_turns
from scipy.special import expit
from sklearn.datasets import make_friedman1
from sklearn.model_selection import GridSearchCV
from sklearn.neural_network import MLPRegressor
from sklearn.preprocessing import scale
from threadpoolctl import threadpool_limits

from sk2layer import TwoLayerRegressor
from sk2layer.model.activations import ACTIVATIONS
from sk2layer.model.losses import HalfSquaredError
from sk2layer.model.network import Network, Shape, initial_weights
from sk2layer.objective.curvature_terms import PAIR_COLUMNS
from sk2layer.objective.objective import Objective
from sk2layer.rows.sources import Table
from sk2layer.rows.threads import one_blas_thread
from sk2layer.solvers import Adam

FITS = [(2000, 10, 50, 32), (20_000, 30, 100, 200), (20_000, 100, 512, 512)]  # rows, inputs, units, rows of a batch
EPOCHS = (1, 3, 10)
FULL = (200_000, 30, 100)  # rows, inputs, units
MATRIX = (10_000, 20, 50)
LARGE = (500_000, 30, 100)
MAPPED = (10_000_000, 20, 50)
TINY = (100, 5, 5)
QUICK = {
    "fits": [(100, 10, 5, 32)],
    "full": (2000, 5, 10),
    "matrix": (1000, 5, 10),
    "large": (3000, 5, 10),
    "mapped": (20_000, 5, 10),
}
DTYPES = (np.float32, np.float64)
FOREVER = 10**6  # epochs of patience


def draw(n_rows, n_features, dtype):
    """Return random X and a y that depends on them."""
    rng = np.random.default_rng(0)
    X = rng.standard_normal((n_rows, n_features), dtype=dtype)
    return X, X[:, 0] + np.sin(X[:, 1]) + rng.standard_normal(n_rows, dtype=dtype)


def make_objective(X, y, n_hidden, n_threads=1):
    """Return an objective and where to start."""
    shape, activation = Shape(X.shape[1], n_hidden, 1), ACTIVATIONS["sigmoid"]
    network = Network(shape, activation, HalfSquaredError())
    theta = initial_weights(shape, activation, np.random.default_rng(0)).astype(X.dtype)
    return Objective(Table(X, y[:, np.newaxis]), network, shape.is_weight(), X.dtype, n_threads), theta


def peer(n_hidden, solver, max_iter, **params):
    """Return scikit-learn's network, which does not stop early."""
    params = {"tol": 0.0, "n_iter_no_change": FOREVER, "max_fun": 10**6, **params}
    return MLPRegressor(
        hidden_layer_sizes=(n_hidden,),
        activation="logistic",
        solver=solver,
        max_iter=max_iter,
        random_state=0,
        **params,
    )


def ours(n_hidden, solver, max_iter, **params):
    """Return our network, which does not stop early."""
    params = {"tol": 0.0, "n_iter_no_change": FOREVER, "alpha": 1.0, **params}
    return TwoLayerRegressor(n_hidden, solver=solver, max_iter=max_iter, random_state=0, **params)


# ---------------------------------------------------------------------- mini-batches


def torch_epochs(X, y, n_hidden, batch_size):
    """Return a function that trains for some epochs in PyTorch's usual way, or None where it is not installed."""
    if importlib.util.find_spec("torch") is None:
        return None
    import torch

    torch.set_num_threads(1)
    inputs, targets = torch.from_numpy(X), torch.from_numpy(y[:, np.newaxis])
    layers = torch.nn.Linear(X.shape[1], n_hidden), torch.nn.Sigmoid(), torch.nn.Linear(n_hidden, 1)
    network = torch.nn.Sequential(*layers).to(inputs.dtype)

    def train(epochs):
        optimizer = torch.optim.Adam(network.parameters(), lr=0.001, weight_decay=1e-4)
        for _ in range(epochs):
            for rows in torch.randperm(len(inputs)).split(batch_size):
                optimizer.zero_grad()
                (0.5 * torch.nn.functional.mse_loss(network(inputs[rows]), targets[rows])).backward()
                optimizer.step()

    return train


def measure_fits(options):
    """Print the time of whole fits by Adam."""
    for n, d, h, batch_size in options.fits:
        for dtype in DTYPES:
            X, y = draw(n, d, dtype)
            train = torch_epochs(X, y, h, batch_size)
            for epochs in EPOCHS:
                adam = Adam(batch_size=batch_size, learning_rate=0.001)
                ways = {
                    "ours": partial(ours(h, adam, epochs, standardize=False).fit, X, y),
                    "scikit-learn": partial(peer(h, "adam", epochs, batch_size=batch_size).fit, X, y),
                    "PyTorch": train and partial(train, epochs),
                }
                with threadpool_limits(1):
                    ways = {name: way for name, way in ways.items() if way}
                    seconds = take_turns(ways, options.repeats, options.clock)
                title = f"{n} x {d} -> {h}, {batch_size} at a time, {np.dtype(dtype)}, {epochs} epochs, ms"
                print_ways(title, seconds, 1e3, digits=1)


def measure_sigmoid(options):
    """Print the time of the sigmoid of one number, by its three forms."""
    for dtype in DTYPES:
        Z = np.random.default_rng(0).standard_normal(40_000).astype(dtype)
        A = np.empty_like(Z)
        ways = {
            "1 / (1 + exp(-z))": partial(_by_exp, Z, A),
            "(1 + tanh(z / 2)) / 2": partial(_by_tanh, Z, A),
            "expit": partial(expit, Z, out=A),
        }
        seconds = take_turns(ways, 20 * options.repeats)
        print_ways(f"{len(Z)} {np.dtype(dtype)}, ns an element", seconds, 1e9 / len(Z), digits=2)


def _by_exp(Z, A):
    np.negative(Z, out=A)
    np.exp(A, out=A)
    np.add(A, 1.0, out=A)
    np.divide(1.0, A, out=A)


def _by_tanh(Z, A):
    np.multiply(Z, 0.5, out=A)
    np.tanh(A, out=A)
    np.add(A, 1.0, out=A)
    np.multiply(A, 0.5, out=A)


# ---------------------------------------------------------------------- whole passes


def clocked(options, threads):
    """Return how ways with so many threads are timed."""
    return {"clock": options.clock} if threads == 1 else {"settled": True}


def measure_gradient(options):
    """Print the time of a gradient, and of its two products."""
    n, d, h = options.full
    for threads in options.threads:
        for dtype in DTYPES:
            X, y = draw(n, d, dtype)
            objective, theta = make_objective(X, y, h, threads)
            W1, D1 = theta[: d * h].reshape(d, h), np.empty((n, h), dtype)

            def gradient(objective=objective, theta=theta):
                with one_blas_thread():
                    objective.value_and_gradient(theta)

            def products(X=X, W1=W1, D1=D1):
                np.matmul(X, W1, out=D1)
                np.matmul(X.T, D1)

            with threadpool_limits(threads):
                ways = {"products": products, "gradient": gradient}
                seconds = take_turns(ways, options.repeats, **clocked(options, threads))
            print_ways(f"{n} x {d} -> {h}, {np.dtype(dtype)}, {threads} thread(s), ms", seconds, 1e3)


def measure_matrix(options):
    """Print the time of a Gauss-Newton matrix, and of its largest product."""
    n, d, h = options.matrix
    X, y = draw(n, d, np.float64)
    inputs, hidden = (np.ones((width * (width + 1) // 2, PAIR_COLUMNS)) for width in (d + 1, h))
    total = np.empty((len(inputs), len(hidden)))
    for threads in options.threads:
        objective, theta = make_objective(X, y, h, threads)

        def matrix(objective=objective, theta=theta):
            theta += 1e-15  # the sums at the last weights are remembered
            with one_blas_thread():
                objective.value(theta)
                objective.curvature(theta, hessian=False)

        def product():
            for _ in range(n // PAIR_COLUMNS):
                np.matmul(inputs, hidden.T, out=total)

        with threadpool_limits(threads):
            seconds = take_turns({"product": product, "matrix": matrix}, options.repeats, **clocked(options, threads))
        print_ways(f"{n} x {d} -> {h}, {len(theta)} parameters, {threads} thread(s), ms", seconds, 1e3)


def measure_lbfgs(options):
    """Print the time of an iteration, and the memory of a fit."""
    n, d, h = options.large
    for name in ("ours", "scikit-learn"):
        in_a_new_process(__file__, "--memory-of", name, *(["--quick"] if options.quick else []))
    X, y = draw(n, d, np.float64)
    for threads in options.threads:
        ways = {
            "ours": lambda k: ours(h, "lbfgs", k).fit(X, y),
            "scikit-learn": lambda k: peer(h, "lbfgs", k).fit(X, y),
        }
        with threadpool_limits(threads):
            seconds = more_turns(ways, 2, 6, max(1, options.repeats // 3), **clocked(options, threads))
        print_ways(f"{n} x {d} -> {h}, {threads} thread(s), ms an iteration", seconds, 1e3)


def print_memory(name, options):
    """Print the memory of a fit by L-BFGS beyond X and y, in a process that has done nothing else."""
    n, d, h = options.large
    X, y = draw(n, d, np.float64)
    make = ours if name == "ours" else peer
    make(2, "lbfgs", 2).fit(X[:50], y[:50])  # what is loaded at the first use
    with PeakMemory() as peak:
        make(h, "lbfgs", 3).fit(X, y)
    print(f"{n} x {d} -> {h}, L-BFGS of {name}: {peak.mebibytes:.0f} MiB beyond X and y ({X.nbytes / 2**20:.0f} MiB)")


def measure_predict(options):
    """Print the time of a prediction of many rows."""
    n, d, h = options.large
    for threads in options.threads:
        for dtype in DTYPES:
            X, y = draw(n, d, dtype)
            models = {"ours": ours(h, "adam", 1), "scikit-learn": peer(h, "adam", 1)}
            ways = {name: (lambda m=m: m.predict(X)) for name, m in models.items()}  # noqa: B023
            with threadpool_limits(threads):
                for model in models.values():
                    model.fit(X[:1000], y[:1000])
                seconds = take_turns(ways, options.repeats, **clocked(options, threads))
            print_ways(f"{n} x {d} -> {h}, {np.dtype(dtype)}, {threads} thread(s), ns a row", seconds, 1e9 / n)


# ---------------------------------------------------------------------- overhead


def measure_tiny(options):
    """Print the time of a tiny fit and of a prediction of one row."""
    n, d, h = TINY
    X, y = draw(n, d, np.float64)
    with threadpool_limits(1):
        for solver in ("adam", "lbfgs"):
            models = {"ours": ours(h, solver, 10), "scikit-learn": peer(h, solver, 10)}
            ways = {name: (lambda m=m: m.fit(X, y)) for name, m in models.items()}
            seconds = take_turns(ways, 10 * options.repeats, options.clock)
            print_ways(f"{n} x {d} -> {h}, {solver}, a fit, us", seconds)
            ways = {name: (lambda m=m: [m.predict(X[:1]) for _ in range(20)]) for name, m in models.items()}
            seconds = take_turns(ways, 10 * options.repeats, options.clock)
            print_ways(f"one row of {d} -> {h}, us", seconds, 1e6 / 20)


def measure_search(options):
    """Print the time of a grid search."""
    X, y = make_friedman1(100 if options.quick else 1000, noise=1.0, random_state=0)
    X, y, n_iter = scale(X), scale(y), 3 if options.quick else 100
    sizes, penalties = (10, 20, 50), (0.01, 0.1, 1.0, 10.0)
    for solver in ("adam", "lbfgs"):
        mine = Adam(learning_rate=0.001) if solver == "adam" else solver
        grids = {
            "ours": (
                ours(1, mine, n_iter),
                {"hidden_units": sizes, "alpha": penalties, "activation": ["sigmoid", "tanh"]},
            ),
            "scikit-learn": (
                peer(1, solver, n_iter),
                {"hidden_layer_sizes": sizes, "alpha": penalties, "activation": ["logistic", "tanh"]},
            ),
        }
        ways = {name: (lambda g=g: GridSearchCV(*g, n_jobs=2).fit(X, y)) for name, g in grids.items()}
        seconds = take_turns(ways, max(1, options.repeats // 3))
        print_ways(f"{len(X)} x 10, {solver}, {n_iter} iterations, seconds", seconds, 1.0, digits=1)


def measure_mapped(options):
    """Print the memory of a fit and a prediction on a mapped file, in a process that has done nothing else."""
    in_a_new_process(__file__, "--memory-of", "mapped", *(["--quick"] if options.quick else []))


def print_mapped_memory(options):
    """Write the file, and print the memory."""
    n, d, h = options.mapped
    with tempfile.TemporaryDirectory() as folder:
        X, y = (
            np.lib.format.open_memmap(Path(folder, name), "w+", np.float32, shape)
            for name, shape in (("X.npy", (n, d)), ("y.npy", (n,)))
        )
        for start in range(0, n, 100_000):
            rows = slice(start, min(start + 100_000, n))
            X[rows] = np.random.default_rng(start).standard_normal((rows.stop - start, d), dtype=np.float32)
            y[rows] = X[rows, 0] + np.sin(X[rows, 1])
        size = X.nbytes / 2**20
        X, y = (np.load(Path(folder, name), mmap_mode="r") for name in ("X.npy", "y.npy"))
        model = ours(h, "adam", 1).fit(np.array(X[:500]), np.array(y[:500]))  # what is loaded at the first use
        for name, way in (("an epoch of Adam", lambda: model.fit(X, y)), ("a prediction", lambda: model.predict(X))):
            with PeakMemory() as peak:
                way()
            print(f"{n} x {d} -> {h}, float32, mapped ({size:.0f} MiB), {name}: {peak.mebibytes:.0f} MiB", flush=True)


MEASURES = {
    "fits": measure_fits,
    "sigmoid": measure_sigmoid,
    "gradient": measure_gradient,
    "matrix": measure_matrix,
    "lbfgs": measure_lbfgs,
    "predict": measure_predict,
    "tiny": measure_tiny,
    "search": measure_search,
    "mapped": measure_mapped,
}


def parse_options():
    """Return the options."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="+", choices=MEASURES, default=list(MEASURES))
    parser.add_argument("--threads", nargs="+", type=int, default=[1, 2])
    parser.add_argument("--repeats", type=int, default=9)
    parser.add_argument(
        "--cpu",
        action="store_const",
        dest="clock",
        const=time.process_time,
        default=time.perf_counter,
        help="time of the processor instead of the clock's where there is one thread: on a machine that others use",
    )
    parser.add_argument("--quick", action="store_true", help="a smoke run: the smallest sizes, one repeat")
    parser.add_argument("--memory-of", choices=["ours", "scikit-learn", "mapped"], help="that only, in this process")
    options = parser.parse_args()
    sizes = {"fits": FITS, "full": FULL, "matrix": MATRIX, "large": LARGE, "mapped": MAPPED}
    for name, size in (QUICK if options.quick else sizes).items():
        setattr(options, name, size)
    if options.quick:
        options.repeats = 1
    return options


def main():
    """Measure and print."""
    options = parse_options()
    warnings.simplefilter("ignore")  # of not having converged
    if options.memory_of == "mapped":
        print_mapped_memory(options)
    elif options.memory_of:
        print_memory(options.memory_of, options)
    else:
        print_machine()
        for name in options.only:
            print(f"--- {name}", flush=True)
            MEASURES[name](options)


if __name__ == "__main__":
    main()
