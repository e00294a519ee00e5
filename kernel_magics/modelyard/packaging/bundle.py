"""A bundle in the store, as the user holds it."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from modelyard.errors import BundleError, UnknownNameError, did_you_mean, listing
from modelyard.packaging import storing
from modelyard.packaging.proof import explanations_replayed, replayed
from modelyard.packaging.sites import child_lock
from modelyard.presentation import Result, Table, number
from modelyard_runtime import bundle_format
from modelyard_runtime.contract import Contract

if TYPE_CHECKING:
    from modelyard.packaging.difference import Difference


@dataclass(frozen=True, repr=False)
class Verification(Result):
    """What a replay of the golden rows in a clean process found."""

    kind = "verification"

    tag: str
    rows: int
    max_absolute: float
    load_s: float
    row_ms: float

    def sentence(self) -> str:
        return (
            f"{self.tag}: digests match, {self.rows} golden rows reproduced in a clean process "
            f"(largest difference {self.max_absolute:.2g})"
        )

    def table(self) -> Table:
        return Table(("load s", "one row ms"), ((number(self.load_s), number(self.row_ms)),))

    def payload(self) -> dict[str, Any]:
        return {
            "tag": self.tag,
            "rows": self.rows,
            "max_absolute": self.max_absolute,
            "load_s": self.load_s,
            "row_ms": self.row_ms,
        }


@dataclass(frozen=True, repr=False)
class Bundle(Result):
    """One version of a bundle.

    Attributes
    ----------
    name, version : str, int
        ``churn`` and ``3`` of ``churn:3``.
    path : Path
        The Bento's folder in BentoML's store.
    remarks : tuple of str
        What was measured when it was packaged, and does not belong into its identity.
    """

    kind = "bundle"

    name: str
    version: int
    path: Path
    remarks: tuple[str, ...] = ()

    @property
    def tag(self) -> str:
        return f"{self.name}:{self.version}"

    @property
    def model_folder(self) -> Path:
        return self.path / "src" / bundle_format.MODEL_FOLDER

    @cached_property
    def manifest(self) -> dict[str, Any]:
        """The manifest as it stands on disk.

        Raises
        ------
        BundleError
            The bundle is gone from the store.
        """
        try:
            found: dict[str, Any] = json.loads((self.model_folder / bundle_format.MANIFEST).read_bytes())
        except FileNotFoundError:
            raise BundleError(
                f"bundle {self.tag} is gone from {self.path}; package the model again"
            ) from None
        return found

    @cached_property
    def contract(self) -> Contract:
        """What a row must look like."""
        return Contract.from_json(json.loads((self.model_folder / bundle_format.CONTRACT).read_bytes()))

    @property
    def lock(self) -> list[str]:
        """The lines of the lock: what must be installed where the model runs."""
        return (self.model_folder / "lock.txt").read_text(encoding="utf-8").splitlines()

    def door_lock(self, door: str) -> list[str]:
        """Return the lines of the lock of a door, such as ``asgi``: what it adds to `lock`."""
        return (self.model_folder / f"lock-{door}.txt").read_text(encoding="utf-8").splitlines()

    @property
    def digest(self) -> str:
        """The bundle's identity: SHA-256 of its canonical manifest."""
        return bundle_format.bundle_digest(self.manifest)

    @property
    def size_bytes(self) -> int:
        """The size of everything in the Bento, in bytes."""
        return sum(path.stat().st_size for path in self.path.rglob("*") if path.is_file())

    def check(self) -> None:
        """Check that the bundle is there, every file has the digest that the manifest names, and who signed it.

        A bundle without a signature passes, unless the environment says ``MODELYARD_REQUIRE_SIGNATURE=1``.

        Raises
        ------
        BundleError
            It is gone, of a format that cannot be read, a file is missing or was changed, or the signature is
            not of this manifest, by a key that is not trusted, or required and missing.
        """
        if not self.path.is_dir():
            raise BundleError(f"bundle {self.tag} is gone from {self.path}; package the model again")
        try:
            bundle_format.read_manifest(self.model_folder)
        except bundle_format.BundleError as error:
            raise BundleError(f"bundle {self.tag}: {error}") from None
        self._check_served_code()
        self._check_signature()

    def _check_served_code(self) -> None:
        source, runtime = self.path / "src", self.path / "src" / bundle_format.RUNTIME_FOLDER
        ours = {
            bundle_format.MODEL_FOLDER,
            bundle_format.RUNTIME_FOLDER,
            bundle_format.SERVICE,
            "bentofile.yaml",
        }
        packages = {"modelyard_runtime": self.manifest["runtime"]["sha256"]}
        if "explainer" in self.manifest:
            packages["modelyard_explainer"] = self.manifest["explainer"]["sha256"]
        for folder, known in ((source, ours), (runtime, set(packages))):
            for path in sorted(folder.glob("*")):  # both are on the path of who serves it
                if path.is_symlink() or path.name not in known | {"__pycache__"}:
                    name = path.relative_to(source).as_posix()
                    raise BundleError(
                        f"bundle {self.tag}: {name!r} is not of this bundle; move it out of {source}"
                    )
        if not (source / bundle_format.SERVICE).is_file():
            raise BundleError(
                f"bundle {self.tag}: {bundle_format.SERVICE!r} is missing; package the model again"
            )
        served = {
            **{
                name.removeprefix("modelyard_"): bundle_format.tree_digest(runtime / name)
                for name in packages
            },
            "service": bundle_format.digest((source / bundle_format.SERVICE).read_bytes()),
        }
        wanted = {name.removeprefix("modelyard_"): sha256 for name, sha256 in packages.items()}
        wanted["service"] = self.manifest["service"]["sha256"]
        for what, found in served.items():
            if found != wanted[what]:
                raise BundleError(
                    f"bundle {self.tag}: its {what} was changed after packaging; package the model again"
                )

    def _check_signature(self) -> None:
        from modelyard.packaging.signing import verify_signature

        required = os.environ.get("MODELYARD_REQUIRE_SIGNATURE", "0") not in ("", "0")
        if required or os.path.lexists(self.model_folder / bundle_format.SIGNATURE):
            try:
                verify_signature(self.model_folder)
            except BundleError as error:
                raise BundleError(f"bundle {self.tag}: {error}") from None

    def verify(self) -> Verification:
        """Check every digest, then replay the golden rows in a clean process that holds only the bundle.

        Where an explainer travels, its golden rows are explained there again, too.

        Raises
        ------
        BundleError
            A file is missing or was changed, the bundle cannot be loaded, or a golden row is not reproduced.
        """
        self.check()
        if "explainer" in self.manifest:
            explanations_replayed(self.path / "src", self.tag, child_lock(self.model_folder))
        return Verification(tag=self.tag, **replayed(self.path / "src", self.tag, self.lock))

    def diff(self, other: Bundle | str) -> Difference:
        """Compare with another bundle, given as itself or as ``churn:2``, and let that one answer the golden rows.

        Raises
        ------
        UnknownNameError
            There is no bundle of that name.
        BundleError
            One of the two is damaged, or the other one cannot be loaded here.
        """
        from modelyard.packaging.difference import difference

        return difference(self, bundle(other) if isinstance(other, str) else other)

    def golden(self) -> tuple[list[dict[str, Any]], list[Any]]:
        """Return the golden rows as mappings, and the prediction that each must get."""
        lines = bundle_format.read_golden(self.model_folder)
        return [line["row"] for line in lines], [line["prediction"] for line in lines]

    def sentence(self) -> str:
        known = self.manifest
        return f"bundle {self.tag}: {known['estimator']} as {known['model']['kind']}, {known['rows']} training rows"

    def table(self) -> Table:
        parity = self.manifest["parity"]
        row = (
            self.tag, self.manifest["model"]["kind"], self.manifest["model"]["task"], str(len(self.contract.columns)),
            str(parity["golden_rows"]), f"{parity['max_absolute']:.2g}", self.digest[:12],
        )  # fmt: skip
        return Table(
            ("bundle", "form", "task", "columns", "golden rows", "largest difference", "digest"), (row,)
        )

    def notes(self) -> Sequence[str]:
        return (*self.manifest["notes"], *self.remarks)

    def payload(self) -> dict[str, Any]:
        return {
            "tag": self.tag,
            "name": self.name,
            "version": self.version,
            "digest": self.digest,
            "form": self.manifest["model"]["kind"],
            "task": self.manifest["model"]["task"],
            "columns": list(self.contract.names),
            "parity": self.manifest["parity"],
        }


def bundle(tag: str) -> Bundle:
    """Return a bundle of the store: ``churn`` (its newest version) or ``churn:3``.

    Raises
    ------
    UnknownNameError
        There is no bundle of that name, or not that version of it.
    """
    name, _, wanted = tag.partition(":")
    found = storing.versions(name)
    if not found:
        known = storing.names()
        raise UnknownNameError(
            f"no bundle named {name!r} in BentoML's store; there: {listing(known)}{did_you_mean(name, known)}; "
            f"type: %package MODEL X y --name {name or 'NAME'}"
        )
    if not wanted or wanted == "latest":
        return Bundle(name, found[-1].version, found[-1].path)
    for stored in found:
        if str(stored.version) == wanted:
            return Bundle(name, stored.version, stored.path)
    raise UnknownNameError(f"no version {wanted!r} of {name!r}; there: {listing(s.tag for s in found)}")
