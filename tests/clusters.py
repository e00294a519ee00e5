"""Real schedulers, workers and servers for tests, each started here and stopped here."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil

_READY_S = 60.0


def free_port() -> int:
    """Return a port that is free now."""
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        return int(listening.getsockname()[1])


def until(is_so: Callable[[], bool], seconds: float = _READY_S, what: str = "it") -> None:
    """Wait until something is so."""
    end = time.monotonic() + seconds
    while not is_so():
        assert time.monotonic() < end, f"{what} was not so after {seconds:g} s"
        time.sleep(0.05)


def listens(port: int, host: str = "127.0.0.1") -> bool:
    """Whether something listens on a port of this machine."""
    with contextlib.suppress(OSError), socket.create_connection((host, port), timeout=1):
        return True
    return False


@contextmanager
def running(argv: list[str], log: Path, **options: Any) -> Iterator[subprocess.Popen[bytes]]:
    """Run a program with its output in `log`; it and its children are gone at the end."""
    with log.open("ab") as out:
        process = subprocess.Popen(argv, stdout=out, stderr=out, stdin=subprocess.DEVNULL, **options)
    try:
        yield process
    finally:
        family = []
        with contextlib.suppress(psutil.NoSuchProcess):
            family = psutil.Process(process.pid).children(recursive=True)
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        for child in family:
            with contextlib.suppress(psutil.NoSuchProcess):
                child.kill()


@contextmanager
def dask_cluster(folder: Path, workers: int = 2) -> Iterator[str]:
    """Run a Dask scheduler and workers of one thread, each under a nanny that starts it again; yield host:port."""
    from distributed import Client  # here and not above: not all who use this module have it

    port = free_port()
    scheduler = [
        "distributed.cli.dask_scheduler",
        "--host",
        "127.0.0.1",
        "--port",
        str(port),
        "--no-dashboard",
    ]
    worker = [
        "distributed.cli.dask_worker", f"tcp://127.0.0.1:{port}", "--nworkers", str(workers), "--nthreads", "1",
        "--no-dashboard", "--host", "127.0.0.1",
    ]  # fmt: skip
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONDONTWRITEBYTECODE": "1"}
    log = folder / "dask.log"
    with (
        running([sys.executable, "-m", *scheduler], log, cwd=folder, env=environment),
        running([sys.executable, "-m", *worker], log, cwd=folder, env=environment),
    ):
        until(lambda: listens(port), what=f"the scheduler's port ({log})")
        with Client(f"tcp://127.0.0.1:{port}", timeout=30, set_as_default=False) as client:
            client.wait_for_workers(
                workers, timeout=60
            )  # else the first job is given to those that are there
        yield f"127.0.0.1:{port}"


@contextmanager
def ray_cluster(folder: Path, workers: int = 2) -> Iterator[str]:
    """Run a Ray head that gives work to so many processes; yield host:port of its client server."""
    port, own = free_port(), free_port()
    argv = [
        str(Path(sys.executable).with_name("ray")), "start", "--head", "--block", f"--port={own}",
        f"--ray-client-server-port={port}", f"--num-cpus={workers}", "--include-dashboard=false",
        "--disable-usage-stats",
    ]  # fmt: skip
    with running(argv, folder / "ray.log", cwd=folder):
        # Ray takes the address of the machine for its own, and not the loopback's
        hosts = [
            each.address
            for card in psutil.net_if_addrs().values()
            for each in card
            if each.family == socket.AF_INET
        ]
        until(
            lambda: any(listens(port, host) for host in hosts),
            120,
            f"Ray's client port ({folder / 'ray.log'})",
        )
        yield f"{next(host for host in hosts if listens(port, host))}:{port}"


@contextmanager
def postgres(folder: Path) -> Iterator[str]:
    """Run a PostgreSQL of its own, as a user without privileges; yield its URL, which holds a password."""
    programs = postgres_programs()
    assert programs is not None, "PostgreSQL is not installed; type: make postgresql"
    port, password = free_port(), "pa55-word"
    # not in pytest's own folders, which nobody else may enter
    with tempfile.TemporaryDirectory(prefix="modelyard-postgres-") as home:
        secret, data = Path(home, "password"), Path(home, "data")
        secret.write_text(password, encoding="utf-8")
        options: dict[str, Any] = {"cwd": home}
        if os.getuid() == 0:  # PostgreSQL refuses to be root
            options |= {"user": "nobody", "group": "nogroup", "extra_groups": []}
            for path in (Path(home), secret):
                shutil.chown(path, "nobody", "nogroup")
        asked = ["-U", "ann", "--auth=scram-sha-256", f"--pwfile={secret}", "-N"]
        subprocess.run(
            [str(programs / "initdb"), "-D", str(data), *asked],
            check=True,
            stdout=subprocess.DEVNULL,
            **options,
        )
        argv = [
            str(programs / "postgres"),
            "-D",
            str(data),
            "-p",
            str(port),
            "-h",
            "127.0.0.1",
            "-k",
            "",
            "-F",
        ]
        with running(argv, folder / "postgres.log", **options) as process:
            until(lambda: listens(port), what=f"PostgreSQL's port ({folder / 'postgres.log'})")
            try:
                yield f"postgresql://ann:{password}@127.0.0.1:{port}/postgres"
            finally:
                process.send_signal(signal.SIGINT)  # fast shutdown: it waits for no client


def postgres_programs() -> Path | None:
    """Return the folder of PostgreSQL's programs: of the newest one that Debian keeps, or on the path."""
    kept = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: int(path.parts[-3]))
    found = kept[-1] if kept else shutil.which("initdb")
    return Path(found).parent if found else None


@contextmanager
def mlflow_server(folder: Path, python: Path) -> Iterator[str]:
    """Run MLflow's server on SQLite from another environment's Python; yield its address."""
    port = free_port()
    environment = {
        name: value for name, value in os.environ.items() if not re.match("MLFLOW_|PYTHONPATH", name)
    } | {"MLFLOW_DISABLE_TELEMETRY": "true", "PATH": f"{python.parent}:{os.environ['PATH']}"}
    argv = [
        str(python), "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(port), "--workers", "1",
        "--backend-store-uri", f"sqlite:///{folder / 'mlflow.db'}",
        "--artifacts-destination", str(folder / "artifacts"),
    ]  # fmt: skip
    with running(argv, folder / "mlflow.log", cwd=folder, env=environment):
        until(lambda: listens(port), 240, f"MLflow's port ({folder / 'mlflow.log'})")
        yield f"http://127.0.0.1:{port}"
