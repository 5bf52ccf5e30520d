"""How numbers are written for a network, so that its first layer can bend along each column."""

from itertools import pairwise
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix, issparse, vstack
from sklearn.base import BaseEstimator, OneToOneFeatureMixin, TransformerMixin
from sklearn.utils import gen_batches
from sklearn.utils.validation import check_is_fitted, validate_data

from .._typing import Array
from ..estimator.checks import check_weight
from ..solvers._parameters import check_parameters, choice, integer, naming_parameters
from ..solvers.documentation import DOCUMENTATION
from .ramps import by_column, labels_of, learn, ramps, widths

BLOCK_SIZE = 2**17
"""So many encoded numbers are computed at a time: they stay in the cache."""


class PiecewiseLinearEncoder(TransformerMixin, BaseEstimator):
    """Encode each column as ramps between its quantiles: piecewise linear, with missing values and without outliers.

    A column x with the edges q_0 < ... < q_m, quantiles of its training values, becomes m columns
    ``clip((x - q_j) / (q_{j+1} - q_j), 0, 1)``. A linear function of them is any function of x that is continuous and
    linear between the edges, so that every hidden unit of a network behind can bend along each input.

    Parameters
    ----------
    n_pieces : int, default=8
        The number of pieces of a column, each with the same share of the training rows. Quantiles that are equal make
        fewer. A column with at most `n_pieces + 1` different values has these as edges. 1 is the input itself, from
        its smallest to its largest training value.
    extrapolation : {"clip", "linear"}, default="clip"
        What becomes of values outside of the training data. "clip" takes them for the smallest or the largest there.
        With "linear" the first and the last piece go on as straight lines.
    sparse_output : bool, default=False
        Whether to return a csr matrix. It is the smaller one where most values are the smallest of their column, such
        as zeros among counts.

    Attributes
    ----------
    edges_ : list of n_features ndarrays
        The edges of the pieces of each column, ascending. A constant column has its value twice, and a column without
        values has none.
    feature_indices_ : ndarray of shape (n_features_out,)
        The column of X that each column of the output comes from: ascending, so that those of one column are together,
        its ramps from left to right and then its indicator of missing values.
    missing_encoding_ : ndarray of shape (n_features_out,)
        What a missing value becomes: the mean of each ramp over the training rows that have a value, and 1 in the
        indicators.
    n_features_in_ : int
        The number of columns of X.
    feature_names_in_ : ndarray of shape (n_features,)
        Their names, if X is a DataFrame whose column names are all strings.

    See Also
    --------
    sklearn.preprocessing.KBinsDiscretizer : Steps instead of ramps.
    sklearn.preprocessing.SplineTransformer : With `degree=1` and `knots="quantile"`, hats instead of ramps: as inputs
        of a linear model without a penalty they are the same.
    sklearn.preprocessing.QuantileTransformer : One column, the rank.

    Notes
    -----
    *Why ramps.* What a hidden unit sees of x is f(x) = b + sum_j w_j ramp_j(x), and at an edge f(q_k) is b plus the sum
    of the weights of the ramps before it. With independent normal weights, which is what an L2 penalty says, f is a
    random walk along the input, straight between the edges: values close to each other mean much the same, however many
    pieces there are, and all weights 0 is an input that is not used. For hats, f(q_k) would be w_k, independent of its
    neighbours.

    *Quantiles* are those of the empirical distribution function, averaged where it has a step exactly at the level
    (`method="averaged_inverted_cdf"` of `numpy.quantile`), with sample weights as counts: an integer weight is the same
    as the row repeated, and a row of weight 0 is as good as absent. Missing values have no part in them.

    *Missing values* become the mean of the ramps. A column with missing values in the training data has an indicator
    besides; if there were none but missing values, the indicator is all it has. Values that are missing only later
    become the mean, without an indicator.

    *Constant columns* become one column of zeros, whatever comes later.

    *Outliers* stretch only the first or the last piece.

    References
    ----------
    Y. Gorishniy, I. Rubachev, A. Babenko, "On Embeddings for Numerical Features in Tabular Deep Learning", Advances in
    Neural Information Processing Systems 35, 2022.

    Examples
    --------
    >>> import numpy as np
    >>> from sk2layer.preprocessing import PiecewiseLinearEncoder
    >>> X = np.array([[0.0], [1.0], [3.0], [np.nan]])
    >>> encoder = PiecewiseLinearEncoder().fit(X)
    >>> encoder.get_feature_names_out(["bmi"]).tolist()
    ['bmi[0, 1]', 'bmi[1, 3]', 'bmi[missing]']
    >>> encoder.transform([[0.5], [2.0], [100.0], [np.nan]]).round(2)
    array([[0.5 , 0.  , 0.  ],
           [1.  , 0.5 , 0.  ],
           [1.  , 1.  , 0.  ],
           [0.67, 0.33, 1.  ]])

    Before a network:

    >>> from sklearn.datasets import load_diabetes
    >>> from sklearn.pipeline import make_pipeline
    >>> from sk2layer import TwoLayerRegressor
    >>> X, y = load_diabetes(return_X_y=True)
    >>> model = make_pipeline(PiecewiseLinearEncoder(4), TwoLayerRegressor(5, random_state=0)).fit(X, y)
    >>> model.score(X, y) > 0.5
    True
    """

    _parameter_constraints: ClassVar[dict[str, Any]] = {
        "n_pieces": [integer(1)],
        "extrapolation": [choice("clip", "linear")],
        "sparse_output": ["boolean"],
    }

    _doc_link_module = "sk2layer"
    _doc_link_template = DOCUMENTATION + "/generated/{estimator_module}.{estimator_name}.html"

    @naming_parameters
    def __init__(self, n_pieces: int = 8, *, extrapolation: str = "clip", sparse_output: bool = False) -> None:
        self.n_pieces = n_pieces
        self.extrapolation = extrapolation
        self.sparse_output = sparse_output

    def fit(self, X: Any, y: Any = None, sample_weight: Any = None) -> Self:
        """Learn the edges of the pieces of each column.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            The training data. NaN is a missing value.
        y : None
            Ignored.
        sample_weight : array-like of shape (n_samples,), optional
            The weights of the samples in the quantiles and means.

        Returns
        -------
        self : PiecewiseLinearEncoder
            The fitted encoder.

        Raises
        ------
        ValueError
            If the data have infinite values, or a column that spans more than the floating-point numbers do.
        """
        check_parameters(self)
        X = self._check_rows(X, reset=True, accept_sparse="csc")
        weight = check_weight(sample_weight, X.shape[0])
        learned = [learn(x, weight, self.n_pieces) for x in by_column(X)]
        self.edges_ = [edges for edges, _ in learned]
        self.missing_encoding_ = np.concatenate([encoding for _, encoding in learned])
        self.feature_indices_ = np.repeat(np.arange(len(learned)), [len(encoding) for _, encoding in learned])
        return self

    def transform(self, X: Any) -> Any:
        """Encode the columns.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            The data. NaN is a missing value.

        Returns
        -------
        X_encoded : {ndarray, csr matrix} of shape (n_samples, n_features_out)
            The ramps of each column, and its indicator of missing values if it has one. float32 stays float32.

        Raises
        ------
        ValueError
            If the data have infinite values, or other columns than the training data.
        """
        check_is_fitted(self)
        X = self._check_rows(X, reset=False, accept_sparse="csr")
        batches = gen_batches(X.shape[0], max(1, BLOCK_SIZE // len(self.feature_indices_)))
        pieces = self._pieces()
        if self.sparse_output:
            blocks = (self._encoded(X[rows], *pieces).astype(X.dtype, copy=False) for rows in batches)
            return vstack([csr_matrix(block) for block in blocks], format="csr")
        encoded = np.empty((X.shape[0], len(self.feature_indices_)), X.dtype)
        for rows in batches:
            encoded[rows] = self._encoded(X[rows], *pieces)
        return encoded

    def slopes_of(self, X: Any) -> Array:
        """Return the derivative of each column of the output by its column of X.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            The data. NaN is a missing value.

        Returns
        -------
        slopes : ndarray of shape (n_samples, n_features_out)
            One over the width of a ramp on its piece, 0 elsewhere, and NaN where the value is missing. The left end of
            a piece belongs to it, and to the last one both.
        """
        check_is_fitted(self)
        X = self._check_rows(X, reset=False, accept_sparse="csr")
        slopes = np.zeros((X.shape[0], len(self.feature_indices_)))
        for j, (x, edges) in enumerate(zip(by_column(X), self.edges_, strict=True)):
            start, stop = np.searchsorted(self.feature_indices_, [j, j + 1])
            if len(edges):
                piece = np.clip(np.searchsorted(edges, x, side="right") - 1, 0, len(edges) - 2)
                inside = (self.extrapolation == "linear") | ((x >= edges[0]) & (x <= edges[-1]))
                slopes[np.arange(len(x)), start + piece] = inside / widths(edges)[piece]
            slopes[np.isnan(x), start:stop] = np.nan
        return slopes

    def get_feature_names_out(self, input_features: Any = None) -> NDArray[np.object_]:
        """Return names such as ``bmi[23.1, 25.6]``, the ramp between two edges, and ``bmi[missing]``.

        Parameters
        ----------
        input_features : array-like of str, optional
            The names of the columns of X: those of the training data, or x0, x1 and so on, unless given. Where the
            training data had names, they have to be these.

        Returns
        -------
        feature_names_out : ndarray of shape (n_features_out,)
            The names. Edges have three digits, or as many as tell those of a column apart.
        """
        check_is_fitted(self)
        names = OneToOneFeatureMixin.get_feature_names_out(self, input_features)  # those of the columns of X, checked
        found: list[str] = []
        for name, edges, n_outputs in zip(names, self.edges_, np.bincount(self.feature_indices_), strict=True):
            names_of_ramps = [f"{name}[{left}, {right}]" for left, right in pairwise(labels_of(edges))]
            found += [*names_of_ramps, f"{name}[missing]"][:n_outputs]
        return np.asarray(found, dtype=object)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = tags.input_tags.sparse = True
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags

    def _check_rows(self, X: Any, **how: Any) -> Any:
        return validate_data(self, X, dtype=[np.float64, np.float32], ensure_all_finite="allow-nan", **how)

    def _pieces(self) -> tuple[Array, Array, Array, Array]:
        """Return of each column of the output where its ramp begins, its width, and its lowest and highest values."""
        n_outputs = len(self.feature_indices_)
        left, width = np.zeros(n_outputs), np.full(n_outputs, np.inf)  # an indicator is 0 for what is not missing
        lowest, highest = np.zeros(n_outputs), np.ones(n_outputs)
        starts = np.searchsorted(self.feature_indices_, np.arange(len(self.edges_)))
        for start, edges in zip(starts, self.edges_, strict=True):
            if len(edges):
                stop = start + len(edges) - 1
                left[start:stop], width[start:stop] = edges[:-1], widths(edges)
                if self.extrapolation == "linear":
                    lowest[start], highest[stop - 1] = -np.inf, np.inf
        return left, width, lowest, highest

    def _encoded(self, X: Any, *pieces: Array) -> Array:
        """Return some rows encoded, in float64."""
        X = X.toarray() if issparse(X) else X
        encoded = ramps(X[:, self.feature_indices_], *pieces)
        np.copyto(encoded, self.missing_encoding_, where=np.isnan(encoded))
        return encoded


def ramps_of(encoder: PiecewiseLinearEncoder) -> tuple[Array, Array, Array, Array]:
    """Return of each column of the output where its ramp begins, its width, and its lowest and highest values."""
    return encoder._pieces()
