"""Names that say that what is bound to them is secret, and values that are so under such a name."""

from __future__ import annotations

import functools
import re

_NAME = re.compile(
    r"(?:(?P<password>password|passwd|passphrase|passcode|(?:^|_)pwd|(?:^|db_?)pass)"
    r"|(?P<connection>connection_?string|conn_?str|connstr)"
    r"|(?P<key>(?:api|access|secret|private|account|auth|client|service|signing|encryption|storage|shared|master|ssh)"
    r"_?key(?:_id)?|(?:^|_)secret|client_?secret|(?:^|_)credentials?|(?:access|auth|api|refresh|bearer|sas)_?token)"
    r"|(?P<token>token|authorization))"
    r"(?:_(?:prod|production|dev|staging|live|test|value|default|str|\d+))*$"
)
_SOFT = re.compile(
    r"(?i)change_?me|x{3,}|\*+|\.{3,}|…+|todo|none|null|nil|true|false|redacted|dummy|example|placeholder|"
    r"pass|password|passwd|pwd|secret|token|key|api_?key|user|test|your[-_ ].*|my[-_]?(password|secret|token|key)|"
    r"<.*>|\$\{?\w+\}?|\{+.*\}+|%\(?\w*\)?s?|env:.*|file:.*|\[.*\]|u?int\d+|float\d+|str\d*|utf-?\d+|datetime64.*"
)
_REGEX = re.compile(r"\\[wdsbSWDB]|\(\?|\[\^?\w-\w|\.\*|\.\+|\]\+|\{\d+,?\d*\}")
_ADDRESS = re.compile(r"(?i)https?://[^@]*|[~.]{0,2}/.*|[a-z]:\\.*")
_NUMBER = re.compile(r"[-+\d.,:_/ TZ%e]+")
_WORDS = re.compile(r"(?:[A-Za-z]+|\d{1,4})(?:[-_. :/]+(?:[A-Za-z]+|\d{1,4}))*|[A-Za-z]+\d{1,4}")


@functools.lru_cache(maxsize=4096)
def _kind_of_name(name: str) -> str | None:
    """Return what kind of credential a name says it is: it ends in the word, as ``token_pattern`` does not."""
    snake = (
        re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).replace("-", "_").replace(".", "_").lower().strip("_")
    )
    match = _NAME.search(snake)
    return None if match is None else match.lastgroup


def is_placeholder(value: str) -> bool:
    return _SOFT.fullmatch(value) is not None


def is_credential(name: str, value: str, bound: bool) -> bool:
    """Whether a literal under that name is a credential; `bound` is False for a key of a mapping, which may be data.

    >>> is_credential("db_password", "hunter2", True), is_credential("token_pattern", r"(?u)x1y2z3", True)
    (True, False)
    >>> is_credential("TOKEN", "<unk>", True), is_credential("api_key", "customer_id", True)
    (False, False)
    """
    kind, text = _kind_of_name(name), re.sub(r"^(Bearer|Basic|Token) (?=\S{8,}$)", "", value.strip())
    if kind is None or len(text) < 4 or "\n" in text or is_placeholder(text):
        return False
    if _REGEX.search(text) or _ADDRESS.fullmatch(text):
        return False
    if kind == "connection":
        return bound and not text.startswith("sqlite")
    word = r"[A-Za-z]+(_[A-Za-z]+)*" if kind == "password" else r"[A-Za-z]+([-_][A-Za-z]+)*"
    named_so = re.fullmatch(word, text) and _kind_of_name(text) is not None
    spaced = bool(re.search(r"\s", text))
    if kind == "password" and bound:
        return not named_so and text.count(" ") < 4
    if named_so or spaced or not re.search(r"[A-Za-z]", text):
        return False
    if kind == "password":
        return len(text) >= 6 and not re.fullmatch(r"[A-Za-z]+([-_.][A-Za-z]+)*", text)
    if kind == "key" and bound:
        return not re.fullmatch(r"[A-Za-z]{1,15}|[A-Za-z]+(_[A-Za-z]+)+", text)
    telling = not _WORDS.fullmatch(text)
    return telling and len(text) >= (10 if kind == "token" else 8) and text[0].isalnum()


def says_secret(name: str) -> bool:
    return _kind_of_name(name) is not None or re.search(r"(?i)(^|_)(key|dsn|pat|auth|pin)$", name) is not None


def is_telling(value: str, named_secret: bool) -> bool:
    """Whether a text is a secret wherever it stands; under a secret's name it may be made of words."""
    if len(value) < 8 or _NUMBER.fullmatch(value) or _ADDRESS.fullmatch(value) or is_placeholder(value):
        return False
    if named_secret:
        return not value.isalpha() or not (value.islower() or value.isupper() or value.istitle())
    return (
        not _WORDS.fullmatch(value)
        and re.search(r"\d", value) is not None
        and "@" not in value.partition("://")[0]
    )
