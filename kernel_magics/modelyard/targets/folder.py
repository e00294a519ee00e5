"""What places that a folder goes to have in common: it is written whole or not at all, and answers here as there."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import ClassVar

from modelyard.errors import DeploymentError
from modelyard.packaging import Bundle
from modelyard.targets.artifact import Artifact
from modelyard.targets.folder_transport import STOPPED, url_of
from modelyard.targets.protocol import Endpoint, State, Status
from modelyard.targets.tokens import write_hash
from modelyard_device.opening import HASHES, About
from modelyard_runtime.bundle_format import MODEL_FOLDER, BundleError, read_manifest

#: Within the folder that `make` fills: what goes to the device.
CONTENT = "content"


class FolderTarget:
    """A target whose deployments are folders; what is in one, its `make` says.

    ``content/`` of what `make` makes has a bundle's ``model/`` and ``runtime/`` (the model perhaps in another form),
    and whatever else the device wants. The deployment's folder then has it under the bundle's name and version.
    """

    acts_at_once: ClassVar[bool] = True

    def apply(
        self,
        bundle: Bundle,
        name: str,
        folder: Path,
        token: str,
        previous: State | None,
        artifact: Artifact | None,
    ) -> Endpoint:
        assert artifact is not None  # every such target has limits
        whole = folder / f"{name}-{bundle.version}"
        fresh = whole.with_name(f"{whole.name}.new")
        shutil.rmtree(fresh, ignore_errors=True)
        shutil.copytree(artifact.folder / CONTENT, fresh)
        About(bundle.tag, bundle.digest, name, f"v{bundle.version}").write(fresh)
        write_hash(fresh / HASHES, token)
        self.finish(fresh)
        fresh.rename(whole)
        return Endpoint(url_of(whole), {"folder": str(folder), "files": str(whole), "digest": bundle.digest})

    def finish(self, files: Path) -> None:
        """Write what must know of all other files, such as their digests."""

    def status(self, state: State) -> Status:
        if "files" not in state:
            return Status("down", "it was never made")
        if Path(state["folder"], STOPPED).exists():
            return Status("stopped", "start() makes it answer again")
        try:
            read_manifest(Path(state["files"], MODEL_FOLDER))
        except BundleError as error:
            return Status("down", str(error))
        return Status("ready", f"its files are in {state['files']}")

    def start(self, state: State) -> State:
        Path(state["folder"], STOPPED).unlink(missing_ok=True)
        return state

    def stop(self, state: State) -> None:
        if "folder" in state and Path(state["folder"]).is_dir():
            Path(state["folder"], STOPPED).touch()

    def change_token(self, state: State, token: str) -> State:
        files = Path(state["files"])
        if not files.is_dir():
            raise DeploymentError(f"nothing is in {files}; deploy it again with --replace")
        write_hash(files / HASHES, token)
        self.finish(files)
        return state

    def remove(self, state: State) -> None:
        """Its folder goes with the deployment."""
