"""Every error raised on purpose: one line in a notebook, a real type in Python.

A message says what is wrong, what was found and what to type. A mistake in modelyard itself is never
one of these, so that it keeps its traceback.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from typing import Any


class ModelyardError(Exception):
    """Base class of every error raised on purpose; a notebook shows it as one line."""

    def __str__(self) -> str:  # KeyError and its kind would show the repr of the message
        return str(self.args[0]) if self.args else ""

    def _render_traceback_(self) -> list[str]:
        return [f"{type(self).__name__}: {self}"]


class UsageError(ModelyardError, ValueError):
    """A magic's line that cannot be parsed, or an option whose value makes no sense."""


class InvalidInputError(ModelyardError, ValueError):
    """Data or an estimator that a verb cannot work on."""


class NotFittedError(ModelyardError, ValueError, AttributeError):
    """An estimator that must be fitted first."""


class InvalidNameError(ModelyardError, ValueError):
    """A name that cannot be a bundle's, a study's or a deployment's."""


class UnknownNameError(ModelyardError, LookupError):
    """A name under which nothing is known."""


class NameTakenError(ModelyardError, FileExistsError):
    """A name that already stands for something else."""


class CatalogError(ModelyardError, OSError):
    """The project's catalog cannot be read or written, such as on a full disk."""


class MissingExtraError(ModelyardError, ImportError):
    """A plug-in whose libraries are not installed."""


class ContractError(ModelyardError, ValueError):
    """Rows that break the contract of a bundle."""


class ConversionError(ModelyardError, ValueError):
    """An estimator for which no faithful portable form can be made."""


class ParityError(ModelyardError, ValueError):
    """A conversion that does not reproduce the golden rows."""


class BundleError(ModelyardError, ValueError):
    """A bundle that is damaged, gone, or of a format that cannot be read."""


class SecretFoundError(ModelyardError, ValueError):
    """A file about to be written that holds a secret."""


class EmbeddedDataError(ModelyardError, ValueError):
    """Captured code that holds rows or a column of a table."""


class DeploymentError(ModelyardError, RuntimeError):
    """An endpoint that did not start, or does not answer as it should."""


class EngineError(ModelyardError, RuntimeError):
    """Workers that cannot be reached, or are gone; what was finished is kept."""


class WorkerLostError(EngineError):
    """A worker that died in the middle of a job."""


class TrackingError(ModelyardError, RuntimeError):
    """A tracking server that does not answer, or refuses a result."""


class InterruptedRunError(ModelyardError, KeyboardInterrupt):
    """Long work stopped with Ctrl-C; what was finished is kept."""


class BudgetError(ModelyardError, ValueError):
    """A study or a compression of which no model keeps to what serving may cost.

    Attributes
    ----------
    candidates : DataFrame or None
        Of a compression: what was measured, as of `Compression.candidates`.
    """

    candidates: Any = None


class PackagingWarning(UserWarning):
    """A bundle that works, at a cost its maker should know."""


def did_you_mean(found: str, known: Iterable[str]) -> str:
    """Return ``" (did you mean 'local'?)"`` for the nearest known word, or an empty string.

    >>> did_you_mean("locl", ["local", "sagemaker"])
    " (did you mean 'local'?)"
    >>> did_you_mean("mars", ["local", "sagemaker"])
    ''
    """
    near = difflib.get_close_matches(found, list(known), n=1, cutoff=0.6)
    return f" (did you mean {near[0]!r}?)" if near else ""


def listing(words: Iterable[str]) -> str:
    """Return words as one sorted, comma-separated phrase, or ``none``.

    >>> listing(["b", "a"])
    'a, b'
    """
    return ", ".join(sorted(words)) or "none"
