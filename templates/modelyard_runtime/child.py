"""A model that runs in a process of its own, where only the distributions of its lock can be imported.

The server talks to it over a pair of connected Unix sockets, which have no name in the file system. A frame is four
bytes of length and a value in MessagePack. The child first says whether it has loaded the model, then answers one
request after the other; it ends when the server closes its socket, or dies.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import socket
import struct
import subprocess
import sys
import threading
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from modelyard_runtime.bundle_format import CONTRACT, BundleError, read_manifest
from modelyard_runtime.contract import Contract
from modelyard_runtime.models import Model, Outputs, load_model

#: The environment's name for the folder from which the locked distributions are imported.
SITE = "MODELYARD_SITE"

REQUEST_S = 60.0
START_S = 120.0

_PROGRAM = "import sys; sys.path[:0] = sys.argv[1:3]; from modelyard_runtime.child import main; main()"
_RETRY_S = 1.0  # after a child that could not start: so long no other one is tried
_END_S = 5.0
_MESSAGE = 300
_LOG = 2  # whatever the child prints goes where it complains: into the server's log
_HANDED_ON = (
    "PATH", "HOME", "LANG", "LC_ALL", "TZ", "TMPDIR", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH",
    "MODELYARD_DEPLOYMENT",  # by which the target finds every process of a deployment
)  # fmt: skip
_THREADS = (
    "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMEXPR_NUM_THREADS", "VECLIB_MAXIMUM_THREADS",
)  # fmt: skip


class ModelError(RuntimeError):
    """The model failed on rows that keep the contract; the traceback is in the child's log."""


class ChildLostError(ModelError):
    """The model's process died or took too long, and another one is started: ask again."""


class _Request(msgspec.Struct, array_like=True):
    table: dict[str, list[Any]]
    rows: int


class _Array(msgspec.Struct, array_like=True):
    """An array: its bytes, or, where its elements are objects, the list of them."""

    dtype: str
    shape: tuple[int, ...]
    content: bytes
    objects: list[Any] | None = None

    @classmethod
    def of(cls, array: np.ndarray) -> _Array:
        if array.dtype.hasobject:
            return cls("O", array.shape, b"", array.ravel().tolist())
        return cls(array.dtype.str, array.shape, array.tobytes())

    def array(self) -> np.ndarray:
        if self.objects is None:
            return np.ndarray(self.shape, self.dtype, self.content)
        return np.fromiter(self.objects, object, len(self.objects)).reshape(self.shape)


class _Reply(msgspec.Struct, array_like=True):
    """What the child says: that it is ready (nothing), outputs, or why there are none."""

    labels: _Array | None = None
    probabilities: _Array | None = None
    error: str | None = None


def load(folder: Path, manifest: dict[str, Any], contract: Contract, site: Path | None = None) -> Model:
    """Load the model that a checked manifest describes: ONNX here, Python in a child where there is a site for it.

    Raises
    ------
    BundleError
        As `load_model` does; also where the child cannot load it.
    """
    named = os.environ.get(SITE)
    site = site or (Path(named) if named else None)
    if site is None or manifest["model"]["kind"] == "onnx":
        return load_model(folder, manifest, contract)
    return ChildModel(folder, site)


class ChildModel:
    """A model in a child process; threads may share it, and take turns.

    Parameters
    ----------
    folder : Path
        The bundle's ``model/`` folder.
    site : Path
        The folder with the locked distributions.
    timeout : float
        Seconds that one request may take, waiting for its turn included; then the child is replaced.

    Raises
    ------
    BundleError
        The child cannot load the model.
    """

    #: What the child runs.
    program = _PROGRAM

    def __init__(self, folder: Path, site: Path, *, timeout: float = REQUEST_S) -> None:
        runtime = Path(__file__).resolve().parents[1]
        self._arguments = (self.program, runtime, site.resolve(), folder.resolve())
        self._timeout = timeout
        self._turn = threading.Lock()
        self._refused_until = 0.0
        self._child = _Child(*self._arguments)
        try:
            self._child.wait_until_ready(self._child.overdue)
        except (OSError, ModelError) as error:
            self._child.end()
            raise BundleError(f"the model does not load in a process of its own: {error}") from None
        except BaseException:  # Ctrl-C: no child is left behind
            self._child.end()
            raise

    @property
    def pid(self) -> int:
        """The process that the next request goes to, if it still lives by then."""
        return self._child.pid

    def __call__(self, table: dict[str, list[Any]], rows: int) -> Outputs:
        """Answer `rows` checked rows.

        Raises
        ------
        ModelError
            The model failed.
        ChildLostError
            Its process did, or was too slow; another one is on its way.
        """
        deadline = time.monotonic() + self._timeout
        request = _encoded(table, rows)
        if not self._turn.acquire(timeout=self._timeout):
            raise ChildLostError(f"the model was busy for {self._timeout:g} s")
        try:
            reply = self._asked(request, deadline)
        finally:
            self._turn.release()
        if reply.labels is None:
            raise ModelError(reply.error or "the model gave no labels")
        return reply.labels.array(), None if reply.probabilities is None else reply.probabilities.array()

    def close(self) -> None:
        """End the child; the next request would start another one."""
        with self._turn:
            self._child.end()

    def _asked(self, request: bytes, deadline: float) -> _Reply:
        if not self._child.is_alive():
            self._replace()
        self._await(deadline)
        try:
            return self._child.ask(request, deadline)
        except (OSError, msgspec.DecodeError) as error:
            self._replace()
            told = f"took longer than {self._timeout:g} s" if isinstance(error, TimeoutError) else "died"
            raise ChildLostError(f"the model's process {told}; another one was started, ask again") from None

    def _await(self, deadline: float) -> None:
        """Wait until the child has loaded the model, which is nothing if it has."""
        if self._child.is_ready:
            return
        try:
            self._child.wait_until_ready(deadline)
        except (OSError, ModelError) as error:
            if isinstance(error, TimeoutError) and time.monotonic() < self._child.overdue:
                raise ChildLostError("the model's process is still starting; ask again") from None
            self._child.end()
            self._refused_until = time.monotonic() + _RETRY_S
            raise ChildLostError(f"the model's process does not start: {error}") from None

    def _replace(self) -> None:
        """End the child and start another one, without waiting until that one is ready."""
        self._child.end()
        if time.monotonic() < self._refused_until:
            raise ChildLostError("the model's process does not start; the server's log says why")
        try:
            self._child = _Child(*self._arguments)
        except OSError as error:
            raise ChildLostError(f"the model's process does not start: {error}") from None


class _Child:
    """One process, and the socket to it."""

    def __init__(self, program: str, runtime: Path, site: Path, folder: Path) -> None:
        self._socket, theirs = socket.socketpair()
        arguments = [str(runtime), str(site), str(folder), str(theirs.fileno())]
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-I", "-S", "-c", program, *arguments],
                env=_environment(), cwd=os.sep, stdin=subprocess.DEVNULL, stdout=_LOG, pass_fds=[theirs.fileno()],
                start_new_session=True,
            )  # fmt: skip
        self.pid = self._process.pid
        self.is_ready = False
        self.overdue = time.monotonic() + START_S

    def is_alive(self) -> bool:
        return self._process.poll() is None

    def wait_until_ready(self, deadline: float) -> None:
        """Read the first frame.

        Raises
        ------
        OSError
            There is none, or not in time.
        ModelError
            The model cannot be loaded, and why.
        """
        self._socket.settimeout(_left(min(deadline, self.overdue)))
        self._socket.recv(
            1, socket.MSG_PEEK
        )  # until then nothing is taken: who waited in vain may wait again
        reply = _decode_reply(_received(self._socket, time.monotonic() + _END_S))
        if reply.error is not None:
            raise ModelError(reply.error)
        self.is_ready = True

    def ask(self, request: bytes, deadline: float) -> _Reply:
        _send(self._socket, request, deadline)
        return _decode_reply(_received(self._socket, deadline))

    def end(self) -> None:
        self._socket.close()
        with contextlib.suppress(ProcessLookupError):
            self._process.kill()
        with contextlib.suppress(subprocess.TimeoutExpired):  # it hangs in the kernel: not ours to wait for
            self._process.wait(_END_S)


def _environment() -> dict[str, str]:
    handed_on = {name: os.environ[name] for name in _HANDED_ON if name in os.environ}
    return handed_on | {name: os.environ.get(name, "1") for name in _THREADS}


def _encoded(table: dict[str, list[Any]], rows: int) -> bytes:
    try:
        return msgspec.msgpack.encode(_Request(table, rows))
    except OverflowError:  # a number column takes whole numbers that MessagePack does not
        floats = {name: [_small(value) for value in values] for name, values in table.items()}
        return msgspec.msgpack.encode(_Request(floats, rows))


def _small(value: Any) -> Any:
    return float(value) if type(value) is int and abs(value) >= 2**63 else value


_decode_reply = msgspec.msgpack.Decoder(_Reply).decode


def _send(to: socket.socket, content: bytes, deadline: float | None) -> None:
    to.settimeout(_left(deadline))
    to.sendall(struct.pack("!I", len(content)) + content)


def _received(of: socket.socket, deadline: float | None) -> bytearray:
    """Return the next frame.

    Raises
    ------
    ConnectionError
        The other side is gone.
    TimeoutError
        It takes too long.
    """
    (length,) = struct.unpack("!I", _bytes(of, 4, deadline))
    return _bytes(of, length, deadline)


def _bytes(of: socket.socket, count: int, deadline: float | None) -> bytearray:
    content = bytearray(count)
    view = memoryview(content)
    while view:
        of.settimeout(_left(deadline))
        size = of.recv_into(view)
        if not size:
            raise ConnectionResetError("it ended")
        view = view[size:]
    return content


def _left(deadline: float | None) -> float | None:
    if deadline is None:
        return None
    left = deadline - time.monotonic()
    if left <= 0:
        raise TimeoutError("it takes too long")
    return left


def main(load: Callable[..., Model] = load_model) -> None:
    """Be the child: arguments are two import paths, the ``model/`` folder, and the number of the socket."""
    for number in (signal.SIGINT, signal.SIGTERM):  # the server ends it, once its own requests are answered
        signal.signal(number, signal.SIG_IGN)
    server = socket.socket(fileno=int(sys.argv[4]))
    threading.Thread(target=_end_with, args=[server.fileno()], daemon=True).start()
    try:
        folder = Path(sys.argv[3])
        manifest = read_manifest(folder)
        contract = Contract.from_json(msgspec.json.decode((folder / CONTRACT).read_bytes()))
        model = load(folder, manifest, contract)
    except Exception as error:  # noqa: BLE001  # whatever stops a foreign model from loading is the answer
        traceback.print_exc()
        _send(server, msgspec.msgpack.encode(_Reply(error=_line(error))), None)
        return
    _send(server, msgspec.msgpack.encode(_Reply()), None)
    decode = msgspec.msgpack.Decoder(_Request).decode
    while True:
        try:
            request = decode(_received(server, None))
        except ConnectionError:
            return
        _send(server, _answer(model, request), None)


def _answer(model: Model, request: _Request) -> bytes:
    try:
        labels, probabilities = model(request.table, request.rows)
        packed = None if probabilities is None else _Array.of(probabilities)
        return msgspec.msgpack.encode(_Reply(_Array.of(labels), packed), enc_hook=_plain)
    except Exception as error:  # noqa: BLE001  # the model's own mistakes, of any kind
        traceback.print_exc()
        return msgspec.msgpack.encode(_Reply(error=_line(error)))


def _plain(value: Any) -> Any:
    if isinstance(value, np.generic):
        return value.item()
    raise TypeError(f"the model answers with a {type(value).__name__}")


def _line(error: Exception) -> str:
    told = str(error) if isinstance(error, BundleError) else f"{type(error).__name__}: {error}"
    return " ".join(told.split())[:_MESSAGE]


def _end_with(server: int) -> None:
    """End this process when the server is gone, also in the middle of a long prediction."""
    poll = select.poll()
    poll.register(server, 0)  # hang-ups are told unasked
    poll.poll()
    os._exit(0)
