"""Capture: what of the notebook goes with a fitted object, and what stops it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import skops.io
from IPython.core.interactiveshell import InteractiveShell

from modelyard.capture import Captured, CaptureError, StaleCodeError, capture, notebook_cells

Run = Callable[..., Any]

IMPORTS = """
import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.linear_model import LinearRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer
X = np.arange(12.0).reshape(6, 2)
y = np.arange(6.0)
"""
SCALED = """
class Scaled(TransformerMixin, BaseEstimator):
    def fit(self, X, y=None):
        self.n_features_in_ = X.shape[1]
        return self

    def transform(self, X):
        return scale(X)  # the helper
"""
HELPER = "def scale(X):\n    return np.asarray(X) * FACTOR\n"
MODEL = "model = make_pipeline(Scaled(), LinearRegression()).fit(X, y)"
THREE = (IMPORTS, "FACTOR = 3.0", HELPER, SCALED, MODEL)


@pytest.fixture
def run(shell: InteractiveShell) -> Run:
    """Run cells as a notebook does; return what the last one leaves in ``model``."""

    def cells(*texts: str) -> Any:
        for text in texts:
            shell.run_cell(text, store_history=True).raise_error()
        return shell.user_ns.get("model")

    return cells


@pytest.fixture
def beside(project: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder beside the notebook, from which its helper modules are imported."""
    monkeypatch.syspath_prepend(str(project))
    before = set(sys.modules)
    yield project
    for name in set(sys.modules) - before:
        if str(project) in str(getattr(sys.modules[name], "__file__", "")):
            del sys.modules[name]


def with_table(expression: str) -> str:
    return SCALED.replace("    def fit", f"    table = {expression}\n    def fit", 1)


def numbered(*texts: str) -> list[tuple[int, str]]:
    return list(enumerate(texts, start=1))


def captured_of(model: Any) -> Captured:
    found = capture(model)
    assert found is not None
    compile(found.source, found.module, "exec")
    return found


def same(captured: Captured, model: Any, X: Any) -> None:
    rebound = captured.rebound(model)
    method = "predict" if hasattr(model, "predict") else "transform"
    np.testing.assert_array_equal(getattr(rebound, method)(X), getattr(model, method)(X))


DATA = np.arange(8.0).reshape(4, 2)


def test_holds_the_transformer_its_helper_and_its_constant_and_nothing_else(run: Run) -> None:
    model = run(*THREE[:-1], "import sqlite3\nUNRELATED = 5\ndef other(): return UNRELATED", MODEL)
    captured = captured_of(model)
    assert captured.names == ("FACTOR", "Scaled", "scale")
    assert captured.imports == ("numpy", "sklearn")
    assert "UNRELATED" not in captured.source
    assert "sqlite3" not in captured.source
    assert "LinearRegression" not in captured.source
    assert "# the helper" in captured.source
    same(captured, model, DATA)


def test_captures_nothing_of_an_object_without_code_of_the_notebook(run: Run) -> None:
    assert capture(run(IMPORTS, "model = make_pipeline(LinearRegression()).fit(X, y)")) is None


def test_writes_the_same_source_for_the_same_definitions(run: Run) -> None:
    first = captured_of(run(*THREE))
    second = captured_of(run(*THREE))
    assert first.source == second.source
    assert first.module == second.module
    assert first.module.startswith("modelyard_captured_")
    third = captured_of(run("FACTOR = 4.0", MODEL))
    assert third.module != first.module


def test_a_module_is_reloaded_through_skops_elsewhere(run: Run, tmp_path: Path) -> None:
    model = run(*THREE[:3], SCALED, "T = FunctionTransformer(lambda X, k=FACTOR: X + k)",
                "model = make_pipeline(T, Scaled(), LinearRegression()).fit(X, y)")  # fmt: skip
    captured = captured_of(model)
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / f"{captured.module}.py").write_text(captured.source)
    (elsewhere / "model.skops").write_bytes(skops.io.dumps(captured.rebound(model)))
    program = (
        "import sys, skops.io, numpy as np\nsys.path.insert(0, '.')\n"
        "trusted = skops.io.get_untrusted_types(file='model.skops')\n"
        "model = skops.io.load('model.skops', trusted=trusted)\n"
        "print(model.predict(np.arange(8.0).reshape(4, 2)).tolist(), 'modelyard' in sys.modules)"
    )
    ran = subprocess.run(
        [sys.executable, "-I", "-c", program], cwd=elsewhere, capture_output=True, text=True, check=False
    )
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout.strip() == f"{model.predict(DATA).tolist()} False"


def test_follows_inheritance_across_cells(run: Run) -> None:
    model = run(
        IMPORTS,
        "class Fitting(TransformerMixin, BaseEstimator):\n    def fit(self, X, y=None):\n        return self",
        "class Adding(Fitting):\n    step = 2\n    def transform(self, X):\n        return self.added(X)\n"
        "    def added(self, X):\n        return X + self.step",
        "class More(Adding):\n    def transform(self, X):\n        return super().transform(X) * 2",
        "model = More().fit(X)",
    )
    captured = captured_of(model)
    assert captured.names == ("Adding", "Fitting", "More")
    same(captured, model, DATA)


@pytest.mark.parametrize(
    ("cells", "expected"),
    [
        (["model = FunctionTransformer(lambda X: X + 1)"], {"_lambda_1"}),
        (["K = 2", "plus = lambda X: X + K", "model = FunctionTransformer(plus)"], {"K", "_lambda_1"}),
        (["plus, minus = (lambda X: X + 1), (lambda X: X - 1)", "model = FunctionTransformer(minus)"], {"_lambda_1"}),
        (["sq = lambda v: v * v\ndef f(X):\n    return sq(X) + 1", "model = FunctionTransformer(f)"],
         {"_lambda_1", "f", "sq"}),
        (["def power(p):\n    def raised(X):\n        return X ** p\n    return raised",
          "model = FunctionTransformer(power(3))"], {"_raised_1"}),
        (["def power(p):\n    return lambda X: X ** p",
          "model = make_pipeline(FunctionTransformer(power(2)), FunctionTransformer(power(3)))"],
         {"_lambda_1", "_lambda_2"}),
        (["def down(n):\n    def inner(X, k=n):\n        return X if k == 0 else inner(X, k - 1) + 1\n    return inner",
          "model = FunctionTransformer(down(3))"], {"_inner_1"}),
        (["from functools import partial\ndef f(X, k, *, j=1):\n    return X * k + j",
          "model = FunctionTransformer(partial(f, k=4, j=2))"], {"f"}),
        (["def fact(n):\n    return 1 if n < 2 else n * fact(n - 1)", "def f(X):\n    return X * fact(3)",
          "model = FunctionTransformer(f)"], {"f", "fact"}),
        (["def even(n):\n    return n == 0 or odd(n - 1)\ndef odd(n):\n    return n > 0 and even(n - 1)",
          "model = FunctionTransformer(lambda X: X + even(4))"], {"_lambda_1", "even", "odd"}),
        (["BASE = 5\ndef f(X, by=BASE):\n    return X + by", "model = FunctionTransformer(f)"], {"BASE", "f"}),
        (["def g(X): return X + 1", "model = FunctionTransformer(np.log1p, inverse_func=g)"], {"g"}),
    ],
)  # fmt: skip
def test_captures_functions_of_every_kind(run: Run, cells: list[str], expected: set[str]) -> None:
    model = run(IMPORTS, *cells)
    captured = captured_of(model)
    assert set(captured.names) == expected
    same(captured, model, DATA)


def test_keeps_decorators_written_in_the_notebook(run: Run) -> None:
    model = run(
        IMPORTS + "import functools",
        "TIMES = 2\ndef twice(f):\n    @functools.wraps(f)\n    def wrapper(X):\n"
        "        for _ in range(TIMES):\n            X = f(X)\n        return X\n    return wrapper",
        "@twice\ndef plus(X):\n    return X + offset(1)\n@functools.lru_cache\ndef offset(k):\n    return k + 10",
        "model = FunctionTransformer(plus)",
    )
    captured = captured_of(model)
    assert captured.names == ("TIMES", "offset", "plus", "twice")
    same(captured, model, DATA)


def test_captures_a_function_decorated_by_hand(run: Run) -> None:
    model = run(
        IMPORTS,
        "def twice(f):\n    def wrapper(X):\n        return f(f(X))\n    return wrapper",
        "def plus(X):\n    return X + 1",
        "plus = twice(plus)",
        "model = FunctionTransformer(plus)",
    )
    captured = captured_of(model)
    assert captured.rebound(model).transform(DATA)[0, 0] == 2
    assert "twice" not in captured.names


def test_captures_dataclasses_enums_and_named_tuples(run: Run) -> None:
    model = run(
        IMPORTS + "import dataclasses, enum, collections",
        "class Mode(enum.Enum):\n    UP = 1\n    DOWN = -1",
        "Pair = collections.namedtuple('Pair', 'a b')",
        "@dataclasses.dataclass(slots=True, frozen=True)\nclass Options:\n    by: float = 2.0\n"
        "    mode: Mode = Mode.UP\n    more: list = dataclasses.field(default_factory=lambda: [1])",
        "OPTIONS = Options(by=3.0, mode=Mode.DOWN)\n"
        "class Moved(TransformerMixin, BaseEstimator):\n    def __init__(self, options=None):\n"
        "        self.options = options\n    def fit(self, X, y=None):\n"
        "        self.fitted_ = True\n        return self\n"
        "    def transform(self, X):\n        o = self.options or OPTIONS\n"
        "        return X + o.by * o.mode.value * Pair(1, 2).b",
        "model = make_pipeline(Moved(), Moved(Options(1.0))).fit(X)",
    )
    captured = captured_of(model)
    assert captured.names == ("Mode", "Moved", "OPTIONS", "Options", "Pair")
    same(captured, model, DATA)


def test_class_attributes_use_constants_of_every_plain_kind(run: Run) -> None:
    model = run(
        IMPORTS + "import re, pathlib",
        "A = np.float64(1.5)\nB = np.arange(4, dtype='float32').reshape(2, 2)\nC = {'k': [1, (2,), {3}, None]}\n"
        "D = re.compile('a+', re.I)\nE = float('inf')\nF = pathlib.Path('x', 'y')\n"
        "G = np.array(['2020-01-01'], 'M8[D]')",
        "class T(TransformerMixin, BaseEstimator):\n    weights = B * 2\n    table = {**C, 'a': A}\n"
        "    def fit(self, X, y=None):\n        return self\n    def transform(self, X):\n"
        "        assert D.match('AA') and E > 1 and F.name == 'y' and G[0] == np.datetime64('2020-01-01')\n"
        "        return X @ self.weights + self.table['a']",
        "model = T()",
    )
    captured = captured_of(model)
    assert captured.names == ("A", "B", "C", "D", "E", "F", "G", "T")
    same(captured, model, DATA)


def test_uses_the_definition_that_ran_last(run: Run) -> None:
    model = run(IMPORTS, "FACTOR = 1", HELPER, SCALED, HELPER.replace("* FACTOR", "+ FACTOR"),
                "FACTOR = 7", MODEL)  # fmt: skip
    captured = captured_of(model)
    assert "+ FACTOR" in captured.source
    assert "FACTOR = 7" in captured.source
    same(captured, model, DATA)


def test_an_object_of_an_older_class_keeps_its_own_definition(run: Run) -> None:
    older = SCALED.replace("scale(X)", "X + self.by").replace("    def fit", "    by = 1\n\n    def fit", 1)
    model = run(IMPORTS, older, "model = Scaled()", older.replace("by = 1", "by = 2"))
    captured = captured_of(model)
    assert "by = 1" in captured.source
    same(captured, model, DATA)


def test_takes_only_the_lines_of_a_definition_from_its_cell(run: Run) -> None:
    model = run(IMPORTS + "\nFACTOR = 3.0\n" + HELPER + "\nprint('aside')\n" + SCALED + "\n" + MODEL)
    captured = captured_of(model)
    assert "aside" not in captured.source
    same(captured, model, DATA)


def test_finds_what_a_magic_ran(run: Run) -> None:
    model = run(IMPORTS, "%%time\nFACTOR = 3.0\n" + HELPER, SCALED, MODEL)
    assert captured_of(model).names == ("FACTOR", "Scaled", "scale")


def test_captures_a_class_made_by_a_function(run: Run) -> None:
    model = run(
        IMPORTS,
        "def made(k):\n    class Inner(TransformerMixin, BaseEstimator):\n        def fit(self, X, y=None):\n"
        "            return self\n        def transform(self, X):\n            return X * k\n    return Inner",
        "model = made(5)()",
    )
    captured = captured_of(model)
    assert captured.names == ("_Inner_1",)
    same(captured, model, DATA)


def test_captures_methods_given_as_functions(run: Run) -> None:
    model = run(
        IMPORTS,
        "class Maths:\n    def __init__(self, k):\n        self.k = k\n"
        "    def times(self, X):\n        return X * self.k\n"
        "    @staticmethod\n    def half(X):\n        return X / 2",
        "model = make_pipeline(FunctionTransformer(Maths(3).times), FunctionTransformer(Maths.half))",
    )
    captured = captured_of(model)
    assert captured.names == ("Maths",)
    same(captured, model, DATA)


def test_flattens_helper_modules_beside_the_notebook(run: Run, beside: Path) -> None:
    (beside / "shapes.py").write_text(
        "import numpy as np\nSIDE = 2\ndef area(X):\n    return np.abs(X) * SIDE\n"
    )
    (beside / "more.py").write_text(
        "from shapes import area as surface\nUNUSED = 1\ndef big(X):\n    return surface(X) + 1\n"
    )
    model = run(IMPORTS, "import more\nfrom shapes import area",
                "def f(X):\n    return more.big(X) + area(X)\nmodel = FunctionTransformer(f)")  # fmt: skip
    captured = captured_of(model)
    assert captured.names == ("SIDE", "area", "big", "f", "more", "surface")
    assert captured.imports == ("numpy", "types")
    same(captured, model, DATA)


def test_flattens_a_package_beside_the_notebook(run: Run, beside: Path) -> None:
    (beside / "features").mkdir()
    (beside / "features" / "__init__.py").write_text("from features import ratios\n")
    (beside / "features" / "ratios.py").write_text(
        "import numpy as np\nfrom . import floors\nclass Base:\n    def up(self, X):\n"
        "        return np.abs(X) + floors.FLOOR\n"
    )
    (beside / "features" / "floors.py").write_text("FLOOR = 2\n")
    model = run(
        IMPORTS,
        "import features",
        "class T(features.ratios.Base, TransformerMixin, BaseEstimator):\n    def fit(self, X, y=None):\n"
        "        return self\n    def transform(self, X):\n        return self.up(X)\nmodel = T()",
    )
    captured = captured_of(model)
    assert captured.names == ("Base", "FLOOR", "T", "features", "floors")
    same(captured, model, DATA)


def test_imports_what_type_aliases_and_submodules_need(run: Run) -> None:
    model = run(
        IMPORTS + "import scipy.special\nfrom typing import NewType, TypeVar, ClassVar\nfrom math import *",
        "Array = np.ndarray | None\nNumber = TypeVar('Number')\nCount = NewType('Count', int)",
        "def f(X: Array, n: Count = Count(2)) -> Number:\n    return scipy.special.expit(X) + sin(n) * pi",
        "model = FunctionTransformer(f)",
    )
    captured = captured_of(model)
    assert captured.names == ("Array", "Count", "Number", "f", "pi")
    assert captured.imports == ("math", "numpy", "scipy", "typing")
    assert "import scipy.special" in captured.source
    same(captured, model, DATA)


def test_keeps_annotations_unevaluated_where_the_notebook_does(run: Run) -> None:
    model = run(
        IMPORTS + "import dataclasses\nfrom typing import ClassVar",
        "from __future__ import annotations\n@dataclasses.dataclass\nclass D:\n    k: ClassVar[int] = 3\n"
        "    later: Unknown = 1",
        "model = FunctionTransformer(lambda X: X + D(2).later * D.k)",
    )
    captured = captured_of(model)
    assert captured.names == ("D", "_lambda_1")
    same(captured, model, DATA)


def test_names_both_modules_where_one_name_means_two_things(run: Run, beside: Path) -> None:
    (beside / "left.py").write_text("def g(X):\n    return X + 1\ndef f(X):\n    return g(X)\n")
    model = run(IMPORTS, "from left import f\ndef g(X):\n    return f(X)\nmodel = FunctionTransformer(g)")
    with pytest.raises(
        CaptureError, match=r"'g' means one thing in (__main__|left) and another in (left|__main__)"
    ):
        capture(model)


def test_a_helper_module_changed_after_its_import_is_stale(run: Run, beside: Path) -> None:
    (beside / "edited.py").write_text("def f(X):\n    return X + 1\n")
    model = run(IMPORTS, "from edited import f\nmodel = FunctionTransformer(f)")
    (beside / "edited.py").write_text("def f(X):\n    return X + 2\n")
    with pytest.raises(StaleCodeError, match=r"edited\.py changed after f was imported"):
        capture(model)


@pytest.mark.parametrize(
    ("cells", "message"),
    [
        (["T = pd.DataFrame({'a': [1]})\ndef f(X):\n    return X + len(T)"], "f uses the global T, a pandas DataFrame"),
        (["L = LinearRegression().fit(X, y)\ndef f(X):\n    return L.predict(X)"], "a sklearn LinearRegression"),
        (["B = np.zeros(2000)\ndef f(X):\n    return X + B[0]"], "an array of 2000 elements"),
        (["def f(X):\n    return X + globals()['y'][0]"], "f uses globals"),
        (["def f(X):\n    return X + len(pd.read_csv('rates.csv'))"], r"f opens the file 'rates\.csv'"),
        (["import pathlib\nP = 'a.txt'\ndef f(X):\n    return X + len(pathlib.Path(P).read_text())"], r"'a\.txt'"),
        (["def f(X):\n    with open('w.bin', 'rb') as file:\n        return X + len(file.read())"], r"'w\.bin'"),
        (["def f(X):\n    return X @ np.load('weights.npy')"], r"'weights\.npy'"),
        (["def make(t):\n    def inner(X):\n        return X + len(t)\n    return inner\nf = make(pd.DataFrame())"],
         "keeps t, a pandas DataFrame"),
    ],
)  # fmt: skip
def test_refuses_in_one_line_what_cannot_travel(run: Run, cells: list[str], message: str) -> None:
    model = run(IMPORTS, *cells, "model = FunctionTransformer(f)")
    with pytest.raises(CaptureError, match=message) as refused:
        capture(model)
    assert "\n" not in str(refused.value)


def test_refuses_a_definition_without_source(run: Run) -> None:
    model = run(IMPORTS, "exec('def f(X):\\n    return X + 1')", "model = FunctionTransformer(f)")
    with pytest.raises(CaptureError, match="the source of f is not to be had"):
        capture(model)


def test_refuses_a_default_computed_from_a_constant_that_changed(run: Run) -> None:
    model = run(IMPORTS, "K = 1\ndef f(X, k=K):\n    return X + k", "model = FunctionTransformer(f)", "K = 2")
    with pytest.raises(StaleCodeError, match="default 1 of 'f' is 1 in this object, but 2 when"):
        capture(model)


@pytest.mark.parametrize(
    ("cells", "message"),
    [
        ([SCALED, "Scaled.table = {1: 2}"], "but gone when"),
        ([with_table("{}"), "Scaled.table['a'] = 1"], "table of 'Scaled' is"),
        ([with_table("X * 2"), "X = X + 1"], "table of 'Scaled' is"),
        ([SCALED, "def better(self, X):\n    return X\nScaled.transform = better"], "source of Scaled is not"),
        (["from functools import singledispatch\n@singledispatch\ndef plus(X):\n    return X",
          "@plus.register\ndef _(X: np.ndarray):\n    return X + 1", SCALED.replace("scale(X)", "plus(X)")],
         "registry of 'plus' is"),
    ],
)  # fmt: skip
def test_refuses_definitions_changed_from_outside(run: Run, cells: list[str], message: str) -> None:
    model = run(IMPORTS, "FACTOR = 1", HELPER, *cells, MODEL)
    with pytest.raises((CaptureError, StaleCodeError), match=message):
        capture(model)


def test_the_saved_notebook_that_ran_is_not_stale(run: Run) -> None:
    model = run(*THREE)
    found = capture(model, cells=numbered(*THREE))
    assert found is not None
    assert found.stale == ()


def test_a_changed_constant_is_refused_with_its_cell(run: Run) -> None:
    model = run(*THREE)
    edited = numbered(IMPORTS, "FACTOR = 4.0", *THREE[2:])
    with pytest.raises(
        StaleCodeError, match=r"'FACTOR' changed in cell 2 .*`FACTOR = 4.0` now, `FACTOR = 3.0`"
    ):
        capture(model, cells=edited)


def test_an_edited_definition_is_refused_with_the_first_line_that_differs(run: Run) -> None:
    model = run(*THREE)
    edited = numbered(*THREE[:2], HELPER.replace("*", "+"), *THREE[3:])
    with pytest.raises(
        StaleCodeError, match=r"'scale' changed in cell 3 .*`return np\.asarray\(X\) \+ FACTOR` now"
    ):
        capture(model, cells=edited)


def test_a_deleted_cell_is_refused(run: Run) -> None:
    model = run(*THREE)
    with pytest.raises(StaleCodeError, match=r"'scale' ran as `def scale.*deleted .*--allow-stale"):
        capture(model, cells=numbered(*THREE[:2], *THREE[3:]))


def test_an_edited_lambda_is_refused(run: Run) -> None:
    cells = (IMPORTS, "model = FunctionTransformer(lambda X: X + 1)")
    model = run(*cells)
    assert capture(model, cells=numbered(*cells)) is not None
    with pytest.raises(StaleCodeError, match=r"the lambda in 'model' changed in cell 2"):
        capture(model, cells=numbered(IMPORTS, "model = FunctionTransformer(lambda X: X + 2)"))


def test_a_function_given_another_meaning_is_refused(run: Run) -> None:
    define = "def g(X):\n    return X + 1"
    cells = (IMPORTS, define, "h = g", "def f(X):\n    return h(X)", "model = FunctionTransformer(f)")
    model = run(*cells)
    assert capture(model, cells=numbered(*cells)) is not None
    with pytest.raises(StaleCodeError, match="'h' changed in cell 3 after it ran: `h = len` now, `h = g`"):
        capture(model, cells=numbered(*cells[:2], "h = len", *cells[3:]))


def test_comments_formatting_and_magics_do_not_make_code_stale(run: Run) -> None:
    model = run(*THREE)
    commented = HELPER.replace("):", "):  # scaled\n    # by the factor").replace(" * ", "*")
    cells = numbered(IMPORTS, "%matplotlib inline\n!true\nFACTOR = 3.0 # EUR", commented, *THREE[3:])
    assert capture(model, cells=cells) is not None


def test_allow_stale_records_what_differs(run: Run) -> None:
    model = run(*THREE)
    found = capture(model, cells=numbered(IMPORTS, "FACTOR = 4.0", *THREE[3:]), allow_stale=True)
    assert found is not None
    assert [line.split()[0] for line in found.stale] == ["'FACTOR'", "'scale'"]
    same(found, model, DATA)


def test_reads_the_saved_notebook_of_the_kernel(
    run: Run, project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = run(*THREE)
    cells = [{"cell_type": "markdown", "source": "# T"}]
    cells += [
        {"cell_type": "code", "source": text.splitlines(keepends=True)} for text in (*THREE[:1], "FACTOR = 9")
    ]
    (project / "n.ipynb").write_text(json.dumps({"cells": cells}))
    assert notebook_cells() is None
    monkeypatch.setenv("JPY_SESSION_NAME", os.fspath(project / "n.ipynb"))
    assert notebook_cells() == [(1, IMPORTS), (2, "FACTOR = 9")]
    monkeypatch.setenv("JPY_SESSION_NAME", "n.ipynb")
    with pytest.raises(StaleCodeError, match="'FACTOR' changed in cell 2"):
        capture(model)


def test_refuses_an_object_that_cannot_be_copied(run: Run) -> None:
    model = run(*THREE)
    model.lock = __import__("threading").Lock()
    with pytest.raises(CaptureError, match="holds something that cannot be copied"):
        capture(model)
