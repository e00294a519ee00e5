"""Will it fit, and would it work there: rehearsals of ours and of a stranger's target, good handlers and bad ones."""

from __future__ import annotations

import re
import textwrap
from pathlib import Path
from typing import Any

import pytest
from IPython.core.interactiveshell import InteractiveShell
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression

import modelyard
from modelyard.limits import Limits
from modelyard.packaging import Bundle
from modelyard.targets.artifact import Artifact, Component, Function, components_in
from modelyard.targets.fitting import Measured, fit_of
from modelyard.targets.rehearsing.box import namespaces

X, y = load_iris(return_X_y=True, as_frame=True)
MODEL = LogisticRegression(max_iter=500).fit(X, y)

MOONBASE = '''
"""A target that is not ours: one file and one line of entry points."""
import platform, sys
from dataclasses import dataclass, field
from pathlib import Path
from modelyard.limits import Limits
from modelyard.targets import Endpoint, Plan, Status
from modelyard.targets.artifact import Artifact, Component, Function, bundle_components, installed_components
from modelyard.packaging.locking import pinned
from modelyard.targets.cost import nothing

HANDLER = """
import json, os, socket, sys, time
from pathlib import Path
from modelyard_runtime.predictor import Predictor
predictor = Predictor(Path({model!r}))
import msgspec
def handler(event, context):
    {does}
    return json.loads(msgspec.json.encode(predictor.answer(json.dumps(event).encode())))
"""

@dataclass(frozen=True)
class Moonbase:
    limits = Limits("the moonbase manual", "2026-11-01", memory_bytes=400_000_000, timeout_s=2.0, startup_s=30.0,
                    response_bytes=100_000, read_only_disk=True, writable=("/tmp",), network=False)
    acts_at_once = False
    does: str = field(default="pass", metadata={"help": "what the handler does besides"})

    def make(self, bundle, folder):
        import shutil
        shutil.copytree(bundle.path / "src", folder / "src")
        (folder / "app.py").write_text(HANDLER.format(model=str(folder / "src" / "model"), does=self.does))
        import numpy
        site = Path(numpy.__file__).parents[1]
        return Artifact(
            folder, (*bundle_components(bundle.path), *installed_components(pinned(bundle.lock))),
            Function("app:handler", (folder, folder / "src" / "runtime")),
            f"{sys.version_info[0]}.{sys.version_info[1]}", platform.machine(),
        )

    def plan(self, bundle, name, artifact, live):
        return Plan("moonbase", name, bundle.tag, ("fly there",), nothing("it is a moonbase of friends"))
'''


@pytest.fixture
def bundle(shared_store: Path) -> Bundle:
    return modelyard.package(MODEL, X, y, name="iris")


@pytest.fixture
def moonbase(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    site = tmp_path / "site"
    info = site / "moonbase-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: moonbase\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[modelyard.targets]\nmoonbase = moonbase:Moonbase\n")
    (site / "moonbase.py").write_text(textwrap.dedent(MOONBASE))
    monkeypatch.syspath_prepend(str(site))
    return "moonbase"


def rehearsed(bundle: Bundle, target: str, does: str) -> Any:
    assert namespaces() is not None, "this machine has no namespaces: what is to be stopped cannot be"
    return modelyard.rehearse(bundle, to=target, does=does)


def kinds(found: Any) -> set[str]:
    return {finding.kind for finding in found.findings if finding.is_violation}


def test_a_good_handler_answers_every_golden_row_of_a_strangers_target(bundle: Bundle, moonbase: str) -> None:
    found = rehearsed(bundle, moonbase, "pass")
    assert found.ok, found.findings
    assert found.matched == found.rows == len(bundle.golden()[0])
    assert found.isolation == "namespaces"
    assert 0 < found.ready_s <= found.cold_start_s < 30
    assert 20 < found.peak_mb < 400
    assert {"numpy", "onnxruntime"} <= {each.package for each in found.imports}
    assert found.fit.ok
    assert {need.what for need in found.fit.needs} >= {"bytes of memory", "seconds for an answer"}


@pytest.mark.parametrize(
    ("does", "kind", "says"),
    [
        ("Path('/var/tmp/x').write_text('x')", "writes", r"/var/tmp/x; the disk is read-only but for /tmp"),
        ("open('cache', 'w')", "writes", r"cache in its own folder; the disk is read-only"),
        (
            "socket.create_connection(('192.0.2.1', 80), 1)",
            "connects",
            r"192\.0\.2\.1:80; there is no network",
        ),
        ("socket.getaddrinfo('example.org', 80)", "connects", r"example\.org:80; there is no network"),
        ("bytearray(b'x') * 2_000_000_000", "memory", r"of memory, the place has 400 MB"),
        ("time.sleep(5)", "timeout", r"longer than the 2 s that the place gives"),
        ("os._exit(3)", "ended", r"ended the process"),
        ("raise ValueError('no such thing')", "error", r"ValueError: no such thing"),
        ("return {'predictions': ['mauve'], 'probabilities': None}", "error", r"none of a predictor's"),
        ("return 'x' * 200", "error", r"none of a predictor's"),
    ],
)
def test_a_bad_handler_is_named_for_what_it_does(
    bundle: Bundle, moonbase: str, does: str, kind: str, says: str
) -> None:
    found = rehearsed(bundle, moonbase, does)
    assert not found.ok
    assert kind in kinds(found)
    told = next(finding.text for finding in found.findings if finding.kind == kind)
    assert re.search(says, told), told
    assert not Path("/var/tmp/x").exists()


def test_a_wrong_answer_is_a_difference(bundle: Bundle, moonbase: str) -> None:
    asks = "json.loads(msgspec.json.encode(predictor.answer(json.dumps(event).encode())))"
    does = f"answer = {asks}; answer['predictions'] = [7]; return answer"
    found = rehearsed(bundle, moonbase, does)
    assert kinds(found) == {"differs"}
    assert found.matched == 0


def test_who_copes_with_a_closed_disk_passes_with_a_remark(bundle: Bundle, moonbase: str) -> None:
    does = 'exec(\'try:\\n Path("/var/x").write_text("x")\\nexcept OSError: pass\')'
    found = rehearsed(bundle, moonbase, does)
    assert found.ok
    assert [finding.kind for finding in found.findings] == ["writes"]


def test_what_a_place_lets_write_can_be_written(bundle: Bundle, moonbase: str) -> None:
    found = rehearsed(bundle, moonbase, "Path('/tmp/x').write_text('x')")
    assert found.ok
    assert found.findings == ()
    assert not Path("/tmp/x").exists()


def test_the_local_target_is_rehearsed_with_its_real_server(bundle: Bundle) -> None:
    found = modelyard.rehearse(bundle, to="local")
    assert found.ok, found.findings
    assert found.matched == found.rows
    assert "bentoml" in {each.package for each in found.imports}


def test_without_namespaces_a_rehearsal_is_advisory_and_still_names_what_is_forbidden(
    bundle: Bundle, moonbase: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("modelyard.targets.rehearsing.box.namespaces", lambda: None)
    found = modelyard.rehearse(bundle, to=moonbase, does="open('cache', 'w')")
    assert found.isolation == "advisory"
    assert kinds(found) == {"writes"}
    assert "advisory" in found._repr_mimebundle_()["text/plain"]


@pytest.mark.parametrize(
    "limit", ["unpacked_bytes", "packed_bytes", "memory_bytes", "response_bytes", "request_bytes"]
)
@pytest.mark.parametrize(("more", "fits"), [(-1, False), (0, True), (1, True)])
def test_a_limit_in_bytes_is_exact(limit: str, more: int, fits: bool) -> None:
    artifact = Artifact(
        Path(),
        (Component("model", {"m": 70}), Component("numpy", {"numpy/tests/a.py": 30}, True)),
        Function("app:f", ()), "3.13", "x86_64", packed_bytes=100,
    )  # fmt: skip
    limits = Limits("a manual", "2026-11-01", **{limit: 100 + more})  # type: ignore[arg-type]
    found = fit_of("m:1", "there", limits, artifact, Measured(100, 1.0, 1.0, 100, 100))
    assert found.ok is fits
    assert [str(need).endswith(f"the place takes {100 + more}") for need in found.broken] == [True] * (
        not fits
    )


def test_python_and_architecture_are_limits_too() -> None:
    artifact = Artifact(Path(), (), Function("app:f", ()), "3.11", "riscv64")
    limits = Limits("a manual", "2026-11-01", pythons=("3.12", "3.13"), architectures=("x86_64",))
    found = fit_of("m:1", "there", limits, artifact)
    assert [str(need) for need in found.broken] == [
        "Python 3.11, the place has 3.12, 3.13",
        "architecture riscv64, the place has x86_64",
    ]
    assert found.remedies == ()


def test_what_would_help_is_said_with_what_it_saves() -> None:
    artifact = Artifact(
        Path(),
        (
            Component("model", {"model.onnx": 5_000_000}),
            Component("numpy", {"numpy/tests/a.py": 44_000_000, "numpy/b.py": 1}, True),
            Component("scikit-learn", {"sklearn/a.so": 150_000_000}, True),
            Component("onnxruntime", {"onnxruntime/transformers/a.py": 3_000_000, "onnxruntime/b": 1}, True),
        ),
        Function("app:f", ()), "3.13", "x86_64",
    )  # fmt: skip
    found = fit_of("m:1", "there", Limits("a manual", "2026-11-01", unpacked_bytes=1), artifact)
    assert [(remedy.what.split()[0], remedy.saves_bytes) for remedy in found.remedies] == [
        ("package", 150_000_000), ("leave", 44_000_000), ("leave", 3_000_000), ("%compress", None),
    ]  # fmt: skip
    assert "leave out the tests of distributions: −44.0 MB" in found.notes()


def test_a_folder_of_installed_distributions_is_taken_apart(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "x.py").write_text("12345")
    (tmp_path / "a_b-1.0.dist-info").mkdir()
    (tmp_path / "a_b-1.0.dist-info" / "RECORD").write_text("a/x.py,,\na/gone.py,,\n")
    (tmp_path / "app.py").write_text("12")
    found = {component.name: component.bytes for component in components_in(tmp_path)}
    assert found == {"a-b": 5, "other files": 2 + 21}


def test_the_plan_of_a_strangers_target_says_whether_it_fits(bundle: Bundle, moonbase: str) -> None:
    plan = modelyard.plan(bundle, to=moonbase)
    assert plan.fit.ok
    assert plan.fit.components
    assert isinstance(modelyard.deploy(bundle, to=moonbase), type(plan)), (
        "it leaves this machine: nothing is done"
    )


def test_the_magic_asks_one_question_at_a_time(bundle: Bundle, monkeypatch: pytest.MonkeyPatch) -> None:
    shell = InteractiveShell.instance()
    shell.run_line_magic("load_ext", "modelyard")
    shell.user_ns["iris"] = bundle
    found = shell.run_line_magic("deploy", "iris --to local --fit")
    assert (found.kind, found.ok) == ("fit", True)
    with pytest.raises(modelyard.errors.UsageError, match=r"--fit and --rehearse are two things"):
        shell.run_line_magic("deploy", "iris --to local --fit --rehearse")
