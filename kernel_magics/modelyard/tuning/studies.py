"""Studies in the yard: a new one under a free name, or the one to go on with."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import optuna
from optuna.exceptions import DuplicatedStudyError

from modelyard.catalog import Record, Yard, checked_name
from modelyard.errors import NameTakenError, UnknownNameError, UsageError, did_you_mean, listing
from modelyard.evaluation.inputs import describe_model, stem_of
from modelyard.tuning.contract import Contract, check_same
from modelyard.tuning.storage import OpenStorage, open_storage

Direction = Literal["maximize", "minimize"]

_CONTRACT = "modelyard:contract"
_SEED = "modelyard:seed"


@dataclass(frozen=True)
class Found:
    """Where a study to resume is.

    Attributes
    ----------
    name : str
    storage : OpenStorage
    seed : int or None
        The seed its folds were shuffled with; ``None`` if it never began.
    wanted : int or None
        The trials that were wanted last time.
    """

    name: str
    storage: OpenStorage
    seed: int | None
    wanted: int | None


@dataclass
class StudyRecord:
    """The record of one study, written before and after its trials."""

    yard: Yard
    name: str
    facts: dict[str, Any] = field(default_factory=dict)

    def write(self, state: Literal["running", "finished", "interrupted"], **facts: Any) -> None:
        self.facts.update(facts, state=state)
        self.yard.record("study", self.name, self.facts)


def find_study(yard: Yard, model: Any, name: str | None, url: str | None) -> Found:
    """Return the named study, or the newest one of the model's class.

    Raises
    ------
    UnknownNameError
        There is none.
    UsageError
        Its storage had a password, which is kept nowhere and must be given again.
    """
    records = {record.name: record for record in yard.records("study")}
    if name is None:
        of_class = [r for r in records.values() if r.payload.get("model") == describe_model(model)]
        if not of_class:
            raise UnknownNameError(
                f"there is no study of {describe_model(model)} to resume; there: {listing(records)}; "
                "run once without resume, or give the name of a study"
            )
        name = of_class[-1].name
    record = records.get(name)
    storage = open_storage(yard, url_of(record, url))
    if record is None and name not in storage.study_names():
        raise UnknownNameError(
            f"no study named {name!r} to resume; there: {listing(records)}{did_you_mean(name, records)}"
        )
    seed = None
    if name in storage.study_names():
        attributes = optuna.load_study(study_name=name, storage=storage.backend).user_attrs
        seed = attributes.get(_SEED)
    wanted = record.payload.get("trials") if record else None
    return Found(name, storage, seed, wanted)


def url_of(record: Record | None, url: str | None) -> str | None:
    if url is not None or record is None or record.payload.get("in_yard", True):
        return url
    kept = str(record.payload["storage"])
    if "***" in kept:
        raise UsageError(f"study {record.name!r} is kept in {kept}; give storage= again, with its password")
    return kept


def new_study(
    yard: Yard, storage: OpenStorage, model: Any, name: str | None, directions: Sequence[Direction]
) -> tuple[optuna.Study, StudyRecord]:
    """Claim a name in the yard, then make the study in the storage.

    Raises
    ------
    NameTakenError
        The name stands for another study.
    """
    if name is not None:
        return _claimed(yard, storage, checked_name(name, "study"), directions)
    stem = stem_of(model)
    while True:
        taken = [*storage.study_names(), *(record.name for record in yard.records("study"))]
        numbers = [int(m[1]) for t in taken if (m := re.fullmatch(rf"{re.escape(stem)}-(\d+)", t))]
        try:
            return _claimed(yard, storage, f"{stem}-{max(numbers, default=0) + 1}", directions)
        except NameTakenError:  # another process took that number just now
            continue


def _claimed(
    yard: Yard, storage: OpenStorage, name: str, directions: Sequence[Direction]
) -> tuple[optuna.Study, StudyRecord]:
    if name in storage.study_names():
        raise _taken(name)
    try:
        yard.claim("study", name, {"state": "running"})
    except NameTakenError as error:
        raise _taken(name) from error
    try:
        study = optuna.create_study(study_name=name, storage=storage.backend, directions=list(directions))
    except DuplicatedStudyError as error:
        yard.delete("study", name)
        raise _taken(name) from error
    return study, StudyRecord(yard, name)


def _taken(name: str) -> NameTakenError:
    return NameTakenError(
        f"a study named {name!r} exists already; type resume=True (--resume) to go on with it, "
        "or another name (--name)"
    )


def resumed_study(
    yard: Yard, found: Found, directions: Sequence[Direction]
) -> tuple[optuna.Study, StudyRecord]:
    """Load the study, or make it if its process was killed after it had claimed the name."""
    study = optuna.create_study(
        study_name=found.name, storage=found.storage.backend, directions=list(directions), load_if_exists=True
    )
    record = yard.find("study", found.name)
    return study, StudyRecord(yard, found.name, dict(record.payload) if record else {})


def keep_contract(study: optuna.Study, contract: Contract, seed: int) -> None:
    """Store what the study is made with, or check that it is what was stored.

    Raises
    ------
    UsageError
        Something differs; the message says what.
    """
    kept = study.user_attrs.get(_CONTRACT)
    if kept is None:
        if study.get_trials(deepcopy=False):
            raise UsageError(
                f"study {study.study_name!r} was not made by modelyard, so that nothing tells whether its trials "
                "are comparable; type another name (--name)"
            )
        study.set_user_attr(_SEED, seed)
        study.set_user_attr(_CONTRACT, contract)
    else:
        check_same(study.study_name, kept, contract)


def contract_kept(study: optuna.Study) -> Contract | None:
    """Return what a study was made with, or None where modelyard did not make it."""
    kept: Contract | None = study.user_attrs.get(_CONTRACT)
    return kept
