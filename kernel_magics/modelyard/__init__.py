"""From a fitted estimator in a notebook cell to a served, checked endpoint.

Every verb is a function here and the magic of the same name: ``%load_ext modelyard``. Importing this
imports nothing heavy; a verb's stage is imported when the verb is first used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from IPython.core.interactiveshell import InteractiveShell

    from modelyard.batch import predict
    from modelyard.compression import compress
    from modelyard.evaluation import cross_validate
    from modelyard.explanation import explain
    from modelyard.monitoring import yard
    from modelyard.packaging import contract, package
    from modelyard.packaging.bundle import bundle
    from modelyard.publishing import publish
    from modelyard.routing import traffic
    from modelyard.routing.replay import replay
    from modelyard.targets.asking import fit, plan, rehearse
    from modelyard.targets.deploying import deploy, undo
    from modelyard.targets.deployment import deployment
    from modelyard.tuning import tune

__all__ = [
    "bundle", "compress", "contract", "cross_validate", "deploy", "deployment", "explain", "fit", "package", "plan",
    "predict", "publish", "rehearse", "replay", "traffic", "tune", "undo", "yard",
]  # fmt: skip

_STAGE_OF = {
    "bundle": "packaging",
    "compress": "compression",
    "contract": "packaging",
    "cross_validate": "evaluation",
    "deploy": "targets",
    "deployment": "targets",
    "explain": "explanation",
    "fit": "targets",
    "package": "packaging",
    "plan": "targets",
    "predict": "batch",
    "publish": "publishing",
    "rehearse": "targets",
    "replay": "routing.replay",
    "traffic": "routing",
    "tune": "tuning",
    "undo": "targets",
    "yard": "monitoring",
}


def __getattr__(name: str) -> Any:
    if name == "__version__":
        return import_module("modelyard._version").__version__
    if name not in _STAGE_OF:
        raise AttributeError(f"module 'modelyard' has no attribute {name!r}")
    verb = getattr(import_module(f"modelyard.{_STAGE_OF[name]}"), name)
    globals()[name] = verb
    return verb


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})


def load_ipython_extension(shell: InteractiveShell) -> None:
    """Register the magics, Tab completion and the panels: ``%load_ext modelyard``."""
    from modelyard.magics import load

    load(shell)


def unload_ipython_extension(shell: InteractiveShell) -> None:
    """Take all of it away again: ``%unload_ext modelyard``."""
    from modelyard.magics import unload

    unload(shell)
