"""What goes to Lambda, run by AWS's own runtime client and runtime interface emulator."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import statistics
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sklearn.datasets import load_breast_cancer
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler

import modelyard
from emulators import LambdaEmulator, python_of_environment
from modelyard.errors import DeploymentError
from modelyard.packaging import Bundle
from modelyard.targets.artifact import Artifact
from modelyard.targets.aws_lambda import LambdaTarget
from modelyard.targets.aws_lambda_events import url_event
from modelyard.targets.aws_lambda_package import PACKAGES, ZIP
from modelyard.targets.fitting import fit_of
from modelyard.targets.rehearsing.golden_replay import GoldenReplay
from modelyard.targets.rehearsing.rehearsal import rehearsed
from modelyard_runtime.access import token_hash
from people import a_place_of_its_own

X, y = load_breast_cancer(return_X_y=True, as_frame=True)
TOKEN = {"authorization": "Bearer secret"}
# Loose: a machine that does something else at the same time is slow. benchmarks/targets.py holds the strict ones.
COLD_S, WARM_S = 6.0, 0.05


@dataclasses.dataclass(frozen=True)
class Made:
    bundle: Bundle
    target: LambdaTarget
    folder: Path
    artifact: Artifact


def made(bundle: Bundle, folder: Path, **options: Any) -> Made:
    target = LambdaTarget(python=python_of_environment(), **options)
    return Made(bundle, target, folder, target.make(bundle, folder))


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    with a_place_of_its_own(tmp_path_factory) as folder:
        yield folder


@pytest.fixture(scope="module")
def onnx(place: Path, tmp_path_factory: pytest.TempPathFactory) -> Made:
    model = make_pipeline(StandardScaler(), RandomForestClassifier(50, random_state=0)).fit(X, y)
    return made(modelyard.package(model, X, y, name="cancer"), tmp_path_factory.mktemp("made"))


@pytest.fixture(scope="module")
def python(place: Path, tmp_path_factory: pytest.TempPathFactory) -> Made:
    """A model whose first step is Python."""
    model = make_pipeline(
        FunctionTransformer(halved), StandardScaler(), LogisticRegression(max_iter=500)
    ).fit(X, y)
    bundle = modelyard.package(model, X, y, name="halved")
    assert bundle.manifest["model"]["kind"] != "onnx"
    return made(bundle, tmp_path_factory.mktemp("made"))


def halved(table: Any) -> Any:
    return table / 2 + (table % 1 > 0.5)


def replayed(found: Made, folder: Path) -> list[float]:
    """Replay the golden rows in the emulator; return the seconds of each, the start in the first one."""
    golden = GoldenReplay(found.bundle)
    handler = found.artifact.handler
    env = {"MODELYARD_TOKEN_SHA256": token_hash("secret")}
    answers, seconds = [], []
    with LambdaEmulator(found.folder / ZIP, handler.python, folder, env) as emulator:
        before = sorted(emulator.content.rglob("*"))
        for body in golden.bodies():
            said, took = emulator.ask(url_event(body, headers=TOKEN))
            assert "statusCode" in said, (said, emulator.said())
            status, answer = handler.answered(said)
            assert status == 200, answer
            answers.append(answer)
            seconds.append(took)
        assert emulator.ask(url_event(golden.bodies()[0]))[0]["statusCode"] == 401
        assert emulator.ask({"Records": []})[0]["statusCode"] == 400
        assert emulator.ask(url_event(b"", "GET", "/healthz"))[0]["statusCode"] == 200
        schema = emulator.ask(url_event(b"", "GET", "/schema", TOKEN))[0]
        assert json.loads(schema["body"])["oneOf"]
        assert sorted(emulator.content.rglob("*")) == before  # it writes nothing
    parity = golden.compared(answers)
    assert parity.ok, parity
    return seconds


@pytest.mark.parametrize("kind", ["onnx", "python"])
def test_the_golden_rows_come_back_from_awss_own_runtime(
    kind: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    seconds = replayed(request.getfixturevalue(kind), tmp_path)
    cold, warm = seconds[0], statistics.median(seconds[1:])
    print(f"{kind}: cold {cold:.3f} s, warm {warm * 1e3:.2f} ms")
    assert cold < COLD_S * (1 if kind == "onnx" else 4)
    assert warm < WARM_S


def test_the_zip_of_an_onnx_bundle_is_small_and_says_of_what_it_consists(onnx: Made) -> None:
    artifact = onnx.artifact
    sizes = {component.name: component.bytes for component in artifact.components}
    print(f"{artifact.packed_bytes} packed, {artifact.unpacked_bytes} unpacked: {sizes}")
    assert artifact.packed_bytes == (onnx.folder / ZIP).stat().st_size <= 30e6
    content = onnx.folder / PACKAGES["zip"].content
    assert artifact.unpacked_bytes == sum(
        path.stat().st_size for path in content.rglob("*") if path.is_file()
    )
    assert artifact.unpacked_bytes <= 90e6
    assert {"model", "runtime", "handler", "numpy", "onnxruntime", "msgspec"} <= set(sizes)
    assert sizes.get("other files", 0) == 0


def test_the_same_bundle_makes_the_same_bytes(onnx: Made, tmp_path: Path) -> None:
    again = made(onnx.bundle, tmp_path)
    digests = [
        hashlib.sha256((folder / ZIP).read_bytes()).hexdigest() for folder in (onnx.folder, again.folder)
    ]
    assert digests[0] == digests[1]


def test_it_is_made_for_the_other_processor_too_and_cannot_be_rehearsed_here(
    onnx: Made, tmp_path: Path
) -> None:
    other = "arm64" if onnx.target.architecture == "x86_64" else "x86_64"
    found = made(onnx.bundle, tmp_path, architecture=other)
    assert fit_of(onnx.bundle.tag, "aws-lambda", found.target.limits, found.artifact).ok
    with pytest.raises(DeploymentError, match="cannot be rehearsed here"):
        rehearsed(onnx.bundle, "aws-lambda", found.target.limits, found.artifact)


@pytest.mark.parametrize(("kind", "wrong"), [("onnx", set()), ("python", {"size"})])
def test_the_rehearsal_passes_but_for_the_size_of_scikit_learn(
    kind: str, wrong: set[str], request: pytest.FixtureRequest
) -> None:
    found: Made = request.getfixturevalue(kind)
    patient = dataclasses.replace(
        found.target.limits, startup_s=120.0
    )  # this machine does more than one thing
    rehearsal = rehearsed(found.bundle, "aws-lambda", patient, found.artifact)
    assert {finding.kind for finding in rehearsal.findings} == wrong, rehearsal.findings
    assert rehearsal.matched == rehearsal.rows
    assert rehearsal.isolation == "namespaces"
    assert {need.what for need in rehearsal.fit.needs} >= {
        "bytes packed", "bytes unpacked", "bytes of memory", "seconds until it can answer", "Python",
    }  # fmt: skip


def test_too_little_memory_is_found_before_aws_is_asked(onnx: Made) -> None:
    limits = dataclasses.replace(onnx.target.limits, memory_bytes=40_000_000)  # less than Lambda's least is
    found = rehearsed(onnx.bundle, "aws-lambda", limits, onnx.artifact)
    assert {finding.kind for finding in found.findings} == {"memory"}
