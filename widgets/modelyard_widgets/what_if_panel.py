"""What if: a row that is changed by sliders, and the answer that follows."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from modelyard.errors import ModelyardError
from modelyard.packaging import Bundle
from modelyard.presentation import number
from modelyard.targets import Deployment
from modelyard_widgets import blocks
from modelyard_widgets.blocks import Block
from modelyard_widgets.panel import Panel
from modelyard_widgets.what_if_answers import Answer, Ask, AskedBundle, AskedDeployment, bundle_of
from modelyard_widgets.what_if_controls import (
    column_block,
    first_value,
    meant,
    telling_first,
    usual_row,
)

_AT_ONCE = 24  # columns; the others open on demand
_MOST_CLASSES = 10
_KEY = "what-if"


class WhatIf:
    """The controls of a row, and its answer; part of any panel.

    Parameters
    ----------
    bundle : Bundle
        Whose contract says what a row is.
    ask : callable
        Answers a row.
    says : str
        What stands below, such as that the endpoint counts each answer.
    """

    def __init__(self, bundle: Bundle, ask: Ask, says: str = "") -> None:
        self._contract = bundle.contract
        self._columns = telling_first(bundle)
        self._usual = usual_row(bundle)
        self._row = dict(self._usual)
        self._ask = ask
        self._says = says
        self._panel: Panel | None = None

    def blocks(self) -> list[Block]:
        """Return all blocks, with the answer to the row as it is."""
        cells = [column_block(c, n, self._row[c.name]) for n, c in enumerate(self._columns)]
        *answer, said = self._answered()
        shown = [
            blocks.group(f"{_KEY}-answer", answer, layout="pinned"),
            said,
            blocks.group(f"{_KEY}-first", cells[:_AT_ONCE], layout="cells"),
        ]
        if rest := cells[_AT_ONCE:]:
            inner = blocks.group(f"{_KEY}-rest", rest, layout="cells")
            shown.append(blocks.details(f"{_KEY}-more", f"{len(rest)} more columns", [inner]))
        shown.append(
            blocks.controls(f"{_KEY}-again", blocks.button(f"{_KEY}-reset", "Back to the usual row"))
        )
        if self._says:
            shown.append(blocks.text(f"{_KEY}-says", self._says))
        return shown

    def act_in(self, panel: Panel) -> None:
        """Let the panel that shows `blocks` answer what its controls say; these can do nothing else."""
        self._panel = panel
        panel.does(f"{_KEY}-reset", lambda _: self._reset())
        for place, column in enumerate(self._columns):
            panel.does(f"column-{place}", partial(self._set, place))
            if column.nullable:
                panel.does(f"missing-{place}", partial(self._set_missing, place))

    def _set(self, place: int, said: Any) -> None:
        column = self._columns[place]
        self._change(place, meant(column, said))

    def _set_missing(self, place: int, said: Any) -> None:
        column = self._columns[place]
        usual = first_value(column, self._usual[column.name], self._contract)
        self._change(place, None if said is True else usual)

    def _change(self, place: int, value: Any) -> None:
        column = self._columns[place]
        self._row[column.name] = value
        self._show(*self._answered(), column_block(column, place, value))

    def _reset(self) -> None:
        self._row = dict(self._usual)
        cells = [column_block(c, n, self._row[c.name]) for n, c in enumerate(self._columns)]
        self._show(*self._answered(), *cells)

    def _show(self, *shown: Block) -> None:
        if self._panel is not None:
            self._panel.tell("")
            self._panel.show(*shown)

    def _answered(self) -> list[Block]:
        """Return the prediction, the probabilities, and last what is to be said of the row."""
        try:
            answer = self._ask(self._row)
        except ModelyardError as error:
            return [*_shown(None), blocks.told(f"{_KEY}-said", _of_one_row(str(error)), "error")]
        flags = "; ".join(answer.flags)
        return [*_shown(answer), blocks.told(f"{_KEY}-said", flags, "warning" if flags else "good")]


def _of_one_row(told: str) -> str:
    """There is one row only, so that nobody needs its number."""
    return told.removeprefix("row 0, ")


def _shown(answer: Answer | None) -> list[Block]:
    if answer is None:
        return [
            blocks.figures(f"{_KEY}-prediction", [blocks.figure("Prediction", "–", "no answer")], True),
            blocks.bars(f"{_KEY}-probabilities", "", []),
        ]
    by = f"answered by {answer.by}" if answer.by else ""
    shown = blocks.figure("Prediction", _told(answer.prediction), by)
    likely = sorted((answer.probabilities or {}).items(), key=lambda pair: -pair[1])[:_MOST_CLASSES]
    kept = {name for name, _ in likely}
    found = [
        blocks.bar(name, f"{100 * share:.1f} %", share)
        for name, share in (answer.probabilities or {}).items()
        if name in kept
    ]
    title = "Probability" if found else ""
    return [
        blocks.figures(f"{_KEY}-prediction", [shown], True),
        blocks.bars(f"{_KEY}-probabilities", title, found),
    ]


def _told(prediction: Any) -> str:
    if isinstance(prediction, bool):
        return "true" if prediction else "false"
    return number(prediction) if isinstance(prediction, float) else str(prediction)


def what_if(source: Bundle | Deployment) -> WhatIf:
    """Return the what-if of a bundle, which is loaded for it, or of a deployment, which is asked.

    Raises
    ------
    BundleError
        The bundle is gone, damaged, or cannot be loaded here.
    DeploymentError
        The endpoint does not answer.
    """
    if isinstance(source, Deployment):
        says = (
            f"Each answer is the endpoint's own: {source.name!r} counts and logs it like any other request."
        )
        return WhatIf(bundle_of(source), AskedDeployment(source), says)
    return WhatIf(source, AskedBundle(source))


def what_if_panel(source: Bundle | Deployment) -> Panel:
    """Return a panel with the what-if of a bundle or a deployment, and nothing else."""
    found = what_if(source)
    tag = source.bundle if isinstance(source, Deployment) else source.tag
    asked = f"deployment {source.name!r}" if isinstance(source, Deployment) else f"bundle {tag}"
    question = blocks.sentence(f"What would {asked} say of a row like this?")
    panel = Panel(f"What if, {tag}", [question, *found.blocks()])
    found.act_in(panel)
    return panel


def opened_later(panel: Panel, key: str, make: Callable[[], WhatIf]) -> Callable[[], None]:
    """Return what puts a what-if in the place of the group `key` when it is first called, in the background."""
    begun = False

    def load() -> None:
        nonlocal begun
        try:
            found = make()
        except BaseException:
            begun = False  # the next look tries again
            raise
        found.act_in(panel)
        panel.show(blocks.stack(key, found.blocks()))

    def open_it() -> None:
        nonlocal begun
        if not begun:
            begun = True
            panel.background("Loading the model", load)

    return open_it
