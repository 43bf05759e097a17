"""A form: the fields of a layout as widgets, with what was typed, what is wrong, and what applies now.

``FormField`` is what the templates in ``templates/widgets/`` draw. Which template a field gets, its type says
(``FieldType.widget``). Values are kept as the text that stands in the inputs, so that a refused form comes back
exactly as it was sent.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

import orjson
from babel.numbers import get_currency_name
from flask import url_for
from flask_babel import gettext as _

from ratoon.platform.fields.base import Part
from ratoon.platform.formulas.types import Type
from ratoon.platform.metadata.model import Field, Object
from ratoon.platform.metadata.screen_model import Layout, Section
from ratoon.ui.conditions import Draft, watched_keys
from ratoon.ui.i18n import babel_locale
from ratoon.ui.present import Presenter, Shown, attributes_of
from ratoon.ui.screen import Screen

COMMON_CURRENCIES = (
    "CNY", "USD", "EUR", "HKD", "TWD", "JPY", "GBP", "SGD", "KRW", "AUD", "CAD", "CHF", "INR", "MYR", "THB", "BRL",
    "MXN", "SEK", "NOK", "DKK", "PLN", "NZD", "ZAR", "AED",
)  # fmt: skip
STAND_INS = ("All", "Details", "System")
"""Labels of the view and the sections that an object without any of its own gets."""
_WIDE = frozenset({"textarea", "richtext", "json", "address", "many_to_many", "multipicklist"})
_INPUTS = {Type.DATE: "date", Type.NUMBER: "number", Type.TIME: "time"}


@dataclass(frozen=True)
class Choice:
    """An option of a select or a check box."""

    value: str
    label: str
    chosen: bool


@dataclass(frozen=True)
class Attribute:
    """An attribute of a many-to-many link, as an input."""

    key: str
    label: str
    input: str
    value: str
    choices: tuple[Choice, ...] = ()
    """For a picklist: its active values."""


@dataclass(frozen=True)
class LinkRow:
    """A linked record in a many-to-many widget."""

    id: str
    title: str
    attributes: list[Attribute]


@dataclass
class FormField:
    """One field of a form."""

    screen: Screen
    field: Field
    draft: Draft
    values: Mapping[str, Any]
    """Input name → text (or list of texts) standing in it."""
    presenter: Presenter
    record_id: str | None = None
    messages: list[str] = dataclasses.field(default_factory=list)
    warnings: list[str] = dataclasses.field(default_factory=list)
    watched: bool = False
    """Whether a change of it may show, hide or refill other fields."""

    @property
    def name(self) -> str:
        """The field's name."""
        return self.field.name

    @property
    def label(self) -> str:
        """The translated label."""
        return self.screen.label(self.field)

    @property
    def help(self) -> str:
        """The translated help text."""
        return self.screen.translate(self.field.help, self.field.owner)

    @property
    def placeholder(self) -> str:
        """The translated placeholder."""
        return self.screen.translate(self.field.placeholder, self.field.owner)

    @property
    def widget(self) -> str:
        """Name of the template in ``widgets/``."""
        return self.field.type.widget(self.field.spec)

    @property
    def wide(self) -> bool:
        """Whether it deserves a whole row."""
        return self.widget in _WIDE

    @property
    def visible(self) -> bool:
        """Whether the field applies now."""
        return self.draft.visible(self.field)

    @property
    def required(self) -> bool:
        """Whether it must be filled in now."""
        return self.draft.required(self.field)

    @property
    def read_only(self) -> bool:
        """Whether it is shown instead of asked for."""
        return self.draft.locked(self.field)

    @property
    def max_length(self) -> int | None:
        """Longest text that fits."""
        length = self.field.spec.option("max_length")
        return int(length) if length else None

    @property
    def accept(self) -> str:
        """Kinds of files a file field takes, as an HTML ``accept`` list."""
        accept = self.field.spec.option("accept") or ("image/*" if self.field.type.name == "image" else "")
        return accept if isinstance(accept, str) else ",".join(accept)

    def id(self, part: str) -> str:
        """The HTML id of an input, or of a place around it: ``-about``, ``-box``, ``-hits``, ``-label``.

        The hyphen keeps the places apart from a field that is called ``about``.
        """
        return f"f-{self.name}" if part == self.name else f"f-{self.name}--{part.lstrip('-')}"

    def value(self, key: str | None = None) -> Any:
        """What stands in an input."""
        found = self.values.get(key or self.name)
        return "" if found is None else found

    def shown(self) -> Shown:
        """The value as the record page shows it."""
        return self.presenter.show_field(self.field, self.draft.stored or self.draft.row)

    @property
    def state_url(self) -> str:
        """Where the form asks what applies after a change."""
        return url_for("screens.form_state", object=self.field.object, id=self.record_id)

    @property
    def lookup_url(self) -> str:
        """Where the type-ahead asks."""
        return url_for("screens.lookup", object=self.field.object, field=self.name)

    def options(self) -> list[Choice]:
        """Choices of a picklist: active ones that go with the controlling value, and those already chosen."""
        value = self.value()
        chosen = {value} if isinstance(value, str) else set(value)
        controller = self.field.spec.option("depends_on")
        control = self.draft.row.get(controller) if controller else None
        controls = {control} if isinstance(control, str) else set(control or ())
        offered = []
        for option in self.field.choices:
            fits = option.parents is None or bool(option.parents & controls) or not controller
            stored = self.draft.stored is not None and option.value in chosen
            if (option.active and fits) or (stored and fits):
                offered.append(
                    Choice(option.value, self.screen.translate(option.label, self.field.owner), option.value in chosen)
                )
        return offered

    def currencies(self) -> list[tuple[str, str]]:
        """Currency codes with names: the common ones and the one in use."""
        code = str(self.value(f"{self.name}_currency"))
        codes = list(COMMON_CURRENCIES) if not code or code in COMMON_CURRENCIES else [code, *COMMON_CURRENCIES]
        declared = self.field.spec.option("currency")
        if declared and declared not in codes:
            codes.insert(0, declared)
        locale = babel_locale(self.screen.locale)
        return [(c, get_currency_name(c, locale=locale) if c.isalpha() and len(c) == 3 else c) for c in codes]

    def pipelines(self) -> list[Choice]:
        """The pipelines of the object."""
        here = self.value(f"{self.name}_pipeline")
        pipelines = self.screen.registry[self.field.object].pipelines
        return [Choice(p.name, self.screen.label(p), p.name == here) for p in pipelines]

    def stages(self) -> list[Choice]:
        """The stages of the chosen pipeline."""
        object = self.screen.registry[self.field.object]
        pipeline = object.pipeline(self.value(f"{self.name}_pipeline")) or (object.pipelines or (None,))[0]
        here = self.value()
        return (
            [Choice(s.name, self.screen.translate(s.label, pipeline.owner), s.name == here) for s in pipeline.stages]
            if pipeline
            else []
        )

    def target_options(self) -> list[Choice]:
        """The objects that a polymorphic lookup may point at."""
        here = self.value(f"{self.name}_object") or self.field.targets[0]
        objects = [self.screen.registry[t] for t in self.field.targets]
        return [Choice(o.name, self.screen.label(o), o.name == here) for o in objects]

    def parts(self) -> list[tuple[str, str]]:
        """(key, label) of the parts of a compound field."""
        return [(p.key, self.screen.translate(p.label or self.field.label, self.field.owner)) for p in self.field.parts]

    def file_name(self) -> str:
        """What the stored file is called."""
        return self.shown().text or _("File")

    def links(self) -> list[LinkRow]:
        """The linked records of a many-to-many field."""
        names = self.presenter.titles.get(self.field.targets[0], {})
        listed = self.values.get(self.name) or []
        return [self._link(str(id), names.get(str(id), str(id))) for id in listed if id]

    def blank_link(self) -> LinkRow:
        """The pattern that JavaScript fills in for a newly chosen record."""
        return self._link("__id__", "__title__")

    def _link(self, id: str, title: str) -> LinkRow:
        attributes = []
        for owner, part in link_attributes(self.screen, self.field):
            value = str(self.value(f"{self.name}__{id}__{part.key}"))
            choices = tuple(
                Choice(o.value, self.screen.translate(o.label, owner.owner), o.value == value)
                for o in owner.choices
                if o.active
            )
            kind = _INPUTS.get(part.formula or Type.TEXT, "text")
            attributes.append(Attribute(part.key, self.screen.label(owner), kind, value, choices))
        return LinkRow(id, title, attributes)


def link_attributes(screen: Screen, field: Field) -> list[tuple[Field, Part]]:
    """The attributes that links of a many-to-many field carry."""
    return [(f, p) for f in attributes_of(screen, field) for p in f.parts if p.writable]


@dataclass
class FormSection:
    """A section of a form."""

    name: str
    label: str
    columns: int
    visible: bool
    fields: list[FormField]


def layout_of(object: Object) -> Layout:
    """The object's layout; one made of all fields when none is declared."""
    if object.layouts:
        return next((x for x in object.layouts if x.name == "default"), object.layouts[0])
    names = tuple(f.name for f in object.fields.values() if not f.system)
    section = Section("all", "Details", (*names, "owner"))
    times = Section("system", "System", ("created_at", "created_by", "modified_at", "modified_by"), collapsed=True)
    return Layout(object.name, "default", "Default", (section, times))


def form_fields(screen: Screen, object: Object) -> list[tuple[Section, list[Field]]]:
    """The sections of the form with the fields that the actor may write, each once; required ones always."""
    editable = screen.policy.editable_keys(screen.actor, object.name)
    seen: set[str] = set()
    made = []
    layout = layout_of(object)
    for section in layout.sections:
        fields = [object.fields[n] for n in section.fields if n in object.fields and n not in seen]
        chosen = [f for f in fields if is_writable(f, editable)]
        seen.update(f.name for f in chosen)
        if chosen:
            made.append((section, chosen))
    wanted = {n for p in object.pipelines for s in p.stages for n in s.required_fields}
    rest = [
        f
        for f in object.fields.values()
        if f.name not in seen and is_writable(f, editable) and not f.system and (f.required or f.name in wanted)
    ]
    if rest:
        made.append((Section("more", "Also needed", tuple(f.name for f in rest)), rest))
    return made


def is_writable(field: Field, editable: frozenset[str]) -> bool:
    """Whether people fill this field in."""
    mine = any(part.key in editable for part in field.parts)
    return not field.computed and mine and (not field.system or field.name == "owner")


def build(
    screen: Screen,
    object: Object,
    draft: Draft,
    values: Mapping[str, Any],
    presenter: Presenter,
    *,
    record_id: str | None = None,
    messages: Mapping[str, list[str]] | None = None,
    warnings: Mapping[str, list[str]] | None = None,
) -> list[FormSection]:
    """The whole form."""
    watched = watched_keys(object)
    sections = []
    for section, fields in form_fields(screen, object):
        drawn = [
            FormField(
                screen, f, draft, values, presenter, record_id,
                messages=_of_field(f, messages), warnings=_of_field(f, warnings),
                watched=any(p.key in watched or f.name in watched for p in f.parts),
            )
            for f in fields
        ]  # fmt: skip
        label = _("Also needed") if section.name == "more" else screen.translate(section.label, object.owner)
        sections.append(FormSection(section.name, label, section.columns, draft.visible(section), drawn))
    return sections


def _of_field(field: Field, messages: Mapping[str, list[str]] | None) -> list[str]:
    keys = dict.fromkeys([field.name, *(p.key for p in field.parts)])
    return [m for key in keys for m in (messages or {}).get(key, [])]


def inputs_from(screen: Screen, object: Object, row: Mapping[str, Any], presenter: Presenter) -> dict[str, Any]:
    """Input values for the fields of a record, as the widgets expect them."""
    values: dict[str, Any] = {}
    for owner in object.fields.values():
        if owner.type.name == "many_to_many":
            _link_inputs(screen, owner, row, values)
            continue
        for part in owner.parts:
            values[part.key] = as_input(part, row.get(part.key), screen.zone)
        if owner.type.name == "duration":
            values[owner.name] = clock_face(row.get(owner.name))
        if owner.targets and row.get(owner.name):
            target = row.get(f"{owner.name}_object") if len(owner.parts) > 1 else owner.targets[0]
            title = presenter.titles.get(str(target), {}).get(str(row[owner.name]), "")
            values[f"{owner.name}__text"] = values[f"{owner.name}__shown"] = title
    return values


def _link_inputs(screen: Screen, owner: Field, row: Mapping[str, Any], values: dict[str, Any]) -> None:
    links = row.get(owner.name) or []
    values[owner.name] = [link["id"] for link in links]
    for link in links:
        for _field, part in link_attributes(screen, owner):
            values[f"{owner.name}__{link['id']}__{part.key}"] = as_input(part, link.get(part.key), screen.zone)


def as_input(part: Part, value: Any, zone: ZoneInfo) -> Any:
    """A stored value as it stands in an input."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, datetime):
        return f"{value.astimezone(zone):%Y-%m-%dT%H:%M:%S}"
    if isinstance(value, tuple) and part.formula is Type.MULTI:
        return list(value)
    if isinstance(value, (dict, list)):
        return orjson.dumps(value, option=orjson.OPT_INDENT_2).decode()
    return value if isinstance(value, str) else str(value)


def clock_face(seconds: Any) -> str:
    """A duration as ``1:30:00``."""
    if not isinstance(seconds, int):
        return ""
    hours, rest = divmod(abs(seconds), 3600)
    return f"{'-' if seconds < 0 else ''}{hours}:{rest // 60:02}:{rest % 60:02}"


def local_moment(text: str, zone: ZoneInfo) -> str:
    """Wall-clock text of a ``datetime-local`` input as a moment with offset; other text stays as it is."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return text
    return (moment if moment.tzinfo else moment.replace(tzinfo=zone)).astimezone(UTC).isoformat()


def list_values(values: Sequence[str]) -> list[str]:
    """The ticked boxes of a group, without the blank one that marks the group as present."""
    return [v for v in values if v]
