"""`modelyard.explain`: one question, answered by the way that was asked for."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from modelyard.errors import InterruptedRunError, InvalidInputError, UsageError, did_you_mean
from modelyard.explanation.explained import explained_of
from modelyard.explanation.protocol import explanations
from modelyard.explanation.question import Question
from modelyard.explanation.sampling import chosen_background, chosen_places
from modelyard.presentation import Result


def explain(
    model: Any,
    X: Any,
    y: Any = None,
    *,
    method: str = "shap",
    rows: Any = None,
    background: Any = None,
    seed: int = 0,
    report: str | Path | None = None,
    **options: Any,
) -> Result:
    """Say why a model answers as it does, in the words of the columns that it was given.

    Parameters
    ----------
    model : fitted estimator, bundle or deployment
        Whatever answers rows; it is never changed.
    X : DataFrame, array, or Series of texts
        Rows as the model takes them.
    y : array-like, optional
        The targets, for methods that measure.
    method : str
        ``shap`` (the default) or another installed one.
    rows : int, str, slice, sequence of int, or mask, optional
        Which rows to explain, as positions in `X`. By default up to 200 of them, drawn by the seed.
    background : DataFrame, array, or int, optional
        The rows, or how many of `X`, that stand for what is not known; by default 100 of `X`, drawn by the seed.
    seed : int
        Decides everything that is drawn.
    report : str or Path, optional
        Also write the result to this HTML file, which holds everything and refers to nothing outside of it.
    **options
        What the method takes besides; of ``shap``, see `modelyard.explanation.shapley.Shapley`.

    Returns
    -------
    Result
        The method's own, such as `modelyard.explanation.attribution.Attribution`.

    Raises
    ------
    UnknownNameError, MissingExtraError
        There is no such method, or its library is not installed.
    UsageError
        An argument makes no sense.
    InvalidInputError, NotFittedError
        The model or the data cannot be explained.
    InterruptedRunError
        Ctrl-C; nothing is kept.
    """
    way = explanations[method]
    for name in options:
        if name not in way.options:
            known = ", ".join(way.options) or "no further option"
            raise UsageError(
                f"method {method!r} has no option {name!r}; it has: {known}{did_you_mean(name, way.options)}"
            )
    if isinstance(seed, bool) or not isinstance(seed, int) or seed < 0:
        raise UsageError(f"seed must be a whole number from 0, found {seed!r}; type seed=0")
    written = None if report is None else _report_path(report)
    try:
        question = _asked(model, X, y, rows, background, seed, options)
        result: Result = way().explain(question)
    except KeyboardInterrupt as stop:
        raise InterruptedRunError("explanation stopped; nothing was kept, run it again") from stop
    if written is not None:
        import_module("modelyard_widgets.report").write_report(
            result, written
        )  # a later layer: named, not imported
    return result


def _asked(
    model: Any, X: Any, y: Any, rows: Any, background: Any, seed: int, options: dict[str, Any]
) -> Question:
    explained, table = explained_of(model, X)
    generator = np.random.default_rng(seed)
    # first, so that the same rows stand for what is not known whichever rows are explained
    behind, of_background = chosen_background(background, table, generator, explained.columns)
    places, of_rows = chosen_places(rows, len(table.frame), generator)
    return Question(
        explained=explained,
        frame=table.frame,
        places=places,
        background=behind,
        targets=_targets(y, len(table.frame)),
        seed=seed,
        options=options,
        notes=tuple(note for note in (*table.notes, of_rows, of_background) if note),
        rows_by_default=rows is None,
        background_by_default=background is None,
        rows_note=of_rows,
        background_note=of_background,
    )


def _report_path(report: str | Path) -> Path:
    """Return where the report goes, looked at before anything is computed."""
    path = Path(report).expanduser()
    if path.suffix.lower() not in (".html", ".htm"):
        raise UsageError(f"a report is an HTML file, found {str(report)!r}; type report='out.html'")
    if not path.parent.is_dir():
        raise UsageError(f"there is no folder {str(path.parent)!r} for the report; make it first")
    return path


def _targets(y: Any, total: int) -> NDArray[Any] | None:
    if y is None:
        return None
    found = np.asarray(y)
    found = found.ravel() if found.ndim == 2 and found.shape[1] == 1 else found
    if found.ndim == 0 or len(found) != total:
        length = "a single value" if found.ndim == 0 else f"{len(found)} rows"
        raise InvalidInputError(f"X has {total} rows, y is {length}; give one target per row")
    return found
