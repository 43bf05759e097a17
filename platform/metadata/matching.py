"""When two records count as the same: duplicate rules, and how values are made comparable.

A ``DuplicateRule`` names the fields that must all agree. ``DuplicateRule.key`` turns a row into one short text, the
same for every row that agrees, and ``None`` when one of the fields is blank or says nothing (a public mail
domain that the rule ignores). Keys are what is stored and looked up, so a rule costs one index whatever its
methods are.

========= ==========================================================================================
exact     the value as it is
text      without regard to case, width (full or half), punctuation and spaces
company   like text, and without the endings the rule drops (``Ltd``, ``GmbH``, ``有限公司``)
email     the whole address, without regard to case
domain    what follows ``@``, or the host of an address on the web without ``www.``
phone     the digits, without leading zeros; with ``digits`` only that many of the last ones
========= ==========================================================================================
"""

from __future__ import annotations

import hashlib
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal
from urllib.parse import urlsplit

from ratoon.platform.formulas import Formula

Method = Literal["exact", "text", "company", "email", "domain", "phone"]
METHODS: Mapping[Method, frozenset[str]] = {
    "exact": frozenset(
        {"text", "email", "phone", "url", "integer", "date", "picklist", "lookup", "master_detail", "hierarchy", "user"}
    ),
    "text": frozenset({"text", "email", "phone", "url"}),
    "company": frozenset({"text"}),
    "email": frozenset({"email", "text"}),
    "domain": frozenset({"email", "url", "text"}),
    "phone": frozenset({"phone", "text"}),
}
"""Every method with the field types it goes with."""
SEPARATOR = "\x1f"


@dataclass(frozen=True)
class Match:
    """One field that must agree."""

    key: str
    """The record key."""
    method: Method
    drop: tuple[str, ...] = ()
    """company: endings that do not count, made comparable like a text, longest first."""
    ignore: frozenset[str] = frozenset()
    """Comparable values that say nothing."""
    digits: int | None = None
    """phone: how many of the last digits count."""

    def comparable(self, value: Any) -> str | None:
        """What is compared; ``None`` when the value says nothing."""
        if value is None:
            return None
        made = _COMPARABLE[self.method](value)
        if self.method == "company":
            made = without_endings(made, self.drop)
        if self.digits is not None:
            made = made[-self.digits :]
        return None if not made or made in self.ignore else made


@dataclass(frozen=True)
class DuplicateRule:
    """Which records are looked for when one is saved, and what happens when some are found."""

    object: str
    name: str
    label: str
    match: tuple[Match, ...]
    action: Literal["block", "warn"]
    message: str
    """With ``{titles}`` for the records found; empty = the usual words."""
    condition: Formula | None = None
    """Asked of the record that is saved; ``None`` = always."""
    scope: Literal["visible", "all"] = "visible"
    """Whether records that the user may not see count."""
    order: int = 0
    owner: str = "local"

    @property
    def keys(self) -> tuple[str, ...]:
        """The record keys that must agree."""
        return tuple(m.key for m in self.match)

    def key(self, row: Mapping[str, Any]) -> str | None:
        """What all records that agree have in common; ``None`` when the row says too little."""
        parts = []
        for match in self.match:
            part = match.comparable(row.get(match.key))
            if part is None:
                return None
            parts.append(part)
        return hashlib.sha256(SEPARATOR.join(parts).encode()).hexdigest()[:40]


def comparable_text(value: Any) -> str:
    """A text without regard to case, width, punctuation and spaces."""
    folded = unicodedata.normalize("NFKC", str(value)).casefold()
    return "".join(c if c.isalnum() else " " for c in folded if not unicodedata.combining(c)).strip()


def without_endings(text: str, endings: tuple[str, ...]) -> str:
    """A comparable text without the endings, joined. A word in letters must stand alone (``co`` does not end
    ``tabasco``); what has no spaces, as in Chinese, need not. Something always remains."""
    left = " ".join(text.split())
    again = True
    while again:
        again = False
        for ending in endings:
            rest = left[: -len(ending)] if left.endswith(ending) else ""
            if rest.strip() and (rest.endswith(" ") or not ending[0].isascii()):
                left, again = rest.strip(), True
    return left.replace(" ", "")


def _joined(value: Any) -> str:
    return comparable_text(value).replace(" ", "")


def _email(value: Any) -> str:
    return unicodedata.normalize("NFKC", str(value)).strip().casefold()


def _domain(value: Any) -> str:
    text = _email(value)
    if "@" in text:
        return text.rpartition("@")[2]
    try:
        host = urlsplit(text if "//" in text else f"//{text}").hostname or ""
    except ValueError:
        return ""
    return host.removeprefix("www.")


def _phone(value: Any) -> str:
    return "".join(c for c in unicodedata.normalize("NFKC", str(value)) if c.isdigit()).lstrip("0")


_COMPARABLE: Mapping[Method, Any] = {
    "exact": str,
    "text": _joined,
    "company": comparable_text,
    "email": _email,
    "domain": _domain,
    "phone": _phone,
}
