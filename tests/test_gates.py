"""The gates before a bundle is written: what they refuse, in one line, and what they let pass."""

from __future__ import annotations

import io
import json
import os
import time
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import skops.io
from IPython.core.interactiveshell import InteractiveShell
from sklearn.compose import ColumnTransformer
from sklearn.decomposition import PCA
from sklearn.ensemble import BaggingClassifier, RandomForestClassifier
from sklearn.feature_extraction.text import CountVectorizer, HashingVectorizer, TfidfVectorizer
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.impute import KNNImputer
from sklearn.kernel_approximation import Nystroem
from sklearn.kernel_ridge import KernelRidge
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import KNeighborsClassifier, LocalOutlierFactor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, OneHotEncoder, StandardScaler
from sklearn.semi_supervised import LabelPropagation
from sklearn.svm import SVC

from modelyard.capture import CaptureError, capture
from modelyard.errors import EmbeddedDataError, SecretFoundError
from modelyard.packaging.gates import check_embedded, check_secrets, kept_rows, known_secrets
from people import FRAME, MODEL, TARGET

# put together here, so that nothing which looks like a secret stands in this repository
AWS = "AKIA" + "IOSFODNN7EXAMPLE"
GITHUB = "ghp_" + "aB3dE6gH9jK2mN5pQ8sT1vW4yZ7bC0eF3hJ6"
PEM = "-----BEGIN " + "PRIVATE KEY-----\nMIIEvQIBADANBgkqhkiG9w0BAQEFAASC\n-----END " + "PRIVATE KEY-----\n"
JWT = "eyJhbGciOiJIUzI1NiJ9" + ".eyJzdWIiOiIxMjM0NSJ9" + ".dBjftJeZ4CVPmB92K27uhbUJU1p1r"
ENV_VALUE = "q7Zr-19xK_mmPw42"

IMPORTS = """
import io, json, os
import numpy as np
import pandas as pd
from sklearn.preprocessing import FunctionTransformer
"""
USES = "def f(X):\n    return X if VALUE else X\nmodel = FunctionTransformer(f)"

Source = Callable[..., str]


@pytest.fixture
def source(shell: InteractiveShell) -> Source:
    """Run cells as a notebook does; return what capture makes of the one that is called ``model``."""

    def captured(*texts: str) -> str:
        for text in (IMPORTS, *texts):
            shell.run_cell(text, store_history=True).raise_error()
        found = capture(shell.user_ns["model"])
        assert found is not None
        return found.source

    return captured


def check_code(code: str, known: dict[str, str] | None = None) -> None:
    check_secrets({"captured/modelyard_captured_x.py": code.encode()}, known or {})


def refused_secret(files: dict[str, bytes], known: dict[str, str] | None = None) -> str:
    with pytest.raises(SecretFoundError) as told:
        check_secrets(files, known or {})
    message = str(told.value)
    assert "\n" not in message
    return message


def refused_code(code: str, known: dict[str, str] | None = None) -> str:
    return refused_secret({"captured/modelyard_captured_x.py": code.encode()}, known)


def refused_data(code: str, frame: pd.DataFrame = FRAME) -> str:
    with pytest.raises(EmbeddedDataError) as told:
        check_embedded(code, frame)
    message = str(told.value)
    assert "\n" not in message
    assert message.startswith("embedded data: ")
    assert "compute it in fit()" in message
    return message


# --- the four that are planted --------------------------------------------------------------------------------------


def test_refuses_a_value_of_the_env_file_in_captured_code(source: Source, project: Path) -> None:
    (project / ".env").write_text(
        f"# the service\nexport API_TOKEN='{ENV_VALUE}'\nLOG_LEVEL=WARNING\nPORT=8080\n"
    )
    known = known_secrets([project], {})
    assert known == {".env: API_TOKEN": ENV_VALUE}
    message = refused_code(source(f"VALUE = 'Bearer {ENV_VALUE}'", USES), known)
    assert "captured code: constant 'VALUE' holds the value of API_TOKEN of .env" in message
    assert ENV_VALUE not in message


def test_refuses_an_aws_key_in_captured_code(source: Source) -> None:
    message = refused_code(source(f"VALUE = {AWS!r}", USES))
    assert (
        "constant 'VALUE' holds an AWS access key (AKIA…, redacted); read it from the environment" in message
    )
    assert AWS not in message


@pytest.mark.parametrize("key", [PEM, "gone"])
@pytest.mark.parametrize("as_text", [True, False])
def test_refuses_the_key_of_a_service_account_in_captured_code(
    source: Source, key: str, as_text: bool
) -> None:
    account = {"type": "service_account", "client_email": "a@b.iam.gserviceaccount.com", "private_key": key}
    held = json.dumps(account) if as_text else account
    message = refused_code(source(f"VALUE = {held!r}", USES))
    assert "constant 'VALUE' holds" in message
    assert "service account" in message or "a private key" in message
    assert "MIIE" not in message


def test_refuses_csv_text_in_captured_code(source: Source) -> None:
    code = source("VALUE = 'name,town,age\\nAnna,Bern,31\\nBob,Basel,44\\nCleo,Chur,27\\n'", USES)
    assert (
        "constant 'VALUE' of captured code holds a table as CSV text (3 rows of name, town, age)"
        in refused_data(code)
    )


# --- secrets --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "read", ["open('.env').read()", "pd.read_csv('customers.csv')", "io.open('key.json')"]
)
def test_capture_itself_refuses_code_that_opens_such_a_file(source: Source, read: str) -> None:
    with pytest.raises(CaptureError, match="opens the file"):
        source(f"def f(X):\n    return X if {read} is not None else X\nmodel = FunctionTransformer(f)")


@pytest.mark.parametrize("line", ["load_dotenv()", "dotenv.dotenv_values()", "import dotenv"])
def test_refuses_code_that_loads_an_env_file(line: str) -> None:
    assert "'f' (line 1) loads a .env file" in refused_code(f"def f(X):\n    {line}\n    return X\n")


@pytest.mark.parametrize(
    ("secret", "what"),
    [
        (GITHUB, "a GitHub token"), (PEM, "a private key"), (JWT, "a JSON Web Token"),
        ("AccountKey=" + "a1B2" * 22, "an Azure storage key"), ("sk_" + "live_" + "a1B2c3" * 4, "a Stripe key"),
        ("xoxb" + "-12345-67890-abcdefabcdef", "a Slack token"), ("hf_" + "aBcDeFgHiJ" * 3 + "aBcD", "Hugging Face"),
        ("postgresql://bob:" + "h7Gq2x@db.example.com/x", "a password in an address"),
        ("AIza" + "Sy" + "a1B2c3D4e5F" * 3, "a Google API key"), ("glpat" + "-a1B2c3D4e5F6g7H8i9J0", "a GitLab token"),
    ],
)  # fmt: skip
def test_knows_secrets_by_their_shape_wherever_they_stand(secret: str, what: str) -> None:
    for code in (
        f"A = {{'x': [1, {secret!r}]}}\n",
        f"def f(X, k={secret!r}):\n    return X\n",
        f"class T:\n    def fit(self, X):\n        return g(X, b'a ' + {secret.encode()!r})\n",
    ):
        message = refused_code(code)
        assert what in message
        assert secret not in message
    row = {"row": {"note": f"see {secret}"}, "prediction": 1, "probabilities": None}
    assert what in refused_secret({"golden.jsonl": (json.dumps(row) + "\n").encode()})
    assert what in refused_secret({"model.onnx": os.urandom(5000) + b"\x00" + secret.encode() + b"\x00" * 50})


def test_finds_a_secret_in_a_comment() -> None:
    assert "line 2 holds a GitHub token" in refused_code(f"def f(X):\n    # {GITHUB}\n    return X\n")


@pytest.mark.parametrize(
    "code",
    [
        "DB_PASSWORD = 'hunter2'", "password = 'my dog has fleas'", "class T:\n    api_key = 'a8f-31kz-9'",
        "def f(X, client_secret='x9Kq2-77'):\n    return X", "def f(X):\n    return g(X, password='hunter2')",
        "C = {'user': 'bob', 'password': 'hunter2'}", "C = {'access_token': 'x9Kq277ppLm3'}",
        "def f(X):\n    return os.environ.get('API_TOKEN', 'x9Kq277ppLm3')", "TOKEN = 'x9Kq277ppLm3'",
        "def f(X):\n    self.auth_token = 'x9Kq277ppLm3'", "os.environ['SECRET_KEY'] = 'x9Kq277p'",
        "CONNECTION_STRING = 'Server=db;User=bob'", "T = 'Server=db;Password=h7Gq2x;'",
        "T = 'HOST=db\\nAPI_KEY=x9Kq277ppLm3'", "T = '{\"db\": {\"password\": \"h7Gq2x\"}}'",
        "def f(x):\n    return x.password == 'hunter2'", "awsSecretKey = 'abcd/EFGH+1234'",
        "H = {'Authorization': 'Bearer x9Kq277ppLm3'}",
    ],
)  # fmt: skip
def test_refuses_a_literal_bound_to_the_name_of_a_credential(code: str) -> None:
    assert "secret" in refused_code(code + "\n")


@pytest.mark.parametrize(
    "code",
    [
        r"token_pattern = r'(?u)\b\w\w+\b'", "tokenizer = 'word9split2x'", "f(X, key='town')", "sort_key = 'a1_b2_c3'",
        "primary_key = 'customer_id'", "password_strength = 'very-strong-9'", "TOKEN = '<unk>'", "PAD_TOKEN = '[PAD]'",
        "CATEGORIES = ['secret', 'public', 'token', 'password']", "TYPES = {'password': 'string', 'token': 'float32'}",
        "PASSWORD = 'password'", "API_KEY = 'api_key'", "access_key = 'customer_id'", "SECRET = 'Geheim'",
        "EOS_TOKEN = '<|endoftext|>'", "UNK_TOKEN = 'unknown_token'", "password = ''", "api_key = 'YOUR-API-KEY'",
        "PASSWORD = os.environ['DB_PASSWORD']", "api_key = None", "password = '<password>'", "token = 'env:TOKEN'",
        "class Kind:\n    TOKEN = 'token'\n    SECRET = 'top-secret'\n", "PWD = '/home/bob'", "secret = 'changeme'",
        "LABELS = {'secret': 'Not for the public', 'password': 'Enter it.'}", "col_password = 'user_password'",
        "A = '-----BEGIN PRIVATE KEY----- is how a key begins'", "SEQUENCE = 'ACCATTGACCATGACCATTG'",
        "TOKEN_RE = r'^[a-z0-9]{12}$'", "access_token = r'[A-Z]{3}\\d+x9q'", "URL = 'https://example.com:8080/a@b'",
        "DIGEST = 'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855'", "token = 'mean_token_1'",
        "CONNECTION_STRING = 'sqlite:///x.db'", "DOC = 'postgresql://user:password@localhost/db'",
        "V = {'password': 3, 'token': 4}", "QUERY = 'a=1&b=2'", "secret_feature = 'x9Kq277ppLm3'",
    ],
)  # fmt: skip
def test_passes_names_and_values_that_only_look_alike(code: str) -> None:
    check_code(code + "\n")


def pipelines() -> list[Any]:
    words = [
        "secret token password key",
        "api_key of the private key",
        "open town and more",
        "begin rsa private key",
    ]
    texts = pd.DataFrame(
        {"api_key": words, "kind": ["secret", "token", "password", "secret"], "n": [1.0, 2, 3, 4]}
    )
    texts["kind_n"] = np.array(["a", "b", "c", "d"])
    made = [
        (
            t,
            make_pipeline(
                ColumnTransformer([("t", t, "api_key"), ("k", OneHotEncoder(), ["kind", "kind_n"])])
            ),
        )
        for t in (CountVectorizer(), TfidfVectorizer(ngram_range=(1, 2)), HashingVectorizer(n_features=64))
    ]
    found = [p.fit(texts) for _, p in made]
    named = FunctionTransformer(np.clip, kw_args={"a_min": 0.0, "a_max": 9.0}).fit([[1.0]])
    return [*found, named, MODEL, RandomForestClassifier(5).fit(FRAME[["age"]], TARGET)]


def test_passes_realistic_pipelines_and_what_is_written_of_them() -> None:
    for model in pipelines():
        parameters = {k: v for k, v in model.get_params().items() if isinstance(v, str | int | float | bool)}
        column = {
            "name": "api_key",
            "type": "string",
            "categories": ["secret", "token", "hunter2", "p4ssword"],
        }
        row = {"row": {"api_key": "hunter2", "password": "x9Kq277p"}, "prediction": "secret"}
        digests = {"model.skops": {"sha256": "a3f1" * 16, "source": "skops, in canonical form"}}
        check_secrets(
            {
                "model.skops": skops.io.dumps(model),
                "manifest.json": json.dumps({"parameters": parameters, "files": digests}).encode(),
                "contract.json": json.dumps({"columns": [column]}).encode(),
                "profile.json": json.dumps({"columns": {"api_key": {"counts": {"hunter2": 3}}}}).encode(),
                "golden.jsonl": (json.dumps(row) + "\n").encode(),
                "card.md": b"# x\n\nThe password is a column; BEGIN RSA PRIVATE KEY is prose.\n",
                "lock.txt": b"tokenizers==0.20\npython-dotenv==1.0  # record:" + b"ab12" * 16 + b"\n",
                "captured/modelyard_captured_x.py": b"import numpy as np\n\n\ndef f(X):\n    return np.abs(X)\n",
            },
            {".env: API_TOKEN": ENV_VALUE},
        )


def test_a_secret_in_golden_rows_names_the_column_and_how_to_do_without() -> None:
    lines = [{"row": {"api_key": value}, "prediction": 1} for value in ("x", GITHUB)]
    golden = "\n".join(map(json.dumps, lines)).encode()
    message = refused_secret({"golden.jsonl": golden})
    assert "golden.jsonl: column 'api_key', row 1 holds a GitHub token (ghp_…, redacted)" in message
    assert message.endswith("or type: --golden synthetic")
    contract = json.dumps({"columns": [{"name": "api_key", "categories": ["x", GITHUB]}]}).encode()
    message = refused_secret({"golden.jsonl": golden, "contract.json": contract})
    assert message.startswith("contract.json: column 'api_key' holds a GitHub token")
    assert "(and 1 more)" in message
    assert "synthetic" not in message
    profile = json.dumps({"rows": 2, "columns": {"api_key": {"counts": {GITHUB: 2}}}}).encode()
    message = refused_secret({"profile.json": profile})
    assert "profile.json: column 'api_key'" in message
    assert GITHUB not in message


def test_judges_parameters_of_a_model_by_their_names() -> None:
    manifest = {"parameters": {"vectorizer__token_pattern": r"(?u)\b\w+\b", "client__api_key": "x9Kq-277p"}}
    assert "parameter 'client__api_key' is a literal" in refused_secret(
        {"manifest.json": json.dumps(manifest).encode()}
    )
    model = FunctionTransformer(np.clip, kw_args={"api_key": "x9Kq-277p"})
    assert "model.skops: attribute 'api_key' is a literal" in refused_secret(
        {"model.skops": skops.io.dumps(model)}
    )
    account = {"type": "service_account", "client_email": "a@b.c"}
    assert "service account" in refused_secret(
        {"model.skops": skops.io.dumps(FunctionTransformer(kw_args={"account": account}))}
    )


@pytest.mark.parametrize("dtype", [object, str])
def test_looks_into_the_arrays_of_a_model(dtype: type) -> None:
    values = np.array([["open"], [GITHUB]], dtype=dtype)
    content = skops.io.dumps(OneHotEncoder().fit(values))
    assert "holds a GitHub token" in refused_secret({"model.skops": content})


def test_a_known_secret_is_found_in_every_kind_of_file() -> None:
    known = {".env: API_TOKEN": ENV_VALUE}
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("schema.json", json.dumps({"content": json.dumps(ENV_VALUE)}))
    for files in (
        {"card.md": f"call it with {ENV_VALUE}.".encode()},
        {"manifest.json": json.dumps({"notes": [f"a {ENV_VALUE}"]}).encode()},
        {"model.onnx": b"\x08\x07" + ENV_VALUE.encode() + b"\xff"},
        {"model.skops": buffer.getvalue()},
    ):
        message = refused_secret(files, known)
        assert "holds the value of API_TOKEN of .env" in message
        assert ENV_VALUE not in message


def test_refuses_a_file_of_secrets_by_its_name() -> None:
    assert ".env is a file of secrets" in refused_secret({".env": b"A=1\n"})


def test_knows_the_secrets_of_the_project_and_leaves_out_what_is_none(project: Path) -> None:
    (project / ".env").write_text(
        "API_TOKEN=abc-9912-xyzw  # the service\nDB_PASSWORD=\"correct horse\\nstaple\"\nNAME=customer-churn\n"
        "REGION=eu-central-1\nDATA=/srv/data/2024x\nHOST=https://mlflow.example.com:5000\nDATE=2024-01-01\n"
        "SHORT_KEY=a1b2\nLEVEL=WARNING\nVERSION=1.2.3\nMAIL=bob77@example.com\nHIDDEN=kk82hhsk19mmx\nbroken line\n"
        "EMPTY=\nPASSWORD=changeme\nSEED_KEY=1234567890\n"
    )  # fmt: skip
    (project / ".env.local").write_text("SIGNING_KEY=zz81-ppqq-1100\n")
    (project / ".env.example").write_text("API_TOKEN=put-1-yours-2-here\n")
    environment = {
        "MY_SECRET": "ooP3-ll1-22",
        "TOKENIZERS_PARALLELISM": "abcdef12345",
        "PATH": "/bin:/usr/bin",
    }
    assert known_secrets([project, project], environment) == {
        ".env: API_TOKEN": "abc-9912-xyzw",
        ".env: DB_PASSWORD": "correct horse\nstaple",
        ".env: HIDDEN": "kk82hhsk19mmx",
        ".env.local: SIGNING_KEY": "zz81-ppqq-1100",
        "the environment: MY_SECRET": "ooP3-ll1-22",
    }
    assert known_secrets([project / "nowhere"], {}) == {}


def test_scans_a_model_of_fifty_megabytes_in_about_a_second() -> None:
    content = {"model.onnx": os.urandom(50_000_000)}
    check_secrets({"card.md": b""}, {})  # imports detect-secrets
    before = time.perf_counter()
    check_secrets(content, {".env: A": ENV_VALUE})
    assert time.perf_counter() - before < 3  # 0.9 s where nothing else runs


# --- embedded data --------------------------------------------------------------------------------------------------

ROWS = FRAME.iloc[20:26][["age", "income", "town", "member"]]


@pytest.mark.parametrize(
    "expression",
    [
        repr(ROWS.to_dict("records")), repr(ROWS.to_dict("list")), repr(ROWS.to_numpy().tolist()),
        repr(ROWS.to_dict("index")), repr(ROWS.to_dict()), repr(ROWS[["income", "age"]].to_numpy().tolist()),
        repr([tuple(row) for row in ROWS.itertuples()]), repr(ROWS.to_dict("split")), repr(ROWS.to_json()),
        f"np.array({ROWS[['age', 'income']].to_numpy().tolist()!r})",
        f"np.array({ROWS[['income', 'age']].to_numpy(dtype='float32').tolist()!r}, dtype='float32')",
        f"pd.DataFrame({ROWS.to_dict('list')!r}).to_numpy()", repr(ROWS.to_json(orient="records")),
        repr(ROWS.to_json(orient="records", lines=True)), repr(ROWS.to_csv()), repr(ROWS.to_csv(sep=";")),
        repr(ROWS.to_csv(index=False).splitlines()), repr({"data": [ROWS.to_dict("records")], "n": 4}),
        repr(ROWS[["age", "income"]].to_csv(header=False, index=False)), repr(ROWS.T.to_numpy().tolist()),
        repr({f"id{n}": row for n, row in enumerate(ROWS.to_numpy().tolist())}),
    ],
)  # fmt: skip
def test_refuses_rows_of_the_training_table_in_any_form(source: Source, expression: str) -> None:
    nan = "nan = float('nan')\nnull = None\n"
    code = source(
        f"{nan}VALUE = {expression}\nVALUE = VALUE if isinstance(VALUE, str | list | dict) else VALUE", USES
    )
    assert "constant 'VALUE' of captured code holds" in refused_data(code)


def test_refuses_rows_in_a_definition() -> None:
    rows = ROWS.dropna().to_dict("records")[:4]
    assert "'f' (line 1) of captured code holds 4 rows of X" in refused_data(
        f"def f(X, k={rows!r}):\n    return X\n"
    )
    method = f"class T:\n    def fit(self, X):\n        self.rows_ = {rows!r}\n        return self\n"
    assert "'T.fit' (line 2)" in refused_data(method)
    assert "class 'T' (line 1)" in refused_data(f"class T:\n    rows = {rows!r}\n")


@pytest.mark.parametrize("column", ["age", "income"])
def test_refuses_a_run_of_a_columns_values(source: Source, column: str) -> None:
    values = FRAME[column].iloc[40:65].tolist()
    code = source(f"nan = float('nan')\nVALUE = {values!r}", USES)
    assert f"25 values of the column '{column}' of X" in refused_data(code)
    array = source(f"VALUE = np.array({values!r})", USES)
    assert f"25 values of the column '{column}' of X" in refused_data(array)


def test_refuses_one_row_under_the_names_of_the_columns() -> None:
    text = "age,income,town\n" + f"{FRAME['age'][3]},{FRAME['income'][3]},{FRAME['town'][3]}\n"
    assert "1 row of X as CSV" in refused_data(f"A = {text!r}\n")


def quantiles() -> list[float]:
    return [
        float(v) for v in np.unique(np.nanquantile(FRAME["income"], np.linspace(0, 1, 31), method="nearest"))
    ]


@pytest.mark.parametrize(
    "expression",
    [
        "['Bern', 'Basel', 'Chur']", "{'Bern': 3012.5, 'Basel': 2987.1}", "[18, 30, 45, 60, 80]",
        "[[18, 30], [30, 45], [45, 80]]", "[(20, 'low'), (40, 'middle'), (60, 'high')]",
        "{'Bern': ('BE', True), 'Basel': ('BS', False), 'Chur': ('GR', True)}", "list", repr(quantiles()),
        "list(range(18, 80))", repr(list(range(18, 80))), "[0] * 40", repr([True, False] * 30),
        "{'age': [18, 80], 'income': [1500.0, 4500.0]}", "{'age': 44.1, 'income': 2990.5, 'town': 'Bern'}",
        "[{'age': 30, 'income': 2500.5}, {'age': 40, 'income': 2600.5}, {'age': 50, 'income': 2700.5}]",
        "np.array([[1.0, 0.0], [0.0, 1.0]])", repr(np.random.default_rng(5).normal(size=(10, 4)).tolist()),
        "[{'town': t, 'member': m} for t in ('Bern', 'Basel') for m in (True, False)]",
        "[{'town': 'Bern', 'member': True}, {'town': 'Basel', 'member': True}, {'town': 'Bern', 'member': False}]",
        "'SELECT a, b\\nFROM t, u\\nWHERE x = 1, y = 2'", "'one, two\\nthree, four\\nfive, six and more of it, seven'",
        "'a text\\nof three\\nlines'", "'%s,%s\\n%d,%d\\n%f,%f'", "'{\"a\": 1, \"b\": [1, 2, 3]}'",
        repr(dict.fromkeys("abcdefghijklmnopqrstuvwxyz", 1.5)),
    ],
)  # fmt: skip
def test_passes_categories_edges_figures_and_lookups(expression: str) -> None:
    check_embedded(f"import numpy as np\n\nVALUE = {expression}\n", FRAME)


def test_passes_what_real_code_says_in_docstrings() -> None:
    code = 'def f(X):\n    """Add it.\n\n    a, b\n    c, d\n    e, f\n    """\n    return X\n'
    check_embedded(code, FRAME)
    check_embedded('def f(X):\n    """a,b\n    c,d\n    e,f\n    """\n    return X\n', FRAME)


def test_a_table_of_small_whole_numbers_matches_no_grid_by_chance() -> None:
    random = np.random.default_rng(1)
    frame = pd.DataFrame(random.integers(0, 12, (3000, 6)), columns=list("abcdef"))
    pairs = [[a, a + 3] for a in range(8)]
    check_embedded(f"BINS = {pairs!r}\nWIDE = {[[0, 3, 6], [3, 6, 9], [6, 9, 11]]!r}\n", frame)
    assert "rows of X" in refused_data(f"ROWS = {frame.head(4).to_numpy().tolist()!r}\n", frame)


def test_compares_with_a_large_table_in_reasonable_time() -> None:
    random = np.random.default_rng(2)
    frame = pd.DataFrame(random.normal(size=(100_000, 30)), columns=[f"x{n}" for n in range(30)])
    before = time.perf_counter()
    check_embedded(
        f"W = {random.normal(size=(30, 10)).tolist()!r}\nB = {random.normal(size=900).tolist()!r}\n", frame
    )
    assert time.perf_counter() - before < 20


# --- models that keep their rows ------------------------------------------------------------------------------------

NUMBERS = np.random.default_rng(3).normal(size=(60, 4))
LABELS = (NUMBERS[:, 0] > 0).astype(int)


@pytest.mark.parametrize(
    ("model", "begins"),
    [
        (KNeighborsClassifier(), "KNeighborsClassifier keeps the 60 rows it was trained on: whoever has"),
        (make_pipeline(StandardScaler(), KNeighborsClassifier()),
         "KNeighborsClassifier keeps the 60 rows it was trained on (after the steps before it)"),
        (GaussianProcessRegressor(), "GaussianProcessRegressor keeps the 60 rows"),
        (KernelRidge(kernel="rbf"), "KernelRidge keeps the 60 rows"), (KNNImputer(), "KNNImputer keeps the 60 rows"),
        (LabelPropagation(), "LabelPropagation keeps the 60 rows"),
        (LocalOutlierFactor(novelty=True), "LocalOutlierFactor keeps the 60 rows"),
        (Nystroem(n_components=20), "Nystroem keeps 20 of the rows"),
        (BaggingClassifier(SVC(), n_estimators=3, random_state=0), "each SVC in it keeps up to"),
        (RandomForestClassifier(5, oob_score=True), "RandomForestClassifier keeps a table with a line for each"),
    ],
)  # fmt: skip
def test_says_which_models_keep_their_training_rows(model: Any, begins: str) -> None:
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        fitted = model.fit(NUMBERS, LABELS)
    told = kept_rows(fitted, 60)
    assert len(told) == 1
    assert told[0].startswith(begins)


def test_says_how_many_rows_are_support_vectors() -> None:
    model = SVC().fit(NUMBERS, LABELS)
    count = len(model.support_vectors_)
    assert kept_rows(model, 60) == (
        f"SVC keeps {count} of the rows it was trained on: whoever has the bundle has them",
    )


def test_says_nothing_of_models_that_keep_no_rows() -> None:
    square = np.random.default_rng(4).normal(size=(12, 12))
    assert kept_rows(PCA().fit(NUMBERS), 60) == ()
    assert kept_rows(LogisticRegression().fit(NUMBERS, LABELS), 60) == ()
    assert (
        kept_rows(make_pipeline(StandardScaler(), RandomForestClassifier(5)).fit(NUMBERS, LABELS), 60) == ()
    )
    assert kept_rows(MODEL, len(FRAME)) == ()
    assert kept_rows(RandomForestClassifier(5).fit(square, [0, 1] * 6), 12) == ()


def test_finds_rows_that_a_transformer_of_a_notebook_keeps() -> None:
    class Keeping(StandardScaler):
        def fit(self, X: Any, y: Any = None) -> Any:
            self.frame_ = pd.DataFrame(X)
            return super().fit(X)

    (told,) = kept_rows(make_pipeline(Keeping(), LogisticRegression()).fit(NUMBERS, LABELS), 60)
    assert "Keeping keeps a table with a line for each of the 60 rows it was trained on (frame_)" in told
