"""Make the README's table: run the main example and put what it prints between the two comments.

python docs/make_readme_table.py            print it
python docs/make_readme_table.py --write    write it into README.md
python docs/make_readme_table.py --check    fail if a number in README.md differs by more than 0.03
"""

import argparse
import contextlib
import io
import re
import runpy
import sys
from pathlib import Path

import matplotlib

ROOT = Path(__file__).parent.parent
BEGIN, END = "<!-- made by docs/make_readme_table.py -->\n", "<!-- end -->"
TOLERANCE = 0.03  # other processors and other versions of scikit-learn move the last digit


def run_example():
    """Return what the main example prints, as a Markdown table."""
    matplotlib.use("Agg")
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        runpy.run_path(str(ROOT / "examples" / "plot_diabetes.py"), run_name="__main__")
    head, *rows = (re.split(r"\s{2,}", line.strip()) for line in printed.getvalue().splitlines())
    width = max(len(row[0]) for row in [head, *rows]) + 2
    lines = [f"| {head[0]:<{width}} | {head[1]} | {head[2]} |", f"|{'-' * (width + 2)}|-----:|-----------:|"]
    lines += [f"| {f'`{name}`':<{width}} | {mean:>4} | {worst:>10} |" for name, mean, worst in rows]
    return "\n".join(lines) + "\n"


def numbers(table):
    """Return the name of each row with its numbers."""
    cells = [[cell.strip() for cell in line.split("|")[1:-1]] for line in table.splitlines()[2:]]
    return {name: [float(value) for value in values] for name, *values in cells}


def differs(table, committed):
    """Return whether the rows have other names, or numbers that are too far off."""
    made, found = numbers(table), numbers(committed)
    if list(made) != list(found):
        return True
    return any(abs(a - b) > TOLERANCE for name in made for a, b in zip(made[name], found[name], strict=True))


def main():
    """Print, write or check the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--write", action="store_true")
    parser.add_argument("--check", action="store_true")
    options = parser.parse_args()
    readme = ROOT / "README.md"
    before, rest = readme.read_text(encoding="utf-8").split(BEGIN)
    committed, after = rest.split(END, 1)
    table = run_example()
    print(table)
    if options.write:
        readme.write_text(before + BEGIN + table + END + after, encoding="utf-8")
    if options.check and differs(table, committed):
        sys.exit("The table in README.md is out of date: run python docs/make_readme_table.py --write")


if __name__ == "__main__":
    main()
