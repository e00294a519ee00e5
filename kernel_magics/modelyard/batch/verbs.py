"""The verb: a bundle or an endpoint answers every row of a file."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

from modelyard.batch.scoring import Scoring
from modelyard.catalog import open_yard
from modelyard.errors import MissingExtraError, UnknownNameError, UsageError

if TYPE_CHECKING:
    from modelyard.batch.chunks import Scorer
    from modelyard.packaging import Bundle
    from modelyard.targets import Deployment

_ROWS_AT_ONCE = 8192
_ROWS_A_REQUEST = 2000


def predict(
    model: str | Bundle | Deployment,
    rows: Any,
    out: str | Path | None = None,
    *,
    keep: str | Sequence[str] = "all",
    endpoint: bool = False,
    batch: int | None = None,
    restart: bool = False,
) -> Scoring:
    """Let a bundle, or an endpoint, answer every row of a file, in constant memory.

    The scored rows have the columns that are kept, `prediction`, `probability_CLASS` for each class, `flags`
    (values let through although training never saw their like) and `error` (why a row has no prediction).

    Parameters
    ----------
    model : str, Bundle or Deployment
        A name is the bundle's (``churn``, ``churn:3``), and the deployment's where there is no such bundle, or
        `endpoint` is true. A bundle is loaded in this process, once its digests and signature are checked.
    rows : path, or table
        A Parquet or CSV file, a folder of Parquet files, a frame, a matrix, or mappings. Columns that the contract does
        not name are not shown to the model.
    out : path, optional
        The Parquet file to write. Without one, the rows are in `Scoring.frame`.
    keep : "all", "none", or sequence of str
        The columns of the input that go into the output.
    endpoint : bool
        Ask the deployment of that name.
    batch : int, optional
        Rows at a time: 8,192; 2,000 in each request to an endpoint.
    restart : bool
        Throw away what an unfinished run left, and replace `out`.

    Raises
    ------
    UnknownNameError, UsageError, NameTakenError
        No such bundle, deployment or column; an output that cannot be, exists, or belongs to another run.
    InvalidInputError
        The input is missing, is not what its name says, or a whole column is missing or of a wrong type.
    BundleError, DeploymentError
        The bundle is damaged; the endpoint does not answer. What was answered is kept.
    InterruptedRunError
        Stopped with Ctrl-C; the same call goes on.
    MissingExtraError
        pyarrow is not installed.
    """
    _need_arrow()
    from modelyard.batch import checks
    from modelyard.batch.run import scored
    from modelyard.batch.sources import Frame, open_source

    if batch is not None and (type(batch) is not int or batch < 1):
        raise UsageError(f"batch is a number of rows such as 8192, found {batch!r}")
    with closing(_scorer(model, endpoint, batch)) as scorer:
        source = open_source(rows, scorer.contract)
        kept = checks.kept_columns(source, keep)
        checks.check_columns(source, scorer, kept)
        found = scored(scorer, source, kept, None if out is None else checks.target(out, rows), restart)
    if isinstance(source, Frame) and found.frame is not None:
        found.frame.index = source.index
    return found


def _need_arrow() -> None:
    try:
        import pyarrow  # noqa: F401
    except ImportError:
        raise MissingExtraError(
            "predict reads and writes with pyarrow, which is not installed; type: pip install 'modelyard[arrow]'"
        ) from None


def _scorer(model: Any, endpoint: bool, rows: int | None) -> Scorer:
    from modelyard.batch.in_process import BundleScorer
    from modelyard.batch.over_http import EndpointScorer
    from modelyard.packaging import Bundle, bundle
    from modelyard.targets import Deployment, deployment

    if isinstance(model, str) and endpoint:
        model = deployment(model)
    elif isinstance(model, str):
        try:
            model = bundle(model)
        except UnknownNameError:
            if open_yard().find("deployment", model) is None:
                raise
            model = deployment(model)
    elif endpoint and isinstance(model, Bundle):
        raise UsageError(f"{model.tag} is a bundle; give the name of a deployment to ask an endpoint")
    if isinstance(model, Deployment):
        return EndpointScorer(model, rows or _ROWS_A_REQUEST)
    if isinstance(model, Bundle):
        return BundleScorer(model, rows or _ROWS_AT_ONCE)
    raise UsageError(
        f"predict takes a bundle, a deployment, or the name of one, found {type(model).__name__}"
    )
