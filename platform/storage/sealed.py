"""Secrets at rest: encrypted with keys that are not in the database.

``RATOON_SECRET_KEY`` encrypts; ``RATOON_OLD_SECRET_KEYS`` (with commas) are still read, so that a key can be changed
without a moment in which nobody can read: put the new key in, name the old one as old, run ``ratoon setting reseal``,
take the old one out. AES with a MAC (Fernet of ``cryptography``), its key derived from the text by HKDF-SHA256.

The library takes 7 MiB in every process, so only one that was given keys imports it.
"""

from __future__ import annotations

import base64
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlalchemy import Connection, Engine

from ratoon.platform.errors import Conflict

if TYPE_CHECKING:
    from cryptography.fernet import MultiFernet

_OPTION = "ratoon_seal"
_PURPOSE = b"ratoon secrets at rest"


class SecretKeyMissing(Conflict):
    """A secret is to be kept or read, and no key was given to this process."""

    code = "secret_key_missing"


class SecretKeyWrong(Conflict):
    """What is kept was encrypted with a key that this process was not given, or was changed."""

    code = "secret_key_wrong"


@dataclass(frozen=True, slots=True)
class Sealed:
    """A secret as it is kept."""

    token: str


class Seal:
    """Encrypts with the first key and reads what any of them encrypted."""

    def __init__(self, keys: Iterable[str] = ()) -> None:
        self._cipher = _cipher([key for key in keys if key])

    def close(self, text: str, name: str) -> Sealed:
        """The text, encrypted. ``name`` says in a refusal whose it is. Raises ``SecretKeyMissing``."""
        return Sealed(self._known(name).encrypt(text.encode()).decode())

    def open(self, sealed: Sealed, name: str) -> str:
        """The text. Raises ``SecretKeyMissing`` and ``SecretKeyWrong``."""
        from cryptography.fernet import InvalidToken

        try:
            return self._known(name).decrypt(sealed.token.encode()).decode()
        except InvalidToken:
            raise SecretKeyWrong(
                "{name} was encrypted with another key. Set RATOON_SECRET_KEY to that key or name it in "
                "RATOON_OLD_SECRET_KEYS, or give {name} again.",
                name=name,
            ) from None

    def _known(self, name: str) -> MultiFernet:
        if self._cipher is None:
            raise SecretKeyMissing(
                "{name} is a secret, and secrets are kept encrypted. Set RATOON_SECRET_KEY to a long random text, the "
                "same for every process of this environment.",
                name=name,
            )
        return self._cipher


def use_seal(engine: Engine, seal: Seal) -> None:
    """From now on connections of this engine know the keys."""
    engine.update_execution_options(**{_OPTION: seal})


def seal_of(connection: Connection) -> Seal:
    """The keys that go with a connection; without any, every secret is refused."""
    found = connection.get_execution_options().get(_OPTION)
    return found if isinstance(found, Seal) else Seal()


def _cipher(keys: Sequence[str]) -> MultiFernet | None:
    if not keys:
        return None
    from cryptography.fernet import Fernet, MultiFernet
    from cryptography.hazmat.primitives.hashes import SHA256
    from cryptography.hazmat.primitives.kdf.hkdf import HKDF

    def derived(key: str) -> bytes:
        made = HKDF(SHA256(), length=32, salt=None, info=_PURPOSE).derive(key.encode())
        return base64.urlsafe_b64encode(made)

    return MultiFernet([Fernet(derived(key)) for key in keys])
