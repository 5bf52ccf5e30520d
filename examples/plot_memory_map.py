"""
How large may the data be?
==========================

As large as the disk: a memory-mapped array is read block by block, in a fit as in a prediction. Here a million rows are
written to a file and fitted from there, and the memory that the fit takes is measured.
"""

import tempfile
import time
import tracemalloc
import warnings
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from sklearn.exceptions import ConvergenceWarning

from sk2layer import TwoLayerRegressor

N_ROWS, N_TEST, N_FEATURES, CHUNK = 1_000_000, 50_000, 30, 50_000
rng = np.random.default_rng(0)


def friedman(X):
    """Friedman's function of the first five inputs."""
    return 10 * np.sin(np.pi * X[:, 0] * X[:, 1]) + 20 * (X[:, 2] - 0.5) ** 2 + 10 * X[:, 3] + 5 * X[:, 4]


# %%
# The file is written in chunks, so that the data are never in memory as a whole. Numbers of single precision take half
# the room, and are computed with in single precision.

folder = tempfile.TemporaryDirectory()
path = Path(folder.name) / "X.npy"
written = np.lib.format.open_memmap(path, mode="w+", dtype=np.float32, shape=(N_ROWS, N_FEATURES))
y = np.empty(N_ROWS, dtype=np.float32)
for first in range(0, N_ROWS, CHUNK):
    rows = slice(first, first + CHUNK)
    written[rows] = rng.random((CHUNK, N_FEATURES), dtype=np.float32)
    y[rows] = friedman(written[rows]) + rng.standard_normal(CHUNK)
written.flush()
del written

# %%
# Mini-batches are what so many rows are for: one pass over them is many steps. Two passes with Adam, and what was
# allocated meanwhile:

warnings.filterwarnings("ignore", category=ConvergenceWarning)  # two passes are not the end, but will do
X = np.load(path, mmap_mode="r")
train, test = slice(N_TEST, None), slice(0, N_TEST)
model = TwoLayerRegressor(solver="adam", max_iter=2, random_state=0)
tracemalloc.start()
began = time.perf_counter()
model.fit(X[train], y[train])
seconds = time.perf_counter() - began
peak = tracemalloc.get_traced_memory()[1] / 2**20
tracemalloc.stop()

size = path.stat().st_size / 2**20
print(f"the file             {size:6.0f} MiB, {N_ROWS:,} rows")
print(f"memory of the fit    {peak:6.0f} MiB")
print(f"time of the fit      {seconds:6.1f} s")
print(f"R2 on {N_TEST:,} rows   {model.score(X[test], y[test]):6.3f}, the best possible is", end=" ")
print(f"{1 - 1 / np.var(y[test]):.3f}")

# %%
# How good is it after how many rows? ``partial_fit`` takes the chunks one after the other, as they might arrive from
# anywhere, and never sees one twice.

stream = TwoLayerRegressor(solver="adam", random_state=0)
seen, errors = [], []
for first in range(N_TEST, N_ROWS, CHUNK):
    stream.partial_fit(X[first : first + CHUNK], y[first : first + CHUNK])
    seen.append(first + CHUNK - N_TEST)
    errors.append(np.sqrt(np.mean((stream.predict(X[test]) - y[test]) ** 2)))

figure, (left, right) = plt.subplots(1, 2, figsize=(11, 4), width_ratios=[1, 2], layout="constrained")
bars = left.bar(["the data", "what the fit\nallocates"], [size, peak], color=["tab:gray", "tab:blue"])
left.bar_label(bars, fmt="%.0f MiB")
left.set(title="Memory", ylabel="MiB", ylim=(0, 1.1 * size))
right.plot(seen, errors, ".-", color="tab:blue", label="partial_fit")
right.axhline(1.0, color="black", linestyle=":", label="the noise")
right.set(title="Error on rows not seen", xlabel="rows seen", ylabel="RMSE")
right.legend()
plt.show()
del X
folder.cleanup()
