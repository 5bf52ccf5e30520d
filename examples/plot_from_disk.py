"""
Learn from a file that is larger than memory
============================================

Two ways to fit a network to data on disk, in the memory that a batch takes. Tables in Parquet files come batch by
batch, for ``partial_fit``; if the script is killed, it goes on where it was. And an array in a file, mapped into
memory, is passed to ``fit`` as it is. The files here are small, so that the example is quick; nothing else would change
for large ones. The first part needs the package pyarrow.
"""

# %%
# The data are a year of made-up readings of a heat pump, one each minute: the hour of the day, the temperature outside,
# and the power. They are written in row groups, as such tables come.

import pickle
import tempfile
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from sk2layer import TwoLayerRegressor


def power(hour, temperature):
    heating = 2.5 * np.log1p(np.exp(0.4 * (14.0 - temperature)))
    return heating * (0.7 + 0.3 * np.cos(2.0 * np.pi * (hour - 7.0) / 24.0)) + 1.5 * np.exp(-0.5 * (hour - 19.0) ** 2)


rng = np.random.default_rng(0)
minutes = rng.permutation(365 * 24 * 60)
hour = minutes / 60 % 24
season = 10.0 - 11.0 * np.cos(2.0 * np.pi * minutes / (365 * 24 * 60))
temperature = season + 4.0 * np.sin(2.0 * np.pi * (hour - 9.0) / 24.0) + rng.normal(scale=2.0, size=len(minutes))
columns = {"hour": hour, "temperature": temperature, "power": power(hour, temperature) + rng.normal(size=len(minutes))}

folder = tempfile.TemporaryDirectory()
table_path, state_path = Path(folder.name) / "pump.parquet", Path(folder.name) / "state.pickle"
pq.write_table(pa.table(columns), table_path, row_group_size=20_000)

# %%
# A pass over the file is one call of ``partial_fit`` for each batch. What has been learnt is a state to write down: the
# estimator, with Adam's moments and the means and spreads so far, and how many batches it has seen. The file is renamed
# into place when it is complete, so that a kill at any time leaves a good one.

EPOCHS = 3
file = pq.ParquetFile(table_path)
n_batches = EPOCHS * file.num_row_groups


def load():
    if state_path.exists():
        return pickle.loads(state_path.read_bytes())
    return TwoLayerRegressor(12, solver="adam", alpha=1e-3, random_state=0), []


def save(state):
    temporary = state_path.with_suffix(".new")
    temporary.write_bytes(pickle.dumps(state))
    temporary.replace(state_path)


def show_progress(done, error):
    width = 40 * done // n_batches
    print(f"\r[{'#' * width}{'.' * (40 - width)}] {done}/{n_batches}, error {error:.3f}", end="", flush=True)


def learn(killed_after=None):
    model, errors = load()
    for number in range(len(errors), n_batches):
        if number == killed_after:
            print("  killed")
            return None, errors
        batch = file.read_row_group(number % file.num_row_groups)
        X = np.column_stack([batch["hour"], batch["temperature"]])
        y = batch["power"].to_numpy()
        model.partial_fit(X, y)
        errors.append(np.sqrt(np.mean((model.predict(X) - y) ** 2)))
        save((model, errors))
        show_progress(len(errors), errors[-1])
    print()
    return model, errors


# %%
# Let the script be "killed" in the middle, and start it again. It has lost nothing: the weights are those of a run that
# was left alone, to the last bit.

_, errors_before = learn(killed_after=n_batches // 3)
model, errors = learn()

state_path.unlink()
undisturbed, _ = learn()
print("the same weights:", all(np.array_equal(a, b) for a, b in zip(model.coefs_, undisturbed.coefs_, strict=True)))

# %%
# The other way: an array in a file, in NumPy's format. ``mmap_mode="r"`` reads no more of it than is asked for, and a
# fit asks for a block of rows at a time, so that it takes the same memory for any number of rows.

array_path = Path(folder.name) / "pump.npy"
np.save(array_path, np.column_stack(list(columns.values())))
mapped = np.load(array_path, mmap_mode="r")
by_lbfgs = TwoLayerRegressor(12, solver="lbfgs", alpha=1e-3, tol=2e-3, random_state=0)
by_lbfgs.fit(mapped[:, :2], mapped[:, 2])
print(f"error {np.sqrt(np.mean((by_lbfgs.predict(mapped[:, :2]) - mapped[:, 2]) ** 2)):.3f}, of which the noise is 1")

# %%
# On the left, the error on each batch just after it was learnt from; the fit was killed at the line. On the right, what
# the network has learnt from the Parquet file: the power by hour and temperature, and where the truth has its contours.

figure, (left, right) = plt.subplots(1, 2, figsize=(10, 4), layout="constrained")
left.plot(np.arange(1, n_batches + 1), errors, color="tab:blue")
left.axvline(len(errors_before) + 0.5, color="tab:red", linestyle="--", label="killed, and started again")
left.axhline(1.0, color="gray", linestyle=":", label="noise")
left.set(xlabel="batch", ylabel="root mean squared error", title="partial_fit over Parquet row groups")
left.legend()

hours, degrees = np.meshgrid(np.linspace(0.0, 24.0, 97), np.linspace(-8.0, 28.0, 91))
predicted = model.predict(np.column_stack([hours.ravel(), degrees.ravel()])).reshape(hours.shape)
levels = np.linspace(0.0, 24.0, 13)
filled = right.contourf(hours, degrees, predicted, levels, cmap="viridis", extend="both")
right.contour(hours, degrees, power(hours, degrees), levels, colors="white", linewidths=0.8)
right.set(xlabel="hour", ylabel="temperature outside", title="power: learnt (colours), true (lines)")
figure.colorbar(filled, ax=right, label="kW")
plt.show()
folder.cleanup()
