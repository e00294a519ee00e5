"""``python3 -m modelyard_device``: ask a device's folder, check it, serve it, install it, roll it back."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from modelyard_device.errors import InstallError

_PORT = 3000


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="modelyard_device", description=__doc__)
    verbs = parser.add_subparsers(dest="verb", required=True)

    def verb(name: str, says: str, folder: str) -> argparse.ArgumentParser:
        found = verbs.add_parser(name, help=says, description=says)
        found.add_argument("folder", type=Path, help=folder)
        return found

    asked = verb(
        "predict", "answer rows: JSON as POST /predict takes it", "a device's folder, or ROOT/current"
    )
    asked.add_argument("rows", nargs="?", default="-", help="a file, or - for standard input (the default)")
    verb("check", "answer the golden rows, and say whether all are as they must be", "a device's folder")
    serve = verb("serve", "answer over HTTP until Ctrl-C", "a device's folder, or ROOT/current")
    install = verb("install", "install a folder, or update what is there", "the folder that was copied here")
    back = verb("rollback", "let the version before answer again", "any device's folder of that name")
    for each in (serve, install, back):
        each.add_argument(
            "--host", default="127.0.0.1", help="0.0.0.0: reached from elsewhere; default %(default)s"
        )
        each.add_argument("--port", type=int, default=_PORT, help="default %(default)s")
    for each in (install, back):
        each.add_argument(
            "--root", type=Path, help="where versions are; of root's, /opt/modelyard/NAME by default"
        )
        each.add_argument("--no-service", action="store_true", help="do not let systemd run it")
    return parser


def main(words: Sequence[str] | None = None) -> int:
    """Do what was typed; return the exit status."""
    asked = _parser().parse_args(words)
    try:
        return int(_VERBS[asked.verb](asked) or 0)
    except KeyboardInterrupt:
        return 130
    except (InstallError, OSError) as error:  # a full disk, a port that is taken: said, not traced
        print(f"modelyard: {error}", file=sys.stderr)  # noqa: T201  # the answer of a command
        return 1


def _predict(asked: argparse.Namespace) -> int:
    import msgspec

    from modelyard_device.opening import opened
    from modelyard_runtime.bundle_format import BundleError
    from modelyard_runtime.contract import ContractBroken
    from modelyard_runtime.predictor import RequestError

    body = sys.stdin.buffer.read() if asked.rows == "-" else Path(asked.rows).read_bytes()
    try:
        answer = opened(asked.folder).answer(body)
    except (BundleError, ContractBroken, RequestError, msgspec.DecodeError) as error:
        print(f"modelyard: {error}", file=sys.stderr)  # noqa: T201
        return 1
    print(msgspec.json.encode(answer).decode())  # noqa: T201
    return 0


def _check(asked: argparse.Namespace) -> int:
    from modelyard_device.opening import opened
    from modelyard_runtime.__main__ import replay
    from modelyard_runtime.bundle_format import MODEL_FOLDER, BundleError

    try:
        found = replay(asked.folder / MODEL_FOLDER, lambda _: opened(asked.folder))
    except BundleError as error:
        print(f"modelyard: {error}", file=sys.stderr)  # noqa: T201
        return 1
    print(json.dumps({name: value for name, value in found.items() if name != "modules"}))  # noqa: T201
    return int(found["mismatches"] != 0)


def _serve(asked: argparse.Namespace) -> None:
    import uvicorn

    from modelyard_device.door import application

    uvicorn.run(
        application(asked.folder), host=asked.host, port=asked.port, access_log=False, log_level="warning"
    )


def _install(asked: argparse.Namespace) -> None:
    from modelyard_device.installing import install

    folder: Path = asked.folder.resolve()
    root = _root(asked, folder)
    version = install(folder, root, _service(asked, folder), lambda said: print(said, file=sys.stderr))  # noqa: T201
    print(f"{version.name} is installed in {root}")  # noqa: T201


def _rollback(asked: argparse.Namespace) -> None:
    from modelyard_device.installing import roll_back

    folder: Path = asked.folder.resolve()
    version = roll_back(_root(asked, folder), _service(asked, folder))
    print(f"{version.name} answers again")  # noqa: T201


def _root(asked: argparse.Namespace, folder: Path) -> Path:
    if asked.root is not None:
        return Path(asked.root).resolve()
    home = Path("/opt/modelyard") if os.geteuid() == 0 else Path.home() / ".local" / "share" / "modelyard"
    return home / _name(folder)


def _service(asked: argparse.Namespace, folder: Path) -> Any:
    from modelyard_device.service import NoService, SystemdService, is_systemd

    if asked.no_service or os.geteuid() != 0 or not is_systemd():
        return NoService()
    return SystemdService(_name(folder), asked.host, asked.port)


def _name(folder: Path) -> str:
    try:
        return str(json.loads((folder / "about.json").read_text(encoding="utf-8"))["name"])
    except (OSError, ValueError, KeyError, TypeError):
        raise InstallError(f"{folder} is no device's folder; copy it again, all of it") from None


_VERBS = {"predict": _predict, "check": _check, "serve": _serve, "install": _install, "rollback": _rollback}

if __name__ == "__main__":
    sys.exit(main())
