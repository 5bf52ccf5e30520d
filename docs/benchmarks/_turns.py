"""How calls are timed in turn, how their ratios are summed up, and how much memory a process took meanwhile."""

import importlib.metadata
import importlib.util
import os
import platform
import resource
import subprocess
import sys
import threading
import time
from functools import partial
from pathlib import Path

import numpy as np

STATUS = Path("/proc/self/status")


PAUSE = 0.2  # seconds


def settle(way):
    """Wait until the threads of other ways sleep, and let those of this one wake up.

    Threads of BLAS spin for a while after a product, on a core that others may need. And threads that wake up may share
    a core, until the system moves one of them.
    """
    time.sleep(PAUSE)
    way()


def take_turns(ways, repeats, clock=time.perf_counter, *, settled=False):
    """Return the seconds that each way took, an array for each name; a first round warms up.

    `settled`: each way is called once more before it is timed, see `settle`.
    """
    seconds = {name: [] for name in ways}
    for turn in range(repeats + 1):
        for name, way in ways.items():
            if settled:
                settle(way)
            began = clock()
            way()
            if turn > 0:
                seconds[name].append(clock() - began)
    return {name: np.array(values) for name, values in seconds.items()}


def more_turns(ways, few, many, repeats, clock=time.perf_counter, *, settled=False):
    """Return the seconds of one unit of work, of which `ways` take a number, without what a call costs besides.

    `settled` is as for `take_turns`.
    """
    seconds = {name: [] for name in ways}
    for turn in range(repeats + 1):
        for name, way in ways.items():
            if settled:
                settle(partial(way, few))
            stamps = [clock()]
            for n in (few, many):
                way(n)
                stamps.append(clock())
            if turn > 0:
                first, second = np.diff(stamps)
                seconds[name].append((second - first) / (many - few))
    return {name: np.array(values) for name, values in seconds.items()}


def ratio(theirs, ours):
    """Return the median of ratios taken turn by turn, with its quartiles, as text."""
    low, middle, high = np.percentile(theirs / ours, [25, 50, 75])
    return f"{middle:.2f} [{low:.2f}, {high:.2f}]"


def print_ways(title, seconds, unit=1e6, reference=None, digits=0):
    """Print the median time of each way, and its ratio to the first or to the reference."""
    reference = reference or next(iter(seconds))
    cells = [f"{name} {unit * np.median(s):.{digits}f}" for name, s in seconds.items()]
    ratios = [f"{name} {ratio(s, seconds[reference])}" for name, s in seconds.items() if name != reference]
    print(f"{title}: {', '.join(cells)}; ratio to {reference}: {', '.join(ratios)}", flush=True)


class PeakMemory:
    """A context that measures by how many MiB the resident memory rose at most.

    On Linux, it is looked at every other millisecond, without the pages of mapped files; elsewhere it is the highest of
    the process, with them.
    """

    def __init__(self):
        self.watches = STATUS.exists()
        self.highest, self._ended = 0.0, threading.Event()

    def __enter__(self):
        self.before = self._now()
        self._thread = threading.Thread(target=self._watch) if self.watches else None
        if self._thread:
            self._thread.start()
        return self

    def __exit__(self, *error):
        self._ended.set()
        if self._thread:
            self._thread.join()
        self.highest = max(self.highest, self._now())
        self.mebibytes = self.highest - self.before

    def _watch(self):
        while not self._ended.wait(0.002):
            self.highest = max(self.highest, self._now())

    def _now(self):
        if self.watches:
            lines = STATUS.read_text(encoding="ascii").splitlines()
            return next(int(line.split()[1]) / 2**10 for line in lines if line.startswith("RssAnon"))
        unit = 2**20 if sys.platform == "darwin" else 2**10  # ru_maxrss is in bytes there, in KiB elsewhere
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 2**20


def in_a_new_process(script, *arguments):
    """Run a script and let it print: a process begins with the largest memory that its parent ever had."""
    subprocess.run([sys.executable, script, *map(str, arguments)], check=True)


def print_machine():
    """Print the processor, the system and the versions."""
    model, cpuinfo = platform.processor() or platform.machine(), Path("/proc/cpuinfo")
    if cpuinfo.exists():
        named = [line for line in cpuinfo.read_text(encoding="utf-8").splitlines() if line.startswith("model name")]
        model = named[0].partition(":")[2].strip() if named else model
    names = [name for name in ("numpy", "scipy", "scikit-learn", "torch") if importlib.util.find_spec(_module(name))]
    versions = ", ".join(f"{name} {importlib.metadata.version(name)}" for name in names)
    print(f"{model}, {os.cpu_count()} cores, {platform.system()}; Python {platform.python_version()}, {versions}")


def _module(name):
    return "sklearn" if name == "scikit-learn" else name
