"""Everything about a person: taken out whole, or erased so that what points at the person still does.

    Persons(records).everything("contact", id)      what is kept about somebody, as plain JSON values
    plan = Persons(records).plan("contact", id)     what erasing would take away, and what stays
    Persons(records).erase("contact", id, plan.fingerprint)

An object whose records are people says ``"person": true``; its fields say how delicate they are (``sensitivity``:
personal = tells who somebody is, sensitive = must not even be known inside without need). Erasing empties those fields
in the record, in its history, in the search index, in what removed fields left and in all notes of the platform; files
of such fields go. The record stays, without a person: invoices and the like keep their reference. It cannot be undone
and is written to the audit trail, without the values. No rule, automation or job has a say in it.
"""

from __future__ import annotations

import hashlib
import io
import json
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import orjson

from ratoon.platform.errors import BadRequest, Conflict, Forbidden, Invalid, NotFound
from ratoon.platform.fields.base import Part
from ratoon.platform.formulas.types import Type
from ratoon.platform.metadata.model import Field
from ratoon.platform.records import duplicates, propagation
from ratoon.platform.records.aftermath import search_text
from ratoon.platform.records.drafts import Draft
from ratoon.platform.records.plan import ObjectPlan
from ratoon.platform.records.reading import Query
from ratoon.platform.records.saving import Saving
from ratoon.platform.storage import erasing, history, search, traces
from ratoon.platform.storage.audit import Happening, note
from ratoon.platform.storage.erasing import ERASED, Traces

if TYPE_CHECKING:
    from ratoon.platform.records.service import RecordService

DELICATE = frozenset({"personal", "sensitive"})
NAMING = frozenset({"email", "phone", "url"})
"""Types of fields whose values name somebody wherever they stand."""
SHORTEST_NAME = 6
"""Bytes: a shorter text would be found in what has nothing to do with the person."""


@dataclass(frozen=True)
class Erasure:
    """What erasing a person takes away and what stays."""

    object: str
    record: str
    fields: tuple[str, ...]
    """Keys that are emptied, or filled with a text that names nobody where a value must be."""
    files: tuple[str, ...]
    traces: Mapping[str, int]
    """Places beside the record that are emptied: history, runs, notifications …"""
    kept: Mapping[str, int]
    """``object.field`` → how many records point at this one; they stay and still do."""
    mentions: Mapping[str, int]
    """``object.field`` → how many records name the person in a text of their own; somebody must read them."""
    fingerprint: str = ""
    """What ``erase`` wants to be told, so that it does what was shown."""


class Persons:
    """People, within one transaction and as one actor may see and erase them."""

    def __init__(self, records: RecordService) -> None:
        self._records = records
        self._engine = records.engine
        self._conn = records.connection

    # -- taking out ----------------------------------------------------------------------------------------------

    def everything(self, object: str, record: str) -> dict[str, Any]:
        """What is kept about a person, as far as the actor may read it. Noted in the audit trail.

        Raises ``Forbidden`` without the right to export, ``NotFound``, ``BadRequest`` when the object's records are
        no people.
        """
        records, plan = self._records, self._plan_of(object)
        self._engine.policy.require(records.actor, object, "read")
        self._engine.policy.require(records.actor, object, "export")
        row = records.get(object, record)
        found: dict[str, Any] = {
            "object": object,
            "record": _plain(plan, row),
            "history": records.history(object, record, limit=1000),
            "stages": records.stage_history(object, record),
            "files": self._files(object, record, row),
            "pointing_here": {
                f"{field.object}.{field.name}": self._pointing(field, record) for field in self._references(object)
            },
        }
        if records.actor.admin:
            found["notes_of_the_platform"] = traces.notes_of(self._conn, record)
        told = {"records": 1 + sum(len(there) for there in found["pointing_here"].values())}
        self._note("exported", object, record, told)
        ready: dict[str, Any] = orjson.loads(
            orjson.dumps(found, default=str, option=orjson.OPT_UTC_Z | orjson.OPT_NON_STR_KEYS)
        )
        return ready

    def _references(self, object: str) -> list[Field]:
        """Lookups that may point at the object and that the actor may read."""
        policy, actor = self._engine.policy, self._records.actor
        return [
            field
            for field in self._engine.registry.children.get(object, ())
            if not field.system
            and policy.may(actor, field.object, "read")
            and (actor.admin or field.name in policy.readable_keys(actor, field.object))
        ]

    def _pointing(self, field: Field, record: str) -> list[dict[str, Any]]:
        plan, found, cursor = self._records.plan(field.object), [], None
        while True:
            query = Query(field.object, filter=f'{field.name} = "{record}"', limit=200, cursor=cursor)
            page = self._records.list(query)
            found += [_plain(plan, row) for row in page.records]
            cursor = page.next_cursor
            if cursor is None:
                return found

    def _files(self, object: str, record: str, row: Mapping[str, Any]) -> list[dict[str, Any]]:
        files = traces.files_of(self._conn, object, record)
        return [file for file in files if self._records.actor.admin or file["id"] in row.values()]

    # -- erasing -------------------------------------------------------------------------------------------------

    def plan(self, object: str, record: str) -> Erasure:
        """What erasing would do. Raises ``Forbidden`` for who is no administrator, ``NotFound``, ``BadRequest``."""
        plan, row = self._to_erase(object, record)
        places, store = self._places(plan, row), self._engine.store
        kept = {}
        for field in self._engine.registry.children.get(object, ()):
            if not field.system and (number := len(store.back(self._conn, field.object, field.name, [record]))):
                kept[f"{field.object}.{field.name}"] = number
        shown = Erasure(
            object,
            record,
            tuple(key for key in self._delicate(plan) if row.get(key) is not None),
            tuple(erasing.file_names(self._conn, object, record, self._files_to_keep(plan, row))),
            places.count(store),
            kept,
            places.mentions(store),
        )
        digest = hashlib.sha256(orjson.dumps([asdict(shown), row["version"]], option=orjson.OPT_SORT_KEYS)).hexdigest()
        return Erasure(**{**asdict(shown), "fingerprint": digest[:16]})

    def erase(self, object: str, record: str, fingerprint: str) -> list[str]:
        """Erases a person for good; returns ids of files whose bytes are to be removed after the commit.

        Raises ``Conflict`` when it would not be what ``plan`` showed.
        """
        shown = self.plan(object, record)
        if shown.fingerprint != fingerprint:
            raise Conflict("Something changed since this was planned; look at it again.", record=record)
        records, store = self._records, self._engine.store
        store.lock(self._conn, object, [record])
        plan, row = self._to_erase(object, record)
        places = self._places(plan, row)
        saving = Saving(records)
        saving.overwrite(plan, Draft(0, record, row, {**row, **self._blank(plan, row)}, frozenset()))
        self._recompute_deleted(saving, object, record)
        duplicates.settle(saving)
        followed = self._follow_up(saving)
        gone = erasing.unattach(self._conn, object, record, self._files_to_keep(plan, row))
        harmless = places.harmless - followed.get((object, record), frozenset())
        now, actor = self._engine.world.clock(), records.actor
        Traces(self._conn, object, record, harmless, places.names).erase(store, now, actor.id)
        for (other, id), keys in followed.items():
            if (other, id) != (object, record):
                # Formulas of other records that read the person: their history had the values, too.
                traces.forget_keys(self._conn, other, id, keys)
        if object == "user":
            erasing.end_account(self._conn, record, now)
        history.write_events(self._conn, object, "erased", [record], now, actor.id, actor.source)
        told = {"fields": list(shown.fields), "files": len(gone), **shown.traces, "version": row["version"] + 1}
        self._note("erased", object, record, told)
        return gone

    def _recompute_deleted(self, saving: Saving, object: str, record: str) -> None:
        """Formulas of records in the recycle bin that point here: nobody else works them out until a restore."""
        for field in self._engine.registry.children.get(object, ()):
            ids = traces.deleted_children(self._engine.store, self._conn, field.object, field.name, record)
            if ids:
                propagation.recompute(saving, field.object, ids)

    def _to_erase(self, object: str, record: str) -> tuple[ObjectPlan, dict[str, Any]]:
        actor = self._records.actor
        plan = self._plan_of(object)
        if not actor.admin:
            raise Forbidden("Only an administrator may erase a person.")
        if object == "user" and record == actor.id:
            raise BadRequest("Nobody erases themselves; another administrator does it.")
        row = self._engine.store.load(self._conn, object, [record], deleted=True).get(record)
        if row is None:
            raise NotFound("There is no {object} with id {id}.", object=object, id=record)
        return plan, row

    def _plan_of(self, object: str) -> ObjectPlan:
        plan = self._records.plan(object)
        self._engine.policy.require(self._records.actor, object, "read")
        if not plan.object.person:
            message = 'A record of {object} is not a person. An object whose records are people says "person": true.'
            raise BadRequest(message, object=object)
        return plan

    def _delicate(self, plan: ObjectPlan) -> list[str]:
        """Keys with a column that hold personal values, worked-out ones too."""
        fields = (f for f in plan.object.fields.values() if f.sensitivity in DELICATE)
        return [part.key for field in fields for part in field.parts if part.sql is not None]

    def _places(self, plan: ObjectPlan, row: Mapping[str, Any]) -> Traces:
        delicate = set(self._delicate(plan))
        harmless = frozenset(key for key in plan.columns if key not in delicate)
        return Traces(self._conn, plan.name, row["id"], harmless, self._names(plan, row, delicate))

    def _names(self, plan: ObjectPlan, row: Mapping[str, Any], delicate: set[str]) -> tuple[str, ...]:
        """Texts that name the person: addresses and numbers, now and before, and what the record is called."""
        naming = {
            part.key
            for field in plan.object.fields.values()
            for part in field.parts
            if part.key in delicate and (field.type.name in NAMING or field.name == plan.object.title)
        }
        values = [row.get(key) for key in naming]
        values += traces.earlier_values(self._conn, row["id"], naming)
        texts = {value for value in values if isinstance(value, str) and len(value.encode()) >= SHORTEST_NAME}
        return tuple(sorted(text for text in texts if ERASED not in text and not text.endswith("@erased.invalid")))

    def _blank(self, plan: ObjectPlan, row: Mapping[str, Any]) -> dict[str, Any]:
        """What is written instead: blank, or a text that names nobody where there must be a value."""
        unique = {name for key in plan.object.keys for name in key.fields}
        values: dict[str, Any] = {}
        for field in plan.object.fields.values():
            if field.sensitivity not in DELICATE or field.computed:
                continue
            must = field.required or field.name == plan.object.title
            for part in field.parts:
                if part.sql is not None:
                    apart = field.unique or field.name in unique
                    values[part.key] = _nobody(field, part, row["id"], apart) if must else None
        if plan.name == "user":
            values["active"] = False
        return values

    def _files_to_keep(self, plan: ObjectPlan, row: Mapping[str, Any]) -> list[str]:
        """Files of fields that are not personal; all others of the record, earlier ones too, go."""
        fields = (f for f in plan.object.fields.values() if f.type.name in ("file", "image"))
        return [str(row[f.name]) for f in fields if f.sensitivity not in DELICATE and row.get(f.name)]

    def _follow_up(self, saving: Saving) -> dict[tuple[str, str], frozenset[str]]:
        """Puts the new texts into the search index; returns which keys of which records changed along."""
        followed = {}
        for object, touched in saving.touched.items():
            plan = self._engine.plans[object]
            followed.update(
                {
                    (object, id): frozenset(k for k in plan.columns if (t.old or {}).get(k) != t.new.get(k))
                    for id, t in touched.items()
                }
            )
            live = [(id, *search_text(plan, t.new)) for id, t in touched.items() if t.new["deleted_at"] is None]
            if plan.searchable:
                search.index(self._conn, object, live)
        return followed

    def _note(self, action: str, object: str, record: str, detail: Mapping[str, Any]) -> None:
        happening = Happening(
            "privacy", action, by=self._records.actor.id, object=object, subject=record, detail=detail
        )
        note(self._conn, self._engine.world.clock(), happening)


def archive(found: Mapping[str, Any], folder: Path) -> bytes:
    """What ``everything`` found as a zip: ``person.json``, and the files as far as their bytes are in ``folder``."""
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as packed:
        packed.writestr("person.json", json.dumps(found, indent=2, ensure_ascii=False))
        for file in found["files"]:
            there = folder / file["id"]
            if there.is_file():
                packed.writestr(f"files/{file['id']}/{file['name']}", there.read_bytes())
    return made.getvalue()


def _nobody(field: Field, part: Part, record: str, apart: bool) -> Any:
    """A value that is allowed and says nothing."""
    if field.type.name == "email":
        return f"erased-{record}@erased.invalid"
    if part.formula is Type.TEXT:
        try:
            return part.coerce(f"{ERASED} {record}" if apart else ERASED)
        except Invalid:
            pass  # an address or a number has a form of its own
    sample: Any = field.type.sample(field.spec, int(record[-6:], 16)).get(part.key)
    return None if sample is None else part.coerce(sample)


def _plain(plan: ObjectPlan, row: Mapping[str, Any]) -> dict[str, Any]:
    """A record as the API writes it, without secrets."""
    made = {}
    for key, value in row.items():
        field = plan.object.field_of.get(key)
        if field is not None and field.type.name == "secret":
            continue
        dump = plan.dump.get(key)
        made[key] = value if value is None or dump is None else dump(value)
    return made


__all__: Sequence[str] = ("Erasure", "Persons", "archive")
