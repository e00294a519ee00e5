"""A bundle's own checks for continuous integration: a test file and the workflow that runs it."""

from __future__ import annotations

from pathlib import Path

from modelyard.catalog import find_root
from modelyard.errors import NameTakenError, UsageError
from modelyard.packaging.bundle import Bundle
from modelyard_templates import render


def write_ci(bundle: Bundle, folder: Path | None = None) -> tuple[Path, ...]:
    """Write the test file and the GitHub workflow of a bundle into a project; return their paths.

    The test file needs the bundle, what its lock names, and pytest. The workflow takes the bundle from
    ``bundles/NAME.bento``, where ``bentoml export`` puts it; its head says how.

    Parameters
    ----------
    bundle : Bundle
        Its digest is written into the test file, so that another bundle does not pass as this one.
    folder : Path, optional
        The project's root; by default the one of the working directory.

    Raises
    ------
    BundleError
        The bundle is damaged or gone.
    NameTakenError
        One of the two files is there and was not written for this bundle; neither is touched then.
    UsageError
        They cannot be written there.
    """
    bundle.check()
    root = find_root() if folder is None else folder
    stem = f"test_{bundle.name.replace('-', '_').replace('.', '_')}_bundle.py"
    test = Path("tests", stem)
    workflow = Path(".github", "workflows", f"{bundle.name}-bundle.yml")
    marker = f"# written by modelyard; bundle {bundle.name}: "
    python = ".".join(bundle.manifest["tools"]["python"].split(".")[:2])
    told = {
        "marker": f"{marker}%package --ci writes it again, unless this line is changed",
        "name": bundle.name,
        "tag": bundle.tag,
        "digest": bundle.digest,
        "archive": f"bundles/{bundle.name}.bento",
        "test": test.as_posix(),
        "python": python,
    }
    contents = {
        root / test: render("ci/test_bundle.py.j2", **told),
        root / workflow: render("ci/workflow.yml.j2", **told),
    }
    try:
        for path in contents:
            if path.is_symlink() or (path.exists() and not _begins_with(path, marker)):
                raise NameTakenError(
                    f"{path} was not written by modelyard for {bundle.name!r}; move it away, then try again"
                )
        for path, content in contents.items():
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(content, encoding="utf-8")
    except NameTakenError:  # a FileExistsError, too
        raise
    except OSError as error:
        raise UsageError(f"the files for CI cannot be written into {root} ({error})") from None
    return tuple(contents)


def _begins_with(path: Path, marker: str) -> bool:
    with path.open("rb") as file:
        return file.read(len(marker)) == marker.encode()
