"""``.tflite`` files of real models answer as scikit-learn does, in ai-edge-litert and in tflite-runtime 2.14."""

from __future__ import annotations

import json
import os
import subprocess
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pandas as pd
import pytest
from onnxruntime import InferenceSession
from skl2onnx import to_onnx
from sklearn.base import is_classifier
from sklearn.compose import ColumnTransformer
from sklearn.datasets import load_breast_cancer, load_diabetes, load_digits, load_wine
from sklearn.decomposition import PCA
from sklearn.ensemble import (
    AdaBoostClassifier,
    ExtraTreesClassifier,
    ExtraTreesRegressor,
    GradientBoostingClassifier,
    GradientBoostingRegressor,
    HistGradientBoostingClassifier,
    HistGradientBoostingRegressor,
    RandomForestClassifier,
    RandomForestRegressor,
)
from sklearn.exceptions import ConvergenceWarning
from sklearn.feature_selection import SelectKBest
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LinearRegression, LogisticRegression, Ridge, SGDClassifier
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import KNeighborsClassifier
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import (
    MinMaxScaler,
    Normalizer,
    OneHotEncoder,
    OrdinalEncoder,
    PolynomialFeatures,
    RobustScaler,
    StandardScaler,
)
from sklearn.svm import LinearSVC
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor
from threadpoolctl import threadpool_limits

import modelyard
from modelyard.compression.dense_layers import eight_bits, four_bits, half, narrowed
from modelyard.compression.tree_tables import smaller_tables
from modelyard.conversion import adopt, tflite
from modelyard.conversion.tflite import TfliteError, size_of, written
from modelyard.packaging.forms import as_onnx
from modelyard_device.flatbuffer import FlatbufferModel

ROOT = Path(__file__).parents[2]
OLDER = ROOT / ".env-tflite" / "bin" / "python"

#: Answers every folder below the one that is named: what the older runtime is asked in its own environment.
ASKING = """
import json, sys
from pathlib import Path
import numpy as np
from modelyard_device.flatbuffer import FlatbufferModel
for folder in sorted(Path(sys.argv[1]).iterdir()):
    asked = json.loads((folder / "asked.json").read_text())
    model = FlatbufferModel(folder, asked["described"])
    labels, chances = model(asked["table"], asked["rows"])
    one, _ = model({name: values[:1] for name, values in asked["table"].items()}, 1)
    answer = {
        "labels": labels.tolist(), "one": one.tolist(), "chances": None if chances is None else chances.tolist(),
        "runtime": type(model._one._runtime).__module__,
    }
    (folder / "answered.json").write_text(json.dumps(answer))
"""


@dataclass(frozen=True, eq=False)
class Case:
    """A fitted model and what it was trained on."""

    model: Any
    X: pd.DataFrame
    y: Any
    quantized: bool = False

    @property
    def name(self) -> str:
        return type(self.model).__name__

    @cache  # noqa: B019
    def form(self) -> tuple[bytes, dict[str, Any]]:
        form = as_onnx(self.model, self.X)
        return form.content, form.described

    @cache  # noqa: B019
    def written(self) -> tflite.Written:
        content, described = self.form()
        sample = self.X.to_numpy(float) if self.quantized else None
        return written(content, described, name=self.name, quantized=self.quantized, sample=sample)


def _table(data: Any) -> tuple[pd.DataFrame, Any]:
    X, y = data
    return pd.DataFrame(X, columns=[f"x{place}" for place in range(X.shape[1])]), y


CANCER, DIGITS = _table(load_breast_cancer(return_X_y=True)), _table(load_digits(return_X_y=True))
DIABETES, WINE = _table(load_diabetes(return_X_y=True)), load_wine(return_X_y=True, as_frame=True)


def _holes(data: tuple[pd.DataFrame, Any]) -> tuple[pd.DataFrame, Any]:
    missing = np.random.default_rng(0).random(data[0].shape) < 0.1
    return data[0].mask(missing), data[1]


def _named(data: tuple[pd.DataFrame, Any]) -> tuple[pd.DataFrame, Any]:
    return data[0], np.where(data[1] == 1, "yes", "no")


def _far(data: tuple[pd.DataFrame, Any]) -> tuple[pd.DataFrame, Any]:
    """Seconds since 1970: many times their spread away from 0."""
    return data[0].assign(x0=1.7e9 + data[0]["x0"] * 1000.0), data[1]


def _kinds() -> tuple[pd.DataFrame, Any]:
    """Categories that are numbers, and a grid on which trees split at the rounding of its own values."""
    rng = np.random.default_rng(3)
    X = pd.DataFrame({"kind": rng.integers(0, 4, 500), "is_old": rng.random(500) < 0.3})
    X = X.assign(tenths=rng.integers(0, 400, 500) / 10, whole=rng.integers(0, 50, 500))
    return X, X["kind"] * 3 + X["tenths"] + rng.normal(size=500)


def mixed(last: Any) -> Any:
    columns = ColumnTransformer(
        [("a", StandardScaler(), ["alcohol", "ash"]), ("b", MinMaxScaler(), ["hue"])], remainder="passthrough"
    )
    return make_pipeline(columns, last)


def scaled(last: Any) -> Any:
    return make_pipeline(StandardScaler(), last)


def network(*hidden: int, **options: Any) -> MLPClassifier:
    return MLPClassifier(hidden, max_iter=25, random_state=0, **options)


def onehot(last: Any) -> Any:
    columns = ColumnTransformer(
        [
            ("o", OneHotEncoder(handle_unknown="ignore"), ["kind", "is_old"]),
            ("s", StandardScaler(), ["tenths"]),
        ],
        remainder="passthrough",
    )
    return make_pipeline(columns, last)


def forest(trees: int = 30, **options: Any) -> RandomForestClassifier:
    return RandomForestClassifier(trees, random_state=0, **options)


SEED = {"random_state": 0}
RECIPES: dict[str, tuple[Callable[[], Any], tuple[pd.DataFrame, Any]]] = {
    "logistic": (lambda: scaled(LogisticRegression()), CANCER),
    "logistic of words": (lambda: scaled(LogisticRegression()), _named(CANCER)),
    "logistic of truths": (lambda: scaled(LogisticRegression()), (CANCER[0], CANCER[1] == 1)),
    "logistic of many": (lambda: make_pipeline(MinMaxScaler(), LogisticRegression()), DIGITS),
    "logistic far away": (lambda: scaled(LogisticRegression()), _far(CANCER)),
    "logistic filled": (
        lambda: make_pipeline(SimpleImputer(), StandardScaler(), LogisticRegression()),
        _holes(CANCER),
    ),
    "logistic mixed": (lambda: mixed(LogisticRegression(max_iter=300)), WINE),
    "logistic of components": (lambda: make_pipeline(StandardScaler(), PCA(3), LogisticRegression()), WINE),
    "descent": (lambda: scaled(SGDClassifier(loss="log_loss", **SEED)), WINE),
    "linear": (lambda: LinearRegression(), DIABETES),
    "ridge": (lambda: scaled(Ridge()), DIABETES),
    "ridge of powers": (lambda: make_pipeline(PolynomialFeatures(2), StandardScaler(), Ridge()), DIABETES),
    "ridge of the best": (lambda: make_pipeline(SelectKBest(k=4), Ridge()), DIABETES),
    "support vectors": (lambda: make_pipeline(RobustScaler(), LinearSVC(**SEED)), CANCER),
    "bayes": (lambda: GaussianNB(), WINE),
    "network": (lambda: scaled(network(64, 32)), DIGITS),
    "network tanh": (lambda: scaled(network(16, activation="tanh")), _named(CANCER)),
    "network logistic": (lambda: scaled(network(16, activation="logistic")), CANCER),
    "network identity": (
        lambda: scaled(MLPRegressor(hidden_layer_sizes=(16,), activation="identity", max_iter=50, **SEED)),
        DIABETES,
    ),
    "network regressor": (
        lambda: scaled(MLPRegressor(hidden_layer_sizes=(16, 8), max_iter=80, **SEED)),
        DIABETES,
    ),
    "tree": (lambda: DecisionTreeClassifier(**SEED), WINE),
    "stump": (lambda: DecisionTreeClassifier(max_depth=1, **SEED), WINE),
    "one leaf": (lambda: DecisionTreeRegressor(min_samples_leaf=400, **SEED), DIABETES),
    "forest": (lambda: forest(), CANCER),
    "forest of ten classes": (lambda: forest(40), DIGITS),
    "forest scaled": (lambda: scaled(forest()), _named(CANCER)),
    "forest mixed": (lambda: mixed(forest()), WINE),
    "forest with holes": (lambda: forest(), _holes(CANCER)),
    "forest filled": (lambda: make_pipeline(SimpleImputer(), StandardScaler(), forest()), _holes(CANCER)),
    "forest regressor": (lambda: RandomForestRegressor(50, **SEED), DIABETES),
    "forest regressor scaled": (lambda: scaled(RandomForestRegressor(50, **SEED)), DIABETES),
    "forest of categories": (lambda: onehot(RandomForestRegressor(30, **SEED)), _kinds()),
    "ridge of categories": (lambda: onehot(Ridge()), _kinds()),
    "ridge of ordered categories": (
        lambda: make_pipeline(
            ColumnTransformer([("o", OrdinalEncoder(), ["kind", "tenths"])], remainder="passthrough"), Ridge()
        ),
        _kinds(),
    ),
    "extra trees": (lambda: ExtraTreesClassifier(50, max_depth=6, **SEED), WINE),
    "extra trees regressor": (lambda: scaled(ExtraTreesRegressor(50, **SEED)), DIABETES),
    "boosting": (lambda: GradientBoostingClassifier(n_estimators=30, **SEED), CANCER),
    "boosting of many": (lambda: GradientBoostingClassifier(n_estimators=4, **SEED), DIGITS),
    "boosting regressor": (lambda: scaled(GradientBoostingRegressor(**SEED)), DIABETES),
    "adaptive boosting": (lambda: AdaBoostClassifier(n_estimators=10, **SEED), CANCER),
    "histogram": (lambda: HistGradientBoostingClassifier(max_iter=30, **SEED), _holes(CANCER)),
    "histogram of many": (lambda: HistGradientBoostingClassifier(max_iter=10, **SEED), WINE),
    "histogram regressor": (lambda: HistGradientBoostingRegressor(**SEED), DIABETES),
    "histogram counts": (
        lambda: HistGradientBoostingRegressor(loss="poisson", max_iter=30, early_stopping=True, **SEED),
        DIABETES,
    ),
}
#: Least share of labels that int8 leaves as they are; of values, the most that one may be off, in their range.
QUANTIZED = {
    "logistic": 0.98,
    "network": 0.97,
    "network tanh": 0.98,
    "ridge": 0.05,
    "network regressor": 0.05,
}


@cache
def case(name: str) -> Case:
    make, (X, y) = RECIPES[name.removesuffix(" in int8")]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        return Case(make().fit(X, y), X, y, quantized=name.endswith(" in int8"))


NAMES = [*RECIPES, *(f"{name} in int8" for name in QUANTIZED)]


def table_of(X: pd.DataFrame) -> dict[str, list[Any]]:
    """Return rows as the runtime hands them on: lists, and nothing where nothing is known."""
    return {
        str(name): [None if value != value else value for value in column.tolist()]
        for name, column in X.items()
    }


def put(folder: Path, made: tflite.Written, X: pd.DataFrame) -> dict[str, Any]:
    described = {"file": "model.tflite", **made.described}
    folder.mkdir(parents=True)
    (folder / "model.tflite").write_bytes(made.content)
    asked = {"described": described, "table": table_of(X), "rows": len(X)}
    (folder / "asked.json").write_text(json.dumps(asked))
    return described


def older(folder: Path) -> None:
    """Let tflite-runtime answer all folders below one."""
    assert OLDER.exists(), f"{OLDER.parents[1]} is not there; type: make env-tflite"
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "templates"), "PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run(
        [OLDER, "-c", ASKING, folder], env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


@pytest.fixture(autouse=True, scope="module")
def one_thread() -> Iterator[None]:
    """Small models on several threads wait for each other, longest where others use the machine, too."""
    with threadpool_limits(1):
        yield


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The files of all cases, answered by tflite-runtime."""
    root = tmp_path_factory.mktemp("files")
    for name in NAMES:
        put(root / name, case(name).written(), case(name).X)
    older(root)
    return root


def newer_answers(folder: Path) -> tuple[Any, Any]:
    asked = json.loads((folder / "asked.json").read_text())
    return FlatbufferModel(folder, asked["described"])(asked["table"], asked["rows"])


def older_answers(folder: Path) -> tuple[Any, Any]:
    answer = json.loads((folder / "answered.json").read_text())
    assert answer["runtime"].startswith("tflite_runtime")
    assert answer["one"] == answer["labels"][:1]
    return np.array(answer["labels"]), None if answer["chances"] is None else np.array(answer["chances"])


ANSWERS = {"ai-edge-litert": newer_answers, "tflite-runtime": older_answers}


@pytest.mark.parametrize("runtime", ANSWERS)
@pytest.mark.parametrize("name", RECIPES)
def test_a_file_answers_every_row_as_the_model_does(name: str, runtime: str, folders: Path) -> None:
    known = case(name)
    labels, chances = ANSWERS[runtime](folders / name)
    wanted = known.model.predict(known.X)
    if wanted.dtype.kind == "f":
        np.testing.assert_allclose(labels, wanted, rtol=1e-5, atol=1e-5)
    else:
        assert labels.tolist() == wanted.tolist()
    if hasattr(known.model, "predict_proba"):
        np.testing.assert_allclose(chances, known.model.predict_proba(known.X), rtol=0, atol=1e-5)
    else:
        assert chances is None


@pytest.mark.parametrize("runtime", ANSWERS)
@pytest.mark.parametrize("name", QUANTIZED)
def test_a_file_in_int8_agrees_for_the_most_part_and_is_smaller(
    name: str, runtime: str, folders: Path
) -> None:
    known, limit = case(name), QUANTIZED[name]
    labels, _ = ANSWERS[runtime](folders / f"{name} in int8")
    wanted = known.model.predict(known.X)
    if wanted.dtype.kind == "f":
        assert np.abs(labels - wanted).max() < limit * np.ptp(wanted)
    else:
        assert (labels == wanted).mean() >= limit
    if name == "network":
        assert len(case(f"{name} in int8").written().content) < 0.5 * len(known.written().content)


@pytest.mark.parametrize("name", NAMES)
def test_the_size_is_known_before_anything_is_written(name: str) -> None:
    known = case(name)
    size = len(known.written().content)
    assert size_of(*known.form(), quantized=known.quantized) == pytest.approx(size, rel=0.04, abs=700)


def test_the_same_graph_gives_the_same_bytes() -> None:
    for name in ("network", "forest scaled", "network in int8"):
        assert Case(*vars(case(name)).values()).written().content == case(name).written().content


def test_a_file_is_one_of_the_schema_and_its_constants_lie_where_processors_want_them() -> None:
    from ai_edge_litert import schema_py_generated as schema

    content = case("forest").written().content
    assert content[4:8] == b"TFL3"
    file = schema.Model.GetRootAs(content)
    held = [file.Buffers(place) for place in range(file.BuffersLength())]
    places = [each._tab.Vector(each._tab.Offset(4)) for each in held if not each.DataIsNone()]
    assert len(places) > 5
    assert all(place % 16 == 0 for place in places)


def test_a_forest_over_the_cap_is_refused_and_told_by_how_much() -> None:
    content, described = case("forest of ten classes").form()
    size = size_of(content, described)
    with pytest.raises(
        TfliteError,
        match=rf"Forest as \.tflite takes {size / 1e6:.1f} MB, .* more than the cap of 0\.1 MB; .*onnx",
    ):
        written(content, described, name="Forest", cap=100_000)


def test_a_forest_of_five_hundred_trees_exceeds_the_default_cap() -> None:
    rng = np.random.default_rng(0)
    X, y = pd.DataFrame({"a": rng.normal(size=560)}), rng.normal(size=560)
    form = as_onnx(ExtraTreesRegressor(500, **SEED).fit(X, y), X)
    size = size_of(form.content, form.described)
    assert size > tflite.DEFAULT_CAP
    with pytest.raises(TfliteError, match=rf"takes {size / 1e6:.1f} MB"):
        written(form.content, form.described)


def test_text_is_refused_by_the_names_of_its_columns() -> None:
    X = pd.DataFrame({"n": [1.0, 2.0, 3.0, 4.0], "city": list("abab"), "kind": list("xyyx")})
    encoded = ColumnTransformer([("o", OneHotEncoder(), ["city", "kind"])], remainder="passthrough")
    form = as_onnx(make_pipeline(encoded, LogisticRegression()).fit(X, [0, 1, 0, 1]), X)
    with pytest.raises(TfliteError) as caught:
        written(form.content, form.described, name="Pipeline")
    assert str(caught.value) == (
        "Pipeline cannot go as .tflite: it reads text from columns 'city', 'kind'; "
        "encode it as numbers before the model, or type: --runtime onnx, which takes it"
    )


@pytest.mark.parametrize(
    ("model", "data"),
    [
        (scaled(LogisticRegression()), CANCER),
        (scaled(LogisticRegression()), WINE),
        (make_pipeline(SimpleImputer(), StandardScaler(), Ridge()), DIABETES),
        (forest(10), CANCER),
        (forest(10), DIGITS),
        (RandomForestRegressor(10, **SEED), DIABETES),
        (GradientBoostingClassifier(n_estimators=5, **SEED), CANCER),
        (make_pipeline(Normalizer(), Ridge()), DIABETES),
    ],
)
def test_an_onnx_file_of_another_exporter_answers_as_onnx_runtime_does(
    model: Any, data: tuple[pd.DataFrame, Any], tmp_path: Path
) -> None:
    X, y = data
    options = {"zipmap": False} if is_classifier(model) else None
    file = to_onnx(model.fit(X, y), X.to_numpy(np.float32), options=options).SerializeToString()
    form = as_onnx(adopt(file, X, y), X)
    described = put(tmp_path / "file", written(form.content, form.described), X)
    labels, chances = FlatbufferModel(tmp_path / "file", described)(table_of(X), len(X))
    feed = {each["name"]: X[each["columns"]].to_numpy(each["dtype"]) for each in form.described["inputs"]}
    wanted = InferenceSession(form.content, providers=["CPUExecutionProvider"]).run(None, feed)
    np.testing.assert_allclose(labels, wanted[0], rtol=1e-5)
    if chances is not None:
        np.testing.assert_allclose(chances, wanted[1], rtol=0, atol=1e-5)


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("forest of ten classes", smaller_tables),
        ("forest scaled", smaller_tables),
        ("boosting of many", lambda graph: smaller_tables(graph, 15)),
        ("network", lambda graph: narrowed(graph, 3, half)),
        ("network", lambda graph: narrowed(graph, 3, four_bits)),
    ],
)
def test_what_compression_makes_answers_as_in_onnx_runtime(name: str, change: Any, tmp_path: Path) -> None:
    content, described = case(name).form()
    smaller = change(onnx.load_model_from_string(content)).SerializeToString(deterministic=True)
    X = case(name).X
    file = put(tmp_path / "file", written(smaller, described), X)
    labels, chances = FlatbufferModel(tmp_path / "file", file)(table_of(X), len(X))
    wanted = InferenceSession(smaller, providers=["CPUExecutionProvider"]).run(None, {"X": X.to_numpy(float)})
    assert labels.tolist() == list(wanted[0])
    np.testing.assert_allclose(chances, wanted[1], rtol=0, atol=1e-5)


def test_int8_of_onnx_is_refused_with_what_to_do_instead() -> None:
    content, described = case("network").form()
    whole = narrowed(onnx.load_model_from_string(content), 3, eight_bits).SerializeToString()
    with pytest.raises(TfliteError, match=r"MatMulInteger; it is in int8 already, .* and give --quantized"):
        size_of(whole, described)


def test_what_has_no_operators_is_refused_by_name_and_told_what_has() -> None:
    X, y = WINE
    form = as_onnx(KNeighborsClassifier().fit(X, y), X)
    with pytest.raises(TfliteError) as caught:
        size_of(form.content, form.described, name="KNeighborsClassifier")
    message = str(caught.value)
    assert message.startswith(
        "KNeighborsClassifier cannot go as .tflite: nothing there does what its graph has in "
    )
    assert "TopK" in message
    assert message.endswith("behind steps on numbers; type: --runtime onnx, which takes it")
    assert "\n" not in message


@pytest.mark.parametrize(
    ("kind", "said"), [("skops", "it runs in Python"), ("hybrid", "its first steps run in Python")]
)
def test_a_model_in_python_is_refused(kind: str, said: str) -> None:
    with pytest.raises(TfliteError, match=said):
        size_of(b"", {"kind": kind, "inputs": []})


def test_int8_is_refused_where_it_makes_nothing_smaller() -> None:
    content, described = case("boosting of many").form()
    with pytest.raises(TfliteError, match="no layers that int8 makes smaller"):
        written(content, described, quantized=True, sample=DIGITS[0].to_numpy())


@pytest.mark.parametrize(("sample", "found"), [(None, "none"), (np.zeros((3, 2)), r"shape \(3, 2\)")])
def test_int8_wants_rows_to_measure(sample: Any, found: str) -> None:
    content, described = case("logistic").form()
    with pytest.raises(
        TfliteError, match=rf"a sample of rows of 30 numbers, found .*{found}.*; give sample=X"
    ):
        written(content, described, quantized=True, sample=sample)


def test_thresholds_between_floats_send_every_row_its_way(tmp_path: Path) -> None:
    """A scaled grid: what trees split on is the rounding of a value that is in the table."""
    rng = np.random.default_rng(3)
    X = pd.DataFrame({"tenths": rng.integers(0, 400, 800) / 10, "whole": rng.integers(0, 50, 800)})
    y = rng.normal(size=800)
    for name, model in (
        ("forest", scaled(RandomForestRegressor(40, random_state=1))),
        (
            "histogram",
            HistGradientBoostingRegressor(max_iter=20, min_samples_leaf=1, early_stopping=True, **SEED),
        ),
    ):
        form = as_onnx(model.fit(X, y), X)
        described = put(tmp_path / name, written(form.content, form.described), X)
        values, _ = FlatbufferModel(tmp_path / name, described)(table_of(X), len(X))
        np.testing.assert_allclose(values, model.predict(X), rtol=1e-5, atol=1e-5)


def test_extreme_values_go_where_the_model_sends_them(tmp_path: Path) -> None:
    model, X = case("histogram regressor").model, DIABETES[0]
    described = put(tmp_path / "file", case("histogram regressor").written(), X)
    asked = FlatbufferModel(tmp_path / "file", described)
    for value in (1e300, -1e300, 0.0, -0.0, 1e-42, None):
        table = {name: [value, values[0]] for name, values in table_of(X).items()}
        got, _ = asked(table, 2)
        row = pd.DataFrame({name: [np.nan if value is None else value, X[name][0]] for name in X})
        np.testing.assert_allclose(got, model.predict(row), rtol=1e-5)


def test_answers_do_not_depend_on_how_many_rows_are_asked_at_once(tmp_path: Path) -> None:
    described = put(tmp_path / "file", case("forest of ten classes").written(), DIGITS[0])
    asked = FlatbufferModel(tmp_path / "file", described)
    labels, chances = asked(table_of(DIGITS[0]), len(DIGITS[0]))
    for start, stop in ((0, 1), (1, 8), (8, 9), (9, 40), (40, 40)):
        part = DIGITS[0].iloc[start:stop]
        some, likely = asked(table_of(part), len(part))
        assert some.tolist() == labels[start:stop].tolist()
        np.testing.assert_array_equal(likely, chances[start:stop])


def test_without_the_second_input_a_file_is_near() -> None:
    known = case("forest scaled")
    assert known.written().described["has_rest"]
    alone = written(*known.form(), is_exact=False)
    assert not alone.described["has_rest"]
    assert len(alone.content) < len(known.written().content)


@pytest.mark.parametrize("name", ["forest scaled", "network"])
def test_a_bundle_s_golden_rows_are_answered_by_both_runtimes(
    name: str, shared_store: Path, tmp_path: Path
) -> None:
    known = case(name)
    bundle = modelyard.package(known.model, known.X, known.y, name="small")
    described = bundle.manifest["model"]
    made = written((bundle.model_folder / described["file"]).read_bytes(), described, name=known.name)
    rows, wanted = bundle.golden()
    put(tmp_path / "files" / name, made, pd.DataFrame(rows))
    older(tmp_path / "files")
    for answer in ANSWERS.values():
        assert answer(tmp_path / "files" / name)[0].tolist() == wanted


def test_a_missing_runtime_is_named_with_what_to_type(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    from modelyard_runtime.bundle_format import BundleError

    described = put(tmp_path / "file", case("ridge").written(), DIABETES[0])
    monkeypatch.setattr("modelyard_device.flatbuffer.find_spec", lambda name: None)
    with pytest.raises(BundleError, match="found neither; type: pip install ai-edge-litert"):
        FlatbufferModel(tmp_path / "file", described)
    monkeypatch.setattr(
        "modelyard_device.flatbuffer.find_spec", lambda name: name == "tflite_runtime" or None
    )
    with pytest.raises(BundleError, match=r"needs numpy below 2, found .*; type: pip install 'numpy<2'"):
        FlatbufferModel(tmp_path / "file", described)


def test_a_broken_file_is_told_in_one_line(tmp_path: Path) -> None:
    from modelyard_runtime.bundle_format import BundleError

    described = put(tmp_path / "file", case("ridge").written(), DIABETES[0])
    (tmp_path / "file" / "model.tflite").write_bytes(b"no such thing" * 9)
    with pytest.raises(BundleError, match=r"'model.tflite' is none that this runtime reads"):
        FlatbufferModel(tmp_path / "file", described)
