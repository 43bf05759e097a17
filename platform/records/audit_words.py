"""The audit trail in words: who did what to what, with names instead of ids, in the reader's language.

    words = Words(records, accounts, translate)
    for told in words.of(entries):
        print(told.who.text, told.what, told.subject.text, told.details)

Records are called by their titles as far as the reader may see them and they are still there; what is gone is said to
be gone, with the end of its id so that two of them are told apart. One question to the database per object, however
many entries there are.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from ratoon.platform.access.accounts import Accounts
from ratoon.platform.errors import Text, Translate, say, told
from ratoon.platform.records.audit_asked import KINDS
from ratoon.platform.records.audit_facts import TRAIL_NAMES, Fact, Named, Said, facts_of, noted_as
from ratoon.platform.records.audit_names import object_said
from ratoon.platform.records.service import RecordService
from ratoon.platform.storage.audit import Entry

_ID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_MARK = 6
"""Characters of an id that tell two records apart that are gone."""


@dataclass(frozen=True, slots=True)
class Piece:
    """Some words; with ``object`` and ``id`` they name a record that the reader may open."""

    text: str
    object: str = ""
    id: str = ""


@dataclass(frozen=True, slots=True)
class Detail:
    """One thing that an entry says. With ``old`` it is a change."""

    label: str
    new: tuple[Piece, ...]
    old: tuple[Piece, ...] | None = None

    @property
    def text(self) -> str:
        """``Roles: Seller → Seller, Manager``."""
        new, old = (", ".join(piece.text for piece in side or ()) for side in (self.new, self.old))
        return f"{self.label}: {new}" if self.old is None else f"{self.label}: {old} → {new}"


@dataclass(frozen=True, slots=True)
class Told:
    """An entry in words."""

    entry: Entry
    trail: str
    what: str
    who: Piece
    kind: str
    """What kind of thing it happened to: the label of an object, “API token” …; may be blank."""
    subject: Piece
    details: tuple[Detail, ...]

    @property
    def text(self) -> str:
        """The details in one line."""
        return "; ".join(detail.text for detail in self.details)


class Words:
    """Says entries for the actor of ``records``, in the language of ``translate`` (labels of the metadata, too)."""

    def __init__(self, records: RecordService, accounts: Accounts, translate: Translate) -> None:
        self._records = records
        self._accounts = accounts
        self._translate = translate
        self._registry = records.engine.registry
        self._titles: dict[str, dict[str, str]] = {}
        self._tokens: dict[str, tuple[str, str]] = {}

    def of(self, entries: Sequence[Entry]) -> list[Told]:
        """The entries in words."""
        found = [(entry, facts_of(self._registry, entry)) for entry in entries]
        ids = (entry.subject for entry in entries if entry.object == "token" and _ID.fullmatch(entry.subject))
        self._tokens = self._accounts.tokens_called(self._records.connection, set(ids))
        self._look_up(named for entry, facts in found for named in self._all_named(entry, facts))
        return [self._told(entry, facts) for entry, facts in found]

    def _all_named(self, entry: Entry, facts: Iterable[Fact]) -> Iterator[Named]:
        """Every record that an entry names."""
        if entry.by:
            yield Named("user", entry.by)
        subject = self._subject(entry)
        said = (each for fact in facts for each in (fact.label, *fact.new, *(fact.old or ())))
        yield from (each for each in (subject, *said) if isinstance(each, Named))
        if entry.subject in self._tokens:
            yield Named("user", self._tokens[entry.subject][1])

    def _look_up(self, named: Iterable[Named]) -> None:
        wanted: dict[str, set[str]] = {}
        for one in named:
            wanted.setdefault(one.object, set()).add(one.id)
        for object, ids in wanted.items():
            if object in self._registry.objects:
                self._titles[object] = self._records.titles(object, ids)

    def _subject(self, entry: Entry) -> Said:
        """What it happened to, by what it is."""
        if not entry.subject or entry.object == "token":
            return ""
        if _ID.fullmatch(entry.subject):
            return Named(entry.object or "user", entry.subject)
        if entry.object == entry.subject:
            return ""  # the whole object: its label says it
        if entry.trail == "audit":
            return TRAIL_NAMES.get(entry.subject, entry.subject)
        return entry.subject

    def _told(self, entry: Entry, facts: Iterable[Fact]) -> Told:
        who = self._piece(Named("user", entry.by)) if entry.by else Piece(self._nobody(entry))
        subject = self._piece(self._subject(entry))
        if entry.subject in self._tokens:
            label, owner = self._tokens[entry.subject]
            whose = self._piece(Named("user", owner))
            subject = Piece(self._say(say("“{label}” of {user}", label=label, user=whose.text)), whose.object, whose.id)
        return Told(
            entry, self._say(TRAIL_NAMES.get(entry.trail, entry.trail)), self._say(noted_as(entry).label), who,
            self._kind(entry), subject, tuple(self._detail(fact) for fact in facts),
        )  # fmt: skip

    def _kind(self, entry: Entry) -> str:
        if entry.object == "token":
            return ""  # what was done says it
        if entry.object in KINDS:
            return self._say(KINDS[entry.object])
        return self._say(object_said(self._registry, entry.object)) if entry.object else ""

    def _nobody(self, entry: Entry) -> str:
        """Who it was when it was no user: what the entry says, or the platform."""
        by = str((entry.detail or {}).get("by") or "")
        if by == "command line":
            return self._say(say("command line"))
        if by and not _ID.fullmatch(by):
            return by
        return self._say(say("nobody known") if entry.action in ("refused", "reset_asked") else say("the platform"))

    def _detail(self, fact: Fact) -> Detail:
        old = None if fact.old is None else tuple(self._piece(each) for each in fact.old)
        return Detail(self._piece(fact.label).text, tuple(self._piece(each) for each in fact.new), old)

    def _piece(self, said: Said) -> Piece:
        if isinstance(said, datetime):
            return Piece(f"{said.astimezone(self._records.actor.zone):%Y-%m-%d %H:%M}")
        if not isinstance(said, Named):
            return Piece(self._say(said))
        title = self._titles.get(said.object, {}).get(said.id)
        if title is not None:
            return Piece(title or said.id[-_MARK:], said.object, said.id)
        return Piece(self._say(say("a deleted record (…{mark})", mark=said.id[-_MARK:])))

    def _say(self, text: str) -> str:
        return str(told(text, self._translate)) if isinstance(text, Text) else text
