"""Which names objects, fields and other components may have, and which name somebody probably meant.

A name is ``snake_case``: it begins with a letter a–z, goes on with letters, digits and ``_``, and has at most 40
characters. SQL words (``select``, ``order``) are fine, because every name is quoted. Reserved are the names that the
platform, the databases or the formula language use themselves.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Mapping
from types import MappingProxyType

from ratoon.platform.errors import Hint, Text, say

MAX_NAME = 40
MAX_KEY = 60
"""Longest table or column name that is made out of names (PostgreSQL cuts identifiers at 63 bytes)."""
NAME = re.compile(r"[a-z][a-z0-9_]*\Z")

SYSTEM_FIELDS: tuple[str, ...] = (
    "id",
    "created_at",
    "created_by",
    "modified_at",
    "modified_by",
    "owner",
    "version",
    "deleted_at",
)
"""Fields that every object has."""

RESERVED_FIELDS: frozenset[str] = frozenset(
    {
        *SYSTEM_FIELDS,
        "deletion_id",
        # columns PostgreSQL and SQLite give every table
        *("tableoid", "xmin", "cmin", "xmax", "cmax", "ctid", "oid", "rowid"),
        # literals of the formula language
        *("true", "false", "null"),
    }
)
RESERVED_OBJECTS: frozenset[str] = frozenset(
    {
        "alembic_version",
        # tables of the job engine
        *("workflow_status", "operation_outputs", "notifications", "workflow_events", "workflow_events_history"),
        *("streams", "event_dispatch_kv", "workflow_schedules", "application_versions", "queues"),
        *("transaction_outputs", "transaction_completion"),
        # folders of a package
        *(
            "picklists",
            "roles",
            "permission_sets",
            "strings",
            "data",
            "tests",
            "sharing",
            "templates",
            "calendars",
            "reports",
            "dashboards",
            "approvals",
        ),
    }
)
RESERVED_PREFIXES: tuple[str, ...] = ("ratoon_", "sqlite_", "pg_", "dbos_")

_TYPES_ELSEWHERE: Mapping[str, str] = MappingProxyType(
    {
        "number": "decimal", "float": "decimal", "double": "decimal", "numeric": "decimal", "string": "text",
        "varchar": "text", "bool": "boolean", "checkbox": "boolean", "enum": "picklist", "select": "picklist",
        "reference": "lookup", "money": "currency", "timestamp": "datetime",
    }
)  # fmt: skip


def nearest(word: str, candidates: Iterable[str]) -> str | None:
    """The candidate that was probably meant, or ``None`` when none is near."""
    known = list(dict.fromkeys(candidates))
    lower = {name.lower(): name for name in reversed(known)}
    plain = word.strip().lower().replace(" ", "_").replace("-", "_")
    if plain in lower:
        return lower[plain]
    found = difflib.get_close_matches(plain, list(lower), n=1, cutoff=0.6)
    return lower[found[0]] if found else None


def type_suggestion(word: str, types: Iterable[str], what: Hint = "") -> Hint:
    """As ``suggestion``, for a field type; also for what other systems and formulas call it."""
    meant = _TYPES_ELSEWHERE.get(word.lower())
    return say('did you mean "{near}"?', near=meant) if meant is not None else suggestion(word, types, what)


def suggestion(word: str, candidates: Iterable[str], what: Hint = "") -> Hint:
    """A hint that names the nearest candidate, else the candidates when they are few."""
    known = sorted(set(candidates))
    near = nearest(word, known)
    if near is not None:
        return say('did you mean "{near}"?', near=near)
    if 0 < len(known) <= 12:
        return say("{what}: {known}", what=what or say("there are"), known=", ".join(known))
    return ""


def snake(word: str) -> str:
    """The nearest valid name, or an empty text when there is nothing to make it of."""
    spaced = re.sub(r"([a-z0-9])([A-Z])", r"\1_\2", word)
    made = re.sub(r"[^a-z0-9]+", "_", spaced.lower()).strip("_")
    made = re.sub(r"\A[0-9_]+", "", made)
    return made[:MAX_NAME].rstrip("_")


def shape_problem(name: str) -> tuple[Text, Hint] | None:
    """(message, hint) when ``name`` is not a well-formed name."""
    if len(name) > MAX_NAME:
        return say(
            "The name has {count} characters; at most {max_name} are allowed.", count=len(name), max_name=MAX_NAME
        ), say('for example "{snake}"', snake=snake(name))
    if NAME.match(name) and not name.endswith("_"):
        return None
    made = snake(name)
    hint = (
        say('write it as "{made}" and put the wording into "label"', made=made)
        if made
        else say('put the wording into "label"')
    )
    return say(
        "{name} is not a name: names are snake_case (a–z, 0–9 and _, beginning with a letter).", name=repr(name)
    ), hint


def object_problem(name: str) -> tuple[Text, Hint] | None:
    """(message, hint) when an object cannot be called ``name`` because the platform uses it."""
    if name in RESERVED_OBJECTS or name.startswith(RESERVED_PREFIXES) or name == "ratoon":
        return say("{name} is reserved by the platform or the database.", name=repr(name)), say(
            'for example "my_{name}"', name=name[:40]
        )
    return None


def field_problem(name: str) -> tuple[Text, Hint] | None:
    """(message, hint) when a field cannot be called ``name`` because the platform uses it."""
    if name in SYSTEM_FIELDS:
        return say("Every record has {name} already.", name=repr(name)), say(
            'leave it out, or name yours differently, e.g. "own_{name}"', name=name
        )
    if name in RESERVED_FIELDS:
        return say("{name} is reserved by the platform or the database.", name=repr(name)), say(
            'for example "{name}_value"', name=name
        )
    return None
