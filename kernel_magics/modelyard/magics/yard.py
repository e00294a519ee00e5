"""``%yard``: what exists in this project."""

from __future__ import annotations

from typing import Any

from IPython.core.magic import line_magic, magics_class, no_var_expand, output_can_be_silenced

from modelyard.magics._verb import Call, VerbMagics, verb_parser


@magics_class
class YardMagics(VerbMagics):
    """Holds ``%yard``."""

    @no_var_expand
    @output_can_be_silenced
    @line_magic
    def yard(self, line: str) -> Any:
        """Show evaluations, studies, compressions, bundles, and deployments with their health."""
        parser = verb_parser("%yard", "Show what exists in this project, and how each deployment does")
        return self.answer(parser, line, "yard", lambda _: Call("yard"))
