"""Panels in a page, as tests find them and look at them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from playwright.sync_api import Locator, Page

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
    all_looked_at(notebook, {picture: panel})


def all_looked_at(notebook: NotebookPage, panels: Mapping[str, Locator]) -> None:
    """Take a picture of each panel in each theme, by its name, that of the app and that of the theme; let axe look."""
    app = "notebook" if "/notebooks/" in notebook.page.url else "lab"
    SCREENSHOTS.mkdir(exist_ok=True)
    identify = "panel => panel.id ||= `panel-${Math.random().toString(36).slice(2)}`"
    ids = [panel.evaluate(identify) for panel in panels.values()]
    for theme in _themes_from(notebook):
        wear(notebook.page, theme)
        for picture, panel in panels.items():
            panel.screenshot(path=SCREENSHOTS / f"{picture}-{app}-{theme}.png")
        found = violations(notebook.page, ", ".join(f"#{each}" for each in ids))
        assert not found, found


def _themes_from(notebook: NotebookPage) -> list[str]:
    """Return the themes, that which is on first: to change it takes a second."""
    now = notebook.page.locator("body").get_attribute("data-jp-theme-name")
    return sorted(THEMES, key=lambda theme: THEMES[theme] != now)


def wear(page: Page, theme: str) -> None:
    """Have the page in one of the themes."""
    change = "theme => window.jupyterapp.commands.execute('apputils:change-theme', { theme })"
    page.evaluate(change, THEMES[theme])
    # JupyterLab's body counts as hidden
    page.locator(f"body[data-jp-theme-name='{THEMES[theme]}']").wait_for(state="attached")
    page.wait_for_function("() => !document.querySelector('#jupyterlab-splash')")
