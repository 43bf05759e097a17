"""Passwords: what is good enough, and how they are kept (argon2id).

Verification costs tens of milliseconds on purpose. ``Passwords.waste`` spends the same time where there is nothing to
verify, so that an unknown address and a wrong password cannot be told apart by waiting.
"""

from __future__ import annotations

from functools import cached_property

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerifyMismatchError

from ratoon.platform.errors import Problem, ValidationFailed

SHORTEST = 8
"""Characters; shorter passwords are refused."""
LONGEST = 1024
"""Characters; longer ones are refused so that nobody makes the server hash megabytes."""


class Passwords:
    """Hashes and verifies passwords with one set of argon2id costs."""

    def __init__(self, hasher: PasswordHasher | None = None) -> None:
        self._hasher = hasher or PasswordHasher()

    @cached_property
    def _decoy(self) -> str:
        return self._hasher.hash("nobody has this password")

    def hash(self, password: str, *, email: str = "") -> str:
        """The hash to store. Raises ``ValidationFailed`` for a password that is not good enough."""
        if len(password) < SHORTEST:
            raise _refused("password_short", "A password has at least {shortest} characters.", shortest=SHORTEST)
        if len(password) > LONGEST:
            raise _refused("password_long", "A password has at most {longest} characters.", longest=LONGEST)
        if email and password.casefold() == email.casefold():
            raise _refused("password_email", "The e-mail address cannot be the password.")
        return self._hasher.hash(password)

    def matches(self, stored: str, password: str) -> bool:
        """Whether ``password`` is the one behind the stored hash."""
        try:
            return self._hasher.verify(stored, password[: LONGEST + 1])
        except (VerifyMismatchError, InvalidHashError):
            return False

    def outdated(self, stored: str) -> bool:
        """Whether the hash was made with other costs than today's and should be made again."""
        return self._hasher.check_needs_rehash(stored)

    def waste(self, password: str) -> None:
        """Takes as long as ``matches`` and says nothing."""
        self.matches(self._decoy, password)


def _refused(code: str, message: str, **params: object) -> ValidationFailed:
    return ValidationFailed([Problem(code, message, field="password", params=params)])
