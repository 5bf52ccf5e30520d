"""Files of the repository that tests read, which are not there where the tests run without it."""

from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


def text_of(name):
    """Return what is in a file; skip the test, or the module that asks, where there is none."""
    path = ROOT / name
    if not path.exists():
        pytest.skip(f"{name} is not here", allow_module_level=True)
    return path.read_text(encoding="utf-8")
