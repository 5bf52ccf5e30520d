"""Run a benchmark and keep what it prints, with its command, the date and the versions, for the benchmarks page.

    python docs/benchmarks/_record.py [--note TEXT] solver_choice.py [its options]

writes `results/solver_choice.txt` beside this file.
"""

import argparse
import datetime
import os
import platform
import re
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

HERE = Path(__file__).parent
PACKAGES = ["numpy", "scipy", "scikit-learn"]


def header(script, arguments, day, note):
    """Return what a reader has to know to repeat it; a folder of data is named, not located."""
    command = re.sub(r"--data \S+", "--data DIR", " ".join([f"python docs/benchmarks/{script}", *arguments]))
    versions = ", ".join(f"{name} {version(name)}" for name in PACKAGES)
    machine = f"Python {platform.python_version()}, {platform.machine()}, {os.cpu_count()} cores"
    lines = [f"$ {command}", f"# {day}; {versions}; {machine}", *([f"# {note}"] if note else [])]
    return "\n".join(lines) + "\n"


def main():
    """Run and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--note", default="", help="what else has to be known of the run")
    parser.add_argument("script")
    parser.add_argument("arguments", nargs=argparse.REMAINDER)
    options = parser.parse_args()
    command = [sys.executable, str(HERE / options.script), *options.arguments]
    printed = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
    target = (HERE / "results" / options.script).with_suffix(".txt")
    target.parent.mkdir(exist_ok=True)
    target.write_text(header(options.script, options.arguments, datetime.date.today(), options.note) + printed)


if __name__ == "__main__":
    main()
