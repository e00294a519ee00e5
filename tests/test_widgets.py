"""What a page is given of a result: the panel, its picture, and what stands in without a kernel."""

from __future__ import annotations

import base64
import json
import re
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterator, Mapping
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from IPython.core.formatters import DisplayFormatter
from ipywidgets import Widget

import modelyard_widgets
from modelyard import progress
from modelyard.errors import UsageError
from modelyard.presentation import Result, Table
from modelyard_widgets import blocks
from modelyard_widgets.bars import notebook_tracker
from modelyard_widgets.charts import chart, evaluation_chart, study_chart
from modelyard_widgets.panel import Panel
from modelyard_widgets.showing import panel_mimebundle
from modelyard_widgets.views import Views

SVG = "{http://www.w3.org/2000/svg}"
HOSTILE = '</text><script>alert("1")</script><img src=x onerror=alert(2)>'
WIDGET_VIEW = "application/vnd.jupyter.widget-view+json"


def an_evaluation(metric: str = "roc_auc", **figures: float | None) -> dict[str, Any]:
    summary = {"mean": 0.9, "std": 0.02, "ci_low": 0.88, "ci_high": 0.92, **figures}
    return {"scores": {metric: [0.88, 0.9, None, 0.92]}, "summary": {metric: summary}}


def a_study(*values: float | None, metric: str = "roc_auc", direction: str = "maximize") -> dict[str, Any]:
    history = [{"number": number, "value": value} for number, value in enumerate(values)]
    return {"metric": metric, "direction": direction, "history": history}


class Shown(Result):
    """A result all of whose words are chosen by a test."""

    def __init__(self, kind: str, words: str, facts: Mapping[str, Any]) -> None:
        self.kind = kind  # type: ignore[misc]
        self.words = words
        self.facts = facts

    def sentence(self) -> str:
        return self.words

    def notes(self) -> tuple[str, ...]:
        return (self.words,)

    def table(self) -> Table:
        return Table((self.words,), ((self.words,),))

    def payload(self) -> dict[str, Any]:
        return dict(self.facts)


class Tags(HTMLParser):
    def __init__(self, markup: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.feed(markup)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))


@pytest.fixture(autouse=True)
def no_widget_stays() -> Iterator[None]:
    yield
    Widget.close_all()


def test_the_bundle_holds_the_panel_and_what_stands_in_for_it() -> None:
    bundle = panel_mimebundle(Shown("evaluation", "Four folds.", an_evaluation()))

    assert set(bundle) == {
        "text/plain",
        "text/html",
        WIDGET_VIEW,
        "application/vnd.modelyard.evaluation+json",
        "application/vnd.modelyard.panel+json",
    }
    assert bundle["application/vnd.modelyard.panel+json"] == {"title": "Evaluation"}
    assert bundle["text/plain"].startswith("Four folds.")
    [(_, image)] = [found for found in Tags(bundle["text/html"]).found if found[0] == "img"]
    assert "roc_auc from 0.88 to 0.92" in (image["alt"] or "")
    scheme, data = (image["src"] or "").split(",")
    assert scheme == "data:image/svg+xml;base64"
    assert ElementTree.fromstring(base64.b64decode(data)).tag == f"{SVG}svg"


def test_the_panel_is_given_blocks_and_the_notebook_the_payload() -> None:
    bundle = panel_mimebundle(Shown("study", "Three trials.", a_study(0.1, 0.3, 0.2)))

    state = _panel(bundle[WIDGET_VIEW]["model_id"]).get_state(["title", "blocks"])
    payload = bundle["application/vnd.modelyard.study+json"]
    assert json.loads(json.dumps(state)) == state
    assert state["title"] == "Study"
    assert state["blocks"][0]["text"] == "Three trials."
    assert payload["schema"] == 1
    assert payload["history"][1] == {"number": 1, "value": 0.3}
    [picture] = pictures(state["blocks"])
    assert picture["svg"].startswith("<svg")


def _panel(model_id: str) -> Panel:
    from ipywidgets.widgets.widget import _instances

    found = _instances[model_id]
    assert isinstance(found, Panel)
    return found


def pictures(shown: Any) -> list[dict[str, Any]]:
    """Every picture, however deep it is."""
    found = []
    for block in shown:
        found += [block] if block["type"] == "picture" else []
        found += pictures(block.get("blocks", ()))
        for tab in block.get("tabs", ()):
            found += pictures(tab["blocks"])
    return found


def test_the_module_of_the_page_is_one_that_imports_nothing(tmp_path: Path) -> None:
    page = tmp_path / "page.mjs"
    page.write_text(str(Panel._esm), encoding="utf-8")

    subprocess.run(["node", "--check", page], check=True, capture_output=True)
    assert not re.search(r"^import ", page.read_text(encoding="utf-8"), re.MULTILINE)
    tried = f"const page = await import('{page.as_uri()}'); console.log(typeof page.default.render)"
    told = subprocess.run(
        ["node", "--input-type=module", "-e", tried], check=True, capture_output=True, text=True
    )
    assert told.stdout == "function\n"


class Page:
    """What a panel sends to its page."""

    def __init__(self, panel: Panel) -> None:
        self.sent: list[Any] = []
        panel.send = lambda content, buffers=None: self.sent.append(content)  # type: ignore[method-assign]
        self.use = lambda key, value: panel._handle_custom_msg({"do": key, "value": value, "turn": 1}, [])


def test_what_is_shown_again_goes_alone_over_the_wire() -> None:
    inner = blocks.text("inner", "one")
    panel = Panel(
        "T", [blocks.sentence("Said."), blocks.tabs("tabs", {"A": [blocks.group("group", [inner])]})]
    )
    page = Page(panel)

    panel.show(blocks.text("inner", "two"), blocks.sentence("Said."))

    assert page.sent == [{"patch": [blocks.text("inner", "two")]}]
    assert panel.blocks[1]["tabs"][0]["blocks"][0]["blocks"] == [blocks.text("inner", "two")]


def test_a_control_calls_what_has_its_name_and_is_answered() -> None:
    used: list[Any] = []
    panel = Panel("T", [blocks.controls("c", blocks.button("go", "Go"))], {"go": used.append})
    page = Page(panel)

    page.use("go", True)
    page.use("unknown", 3)

    assert used == [True]
    assert page.sent == [{"done": 1}, {"done": 1}]


def test_what_is_refused_is_told_in_the_panel_in_one_line() -> None:
    def refuse(value: Any) -> None:
        raise UsageError(f"{value} cannot be; type 3")

    panel = Panel("T", [], {"set": refuse})
    page = Page(panel)

    page.use("set", 4)

    [patch, done] = page.sent
    assert patch["patch"][0] | {"key": ""} == blocks.told("", "4 cannot be; type 3", "error")
    assert done == {"done": 1}


def test_work_in_the_background_says_what_is_done_and_how_it_failed() -> None:
    def work() -> None:
        assert panel.busy == "Working"
        raise UsageError("it does not work")

    panel = Panel("T", [], {"go": lambda _: None})
    page = Page(panel)

    panel.background("Working", work).join(5)

    assert panel.busy == ""
    assert page.sent[-1]["patch"][0]["text"] == "it does not work"


def test_what_is_read_now_and_then_ends_when_it_says_so_and_when_the_panel_is_closed() -> None:
    counted: list[int] = []
    panel = Panel("T", [])

    def read() -> bool:
        counted.append(1)
        return len(counted) < 3

    panel.every(0.001, read).join(5)
    assert len(counted) == 3
    forever = panel.every(0.001, lambda: None)
    panel.close()
    forever.join(5)
    assert not forever.is_alive()


def test_a_result_without_a_picture_shows_without_one() -> None:
    bundle = panel_mimebundle(Shown("verification", "churn:1", {}))

    assert "<img" not in bundle["text/html"]
    assert pictures(_panel(bundle[WIDGET_VIEW]["model_id"]).blocks) == []


@pytest.mark.parametrize(
    ("kind", "facts"),
    [
        ("evaluation", an_evaluation(HOSTILE)),
        ("study", a_study(0.1, 0.2, metric=HOSTILE)),
        ("verification", {"tag": HOSTILE}),
    ],
)
def test_markup_is_text_in_every_place(kind: str, facts: dict[str, Any]) -> None:
    bundle = panel_mimebundle(Shown(kind, HOSTILE, facts))

    tags = Tags(bundle["text/html"]).found
    assert {tag for tag, _ in tags} <= {"p", "table", "thead", "tbody", "tr", "th", "td", "ul", "li", "img"}
    assert all(set(attributes) <= {"scope", "src", "alt"} for _, attributes in tags)
    for picture in pictures(_panel(bundle[WIDGET_VIEW]["model_id"]).blocks):
        drawn = {node.tag.removeprefix(SVG) for node in ElementTree.fromstring(picture["svg"]).iter()}
        assert drawn <= {"svg", "g", "path", "line", "rect", "text", "defs", "clipPath"}


@pytest.mark.parametrize(
    "picture",
    [
        evaluation_chart(an_evaluation()),
        evaluation_chart(an_evaluation(std=None, ci_low=None, ci_high=None)),
        evaluation_chart(
            {"scores": {"f1": [1.0]}, "summary": {"f1": dict.fromkeys(("mean", "ci_low", "ci_high"), 1.0)}}
        ),
        study_chart(a_study(0.1, 0.3, 0.2)),
        study_chart(a_study(None, 0.5)),
    ],
)
def test_a_picture_is_small_valid_svg_that_asks_for_nothing(picture: Any) -> None:
    root = ElementTree.fromstring(picture.svg)

    assert root.tag == f"{SVG}svg"
    assert float(root.attrib["width"]) <= 640
    assert root.attrib["color"]
    assert "currentColor" in picture.svg
    assert set(re.findall(r"https?://[^\s\"'<>]+", picture.svg)) <= {
        "http://www.w3.org/2000/svg",
        "http://www.w3.org/1999/xlink",
    }
    assert picture.alt.endswith(".")


@pytest.mark.parametrize(
    ("kind", "facts"),
    [
        ("evaluation", {"scores": {}, "summary": {}}),
        ("evaluation", {"scores": {"f1": [None, None]}, "summary": {"f1": {}}}),
        ("study", a_study()),
        ("study", a_study(None)),
        ("bundle", {}),
    ],
)
def test_nothing_to_draw_is_no_picture(kind: str, facts: dict[str, Any]) -> None:
    assert chart(kind, facts) is None


@pytest.mark.parametrize(("direction", "best"), [("maximize", "0.3"), ("minimize", "0.1")])
def test_the_line_of_a_study_follows_its_direction(direction: str, best: str) -> None:
    picture = study_chart(a_study(0.2, 0.3, 0.1, direction=direction))

    assert picture is not None
    assert picture.alt == f"roc_auc of 3 trials in their order, and the best so far, which ends at {best}."


def test_what_the_page_runs_names_no_address() -> None:
    folder = Path(modelyard_widgets.__file__).parent
    sources = [*folder.rglob("*.js"), *folder.glob("*.css")]

    assert {source.name for source in sources} >= {"panel.js", "dom.js", "panel.css"}
    for source in sources:
        text = source.read_text(encoding="utf-8")
        asks = r"https?:|url\(|//cdn" + (r"|@import" if source.suffix == ".css" else "")
        assert not re.search(asks, text), source
        assert "innerHTML" not in text, source


def test_an_ipython_formatter_shows_the_panel() -> None:
    display = DisplayFormatter()
    display.mimebundle_formatter.for_type(Result, panel_mimebundle)

    data, _ = display.format(Shown("evaluation", "Four folds.", an_evaluation()))

    assert {WIDGET_VIEW, "text/html", "text/plain"} <= set(data)
    assert data["text/plain"].startswith("Four folds.")


def test_a_bar_counts_tells_and_goes_away(capsys: pytest.CaptureFixture[str]) -> None:
    progress.install(notebook_tracker)
    try:
        with progress.track("tuning", 3, "trial") as tracker:
            tracker.advance()
            tracker.advance(2, note="best 0.93")
    finally:
        progress.install(None)

    shown = capsys.readouterr().err
    assert "tuning" in shown
    assert "0/3" in shown
    assert shown.rstrip(" ").endswith("\r")


def test_what_draws_is_warmed_up_once_and_beside_other_work() -> None:
    script = (
        "import sys\n"
        "from modelyard_widgets.warming import warm_up\n"
        "thread = warm_up()\n"
        "assert warm_up() is None\n"
        "thread.join()\n"
        "assert {'vl_convert', 'modelyard_widgets.showing'} <= set(sys.modules)\n"
    )

    subprocess.run([sys.executable, "-c", script], check=True)


def test_a_view_is_made_when_it_is_opened_and_once() -> None:
    made: list[str] = []

    def view(name: str) -> list[blocks.Block]:
        made.append(name)
        return [blocks.text(name, name)]

    views = Views({"A": lambda: view("a"), "B": lambda: view("b")})
    panel = views.fill(Panel("T", [views.block]), {"B": lambda: made.append("then")})
    page = Page(panel)
    assert made == ["a"]

    for label in ("B", "A", "B", "unknown"):
        page.use("views", label)

    assert made == ["a", "b", "then"]
    assert [each for each in page.sent if "patch" in each] == [
        {"patch": [blocks.stack("views:B", [blocks.text("b", "b")])]}
    ]


def test_importing_the_widgets_draws_nothing_in() -> None:
    script = "import sys, modelyard_widgets, modelyard_widgets.bars; print(*sys.modules)"

    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)

    assert not {"anywidget", "ipywidgets", "tqdm", "numpy", "pandas", "vl_convert"} & set(done.stdout.split())
