"""What keys and tokens look like: the patterns of detect-secrets, and of services newer than it."""

from __future__ import annotations

import functools
import logging
import re
import warnings
from dataclasses import dataclass

from modelyard.packaging.gates.names import is_placeholder


@dataclass(frozen=True)
class Shape:
    """What a kind of secret looks like; no match is without one of `anchors`, which are quick to look for."""

    what: str
    anchors: tuple[str, ...]
    patterns: tuple[re.Pattern[str], ...]


_GITLAB = (
    "glpat-",
    "gldt-",
    "glft-",
    "glsoat-",
    "glrt-",
    "GR1348941",
    "glcbt-",
    "glimt-",
    "glptt-",
    "glagent-",
)
_OWN = (  # newer than detect-secrets 1.5
    ("a GitHub token", ("github_pat_",), r"github_pat_[A-Za-z0-9_]{22,}"),
    ("a Google API key", ("AIza",), r"AIza[A-Za-z0-9_-]{35}"),
    ("a Hugging Face token", ("hf_",), r"hf_[A-Za-z]{34}"),
    ("an Anthropic API key", ("sk-ant-",), r"sk-ant-[A-Za-z0-9_-]{20,}"),
    ("a Databricks token", ("dapi",), r"dapi[0-9a-f]{32}"),
)
_PEM = r"-----(?:\s|\\n|\\r)*(?:Proc-Type:|[A-Za-z0-9+/=]{8})"


@functools.cache
def shapes() -> tuple[Shape, ...]:
    shown = warnings.showwarning
    from detect_secrets.plugins import (
        aws,
        azure_storage_key,
        basic_auth,
        github_token,
        gitlab_token,
        jwt,
        npm,
        openai,
        private_key,
        pypi_token,
        sendgrid,
        slack,
        square_oauth,
        stripe,
    )

    if warnings.showwarning is not shown:  # importing it sends everybody's warnings to a log
        logging.captureWarnings(False)

    taken: list[tuple[str, tuple[str, ...], list[re.Pattern[str]]]] = [
        ("an AWS access key", ("AKIA", "ASIA", "ABIA", "ACCA", "A3T"), [aws.AWSKeyDetector.denylist[0]]),
        ("an Azure storage key", ("AccountKey=",), list(azure_storage_key.AzureStorageKeyDetector.denylist)),
        ("a password in an address", ("://",), list(basic_auth.BasicAuthDetector.denylist)),
        ("a GitHub token", ("ghp_", "gho_", "ghu_", "ghs_", "ghr_"),
         list(github_token.GitHubTokenDetector.denylist)),
        ("a GitLab token", (*_GITLAB, "gloas-"), list(gitlab_token.GitLabTokenDetector.denylist)),
        ("a JSON Web Token", ("eyJ",), list(jwt.JwtTokenDetector.denylist)),
        ("an npm token", ("_authToken",), list(npm.NpmDetector.denylist)),
        ("an OpenAI key", ("T3BlbkFJ",), list(openai.OpenAIDetector.denylist)),
        ("a PyPI token", ("pypi-AgE",), list(pypi_token.PypiTokenDetector.denylist)),
        ("a SendGrid key", ("SG.",), list(sendgrid.SendGridDetector.denylist)),
        ("a Slack token", ("xox", "hooks.slack.com"), list(slack.SlackDetector.denylist)),
        ("a Square secret", ("sq0csp-",), list(square_oauth.SquareOAuthDetector.denylist)),
        ("a Stripe key", ("k_live_",), list(stripe.StripeDetector.denylist)),
    ]  # fmt: skip
    bounded = [(what, anchors, [_bounded(p) for p in patterns]) for what, anchors, patterns in taken]
    bounded += [(what, anchors, [_bounded(re.compile(pattern))]) for what, anchors, pattern in _OWN]
    # the words alone are prose: a key has dashes around them, and something after them
    heads = [p.pattern for p in private_key.PrivateKeyDetector.denylist[:-1]] + [
        "BEGIN ENCRYPTED PRIVATE KEY"
    ]
    keys = [re.compile(f"-----{head}{_PEM}") for head in heads]
    return tuple(
        Shape(what, anchors, tuple(patterns))
        for what, anchors, patterns in [("a private key", ("PRIVATE KEY",), keys), *bounded]
    )


def _bounded(pattern: re.Pattern[str]) -> re.Pattern[str]:
    """Keep a pattern from matching inside a longer word, such as base64 of data."""
    begins_in_word = pattern.pattern.startswith("://")
    return pattern if begins_in_word else re.compile(f"(?<![A-Za-z0-9])(?:{pattern.pattern})", pattern.flags)


def is_real(match: re.Match[str]) -> bool:
    """Whether a match is what it looks like: not a sequence of bases, not an address in a manual."""
    secret = match[0]
    if secret.startswith("eyJ"):
        from detect_secrets.plugins.jwt import JwtTokenDetector

        return JwtTokenDetector.is_formally_valid(secret)
    if secret[:4] in ("ASIA", "ABIA", "ACCA") or secret.startswith("A3T"):
        return _ends(match) and any(c.isdigit() for c in secret[4:])
    if secret.startswith("AKIA"):
        return _ends(match)
    if secret.startswith("://"):
        password = match[1]
        return not ({'"', "<", ">", "{", "}", "%"} & set(secret)) and not is_placeholder(password)
    return True


def _ends(match: re.Match[str]) -> bool:
    return re.match("[A-Za-z0-9]", match.string[match.end() :]) is None


def redacted(secret: str) -> str:
    shown = secret[: min(4, len(secret) // 4)]
    return f" ({shown}…, redacted)" if shown.isalnum() or shown[:2].isalnum() else " (redacted)"
