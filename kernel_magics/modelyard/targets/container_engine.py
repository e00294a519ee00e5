"""docker, podman and buildah, by what they have in common on their command lines."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from modelyard.errors import DeploymentError, listing

#: What runs the images of each builder: Docker has them to itself, podman and buildah share theirs.
_RUNNERS = {"docker": "docker", "podman": "podman", "buildah": "podman"}
BUILDERS = tuple(_RUNNERS)

#: The image to build on by default.
BASE = "docker.io/library/python:{python}-slim"
#: Architectures as images call them.
PLATFORMS = {"x86_64": "amd64", "arm64": "arm64"}

_LAST_LINES = 3
# Without hints for beginners; and an image that is one, not a list with papers beside it, which Lambda does not take.
_TOLD = {"DOCKER_CLI_HINTS": "false", "BUILDX_NO_DEFAULT_ATTESTATIONS": "1"}
_QUICK_S = 60.0
_BUILD_S = 1800.0


@dataclass(frozen=True)
class Engine:
    """One of them.

    Attributes
    ----------
    name : str
    path : str
        Of the program.
    """

    name: str
    path: str

    def works(self) -> bool:
        """Whether it can do anything here; Docker's program is nothing without its daemon."""
        return self._tried(["info"]).returncode == 0

    def build(self, context: Path, image: str, base: str, platform: str) -> None:
        """Build the Containerfile in `context` for ``amd64`` or ``arm64``, and call the image `image`.

        Raises
        ------
        DeploymentError
            It failed, and its last words follow; or `base` is an image for another architecture.
        """
        words = [
            "build",
            "--platform",
            f"linux/{platform}",
            "--tag",
            image,
            "--file",
            str(context / "Containerfile"),
        ]
        if self.name != "docker":  # the format of OCI has no health checks
            words += ["--format", "docker"]
        try:
            self._run([*words, str(context)], f"{self.name} could not build {image}", _BUILD_S)
        except DeploymentError as error:  # builders look elsewhere for a base that they have for another one
            raise self._of_another(base, platform) or error from None
        if (other := self._of_another(base, platform)) is not None:  # or only warn
            self.remove_image(image)
            raise other

    def _of_another(self, base: str, platform: str) -> DeploymentError | None:
        """Return what to say of a base that is here, and of another architecture."""
        asked = (
            ["inspect", "--type", "image", "--format", "{{.OCIv1.Architecture}}", base]
            if self.name == "buildah"
            else ["image", "inspect", "--format", "{{.Architecture}}", base]
        )
        found = self._tried(asked)
        if found.returncode or found.stdout.strip() == platform:
            return None
        return DeploymentError(
            f"{base} is an image for {found.stdout.strip()}, and {platform} is wanted; name another --base, or another "
            "--architecture"
        )

    def push(self, image: str, right: str) -> None:
        """Push an image to the registry that its name begins with.

        Parameters
        ----------
        image : str
        right : str
            ``user:password`` in base64, as registries want it; it is in no argument and stays in no file.

        Raises
        ------
        DeploymentError
            It failed; its last words follow.
        """
        told = {"auths": {image.partition("/")[0]: {"auth": right}}}
        with tempfile.TemporaryDirectory(prefix="modelyard-") as folder:
            file = Path(folder, "config.json")
            file.write_text(json.dumps(told), encoding="utf-8")
            known = {"DOCKER_CONFIG": folder, "REGISTRY_AUTH_FILE": str(file)}
            self._run(["push", image], f"{self.name} could not push {image}", _BUILD_S, known)

    def run(self, name: str, image: str, options: Sequence[str], arguments: Sequence[str]) -> str:
        """Start a container that goes on by itself; return its id.

        Raises
        ------
        DeploymentError
            It failed; its last words follow.
        """
        words = ["run", "--detach", "--name", name, *options, image, *arguments]
        return self._run(words, f"{self.name} could not start {image}", _QUICK_S).strip()

    def stop(self, name: str) -> None:
        """Stop a container; one that is stopped, or gone, stays so."""
        self._tried(["stop", "--time", "10", name])

    def remove(self, name: str) -> None:
        """Take a container away; one that is gone stays so."""
        self._tried(["rm", "--force", name])

    def remove_image(self, image: str) -> None:
        """Take an image's name away, and the image where it has no other one."""
        self._tried(["rmi", image])

    def is_running(self, name: str) -> bool:
        """Whether a container runs."""
        asked = self._tried(["container", "inspect", "--format", "{{.State.Running}}", name])
        return asked.returncode == 0 and asked.stdout.strip() == "true"

    def last_words(self, name: str) -> str:
        """Return the end of what a container said."""
        asked = self._tried(["logs", "--tail", "20", name])
        return _end(asked.stdout + asked.stderr) or "it said nothing"

    def image_bytes(self, image: str) -> int:
        """Return the size of an image."""
        asked = ["image", "inspect", "--format", "{{.Size}}", image]
        return int(self._run(asked, f"{self.name} does not know {image}", _QUICK_S))

    def _run(
        self, words: Sequence[str], failed: str, within: float, env: Mapping[str, str] | None = None
    ) -> str:
        try:
            done = self._tried(words, within, env)
        except subprocess.TimeoutExpired:
            raise DeploymentError(f"{failed} within {within:g} s") from None
        if done.returncode:
            raise DeploymentError(f"{failed}: {_end(done.stderr) or _end(done.stdout)}")
        return done.stdout

    def _tried(
        self, words: Sequence[str], within: float = _QUICK_S, env: Mapping[str, str] | None = None
    ) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [self.path, *words], capture_output=True, text=True, check=False, timeout=within,
            stdin=subprocess.DEVNULL, env={**os.environ, **_TOLD, **(env or {})},
        )  # fmt: skip


def _end(text: str) -> str:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return " | ".join(lines[-_LAST_LINES:])[-500:]


def builder(chosen: str | None) -> Engine:
    """Return the engine that was chosen, or the first that works here, to build images.

    Raises
    ------
    DeploymentError
        None of them is installed and works.
    """
    for name in (chosen,) if chosen else tuple(_RUNNERS):
        path = shutil.which(name)
        if path is not None and (chosen or Engine(name, path).works()):
            return Engine(name, path)
    wanted = chosen or f"one of {listing(BUILDERS)}"
    raise DeploymentError(
        f"{wanted} is needed to build images, and not there; type: sudo apt-get install {chosen or 'podman'}"
    )


def runner(builder: str) -> Engine:
    """Return the engine that runs what the engine `builder` has built; the two share their images.

    Raises
    ------
    DeploymentError
        It is not installed.
    """
    name = _RUNNERS[builder]
    path = shutil.which(name)
    if path is None:
        raise DeploymentError(
            f"{name} is needed to run what {builder} builds; type: sudo apt-get install {name}"
        )
    return Engine(name, path)
