"""Taking a list out as CSV: for who has the right ``export``, under the same rights as the list, noted in the trail.

A text that a spreadsheet would run as a formula (``=``, ``+``, ``-``, ``@``, tab or carriage return in front) gets an
apostrophe before it. Numbers, dates and the like are written as the API writes them. Beside each lookup stands a column
``<key>.title`` with what the record behind it is called, blank where the reader may not see it.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import orjson

from ratoon.platform.errors import BadRequest
from ratoon.platform.records.reading import Query
from ratoon.platform.storage.audit import Happening, note

if TYPE_CHECKING:
    from ratoon.platform.records.service import RecordService

MOST = 50_000
"""Records in one file."""
RUN_BY_SPREADSHEETS = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")


def as_csv(records: RecordService, query: Query) -> str:
    """The records of a query as CSV with a head line. Raises ``Forbidden``, ``BadRequest``.

    Must run in a write transaction: what was taken out is noted.
    """
    policy, actor = records.engine.policy, records.actor
    plan = records.plan(query.object)
    policy.require(actor, query.object, "read")
    policy.require(actor, query.object, "export")
    made = io.StringIO()
    writer = csv.writer(made, lineterminator="\r\n")
    rows, cursor = 0, query.cursor
    keys: tuple[str, ...] = ()
    lookups: list[str] = []
    while True:
        page = records.list(replace(query, limit=records.engine.limits.page, cursor=cursor, count=False))
        if not rows:
            keys = tuple(key for key in page.keys if plan.object.field_of[key].type.name != "secret")
            lookups = [key for key in keys if plan.object.field_of[key].targets and key in plan.object.fields]
            writer.writerow([*keys, *(f"{key}.title" for key in lookups)])
        rows += len(page.records)
        if rows > MOST:
            raise BadRequest("One file takes at most {most} records; filter the list.", most=MOST, field="filter")
        titles = {key: _titles(records, plan.object.field_of[key], page.records) for key in lookups}
        for record in page.records:
            cells = [_cell(plan.dump[key], record[key]) for key in keys]
            writer.writerow([*cells, *(harmless(titles[key].get(record[key], "")) for key in lookups)])
        cursor = page.next_cursor
        if cursor is None:
            break
    told: dict[str, Any] = {"records": rows, "keys": list(keys), "view": query.view, "sort": list(query.sort or ())}
    told["filter"] = query.filter if isinstance(query.filter, str) else None
    happening = Happening("export", "exported", by=actor.id, object=query.object, subject=query.object, detail=told)
    note(records.connection, records.engine.world.clock(), happening)
    return made.getvalue()


def _titles(records: RecordService, field: Any, rows: Sequence[dict[str, Any]]) -> dict[str, str]:
    found: dict[str, str] = {}
    for target in field.targets:
        alone = len(field.parts) == 1
        ids = [r[field.name] for r in rows if r[field.name] and (alone or r.get(field.parts[1].key) == target)]
        found.update(records.titles(target, ids))
    return found


def _cell(dump: Any, value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, str):
        return harmless(value)
    ready = dump(value) if dump is not None else value
    if isinstance(ready, str):
        return ready
    return orjson.dumps(ready, default=str, option=orjson.OPT_UTC_Z).decode().strip('"')


def harmless(text: str) -> str:
    """A text that no spreadsheet runs as a formula."""
    return f"'{text}" if text.startswith(RUN_BY_SPREADSHEETS) else text
