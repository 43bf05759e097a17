"""The order of execution with one rule of every kind, as ``ratoon explain`` shows it and as a save carries it out."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from ratoon.platform.access.accounts import Accounts
from ratoon.platform.access.actor import SYSTEM
from ratoon.platform.environment import Environment
from ratoon.platform.records.drafts import Change
from ratoon.platform.records.order import explain

RULE = {"kind": "automation", "object": "deal", "label": "Rule"}
WORLD: list[dict[str, Any]] = [
    {"kind": "package", "name": "golden", "version": "1.0.0", "label": "Golden"},
    {"kind": "role", "name": "rep", "label": "Rep", "objects": {"deal": ["create", "read", "edit"]}},
    {"kind": "object", "name": "firm", "label": "Firm", "title": "name", "fields": [
        {"name": "name", "type": "text", "label": "Name"},
        {"name": "total", "type": "rollup", "label": "Total", "of": "deal", "via": "firm", "operation": "sum",
         "field": "net"},
    ]},
    {"kind": "object", "name": "deal", "label": "Deal", "title": "name", "fields": [
        {"name": "name", "type": "text", "label": "Name", "required": True},
        {"name": "firm", "type": "lookup", "object": "firm", "label": "Firm"},
        {"name": "amount", "type": "decimal", "scale": 2, "label": "Amount", "default": "10", "track_history": True},
        {"name": "net", "type": "formula", "label": "Net", "returns": "number", "scale": 2, "formula": "amount * 0.5"},
        {"name": "note", "type": "text", "label": "Note"},
        {"name": "stage", "type": "stage", "label": "Stage"},
    ], "rules": [{"name": "not_negative", "error_when": "amount < 0", "message": "No."}]},
    {"kind": "pipeline", "object": "deal", "name": "sales", "label": "Sales", "field": "stage", "stages": [
        {"name": "new", "label": "New", "category": "open"},
        {"name": "won", "label": "Won", "category": "won", "required_fields": ["firm"]},
    ]},
    {"kind": "object", "name": "task", "label": "Task", "title": "name",
     "fields": [{"name": "name", "type": "text", "label": "Name"}]},
    {**RULE, "name": "first", "on": ["created", "updated"], "when": "before",
     "actions": [{"type": "set_fields", "values": {"note": '"seen"'}}]},
    {**RULE, "name": "then", "on": ["stage_entered"], "stages": ["won"], "when": "after", "condition": "amount > 5",
     "actions": [{"type": "create_record", "object": "task", "values": {"name": "name"}}]},
    {**RULE, "name": "later", "on": ["created", "updated"], "when": "after_commit", "condition": "amount > 5",
     "actions": [{"type": "create_record", "object": "task", "values": {"name": "name"}}]},
    {**RULE, "name": "asleep", "on": ["created"], "when": "before", "status": "draft",
     "actions": [{"type": "set_fields", "values": {"note": '"draft"'}}]},
    {"kind": "assignment", "object": "deal", "name": "inbound", "label": "Inbound",
     "rules": [{"name": "all", "to": [{"role": "rep"}]}]},
    {"kind": "duplicate", "object": "deal", "name": "same", "label": "Same", "action": "block",
     "match": [{"field": "name"}]},
    {"kind": "approval", "object": "deal", "name": "discount", "label": "Discount",
     "steps": [{"name": "boss", "label": "Boss", "approvers": [{"role": "rep"}]}]},
]  # fmt: skip


@pytest.fixture
def world(open_world: Callable[..., Environment]) -> Environment:
    return open_world(WORLD)


def test_explain_shows_every_kind_of_rule_in_its_place(world: Environment) -> None:
    told = explain(world.registry, "deal", "created", world.reactions)
    assert [(step.number, part.kind, part.name) for step in told for part in step.parts] == [
        (3, "default", "amount"),
        (4, "automation", "first"),
        (4, "assignment", "inbound"),
        (5, "formula", "net"),
        (6, "lock while pending", "discount"),
        (6, "required", "name"),
        (7, "stage", "sales.won"),
        (8, "rule (error)", "not_negative"),
        (9, "duplicate rule (block)", "same"),
        (11, "automation", "then"),
        (12, "rollup", "firm.total"),
        (14, "history", "amount"),
        (15, "automation", "later"),
    ]


def test_a_save_goes_through_it_in_that_order(world: Environment) -> None:
    with world.write(SYSTEM) as records:
        Accounts(world.world).create_user(records, name="Rep", email="rep@x.example", password="Secret-pass-2026",
                                          roles=["rep"])  # fmt: skip
        (firm,) = records.create("firm", [{"name": "F"}])
    trace: list[Any] = []
    with world.write(SYSTEM, trace=trace) as records:
        (deal,) = records.create("deal", [{"name": "D", "firm": firm["id"], "stage": "new"}])
    assert [(t.step, t.depth, t.object, t.what) for t in trace] == [
        (4, 0, "deal", "first"),
        (4, 0, "deal", "inbound"),
        (8, 0, "deal", "not_negative"),
        (9, 0, "deal", "same"),
        (10, 0, "deal", "written"),
        (12, 0, "firm", "total"),
        (15, 0, "deal", "later"),
    ]
    trace.clear()
    with world.write(SYSTEM, trace=trace) as records:
        records.update("deal", [Change(deal["id"], {"stage": "won", "amount": "20"})])
    assert [(t.step, t.depth, t.object, t.what) for t in trace] == [
        (4, 0, "deal", "first"),
        (8, 0, "deal", "not_negative"),
        (10, 0, "deal", "written"),
        (11, 0, "deal", "then"),
        (10, 1, "task", "written"),
        (12, 0, "firm", "total"),
        (15, 0, "deal", "later"),
    ]
