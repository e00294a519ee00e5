"""ONNX Runtime Mobile: the model in its own format, a page that runs it in a browser, and samples for apps."""

from __future__ import annotations

import gzip
import sys
from dataclasses import dataclass, field, replace
from pathlib import Path

import msgspec

from modelyard.errors import DeploymentError, UsageError, listing
from modelyard.golden import Parity
from modelyard.limits import Limits
from modelyard.packaging import Bundle
from modelyard.targets.artifact import Artifact, Component, Function, files_in
from modelyard.targets.converted import converted, copy_runtime
from modelyard.targets.cost import nothing
from modelyard.targets.folder import CONTENT, FolderTarget
from modelyard.targets.installing import machine
from modelyard.targets.onnxruntime_mobile_format import CONFIG, MODEL, OrtModel, ort_model
from modelyard.targets.onnxruntime_mobile_npm import WEB
from modelyard.targets.onnxruntime_mobile_page import (
    NODE_FOLDER,
    PAGE,
    WEB_FOLDER,
    Checked,
    checked,
    write_page,
)
from modelyard.targets.onnxruntime_mobile_samples import ANDROID_FOLDER, IOS_FOLDER, write_samples
from modelyard.targets.plan import Plan
from modelyard.targets.protocol import Live
from modelyard.targets.rehearsing.golden_replay import GoldenReplay
from modelyard_device.opening import FOLDER, About, opened
from modelyard_runtime.bundle_format import MODEL_FOLDER, RUNTIME_FOLDER
from modelyard_templates import render

_MB = 1_000_000
_PAGES = ("local", "none")
_LEAST_MEMORY = 64

# ONNX Runtime Mobile sets no limit of its own; the store does, to what comes with an app. An app reads its files
# where they lie and cannot write there, and the model wants no network.
_LIMITS = Limits(
    source="https://support.google.com/googleplay/android-developer/answer/9859372 (a base module), and --memory",
    as_of="2026-11-30",
    packed_bytes=500 * _MB,
    read_only_disk=True,
    network=False,
)


@dataclass(frozen=True)
class MobileTarget(FolderTarget):
    """A folder for apps and browsers: the ``.ort`` model, a page in one file, and code for Android, iOS and Node."""

    page: str = field(
        default="local",
        metadata={
            "help": f"{listing(_PAGES)}: a page with ONNX Runtime Web in it, which npm fetches once, and the sample "
            "for Node; or neither"
        },
    )
    memory: int = field(
        default=512, metadata={"help": "MB that the model and what runs it may take of a phone's memory"}
    )

    def __post_init__(self) -> None:
        if self.page not in _PAGES:
            raise UsageError(f"page {self.page!r} cannot be; choose {listing(_PAGES)}")
        if type(self.memory) is not int or self.memory < _LEAST_MEMORY:
            raise UsageError(
                f"memory {self.memory!r} cannot be; choose {_LEAST_MEMORY} (MB) or more, a whole number"
            )

    @property
    def limits(self) -> Limits:
        return replace(_LIMITS, memory_bytes=self.memory * _MB)

    def plan(self, bundle: Bundle, name: str, artifact: Artifact | None, live: Live | None) -> Plan:
        golden = bundle.manifest["golden"]
        rows = (
            "rows of the training table (--golden synthetic of %package draws others)"
            if golden["source"] == "training"
            else "rows drawn column by column"
        )
        has_page = self.page != "none"
        page = (
            f"write the page, in one file with {WEB.pin}, and the sample for Node",
            "let Node answer the golden rows by the page's own code, where Node is there",
        )
        return Plan(
            target="onnxruntime-mobile",
            name=name,
            bundle=bundle.tag,
            steps=(
                f"check every digest of {bundle.tag}",
                f"write its graph as {MODEL}, and the configuration of a build with its operators and types only",
                "answer the golden rows by the new form of the graph",
                *(page if has_page else ()),
                "write samples for Android (Kotlin) and iOS (Swift)",
            ),
            cost=nothing("files on this machine; what they cost later, your store and your web server say"),
            scaling="each phone and each browser answers for itself",
            security=(
                f"whoever gets the folder has the model and its golden rows: {golden['rows']} {rows}",
                *(
                    ("the page asks nobody and sends nothing, which its content policy enforces",)
                    if has_page
                    else ()
                ),
            ),
            files={
                f"{MODEL_FOLDER}/{MODEL}": f"{bundle.model_folder / bundle.manifest['model']['file']}, converted",
                CONFIG: "the operators and types of the graph",
                **({f"{WEB_FOLDER}/{PAGE}": "the page", f"{NODE_FOLDER}/": "the sample"} if has_page else {}),
                f"{ANDROID_FOLDER}/Predictor.kt": "the sample",
                f"{IOS_FOLDER}/Predictor.swift": "the sample",
                "README.md": "how to use each, its size, and what was checked",
            },
            changes=() if live is None else (f"what is in the folder: {live.bundle}, then {bundle.tag}",),
            undo=("take the folder away",)
            if live is None
            else (f"write the folder of {live.bundle} again",),
        )  # fmt: skip

    def make(self, bundle: Bundle, folder: Path) -> Artifact:
        content = folder / CONTENT
        content.mkdir()
        model = ort_model(bundle)
        converted(bundle, content / MODEL_FOLDER, MODEL, model.content, {})
        copy_runtime(content / RUNTIME_FOLDER)
        (content / CONFIG).write_text(model.config, encoding="utf-8")
        About(bundle.tag, bundle.digest, bundle.name, f"v{bundle.version}").write(content)
        parity, found = _proved(bundle, content), None
        if self.page != "none":
            write_page(bundle, model.content, content)
            found = checked(bundle, content)
        write_samples(bundle, model.content, content)
        readme = self._readme(bundle, model, content, parity, found)
        (content / "README.md").write_text(readme, encoding="utf-8")
        return Artifact(
            folder=folder,
            components=_parts(content),
            handler=Function(
                "modelyard_device.function:handler", (content / RUNTIME_FOLDER,), sys.executable,
                {FOLDER: str(content)},
            ),
            python=f"{sys.version_info[0]}.{sys.version_info[1]}",
            # the files are the same for every machine; what is rehearsed of them is ONNX Runtime on this one
            architecture=machine(),
            system=sys.platform,
            packed_bytes=len(gzip.compress(model.content, mtime=0)),  # what an app is larger by to download
        )  # fmt: skip

    def _readme(
        self, bundle: Bundle, model: OrtModel, content: Path, parity: Parity, found: Checked | None
    ) -> str:
        sizes = {name: sum(files_in(content / name).values()) for name in _folders(content)}
        return render(
            "onnxruntime_mobile/README.md.j2", tag=bundle.tag, digest=bundle.digest, has_page=self.page != "none",
            model=MODEL, config=CONFIG, operators=model.config.splitlines()[1:], sizes=sizes, checked=found,
            parity=parity, pin=WEB.pin, model_bytes=len(model.content),
            page_bytes=(content / WEB_FOLDER / PAGE).stat().st_size if self.page != "none" else 0,
        )  # fmt: skip


def _proved(bundle: Bundle, content: Path) -> Parity:
    """Let the runtime answer the golden rows from the folder.

    Raises
    ------
    DeploymentError
        One is not reproduced.
    """
    replay, predictor = GoldenReplay(bundle), opened(content)
    parity = replay.compared([msgspec.to_builtins(predictor.answer(body)) for body in replay.bodies()])
    predictor.close()
    if parity.first is not None:
        raise DeploymentError(f"{bundle.tag} answers otherwise as {MODEL}: {parity.first}; it was not made")
    return parity


def _folders(content: Path) -> list[str]:
    return sorted(path.name for path in content.iterdir() if path.is_dir())


def _parts(content: Path) -> tuple[Component, ...]:
    """Return what the folder consists of."""
    parts: dict[str, dict[str, int]] = {}
    for path, size in files_in(content).items():
        first, _, rest = path.partition("/")
        parts.setdefault(first if rest else "other files", {})[path] = size
    return tuple(Component(name, files) for name, files in parts.items())
