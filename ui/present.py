"""How field values look on a page: text, badge, link, check mark … with labels in the reader's language.

``Presenter`` is made for one response. It turns records into ``Shown`` values that ``templates/_value.html`` draws, and
asks for the titles of all records they point at in one call per object.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from decimal import Decimal
from typing import Any

from flask import url_for
from flask_babel import gettext as _
from markupsafe import Markup

from ratoon.platform.fields import display
from ratoon.platform.fields.base import Option
from ratoon.platform.metadata.model import Field, Object, Stage
from ratoon.platform.records.service import RecordService
from ratoon.platform.storage.files import load_files
from ratoon.ui.icons import color, tint
from ratoon.ui.screen import Screen

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
            return Shown(key, self.screen.key_label(object, key), text="" if value is None else str(value))
        return self.show_field(owner, row)

    def show_field(self, owner: Field, row: Mapping[str, Any]) -> Shown:
        """The value of a field."""
        value, type_name = row.get(owner.name), owner.type.name
        base = Shown(owner.name, self.screen.translate(owner.label), help=self.screen.translate(owner.help))
        if type_name == "boolean" or (type_name == "formula" and isinstance(value, bool)):
            return replace(base, kind="boolean", text=_yes_no(value))
        if (value is None or value == "" or value == ()) and type_name not in ("address", "geolocation"):
            return replace(base, numeric=type_name in NUMERIC)
        if type_name == "stage":
            return replace(base, kind="badges", badges=(self.stage_badge(owner, row),))
        if owner.choices:
            return replace(base, kind="badges", badges=tuple(self.badges(owner.choices, value)))
        if owner.targets:
            return replace(base, kind="links", links=tuple(self._links(owner, row)))
        return self._show_text(base, owner, row, value)

    def _show_text(self, base: Shown, owner: Field, row: Mapping[str, Any], value: Any) -> Shown:
        """What the field type says, in the form that suits it."""
        type_name = owner.type.name
        text = owner.type.show(owner.spec, row, self.screen.locale, self.screen.actor.time_zone)
        if isinstance(value, Decimal) and in_base_currency(self.screen, owner):
            text = display.money(value, self.screen.environment.settings.default_currency, self.screen.locale)
        if type_name == "richtext":
            # The only HTML that is not escaped. It was cleaned when it was saved; once more costs little.
            return replace(base, kind="html", html=Markup(owner.parts[0].coerce(value)), text=text, wide=True)
        if type_name in ("file", "image"):
            name = self.files.get(str(value), _("File"))
            return replace(base, kind=type_name, text=name, links=(Link(name, url_for("screens.file", id=value)),))
        kind = _KINDS.get(type_name, "text")
        numeric = type_name in NUMERIC or (type_name in ("formula", "rollup") and not isinstance(value, str))
        wide, short = kind in ("lines", "code"), type_name in _SHORT
        return replace(base, kind=kind, text=text, numeric=numeric, wide=wide, short=short)

    def badges(self, choices: Sequence[Option], value: Any) -> Iterable[Badge]:
        """The chosen options of a picklist; a value that is no longer declared shows as itself."""
        known = {o.value: o for o in choices}
        for each in (value,) if isinstance(value, str) else tuple(value):
            option = known.get(each)
            yield Badge(
                self.screen.translate(option.label) if option else str(each), color(option.color if option else "")
            )

    def stage_of(self, owner: Field, row: Mapping[str, Any]) -> Stage | None:
        """The stage a record stands in."""
        object = self.screen.registry.objects[owner.object]
        pipeline = object.pipeline(row.get(f"{owner.name}_pipeline"))
        if pipeline is None:
            pipeline = next((p for p in object.pipelines if row.get(owner.name) in p.by_name), None)
        return pipeline.by_name.get(str(row.get(owner.name))) if pipeline else None

    def stage_badge(self, owner: Field, row: Mapping[str, Any]) -> Badge:
        """A stage as a badge: green when won, red when lost, else its own colour."""
        stage = self.stage_of(owner, row)
        if stage is None:
            return Badge(str(row.get(owner.name)), "secondary")
        return Badge(self.screen.translate(stage.label), stage_color(stage))

    def _links(self, owner: Field, row: Mapping[str, Any]) -> Iterable[Link]:
        for target, id in pointed_at(owner, row):
            title = self.titles.get(target, {}).get(id)
            if title is None:
                yield Link("—", "")
            else:
                yield Link(title, self.screen.record_url(target, id), tint(title) if target == "user" else "")

    def moment(self, value: datetime | str | None) -> str:
        """A point in time in the reader's zone and language."""
        if value is None:
            return ""
        if isinstance(value, str):
            value = datetime.fromisoformat(value)
        return display.moment(value, self.screen.locale, self.screen.actor.time_zone)


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


def in_base_currency(screen: Screen, owner: Field) -> bool:
    """Whether a computed amount is in the organisation's currency: a formula that returns one, or a rollup of those."""
    if owner.formula is not None:
        return bool(owner.spec.option("returns") == "currency")
    if owner.rollup is None or owner.rollup.key is None or owner.rollup.operation == "count":
        return False
    rolled = screen.registry[owner.rollup.child].field_of[owner.rollup.key]
    return rolled.type.name != "currency" and in_base_currency(screen, rolled)


def stage_color(stage: Stage) -> str:
    """Palette colour of a stage."""
    by_category = {"won": "green", "lost": "red"}.get(stage.category, "blue")
    return color(stage.color, by_category)


def _yes_no(value: Any) -> str:
    return "yes" if value is True else "no" if value is False else ""
