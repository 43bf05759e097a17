"""The first page: what there is, where the open business stands, what changed last. It knows no object by name."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

import orjson
from babel.dates import format_date, format_timedelta
from babel.numbers import format_compact_currency
from flask import render_template, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _

from ratoon.platform.automation.approvals import approvals_of
from ratoon.platform.metadata.model import Field, Object
from ratoon.platform.metadata.pipeline_model import Pipeline
from ratoon.platform.records.reading import COUNT_CEILING, Query
from ratoon.platform.records.service import RecordService
from ratoon.ui.filters import quoted
from ratoon.ui.i18n import babel_locale
from ratoon.ui.lists import pipelines_of, title_of, total_text
from ratoon.ui.present import currency_of, stage_color
from ratoon.ui.screen import Screen

CHARTS = 2
RECENT = 8
TILES = 8
MOST_OBJECTS = 24
"""Objects that the first page looks at; an installation may have hundreds."""


@dataclass(frozen=True)
class Tile:
    """An object and how many records it has."""

    object: Object
    count: str


@dataclass(frozen=True)
class Bar:
    """One stage of a chart."""

    label: str
    count: int
    sum: Decimal
    sum_text: str
    color: str


@dataclass(frozen=True)
class Chart:
    """Open records of a pipeline by stage."""

    title: str
    url: str
    rows: list[Bar]
    data: str
    """What ``ratoon.js`` draws, as JSON."""
    has_sum: bool
    sum_label: str


@dataclass(frozen=True)
class Recent:
    """A record that changed lately."""

    object: Object
    title: str
    url: str
    when: str
    at: datetime


def home(screen: Screen) -> ResponseReturnValue:
    """The first page."""
    with screen.read() as records:
        now = screen.environment.world.clock()
        looked_at = screen.navigation[:MOST_OBJECTS]
        counts = {o.name: _count(records, o) for o in looked_at}
        own = sorted((o for o in looked_at if o.owner != "system"), key=lambda o: counts[o.name] == 0)
        tiles = [Tile(o, total_text(counts[o.name])) for o in own][:TILES]
        charts = _charts(screen, records)
        recent = _recent(screen, records, now, [(o, counts[o.name]) for o in own])
        waiting = len(approvals_of(records).mine()) if screen.asks_for_approval else 0
    local = now.astimezone(screen.zone)
    return render_template(
        "home.html",
        screen=screen,
        current="home",
        greeting=_greeting(screen, local.hour),
        today=format_date(local.date(), "full", locale=babel_locale(screen.locale)),
        tiles=tiles,
        waiting=waiting,
        charts=charts,
        recent=recent,
    )


def _greeting(screen: Screen, hour: int) -> str:
    name = screen.actor.name
    if 5 <= hour < 12:
        return _("Good morning, %(name)s", name=name)
    if 12 <= hour < 18:
        return _("Good afternoon, %(name)s", name=name)
    if 18 <= hour < 23:
        return _("Good evening, %(name)s", name=name)
    return _("Hello, %(name)s", name=name)


def _count(records: RecordService, object: Object) -> int:
    """How many records there are, up to the ceiling of the service: beyond it the exact number costs too much."""
    return records.list(Query(object.name, fields=["id"], sort=["id"], limit=1, count=True)).total or 0


def _charts(screen: Screen, records: RecordService) -> list[Chart]:
    charts: list[Chart] = []
    staged = [o for o in screen.navigation if o.stage_field is not None and o.stage_field.name in screen.readable(o)]
    for object in sorted(staged, key=lambda o: money_key(screen, o) is None):
        for pipeline in pipelines_of(object):
            chart = _chart(screen, records, object, pipeline)
            if chart is not None:
                charts.append(chart)
                break
        if len(charts) == CHARTS:
            break
    return charts


def money_key(screen: Screen, object: Object) -> str | None:
    """The amount to add up: a computed one, whose currency is known, so that no currencies mix; formulas first."""
    known = [f for f in object.fields.values() if not f.volatile and currency_of(screen, f) is not None]
    return min(known, key=lambda f: f.formula is None).name if known else None


def _chart(screen: Screen, records: RecordService, object: Object, pipeline: Pipeline) -> Chart | None:
    stage = object.stage_field
    assert stage is not None
    key = money_key(screen, object)
    if key is not None and key not in screen.policy.readable_keys(screen.actor, object.name):
        key = None
    measures: list[tuple[str, str | None]] = [("count", None)]
    if key is not None:
        measures.append(("sum", key))
    groups = records.aggregate(
        object.name,
        group_by=[stage.name],
        measures=measures,
        filter=f"ISPICKVAL({stage.name}_pipeline, {quoted(pipeline.name)})",
    )
    by_stage = {g[stage.name]: g for g in groups}
    bars = []
    for each in pipeline.stages:
        if each.category != "open":
            continue
        found: dict[str, Any] = by_stage.get(each.name, {})
        total = Decimal(found.get(f"sum_{key}") or 0)
        text = _money(screen, total, object.fields[key]) if key else ""
        bars.append(
            Bar(
                screen.translate(each.label, pipeline.owner), int(found.get("count", 0)), total, text, stage_color(each)
            )
        )
    if not any(b.count for b in bars):
        return None
    sum_label = screen.key_label(object, key) if key else ""
    title = _("%(objects)s by stage", objects=screen.translate(object.plural_label, object.owner))
    if len(object.pipelines) > 1:
        title = f"{title} · {screen.label(pipeline)}"
    data = {
        "labels": [b.label for b in bars],
        "values": [float(b.sum) if key else b.count for b in bars],
        "counts": [b.count for b in bars],
        "texts": [b.sum_text if key else str(b.count) for b in bars],
        "colors": [b.color for b in bars],
        "unit": _("records"),
    }
    url = url_for("screens.records", object=object.name)
    return Chart(title, url, bars, orjson.dumps(data).decode(), key is not None, sum_label)


def _money(screen: Screen, amount: Decimal, field: Field) -> str:
    currency = currency_of(screen, field) or screen.environment.settings.default_currency
    return format_compact_currency(amount, currency, locale=babel_locale(screen.locale), fraction_digits=1)


def _recent(
    screen: Screen, records: RecordService, now: datetime, objects: Sequence[tuple[Object, int]]
) -> list[Recent]:
    """What changed last. Of objects with very many records, what was made last: that order has an index."""
    found = []
    for object, count in objects:
        sort = "-created_at" if count > COUNT_CEILING else "-modified_at"
        query = Query(object.name, sort=[sort], limit=RECENT, fields=[*screen.title_keys(object), "modified_at"])
        for row in records.list(query).records:
            when = format_timedelta(row["modified_at"] - now, add_direction=True, locale=babel_locale(screen.locale))
            url = screen.record_url(object.name, row["id"])
            found.append(Recent(object, title_of(object, row), url, when, row["modified_at"]))
    return sorted(found, key=lambda r: r.at, reverse=True)[:RECENT]
