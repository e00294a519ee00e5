"""Panels in a page, as tests find them and look at them."""

from __future__ import annotations

from pathlib import Path

from playwright.sync_api import Locator

from accessibility import violations
from browser import NotebookPage

SCREENSHOTS = Path(__file__).parent / "screenshots"
THEMES = {"light": "JupyterLab Light", "dark": "JupyterLab Dark"}


def panel_of(notebook: NotebookPage, name: str) -> Locator:
    panel = notebook.page.get_by_role("region", name=name, exact=True)
    panel.scroll_into_view_if_needed()
    return panel


def looked_at(notebook: NotebookPage, panel: Locator, picture: str) -> None:
    """Take a picture of a panel in each theme, and let axe look at it there."""
    for theme, wanted in THEMES.items():
        notebook.page.evaluate(
            "theme => window.jupyterapp.commands.execute('apputils:change-theme', { theme })", wanted
        )
        notebook.page.locator(f"body[data-jp-theme-name='{wanted}']").wait_for(state="attached")
        notebook.page.wait_for_function("() => !document.querySelector('#jupyterlab-splash')")
        SCREENSHOTS.mkdir(exist_ok=True)
        panel.screenshot(path=SCREENSHOTS / f"{picture}-{theme}.png")
        panel.evaluate("panel => panel.id ||= `panel-${Math.random().toString(36).slice(2)}`")
        found = violations(notebook.page, f"#{panel.get_attribute('id')}")
        assert not found, found
