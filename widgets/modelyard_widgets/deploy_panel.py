"""Deploy: the targets side by side, each with what it would do; choosing one shows its plan."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import Any

from modelyard.errors import ModelyardError, UsageError
from modelyard.packaging import Bundle
from modelyard.presentation import Table
from modelyard.progress import hush
from modelyard.targets import Plan, plan, targets
from modelyard_widgets import blocks
from modelyard_widgets.blocks import Block
from modelyard_widgets.panel import Panel
from modelyard_widgets.plan_panel import Planned

_KEY = "deploy"


class Deploying:
    """The targets side by side, for one bundle; part of any panel.

    Each is asked when it is chosen: for a place with limits, what would go there is made first, which takes a while.

    Parameters
    ----------
    bundle : Bundle
    """

    def __init__(self, bundle: Bundle) -> None:
        self._bundle = bundle
        self._name = bundle.name
        self._rows = {name: (name, "not asked yet", "–", "–") for name in targets}
        self._chosen: str | None = None
        self._panel: Panel | None = None
        self._stopping = threading.Event()

    def blocks(self) -> list[Block]:
        """Return the table of targets, none of which was asked yet, and the place for a plan."""
        asks = blocks.controls(
            f"{_KEY}-asks",
            blocks.text_field(f"{_KEY}-name", "Deployment's name", self._name),
            blocks.button(f"{_KEY}-ask", "Ask all targets"),
            blocks.button(f"{_KEY}-stop", "Stop asking", always=True),
        )
        waits = blocks.text(f"{_KEY}-choose", "Choose a target to see what would be done.")
        return [self._table(), asks, blocks.stack(f"{_KEY}-plan", [waits])]

    def act_in(self, panel: Panel) -> None:
        """Let targets be asked, and one be chosen, in the panel that shows `blocks`."""
        self._panel = panel
        panel.does(f"{_KEY}-target", self._choose)
        panel.does(f"{_KEY}-name", self._rename)
        panel.does(f"{_KEY}-ask", lambda _: self._ask_all(panel))
        panel.does(f"{_KEY}-stop", lambda _: self._stopping.set())

    def opened_later(self, panel: Panel, key: str) -> Callable[[], None]:
        """Return what puts all this in the place of the stack `key` when it is first called."""

        def open_it() -> None:
            if self._panel is None:
                self._bundle.check()
                panel.show(blocks.stack(key, self.blocks()))
                self.act_in(panel)

        return open_it

    def _ask_all(self, panel: Panel) -> None:
        self._stopping.clear()

        def work() -> None:
            for name in sorted(targets, key=lambda name: not _acts_at_once(name)):
                if self._stopping.is_set():
                    panel.tell("stopped; the others were not asked", "warning")
                    return
                panel.busy = f"Asking {name}"
                try:
                    self._asked(name)
                except ModelyardError as error:
                    self._rows[name] = (name, "no", "–", str(error))
                panel.show(self._table())

        panel.background("Asking the targets", work)

    def _asked(self, name: str) -> Plan:
        with hush():
            found = plan(self._bundle, name, self._name)
        fits = "yes" if found.fit is None or found.fit.ok else f"no: {found.fit.broken[0]}"
        table = found.cost.table
        cost = "nothing" if table is None else f"{found.cost.monthly:.2f} {table.currency} a month"
        self._rows[name] = (name, fits, cost, _shortly(found.security))
        return found

    def _table(self) -> Block:
        shown = Table(("target", "fits", "cost", "security"), list(self._rows.values()))
        chosen = None if self._chosen is None else list(self._rows).index(self._chosen)
        return blocks.table(f"{_KEY}-targets", shown, "Targets", choose=f"{_KEY}-target", chosen=chosen)

    def _rename(self, value: Any) -> None:
        self._name = str(value or self._bundle.name)
        if self._chosen is not None:
            self._choose(list(self._rows).index(self._chosen))

    def _choose(self, place: Any) -> None:
        names = list(self._rows)
        if not isinstance(place, int) or not 0 <= place < len(names):
            raise UsageError("no such target; choose one of the table")
        panel, name = self._panel, names[place]
        assert panel is not None
        self._chosen = name

        def work() -> None:
            planned = Planned(self._asked(name))
            planned.act_in(panel)
            panel.show(self._table(), blocks.stack(f"{_KEY}-plan", planned.blocks()))

        panel.background(f"Planning {name}", work)


def _acts_at_once(name: str) -> bool:
    try:
        return bool(targets[name].acts_at_once)
    except ModelyardError:
        return False


def _shortly(security: Sequence[str]) -> str:
    if not security:
        return "nothing was found"
    return security[0] + (f"; and {len(security) - 1} more" if len(security) > 1 else "")


def deploy_panel(bundle: Bundle) -> Panel:
    """Return a panel with all targets for a bundle; nobody is called before Apply is pressed.

    Raises
    ------
    BundleError
        The bundle is gone, or was changed.
    """
    bundle.check()
    deploying = Deploying(bundle)
    panel = Panel(
        f"Deploy {bundle.tag}", [blocks.sentence(f"Where may {bundle.tag} go?"), *deploying.blocks()]
    )
    deploying.act_in(panel)
    return panel
