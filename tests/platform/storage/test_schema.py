"""From one registry to the next: tables grow, nothing is lost, and everything happens in one transaction."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pytest
from sqlalchemy import inspect

from ratoon.platform.errors import Conflict
from ratoon.platform.metadata.model import Registry
from ratoon.platform.storage.database import Database
from ratoon.platform.storage.schema import changes
from ratoon.platform.storage.schema_change import Change, apply_changes
from ratoon.platform.storage.store import RecordStore
from ratoon.platform.storage.tables import Tables

NOW = datetime(2026, 11, 21, 8, 0, tzinfo=UTC)
ID = "01900000-0000-7000-8000-000000000001"
NAME = {"name": "name", "type": "text", "label": "Name"}


@pytest.fixture
def registries(registry_of: Any) -> Any:
    """Makes a registry of objects given as name → fields."""

    def make(**objects: Any) -> Registry:
        documents = []
        for name, fields in objects.items():
            extra: Mapping[str, Any] = {}
            if isinstance(fields, tuple):
                fields, extra = fields
            documents.append({"name": name, "label": name, "fields": [NAME, *fields], **extra})
        return registry_of(*documents)

    return make


class Evolving:
    """A database whose registry changes."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.registry: Registry | None = None
        self.store: RecordStore = None  # type: ignore[assignment]

    def become(self, registry: Registry) -> list[Change]:
        """Applies the difference."""
        wanted = changes(self.registry, registry, self.database.dialect)
        with self.database.write() as conn:
            apply_changes(conn, wanted)
        self.registry = registry
        self.store = RecordStore(registry, Tables(registry, self.database.dialect), self.database.dialect)
        return wanted

    def insert(self, object: str, *rows: Mapping[str, Any]) -> None:
        """Writes rows with these values."""
        blank = {c.key: None for c in self.store.tables.table(object).c if c.key != "deletion_id"}
        system = {"version": 1, "created_at": NOW, "modified_at": NOW}
        with self.database.write() as conn:
            self.store.insert(conn, object, [{**blank, **system, **row} for row in rows])

    def load(self, object: str, id: str = ID) -> dict[str, Any]:
        """One row."""
        with self.database.read() as conn:
            return self.store.load(conn, object, [id])[id]


@pytest.fixture
def evolving(database: Database) -> Evolving:
    """An empty database."""
    return Evolving(database)


def number(scale: int, precision: int = 12) -> dict[str, Any]:
    """A decimal field."""
    return {"name": "n", "type": "decimal", "label": "N", "precision": precision, "scale": scale}


def test_tables_may_refer_to_one_another_in_a_circle(evolving: Evolving, registries: Any) -> None:
    to_b = {"name": "b", "type": "lookup", "label": "B", "object": "b"}
    to_a = {"name": "a", "type": "lookup", "label": "A", "object": "a"}
    wanted = evolving.become(registries(a=[to_b], b=[to_a]))
    assert all(change.sql for change in wanted)
    two = ID.replace("1", "2", 1)
    evolving.insert("a", {"id": ID})
    evolving.insert("b", {"id": two, "a": ID})
    with pytest.raises(Conflict, match="not there"):
        evolving.insert("b", {"id": ID, "a": two})


def test_nothing_changes_when_nothing_changed(evolving: Evolving, registries: Any) -> None:
    evolving.become(registries(a=[number(2)]))
    assert evolving.become(registries(a=[number(2)])) == []


def test_a_new_field_finds_its_column_in_a_table_with_data(evolving: Evolving, registries: Any) -> None:
    evolving.become(registries(a=[], b=[]))
    evolving.insert("a", {"id": ID, "name": "x"})
    lookup = {"name": "b", "type": "lookup", "label": "B", "object": "b"}
    unique = {"name": "code", "type": "text", "label": "Code", "unique": True}
    wanted = evolving.become(registries(a=[number(2), lookup, unique], b=[]))
    assert [(c.kind, c.name) for c in wanted if c.kind == "add_column"] == [
        ("add_column", "n"), ("add_column", "b"), ("add_column", "code"),
    ]  # fmt: skip
    assert not any(change.destructive for change in wanted)
    assert evolving.load("a")["n"] is None
    with evolving.database.write() as conn:
        evolving.store.update(conn, "a", ("n", "code"), [{"id": ID, "n": Decimal("1.25"), "code": "1"}])
    assert evolving.load("a")["n"] == Decimal("1.25")
    with pytest.raises(Conflict, match="not there"), evolving.database.write() as conn:
        evolving.store.update(conn, "a", ("b",), [{"id": ID, "b": ID}])
    with pytest.raises(Conflict, match="same value"):
        evolving.insert("a", {"id": ID.replace("1", "3", 1), "code": "1"})


def test_what_comes_back_finds_its_data(evolving: Evolving, registries: Any) -> None:
    evolving.become(registries(a=[number(2)], b=[number(2)]))
    evolving.insert("a", {"id": ID, "n": Decimal("1.25")})
    evolving.insert("b", {"id": ID, "n": Decimal("2.50")})
    assert {change.kind for change in evolving.become(registries(a=[]))} == {"keep_data"}
    evolving.become(registries(a=[number(2)], b=[number(2), {"name": "more", "type": "text", "label": "More"}]))
    assert evolving.load("a")["n"] == Decimal("1.25")
    assert evolving.load("b")["n"] == Decimal("2.50")
    assert evolving.load("b")["more"] is None


def test_a_failure_half_way_leaves_nothing(evolving: Evolving, registries: Any) -> None:
    evolving.become(registries(a=[]))
    evolving.insert("a", {"id": ID, "name": "same"}, {"id": ID.replace("1", "2", 1), "name": "same"})
    before = evolving.registry
    unique = {"keys": [{"name": "by_name", "fields": ["name"]}]}
    with pytest.raises(Conflict, match="same value"):
        evolving.become(registries(a=([number(2)], unique), c=[]))
    assert evolving.registry is before
    with evolving.database.read() as conn:
        looked = inspect(conn)
        assert "n" not in {c["name"] for c in looked.get_columns("a")}
        assert not looked.has_table("c")


def test_indexes_follow_the_metadata(evolving: Evolving, registries: Any) -> None:
    declared = {"indexes": [{"fields": ["name"]}]}
    kinds = [c.kind for c in evolving.become(registries(a=([], declared)))]
    assert kinds.count("create_index") >= 3
    dropped = evolving.become(registries(a=[]))
    assert [c.kind for c in dropped] == ["drop_index"]
    again = evolving.become(registries(a=([], declared)))
    assert [c.kind for c in again] == ["create_index"]
    assert all(len(c.name) <= 60 for c in again)


@pytest.mark.parametrize(
    ("was", "becomes", "before", "after", "loses"),
    [
        (number(2), number(4), "1.25", "1.2500", True),
        (number(2), number(4, precision=14), "1.25", "1.2500", False),
        (number(2), number(1), "1.25", "1.3", True),
        (number(2), number(1), "-1.25", "-1.3", True),
        (number(2), number(0), "0.49", "0", True),
        ({"name": "n", "type": "integer", "label": "N"}, number(2), 7, "7.00", False),
    ],
)
def test_numbers_keep_their_value_when_the_scale_changes(
    evolving: Evolving, registries: Any, was: Any, becomes: Any, before: Any, after: str, loses: bool
) -> None:
    evolving.become(registries(a=[was]))
    evolving.insert("a", {"id": ID, "n": before if isinstance(before, int) else Decimal(before)})
    (change,) = evolving.become(registries(a=[becomes]))
    assert change.kind == "change_type"
    assert change.destructive == loses
    assert str(evolving.load("a")["n"]) == after


def test_other_types_are_converted_row_by_row_and_the_old_column_stays(evolving: Evolving, registries: Any) -> None:
    two = ID.replace("1", "2", 1)
    text = {"name": "n", "type": "text", "label": "N"}
    evolving.become(registries(a=([text], {"indexes": [{"fields": ["n"]}]})))
    evolving.insert("a", {"id": ID, "n": "2026-11-21"}, {"id": two, "n": "not a day"})
    wanted = evolving.become(registries(a=([{**text, "type": "date"}], {"indexes": [{"fields": ["n"]}]})))
    assert [c.kind for c in wanted if c.destructive] == ["change_type"]
    assert evolving.load("a")["n"] == date(2026, 11, 21)
    assert evolving.load("a", two)["n"] is None
    with evolving.database.read() as conn:
        assert ["n", "id"] in [index["column_names"] for index in inspect(conn).get_indexes("a")]
    evolving.become(registries(a=[text]))
    assert evolving.load("a")["n"] == "2026-11-21"
    with evolving.database.read() as conn:
        indexed = [index["column_names"] for index in inspect(conn).get_indexes("a")]
        assert ["n", "id"] not in indexed
        aside = [c["name"] for c in inspect(conn).get_columns("a") if c["name"].startswith("n__")]
    assert len(aside) == 2


def test_a_column_called_select_and_a_table_called_order_are_quoted(evolving: Evolving, registries: Any) -> None:
    odd = {"name": "limit", "type": "text", "label": "Limit"}
    evolving.become(registries(group=[odd]))
    evolving.insert("group", {"id": ID, "limit": "x"})
    assert evolving.load("group")["limit"] == "x"


def test_a_lookup_that_points_somewhere_else_starts_blank(evolving: Evolving, registries: Any) -> None:
    def to(target: str) -> dict[str, Any]:
        return {"name": "link", "type": "lookup", "label": "Link", "object": target}

    evolving.become(registries(a=[to("b")], b=[], c=[]))
    evolving.insert("b", {"id": ID})
    evolving.insert("a", {"id": ID, "link": ID})
    evolving.become(registries(a=[to("c")], b=[], c=[]))
    assert evolving.load("a")["link"] is None
    with pytest.raises(Conflict, match="not there"), evolving.database.write() as conn:
        evolving.store.update(conn, "a", ("link",), [{"id": ID, "link": ID}])
    evolving.become(registries(a=[to("b")], b=[], c=[]))
    with evolving.database.write() as conn:
        evolving.store.update(conn, "a", ("link",), [{"id": ID, "link": ID}])


def test_rows_and_columns_may_be_added_in_one_transaction(evolving: Evolving, registries: Any) -> None:
    link = {"name": "link", "type": "lookup", "label": "Link", "object": "b"}
    evolving.become(registries(a=[link], b=[]))
    after = registries(a=[link, number(2), {**link, "name": "other"}], b=[])
    wanted = changes(evolving.registry, after, evolving.database.dialect)
    system = {"version": 1, "created_at": NOW, "modified_at": NOW}
    with evolving.database.write() as conn:
        for object, row in (("a", {"id": ID, "link": ID}), ("b", {"id": ID})):
            blank = {c.key: None for c in evolving.store.tables.table(object).c if c.key != "deletion_id"}
            evolving.store.insert(conn, object, [{**blank, **system, **row}])
        apply_changes(conn, wanted)
        newer = RecordStore(after, Tables(after, evolving.database.dialect), evolving.database.dialect)
        newer.update(conn, "a", ("n", "other"), [{"id": ID, "n": Decimal("1.5"), "other": ID}])
    with evolving.database.read() as conn:
        assert newer.load(conn, "a", [ID])[ID]["n"] == Decimal("1.50")
