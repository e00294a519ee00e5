"""Progress of long work as tqdm draws it: a bar in a notebook, a line of text in a terminal."""

from __future__ import annotations

from typing import Any

from modelyard.progress import Tracker


class _Bar:
    def __init__(self, title: str, total: int | None, unit: str) -> None:
        # here and not above: it looks for a notebook as it is imported, and then brings in ipywidgets
        from IPython.display import display
        from tqdm.auto import tqdm

        layout = None if total else "{desc}: {elapsed}{postfix}"  # of what has no end, only the time is known
        drawn = any(each.__module__ == "tqdm.notebook" for each in tqdm.__mro__)
        how: dict[str, Any] = {"display": False} if drawn else {}
        bar: Any = tqdm(desc=title, total=total, unit=f" {unit}", leave=False, bar_format=layout, **how)
        self._bar, self._place = bar, display(bar.container, display_id=True) if drawn else None

    def advance(self, steps: int = 1, note: str = "") -> None:
        if note:
            self._bar.set_postfix_str(note, refresh=False)
        self._bar.update(steps)
        if steps == 0:  # only time went on, which tqdm would not draw by itself
            self._bar.refresh()

    def close(self) -> None:
        self._bar.close()
        whole = self._bar.n >= (self._bar.total or 0)  # else it stays, in red
        if self._place is not None and whole:  # a saved notebook would keep a widget that nobody has any more
            self._place.update({}, raw=True)


def notebook_tracker(title: str, total: int | None, unit: str) -> Tracker:
    """Open a bar that goes away when the work is done: the factory for `modelyard.progress.install`."""
    return _Bar(title, total, unit)
