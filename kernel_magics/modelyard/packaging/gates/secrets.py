"""Secrets: nothing that looks like a credential, and no secret of this project, gets into a bundle."""

from __future__ import annotations

import io
import re
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import PurePosixPath

from modelyard.errors import SecretFoundError
from modelyard.packaging.gates.archive import findings_in_archive
from modelyard.packaging.gates.code import findings_in_code
from modelyard.packaging.gates.data import findings_in_json
from modelyard.packaging.gates.finding import ELSEWHERE, Finding
from modelyard.packaging.gates.texts import in_text, readable

_SYNTHETIC = "leave that column out of X, or type: --golden synthetic"
_SECRET_FILE = re.compile(
    r"\.env(\..*)?|id_(rsa|dsa|ecdsa|ed25519)|.*\.(pem|p12|pfx|key)|credentials(\.json)?|\.netrc"
)


def check_secrets(files: Mapping[str, bytes], known: Mapping[str, str]) -> None:
    """Refuse to write files that hold a secret.

    Three kinds are looked for. *Shapes* (an AWS key, a private key, …) by the patterns of detect-secrets, in every
    file. *Known* secrets, the values of this project's ``.env``, in every file. *Names*, a literal bound to something
    called ``password`` or ``api_key``, only in captured code and in a model's parameters: data has columns of any
    name.

    Parameters
    ----------
    files : mapping of str to bytes
        What is about to be written, by its name in the bundle.
    known : mapping of str to str
        The secrets of this project, by where they stand; see `known_secrets`.

    Raises
    ------
    SecretFoundError
        One does; the message names the file and what in it, and shows no more than four characters.
    """
    found: list[Finding] = []
    for name in sorted(files, key=lambda name: (not name.endswith(".py"), name == "golden.jsonl", name)):
        found += dict.fromkeys(_findings(name, files[name], known))
    if not found:
        return
    first = found[0]
    advice = _SYNTHETIC if all(f.file == "golden.jsonl" for f in found) else first.advice
    more = f" (and {len(found) - 1} more)" if len(found) > 1 else ""
    raise SecretFoundError(f"{first.where} {first.what}{more}; {advice}")


def _findings(name: str, content: bytes, known: Mapping[str, str]) -> Iterator[Finding]:
    if _SECRET_FILE.fullmatch(PurePosixPath(name).name):
        yield Finding(name, name, "is a file of secrets", "a bundle holds none: leave it out")
    elif name.endswith(".py"):
        yield from findings_in_code(name, content.decode("utf-8"), known)
    elif name.endswith((".json", ".jsonl")):
        yield from findings_in_json(name, content.decode("utf-8"), known)
    elif zipfile.is_zipfile(io.BytesIO(content)):
        yield from findings_in_archive(name, content, known)
    else:
        for what in in_text(readable(content), known):
            yield Finding(name, name, what, ELSEWHERE)
