"""Make the README's table from the record of a benchmark, and put it between the two comments.

python docs/make_readme_table.py            print it
python docs/make_readme_table.py --write    write it into README.md
python docs/make_readme_table.py --check    fail if README.md has another
"""

import argparse
import re
import sys
from pathlib import Path
from statistics import median

ROOT = Path(__file__).parent.parent
RECORD = ROOT / "docs" / "benchmarks" / "results" / "tables.txt"
BEGIN, END = "<!-- made by docs/make_readme_table.py -->\n", "<!-- end -->"
NAMES = {
    "sk2layer, table": "`make_table_pipeline`, untouched",
    "sk2layer, one-hot": "one-hot columns and a `TwoLayer` estimator, untouched",
    "gradient boosting": "`HistGradientBoosting`, untouched",
    "CatBoost": "CatBoost, untouched",
    "linear, searched": "one-hot columns and a linear model, penalty searched",
    "MLP, scaled": "one-hot columns and an `MLP` of scikit-learn, scaled",
}


def seconds_of_fits(record):
    """Return the median over the tables of the seconds of a fit, by model."""
    seconds = {}
    for line in record.splitlines():
        row = re.fullmatch(r"(.+?)  +\S+ ± \S+ +\S+ +(\S+)", line)
        if row:
            seconds.setdefault(row[1], []).append(float(row[2]))
    return {name: median(values) for name, values in seconds.items()}


def make_table(record):
    """Return the table in Markdown."""
    tables, summary = re.search(r"^(\d+) tables\n.*\n((?:.+\n)+)", record, re.MULTILINE).groups()
    seconds = seconds_of_fits(record)
    head = f"{tables} tables, 5 folds each", "mean rank of 6", "the first is as good or better on", "seconds of a fit"
    lines = [f"| {' | '.join(head)} |", "|---|--:|--:|--:|"]
    for line in summary.splitlines():
        name, rank, *rest = re.split(r"  +", line.rstrip())
        lines += [f"| {NAMES[name]} | {rank} | {rest[0] if rest else ''} | {seconds[name]:.2g} |"]
    return "\n".join(lines) + "\n"


def main():
    """Print, write or check the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--write", action="store_true")
    parser.add_argument("--check", action="store_true")
    options = parser.parse_args()
    readme = ROOT / "README.md"
    before, rest = readme.read_text(encoding="utf-8").split(BEGIN)
    committed, after = rest.split(END, 1)
    table = make_table(RECORD.read_text(encoding="utf-8"))
    print(table)
    if options.write:
        readme.write_text(f"{before}{BEGIN}{table}{END}{after}", encoding="utf-8")
    if options.check and table != committed:
        sys.exit("The table in README.md is out of date: run python docs/make_readme_table.py --write")


if __name__ == "__main__":
    main()
