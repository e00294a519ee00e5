"""The verb: what is explained, which rows, what is refused in one line, and what a page is shown."""

from __future__ import annotations

import html
import json
import re
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from IPython.core.completer import CompletionContext
from IPython.core.interactiveshell import InteractiveShell
from ipywidgets import Widget
from numpy.typing import NDArray
from sklearn.cluster import KMeans
from sklearn.datasets import load_breast_cancer, load_iris
from sklearn.ensemble import RandomForestClassifier, VotingClassifier
from sklearn.impute import SimpleImputer
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC
from sklearn.tree import DecisionTreeClassifier

import modelyard
from modelyard import progress
from modelyard.errors import (
    InterruptedRunError,
    InvalidInputError,
    NotFittedError,
    UnknownNameError,
    UsageError,
)
from modelyard.explanation import explanations
from modelyard.explanation.attribution import Attribution
from modelyard.magics.explain import EXPRESSIONS, METHODS, OPTIONS, explain_parser
from modelyard_widgets.charts import chart, further_charts
from modelyard_widgets.showing import panel_mimebundle
from people import FRAME, TARGET, pipeline

SVG = "{http://www.w3.org/2000/svg}"
X, Y = load_breast_cancer(return_X_y=True, as_frame=True)
MODEL = RandomForestClassifier(10, max_depth=4, random_state=0).fit(X, Y)


@pytest.fixture(autouse=True)
def no_widget_stays() -> Iterator[None]:
    yield
    Widget.close_all()
    progress.install(None)


@pytest.fixture(scope="module")
def cancer() -> Attribution:
    return attributed(MODEL, X)


def attributed(*what: Any, **how: Any) -> Attribution:
    found = modelyard.explain(*what, **how)
    assert isinstance(found, Attribution)
    return found


def payload(result: Attribution) -> dict[str, Any]:
    found: dict[str, Any] = result._repr_mimebundle_()["application/vnd.modelyard.attribution+json"]
    return found


def test_rows_and_background_are_drawn_within_bounds_and_said_to_be(cancer: Attribution) -> None:
    assert len(cancer.data) == 200
    assert any("200 of 569 rows, drawn by the seed" in note for note in cancer.notes())
    assert any("background: 100 of 569 rows" in note for note in cancer.notes())
    pd.testing.assert_frame_equal(cancer.data, X.iloc[cancer.rows])


@pytest.mark.parametrize(
    ("rows", "places"),
    [
        ("0,3,17", [0, 3, 17]),
        ("0:3", [0, 1, 2]),
        ("-1", [568]),
        (4, [4]),
        ([2, 1], [2, 1]),
        (slice(0, 6, 3), [0, 3]),
        (np.arange(569) == 7, [7]),
    ],
)
def test_rows_are_positions_however_they_are_given(rows: Any, places: list[int]) -> None:
    found = attributed(MODEL, X, rows=rows, background=5)
    assert found.rows.tolist() == places


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ([569], "row 569 is beyond X, which has the rows 0 to 568"),
        ("0,-570", "row -570 is beyond X"),
        ("first", "rows are positions in X, found 'first'"),
        ([0.5], "rows are positions in X"),
        ([], "is no row"),
        ("3:3", "is no row"),
        ("0:9:0", "step of 0"),
    ],
)
def test_rows_that_are_not_there_are_refused_in_one_line(rows: Any, said: str) -> None:
    with pytest.raises(UsageError, match=re.escape(said)) as refused:
        modelyard.explain(MODEL, X, rows=rows)
    assert "\n" not in str(refused.value)


def test_a_background_of_one_row_works_and_is_remarked_on() -> None:
    found = attributed(MODEL, X, rows=[0], background=X.iloc[[9]])
    assert any("the background is one row" in note for note in found.notes())
    np.testing.assert_allclose(found.base_values, MODEL.predict_proba(X.iloc[[9]])[0])
    np.testing.assert_allclose(found.answers, MODEL.predict_proba(X.iloc[[0]]))


@pytest.mark.parametrize(
    ("background", "error", "said"),
    [
        (0, UsageError, "a background has 1 to 10,000 rows, found 0"),
        ("all", UsageError, "a background is a table or a number of rows, found 'all'"),
        (X.drop(columns="mean area"), InvalidInputError, "the background lacks 'mean area'"),
        (X.iloc[:0], InvalidInputError, "the background has no rows"),
        (np.zeros((3, 2)), InvalidInputError, "the background has the shape (3, 2)"),
    ],
)
def test_a_background_that_cannot_be_used_is_refused(background: Any, error: Any, said: str) -> None:
    with pytest.raises(error, match=re.escape(said)):
        modelyard.explain(MODEL, X, background=background)


def test_a_column_that_is_all_null_counts_nothing() -> None:
    empty = X.assign(nothing=np.nan)
    model = make_pipeline(SimpleImputer(), StandardScaler(), RandomForestClassifier(5, random_state=0))
    found = attributed(model.fit(empty, Y), empty, rows=[0, 1])
    assert found.importance["nothing"] == 0
    assert len(found.importance) == 31


def test_an_unknown_method_is_named_with_the_nearest() -> None:
    with pytest.raises(UnknownNameError, match=r"no way to explain named 'shapp'.*did you mean 'shap'"):
        modelyard.explain(MODEL, X, method="shapp")


def test_an_unknown_option_names_those_that_the_method_has() -> None:
    with pytest.raises(UsageError, match=r"no option 'explaner'; it has: explainer, shuffles.*'explainer'"):
        modelyard.explain(MODEL, X, explaner="tree")


def test_an_explainer_that_does_not_fit_the_model_says_why() -> None:
    with pytest.raises(InvalidInputError, match=r"no linear explainer: .*; type explainer='permutation'"):
        modelyard.explain(MODEL, X, rows=[0], explainer="linear")


def test_columns_that_the_model_was_fitted_on_must_be_there_and_others_are_left_out() -> None:
    with pytest.raises(InvalidInputError, match="X lacks 'mean area', which the model was fitted on"):
        modelyard.explain(MODEL, X.drop(columns="mean area"))
    found = attributed(MODEL, X.assign(more=1)[["more", *X.columns[::-1]]], rows=[0], background=5)
    assert found.columns == tuple(X.columns)
    assert any("left out" in note and "'more'" in note for note in found.notes())


class Named:
    """Answers and nothing else, as an endpoint does."""

    name = "far-away"
    columns = tuple(X.columns)
    classes = ("0", "1")
    asked = 0

    def predict(self, rows: pd.DataFrame) -> NDArray[Any]:
        return MODEL.predict(rows).astype(str)

    def predict_proba(self, rows: pd.DataFrame) -> NDArray[Any]:
        self.asked += len(rows)
        return np.asarray(MODEL.predict_proba(rows))


def test_what_only_answers_is_explained_by_asking_it_a_bounded_number_of_times() -> None:
    endpoint = Named()
    found = attributed(endpoint, X)
    assert "permutation" in found.explainer
    assert "far-away only answers" in found.explainer
    assert endpoint.asked <= 200_000 + len(X)
    assert any("to bound the time" in note for note in found.notes())
    np.testing.assert_allclose(found.answers, MODEL.predict_proba(found.data), atol=1e-9)


@pytest.mark.thorough
def test_a_bundle_and_its_endpoint_give_the_values_of_the_estimator_in_it() -> None:
    model = pipeline().fit(FRAME, TARGET)
    bundle = modelyard.package(model, FRAME, TARGET, name="buyers")
    how: dict[str, Any] = {"rows": [0, 3, 17], "background": FRAME.iloc[:12], "shuffles": 3}
    from_bundle = attributed(bundle, FRAME, **how)
    from_estimator = attributed(model, FRAME, explainer="permutation", **how)
    assert from_bundle.outputs == from_estimator.outputs
    np.testing.assert_allclose(from_bundle.values, from_estimator.values, atol=1e-6)
    with_endpoint = modelyard.deploy(bundle, to="local")
    try:
        from_endpoint = attributed(with_endpoint, FRAME, **how)
    finally:
        with_endpoint.remove()
    assert "buyers only answers" in from_endpoint.explainer
    np.testing.assert_allclose(from_endpoint.values, from_bundle.values, atol=1e-6)


@pytest.mark.parametrize(
    ("model", "error", "said"),
    [
        (RandomForestClassifier, InvalidInputError, "model is a class"),
        ("churn", InvalidInputError, "model answers nothing, found str"),
        (
            RandomForestClassifier(),
            NotFittedError,
            "RandomForestClassifier is not fitted; type model.fit(X, y)",
        ),
        (
            VotingClassifier([("tree", DecisionTreeClassifier())]).fit(X, Y),
            InvalidInputError,
            "VotingClassifier gives classes only",
        ),
        (RandomForestClassifier(2).fit(X, np.column_stack([Y, Y])), InvalidInputError, "predicts 2 targets"),
    ],
    ids=["class", "text", "unfitted", "labels only", "two targets"],
)
def test_what_cannot_be_explained_is_refused_in_one_line(model: Any, error: Any, said: str) -> None:
    with pytest.raises(error, match=re.escape(said)) as refused:
        modelyard.explain(model, X)
    assert "\n" not in str(refused.value)


def test_scores_of_pairs_of_classes_are_refused_with_what_to_type() -> None:
    frame, target = load_iris(return_X_y=True, as_frame=True)
    four = np.where(np.arange(150) % 4 == 3, 3, target)
    model = SVC(decision_function_shape="ovo").fit(frame, four)
    with pytest.raises(
        InvalidInputError, match="gives 6 scores for 4 classes; type decision_function_shape='ovr'"
    ):
        modelyard.explain(model, frame)


def test_clusters_are_explained_as_the_numbers_that_they_are() -> None:
    found = attributed(KMeans(2, n_init=1, random_state=0).fit(X), X, rows=[0], background=5, shuffles=1)
    assert found.outputs == ("prediction",)


def test_tables_that_are_none_are_refused() -> None:
    with pytest.raises(InvalidInputError, match="X has no rows"):
        modelyard.explain(MODEL, X.iloc[:0])
    with pytest.raises(InvalidInputError, match="X has 2 columns, the model was fitted on 30"):
        modelyard.explain(MODEL, np.zeros((3, 2)))
    with pytest.raises(InvalidInputError, match="X has 569 rows, y is 3 rows"):
        modelyard.explain(MODEL, X, Y[:3])


def test_ctrl_c_is_one_line_and_leaves_numpys_generator_as_it_was(monkeypatch: pytest.MonkeyPatch) -> None:
    class Impatient:
        def __init__(self, *_: Any) -> None:
            self.closed = False

        def advance(self, steps: int = 1, note: str = "") -> None:
            raise KeyboardInterrupt

        def close(self) -> None:
            self.closed = True

    trackers: list[Impatient] = []

    def watch(*what: Any) -> Impatient:
        trackers.append(Impatient(*what))
        return trackers[-1]

    progress.install(watch)
    np.random.seed(1)
    expected = np.random.random()
    np.random.seed(1)
    neighbours = KNeighborsClassifier().fit(X, Y)
    with pytest.raises(InterruptedRunError, match="explanation stopped; nothing was kept"):
        modelyard.explain(neighbours, X, rows=[0, 1], background=5, shuffles=1)
    assert [tracker.closed for tracker in trackers] == [True]
    assert np.random.random() == expected


def test_a_result_says_its_finding_and_shows_its_table(cancer: Attribution) -> None:
    first = cancer.importance.index[0]
    assert repr(cancer).startswith(
        "SHAP values of 200 rows of RandomForestClassifier, in probability: most by"
    )
    assert str(first) in repr(cancer)
    table = cancer.table()
    assert table.columns == ("column", "mean |value|", "share")
    assert table.rows[0][0] == first
    json.dumps(payload(cancer), allow_nan=False)
    assert payload(cancer)["schema"] == 1


def test_one_row_is_shown_as_what_each_cell_adds() -> None:
    found = attributed(MODEL, X, rows=[3])
    table = found.table()
    assert table.columns == ("column", "value", f"adds for {MODEL.predict(X.iloc[[3]])[0]}")
    fall = payload(found)["waterfall"]
    added = fall["base"] + fall["rest"] + sum(step["value"] for step in fall["steps"])
    assert added == pytest.approx(fall["answer"])
    assert fall["answer"] == pytest.approx(MODEL.predict_proba(X.iloc[[3]]).max())


def drawn_texts(svg: str) -> str:
    return " ".join(each.text or "" for each in ElementTree.fromstring(svg).iter(f"{SVG}text"))


def test_many_rows_are_drawn_as_bars_a_swarm_and_a_dependence(cancer: Attribution) -> None:
    bars, further = chart("attribution", payload(cancer)), further_charts("attribution", payload(cancer))
    first = cancer.importance.index[0]
    assert bars is not None
    assert first in bars.alt
    assert first in drawn_texts(bars.svg)
    swarm, dependence = further
    assert re.search(rf"{first} from .* to .*, (up|down) where it is high", swarm.alt)
    assert f"What {first} adds for 1" in dependence.alt
    shapes = ElementTree.fromstring(swarm.svg).iter(f"{SVG}path")
    dots = [each for each in shapes if "A" in each.get("d", "") and each.get("transform")]
    assert len(dots) == 40 * 12, "every fifth of 200 rows"
    assert "dot: one row of 5" in swarm.svg


def test_one_row_is_drawn_as_a_waterfall_that_says_where_it_ends() -> None:
    found = attributed(MODEL, X, rows=[3])
    picture = chart("attribution", payload(found))
    assert picture is not None
    assert picture.alt.startswith("Row 3 for 0: from the base value")
    assert further_charts("attribution", payload(found)) == []


@pytest.mark.parametrize(
    "sizes", [[0.2, 0.1, 0.08, 0.06, 0.04, 0.02, 0.01], [0.12, -0.11, 0.09, 0.05, -0.04]]
)
def test_no_line_strikes_through_a_figure_of_a_waterfall(sizes: list[float]) -> None:
    facts = payload(attributed(MODEL, X, rows=[3]))
    base, steps = 0.38, [{"column": f"c{i}", "cell": "1", "value": size} for i, size in enumerate(sizes)]
    fall = {"row": 3, "output": "0", "base": base, "answer": base + sum(sizes), "steps": steps, "others": 0}
    picture = chart("attribution", {**facts, "waterfall": fall})
    assert picture is not None
    places: dict[str, list[tuple[float, ElementTree.Element]]] = {"rule": [], "text": []}
    for group in ElementTree.fromstring(picture.svg).iter(f"{SVG}g"):
        for kind, found in places.items():
            if group.get("class", "").startswith(f"mark-{kind} role-mark"):
                found += [
                    (float(re.findall(r"[-\d.]+", each.get("transform", ""))[0]), each) for each in group
                ]
    assert (len(places["rule"]), len(places["text"])) == (2, len(sizes))
    for x, figure in places["text"]:
        wide = 6 * len(figure.text or "")
        start = x - wide if figure.get("text-anchor") == "end" else x
        assert not [line for line, _ in places["rule"] if start < line < start + wide], figure.text


def test_a_page_is_given_every_picture_with_its_words(cancer: Attribution) -> None:
    markup = panel_mimebundle(cancer)["text/html"]
    assert markup.count("<img") == 3
    assert markup.count('alt="') == 3


def test_columns_of_texts_and_nulls_are_drawn_too() -> None:
    model = pipeline().fit(FRAME, TARGET)
    found = attributed(model, FRAME)
    assert found.columns == ("age", "income", "town", "member")
    json.dumps(payload(found), allow_nan=False)
    assert chart("attribution", payload(found)) is not None
    assert len(further_charts("attribution", payload(found))) == 2


@pytest.fixture
def cells(shell: InteractiveShell) -> InteractiveShell:
    shell.user_ns.update(X=X, y=Y, model=MODEL, few=X.iloc[:7])
    return shell


def ran(shell: InteractiveShell, code: str) -> Any:
    outcome = shell.run_cell(code)
    outcome.raise_error()
    return outcome.result


def test_the_magic_returns_what_the_function_returns(cells: InteractiveShell) -> None:
    found = ran(cells, "%explain model X --rows 0,3,17 --background 20 --seed 4 -o kept")
    direct = attributed(MODEL, X, rows="0,3,17", background=20, seed=4)
    np.testing.assert_array_equal(found.values, direct.values)
    assert cells.user_ns["kept"] is found


def test_the_magic_takes_a_background_of_the_namespace_and_targets(cells: InteractiveShell) -> None:
    found = ran(cells, "%explain model X y --rows 0 --background few")
    np.testing.assert_allclose(found.base_values, MODEL.predict_proba(X.iloc[:7]).mean(axis=0))
    assert str(ran(cells, "%explain model X y --rows 0 --background few --show-code")) == (
        "modelyard.explain(model, X, y, background=few, rows='0')"
    )


def test_the_magic_shows_json_and_help(cells: InteractiveShell) -> None:
    shown = json.loads(str(ran(cells, "%explain model X --rows 0 --json")))
    assert shown["waterfall"]["row"] == 0
    assert "--background" in str(ran(cells, "%explain -h"))


def test_tab_completes_methods_and_explainers(cells: InteractiveShell) -> None:
    matcher = cells.Completer.custom_matchers[-1]

    def offered(line: str) -> list[str]:
        context = CompletionContext(
            token=line.split(" ")[-1], full_text=line, cursor_position=len(line), cursor_line=0, limit=None
        )
        return [each.text for each in matcher(context)["completions"]]

    assert offered("%explain model X --method sh") == ["shap"]
    assert offered("%explain model X --explainer ") == ["tree", "linear", "permutation"]


def test_every_option_of_every_method_is_a_flag_of_the_magic() -> None:
    assert set(METHODS) == set(explanations)
    taken = {option for name in explanations for option in explanations[name].options}
    assert set(OPTIONS) == taken
    assert set(EXPRESSIONS) <= taken
    assert taken <= {action.dest for action in explain_parser()._actions}


class References(HTMLParser):
    """Collects whatever a page could fetch, and the names of its parts."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.fetched: list[str] = []
        self.names: list[str] = []
        self.tags: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        for name, value in attrs:
            if name in ("src", "href", "xlink:href", "data", "action", "srcset") and not (
                value or ""
            ).startswith("#"):
                self.fetched.append(f"{tag} {name}={value}")
            if name == "id":
                self.names.append(str(value))


def test_a_report_is_one_file_that_refers_to_nothing_outside(cells: InteractiveShell, project: Path) -> None:
    found = ran(cells, "%explain model X --seed 1 --report why.html")
    text = (project / "why.html").read_text(encoding="utf-8")
    page = References(text)
    assert page.fetched == []
    assert not re.search(r"@import|url\((?!#)", text)
    assert "script" not in page.tags
    assert page.tags.count("svg") == 3
    assert len(page.names) == len(set(page.names))
    assert found.sentence() in text
    assert all(note in html.unescape(text) for note in found.notes())
    assert list(project.glob(".why*")) == []


def test_a_report_escapes_what_stands_in_the_table(project: Path) -> None:
    hostile = "<script>alert(1)</script>"
    frame = X.rename(columns={"mean area": hostile})
    model = DecisionTreeClassifier(max_depth=1, random_state=0).fit(frame[[hostile, "mean radius"]], Y)
    modelyard.explain(model, frame[[hostile, "mean radius"]], rows=[0], report=project / "why.html")
    text = (project / "why.html").read_text(encoding="utf-8")
    assert "script" not in References(text).tags
    assert html.escape(hostile) in text


@pytest.mark.parametrize(("path", "said"), [("why.pdf", "HTML file"), ("no/where.html", "no folder 'no'")])
def test_a_report_that_cannot_be_written_is_refused_before_anything_is_computed(path: str, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        modelyard.explain(RandomForestClassifier(), X, report=path)
