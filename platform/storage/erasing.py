"""Takes a person's values out of everything the platform keeps beside the record: history, undo, runs, notices.

``Traces`` knows where. What belongs to the record itself (its history, what runs noted about it, notifications of it)
is emptied whole; elsewhere in the platform's notes only the texts that name the person are replaced. The audit trail
keeps its chain: an entry that names the person is emptied, and a new entry says which ones were.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, Select, Table, Text, and_, cast, func, null, or_, select, update

from ratoon.platform.formulas.columns import Json
from ratoon.platform.storage import audit
from ratoon.platform.storage.database import driver
from ratoon.platform.storage.present import Present
from ratoon.platform.storage.store import RecordStore
from ratoon.platform.storage.system import system_tables

ERASED = "[erased]"
"""What stands where a value was that may not be blank."""
OVER = ("done", "failed", "cancelled")
TEXTS: Mapping[str, tuple[str, ...]] = {
    "ratoon_notification": ("title", "body"),
    "ratoon_run": ("payload", "error", "result"),
    "ratoon_run_record": ("seen",),
    "ratoon_run_step": ("detail", "error"),
    "ratoon_share": ("reason",),
    "ratoon_decision": ("comment",),
    "ratoon_sign_in": ("email",),
    "ratoon_file": ("name",),
    "ratoon_revision": ("plan",),
}
"""Notes of the platform that may name anybody: table → columns."""

ACCOUNT = ("ratoon_password", "ratoon_password_before", "ratoon_password_link", "ratoon_second_factor",
           "ratoon_identity")  # fmt: skip
"""Tables of what lets a user in: gone with the user."""


@dataclass(frozen=True)
class Traces:
    """Where a person's values are, beside the record."""

    conn: Connection
    object: str
    record: str
    harmless: frozenset[str]
    """Keys of the record that stay."""
    names: tuple[str, ...]
    """Texts that name the person wherever they stand: addresses, numbers, the full name."""

    def count(self, store: RecordStore) -> dict[str, int]:
        """How many places of each kind there are; only those with any."""
        counts = {
            "history": self._number("ratoon_history", self._history()),
            "undo": self._number("ratoon_undo", self._undo()),
            "kept_columns": len(self.kept_columns(store)),
            "runs": self._number("ratoon_run_record", _table("ratoon_run_record").c.record == self.record),
            "notifications": self._number("ratoon_notification", _table("ratoon_notification").c.record == self.record),
            "answers": self._number("ratoon_idempotency", self._answers()),
            "named_elsewhere": sum(1 for _ in self._named()),
            "audit": len(self._audited()),
        }
        return {name: number for name, number in counts.items() if number}

    def erase(self, store: RecordStore, at: datetime, by: str | None) -> None:
        """Empties all of it, in the caller's transaction."""
        conn = self.conn
        conn.execute(update(_table("ratoon_history")).where(self._history()).values(old=null(), new=null()))
        conn.execute(update(_table("ratoon_undo")).where(self._undo()).values(old=None, new=None))
        self._empty_kept(store)
        self._empty_runs()
        self._empty_samples()
        notice = _table("ratoon_notification")
        conn.execute(update(notice).where(notice.c.record == self.record).values(title=ERASED, body=""))
        conn.execute(update(_table("ratoon_idempotency")).where(self._answers()).values(body=b"{}"))
        match = _table("ratoon_match")
        conn.execute(match.delete().where(match.c.record == self.record))
        for table, keys, values in list(self._named()):
            conn.execute(update(table).where(*keys).values(values))
        audit.erase(conn, at, self._audited(), by)
        if conn.dialect.name == "sqlite":
            # Words that were taken out stay in the older parts of the index until these are merged.
            driver(conn).execute("INSERT INTO ratoon_search_words (ratoon_search_words) VALUES ('optimize')")

    def kept_columns(self, store: RecordStore) -> list[str]:
        """Columns of the record's table that no field has: what removed fields and changes of type left."""
        known = {column.name for column in store.tables.table(self.object).c}
        return sorted(Present(self.conn).columns(self.object) - known)

    def mentions(self, store: RecordStore) -> dict[str, int]:
        """Records whose own texts name the person: ``object.field`` → how many. These stay; somebody must read them."""
        found: dict[str, int] = {}
        for obj in store.registry if self.names else ():
            table = store.tables.table(obj.name)
            columns = {
                part.key: table.c[part.key]
                for field in obj.fields.values()
                for part in field.parts
                if not field.computed and isinstance(part.sql, Text)
            }
            if not columns:
                continue
            query = select(*(func.count().filter(self._naming(c)).label(key) for key, c in columns.items()))
            if obj.name == self.object:
                query = query.where(table.c.id != self.record)
            counts = self.conn.execute(query).mappings().one()
            found.update({f"{obj.name}.{key}": int(number) for key, number in counts.items() if number})
        return found

    def _number(self, table: str, where: ColumnElement[bool]) -> int:
        return int(self.conn.execute(select(func.count()).select_from(_table(table)).where(where)).scalar_one())

    def _history(self) -> ColumnElement[bool]:
        c = _table("ratoon_history").c
        return (c.record == self.record) & c.key.is_not(None) & c.key.not_in(self.harmless)

    def _undo(self) -> ColumnElement[bool]:
        c = _table("ratoon_undo").c
        return (c.record == self.record) & (c.object == self.object) & c.key.not_in(self.harmless)

    def _answers(self) -> ColumnElement[bool]:
        """Answers that are kept for repeated calls and show the record or name the person."""
        body = _table("ratoon_idempotency").c.body
        looked = [text.encode() for text in (self.record, *self.names)]
        if self.conn.dialect.name == "sqlite":
            return or_(*(func.instr(body, text) > 0 for text in looked))
        return or_(*(func.strpos(func.encode(body, "hex"), text.hex()) > 0 for text in looked))

    def _empty_kept(self, store: RecordStore) -> None:
        columns = self.kept_columns(store)
        if not columns:
            return
        quote = Present(self.conn).quote
        mark = "?" if self.conn.dialect.name == "sqlite" else "%s"
        sets = ", ".join(f"{quote(name)} = NULL" for name in columns)
        driver(self.conn).execute(f"UPDATE {quote(self.object)} SET {sets} WHERE id = {mark}", (self.record,))

    def _empty_runs(self) -> None:
        """What runs noted of this record; all that finished runs were given that worked on it."""
        run, about, step = _table("ratoon_run"), _table("ratoon_run_record"), _table("ratoon_run_step")
        theirs = select(about.c.run).where(about.c.record == self.record)
        over = select(run.c.id).where(run.c.id.in_(theirs), run.c.state.in_(OVER))
        blank = {"detail": null(), "error": None}
        self.conn.execute(update(step).where(step.c.record == self.record).values(blank))
        self.conn.execute(update(step).where(step.c.record == "", step.c.run.in_(over)).values(blank))
        self.conn.execute(update(about).where(about.c.record == self.record).values(seen=null()))
        nothing = {"payload": null(), "result": null(), "error": None}
        self.conn.execute(update(run).where(run.c.id.in_(over)).values(nothing))

    def _empty_samples(self) -> None:
        """Plans of the metadata's revisions show some records that a change touches, with title and value."""
        table = _table("ratoon_revision")
        query = select(table.c.revision, table.c.plan).where(cast(table.c.plan, Text).contains(self.record))
        for revision, plan in self.conn.execute(query).all():
            for told in plan.get("data", ()):
                for sample in told.get("samples", ()):
                    if sample.get("id") == self.record:
                        sample.update(title=ERASED, value=None)
            self.conn.execute(update(table).where(table.c.revision == revision).values(plan=plan))

    def _named(self) -> Iterator[tuple[Table, list[ColumnElement[bool]], dict[str, Any]]]:
        """Notes that name the person: table, which row, what stands there instead."""
        for name, columns in TEXTS.items() if self.names else ():
            table = _table(name)
            keys = list(table.primary_key.columns)
            query = select(*keys, *(table.c[c] for c in columns))
            for row in self.conn.execute(query.where(or_(*(self._naming(table.c[c]) for c in columns)))):
                given = row._asdict()
                values = {c: self._without(given[c]) for c in columns}
                yield (
                    table,
                    [key == given[key.name] for key in keys],
                    {c: null() if v is None else v for c, v in values.items()},
                )

    def _naming(self, column: ColumnElement[Any]) -> ColumnElement[bool]:
        text = func.lower(cast(column, Text) if isinstance(column.type, Json) else column)
        return or_(*(text.contains(name.lower(), autoescape=True) for name in self.names))

    def _without(self, value: Any) -> Any:
        """A value with the person's names replaced, texts inside lists and objects too."""
        if isinstance(value, str):
            pattern = "|".join(re.escape(name) for name in sorted(self.names, key=len, reverse=True))
            return re.sub(pattern, ERASED, value, flags=re.IGNORECASE)
        if isinstance(value, Mapping):
            return {key: self._without(inner) for key, inner in value.items()}
        return [self._without(inner) for inner in value] if isinstance(value, list) else value

    def _audited(self) -> list[int]:
        table = _table("ratoon_audit")
        former = self._former_addresses(table)
        if not self.names and not former:
            return []
        # The trail is written as ASCII: other characters stand there as \\uXXXX.
        looked = {_as_audited(name) for name in self.names} | set(self.names)
        naming = [
            func.lower(column).contains(text.lower(), autoescape=True)
            for column in (table.c.subject, table.c.detail)
            for text in looked
        ]
        # Somebody else may have an address by now that was this person's.
        was_theirs = and_(table.c.subject.in_(former), or_(table.c.by == self.record, table.c.by.is_(None)))
        signed_in = and_(
            table.c.trail == "sign_in", table.c.by == self.record
        )  # from which network, with which browser
        theirs = or_(*naming, was_theirs, signed_in, table.c.number.in_(self._changed(table)))
        return list(self.conn.execute(select(table.c.number).where(theirs).order_by(table.c.number)).scalars())

    def _changed(self, table: Table) -> Select[Any]:
        """The entries that say what was changed of a user: they hold addresses, former ones too."""
        mine = (table.c.subject == self.record, table.c.action == "user_changed", table.c.detail != "")
        return select(table.c.number).where(*mine)

    def _former_addresses(self, table: Table) -> list[str]:
        """The addresses that a user had."""
        kept = self.conn.execute(select(table.c.detail).where(table.c.number.in_(self._changed(table)))).scalars()
        pairs = (json.loads(detail).get("changes", {}).get("email", ()) for detail in kept)
        return sorted({address for pair in pairs for address in pair if address})


def unattach(conn: Connection, object: str, record: str, keep: Collection[str]) -> list[str]:
    """Lets go of the record's files but those to ``keep``; returns their ids: their bytes may go after the commit."""
    table = _table("ratoon_file")
    theirs = (table.c.object == object, table.c.record == record, table.c.id.not_in(list(keep)))
    gone = list(conn.execute(select(table.c.id).where(*theirs)).scalars())
    if gone:
        conn.execute(
            update(table).where(table.c.id.in_(gone)).values(object=None, record=None, name=ERASED, sha256="", size=0)
        )
    return gone


def file_names(conn: Connection, object: str, record: str, keep: Collection[str]) -> list[str]:
    """The names of the files that ``unattach`` would let go of."""
    table = _table("ratoon_file")
    theirs = (table.c.object == object, table.c.record == record, table.c.id.not_in(list(keep)))
    return list(conn.execute(select(table.c.name).where(*theirs).order_by(table.c.id)).scalars())


def end_account(conn: Connection, user: str, at: datetime) -> None:
    """A user who was erased: no password, no second factor, no session, no token; where they signed in from is gone."""
    for name in ACCOUNT:
        table = _table(name)
        conn.execute(table.delete().where(table.c.user_id == user))
    sessions, tokens, trail = _table("ratoon_session"), _table("ratoon_token"), _table("ratoon_sign_in")
    conn.execute(update(sessions).where(sessions.c.user_id == user).values(ended_at=at, address="", agent=""))
    conn.execute(update(tokens).where(tokens.c.user_id == user).values(revoked_at=at, label=ERASED))
    conn.execute(update(trail).where(trail.c.user_id == user).values(email=ERASED, address="", agent=""))


def _table(name: str) -> Table:
    return system_tables().tables[name]


def _as_audited(text: str) -> str:
    """A text as the audit trail's JSON writes it, without the quotes."""
    return json.dumps(text)[1:-1]
