"""ONNX Runtime Mobile with real runtimes: the .ort in Python, in Node and in Chromium, by the page's own code."""

from __future__ import annotations

import itertools
import json
import re
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pandas as pd
import pytest
from onnx import TensorProto, helper
from onnxruntime import InferenceSession
from playwright.sync_api import Browser, Page, expect
from sklearn.compose import ColumnTransformer
from sklearn.datasets import load_diabetes, load_digits, load_iris
from sklearn.ensemble import GradientBoostingRegressor, HistGradientBoostingClassifier
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

import modelyard
from browser import chromium
from modelyard.errors import DeploymentError, UsageError
from modelyard.packaging import Bundle
from modelyard.targets import Deployment, onnxruntime_mobile_npm
from modelyard.targets.onnxruntime_mobile_format import ort_model
from modelyard.targets.onnxruntime_mobile_npm import CACHE, WEB, fetched
from modelyard.targets.protocol import make_target
from modelyard.testing import TargetContract
from modelyard_device.opening import opened as opened_here
from modelyard_runtime.bundle_format import read_golden, read_manifest

pytestmark = pytest.mark.filterwarnings("ignore:Stochastic Optimizer")

WITHIN = 1e-5
BUNDLES = Path(__file__).parents[1] / "bundles"
PHONE = {"width": 390, "height": 844}

Made = Callable[[str], Path]


def _iris() -> Bundle:
    X, y = load_iris(return_X_y=True, as_frame=True)
    labels = load_iris().target_names[y]
    policy = {"sepal length (cm)": "reject", "petal width (cm)": "clip"}
    return modelyard.package(
        LogisticRegression(max_iter=500).fit(X, labels), X, labels, name="iris", policy=policy
    )


def _visits() -> Bundle:
    rng, rows = np.random.default_rng(0), 300
    X = pd.DataFrame(
        {
            "city": rng.choice(["Bern", "Köln", "Paris", "<b>O'Hare</b>"], rows),
            "plan": rng.choice(["free", "pro"], rows),
            "age": rng.integers(18, 90, rows),
            "income": rng.normal(4e4, 1e4, rows).round(2),
            "active": rng.random(rows) > 0.4,
        }
    )
    X.loc[rng.random(rows) < 0.1, "city"] = np.nan
    X.loc[rng.random(rows) < 0.1, "income"] = np.nan
    y = ((X["income"].fillna(4e4) > 4e4) ^ (X["plan"] == "pro")).to_numpy()
    known = make_pipeline(
        SimpleImputer(strategy="constant", fill_value="?"), OneHotEncoder(handle_unknown="ignore")
    )
    steps = ColumnTransformer(
        [
            ("text", known, ["city", "plan"]),
            ("number", make_pipeline(SimpleImputer(), StandardScaler()), ["age", "income"]),
            ("truth", "passthrough", ["active"]),
        ]
    )
    model = make_pipeline(steps, LogisticRegression(max_iter=500)).fit(X, y)
    return modelyard.package(model, X, y, name="visits", policy={"plan": "reject"})


def _boosted() -> Bundle:
    X, y = load_diabetes(return_X_y=True, as_frame=True)
    X.iloc[::7, 2] = np.nan
    model = HistGradientBoostingClassifier(max_iter=12, random_state=0).fit(X, y > 140)
    return modelyard.package(model, X, y > 140, name="boosted")


def _digits() -> Bundle:
    X, y = load_digits(return_X_y=True, as_frame=True)
    model = make_pipeline(StandardScaler(), MLPClassifier((32,), max_iter=60, random_state=0)).fit(X, y)
    return modelyard.package(model, X, y, name="digits")


def _progression() -> Bundle:
    X, y = load_diabetes(return_X_y=True, as_frame=True)
    return modelyard.package(
        GradientBoostingRegressor(n_estimators=40, random_state=0).fit(X, y), X, y, name="progression"
    )


MODELS = {made.__name__[1:]: made for made in (_iris, _visits, _boosted, _digits, _progression)}


@pytest.fixture
def bundle_of(shared_store: Path) -> Callable[[str], Bundle]:
    """Package a model once for the module."""

    def found(name: str) -> Bundle:
        try:
            return modelyard.bundle(name)
        except LookupError:
            return MODELS[name]()

    return found


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("made")


@pytest.fixture
def made(bundle_of: Callable[[str], Bundle], folders: Path) -> Made:
    """Make what goes to a phone of a model, once for the module; return its content."""

    def found(name: str) -> Path:
        folder = folders / name
        if not (folder / "content").is_dir():
            bundle = bundle_of(name)
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir()
            make_target("onnxruntime-mobile", {}).make(bundle, folder)
        return folder / "content"

    return found


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as opened:
        yield opened


Opened = Callable[..., Page]


@pytest.fixture
def opened(browser: Browser, made: Made) -> Iterator[Opened]:
    """Open a model's page as a file, on a phone; whatever it complains of or asks for elsewhere fails the test."""
    pages: list[Page] = []
    complaints: list[str] = []

    def found(name: str, **options: Any) -> Page:
        page = browser.new_page(viewport=PHONE, **options)
        pages.append(page)
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("console", lambda said: complaints.append(said.text) if said.type == "error" else None)
        page.on(
            "request", lambda asked: complaints.append(asked.url) if asked.url.startswith("http") else None
        )
        page.goto((made(name) / "web" / "index.html").as_uri())
        page.wait_for_selector("html[data-state=ready]", state="attached", timeout=60_000)
        return page

    yield found
    for page in pages:
        page.close()
    assert complaints == []


class TestContract(TargetContract):
    name: ClassVar[str] = "onnxruntime-mobile"

    @pytest.fixture
    def bundle(self, bundle_of: Callable[[str], Bundle]) -> Bundle:
        return bundle_of("iris")


def _largest(content: Path, predictions: list[Any], probabilities: list[dict[str, float]] | None) -> float:
    """Hold answers to the golden rows against what they must be; return the largest difference."""
    lines = read_golden(content / "model")
    wanted = [line["prediction"] for line in lines]
    if probabilities is None:
        return float(np.abs(np.subtract(predictions, wanted) / np.maximum(1, np.abs(wanted))).max())
    assert predictions == wanted
    found = [list(row.values()) for row in probabilities]
    return float(np.abs(np.subtract(found, [line["probabilities"] for line in lines])).max())


@pytest.mark.parametrize("name", MODELS)
def test_python_node_and_chromium_answer_the_golden_rows_with_the_same_labels(
    name: str, made: Made, opened: Opened, tmp_path: Path
) -> None:
    content = made(name)
    rows = [line["row"] for line in read_golden(content / "model")]
    largest = {}

    found = opened_here(content).answer(json.dumps({"rows": rows}).encode())
    largest["python"] = _largest(content, found.predictions, found.probabilities)

    file = tmp_path / "rows.json"
    file.write_text(json.dumps(rows))
    done = subprocess.run(
        ["node", str(content / "node" / "predict.mjs"), str(file)], capture_output=True, text=True, check=True
    )
    answer = json.loads(done.stdout)
    largest["node"] = _largest(content, answer["predictions"], answer["probabilities"])

    page = opened(name)
    answer = page.evaluate("rows => modelyard.ask(rows)", rows)
    largest["chromium"] = _largest(content, answer["predictions"], answer["probabilities"])
    page.locator(".about summary").click()
    page.locator("#check").click()
    expect(page.locator("#status")).to_contain_text("golden rows")
    assert page.inner_text("#status").startswith(f"{len(rows)} of {len(rows)} golden rows")

    print(name, largest)
    assert max(largest.values()) <= WITHIN


def test_the_model_folder_is_one_that_the_runtime_reads_and_names_its_bundle(
    made: Made, bundle_of: Callable[[str], Bundle]
) -> None:
    bundle, model = bundle_of("visits"), made("visits") / "model"
    manifest = read_manifest(model)
    assert manifest["model"] == {**bundle.manifest["model"], "file": "model.ort"}
    assert manifest["converted_from"] == {"tag": bundle.tag, "digest": bundle.digest}
    assert (model / "model.ort").read_bytes()[4:8] == b"ORTM"
    assert not (model / "signature").exists()
    assert not (model / "model.onnx").exists()


def test_the_same_bundle_makes_the_same_files(
    made: Made, bundle_of: Callable[[str], Bundle], tmp_path: Path
) -> None:
    first, second = made("boosted"), tmp_path / "again"
    second.mkdir()
    make_target("onnxruntime-mobile", {}).make(bundle_of("boosted"), second)
    names = {path.relative_to(first) for path in first.rglob("*") if path.is_file() and path.suffix != ".pyc"}
    again = {path.relative_to(second / "content") for path in second.rglob("*") if path.is_file()}
    assert names == {path for path in again if path.suffix != ".pyc"}
    for name in names:
        assert (first / name).read_bytes() == (second / "content" / name).read_bytes(), name


def test_weights_of_four_bits_go_in_eight_since_the_format_has_none_of_four(tmp_path: Path) -> None:
    weights = np.arange(-8, 8).reshape(4, 4)
    graph = helper.make_graph(
        [
            helper.make_node("DequantizeLinear", ["packed", "scale"], ["weights"]),
            helper.make_node("MatMul", ["X", "weights"], ["label"]),
        ],
        "narrow",
        [helper.make_tensor_value_info("X", TensorProto.FLOAT, ["rows", 4])],
        [helper.make_tensor_value_info("label", TensorProto.FLOAT, ["rows", 4])],
        [
            helper.make_tensor("packed", TensorProto.INT4, (4, 4), weights.ravel().tolist()),
            helper.make_tensor("scale", TensorProto.FLOAT, (), [0.5]),
        ],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)], ir_version=10)
    folder = tmp_path / "src" / "model"
    folder.mkdir(parents=True)
    (folder / "model.onnx").write_bytes(model.SerializeToString())
    (folder / "manifest.json").write_text('{"model": {"kind": "onnx", "file": "model.onnx"}}')
    session = InferenceSession(ort_model(Bundle("narrow", 1, tmp_path)).content)
    assert session.run(None, {"X": np.eye(4, dtype=np.float32)})[0].tolist() == (weights * 0.5).tolist()


def test_the_configuration_has_the_operators_of_the_graph_with_their_types(made: Made) -> None:
    config = (made("boosted") / "required_operators_and_types.config").read_text()
    assert config.startswith("# The operators and types of model.ort, made of boosted:")
    assert "ai.onnx.ml;5;TreeEnsemble" in config
    assert '"inputs": {"0": ["double"]}' in config
    assert "/tmp" not in config


def test_bad_values_are_refused_beside_their_field_in_the_words_of_the_contract(
    opened: Opened, tmp_path: Path
) -> None:
    page = opened("iris")
    page.get_by_label("sepal length (cm)").fill("9")
    page.get_by_label("sepal width (cm)").fill("wide")
    page.get_by_label("petal length (cm)").fill("")
    page.get_by_role("button", name="Predict").click()
    page.wait_for_selector(".problem")
    assert page.inner_text("#answer") == "No answer: 3 values break the contract."
    assert page.inner_text("#live") == "No answer: 3 values break the contract."
    assert page.locator(".said.error").all_inner_texts() == [
        "out of the learned range; learned: a number from 4.3 to 7.9",
        "text 'wide' where a number belongs; learned: a number from 2 to 4.4",
        "null, but training never saw one and nothing imputes it; learned: a number from 1 to 6.9",
    ]
    width = page.get_by_label("sepal width (cm)")
    assert width.get_attribute("aria-invalid") == "true"
    assert (
        page.locator(f"#{str(width.get_attribute('aria-describedby')).split()[1]}")
        .inner_text()
        .startswith("text")
    )
    assert page.evaluate("document.activeElement.id") == "field-0"
    page.screenshot(path=tmp_path / "refused.png", full_page=True)
    print(tmp_path / "refused.png")

    page.get_by_label("sepal length (cm)").fill("5,1")  # as a keyboard has it where the comma is the point
    width.fill("3.5")
    page.get_by_label("petal length (cm)").fill("1.4")
    page.get_by_label("petal width (cm)").fill("7")
    page.keyboard.press("Enter")
    page.wait_for_selector(".prediction")
    assert page.locator(".said:visible").all_inner_texts() == ["clipped to 2.5"]
    assert page.locator("[aria-invalid]").count() == 0
    assert "1 of the values is new to the model" in page.inner_text("#live")


def test_the_form_has_what_the_contract_allows_texts_truths_and_nothing(opened: Opened) -> None:
    page = opened("visits")
    city = page.get_by_label("city", exact=True)
    assert city.locator("option").all_inner_texts() == [
        "(missing)", "<b>O'Hare</b>", "Bern", "Köln", "Paris", "another text …",
    ]  # fmt: skip
    assert (
        page.get_by_label("plan", exact=True).locator("option").all_inner_texts()[-1] == "pro"
    )  # refuses others
    city.select_option("(missing)")
    page.get_by_label("income", exact=True).fill("")
    page.get_by_label("active", exact=True).select_option("false")
    page.get_by_label("age", exact=True).fill("9007199254740993")
    page.get_by_role("button", name="Predict").click()
    page.wait_for_selector(".problem")
    assert page.locator(".said.error").all_inner_texts() == [
        "9007199254740993 is past 2^53 and would be rounded; learned: a whole number from 18 to 89"
    ]
    page.get_by_label("age", exact=True).fill("40")
    city.select_option("another text …")
    page.get_by_label("another text for city").fill("Ulm")
    page.get_by_role("button", name="Predict").click()
    page.wait_for_selector(".prediction")
    row = page.evaluate("modelyard.form.row")
    assert (row["city"], row["income"], row["active"], row["age"]) == ("Ulm", None, False, 40)
    assert page.locator(".said:visible").all_inner_texts() == ["unknown category"]


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("name", ["iris", "visits", "digits"])
def test_the_page_fits_a_phone_and_every_control_has_a_name(
    name: str, scheme: str, opened: Opened, tmp_path: Path
) -> None:
    page = opened(name, color_scheme=scheme)
    assert page.evaluate("document.documentElement.scrollWidth") == PHONE["width"]
    for control in page.locator("input:visible:not([aria-hidden]), select:visible, button:visible").all():
        box = control.bounding_box()
        assert box is not None
        assert box["height"] >= 40
        assert control.evaluate(
            "each => each.textContent.trim() || each.labels?.[0]?.textContent || each.ariaLabel"
        )
    page.screenshot(path=tmp_path / f"{name}-{scheme}.png")
    print(tmp_path / f"{name}-{scheme}.png")


def test_it_can_be_used_with_the_keyboard_alone(opened: Opened) -> None:
    page = opened("iris")
    page.get_by_label("sepal length (cm)").focus()
    reached = []
    for _ in range(6):
        reached.append(page.evaluate("document.activeElement.id"))
        page.keyboard.press("Tab")
    assert reached == ["field-0", "field-1", "field-2", "field-3", "predict", "example"]
    page.locator("#example").focus()
    page.keyboard.press("Enter")
    assert page.inner_text("#example") == "Example 2 of 40"


def test_a_drawn_digit_is_read(opened: Opened) -> None:
    page = opened("digits")
    box = page.locator(".pad").bounding_box()
    assert box is not None
    scale = box["width"] / 280
    for digit, stroke in {
        "4": [(165, 240), (165, 40), (75, 170), (210, 170)],
        "0": [(140 + 60 * np.cos(turn), 140 + 95 * np.sin(turn)) for turn in np.linspace(0, 2 * np.pi, 20)],
    }.items():
        page.get_by_role("button", name="Clear").click()
        page.mouse.move(box["x"] + stroke[0][0] * scale, box["y"] + stroke[0][1] * scale)
        page.mouse.down()
        for x, y in stroke[1:]:
            page.mouse.move(box["x"] + x * scale, box["y"] + y * scale, steps=6)
        page.mouse.up()
        expect(page.locator(".prediction strong")).to_have_text(digit)


def _photograph(path: Path, strokes: list[tuple[float, float]]) -> None:
    """Write a video of a sheet of paper, brighter to the right, with dark strokes on it (YUV4MPEG2)."""
    width, height = 640, 480
    y, x = np.mgrid[:height, :width]
    ink = np.zeros((height, width))
    for (x0, y0), (x1, y1) in itertools.pairwise(strokes):
        along = ((x - x0) * (x1 - x0) + (y - y0) * (y1 - y0)) / ((x1 - x0) ** 2 + (y1 - y0) ** 2)
        nearest = np.clip(along, 0, 1)
        away = np.hypot(x - x0 - nearest * (x1 - x0), y - y0 - nearest * (y1 - y0))
        ink = np.maximum(ink, away < 15)
    noise = np.random.default_rng(0).normal(0, 5, ink.shape)
    light = np.clip((150 + x / 10) * (1 - 0.75 * ink) + noise, 0, 255).astype(np.uint8)
    frame = b"FRAME\n" + light.tobytes() + bytes([128]) * (width * height // 2)
    path.write_bytes(b"YUV4MPEG2 W640 H480 F10:1 Ip A1:1 C420jpeg\n" + 4 * frame)


def test_a_digit_that_the_camera_sees_is_read(browser: Browser, made: Made, tmp_path: Path) -> None:
    _photograph(tmp_path / "four.y4m", [(355, 380), (355, 100), (229, 282), (418, 282)])
    eyes = browser.browser_type.launch(
        executable_path=shutil.which("chromium"),
        args=[
            "--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream",
            f"--use-file-for-fake-video-capture={tmp_path / 'four.y4m'}",
        ],
    )  # fmt: skip
    try:
        page = eyes.new_page(viewport=PHONE)
        page.goto((made("digits") / "web" / "index.html").as_uri())
        page.wait_for_selector("html[data-state=ready]", state="attached", timeout=60_000)
        page.get_by_role("button", name="Camera").click()
        photo = page.get_by_role("button", name="Take photo")
        photo.wait_for()
        page.wait_for_timeout(500)  # the first frame is on its way
        photo.click()
        expect(page.locator(".prediction strong")).to_have_text("4")
        assert page.get_by_role("button", name="Camera").is_visible()
    finally:
        eyes.close()


def test_a_model_with_a_step_in_python_is_refused_with_the_step(tmp_path: Path) -> None:
    shutil.copytree(BUNDLES / "format-1-captured", tmp_path / "bento" / "src" / "model")
    (tmp_path / "made").mkdir()
    with pytest.raises(DeploymentError) as raised:
        make_target("onnxruntime-mobile", {}).make(Bundle("ratio", 1, tmp_path / "bento"), tmp_path / "made")
    assert str(raised.value) == (
        "ratio:1 cannot go to a phone, where no Python is: the whole model runs in Python: Ratio has no ONNX "
        "converter; put a step there that becomes ONNX and package it again, or deploy it to a place with Python"
    )


def test_a_bundle_of_an_older_format_is_made_likewise(tmp_path: Path) -> None:
    shutil.copytree(BUNDLES / "format-0-onnx", tmp_path / "bento" / "src" / "model")
    (tmp_path / "made").mkdir()
    made = make_target("onnxruntime-mobile", {"page": "none"}).make(
        Bundle("old", 1, tmp_path / "bento"), tmp_path / "made"
    )
    lines = read_golden(made.folder / "content" / "model")
    body = json.dumps({"rows": [line["row"] for line in lines]}).encode()
    found = opened_here(made.folder / "content").answer(body)
    assert found.predictions == [line["prediction"] for line in lines]


@pytest.mark.parametrize(
    ("option", "value", "said"),
    [
        ("page", "cdn", "page 'cdn' cannot be; choose local, none"),
        ("memory", 10, "memory 10 cannot be; choose 64 (MB) or more, a whole number"),
        ("memory", 99.5, "memory 99.5 cannot be; choose 64 (MB) or more, a whole number"),
    ],
)
def test_an_option_that_cannot_be_is_refused(option: str, value: Any, said: str) -> None:
    with pytest.raises(UsageError) as raised:
        make_target("onnxruntime-mobile", {option: value})
    assert str(raised.value) == said


def test_without_npm_the_page_can_be_left_out(
    bundle_of: Callable[[str], Bundle], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    bundle = bundle_of("iris")
    monkeypatch.setenv(CACHE, str(tmp_path / "cache"))
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(DeploymentError, match="install Node 20, or leave the page out: --page none"):
        modelyard.plan(bundle, to="onnxruntime-mobile")
    plan = modelyard.plan(bundle, to="onnxruntime-mobile", page="none")
    assert plan.fit.ok
    assert not any("page" in step for step in plan.steps)
    deployment = modelyard.deploy(bundle, to="onnxruntime-mobile", page="none")
    assert isinstance(deployment, Deployment)
    (files,) = (path for path in Path.cwd().glob(".modelyard/deployments/iris/iris-*") if path.is_dir())
    assert not (files / "web").exists()
    assert (files / "assets" / "model.json").is_file()
    deployment.remove()


def test_what_npm_gives_is_checked_and_kept(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, project: Path
) -> None:
    fetched(WEB)  # from here on it is in the cache, and wants neither npm nor a network
    monkeypatch.setenv("PATH", str(tmp_path))
    files = fetched(WEB)
    assert set(files) == {"ort.wasm.bundle.min.mjs", "ort-wasm-simd-threaded.wasm"}
    monkeypatch.undo()
    monkeypatch.setenv(CACHE, str(tmp_path / "cache"))
    other = tmp_path / "other.tgz"
    other.write_bytes(b"something else")
    npm = tmp_path / "bin" / "npm"
    npm.parent.mkdir()
    npm.write_text(f'#!/bin/sh\nfor last; do :; done\ncp "{other}" "$last/it.tgz"\n')
    npm.chmod(0o755)
    monkeypatch.setenv("PATH", f"{npm.parent}:/usr/bin:/bin")
    with pytest.raises(DeploymentError, match=f"gives another {WEB.pin} than the one that modelyard knows"):
        fetched(onnxruntime_mobile_npm.WEB)
    assert not list((tmp_path / "cache").glob("onnxruntime-web*"))


def test_the_plan_says_what_leaves_and_what_it_fits(bundle_of: Callable[[str], Bundle]) -> None:
    plan = modelyard.plan(bundle_of("iris"), to="onnxruntime-mobile", memory=256)
    assert any("golden rows: 40 rows of the training table" in said for said in plan.security)
    assert plan.fit.ok
    assert any("bytes packed" in str(need) for need in plan.fit.needs)
    assert "--memory" in plan.fit.source


def test_the_samples_have_the_example_and_nothing_unfilled(made: Made) -> None:
    content = made("visits")
    kotlin = (content / "android" / "Predictor.kt").read_text(encoding="utf-8")
    swift = (content / "ios" / "Predictor.swift").read_text(encoding="utf-8")
    assert (
        'it.predict(mapOf("city" to "<b>O\'Hare</b>", "plan" to "free", "age" to 18, "income" to ' in kotlin
    )
    assert 'predict(["city": "<b>O\'Hare</b>", "plan": "free", "age": 18, "income": ' in swift
    for source in (kotlin, swift):
        assert "{{" not in source
        code = re.sub(r"//.*|\"(\\.|[^\"\\])*\"", "", source)
        assert [code.count(left) for left in "([{"] == [code.count(right) for right in ")]}"]
    facts = json.loads((content / "assets" / "model.json").read_text(encoding="utf-8"))
    assert [entry["dtype"] for entry in facts["inputs"]] == ["string", "string", "int64", "float64", "bool"]
    assert facts["class_names"] == ["false", "true"]


def test_the_readme_says_how_large_it_is_and_what_was_checked(made: Made) -> None:
    readme = (made("iris") / "README.md").read_text(encoding="utf-8")
    assert "40 of 40 golden rows" in readme
    assert "Not compiled: the samples in Kotlin and Swift" in readme
    page = (made("iris") / "web" / "index.html").stat().st_size
    assert f"one file of {page / 1e6:.1f} MB" in readme
    assert page < 6e6
