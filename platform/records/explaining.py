"""Why a computed field says what it says: the parts of its formula with their values, or the records of its rollup.

Under the rights of whoever asks: a field that one may not read is not there, and a formula that reads something one may
not see is answered with its value alone.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ratoon.platform.errors import NotFound, RatoonError
from ratoon.platform.formulas import Formula
from ratoon.platform.formulas.explain import Part, explain
from ratoon.platform.formulas.tree import MANY
from ratoon.platform.metadata.model import Field, Object
from ratoon.platform.records.reading import context_of, fetch_one, require_readable
from ratoon.platform.storage.lists import ListRequest

if TYPE_CHECKING:
    from ratoon.platform.records.service import RecordService

RECORDS = 20
"""Records of a rollup that are named."""


@dataclass(frozen=True)
class Counted:
    """A record that a rollup goes over."""

    id: str
    title: str
    value: Any


@dataclass(frozen=True)
class Explanation:
    """What a computed field says and why."""

    object: Object
    field: Field
    value: Any
    formula: str = ""
    part: Part | None = None
    """The formula's parts; ``None`` for a rollup, and when the reader may not see what it is worked out from."""
    hidden: bool = False
    """True when it depends on something that the reader may not see."""
    records: tuple[Counted, ...] = ()
    more: bool = False
    """True when the rollup goes over more records than ``records`` has."""


def explain_field(service: RecordService, object: str, record: str, name: str) -> Explanation:
    """Why a formula or rollup field of a record has its value. Raises ``NotFound`` for anything else."""
    plan = service.plan(object)
    found = plan.object.fields.get(name)
    readable = service.engine.policy.readable_keys(service.actor, object)
    if found is None or name not in readable or (found.formula is None and found.rollup is None):
        raise NotFound("{object} has no computed field {field}.", object=object, field=name)
    value = fetch_one(service, object, record, [name], ())[name]
    if found.rollup is not None:
        return _rollup(service, plan.object, found, record, value)
    assert found.formula is not None
    source = found.formula.source
    if not _open(service, plan.object, found.formula):
        return Explanation(plan.object, found, value, hidden=True)
    context = context_of(service)
    store = service.engine.store
    paths = {p for _, f in plan.volatile for p in (*f.paths, *found.formula.paths) if "." in p and p[0] != "$"}
    paths |= {p for p in found.formula.paths if "." in p and p[0] != "$"}
    rows = store.load(service.connection, object, [record], paths=sorted(paths), context=context)
    row = rows[record]
    for key, formula in plan.volatile:
        try:
            row[key] = plan.fit(key, formula.evaluate(row, context))
        except RatoonError:
            row[key] = None
    return Explanation(plan.object, found, value, source, explain(found.formula, row, context))


def _open(service: RecordService, obj: Object, formula: Formula) -> bool:
    """True when the actor may read everything the formula reads: fields, objects, and all related records."""
    if service.actor.admin:
        return True
    try:
        for path in formula.paths:
            if not path.startswith("$"):
                require_readable(service, obj, path, "field")
    except RatoonError:
        return False
    policy = service.engine.policy
    return not any(policy.row_filter(service.actor, target, "read") for target in _objects(service, obj, formula))


def _objects(service: RecordService, obj: Object, formula: Formula) -> Iterator[str]:
    """The objects whose records a formula reads beside its own."""
    for path in formula.paths:
        here = obj
        for step in path.split(".")[:-1] if not path.startswith("$") else ():
            child, many, _ = step.partition(MANY)
            here = service.engine.registry[child if many else here.field_of[step].targets[0]]
            yield here.name


def _rollup(service: RecordService, obj: Object, found: Field, record: str, value: Any) -> Explanation:
    rollup = found.rollup
    assert rollup is not None
    policy, actor = service.engine.policy, service.actor
    child = service.engine.registry[rollup.child]
    keys = policy.readable_keys(actor, child.name)
    words = f"{rollup.operation.upper()}({child.name}" + (f".{rollup.key})" if rollup.key else ")")
    closed = (rollup.key is not None and rollup.key not in keys) or child.title not in keys or rollup.via not in keys
    if (
        not policy.may(actor, child.name, "read")
        or closed
        or (rollup.filter and not _open(service, child, rollup.filter))
    ):
        return Explanation(obj, found, value, hidden=True)
    table = service.engine.store.tables.table(child.name)
    request = ListRequest(
        object=child.name,
        fields=tuple(dict.fromkeys(k for k in (child.title, rollup.key) if k)),
        filter=rollup.filter,
        where=(table.c[rollup.via] == record, *policy.row_filter(actor, child.name, "read")),
        limit=RECORDS,
        context=context_of(service),
    )
    page = service.engine.store.lists.fetch(service.connection, request)
    counted = (Counted(r["id"], str(r.get(child.title) or ""), r.get(rollup.key or "")) for r in page.rows)
    return Explanation(obj, found, value, words, None, False, tuple(counted), page.next is not None)
