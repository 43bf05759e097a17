"""How field values look on a page: text, badge, link, check mark … with labels in the reader's language.

``Presenter`` is made for one response. It turns records into ``Shown`` values that the macro ``value`` in
``templates/_macros.html`` draws, and asks for the titles of all records they point at in one call per object.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from babel.dates import format_timedelta
from flask import url_for
from flask_babel import gettext as _
from markupsafe import Markup

from ratoon.platform.fields import display
from ratoon.platform.formulas.types import Type
from ratoon.platform.metadata.model import Field, Object
from ratoon.platform.metadata.pipeline_model import Pipeline, Stage
from ratoon.platform.records.service import RecordService
from ratoon.platform.storage.files import load_files
from ratoon.ui.i18n import babel_locale
from ratoon.ui.icons import color, tint
from ratoon.ui.screen import Screen

RECENT = timedelta(days=7)
"""How long things are told by how long ago they were."""
NUMERIC = frozenset({"integer", "decimal", "currency", "percent", "duration"})
_SHORT = frozenset({"date", "time", "phone", "autonumber"})
_KINDS = {"email": "email", "phone": "phone", "url": "url", "textarea": "lines", "json": "code", "secret": "secret"}


@dataclass(frozen=True)
class Badge:
    """A coloured word."""

    text: str
    color: str


@dataclass(frozen=True)
class Link:
    """A record (or a web page, a file) to go to."""

    text: str
    url: str
    tint: str = ""
    """Palette colour of the avatar when it is a user."""
    note: str = ""
    """What the link of a many-to-many field says about itself: ``Role: Chair · Share: 40%``."""


@dataclass(frozen=True)
class Shown:
    """One field of one record, ready to draw."""

    name: str
    label: str
    kind: str = "text"
    text: str = ""
    links: tuple[Link, ...] = ()
    badges: tuple[Badge, ...] = ()
    html: Markup | None = None
    numeric: bool = False
    help: str = ""
    wide: bool = False
    """Deserves a whole row of a section."""
    short: bool = False
    """Stays on one line: dates and the like."""
    why: str = ""
    """Address that explains a computed value."""

    @property
    def blank(self) -> bool:
        """Whether there is nothing to show."""
        return not (self.text or self.links or self.badges or self.html or self.kind == "boolean")


@dataclass
class Presenter:
    """Draws records for one response."""

    screen: Screen
    titles: dict[str, dict[str, str]] = field(default_factory=dict)
    """Object → id → title of the records that were pointed at."""
    files: dict[str, str] = field(default_factory=dict)
    """Id → name of the files that fields hold."""

    def load_titles(
        self, records: RecordService, object: Object, rows: Sequence[Mapping[str, Any]], keys: Iterable[str]
    ) -> None:
        """Fetches the titles of all records that these keys of these rows point at."""
        wanted: dict[str, set[str]] = {}
        for key in keys:
            owner = object.field_of.get(key)
            if owner is not None and owner.type.name in ("file", "image"):
                ids = [str(row[key]) for row in rows if row.get(key)]
                self.files.update({id: f.name for id, f in load_files(records.connection, ids).items()})
            if owner is None or not owner.targets:
                continue
            for row in rows:
                for target, id in pointed_at(owner, row):
                    wanted.setdefault(target, set()).add(id)
            attributes = [f.name for f in attributes_of(self.screen, owner)]
            if attributes:
                links = [link for row in rows for link in links_of(owner, row)]
                self.load_titles(records, self.screen.registry[owner.junction or ""], links, attributes)
        self.want(records, wanted)

    def want(self, records: RecordService, wanted: Mapping[str, Iterable[str]]) -> None:
        """Fetches titles by object and id."""
        for target, ids in wanted.items():
            known = self.titles.setdefault(target, {})
            missing = [id for id in ids if id not in known]
            if missing and self.screen.may(target, "read"):
                known.update(records.titles(target, missing))

    def show(self, object: Object, key: str, row: Mapping[str, Any]) -> Shown:
        """The value of a key."""
        owner = object.field_of[key]
        if key != owner.name:
            value = row.get(key)
            text = self.moment(value) if isinstance(value, datetime) else "" if value is None else str(value)
            return Shown(key, self.screen.key_label(object, key), text=text)
        return self.show_field(owner, row)

    def show_field(self, owner: Field, row: Mapping[str, Any]) -> Shown:
        """The value of a field."""
        value, type_name = row.get(owner.name), owner.type.name
        base = Shown(owner.name, self.screen.label(owner), help=self.screen.translate(owner.help, owner.owner))
        if type_name == "boolean" or (type_name == "formula" and isinstance(value, bool)):
            return replace(base, kind="boolean", text=_yes_no(value))
        if (value is None or value == "" or value == ()) and type_name not in ("address", "geolocation"):
            return replace(base, numeric=is_numeric(owner))
        if type_name == "stage":
            late = (Badge(_("Overdue"), "orange"),) if self.overdue(owner, row) else ()
            return replace(base, kind="badges", badges=(self.stage_badge(owner, row), *late))
        if owner.choices:
            return replace(base, kind="badges", badges=tuple(self.badges(owner, value)))
        if owner.targets:
            return replace(base, kind="links", links=tuple(self._links(owner, row)))
        return self._show_text(base, owner, row, value)

    def _show_text(self, base: Shown, owner: Field, row: Mapping[str, Any], value: Any) -> Shown:
        """What the field type says, in the form that suits it."""
        type_name = owner.type.name
        text = owner.type.show(owner.spec, row, self.screen.locale, self.screen.actor.time_zone)
        currency = currency_of(self.screen, owner) if isinstance(value, Decimal) else None
        if currency is not None:
            text = display.money(value, currency, self.screen.locale)
        if type_name == "richtext":
            # The only HTML that is not escaped. It was cleaned when it was saved; once more costs little.
            return replace(base, kind="html", html=Markup(owner.parts[0].coerce(value)), text=text, wide=True)
        if type_name in ("file", "image"):
            name = self.files.get(str(value), _("File"))
            return replace(base, kind=type_name, text=name, links=(Link(name, url_for("screens.file", id=value)),))
        kind = _KINDS.get(type_name, "text")
        wide, short = kind in ("lines", "code"), type_name in _SHORT
        return replace(base, kind=kind, text=text, numeric=is_numeric(owner), wide=wide, short=short)

    def badges(self, owner: Field, value: Any) -> Iterable[Badge]:
        """The chosen options of a picklist; a value that is no longer declared shows as itself."""
        known = {o.value: o for o in owner.choices}
        for each in (value,) if isinstance(value, str) else tuple(value):
            option = known.get(each)
            yield Badge(
                self.screen.translate(option.label, owner.owner) if option else str(each),
                color(option.color if option else ""),
            )

    def overdue(self, owner: Field, row: Mapping[str, Any]) -> bool:
        """Whether a record is longer in its stage than expected (and the row says until when it was)."""
        due = row.get(f"{owner.name}_due")
        return isinstance(due, datetime) and due < self.screen.environment.world.clock()

    def stage_label(self, owner: Field, row: Mapping[str, Any]) -> str:
        """What the stage a record stands in is called."""
        pipeline, stage = self._place(owner, row)
        if pipeline is None or stage is None:
            return str(row.get(owner.name))
        return self.screen.translate(stage.label, pipeline.owner)

    def stage_of(self, owner: Field, row: Mapping[str, Any]) -> Stage | None:
        """The stage a record stands in."""
        return self._place(owner, row)[1]

    def _place(self, owner: Field, row: Mapping[str, Any]) -> tuple[Pipeline | None, Stage | None]:
        object = self.screen.registry.objects[owner.object]
        pipeline = object.pipeline(row.get(f"{owner.name}_pipeline"))
        if pipeline is None:
            pipeline = next((p for p in object.pipelines if row.get(owner.name) in p.by_name), None)
        return pipeline, pipeline.by_name.get(str(row.get(owner.name))) if pipeline else None

    def stage_badge(self, owner: Field, row: Mapping[str, Any]) -> Badge:
        """A stage as a badge: green when won, red when lost, else its own colour."""
        stage = self.stage_of(owner, row)
        if stage is None:
            return Badge(str(row.get(owner.name)), "secondary")
        return Badge(self.stage_label(owner, row), stage_color(stage))

    def _links(self, owner: Field, row: Mapping[str, Any]) -> Iterable[Link]:
        links = links_of(owner, row)
        for place, (target, id) in enumerate(pointed_at(owner, row)):
            title = self.titles.get(target, {}).get(id)
            note = self._note(owner, links[place]) if links else ""
            if title is None:
                yield Link("—", "", note=note)
            else:
                face = tint(title) if target == "user" else ""
                yield Link(title, self.screen.record_url(target, id), face, note)

    def _note(self, owner: Field, link: Mapping[str, Any]) -> str:
        """The attributes of a link that are filled in."""
        notes = []
        for attribute in attributes_of(self.screen, owner):
            shown = self.show_field(attribute, link)
            if shown.kind == "boolean":
                words = {"yes": _("Yes"), "no": _("No")}.get(shown.text, "")
            else:
                named = [b.text for b in shown.badges] or [each.text for each in shown.links]
                words = shown.text or ", ".join(named)
            if words:
                notes.append(_("%(label)s: %(value)s", label=shown.label, value=words))
        return " · ".join(notes)

    def moment(self, value: datetime | str | None, *, seconds: bool = False) -> str:
        """A point in time in the reader's zone and language; with ``seconds`` where the order of things is told."""
        if value is None:
            return ""
        if isinstance(value, str):
            value = datetime.fromisoformat(value)
        return display.moment(value, self.screen.locale, self.screen.actor.time_zone, seconds=seconds)

    def ago(self, value: datetime) -> Markup:
        """``3 hours ago`` with the exact moment behind it; after a week the moment itself."""
        exact = self.moment(value)
        past = self.screen.environment.world.clock() - value
        text = exact
        if timedelta(0) <= past < RECENT:
            text = format_timedelta(-past, add_direction=True, locale=babel_locale(self.screen.locale))
        return Markup('<time datetime="{}" title="{}">{}</time>').format(value.isoformat(), exact, text)


def pointed_at(owner: Field, row: Mapping[str, Any]) -> list[tuple[str, str]]:
    """(object, id) of the records that a reference or many-to-many field of a row points at."""
    value = row.get(owner.name)
    if value is None:
        return []
    if isinstance(value, (list, tuple)):
        return [(owner.targets[0], str(v["id"] if isinstance(v, Mapping) else v)) for v in value]
    id = str(value.get("id")) if isinstance(value, Mapping) else str(value)
    target = row.get(f"{owner.name}_object") if len(owner.targets) > 1 or len(owner.parts) > 1 else owner.targets[0]
    return [(str(target), id)] if target else []


def links_of(owner: Field, row: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """The links of a many-to-many field of a row, in the order of ``pointed_at``; none for other fields."""
    value = row.get(owner.name)
    return [v if isinstance(v, Mapping) else {} for v in value] if isinstance(value, (list, tuple)) else []


def attributes_of(screen: Screen, owner: Field) -> list[Field]:
    """The attributes that the links of a many-to-many field carry; none for other fields."""
    junction = screen.registry.objects.get(owner.junction or "")
    fields = junction.fields.values() if junction else ()
    return [f for f in fields if not f.system and f.name not in ("source", "target")]


def is_numeric(owner: Field) -> bool:
    """Whether values of a field stand at the right of a column, blank ones too."""
    if owner.type.name in ("formula", "rollup"):
        return owner.parts[0].formula is Type.NUMBER
    return owner.type.name in NUMERIC


def currency_of(screen: Screen, owner: Field) -> str | None:
    """The one currency of a computed amount: what a formula declares, else the organisation's; a rollup has that of the
    formula it rolls up. ``None`` for all else: amounts that people type carry a currency each, so that a rollup over
    them has none.
    """
    if owner.formula is not None:
        if owner.spec.option("returns") != "currency":
            return None
        return str(owner.spec.option("currency") or screen.environment.settings.default_currency)
    if owner.rollup is None or owner.rollup.key is None or owner.rollup.operation == "count":
        return None
    return currency_of(screen, screen.registry[owner.rollup.child].field_of[owner.rollup.key])


def stage_color(stage: Stage) -> str:
    """Palette colour of a stage."""
    by_category = {"won": "green", "lost": "red"}.get(stage.category, "blue")
    return color(stage.color, by_category)


def _yes_no(value: Any) -> str:
    return "yes" if value is True else "no" if value is False else ""
