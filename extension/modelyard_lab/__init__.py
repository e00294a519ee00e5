"""The Jupyter server's side of modelyard: it lists, proxies and supervises, and never loads a model."""

from __future__ import annotations

from typing import Any


def _jupyter_labextension_paths() -> list[dict[str, str]]:
    return [{"src": "labextension", "dest": "modelyard-lab"}]


def _jupyter_server_extension_points() -> list[dict[str, str]]:
    return [{"module": "modelyard_lab"}]


def _load_jupyter_server_extension(server_app: Any) -> None:
    # here and not above: JupyterLab imports this package only to ask where its labextension is
    from modelyard_lab.serving import serve

    serve(server_app)
