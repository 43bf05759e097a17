"""The audit trail over HTTP, for administrators.

``GET /api/v1/audit`` answers entries, newest first: as they are kept, and in words in the language of
``Accept-Language``. The filters are those of ``records/audit_asked.py``; days are meant in the caller's time zone.
``next_cursor`` goes on behind the last entry; it is null at the end. ``GET /api/v1/access/audit`` is the same under its
former name, with ``before`` instead of ``cursor``.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from flask import Blueprint, Response, request

from ratoon.platform.api.body import known_parameters, whole_number
from ratoon.platform.api.context import Api, answer_value
from ratoon.platform.api.operations import UUID, Operations, answers, number, operation, query, reference
from ratoon.platform.errors import Forbidden
from ratoon.platform.records.audit_asked import FILTERS, asked
from ratoon.platform.records.audit_facts import ACTION_NAMES
from ratoon.platform.records.audit_words import Told, Words
from ratoon.platform.storage.audit import TRAILS, Entry
from ratoon.platform.storage.audit_search import find

LIMIT, MOST = 100, 500


class AuditViews:
    """The views of the audit trail."""

    def __init__(self, api: Api) -> None:
        self._api = api

    def register(self, blueprint: Blueprint) -> None:
        """Adds the routes."""
        blueprint.add_url_rule("/audit", "audit", self.entries, methods=["GET"])
        blueprint.add_url_rule("/access/audit", "access_audit", self.former, methods=["GET"])

    def entries(self) -> Response:
        """The entries that are asked for."""
        return self._answer("cursor")

    def former(self) -> Response:
        """The same under its former name."""
        return self._answer("before")

    def _answer(self, going_on: str) -> Response:
        actor, environment = self._api.actor(), self._api.environment
        if not actor.admin:
            raise Forbidden("Only an administrator may read the audit trail.")
        given = known_parameters(request, (*FILTERS, going_on, "limit"))
        after = whole_number(given, going_on, 1, 2**62) if going_on in given else None
        limit = whole_number(given, "limit", LIMIT, MOST)
        with environment.read(actor) as records:
            conn, registry = records.connection, records.engine.registry
            wanted = asked(conn, environment.accounts, registry, ACTION_NAMES, given, actor.zone)
            found = find(conn, wanted, after=after, limit=limit + 1)
            people = environment.accounts.addresses(conn, (entry.by for entry in found if entry.by))
            told = Words(records, environment.accounts, self._api.text).of(found[:limit])
        more = str(told[-1].entry.number) if len(found) > limit else None
        return answer_value({"entries": [as_json(one, people) for one in told], "next_cursor": more})


def as_json(told: Told, people: Mapping[str, str]) -> dict[str, Any]:
    """An entry as it is kept, with the address of who did it, and in words."""
    entry = told.entry
    kept = {key: getattr(entry, key) for key in Entry.__slots__}
    details = [
        {
            "label": detail.label,
            **({} if detail.old is None else {"old": [piece.text for piece in detail.old]}),
            "new": [piece.text for piece in detail.new],
        }
        for detail in told.details
    ]
    words = {"what": told.what, "who": told.who.text, "kind": told.kind, "subject": told.subject.text}
    return {**kept, "email": people.get(entry.by or ""), "words": {**words, "details": details}}


def audit_paths() -> Iterator[tuple[str, Operations]]:
    """The audit trail in the OpenAPI document."""
    filters = (
        query("trail", "only this trail", {"type": "string", "enum": list(TRAILS)}),
        query("by", "who did it: an e-mail address, a user's id, or `platform`"),
        query("action", "what was done", {"type": "string", "enum": list(ACTION_NAMES)}),
        query("object", "the object whose records it happened to"),
        query("record", "the id of the record it happened to", UUID),
        query("subject", "what it happened to, word for word: an address, a package"),
        query("package", "a package whose metadata was changed"),
        query("component", "a part of a package, as in `account/object.json`"),
        query("from", "a day or a moment; without a zone it is the caller's"),
        query("until", "a day (to its end) or a moment"),
    )
    limit = query("limit", "entries at most", number(MOST, LIMIT))
    found = answers("entries, newest first", reference("_audit"))
    cursor = query("cursor", "go on here: `next_cursor` of the page before", {"type": "string"})
    before = query("before", "go on before this entry", {"type": "integer"})
    summary = "The audit trail, newest first"
    yield "/audit", {"get": operation("audit", summary, "access", found, *filters, cursor, limit)}
    former = operation("access_audit", summary, "access", found, *filters, before, limit, deprecated=True)
    yield "/access/audit", {"get": former}


def audit_schema() -> dict[str, Any]:
    """What the trail answers."""
    text, texts = {"type": "string"}, {"type": "array", "items": {"type": "string"}}
    detail = {"type": "object", "properties": {"label": text, "old": texts, "new": texts}, "required": ["label", "new"]}
    words = dict.fromkeys(("what", "who", "kind", "subject"), text)
    entry = {
        "number": {"type": "integer", "description": "counts up; where a page ends, the cursor"},
        "at": {"type": "string", "format": "date-time"},
        "trail": {"type": "string", "enum": list(TRAILS)},
        "action": text,
        "by": {"type": ["string", "null"], "description": "id of the user; null = a command, or nobody known"},
        "email": {"type": ["string", "null"], "description": "the address of that user"},
        "object": text,
        "subject": text,
        "detail": {"type": ["object", "null"], "description": "as it was noted; null once forgotten"},
        "previous": text,
        "hash": text,
        "words": {
            "type": "object",
            "description": "the same in words, with names instead of ids",
            "properties": {**words, "details": {"type": "array", "items": detail}},
        },
    }
    return {
        "type": "object",
        "required": ["entries", "next_cursor"],
        "properties": {
            "entries": {
                "type": "array",
                "items": {"type": "object", "properties": entry, "required": sorted(entry)},
            },
            "next_cursor": {"type": ["string", "null"]},
        },
    }
