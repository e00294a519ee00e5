"""A bundle as a tracking server keeps it: what the manifest says, and the folder of the model itself."""

from __future__ import annotations

from modelyard.packaging.bundle import Bundle
from modelyard.tracking import Entry


def bundle_entry(bundle: Bundle) -> Entry:
    """Return the facts of a bundle, and the files by which it can be loaded and checked anywhere."""
    return Entry(
        name=bundle.tag,
        key=f"bundle {bundle.tag} {bundle.digest}",
        params={"digest": bundle.digest, "format": bundle.manifest["format"]},
        metrics={"size_bytes": float(bundle.size_bytes)},
        tags={"modelyard.kind": "bundle", "modelyard.digest": bundle.digest},
        note="\n\n".join((bundle.sentence(), *bundle.notes())),
        folders={"bundle": bundle.path / "src"},
    )
