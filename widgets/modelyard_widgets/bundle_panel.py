"""A bundle: what it says of itself, what it would answer, and where it could go."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from modelyard.packaging import Bundle
from modelyard_widgets import blocks
from modelyard_widgets.bundle_blocks import columns, identity, overview, quality, weights
from modelyard_widgets.deploy_panel import Deploying
from modelyard_widgets.panel import Panel
from modelyard_widgets.showing import Showing
from modelyard_widgets.what_if_panel import opened_later, what_if

_OVERVIEW, _WHAT_IF, _DEPLOY = "Overview", "What if", "Deploy"


def bundle_panel(shown: Showing) -> Panel:
    """Return the panel of a bundle; its model is loaded when the what-if is opened, and not before."""
    bundle = shown.result
    assert isinstance(bundle, Bundle)
    deploying = Deploying(bundle)
    waits = "The model is loaded when this is opened."
    views = {
        _OVERVIEW: [
            *overview(bundle),
            *quality(bundle),
            *weights(bundle),
            *columns(bundle),
            *identity(bundle),
        ],
        _WHAT_IF: [blocks.stack("what-if", [blocks.text("what-if-waits", waits)])],
        _DEPLOY: [
            blocks.stack("deploying", [blocks.text("deploying-waits", "Nothing is deployed by looking.")])
        ],
    }
    panel = Panel(
        f"Bundle {bundle.tag}",
        [blocks.sentence(shown.payload["sentence"]), blocks.tabs("views", views)],
    )
    opens: dict[str, Callable[[], None]] = {
        _WHAT_IF: opened_later(panel, "what-if", lambda: what_if(bundle)),
        _DEPLOY: deploying.opened_later(panel, "deploying"),
    }

    def look(label: Any) -> None:
        if (open_it := opens.get(label)) is not None:
            open_it()

    panel.does("views", look)
    return panel
