"""How long does each solver take to reach a given objective?

For each data set and seed, every method fits the same network (sigmoid hidden layer) from the same weights:

1. Each method runs to its end. Its objective is followed, and the time of the whole fit taken.
2. Two targets follow: (i) the final objective of scikit-learn's L-BFGS; (ii) the best of all its runs with this seed.
3. Each method that came as low is fitted again, now only up to the first iteration that reaches the target. The time of
   this whole fit, the median of several, is its time to the target; that its result reaches the target is checked.

The objective is one function for all, `Task.objective`. The methods take turns, in another order for each seed. Times
exclude imports, and each method has been warmed up. Ratios are to scikit-learn's own time to the same target, seed by
seed: its time until it first was that low, not until it stopped. "-" means that the target was not reached, and a ratio
of 0 that only the other method missed it.

The objective has many minima, and which of them a fit falls into is largely luck. So a third figure compares what luck
does not: (iii) the expected time to the median of the L-BFGS objectives if a fit that does not reach it is followed by
another from a new start: the time spent by all seeds, each until it reached the target or ended, over the number of
seeds that reached it (Hansen et al. 2009, "expected running time"). It is read off the first runs.
"""

import argparse
import importlib.metadata
import importlib.util
import os
import platform
import sys
import time
import warnings
from pathlib import Path
from typing import NamedTuple

import numpy as np
from _nnet import nnet_version
from _peers import Run, find_methods
from _tasks import list_data_sets, make_task
from threadpoolctl import threadpool_info, threadpool_limits

BASELINE, NNET = "scikit-learn/lbfgs", "R/nnet"
WITHIN = 1e-5  # a target counts as reached within this relative difference
ENOUGH = 1.0  # seconds after which a time is not taken again
QUICK = {"seeds": 1, "iterations": 30, "epochs": 5, "repeats": 1}
QUICK_SETS = ["diabetes", "breast_cancer"]


class Result(NamedTuple):
    """What a method did with one seed: its run to the end, and the seconds to the two targets."""

    run: Run
    to_lbfgs: float
    to_best: float


# ---------------------------------------------------------------------- measuring


def compare(task, methods, options):
    """Return the result of each method for one start."""
    turn = task.seed % len(methods)
    methods = methods[turn:] + methods[:turn]
    runs = {method.name: _record(method, task, options) for method in methods}
    lbfgs = runs[BASELINE].objective
    best = min(value for name, run in runs.items() if name.startswith("scikit-learn") for _, _, value in run.curve)
    to_lbfgs = _time_to(lbfgs, methods, task, runs, options.repeats)
    to_best = to_lbfgs if best > lbfgs * (1 - WITHIN) else _time_to(best, methods, task, runs, options.repeats)
    return {name: Result(run, to_lbfgs[name], to_best[name]) for name, run in runs.items()}


def _record(method, task, options):
    began = time.perf_counter()
    try:
        return method.record(task, options.epochs if method.counts_epochs else options.iterations, options.budget)
    except ValueError as error:  # it diverged
        print(f"  {method.name}: {error}", flush=True)
        return Run(time.perf_counter() - began, np.inf, np.inf, [])


def _time_to(target, methods, task, runs, repeats):
    """Return the median seconds of each method's fits up to the first iteration that reaches the target."""
    seconds = {method.name: [] for method in methods}
    goals = {method.name: _goals(target, method, task, runs[method.name].curve) for method in methods}
    for _ in range(repeats):
        for method in methods:
            if sum(seconds[method.name]) < ENOUGH:
                seconds[method.name].append(_reach(target, method, task, goals[method.name]))
    return {name: float(np.median(times)) for name, times in seconds.items()}


def _goals(target, method, task, curve):
    """Return the iterations at which the target is reached, the first of them exactly where that matters."""
    goals = [i for i, _, value in curve if value <= target * (1 + WITHIN)]
    if not goals or goals[0] > 20 * method.resolution:
        return goals
    low, high = max(goals[0] - method.resolution, 0), goals[0]
    while high - low > 1:  # bisection: only a method whose objective falls steadily has a resolution above 1
        middle = (low + high) // 2
        reached = method.measure(task, middle)[1] <= target * (1 + WITHIN)
        low, high = (low, middle) if reached else (middle, high)
    return [high, *goals]


def _reach(target, method, task, goals):
    """Return the seconds of the shortest fit that reaches the target; `goals` loses the iterations that do not."""
    for _ in range(3):  # rounding may make a second fit need one iteration more than the first
        if not goals:
            break
        seconds, objective = method.measure(task, goals[0])
        if objective <= target * (1 + 2 * WITHIN):
            return seconds
        goals.pop(0)
    return np.inf


def measure_data_set(name, kind, load, methods, options):
    """Return the results of all methods for all seeds, by method."""
    results = {method.name: [] for method in methods}
    for seed in range(options.seeds):
        network = {"hidden": options.hidden, "alpha": options.alpha, "origin": options.start, "seed": seed}
        task = make_task(name, kind, *load(), **network)
        if seed == 0:
            _print_title(task)
            for method in methods:
                method.measure(task, 3)  # warm up
        for method, result in compare(task, methods, options).items():
            results[method].append(result)
    return results


# ---------------------------------------------------------------------- printing


def print_machine(options):
    """Print what the figures depend on."""
    pools = {f"{pool['internal_api']} {pool['version'] or ''}": pool["num_threads"] for pool in threadpool_info()}
    threads = ", ".join(f"{name.strip()}: {number}" for name, number in sorted(pools.items()))
    names = ["numpy", "scipy", "scikit-learn", "sk2layer", *(["torch"] if importlib.util.find_spec("torch") else [])]
    versions = ", ".join(f"{name} {importlib.metadata.version(name)}" for name in names)
    print(f"CPU: {_cpu()}, {os.cpu_count()} cores; threads used: {threads}")
    print(f"Python {platform.python_version()}, {versions}; {nnet_version() or 'no R with nnet'}")
    print(f"{options.hidden} hidden units, alpha {options.alpha:g}, initial weights drawn as by {options.start}")
    print(f"Up to {options.iterations} iterations or {options.epochs} epochs; medians of {options.seeds} seed(s)\n")


def _cpu():
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    return next((line.split(":")[1].strip() for line in lines if line.startswith("model name")), platform.processor())


def _print_title(task):
    n_rows, n_inputs = task.X.shape
    parameters = sum(a.size for a in task.start)
    print(f"{task.name}: {task.kind}, {n_rows} rows, {n_inputs} inputs, {parameters} parameters", flush=True)


def print_table(results):
    """Print a line for each method."""
    part = f"{'seeds':5} {'seconds':9} {'ratio':26}"
    titles = f"{'(i) to the objective of L-BFGS':42} {'(ii) to the best of scikit-learn':42} (iii) with restarts"
    print(f"  {'':66} {titles}")
    print(f"  {'':20} {'objective':35} {'fit, s':9} {part} {part} {'seeds':5} {'seconds':9} ratio")
    baselines = baseline_times(results)
    restarts = expected_seconds(results)
    for name, of_seeds in results.items():
        final = spread([result.run.objective for result in of_seeds], ".5g")
        total = _number(np.median([result.run.seconds for result in of_seeds]), ".3g")
        times = [result.to_lbfgs for result in of_seeds], [result.to_best for result in of_seeds]
        parts = [_columns(*pair) for pair in zip(times, baselines, strict=True)]
        parts.append(_restart_columns(*restarts[name], restarts[BASELINE][1], len(of_seeds)))
        print(f"  {name:20} {final:35} {total:9} {' '.join(parts)}".rstrip())
    print(f"  Largest relative difference of a library's own objective from the common one: {_differences(results)}\n")


def baseline_times(results):
    """Return scikit-learn's own seconds to targets (i) and (ii), for each seed."""
    peers = [of_seeds for name, of_seeds in results.items() if name.startswith("scikit-learn")]
    to_best = [min(result.to_best for result in of_seed) for of_seed in zip(*peers, strict=True)]
    return [result.to_lbfgs for result in results[BASELINE]], to_best


def expected_seconds(results):
    """Return for each method how many seeds reached the median of the L-BFGS objectives, and the expected seconds."""
    target = (1 + WITHIN) * np.median([result.run.objective for result in results[BASELINE]])
    expected = {}
    for name, of_seeds in results.items():
        runs = [result.run for result in of_seeds]
        first = [next((s for _, s, value in run.curve if value <= target), np.inf) for run in runs]
        spent = sum(min(s, run.seconds) for s, run in zip(first, runs, strict=True))
        reached = int(np.isfinite(first).sum())
        expected[name] = reached, spent / reached if reached else np.inf
    return expected


def _restart_columns(reached, seconds, baseline, n_seeds):
    return f"{f'{reached}/{n_seeds}':5} {_number(seconds, '.3g'):9} {_number(seconds / baseline, '.3g')}"


def _columns(times, baseline):
    reached = f"{np.isfinite(times).sum()}/{len(times)}"
    return f"{reached:5} {_number(np.median(times), '.3g'):9} {spread(ratios(times, baseline), '.3g'):26}"


def ratios(times, baseline):
    """Return the ratios seed by seed; those of two targets not reached are left out."""
    pairs = [(a, b) for a, b in zip(times, baseline, strict=True) if np.isfinite(a) or np.isfinite(b)]
    return [a / b for a, b in pairs]


def spread(values, form):
    """Return the median with the smallest and the largest value."""
    if not values:
        return "-"
    middle, low, high = (_number(f(values), form) for f in (np.median, np.min, np.max))
    return middle if low == high else f"{middle} ({low} to {high})"


def _number(value, form):
    return format(value, form) if np.isfinite(value) else "-"


def _differences(results):
    worst = {
        name: max(abs(result.run.own / result.run.objective - 1) for result in of_seeds)
        for name, of_seeds in results.items()
        if all(np.isfinite(result.run.objective) for result in of_seeds)
    }
    name = max(worst, key=worst.get)
    return f"{worst[name]:.1e} ({name})"


def print_summary(all_results):
    """Print, for each data set, the ratios that the comparison is about."""
    pairs = [("sk2layer/lm", BASELINE), ("sk2layer/lm", NNET), ("sk2layer/lbfgs", BASELINE), (NNET, BASELINE)]
    titles = " ".join(f"{' / '.join(pair):36}" for pair in pairs)
    print("Summary: time to the objective of scikit-learn's L-BFGS (i), as a ratio; below it that with restarts (iii)")
    print(f"  {'data set':22} {titles}".rstrip())
    for data_set, results in all_results.items():
        times = {name: [result.to_lbfgs for result in of_seeds] for name, of_seeds in results.items()}
        restarts = {name: [seconds] for name, (_, seconds) in expected_seconds(results).items()}
        for title, seconds in ((data_set, times), ("", restarts)):
            cells = [spread(ratios(seconds[a], seconds[b]), ".3g") if {a, b} <= set(times) else "" for a, b in pairs]
            print(f"  {title:22} {' '.join(f'{cell:36}' for cell in cells)}".rstrip(), flush=True)


def plot(all_results, path):
    """Draw the objective, less the best known, against time: a panel for each data set, a line for each seed."""
    import matplotlib

    matplotlib.use("agg")
    from matplotlib import pyplot as plt

    columns = min(3, len(all_results))
    n_rows = -(-len(all_results) // columns)
    figure, axes = plt.subplots(n_rows, columns, figsize=(5 * columns, 4 * n_rows), squeeze=False, layout="constrained")
    for ax, (data_set, results) in zip(axes.flat, all_results.items(), strict=False):
        _draw(ax, data_set, results)
    for ax in axes.flat[len(all_results) :]:
        ax.set_axis_off()
    figure.legend(*axes[0, 0].get_legend_handles_labels(), loc="outside lower center", ncols=5)
    figure.savefig(path, dpi=120)


def _draw(ax, data_set, results):
    curves = [
        (number, name, result.run.curve)
        for number, (name, of_seeds) in enumerate(results.items())
        for result in of_seeds
    ]
    best = min(value for _, _, curve in curves for _, _, value in curve)
    labelled = set()
    for number, name, curve in curves:
        if not curve:
            continue
        _, seconds, values = np.transpose(curve)
        excess = np.minimum.accumulate(values) - best
        label = None if name in labelled else name
        labelled.add(name)
        ax.loglog(seconds, np.where(excess > 0, excess, np.nan), color=f"C{number}", lw=0.8, alpha=0.8, label=label)
    ax.set(title=data_set, xlabel="seconds", ylabel="objective, less the best known")
    ax.set_ylim(bottom=1e-4 * best)


# ---------------------------------------------------------------------- options


def parse_options(arguments):
    """Return the options; those of --quick replace the defaults, not what is given."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("--data", metavar="DIR", help="folder with the data sets that are not bundled; see _tasks.py for the format")
    add("--only", nargs="+", metavar="NAME", help="data sets to take; all by default")
    add("--methods", nargs="+", metavar="NAME", help="methods to take, such as sk2layer/lm; all by default")
    add("--hidden", type=int, default=20, help="hidden units")
    add("--alpha", type=float, default=0.01, help="strength of the penalty")
    add("--start", choices=["scikit-learn", "sk2layer"], default="scikit-learn", help="whose random initial weights")
    add("--seeds", type=int, default=5)
    add("--iterations", type=int, default=2000, help="largest number of iterations")
    add("--epochs", type=int, default=500, help="the same for mini-batch solvers")
    add("--repeats", type=int, default=3, help="how often a time to a target is taken")
    add("--budget", type=float, default=120.0, metavar="SECONDS", help="stop a fit of sk2layer or PyTorch's Adam then")
    add("--plot", metavar="FILE", help="draw the objective against time")
    add("--quick", action="store_true", help="a smoke run: two data sets, one seed, few iterations")
    if "--quick" in arguments:
        parser.set_defaults(**QUICK, only=QUICK_SETS)
    return parser.parse_args(arguments)


def _select(names, available, what):
    unknown = set(names or ()) - set(available)
    if unknown:
        sys.exit(f"There is no {what} {', '.join(sorted(unknown))}. There are: {', '.join(available)}.")
    return [name for name in available if not names or name in names]


def main(arguments):
    """Measure and print."""
    options = parse_options(arguments)
    data_sets, methods = list_data_sets(options.data), {method.name: method for method in find_methods()}
    names = _select(options.only, data_sets, "data set")
    chosen = _select(options.methods and [*options.methods, BASELINE], methods, "method")
    all_results = {}
    with threadpool_limits(limits=1), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of not having converged: the figures say so
        if importlib.util.find_spec("torch"):
            import torch

            torch.set_num_threads(1)
        print_machine(options)
        for name in names:
            all_results[name] = measure_data_set(name, *data_sets[name], [methods[m] for m in chosen], options)
            print_table(all_results[name])
    print_summary(all_results)
    if options.plot:
        plot(all_results, options.plot)


if __name__ == "__main__":
    main(sys.argv[1:])
