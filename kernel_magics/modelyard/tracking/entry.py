"""What is told to a tracking server: one result in plain words and figures, whatever stage it comes from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, Literal


@dataclass(frozen=True, eq=False)
class Entry:
    """One result, or one part of it.

    Attributes
    ----------
    name : str
        What people see, such as ``logistic-regression-1``.
    key : str
        What tells it from every other result; an entry of a key that is there already goes on with it.
    params : dict
        Settings; shown as text. Those of a key that is there already stay as they are.
    metrics : dict of str to float
        Figures; those that are not finite are left out.
    series : dict of str to sequence of float
        Figures by step, from 1: one for each fold or trial.
    tags : dict of str to str
    note : str
        Remarks for people, in paragraphs.
    parts : tuple of Entry
        What it consists of, such as trials. Parts whose key is there already are not told again.
    folders : dict of str to Path
        Files kept with it, by the name that their folder gets there.
    model : estimator or None
        Kept with it, as the server keeps models.
    began, ended : datetime or None
        Local times without a zone; now where not given.
    state : {'finished', 'failed', 'killed'}
    """

    name: str
    key: str
    params: Mapping[str, Any] = field(default_factory=dict)
    metrics: Mapping[str, float] = field(default_factory=dict)
    series: Mapping[str, Sequence[float]] = field(default_factory=dict)
    tags: Mapping[str, str] = field(default_factory=dict)
    note: str = ""
    parts: tuple[Entry, ...] = ()
    folders: Mapping[str, Path] = field(default_factory=dict)
    model: Any = None
    began: datetime | None = None
    ended: datetime | None = None
    state: Literal["finished", "failed", "killed"] = "finished"
