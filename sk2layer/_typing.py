"""The array types that signatures name."""

from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

Array: TypeAlias = NDArray[np.floating[Any]]

RowNumbers: TypeAlias = slice | NDArray[np.integer[Any]]
"""Which rows are meant: consecutive ones, or any, by number."""
