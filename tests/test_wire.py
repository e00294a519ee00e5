"""The shortest way through uvicorn: over a real socket, byte for byte as ASGI answers, and in the same order."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import modelyard
import modelyard_router
from modelyard.targets.processes import free_port
from people import FRAME, MODEL, ROW, TARGET, a_place_of_its_own

RUN = """
import logging, os, sys
sys.path[:0] = sys.argv[1].split(os.pathsep)
if sys.argv[3] == "wire":
    from modelyard_router import wire
    wire.install()
import uvicorn
logging.getLogger("uvicorn.access").propagate = False
uvicorn.run("modelyard_runtime.doors.asgi:application", factory=True, host="127.0.0.1", port=int(sys.argv[2]),
            log_config=None, server_header=False, date_header=False, timeout_keep_alive=QUIET_S)
""".replace("QUIET_S", "2")
QUIET_S = 2.0  # after which a connection is closed, as uvicorn has it


class Wire:
    """A connection on which a test says exactly what is sent, and when."""

    def __init__(self, port: int) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port), timeout=10)
        self._left = b""

    def send(self, *parts: bytes, pause: float = 0.05) -> None:
        for part in parts:
            self._socket.sendall(part)
            time.sleep(pause)

    def answer(self) -> tuple[int, dict[str, str], bytes]:
        while b"\r\n\r\n" not in self._left:
            self._more()
        head, _, self._left = self._left.partition(b"\r\n\r\n")
        status, *lines = head.decode().split("\r\n")
        headers = dict(line.lower().split(": ", 1) for line in lines)
        length = int(headers["content-length"])
        while len(self._left) < length:
            self._more()
        body, self._left = self._left[:length], self._left[length:]
        return int(status.split()[1]), headers, body

    def _more(self) -> None:
        part = self._socket.recv(65536)
        if not part:
            raise ConnectionError("the server hung up")
        self._left += part


def request(rows: list[dict[str, Any]], *more: str, path: str = "/predict", method: str = "POST") -> bytes:
    body = json.dumps({"rows": rows}).encode()
    head = [f"{method} {path} HTTP/1.1", "Host: here", f"Content-Length: {len(body)}", *more]
    return "\r\n".join([*head, "", ""]).encode() + body


@pytest.fixture(scope="module")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, int]]:
    with a_place_of_its_own(tmp_path_factory):
        bundle = modelyard.package(MODEL, FRAME, TARGET, name="wire")
        started, ports = [], {}
        router = Path(modelyard_router.__file__).parents[1]
        paths = os.pathsep.join([str(bundle.path / "src" / "runtime"), str(router)])
        try:
            for kind in ("wire", "asgi"):
                ports[kind] = free_port()
                started.append(
                    subprocess.Popen(
                        [
                            sys.executable,
                            "-c",
                            RUN,
                            paths,
                            str(ports[kind]),
                            kind,
                        ],
                        env={"PATH": "", "MODELYARD_AUTH": "off", "MODELYARD_STATE": str(Path.cwd() / kind)},
                        stdin=subprocess.DEVNULL,
                    )
                )
            for port in ports.values():
                _wait_for(port)
            yield ports
        finally:
            for process in started:
                process.terminate()
                process.wait(20)


def _wait_for(port: int) -> None:
    for _ in range(200):
        try:
            return socket.create_connection(("127.0.0.1", port)).close()
        except OSError:
            time.sleep(0.1)
    raise AssertionError("no server")


OLD, YOUNG = {**ROW, "age": 70}, {**ROW, "age": 20}
CASES = {
    "a plain request": [request([ROW])],
    "several rows": [request([ROW, OLD, YOUNG])],
    "a body that comes in pieces": [request([OLD])[:-20], request([OLD])[-20:-3], request([OLD])[-3:]],
    "headers that come in pieces": [request([OLD])[:25], request([OLD])[25:]],
    "a row that breaks the contract": [request([{**ROW, "age": "old"}])],
    "a value that training never saw": [request([{**ROW, "town": "Paris"}])],
    "no JSON": [b"POST /predict HTTP/1.1\r\nHost: here\r\nContent-Length: 3\r\n\r\n{]}"],
    "no body": [b"POST /predict HTTP/1.1\r\nHost: here\r\nContent-Length: 0\r\n\r\n"],
    "another content type": [request([ROW], "Content-Type: application/xml")],
    "another encoding": [request([ROW], "Content-Encoding: gzip")],
    "a query": [request([ROW], path="/predict?verbose=1")],
    "a GET": [b"GET /predict HTTP/1.1\r\nHost: here\r\n\r\n"],
    "a chunked body": [
        b"POST /predict HTTP/1.1\r\nHost: here\r\nTransfer-Encoding: chunked\r\n\r\n"
        + b"%x\r\n%b\r\n0\r\n\r\n" % (len(b := json.dumps({"rows": [ROW]}).encode()), b)
    ],
    "a connection that shall end": [request([ROW], "Connection: close")],
    "a larger body than fits a packet": [request([ROW] * 600)],
}


@pytest.mark.parametrize("name", CASES)
def test_every_request_gets_the_answer_that_asgi_gives(servers: dict[str, int], name: str) -> None:
    found = {}
    for kind, port in servers.items():
        wire = Wire(port)
        wire.send(*CASES[name])
        status, headers, body = wire.answer()
        answer = json.loads(body)
        answer.pop("id", None)
        found[kind] = (status, headers.get("content-type"), headers.get("connection"), answer)
        if "connection" not in headers:  # it goes on, whatever was answered
            wire.send(request([OLD]))
            assert wire.answer()[0] == 200
    assert found["wire"] == found["asgi"]


def test_requests_that_come_together_on_one_connection_are_answered_in_their_order(
    servers: dict[str, int],
) -> None:
    ages = [20, 70, 25, 60, 30, 50] * 4
    wire = Wire(servers["wire"])
    sent = [request([{**ROW, "age": age}]) for age in ages]
    sent.insert(5, request([{**ROW, "age": "old"}]))  # one of them goes the general way
    sent.insert(9, b"GET /healthz HTTP/1.1\r\nHost: here\r\n\r\n")
    wire.send(b"".join(sent))
    answers = [wire.answer() for _ in sent]
    assert [status for status, _, _ in answers] == [422 if i == 5 else 200 for i in range(len(sent))]
    assert json.loads(answers.pop(9)[2]) == {"status": "alive"}
    answers.pop(5)
    labels = [json.loads(body)["predictions"][0] for _, _, body in answers]
    expected = MODEL.predict(FRAME.head(1).assign(**ROW).loc[[0] * len(ages)].assign(age=ages)).tolist()
    assert labels == expected


def test_many_connections_at_once_each_get_their_own_answer_also_in_batches(servers: dict[str, int]) -> None:
    wires = [Wire(servers["wire"]) for _ in range(16)]
    ages = [20 + 3 * number for number in range(16)]
    frame = FRAME.head(1).assign(**ROW).loc[[0] * 16].assign(age=ages)
    expected = MODEL.predict(frame).tolist()
    ids = set()
    for _ in range(60):
        for wire, age in zip(wires, ages, strict=True):
            wire.send(request([{**ROW, "age": age}]), pause=0)
        answers = [json.loads(wire.answer()[2]) for wire in wires]
        assert [answer["predictions"][0] for answer in answers] == expected
        ids |= {answer["id"] for answer in answers}
    assert len(ids) == 60 * 16


def test_a_client_that_goes_away_in_the_middle_harms_nobody(servers: dict[str, int]) -> None:
    for _ in range(20):
        gone = Wire(servers["wire"])
        gone.send(request([ROW]) * 3, pause=0)
        gone._socket.close()
        half = Wire(servers["wire"])
        half.send(request([ROW])[:-5], pause=0)
        half._socket.close()
    wire = Wire(servers["wire"])
    wire.send(request([OLD]))
    assert wire.answer()[0] == 200


@pytest.mark.parametrize("kind", ["wire", "asgi"])
def test_a_connection_on_which_nothing_comes_is_closed_and_one_that_is_used_is_not(
    servers: dict[str, int], kind: str
) -> None:
    used, idle = Wire(servers[kind]), Wire(servers[kind])
    idle.send(request([ROW]))
    assert idle.answer()[0] == 200
    for _ in range(8):  # longer than one may be idle
        used.send(request([ROW]), pause=QUIET_S / 5)
        assert used.answer()[0] == 200
    with pytest.raises(ConnectionError, match="the server hung up"):
        idle.answer()


@pytest.mark.parametrize("kind", ["wire", "asgi"])
def test_a_request_that_comes_slowly_after_another_one_is_waited_for(
    servers: dict[str, int], kind: str
) -> None:
    wire = Wire(servers[kind])
    wire.send(request([ROW]))
    assert wire.answer()[0] == 200
    whole = request([ROW])
    wire.send(whole[:40], pause=QUIET_S * 1.5)
    wire.send(whole[40:])
    assert wire.answer()[0] == 200
