"""Does the code that the mathematics page points to exist?"""

import pkgutil
import re
from pathlib import Path

import pytest

PAGE = Path(__file__).parents[1] / "docs" / "mathematics.md"
POINTERS = sorted(set(re.findall(r"`(\w+(?:\.\w+)+)`", PAGE.read_text(encoding="utf-8"))))


def test_the_page_points_to_code():
    assert len(POINTERS) > 10


@pytest.mark.parametrize("pointer", POINTERS)
def test_the_code_exists(pointer):
    pkgutil.resolve_name(f"sk2layer.{pointer}")
