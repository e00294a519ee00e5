"""docs/bundle.md names every key and file of a bundle, and its program verifies one."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import modelyard
from modelyard.errors import PackagingWarning
from modelyard.packaging import Bundle
from people import FRAME, MODEL, TARGET, UNCONVERTED, a_place_of_its_own

DOCS = (Path(__file__).parents[1] / "docs" / "bundle.md").read_text(encoding="utf-8")
COMMITTED = sorted((Path(__file__).parent / "bundles").glob("format-1-*"))
#: Keys whose own keys are names: of parameters, of files, of tools, of metrics.
NAMED_BY_OTHERS = ("parameters", "tools", "training", "summary")


@pytest.fixture(scope="module")
def bundles(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Bundle]:
    with a_place_of_its_own(tmp_path_factory):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", PackagingWarning)
            other = modelyard.package(UNCONVERTED, FRAME, TARGET, name="other")
        return {"onnx": modelyard.package(MODEL, FRAME, TARGET, name="people"), "other": other}


def keys(value: Any) -> Iterator[str]:
    if isinstance(value, list):
        for entry in value:
            yield from keys(entry)
    if not isinstance(value, dict):
        return
    for key, held in value.items():
        yield key
        if key == "files":
            yield from {k for entry in held.values() for k in entry}
        elif key not in NAMED_BY_OTHERS:
            yield from keys(held)


def folders(bundles: dict[str, Bundle]) -> list[Path]:
    return [*(bundle.model_folder for bundle in bundles.values()), *COMMITTED]


def test_every_key_of_a_manifest_is_named(bundles: dict[str, Bundle]) -> None:
    for folder in folders(bundles):
        manifest = json.loads((folder / "manifest.json").read_bytes())
        unnamed = sorted({key for key in keys(manifest) if f"`{key}`" not in DOCS})
        assert unnamed == [], folder


def test_every_key_of_the_other_files_is_named(bundles: dict[str, Bundle]) -> None:
    for folder in folders(bundles):
        contract = json.loads((folder / "contract.json").read_bytes())
        profile = json.loads((folder / "profile.json").read_bytes())
        described = [*profile["columns"].values(), profile["output"]]
        found = {*keys(contract), *profile, *json.loads((folder / "signature").read_bytes())}
        found |= {key for entry in described for key in entry}
        for line in (folder / "golden.jsonl").read_text().splitlines():
            found |= json.loads(line).keys()
        found |= set(keys(json.loads((folder / "parity.json").read_bytes())))
        assert sorted(key for key in found if f"`{key}`" not in DOCS and f'"{key}"' not in DOCS) == [], folder


def test_every_file_is_named(bundles: dict[str, Bundle]) -> None:
    for bundle in bundles.values():
        for path in bundle.model_folder.rglob("*"):
            if path.is_file() and path.suffix not in (".pyc", ".py"):
                assert f"`model/{path.relative_to(bundle.model_folder).as_posix()}`" in DOCS
        beside = {path.name for path in (bundle.path / "src").iterdir()}
        assert beside == {"model", "runtime", "service.py", "bentofile.yaml"}
        assert {path.name for path in bundle.path.iterdir()} == {
            "src",
            "env",
            "apis",
            "bento.yaml",
            "README.md",
        }


def test_the_documented_digests_are_those_of_the_bundle(bundles: dict[str, Bundle]) -> None:
    import hashlib
    from importlib.metadata import distribution

    bundle = bundles["onnx"]
    content = (bundle.model_folder / "manifest.json").read_bytes()
    assert hashlib.sha256(content).hexdigest() == bundle.digest
    notes = ("INSTALLER", "REQUESTED", "RECORD", "direct_url.json", "uv_cache.json")
    for line in bundle.lock:
        pin, _, recorded = line.partition("  # record:")
        name, _, version = pin.partition("==")
        installed = distribution(name)
        assert installed.version == version
        kept = []
        for entry in (installed.read_text("RECORD") or "").splitlines():
            path = entry.partition(",")[0]
            noted = ".dist-info/" in path and path.rpartition("/")[2] in notes
            if not (path.startswith(("..", "/")) or path.endswith(".pyc") or noted):
                kept.append(entry)
        assert hashlib.sha256("\n".join(sorted(kept)).encode()).hexdigest() == recorded


def verified(program: Path, source: Path, key: Path) -> subprocess.CompletedProcess[str]:
    argv = [sys.executable, "-I", str(program), str(source), str(key)]
    return subprocess.run(argv, capture_output=True, text=True, check=False)


def test_the_program_of_the_page_verifies_a_bundle_and_refuses_a_changed_one(
    bundles: dict[str, Bundle], tmp_path: Path
) -> None:
    (written,) = re.findall(r"```python\n(.*?)```", DOCS, re.DOTALL)
    program = tmp_path / "verify.py"
    program.write_text(written)
    for name, bundle in bundles.items():
        key = bundle.path.parents[3] / "config" / "keys" / "signing.pub.pem"
        source = Path(shutil.copytree(bundle.path / "src", tmp_path / name))
        done = verified(program, source, key)
        assert done.returncode == 0, done.stderr
        assert done.stdout.split() == [bundle.name, bundle.digest]
        for file in (
            "model/card.md",
            "model/manifest.json",
            "runtime/modelyard_runtime/models.py",
            "service.py",
        ):
            before = (source / file).read_bytes()
            (source / file).write_bytes(before + b" ")
            assert verified(program, source, key).returncode == 1, file
            (source / file).write_bytes(before)
        (source / "runtime" / "numpy.py").write_text("")
        assert verified(program, source, key).returncode == 1
        (source / "runtime" / "numpy.py").rename(source / "model" / "evil.py")
        assert verified(program, source, key).returncode == 1
        (source / "model" / "evil.py").unlink()
        assert verified(program, source, key).returncode == 0
