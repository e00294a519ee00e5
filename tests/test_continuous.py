"""``%package --ci``: the test file and the workflow that it writes do what they promise."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

import modelyard
from modelyard.errors import BundleError, NameTakenError, UsageError
from modelyard.packaging import Bundle
from modelyard.packaging.continuous import write_ci
from modelyard.packaging.locking import pins
from people import FRAME, MODEL, TARGET, a_place_of_its_own

POLICY = {"age": "reject", "income": "clip", "town": "flag"}
UV = [str(Path(sys.executable).with_name("uv")), "-q"]


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    with a_place_of_its_own(tmp_path_factory):
        return modelyard.package(MODEL, FRAME, TARGET, name="peo-ple", policy=POLICY)


@pytest.fixture(scope="module")
def lean(bundle: Bundle, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Python with what the lock names, and pytest; nothing else is there."""
    folder = tmp_path_factory.mktemp("lean")
    subprocess.run([*UV, "venv", "--python", sys.executable, str(folder)], check=True)
    python = folder / "bin" / "python"
    lock = bundle.model_folder / "lock.txt"  # as the workflow does: pip's comments are the lock's digests
    subprocess.run([*UV, "pip", "install", "--python", str(python), "-r", str(lock), "pytest"], check=True)
    assert len(pins(bundle.lock)) > 3
    return python


@pytest.fixture(autouse=True)
def _keys(bundle: Bundle, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MODELYARD_CONFIG_DIR", str(bundle.path.parents[3] / "config"))


def ran(python: Path, test: Path, **environment: str) -> tuple[int, str]:
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "TMPDIR") if name in os.environ}
    done = subprocess.run(
        [str(python), "-m", "pytest", "-q", "-ra", "-p", "no:cacheprovider", str(test)],
        cwd=test.parents[1],
        env={**kept, **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    return done.returncode, done.stdout + done.stderr


def copied(bundle: Bundle, folder: Path) -> Path:
    return Path(shutil.copytree(bundle.path, folder / "copy"))


def test_the_test_file_passes_with_only_the_bundles_lock_and_pytest(
    bundle: Bundle, lean: Path, project: Path, tmp_path: Path
) -> None:
    test, _ = write_ci(bundle)
    assert test == project / "tests" / "test_peo_ple_bundle.py"
    compile(test.read_text(), str(test), "exec")
    code, told = ran(lean, test, MODELYARD_BUNDLE=str(copied(bundle, tmp_path)))
    assert code == 0, told
    found = re.search(r"(\d+) passed", told)
    golden = len(bundle.golden()[0])
    assert found is not None
    assert int(found[1]) > golden + 20
    assert "skipped" not in told
    assert not list((tmp_path / "copy").rglob("*.pyc"))
    code, told = ran(lean, test, BENTOML_HOME=str(bundle.path.parents[2]))  # the store's newest
    assert code == 0, told


def test_an_exported_archive_is_unpacked(bundle: Bundle, lean: Path, tmp_path: Path) -> None:
    test, workflow = write_ci(bundle, tmp_path)
    (command,) = re.findall(r"^#   (mkdir .*)$", workflow.read_text(), re.M)
    home = str(bundle.path.parents[2])
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    subprocess.run(
        ["sh", "-ec", command], cwd=tmp_path, check=True, env={**os.environ, "BENTOML_HOME": home, "PATH": path}
    )  # fmt: skip
    described = yaml.safe_load(workflow.read_text())
    archive = described["jobs"]["bundle"]["env"]["MODELYARD_BUNDLE"]
    assert (tmp_path / archive).is_file()
    code, told = ran(lean, test, MODELYARD_BUNDLE=archive)
    assert code == 0, told


@pytest.mark.parametrize(
    ("file", "words"),
    [
        ("model/golden.jsonl", "'golden.jsonl' was changed after packaging"),
        ("runtime/modelyard_runtime/contract.py", "the runtime was changed"),
        ("model/manifest.json", "holds another bundle; package with --ci again"),
        ("model/model.onnx", "'model.onnx' was changed after packaging"),
    ],
)
def test_a_changed_bundle_fails(bundle: Bundle, lean: Path, tmp_path: Path, file: str, words: str) -> None:
    test, _ = write_ci(bundle, tmp_path / "project")
    copy = copied(bundle, tmp_path)
    with (copy / "src" / file).open("a") as out:
        out.write("\n" if file.endswith(".json") else "#" if file.endswith(".py") else "")
    if file.endswith(("jsonl", "onnx")):
        content = (copy / "src" / file).read_bytes()
        changed = (
            content.replace(b'"prediction": "yes"', b'"prediction": "no"', 1)
            if b"pred" in content
            else content
        )
        (copy / "src" / file).write_bytes(changed if changed != content else content[:-1])
    code, told = ran(lean, test, MODELYARD_BUNDLE=str(copy))
    assert code == 1
    assert words in told


def test_a_bundle_that_is_not_there_is_one_line(bundle: Bundle, lean: Path, tmp_path: Path) -> None:
    test, _ = write_ci(bundle, tmp_path)
    code, told = ran(lean, test, MODELYARD_BUNDLE=str(tmp_path / "nowhere.bento"))
    assert code != 0
    assert f"no bundle in {tmp_path}/nowhere.bento; MODELYARD_BUNDLE names its folder or archive" in told
    assert "Traceback" not in told


def test_the_contract_of_the_file_is_the_one_of_the_policy(
    bundle: Bundle, lean: Path, tmp_path: Path
) -> None:
    test, _ = write_ci(bundle, tmp_path)
    kept = {"PATH": os.environ["PATH"], "MODELYARD_BUNDLE": str(bundle.path)}
    listed = subprocess.run(
        [str(lean), "-m", "pytest", "-q", "--collect-only", str(test)],
        env=kept, cwd=tmp_path, capture_output=True, text=True, check=True,
    ).stdout  # fmt: skip
    assert "[age: None is refused]" in listed
    assert "[income: None is taken]" in listed
    assert "[age: 158 is refused]" in listed  # out of range, policy reject
    assert re.search(r"\[income: \d+\.\d+ is flagged\]", listed)  # clip
    assert "[town: 'a category that training never saw' is flagged]" in listed
    assert "[member: 1 is refused]" in listed
    assert "[age: '12' is refused]" in listed
    assert "test_a_missing_column_is_refused[town]" in listed


def test_the_workflow_is_yaml_with_pinned_actions_the_bundles_python_and_the_test_file(
    bundle: Bundle, tmp_path: Path
) -> None:
    test, workflow = write_ci(bundle, tmp_path)
    described = yaml.safe_load(workflow.read_text())
    job = described["jobs"]["bundle"]
    used = [step["uses"] for step in job["steps"] if "uses" in step]
    assert all(re.fullmatch(r"actions/[a-z-]+@v\d+", action) for action in used)
    assert len(used) == 2
    (python,) = [
        step["with"]["python-version"] for step in job["steps"] if "python-version" in step.get("with", {})
    ]
    assert python == f"{sys.version_info[0]}.{sys.version_info[1]}"
    assert isinstance(python, str)  # 3.10 would be 3.1
    assert described["permissions"] == {"contents": "read"}
    scripts = "\n".join(step["run"] for step in job["steps"] if "run" in step)
    assert test.relative_to(tmp_path).as_posix() in scripts
    assert "src/model/lock.txt" in scripts
    assert bundle.tag in workflow.read_text()


def test_the_workflows_own_steps_run(bundle: Bundle, lean: Path, tmp_path: Path) -> None:
    _, workflow = write_ci(bundle, tmp_path)
    (tmp_path / "bundles").mkdir()
    subprocess.run(
        ["tar", "-cJf", "bundles/peo-ple.bento", "-C", str(bundle.path), "."], cwd=tmp_path, check=True
    )
    job = yaml.safe_load(workflow.read_text())["jobs"]["bundle"]
    scripts = [step["run"] for step in job["steps"] if "run" in step]
    installing = next(script for script in scripts if "pip install" in script)
    environment = {
        **job["env"], "HOME": os.environ["HOME"], "PATH": f"{lean.parent}:{os.environ['PATH']}",
        "RUNNER_TEMP": str(tmp_path / "runner"), "GITHUB_ENV": str(tmp_path / "env"),
    }  # fmt: skip
    (tmp_path / "runner").mkdir()
    for script in scripts:
        if script is installing:
            continue  # `lean` was made so, with uv
        done = subprocess.run(
            ["bash", "-e", "-c", script],
            cwd=tmp_path,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        if (tmp_path / "env").is_file():
            environment |= dict(line.split("=", 1) for line in (tmp_path / "env").read_text().splitlines())
    assert environment["MODELYARD_BUNDLE"].startswith(str(tmp_path / "runner"))


def test_the_same_bundle_writes_the_same_files_and_its_own_ones_are_rewritten(
    bundle: Bundle, tmp_path: Path
) -> None:
    paths = write_ci(bundle, tmp_path)
    contents = [path.read_bytes() for path in paths]
    with paths[0].open("a") as file:
        file.write("# edited\n")
    assert write_ci(bundle, tmp_path) == paths
    assert [path.read_bytes() for path in paths] == contents
    assert all(content.startswith(b"# written by modelyard; bundle peo-ple: ") for content in contents)


@pytest.mark.parametrize("position", [0, 1])
@pytest.mark.parametrize("content", ["", "mine", "# written by modelyard; bundle peo.ple: another\n"])
def test_a_file_of_somebody_else_is_left_alone_and_so_is_the_other_one(
    bundle: Bundle, tmp_path: Path, position: int, content: str
) -> None:
    paths = write_ci(bundle, tmp_path)
    paths[position].write_text(content)
    other = paths[1 - position]
    other.write_text(f"{other.read_text()}# kept\n")
    with pytest.raises(NameTakenError, match=r"was not written by modelyard for 'peo-ple'; move it") as told:
        write_ci(bundle, tmp_path)
    assert "\n" not in str(told.value)
    assert paths[position].read_text() == content
    assert other.read_text().endswith("# kept\n")


def test_a_link_is_not_written_through_and_a_place_that_cannot_be_written_is_one_line(
    bundle: Bundle, tmp_path: Path
) -> None:
    test, _ = write_ci(bundle, tmp_path)
    test.rename(tmp_path / "moved.py")
    test.symlink_to(tmp_path / "moved.py")
    with pytest.raises(NameTakenError, match="was not written by modelyard"):
        write_ci(bundle, tmp_path)
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError, match=r"the files for CI cannot be written into .*file") as told:
        write_ci(bundle, tmp_path / "file")
    assert "\n" not in str(told.value)


def test_a_damaged_bundle_writes_nothing(bundle: Bundle, tmp_path: Path) -> None:
    damaged = Bundle(bundle.name, bundle.version, copied(bundle, tmp_path))
    manifest = damaged.model_folder / "manifest.json"
    manifest.write_text(json.dumps(json.loads(manifest.read_text())))
    with pytest.raises(BundleError, match="not in canonical form"):
        write_ci(damaged, tmp_path / "empty")
    assert not (tmp_path / "empty").exists()
