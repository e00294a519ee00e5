"""Who packaged a bundle: an ed25519 signature over its canonical manifest, which holds every file's digest.

A user's key pair is made when the first bundle is signed. It lies in the user's configuration, never in a project::

    keys/signing.pem        the private key (PKCS8, mode 0600)
    keys/signing.pub.pem    the public key: what others put into their trusted/
    keys/trusted/NAME.pem   public keys of others; NAME is what a verification answers
"""

from __future__ import annotations

import base64
import json
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
    load_pem_public_key,
)

from modelyard.catalog import user_config
from modelyard.errors import BundleError
from modelyard_runtime.bundle_format import MANIFEST, SIGNATURE, canonical, digest

ALGORITHM = "ed25519"
OWN = "own"  # the name of the user's own key

_PRIVATE = "signing.pem"
_PUBLIC = "signing.pub.pem"


def sign(manifest: dict[str, Any]) -> bytes:
    """Sign a manifest with the user's own key, which is made if there is none yet.

    Returns
    -------
    bytes
        The content of the bundle's file ``signature``: JSON of ``algorithm``, ``key`` (its id) and
        ``signature`` (base64).

    Raises
    ------
    BundleError
        The key cannot be read, or cannot be written.
    """
    key = _own_key()
    written = {
        "algorithm": ALGORITHM,
        "key": key_id(key.public_key()),
        "signature": base64.b64encode(key.sign(canonical(manifest))).decode(),
    }
    return (json.dumps(written, indent=1) + "\n").encode()


def verify_signature(model_folder: Path, *, trusted: Path | None = None) -> str:
    """Check who signed the bundle whose ``model/`` is `model_folder`; return the name of the key.

    This compares the signature with the manifest; `bundle_format.read_manifest` compares the manifest with
    the files.

    Parameters
    ----------
    model_folder : Path
    trusted : Path, optional
        A public key, or a folder of them, in PEM: these alone are trusted then. By default those in the
        user's ``keys/trusted/``, and the user's own key, whose name is ``own``.

    Raises
    ------
    BundleError
        It is not signed, the signature is not readable or not of this manifest, or its key is not trusted.
    """
    named, signature = _read_signature(model_folder / SIGNATURE)
    name, key = _trusted_key(named, trusted)
    try:
        content = canonical(json.loads((model_folder / MANIFEST).read_bytes()))
    except (OSError, ValueError, RecursionError) as error:
        raise BundleError(f"{model_folder / MANIFEST} cannot be read ({error}); package it again") from None
    try:
        key.verify(signature, content)
    except InvalidSignature:
        raise BundleError(
            f"the signature by {name!r} (key {named}) does not match the manifest, "
            "which was changed after signing; package the model again"
        ) from None
    return name


def key_id(key: Ed25519PublicKey) -> str:
    """Return the id of a public key: the first 16 hexadecimal digits of the SHA-256 of its 32 bytes."""
    return digest(key.public_bytes_raw())[:16]


def keys_folder() -> Path:
    """Return the folder of the user's keys, with ``trusted/`` in it.

    Raises
    ------
    BundleError
        There is no place for it.
    """
    try:
        folder = user_config() / "keys"
        (folder / "trusted").mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise _no_place(error) from None
    return folder


def _no_place(error: OSError) -> BundleError:
    return BundleError(f"no keys can be kept ({error}); set MODELYARD_CONFIG_DIR to a folder of yours")


def _own_key() -> Ed25519PrivateKey:
    folder = keys_folder()
    try:
        if not (folder / _PRIVATE).exists():
            fresh = Ed25519PrivateKey.generate()
            _write_new(
                folder / _PRIVATE,
                fresh.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()),
            )
        key = _read_private(folder / _PRIVATE)
        public = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
        beside = folder / _PUBLIC
        if not beside.is_file() or beside.read_bytes() != public:  # the user put a key of their own there
            beside.unlink(missing_ok=True)
            _write_new(beside, public)
    except OSError as error:
        raise _no_place(error) from None
    return key


def _read_private(path: Path) -> Ed25519PrivateKey:
    try:
        key = load_pem_private_key(path.read_bytes(), None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        key = None
    if not isinstance(key, Ed25519PrivateKey):
        raise BundleError(
            f"{path} is not an ed25519 private key in PEM without a password; "
            "put one there, or move it away and a new one is made"
        )
    return key


def _write_new(path: Path, content: bytes) -> None:
    """Write a whole file of mode 0600, or leave the one that another process wrote first."""
    handle, scratch = tempfile.mkstemp(dir=path.parent)  # mode 0600 from its first moment
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
        os.link(scratch, path)
    except FileExistsError:
        pass
    finally:
        os.unlink(scratch)


def _read_signature(path: Path) -> tuple[str, bytes]:
    if path.is_symlink():
        raise BundleError(f"bundle file {SIGNATURE!r} lies outside the bundle; package the model again")
    try:
        found = json.loads(path.read_bytes())
        algorithm, named = str(found["algorithm"]), str(found["key"])
        signature = base64.b64decode(found["signature"], validate=True)
    except FileNotFoundError:
        raise BundleError(
            f"not signed: there is no {SIGNATURE!r} beside the manifest in {path.parent}; package the model again"
        ) from None
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        raise BundleError(f"{path} is not a readable signature; package the model again") from None
    if algorithm != ALGORITHM:
        raise BundleError(f"{path} is of algorithm {algorithm!r}, known is {ALGORITHM}; update modelyard")
    return named, signature


def _trusted_key(named: str, trusted: Path | None) -> tuple[str, Ed25519PublicKey]:
    broken: list[Path] = []
    for name, path in _trusted_files(trusted):
        key = _public_key(path)
        if key is None:
            broken.append(path)
        elif key_id(key) == named:
            return name, key
    if broken:
        raise BundleError(
            f"signed with the key {named!r}, which none of the trusted ones is, and {broken[0]} is not an "
            "ed25519 public key in PEM; put a right one there"
        )
    place = keys_folder() / "trusted" if trusted is None else trusted
    target = place if place.suffix == ".pem" else place / "NAME.pem"
    raise BundleError(
        f"signed with the key {named!r}, which is not trusted here; if you know whose it is, "
        f"put its public key into {target}: cp THEIR/{_PUBLIC} '{target}'"
    )


def _trusted_files(trusted: Path | None) -> Iterator[tuple[str, Path]]:
    if trusted is None:
        folder = keys_folder()
        if (folder / _PUBLIC).is_file():
            yield OWN, folder / _PUBLIC
        trusted = folder / "trusted"
    paths = [trusted] if trusted.is_file() else sorted(trusted.glob("*.pem"))
    yield from ((path.name.removesuffix(".pem").removesuffix(".pub"), path) for path in paths)


def _public_key(path: Path) -> Ed25519PublicKey | None:
    try:
        key = load_pem_public_key(path.read_bytes())
    except (OSError, ValueError, UnsupportedAlgorithm):
        return None
    return key if isinstance(key, Ed25519PublicKey) else None


def renew_signature(stored: Path, fresh: Path) -> None:
    """Replace a signature that this user cannot trust by the one of the same manifest in the folder `fresh`."""
    try:
        verify_signature(stored)
    except BundleError:
        copy = stored.parent.parent / f".{SIGNATURE}"  # outside of what a reader of the bundle looks at
        copy.write_bytes((fresh / SIGNATURE).read_bytes())
        copy.replace(stored / SIGNATURE)
