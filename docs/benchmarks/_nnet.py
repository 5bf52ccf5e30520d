"""How R's nnet fits the same network from the same start, timed within R.

nnet minimises the sum of squared errors (without the half), or of log losses, plus sum(decay * weights^2). So its
criterion is 2 n J with decay = alpha for a regression, and n J with decay = alpha / 2 for log loss; decay is a vector
with 0 for the biases. Its weights are ordered by the unit they lead to, the bias first.
"""

import functools
import os
import re
import shutil
import subprocess
import tempfile
import time
from pathlib import Path

import numpy as np
from _tasks import Weights

SCRIPT = """
library(nnet)
arguments <- commandArgs(TRUE)
maxit <- as.integer(arguments[1])
trace <- arguments[2] == "trace"
kind <- arguments[3]
n <- as.integer(arguments[4])
h <- as.integer(arguments[5])
read <- function(name) readBin(name, "double", file.size(name) / 8)
x <- matrix(read("x"), n)
y <- matrix(read("y"), n)
start <- read("start")
decay <- read("decay")
fit <- function(maxit, trace)
    nnet(x, y, size = h, Wts = start, decay = decay, linout = kind == "regression", entropy = kind == "binary",
         softmax = kind == "multiclass", maxit = maxit, trace = trace, abstol = -1, reltol = 0,
         MaxNWts = length(start))
warm <- fit(2L, FALSE)
cat("start\\n")
began <- Sys.time()
net <- fit(maxit, trace)
seconds <- as.numeric(Sys.time() - began, units = "secs")
writeBin(c(seconds, net$value, net$wts), "result")
"""


def fit_nnet(task, limit, watch=None):
    """Run one R process; return the seconds of the fit, the weights, and nnet's criterion as a value of J."""
    with tempfile.TemporaryDirectory() as folder:
        _write_input(task, Path(folder))
        size = [str(number) for number in (len(task.X), len(task.start.b1))]
        trace = "silent" if watch is None else "trace"
        command = ["Rscript", "--vanilla", "fit.R", str(limit), trace, task.kind, *size]
        environment = {**os.environ, "OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}
        with subprocess.Popen(command, cwd=folder, env=environment, stdout=subprocess.PIPE, text=True) as process:
            for line in process.stdout:
                if watch is not None:
                    _follow(line, watch, _criterion_scale(task))
        if process.returncode:
            raise RuntimeError(f"Rscript ended with status {process.returncode}.")
        seconds, value, *theta = np.fromfile(Path(folder, "result"))
    return seconds, _from_nnet(np.array(theta), task.start), value / _criterion_scale(task)


def _criterion_scale(task):
    return len(task.X) * (2.0 if task.kind == "regression" else 1.0)


def _follow(line, watch, scale):
    """Take note of what nnet prints after every tenth iteration."""
    if line.startswith("start"):
        watch.began = time.perf_counter()
    found = re.match(r"iter\s*(\d+) value (\S+)", line)
    if found:
        watch(float(found[2]) / scale, int(found[1]))


def _write_input(task, folder):
    strength = task.alpha * (1.0 if task.kind == "regression" else 0.5)
    W1, b1, W2, b2 = task.start
    decay = Weights(np.full(W1.shape, strength), 0.0 * b1, np.full(W2.shape, strength), 0.0 * b2)
    arrays = {"x": task.X.T, "y": task.Y.T, "start": _to_nnet(task.start), "decay": _to_nnet(decay)}
    for name, array in arrays.items():
        np.ascontiguousarray(array, dtype=np.float64).tofile(folder / name)
    (folder / "fit.R").write_text(SCRIPT)


def _to_nnet(weights):
    W1, b1, W2, b2 = weights
    return np.concatenate([np.vstack([b, W]).T.ravel() for W, b in ((W1, b1), (W2, b2))])


def _from_nnet(theta, like):
    d, h = like.W1.shape
    hidden, output = np.split(theta, [(d + 1) * h])
    layers = hidden.reshape(h, d + 1).T, output.reshape(-1, h + 1).T
    return Weights(layers[0][1:].copy(), layers[0][0].copy(), layers[1][1:].copy(), layers[1][0].copy())


@functools.cache
def nnet_version():
    """Return the versions of R and of nnet, or an empty string where they are not installed."""
    if not shutil.which("Rscript"):
        return ""
    program = 'cat(R.version.string, "with nnet", as.character(packageVersion("nnet")))'
    found = subprocess.run(["Rscript", "--vanilla", "-e", program], capture_output=True, text=True, check=False)
    return found.stdout if found.returncode == 0 else ""
