"""An app is written: from templates, what it reads by name and digest, its token by reference."""

from __future__ import annotations

import re
from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path
from typing import Any

from modelyard.errors import NameTakenError, UnknownNameError, UsageError, did_you_mean, listing
from modelyard.packaging import Bundle
from modelyard.packaging import bundle as find_bundle
from modelyard.publishing.app import App
from modelyard.targets import Deployment
from modelyard.targets import deployment as find_deployment
from modelyard_templates import render

#: What can be published, and what it reads when it is given a name that both a bundle and a deployment have.
APPS = {"what-if": "bundle", "report": "bundle", "monitor": "deployment"}

_TOKEN = re.compile(r"env:[A-Za-z_][A-Za-z0-9_]*")
_MADE_HERE = "# made by modelyard.publish"
_RENDERED = ("app.ipynb", "voila.py", "README.md")
_PAGE = ("conf.json", "index.html.j2")
_PAGE_FOLDER = "page/voila/templates/modelyard"


def publish(
    source: Bundle | Deployment | str,
    as_: str = "what-if",
    to: str | Path | None = None,
    token: str = "env:MODELYARD_APP_TOKEN",
) -> App:
    """Write an app for those who only look, and say how to serve it.

    Parameters
    ----------
    source : Bundle, Deployment or str
        What it reads; a name stands for the deployment where `as_` is ``monitor``, else for the bundle (``churn``,
        ``churn:3``), or the deployment where there is no such bundle.
    as_ : {"what-if", "report", "monitor"}
        Sliders made from the contract with the answer to them; what the bundle knows of its quality; the endpoint,
        live.
    to : path, optional
        The folder to write; ``churn-what-if`` by default. An app that stands there is replaced.
    token : str
        Where the token that a viewer needs comes from when the app is served, as ``env:NAME``; it is never written.

    Returns
    -------
    App
        With the command that serves it.

    Raises
    ------
    UsageError
        There is no such app, it cannot be made of `source`, or `token` is no reference.
    UnknownNameError
        There is no bundle or deployment of that name.
    BundleError
        The bundle is gone, or was changed after packaging.
    NameTakenError
        The folder holds something else.
    """
    if as_ not in APPS:
        raise UsageError(f"no app {as_!r}; there are: {listing(APPS)}{did_you_mean(as_, APPS)}")
    if not _TOKEN.fullmatch(token):
        raise UsageError("a token is given by reference, as env:NAME, so that it stands in no file")
    found = _found(source, as_)
    if isinstance(found, Bundle):
        found.check()
    folder = Path(to) if to is not None else Path(f"{found.name}-{as_}")
    folder = folder.expanduser().absolute()
    _refuse_other_folder(folder)
    written = _write(folder, found, as_, token)
    return App(folder.name, as_, _told(found), folder, written, token)


def _found(source: Bundle | Deployment | str, app: str) -> Bundle | Deployment:
    if isinstance(source, str):
        if APPS[app] == "deployment":
            return find_deployment(source)
        try:
            return find_bundle(source)
        except UnknownNameError:
            if app == "report":
                raise
            return _deployment_or(source)
    if not isinstance(source, Bundle | Deployment):
        raise UsageError(
            f"publish takes a bundle, a deployment or a name, found {type(source).__name__}; type: %publish churn"
        )
    if app == "monitor" and isinstance(source, Bundle):
        raise UsageError(f"a monitor watches an endpoint; deploy {source.tag} first: %deploy {source.tag}")
    if app == "report" and isinstance(source, Deployment):
        return find_bundle(source.bundle)
    return source


def _deployment_or(name: str) -> Deployment:
    try:
        return find_deployment(name)
    except UnknownNameError:
        raise UnknownNameError(
            f"neither a bundle nor a deployment is named {name!r}; %yard shows what there is"
        ) from None


def _told(found: Bundle | Deployment) -> str:
    return f"bundle {found.tag}" if isinstance(found, Bundle) else f"deployment {found.name!r}"


def _refuse_other_folder(folder: Path) -> None:
    if not folder.exists():
        return
    config = folder / "voila.py"
    ours = config.is_file() and config.read_text(encoding="utf-8").startswith(_MADE_HERE)
    if not folder.is_dir() or (not ours and any(folder.iterdir())):
        raise NameTakenError(f"{folder} is there and no app; choose another folder: --to FOLDER")


def _write(folder: Path, found: Bundle | Deployment, app: str, token: str) -> tuple[str, ...]:
    values = {
        "made_here": _MADE_HERE,
        "name": folder.name,
        "app": app,
        "of": _told(found),
        "title": _title(found, app),
        "call": _call(found, app, folder),
        "variable": token.removeprefix("env:"),
    }
    contents = {name: render(f"voila/{name}.j2", **values) for name in _RENDERED}
    for name in _PAGE:  # these are templates of Voila, which fills them in for each viewer
        source = files("modelyard_templates") / "voila" / "page" / name
        contents[f"{_PAGE_FOLDER}/{name}"] = source.read_text(encoding="utf-8")
    for name, content in contents.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        beside = path.with_name(f".{path.name}.part")
        beside.write_text(content, encoding="utf-8")
        beside.replace(path)
    return tuple(contents)


def _title(found: Bundle | Deployment, app: str) -> str:
    what = found.tag if isinstance(found, Bundle) else found.name
    return {"what-if": f"{what}: what if?", "report": f"{what}: report", "monitor": f"{what}: live"}[app]


def _call(found: Bundle | Deployment, app: str, folder: Path) -> str:
    function = app.replace("-", "_")
    arguments: Mapping[str, Any]
    if isinstance(found, Bundle):
        arguments = {"bundle": found.tag, "digest": found.digest}
    else:
        arguments = {"deployment": found.name, "root": _seen_from(folder, found.root)}
    given = ", ".join(f"{name}={value!r}" for name, value in arguments.items())
    return f"from modelyard_widgets import apps\n\napps.{function}({given})"


def _seen_from(folder: Path, root: Path) -> str:
    """Return the project's folder: from the app's own, where the app is in the project and may move with it."""
    if root in folder.parents:
        return "/".join([".."] * (len(folder.relative_to(root).parts)))
    return str(root)
