"""What does an iteration cost on a cluster: seconds, bytes and memory, by rows and by worker processes?

Rows of 10 inputs in float32 are written to a file; worker processes read them from there and keep them, in blocks
of 250,000. Levenberg-Marquardt with 20 units then takes its iterations, as many for each setting. Reported are means
over all but the first of them, which are alike: one pass for second derivatives each, and one for every trial step.

The bytes are those that workers took from each other, by Dask's own records, and those that the loopback device
received, with what client, scheduler and workers tell each other besides. The memory is the largest that a worker and
the client had resident. No workers are a fit in the memory of this process, in one thread. The last lines are the model
`seconds = a + b rows / min(workers, cores)`, fitted to all settings, and where it is off.

    python docs/benchmarks/cluster.py [--rows 1e6 5e6] [--iterations 10] [--workers 1 2 4] [--plain] [--quick]
"""

import argparse
import os
import tempfile
import time
import warnings
from pathlib import Path

import dask
import dask.array as da
import numpy as np
from _turns import print_machine
from dask.distributed import Client, LocalCluster, get_client

from sk2layer import TwoLayerRegressor
from sk2layer.solvers import LevenbergMarquardt

SPAWN = "distributed.nanny.pre-spawn-environ"
MALLOC = {f"{SPAWN}.MALLOC_TRIM_THRESHOLD_": 2**26, f"{SPAWN}.MALLOC_MMAP_THRESHOLD_": 2**25}
"""Without, what a block's temporaries take is given back to the system and asked for again, block by block."""

N_INPUTS = 10
BLOCK_ROWS = 250_000


LOG_LENGTH = {"distributed.admin.low-level-log-length": 100_000}
"""How many transfers a worker remembers: more than there are."""


class Counting:
    """An objective, which counts the trial steps."""

    def __init__(self, objective):
        self.objective, self.n_trials = objective, 0

    def __getattr__(self, name):
        return getattr(self.objective, name)

    def value(self, theta):
        """Return the value as ever."""
        self.n_trials += 1
        return self.objective.value(theta)


class TimedLevenbergMarquardt(LevenbergMarquardt):
    """The solver, which notes what all its iterations but the first have taken."""

    begun: float
    taken: np.ndarray

    def minimize(self, objective, theta, run):
        """Minimise as ever."""
        counting, stamps = Counting(objective), []

        def note(result):
            if not stamps:
                stamps.append(spent(counting.n_trials))
            run.callback(result)

        type(self).begun = time.perf_counter()
        result = super().minimize(counting, theta, run._replace(callback=note))
        type(self).taken = (spent(counting.n_trials) - stamps[0]) / (result.nit - 1)
        return result


def spent(n_trials):
    """Return the seconds, processor seconds (of workers, of the client), trials and bytes (two kinds) so far."""
    here = [time.perf_counter(), time.process_time(), n_trials, loopback_bytes()]
    try:
        client = get_client()
    except ValueError:  # there is none: the fit is here
        return np.array([*here, 0.0, 0.0])
    return np.array([*here, sum(client.run(time.process_time).values()), sum(client.run(received_bytes).values())])


def received_bytes(dask_worker):
    """Return how many bytes a worker has taken from others."""
    return sum(transfer["total"] for transfer in dask_worker.transfer_incoming_log)


def loopback_bytes():
    """Return how many bytes have been received on the loopback device, where the system says."""
    lines = Path("/proc/net/dev").read_text().splitlines() if os.path.exists("/proc/net/dev") else []
    return next((int(line.split(":")[1].split()[0]) for line in lines if line.strip().startswith("lo:")), 0)


def peak_memory():
    """Return the largest memory in MiB that this process has had resident, where the system says."""
    lines = Path("/proc/self/status").read_text().splitlines() if os.path.exists("/proc/self/status") else []
    return next((int(line.split()[1]) / 1024 for line in lines if line.startswith("VmHWM")), float("nan"))


def generate(number, n_rows):
    """Return a block of rows and their targets."""
    rng = np.random.default_rng(number)
    X = rng.standard_normal((n_rows, N_INPUTS), dtype=np.float32)
    y = np.sin(2.0 * X[:, 0]) + X[:, 1] * X[:, 2] + 0.5 * X[:, 3] + 0.1 * rng.standard_normal(n_rows, dtype=np.float32)
    return X, y.astype(np.float32)


def write(directory, n_rows, block_rows):
    """Write rows and targets, block by block; those that are there already are kept."""
    with open(directory / "X", "ab") as X_file, open(directory / "y", "ab") as y_file:
        for number in range(y_file.tell() // (4 * block_rows), n_rows // block_rows):
            X, y = generate(number, block_rows)
            X.tofile(X_file)
            y.tofile(y_file)


def read(path, n_columns, block_rows, block_id=None):
    """Return a block of a file."""
    n = block_rows * n_columns
    block = np.fromfile(path, np.float32, count=n, offset=4 * n * block_id[0])
    return block.reshape(-1, n_columns) if n_columns > 1 else block


def from_disk(directory, n_rows, block_rows):
    """Return rows and targets as arrays of Dask."""
    chunks = (block_rows,) * (n_rows // block_rows)
    files = {"X": N_INPUTS, "y": 1}
    return [
        da.map_blocks(
            read,
            str(directory / name),
            n_columns,
            block_rows,
            chunks=(chunks, (n_columns,))[: 2 if n_columns > 1 else 1],
            dtype=np.float32,
            meta=np.empty((0,) * (2 if n_columns > 1 else 1), np.float32),
        )
        for name, n_columns in files.items()
    ]


def measure(directory, n_rows, n_workers, n_iter, block_rows, malloc):
    """Fit on a cluster of its own; return what is to be reported."""
    with (
        dask.config.set(malloc | LOG_LENGTH),
        LocalCluster(n_workers=n_workers, threads_per_worker=1, memory_limit="2GiB", dashboard_address=":0") as cluster,
        Client(cluster) as client,
    ):
        line = fit(*from_disk(directory, n_rows, block_rows), n_iter)
        return {"rows": n_rows, "workers": n_workers, **line, "worker MiB": max(client.run(peak_memory).values())}


def measure_here(directory, n_rows, n_iter):
    """Fit in memory; return what is to be reported."""
    X = np.fromfile(directory / "X", np.float32, count=n_rows * N_INPUTS).reshape(n_rows, N_INPUTS)
    y = np.fromfile(directory / "y", np.float32, count=n_rows)
    return {"rows": n_rows, "workers": 0, **fit(X, y, n_iter), "worker MiB": float("nan")}


def fit(X, y, n_iter):
    """Fit, and return what is to be reported of it."""
    model = TwoLayerRegressor(
        20, solver=TimedLevenbergMarquardt(), alpha=1.0, max_iter=n_iter, tol=0.0, n_jobs=1, random_state=0
    )
    start = time.perf_counter()
    model.fit(X, y)
    seconds, here, n_trials, loopback, there, received = TimedLevenbergMarquardt.taken
    return {
        "iterations": model.n_iter_,
        "s to load": TimedLevenbergMarquardt.begun - start,
        "s/iteration": seconds,
        "s/it./Mrow": 1e6 * seconds / len(X),
        "trials/it.": n_trials,
        "CPU s/it.": there,
        "client CPU s": here,
        "KiB exchanged": received / 1024,
        "KiB loopback": loopback / 1024,
        "loss": model.loss_,
        "load": os.getloadavg()[0],
        "client MiB": peak_memory(),
    }


def print_model(results):
    """Fit the model to the seconds on clusters, and print it and its error at each setting."""
    results = [line for line in results if line["workers"]]
    share = np.array([line["rows"] / min(line["workers"], os.cpu_count()) for line in results])
    seconds = np.array([line["s/iteration"] for line in results])
    A = np.column_stack([np.ones_like(share), share])
    (a, b), *_ = np.linalg.lstsq(A / seconds[:, np.newaxis], np.ones_like(seconds), rcond=None)
    print(f"\nseconds per iteration = {a:.3g} + {1e6 * b:.3g} per million rows of each core")
    for line, predicted in zip(results, A @ [a, b], strict=True):
        off = predicted / line["s/iteration"] - 1.0
        print(f"{line['rows']:>12,} rows, {line['workers']} workers: {predicted:8.3f} s, off by {100 * off:+.0f} %")


def parse_options():
    """Return the command line's options."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=float, nargs="+", default=[1e6, 5e6, 2e7, 5e7], help="with 2 workers")
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 2, 4], help="with the second number of rows")
    parser.add_argument("--iterations", type=int, default=10)
    parser.add_argument("--directory", type=Path, help="where to keep the file; by default a temporary one")
    parser.add_argument(
        "--plain", action="store_const", dest="malloc", const={}, default=MALLOC, help="with Dask's own malloc settings"
    )
    parser.add_argument("--quick", action="store_true", help="a smoke run: few rows")
    options = parser.parse_args()
    if options.quick:
        options.rows, options.workers, options.iterations = [2000, 4000], [1], 3
    options.rows = [int(rows) for rows in options.rows]
    return options


def report(line, results):
    """Print a line, with the heads of its columns before the first one, and keep it."""
    if not results:
        print(" ".join(f"{name:>13}" for name in line))
    print(" ".join(f"{value:13.5g}" for value in line.values()), flush=True)
    results.append(line)


def main():
    """Write the file, measure, and print."""
    options = parse_options()
    warnings.simplefilter("ignore")  # of not having converged
    print_machine()
    print(f"dask {dask.__version__}, {os.cpu_count()} cores", flush=True)
    block_rows = 500 if options.quick else BLOCK_ROWS
    settings = [(n_rows, 2) for n_rows in options.rows] + [(options.rows[1], n) for n in options.workers if n != 2]
    results = []
    with tempfile.TemporaryDirectory() as temporary:
        directory = options.directory or Path(temporary)
        write(directory, max(options.rows), block_rows)
        for n_rows, n_workers in settings:
            line = measure(directory, n_rows, n_workers, options.iterations, block_rows, options.malloc)
            report(line, results)
        report(measure_here(directory, options.rows[0], options.iterations), results)
    print_model(results)


if __name__ == "__main__":
    main()
