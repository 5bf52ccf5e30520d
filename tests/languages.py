"""What runs exported code of each language over rows, and returns its outputs as an array of shape (n, n_outputs)."""

import ctypes
import math
import os
import re
import shutil
import sqlite3
import subprocess
import tempfile
import zipfile
from contextlib import closing, contextmanager
from html import escape
from pathlib import Path

import numpy as np
import pytest

COMPILER = shutil.which("cc") or shutil.which("gcc")
OFFICE = shutil.which("soffice")
AS_USER = [] if os.geteuid() else ["runuser", "-u", "postgres", "--"]  # the server does not run as root
SERVER = all(shutil.which(program) for program in ("initdb", "pg_ctl", "psql", *AS_USER[:1]))
has_exp = sqlite3.sqlite_version_info >= (3, 35) and sqlite3.connect(":memory:").execute(
    "SELECT sqlite_compileoption_used('ENABLE_MATH_FUNCTIONS')"
).fetchone() == (1,)
needs_compiler = pytest.mark.skipif(COMPILER is None, reason="there is no C compiler")
needs_sqlite = pytest.mark.skipif(not has_exp, reason="SQLite has no exp")
needs_office = pytest.mark.skipif(OFFICE is None, reason="LibreOffice is not installed")
needs_postgresql = pytest.mark.skipif(not SERVER, reason="PostgreSQL is not installed")


def run_python(code, X, name="predict"):
    space = {}
    exec(compile(code, "exported", "exec"), space)
    return np.array([np.atleast_1d(space[name](*row)) for row in X.tolist()])


def run_numpy(code, X, name="predict"):
    space = {}
    exec(compile(code, "exported", "exec"), space)
    outputs = space[name](X)
    outputs = outputs if isinstance(outputs, tuple) else (outputs,)
    return np.column_stack(outputs)


def run_c(code, X, folder, *, n_outputs, dtype="float64"):
    source, library = folder / "exported.c", folder / f"exported{len(list(folder.iterdir()))}.so"
    source.write_text(code, encoding="ascii")
    flags = ["-std=c99", "-Wall", "-Wextra", "-Werror", "-Wno-unused-parameter", "-pedantic", "-fPIC", "-shared"]
    subprocess.run([COMPILER, *flags, "-o", library, source, "-lm"], check=True)
    number = ctypes.c_float if dtype == "float32" else ctypes.c_double
    function = ctypes.CDLL(str(library)).predict
    if n_outputs == 1:
        function.argtypes, function.restype = [number] * X.shape[1], number
        return np.array([[function(*row)] for row in X.tolist()])
    values, found = (number * n_outputs)(), []
    function.argtypes, function.restype = [number] * X.shape[1] + [type(values)], None
    for row in X.tolist():
        function(*row, values)
        found.append([*values])
    return np.array(found)


def run_sqlite(code, X, names, table="data", key="row number"):
    quoted = [f'"{name.replace(chr(34), 2 * chr(34))}"' for name in [key, *names]]
    with closing(sqlite3.connect(":memory:")) as base:
        table = table.replace('"', '""')
        base.execute(f'CREATE TABLE "{table}" ({", ".join(quoted)})')
        marks = ", ".join("?" * len(quoted))
        order = np.random.default_rng(0).permutation(len(X)).tolist()
        rows = [[i, *(None if math.isnan(x) else x for x in X[i].tolist())] for i in order]
        base.executemany(f'INSERT INTO "{table}" VALUES ({marks})', rows)
        found = base.execute(code).fetchall()
        assert base.execute(f'SELECT count(*) FROM "{table}"').fetchone() == (len(X),)
    return in_order(found)


def in_order(rows):
    """Return the outputs of rows that begin with their number; NULL is NaN."""
    rows = sorted(rows)
    assert [row[0] for row in rows] == [*range(len(rows))]
    return np.array([[np.nan if value is None else value for value in row[1:]] for row in rows], dtype=float)


@contextmanager
def postgresql():
    """Yield what runs a script in a server of its own, which listens to a socket in a folder of its own alone."""
    with tempfile.TemporaryDirectory() as folder:
        if AS_USER:
            shutil.chown(folder, "postgres")
        quiet = {"check": True, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, "cwd": folder}
        control = [*AS_USER, "pg_ctl", "-D", f"{folder}/data", "-w"]
        initialise = ["initdb", "-D", f"{folder}/data", "-A", "trust", "-E", "UTF8", "--locale=C", "-N"]
        subprocess.run([*AS_USER, *initialise], **quiet)
        subprocess.run([*control, "-o", f"-k {folder} -c listen_addresses= -c fsync=off", "start"], **quiet)

        def run(script):
            options = ["-h", folder, "-X", "-q", "-A", "-t", "-F\t", "-v", "ON_ERROR_STOP=1", "postgres"]
            command = [*AS_USER, "psql", *options]
            done = subprocess.run(command, input=script, capture_output=True, text=True, cwd=folder, check=False)
            assert done.returncode == 0, done.stderr
            return done.stdout

        try:
            yield run
        finally:
            subprocess.run([*control, "-m", "immediate", "stop"], **quiet)


def run_postgresql(run, code, X, names, key="row number"):
    quoted = [f'"{name.replace(chr(34), 2 * chr(34))}"' for name in names]
    columns = ", ".join([f'"{key}" integer', *(f"{name} double precision" for name in quoted)])
    values = ",\n".join(f"({i}, {', '.join(repr(x) for x in row)})" for i, row in enumerate(X.tolist()))
    values = re.sub(r"\bnan\b", "'NaN'", values)
    script = f"CREATE TEMPORARY TABLE data ({columns});\nINSERT INTO data VALUES {values};\n{code};"
    lines = run(script).splitlines()
    return in_order([[int(line.split("\t")[0]), *map(_number, line.split("\t")[1:])] for line in lines])


def _number(text):
    return float(text) if text else None


EXCEL = {
    "EXP": math.exp,
    "TANH": math.tanh,
    "SQRT": math.sqrt,
    "MAX": max,
    "MIN": min,
    "IF": lambda condition, yes, no: yes if condition else no,
    "NOT": lambda condition: not condition,
    "ISNUMBER": lambda value: value is not None and not math.isnan(value),
}
"""The functions of Excel that are used; its operators mean in Python what they mean there."""


def letters(number):
    """Return the name of a column, of which the first is 0."""
    return (chr(ord("A") + number // 26 - 1) if number >= 26 else "") + chr(ord("A") + number % 26)


def run_formulas(code, X, labels):
    """Evaluate formulas as what they are in Python, too."""
    header, formulas = (line.split("\t") for line in code.splitlines())
    compiled = [compile(formula.removeprefix("="), "cell", "eval") for formula in formulas]
    found = []
    for row in X.tolist():
        cells = {f"{letters(i)}2": value for i, value in enumerate(row)} | EXCEL
        for i, formula in enumerate(compiled, start=len(row)):
            cells[f"{letters(i)}2"] = eval(formula, {}, cells)
        found.append([cells[f"{letters(len(row) + header.index(label))}2"] for label in labels])
    return np.array(found)


def run_office(sheets, folder):
    """Return the outputs of many codes: pairs of (code, X) and labels, each on a sheet of one workbook."""
    book = folder / "book.xlsx"
    _write_book(book, [_sheet(code, X) for code, X, _ in sheets])
    environment = {**os.environ, "HOME": str(folder)}
    options = "csv:Text - txt - csv (StarCalc):9,34,76,1,,0,false,false,false,false,false,-1"
    subprocess.run(
        [OFFICE, "--headless", "--convert-to", options, "--outdir", folder, book],
        check=True,
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    found = []
    for number, (code, X, labels) in enumerate(sheets):
        lines = (folder / f"book-sheet{number}.csv").read_text().replace(chr(34), "").splitlines()
        header = code.splitlines()[0].split("\t")
        columns = [X.shape[1] + header.index(label) for label in labels]
        found.append(np.array([[float(line.split("\t")[c]) for c in columns] for line in lines[1:]]))
    return found


def _sheet(code, X):
    """Return the XML of a sheet with the inputs, and the formulas filled down."""
    header, formulas = (line.split("\t") for line in code.splitlines())
    titles = "".join(f'<c t="inlineStr"><is><t>{escape(text)}</t></is></c>' for text in [*"x" * X.shape[1], *header])
    rows = [f'<row r="1">{titles}</row>']
    for number, row in enumerate(X.tolist(), start=2):
        cells = "".join("<c/>" if math.isnan(value) else f"<c><v>{value!r}</v></c>" for value in row)
        moved = (re.sub(r"\b([A-Z]{1,3})2\b", rf"\g<1>{number}", formula.removeprefix("=")) for formula in formulas)
        cells += "".join(f"<c><f>{escape(formula)}</f></c>" for formula in moved)
        rows.append(f'<row r="{number}">{cells}</row>')
    return f'<worksheet xmlns="{MAIN}"><sheetData>{"".join(rows)}</sheetData></worksheet>'


OPEN = "http://schemas.openxmlformats.org"
MAIN = f"{OPEN}/spreadsheetml/2006/main"
RELATIONS = f"{OPEN}/officeDocument/2006/relationships"
PACKAGE = f"{OPEN}/package/2006"


def _write_book(path: Path, sheets):
    kind = "application/vnd.openxmlformats-officedocument.spreadsheetml"
    numbers = range(len(sheets))
    parts = "".join(f'<Override PartName="/xl/s{i}.xml" ContentType="{kind}.worksheet+xml"/>' for i in numbers)
    named = "".join(f'<sheet name="sheet{i}" sheetId="{i + 1}" r:id="r{i}"/>' for i in numbers)
    related = "".join(f'<Relationship Id="r{i}" Type="{RELATIONS}/worksheet" Target="s{i}.xml"/>' for i in numbers)
    files = {
        "[Content_Types].xml": f'<Types xmlns="{PACKAGE}/content-types">'
        f'<Default Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships+xml"/>'
        f'<Override PartName="/xl/workbook.xml" ContentType="{kind}.sheet.main+xml"/>{parts}</Types>',
        "_rels/.rels": f'<Relationships xmlns="{PACKAGE}/relationships">'
        f'<Relationship Id="r" Type="{RELATIONS}/officeDocument" Target="xl/workbook.xml"/></Relationships>',
        "xl/workbook.xml": f'<workbook xmlns="{MAIN}" xmlns:r="{RELATIONS}"><sheets>{named}</sheets></workbook>',
        "xl/_rels/workbook.xml.rels": f'<Relationships xmlns="{PACKAGE}/relationships">{related}</Relationships>',
        **{f"xl/s{i}.xml": sheet for i, sheet in enumerate(sheets)},
    }
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, text in files.items():
            archive.writestr(name, '<?xml version="1.0" encoding="UTF-8"?>' + text)


def run_latex(code, X, names, labels):
    """Evaluate equations in their order; a symbol of the inputs and outputs is its name in Roman letters."""
    romans = {name: f"x{i}" for i, name in enumerate(map(_roman, names))}
    romans |= {name: f"y{i}" for i, name in enumerate(map(_roman, labels))}
    space = {"exp": np.exp, "sqrt": np.sqrt, "tanh": np.tanh, "max": _largest, "min": np.minimum}
    space |= {f"x{i}": column for i, column in enumerate(X.T)}
    for equation in equations(code):
        name, text = (_in_python(side, romans) for side in equation.split("&="))
        space[name.strip()] = eval(text.strip(), {}, space)
    return np.column_stack([np.broadcast_to(space[f"y{i}"], len(X)) for i in range(len(labels))])


def _largest(*values):
    return np.max(np.broadcast_arrays(*values), axis=0)


def equations(code):
    inside = code.removeprefix("\\begin{align*}\n").removesuffix("\n\\end{align*}\n")
    return inside.replace(" \\\\\n&\\quad", "").split(" \\\\\n")


def _roman(name):
    escaped = {"\\": r"\backslash ", "~": r"\sim ", "^": r"\wedge ", " ": r"\ ", '"': "''", "`": "'"}
    return "".join(escaped.get(letter, "\\" * (letter in "{}_#&%$") + letter) for letter in name)


def _in_python(text, romans):
    text = re.sub(r"\\mathrm\{((?:\\.|[^{}\\])*)\}", lambda match: romans[match[1]], text)
    text = re.sub(r"([a-z])(?:\^\{\((\d+)\)\})?_\{(\d+)(?:,(\d+))?\}", r"\1\2_\3_\4", text)
    text = re.sub(r" \\cdot 10\^\{(-?\d+)\}", r"e\1", text).replace(r"\,", "*")
    for _ in range(5):
        text = re.sub(r"\\frac\{([^{}]*)\}\{([^{}]*)\}", r"((\1)/(\2))", text)
        text = re.sub(r"(?:e\^|\\sqrt)\{([^{}]*)\}", lambda m: f"{'exp' if m[0][0] == 'e' else 'sqrt'}({m[1]})", text)
    text = re.sub(r"\[(.*?)\]", r"((\1) * 1.0)", text)
    return re.sub(r"\\(max|min|tanh)", r"\1", text)


def parse_latex(code):
    """Let the mathematics of Matplotlib read every line."""
    from matplotlib.mathtext import MathTextParser

    parser = MathTextParser("path")
    for line in code.splitlines()[1:-1]:
        line = re.sub(r"\\\\$|\\[#&]|&", "", line)  # Matplotlib has none of them
        parser.parse(f"${line.strip()}$")
