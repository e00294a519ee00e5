"""What a fitted estimator costs once it is served: really converted, loaded and timed, one row at a time."""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd

from modelyard.conversion import FAILURES, Session, convert
from modelyard.errors import ModelyardError
from modelyard.evaluation.inputs import Samples
from modelyard.evaluation.splitters import first_line
from modelyard.golden import Outputs, compare, expected
from modelyard.tuning.cost import Cost

_ASKED_ROWS = 32  # different ones in turn, as requests are
_SAMPLE_ROWS = 200
_COMPARED_ROWS = 2000
_MANY_ROWS = 300
_FAR = 2.0  # as packaging: a graph that takes longer than this many times the estimator's time is not served
_CALLS = 40  # to a round: its median is that of a model whose memory is in the cache again
_ROUND_S = 0.02  # a slow model is asked less often
_ROUNDS = (5, 300)
_MODEL_ERRORS = (ValueError, TypeError, KeyError, AttributeError, IndexError, ArithmeticError)

Ask = Callable[[], object]


@dataclass(frozen=True, eq=False)
class Rows:
    """The training rows as a table, as packaging sees it.

    Attributes
    ----------
    samples : Samples
    table : DataFrame or None
        ``None`` where the rows are no table (a sparse matrix, a column of texts): such models are served in Python.
    array_dtype : str or None
        The type of the array that the estimator is fed, ``None`` if it is fed a frame.
    """

    samples: Samples
    table: pd.DataFrame | None
    array_dtype: str | None

    @classmethod
    def of(cls, samples: Samples) -> Rows:
        X = samples.X
        if isinstance(X, pd.DataFrame):
            return cls(samples, X.reset_index(drop=True), None)
        if isinstance(X, np.ndarray) and X.ndim == 2:
            names = [f"x{place}" for place in range(X.shape[1])]
            return cls(samples, pd.DataFrame(X, columns=names), str(X.dtype))
        return cls(samples, None, None)

    def sample(self) -> pd.DataFrame | None:
        """Return the first rows, and one for each column with a null that those do not show."""
        if self.table is None or len(self.table) <= _SAMPLE_ROWS:
            return self.table
        missing = self.table.isna().to_numpy()
        unseen = missing.any(axis=0) & ~missing[:_SAMPLE_ROWS].any(axis=0)
        more = {int(missing[:, place].argmax()) for place in np.flatnonzero(unseen)}
        return self.table.iloc[[*range(_SAMPLE_ROWS), *sorted(more)]].reset_index(drop=True)

    def spread(self, count: int) -> np.ndarray[Any, Any]:
        """Return positions of `count` rows, evenly over all of them."""
        rows = self.samples.rows
        return np.unique(np.linspace(0, rows - 1, min(count, rows)).astype(np.intp))

    def fed(self, positions: np.ndarray[Any, Any]) -> Any:
        """Return rows as the estimator is fed them."""
        return self.samples.take(positions)


@dataclass(frozen=True, eq=False)
class Served:
    """A model in the form that a bundle would hold, loaded.

    Attributes
    ----------
    asks : tuple of callables
        Each answers one row; what a request must be turned into first has been done.
    model, content, feed
        The estimator, the graph's bytes, and one row as either is fed: what a new process needs to answer it.
    many : callable
        Takes a number, and returns what answers so many rows at once; rows are repeated where there are fewer.
    """

    form: Literal["onnx", "python"]
    size_bytes: float
    asks: tuple[Ask, ...]
    why: str
    model: Any
    content: bytes | None
    feed: Any
    many: Callable[[int], Ask]


@cache
def warm_up() -> None:
    """Convert and run something small: the converters take seconds to import, which is no cost of a model."""
    from sklearn.linear_model import LinearRegression

    table = pd.DataFrame({"x": [0.0, 1.0]})
    Session(convert(LinearRegression().fit(table, [0.0, 1.0]), table))(table)


def served(model: Any, rows: Rows, *, proven: bool) -> Served:
    """Return a fitted model in the form in which it would be served.

    Parameters
    ----------
    model : estimator
    rows : Rows
        What it was fitted on.
    proven : bool
        Whether to convert with the types of all rows, to compare the graph's answers with the estimator's on up
        to 2,000 of them, and to take the estimator itself where the graph is slower by far, as ``%package`` does.
        Without, a sample of the rows is enough: for a model of one fold, during a search.
    """
    table = rows.table if proven else rows.sample()
    if table is None:
        return _in_python(model, rows, "X is no table, so there is no ONNX form")
    try:
        converted = convert(model, table)
        session = Session(converted)
        if proven and (reason := _unfaithful(model, session, rows, table)):
            return _in_python(model, rows, reason)
    except (ModelyardError, *FAILURES) as error:
        return _in_python(model, rows, first_line(error))
    shown = table.iloc[rows.spread(_ASKED_ROWS)] if proven else table.head(_ASKED_ROWS)
    asks = tuple(session.prepared(shown.iloc[[place]]) for place in range(len(shown)))
    feed = session.feed(shown.head(1))
    return Served(
        "onnx",
        len(converted.model),
        asks,
        "",
        model,
        converted.model,
        feed,
        partial(_many_in_graph, session, table),
    )


def _unfaithful(model: Any, session: Session, rows: Rows, table: pd.DataFrame) -> str:
    """Return why ``%package`` would not take this graph, or nothing."""
    chosen = rows.spread(_COMPARED_ROWS)
    found = Outputs(*session(table.iloc[chosen]))
    agreed = compare(expected(model, rows.fed(chosen)), found)
    if not agreed.ok:
        return f"its ONNX form differs on the training rows ({agreed.first})"
    slower = all(
        _best_of_three(session.prepared(table.iloc[some]))
        > _FAR * _best_of_three(partial(expected, model, rows.fed(some)))
        for some in (rows.spread(1), rows.spread(_MANY_ROWS))
    )
    return "its ONNX form is more than twice as slow as the estimator itself" if slower else ""


def _in_python(model: Any, rows: Rows, why: str) -> Served:
    fed = [rows.fed(np.array([place])) for place in rows.spread(_ASKED_ROWS)]
    asks = tuple(partial(_answered, model, row) for row in fed)
    size, unsaved = _skops_bytes(model)
    return Served(
        "python", size, asks, why + unsaved, model, None, fed[0], partial(_many_in_python, model, rows)
    )


def _many_in_graph(session: Session, table: pd.DataFrame, count: int) -> Ask:
    return session.prepared(table.iloc[np.resize(np.arange(len(table)), count)])


def _many_in_python(model: Any, rows: Rows, count: int) -> Ask:
    return partial(_answered, model, rows.fed(np.resize(np.arange(rows.samples.rows), count)))


def _answered(model: Any, row: Any) -> None:
    """Answer one row as the runtime does."""
    if hasattr(model, "predict_proba"):
        model.predict_proba(row)
    model.predict(row)


def _skops_bytes(model: Any) -> tuple[float, str]:
    import skops.io

    try:
        return float(len(skops.io.dumps(model))), ""
    except (TypeError, ValueError, AttributeError, NotImplementedError) as error:
        return float("nan"), f", and skops cannot hold it ({first_line(error)})"


def measured(models: Sequence[Served], seconds: float) -> list[Cost]:
    """Time models against each other: a few calls of each in turn, so that what disturbs one disturbs all.

    Parameters
    ----------
    models : sequence of Served
    seconds : float
        To spend on each; a slow model takes longer, since it is asked 15 times at least.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of names and unknown categories: the search has shown them
        for model in models:
            _round(model, 0)  # warm
        least, most = _ROUNDS
        rounds: list[list[float]] = [[] for _ in models]
        until = time.perf_counter() + seconds * len(models)
        for number in range(most):
            if number >= least and time.perf_counter() >= until:
                break
            for taken, model in zip(rounds, models, strict=True):
                taken.append(_round(model, number))
    return [_cost(model, np.array(taken)) for model, taken in zip(models, rounds, strict=True)]


def _round(model: Served, number: int) -> float:
    """Return the median of some calls, in microseconds."""
    times: list[int] = []
    for call in range(_CALLS):
        ask = model.asks[(number * _CALLS + call) % len(model.asks)]
        started = time.perf_counter_ns()
        ask()
        times.append(time.perf_counter_ns() - started)
        if call >= 2 and sum(times) > _ROUND_S * 1e9:
            break
    return float(np.median(times)) / 1e3


def _cost(model: Served, rounds: np.ndarray[Any, Any]) -> Cost:
    low, middle, high = np.quantile(rounds, (0.1, 0.5, 0.9))
    return Cost(model.form, float(middle), float(high - low) / 2, model.size_bytes, why=model.why)


def _best_of_three(work: Ask) -> float:
    return min(_seconds(work) for _ in range(3))


def _seconds(work: Ask) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


# Linux keeps the peak of the process before exec in ru_maxrss, so that a child of a large kernel would look large;
# VmHWM begins anew.
_CHILD = """
import pickle, sys
form, content, feed = pickle.load(open(sys.argv[1], "rb"))
if form == "onnx":
    import onnxruntime
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"]).run(None, feed)
else:
    if hasattr(content, "predict_proba"):
        content.predict_proba(feed)
    content.predict(feed)
try:
    print(next(int(line.split()[1]) * 1024 for line in open("/proc/self/status") if line.startswith("VmHWM")))
except OSError:
    import resource
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)  # bytes on macOS
"""


def peak_bytes(model: Served) -> float:
    """Return the largest resident memory of a new process that loads the model and answers one row; NaN if it fails."""
    import cloudpickle

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model"
        content = model.content if model.form == "onnx" else model.model
        path.write_bytes(cloudpickle.dumps((model.form, content, model.feed)))
        done = subprocess.run(
            [sys.executable, "-c", _CHILD, str(path)], capture_output=True, text=True, check=False
        )
    return float(done.stdout.split()[-1]) if done.returncode == 0 and done.stdout else float("nan")
