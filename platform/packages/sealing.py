"""The seals of an export: which bytes belong to it, who vouches for them, and whether it is only a part.

``_checksums.json`` lists the SHA-256 of every document, ``_signature.json`` signs that list with Ed25519, and
``_partial.json`` says that the documents are picked out of their packages. All three lie at the top of a zip file or
folder and are no documents.

A seal that is there must hold: a file that was changed, taken out or put in after the export is refused, whoever
signed.
``Trust.keys`` (setting ``RATOON_TRUSTED_KEYS``) names the signers that count; with ``Trust.required``
(``RATOON_REQUIRE_SIGNATURE``) what is not signed by one of them is refused.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ratoon.platform.errors import BadRequest, Conflict, Finding, say
from ratoon.platform.metadata.documents import SEALS, canonical

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

CHECKSUMS, PARTIAL, SIGNATURE = SEALS


@dataclass(frozen=True)
class Trust:
    """Whose packages are taken here."""

    keys: frozenset[str] = frozenset()
    """Public keys as ``ratoon key create`` prints them; empty = any signer."""
    required: bool = False
    """Unsigned packages are refused."""


def checksums(files: Mapping[str, bytes]) -> bytes:
    """The list of checksums of everything but the seals themselves; ``_partial.json`` is listed."""
    listed = {
        path: hashlib.sha256(content).hexdigest()
        for path, content in sorted(files.items())
        if path not in (CHECKSUMS, SIGNATURE)
    }
    return canonical({"kind": "checksums", "algorithm": "sha256", "files": listed}).encode()


def sign(listed: bytes, key: Ed25519PrivateKey) -> bytes:
    """The signature file for a list of checksums."""
    made = {
        "kind": "signature",
        "algorithm": "ed25519",
        "key": public_text(key),
        "signature": base64.b64encode(key.sign(listed)).decode(),
    }
    return canonical(made).encode()


def create_key(file: Path) -> str:
    """Makes a signing key, keeps it in ``file`` (readable by its owner only) and returns its public half.

    Raises ``Conflict`` when the file exists.
    """
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    key = Ed25519PrivateKey.generate()
    content = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    try:
        file.touch(mode=0o600, exist_ok=False)
    except FileExistsError:
        raise Conflict("{path} exists already.", path=str(file)) from None
    file.write_bytes(content)
    return public_text(key)


def read_key(file: Path) -> Ed25519PrivateKey:
    """The signing key in a file. Raises ``BadRequest`` when it holds none."""
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    try:
        key = load_pem_private_key(file.read_bytes(), password=None)
    except (ValueError, TypeError) as error:
        raise BadRequest("{path} holds no key: {error}", path=str(file), error=str(error)) from error
    if not isinstance(key, Ed25519PrivateKey):
        raise BadRequest("{path} holds no Ed25519 key.", path=str(file))
    return key


def public_text(key: Ed25519PrivateKey) -> str:
    """The public half of a key, as trusted keys are written."""
    return base64.b64encode(key.public_key().public_bytes_raw()).decode()


def broken_seals(files: Mapping[str, bytes], trust: Trust) -> Iterator[Finding]:
    """Everything that speaks against taking these files."""
    if CHECKSUMS in files:
        yield from _checked(files)
    if SIGNATURE in files:
        yield from _signed(files, trust)
    elif trust.required:
        message = say("The package is not signed, and only signed ones are taken here.")
        yield Finding(SIGNATURE, "", "unsigned", message, say("export it with --sign KEYFILE"))


def _checked(files: Mapping[str, bytes]) -> Iterator[Finding]:
    listed = _seal(files[CHECKSUMS]).get("files")
    if not isinstance(listed, dict):
        yield Finding(CHECKSUMS, "/files", "bad_seal", say("This is no list of checksums."))
        return
    hint = say("export again; if you changed it on purpose, remove {checksums}", checksums=CHECKSUMS)
    for path in sorted({*listed, *files} - {CHECKSUMS, SIGNATURE}):
        if path not in files:
            yield Finding(path, "", "checksum_missing", say("The document was taken out after the export."), hint)
        elif path not in listed:
            yield Finding(path, "", "checksum_missing", say("The document was put in after the export."), hint)
        elif hashlib.sha256(files[path]).hexdigest() != listed[path]:
            yield Finding(path, "", "checksum_differs", say("The document was changed after the export."), hint)


def _signed(files: Mapping[str, bytes], trust: Trust) -> Iterator[Finding]:
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    said = _seal(files[SIGNATURE])
    signer = str(said.get("key", ""))
    try:
        raw, signature = (base64.b64decode(str(said.get(name, "")), validate=True) for name in ("key", "signature"))
        Ed25519PublicKey.from_public_bytes(raw).verify(signature, files.get(CHECKSUMS, b""))
    except (InvalidSignature, ValueError, binascii.Error):
        yield Finding(SIGNATURE, "/signature", "bad_signature", say("The signature does not fit the checksums."))
        return
    if (trust.keys or trust.required) and signer not in trust.keys:
        message = say("The package is signed by {signer}, which is not trusted here.", signer=signer)
        yield Finding(SIGNATURE, "/key", "unknown_signer", message, say("add the key to RATOON_TRUSTED_KEYS"))


def _seal(content: bytes) -> dict[str, Any]:
    try:
        data = json.loads(content)
    except (ValueError, RecursionError):
        return {}
    return data if isinstance(data, dict) else {}
