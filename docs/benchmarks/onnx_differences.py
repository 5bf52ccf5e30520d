"""How far is an exported network from the estimator, and how large is it? The table of the page on export.

Each estimator is fitted with its defaults to data that scikit-learn ships, exported in float32 and in float64, and
evaluated by onnxruntime on the rows that it was fitted to and on ones three times as far from their mean. Differences
are the largest over rows and outputs, relative to the largest value of that output; sizes are those of the files.

    python docs/benchmarks/onnx_differences.py

`--quick` is a smoke run, of smaller networks.
"""

import argparse

import numpy as np
import onnxruntime
import skl2onnx
from skl2onnx.common.data_types import guess_data_type
from sklearn.datasets import load_breast_cancer, load_diabetes, load_iris, load_wine

from sk2layer import TwoLayerClassifier, TwoLayerRegressor
from sk2layer.onnx import register


def make_cases():
    """Return what is exported, by name: the estimator, its data, options, and its own answers."""
    X, y = load_diabetes(return_X_y=True, scaled=False)
    flowers, species = load_iris(return_X_y=True)
    marks = np.column_stack([species == 0, flowers[:, 0] > 5.8]).astype(int)
    number, average = {"alpha": 1.0}, {"n_init": 5, "restarts": "average"}
    return {
        "one output": (TwoLayerRegressor, number, X, y, means),
        "two outputs": (TwoLayerRegressor, number, X[:, :9], np.column_stack([y, X[:, 9]]), means),
        "one output, with standard deviations": (TwoLayerRegressor, {}, X, y, standard_deviations),
        "average of five, with standard deviations": (TwoLayerRegressor, average, X, y, standard_deviations),
        "two classes": (TwoLayerClassifier, number, *load_breast_cancer(return_X_y=True), probabilities),
        "two classes, moderated": (TwoLayerClassifier, {}, *load_breast_cancer(return_X_y=True), probabilities),
        "three classes": (TwoLayerClassifier, number, *load_wine(return_X_y=True), probabilities),
        "three classes, moderated": (TwoLayerClassifier, {}, *load_wine(return_X_y=True), probabilities),
        "two labels at once, moderated": (TwoLayerClassifier, {}, flowers, marks, probabilities),
    }


def means(model, X):
    """Return the options and what is expected."""
    return {}, [model.predict(X)]


def standard_deviations(model, X):
    """Return the options and what is expected."""
    return {"return_std": True}, list(model.predict(X, return_std=True))


def probabilities(model, X):
    """Return the options and what is expected."""
    return {"zipmap": False}, [model.predict(X), model.predict_proba(X)]


def compare(model, X, answers):
    """Return the largest relative difference, and the size of the file in bytes."""
    options, expected = answers(model, X)
    kind = guess_data_type(X[:1])[0][1]
    kind.shape = [None, X.shape[1]]
    graph = skl2onnx.to_onnx(model, initial_types=[("X", kind)], options={id(model): options}).SerializeToString()
    outputs = onnxruntime.InferenceSession(graph, providers=["CPUExecutionProvider"]).run(None, {"X": X})
    differences = [
        np.abs(its.reshape(ours.shape) - ours).max() / np.abs(ours).max()
        for its, ours in zip(outputs, expected, strict=True)
    ]
    return max(differences), len(graph)


def main():
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true")
    units = 3 if parser.parse_args().quick else 20
    register()
    print("| what is exported | difference, float32 | difference, float64 | kB, float32 | kB, float64 |")
    print("|---|--:|--:|--:|--:|")
    for name, (Estimator, settings, X, y, answers) in make_cases().items():
        model = Estimator(units, random_state=0, **settings).fit(X, y)
        rows = np.vstack([X, X.mean(axis=0) + 3.0 * (X - X.mean(axis=0))])
        (single, size), (double, double_size) = (compare(model, rows.astype(t), answers) for t in ("f4", "f8"))
        sizes = f"{size / 1000:.1f} | {double_size / 1000:.1f}"
        print(f"| {name} | {single:.0e} | {double:.0e} | {sizes} |", flush=True)


if __name__ == "__main__":
    main()
