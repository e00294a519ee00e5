"""The form of a magic: its flags as fields, the line that they type, and what comes of it."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Collection, Mapping
from functools import partial
from typing import Any

from IPython.display import display
from ipywidgets import Output, VBox

from modelyard.errors import ModelyardError
from modelyard_widgets.blocks import Block, button, code, controls, details, sentence
from modelyard_widgets.form_fields import EXPRESSIONS, OTHER, Field, Split, fields_of
from modelyard_widgets.panel import Panel

Run = Callable[[str, str | None], Any]

_BODY = "body"
_FEW_FLAGS = 12


class Form:
    """Fields made from the parser of a magic, filled in by a reader.

    Parameters
    ----------
    parser : argparse.ArgumentParser
        Its ``prog`` is the magic, as ``%cv``.
    namespace : mapping
        The user's variables; those that suit are offered, but for those `hidden`.
    split : callable
        How the magic splits its line into words.
    run : callable
        Runs the rest of the line after the magic's name, and the cell's body if there is one; returns the result.
    filled : mapping
        What is filled in already, by the parser's own names.
    aside : collection of str
        Arguments that mean the same in every magic: they stand apart.
    left_out : collection of str
        Arguments that make no sense in a form.
    body : str or None
        The body of the cell; ``None`` for a magic that takes none.
    """

    def __init__(
        self,
        parser: argparse.ArgumentParser,
        namespace: Mapping[str, Any],
        split: Split,
        run: Run,
        *,
        filled: Mapping[str, Any],
        aside: Collection[str] = (),
        left_out: Collection[str] = (),
        hidden: Collection[str] = (),
        body: str | None = None,
    ) -> None:
        self._parser, self._namespace, self._split, self._run = parser, namespace, split, run
        self._aside, self._hidden, self._body = aside, hidden, body
        self._fields = {each.key: each for each in fields_of(parser, filled, left_out)}
        for field in self._fields.values():
            if field.key in EXPRESSIONS:
                self._choose(field)
        self.output = Output()
        self.panel = Panel(f"Form of {parser.prog}", self._blocks())
        for key in [*self._fields, *(f"{key}{OTHER}" for key in self._fields), _BODY]:
            self.panel.does(key, partial(self._said, key))
        self.panel.does("run", lambda _: self._ran())

    @property
    def line(self) -> str:
        """What the form types: a line, or a cell where it has a body."""
        # what is general is listed first by the parser, and typed last by people
        ordered = sorted(
            self._fields.values(), key=lambda each: (not each.is_positional, each.key in self._aside)
        )
        rest = " ".join(word for field in ordered for word in field.words(self._split))
        if self._body and self._body.strip():
            return f"%{self._parser.prog} {rest}\n{self._body.strip()}"
        return f"{self._parser.prog} {rest}".rstrip()

    def shown(self) -> VBox:
        """Return the panel with the place of the results below it."""
        return VBox([self.panel, self.output])

    def _blocks(self) -> list[Block]:
        said = self._parser.description or self._parser.prog
        own = [f for f in self._fields.values() if not f.is_positional and f.key not in self._aside]
        apart = [f for f in self._fields.values() if f.key in self._aside]
        body: list[Block] = []
        if self._body is not None:
            area = {"key": _BODY, "type": "area", "label": "Search space", "value": self._body}
            body = [controls("form-body", {**area, "help": "one parameter a line: max_depth: int 2..20"})]
        return [
            sentence(said.partition(":")[0]),
            self._positionals(),
            *body,
            details("form-flags", "Options", [self._controls("flags", own)], is_open=len(own) <= _FEW_FLAGS),
            details("form-aside", "Output", [self._controls("aside", apart)]),
            self._typed(),
            controls("form-run", button("run", "Run", "primary")),
        ]

    def _positionals(self) -> Block:
        return self._controls("positionals", [f for f in self._fields.values() if f.is_positional])

    def _controls(self, key: str, fields: list[Field]) -> Block:
        shown = [each for field in fields for each in field.controls(self._suiting(field))]
        return controls(f"form-{key}", *shown)

    def _typed(self) -> Block:
        return code("form-line", self.line, label="What this form types")

    def _said(self, key: str, value: Any) -> None:
        if key == _BODY:
            self._body = str(value)
        elif key.endswith(OTHER):
            self._fields[key.removesuffix(OTHER)].other = str(value)
        else:
            self._fields[key].value = "" if value is None else value
            if key == "X" and "y" in self._fields:
                self._choose(self._fields["y"])  # what was chosen may have another length
        self.panel.show(self._positionals(), self._typed())

    def _ran(self) -> None:
        self.panel.tell("")
        self.panel.busy = f"Running {self.line.partition(chr(10))[0]}"
        self.output.clear_output()
        head, _, body = self.line.partition("\n")
        refused: ModelyardError | None = None
        try:
            with self.output:  # which shows the traceback of what is no refusal, and goes on
                try:
                    result = self._run(head.partition(" ")[2], body or None)
                except ModelyardError as error:
                    refused = error
                else:
                    if result is not None:
                        display(result)
        finally:
            self.panel.busy = ""
        if refused is not None:
            raise refused

    def _suiting(self, field: Field) -> list[str]:
        """Return the variables that a positional may mean; of any other name, all of them."""
        visible = {
            name: value
            for name, value in self._namespace.items()
            if not name.startswith("_") and name not in self._hidden
        }
        if field.key == "model":
            return [name for name, value in visible.items() if _predicts(value)]
        if field.key == "X":
            return [name for name, value in visible.items() if len(_shape(value)) == 2]
        if field.key == "y":
            rows = _shape(self._namespace.get(self._fields["X"].value))[:1]
            return [name for name, value in visible.items() if _is_target(value, rows)]
        return [name for name, value in visible.items() if not callable(value)]

    def _choose(self, field: Field) -> None:
        """Let a positional mean a variable that suits, where it does not say another expression."""
        suiting = self._suiting(field)
        if field.value in suiting or field.value == OTHER:
            return
        if field.value and field.value not in self._namespace:
            field.value, field.other = OTHER, str(field.value)
        else:
            usual = field.key if field.key in suiting else (suiting[0] if suiting else OTHER)
            field.value = "" if field.action.nargs == "?" and field.key not in suiting else usual


def _predicts(value: Any) -> bool:
    return not isinstance(value, type) and hasattr(type(value), "predict")


def _shape(value: Any) -> tuple[int, ...]:
    if isinstance(value, list):
        return (len(value),)
    found = getattr(value, "shape", ()) if hasattr(type(value), "shape") else ()
    return found if isinstance(found, tuple) else ()


def _is_target(value: Any, rows: tuple[int, ...]) -> bool:
    shape = _shape(value)
    return len(shape) == 1 and (not rows or shape == rows)
