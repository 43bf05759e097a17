"""The list of an object: views as tabs, columns, sorting, filters, the next page by key, boards and calendars."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from flask import render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _

from ratoon.platform.errors import BadRequest
from ratoon.platform.fields.base import OPERATORS
from ratoon.platform.fields.stage import SUFFIX
from ratoon.platform.metadata.model import Object
from ratoon.platform.metadata.pipeline_model import Pipeline
from ratoon.platform.metadata.screen_model import View
from ratoon.platform.records.reading import COUNT_CEILING, Page, Query
from ratoon.platform.records.service import RecordService
from ratoon.ui.boards import Lane, calendar_month, lanes
from ratoon.ui.filters import NEEDS_NO_VALUE, Condition, combined, input_type
from ratoon.ui.present import Presenter, Shown, is_numeric
from ratoon.ui.problems import error_text
from ratoon.ui.screen import Screen, query_with, wants_fragment

PAGE = 50
DEFAULT_COLUMNS = 6


@dataclass(frozen=True)
class Column:
    """A column head."""

    key: str
    label: str
    numeric: bool
    url: str = ""
    """Where a click on it leads; empty when it cannot be sorted by."""
    sorted: bool = False
    descending: bool = False


@dataclass(frozen=True)
class Row:
    """One record of a table."""

    id: str
    url: str
    title: str
    cells: list[Shown]


@dataclass(frozen=True)
class Asked:
    """What the URL asks for, checked."""

    view: View
    conditions: list[Condition]
    formula: str
    sort: list[str] | None
    cursor: str | None

    def filter(self, object: Object, screen: Screen) -> str | None:
        """Conditions and formula as one formula."""
        return combined([*(c.formula(object, screen.zone) for c in self.conditions), self.formula])


def views_of(object: Object) -> list[View]:
    """The object's views in order; one that shows everything when none is declared."""
    if object.views:
        return sorted(object.views, key=lambda v: (v.order, v.name))
    columns = [f.name for f in object.fields.values() if not f.system and f.parts[0].sql is not None]
    first = [object.title, *[c for c in columns if c != object.title]][:DEFAULT_COLUMNS]
    return [View(object.name, "all", "All", tuple(first), sort=(("created_at", True),))]


def asked_for(screen: Screen, object: Object) -> Asked:
    """Reads the query string. Raises ``BadRequest`` for a view or a condition that does not exist."""
    views = views_of(object)
    name = request.args.get("view")
    view = next((v for v in views if v.name == name), None)
    if name and view is None:
        raise BadRequest("There is no view called {name}.", field="view", name=name)
    view = view or next((v for v in views if v.default), views[0])
    readable = screen.readable(object)
    conditions = [Condition.parse(w, object, readable) for w in request.args.getlist("where") if w]
    key, op = request.args.get("key"), request.args.get("op")
    value = request.args.get("value", "")
    if key and op and (value or op in NEEDS_NO_VALUE):
        conditions.append(Condition.parse(f"{key}:{op}:{value}", object, readable))
    sort = [s for s in request.args.get("sort", "").split(",") if s] or None
    return Asked(view, conditions, request.args.get("filter", "").strip(), sort, request.args.get("cursor") or None)


def records(screen: Screen, object: str) -> ResponseReturnValue:
    """The list page; for htmx the list alone, or only the rows of the next page."""
    found = screen.object(object)
    asked = asked_for(screen, found)
    error, page = "", Page([])
    board: list[Lane] | None = None
    month = None
    presenter = Presenter(screen)
    pipeline = _pipeline(found)
    columns = shown_columns(screen, found, asked.view)
    with screen.read() as service:
        try:
            filter_ = asked.filter(found, screen)
            # Where what a view arranges by is hidden from the reader, its records are a plain list.
            if asked.view.kind == "board" and asked.view.group_by in screen.readable(found):
                board = lanes(screen, service, presenter, found, asked.view, pipeline, filter_)
            elif asked.view.kind == "calendar" and asked.view.date_field in screen.readable(found):
                month = calendar_month(
                    screen, service, presenter, found, asked.view, filter_, request.args.get("month")
                )
            else:
                page = _page(service, found, asked, columns, filter_)
        except BadRequest as refused:
            if refused.field not in ("filter", "where"):
                raise
            error = error_text(screen, refused)
        presenter.load_titles(service, found, page.records, columns)
    rows = table_rows(screen, presenter, found, columns, page.records)
    next_url = _next_url(found, page)
    if request.args.get("rows") and wants_fragment():
        return render_template("_more_rows.html", rows=rows, next_url=next_url, columns=columns)
    template = "_list.html" if wants_fragment("list") else "list.html"
    body = render_template(
        template,
        screen=screen,
        current=found.name,
        object=found,
        views=views_of(found),
        view=asked.view,
        columns=_columns(screen, found, asked, columns),
        rows=rows,
        next_url=next_url,
        total=page.total,
        total_text=total_text(page.total),
        board=board,
        month=month,
        pipelines=pipelines_of(found),
        pipeline=pipeline,
        formula=asked.formula,
        filter_error=error,
        chips=_chips(screen, found, asked),
        where=[str(c) for c in asked.conditions],
        formula_example=_example(screen, found),
        filter_fields=filter_fields(screen, found),
        condition=condition_of(screen, found, ""),
    )
    return body, 400 if error and not wants_fragment() else 200


def condition(screen: Screen, object: str) -> ResponseReturnValue:
    """The filter builder's row for the field that was just chosen."""
    found = screen.object(object)
    return render_template(
        "_condition.html",
        object=found,
        filter_fields=filter_fields(screen, found),
        condition=condition_of(screen, found, request.args.get("key", "")),
    )


def shown_columns(screen: Screen, object: Object, view: View) -> list[str]:
    """The columns of a view that the actor may read."""
    readable = screen.policy.readable_keys(screen.actor, object.name)
    fields = object.fields
    return [c for c in view.columns if c in readable or (c in fields and fields[c].parts[0].key in readable)]


def _page(service: RecordService, object: Object, asked: Asked, columns: list[str], filter_: str | None) -> Page:
    dues = [f"{c}_due" for c in columns if c in object.fields and object.fields[c].type.name == "stage"]
    readable = service.engine.policy.readable_keys(service.actor, object.name)
    fields = [key for key in dict.fromkeys([object.title, *columns, *dues]) if key != object.title or key in readable]
    return service.list(
        Query(
            object.name,
            view=asked.view.name if object.views else None,
            filter=filter_,
            sort=asked.sort,
            cursor=asked.cursor,
            limit=PAGE,
            fields=fields,
            count=asked.cursor is None,
        )
    )


def table_rows(
    screen: Screen, presenter: Presenter, object: Object, columns: list[str], records: list[dict[str, Any]]
) -> list[Row]:
    """Records as rows of a table."""
    return [
        Row(
            r["id"],
            screen.record_url(object.name, r["id"]),
            title_of(object, r),
            [presenter.show(object, key, r) for key in columns],
        )
        for r in records
    ]


def title_of(object: Object, record: dict[str, Any]) -> str:
    """What a record is called; its id when the title is blank."""
    return str(record.get(object.title) or record["id"])


def _columns(screen: Screen, object: Object, asked: Asked, keys: list[str]) -> list[Column]:
    if asked.sort is not None:
        order = {s.lstrip("-"): s.startswith("-") for s in asked.sort[:1]}
    else:
        order = dict(asked.view.sort[:1])
    return [column_of(screen, object, key, order) for key in keys]


def column_of(screen: Screen, object: Object, key: str, order: dict[str, bool] | None = None) -> Column:
    """The head of a column; with ``order`` (key → descending) it can be sorted by a click."""
    label = screen.key_label(object, key)
    part = object.parts.get(key)
    if part is None:
        return Column(key, label, False)
    owner = object.field_of[key]
    numeric = key == owner.name and is_numeric(owner)
    if order is None or part.sql is None or not part.sortable:
        return Column(key, label, numeric)
    descending = order.get(key)
    query = query_with({"sort": key if descending in (None, True) else f"-{key}"}, drop=("cursor", "rows"))
    url = url_for("screens.records", object=object.name, **query)
    return Column(key, label, numeric, url, descending is not None, bool(descending))


def _next_url(object: Object, page: Page) -> str:
    if page.next_cursor is None:
        return ""
    query = query_with({"cursor": page.next_cursor}, drop=("rows",))
    return url_for("screens.records", object=object.name, **query)


def total_text(total: int | None) -> str:
    """A count for people; beyond the ceiling of the service it says “more than”."""
    if total is None:
        return ""
    return f"{COUNT_CEILING:,}+" if total > COUNT_CEILING else f"{total:,}"


def pipelines_of(object: Object) -> list[Pipeline]:
    """The object's pipelines in the order in which they are tried."""
    return sorted(object.pipelines, key=lambda p: (p.when is not None, p.order, p.name))


def _pipeline(object: Object) -> Pipeline | None:
    chosen = object.pipeline(request.args.get("pipeline"))
    return chosen or (pipelines_of(object)[0] if object.pipelines else None)


def _example(screen: Screen, object: Object) -> str:
    readable = screen.readable(object)
    parts = {key: part.formula for key, part in object.parts.items() if key in readable and part.formula is not None}
    numbers = [key for key, formula in parts.items() if formula.value == "number"]
    return f"{numbers[0]} > 1000" if numbers else " ".join(f'CONTAINS({t}, "a")' for t in screen.title_keys(object))


@dataclass(frozen=True)
class Chip:
    """An active condition and the URL without it."""

    text: str
    remove: str


def _chips(screen: Screen, object: Object, asked: Asked) -> list[Chip]:
    chips = []
    written = [str(c) for c in asked.conditions]
    plain = ("key", "op", "value", "cursor", "rows")
    for index, each in enumerate(asked.conditions):
        left = written[:index] + written[index + 1 :]
        url = url_for("screens.records", object=object.name, **query_with({"where": left or None}, drop=plain))
        chips.append(Chip(in_words(screen, object, each), url))
    if asked.formula:
        query = query_with({"filter": None, "where": written or None}, drop=plain)
        chips.append(Chip(asked.formula, url_for("screens.records", object=object.name, **query)))
    return chips


def in_words(screen: Screen, object: Object, condition: Condition) -> str:
    """A condition as a person reads it: ``Stage is Won``."""
    known = dict(choices_of(screen, object, condition.key))
    value = ", ".join(known.get(v.strip(), v.strip()) for v in condition.value.split(","))
    operator = _(OPERATORS[condition.operator])
    return f"{screen.key_label(object, condition.key)} {operator} {value}".strip()


@dataclass(frozen=True)
class Builder:
    """The builder's row for one chosen field."""

    key: str
    operators: list[tuple[str, str]]
    choices: list[tuple[str, str]]
    input: str


@dataclass(frozen=True)
class FilterField:
    """A key that can be filtered by."""

    key: str
    label: str


def filter_fields(screen: Screen, object: Object) -> list[FilterField]:
    """What the builder offers, by label. References offer only “is blank” there; formulas can do more."""
    readable = screen.policy.readable_keys(screen.actor, object.name)
    keys = [
        key
        for key, part in object.parts.items()
        if key in readable
        and part.formula is not None
        and part.operators
        and key not in ("id", "version", "deleted_at")
    ]
    return sorted((FilterField(k, screen.key_label(object, k)) for k in keys), key=lambda f: f.label.casefold())


def condition_of(screen: Screen, object: Object, key: str) -> Builder:
    """Operators and values for a key."""
    part = object.parts.get(key)
    if part is None or part.formula is None or key not in screen.policy.readable_keys(screen.actor, object.name):
        return Builder("", [], [], "text")
    references = bool(object.field_of[key].targets) and part.formula.value == "reference"
    choices = choices_of(screen, object, key)
    offered = [o for o in part.operators if not references or o in NEEDS_NO_VALUE or choices]
    return Builder(key, [(o, _(OPERATORS[o])) for o in offered], choices, input_type(part))


def choices_of(screen: Screen, object: Object, key: str) -> list[tuple[str, str]]:
    """The values to choose from, with labels; empty when any value may be typed."""
    owner = object.field_of.get(key)
    part = object.parts.get(key)
    if owner is None or part is None or part.formula is None:
        return []
    if owner.type.name == "stage":
        if part.suffix == SUFFIX:
            return [(p.name, screen.label(p)) for p in object.pipelines]
        if part.suffix:
            return []
        stages = {s.name: screen.translate(s.label, p.owner) for p in object.pipelines for s in p.stages}
        return list(stages.items())
    if owner.choices and key == owner.name:
        return [(o.value, screen.translate(o.label, owner.owner)) for o in owner.choices]
    if part.formula.value == "boolean":
        return [("true", _("Yes")), ("false", _("No"))]
    return []
