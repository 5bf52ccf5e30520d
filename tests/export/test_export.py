"""Does exported code, run in its language, say what the estimator says?"""

import ast
import re
from functools import cache, partial

import languages
import numpy as np
import pandas as pd
import pytest
from languages import needs_compiler, needs_office, needs_postgresql, needs_sqlite
from sklearn.compose import make_column_transformer
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MaxAbsScaler, MinMaxScaler, PolynomialFeatures, RobustScaler, StandardScaler

from sk2layer import TwoLayerClassifier, TwoLayerRegressor
from sk2layer.export import to_code
from sk2layer.model.activations import ACTIVATIONS
from sk2layer.pipeline import StackedRegressor, TransformedTarget
from sk2layer.preprocessing import PiecewiseLinearEncoder

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

rng = np.random.default_rng(0)
X = rng.normal(size=(1000, 4)) * [1.0, 10.0, 0.1, 0.0] + [0.0, 50.0, 1.0, 7.0]  # the last column is constant
wave = X[:, 0] + np.sin(X[:, 1] / 5.0) + 5.0 * X[:, 2] + 0.5 * rng.normal(size=1000)
gaps = np.where(rng.random(X.shape) < 0.1, np.nan, X)
extremes = np.array(
    [
        *np.vstack([np.eye(4), -np.eye(4)]) * 1e308,
        np.zeros(4),
        *([1e308, -1e308, 5.0, 0.0], [-1e308] * 4, [1e308] * 4, [1e-308] * 4, [1e200, -1e-200, 1e-320, 7.0]),
    ]
)
rough = wave + 1.5 * rng.normal(size=1000)
TARGETS = {
    "one": wave,
    "matrix": wave[:, np.newaxis],
    "columns": np.column_stack([wave, -0.01 * X[:, 1]]),
    "rates": np.column_stack([np.exp(wave / 10.0), 1.0 + np.abs(X[:, 0])]),
    "two": np.where(rough > np.median(wave), "yes", "no"),
    "several": np.digitize(rough, np.quantile(wave, [0.3, 0.7])),
    "labels": np.column_stack(
        [rough > 5.0, X[:, 0] * rough > 0.0, X[:, 1] > 50.0 + 20.0 * rng.normal(size=1000)]
    ).astype(int),
}
NUMBER = (("alpha", 0.1),)
AVERAGE = (("n_init", 3), ("restarts", "average"), ("hidden_units", 2))
STD = (("return_std", True),)
BEFORE = {
    "standard": (StandardScaler(),),
    "from 0 to 1": (MinMaxScaler((-1.0, 3.0)),),
    "robust": (RobustScaler(),),
    "by the largest": (MaxAbsScaler(),),
    "partly": (StandardScaler(with_mean=False), "passthrough", make_pipeline(StandardScaler(with_std=False), None)),
    "ramps": (PiecewiseLinearEncoder(3),),
    "ramps with gaps": (PiecewiseLinearEncoder(3),),
    "ramps that go on": (StandardScaler(), PiecewiseLinearEncoder(2, extrapolation="linear")),
}
CASES = {
    **{f"{name} by a number": ("one", (("activation", name), *NUMBER), "", ()) for name in ACTIVATIONS},
    **{f"{name} with deviations": ("one", (("activation", name),), "", STD) for name in ACTIVATIONS},
    "matrix": ("matrix", NUMBER, "", ()),
    "rates": ("rates", (("loss", "gamma"),), "", ()),
    "one hidden unit": ("one", (("hidden_units", 1),), "", STD),
    "columns with deviations": ("columns", (("alpha", "ard"),), "", STD),
    "deviations without noise": ("columns", (), "", (*STD, ("include_noise", False))),
    "unscaled": ("one", (("standardize", False),), "", STD),
    "average": ("one", (*AVERAGE, *NUMBER), "", ()),
    "average with deviations": ("columns", AVERAGE, "", STD),
    **{target: (target, NUMBER, "", ()) for target in ("two", "several", "labels")},
    **{f"{target} by evidence": (target, (), "", ()) for target in ("two", "several", "labels")},
    **{f"{target} plain": (target, (), "", (("plain", True),)) for target in ("two", "several", "labels")},
    "average of several": ("several", AVERAGE, "", ()),
    "several by ReLU": ("several", (("activation", "relu"),), "", ()),
    **{name: ("one", NUMBER, name, ()) for name in BEFORE},
    "ramps with deviations": ("one", (("hidden_units", 2),), "ramps with gaps", STD),
    "standard and several": ("several", (), "standard", ()),
}
every_case = pytest.mark.parametrize("case", CASES)
N_ROWS = 250  # so many are predicted
NAMES = ["length (cm)", "class", 'x"; DROP TABLE data; --', "x_1"]


@cache
def fitted(case, dtype=np.float64):
    """Return an estimator and the rows to predict; fitted once, since nothing here changes it."""
    target, settings, before, _ = CASES[case]
    Estimator = TwoLayerRegressor if target in ("one", "matrix", "columns", "rates") else TwoLayerClassifier
    model = Estimator(3, random_state=0).set_params(**dict(settings))
    rows = (gaps if "gaps" in before or "gaps" in case else X).astype(dtype)
    model = make_pipeline(*BEFORE[before], model) if before else model
    return model.fit(pd.DataFrame(rows[:150], columns=NAMES), TARGETS[target][:150]), rows[:N_ROWS]


def expected(case, rows=None, dtype=np.float64):
    """Return all outputs of the estimator, as columns."""
    options = dict(CASES[case][3])
    model, known = fitted(case, dtype)
    table = pd.DataFrame(known if rows is None else rows, columns=NAMES)
    if hasattr(model, "classes_"):
        return (model.to_mlp() if options.get("plain") else model).predict_proba(table)
    if options:
        network = model[-1] if hasattr(model, "steps") else model
        table = model[:-1].transform(table) if hasattr(model, "steps") else table
        return np.column_stack(network.predict(table, **options))
    return np.column_stack([model.predict(table)])


def exported(case, language, fitted_to=np.float64, **options):
    return to_code(fitted(case, fitted_to)[0], language, **dict(CASES[case][3]), **options)


def agree(found, wanted, tolerance=1e-12):
    """Assert that numbers are as those of the estimator, relative to the largest."""
    assert found.shape == wanted.shape
    np.testing.assert_allclose(found, wanted, rtol=0.0, atol=tolerance * np.abs(wanted).max())


@cache
def at_extremes(case):
    """Return the outputs of the estimator for numbers of all sizes, NaN where it has none."""
    found = []
    for row in extremes:
        try:
            with np.errstate(all="ignore"):
                found.append(expected(case, row[np.newaxis])[0])
        except ValueError:  # products have overflowed
            found.append(np.full(expected(case).shape[1], np.nan))
    return np.array(found)


def agree_at_extremes(case, run):
    """Assert it for numbers of all sizes, wherever the estimator itself has a number."""
    wanted = at_extremes(case)
    known = np.isfinite(wanted).all(axis=1)
    assert known.sum() >= 3
    agree(run(extremes)[known], wanted[known])


@every_case
def test_python(case):
    run = partial(languages.run_python, exported(case, "python"))
    agree(run(fitted(case)[1]), expected(case))
    agree_at_extremes(case, run)


@every_case
def test_numpy(case):
    run = partial(languages.run_numpy, exported(case, "numpy"))
    agree(run(fitted(case)[1]), expected(case))
    with np.errstate(all="ignore"):
        agree_at_extremes(case, run)


def test_numpy_returns_the_shapes_of_the_estimator():
    space = {}
    for case, shapes in {
        "one hidden unit": [(5,), (5,)],
        "matrix": [(5, 1)],
        "columns with deviations": 2 * [(5, 2)],
    }.items():
        exec(exported(case, "numpy"), space)
        outputs = space["predict"](X[:5])
        assert [a.shape for a in (outputs if isinstance(outputs, tuple) else [outputs])] == shapes


@needs_compiler
@every_case
def test_c(case, tmp_path):
    n_outputs = expected(case).shape[1]
    run = partial(languages.run_c, exported(case, "c"), folder=tmp_path, n_outputs=n_outputs)
    agree(run(fitted(case)[1]), expected(case))
    agree_at_extremes(case, run)


@needs_sqlite
@every_case
def test_sqlite(case):
    code = exported(case, "sql", keep="row number")
    run = partial(languages.run_sqlite, code, names=NAMES)
    agree(run(fitted(case)[1]), expected(case))
    agree_at_extremes(case, run)


@pytest.fixture(scope="module")
def server():
    with languages.postgresql() as run:
        yield run


@needs_postgresql
@every_case
def test_postgresql(case, server):
    code = exported(case, "sql", dialect="postgresql", keep="row number")
    run = partial(languages.run_postgresql, server, code, names=NAMES)
    agree(run(fitted(case)[1]), expected(case))
    if not re.search("ReLU|relu|identity", case):  # there it raises an error where a number overflows
        agree_at_extremes(case, run)


@every_case
def test_formulas_of_excel(case):
    code = exported(case, "excel")
    found = languages.run_formulas(code, fitted(case)[1], labels_of(case))
    agree(found, expected(case))
    assert all(len(formula) <= 8192 for formula in re.split("[\t\n]", code))


def labels_of(case):
    """Return the names of the outputs, as the columns of SQL have them."""
    last = exported(case, "sql").rpartition("SELECT")[2]
    return re.findall(r'AS "(.*)"', last)


@pytest.mark.slow
@needs_office
def test_excel(tmp_path):
    """One workbook for all: the office takes seconds to start. Its cells are read with 15 digits.

    Where a product overflows a cell has an error, and 1e308 is no number of Excel's.
    """
    cases = ["one hidden unit", "relu by a number", "several", "two by evidence", "ramps with gaps"]
    rows = [fitted(case)[1] for case in cases]
    cases, rows = [*cases, "sigmoid by a number", "several"], [*rows, extremes / 1e8, extremes / 1e8]
    sheets = [(exported(case, "excel"), X, labels_of(case)) for case, X in zip(cases, rows, strict=True)]
    for case, X, found in zip(cases, rows, languages.run_office(sheets, tmp_path), strict=True):
        agree(found, expected(case, X))


def test_excel_has_one_formula_for_each_output_where_that_is_short():
    for case, n_columns in {"sigmoid by a number": 1, "labels": 3, "ramps": 1}.items():
        assert len(exported(case, "excel").splitlines()[0].split("\t")) == n_columns
    header = exported("two by evidence", "excel").splitlines()[0].split("\t")
    assert {"h_1", "h_2", "h_3"} < {*header}
    assert header[-2:] == ["p_no", "p_yes"]


def test_excel_begins_at_a_cell():
    whole, moved = (exported("sigmoid by a number", "excel", **cell) for cell in ({}, {"cell": "AZ7"}))
    new = {"A2": "AZ7", "B2": "BA7", "C2": "BB7"}
    assert re.sub(r"\b[A-C]2\b", lambda match: new[match[0]], whole) == moved
    assert re.findall(r"\b[AB]?[A-Z]7\b", exported("one hidden unit", "excel", cell="AZ7"))[-1] > "BD7"


LATEX = [case for case in CASES if "gaps" not in case and case != "ramps with deviations"]


@pytest.mark.parametrize("case", LATEX)
def test_latex(case):
    code = exported(case, "latex")
    agree(languages.run_latex(code, X[:N_ROWS], NAMES, labels_of(case)), expected(case))


@pytest.mark.parametrize("case", ["one hidden unit", "several", "ramps"])
def test_latex_is_read_by_matplotlib(case):
    languages.parse_latex(exported(case, "latex", digits=3))


FLOAT32 = [case for case in CASES if case != "average with deviations"]  # whose weights are 30 times what they sum to


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("case", FLOAT32)
def test_float32(case, dtype, tmp_path):
    """Also where the estimator is of float64."""
    rows, options = fitted(case, dtype)[1].astype(np.float32), {} if dtype == np.float32 else {"dtype": "float32"}
    wanted = expected(case, rows.astype(dtype), dtype)
    code = exported(case, "numpy", dtype, **options)
    found = languages.run_numpy(code, rows)
    assert found.dtype == np.float32
    agree(found, wanted, 1e-6)
    if languages.COMPILER:
        code = exported(case, "c", dtype, **options)
        assert "double" not in code
        agree(languages.run_c(code, rows, tmp_path, n_outputs=wanted.shape[1], dtype="float32"), wanted, 1e-6)


def test_float32_standardises_what_is_far_from_zero_first():
    """Float32 has seven digits: of products with weights in the units of the data, few would be left."""
    years = np.column_stack([np.float32(2e4 + X[:, 0]), X[:, 2]])
    model = TwoLayerRegressor(3, random_state=0).fit(years[:150], wave[:150])
    agree(languages.run_numpy(to_code(model, "numpy", dtype="float32"), years), model.predict(years)[:, None], 1e-6)


def numbers_of(code):
    return {float(number) for number in re.findall(r"\d+\.\d+(?:[eE][-+]?\d+)?", code)}


@pytest.mark.parametrize("language", ["python", "numpy", "c", "excel", "sql"])
def test_numbers_have_all_their_digits(language):
    model = fitted("sigmoid by a number")[0]
    weights = np.concatenate([array.ravel() for array in (*model.coefs_, *model.intercepts_)])
    assert {*np.abs(weights[weights != 0.0]).tolist()} <= numbers_of(to_code(model, language))


def test_digits_can_be_fewer():
    code = exported("sigmoid by a number", "latex", digits=3)
    assert all(len(number.replace(".", "").strip("0")) <= 3 for number in re.findall(r"\d+\.\d+", code))
    agree(languages.run_latex(code, X[:N_ROWS], NAMES, ["prediction"]), expected("sigmoid by a number"), 0.05)


HOSTILE = [
    "x'\"; DROP TABLE data; --",
    "*/ int main(void) { return 1; } /*",
    "a\nimport os  # \\",
    "lambda",
    "exp",
    "NAN",
    "linux",
    "z_1",
    "h_1",
    "x_1",
    "predict",
    "__debug__",
    "日本 語",
    "",
    "  ",
    "1st",
    "??/",
    "{}$%_^~&#`",
    "a b",
    "a-b",
    "=cmd|' /C calc'!A0",
    "tab\there",
    "h",
    "h!",
    "h?",
]
WITH_A_SPACE = [f"{name} " for name in HOSTILE]  # SQL has no empty names
CLASSES = ['\'\'\'"""\n"; --', "*/ ??/ \\", "=1+1"]


@cache
def with_hostile_names():
    rows = np.random.default_rng(1).normal(size=(1000, len(HOSTILE)))
    y = np.array(CLASSES)[np.digitize(rows.sum(axis=1), [-2.0, 2.0])]
    table = pd.DataFrame(rows, columns=HOSTILE)
    return TwoLayerClassifier(2, alpha=1.0, random_state=0).fit(table[:100], y[:100]), table


def test_hostile_names_in_python():
    model, table = with_hostile_names()
    code = to_code(model, "python")
    agree(languages.run_python(code, table.to_numpy()), model.predict_proba(table))
    (function,) = (node for node in ast.parse(code).body if isinstance(node, ast.FunctionDef))
    arguments = [argument.arg for argument in function.args.args]
    assert len({*arguments}) == len(HOSTILE)
    assert arguments[3:7] == ["x_lambda", "x_exp", "NAN", "linux"]


def test_hostile_names_in_numpy():
    model, table = with_hostile_names()
    code = to_code(model, "numpy")
    assert {type(node).__name__ for node in ast.parse(code).body} == {"Import", "Assign", "FunctionDef"}
    agree(languages.run_numpy(code, table.to_numpy()), model.predict_proba(table))


@needs_compiler
def test_hostile_names_in_c(tmp_path):
    model, table = with_hostile_names()
    code = to_code(model, "c")
    assert re.fullmatch(r"[A-Za-z0-9_\s.,;=+\-*/(){}\[\]#<>]*", code)
    agree(languages.run_c(code, table.to_numpy(), tmp_path, n_outputs=3), model.predict_proba(table))


@needs_sqlite
@pytest.mark.parametrize("table", ["stage_0", 'Stage_1"', "x; DROP"])
def test_hostile_names_in_sqlite(table):
    model, rows = with_hostile_names()
    code = to_code(model, "sql", feature_names=WITH_A_SPACE, keep="row number", table=table)
    agree(languages.run_sqlite(code, rows.to_numpy(), WITH_A_SPACE, table), model.predict_proba(rows))


@needs_postgresql
def test_hostile_names_in_postgresql(server):
    model, rows = with_hostile_names()
    code = to_code(model, "sql", dialect="postgresql", feature_names=WITH_A_SPACE, keep="row number")
    agree(languages.run_postgresql(server, code, rows.to_numpy(), WITH_A_SPACE), model.predict_proba(rows))


def test_hostile_names_in_excel():
    header, formulas = to_code(with_hostile_names()[0], "excel", feature_names=HOSTILE).splitlines()
    assert all(formula.startswith("=") for formula in formulas.split("\t"))
    assert header.split("\t")[-3:] == ['p_\'\'\'""" "; --', "p_*/ ??/ \\", "p_=1+1"]


def test_hostile_names_in_latex():
    code = to_code(with_hostile_names()[0], "latex", digits=2)
    assert code.count(r"\mathrm") == 2 * len(HOSTILE) + 3
    languages.parse_latex(code)


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_what_is_not_a_number_stays_so(activation, tmp_path):
    rows, case = np.full((1, 4), np.nan), f"{activation} by a number"
    assert np.isnan(languages.run_python(exported(case, "python"), rows)).all()
    assert np.isnan(languages.run_numpy(exported(case, "numpy"), rows)).all()
    if languages.COMPILER:
        assert np.isnan(languages.run_c(exported(case, "c"), rows, tmp_path, n_outputs=1)).all()


def null_where_an_input_is_null(run):
    rows = X[:3].copy()
    rows[1, 0] = np.nan
    for case in ["sigmoid by a number", "relu by a number", "two by evidence", "several"]:
        assert np.isnan(run(case, rows)).all(axis=1).tolist() == [False, True, False]


@needs_sqlite
def test_sqlite_has_null_where_an_input_is_null():
    null_where_an_input_is_null(
        lambda case, rows: languages.run_sqlite(exported(case, "sql", keep="row number"), rows, NAMES)
    )


@needs_postgresql
def test_postgresql_has_null_where_an_input_is_null(server):
    options = {"dialect": "postgresql", "keep": "row number"}
    null_where_an_input_is_null(
        lambda case, rows: languages.run_postgresql(server, exported(case, "sql", **options), rows, NAMES)
    )


@needs_sqlite
def test_sums_of_many_terms_are_made_in_parts():
    """SQLite takes no expression that is deeper than 1000, and Excel none of more than 8192 characters."""
    rows = np.random.default_rng(0).normal(size=(300, 1201))
    model = TwoLayerRegressor(2, alpha=1.0, random_state=0).fit(rows, rows.sum(axis=1))
    names, wanted = [f"x{i}" for i in range(1201)], model.predict(rows)[:, np.newaxis]
    agree(languages.run_sqlite(to_code(model, "sql", keep="row number"), rows, names), wanted)
    agree(languages.run_python(to_code(model, "python"), rows), wanted)
    assert max(map(len, re.split("[\t\n]", to_code(model, "excel")))) <= 8192
    with pytest.raises(ValueError, match="at most 1600 columns"):
        to_code(model, "sql", keep=[f"k{i}" for i in range(500)])


MODEL = TwoLayerRegressor(2, alpha=1.0, random_state=0).fit(X[:100], wave[:100])
SAYS = [
    (MODEL, {"language": "cobol"}, ValueError, "language must be one of python, numpy, c, excel, sql, latex"),
    (MODEL, {"language": "python", "table": "x"}, TypeError, "options of language='python' are"),
    (MODEL, {"language": "c", "dtype": "float16"}, ValueError, 'dtype must be "float64" or "float32"'),
    (MODEL, {"language": "sql", "dialect": "oracle"}, ValueError, "dialect must be one of"),
    (MODEL, {"language": "sql", "table": ""}, ValueError, "no names that are empty"),
    (MODEL, {"language": "sql", "table": ()}, ValueError, "no names that are empty"),
    (MODEL, {"language": "sql", "feature_names": ["a", "a", "b", "c"]}, ValueError, "must differ"),
    (MODEL, {"language": "sql", "keep": "prediction"}, ValueError, "must differ"),
    (MODEL, {"language": "sql", "feature_names": ["a", "b\0", "c", "d"]}, ValueError, "zero character"),
    (MODEL, {"language": "excel", "cell": "1A"}, ValueError, "cell must be"),
    (MODEL, {"language": "excel", "cell": "XFC2"}, ValueError, "Excel has 16384 columns"),
    (MODEL, {"language": "python", "name": "def"}, ValueError, "name must be an identifier"),
    (MODEL, {"language": "c", "name": "double"}, ValueError, "name must be an identifier"),
    (MODEL, {"language": "numpy", "name": "a; b"}, ValueError, "name must be an identifier"),
    (MODEL, {"language": "numpy", "name": "Z_1"}, ValueError, "name must be an identifier"),
    (MODEL, {"language": "c", "feature_names": ["a"]}, ValueError, "feature_names must be 4 strings"),
    (MODEL, {"language": "c", "digits": 0}, ValueError, "digits must be"),
    (MODEL, {"language": "c", "return_std": True}, ValueError, "needs a fit by evidence"),
    (TwoLayerRegressor(), {"language": "c"}, NotFittedError, "not fitted"),
    (Ridge(), {"language": "c"}, TypeError, "must be a network of sk2layer"),
    (StackedRegressor(), {"language": "c"}, TypeError, "must be a network of sk2layer"),
    (TransformedTarget(MODEL, "log"), {"language": "c"}, TypeError, "must be a network of sk2layer"),
    (make_pipeline(PolynomialFeatures(), MODEL), {"language": "c"}, TypeError, "PolynomialFeatures"),
    (make_pipeline(MinMaxScaler(clip=True).fit(X), MODEL), {"language": "c"}, TypeError, "clip=True"),
    (make_pipeline(make_column_transformer(("drop", [0])), MODEL), {"language": "c"}, TypeError, "ColumnTransformer"),
    (make_pipeline(StandardScaler(), MODEL), {"language": "c"}, NotFittedError, "not fitted"),
]


@pytest.mark.parametrize(("estimator", "arguments", "error", "message"), SAYS)
def test_what_cannot_be_exported_is_said(estimator, arguments, error, message):
    with pytest.raises(error, match=re.escape(message)):
        to_code(estimator, **arguments)


def test_a_classifier_has_no_deviations():
    with pytest.raises(ValueError, match="return_std=True needs loss='squared_error'"):
        to_code(fitted("rates")[0], "c", return_std=True)
    with pytest.raises(ValueError, match="return_std=True needs a regressor"):
        to_code(fitted("two")[0], "python", return_std=True)


def test_too_many_terms_are_said():
    rows = np.random.default_rng(0).normal(size=(60, 30))
    model = TwoLayerRegressor(20, random_state=0, max_iter=1).fit(rows, rows[:, 0])
    with pytest.raises(ValueError, match="has 205761 terms with 30 inputs of the network and 20 hidden units"):
        to_code(model, "python", return_std=True)
    assert len(to_code(model, "python")) < 30_000


def test_numbers_too_large_for_float32_are_said():
    model = TwoLayerRegressor(2, alpha=1.0, random_state=0).fit(X[:100], 1e60 * wave[:100])
    with pytest.raises(ValueError, match="has no number as large as"):
        to_code(model, "c", dtype="float32")
