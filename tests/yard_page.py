"""The Yard in a page, as tests find it, use it and look at it."""

from __future__ import annotations

from typing import Any

from playwright.sync_api import Locator, Page

from accessibility import violations
from panels import SCREENSHOTS


def run(page: Page, command: str, **args: Any) -> None:
    page.evaluate(
        "([command, args]) => void window.jupyterapp.commands.execute(command, args)", [command, args]
    )


def look(page: Page, name: str, selector: str, theme: str) -> None:
    """Take a picture, and ask whether everybody can use what is in it."""
    page.mouse.move(640, 890)
    SCREENSHOTS.mkdir(exist_ok=True)
    page.screenshot(path=SCREENSHOTS / f"{name}-{theme}.png")
    assert violations(page, selector) == []


def yard_of(page: Page) -> Locator:
    run(page, "modelyard:show-yard")
    return page.get_by_role("region", name="Yard", exact=True)


def item(yard: Locator, name: str) -> Locator:
    return yard.locator("li", has=yard.page.get_by_role("button", name=name, exact=True))


def view(page: Page, name: str) -> Locator:
    return page.get_by_role("region", name=name, exact=True)


def notification(page: Page, text: str) -> Locator:
    return page.locator(".Toastify__toast", has_text=text).first
