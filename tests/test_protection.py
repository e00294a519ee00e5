"""What is hostile or careless is refused cheaply, and the endpoint stays up with the memory that it had."""

from __future__ import annotations

import asyncio
import json
import socket
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest

import modelyard
from modelyard_runtime.access import token_hash
from modelyard_runtime.doors.exchange import Refused
from modelyard_runtime.doors.reading import MAX_BODY_BYTES, BodyReader
from people import FRAME, MODEL, ROW, TARGET, a_place_of_its_own
from test_asgi_door import served

pytestmark = pytest.mark.alone

TOKEN = {"Authorization": "Bearer secret"}
GOOD = {"rows": [ROW]}


@dataclass(frozen=True)
class Endpoint:
    url: str
    state: Path

    @property
    def port(self) -> int:
        return int(self.url.rpartition(":")[2])

    def post(self, content: bytes, path: str = "/predict", **headers: str) -> httpx.Response:
        return httpx.post(
            f"{self.url}{path}", content=content, headers={**TOKEN, **headers}, trust_env=False, timeout=60
        )

    def answers(self) -> bool:
        return self.post(json.dumps(GOOD).encode()).status_code == 200

    def memory_mb(self) -> float:
        (server,) = [
            c.pid for c in psutil.net_connections("tcp") if c.status == "LISTEN" and c.laddr.port == self.port
        ]
        return float(psutil.Process(server).memory_info().rss / 1e6)


@pytest.fixture(scope="module")
def endpoint(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Endpoint]:
    with a_place_of_its_own(tmp_path_factory) as folder:
        bundle = modelyard.package(MODEL, FRAME, TARGET, name="people")
        (folder / "hashes").write_text(token_hash("secret"))
        told = {"MODELYARD_TOKEN_HASHES": str(folder / "hashes"), "MODELYARD_STATE": str(folder / "state")}
        with served(bundle.path / "src" / "runtime", folder, **told) as url:
            yield Endpoint(url, folder / "state")


def raw(endpoint: Endpoint, head: str, *parts: bytes, pause: float = 0.0) -> str:
    """Send bytes as they are; return the status line of the answer, or ``closed``."""
    with socket.create_connection(("127.0.0.1", endpoint.port), timeout=20) as connection:
        try:
            connection.sendall(f"{head}\r\n\r\n".encode())
            for part in parts:
                connection.sendall(part)
                time.sleep(pause)
        except (BrokenPipeError, ConnectionResetError):
            pass  # the server has answered and closed already
        try:
            return connection.recv(4096).decode("latin-1").partition("\r\n")[0] or "closed"
        except ConnectionResetError:
            return "closed"


HEAD = (
    "POST /predict HTTP/1.1\r\nHost: here\r\nAuthorization: Bearer secret\r\nContent-Type: application/json"
)


def test_a_body_of_100_mb_is_refused_before_it_is_read(endpoint: Endpoint) -> None:
    started = time.monotonic()
    answer = raw(endpoint, f"{HEAD}\r\nContent-Length: {100 * 2**20}", b"{" * 1000)
    assert "413" in answer
    assert time.monotonic() - started < 10
    assert endpoint.answers()


def test_a_body_in_chunks_that_never_ends_is_cut_off_at_the_limit(endpoint: Endpoint) -> None:
    chunk = b"100000\r\n" + b" " * 0x100000 + b"\r\n"
    before = endpoint.memory_mb()
    answer = raw(
        endpoint, f"{HEAD}\r\nTransfer-Encoding: chunked", *[chunk] * (MAX_BODY_BYTES // 0x100000 + 5)
    )
    assert "413" in answer or answer == "closed"
    assert endpoint.answers()
    assert endpoint.memory_mb() - before < 100


@pytest.mark.parametrize(
    ("content", "status"),
    [
        (b"", 400),
        (b"\xff\xfe", 400),
        (b'{"rows": [{"town": "\xff"}]}', 400),
        (b"[" * 100_000, 400),
        (b'{"rows": ' + b"[" * 100_000, 400),
        (b'{"rows": [{"age": ' + b"[" * 5000 + b"]" * 5000 + b"}]}", 400),
        (b'{"rows": [{"age": 1e999}]}', 400),
        (b'{"rows": [{"age": NaN}]}', 400),
        (b"null", 400),
        (b'{"rows": []}', 400),
        (json.dumps({"rows": [ROW], "columns": []}).encode(), 400),
        (json.dumps({"rows": [{**ROW, "age": 10**400}]}).encode(), 422),
    ],
)
def test_a_body_that_is_no_request_is_one_line_and_never_a_fault(
    endpoint: Endpoint, content: bytes, status: int
) -> None:
    found = endpoint.post(content)
    assert found.status_code in (400, 422)
    assert found.status_code == status
    assert "\n" not in found.json()["error"]
    assert "Traceback" not in found.text
    assert endpoint.answers()


def test_a_million_columns_or_rows_that_are_wrong_are_refused_with_a_short_answer(endpoint: Endpoint) -> None:
    before = endpoint.memory_mb()
    wide = json.dumps({"rows": [{f"column {i}": 1 for i in range(1_000_000)}]}).encode()
    long = json.dumps({"columns": list(ROW), "data": [[None, None, 7, None]] * 500_000}).encode()
    for content in (wide, long):
        found = endpoint.post(content)
        assert found.status_code == 422
        assert len(found.content) < 20_000
        assert len(found.json()["violations"]) == 20
    assert endpoint.answers()
    assert (
        endpoint.memory_mb() - before < 400
    )  # what an allocator keeps of a flood; a second one adds nothing
    after = endpoint.memory_mb()
    for content in (wide, long):
        endpoint.post(content)
    assert endpoint.memory_mb() - after < 150


@pytest.mark.parametrize("kind", ["multipart/form-data; boundary=x", "text/html", "application/xml"])
def test_a_content_type_of_something_else_is_refused(endpoint: Endpoint, kind: str) -> None:
    found = endpoint.post(b"<rows/>", **{"Content-Type": kind})
    assert found.status_code == 415
    assert "application/json" in found.json()["error"]


@pytest.mark.parametrize(
    "header",
    ["", "Bearer", "Bearer wrong", "Basic c2VjcmV0", "Bearer " + "x" * 4000, "secret"],
)
def test_forged_tokens_are_refused_on_every_path_but_the_health_checks(
    endpoint: Endpoint, header: str
) -> None:
    headers = {"Authorization": header} if header else {}
    for path in ("/predict", "/schema", "/openapi.json", "/metrics", "/feedback", "/docs", "/no-such-path"):
        found = httpx.get(f"{endpoint.url}{path}", headers=headers, trust_env=False)
        assert found.status_code == 401, path
        assert found.headers["www-authenticate"] == "Bearer"
    for path in ("/healthz", "/readyz"):
        assert httpx.get(f"{endpoint.url}{path}", headers=headers, trust_env=False).status_code == 200


def test_slow_clients_do_not_hold_others_up(endpoint: Endpoint) -> None:
    content = json.dumps(GOOD).encode()
    slow = []
    for _ in range(50):
        connection = socket.create_connection(("127.0.0.1", endpoint.port), timeout=20)
        connection.sendall(f"{HEAD}\r\nContent-Length: {len(content)}\r\n\r\n".encode() + content[:5])
        slow.append(connection)
    started = time.monotonic()
    assert all(endpoint.answers() for _ in range(5))
    assert time.monotonic() - started < 10
    for connection in slow:
        connection.close()


def test_a_body_that_does_not_arrive_is_refused_with_408_and_another_reader_is_not() -> None:
    async def scene() -> tuple[int, bytes]:
        reader = BodyReader(timeout=0.1)

        async def never() -> Any:
            await asyncio.sleep(60)

        async def soon() -> Any:
            return {"type": "http.request", "body": b"here", "more_body": False}

        status = 0
        try:
            await reader(b"10", never)
        except Refused as refused:
            status = refused.status
        return status, await reader(b"4", soon)

    assert asyncio.run(scene()) == (408, b"here")


def test_labels_come_later_under_the_id_of_the_answer(endpoint: Endpoint) -> None:
    answer = endpoint.post(json.dumps(GOOD).encode()).json()
    found = endpoint.post(json.dumps({"id": answer["id"], "labels": ["yes"]}).encode(), "/feedback")
    assert (found.status_code, found.json()) == (202, {"id": answer["id"], "labels": 1})
    for content in (
        b"{}",
        b'{"id": "", "labels": ["a"]}',
        b'{"id": "x", "labels": []}',
        b'{"id": "x", "labels": [[1]]}',
    ):
        assert endpoint.post(content, "/feedback").status_code == 400
    time.sleep(0.6)  # the log is written every 200 ms
    lines = [
        json.loads(line)
        for path in (endpoint.state / "predictions").iterdir()
        for line in path.read_text().splitlines()
    ]
    logged = {line["answer"]["id"]: line for line in lines if "answer" in line}
    assert logged[answer["id"]]["request"] == GOOD
    assert logged[answer["id"]]["answer"] == answer
    assert {"id": answer["id"], "labels": ["yes"]} in [
        line["feedback"] for line in lines if "feedback" in line
    ]
