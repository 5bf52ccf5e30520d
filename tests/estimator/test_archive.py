"""Does a file of plain data give back what was put in, to the last bit, run no code, and stay whole?"""

import os
import pickle
import zipfile
from pathlib import Path

import numpy as np
import pytest

from sk2layer import TwoLayerClassifier
from sk2layer.estimator import archive
from sk2layer.solvers import LBFGS, Adam, Solver


@pytest.fixture
def path(tmp_path):
    return tmp_path / "some.file"


def through_file(value, path):
    archive.write(path, value)
    return archive.read(path)


def assert_same(one, other):
    """The same values, of the same types, at any depth."""
    assert type(one) is type(other)
    if isinstance(one, np.ndarray):
        assert (one.dtype, one.shape, one.flags.fnc) == (other.dtype, other.shape, other.flags.fnc)
        np.testing.assert_array_equal(one, other)
    elif isinstance(one, dict):
        assert list(one) == list(other)
        for key in one:
            assert_same(one[key], other[key])
    elif isinstance(one, list | tuple):
        assert len(one) == len(other)
        for mine, its in zip(one, other, strict=True):
            assert_same(mine, its)
    else:
        assert one == other or (one != one and other != other)


VALUES = [
    None,
    True,
    -(10**30),
    0.1,
    float("inf"),
    float("nan"),
    5e-324,
    "π $ \x00",
    [],
    (),
    {},
    [1, (2.0, [None, ()])],
    {"a": {"b": (1, 2)}},
    {1: "a", "1": "b", False: "c", None: "d", (1, 2): "e"},
    {archive.TAG: "array", "of": 0},
    {"_kind": "Weights"},
    np.float64(0.1),
    np.float32(0.1),
    np.int8(-3),
    np.bool_(True),
    np.str_("label"),
    np.arange(6.0).reshape(2, 3),
    np.asfortranarray(np.arange(6.0).reshape(2, 3)),
    np.arange(3, dtype=np.float32)[::-1],
    np.empty((0, 4)),
    np.array(3.0),
    np.array(["a", "bcd"]),
    np.array(["a", "bcd"], dtype=object),
    np.array([[1, "x"], [None, 2.5]], dtype=object),
    np.array(["2020-01-01", "NaT"], dtype="datetime64[D]"),
]


@pytest.mark.parametrize("value", VALUES, ids=repr)
def test_values_come_back(value, path):
    assert_same(through_file(value, path), value)
    assert_same(through_file({"deep": [value]}, path), {"deep": [value]})


def test_an_array_that_is_there_twice_is_written_once(path):
    array = np.ones(100_000)
    read = through_file([array, {"again": array}], path)
    assert path.stat().st_size < 1.1 * array.nbytes
    np.testing.assert_array_equal(read[1]["again"], array)


@pytest.mark.parametrize("seed", [0, 1])
def test_a_generator_goes_on_where_it_was(seed, path):
    generator = np.random.RandomState(seed)
    generator.normal(size=3)  # one of a pair is kept
    read = through_file(generator, path)
    np.testing.assert_array_equal(read.normal(size=5), generator.normal(size=5))


def test_estimators_and_solvers_come_back(path):
    model = TwoLayerClassifier(3, solver=Adam(learning_rate=0.5), class_weight={"a": 2.0})
    assert repr(through_file(model, path)) == repr(model)
    assert through_file(Adam, path) is Adam


class Own(LBFGS):
    """A solver of a user."""


def test_classes_that_are_there_are_used(path):
    assert type(through_file(Own(max_line_search=3), path)) is Own


@pytest.mark.parametrize(
    "value",
    [object(), {1, 2}, print, Path, Path(), np.random.default_rng(0), np.random.RandomState(np.random.PCG64(0)), 1j],
    ids=lambda value: type(value).__name__,
)
def test_what_is_no_plain_data_is_refused_before_anything_is_written(value, path):
    with pytest.raises(TypeError, match="A file of plain data cannot hold"):
        archive.write(path, {"a": [value]})
    assert os.listdir(path.parent) == []


def test_only_estimators_and_solvers_are_made(path):
    """Whatever class a file names: nothing else is looked up, nor imported."""
    for name in (
        "nowhere:Own",
        "builtins:eval",
        "os:system",
        "sklearn.dummy:DummyRegressor",
        "sk2layer.monitor:Monitor",
    ):
        with zipfile.ZipFile(path, "w") as file:
            file.writestr(archive.TEXT, f'{{"$": "object", "of": [{{"$": "class", "of": "{name}"}}, {{}}]}}')
        with pytest.raises(
            ValueError, match=f"it needs the class {name}, which must be defined before the file is read"
        ):
            archive.read(path)
    assert issubclass(Solver, archive.Documented)


class Bomb:
    """What a pickle runs when it is read."""

    def __reduce__(self):
        return print, ("boom",)


def test_a_pickle_is_not_run(path, capsys):
    path.write_bytes(pickle.dumps(Bomb()))
    with pytest.raises(ValueError, match="path must be of a whole file of plain data"):
        archive.read(path)
    with zipfile.ZipFile(path, "w") as file:
        file.writestr(archive.TEXT, '{"$": "array", "of": 0}')
        with file.open("0.npy", "w") as member:
            np.lib.format.write_array(member, np.array([Bomb()], dtype=object), allow_pickle=True)
    with pytest.raises(ValueError, match="allow_pickle=False"):
        archive.read(path)
    assert "boom" not in capsys.readouterr().out


@pytest.mark.parametrize("share", [0.0, 0.01, 0.5, 0.9, 0.999])
def test_a_cut_file_is_an_error(share, path):
    archive.write(path, {"a": np.arange(1000.0), "b": list(range(100))})
    content = path.read_bytes()
    path.write_bytes(content[: int(share * len(content))])
    with pytest.raises(ValueError, match=r"path must be of a whole file of plain data\. Got '.*some\.file': "):
        archive.read(path)


@pytest.mark.parametrize("position", [0.1, 0.3, 0.5, 0.8])
def test_a_changed_file_is_an_error(position, path):
    archive.write(path, np.arange(1000.0))
    content = bytearray(path.read_bytes())
    content[int(position * len(content))] ^= 0xFF
    path.write_bytes(content)
    with pytest.raises(ValueError, match="path must be of a whole file"):
        archive.read(path)


def test_no_file_is_another_error(path):
    with pytest.raises(FileNotFoundError):
        archive.read(path)


@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), KeyboardInterrupt()])
@pytest.mark.parametrize("call", ["fsync", "replace"])
def test_what_fails_leaves_the_file_as_it_was(call, error, path, monkeypatch):
    archive.write(path, "before")

    def fail(*args):
        raise error

    monkeypatch.setattr(os, call, fail)
    with pytest.raises(type(error)):
        archive.write(path, np.ones(1000))
    monkeypatch.undo()
    assert archive.read(path) == "before"
    assert os.listdir(path.parent) == [path.name]


def test_the_disk_has_the_file_before_it_takes_its_place(path, monkeypatch):
    calls, fsync, replace = [], os.fsync, os.replace
    monkeypatch.setattr(os, "fsync", lambda file: (calls.append("fsync"), fsync(file)))
    monkeypatch.setattr(os, "replace", lambda *paths: (calls.append("replace"), replace(*paths)))
    archive.write(path, 1)
    assert calls == ["fsync", "replace"]


def test_a_planted_link_is_not_followed(path, monkeypatch):
    victim = path.with_name("victim")
    victim.write_text("mine")
    monkeypatch.setattr(archive.secrets, "token_hex", lambda n: "guessed")
    path.with_name(f"{path.name}.guessed.tmp").symlink_to(victim)
    with pytest.raises(FileExistsError):
        archive.write(path, 1)
    assert victim.read_text() == "mine"
    assert not path.exists()


def test_two_writers_never_share_an_unfinished_file(path, monkeypatch):
    """One is in the middle of its file while the other writes a whole one."""
    fsync, written = os.fsync, []

    def another_writes(file):
        if not written:
            written.append(True)
            archive.write(path, "the other's")
            assert archive.read(path) == "the other's"
        fsync(file)

    monkeypatch.setattr(os, "fsync", another_writes)
    archive.write(path, "mine")
    assert archive.read(path) == "mine"
    assert os.listdir(path.parent) == [path.name]
