"""The environment of targets: its interpreter is one that a target finds, and AWS's calls are answered (moto)."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from emulators import ENVIRONMENT, site_packages
from lambda_cloud import LambdaCloud
from modelyard.targets import aws_calls
from modelyard.targets.processes import free_port


def pytest_configure(config: pytest.Config) -> None:
    if not (ENVIRONMENT / "bin" / "python").exists():
        raise pytest.UsageError(f"{ENVIRONMENT} is not there; type: make env-targets")
    interpreter = (ENVIRONMENT / "bin" / "python").resolve()
    os.environ["PATH"] = os.pathsep.join((str(Path(interpreter).parent), os.environ.get("PATH", os.defpath)))


@pytest.fixture(scope="session")
def moto(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A server of AWS's calls."""
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    with (tmp_path_factory.mktemp("moto") / "log").open("wb") as log:
        server = subprocess.Popen(
            [str(ENVIRONMENT / "bin" / "python"), "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)],
            stdout=log, stderr=log,
        )  # fmt: skip
    try:
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            try:
                httpx.get(url, trust_env=False)
                break
            except httpx.HTTPError:
                time.sleep(0.2)
        yield url
    finally:
        server.kill()
        server.wait()


@pytest.fixture
def aws(moto: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """An account in which nothing is; boto3 is pure Python, so that of the environment of targets serves here, too."""
    monkeypatch.syspath_prepend(str(site_packages()))
    httpx.post(f"{moto}/moto-api/reset", trust_env=False).raise_for_status()
    for name, value in {
        "AWS_ENDPOINT_URL": moto, "AWS_DEFAULT_REGION": "us-east-1", "AWS_ACCESS_KEY_ID": "testing",
        "AWS_SECRET_ACCESS_KEY": "testing",
    }.items():  # fmt: skip
        monkeypatch.setenv(name, value)
    return moto


@pytest.fixture
def cloud(
    aws: str, monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[LambdaCloud]:
    """An account whose functions answer."""
    with LambdaCloud(aws_calls.sender, tmp_path_factory.mktemp("cloud")) as made:
        monkeypatch.setattr("modelyard.targets.aws_lambda_live.sender", made.sender)
        yield made
