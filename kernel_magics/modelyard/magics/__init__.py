"""The magics, and what ``%load_ext modelyard`` puts into a shell."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from modelyard import cell_runs, progress
from modelyard.magics._completion import make_matcher
from modelyard.magics._verb import has_page
from modelyard.magics.compress import CompressMagics
from modelyard.magics.contract import ContractMagics
from modelyard.magics.cv import CvMagics
from modelyard.magics.deploy import DeployMagics
from modelyard.magics.explain import ExplainMagics
from modelyard.magics.package import PackageMagics
from modelyard.magics.predict import PredictMagics
from modelyard.magics.publish import PublishMagics
from modelyard.magics.replay import ReplayMagics
from modelyard.magics.traffic import TrafficMagics
from modelyard.magics.tune import TuneMagics
from modelyard.magics.yard import YardMagics

if TYPE_CHECKING:
    from IPython.core.interactiveshell import InteractiveShell

MAGICS = (
    CvMagics, TuneMagics, ExplainMagics, CompressMagics, PackageMagics, ContractMagics, DeployMagics, PredictMagics,
    TrafficMagics, ReplayMagics, PublishMagics, YardMagics,
)  # fmt: skip

_RESULT = ("modelyard.presentation", "Result")
_loaded: dict[int, Any] = {}


def load(shell: InteractiveShell) -> None:
    """Register magics, Tab completion, progress, and, where a front end can show them, panels."""
    if id(shell) in _loaded:
        return
    for magics in MAGICS:
        shell.register_magics(magics)
    matcher = make_matcher(shell)
    shell.Completer.custom_matchers.append(matcher)
    _loaded[id(shell)] = matcher
    cell_runs.start()
    shell.events.register("pre_run_cell", _note_run)
    formatter = _page_formatter(shell)
    progress.install(_tracker if formatter is None else _tracker_of_page)
    if formatter is not None:
        formatter.for_type_by_name(*_RESULT, _panel)


def unload(shell: InteractiveShell) -> None:
    """Take away what `load` registered."""
    matcher = _loaded.pop(id(shell), None)
    if matcher is None:
        return
    shell.Completer.custom_matchers.remove(matcher)
    for magics in MAGICS:
        for kind, names in magics.magics.items():
            for name in names:
                shell.magics_manager.magics[kind].pop(name, None)
    progress.install(None)
    shell.events.unregister("pre_run_cell", _note_run)
    if (formatter := _page_formatter(shell)) is not None:
        formatter.pop(".".join(_RESULT), None)


def _note_run(info: Any) -> None:
    cell_runs.note(info.raw_cell)


def _page_formatter(shell: InteractiveShell) -> Any:
    """Return what formats results for a page; ``None`` in a terminal."""
    return getattr(shell.display_formatter, "mimebundle_formatter", None) if has_page(shell) else None


def _panel(result: Any, include: Any = None, exclude: Any = None) -> Any:
    from modelyard_widgets.showing import panel_mimebundle

    return panel_mimebundle(result, include=include, exclude=exclude)


def _tracker_of_page(title: str, total: int | None, unit: str) -> progress.Tracker:
    """Open a tracker, and get ready meanwhile for what the work will show."""
    from modelyard_widgets.warming import warm_up

    warm_up()
    return _tracker(title, total, unit)


def _tracker(title: str, total: int | None, unit: str) -> progress.Tracker:
    from modelyard_widgets.bars import notebook_tracker

    tracker: progress.Tracker = notebook_tracker(title, total, unit)
    return tracker
