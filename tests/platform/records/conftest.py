"""A small repair shop as documents: every rule of saving has something to hold on to."""

from __future__ import annotations

from typing import Any

import pytest


def field(name: str, kind: str, **options: Any) -> dict[str, Any]:
    return {"name": name, "type": kind, "label": name.replace("_", " ").title(), **options}


def obj(name: str, *fields: dict[str, Any], **more: Any) -> dict[str, Any]:
    label = name.replace("_", " ").title()
    return {
        "kind": "object", "name": name, "label": label, "plural_label": label + "s", "title": "name",
        "fields": [field("name", "text", required=True, searchable=True), *fields], **more,
    }  # fmt: skip


SHOP: list[dict[str, Any]] = [
    {"kind": "package", "name": "repairs", "version": "1.0.0", "label": "Repairs"},
    obj(
        "customer",
        field("parent", "hierarchy"),
        field("email", "email", unique=True),
        field("code", "text", external_id=True),
        field("vip", "boolean"),
        field("country", "text"),
        field("tags", "many_to_many", object="tag", attributes=[field("since", "date")], track_history=True),
        field(
            "open_jobs", "rollup", of="job", via="customer", operation="count", filter="NOT(ISPICKVAL(stage, 'done'))"
        ),
        field("spent", "rollup", of="job", via="customer", operation="sum", field="price"),
    ),
    obj("tag"),
    obj("device", field("customer", "lookup", object="customer", on_delete="restrict"), field("serial", "text")),
    obj(
        "job",
        field("number", "autonumber", format="JOB-{YYYY}-{0000}"),
        field("customer", "lookup", object="customer", on_delete="cascade", required=True),
        field("device", "lookup", object="device", filter="customer = $source.customer"),
        field("stage", "stage", track_history=True),
        field("price", "currency", precision=12, scale=2, track_history=True),
        field("express", "boolean"),
        field("due", "date", required_when="express"),
        field("coupon", "text", visible_when="NOT(express)"),
        field("final_note", "textarea", read_only_when="ISPICKVAL(stage, 'done')"),
        field("kind", "picklist", values=[{"value": "phone", "label": "Phone"}, {"value": "car", "label": "Car"}]),
        field("part", "picklist", depends_on="kind", values=[
            {"value": "screen", "label": "Screen", "for": ["phone"]},
            {"value": "wheel", "label": "Wheel", "for": ["car"]},
            {"value": "horn", "label": "Horn", "for": ["car"], "active": False},
        ]),
        field("customer_country", "formula", returns="text", formula="customer.country"),
        field("gross", "formula", returns="number", scale=2, formula="price * 1.19"),
        field("days_left", "formula", returns="number", scale=0, formula="due - TODAY()"),
        field("escalation", "text"),
        field("about", "polymorphic", objects=["customer", "device"]),
        rules=[
            {"name": "not_negative", "error_when": "price < 0", "message": "It is negative.", "field": "price"},
            {"name": "round", "error_when": "MOD(price, 10) <> 0", "message": "Not round.", "severity": "warning"},
            {"name": "no_discount_later", "error_when": "NOT(ISNEW()) && price < PRIORVALUE(price)",
             "message": "A price does not fall.", "field": "price"},
        ],
        keys=[{"name": "one_name_per_customer", "fields": ["customer", "name"]}],
    ),
    {
        "kind": "pipeline", "object": "job", "name": "standard", "label": "Standard", "field": "stage", "order": 2,
        "stages": [
            {"name": "new", "label": "New", "category": "open", "next": ["work", "dropped"]},
            {"name": "work", "label": "In work", "category": "open", "required_fields": ["price"],
             "entry": [{"error_when": "ISBLANK(kind)", "message": "Say what kind of thing it is."}],
             "exit": [{"error_when": "ISBLANK(final_note)", "message": "Write down what was done."}]},
            {"name": "done", "label": "Done", "category": "won", "next": []},
            {"name": "dropped", "label": "Dropped", "category": "lost"},
        ],
    },
    {
        "kind": "pipeline", "object": "job", "name": "express", "label": "Express", "field": "stage", "order": 1,
        "when": "express",
        "stages": [
            {"name": "rush", "label": "Rush", "category": "open"},
            {"name": "done", "label": "Done", "category": "won"},
        ],
    },
    {
        "kind": "automation", "object": "job", "name": "vip_first", "label": "VIP", "on": ["created"], "when": "before",
        "condition": "customer.vip",
        "actions": [{"type": "set_fields", "values": {"escalation": "'vip ' & customer.name"}}],
    },
    {
        "kind": "automation", "object": "job", "name": "note_on_customer", "label": "Note", "on": ["stage_entered"],
        "when": "after", "stages": ["done"],
        "actions": [{"type": "update_related", "path": "customer", "values": {"country": "'served'"}}],
    },
]  # fmt: skip

PING: list[dict[str, Any]] = [
    {"kind": "package", "name": "ping", "version": "1.0.0", "label": "Ping"},
    obj("ping", field("number", "integer"), field("other", "lookup", object="pong")),
    obj("pong", field("number", "integer"), field("other", "lookup", object="ping")),
    {
        "kind": "automation", "object": "ping", "name": "hit", "label": "Hit", "on": ["updated"], "when": "after",
        "fields": ["number"],
        "actions": [{"type": "update_related", "path": "other", "values": {"number": "number + 1"}}],
    },
    {
        "kind": "automation", "object": "pong", "name": "back", "label": "Back", "on": ["updated"], "when": "after",
        "fields": ["number"],
        "actions": [{"type": "update_related", "path": "other", "values": {"number": "number + 1"}}],
    },
]  # fmt: skip


@pytest.fixture
def shop(open_world: Any) -> Any:
    """The repair shop on an empty database."""
    return open_world(SHOP)


@pytest.fixture
def ping(open_world: Any) -> Any:
    """Two objects whose automations chase each other."""
    return open_world(PING)


@pytest.fixture
def an_object() -> Any:
    """Writes an object document: ``an_object(name, *fields, **more)``."""
    return obj


@pytest.fixture
def a_field() -> Any:
    """Writes a field: ``a_field(name, type, **options)``."""
    return field
