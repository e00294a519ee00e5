"""A Raspberry Pi: a folder that runs with only Python, serves itself, and updates itself without a gap."""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import ClassVar

from modelyard.errors import UsageError, listing
from modelyard.limits import Limits
from modelyard.packaging import Bundle
from modelyard.targets.artifact import Artifact, Component, Function, files_in
from modelyard.targets.converted import copy_runtime
from modelyard.targets.cost import nothing
from modelyard.targets.emulation import emulated_python
from modelyard.targets.folder import CONTENT, FolderTarget
from modelyard.targets.installing import Platform, compiling_python, find_python, install, own_python
from modelyard.targets.plan import Plan
from modelyard.targets.protocol import Live
from modelyard.targets.raspberry_pi_models import RUNTIMES, DeviceModel
from modelyard.targets.slimming import BALLAST
from modelyard.targets.wheels import download, requirements
from modelyard_device.installing import EITHER, NEEDS, REQUIREMENTS, RUNTIME, SITE, WHEELS
from modelyard_device.opening import FOLDER, About
from modelyard_device.service import UNIT
from modelyard_device.whole import write_sums
from modelyard_runtime.bundle_format import MANIFEST, MODEL_FOLDER
from modelyard_runtime.schema import example_row
from modelyard_templates import render

_ARCHITECTURES = ("arm64", "x86_64")
_PYTHONS = ("3.11", "3.12", "3.13")
_SCRIPTS = ("install.sh", "rollback.sh", "predict.sh")
_MB = 1_000_000
_LEAST_MEMORY, _MOST_MEMORY = 128, 16_384


@dataclass(frozen=True)
class RaspberryPiTarget(FolderTarget):
    """A folder for a Raspberry Pi, or for any Linux with Python on arm64."""

    acts_at_once: ClassVar[bool] = True

    runtime: str = field(
        default="onnx",
        metadata={"help": f"{listing(RUNTIMES)}: in which form the model goes, and what runs it"},
    )
    quantized: bool = field(
        default=False, metadata={"help": "with --runtime tflite: in whole numbers of 8 bits"}
    )
    wheels: bool = field(
        default=False, metadata={"help": "put what it imports in, for a device without a network"}
    )
    python: str = field(
        default_factory=lambda: own_python(_PYTHONS),
        metadata={"help": f"the Python of the device, {listing(_PYTHONS)}; the kernel's by default"},
    )
    architecture: str = field(default="arm64", metadata={"help": listing(_ARCHITECTURES)})
    memory: int = field(default=1024, metadata={"help": "MB of memory that it may take there"})
    cap: int = field(default=8, metadata={"help": "MB that a .tflite may have"})
    sysroot: str | None = field(
        default=None,
        metadata={"help": "a folder with an arm64 system, to rehearse in it by qemu; not there by default"},
    )

    def __post_init__(self) -> None:
        for what, value, known in (
            ("runtime", self.runtime, tuple(RUNTIMES)), ("python", self.python, _PYTHONS),
            ("architecture", self.architecture, _ARCHITECTURES),
        ):  # fmt: skip
            if value not in known:
                raise UsageError(f"a Raspberry Pi has no {what} {value!r}; choose {listing(known)}")
        if not _LEAST_MEMORY <= self.memory <= _MOST_MEMORY:
            raise UsageError(f"memory {self.memory} cannot be; choose {_LEAST_MEMORY} to {_MOST_MEMORY} (MB)")
        if self.cap < 1:
            raise UsageError(f"cap {self.cap} cannot be; choose 1 or more (MB)")
        if self.quantized and self.runtime != "tflite":
            raise UsageError("only --runtime tflite is quantized; add it, or leave --quantized out")

    @property
    def limits(self) -> Limits:
        return Limits(
            source="https://www.raspberrypi.com/documentation/computers/raspberry-pi.html",
            as_of="2026-11-30",
            memory_bytes=self.memory * 1024 * 1024,
            model_bytes=self.cap * _MB if self.runtime == "tflite" else None,
            architectures=_ARCHITECTURES,
            pythons=_PYTHONS,
        )

    @property
    def _model(self) -> DeviceModel:
        return RUNTIMES[self.runtime](self.quantized)

    def plan(self, bundle: Bundle, name: str, artifact: Artifact | None, live: Live | None) -> Plan:
        return Plan(
            target="raspberry-pi",
            name=name,
            bundle=bundle.tag,
            steps=(
                f"check every digest of {bundle.tag}",
                self._model.says + _agreement(artifact),
                f"name what it imports for Python {self.python} on {self.architecture}"
                + (", and put the wheels in" if self.wheels else ""),
                f"write the folder {name}-{bundle.version}, with scripts that install, update and roll back, "
                "and the digest of every file",
            ),
            cost=nothing("it runs on your device"),
            scaling="one process, whoever asks",
            security=(
                "the device answers on its own loopback, elsewhere only with --host",
                "every path but the health checks wants the token, of which the folder holds the hash",
                "plain HTTP: whoever lets others reach it puts TLS before it",
            ),
            files={
                f"{MODEL_FOLDER}/": str(bundle.model_folder),
                f"{RUNTIME}/": "the runtime",
                UNIT: self._rendered(bundle, UNIT),
                **{script: self._rendered(bundle, script) for script in _SCRIPTS},
            },
            changes=() if live is None else (f"the folder: of {live.bundle}, then of {bundle.tag}",),
            undo=("take the folder away; on a device: sudo ./rollback.sh",)
            if live is None
            else (f"write the folder of {live.bundle} again; on a device: sudo ./rollback.sh",),
        )  # fmt: skip

    def make(self, bundle: Bundle, folder: Path) -> Artifact:
        model, content = self._model, folder / CONTENT
        expected = model.size_of(bundle)
        if self.limits.model_bytes is not None and expected > self.limits.model_bytes:
            return self._too_large(bundle, folder, expected)
        content.mkdir()
        model.write(bundle, content / MODEL_FOLDER)
        copy_runtime(content / RUNTIME)
        self._write_lists(bundle, content)
        for script in _SCRIPTS:
            (content / script).write_text(self._rendered(bundle, script), encoding="utf-8")
            (content / script).chmod(0o755)
        (content / UNIT).write_text(self._rendered(bundle, UNIT), encoding="utf-8")
        (content / NEEDS).write_text(
            json.dumps({"architecture": self.architecture, "python": self.python}) + "\n", encoding="utf-8"
        )
        (content / "README.md").write_text(self._readme(bundle, content), encoding="utf-8")
        About(bundle.tag, bundle.digest, bundle.name, f"v{bundle.version}").write(content)
        python, site = self._interpreter(folder), folder / SITE
        described = json.loads((content / MODEL_FOLDER / MANIFEST).read_bytes())["model"]
        return Artifact(
            folder=folder,
            components=_parts(content),
            handler=_handler(content, site, python),
            python=self.python,
            architecture=self.architecture,
            system="linux",
            model_bytes=(content / MODEL_FOLDER / described["file"]).stat().st_size,
            is_emulated=self.sysroot is not None,
            prepare=partial(self._install, bundle, site),
            golden=content / MODEL_FOLDER if self.quantized else None,
        )

    def finish(self, files: Path) -> None:
        write_sums(files)

    def _too_large(self, bundle: Bundle, folder: Path, expected: int) -> Artifact:
        onnx = RUNTIMES["onnx"](False).size_of(bundle)
        return Artifact(
            folder=folder,
            components=(Component("model", {f"model.{self.runtime}": expected}),),
            handler=_handler(folder, folder / SITE, sys.executable),
            python=self.python,
            architecture=self.architecture,
            system="linux",
            model_bytes=expected,
            is_made=False,
            remedies=(f"--runtime onnx: {onnx / _MB:.1f} MB, without a limit",),
        )

    def _write_lists(self, bundle: Bundle, content: Path) -> None:
        """Write what pip installs on the device; with --wheels, put it in."""
        always, either = self._model.locks(bundle)
        wheels = content / WHEELS if self.wheels else None
        if wheels is not None:
            wheels.mkdir()
            download([*always, *either], wheels, Platform(self.python, self.architecture), "pip")
        (content / REQUIREMENTS).write_text(requirements(always, wheels), encoding="utf-8")
        if either:
            (content / EITHER).write_text(requirements(either, wheels), encoding="utf-8")

    def _interpreter(self, folder: Path) -> str:
        """Return what runs it in a rehearsal."""
        if self.sysroot is None:
            return find_python(self.python) or sys.executable
        return emulated_python(Path(self.sysroot), self.architecture, self.python, folder / "emulated")

    def _install(self, bundle: Bundle, site: Path) -> None:
        """Install what it imports, as the device does."""
        own = compiling_python(self.python, "a rehearsal of it")
        always, either = self._model.locks(bundle)
        place = Platform(self.python, self.architecture)
        install([*always, *either], site, place, own, str(site), BALLAST)

    def _rendered(self, bundle: Bundle, file: str) -> str:
        return render(f"raspberry_pi/{file}.j2", tag=bundle.tag, python=self.python, memory=self.memory)

    def _readme(self, bundle: Bundle, content: Path) -> str:
        manifest = json.loads((content / MODEL_FOLDER / MANIFEST).read_bytes())
        return render(
            "raspberry_pi/README.md.j2", tag=bundle.tag, python=self.python, architecture=self.architecture,
            wheels=self.wheels, golden=manifest["golden"]["rows"], file=manifest["model"]["file"],
            runs=self._model.runs, tolerance=manifest["parity"]["tolerance"]["absolute"],
            example=json.dumps({"rows": [example_row(bundle.contract)]}),
        )  # fmt: skip


def _agreement(artifact: Artifact | None) -> str:
    """Return what a plan says of a model that is not quite the bundle's."""
    if artifact is None or artifact.golden is None:
        return ""
    found = json.loads((artifact.golden / MANIFEST).read_bytes())["model"]["agreement"]
    return (
        f": in 8 bits {found['same_labels']} of {found['rows']} golden rows get the same label, and no number is "
        f"further than {found['max_absolute']:.2g} from what it was"
    )


def _handler(content: Path, site: Path | None, python: str) -> Function:
    paths = (content / RUNTIME, *(() if site is None else (site,)))
    return Function(
        "modelyard_device.function:handler", paths, python, {FOLDER: str(content), "LANG": "C.UTF-8"}
    )


def _parts(content: Path) -> tuple[Component, ...]:
    parts: dict[str, dict[str, int]] = {}
    for path, size in files_in(content).items():
        first = path.partition("/")[0]
        name = first if first in (MODEL_FOLDER, RUNTIME, WHEELS) else "scripts"
        parts.setdefault(name, {})[path] = size
    return tuple(Component(name, files) for name, files in parts.items())
