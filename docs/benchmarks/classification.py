"""How well are classes predicted, and how honest are the probabilities?

Each model is fitted to the training part of each of four splits and judged on the test part:

    accuracy            share of correct predictions
    log loss            mean negative log of the probability given to the true class
    calibration error   the rows of all test parts are put in ten bins of equal width by the probability of the class
                        predicted; averaged over rows, how far the bin's accuracy is from its mean probability

the first two as mean and standard error over the splits; and the median seconds of a fit, with its search if there is
one. Models:

    sk2layer, default           TwoLayerClassifier(), the penalty by evidence where it can be afforded
    sk2layer, alpha=1           the same with a given penalty
    MLPClassifier, searched     GridSearchCV over 4 penalties, 5-fold, by log loss; 20 units, solver="lbfgs", X scaled
    logistic regression         LogisticRegression(max_iter=1000), X scaled
    random forest               RandomForestClassifier(); a probability of 0 is taken for the smallest number above 0

Below them are the published accuracies of Fernandez-Delgado et al. (2014) on the same four splits.

    python docs/benchmarks/classification.py [--data DIR] [--only pima iris] [--quick]

`_splits.py` describes the folder. The bundled data sets have four stratified folds.

References
----------
Fernandez-Delgado, Cernadas, Barro & Amorim (2014). Do we need hundreds of classifiers to solve real world
classification problems? JMLR 15.
"""

import argparse
import warnings

import numpy as np
from _models import PENALTIES, classifier_search, mean_and_error, scaled, timed_fit
from _splits import classification_sets, selected
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss
from threadpoolctl import threadpool_limits

from sk2layer import TwoLayerClassifier

PUBLISHED = {  # accuracy in %
    "pima": {"nnet": 77.0, "averaged nnet": 77.1, "SVM": 78.3, "random forest": 76.6},
    "sonar": {"nnet": 83.6, "averaged nnet": 81.7, "SVM": 85.6, "random forest": 82.7},
    "german": {"nnet": 74.9, "averaged nnet": 74.6, "SVM": 76.8, "random forest": 77.1},
}
N_BINS = 10


def make_models(options, seed):
    """Return the models by name."""
    ours = {"hidden_units": options.units, "random_state": seed}
    return {
        "sk2layer, default": TwoLayerClassifier(**ours),
        "sk2layer, alpha=1": TwoLayerClassifier(**ours, alpha=1.0),
        "MLPClassifier, searched": classifier_search(options.penalties, seed, options.units),
        "logistic regression": scaled(LogisticRegression(max_iter=1000)),
        "random forest": RandomForestClassifier(options.trees, random_state=seed),
    }


def calibration_error(confidence, correct):
    """Return the mean over rows of |accuracy - mean confidence| of the row's bin."""
    bins = np.minimum((confidence * N_BINS).astype(int), N_BINS - 1)
    gaps = np.bincount(bins, correct - confidence, minlength=N_BINS)  # of each bin, times its number of rows
    return np.abs(gaps).sum() / len(bins)


def measure(data, options):
    """Return for each model the accuracies, the log losses and the seconds of all splits, and the calibration error."""
    results = {}
    for seed, X_train, y_train, X_test, y_test in data.parts():
        for name, model in make_models(options, seed).items():
            seconds = timed_fit(model, X_train, y_train)
            probability = model.predict_proba(X_test)
            correct = model.classes_[probability.argmax(axis=1)] == y_test
            row = correct, log_loss(y_test, probability, labels=model.classes_), seconds, probability.max(axis=1)
            results.setdefault(name, []).append(row)
    return {name: _summary(*zip(*rows, strict=True)) for name, rows in results.items()}


def _summary(correct, losses, seconds, confidence):
    accuracies = [100.0 * part.mean() for part in correct]
    return accuracies, losses, seconds, calibration_error(np.concatenate(confidence), np.concatenate(correct))


def print_table(data, results):
    """Print one data set."""
    print(f"\n{data!s}\n{'':32}{'accuracy, %':>14} {'log loss':>16} {'calibration error':>18} {'fit, s':>9}")
    for name, (accuracies, losses, seconds, calibration) in results.items():
        cells = f"{mean_and_error(accuracies, 1):>14} {mean_and_error(losses):>16} {calibration:18.3f}"
        print(f"{name:32}{cells} {np.median(seconds):9.2f}", flush=True)
    for name, accuracy in PUBLISHED.get(data.name, {}).items():
        print(f"{f'published: {name}':32}{accuracy:14.1f}")


def parse_options():
    """Return the options."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", metavar="DIR", help="a folder with classification/<name>/ and the rows of the splits")
    parser.add_argument("--only", nargs="+", metavar="NAME")
    parser.add_argument("--units", type=int, default=20, help="hidden units of both kinds of networks")
    parser.add_argument("--penalties", type=float, nargs="+", default=PENALTIES, help="for the search")
    parser.add_argument("--trees", type=int, default=500, help="of the random forest")
    parser.add_argument("--quick", action="store_true", help="a smoke run: iris, small models")
    options = parser.parse_args()
    if options.quick:
        options.only, options.units, options.penalties, options.trees = ["iris"], 3, [1.0], 20
    return options


def main():
    """Print a table for each data set."""
    options = parse_options()
    print(f"hidden_units={options.units}; 1 thread; mean ± standard error over splits, median seconds")
    with threadpool_limits(1), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of not having converged
        for data in selected(classification_sets(options.data), options.only):
            print_table(data, measure(data, options))


if __name__ == "__main__":
    main()
