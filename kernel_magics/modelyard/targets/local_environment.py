"""What a server of this machine imports: what is installed here, or what the bundle's own locks name alone."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Protocol

from modelyard.packaging import Bundle
from modelyard.packaging.locking import completed, pinned, required
from modelyard.packaging.sites import locked_site
from modelyard.targets.artifact import Component, components_in, installed_components
from modelyard.targets.installing import Platform, environment, install, machine

_FOLDER = "env"
_MINOR = f"{sys.version_info[0]}.{sys.version_info[1]}"
_BASE = str(getattr(sys, "_base_executable", sys.executable))


class Environment(Protocol):
    """Where a server's modules come from."""

    #: In the words of a plan.
    says: str
    #: Whether it may be another one at the next start.
    changes: bool

    def python(self, bundle: Bundle, folder: Path) -> str:
        """Make it within a deployment's folder; return its interpreter.

        Raises
        ------
        DeploymentError, BundleError
            It cannot be made here.
        """
        ...

    def components(self, bundle: Bundle, folder: Path) -> tuple[Component, ...]:
        """Return the distributions that it consists of, once it is made."""
        ...

    def fill(self, lock: Iterable[str], site: Path, what: str) -> None:
        """Put what a child of the server imports into `site`, which is empty; see `locked_site`."""
        ...


class Kernel:
    """What is installed here; each start of the server takes it as it is then."""

    says = "what is installed in this kernel's environment"
    changes = True

    def python(self, bundle: Bundle, folder: Path) -> str:
        return sys.executable

    def components(self, bundle: Bundle, folder: Path) -> tuple[Component, ...]:
        return installed_components(required([*pinned(bundle.lock), "bentoml"]))

    def fill(self, lock: Iterable[str], site: Path, what: str) -> None:
        locked_site(lock, site, what)


class Lock:
    """An environment of its own, which stays as it is whatever becomes of the kernel's."""

    says = "an environment made of the locks of the bundle, and of nothing else"
    changes = False

    def python(self, bundle: Bundle, folder: Path) -> str:
        doors = [*bundle.door_lock("bento"), *bundle.door_lock("asgi")]
        return environment(completed(bundle.lock, doors), folder / _FOLDER, _BASE)

    def components(self, bundle: Bundle, folder: Path) -> tuple[Component, ...]:
        return components_in(folder / _FOLDER / "lib" / f"python{_MINOR}" / "site-packages")

    def fill(self, lock: Iterable[str], site: Path, what: str) -> None:
        install(lock, site, Platform(_MINOR, machine()), _BASE, str(site))


#: By the name that people type.
ENVIRONMENTS: dict[str, Environment] = {"kernel": Kernel(), "lock": Lock()}
