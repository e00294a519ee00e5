"""Points that are tried before any other: the model's own parameters, and what was best in an older study."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import Any

import optuna
from optuna.trial import FrozenTrial, TrialState

from modelyard.catalog import Yard
from modelyard.errors import UnknownNameError, UsageError, did_you_mean, listing
from modelyard.tuning.contract import Contract
from modelyard.tuning.parameter import Label, Parameter
from modelyard.tuning.space import is_point
from modelyard.tuning.storage import open_storage
from modelyard.tuning.studies import contract_kept, url_of

_BEST = 5

Labels = dict[str, Label]


@dataclass(frozen=True)
class Older:
    """What an older study gives to a new one.

    Attributes
    ----------
    first : tuple of points
        Its best ones that lie in the new space, the best first.
    known : tuple of (point, value)
        Its complete trials in the new space, where data, folds and metric are the same; else none.
    remark : str
    """

    first: tuple[Labels, ...] = ()
    known: tuple[tuple[Labels, float], ...] = ()
    remark: str = ""


def own_point(model: Any, space: Mapping[str, Parameter]) -> Labels | None:
    """Return the parameters that the model has now as a point, or None where they lie in no point of the space.

    A number outside of its range is brought to the nearer end; a value that is none of the choices, and ``None``
    where a number is searched for, are no point.
    """
    labels = own_labels(model, space)
    return labels if is_point(space, labels) else None


def own_labels(model: Any, space: Mapping[str, Parameter]) -> Labels:
    """Return those of the model's own parameters that lie in the space, as far as they exist with the others."""
    own = model.get_params(deep=True)
    labels: Labels = {}
    for name, part in space.items():
        if name in own and (part.condition is None or part.condition.holds(labels)):
            with contextlib.suppress(ValueError):
                labels[name] = part.label_of(own[name])
    return labels


def older_study(
    yard: Yard, name: str, space: Mapping[str, Parameter], contract: Contract, own: Mapping[str, Label]
) -> Older:
    """Return what the study `name` of this yard knows about a space.

    Parameters the old space did not have are filled in from `own`, the model's own labels.

    Raises
    ------
    UnknownNameError
        There is no such study.
    UsageError
        It searched by another metric.
    """
    records = {record.name: record for record in yard.records("study")}
    if name not in records:
        raise UnknownNameError(
            f"no study named {name!r} to start from; there: {listing(records)}{did_you_mean(name, records)}"
        )
    with closing(open_storage(yard, url_of(records[name], None))) as place:
        if name not in place.study_names():
            return Older(remark=f"study {name!r} holds no trials to start from")
        study = optuna.load_study(study_name=name, storage=place.backend)
        kept, trials = contract_kept(study), study.get_trials(states=(TrialState.COMPLETE,))
    if kept is None or kept["scoring"] != contract["scoring"]:
        raise UsageError(
            f"study {name!r} was searched by {kept['scoring'] if kept else 'something unknown'}, found "
            f"{contract['scoring']}; give the name of a study with the same scoring"
        )
    greater = records[name].payload.get("direction", "maximize") == "maximize"
    ranked = sorted(trials, key=lambda trial: float(trial.values[0]), reverse=greater)
    inside = [(point, trial) for trial in ranked if (point := _moved(trial, space, own)) is not None]
    alike = all(kept[key] == contract[key] for key in ("X", "y", "cv"))
    return Older(
        first=_distinct([point for point, _ in inside])[:_BEST],
        known=tuple((point, float(trial.values[0])) for point, trial in inside) if alike else (),
        remark=_remark(name, len(trials), len(inside), alike),
    )


def _moved(trial: FrozenTrial, space: Mapping[str, Parameter], own: Mapping[str, Label]) -> Labels | None:
    """Return an old trial as a point of a new space, or None if it lies outside."""
    labels: Labels = {}
    for name, part in space.items():
        if part.condition is not None and not part.condition.holds(labels):
            continue
        if name not in trial.params:
            if name not in own:
                return None
            labels[name] = own[name]
            continue
        value = trial.params[name]
        try:
            label = value if part.kind == "choice" else part.label_of(value)
        except ValueError:
            return None
        if (
            not any(repr(each) == repr(label) for each in part.labels)
            if part.kind == "choice"
            else label != value
        ):
            return None
        labels[name] = label
    return labels if is_point(space, labels) else None


def _distinct(points: Sequence[Labels]) -> tuple[Labels, ...]:
    return tuple(
        {tuple(sorted((k, repr(v)) for k, v in point.items())): point for point in reversed(points)}.values()
    )[::-1]


def _remark(name: str, count: int, inside: int, alike: bool) -> str:
    if not inside:
        return f"none of the {count} complete trials of {name!r} lies in this space, so that nothing was taken from it"
    taken = f"the best of {name!r} were tried first"
    if alike:
        return f"{taken}, and its {inside} trials in this space inform the sampler"
    return f"{taken}; its data or folds are others, so that its scores count for nothing here"
