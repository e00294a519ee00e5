"""raspberry-pi: its folder runs under qemu as on a device, installs beside what is there, or else is put back."""

from __future__ import annotations

import hashlib
import http.client
import json
import os
import shutil
import signal
import subprocess
import sys
import time
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
from sklearn.datasets import load_digits, load_iris
from sklearn.ensemble import RandomForestClassifier
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import modelyard
from modelyard.errors import DeploymentError, UsageError
from modelyard.packaging import Bundle
from modelyard.targets import Deployment
from modelyard.targets.installing import find_python, machine
from modelyard.targets.processes import free_port
from modelyard.testing import TargetContract
from modelyard_device.whole import write_sums
from modelyard_runtime.bundle_format import bundle_digest, canonical

X, y = load_iris(return_X_y=True, as_frame=True)
MODEL = LogisticRegression(max_iter=500).fit(X, y)
HERE = f"{sys.version_info[0]}.{sys.version_info[1]}"
ROWS = json.dumps({"rows": X.iloc[[0, 75, 149]].to_dict("records")})
PYTHON_OF_SYSROOT = "3.11"


@pytest.fixture
def bundle(shared_store: Path) -> Bundle:
    return modelyard.package(MODEL, X, y, name="iris")


class TestRaspberryPiKeepsTheContract(TargetContract):
    name = "raspberry-pi"
    options: ClassVar[dict[str, Any]] = {"python": PYTHON_OF_SYSROOT}

    @pytest.fixture(autouse=True)
    def emulated(self, sysroot: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(type(self), "options", {**self.options, "sysroot": str(sysroot)})

    @pytest.fixture
    def bundle(self, bundle: Bundle) -> Bundle:  # the module's, not the suite's
        return bundle

    def broken_options(self) -> dict[str, Any]:
        return {"sysroot": "/nowhere"}


# -- the folder ---------------------------------------------------------------------------------------------------


def _folder(deployment: Deployment) -> Path:
    return Path(deployment.url.removeprefix("folder://localhost"))


def _native(bundle: Bundle, name: str = "pi", **more: Any) -> Path:
    """Return a folder for this machine, so that what installs it needs no emulator."""
    made = modelyard.deploy(bundle, to="raspberry-pi", name=name, architecture=machine(), python=HERE, **more)
    assert isinstance(made, Deployment)
    return _folder(made)


def test_the_folder_without_wheels_has_at_most_two_megabytes_beside_the_model(bundle: Bundle) -> None:
    made = modelyard.deploy(bundle, to="raspberry-pi", name="small")
    files = [path for path in _folder(made).rglob("*") if path.is_file()]
    model = (_folder(made) / "model" / "model.onnx").stat().st_size
    assert sum(path.stat().st_size for path in files) - model <= 2_000_000


def test_its_unit_is_one_that_systemd_reads(bundle: Bundle, tmp_path: Path) -> None:
    unit = tmp_path / "modelyard-pi.service"
    text = (_native(bundle) / "modelyard.service").read_text()
    for mark, value in (
        ("@PYTHON@", sys.executable),
        ("@ROOT@", "/opt/modelyard/pi"),
        ("@HOST@", "127.0.0.1"),
    ):
        text = text.replace(mark, value)
    unit.write_text(text.replace("@PORT@", "3000"))
    found = subprocess.run(
        ["systemd-analyze", "verify", str(unit)], capture_output=True, text=True, check=False
    )
    assert unit.name not in found.stderr, found.stderr


def test_what_is_made_for_another_machine_is_not_rehearsed_here_and_the_line_says_what_to_do(
    bundle: Bundle,
) -> None:
    other = "arm64" if machine() != "arm64" else "x86_64"
    with pytest.raises(DeploymentError, match="cannot be rehearsed here"):
        modelyard.rehearse(bundle, to="raspberry-pi", architecture=other)


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"python": "2.7"}, "has no python '2.7'; choose 3.11, 3.12, 3.13"),
        ({"architecture": "mips"}, "has no architecture 'mips'; choose arm64, x86_64"),
        ({"memory": 1}, "memory 1 cannot be; choose 128 to 16384"),
        ({"quantized": True}, "only --runtime tflite is quantized"),
        ({"sysroot": "/nowhere"}, "sysroot '/nowhere' is no folder"),
    ],
)
def test_options_that_cannot_be_are_one_line(bundle: Bundle, options: dict[str, Any], told: str) -> None:
    with pytest.raises(UsageError, match=told):
        modelyard.fit(bundle, to="raspberry-pi", **options)


# -- as .tflite ----------------------------------------------------------------------------------------------------


@pytest.fixture
def digits(shared_store: Path) -> Bundle:
    table, labels = load_digits(return_X_y=True, as_frame=True)
    network = make_pipeline(StandardScaler(), MLPClassifier((32,), max_iter=60, random_state=0))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        return modelyard.package(network.fit(table, labels), table, labels, name="digits")


@pytest.mark.parametrize("quantized", [False, True])
def test_a_tflite_file_answers_its_golden_rows_on_a_device(
    digits: Bundle, sysroot: Path, quantized: bool
) -> None:
    found = modelyard.rehearse(
        digits,
        to="raspberry-pi",
        python=PYTHON_OF_SYSROOT,
        sysroot=str(sysroot),
        runtime="tflite",
        quantized=quantized,
    )
    assert found.ok, found.findings
    assert found.matched == found.rows == 40
    assert found.max_absolute < 1e-5


def test_eight_bits_are_a_model_of_its_own_whose_agreement_the_plan_says(digits: Bundle) -> None:
    table, _ = load_digits(return_X_y=True, as_frame=True)
    options: dict[str, Any] = {"to": "raspberry-pi", "runtime": "tflite", "python": PYTHON_OF_SYSROOT}
    plan = modelyard.plan(digits, quantized=True, **options)
    assert "of 40 golden rows get the same label" in plan.steps[1]
    exact = modelyard.deploy(digits, name="exact", **options)
    small = modelyard.deploy(digits, name="small", quantized=True, **options)
    size = {made.name: (_folder(made) / "model" / "model.tflite").stat().st_size for made in (exact, small)}
    assert size["small"] < size["exact"]
    assert (exact.predict(table) == small.predict(table)).mean() > 0.97
    assert exact.predict_proba(table) == pytest.approx(digits_probabilities(digits, table), abs=1e-5)


def digits_probabilities(bundle: Bundle, table: Any) -> Any:
    local = modelyard.deploy(bundle, to="raspberry-pi", name="onnx", python=PYTHON_OF_SYSROOT)
    return local.predict_proba(table)


def test_a_forest_beyond_the_cap_is_said_before_anything_is_made_with_what_would_fit(
    shared_store: Path,
) -> None:
    table, labels = load_digits(return_X_y=True, as_frame=True)
    forest = RandomForestClassifier(500, random_state=0).fit(table, labels)
    bundle = modelyard.package(forest, table, labels, name="forest")
    found = modelyard.fit(bundle, to="raspberry-pi", runtime="tflite", cap=2)
    (need,) = found.broken
    assert need.what == "bytes of the model"
    assert need.allowed == 2_000_000
    assert float(need.needed) > 2_000_000
    told = [str(remedy) for remedy in found.remedies]
    assert any("--runtime onnx" in line for line in told)
    assert any("%compress" in line for line in told)
    with pytest.raises(DeploymentError, match="does not fit raspberry-pi"):
        modelyard.deploy(bundle, to="raspberry-pi", runtime="tflite", cap=2)
    with pytest.raises(DeploymentError, match="does not fit raspberry-pi"):
        modelyard.rehearse(bundle, to="raspberry-pi", runtime="tflite", cap=2)


# -- on a device --------------------------------------------------------------------------------------------------


@pytest.fixture
def emulated_python(sysroot: Path, tmp_path: Path) -> str:
    program = tmp_path / "python-of-device"
    inner = sysroot / "usr" / "bin" / f"python{PYTHON_OF_SYSROOT}"
    program.write_text(f'#!/bin/sh\nexec qemu-aarch64-static -cpu cortex-a72 -L "{sysroot}" "{inner}" "$@"\n')
    program.chmod(0o755)
    return str(program)


def _typed(
    script: Path, *words: str, python: str = sys.executable, asked: str = ""
) -> subprocess.CompletedProcess[str]:
    env = {
        "PATH": os.environ["PATH"],
        "HOME": os.environ["HOME"],
        "PYTHON": python,
        "LANG": "C.UTF-8",
        "PIP_NO_COMPILE": "1",
    }
    return subprocess.run(
        [str(script), *words], input=asked, env=env, capture_output=True, text=True, check=False
    )


@pytest.mark.thorough
def test_a_device_with_another_processor_installs_it_from_its_wheels_and_answers(
    bundle: Bundle, emulated_python: str, tmp_path: Path
) -> None:
    made = modelyard.deploy(bundle, to="raspberry-pi", name="pi", python=PYTHON_OF_SYSROOT, wheels=True)
    folder, root = _folder(made), tmp_path / "root"
    lines = (folder / "requirements.txt").read_text().splitlines()
    assert all("--hash=sha256:" in line for line in lines)
    installed = _typed(folder / "install.sh", "--no-service", "--root", str(root), python=emulated_python)
    assert installed.returncode == 0, installed.stderr
    answered = _typed(root / "current" / "predict.sh", python=emulated_python, asked=ROWS)
    answer = json.loads(answered.stdout)
    assert answer["predictions"] == MODEL.predict(X.iloc[[0, 75, 149]]).tolist()
    given = [[row[str(c)] for c in MODEL.classes_] for row in answer["probabilities"]]
    assert np.abs(np.array(given) - MODEL.predict_proba(X.iloc[[0, 75, 149]])).max() < 1e-5


@pytest.fixture
def site(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is installed on a native device comes from this environment: pip is asked in the test of wheels."""
    program = tmp_path_factory.mktemp("pip") / "python"
    own = next(path for path in sys.path if path.endswith("site-packages"))
    program.write_text(
        "#!/bin/sh\n"
        'if [ "$1 $2" = "-m pip" ]; then\n'
        '  while [ $# -gt 0 ]; do [ "$1" = --target ] && target=$2; shift; done\n'
        f'  [ -n "$target" ] && ln -s "{own}" "$target"; exit 0\n'
        f'fi\nexec "{find_python(HERE)}" "$@"\n'
    )
    program.chmod(0o755)
    monkeypatch.setenv("PYTHON_OF_DEVICE", str(program))


def _install(folder: Path, root: Path, *words: str) -> subprocess.CompletedProcess[str]:
    python = os.environ["PYTHON_OF_DEVICE"]
    return _typed(folder / "install.sh", "--no-service", "--root", str(root), *words, python=python)


def _variant(root: Path) -> str:
    said = _typed(root / "current" / "predict.sh", python=os.environ["PYTHON_OF_DEVICE"], asked=ROWS)
    assert said.returncode == 0, said.stderr
    return str(json.loads(said.stdout)["variant"])


@pytest.fixture
def two(bundle: Bundle, tmp_path: Path) -> tuple[Path, Path]:
    """The folders of two versions."""
    other = modelyard.package(LogisticRegression(C=0.1, max_iter=500).fit(X, y), X, y, name="iris")
    return _native(bundle, "first"), _renamed(_native(other, "second"), "first")


def _renamed(folder: Path, name: str) -> Path:
    about = json.loads((folder / "about.json").read_text())
    (folder / "about.json").write_text(json.dumps({**about, "name": name}))
    write_sums(folder)
    return folder


def test_an_update_keeps_the_version_before_and_a_rollback_lets_it_answer_again(
    two: tuple[Path, Path], site: None, tmp_path: Path
) -> None:
    root = tmp_path / "root"
    for folder in two:
        done = _install(folder, root)
        assert done.returncode == 0, done.stderr
    first, second = (json.loads((folder / "about.json").read_text())["variant"] for folder in two)
    assert _variant(root) == second
    back = _typed(
        two[0] / "rollback.sh", "--no-service", "--root", str(root), python=os.environ["PYTHON_OF_DEVICE"]
    )
    assert back.returncode == 0, back.stderr
    assert _variant(root) == first
    assert len(list((root / "versions").iterdir())) == 2


def test_the_same_folder_again_never_touches_the_version_that_answers(
    bundle: Bundle, site: None, tmp_path: Path
) -> None:
    folder, root = _native(bundle), tmp_path / "root"
    seen = []
    for _ in range(3):
        assert _install(folder, root).returncode == 0
        seen.append((root / "current").resolve().name)
        assert _variant(root) == "v1"
    assert len(set(seen[:2])) == 2
    assert len(list((root / "versions").iterdir())) == 2


def test_a_version_whose_golden_rows_fail_on_the_device_is_not_installed(
    two: tuple[Path, Path], site: None, tmp_path: Path
) -> None:
    root = tmp_path / "root"
    assert _install(two[0], root).returncode == 0
    before = _variant(root)
    _falsify(two[1])
    done = _install(two[1], root)
    assert done.returncode == 1
    assert "does not answer as it must" in done.stderr
    assert "golden row 0" in done.stderr
    assert _variant(root) == before
    assert len(list((root / "versions").iterdir())) == 1


def _falsify(folder: Path) -> None:
    """Let the first golden row want another answer, and everything else agree with it."""
    golden, manifest = folder / "model" / "golden.jsonl", folder / "model" / "manifest.json"
    lines = [json.loads(line) for line in golden.read_text().splitlines()]
    lines[0]["prediction"] = (lines[0]["prediction"] + 1) % 3
    golden.write_text("".join(json.dumps(line) + "\n" for line in lines))
    known = json.loads(manifest.read_text())
    known["files"]["golden.jsonl"]["sha256"] = hashlib.sha256(golden.read_bytes()).hexdigest()
    manifest.write_bytes(canonical(known))
    assert bundle_digest(known)
    write_sums(folder)


@pytest.mark.parametrize("harm", ["missing", "cut", "no list"])
def test_a_folder_that_was_copied_in_part_is_refused_by_the_name_of_a_file(
    bundle: Bundle, site: None, tmp_path: Path, harm: str
) -> None:
    folder = _native(bundle)
    if harm == "missing":
        (folder / "model" / "contract.json").unlink()
    elif harm == "cut":
        content = (folder / "model" / "contract.json").read_bytes()
        (folder / "model" / "contract.json").write_bytes(content[:-10])
    else:
        (folder / "SHA256SUMS").unlink()
    done = _install(folder, tmp_path / "root")
    assert done.returncode == 1
    assert "is not whole" in done.stderr
    assert ("SHA256SUMS" if harm == "no list" else "model/contract.json") in done.stderr
    assert not (tmp_path / "root" / "current").exists()


@pytest.mark.parametrize(
    ("what", "value", "told"),
    [
        ("architecture", "arm64" if machine() != "arm64" else "x86_64", "and this device is"),
        ("python", "3.99", "is for Python 3.99, and this is Python"),
    ],
)
def test_another_processor_or_python_is_refused_in_one_line(
    bundle: Bundle, site: None, tmp_path: Path, what: str, value: str, told: str
) -> None:
    folder = _native(bundle)
    needs = json.loads((folder / "needs.json").read_text())
    (folder / "needs.json").write_text(json.dumps({**needs, what: value}))
    write_sums(folder)
    done = _install(folder, tmp_path / "root")
    assert done.returncode == 1
    assert told in done.stderr
    assert "Traceback" not in done.stderr


def test_a_power_cut_at_any_moment_of_an_update_leaves_a_whole_version(
    two: tuple[Path, Path], site: None, tmp_path: Path
) -> None:
    root, device = tmp_path / "root", os.environ["PYTHON_OF_DEVICE"]
    assert _install(two[0], root).returncode == 0
    variants = {json.loads((folder / "about.json").read_text())["variant"] for folder in two}
    env = {"PATH": os.environ["PATH"], "PYTHON": device, "LANG": "C.UTF-8"}
    argv = [str(two[1] / "install.sh"), "--no-service", "--root", str(root)]
    started = time.perf_counter()
    subprocess.run(argv, env=env, check=True, capture_output=True)
    whole_s = time.perf_counter() - started
    subprocess.run([str(two[0] / "install.sh"), *argv[1:]], env=env, check=True, capture_output=True)
    for part in (0.1, 0.3, 0.5, 0.7, 0.85, 0.95):
        process = subprocess.Popen(
            argv, env=env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
        )
        time.sleep(part * whole_s)
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        assert _variant(root) in variants
    assert _install(two[1], root).returncode == 0
    assert _variant(root) == json.loads((two[1] / "about.json").read_text())["variant"]
    assert not list((root / "versions").glob("*.new"))


def test_its_door_answers_over_http_and_wants_the_token(bundle: Bundle, site: None, tmp_path: Path) -> None:
    made = modelyard.deploy(bundle, to="raspberry-pi", name="pi", architecture=machine(), python=HERE)
    root, port = tmp_path / "root", free_port()
    assert _install(_folder(made), root).returncode == 0
    with _served(root, port):
        assert _asked(port, "GET", "/readyz")[0] == 200
        assert _asked(port, "POST", "/predict", ROWS)[0] == 401
        status, answer = _asked(port, "POST", "/predict", ROWS, made.token)
        assert (status, answer["predictions"]) == (200, MODEL.predict(X.iloc[[0, 75, 149]]).tolist())


class _served:  # noqa: N801  # used as a function
    """The server that the unit starts."""

    def __init__(self, root: Path, port: int) -> None:
        current = root / "current"
        env = {"PYTHONPATH": f"{current / 'runtime'}:{current / 'site'}", "PATH": os.environ["PATH"]}
        argv = [os.environ["PYTHON_OF_DEVICE"], "-sP", "-m", "modelyard_device", "serve", str(current)]
        self._process = subprocess.Popen([*argv, "--port", str(port)], env=env)
        self._port = port

    def __enter__(self) -> None:
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            try:
                _asked(self._port, "GET", "/healthz")
            except OSError:
                time.sleep(0.05)
            else:
                return
        raise AssertionError("it does not answer")

    def __exit__(self, *_: object) -> None:
        self._process.terminate()
        self._process.wait(20)


def _asked(port: int, method: str, path: str, body: str | None = None, token: str = "") -> tuple[int, Any]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    connection.request(method, path, body, headers)
    response = connection.getresponse()
    found = response.status, json.loads(response.read())
    connection.close()
    return found


# -- systemd ------------------------------------------------------------------------------------------------------

_SYSTEMCTL = """#!{python}
# Does what systemd does with one unit: starts what ExecStart says, with its Environment; stops it.
import os, re, signal, subprocess, sys
from pathlib import Path
words = [word for word in sys.argv[1:] if not word.startswith("-")]
here, verb = Path(__file__).parent, words[0]
pid = here / "pid"
if verb in ("restart", "stop") and pid.exists():
    try:
        os.killpg(int(pid.read_text()), signal.SIGKILL)
    except ProcessLookupError:
        pass
    pid.unlink()
if verb == "restart":
    text = (here / "units" / words[1]).read_text()
    env = dict(line.split("=", 1) for line in re.findall(r"^Environment=(.*)$", text, re.M))
    argv = re.search(r"^ExecStart=(.*)$", text, re.M)[1].split()
    said = (here / "said").open("a")
    started = subprocess.Popen(
        argv, env={{**os.environ, **env}}, start_new_session=True, stdin=subprocess.DEVNULL, stdout=said, stderr=said
    )
    pid.write_text(str(started.pid))
"""


@pytest.fixture
def systemd(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder of units, and a program that starts and stops them."""
    program = tmp_path / "systemctl"
    program.write_text(_SYSTEMCTL.format(python=sys.executable))
    program.chmod(0o755)
    (tmp_path / "units").mkdir()
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    yield tmp_path / "units"
    subprocess.run([str(program), "stop"], check=True)


def test_systemd_serves_the_new_version_and_the_one_before_again_when_that_does_not_come_up(
    two: tuple[Path, Path], site: None, systemd: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from modelyard_device.errors import InstallError
    from modelyard_device.installing import install
    from modelyard_device.service import SystemdService

    monkeypatch.setenv("PYTHON", os.environ["PYTHON_OF_DEVICE"])
    root, port = tmp_path / "root", free_port()
    service = SystemdService("first", "127.0.0.1", port, within_s=60.0, units=systemd)
    install(two[0], root, service, lambda said: None)
    first = _asked(port, "GET", "/readyz")[1]["variant"]
    text = (two[1] / "modelyard.service").read_text()
    (two[1] / "modelyard.service").write_text(text.replace("modelyard_device serve", "modelyard_device serf"))
    write_sums(two[1])
    broken = SystemdService("first", "127.0.0.1", port, within_s=3.0, units=systemd)
    monkeypatch.setattr(broken, "restart", _slow_only_once(broken.restart, service.restart))
    with pytest.raises(InstallError, match=r"does not answer on port .* answers again"):
        install(two[1], root, broken, lambda said: None)
    assert _asked(port, "GET", "/readyz")[1]["variant"] == first
    (two[1] / "modelyard.service").write_text(text)
    write_sums(two[1])
    install(two[1], root, service, lambda said: None)
    assert _asked(port, "GET", "/readyz")[1]["variant"] != first
    shutil.rmtree(root)


def _slow_only_once(first: Any, then: Any) -> Any:
    """Return what is impatient the first time, and gives the version before as long as it needs."""
    calls = iter((first,))
    return lambda *given: next(calls, then)(*given)
