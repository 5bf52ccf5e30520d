"""Do the pages for those who come from elsewhere say the truth, as far as it can be run here?

The code is that of the pages in docs/migrate, taken from there.
"""

import doctest
import re
import shutil
import subprocess

import numpy as np
import pytest
from repository import ROOT, text_of
from scipy.special import expit, log_expit
from sklearn.neural_network import MLPRegressor

from sk2layer import TwoLayerClassifier, TwoLayerRegressor
from sk2layer.solvers import SGD

FOLDER = "docs/migrate"


def blocks(page, language):
    """Return the blocks of code in a language."""
    return re.findall(rf"^```{language}\n(.*?)^```$", text_of(f"{FOLDER}/{page}"), re.M | re.S)


def run_examples(page, namespace, *, only=""):
    """Run the Python examples of a page whose block has the given text."""
    for block in blocks(page, r"\{doctest\}"):
        if only in block:
            for example in doctest.DocTestParser().get_examples(block):
                exec(example.source, namespace)
    return namespace


@pytest.fixture
def data(tmp_path):
    """Return X and y that are also in x.csv and y.csv."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(50, 3))
    y = np.sin(2 * X[:, 0]) + X[:, 1] + 0.1 * rng.normal(size=50)
    np.savetxt(tmp_path / "x.csv", X, delimiter=",", header="a,b,c", comments="", fmt="%.17g")
    np.savetxt(tmp_path / "y.csv", y, delimiter=",", header="y", comments="", fmt="%.17g")
    return X, y


def run_r(script, folder):
    """Run an R script in a folder; return what it wrote to result.csv."""
    if not shutil.which("Rscript"):
        pytest.skip("R is not installed")
    run = subprocess.run(
        ["Rscript", "--vanilla", "-e", script], cwd=folder, capture_output=True, text=True, check=False
    )
    if "there is no package called" in run.stderr:
        pytest.skip("R has no nnet")
    assert run.returncode == 0, run.stderr
    return np.loadtxt(folder / "result.csv")


WRITE = """
options(digits = 17)
write.table(c(net$value, net$wts, predicted), "result.csv", row.names = FALSE, col.names = FALSE)
"""


def network_of(values, n_rows):
    """Return nnet's criterion, and its weights and predictions, out of what R wrote."""
    value, rest = values[0], values[1:]
    from_nnet = run_examples("r.md", {}, only="def from_nnet")["from_nnet"]
    return value, rest[:-n_rows], from_nnet(rest[:-n_rows], 3, 5), rest[-n_rows:]


def test_the_network_of_r_is_the_same_network(data, tmp_path):
    X, y = data
    (code,) = blocks("r.md", "r")
    value, wts, (coefs, intercepts), predicted = network_of(run_r(code + WRITE, tmp_path), len(X))
    (W1, W2), (b1, b2) = coefs, intercepts
    np.testing.assert_allclose((expit(X @ W1 + b1) @ W2 + b2)[:, 0], predicted, rtol=1e-10, atol=1e-12)

    # One step so short that it is none: loss_ is then the objective at R's weights.
    model = TwoLayerRegressor(5, alpha=0.1, solver="gd", standardize=False, max_iter=1, tol=1e9)
    model.set_params(solver__learning_rate=1e-300).fit(X, y, coefs_init=coefs, intercepts_init=intercepts)
    np.testing.assert_allclose(model.predict(X), predicted, rtol=1e-10, atol=1e-12)
    of_biases = 0.1 * (np.sum(b1**2) + np.sum(b2**2))
    assert 2 * len(X) * model.loss_ + of_biases == pytest.approx(value, rel=1e-10)
    assert 0.1 * np.sum(wts**2) < value


def test_the_log_loss_of_r_is_the_same_with_half_the_decay(data, tmp_path):
    X, y = data
    label = (y > 0).astype(int)
    np.savetxt(tmp_path / "y.csv", label, header="y", comments="", fmt="%d")
    (code,) = blocks("r.md", "r")
    code = code.replace("linout = TRUE", "entropy = TRUE")
    value, _, (coefs, intercepts), predicted = network_of(run_r(code + WRITE, tmp_path), len(X))
    model = TwoLayerClassifier(5, alpha=0.2, solver="gd", standardize=False, max_iter=1, tol=1e9)
    model.set_params(solver__learning_rate=1e-300).fit(X, label, coefs_init=coefs, intercepts_init=intercepts)
    np.testing.assert_allclose(model.predict_proba(X)[:, 1], predicted, rtol=1e-10, atol=1e-12)
    of_biases = 0.1 * (np.sum(intercepts[0] ** 2) + np.sum(intercepts[1] ** 2))
    assert len(X) * model.loss_ + of_biases == pytest.approx(value, rel=1e-10)
    assert -log_expit(np.where(label, 1, -1) * model.decision_function(X)).sum() < value


def test_gradient_descent_of_pytorch_is_the_same():
    pytest.importorskip("torch", reason="PyTorch is not installed")
    namespace = {}
    (code,) = blocks("torch.md", "python")
    exec(code, namespace)
    model = run_examples("torch.md", namespace)["model"]
    theirs = [parameter.detach().numpy() for parameter in namespace["net"].parameters()]
    (W1, W2), (b1, b2) = model.coefs_, model.intercepts_
    for ours, its in zip([W1.T, b1, W2.T, b2], theirs, strict=True):
        np.testing.assert_allclose(ours, its, rtol=0, atol=1e-12)


def test_the_tables_name_parameters_that_exist():
    """Whatever a page calls `name=` or `name_` of ours is a parameter or an attribute."""
    named = set()
    for page in [*(ROOT / FOLDER).glob("*.md")] or pytest.skip("the documentation is not here"):
        rows = re.findall(r"^\|[^|]*\|([^|]*)\|", page.read_text(encoding="utf-8"), re.M)
        named |= {name for row in rows for name in re.findall(r"`(\w+)=", row)}
    known = {*TwoLayerClassifier().get_params(), *TwoLayerRegressor().get_params()}
    assert len(named) > 5
    assert named <= known


def same_start(data, theirs, ours, weight=None):
    """Fit both from the same weights."""
    X, y = data
    rng = np.random.default_rng(0)
    coefs, intercepts = [rng.normal(size=(3, 5)), rng.normal(size=(5, 1))], [rng.normal(size=5), rng.normal(size=1)]
    theirs.set_params(warm_start=True, max_iter=1, learning_rate_init=1e-300).fit(X, y)
    theirs.coefs_, theirs.intercepts_ = [W.copy() for W in coefs], [b.copy() for b in intercepts]
    theirs.set_params(max_iter=ours.max_iter, learning_rate_init=0.01).fit(X, y)
    ours.fit(X, y, coefs_init=coefs, intercepts_init=intercepts)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("nesterov", [False, True])
def test_the_penalty_of_a_batch_is_that_of_scikit_learn_with_the_factor_of_the_page(nesterov, data):
    params = {"tol": 0.0, "n_iter_no_change": float("inf")}
    solver = SGD(learning_rate=0.01, batch_size=10, shuffle=False, nesterov=nesterov)
    ours = TwoLayerRegressor(5, solver=solver, alpha=0.2 * 50 / 10, standardize=False, max_iter=20, **params)
    theirs = MLPRegressor(
        hidden_layer_sizes=(5,), activation="logistic", solver="sgd", alpha=0.2, batch_size=10, shuffle=False, **params
    )
    same_start(data, theirs.set_params(nesterovs_momentum=nesterov), ours)
    np.testing.assert_allclose(ours.coefs_[0], theirs.coefs_[0], rtol=1e-10)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_iterations_are_counted_over_all_calls_and_there_in_the_last(data):
    params = {"solver": "adam", "warm_start": True, "max_iter": 3, "random_state": 0}
    ours, theirs = TwoLayerRegressor(5, **params), MLPRegressor(hidden_layer_sizes=(5,), **params)
    for model in (ours, theirs):
        model.fit(*data).fit(*data)
    assert (ours.n_iter_, len(ours.loss_curve_)) == (6, 6)
    assert (theirs.n_iter_, len(theirs.loss_curve_)) == (3, 6)
