"""Package versions and the ranges that ``requires`` is written in: ``"standard": ">=1.0,<2"``."""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Mapping

from ratoon.platform.errors import say

_VERSION = re.compile(r"\d{1,9}(\.\d{1,9}){0,3}\Z")
_CLAUSE = re.compile(r"(>=|<=|==|!=|>|<)\s*(\d{1,9}(?:\.\d{1,9}){0,3})\Z")
_OPERATORS: Mapping[str, Callable[[tuple[int, ...], tuple[int, ...]], bool]] = {
    ">=": operator.ge,
    "<=": operator.le,
    "==": operator.eq,
    "!=": operator.ne,
    ">": operator.gt,
    "<": operator.lt,
}


def version_key(version: str) -> tuple[int, ...]:
    """A version as numbers that sort: ``"1.10"`` → ``(1, 10, 0, 0)``. Raises ``ValueError`` for another form."""
    if not _VERSION.match(version):
        raise ValueError(
            say("{version} is not a version: write numbers and dots, for example 1.0.0", version=repr(version))
        )
    numbers = [int(number) for number in version.split(".")]
    return tuple(numbers + [0] * (4 - len(numbers)))


def satisfies(version: str, wanted: str) -> bool:
    """Whether ``version`` lies in the range ``wanted``; ``"*"`` and an empty text take any. Raises ``ValueError``."""
    have = version_key(version)
    for clause in (part.strip() for part in wanted.split(",")):
        if clause in {"", "*"}:
            continue
        match = _CLAUSE.match(clause)
        if match is None:
            raise ValueError(say("{clause} is not a version range: write for example >=1.0,<2", clause=repr(clause)))
        if not _OPERATORS[match[1]](have, version_key(match[2])):
            return False
    return True
