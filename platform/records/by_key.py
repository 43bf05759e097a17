"""Lookups given by an external id of the record they point at: ``account.external_ref`` instead of ``account``.

Imports and the reference data of packages are written so, because ids differ from one environment to another.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ratoon.platform.errors import Invalid, Problem, ValidationFailed
from ratoon.platform.metadata.model import Object
from ratoon.platform.records.service import RecordService


def resolved(records: RecordService, object: str, values: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """The records with ``account.external_ref`` replaced by ``account``. Raises ``ValidationFailed``."""
    made = [dict(given) for given in values]
    problems: list[Problem] = []
    for column in dict.fromkeys(key for given in values for key in given if "." in key):
        name, _, key = column.partition(".")
        places = [index for index, given in enumerate(values) if column in given]
        target = _target(records, records.plan(object).object, name, key)
        if isinstance(target, str):
            problems += [Problem("unknown_field", target, column, index=index) for index in places]
            continue
        typed: dict[int, Any] = {}
        for index in places:
            try:
                typed[index] = records.plan(target.name).coerce[key](made[index].pop(column))
            except Invalid as refusal:
                problems.append(Problem(refusal.problem_code, refusal.message, column, refusal.params, index=index))
        ids = _ids(records, target, key, {value for value in typed.values() if value is not None})
        for index, value in typed.items():
            if value is not None and value not in ids:
                message = "There is no {object} whose {key} is {value}."
                shown = {"object": target.name, "key": key, "value": value}
                problems.append(Problem("unknown_reference", message, column, shown, index=index))
            elif value is not None or name not in made[index]:
                made[index][name] = ids.get(value)
    if problems:
        raise ValidationFailed(problems)
    return made


def _target(records: RecordService, obj: Object, name: str, key: str) -> Object | str:
    """The object among which ``name.key`` looks; a text says why there is none."""
    lookup, policy = obj.fields.get(name), records.engine.policy
    known = policy.readable_keys(records.actor, obj.name) | policy.editable_keys(records.actor, obj.name)
    if lookup is None or len(lookup.targets) != 1 or name not in known:
        return f"{name} is not a lookup of {obj.name} to one object."
    target = records.plan(lookup.targets[0]).object
    readable = policy.readable_keys(records.actor, target.name)
    fitting = [f.name for f in target.fields.values() if (f.external_id or f.unique) and f.name in readable]
    if key not in fitting:
        # A hidden key is answered like one that is not there.
        fit = ", ".join(f"{name}.{other}" for other in fitting)
        return f"{key} is not an external id or unique field of {target.name}." + (f" There is {fit}." if fit else "")
    return target


def _ids(records: RecordService, target: Object, key: str, wanted: set[Any]) -> dict[Any, str]:
    """Value → id of the records that the actor may see, in two queries at most."""
    store, connection = records.engine.store, records.connection
    found = store.existing(connection, target.name, key, wanted)
    where = records.engine.policy.row_filter(records.actor, target.name, "read")
    if not where:
        return found
    seen = store.visible(connection, target.name, list(found.values()), where)
    return {value: record for value, record in found.items() if record in seen}
