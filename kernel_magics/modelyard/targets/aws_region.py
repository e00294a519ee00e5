"""The region of a deployment: the one that was wanted, or the default of then, which stays."""

from __future__ import annotations

from pathlib import Path

from modelyard.errors import UsageError
from modelyard.targets.aws_calls import default_region
from modelyard.targets.journal import Journal
from modelyard.targets.protocol import STATE_KEPT, State

_REGION = "region"


class Regional:
    """What is in one region of AWS."""

    region: str | None

    def settle_region(self, kept: Path) -> str | None:
        """Return the region of a deployment, and note it before anything is made there: the default may be another one
        when that is taken back.

        Raises
        ------
        UsageError
            Something is in another region already.
        """
        file = kept / _REGION
        noted = file.read_text(encoding="utf-8") if file.exists() and Journal(kept).made else None
        found = self.in_region_of(noted) or default_region()
        if found is not None and found != noted:
            file.write_text(found, encoding="utf-8")
        return found

    def in_region_of(self, there: str | None) -> str | None:
        """Return the region where something is, or else the one that is wanted.

        Raises
        ------
        UsageError
            They are two.
        """
        if there is not None and self.region not in (None, there):
            raise UsageError(
                f"it is in {there} and stays there; for {self.region} choose another --name, or --undo it first"
            )
        return there or self.region


def noted_region(state: State) -> str | None:
    """Return where the calls of a deployment were begun, by what was noted before the first one."""
    file = Path(state["folder"], STATE_KEPT, _REGION) if "folder" in state else None
    return file.read_text(encoding="utf-8") if file is not None and file.exists() else None
