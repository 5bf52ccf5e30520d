"""How do time and memory grow with the rows, the inputs and the units?

One of the three grows, the others stay: the seconds of a fit of two iterations of L-BFGS and of a prediction of all
rows, of ours and of scikit-learn's, in turn; and the memory of the fit beyond X and y at its peak, each in a process
of its own. The last line has the exponent by which a time grows between the two largest sizes: 1 is in proportion.

    python docs/benchmarks/scaling.py [--threads 1] [--plot curves.png] [--cpu] [--quick]
"""

import argparse
import subprocess
import sys
import time
import warnings

import numpy as np
from _turns import PeakMemory, print_machine, take_turns
from speed import draw, ours, peer
from threadpoolctl import threadpool_limits

BASE = {"rows": 50_000, "inputs": 30, "units": 100}
SIZES = {
    "rows": [1_000, 5_000, 20_000, 100_000, 500_000],
    "inputs": [3, 10, 30, 100, 300],
    "units": [10, 30, 100, 300, 1000],
}
QUICK_BASE = {"rows": 500, "inputs": 3, "units": 5}
QUICK_SIZES = {"rows": [200, 500], "inputs": [2, 4], "units": [3, 6]}
MAKERS = {"ours": ours, "scikit-learn": peer}


def measure(size, options):
    """Return the median seconds of both fits and both predictions."""
    X, y = draw(size["rows"], size["inputs"], np.float64)
    models = {name: make(size["units"], "lbfgs", 2) for name, make in MAKERS.items()}
    ways = {f"{name}, fit": (lambda m=model: m.fit(X, y)) for name, model in models.items()}
    ways |= {f"{name}, prediction": (lambda m=model: m.predict(X)) for name, model in models.items()}
    seconds = take_turns(ways, options.repeats, options.clock)
    return {name: float(np.median(values)) for name, values in seconds.items()}


def memory(size):
    """Return the MiB that each fit took, from a new process each."""
    arguments = [str(number) for number in size.values()]
    commands = {name: [sys.executable, __file__, "--memory-of", name, *arguments] for name in MAKERS}
    runs = {name: subprocess.run(command, check=True, stdout=subprocess.PIPE) for name, command in commands.items()}
    return {f"{name}, MiB": float(run.stdout) for name, run in runs.items()}


def print_memory(name, rows, inputs, units):
    """Print the MiB of a fit beyond X and y; for a new process."""
    X, y = draw(int(rows), int(inputs), np.float64)
    MAKERS[name](2, "lbfgs", 2).fit(X[:50], y[:50])  # what is loaded at the first use
    with PeakMemory() as peak:
        MAKERS[name](int(units), "lbfgs", 2).fit(X, y)
    print(peak.mebibytes)


def print_table(axis, sizes, results):
    """Print a line for each size, and how times grow."""
    names = list(results[0])
    print(f"{axis:>10}" + "".join(f"{name:>25}" for name in names))
    for size, row in zip(sizes, results, strict=True):
        print(f"{size:10}" + "".join(f"{row[name]:25.4g}" for name in names))
    span = np.log(sizes[-1] / sizes[-2])
    growth = [np.log(results[-1][name] / results[-2][name]) / span if "MiB" not in name else np.nan for name in names]
    print(f"{'exponent':>10}" + "".join(f"{value:25.2f}" for value in growth), flush=True)


def plot(tables, path):
    """Draw time and memory against size, a column of panels for each."""
    import matplotlib.pyplot as plt

    figure, panels = plt.subplots(2, len(tables), figsize=(12, 7), sharey="row", layout="constrained", squeeze=False)
    for column, (axis, (sizes, results)) in zip(panels.T, tables.items(), strict=True):
        for name in results[0]:
            panel = column[int("MiB" in name)]
            panel.loglog(sizes, [max(row[name], 1e-6) for row in results], marker="o", label=name.removesuffix(", MiB"))
        column[1].set_xlabel(axis)
    panels[0, 0].set_ylabel("seconds")
    panels[1, 0].set_ylabel("MiB beyond X and y")
    for panel in panels[:, 0]:
        panel.legend(fontsize="small")
    figure.savefig(path, dpi=120)


def parse_options():
    """Return the options."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--plot", metavar="FILE")
    parser.add_argument(
        "--cpu",
        action="store_const",
        dest="clock",
        const=time.process_time,
        default=time.perf_counter,
        help="time of the processor instead of the clock's, for one thread: on a machine that others use",
    )
    parser.add_argument("--quick", action="store_true", help="a smoke run: small sizes, one repeat, no memory")
    parser.add_argument("--memory-of", nargs=4, help="that only, in this process: whose, rows, inputs, units")
    return parser.parse_args()


def main():
    """Measure and print."""
    options = parse_options()
    warnings.simplefilter("ignore")  # of not having converged
    if options.memory_of:
        print_memory(*options.memory_of)
        return
    print_machine()
    base, all_sizes = (QUICK_BASE, QUICK_SIZES) if options.quick else (BASE, SIZES)
    options.repeats = 1 if options.quick else options.repeats
    print(f"{options.threads} thread(s), float64; where it does not grow: {base}; seconds, and MiB beyond X and y")
    tables = {}
    with threadpool_limits(options.threads):
        for axis, sizes in all_sizes.items():
            points = [{**base, axis: size} for size in sizes]
            results = [measure(point, options) | ({} if options.quick else memory(point)) for point in points]
            tables[axis] = sizes, results
            print_table(axis, sizes, results)
    if options.plot:
        plot(tables, options.plot)


if __name__ == "__main__":
    main()
