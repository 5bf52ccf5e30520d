"""Print constraints for pip: the lower bounds of all that pyproject.toml needs at run time, and of the tests."""

import tomllib
from pathlib import Path

PROJECT = Path(__file__).parents[1] / "pyproject.toml"

project = tomllib.loads(PROJECT.read_text(encoding="utf-8"))["project"]
for requirement in project["dependencies"] + project["optional-dependencies"]["tests"]:
    print(requirement.replace(">=", "=="))
