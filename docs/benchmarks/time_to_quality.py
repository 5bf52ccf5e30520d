"""How long does each solver take to reach a given objective?

For each data set and seed, every method fits the same network (sigmoid hidden layer) from the same weights:

1. Each method runs to its end: `--iterations`, or its own stopping rule before that. Its objective is followed, and the
   time of the whole fit taken.
2. There are up to three targets: the objective that scikit-learn's L-BFGS ends with, the one that R's nnet ends with,
   and the best that any of scikit-learn's solvers was at.
3. Each method that came as low is fitted again, now only up to the first iteration that reaches the target. The time of
   this whole fit, the median of several, is its time to the target; that its result reaches the target is checked.

A time to the objective of L-BFGS, or of nnet, is compared with two times of the one who set it, seed by seed:

(a) its whole fit, which is what its user waits for;
(b) its own time until it first was as low, which leaves out what it spends on the last digits.

The objective is one function for all, `Task.objective`. The methods take turns, in another order for each seed. Times
exclude imports, and each method has been warmed up. Printed are medians over seeds, in brackets the smallest and the
largest; "seeds" is how many of them reached the target. "-" means that the target was not reached, and a ratio of 0
that only the other method missed it.

The objective has many minima, and which of them a fit falls into is largely luck. So a last figure compares what luck
does not: the expected time to the median of the L-BFGS objectives if a fit that does not reach it is followed by
another from a new start, which is the time spent by all seeds, each until it reached the target or ended, over the
number of seeds that reached it (Hansen et al. 2009, "expected running time"). It is read off the first runs.
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
BEST = "the best of scikit-learn"
WITHIN = 1e-5  # a target counts as reached within this relative difference
ENOUGH = 1.0  # seconds after which a time is not taken again
QUICK = {"seeds": 1, "iterations": 30, "epochs": 5, "repeats": 1}
QUICK_SETS = ["diabetes", "iris"]


class Result(NamedTuple):
    """What a method did with one seed: its run to the end, the seconds of that, and those to each target."""

    run: Run
    whole: float
    to: dict


# ---------------------------------------------------------------------- measuring


def compare(task, methods, options):
    """Return the result of each method for one start."""
    turn = task.seed % len(methods)
    methods = methods[turn:] + methods[:turn]
    runs = {method.name: _record(method, task, options) for method in methods}
    whole = {method.name: _whole(method, task, runs[method.name], options) for method in methods}
    targets = {name: runs[name].objective for name in (BASELINE, NNET) if name in runs}
    seconds = {name: _time_to(target, methods, task, runs, options.repeats) for name, target in targets.items()}
    best = min(value for name, run in runs.items() if name.startswith("scikit-learn") for _, _, value in run.curve)
    same = best > targets[BASELINE] * (1 - WITHIN)
    seconds[BEST] = seconds[BASELINE] if same else _time_to(best, methods, task, runs, options.repeats)
    return {name: Result(runs[name], whole[name], {key: s[name] for key, s in seconds.items()}) for name in runs}


def _whole(method, task, run, options):
    """Return the seconds of a whole fit; of those that others are compared with, the median of several unwatched."""
    if method.name not in (BASELINE, NNET):
        return run.seconds
    seconds = []
    while len(seconds) < options.repeats and sum(seconds) < ENOUGH:
        seconds.append(method.measure(task, options.iterations)[0])
    return float(np.median(seconds))


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
    print(f"Up to {options.iterations} iterations or {options.epochs} epochs; medians of {options.seeds} seed(s)")
    print(f"A target counts as reached within a relative difference of {WITHIN:g}\n")


def _cpu():
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    return next((line.split(":")[1].strip() for line in lines if line.startswith("model name")), platform.processor())


def _print_title(task):
    n_rows, n_inputs = task.X.shape
    parameters = sum(a.size for a in task.start)
    print(f"{task.name}: {task.kind}, {n_rows} rows, {n_inputs} inputs, {parameters} parameters", flush=True)


def print_table(results):
    """Print what each method ended with, and how long it took to each target."""
    print(f"  {'':20} {'objective at the end':36} whole fit, seconds")
    for name, of_seeds in results.items():
        final = spread([result.run.objective for result in of_seeds], ".5g")
        print(f"  {name:20} {final:36} {spread([result.whole for result in of_seeds], '.3g')}")
    for target in (BASELINE, NNET):
        if target in results:
            _print_times(results, target, f"Time to the objective that {target} ends with", baselines(results, target))
    _print_times(results, BEST, f"Time to {BEST}, compared with its own", best_baseline(results))
    _print_restarts(results)
    print(f"  Largest relative difference of a library's own objective from the common one: {_differences(results)}\n")


def baselines(results, target):
    """Return the two times of a method, seed by seed, that the others' times to its objective are compared with."""
    whole = [result.whole for result in results[target]]
    return {"(a) its whole fit": whole, "(b) its own time": times(results, target, target)}


def best_baseline(results):
    """Return the time of the solver of scikit-learn that was the first to be as low as the best of them."""
    peers = [times(results, name, BEST) for name in results if name.startswith("scikit-learn")]
    return {"(b) its own time": [min(of_seed) for of_seed in zip(*peers, strict=True)]}


def times(results, name, target):
    """Return a method's seconds to a target, for each seed."""
    return [result.to[target] for result in results[name]]


def _print_times(results, target, title, references):
    print(f"  {title}")
    heads = " ".join(f"{'ratio to ' + name:28}" for name in references)
    print(f"  {'':20} seeds {'seconds':28} {heads}".rstrip())
    for name in results:
        seconds = times(results, name, target)
        reached = f"{np.isfinite(seconds).sum()}/{len(seconds)}"
        cells = " ".join(f"{spread(ratios(seconds, reference), '.3g'):28}" for reference in references.values())
        print(f"  {name:20} {reached:5} {spread(seconds, '.3g'):28} {cells}".rstrip())


def _print_restarts(results):
    expected = expected_seconds(results)
    print(f"  Expected time with restarts to the median of the objectives that {BASELINE} ends with")
    print(f"  {'':20} seeds {'seconds':28} ratio to {BASELINE}")
    for name, (reached, seconds) in expected.items():
        of_seeds = f"{reached}/{len(results[name])}"
        ratio = _number(seconds / expected[BASELINE][1], ".3g")
        print(f"  {name:20} {of_seeds:5} {_number(seconds, '.3g'):28} {ratio}")


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


def ratios(times, baseline):
    """Return the ratios seed by seed; those of two targets not reached are left out."""
    pairs = [(a, b) for a, b in zip(times, baseline, strict=True) if np.isfinite(a) or np.isfinite(b)]
    return [a / b for a, b in pairs]


def spread(values, form):
    """Return the median with the smallest and the largest value."""
    if not len(values):
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
    print("Summary: ratios of times, as above")
    targets = [target for target in (BASELINE, NNET) if any(target in results for results in all_results.values())]
    heads = " ".join(f"{f'{target}: (a)':28} {'(b)':28}" for target in targets)
    print(f"  {'':20} {'':16} {heads} with restarts")
    for data_set, results in all_results.items():
        expected = expected_seconds(results)
        for name in [name for name in ("sk2layer/lm", "sk2layer/lbfgs", NNET) if name in results]:
            cells = [
                spread(ratios(times(results, name, target), reference), ".3g")
                for target in targets
                for reference in baselines(results, target).values()
            ]
            cells.append(_number(expected[name][1] / expected[BASELINE][1], ".3g"))
            print(f"  {data_set:20} {name:16} {' '.join(f'{cell:28}' for cell in cells)}".rstrip(), flush=True)


# ---------------------------------------------------------------------- drawing

COLORS = {"sk2layer": "tab:blue", "scikit-learn": "tab:orange", "R": "tab:green", "PyTorch": "tab:purple"}
STYLES = {
    "lm": "-",
    "nnet": "-",
    "lbfgs": (0, (5, 1)),
    "adam": (0, (3, 1, 1, 1)),
    "sgd": (0, (1, 1)),
    "gd": (0, (1, 3)),
}
LOWEST_GAP = 1e-5


def plot(all_results, path):
    """Draw the gap to the best objective found against time: a panel for each data set."""
    import matplotlib

    matplotlib.use("agg")
    from matplotlib import pyplot as plt

    columns = min(3, len(all_results))
    n_rows = -(-len(all_results) // columns)
    size = 5.0 * columns, 3.8 * n_rows + 0.8
    figure, axes = plt.subplots(n_rows, columns, figsize=size, squeeze=False, sharey=True, layout="constrained")
    for ax, (data_set, results) in zip(axes.flat, all_results.items(), strict=False):
        _draw(ax, data_set, results)
    for ax in axes.flat[len(all_results) :]:
        ax.set_axis_off()
    axes[0, 0].set_ylim(bottom=0.8 * LOWEST_GAP)
    for ax in axes[:, 0]:
        ax.set_ylabel("(objective - best found) / best found")
    lines = {line.get_label(): line for ax in axes.flat for line in ax.get_lines()}
    named = {name: line for name, line in lines.items() if not name.startswith("_")}
    figure.legend(named.values(), named.keys(), loc="outside lower center", ncols=min(5, 2 * columns))
    figure.savefig(path, dpi=110)


def _draw(ax, data_set, results):
    """Draw a thin line for each seed, and a thick one for the median of all seeds that have begun."""
    best = min(value for of_seeds in results.values() for result in of_seeds for _, _, value in result.run.curve)
    for name, of_seeds in results.items():
        curves = [np.array(result.run.curve)[:, 1:] for result in of_seeds if result.run.curve]
        if not curves:
            continue
        library, solver = name.split("/")
        style = {"color": COLORS[library], "linestyle": STYLES.get(solver, "-")}
        gaps = [(seconds, np.minimum.accumulate(values) / best - 1.0) for seconds, values in (c.T for c in curves)]
        if len(gaps) > 1:
            for seconds, gap in gaps:
                ax.loglog(seconds, np.maximum(gap, LOWEST_GAP), lw=0.6, alpha=0.3, **style)
        ax.loglog(*_median_curve(gaps), lw=2.0, label=name, **style)
    ax.set(title=data_set, xlabel="seconds")
    ax.xaxis.set_minor_formatter("")
    ax.grid(alpha=0.3)


def _median_curve(gaps):
    """Return seconds, and the median over seeds of the lowest gap until then, once all seeds have one."""
    first = max(seconds[0] for seconds, _ in gaps)
    grid = np.geomspace(first, max(max(seconds[-1] for seconds, _ in gaps), first), 300)
    at = [gap[np.searchsorted(seconds, grid * (1 + 1e-12), side="right") - 1] for seconds, gap in gaps]
    return grid, np.maximum(np.median(at, axis=0), LOWEST_GAP)


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
    add("--plot", metavar="FILE", help="draw the gap to the best objective found against time")
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
