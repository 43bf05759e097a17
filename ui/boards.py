"""Boards and calendars: the same records as a list, arranged by stage (or picklist) or by day."""

from __future__ import annotations

import calendar
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import Any

from babel.dates import format_date, get_day_names
from flask import url_for

from ratoon.platform.metadata.model import Field, Object
from ratoon.platform.metadata.pipeline_model import Pipeline
from ratoon.platform.metadata.screen_model import View
from ratoon.platform.records import stages
from ratoon.platform.records.reading import Query, compile_filter
from ratoon.platform.records.service import RecordService
from ratoon.ui.filters import combined, quoted
from ratoon.ui.i18n import babel_locale
from ratoon.ui.icons import color
from ratoon.ui.present import Presenter, Shown, stage_color
from ratoon.ui.screen import Screen, query_with

CARDS = 25
MOST_EVENTS = 400


@dataclass(frozen=True)
class Card:
    """A record on a board."""

    url: str
    title: str
    cells: list[Shown]
    id: str = ""
    version: int = 0
    moves: tuple[tuple[str, str], ...] = ()
    """(value, label) of the columns that the actor may put it into."""
    overdue: bool = False


@dataclass(frozen=True)
class Lane:
    """A column of a board."""

    value: str
    label: str
    color: str
    count: int
    cards: list[Card]
    more: str = ""


@dataclass
class Day:
    """A day of a calendar."""

    day: date
    inside: bool
    today: bool
    events: list[Card] = field(default_factory=list)


@dataclass(frozen=True)
class Month:
    """A calendar page."""

    title: str
    previous: str
    next: str
    weekdays: list[str]
    weeks: list[list[Day]]


def lanes(
    screen: Screen,
    service: RecordService,
    presenter: Presenter,
    object: Object,
    view: View,
    pipeline: Pipeline | None,
    filter_: str | None,
) -> list[Lane]:
    """The columns of a board with their first cards and full counts."""
    key = view.group_by or ""
    owner = object.field_of[key]
    staged = owner.type.name == "stage" and pipeline is not None
    kept = f"ISPICKVAL({key}_pipeline, {quoted(pipeline.name)})" if staged and pipeline else ""
    base = combined([view.filter_source, kept, filter_ or ""])
    # A view is the admin's word: it may filter by what the reader may not read. What the reader adds is checked.
    compile_filter(service, service.plan(object.name), filter_)
    whole = service.engine.filter(object.name, base) if base else None
    groups = service.aggregate(object.name, group_by=[key], filter=whole)
    counts = {g[key]: int(g["count"]) for g in groups}
    columns = card_columns(screen, object, view, key)
    made: list[Lane] = []
    shown = _groups(screen, object, key, pipeline if staged else None)
    choices = (
        [(v, label) for v, label, _, always in shown if always or counts.get(v)] if _editable(screen, owner) else []
    )
    for value, label, tone, always in shown:
        if not counts.get(value) and not always:
            continue
        of_lane = combined([kept, filter_ or "", f"ISPICKVAL({key}, {quoted(value)})"])
        fields = [
            "version",
            *screen.title_keys(object),
            *columns,
            *([f"{key}_pipeline", f"{key}_due"] if staged else []),
        ]
        page = service.list(Query(object.name, view=view.name, filter=of_lane, limit=CARDS, fields=fields))
        presenter.load_titles(service, object, page.records, columns)
        cards = [
            Card(
                screen.record_url(object.name, r["id"]),
                str(r.get(object.title) or r["id"]),
                [presenter.show(object, c, r) for c in columns],
                r["id"],
                r["version"],
                tuple(moves_of(screen, object, {**r, key: value}) if staged else [c for c in choices if c[0] != value]),
                staged and presenter.overdue(owner, r),
            )
            for r in page.records
        ]
        more = ""
        if page.next_cursor:
            plain = next((v.name for v in object.views if v.kind == "list"), None)
            more = url_for("screens.records", object=object.name, view=plain, where=f"{key}:eq:{value}")
        made.append(Lane(value, label, tone, counts.get(value, 0), cards, more))
    return made


def moves_of(screen: Screen, object: Object, row: Mapping[str, Any]) -> list[tuple[str, str]]:
    """(name, label) of the stages that the actor may move a record to."""
    field = object.stage_field
    if field is None or not screen.may(object.name, "edit"):
        return []
    pipeline = object.pipeline(row.get(f"{field.name}_pipeline"))
    here = pipeline.by_name.get(str(row.get(field.name))) if pipeline else None
    if pipeline is None or here is None:
        return []
    open_to = [s for s in pipeline.stages if s is not here and stages.may_move(screen.actor, here, s.name)]
    return [(s.name, screen.translate(s.label, pipeline.owner)) for s in open_to]


def _editable(screen: Screen, field: Field) -> bool:
    return screen.may(field.object, "edit") and field.name in screen.policy.editable_keys(screen.actor, field.object)


def card_columns(screen: Screen, object: Object, view: View, key: str) -> list[str]:
    """The columns of a view that a card shows: readable ones, without the title and what the cards are arranged by."""
    readable = screen.policy.readable_keys(screen.actor, object.name)
    return [c for c in view.columns if c in readable and c not in (object.title, key)]


def _groups(screen: Screen, object: Object, key: str, pipeline: Pipeline | None) -> list[tuple[str, str, str, bool]]:
    """(value, label, colour, shown even when empty) of the columns a board may have."""
    if pipeline is not None:
        # Cards are dropped into won and lost, too, though a board of open records never has any there.
        into = _editable(screen, object.field_of[key])
        return [
            (s.name, screen.translate(s.label, pipeline.owner), stage_color(s), into or s.category == "open")
            for s in pipeline.stages
        ]
    owner = object.field_of[key]
    return [(o.value, screen.translate(o.label, owner.owner), color(o.color), o.active) for o in owner.choices]


def calendar_month(
    screen: Screen,
    service: RecordService,
    presenter: Presenter,
    object: Object,
    view: View,
    filter_: str | None,
    wanted: str | None,
) -> Month:
    """One month of records by the view's date field."""
    key = view.date_field or ""
    today = service.engine.world.clock().astimezone(screen.zone).date()
    try:
        first = date.fromisoformat(f"{wanted}-01") if wanted else today.replace(day=1)
    except ValueError:
        first = today.replace(day=1)
    columns = card_columns(screen, object, view, key)
    weeks = calendar.Calendar().monthdatescalendar(first.year, first.month)
    span = (
        f"{key} >= {_moment(object, key, weeks[0][0])} && {key} < {_moment(object, key, weeks[-1][-1] + timedelta(1))}"
    )
    page = service.list(
        Query(
            object.name, view=view.name, filter=combined([span, filter_ or ""]), sort=[key], limit=MOST_EVENTS,
            fields=[*screen.title_keys(object), key, *columns],
        )
    )  # fmt: skip
    presenter.load_titles(service, object, page.records, columns)
    days = {d: Day(d, d.month == first.month, d == today) for week in weeks for d in week}
    for record in page.records:
        day = _day(record[key], screen)
        if day in days:
            url = screen.record_url(object.name, record["id"])
            cells = [presenter.show(object, c, record) for c in columns]
            days[day].events.append(Card(url, str(record.get(object.title) or record["id"]), cells))
    locale = babel_locale(screen.locale)
    names = get_day_names("abbreviated", locale=locale)
    before, after = first - timedelta(1), (first + timedelta(32)).replace(day=1)
    link = {"object": object.name, **query_with({}, drop=("month", "cursor"))}
    return Month(
        format_date(first, "MMMM y" if screen.locale == "en" else "y年M月", locale=locale),
        url_for("screens.records", **link, month=f"{before:%Y-%m}"),
        url_for("screens.records", **link, month=f"{after:%Y-%m}"),
        [names[i] for i in range(7)],
        [[days[d] for d in week] for week in weeks],
    )


def _moment(object: Object, key: str, day: date) -> str:
    literal = f"DATE({day.year}, {day.month}, {day.day})"
    type_ = object.parts[key].formula
    return f'DATETIMEVALUE("{day.isoformat()} 00:00:00")' if type_ and type_.value == "datetime" else literal


def _day(value: Any, screen: Screen) -> date:
    return value.astimezone(screen.zone).date() if isinstance(value, datetime) else value
