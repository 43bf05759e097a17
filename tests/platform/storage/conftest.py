"""A small company in storage: regions in a tree, customers, orders with lines. No rules, no services: only rows."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from sqlalchemy import Connection

from ratoon.platform.fields import builtin_types
from ratoon.platform.formulas import Formula, compile_formula
from ratoon.platform.formulas.types import EvalContext
from ratoon.platform.metadata.compile import compile_registry
from ratoon.platform.metadata.documents import Document
from ratoon.platform.metadata.model import Registry
from ratoon.platform.storage.database import Database
from ratoon.platform.storage.lists import ListRequest
from ratoon.platform.storage.schema import changes
from ratoon.platform.storage.schema_change import apply_changes
from ratoon.platform.storage.store import RecordStore
from ratoon.platform.storage.system_schema import create_system_tables
from ratoon.platform.storage.tables import Tables, stored_parts

NOW = datetime(2026, 11, 21, 8, 0, tzinfo=UTC)
LATER = datetime(2026, 11, 22, 8, 0, tzinfo=UTC)

REGION = {
    "name": "region",
    "label": "Region",
    "fields": [
        {"name": "name", "type": "text", "label": "Name"},
        {"name": "above", "type": "hierarchy", "label": "Part of"},
    ],
}
CUSTOMER = {
    "name": "customer",
    "label": "Customer",
    "fields": [
        {"name": "name", "type": "text", "label": "Name", "searchable": True},
        {"name": "code", "type": "text", "label": "Code", "external_id": True, "unique": True},
        {"name": "region", "type": "lookup", "label": "Region", "object": "region"},
        {"name": "industry", "type": "text", "label": "Industry"},
        {"name": "revenue", "type": "currency", "label": "Revenue"},
        {"name": "orders", "type": "rollup", "label": "Orders", "of": "order", "via": "customer", "operation": "count"},
        {
            "name": "won",
            "type": "rollup",
            "label": "Won",
            "of": "order",
            "via": "customer",
            "operation": "sum",
            "field": "amount",
            "filter": 'status = "won"',
        },
        {
            "name": "mean",
            "type": "rollup",
            "label": "Mean",
            "of": "order",
            "via": "customer",
            "operation": "avg",
            "field": "amount",
        },
        {
            "name": "last_day",
            "type": "rollup",
            "label": "Last day",
            "of": "order",
            "via": "customer",
            "operation": "max",
            "field": "day",
        },
        {
            "name": "home_orders",
            "type": "rollup",
            "label": "Orders in the home region",
            "of": "order",
            "via": "customer",
            "operation": "count",
            "filter": 'customer.region.name = "home"',
        },
    ],
    "keys": [{"name": "name_and_industry", "fields": ["name", "industry"]}],
    "indexes": [{"fields": ["industry", "name"]}],
}
ORDER = {
    "name": "order",
    "label": "Order",
    "fields": [
        {"name": "name", "type": "text", "label": "Name"},
        {"name": "customer", "type": "lookup", "label": "Customer", "object": "customer"},
        {"name": "status", "type": "text", "label": "Status"},
        {"name": "amount", "type": "decimal", "label": "Amount", "precision": 12, "scale": 2},
        {"name": "count", "type": "integer", "label": "Count"},
        {"name": "day", "type": "date", "label": "Day"},
        {"name": "at", "type": "time", "label": "At"},
        {"name": "urgent", "type": "boolean", "label": "Urgent"},
        {"name": "extra", "type": "json", "label": "Extra"},
        {"name": "age", "type": "formula", "label": "Age", "formula": "TODAY() - day", "returns": "number", "scale": 0},
    ],
    "indexes": [{"fields": ["amount"]}, {"fields": ["status", "amount"]}],
}


def compiled(*objects: Mapping[str, Any], revision: int = 1) -> Registry:
    """The registry of these object documents."""
    manifest = {"kind": "package", "name": "shop", "version": "1.0", "label": "Shop"}
    documents = [Document("manifest.json", "package", manifest, "shop")]
    for data in objects:
        full = {"kind": "object", "plural_label": f"{data['label']}s", "title": "name", **data}
        documents.append(Document(f"{data['name']}/object.json", "object", full, "shop"))
    return compile_registry(documents, types=builtin_types(), revision=revision)


@pytest.fixture(scope="session")
def registry_of() -> Callable[..., Registry]:
    """Makes the registry of object documents."""
    return compiled


@pytest.fixture(scope="session")
def registry() -> Registry:
    """Regions, customers and orders."""
    return compiled(REGION, CUSTOMER, ORDER)


class Shop:
    """An open database with the tables of a registry."""

    def __init__(self, database: Database, registry: Registry) -> None:
        self.database = database
        self.registry = registry
        self.store = RecordStore(registry, Tables(registry, database.dialect), database.dialect)
        self._numbers = itertools.count(1)

    def write(self) -> AbstractContextManager[Connection]:
        """A write transaction."""
        return self.database.write()

    def read(self) -> AbstractContextManager[Connection]:
        """A read."""
        return self.database.read()

    def new_id(self) -> str:
        """The next id; ids count up."""
        return f"01900000-0000-7000-8000-{next(self._numbers):012x}"

    def row(self, object: str, **values: Any) -> dict[str, Any]:
        """A whole row with these values, everything else blank."""
        row: dict[str, Any] = {part.key: None for part in stored_parts(self.registry[object])}
        row |= {"id": self.new_id(), "version": 1, "created_at": NOW, "modified_at": NOW}
        return row | values

    def add(self, object: str, *rows: Mapping[str, Any]) -> list[str]:
        """Writes rows with these values and returns their ids."""
        whole = [self.row(object, **row) for row in rows]
        with self.write() as conn:
            self.store.insert(conn, object, whole)
        return [row["id"] for row in whole]

    def formula(self, object: str, source: str) -> Formula:
        """A filter over an object."""
        return compile_formula(source, self.registry.scopes[object])

    def names(self, object: str, **wanted: Any) -> list[str]:
        """The names on one page of a list."""
        if isinstance(wanted.get("filter"), str):
            wanted["filter"] = self.formula(object, wanted["filter"])
        wanted.setdefault("context", EvalContext(now=NOW))
        with self.read() as conn:
            return [row["name"] for row in self.store.lists.fetch(conn, ListRequest(object, **wanted)).rows]


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    """An open, empty database with the platform's own tables."""
    opened = Database.open(database_url)
    with opened.write() as conn:
        create_system_tables(conn)
    yield opened
    opened.dispose()


@pytest.fixture
def shop(database: Database, registry: Registry) -> Shop:
    """The shop with its tables, empty."""
    with database.write() as conn:
        apply_changes(conn, changes(None, registry, database.dialect))
    return Shop(database, registry)


def money(text: str) -> Decimal:
    """A decimal."""
    return Decimal(text)
