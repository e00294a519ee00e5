"""A torch module is packaged as its ONNX export, which answers what the module answers.

Runs in an environment of its own, `make env-torch`; MODELYARD_TORCH is set there, so that nothing is skipped.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import numpy as np
import onnx
import pandas as pd
import pytest
from sklearn.datasets import load_breast_cancer, load_diabetes, load_iris

from modelyard.compression import compress, torch_networks
from modelyard.compression.clock import OutOfTimeError, until
from modelyard.compression.pruning import Pruning
from modelyard.conversion import Conversion, Session, adopt, convert
from modelyard.errors import ConversionError, InvalidInputError, UsageError
from modelyard.evaluation.inputs import samples_for
from modelyard.golden import Outputs, compare, expected
from modelyard.packaging.training_table import checked_table

if "MODELYARD_TORCH" not in os.environ:
    pytest.importorskip("torch")

import torch
from torch import nn


@pytest.fixture(autouse=True)
def seeded() -> None:
    torch.manual_seed(0)


def package(model: Any, X: Any, y: Any) -> tuple[Any, Conversion]:
    """Do what packaging does before it writes anything: the conversion answers as the module."""
    adopted = adopt(model, X, y)
    table = checked_table(adopted, X, y)
    conversion = convert(adopted, table.frame)
    onnx.checker.check_model(conversion.model)
    for rows in (len(table.frame), 1, 3):
        frame = table.frame.head(rows)
        parity = compare(expected(adopted, table.as_fed(frame)), Outputs(*Session(conversion)(frame)))
        assert parity.ok, parity.first
    return adopted, conversion


def iris() -> tuple[pd.DataFrame, Any]:
    X, y = load_iris(as_frame=True, return_X_y=True)
    return X, y.map({0: "setosa", 1: "versicolor", 2: "virginica"})


def two() -> tuple[pd.DataFrame, Any]:
    X, y = load_breast_cancer(as_frame=True, return_X_y=True)
    return (X - X.mean()) / X.std(), y


def layers(widths: list[int], *last: nn.Module) -> nn.Sequential:
    found: list[nn.Module] = []
    for before, after in pairwise(widths):
        found += [nn.Linear(before, after), nn.ReLU()]
    return nn.Sequential(*found[:-1], *last)


def answered(module: nn.Module, X: pd.DataFrame) -> Any:
    with torch.no_grad():
        return module.eval()(torch.tensor(X.to_numpy(), dtype=torch.float32)).numpy()


class Residual(nn.Module):
    """A module as one writes it in a cell: normalisation, dropout, a branch around a layer."""

    def __init__(self, width: int, outputs: int) -> None:
        super().__init__()
        self.norm = nn.BatchNorm1d(width)
        self.inner = nn.Linear(width, width)
        self.drop = nn.Dropout(0.5)
        self.last = nn.Linear(width, outputs)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.norm(x)
        out = self.last(self.drop(torch.tanh(self.inner(x))) + x)
        return out.squeeze(-1) if out.shape[1] == 1 else out


def test_logits_of_three_classes_become_probabilities_and_labels() -> None:
    X, y = iris()
    module = layers([4, 8, 3])
    adopted, conversion = package(module, X, y)
    logits = answered(module, X)
    assert conversion.classes == ("setosa", "versicolor", "virginica")
    assert adopted.predict(X).tolist() == np.array(conversion.classes)[logits.argmax(axis=1)].tolist()
    wanted = torch.softmax(torch.tensor(logits), dim=1).numpy()
    np.testing.assert_allclose(Session(conversion)(X)[1], wanted, atol=1e-6)
    assert "a softmax was added" in conversion.notes[0]


def test_a_softmax_is_not_added_twice() -> None:
    X, y = iris()
    module = layers([4, 8, 3], nn.Softmax(dim=1))
    _, conversion = package(module, X, y)
    np.testing.assert_allclose(Session(conversion)(X)[1], answered(module, X), atol=1e-6)
    assert "are probabilities" in conversion.notes[0]


@pytest.mark.parametrize("sigmoid", [False, True])
def test_one_number_for_two_classes_is_a_logit_or_a_probability(sigmoid: bool) -> None:
    X, y = two()
    module = layers([30, 8, 1], *([nn.Sigmoid()] if sigmoid else []))
    _, conversion = package(module, X, y)
    assert conversion.task == "binary"
    found = torch.tensor(answered(module, X).reshape(-1))
    wanted = found if sigmoid else torch.sigmoid(found)
    np.testing.assert_allclose(Session(conversion)(X)[1][:, 1], wanted.numpy(), atol=1e-6)
    assert ("is the probability of 1" if sigmoid else "a sigmoid was added") in conversion.notes[0]


def test_one_number_for_a_quantity_is_a_value() -> None:
    X, y = load_diabetes(as_frame=True, return_X_y=True)
    module = Residual(10, 1)
    _, conversion = package(module, X, y)
    assert conversion.task == "regression"
    np.testing.assert_allclose(Session(conversion)(X)[0], answered(module, X), atol=1e-5)


def test_a_module_is_packaged_in_evaluation_mode_and_left_as_it_was() -> None:
    X, y = two()
    module = Residual(30, 1).train()
    before = {name: value.clone() for name, value in module.state_dict().items()}
    package(module, X, y)
    assert module.training
    assert all(torch.equal(before[name], value) for name, value in module.state_dict().items())


def test_a_table_may_be_an_array_and_a_module_double() -> None:
    X, y = iris()
    _, conversion = package(layers([4, 3]).double(), X.to_numpy(), y.to_numpy())
    assert conversion.inputs[0].columns == ("x0", "x1", "x2", "x3")
    assert conversion.inputs[0].dtype == "float64"


def test_missing_values_reach_the_module() -> None:
    class Filled(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.last = nn.Linear(4, 3)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.last(torch.nan_to_num(x))

    X, y = iris()
    gaps = X.mask(np.random.default_rng(0).random(X.shape) < 0.2)
    package(Filled(), gaps, y)
    with pytest.raises(InvalidInputError, match="Sequential answers NaN to row"):
        adopt(layers([4, 3]), gaps, y)


def test_an_exported_program_is_taken() -> None:
    X, y = iris()
    rows = torch.export.Dim("rows")
    program = torch.export.export(layers([4, 8, 3]).eval(), (torch.zeros(2, 4),), dynamic_shapes=({0: rows},))
    package(program, X, y)
    with pytest.raises(InvalidInputError, match="the exported program cannot predict"):
        adopt(torch.export.export(layers([4, 3]).eval(), (torch.zeros(2, 4),)), X, y)


def test_the_bytes_are_the_same_twice_and_name_no_path() -> None:
    X, y = iris()
    module = Residual(4, 3)
    found = {package(module, X, y)[1].model for _ in range(2)}
    assert len(found) == 1
    content = found.pop()
    assert b".py" not in content
    assert b"Residual" not in content


def test_torch_is_not_imported_until_a_module_is_met() -> None:
    script = (
        "import sys, modelyard.conversion.torch_module, modelyard.conversion.onnx_file;"
        "from modelyard.conversion import adopt; adopt(3, None, None); print('torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, text=True)
    assert done.stdout.strip() == "False"


# ------------------------------------------------------------------------------------------- refusals


class Doing(nn.Module):
    """Does what it is told to with the output of a layer."""

    def __init__(self, act: Callable[[torch.Tensor], Any]) -> None:
        super().__init__()
        self.layer = nn.Linear(4, 3)
        self.act = act

    def forward(self, x: torch.Tensor) -> Any:
        return self.act(self.layer(x))


REFUSED = {
    "returns a tuple; return one tensor": Doing(lambda out: (out, out)),
    "returns a dict; return one tensor": Doing(lambda out: {"logits": out}),
    "returns torch.int64; return what it computes": Doing(lambda out: out.argmax(dim=1)),
    "returns the shape (8, 3, 1) for 8 rows": Doing(lambda out: out[:8, :, None]),
    "otherwise when other rows are beside it": Doing(lambda out: torch.softmax(out, dim=0)),
    "2 outputs a row and y has 3 classes": Doing(lambda out: out[:, :2]),
    "a Tensor of torch is no model": torch.zeros(3),
}


@pytest.mark.parametrize("message", REFUSED)
def test_what_no_bundle_holds_is_said_in_one_line(message: str) -> None:
    X, y = iris()
    with pytest.raises((ConversionError, InvalidInputError)) as raised:
        adopt(REFUSED[message], X.head(8) if "(8, 3, 1)" in message else X, y)
    assert message in str(raised.value)
    assert "\n" not in str(raised.value)


def test_another_table_is_said_in_one_line() -> None:
    X, y = iris()
    with pytest.raises(
        InvalidInputError, match=r"^Sequential cannot predict a float32 tensor of shape \(150, 4\)"
    ):
        adopt(layers([5, 3]), X, y)
    with pytest.raises(InvalidInputError, match="the column 'word' holds text; encode it"):
        adopt(layers([5, 3]), X.assign(word="a"), y)


def test_a_module_that_cannot_be_exported_is_said_in_one_line() -> None:
    X, y = iris()
    adopted = adopt(Doing(lambda out: out if out.sum() > 1e9 else out * 2), X, y)
    with pytest.raises(ConversionError, match=r"^torch cannot export Doing \(") as raised:
        convert(adopted, X)
    assert "\n" not in str(raised.value)


def test_a_module_that_is_random_does_not_pass_for_faithful() -> None:
    X, y = iris()
    with pytest.raises(ConversionError, match="otherwise when other rows are beside it"):
        adopt(Doing(lambda out: out + torch.rand_like(out)), X, y)


# ---------------------------------------------------------------------------------------- compression


class Written(nn.Module):
    """Layers called one by one in ``forward``, which no ``Sequential`` tells the order of."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.norm = nn.Linear(30, 128), nn.BatchNorm1d(128)
        self.second, self.drop = nn.Linear(128, 64), nn.Dropout(0.1)
        self.last = nn.Linear(64, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = torch.relu(self.norm(self.first(x)))
        return self.last(self.drop(nn.functional.gelu(self.second(x)))).squeeze(-1)


def trained(module: nn.Module, X: pd.DataFrame, y: Any, rows: int) -> nn.Module:
    """Train on the first rows, so that the others tell how good the module is."""
    given, wanted = (torch.tensor(np.asarray(part)[:rows], dtype=torch.float32) for part in (X, y))
    optimizer = torch.optim.Adam(module.parameters(), lr=3e-3)
    module.train()
    for _ in range(60):
        optimizer.zero_grad()
        nn.functional.binary_cross_entropy_with_logits(module(given), wanted).backward()
        optimizer.step()
    return module.eval()


def test_a_module_is_quantized_and_its_layers_are_pruned() -> None:
    X, y = two()
    module = trained(Written(), X, y, 400)
    before = {name: value.clone() for name, value in module.state_dict().items()}
    found = compress(
        module, X, y, max_drop=0.1, techniques=["pruning", "quantization"], scoring="accuracy", name="module"
    )
    table = found.candidates.set_index("settings")
    assert not found.candidates["form"].ne("onnx").any()
    original = table.loc[""]
    sizes = {settings: original["size_bytes"] / table.loc[settings, "size_bytes"] for settings in table.index}
    assert sizes["float16 weights"] > 1.7
    assert sizes["int8 layers, static"] > 2
    assert sizes["int8 layers, dynamic"] > 2
    assert sizes["int4 weights"] > 3
    assert sizes["64, 32 neurons"] > 2.5
    assert sizes["15, 8 neurons"] > 8
    assert table.loc["float16 weights", "agreement"] == 1
    assert (
        table.loc[["float16 weights", "int8 layers, dynamic", "64, 32 neurons"], "agreement"] > 0.95
    ).all()
    assert "pruning + quantization" in set(found.candidates["technique"])
    assert found.original_cost.size_bytes > 4 * found.best.size_bytes
    assert np.mean(found.best.predict(X) == y) > 0.85
    assert repr(found).startswith("Written by pruning")
    assert any("a torch module cannot be fitted again" in note for note in found.notes())
    assert all(torch.equal(before[name], value) for name, value in module.state_dict().items())
    assert not module.training
    package(found.best, X, y)

    with torch.no_grad():
        module.last.bias += 1
    with pytest.raises(UsageError, match="compression 'module' was made with weights = "):
        compress(module, X, y, scoring="accuracy", name="module", resume=True)


def test_fine_tuning_stops_with_the_clock() -> None:
    X, y = two()
    adopted = adopt(layers([30, 64, 1]), X, y)
    samples = samples_for(adopted, X, y)
    [(words, make), *_] = torch_networks.pruned(adopted, 0)
    assert words == "32 neurons"
    assert make(adopted, samples).module[0].out_features == 32
    with until(time.perf_counter()), pytest.raises(OutOfTimeError):
        make(adopted, samples)


def test_a_pruned_module_is_the_module_without_the_neurons_that_say_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Where half of the neurons say nothing, leaving them out changes no answer; it is looked at before training."""
    X, y = two()
    module = Written().eval()
    with torch.no_grad():
        module.second.weight[:, 64:] = 0
        module.last.weight[:, 32:] = 0
    adopted = adopt(module, X, y)
    monkeypatch.setattr(torch_networks, "_EPOCHS", 0)
    smaller = next(torch_networks.pruned(adopted, 0))[1](adopted, samples_for(adopted, X, y))
    assert [part.out_features for part in smaller.module.modules() if isinstance(part, nn.Linear)] == [
        64,
        32,
        1,
    ]
    np.testing.assert_allclose(smaller.predict_proba(X), adopted.predict_proba(X), atol=1e-6)


@pytest.mark.parametrize(
    "module",
    [
        Residual(30, 1),  # its inner layer meets the input again
        nn.Sequential(nn.Linear(30, 8), nn.LayerNorm(8), nn.Linear(8, 1)),  # its norm knows the other neurons
        nn.Linear(30, 1),
        nn.Sequential(
            nn.Linear(30, 8), nn.ReLU(), shared := nn.Linear(8, 8), nn.ReLU(), shared, nn.Linear(8, 1)
        ),
    ],
    ids=["a branch", "a norm over neurons", "one layer", "a layer twice"],
)
def test_layers_whose_neurons_others_know_are_left_alone(module: nn.Module) -> None:
    X, y = two()
    adopted = adopt(module, X, y)
    assert not torch_networks.fits(adopted)
    assert not Pruning().fits(adopted)


def test_three_classes_and_a_quantity_are_compressed_too() -> None:
    X, y = iris()
    found = compress(layers([4, 32, 3]), X, y, max_drop=1, caution=0, techniques="pruning")
    assert set(found.best.predict(X)) <= {"setosa", "versicolor", "virginica"}
    X, y = load_diabetes(as_frame=True, return_X_y=True)
    found = compress(layers([10, 32, 1]).double(), X, y, max_drop=99, caution=0, techniques=["quantization"])
    assert found.metric == "r2"
    assert "float32 layers" in set(found.candidates["settings"])
