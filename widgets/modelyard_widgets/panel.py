"""A panel: blocks in the page, and named callbacks for what its reader does there."""

from __future__ import annotations

import contextvars
import re
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import anywidget
import traitlets

from modelyard.errors import ModelyardError
from modelyard_widgets.blocks import Block, Tone, replaced, told

Act = Callable[[Any], None]

_HERE = Path(__file__).parent
#: In the order in which each may use those before it.
_MODULES = ("dom", "picture", "table", "bars", "words", "controls", "layout", "panel")
_BETWEEN_MODULES = re.compile(r"^import .* from \"\./.*\";\n|^export (?!default)", re.MULTILINE)
_TOLD = "told"


def _page() -> str:
    """Return the modules of the page as the one that anywidget takes: a page has no path to ask others from."""
    parts = [(_HERE / "page" / f"{name}.js").read_text(encoding="utf-8") for name in _MODULES]
    return "\n".join(_BETWEEN_MODULES.sub("", part) for part in parts)


class Panel(anywidget.AnyWidget):
    """Blocks that a page draws (`modelyard_widgets.blocks`); assigning others, or `show`, draws them again.

    Parameters
    ----------
    title : str
        What a screen reader calls it.
    blocks : sequence of Block
    does : mapping of str to callable
        What is called with the value when somebody uses the control of that key. A `ModelyardError` is told in the
        panel.

    Attributes
    ----------
    title, blocks
    busy : str
        What is being done, in words; while it says something, only controls with ``always`` can be used.
    """

    _esm = _page()
    _css = (_HERE / "panel.css").read_text(encoding="utf-8")

    title = traitlets.Unicode("Result").tag(sync=True)
    blocks: traitlets.List[Block] = traitlets.List().tag(sync=True)
    busy = traitlets.Unicode("").tag(sync=True)

    def __init__(self, title: str, blocks: Sequence[Block], does: Mapping[str, Act] | None = None) -> None:
        self._does: dict[str, Act] = dict(does or {})
        self._patching = self._patched = False
        self._changing = threading.RLock()
        self._over = threading.Event()
        super().__init__(title=title, blocks=[*blocks, told(_TOLD)])
        self.on_msg(self._heard)

    def does(self, key: str, act: Act) -> None:
        """Call `act` with the value when somebody uses the control `key`."""
        self._does[key] = act

    def show(self, *fresh: Block) -> None:
        """Put each block in the place of the one that has its key; only those that differ go over the wire."""
        with self._changing:
            there = {block["key"]: block for block in _all(self.blocks)}
            changed = {block["key"]: block for block in fresh if there.get(block["key"]) != block}
            if not changed:
                return
            self._patched = True
            with self._quietly():
                self.blocks = replaced(self.blocks, changed)
            self.send({"patch": list(changed.values())})

    def tell(self, words: str, tone: Tone = "good") -> None:
        """Say a line below everything else; nothing takes the last one away."""
        self.show(told(_TOLD, words, tone))

    def background(self, doing: str, work: Callable[[], None]) -> threading.Thread:
        """Do `work` in a thread, so that the kernel stays free; the panel says `doing` meanwhile."""
        self.busy = doing
        self.tell("")

        def run() -> None:
            try:
                with self._telling():
                    work()
            finally:
                self.busy = ""

        return self._thread(run)

    def every(self, seconds: float, read: Callable[[], bool | None]) -> threading.Thread:
        """Call `read` now and then until it returns False, the panel is closed, or the kernel ends."""

        def run() -> None:
            while not self._over.is_set():
                with self._telling():
                    if read() is False:
                        return
                self._over.wait(seconds)

        return self._thread(run)

    def close(self) -> None:
        self._over.set()
        super().close()

    def _thread(self, run: Callable[[], None]) -> threading.Thread:
        # in a copy of the context: what is printed or displayed belongs to this cell
        thread = threading.Thread(target=contextvars.copy_context().run, args=(run,), daemon=True)
        thread.start()
        return thread

    @contextmanager
    def _telling(self) -> Iterator[None]:
        try:
            yield
        except ModelyardError as error:
            self.tell(str(error), "error")
        except Exception as error:  # a thread, or a message: nobody else would tell
            self.tell(f"{type(error).__name__}: {error}; the kernel's log has the traceback", "error")
            raise

    @contextmanager
    def _quietly(self) -> Iterator[None]:
        self._patching = True
        try:
            yield
        finally:
            self._patching = False

    def _should_send_property(self, key: str, value: Any) -> bool:
        return not (self._patching and key == "blocks") and bool(super()._should_send_property(key, value))

    def _heard(self, _: Any, content: Any, buffers: Any) -> None:
        if content.get("here"):  # a page that comes now has missed what was shown since the panel was made
            if self._patched:
                self.send({"patch": list(self.blocks)})
            return
        try:
            if (act := self._does.get(content.get("do"))) is not None:
                with self._telling():
                    act(content.get("value"))
        finally:
            self.send({"done": content.get("turn")})


def _all(blocks: Sequence[Block]) -> Iterator[Block]:
    for block in blocks:
        yield block
        yield from _all(block.get("blocks", ()))
        for tab in block.get("tabs", ()):
            yield from _all(tab["blocks"])
