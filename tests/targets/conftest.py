"""The environment of targets: its interpreter is one that a target finds, and AWS's calls are answered (moto)."""

from __future__ import annotations

import base64
import json
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

HERE = Path(__file__).parent.parent


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


@pytest.fixture(scope="session")
def base_image() -> str:
    """An image of Debian with python3."""
    os.environ["CONTAINERS_CONF"] = str(HERE / "environments" / "containers.conf")
    os.environ["BUILDAH_ISOLATION"] = "chroot"
    image = "localhost/modelyard-test-base:1"
    subprocess.run([str(HERE / "environments" / "debian_base.sh"), image, "podman"], check=True)
    return image


@pytest.fixture(scope="session")
def sysroot() -> Path:
    """A folder with Debian for arm64; qemu's user mode runs its Python."""
    folder = ENVIRONMENT.with_name(".env-arm64")
    subprocess.run([str(HERE / "environments" / "arm64_sysroot.sh"), str(folder)], check=True)
    return folder


@pytest.fixture
def registry(
    cloud: LambdaCloud, monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[str]:
    """A registry of images (Debian's docker-registry) that wants the password which the account gives."""
    monkeypatch.syspath_prepend(str(site_packages()))
    import bcrypt
    import boto3

    given = boto3.client("ecr").get_authorization_token()["authorizationData"][0]["authorizationToken"]
    user, _, password = base64.b64decode(given).partition(b":")
    folder, port = tmp_path_factory.mktemp("registry"), free_port()
    (folder / "htpasswd").write_bytes(user + b":" + bcrypt.hashpw(password, bcrypt.gensalt(4)))
    (folder / "config.yml").write_text(
        json.dumps(
            {
                "version": 0.1,
                "storage": {"filesystem": {"rootdirectory": str(folder / "images")}},
                "http": {"addr": f"127.0.0.1:{port}"},
                "auth": {"htpasswd": {"realm": "registry", "path": str(folder / "htpasswd")}},
            }
        )
    )
    (folder / "registries.conf").write_text(f'[[registry]]\nlocation = "127.0.0.1:{port}"\ninsecure = true\n')
    monkeypatch.setenv("CONTAINERS_REGISTRIES_CONF", str(folder / "registries.conf"))
    cloud.passwords = folder / "auth.json"
    cloud.passwords.write_text(json.dumps({"auths": {f"127.0.0.1:{port}": {"auth": given}}}))
    with (folder / "log").open("wb") as log:
        server = subprocess.Popen(
            ["docker-registry", "serve", str(folder / "config.yml")], stdout=log, stderr=log
        )
    try:
        cloud.registry = f"127.0.0.1:{port}"
        deadline = time.monotonic() + 20
        while not is_answering(port):
            assert time.monotonic() < deadline, (folder / "log").read_text()
            time.sleep(0.05)
        yield cloud.registry
    finally:
        server.kill()
        server.wait()


def is_answering(port: int) -> bool:
    try:
        return httpx.get(f"http://127.0.0.1:{port}/v2/", trust_env=False).status_code == 401
    except httpx.HTTPError:
        return False
