"""Make a plan's calls, each once, whatever comes between; and take them back."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from modelyard.errors import DeploymentError
from modelyard.progress import track
from modelyard.targets.calls import Call, CallFailed, Content, Send, Settled, at, filled
from modelyard.targets.journal import Journal, Made

_POLL_S = 0.5
_REACHED_S = 30.0

Contents = Callable[[Content], bytes]


def carry_out(
    calls: Sequence[Call],
    send: Send,
    folder: Path,
    contents: Contents,
    given: Mapping[str, Any] | None = None,
    *,
    joins: bool = False,
) -> dict[str, Any]:
    """Make `calls`, but those that the journal in `folder` has of this plan; return what all of them named.

    `given` is what the plan names without a call, such as the hash of a token that is made when it is carried out.
    Calls that join the plan before are all made, and taken back together with it.

    Raises
    ------
    DeploymentError
        A call failed; the message says which, why, and what exists now. Carry the same calls out again to go on.
    """
    journal, given = Journal(folder), dict(given or {})
    if joins:
        journal.note_joining()
    with track("carrying out the plan", len(calls), "call") as tracker:
        for number, call in enumerate(calls, 1):
            try:
                if call.digest not in journal.done:
                    _make(call, send, journal, contents, given)
                if call.settled is not None and call.digest not in journal.settled:
                    _wait(call.settled, send, given | journal.named, contents)
                    journal.note_settled(call.digest)
            except (CallFailed, LookupError, OSError) as error:
                told = _told(call, f"{number} of {len(calls)}", error, journal)
                raise DeploymentError(told if joins else f"{told}, or --undo") from None
            tracker.advance(note=call.says)
    journal.note_completed()
    return journal.named


def _make(call: Call, send: Send, journal: Journal, contents: Contents, given: Mapping[str, Any]) -> None:
    """Make one call; where what it makes is there already, ask what that is.

    What is there is ours, to be taken back one day, where this call was begun before and its end was not seen.
    """
    asked, is_ours = call, True
    known = {**given, **journal.named}
    was_begun = call.digest in journal.begun
    journal.note_begun(call.digest)
    try:
        answer = _sent(call, send, filled(call.parameters, known, contents))
    except CallFailed as failed:
        if call.found is None or failed.code != call.exists:
            raise
        asked, is_ours = call.found, was_begun
        answer = send(asked.service, asked.operation, filled(asked.parameters, known, contents))
    named = {name: at(answer, path) for name, path in (asked.names or call.names).items()}
    back = None
    if call.undo is not None and is_ours:
        parameters = filled(call.undo.parameters, known | named, contents)
        back = {
            "says": call.undo.says, "service": call.undo.service, "operation": call.undo.operation,
            "parameters": parameters, "gone": call.undo.exists,
        }  # fmt: skip
    journal.note_made(Made(call.digest, call.says, named, back))


def _sent(call: Call, send: Send, parameters: Mapping[str, Any]) -> Mapping[str, Any]:
    """Make one call; again and again for a while where what it needs was made a moment ago and is not yet seen."""
    deadline = time.monotonic() + _REACHED_S
    while True:
        try:
            return send(call.service, call.operation, parameters)
        except CallFailed as failed:
            if failed.code != call.not_yet or time.monotonic() > deadline:
                raise
        time.sleep(_POLL_S)


def _wait(settled: Settled, send: Send, named: Mapping[str, Any], contents: Contents) -> None:
    deadline = time.monotonic() + settled.within_s
    parameters = filled(settled.call.parameters, named, contents)
    while True:
        state = str(at(send(settled.call.service, settled.call.operation, parameters), settled.path))
        if state == settled.wanted:
            return
        if state in settled.failed:
            raise CallFailed(state, f"{settled.path} is {state}, {settled.wanted} was wanted")
        if time.monotonic() > deadline:
            raise CallFailed("timeout", f"{settled.path} is still {state} after {settled.within_s:g} s")
        time.sleep(_POLL_S)


def take_back(
    send: Send, folder: Path, *, everything: bool = False, only_joined: bool = False
) -> tuple[str, ...]:
    """Take back what the newest plan in the journal made, newest first; return it in words.

    Or `everything`, or `only_joined`: the calls that joined the newest plan last.

    What is gone already counts as taken back. It may be called again after a failure.

    Raises
    ------
    DeploymentError
        Something cannot be taken back; the message says what is left.
    """
    journal = Journal(folder)
    done = []
    chosen = journal.joined if only_joined else journal.newest
    for made in reversed(list(journal.made if everything else chosen)):
        if made.back is not None:
            try:
                send(made.back["service"], made.back["operation"], made.back["parameters"])
            except CallFailed as failed:
                if failed.code != made.back["gone"]:
                    title = f"{made.back['service']}.{made.back['operation']}"
                    left = _listed(each.says for each in journal.made)
                    raise DeploymentError(
                        f"{title} failed: {failed}; still there: {left}; type it again to go on"
                    ) from None
            done.append(str(made.back["says"]))
        journal.note_taken_back(made)
    return tuple(done)


def _told(call: Call, which: str, error: Exception, journal: Journal) -> str:
    why = f"{error.code}: {error}" if isinstance(error, CallFailed) else f"{type(error).__name__}: {error}"
    made = [each.says for each in journal.made if each.back is not None]
    exists = f"made so far: {_listed(made)}" if made else "nothing was made"
    return f"call {which}, {call.title}, failed: {why}; {exists}; type the same again to go on"


def _listed(words: Iterable[str]) -> str:
    return "; ".join(words) or "nothing"
