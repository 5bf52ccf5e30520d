"""How plain data is kept in a file, which is there as a whole or not at all, and runs no code when it is read.

The file is a zip archive of arrays in NumPy's format, and of a text in JSON that says how they hang together. What JSON
does not know stands in it as `{TAG: kind, "of": content}`. Objects are estimators and solvers only: of a class that is
there already when the file is read, made as `copy` makes them. Pickles are neither written nor read.
"""

import json
import os
import secrets
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from .._typing import Array
from ..solvers.documentation import Documented

TAG = "$"
TEXT = "content.json"

Arrays = dict[int, tuple[int, Array]]
"""By identity, their numbers in the file and themselves."""


class Kind(NamedTuple):
    """How values of a type are taken apart, into what can be packed in its turn, and made again."""

    type: type[Any]
    content: Callable[[Any], Any]
    make: Callable[[Any], Any]


def _class_name(cls: type[Any]) -> str:
    return f"{cls.__module__}:{cls.__qualname__}"


def _known_classes(base: type[Any] = Documented) -> Iterator[type[Any]]:
    for cls in base.__subclasses__():
        yield cls
        yield from _known_classes(cls)


def _name_of_known(cls: type[Any]) -> str:
    if not issubclass(cls, Documented):
        raise TypeError(f"A file of plain data cannot hold the class {_class_name(cls)}.")
    return _class_name(cls)


def _class_named(name: str) -> Any:
    known = {_class_name(cls): cls for cls in _known_classes()}
    if name not in known:
        raise ValueError(f"it needs the class {name}, which must be defined before the file is read")
    return known[name]


def _make_object(content: Any) -> Any:
    cls, state = content
    made = object.__new__(cls)
    made.__setstate__(state)
    return made


def _random_state(value: np.random.RandomState) -> dict[str, Any]:
    state: dict[str, Any] = value.get_state(legacy=False)
    if state["bit_generator"] != "MT19937":
        raise TypeError(f"A file of plain data cannot hold a RandomState of {state['bit_generator']}.")
    return state


def _make_random_state(content: Any) -> np.random.RandomState:
    made = np.random.RandomState()
    made.set_state(content)
    return made


KINDS = {
    "tuple": Kind(tuple, list, tuple),
    "pairs": Kind(dict, lambda value: [list(item) for item in value.items()], dict),
    "scalar": Kind(
        np.generic, lambda x: [x.dtype.str, x.item()], lambda content: np.dtype(content[0]).type(content[1])
    ),
    "objects": Kind(
        np.ndarray,
        lambda array: [array.shape, array.ravel().tolist()],
        lambda content: np.fromiter(content[1], dtype=object).reshape(content[0]),
    ),
    "random state": Kind(np.random.RandomState, _random_state, _make_random_state),
    "class": Kind(type, _name_of_known, _class_named),
    "object": Kind(Documented, lambda value: [type(value), value.__getstate__()], _make_object),
}


def pack(value: Any, arrays: Arrays) -> Any:
    """Return a value as JSON knows it, and add the arrays in it to those given.

    Raises
    ------
    TypeError
        If there is something in it that cannot be kept.
    """
    if value is None or type(value) in (bool, int, float, str):
        return value
    if type(value) is list:
        return [pack(item, arrays) for item in value]
    if type(value) is dict and all(type(key) is str and key != TAG for key in value):
        return {key: pack(item, arrays) for key, item in value.items()}
    if isinstance(value, np.ndarray) and not value.dtype.hasobject:
        return {TAG: "array", "of": arrays.setdefault(id(value), (len(arrays), value))[0]}
    for name, kind in KINDS.items():
        if isinstance(value, kind.type):
            return {TAG: name, "of": pack(kind.content(value), arrays)}
    raise TypeError(f"A file of plain data cannot hold a {_class_name(type(value))}. Got {value!r}.")


def unpack(value: Any, arrays: list[Array]) -> Any:
    """Return what `pack` was given."""
    if type(value) is list:
        return [unpack(item, arrays) for item in value]
    if type(value) is not dict:
        return value
    if TAG not in value:
        return {key: unpack(item, arrays) for key, item in value.items()}
    if value[TAG] == "array":
        return arrays[value["of"]]
    return KINDS[value[TAG]].make(unpack(value["of"], arrays))


def write(path: str | os.PathLike[str], value: Any) -> None:
    """Replace a file by one that holds the value.

    Raises
    ------
    OSError
        If that fails; the file is then as it was.
    TypeError
        If the value cannot be kept.
    """
    arrays: Arrays = {}
    text = json.dumps(pack(value, arrays))
    path = Path(path)
    unfinished = path.with_name(f"{path.name}.{secrets.token_hex(8)}.tmp")  # same folder, so that it can replace it
    try:
        with open(unfinished, "xb") as file:  # a new one; links are not followed
            with zipfile.ZipFile(file, "w") as archive:
                archive.writestr(TEXT, text)
                for number, array in arrays.values():
                    with archive.open(f"{number}.npy", "w", force_zip64=True) as member:
                        np.lib.format.write_array(member, array, allow_pickle=False)
            file.flush()
            os.fsync(file.fileno())
        os.replace(unfinished, path)
    except BaseException:
        unfinished.unlink(missing_ok=True)
        raise


def read(path: str | os.PathLike[str]) -> Any:
    """Return the value in a file.

    Raises
    ------
    OSError
        If it cannot be read.
    ValueError
        If something else is in it, or not all of it.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            members = [archive.open(f"{number}.npy") for number in range(len(archive.namelist()) - 1)]
            arrays = [np.lib.format.read_array(member, allow_pickle=False) for member in members]
            return unpack(json.loads(archive.read(TEXT)), arrays)
    except (OSError, Warning):
        raise
    except Exception as error:  # whatever it is that is wrong with the content
        raise ValueError(f"path must be of a whole file of plain data. Got {os.fspath(path)!r}: {error}") from error
