"""How an estimator becomes an ONNX graph, which runtimes without Python and scikit-learn can evaluate.

The network itself is two products of matrices. The error bars of a fit by evidence are a third: with L the Cholesky
factor of the posterior's precision and J the derivatives of a raw prediction by the parameters,

    var z = J (L L.T)^-1 J.T = |L^-1 J.T|^2        J = [ x r.T, r, a e.T, e.T ],    r = g'(z1) * W2 e

where e picks the output or, for several classes, what a class is ahead of the mean of the others, which is what
probabilities are moderated by (`evidence.uncertainty`). L^-1 is a constant of the graph. It is kept and multiplied with
in float64 whatever the input is, as the estimators do it: the sum of squares is what is left of far larger terms.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from scipy.linalg import solve_triangular

from ._typing import Array
from .classifier import TwoLayerClassifier
from .estimator.by_evidence import posterior_of
from .estimator.noise_of_inputs import MOST_DOUBT
from .estimator.reach import activation_of, is_multilabel, loss_of, noise_model_of
from .evidence.uncertainty import FittedPosterior
from .regressor import TwoLayerRegressor
from .rows.scaling import inverse_of

# Longer than 300 lines: the helpers of the two converters are of use to nobody else.

__all__ = ["register"]

CLASSIFIER_OPTIONS = {
    "zipmap": [True, False, "columns"],
    "nocl": [True, False],
    "output_class_labels": [False, True],
    "raw_scores": [True, False],
}
REGRESSOR_OPTIONS = {"return_std": [True, False], "include_noise": [True, False]}

LINKS: dict[str, tuple[str, dict[str, int]]] = {"sigmoid": ("Sigmoid", {}), "softmax": ("Softmax", {"axis": 1})}
"""The operators that turn raw predictions into probabilities, and their attributes."""


def register() -> None:
    """Make `skl2onnx.to_onnx` and `convert_sklearn` work for both estimators, alone and inside of pipelines.

    It has to be called once before the conversion, and needs the extra `sk2layer[onnx]`. The graph computes in float32,
    or in float64 where its input is float64 (`skl2onnx.common.data_types.DoubleTensorType`); error bars and the
    moderation of probabilities by them in float64 in any case.

    A regressor's graph returns the predictions, of shape (n_samples, n_outputs). Its options, by `options={id(model):
    {...}}` in `to_onnx`, are those of `predict`: `return_std`, False by default, for the standard deviations as a
    second output, and `include_noise`. A classifier's graph returns labels and probabilities. Its options are those of
    skl2onnx's own classifiers, `zipmap`, `nocl`, `output_class_labels` and `raw_scores`. With the last, log odds take
    the place of probabilities: those of `decision_function`, and for two classes of each of them.

    Raises
    ------
    ImportError
        If skl2onnx is not installed.

    Examples
    --------
    >>> import sk2layer.onnx
    >>> sk2layer.onnx.register()  # doctest: +SKIP
    >>> graph = skl2onnx.to_onnx(model, X[:1])  # doctest: +SKIP
    """
    try:
        from skl2onnx import update_registered_converter
    except ImportError as error:
        raise ImportError("sk2layer.onnx.register needs skl2onnx: pip install 'sk2layer[onnx]'.") from error
    update_registered_converter(
        TwoLayerRegressor,
        "Sk2layerTwoLayerRegressor",
        _regressor_shapes,
        _convert_regressor,
        parser=_parse_regressor,
        options=REGRESSOR_OPTIONS,
    )
    update_registered_converter(
        TwoLayerClassifier,
        "Sk2layerTwoLayerClassifier",
        _classifier_shapes,
        _convert_classifier,
        options=CLASSIFIER_OPTIONS,
    )


class Graph:
    """A graph under construction: one call appends a node, and what is passed around are the names of values.

    Parameters
    ----------
    scope, container : skl2onnx's Scope and ModelComponentContainer
        Where names come from, and where nodes go.
    """

    def __init__(self, scope: Any, container: Any) -> None:
        self.scope, self.container = scope, container

    def constant(self, values: Any, dtype: Any) -> str:
        """Append a constant of any shape, in the given NumPy type; return its name."""
        from onnx.helper import np_dtype_to_tensor_dtype

        values = np.asarray(values, dtype)
        name = str(self.scope.get_unique_variable_name("constant"))
        kind = np_dtype_to_tensor_dtype(values.dtype)
        content = [text.encode() for text in values.ravel()] if values.dtype == object else values.ravel()
        self.container.add_initializer(name, kind, values.shape, content)
        return name

    def __call__(self, operator: str, *inputs: str, output: str = "", **attributes: Any) -> str:
        """Append a node; return the name of its output."""
        name = output or str(self.scope.get_unique_variable_name(operator.lower()))
        node = self.scope.get_unique_operator_name(operator)
        self.container.add_node(operator, list(inputs), name, name=node, **attributes)
        return name

    def cast(self, value: str, dtype: Any, output: str = "") -> str:
        """Append a change of type."""
        from onnx.helper import np_dtype_to_tensor_dtype

        return self("Cast", value, output=output, to=int(np_dtype_to_tensor_dtype(np.dtype(dtype))))

    def affine(self, value: str, weights: Array, bias: Array, dtype: Any) -> str:
        """Append value @ weights + bias."""
        product = self("MatMul", value, self.constant(weights, dtype))
        return self("Add", product, self.constant(bias, dtype))

    def reshape(self, value: str, *shape: int) -> str:
        """Append a change of shape; 0 keeps a length."""
        return self("Reshape", value, self.constant(shape, np.int64))

    def one_minus(self, value: str) -> str:
        """Append 1 - value, for float64."""
        return self("Sub", self.constant(1.0, np.float64), value)

    def exceeds(self, value: str, limit: float, dtype: Any = np.float64) -> str:
        """Append value > limit."""
        return self("Greater", value, self.constant(limit, dtype))

    def mean(self, values: Sequence[str]) -> str:
        """Append the mean of several values of the same shape, for float64."""
        return self("Mul", self("Sum", *values), self.constant(1.0 / len(values), np.float64))


# ------------------------------------------------------------------------------------------------------- the network

ACTIVATIONS: dict[str, Callable[[Graph, str], str]] = {
    "sigmoid": lambda graph, Z1: graph("Sigmoid", Z1),
    "tanh": lambda graph, Z1: graph("Tanh", Z1),
    "relu": lambda graph, Z1: graph("Relu", Z1),
    "identity": lambda graph, Z1: graph("Identity", Z1),
}
"""What appends a1 = g(z1), in float32 and float64."""

SLOPES: dict[str, Callable[[Graph, str], str]] = {
    "sigmoid": lambda graph, A1: graph("Mul", A1, graph.one_minus(A1)),
    "tanh": lambda graph, A1: graph.one_minus(graph("Mul", A1, A1)),
    "relu": lambda graph, A1: graph.cast(graph.exceeds(A1, 0.0), np.float64),
    "identity": lambda graph, A1: graph.cast(graph.exceeds(A1, -np.inf), np.float64),
}
"""What appends g'(z1), in terms of a1 = g(z1) in float64."""


def _raw_prediction(graph: Graph, x: str, model: Any, dtype: Any, mix: Array) -> str:
    """Append the raw predictions times `mix`, shape (k, k)."""
    (W1, W2), (b1, b2) = model.coefs_, model.intercepts_
    A1 = ACTIVATIONS[activation_of(model)](graph, graph.affine(graph.cast(x, dtype), W1, b1, dtype))
    return graph.affine(A1, W2 @ mix, b2 @ mix, dtype)


def _member(graph: Graph, x: str, posterior: FittedPosterior, dtype: Any, mix: Array) -> tuple[str, str]:
    """Append mean and variance, by the posterior of one network, of the raw predictions times `mix`.

    Rows are standardised in their own type, as by `Scaling.rows`, so that a ReLU at its kink falls on the same side.
    """
    (W1, b1, W2, b2), scaling = posterior.weights, posterior.scaling
    centered = graph("Sub", graph.cast(x, dtype), graph.constant(scaling.x_mean, dtype))
    rows = graph.cast(graph("Mul", centered, graph.constant(inverse_of(scaling.x_spread), dtype)), np.float64)
    A1 = ACTIVATIONS[posterior.activation](graph, graph.affine(rows, W1, b1, np.float64))
    slopes = SLOPES[posterior.activation](graph, A1)
    scaled = scaling.y_spread[:, np.newaxis] * mix
    mean = graph.affine(A1, W2 @ scaled, b2 @ scaled + scaling.y_mean @ mix, np.float64)
    square = _exact_square if hasattr(posterior.posterior, "factor") else _factored_square
    squares = [square(graph, rows, A1, slopes, W2, column, posterior.posterior) for column in scaled.T]
    return mean, graph("Concat", *squares, axis=1)


def _exact_square(graph: Graph, rows: str, A1: str, slopes: str, W2: Array, e: Array, posterior: Any) -> str:
    """Append |L^-1 J.T|^2 of the combination `e` of outputs, shape (n, 1)."""
    factor, (h, k) = posterior.factor, W2.shape
    inverse_factor = solve_triangular(factor, np.eye(len(factor)), lower=True)
    d = (len(factor) - (h + 1) * k) // h - 1
    by_product, by_slope, by_output = np.split(inverse_factor, [d * h, (d + 1) * h], axis=1)
    by_output = by_output.reshape(-1, h + 1, k) @ e
    r = graph("Mul", slopes, graph.constant(W2 @ e, np.float64))
    outer = graph("Mul", graph.reshape(rows, 0, d, 1), graph.reshape(r, 0, 1, h))
    root = graph("MatMul", graph.reshape(outer, 0, d * h), graph.constant(by_product.T, np.float64))
    root = graph("Add", root, graph("MatMul", r, graph.constant(by_slope.T, np.float64)))
    root = graph("Add", root, graph.affine(A1, by_output[:, :h].T, by_output[:, h], np.float64))
    ones = graph.constant(np.ones((len(inverse_factor), 1)), np.float64)
    return graph("MatMul", graph("Mul", root, root), ones)


def _factored_square(graph: Graph, rows: str, A1: str, slopes: str, W2: Array, e: Array, posterior: Any) -> str:
    """Append what `KroneckerPosterior.covariance` is of the combination `e` of outputs, shape (n, 1)."""
    output = posterior.output
    shares = np.square(e @ output.V)
    square = _left(graph, A1, output, shares[:, np.newaxis])
    r = graph.affine(slopes, (W2 @ e)[:, np.newaxis] * posterior.hidden.V, np.zeros(len(W2)), np.float64)
    left = _left(graph, rows, posterior.hidden, np.eye(len(W2)))
    hidden = graph("MatMul", graph("Mul", left, graph("Mul", r, r)), graph.constant(np.ones((len(W2), 1)), np.float64))
    return graph("Add", square, hidden)


def _left(graph: Graph, inputs: str, layer: Any, mix: Array) -> str:
    """Append what is left of the prior's variance along each eigenvector of the units, times `mix`."""
    d, rest = len(layer.scale) - 1, layer.rest @ mix
    scale, last = layer.scale[:d], layer.scale[d]
    scaled = graph("Mul", inputs, graph.constant(scale, np.float64))
    whole = graph.affine(graph("Mul", scaled, scaled), np.tile(rest, (d, 1)), last**2 * rest, np.float64)
    if not layer.U.shape[1]:
        return whole
    along = graph.affine(scaled, layer.U[:d], last * layer.U[d], np.float64)
    removed = graph("MatMul", graph("Mul", along, along), graph.constant((layer.rest - layer.shrunk) @ mix, np.float64))
    return graph("Sub", whole, removed)


def _variance(graph: Graph, x: str, posterior: Any, dtype: Any, mix: Array) -> str:
    """Append the variance, in float64, of the raw predictions times `mix`; see `uncertainty.Mixture`."""
    members = getattr(posterior, "members", (posterior,))
    means, variances = zip(*(_member(graph, x, member, dtype, mix) for member in members), strict=True)
    if len(members) == 1:
        return str(variances[0])
    center = graph.mean(means)
    apart = [graph("Sub", mean, center) for mean in means]
    squares = [graph("Mul", each, each) for each in apart]
    return graph.mean([graph("Add", *pair) for pair in zip(variances, squares, strict=True)])


# -------------------------------------------------------------------------------------------------------- regression


def _parse_regressor(scope: Any, model: Any, inputs: Any, custom_parsers: Any = None) -> Any:
    """Declare the outputs."""
    from skl2onnx.common.data_types import guess_tensor_type

    operator = scope.declare_local_operator("Sk2layerTwoLayerRegressor", model)
    operator.inputs = inputs
    with_std = scope.get_options(model, {"return_std": False})["return_std"]
    for name in ["variable", "std"][: 2 if with_std else 1]:
        operator.outputs.append(scope.declare_local_variable(name, guess_tensor_type(inputs[0].type)))
    return operator.outputs


def _regressor_shapes(operator: Any) -> None:
    from skl2onnx.common.utils import check_input_and_output_numbers

    check_input_and_output_numbers(operator, input_count_range=1)
    for output in operator.outputs:
        output.type.shape = [operator.inputs[0].get_first_dimension(), operator.raw_operator.n_outputs_]


def _convert_regressor(scope: Any, operator: Any, container: Any) -> None:
    graph, model, dtype = Graph(scope, container), operator.raw_operator, _float_type(operator)
    x, identity = operator.inputs[0].full_name, np.eye(model.n_outputs_)
    Z = _raw_prediction(graph, x, model, dtype, identity)
    graph({"identity": "Identity", "exp": "Exp"}[model.out_activation_], Z, output=operator.outputs[0].full_name)
    if len(operator.outputs) > 1:
        posterior = posterior_of(model)
        if posterior is None:
            raise ValueError(
                'return_std=True needs a fit by evidence: alpha="auto", "evidence" or "ard". '
                f"Got alpha={model.alpha!r}, and the penalty {model.alpha_:g} was used."
            )
        variance = _variance(graph, x, posterior, dtype, identity)
        include_noise = container.get_options(model, {"include_noise": True}).get("include_noise", True)
        if model.out_activation_ == "exp":
            loss, z = loss_of(model), graph.cast(Z, np.float64)
            variance = _variance_of_exponential(graph, z, variance, loss, include_noise=include_noise)
        elif include_noise:
            variance = graph("Add", variance, _noise_variance(graph, x, model, dtype))
        graph.cast(graph("Sqrt", variance), dtype, output=operator.outputs[1].full_name)


def _noise_variance(graph: Graph, x: str, model: Any, dtype: Any) -> str:
    """Append the variance of noise that is added; where it depends on the inputs, see `noise_of_inputs`."""
    loss, zero, depends = loss_of(model), np.zeros((1, model.n_outputs_)), noise_model_of(model)
    constant = model.noise_variance_ if loss.has_noise else loss.variance(zero, zero, include_noise=True)
    noise = graph.constant(constant, np.float64)
    if depends is None:
        return noise
    identity = np.eye(model.n_outputs_)
    z = graph.cast(_raw_prediction(graph, x, depends, dtype, identity), np.float64)
    variance = _variance(graph, x, posterior_of(depends), dtype, identity)
    most = graph.constant(np.exp(MOST_DOUBT), np.float64)
    above = graph("Sqrt", graph("Min", graph("Exp", variance), most))  # e^(V/2)
    return graph("Add", noise, graph("Mul", graph("Exp", z), above))


def _variance_of_exponential(graph: Graph, z: str, variance: str, loss: Any, *, include_noise: bool) -> str:
    """Append `LogLink.variance`, with (e^V + 1) tanh(V/2) for e^V - 1, which is exact where V is small, too."""

    def exponential(by_z: float, by_variance: float) -> str:
        each = (z, by_z), (variance, by_variance)
        return graph("Exp", graph("Add", *(graph("Mul", value, graph.constant(by, np.float64)) for value, by in each)))

    half = graph("Tanh", graph("Mul", variance, graph.constant(0.5, np.float64)))
    below = graph("Mul", graph("Add", graph("Exp", variance), graph.constant(1.0, np.float64)), half)
    found = graph("Mul", exponential(2.0, 1.0), below)
    if include_noise:
        of_noise = exponential(loss.power, 0.5 * loss.power**2)
        found = graph("Add", found, graph("Mul", of_noise, graph.constant(loss.dispersion, np.float64)))
    return graph("Min", found, graph.constant(np.finfo(np.float64).max, np.float64))


def _float_type(operator: Any) -> Any:
    """Return the type to compute in: that of the input, float32 where it holds integers."""
    from skl2onnx.common.data_types import guess_numpy_type

    return np.float64 if guess_numpy_type(operator.inputs[0].type) == np.float64 else np.float32


# ---------------------------------------------------------------------------------------------------- classification


def _classifier_shapes(operator: Any) -> None:
    from skl2onnx.common.data_types import Int64TensorType
    from skl2onnx.common.shape_calculator import calculate_linear_classifier_output_shapes

    calculate_linear_classifier_output_shapes(operator)
    if is_multilabel(operator.raw_operator):
        n_samples = operator.inputs[0].get_first_dimension()
        operator.outputs[0].set_type(Int64TensorType([n_samples, operator.raw_operator.n_outputs_]))


def _convert_classifier(scope: Any, operator: Any, container: Any) -> None:
    from skl2onnx.common.utils_classifier import get_label_classes

    graph, model, dtype = Graph(scope, container), operator.raw_operator, _float_type(operator)
    label, probability = (output.full_name for output in operator.outputs[:2])
    Z = _moderated_prediction(graph, operator.inputs[0].full_name, model, dtype)
    if is_multilabel(model):
        graph.cast(graph.exceeds(Z, 0.0, dtype), np.int64, output=label)
    else:
        classes = get_label_classes(scope, model)
        names = graph.constant(classes, object if isinstance(classes[0], str) else np.int64)
        graph("Gather", names, _codes(graph, Z, model.n_outputs_, dtype), output=label)
        if model.n_outputs_ == 1:
            Z = graph("Concat", graph("Neg", Z), Z, axis=1)
    raw_scores = container.get_options(model, {"raw_scores": False}).get("raw_scores", False)
    link, attributes = ("Identity", {}) if raw_scores else LINKS[model.out_activation_]
    graph(link, Z, output=probability, **attributes)


def _codes(graph: Graph, Z: str, n_outputs: int, dtype: Any) -> str:
    """Append the position of each row's class, shape (n,)."""
    if n_outputs > 1:
        return graph("ArgMax", Z, axis=1, keepdims=0)
    return graph.reshape(graph.cast(graph.exceeds(Z, 0.0, dtype), np.int64), -1)


def _moderated_prediction(graph: Graph, x: str, model: Any, dtype: Any) -> str:
    """Append the raw predictions, moderated as by `uncertainty.moderate` where the fit was by evidence."""
    k, posterior = model.n_outputs_, posterior_of(model)
    if posterior is None:
        return _raw_prediction(graph, x, model, dtype, np.eye(k))
    softmax = model.out_activation_ == "softmax"
    Z = _raw_prediction(graph, x, model, dtype, np.eye(k) - 1.0 / k if softmax else np.eye(k))
    ahead = (k * np.eye(k) - 1.0) / (k - 1.0) if softmax else np.eye(k)  # of the mean of the others
    variance = _variance(graph, x, posterior, dtype, ahead)
    excess = graph("Mul", variance, graph.constant(np.pi / 8.0, np.float64))
    ratio = graph("Sqrt", graph("Add", excess, graph.constant(1.0, np.float64)))
    return graph("Div", Z, graph.cast(ratio, dtype))
