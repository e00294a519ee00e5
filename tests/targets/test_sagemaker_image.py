"""sagemaker's image: podman builds it and runs it as SageMaker does, ``docker run IMAGE serve``."""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression

import modelyard
from modelyard.packaging import Bundle
from modelyard.targets.container_engine import Engine, builder
from modelyard.targets.installing import own_machine
from modelyard.targets.processes import free_port
from modelyard.targets.rehearsing.golden_replay import GoldenReplay
from modelyard.targets.sagemaker_image import CONTEXT, Recipe
from modelyard.targets.sagemaker_instances import USUAL
from people import a_place_of_its_own

X, y = load_iris(return_X_y=True, as_frame=True)
IMAGE = "localhost/modelyard-test-sagemaker:1"
WAIT_S = 60.0


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    with a_place_of_its_own(tmp_path_factory):
        return modelyard.package(LogisticRegression(max_iter=500).fit(X, y), X, y, name="iris")


@pytest.fixture(scope="module")
def engine(bundle: Bundle, base_image: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    recipe = Recipe.of("3.11", own_machine(tuple(USUAL)), base_image)
    context = recipe.fill(bundle, tmp_path_factory.mktemp("made")).folder / CONTEXT
    found = builder("podman")
    found.build(context, IMAGE, base_image, recipe.platform)
    yield found
    found.remove_image(IMAGE)


def test_the_image_is_started_with_one_word_and_answers_the_golden_rows(
    bundle: Bundle, engine: Engine
) -> None:
    port, golden = free_port(), GoldenReplay(bundle)
    url, name = f"http://127.0.0.1:{port}", f"modelyard-sagemaker-{port}"
    # its only disk is in memory, and SageMaker listens to no address but this one: neither do we
    options = [
        "--network",
        "host",
        "--read-only",
        "--tmpfs",
        "/tmp",
        "--env",
        f"SAGEMAKER_BIND_TO_PORT={port}",
    ]
    engine.run(name, IMAGE, options, ["serve", "--host", "127.0.0.1"])
    try:
        deadline = time.monotonic() + WAIT_S
        while not pings(url):
            assert time.monotonic() < deadline, engine.last_words(name)
            time.sleep(0.05)
        answers: list[Any] = []
        for body in golden.bodies():
            found = httpx.post(
                f"{url}/invocations",
                content=body,
                headers={"content-type": "application/json"},
                trust_env=False,
            )
            assert found.status_code == 200, found.text
            answers.append(found.json())
        assert golden.compared(answers).ok
    finally:
        engine.remove(name)


def pings(url: str) -> bool:
    try:
        return httpx.get(f"{url}/ping", trust_env=False).status_code == 200
    except httpx.HTTPError:
        return False


def test_the_image_says_what_it_is_and_does_not_train(bundle: Bundle, engine: Engine) -> None:
    asked = [engine.path, "image", "inspect", "--format", "{{json .Config}}", IMAGE]
    known = json.loads(subprocess.run(asked, check=True, capture_output=True).stdout)
    assert known["Labels"]["io.modelyard.digest"] == bundle.digest
    assert known["Labels"]["com.amazonaws.sagemaker.capabilities.accept-bind-to-port"] == "true"
    refused = subprocess.run(
        [engine.path, "run", "--rm", "--network", "host", IMAGE, "train"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert refused.returncode == 2
    assert "this image serves a model that was trained before; start it with: serve" in refused.stderr
