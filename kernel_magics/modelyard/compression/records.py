"""What a compression has measured, in the project's catalog: written candidate by candidate, so that none is lost."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, field, fields
from typing import Any, Literal

from modelyard.catalog import Yard, checked_name, open_yard
from modelyard.compression.candidates import ORIGINAL, Candidate, candidates_table
from modelyard.compression.judging import Verdict
from modelyard.compression.protocol import Recipe
from modelyard.compression.refitting import words_of
from modelyard.errors import NameTakenError, UnknownNameError, did_you_mean, listing
from modelyard.evaluation.inputs import stem_of
from modelyard.tuning.contract import Contract, check_same
from modelyard.tuning.cost import Cost

_COST = tuple(each.name for each in fields(Cost))

State = Literal["running", "finished", "interrupted", "nothing kept to the budget"]


@dataclass
class CompressionRecord:
    """The record of one compression: what it was made with, and every candidate as soon as it is measured.

    Attributes
    ----------
    yard : Yard
    name : str
    facts : dict
        JSON.
    """

    yard: Yard
    name: str
    facts: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._known = {each["name"]: each for each in self.facts["candidates"]}

    @property
    def count(self) -> int:
        """How many candidates are kept, the original among them."""
        return len(self._known)

    def advice(self) -> str:
        """Return what to type to go on with it."""
        return f"type resume=True, name={self.name!r} (--resume --name {self.name})"

    def recall(self, recipe: Recipe | None) -> Candidate | None:
        """Return a candidate as an earlier run measured it, without its model and its answers."""
        kept = self._known.get(ORIGINAL if recipe is None else recipe.name)
        if kept is None:
            return None
        cost = Cost(**{key: _number(kept[key]) for key in _COST})
        verdict = Verdict(**{key: _number(value) for key, value in kept["verdict"].items()})
        return Candidate(recipe, None, cost, kept["latency_1k_us"], None, verdict)

    def failure(self, recipe: Recipe) -> str | None:
        """Return why an earlier run could not make a candidate."""
        reason: str | None = self.facts["failed"].get(recipe.name)
        return reason

    def keep(self, candidate: Candidate) -> None:
        """Write a candidate."""
        kept = {
            "name": candidate.name,
            "technique": candidate.technique,
            "settings": candidate.settings,
            **{key: _plain(value) for key, value in asdict(candidate.cost).items()},
            "latency_1k_us": candidate.latency_1k_us,
            "verdict": {key: _plain(value) for key, value in asdict(candidate.verdict).items()},
        }
        self._known[candidate.name] = kept
        self.facts["candidates"].append(kept)
        self._write()

    def keep_failure(self, recipe: Recipe, reason: str) -> None:
        self.facts["failed"][recipe.name] = reason
        self._write()

    def end(self, state: State, **facts: Any) -> None:
        """Write how it ended; one without any candidate is taken away."""
        self.facts.update(facts, state=state)
        if self._known:
            self._write()
        else:
            self.yard.delete("compression", self.name)

    def _write(self) -> None:
        self.yard.record("compression", self.name, self.facts)


def new_record(model: Any, name: str | None, contract: Contract) -> CompressionRecord:
    """Write a record under a free name.

    Raises
    ------
    NameTakenError
        The name stands for another compression.
    """
    yard = open_yard()
    facts: dict[str, Any] = {
        "model": words_of(model), "state": "running", "contract": contract, "candidates": [], "failed": {},
    }  # fmt: skip
    if name is None:
        stem = stem_of(getattr(model, "module", model))
        return CompressionRecord(yard, yard.add_numbered("compression", stem, facts).name, facts)
    try:
        yard.claim("compression", checked_name(name, "compression"), facts)
    except NameTakenError as error:
        raise NameTakenError(
            f"a compression named {name!r} exists already; type resume=True (--resume) to go on with it, "
            "or another name (--name)"
        ) from error
    return CompressionRecord(yard, name, facts)


def resumed_record(model: Any, name: str | None, contract: Contract) -> CompressionRecord:
    """Return the record that is named, or the newest of the model's class.

    Raises
    ------
    UnknownNameError
        There is none.
    UsageError
        It was made with another model, with other data or options; the message says what differs.
    """
    yard = open_yard()
    records = {record.name: record for record in yard.records("compression")}
    words = words_of(model)
    if name is None:
        name = next((n for n, r in reversed(records.items()) if r.payload["model"] == words), None)
        if name is None:
            raise UnknownNameError(
                f"there is no compression of {words} to resume; there: {listing(records)}; run once without resume"
            )
    if name not in records:
        study = f"; {name!r} is a study, which %tune resumes" if yard.find("study", name) else ""
        raise UnknownNameError(
            f"no compression named {name!r} to resume; there: {listing(records)}"
            f"{study or did_you_mean(name, records)}"
        )
    facts = records[name].payload
    check_same(name, facts["contract"], contract, "compression")
    return CompressionRecord(yard, name, {**facts, "state": "running"})


def kept_candidates(name: str | None = None) -> Any:
    """Return what a compression of this project has measured, as of `Compression.candidates`; none is chosen.

    Parameters
    ----------
    name : str, optional
        Of the compression; by default the newest. It may be one that was killed.

    Raises
    ------
    UnknownNameError
        There is none.
    """
    yard = open_yard()
    if name is None:
        records = yard.records("compression")
        if not records:
            raise UnknownNameError(f"no compression in {yard.root}; type %compress model X y")
        name = records[-1].name
    record = CompressionRecord(yard, name, yard.get("compression", name).payload)
    recipes = [
        None if each["technique"] == ORIGINAL else Recipe(each["technique"], each["settings"], _unknown)
        for each in record.facts["candidates"]
    ]
    found = [candidate for recipe in recipes if (candidate := record.recall(recipe)) is not None]
    return candidates_table(found, None, record.facts["contract"]["greater_is_better"])


def _unknown(model: Any, samples: Any) -> Any:
    raise AssertionError("a record tells what was measured, not how it was made")


def _plain(value: Any) -> Any:
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _number(value: Any) -> Any:
    return math.nan if value is None else value
