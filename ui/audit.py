"""The audit trail on the screen, for administrators: filtered, page by page, as CSV.

Filters are the words of ``records/audit_asked.py`` and stand in the address, so that what one looks at can be shared;
blank ones are taken out of it. Whoever pastes the address of a record's page into “To what” means that record.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from flask import Response, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _

from ratoon.platform.errors import BadRequest, NotFound, Text, told
from ratoon.platform.records.audit_asked import FILTERS, KINDS, PLATFORM, asked
from ratoon.platform.records.audit_facts import ACTION_NAMES, ACTIONS, TRAIL_NAMES
from ratoon.platform.records.audit_out import note_taken_out, trail_as_csv
from ratoon.platform.records.audit_words import Told, Words
from ratoon.platform.records.reading import Query
from ratoon.platform.records.service import RecordService
from ratoon.platform.storage.audit_search import Wanted, find
from ratoon.ui.access import administrator, page_of
from ratoon.ui.lists import Chip
from ratoon.ui.problems import error_text
from ratoon.ui.screen import Screen, wants_fragment

PAGE = 50
PEOPLE = 500
"""Users whose addresses are offered while one types."""
RECORD_PAGE = re.compile(r".*/o/(?P<object>[a-z0-9_]+)/(?P<id>[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12})")
_ID = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")


@dataclass(frozen=True)
class Choices:
    """What the filter bar offers."""

    trails: list[tuple[str, str]]
    actions: list[tuple[str, list[tuple[str, str]]]]
    """By trail."""
    objects: list[tuple[str, str]]
    packages: list[tuple[str, str]]
    people: list[tuple[str, str]]
    """Address and name."""


def trail(screen: Screen) -> ResponseReturnValue:
    """The trail as it is asked for: the page, for htmx what it shows, or only the entries of the next page."""
    administrator(screen)
    given = given_filters()
    clean = _address(given)
    if not wants_fragment() and "cursor" not in request.args and request.args.to_dict() != given:
        return redirect(clean, 303)
    entries: list[Told] = []
    error, wrong, more = "", "", None
    with screen.read() as records:
        try:
            found = find(records.connection, wanted_of(screen, records, given), after=_cursor(), limit=PAGE + 1)
            entries = Words(records, screen.environment.accounts, screen.translate).of(found[:PAGE])
            more = entries[-1].entry.number if len(found) > PAGE else None
        except BadRequest as refused:
            error, wrong = error_text(screen, refused), refused.field or ""
        choices = _choices(screen, records, given.get("trail"))
    shown: dict[str, Any] = {
        "told": entries, "more": more, "given": given, "error": error, "wrong": wrong, "choices": choices,
        "chips": _chips(screen, choices, given), "platform": PLATFORM,
    }  # fmt: skip
    if "cursor" in request.args and wants_fragment():
        return render_template("_audit_entries.html", screen=screen, **shown)
    if not wants_fragment("trail"):
        return page_of(screen, "access_audit.html", **shown)
    return Response(render_template("_audit.html", screen=screen, **shown), headers={"HX-Push-Url": clean})


def export(screen: Screen) -> ResponseReturnValue:
    """What the filters leave, as CSV. Noted in the trail of exports."""
    administrator(screen)
    given = given_filters()

    with screen.read() as records:
        wanted = wanted_of(screen, records, given)
        text, rows = trail_as_csv(records, screen.environment.accounts, screen.translate, wanted)
    screen.transact(lambda records: note_taken_out(records, rows, given))
    headers = {"Content-Disposition": 'attachment; filename="audit.csv"'}
    return Response("\ufeff" + text, headers=headers, content_type="text/csv; charset=utf-8")


def given_filters() -> dict[str, str]:
    """The filters of the address, without blank ones."""
    given = {name: request.args.get(name, "").strip() for name in FILTERS}
    place = RECORD_PAGE.match(given["subject"])
    if place is not None:
        given.update(subject="", object=place["object"], record=place["id"].lower())
    elif _ID.fullmatch(given["subject"]):
        given.update(subject="", record=given["subject"].lower())
    return {name: value for name, value in given.items() if value}


def wanted_of(screen: Screen, records: RecordService, given: Mapping[str, str]) -> Wanted:
    """What the filters mean. Raises ``BadRequest``."""
    accounts = screen.environment.accounts
    return asked(records.connection, accounts, screen.registry, ACTION_NAMES, given, screen.zone)


def _address(given: Mapping[str, str]) -> str:
    """Where the trail is with these filters."""
    query: dict[str, Any] = dict(given)
    return url_for("screens.access_audit", **query)


def _cursor() -> int | None:
    text = request.args.get("cursor")
    if text is not None and not (text.isascii() and text.isdecimal() and len(text) < 18):
        raise NotFound("There is no such page.")
    return None if text is None else int(text)


def _actions(trail: str | None) -> dict[str, dict[str, Text]]:
    """What may have been done, by trail: of the chosen trail only; else each word once, where it stands first."""
    if trail is not None and trail in ACTIONS:
        return {trail: {name: noted.label for name, noted in ACTIONS[trail].items()}}
    seen: set[str] = set()
    found: dict[str, dict[str, Text]] = {}
    for each, actions in ACTIONS.items():
        found[each] = {name: noted.label for name, noted in actions.items() if name not in seen}
        seen |= actions.keys()
    return {each: actions for each, actions in found.items() if actions}


def _choices(screen: Screen, records: RecordService, trail: str | None) -> Choices:
    """What the filter bar offers to somebody who looks at that trail, or at all of them."""

    def say(text: str) -> str:
        return str(told(text, screen.translate))

    users = records.list(Query("user", sort=["name"], limit=PEOPLE, fields=["name", "email"])).records
    junctions = screen.policy.grants.junctions
    objects = sorted((screen.label(obj), obj.name) for obj in screen.registry if obj.name not in junctions)
    packages = sorted((screen.translate(p.label, p.name), p.name) for p in screen.registry.packages.values())
    return Choices(
        [(name, say(label)) for name, label in TRAIL_NAMES.items()],
        [(say(TRAIL_NAMES[t]), [(n, say(label)) for n, label in of.items()]) for t, of in _actions(trail).items()],
        [*((name, label) for label, name in objects), *((name, say(label)) for name, label in KINDS.items())],
        [(name, label) for label, name in packages],
        [(user["email"], user["name"] or "") for user in users if user["email"]],
    )


def _chips(screen: Screen, choices: Choices, given: Mapping[str, str]) -> list[Chip]:
    """Each filter in words, with the address without it."""
    actions = {name: label for _trail, of in choices.actions for name, label in of}
    known: dict[str, Mapping[str, str]] = {
        "trail": dict(choices.trails), "action": actions, "object": dict(choices.objects),
        "package": dict(choices.packages), "by": {**dict(choices.people), PLATFORM: _("nobody signed in")},
    }  # fmt: skip
    labels = {
        "trail": _("Trail"), "by": _("Who"), "action": _("What"), "object": _("Object"), "record": _("Record"),
        "subject": _("To what"), "package": _("Package"), "component": _("Component"), "from": _("From"),
        "until": _("Until"),
    }  # fmt: skip
    return [
        Chip(
            f"{labels[name]}: {known.get(name, {}).get(value, value)}",
            _address({other: v for other, v in given.items() if other != name}),
        )
        for name, value in given.items()
    ]
