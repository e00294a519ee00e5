"""What installed distributions hold that answering never reads, as data; a rehearsal proves that it does not."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path


@dataclass(frozen=True)
class Ballast:
    """Files that can be left out, and what they are.

    Attributes
    ----------
    what : str
        As the object of a sentence: ``the tests of distributions``.
    patterns : tuple of str
        Of paths within a folder of installed distributions, beginning with a slash; ``*`` also stands for slashes.
    """

    what: str
    patterns: tuple[str, ...]

    def holds(self, path: str) -> bool:
        """Whether a path, such as ``numpy/tests/a.py``, is of these."""
        return any(fnmatchcase(f"/{path}", pattern) for pattern in self.patterns)


BALLAST = (
    Ballast("the tests of distributions", ("*/tests/*", "*/test/*", "/numpy/_core/_simd.*")),
    Ballast(
        "the parts of onnxruntime that answering does not import",
        (
            *(f"/onnxruntime/{part}/*" for part in ("tools", "transformers", "quantization", "datasets", "backend")),
            "/onnxruntime/capi/libonnxruntime.so*",  # for programs in C; the Python module has all of it in itself
        ),
    ),
    Ballast(
        "what only compilers and type checkers read",
        ("*.pyi", "*.pxd", "*.pyx", "*.h", "*.hpp", "*.c", "*.cpp", "*.a", "*.pc"),
    ),
    Ballast("scripts, which name the interpreter of one machine", ("/bin/*", "/.lock")),
)  # fmt: skip


#: What a model that is one graph leaves unread: it needs numpy's arrays, and onnxruntime reads ONNX by itself.
BESIDE_A_GRAPH = (
    *BALLAST,
    Ballast(
        "what onnxruntime requires for its tools alone",
        ("/google/*", "/protobuf-*", "/flatbuffers/*", "/flatbuffers-*"),
    ),
    Ballast(
        "the parts of numpy that answers do not call",
        tuple(f"/numpy/{part}/*" for part in ("random", "polynomial", "fft", "ma", "testing", "f2py")),
    ),
)


def slim(site: Path, leaving_out: Sequence[Ballast] = BALLAST) -> None:
    """Delete what is ballast from a folder of installed distributions."""
    for path in sorted(site.rglob("*"), reverse=True):
        name = path.relative_to(site).as_posix()
        if path.is_file() and any(ballast.holds(name) for ballast in leaving_out):
            path.unlink()
        elif path.is_dir() and not any(path.iterdir()):
            path.rmdir()
