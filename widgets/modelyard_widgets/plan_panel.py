"""A plan: what would be done, and doing it, which is rehearsed and taken back here too."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from modelyard.catalog import open_yard
from modelyard.errors import UsageError
from modelyard.presentation import Table
from modelyard.progress import hush
from modelyard.targets import Deployment, Plan, deploy, rehearse, targets, undo
from modelyard_widgets import blocks
from modelyard_widgets.blocks import Block
from modelyard_widgets.panel import Panel
from modelyard_widgets.showing import Showing

_KEY = "deploy"
_MOST_LINES = 400  # of a file that is shown


class Planned:
    """A plan, and the controls that carry it out; part of any panel.

    Parameters
    ----------
    found : Plan
    """

    def __init__(self, found: Plan) -> None:
        self._plan = found
        self._panel: Panel | None = None
        self._agreed = self._replaces = False
        self._deployed: str | None = None

    def blocks(self) -> list[Block]:
        """Return the plan and its controls."""
        found = self._plan
        fits = found.fit is None or found.fit.ok
        cost = (
            "nothing" if found.cost.table is None else f"{found.cost.monthly:.2f} {found.cost.table.currency}"
        )
        shown = [
            blocks.figures(
                f"{_KEY}-figures",
                [
                    blocks.figure("Fits", "yes" if fits else "no", "", "good" if fits else "error"),
                    blocks.figure("Costs a month", cost, found.cost.load),
                    blocks.figure("Steps", str(len(found.steps))),
                ],
            ),
        ]
        if found.changes:
            shown.append(blocks.notes([f"changes {each}" for each in found.changes], f"{_KEY}-changes"))
        shown.append(blocks.table(f"{_KEY}-steps", found.table(), f"Steps to {found.target}"))
        shown.append(blocks.heading(f"{_KEY}-security-heading", "What is insecure about it"))
        shown.append(blocks.notes(found.security or ("nothing was found",), f"{_KEY}-security"))
        shown.append(
            blocks.details(
                f"{_KEY}-more", "Cost, scaling and limits", [blocks.notes(_more(found), f"{_KEY}-said")]
            )
        )
        if found.files:
            written = [
                block for place, file in enumerate(found.files.items()) for block in _file(place, *file)
            ]
            shown.append(blocks.details(f"{_KEY}-files", f"{len(found.files)} files", written))
        if found.calls:
            calls = [
                (str(n), call.says, f"{call.service} {call.operation}")
                for n, call in enumerate(found.calls, 1)
            ]
            called = blocks.table(f"{_KEY}-called", Table(("call", "what", "operation"), calls), "Calls")
            shown.append(blocks.details(f"{_KEY}-calls", f"{len(found.calls)} calls", [called]))
        return [*shown, self._controls(), blocks.stack(f"{_KEY}-outcome", [])]

    def act_in(self, panel: Panel) -> None:
        """Let the buttons of the panel that shows `blocks` act."""
        self._panel = panel
        panel.does(f"{_KEY}-agree", self._agree)
        panel.does(f"{_KEY}-replace", self._replace)
        panel.does(f"{_KEY}-rehearse", lambda _: self._begin("Rehearsing on", self._rehearse))
        panel.does(f"{_KEY}-apply", lambda _: self._apply_if_agreed())
        panel.does(f"{_KEY}-undo", lambda _: self._begin("Taking back what was done on", self._undo))

    def _controls(self) -> Block:
        found = self._plan
        exists = open_yard().find("deployment", found.name) is not None
        shown = []
        if self._asks:
            leaves = f"I know what it costs, and that it leaves this machine for {found.target}"
            shown.append(blocks.check(f"{_KEY}-agree", leaves, self._agreed))
        if exists and self._deployed is None:
            shown.append(
                blocks.check(
                    f"{_KEY}-replace", f"Put it in the place of deployment {found.name}", self._replaces
                )
            )
        shown += [
            blocks.button(f"{_KEY}-rehearse", "Rehearse"),
            blocks.button(f"{_KEY}-apply", "Apply", "primary", disabled=self._deployed is not None),
            blocks.button(f"{_KEY}-undo", "Undo", "danger", disabled=self._deployed is None),
        ]
        return blocks.controls(f"{_KEY}-controls", *shown)

    @property
    def _asks(self) -> bool:
        return not targets[self._plan.target].acts_at_once

    def _agree(self, value: Any) -> None:
        self._agreed = value is True

    def _replace(self, value: Any) -> None:
        self._replaces = value is True

    def _begin(self, doing: str, work: Callable[[Panel], None]) -> None:
        panel = self._panel
        assert panel is not None

        def run() -> None:
            with hush():  # the panel says what is going on
                work(panel)

        panel.background(f"{doing} {self._plan.target}", run)

    def _rehearse(self, panel: Panel) -> None:
        found = rehearse(self._plan.bundle, self._plan.target, **self._plan.options)
        shown = [
            blocks.heading(f"{_KEY}-rehearsed-heading", "Rehearsal"),
            blocks.told(f"{_KEY}-rehearsed", found.sentence(), "good" if found.ok else "error"),
            blocks.notes(found.notes(), f"{_KEY}-findings"),
        ]
        panel.show(blocks.stack(f"{_KEY}-outcome", shown))

    def _apply_if_agreed(self) -> None:
        if self._asks and not self._agreed:
            raise UsageError(
                f"{self._plan.target} costs money or is another machine; tick the box above first"
            )
        self._begin("Deploying to", self._apply)

    def _apply(self, panel: Panel) -> None:
        found = self._plan
        made = deploy(
            found.bundle, found.target, found.name, apply=True, replace=self._replaces, **found.options
        )
        assert isinstance(made, Deployment)
        self._deployed = made.name
        self._show_deployed(panel, made)
        panel.tell(f"{made.name!r} answers at {made.url}")

    def _show_deployed(self, panel: Panel, made: Deployment) -> None:
        from modelyard_widgets.endpoint_panel import Endpoint  # beside this one: each shows the other

        endpoint = Endpoint(made)
        shown = [blocks.sentence(made.sentence(), f"{_KEY}-deployed"), *endpoint.blocks(), *endpoint.more()]
        panel.show(self._controls(), blocks.stack(f"{_KEY}-outcome", shown))
        endpoint.act_in(panel)

    def _undo(self, panel: Panel) -> None:
        name = self._plan.name
        back = undo(name)
        self._deployed = None
        panel.show(self._controls(), blocks.stack(f"{_KEY}-outcome", []))
        panel.tell(f"nothing is left of {name!r}" if back is None else f"as before: {back.sentence()}")


def _more(found: Plan) -> list[str]:
    return [
        f"cost: {found.cost}",
        f"scaling: {found.scaling}",
        *(found.fit.notes() if found.fit else ()),
        *(f"undo: {step}" for step in found.undo),
    ]


def _file(place: int, name: str, content: str) -> list[Block]:
    lines = content.splitlines()
    shown = "\n".join(lines[:_MOST_LINES]) + ("\n…" if len(lines) > _MOST_LINES else "")
    return [
        blocks.text(f"{_KEY}-file-name-{place}", name),
        blocks.code(f"{_KEY}-file-{place}", shown, name),
    ]


def plan_panel(shown: Showing) -> Panel:
    """Return the panel of a plan, which can be rehearsed, applied and taken back."""
    found = shown.result
    assert isinstance(found, Plan)
    planned = Planned(found)
    panel = Panel(f"Plan for {found.target}", [blocks.sentence(shown.payload["sentence"]), *planned.blocks()])
    planned.act_in(panel)
    return panel
