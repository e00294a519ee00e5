"""AWS Lambda from its two halves that are real here: moto keeps what is there, AWS's own emulator runs it.

moto's server answers every call, but runs no zip file and no image of ours. `LambdaCloud` stands between boto3 and the
target: it keeps what each published version runs, and opens the function URL on loopback. A request there goes to the
version that the alias in moto names.
"""

from __future__ import annotations

import base64
import io
import json
import os
import random
import threading
import zipfile
from collections.abc import Callable, Mapping
from functools import cache, partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import count
from pathlib import Path
from typing import Any, NamedTuple

from emulators import Emulator, ImageEmulator, LambdaEmulator
from modelyard.targets.aws_lambda_events import url_event
from modelyard.targets.calls import CallFailed, Send
from modelyard.targets.installing import bare_python, find_python

_POLLING = ("GetFunctionConfiguration",)
Answer = Mapping[str, Any]


class _Function(NamedTuple):
    region: str
    name: str


class LambdaCloud:
    """What makes calls in place of `modelyard.targets.aws_calls.sender`.

    Parameters
    ----------
    honest : callable
        Makes senders of calls that go to moto.
    folder : Path
        Empty and there.

    Attributes
    ----------
    calls : list of str
        Those that were made, in order, but for such as only ask how far one is.
    damaged : set of str
        Tags of bundles whose zip file arrives with one byte of its model changed.
    before : dict of str to callable
        What comes in between the next time that an operation is asked for.
    registry : str
        Where images go: ``127.0.0.1:5000``.
    passwords : Path
        With what they are fetched from there.
    """

    def __init__(self, honest: Callable[[str | None, str], Send], folder: Path) -> None:
        self.calls: list[str] = []
        self.damaged: set[str] = set()
        self.before: dict[str, Callable[[], Any]] = {}
        self.registry = ""
        self.passwords = Path()
        self._honest, self._folder = honest, folder
        self._code: dict[tuple[_Function, str], bytes | str] = {}  # a zip file, or an image's name
        self._revisions: dict[_Function, int] = {}
        self._number = count(1)
        self._servers: dict[_Function, ThreadingHTTPServer] = {}
        self._instances: dict[tuple[_Function, str, str], tuple[Emulator, threading.Lock]] = {}
        self._starting = threading.Lock()
        self._chance = random.Random(0)

    # -- calls ----------------------------------------------------------------------------------------------------

    def sender(self, region: str | None, extra: str) -> Send:
        """Return what makes calls in a region."""
        send = self._honest(region, extra)
        where = region or os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION", "")

        def heard(service: str, operation: str, parameters: Mapping[str, Any]) -> Answer:
            if operation not in _POLLING:
                self.calls.append(f"{service}.{operation}")
            self.before.pop(operation, lambda: None)()
            own = getattr(self, f"_{operation}", None) if service == "lambda" else None
            if service == "ecr":
                return self._at_registry(send(service, operation, parameters))
            if own is None:
                return send(service, operation, parameters)
            answer: Answer = own(_Function(where, parameters["FunctionName"]), send, parameters)
            return answer

        return heard

    def _at_registry(self, answer: Answer) -> Answer:
        """Name the registry of the tests where moto names one that is not there."""
        for found in (answer.get("repository", {}), *answer.get("repositories", ())):
            if "repositoryUri" in found:
                found["repositoryUri"] = f"{self.registry}/{found['repositoryName']}"
        return answer

    def _CreateFunction(self, which: _Function, send: Send, parameters: Any) -> Answer:  # noqa: N802
        answer = send("lambda", "CreateFunction", parameters)
        self._code[which, "$LATEST"] = self._arrived(parameters["Code"])
        return answer

    def _UpdateFunctionCode(self, which: _Function, send: Send, parameters: Any) -> Answer:  # noqa: N802
        answer = send("lambda", "UpdateFunctionCode", parameters)
        self._code[which, "$LATEST"] = self._arrived(parameters)
        return answer

    def _arrived(self, code: Mapping[str, Any]) -> bytes | str:
        if "ImageUri" in code:
            return str(code["ImageUri"])
        packed: bytes = code["ZipFile"]
        with zipfile.ZipFile(io.BytesIO(packed)) as file:
            told = file.read("app.py").decode()
            if not any(f"{tag}:" in told for tag in self.damaged):
                return packed
            content = {name: file.read(name) for name in file.namelist()}
        content["model/model.onnx"] = content["model/model.onnx"][:-1] + b"\0"
        damaged = io.BytesIO()
        with zipfile.ZipFile(damaged, "w") as file:
            for name, each in content.items():
                file.writestr(name, each)
        return damaged.getvalue()

    def _PublishVersion(self, which: _Function, send: Send, parameters: Any) -> Answer:  # noqa: N802
        answer = send("lambda", "PublishVersion", parameters)
        self._code[which, answer["Version"]] = self._code[which, "$LATEST"]
        return answer

    def _DeleteFunction(self, which: _Function, send: Send, parameters: Any) -> Answer:  # noqa: N802
        version = parameters.get("Qualifier")
        if version is None:
            self._close(which)
        elif which in self._revisions and version in self._weights(
            which, send
        ):  # moto deletes it all the same
            raise CallFailed("ResourceConflictException", f"an alias points to version {version}")
        return send("lambda", "DeleteFunction", parameters)

    def _CreateAlias(self, which: _Function, send: Send, parameters: Any) -> Answer:  # noqa: N802
        answer = send("lambda", "CreateAlias", parameters)
        return self._revised(which, answer)

    def _GetAlias(self, which: _Function, send: Send, parameters: Any) -> Answer:  # noqa: N802
        return self._as_revised(which, send("lambda", "GetAlias", parameters))

    def _UpdateAlias(self, which: _Function, send: Send, parameters: Any) -> Answer:  # noqa: N802
        """Refuse what moto takes and AWS does not: another revision, more than two versions, one of them twice."""
        revision = parameters.get("RevisionId")
        if revision not in (None, self._revision(which)):
            raise CallFailed("PreconditionFailedException", "The Revision Id provided does not match")
        more = parameters.get("RoutingConfig", {}).get("AdditionalVersionWeights", {})
        if len(more) > 1 or parameters.get("FunctionVersion") in more:
            raise CallFailed("InvalidParameterValueException", f"an alias cannot route to {more} more")
        for version in more:
            send("lambda", "GetFunctionConfiguration", {"FunctionName": which.name, "Qualifier": version})
        return self._revised(which, send("lambda", "UpdateAlias", parameters))

    def _DeleteAlias(self, which: _Function, send: Send, parameters: Any) -> Answer:  # noqa: N802
        self._revisions.pop(which, None)
        return send("lambda", "DeleteAlias", parameters)

    def _revised(self, which: _Function, answer: Answer) -> Answer:
        self._revisions[which] = next(self._number)
        return self._as_revised(which, answer)

    def _as_revised(self, which: _Function, answer: Answer) -> Answer:
        return {**answer, "RevisionId": self._revision(which)}

    def _revision(self, which: _Function) -> str:
        return f"revision-{self._revisions[which]}"

    def _CreateFunctionUrlConfig(self, which: _Function, send: Send, parameters: Any) -> Answer:  # noqa: N802
        answer = send("lambda", "CreateFunctionUrlConfig", parameters)
        return {**answer, "FunctionUrl": self._opened(which, send, parameters["Qualifier"])}

    def _GetFunctionUrlConfig(self, which: _Function, send: Send, parameters: Any) -> Answer:  # noqa: N802
        answer = send("lambda", "GetFunctionUrlConfig", parameters)
        return {**answer, "FunctionUrl": self._opened(which, send, parameters["Qualifier"])}

    def _DeleteFunctionUrlConfig(self, which: _Function, send: Send, parameters: Any) -> Answer:  # noqa: N802
        self._close(which)
        return send("lambda", "DeleteFunctionUrlConfig", parameters)

    def _Invoke(self, which: _Function, send: Send, parameters: Any) -> Answer:  # noqa: N802
        said = self._run(which, send, parameters["Qualifier"], json.loads(parameters["Payload"]))
        failed = {"FunctionError": "Unhandled"} if "errorMessage" in said else {}
        return {"StatusCode": 200, "Payload": io.BytesIO(json.dumps(said).encode()), **failed}

    # -- requests -------------------------------------------------------------------------------------------------

    def _opened(self, which: _Function, send: Send, alias: str) -> str:
        if which not in self._servers:
            answered = partial(self._answered, which, send, alias)
            server = ThreadingHTTPServer(("127.0.0.1", 0), partial(_Request, answered))
            threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
            self._servers[which] = server
        return f"http://127.0.0.1:{self._servers[which].server_port}/"

    def _close(self, which: _Function) -> None:
        if server := self._servers.pop(which, None):
            server.shutdown()
            server.server_close()

    def _answered(self, which: _Function, send: Send, alias: str, event: Mapping[str, Any]) -> Answer:
        limit = send("lambda", "GetFunctionConcurrency", {"FunctionName": which.name})
        if limit.get("ReservedConcurrentExecutions") == 0:
            return {
                "statusCode": 429,
                "headers": {},
                "body": '{"Reason":"ConcurrentInvocationLimitExceeded"}',
            }
        weights = self._weights(which, send, alias)
        (version,) = self._chance.choices(list(weights), list(weights.values()))
        said = self._run(which, send, version, event)
        if "statusCode" not in said:
            return {"statusCode": 502, "headers": {}, "body": "Internal Server Error"}
        return said

    def _weights(self, which: _Function, send: Send, alias: str = "live") -> dict[str, float]:
        found = send("lambda", "GetAlias", {"FunctionName": which.name, "Name": alias})
        more = (found.get("RoutingConfig") or {}).get("AdditionalVersionWeights") or {}
        return {found["FunctionVersion"]: 1 - sum(more.values()), **more}

    def _run(self, which: _Function, send: Send, version: str, event: Mapping[str, Any]) -> Answer:
        instance, free = self._instance(which, send, version)
        with free:
            said, _ = instance.ask(event)
        return said  # type: ignore[no-any-return]

    def instance(self, function: str, version: str) -> int | None:
        """Return the number of the process that runs a version, if one does."""
        for (which, known, _), (emulator, _) in self._instances.items():
            if (which.name, known) == (function, version):
                return emulator.pid
        return None

    def _instance(self, which: _Function, send: Send, version: str) -> tuple[Emulator, threading.Lock]:
        asked = {"FunctionName": which.name, "Qualifier": version}
        known = send("lambda", "GetFunctionConfiguration", asked)
        env = {**known["Environment"]["Variables"], "AWS_LAMBDA_FUNCTION_VERSION": version}
        code = self._code[which, version]
        key = (which, version, json.dumps([env, hash(code)]))
        with self._starting:
            if key not in self._instances:
                folder = self._folder / f"instance-{len(self._instances)}"
                folder.mkdir()
                emulator: Emulator
                if isinstance(code, str):
                    emulator = ImageEmulator(code, folder, env, self.passwords)
                else:
                    file = folder / "function.zip"
                    file.write_bytes(code)
                    python = _bare(known["Runtime"].removeprefix("python"), self._folder)
                    emulator = LambdaEmulator(file, python, folder, env)
                self._instances[key] = (emulator.__enter__(), threading.Lock())
        return self._instances[key]

    def __enter__(self) -> LambdaCloud:
        return self

    def __exit__(self, *_: object) -> None:
        for which in list(self._servers):
            self._close(which)
        for emulator, _free in self._instances.values():
            emulator.__exit__()


@cache
def _bare(python: str, folder: Path) -> str:
    found = find_python(python)
    assert found is not None
    return bare_python(found, folder / f"python{python}")


class _Request(BaseHTTPRequestHandler):
    """Makes an event of a request, as a function URL does."""

    protocol_version = "HTTP/1.1"

    def __init__(self, answered: Callable[[Mapping[str, Any]], Answer], *rest: Any) -> None:
        self._answered = answered
        super().__init__(*rest)

    def _do(self) -> None:
        body = self.rfile.read(int(self.headers.get("content-length", 0)))
        path, _, query = self.path.partition("?")
        event = url_event(
            body, self.command, path, {name.lower(): value for name, value in self.headers.items()}
        )
        answer = self._answered({**event, "rawQueryString": query})
        text = answer["body"]
        content = base64.b64decode(text) if answer.get("isBase64Encoded") else text.encode()
        self.send_response(answer["statusCode"])
        for name, value in answer["headers"].items():
            self.send_header(name, value)
        self.send_header("content-length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    do_GET = do_POST = _do  # noqa: N815

    def log_message(self, *_: Any) -> None:
        """Say nothing."""
