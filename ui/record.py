"""The page of a record: highlights, stage path, sections, related lists, history."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from flask import render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _

from ratoon.platform.metadata.model import Field, Object
from ratoon.platform.metadata.screen_model import RelatedList
from ratoon.platform.records.reading import Query
from ratoon.platform.records.service import RecordService
from ratoon.ui.approvals import approval_context
from ratoon.ui.conditions import draft_of
from ratoon.ui.filters import quoted
from ratoon.ui.forms import layout_of
from ratoon.ui.lists import Column, Row, column_of, table_rows, title_of, total_text
from ratoon.ui.moving import path_context
from ratoon.ui.present import Link, Presenter, Shown
from ratoon.ui.runs import buttons_of
from ratoon.ui.screen import Screen
from ratoon.ui.timeline import changes_of, periods_of

RELATED_ROWS = 6
RELATED_LISTS = 12


@dataclass(frozen=True)
class ShownSection:
    """A section of the page."""

    name: str
    label: str
    columns: int
    collapsed: bool
    fields: list[Shown]


@dataclass(frozen=True)
class Related:
    """A related list with its first rows."""

    object: Object
    label: str
    columns: list[Column]
    rows: list[Row]
    count: str
    new_url: str
    more_url: str


def record(screen: Screen, object: str, id: str) -> ResponseReturnValue:
    """The page of one record."""
    found = screen.object(object)
    tab = "history" if request.args.get("tab") == "history" else "details"
    presenter = Presenter(screen)
    with screen.read() as records:
        row = records.get(object, id)
        presenter.load_titles(records, found, [row], [k for k in row if k in found.parts])
        context: dict[str, Any] = {"title": title_of(found, row)}
        context.update(path_context(screen, records, found, row))
        if tab == "history":
            context.update(_history(screen, records, presenter, found, row))
        else:
            draft = draft_of(records, found, {}, row)
            context["sections"] = _sections(screen, presenter, found, row, draft)
            context["related"] = [
                r for each in related_lists(screen, found) if (r := _related(screen, records, each, row))
            ]
        context["approval"] = approval_context(screen, records, found, row)
        context["ancestors"] = _ancestors(screen, records, found, row)
        context["buttons"] = buttons_of(screen, records, found, row)
    layout = layout_of(found)
    highlights = [
        presenter.show_field(found.fields[k], row)
        for k in layout.highlights
        if k in found.fields and readable(found, k, row)
    ]
    return render_template(
        "record.html", screen=screen, current=object, object=found, id=id, tab=tab, highlights=highlights,
        version=row["version"], **context,
    )  # fmt: skip


def readable(object: Object, name: str, row: Mapping[str, Any]) -> bool:
    """Whether the actor was given this field: an address has parts, but no key of its own name."""
    return any(part.key in row for part in object.fields[name].parts)


def why_url(field: Field, row: Mapping[str, Any]) -> str:
    """Where a computed value is explained; empty for a field that people write."""
    if field.formula is None and field.rollup is None:
        return ""
    return url_for("screens.why", object=field.object, id=row["id"], field=field.name)


def _sections(
    screen: Screen, presenter: Presenter, object: Object, row: Mapping[str, Any], draft: Any
) -> list[ShownSection]:
    sections = []
    layout = layout_of(object)
    for section in layout.sections:
        if not draft.visible(section):
            continue
        fields = [
            replace(presenter.show_field(object.fields[name], row), why=why_url(object.fields[name], row))
            for name in section.fields
            if name in object.fields and readable(object, name, row) and draft.visible(object.fields[name])
        ]
        if fields:
            sections.append(
                ShownSection(
                    section.name,
                    screen.translate(section.label, layout.owner),
                    section.columns,
                    section.collapsed,
                    fields,
                )
            )
    return sections


def _ancestors(screen: Screen, records: RecordService, object: Object, row: Mapping[str, Any]) -> list[Link]:
    """The chain above a record of a hierarchy, topmost first; the master of a detail record."""
    field = next((f for f in object.fields.values() if f.type.name == "hierarchy"), None)
    if field is not None and row.get(field.name):
        ids = list(reversed(records.engine.store.ancestors(records.connection, object.name, field.name, row["id"])))
        names = records.titles(object.name, ids)
        return [Link(names[i], screen.record_url(object.name, i)) for i in ids if i in names]
    parent = object.parent
    if parent is not None and row.get(parent.name):
        target = parent.targets[0]
        names = records.titles(target, [row[parent.name]])
        return [Link(n, screen.record_url(target, i)) for i, n in names.items()]
    return []


def related_lists(screen: Screen, object: Object) -> list[RelatedList]:
    """The lists of the layout, or else one for every object that points here."""
    layout = layout_of(object)
    if layout.related or object.layouts:
        return [r for r in layout.related if r.object in screen.registry.objects and screen.may(r.object, "read")]
    found = []
    for field in screen.registry.children.get(object.name, ()):
        child = screen.registry[field.object]
        if field.system or not screen.may(child.name, "read") or (child.hidden and field.type.name != "master_detail"):
            continue
        label = field.spec.option("related_label") or child.plural_label
        columns = [child.title, *[n for n, f in child.fields.items() if not f.system and f.parts[0].sql is not None]]
        columns = [c for c in dict.fromkeys(columns) if c != field.name][:4]
        found.append(RelatedList(child.name, field.name, label, tuple(columns), (("created_at", True),)))
    return found[:RELATED_LISTS]


def _related(screen: Screen, records: RecordService, related: RelatedList, row: Mapping[str, Any]) -> Related | None:
    child = screen.registry[related.object]
    field = child.fields.get(related.field)
    if field is None or field.name not in screen.policy.readable_keys(screen.actor, child.name):
        return None
    readable = screen.policy.readable_keys(screen.actor, child.name)
    columns = [c for c in related.columns if c in child.parts and c in readable]
    query = Query(
        child.name,
        filter=f"{field.name} = {quoted(row['id'])}",
        sort=[("-" if down else "") + key for key, down in related.sort if key in readable] or None,
        limit=RELATED_ROWS,
        fields=[key for key in dict.fromkeys([child.title, *columns]) if key in readable],
        count=True,
    )
    page = records.list(query)
    presenter = Presenter(screen)
    presenter.load_titles(records, child, page.records, columns)
    prefill = {field.name: row["id"], "back": request.path}
    if len(field.parts) > 1:
        prefill[f"{field.name}_object"] = _object_of(screen, row, field.targets)
    new_url = url_for("screens.new", object=child.name, **prefill) if screen.may(child.name, "create") else ""
    more = url_for("screens.records", object=child.name, filter=query.filter) if page.next_cursor else ""
    return Related(
        child,
        screen.translate(related.label, child.owner),
        [column_of(screen, child, c) for c in columns],
        table_rows(screen, presenter, child, columns, page.records),
        total_text(page.total),
        new_url,
        more,
    )


def _object_of(screen: Screen, row: Mapping[str, Any], targets: Sequence[str]) -> str:
    here = str((request.view_args or {}).get("object", ""))
    return here if here in targets else targets[0]


def _history(
    screen: Screen, records: RecordService, presenter: Presenter, object: Object, row: Mapping[str, Any]
) -> dict[str, Any]:
    changes = changes_of(screen, records, presenter, object, row["id"])
    periods = periods_of(screen, records, presenter, object, row["id"]) if object.stage_field else []
    people = [row[k] for k in ("created_by", "modified_by") if row.get(k)]
    presenter.want(records, {"user": people})
    names = presenter.titles.get("user", {})
    created: datetime = row["created_at"]
    return {
        "changes": changes,
        "stage_periods": periods,
        "created_line": _(
            "Created by %(name)s, %(when)s",
            name=names.get(str(row.get("created_by")), "Ratoon"),
            when=presenter.moment(created),
        ),
        "modified_line": _(
            "Last changed by %(name)s, %(when)s",
            name=names.get(str(row.get("modified_by")), "Ratoon"),
            when=presenter.moment(row["modified_at"]),
        ),
    }
