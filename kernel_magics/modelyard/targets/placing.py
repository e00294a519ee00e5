"""The place of a deployment: its folder and its record, while it is made, replaced, or gone on with."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from modelyard.catalog import Record, Yard
from modelyard.targets.deployment import replaced_folder
from modelyard.targets.journal import Journal
from modelyard.targets.protocol import STATE_KEPT, State, recorded_target
from modelyard.targets.tokens import forget_token


def is_interrupted(yard: Yard, record: Record) -> bool:
    """Whether the calls of its plan were begun and not made to the end."""
    kept = yard.deployment_folder(record.name) / STATE_KEPT
    return record.payload["desired"] == "starting" and Journal(kept).is_open


@contextmanager
def going_on(yard: Yard, name: str, existing: Record | None) -> Iterator[State | None]:
    """Leave everything where it is, before and after; yield the state of what the interrupted deploy replaces."""
    before = None if existing is None else existing.payload.get("before")
    yield None if before is None else before["state"]
    shutil.rmtree(replaced_folder(yard.deployment_folder(name)), ignore_errors=True)


@contextmanager
def placed(yard: Yard, name: str, existing: Record | None) -> Iterator[State | None]:
    """Make room for a deployment; after a failure, or Ctrl-C, all is as it was before.

    Unless calls of its plan were made: then all stays as it is, to be gone on with or taken back. Yields the state of
    the deployment that is replaced; one that costs nothing to stop has been stopped.
    """
    folder = yard.deployment_folder(name)
    aside = replaced_folder(folder)
    if existing is not None:
        replaced = recorded_target(existing.payload)
        if replaced.acts_at_once:  # others put the new one in the old one's place at one stroke
            replaced.stop(existing.payload["state"])
        if aside.exists() and not folder.exists():  # a replacement was killed as it began
            aside.rename(folder)
        _move_state(aside, folder)
        shutil.rmtree(aside, ignore_errors=True)
        if folder.exists():
            folder.rename(aside)
    folder.mkdir(parents=True)
    _move_state(aside, folder)
    if (
        journal := Journal(folder / STATE_KEPT)
    ).is_open:  # calls that were to join the plan before were broken off
        journal.note_completed()
    try:
        yield None if existing is None else existing.payload["state"]
    except BaseException:
        if Journal(folder / STATE_KEPT).is_open:
            raise
        if existing is not None:
            _move_state(folder, aside)
        shutil.rmtree(folder, ignore_errors=True)
        if existing is None:
            forget_token(yard.root, name)
            yard.delete("deployment", name)
        else:
            if aside.exists():
                aside.rename(folder)
            yard.record("deployment", name, existing.payload)
            if existing.payload["desired"] == "running" and replaced.acts_at_once:
                replaced.start(existing.payload["state"])
        raise
    shutil.rmtree(aside, ignore_errors=True)


def _move_state(origin: Path, to: Path) -> None:
    """Move what a deployment keeps when it is replaced, unless that has been done."""
    if (origin / STATE_KEPT).is_dir() and to.is_dir() and not (to / STATE_KEPT).exists():
        (origin / STATE_KEPT).rename(to / STATE_KEPT)
