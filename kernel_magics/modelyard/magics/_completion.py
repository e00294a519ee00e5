"""Tab completion on the lines of our magics: flags, targets, bundles and variables."""

from __future__ import annotations

from collections.abc import Iterable
from glob import escape, iglob
from pathlib import Path
from typing import TYPE_CHECKING, Any

from IPython.core.completer import CompletionContext, SimpleCompletion, SimpleMatcherResult, context_matcher

from modelyard.errors import ModelyardError
from modelyard.magics._arguments import LineParser
from modelyard.magics._verb import verb_parser
from modelyard.magics.compress import compress_parser
from modelyard.magics.contract import contract_parser
from modelyard.magics.cv import METRICS, cv_parser
from modelyard.magics.deploy import deploy_parser
from modelyard.magics.explain import METHODS, explain_parser
from modelyard.magics.package import package_parser
from modelyard.magics.predict import predict_parser
from modelyard.magics.publish import publish_parser
from modelyard.magics.replay import replay_parser
from modelyard.magics.traffic import traffic_parser
from modelyard.magics.tune import tune_parser

if TYPE_CHECKING:
    from IPython.core.interactiveshell import InteractiveShell

_VALUES = {
    "--cv": (
        "stratified:5", "stratified:10", "kfold:5", "kfold:10", "loo", "group:", "stratified-group:", "time",
        "repeated:5", "nested:5",
    ),
    "--method": ("bayes", "gp", "random", "sobol", "grid"),
    "--explainer": ("tree", "linear", "permutation"),
    "--engine": ("local", "local:2", "dask", "dask://", "ray", "ray://"),
    "--policy": ("flag", "clip", "reject"),
    "--track": ("mlflow", "mlflow:http://127.0.0.1:5000"),
    "--objective": (*METRICS, "latency", "size"),
    "--budget-latency": ("1ms", "5ms", "250us"),
    "--budget-size": ("200kB", "2MB"),
    "--target-size": ("200kB", "2MB"),
    "--target-latency": ("50us", "1ms"),
    "--max-drop": ("0.005", "0.01", "0.02"),
    "--score": METRICS,
    "--as": ("what-if", "report", "monitor"),
    "--token": ("env:",),
}  # fmt: skip


_OF_ROWS = (".parquet", ".csv", ".tsv")

#: Flags of %contract whose values begin with a column, and what may follow the name.
_OF_COLUMNS = {
    "--policy": tuple(f"={policy}" for policy in _VALUES["--policy"]),
    "--range": ("=",),
    "--categories": ("=",),
    "--no-null": ("",),
}


def _parser(magic: str) -> LineParser | None:
    if magic == "deploy":
        return deploy_parser("local")
    makers = {
        "cv": cv_parser,
        "tune": tune_parser,
        "explain": explain_parser,
        "compress": compress_parser,
        "package": package_parser,
        "contract": contract_parser,
        "predict": predict_parser,
        "publish": publish_parser,
        "replay": replay_parser,
        "traffic": traffic_parser,
    }
    if magic in makers:
        return makers[magic]()
    return verb_parser("%yard", "") if magic == "yard" else None


def _candidates(magic: str, before: list[str], word: str, namespace: dict[str, Any]) -> Iterable[str]:
    parser = _parser(magic)
    if parser is None:
        return ()
    if word.startswith("-"):
        return parser.flags
    previous = before[-1] if before else ""
    if magic == "publish" and previous == "--to":
        return _paths(word)
    if previous in ("--to", "--for"):
        from modelyard.targets import targets

        return targets
    if magic == "contract" and before and previous in _OF_COLUMNS:
        return _of_columns(previous, before[0], namespace)
    if magic in ("traffic", "replay") and (found := _of_variants(magic, before, previous)) is not None:
        return found
    if magic in ("cv", "compress") and (columns := _of_table(before, word, namespace)):
        return columns
    if magic == "tune" and previous in ("--warm-start", "--name"):
        from modelyard.catalog import open_yard

        return [record.name for record in open_yard().records("study")]
    if previous == "--technique":
        from modelyard.compression import techniques

        return techniques
    if magic == "explain" and previous == "--method":
        return METHODS
    if previous in _VALUES:
        return _VALUES[previous]
    variables = [name for name in namespace if not name.startswith("_")]
    if magic == "predict" and previous in ("--in", "--out"):
        return [*_paths(word), *(variables if previous == "--in" else ())]
    if magic in ("predict", "publish") and not before:
        from modelyard.packaging import storing
        from modelyard.targets import deployments

        return dict.fromkeys([*storing.names(), *(each.name for each in deployments()), *variables])
    if magic in ("deploy", "contract") and not before:
        from modelyard.packaging import storing

        return [*storing.names(), *variables]
    return variables


def _of_table(before: list[str], word: str, namespace: dict[str, Any]) -> list[str]:
    """Return the columns of the table on the line, behind ``--by`` and ``--cv group:``."""
    head, colon, _ = word.rpartition(":") if before[-1:] == ["--cv"] else ("", "", "")
    if before[-1:] != ["--by"] and head not in ("group", "stratified-group"):
        return []
    flags = [place for place, each in enumerate(before) if each.startswith("-")]
    named = before[: flags[0]]
    table = namespace.get(named[-2]) if len(named) > 2 else None
    return [f"{head}{colon}{column}" for column in getattr(table, "columns", ())]


_OF_VARIANTS = ("--canary", "--split", "--shadow", "--promote", "--on", "--variant")
_GUARDS = ("errors<1%", "refused<1%", "p99<20ms", "disagreement<5%", "crashes<1")


def _of_variants(magic: str, before: list[str], previous: str) -> Iterable[str] | None:
    """Return deployments, and behind a flag of variants the versions of the bundle that is deployed."""
    from modelyard.packaging import storing
    from modelyard.targets import deployments

    known = {each.name: each.bundle.partition(":")[0] for each in deployments()}
    if not before:
        return known
    if previous == "--guard":
        return _GUARDS
    if previous in _OF_VARIANTS and before[0] in known:
        tail = "=" if previous in ("--canary", "--split") else ""
        return [f"v{stored.version}{tail}" for stored in storing.versions(known[before[0]])]
    return None


def _paths(word: str) -> Iterable[str]:
    """Return the files that hold rows, and the folders, whose names begin with `word`."""
    found = [Path(path) for path in sorted(iglob(f"{escape(word)}*"))]
    folders = [f"{path}/" for path in found if path.is_dir()]
    return [*folders, *(str(path) for path in found if path.suffix in _OF_ROWS)]


def _of_columns(flag: str, named: str, namespace: dict[str, Any]) -> Iterable[str]:
    from modelyard.packaging import Bundle, bundle

    general = _VALUES.get(flag, ())
    try:
        found = held if isinstance(held := namespace.get(named), Bundle) else bundle(named)
        names = found.contract.names
    except (ModelyardError, OSError, ValueError):  # no such bundle, or none that can be read
        return general
    return [*general, *(f"{name}{tail}" for name in names for tail in _OF_COLUMNS[flag])]


def make_matcher(shell: InteractiveShell) -> Any:
    """Return the matcher to append to ``shell.Completer.custom_matchers``."""

    @context_matcher(identifier="modelyard")  # type: ignore[untyped-decorator, unused-ignore]
    def modelyard_matcher(context: CompletionContext) -> SimpleMatcherResult:
        line = context.line_with_cursor
        head, _, rest = line.lstrip("%").partition(" ")
        if not line.startswith("%") or (not rest and not line.endswith(" ")):
            return {"completions": [], "suppress": False}
        *before, word = rest.split(" ")
        found = _candidates(head, [w for w in before if w], word, shell.user_ns)
        typed = context.token
        tail = word[: len(word) - len(typed)] if word.endswith(typed) else ""
        fitting = [c.removeprefix(tail) for c in found if c.startswith(word)]
        return {"completions": [SimpleCompletion(text=text) for text in fitting], "suppress": bool(fitting)}

    return modelyard_matcher
