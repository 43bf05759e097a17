"""Many records in one call are kept as the same records made one by one, whatever way they travel to the database."""

from __future__ import annotations

from typing import Any

import pytest

from ratoon.platform.access.actor import SYSTEM
from ratoon.platform.api.rows import Writer
from ratoon.platform.errors import Conflict, ValidationFailed
from ratoon.platform.fields import builtin_types
from ratoon.platform.records.reading import Query
from ratoon.platform.storage import writing

CHOICES = [{"value": "one", "label": "One"}, {"value": "two", "label": "Two"}]
TYPES = [
    kind
    for name in builtin_types().declarable()
    if not (kind := builtin_types()[name]).computed
    and not kind.reference
    and name not in ("stage", "many_to_many", "file", "image")
]
THINGS: list[dict[str, Any]] = [
    {"kind": "package", "name": "things", "version": "1.0.0", "label": "Things"},
    {
        "kind": "object", "name": "thing", "label": "Thing", "plural_label": "Things", "title": "title",
        "fields": [
            {"name": "title", "type": "text", "label": "Title", "searchable": True},
            {"name": "code", "type": "text", "label": "Code", "unique": True},
            {"name": "body", "type": "textarea", "label": "Body", "searchable": True},
            {"name": "a_fine", "type": "decimal", "label": "Fine", "scale": 8},
            *(
                {"name": f"a_{kind.name}", "type": kind.name, "label": kind.label}
                | ({"values": CHOICES} if "picklist" in kind.name else {})
                for kind in TYPES
            ),
        ],
    },
]  # fmt: skip
HARD = ("a\tb\nc", "back\\slash", "\\N", "\\.", "'quo\"ted'", "华为 & Söhne", "%s ? {}", ",;|", "x" * 2000, "")
SYSTEM_KEYS = {"id", "code", "created_at", "modified_at"}


def values(environment: Any, number: int) -> dict[str, Any]:
    """A thing with everything filled in, or every third field left out."""
    made: dict[str, Any] = {"title": f"Thing {number} 华为", "body": HARD[number % len(HARD)]}
    for place, field in enumerate(environment.registry["thing"].fields.values()):
        if field.name.startswith("a_") and (number % 3 or place % 3):
            made |= field.type.sample(field.spec, number)
    return made


def test_a_bulk_keeps_every_type_of_field_as_single_records_are_kept(open_world: Any) -> None:
    environment = open_world(THINGS)
    many = writing.COPY_FROM + 10
    wanted = [values(environment, number) for number in range(many)]
    with environment.write(SYSTEM) as records:
        together = records.create("thing", [{**given, "code": f"B{n}"} for n, given in enumerate(wanted)])
        alone = [records.create("thing", [{**given, "code": f"S{n}"}])[0] for n, given in enumerate(wanted)]
    with environment.read(SYSTEM) as records:
        for one, other in zip(together, alone, strict=True):
            read, expected = records.get("thing", one["id"]), records.get("thing", other["id"])
            assert {k: v for k, v in read.items() if k not in SYSTEM_KEYS} == {
                k: v for k, v in expected.items() if k not in SYSTEM_KEYS
            }
            assert {k: v for k, v in one.items() if k not in SYSTEM_KEYS} == {
                k: v for k, v in other.items() if k not in SYSTEM_KEYS
            }
            assert [h["action"] for h in records.history("thing", one["id"])] == ["created"]
            assert records.history("thing", one["id"])[0]["by"] is None
        for number in (0, 7, many - 1):
            found = {id for _, id, _ in records.search(f"thing {number} 华为", limit=50)}
            assert found == {together[number]["id"], alone[number]["id"]}


def test_a_bulk_is_refused_as_a_whole(open_world: Any) -> None:
    environment = open_world(THINGS)
    wanted: list[dict[str, Any]] = [{"title": f"T{n}", "code": f"C{n}"} for n in range(60)]
    with pytest.raises(ValidationFailed), environment.write(SYSTEM) as records:
        records.create("thing", [*wanted, {"title": "twice", "code": "C7"}])

    def again(records: Any) -> None:
        made = records.create("thing", wanted)
        blank = environment.engine.plans["thing"].blank_row
        environment.engine.store.insert(records.connection, "thing", [{**blank, **row} for row in made])

    with pytest.raises(Conflict):
        environment.transact(SYSTEM, again)
    with environment.read(SYSTEM) as records:
        assert records.aggregate("thing") == [{"count": 0}]
        assert records.search("twice") == []


def test_a_page_that_is_only_written_out_reads_the_same(open_world: Any) -> None:
    environment = open_world(THINGS)
    numbers = ("0", "-0.00000001", "1e-8", "1234567.5", None)
    wanted = [
        {**values(environment, n), "a_fine": numbers[n % 5], "a_decimal": numbers[n % 5 and 3]} for n in range(30)
    ]
    with environment.write(SYSTEM) as records:
        records.create("thing", wanted)
    writer = Writer(environment.registry)
    for sort in (["title"], ["-a_fine"], ["a_currency", "title"]):
        pages: dict[bool, list[bytes]] = {True: [], False: []}
        for written, found in pages.items():
            cursor = None
            with environment.read(SYSTEM) as records:
                while cursor is not None or not found:
                    page = records.list(Query("thing", sort=sort, limit=7, cursor=cursor, written=written))
                    found.append(writer.many("thing", page.records))
                    cursor = page.next_cursor
        assert pages[True] == pages[False]
        assert len(pages[True]) == 5
