"""What published apps call: one panel for somebody who only looks.

Nothing here acts on anything but the values of a what-if. Whatever goes wrong is one line in the page.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Any, ParamSpec

from modelyard.catalog import Yard
from modelyard.errors import BundleError, ModelyardError, UsageError
from modelyard.packaging import Bundle
from modelyard.packaging import bundle as find_bundle
from modelyard.targets import Deployment
from modelyard_widgets import blocks
from modelyard_widgets.bundle_blocks import columns, identity, overview, quality, weights
from modelyard_widgets.panel import Panel

_Given = ParamSpec("_Given")
_log = logging.getLogger("modelyard_widgets")


def _app(make: Callable[_Given, Panel]) -> Callable[_Given, Panel]:
    """Let an app say in one line what is wrong; its viewer and the server's log are told no more than that."""

    @wraps(make)
    def made(*args: _Given.args, **given: _Given.kwargs) -> Panel:
        try:
            _refuse_other_server()
            _take_away_what_viewers_need_not()
            return make(*args, **given)
        except ModelyardError as error:
            return _told(str(error))
        except Exception as error:  # noqa: BLE001  # its words may hold what no viewer should read
            _log.error("the app failed: %s", type(error).__name__)
            return _told("The app cannot be shown; whoever serves it finds out more by opening its notebook.")

    return made


def _told(words: str) -> Panel:
    return Panel("App", [blocks.told("said", words, "error")])


def _refuse_other_server() -> None:
    if "VOILA_REQUEST_URL" in os.environ and "MODELYARD_APP" not in os.environ:
        raise UsageError(
            "this app is served without its settings; start voila in the app's own folder, as its README says"
        )


def _take_away_what_viewers_need_not() -> None:
    """Leave the one kind of channel that a page opens, which reads the state of widgets; it makes none of its own."""
    if "VOILA_REQUEST_URL" not in os.environ:
        return  # a notebook, in which its author works
    import comm

    targets = comm.get_comm_manager().targets
    for name in [name for name in targets if name != "jupyter.widget.control"]:
        del targets[name]


def _bundle(tag: str, digest: str) -> Bundle:
    found = find_bundle(tag)
    if found.digest != digest:
        raise BundleError(f"bundle {tag} is another one than was published; publish it again")
    return found


def _deployment(name: str, root: str) -> Deployment:
    yard = Yard(Path(root).resolve())
    return Deployment.from_record(yard.root, yard.get("deployment", name))


@_app
def what_if(
    bundle: str | None = None, digest: str = "", deployment: str | None = None, root: str = "."
) -> Panel:
    """Return sliders made from a contract, with the answer of a bundle or of an endpoint."""
    from modelyard_widgets.what_if_panel import what_if_panel

    if deployment is not None:
        return what_if_panel(_deployment(deployment, root))
    return what_if_panel(_bundle(bundle or "", digest))


@_app
def report(bundle: str, digest: str) -> Panel:
    """Return what a bundle says of itself."""
    found = _bundle(bundle, digest)
    shown = [*overview(found), *quality(found), *weights(found), *columns(found), *identity(found)]
    return Panel(f"Report, {bundle}", [blocks.sentence(found.sentence()), *shown])


@_app
def monitor(deployment: str, root: str = ".") -> Panel:
    """Return an endpoint, live, without what stops or changes it."""
    from modelyard_widgets.endpoint_panel import watching_panel

    return watching_panel(_deployment(deployment, root))


__all__: list[Any] = ["monitor", "report", "what_if"]
