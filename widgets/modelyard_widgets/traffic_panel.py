"""Traffic: who answers how much, the rollout and its guards, the verdict; canary, rollout, roll back."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from modelyard.catalog import Yard, open_yard
from modelyard.errors import DeploymentError, UsageError
from modelyard.packaging import storing
from modelyard.routing import traffic as change
from modelyard.routing.outcomes import Outcome
from modelyard.routing.verdict import Verdict, verdict
from modelyard.routing.view import Traffic
from modelyard.targets.protocol import STATE_KEPT, recorded_target
from modelyard.targets.tokens import read_token
from modelyard.targets.traffic import can_route
from modelyard_router.policy import Policy, PolicyChangedError
from modelyard_widgets import blocks
from modelyard_widgets.blocks import Block
from modelyard_widgets.panel import Panel
from modelyard_widgets.showing import Showing
from modelyard_widgets.traffic_disagreements import Disagreements

_EVERY_S = 1.0
_JUDGED_EVERY_S = 30.0  # a verdict reads the whole log of labels
_OUTCOME: Outcome = "correct"
_EFFECT = 0.02
_KEY = "traffic"
_SHOWN = 8


class TrafficView:
    """What is seen of an endpoint's traffic, and the controls that change it; part of any panel.

    A change is refused where the policy is another one by now than this panel last showed.

    Parameters
    ----------
    name : str
        The deployment's.
    root : Path
        Its project.
    """

    def __init__(self, name: str, root: Path) -> None:
        self._name = name
        self._yard = Yard(root)
        self._state = self._yard.deployment_folder(name) / STATE_KEPT
        self._disagreements = Disagreements(self._state)
        self._panel: Panel | None = None
        self._seen = 0
        self._judged: tuple[float, Verdict | None] = (-_JUDGED_EVERY_S, None)
        self._chosen: dict[str, Any] = {}

    def blocks(self, found: Traffic | None = None) -> list[Block]:
        """Return all blocks, of a traffic that was looked at just now, or is now.

        Raises
        ------
        UsageError, DeploymentError, UnknownNameError
            There is nothing to see, and why.
        """
        return self._shown(found or self._look())

    def act_in(self, panel: Panel) -> None:
        """Follow the traffic for the panel that shows `blocks`, and let its controls act."""
        self._panel = panel
        for key in ("variant", "share", "steps", "every", "guard"):
            panel.does(f"{_KEY}-{key}", self._keep(key))
        acts = {
            "set": self._set,
            "roll-out": self._roll_out,
            "promote": self._promote,
            "back": self._roll_back,
        }
        for key, act in acts.items():
            panel.does(f"{_KEY}-{key}", self._checked(act))
        panel.every(_EVERY_S, self._follow)

    def opened_later(self, panel: Panel, key: str) -> Callable[[], None]:
        """Return what puts all this in the place of the stack `key` when it is first called."""

        def open_it() -> None:
            if self._panel is None:
                shown = self.blocks()
                panel.show(blocks.stack(key, shown))
                self.act_in(panel)

        return open_it

    def _look(self) -> Traffic:
        record = self._yard.get("deployment", self._name)
        target = recorded_target(record.payload)
        if not can_route(target):
            raise UsageError(
                f"target {record.payload['target']!r} cannot serve several bundles behind one endpoint"
            )
        routed = target.routed(record.payload["state"], read_token(self._yard.root, self._name))
        judged, said = self._judged
        if time.monotonic() - judged > _JUDGED_EVERY_S:
            said = verdict(routed.policy, routed.history, self._state, _OUTCOME, _EFFECT)
            self._judged = (time.monotonic(), said)
        return Traffic(self._name, routed, said)

    def _follow(self) -> bool:
        assert self._panel is not None
        if self._yard.find("deployment", self._name) is None:
            self._panel.tell(f"deployment {self._name!r} is removed", "warning")
            return False
        try:
            found = self._look()
        except DeploymentError as error:
            self._panel.tell(str(error), "error")
            return True
        self._panel.show(*self._shown(found))
        return True

    def _keep(self, key: str) -> Callable[[Any], None]:
        def keep(value: Any) -> None:
            self._chosen[key] = value

        return keep

    def _checked(self, act: Callable[[], None]) -> Callable[[Any], None]:
        """Return what acts only on the policy that is shown, in the background, and then shows what became of it."""

        def begin(_: Any) -> None:
            panel = self._panel
            assert panel is not None

            def work() -> None:
                now = self._look()
                if now.policy.number != self._seen:
                    panel.show(*self._shown(now))
                    raise UsageError(str(PolicyChangedError(now.policy)).replace("type yours", "set yours"))
                act()
                found = self._look()
                panel.show(*self._shown(found))
                panel.tell(f"{found.policy.number}. {found.policy.why}")

            panel.background(f"Changing the traffic of {self._name}", work)

        return begin

    def _variant(self) -> str:
        variant = self._chosen.get("variant")
        if not isinstance(variant, str) or not variant:
            raise UsageError(f"{self._name!r} has no candidate; package another version of its bundle first")
        return variant

    def _set(self) -> None:
        share = self._chosen.get("share")
        if not isinstance(share, int | float) or not 0 <= share <= 100:
            raise UsageError(f"a share is between 0 % and 100 %, found {share!r}")
        change(self._name, canary={self._variant(): share / 100})

    def _roll_out(self) -> None:
        guards = [each.strip() for each in str(self._chosen["guard"]).split(",") if each.strip()]
        every = self._chosen["every"]
        if not isinstance(every, int | float):
            raise UsageError("how many seconds does each step last? type a number")
        change(
            self._name, canary=self._variant(), steps=_steps(str(self._chosen["steps"])), every=float(every),
            guard=guards or None,
        )  # fmt: skip

    def _promote(self) -> None:
        change(self._name, promote=self._variant())

    def _roll_back(self) -> None:
        change(self._name, rollback=True)

    def _shown(self, found: Traffic) -> list[Block]:
        policy = found.policy
        self._seen = policy.number
        candidates = _candidates(policy)
        if self._chosen.get("variant") not in candidates:
            self._chosen["variant"] = candidates[0] if candidates else ""
            self._chosen["share"] = 100 * policy.weights.get(str(self._chosen["variant"]), 0.1)
        shares = [
            blocks.bar(
                f"{name} ({variant.tag})",
                f"{100 * policy.weights.get(name, 0):g} %",
                policy.weights.get(name, 0),
            )
            for name, variant in policy.variants.items()
        ]
        said = (
            found.verdict.sentence
            if found.verdict is not None
            else "No verdict: no labels have come by /feedback."
        )
        past = [
            f"{each.number}. {each.at[11:19]} UTC, {each.by}: {each.why}" for each in found.history[-_SHOWN:]
        ]
        failed = [f"{name} could not be loaded: {why}" for name, why in (found.routed.failed or {}).items()]
        differing = self._disagreements.table()
        return [
            blocks.sentence(found.sentence(), f"{_KEY}-sentence"),
            blocks.bars(f"{_KEY}-shares", "Share of the requests", shares),
            blocks.table(f"{_KEY}-variants", found.table(), "Variants in figures"),
            blocks.told(f"{_KEY}-failed", "; ".join(failed), "error" if failed else "good"),
            blocks.stack(f"{_KEY}-rollout", _rollout(found)),
            blocks.text(f"{_KEY}-verdict", said),
            *self._controls(policy, candidates),
            blocks.stack(
                f"{_KEY}-shadow",
                [
                    blocks.heading(f"{_KEY}-shadow-heading", "Answered otherwise by a shadow"),
                    blocks.table(f"{_KEY}-shadow-table", differing, "Rows that a shadow answered otherwise"),
                ]
                if differing is not None
                else [],
            ),
            blocks.details(f"{_KEY}-past", "Who changed what", [blocks.notes(past, f"{_KEY}-history")]),
        ]

    def _controls(self, policy: Policy, candidates: Sequence[str]) -> list[Block]:
        chosen = self._chosen
        chosen.setdefault("steps", "1%, 10%, 50%, 100%")
        chosen.setdefault("every", 60)
        chosen.setdefault("guard", "errors<1%")
        none = not candidates
        can_go_back = len(policy.answering) > 1 or policy.before is not None or policy.is_rolling
        canary = blocks.controls(
            f"{_KEY}-canary",
            blocks.choice(
                f"{_KEY}-variant", "Candidate", candidates or [("", "none")], chosen["variant"], disabled=none
            ),
            blocks.slider(f"{_KEY}-share", "Share", chosen["share"], 0, 100, 1, unit="%", disabled=none),
            blocks.button(f"{_KEY}-set", "Set", "primary", disabled=none),
            blocks.button(f"{_KEY}-promote", "Promote", disabled=none),
            blocks.button(f"{_KEY}-back", "Roll back", "danger", disabled=not can_go_back),
        )
        rollout = blocks.controls(
            f"{_KEY}-steps-controls",
            blocks.text_field(f"{_KEY}-steps", "Steps", chosen["steps"], disabled=none),
            blocks.number_field(f"{_KEY}-every", "Seconds a step", chosen["every"], min=1, disabled=none),
            blocks.text_field(f"{_KEY}-guard", "Guards", chosen["guard"], disabled=none),
            blocks.button(f"{_KEY}-roll-out", "Roll out", disabled=none),
        )
        return [canary, blocks.details(f"{_KEY}-by-steps", "Roll out step by step", [rollout])]


def _candidates(policy: Policy) -> list[str]:
    """Return the variants that may be tried: every version of the control's bundle but itself, newest first."""
    stem = policy.variants[policy.control].tag.partition(":")[0]
    stored = [f"v{found.version}" for found in reversed(storing.versions(stem))]
    return [
        name
        for name in dict.fromkeys([*policy.answering, *stored, *policy.variants])
        if name != policy.control
    ]


def _rollout(found: Traffic) -> list[Block]:
    rollout = found.policy.rollout
    if rollout is None:
        return []
    count = len(rollout.steps)
    share = f"{100 * rollout.steps[rollout.step]:g} %"
    done = {"running": rollout.step, "finished": count}.get(rollout.state, rollout.step)
    waits = f", waits for {found.routed.waits_for}" if found.routed.waits_for else ""
    words = {
        "running": f"Rolling out {rollout.candidate}: step {rollout.step + 1} of {count}, {share}{waits}",
        "finished": f"{rollout.candidate} is rolled out",
        "rolled back": f"{rollout.candidate} was rolled back at {share}",
    }[rollout.state]
    shown: list[Block] = [blocks.progress(f"{_KEY}-step", words, done, count)]
    if found.routed.guards:
        shown.append(blocks.notes(found.routed.guards, f"{_KEY}-guards"))
    return shown


def _steps(text: str) -> list[float]:
    try:
        return [float(part.strip().removesuffix("%")) / 100 for part in text.split(",") if part.strip()]
    except ValueError:
        raise UsageError(f"steps are percentages such as 1%, 10%, 100%, found {text[:40]!r}") from None


def traffic_panel(shown: Showing) -> Panel:
    """Return the panel of an endpoint's traffic, live."""
    found = shown.result
    assert isinstance(found, Traffic)
    view = TrafficView(found.name, open_yard().root)
    panel = Panel(f"Traffic of {found.name}", view.blocks(found))
    view.act_in(panel)
    return panel
