"""An ONNX file is taken as it is: its conversion answers what ONNX Runtime answers for the file."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pandas as pd
import pytest
from onnx import TensorProto, helper, numpy_helper
from skl2onnx import convert_sklearn, to_onnx
from skl2onnx.common.data_types import FloatTensorType, StringTensorType
from sklearn.compose import ColumnTransformer
from sklearn.datasets import load_breast_cancer, load_diabetes, load_iris, load_wine
from sklearn.ensemble import RandomForestClassifier, RandomForestRegressor
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from modelyard.conversion import Conversion, Session, adopt, convert
from modelyard.errors import ConversionError, InvalidInputError
from modelyard.golden import Outputs, compare, expected
from modelyard.packaging.training_table import checked_table

OPSET = {"": 21, "ai.onnx.ml": 3}


def package(model: Any, X: Any, y: Any) -> tuple[Any, Conversion]:
    """Do what packaging does before it writes anything: the conversion answers as the file."""
    adopted = adopt(model, X, y)
    table = checked_table(adopted, X, y)
    conversion = convert(adopted, table.frame)
    onnx.checker.check_model(conversion.model)
    wanted = expected(adopted, table.as_fed(table.frame))
    parity = compare(wanted, Outputs(*Session(conversion)(table.frame)))
    assert parity.ok, parity.first
    one = compare(
        expected(adopted, table.as_fed(table.frame.head(1))),
        Outputs(*Session(conversion)(table.frame.head(1))),
    )
    assert one.ok, one.first
    return adopted, conversion


def run(content: bytes, feed: dict[str, Any]) -> list[Any]:
    found: list[Any] = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"]).run(
        None, feed
    )
    return found


def iris() -> tuple[pd.DataFrame, Any]:
    X, y = load_iris(as_frame=True, return_X_y=True)
    return X, y.map({0: "setosa", 1: "versicolor", 2: "virginica"})


def single(X: pd.DataFrame) -> Any:
    return X.to_numpy(dtype=np.float32)


def classifier(options: dict[str, Any] | None = None) -> tuple[bytes, pd.DataFrame, Any]:
    X, y = iris()
    model = make_pipeline(StandardScaler(), LogisticRegression()).fit(X.to_numpy(), y)
    content = to_onnx(model, single(X)[:1], options=options or {}, target_opset=OPSET).SerializeToString()
    return content, X, y


def network(
    widths: Sequence[int],
    *,
    last: str | None = None,
    rows: int | str | None = "n",
    flat: bool = False,
    seed: int = 0,
    kind: Any = np.float32,
    opset: int = 21,
) -> onnx.ModelProto:
    """Write a multilayer perceptron with standard operators, as an exporter of another framework does."""
    random = np.random.default_rng(seed)
    nodes, constants, value = [], [], "pixels"
    for i, (before, after) in enumerate(pairwise(widths)):
        for name, array in (
            (f"w{i}", random.normal(size=(before, after))),
            (f"b{i}", random.normal(size=after)),
        ):
            constants.append(numpy_helper.from_array(array.astype(kind), name))
        nodes.append(helper.make_node("Gemm", [value, f"w{i}", f"b{i}"], [f"z{i}"], name=f"/home/me/gemm{i}"))
        value = f"z{i}"
        if i < len(widths) - 2:
            nodes.append(helper.make_node("Relu", [value], [f"a{i}"]))
            value = f"a{i}"
    if last is not None:
        options = {"axis": 1} if last == "Softmax" else {}
        nodes.append(helper.make_node(last, [value], ["activated"], **options))
        value = "activated"
    if flat:
        constants.append(numpy_helper.from_array(np.array([-1]), "flat"))
        nodes.append(helper.make_node("Reshape", [value, "flat"], ["reshaped"]))
        value = "reshaped"
    nodes.append(helper.make_node("Identity", [value], ["answer"]))
    nodes[0].doc_string = "File /home/me/secret.py, line 3"
    element = helper.np_dtype_to_tensor_dtype(np.dtype(kind))
    graph = helper.make_graph(
        nodes,
        "network",
        [helper.make_tensor_value_info("pixels", element, [rows, widths[0]])],
        [helper.make_tensor_value_info("answer", element, [rows] if flat else [rows, widths[-1]])],
        constants,
        doc_string="/home/me",
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8)
    helper.set_model_props(model, {"path": "/home/me"})
    onnx.checker.check_model(model)
    return model


# ------------------------------------------------------------------------------------------- files of skl2onnx


@pytest.mark.parametrize("zipmap", [True, False, "columns"], ids=["zipmap", "tensor", "columns"])
def test_a_classifier_answers_as_its_file(zipmap: Any) -> None:
    content, X, y = classifier({"zipmap": zipmap})
    if zipmap == "columns":
        with pytest.raises(ConversionError, match="leave the others out of the file"):
            adopt(content, X, y)
        return
    adopted, conversion = package(content, X, y)
    assert conversion.classes == ("setosa", "versicolor", "virginica")
    assert conversion.task == "multiclass"
    assert adopted.classes_.tolist() == list(conversion.classes)
    labels, probabilities = run(content, {"X": single(X)})
    assert adopted.predict(X).tolist() == labels.tolist()
    given = pd.DataFrame(probabilities)[list(conversion.classes)] if zipmap else probabilities
    np.testing.assert_array_equal(Session(conversion)(X)[1], np.asarray(given, dtype=np.float64))


def test_two_classes_of_whole_numbers_are_whole_numbers() -> None:
    X, y = load_breast_cancer(as_frame=True, return_X_y=True)
    forest = RandomForestClassifier(10, random_state=0).fit(X.to_numpy(), y)
    _, conversion = package(to_onnx(forest, single(X)[:1], target_opset=OPSET), X, y == 1)
    assert conversion.classes == (0, 1)
    assert conversion.task == "binary"


def test_a_regressor_answers_values() -> None:
    X, y = load_diabetes(as_frame=True, return_X_y=True)
    forest = RandomForestRegressor(10, random_state=0).fit(X.to_numpy(), y)
    adopted, conversion = package(to_onnx(forest, single(X)[:1], target_opset=OPSET), X, y)
    assert conversion.task == "regression"
    assert conversion.classes is None
    assert conversion.probability_output is None
    assert not hasattr(adopted, "predict_proba")
    assert not hasattr(adopted, "classes_")


def test_scores_beside_labels_are_not_taken_for_probabilities() -> None:
    X, y = load_wine(as_frame=True, return_X_y=True)
    model = make_pipeline(StandardScaler(), LogisticRegression()).fit(X.to_numpy(), y)
    options = {id(model[-1]): {"raw_scores": True, "zipmap": False}}
    adopted, conversion = package(to_onnx(model, single(X)[:1], options=options, target_opset=OPSET), X, y)
    assert conversion.probability_output is None
    assert not hasattr(adopted, "predict_proba")
    assert "holds no probabilities" in conversion.notes[0]


def people() -> tuple[pd.DataFrame, Any]:
    random = np.random.default_rng(0)
    X = pd.DataFrame(
        {
            "city/town": random.choice(["Bern", "Genève", "Zürich"], 300),
            "age in years": random.normal(40, 10, 300),
            "height": random.normal(170, 10, 300),
        }
    )
    return X, np.where(X["age in years"] + 9 * (X["city/town"] == "Bern") > 43, "yes", "no")


def mixed() -> tuple[onnx.ModelProto, pd.DataFrame, Any]:
    X, y = people()
    columns = ColumnTransformer(
        [
            ("words", OneHotEncoder(handle_unknown="ignore"), ["city/town"]),
            ("numbers", StandardScaler(), ["age in years", "height"]),
        ]
    )
    model = make_pipeline(columns, LogisticRegression()).fit(X, y)
    number = FloatTensorType([None, 1])
    types = [("city/town", StringTensorType([None, 1])), ("age in years", number), ("height", number)]
    written = convert_sklearn(model, initial_types=types, target_opset=OPSET)
    assert written.graph.input[0].name != "city/town"
    return written, X, y


def test_one_input_for_each_column_is_found_by_its_name() -> None:
    model, X, y = mixed()
    adopted, conversion = package(model, X, y)
    assert [entry.columns for entry in conversion.inputs] == [(name,) for name in X.columns]
    assert [entry.dtype for entry in conversion.inputs] == ["string", "float32", "float32"]
    assert conversion.classes == ("no", "yes")
    backwards = X[X.columns[::-1]]
    assert package(model, backwards, y)[0].predict(backwards).tolist() == adopted.predict(X).tolist()


def test_a_null_in_a_text_column_is_fed_as_bundles_feed_it() -> None:
    model, X, y = mixed()
    X.loc[::7, "city/town"] = None
    adopted, conversion = package(model, X, y)
    words, *numbers = model.graph.input
    fed = {words.name: X[["city/town"]].astype(object).fillna("\u2400").to_numpy()}
    fed |= {number.name: single(X[[name]]) for number, name in zip(numbers, X.columns[1:], strict=True)}
    assert adopted.predict(X).tolist() == run(model.SerializeToString(), fed)[0].tolist()
    assert Session(conversion)(X)[0].tolist() == adopted.predict(X).tolist()


# ------------------------------------------------------------------------------------------- networks


@pytest.mark.parametrize("opset", [9, 13, 21])
@pytest.mark.parametrize("kind", [np.float32, np.float64])
def test_logits_of_three_classes_become_probabilities_and_labels(kind: Any, opset: int) -> None:
    X, y = iris()
    model = network([4, 8, 3], kind=kind, opset=opset)
    _, conversion = package(model, X, y)
    (logits,) = run(model.SerializeToString(), {"pixels": X.to_numpy(dtype=kind)})
    labels, probabilities = Session(conversion)(X)
    assert labels.tolist() == np.array(["setosa", "versicolor", "virginica"])[logits.argmax(axis=1)].tolist()
    assert probabilities is not None
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    np.testing.assert_allclose(probabilities, powers / powers.sum(axis=1, keepdims=True), atol=1e-6)
    assert "a softmax was added" in conversion.notes[0]


def test_probabilities_alone_get_labels() -> None:
    X, y = iris()
    model = network([4, 8, 3], last="Softmax")
    _, conversion = package(model, X, y)
    labels, probabilities = Session(conversion)(X)
    (given,) = run(model.SerializeToString(), {"pixels": single(X)})
    np.testing.assert_array_equal(probabilities, given.astype(np.float64))
    assert set(labels.tolist()) <= {"setosa", "versicolor", "virginica"}
    assert "are probabilities" in conversion.notes[0]


@pytest.mark.parametrize("kind", [str, int, bool, float])
def test_labels_have_the_type_of_y(kind: Any) -> None:
    X, y = load_breast_cancer(as_frame=True, return_X_y=True)
    target = y.map({0: "no", 1: "yes"}) if kind is str else y.astype(kind)
    _, conversion = package(network([30, 1]), X, target)
    assert conversion.classes is not None
    assert {type(label) for label in conversion.classes} == {kind}
    assert conversion.classes == tuple(sorted(set(target.tolist())))


@pytest.mark.parametrize("flat", [False, True])
@pytest.mark.parametrize("opset", [9, 13, 21])
@pytest.mark.parametrize("kind", [np.float32, np.float64])
def test_one_number_for_two_classes_is_a_logit_or_a_probability(kind: Any, opset: int, flat: bool) -> None:
    X, y = iris()
    X, y = X[y != "virginica"], y[y != "virginica"]
    for last, said in ((None, "a sigmoid was added"), ("Sigmoid", "is the probability of 'versicolor'")):
        model = network([4, 8, 1], last=last, flat=flat, kind=kind, opset=opset)
        adopted, conversion = package(model, X, y)
        assert said in conversion.notes[0]
        (answer,) = run(model.SerializeToString(), {"pixels": X.to_numpy(dtype=kind)})
        chance = answer.reshape(-1) if last else 1 / (1 + np.exp(-answer.reshape(-1)))
        np.testing.assert_allclose(adopted.predict_proba(X)[:, 1], chance, atol=1e-6)
        assert (adopted.predict(X) == "versicolor").tolist() == (chance > 0.5).tolist()


@pytest.mark.parametrize("flat", [False, True])
def test_one_number_for_a_quantity_is_a_value(flat: bool) -> None:
    X, y = load_diabetes(as_frame=True, return_X_y=True)
    model = network([10, 8, 1], flat=flat)
    _, conversion = package(model, X, y)
    (values,) = run(model.SerializeToString(), {"pixels": single(X)})
    assert conversion.task == "regression"
    np.testing.assert_array_equal(Session(conversion)(X)[0], values.reshape(-1).astype(np.float64))


def test_a_table_may_be_an_array() -> None:
    X, y = iris()
    adopted, conversion = package(network([4, 3]), X.to_numpy(), y.to_numpy())
    assert conversion.inputs[0].columns == ("x0", "x1", "x2", "x3")
    assert (
        adopted.predict(X.to_numpy()).tolist()
        == Session(conversion)(X.set_axis(["x0", "x1", "x2", "x3"], axis=1))[0].tolist()
    )


def by_column(shape: list[Any], kind: int = TensorProto.FLOAT) -> onnx.ModelProto:
    nodes = [helper.make_node("Cast", [name], [f"{name}!"], to=TensorProto.FLOAT) for name in ("a", "b")]
    nodes.append(helper.make_node("Sub", ["a!", "b!"], ["label"]))
    inputs = [helper.make_tensor_value_info(name, kind, shape) for name in ("a", "b")]
    output = helper.make_tensor_value_info("label", TensorProto.FLOAT, shape)
    return helper.make_model(helper.make_graph(nodes, "g", inputs, [output]), ir_version=8)


@pytest.mark.parametrize("shape", [["n"], ["n", 1]], ids=["flat", "column"])
@pytest.mark.parametrize(
    "kind", [TensorProto.FLOAT, TensorProto.INT32, TensorProto.INT64, TensorProto.FLOAT16]
)
def test_an_input_may_be_flat_and_of_another_type(kind: int, shape: list[Any]) -> None:
    X = pd.DataFrame({"b": [1, 2, 3, 5], "a": [9, 7, 3, 1]})
    adopted, _ = package(by_column(shape, kind), X, [0.5, 1.5, 2, 3])
    assert adopted.predict(X).tolist() == [8, 5, 0, -4]


def test_a_null_needs_an_input_that_holds_one() -> None:
    X = pd.DataFrame({"b": [1, 2, 3, 5], "a": [9, 7, 3, 1]})
    adopted = adopt(by_column(["n", 1], TensorProto.INT64), X, [0.5, 1.5, 2, 3])
    with pytest.raises(InvalidInputError, match="takes int64 for 'b', which holds no nulls"):
        adopted.predict(pd.DataFrame({"b": [np.nan], "a": [1]}))
    with pytest.raises(InvalidInputError, match="takes int64 for the column 'a', which holds numbers"):
        adopt(by_column(["n", 1], TensorProto.INT64), X / 2, [0.5, 1.5, 2, 3])


def test_a_missing_value_that_leaves_no_probability_is_refused() -> None:
    X, y = iris()
    adopted = adopt(network([4, 3]), X, y)
    with pytest.raises(InvalidInputError, match="answers NaN to row 1"):
        adopted.predict(X.head(2).mask(np.array([[False] * 4, [True] * 4])))


# ------------------------------------------------------------------------------------------- the bytes


def test_the_bytes_are_the_same_twice_and_name_no_path(tmp_path: Path) -> None:
    X, y = iris()
    model = network([4, 8, 3])
    onnx.save(model, tmp_path / "net.onnx")
    ways = [model, model.SerializeToString(), tmp_path / "net.onnx", str(tmp_path / "net.onnx")]
    found = {package(way, X, y)[1].model for way in ways}
    assert len(found) == 1
    assert b"/home/me" not in found.pop()


def test_a_model_is_not_changed() -> None:
    X, y = iris()
    content, *_ = classifier()
    model = onnx.load_model_from_string(content)
    package(model, X, y)
    assert model == onnx.load_model_from_string(content)


def test_weights_beside_the_file_are_taken_in(tmp_path: Path) -> None:
    X, y = iris()
    model = network([4, 8, 3])
    whole = package(model, X, y)[1].model
    path = tmp_path / "net.onnx"
    onnx.save(model, path, save_as_external_data=True, location="net.bin", size_threshold=0)
    assert package(path, X, y)[1].model == whole
    with pytest.raises(InvalidInputError, match=r"keeps its weights in net\.bin; give the path"):
        adopt(path.read_bytes(), X, y)
    (tmp_path / "net.bin").unlink()
    with pytest.raises(InvalidInputError, match=r"net\.bin, which cannot be read; put it beside"):
        adopt(path, X, y)


@pytest.mark.parametrize("rows", [1, 3])
def test_a_fixed_number_of_rows_is_freed_where_that_changes_nothing(rows: int) -> None:
    X, y = iris()
    free, fixed = network([4, 8, 3]), network([4, 8, 3], rows=rows)
    assert package(fixed, X, y)[1].model == package(free, X, y)[1].model


def test_a_fixed_number_of_rows_inside_the_graph_is_refused() -> None:
    X, y = iris()
    model = network([4, 3], rows=1)
    model.graph.initializer.append(numpy_helper.from_array(np.array([1, 3]), "one row"))
    model.graph.node[-1].op_type = "Reshape"
    model.graph.node[-1].input.append("one row")
    with pytest.raises(ConversionError, match=r"takes 1 rows at once.*dynamic batch axis"):
        adopt(model, X, y)


# ------------------------------------------------------------------------------------------- refusals


def refused(model: Any, X: Any, y: Any, error: type[Exception] = ConversionError) -> str:
    with pytest.raises(error) as raised:
        adopt(model, X, y)
    message = str(raised.value)
    assert "\n" not in message
    return message


def test_what_is_no_model_is_said_in_one_line(tmp_path: Path) -> None:
    X, y = iris()
    (tmp_path / "notes.onnx").write_text("these are notes")
    assert "'churn.onnx' does not exist" in refused("churn.onnx", X, y, InvalidInputError)
    assert "is a folder" in refused(tmp_path, X, y, InvalidInputError)
    assert "notes.onnx is not an ONNX model" in refused(tmp_path / "notes.onnx", X, y, InvalidInputError)
    assert "it has no outputs" in refused(b"", X, y, InvalidInputError)
    assert "no whole model" in refused(network([4, 3]).graph, X, y, InvalidInputError)


def test_another_table_is_said_in_one_line() -> None:
    X, y = iris()
    assert "takes 5 columns, X has 4" in refused(network([5, 3]), X, y, InvalidInputError)
    assert "found shape (150,)" in refused(network([1, 3]), y, y, InvalidInputError)
    assert "X has no rows" in refused(network([4, 3]), X.head(0), y.head(0), InvalidInputError)
    words = X.assign(**{"petal width (cm)": "wide"})
    assert "'petal width (cm)', which holds text" in refused(network([4, 3]), words, y, InvalidInputError)
    model, people_, answers = mixed()
    renamed = people_.rename(columns={"height": "size"})
    assert "has an input 'height'" in refused(model, renamed, answers, InvalidInputError)
    assert "no input for the column 'w'" in refused(model, people_.assign(w=1), answers, InvalidInputError)
    numbers = people_.assign(**{"city/town": 1.0})
    assert "takes string for the column 'city/town'" in refused(model, numbers, answers, InvalidInputError)


def test_several_answers_are_said_in_one_line() -> None:
    X, y = iris()
    quantity = X["sepal length (cm)"]
    assert "predicts 3 outputs a row and y is a quantity" in refused(network([4, 3]), X, quantity)
    assert "2 outputs a row and y has 3 classes" in refused(network([4, 2]), X, y)
    assert "one output a row and y has 3 classes" in refused(network([4, 1]), X, y)
    assert "y has 1 nulls" in refused(network([4, 3]), X, [None, *y[1:]], InvalidInputError)


def test_a_picture_is_no_table() -> None:
    X, y = iris()
    nodes = [
        helper.make_node("Flatten", ["pixels"], ["flat"]),
        helper.make_node("Softmax", ["flat"], ["out"]),
    ]
    pixels = helper.make_tensor_value_info("pixels", TensorProto.FLOAT, ["n", 4, 8])
    out = helper.make_tensor_value_info("out", TensorProto.FLOAT, ["n", 32])
    model = helper.make_model(helper.make_graph(nodes, "g", [pixels], [out]), ir_version=8)
    assert "of shape (n, 4, 8) as 'pixels'; a bundle feeds columns" in refused(model, X, y)


def test_an_operator_that_onnx_runtime_lacks_is_named() -> None:
    X, y = iris()
    model = network([4, 3])
    model.graph.node[0].domain, model.graph.node[0].op_type = "com.acme", "Magic"
    model.opset_import.append(helper.make_opsetid("com.acme", 1))
    assert "ONNX Runtime cannot load the ONNX model" in (message := refused(model, X, y))
    assert "Magic" in message


def test_rows_that_depend_on_each_other_are_refused() -> None:
    X, y = iris()
    model = network([4, 3], last="Softmax")
    model.graph.node[-2].attribute[0].i = 0
    assert "otherwise when other rows are beside it" in refused(model, X, y)


# ------------------------------------------------------------------------------------------- shapes of files


def described(
    nodes: list[Any], outputs: list[Any], constants: Sequence[Any] = (), **header: Any
) -> onnx.ModelProto:
    pixels = helper.make_tensor_value_info("pixels", TensorProto.FLOAT, ["n", 4])
    graph = helper.make_graph(nodes, "g", [pixels], outputs, constants)
    return helper.make_model(
        graph, **{"ir_version": 8, "opset_imports": [helper.make_opsetid("", 18)]} | header
    )


def argmax(dtype: int = TensorProto.INT64) -> onnx.ModelProto:
    """Write a file that answers the place of the largest column, and nothing else."""
    nodes = [
        helper.make_node("ArgMax", ["pixels"], ["place"], axis=1, keepdims=0),
        helper.make_node("Cast", ["place"], ["label"], to=dtype),
    ]
    return described(nodes, [helper.make_tensor_value_info("label", dtype, ["n"])])


def test_labels_alone_are_enough() -> None:
    X, _ = iris()
    largest = X.to_numpy().argmax(axis=1)
    adopted, conversion = package(argmax(), X, largest)
    assert conversion.classes == tuple(sorted(set(largest.tolist())))
    assert conversion.probability_output is None
    assert not hasattr(adopted, "predict_proba")
    assert "give the y that it was trained on" in refused(argmax(), X, ["a", *["b"] * 149])


def test_whole_numbers_may_be_the_values_of_a_quantity() -> None:
    X, _ = iris()
    adopted, conversion = package(argmax(), X, X.to_numpy()[:, 0])
    assert conversion.task == "regression"
    assert adopted.predict(X).dtype == np.float64


def test_labels_are_places_where_nothing_names_them() -> None:
    X, y = iris()
    model = network([4, 3], last="Softmax")
    model.graph.node.append(helper.make_node("ArgMax", ["answer"], ["best"], axis=1, keepdims=0))
    model.graph.output.append(helper.make_tensor_value_info("best", TensorProto.INT64, ["n"]))
    _, conversion = package(model, X, y)
    assert conversion.classes == (0, 1, 2)
    assert conversion.probability_output is not None


def test_weights_may_be_listed_as_inputs_as_old_exporters_do() -> None:
    X, y = iris()
    model = network([4, 8, 3], opset=8)
    model.ir_version = 3
    for constant in model.graph.initializer:
        value = helper.make_tensor_value_info(constant.name, constant.data_type, constant.dims)
        model.graph.input.append(value)
    package(model, X, y)


def test_a_graph_may_hold_other_graphs_and_functions() -> None:
    X, y = iris()
    logits = helper.make_tensor_value_info("pixels twice", TensorProto.FLOAT, None)
    branch = helper.make_graph(
        [helper.make_node("Add", ["pixels", "pixels"], ["pixels twice"])], "b", [], [logits]
    )
    branch.doc_string = branch.node[0].doc_string = "/home/me"
    double = helper.make_function(
        "local", "Cut", ["x"], ["y"],
        [helper.make_node("Slice", ["x", "from", "to", "axis"], ["y"])], [helper.make_opsetid("", 18)],
    )  # fmt: skip
    double.node[0].doc_string = "/home/me"
    for name, value in (("from", 0), ("to", 3), ("axis", 1)):
        constant = helper.make_node("Constant", [], [name], value_ints=[value])
        double.node.insert(0, constant)
    nodes = [
        helper.make_node("If", ["always"], ["twice"], then_branch=branch, else_branch=branch),
        helper.make_node("Cut", ["twice"], ["logits"], domain="local"),
    ]
    model = described(
        nodes,
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["n", 3])],
        [numpy_helper.from_array(np.array(True), "always")],
        functions=[double],
        opset_imports=[helper.make_opsetid("", 18), helper.make_opsetid("local", 1)],
    )
    _, conversion = package(model, X, y)
    assert b"/home/me" not in conversion.model


@pytest.mark.parametrize("named", ["label", "probabilities", "X", "inner"])
def test_a_column_may_have_any_name(named: str) -> None:
    X, y = iris()
    X = X.set_axis([named, "b", "c", "d"], axis=1)
    nodes = [helper.make_node("Concat", list(X.columns), ["whole"], axis=1)]
    inputs = [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["n", 1]) for name in X.columns]
    nodes.append(helper.make_node("Slice", ["whole", "zero", "three", "one"], ["logits"]))
    constants = [
        numpy_helper.from_array(np.array([value]), name)
        for name, value in (("zero", 0), ("three", 3), ("one", 1))
    ]
    output = helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["n", 3])
    package(helper.make_model(helper.make_graph(nodes, "g", inputs, [output], constants), ir_version=8), X, y)


def test_estimators_are_adopted_as_they_are() -> None:
    X, y = iris()
    model = LogisticRegression(max_iter=1000).fit(X, y)
    assert adopt(model, X, y) is model
    adopted = adopt(network([4, 3]), X, y)
    assert adopt(adopted, X, y) is adopted
