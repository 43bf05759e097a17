"""What the platform itself tells people: in their language, from the templates that have a purpose (``"for"``).

    tell(records, [user], "assignment", "assignment", {"assignment": {…}}, object="lead", record=id, key=…)

The built-in templates are in the ``system`` package; an installation replaces them (``metadata/templates.py``).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ratoon.platform.access.accounts import Accounts
from ratoon.platform.access.actor import Actor
from ratoon.platform.automation.rendering import (
    Reader,
    TemplateFailed,
    installation_reader,
    reader_of,
    render_all,
    values_of,
)
from ratoon.platform.metadata.model import Registry
from ratoon.platform.metadata.template_model import template_for
from ratoon.platform.records.reading import context_of
from ratoon.platform.records.service import RecordService
from ratoon.platform.storage.notification_ways import Way, ways
from ratoon.platform.storage.notifications import Notification, notify


def readers(records: RecordService, users: Sequence[str]) -> dict[str, Reader]:
    """The active ones of these users, with their language and zone."""
    default = installation_reader(records.engine.organization)
    rows = records.engine.store.load(records.connection, "user", list(users))
    return {user: reader_of(rows[user], default) for user in users if user in rows and rows[user]["active"]}


def say(
    records: RecordService,
    purpose: str,
    names: Mapping[str, Any],
    reader: Reader,
    *,
    object: str | None = None,
    record: str | None = None,
    template: str | None = None,
    by: Actor | None = None,
) -> dict[str, str]:
    """Subject, text and HTML for a purpose. ``records`` are the reader's: the template may read the record that it is
    about as far as the reader may. ``by``: who caused it, when that is somebody else. Raises ``TemplateFailed``."""
    registry, engine = records.engine.registry, records.engine
    chosen = registry.templates.get(template or "") or template_for(registry.templates, purpose, object)
    known: dict[str, Any] = {
        "record": {}, "organization": dict(engine.organization), "user": dict((by or records.actor).facts), "url": "",
    }  # fmt: skip
    if chosen.object is not None and record is not None:
        row = _as_seen(records, chosen.object, record, chosen.paths)
        known["record"] = values_of(registry, registry[chosen.object], row, chosen.paths, reader)
    return render_all(chosen, {**known, **names}, reader)


def tell(
    records: RecordService,
    users: Iterable[str],
    kind: str,
    purpose: str,
    names: Mapping[str, Any],
    *,
    object: str,
    record: str,
    key: str,
    rule: str | None = None,
    way: Way | None = None,
    brief: bool = False,
) -> None:
    """Notifies users about a record, in the caller's transaction; each once per ``key``.

    Labels among the names are written as (text, package); ``title`` becomes what the reader may know the record as.
    ``brief``: the template is one of mails, of which only the
    subject is used, with the step below it. A replaced template that cannot be filled in gives way to the built-in
    one: what is told must not depend on it."""
    registry, by = records.engine.registry, records.actor
    for user, reader in readers(records, list(users)).items():
        theirs = _read_by(records, user)
        title = theirs.titles(object, [record]).get(record) or record
        here = {name: _titled(in_words(value, registry, reader), title) for name, value in names.items()}
        try:
            texts = say(theirs, purpose, here, reader, object=object, record=record, by=by)
        except TemplateFailed:
            texts = say(theirs, purpose, here, reader, template=f"ratoon_{purpose}", by=by)
        body = str(here["approval"]["step"]) if brief else texts.get("text", "")
        notify(
            records.connection, records.engine.world, user, texts["subject"], body, object=object, record=record,
            key=f"{key}/{user}", rule=rule, kind=kind, way=way or ways(records.connection, user)[kind],
        )  # fmt: skip


def _read_by(records: RecordService, user: str) -> RecordService:
    """The same transaction as the user would read in it; somebody without any right when there is none."""
    actor = Accounts(records.engine.world).actor_for_user(records.connection, user)
    return RecordService(records.engine, records.connection, actor or Actor(id=user, name=""))


def _titled(value: Any, title: str) -> Any:
    return {**value, "title": title} if isinstance(value, Mapping) and "title" in value else value


def _as_seen(records: RecordService, object: str, record: str, paths: Iterable[str]) -> dict[str, Any]:
    """What these paths of a record lead to, as far as the reader may see every step; the rest is blank."""
    engine, actor = records.engine, records.actor
    policy, registry = engine.policy, engine.registry
    allowed = [path for path in paths if policy.reads(actor, object, path)]
    if record not in records.titles(object, [record]):
        return {}
    steps = {path: _steps(registry, object, path) for path in allowed if "." in path}
    wanted = {*steps, *(f"{lookup}.id" for there in steps.values() for lookup, _ in there)}
    loaded = engine.store.load(records.connection, object, [record], paths=wanted, context=context_of(records))
    row = loaded.get(record, {})

    def seen(lookup: str, target: str) -> bool:
        id = row.get(f"{lookup}.id")
        return id is None or actor.admin or id in records.titles(target, [id])

    return {path: row.get(path) for path in allowed if all(seen(*step) for step in steps.get(path, ()))}


def _steps(registry: Registry, object: str, path: str) -> list[tuple[str, str]]:
    """(path of the lookup, object behind it) of every lookup on a path."""
    here, found = object, []
    names = path.split(".")
    for place, name in enumerate(names[:-1], 1):
        here = registry[here].field_of[name].targets[0]
        found.append((".".join(names[:place]), here))
    return found


def in_words(value: Any, registry: Registry, reader: Reader) -> Any:
    """Labels of metadata, marked as (text, package), in the reader's language."""
    if isinstance(value, Mapping):
        return {key: in_words(inner, registry, reader) for key, inner in value.items()}
    if isinstance(value, tuple) and len(value) == 2:
        return registry.text(value[0], reader.locale, value[1])
    return value


def visible(records: RecordService, notifications: Sequence[Notification]) -> set[str]:
    """Ids of the notifications whose record the actor of ``records`` may see now (or that are about none)."""
    by_object: dict[str, set[str]] = {}
    for n in notifications:
        if n.object is not None and n.record is not None and n.object in records.engine.registry.objects:
            by_object.setdefault(n.object, set()).add(n.record)
    seen: set[tuple[str, str]] = set()
    for object, ids in by_object.items():
        if records.engine.policy.may(records.actor, object, "read"):
            seen.update((object, id) for id in records.titles(object, sorted(ids)))
    return {n.id for n in notifications if n.object is None or (n.object, n.record) in seen}
