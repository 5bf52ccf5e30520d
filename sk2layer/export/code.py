"""Which program a fitted estimator is, and who writes it."""

import inspect
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from sklearn.utils.validation import check_is_fitted

from .._typing import Array
from ..classifier import TwoLayerClassifier
from ..estimator.by_evidence import members_of
from ..estimator.reach import constant_noise_of, is_multilabel, predicts_matrix
from ..regressor import TwoLayerRegressor
from .c import write_c
from .columns import columns_of, steps_of
from .excel import write_excel
from .latex import write_latex
from .network import check_variance, deviations, plain_mean, standardized_mean
from .program import INPUT, Builder, Program
from .python import write_numpy, write_python
from .sql import write_sql

WRITERS: dict[str, Callable[..., str]] = {
    "python": write_python,
    "numpy": write_numpy,
    "c": write_c,
    "excel": write_excel,
    "sql": write_sql,
    "latex": write_latex,
}


def to_code(
    estimator: Any,
    language: str,
    *,
    return_std: bool = False,
    include_noise: bool = True,
    plain: bool = False,
    feature_names: Sequence[str] | None = None,
    digits: int | None = None,
    **options: Any,
) -> str:
    """Write a fitted network out as code: the predictions of a regressor, or the probabilities of a classifier.

    Parameters
    ----------
    estimator : TwoLayerRegressor, TwoLayerClassifier or Pipeline
        A fitted estimator, or a Pipeline of scalers (`StandardScaler`, `MinMaxScaler`, `MaxAbsScaler`, `RobustScaler`)
        or :class:`~sk2layer.preprocessing.PiecewiseLinearEncoder` that ends in one. The code takes the columns of X as
        they are before the first step.
    language : {"python", "numpy", "c", "excel", "sql", "latex"}
        What is written. Python and C are a function of one number for each column, which returns a number; where there
        are several, Python returns a tuple, and C writes them to the array that is its last argument. NumPy is a
        function of an array of rows. Excel is two lines of cells with tabs between them, headers and formulas, for the
        columns right of the inputs: one formula for each output, or, where that would be too long, one for each value
        on the way. SQL is a query, and LaTeX equations.
    return_std : bool, default=False
        Whether the standard deviations of a regressor's predictions come after these; for a fit by evidence, with so
        few parameters that its posterior can be written out.
    include_noise : bool, default=True
        Whether they are those of a new y, or of the model's part alone.
    plain : bool, default=False
        Whether the probabilities of a classifier are those of its weights alone, as they are of `to_mlp`. After a fit
        by evidence its `predict_proba` averages over all weights that the data leave possible, which takes about as
        many terms as standard deviations.
    feature_names : sequence of str, optional
        The names of the columns of X, by default those that were seen in `fit`, or x0, x1 and so on. They become names
        of arguments, with what a language does not allow replaced, or of columns, as they are.
    digits : int, optional
        The significant digits of the numbers; by default all that they have.
    **options : dict
        What else the language takes:

        - name : str, default="predict": the name of the function; "python", "numpy", "c".
        - dtype : {"float64", "float32"}: the type that is computed in, by default that of the weights; "numpy", "c".
          In float32, columns are standardised first where the fit was by evidence.
        - cell : str, default="A2": where the first input of the first row is; "excel".
        - dialect : {"sqlite", "postgresql"}, default="sqlite"; "sql".
        - table : str or sequence of str, default="data": the table, perhaps with a schema before it; "sql".
        - keep : str or sequence of str, default=(): columns of the table that the result has before the outputs; "sql".

    Returns
    -------
    code : str
        The code.

    Raises
    ------
    NotFittedError
        If the estimator has not been fitted.
    TypeError
        If it is, or has steps that are, nothing that can be written out.
    ValueError
        If an argument is not valid, or the code would be too long for its language.

    See Also
    --------
    sk2layer.onnx.register : Networks of any size with their standard deviations, for runtimes.

    Examples
    --------
    >>> from sklearn.datasets import load_diabetes
    >>> from sk2layer import TwoLayerRegressor
    >>> from sk2layer.export import to_code
    >>> X, y = load_diabetes(return_X_y=True, scaled=False)
    >>> model = TwoLayerRegressor(2, random_state=0).fit(X[:, 2:4], y)
    >>> print(to_code(model, "c", feature_names=["bmi", "bp"], digits=2).rstrip())
    #include <math.h>
    <BLANKLINE>
    double predict(double x_bmi, double x_bp)
    {
        const double z_1 = 6.5 - 0.12 * x_bmi - 0.026 * x_bp;
        const double z_2 = 0.42 + 0.021 * x_bmi - 0.01 * x_bp;
        const double h_1 = 1.0 / (1.0 + exp(-z_1));
        const double h_2 = 1.0 / (1.0 + exp(-z_2));
        const double f_1 = 300.0 - 310.0 * h_1 + 110.0 * h_2;
        return f_1;
    }
    """
    write = _writer(language, options)
    *before, (_, model) = steps_of([("network", estimator)])
    if not isinstance(model, TwoLayerRegressor | TwoLayerClassifier):
        raise TypeError(f"estimator must be a network of sk2layer, or end in one. Got {estimator!r}.")
    check_is_fitted(model)
    columns = columns_of(before)
    names = _names(feature_names, [*(step for _, step in before), model][0])
    dtype = "float64"
    if "dtype" in inspect.signature(write).parameters:
        dtype = options.setdefault("dtype", model.coefs_[0].dtype.name)
    number = _in_type(dtype, digits)
    build, x = Builder(dtype), INPUT
    for append in columns:
        x = append(build, x)
    if isinstance(model, TwoLayerClassifier):
        outputs, labels = _probabilities(build, x, model, return_std, plain)
    else:
        outputs, labels = _predictions(build, x, model, return_std, include_noise)
    is_vector = not predicts_matrix(model)
    program = Program(names, tuple(build.steps), outputs, labels, is_vector)
    return write(program.with_numbers(number), **options)


def _writer(language: Any, options: dict[str, Any]) -> Callable[..., str]:
    if language not in WRITERS:
        raise ValueError(f"language must be one of {', '.join(WRITERS)}. Got {language!r}.")
    known = [*inspect.signature(WRITERS[language]).parameters][1:]
    unknown = [*options.keys() - {*known}]
    if unknown:
        raise TypeError(f"The options of language={language!r} are {known}. Got {unknown[0]!r}.")
    return WRITERS[language]


def _in_type(dtype: Any, digits: Any) -> Callable[[Array], Array]:
    """Return a function that rounds arrays to this floating type and so many digits."""
    if dtype not in ("float64", "float32"):
        raise ValueError(f'dtype must be "float64" or "float32". Got {dtype!r}.')
    if digits is not None and not (isinstance(digits, int | np.integer) and 1 <= digits <= 17):
        raise ValueError(f"digits must be None or an integer from 1 to 17. Got {digits!r}.")

    def number(array: Array) -> Array:
        rounded = array if digits is None else np.vectorize(lambda v: float(f"{v:.{digits}g}"), otypes=[float])(array)
        with np.errstate(over="ignore"):
            found = rounded.astype(dtype)
        if np.isinf(found).sum() > np.isinf(array).sum():
            raise ValueError(f"dtype={dtype!r} has no number as large as {np.abs(array[np.isfinite(array)]).max():g}.")
        return found

    return number


def _names(names: Any, first: Any) -> tuple[str, ...]:
    """Return the names of the columns of X, of which `first` is fitted to."""
    n = first.n_features_in_
    if names is None:
        names = getattr(first, "feature_names_in_", [f"x{i}" for i in range(n)])
    found = (names,) if isinstance(names, str) else tuple(names)
    if len(found) != n or not all(isinstance(name, str) for name in found):
        raise ValueError(f"feature_names must be {n} strings, one for each column. Got {names!r}.")
    return tuple(str(name) for name in found)


Outputs = tuple[tuple[str, ...], tuple[str, ...]]
"""Blocks, and the names of their values."""


def _predictions(build: Builder, x: str, model: Any, return_std: bool, include_noise: bool) -> Outputs:
    """Append what a regressor predicts."""
    k = model.n_outputs_
    ends = [""] if k == 1 else [f"_{i}" for i in range(1, k + 1)]
    labels = [f"prediction{end}" for end in ends]
    if not return_std:
        raw = _mean(build, x, model)
        if model.out_activation_ == "exp":
            zero = build("o", "affine", raw, arrays=(np.zeros((k, 1)), np.zeros(1)))
            raw = build("y", "exp", raw, zero)
        return (raw,), tuple(labels)
    noise = np.zeros(k)
    if members_of(model):
        noise = noise + constant_noise_of(model, "return_std=True") * include_noise
    check_variance(model)
    mean, blocks = standardized_mean(build, x, model, np.eye(k))
    std = deviations(build, blocks, model, np.eye(k), noise)
    return (mean, std), (*labels, *(f"std{end}" for end in ends))


def _mean(build: Builder, x: str, model: Any) -> str:
    """Append the raw predictions; in float32, digits are lost where columns are not standardised first."""
    if build.dtype == "float32" and members_of(model):
        return standardized_mean(build, x, model, np.eye(model.n_outputs_))[0]
    return plain_mean(build, x, model)


def _probabilities(build: Builder, x: str, model: Any, return_std: bool, plain: bool) -> Outputs:
    """Append the probabilities of a classifier."""
    if return_std:
        raise ValueError("return_std=True needs a regressor. Got a classifier.")
    k, softmax = model.n_outputs_, model.out_activation_ == "softmax"
    if plain or not members_of(model):
        raw = _mean(build, x, model)
    else:
        check_variance(model)
        raw, blocks = standardized_mean(build, x, model, np.eye(k) - 1.0 / k if softmax else np.eye(k))
        ahead = (k * np.eye(k) - 1.0) / (k - 1.0) if softmax else np.eye(k)  # of the mean of the others
        raw = build("f", "ratio", raw, deviations(build, blocks, model, ahead, np.ones(k), np.pi / 8.0))
    labels = tuple(f"p_{label}" for label in model.classes_)
    if softmax:
        return (build("p", "share", build("t", "exp", raw, build("m", "top", raw))),), labels
    p = build("p", "sigmoid", raw)
    if not is_multilabel(model):
        p = build("p", "affine", p, arrays=([[-1.0, 1.0]], [1.0, 0.0]))
    return (p,), labels
