"""Bundles that somebody tampered with: refused with one line, by both doors, before anything is loaded."""

from __future__ import annotations

import importlib.util
import json
import os
import py_compile
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import modelyard
from modelyard.errors import BundleError
from modelyard.packaging import Bundle
from modelyard_runtime.bundle_format import FORMAT, canonical, digest, read_manifest
from people import FRAME, MODEL, TARGET, a_place_of_its_own

CAPTURED = Path(__file__).parent / "bundles" / "format-1-captured"
Change = Callable[[Path], object]


@pytest.fixture(scope="module")
def packaged(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    with a_place_of_its_own(tmp_path_factory):
        return modelyard.package(MODEL, FRAME, TARGET, name="people")


@pytest.fixture
def bundle(packaged: Bundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Bundle:
    """A copy that may be spoilt, signed by the user's own key."""
    monkeypatch.setenv("MODELYARD_CONFIG_DIR", str(packaged.path.parents[3] / "config"))
    copy = shutil.copytree(packaged.path, tmp_path / "copy", ignore=shutil.ignore_patterns("__pycache__"))
    return Bundle(packaged.name, packaged.version, Path(copy))


PROBE = """
import json, sys
sys.path.insert(0, sys.argv[1])
from modelyard_runtime.bundle_format import BundleError
from modelyard_runtime.predictor import Predictor
before = set(sys.modules)
try:
    Predictor(__import__("pathlib").Path(sys.argv[2]))
except BundleError as error:
    print(json.dumps([str(error), sorted(set(sys.modules) - before)]))
"""


def refused(bundle: Bundle, spoilt: Path | None = None) -> str:
    """Return what the runtime says, in a process of its own, of a bundle for which it must not import anything."""
    runtime = Path(__file__).parents[1] / "templates"
    done = subprocess.run(
        [sys.executable, "-I", "-c", PROBE, str(runtime), str(spoilt or bundle.model_folder)],
        capture_output=True, text=True, check=True, cwd=bundle.path,
    )  # fmt: skip
    assert done.stdout, "it was not refused"
    message, loaded = json.loads(done.stdout)
    assert not {"onnxruntime", "skops", "sklearn", "pandas"} & set(loaded), loaded
    assert not [name for name in loaded if name.startswith(("modelyard_captured", "evil", "sitecustomize"))]
    assert "\n" not in message
    return str(message)


def refused_by_both(bundle: Bundle, words: str) -> None:
    assert words in refused(bundle)
    for door in (bundle.check, bundle.verify):
        with pytest.raises(BundleError) as told:
            door()
        assert words in str(told.value)
        assert str(told.value).startswith("bundle people:1: ")
        assert "\n" not in str(told.value)


def rewritten(folder: Path, change: Callable[[dict[str, Any]], object]) -> None:
    """Change the manifest as somebody would who knows the format, in canonical form."""
    manifest = json.loads((folder / "manifest.json").read_bytes())
    change(manifest)
    (folder / "manifest.json").write_bytes(canonical(manifest))


def listed(folder: Path, name: str, content: bytes) -> None:
    """Put a file into a bundle, and its digest into the manifest."""
    (folder / name).parent.mkdir(exist_ok=True, parents=True)
    (folder / name).write_bytes(content)
    rewritten(folder, lambda m: m["files"].update({name: {"sha256": digest(content), "source": "planted"}}))


# --- names that lead elsewhere


@pytest.mark.parametrize(
    "name",
    [
        "../outside.py", "captured/../../outside.py", "/etc/hostname", "./card.md", "captured//x.py", "a\\..\\b.py", "",
        "..", "captured/x\0.py", "captured/\n.py",
    ],
)  # fmt: skip
def test_a_listed_name_that_leads_elsewhere_is_refused_even_if_its_digest_matches(
    bundle: Bundle, name: str
) -> None:
    (bundle.model_folder / "../outside.py").write_text("")
    content = Path("/etc/hostname").read_bytes() if name == "/etc/hostname" else b""
    rewritten(
        bundle.model_folder,
        lambda m: m["files"].update({name: {"sha256": digest(content), "source": "planted"}}),
    )
    refused_by_both(bundle, f"bundle file {name!r} lies outside the bundle")


def test_a_name_too_long_for_the_disk_is_one_line(bundle: Bundle) -> None:
    rewritten(bundle.model_folder, lambda m: m["files"].update({"x" * 300: {"sha256": "0", "source": ""}}))
    refused_by_both(bundle, "cannot be read")


@pytest.mark.parametrize("name", ["../model.onnx", "/tmp/model.onnx", "other.onnx", ""])
def test_a_model_file_that_has_no_digest_is_refused(bundle: Bundle, name: str) -> None:
    shutil.copy(bundle.model_folder / "model.onnx", bundle.path / "src" / "model.onnx")
    rewritten(bundle.model_folder, lambda m: m["model"].update(file=name))
    refused_by_both(bundle, f"bundle file {name!r} has no digest in manifest.json")


@pytest.mark.parametrize("name", ["model.onnx", "contract.json", "golden.jsonl"])
def test_what_is_loaded_must_be_among_the_files_with_a_digest(bundle: Bundle, name: str) -> None:
    rewritten(bundle.model_folder, lambda m: m["files"].pop(name))
    refused_by_both(bundle, f"bundle file {name!r} has no digest in manifest.json")


def test_so_must_the_steps_that_a_hybrid_model_runs_in_python(bundle: Bundle) -> None:
    (bundle.path / "src" / "steps.skops").write_bytes(b"")
    steps = {"file": "../steps.skops", "trusted_types": [], "columns": []}
    rewritten(bundle.model_folder, lambda m: m["model"].update(kind="hybrid", array_dtype=None, steps=steps))
    refused_by_both(bundle, "bundle file '../steps.skops' has no digest")


@pytest.mark.parametrize("name", ["manifest.json", "model.onnx", "contract.json", "golden.jsonl", "lock.txt"])
def test_a_link_is_refused_even_if_it_points_at_the_same_bytes(
    bundle: Bundle, tmp_path: Path, name: str
) -> None:
    (bundle.model_folder / name).rename(tmp_path / "moved")
    (bundle.model_folder / name).symlink_to(tmp_path / "moved")
    refused_by_both(bundle, f"bundle file {name!r} lies outside the bundle")


def test_a_folder_that_is_a_link_is_refused_inside_and_outside(bundle: Bundle, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    link = bundle.model_folder / "captured"
    link.symlink_to(tmp_path / "elsewhere")
    refused_by_both(bundle, "bundle file 'captured' is not of this bundle")
    (tmp_path / "elsewhere" / "evil.py").write_bytes(b"")
    files = {"captured/evil.py": {"sha256": digest(b""), "source": "planted"}}
    rewritten(bundle.model_folder, lambda m: m["files"].update(files))
    refused_by_both(bundle, "bundle file 'captured/evil.py' lies outside the bundle")


# --- files that nobody listed


@pytest.mark.parametrize(
    "name", ["evil.py", "captured/evil.py", "captured/numpy.py", "captured/numpy/__init__.py", "model.pkl", ".hidden",
             "__pycache__/x.pyc", "captured/__pycache__/evil.so", "captured/evil.pyc", "signature.old"],
)  # fmt: skip
def test_a_file_that_is_not_listed_is_refused(bundle: Bundle, name: str) -> None:
    (bundle.model_folder / name).parent.mkdir(exist_ok=True, parents=True)
    (bundle.model_folder / name).write_text("raise SystemExit('it ran')")
    refused_by_both(bundle, f"bundle file {name!r} is not of this bundle; move it out of")


def test_a_file_beside_the_captured_module_is_refused_before_that_is_imported(
    bundle: Bundle, tmp_path: Path
) -> None:
    spoilt = Path(
        shutil.copytree(CAPTURED, tmp_path / "captured", ignore=shutil.ignore_patterns("__pycache__"))
    )
    (spoilt / "captured" / "numpy.py").write_text("raise SystemExit('it ran')")
    assert "'captured/numpy.py' is not of this bundle" in refused(bundle, spoilt)


def test_a_pipe_is_refused_and_not_read(bundle: Bundle) -> None:
    os.mkfifo(bundle.model_folder / "pipe")
    refused_by_both(bundle, "bundle file 'pipe' is not of this bundle")
    (bundle.model_folder / "pipe").unlink()
    (bundle.model_folder / "card.md").unlink()
    os.mkfifo(bundle.model_folder / "card.md")
    refused_by_both(bundle, "bundle file 'card.md' is missing")


# --- manifests that are none


def with_text(text: str) -> Change:
    def change(folder: Path) -> None:
        content = (folder / "manifest.json").read_text()
        (folder / "manifest.json").write_text(
            text.replace("CONTENT", content).replace("INNER", content[1:-1])
        )

    return change


def as_bytes(encoding: str) -> Change:
    def change(folder: Path) -> None:
        content = (folder / "manifest.json").read_bytes().decode()
        (folder / "manifest.json").write_bytes(content.encode(encoding))

    return change


def setting(**more: Any) -> Change:
    return lambda folder: rewritten(folder, lambda m: m.update(more))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (with_text('{"format":0,INNER}'), "not in canonical form"),
        (with_text('{INNER,"model":{"kind":"pickle"}}'), "is not a manifest"),
        (with_text(" CONTENT"), "not in canonical form"),
        (with_text("CONTENT\n"), "not in canonical form"),
        (as_bytes("utf-8-sig"), "not in canonical form"),
        (as_bytes("utf-16"), "not in canonical form"),
        (with_text("[" * 200_000), "is not a manifest"),
        (with_text('{"a":' * 200_000), "is not a manifest"),
        (with_text('{"format":1,"x":NaN}'), "is not a manifest"),
        (with_text('{"format":1,"x":"\\ud800"}'), "is not a manifest"),
        (with_text(""), "is not a manifest"),
        (with_text("[]"), "is not a manifest"),
        (with_text('"format"'), "is not a manifest"),
        (with_text('{"format":' + "9" * 5000 + "}"), "is not a manifest"),
        (setting(format=10**400), "bundle format of many digits, but this runtime reads"),
        (setting(format=-1), f"bundle format -1, but this runtime reads formats 0 to {FORMAT}"),
        (setting(format=FORMAT + 1), f"bundle format {FORMAT + 1}, but this runtime reads"),
        (setting(format=True), "its format is not a whole number"),
        (setting(format="1"), "its format is not a whole number"),
        (setting(format=1.0), "its format is not a whole number"),
        (setting(format=None), "its format is not a whole number"),
        (setting(files=[]), "is not a manifest"),
        (setting(files={"card.md": "0"}), "is not a manifest"),
        (setting(files=None), "is not a manifest"),
        (setting(model=None), "is not a manifest"),
        (setting(model=[]), "is not a manifest"),
        (setting(model={"file": ["model.onnx"]}), "has no digest"),
        (setting(model={"file": "model.onnx", "steps": 3}), "is not a manifest"),
        (lambda folder: ((folder / "manifest.json").unlink(), (folder / "manifest.json").mkdir()), "is not a manifest"),
        (lambda folder: (folder / "manifest.json").unlink(), "manifest.json is missing"),
    ],
)  # fmt: skip
def test_a_manifest_that_another_reader_could_read_otherwise_is_none(
    bundle: Bundle, change: Change, words: str
) -> None:
    change(bundle.model_folder)
    refused_by_both(bundle, words)


# --- what would run


def bomb(ran: Path) -> bytes:
    import pickle

    class Bomb:
        def __reduce__(self) -> tuple[Any, tuple[str, str]]:
            return open, (str(ran), "w")

    return pickle.dumps(Bomb())


@pytest.mark.parametrize(
    "trust", [None, {"decision": "code-by-value"}, {"decision": "skops-types", "code": []}]
)
def test_a_pickle_in_format_1_is_refused_whatever_decision_the_manifest_names(
    bundle: Bundle, tmp_path: Path, trust: Any
) -> None:
    ran = tmp_path / "ran"
    listed(bundle.model_folder, "model.pkl", bomb(ran))
    described = {
        "kind": "pickle",
        "file": "model.pkl",
        "array_dtype": None,
        "classes": None,
        "task": "regression",
    }
    rewritten(bundle.model_folder, lambda m: m.update(model=described, trust=trust))
    assert "model.pkl is a pickle and the manifest names no trust decision; not loaded" in refused(bundle)
    assert not ran.exists()
    with pytest.raises(BundleError, match="does not match the manifest"):
        bundle.verify()
    (bundle.model_folder / "signature").unlink()
    with pytest.raises(BundleError, match=r"model\.pkl is a pickle and the manifest names no trust") as told:
        bundle.verify()
    assert "\n" not in str(told.value)
    assert not ran.exists()


def test_more_trusted_types_do_not_match_the_signature(bundle: Bundle) -> None:
    rewritten(bundle.model_folder, lambda m: m["model"].update(trusted_types=["os.system"]))
    read_manifest(bundle.model_folder)  # by its digests alone it would pass
    for door in (bundle.check, bundle.verify):
        with pytest.raises(BundleError, match="does not match the manifest, which was changed after signing"):
            door()


def replayed(folder: Path) -> str:
    """Return the error of the runtime's own command, in a process of its own."""
    program = "import runpy, sys; sys.path.insert(0, sys.argv.pop(1)); "
    program += "runpy.run_module('modelyard_runtime', run_name='__main__')"
    runtime = Path(__file__).parents[1] / "templates"
    done = subprocess.run(
        [sys.executable, "-I", "-c", program, str(runtime), str(folder)],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 1
    return str(json.loads(done.stdout)["error"])


def test_a_skops_file_that_is_a_pickle_or_holds_a_type_nobody_trusts_is_not_loaded(tmp_path: Path) -> None:
    import skops.io
    from sklearn.preprocessing import FunctionTransformer

    ran = tmp_path / "ran"
    smuggled = skops.io.dumps(FunctionTransformer(subprocess.getoutput, kw_args={"cmd": f"touch {ran}"}))
    for content, words in ((bomb(ran), "not a zip file"), (smuggled, "subprocess.getoutput")):
        spoilt = tmp_path / "spoilt"
        shutil.rmtree(spoilt, ignore_errors=True)
        shutil.copytree(CAPTURED, spoilt, ignore=shutil.ignore_patterns("__pycache__"))
        listed(spoilt, "model.skops", content)
        assert words in replayed(spoilt)
        assert not ran.exists()


def test_a_compiled_file_beside_the_captured_module_is_not_run_in_its_place(
    bundle: Bundle, tmp_path: Path
) -> None:
    spoilt = Path(
        shutil.copytree(CAPTURED, tmp_path / "spoilt", ignore=shutil.ignore_patterns("__pycache__"))
    )
    (module,) = (spoilt / "captured").glob("*.py")
    planted = tmp_path / "planted.py"
    planted.write_text(f"open({str(tmp_path / 'ran')!r}, 'w')\n{module.read_text()}")
    py_compile.compile(
        str(planted), importlib.util.cache_from_source(str(module)),
        invalidation_mode=py_compile.PycInvalidationMode.UNCHECKED_HASH,
    )  # fmt: skip
    runtime = Path(__file__).parents[1] / "templates"
    subprocess.run(
        [sys.executable, "-I", "-c", PROBE, str(runtime), str(spoilt)], capture_output=True, check=True
    )
    assert not (tmp_path / "ran").exists()


def test_an_unsigned_bundle_is_refused_where_a_signature_is_required(
    bundle: Bundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MODELYARD_REQUIRE_SIGNATURE", "1")
    (bundle.model_folder / "signature").unlink()
    program = (
        "import sys, pathlib; from modelyard.packaging.bundle import Bundle\n"
        "try: Bundle('people', 1, pathlib.Path(sys.argv[1])).verify()\n"
        "except Exception as error: print(error, 'onnxruntime' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, str(bundle.path)], capture_output=True, text=True, check=True
    )
    assert done.stdout.startswith("bundle people:1: not signed: there is no 'signature' beside the manifest")
    assert done.stdout.endswith(" False\n")
    assert done.stdout.count("\n") == 1


# --- code beside the code that is served


@pytest.mark.parametrize(
    "name", ["runtime/numpy.py", "runtime/sitecustomize.py", "numpy.py", "json/__init__.py"]
)
def test_a_module_that_would_be_imported_in_the_place_of_another_is_refused(
    bundle: Bundle, name: str
) -> None:
    path = bundle.path / "src" / name
    path.parent.mkdir(exist_ok=True)
    path.write_text("raise SystemExit('it ran')")
    for door in (bundle.check, bundle.verify):
        with pytest.raises(BundleError, match="is not of this bundle") as told:
            door()
        assert "\n" not in str(told.value)


def test_a_service_that_is_gone_is_one_line(bundle: Bundle) -> None:
    (bundle.path / "src" / "service.py").unlink()
    with pytest.raises(BundleError, match=r"'service\.py' is missing") as told:
        bundle.check()
    assert "\n" not in str(told.value)


def test_a_runtime_that_is_gone_is_one_line(bundle: Bundle) -> None:
    (bundle.path / "src" / "runtime").rename(bundle.path / "moved")
    with pytest.raises(BundleError, match="its runtime was changed after packaging") as told:
        bundle.check()
    assert "\n" not in str(told.value)


# --- every file, every byte


def test_any_flipped_byte_and_any_missing_file_is_refused(bundle: Bundle) -> None:
    for path in sorted(bundle.model_folder.rglob("*")):
        if path.name == "signature":
            continue
        content = path.read_bytes()
        for position in {0, len(content) // 2, len(content) - 1}:
            path.write_bytes(content[:position] + bytes([content[position] ^ 1]) + content[position + 1 :])
            with pytest.raises(BundleError) as told:
                bundle.check()
            assert "\n" not in str(told.value), path.name
        path.unlink()
        with pytest.raises(BundleError) as told:
            bundle.check()
        assert path.name in str(told.value)
        path.write_bytes(content)
    bundle.check()
    signature = bundle.model_folder / "signature"
    content = signature.read_bytes()
    for position in range(0, len(content), 17):
        signature.write_bytes(content[:position] + bytes([content[position] ^ 1]) + content[position + 1 :])
        with pytest.raises(BundleError) as told:
            bundle.check()
        assert "\n" not in str(told.value)
