"""The trials of a study, read once and written in one transaction each.

Optuna's own storage takes a transaction for each parameter and each attribute of a trial, and reads all that is not
finished whenever it is asked; that is 20 ms for a trial, which a small model fits in. The rows written here are those
that it would write, into the tables of Optuna 5, whose version its storage has checked.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import optuna
from optuna.distributions import BaseDistribution, distribution_to_json
from optuna.exceptions import UpdateFinishedTrialError
from optuna.storages import RDBStorage
from optuna.storages._rdb import models
from optuna.trial import FrozenTrial, TrialState, create_trial
from sqlalchemy import func, insert, select, update

from modelyard.tuning.parameter import Label

_TRIALS = models.TrialModel.__table__
_PARAMS = models.TrialParamModel.__table__
_ATTRIBUTES = models.TrialUserAttributeModel.__table__
_VALUES = models.TrialValueModel.__table__
_STUDIES = models.StudyModel.__table__


class Ledger:
    """Reads and writes the trials of one study; one in memory is written by Optuna alone."""

    def __init__(self, study: optuna.Study) -> None:
        backend = getattr(study._storage, "_backend", study._storage)
        self._engine = backend.engine if isinstance(backend, RDBStorage) else None
        self._study = study
        self._known: list[FrozenTrial] = []

    def trials(self) -> list[FrozenTrial]:
        """Return all trials by number; they are read again only where another process changed some.

        A trial goes from WAITING to RUNNING to an end and never back, so that equal counts of all states mean that
        nothing changed.
        """
        if self._engine is None:
            return self._study.get_trials(deepcopy=False)
        if self._counted() != Counter(trial.state for trial in self._known):
            self._known = list(self._study.get_trials(deepcopy=False))
        return self._known

    def forget(self) -> None:
        """Read everything again the next time: Optuna itself wrote a trial."""
        self._known = []

    def begin(
        self,
        labels: Mapping[str, Label],
        distributions: Mapping[str, BaseDistribution],
        attributes: Mapping[str, Any],
    ) -> tuple[int, int]:
        """Make a running trial; return its id in the storage, and its number. Call this under the lock of the yard."""
        begun = create_trial(
            state=TrialState.RUNNING,
            params=dict(labels),
            distributions=dict(distributions),
            user_attrs=dict(attributes),
        )
        if self._engine is None:
            trial_id = self._study._storage.create_new_trial(self._study._study_id, template_trial=begun)
            return trial_id, self._study._storage.get_trial(trial_id).number
        trial_id, number = self._inserted(begun)
        begun._trial_id, begun.number = trial_id, number
        if number == len(self._known):
            self._known.append(begun)
        return trial_id, number

    def finish(
        self, trial_id: int, state: TrialState, values: Sequence[float], attributes: Mapping[str, Any]
    ) -> None:
        """End a running trial.

        Raises
        ------
        UpdateFinishedTrialError
            Another process ended it.
        """
        if self._engine is None:
            for name, value in attributes.items():
                self._study._storage.set_trial_user_attr(trial_id, name, value)
            self._study._storage.set_trial_state_values(trial_id, state, list(values) or None)
            return
        now = datetime.now()
        with self._engine.begin() as connection:
            ended = connection.execute(
                update(_TRIALS)
                .where(_TRIALS.c.trial_id == trial_id, _TRIALS.c.state == TrialState.RUNNING)
                .values(state=state, datetime_complete=now)
            )
            if not ended.rowcount:
                raise UpdateFinishedTrialError(f"trial {trial_id} has ended already")
            if attributes:
                connection.execute(insert(_ATTRIBUTES), _attribute_rows(trial_id, attributes))
            if values:
                connection.execute(insert(_VALUES), _value_rows(trial_id, values))
        self._learn(trial_id, state, values, attributes)

    def _inserted(self, begun: FrozenTrial) -> tuple[int, int]:
        study_id = self._study._study_id
        assert self._engine is not None
        with self._engine.begin() as connection:
            if (
                self._engine.dialect.name != "sqlite"
            ):  # where others, who know nothing of our lock, make trials too
                connection.execute(
                    select(_STUDIES.c.study_id).where(_STUDIES.c.study_id == study_id).with_for_update()
                )
            counted = select(func.count()).select_from(_TRIALS).where(_TRIALS.c.study_id == study_id)
            number = int(connection.execute(counted).scalar_one())
            made = connection.execute(
                insert(_TRIALS).values(
                    number=number,
                    study_id=study_id,
                    state=TrialState.RUNNING,
                    datetime_start=datetime.now(),
                )
            )
            assert made.inserted_primary_key is not None
            trial_id = int(made.inserted_primary_key[0])
            if begun.params:
                connection.execute(insert(_PARAMS), _param_rows(trial_id, begun))
            connection.execute(insert(_ATTRIBUTES), _attribute_rows(trial_id, begun.user_attrs))
        return trial_id, number

    def _counted(self) -> Counter[TrialState]:
        assert self._engine is not None
        counted = (
            select(_TRIALS.c.state, func.count())
            .where(_TRIALS.c.study_id == self._study._study_id)
            .group_by(_TRIALS.c.state)
        )
        with self._engine.connect() as connection:
            return Counter({state: count for state, count in connection.execute(counted)})

    def _learn(
        self, trial_id: int, state: TrialState, values: Sequence[float], attributes: Mapping[str, Any]
    ) -> None:
        for trial in reversed(self._known):
            if trial._trial_id == trial_id:
                trial.state = state
                trial.values = list(values) or None
                trial.user_attrs = {**trial.user_attrs, **attributes}
                trial.datetime_complete = datetime.now()
                return


def _param_rows(trial_id: int, begun: FrozenTrial) -> list[dict[str, Any]]:
    return [
        {
            "trial_id": trial_id,
            "param_name": name,
            "param_value": begun.distributions[name].to_internal_repr(label),
            "distribution_json": distribution_to_json(begun.distributions[name]),
        }
        for name, label in begun.params.items()
    ]


def _attribute_rows(trial_id: int, attributes: Mapping[str, Any]) -> list[dict[str, Any]]:
    return [
        {"trial_id": trial_id, "key": name, "value_json": json.dumps(value)}
        for name, value in attributes.items()
    ]


def _value_rows(trial_id: int, values: Sequence[float]) -> list[dict[str, Any]]:
    return [
        {
            "trial_id": trial_id,
            "objective": place,
            "value": float(value),
            "value_type": models.TrialValueModel.TrialValueType.FINITE,
        }
        for place, value in enumerate(values)
    ]
