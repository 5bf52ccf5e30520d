"""Does the code that the mathematics page points to exist?"""

import pkgutil
import re

import pytest
from repository import text_of

POINTERS = sorted(set(re.findall(r"`(\w+(?:\.\w+)+)`", text_of("docs/mathematics.md"))))


def test_the_page_points_to_code():
    assert len(POINTERS) > 10


@pytest.mark.parametrize("pointer", POINTERS)
def test_the_code_exists(pointer):
    pkgutil.resolve_name(f"sk2layer.{pointer}")
