"""The pictures of an evaluation: the points they are drawn from, and what a page is given."""

from __future__ import annotations

import json
import re
import xml.etree.ElementTree as ElementTree
from typing import Any

import numpy as np
import pytest
from ipywidgets import Widget
from sklearn import metrics as sk
from sklearn.datasets import (
    load_breast_cancer,
    load_diabetes,
    load_digits,
    load_iris,
    make_multilabel_classification,
)
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.multiclass import OneVsRestClassifier
from sklearn.naive_bayes import GaussianNB
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import LinearSVC

from modelyard.evaluation import Evaluation, cross_validate
from modelyard_widgets.charts import further_charts
from modelyard_widgets.showing import panel_mimebundle

SVG = "{http://www.w3.org/2000/svg}"
LOGISTIC = make_pipeline(StandardScaler(), LogisticRegression())


@pytest.fixture(autouse=True)
def in_a_project(project: Any) -> Any:
    yield
    Widget.close_all()


@pytest.fixture(scope="module")
def cancer(tmp_path_factory: pytest.TempPathFactory) -> Evaluation:
    with pytest.MonkeyPatch.context() as patch:
        folder = tmp_path_factory.mktemp("pictures")
        (folder / ".modelyard").mkdir()
        patch.chdir(folder)
        return cross_validate(LOGISTIC, *load_breast_cancer(return_X_y=True))


def test_the_matrix_counts_every_prediction(cancer: Evaluation) -> None:
    frame = cancer.predictions
    assert frame is not None
    matrix = cancer.pictures["confusion"]
    assert matrix["classes"] == ["0", "1"]
    assert matrix["counts"] == sk.confusion_matrix(frame["target"], frame["prediction"]).tolist()


def test_curves_have_scikit_learns_areas_and_few_points(cancer: Evaluation) -> None:
    frame = cancer.predictions
    assert frame is not None
    [roc], [precise] = cancer.pictures["roc"], cancer.pictures["precision_recall"]
    assert roc["area"] == pytest.approx(sk.roc_auc_score(frame["target"], frame["p_1"]))
    assert precise["area"] == pytest.approx(sk.average_precision_score(frame["target"], frame["p_1"]))
    assert roc["points"][0] == [0, 0]
    assert roc["points"][-1] == [1, 1]
    assert max(len(roc["points"]), len(precise["points"])) <= 200
    thinned = np.trapezoid([y for _, y in roc["points"]], [x for x, _ in roc["points"]])
    assert thinned == pytest.approx(roc["area"], abs=0.005)


def test_a_rare_class_keeps_the_steep_start_of_its_curve() -> None:
    rng = np.random.default_rng(0)
    y = (np.arange(20_000) % 200 == 0).astype(int)
    X = (y * 3 + rng.normal(size=20_000)).reshape(-1, 1)
    [roc] = cross_validate(GaussianNB(), X, y, scoring="roc_auc", cv="kfold:2").pictures["roc"]
    assert len(roc["points"]) <= 200
    thinned = np.trapezoid([y for _, y in roc["points"]], [x for x, _ in roc["points"]])
    assert thinned == pytest.approx(roc["area"], abs=0.01)


def test_calibration_counts_all_rows(cancer: Evaluation) -> None:
    frame = cancer.predictions
    assert frame is not None
    [curve] = cancer.pictures["calibration"]
    assert sum(rows for _, _, rows in curve["points"]) == len(frame)
    mean, share, rows = curve["points"][-1]
    top = frame[frame["p_1"] >= 0.9]
    assert rows == len(top)
    assert mean == pytest.approx(top["p_1"].mean(), abs=1e-4)
    assert share == pytest.approx(top["target"].mean(), abs=1e-4)


def test_every_kind_of_target_has_its_pictures() -> None:
    labels = make_multilabel_classification(100, n_classes=3, random_state=0)
    for model, data, names in (
        (LOGISTIC, load_iris(return_X_y=True), ["confusion", "roc", "precision_recall", "calibration"]),
        (LinearSVC(), load_iris(return_X_y=True), ["confusion", "roc", "precision_recall"]),
        (LinearRegression(), load_diabetes(return_X_y=True), ["residuals"]),
        (OneVsRestClassifier(LogisticRegression()), labels, ["roc", "precision_recall"]),
    ):
        found = cross_validate(model, *data, cv="kfold:3")
        assert list(found.pictures) == names
        json.dumps(found.payload(), allow_nan=False)


def test_ten_classes_make_ten_curves_and_one_matrix() -> None:
    X, y = load_digits(return_X_y=True)
    found = cross_validate(GaussianNB(), X[:600], y[:600], cv="kfold:2", scoring="roc_auc")
    assert len(found.pictures["roc"]) == 10
    assert len(found.pictures["confusion"]["counts"]) == 10
    first, *_ = further_charts("evaluation", found.payload())
    assert first.title == "Confusion matrix"


def test_pictures_are_small_valid_svg_with_axes_and_words(cancer: Evaluation) -> None:
    pictures = {each.title: each for each in further_charts("evaluation", cancer.payload())}
    axes = {
        "Confusion matrix": {"predicted", "true"},
        "ROC curve": {"false positive rate", "true positive rate"},
        "Precision and recall": {"recall", "precision"},
        "Calibration": {"mean predicted probability", "share that was true", "rows"},
    }
    assert set(pictures) == set(axes)
    for title, picture in pictures.items():
        root = ElementTree.fromstring(picture.svg)
        texts = {node.text for node in root.iter(f"{SVG}text")}
        assert axes[title] <= texts, title
        assert float(root.attrib["width"]) <= 640
        assert "currentColor" in picture.svg
        assert not re.findall(r"https?://(?!www\.w3\.org)", picture.svg)
        assert picture.alt.endswith(".")
        assert len(picture.alt) > 40


def test_residuals_are_drawn_over_predictions() -> None:
    found = cross_validate(LinearRegression(), *load_diabetes(return_X_y=True))
    [target] = found.pictures["residuals"]
    assert len(target["points"]) == 200
    frame = found.predictions
    assert frame is not None
    rounded = (
        frame["prediction"].map("{:.5g}".format),
        (frame["target"] - frame["prediction"]).map("{:.5g}".format),
    )
    pairs = set(zip(*(column.astype(float) for column in rounded), strict=True))
    assert {tuple(point) for point in target["points"]} <= pairs
    [picture] = further_charts("evaluation", found.payload())
    assert "200 of 442 rows" in picture.alt


def test_a_page_is_given_all_pictures_and_escaped_names() -> None:
    hostile = '<img src=x onerror="alert(1)">'
    X, y = load_iris(return_X_y=True)
    found = cross_validate(
        GaussianNB(), X, np.where(y == 1, hostile, "'quoted\\'"), cv="kfold:3", scoring="roc_auc"
    )
    data = panel_mimebundle(found)
    assert data["text/html"].count('<img src="data:') == 5
    assert hostile not in data["text/html"]
    for picture in further_charts("evaluation", found.payload()):
        drawn = {node.tag.removeprefix(SVG) for node in ElementTree.fromstring(picture.svg).iter()}
        assert drawn <= {"svg", "g", "path", "line", "rect", "text", "defs", "clipPath"}


def test_nothing_to_draw_is_no_further_picture() -> None:
    assert further_charts("evaluation", {"scores": {}, "summary": {}}) == []
    assert further_charts("study", {}) == []
