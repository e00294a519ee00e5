"""The panel of a study that runs beside the cells: live, and steered from here."""

from __future__ import annotations

from collections import Counter
from typing import Any, cast

from modelyard.errors import ModelyardError, UsageError
from modelyard.presentation import number
from modelyard.tuning.background import StudyRun
from modelyard_widgets.blocks import (
    Block,
    button,
    controls,
    figure,
    figures,
    number_field,
    picture,
    progress,
    sentence,
    stack,
    text,
)
from modelyard_widgets.panel import Panel
from modelyard_widgets.showing import Showing, showing
from modelyard_widgets.study_charts import history_chart
from modelyard_widgets.study_panel import StudyViews

_EVERY_S = 0.5
_MORE = 20
_SAID = {
    "running": "Running",
    "paused": "Paused",
    "stopping": "Stopping",
    "finished": "Finished",
    "failed": "Failed",
}
_UNSCORED = {"pruned": "given up after the first folds", "failed": "each says why in .trials"}
_TONES: dict[str, Any] = {"running": "good", "finished": "good", "paused": "warning", "stopping": "warning"}


def study_run_panel(shown: Showing) -> Panel:
    """Return the panel; once the run has ended, it shows the study."""
    steering = _Steering(cast(StudyRun, shown.result))
    panel = Panel(f"Study {steering.run.name}", [*steering.blocks(), stack("outcome", [])])
    steering.steer(panel)
    return panel


class _Steering:
    """One run and the panel that steers it."""

    def __init__(self, run: StudyRun) -> None:
        self.run = run
        self._more: Any = _MORE
        self._ended = False

    def blocks(self) -> list[Block]:
        return [sentence(f"Study {self.run.name} beside the cells"), *self._live(), self._controls()]

    def steer(self, panel: Panel) -> None:
        def pause(_: Any) -> None:
            (self.run.resume if self.run.state == "paused" else self.run.pause)()
            self._read(panel)

        def stop(_: Any) -> None:
            self.run.stop()
            self._read(panel)

        def count(value: Any) -> None:
            self._more = value

        def add(_: Any) -> None:
            if not isinstance(self._more, int | float) or self._more != int(self._more):
                raise UsageError(f"more trials are a whole number from 1 up, found {self._more!r}; type 20")
            self.run.add_trials(int(self._more))
            panel.tell(f"{int(self._more)} more trials: {self.run.wanted} in all")
            self._read(panel)

        for key, act in {"pause": pause, "stop": stop, "more": count, "add": add}.items():
            panel.does(key, act)
        panel.every(_EVERY_S, lambda: self._read(panel))

    def _read(self, panel: Panel) -> bool:
        """Show how far the run is; whether it goes on."""
        over = self.run.wait(0)
        panel.show(*self._live(), self._controls())
        if over and not self._ended:
            self._ended = True
            panel.show(self._outcome(panel))
        return not over

    def _live(self) -> list[Block]:
        run = self.run
        state = run.state
        best = "–" if run.best is None else number(run.best)
        found = [
            figure("State", _SAID[state], tone=_TONES.get(state, "error")),
            figure(f"Best {run.metric}", best),
        ]
        states = Counter(each["state"] for each in list(run.history))
        for kind, label in (("pruned", "Pruned"), ("failed", "Failed")):
            if states[kind]:
                found.append(figure(label, str(states[kind]), _UNSCORED[kind]))
        told = (
            f"{run.done} trials"
            if run.wanted is None or self._over(state)
            else f"{run.done} of {run.wanted} trials"
        )
        done = None if run.wanted is None else min(run.done, run.wanted)
        drawing = history_chart(run.metric, run.direction, list(run.history))
        return [
            figures("figures", found),
            progress("progress", told, done, run.wanted or 1)
            if not self._over(state)
            else text("progress", told),
            stack("live", [picture("picture", drawing)] if drawing and not self._over(state) else []),
        ]

    def _controls(self) -> Block:
        state = self.run.state
        if self._over(state):
            return controls("steer")
        return controls(
            "steer",
            button("pause", "Go on" if state == "paused" else "Pause", disabled=state == "stopping"),
            button(
                "stop", "Stop", "danger", disabled=state == "stopping", help="The trials that run still end"
            ),
            *(
                [
                    number_field("more", "More trials", self._more, min=1, step=1),
                    button("add", "Add trials", disabled=state == "stopping"),
                ]
                if self.run.wanted is not None
                else []
            ),
        )

    def _outcome(self, panel: Panel) -> Block:
        try:
            study = self.run.result(0)
        except ModelyardError as error:
            panel.tell(str(error), "error")
            return stack("outcome", [])
        except Exception as error:  # noqa: BLE001  # whatever the model raised: the user asks for its traceback
            panel.tell(f"{type(error).__name__}: {error}; .result() has the traceback", "error")
            return stack("outcome", [])
        shown = showing(study)
        views = StudyViews(shown)
        views.fill(panel)
        return stack("outcome", [text("outcome-told", shown.payload["sentence"]), views.block])

    @staticmethod
    def _over(state: str) -> bool:
        return state in ("finished", "failed")
