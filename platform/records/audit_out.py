"""Taking the audit trail out as CSV, in words, as far as filters leave it; noted in the trail of exports.

Texts that a spreadsheet would run are made harmless as in lists (``taking_out.py``). Moments carry the reader's zone.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping
from itertools import islice

from ratoon.platform.access.accounts import Accounts
from ratoon.platform.errors import BadRequest, Translate
from ratoon.platform.records.audit_words import Told, Words
from ratoon.platform.records.service import RecordService
from ratoon.platform.records.taking_out import MOST, harmless
from ratoon.platform.storage.audit import Happening, note
from ratoon.platform.storage.audit_search import Wanted, every

COLUMNS = (
    "number",
    "at",
    "trail",
    "action",
    "what",
    "by",
    "email",
    "object",
    "subject",
    "subject_id",
    "details",
    "hash",
)
_AT_ONCE = 1000


def trail_as_csv(records: RecordService, accounts: Accounts, translate: Translate, wanted: Wanted) -> tuple[str, int]:
    """The wanted entries as CSV with a head line, and how many. Raises ``BadRequest`` for too many for one file.

    Only reads, so that nobody waits; ``note_taken_out`` belongs after it, before anybody is given the text.
    """
    made, rows = io.StringIO(), 0
    writer = csv.writer(made, lineterminator="\r\n")
    writer.writerow(COLUMNS)
    found, words = every(records.connection, wanted), Words(records, accounts, translate)
    while chunk := list(islice(found, _AT_ONCE)):
        rows += len(chunk)
        if rows > MOST:
            raise BadRequest("One file takes at most {most} entries; filter the trail.", most=MOST, field="filter")
        people = accounts.addresses(records.connection, (entry.by for entry in chunk if entry.by))
        writer.writerows(_row(records, told, people) for told in words.of(chunk))
    return made.getvalue(), rows


def note_taken_out(records: RecordService, rows: int, filters: Mapping[str, str]) -> None:
    """Keeps in the trail of exports that so many entries were taken out by these filters, in a write transaction."""
    detail = {"entries": rows, "filter": dict(filters)}
    happening = Happening("export", "exported", records.actor.id, "audit_trail", "audit_trail", detail)
    note(records.connection, records.engine.world.clock(), happening)


def _row(records: RecordService, told: Told, people: Mapping[str, str]) -> list[str]:
    entry = told.entry
    at = entry.at.astimezone(records.actor.zone).isoformat(timespec="seconds")
    cells = (told.trail, entry.action, told.what, told.who.text, people.get(entry.by or "", ""), told.kind,
             told.subject.text, entry.subject, told.text)  # fmt: skip
    return [str(entry.number), at, *(harmless(cell) for cell in cells), entry.hash]
