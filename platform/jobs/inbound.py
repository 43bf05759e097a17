"""Calls from outside that start an automation: their JSON becomes a record, by the rights of the token with them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ratoon.platform.automation.deferring import start
from ratoon.platform.errors import BadRequest, NotFound
from ratoon.platform.jobs.dates import matching
from ratoon.platform.metadata.trigger_model import Inbound
from ratoon.platform.records.service import RecordService


def receive(records: RecordService, object: str, name: str, body: Any, *, acknowledge: bool = False) -> dict[str, Any]:
    """Makes or changes the record that the mapping describes, and starts the automation on it, in one transaction.

    ``acknowledge``: warnings (a possible duplicate) do not keep it out. Raises what saving raises, ``BadRequest`` when
    the JSON has nothing that the mapping names, and ``NotFound`` for an automation that takes no calls.
    """
    obj = records.plan(object).object
    automation = next((a for a in obj.automations if a.name == name and a.triggers.inbound is not None), None)
    if automation is None or automation.triggers.inbound is None:
        raise NotFound("{object} has no automation {name} that takes calls.", object=object, name=name)
    records.engine.policy.require(records.actor, object, "create")
    inbound = automation.triggers.inbound
    values = mapped(inbound, body)
    if not values:
        paths = ", ".join(sorted(set(inbound.mapping.values())))
        raise BadRequest("The JSON has none of the values that {rule} takes: {paths}.",
                         rule=automation.full_name, paths=paths)  # fmt: skip
    if inbound.key is None:
        (record,) = records.create(object, [values], acknowledge=acknowledge)
        created = True
    else:
        ((record, created),) = records.upsert(object, inbound.key, [values], acknowledge=acknowledge)
    fits, unclear = matching(records, automation, [record["id"]])
    run = start(records, automation, "inbound", fits or unclear, check=not fits) if fits or unclear else []
    return {"id": record["id"], "created": created, "run": run[0] if run else None}


def mapped(inbound: Inbound, body: Any) -> dict[str, Any]:
    """The record's values out of the JSON; a path that is not there gives nothing."""
    found: dict[str, Any] = {}
    for key, path in inbound.mapping.items():
        there, value = _at(body, path.split("."))
        if there:
            found[key] = value
    return found


def _at(value: Any, steps: list[str]) -> tuple[bool, Any]:
    for step in steps:
        if isinstance(value, Mapping) and step in value:
            value = value[step]
        elif isinstance(value, list) and step.isascii() and step.isdigit() and int(step) < len(value):
            value = value[int(step)]
        else:
            return False, None
    return True, value
