"""Whose a bundle is, what is in it, and what another one does otherwise."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import skops.io
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
from sklearn.compose import make_column_transformer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

import modelyard
from modelyard.errors import BundleError, UnknownNameError
from modelyard.packaging import signing
from modelyard.packaging.bill import bill_of_materials
from modelyard.packaging.bundle import Bundle
from modelyard.packaging.signing import verify_signature
from modelyard_runtime import bundle_format

ROWS = 240
_random = np.random.default_rng(0)
X = pd.DataFrame(
    {
        "age": _random.normal(40, 10, ROWS).round(1),
        "income": _random.normal(3000, 900, ROWS).round(2),
        "plan": _random.choice(["basic", "plus", "pro"], ROWS),
    }
)
y = ((X["age"] > 40) ^ (X["plan"] == "pro")).astype(int)


def model(table: pd.DataFrame = X, **more: Any) -> Pipeline:
    steps = make_column_transformer(
        (OneHotEncoder(handle_unknown="ignore"), ["plan"]), (StandardScaler(), ["age", "income"])
    )
    return make_pipeline(steps, LogisticRegression(**more)).fit(table, y[table.index])


def packaged(**more: Any) -> Bundle:
    return modelyard.package(model(**more), X, y, name="churn")


def one_line(error: pytest.ExceptionInfo[BundleError]) -> str:
    assert "\n" not in str(error.value)
    return str(error.value)


def resigned(bundle: Bundle, key: Ed25519PrivateKey, named: str | None = None) -> None:
    """Sign a bundle as somebody else would."""
    manifest = json.loads((bundle.model_folder / "manifest.json").read_bytes())
    written = {
        "algorithm": "ed25519",
        "key": named or signing.key_id(key.public_key()),
        "signature": base64.b64encode(key.sign(bundle_format.canonical(manifest))).decode(),
    }
    (bundle.model_folder / "signature").write_text(json.dumps(written))


def public_pem(key: Ed25519PrivateKey) -> bytes:
    return key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


# --- signature


def test_a_bundle_is_signed_with_a_key_that_is_made_on_first_use_and_only_its_user_reads(
    tmp_path: Path,
) -> None:
    bundle = packaged()
    keys = tmp_path / "config" / "keys"
    assert {path.name for path in keys.iterdir()} == {"signing.pem", "signing.pub.pem", "trusted"}
    assert (keys / "signing.pem").stat().st_mode & 0o777 == 0o600
    assert (keys / "signing.pem").read_text().startswith("-----BEGIN PRIVATE KEY-----")
    assert verify_signature(bundle.model_folder) == "own"
    private = (keys / "signing.pem").read_bytes()
    packaged(C=0.5)
    assert (keys / "signing.pem").read_bytes() == private
    contents = b"".join(path.read_bytes() for path in bundle.path.rglob("*") if path.is_file())
    assert b"PRIVATE KEY" not in contents


def test_the_signature_is_outside_the_digest_so_another_users_build_is_the_same_bundle(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = packaged()
    assert "signature" not in first.manifest["files"]
    monkeypatch.setenv("MODELYARD_CONFIG_DIR", str(tmp_path / "another-user"))
    monkeypatch.setenv("BENTOML_HOME", str(tmp_path / "another-store"))
    second = packaged()
    assert second.digest == first.digest
    signatures = [(b.model_folder / "signature").read_bytes() for b in (first, second)]
    assert signatures[0] != signatures[1]
    monkeypatch.setenv("BENTOML_HOME", str(tmp_path / "bentoml"))
    with pytest.raises(BundleError, match="not trusted here"):
        first.check()


def test_a_manifest_that_was_changed_after_signing_is_found_although_its_digests_match() -> None:
    bundle = packaged()
    path = bundle.model_folder / "manifest.json"
    manifest = json.loads(path.read_bytes())
    model_file = bundle.model_folder / "card.md"
    model_file.write_text("another card")
    manifest["files"]["card.md"]["sha256"] = hashlib.sha256(model_file.read_bytes()).hexdigest()
    path.write_bytes(bundle_format.canonical(manifest))
    bundle_format.read_manifest(bundle.model_folder)  # by its digests alone it would pass
    for refused in (bundle.check, bundle.verify):
        with pytest.raises(BundleError, match=r"churn:1: the signature by 'own' .* does not match") as told:
            refused()
        one_line(told)


def test_a_strangers_key_is_named_and_so_is_where_to_put_it(tmp_path: Path) -> None:
    bundle, stranger = packaged(), Ed25519PrivateKey.generate()
    resigned(bundle, stranger)
    named = hashlib.sha256(stranger.public_key().public_bytes_raw()).hexdigest()[:16]
    trusted = tmp_path / "config" / "keys" / "trusted"
    with pytest.raises(BundleError, match=f"key '{named}', which is not trusted here.*cp ") as told:
        bundle.check()
    assert str(trusted / "NAME.pem") in one_line(told)
    (trusted / "ada.pem").write_bytes(public_pem(stranger))
    bundle.check()
    assert verify_signature(bundle.model_folder) == "ada"


def test_a_strangers_signature_under_a_trusted_keys_id_does_not_match(tmp_path: Path) -> None:
    bundle = packaged()
    own = json.loads((bundle.model_folder / "signature").read_bytes())["key"]
    resigned(bundle, Ed25519PrivateKey.generate(), named=own)
    with pytest.raises(BundleError, match="does not match the manifest"):
        bundle.check()


def test_where_trusted_keys_are_given_the_users_own_is_not_among_them(tmp_path: Path) -> None:
    bundle, release = packaged(), Ed25519PrivateKey.generate()
    given = tmp_path / "release.pub.pem"
    given.write_bytes(public_pem(release))
    with pytest.raises(BundleError, match="not trusted here"):
        verify_signature(bundle.model_folder, trusted=given)
    resigned(bundle, release)
    assert verify_signature(bundle.model_folder, trusted=given) == "release"
    assert verify_signature(bundle.model_folder, trusted=tmp_path) == "release"


def test_an_unsigned_bundle_passes_unless_a_signature_is_required(monkeypatch: pytest.MonkeyPatch) -> None:
    bundle = packaged()
    (bundle.model_folder / "signature").unlink()
    bundle.check()
    monkeypatch.setenv("MODELYARD_REQUIRE_SIGNATURE", "1")
    with pytest.raises(BundleError, match="churn:1: not signed") as told:
        bundle.check()
    one_line(told)


@pytest.mark.parametrize(
    "content",
    [
        b"", b"\xff\xfe", b"[]", b"7", b"{}", b'{"algorithm": "ed25519", "key": "0", "signature": "!"}', b"[" * 99_999,
        b'{"algorithm": "ed25519", "key": "0", "signature": 7}', b'{"algorithm": "none", "key": "0", "signature": ""}',
    ],
)  # fmt: skip
def test_a_malformed_signature_is_one_line(content: bytes) -> None:
    bundle = packaged()
    (bundle.model_folder / "signature").write_bytes(content)
    with pytest.raises(BundleError, match=r"not a readable signature|of algorithm 'none'") as told:
        bundle.check()
    one_line(told)


def test_a_signature_that_points_out_of_the_bundle_is_refused_even_if_it_points_nowhere(
    tmp_path: Path,
) -> None:
    bundle = packaged()
    (bundle.model_folder / "signature").unlink()
    (bundle.model_folder / "signature").symlink_to(tmp_path / "nowhere")
    with pytest.raises(BundleError, match="'signature' is not of this bundle"):
        bundle.check()


def test_keys_that_cannot_be_used_are_named(tmp_path: Path) -> None:
    bundle = packaged()
    keys = tmp_path / "config" / "keys"
    (keys / "trusted" / "broken.pem").write_text("not a key")
    bundle.check()  # its key is found all the same
    resigned(bundle, Ed25519PrivateKey.generate())
    with pytest.raises(BundleError, match=r"broken\.pem is not an ed25519 public key"):
        bundle.check()
    (keys / "signing.pem").write_text("not a key")
    with pytest.raises(BundleError, match=r"signing\.pem is not an ed25519 private key") as told:
        packaged(C=0.5)
    one_line(told)


def test_a_configuration_that_cannot_be_written_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bundle = packaged()
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("MODELYARD_CONFIG_DIR", str(tmp_path / "file"))
    for refused in (bundle.check, lambda: packaged(C=0.5)):
        with pytest.raises(BundleError, match=r"no keys can be kept .* set MODELYARD_CONFIG_DIR") as told:
            refused()
        one_line(told)


# --- bill of materials


def test_the_bill_is_cyclonedx_and_names_the_model_and_every_line_of_the_lock() -> None:
    bundle = packaged()
    text = (bundle.model_folder / "sbom.cdx.json").read_text()
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(text) is None
    bill = json.loads(text)
    assert not {"serialNumber"} & bill.keys()
    assert "timestamp" not in bill["metadata"]
    kinds: dict[str, list[dict[str, Any]]] = {}
    for component in bill["components"]:
        kinds.setdefault(component["type"], []).append(component)
    (described,) = kinds["machine-learning-model"]
    found = hashlib.sha256((bundle.model_folder / "model.onnx").read_bytes()).hexdigest()
    assert described["hashes"] == [{"alg": "SHA-256", "content": found}]
    pins = {f"{c['name']}=={c['version']}" for c in kinds["library"]}
    lock = (bundle.model_folder / "lock.txt").read_text().splitlines()
    assert pins == {line.split()[0] for line in lock}
    assert bundle.manifest["files"]["sbom.cdx.json"]["sha256"] == hashlib.sha256(text.encode()).hexdigest()


def test_the_bill_does_not_depend_on_the_order_of_the_lock_and_passes_over_what_is_no_pin() -> None:
    lock = [
        "# written by hand",
        "--no-binary :all:",
        "numpy==2.4.6  # record:" + "0" * 64,
        "a.b==1+cpu ; x",
        "",
    ]
    bills = [bill_of_materials("churn", lines, {"model.onnx": "0" * 64}) for lines in (lock, lock[::-1])]
    assert bills[0] == bills[1]
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(bills[0].decode()) is None
    libraries = [c for c in json.loads(bills[0])["components"] if c["type"] == "library"]
    assert [(c["name"], c["version"]) for c in libraries] == [("a.b", "1+cpu"), ("numpy", "2.4.6")]


# --- the same bytes for the same object

FITTED = """
import sys
import numpy as np
import scipy.sparse
from sklearn.datasets import load_iris
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.neighbors import KNeighborsClassifier
from sklearn.gaussian_process import GaussianProcessClassifier
from sklearn.gaussian_process.kernels import RBF

noise = [np.full(n, 7.0) for n in range(1, 400)]  # what lay in memory before is another thing in each process
del noise[::1 + len(sys.argv[2])]
X, y = load_iris(return_X_y=True)
words = CountVectorizer(stop_words=None).fit(["the cat and the dog", "a day of rain"])
words.plain_ = {"and", "or", "the", "a", "of"}
words.kinds_ = [set, frozenset, frozenset(), {}, {"file": "1.npy", "content": {"__id__": 7}}]
words.frozen_ = frozenset({"x", "y", "z", "w"})
words.numbers_ = {np.str_("p"), np.str_("q"), np.str_("r")}
MODELS = {
    "forest": RandomForestClassifier(5, random_state=0).fit(X, y),
    "boosting": HistGradientBoostingClassifier(max_iter=5, random_state=0).fit(X, y),
    "sparse": KNeighborsClassifier().fit(scipy.sparse.csr_matrix(X), y),
    "gaussian": GaussianProcessClassifier(RBF(), random_state=np.random.RandomState(3)).fit(X, y),
    "words": words,
}
from modelyard.packaging.forms import as_python

for name, model in MODELS.items():
    form = as_python(model, None)
    assert form.described["kind"] == "skops", name
    with open(f"{sys.argv[1]}/{name}", "wb") as file:
        file.write(form.content)
"""


def test_the_same_fitted_object_is_the_same_skops_bytes_in_every_process(tmp_path: Path) -> None:
    for seed in ("1", "22"):
        (tmp_path / seed).mkdir()
        subprocess.run(
            [sys.executable, "-W", "ignore", "-c", FITTED, str(tmp_path / seed), seed],
            env={**os.environ, "PYTHONHASHSEED": seed},
            check=True,
        )
    names = sorted(path.name for path in (tmp_path / "1").iterdir())
    assert len(names) == 5
    for name in names:
        assert (tmp_path / "1" / name).read_bytes() == (tmp_path / "22" / name).read_bytes(), name
    words = _loaded(tmp_path / "1" / "words")
    assert words.plain_ == {"and", "or", "the", "a", "of"}
    assert words.kinds_ == [set, frozenset, frozenset(), {}, {"file": "1.npy", "content": {"__id__": 7}}]
    assert words.frozen_ == frozenset("xyzw")
    assert words.numbers_ == {"p", "q", "r"}


def test_a_canonical_skops_file_loads_as_what_was_written(tmp_path: Path) -> None:
    from sklearn.datasets import load_iris
    from sklearn.ensemble import RandomForestClassifier

    from modelyard.packaging.forms import as_python

    table, target = load_iris(return_X_y=True)
    forest = RandomForestClassifier(7, random_state=1).fit(table, target)
    path = tmp_path / "model.skops"
    path.write_bytes(as_python(forest, None).content)
    loaded = _loaded(path)
    assert np.array_equal(loaded.predict_proba(table), forest.predict_proba(table))
    assert path.read_bytes() == as_python(loaded, None).content


def _loaded(path: Path) -> Any:
    content = path.read_bytes()
    return skops.io.loads(content, trusted=skops.io.get_untrusted_types(data=content))


# --- difference


def test_nothing_changed_between_a_bundle_and_itself() -> None:
    bundle = packaged()
    found = bundle.diff("churn:1")
    rows = len(bundle.golden()[0])
    assert repr(found) == f"churn:1 → churn:1: 0 of {rows} golden rows moved"
    assert found.changes == found.moved == found.refused == ()


def test_a_difference_says_parameters_contract_form_and_the_rows_that_moved() -> None:
    first = packaged()
    young = X[X["age"] < 45]
    second = modelyard.package(model(young, C=0.01, fit_intercept=False), young, y[young.index], name="churn")
    found = first.diff(second)
    kinds = {(change.kind, change.name): (change.ours, change.theirs) for change in found.changes}
    assert kinds["parameter", "logisticregression__C"] == ("1.0", "0.01")
    assert kinds["parameter", "logisticregression__fit_intercept"] == ("True", "False")
    assert kinds["form", "training rows"] == (str(len(X)), str(len(young)))
    assert kinds["contract column", "age"][1].endswith(f"maximum {young['age'].max()}")
    assert ("contract column", "plan") not in kinds
    rows, answers = first.golden()
    wanted = second_answers(second, rows)
    assert [(m.row, m.theirs) for m in found.moved] == [
        (n, w) for n, (a, w) in enumerate(zip(answers, wanted, strict=True)) if a != w
    ]
    assert found.moved
    assert f"{len(found.moved)} of {len(rows)} golden rows moved" in repr(found)
    assert "2 parameters" in repr(found)
    shown = found._repr_mimebundle_()
    payload = shown["application/vnd.modelyard.difference+json"]
    assert payload["ours"] == "churn:1"
    assert len(payload["moved"]) == len(found.moved)
    assert payload["table"]["columns"] == ["what", "churn:1", "churn:2"]
    json.dumps(payload, allow_nan=False)


def second_answers(bundle: Bundle, rows: list[dict[str, Any]]) -> list[Any]:
    from modelyard_runtime.predictor import Predictor

    table = {name: [row[name] for row in rows] for name in rows[0]}
    return Predictor(bundle.model_folder).outputs(table, len(rows))[0]


def test_rows_that_the_others_contract_refuses_are_listed_and_not_replayed() -> None:
    first = packaged()
    young = X[X["age"] < 45]
    strict = modelyard.package(model(young), young, y[young.index], name="strict", policy="reject")
    found = first.diff(strict)
    old = [n for n, row in enumerate(first.golden()[0]) if row["age"] > young["age"].max()]
    assert set(old) <= {refused.row for refused in found.refused}
    assert not {refused.row for refused in found.refused} & {moved.row for moved in found.moved}
    reasons = {refused.row: refused.reason for refused in found.refused}
    assert reasons[old[0]] == "column 'age': out of the learned range"
    assert f"{len(found.refused)} refused by strict:1" in repr(found)
    without = X.drop(columns="income")
    plain = make_pipeline(
        make_column_transformer(
            (OneHotEncoder(handle_unknown="ignore"), ["plan"]), (StandardScaler(), ["age"])
        ),
        LogisticRegression(),
    ).fit(without, y)
    fewer = first.diff(modelyard.package(plain, without, y, name="fewer"))
    assert len(fewer.refused) == fewer.golden_rows
    change = next(c for c in fewer.changes if c.name == "income" and c.kind == "contract column")
    assert change.theirs is None


def test_lock_lines_and_captured_code_are_compared(tmp_path: Path) -> None:
    from modelyard.packaging.bundle import Bundle

    first = packaged()
    second = packaged(C=0.5)
    for bundle, factor in (
        (first, "2.0"),
        (second, "3.0"),
    ):  # as a build with captured code would have written it
        (bundle.model_folder / "captured").mkdir()
        module = f"captured/m{factor[0]}.py"
        added = {module: f"def scaled(table):\n    return table * {factor}\n".encode()}
        if bundle is second:
            lock = (bundle.model_folder / "lock.txt").read_bytes()
            added["lock.txt"] = lock.replace(b"numpy==", b"numpy==0.")
        manifest = json.loads((bundle.model_folder / "manifest.json").read_bytes())
        for name, content in added.items():
            (bundle.model_folder / name).write_bytes(content)
            manifest["files"][name] = {"sha256": hashlib.sha256(content).hexdigest()}
        (bundle.model_folder / "manifest.json").write_bytes(bundle_format.canonical(manifest))
        (bundle.model_folder / "signature").write_bytes(signing.sign(manifest))
    ours, theirs = (Bundle(b.name, b.version, b.path) for b in (first, second))
    found = ours.diff(theirs)
    (line,) = [c for c in found.changes if c.kind == "lock line"]
    assert line.name == "numpy"
    assert line.theirs == f"0.{line.ours}"
    (code,) = [c for c in found.changes if c.kind == "code"]
    assert code.name == "captured/m2.py"
    assert "-    return table * 2.0\n+    return table * 3.0" in found.code
    assert "1 lock line, 1 captured file" in repr(found)


def test_what_cannot_be_compared_is_one_line() -> None:
    bundle = packaged()
    with pytest.raises(UnknownNameError, match="no bundle named 'chorn'"):
        bundle.diff("chorn")
    with pytest.raises(BundleError, match="compared with a bundle or its name, found int") as told:
        bundle.diff(7)  # type: ignore[arg-type]
    one_line(told)
    other = packaged(C=0.5)
    (other.model_folder / "model.onnx").write_bytes(b"")
    with pytest.raises(BundleError, match=r"churn:2: bundle file 'model.onnx' was changed"):
        bundle.diff(other)


@pytest.mark.parametrize("path", ["runtime/modelyard_runtime/contract.py", "service.py"])
def test_code_that_would_be_served_cannot_be_changed_unnoticed(path: str) -> None:
    bundle = packaged()
    bundle.check()
    with (bundle.path / "src" / path).open("a") as file:
        file.write("# changed")
    with pytest.raises(BundleError, match=r"its (runtime|service) was changed after packaging"):
        bundle.check()


def test_packaging_again_puts_a_signature_of_ones_own_in_the_place_of_a_strangers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    packaged()
    monkeypatch.setenv("MODELYARD_CONFIG_DIR", str(tmp_path / "another-user"))
    with pytest.raises(BundleError, match="trusted"):
        modelyard.bundle("churn").check()
    again = packaged()
    assert again.tag == "churn:1"
    again.check()


BUILD = """
import sys
sys.path.insert(0, sys.argv[1])
import modelyard
from people import FRAME, TARGET, pipeline
from sklearn.gaussian_process import GaussianProcessClassifier
from sklearn.preprocessing import FunctionTransformer, StandardScaler

FACTORS = {"b", "a", "c"}

def scaled(table):
    return table * len(FACTORS)

model = pipeline(StandardScaler(), FunctionTransformer(scaled))
print(modelyard.package(model, FRAME, TARGET, name="cell").digest)
numbers = FRAME[["age"]].head(60)
slow = GaussianProcessClassifier(random_state=0).fit(numbers, TARGET.head(60))
print(modelyard.package(slow, numbers, TARGET.head(60), name="python").digest)
"""


@pytest.mark.thorough
def test_two_processes_in_two_directories_build_the_same_digests_of_what_holds_python(tmp_path: Path) -> None:
    built = []
    for seed in ("1", "2"):
        folder = tmp_path / f"directory-{seed}"
        (folder / ".modelyard").mkdir(parents=True)
        (folder / "build.py").write_text(BUILD)
        env = {**os.environ, "PYTHONHASHSEED": seed, "BENTOML_HOME": str(folder / "bentoml")}
        ran = subprocess.run(
            [sys.executable, "-W", "ignore", "build.py", str(Path(__file__).parent)],
            cwd=folder, env=env, capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert ran.returncode == 0, ran.stderr
        built.append(ran.stdout.split())
    assert built[0] == built[1]
    assert [len(digest) for digest in built[0]] == [64, 64]
