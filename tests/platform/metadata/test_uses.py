"""Where a field is used: columns, sorts, formulas through lookups and over related records."""

from __future__ import annotations

from typing import Any

from ratoon.platform.fields import builtin_types
from ratoon.platform.metadata.compile import compile_registry
from ratoon.platform.metadata.documents import Document, place
from ratoon.platform.metadata.uses import uses_of

SHOP: list[dict[str, Any]] = [
    {"kind": "object", "name": "bill", "label": "Bill", "plural_label": "Bills", "title": "name",
     "fields": [{"name": "name", "type": "text", "label": "Name"},
                {"name": "total", "type": "formula", "label": "T", "returns": "number", "formula": "SUM(lines.price)"}],
     "rules": [{"name": "r", "error_when": 'CONTAINS(name, "price")', "message": "No."}]},
    {"kind": "object", "name": "line", "label": "Line", "plural_label": "Lines", "title": "name",
     "fields": [{"name": "name", "type": "text", "label": "Name"},
                {"name": "price", "type": "decimal", "label": "Price"},
                {"name": "bill", "type": "lookup", "label": "Bill", "object": "bill"},
                {"name": "twice", "type": "formula", "label": "Twice", "returns": "number", "formula": "price * 2"}]},
    {"kind": "view", "object": "line", "name": "dear", "label": "Dear", "columns": ["name", "price"],
     "filter": "price > 10", "sort": ["-price"]},
]  # fmt: skip


def test_every_place_that_names_a_field_is_found() -> None:
    documents = [Document(place(d["kind"], d), d["kind"], d, "p") for d in SHOP]
    documents.append(
        Document("manifest.json", "package", {"kind": "package", "name": "p", "version": "1", "label": "P"}, "p")
    )
    registry = compile_registry(documents, types=builtin_types(), trusted=True)
    found = {(use.file, use.text.lstrip("-")) for use in uses_of(documents, registry, "line", "price")}
    assert found == {
        ("bill/object.json", "SUM(lines.price)"),
        ("line/object.json", "price * 2"),
        ("line/views/dear.json", "price"),
        ("line/views/dear.json", "price > 10"),
    }
    assert [use.text for use in uses_of(documents, registry, "bill", "name")] == ['CONTAINS(name, "price")']
