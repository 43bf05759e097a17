"""Passwords: what is good enough, and how they are kept (argon2id).

Verification costs tens of milliseconds on purpose. ``Passwords.waste`` spends the same time where there is nothing to
verify, so that an unknown address and a wrong password cannot be told apart by waiting.

How good a new password must be is a ``Policy`` (settings ``RATOON_PASSWORD_…``): a length, and how hard it is to guess
for somebody who knows lists of common passwords, keyboards, dates, and the name and address of the user. zxcvbn
counts that; it is imported when the first new password comes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import cached_property

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerifyMismatchError

from ratoon.platform.config import Settings
from ratoon.platform.errors import Problem, ValidationFailed

DEFAULTS = Settings()
LONGEST = 1024
"""Characters; longer ones are refused so that nobody makes the server hash megabytes."""
LOOKED_AT = 72
"""Characters of which it is worked out how hard they are to guess."""
OWN = 6
"""Characters beside one's name and address that a password must have when those are in it."""
SHORTEST_WORD = 3
"""Shorter parts of a name or an address are no hint."""


@dataclass(frozen=True, slots=True)
class Policy:
    """What is asked of passwords."""

    min_length: int = DEFAULTS.password_min_length
    strength: int = DEFAULTS.password_strength
    """0 = anything, 2 = neither common nor personal, 4 = very hard to guess."""
    max_days: int = 0
    """0 = a password lasts for ever."""
    history: int = 0
    """So many passwords, the present one first, cannot be taken again."""
    only_admins: bool = False
    """Whether only administrators sign in with a password."""

    @classmethod
    def of(cls, settings: Settings) -> Policy:
        """The policy that the settings describe."""
        return cls(
            min_length=settings.password_min_length,
            strength=settings.password_strength,
            max_days=settings.password_max_days,
            history=settings.password_history,
            only_admins=settings.password_sign_in == "admins",
        )

    @property
    def life(self) -> timedelta | None:
        """How long a password lasts."""
        return timedelta(days=self.max_days) if self.max_days > 0 else None


class Passwords:
    """Hashes and verifies passwords with one set of argon2id costs, and says which are good enough."""

    def __init__(self, hasher: PasswordHasher | None = None, policy: Policy | None = None) -> None:
        self._hasher = hasher or PasswordHasher()
        self.policy = policy or Policy()

    @cached_property
    def _decoy(self) -> str:
        return self._hasher.hash("nobody has this password")

    def check(self, password: str, about: Sequence[str] = ()) -> None:
        """Raises ``ValidationFailed`` for a new password that is not good enough.

        ``about`` are the name and the address of the user: whoever wants in tries those first.
        """
        shortest = self.policy.min_length
        if len(password) < shortest:
            raise refused("password_short", "A password has at least {shortest} characters.", shortest=shortest)
        if len(password) > LONGEST:
            raise refused("password_long", "A password has at most {longest} characters.", longest=LONGEST)
        if _beside(password, about) < OWN:
            raise refused("password_personal", "There is little but your name or address in it. Take something else.")
        if self.policy.strength > 0 and _strength(password, about) < self.policy.strength:
            raise refused(
                "password_guessable",
                "This password is easily guessed. Take a longer one: several words that do not belong together.",
            )

    def hash(self, password: str) -> str:
        """The hash to store; ``check`` says whether the password is good enough."""
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


def _strength(password: str, about: Sequence[str]) -> int:
    """0 (guessed at once) to 4 (very hard), for somebody who knows the texts in ``about``."""
    from zxcvbn import zxcvbn

    words = {part for text in about for part in _parts(text) if len(part) >= SHORTEST_WORD}
    return int(zxcvbn(password[:LOOKED_AT], user_inputs=sorted(words))["score"])


def _beside(password: str, about: Sequence[str]) -> int:
    """Characters that are left without the parts of names and addresses; all of them when there is none in it."""
    left = password.casefold()
    words = {part for text in about for part in _parts(text) if len(part) >= SHORTEST_WORD}
    for word in sorted(words, key=len, reverse=True):
        left = left.replace(word, "")
    return len(left) if left != password.casefold() else max(len(left), OWN)


def _parts(text: str) -> list[str]:
    lowered = text.casefold()
    return [lowered, *"".join(c if c.isalnum() else " " for c in lowered).split()]


def refused(code: str, message: str, **params: object) -> ValidationFailed:
    """The refusal of a new password."""
    return ValidationFailed([Problem(code, message, field="password", params=params)])
