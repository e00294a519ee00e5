"""Views of a panel of which one is seen; the others are made when somebody opens them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from modelyard_widgets.blocks import Block, stack, tabs
from modelyard_widgets.panel import Panel

Make = Callable[[], Sequence[Block]]


class Views:
    """Tabs that are filled when they are opened for the first time.

    Parameters
    ----------
    made : mapping of str to callable
        What makes the blocks of each view, by its label. The first one is seen at once.
    key, title : str
        Of the tabs.
    """

    def __init__(self, made: Mapping[str, Make], key: str = "views", title: str = "Views") -> None:
        self._made = dict(made)
        self._open: set[str] = set()
        self.key, self.title = key, title

    @property
    def block(self) -> Block:
        """The tabs, with their first view filled."""
        first = next(iter(self._made))
        self._open = {first}
        filled = {label: [self._view(label, label == first)] for label in self._made}
        return tabs(self.key, filled, self.title)

    def fill(self, panel: Panel, then: Mapping[str, Callable[[], object]] | None = None) -> Panel:
        """Let `panel`, which holds the block, fill the views that are opened; returns it.

        `then` is what is done once, after the view of that label was filled.
        """
        panel.does(self.key, lambda label: self._opened(panel, label, then or {}))
        return panel

    def _opened(self, panel: Panel, label: str, then: Mapping[str, Callable[[], object]]) -> None:
        if label in self._made and label not in self._open:
            panel.show(self._view(label, True))
            self._open.add(label)
            if label in then:
                then[label]()

    def _view(self, label: str, filled: bool) -> Block:
        return stack(f"{self.key}:{label}", self._made[label]() if filled else [])
