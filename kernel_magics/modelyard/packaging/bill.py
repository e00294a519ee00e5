"""The bill of materials: what a bundle is made of and needs, as CycloneDX has it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping

from cyclonedx.model import HashAlgorithm, HashType, Property
from cyclonedx.model.bom import Bom, BomMetaData
from cyclonedx.model.component import Component, ComponentType
from cyclonedx.output.json import JsonV1Dot6
from packageurl import PackageURL

BILL = "sbom.cdx.json"

_RECORD = re.compile(r"#\s*record:([0-9a-f]{64})")
_PIN = re.compile(r"(?P<name>[A-Za-z0-9][A-Za-z0-9._-]*)(\[[^\]]*\])?==(?P<version>[^\s;,\\]+)")


def bill_of_materials(name: str, lock: Iterable[str], model_files: Mapping[str, str]) -> bytes:
    """Return the content of ``sbom.cdx.json``: CycloneDX 1.6, the same bytes for the same bundle.

    It bears no time and no serial number, which would give each build another digest.

    Parameters
    ----------
    name : str
        The bundle's name; its version is given by the store, after its identity is known.
    lock : iterable of str
        Lines of a lock, ``name==version`` with anything after it; comments and options are passed over.
    model_files : mapping of str to str
        The SHA-256 in hexadecimal of each file that the model is in, by its name.
    """
    models = [
        Component(
            type=ComponentType.MACHINE_LEARNING_MODEL,
            name=file,
            bom_ref=file,
            hashes=[HashType(alg=HashAlgorithm.SHA_256, content=digest)],
        )
        for file, digest in model_files.items()
    ]
    libraries = [_library(line) for line in lock if not line.lstrip().startswith(("#", "-")) and line.strip()]
    whole = Component(type=ComponentType.APPLICATION, name=name, bom_ref="bundle")
    bom = Bom(components=[*models, *libraries], metadata=BomMetaData(component=whole))
    bom.serial_number = None  # type: ignore[assignment]  # both are optional in the format
    bom.metadata.timestamp = None  # type: ignore[assignment]
    bom.register_dependency(whole, [*models, *libraries])
    written = json.loads(JsonV1Dot6(bom).output_as_string())
    text = json.dumps(written, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    return f"{text}\n".encode()


def _library(line: str) -> Component:
    pin = _PIN.match(line.strip())
    if pin is None:
        raise ValueError(f"{line!r} in a lock pins no version")
    name, version = pin["name"], pin["version"]
    purl = PackageURL("pypi", name=name, version=version)
    records = [Property(name="modelyard:record-sha256", value=found) for found in _RECORD.findall(line)]
    return Component(
        type=ComponentType.LIBRARY,
        name=name,
        version=version,
        purl=purl,
        bom_ref=purl.to_string(),
        properties=records,
    )
