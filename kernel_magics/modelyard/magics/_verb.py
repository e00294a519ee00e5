"""What every magic does alike: parse, make the call, run it, return the result."""

from __future__ import annotations

import argparse
import json
import warnings
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from typing import Any, cast

from IPython.core.magic import Magics
from traitlets import Dict

import modelyard
from modelyard.catalog import find_root, project_settings
from modelyard.errors import PackagingWarning
from modelyard.magics._arguments import HelpShown, LineParser, as_call, evaluate, split_line
from modelyard.progress import hush


def has_page(shell: Any) -> bool:
    """Whether what `shell` shows is drawn by a page, and not by a terminal."""
    return type(shell).__name__ == "ZMQInteractiveShell"


class Text(str):
    """Text that a cell shows as it is."""

    __slots__ = ()

    def __repr__(self) -> str:
        return str(self)


@dataclass(frozen=True)
class Call:
    """The Python call that a line stands for.

    Attributes
    ----------
    verb : str
        The name of the function in `modelyard`.
    expressions : tuple of str
        Its positionals, in the words of the user's namespace.
    keywords : dict
        Its keyword arguments, as values.
    keyword_expressions : dict
        Keyword arguments that are expressions of the namespace.
    """

    verb: str
    expressions: tuple[str, ...] = ()
    keywords: dict[str, Any] = field(default_factory=dict)
    keyword_expressions: dict[str, str] = field(default_factory=dict)

    def run(self, namespace: Mapping[str, Any]) -> Any:
        values = [evaluate(expression, namespace) for expression in self.expressions]
        named = {key: evaluate(text, namespace) for key, text in self.keyword_expressions.items()}
        given = {key: value for key, value in self.keywords.items() if value is not None}
        return getattr(modelyard, self.verb)(*values, **given, **named)

    def nothing(self) -> str:
        """Return what is shown where there is no result to show."""
        return ""

    def code(self) -> Text:
        named = [f"{key}={text}" for key, text in self.keyword_expressions.items()]
        return Text(as_call(self.verb, [*self.expressions, *named], self.keywords))


def verb_parser(magic: str, summary: str, assigns: Sequence[str] = ("-o", "--out")) -> LineParser:
    """Return a parser with the flags that mean the same everywhere; `assigns` are those that name a variable."""
    parser = LineParser(magic, summary)
    parser.add_argument(*assigns, dest="out", metavar="NAME", help="also assign the result to this variable")
    parser.add_argument("--json", action="store_true", help="show the result as JSON")
    parser.add_argument("--quiet", action="store_true", help="no progress, and no result shown")
    parser.add_argument("--show-code", action="store_true", help="show the Python call instead of running it")
    parser.add_argument(
        "--interact",
        action="store_true",
        help="show a form of all this, with the notebook's variables offered",
    )
    return parser


def add_engine_flags(parser: LineParser, what: str) -> None:
    """Add the flags of what may leave this process: ``--engine`` and ``--track``."""
    parser.add_argument(
        "--engine", metavar="WHERE",
        help=f"where {what}: local (the default), local:N (processes), dask://host:port, ray://host:port, or dask and "
        "ray for workers on this machine",
    )  # fmt: skip
    parser.add_argument(
        "--track", metavar="WHERE", help="also tell a server: mlflow:URI, or mlflow for MLFLOW_TRACKING_URI"
    )


class VerbMagics(Magics):
    """Base of the magics; a subclass holds one magic and nothing else."""

    defaults = Dict(
        help="Defaults of the flags, by name without dashes: %config CvMagics.defaults = {'cv': 'loo'}"
    ).tag(config=True)

    def answer(self, parser: LineParser, line: str, verb: str, call: Any, body: str | None = None) -> Any:
        """Parse `line`, make the call with ``call(arguments)``, and return what the cell shows.

        Defaults come from ``[tool.modelyard.VERB]`` of the project, then from ``%config``, then from the flag. `body`
        is that of the cell, empty where it has none; ``None`` for a magic that takes none.
        """
        settings = project_settings(find_root(), verb) | dict(self.defaults)
        if parser.asks_for_form(line):
            return self._form(parser, line, settings, body)
        try:
            arguments = parser.parse_line(line, settings)
        except HelpShown as shown:
            return Text(shown)
        wanted: Call = call(arguments)
        return wanted.code() if arguments.show_code else self._ran(wanted, arguments)

    @property
    def namespace(self) -> dict[str, Any]:
        """The user's variables."""
        shell: Any = self.shell
        return cast("dict[str, Any]", shell.user_ns)

    def _form(self, parser: LineParser, line: str, settings: Mapping[str, Any], body: str | None) -> Any:
        """Return a form with what the line and the settings say filled in; without a page, what to type instead."""
        shell: Any = self.shell
        if not has_page(shell):
            return Text(
                f"a form needs a notebook; here type {parser.usage_line()}, or {parser.prog} -h for all of it"
            )
        from modelyard_widgets.form_panel import Form

        magic = parser.prog.removeprefix("%")

        def run(rest: str, cell: str | None) -> Any:
            if cell is None:
                return shell.run_line_magic(magic, rest)
            return shell.run_cell_magic(magic, rest, cell)

        form = Form(
            parser,
            self.namespace,
            split_line,
            run,
            filled=parser.filled(line, settings),
            aside=("out", "json", "quiet", "show_code"),
            left_out=("help", "interact"),
            hidden=shell.user_ns_hidden,
            body=body,
        )
        return form.shown()

    def _ran(self, call: Call, arguments: argparse.Namespace) -> Any:
        with warnings.catch_warnings(), hush() if arguments.quiet else nullcontext():
            warnings.simplefilter("ignore", PackagingWarning)  # a bundle says in its notes what it costs
            result = call.run(self.namespace)
        if arguments.out:
            self.namespace[arguments.out] = result
        if arguments.quiet:
            return None
        if result is None:
            return Text(call.nothing()) if call.nothing() and not arguments.json else None
        return Text(json.dumps(result.payload(), indent=1, ensure_ascii=False)) if arguments.json else result
