"""An endpoint, live: how much it is asked, how fast it answers, what comes in its columns; stop, start, its log."""

from __future__ import annotations

import contextlib
from typing import Any

from modelyard.catalog import Yard
from modelyard.errors import BundleError, DeploymentError
from modelyard.presentation import Table
from modelyard.targets import Deployment
from modelyard_widgets import blocks
from modelyard_widgets.blocks import Block
from modelyard_widgets.endpoint_history import history_picture
from modelyard_widgets.endpoint_reading import ColumnSeen, Counts, Pace, Reader, columns_seen, profile_of
from modelyard_widgets.panel import Panel
from modelyard_widgets.showing import Showing
from modelyard_widgets.traffic_panel import TrafficView
from modelyard_widgets.what_if_answers import bundle_of
from modelyard_widgets.what_if_panel import opened_later, what_if

_EVERY_S = 1.0
_DRAWN_EVERY = 3  # readings
_LOG_BYTES, _LOG_LINES = 16_384, 30
_KEY = "endpoint"


class Endpoint:
    """What is seen of an endpoint; part of any panel.

    Parameters
    ----------
    deployment : Deployment
    acts : bool
        Whether it can be stopped and started here, and its log and how to call it are shown.
    """

    def __init__(self, deployment: Deployment, acts: bool = True) -> None:
        self._deployment = deployment
        self._acts = acts
        self._reader = Reader.of(deployment)
        self._turn = 0
        self._profile: dict[str, dict[str, object]] | None = None
        self._panel: Panel | None = None

    def blocks(self) -> list[Block]:
        """Return all blocks, before anybody was asked."""
        shown = [
            self._figures(None, "looking …"),
            blocks.told(f"{_KEY}-line"),
            blocks.group(f"{_KEY}-history", []),
            blocks.group(f"{_KEY}-columns", []),
        ]
        if self._acts:
            shown.append(self._controls(None))
        return shown

    def more(self) -> list[Block]:
        """Return how it is called, and the end of its log."""
        name = self._deployment.name
        columns = ", ".join(f"{column!r}: …" for column in self._deployment.columns[:6])
        python = f"import modelyard\n\nmodelyard.deployment({name!r}).predict([{{{columns}}}])"
        shown = [blocks.code(f"{_KEY}-python", python, "Call from Python")]
        if self._deployment.url.startswith("http"):
            row = "{" + ", ".join(f'"{column}": null' for column in self._deployment.columns[:6]) + "}"
            body = f'{{"rows": [{row}]}}'.replace("'", "'\\''")
            header = "-H 'Content-Type: application/json'"
            curl = (
                f"curl -H @{self._deployment.header_file} {header} -d '{body}' {self._deployment.url}/predict"
            )
            shown.append(blocks.code(f"{_KEY}-curl", curl, "Call from a shell"))
        return [*shown, blocks.heading(f"{_KEY}-log-heading", "The end of its log"), self._log()]

    def act_in(self, panel: Panel) -> None:
        """Read the endpoint every second for the panel that shows `blocks`, and let its buttons act."""
        self._panel = panel
        if self._acts:
            panel.does(f"{_KEY}-stop", lambda _: self._do(f"Stopping {self._deployment.name}", stop=True))
            panel.does(f"{_KEY}-start", lambda _: self._do(f"Starting {self._deployment.name}", stop=False))
        panel.every(_EVERY_S, self.look)

    def look(self) -> bool:
        """Read it and show what is new; False when the deployment is no more."""
        assert self._panel is not None
        try:
            counts = self._reader.read()
        except DeploymentError as error:
            return self._unanswered(self._panel, str(error))
        pace = self._reader.pace()
        fresh = [
            self._figures(pace, "ready", counts),
            blocks.told(f"{_KEY}-line"),
            blocks.group(f"{_KEY}-columns", self._columns(counts)),
        ]
        if self._turn % _DRAWN_EVERY == 1 and (drawn := history_picture(self._reader.history())) is not None:
            fresh.append(blocks.group(f"{_KEY}-history", [blocks.picture(f"{_KEY}-picture", drawn)]))
        if self._acts:
            fresh.append(self._controls(True))
            fresh.append(self._log())
        self._turn += 1
        self._panel.show(*fresh)
        return True

    def _unanswered(self, panel: Panel, why: str) -> bool:
        status = self._deployment.status()
        name = self._deployment.name
        typed = (
            f"type modelyard.deployment({name!r}).start()"
            if self._acts
            else "whoever runs it can start it again"
        )
        told, tone = {
            "stopped": (f"{name!r} is stopped; {typed}", "warning"),
            "starting": (f"{name!r} is starting", "warning"),
            "ready": (why, "warning"),
        }.get(status.health, (f"{why}: {status.detail}; {typed}", "error"))
        removed = status.detail == "removed"
        if removed:
            told = f"deployment {name!r} is removed"
        fresh = [self._figures(None, status.health), blocks.told(f"{_KEY}-line", told, tone)]  # type: ignore[arg-type]
        if self._acts:
            fresh += [self._controls(None if removed else False), self._log()]
        panel.show(*fresh)
        return not removed

    def _do(self, doing: str, stop: bool) -> None:
        assert self._panel is not None
        panel = self._panel

        def work() -> None:
            status = self._deployment.stop() if stop else self._deployment.start()
            panel.tell(f"{self._deployment.name} is {status}")
            self.look()

        panel.background(doing, work)

    def _controls(self, runs: bool | None) -> Block:
        return blocks.controls(
            f"{_KEY}-controls",
            blocks.button(f"{_KEY}-start", "Start", disabled=runs is not False),
            blocks.button(f"{_KEY}-stop", "Stop", "danger", disabled=runs is not True),
        )

    def _figures(self, pace: Pace | None, health: str, counts: Counts | None = None) -> Block:
        tone: Any = {"ready": "good", "down": "error", "stopped": "warning", "starting": "warning"}.get(
            health
        )
        shown = [blocks.figure("Health", health, "", tone)]
        if pace is None or counts is None:
            shown += [blocks.figure(label, "–") for label in ("Requests a second", "p50", "p95", "Errors")]
            return blocks.figures(f"{_KEY}-figures", shown)
        when = "of the last minute" if pace.lately else "since it began"
        shown += [
            blocks.figure("Requests a second", f"{pace.rate:.1f}", f"{counts.requests:,.0f} in all"),
            blocks.figure("p50", _ms(pace.p50_s), when),
            blocks.figure("p95", _ms(pace.p95_s), when),
            blocks.figure(
                "Errors", f"{pace.errors:,.0f}", f"in the last minute; {pace.refused:,.0f} refused",
                "error" if pace.errors else "good",
            ),
        ]  # fmt: skip
        return blocks.figures(f"{_KEY}-figures", shown)

    def _columns(self, counts: Counts) -> list[Block]:
        if not counts.values and not any(counts.flags.values()):
            return []
        if self._profile is None:
            self._profile = {}
            with contextlib.suppress(BundleError):
                self._profile = profile_of(bundle_of(self._deployment))
        seen = columns_seen(counts, self._deployment.columns, self._profile)
        title = "What came in each column"
        columns = (
            "column",
            "values",
            "missing",
            "missing in training",
            "beyond training",
            "flagged",
            "spread otherwise",
        )
        return [blocks.table(f"{_KEY}-table", Table(columns, [_row(each) for each in seen]), title)]

    def _log(self) -> Block:
        return blocks.code(f"{_KEY}-log", _tail(self._deployment), "The end of the log")


def _row(seen: ColumnSeen) -> tuple[str, ...]:
    return (
        seen.name, f"{seen.values:,.0f}", _percent(seen.missing), _percent(seen.usual_missing),
        _percent(seen.outside), f"{seen.flagged:,.0f}", _percent(seen.moved),
    )  # fmt: skip


def _percent(share: float | None) -> str:
    return "–" if share is None else f"{100 * share:.1f} %"


def _ms(seconds: float | None) -> str:
    return (
        "–" if seconds is None else f"{1e3 * seconds:.2g} ms" if seconds < 0.01 else f"{1e3 * seconds:.0f} ms"
    )


def _tail(deployment: Deployment) -> str:
    path = Yard(deployment.root).deployment_folder(deployment.name) / "server.log"
    try:
        with path.open("rb") as file:
            file.seek(0, 2)
            file.seek(max(0, file.tell() - _LOG_BYTES))
            lines = file.read().decode("utf-8", errors="replace").splitlines()
    except OSError:
        return "this place keeps no log here"
    return "\n".join(lines[-_LOG_LINES:]) or "it said nothing yet"


_LIVE, _TRAFFIC, _WHAT_IF, _CALL = "Live", "Traffic", "What if", "Call and log"


def deployment_panel(shown: Showing) -> Panel:
    """Return the panel of a deployment: seen at once, asked a moment later."""
    deployment = shown.result
    assert isinstance(deployment, Deployment)
    endpoint, traffic = Endpoint(deployment), TrafficView(deployment.name, deployment.root)
    views = {
        _LIVE: endpoint.blocks(),
        _TRAFFIC: [blocks.stack("traffic", [blocks.text("traffic-waits", "Looking …")])],
        _WHAT_IF: [blocks.stack("what-if", [blocks.text("what-if-waits", "Looking …")])],
        _CALL: endpoint.more(),
    }
    panel = Panel(
        f"Deployment {deployment.name}",
        [blocks.sentence(shown.payload["sentence"]), blocks.tabs("views", views)],
    )
    opens = {
        _TRAFFIC: traffic.opened_later(panel, "traffic"),
        _WHAT_IF: opened_later(panel, "what-if", lambda: what_if(deployment)),
    }

    def look(label: Any) -> None:
        if (open_it := opens.get(label)) is not None:
            open_it()

    panel.does("views", look)
    endpoint.act_in(panel)
    return panel


def watching_panel(deployment: Deployment) -> Panel:
    """Return a deployment, live, for somebody who only looks: nothing in it acts."""
    endpoint = Endpoint(deployment, acts=False)
    told = f"{deployment.bundle} on {deployment.target}"
    panel = Panel(f"Deployment {deployment.name}, live", [blocks.sentence(told), *endpoint.blocks()])
    endpoint.act_in(panel)
    return panel
