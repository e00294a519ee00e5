"""Whether those who cannot see or point can use what is in a page: asked of axe-core, in the page itself."""

from __future__ import annotations

from pathlib import Path

from playwright.sync_api import Page

_AXE = Path(__file__).resolve().parents[1] / "extension" / "node_modules" / "axe-core" / "axe.min.js"

_VIOLATIONS = """async selector => {
  const found = await axe.run(selector, { resultTypes: ['violations'] });
  return found.violations.flatMap(rule => rule.nodes.map(node =>
    `${rule.id} (${rule.impact}): ${rule.help}; ${node.target.flat().join(' ')}: ${node.html.slice(0, 160)}; ` +
    [...node.any, ...node.all, ...node.none].map(check => check.message).join('; ')));
}"""


def violations(page: Page, selector: str) -> list[str]:
    """Return what axe-core finds wrong in the part of a page that `selector` names, one line for each element.

    Raises
    ------
    LookupError
        Nothing there matches `selector`: a check of nothing finds nothing.
    FileNotFoundError
        axe-core is not installed; ``make extension`` brings it.
    """
    if not _AXE.is_file():
        raise FileNotFoundError(f"no axe-core in {_AXE.parent}; type: make extension")
    if page.locator(selector).count() == 0:
        raise LookupError(f"nothing in {page.url} matches {selector!r}")
    # evaluated, not added as a <script>: a page's content security policy forbids that
    if not page.evaluate("() => 'axe' in window"):
        page.evaluate(_AXE.read_text(encoding="utf-8"))
    found: list[str] = page.evaluate(_VIOLATIONS, selector)
    return found
